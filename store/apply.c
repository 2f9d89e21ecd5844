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

/* ---- the batch ---- */

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

/* In the order in which they turned, each once. */
static void give_withdrawn(const struct work *w, struct store_job *job)
{
    job->withdrawn = mem_calloc(w->withdrawn.count, sizeof *job->withdrawn);
    for (size_t i = 0; i < w->withdrawn.count; i++) {
        const struct work_op *x = w->withdrawn.items[i];
        bool told = (x->mark.flags & OP_ELIGIBLE) != 0;
        for (size_t k = 0; k < i && !told; k++)
            told = w->withdrawn.items[k] == x;
        if (!told)
            job->withdrawn[job->withdrawn_count++] = (struct store_withdrawn){
                .kind = x->entry->row.kind, .entry = x->entry->id, .op = x->id, .author = x->row.author};
    }
}

static void give_results(const struct work *w, struct store_job *job, const struct work_list *own)
{
    give_items(w, job);
    give_changes(w, job);
    give_withdrawn(w, job);
    job->own = mem_calloc(own->count, sizeof *job->own);
    for (size_t i = 0; i < own->count; i++) {
        const struct work_delta *d = own->items[i];
        job->own[job->own_count++] = (struct item){.time = d->row.time, .id = d->id};
    }
    job->more = w->more;
}

static void give_verdicts(const struct incoming *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct store_in *in = list[i].in;
        if (in->why != ERR_OK)
            in->verdict = in->why == ERR_AHEAD || in->why == ERR_BUSY ? VERDICT_DEFERRED : VERDICT_REFUSED;
        else if (list[i].merged != NULL)
            in->verdict = (list[i].merged->row.flags & DELTA_IN_SET) != 0 ? VERDICT_NEW : VERDICT_ASIDE;
    }
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
    w.chain_left = STORE_CHAIN_MAX;
    w.fault = e;
    for (size_t i = 0; i < job->in_count && w.fault == ERR_OK; i++) {
        list[i].in = &job->in[i];
        incoming_apply(&w, job->now_ms, &list[i]);
    }
    if (w.fault == ERR_OK)
        incoming_again(&w, list, job->in_count);
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
    for (size_t i = 0; i < job->in_count; i++)
        incoming_close(&list[i]);
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
    free(job->withdrawn);
    job->added = job->removed = job->own = NULL;
    job->changes = NULL;
    job->withdrawn = NULL;
    job->added_count = job->removed_count = job->own_count = job->change_count = job->withdrawn_count = 0;
}
