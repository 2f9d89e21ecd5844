/*
 * What an operator can read of peers: each change of score with its reason, what keeps a peer away and since when, who was
 * turned away at the door, bytes that survive a reconnect. All of it bounded.
 */
#include "net/engine.h"
#include "tests/lib/mole.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static bool linked(struct lab *lab, void *ctx)
{
    (void)ctx;
    return lab_up_links(lab, 0) > 0 && lab_up_links(lab, 1) > 0;
}

/* The one peer of host i. */
static struct net_peer_info only_peer(struct lab *lab, size_t i)
{
    struct net_peer_info p[2];
    cr_assert_eq(net_peers(lab_host(lab, i)->net, p, 2), 1);
    return p[0];
}

static void say_good(struct mole *m, uint64_t number)
{
    struct buf b = {0};
    struct item item = mole_bundle(m, number, &b);
    mole_say(m, &(struct wire_message){.type = WIRE_DELTA, .id = item.id, .body = buf_view(&b)});
    mole_run(m, 10);
    buf_close(&b);
}

/* A good delta under another's id. */
static void say_wrong_id(struct mole *m, uint64_t number)
{
    struct buf b = {0};
    struct id other = gen_id(number);
    (void)mole_bundle(m, number, &b);
    mole_say(m, &(struct wire_message){.type = WIRE_DELTA, .id = other, .body = buf_view(&b)});
    mole_run(m, 10);
    buf_close(&b);
}

Test(notes, each_change_of_score_has_its_reason)
{
    struct lab *lab = lab_new(1, 1);
    struct mole m;
    mole_open(&m, lab, 40);
    for (uint64_t i = 0; i < 5; i++)
        say_good(&m, i);
    say_wrong_id(&m, 70);
    say_good(&m, 6);
    struct net_peer_info p = only_peer(lab, 0);
    cr_assert_eq(p.score_count, 3);
    cr_assert_eq(p.score_changes[0].why, NET_SCORED_FRESH);
    cr_assert_eq(p.score_changes[1].why, NET_SCORED_WRONG_ID);
    cr_assert_eq(p.score_changes[1].by, NET_SCORE_WRONG_ID);
    cr_assert_eq(p.score_changes[2].times, 5);
    cr_assert_eq(p.score_changes[2].by, 5 * NET_SCORE_FRESH);
    cr_assert_leq(p.score_changes[2].at_ms, p.score_changes[1].at_ms);
    cr_assert_eq(p.score, 6 * NET_SCORE_FRESH + NET_SCORE_WRONG_ID);
    struct net_stats s;
    net_stats(lab_host(lab, 0)->net, &s);
    cr_assert_eq(s.scored[NET_SCORED_FRESH], 6);
    cr_assert_eq(s.scored[NET_SCORED_WRONG_ID], 1);
    cr_assert_not_null(strstr(buf_cstr(&lab_host(lab, 0)->log), "-50 to -45: a delta under another's id"));
    mole_close(&m);
    lab_free(lab);
}

Test(notes, messages_by_which_deltas_spread_are_counted_both_ways)
{
    struct lab *lab = lab_new(1, 9);
    struct mole m;
    struct buf ids = {0};
    struct id none = gen_id(77);
    struct net_stats s;
    mole_open(&m, lab, 43);
    wire_put_item(&ids, &(struct item){1, none});
    say_good(&m, 1);
    mole_say(&m, &(struct wire_message){.type = WIRE_IHAVE, .count = 1, .items = ids.p});
    mole_say(&m, &(struct wire_message){.type = WIRE_IWANT, .count = 1, .ids = &none});
    mole_say(&m, &(struct wire_message){.type = WIRE_IDONTWANT, .count = 1, .ids = &none});
    mole_say(&m, &(struct wire_message){.type = WIRE_PRUNE, .prune = WIRE_PRUNE_YOURS});
    mole_run(&m, 100);
    struct net_peer_info p = only_peer(lab, 0);
    cr_assert_eq(p.asked_ids, 1);
    net_stats(lab_host(lab, 0)->net, &s);
    cr_assert_eq(s.whole_in, 1);
    cr_assert_eq(s.whole_out, 0, "it asked for ids only");
    mole_say(&m, &(struct wire_message){.type = WIRE_GRAFT});
    mole_run(&m, 100);
    net_stats(lab_host(lab, 0)->net, &s);
    cr_assert_eq(s.whole_out, 1);
    for (int i = 0; i < NET_SAID_COUNT; i++) {
        cr_assert_eq(s.talk.received[i], 1, "%s: %llu", net_said_word((enum net_said)i), (unsigned long long)s.talk.received[i]);
        cr_assert_eq(s.talk.sent[i], i == NET_SAID_IWANT, "%s", net_said_word((enum net_said)i));
    }
    mole_close(&m);
    lab_run(lab, 100);
    p = only_peer(lab, 0);
    cr_assert_eq(p.talk.received[NET_SAID_PRUNE], 1, "counts outlive the session");
    cr_assert_eq(p.talk.sent[NET_SAID_IWANT], m.got[WIRE_IWANT]);
    buf_close(&ids);
    lab_free(lab);
}

Test(notes, the_history_is_bounded_and_ends_with_the_ban)
{
    struct lab *lab = lab_new(1, 2);
    struct mole m;
    mole_open(&m, lab, 41);
    for (uint64_t i = 0; i < 2 * NET_SCORES_KEPT; i++)
        say_good(&m, i); /* room to fall */
    for (uint64_t i = 0; i < 3; i++) {
        say_wrong_id(&m, 70 + i);
        if (i < 2)
            say_good(&m, 90 + i);
    }
    struct net_peer_info p = only_peer(lab, 0);
    cr_assert_eq(p.state, PEER_BANNED);
    cr_assert_eq(p.score_changes[0].why, NET_SCORED_BAN);
    cr_assert_eq(p.score_changes[1].why, NET_SCORED_WRONG_ID);
    int64_t sum = 0;
    for (size_t i = 0; i < p.score_count; i++)
        sum += p.score_changes[i].by;
    cr_assert_eq(sum, p.score, "the changes explain the score");
    cr_assert_str_eq(p.trouble.code, "banned");
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_UNBAN, .peer = m.author.key});
    p = only_peer(lab, 0);
    cr_assert_eq(p.score_changes[0].why, NET_SCORED_UNBAN);
    cr_assert_eq(p.score, 0);
    struct peer row = {0};
    for (int i = 0; i < 100; i++)
        note_score(lab_host(lab, 0)->net, &row, i % 2 == 0 ? NET_SCORED_FRESH : NET_SCORED_GONE, i % 2 == 0 ? 1 : -1);
    cr_assert_eq(row.score_count, NET_SCORES_KEPT);
    cr_assert_eq(row.scores[NET_SCORES_KEPT - 1].why, NET_SCORED_GONE);
    mole_close(&m);
    lab_free(lab);
}

Test(notes, a_score_at_its_most_is_no_change)
{
    struct lab *lab = lab_new(1, 3);
    struct mole m;
    mole_open(&m, lab, 42);
    for (uint64_t i = 0; i < NET_SCORE_MAX + 20; i++)
        say_good(&m, i);
    struct net_peer_info p = only_peer(lab, 0);
    cr_assert_eq(p.score, NET_SCORE_MAX);
    cr_assert_eq(p.score_changes[0].times, NET_SCORE_MAX);
    mole_close(&m);
    lab_free(lab);
}

Test(notes, what_keeps_a_peer_away)
{
    struct lab *lab = lab_new(2, 4);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, linked, NULL));
    struct net_peer_info p = only_peer(lab, 1);
    cr_assert_null(p.trouble.code);
    cr_assert_eq(p.sessions, 1);
    cr_assert_gt(p.up_ms, 0);
    uint64_t sent = p.sent_bytes, cut_ms = lab_now(lab);
    lab_cut(lab, 0, 1);
    lab_run(lab, 10000);
    p = only_peer(lab, 1);
    cr_assert_str_eq(p.trouble.code, "connect", "dials of the lab fail without a cause");
    cr_assert_gt(p.trouble.times, 2);
    cr_assert_geq(p.trouble.last_ms, p.trouble.since_ms + 1000);
    cr_assert_leq(p.trouble.since_ms, cut_ms + 10, "away since the session was lost, not since the last dial");
    cr_assert_geq(p.sent_bytes, sent, "bytes of the lost session count");
    cr_assert_geq(p.lag_ms, p.trouble.last_ms - p.trouble.since_ms, "one that is away is behind since then");
    cr_assert_not_null(only_peer(lab, 0).trouble.code);
    lab_heal(lab, 0, 1);
    cr_assert(lab_until(lab, 40000, linked, NULL));
    p = only_peer(lab, 1);
    cr_assert_null(p.trouble.code);
    cr_assert_eq(p.sessions, 2);
    cr_assert_gt(p.sent_bytes, sent);
    struct net_stats one, other; /* either side may have dialed again */
    net_stats(lab_host(lab, 1)->net, &one);
    net_stats(lab_host(lab, 0)->net, &other);
    cr_assert_geq(one.sessions_dialed, 1);
    cr_assert_eq(one.sessions_dialed + one.sessions_accepted, 2);
    cr_assert_eq(one.sessions_dialed, other.sessions_accepted);
    cr_assert_eq(one.sessions_accepted, other.sessions_dialed);
    lab_free(lab);
}

Test(notes, another_mesh_is_known_on_both_sides)
{
    struct lab *lab = lab_new(2, 5);
    struct net_stranger s[NET_STRANGERS_KEPT];
    lab_down(lab, 1);
    lab_host(lab, 1)->config.mesh = gen_id(9);
    lab_up(lab, 1);
    lab_link(lab, 1, 0);
    lab_run(lab, 20000);
    struct net_peer_info p = only_peer(lab, 1);
    cr_assert_str_eq(p.trouble.code, "mesh");
    cr_assert_gt(strlen(p.trouble.detail), 10);
    cr_assert_eq(net_peers(lab_host(lab, 0)->net, NULL, 0), 0, "a stranger takes no row of the book");
    cr_assert_eq(net_strangers(lab_host(lab, 0)->net, s, NET_STRANGERS_KEPT), 1);
    cr_assert_str_eq(s[0].trouble.code, "mesh");
    cr_assert_eq(strncmp(lab_host(lab, 1)->addr, s[0].host, strlen(s[0].host)), 0);
    cr_assert_gt(s[0].trouble.times, 1, "one row for each host and reason");
    lab_free(lab);
}

/* A dial that the rim says more of. */
Test(notes, the_cause_of_a_failed_dial_is_kept)
{
    static const struct {
        enum net_dial_fault fault;
        const char *code;
    } cases[] = {{NET_DIAL_REFUSED, "connect_refused"}, {NET_DIAL_TIMEOUT, "connect_timeout"},
                 {NET_DIAL_NO_ROUTE, "no_route"},       {NET_DIAL_NAME, "name"},
                 {NET_DIAL_OTHER, "connect"}};
    struct lab *lab = lab_new(1, 6);
    struct peer row = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        note_dial(lab_host(lab, 0)->net, &row, cases[i].fault);
        cr_assert_str_eq(row.trouble.code, cases[i].code);
        cr_assert_gt(strlen(row.trouble.detail), 5);
        cr_assert_eq(row.trouble.times, i + 1);
    }
    lab_free(lab);
}

/* The operator may shorten the silence that ends a session. */
Test(notes, silence_ends_a_session_when_the_operator_says)
{
    struct lab *lab = lab_new(2, 7);
    lab_down(lab, 1);
    lab_host(lab, 1)->config.silence_ms = 6000;
    lab_up(lab, 1);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, linked, NULL));
    lab_run(lab, 120000);
    cr_assert_eq(only_peer(lab, 1).sessions, 1, "pings leave often enough");
    cr_assert_leq(lab_now(lab) - only_peer(lab, 1).heard_ms, 2400 + 100);
    lab_stall(lab, 0, 1, true);
    lab_run(lab, 3000);
    cr_assert_eq(only_peer(lab, 1).state, PEER_UP);
    cr_assert_geq(lab_now(lab) - only_peer(lab, 1).heard_ms, 3000);
    lab_run(lab, 3100);
    struct net_peer_info p = only_peer(lab, 1);
    cr_assert(p.sessions > 1 || p.state != PEER_UP);
    cr_assert_not_null(strstr(buf_cstr(&lab_host(lab, 1)->log), "nothing was heard for 6 s"));
    lab_free(lab);
}

/* A peer that never answered has no key to be named by. */
Test(notes, a_peer_without_a_key_is_removed_by_its_address)
{
    struct lab *lab = lab_new(1, 8);
    lab_peer(lab, 0, "10.9.9.9:7000");
    lab_run(lab, 3000);
    cr_assert_eq(net_peers(lab_host(lab, 0)->net, NULL, 0), 1);
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_REMOVE, .addr = "10.9.9.8:7000"});
    cr_assert_eq(net_peers(lab_host(lab, 0)->net, NULL, 0), 1);
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_REMOVE, .addr = "10.9.9.9:7000"});
    cr_assert_eq(net_peers(lab_host(lab, 0)->net, NULL, 0), 0);
    lab_free(lab);
}

/* A clock that a peer claims may be anything. */
Test(notes, an_absurd_clock_is_cut)
{
    struct lab *lab = lab_new(2, 9);
    lab_host(lab, 1)->clock_skew_ms = INT64_C(1) << 60;
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, linked, NULL));
    lab_run(lab, 20000);
    cr_assert_eq(only_peer(lab, 0).skew_ms, NET_SKEW_SHOWN);
    cr_assert_eq(only_peer(lab, 1).skew_ms, -NET_SKEW_SHOWN);
    lab_free(lab);
}

Test(notes, every_reason_has_a_word_and_a_text)
{
    for (int i = 0; i < NET_SCORED_COUNT; i++) {
        cr_assert_gt(strlen(net_scored_word((enum net_scored)i)), 2);
        cr_assert_gt(strlen(net_scored_text((enum net_scored)i)), 5);
        for (int k = 0; k < i; k++)
            cr_assert_str_neq(net_scored_word((enum net_scored)i), net_scored_word((enum net_scored)k));
    }
    for (int i = 0; i < REASON_END; i++)
        cr_assert_gt(strlen(wire_reason_word((enum wire_reason)i)), 2);
    cr_assert_str_eq(wire_reason_word((enum wire_reason)99), "unknown");
}

/* A machine that changed its address says so when it dials; an address that the operator gave stays. */
Test(notes, a_peer_that_moved_is_known_at_its_new_address)
{
    for (int pinned = 0; pinned < 2; pinned++) {
        struct lab *lab = lab_new(2, 10);
        lab_link(lab, 1, 0);
        if (pinned)
            lab_link(lab, 0, 1);
        cr_assert(lab_until(lab, 3000, linked, NULL));
        cr_assert_str_eq(only_peer(lab, 0).address, lab_host(lab, 1)->addr);
        lab_down(lab, 1);
        (void)snprintf(lab_host(lab, 1)->config.advertise, NET_ADDR_MAX, "10.0.0.77:7000");
        lab_cut(lab, 0, 1); /* so that host 0 does not reach it at the old one */
        lab_up(lab, 1);
        lab_heal(lab, 0, 1);
        lab_link(lab, 1, 0);
        cr_assert(lab_until(lab, 40000, linked, NULL));
        if (!only_peer(lab, 0).outbound)
            cr_assert_str_eq(only_peer(lab, 0).address, pinned ? lab_host(lab, 1)->addr : "10.0.0.77:7000");
        else
            cr_assert(pinned);
        lab_free(lab);
    }
}

/* What is dropped before the store sees it is counted apart, for the node's own sums. */
Test(notes, deltas_that_are_dropped_unseen_are_counted)
{
    struct lab *lab = lab_new(1, 11);
    struct net_stats s;
    struct mole m;
    mole_open(&m, lab, 43);
    say_good(&m, 1);
    net_stats(lab_host(lab, 0)->net, &s);
    cr_assert_eq(s.unseen_ahead + s.unseen_foreign, 0);
    lab_host(lab, 0)->clock_skew_ms = -20 * 60 * 1000;
    say_good(&m, 2);
    net_stats(lab_host(lab, 0)->net, &s);
    cr_assert_eq(s.unseen_ahead, 1);
    cr_assert_eq(lab_host(lab, 0)->stored_calls, 1);
    struct id id = gen_id(5);
    mole_say(&m, &(struct wire_message){.type = WIRE_DELTA, .id = id, .body = bytes_str("no delta of this mesh")});
    mole_run(&m, 10);
    net_stats(lab_host(lab, 0)->net, &s);
    cr_assert_eq(s.unseen_foreign, 1);
    cr_assert_eq(only_peer(lab, 0).score_changes[0].why, NET_SCORED_REFUSED);
    mole_close(&m);
    lab_free(lab);
}
