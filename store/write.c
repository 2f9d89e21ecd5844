/*
 * Writes that this node signs: each is judged (guard, rights) and planned over the present heads, in order, and those of
 * one author are gathered into deltas of up to 256 ops under one signature. A write sees all that came before it in the
 * job. Owns the gathering; what a put's body becomes is crdt/plan.c's.
 */
#include "store/work.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    DELTA_OVERHEAD = 256,           /* bytes of a delta besides its ops, at most             */
    OP_OVERHEAD = 256,              /* of an op besides its name and parents                 */
    FIELD_OVERHEAD = 32,            /* of a field besides its name and value                 */
    PARENT_BYTES = ID_BYTES + 2,
    MERGE_HEADS_MAX = 2048,         /* heads that one write merges; further ones stay heads  */
    WHOLE_WALK_MAX = 100 * 1000,    /* headers walked to see that an ancestry is held        */
};

/* A delta in the making. */
struct group {
    struct work *work;
    struct store_job *job;
    struct work_list *own;
    struct author *author;
    bool policy_kind;
    uint64_t time;
    size_t bytes, op_count, write_count;
    struct op ops[MODEL_DELTA_OPS_MAX];
    struct bytes bodies[MODEL_DELTA_OPS_MAX];
    struct work_entry *entries[MODEL_DELTA_OPS_MAX]; /* one an op */
    struct {
        struct store_write *write;
        struct work_entry *entry;
        size_t op;
    } writes[MODEL_DELTA_OPS_MAX];
};

/* One write while it is planned. */
struct plan {
    struct store_write *write;
    struct work_entry *entry;   /* NULL: unknown yet                          */
    bool owner;
    uint64_t epoch;             /* of a writer                                */
    size_t count, cap;          /* the heads that it names                    */
    struct head *heads;
    struct body *bodies;
    struct merged now;
    size_t estimate;            /* bytes of the delta and its bodies, at most */
};

/* ---- a full group becomes a delta ---- */

static void flush(struct group *g)
{
    if (g->op_count == 0)
        return;
    struct work *w = g->work;
    struct buf encoded = {0};
    uint8_t sig[SIG_BYTES];
    struct delta d = {.mesh = w->store->mesh, .author = g->author->key, .time = g->time, .op_count = g->op_count,
                      .ops = g->ops};
    delta_encode(&d, &encoded);
    d.bytes = bytes_of(arena_dup(&w->arena, encoded.p, encoded.n), encoded.n);
    buf_close(&encoded);
    delta_id(&d.id, d.bytes);
    assert(g->write_count >= 1 && g->write_count <= g->op_count);
    delta_sign(sig, &d.id, g->author->secret);
    struct work_delta *made = merge_add(w, &(struct merge_delta){.delta = &d, .sig = sig, .bodies = g->bodies,
                                                                 .entries = g->entries});
    work_list_add(g->own, made);
    merge_settle(w);
    policy_refresh(w);
    for (size_t i = 0; i < g->write_count; i++) {
        struct store_write *write = g->writes[i].write;
        struct work_entry *e = g->writes[i].entry;
        write->new_revision = *entry_revision(e);
        write->new_op = made->ops[g->writes[i].op]->id;
        e->in_group = false;
    }
    g->op_count = g->write_count = g->bytes = 0;
}

/* ---- guard and rights ---- */

static bool is_shown(const struct work *w, const struct work_entry *e)
{
    return e != NULL && e->row.put_count > 0 && !policy_hides(&w->store->policy, &e->id, e->row.kind, &e->row.owner);
}

/* True iff `revision` is what a reader is shown now; an incomplete entry has none. */
static bool revision_is(struct work *w, struct work_entry *e, const struct id *revision)
{
    assert(e->row.top_count > 0);
    struct id tops[MODEL_HEADS_READ], now;
    for (size_t i = 0; i < e->row.top_count; i++) {
        const struct work_op *x = work_op(w, e, &e->row.top[i].op);
        if (x->row.verb == VERB_PUT && (x->mark.flags & OP_BODY) == 0)
            return false;
        tops[i] = x->id;
    }
    revision_id(&now, tops, e->row.top_count);
    return id_eq(&now, revision);
}

static enum err check_guard(struct work *w, const struct store_write *write, struct work_entry *e)
{
    bool shown = is_shown(w, e);
    switch (write->guard) {
    case GUARD_NONE:
        return write->action == WRITE_DELETE && !shown ? ERR_NOT_FOUND : ERR_OK;
    case GUARD_CREATE:
        return shown ? ERR_CONFLICT : ERR_OK;
    case GUARD_EXISTS:
        return shown ? ERR_OK : ERR_NOT_FOUND;
    case GUARD_REVISION:
        if (!shown)
            return ERR_NOT_FOUND;
        return revision_is(w, e, &write->revision) ? ERR_OK : ERR_CONFLICT;
    }
    return ERR_INVALID;
}

static enum err check_rights(struct work *w, struct plan *p)
{
    const struct store_write *write = p->write;
    const struct policy *policy = &w->store->policy;
    struct work_entry named = {.id = write->entry, .row = {.kind = write->kind, .owner = write->owner}};
    struct id source;
    uint8_t flags = kind_is_policy(write->kind) ? DELTA_POLICY : 0;
    p->owner = key_eq(&write->author->key, &write->owner);
    if (!policy_direct(policy, flags, &write->author->key))
        return ERR_DENIED;
    if (write->action == WRITE_GRANT || write->action == WRITE_REVOKE) {
        if (!p->owner || write->kind == KIND_MEMBER)
            return ERR_DENIED;
        return key_eq(&write->writer, &write->owner) ? ERR_INVALID : ERR_OK;
    }
    if (p->owner)
        return ERR_OK;
    if (!rights_source(policy, &named, &source) || !rights_best(w, &source, &write->author->key, &p->epoch))
        return ERR_DENIED;
    return ERR_OK;
}

/* ---- the heads that a write merges and names ---- */

/* A writer names another's op only when the headers of all its ancestors are held (see MODEL 4). What was found whole
 * stays so: headers are never dropped. */
static bool is_whole(struct work *w, struct work_op *x)
{
    const uint8_t secret[16] = {0};
    struct work_list seen = {0};
    struct table known;
    bool whole = x->held;
    table_init(&known, secret);
    table_put(&known, &x->entry->id, &x->id, x);
    work_list_add(&seen, x);
    for (size_t i = 0; whole && i < seen.count; i++) {
        const struct work_op *y = seen.items[i];
        bool stop = (y->mark.flags & OP_WHOLE) != 0 || (y->mark.flags & OP_CARRIER) == 0;
        for (size_t k = 0; whole && !stop && k < y->row.parent_count; k++) {
            struct id id = id_at(y->row.parents, k * ID_BYTES);
            struct work_op *parent = work_op(w, x->entry, &id);
            whole = parent->held && seen.count < WHOLE_WALK_MAX;
            if (whole && table_get(&known, &x->entry->id, &id) == NULL) {
                table_put(&known, &x->entry->id, &id, parent);
                work_list_add(&seen, parent);
            }
        }
    }
    for (size_t i = 0; whole && i < seen.count; i++) {
        struct work_op *y = seen.items[i];
        if ((y->mark.flags & OP_WHOLE) == 0) {
            y->mark.flags |= OP_WHOLE;
            y->dirty = true;
        }
    }
    free(seen.items);
    table_close(&known);
    return whole;
}

static void name_head(struct work *w, struct plan *p, struct work_op *x)
{
    if (!x->held) {
        work_corrupt(w);
        return;
    }
    bool put = x->row.verb == VERB_PUT, has_body = (x->mark.flags & OP_BODY) != 0;
    if (p->write->action == WRITE_PUT && put && !has_body)
        return;
    if (!p->owner && !key_eq(&x->row.author, &p->write->author->key) && !is_whole(w, x))
        return;
    if (p->count == p->cap) {
        p->cap = p->cap == 0 ? 4 : p->cap * 2;
        p->heads = mem_realloc(p->heads, p->cap, sizeof *p->heads);
        p->bodies = mem_realloc(p->bodies, p->cap, sizeof *p->bodies);
    }
    size_t i = p->count++;
    p->bodies[i] = (struct body){0};
    p->heads[i] = (struct head){.op = x->id, .author = x->row.author, .time = x->row.time, .is_put = put,
                                .is_owner = key_eq(&x->row.author, &p->write->owner), .has_body = has_body};
    p->estimate += PARENT_BYTES;
    if (p->write->action != WRITE_PUT || !put)
        return;
    struct bytes body = work_body(w, x);
    p->estimate += body.n;
    if (body.p != NULL && body_parse(body, x->row.time, &p->bodies[i]) == ERR_OK)
        p->heads[i].body = &p->bodies[i];
}

static void name_heads(struct work *w, struct plan *p)
{
    struct work_entry *e = p->entry;
    if (e == NULL)
        return;
    for (size_t i = 0; i < e->row.top_count; i++)
        name_head(w, p, work_op(w, e, &e->row.top[i].op));
    if (e->row.head_count > e->row.top_count) {
        struct dbkey prefix;
        struct scan c;
        dbkey_of_id(&prefix, FAMILY_HEAD, &e->id);
        scan_open(&c, w, &prefix, &prefix, UP);
        while (p->count < MERGE_HEADS_MAX && w->fault == ERR_OK && scan_next(&c)) {
            struct id id = id_inverted_at(c.key, c.key.n - ID_BYTES);
            name_head(w, p, work_op(w, e, &id));
        }
        scan_close(&c);
    }
    for (size_t i = 0; i < p->count; i++) /* the array moved while it grew */
        if (p->heads[i].body != NULL)
            p->heads[i].body = &p->bodies[i];
}

/* ---- ops ---- */

static int id_order(const void *a, const void *b)
{
    return id_cmp(a, b);
}

static void add_write(struct group *g, const struct plan *p, size_t first_op)
{
    assert(g->write_count < MODEL_DELTA_OPS_MAX);
    p->entry->in_group = true;
    g->writes[g->write_count].write = p->write;
    g->writes[g->write_count].entry = p->entry;
    g->writes[g->write_count].op = first_op;
    g->write_count++;
}

/* One op for each 256 heads named (one at least), all with the same body. */
static void add_ops(struct group *g, struct plan *p, const struct op *like, struct bytes body)
{
    assert(g->author == p->write->author);
    assert(p->now.newest < g->time);
    struct id *parents = arena_alloc(&g->work->arena, p->count * sizeof *parents);
    for (size_t i = 0; i < p->count; i++)
        parents[i] = p->heads[i].op;
    if (p->count > 1)
        qsort(parents, p->count, sizeof *parents, id_order);
    if (p->entry == NULL)
        p->entry = work_entry_new(g->work, &p->write->entry, like);
    add_write(g, p, g->op_count);
    size_t named = 0;
    do {
        size_t n = p->count - named < MODEL_PARENTS_MAX ? p->count - named : MODEL_PARENTS_MAX;
        assert(g->op_count < MODEL_DELTA_OPS_MAX);
        struct op *op = &g->ops[g->op_count];
        *op = *like;
        op->name = p->entry->row.name;
        op->parents = parents + named;
        op->parent_count = n;
        g->entries[g->op_count] = p->entry;
        g->bodies[g->op_count++] = body;
        g->bytes += OP_OVERHEAD + op->name.n + n * PARENT_BYTES + body.n;
        named += n;
    } while (named < p->count);
}

static struct op op_like(const struct plan *p, enum verb verb)
{
    return (struct op){.kind = p->write->kind, .owner = p->write->owner, .name = p->write->name, .verb = verb,
                       .has_epoch = verb != VERB_STATEMENT && !p->owner, .epoch = p->epoch};
}

/* What the reader was shown: the heads that a read looks at, where there are more. */
static void resolve_shown(struct work *w, struct plan *p, struct show_heads *heads, struct merged *out)
{
    show_load(w, p->entry, heads);
    resolve(heads->heads, heads->n, out);
}

static enum err add_put(struct group *g, struct plan *p)
{
    assert(p->write->action == WRITE_PUT);
    struct op op = op_like(p, VERB_PUT);
    struct change change = p->write->change;
    struct show_heads heads = {0};
    struct merged shown = {0};
    struct buf body = {0};
    uint8_t salt[16];
    struct show_heads own = {.n = 0};
    if (policy_is_charter(g->work, p->entry))
        policy_admission(g->work, p->entry, g->time, &own, &p->now);
    bool more = p->entry != NULL && p->count != p->entry->row.top_count;
    if (change.mode == CHANGE_REPLACE && change.shown == NULL && more) {
        resolve_shown(g->work, p, &heads, &shown);
        change.shown = &shown;
    }
    rng_bytes(g->job->rng, salt, sizeof salt);
    enum err e = plan_put(&p->now, &change, salt, g->time, &body);
    if (change.shown == &shown)
        merged_close(&shown);
    show_close(&heads);
    show_close(&own);
    if (e == ERR_OK) {
        body_hash(&op.body_hash, buf_view(&body));
        op.body_len = (uint32_t)body.n;
        add_ops(g, p, &op, bytes_of(arena_dup(&g->work->arena, body.p, body.n), body.n));
    }
    buf_close(&body);
    return e;
}

static void add_statement(struct group *g, struct plan *p)
{
    assert(p->owner && p->count == 0);
    struct op op = op_like(p, VERB_STATEMENT);
    struct grant *row = arena_alloc(&g->work->arena, sizeof *row);
    row->key = p->write->writer;
    row->epoch = rights_next_epoch(g->work, &p->write->entry, &row->key);
    row->granted = p->write->action == WRITE_GRANT;
    op.grants = row;
    op.grant_count = 1;
    add_ops(g, p, &op, (struct bytes){NULL, 0});
}

/* ---- one write ---- */

static size_t estimate(const struct store_write *write)
{
    size_t n = OP_OVERHEAD + write->name.n;
    if (write->action == WRITE_PUT)
        for (size_t i = 0; i < write->change.field_count; i++)
            n += FIELD_OVERHEAD + write->change.fields[i].name.n + write->change.fields[i].value.n;
    return n;
}

/* Makes room for the plan, in a group whose time is above everything that it names. */
static void open_group(struct group *g, const struct plan *p)
{
    assert(p->count <= MERGE_HEADS_MAX);
    size_t ops = 1 + p->count / MODEL_PARENTS_MAX;
    bool policy_kind = kind_is_policy(p->write->kind);
    if (g->author != p->write->author || g->policy_kind != policy_kind || p->now.newest >= g->time ||
        g->op_count + ops > MODEL_DELTA_OPS_MAX || g->bytes + p->estimate * ops > MODEL_DELTA_MAX - DELTA_OVERHEAD)
        flush(g);
    if (g->op_count > 0)
        return;
    g->author = p->write->author;
    g->policy_kind = policy_kind;
    g->time = hlc_next(&g->author->hlc, g->job->now_ms, p->now.newest);
    g->bytes = DELTA_OVERHEAD;
}

static enum err add(struct group *g, struct plan *p)
{
    struct op op;
    switch (p->write->action) {
    case WRITE_PUT:
        return add_put(g, p);
    case WRITE_DELETE:
        op = op_like(p, VERB_DELETE);
        add_ops(g, p, &op, (struct bytes){NULL, 0});
        return ERR_OK;
    case WRITE_GRANT:
    case WRITE_REVOKE:
        add_statement(g, p);
        return ERR_OK;
    }
    return ERR_INVALID;
}

static bool well_formed(const struct store_write *write)
{
    return write->name.n >= 1 && write->name.n <= MODEL_NAME_MAX && utf8_valid(write->name) && write->kind >= 1 &&
           write->kind <= MODEL_KIND_MAX;
}

static enum err write_one(struct group *g, struct store_write *write)
{
    struct work *w = g->work;
    struct plan p = {.write = write, .estimate = estimate(write)};
    if (!well_formed(write))
        return ERR_INVALID;
    entry_id(&write->entry, write->kind, &write->owner, write->name);
    p.entry = work_entry(w, &write->entry);
    if (p.entry != NULL && p.entry->in_group)
        flush(g);
    if (kind_is_policy(write->kind) != g->policy_kind)
        flush(g); /* what it says may decide about this write */
    enum err e = check_rights(w, &p);
    if (e == ERR_OK)
        e = check_guard(w, write, p.entry);
    if (e != ERR_OK)
        return e;
    write->created = write->action == WRITE_PUT && !is_shown(w, p.entry);
    if (write->action == WRITE_PUT || write->action == WRITE_DELETE)
        name_heads(w, &p);
    resolve(p.heads, p.count, &p.now);
    open_group(g, &p);
    e = add(g, &p);
    merged_close(&p.now);
    for (size_t i = 0; i < p.count; i++)
        body_close(&p.bodies[i]);
    free(p.heads);
    free(p.bodies);
    return e;
}

void write_all(struct work *w, struct store_job *job, struct work_list *own)
{
    if (job->write_count == 0)
        return;
    struct group *g = mem_zalloc(sizeof *g);
    g->work = w;
    g->job = job;
    g->own = own;
    for (size_t i = 0; i < job->write_count && w->fault == ERR_OK; i++) {
        struct store_write *write = &job->writes[i];
        write->why = write_one(g, write);
    }
    flush(g);
    free(g);
}
