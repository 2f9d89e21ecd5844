/*
 * From a request head to a route: what the path names, whether the token allows it, whether the body is of a type that
 * the route reads. Everything here is decided before the body comes.
 */
#include "api/answer.h"
#include "api/handlers.h"

#include <assert.h>
#include <string.h>

enum { PATH_SHOWN_MAX = 200 };

static void refusal(struct exchange *x, int status, const char *code, const char *detail)
{
    if (x->refusal.status == 0)
        x->refusal = (struct http_fault){.status = status, .code = code, .detail = detail};
}

/* The path as it was asked for, where it can be shown. */
static void refuse_path(struct exchange *x)
{
    struct bytes path = x->conn->http.head.path;
    struct buf *text = &x->call.detail;
    bool plain = path.n <= PATH_SHOWN_MAX;
    for (size_t i = 0; plain && i < path.n; i++)
        plain = path.p[i] > 0x20 && path.p[i] < 0x7f;
    buf_put_str(text, "there is no path ");
    if (plain)
        buf_put_bytes(text, path);
    else
        buf_put_str(text, "like this");
    buf_put_str(text, "; /openapi.json lists them");
    refusal(x, 404, "no_route", buf_cstr(text));
}

static void refuse_method(struct exchange *x)
{
    struct buf *text = &x->call.detail;
    buf_printf(text, "%s is not a method of this path; it has ",
               llhttp_method_name((llhttp_method_t)x->conn->http.head.method));
    route_allow(&x->match, text);
    refusal(x, 405, "wrong_method", buf_cstr(text));
}

static bool is_bearer(struct bytes *value)
{
    if (value->n < 8 || !http_word_eq(bytes_of(value->p, 7), "bearer "))
        return false;
    *value = bytes_of(value->p + 7, value->n - 7);
    while (value->n > 0 && value->p[0] == ' ')
        *value = bytes_of(value->p + 1, value->n - 1);
    return value->n > 0;
}

/* A write token reads as well; invoking stands apart. */
static bool scope_covers(unsigned have, enum api_scope need)
{
    if (need == SCOPE_READ)
        return (have & (SCOPE_READ | SCOPE_WRITE)) != 0;
    return (have & (unsigned)need) != 0;
}

static void authorize(struct exchange *x)
{
    const struct api *a = x->api;
    enum api_scope need = x->match.route->scope;
    assert(need != SCOPE_ADMIN || x->conn->origin == API_ADMIN_SOCKET);
    struct bytes token = http_header(&x->conn->http.head, HTTP_AUTHORIZATION);
    if (x->conn->origin == API_ADMIN_SOCKET) {
        x->call.as = http_header(&x->conn->http.head, HTTP_SOUK_AS);
        return;
    }
    if (need == SCOPE_NONE || (need == SCOPE_READ && !a->config.read_needs_token))
        return;
    if (!is_bearer(&token)) {
        refusal(x, 401, "no_token", "this needs `Authorization: Bearer TOKEN`; `souk token new` makes one");
        return;
    }
    unsigned have = a->backend.token(a->backend.ctx, token, &x->call.token, &x->retry_s);
    if (have == 0)
        refusal(x, 401, "bad_token", "the token is not known here, or was removed");
    else if (!scope_covers(have, need))
        refusal(x, 403, "wrong_scope",
                need == SCOPE_WRITE    ? "the token lacks the scope write"
                : need == SCOPE_INVOKE ? "the token lacks the scope invoke"
                                       : "the token lacks the scope read");
    else if (x->retry_s > 0)
        refusal(x, 429, "rate", "this token is over its rate");
}

static bool suffix_is(struct bytes v, const char *end)
{
    size_t n = strlen(end);
    return v.n > n && http_word_eq(bytes_of(v.p + v.n - n, n), end);
}

/* Types that clients send without meaning them (curl says a form) count as none. */
static bool media_fits(enum route_body body, struct bytes media)
{
    if (media.n == 0 || http_word_eq(media, "application/octet-stream") ||
        http_word_eq(media, "application/x-www-form-urlencoded"))
        return true;
    switch (body) {
    case BODY_NONE:
    case BODY_ADMIN:
    case BODY_ANYTHING:
        return true;
    case BODY_MSGPACK:
        return http_word_eq(media, "application/msgpack") || http_word_eq(media, "application/x-msgpack") ||
               http_word_eq(media, "application/vnd.msgpack");
    case BODY_MERGE_PATCH:
    case BODY_JSON:
        break;
    }
    if (http_word_eq(media, "application/json-patch+json"))
        return false;
    return http_word_eq(media, "application/json") || http_word_eq(media, "text/plain") || suffix_is(media, "+json");
}

static void check_media(struct exchange *x)
{
    struct bytes media = http_media(http_header(&x->conn->http.head, HTTP_CONTENT_TYPE));
    enum route_body body = x->match.route->body;
    if (!media_fits(body, media))
        refusal(x, 415, "wrong_type",
                body == BODY_MSGPACK ? "a delta is handed in as application/msgpack"
                : body == BODY_MERGE_PATCH ? "a patch is application/merge-patch+json (RFC 7396)"
                                           : "a record is application/json");
}

void handle_head(struct exchange *x)
{
    const struct http_head *head = &x->conn->http.head;
    struct route_match *m = &x->match;
    assert(head->path.p >= x->text.p && head->path.p + head->path.n <= x->text.p + x->text.n);
    route_parse(x->text.p + (head->path.p - x->text.p), head->path.n, m);
    if (m->bad) {
        refusal(x, 400, "bad_path", "the path holds a percent-encoding or text that is not UTF-8");
        return;
    }
    bool admin = m->shape == SHAPE_STATUS || m->shape == SHAPE_ADMIN || m->shape == SHAPE_ADMIN_ACT;
    if (m->shape == SHAPE_NONE || (admin && x->conn->origin != API_ADMIN_SOCKET)) {
        refuse_path(x);
        return;
    }
    m->route = route_find(m, head->method);
    if (m->route == NULL) {
        refuse_method(x);
        return;
    }
    authorize(x);
    if (head->has_body)
        check_media(x);
}

bool accepts(const struct exchange *x, const char *media)
{
    const struct http_head *head = &x->conn->http.head;
    for (size_t i = 0; i < head->count; i++) {
        if (head->known[i].name != HTTP_ACCEPT)
            continue;
        struct bytes rest = head->known[i].value;
        while (rest.n > 0) {
            const uint8_t *comma = memchr(rest.p, ',', rest.n);
            size_t n = comma != NULL ? (size_t)(comma - rest.p) : rest.n;
            if (http_word_eq(http_media(bytes_of(rest.p, n)), media))
                return true;
            rest = comma != NULL ? bytes_of(comma + 1, rest.n - n - 1) : (struct bytes){0};
        }
    }
    return false;
}

void answer_out(struct exchange *x, const char *type)
{
    answer_send(x, &(struct answer){.status = 200, .type = type, .body = buf_view(&x->call.out)});
}

/* Lists the candidates so that the client can choose. */
static void answer_ambiguous(struct exchange *x)
{
    struct faults faults = {.count = 0};
    const struct buf *out = &x->call.out;
    assert(out->n <= API_FIND_MAX * ID_BYTES);
    for (size_t at = 0; at + ID_BYTES <= out->n; at += ID_BYTES) {
        char hex[2 * ID_BYTES + 1];
        hex_encode(hex, out->p + at, ID_BYTES);
        faults_add(&faults, "", "/%s/%s", x->match.kind->plural, hex);
    }
    answer_candidates(x, &faults);
}

static void on_found(struct exchange *x)
{
    exchange_step *next = x->after_find;
    size_t n = x->call.out.n / ID_BYTES;
    assert(x->call.err != ERR_OK || n * ID_BYTES == x->call.out.n);
    if (answer_error(x))
        return;
    if (n > 1) {
        answer_ambiguous(x);
        return;
    }
    if (n == 0) {
        answer_missing(x);
        return;
    }
    memcpy(x->call.id.b, x->call.out.p, ID_BYTES);
    x->call.name = (struct bytes){0};
    next(x);
}

void with_entry(struct exchange *x, exchange_step *then)
{
    assert(x->match.kind != NULL);
    x->call.kind = x->match.kind->kind;
    if (x->match.has_id) {
        x->call.id = x->match.id;
        then(x);
        return;
    }
    x->after_find = then;
    x->call.name = x->match.name;
    exchange_call(x, API_FIND, on_found);
}
