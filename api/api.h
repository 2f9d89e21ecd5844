/*
 * The HTTP API as a sans-I/O engine: bytes of a connection in, bytes out; everything the routes need from the node
 * goes through one call table. Knows HTTP, JSON and the routes; knows no socket, store or mesh.
 */
#ifndef SOUK_API_API_H
#define SOUK_API_API_H

#include "crdt/delta.h"
#include "crdt/record.h"

struct api;
struct api_conn;

/* ---- what the routes ask of the node -------------------------------------------------------------------------- */

enum api_op {
    API_GET,          /* kind, id                       -> out: the entry JSON, revision, incomplete                */
    API_FIND,         /* kind, name                     -> out: the ids found, 32 raw bytes each, at most 16         */
    API_LIST,         /* query                          -> out: `{"models":[...],"total":n,"next_cursor":...}`       */
    API_WRITE,        /* kind, id or name, guard, fields -> out: the entry JSON, revision, created                   */
    API_DELETE,       /* kind, id, guard                                                                            */
    API_HISTORY,      /* kind, id, limit, cursor        -> out: `{"revisions":[...],"next_cursor":...}`              */
    API_REVISION,     /* kind, id, op                   -> out                                                      */
    API_CHANGES,      /* cursor, limit                  -> out: the page JSON; changes: the same parsed, for SSE     */
    API_DELTA_PUT,    /* body (a bundle)                -> out: {"id","verdict"}                                     */
    API_DELTA_GET,    /* id                             -> out: the bundle                                          */
    API_WRITERS,      /* kind, id                       -> out: {"writers":[{"key","epoch"}]}                        */
    API_WRITER_ADD, API_WRITER_REMOVE, /* kind, id, key                                                             */
    API_STATUS,       /*                                -> out: the status JSON of the contract                      */
    API_METRICS,      /*                                -> out: Prometheus text                                     */
    API_READY,        /*                                -> out: JSON {"ready":b,"checks":[{name,ok,detail}]}          */
    API_DASHBOARD,    /*                                -> out: HTML                                                */
    API_ADMIN         /* admin socket: `admin` names the verb, body its JSON; out: JSON                              */
};

enum api_scope { SCOPE_NONE = 0, SCOPE_READ = 1, SCOPE_WRITE = 2, SCOPE_INVOKE = 4, SCOPE_ADMIN = 8 };

enum api_guard { API_GUARD_NONE, API_GUARD_CREATE, API_GUARD_REVISION, API_GUARD_EXISTS };

struct api_query {
    uint64_t kind;
    struct bytes text;        /* q / query: words                                    */
    struct bytes owner, model_type, framework, license;
    size_t tag_count, capability_count;
    const struct bytes *tags, *capabilities;
    bool has_max_price;
    uint64_t max_price_pico;  /* pico-USD per input token                            */
    uint64_t min_context;
    struct bytes cursor;
    size_t limit;             /* 1..API_PAGE_MAX                                     */
    bool scored;              /* search: adds "score"                                */
};

/* What a call's error means beside the route's own sense of it: ERR_FORM in a list: the cursor is malformed (400
 * bad_cursor); ERR_MESH in a list or in API_CHANGES: the cursor is another node's (400 foreign_cursor); ERR_INVALID: 422
 * with `detail`; ERR_BUSY: 429 or 503 with Retry-After; ERR_NO_SPACE 507; ERR_READ_ONLY and ERR_IO 503. */

/* Verbs of API_ADMIN (POST /admin/VERB, body JSON; GET where there is no body) that the node answers:
 *   peers                 -> [peer...]          peer-add {"address"}   peer-rm|peer-ban|peer-unban {"id"}
 *   sync                  -> {}                 conflicts -> [{"kind","id"}...]
 *   import (NDJSON rows {"kind":"model","model":{...}}, query kind= for bare records; `kind` of the call)
 *                         -> {"accepted":n,"failed":[{"row":i,"detail":".."}]}   rows count from 0
 *   verify {"kind","id"}|{} -> {"ok":b,"findings":[{"ok","check","subject","detail"}],"deltas":n}
 * and these, which the process around it answers: tokens, token-new, token-rm, keys, key-new, key-export, key-import,
 * log, config, shutdown. Bounds: body at most API_ADMIN_BODY_MAX. */
#define API_ADMIN_BODY_MAX (8u << 20)

struct api_change_row {
    uint64_t seq;
    char json[400];           /* one change object                                   */
    size_t length;
};

/* One request to the node. The engine fills the inputs and calls `call`; the node fills the results and calls
 * api_call_done exactly once, then or later, on the engine's thread. Inputs stay valid until then. */
struct api_call {
    enum api_op op;
    uint64_t kind;
    struct id id;
    bool by_name;             /* the entry is named by `name` and owner = the token's author */
    struct bytes name;
    struct key key;
    enum api_guard guard;
    struct id revision;       /* API_GUARD_REVISION, and API_REVISION's op            */
    struct change change;     /* API_WRITE                                           */
    uint64_t token;           /* id of the token, 0: none (admin socket)              */
    struct bytes as;          /* admin socket: name of the author key, empty: publisher */
    struct bytes body, cursor;
    const char *admin;
    size_t limit;
    const struct api_query *query;
    /* results */
    enum err err;
    struct buf detail;        /* a sentence for the problem document, may be empty    */
    struct buf out;           /* owned by the call, freed by the engine               */
    struct id revision_out, id_out;
    bool has_revision, created, ready;
    size_t change_count;
    struct api_change_row *changes; /* owned by the call */
    uint64_t next_seq;
    /* the engine's own */
    void *engine;
    struct api_call *next;
};

struct api_backend {
    void *ctx;
    void (*call)(void *ctx, struct api_call *call);
    /* Scopes of a bearer token, 0 if unknown; *token gets its id, *retry_s a wait if it is over its rate (0: go). */
    unsigned (*token)(void *ctx, struct bytes bearer, uint64_t *token, unsigned *retry_s);
    /* Calls nobody waits for any more (the client went away): results are dropped; purely a hint. */
    void (*cancel)(void *ctx, struct api_call *call);
};
void api_call_done(struct api_call *call);

/* ---- the engine ----------------------------------------------------------------------------------------------- */

struct api_config {
    bool read_needs_token;
    uint64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms;
    size_t max_connections;
    struct id node;           /* for request ids */
    const char *version;
};
struct api *api_new(const struct api_config *config, const struct api_backend *backend);
void api_free(struct api *a);
/* Tells streams (GET /changes as events) that the change log grew. */
void api_changed(struct api *a, uint64_t last_seq);
/* Stops keep-alive: answers carry Connection: close, streams end. */
void api_drain(struct api *a);
/* The OpenAPI document, generated from the route and schema tables. Appended. */
void api_openapi(struct buf *out);

enum api_origin { API_TCP, API_ADMIN_SOCKET };

/* One connection. `wake` in the config of the rim is replaced by polling: after api_conn_input, api_changed or
 * api_call_done the rim looks at api_dirty_next to learn which connections have output. */
struct api_conn *api_conn_new(struct api *a, enum api_origin origin, uint64_t now_ms);
void api_conn_free(struct api_conn *c);
void *api_conn_data(const struct api_conn *c);        /* the rim's pointer */
void api_conn_set_data(struct api_conn *c, void *data);
void api_conn_input(struct api_conn *c, struct bytes in, uint64_t now_ms); /* n == 0: the client ended its side */
/* Bytes to send now, borrowed until the next call on this connection; then say how many were taken. */
struct bytes api_conn_output(struct api_conn *c);
void api_conn_sent(struct api_conn *c, size_t n);
bool api_conn_done(const struct api_conn *c);         /* everything sent: close it */
bool api_conn_paused(const struct api_conn *c);       /* do not read more for now */
uint64_t api_conn_deadline(const struct api_conn *c); /* monotonic ms */
void api_conn_tick(struct api_conn *c, uint64_t now_ms);
struct api_conn *api_dirty_next(struct api *a);       /* NULL: none; each is returned once */

struct api_stats {
    uint64_t connections, requests[6] /* by status class, [0] unused */, bytes_in, bytes_out;
};
void api_stats(const struct api *a, struct api_stats *out);

#endif
