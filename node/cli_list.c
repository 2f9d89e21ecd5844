/*
 * Many entries: ls and search.
 */
#include "node/cli.h"

#include "crdt/decimal.h"
#include "crdt/limits.h"

#include <stdlib.h>
#include <string.h>

static const json_t *record_of(const json_t *row)
{
    static const char *const kinds[] = {"model", "agent", "server", "node"};
    for (size_t i = 0; i < 4; i++)
        if (json_object_get(row, kinds[i]) != NULL)
            return json_object_get(row, kinds[i]);
    return NULL;
}

static void entry_cells(struct cli_table *t, const json_t *row)
{
    const json_t *meta = json_object_get(row, "meta");
    cli_table_cell(t, "%s", cli_text(meta, "name"));
    cli_table_cell(t, "%.12s", cli_text(meta, "owner"));
    cli_table_cell(t, "%.19s", cli_text(meta, "updated_at"));
    cli_table_cell(t, "%s", cli_text(meta, "id"));
}

static const char *const entry_heads[] = {"NAME", "OWNER", "UPDATED", "ID"};

static void put_filters(const struct cli *c, struct buf *path)
{
    static const char *const filters[][2] = {{"owner", "owner"},
                                             {"tag", "tag"},
                                             {"model-type", "model_type"},
                                             {"framework", "framework"},
                                             {"license", "license"},
                                             {"capability", "capability"},
                                             {"text", "q"}};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        const char *value;
        for (size_t k = 0; (value = cli_option_at(c, filters[i][0], k)) != NULL; k++) {
            buf_printf(path, "%s=", filters[i][1]);
            cli_put_escaped(path, value);
            buf_put_str(path, "&");
        }
    }
}

enum cli_exit cli_ls(struct cli *c)
{
    const struct kind_desc *kind = cli_kind(c->args[0]);
    uint64_t limit = API_PAGE_DEFAULT;
    struct buf base = {0};
    struct cli_rows rows;
    if (kind == NULL || !cli_option_uint(c, "limit", 1, UINT64_MAX, &limit))
        return CLI_USAGE;
    if (cli_option(c, "all") != NULL)
        limit = UINT64_MAX;
    buf_printf(&base, "/%s?", kind->plural);
    put_filters(c, &base);
    cli_rows_begin(&rows, c, (struct cli_columns){entry_heads, 4, entry_cells});
    enum cli_exit status = cli_pages(c, buf_cstr(&base), kind->plural, limit, &rows);
    cli_rows_end(&rows, status);
    buf_close(&base);
    return status;
}

/* ---- search ------------------------------------------------------------------------------------------------------ */

static void found_cells(struct cli_table *t, const json_t *row)
{
    const json_t *meta = json_object_get(row, "meta");
    cli_table_cell(t, "%s", cli_text(meta, "kind"));
    cli_table_cell(t, "%s", cli_text(meta, "name"));
    cli_table_cell(t, "%.12s", cli_text(meta, "id"));
    cli_table_cell(t, "%s", cli_text(record_of(row), "description"));
}

static bool good_price(const char *text)
{
    uint64_t pico;
    bool exact;
    if (text == NULL || decimal_rounded(bytes_str(text), 6, &pico, &exact))
        return true;
    cli_error("--max-price wants USD per 1,000,000 input tokens, such as 0.5, not \"%s\"", text);
    return false;
}

static bool good_texts(const struct cli *c)
{
    bool good = cli_is_text("the text to search for", c->args[0]);
    const char *tag;
    for (size_t i = 0; good && (tag = cli_option_at(c, "tag", i)) != NULL; i++)
        good = cli_is_text("--tag", tag);
    return good;
}

static void search_body(const struct cli *c, uint64_t limit, struct buf *out)
{
    json_t *tags = json_array(), *root = json_object();
    const char *tag, *price = cli_option(c, "max-price");
    for (size_t i = 0; (tag = cli_option_at(c, "tag", i)) != NULL; i++)
        json_array_append_new(tags, json_string(tag));
    json_object_set_new(root, "query", json_string(c->args[0]));
    json_object_set_new(root, "tags", tags);
    json_object_set_new(root, "limit", json_integer((json_int_t)limit));
    if (price != NULL)
        json_object_set_new(root, "max_price", json_string(price));
    char *text = json_dumps(root, JSON_COMPACT);
    buf_put_str(out, text);
    free(text);
    json_decref(root);
}

static enum cli_exit search_kind(struct cli *c, const struct kind_desc *kind, uint64_t limit, struct cli_rows *rows)
{
    struct buf body = {0}, path = {0};
    struct cli_reply reply;
    const json_t *row;
    size_t i;
    search_body(c, limit, &body);
    buf_printf(&path, "/%s/search", kind->plural);
    struct cli_request r = {.method = "POST", .path = buf_cstr(&path), .body = buf_view(&body)};
    enum cli_exit status = cli_call(c, &r, &reply);
    buf_close(&body);
    buf_close(&path);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    json_array_foreach(json_object_get(root, kind->plural), i, row) cli_rows_put(rows, row);
    if (json_is_string(json_object_get(root, "next_cursor")))
        rows->more = "--limit N (at most 200) and --kind K show others";
    status = root != NULL ? CLI_OK : CLI_FAILED;
    json_decref(root);
    cli_reply_close(&reply);
    return status;
}

enum cli_exit cli_search(struct cli *c)
{
    static const char *const heads[] = {"KIND", "NAME", "ID", "DESCRIPTION"};
    static const uint64_t kinds[] = {KIND_MODEL, KIND_AGENT, KIND_SERVER};
    const char *word = cli_option(c, "kind");
    const struct kind_desc *only = word != NULL ? cli_kind(word) : NULL;
    uint64_t limit = API_PAGE_DEFAULT;
    enum cli_exit status = CLI_OK;
    struct cli_rows rows;
    if (only != NULL && !only->client_writes) {
        cli_error("the kinds that are searched are model, agent and server; `souk ls %s` lists these", only->singular);
        return CLI_USAGE;
    }
    if ((word != NULL && only == NULL) || !cli_option_uint(c, "limit", 1, API_PAGE_MAX, &limit) ||
        !good_price(cli_option(c, "max-price")) || !good_texts(c))
        return CLI_USAGE;
    cli_rows_begin(&rows, c, (struct cli_columns){heads, 4, found_cells});
    for (size_t i = 0; i < 3 && status == CLI_OK && rows.count < limit; i++) {
        const struct kind_desc *kind = kind_by_number(kinds[i]);
        if (only == NULL || only == kind)
            status = search_kind(c, kind, limit - rows.count, &rows);
    }
    cli_rows_end(&rows, status);
    return status;
}
