/*
 * A thread with a slot for one job, and an async handle back to the loop.
 */
#include "node/uv_writer.h"

#include "crdt/alloc.h"
#include "node/node.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

enum slot { SLOT_FREE, SLOT_GIVEN, SLOT_DONE, SLOT_STOP };

struct uv_writer {
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t given;
    uv_async_t async;
    enum slot slot; /* under mutex */
    bool busy;      /* the loop's: from uv_writer_run to done */
    bool closing;   /* the loop's */
    struct store *store;
    struct store_job *job;
    enum err err;
    void (*done)(void *ctx, struct store_job *job, enum err err);
    void *ctx;
};

static void writer_thread(void *arg)
{
    struct uv_writer *w = arg;
    uv_mutex_lock(&w->mutex);
    for (;;) {
        while (w->slot != SLOT_GIVEN && w->slot != SLOT_STOP)
            uv_cond_wait(&w->given, &w->mutex);
        if (w->slot == SLOT_STOP)
            break;
        struct store_job *job = w->job;
        uv_mutex_unlock(&w->mutex);
        enum err err = job != NULL ? node_job_run(w->store, job) : store_reopen(w->store);
        uv_mutex_lock(&w->mutex);
        w->err = err;
        if (w->slot == SLOT_GIVEN)
            w->slot = SLOT_DONE;
        uv_async_send(&w->async);
    }
    uv_mutex_unlock(&w->mutex);
}

static void on_async(uv_async_t *async)
{
    struct uv_writer *w = async->data;
    uv_mutex_lock(&w->mutex);
    bool done = w->slot == SLOT_DONE;
    if (done)
        w->slot = SLOT_FREE;
    uv_mutex_unlock(&w->mutex);
    if (!done || w->closing)
        return;
    w->busy = false;
    w->done(w->ctx, w->job, w->err);
}

struct uv_writer *uv_writer_new(struct uv_loop_s *loop, struct store *store,
                                void (*done)(void *ctx, struct store_job *job, enum err err), void *ctx)
{
    struct uv_writer *w = mem_zalloc(sizeof *w);
    w->store = store;
    w->done = done;
    w->ctx = ctx;
    w->async.data = w;
    uv_mutex_init(&w->mutex);
    uv_cond_init(&w->given);
    uv_async_init(loop, &w->async, on_async);
    int failed = uv_thread_create(&w->thread, writer_thread, w);
    if (failed != 0)
        abort(); /* no thread, no node */
    return w;
}

void uv_writer_run(struct uv_writer *w, struct store_job *job)
{
    assert(!w->busy && !w->closing);
    w->busy = true;
    uv_mutex_lock(&w->mutex);
    assert(w->slot == SLOT_FREE);
    w->job = job;
    w->slot = SLOT_GIVEN;
    uv_cond_signal(&w->given);
    uv_mutex_unlock(&w->mutex);
}

bool uv_writer_busy(const struct uv_writer *w)
{
    return w->busy;
}

static void on_closed(uv_handle_t *handle)
{
    struct uv_writer *w = handle->data;
    uv_mutex_destroy(&w->mutex);
    uv_cond_destroy(&w->given);
    free(w);
}

void uv_writer_close(struct uv_writer *w)
{
    if (w == NULL)
        return;
    w->closing = true;
    uv_mutex_lock(&w->mutex);
    w->slot = SLOT_STOP;
    uv_cond_signal(&w->given);
    uv_mutex_unlock(&w->mutex);
    uv_thread_join(&w->thread);
    uv_close((uv_handle_t *)&w->async, on_closed);
}
