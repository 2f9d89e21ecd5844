/*
 * Several engines under random cuts, crashes, stalls and slow stores; after that everything heals and all sets must become
 * equal. The engines assert their own bounds after every event. A failure names the seed.
 */
#include "tests/lib/netlab.h"

#include <criterion/criterion.h>

static void shake(struct lab *lab, size_t hosts, struct rng *rng)
{
    size_t a = rng_below(rng, hosts), b = rng_below(rng, hosts);
    switch (rng_below(rng, 9)) {
    case 0:
        lab_cut(lab, a, b);
        break;
    case 1:
        lab_heal(lab, a, b);
        break;
    case 2:
        lab_stall(lab, a, b, true);
        break;
    case 3:
        lab_stall(lab, a, b, false);
        break;
    case 4:
        lab_host(lab, a)->store_delay_ms = rng_below(rng, 400);
        break;
    case 5:
        if (lab_host(lab, a)->net != NULL)
            lab_down(lab, a);
        break;
    case 6:
        if (lab_host(lab, a)->net == NULL) {
            lab_up(lab, a);
            lab_link(lab, a, b);
        }
        break;
    case 7:
        lab_event(lab, a, (struct net_event){.kind = NET_SYNC_NOW});
        break;
    default:
        for (uint64_t n = rng_below(rng, 6); n > 0; n--)
            if (lab_host(lab, a)->net != NULL)
                (void)lab_write(lab, a, (size_t)(rng_below(rng, 8) == 0 ? 40000 : 50));
        break;
    }
}

static void heal(struct lab *lab, size_t hosts)
{
    for (size_t a = 0; a < hosts; a++) {
        lab_host(lab, a)->store_delay_ms = 0;
        for (size_t b = 0; b < hosts; b++) {
            lab_heal(lab, a, b);
            lab_stall(lab, a, b, false);
        }
        if (lab_host(lab, a)->net == NULL)
            lab_up(lab, a);
        lab_link(lab, a, (a + 1) % hosts);
    }
}

Test(chaos, all_sets_become_equal_after_any_faults)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        size_t hosts = 2 + seed % 5;
        struct lab *lab = lab_new(hosts, seed);
        struct rng rng;
        rng_seed(&rng, seed);
        lab_latency(lab, rng_below(&rng, 80));
        for (size_t i = 1; i < hosts; i++)
            lab_link(lab, i, 0);
        for (int step = 0; step < 300; step++) {
            shake(lab, hosts, &rng);
            lab_run(lab, rng_below(&rng, 1500));
        }
        heal(lab, hosts);
        cr_assert(lab_until(lab, 90000, lab_equal, NULL), "seed %llu", (unsigned long long)seed);
        cr_assert_gt(setindex_count(lab_host(lab, 0)->set), 0);
        lab_run(lab, 60000);
        for (size_t i = 0; i < hosts; i++)
            cr_assert_eq(lab_up_links(lab, i), hosts - 1, "seed %llu host %zu", (unsigned long long)seed, i);
        lab_free(lab);
    }
}
