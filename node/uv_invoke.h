/*
 * Invokes of a running node: of clients here (run here, or asked of a node that shares), and of peers. Every run that was asked
 * for ends in a receipt. Who may ask is settled before: a token's scope by the API, a peer by its session.
 */
#ifndef SOUK_NODE_UV_INVOKE_H
#define SOUK_NODE_UV_INVOKE_H

#include "node/uv_server.h"

#include "node/callwire.h"
#include "node/idempotent.h"
#include "node/receipt.h"
#include "node/serving.h"
#include "node/uv_deploy.h"

#define INVOKE_TRIES    8     /* nodes that are asked in turn                                       */
#define INVOKE_REACHES  3     /* ... of them nodes without a session                                */
#define INVOKE_GRACE_MS 5000  /* beyond the time that was left when it was asked                    */
#define INVOKE_SERVING_MS 1000 /* how old the table of who serves what may be                      */
#define INVOKE_HASH_AT_ONCE (256u << 10) /* bytes hashed on the loop, well under a millisecond; more: on a worker's thread */
#define INVOKE_LOADS    64    /* nodes whose load is remembered                                     */
#define INVOKE_LOAD_MS  10000 /* ... for so long                                                    */
#define INVOKE_LIE_MS   600000 /* ... that it gave a false answer: others are asked first             */

struct request;

/* One call into a sandbox of this node. */
struct run {
    struct run *next;
    struct uv_invokes *all;
    struct request *request;   /* of a client here; NULL: of a peer            */
    struct key peer;
    uint64_t peer_call;
    bool left;                 /* nobody waits for it any more                 */
    struct uv_pool *pool;      /* asked only while its deployment is there     */
    uint64_t id;
    enum sandbox_kind output;
    bool stream, in_parts;
    bool over;                 /* its program has ended, the receipt is being made */
    struct buf input;          /* to be hashed at the end; empty: it is by now */
    char name[MODEL_NAME_MAX + 1];
    struct receipt receipt;
};

/* One invoke of a client here. */
struct request {
    struct request *next;
    struct uv_invokes *all;
    struct api_call *call;
    uint64_t token;
    bool has_key, ran;         /* ran: something was started, so the answer is kept under the key */
    struct id key;
    struct run *run;           /* running here                                 */
    uint64_t asked;            /* the call to a peer; 0: none                  */
    bool reaching;             /* ... not yet: its session is being made       */
    struct key at;
    size_t tried_count, reach_count;
    struct key tried[INVOKE_TRIES];
    bool untaken;              /* one that was tried could not be reached, or took no call */
    uint64_t until_ms;         /* monotonic; 0: none */
    enum call_refusal refusal; /* the last one */
    struct buf refused;
    struct uv_timer_s *timer;  /* freed by its close callback */
};

struct load {
    struct key node;
    uint64_t until_ms;
    uint16_t running, room;
};

struct uv_invokes {
    struct server *server;
    struct run *runs;
    struct request *requests;
    struct idempotent *keys;
    struct serving serving;
    uint64_t serving_at_ms;
    uint64_t numbers;          /* of calls to peers */
    struct load loads[INVOKE_LOADS];
    uint64_t done, failed, routed, served; /* since the start */
};

struct uv_invokes *uv_invokes_new(struct server *s);
/* What waits is forgotten: nothing of it keeps the loop. NULL is fine. */
void uv_invokes_close(struct uv_invokes *all);
void uv_invokes_free(struct uv_invokes *all); /* after the loop has ended */
/* Hooks of the backend. */
void uv_invoke_call(void *ctx, struct api_call *call);
void uv_invoke_cancel(void *ctx, struct api_call *call);
void uv_invokes_metrics(const struct uv_invokes *all, struct buf *out);

/* ---- shared by uv_invoke.c, uv_run.c, uv_ask.c and uv_answer.c ---- */

/* uv_run.c: what is asked of a deployment of this node. */
struct run_order {
    struct uv_deploy *deploy;
    unsigned media;            /* enum api_media of the input */
    struct bytes input;
    uint64_t within_ms;
    bool stream;
    bool has_token;
    struct id token;
    struct key caller_node;
    struct request *request;   /* or */
    struct key peer;
    uint64_t peer_call;
};
/* ERR_OK: its end comes through run_ended. ERR_INVALID: the input is not what it takes; ERR_BUSY: the queue is full;
 * `why` says so. A changed file is an end like any other. */
SOUK_MUST_USE enum err run_start(struct uv_invokes *all, const struct run_order *order, struct buf *why);
void run_cancel(struct run *r);
/* A question of a peer, and its going away. */
void run_asked(struct uv_invokes *all, const struct net_action *a, const struct call_question *q);
void run_left(struct uv_invokes *all, const struct net_action *a);
/* The newest revision of an entry that is a head. */
bool run_revision(struct server *s, const struct id *entry, struct id *op);

/* uv_invoke.c */
struct run_end {
    enum sandbox_status status;
    unsigned media;
    struct bytes output, receipt, text;
};
void request_ended(struct request *q, const struct run_end *end);
/* Ends it without a run. `code` is static. */
void request_refused(struct request *q, enum err err, int status, const char *code, struct bytes detail);
void invokes_tell_net(struct server *s, struct net_event event);

/* uv_ask.c: asking peers. */
bool ask_another(struct request *q); /* the next candidate; false: there is none */
void ask_next(struct request *q);    /* ... then this is the end */
void ask_drop(struct request *q);
void ask_reached(struct uv_invokes *all, const struct net_action *a);
struct load *ask_load(struct uv_invokes *all, const struct key *node); /* what is remembered of it */

/* uv_answer.c: what came of it. */
void answer_took(struct uv_invokes *all, const struct net_action *a);
void answer_lost(struct uv_invokes *all, const struct net_action *a);
struct request *answer_request(struct uv_invokes *all, uint64_t call); /* NULL: nobody asked, or not any more */

/* What the mesh engine brings for calls (NODE_CALL). */
void uv_invokes_net(struct uv_invokes *all, const struct net_action *a);

#endif
