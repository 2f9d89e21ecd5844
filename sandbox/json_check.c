/*
 * A strict checker of JSON text by recursive descent: bounded depth, bounded keys, no duplicate names, no number beyond a
 * double, no lone surrogate, no NUL. Builds no tree; keeps a hash of each name of the objects that are open.
 */
#include "sandbox/json_check.h"

#include "crdt/alloc.h"
#include "crdt/id.h"
#include "sandbox/sandbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NAME_HASH 16

struct name_hash {
    uint8_t b[NAME_HASH];
};

struct scan {
    struct bytes text;
    size_t at;
    const char *fault; /* NULL: none yet; at = where */
    unsigned depth;
    size_t keys;             /* members seen in all        */
    struct name_hash *names; /* of the objects now open    */
    size_t names_count, names_cap;
    struct sandbox_json_member *wanted;
    size_t wanted_count;
};

static bool fail(struct scan *s, const char *fault)
{
    if (s->fault == NULL)
        s->fault = fault;
    return false;
}

static int peek(const struct scan *s)
{
    return s->at < s->text.n ? s->text.p[s->at] : -1;
}

static void skip_space(struct scan *s)
{
    while (s->at < s->text.n && strchr(" \t\r\n", s->text.p[s->at]) != NULL && s->text.p[s->at] != 0)
        s->at++;
}

static bool take_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if (s->text.n - s->at < n || memcmp(s->text.p + s->at, word, n) != 0)
        return fail(s, "not a JSON value");
    s->at += n;
    return true;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* Is 0.DIGITS x 10^exponent (no leading zero) beyond what rounds to the largest double? */
static bool beyond_double(const char *digits, size_t n, long exponent)
{
    static const char most[] = "1797693134862315807";
    if (n == 0 || exponent < 309)
        return false;
    if (exponent > 309)
        return true;
    size_t m = n < sizeof most - 1 ? n : sizeof most - 1;
    return memcmp(digits, most, m) > 0;
}

/* The value of a number, as far as its range needs: the first digits that matter and a decimal exponent. */
struct magnitude {
    char digits[24];
    size_t n;
    long exponent;
};

static void magnitude_digit(struct magnitude *m, int c, bool fraction)
{
    if (m->n == 0 && c == '0') {
        m->exponent -= fraction ? 1 : 0;
        return;
    }
    if (m->n < sizeof m->digits)
        m->digits[m->n++] = (char)c;
    m->exponent += fraction ? 0 : 1;
}

static bool take_exponent(struct scan *s, struct magnitude *m)
{
    if (peek(s) != 'e' && peek(s) != 'E')
        return true;
    s->at++;
    bool negative = peek(s) == '-';
    if (peek(s) == '+' || peek(s) == '-')
        s->at++;
    if (!is_digit(peek(s)))
        return fail(s, "an exponent without digits");
    long exponent = 0;
    for (; is_digit(peek(s)); s->at++)
        exponent = exponent < 1000000000 ? exponent * 10 + (peek(s) - '0') : exponent;
    m->exponent += negative ? -exponent : exponent;
    return true;
}

static bool take_number(struct scan *s)
{
    struct magnitude m = {.n = 0};
    size_t start = s->at;
    if (peek(s) == '-')
        s->at++;
    if (!is_digit(peek(s)))
        return fail(s, "not a JSON value");
    bool zero = peek(s) == '0';
    for (; is_digit(peek(s)); s->at++) {
        magnitude_digit(&m, peek(s), false);
        if (zero && s->at + 1 < s->text.n && is_digit(s->text.p[s->at + 1]))
            return fail(s, "a number with a leading zero");
    }
    if (peek(s) == '.') {
        s->at++;
        if (!is_digit(peek(s)))
            return fail(s, "a number without digits after its point");
        for (; is_digit(peek(s)); s->at++)
            magnitude_digit(&m, peek(s), true);
    }
    if (!take_exponent(s, &m))
        return false;
    if (beyond_double(m.digits, m.n, m.exponent)) {
        s->at = start;
        return fail(s, "a number beyond the range of a double");
    }
    return true;
}

static int hex_value(int c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hex digits at `at`; -1 if they are not there. */
static long hex4(struct bytes text, size_t at)
{
    long v = 0;
    if (text.n < 4 || at > text.n - 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int d = hex_value(text.p[at + i]);
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* The code point of a \u escape whose digits start at *at; *at moves behind it (behind the pair of a surrogate). -1: bad. */
static long take_u(struct bytes text, size_t *at)
{
    long high = hex4(text, *at);
    if (high < 0 || high == 0 || (high >= 0xDC00 && high <= 0xDFFF))
        return -1;
    *at += 4;
    if (high < 0xD800 || high > 0xDBFF)
        return high;
    if (*at + 2 > text.n || text.p[*at] != '\\' || text.p[*at + 1] != 'u')
        return -1;
    long low = hex4(text, *at + 2);
    if (low < 0xDC00 || low > 0xDFFF)
        return -1;
    *at += 6;
    return 0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00);
}

static size_t utf8_put(uint8_t out[4], long c)
{
    assert(c > 0 && c <= 0x10FFFF);
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3F));
    out[0] = (uint8_t)((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | c);
    return n;
}

/* One unit of a string at *at: a plain byte or an escape. Its UTF-8 goes to out; 0: a fault. */
static size_t take_unit(struct bytes text, size_t *at, uint8_t out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint8_t c = text.p[(*at)++];
    if (c != '\\') {
        out[0] = c;
        return c < 0x20 ? 0 : 1;
    }
    if (*at >= text.n)
        return 0;
    c = text.p[(*at)++];
    if (c == 'u') {
        long code = take_u(text, at);
        return code < 0 ? 0 : utf8_put(out, code);
    }
    const char *found = c == 0 ? NULL : strchr(from, c);
    if (found == NULL)
        return 0;
    out[0] = (uint8_t)to[found - from];
    return 1;
}

/* A string from its opening quote; `name` (may be NULL) hashes what it means. */
static bool take_string(struct scan *s, crypto_generichash_state *name)
{
    uint8_t unit[4];
    assert(peek(s) == '"');
    s->at++;
    while (peek(s) != '"') {
        if (s->at >= s->text.n)
            return fail(s, "the text ends within a string");
        size_t start = s->at, n = take_unit(s->text, &s->at, unit);
        if (n == 0) {
            s->at = start;
            return fail(s, "a control byte or a bad escape in a string");
        }
        if (name != NULL)
            crypto_generichash_update(name, unit, n);
    }
    s->at++;
    return true;
}

static bool take_value(struct scan *s);

static bool push_name(struct scan *s, crypto_generichash_state *state)
{
    if (++s->keys > SANDBOX_JSON_KEYS)
        return fail(s, "too many members");
    if (s->names_count == s->names_cap) {
        s->names_cap = s->names_cap == 0 ? 64 : s->names_cap * 2;
        s->names = mem_realloc(s->names, s->names_cap, sizeof *s->names);
    }
    crypto_generichash_final(state, s->names[s->names_count++].b, NAME_HASH);
    return true;
}

static int name_order(const void *a, const void *b)
{
    return memcmp(a, b, NAME_HASH); /* equal ones cannot be told apart, so any order of them is the same */
}

/* The names from `first` on belong to the object that closes now. */
static bool close_object(struct scan *s, size_t first)
{
    size_t n = s->names_count - first;
    assert(first <= s->names_count);
    if (n > 1)
        qsort(s->names + first, n, sizeof *s->names, name_order);
    for (size_t i = first + 1; i < s->names_count; i++) {
        if (memcmp(s->names[i - 1].b, s->names[i].b, NAME_HASH) == 0)
            return fail(s, "a member name twice in the object that ends here");
    }
    s->names_count = first;
    return true;
}

static void note_wanted(struct scan *s, struct bytes name, struct bytes value)
{
    for (size_t i = 0; i < s->wanted_count; i++) {
        if (bytes_eq(name, bytes_str(s->wanted[i].name)))
            s->wanted[i].value = value;
    }
}

static bool take_member(struct scan *s)
{
    crypto_generichash_state state;
    if (peek(s) != '"')
        return fail(s, "a member without a name in quotes");
    crypto_generichash_init(&state, NULL, 0, NAME_HASH);
    size_t name_at = s->at + 1;
    if (!take_string(s, &state) || !push_name(s, &state))
        return false;
    struct bytes name = bytes_of(s->text.p + name_at, s->at - 1 - name_at);
    skip_space(s);
    if (peek(s) != ':')
        return fail(s, "a member name without a colon");
    s->at++;
    skip_space(s);
    size_t value_at = s->at;
    if (!take_value(s))
        return false;
    if (s->depth == 1)
        note_wanted(s, name, bytes_of(s->text.p + value_at, s->at - value_at));
    return true;
}

/* An object or an array: members or values between brackets, parted by commas. */
static bool take_container(struct scan *s, int close)
{
    size_t first = s->names_count;
    if (++s->depth > SANDBOX_JSON_DEPTH)
        return fail(s, "nested too deeply");
    s->at++;
    skip_space(s);
    for (bool more = peek(s) != close; more;) {
        skip_space(s);
        if (!(close == '}' ? take_member(s) : take_value(s)))
            return false;
        skip_space(s);
        more = peek(s) == ',';
        if (more)
            s->at++;
    }
    if (peek(s) != close)
        return fail(s,
                    s->at < s->text.n ? "neither a comma nor a closing bracket" : "the text ends within the document");
    if (close == '}' && !close_object(s, first))
        return false;
    s->at++;
    s->depth--;
    return true;
}

static bool take_value(struct scan *s)
{
    switch (peek(s)) {
    case -1:
        return fail(s, "the text ends within the document");
    case '{':
        return take_container(s, '}');
    case '[':
        return take_container(s, ']');
    case '"':
        return take_string(s, NULL);
    case 't':
        return take_word(s, "true");
    case 'f':
        return take_word(s, "false");
    case 'n':
        return take_word(s, "null");
    default:
        return take_number(s);
    }
}

static enum err scan_all(struct scan *s, struct buf *why)
{
    assert(why != NULL);
    skip_space(s);
    bool ok = s->at < s->text.n ? take_value(s) : fail(s, "no JSON document");
    skip_space(s);
    if (ok && s->at < s->text.n)
        ok = fail(s, "more after the document");
    if (ok && !utf8_valid(s->text)) {
        s->at = 0;
        ok = fail(s, "bytes that are not UTF-8");
    }
    free(s->names);
    assert(ok == (s->fault == NULL));
    if (!ok)
        buf_printf(why, "not JSON as it is wanted: %s (byte %zu of %zu)", s->fault, s->at, s->text.n);
    return ok ? ERR_OK : ERR_FORM;
}

enum err sandbox_json_check(struct bytes text, struct buf *why)
{
    struct scan s = {.text = text};
    return scan_all(&s, why);
}

enum err sandbox_json_find(struct bytes text, struct sandbox_json_member *members, size_t count, struct buf *why)
{
    struct scan s = {.text = text, .wanted = members, .wanted_count = count};
    assert(count <= SANDBOX_JSON_FIND_MAX);
    for (size_t i = 0; i < count; i++)
        members[i].value = (struct bytes){0};
    skip_space(&s);
    if (peek(&s) != '{') {
        buf_put_str(why, "not a JSON object");
        return ERR_FORM;
    }
    return scan_all(&s, why);
}

bool sandbox_json_string(struct bytes literal, struct buf *out)
{
    uint8_t unit[4];
    if (literal.n < 2 || literal.p[0] != '"')
        return false;
    struct bytes inside = bytes_of(literal.p + 1, literal.n - 2);
    for (size_t at = 0; at < inside.n;) {
        size_t n = take_unit(inside, &at, unit);
        if (n == 0)
            return false;
        buf_put(out, unit, n);
    }
    return true;
}

bool sandbox_json_uint(struct bytes literal, uint64_t *out)
{
    uint64_t v = 0;
    if (literal.n == 0 || literal.n > 16)
        return false;
    for (size_t i = 0; i < literal.n; i++) {
        if (!is_digit(literal.p[i]))
            return false;
        v = v * 10 + (uint64_t)(literal.p[i] - '0');
    }
    *out = v;
    return v <= UINT64_C(1) << 53;
}
