/*
 * The lives and deaths of sandboxes: everything dies with the node or the launcher, callers that go away, files that change,
 * neighbours that are hostile, mounts, streams, sandboxes built ahead.
 */
#include "tests/lib/jailbed.h"
#include "tests/lib/jailwatch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int faults;

static void expect_at(int line, bool holds, const char *what, const struct jail_result *r)
{
    if (holds)
        return;
    printf("FAULT line %d: %s\n", line, what);
    if (r != NULL)
        printf("  %s code %d \"%s\" output \"%.300s\" errors \"%.300s\"\n",
               r->done ? sandbox_status_name(r->r.status) : "not done", r->r.code, r->done ? r->r.detail : "",
               r->output.p != NULL ? (const char *)r->output.p : "",
               r->errors.p != NULL ? (const char *)r->errors.p : "");
    fflush(stdout);
    faults++;
}
#define EXPECT(holds, result) expect_at(__LINE__, holds, #holds, result)

static bool output_is(const struct jail_result *r, const char *text)
{
    return r->r.status == SANDBOX_OK && bytes_eq(r->r.output, bytes_str(text));
}

static char word[32]; /* on the command lines of this test alone */
static const char *const sleeper[] = {"sleep", word, NULL};

/* A process of its own that is a node with a run that never ends, until it is killed. Its launcher's pid comes back by a pipe. */
static pid_t start_node(int *launcher)
{
    int ends[2];
    if (pipe(ends) != 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        struct jailbed bed;
        struct jail_result r;
        jailbed_open(&bed);
        struct sandbox_spec spec = jailbed_spec(&bed, sleeper);
        const struct uv_pool_options options = {.spec = &spec, .prebuilt = 1};
        jailbed_call(jailbed_pool(&bed, &options), (struct bytes){0}, 0, &r);
        int mine = jailbed_launcher_pid();
        if (write(ends[1], &mine, sizeof mine) != (ssize_t)sizeof mine)
            exit(1);
        jailbed_wait(&bed, &r);
        exit(1);
    }
    close(ends[1]);
    if (read(ends[0], launcher, sizeof *launcher) != (ssize_t)sizeof *launcher)
        exit(1);
    close(ends[0]);
    return pid;
}

static size_t sleepers(int ignored)
{
    (void)ignored;
    return watch_processes(sleeper[1]);
}

static size_t exists(int pid)
{
    return kill(pid, 0) == 0;
}

static void node_killed(void)
{
    int launcher = 0;
    pid_t node = start_node(&launcher);
    EXPECT(launcher > 0, NULL);
    EXPECT(watch_until(sleepers, 0, 1), NULL);
    kill(node, SIGKILL);
    waitpid(node, NULL, 0);
    EXPECT(watch_until_gone(sleeper[1]), NULL);
    EXPECT(watch_until(exists, launcher, 0), NULL);
    EXPECT(watch_until(watch_groups, launcher, 0), NULL);
}

/* Both at once, so that nobody is left to clean up: what runs dies all the same; the groups go with the next launcher. */
static void node_and_launcher_killed(void)
{
    int launcher = 0;
    struct jailbed bed;
    pid_t node = start_node(&launcher);
    EXPECT(watch_until(sleepers, 0, 1), NULL);
    kill(launcher, SIGKILL);
    kill(node, SIGKILL);
    waitpid(node, NULL, 0);
    EXPECT(watch_until_gone(sleeper[1]), NULL);
    EXPECT(watch_until(exists, launcher, 0), NULL);
    jailbed_open(&bed);
    jailbed_close(&bed);
    EXPECT(watch_until(watch_groups, launcher, 0), NULL);
}

static void launcher_killed(struct jailbed *bed)
{
    const char *const print[] = {"print", "again", NULL};
    struct jail_result r, again;
    struct sandbox_spec spec = jailbed_spec(bed, sleeper);
    const struct uv_pool_options options = {.spec = &spec};
    struct uv_pool *pool = jailbed_pool(bed, &options);
    unsigned before = bed->readies;
    jailbed_call(pool, (struct bytes){0}, 0, &r);
    while (watch_processes(sleeper[1]) == 0)
        jailbed_wait_ms(bed, 10);
    int launcher = jailbed_launcher_pid();
    kill(launcher, SIGKILL);
    jailbed_wait(bed, &r);
    EXPECT(r.r.status == SANDBOX_SETUP && r.r.started, &r);
    EXPECT(watch_until_gone(sleeper[1]), NULL);
    while (bed->readies == before)
        uv_run(&bed->loop, UV_RUN_ONCE);
    spec = jailbed_spec(bed, print);
    jailbed_run(bed, &spec, (struct bytes){0}, &again);
    EXPECT(output_is(&again, "again"), &again);
    EXPECT(jailbed_launcher_pid() != launcher, NULL);
    jail_result_close(&r);
    jail_result_close(&again);
    uv_pool_close(pool);
}

static void cancelled(struct jailbed *bed)
{
    struct jail_result running, waiting;
    struct sandbox_spec spec = jailbed_spec(bed, sleeper);
    const struct uv_pool_options options = {.spec = &spec, .parallel = 1};
    struct uv_pool *pool = jailbed_pool(bed, &options);
    jailbed_call(pool, (struct bytes){0}, 1, &running);
    jailbed_call(pool, (struct bytes){0}, 2, &waiting);
    while (watch_processes(sleeper[1]) == 0)
        jailbed_wait_ms(bed, 10);
    uv_pool_cancel(pool, waiting.id);
    jailbed_wait(bed, &waiting);
    EXPECT(waiting.r.status == SANDBOX_CANCELLED && !waiting.r.started, &waiting);
    uv_pool_cancel(pool, running.id);
    jailbed_wait(bed, &running);
    EXPECT(running.r.status == SANDBOX_CANCELLED && running.r.started, &running);
    EXPECT(watch_until_gone(sleeper[1]), NULL);
    uv_pool_cancel(pool, 12345);
    jail_result_close(&running);
    jail_result_close(&waiting);
    uv_pool_close(pool);
}

static void wait_bounded(struct jailbed *bed)
{
    struct jail_result first, second;
    struct sandbox_spec spec = jailbed_spec(bed, sleeper);
    const struct uv_pool_options options = {.spec = &spec, .parallel = 1};
    struct uv_pool *pool = jailbed_pool(bed, &options);
    jailbed_call(pool, (struct bytes){0}, 1, &first);
    memset(&second, 0, sizeof second);
    const struct uv_call *none = NULL;
    (void)none;
    spec.limits.wall_ms = 300;
    struct uv_pool *brief = jailbed_pool(bed, &options);
    jailbed_call(brief, (struct bytes){0}, 1, &second);
    jailbed_wait(bed, &second);
    EXPECT(second.r.status == SANDBOX_TIMEOUT && second.r.wall_us >= 300000, &second);
    uv_pool_close(pool); /* ends what runs in it */
    jailbed_wait(bed, &first);
    EXPECT(first.r.status == SANDBOX_CANCELLED, &first);
    jail_result_close(&first);
    jail_result_close(&second);
    uv_pool_close(brief);
}

static void make_file(const char *dir, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    if (f == NULL || fclose(f) != 0)
        exit(1);
}

/* Runs it until it has said its first line: it waits for a file then. */
static struct uv_pool *run_to_gate(struct jailbed *bed, const struct sandbox_spec *spec, struct jail_result *r)
{
    const struct uv_pool_options options = {.spec = spec};
    struct uv_pool *pool = jailbed_pool(bed, &options);
    jailbed_call(pool, (struct bytes){0}, 0, r);
    while (r->chunk_count == 0 && !r->done)
        uv_run(&bed->loop, UV_RUN_ONCE);
    return pool;
}

/* The first line is here while the program waits to say the others. */
static void streamed(struct jailbed *bed, const char *dir)
{
    const char *const lines[] = {"lines", "/gate/open", NULL};
    const struct sandbox_mount mount = {.source = dir, .target = "/gate"};
    struct sandbox_spec spec = jailbed_spec(bed, lines);
    struct jail_result r;
    spec.mounts = &mount;
    spec.mounts_count = 1;
    struct uv_pool *pool = run_to_gate(bed, &spec, &r);
    EXPECT(bytes_eq(buf_view(&r.chunks), bytes_str("line 0\n")), &r);
    make_file(dir, "open");
    jailbed_wait(bed, &r);
    EXPECT(output_is(&r, "line 0\nline 1\nline 2\nline 3\nline 4\n"), &r);
    EXPECT(r.chunk_count >= 2 && bytes_eq(buf_view(&r.chunks), r.r.output), &r);
    jail_result_close(&r);
    uv_pool_close(pool);
}

static void prebuilt(struct jailbed *bed)
{
    const char *const look[] = {"print", "ready", NULL};
    struct sandbox_spec spec = jailbed_spec(bed, look);
    const struct uv_pool_options options = {.spec = &spec, .prebuilt = 2, .parallel = 2};
    struct uv_pool *pool = jailbed_pool(bed, &options);
    struct jail_result r[6];
    jailbed_wait_ms(bed, 100);
    for (int i = 0; i < 6; i++)
        jailbed_call(pool, (struct bytes){0}, 1, &r[i]);
    for (int i = 0; i < 6; i++) {
        jailbed_wait(bed, &r[i]);
        EXPECT(output_is(&r[i], "ready"), &r[i]);
        jail_result_close(&r[i]);
    }
    uv_pool_close(pool);
}

/* The pipes of a sandbox that was built ahead come last: they are the program's own all the same. */
static void prebuilt_reopens(struct jailbed *bed)
{
    const char *const reopen[] = {"reopen", NULL};
    struct sandbox_spec spec = jailbed_spec(bed, reopen);
    const struct uv_pool_options options = {.spec = &spec, .prebuilt = 1, .parallel = 1};
    struct uv_pool *pool = jailbed_pool(bed, &options);
    struct jail_result r;
    jailbed_wait_ms(bed, 100);
    jailbed_call(pool, bytes_str("x"), 1, &r);
    jailbed_wait(bed, &r);
    EXPECT(r.r.status == SANDBOX_OK && strncmp(buf_cstr(&r.output), "/dev/stdin=OK\n", 14) == 0, &r);
    jail_result_close(&r);
    uv_pool_close(pool);
}

static void copy_file(const char *from, const char *to)
{
    char command[2 * SANDBOX_PATH_MAX + 32];
    snprintf(command, sizeof command, "cp %s %s.new && chmod 755 %s.new && mv %s.new %s", from, to, to, to, to);
    if (strlen(to) > 200 || system(command) != 0)
        exit(1);
}

static bool names_both(const struct jail_result *r)
{
    return r->r.status == SANDBOX_SETUP && strstr(r->r.detail, "changed since") != NULL && strlen(r->r.detail) > 128;
}

/* The executable is replaced, touched, replaced by its equal, and swapped while it runs. */
static void swapped(struct jailbed *bed, const char *dir)
{
    char path[128];
    struct buf why = {0};
    struct sandbox_file exe;
    struct jail_result r;
    const char *const print[] = {"print", "mine", NULL};
    snprintf(path, sizeof path, "%s/program", dir);
    copy_file(bed->hostile.path, path);
    EXPECT(sandbox_file_open(path, &exe, &why) == ERR_OK, NULL);
    struct sandbox_spec spec = jailbed_spec(bed, print);
    spec.exe = &exe;
    const struct uv_pool_options options = {.spec = &spec};
    struct uv_pool *pool = jailbed_pool(bed, &options);
    jailbed_call(pool, (struct bytes){0}, 0, &r);
    jailbed_wait(bed, &r);
    EXPECT(output_is(&r, "mine"), &r);
    jail_result_close(&r);
    utimensat(AT_FDCWD, path, NULL, 0);
    jailbed_call(pool, (struct bytes){0}, 0, &r);
    jailbed_wait(bed, &r);
    EXPECT(output_is(&r, "mine"), &r);
    jail_result_close(&r);
    copy_file(bed->hostile.path, path);
    jailbed_call(pool, (struct bytes){0}, 0, &r);
    jailbed_wait(bed, &r);
    EXPECT(output_is(&r, "mine"), &r);
    jail_result_close(&r);
    copy_file("/bin/true", path);
    jailbed_call(pool, (struct bytes){0}, 0, &r);
    jailbed_wait(bed, &r);
    EXPECT(names_both(&r) && !r.r.started, &r);
    jail_result_close(&r);
    uv_pool_close(pool);
    sandbox_file_close(&exe);
    buf_close(&why);
}

/* Swapped after the check: what runs is what was opened, and the result is not passed off as good. */
static void swapped_while_running(struct jailbed *bed, const char *dir)
{
    char path[128];
    struct buf why = {0};
    struct sandbox_file exe;
    struct jail_result r;
    const char *const lines[] = {"lines", "/gate/swapped", NULL};
    const struct sandbox_mount mount = {.source = dir, .target = "/gate"};
    snprintf(path, sizeof path, "%s/other", dir);
    copy_file(bed->hostile.path, path);
    EXPECT(sandbox_file_open(path, &exe, &why) == ERR_OK, NULL);
    struct sandbox_spec spec = jailbed_spec(bed, lines);
    spec.exe = &exe;
    spec.mounts = &mount;
    spec.mounts_count = 1;
    struct uv_pool *pool = run_to_gate(bed, &spec, &r);
    copy_file("/bin/true", path);
    make_file(dir, "swapped");
    jailbed_wait(bed, &r);
    EXPECT(names_both(&r) && r.r.started, &r);
    EXPECT(bytes_eq(buf_view(&r.chunks), bytes_str("line 0\nline 1\nline 2\nline 3\nline 4\n")), &r);
    jail_result_close(&r);
    uv_pool_close(pool);
    sandbox_file_close(&exe);
    buf_close(&why);
}

/* A script as a file from its descriptor, run by an interpreter; a folder; both read-only. */
static void mounted(struct jailbed *bed, const char *dir)
{
    char path[128];
    struct buf why = {0};
    struct sandbox_file shell, script;
    struct jail_result r;
    snprintf(path, sizeof path, "%s/script", dir);
    FILE *f = fopen(path, "w");
    fputs("cat /app/data/script | head -c 3; echo; echo $WORD; cat; touch /app/script || echo refused\n", f);
    fclose(f);
    EXPECT(sandbox_file_open("/bin/sh", &shell, &why) == ERR_OK, NULL);
    EXPECT(sandbox_file_open(path, &script, &why) == ERR_OK, NULL);
    const struct sandbox_mount mounts[] = {{.source = path, .target = "/app/script", .file = &script},
                                           {.source = dir, .target = "/app/data"}};
    const char *const argv[] = {"sh", "/app/script", NULL}, *const env[] = {"WORD=blue", NULL};
    struct sandbox_spec spec = jailbed_spec(bed, (const char *const[]){NULL});
    spec.exe = &shell;
    spec.argv = argv;
    spec.env = env;
    spec.mounts = mounts;
    spec.mounts_count = 2;
    jailbed_run(bed, &spec, bytes_str("input\n"), &r);
    EXPECT(output_is(&r, "cat\nblue\ninput\nrefused\n"), &r);
    EXPECT(strstr(buf_cstr(&r.errors), "/app/script") != NULL, &r);
    jail_result_close(&r);
    sandbox_file_close(&shell);
    sandbox_file_close(&script);
    buf_close(&why);
}

static void not_started(struct jailbed *bed, const char *dir)
{
    char path[128];
    struct buf why = {0};
    struct sandbox_file exe;
    struct jail_result r;
    const char *const print[] = {"print", "x", NULL};
    struct sandbox_spec spec = jailbed_spec(bed, print);
    const struct sandbox_mount missing = {.source = "/nowhere/at/all", .target = "/app"};
    spec.mounts = &missing;
    spec.mounts_count = 1;
    jailbed_run(bed, &spec, (struct bytes){0}, &r);
    EXPECT(r.r.status == SANDBOX_SETUP && !r.r.started && strstr(r.r.detail, "/nowhere/at/all") != NULL, &r);
    jail_result_close(&r);
    snprintf(path, sizeof path, "%s/plain", dir);
    FILE *f = fopen(path, "w");
    fputs("not a program", f);
    fclose(f);
    EXPECT(sandbox_file_open(path, &exe, &why) == ERR_OK, NULL);
    spec = jailbed_spec(bed, print);
    spec.exe = &exe;
    jailbed_run(bed, &spec, (struct bytes){0}, &r);
    EXPECT(r.r.status == SANDBOX_SETUP && !r.r.started && strstr(r.r.detail, "execute") != NULL, &r);
    jail_result_close(&r);
    sandbox_file_close(&exe);
    EXPECT(sandbox_file_open(dir, &exe, &why) == ERR_INVALID, NULL);
    EXPECT(sandbox_file_open("/nowhere", &exe, &why) == ERR_NOT_FOUND, NULL);
    buf_close(&why);
}

/* Everything at once by one caller does not keep another from being served. */
static void hostile_neighbour(struct jailbed *bed)
{
    const char *const bomb[] = {"fork-endless", word, NULL}, *const print[] = {"print", "calm", NULL};
    struct sandbox_spec hostile = jailbed_spec(bed, bomb);
    struct jail_result bad[2], r;
    hostile.limits.wall_ms = 3000;
    const struct uv_pool_options bad_options = {.spec = &hostile, .parallel = 2};
    struct uv_pool *pool = jailbed_pool(bed, &bad_options);
    for (int i = 0; i < 2; i++)
        jailbed_call(pool, (struct bytes){0}, 1, &bad[i]);
    jailbed_wait_ms(bed, 200);
    struct sandbox_spec spec = jailbed_spec(bed, print);
    for (int i = 0; i < 5; i++) {
        jailbed_run(bed, &spec, (struct bytes){0}, &r);
        EXPECT(output_is(&r, "calm"), &r);
        jail_result_close(&r);
    }
    for (int i = 0; i < 2; i++) {
        jailbed_wait(bed, &bad[i]);
        EXPECT(bad[i].r.status == SANDBOX_TIMEOUT, &bad[i]);
        jail_result_close(&bad[i]);
    }
    EXPECT(watch_until_gone(word), NULL);
    uv_pool_close(pool);
}

/* Nothing of the node's environment is in the launcher, where a fault of the kernel would look first. */
static void launcher_environment(void)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/environ", jailbed_launcher_pid());
    FILE *f = fopen(path, "r");
    size_t n = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
    EXPECT(f != NULL && memmem(text, n, "SOUK_LIFE_SECRET", 16) == NULL, NULL);
    if (f != NULL)
        fclose(f);
}

static void self_test_alone(const struct jailbed *bed)
{
    struct sandbox_layers layers;
    struct buf why = {0};
    EXPECT(sandbox_self_test(bed->launcher, &layers, &why) == ERR_OK, NULL);
    EXPECT(memcmp(layers.active, bed->layers.active, sizeof layers.active) == 0, NULL);
    EXPECT(sandbox_self_test("/nowhere/souk", &layers, &why) == ERR_IO, NULL);
    EXPECT(strstr(buf_cstr(&why), "/nowhere/souk") != NULL, NULL);
    buf_close(&why);
}

int main(void)
{
    struct jailbed bed;
    char dir[] = "/tmp/souk-life-XXXXXX", command[64];
    if (mkdtemp(dir) == NULL || chmod(dir, 0755) != 0)
        return 1;
    snprintf(word, sizeof word, "souk-life-%d", (int)getpid());
    setenv("SOUK_LIFE_SECRET", "1", 1);
    jailbed_open(&bed);
    launcher_environment();
    self_test_alone(&bed);
    streamed(&bed, dir);
    prebuilt(&bed);
    prebuilt_reopens(&bed);
    cancelled(&bed);
    wait_bounded(&bed);
    swapped(&bed, dir);
    swapped_while_running(&bed, dir);
    mounted(&bed, dir);
    not_started(&bed, dir);
    hostile_neighbour(&bed);
    launcher_killed(&bed);
    jailbed_close(&bed);
    node_killed();
    node_and_launcher_killed();
    snprintf(command, sizeof command, "rm -rf %s", dir);
    faults += system(command) != 0;
    printf("%d faults\n", faults);
    return faults != 0;
}
