/*
 * Seeded randomness: a ChaCha20 key stream. Cores take one as an argument and never ask the system;
 * the same seed gives the same bytes everywhere. Forks are independent streams.
 */
#ifndef SOUK_CRDT_RNG_H
#define SOUK_CRDT_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint8_t key[32];
    uint64_t block;    /* next block of the key stream */
    uint8_t pool[512];
    size_t left;       /* unread bytes at the end of pool */
};

void rng_init(struct rng *r, const uint8_t seed[32]);
void rng_seed(struct rng *r, uint64_t seed);            /* for tests and simulation */
void rng_fork(struct rng *out, const struct rng *r, uint64_t label);
void rng_bytes(struct rng *r, void *out, size_t n);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n);          /* uniform in [0, n), n > 0 */

#endif
