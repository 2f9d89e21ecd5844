/*
 * Key files, exported keys and the mesh file as text. An exported key is sealed with XChaCha20-Poly1305
 * under an Argon2id key; all lines above the box are its associated data. Opens no file.
 */
#include "node/identity.h"

#include "node/textfile.h"

#include <assert.h>
#include <string.h>

#define PASSES_MAX 16
#define MEMORY_MAX (1024u << 20)
#define MAC_SIZE   crypto_aead_xchacha20poly1305_ietf_ABYTES

void keypair_from_seed(struct keypair *out, const uint8_t seed[32])
{
    static_assert(crypto_sign_SECRETKEYBYTES == 64 && crypto_sign_SEEDBYTES == 32, "libsodium's sizes");
    memcpy(out->seed, seed, 32);
    crypto_sign_seed_keypair(out->key.b, out->secret, seed);
}

bool key_name_valid(struct bytes name)
{
    if (name.n == 0 || name.n > KEY_NAME_MAX || name.p[0] == '.' || name.p[0] == '-')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

static void put_hex_line(struct buf *out, const char *word, const uint8_t *p, size_t n)
{
    assert(n <= 128);
    char hex[257];
    hex_encode(hex, p, n);
    buf_printf(out, "%s %s\n", word, hex);
    sodium_memzero(hex, sizeof hex);
}

static const char *type_word(enum key_type type)
{
    return type == KEY_ED25519 ? "ed25519" : "x25519";
}

void key_file_write(struct buf *out, enum key_type type, const uint8_t secret[32])
{
    assert(type == KEY_ED25519 || type == KEY_X25519);
    buf_put_str(out, "souk-key 1\n");
    buf_printf(out, "type %s\n", type_word(type));
    put_hex_line(out, "secret", secret, 32);
}

enum err key_file_read(struct bytes in, enum key_type type, uint8_t secret[32], struct buf *why)
{
    struct textfile t;
    textfile_init(&t, in, "souk-key", 1);
    struct bytes word = textfile_value(&t, "type");
    if (t.err == ERR_OK && !bytes_eq(word, bytes_str(type_word(type))))
        textfile_fail(&t, ERR_FORM, "the key is not of type %s", type_word(type));
    uint8_t found[32];
    textfile_hex(&t, "secret", found, sizeof found);
    enum err err = textfile_done(&t, why);
    if (err == ERR_OK)
        memcpy(secret, found, sizeof found);
    sodium_memzero(found, sizeof found);
    return err;
}

/* ---- exported keys ----------------------------------------------------------------------------------------------- */

struct key_cost key_cost_default(void)
{
    return (struct key_cost){crypto_pwhash_OPSLIMIT_MODERATE, crypto_pwhash_MEMLIMIT_MODERATE};
}

static bool stretch(uint8_t key[32], struct bytes passphrase, const uint8_t *salt, const struct key_cost *cost)
{
    static_assert(KEY_SALT_SIZE == crypto_pwhash_SALTBYTES, "libsodium's size");
    return crypto_pwhash(key, 32, (const char *)passphrase.p, passphrase.n, salt, cost->passes,
                         (size_t)cost->memory_bytes, crypto_pwhash_ALG_ARGON2ID13) == 0;
}

void key_export_write(struct buf *out, const struct key_export *e)
{
    static_assert(KEY_NONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "libsodium's size");
    assert(key_name_valid(e->name) && e->passphrase.n > 0);
    struct keypair pair;
    keypair_from_seed(&pair, e->seed);
    size_t start = out->n;
    buf_put_str(out, "souk-key-export 1\nname ");
    buf_put_bytes(out, e->name);
    buf_put_str(out, "\n");
    put_hex_line(out, "public", pair.key.b, sizeof pair.key.b);
    buf_printf(out, "passes %llu\nmemory %llu\n", (unsigned long long)e->cost.passes,
               (unsigned long long)e->cost.memory_bytes);
    put_hex_line(out, "salt", e->salt, KEY_SALT_SIZE);
    put_hex_line(out, "nonce", e->nonce, KEY_NONCE_SIZE);
    uint8_t key[32], box[32 + MAC_SIZE];
    unsigned long long n = 0;
    bool stretched = stretch(key, e->passphrase, e->salt, &e->cost);
    assert(stretched);
    (void)stretched;
    crypto_aead_xchacha20poly1305_ietf_encrypt(box, &n, e->seed, 32, out->p + start, out->n - start, NULL, e->nonce,
                                               key);
    assert(n == sizeof box);
    put_hex_line(out, "box", box, sizeof box);
    sodium_memzero(key, sizeof key);
    sodium_memzero(&pair, sizeof pair);
}

struct export_fields {
    char name[KEY_NAME_MAX + 1];
    struct key key;
    struct key_cost cost;
    uint8_t salt[KEY_SALT_SIZE], nonce[KEY_NONCE_SIZE], box[32 + MAC_SIZE];
    struct bytes head; /* what the box authenticates */
};

static enum err export_parse(struct bytes in, struct export_fields *f, struct buf *why)
{
    struct textfile t;
    textfile_init(&t, in, "souk-key-export", 1);
    struct bytes name = textfile_value(&t, "name");
    if (t.err == ERR_OK && !key_name_valid(name))
        textfile_fail(&t, ERR_FORM, "the name of the key is not one");
    textfile_hex(&t, "public", f->key.b, sizeof f->key.b);
    f->cost.passes = textfile_uint(&t, "passes");
    f->cost.memory_bytes = textfile_uint(&t, "memory");
    if (f->cost.passes < crypto_pwhash_OPSLIMIT_MIN || f->cost.passes > PASSES_MAX ||
        f->cost.memory_bytes < crypto_pwhash_MEMLIMIT_MIN || f->cost.memory_bytes > MEMORY_MAX)
        textfile_fail(&t, ERR_LIMIT, "asks for %llu passes over %llu bytes; at most %u and %u are done",
                      (unsigned long long)f->cost.passes, (unsigned long long)f->cost.memory_bytes, PASSES_MAX,
                      MEMORY_MAX);
    textfile_hex(&t, "salt", f->salt, sizeof f->salt);
    textfile_hex(&t, "nonce", f->nonce, sizeof f->nonce);
    assert(t.rest.n <= in.n);
    f->head = bytes_of(in.p, in.n - t.rest.n);
    textfile_hex(&t, "box", f->box, sizeof f->box);
    enum err err = textfile_done(&t, why);
    if (err != ERR_OK)
        return err;
    assert(name.n <= KEY_NAME_MAX && f->head.n < in.n);
    memcpy(f->name, name.p, name.n);
    f->name[name.n] = '\0';
    return ERR_OK;
}

/* Opens the box and checks that the seed belongs to the public key above it. */
static bool export_open(const struct export_fields *f, struct bytes passphrase, uint8_t seed[32])
{
    uint8_t key[32];
    unsigned long long n = 0;
    struct keypair pair;
    bool ok = stretch(key, passphrase, f->salt, &f->cost) &&
              crypto_aead_xchacha20poly1305_ietf_decrypt(seed, &n, NULL, f->box, sizeof f->box, f->head.p, f->head.n,
                                                         f->nonce, key) == 0;
    if (ok) {
        assert(n == 32);
        keypair_from_seed(&pair, seed);
        ok = key_eq(&pair.key, &f->key);
        sodium_memzero(&pair, sizeof pair);
    }
    sodium_memzero(key, sizeof key);
    return ok;
}

enum err key_export_read(struct bytes in, struct bytes passphrase, char name[KEY_NAME_MAX + 1], uint8_t seed[32],
                         struct buf *why)
{
    struct export_fields f = {0};
    uint8_t opened[32];
    if (in.n > KEY_FILE_MAX) {
        buf_printf(why, "the file has more than %d bytes", KEY_FILE_MAX);
        return ERR_LIMIT;
    }
    enum err err = export_parse(in, &f, why);
    if (err != ERR_OK)
        return err;
    if (!export_open(&f, passphrase, opened)) {
        buf_put_str(why, "the passphrase does not open this key, or the file was changed");
        return ERR_DENIED;
    }
    memcpy(seed, opened, sizeof opened);
    memcpy(name, f.name, sizeof f.name);
    sodium_memzero(opened, sizeof opened);
    return ERR_OK;
}

/* ---- the mesh file ----------------------------------------------------------------------------------------------- */

void mesh_file_write(struct buf *out, const struct mesh_file *m)
{
    assert(!m->founded_here || m->has_founder);
    buf_put_str(out, "souk-mesh 1\n");
    put_hex_line(out, "id", m->id.b, sizeof m->id.b);
    if (!m->has_founder)
        return;
    put_hex_line(out, "founder", m->founder.b, sizeof m->founder.b);
    buf_printf(out, "name %s\n", m->name);
    if (m->founded_here)
        buf_printf(out, "admission %s\n", m->admission == ADMISSION_OPEN ? "open" : "members");
}

static void read_founder(struct textfile *t, struct mesh_file *m)
{
    m->has_founder = true;
    textfile_hex(t, "founder", m->founder.b, sizeof m->founder.b);
    struct bytes name = textfile_value(t, "name");
    if (t->err != ERR_OK)
        return;
    if (name.n == 0 || name.n > MODEL_NAME_MAX || !utf8_valid(name)) {
        textfile_fail(t, ERR_FORM, "the mesh's name is not 1 to %d bytes of UTF-8", MODEL_NAME_MAX);
        return;
    }
    assert(m->name[0] == '\0');
    memcpy(m->name, name.p, name.n);
    struct id id;
    mesh_id(&id, &m->founder, name);
    if (!id_eq(&id, &m->id))
        textfile_fail(t, ERR_MESH, "the mesh id does not follow from the founder and the name");
    if (!textfile_next_is(t, "admission"))
        return;
    struct bytes admission = textfile_value(t, "admission");
    m->founded_here = true;
    m->admission = bytes_eq(admission, bytes_str("open")) ? ADMISSION_OPEN : ADMISSION_MEMBERS;
    if (m->admission != ADMISSION_OPEN && !bytes_eq(admission, bytes_str("members")))
        textfile_fail(t, ERR_FORM, "line %u: admission is neither open nor members", t->line);
}

enum err mesh_file_read(struct bytes in, struct mesh_file *out, struct buf *why)
{
    struct textfile t;
    struct mesh_file m = {0};
    textfile_init(&t, in, "souk-mesh", 1);
    textfile_hex(&t, "id", m.id.b, sizeof m.id.b);
    if (textfile_next_is(&t, "founder"))
        read_founder(&t, &m);
    enum err err = textfile_done(&t, why);
    if (err == ERR_OK)
        *out = m;
    return err;
}
