/*
 * Whole engines against each other: publish, forward, late joiners, partitions, restarts, repair.
 */
#include "tests/lib/netlab.h"

#include <criterion/criterion.h>
#include <string.h>

static bool all_linked(struct lab *lab, void *ctx)
{
    size_t n = *(size_t *)ctx;
    for (size_t i = 0; i < n; i++)
        if (lab_up_links(lab, i) != n - 1)
            return false;
    return true;
}

Test(sync, a_write_reaches_the_other_node_in_the_same_drain)
{
    struct lab *lab = lab_new(2, 1);
    size_t n = 2;
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, all_linked, &n));
    uint64_t before = lab_now(lab);
    (void)lab_write(lab, 0, 100);
    cr_assert(lab_until(lab, 0, lab_equal, NULL));
    cr_assert_eq(lab_now(lab), before);
    cr_assert_eq(setindex_count(lab_host(lab, 1)->set), 1);
    lab_free(lab);
}

Test(sync, three_nodes_make_a_full_mesh_from_one_address)
{
    struct lab *lab = lab_new(3, 2);
    size_t n = 3;
    lab_link(lab, 1, 0);
    lab_link(lab, 2, 0);
    cr_assert(lab_until(lab, 5000, all_linked, &n));
    for (size_t i = 0; i < 3; i++)
        (void)lab_write(lab, i, 200);
    cr_assert(lab_until(lab, 100, lab_equal, NULL));
    cr_assert_eq(setindex_count(lab_host(lab, 2)->set), 3);
    lab_free(lab);
}

Test(sync, a_chain_forwards_each_delta_once)
{
    struct lab *lab = lab_new(4, 3);
    for (size_t i = 0; i < 4; i++)
        lab_host(lab, i)->listening = true;
    for (size_t a = 0; a < 4; a++)
        for (size_t b = a + 2; b < 4; b++)
            lab_cut(lab, a, b);
    for (size_t i = 0; i + 1 < 4; i++)
        lab_link(lab, i, i + 1);
    lab_run(lab, 3000);
    (void)lab_write(lab, 0, 100);
    cr_assert(lab_until(lab, 0, lab_equal, NULL));
    for (size_t i = 1; i < 4; i++)
        cr_assert_eq(lab_host(lab, i)->stored_calls, 1);
    lab_free(lab);
}

Test(sync, an_empty_node_copies_everything)
{
    struct lab *lab = lab_new(2, 4);
    for (size_t i = 0; i < 300; i++)
        (void)lab_write_quiet(lab, 0, 3000);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 2000, lab_equal, NULL));
    cr_assert_eq(setindex_count(lab_host(lab, 1)->set), 300);
    cr_assert_not_null(strstr(buf_cstr(&lab_host(lab, 1)->log), "caught up: 300 deltas"));
    struct net_stats s;
    net_stats(lab_host(lab, 1)->net, &s);
    cr_assert_not(s.catching_up);
    cr_assert_eq(lab_host(lab, 1)->stored_calls, 300, "each delta is stored once");
    lab_free(lab);
}

Test(sync, both_sides_of_a_partition_repair_at_once)
{
    struct lab *lab = lab_new(2, 5);
    size_t n = 2;
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, all_linked, &n));
    lab_cut(lab, 0, 1);
    lab_run(lab, 60000);
    cr_assert_eq(lab_up_links(lab, 0), 0);
    for (size_t i = 0; i < 100; i++)
        (void)lab_write(lab, i % 2, 100);
    lab_heal(lab, 0, 1);
    cr_assert(lab_until(lab, 37000, all_linked, &n), "dialed again within the greatest back-off");
    cr_assert(lab_until(lab, 2500, lab_equal, NULL));
    cr_assert_eq(setindex_count(lab_host(lab, 0)->set), 100);
    lab_free(lab);
}

Test(sync, dials_back_off_and_start_anew_after_success)
{
    struct lab *lab = lab_new(2, 6);
    size_t n = 2;
    lab_host(lab, 0)->listening = false;
    lab_link(lab, 1, 0);
    lab_run(lab, 120000);
    size_t dials = lab_host(lab, 1)->dials;
    cr_assert(dials >= 6 && dials <= 12, "%zu", dials);
    lab_host(lab, 0)->listening = true;
    cr_assert(lab_until(lab, 37000, all_linked, &n));
    lab_run(lab, 20000);
    lab_cut(lab, 0, 1);
    lab_run(lab, 1);
    lab_heal(lab, 0, 1);
    cr_assert(lab_until(lab, 1300, all_linked, &n), "a session that held resets the back-off");
    lab_free(lab);
}

Test(sync, a_restarted_node_catches_up_with_what_it_missed)
{
    struct lab *lab = lab_new(3, 7);
    size_t n = 3;
    for (size_t i = 1; i < 3; i++)
        lab_link(lab, i, 0);
    cr_assert(lab_until(lab, 5000, all_linked, &n));
    lab_down(lab, 1);
    for (size_t i = 0; i < 50; i++)
        (void)lab_write(lab, 0, 500);
    lab_up(lab, 1);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, lab_equal, NULL));
    cr_assert(lab_until(lab, 30000, all_linked, &n));
    lab_free(lab);
}

Test(sync, large_deltas_arrive_whole)
{
    struct lab *lab = lab_new(3, 8);
    size_t n = 3;
    lab_link(lab, 1, 0);
    lab_link(lab, 2, 0);
    cr_assert(lab_until(lab, 5000, all_linked, &n));
    for (size_t i = 0; i < 10; i++)
        (void)lab_write(lab, 0, 60000);
    cr_assert(lab_until(lab, 100, lab_equal, NULL));
    lab_free(lab);
}

Test(sync, bytes_may_arrive_in_any_pieces)
{
    struct lab *lab = lab_new(2, 9);
    lab_chunk(lab, 7);
    for (size_t i = 0; i < 20; i++)
        (void)lab_write_quiet(lab, 0, 500);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 2000, lab_equal, NULL));
    lab_free(lab);
}

Test(sync, a_delta_ahead_of_the_clock_is_put_off_and_comes_later)
{
    struct lab *lab = lab_new(2, 10);
    size_t n = 2;
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, all_linked, &n));
    lab_host(lab, 0)->clock_skew_ms = 20 * 60 * 1000;
    (void)lab_write(lab, 0, 100);
    lab_run(lab, 60000);
    cr_assert_eq(setindex_count(lab_host(lab, 1)->set), 0);
    cr_assert_eq(lab_host(lab, 1)->stored_calls, 0, "nothing of it is kept or judged");
    cr_assert(lab_linked(lab, 1, 0), "nobody is punished for it");
    cr_assert(lab_until(lab, 15 * 60 * 1000, lab_equal, NULL));
    lab_free(lab);
}

Test(sync, equal_sets_cost_little)
{
    struct lab *lab = lab_new(2, 11);
    for (size_t i = 0; i < 200; i++)
        (void)lab_write_quiet(lab, 0, 100);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 2000, lab_equal, NULL));
    lab_run(lab, 30000);
    struct net_stats before, after;
    net_stats(lab_host(lab, 0)->net, &before);
    uint64_t sent = lab_sent(lab);
    lab_event(lab, 0, (struct net_event){.kind = NET_SYNC_NOW});
    lab_run(lab, 1);
    net_stats(lab_host(lab, 0)->net, &after);
    cr_assert_eq(after.sync_rounds, before.sync_rounds + 1);
    cr_assert_leq(lab_sent(lab) - sent, 1024);
    lab_free(lab);
}

Test(sync, a_joiner_learns_the_founder)
{
    struct lab *lab = lab_new(2, 12);
    size_t n = 2;
    lab_down(lab, 1);
    lab_host(lab, 1)->config.has_founder = false;
    lab_host(lab, 1)->config.founder = (struct key){{0}};
    lab_host(lab, 1)->config.mesh_name[0] = 0;
    lab_up(lab, 1);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, all_linked, &n));
    cr_assert(lab_host(lab, 1)->got_founder);
    cr_assert_not(lab_host(lab, 0)->got_founder);
    lab_free(lab);
}
