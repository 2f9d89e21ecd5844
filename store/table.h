/*
 * A hash table from a pair of ids to a pointer, and a bump allocator: the working memory of one job. The hash is keyed
 * (ids named by a delta are an author's free choice); nothing ever iterates in table order.
 */
#ifndef SOUK_STORE_TABLE_H
#define SOUK_STORE_TABLE_H

#include "crdt/id.h"

struct table_slot {
    struct id a, b;
    void *value; /* NULL: free */
};
struct table {
    uint8_t secret[16];
    size_t count, size; /* size: 0 or a power of two */
    struct table_slot *slots;
};
void table_init(struct table *t, const uint8_t secret[16]);
void table_close(struct table *t);
void *table_get(const struct table *t, const struct id *a, const struct id *b); /* NULL: not there */
void table_put(struct table *t, const struct id *a, const struct id *b, void *value); /* not there yet */

struct arena_chunk;
struct arena {
    struct arena_chunk *chunks;
    uint8_t *p;
    size_t left;
};
void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned for any type */
void *arena_dup(struct arena *a, const void *p, size_t n);
void arena_close(struct arena *a);

#endif
