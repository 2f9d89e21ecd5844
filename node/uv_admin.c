/*
 * Admin verbs that only the process can answer: tokens, author keys, log, settings, shutdown. What is slow
 * (Argon2id) runs off the loop.
 */
#include "node/uv_server.h"

#include "node/uv_blobs.h"
#include "node/uv_invoke.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- authors ----------------------------------------------------------------------------------------------------- */

struct author *server_author(struct server *s, const char *name)
{
    for (struct local_author *a = s->authors; a != NULL; a = a->next)
        if (strcmp(a->name, name) == 0)
            return &a->author;
    return NULL;
}

static void add_author(struct server *s, const char *name, const struct keypair *pair)
{
    struct local_author *a = mem_zalloc(sizeof *a);
    snprintf(a->name, sizeof a->name, "%s", name);
    a->author.key = pair->key;
    memcpy(a->author.secret, pair->secret, sizeof a->author.secret);
    a->next = s->authors;
    s->authors = a;
}

enum err server_authors_load(struct server *s, struct buf *why)
{
    char(*names)[KEY_NAME_MAX + 1] = mem_calloc(DIR_AUTHORS_MAX, sizeof *names);
    size_t n = dir_authors(s->given->dir, names, DIR_AUTHORS_MAX);
    enum err err = ERR_OK;
    for (size_t i = 0; i < n && err == ERR_OK; i++) {
        struct keypair pair;
        err = dir_author(s->given->dir, names[i], &pair, why);
        if (err == ERR_OK)
            add_author(s, names[i], &pair);
        sodium_memzero(&pair, sizeof pair);
    }
    free(names);
    return err;
}

void server_authors_close(struct server *s)
{
    while (s->authors != NULL) {
        struct local_author *next = s->authors->next;
        sodium_memzero(s->authors, sizeof *s->authors);
        free(s->authors);
        s->authors = next;
    }
}

/* ---- helpers of the verbs ---------------------------------------------------------------------------------------- */

static void finish(struct api_call *call, enum err err, struct buf *why)
{
    call->err = err;
    if (err != ERR_OK && call->detail.n == 0)
        buf_put_bytes(&call->detail, buf_view(why));
    buf_close(why);
    api_call_done(call);
}

void server_refuse(struct api_call *call, enum err err, const char *detail)
{
    buf_put_str(&call->detail, detail);
    call->err = err;
    api_call_done(call);
}

static void refuse_author(struct api_call *call, const char *name)
{
    backend_no_author(&call->detail, bytes_str(name));
    server_refuse(call, ERR_NOT_FOUND, "");
}

void server_answer(struct api_call *call, json_t *out)
{
    char *text = json_dumps(out, JSON_COMPACT);
    assert(text != NULL); /* whoever makes `out` checks what comes from outside */
    buf_put_str(&call->out, text);
    free(text);
    json_decref(out);
    call->err = ERR_OK;
    api_call_done(call);
}

/* The body as an object, an empty one if it is none: missing members then say what is wrong. */
static json_t *body_of(const struct api_call *call)
{
    json_t *root = call->body.n > 0 ? json_loadb((const char *)call->body.p, call->body.n, 0, NULL) : NULL;
    if (json_is_object(root))
        return root;
    json_decref(root);
    return json_object();
}

static const char *text_of(const json_t *body, const char *member)
{
    const char *text = json_string_value(json_object_get(body, member));
    return text != NULL ? text : "";
}

static json_t *pair_of(const char *a, const char *av, const char *b, const char *bv)
{
    json_t *out = json_object();
    json_object_set_new(out, a, json_string(av));
    json_object_set_new(out, b, json_string(bv));
    return out;
}

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

static enum err store_tokens(struct server *s, struct buf *why)
{
    struct buf text = {0};
    tokens_write(&s->tokens, &text);
    enum err err = dir_write(s->given->dir, "tokens", buf_view(&text), why);
    buf_close(&text);
    return err;
}

static json_t *token_row(const struct token *t)
{
    struct buf scopes = {0};
    char time[25];
    json_t *row = json_object();
    token_scopes_put(&scopes, t->scopes);
    json_time(time, hlc_from_ms(t->created_ms));
    json_object_set_new(row, "id", json_integer((json_int_t)t->id));
    json_object_set_new(row, "scope", json_string(buf_cstr(&scopes)));
    json_object_set_new(row, "as", json_string(t->as));
    json_object_set_new(row, "created_at", json_string(time));
    json_object_set_new(row, "name", json_string(t->name));
    buf_close(&scopes);
    return row;
}

static void admin_tokens(struct server *s, struct api_call *call)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < s->tokens.count; i++)
        json_array_append_new(rows, token_row(&s->tokens.list[i]));
    server_answer(call, rows);
}

static void make_token(struct server *s, struct api_call *call, const struct token_request *request)
{
    char text[TOKEN_TEXT_SIZE];
    const struct token *token;
    struct buf why = {0};
    enum err err = tokens_new(&s->tokens, request, &s->rng, text, &token);
    if (err != ERR_OK) {
        server_refuse(call, err,
                      err == ERR_LIMIT ? "this node has as many tokens as it takes; remove some"
                                       : "a token's name has at most 64 bytes and no control characters");
        return;
    }
    json_t *row = token_row(token);
    err = store_tokens(s, &why);
    if (err != ERR_OK) {
        enum err removed = tokens_remove(&s->tokens, token->id);
        assert(removed == ERR_OK);
        (void)removed;
        json_decref(row);
        finish(call, err, &why);
        return;
    }
    buf_close(&why);
    json_object_set_new(row, "token", json_string(text));
    sodium_memzero(text, sizeof text);
    server_answer(call, row);
}

static void admin_token_new(struct server *s, struct api_call *call)
{
    json_t *body = body_of(call);
    const char *as = text_of(body, "as");
    struct token_request request = {.scopes = token_scopes_parse(bytes_str(text_of(body, "scope"))),
                                    .name = bytes_str(text_of(body, "name")),
                                    .as = bytes_str(as),
                                    .clock_ms = server_clock_ms()};
    if (as[0] == '\0')
        as = DIR_PUBLISHER;
    if (request.scopes == 0)
        server_refuse(call, ERR_INVALID, "scope is read, write or invoke, or several of them with commas");
    else if (server_author(s, as) == NULL)
        refuse_author(call, as);
    else
        make_token(s, call, &request);
    json_decref(body);
}

static void admin_token_rm(struct server *s, struct api_call *call)
{
    json_t *body = body_of(call);
    json_int_t id = json_integer_value(json_object_get(body, "id"));
    struct buf why = {0};
    json_decref(body);
    if (id <= 0 || tokens_remove(&s->tokens, (uint64_t)id) != ERR_OK) {
        buf_printf(&call->detail, "there is no token with the id %lld", (long long)id);
        server_refuse(call, ERR_NOT_FOUND, "; `souk token ls` lists them");
        return;
    }
    enum err err = store_tokens(s, &why);
    buf_put_str(&call->out, "{}");
    finish(call, err, &why);
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct local_author *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void admin_keys(struct server *s, struct api_call *call)
{
    const struct local_author *list[2 * DIR_AUTHORS_MAX];
    size_t n = 0;
    json_t *rows = json_array();
    for (const struct local_author *a = s->authors; a != NULL && n < 2 * DIR_AUTHORS_MAX; a = a->next)
        list[n++] = a;
    qsort(list, n, sizeof *list, by_name);
    for (size_t i = 0; i < n; i++) {
        char hex[ID_HEX_SIZE];
        key_hex(hex, &list[i]->author.key);
        json_array_append_new(rows, pair_of("name", list[i]->name, "key", hex));
    }
    server_answer(call, rows);
}

static void answer_key(struct api_call *call, const char *name, const struct key *key)
{
    char hex[ID_HEX_SIZE];
    key_hex(hex, key);
    server_answer(call, pair_of("name", name, "key", hex));
}

#define KEYS_FULL "this node has as many author keys as it takes; another node takes more"

static bool keys_full(struct server *s)
{
    size_t n = 0;
    for (const struct local_author *a = s->authors; a != NULL; a = a->next)
        n++;
    return n >= DIR_AUTHORS_MAX;
}

static void admin_key_new(struct server *s, struct api_call *call)
{
    json_t *body = body_of(call);
    const char *name = text_of(body, "name");
    struct keypair pair;
    struct buf why = {0};
    enum err err = keys_full(s) ? ERR_LIMIT : dir_author_new(s->given->dir, name, &pair, &why);
    if (err == ERR_LIMIT && why.n == 0)
        buf_put_str(&why, KEYS_FULL);
    if (err == ERR_OK) {
        add_author(s, name, &pair);
        answer_key(call, name, &pair.key);
        buf_close(&why);
    } else {
        finish(call, err, &why);
    }
    sodium_memzero(&pair, sizeof pair);
    json_decref(body);
}

/* An export or import under way: the passphrase is stretched off the loop. */
struct key_job {
    struct server *server;
    struct api_call *call;
    bool import;
    struct buf passphrase, text, why;
    char name[KEY_NAME_MAX + 1];
    uint8_t seed[32];
    enum err err;
};

static void key_work(void *arg)
{
    struct key_job *job = arg;
    if (job->import) {
        job->err = key_export_read(buf_view(&job->text), buf_view(&job->passphrase), job->name, job->seed, &job->why);
        return;
    }
    uint8_t salt[KEY_SALT_SIZE], nonce[KEY_NONCE_SIZE];
    randombytes_buf(salt, sizeof salt);
    randombytes_buf(nonce, sizeof nonce);
    struct key_export e = {.name = bytes_str(job->name),
                           .seed = job->seed,
                           .passphrase = buf_view(&job->passphrase),
                           .salt = salt,
                           .nonce = nonce,
                           .cost = key_cost_default()};
    key_export_write(&job->text, &e);
    job->err = ERR_OK;
}

static void key_imported(struct key_job *job)
{
    struct server *s = job->server;
    struct keypair pair;
    job->err = dir_author_add(s->given->dir, job->name, job->seed, &job->why);
    if (job->err != ERR_OK) {
        finish(job->call, job->err, &job->why);
        return;
    }
    keypair_from_seed(&pair, job->seed);
    if (server_author(s, job->name) == NULL)
        add_author(s, job->name, &pair);
    answer_key(job->call, job->name, &pair.key);
    sodium_memzero(&pair, sizeof pair);
}

static void key_done(void *arg)
{
    struct key_job *job = arg;
    if (job->err != ERR_OK) {
        finish(job->call, job->err, &job->why);
    } else if (job->import) {
        key_imported(job);
    } else {
        json_t *out = json_object();
        json_object_set_new(out, "export", json_stringn((const char *)job->text.p, job->text.n));
        server_answer(job->call, out);
    }
    if (job->passphrase.p != NULL)
        sodium_memzero(job->passphrase.p, job->passphrase.n);
    buf_close(&job->passphrase);
    buf_close(&job->text);
    buf_close(&job->why);
    sodium_memzero(job, sizeof *job);
    free(job);
}

/* The seed is half of libsodium's secret form. */
static bool find_seed(struct server *s, const char *name, struct key_job *job)
{
    const struct author *a = server_author(s, name);
    if (a == NULL)
        return false;
    memcpy(job->seed, a->secret, sizeof job->seed);
    snprintf(job->name, sizeof job->name, "%s", name);
    return true;
}

enum transfer { KEY_EXPORT, KEY_IMPORT };

static void admin_key_transfer(struct server *s, struct api_call *call, enum transfer transfer)
{
    json_t *body = body_of(call);
    const char *passphrase = text_of(body, "passphrase"), *text = text_of(body, "text");
    struct key_job *job = mem_zalloc(sizeof *job);
    job->server = s;
    job->call = call;
    job->import = transfer == KEY_IMPORT;
    enum err err = ERR_OK;
    if (passphrase[0] == '\0') {
        err = ERR_INVALID;
        buf_put_str(&call->detail, "the passphrase is missing: the text member \"passphrase\"");
    } else if (!job->import && !find_seed(s, text_of(body, "name"), job)) {
        err = ERR_NOT_FOUND;
        backend_no_author(&call->detail, bytes_str(text_of(body, "name")));
    } else if (job->import && keys_full(s)) {
        err = ERR_LIMIT;
        buf_put_str(&call->detail, KEYS_FULL);
    }
    if (err == ERR_OK) {
        buf_put_str(&job->passphrase, passphrase);
        buf_put_str(&job->text, job->import ? text : "");
        server_defer(s, key_work, key_done, job);
    } else {
        free(job);
        server_refuse(call, err, "");
    }
    json_decref(body);
}

/* ---- the process ------------------------------------------------------------------------------------------------- */

static void admin_log(struct server *s, struct api_call *call)
{
    json_t *body = body_of(call);
    const char *level = text_of(body, "level");
    if (uv_log_change(&s->log, level)) {
        uv_log(&s->log, LOG_NODE, LOG_INFO, "log level %s", level);
        server_answer(call, json_object());
    } else {
        buf_printf(&call->detail, "\"%.64s\" is no level: error, warn, info or debug, alone or as SUBSYSTEM=LEVEL with ", level);
        server_refuse(call, ERR_INVALID, "node, net, store or api");
    }
    json_decref(body);
}

static void admin_config(struct server *s, struct api_call *call)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        struct buf where = {0};
        enum config_key key = (enum config_key)i;
        config_where(&s->config, key, &where);
        json_t *row = pair_of("key", config_desc(key)->name, "value", config_text(&s->config, key));
        json_object_set_new(row, "origin", json_string(buf_cstr(&where)));
        json_array_append_new(rows, row);
        buf_close(&where);
    }
    server_answer(call, rows);
}

/* What `souk doctor` cannot see from outside: where the listeners are, how peers get here, whom the node turned away. */
static void admin_doctor(struct server *s, struct api_call *call)
{
    char mesh[ID_HEX_SIZE];
    struct buf *out = &call->out;
    id_hex(mesh, &s->mesh.id);
    buf_printf(out, "{\"mesh_id\":\"%s\",\"http\":", mesh);
    json_put_string(out, bytes_str(s->http_bound));
    buf_put_str(out, ",\"listen\":");
    json_put_string(out, bytes_str(s->mesh_bound));
    buf_put_str(out, ",\"advertise\":");
    json_put_string(out, bytes_str(s->advertise));
    buf_put_u8(out, ',');
    backend_put_reach(s->backend, out);
    buf_put_u8(out, '}');
    call->err = ERR_OK;
    api_call_done(call);
}

static void admin_shutdown(struct server *s, struct api_call *call)
{
    server_answer(call, json_object());
    server_stop(s, "asked to by the admin socket");
}

static void admin_key_export(struct server *s, struct api_call *call)
{
    admin_key_transfer(s, call, KEY_EXPORT);
}

static void admin_key_import(struct server *s, struct api_call *call)
{
    admin_key_transfer(s, call, KEY_IMPORT);
}

void server_cancel(void *ctx, struct api_call *call)
{
    struct server *s = ctx;
    if (call->op == API_INVOKE)
        uv_invoke_cancel(s, call);
    else
        (void)uv_blobs_cancel(s->blobs, call);
}

void server_admin(void *ctx, struct api_call *call)
{
    static const struct {
        const char *verb;
        void (*run)(struct server *s, struct api_call *call);
    } verbs[] = {
        {"tokens", admin_tokens},         {"token-new", admin_token_new},
        {"token-rm", admin_token_rm},     {"keys", admin_keys},
        {"key-new", admin_key_new},       {"key-export", admin_key_export},
        {"key-import", admin_key_import}, {"log", admin_log},
        {"config", admin_config},         {"doctor", admin_doctor},
        {"shutdown", admin_shutdown},     {"deploys", uv_deploys_admin_ls},
        {"deploy-add", uv_deploys_admin_add}, {"deploy-rm", uv_deploys_admin_rm},
        {"blobs", uv_blobs_admin_ls},     {"blob-pull", uv_blobs_admin_pull},
    };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(call->admin, verbs[i].verb) == 0) {
            verbs[i].run(ctx, call);
            return;
        }
    server_refuse(call, ERR_NOT_FOUND, "there is no such admin verb");
}
