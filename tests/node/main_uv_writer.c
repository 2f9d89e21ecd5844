/*
 * The hand-over between the loop and the writer's thread: every job is reported once, whether the other side polls or sleeps,
 * the loop serves others meanwhile, and neither side polls on when nothing is written any more. A plain program, so that it
 * runs under the thread sanitizer. The jobs are reopenings of a store in memory, which take no time.
 */
#include "node/uv_writer.h"

#include "node/spin.h"
#include "store/kv.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define AT_ONCE   20000 /* jobs, each given when the last one is reported */
#define PAUSED    200   /* jobs with pauses around the bounds of polling */
#define TICKS     20    /* of the timer, which must not starve */
#define LOOKS_MAX 3000 /* in which both sides must be found asleep, 10 ms apart */

struct rig {
    uv_loop_t loop;
    uv_timer_t timer;
    struct uv_writer *writer;
    unsigned reports, ticks, goal;
    bool from_timer; /* jobs are given by the timer, not by the report of the one before */
};

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "uv_writer: %s\n", what);
    exit(1);
}

static void on_done(void *ctx, struct store_job *job, enum err err)
{
    struct rig *r = ctx;
    check(job == NULL && err == ERR_OK, "a job came back as another one");
    check(!uv_writer_busy(r->writer), "it is busy with a job that was reported");
    r->reports++;
    if (r->reports >= r->goal && r->ticks >= TICKS)
        uv_stop(&r->loop);
    else if (!r->from_timer)
        uv_writer_run(r->writer, NULL);
}

static void on_tick(uv_timer_t *timer)
{
    struct rig *r = timer->data;
    r->ticks++;
    if (r->from_timer && !uv_writer_busy(r->writer))
        uv_writer_run(r->writer, NULL);
}

static void jobs(struct rig *r, unsigned goal)
{
    r->reports = r->ticks = 0;
    r->goal = goal;
    uv_timer_start(&r->timer, on_tick, 1, 1);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&r->timer);
    check(!uv_writer_busy(r->writer), "a job is lost");
}

/* Each from the report of the one before: both sides poll. */
static void at_once(struct rig *r)
{
    r->from_timer = false;
    uv_writer_run(r->writer, NULL);
    jobs(r, AT_ONCE);
}

/* A millisecond between them: some meet a thread that polls, some one that sleeps. */
static void paused(struct rig *r)
{
    r->from_timer = true;
    jobs(r, PAUSED);
    check(r->ticks >= r->reports, "a job was reported that was not given");
}

/* Whether no thread but this one runs or is about to; one that polls always is. */
static bool others_sleep(void)
{
    DIR *tasks = opendir("/proc/self/task");
    bool sleep = tasks != NULL;
    for (struct dirent *d; sleep && (d = readdir(tasks)) != NULL;) {
        char path[300], line[512] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/stat", d->d_name);
        FILE *f = d->d_name[0] != '.' && atoi(d->d_name) != getpid() ? fopen(path, "r") : NULL;
        if (f == NULL)
            continue;
        const char *name_end = fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
        sleep = name_end != NULL && name_end[2] == 'S';
        (void)fclose(f);
    }
    if (tasks != NULL)
        (void)closedir(tasks);
    return sleep;
}

static void on_look(uv_timer_t *timer)
{
    struct rig *r = timer->data;
    if (uv_backend_timeout(&r->loop) != 0 && others_sleep())
        uv_stop(&r->loop);
    check(++r->ticks < LOOKS_MAX, "somebody polls on although nothing is written");
}

static void idle(struct rig *r)
{
    r->ticks = 0;
    uv_timer_start(&r->timer, on_look, 10, 10);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    uv_timer_stop(&r->timer);
}

int main(void)
{
    static struct rig r;
    struct kv *kv = kv_mem_new();
    struct store *store;
    check(store_open(&store, kv, &(struct store_config){0}) == ERR_OK, "the store cannot be opened");
    uv_loop_init(&r.loop);
    uv_timer_init(&r.loop, &r.timer);
    r.timer.data = &r;
    r.writer = uv_writer_new(&r.loop, store, on_done, &r);
    at_once(&r);
    idle(&r);
    paused(&r);
    idle(&r);
    r.reports = 0; /* closed with a job under way, which is not reported any more */
    uv_writer_run(r.writer, NULL);
    uv_writer_close(r.writer);
    uv_close((uv_handle_t *)&r.timer, NULL);
    uv_run(&r.loop, UV_RUN_DEFAULT);
    check(r.reports == 0, "a job was reported after the end");
    check(uv_loop_close(&r.loop) == 0, "the loop still holds something");
    store_close(store);
    kv->ops->close(kv);
    return 0;
}
