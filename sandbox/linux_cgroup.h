/*
 * Control groups behind one small interface, version 2, version 1 or none. All paths come from the texts of
 * /proc/self/mountinfo and /proc/self/cgroup, so a test may point it at a tree of plain files.
 * Groups are made below the group that the launcher is in, named souk-PID-N.
 */
#ifndef SOUK_SANDBOX_LINUX_CGROUP_H
#define SOUK_SANDBOX_LINUX_CGROUP_H

#include "crdt/err.h"
#include "sandbox/sandbox.h"

#include <sys/types.h>

#define CGROUP_PATH_MAX 512

enum cgroup_kind { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU, CGROUP_CPUACCT, CGROUP_KINDS };

/* What there is. Version 2: one folder, in `at[CGROUP_MEMORY]`; version 1: one a kind, "" where it is missing. */
struct cgroup_base {
    int version; /* 0: none usable */
    bool has[CGROUP_KINDS];
    bool has_kill;
    char at[CGROUP_KINDS][CGROUP_PATH_MAX];
    char missing[CGROUP_KINDS][96]; /* why not */
};

/* One group (in version 1 a folder in each hierarchy) for one sandbox. */
struct cgroup {
    bool made;
    unsigned number;
    int fd;         /* version 2: its folder, for CLONE_INTO_CGROUP; else -1 */
    int usage_fd;   /* memory in use now; -1: none                           */
    int events_fd;  /* where oom kills are counted; -1: none                 */
    int cpu_fd;     /* cpu time; -1: none                                    */
};

/* Looks for a version whose memory controller can be used here, and enables it (version 2: moves `own` processes, the
 * launcher and the node, into a child group, since a group that has processes cannot share out controllers). */
void cgroup_find(struct cgroup_base *base, const char *mountinfo, const char *self, const pid_t *own, size_t own_count);
/* Removes empty groups that launchers left behind which are no more. */
void cgroup_sweep(const struct cgroup_base *base);

/* ERR_IO with errno: could not be made. With version 0 nothing is made and all below do nothing. */
SOUK_MUST_USE enum err cgroup_make(const struct cgroup_base *base, unsigned number, struct cgroup *out);
/* NULL: the limits are set; else the file that refused them. */
const char *cgroup_limit(const struct cgroup_base *base, const struct cgroup *g, const struct sandbox_limits *limits);
/* Version 1: opens the files by which a process joins the group when it writes 0 to each; -1 where there is none. In version 2
 * the process is made inside (`fd`). NULL, or what failed with errno; all opened so far are in `out` then. */
const char *cgroup_doors(const struct cgroup_base *base, const struct cgroup *g, int out[CGROUP_KINDS]);
void cgroup_kill(const struct cgroup_base *base, const struct cgroup *g);

struct cgroup_use {
    uint64_t memory;  /* now                           */
    uint64_t peak;    /* 0: not known                  */
    uint64_t cpu_us;  /* UINT64_MAX: not known         */
    uint64_t oom;     /* kills so far                  */
};
/* Reads oom and memory, and cpu (cheap: three reads of open files); `peak` only by cgroup_peak. */
void cgroup_read(const struct cgroup_base *base, const struct cgroup *g, struct cgroup_use *out);
uint64_t cgroup_peak(const struct cgroup_base *base, const struct cgroup *g);

/* True: it is gone. False: something still holds it; try again later. */
bool cgroup_remove(const struct cgroup_base *base, struct cgroup *g);

#endif
