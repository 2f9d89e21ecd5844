/*
 * What hostile hosts make and what they have seen: valid deltas of their own, which the world is told of, and copies of
 * what honest nodes sent them, to be sent again, twisted, built upon or asked for.
 */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "crdt/hlc.h"
#include "tests/sim/villain.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELTAS_PER_HOST 12   /* valid deltas of all hostile hosts, for each host of the world */
#define OPS_MAX         40

/* ---- seeing ------------------------------------------------------------------------------------------------------- */

static void see_ops(struct villain *v, const struct delta *d)
{
    for (size_t i = 0; i < d->op_count; i++) {
        const struct op *op = &d->ops[i];
        struct villain_op *seen = &v->seen[v->seen_count++ % VILLAIN_SEEN_MAX];
        *seen = (struct villain_op){.delta = d->id, .kind = op->kind, .time = d->time, .owner = op->owner};
        op_id(&seen->op, &d->id, (uint16_t)i);
        assert(op->name.n < sizeof seen->name);
        memcpy(seen->name, op->name.p, op->name.n);
    }
}

void villain_learn(struct villain *v, const struct wire_message *delta)
{
    struct bundle b;
    struct delta d;
    if (bundle_parse(delta->body, &b) != ERR_OK)
        return;
    if (delta_parse(b.delta, &d) == ERR_OK) {
        size_t at = v->caught_count++ % VILLAIN_CAUGHT_MAX;
        buf_reset(&v->caught[at]);
        buf_put_bytes(&v->caught[at], delta->body);
        v->caught_item[at] = (struct item){.time = d.time, .id = d.id};
        see_ops(v, &d);
        delta_close(&d);
    }
    bundle_close(&b);
}

static size_t kept(size_t ever, size_t max)
{
    return ever < max ? ever : max;
}

const struct buf *villain_caught(struct villain *v, struct item *item)
{
    size_t n = kept(v->caught_count, VILLAIN_CAUGHT_MAX);
    if (n == 0)
        return NULL;
    size_t at = (size_t)rng_below(v->rng, n);
    *item = v->caught_item[at];
    return &v->caught[at];
}

const struct villain_op *villain_seen(struct villain *v)
{
    size_t n = kept(v->seen_count, VILLAIN_SEEN_MAX);
    return n == 0 ? NULL : &v->seen[rng_below(v->rng, n)];
}

/* ---- making -------------------------------------------------------------------------------------------------------- */

const struct villain_made *villain_made_find(const struct villain *v, const struct id *id)
{
    for (size_t i = 0; i < kept(v->made_count, VILLAIN_MADE_MAX); i++)
        if (id_eq(&v->made[i].item.id, id))
            return &v->made[i];
    return NULL;
}

void villain_keep(struct villain *v, const struct item *item, struct bytes bundle)
{
    struct villain_made *m = &v->made[v->made_count++ % VILLAIN_MADE_MAX];
    m->item = *item;
    buf_reset(&m->bundle);
    buf_put_bytes(&m->bundle, bundle);
    (void)setindex_insert(v->set, item);
}

struct workshop {
    struct gen_op ops[OPS_MAX];
    struct buf bodies[OPS_MAX];
    char names[OPS_MAX][MODEL_NAME_MAX + 1];
    struct gen_delta delta;
};

static void draft_op(struct villain *v, const struct villain_draft *d, struct workshop *s, size_t i)
{
    struct gen_op *op = &s->ops[i];
    const struct villain_op *seen = d->foreign ? villain_seen(v) : NULL;
    char text[64];
    *op = (struct gen_op){.verb = d->verb, .kind = d->kind, .name = s->names[i], .travel = d->travel, .epoch = d->epoch};
    op->parent_count = d->parent_count;
    op->parents = d->parents;
    op->owner = d->owner;
    (void)snprintf(s->names[i], sizeof s->names[i], "entry-%u", (unsigned)rng_below(v->rng, SIM_NAMES));
    if (d->name != NULL)
        (void)snprintf(s->names[i], sizeof s->names[i], "%s", d->name);
    if (seen != NULL && op->verb != VERB_STATEMENT) {
        op->kind = seen->kind;
        op->owner = &seen->owner;
        (void)snprintf(s->names[i], sizeof s->names[i], "%s", seen->name);
        if (d->parent_count == 0 && sim_chance(v->rng, 700)) {
            op->parent_count = 1;
            op->parents = &seen->op;
        }
    }
    (void)snprintf(text, sizeof text, "host %u was here %llu", v->h->index, (unsigned long long)rng_below(v->rng, 1000));
    if (op->verb == VERB_PUT)
        gen_body(&s->bodies[i], rng_u64(v->rng), 0, 1, &(struct gen_field){"description", s->delta.time, text});
    op->body = buf_view(&s->bodies[i]);
}

/* A draft may draw what no delta may hold together; then it is one forgery more. */
static bool is_valid(struct bytes bundle)
{
    struct bundle b;
    struct delta d;
    if (bundle_parse(bundle, &b) != ERR_OK)
        return false;
    bool valid = delta_parse(b.delta, &d) == ERR_OK;
    if (valid)
        delta_close(&d);
    bundle_close(&b);
    return valid;
}

bool villain_make(struct villain *v, const struct villain_draft *d, struct item *item, struct buf *out)
{
    struct sim_world *w = v->w;
    size_t ops = d->ops == 0 ? 1 : d->ops < OPS_MAX ? d->ops : OPS_MAX;
    if (w->hostile_deltas >= DELTAS_PER_HOST * w->host_count || w->healing)
        return false;
    struct workshop *s = mem_zalloc(sizeof *s);
    s->delta = (struct gen_delta){.mesh = &w->mesh, .author = &v->key, .op_count = ops, .ops = s->ops};
    s->delta.time = d->time != 0 ? d->time : hlc_from_ms(villain_clock(v)) + rng_below(v->rng, 60000);
    for (size_t i = 0; i < ops; i++)
        draft_op(v, d, s, i);
    size_t from = out->n;
    gen_bundle(out, &s->delta, &item->id);
    item->time = s->delta.time;
    for (size_t i = 0; i < ops; i++)
        s->ops[i].travel = GEN_SENT;
    struct buf whole = {0};
    gen_bundle(&whole, &s->delta, NULL);
    if (setindex_has(w->known, item) || !is_valid(buf_view(&whole)))
        buf_close(&whole);
    else
        sim_check_made(w, &(struct sim_delta){.item = *item, .host = v->h->index, .hostile = true, .bundle = buf_view(&whole)});
    w->hostile_deltas++;
    villain_keep(v, item, bytes_of(out->p + from, out->n - from));
    for (size_t i = 0; i < ops; i++)
        buf_close(&s->bodies[i]);
    free(s);
    return true;
}

/* ---- sending ------------------------------------------------------------------------------------------------------- */

void villain_push(struct villain *v, struct villain_link *l, const struct id *id, struct bytes bundle)
{
    villain_say(v, l, &(struct wire_message){.type = WIRE_DELTA, .id = *id, .body = bundle});
}

void villain_offer(struct villain *v, struct villain_link *l, const struct item *items, size_t count)
{
    struct buf rows = {0};
    for (size_t i = 0; i < count; i++)
        wire_put_item(&rows, &items[i]);
    villain_say(v, l, &(struct wire_message){.type = WIRE_IHAVE, .count = count, .items = rows.p});
    buf_close(&rows);
}
