/*
 * Checks a value against its descriptor, naming the value, the reason and the bound of what does not fit. Works on canonical
 * msgpack, so that what a client sends and what a peer's record holds are judged by the same code.
 */
#include "crdt/record_tables.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The way from the field down to a value: made into a JSON pointer only when there is a fault. */
struct path {
    const struct path *up; /* NULL: the field itself */
    struct bytes key;      /* p NULL: an index */
    size_t index;
};

struct check {
    struct faults *faults; /* NULL: only the verdict is asked for */
    const char *root;
    bool ok;
};

static size_t pointer_key(char *out, size_t size, struct bytes key)
{
    assert(out != NULL && (key.n == 0 || key.p != NULL));
    size_t n = 0;
    for (size_t i = 0; i < key.n && n + 2 < size; i++) {
        uint8_t c = key.p[i];
        if (c == '~' || c == '/') {
            out[n++] = '~';
            c = c == '~' ? '0' : '1';
        }
        out[n++] = (char)c;
    }
    return n;
}

static size_t pointer_put(char *out, size_t size, const struct check *c, const struct path *at)
{
    assert(size > 2 && c->root != NULL);
    if (at == NULL) {
        int n = snprintf(out, size, "%s", c->root);
        return (size_t)n < size ? (size_t)n : size - 1;
    }
    size_t n = pointer_put(out, size, c, at->up);
    if (n + 2 >= size)
        return n;
    out[n++] = '/';
    if (at->key.p != NULL)
        return n + pointer_key(out + n, size - n - 1, at->key);
    int digits = snprintf(out + n, size - n, "%zu", at->index);
    return n + (size_t)digits < size ? n + (size_t)digits : size - 1;
}

__attribute__((format(printf, 3, 4))) static void fault(struct check *c, const struct path *at, const char *format, ...)
{
    char pointer[160], detail[160];
    c->ok = false;
    if (c->faults == NULL)
        return;
    pointer[pointer_put(pointer, sizeof pointer, c, at)] = 0;
    assert(strlen(pointer) < sizeof pointer);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    faults_add(c->faults, pointer, "%s", detail);
}

/* A string as a message shows it: quoted, at most 40 bytes, cut at a character. */
struct shown {
    char text[48];
};
static struct shown show(struct bytes s)
{
    struct shown out;
    size_t n = s.n <= 40 ? s.n : 37;
    assert(s.n == 0 || s.p != NULL);
    while (n < s.n && n > 0 && (s.p[n] & 0xc0) == 0x80)
        n--;
    (void)snprintf(out.text, sizeof out.text, "\"%.*s%s\"", (int)n, n > 0 ? (const char *)s.p : "", n < s.n ? "..." : "");
    return out;
}

static const char *type_word(enum mp_type type)
{
    static const char *const words[] = {"nothing", "null", "a boolean", "a number", "a number", "a number",
                                        "a string", "bytes", "a list", "an object"};
    assert((size_t)type < sizeof words / sizeof *words);
    return words[type];
}

/* True iff the next value has this type; else a fault, and the value is stepped over. */
static bool expect(struct check *c, const struct path *at, struct mp_reader *r, enum mp_type want)
{
    enum mp_type have = mp_peek(r);
    if (have == want)
        return true;
    const char *fraction = have == MP_FLOAT && want == MP_UINT ? " with a fraction" : "";
    fault(c, at, "is %s%s, must be %s", type_word(have), fraction, want == MP_UINT ? "a whole number" : type_word(want));
    (void)mp_value(r, 1);
    return false;
}

static bool check_size(struct check *c, const struct path *at, const struct field_desc *d, struct bytes s)
{
    assert(d->min <= d->max);
    bool chars = (d->flags & FIELD_CHARS) != 0;
    uint64_t n = chars ? utf8_count(s) : s.n;
    const char *unit = chars ? "characters" : "bytes";
    if (n < d->min && n == 0)
        fault(c, at, "is empty, must have %" PRIu64 " to %" PRIu64 " %s", d->min, d->max, unit);
    else if (n < d->min || n > d->max)
        fault(c, at, "%s has %" PRIu64 " %s, must have %" PRIu64 " to %" PRIu64, show(s).text, n, unit, d->min, d->max);
    else
        return true;
    return false;
}

static void check_line(struct check *c, const struct path *at, struct bytes s)
{
    if (rule_has_control(s))
        fault(c, at, "%s has a control character: leave it out", show(s).text);
}

static void check_string(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r)
{
    if (!expect(c, at, r, MP_STR))
        return;
    struct bytes s = mp_str(r);
    if (!check_size(c, at, d, s))
        return;
    if (d->rule == RULE_LINE)
        check_line(c, at, s);
    if (d->rule == RULE_SERVER_NAME && !rule_server_name(s))
        fault(c, at, "%s is not namespace/name (A-Z a-z 0-9 . - and, after the slash, _), such as io.github.user/server",
              show(s).text);
    const char *why = d->rule == RULE_ONE_VERSION ? rule_one_version(s) : NULL;
    if (why != NULL)
        fault(c, at, "%s%s%s", why[0] == '"' ? "" : show(s).text, why[0] == '"' ? "" : " ", why);
}

static void check_form(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r)
{
    if (!expect(c, at, r, MP_STR))
        return;
    struct bytes s = mp_str(r);
    bool https = (d->flags & FIELD_HTTPS) != 0;
    if (d->type == FIELD_SHA256) {
        if (!rule_sha256(s))
            fault(c, at, "%s is not 64 lower-case hex digits", show(s).text);
    } else if (d->type == FIELD_DECIMAL) {
        if (!rule_decimal(s, d->max))
            fault(c, at, "%s is not a decimal number with at most %" PRIu64 " digits after the point, such as \"0.15\"",
                  show(s).text, d->max);
    } else if (!check_size(c, at, d, s)) {
        return;
    } else if (d->type == FIELD_URL && !rule_url(s, https)) {
        fault(c, at, "%s is not a URL that starts with %s, names a host and has no space and none of \"<>\\^`|", show(s).text,
              https ? "https://" : "http:// or https://");
    } else if (d->type == FIELD_BASE64 && !rule_base64(s)) {
        fault(c, at, "%s is not base64 (A-Z a-z 0-9 + /, padded with =)", show(s).text);
    }
}

static void check_uint(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r)
{
    if (mp_peek(r) == MP_INT) {
        fault(c, at, "%" PRId64 " is negative, must be %" PRIu64 " to %" PRIu64, mp_int(r), d->min, d->max);
        return;
    }
    if (!expect(c, at, r, MP_UINT))
        return;
    uint64_t v = mp_uint(r);
    if (v < d->min || v > d->max)
        fault(c, at, "%" PRIu64 " is out of range, must be %" PRIu64 " to %" PRIu64, v, d->min, d->max);
}

static void check_int(struct check *c, const struct path *at, struct mp_reader *r)
{
    if (mp_peek(r) != MP_INT && !expect(c, at, r, MP_UINT))
        return;
    (void)mp_int(r);
}

static bool in_values(const struct field_desc *d, struct bytes s)
{
    assert(d->values != NULL && d->values[0] != NULL);
    for (const char *const *v = d->values; *v != NULL; v++)
        if (bytes_eq(bytes_str(*v), s))
            return true;
    return false;
}

/* "A, B or C" as far as it fits. */
static void list_values(char out[100], const struct field_desc *d)
{
    size_t n = 0;
    out[0] = 0;
    for (const char *const *v = d->values; *v != NULL && n + strlen(*v) + 8 < 100; v++)
        n += (size_t)snprintf(out + n, 100 - n, "%s%s", n == 0 ? "" : v[1] == NULL ? " or " : ", ", *v);
    assert(n < 100);
}

static void check_enum(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r)
{
    char all[100];
    if (mp_peek(r) == MP_STR || d->open_value == NULL) {
        if (!expect(c, at, r, MP_STR))
            return;
        struct bytes s = mp_str(r);
        if (in_values(d, s))
            return;
        list_values(all, d);
        fault(c, at, "%s is not one of %s", show(s).text, all);
        return;
    }
    struct mp_reader start = *r, inner;
    struct bytes whole = mp_value(r, 1);
    const char *word = d->open_value;
    if (mp_peek(&start) != MP_MAP || mp_map(&start) != 1 || !member_find(whole, word, &inner) || mp_peek(&inner) != MP_STR) {
        fault(c, at, "must be a string or {\"%s\": string}", word);
        return;
    }
    struct bytes s = mp_str(&inner);
    if (s.n == 0 || s.n > RECORD_ITEM_MAX)
        fault(c, at, "%s has %zu bytes, must have 1 to %d", show(s).text, s.n, RECORD_ITEM_MAX);
    check_line(c, at, s);
}

/* The count of a list or map, checked against the table; 0 and a fault where it is too long. */
static size_t check_count(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r)
{
    struct mp_reader peek = *r;
    bool map = mp_peek(r) == MP_MAP;
    assert(map || mp_peek(r) == MP_ARRAY);
    size_t n = map ? mp_map(&peek) : mp_array(&peek);
    if (n > d->max) {
        fault(c, at, "has %zu %s, at most %" PRIu64 " are allowed", n, map ? "members" : "items", d->max);
        (void)mp_value(r, 1);
        return 0;
    }
    *r = peek;
    return n;
}

static void check_value(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r);
static void check_object(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r);

static void check_item(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r)
{
    if (d->type == FIELD_ENUM_LIST) {
        check_enum(c, at, d, r);
    } else if (d->type == FIELD_OBJECT_LIST || d->type == FIELD_OBJECT_MAP) {
        check_object(c, at, d, r);
    } else if (expect(c, at, r, MP_STR)) {
        struct bytes s = mp_str(r);
        if (s.n > d->item_max)
            fault(c, at, "%s has %zu bytes, must have at most %" PRIu64, show(s).text, s.n, d->item_max);
        else if (d->type == FIELD_STRING_LIST)
            check_line(c, at, s);
    }
}

static void check_units(struct check *c, const struct path *at, struct bytes list)
{
    struct mp_reader r, unit;
    struct bytes seen[RECORD_LIST_MAX];
    size_t count = 0;
    mp_reader_init(&r, list);
    for (size_t i = 0, n = mp_array(&r); i < n && !r.bad; i++) {
        struct path item = {.up = at, .index = i};
        if (!member_find(mp_value(&r, 1), "unit", &unit) || mp_peek(&unit) != MP_STR || count == RECORD_LIST_MAX)
            continue;
        struct bytes s = mp_str(&unit);
        for (size_t k = 0; k < count; k++)
            if (bytes_eq(seen[k], s))
                fault(c, &item, "the unit %s has a price already: name each unit once", show(s).text);
        seen[count++] = s;
        assert(count <= RECORD_LIST_MAX);
    }
}

static void check_list(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r)
{
    if (!expect(c, at, r, MP_ARRAY))
        return;
    const uint8_t *start = r->p;
    size_t n = check_count(c, at, d, r);
    for (size_t i = 0; i < n && !r->bad; i++) {
        struct path item = {.up = at, .index = i};
        check_item(c, &item, d, r);
    }
    if (d->rule == RULE_UNITS && n > 0)
        check_units(c, at, bytes_of(start, (size_t)(r->p - start)));
}

static void check_map(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r)
{
    if (!expect(c, at, r, MP_MAP))
        return;
    struct bytes last = {0};
    for (size_t n = check_count(c, at, d, r); n > 0 && !r->bad; n--) {
        struct path item = {.up = at, .key = mp_key(r, &last)};
        if (item.key.n == 0 || item.key.n > RECORD_ITEM_MAX || rule_has_control(item.key))
            fault(c, at, "the key %s must have 1 to %d bytes and no control character", show(item.key).text, RECORD_ITEM_MAX);
        check_item(c, &item, d, r);
    }
}

/* A sibling that is a number; false: absent or not one. */
static bool sibling(struct bytes object, const char *name, uint64_t *out)
{
    struct mp_reader r;
    if (!member_find(object, name, &r) || mp_peek(&r) != MP_UINT)
        return false;
    *out = mp_uint(&r);
    return true;
}

static bool has_member(struct bytes object, const char *name)
{
    struct mp_reader r;
    return member_find(object, name, &r);
}

static bool member_is(struct bytes object, const char *name, const char *value)
{
    struct mp_reader r;
    return member_find(object, name, &r) && mp_peek(&r) == MP_STR && bytes_eq(mp_str(&r), bytes_str(value));
}

static void check_across(struct check *c, const struct path *at, const struct field_desc *d, struct bytes object)
{
    assert(d->type == FIELD_OBJECT || d->type == FIELD_OBJECT_LIST || d->type == FIELD_OBJECT_MAP);
    for (const struct field_desc *m = d->fields; m->name != NULL; m++) {
        struct path member = {.up = at, .key = bytes_str(m->name)};
        uint64_t low, own;
        if ((m->flags & FIELD_REQUIRED) && !has_member(object, m->name))
            fault(c, &member, "is required: %s", m->about);
        if (m->not_below != NULL && sibling(object, m->not_below, &low) && sibling(object, m->name, &own) && own < low)
            fault(c, &member, "%" PRIu64 " is below %s, which is %" PRIu64, own, m->not_below, low);
    }
    struct path url = {.up = at, .key = bytes_str("url")};
    if (d->rule == RULE_TRANSPORT && !has_member(object, "url") &&
        (member_is(object, "type", "sse") || member_is(object, "type", "streamable-http")))
        fault(c, &url, "is required unless type is \"stdio\"");
    struct path name = {.up = at, .key = bytes_str("name")};
    if (d->rule == RULE_ARGUMENT && member_is(object, "type", "named") && !has_member(object, "name"))
        fault(c, &name, "is required where type is \"named\"");
    if (d->rule == RULE_ARGUMENT && member_is(object, "type", "positional") && !has_member(object, "value") &&
        !has_member(object, "valueHint"))
        fault(c, at, "needs a valueHint or a value where type is \"positional\"");
}

static void check_object(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r)
{
    if (!expect(c, at, r, MP_MAP))
        return;
    const uint8_t *start = r->p;
    struct bytes last = {0};
    assert(d->fields != NULL);
    for (size_t n = mp_map(r); n > 0 && !r->bad; n--) {
        struct path member = {.up = at, .key = mp_key(r, &last)};
        const struct field_desc *m = field_by_name(d->fields, member.key);
        if (m == NULL)
            (void)mp_value(r, 1);
        else if (mp_peek(r) == MP_NIL && (m->flags & FIELD_NULLABLE))
            mp_nil(r);
        else
            check_value(c, &member, m, r);
    }
    check_across(c, at, d, bytes_of(start, (size_t)(r->p - start)));
}

static void check_value(struct check *c, const struct path *at, const struct field_desc *d, struct mp_reader *r)
{
    switch (d->type) {
    case FIELD_STRING: check_string(c, at, d, r); break;
    case FIELD_URL:
    case FIELD_BASE64:
    case FIELD_SHA256:
    case FIELD_DECIMAL: check_form(c, at, d, r); break;
    case FIELD_UINT: check_uint(c, at, d, r); break;
    case FIELD_INT: check_int(c, at, r); break;
    case FIELD_BOOL:
        if (expect(c, at, r, MP_BOOL))
            (void)mp_bool(r);
        break;
    case FIELD_ENUM: check_enum(c, at, d, r); break;
    case FIELD_ENUM_LIST:
    case FIELD_STRING_LIST:
    case FIELD_OBJECT_LIST: check_list(c, at, d, r); break;
    case FIELD_STRING_MAP:
    case FIELD_OBJECT_MAP: check_map(c, at, d, r); break;
    case FIELD_OBJECT: check_object(c, at, d, r); break;
    case FIELD_JSON: (void)mp_value(r, 3); break;
    }
}

bool field_check(const struct field_desc *d, const char *pointer, struct bytes value, struct faults *faults)
{
    struct check c = {.faults = faults, .root = pointer, .ok = true};
    struct mp_reader r;
    assert(d != NULL && pointer != NULL);
    mp_reader_init(&r, value);
    if (mp_peek(&r) != MP_NIL)
        check_value(&c, NULL, d, &r);
    else if (d->flags & FIELD_REQUIRED)
        fault(&c, NULL, "is required and cannot be removed");
    else
        mp_nil(&r);
    if (c.ok && !mp_done(&r))
        fault(&c, NULL, "is not one canonical value");
    return c.ok;
}

bool field_fits(const struct field_desc *d, struct bytes value)
{
    return field_check(d, "", value, NULL);
}

bool record_check(const struct kind_desc *kind, const struct field *fields, size_t n, struct faults *faults)
{
    bool ok = true;
    char pointer[160];
    assert(n == 0 || fields != NULL);
    assert(n <= (size_t)MODEL_FIELDS_MAX * MODEL_HEADS_READ);
    for (size_t i = 0; i < n; i++) {
        const struct field_desc *d = field_by_name(kind->fields, fields[i].name);
        if (d == NULL)
            continue;
        (void)snprintf(pointer, sizeof pointer, "/%s", d->name);
        ok = field_check(d, pointer, fields[i].value, faults) && ok;
    }
    for (const struct field_desc *d = kind->fields; d->name != NULL; d++) {
        if (!(d->flags & FIELD_REQUIRED) || strcmp(d->name, "name") == 0)
            continue;
        size_t i = 0;
        while (i < n && !bytes_eq(fields[i].name, bytes_str(d->name)))
            i++;
        if (i < n)
            continue;
        (void)snprintf(pointer, sizeof pointer, "/%s", d->name);
        faults_add(faults, pointer, "is required: %s", d->about);
        ok = false;
    }
    return ok;
}

bool name_check(const struct kind_desc *kind, struct bytes name, struct faults *faults)
{
    const struct field_desc *d = field_by_name(kind->fields, bytes_str("name"));
    struct check c = {.faults = faults, .root = "/name", .ok = true};
    assert(d != NULL);
    if (!utf8_valid(name)) {
        fault(&c, NULL, "is not UTF-8");
        return false;
    }
    struct buf value = {0};
    mp_put_str(&value, name);
    struct mp_reader r;
    mp_reader_init(&r, buf_view(&value));
    check_value(&c, NULL, d, &r);
    buf_close(&value);
    return c.ok;
}
