/*
 * The incremental form of MODEL 4 to 6: which deltas are in the set, which ops are eligible, which are superseded or
 * erased, and which are heads. Everything is a count over the acyclic graph of ops, so that each change walks only as far
 * as something turns from none to some or back:
 *   in the set   = its author's own right, or one of its ops is named by an op of the set in the same entry
 *   active       = in the set, carries ancestry, and eligible or covered by an active op
 *   superseded   = covered by an active op
 *   eraser       = carries ancestry, and an owner's delete or erased by an eraser
 * Walks are worklists, never recursion. Knows nothing of bodies' contents.
 */
#include "store/work.h"

#include <assert.h>
#include <string.h>

void merge_queue(struct work *w, struct work_op *x)
{
    assert(x->held);
    if (x->queued)
        return;
    x->queued = true;
    x->next_queued = NULL;
    if (w->op_last != NULL)
        w->op_last->next_queued = x;
    else
        w->op_first = x;
    w->op_last = x;
}

static void queue_delta(struct work *w, struct work_delta *d)
{
    if (d->queued)
        return;
    d->queued = true;
    d->next_queued = NULL;
    if (w->delta_last != NULL)
        w->delta_last->next_queued = d;
    else
        w->delta_first = d;
    w->delta_last = d;
}

static void touch(struct work *w, struct work_entry *e)
{
    e->touched = true;
    if (!kind_is_policy(e->row.kind) || e->policy_touched)
        return;
    e->policy_touched = true;
    e->next_policy = w->policy_first;
    w->policy_first = e;
}

enum turn { TURN_NONE, TURN_ON, TURN_OFF };

/* Counts up or down; says whether the count turned from zero or to zero. */
static enum turn count(struct work *w, uint32_t *counter, enum turn by)
{
    assert(by != TURN_NONE);
    if (by == TURN_OFF && *counter == 0) {
        work_corrupt(w);
        return TURN_NONE;
    }
    *counter = by == TURN_ON ? *counter + 1 : *counter - 1;
    if (by == TURN_ON)
        return *counter == 1 ? TURN_ON : TURN_NONE;
    return *counter == 0 ? TURN_OFF : TURN_NONE;
}

static struct work_op *parent_of(struct work *w, struct work_op *x, size_t i)
{
    assert(i < x->row.parent_count);
    struct id id = id_at(x->row.parents, i * ID_BYTES);
    struct work_op *p = work_op(w, x->entry, &id);
    p->dirty = true;
    return p;
}

static bool by_owner(const struct work_op *x)
{
    return key_eq(&x->row.author, &x->entry->row.owner);
}

static void set_flag(struct work_op *x, uint8_t flag, bool on)
{
    assert(flag != 0 && (flag & (flag - 1)) == 0);
    uint8_t flags = (uint8_t)(on ? x->mark.flags | flag : x->mark.flags & ~flag);
    x->dirty |= flags != x->mark.flags;
    x->mark.flags = flags;
}

/* ---- heads of an entry: the first 16 in its row, the rest in family h ---- */

static struct head head_of(const struct head_row *r)
{
    return (struct head){.op = r->op, .author = r->author, .time = r->time, .is_put = r->is_put, .is_owner = r->is_owner};
}

static int head_row_cmp(const struct head_row *a, const struct head_row *b)
{
    struct head x = head_of(a), y = head_of(b);
    return head_cmp(&x, &y);
}

/* Bytewise order of these keys is the order of head_cmp. */
static void head_key(struct dbkey *k, const struct work_entry *e, const struct head_row *r)
{
    dbkey_of_id(k, FAMILY_HEAD, &e->id);
    dbkey_add_be(k, !r->is_put, 1);
    dbkey_add_be(k, !r->is_owner, 1);
    dbkey_add_be(k, ~r->time, 8);
    dbkey_add_id_inverted(k, &r->op);
}

static void spill(struct work *w, const struct work_entry *e, const struct head_row *r)
{
    assert(e->row.head_count > MODEL_HEADS_READ);
    struct dbkey key;
    struct buf row = {0};
    struct head_row plain = *r;
    plain.has_body = false; /* only looked at when it is one of the first again */
    head_key(&key, e, r);
    head_row_put(&row, &plain);
    overlay_put(w, &key, buf_view(&row));
    buf_close(&row);
}

static void pull_up(struct work *w, struct work_entry *e)
{
    assert(e->row.top_count == MODEL_HEADS_READ - 1);
    struct dbkey prefix, key;
    struct scan c;
    struct head_row row = {0};
    dbkey_of_id(&prefix, FAMILY_HEAD, &e->id);
    scan_open(&c, w, &prefix, &prefix, UP);
    if (scan_next(&c) && head_row_get(c.value, &row) == ERR_OK)
        e->row.top[e->row.top_count++] = row;
    else
        work_corrupt(w);
    scan_close(&c);
    head_key(&key, e, &row);
    overlay_delete(w, &key);
}

static struct head_row head_row_of(const struct work_op *x)
{
    assert(x->held && x->row.verb != VERB_STATEMENT);
    return (struct head_row){.op = x->id, .delta = x->row.delta, .author = x->row.author, .time = x->row.time,
                             .index = x->row.index, .is_put = x->row.verb == VERB_PUT, .is_owner = by_owner(x)};
}

static void head_add(struct work *w, struct work_op *x)
{
    assert(x->mark.covered == 0);
    struct entry_row *r = &x->entry->row;
    struct head_row head = head_row_of(x);
    x->entry->revision_known = false;
    r->head_count++;
    r->put_count += head.is_put;
    size_t at = 0;
    while (at < r->top_count && head_row_cmp(&r->top[at], &head) < 0)
        at++;
    if (at == MODEL_HEADS_READ) {
        spill(w, x->entry, &head);
        return;
    }
    if (r->top_count == MODEL_HEADS_READ)
        spill(w, x->entry, &r->top[--r->top_count]);
    memmove(&r->top[at + 1], &r->top[at], (r->top_count - at) * sizeof *r->top);
    r->top[at] = head;
    r->top_count++;
    assert(r->top_count <= MODEL_HEADS_READ && r->top_count <= r->head_count);
    assert(r->put_count <= r->head_count);
}

static void head_remove(struct work *w, struct work_op *x)
{
    struct entry_row *r = &x->entry->row;
    struct head_row head = head_row_of(x);
    if (r->head_count == 0 || r->put_count < head.is_put) {
        work_corrupt(w);
        return;
    }
    x->entry->revision_known = false;
    r->head_count--;
    r->put_count -= head.is_put;
    for (size_t i = 0; i < r->top_count; i++) {
        if (!id_eq(&r->top[i].op, &x->id))
            continue;
        memmove(&r->top[i], &r->top[i + 1], (r->top_count - i - 1) * sizeof *r->top);
        r->top_count--;
        if (r->head_count > r->top_count)
            pull_up(w, x->entry);
        return;
    }
    struct dbkey key;
    head_key(&key, x->entry, &head);
    overlay_delete(w, &key);
}

/* ---- superseding and erasure ---- */

void merge_judge(struct work *w, struct work_op *x)
{
    if (!x->held) {
        work_corrupt(w);
        return;
    }
    const struct work_entry *e = x->entry;
    const struct policy *p = &w->store->policy;
    bool statement = x->row.verb == VERB_STATEMENT, carries = by_owner(x), eligible = carries;
    struct id source;
    if (!carries && rights_source(p, e, &source)) {
        carries = rights_ever(w, &source, &x->row.author, x->row.epoch);
        eligible = carries && rights_eligible(w, &source, &x->row.author, x->row.epoch);
    }
    if (!kind_is_policy(e->row.kind) && !policy_admitted(p, &x->row.author))
        eligible = false;
    if (carries != ((x->mark.flags & OP_CARRIER) != 0) && e->row.put_count > 1)
        touch(w, x->entry);
    set_flag(x, OP_CARRIER, carries && !statement);
    if (!eligible && (x->mark.flags & OP_ELIGIBLE) != 0 && w->withdrawn.count < STORE_WITHDRAWN_MAX)
        work_list_add(&w->withdrawn, x);
    set_flag(x, OP_ELIGIBLE, eligible && !statement);
    merge_queue(w, x);
}

static void drop_body(struct work *w, struct work_op *x)
{
    assert(x->held && x->mark.erased > 0);
    if ((x->mark.flags & OP_BODY) == 0)
        return;
    struct dbkey key;
    dbkey_body(&key, &x->row.delta, x->row.index);
    kv_batch_delete(&w->batch, dbkey_view(&key));
    set_flag(x, OP_BODY, false);
    x->body = (struct bytes){NULL, 0};
    touch(w, x->entry);
}

/* x turned active or stopped being so: what it names is covered once more or once less. */
static void cover_parents(struct work *w, struct work_op *x, enum turn by)
{
    assert(by != TURN_NONE);
    for (size_t i = 0; i < x->row.parent_count; i++) {
        struct work_op *p = parent_of(w, x, i);
        if (count(w, &p->mark.covered, by) != TURN_NONE && p->held)
            merge_queue(w, p);
    }
}

static void erase_parents(struct work *w, struct work_op *x, enum turn by)
{
    assert(by != TURN_NONE);
    for (size_t i = 0; i < x->row.parent_count; i++) {
        struct work_op *p = parent_of(w, x, i);
        if (count(w, &p->mark.erased, by) == TURN_NONE || !p->held)
            continue;
        if (by == TURN_ON)
            drop_body(w, p);
        else
            touch(w, p->entry);
        merge_queue(w, p);
    }
}

static enum turn turn_flag(struct work_op *x, uint8_t flag, bool on)
{
    if (((x->mark.flags & flag) != 0) == on)
        return TURN_NONE;
    set_flag(x, flag, on);
    return on ? TURN_ON : TURN_OFF;
}

static void settle_op(struct work *w, struct work_op *x)
{
    assert(x->held && !x->queued);
    uint8_t f = x->mark.flags;
    bool in_set = (f & OP_IN_SET) != 0, carries = (f & OP_CARRIER) != 0;
    bool eligible = in_set && carries && (f & OP_ELIGIBLE) != 0;
    bool owners_delete = x->row.verb == VERB_DELETE && by_owner(x);
    enum turn active = turn_flag(x, OP_ACTIVE, eligible || (in_set && carries && x->mark.covered > 0));
    if (active != TURN_NONE)
        cover_parents(w, x, active);
    enum turn eraser = turn_flag(x, OP_ERASER, carries && (owners_delete || x->mark.erased > 0));
    if (eraser != TURN_NONE)
        erase_parents(w, x, eraser);
    assert(active == TURN_NONE || in_set || active == TURN_OFF);
    enum turn head = turn_flag(x, OP_HEAD, eligible && x->mark.covered == 0);
    if (head == TURN_NONE)
        return;
    if (head == TURN_ON)
        head_add(w, x);
    else
        head_remove(w, x);
    touch(w, x->entry);
}

/* ---- the set ---- */

/* x enters or leaves the set: it names, or no longer names, its parents. */
static void name_parents(struct work *w, struct work_op *x, enum turn by)
{
    assert(by != TURN_NONE);
    for (size_t i = 0; i < x->row.parent_count; i++) {
        struct work_op *p = parent_of(w, x, i);
        enum turn turn = count(w, &p->mark.named, by);
        if (turn == TURN_NONE || !p->held)
            continue;
        struct work_delta *d = work_delta_of(w, p);
        d->dirty = true;
        (void)count(w, &d->row.named, turn);
        queue_delta(w, d);
    }
}

static void move_op(struct work *w, struct work_op *x, enum turn by)
{
    struct work_entry *e = x->entry;
    set_flag(x, OP_IN_SET, by == TURN_ON);
    e->dirty = true;
    name_parents(w, x, by);
    if (by_owner(x) && x->row.time <= e->row.created) {
        if (by == TURN_ON)
            e->row.created = x->row.time;
        else
            e->recount_created = true;
        touch(w, e);
    }
    if (e->row.put_count > 1)
        touch(w, e); /* an ancestor more or less may move the fork of two heads */
    merge_queue(w, x);
}

/* A chain of deltas may turn valid at once: it goes on in the next job where it is longer than one job may be. What decides
 * about other deltas does not wait, nor does what this job brings. */
static bool put_off(struct work *w, struct work_delta *d)
{
    d->put_off = !d->fresh && w->chain_left == 0 && (d->row.flags & DELTA_POLICY) == 0;
    if (d->put_off)
        sweep_put_off(w, d);
    return d->put_off;
}

static void settle_delta(struct work *w, struct work_delta *d)
{
    assert(!d->queued);
    bool in_set = (d->row.flags & DELTA_DIRECT) != 0 || d->row.named > 0;
    if (in_set == ((d->row.flags & DELTA_IN_SET) != 0) || put_off(w, d))
        return;
    d->row.flags ^= DELTA_IN_SET;
    d->dirty = true;
    work_delta_ops(w, d);
    size_t cost = d->op_count;
    for (size_t i = 0; i < d->op_count; i++) {
        cost += d->ops[i]->row.parent_count;
        move_op(w, d->ops[i], in_set ? TURN_ON : TURN_OFF);
    }
    if (!d->fresh)
        w->chain_left -= cost < w->chain_left ? cost : w->chain_left;
}

void merge_settle(struct work *w)
{
    while (w->fault == ERR_OK && (w->delta_first != NULL || w->op_first != NULL)) {
        if (w->delta_first != NULL) {
            struct work_delta *d = w->delta_first;
            w->delta_first = d->next_queued;
            if (w->delta_first == NULL)
                w->delta_last = NULL;
            d->queued = false;
            settle_delta(w, d);
        } else {
            struct work_op *x = w->op_first;
            w->op_first = x->next_queued;
            if (w->op_first == NULL)
                w->op_last = NULL;
            x->queued = false;
            settle_op(w, x);
        }
    }
}

void merge_set_direct(struct work *w, struct work_delta *d, bool direct)
{
    if (((d->row.flags & DELTA_DIRECT) != 0) == direct)
        return;
    d->row.flags ^= DELTA_DIRECT;
    d->dirty = true;
    queue_delta(w, d);
}

void merge_again(struct work *w, struct work_delta *d)
{
    assert(!d->fresh);
    queue_delta(w, d);
}

/* ---- new deltas and bodies ---- */

void merge_body(struct work *w, struct work_op *x, struct bytes body)
{
    assert(x->held && x->row.verb == VERB_PUT && x->mark.erased == 0);
    struct dbkey key;
    dbkey_body(&key, &x->row.delta, x->row.index);
    kv_batch_put(&w->batch, dbkey_view(&key), body);
    x->body = body;
    set_flag(x, OP_BODY, true);
    touch(w, x->entry);
}

static void index_op(struct work *w, struct work_op *x)
{
    assert(x->held && x->row_due);
    struct work_entry *e = x->entry;
    struct dbkey key;
    if (e->row.op_count == 0) {
        touch(w, e); /* so that its flags say whether it is hidden */
        e->row.only_op = x->id;
    } else if (e->row.op_count == 1) { /* most entries have one op and need no index */
        struct work_op *first = work_op(w, e, &e->row.only_op);
        dbkey_history(&key, &e->id, first->row.time, &first->id);
        overlay_put(w, &key, bytes_str(""));
        first->row_due = first->dirty = true;
    }
    if (e->row.op_count > 0) {
        dbkey_history(&key, &e->id, x->row.time, &x->id);
        overlay_put(w, &key, bytes_str(""));
    }
    e->row.op_count++;
    e->dirty = true;
    if (by_owner(x))
        return;
    dbkey_of_id(&key, FAMILY_WRITER, &e->id);
    dbkey_add_key(&key, &x->row.author);
    dbkey_add_be(&key, x->row.epoch, 8);
    dbkey_add_id(&key, &x->id);
    overlay_put(w, &key, bytes_str(""));
}

static struct work_entry *entry_of(struct work *w, const struct merge_delta *in, size_t i)
{
    const struct op *op = &in->delta->ops[i];
    struct id entry;
    if (in->entries != NULL)
        return in->entries[i];
    entry_id(&entry, op->kind, &op->owner, op->name);
    return work_entry_of(w, &entry, op);
}

static struct work_op *add_op(struct work *w, struct work_delta *d, const struct merge_delta *in, size_t i)
{
    const struct delta *from = in->delta;
    assert(i < from->op_count);
    const struct op *op = &from->ops[i];
    struct id id;
    op_id(&id, &d->id, i);
    struct work_op *x = work_op_new(w, entry_of(w, in, i), &id);
    x->delta = d;
    x->row = (struct op_row){.verb = op->verb, .has_epoch = op->has_epoch, .epoch = op->epoch, .index = (uint16_t)i,
                             .body_len = op->body_len, .body_hash = op->body_hash, .delta = d->id, .author = d->author,
                             .time = from->time, .parent_count = op->parent_count,
                             .parents = bytes_of((const uint8_t *)op->parents, op->parent_count * ID_BYTES)};
    x->mark.flags = 0;
    x->grant_count = op->grant_count;
    x->grants = op->grants;
    index_op(w, x);
    return x;
}

static void store_delta(struct work *w, struct work_delta *d, const struct merge_delta *in)
{
    assert(d->fresh && in->delta->bytes.n > 0 && in->delta->bytes.n <= MODEL_DELTA_MAX);
    struct delta_record record = {.author = d->author, .time = d->row.time, .bytes = in->delta->bytes};
    memcpy(record.sig, in->sig, SIG_BYTES);
    buf_reset(&w->row);
    delta_record_put(&w->row, &record);
    struct dbkey key;
    dbkey_of_id(&key, FAMILY_DELTA, &d->id);
    kv_batch_put(&w->batch, dbkey_view(&key), buf_view(&w->row));
    dbkey_author(&key, &d->author, &d->id);
    buf_reset(&w->row);
    delta_row_put(&w->row, &d->row);
    struct buf row = w->row;
    w->row = (struct buf){0};
    overlay_put(w, &key, buf_view(&row));
    buf_close(&row);
}

struct work_delta *merge_add(struct work *w, const struct merge_delta *in)
{
    const struct delta *from = in->delta;
    assert(from->op_count >= 1 && from->op_count <= MODEL_DELTA_OPS_MAX);
    struct work_delta *d = work_delta_new(w, &from->author, &from->id);
    d->row = (struct delta_row){.time = from->time, .op_count = (uint16_t)from->op_count};
    store_delta(w, d, in);
    d->ops = arena_alloc(&w->arena, from->op_count * sizeof *d->ops);
    for (size_t i = 0; i < from->op_count; i++) {
        struct work_op *x = add_op(w, d, in, i);
        d->ops[d->op_count++] = x;
        d->row.named += x->mark.named > 0;
        if (in->bodies[i].p != NULL && x->mark.erased == 0)
            merge_body(w, x, in->bodies[i]);
    }
    if (kind_is_policy(from->ops[0].kind))
        d->row.flags |= DELTA_POLICY;
    if (policy_direct(&w->store->policy, d->row.flags, &from->author))
        d->row.flags |= DELTA_DIRECT;
    for (size_t i = 0; i < d->op_count; i++) {
        if (d->ops[i]->row.verb == VERB_STATEMENT)
            rights_statement(w, d->ops[i]);
        merge_judge(w, d->ops[i]);
    }
    queue_delta(w, d);
    return d;
}
