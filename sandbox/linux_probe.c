/*
 * The self-test's look around from within a finished sandbox: each check tries something that must not work.
 */
#include "sandbox/linux_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "sandbox/linux_sys.h"

const char *const jail_probe_names[JAIL_PROBES] = {
    "its user is not 1000",
    "it is not process 1",
    "it sees the host's /etc/passwd",
    "it can write to its root",
    "it can write to /usr",
    "a socket can be made",
    "a VSOCK can be made",
    "a namespace can be made by unshare",
    "clone3 is not refused",
    "a user namespace can be made by clone",
    "it keeps capabilities",
    "it shows other processes",
};

const enum sandbox_layer jail_probe_layers[JAIL_PROBES] = {
    SANDBOX_LAYER_USER,    SANDBOX_LAYER_PID,     SANDBOX_LAYER_MOUNT,   SANDBOX_LAYER_MOUNT,
    SANDBOX_LAYER_MOUNT,   SANDBOX_LAYER_SECCOMP, SANDBOX_LAYER_SECCOMP, SANDBOX_LAYER_SECCOMP,
    SANDBOX_LAYER_SECCOMP, SANDBOX_LAYER_SECCOMP, SANDBOX_LAYER_USER,    SANDBOX_LAYER_PROC,
};

static bool refused(long result, int error)
{
    return result < 0 && errno == error;
}

static bool cannot_write(const char *path, int error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return refused(fd, error);
}

uint32_t jail_probe(const struct jail *jail)
{
    struct stat st;
    bool proc_own = !jail->built.proc || (stat("/proc/2", &st) != 0 && stat("/proc/self", &st) == 0);
    const bool holds[JAIL_PROBES] = {
        getuid() == JAIL_INSIDE_ID && getgid() == JAIL_INSIDE_ID,
        getpid() == 1,
        refused(open("/etc/passwd", O_RDONLY | O_CLOEXEC), ENOENT),
        cannot_write("/x", EROFS) || errno == EACCES,
        cannot_write("/usr/x", EROFS) || errno == EACCES,
        refused(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), EPERM),
        refused(socket(40 /* AF_VSOCK */, SOCK_STREAM | SOCK_CLOEXEC, 0), EPERM),
        refused(unshare(CLONE_NEWUTS), EPERM),
        refused(syscall(SYS_clone3, NULL, 0), ENOSYS),
        refused(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL), EPERM),
        prctl(PR_CAPBSET_READ, 0, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
        proc_own,
    };
    uint32_t faults = 0;
    for (unsigned i = 0; i < JAIL_PROBES; i++)
        faults |= holds[i] ? 0u : 1u << i;
    return faults;
}
