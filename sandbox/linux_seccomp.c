/*
 * The system call filter: everything is allowed but a list, since runtimes of models need many calls. What is refused
 * returns EPERM (clone3: ENOSYS, so that libraries fall back to clone, whose flags can be seen). Another architecture's
 * calls (int 0x80, x32) are refused as a whole.
 */
#include "sandbox/linux_jail.h"

#include "crdt/alloc.h"

#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMESPACE_FLAGS                                                                                                \
    (0x80u /* time */ | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |   \
     CLONE_NEWNET)

/* Refused whatever the arguments. */
static const char *const refused[] = {
    /* namespaces and mounts */
    "unshare", "setns", "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr", "open_tree_attr", "listmount", "statmount",
    /* other processes */
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "pidfd_getfd",
    /* large and old attack surfaces */
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl",
    "add_key", "request_key", "memfd_secret", "vhangup", "lookup_dcookie", "uselib", "modify_ldt", "vm86", "vm86old",
    "_sysctl", "nfsservctl", "fanotify_init", "fanotify_mark", "lsm_set_self_attr",
    /* the machine */
    "reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module",
    "swapon", "swapoff", "settimeofday", "clock_settime", "clock_adjtime", "clock_adjtime64", "clock_settime64",
    "adjtimex", "stime", "sethostname", "setdomainname", "iopl", "ioperm", "quotactl", "quotactl_fd", "acct", "syslog",
    "open_by_handle_at", "name_to_handle_at", "mbind", "migrate_pages", "move_pages", "set_mempolicy",
    "set_mempolicy_home_node",
    /* no address family is of use without a network: INET, UNIX, NETLINK, and VSOCK, which knows no namespaces */
    "socket", "bind", "listen", "connect", "accept", "accept4"};

/* Memory that no process needs to map: uncounted where the memory of processes is summed by hand. */
static const char *const refused_weak[] = {"memfd_create", "shmget", "shmat"};

static int refuse(scmp_filter_ctx ctx, const char *const *names, size_t count)
{
    int failed = 0;
    for (size_t i = 0; i < count && failed == 0; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number == __NR_SCMP_ERROR)
            continue; /* newer than the library: cannot be named */
        failed = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), number, 0);
        if (failed == -EDOM || failed == -EINVAL)
            failed = 0; /* not a call of this architecture */
    }
    return failed;
}

static struct scmp_arg_cmp compare(unsigned argument, enum scmp_compare op, uint64_t a, uint64_t b)
{
    return (struct scmp_arg_cmp){.arg = argument, .op = op, .datum_a = a, .datum_b = b};
}

/* One rule a row: the call is refused when its argument compares so. */
static int refuse_arguments(scmp_filter_ctx ctx)
{
    const struct {
        int call;
        struct scmp_arg_cmp argument;
    } rules[] = {
        {SCMP_SYS(socketpair), compare(0, SCMP_CMP_NE, AF_UNIX, 0)},
        {SCMP_SYS(personality), compare(0, SCMP_CMP_NE, UINT32_MAX, 0)}, /* asking alone is left */
        {SCMP_SYS(ioctl), compare(1, SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCSTI)},
        {SCMP_SYS(ioctl), compare(1, SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCLINUX)},
        {SCMP_SYS(mknod), compare(1, SCMP_CMP_MASKED_EQ, S_IFMT, S_IFCHR)},
        {SCMP_SYS(mknod), compare(1, SCMP_CMP_MASKED_EQ, S_IFMT, S_IFBLK)},
        {SCMP_SYS(mknodat), compare(2, SCMP_CMP_MASKED_EQ, S_IFMT, S_IFCHR)},
        {SCMP_SYS(mknodat), compare(2, SCMP_CMP_MASKED_EQ, S_IFMT, S_IFBLK)},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0] && failed == 0; i++)
        failed = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), rules[i].call, 1, &rules[i].argument);
    return failed;
}

static int refuse_clones(scmp_filter_ctx ctx)
{
    int failed = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    for (unsigned bit = 0; bit < 32 && failed == 0; bit++) {
        const uint64_t flag = UINT64_C(1) << bit;
        const struct scmp_arg_cmp argument = compare(0, SCMP_CMP_MASKED_EQ, flag, flag);
        if ((flag & NAMESPACE_FLAGS) != 0)
            failed = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &argument);
    }
    return failed;
}

static int export(scmp_filter_ctx ctx, struct sock_fprog *filter)
{
    int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int failed = seccomp_export_bpf(ctx, fd);
    off_t size = lseek(fd, 0, SEEK_END);
    if (failed == 0 && (size <= 0 || size % (off_t)sizeof(struct sock_filter) != 0))
        failed = -EIO;
    if (failed == 0) {
        filter->len = (unsigned short)((size_t)size / sizeof(struct sock_filter));
        filter->filter = mem_alloc((size_t)size);
        failed = pread(fd, filter->filter, (size_t)size, 0) == size ? 0 : -EIO;
    }
    close(fd);
    return failed;
}

const char *jail_filter_make(struct sock_fprog *filter, enum sandbox_weak weak)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    if (ctx == NULL)
        return "libseccomp does not start";
    int failed = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
    if (failed == 0)
        failed = refuse(ctx, refused, sizeof refused / sizeof refused[0]);
    if (failed == 0 && weak == SANDBOX_WEAK)
        failed = refuse(ctx, refused_weak, sizeof refused_weak / sizeof refused_weak[0]);
    if (failed == 0)
        failed = refuse_arguments(ctx);
    if (failed == 0)
        failed = refuse_clones(ctx);
    if (failed == 0)
        failed = export(ctx, filter);
    seccomp_release(ctx);
    errno = failed < 0 ? -failed : 0;
    return failed == 0 ? NULL : "the filter cannot be made";
}
