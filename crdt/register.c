/*
 * Heads in reading order, the revision that names them, and the merge of their fields (MODEL 5).
 * Pure functions over what the caller looked up; refuses to know where heads come from, who may
 * write, or what a field means. Every choice has a total order, so equal inputs give equal bytes.
 */
#include "crdt/register.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int head_cmp(const struct head *a, const struct head *b)
{
    if (a->is_put != b->is_put)
        return a->is_put ? -1 : 1;
    if (a->is_owner != b->is_owner)
        return a->is_owner ? -1 : 1;
    if (a->time != b->time)
        return a->time > b->time ? -1 : 1;
    return id_cmp(&b->op, &a->op);
}

static int id_order(const void *a, const void *b)
{
    return id_cmp(a, b);
}

void revision_id(struct id *out, const struct id *ops, size_t n)
{
    struct id sorted[MODEL_HEADS_READ];
    assert(n <= MODEL_HEADS_READ);
    for (size_t i = 0; i < n; i++)
        sorted[i] = ops[i];
    qsort(sorted, n, sizeof *sorted, id_order);

    struct hasher h;
    hash_init(&h, "souk/revision/1");
    for (size_t i = 0; i < n; i++)
        hash_part(&h, sorted[i].b, ID_BYTES);
    hash_end(&h, out);
}

bool value_is_nil(struct bytes value)
{
    return value.n == 1 && value.p[0] == 0xc0;
}

/* Names in order; within one name the newest first, then the order of the heads. */
static int version_order(const void *a, const void *b)
{
    const struct merged_field *x = a, *y = b;
    int c = bytes_cmp(x->field.name, y->field.name);
    if (c != 0)
        return c;
    if (x->field.changed_at != y->field.changed_at)
        return x->field.changed_at > y->field.changed_at ? -1 : 1;
    return (x->head > y->head) - (x->head < y->head);
}

/* True iff x wins over y, two versions of one instant. */
static bool value_wins(struct bytes x, struct bytes y)
{
    struct id hx, hy;
    if (bytes_eq(x, y))
        return false;
    value_hash(&hx, x);
    value_hash(&hy, y);
    return id_cmp(&hx, &hy) > 0;
}

/* Keeps the winner of each name of the sorted versions, in place. */
static size_t keep_winners(struct merged_field *v, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct merged_field *last = kept > 0 ? &v[kept - 1] : NULL;
        if (last == NULL || !bytes_eq(last->field.name, v[i].field.name)) {
            v[kept++] = v[i];
            continue;
        }
        assert(last->field.changed_at >= v[i].field.changed_at);
        if (last->field.changed_at == v[i].field.changed_at &&
            value_wins(v[i].field.value, last->field.value))
            *last = v[i];
    }
    assert(kept <= n);
    return kept;
}

/* Gathers the versions that `since` lets through; returns from how many bodies. */
static size_t gather(const struct head *heads, size_t n, struct merged *m)
{
    size_t bodies = 0;
    for (size_t i = 0; i < n; i++) {
        const struct body *b = heads[i].is_put && heads[i].has_body ? heads[i].body : NULL;
        if (b == NULL)
            continue;
        bodies++;
        for (size_t k = 0; k < b->field_count; k++) {
            if (m->since > 0 && b->fields[k].changed_at <= m->since)
                continue;
            m->fields[m->field_count++] = (struct merged_field){.field = b->fields[k], .head = i};
        }
    }
    return bodies;
}

void resolve(const struct head *heads, size_t n, struct merged *out)
{
    struct merged m = {.deleted = true};
    size_t room = 0;
    for (size_t i = 0; i < n; i++) {
        const struct head *h = &heads[i];
        if (h->time > m.newest)
            m.newest = h->time;
        if (!h->is_put) {
            m.newest_delete = h->time > m.newest_delete ? h->time : m.newest_delete;
            continue;
        }
        m.deleted = false;
        m.incomplete |= !h->has_body;
        if (!h->has_body || h->body == NULL)
            continue;
        room += h->body->field_count;
        if (h->body->since > m.since)
            m.since = h->body->since;
    }
    m.fields = mem_calloc(room, sizeof *m.fields);
    if (gather(heads, n, &m) > 1) {
        qsort(m.fields, m.field_count, sizeof *m.fields, version_order);
        m.field_count = keep_winners(m.fields, m.field_count);
    }
    assert(m.field_count <= room);
    *out = m;
}

void merged_close(struct merged *m)
{
    free(m->fields);
    *m = (struct merged){0};
}

/* Index of the first field whose name is not below this one. */
static size_t lower(const struct merged *m, struct bytes name)
{
    size_t low = 0, high = m->field_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (bytes_cmp(m->fields[mid].field.name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct merged_field *merged_find(const struct merged *m, struct bytes name)
{
    size_t at = lower(m, name);
    return at < m->field_count && bytes_eq(m->fields[at].field.name, name) ? &m->fields[at] : NULL;
}

void merged_set(struct merged *m, struct bytes name, const struct field *version)
{
    size_t at = lower(m, name), after = at;
    if (at < m->field_count && bytes_eq(m->fields[at].field.name, name))
        after++;
    size_t rest = m->field_count - after, room = version != NULL ? 1 : 0;
    if (at + room > after)
        m->fields = mem_realloc(m->fields, at + room + rest, sizeof *m->fields);
    memmove(m->fields + at + room, m->fields + after, rest * sizeof *m->fields);
    if (version != NULL)
        m->fields[at] = (struct merged_field){.field = *version};
    m->field_count = at + room + rest;
    assert(version == NULL || bytes_eq(version->name, name));
}
