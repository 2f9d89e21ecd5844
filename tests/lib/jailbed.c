/*
 * The test bed of the sandbox, on a loop of its own.
 */
#include "tests/lib/jailbed.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The loop of the bed that is open: a callback that came before a poll must not leave the poll waiting. */
static uv_loop_t *current;

static void on_ready(void *ctx, const struct sandbox_layers *layers)
{
    struct jailbed *bed = ctx;
    bed->layers = *layers;
    bed->ready = true;
    bed->readies++;
    uv_stop(&bed->loop);
}

static const char *build_path(const char *name, char *out, size_t size)
{
    const char *build = getenv("SOUK_BUILD");
    snprintf(out, size, "%s/%s", build != NULL ? build : "build", name);
    char *real = realpath(out, NULL);
    if (real == NULL) {
        fprintf(stderr, "%s is not there: set SOUK_BUILD\n", out);
        exit(1);
    }
    snprintf(out, size, "%s", real);
    free(real);
    return out;
}

void jailbed_open(struct jailbed *bed)
{
    char path[512];
    struct buf why = {0};
    memset(bed, 0, sizeof *bed);
    build_path("souk", bed->launcher, sizeof bed->launcher);
    if (sandbox_file_open(build_path("tests/hostile", path, sizeof path), &bed->hostile, &why) != ERR_OK) {
        fprintf(stderr, "%s\n", buf_cstr(&why));
        exit(1);
    }
    uv_loop_init(&bed->loop);
    current = &bed->loop;
    const struct uv_sandbox_options options = {.launcher = bed->launcher, .ctx = bed, .ready = on_ready};
    if (uv_sandbox_new(&bed->loop, &options, &why, &bed->s) != ERR_OK) {
        fprintf(stderr, "%s\n", buf_cstr(&why));
        exit(1);
    }
    while (!bed->ready)
        uv_run(&bed->loop, UV_RUN_ONCE);
    for (int i = 0; i < SANDBOX_LAYER_COUNT; i++) {
        if (!bed->layers.active[i])
            printf("layer %s is missing: %s\n", sandbox_layer_name((enum sandbox_layer)i), bed->layers.missing[i]);
    }
    fflush(stdout);
    if (!bed->layers.active[SANDBOX_LAYER_USER]) {
        printf("skipped: no sandbox can be made here\n");
        exit(77);
    }
    buf_close(&why);
}

void jailbed_close(struct jailbed *bed)
{
    uv_sandbox_close(bed->s, NULL, NULL);
    while (uv_run(&bed->loop, UV_RUN_DEFAULT) != 0) {
    }
    int busy = uv_loop_close(&bed->loop);
    assert(busy == 0);
    (void)busy;
    sandbox_file_close(&bed->hostile);
}

struct sandbox_spec jailbed_spec(const struct jailbed *bed, const char *const *arguments)
{
    static const char *argv[SANDBOX_ARGS_MAX];
    size_t n = 0;
    argv[n++] = "hostile";
    for (size_t i = 0; arguments[i] != NULL; i++)
        argv[n++] = arguments[i];
    argv[n] = NULL;
    return (struct sandbox_spec){
        .exe = &bed->hostile,
        .argv = argv,
        .limits = {.wall_ms = 20000, .memory_bytes = 64u << 20, .processes = 32, .tmp_bytes = 8u << 20},
        .input = SANDBOX_BYTES,
        .output = SANDBOX_TEXT,
        .weak = bed->layers.active[SANDBOX_LAYER_CGROUP_MEMORY] ? SANDBOX_STRICT : SANDBOX_WEAK};
}

static void on_chunk(void *ctx, struct bytes piece)
{
    struct jail_result *out = ctx;
    assert(!out->done);
    buf_put_bytes(&out->chunks, piece);
    out->chunk_count++;
}

static void on_done(void *ctx, const struct sandbox_result *result)
{
    struct jail_result *out = ctx;
    assert(!out->done);
    out->done = true;
    out->r = *result;
    out->at_us = uv_hrtime() / 1000;
    uv_stop(current);
    buf_put_bytes(&out->output, result->output);
    buf_put_bytes(&out->errors, result->errors);
    buf_put_str(&out->detail, result->detail);
    out->r.output = buf_view(&out->output);
    out->r.errors = buf_view(&out->errors);
    out->r.detail = buf_cstr(&out->detail);
    (void)buf_cstr(&out->output);
    (void)buf_cstr(&out->errors);
}

void jailbed_call(struct uv_pool *pool, struct bytes input, uint64_t caller, struct jail_result *out)
{
    memset(out, 0, sizeof *out);
    const struct uv_call call = {.input = input, .caller = caller, .ctx = out, .chunk = on_chunk, .done = on_done};
    enum err err = uv_pool_call(pool, &call, &out->id);
    if (err != ERR_OK) {
        fprintf(stderr, "a call was refused: %s\n", err_text(err));
        exit(1);
    }
}

void jailbed_wait(struct jailbed *bed, const struct jail_result *result)
{
    while (!result->done)
        uv_run(&bed->loop, UV_RUN_ONCE);
}

static void on_pause(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

void jailbed_wait_ms(struct jailbed *bed, uint64_t ms)
{
    bool over = false;
    uv_timer_t timer;
    uv_timer_init(&bed->loop, &timer);
    timer.data = &over;
    uv_update_time(&bed->loop);
    uv_timer_start(&timer, on_pause, ms, 0);
    while (!over)
        uv_run(&bed->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&bed->loop, UV_RUN_NOWAIT);
}

struct uv_pool *jailbed_pool(struct jailbed *bed, const struct uv_pool_options *options)
{
    struct uv_pool *pool = NULL;
    struct buf why = {0};
    if (uv_pool_new(bed->s, options, &why, &pool) != ERR_OK) {
        fprintf(stderr, "%s\n", buf_cstr(&why));
        exit(1);
    }
    buf_close(&why);
    return pool;
}

void jailbed_run(struct jailbed *bed, const struct sandbox_spec *spec, struct bytes input, struct jail_result *out)
{
    const struct uv_pool_options options = {.spec = spec};
    struct uv_pool *pool = jailbed_pool(bed, &options);
    jailbed_call(pool, input, 0, out);
    jailbed_wait(bed, out);
    uv_pool_close(pool);
}

void jail_result_close(struct jail_result *result)
{
    buf_close(&result->output);
    buf_close(&result->errors);
    buf_close(&result->detail);
    buf_close(&result->chunks);
}

int jailbed_launcher_pid(void)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "r");
    int pid = 0, found = 0;
    while (f != NULL && fscanf(f, "%d", &pid) == 1) {
        snprintf(path, sizeof path, "/proc/%d/comm", pid);
        FILE *comm = fopen(path, "r");
        if (comm != NULL && fgets(line, sizeof line, comm) != NULL && strncmp(line, "souk-launcher", 13) == 0)
            found = pid;
        if (comm != NULL)
            fclose(comm);
    }
    if (f != NULL)
        fclose(f);
    return found;
}
