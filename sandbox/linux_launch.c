/*
 * The launcher: a small process between the node and its sandboxes. Takes orders from a socket, makes sandboxes, watches
 * them, tells the node how they ended. Ends everything when the node's end of the socket closes. Decides nothing but
 * what must hold even if the node hangs: the lifetime of a sandbox, and its end after an out-of-memory kill.
 */
#include "sandbox/linux_launch.h"

#include "crdt/alloc.h"
#include "sandbox/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "sandbox/linux_sys.h"

#define SPARES     4    /* sandboxes made ahead */
#define YOUNG_MS   10   /* of a run: none are made meanwhile */
#define CLOSING_MS 2000 /* for the sandboxes to be gone after the node is */

uint64_t launch_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void tell(struct launcher *l, struct sandbox_notice *notice)
{
    notice->magic = SANDBOX_MESSAGE_MAGIC;
    if (l->closing || send(l->node, notice, sizeof *notice, MSG_NOSIGNAL) == (ssize_t)sizeof *notice)
        return;
    l->closing = true; /* a node that cannot be told is gone */
}

static void tell_ended(struct launcher *l, uint64_t id, const struct sandbox_ended *ended)
{
    struct sandbox_notice notice = {.kind = SANDBOX_NOTICE_ENDED, .id = id, .u.ended = *ended};
    tell(l, &notice);
}

void launch_group_drop(struct launcher *l, struct cgroup *g)
{
    if (cgroup_remove(&l->groups, g) || l->removing_count == SANDBOX_RUNS_MAX)
        return;
    l->removing[l->removing_count++] = *g;
    g->made = false;
}

static void retry_groups(struct launcher *l)
{
    for (size_t i = 0; i < l->removing_count;) {
        if (cgroup_remove(&l->groups, &l->removing[i]))
            l->removing[i] = l->removing[--l->removing_count];
        else
            i++;
    }
}

static void kill_run(struct launcher *l, struct launch_run *run)
{
    if (run->kill_sent || run->state == LAUNCH_FREE)
        return;
    run->kill_sent = true;
    sys_pidfd_kill(run->pidfd);
    cgroup_kill(&l->groups, &run->group);
}

static struct launch_run *run_find(struct launcher *l, uint64_t id)
{
    for (size_t i = 0; i < l->runs_top; i++) {
        if (l->runs[i].state > LAUNCH_SPARE && l->runs[i].state < LAUNCH_LEAVING && l->runs[i].id == id)
            return &l->runs[i];
    }
    return NULL;
}

struct launch_run *launch_run_new(struct launcher *l)
{
    size_t i = 0;
    while (i < SANDBOX_RUNS_MAX && l->runs[i].state != LAUNCH_FREE)
        i++;
    if (i == SANDBOX_RUNS_MAX)
        return NULL;
    if (i >= l->runs_top)
        l->runs_top = i + 1;
    l->runs_count++;
    l->spares++;
    l->started[i] = 0;
    l->runs[i] = (struct launch_run){.state = LAUNCH_SPARE, .pidfd = -1, .ctl = -1, .ended = {.wait_status = -1}};
    return &l->runs[i];
}

void launch_run_free(struct launcher *l, struct launch_run *run)
{
    l->spares -= run->state == LAUNCH_SPARE;
    run->state = LAUNCH_FREE;
    l->runs_count--;
    while (l->runs_top > 0 && l->runs[l->runs_top - 1].state == LAUNCH_FREE)
        l->runs_top--;
}

/* One that was made ahead, or a new one. */
static struct launch_run *run_take(struct launcher *l, const struct sandbox_order *order, const char **failed)
{
    struct launch_run *run = NULL;
    for (size_t i = 0; i < l->runs_top && run == NULL; i++) {
        if (l->runs[i].state == LAUNCH_SPARE)
            run = &l->runs[i];
    }
    if (run == NULL)
        run = launch_make(l, failed);
    if (run == NULL)
        return NULL;
    l->spares--;
    run->state = LAUNCH_BUILDING;
    run->id = order->id;
    run->lifetime_ms = order->lifetime_ms;
    run->tells_built = order->kind == SANDBOX_ORDER_BUILD;
    run->sample_cpu = order->limits.cpu_ms > 0;
    run->sum_memory = order->weak != 0 && !l->groups.has[CGROUP_MEMORY];
    return run;
}

static void start_clock(struct launch_run *run)
{
    run->state = LAUNCH_RUNNING;
    run->began_ms = launch_clock_ms();
    if (run->lifetime_ms != 0)
        run->end_ms = run->began_ms + run->lifetime_ms;
}

/* `order` carries the order, its texts and its descriptors; `message` is where they came from. */
static void order_make(struct launcher *l, const struct jail *order, struct bytes message)
{
    struct sandbox_ended refused = {.wait_status = -1};
    const char *failed = NULL;
    struct launch_run *run = run_take(l, order->order, &failed);
    if (run == NULL) {
        snprintf(refused.detail, sizeof refused.detail, "%.100s: %s", failed, strerror(errno));
        tell_ended(l, order->order->id, &refused);
        return;
    }
    failed = launch_fit(l, run, order, message);
    if (failed != NULL) {
        snprintf(run->ended.detail, sizeof run->ended.detail, "%.100s: %s", failed, strerror(errno));
        kill_run(l, run);
    } else if (order->order->kind == SANDBOX_ORDER_RUN) {
        start_clock(run);
    }
}

/* Passes stdin, stdout and stderr on to an init that waits. */
static void order_start(struct launcher *l, const struct sandbox_order *order, const struct launch_fds *fds)
{
    static const uint8_t start = JAIL_CTL_START;
    struct launch_run *run = run_find(l, order->id);
    if (run == NULL)
        return; /* it ended before: the notice is on its way */
    run->lifetime_ms = order->lifetime_ms;
    if (fds->count != 3 || launch_give_pipes(l, run, fds->fd) != 0 || launch_send(run->ctl, bytes_of(&start, 1), fds) != 0)
        kill_run(l, run);
    start_clock(run);
}

static void obey(struct launcher *l, struct bytes message, const struct launch_fds *fds)
{
    struct sandbox_order order;
    struct sandbox_order_text text;
    struct jail jail = {.order = &order, .text = &text};
    struct launch_run *run;
    if (sandbox_order_unpack(message, &order, &text) != ERR_OK || order.tree_mask != 0)
        return;
    switch ((enum sandbox_order_kind)order.kind) {
    case SANDBOX_ORDER_BUILD:
    case SANDBOX_ORDER_RUN:
        if (fds->count > 0 && launch_sort_fds(fds, &jail))
            order_make(l, &jail, message);
        break;
    case SANDBOX_ORDER_START:
        order_start(l, &order, fds);
        break;
    case SANDBOX_ORDER_KILL:
        run = run_find(l, order.id);
        if (run != NULL)
            kill_run(l, run);
        break;
    }
}

/* One order with its descriptors. False: nothing more is there now. */
static bool hear_node(struct launcher *l)
{
    static uint8_t room[SANDBOX_MESSAGE_MAX];
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(SANDBOX_FDS_MAX * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = room, .iov_len = sizeof room};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    ssize_t n = recvmsg(l->node, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR;
    if (n == 0) {
        l->closing = true;
        return false;
    }
    struct launch_fds fds = {.count = 0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        fds.count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds.fd, CMSG_DATA(c), fds.count * sizeof(int));
    }
    obey(l, bytes_of(room, (size_t)n), &fds);
    for (size_t i = 0; i < fds.count; i++)
        close(fds.fd[i]);
    return true;
}

/* Nothing of the program runs any more: what is known is told. */
static void tell_end(struct launcher *l, struct launch_run *run)
{
    struct cgroup_use group;
    struct sandbox_ended *e = &run->ended;
    cgroup_read(&l->groups, &run->group, &group);
    uint64_t peak = cgroup_peak(&l->groups, &run->group);
    e->started = l->started[run - l->runs] != 0;
    e->oom = e->oom || group.oom > 0;
    if (peak > e->memory_peak)
        e->memory_peak = peak;
    if (!e->started && e->detail[0] == '\0')
        snprintf(e->detail, sizeof e->detail, "the sandbox ended before its program started");
    if (run->state > LAUNCH_SPARE && run->state < LAUNCH_LEAVING)
        tell_ended(l, run->id, e);
    l->spares -= run->state == LAUNCH_SPARE;
    run->state = LAUNCH_LEAVING;
}

static void take_word(struct launcher *l, struct launch_run *run, const struct jail_word *word)
{
    struct sandbox_notice built = {.kind = SANDBOX_NOTICE_BUILT, .id = run->id};
    struct sandbox_notice started = {.kind = SANDBOX_NOTICE_STARTED, .id = run->id};
    run->init_cpu_us = word->own_cpu_us;
    switch ((enum jail_word_kind)word->kind) {
    case JAIL_WORD_BUILT:
        if (run->state == LAUNCH_BUILDING)
            run->state = LAUNCH_WAITING;
        if (run->tells_built)
            tell(l, &built);
        break;
    case JAIL_WORD_STARTED:
        started.u.pid = launch_first_child(run->pid);
        tell(l, &started);
        break;
    case JAIL_WORD_FAILED:
        snprintf(run->ended.detail, sizeof run->ended.detail, "%.*s", (int)sizeof word->detail - 1, word->detail);
        break;
    case JAIL_WORD_EXITED:
        run->ended.wait_status = word->wait_status;
        run->ended.cpu_us = word->cpu_us;
        tell_end(l, run);
        break;
    case JAIL_WORD_LATE:
        run->ended.late = true;
        break;
    case JAIL_WORD_PROBED:
        break;
    }
}

/* What init has said so far. */
static void hear_init(struct launcher *l, struct launch_run *run)
{
    struct jail_word word;
    ssize_t n;
    while (run->ctl >= 0 && (n = recv(run->ctl, &word, sizeof word, MSG_DONTWAIT)) != 0) {
        if (n < 0)
            return;
        if (n == (ssize_t)sizeof word)
            take_word(l, run, &word);
    }
    if (run->ctl >= 0)
        close(run->ctl);
    run->ctl = -1;
}

static uint64_t cpu_of(const struct rusage *use)
{
    return (uint64_t)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) * 1000000 +
           (uint64_t)(use->ru_utime.tv_usec + use->ru_stime.tv_usec);
}

/* Init is gone, and with it the namespaces and all processes: what the sandbox had is given back. */
static void finish(struct launcher *l, struct launch_run *run)
{
    siginfo_t info = {.si_pid = 0};
    struct rusage use = {0};
    if (sys_waitid_pidfd(run->pidfd, &info, &use) != 0 || info.si_pid == 0)
        return;
    hear_init(l, run);
    if (run->state != LAUNCH_LEAVING) {
        uint64_t cpu = cpu_of(&use);
        run->ended.cpu_us = cpu > run->init_cpu_us ? cpu - run->init_cpu_us : 0;
        tell_end(l, run);
    }
    close(run->pidfd);
    if (run->ctl >= 0)
        close(run->ctl);
    launch_group_drop(l, &run->group);
    launch_run_free(l, run);
}

static void sample(struct launcher *l, struct launch_run *run)
{
    struct cgroup_use group;
    struct launch_usage sum = {0};
    cgroup_read(&l->groups, &run->group, &group);
    if (group.oom > 0) {
        run->ended.oom = true;
        kill_run(l, run);
    }
    if (!run->sum_memory && !run->sample_cpu)
        return;
    bool walk = run->sum_memory || group.cpu_us == UINT64_MAX;
    if (walk)
        launch_usage(run->pid, &sum);
    struct sandbox_notice notice = {.kind = SANDBOX_NOTICE_SAMPLE, .id = run->id};
    notice.u.sample.memory_bytes = run->sum_memory ? sum.memory_bytes : group.memory;
    notice.u.sample.cpu_us = group.cpu_us == UINT64_MAX ? sum.cpu_us : group.cpu_us;
    if (run->sum_memory && sum.memory_bytes > run->ended.memory_peak)
        run->ended.memory_peak = sum.memory_bytes;
    tell(l, &notice);
}

/* Every SANDBOX_SAMPLE_MS while something runs. */
static void tick(struct launcher *l)
{
    uint64_t now = launch_clock_ms();
    for (size_t i = 0; i < l->runs_top; i++) {
        struct launch_run *run = &l->runs[i];
        if (run->state != LAUNCH_RUNNING)
            continue;
        sample(l, run);
        if (run->end_ms != 0 && now >= run->end_ms && !run->kill_sent) {
            run->ended.late = true;
            kill_run(l, run);
        }
    }
    retry_groups(l);
}

/* A run that has just begun or will soon end has the machine for itself. */
static bool has_young_run(const struct launcher *l, uint64_t now)
{
    for (size_t i = 0; i < l->runs_top; i++) {
        if (l->runs[i].state == LAUNCH_RUNNING && now < l->runs[i].began_ms + YOUNG_MS)
            return true;
    }
    return false;
}

static bool wants_spare(const struct launcher *l)
{
    if (l->spares >= SPARES || l->closing || l->no_spares)
        return false;
    return l->spares == 0 || !has_young_run(l, launch_clock_ms());
}

static int tick_in(const struct launcher *l, uint64_t next)
{
    if (wants_spare(l))
        return 0;
    bool wanted = l->removing_count > 0;
    for (size_t i = 0; i < l->runs_top && !wanted; i++)
        wanted = l->runs[i].state == LAUNCH_RUNNING;
    if (!wanted)
        return -1;
    uint64_t now = launch_clock_ms();
    return now >= next ? 0 : (int)(next - now);
}

/* What each run waits for: two entries a run behind the node's. */
static size_t fill_polls(const struct launcher *l, struct pollfd *polls)
{
    polls[0] = (struct pollfd){.fd = l->closing ? -1 : l->node, .events = POLLIN};
    for (size_t i = 0; i < l->runs_top; i++) {
        bool used = l->runs[i].state != LAUNCH_FREE;
        polls[1 + 2 * i] = (struct pollfd){.fd = used ? l->runs[i].ctl : -1, .events = POLLIN};
        polls[2 + 2 * i] = (struct pollfd){.fd = used ? l->runs[i].pidfd : -1, .events = POLLIN};
    }
    return 1 + 2 * l->runs_top;
}

static void serve_runs(struct launcher *l, const struct pollfd *polls, size_t count)
{
    for (size_t i = 0; 2 + 2 * i < count; i++) {
        struct launch_run *run = &l->runs[i];
        if (polls[1 + 2 * i].revents != 0)
            hear_init(l, run);
        if (polls[2 + 2 * i].revents != 0)
            finish(l, run);
    }
}

/* Between two orders there is time: sandboxes for the next ones. */
static void prepare(struct launcher *l)
{
    const char *failed;
    if (wants_spare(l) && launch_make(l, &failed) == NULL)
        l->no_spares = true; /* the next order says why */
}

static void serve(struct launcher *l)
{
    static struct pollfd polls[1 + 2 * SANDBOX_RUNS_MAX];
    uint64_t next = 0, closing_until = UINT64_MAX;
    while (!l->closing || (l->runs_count > 0 && launch_clock_ms() < closing_until)) {
        if (l->closing && closing_until == UINT64_MAX) {
            closing_until = launch_clock_ms() + CLOSING_MS;
            for (size_t i = 0; i < l->runs_top; i++)
                kill_run(l, &l->runs[i]);
        }
        size_t count = fill_polls(l, polls);
        int wait = l->closing ? SANDBOX_SAMPLE_MS : tick_in(l, next);
        if (poll(polls, count, wait) < 0 && errno != EINTR)
            return;
        serve_runs(l, polls, count);
        for (bool more = polls[0].revents != 0; more && !l->closing;)
            more = hear_node(l);
        if (launch_clock_ms() >= next) {
            tick(l);
            next = launch_clock_ms() + SANDBOX_SAMPLE_MS;
        }
        prepare(l);
    }
}

static void close_groups(struct launcher *l)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000000};
    cgroup_sweep(&l->groups);
    for (int i = 0; i < 100 && l->removing_count > 0;
         i++) { /* the kernel lets go of a group some time after its last process */
        retry_groups(l);
        nanosleep(&pause, NULL);
    }
}

static void settle(struct launcher *l)
{
    const struct sigaction deaf = {.sa_handler = SIG_IGN};
    struct rlimit files;
    sigaction(SIGINT, &deaf, NULL);
    sigaction(SIGTERM, &deaf, NULL);
    sigaction(SIGHUP, &deaf, NULL);
    sigaction(SIGPIPE, &deaf, NULL);
    setsid();
    if (chdir("/") != 0)
        _exit(1);
    prctl(PR_SET_NAME, "souk-launcher", 0, 0, 0);
    close_range(LAUNCH_NODE_FD + 1, ~0u, 0);
    fcntl(LAUNCH_NODE_FD, F_SETFD, FD_CLOEXEC);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    l->node = LAUNCH_NODE_FD;
    l->node_pid = getppid();
    l->ids = geteuid() == 0 ? JAIL_IDS_OWN : JAIL_IDS_SELF;
    l->landlock_abi = jail_landlock_abi();
    if (l->ids == JAIL_IDS_OWN) /* an ordinary user could not write the id maps of children that are not dumpable */
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool sandbox_launcher_main(int argc, char **argv, int *code)
{
    if (argc != 2 || strcmp(argv[1], SANDBOX_LAUNCHER_VERB) != 0)
        return false;
    struct launcher *l = mem_zalloc(sizeof *l);
    *code = 0;
    settle(l);
    l->started = mmap(NULL, SANDBOX_RUNS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (l->started == MAP_FAILED)
        _exit(1);
    launch_self_test(l);
    struct sandbox_notice hello = {.kind = SANDBOX_NOTICE_HELLO, .u.layers = l->layers};
    tell(l, &hello);
    serve(l);
    close_groups(l);
    munmap((void *)(uintptr_t)l->started, SANDBOX_RUNS_MAX);
    free(l->filters[SANDBOX_STRICT].filter);
    free(l->filters[SANDBOX_WEAK].filter);
    free(l);
    return true;
}
