/*
 * Sessions made for calls: where the node is, where it is not, where it is another one; how many, how long they are kept,
 * and that one in use is not let go.
 */
#include "net/engine.h"
#include "tests/lib/mole.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void reach(struct lab *lab, size_t to, uint64_t call, const char *addr)
{
    lab_event(lab, 0, (struct net_event){
                          .kind = NET_REACH, .peer = lab_host(lab, to)->identity.key, .call = call, .addr = addr});
}

static void saw(struct lab *lab, size_t host, const char *want)
{
    struct buf *calls = &lab_host(lab, host)->calls;
    cr_assert_str_eq(buf_cstr(calls), want, "host %zu saw\n%s", host, buf_cstr(calls));
    buf_reset(calls);
}

/* At its own address, and what came of it within `ms`. */
static void reach_sees(struct lab *lab, size_t to, uint64_t call, uint64_t ms, const char *want)
{
    reach(lab, to, call, lab_host(lab, to)->addr);
    lab_run(lab, ms);
    saw(lab, 0, want);
}

Test(reach, a_session_is_made_and_asked_over)
{
    struct lab *lab = lab_new(2, 1);
    reach_sees(lab, 1, 5, 100, "reached 5 0\n");
    lab_event(lab, 0, (struct net_event){.kind = NET_CALL, .peer = lab_host(lab, 1)->identity.key, .call = 5,
                                         .bytes = bytes_str("how much?")});
    lab_run(lab, 100);
    saw(lab, 1, "called 5 9\n");
    reach(lab, 1, 6, NULL); /* there is one */
    lab_run(lab, 0);
    saw(lab, 0, "reached 6 0\n");
    cr_assert_eq(lab_host(lab, 0)->dials, 1);
    lab_free(lab);
}

Test(reach, several_wait_for_one_dial)
{
    struct lab *lab = lab_new(2, 2);
    lab_latency(lab, 30);
    for (uint64_t call = 1; call <= 3; call++)
        reach(lab, 1, call, lab_host(lab, 1)->addr);
    lab_event(lab, 0, (struct net_event){.kind = NET_CALL_DROP, .call = 2});
    lab_run(lab, 1000);
    saw(lab, 0, "reached 1 0\nreached 3 0\n");
    cr_assert_eq(lab_host(lab, 0)->dials, 1);
    lab_free(lab);
}

Test(reach, no_address_no_listener_no_other_key)
{
    struct lab *lab = lab_new(3, 3);
    reach(lab, 1, 1, NULL);
    reach(lab, 1, 2, "no address");
    reach(lab, 1, 3, "127.0.0.1:7000"); /* this node is not on a loopback address */
    reach(lab, 0, 4, lab_host(lab, 0)->addr);
    lab_run(lab, 100);
    saw(lab, 0, "lost 1 0 unsent\nlost 2 0 unsent\nlost 3 0 unsent\nlost 4 0 unsent\n");
    cr_assert_eq(lab_host(lab, 0)->dials, 0);
    reach(lab, 1, 5, lab_host(lab, 2)->addr); /* somebody else lives there */
    lab_run(lab, 1000);
    saw(lab, 0, "lost 5 0 unsent\n");
    cr_assert(!lab_linked(lab, 0, 2) && !lab_linked(lab, 0, 1));
    lab_host(lab, 1)->listening = false;
    reach_sees(lab, 1, 6, 1000, "lost 6 0 unsent\n");
    lab_free(lab);
}

/* One dial a second at most, but whatever the back-off says. */
Test(reach, a_dial_that_failed_is_tried_again_after_a_second)
{
    struct lab *lab = lab_new(2, 4);
    lab_host(lab, 1)->listening = false;
    for (uint64_t call = 1; call <= 6; call++) {
        char lost[32];
        (void)snprintf(lost, sizeof lost, "lost %u 0 unsent\n", (unsigned)call);
        reach_sees(lab, 1, call, 2, lost);
    }
    cr_assert_eq(lab_host(lab, 0)->dials, 1);
    lab_run(lab, 60000); /* the book dials as well: its back-off is long by now */
    lab_host(lab, 1)->listening = true;
    reach_sees(lab, 1, 7, 200, "reached 7 0\n");
    lab_free(lab);
}

Test(reach, a_node_that_says_nothing_is_given_up)
{
    struct lab *lab = lab_new(2, 5);
    lab_stall(lab, 1, 0, true);
    reach_sees(lab, 1, 1, NET_REACH_MS - 10, "");
    lab_run(lab, 20);
    saw(lab, 0, "lost 1 0 unsent\n");
    lab_free(lab);
}

Test(reach, banned_and_removed_nodes_are_not_dialed)
{
    struct lab *lab = lab_new(3, 6);
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_BAN, .peer = lab_host(lab, 1)->identity.key});
    reach(lab, 1, 1, lab_host(lab, 1)->addr);
    lab_link(lab, 0, 2);
    lab_run(lab, 500);
    cr_assert(lab_linked(lab, 0, 2));
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_EXPEL, .peer = lab_host(lab, 2)->identity.key});
    lab_run(lab, 5000);
    reach(lab, 2, 2, lab_host(lab, 2)->addr);
    lab_run(lab, 100);
    saw(lab, 0, "lost 1 0 unsent\nlost 2 0 unsent\n");
    cr_assert_eq(lab_host(lab, 0)->dials, 1);
    lab_free(lab);
}

Test(reach, so_many_may_wait)
{
    struct lab *lab = lab_new(2, 7);
    lab_stall(lab, 1, 0, true);
    for (uint64_t call = 1; call <= NET_REACHES_MAX + 1; call++)
        reach(lab, 1, call, lab_host(lab, 1)->addr);
    lab_run(lab, 10);
    saw(lab, 0, "lost 65 0 unsent\n");
    lab_free(lab);
}

/* ---- in an overlay ------------------------------------------------------------------------------------------------------ */

#define MOLES 14 /* links that make an overlay of host 0; the other hosts are reached */

struct wide {
    struct lab *lab;
    size_t hosts;
    struct mole mole[MOLES];
};

static void wide_open(struct wide *w, size_t hosts, uint64_t seed)
{
    w->lab = lab_new(hosts, seed);
    w->hosts = hosts;
    for (size_t i = 0; i < MOLES; i++) {
        mole_open(&w->mole[i], w->lab, 300 + i);
        w->mole[i].answers = true;
    }
    lab_host(w->lab, 0)->listening = false; /* nobody makes the link from the other side */
}

static void wide_close(struct wide *w)
{
    for (size_t i = 0; i < MOLES; i++)
        mole_close(&w->mole[i]);
    lab_free(w->lab);
}

static void wide_run(struct wide *w, uint64_t ms)
{
    for (uint64_t step; ms > 0; ms -= step) {
        step = ms < 500 ? ms : 500;
        lab_run(w->lab, step);
        for (size_t i = 0; i < MOLES; i++)
            mole_read(&w->mole[i]);
    }
}

static size_t reached(const struct wide *w)
{
    size_t count = 0;
    for (size_t i = 1; i < w->hosts; i++)
        count += lab_linked(w->lab, 0, i);
    return count;
}

/* The overlay may dial it again afterwards, as any other. */
static bool ended(const struct wide *w, size_t host)
{
    char text[96];
    (void)snprintf(text, sizeof text, "%s ended", lab_host(w->lab, host)->addr);
    return strstr(buf_cstr(&lab_host(w->lab, 0)->log), text) != NULL;
}

/* Host 0 has reached host 1, over a link that it does not need else. */
static void wide_reached(struct wide *w, uint64_t seed)
{
    wide_open(w, 2, seed);
    reach(w->lab, 1, 1, lab_host(w->lab, 1)->addr);
    wide_run(w, 100);
    saw(w->lab, 0, "reached 1 0\n");
}

Test(reach, a_link_that_is_not_used_any_more_is_let_go)
{
    struct wide w;
    wide_reached(&w, 8);
    lab_event(w.lab, 0, (struct net_event){.kind = NET_CALL, .peer = lab_host(w.lab, 1)->identity.key, .call = 1,
                                           .bytes = bytes_str("slow")});
    wide_run(&w, 3 * NET_SETTLED_MS); /* the answer takes its time */
    cr_assert(!ended(&w, 1), "a link in use was closed");
    lab_event(w.lab, 1, (struct net_event){.kind = NET_ANSWER, .peer = lab_host(w.lab, 0)->identity.key, .call = 1,
                                           .bytes = bytes_str("done"), .final = true});
    wide_run(&w, NET_SETTLED_MS - 5000);
    cr_assert(!ended(&w, 1), "the next call would have to dial again");
    saw(w.lab, 0, "answered 1 4 final\n");
    wide_run(&w, 10000);
    cr_assert(ended(&w, 1), "it is still there");
    wide_close(&w);
}

/* What the other side asks does not keep a link that was dialed to it: it would take the places of others so. */
Test(reach, a_link_is_let_go_however_much_the_other_side_asks)
{
    struct wide w;
    wide_reached(&w, 11);
    for (uint64_t call = 1; call <= 5 && !ended(&w, 1); call++) {
        lab_event(w.lab, 1, (struct net_event){.kind = NET_CALL, .peer = lab_host(w.lab, 0)->identity.key, .call = call,
                                               .bytes = bytes_str("x")});
        wide_run(&w, NET_SETTLED_MS / 6);
        lab_event(w.lab, 0, (struct net_event){.kind = NET_REFUSE, .peer = lab_host(w.lab, 1)->identity.key, .call = call});
        wide_run(&w, NET_SETTLED_MS / 6);
    }
    cr_assert(ended(&w, 1), "it is still there");
    wide_close(&w);
}

/* The one that has been idle for longest gives way; those in use do not. */
Test(reach, so_many_links_are_made)
{
    struct wide w;
    wide_open(&w, NET_REACH_LINKS + 3, 9);
    for (size_t i = 1; i <= NET_REACH_LINKS; i++) {
        reach(w.lab, i, i, lab_host(w.lab, i)->addr);
        wide_run(&w, 200);
    }
    cr_assert_eq(reached(&w), NET_REACH_LINKS);
    for (size_t i = 1; i <= NET_REACH_LINKS; i++)
        if (i != 3)
            lab_event(w.lab, 0, (struct net_event){.kind = NET_CALL, .peer = lab_host(w.lab, i)->identity.key, .call = i,
                                                   .bytes = bytes_str("x")});
    wide_run(&w, 100);
    buf_reset(&lab_host(w.lab, 0)->calls);
    reach(w.lab, NET_REACH_LINKS + 1, 100, lab_host(w.lab, NET_REACH_LINKS + 1)->addr);
    wide_run(&w, 200);
    saw(w.lab, 0, "reached 100 0\n");
    cr_assert(!lab_linked(w.lab, 0, 3));
    cr_assert_eq(reached(&w), NET_REACH_LINKS);
    lab_event(w.lab, 0, (struct net_event){.kind = NET_CALL, .call = 100, .bytes = bytes_str("x"),
                                           .peer = lab_host(w.lab, NET_REACH_LINKS + 1)->identity.key});
    reach(w.lab, NET_REACH_LINKS + 2, 101, lab_host(w.lab, NET_REACH_LINKS + 2)->addr);
    wide_run(&w, 200);
    saw(w.lab, 0, "lost 101 0 unsent\n");
    cr_assert_eq(reached(&w), NET_REACH_LINKS);
    wide_close(&w);
}

static void say(struct mole *m, uint64_t call, uint8_t flags)
{
    struct buf body = {0};
    buf_put_be(&body, call, 8);
    buf_put_u8(&body, flags);
    buf_put_str(&body, "slow");
    mole_say(m, &(struct wire_message){.type = WIRE_CALL, .body = buf_view(&body)});
    buf_close(&body);
}

/* The side that is asked has too many links: the one over which it is asked stays, whoever has the lowest score. */
Test(reach, a_link_in_use_is_not_shed)
{
    struct wide w;
    wide_open(&w, 1, 10);
    say(&w.mole[0], 1, 2 | 4); /* the oldest goes first else */
    wide_run(&w, NET_SETTLED_MS + 10000);
    saw(w.lab, 0, "called 1 4\n");
    cr_assert_eq(lab_up_links(w.lab, 0), NET_DEGREE_HIGH);
    cr_assert(!w.mole[0].closed, "a link in use was closed");
    cr_assert(w.mole[1].closed, "another one was not");
    wide_close(&w);
}

/* Half a question, or one now and then: those who ask so go after the others, but they go. */
Test(reach, who_asks_now_and_then_does_not_keep_others_out)
{
    enum { HALF = 7 };
    struct wide w;
    wide_open(&w, 1, 12);
    for (size_t i = 0; i < HALF; i++)
        say(&w.mole[i], 1, 2);
    for (uint64_t call = 1; call <= 5; call++) {
        for (size_t i = HALF; i < MOLES; i++)
            if (!w.mole[i].closed)
                say(&w.mole[i], call, 2 | 4);
        wide_run(&w, 1000);
        for (size_t i = HALF; i < MOLES; i++)
            lab_event(w.lab, 0, (struct net_event){.kind = NET_REFUSE, .peer = w.mole[i].author.key, .call = call});
        wide_run(&w, NET_SETTLED_MS / 3);
    }
    cr_assert_eq(lab_up_links(w.lab, 0), NET_DEGREE_HIGH);
    cr_assert(w.mole[0].closed && w.mole[1].closed, "those who did not ask go first");
    wide_close(&w);
}
