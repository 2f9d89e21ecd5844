/*
 * Writing answers. The usual head is a handful of memcpy into the connection's one output buffer.
 */
#include "api/answer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int status;
    const char *phrase;
} phrases[] = {
    {200, "OK"}, {201, "Created"}, {204, "No Content"}, {304, "Not Modified"}, {400, "Bad Request"},
    {401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"},
    {408, "Request Timeout"}, {409, "Conflict"}, {412, "Precondition Failed"}, {413, "Content Too Large"},
    {414, "URI Too Long"}, {415, "Unsupported Media Type"}, {417, "Expectation Failed"},
    {422, "Unprocessable Content"}, {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"},
    {503, "Service Unavailable"}, {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"}, {507, "Insufficient Storage"},
};

const char *answer_phrase(int status)
{
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Unknown";
}

/* A cursor over memory reserved beforehand. */
struct pen {
    uint8_t *p;
};

static void put(struct pen *w, const char *text, size_t n)
{
    memcpy(w->p, text, n);
    w->p += n;
}

static void put_text(struct pen *w, const char *text)
{
    put(w, text, strlen(text));
}

static void put_number(struct pen *w, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do
        digits[sizeof digits - ++n] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    put(w, digits + sizeof digits - n, n);
}

#define REQUEST_ID_SIZE 26 /* 8 digits of the node, '-', 16 of the number, NUL */

static void request_id(const struct exchange *x, char out[REQUEST_ID_SIZE])
{
    uint8_t number[8];
    put_be(number, x->number, sizeof number);
    memcpy(out, x->api->node, 8);
    out[8] = '-';
    hex_encode(out + 9, number, sizeof number);
}

/* Reading that needs no token is for everyone, pages of other sites included. */
static bool is_public(const struct exchange *x)
{
    const struct route *r = x->match.route;
    return r != NULL && r->method == HTTP_GET && x->conn->origin == API_TCP && r->scope <= SCOPE_READ &&
           !(r->scope == SCOPE_READ && x->api->config.read_needs_token);
}

static void put_status(struct pen *w, int status)
{
    if (status == 200) {
        put_text(w, "HTTP/1.1 200 OK\r\n");
        return;
    }
    put_text(w, "HTTP/1.1 ");
    put_number(w, (uint64_t)status);
    put_text(w, " ");
    put_text(w, answer_phrase(status));
    put_text(w, "\r\n");
}

static void put_common(struct pen *w, const struct exchange *x)
{
    char id[REQUEST_ID_SIZE];
    put(w, x->api->date, x->api->date_n);
    request_id(x, id);
    put_text(w, "X-Request-Id: ");
    put(w, id, sizeof id - 1);
    put_text(w, "\r\n");
    if (is_public(x))
        put_text(w, "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: ETag, X-Request-Id\r\n");
    if (x->close)
        put_text(w, "Connection: close\r\n");
    else if (x->conn->http.head.minor == 0)
        put_text(w, "Connection: keep-alive\r\n");
}

/* Bytes that a head without location and more headers takes at most. */
#define HEAD_ROOM 640

static void count(struct exchange *x, int status)
{
    struct api_stats *s = &x->api->stats;
    assert(status >= 100 && status < 600);
    s->requests[status / 100]++;
    if (x->conn->answered++ == 0)
        x->conn->started_us = x->started_us;
    x->answered = true;
}

void answer_send(struct exchange *x, const struct answer *a)
{
    struct api_conn *c = x->conn;
    assert(!x->answered && c != NULL);
    if (x->api->draining)
        x->close = true;
    size_t more = a->headers != NULL ? strlen(a->headers) : 0;
    struct pen w = {buf_grow(&c->out, HEAD_ROOM + a->location.n + more + a->body.n)};
    put_status(&w, a->status);
    put_common(&w, x);
    if (a->type != NULL) {
        put_text(&w, "Content-Type: ");
        put_text(&w, a->type);
        put_text(&w, "\r\n");
    }
    if (a->status != 204 && a->status != 304) {
        put_text(&w, "Content-Length: ");
        put_number(&w, a->body.n);
        put_text(&w, "\r\n");
    }
    if (a->etag != NULL) {
        char hex[ID_HEX_SIZE];
        id_hex(hex, a->etag);
        put_text(&w, "ETag: \"");
        put(&w, hex, ID_HEX_SIZE - 1);
        put_text(&w, "\"\r\n");
    }
    if (a->location.n > 0) {
        put_text(&w, "Location: ");
        put(&w, (const char *)a->location.p, a->location.n);
        put_text(&w, "\r\n");
    }
    if (more > 0)
        put(&w, a->headers, more);
    put_text(&w, "\r\n");
    if (a->body.n > 0 && !x->is_head)
        put(&w, (const char *)a->body.p, a->body.n);
    c->out.n = (size_t)(w.p - c->out.p);
    assert(c->out.n <= c->out.cap);
    count(x, a->status);
}

void answer_stream(struct exchange *x, const char *type)
{
    struct api_conn *c = x->conn;
    assert(!x->answered);
    assert(c != NULL);
    x->close = true;
    struct pen w = {buf_grow(&c->out, HEAD_ROOM)};
    put_status(&w, 200);
    put_common(&w, x);
    put_text(&w, "Content-Type: ");
    put_text(&w, type);
    put_text(&w, "\r\nCache-Control: no-store\r\nVary: Accept\r\nX-Accel-Buffering: no\r\n\r\n");
    c->out.n = (size_t)(w.p - c->out.p);
    count(x, 200);
}

/* Text of a client inside a document: what is not UTF-8 is not repeated. */
static void put_json(struct buf *out, const char *text)
{
    struct bytes b = bytes_str(text);
    json_put_string(out, utf8_valid(b) ? b : bytes_str("(text that is not UTF-8)"));
}

static void put_faults(struct buf *b, const struct faults *faults)
{
    buf_put_str(b, ",\"errors\":[");
    for (size_t i = 0; i < faults->count; i++) {
        buf_put_str(b, i > 0 ? ",{\"pointer\":" : "{\"pointer\":");
        put_json(b, faults->list[i].pointer);
        buf_put_str(b, ",\"detail\":");
        put_json(b, faults->list[i].detail);
        buf_put_str(b, "}");
    }
    buf_put_str(b, "]");
}

static void put_problem(struct buf *b, const struct exchange *x, const struct http_fault *f, const struct faults *faults)
{
    char id[REQUEST_ID_SIZE];
    request_id(x, id);
    buf_put_str(b, "{\"type\":\"about:blank\",\"title\":");
    put_json(b, answer_phrase(f->status));
    buf_printf(b, ",\"status\":%d,\"detail\":", f->status);
    put_json(b, f->detail);
    buf_put_str(b, ",\"code\":");
    put_json(b, f->code);
    buf_printf(b, ",\"request_id\":\"%s\"", id);
    if (faults != NULL)
        put_faults(b, faults);
    if (x->call.receipt.n > 0) {
        buf_put_str(b, ",\"receipt\":");
        buf_put_bytes(b, buf_view(&x->call.receipt));
    }
    buf_put_str(b, "}");
}

static void send_problem(struct exchange *x, const struct http_fault *f, const struct faults *faults)
{
    struct buf b = {0};
    char headers[256];
    put_problem(&b, x, f, faults);
    buf_put_str(&b, "\n");
    int n = 0;
    headers[0] = 0;
    if (f->status == 401)
        n = snprintf(headers, sizeof headers, "WWW-Authenticate: Bearer realm=\"souk\"\r\n");
    else if (f->status == 429 || f->status == 503)
        n = snprintf(headers, sizeof headers, "Retry-After: %u\r\n", x->retry_s > 0 ? x->retry_s : 1);
    if (f->status == 405) {
        struct buf allow = {0};
        route_allow(&x->match, &allow);
        n = snprintf(headers, sizeof headers, "Allow: %s\r\n", buf_cstr(&allow));
        buf_close(&allow);
    }
    assert(n >= 0 && (size_t)n < sizeof headers);
    answer_send(x, &(struct answer){.status = f->status, .type = TYPE_PROBLEM, .body = buf_view(&b), .headers = headers});
    buf_close(&b);
}

void answer_problem(struct exchange *x, int status, const char *code, const char *detail, ...)
{
    char text[1024];
    assert(status >= 400 && code != NULL);
    va_list args;
    va_start(args, detail);
    (void)vsnprintf(text, sizeof text, detail, args);
    va_end(args);
    send_problem(x, &(struct http_fault){.status = status, .code = code, .detail = text}, NULL);
}

void answer_faults(struct exchange *x, const char *detail, const struct faults *faults)
{
    send_problem(x, &(struct http_fault){.status = 422, .code = "invalid", .detail = detail}, faults);
}

void answer_refusal(struct exchange *x)
{
    assert(x->refusal.status != 0);
    send_problem(x, &x->refusal, NULL);
}

static const struct http_fault errors[ERR_COUNT] = {
    [ERR_FORM] = {400, "malformed", "the request does not have the form asked for"},
    [ERR_LIMIT] = {413, "too_large", "the request is over a limit"},
    [ERR_MESH] = {422, "wrong_mesh", "this belongs to another mesh"},
    [ERR_SIGNATURE] = {422, "bad_signature", "the signature does not verify"},
    [ERR_AHEAD] = {422, "time_ahead", "its time is ahead of this node's clock; hand it in later"},
    [ERR_NOT_FOUND] = {404, "not_found", "there is no such entry here"},
    [ERR_CONFLICT] = {412, "stale", "the entry is not at the revision asked for; read it again and repeat"},
    [ERR_DENIED] = {403, "denied", "only the owner and its writers may change this entry"},
    [ERR_INVALID] = {422, "invalid", "the record breaks a rule of its schema"},
    [ERR_TOO_LARGE] = {413, "too_large", "the record does not fit into 64 KiB"},
    [ERR_AMBIGUOUS] = {409, "ambiguous", "several owners use this name; ask by id"},
    [ERR_VERSION] = {400, "unknown_version", "this is in a format version that this node does not know"},
    [ERR_IO] = {503, "storage_failed", "the disk failed; nothing was written"},
    [ERR_NO_SPACE] = {507, "disk_full", "the disk is full; nothing was written"},
    [ERR_READ_ONLY] = {503, "read_only", "the disk is read-only; nothing was written"},
    [ERR_CORRUPT] = {500, "corrupt", "stored bytes do not verify; run `souk verify`"},
    [ERR_BUSY] = {429, "busy", "too many writes wait; try again later"},
    [ERR_CLOSED] = {503, "shutting_down", "this node is shutting down; ask another"},
};

void answer_candidates(struct exchange *x, const struct faults *candidates)
{
    send_problem(x, &errors[ERR_AMBIGUOUS], candidates);
}

/* The same error can mean different things to different calls (api.h). */
static struct http_fault error_of(const struct api_call *call)
{
    struct http_fault f = errors[call->err];
    assert(f.status != 0);
    bool cursor = call->op == API_LIST || call->op == API_HISTORY || call->op == API_CHANGES ||
                  call->op == API_RECEIPTS;
    if (cursor && call->err == ERR_FORM)
        return (struct http_fault){400, "bad_cursor", "the cursor is not one that this node gave; start again without one"};
    if (cursor && call->err == ERR_MESH)
        return (struct http_fault){400, "foreign_cursor", "the cursor belongs to another node; start again without one"};
    if (call->op == API_ADMIN && call->err == ERR_CONFLICT)
        return (struct http_fault){409, "conflict", "it exists already"};
    if (call->op == API_ADMIN && call->err == ERR_LIMIT)
        return (struct http_fault){422, "limit", "this is over a limit"};
    return f;
}

/* What the path names and is not here. */
static void put_missing(struct exchange *x)
{
    const struct route_match *m = &x->match;
    struct buf *out = &x->call.detail;
    char hex[ID_HEX_SIZE];
    assert(m->kind != NULL && out->n == 0);
    if (x->call.op == API_REVISION) {
        id_hex(hex, &m->second);
        buf_printf(out, "there is no %s of that name or id with the revision %s here", m->kind->singular, hex);
        return;
    }
    if (m->has_id) {
        id_hex(hex, &m->id);
        buf_printf(out, "there is no %s %s here", m->kind->singular, hex);
    } else {
        buf_printf(out, "there is no %s named \"", m->kind->singular);
        buf_put_bytes(out, m->name);
        buf_put_str(out, "\" here");
    }
    buf_printf(out, "; GET /%s lists what there is", m->kind->plural);
}

void answer_missing(struct exchange *x)
{
    struct api_call *call = &x->call;
    if (call->detail.n == 0)
        put_missing(x);
    const char *code = call->err == ERR_NOT_FOUND && call->code != NULL ? call->code : "not_found";
    send_problem(x, &(struct http_fault){404, code, buf_cstr(&call->detail)}, NULL);
}

static struct http_fault fault_of(struct api_call *call)
{
    assert(call->err != ERR_OK && call->err < ERR_COUNT);
    struct http_fault f = error_of(call);
    if (call->status != 0)
        f.status = call->status;
    if (call->code != NULL)
        f.code = call->code;
    if (call->detail.n > 0)
        f.detail = buf_cstr(&call->detail);
    return f;
}

int put_call_problem(struct buf *out, struct exchange *x)
{
    struct http_fault f = fault_of(&x->call);
    put_problem(out, x, &f, NULL);
    return f.status;
}

bool answer_error(struct exchange *x)
{
    struct api_call *call = &x->call;
    if (call->err == ERR_OK)
        return false;
    assert(call->err < ERR_COUNT);
    if (call->err == ERR_NOT_FOUND && call->status == 0 && x->match.kind != NULL && (x->match.has_id || x->match.name.n > 0)) {
        answer_missing(x);
        return true;
    }
    struct http_fault f = fault_of(call);
    struct faults faults = {.count = 0};
    if (call->fault.pointer[0] != 0)
        faults.list[faults.count++] = call->fault;
    x->retry_s = call->retry_s;
    send_problem(x, &f, faults.count > 0 ? &faults : NULL);
    return true;
}
