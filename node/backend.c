/*
 * Answers the API's calls. Point reads are answered at once; scans go to a worker thread; writes wait for the commit.
 * Owns nothing of the node: it borrows the node, the store and the hooks of the process.
 */
#include "node/backend_mesh.h"

#include "node/answers.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct backend *backend_new(struct node *node, struct store *store, const struct backend_config *config,
                            const struct backend_hooks *hooks)
{
    struct backend *b = mem_zalloc(sizeof *b);
    b->node = node;
    assert(node != NULL && store != NULL && hooks->author_at != NULL);
    b->store = store;
    b->config = *config;
    b->hooks = *hooks;
    b->env.store = store;
    b->env.node = config->node;
    memcpy(b->env.cursors.secret, config->cursor_secret, sizeof b->env.cursors.secret);
    rng_init(&b->rng, config->seed);
    b->answers = answers_new();
    b->watch_due = true;
    return b;
}

void backend_free(struct backend *b)
{
    if (b == NULL)
        return;
    mesh_runs_free(b);
    answers_free(b->answers);
    free(b);
}

void backend_set_api(struct backend *b, struct api *api)
{
    b->api = api;
}

void backend_stop(struct backend *b)
{
    b->stopping = true;
}

void backend_fail(struct api_call *call, enum err e, const char *detail)
{
    call->err = e;
    if (detail != NULL)
        buf_put_str(&call->detail, detail);
    api_call_done(call);
}

void backend_no_author(struct buf *why, struct bytes name)
{
    buf_printf(why, "there is no author key named \"%.*s\" on this node; `souk key ls` lists them",
               (int)(name.n < 64 ? name.n : 64), name.n > 0 ? (const char *)name.p : "");
}

void backend_not_signed(struct api_call *call)
{
    if (call->token != 0)
        buf_put_str(&call->detail, "the key that this token signs as is not on this node; `souk token ls` names it, `souk key ls` "
                                   "shows those that are");
    else
        backend_no_author(&call->detail, call->as);
}

void backend_ok(struct api_call *call)
{
    call->err = ERR_OK;
    api_call_done(call);
}

/* ---- reads ------------------------------------------------------------------------------------------------------- */

static enum err put_entry(struct backend *b, struct api_call *call, const struct id *id)
{
    assert(kind_by_number(call->kind) != NULL && call->out.n == 0);
    struct entry_info info, asked = {.kind = call->kind, .id = *id};
    uint64_t moment;
    bool rest = node_at_rest(b->node, &moment);
    if (!rest || !answers_get(b->answers, moment, &asked, &info, &call->out)) {
        enum err e = query_entry(&b->env, call->kind, id, &info, &call->out);
        if (e != ERR_OK)
            return e;
        if (rest)
            answers_made(b->answers, moment, &info, buf_view(&call->out));
    }
    call->id_out = *id;
    call->revision_out = info.revision;
    call->has_revision = !info.incomplete;
    return ERR_OK;
}

static enum err put_named(struct backend *b, struct api_call *call)
{
    return put_entry(b, call, &call->id);
}

static void call_find(struct backend *b, struct api_call *call)
{
    struct id ids[NAME_MATCHES_MAX];
    struct store_named found = {.ids = ids, .max = NAME_MATCHES_MAX};
    call->err = query_name(b->store, call->kind, call->name, &found);
    for (size_t i = 0; i < found.count && i < found.max; i++)
        buf_put(&call->out, ids[i].b, ID_BYTES);
    if (call->err == ERR_OK && found.count == 0)
        call->err = ERR_NOT_FOUND;
    api_call_done(call);
}

/* A read that runs on a worker thread. */
struct deferred {
    struct backend *backend;
    struct api_call *call;
    enum err (*work)(struct backend *b, struct api_call *call);
};

static void deferred_work(void *arg)
{
    struct deferred *d = arg;
    d->call->err = d->work(d->backend, d->call);
}

static void deferred_done(void *arg)
{
    struct deferred *d = arg;
    struct api_call *call = d->call;
    free(d);
    api_call_done(call);
}

void backend_defer(struct backend *b, struct api_call *call,
                   enum err (*work)(struct backend *b, struct api_call *call))
{
    struct deferred *d = mem_alloc(sizeof *d);
    *d = (struct deferred){.backend = b, .call = call, .work = work};
    b->hooks.defer(b->hooks.ctx, deferred_work, deferred_done, d);
}

static enum err work_list(struct backend *b, struct api_call *call)
{
    return query_run(&b->env, call->query, &call->out);
}

static void call_revision(struct backend *b, struct api_call *call)
{
    char hex[ID_HEX_SIZE];
    call->err = store_revision(b->store, &call->id, &call->revision, &call->out);
    if (call->err == ERR_OK) {
        key_hex(hex, &b->config.node);
        buf_printf(&call->out, ",\"served_by\":\"%s\"}}", hex);
    }
    api_call_done(call);
}

static enum err put_bundle(struct backend *b, struct api_call *call)
{
    return store_bundle(b->store, &call->id, &call->out);
}

/* ---- writes ------------------------------------------------------------------------------------------------------ */

struct waiter *backend_waiter(struct api_call *call)
{
    struct waiter *w = mem_zalloc(sizeof *w);
    w->call = call;
    return w;
}

static enum write_guard guard_of(enum api_guard guard)
{
    switch (guard) {
    case API_GUARD_NONE:
        return GUARD_NONE;
    case API_GUARD_CREATE:
        return GUARD_CREATE;
    case API_GUARD_REVISION:
        return GUARD_REVISION;
    case API_GUARD_EXISTS:
        return GUARD_EXISTS;
    }
    return GUARD_NONE;
}

/* Who signs and which entry is meant. `name` receives the entry's name. */
static enum err address_write(struct backend *b, struct api_call *call, struct node_write *w,
                              struct buf *name)
{
    assert(w->author == NULL && name->n == 0);
    struct entry_info info;
    w->author = b->hooks.author(b->hooks.ctx, call->token, call->as);
    if (w->author == NULL) {
        backend_not_signed(call);
        return ERR_DENIED;
    }
    w->kind = call->kind;
    if (call->by_name) {
        w->owner = w->author->key;
        w->name = call->name;
        return ERR_OK;
    }
    enum err e = store_entry(b->store, &call->id, &info, name);
    if (e != ERR_OK || info.kind != call->kind)
        return e != ERR_OK ? e : ERR_NOT_FOUND;
    if (call->name.n > 0 && !bytes_eq(call->name, buf_view(name))) {
        buf_put_str(&call->detail, "an entry keeps its name: register the new name and delete this entry");
        return ERR_INVALID;
    }
    w->owner = info.owner;
    w->name = buf_view(name);
    return ERR_OK;
}

static void call_write(struct backend *b, struct api_call *call, enum write_action action)
{
    struct buf name = {0};
    struct node_write w = {.action = action,
                           .guard = guard_of(call->guard),
                           .revision = call->revision,
                           .change = call->change,
                           .writer = call->key,
                           .ctx = backend_waiter(call)};
    enum err e = address_write(b, call, &w, &name);
    if (e == ERR_OK && action == WRITE_PUT)
        e = backend_check_name(call, w.name);
    if (e == ERR_OK)
        e = node_write(b->node, &w);
    buf_close(&name);
    if (e == ERR_OK)
        return;
    free(w.ctx);
    backend_fail(call, e, NULL);
}

enum err backend_check_name(struct api_call *call, struct bytes name)
{
    if (name.n == 0 || name.n > MODEL_NAME_MAX || !utf8_valid(name)) {
        buf_printf(&call->detail, "a name is 1 to %d bytes of UTF-8, this one has %zu", MODEL_NAME_MAX,
                   name.n);
        return ERR_INVALID;
    }
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] < 0x20 || name.p[i] == 0x7f) {
            buf_put_str(&call->detail, "a name has no control characters");
            return ERR_INVALID;
        }
    return ERR_OK;
}

static void call_delta_put(struct backend *b, struct api_call *call)
{
    struct waiter *w = backend_waiter(call);
    enum err e = node_hand_in(b->node, call->body, w);
    if (e == ERR_OK)
        return;
    free(w);
    backend_fail(call, e, NULL);
}

static void put_delta_fault(struct api_call *call)
{
    struct bundle b;
    assert(call->err != ERR_OK);
    if (call->err == ERR_INVALID) {
        buf_put_str(&call->detail, "a delta about the charter or members comes with the bodies of its puts");
    } else if (call->err == ERR_VERSION && bundle_parse(call->body, &b) == ERR_OK) {
        buf_printf(&call->detail, "it is of version %llu, and this node knows version %d",
                   (unsigned long long)delta_version(b.delta), DELTA_VERSION);
        bundle_close(&b);
    } else {
        buf_put_str(&call->detail, err_text(call->err));
    }
}

static void bundle_answer(struct api_call *call, const struct node_result *r)
{
    static const char *const verdict[] = {[VERDICT_NEW] = "new",
                                          [VERDICT_KNOWN] = "known",
                                          [VERDICT_ASIDE] = "aside",
                                          [VERDICT_DEFERRED] = "deferred",
                                          [VERDICT_REFUSED] = "refused"};
    char hex[ID_HEX_SIZE];
    call->err = r->why;
    assert(r->is_bundle && r->verdict <= VERDICT_REFUSED);
    if (r->why != ERR_OK || r->verdict == VERDICT_REFUSED || r->verdict == VERDICT_DEFERRED) {
        if (call->err == ERR_OK)
            call->err = r->verdict == VERDICT_DEFERRED ? ERR_AHEAD : ERR_FORM;
        buf_put_str(&call->detail, "the delta was not taken: ");
        put_delta_fault(call);
        return;
    }
    id_hex(hex, &r->item.id);
    call->id_out = r->item.id;
    call->created = r->verdict == VERDICT_NEW;
    buf_printf(&call->out, "{\"id\":\"%s\",\"verdict\":\"%s\"}", hex, verdict[r->verdict]);
}

/* Why a key that this node signs with may not write, where the mesh is the reason. */
static void explain_denial(struct backend *b, struct api_call *call)
{
    const struct author *a = b->hooks.author(b->hooks.ctx, call->token, call->as);
    struct standing s;
    char hex[ID_HEX_SIZE];
    if (a == NULL || store_standing(b->store, &a->key, &s) != ERR_OK || s.admitted)
        return;
    key_hex(hex, &a->key);
    if (s.removed)
        buf_printf(&call->detail, "the key %s was removed from the mesh; an operator may admit it again: souk mesh admit %s", hex, hex);
    else
        buf_printf(&call->detail,
                   "the key %s is not a member of the mesh (or this node has not heard of it yet); ask an operator for souk mesh "
                   "admit %s",
                   hex, hex);
}

static void write_answer(struct backend *b, struct api_call *call, const struct node_result *r)
{
    assert(!r->is_bundle);
    call->err = r->why;
    call->id_out = r->entry;
    call->created = r->created;
    if (r->why == ERR_DENIED && call->detail.n == 0)
        explain_denial(b, call);
    if (r->why != ERR_OK || call->op == API_DELETE)
        return;
    if (call->op == API_WRITER_ADD || call->op == API_WRITER_REMOVE) {
        call->err = backend_put_writers(b, call, &r->entry);
        return;
    }
    call->err = put_entry(b, call, &r->entry);
}

void backend_drain(struct backend *b, uint64_t now_ms)
{
    struct node_result r;
    b->now_ms = now_ms;
    while (node_result_next(b->node, &r)) {
        struct waiter *w = r.ctx;
        if (w == NULL)
            continue;
        if (w->import != NULL) {
            backend_import_result(w, &r);
            continue;
        }
        if (w->mesh != NULL) {
            backend_mesh_result(w, &r);
            continue;
        }
        struct api_call *call = w->call;
        free(w);
        if (r.is_bundle)
            bundle_answer(call, &r);
        else
            write_answer(b, call, &r);
        api_call_done(call);
    }
    invite_watch(b);
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */

static enum err put_writers(struct backend *b, struct api_call *call)
{
    return backend_put_writers(b, call, &call->id);
}

static void call_now(struct backend *b, struct api_call *call,
                     enum err (*work)(struct backend *b, struct api_call *call))
{
    call->err = work(b, call);
    api_call_done(call);
}

static void call_put(struct backend *b, struct api_call *call)
{
    call_write(b, call, WRITE_PUT);
}

static void call_delete(struct backend *b, struct api_call *call)
{
    call_write(b, call, WRITE_DELETE);
}

static void call_grant(struct backend *b, struct api_call *call)
{
    if (call->guard == API_GUARD_CREATE && backend_is_writer(b, &call->id, &call->key)) {
        call_now(b, call, put_writers); /* a PUT that changes nothing */
        return;
    }
    call->guard = API_GUARD_NONE;
    call_write(b, call, WRITE_GRANT);
}

static void call_revoke(struct backend *b, struct api_call *call)
{
    call_write(b, call, WRITE_REVOKE);
}

static void call_invoke(struct backend *b, struct api_call *call)
{
    if (b->hooks.invoke != NULL) {
        b->hooks.invoke(b->hooks.ctx, call);
        return;
    }
    call->status = 404;
    call->code = "not_deployed";
    backend_fail(call, ERR_NOT_FOUND, "this node runs and routes nothing");
}

static void backend_call(void *ctx, struct api_call *call)
{
    /* One of the three: answered at once, on a worker thread, or in its own way. */
    static const struct {
        enum err (*now)(struct backend *b, struct api_call *call);
        enum err (*later)(struct backend *b, struct api_call *call);
        void (*run)(struct backend *b, struct api_call *call);
    } ops[] = {
        [API_GET] = {.now = put_named},
        [API_FIND] = {.run = call_find},
        [API_LIST] = {.later = work_list},
        [API_WRITE] = {.run = call_put},
        [API_DELETE] = {.run = call_delete},
        [API_WRITER_ADD] = {.run = call_grant},
        [API_WRITER_REMOVE] = {.run = call_revoke},
        [API_WRITERS] = {.now = put_writers},
        [API_HISTORY] = {.later = backend_work_history},
        [API_REVISION] = {.run = call_revision},
        [API_CHANGES] = {.now = backend_put_changes},
        [API_DELTA_PUT] = {.run = call_delta_put},
        [API_DELTA_GET] = {.now = put_bundle},
        [API_INVOKE] = {.run = call_invoke},
        [API_RECEIPTS] = {.now = backend_put_receipts},
        [API_RECEIPT] = {.now = backend_put_receipt},
        [API_STATUS] = {.run = backend_status},
        [API_METRICS] = {.run = backend_metrics},
        [API_READY] = {.run = backend_ready},
        [API_DASHBOARD] = {.run = backend_dashboard},
        [API_ADMIN] = {.run = backend_admin},
    };
    struct backend *b = ctx;
    assert(call->op < sizeof ops / sizeof *ops);
    if (ops[call->op].now != NULL)
        call_now(b, call, ops[call->op].now);
    else if (ops[call->op].later != NULL)
        backend_defer(b, call, ops[call->op].later);
    else
        ops[call->op].run(b, call);
}

static unsigned backend_token(void *ctx, struct bytes bearer, uint64_t *token, unsigned *retry_s)
{
    struct backend *b = ctx;
    return b->hooks.token(b->hooks.ctx, bearer, token, retry_s);
}

/* Results of abandoned calls are dropped by the engine; only what runs long is worth stopping. */
static void backend_cancel(void *ctx, struct api_call *call)
{
    struct backend *b = ctx;
    if ((call->op == API_INVOKE || call->op == API_ADMIN) && b->hooks.cancel != NULL)
        b->hooks.cancel(b->hooks.ctx, call);
}

struct api_backend backend_api(struct backend *b)
{
    return (struct api_backend){
        .ctx = b, .call = backend_call, .token = backend_token, .cancel = backend_cancel};
}
