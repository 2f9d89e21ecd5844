/*
 * The will of an author key: for each of its entries a delta, signed ahead of time, that says where the entry goes. It lies in a
 * file until the key is lost; then its successor, on any node, copies the entries and hands the deltas in. What is not shown
 * any more is not brought back.
 */
#include "node/backend_retire.h"

#include "crdt/alloc.h"
#include "crdt/hlc.h"
#include "crdt/moved.h"
#include "node/jsonscan.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define WILL_ENTRIES_MAX 20000 /* entries of one key that a will covers */
#define WILL_BUNDLE_MAX  2048  /* bytes of one of its bundles           */

/* ---- making one -------------------------------------------------------------------------------------------------- */

struct will {
    struct backend *backend;
    struct api_call *call;
    const struct author *from;
    struct key to;
    uint64_t time;
    struct rng rng;
    size_t count;
    enum err err;
};

/* The put of one field, which names no parents: it stands beside whatever the entry will say then. */
static void put_will_bundle(struct will *w, uint64_t kind, struct bytes name, const struct moved *m, struct buf *out)
{
    assert(name.n > 0 && out->n == 0 && !id_eq(&m->entry, &m->successor));
    struct buf value = {0}, body_bytes = {0}, encoded = {0};
    uint8_t sig[SIG_BYTES];
    moved_put(&value, m, w->from->secret);
    struct field field = {.name = bytes_str(MOVED_FIELD), .changed_at = w->time, .value = buf_view(&value)};
    struct body body = {.field_count = 1, .fields = &field};
    rng_bytes(&w->rng, body.salt, sizeof body.salt);
    body_encode(&body, &body_bytes);
    struct op op = {.kind = kind, .owner = w->from->key, .name = name, .verb = VERB_PUT, .body_len = (uint32_t)body_bytes.n};
    body_hash(&op.body_hash, buf_view(&body_bytes));
    struct delta d = {.mesh = m->mesh, .author = w->from->key, .time = w->time, .op_count = 1, .ops = &op};
    delta_encode(&d, &encoded);
    delta_id(&d.id, buf_view(&encoded));
    delta_sign(sig, &d.id, w->from->secret);
    struct bundle_body with = {.index = 0, .body = buf_view(&body_bytes)};
    struct bundle bundle = {.delta = buf_view(&encoded), .body_count = 1, .bodies = &with};
    memcpy(bundle.sig, sig, sizeof sig);
    bundle_encode(&bundle, out);
    assert(out->n <= WILL_BUNDLE_MAX);
    buf_close(&value);
    buf_close(&body_bytes);
    buf_close(&encoded);
}

static void put_base64(struct buf *out, struct bytes raw)
{
    size_t size = sodium_base64_ENCODED_LEN(raw.n, sodium_base64_VARIANT_ORIGINAL);
    (void)sodium_bin2base64((char *)buf_grow(out, size), size, raw.p, raw.n, sodium_base64_VARIANT_ORIGINAL);
    out->n += size - 1;
    assert(size > 0 && size % 4 == 1);
}

static void will_entry(struct will *w, uint64_t kind, const struct id *id, struct bytes name)
{
    assert(w->count <= WILL_ENTRIES_MAX && !key_eq(&w->to, &w->from->key));
    struct entry_info info;
    struct buf bundle = {0};
    struct moved m = {.mesh = w->backend->config.mesh, .entry = *id};
    if (store_entry(w->backend->store, id, &info, NULL) != ERR_OK || !key_eq(&info.owner, &w->from->key))
        return;
    if (w->count == WILL_ENTRIES_MAX) {
        w->err = ERR_LIMIT;
        return;
    }
    entry_id(&m.successor, kind, &w->to, name);
    put_will_bundle(w, kind, name, &m, &bundle);
    buf_put_str(&w->call->out, w->count++ > 0 ? ",\"" : "\"");
    put_base64(&w->call->out, buf_view(&bundle));
    buf_put_u8(&w->call->out, '"');
    buf_close(&bundle);
}

static void will_work(void *arg)
{
    struct will *w = arg;
    const struct kind_desc *kind;
    buf_put_str(&w->call->out, "{\"will\":[");
    for (size_t i = 0; (kind = kind_at(i)) != NULL; i++) {
        if (!kind->client_writes)
            continue;
        struct store_scan *scan = store_scan_open(w->backend->store, kind->kind, (struct bytes){0}, NULL);
        struct bytes name;
        struct id id;
        while (w->err == ERR_OK && store_scan_next(scan, &id, &name))
            will_entry(w, kind->kind, &id, name);
        enum err e = store_scan_close(scan);
        w->err = w->err == ERR_OK ? e : w->err;
    }
    buf_put_str(&w->call->out, "]}");
}

static void will_done(void *arg)
{
    struct will w = *(struct will *)arg;
    assert(w.count <= WILL_ENTRIES_MAX);
    free(arg);
    if (w.err == ERR_LIMIT)
        buf_printf(&w.call->detail, "the key owns more than %d entries, which is the most that a will covers", WILL_ENTRIES_MAX);
    w.call->err = w.err;
    api_call_done(w.call);
}

void will_make(struct backend *b, struct api_call *call)
{
    struct node_stats stats;
    struct key to = {{0}};
    uint8_t seed[32];
    json_t *root = json_loadb((const char *)call->body.p, call->body.n, 0, NULL);
    const char *name = json_string_value(json_object_get(root, "new"));
    const struct author *from = retire_key(b, call, json_string_value(json_object_get(root, "old")));
    const struct author *heir = from != NULL && name != NULL ? b->hooks.author(b->hooks.ctx, 0, bytes_str(name)) : NULL;
    bool named = heir != NULL || (name != NULL && key_parse(&to, bytes_str(name)));
    json_decref(root);
    if (from == NULL)
        return;
    if (heir != NULL)
        to = heir->key;
    if (!named || key_eq(&to, &from->key)) {
        backend_fail(call, ERR_INVALID, "the successor is another author key of this node, or the 64 hex digits of one elsewhere");
        return;
    }
    node_stats(b->node, &stats);
    rng_bytes(&b->rng, seed, sizeof seed);
    struct will *w = mem_alloc(sizeof *w);
    *w = (struct will){.backend = b, .call = call, .from = from, .to = to, .time = hlc_from_ms(stats.clock_ms)};
    rng_init(&w->rng, seed);
    b->hooks.defer(b->hooks.ctx, will_work, will_done, w);
}

/* ---- following one ----------------------------------------------------------------------------------------------- */

/* What a bundle of a will says: one put by the owner that names the successor of one entry. */
static bool read_will(const struct retire *r, const struct delta *d, const struct bundle *bundle, struct moved *m)
{
    const struct op *op = d->ops;
    assert(d->op_count >= 1 && r->to != NULL);
    struct body body;
    struct id successor;
    if (d->op_count != 1 || op->verb != VERB_PUT || !key_eq(&op->owner, &d->author) || bundle->body_count != 1 || op->parent_count > 0)
        return false;
    entry_id(&m->entry, op->kind, &op->owner, op->name);
    entry_id(&successor, op->kind, &r->to->key, op->name);
    if (body_parse(bundle->bodies[0].body, d->time, &body) != ERR_OK)
        return false;
    bool good = body.field_count == 1 && bytes_eq(body.fields[0].name, bytes_str(MOVED_FIELD)) &&
                moved_holds(body.fields[0].value, &op->owner, m) && id_eq(&m->successor, &successor);
    body_close(&body);
    return good;
}

static void follow_delta(struct retire *r, struct bytes raw, const struct delta *d, const struct bundle *bundle)
{
    const struct kind_desc *kind = kind_by_number(d->ops[0].kind);
    struct moved m = {.mesh = r->backend->config.mesh};
    struct entry_info info;
    struct buf json = {0};
    if (kind == NULL || !kind->client_writes || !id_eq(&d->mesh, &m.mesh) || !read_will(r, d, bundle, &m)) {
        r->err = ERR_INVALID;
        return;
    }
    if (store_get(r->backend->store, kind->kind, &m.entry, &info, &json) == ERR_OK) { /* what was deleted stays so */
        buf_put_str(&json, "}}");
        if (retire_copy(r, kind, &m.successor, d->ops[0].name, jsonscan_member(buf_view(&json), kind->singular))) {
            buf_put_be(&r->bundles, raw.n, 8);
            buf_put_bytes(&r->bundles, raw);
            r->moved++;
        } else {
            retire_failed(r, d->ops[0].name);
        }
    }
    buf_close(&json);
}

static void follow_one(struct retire *r, const char *text)
{
    assert(r->err == ERR_OK && r->moved < RETIRE_PORTION);
    uint8_t raw[WILL_BUNDLE_MAX];
    size_t n = 0;
    struct bundle bundle = {0};
    struct delta d = {0};
    if (text == NULL || sodium_base642bin(raw, sizeof raw, text, strlen(text), NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        bundle_parse(bytes_of(raw, n), &bundle) != ERR_OK || delta_parse(bundle.delta, &d) != ERR_OK)
        r->err = ERR_INVALID;
    else
        follow_delta(r, bytes_of(raw, n), &d, &bundle);
    delta_close(&d);
    bundle_close(&bundle);
}

struct following {
    struct retire *retire;
    json_t *root;
};

static void follow_work(void *arg)
{
    struct following *f = arg;
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(f->root, "bundles"), i, row)
    {
        if (f->retire->err == ERR_OK && i < RETIRE_PORTION)
            follow_one(f->retire, json_string_value(row));
    }
}

static void follow_done(void *arg)
{
    struct following f = *(struct following *)arg;
    free(arg);
    json_decref(f.root);
    if (f.retire->err == ERR_INVALID)
        buf_put_str(&f.retire->call->detail, "this is no will in favour of that key, for this mesh; souk key retire OLD NEW --will FILE "
                                             "makes one, and --as names the key it is in favour of");
    retire_done(f.retire);
}

void will_follow(struct backend *b, struct api_call *call)
{
    json_t *root = json_loadb((const char *)call->body.p, call->body.n, 0, NULL);
    struct author *to = retire_key(b, call, json_string_value(json_object_get(root, "as")));
    if (to == NULL) {
        json_decref(root);
        return;
    }
    struct following *f = mem_alloc(sizeof *f);
    *f = (struct following){.retire = retire_begin(b, call), .root = root};
    f->retire->to = to;
    b->hooks.defer(b->hooks.ctx, follow_work, follow_done, f);
}
