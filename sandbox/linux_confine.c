/*
 * What takes rights away from a process of its own accord: ids, capabilities, no_new_privs, Landlock, the filter, resource
 * limits. Each holds for everything that is started later.
 */
#include "sandbox/linux_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "sandbox/linux_sys.h"

#define CAPABILITIES 64 /* more than any kernel has; the first unknown one ends the loop */

const char *jail_ids_take(const struct jail *jail)
{
    if (jail->ids == JAIL_IDS_OWN && setgroups(0, NULL) != 0)
        return "setgroups";
    if (setresgid(JAIL_INSIDE_ID, JAIL_INSIDE_ID, JAIL_INSIDE_ID) != 0)
        return "setresgid";
    if (setresuid(JAIL_INSIDE_ID, JAIL_INSIDE_ID, JAIL_INSIDE_ID) != 0)
        return "setresuid";
    return NULL;
}

static const char *drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}, {0}};
    const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                               SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                               SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) != 0)
        return "securebits";
    for (unsigned long i = 0; i < CAPABILITIES && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0; i++) {
    }
    if (prctl(PR_CAPBSET_READ, 0, 0, 0, 0) != 0)
        return "capability bounding set";
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return "ambient capabilities";
    if (syscall(SYS_capset, &header, none) != 0)
        return "capset";
    return NULL;
}

/* The rules of Landlock grew with its version; older headers do not name them all. */
struct landlock_rules {
    uint64_t fs, net, scoped;
};

#define LANDLOCK_FS_REFER     (UINT64_C(1) << 13) /* version 2 */
#define LANDLOCK_FS_TRUNCATE  (UINT64_C(1) << 14) /* version 3 */
#define LANDLOCK_FS_IOCTL_DEV (UINT64_C(1) << 15) /* version 5 */
#define LANDLOCK_NET_TCP      UINT64_C(3)         /* version 4: bind, connect */
#define LANDLOCK_SCOPES       UINT64_C(3)         /* version 6: abstract sockets, signals */

static struct landlock_rules rules_of(int abi)
{
    struct landlock_rules r = {.fs = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                                     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                                     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM};
    r.fs |= abi >= 2 ? LANDLOCK_FS_REFER : 0;
    r.fs |= abi >= 3 ? LANDLOCK_FS_TRUNCATE : 0;
    r.fs |= abi >= 5 ? LANDLOCK_FS_IOCTL_DEV : 0;
    r.net = abi >= 4 ? LANDLOCK_NET_TCP : 0;
    r.scoped = abi >= 6 ? LANDLOCK_SCOPES : 0;
    return r;
}

static size_t rules_size(int abi)
{
    return abi >= 6 ? sizeof(struct landlock_rules) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

static int landlock_permit(int ruleset, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr attr = {.allowed_access = access, .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    if (attr.parent_fd < 0)
        return -1;
    int failed = sys_landlock_add(ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr);
    close(attr.parent_fd);
    return failed;
}

int jail_landlock_abi(void)
{
    int abi = sys_landlock_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return abi > 0 ? abi : 0;
}

/* Nothing is written outside /tmp, no device asked anything, no TCP, no signal to the outside. */
static const char *confine_landlock(struct jail *jail)
{
    if (jail->landlock_abi < 1)
        return NULL;
    struct landlock_rules rules = rules_of(jail->landlock_abi);
    int ruleset = sys_landlock_create(&rules, rules_size(jail->landlock_abi), 0);
    if (ruleset < 0)
        return "Landlock rules";
    bool failed =
        landlock_permit(ruleset, "/tmp", rules.fs & ~LANDLOCK_FS_IOCTL_DEV) != 0 ||
        landlock_permit(ruleset, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE | (rules.fs & LANDLOCK_FS_TRUNCATE)) != 0 ||
        sys_landlock_restrict(ruleset) != 0;
    close(ruleset);
    jail->built.landlock = !failed;
    return failed ? "Landlock" : NULL;
}

const char *jail_confine(struct jail *jail)
{
    const char *failed = drop_capabilities();
    if (failed != NULL)
        return failed;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return "no_new_privs";
    failed = confine_landlock(jail);
    if (failed != NULL)
        return failed;
    const struct sock_fprog *filter = &jail->filters[jail->order->weak != 0 ? SANDBOX_WEAK : SANDBOX_STRICT];
    if (filter->filter != NULL && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter) != 0)
        return "seccomp";
    return NULL;
}

const char *jail_rlimits(const struct jail *jail)
{
    const struct sandbox_limits *l = &jail->order->limits;
    const struct {
        __rlimit_resource_t what;
        rlim_t most;
    } rows[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_NOFILE, l->files},
        {RLIMIT_NPROC, l->processes + 1}, /* init counts */
        {RLIMIT_MEMLOCK, 65536},
        {RLIMIT_MSGQUEUE, 0},
        {RLIMIT_NICE, 0},
        {RLIMIT_RTPRIO, 0},
        {RLIMIT_CPU, l->cpu_ms == 0 ? RLIM_INFINITY : l->cpu_ms / 1000 + 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rlimit limit = {.rlim_cur = rows[i].most, .rlim_max = rows[i].most}, now;
        if (getrlimit(rows[i].what, &now) == 0 && now.rlim_max < limit.rlim_max)
            limit.rlim_cur = limit.rlim_max = now.rlim_max; /* never raised */
        if (setrlimit(rows[i].what, &limit) != 0)
            return "rlimit";
    }
    return NULL;
}
