/*
 * The layer of control groups: version 2 against a tree of plain files and, where the kernel has it mounted, against itself
 * (kill, clone into a group); version 1 and none by what is found. Memory limits are tested by running programs.
 */
#include "sandbox/linux_cgroup.h"
#include "sandbox/linux_sys.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int faults;

static void expect_at(int line, bool holds, const char *what)
{
    if (holds)
        return;
    printf("FAULT line %d: %s\n", line, what);
    faults++;
}
#define EXPECT(holds) expect_at(__LINE__, holds, #holds)

static char root[64];

static const char *at(const char *path)
{
    static char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    return full;
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(at(path), "w");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
        exit(1);
}

static bool has(const char *path, const char *text)
{
    char got[256] = "";
    FILE *f = fopen(at(path), "r");
    size_t n = f == NULL ? 0 : fread(got, 1, sizeof got - 1, f);
    if (f != NULL)
        fclose(f);
    got[n] = '\0';
    return strcmp(got, text) == 0;
}

/* A group as a kernel would make it, since plain folders do not fill themselves. */
static void fake_group(unsigned number)
{
    static const char *const files[] = {"memory.max",  "memory.swap.max", "memory.oom.group", "memory.current",
                                        "memory.peak", "memory.events",   "pids.max",         "cpu.max",
                                        "cpu.stat",    "cgroup.kill"};
    char path[128];
    snprintf(path, sizeof path, "app/souk-%d-%u", (int)getpid(), number);
    mkdir(at(path), 0755);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "app/souk-%d-%u/%s", (int)getpid(), number, files[i]);
        put(path, "");
    }
}

static const char *group_file(unsigned number, const char *file)
{
    static char path[128];
    snprintf(path, sizeof path, "app/souk-%d-%u/%s", (int)getpid(), number, file);
    return path;
}

static struct cgroup_base fake_base(const char *controllers, const char *shared)
{
    struct cgroup_base base;
    char mountinfo[256];
    const pid_t own[] = {11, 22};
    snprintf(mountinfo, sizeof mountinfo,
             "30 20 0:1 / /elsewhere rw - tmpfs tmpfs rw\n40 20 0:26 / %s rw,nosuid - cgroup2 cgroup2 rw\n", root);
    put("app/cgroup.controllers", controllers);
    put("app/cgroup.subtree_control", shared);
    cgroup_find(&base, mountinfo, "0::/app\n", own, 2);
    return base;
}

static void version_2(void)
{
    struct cgroup g;
    struct cgroup_use use;
    const struct sandbox_limits limits = {.memory_bytes = 1000000, .processes = 7, .cpu_percent = 150};
    mkdir(at("app"), 0755);
    fake_group(0);
    /* writing to the fake subtree_control leaves "+cpu": what is read back is what the kernel would have refused */
    struct cgroup_base base = fake_base("cpu memory pids\n", "");
    EXPECT(!base.has[CGROUP_MEMORY] && strstr(base.missing[CGROUP_MEMORY], "not delegated") != NULL);
    EXPECT(has("app/cgroup.subtree_control", "+cpusry")); /* +memory, +pids, +cpu, each from the start of the file */
    base = fake_base("hugetlb\n", "");
    EXPECT(!base.has[CGROUP_MEMORY] && strstr(base.missing[CGROUP_MEMORY], "offers no memory") != NULL);
    EXPECT(base.has_kill && base.version == 2);
    base.has[CGROUP_MEMORY] = base.has[CGROUP_PIDS] = base.has[CGROUP_CPU] = true; /* as if it were delegated */
    fake_group(1);
    put(group_file(1, "memory.events"), "low 0\nhigh 0\nmax 9\noom 2\noom_kill 3\n");
    put(group_file(1, "memory.current"), "4096\n");
    put(group_file(1, "memory.peak"), "8192\n");
    put(group_file(1, "cpu.stat"), "usage_usec 555\nuser_usec 1\n");
    EXPECT(cgroup_make(&base, 1, &g) == ERR_OK && g.fd >= 0);
    EXPECT(cgroup_limit(&base, &g, &limits) == NULL);
    EXPECT(has(group_file(1, "memory.max"), "1000000") && has(group_file(1, "memory.swap.max"), "0"));
    EXPECT(has(group_file(1, "memory.oom.group"), "1"));
    EXPECT(has(group_file(1, "pids.max"), "8") && has(group_file(1, "cpu.max"), "150000 100000"));
    cgroup_read(&base, &g, &use);
    EXPECT(use.oom == 3 && use.memory == 4096 && use.cpu_us == 555);
    EXPECT(cgroup_peak(&base, &g) == 8192);
    cgroup_kill(&base, &g);
    EXPECT(has(group_file(1, "cgroup.kill"), "1"));
    unlink(at(group_file(1, "pids.max")));
    EXPECT(cgroup_limit(&base, &g, &limits) != NULL && strcmp(cgroup_limit(&base, &g, &limits), "pids.max") == 0);
    EXPECT(!cgroup_remove(&base, &g) && g.made); /* it is not empty: tried again later */
}

static void none(void)
{
    struct cgroup_base base;
    struct cgroup g;
    struct cgroup_use use;
    cgroup_find(&base, "30 20 0:1 / / rw - ext4 /dev/vda rw\n", "0::/\n", NULL, 0);
    EXPECT(base.version == 0 && !base.has[CGROUP_MEMORY] && base.missing[CGROUP_MEMORY][0] != '\0');
    EXPECT(cgroup_make(&base, 1, &g) == ERR_OK && !g.made && g.fd == -1);
    cgroup_read(&base, &g, &use);
    EXPECT(use.oom == 0 && use.cpu_us == UINT64_MAX && cgroup_peak(&base, &g) == 0);
    EXPECT(cgroup_remove(&base, &g));
    cgroup_find(&base, "garbage\n - \n1 2 3\n\n - cgroup2\n", "::::\n0::\nx\n", NULL, 0);
    EXPECT(base.version == 0);
}

/* The kernel's own version 2, with whatever controllers: a process made inside a group dies when the group is killed. */
static void version_2_real(void)
{
    struct cgroup_base base = {.version = 2, .has_kill = true};
    static const char *const mounts[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
    struct stat st;
    struct cgroup g;
    for (size_t i = 0; i < 2 && base.at[0][0] == '\0'; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/cgroup.procs", mounts[i]);
        if (stat(path, &st) == 0 && access(mounts[i], W_OK) == 0)
            snprintf(base.at[0], CGROUP_PATH_MAX, "%s", mounts[i]);
    }
    if (base.at[0][0] == '\0' || cgroup_make(&base, 99, &g) != ERR_OK) {
        printf("skipped: no cgroup version 2 that can be written to\n");
        return;
    }
    int pidfd = -1;
    struct clone_args args = {.flags = (__u64)CLONE_INTO_CGROUP | (__u64)CLONE_PIDFD,
                              .pidfd = (__u64)(uintptr_t)&pidfd,
                              .exit_signal = SIGCHLD,
                              .cgroup = (__u64)(unsigned)g.fd};
    long pid = sys_clone3(&args);
    if (pid == 0) {
        for (;;)
            pause();
    }
    EXPECT(pid > 0);
    EXPECT(!cgroup_remove(&base, &g)); /* someone lives in it; its descriptors are closed all the same */
    cgroup_kill(&base, &g);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    EXPECT(poll(&p, 1, 20000) == 1);
    int status = 0;
    EXPECT(waitpid((pid_t)pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    bool gone = false;
    for (int i = 0; i < 1000 && !gone; i++) {
        gone = cgroup_remove(&base, &g);
        poll(NULL, 0, 5);
    }
    EXPECT(gone);
}

/* Groups of launchers that are gone are swept away, those of living ones stay. */
static void sweep(void)
{
    struct cgroup_base base = {.version = 2};
    char dead[32], alive[32];
    struct stat st;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    snprintf(base.at[0], CGROUP_PATH_MAX, "%s", root);
    snprintf(dead, sizeof dead, "souk-%d-3", (int)pid);
    snprintf(alive, sizeof alive, "souk-%d-3", (int)getpid());
    mkdir(at(dead), 0755);
    mkdir(at(alive), 0755);
    mkdir(at("souk-node"), 0755);
    cgroup_sweep(&base);
    EXPECT(stat(at(dead), &st) != 0);
    EXPECT(stat(at(alive), &st) == 0 && stat(at("souk-node"), &st) == 0);
}

int main(void)
{
    char command[128];
    snprintf(root, sizeof root, "/tmp/souk-cgroup-XXXXXX");
    if (mkdtemp(root) == NULL)
        return 1;
    version_2();
    none();
    sweep();
    version_2_real();
    snprintf(command, sizeof command, "rm -rf %s", root);
    faults += system(command) != 0;
    printf("%d faults\n", faults);
    return faults != 0;
}
