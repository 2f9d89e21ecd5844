/* JSON text of values: one text for one value. */
#include "crdt/codec.h"
#include "crdt/hlc.h"
#include "crdt/limits.h"
#include "crdt/record.h"

#include <criterion/criterion.h>

static void check(struct buf *value, const char *want)
{
    struct buf out = {0};
    json_put_value(&out, buf_view(value));
    cr_expect_str_eq(buf_cstr(&out), want);
    buf_close(&out);
    buf_close(value);
    *value = (struct buf){0};
}

Test(json_text, scalars)
{
    struct buf v = {0};
    mp_put_nil(&v), check(&v, "null");
    mp_put_bool(&v, true), check(&v, "true");
    mp_put_bool(&v, false), check(&v, "false");
    mp_put_uint(&v, 0), check(&v, "0");
    mp_put_uint(&v, UINT64_MAX), check(&v, "18446744073709551615");
    mp_put_int(&v, INT64_MIN), check(&v, "-9223372036854775808");
    mp_put_int(&v, -1), check(&v, "-1");
    mp_put_bin(&v, bytes_of("\x00\xff\x10", 3)), check(&v, "\"AP8Q\"");
    mp_put_bin(&v, bytes_of("", 0)), check(&v, "\"\"");
}

Test(json_text, floats_are_the_shortest_that_read_back)
{
    struct buf v = {0};
    mp_put_float(&v, 0.1), check(&v, "0.1");
    mp_put_float(&v, 1.0 / 3), check(&v, "0.3333333333333333");
    mp_put_float(&v, 0.060000000000000005), check(&v, "0.060000000000000005");
    mp_put_float(&v, 1.3e-10), check(&v, "1.3e-10");
    mp_put_float(&v, 1e300), check(&v, "1e+300");
    mp_put_float(&v, -2.5), check(&v, "-2.5");
    mp_put_float(&v, 2.0), check(&v, "2");
}

Test(json_text, strings_escape_only_what_json_must)
{
    struct buf v = {0};
    mp_put_str(&v, bytes_str("a\"b\\c/\n\r\t\x01\x1f\x7f\xc3\xa9\xf0\x9f\x98\x80<>&"));
    check(&v, "\"a\\\"b\\\\c/\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\xf0\x9f\x98\x80<>&\"");
    mp_put_str(&v, bytes_of("a\0b", 3)), check(&v, "\"a\\u0000b\"");
}

Test(json_text, containers_keep_their_order)
{
    struct buf v = {0};
    mp_put_map(&v, 2);
    mp_put_str(&v, bytes_str("a"));
    mp_put_array(&v, 3);
    mp_put_uint(&v, 1);
    mp_put_array(&v, 0);
    mp_put_map(&v, 0);
    mp_put_str(&v, bytes_str("b"));
    mp_put_nil(&v);
    check(&v, "{\"a\":[1,[],{}],\"b\":null}");
}

Test(json_text, bytes_that_are_no_value_still_give_json)
{
    const char *bad[] = {"", "\xc1", "\x92\x01", "\x81\xa1", "\xd9\x05hello", "\xa2\xff\xff", "\x82\xa1" "b\x01\xa1" "a\x01"};
    const char *want[] = {"null", "null", "[]", "{}", "\"\"", "\"\"", "{\"b\":1,\"\":null}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf out = {0};
        json_put_value(&out, bytes_of(bad[i], strlen(bad[i])));
        cr_expect_str_eq(buf_cstr(&out), want[i], "%zu", i);
        buf_close(&out);
    }
    struct buf deep = {0}, out = {0};
    for (int i = 0; i < 5000; i++)
        mp_put_array(&deep, 1);
    json_put_value(&out, buf_view(&deep));
    cr_expect_lt(out.n, 64);
    buf_close(&deep);
    buf_close(&out);
}

Test(json_text, times)
{
    const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {{0, "1970-01-01T00:00:00.000Z"},
                 {951782400000, "2000-02-29T00:00:00.000Z"},
                 {1709251199999, "2024-02-29T23:59:59.999Z"},
                 {1767225600123, "2026-01-01T00:00:00.123Z"},
                 {4102444800000, "2100-01-01T00:00:00.000Z"},
                 {4107542399000, "2100-02-28T23:59:59.000Z"},
                 {4107542400000, "2100-03-01T00:00:00.000Z"},
                 {253402300799999, "9999-12-31T23:59:59.999Z"},
                 {281474976710655, "9999-12-31T23:59:59.999Z"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[25];
        json_time(out, hlc_from_ms(cases[i].ms));
        cr_expect_str_eq(out, cases[i].text);
    }
}
