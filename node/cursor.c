/*
 * Cursor = base64url without padding of (8 bytes of keyed BLAKE2b over use and payload, payload). Pure.
 */
#include "node/cursor.h"

#include <assert.h>
#include <sodium.h>

#define MAC_BYTES 16 /* computed; the first TAG_BYTES travel */
#define TAG_BYTES 8

static void tag_of(uint8_t out[TAG_BYTES], const struct cursor_key *key, char use, struct bytes payload)
{
    uint8_t mac[MAC_BYTES];
    crypto_generichash_state h;
    (void)crypto_generichash_init(&h, key->secret, sizeof key->secret, sizeof mac);
    (void)crypto_generichash_update(&h, (const uint8_t *)&use, 1);
    (void)crypto_generichash_update(&h, payload.p, payload.n);
    (void)crypto_generichash_final(&h, mac, sizeof mac);
    for (size_t i = 0; i < TAG_BYTES; i++)
        out[i] = mac[i];
}

void cursor_encode(const struct cursor_key *key, char use, struct bytes payload, struct buf *out)
{
    uint8_t raw[TAG_BYTES + CURSOR_PAYLOAD_MAX];
    assert(payload.n <= CURSOR_PAYLOAD_MAX);
    tag_of(raw, key, use, payload);
    for (size_t i = 0; i < payload.n; i++)
        raw[TAG_BYTES + i] = payload.p[i];
    size_t size = sodium_base64_ENCODED_LEN(sizeof raw, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = (char *)buf_grow(out, size);
    (void)sodium_bin2base64(text, size, raw, TAG_BYTES + payload.n,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    while (out->p[out->n] != 0)
        out->n++;
}

enum err cursor_decode(const struct cursor_key *key, char use, struct bytes text, struct buf *out)
{
    uint8_t raw[TAG_BYTES + CURSOR_PAYLOAD_MAX], tag[TAG_BYTES];
    size_t n;
    if (sodium_base642bin(raw, sizeof raw, (const char *)text.p, text.n, NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return ERR_FORM;
    if (n < TAG_BYTES)
        return ERR_FORM;
    struct bytes payload = {raw + TAG_BYTES, n - TAG_BYTES};
    tag_of(tag, key, use, payload);
    if (sodium_memcmp(tag, raw, TAG_BYTES) != 0)
        return ERR_MESH;
    buf_put_bytes(out, payload);
    return ERR_OK;
}
