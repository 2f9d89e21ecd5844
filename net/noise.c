/*
 * The XX pattern, token by token, over libsodium's X25519, ChaCha20-Poly1305, SHA-256 and BLAKE2b. libsodium 1.0.18 has no
 * HKDF and no HMAC for BLAKE2b: both are here, over one hash table. Owns no memory; refuses to know any payload.
 */
#include "net/noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* ---- hash, HMAC, HKDF --------------------------------------------------------------------------------------- */

static const struct suite {
    const char *name; /* 32 bytes or fewer fill the first hash with zeros after it, longer ones are hashed */
    size_t size;      /* HASHLEN */
    size_t block;     /* BLOCKLEN */
} suites[] = {
    [NOISE_SHA256] = {"Noise_XX_25519_ChaChaPoly_SHA256", 32, 64},
    [NOISE_BLAKE2B] = {"Noise_XX_25519_ChaChaPoly_BLAKE2b", 64, 128},
};

size_t noise_hash_size(enum noise_hash hash)
{
    assert(hash == NOISE_SHA256 || hash == NOISE_BLAKE2B);
    return suites[hash].size;
}

/* out = HASH(a || b) */
static void hash2(enum noise_hash hash, uint8_t *out, struct bytes a, struct bytes b)
{
    switch (hash) {
    case NOISE_SHA256: {
        crypto_hash_sha256_state s;
        (void)crypto_hash_sha256_init(&s);
        (void)crypto_hash_sha256_update(&s, a.p, a.n);
        (void)crypto_hash_sha256_update(&s, b.p, b.n);
        (void)crypto_hash_sha256_final(&s, out);
        return;
    }
    case NOISE_BLAKE2B: {
        crypto_generichash_state s;
        (void)crypto_generichash_init(&s, NULL, 0, 64);
        (void)crypto_generichash_update(&s, a.p, a.n);
        (void)crypto_generichash_update(&s, b.p, b.n);
        (void)crypto_generichash_final(&s, out, 64);
        return;
    }
    }
    assert(false && "a hash of the table");
}

/* RFC 2104, for keys no longer than a block. */
static void hmac(enum noise_hash hash, uint8_t *out, struct bytes key, struct bytes message)
{
    const struct suite *s = &suites[hash];
    uint8_t pad[128], inner[NOISE_HASH_MAX];
    assert(key.n <= s->block && s->block <= sizeof pad);
    memset(pad, 0x36, s->block);
    for (size_t i = 0; i < key.n; i++)
        pad[i] ^= key.p[i];
    hash2(hash, inner, bytes_of(pad, s->block), message);
    for (size_t i = 0; i < s->block; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    hash2(hash, out, bytes_of(pad, s->block), bytes_of(inner, s->size));
    sodium_memzero(pad, sizeof pad);
    sodium_memzero(inner, sizeof inner);
}

/* HKDF with two outputs of HASHLEN bytes. `first` may be the chaining key itself. */
static void hkdf2(enum noise_hash hash, const uint8_t *chain, struct bytes input, uint8_t *first, uint8_t *second)
{
    size_t n = suites[hash].size;
    uint8_t temp[NOISE_HASH_MAX], block[NOISE_HASH_MAX + 1];
    hmac(hash, temp, bytes_of(chain, n), input);
    block[0] = 1;
    hmac(hash, first, bytes_of(temp, n), bytes_of(block, 1));
    memcpy(block, first, n);
    block[n] = 2;
    hmac(hash, second, bytes_of(temp, n), bytes_of(block, n + 1));
    sodium_memzero(temp, sizeof temp);
    sodium_memzero(block, sizeof block);
}

/* ---- cipher states ------------------------------------------------------------------------------------------ */

static void cipher_key(struct noise_cipher *c, const uint8_t key[NOISE_KEY_BYTES])
{
    memcpy(c->key, key, NOISE_KEY_BYTES);
    c->nonce = 0;
    c->keyed = true;
}

/* The 96-bit nonce of ChaChaPoly: 32 zero bits, then the counter in little-endian. */
static void nonce_bytes(uint8_t out[12], uint64_t nonce)
{
    memset(out, 0, 4);
    put_le64(out + 4, nonce);
}

void noise_seal(struct noise_cipher *c, struct bytes ad, struct bytes plain, struct buf *out)
{
    if (!c->keyed) {
        buf_put_bytes(out, plain);
        return;
    }
    assert(c->nonce < UINT64_MAX); /* 2^64-1 is reserved for REKEY */
    uint8_t nonce[12];
    unsigned long long n;
    nonce_bytes(nonce, c->nonce);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(buf_grow(out, plain.n + NOISE_TAG_BYTES), &n, plain.p, plain.n, ad.p, ad.n,
                                                    NULL, nonce, c->key);
    assert(n == plain.n + NOISE_TAG_BYTES);
    out->n += (size_t)n;
    c->nonce++;
}

bool noise_open(struct noise_cipher *c, struct bytes ad, struct bytes sealed, struct buf *out)
{
    if (!c->keyed) {
        buf_put_bytes(out, sealed);
        return true;
    }
    if (sealed.n < NOISE_TAG_BYTES || c->nonce == UINT64_MAX)
        return false;
    uint8_t nonce[12];
    unsigned long long n;
    nonce_bytes(nonce, c->nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(buf_grow(out, sealed.n), &n, NULL, sealed.p, sealed.n, ad.p, ad.n, nonce,
                                                  c->key) != 0)
        return false;
    assert(n == sealed.n - NOISE_TAG_BYTES);
    out->n += (size_t)n;
    c->nonce++;
    return true;
}

void noise_rekey(struct noise_cipher *c)
{
    static const uint8_t zeros[NOISE_KEY_BYTES];
    uint8_t nonce[12], sealed[NOISE_KEY_BYTES + NOISE_TAG_BYTES];
    assert(c->keyed);
    nonce_bytes(nonce, UINT64_MAX);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(sealed, NULL, zeros, sizeof zeros, NULL, 0, NULL, nonce, c->key);
    memcpy(c->key, sealed, NOISE_KEY_BYTES);
    sodium_memzero(sealed, sizeof sealed);
}

/* ---- the symmetric state ------------------------------------------------------------------------------------ */

static void mix_hash(struct noise *n, struct bytes data)
{
    hash2(n->hash, n->transcript, bytes_of(n->transcript, noise_hash_size(n->hash)), data);
}

static void mix_key(struct noise *n, struct bytes input)
{
    uint8_t key[NOISE_HASH_MAX];
    hkdf2(n->hash, n->chain, input, n->chain, key);
    cipher_key(&n->cipher, key);
    sodium_memzero(key, sizeof key);
}

/* libsodium's scalarmult fails on an all-zero output: a low-order point was sent. */
static bool mix_dh(struct noise *n, const uint8_t secret[32], const uint8_t public[32])
{
    uint8_t shared[32];
    bool good = crypto_scalarmult(shared, secret, public) == 0;
    if (good)
        mix_key(n, bytes_of(shared, sizeof shared));
    sodium_memzero(shared, sizeof shared);
    return good;
}

static void seal_and_hash(struct noise *n, struct bytes plain, struct buf *out)
{
    size_t from = out->n;
    noise_seal(&n->cipher, bytes_of(n->transcript, noise_hash_size(n->hash)), plain, out);
    mix_hash(n, bytes_of(out->p + from, out->n - from));
}

static bool open_and_hash(struct noise *n, struct bytes sealed, struct buf *out)
{
    if (!noise_open(&n->cipher, bytes_of(n->transcript, noise_hash_size(n->hash)), sealed, out))
        return false;
    mix_hash(n, sealed);
    return true;
}

/* ---- the pattern -------------------------------------------------------------------------------------------- */

enum token { TOKEN_END, TOKEN_E, TOKEN_S, TOKEN_EE, TOKEN_ES, TOKEN_SE };

/* XX:  -> e    <- e, ee, s, es    -> s, se */
static const enum token pattern[3][5] = {
    {TOKEN_E, TOKEN_END},
    {TOKEN_E, TOKEN_EE, TOKEN_S, TOKEN_ES, TOKEN_END},
    {TOKEN_S, TOKEN_SE, TOKEN_END},
};

void noise_init(struct noise *n, const struct noise_config *config)
{
    memset(n, 0, sizeof *n);
    n->hash = config->hash;
    n->role = config->role;
    n->state = config->role == NOISE_INITIATOR ? NOISE_WRITE : NOISE_READ;
    const struct suite *s = &suites[config->hash];
    if (strlen(s->name) <= s->size)
        memcpy(n->transcript, s->name, strlen(s->name));
    else
        hash2(n->hash, n->transcript, bytes_str(s->name), bytes_of(NULL, 0));
    memcpy(n->chain, n->transcript, s->size);
    mix_hash(n, config->prologue);
    memcpy(n->static_secret, config->static_secret, 32);
    memcpy(n->ephemeral_secret, config->ephemeral_secret, 32);
    (void)crypto_scalarmult_base(n->static_public, n->static_secret);
    (void)crypto_scalarmult_base(n->ephemeral_public, n->ephemeral_secret);
}

/* The Diffie-Hellman tokens name the initiator's key first. */
static bool dh_token(struct noise *n, enum token t)
{
    bool initiator = n->role == NOISE_INITIATOR;
    switch (t) {
    case TOKEN_EE:
        return mix_dh(n, n->ephemeral_secret, n->remote_ephemeral);
    case TOKEN_ES:
        return initiator ? mix_dh(n, n->ephemeral_secret, n->remote_static) : mix_dh(n, n->static_secret, n->remote_ephemeral);
    case TOKEN_SE:
        return initiator ? mix_dh(n, n->static_secret, n->remote_ephemeral) : mix_dh(n, n->ephemeral_secret, n->remote_static);
    case TOKEN_END:
    case TOKEN_E:
    case TOKEN_S:
        break;
    }
    assert(false && "a Diffie-Hellman token");
    return false;
}

static bool fail(struct noise *n)
{
    n->state = NOISE_FAILED;
    return false;
}

static void next_message(struct noise *n)
{
    assert(n->message < 3);
    if (++n->message == 3)
        n->state = NOISE_DONE;
    else
        n->state = n->state == NOISE_WRITE ? NOISE_READ : NOISE_WRITE;
}

bool noise_write(struct noise *n, struct bytes payload, struct buf *out)
{
    assert(n->state == NOISE_WRITE);
    for (const enum token *t = pattern[n->message]; *t != TOKEN_END; t++) {
        if (*t == TOKEN_E) {
            buf_put(out, n->ephemeral_public, 32);
            mix_hash(n, bytes_of(n->ephemeral_public, 32));
        } else if (*t == TOKEN_S) {
            seal_and_hash(n, bytes_of(n->static_public, 32), out);
        } else if (!dh_token(n, *t)) {
            return fail(n);
        }
    }
    seal_and_hash(n, payload, out);
    next_message(n);
    return true;
}

static bool take(struct bytes *from, size_t n, struct bytes *out)
{
    if (from->n < n)
        return false;
    *out = bytes_of(from->p, n);
    *from = bytes_of(from->p + n, from->n - n);
    return true;
}

static bool read_static(struct noise *n, struct bytes *message)
{
    struct bytes part;
    struct buf plain = {0};
    bool good = take(message, 32 + (n->cipher.keyed ? NOISE_TAG_BYTES : 0), &part) && open_and_hash(n, part, &plain);
    if (good) {
        assert(plain.n == 32);
        memcpy(n->remote_static, plain.p, 32);
    }
    buf_close(&plain);
    return good;
}

bool noise_read(struct noise *n, struct bytes message, struct buf *payload)
{
    assert(n->state == NOISE_READ);
    struct bytes part;
    for (const enum token *t = pattern[n->message]; *t != TOKEN_END; t++) {
        if (*t == TOKEN_E) {
            if (!take(&message, 32, &part))
                return fail(n);
            memcpy(n->remote_ephemeral, part.p, 32);
            mix_hash(n, part);
        } else if (*t == TOKEN_S) {
            if (!read_static(n, &message))
                return fail(n);
        } else if (!dh_token(n, *t)) {
            return fail(n);
        }
    }
    if (!open_and_hash(n, message, payload))
        return fail(n);
    next_message(n);
    return true;
}

void noise_split(const struct noise *n, struct noise_cipher *send, struct noise_cipher *receive)
{
    uint8_t first[NOISE_HASH_MAX], second[NOISE_HASH_MAX];
    assert(n->state == NOISE_DONE);
    hkdf2(n->hash, n->chain, bytes_of(NULL, 0), first, second);
    cipher_key(send, n->role == NOISE_INITIATOR ? first : second);
    cipher_key(receive, n->role == NOISE_INITIATOR ? second : first);
    sodium_memzero(first, sizeof first);
    sodium_memzero(second, sizeof second);
}

void noise_close(struct noise *n)
{
    sodium_memzero(n, sizeof *n);
}
