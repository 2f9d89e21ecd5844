/*
 * GET /models?limit=...&tag=... -> struct api_query. Unknown parameters are ignored, known ones are checked.
 */
#include "api/query.h"

#include "api/answer.h"
#include "api/handlers.h"

#include <assert.h>
#include <string.h>

enum { VALUE_SHOWN_MAX = 200 };

bool parse_uint(struct bytes text, uint64_t *out)
{
    uint64_t v = 0;
    if (text.n == 0)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        unsigned d = (unsigned)text.p[i] - '0';
        if (d > 9 || v > (UINT64_MAX - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

bool cursor_valid(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        bool ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!ok)
            return false;
    }
    return text.n > 0 && text.n <= API_CURSOR_MAX;
}

/* `value` is UTF-8; a long one is not repeated. */
static bool bad(struct exchange *x, const char *code, struct bytes value, const char *rule)
{
    bool shown = value.p != NULL && value.n <= VALUE_SHOWN_MAX;
    answer_problem(x, 400, code, "%s%s%.*s%s", rule, shown ? ", not \"" : "", shown ? (int)value.n : 0,
                   shown ? (const char *)value.p : "", shown ? "\"" : "");
    return false;
}

static bool set_limit(struct exchange *x, struct bytes value)
{
    uint64_t v;
    if (!parse_uint(value, &v) || v < 1)
        return bad(x, "bad_limit", value, "limit is a number from 1 on (a page has at most 200 rows)");
    x->call.limit = v < API_PAGE_MAX ? (size_t)v : API_PAGE_MAX;
    return true;
}

static bool add(struct exchange *x, struct bytes *list, size_t *count, struct bytes value)
{
    assert(*count <= API_TAGS_MAX);
    if (*count == API_TAGS_MAX)
        return bad(x, "bad_query", (struct bytes){0}, "a filter is given more than 16 times");
    list[(*count)++] = value;
    return true;
}

static bool set_parameter(struct exchange *x, struct bytes key, struct bytes value)
{
    struct api_query *q = &x->query;
    const struct {
        const char *name;
        struct bytes *field;
    } words[] = {{"q", &q->text},   {"owner", &q->owner},         {"model_type", &q->model_type},
                 {"framework", &q->framework}, {"license", &q->license}};
    if (http_word_eq(key, "limit"))
        return set_limit(x, value);
    if (http_word_eq(key, "cursor") || http_word_eq(key, "since")) {
        if (!cursor_valid(value))
            return bad(x, "bad_cursor", value, "a cursor is A-Za-z0-9_- as this node gave it");
        x->call.cursor = q->cursor = value;
        return true;
    }
    if (http_word_eq(key, "tag"))
        return add(x, x->tags, &q->tag_count, value);
    if (http_word_eq(key, "capability"))
        return add(x, x->capabilities, &q->capability_count, value);
    if (http_word_eq(key, "q") && value.n > API_WORDS_MAX)
        return bad(x, "bad_query", (struct bytes){0}, "q is over 1024 bytes");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (http_word_eq(key, words[i].name))
            *words[i].field = value;
    return true;
}

/* Decodes one side of a pair where it stands. */
static bool decode(struct exchange *x, struct bytes *v)
{
    size_t n = v->n;
    assert(v->p >= x->text.p && v->p + n <= x->text.p + x->text.n);
    uint8_t *p = x->text.p + (v->p - x->text.p);
    if (!percent_decode(p, &n, true) || !utf8_valid(bytes_of(p, n)))
        return false;
    v->n = n;
    return true;
}

bool read_page(struct exchange *x)
{
    struct bytes rest = x->conn->http.head.query, key, value;
    x->call.limit = API_PAGE_DEFAULT;
    x->query = (struct api_query){.tags = x->tags, .capabilities = x->capabilities};
    while (query_next(&rest, &key, &value)) {
        if (!decode(x, &key) || !decode(x, &value))
            return bad(x, "bad_query", (struct bytes){0}, "the query holds a percent-encoding or text that is not UTF-8");
        if (!set_parameter(x, key, value))
            return false;
    }
    x->query.kind = x->match.kind != NULL ? x->match.kind->kind : 0;
    x->query.limit = x->call.limit;
    assert(x->query.limit >= 1 && x->query.limit <= API_PAGE_MAX);
    x->call.query = &x->query;
    return true;
}
