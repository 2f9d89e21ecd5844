/*
 * Entries, ops and deltas between disk and the working state of a job: loaded when first touched, written back when the
 * job ends. Decides nothing.
 */
#include "store/work.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_KEPT_BYTES = 8 << 20 }; /* a larger batch gives its memory back after the job */

static const struct id no_id;

void work_list_add(struct work_list *l, void *item)
{
    if (l->count == l->cap) {
        l->cap = l->cap == 0 ? 64 : l->cap * 2;
        l->items = mem_realloc(l->items, l->cap, sizeof *l->items);
    }
    l->items[l->count++] = item;
}

void work_init(struct work *w, struct store *s, struct rng *rng)
{
    uint8_t secret[16] = {0};
    *w = (struct work){.store = s, .kv = s->kv, .overlay = kv_mem_new(), .sweeping = s->sweeping, .batch = s->spare};
    s->spare = (struct kv_batch){0};
    if (rng != NULL)
        rng_bytes(rng, secret, sizeof secret);
    table_init(&w->entries, secret);
    table_init(&w->ops, secret);
    table_init(&w->deltas, secret);
}

static void keep_batch(struct work *w)
{
    assert(w->batch.count == 0);
    kv_batch_close(&w->store->spare);
    w->store->spare = w->batch;
}

void work_close(struct work *w)
{
    w->overlay->ops->close(w->overlay);
    table_close(&w->entries);
    table_close(&w->ops);
    table_close(&w->deltas);
    free(w->entry_list.items);
    free(w->op_list.items);
    free(w->delta_list.items);
    free(w->withdrawn.items);
    kv_batch_reset(&w->batch);
    if (w->batch.log.cap > BATCH_KEPT_BYTES || w->store->spare.log.cap > w->batch.log.cap)
        kv_batch_close(&w->batch);
    else
        keep_batch(w);
    kv_batch_close(&w->step);
    buf_close(&w->scratch);
    buf_close(&w->row);
    arena_close(&w->arena);
}

void work_corrupt(struct work *w)
{
    if (w->fault == ERR_OK)
        w->fault = ERR_CORRUPT;
}

/* ---- entries ---- */

static struct work_entry *entry_add(struct work *w, const struct id *id)
{
    assert(table_get(&w->entries, id, &no_id) == NULL);
    struct work_entry *e = arena_alloc(&w->arena, sizeof *e);
    e->id = *id;
    table_put(&w->entries, id, &no_id, e);
    work_list_add(&w->entry_list, e);
    return e;
}

static void remember_missing(struct work *w, struct work_entry *e)
{
    e->old_flags = e->row.flags;
    e->old_revision = e->row.revision;
    if ((e->row.flags & ENTRY_INCOMPLETE) == 0)
        return;
    e->old_missing = arena_alloc(&w->arena, e->row.top_count * sizeof *e->old_missing);
    for (size_t i = 0; i < e->row.top_count; i++)
        if (e->row.top[i].is_put && !e->row.top[i].has_body)
            e->old_missing[e->old_missing_count++] = e->row.top[i].op;
}

struct work_entry *work_entry(struct work *w, const struct id *id)
{
    struct work_entry *e = table_get(&w->entries, id, &no_id);
    if (e != NULL)
        return e;
    struct dbkey key;
    struct entry_row row;
    dbkey_of_id(&key, FAMILY_ENTRY, id);
    if (!work_get(w, dbkey_view(&key)))
        return NULL;
    if (entry_row_get(buf_view(&w->row), &row) != ERR_OK) {
        work_corrupt(w);
        return NULL;
    }
    e = entry_add(w, id);
    e->row = row;
    e->row.name.p = arena_dup(&w->arena, row.name.p, row.name.n);
    if (row.only.parents.n > 0)
        e->row.only.parents.p = arena_dup(&w->arena, row.only.parents.p, row.only.parents.n);
    remember_missing(w, e);
    return e;
}

struct work_entry *work_entry_of(struct work *w, const struct id *id, const struct op *op)
{
    struct work_entry *e = work_entry(w, id);
    return e != NULL ? e : work_entry_new(w, id, op);
}

struct work_entry *work_entry_new(struct work *w, const struct id *id, const struct op *op)
{
    assert(op->kind <= MODEL_KIND_MAX && op->name.n >= 1 && op->name.n <= MODEL_NAME_MAX);
    struct work_entry *e = entry_add(w, id);
    e->fresh = e->dirty = true;
    e->row.kind = op->kind;
    e->row.owner = op->owner;
    e->row.name = bytes_of(arena_dup(&w->arena, op->name.p, op->name.n), op->name.n);
    e->row.created = HLC_NEVER;
    return e;
}

/* ---- deltas ---- */

static struct work_delta *delta_add(struct work *w, const struct key *author, const struct id *id)
{
    assert(table_get(&w->deltas, id, &no_id) == NULL);
    struct work_delta *d = arena_alloc(&w->arena, sizeof *d);
    d->id = *id;
    d->author = *author;
    table_put(&w->deltas, id, &no_id, d);
    work_list_add(&w->delta_list, d);
    return d;
}

struct work_delta *work_delta(struct work *w, const struct key *author, const struct id *id)
{
    struct work_delta *d = table_get(&w->deltas, id, &no_id);
    if (d != NULL)
        return d;
    struct dbkey key;
    struct delta_row row;
    dbkey_author(&key, author, id);
    if (!work_get(w, dbkey_view(&key)))
        return NULL;
    if (delta_row_get(buf_view(&w->row), &row) != ERR_OK) {
        work_corrupt(w);
        return NULL;
    }
    d = delta_add(w, author, id);
    d->row = row;
    d->was_in_set = (row.flags & DELTA_IN_SET) != 0;
    return d;
}

struct work_delta *work_delta_new(struct work *w, const struct key *author, const struct id *id)
{
    struct work_delta *d = delta_add(w, author, id);
    d->fresh = d->dirty = true;
    return d;
}

/* A row that must be there but is not: the job is given up, the caller gets an empty one to go on with. */
struct work_delta *work_delta_of(struct work *w, struct work_op *x)
{
    assert(x->held);
    if (x->delta != NULL)
        return x->delta;
    x->delta = work_delta(w, &x->row.author, &x->row.delta);
    if (x->delta == NULL) {
        work_corrupt(w);
        x->delta = work_delta_new(w, &x->row.author, &x->row.delta);
    }
    return x->delta;
}

static void load_ops(struct work *w, struct work_delta *d, struct bytes row)
{
    struct delta_record record;
    struct delta parsed;
    if (delta_record_get(row, &record) != ERR_OK || delta_parse(record.bytes, &parsed) != ERR_OK) {
        work_corrupt(w);
        return;
    }
    d->ops = arena_alloc(&w->arena, parsed.op_count * sizeof *d->ops);
    for (size_t i = 0; i < parsed.op_count && w->fault == ERR_OK; i++) {
        const struct op *op = &parsed.ops[i];
        struct id entry, id;
        entry_id(&entry, op->kind, &op->owner, op->name);
        op_id(&id, &d->id, i);
        struct work_entry *e = work_entry(w, &entry);
        struct work_op *x = e == NULL ? NULL : work_op(w, e, &id);
        if (x == NULL || !x->held) {
            work_corrupt(w);
            break;
        }
        if (op->verb == VERB_STATEMENT && x->grants == NULL) {
            x->grant_count = op->grant_count;
            x->grants = arena_dup(&w->arena, op->grants, op->grant_count * sizeof *op->grants);
        }
        d->ops[d->op_count++] = x;
    }
    delta_close(&parsed);
}

void work_delta_ops(struct work *w, struct work_delta *d)
{
    if (d->op_count > 0 || w->fault != ERR_OK)
        return;
    struct dbkey key;
    struct buf row = {0};
    dbkey_of_id(&key, FAMILY_DELTA, &d->id);
    enum err e = w->kv->ops->get(w->kv, NULL, dbkey_view(&key), &row);
    if (e == ERR_OK)
        load_ops(w, d, buf_view(&row));
    else
        w->fault = e == ERR_NOT_FOUND ? ERR_CORRUPT : e;
    buf_close(&row);
}

/* ---- ops ---- */

static struct work_op *op_add(struct work *w, struct work_entry *e, const struct id *id)
{
    assert(table_get(&w->ops, &e->id, id) == NULL);
    struct work_op *x = arena_alloc(&w->arena, sizeof *x);
    x->id = *id;
    x->entry = e;
    table_put(&w->ops, &e->id, id, x);
    work_list_add(&w->op_list, x);
    return x;
}

static void load_mark(struct work *w, struct work_op *x)
{
    assert(!x->mark_stored);
    struct dbkey key;
    dbkey_pair(&key, FAMILY_MARK, &x->entry->id, &x->id);
    if (!work_get(w, dbkey_view(&key)))
        return;
    x->mark_stored = true;
    if (mark_row_get(buf_view(&w->row), &x->mark) != ERR_OK)
        work_corrupt(w);
}

static void load_op_row(struct work *w, struct work_op *x)
{
    struct dbkey key;
    dbkey_pair(&key, FAMILY_OP, &x->entry->id, &x->id);
    if (!work_get(w, dbkey_view(&key)))
        return;
    if (op_row_get(buf_view(&w->row), &x->row) != ERR_OK)
        work_corrupt(w);
    x->held = true;
    x->row.parents.p = arena_dup(&w->arena, x->row.parents.p, x->row.parents.n);
}

struct work_op *work_op(struct work *w, struct work_entry *e, const struct id *id)
{
    struct work_op *x = table_get(&w->ops, &e->id, id);
    if (x != NULL)
        return x;
    x = op_add(w, e, id);
    if (e->fresh)
        return x;
    if (e->row.op_count == 1 && id_eq(id, &e->row.only_op)) {
        x->row = e->row.only;
        x->held = true;
    } else if (e->row.op_count > 1) {
        load_op_row(w, x);
    }
    if (x->held)
        x->mark.flags = x->row.flags;
    load_mark(w, x);
    return x;
}

struct work_op *work_op_new(struct work *w, struct work_entry *e, const struct id *id)
{
    struct work_op *x = table_get(&w->ops, &e->id, id);
    if (x == NULL) {
        x = op_add(w, e, id);
        if (!e->fresh)
            load_mark(w, x);
    }
    assert(!x->held);
    x->held = x->dirty = x->row_due = true;
    return x;
}

struct bytes work_body(struct work *w, struct work_op *x)
{
    assert(x->held);
    if (x->body.p != NULL || (x->mark.flags & OP_BODY) == 0)
        return x->body;
    struct dbkey key;
    dbkey_body(&key, &x->row.delta, x->row.index);
    if (!work_get(w, dbkey_view(&key))) {
        work_corrupt(w);
        return x->body;
    }
    x->body = bytes_of(arena_dup(&w->arena, w->row.p, w->row.n), w->row.n);
    return x->body;
}

void work_entry_ops(struct work *w, struct work_entry *e, bool (*each)(void *, struct work_op *), void *ctx)
{
    if (e->row.op_count <= 1) {
        if (e->row.op_count == 1)
            each(ctx, work_op(w, e, &e->row.only_op));
        return;
    }
    struct dbkey prefix, last;
    struct scan c;
    dbkey_of_id(&prefix, FAMILY_HISTORY, &e->id);
    last = prefix;
    dbkey_last(&last);
    scan_open(&c, w, &prefix, &last, DOWN);
    while (w->fault == ERR_OK && scan_next(&c)) {
        struct id id = id_inverted_at(c.key, c.key.n - ID_BYTES);
        if (!each(ctx, work_op(w, e, &id)))
            break;
    }
    scan_close(&c);
}

/* ---- writing back ---- */

static void flush_overlay(struct work *w)
{
    struct kv_iter *it = w->overlay->ops->iter(w->overlay, NULL, bytes_str(""));
    const struct kv_ops *o = w->overlay->ops;
    for (bool on = o->seek(it, bytes_str("")); on; on = o->next(it)) {
        struct bytes value = o->value(it);
        if (value.p[0] == 0)
            kv_batch_delete(&w->batch, o->key(it));
        else
            kv_batch_put(&w->batch, o->key(it), bytes_of(value.p + 1, value.n - 1));
    }
    enum err e = o->iter_close(it);
    assert(e == ERR_OK);
    (void)e;
}

static void flush_entry(struct work *w, const struct work_entry *e)
{
    assert(e->row.top_count <= MODEL_HEADS_READ && e->row.put_count <= e->row.head_count);
    assert(e->row.head_count <= e->row.op_count);
    struct dbkey key;
    dbkey_of_id(&key, FAMILY_ENTRY, &e->id);
    buf_reset(&w->row);
    entry_row_put(&w->row, &e->row);
    kv_batch_put(&w->batch, dbkey_view(&key), buf_view(&w->row));
}

static void flush_mark(struct work *w, const struct work_op *x)
{
    assert(x->dirty && !x->queued);
    bool counted = x->mark.named > 0 || x->mark.covered > 0 || x->mark.erased > 0;
    bool row_is_due = x->row_due || (x->held && x->entry->row.op_count == 1);
    if (row_is_due && !counted && !x->mark_stored)
        return;
    struct dbkey key;
    dbkey_pair(&key, FAMILY_MARK, &x->entry->id, &x->id);
    if (!counted && !x->held) {
        if (x->mark_stored)
            kv_batch_delete(&w->batch, dbkey_view(&key));
        return;
    }
    buf_reset(&w->row);
    mark_row_put(&w->row, &x->mark);
    kv_batch_put(&w->batch, dbkey_view(&key), buf_view(&w->row));
}

static void flush_op(struct work *w, struct work_op *x)
{
    assert(!x->row_due || x->held);
    flush_mark(w, x);
    struct entry_row *e = &x->entry->row;
    x->row.flags = x->mark.flags;
    if (x->held && e->op_count == 1) {
        assert(id_eq(&x->id, &e->only_op));
        e->only = x->row;
        e->only.flags = (uint8_t)(x->row.flags & ~OP_WHOLE);
        x->entry->dirty = true;
    }
    if (!x->row_due || e->op_count == 1)
        return;
    struct dbkey key;
    dbkey_pair(&key, FAMILY_OP, &x->entry->id, &x->id);
    buf_reset(&w->row);
    op_row_put(&w->row, &x->row);
    kv_batch_put(&w->batch, dbkey_view(&key), buf_view(&w->row));
}

static void flush_delta(struct work *w, const struct work_delta *d)
{
    assert(d->put_off || ((d->row.flags & DELTA_IN_SET) != 0) == ((d->row.flags & DELTA_DIRECT) != 0 || d->row.named > 0));
    struct dbkey key;
    dbkey_author(&key, &d->author, &d->id);
    buf_reset(&w->row);
    delta_row_put(&w->row, &d->row);
    overlay_put(w, &key, buf_view(&w->row)); /* where a new delta's row lies already, for sweeps to see */
    bool in_set = (d->row.flags & DELTA_IN_SET) != 0;
    if (in_set == d->was_in_set)
        return;
    dbkey_item(&key, &(struct item){.time = d->row.time, .id = d->id});
    if (in_set)
        kv_batch_put(&w->batch, dbkey_view(&key), bytes_str(""));
    else
        kv_batch_delete(&w->batch, dbkey_view(&key));
}

void work_flush_rows(struct work *w)
{
    assert(w->fault == ERR_OK);
    for (size_t i = 0; i < w->delta_list.count; i++) {
        const struct work_delta *d = w->delta_list.items[i];
        if (d->dirty)
            flush_delta(w, d);
    }
    flush_overlay(w);
    for (size_t i = 0; i < w->op_list.count; i++) {
        struct work_op *x = w->op_list.items[i];
        if (x->dirty)
            flush_op(w, x);
    }
    for (size_t i = 0; i < w->entry_list.count; i++) {
        const struct work_entry *e = w->entry_list.items[i];
        if (e->dirty && e->row.op_count > 0)
            flush_entry(w, e);
    }
}
