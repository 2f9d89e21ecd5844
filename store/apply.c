/*
 * One group commit: deltas from elsewhere are checked and merged, own writes are planned and merged, what policy changes
 * left is worked on, every touched entry is resolved once, and all of it goes to disk as one batch with one fsync.
 * Nothing in memory outlives a failed commit. Owns the order of these steps and the results of the job.
 */
#include "store/work.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>

enum { SWEEP_PER_JOB = 4096 };

/* A bundle under work, with what must live until the job ends. */
struct incoming {
    struct store_in *in;
    struct bundle bundle;
    struct delta delta;
    struct work_delta *merged; /* NULL: refused, deferred or held before */
};

static enum err parse(const struct store *s, uint64_t now_ms, struct incoming *c)
{
    enum err e = bundle_parse(c->in->bundle, &c->bundle);
    if (e == ERR_OK)
        e = delta_parse(c->bundle.delta, &c->delta);
    if (e != ERR_OK)
        return e;
    c->in->item = (struct item){.time = c->delta.time, .id = c->delta.id};
    if (!id_eq(&c->delta.mesh, &s->mesh))
        return ERR_MESH;
    return hlc_ms(c->delta.time) > now_ms + MODEL_AHEAD_MAX_MS ? ERR_AHEAD : ERR_OK;
}

/* The op of the delta, loaded with its marks; NULL: nothing is known of it. */
static struct work_op *op_at(struct work *w, const struct incoming *c, size_t i)
{
    assert(i < c->delta.op_count);
    const struct op *op = &c->delta.ops[i];
    struct id entry, id;
    entry_id(&entry, op->kind, &op->owner, op->name);
    op_id(&id, &c->delta.id, i);
    struct work_entry *e = work_entry(w, &entry);
    return e == NULL ? NULL : work_op(w, e, &id);
}

static bool body_fits(const struct incoming *c, const struct bundle_body *b)
{
    if (b->index >= c->delta.op_count || c->delta.ops[b->index].verb != VERB_PUT)
        return false;
    return body_matches(&c->delta.ops[b->index], b->body);
}

/* A delta that is held: only bodies can be new. */
static void add_late_bodies(struct work *w, struct incoming *c)
{
    assert(c->merged == NULL);
    for (size_t i = 0; i < c->bundle.body_count && w->fault == ERR_OK; i++) {
        const struct bundle_body *b = &c->bundle.bodies[i];
        if (!body_fits(c, b)) {
            c->in->bodies_bad++;
            continue;
        }
        struct work_op *x = op_at(w, c, b->index);
        if (x == NULL || !x->held) {
            work_corrupt(w);
        } else if ((x->mark.flags & OP_BODY) == 0 && x->mark.erased == 0) {
            merge_body(w, x, b->body);
            c->in->bodies_new++;
        }
    }
    c->in->verdict = VERDICT_KNOWN;
}

static bool is_erased(struct work *w, const struct incoming *c, size_t i)
{
    const struct work_op *x = op_at(w, c, i);
    return x != NULL && x->mark.erased > 0;
}

/* Every put that lacks its body was erased. */
static bool lacks_only_erased(struct work *w, const struct incoming *c, const struct bytes *bodies)
{
    for (size_t i = 0; i < c->delta.op_count; i++)
        if (c->delta.ops[i].verb == VERB_PUT && bodies[i].p == NULL && !is_erased(w, c, i))
            return false;
    return true;
}

/* The delete that erased a body may reach it through a writer whom a statement of this very delta grants: the delta
 * is tried as if it were held, on what is committed, and the trial is thrown away. */
static bool erased_if_held(struct work *w, const struct incoming *c, const struct bytes *bodies)
{
    bool states = false;
    for (size_t i = 0; i < c->delta.op_count; i++)
        states |= c->delta.ops[i].verb == VERB_STATEMENT;
    if (!states)
        return false;
    struct store *s = w->store;
    struct policy kept = policy_copy(&s->policy);
    struct work trial;
    work_init(&trial, s, NULL);
    merge_add(&trial, &(struct merge_delta){.delta = &c->delta, .sig = c->bundle.sig, .bodies = bodies});
    merge_settle(&trial);
    bool good = trial.fault == ERR_OK && lacks_only_erased(&trial, c, bodies);
    work_close(&trial);
    policy_close(&s->policy);
    s->policy = kept;
    return good;
}

/* A delta of kind 5 or 6 comes with its bodies, but for those that a held delete of the owner erased (see MODEL 6). */
static bool bodies_complete(struct work *w, const struct incoming *c, const struct bytes *bodies)
{
    assert(c->delta.op_count > 0 && c->delta.op_count <= MODEL_DELTA_OPS_MAX);
    if (!kind_is_policy(c->delta.ops[0].kind))
        return true;
    return lacks_only_erased(w, c, bodies) || erased_if_held(w, c, bodies);
}

static enum err add_delta(struct work *w, struct incoming *c)
{
    assert(c->merged == NULL);
    assert(id_eq(&c->delta.mesh, &w->store->mesh));
    struct store_in *in = c->in;
    enum err e = w->store->trusting ? ERR_OK : delta_verify(&c->delta.id, &c->delta.author, c->bundle.sig);
    if (e != ERR_OK)
        return e;
    struct bytes *bodies = arena_alloc(&w->arena, c->delta.op_count * sizeof *bodies);
    for (size_t i = 0; i < c->bundle.body_count; i++) {
        const struct bundle_body *b = &c->bundle.bodies[i];
        if (body_fits(c, b))
            bodies[b->index] = b->body;
        else
            in->bodies_bad++;
    }
    if (!bodies_complete(w, c, bodies))
        return ERR_INVALID;
    c->merged = merge_add(w, &(struct merge_delta){.delta = &c->delta, .sig = c->bundle.sig, .bodies = bodies});
    for (size_t i = 0; i < c->merged->op_count; i++)
        in->bodies_new += (c->merged->ops[i]->mark.flags & OP_BODY) != 0;
    return ERR_OK;
}

static void apply_in(struct work *w, uint64_t now_ms, struct incoming *c)
{
    struct store_in *in = c->in;
    in->bodies_new = in->bodies_bad = 0;
    in->item = (struct item){0};
    in->why = parse(w->store, now_ms, c);
    if (in->why == ERR_OK && work_delta(w, &c->delta.author, &c->delta.id) != NULL)
        add_late_bodies(w, c);
    else if (in->why == ERR_OK)
        in->why = add_delta(w, c);
    if (in->why != ERR_OK)
        in->verdict = in->why == ERR_AHEAD ? VERDICT_DEFERRED : VERDICT_REFUSED;
    merge_settle(w);
    policy_refresh(w);
}

/* ---- the rest of the batch ---- */

static void count_deltas(const struct work *w, struct stats_row *stats)
{
    for (size_t i = 0; i < w->delta_list.count; i++) {
        const struct work_delta *d = w->delta_list.items[i];
        bool in_set = (d->row.flags & DELTA_IN_SET) != 0;
        assert(!d->fresh || !d->was_in_set);
        assert(!d->queued);
        if (!d->fresh && d->was_in_set) {
            stats->deltas--;
            stats->ops -= d->row.op_count;
        } else if (!d->fresh) {
            stats->aside--;
        }
        stats->deltas += in_set;
        stats->ops += in_set ? d->row.op_count : 0;
        stats->aside += !in_set;
    }
}

static void log_changes(struct work *w, struct stats_row *stats)
{
    struct buf chunk = {0};
    struct dbkey key;
    size_t n = 0;
    for (size_t i = 0; i <= w->entry_list.count; i++) {
        const struct work_entry *e = i < w->entry_list.count ? w->entry_list.items[i] : NULL;
        if (n == CHANGE_CHUNK || (e == NULL && n > 0)) {
            dbkey_start(&key, FAMILY_CHANGE);
            dbkey_add_be(&key, stats->last_seq - n + 1, 8);
            kv_batch_put(&w->batch, dbkey_view(&key), buf_view(&chunk));
            buf_reset(&chunk);
            n = 0;
        }
        if (e == NULL || e->change == NULL)
            continue;
        assert(n < CHANGE_CHUNK);
        change_row_put(&chunk, e->change);
        stats->last_seq++;
        n++;
    }
    buf_close(&chunk);
}

static void put_stats(struct work *w)
{
    struct dbkey key;
    dbkey_meta(&key, "stats");
    buf_reset(&w->row);
    stats_row_put(&w->row, &w->store->stats);
    kv_batch_put(&w->batch, dbkey_view(&key), buf_view(&w->row));
}

static enum err commit(struct work *w)
{
    sweep_run(w);
    show_entries(w);
    if (w->fault != ERR_OK)
        return w->fault;
    assert(w->op_first == NULL && w->delta_first == NULL && w->policy_first == NULL);
    count_deltas(w, &w->store->stats);
    log_changes(w, &w->store->stats);
    work_flush_rows(w);
    if (w->batch.count == 0)
        return ERR_OK;
    put_stats(w);
    return w->kv->ops->write(w->kv, &w->batch);
}

/* ---- results ---- */

static void give_items(const struct work *w, struct store_job *job)
{
    job->added = mem_calloc(w->delta_list.count, sizeof *job->added);
    job->removed = mem_calloc(w->delta_list.count, sizeof *job->removed);
    for (size_t i = 0; i < w->delta_list.count; i++) {
        const struct work_delta *d = w->delta_list.items[i];
        bool in_set = (d->row.flags & DELTA_IN_SET) != 0;
        struct item item = {.time = d->row.time, .id = d->id};
        if (in_set && !d->was_in_set)
            job->added[job->added_count++] = item;
        else if (!in_set && d->was_in_set)
            job->removed[job->removed_count++] = item;
    }
}

static void give_changes(const struct work *w, struct store_job *job)
{
    job->changes = mem_calloc(w->entry_list.count, sizeof *job->changes);
    for (size_t i = 0; i < w->entry_list.count; i++) {
        const struct work_entry *e = w->entry_list.items[i];
        if (e->change != NULL)
            job->changes[job->change_count++] = (struct store_change){.kind = e->row.kind, .entry = e->id};
    }
}

static void give_results(const struct work *w, struct store_job *job, const struct work_list *own)
{
    give_items(w, job);
    give_changes(w, job);
    job->own = mem_calloc(own->count, sizeof *job->own);
    for (size_t i = 0; i < own->count; i++) {
        const struct work_delta *d = own->items[i];
        job->own[job->own_count++] = (struct item){.time = d->row.time, .id = d->id};
    }
    job->more = w->more;
}

static void give_verdicts(const struct incoming *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].merged != NULL)
            list[i].in->verdict = (list[i].merged->row.flags & DELTA_IN_SET) != 0 ? VERDICT_NEW : VERDICT_ASIDE;
}

enum err store_apply(struct store *s, struct store_job *job)
{
    assert(job->in_count == 0 || job->in != NULL);
    assert(job->write_count == 0 || (job->writes != NULL && job->rng != NULL));
    assert(job->added == NULL && job->removed == NULL && job->own == NULL && job->changes == NULL);
    struct work w;
    struct work_list own = {0};
    struct incoming *list = mem_calloc(job->in_count, sizeof *list);
    enum err e = s->stale ? store_load(s) : ERR_OK;
    s->stale = e != ERR_OK;
    work_init(&w, s, job->rng);
    w.sweep_left = SWEEP_PER_JOB;
    w.fault = e;
    for (size_t i = 0; i < job->in_count && w.fault == ERR_OK; i++) {
        list[i].in = &job->in[i];
        apply_in(&w, job->now_ms, &list[i]);
    }
    write_all(&w, job, &own);
    e = w.fault == ERR_OK ? commit(&w) : w.fault;
    if (e == ERR_OK) {
        give_results(&w, job, &own);
        give_verdicts(list, job->in_count);
        s->sweeping = w.more;
    } else {
        s->stale = true;
        for (size_t i = 0; i < job->write_count; i++)
            job->writes[i].why = e;
    }
    for (size_t i = 0; i < job->in_count; i++) {
        bundle_close(&list[i].bundle);
        delta_close(&list[i].delta);
    }
    free(own.items);
    free(list);
    work_close(&w);
    return e;
}

void store_job_close(struct store_job *job)
{
    free(job->added);
    free(job->removed);
    free(job->own);
    free(job->changes);
    job->added = job->removed = job->own = NULL;
    job->changes = NULL;
    job->added_count = job->removed_count = job->own_count = job->change_count = 0;
}
