/* JSON of a client to fields: forms, normal forms, nulls, patches, and the way back. */
#include "api/json.h"

#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "crdt/hlc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct json_fields out;
static struct faults faults;

static enum err take(const char *kind, enum json_mode mode, const char *body)
{
    return json_to_fields(kind_by_word(kind), bytes_str(body), mode, &out, &faults);
}

/* The field's value as JSON text; "absent" if it is not named. */
static const char *value_of(const char *name)
{
    static struct buf text;
    buf_reset(&text);
    for (size_t i = 0; i < out.count; i++)
        if (bytes_eq(out.fields[i].name, bytes_str(name))) {
            json_put_value(&text, out.fields[i].value);
            return buf_cstr(&text);
        }
    return "absent";
}

static void done(void)
{
    json_fields_close(&out);
}

TestSuite(json, .fini = done);

Test(json, a_bare_name_is_enough)
{
    cr_expect_eq(take("model", JSON_PUT, "{\"name\":\"m\"}"), ERR_OK);
    cr_expect(bytes_eq(out.name, bytes_str("m")));
    cr_expect_eq(out.count, 0);
    cr_expect_eq(take("agent", JSON_PUT, "{\"name\":\"m\"}"), ERR_OK);
    cr_expect_eq(take("model", JSON_PUT, "{}"), ERR_INVALID);
    cr_expect_str_eq(faults.list[0].pointer, "/name");
    cr_expect_eq(take("model", JSON_REPLACE, "{}"), ERR_OK);
    cr_expect_null(out.name.p);
    cr_expect_eq(take("model", JSON_PATCH, "{}"), ERR_OK);
    cr_expect_eq(take("server", JSON_PUT, "{\"name\":\"a/b\",\"description\":\"d\",\"version\":\"1\"}"), ERR_OK);
    cr_expect_eq(out.count, 2);
}

Test(json, fields_come_sorted_and_canonical)
{
    cr_assert_eq(take("model", JSON_PUT, "{\"zz\":{\"b\":1,\"a\":[1.0,1.5,-3,true,null]},\"version\":\"2\",\"name\":\"m\",\"aa\":1e3}"), ERR_OK);
    cr_assert_eq(out.count, 3);
    for (size_t i = 0; i < out.count; i++) {
        cr_expect(mp_canonical(out.fields[i].value));
        cr_expect(i == 0 || bytes_cmp(out.fields[i - 1].name, out.fields[i].name) < 0);
        cr_expect_eq(out.fields[i].changed_at, 0);
    }
    cr_expect_str_eq(value_of("aa"), "1000");
    cr_expect_str_eq(value_of("zz"), "{\"a\":[1,1.5,-3,true,null],\"b\":1}");
}

Test(json, what_nodes_set_is_ignored)
{
    cr_assert_eq(take("model", JSON_PUT, "{\"name\":\"m\",\"model_id\":5,\"owner_id\":\"x\",\"created_at\":\"never\",\"updated_at\":1,"
                                         "\"average_rating\":99,\"deployment_count\":-1,\"usage_count\":[],\"is_featured\":true,\"foreign\":{\"x\":1}}"), ERR_OK);
    cr_expect_eq(out.count, 0);
    cr_assert_eq(take("model", JSON_PATCH, "{\"is_featured\":true,\"foreign\":null}"), ERR_OK);
    cr_expect_eq(out.count, 0);
}

Test(json, the_shape_of_a_get_is_taken_back)
{
    cr_assert_eq(take("model", JSON_PUT, "{\"model\":{\"name\":\"m\",\"version\":\"9\"},\"meta\":{\"id\":\"x\"},\"served_by\":\"y\"}"), ERR_OK);
    cr_expect(bytes_eq(out.name, bytes_str("m")));
    cr_expect_str_eq(value_of("version"), "\"9\"");
    cr_assert_eq(take("model", JSON_PATCH, "{\"model\":{\"version\":null}}"), ERR_OK);
    cr_expect_str_eq(value_of("version"), "null");
    cr_assert_eq(take("agent", JSON_PUT, "{\"name\":\"a\",\"agent\":{\"name\":\"unknown field\"}}"), ERR_OK);
    cr_expect_str_eq(value_of("agent"), "{\"name\":\"unknown field\"}");
}

Test(json, enums_have_one_form)
{
    cr_assert_eq(take("model", JSON_PUT, "{\"name\":\"m\",\"license\":\"apache-2.0\",\"model_type\":\"Tabular\",\"framework\":\"JAX\","
                                         "\"io_modes\":[\"TextToText\",\"TextToVideo\",{\"Other\":\"x\"}],\"quantization\":{\"Other\":\"Q4_K\"}}"), ERR_OK);
    cr_expect_str_eq(value_of("license"), "{\"Custom\":\"apache-2.0\"}");
    cr_expect_str_eq(value_of("model_type"), "{\"Other\":\"Tabular\"}");
    cr_expect_str_eq(value_of("framework"), "\"JAX\"");
    cr_expect_str_eq(value_of("io_modes"), "[\"TextToText\",{\"Other\":\"TextToVideo\"},{\"Other\":\"x\"}]");
    cr_expect_str_eq(value_of("quantization"), "{\"Other\":\"Q4_K\"}");
}

Test(json, tools_may_be_bare_names)
{
    cr_assert_eq(take("agent", JSON_PUT, "{\"name\":\"a\",\"tools\":[\"search\",{\"name\":\"x\",\"config_schema\":{\"type\":\"object\",\"n\":null}}]}"), ERR_OK);
    cr_expect_str_eq(value_of("tools"), "[{\"name\":\"search\"},{\"config_schema\":{\"n\":null,\"type\":\"object\"},\"name\":\"x\"}]");
}

Test(json, null_is_absent_in_a_put_and_removes_in_a_patch)
{
    const char *body = "{\"name\":\"m\",\"version\":null,\"unknown\":null,\"resource_requirements\":{\"min_vram_gb\":null,\"min_vcpus\":2,\"x\":null}}";
    cr_assert_eq(take("model", JSON_PUT, body), ERR_OK);
    cr_expect_str_eq(value_of("version"), "absent");
    cr_expect_str_eq(value_of("unknown"), "absent");
    cr_expect_str_eq(value_of("resource_requirements"), "{\"min_vcpus\":2}");
    cr_assert_eq(take("model", JSON_PATCH, body), ERR_OK);
    cr_expect_str_eq(value_of("version"), "null");
    cr_expect_str_eq(value_of("unknown"), "null");
    cr_expect_eq(take("server", JSON_PATCH, "{\"version\":null}"), ERR_INVALID);
    cr_expect_eq(take("server", JSON_PUT, "{\"name\":\"a/b\",\"description\":\"d\",\"version\":null}"), ERR_INVALID);
    cr_expect_eq(take("model", JSON_PUT, "{\"name\":null}"), ERR_INVALID);
}

Test(json, prices_are_decimal_strings_inside)
{
    cr_assert_eq(take("model", JSON_PUT, "{\"name\":\"m\",\"price_per_1m_tokens\":0.15}"), ERR_OK);
    cr_expect_str_eq(value_of("price_per_1m_tokens"), "\"0.15\"");
    cr_assert_eq(take("model", JSON_PUT, "{\"name\":\"m\",\"price_per_1m_tokens\":3}"), ERR_OK);
    cr_expect_str_eq(value_of("price_per_1m_tokens"), "\"3\"");
    cr_assert_eq(take("model", JSON_PUT, "{\"name\":\"m\",\"price_per_1m_tokens\":0.00001}"), ERR_OK);
    cr_expect_str_eq(value_of("price_per_1m_tokens"), "\"0.00001\"");
    cr_assert_eq(take("agent", JSON_PUT, "{\"name\":\"m\",\"price_per_request\":\"0.000000000001\"}"), ERR_OK);
    cr_expect_str_eq(value_of("price_per_request"), "\"0.000000000001\"");
}

Test(json, text_that_is_not_json_says_where)
{
    const struct {
        const char *body, *where;
    } cases[] = {{"", "line 1"},
                 {"{\"name\":\"m\"", "line 1, column"},
                 {"{\n\"name\":,}", "line 2, column"},
                 {"{\"name\":\"m\"} x", "line 1, column"},
                 {"{\"a\":1,\"a\":2}", "duplicate"},
                 {"{\"name\":\"a\\u0000b\"}", "line 1"},
                 {"{\"name\":\"\xff\"}", "line 1"},
                 {"{'name':'m'}", "line 1"},
                 {"{\"a\":01}", "line 1"},
                 {"{\"a\":NaN}", "line 1"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(take("model", JSON_PUT, cases[i].body), ERR_FORM, "%s", cases[i].body);
        cr_expect(strstr(out.detail, cases[i].where) != NULL, "%s: %s", cases[i].body, out.detail);
    }
}

Test(json, json_that_is_no_object_breaks_the_schema)
{
    const char *bodies[] = {"[]", "1", "\"x\"", "null", "true", "1.5"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        cr_expect_eq(take("model", JSON_PUT, bodies[i]), ERR_INVALID);
        cr_expect_eq(faults.count, 1);
        cr_expect_eq(take("model", JSON_PATCH, bodies[i]), ERR_INVALID);
    }
}

static void put_times(struct buf *b, const char *s, int times)
{
    for (int i = 0; i < times; i++)
        buf_put_str(b, s);
}

static enum err take_buf(struct buf *b)
{
    enum err e = json_to_fields(kind_by_word("model"), buf_view(b), JSON_PUT, &out, &faults);
    buf_reset(b);
    return e;
}

Test(json, every_fault_of_a_record_is_named)
{
    cr_expect_eq(take("server", JSON_PUT, "{\"name\":\"\",\"version\":\"latest\",\"x\":[[[[[[[[[[[[[[1]]]]]]]]]]]]]]}"), ERR_INVALID);
    cr_assert_eq(faults.count, 4);
    cr_expect_str_eq(faults.list[0].pointer, "/name");
    cr_expect_str_eq(faults.list[1].pointer, "/x");
    cr_expect_str_eq(faults.list[2].pointer, "/version");
    cr_expect_str_eq(faults.list[3].pointer, "/description");
}

Test(json, sizes_and_depths_are_bounded)
{
    struct buf b = {0};
    for (int over = 0; over < 2; over++) {
        buf_put_str(&b, "{\"name\":\"m\"}");
        put_times(&b, " ", API_RECORD_MAX - 12 + over);
        cr_expect_eq(take_buf(&b), over ? ERR_TOO_LARGE : ERR_OK);
    }
    for (int levels = 12; levels <= 15; levels++) {
        buf_put_str(&b, "{\"name\":\"m\",\"x\":");
        put_times(&b, "[", levels);
        put_times(&b, "]", levels);
        buf_put_str(&b, "}");
        cr_expect_eq(take_buf(&b), levels <= RECORD_DEPTH_MAX ? ERR_OK : ERR_INVALID, "%d", levels);
    }
    buf_put_str(&b, "{\"x\":");
    put_times(&b, "[", 60000);
    cr_expect_eq(take_buf(&b), ERR_FORM);
    buf_put_str(&b, "{\"name\":\"m\"");
    for (int i = 0; i < 1100; i++)
        buf_printf(&b, ",\"x%d\":1", i);
    buf_put_str(&b, "}");
    cr_expect_eq(take_buf(&b), ERR_INVALID);
    cr_expect_str_eq(faults.list[0].detail, "has 1101 members, at most 1024 are allowed");
    buf_close(&b);
}

Test(json, numbers_keep_64_bits_or_are_faults)
{
    cr_assert_eq(take("model", JSON_PUT, "{\"name\":\"m\",\"a\":9223372036854775807,\"b\":-9223372036854775808,\"c\":-0.0}"), ERR_OK);
    cr_expect_str_eq(value_of("a"), "9223372036854775807");
    cr_expect_str_eq(value_of("b"), "-9223372036854775808");
    cr_expect_str_eq(value_of("c"), "0");
    const char *over[] = {"9223372036854775808", "-9223372036854775809", "1e999", "9223372036854775808.0", "1.5e19"};
    for (size_t i = 0; i < 5; i++) {
        char body[80];
        (void)snprintf(body, sizeof body, "{\"name\":\"m\",\"parameters\":%s}", over[i]);
        cr_expect_eq(take("model", JSON_PUT, body), ERR_INVALID);
        cr_expect(strstr(faults.list[0].detail, "out of range") != NULL);
    }
}

/* ---- patches ---- */

static struct merged present_of(struct json_fields *f)
{
    struct merged m = {.field_count = f->count, .fields = mem_calloc(f->count + 1, sizeof *m.fields)};
    for (size_t i = 0; i < f->count; i++)
        m.fields[i].field = f->fields[i];
    return m;
}

Test(json, a_patch_merges_into_nested_objects)
{
    struct json_fields now = {0};
    const struct kind_desc *model = kind_by_word("model");
    const char *present = "{\"name\":\"m\",\"version\":\"1\",\"metadata\":{\"a\":\"1\",\"b\":\"2\"},\"x\":{\"deep\":{\"p\":1,\"q\":2},\"r\":3}}";
    const char *patch = "{\"metadata\":{\"b\":null,\"c\":\"3\"},\"x\":{\"deep\":{\"q\":null,\"s\":{\"t\":null,\"u\":1}}},"
                        "\"resource_requirements\":{\"min_vcpus\":2,\"min_vram_gb\":null},\"version\":null}";
    cr_assert_eq(json_to_fields(model, bytes_str(present), JSON_PUT, &now, &faults), ERR_OK);
    struct merged m = present_of(&now);
    cr_assert_eq(json_patch(model, bytes_str(patch), &m, &out, &faults), ERR_OK);
    cr_expect_eq(out.count, 4);
    cr_expect_str_eq(value_of("metadata"), "{\"a\":\"1\",\"c\":\"3\"}");
    cr_expect_str_eq(value_of("x"), "{\"deep\":{\"p\":1,\"s\":{\"u\":1}},\"r\":3}");
    cr_expect_str_eq(value_of("resource_requirements"), "{\"min_vcpus\":2}");
    cr_expect_str_eq(value_of("version"), "null");
    cr_assert_eq(json_patch_shown(model, bytes_str(patch), bytes_str(present), &out, &faults), ERR_OK);
    cr_expect_str_eq(value_of("metadata"), "{\"a\":\"1\",\"c\":\"3\"}");
    cr_expect_str_eq(value_of("x"), "{\"deep\":{\"p\":1,\"s\":{\"u\":1}},\"r\":3}");
    free(m.fields);
    json_fields_close(&now);
}

Test(json, a_patch_is_checked_as_what_it_makes)
{
    const char *shown = "{\"model\":{\"name\":\"m\",\"resource_requirements\":{\"min_vcpus\":1,\"recommended_vcpus\":2}},\"meta\":{}}";
    const struct kind_desc *model = kind_by_word("model");
    cr_expect_eq(json_patch_shown(model, bytes_str("{\"resource_requirements\":{\"min_vcpus\":3}}"), bytes_str(shown), &out, &faults), ERR_INVALID);
    cr_expect_str_eq(faults.list[0].pointer, "/resource_requirements/recommended_vcpus");
    cr_expect_eq(json_patch_shown(model, bytes_str("{\"resource_requirements\":{\"min_vcpus\":3,\"recommended_vcpus\":4}}"), bytes_str(shown), &out, &faults), ERR_OK);
    cr_expect_str_eq(value_of("resource_requirements"), "{\"min_vcpus\":3,\"recommended_vcpus\":4}");
    cr_expect_eq(json_patch_shown(model, bytes_str("{\"metadata\":{\"k\":1}}"), bytes_str(shown), &out, &faults), ERR_INVALID);
    cr_expect_str_eq(faults.list[0].pointer, "/metadata/k");
    cr_expect_eq(json_patch_shown(model, bytes_str("nope"), bytes_str(shown), &out, &faults), ERR_FORM);
}

/* RFC 7396, appendix A: target, patch, result (where both are objects). */
Test(json, the_examples_of_the_merge_patch_standard)
{
    const char *cases[][3] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char present[200], patch[200];
        (void)snprintf(present, sizeof present, "{\"x\":%s}", cases[i][0]);
        (void)snprintf(patch, sizeof patch, "{\"x\":%s}", cases[i][1]);
        cr_assert_eq(json_patch_shown(kind_by_word("model"), bytes_str(patch), bytes_str(present), &out, &faults), ERR_OK);
        cr_expect_str_eq(value_of("x"), cases[i][2]);
    }
}

/* ---- and back ---- */

static const char full[] =
    "{\"name\":\"acme/tiny\",\"version\":\"1.2.0\",\"description\":\"Caf\xc3\xa9 \\\"quoted\\\" \\\\ \\n tab\\t\",\"license\":\"Apache2\","
    "\"model_type\":{\"Other\":\"Tabular\"},\"framework\":\"JAX\",\"io_modes\":[\"TextToText\"],\"parameters\":7000000000,"
    "\"quantization\":\"INT8\",\"context_length\":32768,\"tags\":[\"a\",\"b\"],\"formfile_template\":\"AAEC\","
    "\"weights_url\":\"https://x.example/w\",\"weights_checksum\":\"" "abababababababababababababababababababababababababababababababab" "\","
    "\"resource_requirements\":{\"min_vcpus\":4,\"recommended_vcpus\":8,\"extra\":1.5},\"metadata\":{\"k\":\"v\"},"
    "\"price_per_1m_tokens\":\"0.15\",\"pricing\":[{\"unit\":\"input_token\",\"pico_usd\":150000}],\"zz\":[1,2.5,{\"q\":null}]}";

static void same_fields(const struct json_fields *a, const struct json_fields *b)
{
    cr_assert_eq(a->count, b->count);
    cr_expect(bytes_eq(a->name, b->name));
    for (size_t i = 0; i < a->count; i++) {
        cr_expect(bytes_eq(a->fields[i].name, b->fields[i].name));
        cr_expect(bytes_eq(a->fields[i].value, b->fields[i].value), "%.*s", (int)a->fields[i].name.n, a->fields[i].name.p);
    }
}

Test(json, a_line_of_an_export_gives_the_same_fields)
{
    struct json_fields again = {0};
    struct buf line = {0};
    const struct kind_desc *model = kind_by_word("model");
    cr_assert_eq(take("model", JSON_PUT, full), ERR_OK);
    record_line(model, out.name, out.fields, out.count, &line);
    cr_assert_eq(json_to_fields(model, buf_view(&line), JSON_PUT, &again, &faults), ERR_OK);
    same_fields(&out, &again);
    buf_close(&line);
    json_fields_close(&again);
}

Test(json, what_a_reader_is_shown_writes_the_same_record)
{
    struct json_fields again = {0};
    struct buf shown = {0}, twice = {0};
    const struct kind_desc *model = kind_by_word("model");
    cr_assert_eq(take("model", JSON_PUT, full), ERR_OK);
    struct merged m = present_of(&out);
    struct record_meta meta = {.name = out.name};
    record_json(model, &m, &meta, &shown);
    cr_assert_eq(json_to_fields(model, buf_view(&shown), JSON_PUT, &again, &faults), ERR_OK, "%s: %s", faults.list[0].pointer, faults.list[0].detail);
    for (size_t i = 0, k = 0; i < out.count; i++) {
        while (k < again.count && bytes_cmp(again.fields[k].name, out.fields[i].name) < 0)
            k++;
        cr_assert(k < again.count && bytes_eq(again.fields[k].name, out.fields[i].name));
        if (!bytes_eq(out.fields[i].name, bytes_str("resource_requirements")))
            cr_expect(bytes_eq(again.fields[k].value, out.fields[i].value));
    }
    struct merged m2 = present_of(&again);
    record_json(model, &m2, &meta, &twice);
    cr_expect(bytes_eq(buf_view(&shown), buf_view(&twice)), "showing it again changes nothing");
    free(m.fields);
    free(m2.fields);
    buf_close(&shown);
    buf_close(&twice);
    json_fields_close(&again);
}

Test(json, one_object_serves_many_calls)
{
    for (int i = 0; i < 50; i++) {
        cr_expect_eq(take("model", JSON_PUT, full), ERR_OK);
        cr_expect_eq(take("model", JSON_PUT, "{\"name\":\"m\",\"version\":1}"), ERR_INVALID);
        cr_expect_eq(faults.count, 1);
        cr_expect_eq(take("model", JSON_PUT, "{"), ERR_FORM);
    }
}
