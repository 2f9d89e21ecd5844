/*
 * Deltas, health, metrics, documents and the admin verbs: routes that pass a call's result on.
 */
#include "api/answer.h"
#include "api/handlers.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void on_delta_put(struct exchange *x)
{
    char path[16 + ID_HEX_SIZE] = "/deltas/";
    if (answer_error(x))
        return;
    id_hex(path + strlen(path), &x->call.id_out);
    assert(x->call.out.n > 0);
    answer_send(x, &(struct answer){.status = x->call.created ? 201 : 200,
                                    .type = TYPE_JSON,
                                    .body = buf_view(&x->call.out),
                                    .location = bytes_str(path)});
}

void handle_delta_put(struct exchange *x)
{
    assert(x->body.n <= BUNDLE_MAX);
    x->call.body = buf_view(&x->body);
    exchange_call(x, API_DELTA_PUT, on_delta_put);
}

static void on_delta_got(struct exchange *x)
{
    if (x->call.err == ERR_NOT_FOUND)
        answer_problem(x, 404, "not_found", "this node does not hold that delta");
    else if (!answer_error(x))
        answer_out(x, TYPE_MSGPACK);
}

void handle_delta_get(struct exchange *x)
{
    x->call.id = x->match.id;
    exchange_call(x, API_DELTA_GET, on_delta_got);
}

static void on_receipts(struct exchange *x)
{
    if (!answer_error(x))
        answer_out(x, TYPE_JSON);
}

void handle_receipts(struct exchange *x)
{
    if (read_page(x))
        exchange_call(x, API_RECEIPTS, on_receipts);
}

static void on_receipt(struct exchange *x)
{
    if (x->call.err == ERR_NOT_FOUND)
        answer_problem(x, 404, "not_found", "this node keeps no receipt of that id");
    else if (!answer_error(x))
        answer_out(x, TYPE_JSON);
}

void handle_receipt(struct exchange *x)
{
    x->call.name = x->match.name;
    exchange_call(x, API_RECEIPT, on_receipt);
}

static void answer_health(struct exchange *x, int status, const char *text, const char *json)
{
    assert(status == 200 || status == 503);
    bool as_json = accepts(x, TYPE_JSON);
    answer_send(x, &(struct answer){.status = status,
                                    .type = as_json ? TYPE_JSON : TYPE_TEXT,
                                    .body = bytes_str(as_json ? json : text),
                                    .headers = "Cache-Control: no-store\r\nVary: Accept\r\n"});
}

void handle_live(struct exchange *x)
{
    answer_health(x, 200, "ok\n", "{\"status\":\"ok\"}");
}

static bool asks(const struct exchange *x, const char *name)
{
    struct bytes rest = x->conn->http.head.query, key, value;
    while (query_next(&rest, &key, &value))
        if (http_word_eq(key, name))
            return true;
    return false;
}

static void on_ready(struct exchange *x)
{
    if (answer_error(x))
        return;
    int status = x->call.ready ? 200 : 503;
    assert(x->call.out.n > 0);
    if (!asks(x, "verbose") && !accepts(x, TYPE_JSON)) {
        answer_health(x, status, x->call.ready ? "ok\n" : "not ready\n", "");
        return;
    }
    answer_send(x, &(struct answer){.status = status,
                                    .type = TYPE_JSON,
                                    .body = buf_view(&x->call.out),
                                    .headers = "Cache-Control: no-store\r\nVary: Accept\r\n"});
}

void handle_ready(struct exchange *x)
{
    exchange_call(x, API_READY, on_ready);
}

static void on_metrics(struct exchange *x)
{
    if (!answer_error(x))
        answer_out(x, TYPE_METRICS);
}

void handle_metrics(struct exchange *x)
{
    exchange_call(x, API_METRICS, on_metrics);
}

void handle_openapi(struct exchange *x)
{
    struct buf *doc = &x->api->openapi;
    if (doc->n == 0)
        api_openapi(doc);
    answer_send(x, &(struct answer){.status = 200, .type = TYPE_JSON, .body = buf_view(doc)});
}

static void on_root(struct exchange *x)
{
    if (answer_error(x))
        return;
    answer_send(x, &(struct answer){.status = 200,
                                    .type = TYPE_HTML,
                                    .body = buf_view(&x->call.out),
                                    .headers = "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
                                               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
                                               "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"});
}

void handle_root(struct exchange *x)
{
    exchange_call(x, API_DASHBOARD, on_root);
}

static void on_json(struct exchange *x)
{
    if (answer_error(x))
        return;
    if (x->call.out.n > 0)
        answer_out(x, TYPE_JSON);
    else
        answer_send(x, &(struct answer){.status = 204});
}

void handle_status(struct exchange *x)
{
    exchange_call(x, API_STATUS, on_json);
}

static bool verb_valid(struct bytes verb)
{
    for (size_t i = 0; i < verb.n; i++)
        if ((verb.p[i] < 'a' || verb.p[i] > 'z') && verb.p[i] != '-')
            return false;
    return verb.n > 0;
}

/* ?kind=model for rows that do not say their own. False: answered. */
static bool admin_kind(struct exchange *x)
{
    struct bytes rest = x->conn->http.head.query, key, value;
    while (query_next(&rest, &key, &value)) {
        char word[16];
        if (!http_word_eq(key, "kind"))
            continue;
        (void)snprintf(word, sizeof word, "%.*s", (int)(value.n < 15 ? value.n : 15), (const char *)value.p);
        const struct kind_desc *kind = kind_by_word(word);
        if (kind == NULL) {
            answer_problem(x, 400, "bad_query", "kind is model, agent or server");
            return false;
        }
        x->call.kind = kind->kind;
    }
    return true;
}

void handle_admin(struct exchange *x)
{
    struct bytes verb = x->match.name;
    if (!verb_valid(verb)) {
        answer_problem(x, 404, "no_route", "an admin verb is made of a-z and -");
        return;
    }
    if (!admin_kind(x))
        return;
    uint8_t *end = x->text.p + (verb.p - x->text.p) + verb.n; /* the blank or '?' after the path */
    assert(end < x->text.p + x->text.n);
    *end = 0;
    x->call.admin = (const char *)verb.p;
    x->call.body = buf_view(&x->body);
    exchange_call(x, API_ADMIN, on_json);
}
