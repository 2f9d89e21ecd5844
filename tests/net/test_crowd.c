/*
 * Whoever takes all places from one network keeps nobody of another out: neither with sessions under ever new keys nor
 * with connections that never prove anything.
 */
#include "net/engine.h"
#include "tests/lib/mole.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define CROWD "10.66.6.6:50000"
#define OTHER "10.77.7.7:50000"

static size_t closed(struct mole *m, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        mole_read(&m[i]);
        n += m[i].closed;
    }
    return n;
}

Test(crowd, sessions_of_one_network_give_way_to_another)
{
    struct lab *lab = lab_new(1, 1);
    struct mole m[NET_LINKS_MAX], one_more, other;
    lab_raw_addr(lab, CROWD);
    for (size_t i = 0; i < NET_LINKS_MAX; i++)
        mole_open(&m[i], lab, 10 + i);
    cr_assert_eq(closed(m, NET_LINKS_MAX), 0);
    mole_open(&one_more, lab, 90);
    mole_run(&one_more, 100);
    cr_assert(one_more.closed, "one more of the same network is refused");
    cr_assert_eq(one_more.reason, REASON_FULL);
    lab_raw_addr(lab, OTHER);
    mole_open(&other, lab, 91);
    mole_run(&other, 100);
    cr_assert(!other.closed && other.conn.state == CONN_UP, "one of another network is let in");
    cr_assert_eq(closed(m, NET_LINKS_MAX), 1, "one of the crowd went");
    mole_close(&one_more);
    mole_close(&other);
    for (size_t i = 0; i < NET_LINKS_MAX; i++)
        mole_close(&m[i]);
    lab_free(lab);
}

static struct peer *row(struct lab *lab, const struct key *key)
{
    return book_by_key(lab_host(lab, 0)->net, key);
}

/* Whatever comes from many networks, and however bad the scores of those who are there. */
Test(crowd, own_dials_and_pinned_peers_give_way_to_nobody)
{
    enum { ACCEPTED = NET_LINKS_MAX - 1 };
    struct lab *lab = lab_new(2, 1);
    struct mole m[ACCEPTED], other[ACCEPTED], late;
    char from[ACCEPTED][32];
    lab_link(lab, 0, 1);
    lab_run(lab, 500);
    row(lab, &lab_host(lab, 1)->identity.key)->pinned = false; /* an own dial, and no more than that */
    lab_raw_addr(lab, "10.0.0.66:50000");                      /* of the same network */
    for (size_t i = 0; i < ACCEPTED; i++)
        mole_open(&m[i], lab, 10 + i);
    row(lab, &m[0].author.key)->pinned = true;
    row(lab, &m[0].author.key)->score = row(lab, &lab_host(lab, 1)->identity.key)->score = -60;
    cr_assert_eq(lab_up_links(lab, 0), NET_LINKS_MAX);
    for (size_t i = 0; i < ACCEPTED; i++) {
        (void)snprintf(from[i], sizeof from[i], "203.0.%u.9:50000", (unsigned)i);
        lab_raw_addr(lab, from[i]);
        mole_open(&other[i], lab, 100 + i);
        mole_run(&other[i], 10);
    }
    cr_assert_geq(closed(m, ACCEPTED), ACCEPTED - 2, "the crowd went");
    cr_assert(!m[0].closed, "the pinned one is there");
    cr_assert(lab_linked(lab, 0, 1), "the own dial is there");
    struct key key = {{0}};
    struct gen_author author;
    gen_author(&author, 200);
    key = author.key;
    book_claim(lab_host(lab, 0)->net, NULL, &key)->pinned = true;
    lab_raw_addr(lab, "203.0.5.9:50001");
    mole_open(&late, lab, 200);
    mole_run(&late, 10);
    cr_assert(!late.closed && late.conn.state == CONN_UP, "a pinned peer is let in where all places are taken");
    mole_close(&late);
    for (size_t i = 0; i < ACCEPTED; i++) {
        mole_close(&m[i]);
        mole_close(&other[i]);
    }
    lab_free(lab);
}

Test(crowd, handshakes_of_one_network_give_way_to_another)
{
    struct lab *lab = lab_new(2, 1);
    struct mole other;
    lab_raw_addr(lab, CROWD);
    for (size_t i = 0; i < 3 * NET_HALF_OPEN_MAX; i++)
        (void)lab_raw_open(lab, 0);
    lab_link(lab, 0, 1); /* an own dial */
    lab_raw_addr(lab, OTHER);
    mole_open(&other, lab, 91);
    mole_run(&other, 200);
    cr_assert(!other.closed && other.conn.state == CONN_UP, "one of another network is let in");
    cr_assert(lab_linked(lab, 0, 1), "own dials need no place among the accepted");
    mole_close(&other);
    lab_free(lab);
}
