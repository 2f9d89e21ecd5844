/*
 * Export: every model, agent and server as a line {"kind":...,KIND:{...}}, from the running node page by
 * page or, when none runs, from the directory. Text is cut out of the stored JSON, never rebuilt.
 */
#include "node/cli_store.h"

#include "crdt/limits.h"
#include "node/jsonscan.h"
#include "node/uv_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct export
{
    struct cli *cli;
    FILE *out;
    uint64_t count;
    int fault; /* errno of the first write that failed */
    struct cli_progress progress;
};

/* entry: {"model":{...},"meta":{...}} */
static bool put_entry(struct export *e, const struct kind_desc *kind, struct bytes entry)
{
    struct bytes record = jsonscan_member(entry, kind->singular);
    if (record.p == NULL)
        return true;
    fprintf(e->out, "{\"kind\":\"%s\",\"%s\":", kind->singular, kind->singular);
    fwrite(record.p, 1, record.n, e->out);
    fputs("}\n", e->out);
    if (ferror(e->out)) {
        e->fault = e->fault != 0 ? e->fault : errno;
        return false;
    }
    cli_progress_draw(&e->progress, 0, ++e->count);
    return true;
}

static enum cli_exit from_node(struct export *e, const struct kind_desc *kind)
{
    struct buf path = {0}, cursor = {0};
    enum cli_exit status;
    do {
        struct cli_reply reply;
        buf_reset(&path);
        buf_printf(&path, "/%s?limit=%d%s%s", kind->plural, API_PAGE_MAX, cursor.n > 0 ? "&cursor=" : "",
                   buf_cstr(&cursor));
        status = cli_call(e->cli, &(struct cli_request){.method = "GET", .path = buf_cstr(&path)}, &reply);
        if (status != CLI_OK)
            break;
        struct bytes rows = jsonscan_member(buf_view(&reply.body), kind->plural), row;
        for (size_t at = 0; status == CLI_OK && (row = jsonscan_item(rows, &at)).p != NULL;)
            if (!put_entry(e, kind, row))
                status = CLI_FAILED;
        struct bytes next = jsonscan_member(buf_view(&reply.body), "next_cursor");
        buf_reset(&cursor);
        if (next.n > 2 && next.p[0] == '"')
            buf_put(&cursor, next.p + 1, next.n - 2);
        cli_reply_close(&reply);
    } while (status == CLI_OK && cursor.n > 0);
    buf_close(&path);
    buf_close(&cursor);
    return status;
}

static enum err from_store(struct export *e, const struct store *store, const struct kind_desc *kind)
{
    struct store_scan *scan = store_scan_open(store, kind->kind, (struct bytes){0}, NULL);
    struct buf entry = {0};
    struct entry_info info;
    struct bytes name;
    struct id id;
    enum err err = ERR_OK;
    while (err == ERR_OK && store_scan_next(scan, &id, &name)) {
        buf_reset(&entry);
        err = store_get(store, kind->kind, &id, &info, &entry);
        buf_put_str(&entry, "}}");
        if (err == ERR_OK && !put_entry(e, kind, buf_view(&entry)))
            err = ERR_IO;
    }
    enum err closed = store_scan_close(scan);
    buf_close(&entry);
    return err != ERR_OK ? err : closed;
}

static enum cli_exit broke_off(const struct export *e, const struct store *store, enum err err)
{
    struct buf why = {0};
    buf_printf(&why, "the export broke off after %llu entries: ", (unsigned long long)e->count);
    store_fault(store, err, &why);
    uv_store_next_step(e->cli->dir, err, &why);
    return cli_fail(err, &why);
}

static enum cli_exit export_all(struct export *e)
{
    static const uint64_t kinds[] = {KIND_MODEL, KIND_AGENT, KIND_SERVER};
    enum cli_exit status = CLI_OK;
    struct cli_store store;
    bool running = cli_node_runs(e->cli);
    if (!running)
        status = cli_store_open(e->cli, &store);
    if (status != CLI_OK)
        return status;
    for (size_t i = 0; i < 3 && status == CLI_OK; i++) {
        const struct kind_desc *kind = kind_by_number(kinds[i]);
        enum err err = running ? ERR_OK : from_store(e, store.store, kind);
        if (running)
            status = from_node(e, kind);
        if (err != ERR_OK)
            status = e->fault != 0 ? CLI_FAILED : broke_off(e, store.store, err);
    }
    if (!running)
        cli_store_close(&store);
    return status;
}

enum cli_exit cli_export(struct cli *c)
{
    struct export e = {.cli = c, .out = stdout};
    if (strcmp(c->args[0], "jsonl") != 0) {
        cli_error("the one format of export is jsonl, not \"%s\"", c->args[0]);
        return CLI_USAGE;
    }
    bool file = c->arg_count > 1 && strcmp(c->args[1], "-") != 0;
    if (file && (e.out = fopen(c->args[1], "we")) == NULL) {
        cli_error("cannot write %s: %s", c->args[1], strerror(errno));
        return CLI_FAILED;
    }
    cli_progress_begin(&e.progress, c, "entries", 0);
    enum cli_exit status = export_all(&e);
    cli_progress_clear(&e.progress);
    if (file && fclose(e.out) != 0 && status == CLI_OK) {
        e.fault = errno;
        status = CLI_FAILED;
    }
    if (file && e.fault != 0)
        cli_error("cannot write %s after %llu entries: %s", c->args[1], (unsigned long long)e.count, strerror(e.fault));
    if (status == CLI_OK && file)
        cli_note("%llu entries written to %s", (unsigned long long)e.count, c->args[1]);
    return status;
}
