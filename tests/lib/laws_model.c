/*
 * Laws that the definition itself must keep (see MODEL 8): each takes a history, adds what the law speaks of, and
 * compares the plain judgements before and after. What is vacuous for a history (nobody to revoke, a
 * hidden entry) holds.
 */
#include "tests/lib/laws.h"

#include "crdt/alloc.h"
#include "crdt/codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum place plain_places[] = {PLACE_M1, PLACE_N1, PLACE_M2, PLACE_UNKNOWN};

static bool no(char why[WHY_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool no(char why[WHY_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, WHY_MAX, format, args);
    va_end(args);
    return false;
}

static const struct key *author_of(const struct oracle *o, size_t op)
{
    return &o->ops[op].delta_of->d.author;
}

static bool is_head(const struct oracle *o, const struct id *op)
{
    const struct oracle_op *found = oracle_find_op(o, op);
    return found != NULL && found->head;
}

static bool same_set(const struct oracle *a, const struct oracle *b)
{
    struct item *x, *y;
    size_t n = oracle_set(a, &x), m = oracle_set(b, &y);
    bool same = n == m;
    for (size_t i = 0; i < n && same; i++)
        same = id_eq(&x[i].id, &y[i].id);
    free(x);
    free(y);
    return same;
}

static bool same_state(const struct oracle *a, const struct oracle *b)
{
    struct id x, y;
    oracle_state_hash(a, &x);
    oracle_state_hash(b, &y);
    return id_eq(&x, &y);
}

/* Judgements before and after steps were pushed. */
struct two {
    struct oracle before, after;
};

static void two_open(struct two *t, const struct compiled *c, size_t before)
{
    oracle_over(&t->before, c, NULL, before);
    oracle_over(&t->after, c, NULL, c->count);
}

static void two_close(struct two *t)
{
    oracle_close(&t->before);
    oracle_close(&t->after);
}

/* ---- order ---- */

static void shuffle(size_t *order, size_t n, struct rng *rng)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = rng_below(rng, i), t = order[k];
        order[k] = order[i - 1];
        order[i - 1] = t;
    }
}

/* commutes, associates, idempotent */
static bool order_means_nothing(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    size_t order[2 * (1 + BUNDLES_MAX)], n = 0;
    struct oracle straight, turned;
    for (size_t i = 0; i < c->count; i++)
        for (uint64_t k = rng_below(rng, 3) == 0 ? 2 : 1; k > 0; k--)
            order[n++] = i;
    shuffle(order, n, rng);
    oracle_over(&straight, c, NULL, c->count);
    oracle_over(&turned, c, order, n);
    bool ok = same_set(&straight, &turned) && same_state(&straight, &turned);
    oracle_close(&straight);
    oracle_close(&turned);
    return ok || no(why, "another order, with repeats, gives another set or state");
}

static bool digest_equal_iff_sets_are(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    struct oracle o[2];
    struct setindex *index[2];
    struct id digest[2];
    for (size_t side = 0; side < 2; side++) {
        size_t order[1 + BUNDLES_MAX], n = 0;
        struct item *items;
        for (size_t i = 0; i < c->count; i++)
            if (i == 0 || rng_below(rng, 6) != 0)
                order[n++] = i;
        shuffle(order, n, rng);
        oracle_over(&o[side], c, order, n);
        index[side] = setindex_new();
        n = oracle_set(&o[side], &items);
        shuffle(order, 0, rng);
        for (size_t i = 0; i < n; i++)
            (void)setindex_insert(index[side], &items[side == 0 ? i : n - 1 - i]);
        setindex_digest(index[side], &digest[side]);
        free(items);
    }
    bool sets = same_set(&o[0], &o[1]), digests = id_eq(&digest[0], &digest[1]);
    for (size_t side = 0; side < 2; side++) {
        oracle_close(&o[side]);
        setindex_free(index[side]);
    }
    return sets == digests || no(why, "sets %s, digests %s", sets ? "equal" : "differ", digests ? "equal" : "differ");
}

/* ---- encodings ---- */

static bool same_bytes(const struct buf *made, struct bytes as)
{
    return bytes_eq(buf_view(made), as);
}

static bool body_comes_back(struct bytes bytes)
{
    struct buf made = {0};
    struct body body;
    if (body_parse(bytes, UINT64_MAX, &body) != ERR_OK)
        return true;
    body_encode(&body, &made);
    bool same = same_bytes(&made, bytes);
    buf_close(&made);
    body_close(&body);
    return same;
}

static bool bundle_comes_back(struct bytes bytes)
{
    struct buf made = {0}, made_delta = {0};
    struct bundle bundle;
    struct delta delta;
    if (bundle_parse(bytes, &bundle) != ERR_OK)
        return false;
    bool same = delta_parse(bundle.delta, &delta) == ERR_OK;
    if (same) {
        bundle_encode(&bundle, &made);
        delta_encode(&delta, &made_delta);
        same = same_bytes(&made, bytes) && same_bytes(&made_delta, bundle.delta);
        delta_close(&delta);
    }
    for (size_t i = 0; i < bundle.body_count && same; i++)
        same = body_comes_back(bundle.bodies[i].body);
    bundle_close(&bundle);
    buf_close(&made);
    buf_close(&made_delta);
    return same;
}

static bool encoding_comes_back(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    (void)rng;
    for (size_t i = 0; i < c->count; i++)
        if (!bundle_comes_back(buf_view(&c->bundle[i])))
            return no(why, "bundle %zu is not what its encoding gives back", i);
    return true;
}

/* ---- rights ---- */

#define EPOCH_OF_NOBODY 1000

static bool stranger_changes_nothing(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    size_t before = c->count;
    struct step s = step_draw(rng, compiled_tag(c));
    struct two t;
    s.act_count = 1;
    if (s.act[0].verb == VERB_STATEMENT)
        s.act[0].verb = VERB_DELETE;
    s.act[0].epoch = EPOCH_OF_NOBODY;
    s.author = (place_actor(s.act[0].place) + 1 + (unsigned)rng_below(rng, ACTORS - 1)) % ACTORS;
    compiled_push(c, &s);
    two_open(&t, c, before);
    bool ok = same_state(&t.before, &t.after);
    two_close(&t);
    return ok || no(why, "actor %u at place %d changed the state", s.author, (int)s.act[0].place);
}

/* Heads of others than `who` in entry e stay heads; and if `who` has none there, nothing changes. */
static bool others_keep_theirs(const struct two *t, const struct oracle_entry *e, const struct key *who)
{
    const struct oracle_entry *after = oracle_find(&t->after, &e->id);
    size_t theirs = 0;
    for (size_t i = 0; i < e->head_count; i++) {
        if (key_eq(author_of(&t->before, e->heads[i]), who))
            continue;
        theirs++;
        if (!is_head(&t->after, &t->before.ops[e->heads[i]].id))
            return false;
    }
    return theirs < e->head_count || after->head_count == e->head_count;
}

static bool revocation_takes_back_only_its_own(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    size_t before = c->count;
    enum place place = plain_places[rng_below(rng, 4)];
    unsigned owner = place_actor(place), writer = (owner + 1 + (unsigned)rng_below(rng, ACTORS - 1)) % ACTORS;
    struct step s = step_of(compiled_tag(c), owner, place, VERB_STATEMENT);
    struct key key = actor_key(writer);
    struct id id = place_id(place);
    struct two t;
    bool ok = true;
    s.honest = false;
    s.act[0].target = writer;
    s.act[0].epoch = EPOCH_OF_NOBODY;
    compiled_push(c, &s);
    two_open(&t, c, before);
    const struct oracle_entry *was = oracle_find(&t.before, &id), *is = oracle_find(&t.after, &id);
    for (size_t i = 0; i < is->head_count && !is->hidden; i++)
        if (key_eq(author_of(&t.after, is->heads[i]), &key))
            ok = no(why, "an op of the revoked actor %u is still a head", writer);
    if (ok && was != NULL && !is->hidden && !others_keep_theirs(&t, was, &key))
        ok = no(why, "a revocation of actor %u took back what others wrote", writer);
    two_close(&t);
    return ok;
}

static bool judge_removal(const struct two *t, const struct key *key, char why[WHY_MAX])
{
    if (oracle_admitted(&t->after, key))
        return no(why, "the removed member is still admitted");
    for (size_t i = 0; i < t->before.entry_count; i++) {
        const struct oracle_entry *was = &t->before.entries[i], *is = oracle_find(&t->after, &was->id);
        if (was->kind == KIND_CHARTER || was->kind == KIND_MEMBER)
            continue;
        bool own = key_eq(&was->owner, key);
        if (own ? !is->hidden : was->hidden != is->hidden)
            return no(why, "hidden is wrong after a removal");
        if (!own && !was->hidden && !others_keep_theirs(t, was, key))
            return no(why, "a removal took back or brought back what others did");
    }
    return true;
}

static bool removal_takes_back_only_its_own(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    size_t before = c->count;
    unsigned member = 1 + (unsigned)rng_below(rng, ACTORS - 1);
    struct step s = step_of(compiled_tag(c), 0, (enum place)(PLACE_MEMBER1 + member - 1), VERB_PUT);
    struct key key = actor_key(member);
    struct two t;
    compiled_push(c, &s);
    two_open(&t, c, before);
    bool ok = oracle_operator(&t.before, &key) || t.before.admission == ORACLE_NO_CHARTER || judge_removal(&t, &key, why);
    two_close(&t);
    return ok;
}

/* ---- writing ---- */

/* A shown place (or one that nobody wrote yet, whose owner is admitted) with all bodies of its heads; false: none drawn. */
static bool place_in_order(const struct compiled *c, struct rng *rng, enum place *place)
{
    struct oracle o;
    *place = plain_places[rng_below(rng, 4)];
    struct id id = place_id(*place);
    struct key owner = actor_key(place_actor(*place));
    oracle_over(&o, c, NULL, c->count);
    const struct oracle_entry *e = oracle_find(&o, &id);
    bool ok = oracle_admitted(&o, &owner);
    for (size_t i = 0; e != NULL && i < e->head_count; i++) {
        const struct oracle_op *op = &o.ops[e->heads[i]];
        ok = ok && (op->has_body || op->op->verb != VERB_PUT);
    }
    oracle_close(&o);
    return ok;
}

static bool shows(const struct oracle_entry *e, const char *name, const char *text)
{
    const struct field *f = e != NULL ? oracle_field(e, bytes_str(name)) : NULL;
    size_t n = strlen(text);
    return f != NULL && f->value.n == n + 1 && memcmp(f->value.p + 1, text, n) == 0;
}

static struct step edit(unsigned tag, enum place place, unsigned field, unsigned value)
{
    struct step s = step_of(tag, place_actor(place), place, VERB_PUT);
    s.act[0].field = field;
    s.act[0].value = value;
    return s;
}

static bool owner_is_not_overruled(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    enum place place;
    struct oracle o;
    if (!place_in_order(c, rng, &place))
        return true;
    struct step s = edit(compiled_tag(c), place, 0, 7 + (unsigned)rng_below(rng, 4));
    char text[16];
    (void)snprintf(text, sizeof text, "v%u", s.act[0].value);
    compiled_push(c, &s);
    oracle_over(&o, c, NULL, c->count);
    struct id id = place_id(place);
    const struct oracle_entry *e = oracle_find(&o, &id);
    bool ok = e->head_count == 1 && id_eq(&o.ops[e->heads[0]].id, &c->op[s.tag][0]) && shows(e, "a", text);
    oracle_close(&o);
    return ok || no(why, "the owner wrote a=%s at place %d and it is not what is shown", text, (int)place);
}

static bool both_sides_survive(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    enum place place;
    struct oracle o;
    if (!place_in_order(c, rng, &place))
        return true;
    struct step left = edit(compiled_tag(c), place, 0, 7);
    struct step right = edit(left.tag + 1, place, 1, 8);
    right.sees &= ~(UINT32_C(1) << left.tag);
    right.time = 90 + (unsigned)rng_below(rng, 20);
    compiled_push(c, &left);
    compiled_push(c, &right);
    oracle_over(&o, c, NULL, c->count);
    struct id id = place_id(place);
    const struct oracle_entry *e = oracle_find(&o, &id);
    bool ok = e->head_count == 2 && shows(e, "a", "v7") && shows(e, "b", "v8");
    oracle_close(&o);
    return ok || no(why, "an edit of one side of a partition is lost at place %d", (int)place);
}

static bool edit_survives_a_delete(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    enum place place;
    struct oracle o;
    if (!place_in_order(c, rng, &place))
        return true;
    struct step gone = step_of(compiled_tag(c), place_actor(place), place, VERB_DELETE);
    struct step right = edit(gone.tag + 1, place, 1, 8);
    right.sees &= ~(UINT32_C(1) << gone.tag);
    right.time = 90 + (unsigned)rng_below(rng, 20);
    compiled_push(c, &gone);
    compiled_push(c, &right);
    oracle_over(&o, c, NULL, c->count);
    struct id id = place_id(place);
    const struct oracle_entry *e = oracle_find(&o, &id);
    bool ok = !e->deleted && shows(e, "b", "v8");
    oracle_close(&o);
    return ok || no(why, "a concurrent delete took an edit at place %d", (int)place);
}

static bool stale_edit_brings_nothing_back(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    enum place place;
    struct oracle o;
    if (!place_in_order(c, rng, &place))
        return true;
    struct step gone = step_of(compiled_tag(c), place_actor(place), place, VERB_DELETE);
    struct step again = edit(gone.tag + 1, place, 0, 7), stale = edit(gone.tag + 2, place, 1, 8);
    stale.sees &= ~(UINT32_C(3) << gone.tag);
    stale.time = 60 + (unsigned)rng_below(rng, 60);
    compiled_push(c, &gone);
    compiled_push(c, &again);
    compiled_push(c, &stale);
    oracle_over(&o, c, NULL, c->count);
    struct id id = place_id(place);
    const struct oracle_entry *e = oracle_find(&o, &id);
    bool ok = shows(e, "a", "v7");
    for (size_t i = 0; i < e->field_count; i++)
        ok = ok && e->fields[i].changed_at > c->time[gone.tag];
    oracle_close(&o);
    return ok || no(why, "a stale edit brought back a field of before the delete at place %d", (int)place);
}

static bool delete_never_resurrects(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    enum place place = plain_places[rng_below(rng, 4)];
    struct step gone = step_of(compiled_tag(c), place_actor(place), place, VERB_DELETE);
    struct id id = place_id(place);
    struct key owner = actor_key(place_actor(place));
    struct two t;
    size_t before = c->count;
    compiled_push(c, &gone);
    size_t after = c->count;
    for (unsigned i = 1; i <= 2; i++) {
        struct step s = step_draw(rng, gone.tag + i);
        compiled_push(c, &s);
    }
    two_open(&t, c, before);
    bool ok = true;
    const struct oracle_entry *was = oracle_find(&t.before, &id), *is = oracle_find(&t.after, &id);
    for (size_t i = 0; was != NULL && i < was->head_count; i++)
        if (oracle_admitted(&t.before, &owner) && !is->hidden && is_head(&t.after, &t.before.ops[was->heads[i]].id))
            ok = no(why, "a head that the owner deleted at place %d is back", (int)place);
    two_close(&t);
    oracle_over(&t.after, c, NULL, after);
    is = oracle_find(&t.after, &id);
    if (ok && !is->hidden && !is->deleted)
        ok = no(why, "a delete that names all heads at place %d does not delete", (int)place);
    oracle_close(&t.after);
    return ok;
}

const struct law model_laws[] = {
    {"commutes, associates, idempotent", order_means_nothing, 1},
    {"digest equal iff sets equal", digest_equal_iff_sets_are, 8},
    {"encode(decode(x)) == x", encoding_comes_back, 4},
    {"a stranger's op changes nothing but the digest", stranger_changes_nothing, 1},
    {"a revocation takes back the writer's ops and nothing of others", revocation_takes_back_only_its_own, 2},
    {"a removal takes back nothing of others and un-deletes nothing", removal_takes_back_only_its_own, 2},
    {"an owner who writes is not overruled by what the write named", owner_is_not_overruled, 2},
    {"both sides of a partition survive", both_sides_survive, 2},
    {"an edit survives a concurrent delete", edit_survives_a_delete, 2},
    {"a stale edit brings back nothing that was deleted and made anew", stale_edit_brings_nothing_back, 2},
    {"a delete never resurrects", delete_never_resurrects, 2},
};
const size_t model_law_count = sizeof model_laws / sizeof *model_laws;
