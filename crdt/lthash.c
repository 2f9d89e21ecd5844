/*
 * LtHash16 with 1024 lanes: the sum of a set of ids, lane by lane modulo 2^16, so that items enter and leave
 * in any order (see MESH 4). Owns the expansion of one id and the lane arithmetic; refuses to know what a
 * range or a tree is. Eight lanes are added at a time with the vector type that gcc and clang share, so the speed does not hang
 * on what an optimiser recognises.
 */
#include "crdt/setindex.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof(struct lthash) == 2 * LTHASH_LANES, "the lanes are the key stream, without padding");

void lthash_of(struct lthash *out, const struct id *id)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    assert(out != NULL && id != NULL);
    (void)crypto_stream_chacha20((unsigned char *)out->lane, sizeof out->lane, nonce, id->b);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < LTHASH_LANES; i++)
        out->lane[i] = (uint16_t)(out->lane[i] << 8 | out->lane[i] >> 8);
#endif
}

typedef uint16_t lanes8 __attribute__((vector_size(16)));

enum { VECTORS = LTHASH_LANES / 8 };

void lthash_add(struct lthash *a, const struct lthash *b)
{
    assert(a != b);
    for (size_t i = 0; i < VECTORS; i++) {
        lanes8 x, y;
        memcpy(&x, a->lane + 8 * i, sizeof x);
        memcpy(&y, b->lane + 8 * i, sizeof y);
        x += y;
        memcpy(a->lane + 8 * i, &x, sizeof x);
    }
}

void lthash_sub(struct lthash *a, const struct lthash *b)
{
    assert(a != b);
    for (size_t i = 0; i < VECTORS; i++) {
        lanes8 x, y;
        memcpy(&x, a->lane + 8 * i, sizeof x);
        memcpy(&y, b->lane + 8 * i, sizeof y);
        x -= y;
        memcpy(a->lane + 8 * i, &x, sizeof x);
    }
}

void lthash_bytes(uint8_t out[LTHASH_BYTES], const struct lthash *a)
{
    for (size_t i = 0; i < LTHASH_LANES; i++) {
        out[2 * i] = (uint8_t)a->lane[i];
        out[2 * i + 1] = (uint8_t)(a->lane[i] >> 8);
    }
}
