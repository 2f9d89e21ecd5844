/*
 * Canonical msgpack (see MODEL 2): one encoding a value. The writer goes through msgpack-c's packer,
 * which always picks the shortest header; the reader is written here, since it must refuse every
 * other header, bound every count by the bytes left, and hand out views without a copy. Knows
 * nothing of ops, bodies or records.
 */
#include "crdt/codec.h"

#include "crdt/limits.h"

#include <assert.h>
#include <msgpack/pack.h>
#include <string.h>

/* Writing. */

static int append(void *data, const char *p, size_t n)
{
    buf_put(data, p, n);
    return 0;
}

static msgpack_packer packer(struct buf *b)
{
    return (msgpack_packer){.data = b, .callback = append};
}

void mp_put_nil(struct buf *b)
{
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_nil(&pk);
}

void mp_put_bool(struct buf *b, bool v)
{
    msgpack_packer pk = packer(b);
    (void)(v ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk));
}

void mp_put_uint(struct buf *b, uint64_t v)
{
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_uint64(&pk, v);
}

void mp_put_int(struct buf *b, int64_t v)
{
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_int64(&pk, v);
}

/* The two ranges in which every whole double is equal to a 64-bit integer. */
static const double int64_floor = -9223372036854775808.0;
static const double uint64_ceiling = 18446744073709551616.0;

static bool is_finite(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (bits >> 52 & 0x7ff) != 0x7ff;
}

/* True iff a signed or unsigned 64-bit integer has the value v (so also for -0). */
static bool equals_integer(double v)
{
    if (!(v >= int64_floor && v < uint64_ceiling))
        return false;
    return v < 0 ? (double)(int64_t)v == v : (double)(uint64_t)v == v;
}

void mp_put_float(struct buf *b, double v)
{
    assert(is_finite(v));
    if (equals_integer(v)) {
        if (v < 0)
            mp_put_int(b, (int64_t)v);
        else
            mp_put_uint(b, (uint64_t)v);
        return;
    }
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_double(&pk, v);
}

void mp_put_str(struct buf *b, struct bytes utf8)
{
    assert(utf8.n <= UINT32_MAX);
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_str(&pk, utf8.n);
    buf_put_bytes(b, utf8);
}

void mp_put_bin(struct buf *b, struct bytes raw)
{
    assert(raw.n <= UINT32_MAX);
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_bin(&pk, raw.n);
    buf_put_bytes(b, raw);
}

void mp_put_array(struct buf *b, size_t n)
{
    assert(n <= UINT32_MAX);
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_array(&pk, n);
}

void mp_put_map(struct buf *b, size_t n)
{
    assert(n <= UINT32_MAX);
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_map(&pk, n);
}

/* Reading. A fault moves p to the end, so that every later read fails at its first byte. */

void mp_fail(struct mp_reader *r)
{
    assert(r->p <= r->end);
    r->bad = true;
    r->p = r->end;
}

static size_t left(const struct mp_reader *r)
{
    return (size_t)(r->end - r->p);
}

/* The header byte; 0xc1, which msgpack never uses, when there is none. */
static uint8_t lead(struct mp_reader *r)
{
    if (r->p == r->end) {
        r->bad = true;
        return 0xc1;
    }
    return *r->p++;
}

/* An unsigned number of `width` bytes that no shorter header could carry: at least `min`. */
static uint64_t wide(struct mp_reader *r, unsigned width, uint64_t min)
{
    assert(width >= 1 && width <= 8 && r->p <= r->end);
    if (left(r) < width) {
        mp_fail(r);
        return 0;
    }
    uint64_t v = 0;
    for (unsigned i = 0; i < width; i++)
        v = v << 8 | r->p[i];
    r->p += width;
    if (v < min) {
        mp_fail(r);
        return 0;
    }
    return v;
}

static struct bytes view(struct mp_reader *r, size_t n)
{
    assert(!r->bad || r->p == r->end);
    if (r->bad || left(r) < n) {
        mp_fail(r);
        return (struct bytes){0};
    }
    struct bytes x = {r->p, n};
    r->p += n;
    return x;
}

void mp_reader_init(struct mp_reader *r, struct bytes in)
{
    assert(in.p != NULL || in.n == 0);
    static const uint8_t nothing[1];
    const uint8_t *p = in.p ? in.p : nothing;
    *r = (struct mp_reader){.p = p, .end = p + in.n};
}

/* 0xc0..0xdf; the rest follows from the top bits. */
static const uint8_t type_of_c0[32] = {
    [0x00] = MP_NIL,  [0x02] = MP_BOOL,  [0x03] = MP_BOOL,  [0x04] = MP_BIN,   [0x05] = MP_BIN,  [0x06] = MP_BIN,
    [0x0b] = MP_FLOAT, [0x0c] = MP_UINT, [0x0d] = MP_UINT,  [0x0e] = MP_UINT,  [0x0f] = MP_UINT, [0x10] = MP_INT,
    [0x11] = MP_INT,  [0x12] = MP_INT,   [0x13] = MP_INT,   [0x19] = MP_STR,   [0x1a] = MP_STR,  [0x1b] = MP_STR,
    [0x1c] = MP_ARRAY, [0x1d] = MP_ARRAY, [0x1e] = MP_MAP,  [0x1f] = MP_MAP,
};

enum mp_type mp_peek(const struct mp_reader *r)
{
    if (r->p == r->end)
        return MP_NONE;
    uint8_t c = *r->p;
    if (c < 0x80)
        return MP_UINT;
    if (c < 0x90)
        return MP_MAP;
    if (c < 0xa0)
        return MP_ARRAY;
    if (c < 0xc0)
        return MP_STR;
    if (c >= 0xe0)
        return MP_INT;
    return (enum mp_type)type_of_c0[c - 0xc0];
}

void mp_nil(struct mp_reader *r)
{
    if (lead(r) != 0xc0)
        mp_fail(r);
}

bool mp_bool(struct mp_reader *r)
{
    uint8_t c = lead(r);
    if (c != 0xc2 && c != 0xc3)
        mp_fail(r);
    return c == 0xc3;
}

uint64_t mp_uint(struct mp_reader *r)
{
    uint8_t c = lead(r);
    if (c < 0x80)
        return c;
    switch (c) {
    case 0xcc: return wide(r, 1, 0x80);
    case 0xcd: return wide(r, 2, 0x100);
    case 0xce: return wide(r, 4, 0x10000);
    case 0xcf: return wide(r, 8, 0x100000000);
    default: mp_fail(r); return 0;
    }
}

/* A negative number of `width` bytes that is below `floor`, the least that a shorter header carries. */
static int64_t wide_negative(struct mp_reader *r, unsigned width, int64_t floor)
{
    assert(floor < 0 && width >= 1 && width <= 8);
    uint64_t v = wide(r, width, 0);
    if (r->bad)
        return 0;
    if (width < 8 && v >> (8 * width - 1))
        v |= UINT64_MAX << (8 * width);
    int64_t n = (int64_t)v;
    if (n >= floor) {
        mp_fail(r);
        return 0;
    }
    return n;
}

int64_t mp_int(struct mp_reader *r)
{
    if (mp_peek(r) == MP_UINT) {
        uint64_t v = mp_uint(r);
        if (v > INT64_MAX) {
            mp_fail(r);
            return 0;
        }
        return (int64_t)v;
    }
    uint8_t c = lead(r);
    if (c >= 0xe0)
        return (int64_t)c - 256;
    switch (c) {
    case 0xd0: return wide_negative(r, 1, -32);
    case 0xd1: return wide_negative(r, 2, INT8_MIN);
    case 0xd2: return wide_negative(r, 4, INT16_MIN);
    case 0xd3: return wide_negative(r, 8, INT32_MIN);
    default: mp_fail(r); return 0;
    }
}

double mp_float(struct mp_reader *r)
{
    if (lead(r) != 0xcb) {
        mp_fail(r);
        return 0;
    }
    uint64_t bits = wide(r, 8, 0);
    double v;
    memcpy(&v, &bits, sizeof v);
    if (r->bad || !is_finite(v) || equals_integer(v)) {
        mp_fail(r);
        return 0;
    }
    return v;
}

struct bytes mp_str(struct mp_reader *r)
{
    uint8_t c = lead(r);
    uint64_t n = 0;
    if (c >= 0xa0 && c < 0xc0)
        n = c & 31;
    else if (c == 0xd9)
        n = wide(r, 1, 32);
    else if (c == 0xda)
        n = wide(r, 2, 0x100);
    else if (c == 0xdb)
        n = wide(r, 4, 0x10000);
    else
        mp_fail(r);
    struct bytes s = view(r, n);
    if (!utf8_valid(s)) {
        mp_fail(r);
        return (struct bytes){0};
    }
    return s;
}

struct bytes mp_bin(struct mp_reader *r)
{
    uint8_t c = lead(r);
    uint64_t n = 0;
    if (c == 0xc4)
        n = wide(r, 1, 0);
    else if (c == 0xc5)
        n = wide(r, 2, 0x100);
    else if (c == 0xc6)
        n = wide(r, 4, 0x10000);
    else
        mp_fail(r);
    return view(r, n);
}

void mp_bin_exact(struct mp_reader *r, void *out, size_t n)
{
    assert(out != NULL && n > 0);
    struct bytes x = mp_bin(r);
    if (r->bad || x.n != n) {
        mp_fail(r);
        memset(out, 0, n);
        return;
    }
    memcpy(out, x.p, n);
}

/* A count whose items take at least `item` bytes each. */
static size_t bounded(struct mp_reader *r, uint64_t count, size_t item)
{
    assert(item > 0 && r->p <= r->end);
    if (r->bad || count > left(r) / item) {
        mp_fail(r);
        return 0;
    }
    return count;
}

size_t mp_array(struct mp_reader *r)
{
    uint8_t c = lead(r);
    if (c >= 0x90 && c < 0xa0)
        return bounded(r, c & 15, 1);
    if (c == 0xdc)
        return bounded(r, wide(r, 2, 16), 1);
    if (c == 0xdd)
        return bounded(r, wide(r, 4, 0x10000), 1);
    mp_fail(r);
    return 0;
}

size_t mp_map(struct mp_reader *r)
{
    uint8_t c = lead(r);
    if (c >= 0x80 && c < 0x90)
        return bounded(r, c & 15, 2);
    if (c == 0xde)
        return bounded(r, wide(r, 2, 16), 2);
    if (c == 0xdf)
        return bounded(r, wide(r, 4, 0x10000), 2);
    mp_fail(r);
    return 0;
}

struct bytes mp_key(struct mp_reader *r, struct bytes *previous)
{
    struct bytes key = mp_str(r);
    if (r->bad || (previous->p != NULL && bytes_cmp(*previous, key) >= 0)) {
        mp_fail(r);
        return (struct bytes){0};
    }
    *previous = key;
    return key;
}

/* Recursion is bounded: a container below MODEL_DEPTH_MAX is a fault. */
static void step(struct mp_reader *r, unsigned depth)
{
    enum mp_type type = mp_peek(r);
    if ((type == MP_ARRAY || type == MP_MAP) && depth >= MODEL_DEPTH_MAX) {
        mp_fail(r);
        return;
    }
    switch (type) {
    case MP_NONE: mp_fail(r); break;
    case MP_NIL: mp_nil(r); break;
    case MP_BOOL: (void)mp_bool(r); break;
    case MP_UINT: (void)mp_uint(r); break;
    case MP_INT: (void)mp_int(r); break;
    case MP_FLOAT: (void)mp_float(r); break;
    case MP_STR: (void)mp_str(r); break;
    case MP_BIN: (void)mp_bin(r); break;
    case MP_ARRAY:
        for (size_t n = mp_array(r); n > 0 && !r->bad; n--)
            step(r, depth + 1);
        break;
    case MP_MAP: {
        struct bytes previous = {0};
        for (size_t n = mp_map(r); n > 0 && !r->bad; n--) {
            (void)mp_key(r, &previous);
            step(r, depth + 1);
        }
        break;
    }
    }
}

struct bytes mp_value(struct mp_reader *r, unsigned depth)
{
    const uint8_t *from = r->p;
    step(r, depth);
    if (r->bad)
        return (struct bytes){0};
    assert(r->p > from && r->p <= r->end);
    return (struct bytes){from, (size_t)(r->p - from)};
}

bool mp_done(const struct mp_reader *r)
{
    return !r->bad && r->p == r->end;
}

bool mp_canonical(struct bytes x)
{
    struct mp_reader r;
    mp_reader_init(&r, x);
    (void)mp_value(&r, 0);
    return mp_done(&r);
}
