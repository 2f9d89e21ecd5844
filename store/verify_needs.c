/*
 * Which deltas the rows of one entry follow from: those with an op of it; for each of them what decides whether its
 * author is admitted (the charter, the member entries of the keys that occur); and where a delta is in the set only because
 * an op of it is named, all that may name one. Follows rows as they lie; judges none of them.
 */
#include "store/verify.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>

static const struct id no_id;

struct needs {
    struct check *check;
    struct table seen;        /* entries as (id, none), deltas as (none, id)     */
    struct work_list entries; /* to look through: ids in seen_ids                */
    struct arena ids;
    bool has_founder, found;
    struct key founder;
    enum err fault;
};

/* True if it is new. */
static bool mark_seen(struct needs *n, const struct id *a, const struct id *b)
{
    assert(id_is_zero(a) != id_is_zero(b));
    if (table_get(&n->seen, a, b) != NULL)
        return false;
    table_put(&n->seen, a, b, n);
    return true;
}

static void need_entry(struct needs *n, const struct id *entry)
{
    if (mark_seen(n, entry, &no_id))
        work_list_add(&n->entries, arena_dup(&n->ids, entry, sizeof *entry));
}

/* Whether a key is admitted depends on the charter and on its own member entry. */
static void need_key(struct needs *n, const struct key *key)
{
    char hex[ID_HEX_SIZE];
    struct id entry;
    if (!n->has_founder)
        return;
    key_hex(hex, key);
    entry_id(&entry, KIND_MEMBER, &n->founder, bytes_str(hex));
    need_entry(n, &entry);
}

static bool good(struct needs *n, enum err e)
{
    if (e != ERR_OK && e != ERR_NOT_FOUND && n->fault == ERR_OK)
        n->fault = e;
    return e == ERR_OK;
}

static void need_entries_of(struct needs *n, const struct id *delta)
{
    struct dbkey key;
    struct buf row = {0};
    struct delta_record record;
    struct delta parsed;
    dbkey_of_id(&key, FAMILY_DELTA, delta);
    bool there = good(n, check_row(n->check, &key, &row)) && delta_record_get(buf_view(&row), &record) == ERR_OK &&
                 delta_parse(record.bytes, &parsed) == ERR_OK;
    for (size_t i = 0; there && i < parsed.op_count; i++) {
        struct id entry;
        entry_id(&entry, parsed.ops[i].kind, &parsed.ops[i].owner, parsed.ops[i].name);
        need_entry(n, &entry);
    }
    if (there)
        delta_close(&parsed);
    buf_close(&row);
}

/* A delta that is not in the set by its author's own right is there for what names its ops; one of kinds 5 and 6 is held
 * for what erased the bodies that it lacks. Both need whole entries. */
static void need_delta(struct needs *n, const struct op_row *op)
{
    struct dbkey key;
    struct buf bytes = {0};
    struct delta_row row;
    if (!mark_seen(n, &no_id, &op->delta))
        return;
    work_list_add(&n->check->deltas, mem_dup(&op->delta, sizeof op->delta));
    need_key(n, &op->author);
    dbkey_author(&key, &op->author, &op->delta);
    bool whole = good(n, check_row(n->check, &key, &bytes)) && delta_row_get(buf_view(&bytes), &row) == ERR_OK;
    buf_close(&bytes);
    if (!whole)
        check_report(n->check, FAILED, "set membership", &op->delta, "the row is missing or cut short");
    if (!whole || (row.flags & DELTA_DIRECT) == 0 || (row.flags & DELTA_POLICY) != 0)
        need_entries_of(n, &op->delta);
}

/* The entry's own row holds its only op, where it has no more than one. False: there is no such row. */
static bool look_at_entry(struct needs *n, const struct id *entry)
{
    struct dbkey key;
    struct buf bytes = {0};
    struct entry_row row;
    dbkey_of_id(&key, FAMILY_ENTRY, entry);
    bool there = good(n, check_row(n->check, &key, &bytes));
    if (there && entry_row_get(buf_view(&bytes), &row) == ERR_OK) {
        need_key(n, &row.owner);
        if (row.op_count == 1)
            need_delta(n, &row.only);
    }
    if (!there) { /* what is left of one whose row was lost is examined as well */
        dbkey_of_id(&key, FAMILY_JSON, entry);
        there = good(n, check_row(n->check, &key, &bytes));
    }
    buf_close(&bytes);
    return there;
}

static void look_through(struct needs *n, const struct id *entry)
{
    const struct check *c = n->check;
    struct dbkey key;
    struct op_row op;
    bool any = look_at_entry(n, entry);
    dbkey_of_id(&key, FAMILY_OP, entry);
    struct kv_iter *it = c->ops->iter(c->kv, c->snap, dbkey_view(&key));
    for (bool on = c->ops->seek(it, dbkey_view(&key)); on; on = c->ops->next(it)) {
        any = true;
        if (op_row_get(c->ops->value(it), &op) == ERR_OK) /* one that is cut short differs from the one made anew */
            need_delta(n, &op);
    }
    (void)good(n, c->ops->iter_close(it));
    n->found |= any && id_eq(entry, c->only);
}

enum err check_needs(struct check *c)
{
    const uint8_t secret[16] = {0};
    struct buf name = {0};
    struct needs n = {.check = c};
    assert(c->only != NULL && c->deltas.count == 0);
    table_init(&n.seen, secret);
    n.fault = read_founder(c->store, &n.founder, &name, &n.has_founder);
    need_entry(&n, c->only);
    if (n.has_founder) {
        struct id charter;
        entry_id(&charter, KIND_CHARTER, &n.founder, buf_view(&name));
        need_entry(&n, &charter);
    }
    for (size_t i = 0; i < n.entries.count && n.fault == ERR_OK; i++)
        look_through(&n, n.entries.items[i]);
    buf_close(&name);
    free(n.entries.items);
    table_close(&n.seen);
    arena_close(&n.ids);
    return n.fault != ERR_OK ? n.fault : n.found ? ERR_OK : ERR_NOT_FOUND;
}
