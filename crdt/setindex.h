/*
 * The set of delta ids, ordered by (time, id), with the fingerprint of any range (see MESH 4). A B+tree in
 * memory: leaves of up to 512 items, an LtHash16 sum (1024 lanes of 16 bits) a leaf, sums also on inner nodes.
 * About 45 bytes an item where items come in time order, 65 where they come in any order. Pure: no I/O, no
 * clock. Everything that it answers depends on the set alone, never on the order in which it was built.
 */
#ifndef SOUK_CRDT_SETINDEX_H
#define SOUK_CRDT_SETINDEX_H

#include "crdt/id.h"

#define LTHASH_LANES 1024
#define LTHASH_BYTES (2 * LTHASH_LANES)

/* The sum of a set of ids. All zeros is the sum of the empty set. */
struct lthash {
    uint16_t lane[LTHASH_LANES];
};

/* Expands an id: the first 2048 bytes of the ChaCha20 key stream with the id as the key, a nonce of zeros and
 * the block counter from 0, read as 16-bit little-endian lanes. About one microsecond. */
void lthash_of(struct lthash *out, const struct id *id);
void lthash_add(struct lthash *a, const struct lthash *b); /* a += b; not the same object */
void lthash_sub(struct lthash *a, const struct lthash *b); /* a -= b; not the same object */
void lthash_bytes(uint8_t out[LTHASH_BYTES], const struct lthash *a); /* lanes, little-endian */

/* One delta: its time and its id. Times use all 64 bits and may be equal; (time, id) is unique. */
struct item {
    uint64_t time;
    struct id id;
};
int item_cmp(const struct item *a, const struct item *b); /* by time, then by id as bytes */

struct setindex;
struct setindex *setindex_new(void);
void setindex_free(struct setindex *s); /* NULL is fine */
void setindex_swap(struct setindex *a, struct setindex *b); /* each becomes the other */
bool setindex_insert(struct setindex *s, const struct item *item); /* false: already there */
bool setindex_remove(struct setindex *s, const struct item *item); /* false: not there */
bool setindex_has(const struct setindex *s, const struct item *item);
size_t setindex_count(const struct setindex *s);
/* Rank of the first item >= bound (count if none). A bound's id may be a prefix padded with zeros. */
size_t setindex_lower(const struct setindex *s, const struct item *bound);
/* Items of rank [from, from + n) into out; from + n <= count. */
void setindex_items(const struct setindex *s, size_t from, size_t n, struct item *out);
/* The sum over ranks [from, to), from <= to <= count. Returns how many ids it had to expand (at most 512, a
 * microsecond each; the rest is sums that are kept): what a caller charges to a budget. */
size_t setindex_sum(const struct setindex *s, size_t from, size_t to, struct lthash *out);
/* The digest of the whole set: H("souk/set/1", lthash lanes little-endian, count). */
void setindex_digest(const struct setindex *s, struct id *out);
size_t setindex_bytes(const struct setindex *s); /* memory used */

#endif
