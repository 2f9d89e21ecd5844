/* The scanner over our own JSON. */
#include "node/jsonscan.h"

#include "crdt/alloc.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const char record[] = "{\"name\":\"a\\\"b\",\"n\":42,\"o\":{\"x\":[1,{\"name\":\"in\"}],\"y\":\"}\"},"
                             "\"type\":{\"Other\":\"Tiny\"},\"tags\":[\"one\",\"two, three\",[]],\"last\":null}";

static void is(struct bytes got, const char *want)
{
    cr_assert(bytes_eq(got, bytes_str(want)), "%.*s instead of %s", (int)got.n, (const char *)got.p, want);
}

Test(jsonscan, members)
{
    struct bytes x = bytes_str(record);
    is(jsonscan_member(x, "name"), "\"a\\\"b\"");
    is(jsonscan_member(x, "n"), "42");
    is(jsonscan_member(x, "o"), "{\"x\":[1,{\"name\":\"in\"}],\"y\":\"}\"}");
    is(jsonscan_member(jsonscan_member(x, "o"), "y"), "\"}\"");
    is(jsonscan_member(x, "last"), "null");
    cr_assert_null(jsonscan_member(x, "x").p, "only the object's own members");
    cr_assert_null(jsonscan_member(bytes_str("[1]"), "a").p);
    cr_assert_null(jsonscan_member(bytes_str(""), "a").p);
}

Test(jsonscan, items)
{
    struct bytes tags = jsonscan_member(bytes_str(record), "tags");
    size_t at = 0;
    is(jsonscan_item(tags, &at), "\"one\"");
    is(jsonscan_item(tags, &at), "\"two, three\"");
    is(jsonscan_item(tags, &at), "[]");
    cr_assert_null(jsonscan_item(tags, &at).p);
    at = 0;
    cr_assert_null(jsonscan_item(bytes_str("[]"), &at).p);
}

Test(jsonscan, values)
{
    struct bytes x = bytes_str(record);
    uint64_t n;
    cr_assert(jsonscan_is(jsonscan_member(x, "type"), bytes_str("Tiny")));
    cr_assert_not(jsonscan_is(jsonscan_member(x, "type"), bytes_str("tiny")));
    cr_assert(jsonscan_uint(jsonscan_member(x, "n"), &n));
    cr_assert_eq(n, 42);
    cr_assert_not(jsonscan_uint(jsonscan_member(x, "name"), &n));
    cr_assert(jsonscan_has_word(bytes_str("\"GPT-4 Turbo\""), bytes_str("turbo")));
    cr_assert_not(jsonscan_has_word(bytes_str("\"GPT\""), bytes_str("gpt-4")));
}

/* Text cut anywhere must not make the scanner read on: the sanitizers watch a heap copy of just that size. */
Test(jsonscan, cut_anywhere)
{
    for (size_t n = 0; n < sizeof record; n++) {
        uint8_t *copy = mem_dup(record, n);
        size_t at = 0;
        struct bytes tight = bytes_of(copy, n);
        (void)jsonscan_member(tight, "missing");
        (void)jsonscan_item(jsonscan_member(tight, "tags"), &at);
        free(copy);
    }
}
