/*
 * Signatures: who signed, and that the edge cases on which Ed25519 libraries differ all fall on the side
 * that MODEL 2 names. Crafted signatures are made here with scalars of our own, so that each satisfies
 * the verification equation and fails only by the rule that it breaks.
 */
#include "tests/lib/gen.h"
#include "tests/lib/hex.h"

#include <criterion/criterion.h>
#include <string.h>

static void unhex(void *out, size_t n, const char *hex)
{
    cr_assert(hex_decode(out, n, bytes_str(hex)), "%s", hex);
}

Test(sign, a_signature_holds_for_its_delta_and_author_only)
{
    struct gen_author a, b;
    struct id delta = gen_id(1), other = gen_id(2);
    uint8_t sig[SIG_BYTES], again[SIG_BYTES];
    gen_author(&a, 1);
    gen_author(&b, 2);
    delta_sign(sig, &delta, a.secret);
    delta_sign(again, &delta, a.secret);
    cr_assert_arr_eq(sig, again, SIG_BYTES);
    cr_assert_eq(delta_verify(&delta, &a.key, sig), ERR_OK);
    cr_assert_eq(delta_verify(&other, &a.key, sig), ERR_SIGNATURE);
    cr_assert_eq(delta_verify(&delta, &b.key, sig), ERR_SIGNATURE);
    for (size_t bit = 0; bit < 8 * SIG_BYTES; bit++) {
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(delta_verify(&delta, &a.key, sig), ERR_SIGNATURE, "bit %zu", bit);
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

Test(sign, the_message_is_framed_with_the_tag)
{
    struct gen_author a;
    struct id delta = gen_id(1);
    uint8_t sig[SIG_BYTES], bare[SIG_BYTES];
    struct buf m = {0};
    gen_author(&a, 1);
    hex_put(&m, "0c000000 736f756b2f64656c74612f31 20000000");
    buf_put(&m, delta.b, ID_BYTES);
    delta_sign(sig, &delta, a.secret);
    cr_assert_eq(crypto_sign_verify_detached(sig, m.p, m.n, a.key.b), 0);
    (void)crypto_sign_detached(bare, NULL, delta.b, ID_BYTES, a.secret);
    cr_assert_eq(delta_verify(&delta, &a.key, bare), ERR_SIGNATURE, "a signature of the bare id");
    buf_close(&m);
}

/* Points of small order: 1, 2, 4, 8. */
static const char *const torsion[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
};

/* A forger at work: secret scalar a, nonce r, and the points sent in place of aB and rB. */
struct forge {
    struct rng rng;
    uint8_t a[32], r[32];
    struct key A;
    uint8_t R[32];
    struct id delta;
};

static void scalar(struct rng *rng, uint8_t out[32])
{
    uint8_t wide[64];
    rng_bytes(rng, wide, sizeof wide);
    crypto_core_ed25519_scalar_reduce(out, wide);
}

/* out = s B + the point of small order in hex (NULL: none) */
static void point(uint8_t out[32], const uint8_t s[32], const char *small)
{
    uint8_t t[32];
    cr_assert_eq(crypto_scalarmult_ed25519_base_noclamp(out, s), 0);
    if (small != NULL) {
        unhex(t, 32, small);
        cr_assert_eq(crypto_core_ed25519_add(out, out, t), 0);
    }
}

static void forge_init(struct forge *f, uint64_t seed)
{
    memset(f, 0, sizeof *f);
    rng_seed(&f->rng, seed);
    scalar(&f->rng, f->a);
    scalar(&f->rng, f->r);
    point(f->A.b, f->a, NULL);
    point(f->R, f->r, NULL);
    rng_bytes(&f->rng, f->delta.b, ID_BYTES);
}

/* h = SHA-512(R, A, message) mod L */
static void challenge(const struct forge *f, uint8_t h[32])
{
    uint8_t wide[64];
    struct buf m = {0};
    buf_put(&m, f->R, 32);
    buf_put(&m, f->A.b, 32);
    hex_put(&m, "0c000000 736f756b2f64656c74612f31 20000000");
    buf_put(&m, f->delta.b, ID_BYTES);
    (void)crypto_hash_sha512(wide, m.p, m.n);
    crypto_core_ed25519_scalar_reduce(h, wide);
    buf_close(&m);
}

/* Draws delta ids until the challenge is as wanted modulo 8, then S = r + h a. */
static void forge_sign(struct forge *f, unsigned residue, uint8_t sig[SIG_BYTES])
{
    uint8_t h[32], ha[32];
    do {
        rng_bytes(&f->rng, f->delta.b, ID_BYTES);
        challenge(f, h);
    } while ((h[0] & 7) != residue);
    crypto_core_ed25519_scalar_mul(ha, h, f->a);
    memcpy(sig, f->R, 32);
    crypto_core_ed25519_scalar_add(sig + 32, f->r, ha);
}

static enum err verdict(struct forge *f, unsigned residue)
{
    uint8_t sig[SIG_BYTES];
    forge_sign(f, residue, sig);
    return delta_verify(&f->delta, &f->A, sig);
}

Test(sign, the_forge_makes_good_signatures_when_it_breaks_no_rule)
{
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct forge f;
        forge_init(&f, seed);
        cr_assert_eq(verdict(&f, (unsigned)seed), ERR_OK);
    }
}

Test(sign, a_key_of_small_order_is_refused)
{
    static const char *const other_forms[] = {
        "0100000000000000000000000000000000000000000000000000000000000080", /* 1 with a sign on x = 0 */
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", /* -1 with a sign */
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p + 1 */
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p */
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "0000000000000000000000000000000000000000000000000000000000000080",
    };
    struct forge f;
    forge_init(&f, 20);
    memset(f.a, 0, sizeof f.a); /* h A vanishes for h = 0 mod 8, so S = r satisfies the equation */
    for (size_t i = 0; i < sizeof torsion / sizeof *torsion; i++) {
        unhex(f.A.b, 32, torsion[i]);
        cr_assert_eq(verdict(&f, 0), ERR_SIGNATURE, "%s", torsion[i]);
    }
    for (size_t i = 0; i < sizeof other_forms / sizeof *other_forms; i++) {
        unhex(f.A.b, 32, other_forms[i]);
        cr_assert_eq(verdict(&f, 0), ERR_SIGNATURE, "%s", other_forms[i]);
    }
}

Test(sign, a_nonce_of_small_order_is_refused)
{
    struct forge f;
    forge_init(&f, 21);
    memset(f.r, 0, sizeof f.r);
    unhex(f.R, 32, torsion[0]); /* 0 B itself: S = h a satisfies the equation */
    cr_assert_eq(verdict(&f, 3), ERR_SIGNATURE);
    unhex(f.R, 32, "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    cr_assert_eq(verdict(&f, 3), ERR_SIGNATURE, "and so not in another form");
    for (size_t i = 1; i < 4; i++) { /* R = T and A = aB - T or the like: the equation holds for some h */
        for (unsigned residue = 0; residue < 8; residue++) {
            unhex(f.R, 32, torsion[i]);
            point(f.A.b, f.a, torsion[i]);
            cr_assert_eq(verdict(&f, residue), ERR_SIGNATURE, "order %d, h = %u mod 8", 1 << i, residue);
        }
    }
}

/* The equation has no cofactor: what only eight times the equation would accept is refused. */
Test(sign, keys_of_mixed_order_hold_exactly_where_the_plain_equation_does)
{
    for (size_t i = 1; i < 4; i++) {
        for (unsigned residue = 0; residue < 8; residue++) {
            struct forge f;
            forge_init(&f, 30 + i);
            point(f.A.b, f.a, torsion[i]);
            enum err want = residue % (1u << i) == 0 ? ERR_OK : ERR_SIGNATURE;
            cr_assert_eq(verdict(&f, residue), want, "order %d, h = %u mod 8", 1 << i, residue);
        }
    }
}

Test(sign, a_scalar_of_l_or_more_is_refused)
{
    uint8_t sig[SIG_BYTES], l[32];
    struct forge f;
    forge_init(&f, 40);
    unhex(l, 32, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    forge_sign(&f, 1, sig);
    cr_assert_eq(delta_verify(&f.delta, &f.A, sig), ERR_OK);
    for (int times = 1; times <= 14; times++) { /* S + 14 L is still below 2^256 */
        unsigned carry = 0;
        for (size_t i = 0; i < 32; i++) {
            carry += (unsigned)sig[32 + i] + l[i];
            sig[32 + i] = (uint8_t)carry;
            carry >>= 8;
        }
        cr_assert_eq(carry, 0);
        cr_assert_eq(delta_verify(&f.delta, &f.A, sig), ERR_SIGNATURE, "S + %d L", times);
    }
}

/* "Taming the many EdDSAs" (2020), its twelve published vectors: only number 3 (mixed order, plain equation) holds. */
Test(sign, the_library_judges_the_published_edge_cases_as_we_need)
{
    static const struct {
        const char *message, *key, *sig;
    } cases[12] = {
        {"8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
         "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
         "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
         "0000000000000000000000000000000000000000000000000000000000000000"},
        {"9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
         "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
         "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"
         "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04"},
        {"aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
         "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
         "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
         "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e"},
        {"9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
         "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
         "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f"
         "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009"},
        {"e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
         "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
         "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512"
         "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09"},
        {"e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
         "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
         "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7"
         "e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405"},
        {"85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
         "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
         "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e"
         "547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514"},
        {"85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
         "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
         "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942"
         "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22"},
        {"9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
         "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
         "03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f"},
        {"9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
         "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
         "ca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908"},
        {"e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
         "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc"
         "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04"},
        {"39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
         "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc"
         "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04"},
    };
    for (size_t i = 0; i < 12; i++) {
        uint8_t m[32], key[32], sig[64];
        unhex(m, sizeof m, cases[i].message);
        unhex(key, sizeof key, cases[i].key);
        unhex(sig, sizeof sig, cases[i].sig);
        cr_assert_eq(crypto_sign_verify_detached(sig, m, sizeof m, key) == 0, i == 3, "vector %zu", i);
    }
}
