/*
 * Making and judging statements of succession. Pure; what a reader does with one is for the node.
 */
#include "crdt/moved.h"

#include "crdt/codec.h"

#include <assert.h>
#include <string.h>

enum { SIG_TEXT_BYTES = 88 }; /* base64 of 64 bytes */

static void message(struct id *out, const struct moved *m)
{
    struct hasher h;
    hash_init(&h, "souk/moved/1");
    hash_part(&h, m->mesh.b, ID_BYTES);
    hash_part(&h, m->entry.b, ID_BYTES);
    hash_part(&h, m->successor.b, ID_BYTES);
    hash_end(&h, out);
}

void moved_put(struct buf *out, const struct moved *m, const uint8_t secret[64])
{
    struct id what;
    uint8_t sig[SIG_BYTES];
    char hex[ID_HEX_SIZE], text[SIG_TEXT_BYTES + 1];
    message(&what, m);
    (void)crypto_sign_detached(sig, NULL, what.b, ID_BYTES, secret);
    id_hex(hex, &m->successor);
    (void)sodium_bin2base64(text, sizeof text, sig, sizeof sig, sodium_base64_VARIANT_ORIGINAL);
    assert(strlen(text) == SIG_TEXT_BYTES);
    mp_put_map(out, 2);
    mp_put_str(out, bytes_str("id"));
    mp_put_str(out, bytes_str(hex));
    mp_put_str(out, bytes_str("signature"));
    mp_put_str(out, bytes_str(text));
}

bool moved_holds(struct bytes value, const struct key *owner, struct moved *m)
{
    struct mp_reader r;
    struct bytes previous = {0};
    struct id what;
    uint8_t sig[SIG_BYTES];
    size_t n = 0;
    mp_reader_init(&r, value);
    if (mp_peek(&r) != MP_MAP || mp_map(&r) != 2 || !bytes_eq(mp_key(&r, &previous), bytes_str("id")))
        return false;
    struct bytes id = mp_str(&r), name = mp_key(&r, &previous), text = mp_str(&r);
    if (!mp_done(&r) || !bytes_eq(name, bytes_str("signature")) || text.n != SIG_TEXT_BYTES || !id_parse(&m->successor, id))
        return false;
    if (sodium_base642bin(sig, sizeof sig, (const char *)text.p, text.n, NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        n != sizeof sig)
        return false;
    message(&what, m);
    return !id_eq(&m->entry, &m->successor) && crypto_sign_verify_detached(sig, what.b, ID_BYTES, owner->b) == 0;
}

bool moved_judge(struct merged *record, const struct key *owner, struct moved *m)
{
    const struct merged_field *f = merged_find(record, bytes_str(MOVED_FIELD));
    if (f == NULL || value_is_nil(f->field.value))
        return false;
    if (moved_holds(f->field.value, owner, m))
        return true;
    merged_set(record, bytes_str(MOVED_FIELD), NULL);
    return false;
}
