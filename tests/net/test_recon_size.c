/*
 * What reconciliation of a large set may cost, asserted: round trips, bytes, ids expanded and memory, which are the same on
 * every machine. A million items; a tenth where a sanitizer makes everything slow, with the same bounds but for memory.
 */
#include "net/engine.h"
#include "tests/lib/recon_pair.h"

#include <criterion/criterion.h>

#ifdef __SANITIZE_ADDRESS__
enum { ITEMS = 100 * 1000 };
#else
enum { ITEMS = 1000 * 1000 };
#endif
enum { FEW = 50 * 1000, LEAF = 512, INDEX_BYTES_MAX = 64 << 20 };

static void expect_within(struct recon_pair *p, const struct recon_case *c, size_t n)
{
    cr_assert(recon_case_run(p, c, n), "%s, %zu items: other differences found", c->name, n);
    cr_expect_leq(p->rounds, c->rounds_max, "%s, %zu items: %zu round trips", c->name, n, p->rounds);
    cr_expect_leq(p->bytes, c->bytes_max, "%s, %zu items: %zu bytes", c->name, n, p->bytes);
    cr_expect_lt(p->most_fruitless, NET_SYNC_FRUITLESS, "%s: %zu frames in a row named no difference", c->name, p->most_fruitless);
    cr_expect_leq(p->most_work, RECON_WORK_MAX + LEAF * (RECON_BUCKETS + 2), "%s: %zu ids expanded for one frame", c->name,
                  p->most_work);
}

static void expect_cheap_ranges(const struct setindex *s, struct rng *r)
{
    for (unsigned i = 0; i < 300; i++) {
        struct lthash sum;
        size_t from = (size_t)rng_below(r, setindex_count(s)), to = from + (size_t)rng_below(r, setindex_count(s) - from + 1);
        size_t expanded = setindex_sum(s, from, to, &sum);
        cr_assert_leq(expanded, LEAF, "the sum over [%zu, %zu) expanded %zu ids", from, to, expanded);
    }
}

static bool is_scattered(const struct recon_case *c)
{
    return c->have_scattered > 100; /* expands the whole set several times */
}

Test(recon_size, a_million_items_cost_what_differs_and_not_what_exists)
{
    struct rng r;
    struct recon_pair p = recon_pair_new();
    cr_assert_geq(sodium_init(), 0);
    rng_seed(&r, 40);
    recon_pair_fill(&p, &r, ITEMS);
    cr_expect_leq(setindex_bytes(p.client) / (ITEMS / 1000), INDEX_BYTES_MAX / 1000, "%zu bytes", setindex_bytes(p.client));
    expect_cheap_ranges(p.client, &r);
    for (size_t i = 0; i < RECON_CASES; i++)
        if (!is_scattered(&recon_cases[i]))
            expect_within(&p, &recon_cases[i], ITEMS);
    recon_pair_close(&p);
}

Test(recon_size, the_bounds_hold_for_a_smaller_set)
{
    struct rng r;
    struct recon_pair p = recon_pair_new();
    cr_assert_geq(sodium_init(), 0);
    rng_seed(&r, 41);
    recon_pair_fill(&p, &r, FEW);
    for (size_t i = 0; i < RECON_CASES; i++)
        expect_within(&p, &recon_cases[i], FEW);
    recon_pair_close(&p);
}
