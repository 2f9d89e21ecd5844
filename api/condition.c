/*
 * Entity tags read one by one; several header lines are one list.
 */
#include "api/condition.h"

#include <assert.h>
#include <string.h>

struct tag {
    bool weak;
    struct bytes text; /* between the quotes */
};

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == ',';
}

/* Next tag of one header line. False: none is left, or *bad. */
static bool tag_next(struct bytes *rest, struct tag *out, bool *bad)
{
    while (rest->n > 0 && blank(rest->p[0]))
        *rest = bytes_of(rest->p + 1, rest->n - 1);
    if (rest->n == 0)
        return false;
    out->weak = rest->n > 2 && rest->p[0] == 'W' && rest->p[1] == '/';
    size_t at = out->weak ? 2 : 0;
    const uint8_t *close = NULL;
    if (rest->p[at] == '"' && rest->n > at + 1)
        close = memchr(rest->p + at + 1, '"', rest->n - at - 1);
    if (close == NULL) {
        *bad = true;
        return false;
    }
    out->text = bytes_of(rest->p + at + 1, (size_t)(close - rest->p) - at - 1);
    assert(close > rest->p && close < rest->p + rest->n);
    *rest = bytes_of(close + 1, (size_t)(rest->p + rest->n - close) - 1);
    *bad = rest->n > 0 && !blank(rest->p[0]);
    return !*bad;
}

enum condition condition_read(const struct http_head *head, enum http_name name)
{
    enum condition found = CONDITION_NONE;
    assert(name == HTTP_IF_MATCH || name == HTTP_IF_NONE_MATCH);
    for (size_t i = 0; i < head->count; i++) {
        struct bytes rest = head->known[i].value;
        struct tag tag;
        bool bad = false;
        size_t tags = 0;
        if (head->known[i].name != name)
            continue;
        if (rest.n == 1 && rest.p[0] == '*') {
            if (found != CONDITION_NONE)
                return CONDITION_BAD;
            found = CONDITION_ANY;
            continue;
        }
        while (tag_next(&rest, &tag, &bad))
            tags++;
        if (bad || tags == 0 || found == CONDITION_ANY)
            return CONDITION_BAD;
        found = CONDITION_LIST;
    }
    return found;
}

bool condition_lists(const struct http_head *head, enum http_name name, const struct id *revision, enum compare how)
{
    assert(head->count <= HTTP_KNOWN_MAX && revision != NULL);
    for (size_t i = 0; i < head->count; i++) {
        struct bytes rest = head->known[i].value;
        struct tag tag;
        struct id id;
        bool bad = false;
        if (head->known[i].name != name)
            continue;
        while (tag_next(&rest, &tag, &bad))
            if ((how == COMPARE_WEAK || !tag.weak) && id_parse(&id, tag.text) && id_eq(&id, revision))
                return true;
    }
    return false;
}

bool condition_single(const struct http_head *head, enum http_name name, struct id *out)
{
    size_t tags = 0;
    bool ours = false;
    assert(head->count <= HTTP_KNOWN_MAX);
    for (size_t i = 0; i < head->count; i++) {
        struct bytes rest = head->known[i].value;
        struct tag tag;
        bool bad = false;
        if (head->known[i].name != name)
            continue;
        while (tag_next(&rest, &tag, &bad)) {
            tags++;
            ours = !tag.weak && id_parse(out, tag.text);
        }
    }
    return tags == 1 && ours;
}
