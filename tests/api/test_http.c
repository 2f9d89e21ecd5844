/* Reading requests: framing, limits, and what is refused because two readers could disagree about it. */
#include "tests/lib/talk.h"

#include "api/http.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* What the engine makes of raw bytes: the status of the first answer, 0 if none came. */
static int status_of(const char *bytes)
{
    struct talk t;
    struct reply r = {0};
    talk_open(&t, API_TCP);
    talk_send(&t, bytes);
    int status = talk_take(&t, &r, false) ? r.status : 0;
    reply_close(&r);
    talk_close(&t);
    return status;
}

static size_t answers_of(const char *bytes)
{
    struct talk t;
    struct reply r = {0};
    size_t n = 0;
    talk_open(&t, API_TCP);
    talk_send(&t, bytes);
    while (talk_take(&t, &r, false))
        n++;
    reply_close(&r);
    talk_close(&t);
    return n;
}

#define H "Host: a\r\n"

Test(http, takes_what_is_well_formed)
{
    static const char *const good[] = {
        "GET /livez HTTP/1.1\r\n" H "\r\n",
        "\r\nGET /livez HTTP/1.1\r\n" H "\r\n",
        "GET /livez HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhOsT: [::1]:80\r\n\r\n",
        "GET http://a/livez HTTP/1.1\r\n" H "\r\n",
        "GET /livez?x=%zz HTTP/1.1\r\n" H "\r\n",
        "GET /livez HTTP/1.0\r\n\r\n",
        "GET /livez HTTP/1.1\r\n" H "X: \x80\xff\r\n\r\n",
        "GET /livez HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n",
        "GET /livez HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc",
        "GET /livez HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "GET /livez HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
        "GET /livez HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n000\r\nContent-Length: 5\r\nHost: b\r\n\r\n",
        "GET /livez HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0;e\r\n\r\n",
        "GET /livez HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert_eq(status_of(good[i]), 200, "%s", good[i]);
}

/* Each of these has been read in two ways by two programs somewhere. */
Test(http, refuses_what_could_be_read_in_two_ways)
{
    static const struct {
        const char *bytes;
        int status;
    } bad[] = {
        {"POST /models HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
        {"POST /models HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
        {"POST /models HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\nabc", 400},
        {"POST /models HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\nabc", 400},
        {"POST /models HTTP/1.1\r\n" H "Content-Length: -3\r\n\r\nabc", 400},
        {"POST /models HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\nabc", 400},
        {"POST /models HTTP/1.1\r\n" H "Content-Length: 3 3\r\n\r\nabc", 400},
        {"POST /models HTTP/1.1\r\n" H "Content-Length:\r\n\r\nabc", 400},
        {"POST /models HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\nabc", 400},
        {"POST /models HTTP/1.1\r\n" H "Content-Length : 3\r\n\r\nabc", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 501},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nxyz\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nX y: y\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nX: \ry\r\n\r\n", 400},
        {"POST /models HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;a\r\rb\r\na\r\n0\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\n" H "\r\n", 400},
        {"GET /livez HTTP/1.1\r\nHost: a\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\n " H "\r\n", 400},
        {"GET /livez HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\n" H "\rX: a\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\n" H "X y: a\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\n" H ": a\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\n" H "no colon\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\n" H "X: a\x01z\r\n\r\n", 400},
        {"GET  /livez HTTP/1.1\r\n" H "\r\n", 400},
        {" GET /livez HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /livez\tHTTP/1.1\r\n" H "\r\n", 400},
        {"GET /li\x80vez HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /livez#x HTTP/1.1\r\n" H "\r\n", 400},
        {"GET livez HTTP/1.1\r\n" H "\r\n", 400},
        {"GET http://a HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /livez HTTP/1.1\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\n" H H "\r\n", 400},
        {"GET /livez HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\nHost: a:99999999\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
        {"GET /livez HTTP/1.1\r\n" H "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400},
        {"GET /livez\r\n\r\n", 505},
        {"GET /livez HTTP/2.0\r\n" H "\r\n", 505},
        {"GET /livez HTTP/1.2\r\n" H "\r\n", 505},
        {"GET /livez HTTP/0.9\r\n" H "\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"FROB /livez HTTP/1.1\r\n" H "\r\n", 501},
        {"\x16\x03\x01\x02\n", 400},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(status_of(bad[i].bytes), bad[i].status, "got %d for %s", status_of(bad[i].bytes), bad[i].bytes);
        cr_expect_eq(answers_of(bad[i].bytes), 1, "%zu answers to %s", answers_of(bad[i].bytes), bad[i].bytes);
    }
}

/* However the bytes are cut, the answers are the same. */
Test(http, every_split_gives_the_same_answers)
{
    static const char bytes[] =
        "POST /models HTTP/1.1\r\n" H AUTH "Content-Length: 14\r\n\r\n{\"name\":\"one\"}"
        "POST /models HTTP/1.1\r\n" H AUTH "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"nam\r\n9;x=y\r\ne\":\"two\"}\r\n"
        "0\r\nTrailer: x\r\n\r\n"
        "GET /models/one HTTP/1.1\r\n" H "\r\n\r\n"
        "HEAD /models/two HTTP/1.1\r\n" H "\r\n"
        "GET /nowhere HTTP/1.1\r\n" H "\r\n";
    struct buf whole = {0};
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        struct talk t;
        talk_open(&t, API_TCP);
        if (cut == sizeof bytes) {
            for (size_t i = 0; i < sizeof bytes - 1; i++)
                talk_send_n(&t, bytes + i, 1);
        } else {
            talk_send_n(&t, bytes, cut);
            talk_send_n(&t, bytes + cut, sizeof bytes - 1 - cut);
        }
        if (cut == 0)
            buf_put_bytes(&whole, buf_view(&t.got));
        cr_assert(bytes_eq(buf_view(&whole), buf_view(&t.got)), "cut at %zu:\n%.*s", cut, (int)t.got.n, (char *)t.got.p);
        talk_close(&t);
    }
    cr_assert_not_null(strstr(buf_cstr(&whole), "201 Created"));
    cr_assert_not_null(strstr(buf_cstr(&whole), "404 Not Found"));
    buf_close(&whole);
}

static struct buf filled(const char *before, size_t n, const char *after)
{
    struct buf b = {0};
    buf_put_str(&b, before);
    memset(buf_grow(&b, n), 'a', n);
    b.n += n;
    buf_put_str(&b, after);
    return b;
}

static int status_of_buf(struct buf *b)
{
    int status = status_of(buf_cstr(b));
    buf_close(b);
    return status;
}

Test(http, limits_of_the_head)
{
    struct buf b = filled("GET /livez?", HTTP_URI_MAX - 7, " HTTP/1.1\r\n" H "\r\n");
    cr_expect_eq(status_of_buf(&b), 200);
    b = filled("GET /livez?", HTTP_URI_MAX - 6, " HTTP/1.1\r\n" H "\r\n");
    cr_expect_eq(status_of_buf(&b), 414);
    b = filled("GET /livez?", 3 * HTTP_URI_MAX, "");
    cr_expect_eq(status_of_buf(&b), 414);
    b = filled("GET /livez HTTP/1.1\r\n" H "X: ", HTTP_HEADERS_MAX - 16, "\r\n\r\n");
    cr_expect_eq(status_of_buf(&b), 200);
    b = filled("GET /livez HTTP/1.1\r\n" H "X: ", HTTP_HEADERS_MAX - 15, "\r\n\r\n");
    cr_expect_eq(status_of_buf(&b), 431);
    b = filled("GET /livez HTTP/1.1\r\n" H "X: ", 2 * HTTP_HEADERS_MAX, "");
    cr_expect_eq(status_of_buf(&b), 431);
}

Test(http, a_header_repeated_without_end_is_refused)
{
    struct buf b = {0};
    buf_put_str(&b, "GET /livez HTTP/1.1\r\n" H);
    for (int i = 0; i < HTTP_KNOWN_MAX; i++)
        buf_put_str(&b, "Accept: a\r\n");
    buf_put_str(&b, "\r\n");
    cr_assert_eq(status_of_buf(&b), 431);
}

Test(http, media_types_and_words)
{
    struct bytes m = http_media(bytes_str(" application/json ; q=1"));
    cr_assert(http_word_eq(m, "application/json"));
    cr_assert(http_word_eq(bytes_str("CHUNKED"), "chunked"));
    cr_assert_not(http_word_eq(bytes_str("chunke"), "chunked"));
    cr_assert_not(http_word_eq(bytes_str("chunkedx"), "chunked"));
}
