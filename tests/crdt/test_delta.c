/* Deltas: the rules of MODEL 2 and 3, one case a rule. */
#include "crdt/codec.h"
#include "crdt/delta.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct key owner = {{1}}, writer = {{2}};

static struct op sample_put(void)
{
    return (struct op){.kind = KIND_MODEL, .owner = owner, .name = bytes_str("openai/gpt"), .verb = VERB_PUT,
                       .body_hash = {{7}}, .body_len = 100};
}

Test(delta, parse_gives_back_what_encode_was_given)
{
    struct id parents[2] = {{{3}}, {{4}}};
    struct grant grants[2] = {{.key = {{5}}, .epoch = 9, .granted = true}, {.key = {{6}}, .epoch = 0}};
    struct op ops[3] = {sample_put(), sample_put(), sample_put()};
    ops[0].parents = parents, ops[0].parent_count = 2;
    ops[1].verb = VERB_DELETE, ops[1].body_len = 0, ops[1].owner = writer, ops[1].has_epoch = true, ops[1].epoch = 3;
    ops[2].verb = VERB_STATEMENT, ops[2].body_len = 0, ops[2].grants = grants, ops[2].grant_count = 2;
    struct delta d = {.mesh = {{9}}, .author = owner, .time = 12345, .op_count = 3, .ops = ops}, back;
    struct buf wire = {0}, again = {0};
    delta_encode(&d, &wire);
    cr_assert_eq(delta_parse(buf_view(&wire), &back), ERR_OK);
    cr_assert_eq(back.op_count, 3);
    cr_assert_eq(back.time, 12345);
    cr_assert_eq(back.ops[0].parent_count, 2);
    cr_assert(id_eq(&back.ops[0].parents[1], &parents[1]));
    cr_assert(back.ops[1].has_epoch && back.ops[1].epoch == 3);
    cr_assert_eq(back.ops[2].grant_count, 2);
    cr_assert(back.ops[2].grants[0].granted && !back.ops[2].grants[1].granted);
    delta_encode(&back, &again);
    cr_assert(bytes_eq(buf_view(&wire), buf_view(&again)));
    for (size_t n = 0; n < wire.n; n++) {
        struct delta cut;
        cr_assert_neq(delta_parse(bytes_of(wire.p, n), &cut), ERR_OK, "cut at %zu", n);
    }
    delta_close(&back);
    buf_close(&wire);
    buf_close(&again);
}
