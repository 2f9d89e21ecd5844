/*
 * Connections and peers of a whole engine: who gets in, what is remembered, how links die, what a slow or silent peer does
 * to the others.
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

static bool logged(struct lab *lab, size_t i, const char *text)
{
    return strstr(buf_cstr(&lab_host(lab, i)->log), text) != NULL;
}

Test(links, a_wrong_mesh_is_told_on_both_sides)
{
    struct lab *lab = lab_new(2, 1);
    lab_down(lab, 1);
    lab_host(lab, 1)->config.mesh = gen_id(9);
    lab_up(lab, 1);
    lab_link(lab, 1, 0);
    lab_run(lab, 3000);
    cr_assert_eq(lab_up_links(lab, 0), 0);
    cr_assert(logged(lab, 0, "another mesh"));
    cr_assert(logged(lab, 1, "another mesh"));
    lab_free(lab);
}

Test(links, a_pinned_key_must_match)
{
    struct lab *lab = lab_new(2, 2);
    char addr[NET_ADDR_MAX], hex[ID_HEX_SIZE];
    struct gen_author other;
    gen_author(&other, 999);
    key_hex(hex, &other.key);
    (void)snprintf(addr, sizeof addr, "%s@%s", hex, lab_host(lab, 0)->addr);
    lab_peer(lab, 1, addr);
    lab_run(lab, 5000);
    cr_assert_eq(lab_up_links(lab, 1), 0);
    cr_assert(logged(lab, 1, "expected was"), "%s", buf_cstr(&lab_host(lab, 1)->log));
    key_hex(hex, &lab_host(lab, 0)->identity.key);
    (void)snprintf(addr, sizeof addr, "%s@%s", hex, lab_host(lab, 0)->addr);
    lab_peer(lab, 1, addr);
    cr_assert(lab_until(lab, 3000, linked, NULL));
    lab_free(lab);
}

Test(links, a_malformed_address_is_named)
{
    struct lab *lab = lab_new(1, 3);
    static const char *bad[] = {"", "host", "host:", "host:0", "host:70000", "host:1x", "xyz@host:1", "a b:1", "0.0.0.0:7000", ":7000",
                                "[::]:1", "::1:5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char want[64];
        buf_reset(&lab_host(lab, 0)->log);
        lab_peer(lab, 0, bad[i]);
        (void)snprintf(want, sizeof want, "peer address '%s' is not", bad[i]);
        cr_assert(logged(lab, 0, want), "%s", bad[i]);
    }
    cr_assert_eq(net_peers(lab_host(lab, 0)->net, NULL, 0), 0);
    lab_free(lab);
}

Test(links, a_node_does_not_talk_to_itself)
{
    struct lab *lab = lab_new(1, 4);
    lab_link(lab, 0, 0);
    lab_run(lab, 120000);
    cr_assert_eq(lab_up_links(lab, 0), 0);
    cr_assert_eq(lab_host(lab, 0)->dials, 1, "the address is not dialed again");
    lab_free(lab);
}

Test(links, two_that_dial_each_other_keep_one_connection)
{
    for (uint64_t latency = 0; latency < 60; latency += 20) {
        struct lab *lab = lab_new(2, 5 + latency);
        lab_latency(lab, latency);
        lab_link(lab, 0, 1);
        lab_link(lab, 1, 0);
        lab_run(lab, 5000);
        struct net_peer_info a[4], b[4];
        cr_assert_eq(net_peers(lab_host(lab, 0)->net, a, 4), 1);
        cr_assert_eq(net_peers(lab_host(lab, 1)->net, b, 4), 1);
        cr_assert(a[0].state == PEER_UP && b[0].state == PEER_UP);
        cr_assert_neq(a[0].outbound, b[0].outbound, "both ends keep the same one");
        bool zero_smaller = key_cmp(&lab_host(lab, 0)->identity.key, &lab_host(lab, 1)->identity.key) < 0;
        if (latency > 0)
            cr_assert_eq(a[0].outbound, zero_smaller);
        (void)lab_write(lab, 0, 100);
        (void)lab_write(lab, 1, 100);
        cr_assert(lab_until(lab, 3000, lab_equal, NULL));
        lab_free(lab);
    }
}

Test(links, both_sides_of_a_healed_partition_may_dial_at_once)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct lab *lab = lab_new(3, 100 + seed);
        lab_latency(lab, 300 + 40 * seed);
        for (size_t i = 0; i < 3; i++)
            for (size_t k = 0; k < 3; k++)
                if (i != k)
                    lab_link(lab, i, k);
        lab_run(lab, 5000 + 100 * seed);
        for (int round = 0; round < 3; round++) {
            lab_cut(lab, 0, 1);
            lab_cut(lab, 1, 2);
            lab_run(lab, 3000 + 370 * seed);
            lab_heal(lab, 0, 1);
            lab_heal(lab, 1, 2);
            (void)lab_write(lab, (size_t)seed % 3, 10);
            lab_run(lab, 45000);
            for (size_t i = 0; i < 3; i++)
                cr_assert_eq(lab_up_links(lab, i), 2, "seed %llu host %zu", (unsigned long long)seed, i);
            cr_assert(lab_equal(lab, NULL));
        }
        lab_free(lab);
    }
}

Test(links, a_silent_peer_is_dropped_after_45_s_and_pinged_before)
{
    struct lab *lab = lab_new(2, 6);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, linked, NULL));
    lab_run(lab, 120000);
    cr_assert(linked(lab, NULL), "pings keep an idle link alive");
    lab_stall(lab, 1, 0, true);
    lab_run(lab, 40000);
    cr_assert(lab_linked(lab, 0, 1));
    lab_run(lab, 10000);
    cr_assert_not(lab_linked(lab, 0, 1));
    cr_assert(logged(lab, 0, "nothing was heard for 45 s"));
    lab_free(lab);
}

Test(links, a_half_open_connection_is_closed_after_10_s)
{
    struct lab *lab = lab_new(1, 7);
    struct buf in = {0};
    uint64_t raw = lab_raw_open(lab, 0);
    lab_run(lab, 9000);
    cr_assert(lab_raw_receive(lab, raw, &in));
    for (int i = 0; i < 3; i++) { /* a drip of bytes does not help */
        lab_raw_send(lab, raw, bytes_of("\0", 1));
        lab_run(lab, 500);
    }
    cr_assert_not(lab_raw_receive(lab, raw, &in));
    buf_close(&in);
    lab_free(lab);
}

Test(links, half_open_connections_are_bounded)
{
    struct lab *lab = lab_new(2, 8);
    uint64_t raw[NET_HALF_OPEN_MAX + 10];
    struct buf in = {0};
    size_t open = 0;
    for (size_t i = 0; i < NET_HALF_OPEN_MAX + 10; i++)
        raw[i] = lab_raw_open(lab, 0);
    lab_run(lab, 1);
    for (size_t i = 0; i < NET_HALF_OPEN_MAX + 10; i++)
        open += lab_raw_receive(lab, raw[i], &in);
    cr_assert_eq(open, NET_HALF_OPEN_MAX);
    lab_run(lab, 11000);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 3000, linked, NULL), "the places are free again");
    buf_close(&in);
    lab_free(lab);
}

Test(links, one_session_too_many_hears_why_and_of_others)
{
    struct lab *lab = lab_new(2, 9);
    struct mole m[NET_LINKS_MAX + 1];
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, linked, NULL));
    for (size_t i = 0; i < NET_LINKS_MAX; i++)
        mole_open(&m[i], lab, 50 + i);
    cr_assert_eq(lab_up_links(lab, 0), NET_LINKS_MAX);
    struct mole *last = &m[NET_LINKS_MAX - 1];
    mole_run(last, 0);
    cr_assert_eq(last->got[WIRE_CLOSE], 1);
    cr_assert_eq(last->reason, REASON_FULL);
    cr_assert_eq(last->got[WIRE_PEERS], 1);
    for (size_t i = 0; i < NET_LINKS_MAX; i++)
        mole_close(&m[i]);
    lab_free(lab);
}

Test(links, a_slow_peer_holds_nobody_up_and_is_dropped)
{
    struct lab *lab = lab_new(3, 10);
    lab_link(lab, 1, 0);
    lab_link(lab, 2, 0);
    lab_run(lab, 5000);
    lab_stall(lab, 0, 2, true); /* 2 reads nothing of what 0 sends, and still talks */
    lab_cut(lab, 1, 2);
    uint64_t most = 0;
    for (size_t i = 0; i < 100; i++) {
        struct net_peer_info p[8];
        uint64_t before = lab_now(lab);
        struct item item = lab_write(lab, 0, 60000);
        lab_run(lab, 0);
        cr_assert(setindex_has(lab_host(lab, 1)->set, &item), "delta %zu reached the other at once", i);
        cr_assert_eq(lab_now(lab), before);
        for (size_t k = 0, n = net_peers(lab_host(lab, 0)->net, p, 8); k < n; k++)
            most = p[k].queued_bytes > most ? p[k].queued_bytes : most;
    }
    cr_assert_gt(most, NET_QUEUE_LAZY);
    cr_assert_lt(most, NET_QUEUE_LAZY + 200000, "from there on only ids: %llu", (unsigned long long)most);
    lab_run(lab, 60000);
    cr_assert_not(lab_linked(lab, 0, 2));
    lab_stall(lab, 0, 2, false);
    cr_assert(lab_until(lab, 60000, lab_equal, NULL), "and catches up when it is back");
    lab_free(lab);
}

/* Pings do not keep a peer that reads nothing. */
Test(links, a_peer_that_reads_nothing_for_45_s_is_dropped)
{
    struct lab *lab = lab_new(1, 21);
    struct mole m;
    mole_open(&m, lab, 62);
    lab_raw_deaf(lab, m.raw);
    for (unsigned i = 0; i < 12; i++) {
        mole_say(&m, &(struct wire_message){.type = WIRE_PING, .token = i});
        lab_run(lab, 5000);
    }
    cr_assert_eq(lab_up_links(lab, 0), 0);
    cr_assert(logged(lab, 0, "it read nothing for 45 s"), "%s", buf_cstr(&lab_host(lab, 0)->log));
    mole_close(&m);
    lab_free(lab);
}

/* Answers wait until the reader reads; asking for more than the window allows ends it. */
Test(links, a_peer_that_asks_and_never_reads_is_paced_then_closed)
{
    struct lab *lab = lab_new(1, 22);
    struct mole m;
    mole_open(&m, lab, 63);
    lab_raw_deaf(lab, m.raw);
    struct item item = lab_write(lab, 0, 60000);
    for (unsigned i = 0; i < 400 && lab_up_links(lab, 0) > 0; i++) { /* asks and never reads the answers */
        for (unsigned k = 0; k < 20; k++)
            mole_say(&m, &(struct wire_message){.type = WIRE_IWANT, .count = 1, .ids = &item.id});
        lab_run(lab, 0);
        struct net_peer_info p;
        (void)net_peers(lab_host(lab, 0)->net, &p, 1);
        cr_assert_lt(p.queued_bytes, NET_QUEUE_SERVE + 200000, "answers wait for the reader");
    }
    cr_assert_eq(lab_up_links(lab, 0), 0, "the window was broken");
    mole_close(&m);
    lab_free(lab);
}

/* A node that crashed and is back dials anew while the old connection still looks alive. */
Test(links, of_two_connections_dialed_by_one_node_the_newer_is_kept)
{
    struct lab *lab = lab_new(1, 23);
    struct mole old, new;
    mole_open(&old, lab, 64);
    mole_open(&new, lab, 64);
    mole_run(&old, 1);
    cr_assert(old.closed);
    cr_assert_eq(old.reason, REASON_DUPLICATE);
    cr_assert_eq(new.conn.state, CONN_UP);
    cr_assert_eq(lab_up_links(lab, 0), 1);
    mole_close(&old);
    mole_close(&new);
    lab_free(lab);
}

Test(links, a_banned_peer_stays_out_until_it_is_let_in)
{
    struct lab *lab = lab_new(2, 11);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, linked, NULL));
    struct key key = lab_host(lab, 1)->identity.key;
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_BAN, .peer = key});
    lab_run(lab, 100000);
    cr_assert_eq(lab_up_links(lab, 0), 0);
    struct net_peer_info p[2];
    cr_assert_eq(net_peers(lab_host(lab, 0)->net, p, 2), 1);
    cr_assert_eq(p[0].state, PEER_BANNED);
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_UNBAN, .peer = key});
    cr_assert(lab_until(lab, 40000, linked, NULL));
    lab_free(lab);
}

Test(links, a_removed_peer_is_forgotten)
{
    struct lab *lab = lab_new(2, 12);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, linked, NULL));
    lab_event(lab, 1, (struct net_event){.kind = NET_PEER_REMOVE, .peer = lab_host(lab, 0)->identity.key});
    cr_assert_eq(net_peers(lab_host(lab, 1)->net, NULL, 0), 0);
    lab_run(lab, 500); /* it may dial again after 0.8 s */
    cr_assert_eq(lab_up_links(lab, 0), 0);
    lab_free(lab);
}

/* Score forgotten on reconnect (named outage). */
Test(links, the_score_survives_a_reconnect)
{
    struct lab *lab = lab_new(1, 13);
    struct net_peer_info p[2];
    for (size_t i = 0; i < 2; i++) {
        struct mole m;
        struct buf bundle = {0};
        mole_open(&m, lab, 77);
        cr_assert_eq(m.conn.state, CONN_UP);
        struct item item = mole_bundle(&m, i, &bundle);
        bundle.p[40] ^= 1; /* within the signed part or its frame: cannot verify */
        mole_say(&m, &(struct wire_message){.type = WIRE_DELTA, .id = item.id, .body = buf_view(&bundle)});
        mole_run(&m, 10);
        mole_close(&m);
        lab_run(lab, 10);
        buf_close(&bundle);
        cr_assert_eq(net_peers(lab_host(lab, 0)->net, p, 2), 1);
        cr_assert_eq(p[0].score, (int64_t)(i + 1) * NET_SCORE_REFUSED);
    }
    lab_free(lab);
}

Test(links, addresses_of_loopback_are_told_only_at_home)
{
    struct lab *lab = lab_new(3, 14);
    for (size_t i = 0; i < 2; i++) {
        lab_down(lab, i);
        (void)snprintf(lab_host(lab, i)->config.advertise, NET_ADDR_MAX, "127.0.0.1:%zu", 7000 + i);
        lab_up(lab, i);
    }
    lab_link(lab, 1, 0);
    lab_link(lab, 2, 0);
    lab_run(lab, 10000);
    struct net_peer_info p[4];
    size_t n = net_peers(lab_host(lab, 2)->net, p, 4);
    for (size_t i = 0; i < n; i++)
        cr_assert(strncmp(p[i].address, "127.", 4) != 0, "%s", p[i].address);
    lab_free(lab);
}

Test(links, a_wildcard_address_becomes_the_one_that_peers_see)
{
    struct lab *lab = lab_new(3, 15);
    for (size_t i = 0; i < 3; i++) {
        lab_down(lab, i);
        (void)snprintf(lab_host(lab, i)->config.advertise, NET_ADDR_MAX, "0.0.0.0:7000");
        lab_up(lab, i);
    }
    lab_link(lab, 1, 0);
    lab_link(lab, 2, 0);
    lab_run(lab, 5000);
    cr_assert(lab_linked(lab, 1, 2), "found each other through 0");
    lab_free(lab);
}

Test(links, twelve_nodes_make_a_full_mesh)
{
    struct lab *lab = lab_new(12, 16);
    for (size_t i = 1; i < 12; i++)
        lab_link(lab, i, 0);
    lab_run(lab, 20000);
    for (size_t i = 0; i < 12; i++)
        cr_assert_eq(lab_up_links(lab, i), 11, "%zu has %zu", i, lab_up_links(lab, i));
    for (size_t i = 0; i < 12; i++)
        (void)lab_write(lab, i, 300);
    cr_assert(lab_until(lab, 10, lab_equal, NULL));
    lab_free(lab);
}

Test(links, the_book_is_bounded_however_many_addresses_a_peer_tells)
{
    struct lab *lab = lab_new(1, 17);
    struct mole m;
    mole_open(&m, lab, 60);
    for (unsigned k = 0; k < 20; k++) {
        struct wire_message w = {.type = WIRE_PEERS};
        char text[WIRE_PEERS_MAX][32];
        for (unsigned i = 0; i < WIRE_PEERS_MAX; i++) {
            struct id id = gen_id(1000 + k * 100 + i);
            (void)snprintf(text[i], sizeof text[i], "10.1.%u.%u:7000", k, i);
            memcpy(w.peers.list[i].key.b, id.b, 32);
            w.peers.list[i].address = bytes_str(text[i]);
        }
        w.peers.count = WIRE_PEERS_MAX;
        mole_say(&m, &w);
    }
    mole_run(&m, 10);
    cr_assert_leq(net_peers(lab_host(lab, 0)->net, NULL, 0), 1 + NET_LEARNED_MAX);
    mole_close(&m);
    lab_free(lab);
}

Test(links, too_many_control_messages_close_the_session)
{
    struct lab *lab = lab_new(1, 18);
    struct mole m;
    mole_open(&m, lab, 61);
    for (unsigned i = 0; i < NET_CONTROL_BURST + 50; i++)
        mole_say(&m, &(struct wire_message){.type = WIRE_PING, .token = i});
    mole_run(&m, 1);
    cr_assert(m.closed);
    cr_assert_eq(m.reason, REASON_LIMIT);
    mole_close(&m);
    lab_free(lab);
}

Test(links, a_founder_that_does_not_make_the_mesh_id_is_refused)
{
    struct lab *lab = lab_new(2, 19);
    lab_down(lab, 1);
    (void)snprintf(lab_host(lab, 1)->config.mesh_name, 8, "liar");
    lab_up(lab, 1);
    lab_link(lab, 1, 0);
    lab_run(lab, 2000);
    cr_assert_eq(lab_up_links(lab, 0), 0);
    cr_assert(logged(lab, 0, "do not make the mesh id"));
    lab_free(lab);
}

Test(links, stopping_says_goodbye)
{
    struct lab *lab = lab_new(2, 20);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 1000, linked, NULL));
    net_stop(lab_host(lab, 0)->net);
    lab_event(lab, 0, (struct net_event){.kind = NET_TICK});
    lab_run(lab, 1);
    cr_assert_eq(lab_up_links(lab, 1), 0);
    cr_assert(logged(lab, 1, "the node is stopping"));
    lab_free(lab);
}
