/*
 * One connection passed on, both ways, to a process that is stopped (SIGSTOP) as soon as it has sent so many bytes: a copy is
 * then held half-way on a machine of any speed. What was sent by then is still passed on. Ends when one side ends.
 *
 *   relay PORT PID BYTES        to 127.0.0.1:PORT, which PID listens on; prints the address to dial instead
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int die(const char *what)
{
    perror(what);
    return 1;
}

/* Listens on a free port and says which. */
static int listening(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0)
        return -1;
    printf("127.0.0.1:%u\n", (unsigned)ntohs(at.sin_port));
    return fflush(stdout) == 0 ? fd : -1;
}

static int dialed(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? fd : -1;
}

/* Passes on what is there; 0: this side has ended, or the other does not take it. */
static size_t pass(int from, int to)
{
    static uint8_t bytes[65536];
    ssize_t n = recv(from, bytes, sizeof bytes, 0);
    for (ssize_t at = 0, done; at < n; at += done)
        if ((done = send(to, bytes + at, (size_t)(n - at), MSG_NOSIGNAL)) <= 0)
            return 0;
    return n > 0 ? (size_t)n : 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: relay PORT PID BYTES\n");
        return 2;
    }
    const pid_t pid = (pid_t)atoi(argv[2]);
    const uint64_t most = strtoull(argv[3], NULL, 10);
    int listener = listening();
    int near = listener < 0 ? -1 : accept(listener, NULL, NULL);
    if (near < 0)
        return die("relay: no connection");
    close(listener);
    int far = dialed((uint16_t)atoi(argv[1]));
    if (far < 0)
        return die("relay: the port");
    struct pollfd ends[] = {{.fd = near, .events = POLLIN}, {.fd = far, .events = POLLIN}};
    uint64_t passed = 0;
    for (bool stopped = false; poll(ends, 2, -1) > 0;) {
        size_t n = 1;
        if (ends[0].revents != 0)
            n = pass(near, far);
        if (n > 0 && ends[1].revents != 0)
            passed += n = pass(far, near);
        if (n == 0)
            break;
        if (!stopped && passed >= most)
            stopped = kill(pid, SIGSTOP) == 0;
    }
    close(near);
    close(far);
    return 0;
}
