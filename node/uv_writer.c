/*
 * A thread with room for one job, and an async handle back to the loop. The job is handed over by a semaphore: a lock would
 * wake the thread only to have it wait for the one who woke it.
 *
 * A lone write takes hardly longer than its fsync, and to wake a processor that went to sleep meanwhile costs half as much
 * again. So both sides poll for each other before they sleep, within the bounds of node/spin.h: not at all while nothing is
 * written, nor while jobs take long, and always offering the processor to whoever has work. The loop serves everything else
 * while it polls: an idle handle only keeps it from sleeping.
 */
#include "node/uv_writer.h"

#include "crdt/alloc.h"
#include "node/node.h"
#include "node/spin.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <threads.h>
#include <uv.h>

struct uv_writer {
    uv_thread_t thread;
    uv_sem_t given;   /* a job, or the order to stop */
    atomic_bool done; /* the job's result is there for the loop */
    atomic_bool stop;
    uv_async_t async;
    bool busy;        /* the loop's: from uv_writer_run to done */
    bool closing;     /* the loop's */
    uv_idle_t idle;   /* the loop polls while it is started */
    uint64_t since_ns; /* the loop's: when the last job was given, or was done */
    uint64_t job_us, pause_us; /* the loop's bounds: of polling for a job's end, and for the next job */
    bool alone;       /* there is one processor: polling would keep the other side from its work */
    struct store *store;
    struct store_job *job; /* the loop's until given, the thread's until done */
    enum err err;
    void (*report)(void *ctx, struct store_job *job, enum err err);
    void *ctx;
};

static uint64_t next_bound(const struct uv_writer *w, uint64_t bound_us, uint64_t since_ns)
{
    return w->alone ? 0 : spin_next(bound_us, (uv_hrtime() - since_ns) / 1000);
}

/* Takes the semaphore; returns the bound of the next wait. */
static uint64_t wait_given(struct uv_writer *w, uint64_t bound_us)
{
    uint64_t start = uv_hrtime();
    bool given = false;
    while (!given && uv_hrtime() - start < bound_us * 1000) {
        given = uv_sem_trywait(&w->given) == 0;
        if (!given)
            thrd_yield();
    }
    if (!given)
        uv_sem_wait(&w->given);
    return next_bound(w, bound_us, start);
}

static void writer_thread(void *arg)
{
    struct uv_writer *w = arg;
    for (uint64_t bound_us = 0;;) {
        bound_us = wait_given(w, bound_us);
        if (atomic_load(&w->stop))
            break;
        w->err = w->job != NULL ? node_job_run(w->store, w->job) : store_reopen(w->store);
        atomic_store(&w->done, true);
        uv_async_send(&w->async);
    }
}

static void on_idle(uv_idle_t *idle);

/* From the hand-over of a job or its end on. */
static void poll_from_now(struct uv_writer *w, uint64_t bound_us)
{
    w->since_ns = uv_hrtime();
    if (bound_us > 0)
        (void)uv_idle_start(&w->idle, on_idle);
    else
        (void)uv_idle_stop(&w->idle);
}

static void take_done(struct uv_writer *w)
{
    if (!atomic_exchange(&w->done, false) || w->closing)
        return;
    w->busy = false;
    w->job_us = next_bound(w, w->job_us, w->since_ns);
    poll_from_now(w, w->pause_us);
    w->report(w->ctx, w->job, w->err);
}

static void on_async(uv_async_t *async)
{
    take_done(async->data);
}

static void on_idle(uv_idle_t *idle)
{
    struct uv_writer *w = idle->data;
    if (atomic_load(&w->done))
        take_done(w);
    else if (uv_hrtime() - w->since_ns >= (w->busy ? w->job_us : w->pause_us) * 1000)
        (void)uv_idle_stop(idle);
    else
        thrd_yield();
}

struct uv_writer *uv_writer_new(struct uv_loop_s *loop, struct store *store,
                                void (*done)(void *ctx, struct store_job *job, enum err err), void *ctx)
{
    struct uv_writer *w = mem_zalloc(sizeof *w);
    w->store = store;
    w->report = done;
    w->ctx = ctx;
    w->async.data = w->idle.data = w;
    w->alone = uv_available_parallelism() < 2;
    w->since_ns = uv_hrtime();
    uv_async_init(loop, &w->async, on_async);
    (void)uv_idle_init(loop, &w->idle);
    if (uv_sem_init(&w->given, 0) != 0 || uv_thread_create(&w->thread, writer_thread, w) != 0)
        abort(); /* no thread, no node */
    return w;
}

void uv_writer_run(struct uv_writer *w, struct store_job *job)
{
    assert(!w->busy && !w->closing);
    w->busy = true;
    w->job = job;
    w->pause_us = next_bound(w, w->pause_us, w->since_ns);
    uv_sem_post(&w->given);
    poll_from_now(w, w->job_us);
}

bool uv_writer_busy(const struct uv_writer *w)
{
    return w->busy;
}

static void on_closed(uv_handle_t *handle)
{
    struct uv_writer *w = handle->data;
    uv_sem_destroy(&w->given);
    free(w);
}

static void on_idle_closed(uv_handle_t *handle)
{
    struct uv_writer *w = handle->data;
    uv_close((uv_handle_t *)&w->async, on_closed);
}

void uv_writer_close(struct uv_writer *w)
{
    if (w == NULL)
        return;
    w->closing = true;
    atomic_store(&w->stop, true);
    uv_sem_post(&w->given);
    uv_thread_join(&w->thread);
    uv_close((uv_handle_t *)&w->idle, on_idle_closed);
}
