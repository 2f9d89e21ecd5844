/*
 * What a process and everything below it use, summed from /proc: for machines without a memory or cpu controller.
 * Orphans of a sandbox stay below its init, so the walk finds all. Shared pages count once for each process: the sum
 * errs to the strict side. Memory that nobody maps is not seen; the weak filter refuses to make such memory.
 */
#include "sandbox/linux_launch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WALK_MAX (SANDBOX_PROCESSES_MAX + 16)

static size_t read_file(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    size_t n = 0;
    for (ssize_t got; n < size - 1 && (got = read(fd, out + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    close(fd);
    out[n] = '\0';
    return n;
}

enum ticks_which { TICKS_ALL, TICKS_CHILDREN };

/* cpu time in clock ticks: its own, and that of children it waited for. Fields 14 to 17, counted behind the name. */
static uint64_t ticks_of(const char *stat, enum ticks_which which)
{
    unsigned long long user = 0, system = 0;
    long long children_user = 0, children_system = 0;
    const char *after = strrchr(stat, ')');
    if (after == NULL || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld", &user,
                                &system, &children_user, &children_system) != 4)
        return 0;
    return (which == TICKS_ALL ? user + system : 0) + (uint64_t)children_user + (uint64_t)children_system;
}

static void add_process(pid_t pid, enum ticks_which which, struct launch_usage *out)
{
    char path[64], text[512];
    unsigned long long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if (which == TICKS_ALL && read_file(path, text, sizeof text) > 0 && sscanf(text, "%*u %llu", &pages) == 1)
        out->memory_bytes += pages * (uint64_t)sysconf(_SC_PAGESIZE);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (read_file(path, text, sizeof text) > 0)
        out->cpu_us += ticks_of(text, which) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* Appends the children of one thread. */
static size_t add_thread(pid_t pid, const char *thread, pid_t *list, size_t n)
{
    char path[320];
    static char text[65536];
    snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, thread);
    if (read_file(path, text, sizeof text) == 0)
        return n;
    for (char *at = text, *end; n < WALK_MAX; at = end) {
        long child = strtol(at, &end, 10);
        if (end == at || child <= 0)
            break;
        list[n++] = (pid_t)child;
    }
    return n;
}

/* Appends the children of every thread of a process. */
static size_t add_children(pid_t pid, pid_t *list, size_t n)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return n;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] != '.')
            n = add_thread(pid, e->d_name, list, n);
    }
    closedir(dir);
    return n;
}

void launch_usage(pid_t init, struct launch_usage *out)
{
    static pid_t list[WALK_MAX];
    size_t n = add_children(init, list, 0);
    *out = (struct launch_usage){0};
    add_process(init, TICKS_CHILDREN, out);
    for (size_t i = 0; i < n; i++) {
        add_process(list[i], TICKS_ALL, out);
        n = add_children(list[i], list, n);
    }
}

pid_t launch_first_child(pid_t init)
{
    char thread[24];
    static pid_t list[WALK_MAX];
    snprintf(thread, sizeof thread, "%d", (int)init);
    return add_thread(init, thread, list, 0) > 0 ? list[0] : 0;
}
