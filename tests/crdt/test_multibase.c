/*
 * Base58btc and did:key: published examples, leading zeros, and what must not be taken.
 */
#include "crdt/multibase.h"
#include "crdt/rng.h"
#include "tests/lib/hex.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect(const char *hex, const char *text)
{
    struct buf raw = {0}, out = {0};
    uint8_t back[BASE58_BYTES_MAX];
    hex_put(&raw, hex);
    base58_put(&out, buf_view(&raw));
    cr_assert(bytes_eq(buf_view(&out), bytes_str(text)), "%s gave %s", hex, buf_cstr(&out));
    cr_assert(base58_parse(back, raw.n, bytes_str(text)));
    cr_assert(raw.n == 0 || memcmp(back, raw.p, raw.n) == 0);
    cr_assert(!base58_parse(back, raw.n + 1, bytes_str(text)));
    cr_assert(raw.n == 0 || !base58_parse(back, raw.n - 1, bytes_str(text)));
    buf_close(&raw);
    buf_close(&out);
}

/* The examples of the IETF draft on base58. */
Test(multibase, known_texts)
{
    expect("48656c6c6f20576f726c6421", "2NEpo7TZRRrLZSi2U");
    expect("0000287fb4cd", "11233QC4");
    expect("", "");
    expect("00", "1");
    expect("000000", "111");
}

Test(multibase, random_bytes_survive)
{
    static const uint8_t seed[32] = {58};
    struct rng rng;
    rng_init(&rng, seed);
    for (size_t i = 0; i < 2000; i++) {
        uint8_t raw[BASE58_BYTES_MAX], back[BASE58_BYTES_MAX];
        size_t n = (size_t)rng_below(&rng, BASE58_BYTES_MAX + 1), zeros = (size_t)rng_below(&rng, n + 1);
        struct buf text = {0};
        rng_bytes(&rng, raw, sizeof raw);
        if (i % 3 == 0)
            memset(raw, 0, zeros);
        base58_put(&text, bytes_of(raw, n));
        cr_assert(base58_parse(back, n, buf_view(&text)));
        cr_assert(memcmp(raw, back, n) == 0);
        buf_close(&text);
    }
}

Test(multibase, other_letters_and_lengths_are_refused)
{
    uint8_t out[BASE58_BYTES_MAX];
    char longest[400];
    static const char *const bad[] = {"0", "O", "I", "l", "2NEpo7TZRRrLZSi2 ", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t n = 0; n < 16; n++)
            cr_assert(!base58_parse(out, n, bytes_str(bad[i])), "%s", bad[i]);
    cr_assert(!base58_parse(out, 1, bytes_of("\0", 1)));
    memset(longest, 'z', sizeof longest);
    cr_assert(!base58_parse(out, sizeof out, bytes_of(longest, sizeof longest)));
}

/* The key of the W3C's test vectors. */
#define DID "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"

Test(multibase, did_key)
{
    char text[DID_KEY_SIZE];
    struct key key, back;
    cr_assert(did_key_parse(&key, bytes_str(DID)));
    did_key(text, &key);
    cr_assert_str_eq(text, DID);
    for (unsigned i = 0; i < 64; i++) {
        memset(key.b, (int)(i * 4), sizeof key.b);
        did_key(text, &key);
        cr_assert_eq(strlen(text), DID_KEY_SIZE - 1);
        cr_assert(did_key_parse(&back, bytes_str(text)) && key_eq(&key, &back));
    }
}

Test(multibase, other_dids_are_refused)
{
    struct key key;
    static const char *const bad[] = {
        "", "did:key:z", "did:key:", "did:web:example.org", "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
        "did:key:6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",   /* no multibase letter */
        "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ",   /* too short           */
        "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ22", /* too long            */
        "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",  /* X25519              */
        "DID:KEY:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert(!did_key_parse(&key, bytes_str(bad[i])), "%s", bad[i]);
}
