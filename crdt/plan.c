/*
 * The body of a new put (MODEL 5): what the writer asks for, laid over what the heads it merges hold.
 * Keeps the version of every value that does not change, so that a write claims only the edits that
 * it makes. Refuses to know the schema: values were checked where they entered.
 */
#include "crdt/register.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The fields of the body being planned. */
struct plan {
    const struct merged *now;
    const struct change *change;
    uint64_t time;
    size_t count;
    struct field *fields;
};

static void emit(struct plan *p, struct field f)
{
    assert(f.changed_at <= p->time);
    assert(p->count == 0 || bytes_cmp(p->fields[p->count - 1].name, f.name) < 0);
    p->fields[p->count++] = f;
}

static void plan_named(struct plan *p, const struct field *old, const struct field *asked)
{
    bool gone = value_is_nil(asked->value);
    if (old != NULL && bytes_eq(old->value, asked->value))
        emit(p, *old);
    else if (old != NULL || !gone)
        emit(p, (struct field){.name = asked->name, .changed_at = p->time, .value = asked->value});
}

static void plan_unnamed(struct plan *p, const struct field *old)
{
    static const uint8_t nil = 0xc0;
    const struct merged *shown = p->change->shown != NULL ? p->change->shown : p->now;
    const struct merged_field *seen = NULL;
    if (p->change->mode == CHANGE_REPLACE && !value_is_nil(old->value))
        seen = merged_find(shown, old->name);
    if (seen != NULL && !value_is_nil(seen->field.value))
        emit(p, (struct field){
                    .name = old->name, .changed_at = p->time, .value = bytes_of(&nil, 1)});
    else
        emit(p, *old);
}

/* Walks both lists of names in step. */
static void plan_fields(struct plan *p)
{
    size_t i = 0, k = 0;
    while (i < p->now->field_count || k < p->change->field_count) {
        const struct field *old = i < p->now->field_count ? &p->now->fields[i].field : NULL;
        const struct field *asked =
            k < p->change->field_count ? &p->change->fields[k] : NULL;
        int c = old == NULL ? 1 : asked == NULL ? -1 : bytes_cmp(old->name, asked->name);
        if (c < 0)
            plan_unnamed(p, old);
        else
            plan_named(p, c == 0 ? old : NULL, asked);
        i += c <= 0;
        k += c >= 0;
    }
}

/* MODEL 5, a merged body over the limit: live fields only, all of them as of this write. */
static void compact(struct plan *p)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (value_is_nil(p->fields[i].value))
            continue;
        p->fields[kept] = p->fields[i];
        p->fields[kept++].changed_at = p->time;
    }
    p->count = kept;
}

static enum err encode_within(const struct body *body, struct buf *out)
{
    size_t before = out->n;
    if (body->field_count > MODEL_FIELDS_MAX)
        return ERR_TOO_LARGE;
    body_encode(body, out);
    if (out->n - before <= MODEL_BODY_MAX)
        return ERR_OK;
    out->n = before;
    return ERR_TOO_LARGE;
}

enum err plan_put(const struct merged *now, const struct change *change, const uint8_t salt[16],
                  uint64_t time, struct buf *body_out)
{
    assert(time > now->newest && now->newest >= now->newest_delete);
    assert(now->since < time);
    struct plan p = {.now = now, .change = change, .time = time};
    p.fields = mem_calloc(now->field_count + change->field_count, sizeof *p.fields);
    plan_fields(&p);

    struct body body = {.since = now->deleted ? now->newest_delete : now->since};
    memcpy(body.salt, salt, sizeof body.salt);
    body.field_count = p.count;
    body.fields = p.fields;
    enum err e = encode_within(&body, body_out);
    if (e == ERR_TOO_LARGE) {
        compact(&p);
        body.field_count = p.count;
        body.since = now->newest;
        e = encode_within(&body, body_out);
    }
    free(p.fields);
    return e;
}
