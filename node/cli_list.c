/*
 * Many entries: ls and search.
 */
#include "node/cli.h"

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
    const char *about = cli_text(record_of(row), "description");
    cli_table_cell(t, "%s", cli_text(json_object_get(row, "meta"), "name"));
    cli_table_cell(t, "%.12s", cli_text(json_object_get(row, "meta"), "id"));
    cli_table_cell(t, "%s", about);
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

static enum cli_exit print_found(struct cli *c, const struct kind_desc *kind, const struct cli_reply *reply)
{
    static const char *const heads[] = {"NAME", "ID", "DESCRIPTION"};
    struct cli_rows rows;
    json_t *root = cli_parse_reply(reply), *row;
    size_t i;
    if (root == NULL)
        return CLI_FAILED;
    cli_rows_begin(&rows, c, (struct cli_columns){heads, 3, found_cells});
    json_array_foreach(json_object_get(root, kind->plural), i, row) cli_rows_put(&rows, row);
    cli_rows_end(&rows, CLI_OK);
    json_decref(root);
    return CLI_OK;
}

enum cli_exit cli_search(struct cli *c)
{
    const char *word = cli_option(c, "kind");
    const struct kind_desc *kind = cli_kind(word != NULL ? word : "model");
    uint64_t limit = API_PAGE_DEFAULT;
    struct buf body = {0}, path = {0};
    struct cli_reply reply;
    if (kind == NULL || !cli_option_uint(c, "limit", 1, API_PAGE_MAX, &limit))
        return CLI_USAGE;
    search_body(c, limit, &body);
    buf_printf(&path, "/%s/search", kind->plural);
    struct cli_request r = {.method = "POST", .path = buf_cstr(&path), .body = buf_view(&body)};
    enum cli_exit status = cli_call(c, &r, &reply);
    buf_close(&body);
    buf_close(&path);
    if (status != CLI_OK)
        return status;
    status = print_found(c, kind, &reply);
    cli_reply_close(&reply);
    return status;
}
