/*
 * A connection: requests are read one after another, each is answered before the next is looked at, and everything a
 * client can make grow has a bound or a deadline. Moves along the table below and nowhere else.
 */
#include "api/answer.h"
#include "api/handlers.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIT(state) (1u << (state))

/* Which states may follow which. */
static const unsigned moves[CONN_STATES] = {
    [CONN_IDLE] = BIT(CONN_HEAD) | BIT(CONN_BODY) | BIT(CONN_CALL) | BIT(CONN_LINGER) | BIT(CONN_DONE),
    [CONN_HEAD] = BIT(CONN_IDLE) | BIT(CONN_BODY) | BIT(CONN_CALL) | BIT(CONN_LINGER) | BIT(CONN_DONE),
    [CONN_BODY] = BIT(CONN_CALL) | BIT(CONN_LINGER) | BIT(CONN_DONE),
    [CONN_CALL] = BIT(CONN_IDLE) | BIT(CONN_STREAM) | BIT(CONN_LINGER) | BIT(CONN_DONE),
    [CONN_STREAM] = BIT(CONN_DONE),
    [CONN_LINGER] = BIT(CONN_DONE),
    [CONN_DONE] = 0,
};

static uint64_t now_ms(const struct api_conn *c)
{
    return c->api->now_us / 1000;
}

static void move(struct api_conn *c, enum conn_state to)
{
    if (c->state == to)
        return;
    assert((moves[c->state] & BIT(to)) != 0);
    if (c->state == CONN_STREAM)
        c->api->stats.streams--;
    if (to == CONN_STREAM)
        c->api->stats.streams++;
    c->state = to;
    c->since_ms = now_ms(c);
    api_mark(c);
}

size_t conn_unsent(const struct api_conn *c)
{
    assert(c->sent <= c->out.n);
    return c->out.n - c->sent;
}

struct api_conn *api_conn_new(struct api *a, enum api_origin origin, uint64_t now)
{
    api_clock(a, now * 1000);
    if (a->stats.connections >= a->config.max_connections) {
        a->stats.refused++;
        return NULL;
    }
    struct api_conn *c = mem_zalloc(sizeof *c);
    c->api = a;
    c->origin = origin;
    c->since_ms = now_ms(c);
    http_init(&c->http);
    c->next = a->conns;
    if (a->conns != NULL)
        a->conns->prev = c;
    a->conns = c;
    a->stats.connections++;
    a->stats.accepted++;
    return c;
}

static void forget_dirty(struct api_conn *c)
{
    struct api *a = c->api;
    struct api_conn **at = &a->dirty, *last = NULL;
    while (*at != NULL && *at != c) {
        last = *at;
        at = &(*at)->next_dirty;
    }
    if (*at == NULL)
        return;
    *at = c->next_dirty;
    if (a->dirty_last == c)
        a->dirty_last = last;
}

void api_conn_free(struct api_conn *c)
{
    if (c == NULL)
        return;
    struct api *a = c->api;
    assert(!c->running);
    if (c->dirty)
        forget_dirty(c);
    if (c->state == CONN_STREAM)
        a->stats.streams--;
    if (c->x != NULL)
        exchange_abandon(c->x);
    if (c->next != NULL)
        c->next->prev = c->prev;
    *(c->prev != NULL ? &c->prev->next : &a->conns) = c->next;
    a->stats.connections--;
    buf_close(&c->in);
    buf_close(&c->out);
    free(c);
}

void *api_conn_data(const struct api_conn *c)
{
    return c->data;
}

void api_conn_set_data(struct api_conn *c, void *data)
{
    c->data = data;
}

static void use(struct api_conn *c, size_t n)
{
    assert(n <= c->view.n);
    if (n == 0)
        return;
    c->view = bytes_of(c->view.p + n, c->view.n - n);
}

/* The exchange has its answer: the next request, or the end. */
static void finish(struct api_conn *c, bool unread)
{
    struct exchange *x = c->x;
    assert(x->answered && !x->calling);
    bool last = x->close;
    c->x = NULL;
    exchange_close(x);
    if (!last)
        move(c, CONN_IDLE);
    else
        move(c, unread || c->view.n > 0 ? CONN_LINGER : CONN_DONE);
}

void conn_stream(struct api_conn *c)
{
    assert(c->x->answered && c->x->close);
    move(c, CONN_STREAM);
}

/* Answers a request that cannot be read to its end, and stops reading. */
static void refuse(struct api_conn *c, const struct http_fault *fault)
{
    if (c->x == NULL)
        c->x = exchange_open(c);
    c->x->close = true;
    c->x->refusal = *fault;
    answer_refusal(c->x);
    finish(c, true);
}

static void dispatch(struct api_conn *c)
{
    struct exchange *x = c->x;
    x->started_us = c->api->now_us;
    move(c, CONN_CALL);
    if (x->refusal.status != 0)
        answer_refusal(x);
    else
        x->match.route->handle(x);
    if (x->answered && c->state == CONN_CALL && !x->calling)
        finish(c, false);
}

static size_t body_limit(const struct exchange *x)
{
    const struct route *r = x->match.route;
    return r != NULL && r->body_max > 0 ? r->body_max : API_RECORD_MAX;
}

static void refuse_large(struct api_conn *c)
{
    char detail[96];
    (void)snprintf(detail, sizeof detail, "the body has more than %zu bytes, the most that this path takes",
                   body_limit(c->x));
    refuse(c, &(struct http_fault){.status = 413, .code = "too_large", .detail = detail});
}

/* What to do about the body that follows the head. False: it was refused unread. */
static bool expect_body(struct api_conn *c)
{
    struct exchange *x = c->x;
    const struct http_head *head = &c->http.head;
    struct bytes expect = http_header(head, HTTP_EXPECT);
    bool asks = expect.n > 0 && head->minor == 1;
    bool refused = x->refusal.status != 0;
    size_t max = body_limit(x);
    if (!refused && head->length > max) {
        refuse_large(c);
        return false;
    }
    if (refused && (asks || head->length > API_LINGER_MAX)) {
        struct http_fault fault = x->refusal;
        refuse(c, &fault);
        return false;
    }
    if (asks && !http_word_eq(expect, "100-continue")) {
        refuse(c, &(struct http_fault){417, "unknown_expectation", "the only expectation understood is 100-continue"});
        return false;
    }
    if (asks && c->view.n == 0)
        buf_put_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    assert(c->http.head.has_body && x->body.n == 0);
    c->http.body = refused ? NULL : &x->body;
    c->http.body_max = max;
    return true;
}

/* A whole head stands at the start of the view. */
static void read_head(struct api_conn *c, size_t n)
{
    assert(c->x == NULL && n <= HTTP_HEAD_MAX);
    struct exchange *x = c->x = exchange_open(c);
    buf_put(&x->text, c->view.p, n);
    use(c, n);
    if (http_read_head(&c->http, buf_view(&x->text)) == HTTP_BAD) {
        refuse(c, &c->http.fault);
        return;
    }
    x->is_head = c->http.head.method == HTTP_HEAD;
    x->close = !c->http.head.keep_alive;
    handle_head(x);
    if (!c->http.head.has_body) {
        dispatch(c);
        return;
    }
    if (expect_body(c))
        move(c, CONN_BODY);
}

/* True if there is more to do at once. */
static bool step_head(struct api_conn *c)
{
    size_t n = 0;
    if (c->http.scanned == 0)
        use(c, http_blank(c->view));
    if (conn_unsent(c) > API_OUTPUT_MAX)
        return false;
    switch (http_scan(&c->http, c->view, &n)) {
    case HTTP_DONE:
        read_head(c, n);
        return true;
    case HTTP_BAD:
        refuse(c, &c->http.fault);
        return true;
    case HTTP_MORE:
    case HTTP_LARGE:
        break;
    }
    move(c, c->eof ? CONN_DONE : c->view.n > 0 ? CONN_HEAD : c->state);
    return false;
}

static bool step_body(struct api_conn *c)
{
    size_t used = 0;
    enum http_step step = http_read_body(&c->http, c->view, &used);
    use(c, used);
    switch (step) {
    case HTTP_DONE:
        dispatch(c);
        return true;
    case HTTP_BAD:
        refuse(c, &c->http.fault);
        return true;
    case HTTP_LARGE:
        refuse_large(c);
        return true;
    case HTTP_MORE:
        break;
    }
    if (c->eof)
        move(c, CONN_DONE);
    else if (c->http.body == NULL && c->http.body_seen > API_LINGER_MAX)
        refuse_large(c);
    return false;
}

static bool step_call(struct api_conn *c)
{
    assert(c->x != NULL);
    if (!c->x->answered || c->x->calling)
        return false;
    finish(c, false);
    return true;
}

static bool step_stream(struct api_conn *c)
{
    assert(c->x != NULL && c->x->answered);
    use(c, c->view.n);
    if (c->eof || c->api->draining) {
        move(c, CONN_DONE);
        return false;
    }
    if (!c->x->behind || c->x->calling || conn_unsent(c) > API_OUTPUT_MAX)
        return false;
    stream_fetch(c->x);
    return true;
}

static bool step_linger(struct api_conn *c)
{
    assert(c->x == NULL);
    c->dropped += c->view.n;
    use(c, c->view.n);
    if (c->eof || c->dropped > API_LINGER_MAX)
        move(c, CONN_DONE);
    return false;
}

static bool step(struct api_conn *c)
{
    switch (c->state) {
    case CONN_IDLE:
    case CONN_HEAD:
        return step_head(c);
    case CONN_BODY:
        return step_body(c);
    case CONN_CALL:
        return step_call(c);
    case CONN_STREAM:
        return step_stream(c);
    case CONN_LINGER:
        return step_linger(c);
    case CONN_DONE:
    case CONN_STATES:
        break;
    }
    use(c, c->view.n);
    return false;
}

/* From the first unsent byte on, the client has so long to take some. */
static void arm(struct api_conn *c)
{
    if (conn_unsent(c) == 0)
        c->write_deadline = 0;
    else if (c->write_deadline == 0)
        c->write_deadline = now_ms(c) + API_WRITE_STALL_MS;
}

static void run(struct api_conn *c)
{
    size_t before = conn_unsent(c);
    assert(!c->running);
    c->running = true;
    do {
        c->again = false;
        while (step(c)) {
        }
    } while (c->again);
    c->running = false;
    arm(c);
    if (conn_unsent(c) != before)
        api_mark(c);
}

void conn_resume(struct api_conn *c)
{
    if (c->running) { /* a call ended inside another call of the same connection */
        c->again = true;
        return;
    }
    size_t all = c->in.n;
    c->view = buf_view(&c->in);
    run(c);
    assert(c->view.n <= all);
    buf_drop(&c->in, all - c->view.n);
    c->view = (struct bytes){0};
    api_mark(c); /* reading may go on */
}

size_t api_conn_input(struct api_conn *c, struct bytes in, uint64_t now)
{
    size_t before = conn_unsent(c);
    api_clock(c->api, now * 1000);
    c->api->stats.bytes_in += in.n;
    if (in.n == 0)
        c->eof = true;
    api_mark(c);
    if (in.n == 0 && c->state == CONN_CALL && c->x->watched && c->x->calling) {
        c->dead = true; /* freed by the rim, which gives the call up */
        return 0;
    }
    if (c->in.n > 0 || in.n == 0) {
        buf_put_bytes(&c->in, in);
        conn_resume(c);
    } else {
        c->view = in;
        run(c);
        buf_put_bytes(&c->in, c->view);
        c->view = (struct bytes){0};
    }
    if (c->in.n > API_AHEAD_MAX)
        c->dead = true;
    if (c->in.n == 0 && c->in.cap > API_KEEP_MAX)
        buf_close(&c->in);
    assert(conn_unsent(c) >= before);
    return conn_unsent(c) - before;
}

/* One observation an answer: they left together. */
static void observe(struct api_conn *c)
{
    struct api_stats *s = &c->api->stats;
    uint64_t took = c->api->now_us - c->started_us;
    size_t i = 0;
    while (i < API_LATENCY_BUCKETS - 1 && took > api_latency_us[i])
        i++;
    s->latency[i] += c->answered;
    s->latency_sum_us += took * c->answered;
    c->answered = 0;
}

struct bytes api_conn_output(struct api_conn *c)
{
    if (c->answered > 0)
        observe(c);
    if (c->dead || conn_unsent(c) == 0)
        return (struct bytes){0};
    return bytes_of(c->out.p + c->sent, conn_unsent(c));
}

void api_conn_sent(struct api_conn *c, size_t n)
{
    assert(n <= conn_unsent(c));
    c->sent += n;
    c->api->stats.bytes_out += n;
    uint64_t latest = now_ms(c) + API_WRITE_STALL_MS;
    c->write_deadline = latest - c->write_deadline > n ? c->write_deadline + n : latest;
    bool waits = c->sent == c->out.n || conn_unsent(c) <= API_OUTPUT_MAX;
    if (c->sent == c->out.n) {
        c->sent = 0;
        c->write_deadline = 0;
        buf_reset(&c->out);
        if (c->out.cap > API_KEEP_MAX)
            buf_close(&c->out);
    }
    if (n > 0 && waits && (c->in.n > 0 || c->state == CONN_STREAM || c->state == CONN_DONE || c->state == CONN_LINGER))
        conn_resume(c);
}

bool api_conn_done(const struct api_conn *c)
{
    return c->dead || (c->state == CONN_DONE && conn_unsent(c) == 0);
}

/* A client whose going away ends the work is listened to while it waits. */
static bool is_watched(const struct api_conn *c)
{
    return c->state == CONN_CALL && c->x != NULL && c->x->watched && c->in.n < API_AHEAD_MAX / 2;
}

bool api_conn_paused(const struct api_conn *c)
{
    return (c->state == CONN_CALL && !is_watched(c)) || c->state == CONN_DONE || conn_unsent(c) > API_OUTPUT_MAX;
}

bool api_conn_shut(const struct api_conn *c)
{
    return c->state == CONN_LINGER && conn_unsent(c) == 0;
}

/* When the client must have done what the state waits for. */
static uint64_t read_deadline(const struct api_conn *c)
{
    const struct api_config *f = &c->api->config;
    switch (c->state) {
    case CONN_IDLE:
        return conn_unsent(c) > 0 ? UINT64_MAX : c->since_ms + f->idle_timeout_ms;
    case CONN_HEAD:
        return c->since_ms + f->header_timeout_ms;
    case CONN_BODY:
        return c->since_ms + f->body_timeout_ms + c->http.body_seen;
    case CONN_STREAM:
        return c->since_ms + API_HEARTBEAT_MS;
    case CONN_LINGER:
        return c->since_ms + API_LINGER_MS;
    case CONN_CALL:
    case CONN_DONE:
    case CONN_STATES:
        break;
    }
    return UINT64_MAX;
}

uint64_t api_conn_deadline(const struct api_conn *c)
{
    uint64_t at = read_deadline(c);
    return conn_unsent(c) > 0 && c->write_deadline < at ? c->write_deadline : at;
}

void api_conn_tick(struct api_conn *c, uint64_t now)
{
    static const struct http_fault slow = {.status = 408, .code = "too_slow", .detail = "the request took too long"};
    api_clock(c->api, now * 1000);
    api_mark(c);
    if (conn_unsent(c) > 0 && now >= c->write_deadline) {
        c->dead = true;
        return;
    }
    if (now < read_deadline(c))
        return;
    if (c->state == CONN_STREAM) {
        c->since_ms = now;
        stream_beat(c->x);
        arm(c);
    } else if (c->state == CONN_HEAD || c->state == CONN_BODY) {
        refuse(c, &slow);
        arm(c);
    } else {
        move(c, CONN_DONE);
    }
}

void api_drain(struct api *a)
{
    a->draining = true;
    for (struct api_conn *c = a->conns; c != NULL; c = c->next)
        if (c->state == CONN_STREAM || (c->state == CONN_IDLE && c->in.n == 0))
            move(c, CONN_DONE);
}
