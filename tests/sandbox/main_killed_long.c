/*
 * A thousand calls that are all killed leave nothing behind: no process, mount, control group, descriptor or memory, in the
 * node or in its launcher.
 */
#include "tests/lib/jailbed.h"
#include "tests/lib/jailwatch.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CALLS    1000
#define PARALLEL 8
#define GROWTH   2048 /* KiB of resident memory that caches may take */

struct state {
    size_t launcher_fds, fds, children, groups, mounts, launcher_kb, kb;
};

static int faults;
static char word[32]; /* on the command lines of this test alone */

static void settle(int launcher, struct jailbed *bed)
{
    /* what is left is the launcher's sandboxes made ahead: their number is the same each time it is idle, but the kernel
     * lets it wait for new network namespaces while it takes many old ones apart */
    size_t last = 0;
    for (int same = 0; same < 60;) {
        size_t now = watch_groups(launcher) * 1000 + watch_children(launcher);
        same = now == last ? same + 1 : 0;
        last = now;
        jailbed_wait_ms(bed, 10);
    }
}

static struct state look(int launcher, struct jailbed *bed)
{
    settle(launcher, bed);
    malloc_trim(0);
    return (struct state){.launcher_fds = watch_descriptors(launcher),
                          .fds = watch_descriptors((int)getpid()),
                          .children = watch_children(launcher),
                          .groups = watch_groups(launcher),
                          .mounts = watch_mounts(),
                          .launcher_kb = watch_resident_kb(launcher),
                          .kb = watch_resident_kb((int)getpid())};
}

static void run(struct jailbed *bed, int count)
{
    const char *const kinds[][3] = {{"sleep", word, NULL}, {"flood", NULL, NULL}, {"daemon", NULL, NULL}};
    struct uv_pool *pools[3];
    static struct jail_result r[PARALLEL];
    for (int k = 0; k < 3; k++) {
        struct sandbox_spec spec = jailbed_spec(bed, kinds[k]);
        spec.limits.wall_ms = 20;
        const struct uv_pool_options options = {.spec = &spec, .parallel = PARALLEL};
        pools[k] = jailbed_pool(bed, &options);
    }
    for (int done = 0; done < count; done += PARALLEL) {
        for (int i = 0; i < PARALLEL; i++)
            jailbed_call(pools[(done / PARALLEL) % 3 == 2 && i == 0 ? 2 : i % 2], (struct bytes){0}, 1, &r[i]);
        for (int i = 0; i < PARALLEL; i++) {
            jailbed_wait(bed, &r[i]);
            faults += r[i].r.status == SANDBOX_SETUP;
            jail_result_close(&r[i]);
        }
    }
    for (int k = 0; k < 3; k++)
        uv_pool_close(pools[k]);
}

static void same(const char *what, size_t before, size_t after, size_t more)
{
    printf("%-24s %zu before, %zu after\n", what, before, after);
    faults += after > before + more;
}

/* A launcher that hangs is ended and replaced; the call that it held ends too. */
static void launcher_stops(struct jailbed *bed)
{
    const char *const sleeper[] = {"sleep", word, NULL};
    struct sandbox_spec spec = jailbed_spec(bed, sleeper);
    struct jail_result r;
    unsigned before = bed->readies;
    spec.limits.wall_ms = 5000; /* it runs until it was seen */
    const struct uv_pool_options options = {.spec = &spec};
    struct uv_pool *pool = jailbed_pool(bed, &options);
    jailbed_call(pool, (struct bytes){0}, 1, &r);
    while (watch_processes(word) == 0)
        jailbed_wait_ms(bed, 10);
    kill(jailbed_launcher_pid(), SIGSTOP);
    jailbed_wait(bed, &r);
    faults += r.r.status != SANDBOX_TIMEOUT;
    while (bed->readies == before)
        uv_run(&bed->loop, UV_RUN_ONCE);
    jail_result_close(&r);
    uv_pool_close(pool);
}

int main(void)
{
    struct jailbed bed;
    snprintf(word, sizeof word, "souk-killed-%d", (int)getpid());
    jailbed_open(&bed);
    int launcher = jailbed_launcher_pid();
    run(&bed, 100); /* allocators and tables find their size */
    struct state before = look(launcher, &bed);
    run(&bed, CALLS);
    struct state after = look(launcher, &bed);
    same("descriptors", before.fds, after.fds, 0);
    same("launcher's descriptors", before.launcher_fds, after.launcher_fds, 0);
    same("launcher's children", before.children, after.children, 0);
    same("control groups", before.groups, after.groups, 0);
    same("mounts", before.mounts, after.mounts, 0);
    same("resident KiB", before.kb, after.kb, GROWTH);
    same("launcher's resident KiB", before.launcher_kb, after.launcher_kb, GROWTH);
    launcher_stops(&bed);
    faults += !watch_until_gone(word);
    jailbed_close(&bed);
    faults += !watch_until(watch_groups, launcher, 0);
    printf("%d faults\n", faults);
    return faults != 0;
}
