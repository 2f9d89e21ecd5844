/*
 * What readers ask: point lookups and scans over rows that a job has written. Safe from any thread: nothing here looks at
 * the writer's memory. Computes nothing that could have been stored.
 */
#include "crdt/alloc.h"
#include "crdt/record.h"
#include "store/work.h"

#include <assert.h>
#include <stdlib.h>

static enum err get_row(const struct store *s, const struct kv_snapshot *snap, enum family family, const struct id *id,
                        struct buf *out)
{
    struct dbkey key;
    dbkey_of_id(&key, family, id);
    return s->kv->ops->get(s->kv, snap, dbkey_view(&key), out);
}

enum err store_get(const struct store *s, uint64_t kind, const struct id *id, struct entry_info *info, struct buf *out)
{
    struct buf row = {0};
    struct json_row json;
    enum err e = get_row(s, NULL, FAMILY_JSON, id, &row);
    if (e == ERR_OK)
        e = json_row_get(buf_view(&row), &json);
    if (e == ERR_OK && json.kind != kind)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK) {
        struct short_names names = {.kind = kind, .entry = *id, .owner = json.owner, .revision = json.revision};
        *info = (struct entry_info){.kind = json.kind, .owner = json.owner, .id = *id, .revision = json.revision,
                                    .incomplete = (json.flags & ENTRY_INCOMPLETE) != 0};
        e = short_expand(s->texts, &names, json.text, out);
    }
    buf_close(&row);
    return e;
}

enum err store_entry(const struct store *s, const struct id *id, struct entry_info *info, struct buf *name)
{
    struct buf row = {0};
    struct entry_row entry;
    enum err e = get_row(s, NULL, FAMILY_ENTRY, id, &row);
    if (e == ERR_OK)
        e = entry_row_get(buf_view(&row), &entry);
    if (e == ERR_OK) {
        *info = (struct entry_info){.kind = entry.kind, .owner = entry.owner, .id = *id, .revision = entry.revision,
                                    .incomplete = (entry.flags & ENTRY_INCOMPLETE) != 0,
                                    .deleted = entry.put_count == 0};
        if (name != NULL)
            buf_put_bytes(name, entry.name);
    }
    buf_close(&row);
    return e;
}

bool store_is_kind(const struct store *s, const struct id *id, uint64_t kind)
{
    struct entry_info info;
    return kind == 0 || store_entry(s, id, &info, NULL) != ERR_OK || info.kind == kind;
}

enum err store_by_name(const struct store *s, uint64_t kind, struct bytes name, struct store_named *out)
{
    assert(out->max == 0 || out->ids != NULL);
    struct dbkey prefix;
    out->count = 0;
    if (kind > MODEL_KIND_MAX || name.n > MODEL_NAME_MAX)
        return ERR_OK;
    dbkey_name(&prefix, kind, name);
    const struct kv_ops *o = s->kv->ops;
    struct kv_iter *it = o->iter(s->kv, NULL, dbkey_view(&prefix));
    for (bool on = o->seek(it, dbkey_view(&prefix)); on; on = o->next(it)) {
        struct bytes key = o->key(it);
        if (out->count < out->max)
            out->ids[out->count] = id_at(key, key.n - ID_BYTES);
        out->count++;
    }
    return o->iter_close(it);
}

/* ---- listing ---- */

struct store_scan {
    const struct store *store;
    struct kv_iter *it;
    struct buf name;
    struct dbkey from;
    bool begun;
};

struct store_scan *store_scan_open(const struct store *s, uint64_t kind, struct bytes after_name, const struct id *after_id)
{
    struct store_scan *c = mem_zalloc(sizeof *c);
    struct dbkey prefix;
    dbkey_start(&prefix, FAMILY_NAME);
    dbkey_add_be(&prefix, kind <= MODEL_KIND_MAX ? kind : MODEL_KIND_MAX, 2);
    c->store = s;
    c->it = s->kv->ops->iter(s->kv, NULL, dbkey_view(&prefix));
    c->from = prefix;
    if (after_name.p != NULL && after_name.n <= MODEL_NAME_MAX) {
        dbkey_name(&c->from, kind, after_name);
        if (after_id != NULL)
            dbkey_add_id(&c->from, after_id);
        dbkey_add_be(&c->from, 0, 1); /* the key right after it */
    }
    return c;
}

bool store_scan_next(struct store_scan *c, struct id *id, struct bytes *name)
{
    const struct kv_ops *o = c->store->kv->ops;
    bool on = c->begun ? o->next(c->it) : o->seek(c->it, dbkey_view(&c->from));
    c->begun = true;
    if (!on)
        return false;
    buf_reset(&c->name);
    dbkey_name_parse(o->key(c->it), id, &c->name);
    *name = buf_view(&c->name);
    return true;
}

enum err store_scan_close(struct store_scan *c)
{
    if (c == NULL)
        return ERR_OK;
    enum err e = c->store->kv->ops->iter_close(c->it);
    buf_close(&c->name);
    free(c);
    return e;
}

enum err store_conflicts(const struct store *s, bool (*each)(void *, const struct store_change *), void *ctx)
{
    struct dbkey prefix;
    const struct kv_ops *o = s->kv->ops;
    dbkey_start(&prefix, FAMILY_CONFLICT);
    struct kv_iter *it = o->iter(s->kv, NULL, dbkey_view(&prefix));
    for (bool on = o->seek(it, dbkey_view(&prefix)); on; on = o->next(it)) {
        struct bytes value = o->value(it);
        struct store_change c = {.kind = value.n == 2 ? get_be(value.p, 2) : 0, .entry = id_at(o->key(it), 1)};
        if (!each(ctx, &c))
            break;
    }
    return o->iter_close(it);
}

/* ---- the local log of changes ---- */

enum err store_changes(const struct store *s, uint64_t after_seq, size_t limit,
                       bool (*each)(void *ctx, const struct change_info *), void *ctx)
{
    assert(each != NULL);
    struct dbkey prefix, from;
    const struct kv_ops *o = s->kv->ops;
    dbkey_start(&prefix, FAMILY_CHANGE);
    from = prefix;
    dbkey_add_be(&from, after_seq == UINT64_MAX ? after_seq : after_seq + 1, 8);
    struct kv_iter *it = o->iter(s->kv, NULL, dbkey_view(&prefix));
    bool on = o->seek_back(it, dbkey_view(&from)) || o->seek(it, dbkey_view(&from));
    for (; on && limit > 0; on = on && o->next(it)) {
        uint64_t first = get_be(o->key(it).p + 1, 8);
        struct bytes chunk = o->value(it);
        for (size_t i = 0; i < chunk.n / CHANGE_ROW_BYTES && limit > 0 && on; i++) {
            if (first + i <= after_seq)
                continue;
            struct change_row row;
            change_row_at(chunk, i, &row);
            struct change_info info = {.seq = first + i, .kind = row.kind, .entry = row.entry,
                                       .revision = row.revision, .verb = row.verb};
            on = each(ctx, &info);
            limit--;
        }
    }
    return o->iter_close(it);
}

/* ---- deltas ---- */

/* An op whose body is stored under (delta, index). */
static void add_bodies(const struct kv_ops *o, struct kv_iter *it, struct bundle *b)
{
    assert(b->body_count == 0 && b->bodies == NULL);
    size_t cap = 0;
    for (bool on = o->next(it); on; on = o->next(it)) {
        struct bytes key = o->key(it), body = o->value(it);
        if (key.n != 1 + ID_BYTES + 2)
            continue;
        if (b->body_count == cap) {
            cap = cap == 0 ? 8 : cap * 2;
            b->bodies = mem_realloc(b->bodies, cap, sizeof *b->bodies);
        }
        b->bodies[b->body_count++] = (struct bundle_body){
            .index = (uint16_t)get_be(key.p + 1 + ID_BYTES, 2), .body = bytes_of(mem_dup(body.p, body.n), body.n)};
    }
}

enum err read_bundle(struct kv *kv, const struct kv_snapshot *snap, const struct id *delta, struct buf *out)
{
    struct dbkey prefix;
    struct buf row = {0};
    struct bundle b = {0};
    struct delta_record record;
    const struct kv_ops *o = kv->ops;
    dbkey_of_id(&prefix, FAMILY_DELTA, delta);
    struct kv_iter *it = o->iter(kv, snap, dbkey_view(&prefix));
    enum err e = ERR_NOT_FOUND;
    if (o->seek(it, dbkey_view(&prefix)) && o->key(it).n == prefix.n) {
        buf_put_bytes(&row, o->value(it));
        e = delta_record_get(buf_view(&row), &record);
        add_bodies(o, it, &b);
    }
    enum err closed = o->iter_close(it);
    e = closed != ERR_OK ? closed : e;
    if (e == ERR_OK) {
        b.delta = record.bytes;
        for (size_t i = 0; i < SIG_BYTES; i++)
            b.sig[i] = record.sig[i];
        bundle_encode(&b, out);
    }
    for (size_t i = 0; i < b.body_count; i++)
        free((void *)(uintptr_t)b.bodies[i].body.p);
    free(b.bodies);
    buf_close(&row);
    return e;
}

enum err store_bundle(const struct store *s, const struct id *delta, struct buf *out)
{
    return read_bundle(s->kv, NULL, delta, out);
}

enum err store_missing(const struct store *s, const struct id *after, size_t limit,
                       bool (*each)(void *, const struct id *op, const struct item *delta, uint16_t index), void *ctx)
{
    assert(each != NULL);
    struct dbkey prefix, from;
    const struct kv_ops *o = s->kv->ops;
    dbkey_start(&prefix, FAMILY_WANTED);
    from = prefix;
    if (after != NULL) {
        dbkey_add_id(&from, after);
        dbkey_add_be(&from, 0, 1);
    }
    struct kv_iter *it = o->iter(s->kv, NULL, dbkey_view(&prefix));
    enum err e = ERR_OK;
    for (bool on = o->seek(it, dbkey_view(&from)); on && limit > 0 && e == ERR_OK; on = on && o->next(it)) {
        struct wanted_row row;
        struct id op = id_at(o->key(it), 1);
        e = wanted_row_get(o->value(it), &row);
        struct item item = {.time = row.time, .id = row.delta};
        on = e == ERR_OK && each(ctx, &op, &item, row.index);
        limit--;
    }
    enum err closed = o->iter_close(it);
    return closed != ERR_OK ? closed : e;
}

enum err store_load_set(const struct store *s, struct setindex *set)
{
    struct dbkey prefix;
    const struct kv_ops *o = s->kv->ops;
    dbkey_start(&prefix, FAMILY_SET);
    struct kv_iter *it = o->iter(s->kv, NULL, dbkey_view(&prefix));
    for (bool on = o->seek(it, dbkey_view(&prefix)); on; on = o->next(it)) {
        struct bytes key = o->key(it);
        struct item item = {.time = get_be(key.p + 1, 8), .id = id_at(key, 9)};
        setindex_insert(set, &item);
    }
    return o->iter_close(it);
}

/* ---- the whole state as one hash ---- */

static int id_order(const void *a, const void *b)
{
    return id_cmp(a, b);
}

static void hash_entry(struct hasher *h, const struct id *id, const struct entry_row *row)
{
    assert(row->top_count <= MODEL_HEADS_READ);
    struct id missing[MODEL_HEADS_READ];
    size_t n = 0;
    for (size_t i = 0; i < row->top_count; i++)
        if (row->top[i].is_put && !row->top[i].has_body)
            missing[n++] = row->top[i].op;
    if (n > 1)
        qsort(missing, n, sizeof *missing, id_order);
    hash_part(h, id->b, ID_BYTES);
    hash_part(h, row->revision.b, ID_BYTES);
    hash_part(h, missing, n * sizeof *missing);
}

enum err store_state_hash(const struct store *s, struct id *out)
{
    struct dbkey prefix;
    struct hasher h;
    struct entry_row row;
    const struct kv_ops *o = s->kv->ops;
    enum err e = ERR_OK;
    hash_init(&h, "souk/state/1");
    dbkey_start(&prefix, FAMILY_ENTRY);
    struct kv_iter *it = o->iter(s->kv, NULL, dbkey_view(&prefix));
    for (bool on = o->seek(it, dbkey_view(&prefix)); on && e == ERR_OK; on = o->next(it)) {
        struct id id = id_at(o->key(it), 1);
        e = entry_row_get(o->value(it), &row);
        if (e == ERR_OK && row.head_count > 0 && (row.flags & ENTRY_HIDDEN) == 0)
            hash_entry(&h, &id, &row);
    }
    enum err closed = o->iter_close(it);
    e = closed != ERR_OK ? closed : e;
    if (e == ERR_OK)
        hash_end(&h, out);
    return e;
}
