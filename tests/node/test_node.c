/*
 * One node without peers, driven by hand over a store in memory: what is committed before what, how writes share a
 * commit, and what everybody is told while the disk refuses to write.
 */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "node/node.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_MS 1700000000000u

/* A store in memory whose disk can be told to refuse writes. */
struct failing_kv {
    struct kv kv;
    struct kv *mem;
    struct kv_ops ops;
    enum err refuse;
    size_t writes;
};

static enum err f_get(struct kv *kv, const struct kv_snapshot *s, struct bytes key, struct buf *out)
{
    struct kv *m = ((struct failing_kv *)kv)->mem;
    return m->ops->get(m, s, key, out);
}

static enum err f_write(struct kv *kv, const struct kv_batch *b)
{
    struct failing_kv *f = (struct failing_kv *)kv;
    if (f->refuse != ERR_OK)
        return f->refuse;
    f->writes++;
    return f->mem->ops->write(f->mem, b);
}

static struct kv_snapshot *f_snapshot(struct kv *kv)
{
    struct kv *m = ((struct failing_kv *)kv)->mem;
    return m->ops->snapshot(m);
}

static void f_release(struct kv *kv, struct kv_snapshot *s)
{
    struct kv *m = ((struct failing_kv *)kv)->mem;
    m->ops->release(m, s);
}

static struct kv_iter *f_iter(struct kv *kv, const struct kv_snapshot *s, struct bytes prefix)
{
    struct kv *m = ((struct failing_kv *)kv)->mem;
    return m->ops->iter(m, s, prefix);
}

static uint64_t f_bytes(struct kv *kv)
{
    struct kv *m = ((struct failing_kv *)kv)->mem;
    return m->ops->bytes(m);
}

static enum err f_reopen(struct kv *kv)
{
    return ((struct failing_kv *)kv)->refuse;
}

struct rig {
    struct failing_kv disk;
    struct store *store;
    struct node *node;
    struct author author;
    struct id mesh;
    uint64_t now_ms;
    size_t jobs, changed, reopens;
};

static void rig_open(struct rig *r)
{
    struct gen_author founder;
    *r = (struct rig){.now_ms = 1000};
    gen_author(&founder, 1);
    r->author.key = founder.key;
    memcpy(r->author.secret, founder.secret, sizeof founder.secret);
    mesh_id(&r->mesh, &founder.key, bytes_str("test"));
    r->disk.mem = kv_mem_new();
    r->disk.ops = *r->disk.mem->ops; /* iterators are the memory store's own */
    r->disk.ops.get = f_get;
    r->disk.ops.write = f_write;
    r->disk.ops.snapshot = f_snapshot;
    r->disk.ops.release = f_release;
    r->disk.ops.iter = f_iter;
    r->disk.ops.bytes = f_bytes;
    r->disk.ops.reopen = f_reopen;
    r->disk.kv.ops = &r->disk.ops;
    struct store_config config = {
        .mesh = r->mesh, .has_founder = true, .founder = founder.key, .mesh_name = bytes_str("test")};
    cr_assert_eq(store_open(&r->store, &r->disk.kv, &config), ERR_OK);
    struct node_config node = {.store = r->store,
                               .net = {.mesh = r->mesh,
                                       .has_founder = true,
                                       .founder = founder.key,
                                       .mesh_name = "test",
                                       .identity = founder.key,
                                       .static_secret = {7}}};
    memcpy(node.net.identity_secret, founder.secret, sizeof founder.secret);
    r->node = node_new(&node, r->now_ms, CLOCK_MS + r->now_ms);
}

static void rig_close(struct rig *r)
{
    node_free(r->node);
    store_close(r->store);
    r->disk.mem->ops->close(r->disk.mem);
}

static void tell(struct rig *r, enum node_event_kind kind, struct store_job *job, enum err e)
{
    struct node_event event = {.kind = kind, .job = job, .err = e, .clock_ms = CLOCK_MS + r->now_ms};
    node_input(r->node, &event, r->now_ms);
}

/* Runs everything that the node asks for until it asks for nothing. */
static void drain(struct rig *r)
{
    struct node_action a;
    while (node_next(r->node, &a) != NODE_NONE) {
        if (a.kind == NODE_JOB) {
            r->jobs++;
            tell(r, NODE_JOB_DONE, a.job, node_job_run(r->store, a.job));
        } else if (a.kind == NODE_REOPEN) {
            r->reopens++;
            tell(r, NODE_JOB_DONE, NULL, store_reopen(r->store));
        } else if (a.kind == NODE_CHANGED) {
            r->changed++;
        }
    }
}

static void later(struct rig *r, uint64_t ms)
{
    r->now_ms += ms;
    tell(r, NODE_TICK, NULL, ERR_OK);
    drain(r);
}

static enum err put(struct rig *r, const char *name, const char *text, void *ctx)
{
    struct buf value = {0};
    mp_put_str(&value, bytes_str(text));
    struct field field = {.name = bytes_str("description"), .value = buf_view(&value)};
    struct node_write w = {.kind = KIND_MODEL,
                           .owner = r->author.key,
                           .name = bytes_str(name),
                           .author = &r->author,
                           .change = {.mode = CHANGE_PATCH, .field_count = 1, .fields = &field},
                           .ctx = ctx};
    enum err e = node_write(r->node, &w);
    buf_close(&value);
    return e;
}

static void keep_receipt(struct rig *r, uint8_t number)
{
    struct store_receipt receipt = {.id = {0, number}, .json = bytes_str("{}")};
    cr_assert_eq(node_keep_receipt(r->node, &receipt), ERR_OK);
}

Test(node, receipts_wait_for_a_disk_that_works)
{
    struct rig r;
    rig_open(&r);
    drain(&r);
    keep_receipt(&r, 1);
    drain(&r);
    cr_assert_eq(store_receipt_count(r.store), 1);
    r.disk.refuse = ERR_NO_SPACE;
    keep_receipt(&r, 2);
    keep_receipt(&r, 3);
    drain(&r);
    keep_receipt(&r, 4);
    later(&r, NODE_REOPEN_MIN_MS);
    cr_assert_eq(store_receipt_count(r.store), 1);
    r.disk.refuse = ERR_OK;
    later(&r, NODE_REOPEN_MAX_MS);
    cr_assert_eq(store_receipt_count(r.store), 4);
    rig_close(&r);
}

Test(node, receipts_share_a_commit)
{
    struct rig r;
    rig_open(&r);
    drain(&r);
    r.jobs = 0;
    for (uint8_t i = 1; i <= 100; i++)
        keep_receipt(&r, i);
    drain(&r);
    cr_assert_eq(r.jobs, 1);
    cr_assert_eq(store_receipt_count(r.store), 100);
    rig_close(&r);
}

static bool shows(struct rig *r, const char *name, const char *text)
{
    struct id id;
    struct entry_info info;
    struct buf json = {0};
    entry_id(&id, KIND_MODEL, &r->author.key, bytes_str(name));
    bool found = store_get(r->store, KIND_MODEL, &id, &info, &json) == ERR_OK &&
                 strstr(buf_cstr(&json), text) != NULL;
    buf_close(&json);
    return found;
}

Test(node, a_write_is_answered_after_its_commit)
{
    struct rig r;
    struct node_result result;
    int mark;
    rig_open(&r);
    cr_assert_eq(put(&r, "m", "hello", &mark), ERR_OK);
    cr_assert_not(node_result_next(r.node, &result), "nothing is committed yet");
    cr_assert_eq(setindex_count(node_set(r.node)), 0);
    drain(&r);
    cr_assert(node_result_next(r.node, &result));
    cr_assert_eq(result.why, ERR_OK);
    cr_assert_eq(result.ctx, &mark);
    cr_assert(result.created);
    cr_assert_not(node_result_next(r.node, &result));
    cr_assert_eq(setindex_count(node_set(r.node)), 1);
    cr_assert_eq(r.changed, 1);
    cr_assert(shows(&r, "m", "hello"));
    rig_close(&r);
}

Test(node, waiting_writes_share_one_commit_and_few_deltas)
{
    struct rig r;
    struct node_result result;
    size_t answered = 0;
    rig_open(&r);
    drain(&r);
    r.jobs = 0;
    for (int i = 0; i < 300; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "m%d", i);
        cr_assert_eq(put(&r, name, "x", NULL), ERR_OK);
    }
    size_t before = r.disk.writes;
    drain(&r);
    while (node_result_next(r.node, &result)) {
        cr_assert_eq(result.why, ERR_OK);
        answered++;
    }
    cr_assert_eq(answered, 300);
    cr_assert_eq(r.jobs, 1);
    cr_assert_eq(r.disk.writes - before, 1);
    cr_assert_eq(setindex_count(node_set(r.node)), 2, "256 ops fit in one delta");
    rig_close(&r);
}

Test(node, a_full_disk_answers_writes_keeps_reads_and_comes_back)
{
    struct rig r;
    struct node_result result;
    enum err why;
    rig_open(&r);
    cr_assert_eq(put(&r, "kept", "before", NULL), ERR_OK);
    drain(&r);
    cr_assert(node_result_next(r.node, &result));

    r.disk.refuse = ERR_NO_SPACE;
    cr_assert_eq(put(&r, "lost", "x", NULL), ERR_OK);
    drain(&r);
    cr_assert(node_result_next(r.node, &result), "whoever waits is answered");
    cr_assert_eq(result.why, ERR_NO_SPACE);
    cr_assert_not(node_disk_ok(r.node, &why));
    cr_assert_eq(why, ERR_NO_SPACE);
    cr_assert_eq(put(&r, "lost", "x", NULL), ERR_NO_SPACE, "the next one is refused at once");
    cr_assert(shows(&r, "kept", "before"));
    cr_assert_not(shows(&r, "lost", "x"));

    later(&r, NODE_REOPEN_MIN_MS);
    cr_assert_eq(r.reopens, 1);
    cr_assert_not(node_disk_ok(r.node, &why));
    r.disk.refuse = ERR_OK;
    later(&r, NODE_REOPEN_MAX_MS);
    cr_assert_eq(r.reopens, 2);
    cr_assert(node_disk_ok(r.node, &why));
    cr_assert_eq(put(&r, "kept", "after", NULL), ERR_OK);
    drain(&r);
    cr_assert(shows(&r, "kept", "after"));
    rig_close(&r);
}

/* What is kept of the store while the node is at rest may be shown as long as the moment is the same. */
Test(node, is_at_rest_while_nothing_is_written)
{
    struct rig r;
    struct node_action a;
    struct node_result result;
    uint64_t first, second, third;
    rig_open(&r);
    drain(&r);
    cr_assert(node_at_rest(r.node, &first));
    cr_assert_eq(put(&r, "kept", "before", NULL), ERR_OK);
    cr_assert(node_at_rest(r.node, &second));
    cr_assert_eq(second, first, "a write that waits has changed nothing");
    while (node_next(r.node, &a) != NODE_JOB) {
    }
    cr_assert_not(node_at_rest(r.node, &second), "from the moment on at which the job is given out");
    tell(&r, NODE_JOB_DONE, a.job, node_job_run(r.store, a.job));
    drain(&r);
    cr_assert(node_at_rest(r.node, &second) && second != first);

    cr_assert(node_result_next(r.node, &result));
    r.disk.refuse = ERR_NO_SPACE;
    cr_assert_eq(put(&r, "lost", "x", NULL), ERR_OK);
    drain(&r);
    cr_assert_not(node_at_rest(r.node, &third), "a write that failed may be there after a reopening");
    later(&r, NODE_REOPEN_MIN_MS);
    cr_assert_not(node_at_rest(r.node, &third));
    r.disk.refuse = ERR_OK;
    later(&r, NODE_REOPEN_MAX_MS);
    cr_assert(node_at_rest(r.node, &third) && third != second);
    rig_close(&r);
}

Test(node, reopening_backs_off)
{
    struct rig r;
    rig_open(&r);
    r.disk.refuse = ERR_READ_ONLY;
    cr_assert_eq(put(&r, "m", "x", NULL), ERR_OK);
    drain(&r);
    for (int i = 0; i < 600; i++)
        later(&r, 100);
    cr_assert_geq(r.reopens, 5);
    cr_assert_leq(r.reopens, 12, "a minute of waiting: %zu", r.reopens);
    rig_close(&r);
}

static struct node_result hand_in(struct rig *r, struct bytes bundle)
{
    struct node_result result;
    cr_assert_eq(node_hand_in(r->node, bundle, r), ERR_OK);
    drain(r);
    cr_assert(node_result_next(r->node, &result));
    cr_assert(result.is_bundle);
    cr_assert_eq(result.ctx, r);
    return result;
}

Test(node, bundles_handed_in)
{
    struct rig r;
    struct gen_author founder;
    struct buf bundle = {0}, body = {0};
    rig_open(&r);
    gen_author(&founder, 1);
    gen_body_text(&body, "description", CLOCK_MS << 16, "handed in");
    struct gen_op op = {.verb = VERB_PUT, .name = "h", .body = buf_view(&body)};
    (void)gen_one(&bundle, &r.mesh, &founder, CLOCK_MS << 16, &op);
    cr_assert_eq(hand_in(&r, buf_view(&bundle)).verdict, VERDICT_NEW);
    cr_assert(shows(&r, "h", "handed in"));
    cr_assert_eq(hand_in(&r, buf_view(&bundle)).verdict, VERDICT_KNOWN);
    bundle.p[bundle.n / 2] ^= 1;
    struct node_result bad = hand_in(&r, buf_view(&bundle));
    cr_assert(bad.verdict == VERDICT_REFUSED || bad.verdict == VERDICT_KNOWN);
    cr_assert_eq(setindex_count(node_set(r.node)), 1);
    cr_assert_eq(node_hand_in(r.node, bytes_of(bundle.p, BUNDLE_MAX + 1u), NULL), ERR_LIMIT);
    buf_close(&bundle);
    buf_close(&body);
    rig_close(&r);
}

/* Erased history may come in any order: who relays a valid delta is never punished for it. */
Test(node, a_delta_that_waits_for_what_erased_its_body_is_not_rejected)
{
    struct rig r;
    struct gen_author founder;
    struct buf bundle = {0}, later_one = {0}, body = {0};
    struct node_stats stats;
    struct id put;
    uint64_t time = CLOCK_MS << 16;
    rig_open(&r);
    gen_author(&founder, 1);
    gen_body_text(&body, "role", time, "guest");
    struct gen_op op = {.verb = VERB_PUT, .kind = KIND_MEMBER, .name = "m", .body = buf_view(&body), .travel = GEN_WITHHELD};
    put = gen_one(&bundle, &r.mesh, &founder, time, &op);
    struct gen_op gone = {.verb = VERB_DELETE, .kind = KIND_MEMBER, .name = "m", .parents = &put, .parent_count = 1};
    (void)gen_one(&later_one, &r.mesh, &founder, time + 1, &gone);
    struct node_result lacking = hand_in(&r, buf_view(&bundle));
    cr_assert_eq(lacking.verdict, VERDICT_REFUSED);
    cr_assert_eq(lacking.why, ERR_INVALID);
    node_stats(r.node, &stats);
    cr_assert_eq(stats.rejected, 0, "refused for good is another thing");
    cr_assert_eq(hand_in(&r, buf_view(&later_one)).verdict, VERDICT_NEW);
    cr_assert_eq(hand_in(&r, buf_view(&bundle)).verdict, VERDICT_NEW);
    bundle.n--;
    cr_assert_eq(hand_in(&r, buf_view(&bundle)).verdict, VERDICT_REFUSED);
    node_stats(r.node, &stats);
    cr_assert_eq(stats.rejected, 1);
    buf_close(&bundle);
    buf_close(&later_one);
    buf_close(&body);
    rig_close(&r);
}

/* More deltas than one commit judges anew are waiting when the mesh opens: the node goes on until all are in. */
Test(node, a_policy_change_is_worked_off_without_further_input)
{
    enum { WAITING = 4500 };
    struct rig r;
    struct gen_author stranger;
    struct buf value = {0};
    struct node_result result;
    rig_open(&r);
    gen_author(&stranger, 2);
    for (uint64_t i = 0; i < WAITING; i++) {
        char name[32];
        struct buf bundle = {0};
        (void)snprintf(name, sizeof name, "s%llu", (unsigned long long)i);
        struct gen_op op = {.verb = VERB_DELETE, .name = name};
        (void)gen_one(&bundle, &r.mesh, &stranger, (CLOCK_MS << 16) + i, &op);
        cr_assert_eq(node_hand_in(r.node, buf_view(&bundle), NULL), ERR_OK);
        buf_close(&bundle);
    }
    drain(&r);
    cr_assert_eq(setindex_count(node_set(r.node)), 0, "nobody admitted them");
    while (node_result_next(r.node, &result))
        cr_assert_eq(result.verdict, VERDICT_ASIDE);
    mp_put_str(&value, bytes_str("open"));
    struct field field = {.name = bytes_str("admission"), .value = buf_view(&value)};
    struct node_write w = {.kind = KIND_CHARTER,
                           .owner = r.author.key,
                           .name = bytes_str("test"),
                           .author = &r.author,
                           .change = {.mode = CHANGE_PATCH, .field_count = 1, .fields = &field}};
    cr_assert_eq(node_write(r.node, &w), ERR_OK);
    drain(&r);
    cr_assert_eq(setindex_count(node_set(r.node)), WAITING + 1);
    buf_close(&value);
    rig_close(&r);
}

/* A restart finds the same set. */
Test(node, the_set_survives_a_restart)
{
    struct rig r;
    struct id before, after;
    struct node_result result;
    rig_open(&r);
    for (int i = 0; i < 20; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "m%d", i % 7);
        cr_assert_eq(put(&r, name, i % 2 ? "odd" : "even", NULL), ERR_OK);
        drain(&r);
        cr_assert(node_result_next(r.node, &result));
        cr_assert_eq(result.why, ERR_OK);
    }
    setindex_digest(node_set(r.node), &before);
    node_free(r.node);
    struct node_config config = {.store = r.store, .net = {.mesh = r.mesh, .mesh_name = "test", .static_secret = {7}}};
    r.node = node_new(&config, r.now_ms, CLOCK_MS + r.now_ms);
    setindex_digest(node_set(r.node), &after);
    cr_assert(id_eq(&before, &after));
    rig_close(&r);
}
