/*
 * Bodies that are not records: the search of POST /models/search and the key of POST .../writers.
 */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/query.h"

#include "crdt/decimal.h"

#include <assert.h>
#include <jansson.h>

/* The body as a JSON object, which the exchange keeps. NULL: answered. */
static json_t *read_object(struct exchange *x)
{
    json_error_t error;
    assert(x->tree == NULL);
    x->tree = json_loadb((const char *)x->body.p, x->body.n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (x->tree == NULL) {
        answer_problem(x, 400, "bad_json", "the body is not JSON: line %d, column %d: %s", error.line, error.column,
                       json_fault(&error));
        return NULL;
    }
    if (!json_is_object(x->tree)) {
        answer_problem(x, 422, "invalid", "the body is JSON but not an object");
        return NULL;
    }
    return x->tree;
}

/* A member that is absent or null leaves *out alone. */
static void take_text(const json_t *tree, const char *name, struct bytes *out, struct faults *faults)
{
    char pointer[32];
    const json_t *v = json_object_get(tree, name);
    if (v == NULL || json_is_null(v))
        return;
    (void)snprintf(pointer, sizeof pointer, "/%s", name);
    if (!json_is_string(v))
        faults_add(faults, pointer, "must be a string");
    else if (json_string_length(v) > API_WORDS_MAX)
        faults_add(faults, pointer, "is over %d bytes", API_WORDS_MAX);
    else
        *out = bytes_of(json_string_value(v), json_string_length(v));
}

static void take_list(const json_t *tree, const char *name, struct bytes *out, size_t *count, struct faults *faults)
{
    char pointer[32];
    const json_t *list = json_object_get(tree, name);
    if (list == NULL || json_is_null(list))
        return;
    (void)snprintf(pointer, sizeof pointer, "/%s", name);
    if (!json_is_array(list) || json_array_size(list) > API_TAGS_MAX) {
        faults_add(faults, pointer, "must be a list of at most %d strings", API_TAGS_MAX);
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        (void)snprintf(pointer, sizeof pointer, "/%s/%zu", name, i);
        assert(*count < API_TAGS_MAX);
        if (!json_is_string(v))
            faults_add(faults, pointer, "must be a string");
        else
            out[(*count)++] = bytes_of(json_string_value(v), json_string_length(v));
    }
}

static void take_count(const json_t *tree, const char *name, uint64_t max, uint64_t *out, struct faults *faults)
{
    char pointer[32];
    const json_t *v = json_object_get(tree, name);
    if (v == NULL || json_is_null(v))
        return;
    (void)snprintf(pointer, sizeof pointer, "/%s", name);
    json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;
    if (n < 0 || (uint64_t)n > max)
        faults_add(faults, pointer, "must be a whole number from 0 to %llu", (unsigned long long)max);
    else
        *out = (uint64_t)n;
}

static void take_price(const json_t *tree, struct api_query *q, struct faults *faults)
{
    struct bytes text = {0};
    bool exact;
    const json_t *v = json_object_get(tree, "max_price");
    if (v == NULL || json_is_null(v))
        return;
    if (json_is_string(v))
        text = bytes_of(json_string_value(v), json_string_length(v));
    q->has_max_price = text.p != NULL && decimal_rounded(text, 6, &q->max_price_pico, &exact);
    if (!q->has_max_price)
        faults_add(faults, "/max_price", "must be a decimal string in USD per 1M input tokens, such as \"0.5\"");
}

static void on_found(struct exchange *x)
{
    if (!answer_error(x))
        answer_out(x, TYPE_JSON);
}

void handle_search(struct exchange *x)
{
    struct api_query *q = &x->query;
    struct faults faults;
    uint64_t limit = API_PAGE_DEFAULT;
    faults.count = 0;
    const json_t *tree = read_object(x);
    if (tree == NULL)
        return;
    *q = (struct api_query){
        .kind = x->match.kind->kind, .tags = x->tags, .capabilities = x->capabilities, .scored = true};
    take_text(tree, "query", &q->text, &faults);
    take_text(tree, "owner", &q->owner, &faults);
    take_text(tree, "model_type", &q->model_type, &faults);
    take_text(tree, "framework", &q->framework, &faults);
    take_text(tree, "license", &q->license, &faults);
    take_text(tree, "cursor", &q->cursor, &faults);
    take_list(tree, "tags", x->tags, &q->tag_count, &faults);
    take_list(tree, "capabilities", x->capabilities, &q->capability_count, &faults);
    take_count(tree, "min_context", INT64_MAX, &q->min_context, &faults);
    take_count(tree, "limit", INT64_MAX, &limit, &faults);
    take_price(tree, q, &faults);
    if (limit == 0)
        faults_add(&faults, "/limit", "must be a number from 1 on; a page has at most %d rows", API_PAGE_MAX);
    if (limit > API_PAGE_MAX)
        limit = API_PAGE_MAX;
    if (faults.count > 0) {
        answer_faults(x, "the search breaks rules of its schema", &faults);
        return;
    }
    if (q->cursor.n > 0 && !cursor_valid(q->cursor)) {
        answer_problem(x, 400, "bad_cursor", "the cursor is not one that this node gave; start again without one");
        return;
    }
    assert(limit >= 1 && limit <= API_PAGE_MAX);
    x->call.kind = q->kind;
    x->call.limit = q->limit = (size_t)limit;
    x->call.cursor = q->cursor;
    x->call.query = q;
    exchange_call(x, API_LIST, on_found);
}

static void on_writer_added(struct exchange *x)
{
    if (answer_error(x))
        return;
    if (x->call.out.n > 0)
        answer_out(x, TYPE_JSON);
    else
        answer_send(x, &(struct answer){.status = 204});
}

static void writer_add(struct exchange *x)
{
    exchange_call(x, API_WRITER_ADD, on_writer_added);
}

void handle_writer_add(struct exchange *x)
{
    const json_t *tree = read_object(x);
    if (tree == NULL)
        return;
    const json_t *v = json_object_get(tree, "key");
    struct faults faults;
    faults.count = 0;
    if (!json_is_string(v) || !key_parse(&x->call.key, bytes_of(json_string_value(v), json_string_length(v)))) {
        faults_add(&faults, "/key", "must be an author key: 64 hex digits");
        answer_faults(x, "the body names no writer", &faults);
        return;
    }
    with_entry(x, writer_add);
}
