/*
 * A ChaCha20 key stream cut into numbers. Owns its pool; refuses to know where the seed is from.
 */
#include "crdt/rng.h"

#include "crdt/bytes.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

void rng_init(struct rng *r, const uint8_t seed[32])
{
    memset(r, 0, sizeof *r);
    memcpy(r->key, seed, sizeof r->key);
}

void rng_seed(struct rng *r, uint64_t seed)
{
    uint8_t key[32] = "souk/rng";
    put_le64(key + 8, seed);
    rng_init(r, key);
}

void rng_fork(struct rng *out, const struct rng *r, uint64_t label)
{
    uint8_t message[16], key[32];
    memcpy(message, "fork\0\0\0", 8);
    put_le64(message + 8, label);
    (void)crypto_generichash(key, sizeof key, message, sizeof message, r->key, sizeof r->key);
    rng_init(out, key);
}

static void refill(struct rng *r)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    memset(r->pool, 0, sizeof r->pool);
    assert(r->left == 0);
    (void)crypto_stream_chacha20_xor_ic(r->pool, r->pool, sizeof r->pool, nonce, r->block, r->key);
    r->block += sizeof r->pool / 64;
    r->left = sizeof r->pool;
}

void rng_bytes(struct rng *r, void *out, size_t n)
{
    uint8_t *p = out;
    while (n > 0) {
        if (r->left == 0)
            refill(r);
        size_t take = n < r->left ? n : r->left;
        assert(r->left <= sizeof r->pool);
        memcpy(p, r->pool + sizeof r->pool - r->left, take);
        r->left -= take;
        p += take;
        n -= take;
    }
}

uint64_t rng_u64(struct rng *r)
{
    uint8_t b[8];
    rng_bytes(r, b, sizeof b);
    return get_le64(b);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    assert(n > 0);
    uint64_t reject = (0 - n) % n; /* values below this would favour small results */
    uint64_t v;
    do
        v = rng_u64(r);
    while (v < reject);
    return v % n;
}
