/*
 * The store against the definition (see MODEL 8): histories are handed in one by one, in groups, in other orders
 * and more than once; after every group commit the store over memory must say what the oracle says of the same
 * bundles: set, digest, state hash, heads, what is shown, and the changes it reported on the way.
 */
#include "tests/lib/laws.h"

#include "crdt/alloc.h"
#include "store/store.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFERS_MAX (3 * (1 + BUNDLES_MAX))

/* A store, what it was offered so far, and the set as its reports of added and removed items build it up. */
struct run {
    const struct compiled *c;
    struct kv *kv;
    struct store *store;
    struct rng rng;
    struct setindex *reported;
    size_t offered;
    size_t offers[OFFERS_MAX];
    bool refused[1 + BUNDLES_MAX];
};

static bool no(char why[WHY_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool no(char why[WHY_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, WHY_MAX, format, args);
    va_end(args);
    return false;
}

static void run_open(struct run *r, const struct compiled *c)
{
    *r = (struct run){.c = c, .kv = kv_mem_new(), .reported = setindex_new()};
    struct store_config config = {
        .mesh = mesh_of(), .has_founder = true, .founder = actor_key(0), .mesh_name = mesh_name_of()};
    rng_seed(&r->rng, 1);
    enum err e = store_open(&r->store, r->kv, &config);
    assert(e == ERR_OK);
    (void)e;
}

static void run_close(struct run *r)
{
    store_close(r->store);
    r->kv->ops->close(r->kv);
    setindex_free(r->reported);
}

static bool one_job(struct run *r, struct store_in *in, size_t n, bool *more, char why[WHY_MAX])
{
    struct store_job job = {.now_ms = 1000, .rng = &r->rng, .in_count = n, .in = in};
    enum err e = store_apply(r->store, &job);
    bool ok = e == ERR_OK || no(why, "store_apply: %s", err_text(e));
    for (size_t i = 0; i < job.removed_count && ok; i++)
        ok = setindex_remove(r->reported, &job.removed[i]) || no(why, "reported as removed, and was not in the set");
    for (size_t i = 0; i < job.added_count && ok; i++)
        ok = setindex_insert(r->reported, &job.added[i]) || no(why, "reported as added, and was in the set");
    *more = job.more;
    store_job_close(&job);
    return ok;
}

/* One group commit of n bundles. */
static bool commit(struct run *r, const size_t *which, size_t n, char why[WHY_MAX])
{
    struct store_in in[OFFERS_MAX];
    bool more = false;
    memset(in, 0, sizeof in);
    for (size_t i = 0; i < n; i++)
        in[i].bundle = buf_view(&r->c->bundle[which[i]]);
    bool ok = one_job(r, in, n, &more, why);
    for (size_t i = 0; i < n; i++)
        r->refused[which[i]] = in[i].verdict == VERDICT_REFUSED || in[i].verdict == VERDICT_DEFERRED;
    while (ok && more)
        ok = one_job(r, NULL, 0, &more, why);
    return ok;
}

/* A delta refused for want of what another one brings is offered again, as reconciliation would. */
static bool offer_again(struct run *r, char why[WHY_MAX])
{
    bool progress = true;
    while (progress) {
        progress = false;
        for (size_t i = 0; i < r->c->count; i++) {
            if (!r->refused[i])
                continue;
            if (!commit(r, &i, 1, why))
                return false;
            progress |= !r->refused[i];
        }
    }
    return true;
}

static bool offer(struct run *r, const size_t *which, size_t n, char why[WHY_MAX])
{
    for (size_t i = 0; i < n; i++)
        r->offers[r->offered++] = which[i];
    return commit(r, which, n, why) && offer_again(r, why);
}

/* ---- comparing ---- */

static bool same_items(const struct setindex *s, const struct item *items, size_t n)
{
    bool same = setindex_count(s) == n;
    for (size_t i = 0; i < n && same; i++)
        same = setindex_has(s, &items[i]);
    return same;
}

static bool same_set(const struct run *r, const struct oracle *o, char why[WHY_MAX])
{
    struct item *items;
    size_t n = oracle_set(o, &items);
    struct setindex *held = setindex_new();
    enum err e = store_load_set(r->store, held);
    bool ok = e == ERR_OK || no(why, "store_load_set: %s", err_text(e));
    if (ok && !same_items(held, items, n))
        ok = no(why, "the store's set has %zu items, the definition's %zu, or they differ", setindex_count(held), n);
    if (ok && !same_items(r->reported, items, n))
        ok = no(why, "the set as reported has %zu items, the definition's %zu, or they differ",
                setindex_count(r->reported), n);
    setindex_free(held);
    free(items);
    return ok;
}

/* What store_history says of an entry's ops. */
struct ops_seen {
    const struct oracle *o;
    size_t heads;
    char *why;
    bool ok;
};

static bool same_op(void *ctx, const struct revision_info *info)
{
    struct ops_seen *seen = ctx;
    const struct oracle_op *op = oracle_find_op(seen->o, &info->op);
    seen->heads += info->head;
    if (op == NULL)
        seen->ok = no(seen->why, "the history holds an op that was never offered");
    else if (info->head != op->head)
        seen->ok = no(seen->why, "an op of place kind %u is %sa head", (unsigned)op->op->kind, info->head ? "" : "not ");
    else if (op->op->verb == VERB_PUT && info->has_body != op->has_body)
        seen->ok = no(seen->why, "the body of an op is %sheld", info->has_body ? "" : "not ");
    return seen->ok;
}

static bool same_heads(const struct run *r, const struct oracle *o, const struct oracle_entry *e, char why[WHY_MAX])
{
    struct ops_seen seen = {.o = o, .why = why, .ok = true};
    struct history_page all = {.limit = SIZE_MAX};
    enum err err = store_history(r->store, &e->id, &all, same_op, &seen);
    if (err != ERR_OK && (err != ERR_NOT_FOUND || (e->head_count > 0 && !e->hidden)))
        return no(why, "store_history: %s", err_text(err));
    if (seen.ok && !e->hidden && seen.heads != e->head_count)
        return no(why, "%zu heads, the definition has %zu", seen.heads, e->head_count);
    return seen.ok;
}

static bool contains(const struct buf *json, const char *text)
{
    return json->n > 0 && memmem(json->p, json->n, text, strlen(text)) != NULL;
}

/* The text fields a, b, c in the JSON of an entry. */
static bool same_fields(const struct buf *json, const struct oracle_entry *e, char why[WHY_MAX])
{
    static const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        const struct field *f = oracle_field(e, bytes_str(names[i]));
        bool live = f != NULL && f->value.n > 1;
        char text[64];
        (void)snprintf(text, sizeof text, "\"%s\":\"%.*s", names[i], live ? (int)f->value.n - 1 : 0,
                       live ? (const char *)f->value.p + 1 : "");
        if (live != contains(json, text))
            return no(why, "%s is %sshown", text, live ? "not " : "");
    }
    return true;
}

/* What the charter is shown to admit: `open`, or the default. */
static bool same_admission(const struct buf *json, const struct oracle_entry *e, char why[WHY_MAX])
{
    const struct field *f = oracle_field(e, bytes_str("admission"));
    bool open = f != NULL && bytes_eq(f->value, bytes_str("\xa4open"));
    return open == contains(json, "\"admission\":\"open\"") || no(why, "the charter is %sshown as open", open ? "not " : "");
}

static bool same_entry(const struct run *r, const struct oracle_entry *e, char why[WHY_MAX])
{
    struct buf json = {0};
    struct entry_info info;
    bool shown = !e->hidden && e->head_count > 0 && !e->deleted;
    bool ok = true;
    enum err err = store_get(r->store, e->kind, &e->id, &info, &json);
    if ((err == ERR_OK) != shown)
        ok = no(why, "an entry of kind %u is %sshown", (unsigned)e->kind, shown ? "not " : "");
    else if (shown && (!id_eq(&info.revision, &e->revision) || info.incomplete != e->incomplete))
        ok = no(why, "revision or incomplete differ, at kind %u", (unsigned)e->kind);
    else if (shown)
        ok = same_fields(&json, e, why) && (e->kind != KIND_CHARTER || same_admission(&json, e, why));
    buf_close(&json);
    return ok;
}

static bool known_kind(uint64_t kind)
{
    return kind <= KIND_MEMBER;
}

static bool same_state(const struct run *r, const struct oracle *o, char why[WHY_MAX])
{
    struct id mine, theirs;
    if (!same_set(r, o, why))
        return false;
    for (size_t i = 0; i < o->entry_count; i++) {
        const struct oracle_entry *e = &o->entries[i];
        if (!same_heads(r, o, e, why) || (known_kind(e->kind) && !same_entry(r, e, why)))
            return false;
    }
    oracle_state_hash(o, &theirs);
    enum err e = store_state_hash(r->store, &mine);
    if (e != ERR_OK)
        return no(why, "store_state_hash: %s", err_text(e));
    return id_eq(&mine, &theirs) || no(why, "state hashes differ");
}

static bool agrees(const struct run *r, char why[WHY_MAX])
{
    struct oracle o;
    oracle_over(&o, r->c, r->offers, r->offered);
    bool ok = same_state(r, &o, why);
    oracle_close(&o);
    if (!ok) {
        size_t n = strlen(why);
        n += (size_t)snprintf(why + n, WHY_MAX - n, "; after bundles");
        for (size_t i = 0; i < r->offered && n < WHY_MAX - 8; i++)
            n += (size_t)snprintf(why + n, WHY_MAX - n, " %zu", r->offers[i]);
    }
    return ok;
}

/* ---- the laws ---- */

static void shuffle(size_t *order, size_t n, struct rng *rng)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = rng_below(rng, i), t = order[k];
        order[k] = order[i - 1];
        order[i - 1] = t;
    }
}

enum compare { COMPARE_EACH, COMPARE_LAST };

/* Hands the order in, in groups of up to `group`. */
static bool play(const struct compiled *c, const size_t *order, size_t n, size_t group, struct rng *rng,
                 enum compare compare, char why[WHY_MAX])
{
    struct run r;
    bool ok = true;
    run_open(&r, c);
    for (size_t at = 0; at < n && ok;) {
        size_t take = 1 + rng_below(rng, group);
        take = take < n - at ? take : n - at;
        ok = offer(&r, order + at, take, why);
        at += take;
        if (ok && (compare == COMPARE_EACH || at == n))
            ok = agrees(&r, why);
    }
    run_close(&r);
    return ok;
}

static bool equals_at_every_prefix(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    size_t order[1 + BUNDLES_MAX];
    for (size_t i = 0; i < c->count; i++)
        order[i] = i;
    if (rng_below(rng, 2) == 0)
        shuffle(order, c->count, rng);
    return play(c, order, c->count, 1, rng, COMPARE_EACH, why);
}

static bool equals_in_groups_and_again(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    size_t order[2 * (1 + BUNDLES_MAX)], n = 0;
    for (size_t i = 0; i < c->count; i++)
        for (uint64_t k = rng_below(rng, 4) == 0 ? 2 : 1; k > 0; k--)
            order[n++] = i;
    shuffle(order, n, rng);
    return play(c, order, n, 4, rng, COMPARE_LAST, why);
}

/* Steps to the next permutation; false after the last. */
static bool next_order(size_t *order, size_t n)
{
    size_t i = n - 1, k = n - 1;
    while (i > 0 && order[i - 1] >= order[i])
        i--;
    if (i == 0)
        return false;
    while (order[k] <= order[i - 1])
        k--;
    size_t t = order[i - 1];
    order[i - 1] = order[k];
    order[k] = t;
    for (size_t a = i, b = n - 1; a < b; a++, b--) {
        t = order[a];
        order[a] = order[b];
        order[b] = t;
    }
    return true;
}

#define ALL_ORDERS_OF 5 /* bundles: 120 orders */

static bool equals_in_all_orders(struct compiled *c, struct rng *rng, char why[WHY_MAX])
{
    size_t order[ALL_ORDERS_OF], n = c->count < ALL_ORDERS_OF ? c->count : ALL_ORDERS_OF;
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    do
        ok = play(c, order, n, 1, rng, COMPARE_LAST, why);
    while (ok && next_order(order, n));
    return ok;
}

const struct law store_laws[] = {
    {"the store equals the definition after every bundle", equals_at_every_prefix, 1},
    {"the store equals the definition in groups, shuffled, with repeats", equals_in_groups_and_again, 1},
    {"the store equals the definition in all orders of five bundles", equals_in_all_orders, 200},
};
const size_t store_law_count = sizeof store_laws / sizeof *store_laws;
