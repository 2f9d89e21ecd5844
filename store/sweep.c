/*
 * What a change of policy or of the tables leaves to do, in portions: each sweep is a row with a cursor, written in the same batch as the
 * change itself, so that a crash loses none of it. Until a sweep has passed, what it would change stays as it was; all
 * counts stay consistent with that. Decides nothing but order and pace.
 */
#include "store/work.h"

#include <assert.h>
#include <string.h>

static void sweep_key(struct dbkey *out, enum sweep type, const struct key *key)
{
    assert(type >= SWEEP_AUTHOR && type <= SWEEP_CHAIN);
    dbkey_start(out, FAMILY_SWEEP);
    dbkey_add_be(out, (uint64_t)type, 1);
    dbkey_add_key(out, key);
}

static bool hidden_changed(const struct work *w, const struct work_entry *e)
{
    bool hides = policy_hides(&w->store->policy, &e->id, e->row.kind, &e->row.owner);
    return hides != ((e->row.flags & ENTRY_HIDDEN) != 0);
}

void sweep_add(struct work *w, enum sweep type, const struct key *key)
{
    const struct key none = {{0}};
    struct dbkey k;
    assert((key != NULL) == (type == SWEEP_AUTHOR));
    sweep_key(&k, type, key != NULL ? key : &none);
    w->sweeping = true;
    overlay_put(w, &k, bytes_str(""));
    if (type != SWEEP_ENTRIES)
        return; /* SWEEP_SHOW starts when the store is opened, with no job under way */
    for (size_t i = 0; i < w->entry_list.count; i++) { /* those of this job may not be on disk yet */
        struct work_entry *e = w->entry_list.items[i];
        e->touched |= hidden_changed(w, e);
    }
}

void sweep_put_off(struct work *w, const struct work_delta *d)
{
    struct dbkey k;
    struct key id;
    assert(d->put_off);
    memcpy(id.b, d->id.b, ID_BYTES);
    sweep_key(&k, SWEEP_CHAIN, &id);
    overlay_put(w, &k, bytes_of(d->author.b, ID_BYTES));
    w->sweeping = true;
}

/* One sweep under way. Its row holds the cursor; a policy change in between may have started it anew. */
struct pass {
    struct work *work;
    struct dbkey row;
    enum sweep type;
    struct key key;
};

static void save(struct pass *p, struct bytes cursor)
{
    overlay_put(p->work, &p->row, cursor);
}

static bool still_ours(const struct pass *p, struct bytes cursor)
{
    struct buf value = {0};
    bool same = overlay_get(p->work, &p->row, &value) && bytes_eq(buf_view(&value), cursor);
    buf_close(&value);
    return same;
}

static bool over_entries(const struct pass *p)
{
    return p->type == SWEEP_ENTRIES || p->type == SWEEP_SHOW;
}

static void visit_delta(struct pass *p, struct bytes key)
{
    assert(!over_entries(p));
    assert(key.n == 1 + 2 * ID_BYTES);
    struct work *w = p->work;
    struct key author = key_at(key, 1);
    struct id id = id_at(key, 1 + ID_BYTES);
    struct work_delta *d = work_delta(w, &author, &id);
    if (d == NULL) {
        work_corrupt(w);
        return;
    }
    bool direct = policy_direct(&w->store->policy, d->row.flags, &author);
    if (p->type == SWEEP_AUTHOR || direct != ((d->row.flags & DELTA_DIRECT) != 0)) {
        merge_set_direct(w, d, direct);
        work_delta_ops(w, d);
        for (size_t i = 0; i < d->op_count; i++)
            merge_judge(w, d->ops[i]);
    }
    merge_settle(w);
    policy_refresh(w);
}

static void visit_entry(struct pass *p, struct bytes key)
{
    assert(over_entries(p));
    assert(key.n == 1 + ID_BYTES);
    struct work *w = p->work;
    struct id id = id_at(key, 1);
    struct work_entry *e = work_entry(w, &id);
    if (e != NULL)
        e->touched |= p->type == SWEEP_SHOW || hidden_changed(w, e);
}

/* Most rows need no look: whether one does shows without loading it, unless this job works on it. */
static bool delta_unchanged(const struct work *w, struct bytes key, struct bytes value)
{
    const struct id no_id = {{0}};
    struct delta_row row;
    if (delta_row_get(value, &row) != ERR_OK)
        return false;
    struct key author = key_at(key, 1);
    struct id id = id_at(key, 1 + ID_BYTES);
    bool direct = policy_direct(&w->store->policy, row.flags, &author);
    return direct == ((row.flags & DELTA_DIRECT) != 0) && table_get(&w->deltas, &id, &no_id) == NULL;
}

static bool entry_unchanged(const struct work *w, struct bytes key, struct bytes value)
{
    struct entry_row row;
    if (entry_row_get(value, &row) != ERR_OK)
        return false;
    struct id id = id_at(key, 1);
    return policy_hides(&w->store->policy, &id, row.kind, &row.owner) == ((row.flags & ENTRY_HIDDEN) != 0);
}

static bool unchanged(const struct pass *p, struct bytes key, struct bytes value)
{
    if (p->type == SWEEP_AUTHOR || p->type == SWEEP_SHOW)
        return false;
    return p->type == SWEEP_ENTRIES ? entry_unchanged(p->work, key, value) : delta_unchanged(p->work, key, value);
}

static void prefix_of(const struct pass *p, struct dbkey *out)
{
    dbkey_start(out, over_entries(p) ? FAMILY_ENTRY : FAMILY_AUTHOR);
    if (p->type == SWEEP_AUTHOR)
        dbkey_add_key(out, &p->key);
}

/* Goes on from the cursor (the last key visited) until the end, the budget's end, or a new start of the same sweep. */
static void run(struct pass *p, struct bytes cursor)
{
    assert(p->work->sweep_left > 0);
    struct work *w = p->work;
    struct dbkey prefix, from;
    struct scan c;
    prefix_of(p, &prefix);
    from = prefix;
    if (cursor.n > 0) {
        from.n = 0;
        dbkey_add(&from, cursor.p, cursor.n);
        dbkey_add_be(&from, 0, 1);
    }
    scan_open(&c, w, &prefix, &from, UP);
    bool ours = true, more = true;
    while (ours && w->fault == ERR_OK && w->sweep_left > 0 && w->chain_left > 0 && (more = scan_next(&c))) {
        w->sweep_left--;
        if (unchanged(p, c.key, c.value) && w->sweep_left > 0)
            continue;
        save(p, c.key);
        if (over_entries(p))
            visit_entry(p, c.key);
        else
            visit_delta(p, c.key);
        ours = still_ours(p, c.key);
    }
    scan_close(&c);
    if (ours && !more)
        overlay_delete(w, &p->row);
}

static bool first_sweep(struct work *w, struct pass *p, struct buf *cursor)
{
    struct dbkey prefix;
    struct scan c;
    dbkey_start(&prefix, FAMILY_SWEEP);
    scan_open(&c, w, &prefix, &prefix, UP);
    bool there = scan_next(&c);
    if (there) {
        assert(c.key.n == 2 + ID_BYTES);
        *p = (struct pass){.work = w, .type = (enum sweep)c.key.p[1], .key = key_at(c.key, 2)};
        sweep_key(&p->row, p->type, &p->key);
        buf_put_bytes(cursor, c.value);
    }
    scan_close(&c);
    return there;
}

static void go_on(struct work *w, struct bytes key, struct bytes value)
{
    struct dbkey row;
    struct id id = id_at(key, 2);
    if (value.n != ID_BYTES) {
        work_corrupt(w);
        return;
    }
    struct key author = key_at(value, 0);
    row.n = 0;
    dbkey_add(&row, key.p, key.n);
    overlay_delete(w, &row);
    struct work_delta *d = work_delta(w, &author, &id);
    if (d == NULL)
        work_corrupt(w);
    else
        merge_again(w, d);
    merge_settle(w);
}

/* Deltas that jobs have put off, as far as this job may go. What it puts off itself is left for the next one. */
static void run_chain(struct work *w)
{
    assert(w->op_first == NULL && w->delta_first == NULL);
    struct dbkey prefix;
    struct scan c;
    dbkey_start(&prefix, FAMILY_SWEEP);
    dbkey_add_be(&prefix, SWEEP_CHAIN, 1);
    scan_open(&c, w, &prefix, &prefix, UP);
    while (w->fault == ERR_OK && w->chain_left > 0 && scan_next(&c))
        go_on(w, c.key, c.value);
    scan_close(&c);
}

void sweep_run(struct work *w)
{
    struct pass p;
    struct buf cursor = {0};
    while (w->sweeping && w->fault == ERR_OK && first_sweep(w, &p, &cursor)) {
        w->more = w->sweep_left == 0 || w->chain_left == 0;
        if (w->more)
            break;
        if (p.type == SWEEP_CHAIN)
            run_chain(w);
        else
            run(&p, buf_view(&cursor));
        buf_reset(&cursor);
    }
    buf_close(&cursor);
}

enum err sweep_pending(const struct store *s, enum sweep type, bool *pending)
{
    const struct key none = {{0}};
    struct dbkey key;
    struct buf row = {0};
    sweep_key(&key, type, &none);
    enum err e = s->kv->ops->get(s->kv, NULL, dbkey_view(&key), &row);
    *pending = e == ERR_OK;
    buf_close(&row);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err sweep_load(struct store *s)
{
    struct dbkey prefix;
    dbkey_start(&prefix, FAMILY_SWEEP);
    struct kv_iter *it = s->kv->ops->iter(s->kv, NULL, dbkey_view(&prefix));
    s->sweeping = s->kv->ops->seek(it, dbkey_view(&prefix));
    return s->kv->ops->iter_close(it);
}
