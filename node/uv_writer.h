/*
 * The one thread that writes the store. The loop hands it one job at a time and hears of its end on the loop's thread.
 */
#ifndef SOUK_NODE_UV_WRITER_H
#define SOUK_NODE_UV_WRITER_H

#include "store/store.h"

struct uv_loop_s;
struct uv_writer;

/* `done` runs on the loop's thread, once for each job; job is NULL after a reopening. */
struct uv_writer *uv_writer_new(struct uv_loop_s *loop, struct store *store,
                                void (*done)(void *ctx, struct store_job *job, enum err err), void *ctx);
/* Runs a job; NULL: reopens the store after a refused write. One at a time (asserted). */
void uv_writer_run(struct uv_writer *w, struct store_job *job);
bool uv_writer_busy(const struct uv_writer *w);
/* Waits for the job under way, ends the thread; w is freed when the loop has let go of it. `done` is not called any more. */
void uv_writer_close(struct uv_writer *w);

#endif
