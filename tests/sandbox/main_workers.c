/*
 * Resident workers through the real launcher: they stay loaded, answer in turn, and are ended for whatever they do wrong.
 */
#include "tests/lib/jailbed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int faults;

static void expect_at(int line, bool holds, const char *what, const struct jail_result *r)
{
    if (holds)
        return;
    printf("FAULT line %d: %s\n", line, what);
    if (r != NULL && r->done)
        printf("  %s code %d \"%s\" output \"%.300s\"\n", sandbox_status_name(r->r.status), r->r.code, r->r.detail,
               r->output.p != NULL ? (const char *)r->output.p : "");
    fflush(stdout);
    faults++;
}
#define EXPECT(holds, result) expect_at(__LINE__, holds, #holds, result)

static struct uv_pool *workers(struct jailbed *bed, const char *how, uint32_t count, uint64_t idle_ms)
{
    const char *const arguments[] = {"worker", how, NULL};
    struct sandbox_spec spec = jailbed_spec(bed, arguments);
    spec.input = spec.output = SANDBOX_JSON;
    spec.limits.wall_ms = strcmp(how, "hang") == 0 ? 300 : 20000;
    const struct uv_pool_options options = {.spec = &spec, .workers = count, .queue_max = 8, .idle_ms = idle_ms};
    return jailbed_pool(bed, &options);
}

/* {"pid":P,"request":N} */
static bool answer(const struct jail_result *r, int *pid, int *request)
{
    return r->r.status == SANDBOX_OK &&
           sscanf((const char *)r->output.p, "{\"pid\":%d,\"request\":%d}", pid, request) == 2;
}

static void ask(struct jailbed *bed, struct uv_pool *pool, struct jail_result *r)
{
    jailbed_call(pool, bytes_str("{\"x\":\n1}"), 1, r);
    jailbed_wait(bed, r);
}

static void stays_loaded(struct jailbed *bed)
{
    struct uv_pool *pool = workers(bed, "well", 1, 0);
    struct jail_result r;
    for (int i = 1; i <= 5; i++) {
        int pid = 0, request = 0;
        ask(bed, pool, &r);
        EXPECT(answer(&r, &pid, &request) && request == i, &r);
        EXPECT(r.chunk_count == 1 && bytes_eq(buf_view(&r.chunks), r.r.output), &r);
        jail_result_close(&r);
    }
    struct uv_pool_stats stats;
    uv_pool_stats(pool, &stats);
    EXPECT(stats.started == 1 && stats.workers == 1 && stats.killed == 0, NULL);
    uv_pool_close(pool);
}

/* The cpu time of a request is its own, not that of the worker's life; it is known soon after the worker's start. */
static void cpu_of_a_request(struct jailbed *bed)
{
    struct uv_pool *pool = workers(bed, "busy", 1, 0);
    struct jail_result r;
    for (int known = 0, i = 0; known < 3 && i < 200; i++) {
        ask(bed, pool, &r);
        EXPECT(r.r.status == SANDBOX_OK, &r);
        known += r.r.cpu_us > 0;
        EXPECT(r.r.cpu_us == 0 || (r.r.cpu_us > 1000 && r.r.cpu_us <= r.r.wall_us + 1000), &r);
        EXPECT(i < 199, &r);
        jail_result_close(&r);
    }
    uv_pool_close(pool);
}

/* Each fault ends the worker; the next request gets a fresh one. */
static void faulty(struct jailbed *bed, const char *how, enum sandbox_status status, int code)
{
    struct uv_pool *pool = workers(bed, how, 1, 0);
    struct uv_pool_stats stats;
    struct jail_result r;
    for (uint64_t i = 1; i <= 2; i++) {
        ask(bed, pool, &r);
        EXPECT(r.r.status == status && r.r.code == code, &r);
        uv_pool_stats(pool, &stats);
        EXPECT(stats.started == i, NULL);
        jail_result_close(&r);
    }
    uv_pool_close(pool);
}

/* Its own error is an answer like another: the worker stays. */
static void own_error(struct jailbed *bed)
{
    struct uv_pool *pool = workers(bed, "error", 1, 0);
    struct uv_pool_stats stats;
    struct jail_result r;
    for (int i = 0; i < 2; i++) {
        ask(bed, pool, &r);
        EXPECT(r.r.status == SANDBOX_EXIT && r.r.code == 1 && strcmp(r.r.detail, "no such word") == 0, &r);
        jail_result_close(&r);
    }
    uv_pool_stats(pool, &stats);
    EXPECT(stats.started == 1, NULL);
    uv_pool_close(pool);
}

static void ends_when_idle(struct jailbed *bed)
{
    struct uv_pool *pool = workers(bed, "well", 2, 100);
    struct uv_pool_stats stats;
    struct jail_result r;
    ask(bed, pool, &r);
    EXPECT(r.r.status == SANDBOX_OK, &r);
    jail_result_close(&r);
    do {
        jailbed_wait_ms(bed, 20);
        uv_pool_stats(pool, &stats);
    } while (stats.workers > 0);
    ask(bed, pool, &r);
    EXPECT(r.r.status == SANDBOX_OK, &r);
    jail_result_close(&r);
    uv_pool_close(pool);
}

/* One caller's many do not delay another's one by more than one of them; the queue is bounded. */
static void fair(struct jailbed *bed)
{
    struct uv_pool *pool = workers(bed, "well", 1, 0);
    struct jail_result many[4], one, refused = {.done = false};
    for (int i = 0; i < 4; i++)
        jailbed_call(pool, bytes_str("1"), 1, &many[i]);
    const struct uv_call fifth = {
        .input = bytes_str("1"), .caller = 1, .done = (void (*)(void *, const struct sandbox_result *))abort};
    uint64_t id;
    EXPECT(uv_pool_call(pool, &fifth, &id) == ERR_BUSY, NULL);
    jailbed_call(pool, bytes_str("1"), 2, &one);
    jailbed_wait(bed, &one);
    for (int i = 0; i < 4; i++)
        jailbed_wait(bed, &many[i]);
    int pid = 0, request = 0;
    EXPECT(answer(&one, &pid, &request) && request == 2, &one);
    for (int i = 0; i < 4; i++)
        jail_result_close(&many[i]);
    jail_result_close(&one);
    jail_result_close(&refused);
    uv_pool_close(pool);
}

static void frames(struct jailbed *bed)
{
    static uint8_t large[500000];
    const char *const arguments[] = {"frames", NULL};
    struct sandbox_spec spec = jailbed_spec(bed, arguments);
    struct jail_result r;
    spec.output = SANDBOX_BYTES;
    const struct uv_pool_options options = {.spec = &spec, .workers = 2, .frames = SANDBOX_FRAMES};
    struct uv_pool *pool = jailbed_pool(bed, &options);
    memset(large, 0xA5, sizeof large);
    const struct bytes inputs[] = {bytes_of("", 0), bytes_of("a\0b\n", 4), bytes_of(large, sizeof large)};
    for (size_t i = 0; i < 3; i++) {
        jailbed_call(pool, inputs[i], i, &r);
        jailbed_wait(bed, &r);
        EXPECT(r.r.status == SANDBOX_OK && bytes_eq(r.r.output, inputs[i]), &r);
        jail_result_close(&r);
    }
    uv_pool_close(pool);
}

static void parallel(struct jailbed *bed)
{
    struct uv_pool *pool = workers(bed, "well", 2, 0);
    struct jail_result r[6];
    struct uv_pool_stats stats;
    for (int i = 0; i < 6; i++)
        jailbed_call(pool, bytes_str("1"), (uint64_t)i, &r[i]);
    for (int i = 0; i < 6; i++) {
        jailbed_wait(bed, &r[i]);
        EXPECT(r[i].r.status == SANDBOX_OK, &r[i]);
        jail_result_close(&r[i]);
    }
    uv_pool_stats(pool, &stats);
    EXPECT(stats.started == 2 && stats.workers == 2, NULL);
    uv_pool_close(pool);
}

int main(void)
{
    struct jailbed bed;
    jailbed_open(&bed);
    stays_loaded(&bed);
    cpu_of_a_request(&bed);
    faulty(&bed, "hang", SANDBOX_TIMEOUT, 0);
    faulty(&bed, "wrong", SANDBOX_BAD_OUTPUT, 0);
    faulty(&bed, "junk", SANDBOX_BAD_OUTPUT, 0);
    faulty(&bed, "large", SANDBOX_OUTPUT_LIMIT, 0);
    faulty(&bed, "die", SANDBOX_EXIT, 9);
    faulty(&bed, "silent", SANDBOX_BAD_OUTPUT, 0);
    faulty(&bed, "twice", SANDBOX_OK, 0);
    own_error(&bed);
    ends_when_idle(&bed);
    fair(&bed);
    frames(&bed);
    parallel(&bed);
    jailbed_close(&bed);
    printf("%d faults\n", faults);
    return faults != 0;
}
