/*
 * Histories compiled: from steps to signed bundles (see history.h). Honest steps read the oracle over what they
 * see and write through the product's plan_put; raw steps say exactly what they were drawn to say.
 */
#include "tests/lib/history.h"

#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "crdt/hlc.h"
#include "crdt/register.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char mesh_text[] = "laws";

static const struct gen_author *actor(unsigned n)
{
    static struct gen_author all[ACTORS];
    static bool made[ACTORS];
    assert(n < ACTORS);
    if (!made[n])
        gen_author(&all[n], n);
    made[n] = true;
    return &all[n];
}

struct key actor_key(unsigned n)
{
    return actor(n)->key;
}

struct bytes mesh_name_of(void)
{
    return bytes_str(mesh_text);
}

struct id mesh_of(void)
{
    struct id id;
    mesh_id(&id, &actor(0)->key, mesh_name_of());
    return id;
}

/* ---- places ---- */

struct spot {
    uint64_t kind;
    unsigned owner;
    const char *name; /* NULL: the hex of member's key */
    unsigned member;
};

static const struct spot spots[PLACE_COUNT] = {
    [PLACE_M1] = {KIND_MODEL, 1, "m", 0},
    [PLACE_N1] = {KIND_MODEL, 1, "n", 0},
    [PLACE_M2] = {KIND_AGENT, 2, "m", 0},
    [PLACE_UNKNOWN] = {9, 1, "m", 0},
    [PLACE_CHARTER] = {KIND_CHARTER, 0, mesh_text, 0},
    [PLACE_MEMBER1] = {KIND_MEMBER, 0, NULL, 1},
    [PLACE_MEMBER2] = {KIND_MEMBER, 0, NULL, 2},
    [PLACE_MEMBER3] = {KIND_MEMBER, 0, NULL, 3},
    [PLACE_MEMBER4] = {KIND_MEMBER, 0, NULL, 4},
    [PLACE_ODD] = {KIND_MEMBER, 2, "odd", 0},
};

static void spot_name(enum place place, char out[ID_HEX_SIZE])
{
    if (spots[place].name != NULL)
        (void)snprintf(out, ID_HEX_SIZE, "%s", spots[place].name);
    else
        key_hex(out, &actor(spots[place].member)->key);
}

struct id place_id(enum place place)
{
    static struct id ids[PLACE_COUNT];
    static bool made[PLACE_COUNT];
    char name[ID_HEX_SIZE];
    if (!made[place]) {
        spot_name(place, name);
        entry_id(&ids[place], spots[place].kind, &actor(spots[place].owner)->key, bytes_str(name));
        made[place] = true;
    }
    return ids[place];
}

unsigned place_actor(enum place place)
{
    return spots[place].owner;
}

static const char *field_name(enum place place, unsigned field)
{
    static const char *const plain[] = {"a", "b", "c"}, *const charter[] = {"admission", "about"},
                             *const member[] = {"removed", "role"};
    if (spots[place].kind == KIND_CHARTER)
        return charter[field % 2];
    if (spots[place].kind == KIND_MEMBER)
        return member[field % 2];
    return plain[field % 3];
}

/* Value 0 is a removed field. */
static void put_value(struct buf *out, enum place place, unsigned field, unsigned value)
{
    char text[16];
    (void)snprintf(text, sizeof text, "v%u", value);
    if (value == 0)
        mp_put_nil(out);
    else if (spots[place].kind == KIND_CHARTER && field % 2 == 0)
        mp_put_str(out, bytes_str(value % 2 == 1 ? "open" : "members"));
    else if (spots[place].kind == KIND_MEMBER && field % 2 == 0)
        mp_put_bool(out, value % 2 == 1);
    else
        mp_put_str(out, bytes_str(text));
}

/* ---- compiling ---- */

/* One step on its way to a bundle. */
struct make {
    struct compiled *c;
    const struct step *step;
    uint64_t time;
    size_t op_count;
    struct gen_op ops[MODEL_DELTA_OPS_MAX];
    enum body_fate fate[MODEL_DELTA_OPS_MAX];
    struct buf body[MODEL_DELTA_OPS_MAX];
    struct key owner[2];
    char name[2][ID_HEX_SIZE];
    struct id *parents[2];
    struct grant grant[2];
};

static void raw_parents(struct make *m, const struct act *a, struct gen_op *op, size_t which)
{
    struct id *ids = mem_calloc(2 * STEPS_MAX + 1, sizeof *ids);
    size_t n = 0;
    for (unsigned bit = 0; bit < 32; bit++) {
        unsigned tag = bit % 16;
        if ((a->parents >> bit & 1) != 0 && tag < STEPS_MAX && m->c->made[tag])
            ids[n++] = m->c->op[tag][bit / 16];
    }
    if (a->unseen_parent)
        ids[n++] = gen_id(m->step->tag);
    m->parents[which] = ids;
    op->parents = ids;
    op->parent_count = n;
}

static void raw_body(struct make *m, const struct act *a, size_t op, unsigned salt)
{
    struct buf first = {0}, second = {0};
    uint64_t at = a->changed_at > 0 ? a->changed_at : m->time;
    struct field fields[2] = {{bytes_str(field_name(a->place, a->field)), at, {0}},
                              {bytes_str(field_name(a->place, a->field + 1)), at / 2 + 1, {0}}};
    put_value(&first, a->place, a->field, a->value);
    put_value(&second, a->place, a->field + 1, a->value);
    fields[0].value = buf_view(&first);
    fields[1].value = buf_view(&second);
    size_t count = a->value % 4 == 3 ? 2 : 1;
    if (count == 2 && bytes_cmp(fields[0].name, fields[1].name) > 0) {
        struct field turned = fields[0];
        fields[0] = fields[1];
        fields[1] = turned;
    }
    struct body body = {.since = a->since, .field_count = count, .fields = fields};
    body.salt[0] = (uint8_t)m->step->tag;
    body.salt[1] = (uint8_t)salt;
    body.salt[2] = (uint8_t)op;
    if (a->fate == FATE_MALFORMED)
        buf_put_str(&m->body[op], "\x93\x01");
    else
        body_encode(&body, &m->body[op]);
    buf_close(&first);
    buf_close(&second);
}

static struct gen_op *start_op(struct make *m, const struct act *a, size_t which)
{
    m->owner[which] = actor_key(spots[a->place].owner);
    spot_name(a->place, m->name[which]);
    m->fate[m->op_count] = a->fate;
    struct gen_op *op = &m->ops[m->op_count];
    *op = (struct gen_op){.verb = a->verb, .kind = spots[a->place].kind, .owner = &m->owner[which],
                          .name = m->name[which], .epoch = a->epoch};
    return op;
}

static void state_grant(struct make *m, const struct act *a, struct gen_op *op, size_t which)
{
    unsigned target = a->target == spots[a->place].owner ? (a->target + 1) % ACTORS : a->target;
    m->grant[which] = (struct grant){.key = actor_key(target), .epoch = op->epoch, .granted = a->granted};
    op->grants = &m->grant[which];
    op->grant_count = 1;
}

static void make_raw(struct make *m)
{
    m->time = m->step->time;
    for (size_t i = 0; i < m->step->act_count; i++) {
        const struct act *a = &m->step->act[i];
        unsigned copies = i == 0 && a->verb == VERB_PUT ? m->step->copies : 1;
        for (unsigned k = 0; k < copies; k++) {
            struct gen_op *op = start_op(m, a, i);
            if (a->verb == VERB_STATEMENT)
                state_grant(m, a, op, i);
            else if (k == 0)
                raw_parents(m, a, op, i);
            else
                *op = m->ops[m->op_count - 1];
            if (a->verb == VERB_PUT)
                raw_body(m, a, m->op_count, k);
            m->op_count++;
        }
    }
}

/* ---- honest steps ---- */

static void oracle_seen(struct oracle *o, const struct make *m)
{
    const struct key founder = actor_key(0);
    oracle_init(o, &founder, mesh_name_of());
    (void)oracle_add(o, buf_view(&m->c->bundle[0]));
    for (size_t tag = 0; tag < STEPS_MAX; tag++)
        if (m->c->made[tag] && (m->step->sees >> tag & 1) != 0)
            (void)oracle_add(o, buf_view(&m->c->bundle[m->c->bundle_of[tag]]));
    for (size_t i = m->c->late_from; i < m->c->late_to && (m->step->sees & SEES_LATE) != 0; i++)
        (void)oracle_add(o, buf_view(&m->c->bundle[i]));
    oracle_judge(o);
}

/* The statements that say who may write at a place, as an honest node sees them. */
static void grants_seen(struct grants *g, const struct oracle *o, enum place place)
{
    struct id from = place_id(spots[place].kind == KIND_MEMBER ? PLACE_CHARTER : place);
    *g = (struct grants){0};
    for (size_t i = 0; i < o->op_count; i++)
        for (size_t k = 0; id_eq(&o->entries[o->ops[i].entry].id, &from) && k < o->ops[i].op->grant_count; k++)
            grants_add(g, &o->ops[i].op->grants[k]);
}

/* Heads that a write merges: those whose body is held; a delete names all. */
static size_t heads_named(const struct oracle *o, const struct oracle_entry *e, enum verb verb, struct head *out)
{
    size_t n = 0;
    for (size_t i = 0; e != NULL && i < e->head_count; i++) {
        const struct oracle_op *op = &o->ops[e->heads[i]];
        const struct delta *d = &op->delta_of->d;
        if (op->op->verb == VERB_PUT && !op->has_body && verb == VERB_PUT)
            continue;
        out[n++] = (struct head){.op = op->id, .author = d->author, .time = d->time,
                                 .is_put = op->op->verb == VERB_PUT, .is_owner = key_eq(&d->author, &e->owner),
                                 .has_body = op->has_body, .body = op->well_formed ? &op->body : NULL};
    }
    return n;
}

static uint64_t honest_time(const struct make *m, const struct oracle *o, const struct merged *now)
{
    struct hlc clock = {0};
    uint64_t last = m->step->time;
    for (size_t i = 0; i < o->delta_count; i++)
        if (key_eq(&o->deltas[i].d.author, &actor(m->step->author)->key) && o->deltas[i].d.time > last)
            last = o->deltas[i].d.time;
    clock.last = last;
    return hlc_next(&clock, 0, now->newest);
}

static void honest_body(struct make *m, const struct act *a, const struct merged *now)
{
    struct buf value = {0};
    uint8_t salt[16] = {(uint8_t)m->step->tag, 1};
    put_value(&value, a->place, a->field, a->value);
    struct field field = {.name = bytes_str(field_name(a->place, a->field)), .value = buf_view(&value)};
    struct change change = {.mode = a->value % 5 == 4 ? CHANGE_REPLACE : CHANGE_PATCH, .field_count = 1, .fields = &field};
    enum err e = plan_put(now, &change, salt, m->time, &m->body[0]);
    assert(e == ERR_OK);
    (void)e;
    buf_close(&value);
}

/* See MODEL 6: in the charter `admission` is the founder's view of it. */
static void founders_admission(const struct oracle *o, uint64_t time, struct merged *now)
{
    const struct id charter = place_id(PLACE_CHARTER);
    const struct oracle_entry *e = oracle_find(o, &charter);
    const struct field *f = e != NULL ? oracle_field(e, bytes_str("admission")) : NULL;
    struct field version = f != NULL ? *f : (struct field){0};
    if (f != NULL && f->changed_at <= now->since)
        version.changed_at = time; /* or the new put would hide it */
    merged_set(now, bytes_str("admission"), f != NULL ? &version : NULL);
}

static void honest_op(struct make *m, const struct oracle *o, struct gen_op *op)
{
    const struct act *a = &m->step->act[0];
    struct head *heads = mem_calloc(o->op_count, sizeof *heads);
    struct id place = place_id(a->place);
    struct grants grants;
    struct merged now;
    struct key self = actor_key(m->step->author), target = actor_key(a->target);
    size_t n = heads_named(o, oracle_find(o, &place), a->verb, heads);
    resolve(heads, n, &now);
    m->time = honest_time(m, o, &now);
    if (a->place == PLACE_CHARTER)
        founders_admission(o, m->time, &now);
    grants_seen(&grants, o, a->place);
    if (a->verb == VERB_STATEMENT)
        op->epoch = grants_next_epoch(&grants, &target);
    else if (!grants_best(&grants, &self, &op->epoch))
        op->epoch = 0;
    m->parents[0] = mem_calloc(n, sizeof **m->parents);
    for (size_t i = 0; i < n && i < MODEL_PARENTS_MAX && a->verb != VERB_STATEMENT; i++, op->parent_count = i)
        m->parents[0][i] = heads[i].op;
    op->parents = m->parents[0];
    if (a->verb == VERB_PUT)
        honest_body(m, a, &now);
    grants_close(&grants);
    merged_close(&now);
    free(heads);
}

static void make_honest(struct make *m)
{
    struct oracle o;
    const struct act *a = &m->step->act[0];
    struct gen_op *op = start_op(m, a, 0);
    m->fate[0] = FATE_SENT;
    oracle_seen(&o, m);
    honest_op(m, &o, op);
    if (a->verb == VERB_STATEMENT)
        state_grant(m, a, op, 0);
    m->op_count = 1;
    oracle_close(&o);
}

/* ---- bundles ---- */

static void sign_bundle(struct make *m, struct buf *out, struct buf *late, struct id *delta)
{
    struct buf bytes = {0};
    struct bundle_body bodies[MODEL_DELTA_OPS_MAX], later[MODEL_DELTA_OPS_MAX];
    const struct gen_author *author = actor(m->step->author);
    const struct id mesh = mesh_of();
    struct bundle b = {.bodies = bodies}, l = {.bodies = later};
    for (size_t i = 0; i < m->op_count; i++) {
        m->ops[i].body = buf_view(&m->body[i]);
        struct bundle_body body = {(uint16_t)i, m->ops[i].body};
        if (m->ops[i].verb != VERB_PUT || m->fate[i] == FATE_WITHHELD)
            continue;
        if (m->fate[i] == FATE_FORGED)
            body.body = bytes_str("\x93");
        if (m->fate[i] == FATE_LATE)
            later[l.body_count++] = body;
        else
            bodies[b.body_count++] = body;
    }
    gen_delta(&bytes, &(struct gen_delta){&mesh, author, m->time, m->op_count, m->ops}, delta);
    delta_sign(b.sig, delta, author->secret);
    b.delta = l.delta = buf_view(&bytes);
    memcpy(l.sig, b.sig, sizeof l.sig);
    bundle_encode(&b, out);
    if (l.body_count > 0)
        bundle_encode(&l, late);
    buf_close(&bytes);
}

static void make_step(struct compiled *c, const struct step *s, struct buf *late)
{
    struct id delta;
    struct make *m = mem_zalloc(sizeof *m);
    m->c = c;
    m->step = s;
    assert(c->count < 1 + BUNDLES_MAX && s->tag < STEPS_MAX && !c->made[s->tag]);
    if (s->honest)
        make_honest(m);
    else
        make_raw(m);
    sign_bundle(m, &c->bundle[c->count], late, &delta);
    c->bundle_of[s->tag] = c->count++;
    c->made[s->tag] = true;
    c->time[s->tag] = m->time;
    op_id(&c->op[s->tag][0], &delta, 0);
    op_id(&c->op[s->tag][1], &delta, m->op_count - 1);
    for (size_t i = 0; i < m->op_count; i++)
        buf_close(&m->body[i]);
    free(m->parents[0]);
    free(m->parents[1]);
    free(m);
}

/* The charter that opens the mesh: the same in every history. */
static void make_charter(struct compiled *c)
{
    struct buf body = {0};
    char name[ID_HEX_SIZE];
    const struct id mesh = mesh_of();
    spot_name(PLACE_CHARTER, name);
    gen_body_text(&body, "admission", 1, "open");
    (void)gen_one(&c->bundle[c->count++], &mesh, actor(0), 1,
                  &(struct gen_op){.kind = KIND_CHARTER, .name = name, .body = buf_view(&body)});
    buf_close(&body);
}

void history_compile(const struct history *h, struct compiled *c)
{
    struct buf late[STEPS_MAX] = {{0}};
    *c = (struct compiled){0};
    make_charter(c);
    for (size_t i = 0; i < h->step_count; i++)
        make_step(c, &h->steps[i], &late[i]);
    c->late_from = c->count;
    for (size_t i = 0; i < h->step_count; i++)
        if (late[i].n > 0)
            c->bundle[c->count++] = late[i];
    c->late_to = c->count;
}

void compiled_push(struct compiled *c, const struct step *s)
{
    struct buf late = {0};
    make_step(c, s, &late);
    buf_close(&late);
}

void compiled_pop(struct compiled *c, size_t count)
{
    for (size_t tag = 0; tag < STEPS_MAX; tag++)
        c->made[tag] = c->made[tag] && c->bundle_of[tag] < count;
    while (c->count > count)
        buf_close(&c->bundle[--c->count]);
}

unsigned compiled_tag(const struct compiled *c)
{
    unsigned tag = STEPS_MAX;
    while (tag > 0 && !c->made[tag - 1])
        tag--;
    assert(tag < STEPS_MAX);
    return tag;
}

void compiled_close(struct compiled *c)
{
    for (size_t i = 0; i < c->count; i++)
        buf_close(&c->bundle[i]);
    *c = (struct compiled){0};
}

void oracle_over(struct oracle *o, const struct compiled *c, const size_t *order, size_t n)
{
    const struct key founder = actor_key(0);
    oracle_init(o, &founder, mesh_name_of());
    for (size_t i = 0; i < n; i++) {
        bool ours = oracle_add(o, buf_view(&c->bundle[order != NULL ? order[i] : i]));
        assert(ours);
        (void)ours;
    }
    oracle_judge(o);
}
