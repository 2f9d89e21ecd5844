/*
 * Who is in the mesh is a view of the set (see MODEL 6): charter changes, admissions, removals, operators made and taken
 * back, by authors who see each other's work or do not, come in every order (small histories) or in many (larger ones), and the
 * store ends with one set, one state and one standing of every key: those of the definition.
 */
#include "tests/lib/laws.h"

#include "store/store.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a store that bundles are handed to ---- */

struct mesh {
    const struct compiled *c;
    struct kv *kv;
    struct store *store;
    struct rng rng;
    bool refused[1 + BUNDLES_MAX];
};

static void mesh_open(struct mesh *m, const struct compiled *c)
{
    struct store_config config = {.mesh = mesh_of(), .has_founder = true, .founder = actor_key(0), .mesh_name = mesh_name_of()};
    *m = (struct mesh){.c = c, .kv = kv_mem_new()};
    rng_seed(&m->rng, 1);
    cr_assert_eq(store_open(&m->store, m->kv, &config), ERR_OK);
}

static void mesh_close(struct mesh *m)
{
    store_close(m->store);
    m->kv->ops->close(m->kv);
}

static void commit(struct mesh *m, const size_t *which, size_t n)
{
    struct store_in in[1 + BUNDLES_MAX];
    struct store_job job = {.now_ms = 1000, .rng = &m->rng, .in_count = n, .in = in};
    memset(in, 0, sizeof in);
    for (size_t i = 0; i < n; i++)
        in[i].bundle = buf_view(&m->c->bundle[which[i]]);
    cr_assert_eq(store_apply(m->store, &job), ERR_OK);
    for (size_t i = 0; i < n; i++)
        m->refused[which[i]] = in[i].verdict == VERDICT_REFUSED;
    bool more = job.more;
    store_job_close(&job);
    while (more) {
        struct store_job rest = {.now_ms = 1000, .rng = &m->rng};
        cr_assert_eq(store_apply(m->store, &rest), ERR_OK);
        more = rest.more;
        store_job_close(&rest);
    }
}

/* What was refused for want of what another one brings is offered again, as reconciliation would. */
static void offer_again(struct mesh *m)
{
    for (bool progress = true; progress;) {
        progress = false;
        for (size_t i = 0; i < m->c->count; i++)
            if (m->refused[i]) {
                commit(m, &i, 1);
                progress |= !m->refused[i];
            }
    }
}

/* ---- what it must come to ---- */

struct outcome {
    struct id digest, state;
    bool admitted[ACTORS], operator[ACTORS];
};

static void outcome_of_definition(const struct compiled *c, struct outcome *out)
{
    struct oracle o;
    struct item *items;
    struct setindex *set = setindex_new();
    oracle_over(&o, c, NULL, c->count);
    oracle_state_hash(&o, &out->state);
    size_t n = oracle_set(&o, &items);
    for (size_t i = 0; i < n; i++)
        cr_assert(setindex_insert(set, &items[i]));
    setindex_digest(set, &out->digest);
    for (unsigned a = 0; a < ACTORS; a++) {
        struct key key = actor_key(a);
        out->admitted[a] = oracle_admitted(&o, &key);
        out->operator[a] = a == 0 || oracle_operator(&o, &key); /* the founder can all that an operator can */
    }
    free(items);
    setindex_free(set);
    oracle_close(&o);
}

static void expect_outcome(const struct mesh *m, const struct outcome *want)
{
    struct setindex *set = setindex_new();
    struct id digest, state;
    cr_assert_eq(store_load_set(m->store, set), ERR_OK);
    setindex_digest(set, &digest);
    cr_assert_eq(store_state_hash(m->store, &state), ERR_OK);
    cr_assert(id_eq(&digest, &want->digest), "one digest");
    cr_assert(id_eq(&state, &want->state), "one state");
    for (unsigned a = 0; a < ACTORS; a++) {
        struct key key = actor_key(a);
        struct standing s;
        cr_assert_eq(store_standing(m->store, &key, &s), ERR_OK);
        cr_assert_eq(s.admitted, want->admitted[a], "actor %u", a);
        cr_assert_eq(s.founder || s.operator, want->operator[a], "actor %u", a);
        cr_assert(!s.removed || !s.admitted);
    }
    setindex_free(set);
}

static void in_order(const struct compiled *c, const size_t *order, const struct outcome *want)
{
    struct mesh m;
    mesh_open(&m, c);
    for (size_t i = 0; i < c->count; i++)
        commit(&m, &order[i], 1);
    offer_again(&m);
    expect_outcome(&m, want);
    mesh_close(&m);
}

/* Heap's way through all orders of n. */
static void in_all_orders(const struct compiled *c, size_t *order, size_t n, const struct outcome *want)
{
    if (n == 1) {
        in_order(c, order, want);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        in_all_orders(c, order, n - 1, want);
        size_t k = n % 2 == 0 ? i : 0, turned = order[k];
        order[k] = order[n - 1];
        order[n - 1] = turned;
    }
}

static void every_order(const struct compiled *c)
{
    struct outcome want;
    size_t order[1 + BUNDLES_MAX];
    for (size_t i = 0; i < c->count; i++)
        order[i] = i;
    outcome_of_definition(c, &want);
    in_all_orders(c, order, c->count, &want);
}

/* ---- small histories ---- */

/* Who sees which of the steps before: a race where the masks leave one another out. */
static struct step seeing(struct step s, uint32_t tags)
{
    s.sees = tags;
    return s;
}

static struct step charter(unsigned tag, bool open)
{
    struct step s = step_of(tag, 0, PLACE_CHARTER, VERB_PUT);
    s.act[0].value = open ? 1 : 2;
    return s;
}

static struct step operator(unsigned tag, unsigned target, bool granted)
{
    struct step s = step_of(tag, 0, PLACE_CHARTER, VERB_STATEMENT);
    s.act[0].target = target;
    s.act[0].granted = granted;
    return s;
}

static struct step admit(unsigned tag, unsigned by, unsigned member)
{
    struct step s = step_of(tag, by, (enum place)(PLACE_MEMBER1 + member - 1), VERB_PUT);
    s.act[0].value = 2; /* removed: false */
    return s;
}

static struct step removal(unsigned tag, unsigned by, unsigned member)
{
    return step_of(tag, by, (enum place)(PLACE_MEMBER1 + member - 1), VERB_PUT);
}

static void compile(struct compiled *c, const struct step *steps, size_t n)
{
    struct history none = {0};
    history_compile(&none, c);
    for (size_t i = 0; i < n; i++)
        compiled_push(c, &steps[i]);
}

#define SMALL(...)                                                                                                     \
    const struct step steps[] = {__VA_ARGS__};                                                                         \
    struct compiled c;                                                                                                 \
    compile(&c, steps, sizeof steps / sizeof *steps);                                                                  \
    every_order(&c)

Test(admission, two_operators_who_admit_different_keys_at_once_both_succeed)
{
    SMALL(charter(0, false), operator(1, 2, true), seeing(admit(2, 0, 3), 3), seeing(admit(3, 2, 4), 3));
    struct outcome o;
    outcome_of_definition(&c, &o);
    cr_assert(o.admitted[3] && o.admitted[4]);
    cr_assert_not(o.admitted[1]);
    compiled_close(&c);
}

Test(admission, one_admits_and_one_removes_the_same_key_at_once)
{
    SMALL(charter(0, false), operator(1, 2, true), seeing(admit(2, 0, 1), 3), seeing(removal(3, 2, 1), 3),
          step_of(4, 1, PLACE_M1, VERB_PUT));
    compiled_close(&c);
}

Test(admission, an_operator_is_revoked_while_it_admits)
{
    SMALL(charter(0, false), operator(1, 2, true), seeing(operator(2, 2, false), 3), seeing(admit(3, 2, 1), 3),
          step_of(4, 1, PLACE_M1, VERB_PUT));
    struct outcome o;
    outcome_of_definition(&c, &o);
    cr_assert_not(o.operator[2]);
    cr_assert_not(o.admitted[1], "its admission goes with it");
    compiled_close(&c);
}

Test(admission, the_charter_opens_and_closes_at_once)
{
    SMALL(seeing(charter(0, false), 0), seeing(charter(1, true), 0), step_of(2, 3, PLACE_UNKNOWN, VERB_PUT), removal(3, 0, 1),
          step_of(4, 1, PLACE_M1, VERB_PUT));
    compiled_close(&c);
}

Test(admission, the_charter_is_deleted_while_an_operator_edits_it)
{
    SMALL(operator(0, 2, true), seeing(step_of(1, 0, PLACE_CHARTER, VERB_DELETE), 1), seeing(step_of(2, 2, PLACE_CHARTER, VERB_PUT), 1),
          admit(3, 2, 1), step_of(4, 1, PLACE_M1, VERB_PUT));
    compiled_close(&c);
}

Test(admission, a_member_is_removed_and_admitted_again_around_what_others_built)
{
    SMALL(charter(0, false), admit(1, 0, 1), step_of(2, 1, PLACE_M1, VERB_PUT), removal(3, 0, 1), seeing(admit(4, 0, 1), 0xf));
    struct outcome o;
    outcome_of_definition(&c, &o);
    cr_assert(o.admitted[1]);
    compiled_close(&c);
}

/* ---- larger ones ---- */

static struct step draw(struct rng *r, unsigned tag)
{
    unsigned by = rng_below(r, 2) == 0 ? 0 : 1 + (unsigned)rng_below(r, ACTORS - 1), member = 1 + (unsigned)rng_below(r, 4);
    struct step s;
    switch (rng_below(r, 9)) {
    case 0: s = charter(tag, rng_below(r, 3) == 0); break;
    case 1: s = operator(tag, 1 + (unsigned)rng_below(r, 3), true); break;
    case 2: s = operator(tag, 1 + (unsigned)rng_below(r, 3), false); break;
    case 3: s = removal(tag, by, member); break;
    case 4: s = step_of(tag, by, (enum place)(PLACE_MEMBER1 + member - 1), VERB_DELETE); break;
    case 5: s = step_of(tag, 1, PLACE_M1, rng_below(r, 4) == 0 ? VERB_DELETE : VERB_PUT); break;
    case 6: s = step_of(tag, by, PLACE_M2, VERB_PUT); break;
    default: s = admit(tag, by, member); break;
    }
    s.time = 2 + (unsigned)rng_below(r, 60);
    return seeing(s, rng_below(r, 3) == 0 ? UINT32_MAX : (uint32_t)rng_u64(r));
}

static void shuffle(struct rng *r, size_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n; i > 1; i--) {
        size_t k = rng_below(r, i), turned = order[k];
        order[k] = order[i - 1];
        order[i - 1] = turned;
    }
}

/* In groups of any size, some twice. */
static void in_groups(const struct compiled *c, struct rng *r, const struct outcome *want)
{
    size_t order[1 + BUNDLES_MAX];
    struct mesh m;
    shuffle(r, order, c->count);
    mesh_open(&m, c);
    for (size_t i = 0; i < c->count;) {
        size_t n = 1 + rng_below(r, 4);
        n = n < c->count - i ? n : c->count - i;
        commit(&m, order + i, n);
        if (rng_below(r, 4) == 0)
            commit(&m, order + i, n);
        i += n;
    }
    offer_again(&m);
    expect_outcome(&m, want);
    mesh_close(&m);
}

Test(admission, larger_histories_in_many_orders)
{
    uint64_t histories = laws_histories(250);
    for (uint64_t seed = 0; seed < histories + 8; seed++) {
        struct history none = {0};
        struct compiled c;
        struct outcome want;
        struct rng r;
        rng_seed(&r, seed);
        history_compile(&none, &c);
        unsigned steps = 6 + (unsigned)rng_below(&r, STEPS_MAX - 5);
        for (unsigned tag = 0; tag < steps; tag++) {
            struct step s = draw(&r, tag);
            compiled_push(&c, &s);
        }
        outcome_of_definition(&c, &want);
        for (unsigned k = 0; k < 8; k++)
            in_groups(&c, &r, &want);
        compiled_close(&c);
    }
}
