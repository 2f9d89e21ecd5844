/*
 * The rim on real sockets: a loop in one thread, blocking clients in another. A plain program, since it has threads.
 */
#include "tests/lib/fakebackend.h"
#include "tests/lib/tmpdir.h"

#include "api/uv_http.h"

#include "crdt/alloc.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define CONNECTIONS 8

#define check(condition)                                                                                               \
    ((condition) ? (void)0 : (printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition), exit(1)))

struct server {
    uv_loop_t loop;
    uv_async_t wake;
    struct api *api;
    struct fake *fake;
    struct uv_http *http;
    char bound[UV_HTTP_BOUND_MAX], socket[108];
    uint16_t port;
    bool drained;
    size_t afters;
};

static void on_after(void *ctx)
{
    struct server *s = ctx;
    s->afters++;
    while (fake_step(s->fake)) {
    }
}

static void on_closed(void *ctx)
{
    struct server *s = ctx;
    uv_close((uv_handle_t *)&s->wake, NULL);
}

static void on_drained(void *ctx)
{
    struct server *s = ctx;
    s->drained = true;
    check(uv_http_connections(s->http) == 0);
    uv_http_close(s->http, on_closed, s);
}

static void on_wake(uv_async_t *wake)
{
    struct server *s = wake->data;
    uv_http_drain(s->http, on_drained, s);
}

static void *serve(void *ctx)
{
    struct server *s = ctx;
    check(uv_run(&s->loop, UV_RUN_DEFAULT) == 0);
    return NULL;
}

static int connect_tcp(const struct server *s)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

static int connect_admin(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

static void send_text(int fd, const char *text)
{
    size_t n = strlen(text);
    check(send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n);
}

/* Everything until the other side ends. */
static struct buf read_all(int fd)
{
    struct buf b = {0};
    ssize_t n;
    while ((n = recv(fd, buf_grow(&b, 65536), 65536, 0)) > 0)
        b.n += (size_t)n;
    (void)buf_cstr(&b);
    return b;
}

static size_t count(const struct buf *b, const char *what)
{
    size_t n = 0;
    for (const char *at = (const char *)b->p; at != NULL && (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

#define LAST "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void test_requests(struct server *s)
{
    int fd = connect_tcp(s);
    send_text(fd, "GET /models/m HTTP/1.1\r\nHost: a\r\n\r\n" LAST);
    struct buf b = read_all(fd);
    check(count(&b, "HTTP/1.1 200 OK") == 2);
    check(count(&b, "Date: ") == 2 && count(&b, " GMT\r\n") == 2);
    buf_close(&b);
    close(fd);
}

/* Far more than the socket's buffers hold, and a client that reads late. */
static void test_large_answers(struct server *s)
{
    int fd = connect_tcp(s);
    for (int i = 0; i < 100; i++)
        send_text(fd, "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n");
    send_text(fd, LAST);
    struct buf b = read_all(fd);
    check(count(&b, "HTTP/1.1 200 OK") == 101);
    check(count(&b, "\"openapi\": \"3.1.0\"") == 100);
    buf_close(&b);
    close(fd);
}

/* Until the loop has noticed that earlier connections ended. */
static void wait_free(struct server *s)
{
    for (bool free_again = false; !free_again;) {
        int fd = connect_tcp(s);
        (void)send(fd, LAST, strlen(LAST), MSG_NOSIGNAL);
        struct buf b = read_all(fd);
        free_again = count(&b, "HTTP/1.1 200") == 1;
        buf_close(&b);
        close(fd);
    }
}

/* Clients that leave while their answers are on the way. */
static void test_deserters(struct server *s)
{
    for (int i = 0; i < CONNECTIONS - 1; i++) {
        int fd = connect_tcp(s);
        for (int j = 0; j < 100; j++)
            send_text(fd, "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n");
        close(fd);
    }
    wait_free(s);
    test_requests(s);
}

static void test_refused_body(struct server *s)
{
    int fd = connect_tcp(s);
    static char block[65536];
    memset(block, ' ', sizeof block);
    send_text(fd, "POST /models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer writer\r\nContent-Length: 900000\r\n\r\n");
    for (int i = 0; i < 8; i++)
        check(send(fd, block, sizeof block, MSG_NOSIGNAL) == sizeof block);
    struct buf b = read_all(fd);
    check(count(&b, "HTTP/1.1 413") == 1);
    buf_close(&b);
    close(fd);
}

static void test_connection_bound(struct server *s)
{
    int fds[CONNECTIONS + 1];
    for (int i = 0; i < CONNECTIONS; i++) {
        char byte;
        fds[i] = connect_tcp(s);
        send_text(fds[i], "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
        check(recv(fds[i], &byte, 1, 0) == 1); /* it is counted now */
    }
    fds[CONNECTIONS] = connect_tcp(s);
    struct buf b = read_all(fds[CONNECTIONS]);
    check(count(&b, "HTTP/1.1 503") == 1 && count(&b, "Retry-After") == 1);
    buf_close(&b);
    for (int i = 0; i <= CONNECTIONS; i++)
        close(fds[i]);
    wait_free(s);
}

static void test_admin(struct server *s)
{
    struct stat st;
    check(lstat(s->socket, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600);
    int fd = connect_admin(s->socket);
    check(fd >= 0);
    send_text(fd, "GET /admin/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    struct buf b = read_all(fd);
    check(count(&b, "HTTP/1.1 200 OK") == 1);
    buf_close(&b);
    close(fd);
}

/* Another user gets nothing, even where the file mode would let it in. */
static void test_stranger(struct server *s)
{
    if (geteuid() != 0)
        return;
    check(chmod(s->socket, 0777) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(9);
        int fd = connect_admin(s->socket);
        if (fd < 0)
            _exit(0);
        (void)send(fd, LAST, strlen(LAST), MSG_NOSIGNAL);
        _exit(recv(fd, &byte, 1, 0) > 0 ? 1 : 0);
    }
    int status;
    check(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    check(chmod(s->socket, 0600) == 0);
}

static void test_addresses(struct server *s, const char *dir)
{
    char bound[UV_HTTP_BOUND_MAX], path[256], file[200];
    uv_loop_t loop;
    check(uv_loop_init(&loop) == 0);
    struct api_backend backend = fake_backend(s->fake);
    struct api *api = api_new(&(struct api_config){0}, &backend);
    struct uv_http *h = uv_http_new(&loop, api, NULL, NULL);
    check(uv_http_tcp(h, "no-such-host", 1, bound) == UV_EAI_NONAME);
    check(uv_http_tcp(h, "127.0.0.1", s->port, bound) == UV_EADDRINUSE);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    check(uv_http_tcp(h, "localhost", 0, bound) == 0 && strncmp(bound, "127.0.0.1:", 10) == 0);
    check(uv_http_admin(h, s->socket) == UV_EADDRINUSE);
    (void)snprintf(path, sizeof path, "%s/%0*d", dir, 108, 0);
    check(uv_http_admin(h, path) == UV_ENAMETOOLONG);
    (void)snprintf(file, sizeof file, "%s/file", dir);
    FILE *f = fopen(file, "w");
    check(f != NULL && fclose(f) == 0);
    check(uv_http_admin(h, file) == UV_EEXIST);
    uv_http_close(h, NULL, NULL);
    check(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    check(uv_loop_close(&loop) == 0);
    api_free(api);
}

/* A node that was killed leaves its socket file behind. */
static void leave_stale(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
    close(fd);
}

static void start(struct server *s, const char *dir)
{
    s->fake = mem_zalloc(sizeof *s->fake);
    s->fake->delay = true;
    (void)fake_add(s->fake, KIND_MODEL, 1, "m", "d");
    struct api_backend backend = fake_backend(s->fake);
    s->api = api_new(&(struct api_config){.max_connections = CONNECTIONS}, &backend);
    check(uv_loop_init(&s->loop) == 0);
    check(uv_async_init(&s->loop, &s->wake, on_wake) == 0);
    s->wake.data = s;
    s->http = uv_http_new(&s->loop, s->api, on_after, s);
    check(uv_http_tcp(s->http, "127.0.0.1", 0, s->bound) == 0);
    s->port = (uint16_t)atoi(strrchr(s->bound, ':') + 1);
    (void)snprintf(s->socket, sizeof s->socket, "%s/admin.sock", dir);
    leave_stale(s->socket);
    check(uv_http_admin(s->http, s->socket) == 0);
}

int main(void)
{
    static struct server s;
    char dir[96];
    pthread_t thread;
    tmpdir_new(dir, sizeof dir);
    check(chmod(dir, 0755) == 0); /* so that it is the socket that keeps strangers out */
    start(&s, dir);
    check(pthread_create(&thread, NULL, serve, &s) == 0);
    test_requests(&s);
    test_large_answers(&s);
    test_deserters(&s);
    test_refused_body(&s);
    test_connection_bound(&s);
    test_admin(&s);
    test_stranger(&s);
    test_addresses(&s, dir);
    int stream = connect_tcp(&s);
    send_text(stream, "GET /changes HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
    char byte;
    check(recv(stream, &byte, 1, 0) == 1);
    check(uv_async_send(&s.wake) == 0);
    struct buf rest = read_all(stream); /* draining ends it */
    check(count(&rest, "text/event-stream") == 1);
    buf_close(&rest);
    close(stream);
    check(pthread_join(thread, NULL) == 0);
    check(s.drained && s.afters > 0);
    check(access(s.socket, F_OK) != 0 && errno == ENOENT);
    check(uv_loop_close(&s.loop) == 0);
    api_free(s.api);
    fake_close(s.fake);
    free(s.fake);
    tmpdir_remove(dir);
    printf("ok\n");
    return 0;
}
