/* Connections: order, pauses, deadlines, bodies that are too large, clients that are slow or gone. */
#include "tests/lib/talk.h"

#include "api/engine.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct talk t;
static struct reply r;

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

TestSuite(conn, .init = start, .fini = done);

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

Test(conn, pipelined_requests_are_answered_in_order)
{
    t.fake->delay = true;
    for (int i = 0; i < 3; i++) {
        char name[8] = {(char)('a' + i), 0};
        (void)fake_add(t.fake, KIND_MODEL, 1, name, name);
    }
    talk_send(&t, GET("/models/a") GET("/livez") GET("/models/b") GET("/nowhere") GET("/models/c"));
    cr_assert_eq(t.fake->waiting, 1, "one request of a connection is worked on at a time");
    cr_assert(api_conn_paused(t.conn));
    cr_assert_not(talk_take(&t, &r, false));
    while (fake_step(t.fake))
        talk_collect(&t);
    static const char *const want[] = {"\"a\"", "ok", "\"b\"", "no_route", "\"c\""};
    for (size_t i = 0; i < 5; i++) {
        cr_assert(talk_take(&t, &r, false));
        cr_assert_not_null(strstr(buf_cstr(&r.body), want[i]), "%zu: %s", i, buf_cstr(&r.body));
    }
    cr_assert_not(talk_take(&t, &r, false));
    cr_assert_not(api_conn_paused(t.conn));
}

Test(conn, a_pipeline_is_not_read_while_its_answers_are_not_taken)
{
    size_t asked = 0, answered = 0;
    static const char one[] = GET("/openapi.json");
    while (!api_conn_paused(t.conn) && asked < 1000) {
        api_conn_input(t.conn, bytes_str(one), t.now_ms);
        asked++;
    }
    cr_assert_lt(asked, 10, "answers of 100 KB pause reading soon");
    cr_assert_lt(conn_unsent(t.conn), API_OUTPUT_MAX + (1u << 20));
    for (int i = 0; i < 20; i++)
        api_conn_input(t.conn, bytes_str(one), t.now_ms);
    talk_collect(&t);
    while (talk_take(&t, &r, false))
        answered++;
    cr_assert_eq(answered, asked + 20);
}

Test(conn, a_rim_that_does_not_pause_is_cut_off)
{
    t.fake->delay = true;
    talk_send(&t, GET("/models"));
    struct buf junk = {0};
    memset(buf_grow(&junk, API_AHEAD_MAX + 1), 'x', API_AHEAD_MAX + 1);
    talk_send_n(&t, junk.p, API_AHEAD_MAX + 1);
    buf_close(&junk);
    cr_assert(api_conn_done(t.conn));
}

Test(conn, keep_alive_and_close)
{
    talk_send(&t, GET("/livez"));
    cr_assert(talk_take(&t, &r, false));
    cr_assert_null(reply_header(&r, "Connection"));
    cr_assert_not(api_conn_done(t.conn));
    talk_send(&t, "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    cr_assert(talk_take(&t, &r, false));
    cr_assert_str_eq(reply_header(&r, "Connection"), "close");
    cr_assert(api_conn_done(t.conn));
    talk_again(&t, API_TCP);
    talk_send(&t, "GET /livez HTTP/1.0\r\n\r\n");
    cr_assert(talk_take(&t, &r, false));
    cr_assert_str_eq(reply_header(&r, "Connection"), "close");
    cr_assert(api_conn_done(t.conn));
    talk_again(&t, API_TCP);
    talk_send(&t, "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    cr_assert(talk_take(&t, &r, false));
    cr_assert_str_eq(reply_header(&r, "Connection"), "keep-alive");
    cr_assert_not(api_conn_done(t.conn));
}

Test(conn, what_follows_a_last_request_is_not_answered)
{
    talk_send(&t, "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/livez"));
    cr_assert(talk_take(&t, &r, false));
    cr_assert_not(talk_take(&t, &r, false));
    cr_assert(api_conn_shut(t.conn), "our side ends, theirs is drained");
    talk_end(&t);
    cr_assert(api_conn_done(t.conn));
}

#define EXPECT "POST /models HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"

Test(conn, expectations)
{
    talk_send(&t, EXPECT AUTH "Content-Length: 12\r\n\r\n");
    cr_assert_str_eq(buf_cstr(&t.got), "HTTP/1.1 100 Continue\r\n\r\n");
    buf_reset(&t.got);
    talk_send(&t, "{\"name\":\"x\"}");
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 201);
    talk_send(&t, EXPECT AUTH "Content-Length: 12\r\n\r\n{\"name\":\"y\"}");
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 201, "no 100 where the body is here already");
    talk_send(&t, EXPECT "Content-Length: 12\r\n\r\n");
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 401, "the refusal comes instead of 100");
    cr_assert_str_eq(reply_header(&r, "Connection"), "close");
    talk_again(&t, API_TCP);
    talk_send(&t, EXPECT AUTH "Content-Length: 70000\r\n\r\n");
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 413);
    talk_again(&t, API_TCP);
    talk_send(&t, "POST /models HTTP/1.1\r\nHost: a\r\nExpect: coffee\r\n" AUTH "Content-Length: 2\r\n\r\n{}");
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 417);
}

static void send_body(const char *path, size_t n)
{
    struct buf b = {0};
    buf_printf(&b, "POST %s HTTP/1.1\r\nHost: a\r\n" AUTH "Content-Length: %zu\r\n\r\n", path, n);
    talk_send_n(&t, b.p, b.n);
    buf_close(&b);
}

static void send_filler(size_t n)
{
    struct buf b = {0};
    memset(buf_grow(&b, n), ' ', n);
    talk_send_n(&t, b.p, n);
    buf_close(&b);
}

Test(conn, a_body_of_exactly_the_limit)
{
    send_body("/models", API_RECORD_MAX);
    send_filler(API_RECORD_MAX);
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 400, "blanks are not JSON, but they were read");
    cr_assert_not(api_conn_done(t.conn));
}

Test(conn, a_body_over_the_limit_is_answered_and_dropped)
{
    send_body("/models", API_RECORD_MAX + 1);
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 413);
    cr_assert_str_eq(reply_member(&r, "code"), "too_large");
    cr_assert_str_eq(reply_member(&r, "detail"), "the body has more than 65536 bytes, the most that this path takes");
    cr_assert_str_eq(reply_header(&r, "Connection"), "close");
    for (size_t i = 0; i < API_LINGER_MAX / 65536; i++) {
        send_filler(65536);
        cr_assert_not(api_conn_done(t.conn), "%zu", i);
        cr_assert_not(api_conn_paused(t.conn));
    }
    send_filler(65536);
    cr_assert(api_conn_done(t.conn));
    cr_assert_eq(t.conn->in.n, 0);
}

Test(conn, a_chunked_body_over_the_limit)
{
    talk_send(&t, "POST /models HTTP/1.1\r\nHost: a\r\n" AUTH "Transfer-Encoding: chunked\r\n\r\n20000\r\n");
    send_filler(API_RECORD_MAX);
    cr_assert_not(talk_take(&t, &r, false));
    send_filler(1);
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 413);
}

Test(conn, chunk_framing_has_a_bound)
{
    talk_send(&t, "POST /models HTTP/1.1\r\nHost: a\r\n" AUTH "Transfer-Encoding: chunked\r\n\r\n1;");
    for (int i = 0; i < 10 && !talk_take(&t, &r, false); i++) {
        struct buf b = {0};
        memset(buf_grow(&b, 65536), 'e', 65536);
        talk_send_n(&t, b.p, 65536);
        buf_close(&b);
    }
    cr_assert_eq(r.status, 400);
}

Test(conn, deltas_may_be_larger)
{
    send_body("/deltas", BUNDLE_MAX);
    for (size_t left = BUNDLE_MAX; left > 0;) {
        size_t n = left < 65536 ? left : 65536;
        send_filler(n);
        left -= n;
    }
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 201);
    send_body("/deltas", BUNDLE_MAX + 1);
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 413);
}

Test(conn, a_refused_request_keeps_the_connection_if_its_body_is_small)
{
    talk_send(&t, "POST /models HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET("/livez"));
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 401);
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 200);
}

Test(conn, slow_heads_and_bodies_get_408)
{
    talk_send(&t, "GET /livez HT");
    talk_wait(&t, API_HEADER_TIMEOUT_MS - 1);
    talk_send(&t, "T");
    cr_assert_not(talk_take(&t, &r, false));
    talk_wait(&t, 1);
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 408);
    cr_assert(api_conn_shut(t.conn));
    talk_wait(&t, API_LINGER_MS);
    cr_assert(api_conn_done(t.conn));
    talk_again(&t, API_TCP);
    send_body("/models", 1000);
    for (int i = 0; i < 3; i++) { /* ten bytes buy ten milliseconds, no more */
        talk_wait(&t, API_BODY_TIMEOUT_MS / 3);
        send_filler(10);
    }
    talk_wait(&t, 40);
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 408);
}

Test(conn, empty_lines_do_not_hold_a_connection)
{
    for (int i = 0; i < 7; i++) {
        talk_send(&t, "\r\n\r\n");
        talk_wait(&t, API_IDLE_TIMEOUT_MS / 6);
    }
    cr_assert(api_conn_done(t.conn));
}

Test(conn, idle_connections_are_closed_without_an_answer)
{
    talk_send(&t, GET("/livez"));
    cr_assert(talk_take(&t, &r, false));
    talk_wait(&t, API_IDLE_TIMEOUT_MS - 1);
    cr_assert_not(api_conn_done(t.conn));
    talk_wait(&t, 1);
    cr_assert(api_conn_done(t.conn));
    cr_assert_eq(t.got.n, 0);
}

Test(conn, input_says_how_many_bytes_of_answers_it_made)
{
    const char *request = GET("/livez");
    cr_assert_eq(api_conn_input(t.conn, bytes_of(request, 10), t.now_ms), 0);
    cr_assert_eq(api_dirty_next(t.api), t.conn, "the rim looks at whom it read from");
    size_t first = api_conn_input(t.conn, bytes_str(request + 10), t.now_ms);
    cr_assert_gt(first, 0);
    cr_assert_eq(api_conn_output(t.conn).n, first);
    size_t second = api_conn_input(t.conn, bytes_str(request), t.now_ms);
    cr_assert_eq(api_conn_output(t.conn).n, first + second, "what was not taken yet does not count again");
    api_conn_sent(t.conn, first + second);
}

Test(conn, a_client_that_takes_no_answer_is_closed)
{
    api_conn_input(t.conn, bytes_str(GET("/openapi.json")), t.now_ms);
    cr_assert_gt(api_conn_output(t.conn).n, 1000);
    t.now_ms += API_WRITE_STALL_MS - 1;
    api_conn_tick(t.conn, t.now_ms);
    cr_assert_not(api_conn_done(t.conn));
    api_conn_sent(t.conn, 10);
    t.now_ms += 10;
    api_conn_tick(t.conn, t.now_ms);
    cr_assert_not(api_conn_done(t.conn), "ten bytes bought ten milliseconds");
    t.now_ms += 2;
    cr_assert_leq(api_conn_deadline(t.conn), t.now_ms);
    api_conn_tick(t.conn, t.now_ms);
    cr_assert(api_conn_done(t.conn));
}

Test(conn, a_client_that_goes_away_while_the_node_works)
{
    t.fake->delay = true;
    talk_send(&t, GET("/models"));
    talk_again(&t, API_TCP);
    cr_assert_eq(t.fake->cancelled, 1);
    cr_assert(fake_step(t.fake));
    cr_assert_eq(t.api->pending, 0);
    t.fake->delay = false;
    talk_send(&t, GET("/livez"));
    cr_assert(talk_take(&t, &r, false));
}

/* A node that stops at once completes nothing any more. */
Test(conn, an_engine_can_be_freed_while_calls_are_pending)
{
    struct talk other;
    struct api_conn *more[3];
    talk_open(&other, API_TCP);
    other.fake->delay = true;
    for (int i = 0; i < 3; i++) {
        more[i] = api_conn_new(other.api, API_TCP, other.now_ms);
        api_conn_input(more[i], bytes_str("POST /models/search HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"), 0);
    }
    for (int i = 0; i < 3; i++)
        api_conn_free(more[i]);
    cr_assert_eq(other.fake->waiting, 3);
    cr_assert(fake_step(other.fake));
    other.fake->first = NULL; /* the others never end */
    talk_close(&other);
}

Test(conn, a_client_that_ends_its_side_still_gets_its_answers)
{
    t.fake->delay = true;
    talk_send(&t, GET("/models") GET("/livez") "GET /li");
    talk_end(&t);
    cr_assert_not(api_conn_done(t.conn));
    cr_assert(fake_step(t.fake));
    talk_collect(&t);
    cr_assert(talk_take(&t, &r, false));
    cr_assert(talk_take(&t, &r, false));
    cr_assert(api_conn_done(t.conn));
}

Test(conn, connections_are_bounded)
{
    struct talk small;
    talk_open_with(&small, API_TCP, &(struct api_config){.max_connections = 2});
    struct api_conn *second = api_conn_new(small.api, API_TCP, 0);
    cr_assert_not_null(second);
    cr_assert_null(api_conn_new(small.api, API_TCP, 0));
    api_conn_free(second);
    second = api_conn_new(small.api, API_TCP, 0);
    cr_assert_not_null(second);
    struct api_stats s;
    api_stats(small.api, &s);
    cr_assert_eq(s.connections, 2);
    cr_assert_eq(s.accepted, 3);
    cr_assert_eq(s.refused, 1);
    api_conn_free(second);
    talk_close(&small);
}

Test(conn, draining_ends_every_connection_after_its_answer)
{
    t.fake->delay = true;
    talk_send(&t, GET("/models"));
    struct api_conn *idle = api_conn_new(t.api, API_TCP, t.now_ms);
    api_drain(t.api);
    cr_assert(api_conn_done(idle));
    api_conn_free(idle);
    cr_assert_not(api_conn_done(t.conn));
    cr_assert(fake_step(t.fake));
    talk_collect(&t);
    cr_assert(talk_take(&t, &r, false));
    cr_assert_str_eq(reply_header(&r, "Connection"), "close");
    cr_assert(api_conn_done(t.conn));
}

Test(conn, requests_and_latencies_are_counted)
{
    struct api_stats s;
    t.fake->delay = true;
    talk_send(&t, GET("/livez") GET("/nowhere") GET("/models"));
    api_clock(t.api, t.now_ms * 1000 + 3000);
    cr_assert(fake_step(t.fake));
    talk_collect(&t);
    api_stats(t.api, &s);
    cr_assert_eq(s.requests[2], 2);
    cr_assert_eq(s.requests[4], 1);
    cr_assert_eq(s.latency[0], 2, "answered at once");
    cr_assert_eq(s.latency[5], 1, "within 5 ms");
    cr_assert_eq(s.latency_sum_us, 3000);
    cr_assert_eq(s.bytes_in, strlen(GET("/livez") GET("/nowhere") GET("/models")));
    cr_assert_eq(s.bytes_out, t.got.n);
}

Test(conn, an_idle_connection_keeps_little_memory)
{
    talk_send(&t, GET("/openapi.json"));
    cr_assert(talk_take(&t, &r, false));
    send_body("/models", API_RECORD_MAX);
    send_filler(API_RECORD_MAX);
    cr_assert_leq(t.conn->out.cap + t.conn->in.cap, 2 * API_KEEP_MAX);
    for (struct exchange *x = t.api->spare; x != NULL; x = x->spare)
        cr_assert_leq(x->text.cap + x->body.cap + x->call.out.cap, 3 * API_KEEP_MAX);
}
