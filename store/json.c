/*
 * The entry as a reader gets it: `{"model":{...},"meta":{...` without the end, which the sender appends; in the short form of
 * crdt/record.h. A pure function of the heads looked at. Owns the members of `meta`; the record itself is written by
 * crdt/record_json.c.
 */
#include "crdt/moved.h"
#include "crdt/record.h"
#include "store/work.h"

#include <assert.h>

static void put_hex(struct buf *out, const char *before, enum short_code code, const uint8_t *bytes)
{
    buf_put_str(out, before);
    short_put(out, code, bytes);
    buf_put_u8(out, '"');
}

static void put_author(struct buf *out, const struct key *author, const struct key *owner)
{
    bool same = key_eq(author, owner);
    put_hex(out, ",\"author\":\"", same ? SHORT_OWNER : SHORT_HEX, same ? NULL : author->b);
}

static void put_time(struct buf *out, const char *before, uint64_t time)
{
    char text[25];
    json_time(text, time);
    buf_put_str(out, before);
    buf_put_str(out, text);
    buf_put_u8(out, '"');
}

static void put_conflicts(struct buf *out, const struct conflicts *c)
{
    buf_put_str(out, ",\"conflicts\":[");
    for (size_t i = 0; c != NULL && i < c->count; i++) {
        buf_put_str(out, i == 0 ? "{\"field\":" : ",{\"field\":");
        json_put_string(out, c->items[i].name);
        buf_put_str(out, ",\"values\":[");
        for (size_t k = 0; k < c->items[i].count; k++) {
            if (k > 0)
                buf_put_u8(out, ',');
            json_put_value(out, c->items[i].versions[k].value);
        }
        buf_put_str(out, "]}");
    }
    buf_put_u8(out, ']');
}

/* The newest put looked at, by (time, op id). */
static size_t newest_put(const struct show_heads *h)
{
    size_t best = h->n;
    for (size_t i = 0; i < h->n; i++) {
        const struct head *x = &h->heads[i];
        if (!x->is_put)
            continue;
        if (best == h->n || x->time > h->heads[best].time ||
            (x->time == h->heads[best].time && id_cmp(&x->op, &h->heads[best].op) > 0))
            best = i;
    }
    assert(best < h->n);
    return best;
}

static uint64_t newest_time(const struct show_heads *h)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < h->n; i++)
        newest = h->heads[i].time > newest ? h->heads[i].time : newest;
    return newest;
}

/* `moved`: NULL where the owner did not say so. */
static void put_meta(struct buf *out, const struct view *v, const struct record_meta *meta, const struct moved *moved)
{
    assert(v->kind != NULL && v->heads->n > 0);
    size_t newest = newest_put(v->heads);
    put_hex(out, ",\"meta\":{\"id\":\"", SHORT_ENTRY, NULL);
    buf_put_str(out, ",\"kind\":\"");
    buf_put_str(out, v->kind->singular);
    put_hex(out, "\",\"owner\":\"", SHORT_OWNER, NULL);
    buf_put_str(out, ",\"name\":");
    json_put_string(out, v->name);
    put_hex(out, ",\"revision\":\"", SHORT_REVISION, NULL);
    put_time(out, ",\"created_at\":\"", meta->created_at);
    put_time(out, ",\"updated_at\":\"", meta->updated_at);
    put_author(out, &v->heads->heads[newest].author, &v->owner);
    put_hex(out, ",\"delta\":\"", SHORT_HEX, v->heads->deltas[newest].b);
    buf_put_str(out, ",\"heads\":");
    json_put_uint(out, v->head_count);
    put_conflicts(out, v->conflicts);
    if (moved != NULL)
        put_hex(out, ",\"moved_to\":\"", SHORT_HEX, moved->successor.b);
    buf_put_str(out, v->merged->incomplete ? ",\"incomplete\":true" : ",\"incomplete\":false");
}

void view_short(struct buf *out, const struct view *v)
{
    assert(v->heads->n <= MODEL_HEADS_READ && !v->merged->deleted);
    struct record_meta meta = {.id = v->id, .owner = v->owner, .name = v->name, .created_at = v->created,
                               .updated_at = newest_time(v->heads)};
    if (meta.created_at == HLC_NEVER) /* no op of the owner: the oldest head looked at */
        for (size_t i = 0; i < v->heads->n; i++)
            if (v->heads->heads[i].time < meta.created_at)
                meta.created_at = v->heads->heads[i].time;
    struct moved moved = {.mesh = *v->mesh, .entry = v->id};
    bool has_moved = moved_judge(v->merged, &v->owner, &moved);
    buf_put_str(out, "{\"");
    buf_put_str(out, v->kind->singular);
    buf_put_str(out, "\":");
    record_short(v->kind, v->merged, &meta, out);
    put_meta(out, v, &meta, has_moved ? &moved : NULL);
}
