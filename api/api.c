/*
 * The engine as a whole: configuration, the list of connections, exchanges and their calls to the node, counters.
 */
#include "api/engine.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

const uint64_t api_latency_us[API_LATENCY_BUCKETS - 1] = {100,   250,   500,    1000,   2500,   5000,
                                                          10000, 50000, 100000, 500000, 1000000};

struct api *api_new(const struct api_config *config, const struct api_backend *backend)
{
    struct api *a = mem_zalloc(sizeof *a);
    char hex[ID_HEX_SIZE];
    a->config = *config;
    a->backend = *backend;
    if (a->config.header_timeout_ms == 0)
        a->config.header_timeout_ms = API_HEADER_TIMEOUT_MS;
    if (a->config.body_timeout_ms == 0)
        a->config.body_timeout_ms = API_BODY_TIMEOUT_MS;
    if (a->config.idle_timeout_ms == 0)
        a->config.idle_timeout_ms = API_IDLE_TIMEOUT_MS;
    if (a->config.max_connections == 0)
        a->config.max_connections = API_CONNECTIONS_MAX;
    id_hex(hex, &config->node);
    memcpy(a->node, hex, 8);
    return a;
}

static void exchange_free(struct exchange *x)
{
    buf_close(&x->call.detail);
    buf_close(&x->call.out);
    buf_close(&x->call.cursor_out);
    buf_close(&x->call.receipt);
    buf_close(&x->held);
    free(x->call.changes);
    buf_close(&x->text);
    buf_close(&x->body);
    buf_close(&x->cursor);
    json_fields_close(&x->fields);
    json_decref(x->tree);
    free(x);
}

void api_free(struct api *a)
{
    if (a == NULL)
        return;
    assert(a->conns == NULL);
    while (a->orphans != NULL) {
        struct exchange *x = a->orphans;
        a->orphans = x->spare;
        a->pending--;
        exchange_free(x);
    }
    assert(a->pending == 0);
    while (a->spare != NULL) {
        struct exchange *x = a->spare;
        a->spare = x->spare;
        exchange_free(x);
    }
    buf_close(&a->openapi);
    free(a);
}

void api_clock(struct api *a, uint64_t now_us)
{
    if (now_us > a->now_us)
        a->now_us = now_us;
}

void api_date(struct api *a, const char *date)
{
    assert(date != NULL);
    size_t n = strnlen(date, API_DATE_SIZE - 1);
    memcpy(a->date, "Date: ", 6);
    memcpy(a->date + 6, date, n);
    memcpy(a->date + 6 + n, "\r\n", 2);
    a->date_n = n > 0 ? n + 8 : 0;
}

void api_stats(const struct api *a, struct api_stats *out)
{
    *out = a->stats;
}

void api_mark(struct api_conn *c)
{
    struct api *a = c->api;
    if (c->dirty)
        return;
    c->dirty = true;
    c->next_dirty = NULL;
    if (a->dirty_last != NULL)
        a->dirty_last->next_dirty = c;
    else
        a->dirty = c;
    a->dirty_last = c;
}

struct api_conn *api_dirty_next(struct api *a)
{
    struct api_conn *c = a->dirty;
    if (c == NULL)
        return NULL;
    assert(c->dirty);
    a->dirty = c->next_dirty;
    if (a->dirty == NULL)
        a->dirty_last = NULL;
    c->dirty = false;
    return c;
}

static void trim(struct buf *b)
{
    if (b->cap > API_KEEP_MAX)
        buf_close(b);
    buf_reset(b);
}

struct exchange *exchange_open(struct api_conn *c)
{
    struct api *a = c->api;
    struct exchange *x = a->spare;
    if (x != NULL) {
        a->spare = x->spare;
        a->spare_count--;
    } else {
        x = mem_zalloc(sizeof *x);
    }
    assert(!x->calling && !x->answered && x->body.n == 0);
    x->api = a;
    x->conn = c;
    x->call.engine = x;
    x->number = ++a->requests;
    x->started_us = a->now_us;
    a->pending++;
    return x;
}

void exchange_close(struct exchange *x)
{
    struct api *a = x->api;
    assert(!x->calling && a->pending > 0);
    a->pending--;
    json_decref(x->tree);
    x->tree = NULL;
    if (x->fields.arena.cap > API_KEEP_MAX)
        json_fields_close(&x->fields);
    if (a->spare_count >= API_SPARE_MAX) {
        exchange_free(x);
        return;
    }
    trim(&x->text);
    trim(&x->body);
    trim(&x->cursor);
    trim(&x->call.out);
    trim(&x->call.detail);
    trim(&x->call.cursor_out);
    trim(&x->call.receipt);
    buf_close(&x->held);
    free(x->call.changes);
    struct api_call call = {.out = x->call.out, .detail = x->call.detail, .cursor_out = x->call.cursor_out,
                            .receipt = x->call.receipt};
    *x = (struct exchange){.call = call, .text = x->text, .body = x->body, .cursor = x->cursor, .fields = x->fields,
                           .spare = a->spare};
    a->spare = x;
    a->spare_count++;
}

void exchange_abandon(struct exchange *x)
{
    struct api *a = x->api;
    x->conn = NULL;
    if (!x->calling) {
        exchange_close(x);
        return;
    }
    x->before = NULL;
    x->spare = a->orphans;
    if (a->orphans != NULL)
        a->orphans->before = x;
    a->orphans = x;
    if (a->backend.cancel != NULL)
        a->backend.cancel(a->backend.ctx, &x->call);
}

/* The call of an orphan has ended. */
static void bury(struct exchange *x)
{
    assert(x->conn == NULL && !x->calling);
    if (x->spare != NULL)
        x->spare->before = x->before;
    *(x->before != NULL ? &x->before->spare : &x->api->orphans) = x->spare;
    x->spare = NULL;
    exchange_close(x);
}

/* Forgets the results of the call before. */
static void call_reset(struct api_call *call)
{
    call->err = ERR_OK;
    call->status = 0;
    call->code = NULL;
    call->retry_s = 0;
    call->fault.pointer[0] = 0;
    buf_reset(&call->detail);
    buf_reset(&call->out);
    buf_reset(&call->cursor_out);
    buf_reset(&call->receipt);
    call->has_revision = call->created = call->ready = false;
    call->change_count = 0;
    free(call->changes);
    call->changes = NULL;
    call->next_seq = 0;
}

void exchange_call(struct exchange *x, enum api_op op, exchange_step *then)
{
    assert(!x->calling && x->conn != NULL);
    call_reset(&x->call);
    x->call.op = op;
    x->then = then;
    x->calling = x->synchronous = true;
    x->done = false;
    x->api->backend.call(x->api->backend.ctx, &x->call);
    x->synchronous = false;
    if (!x->done)
        return;
    x->calling = false;
    then(x);
}

void api_call_done(struct api_call *call)
{
    struct exchange *x = call->engine;
    assert(x != NULL && x->calling && !x->done);
    assert(call->err < ERR_COUNT);
    if (x->synchronous) {
        x->done = true;
        return;
    }
    x->calling = false;
    if (x->conn == NULL) {
        bury(x);
        return;
    }
    if (x->conn->state == CONN_CALL || x->conn->state == CONN_STREAM)
        x->then(x);
    conn_resume(x->conn);
}

void api_changed(struct api *a)
{
    for (struct api_conn *c = a->conns; c != NULL; c = c->next) {
        if (c->state != CONN_STREAM)
            continue;
        c->x->behind = true;
        conn_resume(c);
    }
}
