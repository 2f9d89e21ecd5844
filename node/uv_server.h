/*
 * What the files of the process share: uv_node.c (the loop and its end), uv_start.c, uv_admin.c (verbs that only the process can
 * answer), uv_join.c (a newcomer's invitation) and uv_process.c (readiness, metrics, notification).
 */
#ifndef SOUK_NODE_UV_SERVER_H
#define SOUK_NODE_UV_SERVER_H

#include "api/uv_http.h"
#include "net/uv_tcp.h"
#include "node/backend.h"
#include "node/invite.h"
#include "node/tokens.h"
#include "node/uv_log.h"
#include "node/uv_node.h"
#include "node/uv_writer.h"

#include <uv.h>

/* Where an author's hybrid clock lives while writes refer to it, so its address never changes. */
struct local_author {
    struct local_author *next;
    char name[KEY_NAME_MAX + 1];
    struct author author;
};

struct uv_deploys;
struct uv_invokes;
struct uv_blobs;

struct server {
    const struct uv_node_config *given;
    struct config config;
    struct mesh_file mesh;
    struct dir_keys keys;
    char name[MODEL_NAME_MAX + 1];
    int lock;
    struct kv *kv;
    struct store *store;
    struct node *node;
    struct backend *backend;
    struct api *api;
    struct tokens tokens;
    struct rng rng;
    struct local_author *authors;
    struct author self; /* the node's own key, for its own entry */
    struct uv_log log;
    struct uv_deploys *deploys;
    struct uv_invokes *invokes;
    struct uv_blobs *blobs;

    uv_loop_t loop;
    struct net_uv *net;
    struct uv_http *http;
    struct uv_writer *writer;
    uv_timer_t timer;      /* the node's deadline */
    uv_timer_t stop_timer; /* when waiting for open requests ends */
    uv_signal_t signals[3];
    char mesh_bound[NET_ADDR_MAX], advertise[NET_ADDR_MAX], http_bound[UV_HTTP_BOUND_MAX];
    bool draining, stopping, closed;
    struct buf book;       /* the address book as it was written last */
    uint64_t book_at;      /* when it is looked at again */
    bool book_writing, book_failed;
    uint64_t describe_at, describe_wait_ms; /* this node's own entry is looked at again */
    bool joining;          /* not admitted yet, with an invitation */
    struct invitation invitation;
    struct buf refusal;    /* why the mesh did not take this node in; empty: it did not say so */
    uint64_t wall_start_s;
};

uint64_t server_clock_ms(void);
/* Gives the node an event, with the time filled in, and drains. */
void server_feed(struct server *s, struct node_event *event);
/* Gives the node's actions out, answers what is committed, and arms the timer again. */
void server_drain(struct server *s);
void server_stop(struct server *s, const char *why);
void server_defer(void *ctx, void (*work)(void *arg), void (*done)(void *arg), void *arg);
void server_reload(struct server *s);
void server_apply_reloadable(struct server *s);
/* A joiner writes down who founded its mesh once it knows. */
void server_learn_founder(struct server *s);
/* What the rims and the API call. */
void server_net_event(void *ctx, const struct net_event *event);
void server_job_done(void *ctx, struct store_job *job, enum err err);
void server_drain_quietly(void *ctx); /* sends nothing: for the HTTP rim's own `after` */
void server_signal(uv_signal_t *handle, int number);
struct author *server_token_author(void *ctx, uint64_t token, struct bytes as);
struct author *server_author_at(void *ctx, size_t i);
unsigned server_token(void *ctx, struct bytes bearer, uint64_t *token, unsigned *retry_s);

/* uv_start.c */
void server_start_signals(struct server *s); /* and timers */
SOUK_MUST_USE enum err server_start(struct server *s, struct buf *why);

void server_describe(struct server *s);

/* uv_book.c: the address book in the data directory */
void server_book_load(struct server *s);
void server_book_keep(struct server *s); /* writes it where it changed, off the loop */
void server_book_stop(struct server *s); /* ... at once */

/* uv_admin.c */
struct author *server_author(struct server *s, const char *name); /* NULL: no such key here */
SOUK_MUST_USE enum err server_authors_load(struct server *s, struct buf *why);
void server_authors_close(struct server *s);
void server_admin(void *ctx, struct api_call *call);
/* The end of an admin call: with a document, of which it takes the reference, or with an error and words that are appended to
 * the call's detail. */
struct json_t;
void server_answer(struct api_call *call, struct json_t *out);
void server_refuse(struct api_call *call, enum err err, const char *detail);
void server_cancel(void *ctx, struct api_call *call); /* nobody waits for it any more */

/* uv_join.c */
void server_join_start(struct server *s);
void server_join_check(struct server *s); /* after a commit: admitted by now? */
void server_welcome(struct server *s, const struct net_action *a);

/* uv_process.c */
bool server_ready(void *ctx, struct buf *checks);
void server_metrics(void *ctx, struct buf *out);
void server_notify(const char *state); /* systemd's protocol; nothing without $NOTIFY_SOCKET */
void server_raise_files(void);
/* An address that other machines can use for what listens on `bound`; "" if there is none. */
void server_reachable(const char *bound, char *out, size_t size);

#endif
