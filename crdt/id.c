/*
 * The framed hash and the ids made with it. Knows the tags of MODEL 1 and nothing of what is hashed.
 */
#include "crdt/id.h"

#include <assert.h>
#include <string.h>

void hash_init(struct hasher *h, const char *tag)
{
    (void)crypto_generichash_init(&h->state, NULL, 0, ID_BYTES);
    hash_part(h, tag, strlen(tag));
}

void hash_part(struct hasher *h, const void *p, size_t n)
{
    assert(n <= UINT32_MAX);
    uint8_t length[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
    (void)crypto_generichash_update(&h->state, length, sizeof length);
    (void)crypto_generichash_update(&h->state, p, n);
}

void hash_u64(struct hasher *h, uint64_t v)
{
    uint8_t le[8];
    put_le64(le, v);
    hash_part(h, le, sizeof le);
}

void hash_end(struct hasher *h, struct id *out)
{
    (void)crypto_generichash_final(&h->state, out->b, ID_BYTES);
}

bool id_eq(const struct id *a, const struct id *b)
{
    return memcmp(a->b, b->b, ID_BYTES) == 0;
}

int id_cmp(const struct id *a, const struct id *b)
{
    return memcmp(a->b, b->b, ID_BYTES);
}

bool id_is_zero(const struct id *a)
{
    static const struct id zero;
    return id_eq(a, &zero);
}

bool key_eq(const struct key *a, const struct key *b)
{
    return memcmp(a->b, b->b, ID_BYTES) == 0;
}

int key_cmp(const struct key *a, const struct key *b)
{
    return memcmp(a->b, b->b, ID_BYTES);
}

void id_hex(char out[ID_HEX_SIZE], const struct id *id)
{
    hex_encode(out, id->b, ID_BYTES);
}

void key_hex(char out[ID_HEX_SIZE], const struct key *key)
{
    hex_encode(out, key->b, ID_BYTES);
}

bool id_parse(struct id *out, struct bytes hex)
{
    return hex_decode(out->b, ID_BYTES, hex);
}

bool key_parse(struct key *out, struct bytes hex)
{
    return hex_decode(out->b, ID_BYTES, hex);
}

void mesh_id(struct id *out, const struct key *founder, struct bytes name)
{
    struct hasher h;
    hash_init(&h, "souk/mesh/1");
    hash_part(&h, founder->b, ID_BYTES);
    hash_part(&h, name.p, name.n);
    hash_end(&h, out);
}

void entry_id(struct id *out, uint64_t kind, const struct key *owner, struct bytes name)
{
    struct hasher h;
    hash_init(&h, "souk/entry/1");
    hash_u64(&h, kind);
    hash_part(&h, owner->b, ID_BYTES);
    hash_part(&h, name.p, name.n);
    hash_end(&h, out);
}

void op_id(struct id *out, const struct id *delta, uint64_t index)
{
    struct hasher h;
    hash_init(&h, "souk/op/1");
    hash_part(&h, delta->b, ID_BYTES);
    hash_u64(&h, index);
    hash_end(&h, out);
}

void body_hash(struct id *out, struct bytes body)
{
    struct hasher h;
    hash_init(&h, "souk/body/1");
    hash_part(&h, body.p, body.n);
    hash_end(&h, out);
}

void value_hash(struct id *out, struct bytes value)
{
    struct hasher h;
    hash_init(&h, "souk/value/1");
    hash_part(&h, value.p, value.n);
    hash_end(&h, out);
}
