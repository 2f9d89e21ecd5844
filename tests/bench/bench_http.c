/*
 * How many reads by id the HTTP engine answers over 64 connections on one core, beside a bare libuv server that sends a
 * fixed answer of the same size to every read event: the ratio says what HTTP costs. The node behind the engine is a
 * constant here; what the store adds is measured with a whole node.
 *
 *     build/tests/bench_http [SECONDS]
 *
 * The server runs in a child pinned to one core, the client in this process on another. CPU time of the server for each
 * request is printed too, since it depends less on what else the machine does.
 */
#include "api/uv_http.h"

#include "crdt/alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define CONNECTIONS 64
#define BODY        1024

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void pin(size_t core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    (void)sched_setaffinity(0, sizeof set, &set); /* one core only: the figures say less, but it runs */
}

/* ---- the engine, with a node that always has the answer ---- */

struct constant {
    struct buf body;
    struct id revision;
};

static void on_call(void *ctx, struct api_call *call)
{
    const struct constant *c = ctx;
    buf_put_bytes(&call->out, buf_view(&c->body));
    call->revision_out = c->revision;
    call->has_revision = true;
    api_call_done(call);
}

static void say_port(int to, const char *bound)
{
    int port = atoi(strrchr(bound, ':') + 1);
    if (write(to, &port, sizeof port) != sizeof port)
        die("write");
}

static void serve_engine(int to)
{
    static struct constant c;
    uv_loop_t *loop = uv_default_loop();
    char bound[UV_HTTP_BOUND_MAX];
    memset(buf_grow(&c.body, BODY), 'a', BODY);
    c.body.n = BODY;
    struct api *api = api_new(&(struct api_config){0}, &(struct api_backend){.ctx = &c, .call = on_call});
    struct uv_http *h = uv_http_new(loop, api, NULL, NULL);
    if (uv_http_tcp(h, "127.0.0.1", 0, bound) != 0)
        die("listen");
    say_port(to, bound);
    uv_run(loop, UV_RUN_DEFAULT);
}

/* ---- the bare server ---- */

static char fixed[BODY + 512], scratch[65536];
static unsigned fixed_n;

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(scratch, sizeof scratch);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *in)
{
    (void)in;
    uv_buf_t out = uv_buf_init(fixed, fixed_n);
    if (n < 0 || (n > 0 && uv_try_write(stream, &out, 1) != (int)fixed_n))
        uv_close((uv_handle_t *)stream, on_closed);
}

static void on_connection(uv_stream_t *server, int status)
{
    uv_tcp_t *tcp = mem_alloc(sizeof *tcp);
    if (status != 0 || uv_tcp_init(server->loop, tcp) != 0 || uv_accept(server, (uv_stream_t *)tcp) != 0)
        die("accept");
    uv_tcp_nodelay(tcp, 1);
    uv_read_start((uv_stream_t *)tcp, on_alloc, on_read);
}

static void serve_bare(int to)
{
    static uv_tcp_t tcp;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int n = sizeof at;
    char bound[64];
    fixed_n = (unsigned)snprintf(fixed, sizeof fixed, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX: %0*d\r\n\r\n%0*d", BODY,
                                 300, 0, BODY, 0);
    if (uv_tcp_init(uv_default_loop(), &tcp) != 0 || uv_tcp_bind(&tcp, (struct sockaddr *)&at, 0) != 0 ||
        uv_listen((uv_stream_t *)&tcp, 128, on_connection) != 0 ||
        uv_tcp_getsockname(&tcp, (struct sockaddr *)&at, &n) != 0)
        die("listen");
    (void)snprintf(bound, sizeof bound, ":%u", ntohs(at.sin_port));
    say_port(to, bound);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

/* ---- the client ---- */

struct client {
    int fd;
    size_t size, left; /* of an answer; bytes of the present one still to come */
};

static const char request[] = "GET /models/00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff HTTP/1.1\r\n"
                              "Host: 127.0.0.1\r\n\r\n";

static void ask(const struct client *c)
{
    if (send(c->fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
        die("send");
}

static int dial(int port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Answers all have one size, learnt from the first. */
static bool take(struct client *c)
{
    char in[8192];
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    if (n <= 0)
        die("recv");
    if (c->size == 0) {
        const char *end = memmem(in, (size_t)n, "\r\n\r\n", 4);
        if (end == NULL || strncmp(in, "HTTP/1.1 200", 12) != 0)
            die("not an answer");
        c->size = c->left = (size_t)(end - in) + 4 + BODY;
    }
    if ((size_t)n > c->left)
        die("too much");
    c->left -= (size_t)n;
    return c->left == 0;
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t load(int port, double seconds)
{
    struct client clients[CONNECTIONS] = {0};
    int poll = epoll_create1(0);
    size_t answers = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        clients[i].fd = dial(port);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &clients[i]};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, clients[i].fd, &e) != 0)
            die("epoll_ctl");
        ask(&clients[i]);
    }
    for (double end = now() + seconds; now() < end;) {
        struct epoll_event ready[CONNECTIONS];
        int n = epoll_wait(poll, ready, CONNECTIONS, 100);
        for (int i = 0; i < n; i++) {
            struct client *c = ready[i].data.ptr;
            if (!take(c))
                continue;
            answers++;
            c->left = c->size;
            ask(c);
        }
    }
    for (int i = 0; i < CONNECTIONS; i++)
        close(clients[i].fd);
    close(poll);
    return answers;
}

struct figure {
    double rate, cpu_us;
};

static struct figure measure(void (*serve)(int to), double seconds)
{
    int pipes[2], port;
    struct rusage used;
    if (pipe(pipes) != 0)
        die("pipe");
    pid_t pid = fork();
    if (pid == 0) {
        pin(0);
        serve(pipes[1]);
        _exit(1);
    }
    if (read(pipes[0], &port, sizeof port) != sizeof port)
        die("server");
    pin(1);
    size_t n = load(port, seconds);
    (void)kill(pid, SIGKILL);
    if (wait4(pid, NULL, 0, &used) != pid)
        die("wait4");
    close(pipes[0]);
    close(pipes[1]);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return (struct figure){.rate = (double)n / seconds, .cpu_us = cpu / (double)n};
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 3;
    struct figure bare = {0}, engine = {0};
    for (int round = 0; round < 2; round++) { /* the better of two: the first also warms up */
        struct figure b = measure(serve_bare, seconds), e = measure(serve_engine, seconds);
        bare = round == 0 || b.rate > bare.rate ? b : bare;
        engine = round == 0 || e.rate > engine.rate ? e : engine;
    }
    printf("bare libuv     %9.0f answers/s  %5.2f us CPU each\n", bare.rate, bare.cpu_us);
    printf("HTTP engine    %9.0f answers/s  %5.2f us CPU each\n", engine.rate, engine.cpu_us);
    printf("engine / bare  %9.2f            %5.2f\n", engine.rate / bare.rate, engine.cpu_us / bare.cpu_us);
    return 0;
}
