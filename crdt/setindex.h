/*
 * The set of delta ids, ordered by (time, id), with the fingerprint of any range (MESH 4). A B+tree in
 * memory: leaves of up to 512 items, an LtHash16 sum (1024 lanes of 16 bits) a leaf, sums also on inner nodes.
 * About 50 bytes an item. Pure: no I/O, no clock.
 */
#ifndef SOUK_CRDT_SETINDEX_H
#define SOUK_CRDT_SETINDEX_H

#include "crdt/id.h"

#define LTHASH_LANES 1024

struct lthash {
    uint16_t lane[LTHASH_LANES];
};

void lthash_of(struct lthash *out, const struct id *id);      /* expands an id with a ChaCha20 key stream */
void lthash_add(struct lthash *a, const struct lthash *b);
void lthash_sub(struct lthash *a, const struct lthash *b);

struct item {
    uint64_t time;
    struct id id;
};
int item_cmp(const struct item *a, const struct item *b);

struct setindex;
struct setindex *setindex_new(void);
void setindex_free(struct setindex *s);
bool setindex_insert(struct setindex *s, const struct item *item); /* false: already there */
bool setindex_remove(struct setindex *s, const struct item *item); /* false: not there */
bool setindex_has(const struct setindex *s, const struct item *item);
size_t setindex_count(const struct setindex *s);
/* Rank of the first item >= bound (count if none). A bound's id may be a prefix padded with zeros. */
size_t setindex_lower(const struct setindex *s, const struct item *bound);
/* Items of rank [from, from + n) into out; n must fit. */
void setindex_items(const struct setindex *s, size_t from, size_t n, struct item *out);
/* The sum over ranks [from, to). */
void setindex_sum(const struct setindex *s, size_t from, size_t to, struct lthash *out);
/* The digest of the whole set: H("souk/set/1", lthash lanes little-endian, count). */
void setindex_digest(const struct setindex *s, struct id *out);
size_t setindex_bytes(const struct setindex *s); /* memory used */

#endif
