/*
 * The strict JSON of outputs: everything that a careless or hostile program may print instead of one document.
 */
#include "crdt/alloc.h"
#include "sandbox/json_check.h"
#include "sandbox/sandbox.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err check(struct bytes text, const char *fault)
{
    struct buf why = {0};
    enum err err = sandbox_json_check(text, &why);
    if (fault != NULL)
        cr_assert(strstr(buf_cstr(&why), fault) != NULL, "%.60s: %s", (const char *)text.p, buf_cstr(&why));
    buf_close(&why);
    return err;
}

static void good(const char *text)
{
    cr_expect_eq(check(bytes_str(text), NULL), ERR_OK, "refused: %s", text);
}

static void bad(const char *text, const char *fault)
{
    cr_expect_eq(check(bytes_str(text), fault), ERR_FORM, "accepted: %s", text);
}

Test(json_check, documents_of_every_shape)
{
    good("{}");
    good(" [1, -0, 0.5, 1e10, 1E-400, 12.25e+2, null, true, false, \"\"] \n");
    good("{\"a\":{\"a\":1},\"b\":[{\"a\":2},{\"a\":3}]}");
    good("\"\\u00e9\\ud83d\\ude00 \xc3\xa9 \\\" \\\\ \\/ \\b\\f\\n\\r\\t\"");
    good("1.7976931348623157e308");
    good("-0.00000017976931348623157e315");
    good("0e999999999999");
}

Test(json_check, half_of_one_two_of_them_and_none)
{
    bad("", "no JSON document");
    bad("  \n", "no JSON document");
    bad("{\"a\":", "ends within");
    bad("[1,2", "ends within");
    bad("\"abc", "ends within a string");
    bad("{} {}", "more after the document");
    bad("1 2", "more after the document");
    bad("{\"a\":1,}", "without a name");
    bad("[1,]", "not a JSON value");
    bad("{a:1}", "without a name");
    bad("{\"a\" 1}", "without a colon");
    bad("[1 2]", "neither a comma");
    bad("nul", "not a JSON value");
    bad("NaN", "not a JSON value");
    bad("'a'", "not a JSON value");
    bad("\xef\xbb\xbf{}", "not a JSON value");
}

Test(json_check, numbers_beyond_a_double_or_of_another_form)
{
    bad("1e999", "beyond the range");
    bad("[-1.0e309]", "beyond the range");
    bad("1.7976931348623160e308", "beyond the range");
    bad("0.0017976931348623160e311", "beyond the range");
    bad("1e99999999999999999999", "beyond the range");
    bad("01", "leading zero");
    bad("-01", "leading zero");
    bad("1.", "after its point");
    bad(".5", "not a JSON value");
    bad("+1", "not a JSON value");
    bad("1e", "exponent without digits");
    bad("-", "not a JSON value");
}

Test(json_check, strings_with_control_bytes_bad_escapes_or_bad_utf8)
{
    static const char nul[] = "\"a\0b\"", outside[] = "{}\0";
    cr_expect_eq(check(bytes_of(nul, sizeof nul - 1), "control byte"), ERR_FORM);
    cr_expect_eq(check(bytes_of(outside, sizeof outside - 1), "more after"), ERR_FORM);
    bad("\"a\nb\"", "control byte");
    bad("\"\\u0000\"", "bad escape");
    bad("\"\\ud800\"", "bad escape");
    bad("\"\\ud800\\u0041\"", "bad escape");
    bad("\"\\udc00\"", "bad escape");
    bad("\"\\x41\"", "bad escape");
    bad("\"\\u12g4\"", "bad escape");
    bad("\"\xff\xfe\"", "not UTF-8");
    bad("\"\xed\xa0\x80\"", "not UTF-8");
    bad("\"\xc0\xaf\"", "not UTF-8");
}

Test(json_check, a_name_twice_however_it_is_written)
{
    bad("{\"a\":1,\"b\":2,\"a\":3}", "twice");
    bad("{\"a\":1,\"\\u0061\":3}", "twice");
    bad("[{\"x\":{\"k\":1,\"k\":2}}]", "twice");
    good("{\"a\":1,\"A\":2,\"a \":3}");
}

Test(json_check, depth_and_number_of_members_are_bounded)
{
    struct buf text = {0};
    for (int i = 0; i < SANDBOX_JSON_DEPTH; i++)
        buf_put_str(&text, "[");
    struct buf deeper = {0};
    buf_put_str(&deeper, "[");
    buf_put_bytes(&deeper, buf_view(&text));
    for (int i = 0; i < SANDBOX_JSON_DEPTH; i++)
        buf_put_str(&text, "]");
    cr_expect_eq(check(buf_view(&text), NULL), ERR_OK);
    cr_expect_eq(check(buf_view(&deeper), "too deeply"), ERR_FORM);
    buf_reset(&text);
    for (int i = 0; i < 1000000; i++)
        buf_put_str(&text, "[");
    cr_expect_eq(check(buf_view(&text), "too deeply"), ERR_FORM);
    buf_reset(&text);
    buf_put_str(&text, "{");
    for (int i = 0; i <= SANDBOX_JSON_KEYS; i++)
        buf_printf(&text, "%s\"k%d\":0", i > 0 ? "," : "", i);
    buf_put_str(&text, "}");
    cr_expect_eq(check(buf_view(&text), "too many members"), ERR_FORM);
    buf_close(&text);
    buf_close(&deeper);
}

Test(json_check, every_prefix_of_a_document_is_refused_without_reading_past_it)
{
    static const char whole[] = "{\"a\":[1.5e3,\"\\ud83d\\ude00\",{\"b\":null}],\"c\":true}";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        uint8_t *exact = mem_dup(whole, n);
        struct buf why = {0};
        cr_expect_eq(sandbox_json_check(bytes_of(exact, n), &why), ERR_FORM, "prefix of %zu bytes", n);
        free(exact);
        buf_close(&why);
    }
}

Test(json_check, members_of_the_outermost_object_are_found)
{
    struct sandbox_json_member m[] = {{.name = "id"}, {.name = "output"}, {.name = "error"}};
    struct buf why = {0}, text = {0};
    uint64_t id = 0;
    struct bytes line = bytes_str(" {\"x\":{\"id\":9}, \"output\" : [ {\"output\":1} ],\"id\":7}");
    cr_assert_eq(sandbox_json_find(line, m, 3, &why), ERR_OK);
    cr_assert(sandbox_json_uint(m[0].value, &id));
    cr_expect_eq(id, 7u);
    cr_expect(bytes_eq(m[1].value, bytes_str("[ {\"output\":1} ]")));
    cr_expect_null(m[2].value.p);
    cr_expect_eq(sandbox_json_find(bytes_str("[]"), m, 3, &why), ERR_FORM);
    cr_expect_eq(sandbox_json_find(bytes_str("{\"id\":1}x"), m, 3, &why), ERR_FORM);
    cr_assert(sandbox_json_string(bytes_str("\"a\\n\\u00e9\""), &text));
    cr_expect(bytes_eq(buf_view(&text), bytes_str("a\n\xc3\xa9")));
    cr_expect(!sandbox_json_string(bytes_str("12"), &text));
    cr_expect(!sandbox_json_uint(bytes_str("-1"), &id));
    cr_expect(!sandbox_json_uint(bytes_str("1.5"), &id));
    cr_expect(!sandbox_json_uint(bytes_str("9007199254740993"), &id));
    buf_close(&why);
    buf_close(&text);
}
