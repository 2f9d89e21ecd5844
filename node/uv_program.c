/*
 * Finding and opening what a deployment runs. The search path is that of the sandbox, so that what is hashed is what would
 * be found inside.
 */
#include "node/uv_program.h"

#include "node/blob.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const path[] = {"/usr/bin", "/bin"};

static enum err open_file(struct program *p, const char *name, struct buf *why)
{
    assert(p->file_count < DEPLOY_FILES_MAX);
    enum err e = sandbox_file_open(name, &p->files[p->file_count], why);
    if (e == ERR_OK)
        p->file_count++;
    return e;
}

enum use { USE_READ, USE_EXECUTE };

/* Where the node is root, programs run under ids of their own: what only its owner may read would fail in the middle of a
 * run. */
static enum err check_mode(const struct sandbox_file *f, enum use use, struct buf *why)
{
    struct stat st;
    unsigned need = use == USE_EXECUTE ? S_IROTH | S_IXOTH : S_IROTH;
    if (geteuid() != 0 || fstat(f->fd, &st) != 0 || (st.st_mode & need) == need)
        return ERR_OK;
    buf_printf(why, "the program runs under an id of its own, which may not %s %s: chmod o+r%s it",
               use == USE_EXECUTE ? "execute" : "read", f->path, use == USE_EXECUTE ? "x" : "");
    return ERR_DENIED;
}

/* A name without a slash is looked for where the program would look. */
static bool search(const char *name, char out[SANDBOX_PATH_MAX])
{
    if (name[0] == '/')
        return snprintf(out, SANDBOX_PATH_MAX, "%s", name) < SANDBOX_PATH_MAX;
    for (size_t i = 0; i < sizeof path / sizeof *path; i++)
        if (snprintf(out, SANDBOX_PATH_MAX, "%s/%s", path[i], name) < SANDBOX_PATH_MAX && access(out, X_OK) == 0)
            return true;
    return false;
}

/* The words after #!, at most an interpreter and one argument. False: not a script. */
static bool read_shebang(const struct sandbox_file *f, char interpreter[SANDBOX_PATH_MAX], char argument[256])
{
    char line[256];
    ssize_t n = pread(f->fd, line, sizeof line - 1, 0);
    if (n < 3 || line[0] != '#' || line[1] != '!')
        return false;
    line[n] = 0;
    line[strcspn(line, "\n")] = 0;
    char *word = line + 2 + strspn(line + 2, " \t");
    size_t length = strcspn(word, " \t\r");
    char *rest = word + length + strspn(word + length, " \t");
    rest[strcspn(rest, "\r")] = 0;
    for (size_t end = strlen(rest); end > 0 && (rest[end - 1] == ' ' || rest[end - 1] == '\t'); end--)
        rest[end - 1] = 0;
    (void)snprintf(argument, 256, "%s", rest);
    (void)snprintf(interpreter, SANDBOX_PATH_MAX, "%.*s", (int)length, word);
    return true;
}

/* `#!/usr/bin/env python3` means python3. */
static void skip_env(char interpreter[SANDBOX_PATH_MAX], char argument[256])
{
    const char *slash = strrchr(interpreter, '/');
    if (slash == NULL || strcmp(slash, "/env") != 0 || argument[0] == 0 || argument[0] == '-' || strchr(argument, ' ') != NULL)
        return;
    (void)snprintf(interpreter, SANDBOX_PATH_MAX, "%s", argument);
    argument[0] = 0;
}

static enum err open_script(struct program *p, struct buf *why)
{
    char found[SANDBOX_PATH_MAX], ignored[SANDBOX_PATH_MAX], more[256];
    struct sandbox_file script = p->files[0];
    if (!utf8_valid(bytes_str(p->interpreter)) || !utf8_valid(bytes_str(p->argument))) {
        buf_printf(why, "the first line of %s, which names its interpreter, is not UTF-8", script.path);
        return ERR_INVALID;
    }
    skip_env(p->interpreter, p->argument);
    if (!search(p->interpreter, found)) {
        buf_printf(why, "%s asks for the interpreter %s, which is not in /usr/bin or /bin", script.path, p->interpreter);
        return ERR_NOT_FOUND;
    }
    (void)snprintf(p->interpreter, sizeof p->interpreter, "%s", found);
    enum err e = open_file(p, p->interpreter, why);
    if (e != ERR_OK)
        return e;
    if (read_shebang(&p->files[1], ignored, more)) {
        buf_printf(why, "%s is a script whose interpreter %s is a script too; name the program itself", script.path,
                   p->interpreter);
        return ERR_INVALID;
    }
    p->files[0] = p->files[1]; /* what is executed comes first */
    p->files[1] = script;
    const char *name = strrchr(script.path, '/');
    (void)snprintf(p->script, sizeof p->script, PROGRAM_SCRIPT_DIR "%s", name);
    p->mounts[p->mount_count] = (struct sandbox_mount){.target = p->script};
    p->mount_files[p->mount_count++] = 1;
    return ERR_OK;
}

static enum err open_program(struct program *p, const struct deployment *d, struct buf *why)
{
    char found[SANDBOX_PATH_MAX];
    size_t argc = 0;
    if (!search(d->argv[0], found)) {
        buf_printf(why, "there is no program %s in /usr/bin or /bin; give its absolute path", d->argv[0]);
        return ERR_NOT_FOUND;
    }
    enum err e = open_file(p, found, why);
    if (e == ERR_OK && read_shebang(&p->files[0], p->interpreter, p->argument))
        e = open_script(p, why);
    if (e != ERR_OK)
        return e;
    e = check_mode(&p->files[0], USE_EXECUTE, why);
    if (e == ERR_OK && p->script[0] != 0)
        e = check_mode(&p->files[1], USE_READ, why);
    if (p->script[0] != 0)
        p->argv[argc++] = p->interpreter;
    if (p->script[0] != 0 && p->argument[0] != 0)
        p->argv[argc++] = p->argument;
    p->argv[argc++] = p->script[0] != 0 ? p->script : d->argv[0];
    for (size_t i = 1; i < d->argc; i++)
        p->argv[argc++] = d->argv[i];
    p->argv[argc] = NULL;
    return e;
}

static enum err open_mount(struct program *p, const struct deployment_mount *m, const char *dir, struct buf *why)
{
    struct stat st;
    char *source = p->sources[p->mount_count];
    if (m->has_blob)
        blob_path(source, SANDBOX_PATH_MAX, dir, &m->blob);
    else
        (void)snprintf(source, SANDBOX_PATH_MAX, "%s", m->source);
    if (stat(source, &st) != 0) {
        char hex[ID_HEX_SIZE];
        id_hex(hex, &m->blob);
        if (m->has_blob)
            buf_printf(why, "the blob %s is not here; `souk pull %s` fetches it", hex, hex);
        else
            buf_printf(why, "cannot mount %s: %s", source, strerror(errno));
        return ERR_NOT_FOUND;
    }
    int file = -1;
    if (S_ISREG(st.st_mode)) {
        enum err e = open_file(p, source, why);
        if (e != ERR_OK)
            return e;
        file = (int)p->file_count - 1;
        e = check_mode(&p->files[file], USE_READ, why);
        if (e != ERR_OK)
            return e;
    }
    p->mounts[p->mount_count] = (struct sandbox_mount){.source = source, .target = m->target};
    p->mount_files[p->mount_count++] = file;
    return ERR_OK;
}

enum err program_open(struct program *p, const struct deployment *d, const char *dir, struct buf *why)
{
    enum err e = open_program(p, d, why);
    if (e == ERR_OK && p->mount_count + d->mount_count > SANDBOX_MOUNTS_MAX) {
        buf_printf(why, "at most %d files and folders are mounted, a script counts as one", SANDBOX_MOUNTS_MAX);
        e = ERR_INVALID;
    }
    for (size_t i = 0; i < d->mount_count && e == ERR_OK; i++)
        e = open_mount(p, &d->mounts[i], dir, why);
    return e;
}

void program_close(struct program *p)
{
    for (size_t i = 0; i < p->file_count; i++)
        sandbox_file_close(&p->files[i]);
    p->file_count = 0;
}

void program_spec(const struct program *p, const struct deployment *d, struct sandbox_spec *out)
{
    struct program *own = (struct program *)(uintptr_t)p;
    for (size_t i = 0; i < p->mount_count; i++)
        if (p->mount_files[i] >= 0) {
            own->mounts[i].file = &p->files[p->mount_files[i]];
            own->mounts[i].source = p->files[p->mount_files[i]].path;
        }
    *out = (struct sandbox_spec){.exe = &p->files[0],
                                 .argv = p->argv,
                                 .env = d->env,
                                 .mounts = p->mounts,
                                 .mounts_count = p->mount_count,
                                 .limits = d->limits,
                                 .input = d->input,
                                 .output = d->output,
                                 .weak = d->weak};
}
