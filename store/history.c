/*
 * What readers ask about one entry's past and its writers: old ops, what they carried, who may write. Safe from any
 * thread: each answer comes from one snapshot of the rows that a job has written.
 */
#include "crdt/alloc.h"
#include "crdt/record.h"
#include "store/work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What one answer is made from. */
struct view_of {
    const struct store *store;
    const struct kv_ops *ops;
    struct kv_snapshot *snap;
    struct id entry;
    struct buf entry_bytes, op_bytes, scratch;
    struct entry_row row;
};

static enum err get(struct view_of *v, const struct dbkey *key, struct buf *out)
{
    buf_reset(out);
    return v->ops->get(v->store->kv, v->snap, dbkey_view(key), out);
}

static enum err open_view(struct view_of *v, const struct store *s, const struct id *entry)
{
    struct dbkey key;
    *v = (struct view_of){.store = s, .ops = s->kv->ops, .snap = s->kv->ops->snapshot(s->kv), .entry = *entry};
    dbkey_of_id(&key, FAMILY_ENTRY, entry);
    enum err e = get(v, &key, &v->entry_bytes);
    return e == ERR_OK ? entry_row_get(buf_view(&v->entry_bytes), &v->row) : e;
}

static void close_view(struct view_of *v)
{
    v->ops->release(v->store->kv, v->snap);
    buf_close(&v->entry_bytes);
    buf_close(&v->op_bytes);
    buf_close(&v->scratch);
}

/* The op's row (borrowing v->op_bytes), its flags as they are now. */
static enum err get_op(struct view_of *v, const struct id *op, struct op_row *out)
{
    struct dbkey key;
    struct mark_row mark;
    if (v->row.op_count == 1) {
        *out = v->row.only;
        return id_eq(op, &v->row.only_op) ? ERR_OK : ERR_NOT_FOUND;
    }
    dbkey_pair(&key, FAMILY_OP, &v->entry, op);
    enum err e = get(v, &key, &v->op_bytes);
    if (e == ERR_OK)
        e = op_row_get(buf_view(&v->op_bytes), out);
    if (e != ERR_OK)
        return e;
    dbkey_pair(&key, FAMILY_MARK, &v->entry, op);
    e = get(v, &key, &v->scratch);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    if (e == ERR_OK)
        e = mark_row_get(buf_view(&v->scratch), &mark);
    if (e == ERR_OK)
        out->flags = mark.flags;
    return e;
}

/* ---- history ---- */

struct listing {
    const struct item *before;
    size_t limit;
    bool (*each)(void *ctx, const struct revision_info *);
    void *ctx;
};

/* Ops aside are no part of an entry's history. False: enough. */
static bool list_op(struct view_of *v, const struct id *op, struct listing *l, enum err *e)
{
    assert(l->limit > 0);
    struct op_row row;
    *e = get_op(v, op, &row);
    if (*e != ERR_OK)
        return false;
    if ((row.flags & OP_IN_SET) == 0)
        return true;
    struct revision_info info = {.op = *op, .delta = row.delta, .author = row.author, .time = row.time, .verb = row.verb,
                                 .head = (row.flags & OP_HEAD) != 0, .eligible = (row.flags & OP_ELIGIBLE) != 0,
                                 .has_body = (row.flags & OP_BODY) != 0, .parent_count = row.parent_count};
    if (row.parents.n > 0)
        memcpy(info.parents, row.parents.p, row.parents.n);
    l->limit--;
    return l->each(l->ctx, &info) && l->limit > 0;
}

static enum err list_indexed(struct view_of *v, struct listing *l)
{
    assert(v->row.op_count > 1);
    struct dbkey prefix, from;
    enum err e = ERR_OK;
    dbkey_of_id(&prefix, FAMILY_HISTORY, &v->entry);
    from = prefix;
    if (l->before != NULL) {
        dbkey_history(&from, &v->entry, l->before->time, &l->before->id);
        dbkey_add_be(&from, 0, 1);
    }
    struct kv_iter *it = v->ops->iter(v->store->kv, v->snap, dbkey_view(&prefix));
    for (bool on = v->ops->seek(it, dbkey_view(&from)); on; on = on && v->ops->next(it)) {
        struct bytes key = v->ops->key(it);
        struct id op = id_inverted_at(key, key.n - ID_BYTES);
        on = list_op(v, &op, l, &e);
    }
    enum err closed = v->ops->iter_close(it);
    return e != ERR_OK ? e : closed;
}

enum err store_history(const struct store *s, const struct id *entry, const struct history_page *page,
                       bool (*each)(void *ctx, const struct revision_info *), void *ctx)
{
    assert(page != NULL && each != NULL);
    struct view_of v;
    struct listing l = {.before = page->before, .limit = page->limit, .each = each, .ctx = ctx};
    enum err e = open_view(&v, s, entry);
    if (e == ERR_OK && page->limit > 0 && v.row.op_count > 1) {
        e = list_indexed(&v, &l);
    } else if (e == ERR_OK && page->limit > 0 && v.row.op_count == 1) {
        struct item only = {.time = v.row.only.time, .id = v.row.only_op};
        if (page->before == NULL || item_cmp(&only, page->before) < 0)
            list_op(&v, &only.id, &l, &e);
    }
    close_view(&v);
    return e;
}

/* ---- one old op ---- */

static enum err show_revision(const struct view_of *v, const struct op_row *row, const struct id *op, struct buf *out)
{
    assert(row->verb == VERB_PUT);
    struct show_heads heads = {.n = 1};
    struct merged m;
    struct view view = {.kind = kind_by_number(v->row.kind), .id = v->entry, .owner = v->row.owner, .name = v->row.name,
                        .created = v->row.created, .head_count = 1, .heads = &heads, .merged = &m,
                        .mesh = &v->store->mesh};
    heads.heads[0] = (struct head){.op = *op, .author = row->author, .time = row->time, .is_put = true, .has_body = true,
                                   .is_owner = key_eq(&row->author, &v->row.owner)};
    heads.deltas[0] = row->delta;
    if (body_parse(buf_view(&v->scratch), row->time, &heads.bodies[0]) == ERR_OK)
        heads.heads[0].body = &heads.bodies[0];
    revision_id(&view.revision, op, 1);
    resolve(heads.heads, 1, &m);
    struct buf text = {0};
    view_short(&text, &view);
    struct short_names names = {.kind = v->row.kind, .entry = view.id, .owner = view.owner, .revision = view.revision};
    enum err e = short_expand(v->store->texts, &names, buf_view(&text), out);
    buf_close(&text);
    merged_close(&m);
    show_close(&heads);
    return e;
}

enum err store_revision(const struct store *s, const struct id *entry, const struct id *op, struct buf *out)
{
    struct view_of v;
    struct op_row row;
    struct dbkey key;
    enum err e = open_view(&v, s, entry);
    if (e == ERR_OK && ((v.row.flags & ENTRY_HIDDEN) != 0 || kind_by_number(v.row.kind) == NULL))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        e = get_op(&v, op, &row);
    if (e == ERR_OK && (row.verb != VERB_PUT || (row.flags & OP_IN_SET) == 0))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK) {
        dbkey_body(&key, &row.delta, row.index);
        e = get(&v, &key, &v.scratch);
    }
    if (e == ERR_OK)
        e = show_revision(&v, &row, op, out);
    close_view(&v);
    return e;
}

/* ---- writers ---- */

/* The entry whose statements count here, if any do: member entries have those of the charter. */
static enum err statements_of(const struct view_of *v, struct id *out, bool *any)
{
    struct key founder;
    struct buf name = {0};
    *out = v->entry;
    *any = true;
    if (v->row.kind != KIND_MEMBER)
        return ERR_OK;
    enum err e = read_founder(v->store, &founder, &name, any);
    *any = *any && key_eq(&founder, &v->row.owner);
    if (*any)
        entry_id(out, KIND_CHARTER, &founder, buf_view(&name));
    buf_close(&name);
    return e;
}

enum { AT_KEY = 1 + ID_BYTES, AT_GRANTED = AT_KEY + ID_BYTES, AT_EPOCH = AT_GRANTED + 1, GRANT_KEY = AT_EPOCH + 8 };

/* Rows stand in the order (key, revoked before granted, epoch): the last granted one above the last revoked counts. */
enum err store_writers(const struct store *s, const struct id *entry, bool (*each)(void *, const struct grant *), void *ctx)
{
    struct view_of v;
    struct id source;
    struct dbkey prefix;
    bool any = false;
    enum err e = open_view(&v, s, entry);
    if (e == ERR_OK)
        e = statements_of(&v, &source, &any);
    if (e != ERR_OK || !any) {
        close_view(&v);
        return e;
    }
    struct grant best = {.granted = false};
    uint64_t revoked_below = 0; /* epochs below are taken back */
    bool more = true;
    dbkey_of_id(&prefix, FAMILY_GRANT, &source);
    struct kv_iter *it = v.ops->iter(s->kv, v.snap, dbkey_view(&prefix));
    for (bool on = v.ops->seek(it, dbkey_view(&prefix)); on && more; on = v.ops->next(it)) {
        struct bytes key = v.ops->key(it);
        assert(key.n == GRANT_KEY);
        struct grant row = {.key = key_at(key, AT_KEY), .epoch = get_be(key.p + AT_EPOCH, 8),
                            .granted = key.p[AT_GRANTED] != 0};
        if (!key_eq(&row.key, &best.key)) {
            more = !best.granted || each(ctx, &best);
            best = (struct grant){.key = row.key};
            revoked_below = 0;
        }
        if (!row.granted)
            revoked_below = row.epoch + 1;
        else if (row.epoch >= revoked_below)
            best = row;
    }
    e = v.ops->iter_close(it);
    if (more && best.granted)
        each(ctx, &best);
    close_view(&v);
    return e;
}
