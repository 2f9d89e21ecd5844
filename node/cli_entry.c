/*
 * Single entries: put, get, rm, history.
 */
#include "node/cli.h"

#include "api/json.h"
#include "crdt/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The record itself where the file holds {"model":{...}} as get and export write it. Replaces *text. */
static enum cli_exit unwrap(const struct kind_desc *kind, const char *path, struct buf *text)
{
    json_error_t fault;
    json_t *root = json_loadb((const char *)text->p, text->n, JSON_REJECT_DUPLICATES, &fault);
    if (root == NULL) {
        cli_error("%s is not JSON: line %d, column %d: %s", strcmp(path, "-") == 0 ? "the input" : path, fault.line, fault.column,
                  json_fault(&fault));
        return CLI_FAILED;
    }
    json_t *inner = json_object_get(root, kind->singular);
    if (json_is_object(inner) && json_object_get(root, "name") == NULL) {
        char *dump = json_dumps(inner, JSON_COMPACT);
        buf_reset(text);
        buf_put_str(text, dump);
        free(dump);
    }
    json_decref(root);
    return CLI_OK;
}

static void print_id(const struct cli *c, const json_t *root)
{
    (void)c;
    cli_print_line(bytes_str(cli_text(json_object_get(root, "meta"), "id")));
}

enum cli_exit cli_put(struct cli *c)
{
    const struct kind_desc *kind = cli_kind_to_write(c->args[0]);
    struct buf text = {0}, path = {0};
    struct cli_reply reply;
    if (kind == NULL)
        return CLI_USAGE;
    enum cli_exit status = cli_slurp(c->args[1], 16 * API_RECORD_MAX, &text);
    if (status == CLI_OK)
        status = unwrap(kind, c->args[1], &text);
    if (status == CLI_OK) {
        buf_printf(&path, "/%s", kind->plural);
        struct cli_request r = {.method = "POST",
                                .path = buf_cstr(&path),
                                .body = buf_view(&text),
                                .as = cli_option(c, "as"),
                                .create_only = cli_option(c, "create") != NULL};
        status = cli_call(c, &r, &reply);
    }
    buf_close(&text);
    buf_close(&path);
    return status != CLI_OK ? status : cli_show(c, &reply, print_id);
}

/* ---- get --------------------------------------------------------------------------------------------------------- */

static void print_field(const char *name, const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    struct buf clean = {0};
    buf_put_str(&clean, text != NULL ? text : json_string_value(value));
    for (size_t i = 0; i < clean.n; i++)
        if (clean.p[i] < 0x20 || clean.p[i] == 0x7f)
            clean.p[i] = ' ';
    printf("%-24s %s\n", name, buf_cstr(&clean));
    buf_close(&clean);
    free(text);
}

static bool is_blank(const json_t *value)
{
    return json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static void print_entry(const struct cli *c, const json_t *root)
{
    const struct kind_desc *kind = cli_kind(c->args[0]);
    static const char *const shown[] = {"id", "owner", "revision", "created_at", "updated_at", "author", "moved_to", NULL};
    json_t *meta = json_object_get(root, "meta"), *value;
    const char *name;
    json_object_foreach(json_object_get(root, kind->singular), name, value)
    {
        if (!is_blank(value))
            print_field(name, value);
    }
    printf("\n");
    for (size_t i = 0; shown[i] != NULL; i++)
        if (json_object_get(meta, shown[i]) != NULL)
            print_field(shown[i], json_object_get(meta, shown[i]));
    if (json_is_true(json_object_get(meta, "incomplete")))
        printf("%-24s %s\n", "incomplete", "the newest content has not arrived yet");
    if (json_array_size(json_object_get(meta, "conflicts")) > 0)
        print_field("conflicts", json_object_get(meta, "conflicts"));
}

/* Asks for the entry that the command line names. */
static enum cli_exit ask_entry(struct cli *c, const char *method, struct cli_reply *reply)
{
    const struct kind_desc *kind = strcmp(method, "GET") == 0 ? cli_kind(c->args[0]) : cli_kind_to_write(c->args[0]);
    struct buf path = {0};
    if (kind == NULL)
        return CLI_USAGE;
    cli_put_entry_path(&path, kind, c->args[1], "");
    struct cli_request r = {.method = method, .path = buf_cstr(&path), .as = cli_option(c, "as")};
    enum cli_exit status = cli_call(c, &r, reply);
    buf_close(&path);
    return status;
}

enum cli_exit cli_get(struct cli *c)
{
    struct cli_reply reply;
    enum cli_exit status = ask_entry(c, "GET", &reply);
    return status != CLI_OK ? status : cli_show(c, &reply, print_entry);
}

enum cli_exit cli_rm(struct cli *c)
{
    struct cli_reply reply;
    enum cli_exit status = ask_entry(c, "DELETE", &reply);
    if (status == CLI_OK)
        cli_reply_close(&reply);
    return status;
}

/* ---- history ----------------------------------------------------------------------------------------------------- */

static void history_cells(struct cli_table *t, const json_t *row)
{
    const char *standing = json_is_true(json_object_get(row, "head"))       ? "current"
                           : json_is_true(json_object_get(row, "eligible")) ? "superseded"
                                                                            : "not eligible";
    cli_table_cell(t, "%s", cli_text(row, "time"));
    cli_table_cell(t, "%s", cli_text(row, "verb"));
    cli_table_cell(t, "%s", standing);
    cli_table_cell(t, "%.12s", cli_text(row, "author"));
    cli_table_cell(t, "%s", cli_text(row, "op"));
}

enum cli_exit cli_history(struct cli *c)
{
    static const char *const heads[] = {"TIME", "VERB", "STANDING", "AUTHOR", "OP"};
    const struct kind_desc *kind = cli_kind(c->args[0]);
    struct cli_rows rows;
    struct buf base = {0};
    if (kind == NULL)
        return CLI_USAGE;
    cli_put_entry_path(&base, kind, c->args[1], "/revisions?");
    cli_rows_begin(&rows, c, (struct cli_columns){heads, 5, history_cells});
    enum cli_exit status = cli_pages(c, buf_cstr(&base), "revisions", UINT64_MAX, &rows);
    cli_rows_end(&rows, status);
    buf_close(&base);
    return status;
}
