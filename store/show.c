/*
 * What a reader sees of an entry: heads resolved to one record, ready to send, and the rows that list it. Runs once for
 * each entry that a job touched, after everything has come to rest, so that what is stored is a function of the state
 * alone. Knows nothing of how the heads came to be.
 */
#include "crdt/record.h"
#include "store/work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- heads with their bodies ---- */

static void load_head(struct work *w, struct work_op *x, struct show_heads *out)
{
    assert(out->n < MODEL_HEADS_READ);
    assert(x->row.verb != VERB_STATEMENT);
    size_t i = out->n++;
    struct head *h = &out->heads[i];
    *h = (struct head){.op = x->id, .author = x->row.author, .time = x->row.time, .is_put = x->row.verb == VERB_PUT,
                       .is_owner = key_eq(&x->row.author, &x->entry->row.owner),
                       .has_body = (x->mark.flags & OP_BODY) != 0};
    out->deltas[i] = x->row.delta;
    out->bodies[i] = (struct body){0};
    if (!h->is_put || !h->has_body)
        return;
    struct bytes body = work_body(w, x);
    if (body.p != NULL && body_parse(body, x->row.time, &out->bodies[i]) == ERR_OK)
        h->body = &out->bodies[i];
}

void show_load(struct work *w, struct work_entry *e, struct show_heads *out)
{
    out->n = 0;
    for (size_t i = 0; i < e->row.top_count; i++) {
        struct work_op *x = work_op(w, e, &e->row.top[i].op);
        if (!x->held)
            work_corrupt(w);
        load_head(w, x, out);
        e->row.top[i].has_body = out->heads[i].has_body;
    }
}

static int op_order(const void *a, const void *b)
{
    const struct work_op *const *x = a, *const *y = b;
    struct head p = {.op = (*x)->id, .time = (*x)->row.time, .is_put = (*x)->row.verb == VERB_PUT,
                     .is_owner = key_eq(&(*x)->row.author, &(*x)->entry->row.owner)};
    struct head q = {.op = (*y)->id, .time = (*y)->row.time, .is_put = (*y)->row.verb == VERB_PUT,
                     .is_owner = key_eq(&(*y)->row.author, &(*y)->entry->row.owner)};
    return head_cmp(&p, &q);
}

void show_ops(struct work *w, struct work_list *ops, struct show_heads *out)
{
    out->n = 0;
    if (ops->count > 0)
        qsort(ops->items, ops->count, sizeof *ops->items, op_order);
    for (size_t i = 0; i < ops->count && i < MODEL_HEADS_READ; i++)
        load_head(w, ops->items[i], out);
}

void show_close(struct show_heads *h)
{
    for (size_t i = 0; i < h->n; i++)
        body_close(&h->bodies[i]);
    h->n = 0;
}

/* ---- one entry ---- */

static bool oldest_of_owner(void *ctx, struct work_op *x)
{
    uint64_t *created = ctx;
    if ((x->mark.flags & OP_IN_SET) == 0 || !key_eq(&x->row.author, &x->entry->row.owner))
        return true;
    *created = x->row.time;
    return false;
}

static void recount_created(struct work *w, struct work_entry *e)
{
    assert(e->row.op_count > 0);
    e->recount_created = false;
    e->row.created = HLC_NEVER;
    work_entry_ops(w, e, oldest_of_owner, &e->row.created);
}

struct walk {
    struct work *work;
    struct work_entry *entry;
};

static bool read_header(void *ctx, const struct id *op, struct op_header *out)
{
    const struct walk *walk = ctx;
    const struct work_op *x = work_op(walk->work, walk->entry, op);
    if (!x->held || (x->mark.flags & OP_IN_SET) == 0)
        return false;
    out->time = x->row.time;
    out->carries = (x->mark.flags & OP_CARRIER) != 0;
    out->parent_count = x->row.parent_count;
    out->parents = (const struct id *)(const void *)x->row.parents.p;
    return true;
}

const struct id *entry_revision(struct work_entry *e)
{
    assert(e->row.top_count <= MODEL_HEADS_READ);
    struct id ops[MODEL_HEADS_READ];
    for (size_t i = 0; i < e->row.top_count && !e->revision_known; i++)
        ops[i] = e->row.top[i].op;
    if (!e->revision_known)
        revision_id(&e->row.revision, ops, e->row.top_count);
    e->revision_known = true;
    return &e->row.revision;
}

static void set_flags(struct work *w, struct work_entry *e, const struct merged *m, const struct kind_desc *kind)
{
    assert(m->deleted == (e->row.put_count == 0));
    uint8_t flags = 0;
    if (policy_hides(&w->store->policy, &e->id, e->row.kind, &e->row.owner))
        flags |= ENTRY_HIDDEN;
    else if (m->incomplete)
        flags |= ENTRY_INCOMPLETE;
    if ((flags & ENTRY_HIDDEN) == 0 && e->row.put_count > 0 && kind != NULL)
        flags |= ENTRY_SHOWN;
    e->row.flags = flags;
}

/* Builds the JSON into w->scratch; notes in the flags whether there are conflicts. */
static void build_json(struct work *w, struct work_entry *e, const struct show_heads *heads, struct merged *m)
{
    assert((e->row.flags & ENTRY_SHOWN) != 0);
    assert(heads->n > 0 && heads->heads[0].is_put);
    struct walk walk = {w, e};
    struct op_source source = {.header = read_header, .ctx = &walk};
    struct conflicts conflicts = {0};
    size_t puts = 0;
    for (size_t i = 0; i < heads->n; i++)
        puts += heads->heads[i].is_put;
    if (puts > 1)
        conflicts_find(heads->heads, heads->n, &source, &conflicts);
    if (conflicts.count > 0)
        e->row.flags |= ENTRY_CONFLICT;
    struct view view = {.kind = kind_by_number(e->row.kind), .id = e->id, .revision = e->row.revision,
                        .owner = e->row.owner, .name = e->row.name, .created = e->row.created,
                        .head_count = e->row.head_count, .heads = heads, .merged = m, .mesh = &w->store->mesh,
                        .conflicts = &conflicts};
    buf_reset(&w->scratch);
    view_short(&w->scratch, &view);
    if (puts > 1)
        conflicts_close(&conflicts);
}

/* ---- the rows of an entry ---- */

static void put_json(struct work *w, const struct work_entry *e)
{
    assert((e->row.flags & ENTRY_SHOWN) != 0);
    assert(w->scratch.n > 0);
    struct dbkey key;
    struct json_row row = {.kind = e->row.kind, .owner = e->row.owner, .revision = e->row.revision,
                           .flags = e->row.flags, .text = buf_view(&w->scratch)};
    dbkey_of_id(&key, FAMILY_JSON, &e->id);
    buf_reset(&w->row);
    json_row_put(&w->row, &row);
    kv_batch_put(&w->batch, dbkey_view(&key), buf_view(&w->row));
}

static void count_entry(struct work *w, const struct work_entry *e, int64_t by)
{
    if (e->row.kind < STATS_KINDS)
        w->store->stats.entries[e->row.kind] += (uint64_t)by;
}

static void list_entry(struct work *w, const struct work_entry *e)
{
    bool was = (e->old_flags & ENTRY_SHOWN) != 0, is = (e->row.flags & ENTRY_SHOWN) != 0;
    if (was == is)
        return;
    struct dbkey key;
    dbkey_name(&key, e->row.kind, e->row.name);
    dbkey_add_id(&key, &e->id);
    if (is) {
        kv_batch_put(&w->batch, dbkey_view(&key), bytes_str(""));
    } else {
        kv_batch_delete(&w->batch, dbkey_view(&key));
        dbkey_of_id(&key, FAMILY_JSON, &e->id);
        kv_batch_delete(&w->batch, dbkey_view(&key));
    }
    count_entry(w, e, is ? 1 : -1);
}

static void list_conflict(struct work *w, const struct work_entry *e)
{
    bool was = (e->old_flags & ENTRY_CONFLICT) != 0, is = (e->row.flags & ENTRY_CONFLICT) != 0;
    if (was == is)
        return;
    struct dbkey key;
    uint8_t kind[2];
    put_be(kind, e->row.kind, 2);
    dbkey_of_id(&key, FAMILY_CONFLICT, &e->id);
    if (is)
        kv_batch_put(&w->batch, dbkey_view(&key), bytes_of(kind, 2));
    else
        kv_batch_delete(&w->batch, dbkey_view(&key));
    w->store->stats.conflicts += is ? 1 : UINT64_MAX;
}

static bool is_missing(const struct work_entry *e, const struct id *op)
{
    for (size_t i = 0; i < e->row.top_count && (e->row.flags & ENTRY_INCOMPLETE) != 0; i++)
        if (e->row.top[i].is_put && !e->row.top[i].has_body && id_eq(&e->row.top[i].op, op))
            return true;
    return false;
}

static bool was_missing(const struct work_entry *e, const struct id *op)
{
    for (size_t i = 0; i < e->old_missing_count; i++)
        if (id_eq(&e->old_missing[i], op))
            return true;
    return false;
}

/* True iff the bodies that are missing are not the same ones as before. */
static bool list_missing(struct work *w, const struct work_entry *e)
{
    bool changed = false;
    struct dbkey key;
    for (size_t i = 0; i < e->old_missing_count; i++) {
        if (is_missing(e, &e->old_missing[i]))
            continue;
        dbkey_of_id(&key, FAMILY_WANTED, &e->old_missing[i]);
        kv_batch_delete(&w->batch, dbkey_view(&key));
        w->store->stats.missing_bodies--;
        changed = true;
    }
    for (size_t i = 0; i < e->row.top_count; i++) {
        const struct head_row *h = &e->row.top[i];
        if (!is_missing(e, &h->op) || was_missing(e, &h->op))
            continue;
        struct wanted_row row = {.time = h->time, .delta = h->delta, .index = h->index};
        dbkey_of_id(&key, FAMILY_WANTED, &h->op);
        buf_reset(&w->row);
        wanted_row_put(&w->row, &row);
        kv_batch_put(&w->batch, dbkey_view(&key), buf_view(&w->row));
        w->store->stats.missing_bodies++;
        changed = true;
    }
    return changed;
}

static bool same_json(struct work *w, const struct work_entry *e)
{
    struct dbkey key;
    struct json_row row;
    dbkey_of_id(&key, FAMILY_JSON, &e->id);
    return work_get(w, dbkey_view(&key)) && json_row_get(buf_view(&w->row), &row) == ERR_OK &&
           bytes_eq(row.text, buf_view(&w->scratch));
}

/* The row for the change log, if a reader sees a difference. */
static void note_change(struct work *w, struct work_entry *e, bool missing_changed)
{
    assert(e->change == NULL);
    bool was = (e->old_flags & ENTRY_SHOWN) != 0, is = (e->row.flags & ENTRY_SHOWN) != 0;
    if (!was && !is)
        return;
    if (was && is && !missing_changed && e->old_flags == e->row.flags && id_eq(&e->old_revision, &e->row.revision) &&
        same_json(w, e))
        return;
    e->change = arena_alloc(&w->arena, sizeof *e->change);
    *e->change = (struct change_row){.kind = e->row.kind, .verb = is ? VERB_PUT : VERB_DELETE, .entry = e->id,
                                     .revision = e->row.revision};
}

static void show_entry(struct work *w, struct work_entry *e)
{
    struct show_heads heads, own = {.n = 0};
    struct merged m;
    if (e->recount_created)
        recount_created(w, e);
    show_load(w, e, &heads);
    assert(heads.n == e->row.top_count);
    resolve(heads.heads, heads.n, &m);
    if (policy_is_charter(w, e))
        policy_admission(w, e, 0, &own, &m);
    (void)entry_revision(e);
    set_flags(w, e, &m, kind_by_number(e->row.kind));
    buf_reset(&w->scratch);
    if ((e->row.flags & ENTRY_SHOWN) != 0)
        build_json(w, e, &heads, &m);
    note_change(w, e, list_missing(w, e));
    if ((e->row.flags & ENTRY_SHOWN) != 0)
        put_json(w, e);
    list_entry(w, e);
    list_conflict(w, e);
    e->dirty = true;
    merged_close(&m);
    show_close(&own);
    show_close(&heads);
}

void show_entries(struct work *w)
{
    for (size_t i = 0; i < w->entry_list.count && w->fault == ERR_OK; i++) {
        struct work_entry *e = w->entry_list.items[i];
        if (e->touched)
            show_entry(w, e);
    }
}
