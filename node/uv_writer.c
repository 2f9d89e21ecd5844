/*
 * A thread with room for one job, and an async handle back to the loop. The job is handed over by a semaphore: a lock would
 * wake the thread only to have it wait for the one who woke it.
 */
#include "node/uv_writer.h"

#include "crdt/alloc.h"
#include "node/node.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

struct uv_writer {
    uv_thread_t thread;
    uv_sem_t given;   /* a job, or the order to stop */
    atomic_bool done; /* the job's result is there for the loop */
    atomic_bool stop;
    uv_async_t async;
    bool busy;        /* the loop's: from uv_writer_run to done */
    bool closing;     /* the loop's */
    struct store *store;
    struct store_job *job; /* the loop's until given, the thread's until done */
    enum err err;
    void (*report)(void *ctx, struct store_job *job, enum err err);
    void *ctx;
};

static void writer_thread(void *arg)
{
    struct uv_writer *w = arg;
    for (;;) {
        uv_sem_wait(&w->given);
        if (atomic_load(&w->stop))
            break;
        w->err = w->job != NULL ? node_job_run(w->store, w->job) : store_reopen(w->store);
        atomic_store(&w->done, true);
        uv_async_send(&w->async);
    }
}

static void on_async(uv_async_t *async)
{
    struct uv_writer *w = async->data;
    if (!atomic_exchange(&w->done, false) || w->closing)
        return;
    w->busy = false;
    w->report(w->ctx, w->job, w->err);
}

struct uv_writer *uv_writer_new(struct uv_loop_s *loop, struct store *store,
                                void (*done)(void *ctx, struct store_job *job, enum err err), void *ctx)
{
    struct uv_writer *w = mem_zalloc(sizeof *w);
    w->store = store;
    w->report = done;
    w->ctx = ctx;
    w->async.data = w;
    uv_async_init(loop, &w->async, on_async);
    if (uv_sem_init(&w->given, 0) != 0 || uv_thread_create(&w->thread, writer_thread, w) != 0)
        abort(); /* no thread, no node */
    return w;
}

void uv_writer_run(struct uv_writer *w, struct store_job *job)
{
    assert(!w->busy && !w->closing);
    w->busy = true;
    w->job = job;
    uv_sem_post(&w->given);
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

void uv_writer_close(struct uv_writer *w)
{
    if (w == NULL)
        return;
    w->closing = true;
    atomic_store(&w->stop, true);
    uv_sem_post(&w->given);
    uv_thread_join(&w->thread);
    uv_close((uv_handle_t *)&w->async, on_closed);
}
