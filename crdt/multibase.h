/*
 * Base58btc and did:key: the spelling of Ed25519 keys and signatures in W3C documents. Small inputs only, since base58
 * takes quadratic time.
 */
#ifndef SOUK_CRDT_MULTIBASE_H
#define SOUK_CRDT_MULTIBASE_H

#include "crdt/id.h"

#define BASE58_BYTES_MAX 128 /* bytes that are encoded or decoded at once      */
#define DID_KEY_SIZE     57  /* "did:key:z6Mk", 44 more characters and the NUL */

/* Appends x in the Bitcoin alphabet. At most BASE58_BYTES_MAX bytes (asserted). */
void base58_put(struct buf *out, struct bytes x);
/* True iff text is the base58 of exactly n bytes (n <= BASE58_BYTES_MAX). */
bool base58_parse(uint8_t *out, size_t n, struct bytes text);

/* did:key:z<base58btc(ed 01 || key)> */
void did_key(char out[DID_KEY_SIZE], const struct key *key);
/* False: not that form, or a key of another type. */
bool did_key_parse(struct key *out, struct bytes text);

#endif
