/*
 * Writing, reading and judging invitations: forms, signatures and bounds, in the layout that invite.h gives.
 */
#include "node/invite.h"

#include "crdt/codec.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define CARD_VERSION 1
static const char prefix[] = "soukinvite1_";

/* ---- the card ---------------------------------------------------------------------------------------------------- */

static void put_card(struct buf *out, const struct invitation *in)
{
    mp_put_array(out, 8);
    mp_put_uint(out, CARD_VERSION);
    mp_put_bin(out, bytes_of(in->founder.b, ID_BYTES));
    mp_put_str(out, bytes_str(in->mesh_name));
    mp_put_bin(out, bytes_of(in->inviter.b, ID_BYTES));
    mp_put_bin(out, bytes_of(in->name.b, ID_BYTES));
    mp_put_uint(out, in->expires_s);
    mp_put_str(out, bytes_str(in->role));
    mp_put_array(out, in->address_count);
    for (size_t i = 0; i < in->address_count; i++)
        mp_put_str(out, bytes_str(in->addresses[i]));
}

/* A text of at least one byte that fits, without control characters. */
static void take_text(struct mp_reader *r, char *out, size_t size)
{
    struct bytes text = mp_str(r);
    if (text.n == 0 || text.n >= size) {
        mp_fail(r);
        return;
    }
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < ' ' || text.p[i] == 0x7f)
            mp_fail(r);
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
}

static enum err take_card(struct bytes card, struct invitation *out)
{
    struct mp_reader r;
    if (card.n > INVITE_CARD_MAX)
        return ERR_FORM;
    mp_reader_init(&r, card);
    bool whole = mp_array(&r) == 8;
    uint64_t version = mp_uint(&r);
    if (!r.bad && version != CARD_VERSION)
        return ERR_VERSION;
    mp_bin_exact(&r, out->founder.b, ID_BYTES);
    take_text(&r, out->mesh_name, sizeof out->mesh_name);
    mp_bin_exact(&r, out->inviter.b, ID_BYTES);
    mp_bin_exact(&r, out->name.b, ID_BYTES);
    out->expires_s = mp_uint(&r);
    take_text(&r, out->role, sizeof out->role);
    out->address_count = mp_array(&r);
    if (out->address_count > INVITE_ADDRESSES_MAX)
        mp_fail(&r);
    for (size_t i = 0; i < out->address_count && !r.bad; i++)
        take_text(&r, out->addresses[i], sizeof out->addresses[i]);
    if (!whole || !mp_done(&r))
        return ERR_FORM;
    mesh_id(&out->mesh, &out->founder, bytes_str(out->mesh_name));
    memcpy(out->card, card.p, card.n);
    out->card_bytes = card.n;
    return ERR_OK;
}

static void card_hash(struct id *out, const struct invitation *in)
{
    struct hasher h;
    hash_init(&h, "souk/invitation/1");
    hash_part(&h, in->mesh.b, ID_BYTES);
    hash_part(&h, in->card, in->card_bytes);
    hash_end(&h, out);
}

static bool signed_by(const uint8_t sig[SIG_BYTES], const struct id *what, const struct key *key)
{
    return crypto_sign_verify_detached(sig, what->b, ID_BYTES, key->b) == 0;
}

static bool card_holds(const struct invitation *in)
{
    struct id what;
    card_hash(&what, in);
    return signed_by(in->sig, &what, &in->inviter);
}

/* ---- the text ---------------------------------------------------------------------------------------------------- */

enum err invite_write(struct buf *out, struct invitation *in, const uint8_t inviter_secret[64])
{
    struct buf raw = {0};
    struct keypair pair;
    struct id what;
    assert(in->address_count <= INVITE_ADDRESSES_MAX);
    keypair_from_seed(&pair, in->seed);
    in->name = pair.key;
    sodium_memzero(&pair, sizeof pair);
    mesh_id(&in->mesh, &in->founder, bytes_str(in->mesh_name));
    put_card(&raw, in);
    if (raw.n > INVITE_CARD_MAX) {
        buf_close(&raw);
        return ERR_LIMIT;
    }
    memcpy(in->card, raw.p, raw.n);
    assert(raw.n > 0 && raw.n <= sizeof in->card);
    in->card_bytes = raw.n;
    card_hash(&what, in);
    (void)crypto_sign_detached(in->sig, NULL, what.b, ID_BYTES, inviter_secret);
    buf_reset(&raw);
    mp_put_array(&raw, 3);
    mp_put_bin(&raw, bytes_of(in->card, in->card_bytes));
    mp_put_bin(&raw, bytes_of(in->sig, SIG_BYTES));
    mp_put_bin(&raw, bytes_of(in->seed, sizeof in->seed));
    buf_put_str(out, prefix);
    size_t size = sodium_base64_ENCODED_LEN(raw.n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    (void)sodium_bin2base64((char *)buf_grow(out, size), size, raw.p, raw.n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    out->n += size - 1;
    sodium_memzero(raw.p, raw.n);
    buf_close(&raw);
    return ERR_OK;
}

static struct bytes trimmed(struct bytes text)
{
    assert(text.n == 0 || text.p != NULL);
    while (text.n > 0 && (text.p[0] == ' ' || text.p[0] == '\t' || text.p[0] == '\n'))
        text = bytes_of(text.p + 1, text.n - 1);
    while (text.n > 0 && (text.p[text.n - 1] <= ' '))
        text.n--;
    return text;
}

static enum err read_raw(struct bytes raw, struct invitation *out)
{
    assert(raw.n <= INVITE_TEXT_MAX);
    struct mp_reader r;
    struct keypair pair;
    mp_reader_init(&r, raw);
    bool whole = mp_array(&r) == 3;
    struct bytes card = mp_bin(&r);
    mp_bin_exact(&r, out->sig, SIG_BYTES);
    mp_bin_exact(&r, out->seed, sizeof out->seed);
    if (!whole || !mp_done(&r))
        return ERR_FORM;
    enum err err = take_card(card, out);
    if (err != ERR_OK)
        return err;
    keypair_from_seed(&pair, out->seed);
    bool own = key_eq(&pair.key, &out->name);
    sodium_memzero(&pair, sizeof pair);
    return own && card_holds(out) ? ERR_OK : ERR_SIGNATURE;
}

enum err invite_read(struct bytes text, struct invitation *out, struct buf *why)
{
    uint8_t raw[INVITE_TEXT_MAX];
    size_t n = 0, head = sizeof prefix - 1;
    enum err err = ERR_FORM;
    *out = (struct invitation){0};
    text = trimmed(text);
    bool titled = text.n > head && text.n <= INVITE_TEXT_MAX && memcmp(text.p, prefix, head) == 0;
    if (titled && sodium_base642bin(raw, sizeof raw, (const char *)text.p + head, text.n - head, NULL, &n, NULL,
                                    sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0)
        err = read_raw(bytes_of(raw, n), out);
    sodium_memzero(raw, sizeof raw);
    if (!titled)
        buf_printf(why, "this is not an invitation: one is a line that starts with %s, as souk mesh invite prints it", prefix);
    else if (err == ERR_FORM)
        buf_put_str(why, "this invitation is cut short or was changed; copy the whole line again, as souk mesh invite printed it");
    else if (err == ERR_VERSION)
        buf_put_str(why, "this invitation is of a version that this souk does not know; install a newer one");
    else if (err == ERR_SIGNATURE)
        buf_put_str(why, "the signature of this invitation does not hold: it was changed or forged on its way; ask for another one, and "
                         "by another way");
    return err;
}

bool invite_names_node(const struct invitation *in, const struct key *node)
{
    char hex[ID_HEX_SIZE];
    key_hex(hex, node);
    for (size_t i = 0; i < in->address_count; i++)
        if (strncmp(in->addresses[i], hex, ID_HEX_SIZE - 1) == 0 && in->addresses[i][ID_HEX_SIZE - 1] == '@')
            return true;
    return false;
}

/* ---- the application --------------------------------------------------------------------------------------------- */

static void join_hash(struct id *out, const struct invitation *in, const struct key *node, const struct key *author)
{
    struct hasher h;
    hash_init(&h, "souk/join/1");
    hash_part(&h, in->mesh.b, ID_BYTES);
    hash_part(&h, in->name.b, ID_BYTES);
    hash_part(&h, node->b, ID_BYTES);
    hash_part(&h, author->b, ID_BYTES);
    hash_end(&h, out);
}

void invite_apply(struct buf *out, const struct invitation *in, const struct key *node, const struct keypair *author)
{
    struct keypair pair;
    struct id what;
    uint8_t by_seed[SIG_BYTES], by_author[SIG_BYTES];
    size_t from = out->n;
    keypair_from_seed(&pair, in->seed);
    assert(key_eq(&pair.key, &in->name));
    join_hash(&what, in, node, &author->key);
    assert(in->card_bytes > 0 && in->card_bytes <= INVITE_CARD_MAX);
    (void)crypto_sign_detached(by_seed, NULL, what.b, ID_BYTES, pair.secret);
    (void)crypto_sign_detached(by_author, NULL, what.b, ID_BYTES, author->secret);
    sodium_memzero(&pair, sizeof pair);
    mp_put_array(out, 5);
    mp_put_bin(out, bytes_of(in->card, in->card_bytes));
    mp_put_bin(out, bytes_of(in->sig, SIG_BYTES));
    mp_put_bin(out, bytes_of(author->key.b, ID_BYTES));
    mp_put_bin(out, bytes_of(by_seed, SIG_BYTES));
    mp_put_bin(out, bytes_of(by_author, SIG_BYTES));
    assert(out->n - from <= NET_APPLICATION_MAX);
    (void)from;
}

enum err invite_judge(struct bytes application, const struct key *node, struct invitation *out, struct key *author)
{
    struct mp_reader r;
    struct id what;
    uint8_t by_seed[SIG_BYTES], by_author[SIG_BYTES];
    *out = (struct invitation){0};
    mp_reader_init(&r, application);
    bool whole = mp_array(&r) == 5;
    struct bytes card = mp_bin(&r);
    mp_bin_exact(&r, out->sig, SIG_BYTES);
    mp_bin_exact(&r, author->b, ID_BYTES);
    mp_bin_exact(&r, by_seed, SIG_BYTES);
    mp_bin_exact(&r, by_author, SIG_BYTES);
    if (!whole || !mp_done(&r))
        return ERR_FORM;
    enum err err = take_card(card, out);
    if (err != ERR_OK)
        return err;
    join_hash(&what, out, node, author);
    bool holds = card_holds(out) && signed_by(by_seed, &what, &out->name) && signed_by(by_author, &what, author);
    return holds ? ERR_OK : ERR_SIGNATURE;
}

/* ---- spans of time ----------------------------------------------------------------------------------------------- */

bool invite_span(const char *text, uint64_t *seconds)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
    uint64_t n = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && p - text < 9; p++)
        n = n * 10 + (uint64_t)(*p - '0');
    if (p == text || n == 0 || *p == '\0' || p[1] != '\0')
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].unit == *p && n <= INVITE_LONGEST_S / units[i].seconds) {
            *seconds = n * units[i].seconds;
            assert(*seconds >= 1 && *seconds <= INVITE_LONGEST_S);
            return true;
        }
    return false;
}
