/*
 * One sandbox from the inside of the launcher: what its first process (init) is told, and the steps that build it.
 * A step returns NULL, or the name of what failed with errno set. Every step runs in the new process. Building has two
 * stages: what is the same for every program (namespaces, ids, base of the root) is done ahead; then comes the order with
 * mounts and limits, and init finishes the root and gives up its rights.
 */
#ifndef SOUK_SANDBOX_LINUX_JAIL_H
#define SOUK_SANDBOX_LINUX_JAIL_H

#include "sandbox/message.h"

#include <linux/filter.h>
#include <sys/types.h>

#define JAIL_INSIDE_ID  1000        /* user and group of the program, as it sees them                     */
#define JAIL_FIRST_ID   1879100000u /* outside, as root: above the ids that containers are given; + slot  */
#define JAIL_CTL_GO     'g'         /* launcher to init: ids are mapped                                   */
#define JAIL_CTL_START  's'         /* launcher to init: start; with stdin, stdout, stderr                */
#define JAIL_GROUPS     4           /* files to join control groups by                                    */

enum jail_ids { JAIL_IDS_SELF, JAIL_IDS_OWN }; /* mapped to the caller, or to an id of this sandbox alone */

/* What a layer that may be missing came to. */
struct jail_built {
    bool proc, landlock, no_user_ns;
    char proc_missing[64];
};

struct jail {
    enum jail_ids ids;
    volatile uint8_t *started;              /* shared with the launcher: set just before the program is executed */
    int ctl;                                /* init's end of the socket to the launcher                     */
    int groups[JAIL_GROUPS];                /* cgroup.procs of version 1, to write 0 to; else -1            */
    const struct sock_fprog *filters;       /* by enum sandbox_weak; a filter of NULL: seccomp is missing   */
    int landlock_abi;
    /* From the order: */
    const struct sandbox_order *order;
    const struct sandbox_order_text *text;
    int exe;                                /* -1 in the self-test, which looks around instead              */
    int stdio[3];                           /* -1: come with JAIL_CTL_START                                 */
    int trees[SANDBOX_MOUNTS_MAX];          /* detached mounts that the launcher could make; -1: by path    */
    int files[SANDBOX_MOUNTS_MAX];          /* the descriptors that `file_mask` promises; else -1           */
    struct jail_built built;                /* written by the steps                                         */
};

/* Init to launcher. */
enum jail_word_kind {
    JAIL_WORD_BUILT = 1,
    JAIL_WORD_STARTED,
    JAIL_WORD_FAILED,
    JAIL_WORD_EXITED,
    JAIL_WORD_LATE,
    JAIL_WORD_PROBED
};
struct jail_word {
    uint32_t kind;
    int32_t wait_status;     /* EXITED                                    */
    uint64_t own_cpu_us;     /* of init itself, to be taken off           */
    uint64_t cpu_us;         /* EXITED: of all that ran in the sandbox    */
    struct jail_built built; /* BUILT, PROBED                             */
    uint32_t probe_faults;   /* PROBED: bit i = check i did not hold      */
    char detail[160];        /* FAILED                                    */
};

/* Runs init; never returns. */
_Noreturn void jail_init(struct jail *jail);

/* linux_root.c: the base of the root, which is then the working directory; later the rest, and the move into it. */
const char *jail_root_base(struct jail *jail);
const char *jail_root_finish(struct jail *jail);
/* A detached, read-only copy of what is mounted at a path or, with an empty path, at `dir`; -1 with errno. */
int jail_tree(int dir, const char *path);

/* linux_confine.c */
const char *jail_ids_take(const struct jail *jail);
const char *jail_confine(struct jail *jail);           /* capabilities, no_new_privs, Landlock, filter      */
const char *jail_rlimits(const struct jail *jail);     /* of the program: called in its process             */
int jail_landlock_abi(void);                           /* 0: the kernel has none                            */

/* linux_seccomp.c: the filter as a program for the kernel, made once; `weak` also refuses memory that belongs to no process.
 * Freed with free(filter->filter). NULL: done; else what failed. */
const char *jail_filter_make(struct sock_fprog *filter, enum sandbox_weak weak);

/* linux_probe.c: what does not hold in this sandbox, as bits; and the words for it. */
uint32_t jail_probe(const struct jail *jail);
#define JAIL_PROBES 12
extern const char *const jail_probe_names[JAIL_PROBES];
extern const enum sandbox_layer jail_probe_layers[JAIL_PROBES];

#endif
