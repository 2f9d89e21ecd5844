/*
 * Writing entries: create, replace, patch, delete. Turns the conditions of a request into the guard that the store checks
 * in the same commit; where the guard cannot say it, the entry is read first and the write bound to what was read.
 */
#include "api/answer.h"
#include "api/condition.h"
#include "api/handlers.h"

#include <assert.h>
#include <stdio.h>

static void bad_condition(struct exchange *x, const char *detail)
{
    answer_problem(x, 400, "bad_condition", "%s", detail);
}

/* The guard of a write to an entry that exists. False: answered. */
static bool choose_guard(struct exchange *x)
{
    const struct http_head *head = &x->conn->http.head;
    enum condition match = condition_read(head, HTTP_IF_MATCH), none = condition_read(head, HTTP_IF_NONE_MATCH);
    if (match == CONDITION_BAD || none == CONDITION_BAD) {
        bad_condition(x, "If-Match and If-None-Match take *, or entity tags in double quotes");
        return false;
    }
    assert(!x->answered && !x->read_first);
    x->call.guard = API_GUARD_EXISTS;
    if (match == CONDITION_LIST && condition_single(head, HTTP_IF_MATCH, &x->call.revision))
        x->call.guard = API_GUARD_REVISION;
    else if (match == CONDITION_LIST)
        x->read_first = true;
    if (none != CONDITION_NONE)
        x->read_first = true;
    return true;
}

/* The conditions against what was read; binds the write to it. False: answered. */
static bool judge_read(struct exchange *x)
{
    const struct http_head *head = &x->conn->http.head;
    const struct id *shown = x->call.has_revision ? &x->call.revision_out : NULL;
    enum condition match = condition_read(head, HTTP_IF_MATCH), none = condition_read(head, HTTP_IF_NONE_MATCH);
    bool stale = match == CONDITION_LIST &&
                 (shown == NULL || !condition_lists(head, HTTP_IF_MATCH, shown, COMPARE_STRONG));
    if (none == CONDITION_ANY)
        stale = true;
    if (none == CONDITION_LIST && shown != NULL && condition_lists(head, HTTP_IF_NONE_MATCH, shown, COMPARE_WEAK))
        stale = true;
    if (stale) {
        answer_problem(x, 412, "stale", "the entry is not at a revision that the request's conditions allow");
        return false;
    }
    x->call.guard = shown != NULL ? API_GUARD_REVISION : API_GUARD_EXISTS;
    if (shown != NULL)
        x->call.revision = *shown;
    return true;
}

/* What the body lacks. */
static void answer_body(struct exchange *x, enum err e, const struct faults *faults)
{
    assert(e == ERR_INVALID || e == ERR_TOO_LARGE || e == ERR_FORM);
    if (e == ERR_INVALID)
        answer_faults(x, "the record breaks rules of its schema", faults);
    else if (e == ERR_TOO_LARGE)
        answer_problem(x, 413, "too_large", "the record does not fit into 64 KiB");
    else
        answer_problem(x, 400, "bad_json", "the body is not JSON: %s", x->fields.detail);
}

/* The body as a change of the call. False: answered. */
static bool read_record(struct exchange *x, enum json_mode mode)
{
    struct faults faults;
    faults.count = 0;
    const struct kind_desc *kind = kind_by_number(x->match.kind->kind);
    assert(kind != NULL && kind->client_writes);
    enum err e = mode == JSON_PATCH
                     ? json_patch_shown(kind, buf_view(&x->body), buf_view(&x->call.out), &x->fields, &faults)
                     : json_to_fields(kind, buf_view(&x->body), mode, &x->fields, &faults);
    if (e != ERR_OK) {
        answer_body(x, e, &faults);
        return false;
    }
    x->call.kind = kind->kind;
    x->call.name = x->fields.name;
    x->call.change = (struct change){.mode = mode == JSON_PATCH ? CHANGE_PATCH : CHANGE_REPLACE,
                                     .field_count = x->fields.count,
                                     .fields = x->fields.fields};
    return true;
}

static void answer_entry(struct exchange *x, int status, const struct id *location)
{
    char path[32 + ID_HEX_SIZE], hex[ID_HEX_SIZE];
    struct answer a = {.status = status, .type = TYPE_JSON, .body = buf_view(&x->call.out)};
    if (x->call.has_revision)
        a.etag = &x->call.revision_out;
    if (location != NULL) {
        id_hex(hex, location);
        int n = snprintf(path, sizeof path, "/%s/%s", x->match.kind->plural, hex);
        assert(n > 0 && (size_t)n < sizeof path);
        a.location = bytes_of(path, (size_t)n);
    }
    answer_send(x, &a);
}

static void on_posted(struct exchange *x)
{
    if (x->call.err == ERR_CONFLICT && x->call.guard == API_GUARD_CREATE)
        answer_problem(x, 412, "exists", "this owner has an entry of this name already");
    else if (!answer_error(x))
        answer_entry(x, x->call.created ? 201 : 200, &x->call.id_out);
}

void handle_post(struct exchange *x)
{
    const struct http_head *head = &x->conn->http.head;
    enum condition match = condition_read(head, HTTP_IF_MATCH), none = condition_read(head, HTTP_IF_NONE_MATCH);
    if (none == CONDITION_ANY) {
        x->call.guard = API_GUARD_CREATE;
    } else if (none != CONDITION_NONE) {
        bad_condition(x, "If-None-Match of a POST is *: create only");
        return;
    }
    if (match == CONDITION_ANY && none == CONDITION_NONE) {
        x->call.guard = API_GUARD_EXISTS;
    } else if (match != CONDITION_NONE) {
        x->call.guard = API_GUARD_REVISION;
        if (none != CONDITION_NONE || !condition_single(head, HTTP_IF_MATCH, &x->call.revision)) {
            bad_condition(x, "If-Match of a POST is * or one entity tag, without If-None-Match");
            return;
        }
    }
    if (!read_record(x, JSON_PUT))
        return;
    x->call.by_name = true;
    exchange_call(x, API_WRITE, on_posted);
}

static void on_written(struct exchange *x)
{
    if (!answer_error(x))
        answer_entry(x, 200, NULL);
}

static void put_read(struct exchange *x)
{
    if (answer_error(x) || !judge_read(x))
        return;
    x->call.name = x->fields.name;
    exchange_call(x, API_WRITE, on_written);
}

static void put_found(struct exchange *x)
{
    if (!read_record(x, JSON_REPLACE))
        return;
    if (x->read_first)
        exchange_call(x, API_GET, put_read);
    else
        exchange_call(x, API_WRITE, on_written);
}

void handle_put(struct exchange *x)
{
    if (choose_guard(x))
        with_entry(x, put_found);
}

static void patch_found(struct exchange *x);

/* Someone else wrote between our read and our write. Without If-Match the client did not ask for a revision, so the
 * patch is merged again, a bounded number of times. */
static void on_patched(struct exchange *x)
{
    bool free_to_repeat = condition_read(&x->conn->http.head, HTTP_IF_MATCH) != CONDITION_LIST;
    if (x->call.err != ERR_CONFLICT || !free_to_repeat) {
        on_written(x);
        return;
    }
    assert(x->tries < API_PATCH_TRIES);
    if (++x->tries < API_PATCH_TRIES)
        patch_found(x);
    else
        answer_problem(x, 409, "contended", "the entry kept changing while the patch was merged; try again");
}

static void patch_read(struct exchange *x)
{
    if (answer_error(x) || !judge_read(x) || !read_record(x, JSON_PATCH))
        return;
    assert(!x->call.by_name);
    exchange_call(x, API_WRITE, on_patched);
}

static void patch_found(struct exchange *x)
{
    x->call.name = (struct bytes){0};
    exchange_call(x, API_GET, patch_read);
}

void handle_patch(struct exchange *x)
{
    if (choose_guard(x))
        with_entry(x, patch_found);
}

static void on_deleted(struct exchange *x)
{
    if (!answer_error(x))
        answer_send(x, &(struct answer){.status = 204});
}

static void delete_read(struct exchange *x)
{
    if (answer_error(x) || !judge_read(x))
        return;
    exchange_call(x, API_DELETE, on_deleted);
}

static void delete_found(struct exchange *x)
{
    if (x->read_first)
        exchange_call(x, API_GET, delete_read);
    else
        exchange_call(x, API_DELETE, on_deleted);
}

void handle_delete(struct exchange *x)
{
    if (choose_guard(x))
        with_entry(x, delete_found);
}
