/*
 * GET /changes: a page of the change log as JSON, or a stream of events that resumes where the client stopped. A stream
 * holds no backlog: it asks the log for more only when what it sent before is gone, so a slow reader costs a cursor.
 */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/query.h"

#include <assert.h>

static void on_page(struct exchange *x)
{
    if (!answer_error(x))
        answer_send(x, &(struct answer){.status = 200, .type = TYPE_JSON, .body = buf_view(&x->call.out),
                                        .headers = "Vary: Accept\r\n"});
}

static void put_event(struct buf *out, const struct api_change_row *row)
{
    assert(row->length <= sizeof row->json);
    if (row->cursor[0] != 0)
        buf_printf(out, "id: %s\ndata: ", row->cursor);
    else
        buf_printf(out, "id: %llu\ndata: ", (unsigned long long)row->seq);
    buf_put(out, row->json, row->length);
    buf_put_str(out, "\n\n");
}

/* Sends what came and remembers where the log is read on. */
static void put_events(struct exchange *x)
{
    const struct api_call *call = &x->call;
    assert(call->change_count <= call->limit);
    for (size_t i = 0; i < call->change_count; i++)
        put_event(&x->conn->out, &call->changes[i]);
    if (call->cursor_out.n > 0 || call->next_seq > 0)
        buf_reset(&x->cursor);
    if (call->cursor_out.n > 0)
        buf_put_bytes(&x->cursor, buf_view(&call->cursor_out));
    else if (call->next_seq > 0)
        buf_printf(&x->cursor, "%llu", (unsigned long long)call->next_seq);
}

static void on_more(struct exchange *x)
{
    if (x->call.err != ERR_OK) { /* the client comes back with the last id it saw */
        x->conn->eof = true;
        return;
    }
    put_events(x);
    if (x->call.change_count >= API_STREAM_PAGE)
        x->behind = true;
}

void stream_fetch(struct exchange *x)
{
    assert(x->answered && !x->calling);
    x->behind = false;
    x->call.cursor = buf_view(&x->cursor);
    x->call.limit = API_STREAM_PAGE;
    exchange_call(x, API_CHANGES, on_more);
}

void stream_beat(struct exchange *x)
{
    if (conn_unsent(x->conn) == 0)
        buf_put_str(&x->conn->out, ":\n\n");
}

static void on_first(struct exchange *x)
{
    if (answer_error(x))
        return;
    answer_stream(x, TYPE_EVENTS);
    if (x->is_head)
        return;
    put_events(x);
    x->behind = true; /* the log may have grown while the first page was read */
    conn_stream(x->conn);
}

void handle_changes(struct exchange *x)
{
    if (!read_page(x))
        return;
    if (!accepts(x, TYPE_EVENTS)) {
        exchange_call(x, API_CHANGES, on_page);
        return;
    }
    struct bytes last = http_header(&x->conn->http.head, HTTP_LAST_EVENT_ID);
    if (last.n > 0 && !cursor_valid(last)) {
        answer_problem(x, 400, "bad_cursor", "Last-Event-ID is not an id that this node gave; start again without one");
        return;
    }
    if (last.n > 0)
        x->call.cursor = last;
    assert(x->cursor.n == 0);
    buf_put_bytes(&x->cursor, x->call.cursor);
    x->call.cursor = buf_view(&x->cursor);
    x->call.limit = API_STREAM_PAGE;
    exchange_call(x, API_CHANGES, on_first);
}
