/*
 * POST /models/{id}/invoke: hands the input to the node and answers with its output and the receipt, as JSON, as bytes, or as
 * events while it comes. Knows nothing of where the work is done.
 */
#include "api/answer.h"
#include "api/handlers.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_MAX_S 86400

/* ---- what the client asks ---------------------------------------------------------------------------------------- */

static enum api_media media_of(const struct exchange *x)
{
    struct bytes media = http_media(http_header(&x->conn->http.head, HTTP_CONTENT_TYPE));
    static const char json[] = "+json";
    size_t n = sizeof json - 1;
    if (http_word_eq(media, "application/json") ||
        (media.n > n && http_word_eq(bytes_of(media.p + media.n - n, n), json)))
        return API_MEDIA_JSON;
    if (media.n >= 5 && http_word_eq(bytes_of(media.p, 5), "text/"))
        return API_MEDIA_TEXT;
    /* What clients say without meaning it counts as nothing said. */
    if (media.n == 0 || http_word_eq(media, "application/x-www-form-urlencoded"))
        return API_MEDIA_ANY;
    return API_MEDIA_BYTES;
}

/* Seconds, with up to three digits of a fraction. */
static bool read_seconds(struct bytes text, uint64_t *ms)
{
    uint64_t whole = 0, part = 0, unit = 1000;
    size_t i = 0;
    for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && whole <= TIMEOUT_MAX_S; i++)
        whole = 10 * whole + (uint64_t)(text.p[i] - '0');
    if (i == 0 || whole > TIMEOUT_MAX_S)
        return false;
    if (i < text.n && text.p[i] == '.')
        for (i++; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && unit > 1; i++) {
            unit /= 10;
            part += unit * (uint64_t)(text.p[i] - '0');
        }
    *ms = 1000 * whole + part;
    assert(part < 1000 && whole <= TIMEOUT_MAX_S);
    return i == text.n && *ms > 0;
}

static bool read_asked(struct exchange *x)
{
    const struct http_head *head = &x->conn->http.head;
    struct api_invoke *asked = &x->call.invoke;
    struct bytes timeout = http_header(head, HTTP_TIMEOUT), rest = head->query, key, value;
    asked->input = media_of(x);
    asked->idempotency = http_header(head, HTTP_IDEMPOTENCY_KEY);
    if (timeout.n > 0 && !read_seconds(timeout, &asked->timeout_ms)) {
        answer_problem(x, 400, "bad_timeout", "X-Timeout is a number of seconds above 0, at most %d", TIMEOUT_MAX_S);
        return false;
    }
    if (asked->idempotency.n > API_IDEMPOTENCY_MAX) {
        answer_problem(x, 400, "bad_key", "an Idempotency-Key has at most %d bytes", API_IDEMPOTENCY_MAX);
        return false;
    }
    while (query_next(&rest, &key, &value))
        if (http_word_eq(key, "on") && value.n > 0)
            asked->on = value;
    return true;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void put_base64(struct buf *out, struct bytes x)
{
    size_t size = sodium_base64_ENCODED_LEN(x.n, sodium_base64_VARIANT_ORIGINAL);
    char *text = (char *)buf_grow(out, size);
    static const uint8_t nothing[1] = {0};
    (void)sodium_bin2base64(text, size, x.n > 0 ? x.p : nothing, x.n, sodium_base64_VARIANT_ORIGINAL);
    out->n += strlen(text);
}

/* How many bytes at the end may be the beginning of a character that goes on. */
static size_t unfinished(struct bytes x)
{
    for (size_t back = 1; back <= 3 && back <= x.n; back++) {
        uint8_t c = x.p[x.n - back];
        if (c > 0xf4)
            return 0; /* begins none */
        if (c >= 0xc0)
            return (c >= 0xf0 ? 4u : c >= 0xe0 ? 3u : 2u) > back ? back : 0;
        if (c < 0x80)
            return 0;
    }
    return 0;
}

static void put_piece(struct buf *out, struct bytes x)
{
    if (x.n == 0)
        return;
    buf_put_str(out, "event: output\ndata: {");
    if (utf8_valid(x)) {
        buf_put_str(out, "\"text\":");
        json_put_string(out, x);
    } else {
        buf_put_str(out, "\"base64\":\"");
        put_base64(out, x);
        buf_put_str(out, "\"");
    }
    buf_put_str(out, "}\n\n");
}

static void on_piece(struct api_call *call, struct bytes piece)
{
    struct exchange *x = call->engine;
    if (x->conn == NULL || x->is_head)
        return;
    if (!x->answered)
        answer_stream(x, TYPE_EVENTS);
    buf_put_bytes(&x->held, piece);
    size_t keep = unfinished(buf_view(&x->held));
    put_piece(&x->conn->out, bytes_of(x->held.p, x->held.n - keep));
    buf_drop(&x->held, x->held.n - keep);
    conn_resume(x->conn);
}

static void put_output(struct buf *out, const struct api_call *call)
{
    buf_put_str(out, "{\"output\":");
    switch (call->output) {
    case API_MEDIA_JSON:
        buf_put_bytes(out, buf_view(&call->out));
        break;
    case API_MEDIA_TEXT:
        json_put_string(out, buf_view(&call->out));
        break;
    case API_MEDIA_ANY:
    case API_MEDIA_BYTES:
        buf_put_u8(out, '"');
        put_base64(out, buf_view(&call->out));
        buf_put_str(out, "\",\"encoding\":\"base64\"");
        break;
    }
    buf_put_str(out, ",\"receipt\":");
    buf_put_bytes(out, call->receipt.n > 0 ? buf_view(&call->receipt) : bytes_str("null"));
    buf_put_str(out, "}");
}

/* A line feed inside JSON would end an event's data: it is white space there, since texts escape it. */
static void put_event(struct buf *out, const char *event, struct buf *json)
{
    for (size_t i = 0; i < json->n; i++)
        if (json->p[i] == '\n' || json->p[i] == '\r')
            json->p[i] = ' ';
    buf_printf(out, "event: %s\ndata: ", event);
    buf_put_bytes(out, buf_view(json));
    buf_put_str(out, "\n\n");
}

static void end_stream(struct exchange *x)
{
    struct buf json = {0};
    if (!x->answered)
        answer_stream(x, TYPE_EVENTS);
    put_piece(&x->conn->out, buf_view(&x->held));
    if (x->call.err == ERR_OK)
        put_output(&json, &x->call);
    else
        (void)put_call_problem(&json, x);
    put_event(&x->conn->out, x->call.err == ERR_OK ? "result" : "error", &json);
    buf_close(&json);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

/* The id inside a receipt, as "X-Receipt-Id: ...". */
static void put_receipt_header(char out[128], const struct buf *receipt)
{
    static const char mark[] = "\"id\":\"urn:uuid:";
    const uint8_t *at = receipt->n > 0 ? memmem(receipt->p, receipt->n, mark, sizeof mark - 1) : NULL;
    out[0] = 0;
    if (at != NULL && at + sizeof mark - 1 + 36 <= receipt->p + receipt->n)
        (void)snprintf(out, 128, "X-Receipt-Id: %.36s\r\nX-Content-Type-Options: nosniff\r\n",
                       (const char *)at + sizeof mark - 1);
}

static void on_invoked(struct exchange *x)
{
    struct buf json = {0};
    char header[128];
    x->watched = false;
    if (x->answered || (x->call.err == ERR_OK && accepts(x, TYPE_EVENTS))) {
        end_stream(x);
        return;
    }
    if (answer_error(x))
        return;
    put_receipt_header(header, &x->call.receipt);
    if (accepts(x, TYPE_BYTES)) {
        answer_send(x, &(struct answer){
                           .status = 200, .type = TYPE_BYTES, .body = buf_view(&x->call.out), .headers = header});
        return;
    }
    put_output(&json, &x->call);
    answer_send(x, &(struct answer){.status = 200, .type = TYPE_JSON, .body = buf_view(&json), .headers = header});
    buf_close(&json);
}

static void invoke(struct exchange *x)
{
    x->call.body = buf_view(&x->body);
    x->call.invoke.piece = accepts(x, TYPE_EVENTS) ? on_piece : NULL;
    x->watched = true;
    assert(x->body.n <= API_INVOKE_INPUT_MAX);
    exchange_call(x, API_INVOKE, on_invoked);
}

void handle_invoke(struct exchange *x)
{
    if (read_asked(x))
        with_entry(x, invoke);
}
