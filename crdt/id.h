/*
 * Names: 32-byte ids, keys, and the one framed hash that makes them (MODEL 1).
 * H(tag, parts...) = BLAKE2b-256 over frame(tag) frame(part)...; frame(x) is the length of x as four
 * little-endian bytes, then x; an integer part is the frame of its eight little-endian bytes.
 */
#ifndef SOUK_CRDT_ID_H
#define SOUK_CRDT_ID_H

#include "crdt/bytes.h"

#include <sodium.h>

#define ID_BYTES      32
#define ID_HEX_SIZE   65 /* 64 digits and the NUL */
#define SIG_BYTES     64

struct id {
    uint8_t b[ID_BYTES];
};

/* An Ed25519 public key: an author, an owner, a node. */
struct key {
    uint8_t b[ID_BYTES];
};

struct hasher {
    crypto_generichash_state state;
};

void hash_init(struct hasher *h, const char *tag);
void hash_part(struct hasher *h, const void *p, size_t n); /* n < 2^32 */
void hash_u64(struct hasher *h, uint64_t v);
void hash_end(struct hasher *h, struct id *out);

bool id_eq(const struct id *a, const struct id *b);
int id_cmp(const struct id *a, const struct id *b); /* as bytes */
bool id_is_zero(const struct id *a);
bool key_eq(const struct key *a, const struct key *b);
int key_cmp(const struct key *a, const struct key *b);
void id_hex(char out[ID_HEX_SIZE], const struct id *id);
void key_hex(char out[ID_HEX_SIZE], const struct key *key);
bool id_parse(struct id *out, struct bytes hex);   /* exactly 64 hex digits */
bool key_parse(struct key *out, struct bytes hex);

/* mesh id = H("souk/mesh/1", founder key, mesh name) */
void mesh_id(struct id *out, const struct key *founder, struct bytes name);
/* entry id = H("souk/entry/1", kind, owner, name) */
void entry_id(struct id *out, uint64_t kind, const struct key *owner, struct bytes name);
/* op id = H("souk/op/1", delta id, index) */
void op_id(struct id *out, const struct id *delta, uint64_t index);
/* body hash = H("souk/body/1", body) */
void body_hash(struct id *out, struct bytes body);
/* H("souk/value/1", value): the tie-breaker between versions of a field */
void value_hash(struct id *out, struct bytes value);

#endif
