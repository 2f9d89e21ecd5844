/*
 * What a node knows as a process: free disk, its memory and files, the service manager, its addresses.
 */
#include "node/uv_server.h"

#include "node/uv_invoke.h"

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool server_ready(void *ctx, struct buf *checks)
{
    struct server *s = ctx;
    uint64_t free_mb = dir_free_bytes(s->given->dir) >> 20,
             least = config_number(&s->config, CONFIG_LIMIT_DISK_FREE_MB);
    bool ok = free_mb >= least;
    buf_printf(checks, "%s{\"name\":\"disk\",\"ok\":%s,\"detail\":\"%llu MiB free, at least %llu wanted\"}",
               checks->n > 0 && checks->p[checks->n - 1] == '}' ? "," : "", ok ? "true" : "false",
               (unsigned long long)free_mb, (unsigned long long)least);
    return ok;
}

static unsigned open_files(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n >= 3 ? n - 3 : 0; /* not . and .. and the one just opened */
}

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    int n = fscanf(f, "%*u %llu", &pages);
    fclose(f);
    return n == 1 ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void put_metric(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void server_metrics(void *ctx, struct buf *out)
{
    struct server *s = ctx;
    struct rusage use = {0};
    struct rlimit files = {0};
    if (s->invokes != NULL)
        uv_invokes_metrics(s->invokes, out);
    getrusage(RUSAGE_SELF, &use);
    getrlimit(RLIMIT_NOFILE, &files);
    long long micro =
        (long long)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 + use.ru_utime.tv_usec + use.ru_stime.tv_usec;
    put_metric(out, "process_cpu_seconds_total", "counter", "CPU time used, user and system.");
    buf_printf(out, "process_cpu_seconds_total %lld.%06lld\n", micro / 1000000, micro % 1000000);
    put_metric(out, "process_resident_memory_bytes", "gauge", "Memory in use.");
    buf_printf(out, "process_resident_memory_bytes %llu\n", (unsigned long long)resident_bytes());
    put_metric(out, "process_open_fds", "gauge", "Open files.");
    buf_printf(out, "process_open_fds %u\n", open_files());
    put_metric(out, "process_max_fds", "gauge", "Files that may be open.");
    buf_printf(out, "process_max_fds %llu\n", (unsigned long long)files.rlim_cur);
    put_metric(out, "process_start_time_seconds", "gauge", "When the process started, Unix time.");
    buf_printf(out, "process_start_time_seconds %llu\n", (unsigned long long)s->wall_start_s);
}

void server_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, size);
    (void)sent; /* the manager's own timeout speaks if it did not hear */
    close(fd);
}

void server_raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    int failed = setrlimit(RLIMIT_NOFILE, &limit);
    (void)failed; /* then the lower limit holds */
}

static bool first_address(bool v6, char *out, size_t size)
{
    uv_interface_address_t *list;
    int n = 0;
    bool found = false;
    if (uv_interface_addresses(&list, &n) != 0)
        return false;
    for (int i = 0; i < n && !found; i++) {
        bool is_v6 = list[i].address.address4.sin_family == AF_INET6;
        if (list[i].is_internal || is_v6 != v6)
            continue;
        found = is_v6 ? uv_ip6_name(&list[i].address.address6, out, size) == 0
                      : uv_ip4_name(&list[i].address.address4, out, size) == 0;
        found = found && strncmp(out, "fe80", 4) != 0;
    }
    uv_free_interface_addresses(list, n);
    return found;
}

void server_reachable(const char *bound, char *out, size_t size)
{
    char host[256], address[64];
    unsigned port = 0;
    out[0] = '\0';
    if (!config_split_address(bytes_str(bound), host, sizeof host, &port))
        return;
    if (strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0)
        return;
    bool any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    if (!any)
        snprintf(out, size, "%s", bound);
    else if (first_address(false, address, sizeof address))
        snprintf(out, size, "%s:%u", address, port);
    else if (strcmp(host, "::") == 0 && first_address(true, address, sizeof address))
        snprintf(out, size, "[%s]:%u", address, port);
}
