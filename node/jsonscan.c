/*
 * A forward scanner over well-formed JSON. It skips what it does not look for; malformed text makes it stop early,
 * never read past the end.
 */
#include "node/jsonscan.h"

#include <assert.h>
#include <string.h>

static size_t skip_space(struct bytes x, size_t at)
{
    while (at < x.n && (x.p[at] == ' ' || x.p[at] == '\n' || x.p[at] == '\t' || x.p[at] == '\r'))
        at++;
    return at;
}

/* Behind the string that starts at `at`. */
static size_t skip_string(struct bytes x, size_t at)
{
    assert(at < x.n && x.p[at] == '"');
    for (at++; at < x.n; at++) {
        if (x.p[at] == '\\')
            at++;
        else if (x.p[at] == '"')
            return at + 1;
    }
    return x.n;
}

/* Behind the value that starts at `at`. */
static size_t skip_value(struct bytes x, size_t at)
{
    size_t depth = 0;
    while (at < x.n) {
        uint8_t c = x.p[at];
        if (c == '"') {
            at = skip_string(x, at);
            if (depth == 0)
                return at;
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']') {
            if (depth <= 1)
                return depth == 0 ? at : at + 1;
            depth--;
        } else if (depth == 0 && (c == ',' || c == ' ' || c == '\n')) {
            return at;
        }
        at++;
    }
    return at;
}

struct bytes jsonscan_member(struct bytes object, const char *name)
{
    struct bytes wanted = bytes_str(name);
    size_t at = skip_space(object, 0);
    if (at >= object.n || object.p[at] != '{')
        return (struct bytes){0};
    for (at = skip_space(object, at + 1); at < object.n && object.p[at] == '"';) {
        size_t end = skip_string(object, at);
        bool found = end - at == wanted.n + 2 && memcmp(object.p + at + 1, wanted.p, wanted.n) == 0;
        at = skip_space(object, end);
        if (at >= object.n || object.p[at] != ':')
            break;
        at = skip_space(object, at + 1);
        end = skip_value(object, at);
        assert(end >= at && end <= object.n);
        if (found)
            return bytes_of(object.p + at, end - at);
        at = skip_space(object, end);
        if (at >= object.n || object.p[at] != ',')
            break;
        at = skip_space(object, at + 1);
    }
    return (struct bytes){0};
}

struct bytes jsonscan_item(struct bytes array, size_t *at)
{
    size_t i = skip_space(array, *at);
    if (*at == 0) {
        if (i >= array.n || array.p[i] != '[')
            return (struct bytes){0};
        i = skip_space(array, i + 1);
    } else if (i < array.n && array.p[i] == ',') {
        i = skip_space(array, i + 1);
    } else {
        return (struct bytes){0};
    }
    if (i >= array.n || array.p[i] == ']')
        return (struct bytes){0};
    *at = skip_value(array, i);
    assert(*at >= i && *at <= array.n);
    return bytes_of(array.p + i, *at - i);
}

bool jsonscan_is(struct bytes value, struct bytes text)
{
    if (value.n > 0 && value.p[0] == '{') {
        struct bytes open = jsonscan_member(value, "Other");
        return jsonscan_is(open.p != NULL ? open : jsonscan_member(value, "Custom"), text);
    }
    return value.n == text.n + 2 && value.p[0] == '"' &&
           (text.n == 0 || memcmp(value.p + 1, text.p, text.n) == 0);
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool jsonscan_has_word(struct bytes value, struct bytes word)
{
    if (word.n == 0)
        return true;
    for (size_t i = 0; i + word.n <= value.n; i++) {
        size_t k = 0;
        while (k < word.n && lower(value.p[i + k]) == word.p[k])
            k++;
        if (k == word.n)
            return true;
    }
    return false;
}

bool jsonscan_uint(struct bytes value, uint64_t *out)
{
    uint64_t v = 0;
    if (value.n == 0 || value.n > 19)
        return false;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(value.p[i] - '0');
    }
    *out = v;
    return true;
}
