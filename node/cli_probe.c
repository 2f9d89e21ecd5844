/*
 * Is anybody there? Binds or connects to addresses, one at a time or many at once, and says what the machine answered.
 */
#include "node/cli_doctor.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The caller frees it with freeaddrinfo; NULL: *fault says why. */
static struct addrinfo *look_up(const char *address, const char **fault)
{
    char host[256], service[8];
    unsigned port = 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (!config_split_address(bytes_str(address), host, sizeof host, &port)) {
        *fault = "not HOST:PORT";
        return NULL;
    }
    snprintf(service, sizeof service, "%u", port);
    int failed = getaddrinfo(host, service, &hints, &list);
    if (failed != 0)
        *fault = gai_strerror(failed);
    return failed == 0 ? list : NULL;
}

/* A connection under way: a descriptor, or -1 with *code set if it is decided already. */
static int begin(const struct addrinfo *a, int *code)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *code = fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) != 0 ? errno : 0;
    if (fd >= 0 && *code == EINPROGRESS)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int result_of(int fd)
{
    int code = 0;
    socklen_t size = sizeof code;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno;
}

static int bind_one(const struct addrinfo *a)
{
    int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int code = bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, 1) != 0 ? errno : 0;
    close(fd);
    return code;
}

static int connect_one(const struct addrinfo *a)
{
    int code, fd = begin(a, &code);
    if (fd < 0)
        return code;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    code = poll(&p, 1, PROBE_WAIT_MS) == 1 ? result_of(fd) : ETIMEDOUT;
    close(fd);
    return code;
}

const char *probe_address(const char *address, enum probe_way way)
{
    const char *fault = NULL;
    struct addrinfo *list = look_up(address, &fault);
    int code = ENOENT;
    if (list == NULL)
        return fault;
    for (const struct addrinfo *a = list; a != NULL && code != 0; a = a->ai_next)
        code = way == PROBE_BIND ? bind_one(a) : connect_one(a);
    freeaddrinfo(list);
    return code == 0 ? NULL : strerror(code);
}

static void wait_for(struct probe *list, size_t n, uint64_t until_ms)
{
    struct pollfd polls[PROBES_MAX];
    struct probe *of[PROBES_MAX];
    nfds_t open = 0;
    for (size_t i = 0; i < n; i++)
        if (list[i].fd >= 0) {
            of[open] = &list[i];
            polls[open++] = (struct pollfd){.fd = list[i].fd, .events = POLLOUT};
        }
    uint64_t now = cli_now_ms();
    int ready = open > 0 && now < until_ms ? poll(polls, open, (int)(until_ms - now)) : 0;
    for (nfds_t i = 0; i < open; i++) {
        if (ready > 0 && polls[i].revents == 0)
            continue;
        of[i]->code = ready > 0 ? result_of(of[i]->fd) : ETIMEDOUT;
        close(of[i]->fd);
        of[i]->fd = -1;
    }
}

void probe_all(struct probe *list, size_t n)
{
    size_t open = 0;
    uint64_t until_ms = cli_now_ms() + PROBE_WAIT_MS;
    assert(n <= PROBES_MAX);
    for (size_t i = 0; i < n; i++) {
        const char *fault;
        struct addrinfo *found = look_up(list[i].address, &fault);
        list[i].code = EADDRNOTAVAIL;
        list[i].fd = found != NULL ? begin(found, &list[i].code) : -1;
        if (found != NULL)
            freeaddrinfo(found);
    }
    do {
        wait_for(list, n, until_ms);
        open = 0;
        for (size_t i = 0; i < n; i++)
            open += list[i].fd >= 0;
    } while (open > 0);
}
