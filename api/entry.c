/*
 * Reading entries: one, a page of them, their history, who may write them.
 */
#include "api/answer.h"
#include "api/condition.h"
#include "api/handlers.h"

#include <assert.h>
#include <string.h>

/* 304 or 412 where a condition says so. True: answered. */
static bool answer_condition(struct exchange *x, const struct id *revision)
{
    const struct http_head *head = &x->conn->http.head;
    assert(!x->answered);
    enum condition match = condition_read(head, HTTP_IF_MATCH), none = condition_read(head, HTTP_IF_NONE_MATCH);
    if (match == CONDITION_BAD || none == CONDITION_BAD) {
        answer_problem(x, 400, "bad_condition", "If-Match and If-None-Match take *, or entity tags in double quotes");
        return true;
    }
    if (match == CONDITION_LIST &&
        (revision == NULL || !condition_lists(head, HTTP_IF_MATCH, revision, COMPARE_STRONG))) {
        answer_problem(x, 412, "stale", "the entry is not at a revision that If-Match names");
        return true;
    }
    if (revision == NULL) /* incomplete: no tag, so never "not modified" */
        return false;
    if (none == CONDITION_ANY ||
        (none == CONDITION_LIST && condition_lists(head, HTTP_IF_NONE_MATCH, revision, COMPARE_WEAK))) {
        answer_send(x, &(struct answer){.status = 304, .etag = revision});
        return true;
    }
    return false;
}

static void on_got(struct exchange *x)
{
    const struct id *revision = x->call.has_revision ? &x->call.revision_out : NULL;
    if (answer_error(x))
        return;
    if (x->conn->http.head.count > 1 && answer_condition(x, revision))
        return;
    answer_send(x, &(struct answer){
                       .status = 200, .type = TYPE_JSON, .body = buf_view(&x->call.out), .etag = revision});
}

static void get(struct exchange *x)
{
    exchange_call(x, API_GET, on_got);
}

void handle_get(struct exchange *x)
{
    with_entry(x, get);
}

static void on_out(struct exchange *x)
{
    if (!answer_error(x))
        answer_out(x, TYPE_JSON);
}

void handle_list(struct exchange *x)
{
    assert(x->match.kind != NULL);
    if (!read_page(x))
        return;
    x->call.kind = x->match.kind->kind;
    exchange_call(x, API_LIST, on_out);
}

static void history(struct exchange *x)
{
    exchange_call(x, API_HISTORY, on_out);
}

void handle_revisions(struct exchange *x)
{
    if (read_page(x))
        with_entry(x, history);
}

static void revision(struct exchange *x)
{
    assert(x->match.shape == SHAPE_REVISION);
    x->call.revision = x->match.second;
    exchange_call(x, API_REVISION, on_out);
}

void handle_revision(struct exchange *x)
{
    with_entry(x, revision);
}

static void writers(struct exchange *x)
{
    exchange_call(x, API_WRITERS, on_out);
}

void handle_writers(struct exchange *x)
{
    with_entry(x, writers);
}

static void writer_put(struct exchange *x)
{
    assert(x->match.shape == SHAPE_WRITER);
    memcpy(x->call.key.b, x->match.second.b, ID_BYTES);
    x->call.guard = API_GUARD_CREATE;
    exchange_call(x, API_WRITER_ADD, on_out);
}

void handle_writer_put(struct exchange *x)
{
    with_entry(x, writer_put);
}

static void on_writer_removed(struct exchange *x)
{
    if (!answer_error(x))
        answer_send(x, &(struct answer){.status = 204});
}

static void writer_remove(struct exchange *x)
{
    assert(x->match.shape == SHAPE_WRITER);
    memcpy(x->call.key.b, x->match.second.b, ID_BYTES);
    exchange_call(x, API_WRITER_REMOVE, on_writer_removed);
}

void handle_writer_remove(struct exchange *x)
{
    with_entry(x, writer_remove);
}
