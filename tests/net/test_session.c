/*
 * Newcomers in the engine: an application goes to every peer that is met, until it is answered for good; what others say
 * unasked means nothing; one application at a time is judged. And removed keys: closed, told why, let in again.
 */
#include "net/engine.h"
#include "tests/lib/mole.h"

#include <criterion/criterion.h>
#include <string.h>

static bool applied(struct lab *lab, void *ctx)
{
    (void)ctx;
    return lab_host(lab, 0)->joins > 0 && lab_host(lab, 2)->joins > 0;
}

static bool answered(struct lab *lab, void *ctx)
{
    return lab_host(lab, 1)->welcomes >= *(const size_t *)ctx;
}

static void say(struct lab *lab, size_t host, enum net_welcome welcome, const char *text)
{
    lab_event(lab, host, (struct net_event){.kind = NET_JOIN_ANSWER,
                                            .conn = lab_host(lab, host)->join_conn,
                                            .welcome = welcome,
                                            .text = text});
}

Test(session, every_peer_that_a_newcomer_meets_hears_its_application)
{
    struct lab *lab = lab_new(3, 1);
    struct lab_host *h = lab_host(lab, 0);
    size_t one = 1, two = 2;
    net_set_application(lab_host(lab, 1)->net, bytes_str("take me in"));
    lab_link(lab, 1, 0);
    lab_link(lab, 1, 2);
    cr_assert(lab_until(lab, 5000, applied, NULL));
    cr_assert(bytes_eq(buf_view(&h->join), bytes_str("take me in")));
    cr_assert(key_eq(&h->join_peer, &lab_host(lab, 1)->identity.key), "the session proves who applies");
    say(lab, 0, NET_WELCOME_REFUSED, "no\nmore");
    cr_assert(lab_until(lab, 1000, answered, &one));
    cr_assert_eq(lab_host(lab, 1)->welcome, NET_WELCOME_REFUSED);
    cr_assert_str_eq(buf_cstr(&lab_host(lab, 1)->join), "no?more", "what others write is fit for a log");
    lab_run(lab, 60000);
    cr_assert_eq(h->joins, 1, "an answer for good is not asked for again");
    say(lab, 2, NET_WELCOME_ELSEWHERE, "not here");
    cr_assert(lab_until(lab, 1000, answered, &two));
    size_t before = lab_host(lab, 2)->joins;
    lab_run(lab, 60000);
    cr_assert_gt(lab_host(lab, 2)->joins, before, "one that could not decide is asked again");
    net_set_application(lab_host(lab, 1)->net, (struct bytes){0});
    say(lab, 2, NET_WELCOME_ADMITTED, "welcome");
    lab_run(lab, 60000);
    cr_assert_eq(lab_host(lab, 1)->welcomes, 2, "a member hears no answers");
    lab_free(lab);
}

Test(session, one_application_at_a_time_and_no_answer_to_one_that_is_gone)
{
    struct lab *lab = lab_new(1, 2);
    struct mole m;
    mole_open(&m, lab, 77);
    for (size_t i = 0; i < 20; i++)
        mole_say(&m, &(struct wire_message){.type = WIRE_JOIN, .body = bytes_str("x")});
    mole_run(&m, 1000);
    cr_assert_eq(lab_host(lab, 0)->joins, 1);
    say(lab, 0, NET_WELCOME_REFUSED, "no");
    mole_run(&m, 1000);
    cr_assert_eq(m.got[WIRE_WELCOME], 1);
    mole_say(&m, &(struct wire_message){.type = WIRE_JOIN, .body = bytes_str("y")});
    mole_run(&m, 1000);
    cr_assert_eq(lab_host(lab, 0)->joins, 2);
    mole_close(&m);
    lab_run(lab, 1000);
    say(lab, 0, NET_WELCOME_ADMITTED, "welcome");
    lab_run(lab, 1000);
    lab_free(lab);
}

Test(session, applications_are_bounded_like_all_control_messages)
{
    struct lab *lab = lab_new(1, 3);
    struct mole m;
    mole_open(&m, lab, 78);
    for (size_t i = 0; i < NET_CONTROL_BURST + 10; i++)
        mole_say(&m, &(struct wire_message){.type = WIRE_JOIN, .body = bytes_str("x")});
    mole_run(&m, 1000);
    cr_assert(m.closed);
    cr_assert_eq(m.reason, REASON_LIMIT);
    cr_assert_eq(lab_host(lab, 0)->joins, 1);
    lab_free(lab);
    conn_free(&m.conn);
}

Test(session, a_welcome_that_nobody_asked_for_means_nothing)
{
    struct lab *lab = lab_new(1, 4);
    struct mole m;
    mole_open(&m, lab, 79);
    mole_say(&m, &(struct wire_message){.type = WIRE_WELCOME, .welcome = NET_WELCOME_REFUSED, .text = bytes_str("go")});
    mole_run(&m, 1000);
    cr_assert_eq(lab_host(lab, 0)->welcomes, 0);
    cr_assert_not(m.closed);
    mole_close(&m);
    lab_free(lab);
}

/* ---- removed keys ---- */

static bool linked(struct lab *lab, void *ctx)
{
    (void)ctx;
    return lab_linked(lab, 0, 1);
}

Test(session, a_removed_key_is_closed_told_why_and_let_in_again)
{
    struct lab *lab = lab_new(2, 5);
    const struct key key = lab_host(lab, 1)->identity.key;
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 5000, linked, NULL));
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_EXPEL, .peer = key});
    lab_run(lab, 40000);
    cr_assert_not(lab_linked(lab, 0, 1));
    const char *log = buf_cstr(&lab_host(lab, 1)->log);
    cr_assert_not_null(strstr(log, "session to"), "%s", log);
    cr_assert_not_null(strstr(log, "handshake to"), "it comes again: %s", log);
    const char *again = strstr(strstr(log, "handshake to"), "ended: removed from the mesh");
    cr_assert_not_null(again, "and is told each time: %s", log);
    struct net_peer_info info[4];
    cr_assert_eq(net_peers(lab_host(lab, 0)->net, info, 4), 1);
    cr_assert(info[0].expelled);
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_READMIT, .peer = key});
    cr_assert(lab_until(lab, 60000, linked, NULL));
    lab_free(lab);
}

Test(session, a_removed_key_is_not_dialed)
{
    struct lab *lab = lab_new(2, 6);
    lab_link(lab, 0, 1);
    cr_assert(lab_until(lab, 5000, linked, NULL));
    lab_event(lab, 0, (struct net_event){.kind = NET_PEER_EXPEL, .peer = lab_host(lab, 1)->identity.key});
    size_t before = lab_host(lab, 0)->dials;
    lab_run(lab, 120000);
    cr_assert_eq(lab_host(lab, 0)->dials, before);
    lab_free(lab);
}
