/* The change log as pages and as a stream of events that can be taken up again. */
#include "tests/lib/talk.h"

#include "api/engine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct talk t;
static struct reply r;

#define STREAM "GET /changes HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n"

static void start(void)
{
    r = (struct reply){0};
    talk_open(&t, API_TCP);
}

static void done(void)
{
    reply_close(&r);
    talk_close(&t);
}

static void add(size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)fake_add(t.fake, KIND_MODEL, 1, "m", "d");
}

/* Reads whole events out of what came; checks that their ids are consecutive from *next on. */
static size_t events(unsigned long *next)
{
    size_t n = 0;
    char *at = buf_cstr(&t.got), *end;
    while ((end = strstr(at, "\n\n")) != NULL) {
        if (strncmp(at, "id: ", 4) == 0) {
            cr_assert_eq(strtoul(at + 4, NULL, 10), (*next)++);
            cr_assert_not_null(strstr(at, "\ndata: {"));
            n++;
        }
        at = end + 2;
    }
    buf_drop(&t.got, (size_t)(at - (char *)t.got.p));
    return n;
}

TestSuite(changes, .init = start, .fini = done);

Test(changes, pages)
{
    add(3);
    cr_assert_eq(talk_ask(&t, &r, "GET", "/changes?limit=2", "", NULL), 200);
    cr_assert_str_eq(reply_member(&r, "next_cursor"), "2");
    cr_assert_str_eq(reply_header(&r, "Vary"), "Accept");
    cr_assert_eq(talk_ask(&t, &r, "GET", "/changes?since=2", "", NULL), 200);
    cr_assert_not_null(strstr(buf_cstr(&r.body), "\"cursor\":\"3\""));
    cr_assert_null(strstr(buf_cstr(&r.body), "\"cursor\":\"2\""));
    cr_assert_eq(talk_ask(&t, &r, "GET", "/changes?since=foreign", "", NULL), 400);
    cr_assert_str_eq(reply_member(&r, "code"), "foreign_cursor");
    cr_assert_eq(talk_ask(&t, &r, "GET", "/changes?since=x!", "", NULL), 400);
    cr_assert_eq(talk_ask(&t, &r, "GET", "/changes", "Accept: text/*, */*\r\n", NULL), 200);
    cr_assert_str_eq(reply_header(&r, "Content-Type"), "application/json");
}

Test(changes, a_stream_follows_the_log)
{
    unsigned long next = 1;
    add(2);
    talk_send(&t, STREAM "\r\n");
    cr_assert(talk_take(&t, &r, true));
    cr_assert_eq(r.status, 200);
    cr_assert_str_eq(reply_header(&r, "Content-Type"), "text/event-stream");
    cr_assert_null(reply_header(&r, "Content-Length"));
    cr_assert_eq(events(&next), 2);
    add(1);
    api_changed(t.api);
    talk_collect(&t);
    cr_assert_eq(events(&next), 1);
    add(500);
    api_changed(t.api);
    talk_collect(&t);
    cr_assert_eq(events(&next), 500);
    struct api_stats s;
    api_stats(t.api, &s);
    cr_assert_eq(s.streams, 1);
}

Test(changes, a_stream_resumes_by_the_last_id)
{
    unsigned long next = 3;
    add(5);
    talk_send(&t, STREAM "Last-Event-ID: 2\r\n\r\n");
    cr_assert(talk_take(&t, &r, true));
    cr_assert_eq(events(&next), 3);
    talk_again(&t, API_TCP);
    next = 6;
    add(1);
    talk_send(&t, "GET /changes?since=1 HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nLast-Event-ID: 5\r\n\r\n");
    cr_assert(talk_take(&t, &r, true));
    cr_assert_eq(events(&next), 1, "the id goes before ?since");
    talk_again(&t, API_TCP);
    cr_assert_eq(talk_ask(&t, &r, "GET", "/changes", "Accept: text/event-stream\r\nLast-Event-ID: foreign\r\n", NULL), 400);
    cr_assert_str_eq(reply_member(&r, "code"), "foreign_cursor");
}

Test(changes, from_now_on)
{
    unsigned long next = 4;
    add(3);
    talk_send(&t, "GET /changes?since=now HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
    cr_assert(talk_take(&t, &r, true));
    cr_assert_eq(events(&next), 0);
    add(1);
    api_changed(t.api);
    talk_collect(&t);
    cr_assert_eq(events(&next), 1);
}

/* What comes while the first page is on its way is not lost. */
Test(changes, a_change_during_the_first_read)
{
    unsigned long next = 1;
    t.fake->delay = true;
    talk_send(&t, STREAM "\r\n");
    cr_assert(fake_step(t.fake));
    add(1);
    api_changed(t.api);
    while (fake_step(t.fake))
        talk_collect(&t);
    talk_collect(&t);
    cr_assert(talk_take(&t, &r, true));
    cr_assert_eq(events(&next), 1);
}

Test(changes, a_quiet_stream_shows_that_it_lives)
{
    talk_send(&t, STREAM "\r\n");
    cr_assert(talk_take(&t, &r, true));
    buf_reset(&t.got);
    for (int i = 0; i < 20; i++)
        talk_wait(&t, API_HEARTBEAT_MS);
    cr_assert_not(api_conn_done(t.conn));
    cr_assert_eq(t.got.n, 20 * strlen(":\n\n"));
    cr_assert_eq(strncmp(buf_cstr(&t.got), ":\n\n", 3), 0);
}

Test(changes, a_slow_reader_costs_little_and_is_closed)
{
    api_conn_input(t.conn, bytes_str(STREAM "\r\n"), t.now_ms);
    for (int i = 0; i < 100; i++) {
        if (t.fake->change_count + 100 > FAKE_CHANGES)
            t.fake->change_count = 0; /* the log goes on for ever: the same rows again */
        add(100);
        api_changed(t.api);
    }
    cr_assert_lt(conn_unsent(t.conn), API_OUTPUT_MAX + API_STREAM_PAGE * (sizeof(struct api_change_row) + 16));
    t.now_ms += API_WRITE_STALL_MS;
    api_conn_tick(t.conn, t.now_ms);
    cr_assert(api_conn_done(t.conn));
}

Test(changes, a_stream_ends_when_the_node_or_the_client_does)
{
    talk_send(&t, STREAM "\r\n");
    talk_send(&t, "ignored");
    cr_assert_not(api_conn_done(t.conn));
    api_drain(t.api);
    api_changed(t.api);
    talk_collect(&t);
    cr_assert(api_conn_done(t.conn));
    talk_again(&t, API_TCP);
    struct api_stats s;
    api_stats(t.api, &s);
    cr_assert_eq(s.streams, 0);
}

Test(changes, a_log_that_cannot_be_read_ends_the_stream)
{
    talk_send(&t, STREAM "\r\n");
    t.fake->fail_op = API_CHANGES;
    t.fake->fail_with = ERR_IO;
    api_changed(t.api);
    talk_collect(&t);
    cr_assert(api_conn_done(t.conn));
}

Test(changes, a_client_that_leaves_while_the_log_is_read)
{
    t.fake->delay = true;
    talk_send(&t, STREAM "\r\n");
    cr_assert(fake_step(t.fake));
    cr_assert_eq(t.fake->waiting, 1);
    talk_end(&t);
    cr_assert(api_conn_done(t.conn));
    cr_assert(fake_step(t.fake));
    cr_assert(api_conn_done(t.conn));
}

Test(changes, head_of_a_stream)
{
    talk_send(&t, "HEAD /changes HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
    cr_assert(talk_take(&t, &r, true));
    cr_assert_str_eq(reply_header(&r, "Content-Type"), "text/event-stream");
    cr_assert(api_conn_done(t.conn));
    cr_assert_eq(t.got.n, 0);
}
