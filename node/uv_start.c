/*
 * How a node starts, in order: settings, directory, tokens, store, listeners, its own entries, its peers, the ready line.
 * The first step that fails says why and undoes nothing: closing is the same as after a run.
 */
#include "node/uv_server.h"

#include "node/describe.h"
#include "node/uv_blobs.h"
#include "node/uv_invoke.h"
#include "node/uv_store.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static enum err start_directory(struct server *s, struct buf *why)
{
    const char *dir = s->given->dir;
    struct dir_setup setup = s->given->setup;
    const char *mesh = config_text(&s->config, CONFIG_MESH);
    if (!setup.has_mesh && mesh[0] != '\0')
        setup.has_mesh = id_parse(&setup.mesh, bytes_str(mesh));
    enum err err = dir_make(dir, why);
    if (err == ERR_OK)
        err = dir_lock(dir, &s->lock, why);
    if (err == ERR_OK)
        err = dir_setup(dir, &setup, &s->mesh, why);
    if (err == ERR_OK)
        err = dir_node_keys(dir, &s->keys, why);
    if (err == ERR_OK)
        err = server_authors_load(s, why);
    s->self.key = s->keys.node.key;
    memcpy(s->self.secret, s->keys.node.secret, sizeof s->self.secret);
    return err;
}

static enum err start_tokens(struct server *s, struct buf *why)
{
    struct buf text = {0}, ignored = {0};
    tokens_init(&s->tokens, (struct token_rate){0});
    enum err err = dir_read(s->given->dir, "tokens", TOKENS_FILE_MAX, &text, &ignored);
    if (err == ERR_NOT_FOUND)
        err = ERR_OK;
    else if (err == ERR_OK) {
        err = tokens_read(&s->tokens, buf_view(&text), why);
        if (err != ERR_OK)
            buf_printf(why, " (%s/tokens)", s->given->dir);
    } else {
        buf_put_bytes(why, buf_view(&ignored));
    }
    buf_close(&text);
    buf_close(&ignored);
    return err;
}

static enum err start_store(struct server *s, struct buf *why)
{
    struct uv_store_config config = {.dir = s->given->dir,
                                     .mesh = &s->mesh,
                                     .cache_mb = (size_t)config_number(&s->config, CONFIG_CACHE_MB),
                                     .write_buffer_mb = (size_t)config_number(&s->config, CONFIG_WRITE_BUFFER_MB)};
    enum err err = uv_store_open(&config, &s->kv, &s->store, why);
    if (err == ERR_OK)
        server_learn_founder(s);
    return err;
}

static void start_name(struct server *s)
{
    char host[256] = "souk";
    const char *name = config_text(&s->config, CONFIG_NAME);
    if (name[0] == '\0' && gethostname(host, sizeof host - 1) != 0)
        snprintf(host, sizeof host, "souk");
    snprintf(s->name, sizeof s->name, "%.200s", name[0] != '\0' ? name : host);
}

static void start_node(struct server *s)
{
    struct node_config config = {.store = s->store,
                                 .batch_deltas = (size_t)config_number(&s->config, CONFIG_LIMIT_BATCH_DELTAS),
                                 .batch_writes = (size_t)config_number(&s->config, CONFIG_LIMIT_BATCH_WRITES),
                                 .receipts_keep = config_number(&s->config, CONFIG_RECEIPTS_KEEP)};
    struct net_config *net = &config.net;
    net->mesh = s->mesh.id;
    net->has_founder = s->mesh.has_founder;
    net->founder = s->mesh.founder;
    memcpy(net->mesh_name, s->mesh.name, sizeof net->mesh_name);
    net->identity = s->keys.node.key;
    memcpy(net->identity_secret, s->keys.node.secret, sizeof net->identity_secret);
    memcpy(net->static_secret, s->keys.noise, sizeof net->static_secret);
    snprintf(net->advertise, sizeof net->advertise, "%s", s->advertise);
    net->silence_ms = config_number(&s->config, CONFIG_LIMIT_SILENCE_S) * 1000;
    randombytes_buf(net->seed, sizeof net->seed);
    randombytes_buf(config.seed, sizeof config.seed);
    memcpy(config.name, s->name, sizeof config.name);
    s->node = node_new(&config, uv_now(&s->loop), server_clock_ms());
    sodium_memzero(&config, sizeof config);
}

static void start_backend(struct server *s)
{
    struct hasher h;
    struct id secret;
    hash_init(&h, "souk/cursor/1");
    hash_part(&h, s->keys.noise, sizeof s->keys.noise);
    hash_end(&h, &secret);
    struct backend_config config = {.node = s->keys.node.key,
                                    .name = s->name,
                                    .version = SOUK_VERSION,
                                    .mesh = s->mesh.id,
                                    .started_ms = uv_now(&s->loop)};
    memcpy(config.cursor_secret, secret.b, sizeof config.cursor_secret);
    server_reachable(s->advertise, config.address, sizeof config.address);
    if (config.address[0] == '\0') /* loopback: for other nodes on this machine */
        snprintf(config.address, sizeof config.address, "%s", s->advertise);
    randombytes_buf(config.seed, sizeof config.seed);
    struct backend_hooks hooks = {.ctx = s,
                                  .author = server_token_author,
                                  .author_at = server_author_at,
                                  .token = server_token,
                                  .admin = server_admin,
                                  .invoke = uv_invoke_call,
                                  .cancel = server_cancel,
                                  .defer = server_defer,
                                  .ready = server_ready,
                                  .metrics = server_metrics};
    s->backend = backend_new(s->node, s->store, &config, &hooks);
    struct api_backend table = backend_api(s->backend);
    struct api_config api = {.read_needs_token = config_number(&s->config, CONFIG_READ_AUTH) == 1,
                             .header_timeout_ms = config_number(&s->config, CONFIG_LIMIT_HEADER_S) * 1000,
                             .body_timeout_ms = config_number(&s->config, CONFIG_LIMIT_BODY_S) * 1000,
                             .idle_timeout_ms = config_number(&s->config, CONFIG_LIMIT_IDLE_S) * 1000,
                             .max_connections = (size_t)config_number(&s->config, CONFIG_LIMIT_CONNECTIONS),
                             .version = SOUK_VERSION};
    memcpy(api.node.b, s->keys.node.key.b, sizeof api.node.b);
    s->api = api_new(&api, &table);
    backend_set_api(s->backend, s->api);
}

static enum err start_mesh_listener(struct server *s, struct buf *why)
{
    const char *told = config_text(&s->config, CONFIG_ADVERTISE);
    enum err err = net_uv_listen(s->net, config_text(&s->config, CONFIG_LISTEN), s->mesh_bound, why);
    if (err != ERR_OK) {
        buf_put_str(why, "; choose another with --listen (port 0 picks a free one)");
        return err;
    }
    /* A wildcard is told as it is: a peer puts the address there that it sees. */
    snprintf(s->advertise, sizeof s->advertise, "%s", told[0] != '\0' ? told : s->mesh_bound);
    return ERR_OK;
}

static enum err start_http(struct server *s, struct buf *why)
{
    char host[256];
    unsigned port = 0;
    const char *address = config_text(&s->config, CONFIG_HTTP);
    bool split = config_split_address(bytes_str(address), host, sizeof host, &port);
    assert(split);
    (void)split;
    s->http = uv_http_new(&s->loop, s->api, server_drain_quietly, s);
    int failed = uv_http_tcp(s->http, host, (uint16_t)port, s->http_bound);
    if (failed != 0) {
        buf_printf(why, "cannot listen for HTTP on %s: %s; choose another with --http (port 0 picks a free one)", address,
                   uv_strerror(failed));
        return ERR_IO;
    }
    failed = uv_http_admin(s->http, s->given->socket);
    if (failed != 0)
        buf_printf(why, "cannot open the admin socket %s: %s", s->given->socket, uv_strerror(failed));
    return failed == 0 ? ERR_OK : ERR_IO;
}

/* The founder's own node says once how the mesh admits. */
static void start_charter(struct server *s)
{
    struct author *founder = server_author(s, DIR_FOUNDER);
    if (!s->mesh.founded_here || founder == NULL || !key_eq(&founder->key, &s->mesh.founder))
        return;
    struct backend_founding f = {.founder = founder,
                                 .admission = s->mesh.admission == ADMISSION_OPEN ? MESH_OPEN : MESH_MEMBERS};
    enum err err = backend_found(s->backend, &f);
    if (err != ERR_OK)
        uv_log(&s->log, LOG_NODE, LOG_ERROR, "the mesh's charter was not written: %s", err_text(err));
}

#define DESCRIBE_MIN_MS 1000
#define DESCRIBE_MAX_MS 600000
#define DESCRIBE_AGAIN_MS 10000 /* a machine may change its address at any time */

/* What other nodes may ask of this one, with the revisions that it answers for. */
static size_t served(struct server *s, struct node_deployment out[DEPLOYMENTS_MAX])
{
    struct id entries[DEPLOYMENTS_MAX];
    uint64_t kinds[DEPLOYMENTS_MAX];
    size_t n = uv_deploys_shared(s->deploys, entries, kinds, DEPLOYMENTS_MAX);
    for (size_t i = 0; i < n; i++) {
        out[i] = (struct node_deployment){.entry = entries[i]};
        out[i].has_revision = run_revision(s, &entries[i], &out[i].revision);
    }
    return n;
}

/* A joiner is not admitted before it has seen the charter, so its own entry is tried again, with pauses that double. Once
 * it is shown it is compared again and again: a write leaves only when something in it changed. */
void server_describe(struct server *s)
{
    char http[NET_ADDR_MAX], mesh[NET_ADDR_MAX], url[NET_ADDR_MAX + 8] = "";
    server_reachable(s->http_bound, http, sizeof http);
    server_reachable(s->advertise, mesh, sizeof mesh);
    if (http[0] != '\0')
        snprintf(url, sizeof url, "http://%s", http);
    struct node_deployment deployments[DEPLOYMENTS_MAX];
    struct node_description d = {.name = s->name, .http_url = url, .mesh_address = mesh, .version = SOUK_VERSION,
                                 .deployment_count = served(s, deployments), .deployments = deployments};
    struct id entry;
    struct entry_info info;
    struct buf json = {0};
    entry_id(&entry, KIND_NODE, &s->self.key, bytes_str(s->name));
    enum err err = node_describe(s->node, s->store, &s->self, &d);
    if (err != ERR_OK)
        uv_log(&s->log, LOG_NODE, LOG_WARN, "this node's own entry was not written: %s", err_text(err));
    bool shown = store_get(s->store, KIND_NODE, &entry, &info, &json) == ERR_OK;
    if (shown)
        s->describe_wait_ms = DESCRIBE_AGAIN_MS / 2;
    s->describe_wait_ms = s->describe_wait_ms == 0 ? DESCRIBE_MIN_MS : 2 * s->describe_wait_ms;
    if (s->describe_wait_ms > DESCRIBE_MAX_MS)
        s->describe_wait_ms = DESCRIBE_MAX_MS;
    s->describe_at = uv_now(&s->loop) + s->describe_wait_ms;
    buf_close(&json);
}

static void start_peers(struct server *s)
{
    char peer[NET_ADDR_MAX];
    size_t n = 0;
    for (; config_item(&s->config, CONFIG_PEER, n, peer, sizeof peer); n++)
        server_feed(s, &(struct node_event){.kind = NODE_NET, .net = {.kind = NET_PEER_ADD, .addr = peer}});
    if (n == 0 && !s->mesh.has_founder && !s->joining)
        uv_log(&s->log, LOG_NODE, LOG_WARN,
               "this node has not met its mesh and was given no peer: it waits for one; --peer or `souk peer add` names a node of the mesh");
}

void server_start_signals(struct server *s)
{
    static const int numbers[3] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < 3; i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], server_signal, numbers[i]);
    }
    uv_timer_init(&s->loop, &s->timer);
    uv_timer_init(&s->loop, &s->stop_timer);
    s->timer.data = s->stop_timer.data = s;
}

static void say_ready(struct server *s)
{
    char id[ID_HEX_SIZE], mesh[ID_HEX_SIZE];
    key_hex(id, &s->keys.node.key);
    id_hex(mesh, &s->mesh.id);
    printf("ready id=%s http=%s mesh=%s mesh_id=%s admin=%s\n", id, s->http_bound, s->mesh_bound, mesh,
           s->given->socket);
    fflush(stdout);
    uv_log(&s->log, LOG_NODE, LOG_INFO, "ready name=%s http=%s mesh=%s", s->name, s->http_bound, s->mesh_bound);
    server_notify("READY=1");
}

static enum err start_files(struct server *s, struct buf *why)
{
    config_init(&s->config);
    enum err err = s->given->load(s->given->ctx, &s->config, why);
    if (err == ERR_OK)
        err = start_directory(s, why);
    if (err == ERR_OK)
        err = uv_blobs_new(s, &s->blobs, why);
    if (err == ERR_OK)
        s->deploys = uv_deploys_new(s); /* the launcher comes before the process grows */
    if (err == ERR_OK)
        err = start_tokens(s, why);
    if (err == ERR_OK)
        err = start_store(s, why);
    return err;
}

static enum err start_listeners(struct server *s, struct buf *why)
{
    uv_update_time(&s->loop);
    s->writer = uv_writer_new(&s->loop, s->store, server_job_done, s);
    s->net = net_uv_new(&s->loop, server_net_event, s);
    enum err err = start_mesh_listener(s, why);
    if (err != ERR_OK)
        return err;
    start_node(s);
    server_book_load(s);
    s->invokes = uv_invokes_new(s);
    start_backend(s);
    err = uv_deploys_load(s->deploys, why);
    return err == ERR_OK ? start_http(s, why) : err;
}

enum err server_start(struct server *s, struct buf *why)
{
    enum err err = start_files(s, why);
    if (err != ERR_OK)
        return err;
    server_apply_reloadable(s);
    start_name(s);
    server_raise_files();
    err = start_listeners(s, why);
    if (err != ERR_OK)
        return err;
    start_charter(s);
    server_describe(s);
    server_join_start(s);
    start_peers(s);
    server_drain(s);
    say_ready(s);
    return ERR_OK;
}
