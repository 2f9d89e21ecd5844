/*
 * Starts, runs and stops a node. Start: directory, lock, store, listeners, then the ready line. Run: every
 * event goes to the node, then its actions are given out. Stop: not ready, no new connections, open requests
 * end, the last commit is waited for, everything is closed.
 */
#include "node/uv_server.h"

#include "node/uv_blobs.h"
#include "node/uv_invoke.h"
#include "node/uv_store.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DESCRIBE_SOON_MS 2000

uint64_t server_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

void server_feed(struct server *s, struct node_event *event)
{
    event->clock_ms = server_clock_ms();
    event->net.clock_ms = event->clock_ms;
    node_input(s->node, event, uv_now(&s->loop));
    server_drain(s);
}

void server_net_event(void *ctx, const struct net_event *event)
{
    struct server *s = ctx;
    if (s->closed)
        return;
    server_feed(s, &(struct node_event){.kind = NODE_NET, .net = *event});
}

void server_learn_founder(struct server *s)
{
    struct buf name = {0}, why = {0};
    if (s->mesh.has_founder || !store_founder(s->store, &s->mesh.founder, &name))
        return;
    s->mesh.has_founder = true;
    snprintf(s->mesh.name, sizeof s->mesh.name, "%.*s", (int)name.n, (const char *)name.p);
    if (dir_mesh_store(s->given->dir, &s->mesh, &why) != ERR_OK)
        uv_log(&s->log, LOG_NODE, LOG_WARN, "the mesh file was not updated: %s", buf_cstr(&why));
    buf_close(&name);
    buf_close(&why);
}

#define WITHDRAWN_TOLD 16 /* lines of one commit */

static const char *name_of_author(const struct server *s, const struct key *key)
{
    for (const struct local_author *a = s->authors; a != NULL; a = a->next)
        if (key_eq(&a->author.key, key))
            return a->name;
    return NULL;
}

/* Writes of this node's own keys that were acknowledged and do not count any more. */
static void tell_withdrawn(struct server *s, const struct store_job *job)
{
    size_t told = 0;
    for (size_t i = 0; i < job->withdrawn_count; i++) {
        const struct store_withdrawn *w = &job->withdrawn[i];
        const struct kind_desc *kind = kind_by_number(w->kind);
        const char *author = name_of_author(s, &w->author);
        struct entry_info info;
        struct buf name = {0};
        char op[ID_HEX_SIZE];
        if (author == NULL || told++ >= WITHDRAWN_TOLD)
            continue;
        id_hex(op, &w->op);
        if (store_entry(s->store, &w->entry, &info, &name) == ERR_OK)
            uv_log(&s->log, LOG_STORE, LOG_WARN,
                   "write %.16s of the key %s to %s \"%s\" does not count any more: the right to it was taken back", op, author,
                   kind != NULL ? kind->singular : "entry", buf_cstr(&name));
        buf_close(&name);
    }
    if (told > WITHDRAWN_TOLD)
        uv_log(&s->log, LOG_STORE, LOG_WARN, "%zu more writes of this node's keys do not count any more", told - WITHDRAWN_TOLD);
}

static void tell_failed(struct server *s, enum err err)
{
    struct buf why = {0};
    store_fault(s->store, err, &why);
    uv_store_next_step(s->given->dir, err, &why);
    uv_log(&s->log, LOG_STORE, LOG_ERROR, "the disk failed a write: %s", buf_cstr(&why));
    buf_close(&why);
}

void server_job_done(void *ctx, struct store_job *job, enum err err)
{
    struct server *s = ctx;
    if (err != ERR_OK)
        tell_failed(s, err);
    if (err == ERR_OK && job != NULL)
        tell_withdrawn(s, job);
    server_learn_founder(s);
    server_feed(s, &(struct node_event){.kind = NODE_JOB_DONE, .job = job, .err = err});
    server_join_check(s);
}

static void on_timer(uv_timer_t *timer)
{
    struct server *s = timer->data;
    if (uv_now(&s->loop) >= s->describe_at)
        server_describe(s);
    if (uv_now(&s->loop) >= s->book_at)
        server_book_keep(s);
    server_feed(s, &(struct node_event){.kind = NODE_TICK});
}

/* An entry that is served may have a new revision: the node's own entry is looked at again, not too often. */
static void describe_again(struct server *s)
{
    uint64_t soon = uv_now(&s->loop) + DESCRIBE_SOON_MS;
    if (uv_deploys_first(s->deploys) != NULL && soon < s->describe_at)
        s->describe_at = soon;
}

static void act(struct server *s, enum node_action_kind kind, const struct node_action *a)
{
    switch (kind) {
    case NODE_NONE:
        break;
    case NODE_SEND:
        net_uv_send(s->net, a->net.conn, a->net.bytes);
        break;
    case NODE_DIAL:
        net_uv_dial(s->net, a->net.dial, a->net.text);
        break;
    case NODE_CLOSE:
        net_uv_close(s->net, a->net.conn);
        break;
    case NODE_JOB:
        uv_writer_run(s->writer, a->job);
        break;
    case NODE_REOPEN:
        uv_writer_run(s->writer, NULL);
        break;
    case NODE_CALL:
        uv_invokes_net(s->invokes, &a->net);
        break;
    case NODE_JOIN:
        backend_join(s->backend, a->net.conn, &a->net.peer, a->net.bytes);
        break;
    case NODE_WELCOME:
        server_welcome(s, &a->net);
        break;
    case NODE_CHANGED:
        describe_again(s);
        if (a->members)
            backend_members_changed(s->backend);
        api_changed(s->api);
        break;
    case NODE_LOG:
        uv_log(&s->log, uv_log_subsystem(a->subsystem), (enum log_level)a->level, "%s", a->text);
        break;
    }
}

static void arm(struct server *s)
{
    uint64_t at = node_deadline(s->node), now = uv_now(&s->loop);
    if (s->describe_at < at)
        at = s->describe_at;
    if (s->book_at < at)
        at = s->book_at;
    if (at == UINT64_MAX)
        uv_timer_stop(&s->timer);
    else
        uv_timer_start(&s->timer, on_timer, at > now ? at - now : 0, 0);
}

/* Without sending what HTTP has ready: for the rim's own `after`. */
void server_drain_quietly(void *ctx)
{
    struct server *s = ctx;
    struct node_action a;
    enum node_action_kind kind;
    if (s->draining || s->closed)
        return;
    s->draining = true;
    while ((kind = node_next(s->node, &a)) != NODE_NONE)
        act(s, kind, &a);
    backend_drain(s->backend, uv_now(&s->loop));
    while ((kind = node_next(s->node, &a)) != NODE_NONE)
        act(s, kind, &a);
    arm(s);
    s->draining = false;
}

void server_drain(struct server *s)
{
    server_drain_quietly(s);
    if (!s->closed && s->http != NULL)
        uv_http_flush(s->http);
    if (s->refusal.n > 0 && !s->draining)
        server_stop(s, "the invitation was refused");
}

struct deferred {
    uv_work_t work;
    struct server *server;
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void on_work(uv_work_t *work)
{
    struct deferred *d = work->data;
    d->run(d->arg);
}

static void on_work_done(uv_work_t *work, int status)
{
    struct deferred *d = work->data;
    (void)status;
    d->done(d->arg);
    server_drain(d->server);
    free(d);
}

void server_defer(void *ctx, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct server *s = ctx;
    struct deferred *d = mem_zalloc(sizeof *d);
    *d = (struct deferred){.server = s, .run = work, .done = done, .arg = arg};
    d->work.data = d;
    int failed = uv_queue_work(&s->loop, &d->work, on_work, on_work_done);
    assert(failed == 0);
    (void)failed;
}

/* ---- hooks ------------------------------------------------------------------------------------------------------- */

struct author *server_token_author(void *ctx, uint64_t token, struct bytes as)
{
    struct server *s = ctx;
    char name[KEY_NAME_MAX + 1] = DIR_PUBLISHER;
    const struct token *t = token != 0 ? tokens_by_id(&s->tokens, token) : NULL;
    if (token != 0)
        return t != NULL ? server_author(s, t->as) : NULL;
    if (as.n > KEY_NAME_MAX)
        return NULL;
    if (as.n > 0)
        snprintf(name, sizeof name, "%.*s", (int)as.n, (const char *)as.p);
    return server_author(s, name);
}

struct author *server_author_at(void *ctx, size_t i)
{
    struct local_author *a = ((struct server *)ctx)->authors;
    while (a != NULL && i-- > 0)
        a = a->next;
    return a != NULL ? &a->author : NULL;
}

unsigned server_token(void *ctx, struct bytes bearer, uint64_t *token, unsigned *retry_s)
{
    struct server *s = ctx;
    return tokens_check(&s->tokens, bearer, uv_now(&s->loop), token, retry_s);
}

/* ---- stopping ---------------------------------------------------------------------------------------------------- */

static void close_all(struct server *s)
{
    if (s->closed)
        return;
    s->closed = true;
    uv_timer_stop(&s->stop_timer);
    if (s->http != NULL)
        uv_http_close(s->http, NULL, NULL);
    uv_invokes_close(s->invokes);
    uv_deploys_close(s->deploys);
    if (s->net != NULL)
        net_uv_stop(s->net);
    uv_writer_close(s->writer);
    uv_close((uv_handle_t *)&s->timer, NULL);
    uv_close((uv_handle_t *)&s->stop_timer, NULL);
    for (size_t i = 0; i < 3; i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
}

static void on_stop_timer(uv_timer_t *timer)
{
    struct server *s = timer->data;
    uv_log(&s->log, LOG_NODE, LOG_WARN, "requests still open after %d s are cut off", UV_NODE_STOP_MS / 1000);
    close_all(s);
}

static void on_drained(void *ctx)
{
    struct server *s = ctx;
    server_book_stop(s);
    node_stop(s->node);
    server_drain_quietly(s);
    close_all(s);
}

void server_stop(struct server *s, const char *why)
{
    if (s->stopping)
        return;
    s->stopping = true;
    uv_log(&s->log, LOG_NODE, LOG_INFO, "stopping: %s", why);
    server_notify("STOPPING=1");
    backend_stop(s->backend);
    api_drain(s->api);
    uv_timer_start(&s->stop_timer, on_stop_timer, UV_NODE_STOP_MS, 0);
    uv_http_drain(s->http, on_drained, s);
}

void server_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;
    if (number == SIGHUP)
        server_reload(s);
    else if (s->stopping)
        close_all(s);
    else
        server_stop(s, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

/* ---- settings ---------------------------------------------------------------------------------------------------- */

void server_apply_reloadable(struct server *s)
{
    uv_log_config(&s->log, &s->config);
    s->tokens.rate = (struct token_rate){.per_second = config_number(&s->config, CONFIG_RATE_REQUESTS),
                                         .burst = config_number(&s->config, CONFIG_RATE_BURST)};
}

static void note_fixed(struct server *s, const struct config *fresh)
{
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        enum config_key key = (enum config_key)i;
        if (config_desc(key)->reload == CONFIG_AT_START &&
            strcmp(config_text(fresh, key), config_text(&s->config, key)) != 0)
            uv_log(&s->log, LOG_NODE, LOG_WARN, "%s changed; it takes effect at the next start",
                   config_desc(key)->name);
    }
}

void server_reload(struct server *s)
{
    struct config fresh;
    struct buf why = {0};
    config_init(&fresh);
    enum err err = s->given->load(s->given->ctx, &fresh, &why);
    if (err != ERR_OK) {
        uv_log(&s->log, LOG_NODE, LOG_ERROR, "the settings stay as they were: %s", buf_cstr(&why));
        config_close(&fresh);
    } else {
        note_fixed(s, &fresh);
        config_close(&s->config);
        s->config = fresh;
        server_apply_reloadable(s);
        uv_log(&s->log, LOG_NODE, LOG_INFO, "settings read again");
    }
    buf_close(&why);
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static void close_objects(struct server *s)
{
    uv_invokes_free(s->invokes);
    uv_deploys_free(s->deploys);
    uv_blobs_free(s->blobs);
    backend_free(s->backend);
    api_free(s->api);
    node_free(s->node);
    if (s->store != NULL)
        store_close(s->store);
    if (s->kv != NULL)
        s->kv->ops->close(s->kv);
    server_authors_close(s);
    tokens_close(&s->tokens);
    config_close(&s->config);
    if (s->lock >= 0)
        close(s->lock);
}

enum err uv_node_run(const struct uv_node_config *config, struct buf *why)
{
    struct server *s = mem_zalloc(sizeof *s);
    uint8_t seed[32];
    s->given = config;
    s->lock = -1;
    s->log.levels[LOG_NODE] = LOG_INFO;
    s->wall_start_s = server_clock_ms() / 1000;
    randombytes_buf(seed, sizeof seed);
    rng_init(&s->rng, seed);
    uv_loop_init(&s->loop);
    server_start_signals(s);
    enum err err = server_start(s, why);
    if (err != ERR_OK)
        close_all(s);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    close_objects(s);
    int busy = uv_loop_close(&s->loop);
    assert(busy == 0);
    (void)busy;
    if (err == ERR_OK)
        uv_log(&s->log, LOG_NODE, LOG_INFO, "stopped");
    if (err == ERR_OK && s->refusal.n > 0) {
        buf_put_bytes(why, buf_view(&s->refusal));
        err = ERR_DENIED;
    }
    buf_close(&s->refusal);
    buf_close(&s->book);
    sodium_memzero(s, sizeof *s);
    free(s);
    return err;
}
