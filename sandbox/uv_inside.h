/*
 * What the three files of the libuv rim share: the launcher and its socket (uv_run.c), one sandbox with its pipes
 * (uv_slot.c), one deployment with its calls (uv_pool.c). All callbacks to the owner come from uv_soon or a poll.
 */
#ifndef SOUK_SANDBOX_UV_INSIDE_H
#define SOUK_SANDBOX_UV_INSIDE_H

#include "sandbox/queue.h"
#include "sandbox/run.h"
#include "sandbox/linux.h"
#include "sandbox/uv_run.h"

#include <uv.h>

/* An order on its way to the launcher. */
struct uv_order {
    struct uv_order *next;
    struct buf message;
    int fds[SANDBOX_FDS_MAX];
    size_t fds_count;
    size_t own; /* the first `own` descriptors are closed once sent */
};

struct uv_sandbox {
    uv_loop_t *loop;
    struct uv_sandbox_options options;
    int socket;
    uv_pid_t launcher;
    uv_poll_t *poll;           /* of the socket; NULL: no launcher                 */
    uv_timer_t timer, soon;
    bool has_layers, closing;
    unsigned deaths;           /* of launchers that never said hello               */
    struct sandbox_layers layers;
    struct uv_order *orders, **orders_end;
    struct uv_pool *pools;
    uint32_t slots_count;
    uint64_t next_slot;
    size_t handles;            /* open ones of timer and soon                      */
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* One end of a pipe to a program. */
struct uv_end {
    uv_poll_t poll;
    struct uv_slot *slot;
    int fd; /* -1: closed */
};

/* One sandbox. */
struct uv_slot {
    struct uv_slot *next;
    struct uv_pool *pool;
    uint64_t id;
    struct run *run;
    struct uv_pending *call; /* what runs in it                        */
    struct uv_end in, out, err;
    unsigned open;           /* ends not yet closed                    */
    bool over, draining;
    int pid;                 /* of a worker's program; 0: not known    */
    uint64_t cpu_us;         /* its cpu time when its request began;   */
                             /* UINT64_MAX: not known then             */
};

/* A call from its start to its `done`. */
struct uv_pending {
    struct uv_pending *next;
    uint64_t id;
    struct uv_call call;
    struct buf input;
    uint64_t queued_us, until_us; /* until_us: UINT64_MAX: no bound of its own */
    struct uv_slot *slot;         /* NULL: waits                               */
    bool cancelled;
};

struct uv_pool {
    struct uv_pool *next;
    struct uv_sandbox *s;
    struct uv_pool_options options; /* spec is NULL: taken apart into what follows */
    struct run_config config;
    enum sandbox_weak weak;
    struct buf order;               /* a packed order; kind, id and lifetime change */
    struct sandbox_file *files;     /* the executable, then files of mounts         */
    size_t files_count;
    struct fair_queue queue;
    struct uv_pending *calls;
    struct uv_slot *slots;
    uint64_t next_call;
    size_t waiting_bytes;           /* of input                                         */
    struct uv_pool_stats stats;
    bool closing;
};

uint64_t uv_now_us(void);

/* uv_run.c */
void sandbox_soon(struct uv_sandbox *s);               /* everything that waits is looked at, from the loop */
void sandbox_send(struct uv_sandbox *s, struct uv_order *order); /* takes it                                */
void sandbox_rearm(struct uv_sandbox *s);
void sandbox_stuck(struct uv_sandbox *s);              /* the launcher does not answer: it is ended          */

/* uv_slot.c */
struct uv_slot *slot_new(struct uv_pool *pool, enum run_mode mode);
void slot_feed(struct uv_slot *slot, const struct run_event *event); /* and drains; may free the slot       */
void slot_drain(struct uv_slot *slot);
uint64_t slot_cpu_us(const struct uv_slot *slot);      /* of a worker's program so far; 0: not known        */
void slot_notice(struct uv_slot *slot, const struct sandbox_notice *notice);

/* uv_pool.c */
void pool_pump(struct uv_pool *pool);                  /* starts what can start                             */
void pool_done(struct uv_slot *slot, struct sandbox_result *result);
void pool_chunk(struct uv_slot *slot, struct bytes piece);
void pool_slot_gone(struct uv_slot *slot);
enum err pool_files_check(struct uv_pool *pool, struct buf *why);
uint64_t pool_deadline(const struct uv_pool *pool);
void pool_tick(struct uv_pool *pool, uint64_t now_us);
bool pool_reap(struct uv_pool *pool);                  /* true: closing and empty: it was freed             */

#endif
