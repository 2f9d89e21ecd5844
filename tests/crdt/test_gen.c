/* The shared builders of tests: what they build is valid, signed and the same every time. */
#include "crdt/codec.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>

Test(gen, a_bundle_is_valid_signed_and_repeatable)
{
    struct gen_author a, b;
    gen_author(&a, 1);
    gen_author(&b, 2);
    struct id mesh = gen_id(1), parents[3] = {gen_id(9), gen_id(8), gen_id(9)}, id;
    struct grant grants[2] = {{b.key, 1, true}, {{{0}}, 2, false}};
    struct buf body = {0}, one = {0}, two = {0};
    gen_body(&body, 7, 0, 2, (struct gen_field[]){{"name", 5, "x"}, {"description", 6, NULL}});
    struct gen_op ops[] = {
        {.verb = VERB_PUT, .name = "m", .body = buf_view(&body), .parent_count = 3, .parents = parents},
        {.verb = VERB_PUT, .name = "n", .owner = &b.key, .epoch = 4, .body = buf_view(&body), .travel = GEN_WITHHELD},
        {.verb = VERB_DELETE, .name = "m", .kind = KIND_AGENT},
        {.verb = VERB_STATEMENT, .name = "m", .grant_count = 2, .grants = grants},
    };
    struct gen_delta in = {&mesh, &a, 100, 4, ops};
    gen_bundle(&one, &in, &id);
    gen_bundle(&two, &in, NULL);
    cr_assert(bytes_eq(buf_view(&one), buf_view(&two)));

    struct bundle bundle;
    struct delta d;
    struct body parsed;
    cr_assert_eq(bundle_parse(buf_view(&one), &bundle), ERR_OK);
    cr_assert_eq(delta_parse(bundle.delta, &d), ERR_OK);
    cr_assert(id_eq(&d.id, &id));
    cr_assert_eq(delta_verify(&d.id, &d.author, bundle.sig), ERR_OK);
    cr_assert_eq(bundle.body_count, 1);
    cr_assert(body_matches(&d.ops[0], bundle.bodies[0].body));
    cr_assert_eq(body_parse(bundle.bodies[0].body, d.time, &parsed), ERR_OK);
    cr_assert_eq(parsed.field_count, 2);
    cr_assert_eq(d.ops[0].parent_count, 2);
    cr_assert(d.ops[1].has_epoch);
    body_close(&parsed);
    delta_close(&d);
    bundle_close(&bundle);
    buf_close(&body);
    buf_close(&one);
    buf_close(&two);
}

Test(gen, random_values_are_canonical)
{
    struct rng rng;
    rng_seed(&rng, 1);
    for (int i = 0; i < 5000; i++) {
        struct buf value = {0};
        gen_value(&value, &rng, 5);
        cr_assert(mp_canonical(buf_view(&value)), "value %d", i);
        buf_close(&value);
    }
}
