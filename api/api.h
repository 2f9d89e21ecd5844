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
    API_CHANGES,      /* cursor, limit                  -> out: the page JSON; changes and cursor_out: the same parsed,
                       * for the event stream. cursor: empty = from the oldest, "now" = only what comes later       */
    API_DELTA_PUT,    /* body (a bundle)                -> out: {"id","verdict"}, id_out, created = it is new here    */
    API_DELTA_GET,    /* id                             -> out: the bundle                                          */
    API_WRITERS,      /* kind, id                       -> out: {"writers":[{"key","epoch"}]}                        */
    API_WRITER_ADD, API_WRITER_REMOVE, /* kind, id, key                                                             */
    API_STATUS,       /*                                -> out: the status JSON of the contract                      */
    API_INVOKE,       /* kind, id, invoke, body         -> out: the output's bytes; output, receipt. A run that failed:
                       * status, code, detail, receipt                                                              */
    API_RECEIPTS,     /* limit, cursor                  -> out: `{"receipts":[...],"next_cursor":...}`              */
    API_RECEIPT,      /* name (the id as text)          -> out: the receipt                                         */
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

/* How the engine answers what a call ended with. The problem document's `code` is the second word unless the call sets
 * its own; `detail` is the call's sentence, else a general one.
 *
 *   ERR_OK         200 201 204                    ERR_FORM       400 malformed; bad_cursor from a call with a cursor
 *   ERR_NOT_FOUND  404 not_found                  ERR_VERSION    400 unknown_version
 *   ERR_DENIED     403 denied                     ERR_AMBIGUOUS  409 ambiguous
 *   ERR_CONFLICT   412 stale; 409 conflict from API_ADMIN
 *   ERR_INVALID    422 invalid                    ERR_SIGNATURE  422 bad_signature
 *   ERR_MESH       400 foreign_cursor from a call with a cursor, else 422 wrong_mesh
 *   ERR_TOO_LARGE  413 too_large                  ERR_LIMIT      413 too_large; 422 limit from API_ADMIN
 *   ERR_BUSY       429 busy, Retry-After          ERR_CLOSED     503 shutting_down, Retry-After
 *   ERR_READ_ONLY  503 read_only                  ERR_IO         503 storage_failed
 *   ERR_NO_SPACE   507 disk_full                  ERR_CORRUPT    500 corrupt
 *   ERR_AHEAD      422 time_ahead
 */

/* Verbs of API_ADMIN (POST /admin/VERB, body JSON; GET where there is no body) that the node answers:
 *   peers                 -> [peer...]          peer-add {"address"}   peer-rm|peer-ban|peer-unban {"id"}
 *   sync                  -> {}                 conflicts -> [{"kind","id","name","owner","conflicts"}...]
 *   import (NDJSON rows {"kind":"model","model":{...}}, query kind= for bare records; `kind` of the call)
 *                         -> {"accepted":n,"failed":[{"row":i,"detail":".."}]}   rows count from 0
 *   verify {"kind","id"}|{} -> {"ok":b,"findings":[{"ok","check","subject","detail"}],"deltas":n}
 *   charter -> {"mesh_id","name","founder","admission","about","contact","operators","members","removed","node","keys"}
 *   members -> [{"key","role","standing","by","since","invitation","with"}]
 *   mesh-invite {"expires_s","role","addresses":[..],"as"} -> {"invitation","name","expires_at","addresses"}
 *   key-will {"old","new"} -> {"will":[base64..]}     key-succeed {"bundles":[base64..],"as"} -> as key-retire
 *   key-retire {"old","new"} -> {"moved":n,"left":n,"failed":[name..]}
 *   charter-set {"fields":{..},"as"}   member-admit {"key","role","as"}   member-remove {"key","only","restate","drop","as"}
 * and these, which the process around it answers: tokens, token-new, token-rm, keys, key-new, key-export, key-import,
 * log, config, doctor, shutdown. Bounds: body at most API_ADMIN_BODY_MAX. */
#define API_ADMIN_BODY_MAX (8u << 20)

#define API_CURSOR_MAX 256    /* bytes of a cursor                                   */
#define API_FIND_MAX   16     /* ids that API_FIND gives at most                     */

struct api_change_row {
    uint64_t seq;
    char json[400];           /* one change object                                   */
    size_t length;
    char cursor[API_CURSOR_MAX]; /* its cursor as text: the event's id; "" = seq in decimal */
};

/* What an input or output is. ANY: the client did not say. */
enum api_media { API_MEDIA_ANY, API_MEDIA_JSON, API_MEDIA_TEXT, API_MEDIA_BYTES };

struct api_call;
struct api_invoke {
    enum api_media input;
    uint64_t timeout_ms;      /* the client's own bound on wall time; 0: none                */
    struct bytes idempotency; /* Idempotency-Key, absent: none                               */
    struct bytes on;          /* the node that is to serve, the start of its key; absent: any */
    /* Output as it comes, on the engine's thread, before api_call_done. NULL: only at the end. */
    void (*piece)(struct api_call *call, struct bytes piece);
};
#define API_IDEMPOTENCY_MAX 255 /* bytes of an Idempotency-Key */

/* One request to the node. The engine fills the inputs and calls `call`; the node fills the results and calls
 * api_call_done exactly once, then or later, on the engine's thread. Inputs stay valid until then. */
struct api_call {
    enum api_op op;
    uint64_t kind;
    struct id id;
    bool by_name;             /* the entry is named by `name` and owner = the token's author */
    struct bytes name;        /* API_FIND: the name, or `owner-prefix/name`. API_WRITE by id: if not absent, the name
                               * in the record; ERR_INVALID unless it is the entry's */
    struct key key;
    enum api_guard guard;
    struct id revision;       /* API_GUARD_REVISION, and API_REVISION's op            */
    struct change change;     /* API_WRITE                                           */
    uint64_t token;           /* id of the token, 0: none (admin socket)              */
    struct bytes as;          /* admin socket: name of the author key (header X-Souk-As), empty: publisher */
    struct bytes body, cursor;
    const char *admin;
    size_t limit;
    const struct api_query *query;
    struct api_invoke invoke; /* API_INVOKE                                          */
    /* results */
    enum err err;
    int status;               /* with an err: the HTTP status in place of the table's; 0: by the table */
    const char *code;         /* the problem document's code, static storage; NULL: by the table above */
    unsigned retry_s;         /* Retry-After of 429 and 503; 0: one second            */
    struct fault fault;       /* the member at fault; pointer[0] == 0: none           */
    struct buf detail;        /* a sentence for the problem document, may be empty    */
    struct buf out;           /* owned by the call, freed by the engine               */
    struct id revision_out, id_out;
    bool has_revision, created, ready;
    enum api_media output;    /* API_INVOKE: what `out` is                            */
    struct buf receipt;       /* API_INVOKE: JSON, may be empty                       */
    size_t change_count;
    struct api_change_row *changes; /* owned by the call: mem_alloc, the engine frees */
    uint64_t next_seq;
    struct buf cursor_out;    /* API_CHANGES: where the next page starts; empty: next_seq in decimal */
    /* the engine's own */
    void *engine;
    struct api_call *next;
};

struct api_backend {
    void *ctx;
    void (*call)(void *ctx, struct api_call *call);
    /* Scopes of a bearer token, 0 if unknown; *token gets its id, *retry_s a wait if it is over its rate (0: go). */
    unsigned (*token)(void *ctx, struct bytes bearer, uint64_t *token, unsigned *retry_s);
    /* Calls nobody waits for any more (the client went away): results are dropped; purely a hint. May be NULL.
     * The call stays valid until its api_call_done. */
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
#define API_HEADER_TIMEOUT_MS 10000 /* the defaults of a zero in api_config */
#define API_BODY_TIMEOUT_MS   30000 /* and a millisecond more for each byte that came */
#define API_IDLE_TIMEOUT_MS   60000
#define API_CONNECTIONS_MAX   4096
#define API_HEARTBEAT_MS      15000 /* comment lines of a quiet event stream */
/* `config` and `backend` are copied; version must outlive the engine. */
struct api *api_new(const struct api_config *config, const struct api_backend *backend);
/* No connection is left: asserted. Calls that are still pending are forgotten with their memory: the node completes none
 * of them any more. */
void api_free(struct api *a);
/* The core has no clock. The rim says the monotonic time before it hands in anything and before it takes output
 * (now_ms elsewhere is now_us / 1000 of the same clock), and the Date header's value once a second. */
void api_clock(struct api *a, uint64_t now_us);
#define API_DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and the NUL; anything longer is cut */
void api_date(struct api *a, const char *date);
/* Tells streams (GET /changes as events) that the change log grew: each asks for what follows its own cursor. */
void api_changed(struct api *a);
/* Stops keep-alive: answers carry Connection: close, streams end. */
void api_drain(struct api *a);
/* The OpenAPI document, generated from the route and schema tables. Appended. */
void api_openapi(struct buf *out);

enum api_origin { API_TCP, API_ADMIN_SOCKET };

/* One connection. `wake` in the config of the rim is replaced by polling: after api_conn_input, api_changed or
 * api_call_done the rim looks at api_dirty_next to learn which connections have output.
 * NULL: max_connections are open. */
struct api_conn *api_conn_new(struct api *a, enum api_origin origin, uint64_t now_ms);
void api_conn_free(struct api_conn *c);
void *api_conn_data(const struct api_conn *c);        /* the rim's pointer */
void api_conn_set_data(struct api_conn *c, void *data);
/* n == 0: the client ended its side. Returns the bytes of output that this made, which wait to be sent. */
size_t api_conn_input(struct api_conn *c, struct bytes in, uint64_t now_ms);
/* Bytes to send now, borrowed until the next call on this connection; then say how many were taken. */
struct bytes api_conn_output(struct api_conn *c);
void api_conn_sent(struct api_conn *c, size_t n);
bool api_conn_done(const struct api_conn *c);         /* everything sent: close it */
bool api_conn_paused(const struct api_conn *c);       /* do not read more for now */
bool api_conn_shut(const struct api_conn *c);         /* all is sent and nothing follows, but input is still dropped
                                                       * for a while so that the client sees it: end our side */
uint64_t api_conn_deadline(const struct api_conn *c); /* monotonic ms */
void api_conn_tick(struct api_conn *c, uint64_t now_ms);
struct api_conn *api_dirty_next(struct api *a);       /* NULL: none; each is returned once */

/* Upper bounds of the latency buckets in microseconds; the last bucket is open. From the request's last byte to the
 * moment its answer is handed to the socket. */
#define API_LATENCY_BUCKETS 12
extern const uint64_t api_latency_us[API_LATENCY_BUCKETS - 1];

struct api_stats {
    uint64_t connections, requests[6] /* by status class, [0] unused */, bytes_in, bytes_out;
    uint64_t streams, accepted, refused; /* open event streams; connections taken and refused since the start */
    uint64_t latency[API_LATENCY_BUCKETS], latency_sum_us; /* counts of each bucket alone */
};
void api_stats(const struct api *a, struct api_stats *out);

#endif
