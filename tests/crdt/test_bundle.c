/* Bundles: their framing, their limits, and that no bit of what is signed can change. */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "tests/lib/gen.h"
#include "tests/lib/hex.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static enum err parse(struct bytes x)
{
    uint8_t *copy = mem_dup(x.p, x.n);
    struct bundle b = {0};
    enum err e = bundle_parse(bytes_of(copy, x.n), &b);
    if (e == ERR_OK) {
        struct buf again = {0};
        bundle_encode(&b, &again);
        cr_assert(bytes_eq(x, buf_view(&again)), "encode(parse(x)) is not x");
        buf_close(&again);
    }
    bundle_close(&b);
    free(copy);
    return e;
}

Test(bundle, each_rule_of_the_framing)
{
    static const struct {
        const char *hex;
        enum err want;
    } cases[] = {
        {"93 c401aa c440 00*64 90", ERR_OK},
        {"93 c401aa c440 00*64 92 92 00 c401bb 92 ccff c401bb", ERR_OK},
        {"92 c401aa c440 00*64", ERR_FORM},
        {"94 c401aa c440 00*64 90 c0", ERR_FORM},
        {"dc0003 c401aa c440 00*64 90", ERR_FORM},
        {"93 c401aa c440 00*64 90 c0", ERR_FORM},
        {"93 a1aa c440 00*64 90", ERR_FORM},
        {"93 c50001aa c440 00*64 90", ERR_FORM},
        {"93 c401aa c43f 00*63 90", ERR_FORM},
        {"93 c401aa c441 00*65 90", ERR_FORM},
        {"93 c401aa c440 00*64 80", ERR_FORM},
        {"93 c401aa c440 00*64 91 91 00", ERR_FORM},
        {"93 c401aa c440 00*64 91 93 00 c401bb c0", ERR_FORM},
        {"93 c401aa c440 00*64 91 92 00 a161", ERR_FORM},
        {"93 c401aa c440 00*64 91 92 c0 c401bb", ERR_FORM},
        {"93 c401aa c440 00*64 91 92 cc00 c401bb", ERR_FORM},
        {"93 c401aa c440 00*64 92 92 01 c401bb 92 01 c401bb", ERR_FORM},
        {"93 c401aa c440 00*64 92 92 01 c401bb 92 00 c401bb", ERR_FORM},
        {"93 c401aa c440 00*64 91 92 cd0100 c401bb", ERR_LIMIT},
        {"93 c401aa c440 00*64 91 92 cfffffffffffffffff c401bb", ERR_LIMIT},
        {"93 c401aa c440 00*64 91 92 00 c400", ERR_LIMIT},
        {"93 c401aa c440 00*64 91 92 00 c600010000 bb*65536", ERR_OK},
        {"93 c401aa c440 00*64 91 92 00 c600010001 bb*65537", ERR_LIMIT},
        {"93 c401aa c440 00*64 dc0101 92*300", ERR_LIMIT},
        {"93 c401aa c440 00*64 ddffffffff", ERR_FORM},
        {"93 c600100000 aa*1048576 c440 00*64 90", ERR_OK},
        {"93 c600100001 aa*1048577 c440 00*64 90", ERR_LIMIT},
        {"00*1056769", ERR_LIMIT},
        {"", ERR_FORM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        hex_put(&b, cases[i].hex);
        enum err e = parse(buf_view(&b));
        cr_assert_eq(e, cases[i].want, "%.60s: %s", cases[i].hex, err_text(e));
        buf_close(&b);
    }
}

/* Everything that a receiver checks: framing, delta, signature and each body. */
static bool admitted(struct bytes x, const struct id *mesh)
{
    struct bundle b;
    struct delta d;
    if (bundle_parse(x, &b) != ERR_OK)
        return false;
    bool good = delta_parse(b.delta, &d) == ERR_OK;
    if (good) {
        good = id_eq(&d.mesh, mesh) && delta_verify(&d.id, &d.author, b.sig) == ERR_OK;
        for (size_t i = 0; good && i < b.body_count; i++)
            good = b.bodies[i].index < d.op_count && body_matches(&d.ops[b.bodies[i].index], b.bodies[i].body);
        delta_close(&d);
    }
    bundle_close(&b);
    return good;
}

Test(bundle, a_flipped_bit_anywhere_is_refused)
{
    struct gen_author a;
    struct id mesh = gen_id(1), parent = gen_id(2);
    struct buf b = {0}, body = {0};
    gen_author(&a, 1);
    gen_body_text(&body, "name", 5, "x");
    struct gen_op ops[2] = {
        {.verb = VERB_PUT, .name = "m", .body = buf_view(&body), .parent_count = 1, .parents = &parent},
        {.verb = VERB_DELETE, .name = "n"},
    };
    gen_bundle(&b, &(struct gen_delta){&mesh, &a, 9, 2, ops}, NULL);
    cr_assert(admitted(buf_view(&b), &mesh));
    for (size_t bit = 0; bit < 8 * b.n; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(admitted(buf_view(&b), &mesh), "bit %zu of byte %zu", bit % 8, bit / 8);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < b.n; n++)
        cr_assert_neq(parse(bytes_of(b.p, n)), ERR_OK, "the first %zu bytes", n);
    buf_close(&b);
    buf_close(&body);
}

/* The longest delta with the longest bodies fits BUNDLE_MAX, so that every valid delta can travel. */
Test(bundle, every_valid_delta_fits)
{
    size_t body_headers = MODEL_DELTA_OPS_MAX * (1 + 3 + 5);
    cr_assert_leq(1 + 5 + 2 + SIG_BYTES + 3 + body_headers + MODEL_DELTA_MAX, BUNDLE_MAX);
}
