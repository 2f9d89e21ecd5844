/* Canonical msgpack: every header form at its edges, every other form refused, and no trust in counts. */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "crdt/limits.h"
#include "tests/lib/gen.h"
#include "tests/lib/hex.h"
#include "tests/lib/recode.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool canonical(const char *hex)
{
    struct buf b = {0};
    hex_put(&b, hex);
    bool yes = mp_canonical(buf_view(&b));
    buf_close(&b);
    return yes;
}

Test(codec, unsigned_integers_at_the_edge_of_each_header)
{
    static const struct {
        uint64_t v;
        const char *hex;
    } cases[] = {
        {0, "00"}, {1, "01"}, {0x7f, "7f"}, {0x80, "cc80"}, {0xff, "ccff"}, {0x100, "cd0100"}, {0xffff, "cdffff"},
        {0x10000, "ce00010000"}, {0xffffffff, "ceffffffff"}, {0x100000000, "cf0000000100000000"},
        {INT64_MAX, "cf7fffffffffffffff"}, {UINT64_MAX, "cfffffffffffffffff"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        struct mp_reader r;
        mp_put_uint(&b, cases[i].v);
        cr_assert(hex_is(buf_view(&b), cases[i].hex), "%s", cases[i].hex);
        mp_reader_init(&r, buf_view(&b));
        cr_assert_eq(mp_peek(&r), MP_UINT);
        cr_assert_eq(mp_uint(&r), cases[i].v);
        cr_assert(mp_done(&r));
        mp_reader_init(&r, buf_view(&b));
        int64_t v = mp_int(&r);
        cr_assert_eq(r.bad, cases[i].v > INT64_MAX);
        cr_assert(r.bad || v == (int64_t)cases[i].v);
        buf_close(&b);
    }
}

Test(codec, signed_integers_at_the_edge_of_each_header)
{
    static const struct {
        int64_t v;
        const char *hex;
    } cases[] = {
        {-1, "ff"}, {-32, "e0"}, {-33, "d0df"}, {-128, "d080"}, {-129, "d1ff7f"}, {-32768, "d18000"},
        {-32769, "d2ffff7fff"}, {INT32_MIN, "d280000000"}, {(int64_t)INT32_MIN - 1, "d3ffffffff7fffffff"},
        {INT64_MIN, "d38000000000000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        struct mp_reader r;
        mp_put_int(&b, cases[i].v);
        cr_assert(hex_is(buf_view(&b), cases[i].hex), "%s", cases[i].hex);
        mp_reader_init(&r, buf_view(&b));
        cr_assert_eq(mp_peek(&r), MP_INT);
        cr_assert_eq(mp_int(&r), cases[i].v);
        cr_assert(mp_done(&r));
        mp_reader_init(&r, buf_view(&b));
        cr_assert_eq(mp_uint(&r), 0);
        cr_assert(r.bad);
        buf_close(&b);
    }
}

Test(codec, floats_are_integers_where_one_is_equal)
{
    static const struct {
        double v;
        const char *hex;
    } cases[] = {
        {0.5, "cb3fe0000000000000"}, {-0.1, "cbbfb999999999999a"}, {1e300, "cb7e37e43c8800759c"}, {0.0, "00"}, {-0.0, "00"},
        {5e-324, "cb0000000000000001"}, {1.0, "01"}, {-1.0, "ff"}, {9007199254740992.0, "cf0020000000000000"},
        {18446744073709549568.0, "cffffffffffffff800"}, {18446744073709551616.0, "cb43f0000000000000"},
        {-9223372036854775808.0, "d38000000000000000"}, {-9223372036854777856.0, "cbc3e0000000000001"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        struct mp_reader r;
        mp_put_float(&b, cases[i].v);
        cr_assert(hex_is(buf_view(&b), cases[i].hex), "%s", cases[i].hex);
        cr_assert(canonical(cases[i].hex));
        mp_reader_init(&r, buf_view(&b));
        if (mp_peek(&r) == MP_FLOAT) {
            cr_assert(mp_float(&r) == cases[i].v);
            cr_assert(mp_done(&r));
        }
        buf_close(&b);
    }
}

static void put_long(struct buf *b, enum mp_type type, size_t n)
{
    struct buf content = {0};
    for (size_t i = 0; i < n; i++)
        buf_put_u8(&content, 'x');
    struct bytes x = n > 0 ? buf_view(&content) : bytes_str("");
    if (type == MP_STR)
        mp_put_str(b, x);
    else
        mp_put_bin(b, x);
    buf_close(&content);
}

Test(codec, strings_and_bins_at_the_edge_of_each_header)
{
    static const struct {
        enum mp_type type;
        size_t n;
        const char *header;
    } cases[] = {
        {MP_STR, 0, "a0"}, {MP_STR, 31, "bf"}, {MP_STR, 32, "d920"}, {MP_STR, 255, "d9ff"}, {MP_STR, 256, "da0100"},
        {MP_STR, 65535, "daffff"}, {MP_STR, 65536, "db00010000"}, {MP_BIN, 0, "c400"}, {MP_BIN, 255, "c4ff"},
        {MP_BIN, 256, "c50100"}, {MP_BIN, 65535, "c5ffff"}, {MP_BIN, 65536, "c600010000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        struct mp_reader r;
        put_long(&b, cases[i].type, cases[i].n);
        cr_assert(hex_is(bytes_of(b.p, b.n - cases[i].n), cases[i].header), "%s", cases[i].header);
        mp_reader_init(&r, buf_view(&b));
        cr_assert_eq(mp_peek(&r), cases[i].type);
        struct bytes x = cases[i].type == MP_STR ? mp_str(&r) : mp_bin(&r);
        cr_assert(mp_done(&r) && x.n == cases[i].n && x.p == b.p + b.n - x.n);
        cr_assert(mp_canonical(buf_view(&b)));
        cr_assert_not(mp_canonical(bytes_of(b.p, b.n - 1)));
        buf_close(&b);
    }
}

static void put_container(struct buf *b, enum mp_type type, size_t n)
{
    if (type == MP_ARRAY)
        mp_put_array(b, n);
    else
        mp_put_map(b, n);
    for (size_t i = 0; i < n; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "%06zu", i);
        if (type == MP_MAP)
            mp_put_str(b, bytes_str(key));
        mp_put_nil(b);
    }
}

Test(codec, containers_at_the_edge_of_each_header)
{
    static const struct {
        enum mp_type type;
        size_t n;
        const char *header;
    } cases[] = {
        {MP_ARRAY, 0, "90"}, {MP_ARRAY, 15, "9f"}, {MP_ARRAY, 16, "dc0010"}, {MP_ARRAY, 65535, "dcffff"},
        {MP_ARRAY, 65536, "dd00010000"}, {MP_MAP, 0, "80"}, {MP_MAP, 15, "8f"}, {MP_MAP, 16, "de0010"},
        {MP_MAP, 65535, "deffff"}, {MP_MAP, 65536, "df00010000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        struct mp_reader r;
        put_container(&b, cases[i].type, cases[i].n);
        cr_assert(hex_is(bytes_of(b.p, strlen(cases[i].header) / 2), cases[i].header), "%s", cases[i].header);
        mp_reader_init(&r, buf_view(&b));
        cr_assert_eq(mp_peek(&r), cases[i].type);
        cr_assert_eq(cases[i].type == MP_ARRAY ? mp_array(&r) : mp_map(&r), cases[i].n);
        cr_assert(mp_canonical(buf_view(&b)));
        buf_close(&b);
    }
}

/* Each is a value that has a shorter, the permitted, form; or one that no record may hold. */
static const char *const refused[] = {
    "", "c1", /* nothing, and the code that is never used */
    "cc00", "cc7f", "cd0000", "cd00ff", "ce00000000", "ce0000ffff", "cf0000000000000000", "cf00000000ffffffff",
    "d000", "d07f", "d10001", "d17fff", "d200000001", "d27fffffff", "d30000000000000001", "d37fffffffffffffff",
    "d0ff", "d0e0", "d1ffff", "d1ff80", "d2ffffffff", "d2ffff8000", "d3ffffffffffffffff", "d3ffffffff80000000",
    "ca3f000000", "ca7fc00000", /* float32 */
    "cb7ff8000000000000", "cb7ff0000000000000", "cbfff0000000000000", "cb7ff0000000000001", /* NaN, infinities */
    "cb0000000000000000", "cb8000000000000000", "cb3ff0000000000000", "cbbff0000000000000", /* 0, -0, 1, -1 */
    "cb43e0000000000000", "cb43efffffffffffff", "cbc3e0000000000000", /* 2^63, the last below 2^64, -2^63 */
    "d900", "d91f 61*31", "da0000", "da00ff 61*255", "db00000000", "db0000ffff 61*65535",
    "c50000", "c500ff 00*255", "c600000000", "c60000ffff 00*65535",
    "dc0000", "dc000f c0*15", "dd00000000", "dd0000ffff c0*65535",
    "de0000", "de0001 a161 c0", "df00000000", "df00000001 a161 c0",
    "d400 00", "d500 00*2", "d600 00*4", "d700 00*8", "d800 00*16", "c70100 00", "c8000100 00", "c90000000100 00",
    "d6ff 00*4", /* a timestamp is an ext as well */
    "a180", "a2c080", "a3eda080", "a4f4908080", "a1c3", /* not UTF-8 */
    "82 a161 c0 a161 c0", "82 a162 c0 a161 c0", "82 a26161 c0 a161 c0", /* a key twice, falling, a prefix later */
    "81 01 c0", "81 c0 c0", "81 c40161 c0", "81 90 c0", /* keys that are not str */
    "c0 c0", "00 00", "90 90", /* bytes after the value */
    "91", "81 a161", "92 c0", "c404 00*3", "a3 6161", "cf 00*7", "cb 00*7", "cd80", /* cut short */
    "dd ffffffff", "df ffffffff", "dd ffffffff c0*64", "9f c0*14", "8f c0*29", "c6 ffffffff", "db ffffffff", /* counts */
};

Test(codec, every_other_form_is_refused)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        cr_assert_not(canonical(refused[i]), "accepted: %s", refused[i]);
}

Test(codec, the_forms_beside_the_refused_ones_are_accepted)
{
    static const char *const good[] = {
        "c0", "c2", "c3", "cc80", "d0df", "d920 61*32", "da0100 61*256", "db00010000 61*65536", "c400", "c50100 00*256",
        "dc0010 c0*16", "82 a161 c0 a162 c0", "82 a161 c0 a26161 c0", "81 a0 c0", "82 a0 c0 a161 80", "a2c3a9",
        "a4f48fbfbf", "cb43f0000000000000", "cbc3e0000000000001",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(canonical(good[i]), "refused: %s", good[i]);
}

static bool nested(const char *open, unsigned containers)
{
    struct buf b = {0};
    for (unsigned i = 0; i < containers; i++)
        hex_put(&b, open);
    buf_put_u8(&b, 0xc0);
    bool yes = mp_canonical(buf_view(&b));
    buf_close(&b);
    return yes;
}

/* Maps whose header is one size too large, with as many ordered pairs as it says. */
Test(codec, maps_with_a_longer_header_are_refused)
{
    static const struct {
        const char *header;
        size_t n;
    } cases[] = {{"de000f", 15}, {"df0000ffff", 65535}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf pairs = {0}, b = {0};
        put_container(&pairs, MP_MAP, cases[i].n);
        cr_assert(mp_canonical(buf_view(&pairs)));
        buf_drop(&pairs, cases[i].n == 15 ? 1 : 3);
        hex_put(&b, cases[i].header);
        buf_put_bytes(&b, buf_view(&pairs));
        cr_assert_not(mp_canonical(buf_view(&b)), "%s", cases[i].header);
        buf_close(&pairs);
        buf_close(&b);
    }
}

/* A count is refused where it is read, before anyone allocates by it. */
Test(codec, counts_are_checked_against_the_bytes_left)
{
    static const struct {
        const char *hex;
        size_t array, map;
    } cases[] = {
        {"ddffffffff c0*64", 0, 0}, {"dfffffffff c0*64", 0, 0}, {"9f c0*14", 0, 0}, {"9f c0*15", 15, 0},
        {"8f c0*29", 0, 0}, {"8f c0*30", 0, 15}, {"dc0010 c0*15", 0, 0}, {"dc0010 c0*16", 16, 0},
        {"a0", 0, 0}, {"dfffffffff", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        struct mp_reader r;
        hex_put(&b, cases[i].hex);
        mp_reader_init(&r, buf_view(&b));
        cr_assert_eq(mp_array(&r), cases[i].array, "%s", cases[i].hex);
        cr_assert_eq(r.bad, cases[i].array == 0);
        mp_reader_init(&r, buf_view(&b));
        cr_assert_eq(mp_map(&r), cases[i].map, "%s", cases[i].hex);
        cr_assert_eq(r.bad, cases[i].map == 0);
        buf_close(&b);
    }
}

Test(codec, depth_sixteen_is_the_last)
{
    cr_assert(nested("91", MODEL_DEPTH_MAX));
    cr_assert_not(nested("91", MODEL_DEPTH_MAX + 1));
    cr_assert(nested("81a161", MODEL_DEPTH_MAX));
    cr_assert_not(nested("81a161", MODEL_DEPTH_MAX + 1));
    cr_assert_not(nested("91", 100000));
    struct buf b = {0};
    hex_put(&b, "91*15 90");
    cr_assert(mp_canonical(buf_view(&b)), "an empty container at depth 16");
    buf_reset(&b);
    hex_put(&b, "91*16 90");
    cr_assert_not(mp_canonical(buf_view(&b)), "an empty container at depth 17");
    buf_close(&b);
}

Test(codec, a_value_counts_the_containers_around_it)
{
    struct buf b = {0};
    struct mp_reader r;
    hex_put(&b, "91*13 c0");
    mp_reader_init(&r, buf_view(&b));
    cr_assert_eq(mp_value(&r, 3).n, b.n);
    cr_assert(mp_done(&r));
    mp_reader_init(&r, buf_view(&b));
    cr_assert_null(mp_value(&r, 4).p);
    cr_assert(r.bad);
    buf_close(&b);
}

Test(codec, after_a_fault_everything_reads_as_zero)
{
    struct buf b = {0};
    struct mp_reader r;
    struct id id;
    struct bytes previous = {0};
    memset(&id, 0xff, sizeof id);
    hex_put(&b, "c1 05 ff cb3fe0000000000000 a161 c40161 91c0 81a161c0 c3 c0");
    mp_reader_init(&r, buf_view(&b));
    mp_nil(&r);
    cr_assert(r.bad);
    cr_assert_eq(mp_peek(&r), MP_NONE);
    cr_assert_eq(mp_uint(&r), 0);
    cr_assert_eq(mp_int(&r), 0);
    cr_assert(mp_float(&r) == 0);
    cr_assert_not(mp_bool(&r));
    cr_assert_null(mp_str(&r).p);
    cr_assert_null(mp_bin(&r).p);
    cr_assert_eq(mp_array(&r), 0);
    cr_assert_eq(mp_map(&r), 0);
    cr_assert_null(mp_key(&r, &previous).p);
    cr_assert_null(mp_value(&r, 0).p);
    mp_bin_exact(&r, id.b, sizeof id.b);
    cr_assert(id_is_zero(&id));
    cr_assert_not(mp_done(&r));
    buf_close(&b);
}

Test(codec, a_reader_asked_for_another_type_refuses)
{
    struct mp_reader r;
    struct buf b = {0};
    hex_put(&b, "c0");
    uint8_t out[4];
#define REFUSES(call) (mp_reader_init(&r, buf_view(&b)), (void)(call), r.bad)
    cr_assert(REFUSES(mp_bool(&r)));
    cr_assert(REFUSES(mp_uint(&r)));
    cr_assert(REFUSES(mp_int(&r)));
    cr_assert(REFUSES(mp_float(&r)));
    cr_assert(REFUSES(mp_str(&r)));
    cr_assert(REFUSES(mp_bin(&r)));
    cr_assert(REFUSES(mp_array(&r)));
    cr_assert(REFUSES(mp_map(&r)));
    buf_reset(&b);
    hex_put(&b, "c403616161");
    mp_reader_init(&r, buf_view(&b));
    mp_bin_exact(&r, out, 4);
    cr_assert(r.bad);
    cr_assert(REFUSES(mp_nil(&r)));
    buf_reset(&b);
    hex_put(&b, "80");
    cr_assert(REFUSES(mp_uint(&r)));
    buf_reset(&b);
    hex_put(&b, "90");
    cr_assert(REFUSES(mp_map(&r)));
    buf_reset(&b);
    hex_put(&b, "a0");
    cr_assert(REFUSES(mp_array(&r)));
#undef REFUSES
    mp_reader_init(&r, (struct bytes){0});
    cr_assert(mp_done(&r));
    cr_assert_eq(mp_peek(&r), MP_NONE);
    buf_close(&b);
}

/* One of everything. */
static const char sample[] =
    "dc0010 c0 c2 c3 7f cc80 cd0100 ce00010000 cf0000000100000000 ff d080 d1ff7f d2ffff7fff d3ffffffff7fffffff "
    "cb3fe0000000000000 92 d920 61*32 c40200ff 83 a0 90 a161 a3e282ac a26162 81 a163 c0";

Test(codec, no_prefix_of_a_value_is_a_value)
{
    struct buf b = {0};
    hex_put(&b, sample);
    cr_assert(mp_canonical(buf_view(&b)));
    cr_assert(recode_same(buf_view(&b)));
    for (size_t n = 0; n < b.n; n++) {
        void *exact = mem_alloc(n); /* an exact block, so that a read beyond it is seen */
        memcpy(exact, b.p, n);
        cr_assert_not(mp_canonical(bytes_of(exact, n)), "the first %zu bytes", n);
        free(exact);
    }
    buf_close(&b);
}

Test(codec, random_values_come_back_byte_for_byte)
{
    struct rng rng;
    rng_seed(&rng, 0xc0dec);
    for (int i = 0; i < 20000; i++) {
        struct buf b = {0};
        gen_value(&b, &rng, (unsigned)rng_below(&rng, 6));
        cr_assert(mp_canonical(buf_view(&b)), "value %d", i);
        cr_assert(recode_same(buf_view(&b)), "value %d", i);
        buf_close(&b);
    }
}

/* Whatever is accepted is what the writer would have written; a changed byte is either refused or another value. */
Test(codec, damaged_values_are_refused_or_canonical)
{
    struct rng rng;
    unsigned accepted = 0, total = 0;
    rng_seed(&rng, 0xbad);
    for (int i = 0; i < 3000; i++) {
        struct buf b = {0};
        gen_value(&b, &rng, 4);
        for (int hit = 0; hit < 8; hit++, total++) {
            b.p[rng_below(&rng, b.n)] = (uint8_t)rng_u64(&rng);
            bool yes = mp_canonical(buf_view(&b));
            accepted += yes;
            cr_assert(!yes || recode_same(buf_view(&b)), "value %d hit %d", i, hit);
        }
        buf_close(&b);
    }
    cr_assert(accepted > total / 100 && accepted < total, "%u of %u", accepted, total);
}

Test(codec, random_bytes_never_crash)
{
    struct rng rng;
    rng_seed(&rng, 0xf00d);
    for (int i = 0; i < 50000; i++) {
        uint8_t noise[48];
        size_t n = rng_below(&rng, sizeof noise + 1);
        rng_bytes(&rng, noise, n);
        struct bytes x = {noise, n};
        cr_assert(!mp_canonical(x) || recode_same(x));
    }
}
