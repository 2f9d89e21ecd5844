/* Invoking over HTTP: what is asked, the three forms of the answer, failures with their receipt, clients that go away. */
#include "tests/lib/talk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define INVOKER "Authorization: Bearer invoker\r\n"
#define RECEIPT "{\"id\":\"urn:uuid:00000000-0000-7000-8000-000000000001\"}"

static struct talk t;
static struct reply r;

static void open_tcp(void)
{
    r = (struct reply){0};
    talk_open(&t, API_TCP);
    (void)fake_add(t.fake, KIND_MODEL, 1, "m", "d");
    (void)fake_add(t.fake, KIND_AGENT, 1, "a", "d");
    t.fake->output = API_MEDIA_JSON;
}

static void done(void)
{
    reply_close(&r);
    talk_close(&t);
}

static int ask(const char *path, const char *headers, const char *body)
{
    return talk_ask(&t, &r, "POST", path, headers, body);
}

TestSuite(invoke, .init = open_tcp, .fini = done);

Test(invoke, output_and_receipt)
{
    cr_assert_eq(ask("/models/m/invoke", INVOKER, "{\"a\": [1.50]}"), 200);
    cr_assert_str_eq(buf_cstr(&r.body), "{\"output\":{\"a\": [1.50]},\"receipt\":" RECEIPT "}");
    cr_assert_str_eq(reply_header(&r, "X-Receipt-Id"), "00000000-0000-7000-8000-000000000001");
    cr_assert_eq(ask("/agents/a/invoke", INVOKER, "1"), 200);
    cr_assert_eq(ask("/models/none/invoke", INVOKER, "1"), 404);
    t.fake->output = API_MEDIA_TEXT;
    cr_assert_eq(ask("/models/m/invoke", INVOKER, "two\n\"lines\""), 200);
    cr_assert_str_eq(reply_member(&r, "output"), "two\n\"lines\"");
    t.fake->output = API_MEDIA_BYTES;
    cr_assert_eq(ask("/models/m/invoke", INVOKER, "\xff\x01"), 200);
    cr_assert_str_eq(reply_member(&r, "output"), "/wE=");
    cr_assert_str_eq(reply_member(&r, "encoding"), "base64");
    cr_assert_eq(ask("/models/m/invoke", INVOKER "Accept: application/octet-stream\r\n", "\xff\x01"), 200);
    cr_assert(bytes_eq(buf_view(&r.body), bytes_str("\xff\x01")));
    cr_assert_str_eq(reply_header(&r, "X-Receipt-Id"), "00000000-0000-7000-8000-000000000001");
}

Test(invoke, needs_the_scope)
{
    cr_assert_eq(ask("/models/m/invoke", "", "1"), 401);
    cr_assert_eq(ask("/models/m/invoke", AUTH, "1"), 403);
    cr_assert_str_eq(reply_member(&r, "code"), "wrong_scope");
    cr_assert_eq(talk_ask(&t, &r, "GET", "/models/m/invoke", INVOKER, NULL), 405);
    cr_assert_eq(ask("/nodes/x/invoke", INVOKER, "1"), 404);
}

Test(invoke, what_is_asked_arrives)
{
    cr_assert_eq(ask("/models/m/invoke?on=abc&x=y",
                     INVOKER "X-Timeout: 2.5\r\nIdempotency-Key: k1\r\nContent-Type: text/plain; charset=utf-8\r\n", "1"),
                 200);
    cr_assert_eq(t.fake->invoke.timeout_ms, 2500);
    cr_assert_eq(t.fake->invoke.input, API_MEDIA_TEXT);
    cr_assert_eq(t.fake->invoke.on.n, 3);
    cr_assert_str_eq(t.fake->invoke_key, "k1");
    static const struct {
        const char *type;
        enum api_media media;
    } types[] = {{"Content-Type: application/json\r\n", API_MEDIA_JSON},
                 {"Content-Type: application/ld+json\r\n", API_MEDIA_JSON},
                 {"Content-Type: image/png\r\n", API_MEDIA_BYTES},
                 {"Content-Type: application/octet-stream\r\n", API_MEDIA_BYTES},
                 {"Content-Type: application/x-www-form-urlencoded\r\n", API_MEDIA_ANY},
                 {"", API_MEDIA_ANY}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char headers[256];
        (void)snprintf(headers, sizeof headers, INVOKER "%s", types[i].type);
        cr_assert_eq(ask("/models/m/invoke", headers, "1"), 200);
        cr_assert_eq(t.fake->invoke.input, types[i].media, "%s", types[i].type);
        cr_assert_eq(t.fake->invoke.timeout_ms, 0);
    }
}

Test(invoke, bad_headers)
{
    static const char *const bad[] = {"0", "-1", "x", "1x", "86401", "1.2.3", "0.0004", "99999999999999999999"};
    char headers[512], longest[300];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        (void)snprintf(headers, sizeof headers, INVOKER "X-Timeout: %s\r\n", bad[i]);
        cr_assert_eq(ask("/models/m/invoke", headers, "1"), 400, "%s", bad[i]);
        cr_assert_str_eq(reply_member(&r, "code"), "bad_timeout");
    }
    memset(longest, 'k', 256);
    longest[256] = 0;
    (void)snprintf(headers, sizeof headers, INVOKER "Idempotency-Key: %s\r\n", longest);
    cr_assert_eq(ask("/models/m/invoke", headers, "1"), 400);
}

Test(invoke, a_failure_carries_its_receipt)
{
    cr_assert_eq(ask("/models/m/invoke", INVOKER, "fail"), 502);
    cr_assert_str_eq(reply_member(&r, "code"), "exit");
    cr_assert_str_eq(reply_member(&r, "title"), "Bad Gateway");
    cr_assert(strstr(buf_cstr(&r.body), ",\"receipt\":" RECEIPT "}") != NULL);
    cr_assert_eq(ask("/models/none/invoke", INVOKER, "1"), 404);
    cr_assert(strstr(buf_cstr(&r.body), "receipt") == NULL);
}

#define EVENTS INVOKER "Accept: text/event-stream\r\n"

static const char *stream(const char *body)
{
    char head[400];
    (void)snprintf(head, sizeof head, "POST /models/m/invoke HTTP/1.1\r\nHost: a\r\n" EVENTS "Content-Length: %zu\r\n\r\n%s",
                   strlen(body), body);
    talk_send(&t, head);
    talk_collect(&t);
    const char *end = strstr(buf_cstr(&t.got), "\r\n\r\n");
    cr_assert(end != NULL && strstr((char *)t.got.p, "200 OK") != NULL && strstr((char *)t.got.p, "text/event-stream") != NULL);
    return end + 4;
}

Test(invoke, output_as_it_comes)
{
    t.fake->output = API_MEDIA_TEXT;
    /* An "e" with an accent is cut by the pieces of three bytes and must come whole. */
    cr_assert_str_eq(stream("ab\xc3\xa9" "cd"),
                     "event: output\ndata: {\"text\":\"ab\"}\n\nevent: output\ndata: {\"text\":\"\xc3\xa9" "cd\"}\n\n"
                     "event: result\ndata: {\"output\":\"ab\xc3\xa9" "cd\",\"receipt\":" RECEIPT "}\n\n");
}

Test(invoke, bytes_as_they_come)
{
    t.fake->output = API_MEDIA_BYTES;
    cr_assert_str_eq(stream("\xff\xfe\xfd"),
                     "event: output\ndata: {\"base64\":\"//79\"}\n\n"
                     "event: result\ndata: {\"output\":\"//79\",\"encoding\":\"base64\",\"receipt\":" RECEIPT "}\n\n");
}

Test(invoke, a_failure_after_output_is_an_event)
{
    const char *got = stream("fail");
    cr_assert(strstr(got, "event: output\ndata: {\"text\":\"fai\"}\n\n") == got, "%s", got);
    cr_assert(strstr(got, "event: error\ndata: {\"type\":\"about:blank\"") != NULL);
    cr_assert(strstr(got, "\"code\":\"exit\"") != NULL && strstr(got, RECEIPT) != NULL);
}

static void start_slow(void)
{
    t.fake->delay = true;
    talk_send(&t, "POST /models/m/invoke HTTP/1.1\r\nHost: a\r\n" INVOKER "Content-Length: 1\r\n\r\n1");
    while (fake_step(t.fake) && t.fake->calls < 2) { /* the look-up of the name */
    }
    cr_assert_eq(t.fake->waiting, 1);
}

Test(invoke, a_client_that_goes_away_gives_the_call_up)
{
    start_slow();
    cr_assert(!api_conn_paused(t.conn));
    talk_end(&t);
    cr_assert(api_conn_done(t.conn));
    talk_again(&t, API_TCP);
    cr_assert_eq(t.fake->cancelled, 1);
    cr_assert(fake_step(t.fake));
}

Test(invoke, a_client_that_waits_is_answered_and_may_ask_again)
{
    start_slow();
    talk_send(&t, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_assert(fake_step(t.fake));
    t.fake->delay = false;
    talk_collect(&t);
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 200);
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 200);
    cr_assert_eq(t.fake->cancelled, 0);
}
