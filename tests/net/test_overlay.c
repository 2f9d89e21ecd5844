/*
 * More peers than a full mesh may have: who sends whole deltas, who is sent ids, when a missing delta is asked for, which
 * links are kept. Host 0 is real; its peers are played, so that each of them may do as it likes.
 */
#include "net/engine.h"
#include "tests/lib/mole.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define CROWD 14 /* peers that make an overlay of host 0 */

struct crowd {
    struct lab *lab;
    struct mole mole[NET_LINKS_MAX];
    size_t count;
};

static void crowd_open(struct crowd *c, uint64_t seed, size_t count)
{
    c->lab = lab_new(1, seed);
    c->count = count;
    for (size_t i = 0; i < count; i++)
        mole_open(&c->mole[i], c->lab, 300 + i);
    cr_assert_eq(lab_up_links(c->lab, 0), count, "%zu", lab_up_links(c->lab, 0));
}

static void crowd_close(struct crowd *c)
{
    for (size_t i = 0; i < c->count; i++)
        mole_close(&c->mole[i]);
    lab_free(c->lab);
}

/* Time goes by; everybody reads, and says a word every 20 s so as to live. */
static void crowd_run(struct crowd *c, uint64_t ms)
{
    while (true) {
        uint64_t step = ms < 20000 ? ms : 20000;
        lab_run(c->lab, step);
        for (size_t i = 0; i < c->count; i++) {
            mole_read(&c->mole[i]);
            if (lab_now(c->lab) / 20000 != (lab_now(c->lab) - step) / 20000 && !c->mole[i].closed)
                mole_say(&c->mole[i], &(struct wire_message){.type = WIRE_PONG});
        }
        lab_run(c->lab, 0);
        for (size_t i = 0; i < c->count; i++)
            mole_read(&c->mole[i]);
        if ((ms -= step) == 0)
            return;
    }
}

static size_t total(const struct crowd *c, enum wire_type type)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++)
        n += c->mole[i].got[type];
    return n;
}

static void push(struct crowd *c, size_t from, const struct id *id, const struct buf *bundle)
{
    mole_say(&c->mole[from], &(struct wire_message){.type = WIRE_DELTA, .id = *id, .body = buf_view(bundle)});
}

static void offer(struct crowd *c, size_t from, const struct item *item)
{
    struct buf items = {0};
    wire_put_item(&items, item);
    mole_say(&c->mole[from], &(struct wire_message){.type = WIRE_IHAVE, .count = 1, .items = items.p});
    buf_close(&items);
}

/* Everybody pushes one delta: all but a few are told to send ids only. */
static void thin_out(struct crowd *c, uint64_t number)
{
    struct buf bundle = {0};
    struct item item = mole_bundle(&c->mole[0], number, &bundle);
    for (size_t i = 0; i < c->count; i++)
        push(c, i, &item.id, &bundle);
    crowd_run(c, 1);
    buf_close(&bundle);
}

static struct net_peer_info info_of(const struct crowd *c, size_t mole)
{
    struct net_peer_info p[NET_BOOK_MAX];
    size_t n = net_peers(lab_host(c->lab, 0)->net, p, NET_BOOK_MAX);
    for (size_t i = 0; i < n; i++)
        if (key_eq(&p[i].id, &c->mole[mole].author.key))
            return p[i];
    cr_assert(false, "not in the book");
    return p[0];
}

static size_t pushers(const struct crowd *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++)
        if (!c->mole[i].closed)
            n += info_of(c, i).sends_whole;
    return n;
}

static void prune(struct crowd *c, size_t mole, enum wire_prune side, uint16_t seconds)
{
    mole_say(&c->mole[mole], &(struct wire_message){.type = WIRE_PRUNE, .prune = side, .seconds = seconds});
    crowd_run(c, 1);
}

/* ---- whole deltas and ids -------------------------------------------------------------------------------------------------- */

Test(overlay, up_to_twelve_peers_nobody_is_pruned_and_there_is_no_heartbeat)
{
    struct crowd c;
    crowd_open(&c, 1, NET_FULL_MESH);
    thin_out(&c, 1);
    crowd_run(&c, 3000);
    cr_assert_eq(total(&c, WIRE_PRUNE), 0);
    cr_assert_eq(total(&c, WIRE_GRAFT), 0);
    cr_assert_eq(pushers(&c), NET_FULL_MESH);
    crowd_close(&c);
}

Test(overlay, a_duplicate_turns_a_link_ids_only_but_some_go_on_pushing)
{
    struct crowd c;
    crowd_open(&c, 2, CROWD);
    thin_out(&c, 1);
    cr_assert_geq(NET_EAGER_IN, 2);
    cr_assert_eq(pushers(&c), NET_EAGER_IN);
    cr_assert(info_of(&c, 0).sends_whole, "the first to bring it stays");
    cr_assert_eq(total(&c, WIRE_PRUNE), CROWD - NET_EAGER_IN + CROWD - NET_EAGER_OUT_MAX, "and those above 12 are sent ids only");
    thin_out(&c, 2);
    cr_assert_eq(pushers(&c), NET_EAGER_IN, "never fewer");
    crowd_close(&c);
}

Test(overlay, where_pushers_leave_others_are_grafted_within_two_heartbeats)
{
    struct crowd c;
    crowd_open(&c, 3, CROWD + 4);
    thin_out(&c, 1);
    for (size_t i = 0; i < c.count; i++)
        if (info_of(&c, i).sends_whole) {
            lab_raw_close(c.lab, c.mole[i].raw);
            c.mole[i].closed = true;
        }
    crowd_run(&c, 2400);
    cr_assert_eq(pushers(&c), NET_EAGER_IN);
    cr_assert_eq(total(&c, WIRE_GRAFT), NET_EAGER_IN);
    crowd_close(&c);
}

Test(overlay, a_pusher_that_falls_silent_is_not_counted_on)
{
    struct crowd c;
    crowd_open(&c, 4, CROWD);
    thin_out(&c, 1);
    for (size_t i = 1; i < c.count; i++)
        c.mole[i].answers = true;
    cr_assert(info_of(&c, 0).sends_whole);
    for (int i = 0; i < 230; i++)
        crowd_run(&c, 100);
    cr_assert_eq(total(&c, WIRE_GRAFT), 1, "another in its place");
    cr_assert_eq(pushers(&c), NET_EAGER_IN + 1);
    crowd_close(&c);
}

Test(overlay, a_pruned_link_gets_ids_within_50_ms_and_own_deltas_whole)
{
    struct crowd c;
    struct buf bundle = {0};
    crowd_open(&c, 5, CROWD);
    prune(&c, 1, WIRE_PRUNE_YOURS, 60);
    struct item item = mole_bundle(&c.mole[0], 1, &bundle);
    push(&c, 0, &item.id, &bundle);
    crowd_run(&c, 10);
    size_t whole = c.mole[2].got[WIRE_DELTA];
    cr_assert_eq(whole, 1, "passed on whole");
    cr_assert_eq(c.mole[1].got[WIRE_DELTA], 0);
    crowd_run(&c, 40);
    cr_assert_eq(c.mole[1].got[WIRE_IHAVE], 1);
    cr_assert_eq(c.mole[1].got[WIRE_DELTA], 0);
    (void)lab_write(c.lab, 0, 200);
    crowd_run(&c, 1);
    for (size_t i = 0; i < c.count; i++)
        cr_assert_geq(c.mole[i].got[WIRE_DELTA], 1, "an own delta goes to all links");
    buf_close(&bundle);
    crowd_close(&c);
}

Test(overlay, an_id_that_the_peer_offered_itself_is_not_offered_back)
{
    struct crowd c;
    struct buf bundle = {0};
    crowd_open(&c, 6, CROWD);
    prune(&c, 1, WIRE_PRUNE_YOURS, 60);
    struct item item = mole_bundle(&c.mole[0], 1, &bundle);
    push(&c, 0, &item.id, &bundle);
    crowd_run(&c, 10);
    offer(&c, 1, &item);
    crowd_run(&c, 60);
    cr_assert_eq(c.mole[1].got[WIRE_IHAVE], 0);
    buf_close(&bundle);
    crowd_close(&c);
}

/* ---- ids without a delta --------------------------------------------------------------------------------------------------- */

static size_t lazy_mole(const struct crowd *c, size_t from)
{
    for (size_t i = from; i < c->count; i++)
        if (!info_of(c, i).sends_whole)
            return i;
    cr_assert(false);
    return 0;
}

Test(overlay, a_missing_id_is_asked_after_100_ms_and_then_of_another)
{
    struct crowd c;
    struct buf bundle = {0};
    crowd_open(&c, 7, CROWD);
    thin_out(&c, 1);
    size_t a = lazy_mole(&c, 0), b = lazy_mole(&c, a + 1);
    struct item item = mole_bundle(&c.mole[a], 2, &bundle);
    offer(&c, a, &item);
    crowd_run(&c, 90);
    cr_assert_eq(c.mole[a].got[WIRE_IWANT], 0, "the delta may come by itself");
    offer(&c, b, &item);
    crowd_run(&c, 20);
    cr_assert_eq(c.mole[a].got[WIRE_IWANT], 1, "asked of the first who offered it");
    cr_assert_eq(c.mole[b].got[WIRE_IWANT], 0);
    crowd_run(&c, 380);
    cr_assert_eq(c.mole[b].got[WIRE_IWANT], 0);
    crowd_run(&c, 30);
    cr_assert_eq(c.mole[b].got[WIRE_IWANT], 1, "and of another when that one is silent");
    push(&c, b, &item.id, &bundle);
    crowd_run(&c, 5);
    cr_assert(setindex_has(lab_host(c.lab, 0)->set, &item));
    crowd_run(&c, 5000);
    cr_assert_eq(total(&c, WIRE_IWANT), 2);
    buf_close(&bundle);
    crowd_close(&c);
}

Test(overlay, a_missing_id_is_not_asked_for_when_the_delta_comes_in_time)
{
    struct crowd c;
    struct buf bundle = {0};
    crowd_open(&c, 8, CROWD);
    thin_out(&c, 1);
    size_t a = lazy_mole(&c, 0);
    struct item item = mole_bundle(&c.mole[a], 2, &bundle);
    offer(&c, a, &item);
    crowd_run(&c, 50);
    push(&c, 0, &item.id, &bundle);
    crowd_run(&c, 1000);
    cr_assert_eq(total(&c, WIRE_IWANT), 0);
    cr_assert(setindex_has(lab_host(c.lab, 0)->set, &item));
    buf_close(&bundle);
    crowd_close(&c);
}

Test(overlay, a_missing_id_grafts_its_link_back_once_the_back_off_is_over)
{
    struct crowd c;
    struct buf bundle = {0};
    crowd_open(&c, 9, CROWD);
    thin_out(&c, 1);
    size_t a = lazy_mole(&c, 0);
    struct item item = mole_bundle(&c.mole[a], 2, &bundle);
    offer(&c, a, &item);
    crowd_run(&c, 200);
    cr_assert_eq(c.mole[a].got[WIRE_IWANT], 1);
    cr_assert_eq(c.mole[a].got[WIRE_GRAFT], 0, "60 s of back-off after PRUNE");
    push(&c, a, &item.id, &bundle);
    for (size_t i = 0; i < c.count; i++)
        c.mole[i].answers = true;
    for (int i = 0; i < 610; i++)
        crowd_run(&c, 100);
    cr_assert_eq(total(&c, WIRE_GRAFT), 0);
    buf_reset(&bundle);
    item = mole_bundle(&c.mole[a], 3, &bundle);
    offer(&c, a, &item);
    crowd_run(&c, 200);
    cr_assert_eq(c.mole[a].got[WIRE_GRAFT], 1);
    cr_assert(info_of(&c, a).sends_whole);
    buf_close(&bundle);
    crowd_close(&c);
}

Test(overlay, a_large_delta_offered_by_a_pusher_is_asked_for_at_once)
{
    struct crowd c;
    struct buf bundle = {0};
    crowd_open(&c, 10, CROWD);
    thin_out(&c, 1);
    struct item item = mole_bundle(&c.mole[0], 2, &bundle);
    offer(&c, 0, &item);
    crowd_run(&c, 1);
    cr_assert_eq(c.mole[0].got[WIRE_IWANT], 1);
    size_t a = lazy_mole(&c, 0);
    offer(&c, a, &item);
    crowd_run(&c, 410);
    cr_assert_eq(c.mole[a].got[WIRE_IWANT], 1, "and of another when it is silent");
    buf_close(&bundle);
    crowd_close(&c);
}

/* ---- GRAFT, PRUNE, IDONTWANT ----------------------------------------------------------------------------------------------- */

/* A GRAFT inside its back-off escalates to a ban (named outage). */
Test(overlay, a_graft_within_its_back_off_is_answered_and_costs_nothing)
{
    struct crowd c;
    crowd_open(&c, 11, CROWD);
    size_t last = CROWD - 1;
    for (size_t i = 0; i < lab_host(c.lab, 0)->net->book_count; i++)
        lab_host(c.lab, 0)->net->book[i]->pinned = true; /* so that none is closed for being one too many */
    cr_assert_eq(c.mole[last].got[WIRE_PRUNE], 1, "12 are sent whole deltas already");
    for (int i = 0; i < 30; i++)
        mole_say(&c.mole[last], &(struct wire_message){.type = WIRE_GRAFT});
    crowd_run(&c, 10);
    cr_assert_eq(c.mole[last].got[WIRE_PRUNE], 31);
    cr_assert_eq(c.mole[last].got[WIRE_CLOSE], 0);
    cr_assert_eq(info_of(&c, last).score, 0);
    cr_assert_not(info_of(&c, last).sent_whole);
    crowd_run(&c, 61000);
    mole_say(&c.mole[last], &(struct wire_message){.type = WIRE_GRAFT});
    crowd_run(&c, 10);
    cr_assert_not(info_of(&c, last).sent_whole, "the back-off is over, but no place is free");
    prune(&c, 0, WIRE_PRUNE_YOURS, 60);
    mole_say(&c.mole[last], &(struct wire_message){.type = WIRE_GRAFT});
    crowd_run(&c, 10);
    cr_assert_not(info_of(&c, last).sent_whole, "a place is free, but the back-off is not over");
    crowd_run(&c, 61000);
    mole_say(&c.mole[last], &(struct wire_message){.type = WIRE_GRAFT});
    crowd_run(&c, 10);
    cr_assert(info_of(&c, last).sent_whole);
    cr_assert_eq(c.mole[last].got[WIRE_CLOSE], 0);
    crowd_close(&c);
}

Test(overlay, a_node_that_is_refused_asks_another_and_not_the_same_again)
{
    struct crowd c;
    crowd_open(&c, 12, CROWD);
    thin_out(&c, 1);
    bool before[CROWD];
    for (size_t i = 0; i < c.count; i++)
        before[i] = info_of(&c, i).sends_whole;
    for (size_t i = 0; i < c.count; i++)
        if (before[i])
            prune(&c, i, WIRE_PRUNE_MINE, 60);
    crowd_run(&c, 2500);
    cr_assert_eq(pushers(&c), NET_EAGER_IN);
    for (size_t i = 0; i < c.count; i++)
        cr_assert_eq(c.mole[i].got[WIRE_GRAFT], info_of(&c, i).sends_whole, "none of those that refused");
    struct buf bundle = {0};
    struct item item = mole_bundle(&c.mole[0], 2, &bundle);
    offer(&c, 0, &item);
    crowd_run(&c, 200);
    cr_assert_eq(c.mole[0].got[WIRE_IWANT], 1);
    cr_assert_eq(c.mole[0].got[WIRE_GRAFT], 0, "nor for a missing id");
    buf_close(&bundle);
    crowd_close(&c);
}

Test(overlay, a_large_delta_is_refused_to_others_before_it_is_stored)
{
    struct crowd c;
    struct buf bundle = {0};
    crowd_open(&c, 13, 3); /* in a full mesh as well */
    lab_host(c.lab, 0)->store_stuck = true;
    struct item item = mole_bundle_sized(&c.mole[0], 1, 3000, &bundle);
    cr_assert_geq(bundle.n, NET_DONTWANT_MIN);
    push(&c, 0, &item.id, &bundle);
    crowd_run(&c, 1);
    cr_assert_eq(c.mole[0].got[WIRE_IDONTWANT], 0);
    cr_assert_eq(c.mole[1].got[WIRE_IDONTWANT], 1);
    cr_assert_eq(c.mole[2].got_ids[WIRE_IDONTWANT], 1);
    buf_reset(&bundle);
    item = mole_bundle(&c.mole[0], 2, &bundle);
    push(&c, 0, &item.id, &bundle);
    crowd_run(&c, 1);
    cr_assert_eq(c.mole[1].got[WIRE_IDONTWANT], 1, "not for a small one");
    buf_close(&bundle);
    crowd_close(&c);
}

Test(overlay, what_a_peer_refused_is_not_pushed_to_it)
{
    struct crowd c;
    struct buf bundle = {0};
    crowd_open(&c, 14, 3);
    struct item item = mole_bundle_sized(&c.mole[0], 1, 3000, &bundle);
    mole_say(&c.mole[1], &(struct wire_message){.type = WIRE_IDONTWANT, .count = 1, .ids = &item.id});
    push(&c, 0, &item.id, &bundle);
    crowd_run(&c, 10);
    cr_assert_eq(c.mole[1].got[WIRE_DELTA], 0);
    cr_assert_eq(c.mole[2].got[WIRE_DELTA], 1);
    buf_close(&bundle);
    crowd_close(&c);
}

Test(overlay, refusals_never_exceed_what_a_peer_allows)
{
    struct crowd c;
    crowd_open(&c, 15, 3);
    for (uint64_t k = 0; k < 200; k++) {
        struct buf bundle = {0};
        struct item item = mole_bundle_sized(&c.mole[0], k, 3000, &bundle);
        push(&c, 0, &item.id, &bundle);
        crowd_run(&c, 5);
        buf_close(&bundle);
    }
    cr_assert_leq(c.mole[1].got[WIRE_IDONTWANT], NET_DONTWANT_BURST + NET_DONTWANT_RATE + 1);
    cr_assert_gt(c.mole[1].got_ids[WIRE_IDONTWANT], NET_DONTWANT_BURST, "what waits travels together");
    crowd_close(&c);
}

/* ---- links ----------------------------------------------------------------------------------------------------------------- */

Test(overlay, accepted_links_above_twelve_are_closed_once_they_settled)
{
    struct crowd c;
    crowd_open(&c, 16, 20);
    crowd_run(&c, 20000);
    cr_assert_eq(lab_up_links(c.lab, 0), 20, "none before it is 30 s old");
    crowd_run(&c, 40000);
    cr_assert_eq(lab_up_links(c.lab, 0), NET_DEGREE_HIGH);
    for (size_t i = 0; i < c.count; i++)
        if (c.mole[i].got[WIRE_CLOSE] > 0) {
            cr_assert_eq(c.mole[i].reason, REASON_FULL);
        }
    crowd_close(&c);
}

Test(overlay, a_pinned_link_is_never_closed_for_another)
{
    struct lab *lab = lab_new(2, 17);
    struct crowd c = {.lab = lab, .count = 20};
    char addr[NET_ADDR_MAX], key[ID_HEX_SIZE];
    lab_link(lab, 1, 0); /* host 1 dials, host 0 pins its key */
    lab_run(lab, 500);
    key_hex(key, &lab_host(lab, 1)->identity.key);
    (void)snprintf(addr, sizeof addr, "%s@%s", key, lab_host(lab, 1)->addr);
    lab_peer(lab, 0, addr);
    for (size_t i = 0; i < c.count; i++)
        mole_open(&c.mole[i], lab, 300 + i);
    crowd_run(&c, 100000);
    cr_assert_eq(lab_up_links(lab, 0), NET_DEGREE_HIGH);
    cr_assert(lab_linked(lab, 0, 1), "the oldest of all, and still there");
    crowd_close(&c);
}

/* A book with hosts first..last, each with a score that proves something. */
static void give_book(struct lab *lab, size_t first, size_t last)
{
    struct buf book = {0};
    buf_put_str(&book, "souk peers 1\n");
    for (size_t i = first; i <= last; i++) {
        char key[ID_HEX_SIZE];
        key_hex(key, &lab_host(lab, i)->identity.key);
        buf_printf(&book, "%s %s 12 0 1 %064d 0\n", key, lab_host(lab, i)->addr, 0);
    }
    net_book_load(lab_host(lab, 0)->net, buf_view(&book), 0);
    buf_close(&book);
}

/* Eclipse of a newcomer: strangers take every place before it has dialed anybody. */
Test(overlay, own_dials_are_made_however_many_strangers_came_first)
{
    struct lab *lab = lab_new(3, 18);
    struct crowd c = {.lab = lab, .count = NET_LINKS_MAX};
    lab_raw_addr(lab, "10.0.0.66:50000"); /* the network that the own dials are in as well */
    for (size_t i = 0; i < c.count; i++)
        mole_open(&c.mole[i], lab, 300 + i);
    cr_assert_eq(lab_up_links(lab, 0), NET_LINKS_MAX);
    give_book(lab, 1, 2);
    crowd_run(&c, 6000);
    cr_assert(lab_linked(lab, 0, 1) && lab_linked(lab, 0, 2), "two own dials at least");
    for (size_t i = 1; i <= 2; i++)
        book_by_key(lab_host(lab, 0)->net, &lab_host(lab, i)->identity.key)->score = -60; /* less than any stranger's */
    crowd_run(&c, 100000);
    cr_assert(lab_linked(lab, 0, 1) && lab_linked(lab, 0, 2), "and they are kept");
    crowd_close(&c);
}

static size_t dialed_links(struct lab *lab)
{
    const struct net *n = lab_host(lab, 0)->net;
    size_t count = 0;
    for (size_t i = 0; i < n->link_count; i++)
        count += link_up(n->links[i]) && n->links[i]->outbound;
    return count;
}

/* Two overlays that lost each other, each with all the links that it seeks. */
Test(overlay, one_more_is_dialed_about_every_minute_and_let_go_again)
{
    struct lab *lab = lab_new(7, 19);
    struct crowd c = {.lab = lab, .count = CROWD};
    lab_raw_addr(lab, "10.0.0.99:50000");
    lab_down(lab, 0);
    lab_host(lab, 0)->config.advertise[0] = 0; /* nobody dials it */
    lab_up(lab, 0);
    for (size_t i = 0; i < c.count; i++)
        mole_open(&c.mole[i], lab, 300 + i);
    for (size_t i = 3; i < 7; i++)
        lab_host(lab, i)->listening = false; /* the other half, out of reach */
    give_book(lab, 1, 6);
    crowd_run(&c, 40000);
    size_t before = lab_host(lab, 0)->dials;
    cr_assert_geq(dialed_links(lab), NET_OUTBOUND_MIN);
    crowd_run(&c, 200000);
    size_t dials = lab_host(lab, 0)->dials - before;
    cr_assert(dials >= 2 && dials <= 5, "%zu", dials);
    for (size_t i = 3; i < 7; i++)
        lab_host(lab, i)->listening = true;
    bool met = false;
    for (int i = 0; i < 200 && !met; i++) {
        crowd_run(&c, 1000);
        for (size_t k = 3; k < 7; k++)
            met |= lab_linked(lab, 0, k);
    }
    cr_assert(met, "found again");
    crowd_run(&c, 100000);
    cr_assert_leq(lab_up_links(lab, 0), NET_DEGREE_HIGH + 1);
    crowd_close(&c);
}

Test(overlay, a_newcomer_is_told_of_those_who_were_here_before)
{
    struct lab *lab = lab_new(2, 20);
    struct crowd c = {.lab = lab, .count = CROWD};
    for (size_t i = 0; i < c.count; i++)
        mole_open(&c.mole[i], lab, 300 + i); /* they have no addresses */
    lab_link(lab, 1, 0);
    crowd_run(&c, 100);
    cr_assert(lab_linked(lab, 0, 1));
    lab_down(lab, 1);
    crowd_run(&c, 100);
    struct mole late;
    mole_open(&late, lab, 400);
    cr_assert_eq(late.got[WIRE_PEERS], 1);
    mole_close(&late);
    crowd_close(&c);
}

Test(overlay, a_dialer_without_a_place_remembers_it_until_it_gets_one)
{
    struct lab *lab = lab_new(2, 21);
    struct crowd c = {.lab = lab, .count = NET_LINKS_MAX};
    lab_raw_addr(lab, "10.0.0.99:50000"); /* of the dialer's own network */
    for (size_t i = 0; i < c.count; i++)
        mole_open(&c.mole[i], lab, 300 + i);
    lab_link(lab, 1, 0);
    crowd_run(&c, 500);
    const struct peer *p = lab_host(lab, 1)->net->book[0];
    cr_assert(p->crowded && p->link == NULL);
    cr_assert_geq(p->next_dial_ms, lab_now(lab) + 10000);
    crowd_run(&c, 60000);
    cr_assert(lab_linked(lab, 1, 0), "links that settled made room");
    cr_assert_not(p->crowded);
    crowd_close(&c);
}
