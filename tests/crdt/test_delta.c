/*
 * Deltas: each rule of MODEL 2 and 3 that a delta's own bytes decide has a case that breaks it alone.
 * A delta is written as pieces of hex, so that a case replaces one piece and leaves the rest valid.
 */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "tests/lib/gen.h"
#include "tests/lib/hex.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER, VERSION, MESH, AUTHOR, TIME, COUNT, HEAD_PIECES };
enum { OP_HEADER, KIND, OWNER, NAME, VERB, PARENTS, HASH, LENGTH, AUTHORITY, OP_PIECES };
enum { PUT, DELETE, GRANT, SAMPLE_OPS };

struct pieces {
    const char *head[HEAD_PIECES];
    const char *op[SAMPLE_OPS][OP_PIECES];
    const char *tail;
};

/* The author is 01*32. It puts its own entry, deletes another's under epoch 3, and states grants. */
static const struct pieces sample = {
    .head = {"95", "01", "c420 09*32", "c420 01*32", "cd03e8", "93"},
    .op[PUT] = {"98", "01", "c420 01*32", "a3 612f62", "00", "92 c420 03*32 c420 04*32", "c420 07*32", "64", "c0"},
    .op[DELETE] = {"98", "02", "c420 02*32", "a161", "01", "90", "c0", "00", "03"},
    .op[GRANT] = {"98", "01", "c420 01*32", "a3 612f62", "02", "90", "c0", "00",
                  "92 93 c420 05*32 09 01 93 c420 06*32 00 00"},
    .tail = "",
};

static void put_pieces(struct buf *out, const struct pieces *p)
{
    for (size_t i = 0; i < HEAD_PIECES; i++)
        hex_put(out, p->head[i]);
    for (size_t i = 0; i < SAMPLE_OPS; i++)
        for (size_t k = 0; k < OP_PIECES; k++)
            hex_put(out, p->op[i][k]);
    hex_put(out, p->tail);
}

/* Parses an exact heap copy, so that the sanitizer sees a read beyond the end. */
static enum err parse(struct bytes x, struct delta *out)
{
    uint8_t *copy = mem_dup(x.p, x.n);
    struct delta d = {0};
    enum err e = delta_parse(bytes_of(copy, x.n), &d);
    if (e == ERR_OK) {
        struct buf again = {0};
        delta_encode(&d, &again);
        cr_assert(bytes_eq(x, buf_view(&again)), "encode(parse(x)) is not x");
        buf_close(&again);
    }
    if (out != NULL && e == ERR_OK)
        *out = d, out->ops = NULL, out->arena = NULL, out->bytes = (struct bytes){0};
    delta_close(&d);
    free(copy);
    return e;
}

static enum err parse_pieces(const struct pieces *p)
{
    struct buf b = {0};
    put_pieces(&b, p);
    enum err e = parse(buf_view(&b), NULL);
    buf_close(&b);
    return e;
}

Test(delta, the_sample_is_read_field_by_field)
{
    struct buf b = {0};
    struct delta d;
    struct id id;
    put_pieces(&b, &sample);
    cr_assert_eq(delta_parse(buf_view(&b), &d), ERR_OK);
    cr_assert(d.mesh.b[0] == 9 && d.author.b[31] == 1 && d.time == 1000 && d.op_count == 3);
    delta_id(&id, buf_view(&b));
    cr_assert(id_eq(&d.id, &id));
    cr_assert(d.bytes.p == b.p && d.bytes.n == b.n);

    const struct op *op = &d.ops[PUT];
    cr_assert(op->kind == KIND_MODEL && op->verb == VERB_PUT && op->owner.b[0] == 1 && !op->has_epoch);
    cr_assert(bytes_eq(op->name, bytes_str("a/b")));
    cr_assert(op->parent_count == 2 && op->parents[0].b[0] == 3 && op->parents[1].b[31] == 4);
    cr_assert(op->body_hash.b[5] == 7 && op->body_len == 100);
    op = &d.ops[DELETE];
    cr_assert(op->kind == KIND_AGENT && op->verb == VERB_DELETE && op->owner.b[0] == 2);
    cr_assert(op->has_epoch && op->epoch == 3 && op->parent_count == 0 && op->body_len == 0);
    op = &d.ops[GRANT];
    cr_assert(op->verb == VERB_STATEMENT && op->grant_count == 2 && !op->has_epoch);
    cr_assert(op->grants[0].key.b[0] == 5 && op->grants[0].epoch == 9 && op->grants[0].granted);
    cr_assert(op->grants[1].key.b[0] == 6 && op->grants[1].epoch == 0 && !op->grants[1].granted);
    delta_close(&d);
    buf_close(&b);
}

struct head_case {
    int piece;
    const char *hex;
    enum err want;
};

Test(delta, each_rule_of_the_head)
{
    static const struct head_case cases[] = {
        {HEADER, "95", ERR_OK},
        {HEADER, "94", ERR_FORM},
        {HEADER, "dc0005", ERR_FORM},
        {HEADER, "85", ERR_FORM},
        {VERSION, "00", ERR_VERSION},
        {VERSION, "02", ERR_VERSION},
        {VERSION, "cfffffffffffffffff", ERR_VERSION},
        {VERSION, "cc01", ERR_FORM},
        {VERSION, "ff", ERR_FORM},
        {VERSION, "c0", ERR_FORM},
        {MESH, "c41f 09*31", ERR_FORM},
        {MESH, "c421 09*33", ERR_FORM},
        {MESH, "c50020 09*32", ERR_FORM},
        {MESH, "d920 09*32", ERR_FORM},
        {MESH, "c0", ERR_FORM},
        {AUTHOR, "c41f 01*31", ERR_FORM},
        {AUTHOR, "d920 01*32", ERR_FORM},
        {TIME, "00", ERR_OK},
        {TIME, "cffffffffffffffffe", ERR_OK},
        {TIME, "cfffffffffffffffff", ERR_LIMIT},
        {TIME, "ff", ERR_FORM},
        {TIME, "ce000003e8", ERR_FORM},
        {TIME, "cb408f400000000000", ERR_FORM},
        {COUNT, "92", ERR_FORM},
        {COUNT, "94", ERR_FORM},
        {COUNT, "83", ERR_FORM},
        {COUNT, "dc0003", ERR_FORM},
        {COUNT, "90", ERR_LIMIT},
        {COUNT, "dc0100", ERR_FORM},
        {COUNT, "dc0101", ERR_LIMIT},
        {COUNT, "ddffffffff", ERR_FORM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pieces p = sample;
        p.head[cases[i].piece] = cases[i].hex;
        cr_assert_eq(parse_pieces(&p), cases[i].want, "piece %d as %s", cases[i].piece, cases[i].hex);
    }
    struct pieces p = sample;
    p.tail = "c0";
    cr_assert_eq(parse_pieces(&p), ERR_FORM, "a byte after the end");
}

struct op_case {
    int op;
    int piece;
    const char *hex;
    enum err want;
};

static void check_cases(const struct op_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct pieces p = sample;
        p.op[cases[i].op][cases[i].piece] = cases[i].hex;
        enum err e = parse_pieces(&p);
        cr_assert_eq(e, cases[i].want, "op %d piece %d as %s: %s", cases[i].op, cases[i].piece, cases[i].hex, err_text(e));
    }
}

Test(delta, each_rule_of_every_op)
{
    static const struct op_case cases[] = {
        {PUT, OP_HEADER, "97", ERR_FORM},
        {PUT, OP_HEADER, "99", ERR_FORM},
        {PUT, OP_HEADER, "dc0008", ERR_FORM},
        {PUT, KIND, "00", ERR_LIMIT},
        {PUT, KIND, "04", ERR_OK},
        {PUT, KIND, "63", ERR_OK}, /* unknown kinds are valid */
        {PUT, KIND, "cdffff", ERR_OK},
        {PUT, KIND, "ce00010000", ERR_LIMIT},
        {PUT, KIND, "ff", ERR_FORM},
        {PUT, KIND, "cc01", ERR_FORM},
        {PUT, KIND, "a131", ERR_FORM},
        {PUT, OWNER, "c41f 01*31", ERR_FORM},
        {PUT, OWNER, "d920 01*32", ERR_FORM},
        {PUT, OWNER, "c0", ERR_FORM},
        {PUT, NAME, "a0", ERR_LIMIT},
        {PUT, NAME, "d9c8 61*200", ERR_OK},
        {PUT, NAME, "d9c9 61*201", ERR_LIMIT},
        {PUT, NAME, "d903 612f62", ERR_FORM},
        {PUT, NAME, "c403 612f62", ERR_FORM},
        {PUT, NAME, "a3 61c362", ERR_FORM},
        {PUT, NAME, "a3 eda080", ERR_FORM},
        {PUT, NAME, "a1 00", ERR_OK}, /* any UTF-8: what may be shown is the schema's business */
        {PUT, VERB, "03", ERR_FORM},
        {PUT, VERB, "cfffffffffffffffff", ERR_FORM},
        {PUT, VERB, "c2", ERR_FORM},
        {PUT, PARENTS, "90", ERR_OK},
        {PUT, PARENTS, "c0", ERR_FORM},
        {PUT, PARENTS, "92 c420 04*32 c420 03*32", ERR_FORM},
        {PUT, PARENTS, "92 c420 03*32 c420 03*32", ERR_FORM},
        {PUT, PARENTS, "92 c420 03*32 c420 03*31 04", ERR_OK},
        {PUT, PARENTS, "92 c420 03*32 c41f 04*31", ERR_FORM},
        {PUT, PARENTS, "91 d920 61*32", ERR_FORM},
        {PUT, PARENTS, "dc0100 c420 03*32", ERR_FORM},
        {PUT, PARENTS, "dd00010000", ERR_FORM},
        {DELETE, PARENTS, "92 c420 03*32 c420 04*32", ERR_OK},
        {DELETE, PARENTS, "92 c420 04*32 c420 03*32", ERR_FORM},
    };
    check_cases(cases, sizeof cases / sizeof *cases);
}

Test(delta, each_rule_of_a_put_and_of_a_delete)
{
    static const struct op_case cases[] = {
        {PUT, HASH, "c0", ERR_FORM},
        {PUT, HASH, "c41f 07*31", ERR_FORM},
        {PUT, HASH, "d920 07*32", ERR_FORM},
        {PUT, LENGTH, "00", ERR_LIMIT},
        {PUT, LENGTH, "01", ERR_OK},
        {PUT, LENGTH, "ce00010000", ERR_OK},
        {PUT, LENGTH, "ce00010001", ERR_LIMIT},
        {PUT, LENGTH, "cf0000000100000064", ERR_LIMIT},
        {PUT, LENGTH, "c0", ERR_FORM},
        {PUT, AUTHORITY, "00", ERR_FORM}, /* the owner relies on no epoch */
        {PUT, AUTHORITY, "90", ERR_FORM},
        {PUT, AUTHORITY, "91 93 c420 05*32 09 01", ERR_FORM},
        {DELETE, HASH, "c420 07*32", ERR_FORM},
        {DELETE, LENGTH, "01", ERR_FORM},
        {DELETE, LENGTH, "c0", ERR_FORM},
        {DELETE, AUTHORITY, "c0", ERR_FORM}, /* anyone else must */
        {DELETE, AUTHORITY, "00", ERR_OK},
        {DELETE, AUTHORITY, "cf7fffffffffffffff", ERR_OK},
        {DELETE, AUTHORITY, "cf8000000000000000", ERR_LIMIT},
        {DELETE, AUTHORITY, "cfffffffffffffffff", ERR_LIMIT},
        {DELETE, AUTHORITY, "ff", ERR_FORM},
        {DELETE, AUTHORITY, "90", ERR_FORM},
        {DELETE, OWNER, "c420 01*32", ERR_FORM}, /* then its epoch is one too many */
    };
    check_cases(cases, sizeof cases / sizeof *cases);
    struct pieces p = sample;
    p.op[DELETE][OWNER] = "c420 01*32", p.op[DELETE][AUTHORITY] = "c0";
    cr_assert_eq(parse_pieces(&p), ERR_OK, "the owner's own delete");
    p = sample;
    p.op[PUT][OWNER] = "c420 02*32", p.op[PUT][AUTHORITY] = "05";
    cr_assert_eq(parse_pieces(&p), ERR_OK, "another's put");
}

Test(delta, each_rule_of_a_statement)
{
    static const struct op_case cases[] = {
        {GRANT, OWNER, "c420 02*32", ERR_FORM}, /* only the owner's */
        {GRANT, PARENTS, "91 c420 03*32", ERR_FORM},
        {GRANT, HASH, "c420 07*32", ERR_FORM},
        {GRANT, LENGTH, "01", ERR_FORM},
        {GRANT, AUTHORITY, "c0", ERR_FORM},
        {GRANT, AUTHORITY, "00", ERR_FORM},
        {GRANT, AUTHORITY, "90", ERR_LIMIT},
        {GRANT, AUTHORITY, "91 93 c420 05*32 09 00", ERR_OK},
        {GRANT, AUTHORITY, "91 93 c420 05*32 09 02", ERR_FORM},
        {GRANT, AUTHORITY, "91 93 c420 05*32 09 c3", ERR_FORM},
        {GRANT, AUTHORITY, "91 93 c420 05*32 c0 01", ERR_FORM},
        {GRANT, AUTHORITY, "91 93 c420 05*32 cf7fffffffffffffff 01", ERR_OK},
        {GRANT, AUTHORITY, "91 93 c420 05*32 cf8000000000000000 01", ERR_LIMIT},
        {GRANT, AUTHORITY, "91 92 c420 05*32 09", ERR_FORM},
        {GRANT, AUTHORITY, "91 94 c420 05*32 09 01 00", ERR_FORM},
        {GRANT, AUTHORITY, "91 93 c41f 05*31 09 01", ERR_FORM},
        {GRANT, AUTHORITY, "91 93 c420 01*32 09 01", ERR_FORM}, /* the owner itself */
        {GRANT, AUTHORITY, "92 93 c420 06*32 09 01 93 c420 05*32 00 00", ERR_FORM},
        {GRANT, AUTHORITY, "92 93 c420 05*32 09 01 93 c420 05*32 08 00", ERR_FORM},
        {GRANT, AUTHORITY, "dc0040 93 c420 05*32 09 01", ERR_FORM},
    };
    check_cases(cases, sizeof cases / sizeof *cases);
}

Test(delta, the_mesh_is_not_governed_beside_other_work)
{
    struct pieces p = sample;
    p.op[PUT][KIND] = "05";
    cr_assert_eq(parse_pieces(&p), ERR_FORM, "a charter beside an agent");
    p.op[PUT][KIND] = "01", p.op[GRANT][KIND] = "06";
    cr_assert_eq(parse_pieces(&p), ERR_FORM, "a member beside a model");
    p.op[PUT][KIND] = "05", p.op[DELETE][KIND] = "06", p.op[GRANT][KIND] = "05";
    cr_assert_eq(parse_pieces(&p), ERR_OK, "charter and members together");
    p.op[GRANT][KIND] = "cdffff";
    cr_assert_eq(parse_pieces(&p), ERR_FORM, "an unknown kind beside them");
}

Test(delta, no_prefix_of_a_delta_is_a_delta)
{
    struct buf b = {0};
    put_pieces(&b, &sample);
    for (size_t n = 0; n < b.n; n++)
        cr_assert_eq(parse(bytes_of(b.p, n), NULL), ERR_FORM, "the first %zu bytes", n);
    cr_assert_eq(parse(buf_view(&b), NULL), ERR_OK);
    buf_close(&b);
}

Test(delta, a_changed_byte_never_crashes_and_what_is_accepted_is_canonical)
{
    struct buf b = {0};
    put_pieces(&b, &sample);
    for (size_t i = 0; i < b.n; i++) {
        uint8_t was = b.p[i];
        for (unsigned v = 0; v < 256; v++) {
            b.p[i] = (uint8_t)v;
            enum err e = parse(buf_view(&b), NULL);
            cr_assert(e == ERR_OK || e == ERR_FORM || e == ERR_LIMIT || e == ERR_VERSION);
        }
        b.p[i] = was;
    }
    buf_close(&b);
}

/* n deletes of the author's own models m0, m1, ... */
static void put_deletes(struct buf *out, size_t n, struct id *id)
{
    struct gen_author a;
    struct id mesh = gen_id(1);
    static char names[MODEL_DELTA_OPS_MAX][8];
    static struct gen_op ops[MODEL_DELTA_OPS_MAX];
    gen_author(&a, 1);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(names[i], sizeof names[i], "m%zu", i % 1000);
        ops[i] = (struct gen_op){.verb = VERB_DELETE, .name = names[i]};
    }
    gen_delta(out, &(struct gen_delta){&mesh, &a, 5, n, ops}, id);
}

Test(delta, as_many_ops_as_allowed)
{
    struct buf b = {0};
    struct delta d;
    put_deletes(&b, MODEL_DELTA_OPS_MAX, NULL);
    cr_assert_eq(parse(buf_view(&b), &d), ERR_OK);
    cr_assert_eq(d.op_count, MODEL_DELTA_OPS_MAX);
    size_t count_at = 1 + 1 + 34 + 34 + 1;
    cr_assert_eq(get_be(b.p + count_at, 3), 0xdc0100);
    b.p[count_at + 2] = 1; /* 257, one more than are there: the limit speaks before the form */
    cr_assert_eq(parse(buf_view(&b), NULL), ERR_LIMIT);
    buf_close(&b);
}

static enum err parse_op_with(size_t parents, size_t grants)
{
    struct buf b = {0};
    hex_put(&b, "95 01 c420 09*32 c420 01*32 01 91 98 01 c420 01*32 a161");
    mp_put_uint(&b, grants > 0 ? VERB_STATEMENT : VERB_DELETE);
    mp_put_array(&b, parents);
    for (size_t i = 0; i < parents; i++) {
        hex_put(&b, "c420 00*30");
        buf_put_be(&b, i, 2);
    }
    hex_put(&b, "c0 00");
    if (grants == 0)
        mp_put_nil(&b);
    else
        mp_put_array(&b, grants);
    for (size_t i = 0; i < grants; i++) {
        hex_put(&b, "93 c420 00*30");
        buf_put_be(&b, i, 2);
        hex_put(&b, "00 01");
    }
    enum err e = parse(buf_view(&b), NULL);
    buf_close(&b);
    return e;
}

Test(delta, as_many_parents_and_rows_as_allowed)
{
    cr_assert_eq(parse_op_with(MODEL_PARENTS_MAX, 0), ERR_OK);
    cr_assert_eq(parse_op_with(MODEL_PARENTS_MAX + 1, 0), ERR_LIMIT);
    cr_assert_eq(parse_op_with(0, MODEL_GRANTS_MAX), ERR_OK);
    cr_assert_eq(parse_op_with(0, MODEL_GRANTS_MAX + 1), ERR_LIMIT);
}

/* Fifteen puts of the longest body and a sixteenth whose length fills the rest, plus `over`. */
static enum err parse_total(int over)
{
    struct buf b = {0};
    size_t ops = MODEL_DELTA_MAX / MODEL_BODY_MAX, size = 0;
    for (int round = 0; round < 2; round++) {
        buf_reset(&b);
        hex_put(&b, "95 01 c420 09*32 c420 01*32 01");
        mp_put_array(&b, ops);
        for (size_t i = 0; i < ops; i++) {
            hex_put(&b, "98 01 c420 01*32 a161 00 90 c420 07*32");
            mp_put_uint(&b, i > 0 ? MODEL_BODY_MAX : MODEL_BODY_MAX - 5000 + (uint64_t)round * (5000 + (uint64_t)over - size));
            mp_put_nil(&b);
        }
        size = b.n;
    }
    enum err e = parse(buf_view(&b), NULL);
    buf_close(&b);
    return e;
}

Test(delta, the_delta_and_its_bodies_fit_a_mebibyte_together)
{
    cr_assert_eq(parse_total(-1), ERR_OK);
    cr_assert_eq(parse_total(0), ERR_OK);
    cr_assert_eq(parse_total(1), ERR_LIMIT);
    struct buf big = {0};
    hex_put(&big, "00*1048577");
    cr_assert_eq(parse(buf_view(&big), NULL), ERR_LIMIT);
    buf_close(&big);
}

/* Another version may have any shape: it is named as such, not called malformed. */
Test(delta, another_version_is_named_whatever_follows)
{
    struct buf b = {0};
    hex_put(&b, "97 02 c1*40");
    cr_assert_eq(parse(buf_view(&b), NULL), ERR_VERSION);
    buf_close(&b);
}

Test(delta, random_deltas_come_back_byte_for_byte)
{
    struct rng rng;
    rng_seed(&rng, 0xde17a);
    for (int round = 0; round < 300; round++) {
        struct gen_author author, other;
        struct id mesh = gen_id(3), parents[300];
        struct grant rows[64];
        struct gen_op ops[20];
        struct buf b = {0}, body = {0};
        size_t n = 1 + rng_below(&rng, 20);
        gen_author(&author, rng_below(&rng, 3));
        gen_author(&other, 10);
        for (size_t i = 0; i < 300; i++)
            parents[i] = gen_id(rng_below(&rng, 1000));
        for (size_t i = 0; i < 64; i++)
            rows[i] = (struct grant){{{(uint8_t)i, 1}}, rng_u64(&rng) >> 1, rng_below(&rng, 2) == 1};
        gen_body_text(&body, "name", 1, "x");
        for (size_t i = 0; i < n; i++)
            ops[i] = (struct gen_op){
                .verb = (enum verb)rng_below(&rng, 3), .kind = 1 + rng_below(&rng, 4), .name = "n/\xc3\xa9",
                .body = buf_view(&body), .epoch = rng_u64(&rng) >> 1, .parents = parents, .grants = rows,
                .grant_count = 1 + rng_below(&rng, 64), .parent_count = rng_below(&rng, 200)};
        for (size_t i = 0; i < n; i++) {
            ops[i].owner = ops[i].verb != VERB_STATEMENT && rng_below(&rng, 2) ? &other.key : NULL;
            if (ops[i].verb == VERB_STATEMENT)
                ops[i].parent_count = 0;
            else
                ops[i].grant_count = 0;
        }
        gen_delta(&b, &(struct gen_delta){&mesh, &author, rng_u64(&rng) >> 1, n, ops}, NULL);
        cr_assert_eq(parse(buf_view(&b), NULL), ERR_OK, "round %d", round);
        buf_close(&b);
        buf_close(&body);
    }
}

Test(delta, close_is_safe_on_nothing)
{
    struct delta d = {0};
    delta_close(&d);
    delta_close(NULL);
}
