/*
 * Deployments of the process. Files are opened and hashed on a worker thread, pools are made on the loop. What the sandbox
 * is missing on this machine refuses a deployment unless it is allowed to be weak.
 */
#include "node/uv_deploy.h"

#include "crdt/alloc.h"
#include "node/query.h"
#include "node/uv_program.h"
#include "node/uv_server.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME "deployments"

/* Work that waits for the self-test of the sandbox. */
struct opening {
    struct opening *next;
    struct uv_deploys *all;
    struct uv_deploy *deploy; /* not in the list yet where `call` is set */
    struct api_call *call;    /* deploy-add; NULL: from D/deployments */
    json_t *saved;            /* the files as they were written down */
    struct program program;
    enum err err;
    struct buf why;
};

struct uv_deploys {
    struct server *server;
    struct uv_sandbox *sandbox; /* NULL: it could not be started */
    struct buf no_sandbox;
    struct uv_deploy *list;
    struct opening *waiting;
    bool closed;
};

static void opened(struct opening *o);

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void on_ready(void *ctx, const struct sandbox_layers *layers)
{
    struct uv_deploys *all = ctx;
    struct opening *list = all->waiting;
    (void)layers;
    all->waiting = NULL;
    while (list != NULL) {
        struct opening *o = list;
        list = o->next;
        opened(o);
    }
    server_drain(all->server);
}

struct uv_deploys *uv_deploys_new(struct server *s)
{
    struct uv_deploys *all = mem_zalloc(sizeof *all);
    all->server = s;
    struct uv_sandbox_options options = {.ctx = all, .ready = on_ready};
    if (uv_sandbox_new(&s->loop, &options, &all->no_sandbox, &all->sandbox) != ERR_OK)
        uv_log(&s->log, LOG_NODE, LOG_ERROR, "nothing can be deployed: %s", buf_cstr(&all->no_sandbox));
    return all;
}

static void deploy_free(struct uv_deploy *d)
{
    if (d->pool != NULL)
        uv_pool_close(d->pool);
    for (size_t i = 0; i < d->file_count; i++)
        sandbox_file_close(&d->files[i]);
    deployment_close(&d->d);
    buf_close(&d->why);
    free(d);
}

static void opening_free(struct opening *o)
{
    program_close(&o->program);
    json_decref(o->saved);
    buf_close(&o->why);
    free(o);
}

void uv_deploys_close(struct uv_deploys *all)
{
    if (all == NULL || all->closed)
        return;
    all->closed = true;
    for (struct uv_deploy *d = all->list; d != NULL; d = d->next)
        d->pool = NULL; /* freed with the sandbox */
    if (all->sandbox != NULL)
        uv_sandbox_close(all->sandbox, NULL, NULL);
}

void uv_deploys_free(struct uv_deploys *all)
{
    if (all == NULL)
        return;
    while (all->list != NULL) {
        struct uv_deploy *next = all->list->next;
        deploy_free(all->list);
        all->list = next;
    }
    while (all->waiting != NULL) {
        struct opening *next = all->waiting->next;
        if (all->waiting->call != NULL)
            deploy_free(all->waiting->deploy);
        opening_free(all->waiting);
        all->waiting = next;
    }
    buf_close(&all->no_sandbox);
    free(all);
}

/* ---- looking up -------------------------------------------------------------------------------------------------- */

static struct uv_deploy **place_of(struct uv_deploys *all, uint64_t kind, const struct id *entry)
{
    struct uv_deploy **at = &all->list;
    while (*at != NULL && !((*at)->d.kind == kind && id_eq(&(*at)->d.entry, entry)))
        at = &(*at)->next;
    return at;
}

struct uv_deploy *uv_deploys_find(struct uv_deploys *all, uint64_t kind, const struct id *entry)
{
    return *place_of(all, kind, entry);
}

const struct uv_deploy *uv_deploys_first(const struct uv_deploys *all)
{
    return all->list;
}

size_t uv_deploys_shared(const struct uv_deploys *all, struct id *entries, uint64_t *kinds, size_t max)
{
    size_t n = 0;
    for (const struct uv_deploy *d = all != NULL ? all->list : NULL; d != NULL && n < max; d = d->next)
        if (d->d.share && d->state == DEPLOY_READY) {
            entries[n] = d->d.entry;
            kinds[n++] = d->d.kind;
        }
    return n;
}

enum err uv_deploy_check(struct uv_deploy *d, struct buf *why)
{
    if (d->state == DEPLOY_OPENING) {
        buf_put_str(why, "the deployment is still being opened");
        return ERR_BUSY;
    }
    if (d->state == DEPLOY_BROKEN) {
        buf_put_bytes(why, buf_view(&d->why));
        return ERR_CONFLICT;
    }
    for (size_t i = 0; i < d->file_count; i++)
        if (sandbox_file_check(&d->files[i], why) != ERR_OK)
            return ERR_CONFLICT;
    return ERR_OK;
}

uint32_t uv_deploys_running(const struct uv_deploys *all)
{
    uint32_t running = 0;
    for (const struct uv_deploy *d = all->list; d != NULL; d = d->next)
        if (d->pool != NULL) {
            struct uv_pool_stats stats;
            uv_pool_stats(d->pool, &stats);
            running += stats.running + stats.waiting;
        }
    return running;
}

/* ---- as JSON ------------------------------------------------------------------------------------------------------ */

static json_t *files_json(const struct uv_deploy *d)
{
    json_t *files = json_array();
    for (size_t i = 0; i < d->file_count; i++) {
        char hex[ID_HEX_SIZE];
        hex_encode(hex, d->files[i].hash, sizeof d->files[i].hash);
        json_array_append_new(files, json_pack("{s:s s:s}", "path", d->files[i].path, "blake2b", hex));
    }
    return files;
}

static json_t *row_json(const struct uv_deploy *d)
{
    static const char *const states[] = {[DEPLOY_OPENING] = "opening", [DEPLOY_READY] = "ready", [DEPLOY_BROKEN] = "broken"};
    char hex[ID_HEX_SIZE];
    struct uv_pool_stats stats = {0};
    const struct kind_desc *kind = kind_by_number(d->d.kind);
    id_hex(hex, &d->d.entry);
    if (d->pool != NULL)
        uv_pool_stats(d->pool, &stats);
    json_t *row = json_pack("{s:s s:s s:s s:s s:O s:o}", "entry", hex, "kind", kind->singular, "name", d->d.name, "state",
                            states[d->state], "manifest", d->d.manifest, "files", files_json(d));
    json_object_set_new(row, "running", json_integer(stats.running));
    json_object_set_new(row, "waiting", json_integer(stats.waiting));
    json_object_set_new(row, "workers", json_integer(stats.workers));
    json_object_set_new(row, "started", json_integer((json_int_t)stats.started));
    if (d->why.n > 0)
        json_object_set_new(row, "detail", json_stringn((const char *)d->why.p, d->why.n));
    return row;
}

static json_t *layers_json(const struct sandbox_layers *layers)
{
    json_t *out = json_array();
    for (size_t i = 0; layers != NULL && i < SANDBOX_LAYER_COUNT; i++) {
        enum sandbox_layer layer = (enum sandbox_layer)i;
        json_t *row = json_pack("{s:s s:b s:s}", "layer", sandbox_layer_name(layer), "active", (int)layers->active[i],
                                "meaning", sandbox_layer_meaning(layer));
        if (!layers->active[i])
            json_object_set_new(row, "missing", json_string(layers->missing[i]));
        json_array_append_new(out, row);
    }
    return out;
}

/* ---- the file ------------------------------------------------------------------------------------------------------ */

static enum err save(struct uv_deploys *all, struct buf *why)
{
    json_t *list = json_array();
    for (const struct uv_deploy *d = all->list; d != NULL; d = d->next) {
        char hex[ID_HEX_SIZE];
        id_hex(hex, &d->d.entry);
        json_array_append_new(list, json_pack("{s:s s:s s:s s:O s:o}", "entry", hex, "kind",
                                              kind_by_number(d->d.kind)->singular, "name", d->d.name, "manifest",
                                              d->d.manifest, "files", files_json(d)));
    }
    json_t *root = json_pack("{s:i s:o}", "version", 1, "deployments", list);
    char *text = json_dumps(root, JSON_INDENT(1));
    enum err e = dir_write(all->server->given->dir, FILE_NAME, bytes_str(text), why);
    free(text);
    json_decref(root);
    return e;
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static void open_work(void *arg)
{
    struct opening *o = arg;
    o->err = program_open(&o->program, &o->deploy->d, o->all->server->given->dir, &o->why);
}

/* Are the files those that were written down? */
static enum err compare(const struct program *p, const json_t *saved, struct buf *why)
{
    for (size_t i = 0; i < json_array_size(saved); i++) {
        const char *was = json_string_value(json_object_get(json_array_get(saved, i), "blake2b"));
        char hex[ID_HEX_SIZE] = "";
        if (i < p->file_count)
            hex_encode(hex, p->files[i].hash, sizeof p->files[i].hash);
        if (i < p->file_count && was != NULL && strcmp(was, hex) == 0)
            continue;
        buf_printf(why, "%s has changed since it was deployed: its BLAKE2b-256 was %s and is %s; deploy it again",
                   i < p->file_count ? p->files[i].path : "a file", was != NULL ? was : "?", hex);
        return ERR_CONFLICT;
    }
    return ERR_OK;
}

static enum err make_pool(struct opening *o)
{
    struct uv_deploys *all = o->all;
    struct uv_deploy *d = o->deploy;
    struct sandbox_spec spec;
    program_spec(&o->program, &d->d, &spec);
    enum err e = sandbox_spec_check(&spec, uv_sandbox_layers(all->sandbox), &o->why);
    if (e != ERR_OK)
        return e;
    struct uv_pool_options options = {.spec = &spec,
                                      .parallel = d->d.parallel,
                                      .workers = d->d.workers,
                                      .frames = d->d.frames == DEPLOYMENT_FRAMES ? SANDBOX_FRAMES : SANDBOX_LINES,
                                      .queue_max = d->d.queue,
                                      .idle_ms = d->d.idle_ms};
    e = uv_pool_new(all->sandbox, &options, &o->why, &d->pool);
    if (e != ERR_OK)
        return e;
    d->file_count = o->program.file_count;
    memcpy(d->files, o->program.files, sizeof d->files);
    o->program.file_count = 0; /* theirs now */
    d->state = DEPLOY_READY;
    return ERR_OK;
}

static void replace(struct uv_deploys *all, struct uv_deploy *d)
{
    struct uv_deploy **at = place_of(all, d->d.kind, &d->d.entry), *old = *at;
    d->next = old != NULL ? old->next : NULL;
    *at = d;
    if (old != NULL)
        deploy_free(old);
}

static void added(struct opening *o)
{
    struct uv_deploys *all = o->all;
    struct api_call *call = o->call;
    if (o->err != ERR_OK) {
        deploy_free(o->deploy);
        server_refuse(call, o->err, buf_cstr(&o->why));
        return;
    }
    replace(all, o->deploy);
    struct buf why = {0};
    if (save(all, &why) != ERR_OK)
        uv_log(&all->server->log, LOG_NODE, LOG_ERROR, "the deployment will not survive a restart: %s", buf_cstr(&why));
    buf_close(&why);
    server_describe(all->server);
    json_t *row = row_json(o->deploy);
    json_object_set_new(row, "layers", layers_json(uv_sandbox_layers(all->sandbox)));
    server_answer(call, row);
}

/* The files are open, or not: the pool, or the reason why there is none. */
static void opened(struct opening *o)
{
    struct uv_deploys *all = o->all;
    if (all->closed) {
        if (o->call != NULL)
            deploy_free(o->deploy); /* the call is forgotten with the API */
        opening_free(o);
        return;
    }
    if (o->err == ERR_OK && uv_sandbox_layers(all->sandbox) == NULL) {
        o->next = all->waiting;
        all->waiting = o;
        return;
    }
    if (o->err == ERR_OK)
        o->err = compare(&o->program, o->saved, &o->why);
    if (o->err == ERR_OK)
        o->err = make_pool(o);
    if (o->call != NULL) {
        added(o);
    } else if (o->err != ERR_OK) {
        o->deploy->state = DEPLOY_BROKEN;
        buf_put_bytes(&o->deploy->why, buf_view(&o->why));
        uv_log(&all->server->log, LOG_NODE, LOG_ERROR, "the deployment for %s cannot run: %s", o->deploy->d.name,
               buf_cstr(&o->why));
    } else {
        server_describe(all->server);
    }
    opening_free(o);
}

static void open_done(void *arg)
{
    opened(arg);
}

static struct opening *opening_new(struct uv_deploys *all, struct uv_deploy *d)
{
    struct opening *o = mem_zalloc(sizeof *o);
    o->all = all;
    o->deploy = d;
    return o;
}

/* ---- D/deployments --------------------------------------------------------------------------------------------------- */

static enum err load_row(struct uv_deploys *all, const json_t *row, struct buf *why)
{
    struct uv_deploy *d = mem_zalloc(sizeof *d);
    const char *entry = json_string_value(json_object_get(row, "entry"));
    const char *word = json_string_value(json_object_get(row, "kind")), *name = json_string_value(json_object_get(row, "name"));
    const struct kind_desc *kind = word != NULL ? kind_by_word(word) : NULL;
    enum err e = ERR_FORM;
    if (entry == NULL || kind == NULL || name == NULL || !id_parse(&d->d.entry, bytes_str(entry)))
        buf_put_str(why, "a row lacks entry, kind or name");
    else
        e = deployment_parse(&d->d, json_object_get(row, "manifest"), why);
    if (e != ERR_OK) {
        deploy_free(d);
        return ERR_FORM;
    }
    d->d.kind = kind->kind;
    (void)snprintf(d->d.name, sizeof d->d.name, "%s", name);
    replace(all, d);
    struct opening *o = opening_new(all, d);
    o->saved = json_incref(json_object_get(row, "files"));
    server_defer(all->server, open_work, open_done, o);
    return ERR_OK;
}

enum err uv_deploys_load(struct uv_deploys *all, struct buf *why)
{
    struct buf text = {0}, ignored = {0};
    const char *dir = all->server->given->dir;
    enum err e = dir_read(dir, FILE_NAME, DEPLOYMENT_FILE_MAX, &text, &ignored);
    json_t *root = e == ERR_OK ? json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *list = json_object_get(root, "deployments");
    if (e == ERR_OK && (!json_is_array(list) || json_array_size(list) > DEPLOYMENTS_MAX)) {
        buf_printf(why, "%s/" FILE_NAME " is not a list of at most %d deployments", dir, DEPLOYMENTS_MAX);
        e = ERR_FORM;
    } else if (e != ERR_OK && e != ERR_NOT_FOUND) {
        buf_put_bytes(why, buf_view(&ignored));
    }
    for (size_t i = 0; e == ERR_OK && i < json_array_size(list) && all->sandbox != NULL; i++) {
        e = load_row(all, json_array_get(list, i), why);
        if (e != ERR_OK)
            buf_printf(why, " (%s/" FILE_NAME ", row %zu)", dir, i);
    }
    json_decref(root);
    buf_close(&text);
    buf_close(&ignored);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* ---- verbs ------------------------------------------------------------------------------------------------------------- */

void uv_deploys_admin_ls(struct server *s, struct api_call *call)
{
    json_t *rows = json_array();
    for (const struct uv_deploy *d = s->deploys->list; d != NULL; d = d->next)
        json_array_append_new(rows, row_json(d));
    server_answer(call, rows);
}

/* The entry that ID or NAME means, a model before an agent. *why says what else. */
static bool find_entry(struct server *s, const char *text, struct uv_deploy *d, struct buf *why)
{
    static const uint64_t kinds[] = {KIND_MODEL, KIND_AGENT};
    struct entry_info info;
    struct buf json = {0}, name = {0};
    size_t n = 0;
    enum err e = ERR_OK;
    for (size_t i = 0; i < 2 && n == 0 && e == ERR_OK; i++) {
        struct id ids[NAME_MATCHES_MAX];
        struct store_named found = {.ids = ids, .max = NAME_MATCHES_MAX};
        d->d.kind = kinds[i];
        e = query_name(s->store, kinds[i], bytes_str(text), &found);
        n = found.count;
        if (id_parse(&d->d.entry, bytes_str(text)))
            n = store_get(s->store, kinds[i], &d->d.entry, &info, &json) == ERR_OK;
        else if (n > 0)
            d->d.entry = ids[0];
    }
    if (e != ERR_OK)
        buf_printf(why, "the store cannot be read: %s; `souk verify` says more", err_text(e));
    else if (n == 1 && store_entry(s->store, &d->d.entry, &info, &name) == ERR_OK)
        (void)snprintf(d->d.name, sizeof d->d.name, "%s", buf_cstr(&name));
    else if (n == 0)
        buf_printf(why, "there is no model or agent %.200s here; `souk put` registers one", text);
    else
        buf_printf(why, "several owners use the name %.200s: deploy by id", text);
    buf_close(&json);
    buf_close(&name);
    return e == ERR_OK && n == 1;
}

static size_t count_of(const struct uv_deploys *all)
{
    size_t n = 0;
    for (const struct uv_deploy *d = all->list; d != NULL; d = d->next)
        n++;
    return n;
}

void uv_deploys_admin_add(struct server *s, struct api_call *call)
{
    struct uv_deploys *all = s->deploys;
    json_t *body = json_loadb((const char *)call->body.p, call->body.n, JSON_REJECT_DUPLICATES, NULL);
    const char *entry = json_string_value(json_object_get(body, "entry"));
    struct uv_deploy *d = mem_zalloc(sizeof *d);
    struct buf why = {0};
    enum err e = ERR_OK;
    if (all->sandbox == NULL) {
        buf_put_bytes(&why, buf_view(&all->no_sandbox));
        e = ERR_DENIED;
    } else if (entry == NULL || !find_entry(s, entry, d, &why)) {
        e = ERR_NOT_FOUND;
    } else if (count_of(all) >= DEPLOYMENTS_MAX && uv_deploys_find(all, d->d.kind, &d->d.entry) == NULL) {
        buf_printf(&why, "this node has %d deployments already, as many as it takes", DEPLOYMENTS_MAX);
        e = ERR_LIMIT;
    } else {
        e = deployment_parse(&d->d, json_object_get(body, "manifest"), &why);
    }
    json_decref(body);
    if (e == ERR_OK) {
        struct opening *o = opening_new(all, d);
        o->call = call;
        server_defer(s, open_work, open_done, o);
    } else {
        deploy_free(d);
        server_refuse(call, e, buf_cstr(&why));
    }
    buf_close(&why);
}

void uv_deploys_admin_rm(struct server *s, struct api_call *call)
{
    struct uv_deploys *all = s->deploys;
    json_t *body = json_loadb((const char *)call->body.p, call->body.n, 0, NULL);
    const char *text = json_string_value(json_object_get(body, "entry"));
    struct uv_deploy **at = &all->list;
    struct id id;
    bool is_id = text != NULL && id_parse(&id, bytes_str(text));
    while (*at != NULL && !(is_id ? id_eq(&(*at)->d.entry, &id) : text != NULL && strcmp((*at)->d.name, text) == 0))
        at = &(*at)->next;
    struct uv_deploy *d = *at;
    if (d == NULL)
        buf_printf(&call->detail, "nothing is deployed for \"%.200s\"", text != NULL ? text : "");
    json_decref(body);
    if (d == NULL || d->state == DEPLOY_OPENING) {
        server_refuse(call, d == NULL ? ERR_NOT_FOUND : ERR_BUSY,
                      d == NULL ? "; `souk deploy ls` lists what is" : "the deployment is still being opened; try again");
        return;
    }
    struct buf why = {0};
    *at = d->next;
    deploy_free(d);
    enum err e = save(all, &why);
    server_describe(s);
    if (e == ERR_OK)
        server_answer(call, json_object());
    else
        server_refuse(call, e, buf_cstr(&why));
    buf_close(&why);
}
