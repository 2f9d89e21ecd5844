/*
 * Sockets of the HTTP engine on libuv. Input goes through one shared buffer. What one round of the loop read is answered
 * together at its end: clients that wait are woken one after another while the kernel's code is warm, and the owner
 * looks once at what all the calls set in motion. Output is written where the socket takes it, the rest from a copy,
 * since the engine's buffer may move meanwhile.
 */
#include "api/uv_http.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define READ_SIZE  65536
#define CHUNK_SIZE 16384 /* bytes that wait in a client's own copy */
#define TICK_MS    250   /* how late a deadline may be noticed     */
#define BACKLOG    1024
#define ROUND_SIZE 262144 /* bytes of answers after which a round is ended early */

struct client {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    struct uv_http *http;
    struct api_conn *conn;
    struct client *next, *prev;
    uv_write_t write;
    uv_shutdown_t shutdown;
    size_t writing; /* bytes of `chunk` under way */
    bool reading, shut;
    char chunk[CHUNK_SIZE];
};

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    bool open;
};

struct uv_http {
    uv_loop_t *loop;
    struct api *api;
    void (*after)(void *ctx);
    void *ctx;
    struct listener tcp, admin;
    uv_timer_t timer;
    uv_check_t check;      /* the end of a round: after everything that was ready */
    bool due;              /* something was read in this round                  */
    size_t waiting;        /* bytes of answers that it made                     */
    struct client *clients;
    size_t count, handles; /* connections; handles that the loop still holds */
    uint64_t second;       /* of the Date that the engine has */
    bool closing, draining, flushing;
    void (*drained)(void *ctx);
    void *drained_ctx;
    void (*closed)(void *ctx);
    void *closed_ctx;
    char buffer[READ_SIZE];
};

static void say_date(struct uv_http *h)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm t;
    char date[API_DATE_SIZE * 2];
    if ((uint64_t)now == h->second || gmtime_r(&now, &t) == NULL)
        return;
    h->second = (uint64_t)now;
    (void)snprintf(date, sizeof date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * t.tm_wday, t.tm_mday,
                   months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    api_date(h->api, date);
}

static uint64_t say_clock(struct uv_http *h)
{
    uint64_t us = uv_hrtime() / 1000;
    api_clock(h->api, us);
    return us / 1000;
}

static void on_gone(struct uv_http *h)
{
    assert(h->handles > 0);
    if (--h->handles > 0 || !h->closing)
        return;
    void (*closed)(void *) = h->closed;
    void *ctx = h->closed_ctx;
    free(h);
    if (closed != NULL)
        closed(ctx);
}

static void on_handle_closed(uv_handle_t *handle)
{
    on_gone(handle->data);
}

static void on_client_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    struct uv_http *h = c->http;
    free(c);
    on_gone(h);
}

static void say_drained(struct uv_http *h)
{
    void (*drained)(void *) = h->drained;
    if (!h->draining || h->count > 0 || drained == NULL)
        return;
    h->drained = NULL;
    drained(h->drained_ctx);
}

static void client_close(struct client *c)
{
    struct uv_http *h = c->http;
    if (c->conn == NULL)
        return;
    api_conn_free(c->conn);
    c->conn = NULL;
    if (c->next != NULL)
        c->next->prev = c->prev;
    *(c->prev != NULL ? &c->prev->next : &h->clients) = c->next;
    if (--h->count == 0)
        uv_timer_stop(&h->timer);
    uv_close(&c->u.handle, on_client_closed);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void client_flush(struct client *c);
static void round_end(struct uv_http *h);

static void on_written(uv_write_t *req, int status)
{
    struct client *c = req->data;
    struct uv_http *h = c->http;
    size_t n = c->writing;
    c->writing = 0;
    if (c->conn == NULL)
        return;
    if (status < 0) {
        client_close(c);
        return;
    }
    (void)say_clock(h);
    api_conn_sent(c->conn, n);
    client_flush(c);
    if (!h->closing)
        round_end(h); /* it may be called after the check of this round, before the loop sleeps */
}

static void on_shut(uv_shutdown_t *req, int status)
{
    (void)req;
    (void)status; /* the engine's deadline closes it in any case */
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct client *c = handle->data;
    (void)suggested;
    *buf = uv_buf_init(c->http->buffer, sizeof c->http->buffer);
}

/* Writes until the socket takes no more. False: the connection failed. */
static bool client_write(struct client *c)
{
    while (c->writing == 0) {
        struct bytes out = api_conn_output(c->conn);
        if (out.n == 0)
            return true;
        uv_buf_t buf = uv_buf_init((char *)(uintptr_t)out.p, out.n < UINT32_MAX ? (unsigned)out.n : UINT32_MAX);
        int n = uv_try_write(&c->u.stream, &buf, 1);
        if (n >= 0) {
            api_conn_sent(c->conn, (size_t)n);
            continue;
        }
        if (n != UV_EAGAIN)
            return false;
        size_t take = out.n < sizeof c->chunk ? out.n : sizeof c->chunk;
        memcpy(c->chunk, out.p, take);
        buf = uv_buf_init(c->chunk, (unsigned)take);
        c->write.data = c;
        if (uv_write(&c->write, &c->u.stream, &buf, 1, on_written) != 0)
            return false;
        c->writing = take;
    }
    return true;
}

static void client_flush(struct client *c)
{
    if (!client_write(c) || api_conn_done(c->conn)) {
        client_close(c);
        return;
    }
    if (api_conn_shut(c->conn) && !c->shut) {
        c->shut = true;
        (void)uv_shutdown(&c->shutdown, &c->u.stream, on_shut);
    }
    if (!c->reading && !api_conn_paused(c->conn))
        c->reading = uv_read_start(&c->u.stream, on_alloc, on_read) == 0;
}

void uv_http_flush(struct uv_http *h)
{
    struct api_conn *conn;
    if (h->flushing || h->closing)
        return;
    h->flushing = true;
    (void)say_clock(h);
    while ((conn = api_dirty_next(h->api)) != NULL)
        client_flush(api_conn_data(conn));
    h->flushing = false;
    say_drained(h);
}

static void round_end(struct uv_http *h)
{
    h->due = false;
    h->waiting = 0;
    if (h->after != NULL)
        h->after(h->ctx);
    uv_http_flush(h);
}

static void on_check(uv_check_t *check)
{
    struct uv_http *h = check->data;
    if (h->due && !h->closing)
        round_end(h);
}

/* A pause is obeyed lazily: reading stops once input came that nobody wanted yet. */
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *c = stream->data;
    struct uv_http *h = c->http;
    if (n == 0 || c->conn == NULL)
        return;
    bool unwanted = api_conn_paused(c->conn);
    if (n < 0 && n != UV_EOF) {
        client_close(c);
        say_drained(h);
        return;
    }
    if (n < 0 || unwanted) {
        uv_read_stop(stream);
        c->reading = false;
    }
    say_date(h);
    uint64_t now = say_clock(h);
    h->waiting += api_conn_input(c->conn, bytes_of(buf->base, n > 0 ? (size_t)n : 0), now);
    h->due = true;
    if (h->waiting > ROUND_SIZE)
        round_end(h);
}

static void on_tick(uv_timer_t *timer)
{
    struct uv_http *h = timer->data;
    uint64_t now = say_clock(h);
    say_date(h);
    for (struct client *c = h->clients; c != NULL; c = c->next)
        if (api_conn_deadline(c->conn) <= now)
            api_conn_tick(c->conn, now);
    round_end(h);
}

static void on_refused(uv_handle_t *handle)
{
    on_client_closed(handle);
}

/* Same user or root. */
static bool peer_allowed(uv_handle_t *handle)
{
    uv_os_fd_t fd;
    struct ucred cred;
    socklen_t n = sizeof cred;
    if (uv_fileno(handle, &fd) != 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
        return false;
    return cred.uid == 0 || cred.uid == geteuid();
}

static void refuse(struct client *c)
{
    static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
                               "Content-Length: 0\r\n\r\n";
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)full, sizeof full - 1);
    (void)uv_try_write(&c->u.stream, &buf, 1);
    uv_close(&c->u.handle, on_refused);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct uv_http *h = server->data;
    bool admin = server == &h->admin.u.stream;
    if (status < 0)
        return;
    struct client *c = mem_alloc(sizeof *c);
    memset(c, 0, offsetof(struct client, chunk));
    c->http = h;
    int e = admin ? uv_pipe_init(h->loop, &c->u.pipe, 0) : uv_tcp_init(h->loop, &c->u.tcp);
    if (e != 0) {
        free(c);
        return;
    }
    c->u.handle.data = c;
    h->handles++;
    if (uv_accept(server, &c->u.stream) != 0 || (admin && !peer_allowed(&c->u.handle))) {
        uv_close(&c->u.handle, on_refused);
        return;
    }
    if (!admin)
        (void)uv_tcp_nodelay(&c->u.tcp, 1);
    c->conn = api_conn_new(h->api, admin ? API_ADMIN_SOCKET : API_TCP, say_clock(h));
    if (c->conn == NULL) {
        refuse(c);
        return;
    }
    api_conn_set_data(c->conn, c);
    c->next = h->clients;
    if (h->clients != NULL)
        h->clients->prev = c;
    h->clients = c;
    if (h->count++ == 0)
        uv_timer_start(&h->timer, on_tick, TICK_MS, TICK_MS);
    client_flush(c);
}

/* libuv writes without guarding against SIGPIPE: a process that has not said what it means must not die of a client. */
static void ignore_sigpipe(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
}

struct uv_http *uv_http_new(uv_loop_t *loop, struct api *api, void (*after)(void *ctx), void *ctx)
{
    struct uv_http *h = mem_zalloc(sizeof *h);
    h->loop = loop;
    h->api = api;
    h->after = after;
    h->ctx = ctx;
    if (uv_timer_init(loop, &h->timer) != 0 || uv_check_init(loop, &h->check) != 0 ||
        uv_check_start(&h->check, on_check) != 0)
        abort(); /* cannot fail in libuv 1.x */
    h->timer.data = h->check.data = h;
    h->handles = 2;
    uv_unref((uv_handle_t *)&h->check); /* it keeps no loop alive */
    ignore_sigpipe();
    say_date(h);
    (void)say_clock(h);
    return h;
}

static int address_of(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)out) == 0 || uv_ip6_addr(host, port, (struct sockaddr_in6 *)out) == 0)
        return 0;
    if (strcmp(host, "localhost") == 0)
        return uv_ip4_addr("127.0.0.1", port, (struct sockaddr_in *)out);
    return UV_EAI_NONAME;
}

static int bound_name(const uv_tcp_t *tcp, char bound[UV_HTTP_BOUND_MAX])
{
    struct sockaddr_storage s;
    char host[46];
    int n = sizeof s, e = uv_tcp_getsockname(tcp, (struct sockaddr *)&s, &n);
    if (e != 0)
        return e;
    if (s.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&s;
        (void)uv_ip6_name(v6, host, sizeof host);
        (void)snprintf(bound, UV_HTTP_BOUND_MAX, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&s;
        (void)uv_ip4_name(v4, host, sizeof host);
        (void)snprintf(bound, UV_HTTP_BOUND_MAX, "%s:%u", host, ntohs(v4->sin_port));
    }
    return 0;
}

static void listener_close(struct uv_http *h, struct listener *l)
{
    if (!l->open)
        return;
    l->open = false;
    l->u.handle.data = h;
    uv_close(&l->u.handle, on_handle_closed);
}

int uv_http_tcp(struct uv_http *h, const char *host, uint16_t port, char bound[UV_HTTP_BOUND_MAX])
{
    struct sockaddr_storage address = {0};
    int e = address_of(host, port, &address);
    assert(!h->tcp.open);
    if (e != 0)
        return e;
    if ((e = uv_tcp_init(h->loop, &h->tcp.u.tcp)) != 0)
        return e;
    h->tcp.open = true;
    h->tcp.u.handle.data = h;
    h->handles++;
    e = uv_tcp_bind(&h->tcp.u.tcp, (const struct sockaddr *)&address, 0); /* sets SO_REUSEADDR */
    if (e == 0)
        e = uv_listen(&h->tcp.u.stream, BACKLOG, on_connection);
    if (e == 0)
        e = bound_name(&h->tcp.u.tcp, bound);
    if (e != 0)
        listener_close(h, &h->tcp);
    return e;
}

/* Removes a socket file that nobody answers on. */
static int replace_stale(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return UV_EEXIST;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    memcpy(un.sun_path, path, strlen(path) + 1);
    int e = connect(fd, (const struct sockaddr *)&un, sizeof un) == 0 ? UV_EADDRINUSE : -errno;
    close(fd);
    if (e != UV_ECONNREFUSED)
        return e;
    return unlink(path) == 0 ? 0 : -errno;
}

int uv_http_admin(struct uv_http *h, const char *path)
{
    assert(!h->admin.open);
    if (strlen(path) > sizeof ((struct sockaddr_un *)0)->sun_path - 1)
        return UV_ENAMETOOLONG;
    int e = replace_stale(path);
    if (e != 0)
        return e;
    if ((e = uv_pipe_init(h->loop, &h->admin.u.pipe, 0)) != 0)
        return e;
    h->admin.open = true;
    h->admin.u.handle.data = h;
    h->handles++;
    mode_t mask = umask(0177); /* no moment at which others could connect */
    e = uv_pipe_bind(&h->admin.u.pipe, path);
    (void)umask(mask);
    if (e == 0)
        e = uv_listen(&h->admin.u.stream, BACKLOG, on_connection);
    if (e != 0)
        listener_close(h, &h->admin);
    return e;
}

size_t uv_http_connections(const struct uv_http *h)
{
    return h->count;
}

void uv_http_drain(struct uv_http *h, void (*drained)(void *ctx), void *ctx)
{
    h->draining = true;
    h->drained = drained;
    h->drained_ctx = ctx;
    listener_close(h, &h->tcp);
    listener_close(h, &h->admin);
    api_drain(h->api);
    uv_http_flush(h);
}

void uv_http_close(struct uv_http *h, void (*closed)(void *ctx), void *ctx)
{
    assert(!h->closing);
    h->closing = true;
    h->closed = closed;
    h->closed_ctx = ctx;
    listener_close(h, &h->tcp);
    listener_close(h, &h->admin);
    while (h->clients != NULL)
        client_close(h->clients);
    uv_close((uv_handle_t *)&h->timer, on_handle_closed);
    uv_close((uv_handle_t *)&h->check, on_handle_closed);
}
