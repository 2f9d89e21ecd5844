/*
 * The audit of a node's index against its disk: what was planted in the index is found after at most 7.2 hours and mended;
 * nothing is said or changed where there is nothing.
 */
#include "crdt/codec.h"
#include "node/audit.h"
#include "node/node.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define CLOCK_MS 1700000000000u

/* A store in memory that may fail to be read. */
struct rig {
    struct kv kv;
    struct kv *mem;
    struct kv_ops ops;
    struct store *store;
    struct node *node;
    struct author author;
    uint64_t now_ms;
    struct buf log;
};

static struct rig *rig; /* for iter_close, which knows only the iterator */
static enum err reading;

static enum err r_get(struct kv *kv, const struct kv_snapshot *s, struct bytes key, struct buf *out)
{
    struct kv *m = ((struct rig *)kv)->mem;
    return m->ops->get(m, s, key, out);
}

static enum err r_write(struct kv *kv, const struct kv_batch *b)
{
    struct kv *m = ((struct rig *)kv)->mem;
    return m->ops->write(m, b);
}

static struct kv_snapshot *r_snapshot(struct kv *kv)
{
    struct kv *m = ((struct rig *)kv)->mem;
    return m->ops->snapshot(m);
}

static void r_release(struct kv *kv, struct kv_snapshot *s)
{
    struct kv *m = ((struct rig *)kv)->mem;
    m->ops->release(m, s);
}

static struct kv_iter *r_iter(struct kv *kv, const struct kv_snapshot *s, struct bytes prefix)
{
    struct kv *m = ((struct rig *)kv)->mem;
    return m->ops->iter(m, s, prefix);
}

static enum err r_iter_close(struct kv_iter *it)
{
    enum err e = rig->mem->ops->iter_close(it);
    return e != ERR_OK ? e : reading;
}

static uint64_t r_bytes(struct kv *kv)
{
    struct kv *m = ((struct rig *)kv)->mem;
    return m->ops->bytes(m);
}

static void drain(struct rig *r)
{
    struct node_action a;
    while (node_next(r->node, &a) != NODE_NONE) {
        if (a.kind == NODE_JOB) {
            struct node_event done = {.kind = NODE_JOB_DONE, .job = a.job, .clock_ms = CLOCK_MS + r->now_ms};
            done.err = node_job_run(r->store, a.job);
            node_input(r->node, &done, r->now_ms);
        } else if (a.kind == NODE_LOG) {
            buf_printf(&r->log, "%s\n", a.text);
        }
    }
}

static void put(struct rig *r, const char *name)
{
    struct buf value = {0};
    mp_put_str(&value, bytes_str(name));
    struct field field = {.name = bytes_str("description"), .value = buf_view(&value)};
    struct node_write w = {.kind = KIND_MODEL,
                           .owner = r->author.key,
                           .name = bytes_str(name),
                           .author = &r->author,
                           .change = {.mode = CHANGE_PATCH, .field_count = 1, .fields = &field}};
    struct node_result done;
    cr_assert_eq(node_write(r->node, &w), ERR_OK);
    drain(r);
    cr_assert(node_result_next(r->node, &done));
    cr_assert_eq(done.why, ERR_OK);
    buf_close(&value);
}

static void rig_open(struct rig *r)
{
    struct gen_author founder;
    struct node_config node = {.net = {.has_founder = true, .mesh_name = "test", .static_secret = {7}}};
    *r = (struct rig){.now_ms = 1000, .mem = kv_mem_new()};
    rig = r;
    reading = ERR_OK;
    gen_author(&founder, 1);
    r->author.key = node.net.founder = node.net.identity = founder.key;
    memcpy(r->author.secret, founder.secret, sizeof founder.secret);
    memcpy(node.net.identity_secret, founder.secret, sizeof founder.secret);
    mesh_id(&node.net.mesh, &founder.key, bytes_str("test"));
    r->ops = *r->mem->ops;
    r->ops.get = r_get;
    r->ops.write = r_write;
    r->ops.snapshot = r_snapshot;
    r->ops.release = r_release;
    r->ops.iter = r_iter;
    r->ops.iter_close = r_iter_close;
    r->ops.bytes = r_bytes;
    r->kv.ops = &r->ops;
    struct store_config config = {
        .mesh = node.net.mesh, .has_founder = true, .founder = founder.key, .mesh_name = bytes_str("test")};
    cr_assert_eq(store_open(&r->store, &r->kv, &config), ERR_OK);
    node.store = r->store;
    r->node = node_new(&node, r->now_ms, CLOCK_MS + r->now_ms);
    drain(r);
    for (unsigned i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "entry-%u", i);
        put(r, name);
    }
}

static void rig_close(struct rig *r)
{
    node_free(r->node);
    store_close(r->store);
    r->mem->ops->close(r->mem);
    buf_close(&r->log);
}

static struct node_stats stats_of(const struct rig *r)
{
    struct node_stats s;
    node_stats(r->node, &s);
    return s;
}

/* Runs the node by its own deadlines until so much time has gone by. */
static void live(struct rig *r, uint64_t ms)
{
    uint64_t end = r->now_ms + ms;
    while (r->now_ms < end) {
        uint64_t at = node_deadline(r->node);
        r->now_ms = at > r->now_ms && at < end ? at : at >= end ? end : r->now_ms + 1;
        struct node_event tick = {.kind = NODE_TICK, .clock_ms = CLOCK_MS + r->now_ms};
        node_input(r->node, &tick, r->now_ms);
        drain(r);
    }
}

static struct setindex *index_of(const struct rig *r)
{
    return (struct setindex *)node_set(r->node); /* nobody but a test may do this */
}

static struct id digest_of(const struct setindex *s)
{
    struct id d;
    setindex_digest(s, &d);
    return d;
}

Test(audit, an_index_that_lost_and_gained_items_is_mended_from_the_disk)
{
    struct rig r;
    struct item lost, strange = {.time = 12345, .id = {.b = {9}}};
    rig_open(&r);
    struct id before = digest_of(index_of(&r));
    setindex_items(index_of(&r), 17, 1, &lost);
    cr_assert(setindex_remove(index_of(&r), &lost));
    cr_assert(setindex_insert(index_of(&r), &strange));
    live(&r, NODE_AUDIT_MS / 5 * 4 - 10000);
    cr_assert_eq(stats_of(&r).audits, 0);
    cr_assert_not(setindex_has(index_of(&r), &lost));
    live(&r, NODE_AUDIT_MS / 5 * 2 + 20000);
    cr_assert_eq(stats_of(&r).audits, 1);
    cr_assert_eq(stats_of(&r).audits_bad, 1);
    cr_assert(setindex_has(index_of(&r), &lost));
    cr_assert_not(setindex_has(index_of(&r), &strange));
    struct id after = digest_of(index_of(&r));
    cr_assert(id_eq(&before, &after));
    cr_assert_not_null(strstr(buf_cstr(&r.log), "1 deltas were missing, 1 too many"), "%s", buf_cstr(&r.log));
    put(&r, "and it goes on");
    cr_assert_eq(setindex_count(index_of(&r)), 41);
    rig_close(&r);
}

Test(audit, sums_that_are_wrong_are_mended_too)
{
    struct rig r;
    rig_open(&r);
    struct id before = digest_of(index_of(&r));
    struct lthash **root = (struct lthash **)(void *)index_of(&r); /* the root comes first, and in it the sum */
    (*root)->lane[77]++;
    live(&r, NODE_AUDIT_MS / 5 * 6 + 1000);
    struct id after = digest_of(index_of(&r));
    cr_assert_eq(stats_of(&r).audits_bad, 1);
    cr_assert(id_eq(&before, &after));
    cr_assert_not_null(strstr(buf_cstr(&r.log), "sums were wrong"), "%s", buf_cstr(&r.log));
    rig_close(&r);
}

Test(audit, four_a_day_say_nothing_where_nothing_is_wrong)
{
    struct rig r;
    rig_open(&r);
    live(&r, 24 * 3600 * 1000u);
    struct node_stats s = stats_of(&r);
    cr_assert(s.audits >= 3 && s.audits <= 5, "%zu in a day", (size_t)s.audits);
    cr_assert_eq(s.audits_bad, 0);
    cr_assert_null(strstr(buf_cstr(&r.log), "index"), "%s", buf_cstr(&r.log));
    rig_close(&r);
}

Test(audit, a_disk_that_cannot_be_read_changes_nothing_and_is_told)
{
    struct rig r;
    rig_open(&r);
    struct id before = digest_of(index_of(&r));
    live(&r, NODE_AUDIT_MS / 5 * 4 - 10000);
    reading = ERR_IO;
    struct audit *a = audit_new(index_of(&r));
    audit_run(a, r.store);
    cr_assert_eq(a->err, ERR_IO);
    audit_free(a);
    live(&r, NODE_AUDIT_MS / 5 * 2 + 20000);
    reading = ERR_OK;
    struct id after = digest_of(index_of(&r));
    cr_assert_eq(stats_of(&r).audits, 0);
    cr_assert(id_eq(&before, &after));
    cr_assert_not_null(strstr(buf_cstr(&r.log), "cannot be read for its audit"), "%s", buf_cstr(&r.log));
    put(&r, "writes go on");
    rig_close(&r);
}
