/*
 * The address book: how much of it others may fill, what gives way, what survives a restart and damage.
 */
#include "net/engine.h"
#include "tests/lib/mole.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct net *net_of(struct lab *lab)
{
    return lab_host(lab, 0)->net;
}

static size_t passive(struct lab *lab)
{
    size_t n = 0;
    const struct net *net = net_of(lab);
    for (size_t i = 0; i < net->book_count; i++)
        n += peer_passive(net->book[i]);
    return n;
}

static struct key key_of(uint64_t number)
{
    struct id id = gen_id(number);
    struct key key;
    memcpy(key.b, id.b, sizeof key.b);
    return key;
}

/* PEERS with one address. */
static void tell(struct mole *m, uint64_t number, const char *addr)
{
    struct wire_message w = {.type = WIRE_PEERS};
    w.peers.count = 1;
    w.peers.list[0] = (struct wire_peer){.key = key_of(number), .address = bytes_str(addr)};
    mole_say(m, &w);
    lab_run(m->lab, 0);
    mole_read(m);
}

static struct peer *row(struct lab *lab, uint64_t number)
{
    struct key key = key_of(number);
    return book_by_key(net_of(lab), &key);
}

/* ---- networks -------------------------------------------------------------------------------------------------------------- */

Test(book, the_network_of_an_address)
{
    static const char *const pairs[][2] = {
        {"203.0.113.7:7000", "203.0.113"},        {"[2001:db8:1:2::5]:7000", "2001:db8:1"}, {"[2001:db8::5]:7000", "2001:db8:0"},
        {"[2001:0DB8::5]:7000", "2001:db8:0"},    {"[::1]:7000", "0:0:0"},                  {"a.b.example.org:7000", "example.org"},
        {"Node.Example.ORG:7000", "example.org"}, {"host:7000", "host"},                    {"1.2.3:7000", "2.3"},
        {"256.1.1.1:7000", "1.1"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char group[NET_GROUP_TEXT];
        addr_group(pairs[i][0], group);
        cr_assert_str_eq(group, pairs[i][1], "%s", pairs[i][0]);
    }
}

Test(book, private_addresses)
{
    static const char *const yes[] = {"10.1.2.3:1", "172.16.0.1:1", "172.31.9.9:1", "192.168.4.4:1", "169.254.1.1:1", "100.64.0.1:1",
                                      "127.0.0.1:1", "localhost:1", "[fd00::1]:1", "[fe80::1]:1", "[::1]:1"};
    static const char *const no[] = {"11.1.2.3:1", "172.32.0.1:1", "192.169.4.4:1", "100.128.0.1:1", "[2001:db8::1]:1", "ten.example.org:1"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        cr_assert(addr_private(yes[i]), "%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        cr_assert_not(addr_private(no[i]), "%s", no[i]);
}

/* ---- what others may fill --------------------------------------------------------------------------------------------------- */

Test(book, of_one_network_two_addresses_of_unproven_sources_are_kept)
{
    struct lab *lab = lab_new(1, 1);
    struct mole m[2];
    mole_open(&m[0], lab, 300);
    mole_open(&m[1], lab, 301);
    tell(&m[0], 1, "203.0.113.1:7000");
    tell(&m[0], 2, "203.0.113.2:7000");
    tell(&m[0], 3, "203.0.113.3:7000");
    tell(&m[1], 4, "203.0.113.4:7000");
    tell(&m[1], 5, "203.0.114.4:7000");
    cr_assert(row(lab, 1) != NULL && row(lab, 2) != NULL && row(lab, 5) != NULL);
    cr_assert(row(lab, 3) == NULL && row(lab, 4) == NULL, "whoever tells them");
    book_by_key(net_of(lab), &m[1].author.key)->score = NET_PROVEN_SCORE;
    tell(&m[1], 6, "203.0.113.6:7000");
    cr_assert(row(lab, 6) != NULL, "one that proved something may tell more");
    mole_close(&m[0]);
    mole_close(&m[1]);
    lab_free(lab);
}

Test(book, a_private_network_is_known_to_those_in_it_only)
{
    struct lab *lab = lab_new(1, 2);
    struct mole m;
    mole_open(&m, lab, 300); /* at 10.9.9.9 */
    for (uint64_t i = 0; i < 5; i++) {
        char addr[32];
        (void)snprintf(addr, sizeof addr, "10.0.5.%u:7000", (unsigned)i + 1);
        tell(&m, i, addr);
    }
    cr_assert_eq(passive(lab), 5);
    (void)snprintf(net_of(lab)->links[0]->addr, NET_ADDR_MAX, "203.0.113.9:40000");
    for (uint64_t i = 10; i < 15; i++) {
        char addr[32];
        (void)snprintf(addr, sizeof addr, "10.0.6.%u:7000", (unsigned)i);
        tell(&m, i, addr);
    }
    cr_assert_eq(passive(lab), 7, "told from afar it is a network like any other");
    mole_close(&m);
    lab_free(lab);
}

Test(book, thirty_are_known_by_their_address_alone_and_sources_share)
{
    struct lab *lab = lab_new(1, 3);
    struct mole m[4];
    for (uint64_t k = 0; k < 4; k++) {
        mole_open(&m[k], lab, 300 + k);
        for (uint64_t i = 0; i < 32; i++) {
            char addr[32];
            (void)snprintf(addr, sizeof addr, "203.%u.%u.1:7000", (unsigned)k, (unsigned)i);
            tell(&m[k], 1000 * k + i, addr);
            cr_assert_leq(passive(lab), NET_PASSIVE_MAX);
        }
    }
    size_t least = SIZE_MAX;
    for (size_t k = 0; k < 4; k++) {
        size_t told = 0;
        for (size_t i = 0; i < net_of(lab)->book_count; i++)
            told += peer_passive(net_of(lab)->book[i]) && key_eq(&net_of(lab)->book[i]->source, &m[k].author.key);
        least = told < least ? told : least;
    }
    cr_assert_eq(passive(lab), NET_PASSIVE_MAX);
    cr_assert_geq(least, NET_PASSIVE_MAX / 4 - 1, "nobody pushes the others' addresses out");
    for (size_t k = 0; k < 4; k++)
        mole_close(&m[k]);
    lab_free(lab);
}

Test(book, peers_that_proved_themselves_give_way_to_no_address_that_is_told)
{
    struct lab *lab = lab_new(1, 4);
    struct buf text = {0};
    struct mole m;
    buf_put_str(&text, "souk peers 1\n");
    for (uint64_t i = 0; i < NET_PASSIVE_MAX; i++) {
        char key[ID_HEX_SIZE];
        struct key k = key_of(5000 + i);
        key_hex(key, &k);
        buf_printf(&text, "%s 198.51.%u.1:7000 20 0 1 %064d 0\n", key, (unsigned)i, 7);
    }
    net_book_load(net_of(lab), buf_view(&text), 0);
    cr_assert_eq(passive(lab), NET_PASSIVE_MAX);
    mole_open(&m, lab, 300);
    for (uint64_t i = 0; i < 32; i++) {
        char addr[32];
        (void)snprintf(addr, sizeof addr, "203.0.%u.1:7000", (unsigned)i);
        tell(&m, i, addr);
    }
    for (uint64_t i = 0; i < NET_PASSIVE_MAX; i++)
        cr_assert(row(lab, 5000 + i) != NULL && row(lab, 5000 + i)->addr[0] != 0, "%llu", (unsigned long long)i);
    mole_close(&m);
    buf_close(&text);
    lab_free(lab);
}

Test(book, an_address_that_cannot_be_reached_gives_way)
{
    struct lab *lab = lab_new(1, 11);
    struct mole m;
    char addr[32];
    mole_open(&m, lab, 300);
    for (uint64_t i = 0; i < NET_PASSIVE_MAX; i++) {
        struct key key = key_of(7000 + i);
        struct peer *p = book_claim(net_of(lab), NULL, &key);
        p->proved = true;
        (void)snprintf(p->addr, sizeof p->addr, "198.51.%u.1:7000", (unsigned)i);
    }
    tell(&m, 1, "203.0.113.1:7000");
    cr_assert_null(row(lab, 1));
    for (unsigned fails = 1; fails <= 6; fails++) {
        row(lab, 7007)->fails = fails;
        (void)snprintf(addr, sizeof addr, "203.0.%u.1:7000", fails);
        tell(&m, fails, addr);
        cr_assert_eq(row(lab, fails) != NULL, fails == 6);
    }
    cr_assert_null(row(lab, 7007));
    cr_assert_eq(passive(lab), NET_PASSIVE_MAX);
    mole_close(&m);
    lab_free(lab);
}

Test(book, a_bad_score_is_not_got_rid_of_by_filling_the_book)
{
    struct lab *lab = lab_new(1, 5);
    struct mole bad;
    mole_open(&bad, lab, 300);
    struct peer *p = book_by_key(net_of(lab), &bad.author.key);
    book_score(net_of(lab), p, NET_SCORED_WRONG_ID);
    mole_close(&bad);
    lab_run(lab, 100);
    p->seen_ms = 0; /* the longest unseen of all */
    for (uint64_t i = 0; i < 2 * NET_BOOK_MAX; i++) {
        struct key key = key_of(9000 + i);
        cr_assert(book_claim(net_of(lab), NULL, &key) != NULL);
    }
    cr_assert_eq(net_of(lab)->book_count, NET_BOOK_MAX);
    p = book_by_key(net_of(lab), &bad.author.key);
    cr_assert(p != NULL);
    cr_assert_eq(p->score, NET_SCORE_WRONG_ID);
    lab_free(lab);
}

/* ---- across restarts -------------------------------------------------------------------------------------------------------- */

Test(book, scores_bans_and_addresses_survive_a_restart)
{
    struct lab *lab = lab_new(3, 6);
    struct net_peer_info p[8];
    struct buf book = {0};
    lab_link(lab, 0, 1);
    lab_link(lab, 0, 2);
    lab_run(lab, 2000);
    struct peer *one = book_by_key(net_of(lab), &lab_host(lab, 1)->identity.key);
    struct peer *two = book_by_key(net_of(lab), &lab_host(lab, 2)->identity.key);
    one->score = 33;
    book_score(net_of(lab), two, NET_SCORED_WRONG_ID);
    book_score(net_of(lab), two, NET_SCORED_WRONG_ID);
    net_book_save(net_of(lab), 1000000, &book);
    cr_assert_leq(book.n, NET_BOOK_TEXT);
    lab_down(lab, 0);
    lab_up(lab, 0);
    net_book_load(net_of(lab), buf_view(&book), 1000000 + 60000);
    lab_run(lab, 5000);
    cr_assert(lab_linked(lab, 0, 1), "dialed though no address was given");
    cr_assert_not(lab_linked(lab, 0, 2));
    size_t n = net_peers(net_of(lab), p, 8);
    cr_assert_eq(n, 2);
    for (size_t i = 0; i < n; i++)
        if (key_eq(&p[i].id, &lab_host(lab, 1)->identity.key)) {
            cr_assert_eq(p[i].score, 33);
            cr_assert_not(p[i].pinned, "what the settings pin is for the settings to say");
        } else {
            cr_assert_eq(p[i].state, PEER_BANNED);
        }
    lab_run(lab, NET_BAN_MS - 60000);
    n = net_peers(net_of(lab), p, 8);
    for (size_t i = 0; i < n; i++)
        cr_assert_neq(p[i].state, PEER_BANNED, "the ban ends when it would have ended");
    buf_close(&book);
    lab_free(lab);
}

static const struct net_peer_info *row_at(const struct net_peer_info *p, size_t n, const char *addr)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(p[i].address, addr) == 0)
            return &p[i];
    return NULL;
}

/* `souk peer add` holds until `souk peer rm`: of a peer that was met, and of one that never answered. */
Test(book, what_the_operator_pins_is_pinned_after_a_restart)
{
    struct lab *lab = lab_new(2, 12);
    struct net_peer_info p[8];
    struct buf book = {0};
    char met[NET_ADDR_MAX];
    (void)snprintf(met, sizeof met, "%s", lab_host(lab, 1)->addr);
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_PIN, .addr = met});
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_PIN, .addr = "10.9.9.9:7000"});
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_PIN, .addr = "10.9.9.8:7000"});
    lab_run(lab, 2000);
    cr_assert(lab_linked(lab, 0, 1));
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_REMOVE, .addr = "10.9.9.8:7000"});
    for (int round = 0; round < 2; round++) {
        buf_reset(&book);
        net_book_save(net_of(lab), 1000000, &book);
        lab_down(lab, 0);
        lab_up(lab, 0);
        net_book_load(net_of(lab), buf_view(&book), 1000000);
        size_t dials = lab_host(lab, 0)->dials;
        lab_run(lab, 20000);
        size_t n = net_peers(net_of(lab), p, 8);
        cr_assert_eq(n, 2, "%zu rows, not two; one was removed by the operator", n);
        for (size_t i = 0; i < n; i++)
            cr_assert(p[i].pinned, "%s is not pinned", p[i].address);
        cr_assert_eq(row_at(p, n, met)->state, PEER_UP);
        cr_assert(row_at(p, n, "10.9.9.9:7000") != NULL);
        cr_assert_geq(lab_host(lab, 0)->dials, dials + 3, "one that does not answer is dialed for ever");
    }
    buf_close(&book);
    lab_free(lab);
}

Test(book, what_is_pinned_gives_way_to_nobody)
{
    struct lab *lab = lab_new(1, 14);
    char addr[NET_ADDR_MAX];
    for (unsigned i = 0; i < NET_PINNED_MAX; i++) {
        (void)snprintf(addr, sizeof addr, "203.0.%u.1:7000", i);
        lab_peer(lab, 0, addr);
        struct peer *p = book_by_addr(net_of(lab), addr);
        p->fails = 100; /* it cannot be reached, and is no friend */
        p->score = i % 2 == 0 ? -60 : 0;
        p->dial = 0;
    }
    for (uint64_t i = 0; i < 3 * NET_BOOK_MAX; i++) {
        struct key key = key_of(9000 + i);
        struct peer *p = book_claim(net_of(lab), NULL, &key);
        cr_assert(p != NULL);
        p->score = NET_SCORE_MAX; /* as good as can be */
    }
    cr_assert_eq(net_of(lab)->book_count, NET_BOOK_MAX);
    cr_assert_eq(book_pinned(net_of(lab)), NET_PINNED_MAX);
    lab_peer(lab, 0, "203.1.1.1:7000");
    cr_assert(book_by_addr(net_of(lab), "203.1.1.1:7000") == NULL, "more are not added, and that is said");
    cr_assert_not_null(strstr(buf_cstr(&lab_host(lab, 0)->log), "pinned peers are the most"));
    lab_free(lab);
}

Test(book, a_book_pins_no_more_than_an_operator_may)
{
    struct lab *lab = lab_new(1, 13);
    struct buf text = {0};
    buf_put_str(&text, "souk peers 1\n");
    for (unsigned i = 0; i < NET_PINNED_MAX + 20; i++)
        buf_printf(&text, "- 203.0.%u.1:7000 0 0 0 %064d 0 pinned\n", i, 0);
    net_book_load(net_of(lab), buf_view(&text), 0);
    cr_assert_eq(book_pinned(net_of(lab)), NET_PINNED_MAX);
    cr_assert_eq(net_of(lab)->book_count, NET_PINNED_MAX);
    buf_close(&text);
    lab_free(lab);
}

Test(book, a_book_of_text_comes_back_as_the_same_text)
{
    struct lab *lab = lab_new(1, 7);
    struct buf text = {0}, again = {0};
    char key[ID_HEX_SIZE];
    struct key k = key_of(1);
    key_hex(key, &k);
    buf_printf(&text, "souk peers 1\n%s [2001:db8::1]:7000 -20 0 1 %064d 1\n", key, 0);
    k = key_of(2);
    key_hex(key, &k);
    buf_printf(&text, "%s - -50 18446744073709551615 0 %064d 0\n", key, 7);
    k = key_of(3);
    key_hex(key, &k);
    buf_printf(&text, "%s 203.0.113.7:7000 4 0 1 %064d 0 pinned\n- 203.0.114.7:7000 0 0 0 %064d 0 pinned\n", key, 0, 0);
    net_book_load(net_of(lab), buf_view(&text), 5);
    net_book_save(net_of(lab), 5, &again);
    cr_assert(bytes_eq(buf_view(&text), buf_view(&again)), "%s", buf_cstr(&again));
    buf_close(&text);
    buf_close(&again);
    lab_free(lab);
}

/* Refusal to start after power loss (named outage). */
Test(book, a_damaged_book_is_read_as_far_as_it_is_whole)
{
    static const char *const damaged[] = {
        "", "\n", "souk peers 1", "souk peers 1\n\n\n", "souk peers 2\nx", "\0\0\0\0",
        "souk peers 1\nzz 1.2.3.4:5 0 0 1 0 0\n",
        "souk peers 1\n0000000000000000000000000000000000000000000000000000000000000001 1.2.3.4:5 101 0 1 "
        "0000000000000000000000000000000000000000000000000000000000000000 0\n",
        "souk peers 1\n0000000000000000000000000000000000000000000000000000000000000001 1.2.3.4:99999 1 0 1 "
        "0000000000000000000000000000000000000000000000000000000000000000 0\n",
        "souk peers 1\n0000000000000000000000000000000000000000000000000000000000000001 1.2.3.4:5 1 99999999999999999999 1 "
        "0000000000000000000000000000000000000000000000000000000000000000 0\n",
        "souk peers 1\n0000000000000000000000000000000000000000000000000000000000000001 1.2.3.4:5 1 0 1 "
        "0000000000000000000000000000000000000000000000000000000000000000 0 more\n",
        "souk peers 1\n- 1.2.3.4:5 0 0 0 0000000000000000000000000000000000000000000000000000000000000000 0\n",
        "souk peers 1\n- - 0 0 0 0000000000000000000000000000000000000000000000000000000000000000 0 pinned\n",
    };
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct lab *lab = lab_new(1, 8);
        net_book_load(net_of(lab), bytes_str(damaged[i]), 0);
        cr_assert_eq(net_peers(net_of(lab), NULL, 0), 0, "%zu", i);
        lab_free(lab);
    }
    struct lab *lab = lab_new(1, 9);
    struct buf text = {0};
    char key[ID_HEX_SIZE];
    struct key k = key_of(1);
    key_hex(key, &k);
    buf_printf(&text, "souk peers 1\n%s 1.2.3.4:5 1 0 1 %064d 0\n%s 5.6.7", key, 0, key);
    net_book_load(net_of(lab), buf_view(&text), 0);
    cr_assert_eq(net_peers(net_of(lab), NULL, 0), 1, "the whole line is used, the cut one is not");
    buf_reset(&text);
    buf_put_str(&text, "souk peers 1\n");
    for (uint64_t i = 0; i < 1000; i++) {
        k = key_of(100 + i);
        key_hex(key, &k);
        buf_printf(&text, "%s 203.%u.%u.1:7000 1 0 1 %064d 0\n", key, (unsigned)(i / 200), (unsigned)(i % 200), 0);
    }
    net_book_load(net_of(lab), buf_view(&text), 0);
    cr_assert_leq(passive(lab), NET_PASSIVE_MAX, "a book that was made longer by hand is bounded too");
    buf_close(&text);
    lab_free(lab);
}

/* ---- back-off --------------------------------------------------------------------------------------------------------------- */

Test(book, a_peer_without_a_free_link_is_tried_ever_more_rarely)
{
    struct lab *lab = lab_new(1, 10);
    struct net *n = net_of(lab);
    struct key key = key_of(1);
    struct peer *p = book_claim(n, NULL, &key);
    p->crowded = true;
    p->fails = 4;
    uint64_t last = 0;
    for (int i = 0; i < 8; i++) {
        book_failed(n, p);
        uint64_t wait = p->next_dial_ms - n->now_ms;
        cr_assert_leq(wait, NET_BACKOFF_FULL_MS * 6 / 5);
        cr_assert(wait > last || wait >= NET_BACKOFF_FULL_MS * 4 / 5);
        last = wait;
    }
    cr_assert_geq(last, NET_BACKOFF_FULL_MS * 4 / 5);
    p->crowded = false;
    book_failed(n, p);
    cr_assert_leq(p->next_dial_ms - n->now_ms, NET_BACKOFF_MAX_MS * 6 / 5, "one that is only away is tried as before");
    lab_free(lab);
}
