/*
 * Control groups by reading and writing small files. Every write is one write(2) of one value; what the kernel refuses is
 * reported, never assumed. Peak and oom are read from the kernel's own counts.
 */
#include "sandbox/linux_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_PREFIX "souk-"

/* Enough for a path of a base, a group and a file. */
struct path {
    char s[CGROUP_PATH_MAX + 96];
};

static struct path path_of(const char *base, unsigned number, const char *file)
{
    struct path p;
    snprintf(p.s, sizeof p.s, "%s/" NAME_PREFIX "%d-%u%s%s", base, (int)getpid(), number, file[0] != '\0' ? "/" : "",
             file);
    return p;
}

static int put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    int saved = errno;
    close(fd);
    errno = saved;
    return n == (ssize_t)strlen(text) ? 0 : -1;
}

static int put_number(const char *path, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    return put(path, text);
}

/* Reads from the start of an open file. */
static size_t get(int fd, char *out, size_t size)
{
    ssize_t n = fd < 0 ? -1 : pread(fd, out, size - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static size_t get_path(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = get(fd, out, size);
    if (fd >= 0)
        close(fd);
    return n;
}

/* The number behind a word at the start of a line ("oom_kill 3"); 0 if it is not there. */
static uint64_t number_after(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, word, n) == 0 && line[n] == ' ')
            return strtoull(line + n + 1, NULL, 10);
    }
    return 0;
}

static bool has_word(const char *list, const char *word, const char *separators)
{
    size_t n = strlen(word);
    for (const char *at = list; *at != '\0';) {
        size_t size = strcspn(at, separators);
        if (size == n && strncmp(at, word, n) == 0)
            return true;
        at += size;
        at += *at != '\0';
    }
    return false;
}

/* The next line of a text; false at its end. A line that does not fit is cut. */
static bool next_line(const char **text, char *line, size_t size)
{
    size_t n = strcspn(*text, "\n");
    if (**text == '\0')
        return false;
    snprintf(line, size, "%.*s", (int)(n < size ? n : size - 1), *text);
    *text += n + ((*text)[n] == '\n');
    return true;
}

/* Where a hierarchy is mounted: of type cgroup2, or of type cgroup with this controller. */
static bool find_mount(const char *mountinfo, const char *controller, char out[CGROUP_PATH_MAX])
{
    char line[1024], root[256], point[256], type[32], options[256];
    while (next_line(&mountinfo, line, sizeof line)) {
        const char *dash = strstr(line, " - ");
        if (dash == NULL || sscanf(line, "%*d %*d %*s %255s %255s", root, point) != 2 ||
            sscanf(dash + 3, "%31s %*s %255s", type, options) != 2)
            continue;
        bool fits = controller == NULL ? strcmp(type, "cgroup2") == 0
                                       : strcmp(type, "cgroup") == 0 && has_word(options, controller, ",");
        if (!fits)
            continue;
        snprintf(out, CGROUP_PATH_MAX, "%s", point);
        return true;
    }
    return false;
}

/* The group that this process is in: the line "N:CONTROLLERS:PATH", or "0::PATH" of version 2. Appended to `out`. */
static bool append_own(const char *self, const char *controller, char out[CGROUP_PATH_MAX])
{
    char line[512];
    while (next_line(&self, line, sizeof line)) {
        char *list = strchr(line, ':'), *path = list == NULL ? NULL : strchr(list + 1, ':');
        if (path == NULL)
            continue;
        *path++ = '\0';
        list++;
        bool fits = controller == NULL ? list[0] == '\0' : has_word(list, controller, ",");
        size_t n = strlen(out);
        if (!fits || n + strlen(path) >= CGROUP_PATH_MAX)
            continue;
        if (strcmp(path, "/") != 0)
            snprintf(out + n, CGROUP_PATH_MAX - n, "%s", path);
        return true;
    }
    return false;
}

/* A folder can be made here, and in it are the files that count. */
static bool can_make(const char *base, const char *file, char *why, size_t size)
{
    struct path p = path_of(base, 0, "");
    struct stat st;
    bool made = mkdir(p.s, 0755) == 0 || errno == EEXIST;
    if (!made) {
        snprintf(why, size, "no group can be made in its hierarchy: %s", strerror(errno));
        return false;
    }
    struct path f = path_of(base, 0, file);
    bool ok = stat(f.s, &st) == 0;
    if (!ok)
        snprintf(why, size, "a new group has no %s", file);
    rmdir(p.s);
    return ok;
}

static void find_v1(struct cgroup_base *b, const char *mountinfo, const char *self)
{
    static const char *const controllers[CGROUP_KINDS] = {"memory", "pids", "cpu", "cpuacct"};
    static const char *const files[CGROUP_KINDS] = {"memory.limit_in_bytes", "pids.max", "cpu.shares", "cpuacct.usage"};
    for (int i = 0; i < CGROUP_KINDS; i++) {
        b->at[i][0] = '\0';
        if (!find_mount(mountinfo, controllers[i], b->at[i]) || !append_own(self, controllers[i], b->at[i]))
            snprintf(b->missing[i], sizeof b->missing[i], "the %s controller is mounted nowhere", controllers[i]);
        else
            b->has[i] = can_make(b->at[i], files[i], b->missing[i], sizeof b->missing[i]);
    }
    if (b->has[CGROUP_MEMORY] || b->has[CGROUP_PIDS] || b->has[CGROUP_CPU])
        b->version = 1;
}

/* Moves the node and its launcher one group down, and shares out the controllers from here on. */
static void delegate_v2(const char *base, const char *controllers, const pid_t *own, size_t own_count)
{
    static const char *const wanted[] = {"memory", "pids", "cpu"};
    char path[CGROUP_PATH_MAX + 64], text[16];
    for (size_t i = 0; i < 3; i++) {
        if (!has_word(controllers, wanted[i], " \n"))
            continue;
        snprintf(path, sizeof path, "%s/cgroup.subtree_control", base);
        snprintf(text, sizeof text, "+%s", wanted[i]);
        if (put(path, text) == 0 || errno != EBUSY)
            continue;
        snprintf(path, sizeof path, "%s/souk-node", base);
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return;
        snprintf(path, sizeof path, "%s/souk-node/cgroup.procs", base);
        for (size_t j = 0; j < own_count; j++)
            (void)put_number(path, (uint64_t)own[j]);
        snprintf(path, sizeof path, "%s/cgroup.subtree_control", base);
        (void)put(path, text); /* what came of it is read back below */
    }
}

static void find_v2(struct cgroup_base *b, const char *mountinfo, const char *self, const pid_t *own, size_t own_count)
{
    static const char *const controllers[CGROUP_KINDS] = {"memory", "pids", "cpu", "cpu"};
    static const char *const files[CGROUP_KINDS] = {"memory.max", "pids.max", "cpu.max", "cpu.stat"};
    char path[CGROUP_PATH_MAX + 64], offered[512], shared[512];
    char *base = b->at[CGROUP_MEMORY];
    base[0] = '\0';
    if (!find_mount(mountinfo, NULL, base) || !append_own(self, NULL, base))
        return;
    size_t n = strlen(base);
    if (n > strlen("/souk-node") && strcmp(base + n - strlen("/souk-node"), "/souk-node") == 0)
        base[n - strlen("/souk-node")] = '\0'; /* a launcher after the first one: the node was moved already */
    snprintf(path, sizeof path, "%s/cgroup.controllers", base);
    get_path(path, offered, sizeof offered);
    delegate_v2(base, offered, own, own_count);
    snprintf(path, sizeof path, "%s/cgroup.subtree_control", base);
    get_path(path, shared, sizeof shared);
    for (int i = 0; i < CGROUP_KINDS; i++) {
        if (b->at[i] != base)
            snprintf(b->at[i], CGROUP_PATH_MAX, "%s", base);
        if (!has_word(offered, controllers[i], " \n"))
            snprintf(b->missing[i], sizeof b->missing[i], "version 2 offers no %s controller here", controllers[i]);
        else if (!has_word(shared, controllers[i], " \n"))
            snprintf(b->missing[i], sizeof b->missing[i], "the %s controller is not delegated (Delegate=yes)",
                     controllers[i]);
        else
            b->has[i] = can_make(base, files[i], b->missing[i], sizeof b->missing[i]);
    }
    b->has[CGROUP_CPUACCT] = can_make(base, "cpu.stat", b->missing[CGROUP_CPUACCT], sizeof b->missing[CGROUP_CPUACCT]);
    b->has_kill = can_make(base, "cgroup.kill", path, sizeof path);
    if (b->has_kill || b->has[CGROUP_MEMORY] || b->has[CGROUP_PIDS])
        b->version = 2;
}

void cgroup_find(struct cgroup_base *base, const char *mountinfo, const char *self, const pid_t *own, size_t own_count)
{
    struct cgroup_base v1 = {0}, v2 = {0};
    find_v2(&v2, mountinfo, self, own, own_count);
    *base = v2;
    if (v2.has[CGROUP_MEMORY])
        return;
    find_v1(&v1, mountinfo, self);
    if (v1.has[CGROUP_MEMORY] || v2.version == 0)
        *base = v1;
}

static void sweep_folder(const char *base)
{
    DIR *dir = opendir(base);
    if (dir == NULL)
        return;
    char path[CGROUP_PATH_MAX + 272];
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        int pid = 0;
        unsigned number;
        if (sscanf(e->d_name, NAME_PREFIX "%d-%u", &pid, &number) != 2 || pid <= 0 || kill(pid, 0) == 0 ||
            errno != ESRCH)
            continue;
        snprintf(path, sizeof path, "%s/%s", base, e->d_name);
        rmdir(path);
    }
    closedir(dir);
}

static int folders(const struct cgroup_base *base)
{
    return base->version == 0 ? 0 : base->version == 2 ? 1 : CGROUP_KINDS;
}

static bool folder_used(const struct cgroup_base *base, int i)
{
    return base->version == 2 || base->has[i];
}

void cgroup_sweep(const struct cgroup_base *base)
{
    for (int i = 0; i < folders(base); i++) {
        if (folder_used(base, i))
            sweep_folder(base->at[i]);
    }
}

static int open_file(const struct cgroup_base *base, int kind, unsigned number, const char *file)
{
    if (!base->has[kind])
        return -1;
    struct path p = path_of(base->at[kind], number, file);
    return open(p.s, O_RDONLY | O_CLOEXEC);
}

enum err cgroup_make(const struct cgroup_base *base, unsigned number, struct cgroup *out)
{
    *out = (struct cgroup){.number = number, .fd = -1, .usage_fd = -1, .events_fd = -1, .cpu_fd = -1};
    if (base->version == 0)
        return ERR_OK;
    out->made = true;
    for (int i = 0; i < folders(base); i++) {
        if (!folder_used(base, i))
            continue;
        struct path p = path_of(base->at[i], number, "");
        if (mkdir(p.s, 0755) == 0 || errno == EEXIST) /* hierarchies may share a folder */
            continue;
        int saved = errno;
        (void)cgroup_remove(base, out);
        errno = saved;
        return ERR_IO;
    }
    bool v2 = base->version == 2;
    out->usage_fd = open_file(base, CGROUP_MEMORY, number, v2 ? "memory.current" : "memory.usage_in_bytes");
    out->events_fd = open_file(base, CGROUP_MEMORY, number, v2 ? "memory.events" : "memory.oom_control");
    out->cpu_fd = open_file(base, CGROUP_CPUACCT, number, v2 ? "cpu.stat" : "cpuacct.usage");
    if (v2) {
        struct path p = path_of(base->at[0], number, "");
        out->fd = open(p.s, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    return ERR_OK;
}

/* Sets one value; NULL, or the file's name. */
static const char *set(const char *base, unsigned number, const char *file, uint64_t value)
{
    struct path p = path_of(base, number, file);
    return put_number(p.s, value) == 0 ? NULL : file;
}

static const char *limit_memory(const struct cgroup_base *base, unsigned number, uint64_t bytes)
{
    const char *at = base->at[CGROUP_MEMORY];
    if (base->version == 1) {
        const char *failed = set(at, number, "memory.limit_in_bytes", bytes);
        (void)set(at, number, "memory.memsw.limit_in_bytes", bytes); /* there only where swap is counted */
        (void)set(at, number, "memory.swappiness", 0);
        return failed;
    }
    const char *failed = set(at, number, "memory.max", bytes);
    (void)set(at, number, "memory.swap.max", 0);
    (void)set(at, number, "memory.oom.group", 1);
    return failed;
}

static const char *limit_cpu(const struct cgroup_base *base, unsigned number, uint32_t percent)
{
    const uint64_t period = 100000, quota = percent * period / 100;
    const char *at = base->at[CGROUP_CPU];
    if (base->version == 1) {
        const char *failed = set(at, number, "cpu.cfs_period_us", period);
        return failed != NULL ? failed : set(at, number, "cpu.cfs_quota_us", quota);
    }
    char text[48];
    struct path p = path_of(at, number, "cpu.max");
    snprintf(text, sizeof text, "%llu %llu", (unsigned long long)quota, (unsigned long long)period);
    return put(p.s, text) == 0 ? NULL : "cpu.max";
}

const char *cgroup_limit(const struct cgroup_base *base, const struct cgroup *g, const struct sandbox_limits *limits)
{
    const char *failed = NULL;
    if (base->has[CGROUP_MEMORY])
        failed = limit_memory(base, g->number, limits->memory_bytes);
    if (failed == NULL && base->has[CGROUP_PIDS])
        failed = set(base->at[CGROUP_PIDS], g->number, "pids.max", (uint64_t)limits->processes + 1); /* init counts */
    if (failed == NULL && base->has[CGROUP_CPU] && limits->cpu_percent > 0)
        failed = limit_cpu(base, g->number, limits->cpu_percent);
    return failed;
}

const char *cgroup_doors(const struct cgroup_base *base, const struct cgroup *g, int out[CGROUP_KINDS])
{
    const char *failed = NULL;
    for (int i = 0; i < CGROUP_KINDS; i++) {
        out[i] = -1;
        if (base->version != 1 || !base->has[i] || failed != NULL)
            continue;
        struct path p =
            path_of(base->at[i], g->number, "tasks"); /* of one thread: needs no lock of the whole machine */
        out[i] = open(p.s, O_WRONLY | O_CLOEXEC);
        if (out[i] < 0)
            failed = "tasks of a control group";
    }
    return failed;
}

void cgroup_kill(const struct cgroup_base *base, const struct cgroup *g)
{
    if (!g->made || !base->has_kill)
        return;
    struct path p = path_of(base->at[0], g->number, "cgroup.kill");
    (void)put(p.s, "1"); /* the end of the pid namespace does the same */
}

void cgroup_read(const struct cgroup_base *base, const struct cgroup *g, struct cgroup_use *out)
{
    char text[1024];
    *out = (struct cgroup_use){.cpu_us = UINT64_MAX};
    if (!g->made)
        return;
    if (get(g->usage_fd, text, sizeof text) > 0)
        out->memory = strtoull(text, NULL, 10);
    if (get(g->events_fd, text, sizeof text) > 0)
        out->oom = number_after(text, "oom_kill");
    if (get(g->cpu_fd, text, sizeof text) > 0)
        out->cpu_us = base->version == 2 ? number_after(text, "usage_usec") : strtoull(text, NULL, 10) / 1000;
}

uint64_t cgroup_peak(const struct cgroup_base *base, const struct cgroup *g)
{
    char text[64];
    if (!g->made || !base->has[CGROUP_MEMORY])
        return 0;
    struct path p =
        path_of(base->at[CGROUP_MEMORY], g->number, base->version == 2 ? "memory.peak" : "memory.max_usage_in_bytes");
    return get_path(p.s, text, sizeof text) > 0 ? strtoull(text, NULL, 10) : 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

bool cgroup_remove(const struct cgroup_base *base, struct cgroup *g)
{
    bool gone = true;
    if (!g->made)
        return true;
    close_fd(&g->fd);
    close_fd(&g->usage_fd);
    close_fd(&g->events_fd);
    close_fd(&g->cpu_fd);
    for (int i = 0; i < folders(base); i++) {
        if (!folder_used(base, i))
            continue;
        struct path p = path_of(base->at[i], g->number, "");
        if (rmdir(p.s) != 0 && errno != ENOENT)
            gone = false;
    }
    g->made = !gone;
    return gone;
}
