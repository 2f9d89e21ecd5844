/*
 * What a sandbox costs beside posix_spawn of the same program, measured in turn in one run: made for each call (with pauses, so
 * that the launcher has one ready, and back to back), built ahead for its deployment, and a resident worker's answer.
 *
 *   bench_sandbox [CALLS]      SOUK_BUILD names the build (default: build)
 */
#include "tests/lib/jailbed.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define CALLS_DEFAULT 200
#define CALLS_MAX     20000
#define PAUSE_MS      15

extern char **environ;

static double samples[2][CALLS_MAX];

static double now_us(void)
{
    return (double)uv_hrtime() / 1000;
}

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double *list, size_t n, unsigned percent)
{
    return list[n * percent / 100];
}

static double spawn_once(const char *program)
{
    char *argv[] = {(char *)(uintptr_t)program, NULL};
    pid_t pid;
    double start = now_us();
    if (posix_spawn(&pid, program, NULL, NULL, argv, environ) != 0)
        exit(1);
    waitpid(pid, NULL, 0);
    return now_us() - start;
}

static double call_once(struct jailbed *bed, struct uv_pool *pool, struct bytes input)
{
    struct jail_result r;
    double start = now_us();
    jailbed_call(pool, input, 0, &r);
    jailbed_wait(bed, &r);
    double took = now_us() - start;
    if (r.r.status != SANDBOX_OK) {
        fprintf(stderr, "%s: %s\n", sandbox_status_name(r.r.status), r.r.detail);
        exit(1);
    }
    jail_result_close(&r);
    return took;
}

/* Each call beside a spawn of the same program. */
static void compare(struct jailbed *bed, struct uv_pool *pool, const char *what, size_t calls, uint64_t pause_ms)
{
    call_once(bed, pool, (struct bytes){0});
    for (size_t i = 0; i < calls; i++) {
        if (pause_ms > 0)
            jailbed_wait_ms(bed, pause_ms); /* what is made ahead is made now, not beside what is measured */
        samples[1][i] = spawn_once("/bin/true");
        samples[0][i] = call_once(bed, pool, (struct bytes){0});
    }
    qsort(samples[0], calls, sizeof(double), order);
    qsort(samples[1], calls, sizeof(double), order);
    double half = percentile(samples[0], calls, 50), spawn = percentile(samples[1], calls, 50);
    double best = percentile(samples[0], calls, 10), spawn_best = percentile(samples[1], calls, 10);
    printf("%-34s p10 %6.0f p50 %6.0f p95 %6.0f us; posix_spawn p10 %4.0f p50 %4.0f us; ratio p10 %.2f p50 %.2f\n",
           what, best, half, percentile(samples[0], calls, 95), spawn_best, spawn, best / spawn_best, half / spawn);
    fflush(stdout);
}

static void per_call(struct jailbed *bed, size_t calls)
{
    const char *const argv[] = {"true", NULL};
    struct buf why = {0};
    struct sandbox_file program;
    struct sandbox_spec spec = jailbed_spec(bed, (const char *const[]){NULL});
    if (sandbox_file_open("/bin/true", &program, &why) != ERR_OK)
        exit(1);
    spec.exe = &program;
    spec.argv = argv;
    const struct uv_pool_options plain = {.spec = &spec}, ahead = {.spec = &spec, .prebuilt = 2};
    struct uv_pool *pool = jailbed_pool(bed, &plain);
    compare(bed, pool, "a sandbox for each call", calls, PAUSE_MS);
    compare(bed, pool, "a sandbox for each, back to back", calls, 0);
    uv_pool_close(pool);
    pool = jailbed_pool(bed, &ahead);
    compare(bed, pool, "a sandbox built ahead", calls, PAUSE_MS);
    uv_pool_close(pool);
    sandbox_file_close(&program);
}

static void resident(struct jailbed *bed, size_t calls)
{
    const char *const arguments[] = {"worker", "well", NULL};
    struct sandbox_spec spec = jailbed_spec(bed, arguments);
    spec.input = spec.output = SANDBOX_JSON;
    const struct uv_pool_options options = {.spec = &spec, .workers = 1};
    struct uv_pool *pool = jailbed_pool(bed, &options);
    call_once(bed, pool, bytes_str("1"));
    for (size_t i = 0; i < calls; i++)
        samples[0][i] = call_once(bed, pool, bytes_str("{\"text\":\"hello\"}"));
    qsort(samples[0], calls, sizeof(double), order);
    printf("%-34s p10 %6.0f p50 %6.0f p95 %6.0f us\n", "a resident worker's answer", percentile(samples[0], calls, 10),
           percentile(samples[0], calls, 50), percentile(samples[0], calls, 95));
    uv_pool_close(pool);
}

int main(int argc, char **argv)
{
    struct jailbed bed;
    size_t calls = argc > 1 ? strtoul(argv[1], NULL, 10) : CALLS_DEFAULT;
    if (calls < 10 || calls > CALLS_MAX) {
        fprintf(stderr, "10 to %d calls\n", CALLS_MAX);
        return 2;
    }
    jailbed_open(&bed);
    per_call(&bed, calls);
    resident(&bed, calls);
    jailbed_close(&bed);
    return 0;
}
