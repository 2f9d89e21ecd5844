/*
 * Starting a launcher from the node's side, and asking one for its self-test. No event loop.
 */
#include "sandbox/linux.h"

#include "sandbox/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAUNCHER_FD  3 /* its end of the socket */
#define SELF_TEST_MS 5000

#define ENV_MAX 4

/* Of the node's environment, which may hold a passphrase, the launcher gets what its loader and sanitizers need. */
static size_t launcher_env(char *list[ENV_MAX + 1], struct buf texts[ENV_MAX])
{
    static const char *const names[ENV_MAX] = {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
    size_t n = 0;
    for (size_t i = 0; i < ENV_MAX; i++) {
        const char *value = getenv(names[i]);
        if (value == NULL)
            continue;
        buf_printf(&texts[n], "%s=%s", names[i], value);
        list[n] = buf_cstr(&texts[n]);
        n++;
    }
    list[n] = NULL;
    return n;
}

/* posix_spawn shares memory with the new process until it executes. */
static int spawn(const char *path, int its_end, pid_t *pid)
{
    char verb[] = SANDBOX_LAUNCHER_VERB, name[] = "souk";
    char *argv[] = {name, verb, NULL}, *env[ENV_MAX + 1];
    struct buf texts[ENV_MAX] = {{0}};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, its_end, LAUNCHER_FD);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    size_t vars = launcher_env(env, texts);
    int failed = posix_spawn(pid, path, &actions, &attr, argv, env);
    for (size_t i = 0; i < vars; i++)
        buf_close(&texts[i]);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

enum err sandbox_launcher_spawn(const char *path, int *out, pid_t *pid, struct buf *why)
{
    int pair[2];
    const char *program = path != NULL ? path : "/proc/self/exe";
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        buf_printf(why, "no socket for the sandbox's launcher: %s", strerror(errno));
        return ERR_IO;
    }
    int failed = spawn(program, pair[1], pid);
    close(pair[1]);
    if (failed != 0) {
        close(pair[0]);
        buf_printf(why, "the sandbox's launcher %s does not start: %s", program, strerror(failed));
        return ERR_IO;
    }
    *out = pair[0];
    return ERR_OK;
}

enum err sandbox_self_test(const char *launcher, struct sandbox_layers *out, struct buf *why)
{
    struct sandbox_notice notice;
    int fd = -1;
    pid_t pid = 0;
    enum err err = sandbox_launcher_spawn(launcher, &fd, &pid, why);
    if (err != ERR_OK)
        return err;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    bool heard = poll(&p, 1, SELF_TEST_MS) > 0 && recv(fd, &notice, sizeof notice, 0) == (ssize_t)sizeof notice &&
                 notice.magic == SANDBOX_MESSAGE_MAGIC && notice.kind == SANDBOX_NOTICE_HELLO;
    if (heard)
        *out = notice.u.layers;
    else
        buf_put_str(why, "the sandbox's launcher said nothing within 5 s");
    if (!heard)
        kill(pid, SIGKILL);
    close(fd);
    waitpid(pid, NULL, 0);
    return heard ? ERR_OK : ERR_IO;
}
