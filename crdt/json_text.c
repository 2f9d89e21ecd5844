/*
 * Canonical msgpack as JSON text, and the text of strings, numbers and times. One value has one text, so that two nodes
 * with the same state send the same bytes. Knows no schema.
 */
#include "crdt/codec.h"
#include "crdt/hlc.h"
#include "crdt/limits.h"
#include "crdt/record.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What stands for c in a string; NULL: c itself. */
static const char *escape(uint8_t c)
{
    switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    default: return NULL;
    }
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* Of eight bytes, is there one that is below 0x20, a quote or a backslash? May say yes where there is none. */
static bool maybe_not_plain(const uint8_t *p)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t x, quote, backslash;
    memcpy(&x, p, sizeof x);
    quote = x ^ ones * '"';
    backslash = x ^ ones * '\\';
    return (((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & tops;
}

/* The first byte from i on that cannot stand for itself, or the end. */
static size_t plain_end(struct bytes s, size_t i)
{
    while (s.n - i >= 8 && !maybe_not_plain(s.p + i))
        i += 8;
    while (i < s.n && is_plain(s.p[i]))
        i++;
    return i;
}

void json_put_string(struct buf *out, struct bytes utf8)
{
    uint8_t *room = buf_grow(out, utf8.n + 2);
    *room = '"';
    out->n++;
    for (size_t i = 0; i < utf8.n;) {
        size_t run = plain_end(utf8, i);
        assert(run >= i && run <= utf8.n);
        buf_put(out, utf8.p + i, run - i);
        if (run < utf8.n) {
            const char *text = escape(utf8.p[run]);
            if (text != NULL)
                buf_put_str(out, text);
            else
                buf_printf(out, "\\u%04x", utf8.p[run]);
            run++;
        }
        i = run;
    }
    buf_put_u8(out, '"');
}

void json_put_float(struct buf *out, double v)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_put_str(out, text);
}

void json_put_uint(struct buf *out, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;
    do
        text[--at] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    buf_put(out, text + at, sizeof text - at);
}

static void put_int(struct buf *out, int64_t v)
{
    if (v < 0)
        buf_put_u8(out, '-');
    json_put_uint(out, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

static void put_base64(struct buf *out, struct bytes raw)
{
    size_t size = sodium_base64_encoded_len(raw.n, sodium_base64_VARIANT_ORIGINAL);
    assert(size > 0 && (size - 1) % 4 == 0);
    buf_put_u8(out, '"');
    (void)sodium_bin2base64((char *)buf_grow(out, size), size, raw.p, raw.n, sodium_base64_VARIANT_ORIGINAL);
    out->n += size - 1;
    buf_put_u8(out, '"');
}

/* Bounded: below MODEL_DEPTH_MAX a value is refused, and a refused reader has counts of 0. */
static void put_value(struct buf *out, struct mp_reader *r, unsigned depth)
{
    enum mp_type type = mp_peek(r);
    struct bytes last = {0};
    size_t n;
    assert(depth <= MODEL_DEPTH_MAX); /* below it the reader is marked bad and gives no further containers */
    if ((type == MP_ARRAY || type == MP_MAP) && depth >= MODEL_DEPTH_MAX)
        mp_fail(r);
    switch (r->bad ? MP_NONE : type) {
    case MP_NONE: buf_put_str(out, "null"); break;
    case MP_NIL: mp_nil(r); buf_put_str(out, "null"); break;
    case MP_BOOL: buf_put_str(out, mp_bool(r) ? "true" : "false"); break;
    case MP_UINT: json_put_uint(out, mp_uint(r)); break;
    case MP_INT: put_int(out, mp_int(r)); break;
    case MP_FLOAT: json_put_float(out, mp_float(r)); break;
    case MP_STR: json_put_string(out, mp_str(r)); break;
    case MP_BIN: put_base64(out, mp_bin(r)); break;
    case MP_ARRAY:
        n = mp_array(r);
        buf_put_u8(out, '[');
        for (size_t i = 0; i < n && !r->bad; i++) {
            if (i > 0)
                buf_put_u8(out, ',');
            put_value(out, r, depth + 1);
        }
        buf_put_u8(out, ']');
        break;
    case MP_MAP:
        n = mp_map(r);
        buf_put_u8(out, '{');
        for (size_t i = 0; i < n && !r->bad; i++) {
            if (i > 0)
                buf_put_u8(out, ',');
            json_put_string(out, mp_key(r, &last));
            buf_put_u8(out, ':');
            put_value(out, r, depth + 1);
        }
        buf_put_u8(out, '}');
        break;
    }
}

void json_put_value(struct buf *out, struct bytes value)
{
    struct mp_reader r;
    mp_reader_init(&r, value);
    put_value(out, &r, 0);
}

/* Days since 1970-01-01 -> the civil date (proleptic Gregorian), by eras of 400 years that start in March. */
static void civil(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    uint64_t z = days + 719468;
    uint64_t era = z / 146097, of_era = z % 146097;
    uint64_t yoe = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t doy = of_era - (365 * yoe + yoe / 4 - yoe / 100);
    uint64_t mp = (5 * doy + 2) / 153;
    *day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    *month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    *year = (unsigned)(yoe + era * 400 + (*month <= 2));
    assert(*month >= 1 && *month <= 12 && *day >= 1 && *day <= 31);
}

void json_time(char out[25], uint64_t hlc_time)
{
    uint64_t ms = hlc_ms(hlc_time), seconds = ms / 1000;
    unsigned year, month, day;
    const uint64_t last = 253402300799; /* 9999-12-31T23:59:59Z, the last second that RFC 3339 can write */
    if (seconds > last) {
        seconds = last;
        ms = last * 1000 + 999;
    }
    civil(seconds / 86400, &year, &month, &day);
    unsigned of_day = (unsigned)(seconds % 86400);
    const struct {
        unsigned value, width;
        char after;
    } parts[] = {{year, 4, '-'}, {month, 2, '-'}, {day, 2, 'T'}, {of_day / 3600, 2, ':'}, {of_day / 60 % 60, 2, ':'},
                 {of_day % 60, 2, '.'}, {(unsigned)(ms % 1000), 3, 'Z'}};
    size_t at = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        unsigned rest = parts[i].value;
        for (unsigned k = parts[i].width; k > 0; k--, rest /= 10)
            out[at + k - 1] = (char)('0' + rest % 10);
        at += parts[i].width;
        out[at++] = parts[i].after;
    }
    assert(at == 24);
    out[at] = '\0';
}
