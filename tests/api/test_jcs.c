/*
 * Canonical JSON: what RFC 8785 says about order, escapes and white space, and what a signed document may not hold.
 */
#include "api/jcs.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

static void becomes(const char *in, const char *want)
{
    struct buf out = {0}, why = {0};
    json_t *root = jcs_parse(bytes_str(in), &why);
    cr_assert(root != NULL, "%s: %s", in, buf_cstr(&why));
    cr_assert_eq(jcs_put(&out, root), ERR_OK);
    cr_assert_str_eq(buf_cstr(&out), want);
    json_decref(root);
    buf_close(&out);
    buf_close(&why);
}

static void refused(struct bytes in)
{
    struct buf why = {0};
    json_t *root = jcs_parse(in, &why);
    cr_assert(root == NULL, "taken: %.*s", (int)in.n, (const char *)in.p);
    cr_assert(why.n > 0);
    buf_close(&why);
}

Test(jcs, blanks_go_and_members_are_ordered)
{
    becomes(" { \"b\" : [ 1 , true , null ] , \"a\" : { } } ", "{\"a\":{},\"b\":[1,true,null]}");
    becomes("[]", "[]");
    becomes("\"x\"", "\"x\"");
    becomes("{\"aa\":1,\"a\":2,\"\":3,\"A\":4}", "{\"\":3,\"A\":4,\"a\":2,\"aa\":1}");
}

/* RFC 8785 3.2.3 orders by UTF-16 units: an emoji (U+1F600, first unit d83d) before U+FB33, unlike by code point. */
Test(jcs, members_are_ordered_as_utf16)
{
    becomes("{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}",
            "{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"\xc3\xb6\":7,\"\xe2\x82\xac\":1,\"\xf0\x9f\x98\x80\":5,"
            "\"\xef\xac\xb3\":3}");
    becomes("{\"\\ue000\":1,\"\\ud800\\udc00\":2,\"\\ud7ff\":3}",
            "{\"\xed\x9f\xbf\":3,\"\xf0\x90\x80\x80\":2,\"\xee\x80\x80\":1}");
}

Test(jcs, only_what_must_be_is_escaped)
{
    becomes("\"\\u0008\\u0009\\u000a\\u000b\\u000c\\u000d\\u001F\\u0000\"", "\"\\b\\t\\n\\u000b\\f\\r\\u001f\\u0000\"");
    becomes("\"\\/\\u007f\\u00e9\\\\\\\"\"", "\"/\x7f\xc3\xa9\\\\\\\"\"");
    becomes("\"e\\u0301\"", "\"e\xcc\x81\""); /* not composed */
}

Test(jcs, integers_alone)
{
    becomes("[0,-1,9007199254740991,-9007199254740991,-0]", "[0,-1,9007199254740991,-9007199254740991,0]");
    static const char *const bad[] = {"1.0", "2340.0", "1e3", "1E0", "0.5", "9007199254740992", "-9007199254740992",
                                      "123456789012345678901234567890", "01", "+1", "NaN", "[1,2,3.0]", "{\"a\":{\"b\":1.5}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bytes_str(bad[i]));
}

Test(jcs, what_programs_disagree_about_is_refused)
{
    static const char *const bad[] = {"{\"a\":1,\"a\":1}", "{\"a\":1,\"\\u0061\":1}", "\"\\ud800\"", "\"\\udc00\\ud800\"",
                                      "{} {}", "", "{\"a\":1,}", "'a'", "\"\xff\"", "\"\xed\xa0\x80\"", "// x\n1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bytes_str(bad[i]));
}

Test(jcs, depth_and_length_are_bounded)
{
    struct buf text = {0};
    for (int i = 0; i < JCS_DEPTH_MAX - 1; i++)
        buf_put_u8(&text, '[');
    buf_put_str(&text, "1");
    for (int i = 0; i < JCS_DEPTH_MAX - 1; i++)
        buf_put_u8(&text, ']');
    becomes(buf_cstr(&text), buf_cstr(&text));
    struct buf deeper = {0};
    buf_printf(&deeper, "[%s]", buf_cstr(&text));
    refused(buf_view(&deeper));
    buf_reset(&text);
    buf_put_u8(&text, '"');
    memset(buf_grow(&text, JCS_BYTES_MAX), 'a', JCS_BYTES_MAX);
    text.n += JCS_BYTES_MAX;
    buf_put_u8(&text, '"');
    refused(buf_view(&text));
    buf_close(&text);
    buf_close(&deeper);
}
