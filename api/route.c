/*
 * Paths taken apart by hand: the read by id is the hot one, so it comes first and looks at nothing else.
 */
#include "api/route.h"

#include "api/http.h"

#include <assert.h>
#include <string.h>

static const struct route_kind kinds[] = {
    {KIND_MODEL, "model", "models"},
    {KIND_AGENT, "agent", "agents"},
    {KIND_SERVER, "server", "servers"},
    {KIND_NODE, "node", "nodes"},
};

const struct route_kind *route_kind_at(size_t i)
{
    return i < sizeof kinds / sizeof *kinds ? &kinds[i] : NULL;
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool percent_decode(uint8_t *p, size_t *n, bool plus)
{
    size_t out = 0;
    assert(p != NULL || *n == 0);
    for (size_t i = 0; i < *n; i++, out++) {
        p[out] = plus && p[i] == '+' ? ' ' : p[i];
        if (p[i] != '%')
            continue;
        if (*n - i < 3 || digit(p[i + 1]) < 0 || digit(p[i + 2]) < 0)
            return false;
        p[out] = (uint8_t)(digit(p[i + 1]) << 4 | digit(p[i + 2]));
        i += 2;
    }
    assert(out <= *n);
    *n = out;
    return true;
}

bool query_next(struct bytes *rest, struct bytes *key, struct bytes *value)
{
    while (rest->n > 0) {
        const uint8_t *amp = memchr(rest->p, '&', rest->n);
        struct bytes pair = {rest->p, amp != NULL ? (size_t)(amp - rest->p) : rest->n};
        size_t used = amp != NULL ? pair.n + 1 : pair.n;
        assert(used <= rest->n);
        *rest = bytes_of(rest->p + used, rest->n - used);
        if (pair.n == 0)
            continue;
        const uint8_t *eq = memchr(pair.p, '=', pair.n);
        size_t k = eq != NULL ? (size_t)(eq - pair.p) : pair.n;
        *key = bytes_of(pair.p, k);
        *value = eq != NULL ? bytes_of(eq + 1, pair.n - k - 1) : bytes_of(pair.p + k, 0);
        return true;
    }
    return false;
}

/* Text after the last '/' of p, or all of it. */
static struct bytes last_segment(struct bytes p)
{
    const uint8_t *slash = p.n > 0 ? memrchr(p.p, '/', p.n) : NULL;
    if (slash == NULL)
        return p;
    return bytes_of(slash + 1, (size_t)(p.p + p.n - slash) - 1);
}

/* What stands before the last segment and its '/'; absent if there is only one. */
static struct bytes before_last(struct bytes p)
{
    struct bytes last = last_segment(p);
    return last.n < p.n ? bytes_of(p.p, p.n - last.n - 1) : (struct bytes){0};
}

static bool is(struct bytes a, const char *b)
{
    return bytes_eq(a, bytes_str(b));
}

/* The suffix of an entry's path decides its shape; what is left of it is the entry, slashes and all. */
static struct bytes entry_shape(struct bytes rest, struct route_match *m)
{
    struct bytes last = last_segment(rest), head = before_last(rest);
    assert(m->kind != NULL && last.n + head.n <= rest.n);
    m->shape = SHAPE_ENTRY;
    if (head.n == 0)
        return rest;
    if (is(last, "revisions") || is(last, "writers")) {
        m->shape = is(last, "writers") ? SHAPE_WRITERS : SHAPE_REVISIONS;
        return head;
    }
    if (is(last, "invoke")) {
        m->shape = (ROUTE_INVOKED & 1u << m->kind->kind) != 0 ? SHAPE_INVOKE : SHAPE_NONE;
        return head;
    }
    struct bytes middle = last_segment(head), entry = before_last(head);
    if (entry.n == 0 || !(is(middle, "revisions") || is(middle, "writers")))
        return rest;
    m->shape = is(middle, "writers") ? SHAPE_WRITER : SHAPE_REVISION;
    if (!id_parse(&m->second, last))
        m->shape = SHAPE_NONE;
    return entry;
}

/* 64 hex digits are always an id; anything else is a name, decoded after splitting. */
static void entry_name(uint8_t *p, size_t n, struct route_match *m)
{
    m->has_id = id_parse(&m->id, bytes_of(p, n));
    if (m->has_id)
        return;
    if (!percent_decode(p, &n, false) || !utf8_valid(bytes_of(p, n)) || memchr(p, 0, n) != NULL)
        m->bad = true;
    m->name = bytes_of(p, n);
    if (n == 0)
        m->shape = SHAPE_NONE;
}

static void parse_entry(uint8_t *rest, size_t n, struct route_match *m)
{
    if (n == 2 * ID_BYTES && id_parse(&m->id, bytes_of(rest, n))) {
        m->shape = SHAPE_ENTRY;
        m->has_id = true;
        return;
    }
    if (is(bytes_of(rest, n), "search")) {
        m->shape = SHAPE_SEARCH;
        m->name = bytes_of(rest, n);
        return;
    }
    struct bytes entry = entry_shape(bytes_of(rest, n), m);
    if (m->shape != SHAPE_NONE)
        entry_name(rest, entry.n, m);
}

/* Verbs that change something are not for GET: a stray read does nothing. */
static enum shape verb_shape(struct bytes verb)
{
    bool acts = memchr(verb.p, '-', verb.n) != NULL || is(verb, "import") || is(verb, "sync") || is(verb, "shutdown");
    return acts ? SHAPE_ADMIN_ACT : SHAPE_ADMIN;
}

static void parse_plain(struct bytes path, struct route_match *m)
{
    static const struct {
        const char *path;
        enum shape shape;
    } plain[] = {
        {"/", SHAPE_ROOT},           {"/livez", SHAPE_LIVEZ},     {"/readyz", SHAPE_READYZ},
        {"/healthz", SHAPE_HEALTHZ}, {"/metrics", SHAPE_METRICS}, {"/openapi.json", SHAPE_OPENAPI},
        {"/changes", SHAPE_CHANGES}, {"/deltas", SHAPE_DELTAS},   {"/admin/status", SHAPE_STATUS},
        {"/receipts", SHAPE_RECEIPTS},
    };
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (is(path, plain[i].path))
            m->shape = plain[i].shape;
    if (m->shape != SHAPE_NONE)
        return;
    if (path.n > 8 && memcmp(path.p, "/deltas/", 8) == 0 && id_parse(&m->id, bytes_of(path.p + 8, path.n - 8)))
        m->shape = SHAPE_DELTA;
    if (path.n > 10 && memcmp(path.p, "/receipts/", 10) == 0 && memchr(path.p + 10, '/', path.n - 10) == NULL) {
        m->name = bytes_of(path.p + 10, path.n - 10);
        m->shape = SHAPE_RECEIPT;
    }
    if (path.n > 7 && memcmp(path.p, "/admin/", 7) == 0 && memchr(path.p + 7, '/', path.n - 7) == NULL) {
        m->name = bytes_of(path.p + 7, path.n - 7);
        m->shape = verb_shape(m->name);
    }
}

void route_parse(uint8_t *path, size_t n, struct route_match *m)
{
    *m = (struct route_match){.shape = SHAPE_NONE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t word = strlen(kinds[i].plural);
        if (n < word + 1 || path[0] != '/' || memcmp(path + 1, kinds[i].plural, word) != 0)
            continue;
        if (n != word + 1 && path[word + 1] != '/')
            continue;
        m->kind = &kinds[i];
        if (n == word + 1)
            m->shape = SHAPE_LIST;
        else
            parse_entry(path + word + 2, n - word - 2, m);
        return;
    }
    parse_plain(bytes_of(path, n), m);
}

static bool applies(const struct route *r, const struct route_match *m)
{
    if (r->shape != m->shape)
        return r->shape == SHAPE_ENTRY && m->shape == SHAPE_SEARCH && (r->kinds & 1u << m->kind->kind) != 0;
    return r->kinds == 0 || (r->kinds & 1u << m->kind->kind) != 0;
}

const struct route *route_find(const struct route_match *m, unsigned method)
{
    assert(m->shape != SHAPE_NONE);
    if (method == HTTP_HEAD)
        method = HTTP_GET;
    const struct route *r;
    for (size_t i = 0; (r = route_at(i)) != NULL; i++)
        if (r->method == method && applies(r, m))
            return r;
    return NULL;
}

void route_allow(const struct route_match *m, struct buf *out)
{
    const struct route *r;
    size_t start = out->n;
    assert(m->shape != SHAPE_NONE);
    for (size_t i = 0; (r = route_at(i)) != NULL; i++) {
        if (!applies(r, m))
            continue;
        if (out->n > start)
            buf_put_str(out, ", ");
        buf_put_str(out, llhttp_method_name((llhttp_method_t)r->method));
        if (r->method == HTTP_GET)
            buf_put_str(out, ", HEAD");
    }
}
