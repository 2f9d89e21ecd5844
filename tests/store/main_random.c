/*
 * Random histories through the incremental store in random orders, compared after each step with the plain definition of
 * tests/lib/oracle.c: the set, the state hash, and a second store that got everything in another order.
 */
#include "crdt/alloc.h"
#include "tests/lib/oracle.h"
#include "tests/lib/stores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AUTHORS = 5, NAMES = 3, OPS_MAX = 40, DELTAS_MAX = 24 };

struct made {
    struct id op, entry;
};

struct history {
    struct rng rng;
    struct gen_author authors[AUTHORS + 1];
    struct id mesh;
    size_t delta_count, op_count;
    struct buf bundles[2 * DELTAS_MAX];
    struct made ops[DELTAS_MAX * 3 + 1];
};

static const char *member_name(const struct history *h, uint64_t i, char hex[ID_HEX_SIZE])
{
    key_hex(hex, &h->authors[i].key);
    return hex;
}

struct draft {
    struct gen_op op;
    struct id parents[4];
    struct grant grants[2];
    struct buf body;
    char name[ID_HEX_SIZE + 8];
};

static void draw_body(struct history *h, struct draft *d, uint64_t time)
{
    static const char *names[] = {"a", "b", "admission", "removed"};
    static const char *values[] = {"open", "members", "x", "y", NULL};
    struct gen_field fields[3];
    size_t n = rng_below(&h->rng, 3), used = 0;
    bool taken[4] = {false};
    for (size_t i = 0; i < n; i++) {
        size_t f = rng_below(&h->rng, 4);
        if (taken[f])
            continue;
        taken[f] = true;
        uint64_t at = rng_below(&h->rng, 4) == 0 ? time + rng_below(&h->rng, 2) : 1 + rng_below(&h->rng, time);
        fields[used++] = (struct gen_field){names[f], at, values[rng_below(&h->rng, 5)]};
    }
    uint64_t since = rng_below(&h->rng, 5) == 0 ? rng_below(&h->rng, time + 1) : 0;
    gen_body(&d->body, rng_u64(&h->rng), since, used, fields);
    if (rng_below(&h->rng, 12) == 0)
        d->body.p[0] = 0x92; /* malformed: still matches its hash */
    d->op.body = buf_view(&d->body);
    d->op.travel = rng_below(&h->rng, 8) == 0 ? GEN_WITHHELD : GEN_SENT;
}

static void draw_parents(struct history *h, struct draft *d, const struct id *entry)
{
    size_t n = rng_below(&h->rng, 4);
    for (size_t i = 0; i < n && h->op_count > 0; i++) {
        const struct made *m = &h->ops[rng_below(&h->rng, h->op_count)];
        bool same = id_eq(&m->entry, entry);
        if (same || rng_below(&h->rng, 20) == 0)
            d->parents[d->op.parent_count++] = m->op;
    }
    d->op.parents = d->parents;
}

static void draw_op(struct history *h, struct draft *d, size_t author, bool governs, uint64_t time)
{
    char hex[ID_HEX_SIZE];
    size_t owner = rng_below(&h->rng, 3) == 0 ? author : rng_below(&h->rng, 2);
    if (governs)
        owner = rng_below(&h->rng, 12) == 0 ? author : 0;
    d->op.kind = KIND_MODEL;
    snprintf(d->name, sizeof d->name, "n%d", (int)rng_below(&h->rng, NAMES));
    if (governs && rng_below(&h->rng, 2) == 0) {
        d->op.kind = KIND_CHARTER;
        snprintf(d->name, sizeof d->name, "%s", TEST_MESH);
    } else if (governs) {
        d->op.kind = KIND_MEMBER;
        snprintf(d->name, sizeof d->name, "%s", member_name(h, rng_below(&h->rng, AUTHORS), hex));
    }
    d->op.name = d->name;
    d->op.owner = owner == author ? NULL : &h->authors[owner].key;
    d->op.epoch = rng_below(&h->rng, 3);
    struct id entry = test_entry(&h->authors[owner].key, d->op.kind, d->name);
    uint64_t what = rng_below(&h->rng, 8);
    d->op.verb = what == 0 ? VERB_DELETE : what <= 2 && owner == author ? VERB_STATEMENT : VERB_PUT;
    if (d->op.verb == VERB_STATEMENT) {
        size_t k = 1 + rng_below(&h->rng, AUTHORS - 1);
        if (k == author)
            k = k == 1 ? 2 : 1;
        d->grants[0] = (struct grant){h->authors[k].key, rng_below(&h->rng, 3), rng_below(&h->rng, 3) > 0};
        d->op.grants = d->grants;
        d->op.grant_count = 1;
        return;
    }
    draw_parents(h, d, &entry);
    if (d->op.verb == VERB_PUT)
        draw_body(h, d, time);
}

static void draw_delta(struct history *h)
{
    struct draft drafts[3];
    struct gen_op ops[3];
    memset(drafts, 0, sizeof drafts);
    bool governs = rng_below(&h->rng, 3) == 0;
    size_t author = governs && rng_below(&h->rng, 3) > 0 ? 0 : rng_below(&h->rng, AUTHORS);
    uint64_t time = 10 + rng_below(&h->rng, 30);
    size_t n = 1 + rng_below(&h->rng, 3);
    for (size_t i = 0; i < n; i++) {
        draw_op(h, &drafts[i], author, governs, time);
        ops[i] = drafts[i].op;
    }
    struct gen_delta g = {.mesh = &h->mesh, .author = &h->authors[author], .time = time, .op_count = n, .ops = ops};
    struct id delta;
    bool withheld = false;
    gen_bundle(&h->bundles[h->delta_count++], &g, &delta);
    for (size_t i = 0; i < n; i++) {
        withheld |= ops[i].verb == VERB_PUT && ops[i].travel == GEN_WITHHELD;
        struct made *m = &h->ops[h->op_count++];
        op_id(&m->op, &delta, i);
        m->entry = test_entry(ops[i].owner != NULL ? ops[i].owner : &h->authors[author].key, ops[i].kind, ops[i].name);
        ops[i].travel = GEN_SENT;
    }
    if (withheld && rng_below(&h->rng, 2) == 0) /* the bodies come later, or first */
        gen_bundle(&h->bundles[h->delta_count++], &g, &delta);
    for (size_t i = 0; i < n; i++)
        buf_close(&drafts[i].body);
}

static void shuffle(struct rng *rng, size_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t i = n; i > 1; i--) {
        size_t k = rng_below(rng, i), swap = order[i - 1];
        order[i - 1] = order[k];
        order[k] = swap;
    }
}

static bool same_as_oracle(const struct test_store *t, struct oracle *o)
{
    struct id want, digest, have = test_state(t), held = test_digest(t);
    struct item *items;
    oracle_judge(o);
    oracle_state_hash(o, &want);
    size_t n = oracle_set(o, &items);
    struct setindex *set = setindex_new();
    for (size_t i = 0; i < n; i++)
        setindex_insert(set, &items[i]);
    setindex_digest(set, &digest);
    setindex_free(set);
    free(items);
    if (!id_eq(&digest, &held))
        printf("the sets differ\n");
    else if (!id_eq(&want, &have))
        printf("the states differ\n");
    return id_eq(&want, &have) && id_eq(&digest, &held);
}

static void print_finding(void *ctx, const struct verify_finding *f)
{
    char hex[ID_HEX_SIZE];
    (void)ctx;
    id_hex(hex, &f->subject);
    printf("%s %s: %s\n", f->check, hex, f->detail);
}

static void print_failure(void *ctx, const struct verify_finding *f)
{
    if (!f->ok)
        print_finding(ctx, f);
}

/* Everything derived equals a store that is built anew from the same deltas in another order. */
static bool verifies(const struct test_store *t, uint64_t seed)
{
    enum err e = store_verify(t->store, NULL, print_finding, NULL, NULL);
    if (e != ERR_OK)
        printf("seed %llu: %s\n", (unsigned long long)seed, err_text(e));
    return e == ERR_OK;
}

/* And so does each entry by itself, from those deltas alone that it rests on. */
static bool each_verifies(const struct test_store *t, uint64_t seed)
{
    const struct kv_ops *o = t->kv->ops;
    bool good = true;
    struct kv_iter *it = o->iter(t->kv, NULL, bytes_str("e"));
    for (bool on = o->seek(it, bytes_str("e")); on && good; on = o->next(it)) {
        struct id entry;
        memcpy(entry.b, o->key(it).p + 1, ID_BYTES);
        enum err e = store_verify(t->store, &entry, print_failure, NULL, NULL);
        good = e == ERR_OK;
        if (!good)
            printf("seed %llu: one entry: %s\n", (unsigned long long)seed, err_text(e));
    }
    return o->iter_close(it) == ERR_OK && good;
}

static bool run(uint64_t seed)
{
    struct history *h = mem_zalloc(sizeof *h);
    struct test_store t;
    struct oracle o;
    size_t order[2 * DELTAS_MAX];
    bool good = true;
    test_store_open(&t, BACKEND_MEM);
    rng_seed(&h->rng, seed);
    h->mesh = t.mesh;
    h->authors[0] = t.founder;
    for (size_t i = 1; i <= AUTHORS; i++)
        gen_author(&h->authors[i], 100 + i);
    oracle_init(&o, &t.founder.key, bytes_str(TEST_MESH));
    size_t deltas = 1 + rng_below(&h->rng, DELTAS_MAX);
    for (size_t i = 0; i < deltas; i++)
        draw_delta(h);
    shuffle(&h->rng, order, h->delta_count);
    /* Governing deltas that were refused for want of bodies are offered again until nothing changes. */
    for (size_t i = 0; i < h->delta_count && good; i++) {
        oracle_add(&o, buf_view(&h->bundles[order[i]]));
        for (size_t round = 0; round <= i; round++) {
            size_t refused = 0;
            for (size_t k = 0; k <= i; k++)
                refused += test_apply(&t, buf_view(&h->bundles[order[k]])) == VERDICT_REFUSED;
            if (refused == 0 || round > 3)
                break;
        }
        good = same_as_oracle(&t, &o);
        if (!good)
            printf("seed %llu, after bundle %zu of %zu\n", (unsigned long long)seed, i + 1, h->delta_count);
    }
    good = good && verifies(&t, seed) && (seed % 3 > 0 || each_verifies(&t, seed));
    for (size_t i = 0; i < h->delta_count; i++)
        buf_close(&h->bundles[i]);
    oracle_close(&o);
    test_store_close(&t);
    free(h);
    return good;
}

/* Seeds that once failed. */
static const uint64_t found[] = {9, 7126};

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1, count = argc > 2 ? strtoull(argv[2], NULL, 0) : 100;
    size_t bad = 0;
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        bad += !run(found[i]);
    for (uint64_t seed = first; seed < first + count && bad < 3; seed++)
        bad += !run(seed);
    printf("%s\n", bad == 0 ? "ok" : "failed");
    return bad == 0 ? 0 : 1;
}
