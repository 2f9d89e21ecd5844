/* Rows out of other people's catalogues: what is taken, what is refused and why, however the bytes arrive. */
#include "node/import.h"

#include "crdt/alloc.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct import *m;
static struct import_row row;
static struct buf record; /* the last row as a line */

static void done(void)
{
    import_free(m);
    buf_close(&record);
}

TestSuite(import, .fini = done);

static void start(enum import_format format, const char *kind, const char *text)
{
    import_free(m);
    m = import_new(format, kind != NULL ? kind_by_word(kind) : NULL);
    import_feed(m, bytes_str(text));
    import_end(m);
}

static const char *line_of_row(void)
{
    buf_reset(&record);
    record_line(row.kind, row.name, row.fields, row.field_count, &record);
    return buf_cstr(&record);
}

static void expect_row(const char *line)
{
    cr_assert(import_next(m, &row));
    cr_assert_eq(row.verdict, IMPORT_ROW, "%s: %s %s", row.where, row.faults.list[0].pointer, row.faults.list[0].detail);
    cr_expect_str_eq(line_of_row(), line);
}

static void expect_refused(const char *where, const char *pointer, const char *words)
{
    cr_assert(import_next(m, &row));
    cr_expect_eq(row.verdict, IMPORT_REFUSED);
    cr_expect_str_eq(row.where, where);
    cr_assert_geq(row.faults.count, 1);
    cr_expect_str_eq(row.faults.list[0].pointer, pointer);
    cr_expect(strstr(row.faults.list[0].detail, words) != NULL, "%s", row.faults.list[0].detail);
}

static void expect_end(void)
{
    cr_expect_not(import_next(m, &row), "%s %s", row.where, row.faults.list[0].detail);
    cr_expect_not(import_next(m, &row));
}

Test(import, formats_by_word)
{
    enum import_format f;
    cr_expect(import_format_by_word("jsonl", &f) && f == IMPORT_JSONL);
    cr_expect(import_format_by_word("models.dev", &f) && f == IMPORT_MODELS_DEV);
    cr_expect(import_format_by_word("mcp-registry", &f) && f == IMPORT_MCP);
    cr_expect_not(import_format_by_word("csv", &f));
}

Test(import, jsonl_lines)
{
    start(IMPORT_JSONL, NULL,
          "{\"kind\":\"model\",\"model\":{\"name\":\"m\",\"version\":\"2\"}}\r\n\n  \n"
          "{\"agent\":{\"name\":\"a\"},\"meta\":{\"id\":\"x\"}}\n"
          "{\"kind\":\"server\",\"server\":{\"name\":\"a/b\",\"description\":\"d\",\"version\":\"1\"}}");
    expect_row("{\"kind\":\"model\",\"model\":{\"name\":\"m\",\"version\":\"2\"}}");
    cr_expect_str_eq(row.where, "line 1");
    expect_row("{\"kind\":\"agent\",\"agent\":{\"name\":\"a\"}}");
    cr_expect_str_eq(row.where, "line 4");
    cr_expect(bytes_eq(row.text, bytes_str("{\"agent\":{\"name\":\"a\"},\"meta\":{\"id\":\"x\"}}")));
    expect_row("{\"kind\":\"server\",\"server\":{\"name\":\"a/b\",\"description\":\"d\",\"version\":\"1\"}}");
    cr_expect_str_eq(row.where, "line 5");
    cr_expect_eq(row.row, 3);
    expect_end();
}

Test(import, jsonl_bare_records_need_a_kind)
{
    start(IMPORT_JSONL, "agent", "{\"name\":\"a\",\"runtime\":\"Go\"}\n{\"name\":\"m\",\"kind\":\"x\"}\n{\"model\":{\"name\":\"m\"}}\n");
    expect_row("{\"kind\":\"agent\",\"agent\":{\"name\":\"a\",\"runtime\":\"Go\"}}");
    expect_row("{\"kind\":\"agent\",\"agent\":{\"name\":\"m\",\"kind\":\"x\"}}");
    expect_row("{\"kind\":\"model\",\"model\":{\"name\":\"m\"}}");
    expect_end();
    start(IMPORT_JSONL, NULL, "{\"name\":\"a\"}\n");
    expect_refused("line 1", "", "bare record");
}

/* What is null, foreign or set by nodes is ignored as in `souk put`; what a row becomes is taken back as the same row. */
Test(import, what_no_client_writes_is_left_out)
{
    const char *line = "{\"kind\":\"model\",\"model\":{\"name\":\"m\",\"custom\":{\"a\":null},\"version\":\"2\"}}";
    struct json_fields put = {0};
    struct faults faults = {0};
    struct buf from_put = {0};
    const char *given = "{\"name\":\"m\",\"version\":\"2\",\"description\":null,\"custom\":{\"a\":null},\"other\":null,"
                        "\"foreign\":{\"license\":3},\"created_at\":5,\"usage_count\":9}";
    start(IMPORT_JSONL, "model", given);
    expect_row(line);
    start(IMPORT_JSONL, NULL, line);
    expect_row(line);
    const struct kind_desc *model = kind_by_word("model");
    cr_assert_eq(json_to_fields(model, bytes_str(given), JSON_PUT, &put, &faults), ERR_OK);
    record_line(model, put.name, put.fields, put.count, &from_put);
    cr_expect_str_eq(buf_cstr(&from_put), line);
    buf_close(&from_put);
    json_fields_close(&put);
}

/* What another parses is cut at the same places and bounded the same; nothing is said of what it holds. */
Test(import, jsonl_cut_only)
{
    char big[API_RECORD_MAX + 300];
    memset(big, ' ', sizeof big);
    big[0] = '1';
    big[sizeof big - 1] = 0;
    import_free(m);
    m = import_new(IMPORT_JSONL, NULL);
    import_cut_only(m);
    import_feed(m, bytes_str("not json\n \n{\"name\":\"a\"}\r\n"));
    import_feed(m, bytes_str(big));
    import_feed(m, bytes_str("\nlast"));
    import_end(m);
    static const char *const texts[] = {"not json", "{\"name\":\"a\"}\r", NULL, "last"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert(import_next(m, &row));
        cr_expect_eq(row.verdict, texts[i] != NULL ? IMPORT_ROW : IMPORT_REFUSED);
        cr_expect(texts[i] == NULL || bytes_eq(row.text, bytes_str(texts[i])));
        cr_expect_null(row.kind);
        cr_expect_eq(row.row, i + 1);
    }
    cr_expect_str_eq(row.where, "line 5");
    expect_end();
}

Test(import, jsonl_refuses_line_by_line)
{
    start(IMPORT_JSONL, "model",
          "{\"name\":\"ok\"}\nnot json\n{\"kind\":\"agent\",\"model\":{\"name\":\"m\"}}\n{\"node\":{\"name\":\"n\"}}\n[1]\n{}\n"
          "{\"name\":\"m\",\"parameters\":-1,\"version\":5}\n{\"name\":\"m\",\"name\":\"n\"}\n{\"name\":\"last\"}\n");
    expect_row("{\"kind\":\"model\",\"model\":{\"name\":\"ok\"}}");
    expect_refused("line 2", "", "is not JSON: column");
    expect_refused("line 3", "/kind", "is \"agent\", but the row holds a model");
    expect_refused("line 4", "/kind", "a node record is not for clients to write");
    expect_refused("line 5", "", "is not {\"kind\"");
    expect_refused("line 6", "", "has no name");
    expect_refused("line 7", "/parameters", "-1 is negative");
    cr_expect_eq(row.faults.count, 2, "both reasons");
    cr_expect(bytes_eq(row.name, bytes_str("m")), "a refused row says its name");
    expect_refused("line 8", "", "duplicate");
    expect_row("{\"kind\":\"model\",\"model\":{\"name\":\"last\"}}");
    expect_end();
}

Test(import, jsonl_over_long_lines_are_refused_and_the_rest_is_read)
{
    struct buf text = {0};
    buf_put_str(&text, "{\"name\":\"");
    for (size_t i = 0; i < 2 * IMPORT_ROW_MAX; i++)
        buf_put_u8(&text, 'n');
    buf_put_str(&text, "\"}\n{\"name\":\"next\"}\n");
    start(IMPORT_JSONL, "model", buf_cstr(&text));
    expect_refused("line 1", "", "is longer than 1048576 bytes");
    expect_row("{\"kind\":\"model\",\"model\":{\"name\":\"next\"}}");
    expect_end();
    cr_expect_eq(import_used(m), text.n);
    buf_close(&text);
}

static const char models_dev[] =
    "{\"origin\":\"x [not] a {row}\",\"providers\":{\"p\":{\"name\":\"P\",\"models\":[1]}},\n\"models\":[\n"
    "{\"provider\":\"p\",\"id\":\"a/b:c\",\"name\":\"A B\",\"family\":\"fam\",\"attachment\":true,\"reasoning\":false,\"tool_call\":true,"
    "\"open_weights\":false,\"knowledge\":\"2024-07\",\"limit\":{\"context\":1000,\"output\":10},"
    "\"cost\":{\"input\":0.060000000000000005,\"output\":1.25,\"cache_read\":0.00001,\"request\":5,\"tiers\":[{\"input\":2,\"tier\":{\"size\":1}}]},"
    "\"modalities\":{\"input\":[\"text\",\"image\",\"pdf\"],\"output\":[\"text\"]},"
    "\"weights\":[{\"label\":\"HF\",\"url\":\"https://w.example/x\"}]},\n"
    "{\"provider\":\"p\",\"id\":\"v\",\"name\":\"V\",\"open_weights\":true,\"cost\":{\"input\":0,\"output\":0},\"limit\":{\"context\":0},"
    "\"modalities\":{\"input\":[\"text\"],\"output\":[\"video\"]}},\n"
    "{\"provider\":\"p\",\"name\":\"no id\"}, 5, {\"provider\":\"p\",\"id\":\"bad\",\"cost\":{\"input\":-1}},\n"
    "{\"provider\":\"p\",\"id\":\"neg\",\"limit\":{\"context\":4294967296}}\n]}\n";

Test(import, models_dev_rows)
{
    start(IMPORT_MODELS_DEV, NULL, models_dev);
    expect_row("{\"kind\":\"model\",\"model\":{\"name\":\"p/a/b:c\",\"capabilities\":[\"attachment\",\"tool_call\"],\"context_length\":1000,"
               "\"description\":\"A B\",\"framework\":{\"Other\":\"unknown\"},\"io_modes\":[\"TextToText\",\"ImageToText\",{\"Other\":\"PdfToText\"}],"
               "\"license\":\"Proprietary\",\"metadata\":{\"cost.input\":\"0.060000000000000005\",\"cost.request\":\"5\","
               "\"cost.tiers\":\"[{\\\"input\\\":2,\\\"tier\\\":{\\\"size\\\":1}}]\",\"family\":\"fam\",\"knowledge\":\"2024-07\",\"limit.output\":\"10\","
               "\"open_weights\":\"false\",\"provider\":\"p\",\"reasoning\":\"false\",\"weights\":\"[{\\\"label\\\":\\\"HF\\\",\\\"url\\\":\\\"https://w.example/x\\\"}]\"},"
               "\"model_type\":\"Multimodal\",\"price_per_1m_tokens\":\"0.06\",\"pricing\":[{\"pico_usd\":60000,\"unit\":\"input_token\"},"
               "{\"pico_usd\":1250000,\"unit\":\"output_token\"},{\"pico_usd\":10,\"unit\":\"cache_read_token\"}],\"tags\":[\"fam\"],"
               "\"weights_url\":\"https://w.example/x\"}}");
    cr_expect_str_eq(row.where, "line 3");
    expect_row("{\"kind\":\"model\",\"model\":{\"name\":\"p/v\",\"capabilities\":[],\"context_length\":0,\"description\":\"V\",\"framework\":{\"Other\":\"unknown\"},"
               "\"io_modes\":[{\"Other\":\"TextToVideo\"}],\"license\":{\"Custom\":\"unknown\"},\"metadata\":{\"open_weights\":\"true\",\"provider\":\"p\"},"
               "\"model_type\":{\"Other\":\"VideoGeneration\"},\"price_per_1m_tokens\":\"0\",\"pricing\":[{\"pico_usd\":0,\"unit\":\"input_token\"},"
               "{\"pico_usd\":0,\"unit\":\"output_token\"}],\"tags\":[\"open-weights\"]}}");
    expect_refused("line 5", "/id", "is required");
    expect_refused("line 5", "", "the row is not an object");
    expect_refused("line 5", "/cost", "input is not a price");
    expect_refused("line 6", "/context_length", "4294967296 is out of range");
    cr_expect(bytes_eq(row.name, bytes_str("p/neg")));
    expect_end();
}

Test(import, models_dev_by_provider_and_on_one_line)
{
    start(IMPORT_MODELS_DEV, NULL,
          "{\"acme\":{\"id\":\"acme\",\"doc\":\"models\",\"models\":{\"x-1\":{\"id\":\"x-1\",\"name\":\"X\"},\"y\":{\"name\":\"Y\"}}},"
          "\"beta\":{\"models\":{\"z\":{\"id\":\"z\"}}}}");
    cr_assert(import_next(m, &row));
    cr_expect(bytes_eq(row.name, bytes_str("acme/x-1")));
    cr_expect_str_eq(row.where, "row 1");
    cr_assert(import_next(m, &row));
    cr_expect(bytes_eq(row.name, bytes_str("acme/y")));
    cr_assert(import_next(m, &row));
    cr_expect(bytes_eq(row.name, bytes_str("beta/z")));
    cr_expect_str_eq(row.where, "row 3");
    expect_end();
}

static const char mcp_old[] =
    "{\"servers\":[{\"id\":\"4e9c\",\"name\":\"io.github.a/b\",\"description\":\"d\",\"repository\":{\"url\":\"https://g.example/a\",\"source\":\"github\",\"id\":\"9\"},"
    "\"version_detail\":{\"version\":\"0.0.1-seed\",\"release_date\":\"2025-05-16T18:56:49Z\",\"is_latest\":true},"
    "\"packages\":[{\"registry_name\":\"docker\",\"name\":\"a/b\",\"version\":\"\",\"package_arguments\":[{\"type\":\"named\",\"name\":\"--d\",\"value\":\"x\","
    "\"value_hint\":\"dir\",\"is_required\":true,\"format\":\"string\"}],\"environment_variables\":[{\"name\":\"K\",\"description\":\"k\"}]}],"
    "\"remotes\":[{\"transport_type\":\"sse\",\"url\":\"http://localhost:1/sse\"}]}]}";

Test(import, mcp_older_shape_becomes_the_present_one)
{
    start(IMPORT_MCP, NULL, mcp_old);
    expect_row("{\"kind\":\"server\",\"server\":{\"name\":\"io.github.a/b\",\"description\":\"d\",\"packages\":[{\"environmentVariables\":[{\"description\":\"k\",\"name\":\"K\"}],"
               "\"identifier\":\"a/b\",\"packageArguments\":[{\"format\":\"string\",\"isRequired\":true,\"name\":\"--d\",\"type\":\"named\",\"value\":\"x\",\"valueHint\":\"dir\"}],"
               "\"registryType\":\"oci\",\"transport\":{\"type\":\"stdio\"}}],\"remotes\":[{\"type\":\"sse\",\"url\":\"http://localhost:1/sse\"}],"
               "\"repository\":{\"id\":\"9\",\"source\":\"github\",\"url\":\"https://g.example/a\"},\"version\":\"0.0.1-seed\"}}");
    cr_expect_str_eq(row.where, "row 1");
    expect_end();
}

Test(import, mcp_present_shapes)
{
    const char *server = "{\"$schema\":\"https://s.example/server.schema.json\",\"name\":\"a.b/c\",\"description\":\"d\",\"version\":\"1.0.0\",\"status\":\"active\","
                         "\"packages\":[{\"registryType\":\"npm\",\"identifier\":\"@a/b\",\"transport\":{\"type\":\"stdio\"}}],\"_meta\":{\"x/y\":{\"is_required\":1}}}";
    const char *line = "{\"kind\":\"server\",\"server\":{\"name\":\"a.b/c\",\"$schema\":\"https://s.example/server.schema.json\",\"_meta\":{\"x/y\":{\"is_required\":1}},"
                       "\"description\":\"d\",\"packages\":[{\"identifier\":\"@a/b\",\"registryType\":\"npm\",\"transport\":{\"type\":\"stdio\"}}],\"status\":\"active\",\"version\":\"1.0.0\"}}";
    struct buf text = {0};
    buf_printf(&text, "{\"servers\":[{\"server\":%s,\"_meta\":{\"io.modelcontextprotocol.registry/official\":{\"isLatest\":true}}}],\"metadata\":{\"count\":1}}", server);
    start(IMPORT_MCP, NULL, buf_cstr(&text));
    expect_row(line);
    expect_end();
    buf_reset(&text);
    buf_printf(&text, "[\n%s\n]", server);
    start(IMPORT_MCP, NULL, buf_cstr(&text));
    expect_row(line);
    cr_expect_str_eq(row.where, "line 2");
    expect_end();
    buf_reset(&text);
    buf_printf(&text, "[{\"server\":%s,\"_meta\":{\"io.modelcontextprotocol.registry/official\":{\"isLatest\":false}}}]", server);
    start(IMPORT_MCP, NULL, buf_cstr(&text));
    expect_refused("row 1", "/version", "is not the latest version");
    expect_end();
    buf_close(&text);
}

Test(import, mcp_duplicates_are_told_and_bad_rows_do_not_count)
{
    start(IMPORT_MCP, NULL,
          "[{\"name\":\"a/b\",\"description\":\"\",\"version\":\"1\"},{\"name\":\"a/b\",\"description\":\"one\",\"version\":\"1\"},\n"
          "{\"name\":\"a/b\",\"description\":\"two\",\"version\":\"2\"},{\"name\":\"\",\"description\":\"x\",\"version\":\"1\"}]");
    expect_refused("row 1", "/description", "is empty");
    expect_row("{\"kind\":\"server\",\"server\":{\"name\":\"a/b\",\"description\":\"one\",\"version\":\"1\"}}");
    cr_assert(import_next(m, &row));
    cr_expect_eq(row.verdict, IMPORT_DUPLICATE);
    cr_expect_str_eq(row.where, "line 2");
    cr_expect(bytes_eq(row.name, bytes_str("a/b")));
    expect_refused("line 2", "/name", "is empty");
    expect_end();
}

Test(import, broken_files_say_so_once)
{
    const struct {
        enum import_format format;
        const char *text, *words;
        int rows;
    } cases[] = {
        {IMPORT_MCP, "", "holds no JSON object or list", 0},
        {IMPORT_MCP, "   \n", "holds no JSON object or list", 0},
        {IMPORT_MCP, "{\"servers\":[", "ends before the document does", 0},
        {IMPORT_MCP, "{\"servers\":[{\"name\":", "in the middle of a row", 0},
        {IMPORT_MCP, "{\"servers\":[{\"name\":\"a", "in the middle of a row", 0},
        {IMPORT_MCP, "{\"servers\":[1,2}", "fits no opening one", 2},
        {IMPORT_MCP, "]", "fits no opening one", 0},
        {IMPORT_MCP, "[1]{}", "more text after the end", 1},
        {IMPORT_MCP, "{\"models\":[1]}", "has no rows where this format keeps them", 0},
        {IMPORT_MCP, "5", "holds no JSON object or list", 0},
        {IMPORT_MODELS_DEV, "{\"servers\":[1]}", "has no rows where this format keeps them", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start(cases[i].format, NULL, cases[i].text);
        for (int k = 0; k < cases[i].rows; k++)
            cr_assert(import_next(m, &row) && row.verdict == IMPORT_REFUSED, "%s", cases[i].text);
        cr_assert(import_next(m, &row), "%s", cases[i].text);
        cr_expect_eq(row.verdict, IMPORT_BROKEN, "%s: %s", cases[i].text, row.faults.list[0].detail);
        cr_expect(strstr(row.faults.list[0].detail, cases[i].words) != NULL, "%s: %s", cases[i].text, row.faults.list[0].detail);
        expect_end();
    }
    start(IMPORT_JSONL, NULL, "");
    expect_end();
}

Test(import, an_over_long_row_is_refused_and_the_rest_is_read)
{
    struct buf text = {0};
    buf_put_str(&text, "{\"servers\":[{\"name\":\"");
    for (size_t i = 0; i < IMPORT_ROW_MAX; i++)
        buf_put_u8(&text, 'n');
    buf_put_str(&text, "\"},{\"name\":\"a/b\",\"description\":\"d\",\"version\":\"1\"}]}");
    start(IMPORT_MCP, NULL, buf_cstr(&text));
    expect_refused("row 1", "", "is longer than");
    expect_row("{\"kind\":\"server\",\"server\":{\"name\":\"a/b\",\"description\":\"d\",\"version\":\"1\"}}");
    expect_end();
    buf_close(&text);
}

/* However the bytes are cut, the rows are the same. */
static void summary(enum import_format format, const char *text, size_t chunk, struct buf *out)
{
    struct import *x = import_new(format, kind_by_word("model"));
    size_t n = strlen(text);
    for (size_t at = 0; at <= n; at += chunk) {
        if (at < n)
            import_feed(x, bytes_of(text + at, n - at < chunk ? n - at : chunk));
        if (at + chunk > n)
            import_end(x);
        while (import_next(x, &row)) {
            buf_printf(out, "%d %s %s ", (int)row.verdict, row.where, row.faults.count > 0 ? row.faults.list[0].detail : "");
            if (row.verdict == IMPORT_ROW)
                record_line(row.kind, row.name, row.fields, row.field_count, out);
        }
    }
    import_free(x);
}

Test(import, chunks_make_no_difference)
{
    const char *jsonl = "{\"name\":\"a\"}\n\nbad\n{\"name\":\"caf\xc3\xa9\"}\r\n{\"name\":\"b\"}";
    const struct {
        enum import_format format;
        const char *text;
    } cases[] = {{IMPORT_JSONL, jsonl}, {IMPORT_MODELS_DEV, models_dev}, {IMPORT_MCP, mcp_old}};
    for (size_t i = 0; i < 3; i++) {
        struct buf whole = {0};
        summary(cases[i].format, cases[i].text, 1 << 20, &whole);
        cr_assert_gt(whole.n, 0);
        for (size_t chunk = 1; chunk < 40; chunk++) {
            struct buf parts = {0};
            summary(cases[i].format, cases[i].text, chunk, &parts);
            cr_expect(bytes_eq(buf_view(&parts), buf_view(&whole)), "chunk %zu: %s", chunk, buf_cstr(&parts));
            buf_close(&parts);
        }
        buf_close(&whole);
    }
}
