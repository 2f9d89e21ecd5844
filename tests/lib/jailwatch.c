/*
 * Counting by reading /proc and /sys/fs/cgroup.
 */
#include "tests/lib/jailwatch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool has_argument(const char *pid, const char *word)
{
    char path[300], line[4096];
    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    FILE *f = fopen(path, "r");
    size_t n = f == NULL ? 0 : fread(line, 1, sizeof line - 1, f);
    if (f != NULL)
        fclose(f);
    line[n] = '\0';
    for (size_t at = 0; at < n; at += strlen(line + at) + 1) {
        if (at > 0 && strcmp(line + at, word) == 0)
            return true;
    }
    return false;
}

size_t watch_processes(const char *word)
{
    size_t n = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
        n += e->d_name[0] >= '1' && e->d_name[0] <= '9' && has_argument(e->d_name, word);
    if (dir != NULL)
        closedir(dir);
    return n;
}

static size_t lines_of(const char *command)
{
    char line[1024];
    size_t n = 0;
    FILE *f = popen(command, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        n++;
    if (f != NULL)
        pclose(f);
    return n;
}

size_t watch_groups(int launcher)
{
    char command[128];
    snprintf(command, sizeof command, "find /sys/fs/cgroup -type d -name 'souk-%d-*' 2>/dev/null", launcher);
    return lines_of(command);
}

static size_t entries(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        closedir(dir);
    return n;
}

size_t watch_descriptors(int pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    return entries(path);
}

size_t watch_children(int pid)
{
    char path[64];
    size_t n = 0;
    int child;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fscanf(f, "%d", &child) == 1)
        n++;
    if (f != NULL)
        fclose(f);
    return n;
}

size_t watch_mounts(void)
{
    return lines_of("cat /proc/self/mounts");
}

size_t watch_resident_kb(int pid)
{
    char path[64];
    unsigned long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages * 4;
}

static void pause_ms(long ms)
{
    const struct timespec t = {.tv_nsec = ms * 1000000};
    nanosleep(&t, NULL);
}

bool watch_until(size_t (*count)(int), int argument, size_t want)
{
    for (int i = 0; i < 1000; i++) {
        if (count(argument) == want)
            return true;
        pause_ms(20);
    }
    return false;
}

bool watch_until_gone(const char *word)
{
    for (int i = 0; i < 1000; i++) {
        if (watch_processes(word) == 0)
            return true;
        pause_ms(20);
    }
    return false;
}
