/*
 * History of an entry, the change log, and the writers of an entry, as JSON.
 */
#include "node/backend_internal.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- writers ----------------------------------------------------------------------------------------------------- */

struct writers {
    struct buf *out;
    bool first;
};

static bool put_writer(void *ctx, const struct grant *g)
{
    struct writers *w = ctx;
    char hex[ID_HEX_SIZE];
    key_hex(hex, &g->key);
    buf_printf(w->out, "%s{\"key\":\"%s\",\"epoch\":%llu}", w->first ? "" : ",", hex,
               (unsigned long long)g->epoch);
    w->first = false;
    return true;
}

enum err backend_put_writers(struct backend *b, struct api_call *call, const struct id *id)
{
    struct writers w = {.out = &call->out, .first = true};
    buf_put_str(&call->out, "{\"writers\":[");
    enum err e = store_writers(b->store, id, put_writer, &w);
    buf_put_str(&call->out, "]}");
    call->id_out = *id;
    return e;
}

static bool is_key(void *ctx, const struct grant *g)
{
    struct grant *wanted = ctx;
    wanted->granted = wanted->granted || key_eq(&g->key, &wanted->key);
    return !wanted->granted;
}

bool backend_is_writer(const struct backend *b, const struct id *entry, const struct key *key)
{
    struct grant wanted = {.key = *key};
    return store_writers(b->store, entry, is_key, &wanted) == ERR_OK && wanted.granted;
}

/* ---- history ----------------------------------------------------------------------------------------------------- */

static const char *verb_word(enum verb verb)
{
    switch (verb) {
    case VERB_PUT:
        return "put";
    case VERB_DELETE:
        return "delete";
    case VERB_STATEMENT:
        return "statement";
    }
    return "unknown";
}

struct history {
    struct buf *out;
    size_t left;      /* rows still wanted; one more is read to know whether there is a next page */
    bool more;
    size_t rows;
    struct item last;
};

static void put_parents(struct buf *out, const struct revision_info *r)
{
    char hex[ID_HEX_SIZE];
    for (size_t i = 0; i < r->parent_count; i++) {
        id_hex(hex, &r->parents[i]);
        buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", hex);
    }
}

static bool put_revision(void *ctx, const struct revision_info *r)
{
    struct history *h = ctx;
    char op[ID_HEX_SIZE], delta[ID_HEX_SIZE], author[ID_HEX_SIZE], time[25];
    assert(h->rows == 0 || r->time <= h->last.time); /* newest first */
    if (h->left == 0) {
        h->more = true;
        return false;
    }
    id_hex(op, &r->op);
    id_hex(delta, &r->delta);
    key_hex(author, &r->author);
    json_time(time, r->time);
    buf_printf(h->out,
               "%s{\"op\":\"%s\",\"verb\":\"%s\",\"author\":\"%s\",\"time\":\"%s\",\"delta\":\"%s\","
               "\"head\":%s,\"eligible\":%s,\"body\":%s,\"parents\":[",
               h->rows > 0 ? "," : "", op, verb_word(r->verb), author, time, delta,
               r->head ? "true" : "false", r->eligible ? "true" : "false", r->has_body ? "true" : "false");
    put_parents(h->out, r);
    buf_put_str(h->out, "]}");
    h->last = (struct item){.time = r->time, .id = r->op};
    h->left--;
    h->rows++;
    return true;
}

#define HISTORY_USE 'h'

static enum err history_cursor(struct backend *b, const struct api_call *call, struct item *before)
{
    struct buf raw = {0};
    enum err e = cursor_decode(&b->env.cursors, HISTORY_USE, call->cursor, &raw);
    if (e == ERR_OK && raw.n != 8 + ID_BYTES)
        e = ERR_FORM;
    if (e == ERR_OK) {
        before->time = get_be(raw.p, 8);
        memcpy(before->id.b, raw.p + 8, ID_BYTES);
    }
    buf_close(&raw);
    return e;
}

enum err backend_work_history(struct backend *b, struct api_call *call)
{
    struct item before;
    struct history h = {.out = &call->out, .left = call->limit};
    assert(call->limit > 0 && call->limit <= API_PAGE_MAX);
    if (call->cursor.n > 0) {
        enum err e = history_cursor(b, call, &before);
        if (e != ERR_OK)
            return e;
    }
    buf_put_str(&call->out, "{\"revisions\":[");
    struct history_page page = {.before = call->cursor.n > 0 ? &before : NULL, .limit = call->limit + 1};
    enum err e = store_history(b->store, &call->id, &page, put_revision, &h);
    if (e != ERR_OK)
        return e;
    if (h.rows == 0 && call->cursor.n == 0)
        return ERR_NOT_FOUND;
    buf_put_str(&call->out, "],\"next_cursor\":");
    if (h.more) {
        uint8_t raw[8 + ID_BYTES];
        put_be(raw, h.last.time, 8);
        memcpy(raw + 8, h.last.id.b, ID_BYTES);
        buf_put_u8(&call->out, '"');
        cursor_encode(&b->env.cursors, HISTORY_USE, bytes_of(raw, sizeof raw), &call->out);
        buf_put_u8(&call->out, '"');
    } else {
        buf_put_str(&call->out, "null");
    }
    buf_put_u8(&call->out, '}');
    return ERR_OK;
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

/* A change cursor is the first eight digits of the node's id, the number of the change, and the first eight of the
 * revision that it told of: readable, since people resume streams by hand. The last part tells a log that was put back
 * from an old copy, and went on differently, from the one that gave the cursor; it may be left out. */
#define CHANGE_PREFIX 8
#define CHANGE_TAG    8

static bool take_tag(void *ctx, const struct change_info *c)
{
    char hex[ID_HEX_SIZE];
    id_hex(hex, &c->revision);
    (void)snprintf(ctx, CHANGE_TAG + 1, "%.*s", CHANGE_TAG, hex);
    return false;
}

/* "" where there is no such change. */
static enum err tag_of(const struct backend *b, uint64_t seq, char tag[CHANGE_TAG + 1])
{
    tag[0] = 0;
    return seq > 0 ? store_changes(b->store, seq - 1, 1, take_tag, tag) : ERR_OK;
}

static enum err check_tag(const struct backend *b, uint64_t seq, struct bytes given)
{
    char tag[CHANGE_TAG + 1];
    enum err e = tag_of(b, seq, tag);
    if (e != ERR_OK)
        return e;
    return bytes_eq(given, bytes_str(tag)) ? ERR_OK : ERR_MESH;
}

static enum err change_cursor(struct backend *b, struct bytes text, uint64_t *seq)
{
    char hex[ID_HEX_SIZE];
    uint64_t v = 0;
    size_t i = CHANGE_PREFIX + 1;
    *seq = bytes_eq(text, bytes_str("now")) ? store_last_seq(b->store) : 0;
    if (text.n == 0 || bytes_eq(text, bytes_str("now")))
        return ERR_OK;
    if (text.n < CHANGE_PREFIX + 2 || text.n > CHANGE_PREFIX + 21 + CHANGE_TAG || text.p[CHANGE_PREFIX] != '-')
        return ERR_FORM;
    key_hex(hex, &b->config.node);
    if (memcmp(text.p, hex, CHANGE_PREFIX) != 0)
        return ERR_MESH;
    for (; i < text.n && i < CHANGE_PREFIX + 20 && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        v = v * 10 + (uint64_t)(text.p[i] - '0');
    if (i == CHANGE_PREFIX + 1 || (i < text.n && text.p[i] != '-'))
        return ERR_FORM;
    *seq = v;
    return i < text.n ? check_tag(b, v, bytes_of(text.p + i + 1, text.n - i - 1)) : ERR_OK;
}

/* Appends the cursor after change number `seq`. */
static enum err put_change_cursor(const struct backend *b, uint64_t seq, struct buf *out)
{
    char hex[ID_HEX_SIZE], tag[CHANGE_TAG + 1];
    enum err e = tag_of(b, seq, tag);
    key_hex(hex, &b->config.node);
    buf_printf(out, "%.*s-%llu%s%s", CHANGE_PREFIX, hex, (unsigned long long)seq, tag[0] != 0 ? "-" : "", tag);
    return e;
}

struct changes {
    struct api_call *call;
    char node[CHANGE_PREFIX + 1];
    size_t cap;
};

static bool put_change(void *ctx, const struct change_info *c)
{
    struct changes *list = ctx;
    struct api_call *call = list->call;
    struct api_change_row *row = &call->changes[call->change_count];
    const struct kind_desc *kind = kind_by_number(c->kind);
    char id[ID_HEX_SIZE], revision[ID_HEX_SIZE];
    if (call->change_count == list->cap)
        return false;
    assert(c->seq > call->next_seq); /* each number once, rising */
    id_hex(id, &c->entry);
    id_hex(revision, &c->revision);
    row->seq = c->seq;
    (void)snprintf(row->cursor, sizeof row->cursor, "%s-%llu-%.*s", list->node, (unsigned long long)c->seq, CHANGE_TAG, revision);
    int n = snprintf(row->json, sizeof row->json,
                     "{\"cursor\":\"%s\",\"kind\":\"%s\",\"id\":\"%s\",\"revision\":\"%s\",\"verb\":\"%s\"}",
                     row->cursor, kind != NULL ? kind->singular : "unknown", id, revision, verb_word(c->verb));
    assert(n > 0 && (size_t)n < sizeof row->json);
    row->length = (size_t)n;
    call->next_seq = c->seq;
    call->change_count++;
    return true;
}

enum err backend_put_changes(struct backend *b, struct api_call *call)
{
    struct changes list = {.call = call, .cap = call->limit};
    char hex[ID_HEX_SIZE];
    uint64_t after;
    enum err e = change_cursor(b, call->cursor, &after);
    if (e != ERR_OK)
        return e;
    key_hex(hex, &b->config.node);
    memcpy(list.node, hex, CHANGE_PREFIX);
    call->next_seq = after;
    call->changes = mem_calloc(call->limit, sizeof *call->changes);
    e = store_changes(b->store, after, call->limit, put_change, &list);
    if (e != ERR_OK)
        return e;
    buf_put_str(&call->out, "{\"changes\":[");
    for (size_t i = 0; i < call->change_count; i++) {
        if (i > 0)
            buf_put_u8(&call->out, ',');
        buf_put(&call->out, call->changes[i].json, call->changes[i].length);
    }
    e = put_change_cursor(b, call->next_seq, &call->cursor_out);
    buf_put_str(&call->out, "],\"next_cursor\":\"");
    buf_put_bytes(&call->out, buf_view(&call->cursor_out));
    buf_put_str(&call->out, "\"}");
    return e;
}
