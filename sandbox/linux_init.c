/*
 * The first process of a sandbox (pid 1 inside): builds it, starts the program, reaps, tells the launcher the true wait
 * status. Cannot be traced or signalled from inside. Ends, and the kernel with it everything in the sandbox, when the
 * program ends, when the launcher is gone, or when the time is over.
 */
#include "sandbox/linux_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "sandbox/linux_sys.h"

#define START_STACK 65536
#define CTL_FD      3 /* where the socket to the launcher is while the program runs */

static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t cpu_of(int who)
{
    struct rusage use = {0};
    getrusage(who, &use);
    return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static void say(const struct jail *jail, struct jail_word *word)
{
    word->own_cpu_us = cpu_of(RUSAGE_SELF);
    ssize_t sent = send(jail->ctl, word, sizeof *word, MSG_NOSIGNAL);
    (void)sent; /* a launcher that is gone ends this process anyway */
}

static _Noreturn void give_up(const struct jail *jail, const char *step)
{
    struct jail_word word = {.kind = JAIL_WORD_FAILED};
    int saved = errno;
    snprintf(word.detail, sizeof word.detail, "%.100s: %.50s", step, strerror(saved));
    say(jail, &word);
    _exit(1);
}

static void must(const struct jail *jail, const char *failed)
{
    if (failed != NULL)
        give_up(jail, failed);
}

/* Closes every descriptor but its own: nothing of the launcher stays open. The socket goes to its place. */
static void close_others(struct jail *jail)
{
    int to = CTL_FD + 1;
    if (jail->ctl != CTL_FD && dup2(jail->ctl, CTL_FD) < 0)
        _exit(1);
    jail->ctl = CTL_FD;
    for (int i = 0; i < JAIL_GROUPS; i++) {
        if (jail->groups[i] < 0)
            continue;
        if (jail->groups[i] != to && dup2(jail->groups[i], to) < 0)
            _exit(1);
        jail->groups[i] = to++;
    }
    close_range((unsigned)to, ~0u, 0);
}

/* A message from the launcher with descriptors; the number of bytes. Without it there is no launcher any more. */
static size_t await(const struct jail *jail, void *room, size_t size, struct launch_fds *fds)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(SANDBOX_FDS_MAX * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = room, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    ssize_t n;
    do {
        n = recvmsg(jail->ctl, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        _exit(1);
    fds->count = 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c != NULL && c->cmsg_type == SCM_RIGHTS) {
        fds->count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds->fd, CMSG_DATA(c), fds->count * sizeof(int));
    }
    return (size_t)n;
}

/* One byte, which must be this one. */
static void await_byte(const struct jail *jail, char want, struct launch_fds *fds)
{
    char got = 0;
    if (await(jail, &got, 1, fds) != 1 || got != want)
        _exit(1);
}

/* The order, as the launcher passes it on: its descriptors are those of jail_sort_fds. */
static void await_order(struct jail *jail, struct sandbox_order *order, struct sandbox_order_text *text)
{
    static uint8_t room[SANDBOX_MESSAGE_MAX];
    struct launch_fds fds;
    size_t n = await(jail, room, sizeof room, &fds);
    if (sandbox_order_unpack(bytes_of(room, n), order, text) != ERR_OK)
        _exit(1);
    jail->order = order;
    jail->text = text;
    if (!launch_sort_fds(&fds, jail))
        _exit(1);
}

/* Version 1 of the control groups is joined from within and by thread, which costs no grace period of the kernel. */
static const char *join_groups(const struct jail *jail)
{
    for (int i = 0; i < JAIL_GROUPS; i++) {
        if (jail->groups[i] < 0)
            continue;
        if (write(jail->groups[i], "0", 1) != 1)
            return "tasks of a control group";
        close(jail->groups[i]);
    }
    return NULL;
}

static void prefer_as_victim(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = write(fd, "900", 3);
    (void)n; /* only a preference, should the whole machine run out of memory */
    close(fd);
}

/* Since changed credentials clear it, this comes after the last change; then the parent must still be there. */
static const char *die_with_launcher(const struct jail *jail)
{
    struct pollfd p = {.fd = jail->ctl};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return "parent death signal";
    if (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0)
        _exit(1);
    return NULL;
}

struct start {
    struct jail *jail;
    const char *failed;
    int error;
};

/* The program's own process, sharing memory with init until it executes: no allocation, no library state. */
static int start_program(void *arg)
{
    static const int changed[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD}; /* by launcher and init */
    struct start *s = arg;
    sigset_t none;
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++)
        sigaction(changed[i], &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    for (int i = 0; i < 3 && s->failed == NULL; i++) {
        if (dup2(s->jail->stdio[i], i) < 0)
            s->failed = "stdio";
    }
    if (s->failed == NULL && close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
        s->failed = "close_range";
    if (s->failed == NULL)
        s->failed = jail_rlimits(s->jail);
    if (s->failed == NULL) {
        sys_execveat(s->jail->exe, s->jail->text->argv, s->jail->text->env);
        s->failed = errno == EACCES ? "execute (the file and its folders must be readable and executable for others)"
                                    : "execute";
    }
    s->error = errno;
    _exit(127);
}

static pid_t start(struct jail *jail)
{
    static char stack[START_STACK] __attribute__((aligned(16)));
    struct start s = {.jail = jail};
    *jail->started = 1; /* before it is so: a program that was executed is never taken for one that was not */
    pid_t pid = clone(start_program, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &s);
    if (pid < 0)
        give_up(jail, "clone");
    if (s.failed != NULL) {
        *jail->started = 0;
        errno = s.error;
        give_up(jail, s.failed);
    }
    return pid;
}

static void on_child(int signal)
{
    (void)signal; /* ends ppoll, nothing else */
}

/* The program ended. What it left behind ends too and is reaped, so that nothing of it runs when its end is told. */
static _Noreturn void finish(const struct jail *jail, int status)
{
    struct jail_word word = {.kind = JAIL_WORD_EXITED, .wait_status = status};
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    word.cpu_us = cpu_of(RUSAGE_CHILDREN);
    say(jail, &word);
    _exit(0);
}

static void reap(const struct jail *jail, pid_t program)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == program)
            finish(jail, status);
    }
}

static _Noreturn void watch(const struct jail *jail, pid_t program)
{
    sigset_t none;
    sigemptyset(&none);
    const uint64_t lifetime = jail->order->lifetime_ms, end = clock_ms() + lifetime;
    for (;;) {
        reap(jail, program);
        struct pollfd p = {.fd = jail->ctl, .events = POLLIN};
        uint64_t now = clock_ms(), left = now < end ? end - now : 0;
        if (lifetime != 0 && left == 0) {
            struct jail_word word = {.kind = JAIL_WORD_LATE};
            say(jail, &word);
            _exit(0);
        }
        struct timespec wait = {.tv_sec = (time_t)(left / 1000), .tv_nsec = (long)(left % 1000) * 1000000};
        if (ppoll(&p, 1, lifetime != 0 ? &wait : NULL, &none) > 0)
            _exit(1); /* the launcher is gone: it says nothing more once the program runs */
    }
}

static void build_base(struct jail *jail)
{
    prefer_as_victim();
    must(jail, join_groups(jail));
    must(jail, jail_ids_take(jail));
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        give_up(jail, "not dumpable");
    must(jail, die_with_launcher(jail));
    must(jail, jail_root_base(jail));
    if (sethostname("sandbox", 7) != 0)
        give_up(jail, "hostname");
}

/* Says that it is built, or what the self-test saw; then waits for what is still missing. */
static void report(struct jail *jail)
{
    struct launch_fds fds;
    struct jail_word word = {.kind = JAIL_WORD_BUILT, .built = jail->built};
    if (jail->exe < 0) {
        word.kind = JAIL_WORD_PROBED;
        word.probe_faults = jail_probe(jail);
        say(jail, &word);
        _exit(0);
    }
    if (jail->stdio[0] >= 0)
        return;
    say(jail, &word);
    await_byte(jail, JAIL_CTL_START, &fds);
    if (fds.count != 3)
        _exit(1);
    memcpy(jail->stdio, fds.fd, sizeof jail->stdio);
}

void jail_init(struct jail *jail)
{
    const struct sigaction child = {.sa_handler = on_child};
    struct sandbox_order order;
    struct sandbox_order_text text;
    struct launch_fds fds;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigaction(SIGCHLD, &child, NULL);
    close_others(jail);
    await_byte(jail, JAIL_CTL_GO, &fds);
    build_base(jail);
    await_order(jail, &order, &text);
    must(jail, jail_root_finish(jail));
    must(jail, jail_confine(jail));
    must(jail, die_with_launcher(jail));
    report(jail);
    pid_t program = start(jail);
    if (jail->order->tells_start != 0)
        say(jail, &(struct jail_word){.kind = JAIL_WORD_STARTED});
    close_range(0, CTL_FD - 1, 0);
    close_range(CTL_FD + 1, ~0u, 0);
    watch(jail, program);
}
