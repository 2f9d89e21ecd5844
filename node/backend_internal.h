/*
 * What the parts of the backend share: backend.c (dispatch, entries, writes), backend_read.c (history, changes,
 * writers), backend_status.c (status, readiness, metrics, the page), backend_peers.c, backend_conflicts.c, backend_admin.c
 * (admin verbs), backend_import.c, backend_mesh.c (who is in the mesh) and backend_members.c (changes of it).
 */
#ifndef SOUK_NODE_BACKEND_INTERNAL_H
#define SOUK_NODE_BACKEND_INTERNAL_H

#include "node/backend.h"
#include "node/query.h"

/* An invitation whose newcomer is being admitted. */
#define BACKEND_REDEEMING_MAX 64
struct redeeming {
    struct key name, node;
    uint64_t conn, ticket;
};

struct backend {
    struct node *node;
    struct store *store;
    struct api *api;
    struct backend_config config;
    struct backend_hooks hooks;
    struct query_env env;
    struct answers *answers;   /* of entries asked for by id */
    bool stopping;
    uint64_t now_ms;
    struct rng rng;
    size_t redeeming_count;
    struct redeeming redeeming[BACKEND_REDEEMING_MAX];
    uint64_t redeeming_ticket;
    struct mesh_run *runs;
    bool watch_due, watching;  /* for invitations that were used twice */
    bool hash_known;           /* state_hash below belongs to change number hash_seq */
    uint64_t hash_seq;
    struct id hash;
};

/* Who waits for a write: a call of its own, or one row of an import. The ctx of every node_write. */
struct json_t; /* jansson */
struct import_run;
struct mesh_run;
struct waiter {
    struct api_call *call;
    struct import_run *import; /* or */
    struct mesh_run *mesh;     /* both NULL: the call waits for this write alone */
    size_t row;                /* of an import: its number and name, for a report */
    struct bytes name;
};
struct waiter *backend_waiter(struct api_call *call); /* freed by backend_drain, or by the caller if the write was refused */

/* Appends to the detail why nobody signs this call. */
void backend_not_signed(struct api_call *call);
/* Answer a call. `detail` may be NULL. */
void backend_fail(struct api_call *call, enum err e, const char *detail);
void backend_ok(struct api_call *call);
/* Runs work on a worker thread, its result is the call's; then answers the call. */
void backend_defer(struct backend *b, struct api_call *call,
                   enum err (*work)(struct backend *b, struct api_call *call));
/* ERR_INVALID with a detail in the call where an entry may not be called so. */
SOUK_MUST_USE enum err backend_check_name(struct api_call *call, struct bytes name);

SOUK_MUST_USE enum err backend_put_writers(struct backend *b, struct api_call *call, const struct id *id);
bool backend_is_writer(const struct backend *b, const struct id *entry, const struct key *key);
SOUK_MUST_USE enum err backend_put_changes(struct backend *b, struct api_call *call);
SOUK_MUST_USE enum err backend_work_history(struct backend *b, struct api_call *call);

/* backend_invoke.c */
SOUK_MUST_USE enum err backend_put_receipts(struct backend *b, struct api_call *call);
SOUK_MUST_USE enum err backend_put_receipt(struct backend *b, struct api_call *call);

void backend_status(struct backend *b, struct api_call *call);
void backend_ready(struct backend *b, struct api_call *call);
void backend_metrics(struct backend *b, struct api_call *call);
void backend_dashboard(struct backend *b, struct api_call *call);
void backend_put_peers(struct backend *b, struct buf *out);
void backend_put_copy(const struct backend *b, struct buf *out);
void backend_copy(struct backend *b, struct api_call *call);
void backend_metrics_repair(const struct backend *b, struct buf *out);
void backend_metrics_peers(struct backend *b, struct buf *out);

SOUK_MUST_USE enum err backend_work_conflicts(struct backend *b, struct api_call *call);
void backend_admin(struct backend *b, struct api_call *call);
/* Verbs about the charter and the members; false: not one of them. */
bool backend_mesh(struct backend *b, struct api_call *call);
/* The result of one write of such a verb. */
void backend_mesh_result(struct waiter *w, const struct node_result *r);
/* The string member `name` of the call's JSON body, borrowed from *root; NULL after answering the call. */
const char *backend_text_member(struct api_call *call, const char *name, struct json_t **root);
void backend_import(struct backend *b, struct api_call *call);
/* The result of one row of an import; w belongs to the import. */
void backend_import_result(struct waiter *w, const struct node_result *r);

#endif
