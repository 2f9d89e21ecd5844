/*
 * What may be asked of the sandbox: names of kinds, ends and layers, the defaults of limits, and the judgement of a spec
 * before anything is started. Knows nothing of how a layer is made.
 */
#include "sandbox/sandbox.h"

#include <assert.h>
#include <string.h>

#define MIB (1024u * 1024u)

static const char *const kind_names[] = {"json", "text", "bytes"};

static const char *const status_names[SANDBOX_STATUS_COUNT] = {
    [SANDBOX_OK] = "ok",
    [SANDBOX_EXIT] = "exit",
    [SANDBOX_SIGNAL] = "signal",
    [SANDBOX_TIMEOUT] = "timeout",
    [SANDBOX_CPU] = "cpu",
    [SANDBOX_OOM] = "oom",
    [SANDBOX_OUTPUT_LIMIT] = "output_limit",
    [SANDBOX_BAD_OUTPUT] = "bad_output",
    [SANDBOX_SETUP] = "setup",
    [SANDBOX_CANCELLED] = "cancelled",
};

static const struct {
    const char *name;
    bool required;
    const char *meaning;
} layers_table[SANDBOX_LAYER_COUNT] = {
    [SANDBOX_LAYER_USER] = {"user", true, "root inside is nobody outside; no capability reaches the host"},
    [SANDBOX_LAYER_PID] = {"pid", true, "sees and signals its own processes only; all end together"},
    [SANDBOX_LAYER_MOUNT] = {"mount", true, "sees a read-only root of its own and no other file"},
    [SANDBOX_LAYER_NET] = {"net", true, "has no network, not even loopback"},
    [SANDBOX_LAYER_IPC] = {"ipc", true, "shares no System V or POSIX queue, semaphore or memory"},
    [SANDBOX_LAYER_UTS] = {"uts", false, "does not learn the name of the host"},
    [SANDBOX_LAYER_CGROUP_NS] = {"cgroup-ns", false, "does not learn the groups of the host"},
    [SANDBOX_LAYER_PROC] = {"proc", false, "a /proc that shows its own processes only"},
    [SANDBOX_LAYER_SECCOMP] = {"seccomp", true, "cannot reach the system calls that escapes are made of"},
    [SANDBOX_LAYER_LANDLOCK] = {"landlock", false, "cannot write outside /tmp even if a mount were writable"},
    [SANDBOX_LAYER_CGROUP_MEMORY] = {"cgroup-memory", false, "the kernel ends it when its memory is used up"},
    [SANDBOX_LAYER_CGROUP_PIDS] = {"cgroup-pids", false, "the kernel bounds its processes together"},
    [SANDBOX_LAYER_CGROUP_CPU] = {"cgroup-cpu", false, "the scheduler shares the cores between runs"},
    [SANDBOX_LAYER_CGROUP_KILL] = {"cgroup-kill", false, "one write ends all its processes"},
    [SANDBOX_LAYER_OWN_IDS] = {"own-ids", false, "each run has an id of its own outside"},
};

const char *sandbox_kind_name(enum sandbox_kind kind)
{
    assert((unsigned)kind < sizeof kind_names / sizeof kind_names[0]);
    return kind_names[kind];
}

const char *sandbox_status_name(enum sandbox_status status)
{
    assert((unsigned)status < SANDBOX_STATUS_COUNT);
    return status_names[status];
}

bool sandbox_kind_parse(const char *name, enum sandbox_kind *out)
{
    assert(name != NULL && out != NULL);
    for (size_t i = 0; i < sizeof kind_names / sizeof kind_names[0]; i++) {
        if (strcmp(name, kind_names[i]) == 0) {
            *out = (enum sandbox_kind)i;
            return true;
        }
    }
    return false;
}

const char *sandbox_layer_name(enum sandbox_layer layer)
{
    assert((unsigned)layer < SANDBOX_LAYER_COUNT);
    return layers_table[layer].name;
}

const char *sandbox_layer_meaning(enum sandbox_layer layer)
{
    assert((unsigned)layer < SANDBOX_LAYER_COUNT);
    return layers_table[layer].meaning;
}

bool sandbox_layer_required(enum sandbox_layer layer)
{
    assert((unsigned)layer < SANDBOX_LAYER_COUNT);
    return layers_table[layer].required;
}

struct sandbox_limits sandbox_limits_fill(struct sandbox_limits given)
{
    if (given.wall_ms == 0)
        given.wall_ms = 10000;
    if (given.memory_bytes == 0)
        given.memory_bytes = (uint64_t)256 * MIB;
    if (given.output_bytes == 0)
        given.output_bytes = MIB;
    if (given.tmp_bytes == 0)
        given.tmp_bytes = (uint64_t)16 * MIB;
    if (given.processes == 0)
        given.processes = 64;
    if (given.files == 0)
        given.files = 256;
    return given;
}

/* The bounds of each number; a number is one of struct sandbox_limits with the defaults filled in. */
static enum err check_limits(const struct sandbox_limits *given, struct buf *why)
{
    struct sandbox_limits l = sandbox_limits_fill(*given);
    const struct {
        const char *name;
        uint64_t value, least, most;
    } rows[] = {
        {"wall_ms", l.wall_ms, 1, SANDBOX_WALL_MAX_MS},
        {"cpu_ms", l.cpu_ms, 0, SANDBOX_WALL_MAX_MS},
        {"memory_bytes", l.memory_bytes, 4 * MIB, UINT64_C(1) << 44},
        {"output_bytes", l.output_bytes, 1, SANDBOX_OUTPUT_MAX},
        {"tmp_bytes", l.tmp_bytes, 4096, UINT64_C(1) << 40},
        {"processes", l.processes, 1, SANDBOX_PROCESSES_MAX},
        {"files", l.files, 16, 1u << 20},
        {"cpu_percent", l.cpu_percent, 0, 100000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert(rows[i].least <= rows[i].most);
        if (rows[i].value >= rows[i].least && rows[i].value <= rows[i].most)
            continue;
        buf_printf(why, "limit %s is %llu; it must be %llu to %llu", rows[i].name, (unsigned long long)rows[i].value,
                   (unsigned long long)rows[i].least, (unsigned long long)rows[i].most);
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* A path without empty, "." and ".." parts, so that text and meaning agree. */
static bool path_is_plain(const char *path)
{
    size_t n = strlen(path);
    if (path[0] != '/' || n >= SANDBOX_PATH_MAX || (n > 1 && path[n - 1] == '/'))
        return false;
    for (const char *part = path; part != NULL; part = strchr(part + 1, '/')) {
        const char *end = strchr(part + 1, '/');
        size_t size = end == NULL ? strlen(part + 1) : (size_t)(end - part - 1);
        bool dots = (size == 1 && part[1] == '.') || (size == 2 && part[1] == '.' && part[2] == '.');
        if (dots || (size == 0 && n > 1))
            return false;
    }
    return true;
}

static bool path_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static enum err check_target(const char *target, struct buf *why)
{
    static const char *const own[] = {
        "/proc", "/dev", "/tmp", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives"};
    if (!path_is_plain(target) || strcmp(target, "/") == 0) {
        buf_printf(why,
                   "mount target \"%.200s\" is not a plain absolute path: write it without . .. // or a / at the end",
                   target);
        return ERR_INVALID;
    }
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (!path_below(target, own[i]))
            continue;
        buf_printf(why, "mount target \"%.200s\" lies in %s, which the sandbox makes itself: choose another, say /app",
                   target, own[i]);
        return ERR_INVALID;
    }
    return ERR_OK;
}

static enum err check_mounts(const struct sandbox_spec *spec, struct buf *why)
{
    if (spec->mounts_count > SANDBOX_MOUNTS_MAX) {
        buf_printf(why, "%zu mounts; at most %d", spec->mounts_count, SANDBOX_MOUNTS_MAX);
        return ERR_INVALID;
    }
    for (size_t i = 0; i < spec->mounts_count; i++) {
        const struct sandbox_mount *m = &spec->mounts[i];
        assert(m->source != NULL && m->target != NULL);
        if (!path_is_plain(m->source)) {
            buf_printf(why, "mount source \"%.200s\" is not a plain absolute path", m->source);
            return ERR_INVALID;
        }
        enum err err = check_target(m->target, why);
        if (err != ERR_OK)
            return err;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(m->target, spec->mounts[j].target) == 0) {
                buf_printf(why, "two mounts have the target \"%.200s\"", m->target);
                return ERR_INVALID;
            }
        }
    }
    return ERR_OK;
}

/* Counts a NULL-ended list and adds the bytes of its texts. */
static size_t list_count(const char *const *list, size_t *bytes)
{
    size_t n = 0;
    for (; list != NULL && list[n] != NULL && n <= SANDBOX_ARGS_MAX; n++)
        *bytes += strlen(list[n]) + 1;
    return n;
}

static enum err check_text(const struct sandbox_spec *spec, struct buf *why)
{
    size_t bytes = 0, args = list_count(spec->argv, &bytes), env = list_count(spec->env, &bytes);
    if (args == 0 || args > SANDBOX_ARGS_MAX) {
        buf_printf(why, "%zu arguments; 1 to %d, the name of the program included", args, SANDBOX_ARGS_MAX);
        return ERR_INVALID;
    }
    if (env > SANDBOX_ENV_MAX) {
        buf_printf(why, "more than %d environment variables", SANDBOX_ENV_MAX);
        return ERR_INVALID;
    }
    for (size_t i = 0; i < env; i++) {
        if (strchr(spec->env[i], '=') == NULL || spec->env[i][0] == '=') {
            buf_printf(why, "environment \"%.100s\" is not NAME=value", spec->env[i]);
            return ERR_INVALID;
        }
    }
    for (size_t i = 0; i < spec->mounts_count && i < SANDBOX_MOUNTS_MAX; i++)
        bytes += strlen(spec->mounts[i].source) + strlen(spec->mounts[i].target) + 2;
    if (bytes > SANDBOX_TEXT_MAX) {
        buf_printf(why, "arguments, environment and mounts take %zu bytes; at most %d", bytes, SANDBOX_TEXT_MAX);
        return ERR_INVALID;
    }
    return ERR_OK;
}

static enum err check_layers(const struct sandbox_spec *spec, const struct sandbox_layers *layers, struct buf *why)
{
    for (int i = 0; i < SANDBOX_LAYER_COUNT; i++) {
        bool wanted = layers_table[i].required || (i == SANDBOX_LAYER_CGROUP_MEMORY && spec->weak == SANDBOX_STRICT);
        if (!wanted || layers->active[i])
            continue;
        buf_printf(why, "this machine lacks the layer %s (%s): %s", layers_table[i].name, layers_table[i].meaning,
                   layers->missing[i][0] != '\0' ? layers->missing[i] : "unknown reason");
        buf_put_str(why, layers_table[i].required
                             ? "; without it nothing is run, see `souk doctor`"
                             : "; with --allow-weak the memory is summed every 20 ms instead, see `souk doctor`");
        return ERR_DENIED;
    }
    return ERR_OK;
}

enum err sandbox_spec_check(const struct sandbox_spec *spec, const struct sandbox_layers *layers, struct buf *why)
{
    assert(spec != NULL && why != NULL);
    assert((unsigned)spec->input <= SANDBOX_BYTES && (unsigned)spec->output <= SANDBOX_BYTES);
    if (spec->exe == NULL || spec->exe->fd <= 0) {
        buf_put_str(why, "no executable is open");
        return ERR_INVALID;
    }
    enum err err = check_limits(&spec->limits, why);
    if (err == ERR_OK)
        err = check_mounts(spec, why);
    if (err == ERR_OK)
        err = check_text(spec, why);
    if (err == ERR_OK && layers != NULL)
        err = check_layers(spec, layers, why);
    return err;
}

enum err sandbox_output_check(enum sandbox_kind kind, struct bytes output, struct buf *why)
{
    assert(why != NULL && (unsigned)kind <= SANDBOX_BYTES);
    switch (kind) {
    case SANDBOX_JSON:
        return sandbox_json_check(output, why);
    case SANDBOX_TEXT:
        if (output.n > 0 && memchr(output.p, 0, output.n) != NULL) {
            buf_put_str(why, "the output has a NUL byte, which text may not have");
            return ERR_FORM;
        }
        if (!utf8_valid(output)) {
            buf_put_str(why, "the output is not UTF-8");
            return ERR_FORM;
        }
        return ERR_OK;
    case SANDBOX_BYTES:
        return ERR_OK;
    }
    return ERR_OK;
}
