/*
 * Base58btc by long division, and did:key over it. Knows nothing of documents; every size is checked before anything is
 * written.
 */
#include "crdt/multibase.h"

#include <assert.h>
#include <string.h>

static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

#define DIGITS_MAX (BASE58_BYTES_MAX * 138 / 100 + 1) /* log 256 / log 58 < 1.38 */
#define CODEC_BYTES 2
#define DID_PREFIX "did:key:z"

static const uint8_t ed25519_codec[CODEC_BYTES] = {0xed, 0x01};

void base58_put(struct buf *out, struct bytes x)
{
    uint8_t digits[DIGITS_MAX] = {0};
    size_t used = 0, zeros = 0;
    assert(x.n <= BASE58_BYTES_MAX);
    while (zeros < x.n && x.p[zeros] == 0)
        zeros++;
    for (size_t i = zeros; i < x.n; i++) {
        unsigned carry = x.p[i];
        for (size_t k = 0; k < used || carry > 0; k++) {
            assert(k < DIGITS_MAX);
            carry += 256u * digits[k];
            digits[k] = (uint8_t)(carry % 58);
            carry /= 58;
            if (k >= used)
                used = k + 1;
        }
    }
    for (size_t i = 0; i < zeros; i++)
        buf_put_u8(out, (uint8_t)alphabet[0]);
    while (used > 0)
        buf_put_u8(out, (uint8_t)alphabet[digits[--used]]);
}

bool base58_parse(uint8_t *out, size_t n, struct bytes text)
{
    uint8_t value[BASE58_BYTES_MAX] = {0}; /* little-endian */
    size_t zeros = 0, used = 0;
    assert(n <= BASE58_BYTES_MAX);
    if (text.n > DIGITS_MAX)
        return false;
    while (zeros < text.n && text.p[zeros] == (uint8_t)alphabet[0])
        zeros++;
    for (size_t i = zeros; i < text.n; i++) {
        const char *digit = text.p[i] != 0 ? strchr(alphabet, text.p[i]) : NULL;
        if (digit == NULL)
            return false;
        unsigned carry = (unsigned)(digit - alphabet);
        for (size_t k = 0; k < used || carry > 0; k++) {
            if (k >= n)
                return false;
            carry += 58u * value[k];
            value[k] = (uint8_t)carry;
            carry >>= 8;
            if (k >= used)
                used = k + 1;
        }
    }
    if (zeros + used != n)
        return false;
    memset(out, 0, zeros);
    for (size_t i = 0; i < used; i++)
        out[zeros + i] = value[used - 1 - i];
    return true;
}

void did_key(char out[DID_KEY_SIZE], const struct key *key)
{
    uint8_t raw[CODEC_BYTES + ID_BYTES];
    struct buf text = {0};
    memcpy(raw, ed25519_codec, CODEC_BYTES);
    memcpy(raw + CODEC_BYTES, key->b, ID_BYTES);
    buf_put_str(&text, DID_PREFIX);
    base58_put(&text, bytes_of(raw, sizeof raw));
    assert(text.n == DID_KEY_SIZE - 1);
    memcpy(out, text.p, text.n);
    out[text.n] = 0;
    buf_close(&text);
}

bool did_key_parse(struct key *out, struct bytes text)
{
    uint8_t raw[CODEC_BYTES + ID_BYTES];
    size_t prefix = sizeof DID_PREFIX - 1;
    if (text.n <= prefix || memcmp(text.p, DID_PREFIX, prefix) != 0)
        return false;
    if (!base58_parse(raw, sizeof raw, bytes_of(text.p + prefix, text.n - prefix)))
        return false;
    if (memcmp(raw, ed25519_codec, CODEC_BYTES) != 0)
        return false;
    memcpy(out->b, raw + CODEC_BYTES, ID_BYTES);
    return true;
}
