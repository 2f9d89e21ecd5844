/*
 * Fetching and serving blobs. A pull asks for the list, proves it by the name, then asks for chunks, a few at a time, from all
 * peers in turn; each is proved by the list before it is written. What is written stays, so a pull that stopped goes on
 * where it was. Disk work for peers and whole-file checks run off the loop.
 */
#include "node/uv_blobs.h"

#include "crdt/alloc.h"
#include "node/uv_blobdir.h"
#include "node/uv_invoke.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE (DIR_PATH_MAX + 96)

enum chunk_state { CHUNK_MISSING = 0, CHUNK_ASKED, CHUNK_HERE };

/* A call to a peer. */
struct ask {
    uint64_t call; /* 0: free */
    bool is_list;
    uint64_t chunk;
    size_t peer;
};

struct pull {
    struct pull *next;
    struct uv_blobs *blobs;
    struct api_call *call; /* NULL: given up */
    struct id name;
    bool working;          /* on a worker thread: nothing may be freed */
    struct buf list;
    uint64_t size, chunks, here;
    uint64_t room;         /* for it, on the disk */
    uint8_t *states;       /* enum chunk_state of each chunk */
    int fd;                /* NAME.part */
    size_t peer_count, turn;
    struct key peers[BLOBS_PEERS];
    bool failed[BLOBS_PEERS];
    struct ask asks[BLOBS_WINDOW];
    enum err err;
    struct buf why;
};

struct uv_blobs {
    struct server *server;
    struct pull *pulls;
    size_t serving;
};

static void pump(struct pull *p);

enum err uv_blobs_new(struct server *s, struct uv_blobs **out, struct buf *why)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/blobs", s->given->dir);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        buf_printf(why, "cannot make %s: %s", path, strerror(errno));
        return ERR_IO;
    }
    blobdir_clean(s->given->dir);
    *out = mem_zalloc(sizeof **out);
    (*out)->server = s;
    return ERR_OK;
}

static void pull_free(struct pull *p)
{
    if (p->fd >= 0)
        close(p->fd);
    buf_close(&p->list);
    buf_close(&p->why);
    free(p->states);
    free(p);
}

void uv_blobs_free(struct uv_blobs *b)
{
    if (b == NULL)
        return;
    while (b->pulls != NULL) {
        struct pull *next = b->pulls->next;
        pull_free(b->pulls);
        b->pulls = next;
    }
    free(b);
}

/* ---- serving -------------------------------------------------------------------------------------------------------- */

struct serve {
    struct uv_blobs *blobs;
    struct key peer;
    uint64_t call;
    struct call_question question;
    struct buf bytes;
    enum err err;
};

/* Bytes [at, at + n) of a file. */
static enum err read_range(const char *path, uint64_t at, size_t n, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ERR_NOT_FOUND;
    ssize_t got = pread(fd, buf_grow(out, n), n, (off_t)at);
    close(fd);
    if (got < 0)
        return ERR_IO;
    out->n += (size_t)got;
    return ERR_OK;
}

static void serve_work(void *arg)
{
    struct serve *v = arg;
    char path[PATH_SIZE], whole[PATH_SIZE];
    const char *dir = v->blobs->server->given->dir;
    blob_path(whole, sizeof whole, dir, &v->question.blob);
    blob_list_path(path, sizeof path, dir, &v->question.blob);
    if (access(whole, R_OK) != 0)
        v->err = ERR_NOT_FOUND;
    else if (v->question.ask == CALL_BLOB_LIST)
        v->err = read_range(path, 0, BLOB_LIST_MAX, &v->bytes);
    else
        v->err = read_range(whole, v->question.index * BLOB_CHUNK, BLOB_CHUNK, &v->bytes);
}

static void serve_answer(struct serve *v)
{
    struct buf bytes = {0};
    struct call_answer a = {.reply = v->err == ERR_OK ? CALL_BLOB : CALL_REFUSED, .refusal = CALL_NO_BLOB,
                            .bytes = buf_view(&v->bytes)};
    call_put_answer(&bytes, &a);
    invokes_tell_net(v->blobs->server, (struct net_event){
                                           .kind = NET_ANSWER, .peer = v->peer, .call = v->call, .bytes = buf_view(&bytes),
                                           .final = true});
    buf_close(&bytes);
}

static void serve_done(void *arg)
{
    struct serve *v = arg;
    v->blobs->serving--;
    if (!v->blobs->server->closed)
        serve_answer(v);
    buf_close(&v->bytes);
    free(v);
}

void uv_blobs_asked(struct uv_blobs *b, const struct net_action *a, const struct call_question *q)
{
    if (b->serving >= BLOBS_SERVING) {
        invokes_tell_net(b->server, (struct net_event){.kind = NET_REFUSE, .peer = a->peer, .call = a->call});
        return;
    }
    struct serve *v = mem_zalloc(sizeof *v);
    *v = (struct serve){.blobs = b, .peer = a->peer, .call = a->call, .question = *q};
    v->question.input = (struct bytes){0};
    b->serving++;
    server_defer(b->server, serve_work, serve_done, v);
}

/* ---- the end of a pull ------------------------------------------------------------------------------------------------ */

static void unlink_pull(struct pull *p)
{
    struct pull **at = &p->blobs->pulls;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
}

static void drop_asks(struct pull *p)
{
    for (size_t i = 0; i < BLOBS_WINDOW; i++)
        if (p->asks[i].call != 0) {
            invokes_tell_net(p->blobs->server, (struct net_event){.kind = NET_CALL_DROP, .call = p->asks[i].call});
            p->asks[i].call = 0;
        }
}

static void end_pull(struct pull *p)
{
    struct api_call *call = p->call;
    char hex[ID_HEX_SIZE], path[PATH_SIZE];
    drop_asks(p);
    unlink_pull(p);
    id_hex(hex, &p->name);
    blob_path(path, sizeof path, p->blobs->server->given->dir, &p->name);
    if (call != NULL) {
        call->err = p->err;
        if (p->err == ERR_OK) {
            buf_printf(&call->out, "{\"hash\":\"%s\",\"bytes\":%llu,\"path\":", hex, (unsigned long long)p->size);
            json_put_string(&call->out, bytes_str(path));
            buf_put_u8(&call->out, '}');
        }
        buf_put_bytes(&call->detail, buf_view(&p->why));
    }
    pull_free(p);
    if (call != NULL)
        api_call_done(call);
}

static void fail(struct pull *p, enum err err, const char *why)
{
    p->err = err;
    buf_put_str(&p->why, why);
    end_pull(p);
}

/* On disk, then under its name. */
static void finish_work(void *arg)
{
    struct pull *p = arg;
    char part[PATH_SIZE + 8], path[PATH_SIZE];
    blob_path(path, sizeof path, p->blobs->server->given->dir, &p->name);
    (void)snprintf(part, sizeof part, "%s.part", path);
    if (fsync(p->fd) != 0 || rename(part, path) != 0) {
        buf_printf(&p->why, "cannot write %s: %s", path, strerror(errno));
        p->err = errno == ENOSPC ? ERR_NO_SPACE : ERR_IO;
    }
}

static void finish_done(void *arg)
{
    struct pull *p = arg;
    p->working = false;
    if (!p->blobs->server->closed)
        end_pull(p);
}

static void finish(struct pull *p)
{
    p->working = true;
    server_defer(p->blobs->server, finish_work, finish_done, p);
}

/* ---- asking ------------------------------------------------------------------------------------------------------------ */

static struct ask *free_ask(struct pull *p)
{
    for (size_t i = 0; i < BLOBS_WINDOW; i++)
        if (p->asks[i].call == 0)
            return &p->asks[i];
    return NULL;
}

/* The next peer that has not failed; false: none is left. */
static bool next_peer(struct pull *p, size_t *out)
{
    for (size_t i = 0; i < p->peer_count; i++) {
        size_t k = (p->turn + i) % p->peer_count;
        if (p->failed[k])
            continue;
        p->turn = k + 1;
        *out = k;
        return true;
    }
    return false;
}

static bool send_ask(struct pull *p, struct ask *ask, bool is_list, uint64_t chunk)
{
    struct server *s = p->blobs->server;
    struct buf bytes = {0};
    struct call_question q = {.ask = is_list ? CALL_BLOB_LIST : CALL_BLOB_CHUNK, .blob = p->name, .index = chunk};
    if (!next_peer(p, &ask->peer))
        return false;
    ask->call = ++s->invokes->numbers;
    ask->is_list = is_list;
    ask->chunk = chunk;
    call_put_question(&bytes, &q);
    invokes_tell_net(s, (struct net_event){
                            .kind = NET_CALL, .peer = p->peers[ask->peer], .call = ask->call, .bytes = buf_view(&bytes)});
    buf_close(&bytes);
    return true;
}

static bool is_asking(const struct pull *p)
{
    for (size_t i = 0; i < BLOBS_WINDOW; i++)
        if (p->asks[i].call != 0)
            return true;
    return false;
}

static void out_of_peers(struct pull *p)
{
    char text[200];
    if (is_asking(p))
        return; /* somebody still answers */
    if (p->chunks > 0)
        (void)snprintf(text, sizeof text, "no connected node has the rest: %llu of %llu chunks are here; pull again to go on",
                       (unsigned long long)p->here, (unsigned long long)p->chunks);
    else
        (void)snprintf(text, sizeof text, "no connected node has this blob");
    fail(p, ERR_NOT_FOUND, text);
}

static uint64_t next_missing(const struct pull *p)
{
    for (uint64_t i = 0; i < p->chunks; i++)
        if (p->states[i] == CHUNK_MISSING)
            return i;
    return UINT64_MAX;
}

/* Asks for as much as the window takes. */
static void pump(struct pull *p)
{
    struct ask *ask;
    if (p->list.n == 0) {
        if (!is_asking(p) && !send_ask(p, &p->asks[0], true, 0))
            out_of_peers(p);
        return;
    }
    if (p->here == p->chunks) {
        finish(p);
        return;
    }
    for (uint64_t chunk; (ask = free_ask(p)) != NULL && (chunk = next_missing(p)) != UINT64_MAX;) {
        if (!send_ask(p, ask, false, chunk)) {
            out_of_peers(p);
            return;
        }
        p->states[chunk] = CHUNK_ASKED;
    }
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

/* The part that is here already: its chunks are checked again. */
static void check_part(struct pull *p)
{
    uint8_t *chunk = mem_alloc(BLOB_CHUNK);
    for (uint64_t i = 0; i < p->chunks; i++) {
        struct id got, want = blob_list_at(buf_view(&p->list), i);
        uint64_t size = blob_chunk_size(p->size, i);
        ssize_t n = pread(p->fd, chunk, size, (off_t)(i * BLOB_CHUNK));
        if (n != (ssize_t)size)
            continue;
        blob_chunk_hash(&got, bytes_of(chunk, size));
        if (id_eq(&got, &want)) {
            p->states[i] = CHUNK_HERE;
            p->here++;
        }
    }
    free(chunk);
}

/* A list that is proved: takes it up and opens the part. */
static bool take_list(struct pull *p, struct bytes list)
{
    struct id name;
    char path[PATH_SIZE], part[PATH_SIZE + 8];
    blob_name(&name, list);
    if (!id_eq(&name, &p->name) || blob_list_read(list, &p->size, &p->chunks) != ERR_OK)
        return false;
    buf_put_bytes(&p->list, list);
    if (p->size > p->room) {
        buf_put_str(&p->why, BLOBDIR_FULL);
        p->err = ERR_NO_SPACE;
        return true;
    }
    p->states = mem_calloc(p->chunks > 0 ? p->chunks : 1, 1);
    blob_path(path, sizeof path, p->blobs->server->given->dir, &p->name);
    (void)snprintf(part, sizeof part, "%s.part", path);
    p->fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    /* A program in a sandbox reads it under another id; D/blobs keeps everybody else out. */
    if (p->fd < 0 || fchmod(p->fd, 0644) != 0) {
        buf_printf(&p->why, "cannot write %s: %s", part, strerror(errno));
        p->err = ERR_IO;
    }
    return true;
}

static void open_work(void *arg)
{
    struct pull *p = arg;
    char path[PATH_SIZE];
    struct buf list = {0};
    const char *dir = p->blobs->server->given->dir;
    uint64_t used = blobdir_used(dir, &p->name);
    p->room = used < p->room ? p->room - used : 0;
    blob_list_path(path, sizeof path, dir, &p->name);
    if (read_range(path, 0, BLOB_LIST_MAX, &list) == ERR_OK && take_list(p, buf_view(&list)) && p->fd >= 0)
        check_part(p);
    buf_close(&list);
    blob_path(path, sizeof path, dir, &p->name);
    if (p->list.n > 0 && access(path, R_OK) == 0) {
        p->here = UINT64_MAX; /* whole already */
        p->err = ERR_OK;
        buf_reset(&p->why);
    }
}

static void open_done(void *arg)
{
    struct pull *p = arg;
    p->working = false;
    if (p->blobs->server->closed)
        return;
    if (p->call == NULL || p->err != ERR_OK || p->here == UINT64_MAX)
        end_pull(p);
    else
        pump(p);
}

static void find_peers(struct pull *p)
{
    struct net_peer_info *peers = mem_calloc(BLOBS_PEERS * 2, sizeof *peers);
    size_t n = net_peers(node_net(p->blobs->server->node), peers, BLOBS_PEERS * 2);
    for (size_t i = 0; i < n && i < BLOBS_PEERS * 2 && p->peer_count < BLOBS_PEERS; i++)
        if (peers[i].state == PEER_UP)
            p->peers[p->peer_count++] = peers[i].id;
    free(peers);
}

/* ---- answers --------------------------------------------------------------------------------------------------------------- */

static struct pull *pull_of(struct uv_blobs *b, uint64_t call, struct ask **ask)
{
    for (struct pull *p = b->pulls; p != NULL; p = p->next)
        for (size_t i = 0; i < BLOBS_WINDOW; i++)
            if (p->asks[i].call == call) {
                *ask = &p->asks[i];
                return p;
            }
    return NULL;
}

static void save_list(struct pull *p)
{
    char name[ID_HEX_SIZE + 16], hex[ID_HEX_SIZE];
    struct buf why = {0};
    id_hex(hex, &p->name);
    (void)snprintf(name, sizeof name, "blobs/%s.list", hex);
    if (p->err == ERR_OK && dir_write(p->blobs->server->given->dir, name, buf_view(&p->list), &why) != ERR_OK) {
        buf_put_bytes(&p->why, buf_view(&why));
        p->err = ERR_IO;
    }
    buf_close(&why);
}

/* The chunk that was asked for, proved by the list? */
static bool take_chunk(struct pull *p, const struct ask *ask, struct bytes bytes)
{
    struct id got, want = blob_list_at(buf_view(&p->list), ask->chunk);
    if (bytes.n != blob_chunk_size(p->size, ask->chunk))
        return false;
    blob_chunk_hash(&got, bytes);
    if (!id_eq(&got, &want))
        return false;
    if (pwrite(p->fd, bytes.p, bytes.n, (off_t)(ask->chunk * BLOB_CHUNK)) != (ssize_t)bytes.n) {
        buf_printf(&p->why, "cannot write the blob: %s", strerror(errno));
        p->err = errno == ENOSPC ? ERR_NO_SPACE : ERR_IO;
    }
    p->states[ask->chunk] = CHUNK_HERE;
    p->here++;
    return true;
}

/* The peer is not asked again for this blob. */
static void give_back(struct pull *p, const struct ask *ask)
{
    p->failed[ask->peer] = true;
    if (!ask->is_list)
        p->states[ask->chunk] = CHUNK_MISSING;
}

bool uv_blobs_answered(struct uv_blobs *b, const struct net_action *a)
{
    struct ask *slot, ask;
    struct call_answer answer;
    struct pull *p = pull_of(b, a->call, &slot);
    if (p == NULL)
        return false;
    ask = *slot;
    slot->call = 0;
    if (!a->final)
        invokes_tell_net(b->server, (struct net_event){.kind = NET_CALL_DROP, .call = a->call});
    bool good = a->final && call_read_answer(a->bytes, &answer) == ERR_OK && answer.reply == CALL_BLOB;
    if (good && ask.is_list) {
        good = take_list(p, answer.bytes);
        if (good)
            save_list(p);
    } else if (good) {
        good = take_chunk(p, &ask, answer.bytes);
    }
    if (!good)
        give_back(p, &ask);
    if (p->err != ERR_OK)
        end_pull(p);
    else
        pump(p);
    return true;
}

bool uv_blobs_lost(struct uv_blobs *b, const struct net_action *a)
{
    struct ask *slot, ask;
    struct pull *p = pull_of(b, a->call, &slot);
    if (p == NULL)
        return false;
    ask = *slot;
    slot->call = 0;
    give_back(p, &ask);
    pump(p);
    return true;
}

/* ---- verbs ------------------------------------------------------------------------------------------------------------------ */

static uint64_t blobs_limit(const struct server *s)
{
    return config_number(&s->config, CONFIG_LIMIT_BLOBS_MB) << 20;
}

void uv_blobs_admin_ls(struct server *s, struct api_call *call)
{
    char path[PATH_SIZE], *whole;
    (void)snprintf(path, sizeof path, "%s/blobs", s->given->dir);
    whole = realpath(path, NULL);
    buf_put_str(&call->out, "{\"dir\":");
    json_put_string(&call->out, bytes_str(whole != NULL ? whole : path));
    buf_printf(&call->out, ",\"used_bytes\":%llu,\"limit_bytes\":%llu}", (unsigned long long)blobdir_used(s->given->dir, NULL),
               (unsigned long long)blobs_limit(s));
    free(whole);
    call->err = ERR_OK;
    api_call_done(call);
}

void uv_blobs_admin_pull(struct server *s, struct api_call *call)
{
    struct uv_blobs *b = s->blobs;
    json_t *body = json_loadb((const char *)call->body.p, call->body.n, 0, NULL);
    const char *hash = json_string_value(json_object_get(body, "hash"));
    struct id name;
    size_t pulls = 0;
    bool good = hash != NULL && id_parse(&name, bytes_str(hash)), twice = false;
    json_decref(body);
    for (const struct pull *p = b->pulls; p != NULL && good; p = p->next) {
        pulls++;
        twice = twice || id_eq(&p->name, &name);
    }
    if (!good || twice || pulls >= BLOBS_PULLS) {
        server_refuse(call, !good ? ERR_INVALID : ERR_BUSY,
                      !good   ? "a blob is named by the 64 hex digits that `souk push` printed"
                      : twice ? "this blob is being fetched already"
                              : "as many blobs as may be are being fetched; try again");
        return;
    }
    struct pull *p = mem_zalloc(sizeof *p);
    *p = (struct pull){.next = b->pulls, .blobs = b, .call = call, .name = name, .fd = -1, .working = true,
                       .room = blobs_limit(s)};
    b->pulls = p;
    find_peers(p);
    server_defer(s, open_work, open_done, p);
}

bool uv_blobs_cancel(struct uv_blobs *b, struct api_call *call)
{
    for (struct pull *p = b->pulls; p != NULL; p = p->next) {
        if (p->call != call)
            continue;
        if (!p->working) {
            p->err = ERR_CLOSED;
            end_pull(p);
        }
        return true; /* else when the worker is back: the call is still to be completed */
    }
    return false;
}
