/*
 * What an invoke of a resident worker costs over HTTP: one connection asks again and again, first for /livez, then for the
 * worker's answer; medians and the difference are printed. With the argument `worker` it is the worker itself.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 4000

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* One answer whose head says how long its body is; the status, 0 if the connection broke. */
static int read_answer(int fd)
{
    static char in[65536];
    size_t n = 0, whole = 0;
    while (whole == 0 || n < whole) {
        ssize_t got = read(fd, in + n, sizeof in - 1 - n);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        in[n] = 0;
        const char *end = strstr(in, "\r\n\r\n"), *length = strstr(in, "Content-Length: ");
        if (end != NULL && length != NULL)
            whole = (size_t)(end + 4 - in) + strtoul(length + 16, NULL, 10);
    }
    return atoi(in + 9);
}

/* The median time of a request in microseconds; below 0: it failed. */
static double measure(const struct sockaddr_in *to, const char *request)
{
    static double times[ROUNDS];
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) != 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (size_t i = 0; i < ROUNDS; i++) {
        double start = now_us();
        if (write(fd, request, strlen(request)) != (ssize_t)strlen(request) || read_answer(fd) != 200)
            return -1;
        times[i] = now_us() - start;
    }
    close(fd);
    qsort(times, ROUNDS, sizeof *times, by_size);
    return times[ROUNDS / 2];
}

static int serve(void)
{
    static char line[65536];
    while (fgets(line, sizeof line, stdin) != NULL) {
        const char *id = strstr(line, "\"id\":");
        printf("{\"id\":%ld,\"output\":1}\n", id != NULL ? strtol(id + 5, NULL, 10) : 0L);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    char request[512];
    struct sockaddr_in to = {.sin_family = AF_INET};
    if (argc == 2 && strcmp(argv[1], "worker") == 0)
        return serve();
    if (argc != 4) {
        fprintf(stderr, "usage: bench_invoke PORT TOKEN MODEL, on a node at 127.0.0.1 that has it deployed as a worker\n");
        return 2;
    }
    to.sin_port = htons((uint16_t)atoi(argv[1]));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    double base = measure(&to, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    snprintf(request, sizeof request,
             "POST /models/%s/invoke HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
             "Content-Length: 1\r\n\r\n1",
             argv[3], argv[2]);
    double invoke = measure(&to, request);
    if (base < 0 || invoke < 0) {
        fprintf(stderr, "bench_invoke: a request failed\n");
        return 1;
    }
    printf("/livez %.0f us, an invoke of a resident worker %.0f us: %.0f us more (with its receipt)\n", base, invoke,
           invoke - base);
    return 0;
}
