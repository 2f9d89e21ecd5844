/*
 * What the files of the engine share: the engine, a connection, and an exchange (one request with its answer). An
 * exchange outlives its connection while a call to the node is pending, since it owns what the call borrows.
 * Not for anyone outside api/.
 */
#ifndef SOUK_API_ENGINE_H
#define SOUK_API_ENGINE_H

#include "api/api.h"
#include "api/http.h"
#include "api/json.h"
#include "api/route.h"

#define API_OUTPUT_MAX     (256u << 10) /* unsent bytes above which no further request of a connection is read */
#define API_AHEAD_MAX      (256u << 10) /* unread bytes kept while an answer is pending: a rim that pauses stays below */
#define API_WRITE_STALL_MS 30000 /* a client that takes nothing for so long is closed; each byte taken gives 1 ms  */
#define API_LINGER_MS      5000  /* how long input is dropped after a refusal                                       */
#define API_STREAM_PAGE    100   /* changes asked for at once by an event stream                                    */
#define API_TAGS_MAX       16    /* values of one filter in a query                                                 */
#define API_PATCH_TRIES    8     /* reads of a PATCH whose entry changes under it                                   */
#define API_WORDS_MAX      1024 /* bytes of a search text                                                           */
#define API_SPARE_MAX      64    /* exchanges kept for reuse                                                        */
#define API_KEEP_MAX       8192  /* bytes of a buffer that is kept for the next request                             */

struct exchange;
typedef void exchange_step(struct exchange *x);

/* One request and its answer. */
struct exchange {
    struct api_call call;      /* inputs and results of the call to the node that runs now */
    struct api *api;
    struct api_conn *conn;     /* NULL: the client went away, nobody waits                 */
    struct exchange *spare;    /* next in the list of spares, or of orphans                */
    struct exchange *before;   /* in the list of orphans                                   */
    struct buf text, body;     /* the request head, and its body                           */
    struct route_match match;
    struct http_fault refusal; /* status != 0: decided before the body was read            */
    unsigned retry_s;
    exchange_step *then;       /* what follows the call                                    */
    exchange_step *after_find; /* what follows once the entry of the path is known         */
    bool calling, synchronous, done, answered, is_head, close;
    uint64_t number;           /* of the request, for its id                               */
    uint64_t started_us;
    struct api_query query;
    struct bytes tags[API_TAGS_MAX], capabilities[API_TAGS_MAX];
    struct json_fields fields; /* of a record in the body                                  */
    struct json_t *tree;       /* of another body; what the call borrows may point into it */
    bool read_first;           /* a write whose condition needs the present revision       */
    unsigned tries;
    struct buf cursor;         /* event stream: where it stands                            */
    bool behind;               /* event stream: the log may hold more                      */
    bool watched;              /* while its call is pending: a client that ends its side has gone away */
    struct buf held;           /* invoke as events: bytes of a character that has not come whole */
};

enum conn_state {
    CONN_IDLE,   /* between requests, nothing read                */
    CONN_HEAD,   /* part of a head read                           */
    CONN_BODY,   /* reading a body                                */
    CONN_CALL,   /* waiting for the node                          */
    CONN_STREAM, /* an event stream                               */
    CONN_LINGER, /* answered for the last time, dropping input    */
    CONN_DONE,   /* to be closed once everything is sent          */
    CONN_STATES
};

struct api_conn {
    struct api *api;
    enum api_origin origin;
    enum conn_state state;
    void *data;
    struct http http;
    struct bytes view;        /* input not read yet, while it is being worked on */
    struct buf in;            /* input not read yet, between calls               */
    struct buf out;
    size_t sent;              /* bytes of out that are gone                      */
    struct exchange *x;
    bool eof, dirty, dead, running, again;
    uint64_t dropped;
    uint64_t since_ms;        /* when the state was entered                      */
    uint64_t write_deadline;  /* 0: nothing unsent */
    uint64_t answered;        /* answers in out whose latency is not counted yet */
    uint64_t started_us;      /* of the first of them                            */
    struct api_conn *next, *prev, *next_dirty;
};

struct api {
    struct api_config config;
    struct api_backend backend;
    struct api_conn *conns, *dirty, *dirty_last;
    struct exchange *spare, *orphans; /* orphans: a call is pending, the client is gone */
    size_t spare_count, pending; /* exchanges kept; exchanges open               */
    uint64_t now_us;
    uint64_t requests;        /* numbers given                                   */
    char date[8 + API_DATE_SIZE];
    size_t date_n;
    char node[9];             /* first digits of the node's id                   */
    bool draining;
    struct api_stats stats;
    struct buf openapi;       /* made when first asked for                       */
};

/* api.c */
struct exchange *exchange_open(struct api_conn *c);
void exchange_close(struct exchange *x);
/* The connection goes away. Frees the exchange, or keeps what a pending call borrows until it ends. */
void exchange_abandon(struct exchange *x);
/* Asks the node; `then` runs with the results, at once or later. x->call's inputs are set by the caller. */
void exchange_call(struct exchange *x, enum api_op op, exchange_step *then);
void api_mark(struct api_conn *c); /* the rim should look at it */

/* conn.c */
void conn_resume(struct api_conn *c); /* after a call ended or output was taken */
void conn_stream(struct api_conn *c); /* the answer's head is written: events follow */
size_t conn_unsent(const struct api_conn *c);

/* changes.c */
void stream_fetch(struct exchange *x);
void stream_beat(struct exchange *x);

#endif
