/*
 * The launcher's self-test: finds the control groups, makes the filters, builds one sandbox that looks around from inside, and
 * says of each layer whether it was seen to hold, or why not.
 */
#include "sandbox/linux_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "crdt/alloc.h"
#include "sandbox/linux_sys.h"

#define SELF_TEST_MS 3000
#define TEXT_MAX     (256u << 10) /* of /proc/self/mountinfo */

static char *read_text(const char *path)
{
    char *text = mem_alloc(TEXT_MAX);
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t got; fd >= 0 && n < TEXT_MAX - 1 && (got = read(fd, text + n, TEXT_MAX - 1 - n)) > 0;)
        n += (size_t)got;
    if (fd >= 0)
        close(fd);
    text[n] = '\0';
    return text;
}

static void find_groups(struct launcher *l)
{
    char *mountinfo = read_text("/proc/self/mountinfo"), *self = read_text("/proc/self/cgroup");
    const pid_t own[] = {getpid(), l->node_pid};
    cgroup_find(&l->groups, mountinfo, self, own, 2);
    cgroup_sweep(&l->groups);
    free(mountinfo);
    free(self);
}

static void set_layer(struct launcher *l, enum sandbox_layer layer, bool active, const char *why)
{
    l->layers.active[layer] = active;
    snprintf(l->layers.missing[layer], sizeof l->layers.missing[layer], "%s", active ? "" : why);
}

static void set_groups(struct launcher *l)
{
    const struct cgroup_base *g = &l->groups;
    l->layers.cgroup_version = g->version;
    set_layer(l, SANDBOX_LAYER_CGROUP_MEMORY, g->has[CGROUP_MEMORY], g->missing[CGROUP_MEMORY]);
    set_layer(l, SANDBOX_LAYER_CGROUP_PIDS, g->has[CGROUP_PIDS], g->missing[CGROUP_PIDS]);
    set_layer(l, SANDBOX_LAYER_CGROUP_CPU, g->has[CGROUP_CPU], g->missing[CGROUP_CPU]);
    set_layer(l, SANDBOX_LAYER_CGROUP_KILL, g->has_kill, "needs cgroup version 2 (Linux 5.14)");
}

/* Waits for the end of the probing sandbox; its last word, or false. */
static bool await_probe(struct launch_run *run, struct jail_word *last)
{
    struct jail_word word;
    bool heard = false;
    struct pollfd p = {.fd = run->ctl, .events = POLLIN};
    while (poll(&p, 1, SELF_TEST_MS) > 0) {
        if (recv(run->ctl, &word, sizeof word, 0) != (ssize_t)sizeof word)
            return heard;
        *last = word;
        heard = true;
    }
    return heard;
}

/* All namespaces come in one call; which of them the kernel refuses is asked one by one. */
static void blame_namespaces(struct launcher *l, const char *failed)
{
    static const struct {
        enum sandbox_layer layer;
        uint64_t flag;
    } rows[] = {{SANDBOX_LAYER_USER, 0},
                {SANDBOX_LAYER_PID, CLONE_NEWPID},
                {SANDBOX_LAYER_MOUNT, CLONE_NEWNS},
                {SANDBOX_LAYER_NET, CLONE_NEWNET},
                {SANDBOX_LAYER_IPC, CLONE_NEWIPC},
                {SANDBOX_LAYER_UTS, CLONE_NEWUTS},
                {SANDBOX_LAYER_CGROUP_NS, CLONE_NEWCGROUP}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char why[96];
        struct clone_args args = {.flags = rows[i].flag | CLONE_NEWUSER, .exit_signal = SIGCHLD};
        long pid = sys_clone3(&args);
        if (pid == 0)
            _exit(0);
        snprintf(why, sizeof why, "%.90s", pid < 0 ? strerror(errno) : failed);
        if (pid > 0)
            waitpid((pid_t)pid, NULL, 0);
        set_layer(l, rows[i].layer, false, why);
    }
}

static void set_namespaces(struct launcher *l, const struct jail_word *word)
{
    static const enum sandbox_layer all[] = {SANDBOX_LAYER_USER,     SANDBOX_LAYER_PID, SANDBOX_LAYER_MOUNT,
                                             SANDBOX_LAYER_NET,      SANDBOX_LAYER_IPC, SANDBOX_LAYER_UTS,
                                             SANDBOX_LAYER_CGROUP_NS};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        set_layer(l, all[i], true, "");
    set_layer(l, SANDBOX_LAYER_SECCOMP, l->filters[SANDBOX_STRICT].filter != NULL, "the filter cannot be made");
    set_layer(l, SANDBOX_LAYER_PROC, word->built.proc, word->built.proc_missing);
    set_layer(l, SANDBOX_LAYER_LANDLOCK, word->built.landlock, "the kernel has no Landlock, or it is switched off");
    set_layer(l, SANDBOX_LAYER_OWN_IDS, l->ids == JAIL_IDS_OWN, "the node is not root: programs share its id outside");
    for (int i = 0; i < JAIL_PROBES; i++) {
        if ((word->probe_faults >> i & 1) != 0 && l->layers.active[jail_probe_layers[i]])
            set_layer(l, jail_probe_layers[i], false, jail_probe_names[i]);
    }
}

/* The last word of a sandbox that got an order without an executable, which makes it look around. */
static void probe_word(struct launcher *l, struct jail_word *word)
{
    struct sandbox_order order = {.kind = SANDBOX_ORDER_BUILD};
    const char *argv[] = {"probe", NULL};
    const struct sandbox_spec spec = {.argv = argv};
    struct jail jail = {.order = &order, .exe = -1, .stdio = {-1, -1, -1}};
    struct buf message = {0};
    const char *failed;
    word->kind = JAIL_WORD_FAILED;
    sandbox_order_pack(&message, &order, &spec);
    struct launch_run *run = launch_make(l, &failed);
    if (run != NULL)
        failed = launch_fit(l, run, &jail, buf_view(&message));
    buf_close(&message);
    if (failed != NULL)
        snprintf(word->detail, sizeof word->detail, "%.60s: %s", failed, strerror(errno));
    else if (!await_probe(run, word))
        snprintf(word->detail, sizeof word->detail, "%s",
                 run->ended.detail[0] != '\0' ? run->ended.detail : "the test sandbox said nothing");
    if (run == NULL)
        return;
    sys_pidfd_kill(run->pidfd);
    waitpid(run->pid, NULL, 0);
    close(run->pidfd);
    close(run->ctl);
    launch_group_drop(l, &run->group);
    launch_run_free(l, run);
}

void launch_self_test(struct launcher *l)
{
    struct jail_word word = {.kind = 0};
    const char *failed = jail_filter_make(&l->filters[SANDBOX_STRICT], SANDBOX_STRICT);
    if (failed == NULL)
        failed = jail_filter_make(&l->filters[SANDBOX_WEAK], SANDBOX_WEAK);
    for (int i = 0; i < SANDBOX_LAYER_COUNT; i++)
        set_layer(l, (enum sandbox_layer)i, false, "not tested");
    if (failed != NULL)
        set_layer(l, SANDBOX_LAYER_SECCOMP, false, failed);
    find_groups(l);
    set_groups(l);
    l->layers.landlock_abi = l->landlock_abi;
    probe_word(l, &word);
    if (word.kind == JAIL_WORD_PROBED)
        set_namespaces(l, &word);
    else
        blame_namespaces(l, word.detail);
}
