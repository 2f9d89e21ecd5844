/*
 * Rows of JSON in the three formats, and lists that come in pages.
 */
#include "node/cli.h"

#include "crdt/limits.h"

#include <stdio.h>
#include <stdlib.h>

void cli_rows_begin(struct cli_rows *r, const struct cli *c, struct cli_columns columns)
{
    *r = (struct cli_rows){.cli = c, .columns = columns};
    if (c->format == CLI_HUMAN)
        cli_table_begin(&r->table, c, columns.heads, columns.count);
}

bool cli_rows_put(struct cli_rows *r, const json_t *row)
{
    if (r->cli->format == CLI_HUMAN) {
        r->columns.cells(&r->table, row);
        r->count++;
        return true;
    }
    char *text = json_dumps(row, JSON_COMPACT | JSON_ENCODE_ANY);
    bool array = r->cli->format == CLI_JSON;
    int n = printf("%s%s%s", !array ? "" : r->count == 0 ? "[" : ",", text, array ? "" : "\n");
    free(text);
    r->count++;
    return n >= 0;
}

static void say_more(const struct cli_rows *r)
{
    char of[32] = "";
    if (r->total > r->count)
        (void)snprintf(of, sizeof of, " of %llu", (unsigned long long)r->total);
    (void)fflush(stdout);
    fprintf(stderr, "shown: %llu%s; %s\n", (unsigned long long)r->count, of, r->more);
}

void cli_rows_end(struct cli_rows *r, enum cli_exit status)
{
    bool human = r->cli->format == CLI_HUMAN;
    if (human && status == CLI_OK) {
        cli_table_end(&r->table);
        if (r->more != NULL)
            say_more(r);
    }
    if (human) {
        buf_close(&r->table.text);
        free(r->table.starts);
    }
    if (r->cli->format == CLI_JSON && (status == CLI_OK || r->count > 0))
        printf("%s]\n", r->count == 0 ? "[" : "");
}

/* One page. *cursor is replaced, empty at the end. */
static enum cli_exit page(struct cli_rows *rows, struct cli *c, const char *path, const char *member,
                          struct buf *cursor)
{
    struct cli_reply reply;
    json_t *row;
    size_t i;
    enum cli_exit status = cli_call(c, &(struct cli_request){.method = "GET", .path = path}, &reply);
    buf_reset(cursor);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    cli_reply_close(&reply);
    if (root == NULL)
        return CLI_FAILED;
    json_array_foreach(json_object_get(root, member), i, row)
    {
        if (!cli_rows_put(rows, row))
            break;
    }
    cli_put_escaped(cursor, cli_text(root, "next_cursor"));
    rows->total = (uint64_t)cli_int(root, "total");
    json_decref(root);
    return CLI_OK;
}

enum cli_exit cli_pages(struct cli *c, const char *base, const char *member, uint64_t limit, struct cli_rows *rows)
{
    struct buf path = {0}, cursor = {0};
    enum cli_exit status;
    do {
        uint64_t left = limit - rows->count;
        buf_reset(&path);
        buf_printf(&path, "%slimit=%llu", base, (unsigned long long)(left < API_PAGE_MAX ? left : API_PAGE_MAX));
        if (cursor.n > 0)
            buf_printf(&path, "&cursor=%s", buf_cstr(&cursor));
        status = page(rows, c, buf_cstr(&path), member, &cursor);
    } while (status == CLI_OK && cursor.n > 0 && rows->count < limit);
    if (cursor.n > 0)
        rows->more = "--all shows every one";
    buf_close(&path);
    buf_close(&cursor);
    return status;
}

enum cli_exit cli_admin_rows(struct cli *c, const char *verb, struct cli_columns columns)
{
    struct cli_reply reply;
    struct cli_rows rows;
    const json_t *row;
    size_t i;
    enum cli_exit status = cli_admin(c, verb, NULL, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    status = root != NULL ? CLI_OK : CLI_FAILED;
    cli_rows_begin(&rows, c, columns);
    json_array_foreach(root, i, row) cli_rows_put(&rows, row);
    cli_rows_end(&rows, status);
    json_decref(root);
    cli_reply_close(&reply);
    return status;
}
