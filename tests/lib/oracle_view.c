/*
 * What a reader of one entry sees by the plain definition, once it is known which ops are its heads: their order, the
 * fields merged over them, the revision. Knows nothing of who may write.
 */
#include "tests/lib/oracle_view.h"

#include "crdt/alloc.h"

#include <stdlib.h>
#include <string.h>

static bool reads_before(const struct oracle *o, size_t x, size_t y)
{
    bool put_x = o->ops[x].op->verb == VERB_PUT, put_y = o->ops[y].op->verb == VERB_PUT;
    uint64_t time_x = o->deltas[o->ops[x].delta].d.time, time_y = o->deltas[o->ops[y].delta].d.time;
    if (put_x != put_y)
        return put_x;
    if (oracle_by_owner(o, x) != oracle_by_owner(o, y))
        return oracle_by_owner(o, x);
    if (time_x != time_y)
        return time_x > time_y;
    return id_cmp(&o->ops[x].id, &o->ops[y].id) > 0;
}

void oracle_add_head(const struct oracle *o, struct oracle_entry *e, size_t op)
{
    e->heads = mem_realloc(e->heads, e->head_count + 1, sizeof *e->heads);
    size_t at = e->head_count++;
    for (; at > 0 && reads_before(o, op, e->heads[at - 1]); at--)
        e->heads[at] = e->heads[at - 1];
    e->heads[at] = op;
}

/* Does version x of one name win over y? */
static bool wins(const struct field *x, const struct field *y)
{
    struct id hx, hy;
    if (x->changed_at != y->changed_at)
        return x->changed_at > y->changed_at;
    value_hash(&hx, x->value);
    value_hash(&hy, y->value);
    return id_cmp(&hx, &hy) > 0;
}

void oracle_offer(struct oracle_entry *e, const struct field *f)
{
    size_t at = 0;
    while (at < e->field_count && bytes_cmp(e->fields[at].name, f->name) < 0)
        at++;
    if (at < e->field_count && bytes_eq(e->fields[at].name, f->name)) {
        if (wins(f, &e->fields[at]))
            e->fields[at] = *f;
        return;
    }
    e->fields = mem_realloc(e->fields, e->field_count + 1, sizeof *e->fields);
    memmove(e->fields + at + 1, e->fields + at, (e->field_count - at) * sizeof *e->fields);
    e->fields[at] = *f;
    e->field_count++;
}

static void merge_fields(const struct oracle *o, struct oracle_entry *e, size_t looked)
{
    uint64_t since = 0;
    for (size_t i = 0; i < looked; i++) {
        const struct oracle_op *op = &o->ops[e->heads[i]];
        if (op->well_formed && op->body.since > since)
            since = op->body.since;
    }
    for (size_t i = 0; i < looked; i++) {
        const struct oracle_op *op = &o->ops[e->heads[i]];
        for (size_t k = 0; op->well_formed && k < op->body.field_count; k++)
            if (since == 0 || op->body.fields[k].changed_at > since)
                oracle_offer(e, &op->body.fields[k]);
    }
}

static void note_missing(struct oracle_entry *e, const struct id *op)
{
    size_t at = e->missing_count++;
    for (; at > 0 && id_cmp(op, &e->missing[at - 1]) < 0; at--)
        e->missing[at] = e->missing[at - 1];
    e->missing[at] = *op;
}

static void find_revision(const struct oracle *o, struct oracle_entry *e, size_t looked)
{
    const struct id *last = NULL;
    struct hasher h;
    hash_init(&h, "souk/revision/1");
    for (size_t i = 0; i < looked; i++) {
        const struct id *next = NULL;
        for (size_t k = 0; k < looked; k++) {
            const struct id *id = &o->ops[e->heads[k]].id;
            if ((last == NULL || id_cmp(id, last) > 0) && (next == NULL || id_cmp(id, next) < 0))
                next = id;
        }
        hash_part(&h, next->b, ID_BYTES);
        last = next;
    }
    hash_end(&h, &e->revision);
}

/* What a reader sees, once the heads are there. */
void oracle_read(const struct oracle *o, struct oracle_entry *e)
{
    size_t looked = e->head_count < MODEL_HEADS_READ ? e->head_count : MODEL_HEADS_READ;
    e->deleted = true;
    for (size_t i = 0; i < e->head_count; i++)
        if (o->ops[e->heads[i]].op->verb == VERB_PUT)
            e->deleted = false;
    for (size_t i = 0; i < looked; i++) {
        const struct oracle_op *op = &o->ops[e->heads[i]];
        if (op->op->verb == VERB_PUT && !op->has_body)
            note_missing(e, &op->id);
    }
    e->incomplete = e->missing_count > 0;
    merge_fields(o, e, looked);
    find_revision(o, e, looked);
}

void oracle_forget(struct oracle_entry *e)
{
    free(e->heads);
    free(e->fields);
    e->heads = NULL;
    e->fields = NULL;
    e->head_count = e->field_count = e->missing_count = 0;
}

const struct field *oracle_field(const struct oracle_entry *e, struct bytes name)
{
    for (size_t i = 0; i < e->field_count; i++)
        if (bytes_eq(e->fields[i].name, name))
            return &e->fields[i];
    return NULL;
}
