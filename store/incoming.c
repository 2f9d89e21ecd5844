/*
 * Deltas from elsewhere, one by one: parsed, checked, merged, or refused with the reason. Deltas of kinds 5 and 6 that
 * came without a body are looked at again when all of the job is known (see MODEL 6). Owns no row; knows no writes.
 */
#include "store/work.h"

#include "crdt/alloc.h"

#include <assert.h>

enum {
    LACKING_ROUNDS = 4,    /* a longer chain is taken when it is offered again */
    LACKING_TOGETHER = 16, /* founder's deltas that are tried as one           */
};

static enum err parse(const struct store *s, uint64_t now_ms, struct incoming *c)
{
    enum err e = bundle_parse(c->in->bundle, &c->bundle);
    if (e == ERR_OK)
        e = delta_parse(c->bundle.delta, &c->delta);
    if (e != ERR_OK)
        return e;
    c->in->item = (struct item){.time = c->delta.time, .id = c->delta.id};
    if (!id_eq(&c->delta.mesh, &s->mesh))
        return ERR_MESH;
    return hlc_ms(c->delta.time) > now_ms + MODEL_AHEAD_MAX_MS ? ERR_AHEAD : ERR_OK;
}

/* The op of the delta, loaded with its marks; NULL: nothing is known of it. */
static struct work_op *op_at(struct work *w, const struct incoming *c, size_t i)
{
    assert(i < c->delta.op_count);
    const struct op *op = &c->delta.ops[i];
    struct id entry, id;
    entry_id(&entry, op->kind, &op->owner, op->name);
    op_id(&id, &c->delta.id, i);
    struct work_entry *e = work_entry(w, &entry);
    return e == NULL ? NULL : work_op(w, e, &id);
}

static bool body_fits(const struct incoming *c, const struct bundle_body *b)
{
    if (b->index >= c->delta.op_count || c->delta.ops[b->index].verb != VERB_PUT)
        return false;
    return body_matches(&c->delta.ops[b->index], b->body);
}

/* A delta that is held: only bodies can be new. */
static void add_late_bodies(struct work *w, struct incoming *c)
{
    assert(c->merged == NULL);
    for (size_t i = 0; i < c->bundle.body_count && w->fault == ERR_OK; i++) {
        const struct bundle_body *b = &c->bundle.bodies[i];
        if (!body_fits(c, b)) {
            c->in->bodies_bad++;
            continue;
        }
        struct work_op *x = op_at(w, c, b->index);
        if (x == NULL || !x->held) {
            work_corrupt(w);
        } else if ((x->mark.flags & OP_BODY) == 0 && x->mark.erased == 0) {
            merge_body(w, x, b->body);
            c->in->bodies_new++;
        }
    }
    c->in->verdict = VERDICT_KNOWN;
}

static bool is_erased(struct work *w, const struct incoming *c, size_t i)
{
    const struct work_op *x = op_at(w, c, i);
    return x != NULL && x->mark.erased > 0;
}

/* Every put that lacks its body was erased. */
static bool lacks_only_erased(struct work *w, const struct incoming *c, const struct bytes *bodies)
{
    for (size_t i = 0; i < c->delta.op_count; i++)
        if (c->delta.ops[i].verb == VERB_PUT && bodies[i].p == NULL && !is_erased(w, c, i))
            return false;
    return true;
}

static bool states(const struct incoming *c)
{
    for (size_t i = 0; i < c->delta.op_count; i++)
        if (c->delta.ops[i].verb == VERB_STATEMENT)
            return true;
    return false;
}

/* The delete that erased a body may reach it through a writer whom a statement of this very delta grants: the delta
 * is tried as if it were held, on what is committed, and the trial is thrown away. */
static bool erased_if_held(struct work *w, const struct incoming *c, const struct bytes *bodies)
{
    if (!states(c))
        return false;
    struct store *s = w->store;
    struct policy kept = policy_copy(&s->policy);
    struct work trial;
    work_init(&trial, s, NULL);
    merge_add(&trial, &(struct merge_delta){.delta = &c->delta, .sig = c->bundle.sig, .bodies = bodies});
    merge_settle(&trial);
    bool good = trial.fault == ERR_OK && lacks_only_erased(&trial, c, bodies);
    work_close(&trial);
    policy_close(&s->policy);
    s->policy = kept;
    return good;
}

/* A delta of kind 5 or 6 comes with its bodies, but for those that a held delete of the owner erased (see MODEL 6). */
static bool bodies_complete(struct work *w, const struct incoming *c, const struct bytes *bodies)
{
    assert(c->delta.op_count > 0 && c->delta.op_count <= MODEL_DELTA_OPS_MAX);
    if (!kind_is_policy(c->delta.ops[0].kind))
        return true;
    return lacks_only_erased(w, c, bodies) || erased_if_held(w, c, bodies);
}

static void take(struct work *w, struct incoming *c)
{
    assert(c->merged == NULL && c->bodies != NULL);
    c->merged = merge_add(w, &(struct merge_delta){.delta = &c->delta, .sig = c->bundle.sig, .bodies = c->bodies});
    for (size_t i = 0; i < c->merged->op_count; i++)
        c->in->bodies_new += (c->merged->ops[i]->mark.flags & OP_BODY) != 0;
}

/* An op of the set names one of its ops: it belongs to the set whoever wrote it. */
static bool is_named(struct work *w, const struct incoming *c)
{
    for (size_t i = 0; i < c->delta.op_count; i++) {
        const struct work_op *x = op_at(w, c, i);
        if (x != NULL && x->mark.named > 0)
            return true;
    }
    return false;
}

/* A copy of a store that is being checked takes all that the original took. */
static bool room_for(struct work *w, const struct incoming *c)
{
    uint8_t flags = kind_is_policy(c->delta.ops[0].kind) ? DELTA_POLICY : 0;
    if (w->store->trusting || policy_direct(&w->store->policy, flags, &c->delta.author))
        return true;
    return (w->store->stats.aside < STORE_ASIDE_MAX && c->in->bundle.n <= STORE_ASIDE_BYTES) || is_named(w, c);
}

static enum err add_delta(struct work *w, struct incoming *c)
{
    assert(c->merged == NULL);
    assert(id_eq(&c->delta.mesh, &w->store->mesh));
    struct store_in *in = c->in;
    enum err e = w->store->trusting ? ERR_OK : delta_verify(&c->delta.id, &c->delta.author, c->bundle.sig);
    if (e != ERR_OK)
        return e;
    if (!room_for(w, c))
        return ERR_BUSY;
    c->bodies = arena_alloc(&w->arena, c->delta.op_count * sizeof *c->bodies);
    for (size_t i = 0; i < c->bundle.body_count; i++) {
        const struct bundle_body *b = &c->bundle.bodies[i];
        if (body_fits(c, b))
            c->bodies[b->index] = b->body;
        else
            in->bodies_bad++;
    }
    if (!bodies_complete(w, c, c->bodies))
        return ERR_INVALID;
    take(w, c);
    return ERR_OK;
}

void incoming_apply(struct work *w, uint64_t now_ms, struct incoming *c)
{
    struct store_in *in = c->in;
    in->bodies_new = in->bodies_bad = 0;
    in->item = (struct item){0};
    in->why = parse(w->store, now_ms, c);
    if (in->why == ERR_OK && work_delta(w, &c->delta.author, &c->delta.id) != NULL)
        add_late_bodies(w, c);
    else if (in->why == ERR_OK)
        in->why = add_delta(w, c);
    merge_settle(w);
    policy_refresh(w);
}

/* ---- deltas that lacked bodies ---- */

static bool lacks_bodies(const struct incoming *c)
{
    return c->merged == NULL && c->bodies != NULL && c->in->why == ERR_INVALID;
}

static bool is_held(struct work *w, const struct incoming *c)
{
    return work_delta(w, &c->delta.author, &c->delta.id) != NULL;
}

/* A copy of one that was taken meanwhile may bring what that one lacked. */
static void take_late(struct work *w, struct incoming *c)
{
    assert(c->merged == NULL);
    c->in->why = ERR_OK;
    if (is_held(w, c))
        add_late_bodies(w, c);
    else
        take(w, c);
    merge_settle(w);
    policy_refresh(w);
}

/* What erased the bodies may have come behind them in this job. */
static void try_again(struct work *w, struct incoming *list, size_t n)
{
    bool progress = true;
    for (size_t round = 0; progress && round < LACKING_ROUNDS; round++) {
        progress = false;
        for (size_t i = 0; i < n && w->fault == ERR_OK; i++) {
            struct incoming *c = &list[i];
            if (!lacks_bodies(c) || !(is_held(w, c) || bodies_complete(w, c, c->bodies)))
                continue;
            take_late(w, c);
            progress = true;
        }
    }
}

/* Only the founder's statements decide whom an erasure of policy passes through. */
static bool may_need_others(struct work *w, const struct incoming *c)
{
    const struct policy *p = &w->store->policy;
    return lacks_bodies(c) && !is_held(w, c) && p->has_founder && key_eq(&c->delta.author, &p->founder) && states(c);
}

/* Drops from the group what would lack a body if all of it were held; true: nothing was dropped. */
static bool stands_together(struct work *w, struct incoming **group, size_t *n)
{
    struct store *s = w->store;
    struct policy kept = policy_copy(&s->policy);
    struct work trial;
    size_t left = 0, before = *n;
    assert(before > 0 && before <= LACKING_TOGETHER);
    work_init(&trial, s, NULL);
    for (size_t i = 0; i < before; i++)
        merge_add(&trial, &(struct merge_delta){.delta = &group[i]->delta, .sig = group[i]->bundle.sig,
                                                .bodies = group[i]->bodies});
    merge_settle(&trial);
    for (size_t i = 0; i < before; i++)
        if (trial.fault == ERR_OK && lacks_only_erased(&trial, group[i], group[i]->bodies))
            group[left++] = group[i];
    work_close(&trial);
    policy_close(&s->policy);
    s->policy = kept;
    *n = left;
    return left == before;
}

/* Deltas of the founder that each need another's statement are held together or not at all. */
static void try_together(struct work *w, struct incoming *list, size_t n)
{
    struct incoming *group[LACKING_TOGETHER];
    size_t count = 0;
    for (size_t i = 0; i < n && count < LACKING_TOGETHER; i++) {
        bool twice = false;
        for (size_t k = 0; k < count; k++)
            twice |= id_eq(&group[k]->delta.id, &list[i].delta.id);
        if (!twice && may_need_others(w, &list[i]))
            group[count++] = &list[i];
    }
    while (count > 1 && w->fault == ERR_OK && !stands_together(w, group, &count)) {
    }
    for (size_t i = 0; i < count && count > 1 && w->fault == ERR_OK; i++)
        take_late(w, group[i]);
}

void incoming_again(struct work *w, struct incoming *list, size_t n)
{
    assert(n == 0 || list != NULL);
    try_again(w, list, n);
    try_together(w, list, n);
}

void incoming_close(struct incoming *c)
{
    bundle_close(&c->bundle);
    delta_close(&c->delta);
}
