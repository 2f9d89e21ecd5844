/*
 * Asking, storing, serving: holders that lie, stay silent or leave; a store that is slow, stuck or full; bodies; peers that
 * want everything again and again.
 */
#include "net/engine.h"
#include "tests/lib/mole.h"

#include <criterion/criterion.h>
#include <string.h>

static void push(struct mole *m, const struct id *id, const struct buf *bundle)
{
    mole_say(m, &(struct wire_message){.type = WIRE_DELTA, .id = *id, .body = buf_view(bundle)});
}

static void offer(struct mole *m, const struct item *item)
{
    struct buf b = {0};
    wire_put_item(&b, item);
    mole_say(m, &(struct wire_message){.type = WIRE_IHAVE, .count = 1, .items = b.p});
    buf_close(&b);
}

static int64_t score_of(struct lab *lab, const struct mole *m)
{
    struct net_peer_info p[64];
    for (size_t i = 0, n = net_peers(lab_host(lab, 0)->net, p, 64); i < n; i++)
        if (key_eq(&p[i].id, &m->author.key))
            return p[i].score;
    return INT64_MIN;
}

Test(fetch, a_good_delta_is_stored_once_and_earns_score)
{
    struct lab *lab = lab_new(1, 1);
    struct mole m;
    struct buf b = {0};
    mole_open(&m, lab, 40);
    struct item item = mole_bundle(&m, 1, &b);
    for (int i = 0; i < 3; i++)
        push(&m, &item.id, &b);
    mole_run(&m, 1);
    cr_assert(setindex_has(lab_host(lab, 0)->set, &item));
    cr_assert_eq(lab_host(lab, 0)->stored_calls, 1);
    cr_assert_eq(score_of(lab, &m), NET_SCORE_FRESH);
    struct net_stats s;
    net_stats(lab_host(lab, 0)->net, &s);
    cr_assert_eq(s.duplicates, 2);
    buf_close(&b);
    mole_close(&m);
    lab_free(lab);
}

Test(fetch, forged_deltas_cost_score_are_not_passed_on_and_end_in_a_ban)
{
    struct lab *lab = lab_new(2, 2);
    struct mole m;
    struct buf b = {0};
    lab_link(lab, 1, 0);
    lab_run(lab, 100);
    mole_open(&m, lab, 41);
    for (uint64_t i = 0; i < 4; i++) {
        buf_reset(&b);
        struct item item = mole_bundle(&m, i, &b);
        b.p[b.n / 2] ^= 1;
        push(&m, &item.id, &b);
        mole_run(&m, 1);
    }
    cr_assert(m.closed);
    cr_assert_eq(m.reason, REASON_BANNED);
    cr_assert_eq(setindex_count(lab_host(lab, 0)->set), 0);
    cr_assert_eq(lab_host(lab, 1)->stored_calls, 0);
    mole_close(&m);
    mole_open(&m, lab, 41);
    mole_run(&m, 1);
    cr_assert(m.closed, "still banned");
    mole_close(&m);
    lab_run(lab, NET_BAN_MS);
    mole_open(&m, lab, 41);
    cr_assert_eq(m.conn.state, CONN_UP, "the ban is over");
    mole_close(&m);
    buf_close(&b);
    lab_free(lab);
}

/* More of them were with the store when it was banned: it starts at -50 all the same, and the ban survives a restart. */
Test(fetch, what_is_judged_after_a_ban_costs_nothing_more)
{
    struct lab *lab = lab_new(1, 21);
    struct mole m;
    struct buf b = {0}, book = {0};
    mole_open(&m, lab, 52);
    lab_host(lab, 0)->store_delay_ms = 50;
    for (uint64_t i = 0; i < 12; i++) {
        buf_reset(&b);
        struct item item = mole_bundle(&m, i, &b);
        b.p[b.n / 2] ^= 1;
        push(&m, &item.id, &b);
    }
    mole_run(&m, 100);
    cr_assert(m.closed);
    cr_assert_eq(lab_host(lab, 0)->stored_calls, 12);
    cr_assert_eq(score_of(lab, &m), NET_SCORE_BAN / 2, "%d", (int)score_of(lab, &m));
    mole_close(&m);
    net_book_save(lab_host(lab, 0)->net, 1000000, &book);
    lab_down(lab, 0);
    lab_up(lab, 0);
    net_book_load(lab_host(lab, 0)->net, buf_view(&book), 1000000);
    mole_open(&m, lab, 52);
    mole_run(&m, 1);
    cr_assert(m.closed, "the ban is forgotten");
    mole_close(&m);
    buf_close(&b);
    buf_close(&book);
    lab_free(lab);
}

Test(fetch, a_delta_of_another_mesh_or_no_delta_closes_the_session)
{
    struct lab *lab = lab_new(1, 3);
    struct id other = gen_id(5);
    for (int kind = 0; kind < 2; kind++) {
        struct mole m;
        struct buf b = {0};
        mole_open(&m, lab, 42 + (uint64_t)kind);
        struct gen_op op = {.verb = VERB_DELETE, .name = "x"};
        struct gen_delta d = {.mesh = &other, .author = &m.author, .time = 5, .op_count = 1, .ops = &op};
        struct id id = {{0}};
        if (kind == 0)
            gen_bundle(&b, &d, &id);
        else
            buf_put_str(&b, "no bundle at all");
        push(&m, &id, &b);
        mole_run(&m, 1);
        cr_assert(m.closed);
        cr_assert_eq(m.reason, REASON_PROTOCOL);
        cr_assert_eq(lab_host(lab, 0)->stored_calls, 0);
        buf_close(&b);
        mole_close(&m);
    }
    lab_free(lab);
}

/* A hostile peer names an id and sends something else: the id must still come from an honest holder. */
Test(fetch, a_delta_under_anothers_id_does_not_keep_the_real_one_out)
{
    struct lab *lab = lab_new(1, 4);
    struct mole liar, honest;
    struct buf wrong = {0}, right = {0};
    mole_open(&liar, lab, 43);
    mole_open(&honest, lab, 44);
    lab_host(lab, 0)->store_delay_ms = 50;
    (void)mole_bundle(&liar, 1, &wrong);
    struct item item = mole_bundle(&honest, 2, &right);
    push(&liar, &item.id, &wrong);
    lab_run(lab, 1);
    push(&honest, &item.id, &right); /* arrives while the store judges the liar's: dropped as a duplicate */
    lab_run(lab, 60);
    cr_assert_not(setindex_has(lab_host(lab, 0)->set, &item));
    mole_run(&honest, 1);
    cr_assert_eq(honest.got[WIRE_IWANT], 1, "asked again");
    cr_assert(id_eq(&honest.last, &item.id));
    mole_say(&honest, &(struct wire_message){.type = WIRE_DELTA, .flags = WIRE_DELTA_ANSWER, .id = item.id, .body = buf_view(&right)});
    lab_run(lab, 60);
    cr_assert(setindex_has(lab_host(lab, 0)->set, &item));
    cr_assert_eq(score_of(lab, &liar), NET_SCORE_WRONG_ID);
    buf_close(&wrong);
    buf_close(&right);
    mole_close(&liar);
    mole_close(&honest);
    lab_free(lab);
}

Test(fetch, an_id_is_asked_of_the_next_holder_where_one_fails)
{
    for (int kind = 0; kind < 3; kind++) {
        struct lab *lab = lab_new(1, 5);
        struct mole bad, good;
        struct buf b = {0};
        mole_open(&bad, lab, 45);
        mole_open(&good, lab, 46);
        struct item item = mole_bundle(&good, 1, &b);
        offer(&bad, &item);
        mole_run(&bad, 1);
        cr_assert_eq(bad.got[WIRE_IWANT], 1);
        offer(&good, &item);
        mole_run(&good, 1);
        cr_assert_eq(good.got[WIRE_IWANT], 0, "one at a time");
        if (kind == 0)
            mole_say(&bad, &(struct wire_message){.type = WIRE_GONE, .count = 1, .ids = &item.id});
        if (kind == 1)
            lab_raw_close(lab, bad.raw);
        for (int i = 0; kind == 2 && i < 8; i++) { /* silence, but for pings */
            mole_run(&bad, 5000);
            mole_say(&bad, &(struct wire_message){.type = WIRE_PING});
            mole_say(&good, &(struct wire_message){.type = WIRE_PING});
        }
        mole_run(&good, 1);
        cr_assert_eq(good.got[WIRE_IWANT], 1, "kind %d", kind);
        cr_assert(id_eq(&good.last, &item.id));
        if (kind != 1)
            cr_assert_eq(score_of(lab, &bad), NET_SCORE_GONE);
        buf_close(&b);
        bad.closed = kind == 1 ? true : bad.closed;
        mole_close(&bad);
        mole_close(&good);
        lab_free(lab);
    }
}

Test(fetch, what_is_not_held_is_answered_with_gone)
{
    struct lab *lab = lab_new(1, 6);
    struct mole m;
    struct id ids[2] = {gen_id(1), gen_id(2)};
    mole_open(&m, lab, 47);
    mole_say(&m, &(struct wire_message){.type = WIRE_IWANT, .count = 2, .ids = ids});
    mole_run(&m, 1);
    cr_assert_eq(m.got_ids[WIRE_GONE], 2);
    struct item item = lab_write_quiet(lab, 0, 100);
    mole_say(&m, &(struct wire_message){.type = WIRE_IWANT, .count = 1, .ids = &item.id});
    mole_run(&m, 1);
    cr_assert_eq(m.got[WIRE_DELTA], 1);
    cr_assert(id_eq(&m.last, &item.id));
    mole_close(&m);
    lab_free(lab);
}

Test(fetch, asking_for_more_than_the_window_closes_the_session)
{
    struct lab *lab = lab_new(1, 7);
    struct mole m;
    struct id ids[WIRE_IDS_MAX];
    mole_open(&m, lab, 48);
    for (size_t i = 0; i < WIRE_IDS_MAX; i++)
        ids[i] = gen_id(i);
    struct buf all = {0};
    lab_raw_deaf(lab, m.raw);
    for (int i = 0; i < 3; i++)
        (void)conn_send(&m.conn, &(struct wire_message){.type = WIRE_IWANT, .count = WIRE_IDS_MAX, .ids = ids});
    lab_raw_send(lab, m.raw, buf_view(&m.conn.out));
    buf_reset(&m.conn.out);
    lab_run(lab, 1);
    cr_assert_eq(lab_up_links(lab, 0), 0);
    cr_assert_eq(score_of(lab, &m), NET_SCORE_PROTOCOL);
    buf_close(&all);
    mole_close(&m);
    lab_free(lab);
}

/* Marked as seen before it was committed, then never repaired (named outage). */
Test(fetch, nothing_counts_as_held_before_the_store_has_it)
{
    struct lab *lab = lab_new(2, 8);
    lab_link(lab, 1, 0);
    lab_run(lab, 100);
    lab_host(lab, 1)->store_stuck = true;
    struct item item = lab_write(lab, 0, 100);
    lab_run(lab, 100);
    cr_assert_eq(lab_host(lab, 1)->stored_calls, 1);
    lab_down(lab, 1); /* crash before the commit */
    lab_host(lab, 1)->store_stuck = false;
    lab_up(lab, 1);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 5000, lab_equal, NULL));
    cr_assert(setindex_has(lab_host(lab, 1)->set, &item));
    lab_free(lab);
}

Test(fetch, nothing_is_passed_on_before_the_store_has_it)
{
    struct lab *lab = lab_new(3, 9);
    lab_cut(lab, 0, 2);
    lab_link(lab, 1, 0);
    lab_link(lab, 1, 2);
    lab_run(lab, 100);
    lab_host(lab, 1)->store_delay_ms = 1000;
    (void)lab_write(lab, 0, 100);
    lab_run(lab, 900);
    cr_assert_eq(lab_host(lab, 2)->stored_calls, 0);
    lab_run(lab, 200);
    cr_assert_eq(lab_host(lab, 2)->stored_calls, 1);
    lab_free(lab);
}

Test(fetch, a_store_that_is_stuck_bounds_memory_and_loses_nothing)
{
    struct lab *lab = lab_new(2, 10);
    lab_link(lab, 1, 0);
    lab_run(lab, 100);
    lab_host(lab, 1)->store_stuck = true;
    for (size_t i = 0; i < 900; i++) {
        (void)lab_write(lab, 0, 60000); /* 54 MB in all, above the 16 MiB that may wait */
        if (i % 16 == 0)
            lab_run(lab, 1);
    }
    lab_run(lab, 1000);
    cr_assert_lt(lab_host(lab, 1)->stored_calls, NET_STORING_BYTES / 60000 + 1);
    cr_assert(lab_linked(lab, 1, 0));
    lab_host(lab, 1)->store_stuck = false;
    cr_assert(lab_until(lab, 60000, lab_equal, NULL));
    lab_free(lab);
}

Test(fetch, pushes_over_the_rate_become_ids_that_are_pulled)
{
    struct lab *lab = lab_new(2, 11);
    lab_link(lab, 1, 0);
    lab_run(lab, 100);
    for (size_t i = 0; i < NET_AUTHOR_BURST + 200; i++)
        (void)lab_write(lab, 0, 50);
    cr_assert(lab_until(lab, 1000, lab_equal, NULL));
    struct net_stats s;
    net_stats(lab_host(lab, 1)->net, &s);
    cr_assert_gt(s.deltas_received, NET_AUTHOR_BURST + 200, "some were dropped and asked for");
    cr_assert_eq(lab_host(lab, 1)->stored_calls, NET_AUTHOR_BURST + 200);
    struct net_peer_info p;
    (void)net_peers(lab_host(lab, 1)->net, &p, 1);
    cr_assert_eq(p.score, NET_SCORE_MAX, "valid deltas are never punished");
    lab_free(lab);
}

Test(fetch, a_full_disk_stops_pulling_and_goes_on_serving)
{
    struct lab *lab = lab_new(2, 12);
    for (size_t i = 0; i < 10; i++)
        (void)lab_write_quiet(lab, 0, 100);
    net_set_intake(lab_host(lab, 0)->net, NET_INTAKE_STOPPED);
    lab_link(lab, 1, 0);
    lab_run(lab, 5000);
    cr_assert_eq(setindex_count(lab_host(lab, 1)->set), 10, "served");
    struct item item = lab_write(lab, 1, 100);
    lab_run(lab, 30000);
    cr_assert_eq(lab_host(lab, 0)->stored_calls, 0);
    net_set_intake(lab_host(lab, 0)->net, NET_INTAKE_OPEN);
    cr_assert(lab_until(lab, 30000, lab_equal, NULL));
    cr_assert(setindex_has(lab_host(lab, 0)->set, &item));
    lab_free(lab);
}

Test(fetch, missing_bodies_are_asked_with_back_off_and_reach_the_store)
{
    struct lab *lab = lab_new(1, 13);
    struct mole m;
    struct buf b = {0};
    mole_open(&m, lab, 49);
    cr_assert_eq(lab_host(lab, 0)->wanted_missing, 1, "the store is asked what is missing when a peer comes up");
    struct item item = lab_write_quiet(lab, 0, 100);
    for (int i = 0; i < 10; i++) {
        net_want_body(lab_host(lab, 0)->net, &item, 0);
        mole_say(&m, &(struct wire_message){.type = WIRE_PING});
        mole_run(&m, 4000);
        if (m.got_ids[WIRE_IWANT] > m.got_ids[WIRE_GONE])
            mole_say(&m, &(struct wire_message){.type = WIRE_GONE, .count = 1, .ids = &item.id});
    }
    cr_assert(m.got_ids[WIRE_IWANT] >= 3 && m.got_ids[WIRE_IWANT] <= 7, "%zu in 40 s", m.got_ids[WIRE_IWANT]);
    cr_assert_geq(score_of(lab, &m), NET_SCORE_GONE, "nobody promised a body; one reconciliation went unanswered");
    size_t asked = m.got_ids[WIRE_IWANT], before = lab_host(lab, 0)->stored_calls;
    for (int i = 0; i < 100 && m.got_ids[WIRE_IWANT] == asked; i++) {
        net_want_body(lab_host(lab, 0)->net, &item, 0);
        mole_say(&m, &(struct wire_message){.type = WIRE_PING});
        mole_run(&m, 2000);
    }
    const struct lab_host *h = lab_host(lab, 0);
    buf_put_bytes(&b, buf_view(&h->bundles[0].bytes));
    mole_say(&m, &(struct wire_message){.type = WIRE_DELTA, .flags = WIRE_DELTA_ANSWER, .id = item.id, .body = buf_view(&b)});
    mole_run(&m, 1);
    cr_assert_eq(h->stored_calls, before + 1, "held, and yet given to the store for its bodies");
    buf_close(&b);
    mole_close(&m);
    lab_free(lab);
}

/* ---- being asked ---------------------------------------------------------------------------------------------------------- */

/* Asks for all of them so many times; returns how many were sent by then. */
static size_t asks(struct mole *m, const struct id *ids, size_t count, size_t times)
{
    for (size_t i = 0; i < times; i++)
        mole_say(m, &(struct wire_message){.type = WIRE_IWANT, .count = count, .ids = ids});
    mole_run(m, 0);
    mole_run(m, 0);
    return m->got[WIRE_DELTA];
}

/* PROTOCOL 3.7: Each delta once, as many bytes again, and 8 MiB; whoever wants more gets it slowly, and stays in session. */
Test(fetch, what_was_sent_is_sent_again_once_and_then_slowly)
{
    enum { COUNT = 20, SIZE = 500000, SECONDS = 20, BURST = NET_AGAIN_BURST / SIZE };
    struct lab *lab = lab_new(1, 19);
    struct mole m;
    struct id ids[COUNT];
    mole_open(&m, lab, 50);
    for (size_t i = 0; i < COUNT; i++)
        ids[i] = lab_write_quiet(lab, 0, SIZE).id;
    cr_assert_eq(asks(&m, ids, COUNT, 2), 2 * COUNT);
    size_t got = asks(&m, ids, COUNT, 4), slow = SECONDS * 1000 * NET_AGAIN_RATE / SIZE;
    cr_assert(got >= 2 * COUNT + BURST && got <= 2 * COUNT + BURST + 2, "%zu were sent at once", got);
    mole_run(&m, SECONDS * 1000);
    cr_assert(m.got[WIRE_DELTA] >= got + slow - 1 && m.got[WIRE_DELTA] <= got + slow + 1, "%zu in %d s", m.got[WIRE_DELTA] - got, SECONDS);
    cr_assert(!m.closed);
    mole_close(&m);
    lab_free(lab);
}

/* However many ids are between: what was sent is not remembered for ever, but counted. */
Test(fetch, twice_the_set_is_sent_and_the_rest_slowly)
{
    enum { COUNT = 20, SIZE = 500000, BURST = NET_AGAIN_BURST / SIZE };
    struct lab *lab = lab_new(1, 20);
    struct mole m;
    struct id ids[COUNT];
    mole_open(&m, lab, 51);
    for (size_t i = 0; i < COUNT; i++)
        ids[i] = lab_write_quiet(lab, 0, SIZE).id;
    struct link *l = book_by_key(lab_host(lab, 0)->net, &m.author.key)->link;
    l->served = 2 * COUNT + NET_SERVED_SLACK;
    l->again_free = NET_QUEUE_MAX; /* and however much went for the first time */
    size_t got = asks(&m, ids, COUNT, 1);
    cr_assert(got >= BURST && got <= BURST + 2, "%zu were sent at once", got);
    mole_close(&m);
    lab_free(lab);
}

/* ---- reconciliation as an attack ------------------------------------------------------------------------------------------ */

Test(fetch, malformed_reconciliation_closes_the_session)
{
    struct lab *lab = lab_new(1, 14);
    static const char *frames[] = {"\x61\x00\x00\x00", "\x73", "\x73\x80\x01", "\x73\x01\x05\x01\x01", "garbage"};
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        struct mole m;
        mole_open(&m, lab, 300 + i);
        mole_say(&m, &(struct wire_message){.type = WIRE_RECON, .session = 1, .body = bytes_str(frames[i])});
        mole_run(&m, 1);
        cr_assert(m.closed, "frame %zu", i);
        cr_assert_eq(m.reason, REASON_PROTOCOL);
        mole_close(&m);
    }
    lab_free(lab);
}

Test(fetch, too_many_reconciliation_frames_close_the_session)
{
    struct lab *lab = lab_new(1, 15);
    struct mole m;
    mole_open(&m, lab, 310);
    for (uint64_t i = 0; i < NET_RECON_BURST + 10; i++)
        mole_say(&m, &(struct wire_message){.type = WIRE_RECON, .session = i, .body = bytes_of("\x73\x01", 2)});
    mole_run(&m, 1);
    cr_assert(m.closed);
    cr_assert_eq(m.reason, REASON_LIMIT);
    mole_close(&m);
    lab_free(lab);
}

/* Stateful repair that wedges (named outage): a peer that never answers delays itself alone, and is tried again. */
Test(fetch, reconciliation_that_is_not_answered_is_given_up_and_tried_again)
{
    struct lab *lab = lab_new(2, 18);
    struct mole m;
    mole_open(&m, lab, 313);
    (void)lab_write_quiet(lab, 0, 10);
    for (int i = 0; i < 40; i++) {
        mole_say(&m, &(struct wire_message){.type = WIRE_PING});
        mole_run(&m, 4000);
    }
    cr_assert(m.got[WIRE_RECON] >= 3 && m.got[WIRE_RECON] <= 6, "%zu in 160 s", m.got[WIRE_RECON]);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 2000, lab_equal, NULL));
    mole_close(&m);
    lab_free(lab);
}

Test(fetch, replies_without_a_session_change_nothing)
{
    struct lab *lab = lab_new(1, 16);
    struct mole m;
    mole_open(&m, lab, 311);
    for (uint64_t i = 0; i < 50; i++)
        mole_say(&m, &(struct wire_message){.type = WIRE_RECON, .session = i, .reply = true, .body = bytes_str("junk")});
    mole_run(&m, 1);
    cr_assert_not(m.closed);
    mole_close(&m);
    lab_free(lab);
}

Test(fetch, offers_beyond_all_bounds_are_dropped)
{
    struct lab *lab = lab_new(1, 17);
    struct mole m;
    struct buf items = {0};
    mole_open(&m, lab, 312);
    for (uint64_t k = 0; k < 40; k++) {
        buf_reset(&items);
        for (uint64_t i = 0; i < WIRE_IDS_MAX; i++)
            wire_put_item(&items, &(struct item){.time = 1000 + i, .id = gen_id(k * 10000 + i)});
        mole_say(&m, &(struct wire_message){.type = WIRE_IHAVE, .count = WIRE_IDS_MAX, .items = items.p});
        mole_run(&m, 0); /* the engine asserts its own bounds after every event */
    }
    cr_assert_leq(m.got_ids[WIRE_IWANT], NET_WINDOW_IDS);
    cr_assert_not(m.closed);
    buf_close(&items);
    mole_close(&m);
    lab_free(lab);
}
