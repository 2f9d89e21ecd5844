/*
 * Re-checks everything on disk from the deltas' own bytes: form, ids, signatures and bodies one by one, then every derived
 * row (the set, marks, heads, JSON, listings) against a store that is built anew from the same deltas. Repairs nothing.
 */
#include "store/verify.h"

#include "crdt/alloc.h"
#include "store/shadow.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLAY_BYTES = 4 << 20, REPLAY_DELTAS = 256 };

void check_report(struct check *c, enum outcome outcome, const char *what, const struct id *subject, const char *detail)
{
    assert((outcome == FAILED) == (detail[0] != 0));
    struct verify_finding f = {.ok = outcome == PASSED, .check = what, .subject = *subject};
    if (outcome == FAILED)
        c->failed = true;
    else if (c->only == NULL || c->quiet)
        return;
    snprintf(f.detail, sizeof f.detail, "%s", detail);
    if (c->each != NULL)
        c->each(c->ctx, &f);
}

static void judge(struct check *c, bool good, const char *what, const struct id *subject, const char *fault)
{
    check_report(c, good ? PASSED : FAILED, what, subject, good ? "" : fault);
}

enum err check_row(const struct check *c, const struct dbkey *key, struct buf *out)
{
    buf_reset(out);
    return c->ops->get(c->kv, c->snap, dbkey_view(key), out);
}

/* ---- deltas one by one ---- */

/* The delta whose rows are walked: its record comes first, then its bodies. */
struct walk {
    struct check *check;
    struct id id;
    struct buf row;
    struct delta delta; /* borrows the row */
    bool parsed;
};

static bool is_about(const struct check *c, const struct op *op)
{
    struct id entry;
    if (c->only == NULL)
        return true;
    entry_id(&entry, op->kind, &op->owner, op->name);
    return id_eq(&entry, c->only);
}

static bool concerns(const struct check *c, const struct delta *d)
{
    for (size_t i = 0; i < d->op_count; i++)
        if (is_about(c, &d->ops[i]))
            return true;
    return false;
}

static void check_record(struct walk *w, const struct delta_record *r)
{
    struct check *c = w->check;
    const struct delta *d = &w->delta;
    assert(w->parsed);
    c->quiet = !concerns(c, d);
    check_report(c, PASSED, "canonical form", &w->id, "");
    judge(c, id_eq(&d->id, &w->id), "delta id", &w->id, "the hash of the bytes is another id");
    judge(c, id_eq(&d->mesh, &c->store->mesh), "mesh", &w->id, "the delta names another mesh");
    judge(c, key_eq(&d->author, &r->author) && d->time == r->time, "author and time", &w->id, "the row names others");
    judge(c, delta_verify(&d->id, &d->author, r->sig) == ERR_OK, "signature", &w->id, "it does not hold");
}

static void walk_delta(struct walk *w, const struct id *id, struct bytes value)
{
    struct check *c = w->check;
    struct delta_record record;
    if (w->parsed)
        delta_close(&w->delta);
    w->id = *id;
    buf_reset(&w->row);
    buf_put_bytes(&w->row, value);
    enum err e = delta_record_get(buf_view(&w->row), &record);
    if (e == ERR_OK)
        e = delta_parse(record.bytes, &w->delta);
    w->parsed = e == ERR_OK;
    if (w->parsed)
        check_record(w, &record);
    else
        check_report(c, FAILED, "canonical form", id, err_text(e));
    c->done++;
    if (c->progress != NULL)
        c->progress(c->ctx, c->done, c->total);
}

static void walk_body(struct walk *w, size_t index, struct bytes body)
{
    struct id op;
    const struct delta *d = &w->delta;
    if (!w->parsed)
        return; /* reported with its delta */
    op_id(&op, &w->id, index);
    bool there = index < d->op_count;
    w->check->quiet = there && !is_about(w->check, &d->ops[index]);
    judge(w->check, there && d->ops[index].verb == VERB_PUT && body_matches(&d->ops[index], body), "body hash", &op,
          "the body is not the one that was signed");
}

static void remember(struct check *c, const struct id *id)
{
    work_list_add(&c->deltas, mem_dup(id, sizeof *id));
}

/* Every delta (id NULL), remembering them, or one, which must be there. */
static enum err walk(struct check *c, const struct id *id)
{
    struct dbkey prefix;
    struct walk w = {.check = c};
    dbkey_start(&prefix, FAMILY_DELTA);
    if (id != NULL)
        dbkey_add_id(&prefix, id);
    struct kv_iter *it = c->ops->iter(c->kv, c->snap, dbkey_view(&prefix));
    for (bool on = c->ops->seek(it, dbkey_view(&prefix)); on; on = c->ops->next(it)) {
        struct bytes key = c->ops->key(it);
        struct id at = id_at(key, 1);
        if (key.n == 1 + ID_BYTES) {
            walk_delta(&w, &at, c->ops->value(it));
            if (id == NULL)
                remember(c, &at);
        } else if (key.n == 1 + ID_BYTES + 2 && id_eq(&at, &w.id)) {
            walk_body(&w, get_be(key.p + 1 + ID_BYTES, 2), c->ops->value(it));
        }
    }
    c->quiet = false;
    if (id != NULL && !id_eq(&w.id, id))
        check_report(c, FAILED, "canonical form", id, "the delta is missing");
    if (w.parsed)
        delta_close(&w.delta);
    buf_close(&w.row);
    return c->ops->iter_close(it);
}

static enum err check_deltas(struct check *c)
{
    assert(c->done == 0 && c->deltas.count == 0);
    if (c->only == NULL)
        return walk(c, NULL);
    enum err e = check_needs(c);
    c->total = c->deltas.count;
    for (size_t i = 0; i < c->deltas.count && e == ERR_OK; i++)
        e = walk(c, c->deltas.items[i]);
    return e;
}

/* ---- the same deltas into a new store ---- */

struct replay {
    struct check *check;
    struct store *store;
    struct store_in in[REPLAY_DELTAS];
    struct buf bundles[REPLAY_DELTAS];
    size_t count, bytes, again;
};

/* Deltas that were refused for want of bodies go back to the list: what erased them may come later in it. */
static enum err run(struct replay *r)
{
    assert(r->count <= REPLAY_DELTAS);
    struct store_job job = {.now_ms = UINT64_MAX / 2, .in_count = r->count, .in = r->in};
    for (size_t i = 0; i < r->count; i++)
        r->in[i].bundle = buf_view(&r->bundles[i]);
    enum err e = store_apply(r->store, &job);
    store_job_close(&job);
    for (size_t i = 0; i < r->count; i++) {
        if (r->in[i].verdict == VERDICT_REFUSED && r->in[i].why == ERR_INVALID) {
            remember(r->check, &r->in[i].item.id);
            r->again++;
        }
        buf_reset(&r->bundles[i]);
    }
    r->count = r->bytes = 0;
    return e;
}

static enum err replay_one(struct replay *r, const struct id *id)
{
    assert(r->count < REPLAY_DELTAS);
    struct buf *bundle = &r->bundles[r->count];
    r->in[r->count] = (struct store_in){0};
    if (read_bundle(r->check->kv, r->check->snap, id, bundle) != ERR_OK)
        return ERR_OK; /* reported already */
    r->bytes += bundle->n;
    r->count++;
    return r->count == REPLAY_DELTAS || r->bytes >= REPLAY_BYTES ? run(r) : ERR_OK;
}

static enum err replay_all(struct check *c, struct store *into)
{
    struct replay *r = mem_zalloc(sizeof *r);
    enum err e = ERR_OK;
    r->check = c;
    r->store = into;
    size_t from = 0, to = c->deltas.count;
    for (bool progress = true; progress && e == ERR_OK; from = to, to = c->deltas.count) {
        r->again = 0;
        for (size_t i = from; i < to && e == ERR_OK; i++)
            e = replay_one(r, c->deltas.items[i]);
        if (e == ERR_OK)
            e = run(r);
        progress = r->again > 0 && r->again < to - from;
    }
    for (bool more = e == ERR_OK; more;) {
        struct store_job job = {0};
        e = store_apply(into, &job);
        more = e == ERR_OK && job.more;
        store_job_close(&job);
    }
    for (size_t i = 0; i < REPLAY_DELTAS; i++)
        buf_close(&r->bundles[i]);
    free(r);
    return e;
}

/* ---- as a whole ---- */

/* What the back end says of a read that failed, as a finding: the file that is damaged. */
static void report_fault(struct check *c)
{
    const struct id none = {{0}};
    struct buf why = {0};
    if (c->ops->fault != NULL)
        c->ops->fault(c->kv, &why);
    if (why.n > 0)
        check_report(c, FAILED, "reading", &none, buf_cstr(&why));
    buf_close(&why);
}

/* Every row once, also of families that nothing else here looks at: the back end proves its own blocks. */
static enum err read_all(const struct check *c)
{
    const struct bytes start = {0};
    assert(c->only == NULL);
    struct kv_iter *it = c->ops->iter(c->kv, c->snap, start);
    for (bool on = c->ops->seek(it, start); on; on = c->ops->next(it))
        assert(c->ops->key(it).n > 0);
    return c->ops->iter_close(it);
}

static enum err sweeps_left(const struct check *c, bool *left)
{
    struct dbkey prefix;
    dbkey_start(&prefix, FAMILY_SWEEP);
    struct kv_iter *it = c->ops->iter(c->kv, c->snap, dbkey_view(&prefix));
    *left = c->ops->seek(it, dbkey_view(&prefix));
    return c->ops->iter_close(it);
}

static enum err check_derived(struct check *c)
{
    struct key founder = {{0}};
    struct buf name = {0};
    struct store *into = NULL;
    struct kv *shadow = kv_shadow_new(c->kv, c->snap);
    struct store_config config = {.mesh = c->store->mesh};
    enum err e = read_founder(c->store, &founder, &name, &config.has_founder);
    config.founder = founder;
    config.mesh_name = buf_view(&name);
    if (e == ERR_OK)
        e = store_open(&into, shadow, &config);
    if (e == ERR_OK) {
        into->trusting = true;
        e = replay_all(c, into);
    }
    if (e == ERR_OK)
        e = check_rows(c, shadow);
    store_close(into);
    shadow->ops->close(shadow);
    buf_close(&name);
    return e;
}

enum err store_verify(const struct store *s, const struct id *entry, void (*each)(void *, const struct verify_finding *),
                      void (*progress)(void *, uint64_t done, uint64_t total), void *ctx)
{
    struct store_stats stats;
    struct kv_snapshot *snap = s->kv->ops->snapshot(s->kv);
    struct check c = {.store = s, .kv = s->kv, .ops = s->kv->ops, .snap = snap, .only = entry,
                      .each = each, .progress = progress, .ctx = ctx};
    store_stats(s, &stats);
    c.total = stats.deltas + stats.aside;
    enum err e = entry == NULL ? read_all(&c) : ERR_OK;
    if (e == ERR_OK)
        e = check_deltas(&c);
    /* While a policy change is being worked off, derived rows are a step behind: only the deltas can be judged. */
    bool left = false;
    if (e == ERR_OK)
        e = sweeps_left(&c, &left);
    if (e == ERR_OK && !left)
        e = check_derived(&c);
    c.ops->release(c.kv, snap);
    for (size_t i = 0; i < c.deltas.count; i++)
        free(c.deltas.items[i]);
    free(c.deltas.items);
    if (c.failed || (e != ERR_OK && e != ERR_NOT_FOUND))
        report_fault(&c);
    if (e != ERR_OK)
        return e;
    return c.failed ? ERR_CORRUPT : ERR_OK;
}
