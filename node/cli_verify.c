/*
 * Verify: every signature, hash and derived value again, by the running node or on the directory itself.
 */
#include "node/cli_store.h"
#include "node/uv_store.h"

#include <stdio.h>
#include <string.h>

struct verify {
    struct cli *cli;
    struct cli_rows rows;
    struct cli_progress progress;
    uint64_t deltas, failed;
    json_t *held; /* for a human: a check that holds, until another one follows */
    uint64_t held_count;
};

static void finding_cells(struct cli_table *t, const json_t *row)
{
    cli_table_cell(t, "%s", json_is_true(json_object_get(row, "ok")) ? "ok" : "FAILED");
    cli_table_cell(t, "%s", cli_text(row, "check"));
    cli_table_cell(t, "%.16s", cli_text(row, "subject"));
    cli_table_cell(t, "%s", cli_text(row, "detail"));
}

static const struct cli_columns columns = {(const char *const[]){"RESULT", "CHECK", "SUBJECT", "DETAIL"}, 4,
                                           finding_cells};

static void show_held(struct verify *v)
{
    char detail[32];
    if (v->held == NULL)
        return;
    snprintf(detail, sizeof detail, "%llu of them", (unsigned long long)v->held_count);
    if (v->held_count > 1)
        json_object_set_new(v->held, "detail", json_string(detail));
    cli_rows_put(&v->rows, v->held);
    json_decref(v->held);
    v->held = NULL;
}

/* A delta may hold 256 bodies: what holds is shown once for a human, what does not hold always. */
static void take_finding(struct verify *v, const json_t *row)
{
    bool ok = json_is_true(json_object_get(row, "ok"));
    v->failed += !ok;
    cli_progress_clear(&v->progress);
    if (v->held != NULL && ok && strcmp(cli_text(v->held, "check"), cli_text(row, "check")) == 0) {
        v->held_count++;
        return;
    }
    show_held(v);
    if (ok && v->cli->format == CLI_HUMAN) {
        v->held = json_copy((json_t *)(uintptr_t)row);
        v->held_count = 1;
    } else {
        cli_rows_put(&v->rows, row);
    }
}

static void on_finding(void *ctx, const struct verify_finding *f)
{
    char hex[ID_HEX_SIZE];
    id_hex(hex, &f->subject);
    json_t *row = cli_object("check", f->check);
    json_object_set_new(row, "ok", json_boolean(f->ok));
    json_object_set_new(row, "subject", json_string(hex));
    json_object_set_new(row, "detail", json_string(f->detail));
    take_finding(ctx, row);
    json_decref(row);
}

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct verify *v = ctx;
    v->deltas = total;
    v->progress.total = total;
    cli_progress_draw(&v->progress, done, done);
}

static enum cli_exit on_directory(struct verify *v, const struct kind_desc *kind)
{
    struct cli_store s;
    struct id id;
    enum cli_exit status = cli_store_open(v->cli, &s);
    if (status != CLI_OK)
        return status;
    if (kind != NULL)
        status = cli_store_find(&s, kind, v->cli->args[1], &id);
    if (status == CLI_OK) {
        enum err err = ERR_NOT_FOUND;
        if (kind == NULL || store_is_kind(s.store, &id, kind->kind))
            err = store_verify(s.store, kind != NULL ? &id : NULL, on_finding, on_progress, v);
        if (err == ERR_CORRUPT && v->failed == 0)
            v->failed = 1;
        if (err == ERR_NOT_FOUND && kind != NULL)
            cli_error("there is no entry of this kind and id here");
        else if (err != ERR_OK && err != ERR_CORRUPT)
            cli_error("verify broke off: %s", err_text(err));
        if (err != ERR_OK && err != ERR_CORRUPT)
            status = cli_exit_of(err);
    }
    cli_store_close(&s);
    return status;
}

/* The id that KIND NAME has on the node, into body. */
static enum cli_exit name_entry(struct verify *v, const struct kind_desc *kind, json_t *body)
{
    struct buf path = {0};
    struct cli_reply reply;
    struct id id;
    const char *text = v->cli->args[1];
    json_object_set_new(body, "kind", json_string(kind->singular));
    if (id_parse(&id, bytes_str(text))) {
        json_object_set_new(body, "id", json_string(text));
        return CLI_OK;
    }
    cli_put_entry_path(&path, kind, text, "");
    enum cli_exit status = cli_call(v->cli, &(struct cli_request){.method = "GET", .path = buf_cstr(&path)}, &reply);
    buf_close(&path);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    json_object_set_new(body, "id", json_string(cli_text(json_object_get(root, "meta"), "id")));
    json_decref(root);
    cli_reply_close(&reply);
    return CLI_OK;
}

static enum cli_exit by_node(struct verify *v, const struct kind_desc *kind)
{
    struct cli_reply reply;
    const json_t *row;
    size_t i;
    json_t *body = json_object();
    enum cli_exit status = kind != NULL ? name_entry(v, kind, body) : CLI_OK;
    if (status != CLI_OK) {
        json_decref(body);
        return status;
    }
    status = cli_admin(v->cli, "verify", body, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    v->deltas = (uint64_t)cli_int(root, "deltas");
    json_array_foreach(json_object_get(root, "findings"), i, row) take_finding(v, row);
    if (!json_is_true(json_object_get(root, "ok")) && v->failed == 0)
        v->failed = 1;
    json_decref(root);
    cli_reply_close(&reply);
    return CLI_OK;
}

static enum cli_exit verdict(const struct verify *v, const struct kind_desc *kind)
{
    struct buf why = {0};
    if (v->failed == 0) {
        if (v->cli->format == CLI_HUMAN && kind == NULL)
            printf("%llu deltas verified: every signature, hash and derived value holds\n", (unsigned long long)v->deltas);
        return CLI_OK;
    }
    buf_printf(&why, "%llu %s failed", (unsigned long long)v->failed, v->failed == 1 ? "check" : "checks");
    uv_store_next_step(v->cli->dir, ERR_CORRUPT, &why);
    return cli_fail(ERR_CORRUPT, &why);
}

enum cli_exit cli_verify(struct cli *c)
{
    struct verify v = {.cli = c};
    const struct kind_desc *kind = NULL;
    if (c->arg_count == 1) {
        cli_error("verify wants KIND and ID, or nothing to check everything");
        return CLI_USAGE;
    }
    if (c->arg_count == 2 && (kind = cli_kind(c->args[0])) == NULL)
        return CLI_USAGE;
    cli_progress_begin(&v.progress, c, "deltas", 0);
    cli_rows_begin(&v.rows, c, columns);
    enum cli_exit status = cli_node_runs(c) ? by_node(&v, kind) : on_directory(&v, kind);
    cli_progress_clear(&v.progress);
    show_held(&v);
    bool show = c->format != CLI_HUMAN || v.rows.count > 0;
    cli_rows_end(&v.rows, show ? status : CLI_FAILED);
    if (status != CLI_OK)
        return status;
    return verdict(&v, kind);
}
