/*
 * Bulk import over the admin socket: rows of JSON, parsed and checked on a worker thread, written as ordinary local
 * writes, answered when the last of them is on disk. A bad row is reported and does not hold up the others.
 */
#include "node/backend_internal.h"

#include "crdt/alloc.h"
#include "node/import.h"
#include "node/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct import_run {
    struct backend *backend;
    struct api_call *call;
    struct author *author;
    struct queued_write *parsed, **parsed_end; /* rows that wait to be queued */
    struct buf failed;                         /* JSON rows, comma separated  */
    size_t pending, accepted;
};

static void fail_row(struct import_run *run, size_t row, struct bytes name, const char *pointer, const char *detail)
{
    buf_printf(&run->failed, "%s{\"row\":%zu,\"name\":", run->failed.n > 0 ? "," : "", row);
    json_put_string(&run->failed, name);
    buf_put_str(&run->failed, ",\"pointer\":");
    json_put_string(&run->failed, bytes_str(pointer));
    buf_put_str(&run->failed, ",\"detail\":");
    json_put_string(&run->failed, bytes_str(detail));
    buf_put_u8(&run->failed, '}');
}

static struct waiter *row_waiter(struct import_run *run, const struct import_row *row)
{
    struct waiter *w = mem_alloc(sizeof *w + row->name.n);
    memcpy(w + 1, row->name.p, row->name.n);
    *w = (struct waiter){.import = run, .row = row->row - 1, .name = bytes_of((const uint8_t *)(w + 1), row->name.n)};
    return w;
}

static void keep_row(struct import_run *run, const struct import_row *row)
{
    struct node_write w = {.action = WRITE_PUT,
                           .guard = GUARD_NONE,
                           .kind = row->kind->kind,
                           .owner = run->author->key,
                           .name = row->name,
                           .author = run->author,
                           .change = {.mode = CHANGE_REPLACE,
                                      .field_count = row->field_count,
                                      .fields = row->fields},
                           .ctx = row_waiter(run, row)};
    struct queued_write *copy = queued_write_new(&w);
    *run->parsed_end = copy;
    run->parsed_end = &copy->next;
}

static void import_work(void *arg)
{
    struct import_run *run = arg;
    struct import *m = import_new(IMPORT_JSONL, kind_by_number(run->call->kind));
    struct import_row *row = mem_alloc(sizeof *row);
    import_feed(m, run->call->body);
    import_end(m);
    while (import_next(m, row)) {
        if (row->verdict == IMPORT_ROW)
            keep_row(run, row);
        for (size_t i = 0; row->verdict != IMPORT_ROW && i < row->faults.count; i++)
            fail_row(run, row->row - 1, row->name, row->faults.list[i].pointer, row->faults.list[i].detail);
    }
    free(row);
    import_free(m);
}

static void finish(struct import_run *run)
{
    struct api_call *call = run->call;
    assert(run->pending == 0);
    buf_printf(&call->out, "{\"accepted\":%zu,\"failed\":[", run->accepted);
    buf_put_bytes(&call->out, buf_view(&run->failed));
    buf_put_str(&call->out, "]}");
    buf_close(&run->failed);
    free(run);
    backend_ok(call);
}

static void import_done(void *arg)
{
    struct import_run *run = arg;
    run->pending = 1; /* held until all rows are queued */
    while (run->parsed != NULL) {
        struct queued_write *w = run->parsed;
        struct waiter *waiter = w->write.ctx;
        run->parsed = w->next;
        w->next = NULL;
        enum err e = node_write_queued(run->backend->node, w);
        if (e == ERR_OK) {
            run->pending++;
            continue;
        }
        fail_row(run, waiter->row, waiter->name, "", err_text(e));
        free(waiter);
        free(w);
    }
    if (--run->pending == 0)
        finish(run);
}

void backend_import_result(struct waiter *w, const struct node_result *r)
{
    struct import_run *run = w->import;
    if (r->why == ERR_OK)
        run->accepted++;
    else
        fail_row(run, w->row, w->name, "", err_text(r->why));
    free(w);
    if (--run->pending == 0)
        finish(run);
}

void backend_import(struct backend *b, struct api_call *call)
{
    struct author *author = b->hooks.author(b->hooks.ctx, call->token, call->as);
    if (author == NULL) {
        backend_not_signed(call);
        backend_fail(call, ERR_DENIED, NULL);
        return;
    }
    struct import_run *run = mem_zalloc(sizeof *run);
    run->backend = b;
    run->call = call;
    run->author = author;
    run->parsed_end = &run->parsed;
    b->hooks.defer(b->hooks.ctx, import_work, import_done, run);
}
