/*
 * Every hostile program, through the real launcher: as root and as an ordinary user, and, where the expectation is about what
 * a program sees and may do, through bubblewrap as an oracle. One line a case; a missing layer skips only what needs it.
 */
#include "sandbox/linux_jail.h"
#include "tests/lib/jailbed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WALL_MOST_MS 60000 /* no limit is raised beyond it */

/* Which other jail is expected to answer the same. */
enum oracle { ALONE, BWRAP };

struct hostile_case {
    const char *arguments[4];
    enum sandbox_status status;
    int code;
    const char *lines[12]; /* each is a line of the output, or "!x": no line has x */
    struct sandbox_limits limits;
    enum sandbox_kind output; /* JSON is 0: TEXT is used unless `json` or BYTES       */
    bool json;
    enum sandbox_layer needs; /* skipped without it; USER (0) is always there         */
    enum oracle oracle;
    const char *detail;
};

static const struct hostile_case cases[] = {
    {.arguments = {"fork-polite"},
     .lines = {"forked=30 then=EAGAIN|forked=31 then=EAGAIN"},
     .limits = {.processes = 32}},
    {.arguments = {"fork-endless"}, .status = SANDBOX_TIMEOUT, .limits = {.wall_ms = 700, .processes = 32}},
    {.arguments = {"memory"}, .status = SANDBOX_OOM},
    {.arguments = {"memory-child"}, .status = SANDBOX_OOM},
    {.arguments = {"memfd"}, .status = SANDBOX_OOM, .needs = SANDBOX_LAYER_CGROUP_MEMORY},
    {.arguments = {"fill-tmp"}, .lines = {"wrote=8388608 then=ENOSPC"}},
    {.arguments = {"inodes"}, .lines = {"inodes<20000=1 then=ENOSPC"}},
    {.arguments = {"shm"}, .lines = {"bounded=1"}, .needs = SANDBOX_LAYER_IPC},
    {.arguments = {"flood"}, .status = SANDBOX_OUTPUT_LIMIT, .output = SANDBOX_BYTES},
    {.arguments = {"flood-errors"}, .status = SANDBOX_OUTPUT_LIMIT},
    {.arguments = {"spin"}, .status = SANDBOX_TIMEOUT, .limits = {.wall_ms = 400}},
    {.arguments = {"spin"}, .status = SANDBOX_CPU, .limits = {.cpu_ms = 200}},
    {.arguments = {"sleep"}, .status = SANDBOX_TIMEOUT, .limits = {.wall_ms = 300}},
    {.arguments = {"ignore"}, .status = SANDBOX_TIMEOUT, .limits = {.wall_ms = 300}},
    {.arguments = {"close-out"}, .status = SANDBOX_TIMEOUT, .limits = {.wall_ms = 300}},
    {.arguments = {"daemon"}, .lines = {"parent"}, .oracle = BWRAP},
    {.arguments = {"kill-all"},
     .lines = {"all=ESRCH", "parent=OK|parent=EPERM", "init=OK|init=EPERM", "alive ppid=1"},
     .oracle = BWRAP},
    {.arguments = {"abort"}, .status = SANDBOX_SIGNAL, .code = 6},
    {.arguments = {"signal", "11"}, .status = SANDBOX_SIGNAL, .code = 11},
    {.arguments = {"signal", "15"}, .status = SANDBOX_SIGNAL, .code = 15},
    {.arguments = {"signal", "9"}, .status = SANDBOX_SIGNAL, .code = 9},
    {.arguments = {"core"}, .status = SANDBOX_SIGNAL, .code = 11},
    {.arguments = {"exit", "7"}, .status = SANDBOX_EXIT, .code = 7},
    {.arguments = {"calls"},
     .lines = {"!=OK", "clone3=ENOSYS", "clone_newuser=EPERM", "unshare=EPERM", "mount=EPERM", "io_uring=EPERM",
               "keyctl=EPERM", "personality=EPERM", "open_by_handle=EPERM", "chroot=EPERM", "ptrace=EPERM"},
     .needs = SANDBOX_LAYER_SECCOMP,
     .oracle = BWRAP},
    {.arguments = {"sockets"},
     .lines = {"inet=EPERM", "inet6=EPERM", "unix=EPERM", "netlink=EPERM", "packet=EPERM", "vsock=EPERM",
               "pair_unix=OK", "pair_vsock=EPERM"},
     .needs = SANDBOX_LAYER_SECCOMP,
     .oracle = BWRAP},
#if defined(__x86_64__)
    {.arguments = {"other-calls"},
     .lines = {"int80=EPERM", "x32=EPERM"},
     .needs = SANDBOX_LAYER_SECCOMP,
     .oracle = BWRAP},
#endif
    {.arguments = {"files"},
     .lines = {"!=OK", "!OPENED", "/etc/passwd=ENOENT", "/sys=ENOENT", "/dev/kvm=ENOENT", "/root=ENOENT",
               "/dev/shm/x=ENOENT", "/proc/1/root refused"},
     .oracle = BWRAP},
    {.arguments = {"writes"},
     .lines = {"!OPENED", "/dev/null=OK", "/tmp/mine=OK", "exec_tmp=EPERM|exec_tmp=EACCES", "symlink=OK",
               "/tmp/out=ENOENT"}},
    {.arguments = {"look"},
     .lines = {"fd 0", "fd 1", "fd 2", "!fd 3", "env PATH=/usr/bin:/bin", "env LANG=C.UTF-8", "pid self", "!pid /",
               "uid 1000 gid 1000 cwd /tmp", "host sandbox ppid 1 sid 1", "dumpable init 0"},
     .needs = SANDBOX_LAYER_PROC},
    {.arguments = {"reopen"},
     .lines = {"/dev/stdin=OK", "/proc/self/fd/0=OK", "/dev/fd/0=OK", "/dev/stdout=OK", "/proc/self/fd/1=OK", "/dev/stderr=OK"},
     .needs = SANDBOX_LAYER_PROC},
    {.arguments = {"rlimits"}, .lines = {"!=OK", "raise 0=EPERM", "raise 1=EPERM", "raise 2=EPERM"}, .oracle = ALONE},
    {.arguments = {"print", "{\"a\":"}, .status = SANDBOX_BAD_OUTPUT, .json = true, .detail = "ends within"},
    {.arguments = {"nul"}, .status = SANDBOX_BAD_OUTPUT, .json = true, .detail = "control byte"},
    {.arguments = {"print", "\"\xff\""}, .status = SANDBOX_BAD_OUTPUT, .json = true, .detail = "UTF-8"},
    {.arguments = {"deep"}, .status = SANDBOX_BAD_OUTPUT, .json = true, .detail = "deeply"},
    {.arguments = {"print", "1e999"}, .status = SANDBOX_BAD_OUTPUT, .json = true, .detail = "range of a double"},
    {.arguments = {"print", "{\"a\":1,\"a\":2}"}, .status = SANDBOX_BAD_OUTPUT, .json = true, .detail = "twice"},
    {.arguments = {"print", "{} {}"}, .status = SANDBOX_BAD_OUTPUT, .json = true, .detail = "after the document"},
    {.arguments = {"keys"}, .status = SANDBOX_BAD_OUTPUT, .json = true, .detail = "too many members"},
    {.arguments = {"print", ""}, .status = SANDBOX_BAD_OUTPUT, .json = true, .detail = "no JSON document"},
    {.arguments = {"gzip"}, .output = SANDBOX_BYTES}, /* never inflated: 14 bytes in, 14 bytes out */
    {.arguments = {"print", "{\"a\":1}"}, .json = true, .lines = {"{\"a\":1}"}},
    {.arguments = {"args", "a b", "c;d"}, .lines = {"[a b][c;d]"}},
};

static int faults;

static void fault(const char *user, const struct hostile_case *c, const struct jail_result *r, const char *what)
{
    printf(
        "FAULT as %s: %s %s: %s\n  status %s code %d wall %llu us detail \"%s\"\n  output: %.2000s\n  errors: %.500s\n",
        user, c->arguments[0], c->arguments[1] != NULL ? c->arguments[1] : "", what, sandbox_status_name(r->r.status),
        r->r.code, (unsigned long long)r->r.wall_us, r->r.detail, r->output.p != NULL ? (const char *)r->output.p : "",
        r->errors.p != NULL ? (const char *)r->errors.p : "");
    faults++;
}

static bool has_line(const char *text, const char *line, size_t n)
{
    for (const char *at = text; *at != '\0';) {
        size_t size = strcspn(at, "\n");
        if (size == n && strncmp(at, line, n) == 0)
            return true;
        at += size + (at[size] == '\n');
    }
    return false;
}

/* "a|b": one of them is a line. */
static bool has_one(const char *text, const char *lines)
{
    for (const char *at = lines; *at != '\0';) {
        size_t n = strcspn(at, "|");
        if (has_line(text, at, n))
            return true;
        at += n + (at[n] == '|');
    }
    return false;
}

/* The first expectation that a text does not meet; NULL: none. An oracle that is less strict is asked for the lines alone. */
static const char *unmet(const struct hostile_case *c, const char *text, enum oracle asked)
{
    for (size_t i = 0; i < 12 && c->lines[i] != NULL; i++) {
        const char *want = c->lines[i];
        if (asked == BWRAP && (want[0] == '!' || strncmp(want, "/proc/1", 7) == 0))
            continue;
        if (want[0] == '!' ? strstr(text, want + 1) != NULL : !has_one(text, want))
            return want;
    }
    return NULL;
}

static void judge(const char *user, const struct hostile_case *c, const struct jail_result *r)
{
    const char *text = r->output.p != NULL ? (const char *)r->output.p : "";
    if (r->r.status != c->status || r->r.code != c->code)
        fault(user, c, r, sandbox_status_name(c->status));
    else if (unmet(c, text, ALONE) != NULL)
        fault(user, c, r, unmet(c, text, ALONE));
    else if (c->detail != NULL && strstr(r->r.detail, c->detail) == NULL)
        fault(user, c, r, c->detail);
    else if (!r->r.started)
        fault(user, c, r, "not marked as started");
    else if (r->r.bytes_out > (1u << 20))
        fault(user, c, r, "more output than the limit");
}

/* The limits are those of a machine that starts a sandbox within them: where it does not, they are doubled until it does. */
static void run_in_time(struct jailbed *bed, struct sandbox_spec *spec, struct bytes input, struct jail_result *r)
{
    jailbed_run(bed, spec, input, r);
    while (r->r.status == SANDBOX_TIMEOUT && !r->r.started && spec->limits.wall_ms < WALL_MOST_MS) {
        jail_result_close(r);
        spec->limits.wall_ms *= 2;
        jailbed_run(bed, spec, input, r);
    }
}

static void run_case(struct jailbed *bed, const char *user, const struct hostile_case *c)
{
    struct jail_result r;
    struct sandbox_spec spec = jailbed_spec(bed, c->arguments);
    if (c->needs != SANDBOX_LAYER_USER && !bed->layers.active[c->needs]) {
        printf("as %s: %s skipped: no layer %s\n", user, c->arguments[0], sandbox_layer_name(c->needs));
        return;
    }
    spec.output = c->json ? SANDBOX_JSON : c->output == SANDBOX_BYTES ? SANDBOX_BYTES : SANDBOX_TEXT;
    spec.limits.wall_ms = c->limits.wall_ms != 0 ? c->limits.wall_ms : spec.limits.wall_ms;
    spec.limits.processes = c->limits.processes != 0 ? c->limits.processes : spec.limits.processes;
    spec.limits.cpu_ms = c->limits.cpu_ms;
    run_in_time(bed, &spec, (struct bytes){0}, &r);
    judge(user, c, &r);
    jail_result_close(&r);
}

/* A megabyte that nobody reads: the node never blocks, the run ends in time. */
static void never_reads(struct jailbed *bed, const char *user)
{
    static uint8_t megabyte[1 << 20];
    const struct hostile_case c = {.arguments = {"sleep"}, .status = SANDBOX_TIMEOUT};
    struct sandbox_spec spec = jailbed_spec(bed, c.arguments);
    struct jail_result r;
    spec.limits.wall_ms = 300;
    run_in_time(bed, &spec, bytes_of(megabyte, sizeof megabyte), &r);
    judge(user, &c, &r);
    jail_result_close(&r);
}

/* A megabyte there and back, while the program reads and writes as it likes. */
static void large_echo(struct jailbed *bed, const char *user)
{
    static uint8_t room[(1 << 20) - 3];
    const struct hostile_case c = {.arguments = {"copy"}};
    struct sandbox_spec spec = jailbed_spec(bed, c.arguments);
    struct jail_result r;
    for (size_t i = 0; i < sizeof room; i++)
        room[i] = (uint8_t)(i * 7 >> 3);
    spec.output = SANDBOX_BYTES;
    jailbed_run(bed, &spec, bytes_of(room, sizeof room), &r);
    judge(user, &c, &r);
    if (!bytes_eq(r.r.output, bytes_of(room, sizeof room)) || r.r.bytes_in != sizeof room)
        fault(user, &c, &r, "the same bytes");
    jail_result_close(&r);
}

/* Where memory is summed by hand, memory that no process maps cannot be made. */
static void weak_memfd(struct jailbed *bed, const char *user)
{
    const struct hostile_case c = {.arguments = {"memfd"}, .lines = {"memfd=EPERM"}, .needs = SANDBOX_LAYER_SECCOMP};
    struct sandbox_spec spec = jailbed_spec(bed, c.arguments);
    struct jail_result r;
    spec.weak = SANDBOX_WEAK;
    jailbed_run(bed, &spec, (struct bytes){0}, &r);
    judge(user, &c, &r);
    jail_result_close(&r);
}

/* Nothing is gained from a program with the set-user-id bit. The copy lies in a folder that is mounted. */
static void setuid_copy(struct jailbed *bed, const char *user)
{
    char dir[] = "/tmp/souk-hostile-XXXXXX", path[64], command[2 * SANDBOX_PATH_MAX];
    const struct hostile_case c = {
        .arguments = {"setuid", "/app/copy"},
        .lines = {"before euid=1000 nnp=1", "euid=1000", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"}};
    if (mkdtemp(dir) == NULL || chmod(dir, 0755) != 0)
        exit(1);
    snprintf(path, sizeof path, "%s/copy", dir);
    snprintf(command, sizeof command, "cp %s %s && chmod 6755 %s", bed->hostile.path, path, path);
    if (system(command) != 0)
        exit(1);
    const struct sandbox_mount mount = {.source = dir, .target = "/app"};
    struct sandbox_spec spec = jailbed_spec(bed, c.arguments);
    struct jail_result r;
    spec.mounts = &mount;
    spec.mounts_count = 1;
    jailbed_run(bed, &spec, (struct bytes){0}, &r);
    judge(user, &c, &r);
    jail_result_close(&r);
    unlink(path);
    rmdir(dir);
}

static int run_all(const char *user)
{
    struct jailbed bed;
    jailbed_open(&bed);
    printf("as %s: cgroup version %d, Landlock ABI %d\n", user, bed.layers.cgroup_version, bed.layers.landlock_abi);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_case(&bed, user, &cases[i]);
    never_reads(&bed, user);
    large_echo(&bed, user);
    weak_memfd(&bed, user);
    setuid_copy(&bed, user);
    jailbed_close(&bed);
    fflush(stdout);
    return faults;
}

/* The same question to another jail. */
static void ask_bwrap(const struct hostile_case *c, const char *filter)
{
    char command[2048], output[8192];
    const char *build = getenv("SOUK_BUILD");
    snprintf(command, sizeof command,
             "bwrap --unshare-all --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink "
             "usr/lib64 /lib64 "
             "--proc /proc --dev /dev --tmpfs /tmp --dir /app --ro-bind %s/tests/hostile /app/hostile --chdir /tmp "
             "--clearenv "
             "--uid 1000 --gid 1000 --new-session --die-with-parent --seccomp 9 /app/hostile %s 9<%s",
             build != NULL ? build : "build", c->arguments[0], filter);
    FILE *f = popen(command, "r");
    size_t n = f == NULL ? 0 : fread(output, 1, sizeof output - 1, f);
    output[n] = '\0';
    if (f == NULL || pclose(f) != 0 || unmet(c, output, BWRAP) != NULL) {
        const char *want = unmet(c, output, BWRAP);
        printf("FAULT: bubblewrap disagrees on %s: %s\n%s\n", c->arguments[0], want != NULL ? want : "", output);
        faults++;
    }
}

static void oracle(void)
{
    if (system("bwrap --ro-bind / / true 2>/dev/null") != 0) {
        printf("bubblewrap is not there or does not work here: not asked\n");
        return;
    }
    char path[] = "/tmp/souk-filter-XXXXXX";
    struct sock_fprog filter = {.len = 0};
    int fd = mkstemp(path);
    if (fd < 0 || jail_filter_make(&filter, SANDBOX_STRICT) != NULL)
        exit(1);
    ssize_t n = write(fd, filter.filter, filter.len * sizeof filter.filter[0]);
    faults += n != (ssize_t)(filter.len * sizeof filter.filter[0]);
    close(fd);
    free(filter.filter);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].oracle == BWRAP)
            ask_bwrap(&cases[i], path);
    }
    unlink(path);
}

int main(void)
{
    int status = 0, other = 0;
    fflush(stdout);
    if (getuid() == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            if (setgid(65534) != 0 || setuid(65534) != 0)
                return 1;
            exit(run_all("an ordinary user") == 0 ? 0 : 1);
        }
        waitpid(pid, &status, 0);
        other = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    run_all(getuid() == 0 ? "root" : "an ordinary user");
    oracle();
    printf("%d faults; the other user's: %d\n", faults, other);
    return faults != 0 || (other != 0 && other != 77);
}
