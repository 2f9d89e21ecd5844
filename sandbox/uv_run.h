/*
 * The sandbox on a libuv loop. `struct uv_sandbox` is one launcher process and everything that runs through it; one a
 * node. `struct uv_pool` is one deployment: a program, how many of it may run at once, who waits for it. Each call is
 * one invocation and ends with exactly one `done`.
 *
 * Callbacks come from the loop, never from within a function below, so these may be called from anywhere on its thread.
 * The launcher is a small process of its own (it, and everything it started, ends when the node ends); should it
 * die, running calls end as `setup` with started = true and another one is started.
 */
#ifndef SOUK_SANDBOX_UV_RUN_H
#define SOUK_SANDBOX_UV_RUN_H

#include "crdt/err.h"
#include "sandbox/sandbox.h"

#define SANDBOX_WAITING_MAX (64u << 20) /* bytes of input in the queue of a pool; one call always fits */

struct uv_loop_s;
struct uv_sandbox;
struct uv_pool;

struct uv_sandbox_options {
    const char *launcher; /* the program that understands SANDBOX_LAUNCHER_VERB (linux.h); NULL: /proc/self/exe; must outlive this */
    uint32_t runs_max;    /* sandboxes at a time; 0: 64; at most SANDBOX_RUNS_MAX                       */
    void *ctx;
    /* The self-test is through, some milliseconds after the start (and again after a restart of the launcher).
     * May be NULL. Calls made before wait for it. */
    void (*ready)(void *ctx, const struct sandbox_layers *layers);
};

/* Starts the launcher. Independent of how large the calling process is. ERR_IO: `why` says what failed. */
SOUK_MUST_USE enum err uv_sandbox_new(struct uv_loop_s *loop, const struct uv_sandbox_options *options,
                                      struct buf *why, struct uv_sandbox **out);

/* The result of the self-test; NULL until it is through. */
const struct sandbox_layers *uv_sandbox_layers(const struct uv_sandbox *s);

/* Ends all runs (calls end as CANCELLED from the loop), then the launcher; frees pools and itself when the loop has run
 * the handles out. `closed` may be NULL. */
void uv_sandbox_close(struct uv_sandbox *s, void (*closed)(void *ctx), void *ctx);

struct uv_pool_options {
    const struct sandbox_spec *spec; /* copied                                                           */
    uint32_t parallel;    /* runs at once, PER CALL mode; 0: 4                                            */
    uint32_t prebuilt;    /* of them, sandboxes kept built and empty, waiting for a call; 0: none         */
    uint32_t workers;     /* > 0: RESIDENT mode: at most this many loaded workers                        */
    enum sandbox_frames frames; /* RESIDENT mode                                                          */
    uint32_t queue_max;   /* calls that wait; 0: 64. One caller takes at most half of it                  */
    uint64_t idle_ms;     /* a worker without a request for this long is ended; 0: 300 000                */
};

/* One deployment. ERR_INVALID as sandbox_spec_check; layers are judged at each start (then `setup`). */
SOUK_MUST_USE enum err uv_pool_new(struct uv_sandbox *s, const struct uv_pool_options *options, struct buf *why,
                                   struct uv_pool **out);

/* Ends its runs (CANCELLED) and frees it when they are gone. */
void uv_pool_close(struct uv_pool *pool);

struct uv_pool_stats {
    uint32_t running; /* calls in a sandbox now      */
    uint32_t waiting; /* calls in the queue          */
    uint32_t workers; /* workers loaded or loading   */
    uint64_t started; /* sandboxes since the start   */
    uint64_t killed;  /* of them ended by force      */
};
void uv_pool_stats(const struct uv_pool *pool, struct uv_pool_stats *out);

struct uv_call {
    struct bytes input;   /* copied; at most SANDBOX_INPUT_MAX                                           */
    uint64_t caller;      /* who asks (a hash of token or peer): callers are served in turn              */
    uint64_t within_ms;   /* from now, the wait included; 0: only the deployment's wall time, from its start */
    void *ctx;
    /* Output as it comes (PER CALL mode; a worker's answer comes as one chunk), before it is known to be of its kind.
     * NULL: only at the end. Never after `done`. */
    void (*chunk)(void *ctx, struct bytes piece);
    /* Required. The call is over; `result` is borrowed. */
    void (*done)(void *ctx, const struct sandbox_result *result);
};

/* Queues or starts a call; `id` names it until its `done`. ERR_BUSY: the queue (or this caller's half of it) is full.
 * More than SANDBOX_WAITING_MAX bytes of input wait: ERR_BUSY too. ERR_TOO_LARGE: the input. Nothing was started then and
 * `done` is not called. */
SOUK_MUST_USE enum err uv_pool_call(struct uv_pool *pool, const struct uv_call *call, uint64_t *id);

/* The caller went away: ends the call as CANCELLED (its `done` still comes). Unknown ids are ignored. */
void uv_pool_cancel(struct uv_pool *pool, uint64_t id);

#endif
