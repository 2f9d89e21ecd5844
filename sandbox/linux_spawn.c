/*
 * The launcher's half of making a sandbox: group, clone3 into new namespaces, id maps, the word to go on; later the order. The
 * other half is linux_init.c, in the new process.
 */
#include "sandbox/linux_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "sandbox/linux_sys.h"

#define NAMESPACES                                                                                                     \
    (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

bool launch_sort_fds(const struct launch_fds *fds, struct jail *jail)
{
    const struct sandbox_order *order = jail->order;
    bool runs = order->kind == SANDBOX_ORDER_RUN, probes = fds->count == 0;
    size_t at = 0, want = probes ? 0 : runs ? 4 : 1;
    for (uint32_t i = 0; i < order->mounts; i++)
        want += (size_t)((order->tree_mask | order->file_mask) >> i & 1);
    if (fds->count != want || order->mounts > SANDBOX_MOUNTS_MAX)
        return false;
    for (int i = 0; i < 3; i++)
        jail->stdio[i] = runs ? fds->fd[at++] : -1;
    jail->exe = probes ? -1 : fds->fd[at++];
    for (uint32_t i = 0; i < SANDBOX_MOUNTS_MAX; i++) {
        bool tree = i < order->mounts && (order->tree_mask >> i & 1) != 0;
        bool file = i < order->mounts && (order->file_mask >> i & 1) != 0;
        jail->trees[i] = tree ? fds->fd[at++] : -1;
        jail->files[i] = file && !tree ? fds->fd[at++] : -1;
    }
    return true;
}

int launch_send(int socket, struct bytes message, const struct launch_fds *fds)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(SANDBOX_FDS_MAX * sizeof(int))];
    } control = {.room = {0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)message.p, .iov_len = message.n};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (fds->count > 0) {
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(fds->count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds->count * sizeof(int));
        memcpy(CMSG_DATA(c), fds->fd, fds->count * sizeof(int));
    }
    return sendmsg(socket, &m, MSG_NOSIGNAL) == (ssize_t)message.n ? 0 : -1;
}

static int put_file(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    int saved = errno;
    close(fd);
    errno = saved;
    return n == (ssize_t)strlen(text) ? 0 : -1;
}

static unsigned own_id(const struct launcher *l, const struct launch_run *run)
{
    return JAIL_FIRST_ID + (unsigned)(run - l->runs);
}

int launch_give_pipes(const struct launcher *l, const struct launch_run *run, const int pipes[3])
{
    int failed = 0;
    for (int i = 0; l->ids == JAIL_IDS_OWN && i < 3 && failed == 0; i++)
        failed = fchown(pipes[i], own_id(l, run), own_id(l, run));
    return failed;
}

static const char *map_ids(const struct launcher *l, const struct launch_run *run)
{
    char path[32], uids[48], gids[48];
    unsigned own = own_id(l, run);
    bool self = l->ids == JAIL_IDS_SELF;
    snprintf(path, sizeof path, "/proc/%d", (int)run->pid);
    snprintf(uids, sizeof uids, "%d %u 1", JAIL_INSIDE_ID, self ? (unsigned)geteuid() : own);
    snprintf(gids, sizeof gids, "%d %u 1", JAIL_INSIDE_ID, self ? (unsigned)getegid() : own);
    int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return "/proc of the new process";
    const char *failed = NULL;
    if (self && put_file(dir, "setgroups", "deny") != 0)
        failed = "setgroups";
    else if (put_file(dir, "uid_map", uids) != 0)
        failed = "uid_map";
    else if (put_file(dir, "gid_map", gids) != 0)
        failed = "gid_map";
    int saved = errno;
    close(dir);
    errno = saved;
    return failed;
}

static long clone_jail(const struct launch_run *run, int *pidfd)
{
    struct clone_args args = {.flags = (uint64_t)(unsigned)NAMESPACES | CLONE_PIDFD,
                              .pidfd = (uint64_t)(uintptr_t)pidfd,
                              .exit_signal = SIGCHLD};
    if (run->group.fd >= 0) {
        args.flags |= (__u64)CLONE_INTO_CGROUP;
        args.cgroup = (__u64)(unsigned)run->group.fd;
    }
    return sys_clone3(&args);
}

static const char *clone_init(struct launch_run *run, struct jail *jail)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return "socketpair";
    jail->ctl = pair[1];
    long pid = clone_jail(run, &run->pidfd);
    if (pid == 0)
        jail_init(jail);
    int saved = errno;
    close(pair[1]);
    if (pid < 0)
        close(pair[0]);
    else
        run->ctl = pair[0];
    run->pid = (pid_t)pid;
    errno = saved;
    return pid > 0 ? NULL : "clone3 with new namespaces";
}

/* The process is there but waits: what only its parent may do, then the word. */
static const char *let_go(const struct launcher *l, const struct launch_run *run)
{
    const char go = JAIL_CTL_GO;
    const char *failed = map_ids(l, run);
    if (failed == NULL && send(run->ctl, &go, 1, MSG_NOSIGNAL) != 1)
        failed = "the new process";
    return failed;
}

static const char *make(struct launcher *l, struct launch_run *run)
{
    struct jail jail = {
        .ids = l->ids, .landlock_abi = l->landlock_abi, .filters = l->filters, .started = &l->started[run - l->runs]};
    if (cgroup_make(&l->groups, l->next_group++, &run->group) != ERR_OK)
        return "a new control group";
    const char *failed = cgroup_doors(&l->groups, &run->group, jail.groups);
    if (failed == NULL)
        failed = clone_init(run, &jail);
    int saved = errno;
    for (int i = 0; i < JAIL_GROUPS; i++) {
        if (jail.groups[i] >= 0)
            close(jail.groups[i]);
    }
    errno = saved;
    return failed;
}

struct launch_run *launch_make(struct launcher *l, const char **failed)
{
    struct launch_run *run = launch_run_new(l);
    *failed = "too many sandboxes at a time";
    errno = EAGAIN;
    if (run == NULL)
        return NULL;
    *failed = make(l, run);
    if (*failed == NULL) {
        const char *stuck = let_go(l, run);
        if (stuck == NULL)
            return run;
        snprintf(run->ended.detail, sizeof run->ended.detail, "%s: %s", stuck, strerror(errno));
        sys_pidfd_kill(run->pidfd); /* its end is told in the usual way, with this detail */
        return run;
    }
    int saved = errno;
    launch_group_drop(l, &run->group);
    launch_run_free(l, run);
    errno = saved;
    return NULL;
}

/* As root the mounts are made here, where paths are looked up with root's rights; else init opens them by path. */
static const char *open_trees(const struct launcher *l, struct jail *jail)
{
    for (uint32_t i = 0; l->ids == JAIL_IDS_OWN && i < jail->order->mounts; i++) {
        jail->trees[i] =
            jail->files[i] >= 0 ? jail_tree(jail->files[i], "") : jail_tree(AT_FDCWD, jail->text->source[i]);
        if (jail->trees[i] < 0)
            return jail->text->source[i];
    }
    return NULL;
}

static void add_fd(struct launch_fds *fds, int fd)
{
    if (fd >= 0)
        fds->fd[fds->count++] = fd;
}

/* The order as init gets it: the same bytes, with its own mask of trees, and the descriptors in init's order. */
static int pass_on(const struct launch_run *run, struct jail *jail, struct bytes message)
{
    static uint8_t room[SANDBOX_MESSAGE_MAX];
    struct sandbox_order order = *jail->order;
    struct launch_fds fds = {.count = 0};
    for (int i = 0; i < 3; i++)
        add_fd(&fds, jail->stdio[i]);
    add_fd(&fds, jail->exe);
    for (uint32_t i = 0; i < order.mounts; i++) {
        if (jail->trees[i] >= 0)
            order.tree_mask |= 1u << i;
        add_fd(&fds, jail->trees[i] >= 0 ? jail->trees[i] : jail->files[i]);
    }
    memcpy(room, message.p, message.n);
    memcpy(room, &order, sizeof order);
    return launch_send(run->ctl, bytes_of(room, message.n), &fds);
}

const char *launch_fit(struct launcher *l, struct launch_run *run, const struct jail *order, struct bytes message)
{
    struct jail jail = *order;
    const char *failed = run->group.made ? cgroup_limit(&l->groups, &run->group, &jail.order->limits) : NULL;
    if (failed == NULL)
        failed = open_trees(l, &jail);
    if (failed == NULL && jail.stdio[0] >= 0 && launch_give_pipes(l, run, jail.stdio) != 0)
        failed = "the owner of the pipes";
    if (failed == NULL && pass_on(run, &jail, message) != 0)
        failed = "the order to the new process";
    int saved = errno;
    for (uint32_t i = 0; i < jail.order->mounts; i++) {
        if (jail.trees[i] >= 0)
            close(jail.trees[i]);
    }
    errno = saved;
    return failed;
}
