/*
 * How long until a write acknowledged by one node is visible on another: posts models to node A one at a time and
 * waits for each on the event stream of node B. Beside it, in the same run, a round trip of the same size to A and
 * one to B, so that the figure can be read as a multiple of what loopback costs.
 *
 *   bench_visible PORT_A TOKEN PORT_B COUNT        both on 127.0.0.1
 *   bench_visible PORT_A TOKEN COUNT               one client's writes to A, how many a second: prints that, p50, p99 (ms)
 */
#include "crdt/alloc.h"
#include "crdt/bytes.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
    fprintf(stderr, "bench_visible: %s\n", what);
    exit(1);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int dial(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        die("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_all(int fd, struct bytes x)
{
    while (x.n > 0) {
        ssize_t n = write(fd, x.p, x.n);
        if (n <= 0)
            die("the node closed the connection");
        x = bytes_of(x.p + n, x.n - (size_t)n);
    }
}

/* Reads until `mark` is among what came since the buffer was reset. */
static char *read_until(int fd, struct buf *in, const char *mark)
{
    for (;;) {
        char *found = in->n > 0 ? strstr(buf_cstr(in), mark) : NULL;
        if (found != NULL)
            return found;
        ssize_t n = read(fd, buf_grow(in, 65536), 65535);
        if (n <= 0)
            die("the node closed the connection");
        in->n += (size_t)n;
    }
}

/* Reads one whole answer; returns where its body starts. */
static char *read_answer(int fd, struct buf *in)
{
    char *end = read_until(fd, in, "\r\n\r\n");
    char *length = strcasestr((char *)in->p, "content-length:");
    size_t head = (size_t)(end + 4 - (char *)in->p);
    size_t body = length != NULL && length < end ? (size_t)strtoul(length + 15, NULL, 10) : 0;
    while (in->n < head + body) {
        ssize_t n = read(fd, buf_grow(in, 65536), 65535);
        if (n <= 0)
            die("the node closed the connection");
        in->n += (size_t)n;
    }
    return buf_cstr(in) + head;
}

static void put_request(struct buf *out, const char *token, unsigned run, int i)
{
    struct buf body = {0};
    buf_printf(&body, "{\"name\":\"visible/%u/%d\",\"description\":\"", run, i);
    for (int k = 0; k < 90; k++)
        buf_put_str(&body, "ten bytes ");
    buf_put_str(&body, "\"}");
    buf_reset(out);
    buf_printf(out, "POST /models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               token, body.n);
    buf_put_bytes(out, buf_view(&body));
    buf_close(&body);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double report(const char *what, double *us, int n)
{
    qsort(us, (size_t)n, sizeof *us, by_value);
    printf("%-44s p50 %8.3f ms   p99 %8.3f ms\n", what, us[n / 2] / 1e3, us[n * 99 / 100] / 1e3);
    return us[n / 2];
}

static void round_trips(int fd, double *us, int n)
{
    struct buf in = {0};
    for (int i = 0; i < n; i++) {
        double start = now_us();
        send_all(fd, bytes_str("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"));
        buf_reset(&in);
        (void)read_answer(fd, &in);
        us[i] = now_us() - start;
    }
    buf_close(&in);
}

/* Posts a model and waits for the answer; returns where its id stands. */
static char *post(int fd, const struct buf *request, struct buf *in)
{
    send_all(fd, buf_view(request));
    buf_reset(in);
    char *found = strstr(read_answer(fd, in), "\"id\":\"");
    if (found == NULL)
        die((char *)in->p);
    return found;
}

static int writes_only(const char *port, const char *token, int n)
{
    int fd = dial(port);
    double *us = mem_calloc((size_t)n, sizeof *us), sum = 0;
    struct buf in = {0}, out = {0};
    for (int i = 0; i < n; i++) {
        put_request(&out, token, (unsigned)getpid(), i);
        double start = now_us();
        (void)post(fd, &out, &in);
        us[i] = now_us() - start;
        sum += us[i];
    }
    qsort(us, (size_t)n, sizeof *us, by_value);
    printf("%.0f %.3f %.3f\n", n / sum * 1e6, us[n / 2] / 1e3, us[n * 99 / 100] / 1e3);
    buf_close(&in);
    buf_close(&out);
    free(us);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return writes_only(argv[1], argv[2], atoi(argv[3]));
    if (argc != 5)
        die("usage: bench_visible PORT_A TOKEN [PORT_B] COUNT");
    int n = atoi(argv[4]), a = dial(argv[1]), b = dial(argv[3]), stream = dial(argv[3]);
    unsigned run = (unsigned)getpid();
    double *visible = mem_calloc((size_t)n, sizeof *visible), *acked = mem_calloc((size_t)n, sizeof *acked);
    struct buf in = {0}, events = {0}, out = {0};
    send_all(stream, bytes_str("GET /changes HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"));
    (void)read_until(stream, &events, "\r\n\r\n");
    for (int i = 0; i < n; i++) {
        char id[80];
        put_request(&out, argv[2], run, i);
        double start = now_us();
        char *found = post(a, &out, &in);
        acked[i] = now_us() - start;
        (void)snprintf(id, sizeof id, "%.70s", found);
        (void)read_until(stream, &events, id);
        visible[i] = now_us() - start;
        buf_reset(&events);
    }
    double ack = report("acknowledged by A (one fsync)", acked, n);
    double seen = report("visible on B, on its event stream (two fsyncs)", visible, n);
    round_trips(a, acked, n);
    round_trips(b, visible, n);
    double trip = report("round trip to A without a write", acked, n);
    (void)report("round trip to B without a write", visible, n);
    printf("visible / acknowledged = %.2f, visible / round trip = %.1f\n", seen / ack, seen / trip);
    buf_close(&in);
    buf_close(&events);
    buf_close(&out);
    free(visible);
    free(acked);
    return 0;
}
