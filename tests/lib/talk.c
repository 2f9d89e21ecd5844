/*
 * The sockets' place in tests of the HTTP engine.
 */
#include "tests/lib/talk.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void talk_open_with(struct talk *t, enum api_origin origin, const struct api_config *config)
{
    *t = (struct talk){.fake = mem_zalloc(sizeof *t->fake), .now_ms = 1000};
    struct api_backend backend = fake_backend(t->fake);
    t->api = api_new(config, &backend);
    t->fake->api = t->api;
    api_clock(t->api, t->now_ms * 1000);
    api_date(t->api, "Sun, 06 Nov 1994 08:49:37 GMT");
    t->conn = api_conn_new(t->api, origin, t->now_ms);
    assert(t->conn != NULL);
}

void talk_open(struct talk *t, enum api_origin origin)
{
    talk_open_with(t, origin, &(struct api_config){.version = "test", .node = {{0xab, 0xcd}}});
}

void talk_again(struct talk *t, enum api_origin origin)
{
    api_conn_free(t->conn);
    buf_reset(&t->got);
    t->conn = api_conn_new(t->api, origin, t->now_ms);
    assert(t->conn != NULL);
}

void talk_close(struct talk *t)
{
    api_conn_free(t->conn);
    while (fake_step(t->fake)) {
    }
    api_free(t->api);
    fake_close(t->fake);
    free(t->fake);
    buf_close(&t->got);
}

void talk_collect(struct talk *t)
{
    struct bytes out;
    while ((out = api_conn_output(t->conn)).n > 0) {
        buf_put_bytes(&t->got, out);
        api_conn_sent(t->conn, out.n);
    }
    while (api_dirty_next(t->api) != NULL) {
    }
}

void talk_send_n(struct talk *t, const void *bytes, size_t n)
{
    void *copy = mem_dup(bytes, n); /* so that a borrowed byte that is kept is noticed */
    if (n > 0)
        api_conn_input(t->conn, bytes_of(copy, n), t->now_ms);
    free(copy);
    talk_collect(t);
}

void talk_send(struct talk *t, const char *bytes)
{
    talk_send_n(t, bytes, strlen(bytes));
}

void talk_end(struct talk *t)
{
    api_conn_input(t->conn, (struct bytes){0}, t->now_ms);
    talk_collect(t);
}

void talk_wait(struct talk *t, uint64_t ms)
{
    t->now_ms += ms;
    api_clock(t->api, t->now_ms * 1000);
    if (api_conn_deadline(t->conn) <= t->now_ms)
        api_conn_tick(t->conn, t->now_ms);
    talk_collect(t);
}

const char *reply_header(const struct reply *r, const char *name)
{
    static char value[1024];
    const char *at = memchr(r->head.p, '\n', r->head.n), *end = (const char *)r->head.p + r->head.n;
    size_t n = strlen(name);
    while (at != NULL && ++at < end) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        if (lf != NULL && (size_t)(lf - at) > n + 2 && strncasecmp(at, name, n) == 0 && at[n] == ':') {
            (void)snprintf(value, sizeof value, "%.*s", (int)(lf - at - (long)n - 3), at + n + 2);
            return value;
        }
        at = lf;
    }
    return NULL;
}

bool talk_take(struct talk *t, struct reply *r, bool head_only)
{
    const uint8_t *end = t->got.n > 0 ? memmem(t->got.p, t->got.n, "\r\n\r\n", 4) : NULL;
    if (end == NULL)
        return false;
    buf_reset(&r->head);
    buf_reset(&r->body);
    buf_put(&r->head, t->got.p, (size_t)(end - t->got.p) + 2);
    r->status = atoi((const char *)t->got.p + 9);
    size_t head = r->head.n + 2;
    const char *length = reply_header(r, "Content-Length");
    size_t n = length != NULL && !head_only && r->status != 304 ? (size_t)strtoul(length, NULL, 10) : 0;
    if (t->got.n < head + n)
        return false;
    buf_put(&r->body, t->got.p + head, n);
    buf_drop(&t->got, head + n);
    return true;
}

int talk_ask(struct talk *t, struct reply *r, const char *method, const char *path, const char *headers, const char *body)
{
    struct buf b = {0};
    buf_printf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s", method, path, headers);
    if (body != NULL)
        buf_printf(&b, "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    else
        buf_put_str(&b, "\r\n");
    talk_send_n(t, b.p, b.n);
    buf_close(&b);
    return talk_take(t, r, strcmp(method, "HEAD") == 0) ? r->status : 0;
}

const char *reply_member(const struct reply *r, const char *name)
{
    static char value[256];
    json_t *tree = json_loadb((const char *)r->body.p, r->body.n, 0, NULL);
    const json_t *v = json_object_get(tree, name);
    value[0] = 0;
    if (json_is_string(v))
        (void)snprintf(value, sizeof value, "%s", json_string_value(v));
    else if (json_is_integer(v))
        (void)snprintf(value, sizeof value, "%lld", (long long)json_integer_value(v));
    json_decref(tree);
    return value;
}

void reply_close(struct reply *r)
{
    buf_close(&r->head);
    buf_close(&r->body);
}
