/*
 * Succession of an author key: every entry of the old key gets a copy of the same name under the new one, and says in its
 * owner's signed word where it went (see MODEL 4). Done in portions that may be repeated: what has moved already is passed over.
 */
#include "node/backend_retire.h"

#include "api/json.h"
#include "crdt/alloc.h"
#include "crdt/moved.h"
#include "node/jsonscan.h"
#include "node/queue.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keep(struct retire *r, const struct node_write *w)
{
    assert(r->writes_end != NULL && *r->writes_end == NULL);
    struct queued_write *copy = queued_write_new(w);
    *r->writes_end = copy;
    r->writes_end = &copy->next;
}

static struct node_write write_of(struct retire *r, struct author *author, uint64_t kind, struct bytes name)
{
    return (struct node_write){
        .action = WRITE_PUT, .kind = kind, .owner = author->key, .name = name, .author = author, .ctx = &r->run->waiter};
}

static bool is_there(const struct store *s, uint64_t kind, const struct id *id)
{
    struct entry_info info;
    struct buf ignored = {0};
    bool there = store_get(s, kind, id, &info, &ignored) == ERR_OK;
    buf_close(&ignored);
    return there;
}

/* Without a succession of its own. */
bool retire_copy(struct retire *r, const struct kind_desc *kind, const struct id *successor, struct bytes name, struct bytes record)
{
    struct json_fields fields = {0};
    struct faults faults = {.count = 0};
    struct node_write w = write_of(r, r->to, kind->kind, name);
    size_t n = 0;
    if (is_there(r->backend->store, kind->kind, successor))
        return true;
    bool good = json_to_fields(kind, record, JSON_REPLACE, &fields, &faults) == ERR_OK;
    for (size_t i = 0; good && i < fields.count; i++)
        if (!bytes_eq(fields.fields[i].name, bytes_str(MOVED_FIELD)))
            fields.fields[n++] = fields.fields[i];
    w.change = (struct change){.mode = CHANGE_REPLACE, .field_count = n, .fields = fields.fields};
    if (good)
        keep(r, &w);
    json_fields_close(&fields);
    return good;
}

void retire_failed(struct retire *r, struct bytes name)
{
    buf_put_str(&r->failed, r->failed.n > 0 ? "," : "");
    json_put_string(&r->failed, name);
}

static void state_move(struct retire *r, const struct moved *m, uint64_t kind, struct bytes name)
{
    assert(r->from != NULL && !key_eq(&r->from->key, &r->to->key));
    struct buf value = {0};
    struct node_write w = write_of(r, r->from, kind, name);
    moved_put(&value, m, r->from->secret);
    struct field field = {.name = bytes_str(MOVED_FIELD), .value = buf_view(&value)};
    w.change = (struct change){.mode = CHANGE_PATCH, .field_count = 1, .fields = &field};
    keep(r, &w);
    buf_close(&value);
}

static void move_entry(struct retire *r, const struct kind_desc *kind, const struct id *id, struct bytes name)
{
    struct entry_info info;
    struct buf json = {0};
    struct moved m = {.mesh = r->backend->config.mesh, .entry = *id};
    char hex[ID_HEX_SIZE];
    entry_id(&m.successor, kind->kind, &r->to->key, name);
    id_hex(hex, &m.successor);
    bool ours = store_get(r->backend->store, kind->kind, id, &info, &json) == ERR_OK && key_eq(&info.owner, &r->from->key);
    assert(r->moved <= RETIRE_PORTION);
    buf_put_str(&json, "}}");
    struct bytes whole = buf_view(&json), meta = jsonscan_member(whole, "meta");
    if (!ours || jsonscan_is(jsonscan_member(meta, MOVED_FIELD), bytes_str(hex))) {
        buf_close(&json);
        return;
    }
    if (r->moved == RETIRE_PORTION) {
        r->left++;
    } else if (retire_copy(r, kind, &m.successor, name, jsonscan_member(whole, kind->singular))) {
        state_move(r, &m, kind->kind, name);
        r->moved++;
    } else {
        retire_failed(r, name);
    }
    buf_close(&json);
}

static void retire_work(void *arg)
{
    struct retire *r = arg;
    const struct kind_desc *kind;
    for (size_t i = 0; (kind = kind_at(i)) != NULL && r->err == ERR_OK; i++) {
        if (!kind->client_writes)
            continue;
        struct store_scan *scan = store_scan_open(r->backend->store, kind->kind, (struct bytes){0}, NULL);
        struct bytes name;
        struct id id;
        while (store_scan_next(scan, &id, &name))
            move_entry(r, kind, &id, name);
        r->err = store_scan_close(scan);
    }
}

static void hand_in(struct retire *r)
{
    for (size_t at = 0; at < r->bundles.n && r->run->err == ERR_OK;) {
        size_t n = (size_t)get_be(r->bundles.p + at, 8);
        assert(n > 0 && at + 8 + n <= r->bundles.n);
        r->run->err = node_hand_in(r->backend->node, bytes_of(r->bundles.p + at + 8, n), &r->run->waiter);
        r->run->pending += r->run->err == ERR_OK;
        at += 8 + n;
    }
}

void retire_done(void *arg)
{
    struct retire *r = arg;
    struct mesh_run *run = r->run;
    assert(run->pending > 0);
    run->err = r->err;
    while (r->writes != NULL) {
        struct queued_write *w = r->writes;
        r->writes = w->next;
        w->next = NULL;
        enum err e = run->err == ERR_OK ? node_write_queued(r->backend->node, w) : run->err;
        if (e == ERR_OK) {
            run->pending++;
        } else {
            run->err = e;
            free(w);
        }
    }
    hand_in(r);
    buf_printf(&r->call->out, "{\"moved\":%zu,\"left\":%zu,\"failed\":[", r->moved, r->left);
    buf_put_bytes(&r->call->out, buf_view(&r->failed));
    buf_put_str(&r->call->out, "]}");
    buf_close(&r->failed);
    buf_close(&r->bundles);
    free(r);
    mesh_run_end(run);
}

struct author *retire_key(struct backend *b, struct api_call *call, const char *name)
{
    struct author *a = name != NULL && name[0] != '\0' ? b->hooks.author(b->hooks.ctx, 0, bytes_str(name)) : NULL;
    struct standing s;
    if (a == NULL) {
        backend_no_author(&call->detail, bytes_str(name != NULL ? name : ""));
        backend_fail(call, ERR_NOT_FOUND, NULL);
        return NULL;
    }
    if (store_standing(b->store, &a->key, &s) == ERR_OK && s.admitted)
        return a;
    char hex[ID_HEX_SIZE];
    key_hex(hex, &a->key);
    buf_printf(&call->detail, "the key \"%.64s\" is not a member of the mesh; ask an operator for souk mesh admit %s", name, hex);
    backend_fail(call, ERR_DENIED, NULL);
    return NULL;
}

struct retire *retire_begin(struct backend *b, struct api_call *call)
{
    struct retire *r = mem_zalloc(sizeof *r);
    *r = (struct retire){.backend = b, .call = call, .run = mesh_run_begin(b, call)};
    r->writes_end = &r->writes;
    return r;
}

void retire_run(struct backend *b, struct api_call *call)
{
    json_t *root = json_loadb((const char *)call->body.p, call->body.n, 0, NULL);
    struct author *from = retire_key(b, call, json_string_value(json_object_get(root, "old")));
    struct author *to = from != NULL ? retire_key(b, call, json_string_value(json_object_get(root, "new"))) : NULL;
    json_decref(root);
    if (to == NULL)
        return;
    if (key_eq(&from->key, &to->key)) {
        backend_fail(call, ERR_INVALID, "a key cannot succeed itself; souk key new makes another one");
        return;
    }
    struct retire *r = retire_begin(b, call);
    r->from = from;
    r->to = to;
    b->hooks.defer(b->hooks.ctx, retire_work, retire_done, r);
}
