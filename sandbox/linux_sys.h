/*
 * System calls that the C library of Debian 12 does not wrap, and constants newer than its headers. Nothing else.
 */
#ifndef SOUK_SANDBOX_LINUX_SYS_H
#define SOUK_SANDBOX_LINUX_SYS_H

#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static inline long sys_clone3(struct clone_args *args)
{
    return syscall(SYS_clone3, args, sizeof *args);
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}

static inline int sys_pidfd_kill(int pidfd)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

/* Reaps the process and gives what it and all it waited for used. */
static inline int sys_waitid_pidfd(int pidfd, siginfo_t *info, struct rusage *use)
{
    return (int)syscall(SYS_waitid, P_PIDFD, pidfd, info, WEXITED | WNOHANG, use);
}

static inline int sys_execveat(int fd, const char *const *argv, const char *const *env)
{
    return (int)syscall(SYS_execveat, fd, "", argv, env, 0x1000 /* AT_EMPTY_PATH */);
}

static inline int sys_landlock_create(const void *attr, size_t size, uint32_t flags)
{
    return (int)syscall(SYS_landlock_create_ruleset, attr, size, flags);
}

static inline int sys_landlock_add(int ruleset, uint32_t type, const void *attr)
{
    return (int)syscall(SYS_landlock_add_rule, ruleset, type, attr, 0);
}

static inline int sys_landlock_restrict(int ruleset)
{
    return (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
}

#endif
