/*
 * Rules over text that a table cannot say with a bound: URLs, base64, digests, decimals, names and versions. Each is a
 * pure predicate; what to tell the client is for record_check.c.
 */
#include "crdt/decimal.h"
#include "crdt/record_tables.h"

#include <assert.h>
#include <string.h>

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

size_t utf8_count(struct bytes s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

/* C0, DEL and C1 (U+0080..U+009F, in UTF-8 0xc2 0x80..0x9f). */
bool rule_has_control(struct bytes s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] == 0x7f || (s.p[i] == 0xc2 && i + 1 < s.n && s.p[i + 1] < 0xa0))
            return true;
    return false;
}

static bool starts(struct bytes s, const char *prefix)
{
    assert(prefix[0] != 0);
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

bool rule_url(struct bytes s, bool https_only)
{
    size_t host = starts(s, "https://") ? 8 : starts(s, "http://") && !https_only ? 7 : 0;
    if (host == 0 || s.n == host || rule_has_control(s))
        return false;
    if (strchr("/?#:@", s.p[host]) != NULL)
        return false;
    for (size_t i = host; i < s.n; i++)
        if (strchr(" \"<>\\^`|", s.p[i]) != NULL)
            return false;
    return true;
}

bool rule_base64(struct bytes s)
{
    if (s.n % 4 != 0)
        return false;
    size_t pad = s.n > 0 && s.p[s.n - 1] == '=' ? s.p[s.n - 2] == '=' ? 2 : 1 : 0;
    assert(pad <= 2 && (pad == 0 || s.n >= 4));
    for (size_t i = 0; i + pad < s.n; i++)
        if (!is_alnum(s.p[i]) && s.p[i] != '+' && s.p[i] != '/')
            return false;
    return true;
}

bool rule_sha256(struct bytes s)
{
    if (s.n != 64)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
            return false;
    return true;
}

bool rule_decimal(struct bytes s, uint64_t digits_after_point)
{
    uint64_t n;
    return digits_after_point <= 18 && decimal_scaled(s, (unsigned)digits_after_point, &n);
}

bool rule_server_name(struct bytes s)
{
    const uint8_t *slash = s.n > 0 ? memchr(s.p, '/', s.n) : NULL;
    if (slash == NULL)
        return false;
    size_t space = (size_t)(slash - s.p);
    assert(space < s.n);
    if (space == 0 || space + 1 == s.n)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (i != space && !is_alnum(s.p[i]) && s.p[i] != '.' && s.p[i] != '-' && (i < space || s.p[i] != '_'))
            return false;
    return true;
}

/* A component that is just x, X or *, as in 1.x. */
static bool has_wildcard(struct bytes s)
{
    for (size_t i = 0; i < s.n; i++) {
        bool first = i == 0 || s.p[i - 1] == '.';
        bool last = i + 1 == s.n || s.p[i + 1] == '.';
        if (first && last && (s.p[i] == 'x' || s.p[i] == 'X'))
            return true;
    }
    return false;
}

const char *rule_one_version(struct bytes s)
{
    if (bytes_eq(s, bytes_str("latest")))
        return "\"latest\" is not a version: name one, such as 1.0.0";
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x80 && strchr("^~<>=|*, ", s.p[i]) != NULL)
            return "is a range: name one version, such as 1.0.0";
    if (has_wildcard(s))
        return "is a range: name one version, such as 1.0.0";
    return rule_has_control(s) ? "has a control character" : NULL;
}

bool member_find(struct bytes map, const char *key, struct mp_reader *value)
{
    struct mp_reader r;
    struct bytes last = {0};
    mp_reader_init(&r, map);
    assert(key != NULL);
    for (size_t n = mp_peek(&r) == MP_MAP ? mp_map(&r) : 0; n > 0 && !r.bad; n--) {
        if (bytes_eq(mp_key(&r, &last), bytes_str(key))) {
            *value = r;
            return !r.bad;
        }
        (void)mp_value(&r, 1);
    }
    return false;
}
