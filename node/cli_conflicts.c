/*
 * Conflicts: fields that were edited on two sides at once, each version with who wrote it and when, and how to settle them.
 */
#include "node/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_authors(struct buf *out, const json_t *authors)
{
    const json_t *a;
    size_t i;
    json_array_foreach(authors, i, a)
        buf_printf(out, "%s%.12s %.19s", i > 0 ? ", " : "", cli_text(a, "key"), cli_text(a, "at"));
}

static void value_cells(struct cli_table *t, const json_t *entry, const char *field, const json_t *value)
{
    struct buf authors = {0};
    char *text = json_dumps(json_object_get(value, "value"), JSON_COMPACT | JSON_ENCODE_ANY);
    put_authors(&authors, json_object_get(value, "authors"));
    cli_table_cell(t, "%s", cli_text(entry, "kind"));
    cli_table_cell(t, "%s", cli_text(entry, "name"));
    cli_table_cell(t, "%.12s", cli_text(entry, "id"));
    cli_table_cell(t, "%s", field);
    cli_table_cell(t, "%s", json_is_true(json_object_get(value, "shown")) ? "shown" : "");
    cli_table_cell(t, "%.200s", text != NULL ? text : "");
    cli_table_cell(t, "%s", authors.n > 0 ? buf_cstr(&authors) : "-");
    buf_close(&authors);
    free(text);
}

/* A row a version. */
static void conflict_cells(struct cli_table *t, const json_t *entry)
{
    const json_t *conflict, *value;
    size_t i, k;
    json_array_foreach(json_object_get(entry, "conflicts"), i, conflict)
        json_array_foreach(json_object_get(conflict, "values"), k, value)
            value_cells(t, entry, cli_text(conflict, "field"), value);
}

static void print_conflicts(const struct cli *c, const json_t *list)
{
    static const char *const heads[] = {"KIND", "NAME", "ID", "FIELD", "", "VALUE", "AUTHORS"};
    struct cli_rows rows;
    const json_t *entry, *first = json_array_get(list, 0);
    size_t i;
    cli_rows_begin(&rows, c, (struct cli_columns){heads, 7, conflict_cells});
    json_array_foreach(list, i, entry) cli_rows_put(&rows, entry);
    cli_rows_end(&rows, CLI_OK);
    if (first == NULL)
        return;
    printf("\nThe next write of the field settles it. On a node that holds the owner's key:\n"
           "  souk get %s %s -o json >entry.json; edit it; souk put %s entry.json [--as NAME]\n"
           "A writer sends PATCH /%ss/ID with the field.\n",
           cli_text(first, "kind"), cli_text(first, "id"), cli_text(first, "kind"), cli_text(first, "kind"));
}

enum cli_exit cli_conflicts(struct cli *c)
{
    struct cli_reply reply;
    enum cli_exit status = cli_admin(c, "conflicts", NULL, &reply);
    return status != CLI_OK ? status : cli_show(c, &reply, print_conflicts);
}
