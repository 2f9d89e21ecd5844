/*
 * Reading requests: the head is looked for by lines, read at once by llhttp, then judged; the body goes through llhttp
 * for its framing. Refuses what proxies are known to read differently. See http.h.
 */
#include "api/http.h"

#include <assert.h>
#include <string.h>

static int on_url(llhttp_t *p, const char *at, size_t n);
static int on_field(llhttp_t *p, const char *at, size_t n);
static int on_value(llhttp_t *p, const char *at, size_t n);
static int on_head(llhttp_t *p);

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
};

static const char *const names[HTTP_NAME_COUNT] = {
    [HTTP_HOST] = "host",
    [HTTP_AUTHORIZATION] = "authorization",
    [HTTP_ACCEPT] = "accept",
    [HTTP_CONTENT_TYPE] = "content-type",
    [HTTP_CONTENT_LENGTH] = "content-length",
    [HTTP_TRANSFER_ENCODING] = "transfer-encoding",
    [HTTP_EXPECT] = "expect",
    [HTTP_IF_MATCH] = "if-match",
    [HTTP_IF_NONE_MATCH] = "if-none-match",
    [HTTP_LAST_EVENT_ID] = "last-event-id",
    [HTTP_SOUK_AS] = "x-souk-as",
    [HTTP_TIMEOUT] = "x-timeout",
    [HTTP_IDEMPOTENCY_KEY] = "idempotency-key",
};

void http_init(struct http *h)
{
    memset(h, 0, sizeof *h);
    llhttp_init(&h->parser, HTTP_REQUEST, &settings);
    h->parser.data = h;
}

static enum http_step refuse(struct http *h, int status, const char *code, const char *detail)
{
    assert(status >= 400 && detail != NULL);
    h->fault = (struct http_fault){.status = status, .code = code, .detail = detail};
    return HTTP_BAD;
}

bool http_word_eq(struct bytes a, const char *lower)
{
    for (size_t i = 0; i < a.n; i++) {
        uint8_t c = a.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c + 32);
        if (c != (uint8_t)lower[i] || c == 0)
            return false;
    }
    return lower[a.n] == 0;
}

size_t http_blank(struct bytes in)
{
    size_t n = 0;
    while (in.n - n >= 2 && in.p[n] == '\r' && in.p[n + 1] == '\n')
        n += 2;
    return n;
}

/* METHOD SP TARGET SP VERSION, with single blanks. */
static bool request_line(struct bytes line)
{
    size_t blanks = 0;
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '\t' || (line.p[i] == ' ' && (i == 0 || line.p[i - 1] == ' ')))
            return false;
        blanks += line.p[i] == ' ';
    }
    return blanks <= 2;
}

static bool header_line(struct bytes line)
{
    assert(line.n > 0);
    size_t i = 0;
    while (i < line.n && chunk_token_char(line.p[i]))
        i++;
    return i > 0 && i < line.n && line.p[i] == ':';
}

/* One line without its LF. The request line and every header line end in CRLF, hold no other CR, and no header line
 * continues another. */
static enum http_step check_line(struct http *h, struct bytes line, bool first)
{
    if (line.n == 0 || line.p[line.n - 1] != '\r')
        return refuse(h, 400, "bad_request", "a line of the request head ends in LF without CR");
    if (memchr(line.p, '\r', line.n) != line.p + line.n - 1)
        return refuse(h, 400, "bad_request", "a line of the request head holds a CR that does not end it");
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return refuse(h, 400, "bad_request",
                      first ? "the request line starts with white space"
                            : "a header continues on a second line; send it on one");
    if (first ? !request_line(line) : !header_line(line))
        return refuse(h, 400, "bad_request",
                      first ? "the request line is METHOD TARGET VERSION with single spaces"
                            : "a header is NAME: VALUE, without a space before the colon");
    return HTTP_DONE;
}

static enum http_step too_long(struct http *h, size_t n)
{
    assert(h->lines <= n);
    if (h->lines == 0 && n > HTTP_URI_MAX + 32)
        return refuse(h, 414, "uri_too_long", "the request line is over 8 KiB; send a query as a body to .../search");
    if (h->lines != 0 && n - h->lines > HTTP_HEADERS_MAX)
        return refuse(h, 431, "headers_too_large", "the headers are over 16 KiB; send fewer or shorter ones");
    return HTTP_MORE;
}

enum http_step http_scan(struct http *h, struct bytes in, size_t *length)
{
    assert(h->scanned <= in.n);
    size_t at = h->scanned;
    for (;;) {
        const uint8_t *lf = at < in.n ? memchr(in.p + at, '\n', in.n - at) : NULL;
        if (lf == NULL)
            break;
        struct bytes line = {in.p + at, (size_t)(lf - (in.p + at))};
        bool end = h->lines != 0 && line.n == 1 && line.p[0] == '\r';
        if (!end && check_line(h, line, h->lines == 0) == HTTP_BAD)
            return HTTP_BAD;
        at += line.n + 1;
        if (too_long(h, at) == HTTP_BAD)
            return HTTP_BAD;
        if (end) {
            h->scanned = 0;
            h->lines = 0;
            *length = at;
            return HTTP_DONE;
        }
        if (h->lines == 0)
            h->lines = at;
    }
    h->scanned = at;
    return too_long(h, in.n);
}

static int on_url(llhttp_t *p, const char *at, size_t n)
{
    struct http *h = p->data;
    struct bytes *t = &h->head.target;
    assert(t->n == 0 || t->p + t->n == (const uint8_t *)at);
    if (t->n == 0)
        t->p = (const uint8_t *)at;
    t->n += n;
    return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
    struct http *h = p->data;
    struct bytes field = {(const uint8_t *)at, n};
    h->last = -1;
    for (int i = 0; i < HTTP_NAME_COUNT && h->last < 0; i++)
        if (http_word_eq(field, names[i]))
            h->last = i;
    if (h->last < 0)
        return 0;
    if (h->head.count == HTTP_KNOWN_MAX) {
        (void)refuse(h, 431, "headers_too_large", "one header is repeated too often");
        return -1;
    }
    assert(h->head.count < HTTP_KNOWN_MAX);
    h->head.known[h->head.count++] = (struct http_header){.name = (enum http_name)h->last};
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
    struct http *h = p->data;
    if (h->last < 0 || h->head.count == 0)
        return 0;
    struct bytes *v = &h->head.known[h->head.count - 1].value;
    if (v->n == 0)
        v->p = (const uint8_t *)at;
    v->n = (size_t)((const uint8_t *)at + n - v->p);
    return 0;
}

static int on_head(llhttp_t *p)
{
    struct http *h = p->data;
    h->head.method = llhttp_get_method(p);
    h->head.minor = llhttp_get_http_minor(p);
    h->head.keep_alive = llhttp_should_keep_alive(p) == 1;
    h->head.chunked = (p->flags & F_CHUNKED) != 0;
    h->head.length = (p->flags & F_CONTENT_LENGTH) != 0 ? p->content_length : 0;
    h->head.has_body = h->head.chunked || h->head.length > 0;
    h->last = -1;
    h->in_body = true;
    return HPE_PAUSED; /* what follows is read here: the parser is laxer about chunks and trailers than is safe */
}

struct bytes http_header(const struct http_head *head, enum http_name name)
{
    for (size_t i = 0; i < head->count; i++)
        if (head->known[i].name == name)
            return head->known[i].value;
    return (struct bytes){0};
}

static size_t occurrences(const struct http_head *head, enum http_name name)
{
    size_t n = 0;
    for (size_t i = 0; i < head->count; i++)
        n += head->known[i].name == name;
    return n;
}

struct bytes http_media(struct bytes value)
{
    const uint8_t *semicolon = value.n > 0 ? memchr(value.p, ';', value.n) : NULL;
    if (semicolon != NULL)
        value.n = (size_t)(semicolon - value.p);
    while (value.n > 0 && (value.p[0] == ' ' || value.p[0] == '\t'))
        value = bytes_of(value.p + 1, value.n - 1);
    while (value.n > 0 && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
        value.n--;
    return value;
}

/* A host name, an IPv4 or [IPv6] address, each with or without a port. */
static bool host_valid(struct bytes v)
{
    if (v.n == 0 || v.n > 255 + 6)
        return v.n == 0; /* an empty Host is what a client with no authority sends */
    bool bracket = v.p[0] == '[';
    size_t i = bracket ? 1 : 0;
    for (; i < v.n && v.p[i] != (bracket ? ']' : ':'); i++) {
        uint8_t c = v.p[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        bool name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_';
        if (bracket ? !hex && c != ':' && c != '.' : !hex && !name)
            return false;
    }
    if (bracket && (i < 3 || i++ == v.n))
        return false;
    if (i == 0)
        return false;
    if (i == v.n)
        return true;
    if (v.p[i] != ':' || v.n - i > 6)
        return false;
    for (i++; i < v.n; i++)
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
    return true;
}

/* What may stand once only, and how the body's length may be given. */
static enum http_step judge_framing(struct http *h)
{
    const struct http_head *d = &h->head;
    size_t codings = occurrences(d, HTTP_TRANSFER_ENCODING), lengths = occurrences(d, HTTP_CONTENT_LENGTH);
    if (codings > 0 && lengths > 0)
        return refuse(h, 400, "bad_framing", "Content-Length and Transfer-Encoding exclude each other");
    if (codings > 1 || lengths > 1)
        return refuse(h, 400, "bad_framing", "the length of the body is given twice");
    if (codings == 1 && !http_word_eq(http_header(d, HTTP_TRANSFER_ENCODING), "chunked"))
        return refuse(h, 501, "unknown_coding", "the only transfer coding understood is chunked");
    if (codings == 1 && d->minor == 0)
        return refuse(h, 400, "bad_framing", "HTTP/1.0 has no transfer codings");
    struct bytes length = http_header(d, HTTP_CONTENT_LENGTH);
    if (lengths == 1 && length.n == 0)
        return refuse(h, 400, "bad_framing", "Content-Length is empty");
    for (size_t i = 0; i < length.n; i++)
        if (length.p[i] < '0' || length.p[i] > '9')
            return refuse(h, 400, "bad_framing", "Content-Length is not a number");
    return HTTP_DONE;
}

static enum http_step judge_host(struct http *h)
{
    const struct http_head *d = &h->head;
    size_t hosts = occurrences(d, HTTP_HOST);
    if (hosts == 0 && d->minor == 1)
        return refuse(h, 400, "bad_host", "HTTP/1.1 asks for a Host header");
    if (hosts > 1)
        return refuse(h, 400, "bad_host", "Host is given twice");
    if (hosts == 1 && !host_valid(http_header(d, HTTP_HOST)))
        return refuse(h, 400, "bad_host", "Host is not a host name or address with an optional port");
    if (occurrences(d, HTTP_AUTHORIZATION) > 1)
        return refuse(h, 400, "bad_request", "Authorization is given twice");
    return HTTP_DONE;
}

/* Splits the target; the absolute form loses its scheme and authority. */
static enum http_step judge_target(struct http *h)
{
    struct http_head *d = &h->head;
    struct bytes t = d->target;
    if (t.n > HTTP_URI_MAX)
        return refuse(h, 414, "uri_too_long", "the request target is over 8 KiB");
    if (t.n > 7 && http_word_eq(bytes_of(t.p, 7), "http://")) {
        const uint8_t *slash = memchr(t.p + 7, '/', t.n - 7);
        if (slash == NULL)
            return refuse(h, 400, "bad_target", "the request target has no path");
        t = bytes_of(slash, t.n - (size_t)(slash - t.p));
    }
    if (t.n == 0 || (t.p[0] != '/' && !(t.n == 1 && t.p[0] == '*')))
        return refuse(h, 400, "bad_target", "the request target does not start with /");
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] <= ' ' || t.p[i] >= 0x7f || t.p[i] == '#')
            return refuse(h, 400, "bad_target", "the request target holds a byte that must be percent-encoded");
    const uint8_t *mark = memchr(t.p, '?', t.n);
    size_t path = mark != NULL ? (size_t)(mark - t.p) : t.n;
    d->path = bytes_of(t.p, path);
    d->query = mark != NULL ? bytes_of(mark + 1, t.n - path - 1) : (struct bytes){0};
    return HTTP_DONE;
}

static enum http_step parser_fault(struct http *h, llhttp_errno_t e)
{
    if (h->fault.status != 0)
        return HTTP_BAD;
    if (e == HPE_INVALID_METHOD)
        return refuse(h, 501, "unknown_method", "the method is not one of HTTP");
    if (e == HPE_INVALID_VERSION || llhttp_get_method(&h->parser) == HTTP_PRI)
        return refuse(h, 505, "unknown_version", "the versions understood are HTTP/1.1 and HTTP/1.0");
    if (e == HPE_INVALID_CONTENT_LENGTH || e == HPE_UNEXPECTED_CONTENT_LENGTH || e == HPE_INVALID_CHUNK_SIZE ||
        e == HPE_INVALID_TRANSFER_ENCODING)
        return refuse(h, 400, "bad_framing", "the length of the body cannot be told");
    return refuse(h, 400, "bad_request", "the request is not well-formed HTTP/1.1");
}

enum http_step http_read_head(struct http *h, struct bytes head)
{
    assert(head.n >= 4 && h->scanned == 0);
    llhttp_reset(&h->parser);
    h->head.count = 0;
    h->head.target = (struct bytes){0};
    h->fault = (struct http_fault){0};
    h->body = NULL;
    h->body_seen = h->framed = 0;
    h->in_body = false;
    h->last = -1;
    h->chunk = (struct chunk){0};
    llhttp_errno_t e = llhttp_execute(&h->parser, (const char *)head.p, head.n);
    if (e != HPE_PAUSED || !h->in_body)
        return parser_fault(h, e);
    if (llhttp_get_http_major(&h->parser) != 1 || h->head.minor > 1)
        return refuse(h, 505, "unknown_version", "the versions understood are HTTP/1.1 and HTTP/1.0");
    if (judge_framing(h) == HTTP_BAD || judge_host(h) == HTTP_BAD || judge_target(h) == HTTP_BAD)
        return HTTP_BAD;
    h->left = h->head.length;
    return HTTP_DONE;
}

void http_drop_body(struct http *h)
{
    h->body = NULL;
}

static void keep(struct http *h, struct bytes data)
{
    h->body_seen += data.n;
    if (h->body != NULL && h->body_seen <= h->body_max)
        buf_put_bytes(h->body, data);
}

/* Bytes of `in` that belong to this body; *more: it is not complete. */
static size_t read_known(struct http *h, struct bytes in, bool *more)
{
    size_t n = in.n < h->left ? in.n : (size_t)h->left;
    keep(h, bytes_of(in.p, n));
    h->left -= n;
    *more = h->left > 0;
    return n;
}

static size_t read_chunks(struct http *h, struct bytes in, bool *more)
{
    size_t at = 0, used;
    struct bytes data;
    while (at < in.n && h->chunk.state != CHUNK_DONE && h->chunk.state != CHUNK_BAD) {
        chunk_read(&h->chunk, bytes_of(in.p + at, in.n - at), &data, &used);
        keep(h, data);
        at += used;
    }
    *more = h->chunk.state != CHUNK_DONE;
    return at;
}

enum http_step http_read_body(struct http *h, struct bytes in, size_t *used)
{
    bool more;
    assert(h->head.has_body);
    *used = h->head.chunked ? read_chunks(h, in, &more) : read_known(h, in, &more);
    assert(*used <= in.n);
    h->framed += *used;
    if (h->head.chunked && h->chunk.state == CHUNK_BAD)
        return refuse(h, 400, "bad_framing", "the body is not in the chunked coding");
    if (h->body != NULL && h->body_seen > h->body_max)
        return HTTP_LARGE;
    if (h->head.chunked && h->framed - h->body_seen > HTTP_FRAMING_MAX + 8 * h->body_seen)
        return refuse(h, 400, "bad_framing", "the chunk framing is larger than what it frames");
    return more ? HTTP_MORE : HTTP_DONE;
}
