/*
 * The launcher's own state: the sandboxes it made, what the machine offers, and the socket to the node. One thread, one poll
 * loop, no memory that grows but the table of sandboxes.
 */
#ifndef SOUK_SANDBOX_LINUX_LAUNCH_H
#define SOUK_SANDBOX_LINUX_LAUNCH_H

#include "sandbox/linux_cgroup.h"
#include "sandbox/linux_jail.h"

#define LAUNCH_NODE_FD 3 /* the launcher's end of the socket to the node */

enum launch_state {
    LAUNCH_FREE,
    LAUNCH_SPARE,    /* made ahead: no order yet */
    LAUNCH_BUILDING, /* has its order            */
    LAUNCH_WAITING,  /* built, for START         */
    LAUNCH_RUNNING,
    LAUNCH_LEAVING   /* its end is told; init is still going */
};

/* One sandbox. Its place in the table is the slot that its outside id is made of. */
struct launch_run {
    enum launch_state state;
    uint64_t id;
    int pidfd, ctl;
    pid_t pid;
    struct cgroup group;
    uint64_t lifetime_ms, end_ms;     /* end_ms: when the launcher ends it, 0: not running or no limit */
    uint64_t began_ms;
    bool kill_sent, tells_built;
    bool sum_memory, sample_cpu;      /* what the node wants to hear every SANDBOX_SAMPLE_MS           */
    struct sandbox_ended ended;       /* what is known so far                                          */
    uint64_t init_cpu_us;             /* of init, taken off                                            */
};

struct launcher {
    int node;
    enum jail_ids ids;
    pid_t node_pid;
    int landlock_abi;
    struct sock_fprog filters[2];     /* by enum sandbox_weak                                          */
    struct cgroup_base groups;
    unsigned next_group;
    size_t spares;                    /* sandboxes in the state SPARE                                  */
    struct cgroup removing[SANDBOX_RUNS_MAX]; /* empty, or nearly                                      */
    size_t removing_count;
    struct launch_run runs[SANDBOX_RUNS_MAX];
    volatile uint8_t *started;        /* one byte a run, shared with its init: the program may be executed */
    size_t runs_count;                /* of them in use: all below runs_top                            */
    size_t runs_top;
    struct sandbox_layers layers;
    bool closing, no_spares;
};

/* What comes with an order: descriptors are owned by the caller. */
struct launch_fds {
    int fd[SANDBOX_FDS_MAX];
    size_t count;
};

/* linux_spawn.c: makes a sandbox without an order; it builds its base from here on. NULL: none could be made; `failed` names
 * the step, errno the reason. Its group is dropped and its place free then. */
struct launch_run *launch_make(struct launcher *l, const char **failed);
/* Gives it its order. NULL, or the step that failed with errno. */
const char *launch_fit(struct launcher *l, struct launch_run *run, const struct jail *order, struct bytes message);
/* Sorts the descriptors of an order (jail->order) into a jail; false if their number is not what the order says. */
bool launch_sort_fds(const struct launch_fds *fds, struct jail *jail);
/* As root the program's id owns its stdin, stdout and stderr: it may open them again, by /dev/stdin or /proc/self/fd. */
int launch_give_pipes(const struct launcher *l, const struct launch_run *run, const int pipes[3]);
int launch_send(int socket, struct bytes message, const struct launch_fds *fds);

/* linux_self.c: the self-test: fills l->layers, running a sandbox that looks around. */
void launch_self_test(struct launcher *l);

/* linux_usage.c: what all below an init use, from /proc: resident memory and cpu time. */
struct launch_usage {
    uint64_t memory_bytes, cpu_us;
};
void launch_usage(pid_t init, struct launch_usage *out);
/* The first child that a process has; 0: none. */
pid_t launch_first_child(pid_t init);

/* linux_launch.c */
void launch_group_drop(struct launcher *l, struct cgroup *g);
struct launch_run *launch_run_new(struct launcher *l);
void launch_run_free(struct launcher *l, struct launch_run *run);
uint64_t launch_clock_ms(void);

#endif
