/*
 * Calls over sessions: small and large, given up from either side in the middle, over the bounds, cut off; and peers that
 * send parts as they like.
 */
#include "net/calls.h"
#include "tests/lib/mole.h"

#include <criterion/criterion.h>
#include <string.h>

static struct lab *two(void)
{
    struct lab *lab = lab_new(2, 77);
    lab_link(lab, 0, 1);
    lab_run(lab, 500);
    cr_assert(lab_linked(lab, 0, 1));
    return lab;
}

static struct buf filled(size_t n, uint8_t with)
{
    struct buf b = {0};
    memset(buf_grow(&b, n), with, n);
    b.n = n;
    for (size_t i = 0; i < n; i += 4096)
        b.p[i] = (uint8_t)(i >> 12);
    return b;
}

static void ask(struct lab *lab, uint64_t call, struct bytes bytes)
{
    lab_event(lab, 0, (struct net_event){
                          .kind = NET_CALL, .peer = lab_host(lab, 1)->identity.key, .call = call, .bytes = bytes});
}

static void answer(struct lab *lab, uint64_t call, struct bytes bytes, bool final)
{
    lab_event(lab, 1, (struct net_event){.kind = NET_ANSWER, .peer = lab_host(lab, 0)->identity.key, .call = call,
                                         .bytes = bytes, .final = final});
}

static void saw(struct lab *lab, size_t host, const char *want)
{
    struct buf *calls = &lab_host(lab, host)->calls;
    cr_assert_str_eq(buf_cstr(calls), want, "host %zu saw\n%s", host, buf_cstr(calls));
    buf_reset(calls);
}

Test(calls, a_question_and_its_answers)
{
    struct lab *lab = two();
    ask(lab, 7, bytes_str("how much?"));
    lab_run(lab, 200);
    saw(lab, 1, "called 7 9\n");
    cr_assert(bytes_eq(buf_view(&lab_host(lab, 1)->call_bytes), bytes_str("how much?")));
    answer(lab, 7, bytes_str("well"), false);
    answer(lab, 7, bytes_str("three"), true);
    lab_run(lab, 200);
    saw(lab, 0, "answered 7 4\nanswered 7 5 final\n");
    answer(lab, 7, bytes_str("four"), true); /* too late */
    lab_run(lab, 200);
    saw(lab, 0, "");
    lab_free(lab);
}

Test(calls, nothing_may_be_said)
{
    struct lab *lab = two();
    ask(lab, 1, bytes_of("", 0));
    lab_run(lab, 100);
    answer(lab, 1, bytes_of("", 0), true);
    lab_run(lab, 100);
    saw(lab, 1, "called 1 0\n");
    saw(lab, 0, "answered 1 0 final\n");
    lab_free(lab);
}

Test(calls, the_longest_question_and_answer_arrive_whole)
{
    struct lab *lab = two();
    struct buf q = filled(NET_CALL_REQUEST_MAX, 'q'), a = filled(NET_CALL_ANSWER_MAX, 'a');
    ask(lab, 1, buf_view(&q));
    ask(lab, 2, bytes_str("after it"));
    lab_run(lab, 2000);
    saw(lab, 1, "called 1 8454144\ncalled 2 8\n");
    answer(lab, 2, bytes_str("x"), true);
    answer(lab, 1, buf_view(&a), true);
    lab_run(lab, 2000);
    saw(lab, 0, "answered 2 1 final\nanswered 1 1114112 final\n");
    cr_assert(bytes_eq(buf_view(&lab_host(lab, 0)->call_bytes), buf_view(&a)));
    buf_close(&q);
    buf_close(&a);
    lab_free(lab);
}

Test(calls, a_node_without_a_session_is_not_asked)
{
    struct lab *lab = lab_new(2, 78);
    ask(lab, 5, bytes_str("x"));
    lab_run(lab, 100);
    saw(lab, 0, "lost 5 0 unsent\n");
    lab_free(lab);
}

Test(calls, refused)
{
    struct lab *lab = two();
    ask(lab, 5, bytes_str("x"));
    lab_run(lab, 100);
    lab_event(lab, 1, (struct net_event){.kind = NET_REFUSE, .peer = lab_host(lab, 0)->identity.key, .call = 5});
    lab_run(lab, 100);
    saw(lab, 1, "called 5 1\n");
    saw(lab, 0, "lost 5 0 unsent\n");
    lab_free(lab);
}

Test(calls, the_asker_gives_up)
{
    struct lab *lab = two();
    ask(lab, 5, bytes_str("x"));
    lab_run(lab, 100);
    lab_event(lab, 0, (struct net_event){.kind = NET_CALL_DROP, .call = 5});
    lab_run(lab, 100);
    saw(lab, 1, "called 5 1\nleft 5 0\n");
    answer(lab, 5, bytes_str("y"), true);
    lab_run(lab, 100);
    saw(lab, 0, "");
    lab_free(lab);
}

/* One side gives up while the other's message is half way: the next message must still be understood. */
Test(calls, given_up_in_the_middle_of_a_message)
{
    struct lab *lab = two();
    struct buf q = filled(4u << 20, 'q'), a = filled(1u << 20, 'a');
    lab_latency(lab, 20);
    lab_stall(lab, 0, 1, true);
    ask(lab, 1, buf_view(&q));
    lab_run(lab, 100);
    lab_event(lab, 0, (struct net_event){.kind = NET_CALL_DROP, .call = 1});
    ask(lab, 2, bytes_str("two"));
    lab_stall(lab, 0, 1, false);
    lab_run(lab, 1000);
    saw(lab, 1, "called 2 3\n");
    lab_stall(lab, 1, 0, true);
    answer(lab, 2, buf_view(&a), false);
    answer(lab, 2, bytes_str("never"), true);
    lab_event(lab, 0, (struct net_event){.kind = NET_CALL_DROP, .call = 2});
    ask(lab, 3, bytes_str("three"));
    lab_run(lab, 200);
    lab_stall(lab, 1, 0, false);
    lab_run(lab, 1000);
    answer(lab, 3, bytes_str("3!"), true);
    lab_run(lab, 1000);
    cr_assert(strstr(buf_cstr(&lab_host(lab, 1)->calls), "called 3 5\n") != NULL);
    saw(lab, 0, "answered 3 2 final\n");
    cr_assert(lab_linked(lab, 0, 1));
    buf_close(&q);
    buf_close(&a);
    lab_free(lab);
}

Test(calls, a_session_that_ends_ends_its_calls)
{
    struct lab *lab = two();
    struct buf q = filled(4u << 20, 'q');
    ask(lab, 1, bytes_str("arrived"));
    lab_run(lab, 200);
    lab_stall(lab, 0, 1, true);
    ask(lab, 2, buf_view(&q));
    lab_run(lab, 200);
    lab_cut(lab, 0, 1);
    lab_run(lab, 500);
    saw(lab, 0, "lost 1 0\nlost 2 0 unsent\n");
    saw(lab, 1, "called 1 7\nleft 1 0\n");
    buf_close(&q);
    lab_free(lab);
}

Test(calls, at_most_so_many_at_a_time)
{
    struct lab *lab = two();
    for (uint64_t i = 1; i <= NET_CALLS_MAX; i++)
        ask(lab, i, bytes_str("x"));
    lab_run(lab, 200);
    ask(lab, 1000, bytes_str("x"));
    saw(lab, 0, "lost 1000 0 unsent\n");
    answer(lab, 1, bytes_str("y"), true);
    lab_run(lab, 200);
    ask(lab, 1001, bytes_str("x"));
    lab_run(lab, 200);
    saw(lab, 0, "answered 1 1 final\n");
    cr_assert(strstr(buf_cstr(&lab_host(lab, 1)->calls), "called 1001 1\n") != NULL);
    lab_free(lab);
}

/* A reader that takes nothing: what waits for it is bounded, and other traffic is not held up behind it. */
Test(calls, what_waits_for_a_slow_peer_is_bounded)
{
    struct lab *lab = two();
    struct buf q = filled(8u << 20, 'q');
    lab_stall(lab, 0, 1, true);
    size_t lost = 0;
    for (uint64_t i = 1; i <= 12; i++)
        ask(lab, i, buf_view(&q));
    for (const char *p = buf_cstr(&lab_host(lab, 0)->calls); (p = strstr(p, "lost")) != NULL; p++)
        lost++;
    cr_assert_eq(lost, 4, "%zu", lost);
    struct net_peer_info p[4];
    cr_assert_geq(net_peers(lab_host(lab, 0)->net, p, 4), 1);
    cr_assert_lt(p[0].queued_bytes, NET_QUEUE_SERVE);
    buf_close(&q);
    lab_free(lab);
}

/* What a link is kept open for: a question that waits, an answer that is leaving; not one that is read too slowly. */
Test(calls, an_answer_that_is_not_read_does_not_count_for_ever)
{
    struct lab *lab = two();
    struct buf long_one = filled(1u << 20, 'a');
    const struct net *n = lab_host(lab, 1)->net;
    const struct link *l = book_by_key(lab_host(lab, 1)->net, &lab_host(lab, 0)->identity.key)->link;
    lab_run(lab, NET_MESSAGE_MS);
    cr_assert(!calls_under_way(n, l));
    ask(lab, 1, bytes_str("x"));
    lab_run(lab, 10);
    cr_assert(calls_under_way(n, l), "a question waits");
    lab_stall(lab, 1, 0, true);
    answer(lab, 1, buf_view(&long_one), true);
    lab_run(lab, 10);
    cr_assert(l->calls->out != NULL && calls_under_way(n, l), "its answer is leaving");
    l->calls->out->since_ms -= NET_MESSAGE_MS;
    cr_assert(!calls_under_way(n, l), "it has been leaving for two minutes");
    lab_stall(lab, 1, 0, false);
    lab_run(lab, 10);
    cr_assert(l->calls->out == NULL);
    buf_close(&long_one);
    lab_free(lab);
}

/* A peer that keeps its session up and never answers: the asker is told after the longest time that a run may take, that it may
 * have been acted on; one that was asked later is given up later. */
Test(calls, a_peer_that_never_answers_is_given_up)
{
    struct lab *lab = two();
    ask(lab, 1, bytes_str("x"));
    lab_run(lab, 60000);
    ask(lab, 2, bytes_str("y"));
    lab_run(lab, 1000);
    ask(lab, 3, bytes_str("z"));
    lab_run(lab, 1000);
    answer(lab, 2, bytes_str("a part"), false);
    answer(lab, 3, bytes_str("in time"), true);
    lab_run(lab, NET_CALL_MS - 63000);
    saw(lab, 0, "answered 2 6\nanswered 3 7 final\n");
    saw(lab, 1, "called 1 1\ncalled 2 1\ncalled 3 1\n");
    lab_run(lab, 2000);
    cr_assert(lab_linked(lab, 0, 1), "the session ended first");
    saw(lab, 0, "lost 1 0 late\n");
    saw(lab, 1, "left 1 0\n");
    lab_run(lab, 60000);
    saw(lab, 0, "lost 2 0 late\n");
    saw(lab, 1, "left 2 0\n");
    answer(lab, 1, bytes_str("too late"), true);
    ask(lab, 4, bytes_str("again"));
    lab_run(lab, 1000);
    saw(lab, 0, "");
    saw(lab, 1, "called 4 5\n");
    lab_free(lab);
}

/* ---- a peer that says what it likes ------------------------------------------------------------------------------ */

static void say(struct mole *m, uint64_t call, uint8_t flags, const char *text)
{
    struct buf b = {0};
    buf_put_be(&b, call, 8);
    buf_put_u8(&b, flags);
    buf_put_str(&b, text);
    mole_say(m, &(struct wire_message){.type = WIRE_CALL, .body = buf_view(&b)});
    buf_close(&b);
}

static void closed_for(enum wire_reason reason, size_t count, const uint8_t *flags, const uint64_t *calls)
{
    struct lab *lab = lab_new(1, 3);
    struct mole m;
    mole_open(&m, lab, 40);
    for (size_t i = 0; i < count; i++)
        say(&m, calls[i], flags[i], "x");
    mole_run(&m, 100);
    cr_assert(m.closed);
    cr_assert_eq(m.reason, reason);
    mole_close(&m);
    lab_free(lab);
}

Test(calls, parts_out_of_order_end_the_session)
{
    closed_for(REASON_PROTOCOL, 1, (uint8_t[]){4}, (uint64_t[]){1});          /* a last part of nothing   */
    closed_for(REASON_PROTOCOL, 2, (uint8_t[]){2, 2}, (uint64_t[]){1, 2});    /* two at once              */
    closed_for(REASON_PROTOCOL, 2, (uint8_t[]){2, 4}, (uint64_t[]){1, 2});    /* a part of another        */
    closed_for(REASON_PROTOCOL, 2, (uint8_t[]){2, 5}, (uint64_t[]){1, 1});    /* of the other direction   */
    closed_for(REASON_PROTOCOL, 2, (uint8_t[]){6, 6}, (uint64_t[]){1, 1});    /* a number used twice      */
    closed_for(REASON_PROTOCOL, 1, (uint8_t[]){32 | 6}, (uint64_t[]){1});     /* an unknown flag          */
}

Test(calls, a_message_that_does_not_end_is_cut)
{
    struct lab *lab = lab_new(1, 4);
    struct mole m;
    struct buf part = filled(60000, 'x');
    buf_put_u8(&part, 0);
    mole_open(&m, lab, 40);
    say(&m, 1, 2, "");
    for (size_t i = 0; i < NET_CALL_REQUEST_MAX / 60000 + 2 && !m.closed; i++) {
        say(&m, 1, 0, (const char *)(memset(part.p, 'x', 60000), part.p));
        mole_run(&m, 1);
    }
    mole_run(&m, 100);
    cr_assert(m.closed);
    cr_assert_eq(m.reason, REASON_LIMIT);
    buf_close(&part);
    mole_close(&m);
    lab_free(lab);
}

Test(calls, answers_that_nobody_asked_for_change_nothing)
{
    struct lab *lab = lab_new(1, 5);
    struct mole m;
    mole_open(&m, lab, 40);
    for (uint64_t i = 0; i < 300; i++)
        say(&m, i, 1 | 2 | 4 | 8, "x");
    say(&m, 5, 16, "");
    say(&m, 5, 17, "");
    mole_run(&m, 100);
    cr_assert(!m.closed);
    saw(lab, 0, "");
    mole_close(&m);
    lab_free(lab);
}

static size_t called(struct lab *lab)
{
    struct buf *calls = &lab_host(lab, 0)->calls;
    size_t n = 0;
    for (const char *p = buf_cstr(calls); (p = strstr(p, "called")) != NULL; p++)
        n++;
    buf_reset(calls);
    return n;
}

/* `count` questions at once, each given up at once; returns how many were taken. */
static size_t begins(struct lab *lab, struct mole *m, uint64_t from, uint64_t count)
{
    for (uint64_t i = from; i < from + count; i++) {
        say(m, i, 6, "x");
        say(m, i, 16, "");
    }
    mole_run(m, 0);
    return called(lab);
}

Test(calls, too_many_at_a_time_are_refused_without_ending_the_session)
{
    struct lab *lab = lab_new(1, 6);
    struct mole m;
    mole_open(&m, lab, 40);
    for (uint64_t i = 0; i < 1000; i++)
        say(&m, i, 6, "x");
    mole_run(&m, 100);
    cr_assert(!m.closed);
    cr_assert_eq(called(lab), NET_CALLS_MAX);
    cr_assert_eq(m.got[WIRE_CALL], 1000 - NET_CALLS_MAX);
    mole_close(&m);
    lab_free(lab);
}

Test(calls, too_many_a_second_are_refused_without_ending_the_session)
{
    struct lab *lab = lab_new(1, 6);
    struct mole m;
    mole_open(&m, lab, 40);
    cr_assert_eq(begins(lab, &m, 0, NET_CALL_BURST + 500), NET_CALL_BURST);
    cr_assert_eq(m.got[WIRE_CALL], 500);
    mole_run(&m, 500);
    cr_assert_eq(begins(lab, &m, 10000, NET_CALL_RATE), NET_CALL_RATE / 2);
    cr_assert(!m.closed);
    mole_close(&m);
    lab_free(lab);
}
