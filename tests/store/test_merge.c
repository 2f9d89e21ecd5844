/*
 * What a store takes from elsewhere: deltas that are valid or not, late and foreign bodies, many heads, conflicts.
 */
#include "crdt/alloc.h"
#include "tests/lib/each_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- deltas from elsewhere ---- */

EACH_BACKEND(what_is_not_valid_is_refused_with_its_reason)
{
    struct gen_author a;
    struct buf good = {0}, ahead = {0}, foreign = {0};
    gen_author(&a, 2);
    test_open_mesh(t);
    uint64_t time = hlc_from_ms(t->now_ms);
    test_put_bundle(t, &good, &a, time, (struct gen_op){.name = "m"});
    test_put_bundle(t, &ahead, &a, hlc_from_ms(t->now_ms + MODEL_AHEAD_MAX_MS + 1), (struct gen_op){.name = "m"});
    struct test_store elsewhere = *t;
    elsewhere.mesh = gen_id(5);
    test_put_bundle(&elsewhere, &foreign, &a, time, (struct gen_op){.name = "m"});
    struct store_in in = test_apply_in(t, buf_view(&ahead));
    cr_assert_eq(in.verdict, VERDICT_DEFERRED);
    cr_assert_eq(in.why, ERR_AHEAD);
    in = test_apply_in(t, buf_view(&foreign));
    cr_assert_eq(in.verdict, VERDICT_REFUSED);
    cr_assert_eq(in.why, ERR_MESH);
    struct bundle b;
    struct buf forged = {0};
    cr_assert_eq(bundle_parse(buf_view(&good), &b), ERR_OK);
    b.sig[3] ^= 1;
    bundle_encode(&b, &forged);
    bundle_close(&b);
    in = test_apply_in(t, buf_view(&forged));
    cr_assert_eq(in.verdict, VERDICT_REFUSED);
    cr_assert_eq(in.why, ERR_SIGNATURE);
    in = test_apply_in(t, bytes_of(good.p, good.n - 1));
    cr_assert_eq(in.verdict, VERDICT_REFUSED);
    cr_assert_eq(in.why, ERR_FORM);
    cr_assert_eq(store_count(t->store, KIND_MODEL), 0);
    cr_assert_eq(test_apply(t, buf_view(&good)), VERDICT_NEW);
    cr_assert_eq(store_count(t->store, KIND_MODEL), 1);
    buf_close(&good);
    buf_close(&ahead);
    buf_close(&foreign);
    buf_close(&forged);
}

static bool collect_missing(void *ctx, const struct id *op, const struct item *delta, uint16_t index)
{
    struct item *out = ctx;
    (void)op, (void)index;
    *out = *delta;
    return true;
}

EACH_BACKEND(a_missing_body_is_wanted_until_it_comes)
{
    struct gen_author a;
    struct buf full = {0}, bare = {0};
    gen_author(&a, 2);
    test_open_mesh(t);
    uint64_t time = hlc_from_ms(t->now_ms);
    test_put_bundle(t, &full, &a, time, (struct gen_op){.name = "m"});
    test_put_bundle(t, &bare, &a, time, (struct gen_op){.name = "m", .travel = GEN_WITHHELD});
    struct store_in in = test_apply_in(t, buf_view(&bare));
    cr_assert_eq(in.verdict, VERDICT_NEW);
    struct id entry = test_entry(&a.key, KIND_MODEL, "m"), lacking = test_state(t);
    struct item wanted = {0};
    cr_assert_eq(store_missing(t->store, NULL, 10, collect_missing, &wanted), ERR_OK);
    cr_assert(id_eq(&wanted.id, &in.item.id));
    cr_assert(test_shows(t, &entry, "\"incomplete\":true"));
    struct entry_info info;
    struct buf out = {0};
    cr_assert_eq(store_get(t->store, KIND_MODEL, &entry, &info, &out), ERR_OK);
    cr_assert(info.incomplete);
    in = test_apply_in(t, buf_view(&full));
    cr_assert_eq(in.verdict, VERDICT_KNOWN);
    cr_assert_eq(in.bodies_new, 1);
    cr_assert(test_shows(t, &entry, "\"incomplete\":false"));
    wanted = (struct item){0};
    cr_assert_eq(store_missing(t->store, NULL, 10, collect_missing, &wanted), ERR_OK);
    cr_assert(id_is_zero(&wanted.id));
    struct id complete = test_state(t);
    cr_assert_not(id_eq(&lacking, &complete));
    struct store_stats stats;
    store_stats(t->store, &stats);
    cr_assert_eq(stats.missing_bodies, 0);
    test_expect_sound(t);
    buf_close(&full);
    buf_close(&bare);
    buf_close(&out);
}

EACH_BACKEND(a_foreign_body_is_dropped)
{
    struct gen_author a;
    struct buf full = {0}, swapped = {0};
    gen_author(&a, 2);
    test_open_mesh(t);
    test_put_bundle(t, &full, &a, hlc_from_ms(t->now_ms), (struct gen_op){.name = "m"});
    struct bundle b;
    cr_assert_eq(bundle_parse(buf_view(&full), &b), ERR_OK);
    b.bodies[0].body = bytes_of("\x93\xc4\x01x", 4);
    bundle_encode(&b, &swapped);
    bundle_close(&b);
    struct store_in in = test_apply_in(t, buf_view(&swapped));
    cr_assert_eq(in.verdict, VERDICT_NEW, "the delta counts in any case");
    cr_assert_eq(in.bodies_bad, 1);
    cr_assert_eq(in.bodies_new, 0);
    in = test_apply_in(t, buf_view(&full));
    cr_assert_eq(in.bodies_new, 1);
    test_expect_sound(t);
    buf_close(&full);
    buf_close(&swapped);
}

EACH_BACKEND(three_hundred_heads_become_one)
{
    enum { HEADS = 300 };
    struct gen_author a;
    struct author writer;
    gen_author(&a, 2);
    test_author(&writer, 2);
    test_open_mesh(t);
    struct id entry = test_entry(&a.key, KIND_MODEL, "m");
    for (uint64_t i = 0; i < HEADS; i++) {
        struct buf bundle = {0};
        test_put_bundle(t, &bundle, &a, hlc_from_ms(t->now_ms - 100000 + i), (struct gen_op){.name = "m"});
        cr_assert_eq(test_apply(t, buf_view(&bundle)), VERDICT_NEW);
        buf_close(&bundle);
    }
    cr_assert(test_shows(t, &entry, "\"heads\":300"));
    test_expect_sound(t);
    struct store_write w = test_write_of(WRITE_PUT, &writer, &a.key, "m");
    cr_assert_eq(test_write_text(t, &w, "framework", "one"), ERR_OK);
    cr_assert(test_shows(t, &entry, "\"heads\":2"), "300 parents do not fit one op");
    cr_assert_eq(test_write_text(t, &w, "framework", "two"), ERR_OK);
    cr_assert(test_shows(t, &entry, "\"heads\":1"));
    test_expect_sound(t);
}

/* ---- conflicts ---- */

static bool count_conflict(void *ctx, const struct store_change *c)
{
    (void)c;
    ++*(size_t *)ctx;
    return true;
}

EACH_BACKEND(a_conflict_is_reported_until_the_next_write)
{
    struct gen_author a;
    struct author writer;
    struct buf one = {0}, two = {0};
    gen_author(&a, 2);
    test_author(&writer, 2);
    test_open_mesh(t);
    test_put_bundle(t, &one, &a, hlc_from_ms(t->now_ms - 10), (struct gen_op){.name = "m"});
    struct buf body = {0};
    gen_body_text(&body, "description", hlc_from_ms(t->now_ms - 9), "other");
    struct gen_op op = {.verb = VERB_PUT, .name = "m", .body = buf_view(&body)};
    gen_one(&two, &t->mesh, &a, hlc_from_ms(t->now_ms - 9), &op);
    cr_assert_eq(test_apply(t, buf_view(&one)), VERDICT_NEW);
    cr_assert_eq(test_apply(t, buf_view(&two)), VERDICT_NEW);
    struct id entry = test_entry(&a.key, KIND_MODEL, "m");
    cr_assert(test_shows(t, &entry, "\"conflicts\":[{\"field\":\"description\",\"values\":["));
    size_t n = 0;
    cr_assert_eq(store_conflicts(t->store, count_conflict, &n), ERR_OK);
    cr_assert_eq(n, 1);
    struct store_write w = test_write_of(WRITE_PUT, &writer, &a.key, "m");
    cr_assert_eq(test_write_text(t, &w, "description", "settled"), ERR_OK);
    cr_assert(test_shows(t, &entry, "\"conflicts\":[]"));
    n = 0;
    cr_assert_eq(store_conflicts(t->store, count_conflict, &n), ERR_OK);
    cr_assert_eq(n, 0);
    test_expect_sound(t);
    buf_close(&one);
    buf_close(&two);
    buf_close(&body);
}

/* ---- a long chain that turns valid at once ---- */

enum { CHAIN = 200, CHAIN_OPS = 32 };

/* Deltas of a stranger, each with an op in the same entries that names the one before; the founder's delta names the last. */
struct chain {
    struct gen_author stranger;
    struct buf bundles[CHAIN + 1];
};

static void make_chain(const struct test_store *t, struct chain *c)
{
    char names[CHAIN_OPS][8];
    struct id parents[CHAIN_OPS];
    uint64_t time = hlc_from_ms(t->now_ms) - 2 * CHAIN;
    *c = (struct chain){.bundles = {{0}}};
    gen_author(&c->stranger, 9);
    for (size_t i = 0; i < CHAIN; i++) {
        struct gen_op ops[CHAIN_OPS];
        struct buf body = {0};
        gen_body_text(&body, "description", time + i, "chained");
        for (size_t k = 0; k < CHAIN_OPS; k++) {
            snprintf(names[k], sizeof names[k], "m%zu", k);
            ops[k] = (struct gen_op){.verb = VERB_PUT, .name = names[k], .body = buf_view(&body), .parent_count = i > 0,
                                     .parents = &parents[k]};
        }
        struct gen_delta d = {.mesh = &t->mesh, .author = &c->stranger, .time = time + i, .op_count = CHAIN_OPS, .ops = ops};
        struct id delta;
        gen_bundle(&c->bundles[i], &d, &delta);
        for (size_t k = 0; k < CHAIN_OPS; k++)
            op_id(&parents[k], &delta, k);
        buf_close(&body);
    }
    struct gen_op name = {.verb = VERB_PUT, .owner = &c->stranger.key, .name = "m3", .parent_count = 1, .parents = &parents[3]};
    test_put_bundle(t, &c->bundles[CHAIN], &t->founder, time + CHAIN, name);
}

static void free_chain(struct chain *c)
{
    for (size_t i = 0; i <= CHAIN; i++)
        buf_close(&c->bundles[i]);
}

/* One job; returns how many deltas entered the set. */
static size_t entered(struct test_store *t, struct bytes bundle, bool *more)
{
    struct store_in in = {.bundle = bundle};
    struct store_job job = {.now_ms = t->now_ms, .rng = &t->rng, .in_count = bundle.n > 0, .in = &in};
    cr_assert_eq(store_apply(t->store, &job), ERR_OK);
    size_t n = job.added_count;
    cr_assert_eq(job.removed_count, 0);
    *more = job.more;
    store_job_close(&job);
    return n;
}

EACH_BACKEND(a_long_chain_enters_in_bounded_jobs_whatever_happens_between_them)
{
    struct chain c;
    struct store_stats stats;
    struct author founder;
    struct store_write w;
    bool more;
    size_t jobs = 1;
    make_chain(t, &c);
    for (size_t i = 0; i < CHAIN; i++)
        cr_assert_eq(test_apply(t, buf_view(&c.bundles[i])), VERDICT_ASIDE);
    size_t in = entered(t, buf_view(&c.bundles[CHAIN]), &more);
    cr_assert(more && in > 1 && in < CHAIN, "%zu", in);
    store_stats(t->store, &stats);
    cr_assert_eq(stats.deltas, in);
    cr_assert_eq(stats.aside, CHAIN + 1 - in, "what is put off is aside still");
    test_store_again(t); /* as after a crash: only rows are left of it */
    test_author(&founder, 1);
    cr_assert_eq(test_put(t, &founder, "meanwhile", "description", "shown at once", &w), ERR_OK);
    cr_assert(test_shows(t, &w.entry, "shown at once"));
    for (more = true; more; jobs++)
        cr_assert_leq(entered(t, (struct bytes){NULL, 0}, &more) * (2 * CHAIN_OPS), STORE_CHAIN_MAX + 2 * CHAIN_OPS);
    cr_assert_gt(jobs, 2);
    store_stats(t->store, &stats);
    cr_assert_eq(stats.aside, 0);
    cr_assert_eq(stats.deltas, CHAIN + 2);
    test_expect_sound(t);
    free_chain(&c);
}

/* The same set in the other order, in which nothing waits for anything: the same digest and state. */
EACH_BACKEND(a_long_chain_ends_where_short_ones_do)
{
    struct chain c;
    struct test_store other;
    make_chain(t, &c);
    for (size_t i = 0; i <= CHAIN; i++)
        test_apply(t, buf_view(&c.bundles[i]));
    test_store_open(&other, t->backend);
    for (size_t i = CHAIN + 1; i-- > 0;)
        cr_assert_eq(test_apply(&other, buf_view(&c.bundles[i])), VERDICT_NEW);
    struct id digest = test_digest(t), other_digest = test_digest(&other), state = test_state(t), other_state = test_state(&other);
    cr_assert(id_eq(&digest, &other_digest));
    cr_assert(id_eq(&state, &other_state));
    test_store_close(&other);
    free_chain(&c);
}
