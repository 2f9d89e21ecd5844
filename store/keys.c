/*
 * Building and parsing of keys; the layout is in store/FORMAT.md. Knows no values.
 */
#include "store/keys.h"

#include "crdt/limits.h"

#include <assert.h>
#include <string.h>

enum { NAME_ESCAPE = 0x00, NAME_NUL = 0xff, NAME_END = 0x00 };

void dbkey_start(struct dbkey *k, enum family family)
{
    k->p[0] = (uint8_t)family;
    k->n = 1;
}

void dbkey_add(struct dbkey *k, const void *p, size_t n)
{
    assert(k->n + n <= KV_KEY_MAX);
    if (n > 0)
        memcpy(k->p + k->n, p, n);
    k->n += n;
}

void dbkey_add_id(struct dbkey *k, const struct id *id)
{
    dbkey_add(k, id->b, ID_BYTES);
}

void dbkey_add_key(struct dbkey *k, const struct key *key)
{
    dbkey_add(k, key->b, ID_BYTES);
}

void dbkey_add_be(struct dbkey *k, uint64_t v, unsigned width)
{
    assert(k->n + width <= KV_KEY_MAX);
    put_be(k->p + k->n, v, width);
    k->n += width;
}

void dbkey_add_id_inverted(struct dbkey *k, const struct id *id)
{
    assert(k->n + ID_BYTES <= KV_KEY_MAX);
    for (size_t i = 0; i < ID_BYTES; i++)
        k->p[k->n + i] = (uint8_t)~id->b[i];
    k->n += ID_BYTES;
}

void dbkey_last(struct dbkey *k)
{
    enum { LONGEST_REST = 2 * ID_BYTES };
    assert(k->n + LONGEST_REST <= KV_KEY_MAX);
    memset(k->p + k->n, 0xff, LONGEST_REST);
    k->n += LONGEST_REST;
}

struct bytes dbkey_view(const struct dbkey *k)
{
    return bytes_of(k->p, k->n);
}

void dbkey_of_id(struct dbkey *k, enum family family, const struct id *id)
{
    dbkey_start(k, family);
    dbkey_add_id(k, id);
}

void dbkey_pair(struct dbkey *k, enum family family, const struct id *a, const struct id *b)
{
    dbkey_of_id(k, family, a);
    dbkey_add_id(k, b);
}

void dbkey_meta(struct dbkey *k, const char *name)
{
    dbkey_start(k, FAMILY_META);
    dbkey_add(k, name, strlen(name));
}

void dbkey_body(struct dbkey *k, const struct id *delta, uint16_t index)
{
    dbkey_of_id(k, FAMILY_DELTA, delta);
    dbkey_add_be(k, index, 2);
}

void dbkey_author(struct dbkey *k, const struct key *author, const struct id *delta)
{
    dbkey_start(k, FAMILY_AUTHOR);
    dbkey_add_key(k, author);
    dbkey_add_id(k, delta);
}

void dbkey_item(struct dbkey *k, const struct item *item)
{
    dbkey_start(k, FAMILY_SET);
    dbkey_add_be(k, item->time, 8);
    dbkey_add_id(k, &item->id);
}

void dbkey_history(struct dbkey *k, const struct id *entry, uint64_t time, const struct id *op)
{
    dbkey_of_id(k, FAMILY_HISTORY, entry);
    dbkey_add_be(k, ~time, 8);
    dbkey_add_id_inverted(k, op);
}

void dbkey_name(struct dbkey *k, uint64_t kind, struct bytes name)
{
    assert(kind <= MODEL_KIND_MAX && name.n <= MODEL_NAME_MAX);
    dbkey_start(k, FAMILY_NAME);
    dbkey_add_be(k, kind, 2);
    for (size_t i = 0; i < name.n; i++) {
        dbkey_add_be(k, name.p[i], 1);
        if (name.p[i] == NAME_ESCAPE)
            dbkey_add_be(k, NAME_NUL, 1);
    }
    dbkey_add_be(k, NAME_ESCAPE, 1);
    dbkey_add_be(k, NAME_END, 1);
}

void dbkey_name_parse(struct bytes key, struct id *entry, struct buf *name)
{
    assert(key.n >= 3 + 2 + ID_BYTES && key.p[0] == FAMILY_NAME);
    size_t end = key.n - ID_BYTES - 2;
    for (size_t i = 3; i < end; i++) {
        buf_put_u8(name, key.p[i]);
        if (key.p[i] == NAME_ESCAPE)
            i++;
    }
    *entry = id_at(key, key.n - ID_BYTES);
}

struct id id_at(struct bytes x, size_t at)
{
    struct id id;
    assert(at + ID_BYTES <= x.n);
    memcpy(id.b, x.p + at, ID_BYTES);
    return id;
}

struct key key_at(struct bytes x, size_t at)
{
    struct key key;
    assert(at + ID_BYTES <= x.n);
    memcpy(key.b, x.p + at, ID_BYTES);
    return key;
}

struct id id_inverted_at(struct bytes x, size_t at)
{
    struct id id = id_at(x, at);
    for (size_t i = 0; i < ID_BYTES; i++)
        id.b[i] = (uint8_t)~id.b[i];
    return id;
}
