/*
 * Audits: part by part they find what any session finds; and they find what no other does, an index whose sums do not say
 * what it holds. Such an index is made here by reaching into its leaves.
 */
#include "crdt/setindex.c" /* for the leaves; defines all that the library would */

#include "net/engine.h"
#include "tests/lib/netlab.h"
#include "tests/lib/recon_pair.h"

#include <criterion/criterion.h>

/* One item takes another's place; all sums stay as they were. */
static void swap_behind_the_sums(struct setindex *s, const struct item *there, const struct item *instead)
{
    struct node *n = s->root;
    for (unsigned level = s->height; level > 0; level--)
        n = inner_of(n)->child[inner_slot(inner_of(n), there)];
    struct leaf *l = leaf_of(n);
    size_t at = leaf_lower(l, there);
    cr_assert(at < l->node.used && item_cmp(&l->item[at], there) == 0);
    cr_assert(at == 0 || item_cmp(&l->item[at - 1], instead) < 0);
    cr_assert(at + 1 == l->node.used || item_cmp(instead, &l->item[at + 1]) < 0);
    l->item[at] = *instead;
}

/* Goes round the whole set; returns the number of parts. */
static size_t audit_all(struct recon_pair *p, size_t span)
{
    const struct item start = {.time = 0};
    size_t parts = 0;
    p->mode = RECON_AUDIT;
    p->span = span;
    p->from = start;
    do {
        cr_assert_eq(recon_pair_run(p), RECON_DONE, "%s", p->why);
        p->from = p->next;
        parts++;
    } while (item_cmp(&p->from, &start) != 0);
    return parts;
}

Test(recon_audit, a_difference_behind_equal_sums_is_found)
{
    enum { N = 20000, AT = 7777 };
    struct rng r;
    struct recon_pair p = recon_pair_new();
    struct item was, is;
    rng_seed(&r, 60);
    recon_pair_fill(&p, &r, N);
    setindex_items(p.server, AT, 1, &was);
    is = recon_pair_draw(&r, was.time);
    swap_behind_the_sums(p.server, &was, &is);
    p.guess = RECON_GUESS_EQUAL;
    cr_assert_eq(recon_pair_run(&p), RECON_DONE);
    cr_assert(recon_pair_found(&p, NULL, 0, NULL, 0), "the sums are equal: nothing is noticed");
    recon_pair_reset(&p);
    (void)audit_all(&p, N);
    cr_assert(recon_pair_found(&p, &was, 1, &is, 1));
    cr_assert_leq(p.bytes, 10000, "%zu bytes", p.bytes);
    recon_pair_close(&p);
}

Test(recon_audit, parts_together_find_all_that_differs)
{
    enum { N = 5000 };
    struct rng r;
    struct recon_pair p = recon_pair_new();
    struct item a[400], b[400];
    size_t na = 0, nb = 0;
    rng_seed(&r, 61);
    recon_pair_fill(&p, &r, N);
    for (size_t i = 0; i < 800; i++) {
        struct item x = recon_pair_draw(&r, (UINT64_C(1) << 56) + rng_below(&r, (uint64_t)N << 16));
        if (i % 2 == 0)
            a[na++] = x;
        else
            b[nb++] = x;
        (void)setindex_insert(i % 2 == 0 ? p.client : p.server, &x);
    }
    size_t parts = audit_all(&p, 700);
    cr_assert_eq(parts, (N + na + 699) / 700, "%zu parts", parts);
    cr_assert(recon_pair_found(&p, a, na, b, nb));
    recon_pair_close(&p);
}

Test(recon_audit, equal_parts_cost_one_round_trip_and_small_sets_a_list)
{
    struct rng r;
    struct recon_pair p = recon_pair_new();
    rng_seed(&r, 62);
    cr_assert_eq(audit_all(&p, 100), 1, "an empty set has one part");
    recon_pair_fill(&p, &r, 10);
    cr_assert_eq(audit_all(&p, 100), 1);
    recon_pair_fill(&p, &r, 3000); /* the first ten again at other ids */
    recon_pair_reset(&p);
    size_t parts = audit_all(&p, 1000);
    cr_assert_eq(parts, 4);
    cr_assert_eq(p.rounds, parts);
    cr_assert_leq(p.bytes, 1000 * parts, "%zu bytes", p.bytes);
    recon_pair_close(&p);
}

/* One large range costs no more than the sum that is kept: 16 parts of it are hashed at the next step. */
Test(recon_audit, a_large_range_is_not_hashed_item_by_item)
{
    enum { N = 40000 };
    struct rng r;
    struct recon_pair p = recon_pair_new();
    struct item x;
    rng_seed(&r, 63);
    recon_pair_fill(&p, &r, N);
    x = recon_pair_draw(&r, (UINT64_C(1) << 56) + 12345);
    (void)setindex_insert(p.server, &x);
    cr_assert_eq(audit_all(&p, 16 * RECON_AUDIT_RANGE), 1);
    cr_assert(recon_pair_found(&p, NULL, 0, &x, 1));
    cr_assert_leq(p.most_work, 2 * N / 16 + 40 * 8 + 512 * 4, "%zu", p.most_work);
    recon_pair_close(&p);
}

/* ---- between nodes ------------------------------------------------------------------------------------------------------- */

static bool all_there(struct lab *lab, void *ctx)
{
    const struct item *lost = ctx;
    return setindex_has(lab_host(lab, 1)->set, lost);
}

static void sync_now(struct lab *lab)
{
    for (size_t i = 0; i < 2; i++)
        lab_event(lab, i, (struct net_event){.kind = NET_SYNC_NOW});
    lab_run(lab, 100);
}

/* A node lost a delta from its index, and its sums do not show it. Sessions see equal sets for ever; an audit brings it back. */
Test(recon_audit, a_node_gets_back_what_its_sums_hide)
{
    struct lab *lab = lab_new(2, 64);
    struct item lost, other;
    for (size_t i = 0; i < 600; i++)
        (void)lab_write_quiet(lab, 0, 10);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 5000, lab_equal, NULL));
    lab_run(lab, 40000); /* now both believe it */
    setindex_items(lab_host(lab, 1)->set, 300, 1, &lost);
    other = lost;
    other.id.b[31] ^= 1;
    swap_behind_the_sums(lab_host(lab, 1)->set, &lost, &other);
    sync_now(lab);
    cr_assert(lab_equal(lab, NULL), "digests are equal all the same");
    cr_assert_not(all_there(lab, &lost), "no session has noticed");
    cr_assert(lab_until(lab, 5 * NET_AUDIT_MS, all_there, &lost));
    struct net_stats s;
    net_stats(lab_host(lab, 1)->net, &s);
    cr_assert_geq(s.audit_found, 1);
    lab_free(lab);
}

Test(recon_audit, equal_nodes_audit_every_minute_and_find_nothing)
{
    struct lab *lab = lab_new(2, 65);
    struct net_stats s;
    for (size_t i = 0; i < 100; i++)
        (void)lab_write_quiet(lab, 0, 10);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 5000, lab_equal, NULL));
    lab_run(lab, 10 * NET_AUDIT_MS);
    net_stats(lab_host(lab, 1)->net, &s);
    cr_assert(s.audits >= 7 && s.audits <= 13, "%zu audits in 10 minutes", (size_t)s.audits);
    cr_assert_eq(s.audit_found, 0);
    lab_free(lab);
}
