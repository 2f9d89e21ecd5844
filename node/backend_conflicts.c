/*
 * `conflicts`: every entry with a field that was edited on two sides at once, with each version, who wrote it and when, and
 * which one is shown. Runs off the event loop; what it reads is bounded by the constants below.
 */
#include "node/backend_internal.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define CONFLICTS_SHOWN_MAX 1000 /* entries in one answer                       */
#define CONFLICT_OPS_MAX    4096 /* ops of one entry looked through for its heads */

struct entries {
    struct store_change *list;
    size_t count;
};

static bool note_entry(void *ctx, const struct store_change *c)
{
    struct entries *all = ctx;
    all->list[all->count++] = *c;
    return all->count < CONFLICTS_SHOWN_MAX;
}

/* What the store gives as text without its end. NULL: not there. */
static json_t *parse(struct buf *text, const char *kind, json_t **record)
{
    buf_put_str(text, "}}");
    json_t *root = json_loadb((const char *)text->p, text->n, 0, NULL);
    *record = json_object_get(root, kind);
    return root;
}

/* ---- heads ------------------------------------------------------------------------------------------------------- */

struct heads {
    struct revision_info info[MODEL_HEADS_READ];
    json_t *roots[MODEL_HEADS_READ], *records[MODEL_HEADS_READ];
    size_t count, scanned;
};

static bool note_head(void *ctx, const struct revision_info *r)
{
    struct heads *h = ctx;
    assert(h->count <= MODEL_HEADS_READ);
    if (r->head && r->verb == VERB_PUT && r->has_body && h->count < MODEL_HEADS_READ)
        h->info[h->count++] = *r;
    return ++h->scanned < CONFLICT_OPS_MAX && h->count < MODEL_HEADS_READ;
}

static enum err heads_read(struct backend *b, const struct id *entry, const char *kind, struct heads *h)
{
    enum err e = store_history(b->store, entry, &(struct history_page){.limit = CONFLICT_OPS_MAX}, note_head, h);
    for (size_t i = 0; i < h->count && e == ERR_OK; i++) {
        struct buf text = {0};
        if (store_revision(b->store, entry, &h->info[i].op, &text) == ERR_OK)
            h->roots[i] = parse(&text, kind, &h->records[i]);
        buf_close(&text);
    }
    return e;
}

static void heads_close(struct heads *h)
{
    for (size_t i = 0; i < h->count; i++)
        json_decref(h->roots[i]);
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

static bool same(const json_t *a, const json_t *b)
{
    bool none_a = a == NULL || json_is_null(a), none_b = b == NULL || json_is_null(b);
    return none_a || none_b ? none_a && none_b : json_equal(a, b) != 0;
}

/* Whose heads carry this value of the field. */
static json_t *authors_of(const struct heads *h, const char *field, const json_t *value)
{
    json_t *list = json_array();
    for (size_t i = 0; i < h->count; i++) {
        char key[ID_HEX_SIZE], op[ID_HEX_SIZE], at[25];
        if (h->records[i] == NULL || !same(json_object_get(h->records[i], field), value))
            continue;
        json_t *row = json_object();
        key_hex(key, &h->info[i].author);
        id_hex(op, &h->info[i].op);
        json_time(at, h->info[i].time);
        json_object_set_new(row, "key", json_string(key));
        json_object_set_new(row, "at", json_string(at));
        json_object_set_new(row, "revision", json_string(op));
        json_array_append_new(list, row);
    }
    return list;
}

static json_t *conflict_row(const struct heads *h, const json_t *conflict, const json_t *record)
{
    const char *field = json_string_value(json_object_get(conflict, "field"));
    json_t *row = json_object(), *values = json_array(), *value;
    size_t i;
    json_array_foreach(json_object_get(conflict, "values"), i, value)
    {
        json_t *one = json_object();
        json_object_set(one, "value", value);
        json_object_set_new(one, "shown", json_boolean(same(json_object_get(record, field), value)));
        json_object_set_new(one, "authors", authors_of(h, field, value));
        json_array_append_new(values, one);
    }
    json_object_set_new(row, "field", json_string(field));
    json_object_set_new(row, "values", values);
    return row;
}

static json_t *entry_row(const char *kind, const struct heads *h, const json_t *meta, const json_t *record)
{
    json_t *row = json_object(), *list = json_array(), *conflict;
    size_t i;
    json_array_foreach(json_object_get(meta, "conflicts"), i, conflict)
        json_array_append_new(list, conflict_row(h, conflict, record));
    json_object_set_new(row, "kind", json_string(kind));
    json_object_set(row, "id", json_object_get(meta, "id"));
    json_object_set(row, "name", json_object_get(meta, "name"));
    json_object_set(row, "owner", json_object_get(meta, "owner"));
    json_object_set_new(row, "conflicts", list);
    return row;
}

/* NULL: settled meanwhile, or of a kind that is not shown. */
static json_t *entry_conflicts(struct backend *b, const struct store_change *c)
{
    const struct kind_desc *kind = kind_by_number(c->kind);
    struct entry_info info;
    struct buf text = {0};
    struct heads heads = {.count = 0};
    json_t *row = NULL, *record = NULL;
    if (kind == NULL || store_get(b->store, c->kind, &c->entry, &info, &text) != ERR_OK) {
        buf_close(&text);
        return NULL;
    }
    json_t *root = parse(&text, kind->singular, &record);
    json_t *meta = json_object_get(root, "meta");
    if (json_array_size(json_object_get(meta, "conflicts")) > 0 &&
        heads_read(b, &c->entry, kind->singular, &heads) == ERR_OK)
        row = entry_row(kind->singular, &heads, meta, record);
    heads_close(&heads);
    json_decref(root);
    buf_close(&text);
    return row;
}

enum err backend_work_conflicts(struct backend *b, struct api_call *call)
{
    struct entries all = {.list = mem_calloc(CONFLICTS_SHOWN_MAX, sizeof *all.list)};
    json_t *rows = json_array();
    enum err e = store_conflicts(b->store, note_entry, &all);
    assert(all.count <= CONFLICTS_SHOWN_MAX);
    for (size_t i = 0; i < all.count && e == ERR_OK; i++) {
        json_t *row = entry_conflicts(b, &all.list[i]);
        if (row != NULL)
            json_array_append_new(rows, row);
    }
    char *text = json_dumps(rows, JSON_COMPACT);
    buf_put_str(&call->out, text);
    free(text);
    free(all.list);
    json_decref(rows);
    return e;
}
