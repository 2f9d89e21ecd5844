/*
 * The node as the HTTP API sees it: answers api_call from the store, the mesh and the write queue. What only the
 * process around it knows (tokens, author keys, admin verbs, worker threads) comes through a table of hooks.
 */
#ifndef SOUK_NODE_BACKEND_H
#define SOUK_NODE_BACKEND_H

#include "api/api.h"
#include "node/node.h"

struct backend;

struct backend_hooks {
    void *ctx;
    /* The author that a token signs as; `as` names one for the admin socket (empty: "publisher"). NULL: none such. */
    struct author *(*author)(void *ctx, uint64_t token, struct bytes as);
    /* The i-th author key of this node, in any order that stays; NULL after the last. */
    struct author *(*author_at)(void *ctx, size_t i);
    /* api_backend.token, passed on. */
    unsigned (*token)(void *ctx, struct bytes bearer, uint64_t *token, unsigned *retry_s);
    /* Admin verbs that the backend does not know itself. Must end in api_call_done, then or later. */
    void (*admin)(void *ctx, struct api_call *call);
    /* API_INVOKE. Must end in api_call_done, then or later. NULL: nothing is deployed here and nobody is asked. */
    void (*invoke)(void *ctx, struct api_call *call);
    /* Nobody waits for this call any more; it must still end in api_call_done. May be NULL. */
    void (*cancel)(void *ctx, struct api_call *call);
    /* Runs work(arg) off the event loop, then done(arg) on it, both exactly once; then drains the node (done may queue
     * writes). Running both at once is allowed. */
    void (*defer)(void *ctx, void (*work)(void *arg), void (*done)(void *arg), void *arg);
    /* Checks of readiness that only the process knows (disk space and the like): appends to the JSON array of checks,
     * returns false if one failed. May be NULL. */
    bool (*ready)(void *ctx, struct buf *checks);
    /* Text appended to /metrics (process_*). May be NULL. */
    void (*metrics)(void *ctx, struct buf *out);
};

struct backend_config {
    struct key node;            /* served_by */
    const char *name;
    const char *version;
    struct id mesh;
    uint64_t started_ms;        /* monotonic */
    uint8_t cursor_secret[32];  /* authenticates list cursors: this node's alone */
    char address[NET_ADDR_MAX]; /* at which newcomers reach this node; "": none */
    uint8_t seed[32];           /* for the secrets of invitations */
};

struct backend *backend_new(struct node *node, struct store *store, const struct backend_config *config,
                            const struct backend_hooks *hooks);
void backend_free(struct backend *b);
struct api_backend backend_api(struct backend *b);
void backend_set_api(struct backend *b, struct api *api); /* for /metrics */
/* A mesh that was founded here: its charter, and in one of members this node's own keys, unless it is there already. */
struct backend_founding {
    struct author *founder;
    enum mesh_admission admission;
};
SOUK_MUST_USE enum err backend_found(struct backend *b, const struct backend_founding *f);
/* A newcomer's application, as NODE_JOIN gave it; the answer goes to the mesh engine, now or after a commit. */
void backend_join(struct backend *b, uint64_t conn, const struct key *node, struct bytes application);
/* Appends that this node has no author key of that name, and where the names are. */
void backend_no_author(struct buf *why, struct bytes name);
/* Entries about members changed: the next drain looks whether an invitation brought in two newcomers. */
void backend_members_changed(struct backend *b);
/* Answers calls whose writes were committed. Call after draining the node's actions. */
void backend_drain(struct backend *b, uint64_t now_ms);
/* Members of a JSON object, without braces: how peers get to this node, and whom it turned away. Appended. */
void backend_put_reach(struct backend *b, struct buf *out);
/* From now on readyz fails (graceful stop). */
void backend_stop(struct backend *b);

#endif
