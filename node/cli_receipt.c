/*
 * Receipts: listed and shown by the node that keeps them, verified by anybody, without one.
 */
#include "node/cli.h"

#include "crdt/multibase.h"
#include "node/receipt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *work_of(const json_t *receipt)
{
    return json_object_get(json_object_get(receipt, "credentialSubject"), "work");
}

static const char *short_id(const json_t *receipt)
{
    const char *id = cli_text(receipt, "id"), *colon = strrchr(id, ':');
    return colon != NULL ? colon + 1 : id;
}

static void cells(struct cli_table *t, const json_t *row)
{
    const json_t *work = work_of(row);
    cli_table_cell(t, "%s", short_id(row));
    cli_table_cell(t, "%.19s", cli_text(work, "completedAt"));
    cli_table_cell(t, "%s", cli_text(work, "result"));
    cli_table_cell(t, "%lld ms", cli_int(work, "latencyMs"));
    cli_table_cell(t, "%s", cli_text(json_object_get(row, "issuer"), "name"));
    cli_table_cell(t, "%s", cli_text(work, "modelId"));
}

enum cli_exit cli_receipt_ls(struct cli *c)
{
    static const char *const heads[] = {"ID", "FINISHED", "RESULT", "TOOK", "SERVED BY", "ENTRY"};
    struct cli_rows rows;
    uint64_t limit = 30;
    if (!cli_option_uint(c, "limit", 1, INT64_MAX, &limit))
        return CLI_USAGE;
    if (cli_option(c, "all") != NULL)
        limit = UINT64_MAX;
    cli_rows_begin(&rows, c, (struct cli_columns){heads, 6, cells});
    enum cli_exit status = cli_pages(c, "/receipts?", "receipts", limit, &rows);
    cli_rows_end(&rows, status);
    return status;
}

enum cli_exit cli_receipt_show(struct cli *c)
{
    struct buf path = {0};
    struct cli_reply reply;
    buf_put_str(&path, "/receipts/");
    cli_put_escaped(&path, c->args[0]);
    enum cli_exit status = cli_call(c, &(struct cli_request){.method = "GET", .path = buf_cstr(&path)}, &reply);
    buf_close(&path);
    if (status != CLI_OK)
        return status;
    status = cli_print_line(buf_view(&reply.body)) ? CLI_OK : CLI_FAILED;
    cli_reply_close(&reply);
    return status;
}

static void print_view(const struct cli *c, const struct receipt_view *v)
{
    char did[DID_KEY_SIZE], id[RECEIPT_ID_SIZE], node[ID_HEX_SIZE];
    receipt_id_text(id, &v->id);
    did_key(did, &v->issuer);
    key_hex(node, &v->issuer);
    if (c->format == CLI_HUMAN)
        printf("receipt %s holds: signed by %s (node %s), result %s\n", id, did, node, v->result);
    else
        printf("{\"ok\":true,\"id\":\"%s\",\"issuer\":\"%s\",\"node\":\"%s\"}\n", id, did, node);
}

/* What a reply to an invoke has around its receipt is peeled off. */
static void unwrap(struct buf *text)
{
    json_t *root = json_loadb((const char *)text->p, text->n, JSON_REJECT_DUPLICATES, NULL);
    json_t *inner = json_object_get(root, "receipt");
    if (json_is_object(inner) && json_object_get(root, "proof") == NULL) {
        char *dump = json_dumps(inner, JSON_COMPACT);
        buf_reset(text);
        buf_put_str(text, dump);
        free(dump);
    }
    json_decref(root);
}

enum cli_exit cli_receipt_verify(struct cli *c)
{
    struct receipt_view view;
    struct buf text = {0}, why = {0};
    enum cli_exit status = cli_slurp(c->args[0], 64u << 20, &text);
    if (status != CLI_OK)
        return status;
    unwrap(&text);
    if (receipt_verify(buf_view(&text), &view, &why) == ERR_OK) {
        print_view(c, &view);
    } else {
        cli_error("%s is not a receipt that holds: %s", c->args[0], buf_cstr(&why));
        status = CLI_UNVERIFIED;
    }
    buf_close(&text);
    buf_close(&why);
    return status;
}
