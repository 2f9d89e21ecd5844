/*
 * A bulk copy: it comes in the order of the set, goes on where it broke off, pauses where the queues are full, and says how
 * far it is.
 */
#include "net/engine.h"
#include "tests/lib/netlab.h"

#include <criterion/criterion.h>
#include <string.h>

static struct net_stats stats_of(struct lab *lab, size_t i)
{
    struct net_stats s;
    net_stats(lab_host(lab, i)->net, &s);
    return s;
}

struct goal {
    size_t host, count;
};

static bool holds(struct lab *lab, void *ctx)
{
    const struct goal *g = ctx;
    return setindex_count(lab_host(lab, g->host)->set) >= g->count;
}

Test(copy, what_is_oldest_comes_first)
{
    enum { N = 500 };
    struct lab *lab = lab_new(2, 50);
    struct item first[N];
    for (size_t i = 0; i < N; i++) {
        first[i] = lab_write_quiet(lab, 0, 100);
        lab_run(lab, 1);
    }
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 5000, lab_equal, NULL));
    for (size_t i = 0; i < N; i++)
        cr_assert(id_eq(&lab_host(lab, 1)->bundles[i].item.id, &first[i].id), "delta %zu came out of order", i);
    lab_free(lab);
}

/* The connection breaks again and again; each time at most what was asked for is sent once more. */
Test(copy, goes_on_where_it_broke_off)
{
    enum { N = 6000, BREAKS = 3, SIZE = 300 };
    struct lab *lab = lab_new(2, 51);
    lab_latency(lab, 5);
    for (size_t i = 0; i < N; i++)
        (void)lab_write_quiet(lab, 0, SIZE);
    uint64_t one = lab_host(lab, 0)->bundles[0].bytes.n;
    lab_host(lab, 1)->store_delay_ms = 3;
    lab_link(lab, 1, 0);
    for (size_t i = 1; i <= BREAKS; i++) {
        struct goal g = {1, N * i / (BREAKS + 3)};
        cr_assert(lab_until(lab, 60000, holds, &g), "%zu of %zu", setindex_count(lab_host(lab, 1)->set), g.count);
        cr_assert_lt(setindex_count(lab_host(lab, 1)->set), N, "the break comes too late to show anything");
        lab_cut(lab, 0, 1);
        lab_run(lab, 500);
        lab_heal(lab, 0, 1);
    }
    cr_assert(lab_until(lab, 120000, lab_equal, NULL));
    size_t sent = stats_of(lab, 0).deltas_sent, stored = lab_host(lab, 1)->stored_calls;
    cr_assert_eq(stored, N, "%zu deltas reached the store: what it has is not fetched again", stored);
    cr_assert_leq(sent, N + BREAKS * NET_WINDOW_IDS, "%zu deltas were sent", sent);
    cr_assert_leq(lab_sent(lab), (N + BREAKS * NET_WINDOW_IDS) * (one + 100) + 64 * N, "%zu bytes in all", (size_t)lab_sent(lab));
    lab_free(lab);
}

/* The receiver itself is gone in between: what it had committed it need not fetch again. */
Test(copy, a_receiver_that_was_restarted_goes_on)
{
    enum { N = 2000 };
    struct lab *lab = lab_new(2, 52);
    struct goal half = {1, N / 2};
    lab_latency(lab, 5);
    for (size_t i = 0; i < N; i++)
        (void)lab_write_quiet(lab, 0, 500);
    lab_host(lab, 1)->store_delay_ms = 3;
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 60000, holds, &half));
    size_t had = setindex_count(lab_host(lab, 1)->set);
    cr_assert_lt(had, N);
    lab_down(lab, 1);
    lab_run(lab, 1000);
    lab_up(lab, 1);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 60000, lab_equal, NULL));
    cr_assert_leq(stats_of(lab, 0).deltas_sent, N + NET_WINDOW_IDS);
    cr_assert_leq(stats_of(lab, 1).deltas_received, N - had, "more than the rest was sent after the restart");
    lab_free(lab);
}

Test(copy, progress_is_told)
{
    enum { N = 2000 };
    struct lab *lab = lab_new(2, 53);
    struct goal part = {1, N / 2};
    lab_latency(lab, 20);
    for (size_t i = 0; i < N; i++)
        (void)lab_write_quiet(lab, 0, 3000);
    lab_host(lab, 1)->store_delay_ms = 1500;
    lab_link(lab, 1, 0);
    cr_assert_not(stats_of(lab, 1).catching_up);
    cr_assert(lab_until(lab, 600000, holds, &part));
    struct net_stats s = stats_of(lab, 1);
    cr_assert(s.catching_up);
    cr_assert_geq(s.catch_up_done, N / 2);
    cr_assert_eq(s.catch_up_total, N, "%zu in all", (size_t)s.catch_up_total);
    lab_run(lab, 2500);
    s = stats_of(lab, 1);
    if (s.catching_up) {
        cr_assert_gt(s.catch_up_rate_milli, 0);
        cr_assert_lt(s.catch_up_left_ms, 600000);
    }
    cr_assert(lab_until(lab, 600000, lab_equal, NULL));
    lab_run(lab, 20000);
    s = stats_of(lab, 1);
    cr_assert_not(s.catching_up);
    cr_assert_eq(s.catch_up_done, N);
    cr_assert_eq(s.catch_up_total, N);
    cr_assert_eq(s.catch_up_left_ms, 0);
    cr_assert_not_null(strstr(buf_cstr(&lab_host(lab, 1)->log), "caught up: 2000 deltas"));
    lab_free(lab);
}

Test(copy, an_interrupted_one_says_so)
{
    struct lab *lab = lab_new(2, 54);
    struct goal part = {1, 300};
    lab_latency(lab, 20);
    for (size_t i = 0; i < 2000; i++)
        (void)lab_write_quiet(lab, 0, 1000);
    lab_host(lab, 1)->store_delay_ms = 50;
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 600000, holds, &part));
    lab_cut(lab, 0, 1);
    lab_run(lab, 30000);
    cr_assert_not(stats_of(lab, 1).catching_up, "nobody is there to copy from");
    cr_assert_not_null(strstr(buf_cstr(&lab_host(lab, 1)->log), "the copy is interrupted"));
    lab_heal(lab, 0, 1);
    cr_assert(lab_until(lab, 120000, lab_equal, NULL));
    lab_free(lab);
}

/* A store that takes nothing: what was handed to it fills its bound and no more is asked for, from however many peers. */
Test(copy, a_store_that_is_slow_has_nothing_sent_twice)
{
    enum { N = NET_STORING_MAX + 1500 };
    struct lab *lab = lab_new(3, 56);
    for (size_t i = 0; i < N; i++)
        (void)lab_write_quiet(lab, 0, 1);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 60000, lab_equal, NULL) || setindex_count(lab_host(lab, 1)->set) == N);
    lab_host(lab, 2)->store_stuck = true;
    lab_link(lab, 2, 0);
    lab_link(lab, 2, 1);
    uint64_t before = stats_of(lab, 0).deltas_sent + stats_of(lab, 1).deltas_sent;
    lab_run(lab, 25000);
    uint64_t sent = stats_of(lab, 0).deltas_sent + stats_of(lab, 1).deltas_sent - before;
    cr_assert_leq(sent, NET_STORING_MAX + 2 * NET_WINDOW_MIN, "%zu deltas were sent to a store that keeps %d", (size_t)sent, NET_STORING_MAX);
    cr_assert_geq(sent, NET_STORING_MAX / 2, "%zu deltas were sent", (size_t)sent);
    lab_free(lab);
}

/* Small deltas widen the window, then large ones come: more is under way than the store has room for. What found none is sent a
 * second time at once, and none is sent a third time. */
Test(copy, large_deltas_after_small_ones_do_not_crawl)
{
    enum { SMALL = 1100, LARGE = 64, SIZE = 512000, TAKES_MS = 500 };
    struct lab *lab = lab_new(2, 57);
    lab_latency(lab, 2);
    for (size_t i = 0; i < SMALL + LARGE; i++)
        (void)lab_write_quiet(lab, 0, i < SMALL ? 100 : SIZE);
    lab_host(lab, 1)->store_delay_ms = TAKES_MS;
    lab_host(lab, 1)->store_forgets = true;
    lab_link(lab, 1, 0);
    uint64_t began = lab_now(lab), as_the_store = (uint64_t)LARGE * SIZE / (NET_STORING_BYTES / 2) * TAKES_MS;
    cr_assert(lab_until(lab, 3600000, lab_equal, NULL));
    uint64_t ms = lab_now(lab) - began;
    size_t sent = stats_of(lab, 0).deltas_sent;
    cr_assert_gt(sent, SMALL + LARGE + NET_AGAIN_BURST / SIZE, "%zu deltas were sent: nothing is shown", sent);
    cr_assert_leq(sent, SMALL + 2 * LARGE, "%zu deltas were sent", sent);
    cr_assert_lt(ms, as_the_store + 2000, "it took %zu ms", (size_t)ms);
    lab_free(lab);
}

#ifndef __SANITIZE_ADDRESS__ /* 300 MB, or 20,000 signed deltas: too slow there */
/* Each holder is asked for its share: once their sizes are known, they do not owe more together than there is room for. */
Test(copy, large_deltas_of_many_holders_find_room)
{
    enum { HOLDERS = 6, LARGE = 100, SIZE = 512000 };
    struct lab *lab = lab_new(HOLDERS + 1, 58);
    for (size_t i = 0; i < LARGE; i++)
        (void)lab_write_quiet(lab, 0, SIZE);
    for (size_t i = 1; i < HOLDERS; i++) {
        struct goal all = {i, LARGE};
        lab_link(lab, i, 0);
        cr_assert(lab_until(lab, 60000, holds, &all));
    }
    lab_latency(lab, 2);
    lab_host(lab, HOLDERS)->store_delay_ms = 500;
    lab_host(lab, HOLDERS)->store_forgets = true;
    for (size_t i = 0; i < HOLDERS; i++)
        lab_link(lab, HOLDERS, i);
    struct goal all = {HOLDERS, LARGE};
    cr_assert(lab_until(lab, 60000, holds, &all));
    size_t came = stats_of(lab, HOLDERS).deltas_received;
    cr_assert_leq(came, LARGE + NET_STORING_BYTES / SIZE, "%zu deltas came", came);
    lab_free(lab);
}

/* More differs than may wait to be asked for: the session pauses, its queue stays bounded, and what was found once is not
 * looked for again when it goes on. */
Test(copy, a_session_that_finds_more_than_may_wait_pauses_and_goes_on)
{
    enum { N = NET_ASK_MAX + 4000, FRAME_IDS = RECON_FRAME_MAX / ID_BYTES };
    struct lab *lab = lab_new(2, 55);
    struct goal all = {1, N};
    for (size_t i = 0; i < N; i++)
        (void)lab_write_quiet(lab, 0, 1);
    lab_host(lab, 1)->store_stuck = true;
    lab_link(lab, 1, 0);
    lab_run(lab, 5000);
    cr_assert_eq(setindex_count(lab_host(lab, 1)->set), 0);
    cr_assert_eq(stats_of(lab, 1).sync_rounds, 1, "%zu sessions, not one that is still open", (size_t)stats_of(lab, 1).sync_rounds);
    cr_assert_leq(stats_of(lab, 1).sync_bytes, (NET_ASK_MAX + FRAME_IDS) * (ID_BYTES + 1) + 10000, "it goes on asking");
    lab_host(lab, 1)->store_stuck = false;
    lab_down(lab, 1); /* what was stuck is lost with it */
    lab_up(lab, 1);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 600000, holds, &all));
    cr_assert_leq(stats_of(lab, 1).sync_bytes, N * (ID_BYTES + 1) + 50000, "%zu bytes to find %u ids",
                  (size_t)stats_of(lab, 1).sync_bytes, N);
    lab_free(lab);
}
#endif
