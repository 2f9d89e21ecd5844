/*
 * A program that tries to do harm, one way for each verb, and says on stdout what it came to. Built without sanitizers; run
 * by the tests inside a sandbox, never outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1u << 20)

static const char *error_name(long result)
{
    return result >= 0 ? "OK" : strerrorname_np(errno);
}

static void tell(const char *what, long result)
{
    printf("%s=%s\n", what, error_name(result));
}

static void nap(void)
{
    for (;;)
        pause();
}

/* Processes */

static int fork_polite(void)
{
    int n = 0;
    pid_t pid;
    while (n < 5000 && (pid = fork()) >= 0) {
        if (pid == 0)
            nap();
        n++;
    }
    printf("forked=%d then=%s\n", n, strerrorname_np(errno));
    return 0;
}

static int fork_endless(void)
{
    for (;;) {
        if (fork() == 0)
            continue;
    }
    return 0;
}

static int daemonize(void)
{
    if (fork() == 0) {
        setsid();
        if (fork() == 0)
            nap(); /* holds stdout */
        _exit(0);
    }
    wait(NULL);
    puts("parent");
    return 0;
}

static int kill_all(void)
{
    tell("all", kill(-1, 0));
    tell("parent", kill(getppid(), SIGKILL));
    tell("init", kill(1, SIGKILL));
    struct timespec t = {.tv_nsec = 50 * 1000000};
    nanosleep(&t, NULL);
    printf("alive ppid=%d\n", (int)getppid());
    return 0;
}

static int ignore_signals(void)
{
    for (int i = 1; i < 64; i++)
        signal(i, SIG_IGN);
    nap();
    return 0;
}

static int close_out(void)
{
    close(1);
    close(2);
    nap();
    return 0;
}

/* Memory */

static int memory_bomb(void)
{
    for (;;) {
        char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return 3;
        memset(p, 1, MIB);
    }
}

/* The child is the one that uses the memory; the parent would go on. */
static int memory_child(void)
{
    if (fork() == 0)
        _exit(memory_bomb());
    nap();
    return 0;
}

static int memfd_bomb(void)
{
    static char block[MIB];
    memset(block, 1, sizeof block);
    int fd = memfd_create("x", 0);
    if (fd < 0) {
        tell("memfd", fd);
        return 0;
    }
    while (write(fd, block, sizeof block) > 0) {
    }
    tell("write", -1);
    return 0;
}

static int fill_tmp(void)
{
    static char block[MIB];
    int fd = open("/tmp/x", O_CREAT | O_WRONLY, 0600);
    size_t n = 0;
    ssize_t got;
    while ((got = write(fd, block, 4096)) > 0)
        n += (size_t)got;
    printf("wrote=%zu then=%s\n", n, strerrorname_np(errno));
    return 0;
}

static int inodes(void)
{
    char name[32];
    int n = 0;
    for (;; n++) {
        snprintf(name, sizeof name, "/tmp/%d", n);
        int fd = open(name, O_CREAT | O_WRONLY, 0600);
        if (fd < 0)
            break;
        close(fd);
    }
    printf("inodes<20000=%d then=%s\n", n < 20000, strerrorname_np(errno));
    return 0;
}

static int shm_segments(void)
{
    int n = 0;
    while (n < 100000 && shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) >= 0)
        n++;
    printf("bounded=%d\n", n < 100000);
    return 0;
}

/* Output */

static int flood(int fd)
{
    static char block[65536];
    memset(block, 'x', sizeof block);
    while (write(fd, block, sizeof block) > 0) {
    }
    return 0;
}

static int spin(void)
{
    for (volatile uint64_t i = 0;; i++) {
    }
    return 0;
}

static int put(const char *bytes, size_t n)
{
    return write(1, bytes, n) == (ssize_t)n ? 0 : 4;
}

static int deep(void)
{
    for (int i = 0; i < 100000; i++)
        putchar('[');
    return 0;
}

static int keys(void)
{
    putchar('{');
    for (int i = 0; i < 70000; i++)
        printf("%s\"%d\":0", i > 0 ? "," : "", i);
    puts("}");
    return 0;
}

/* System calls that must be refused */

static void calls(void)
{
    struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    char buffer[256];
    struct {
        char room[64];
    } handle = {{0}};
    memset(buffer, 0, sizeof buffer);
    tell("ptrace", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    tell("process_vm_readv", syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0));
    tell("mount", mount("x", "/tmp", "tmpfs", 0, NULL));
    tell("unshare", unshare(CLONE_NEWNS));
    tell("setns", setns(0, 0));
    tell("clone3", syscall(SYS_clone3, &args, sizeof args));
    tell("clone_newuser", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
    tell("clone_newnet", syscall(SYS_clone, CLONE_NEWNET | SIGCHLD, NULL, NULL, NULL, NULL));
    tell("io_uring", syscall(SYS_io_uring_setup, 1, buffer));
    tell("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    tell("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
    tell("bpf", syscall(SYS_bpf, 0, buffer, sizeof buffer));
    tell("perf", syscall(SYS_perf_event_open, buffer, 0, -1, -1, 0));
    tell("userfaultfd", syscall(SYS_userfaultfd, 0));
    tell("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
    tell("mknod", mknod("/tmp/null", S_IFCHR | 0600, 0x103));
    tell("open_by_handle", syscall(SYS_open_by_handle_at, -100, &handle, 0));
    tell("pivot_root", syscall(SYS_pivot_root, ".", "."));
    tell("personality", personality(ADDR_NO_RANDOMIZE));
    tell("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0));
    tell("module", syscall(SYS_init_module, NULL, 0, ""));
    tell("chroot", chroot("/tmp"));
    tell("setuid", setuid(0));
    tell("sethostname", sethostname("x", 1));
    tell("tiocsti", ioctl(0, TIOCSTI, "x"));
    tell("memfd_secret", syscall(447, 0));
}

static void sockets(void)
{
    int pair[2];
    tell("inet", socket(AF_INET, SOCK_STREAM, 0));
    tell("inet6", socket(AF_INET6, SOCK_DGRAM, 0));
    tell("unix", socket(AF_UNIX, SOCK_STREAM, 0));
    tell("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    tell("packet", socket(AF_PACKET, SOCK_RAW, 0));
    tell("vsock", socket(40, SOCK_STREAM, 0));
    tell("pair_unix", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    tell("pair_vsock", socketpair(40, SOCK_STREAM, 0, pair));
}

#if defined(__x86_64__)
/* getpid (20) by the 32-bit gate, and by the x32 numbers: neither may reach the kernel. */
static void other_calls(void)
{
    long gate;
    __asm__ volatile("int $0x80" : "=a"(gate) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    printf("int80=%s\n", gate > 0 ? "OK" : strerrorname_np((int)-gate));
    errno = 0;
    tell("x32", syscall(0x40000000 + SYS_getpid));
}
#endif

/* Files */

static void try_open(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    printf("%s=%s\n", path, error_name(fd));
    if (fd >= 0)
        close(fd);
}

static void files(int argc, char **argv)
{
    static const char *const absent[] = {
        "/etc/passwd", "/etc/shadow", "/sys", "/sys/fs/cgroup", "/dev/kvm", "/dev/mem",  "/dev/shm/x", "/root",
        "/home",       "/var/lib",    "/run", "/boot",          "/dev/tty", "/dev/ptmx", "/dev/vda",   "/etc/hostname"};
    static const char *const denied[] = {"/proc/1/root", "/proc/1/environ", "/proc/1/fd", "/proc/kcore", "/proc/kmsg"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        try_open(absent[i], O_RDONLY);
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++)
        printf("%s %s\n", denied[i], open(denied[i], O_RDONLY) < 0 ? "refused" : "OPENED");
    for (int i = 2; i < argc; i++)
        try_open(argv[i], O_RDONLY);
}

static void writes(void)
{
    static const char *const paths[] = {"/x", "/usr/x", "/usr/bin/true", "/etc/ld.so.cache", "/dev/x", "/bin/true"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        printf("%s %s\n", paths[i], open(paths[i], O_WRONLY | O_CREAT, 0600) < 0 ? "refused" : "OPENED");
    printf("core_pattern %s\n", open("/proc/sys/kernel/core_pattern", O_WRONLY) < 0 ? "refused" : "OPENED");
    printf("sysrq %s\n", open("/proc/sysrq-trigger", O_WRONLY) < 0 ? "refused" : "OPENED");
    try_open("/dev/null", O_WRONLY);
    try_open("/tmp/mine", O_WRONLY | O_CREAT);
    tell("exec_tmp",
         mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, open("/tmp/mine", O_RDONLY), 0) == MAP_FAILED ? -1 : 0);
    tell("symlink", symlink("/etc/passwd", "/tmp/out"));
    try_open("/tmp/out", O_RDONLY);
}

/* Some programs open their own descriptors again instead of using them. */
static int reopen(void)
{
    static const char *const paths[] = {"/dev/stdin", "/proc/self/fd/0", "/dev/fd/0", "/dev/stdout", "/proc/self/fd/1", "/dev/stderr"};
    char text[64];
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        bool in = i < 3;
        int fd = open(paths[i], in ? O_RDONLY : O_WRONLY);
        bool works = fd >= 0 && (in ? read(fd, text, sizeof text) : write(fd, "", 0)) >= 0;
        printf("%s=%s\n", paths[i], fd < 0 ? error_name(fd) : works ? "OK" : "open, but no use");
    }
    return 0;
}

static void look(void)
{
    char name[32];
    extern char **environ;
    struct stat st;
    for (int fd = 0; fd < 64; fd++) {
        if (fstat(fd, &st) == 0)
            printf("fd %d\n", fd);
    }
    for (char **e = environ; *e != NULL; e++)
        printf("env %s\n", *e);
    for (int pid = 1; pid < 400; pid++) {
        snprintf(name, sizeof name, "/proc/%d/stat", pid);
        if (stat(name, &st) == 0)
            printf("pid %s\n", pid == getpid() ? "self" : name);
    }
    printf("uid %d gid %d cwd %s\n", (int)getuid(), (int)getgid(), getcwd(name, sizeof name));
    gethostname(name, sizeof name);
    printf("host %s ppid %d sid %d\n", name, (int)getppid(), getsid(0) == getpid());
    printf("dumpable init %d\n", access("/proc/1/mem", F_OK) == 0);
}

static void rlimits(void)
{
    static const __rlimit_resource_t what[] = {RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_CORE, RLIMIT_MEMLOCK};
    for (size_t i = 0; i < 4; i++) {
        struct rlimit limit;
        getrlimit(what[i], &limit);
        limit.rlim_max += 1;
        printf("raise %zu=%s\n", i, error_name(setrlimit(what[i], &limit)));
    }
}

/* Nothing is gained from a set-user-id or file-capability program. */
static int setuid_gain(const char *program)
{
    printf("before euid=%d nnp=%d\n", (int)geteuid(), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    fflush(stdout);
    execl(program, program, "whoami", (char *)NULL);
    tell("exec", -1);
    return 0;
}

static int whoami(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    printf("euid=%d\n", (int)geteuid());
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "CapEff", 6) == 0 || strncmp(line, "CapPrm", 6) == 0)
            fputs(line, stdout);
    }
    return 0;
}

static int core_dump(void)
{
    struct rlimit most = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    setrlimit(RLIMIT_CORE, &most);
    raise(SIGSEGV);
    return 0;
}

/* Workers: LINES protocol, misbehaving as told. */

static int worker(const char *how)
{
    static char line[1 << 16];
    unsigned long long id = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        sscanf(line, "{\"id\":%llu", &id);
        if (strcmp(how, "hang") == 0)
            nap();
        if (strcmp(how, "die") == 0)
            return 9;
        if (strcmp(how, "silent") == 0)
            return 0;
        if (strcmp(how, "busy") == 0)
            for (volatile int i = 0; i < 20000000; i++) {
            }
        if (strcmp(how, "wrong") == 0)
            id += 7;
        if (strcmp(how, "error") == 0)
            printf("{\"id\":%llu,\"error\":\"no such word\"}\n", id);
        else if (strcmp(how, "junk") == 0)
            printf("hello\n");
        else if (strcmp(how, "twice") == 0)
            printf("{\"id\":%llu,\"output\":%d}\n{\"id\":%llu,\"output\":2}\n", id, (int)getpid(), id + 1);
        else if (strcmp(how, "large") == 0)
            for (int i = 0; i < 1 << 21; i++)
                putchar('x');
        else
            printf("{\"id\":%llu,\"output\":{\"pid\":%d,\"request\":%llu}}\n", id, (int)getpid(), id);
        fflush(stdout);
    }
    return 0;
}

static int echo_frames(void)
{
    static unsigned char room[1 << 20];
    for (;;) {
        if (fread(room, 1, 4, stdin) != 4)
            return 0;
        size_t n = (size_t)room[0] << 24 | (size_t)room[1] << 16 | (size_t)room[2] << 8 | room[3];
        if (n > sizeof room - 4 || fread(room + 4, 1, n, stdin) != n)
            return 1;
        fwrite(room, 1, n + 4, stdout);
        fflush(stdout);
    }
}

static int copy(void)
{
    static char room[65536];
    ssize_t n;
    while ((n = read(0, room, sizeof room)) > 0) {
        for (ssize_t at = 0; at < n;) {
            ssize_t done = write(1, room + at, (size_t)(n - at));
            if (done <= 0)
                return 5;
            at += done;
        }
    }
    return 0;
}

/* A line, and the others as soon as a file is there. */
static int lines_at(const char *gate)
{
    const struct timespec t = {.tv_nsec = 5 * 1000000};
    for (int i = 0; i < 5; i++) {
        printf("line %d\n", i);
        fflush(stdout);
        while (access(gate, F_OK) != 0)
            nanosleep(&t, NULL);
    }
    return 0;
}

static int words(int argc, char **argv)
{
    const char *verb = argv[1];
    if (strcmp(verb, "args") == 0)
        for (int i = 2; i < argc; i++)
            printf("[%s]", argv[i]);
    else if (strcmp(verb, "calls") == 0)
        calls();
    else if (strcmp(verb, "sockets") == 0)
        sockets();
#if defined(__x86_64__)
    else if (strcmp(verb, "other-calls") == 0)
        other_calls();
#endif
    else if (strcmp(verb, "files") == 0)
        files(argc, argv);
    else if (strcmp(verb, "writes") == 0)
        writes();
    else if (strcmp(verb, "look") == 0)
        look();
    else if (strcmp(verb, "rlimits") == 0)
        rlimits();
    else if (strcmp(verb, "env") == 0)
        printf("%s\n", getenv(argv[2]) != NULL ? getenv(argv[2]) : "(none)");
    else
        return 99;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *verb;
        int (*run)(void);
    } plain[] = {
        {"fork-polite", fork_polite},
        {"fork-endless", fork_endless},
        {"daemon", daemonize},
        {"kill-all", kill_all},
        {"ignore", ignore_signals},
        {"close-out", close_out},
        {"memory", memory_bomb},
        {"memory-child", memory_child},
        {"memfd", memfd_bomb},
        {"fill-tmp", fill_tmp},
        {"inodes", inodes},
        {"shm", shm_segments},
        {"spin", spin},
        {"deep", deep},
        {"keys", keys},
        {"whoami", whoami},
        {"core", core_dump},
        {"frames", echo_frames},
        {"copy", copy},
        {"reopen", reopen},
    };
    if (argc < 2)
        return 98;
    const char *verb = argv[1], *arg = argc > 2 ? argv[2] : "";
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (strcmp(verb, plain[i].verb) == 0)
            return plain[i].run();
    }
    if (strcmp(verb, "flood") == 0)
        return flood(1);
    if (strcmp(verb, "flood-errors") == 0)
        return flood(2);
    if (strcmp(verb, "lines") == 0)
        return lines_at(arg);
    if (strcmp(verb, "sleep") == 0)
        nap();
    if (strcmp(verb, "exit") == 0)
        return atoi(arg);
    if (strcmp(verb, "signal") == 0)
        return raise(atoi(arg));
    if (strcmp(verb, "abort") == 0)
        abort();
    if (strcmp(verb, "print") == 0)
        return put(arg, strlen(arg));
    if (strcmp(verb, "complain") == 0)
        return fputs(arg, stderr) < 0;
    if (strcmp(verb, "nul") == 0)
        return put("{\"a\":\"\0\"}", 9);
    if (strcmp(verb, "gzip") == 0)
        return put("\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x0d", 14);
    if (strcmp(verb, "setuid") == 0)
        return setuid_gain(arg);
    if (strcmp(verb, "worker") == 0)
        return worker(arg);
    return words(argc, argv);
}
