/*
 * Files of the data directory by plain system calls. Everything here is small and rare, so it blocks.
 */
#include "node/dir.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static enum err fail(struct buf *why, const char *path, const char *doing)
{
    int code = errno;
    buf_printf(why, "cannot %s %s: %s", doing, path, strerror(code));
    if (code == ENOENT)
        return ERR_NOT_FOUND;
    if (code == ENOSPC || code == EDQUOT)
        return ERR_NO_SPACE;
    if (code == EACCES || code == EPERM) {
        buf_put_str(why, "; run souk as its owner or as root");
        return ERR_DENIED;
    }
    return code == EROFS ? ERR_READ_ONLY : ERR_IO;
}

static bool join(char out[DIR_PATH_MAX], const char *dir, const char *name)
{
    int n = dir == NULL ? snprintf(out, DIR_PATH_MAX, "%s", name) : snprintf(out, DIR_PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < DIR_PATH_MAX;
}

static enum err too_long(struct buf *why)
{
    buf_printf(why, "the path of the data directory has more than %d bytes", DIR_PATH_MAX);
    return ERR_LIMIT;
}

/* ---- where ------------------------------------------------------------------------------------------------------- */

void dir_default(struct buf *out)
{
    const char *dir = getenv("SOUK_DIR"), *home = getenv("HOME");
    if (dir != NULL && dir[0] != '\0') {
        buf_put_str(out, dir);
        return;
    }
    if (geteuid() == 0) {
        buf_put_str(out, "/var/lib/souk");
        return;
    }
    struct passwd *user = home == NULL || home[0] == '\0' ? getpwuid(geteuid()) : NULL;
    buf_printf(out, "%s/.local/share/souk", user != NULL ? user->pw_dir : home != NULL ? home : "");
}

enum err dir_socket(const char *dir, struct buf *out, struct buf *why)
{
    size_t n = strlen(dir) + strlen("/admin.sock");
    if (n > DIR_SOCKET_MAX) {
        buf_printf(why,
                   "%s is too long: its admin socket's path would have %zu bytes and the system allows %d; choose a "
                   "shorter directory with --dir",
                   dir, n, DIR_SOCKET_MAX);
        return ERR_LIMIT;
    }
    buf_printf(out, "%s/admin.sock", dir);
    return ERR_OK;
}

bool dir_exists(const char *dir)
{
    char path[DIR_PATH_MAX];
    return join(path, dir, "mesh") && access(path, F_OK) == 0;
}

/* A directory that is not there and cannot be made is no entry that was not found. */
static enum err no_directory(struct buf *why, const char *path, const char *doing)
{
    enum err err = fail(why, path, doing);
    buf_put_str(why, "; --dir names another directory");
    return err == ERR_NOT_FOUND ? ERR_IO : err;
}

enum err dir_make(const char *dir, struct buf *why)
{
    char path[DIR_PATH_MAX];
    if (!join(path, NULL, dir))
        return too_long(why);
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return no_directory(why, path, "make the directory");
        *p = '/';
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return no_directory(why, path, "make the directory");
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return no_directory(why, path, "use");
    }
    return ERR_OK;
}

enum err dir_lock(const char *dir, int *fd, struct buf *why)
{
    char path[DIR_PATH_MAX];
    if (!join(path, dir, "lock"))
        return too_long(why);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return fail(why, path, "open");
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        bool held = errno == EWOULDBLOCK;
        enum err err = held ? ERR_CONFLICT : fail(why, path, "lock");
        if (held)
            buf_printf(
                why, "another souk node is running in %s; stop it, or give this one a directory of its own with --dir",
                dir);
        close(lock);
        return err;
    }
    *fd = lock;
    return ERR_OK;
}

uint64_t dir_free_bytes(const char *dir)
{
    struct statvfs st;
    if (statvfs(dir, &st) != 0)
        return 0;
    return (uint64_t)st.f_bavail * st.f_frsize;
}

/* ---- whole files ------------------------------------------------------------------------------------------------- */

enum err dir_read(const char *dir, const char *name, size_t max, struct buf *out, struct buf *why)
{
    char path[DIR_PATH_MAX];
    if (!join(path, dir, name))
        return too_long(why);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(why, path, "read");
    size_t start = out->n;
    for (;;) {
        ssize_t n = read(fd, buf_grow(out, 4096), 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            enum err err = fail(why, path, "read");
            close(fd);
            return err;
        }
        out->n += (size_t)n;
        if (n == 0 || out->n - start > max)
            break;
    }
    close(fd);
    if (out->n - start <= max)
        return ERR_OK;
    out->n = start;
    buf_printf(why, "%s has more than %zu bytes", path, max);
    return ERR_LIMIT;
}

static bool write_all(int fd, struct bytes content)
{
    while (content.n > 0) {
        ssize_t n = write(fd, content.p, content.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        content = bytes_of(content.p + n, content.n - (size_t)n);
    }
    return true;
}

static bool sync_parent(const char *path)
{
    char parent[DIR_PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        snprintf(parent, sizeof parent, ".");
    else
        slash[slash == parent] = '\0';
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

/* Writes content to a temporary file beside `path`, synced. */
static enum err write_beside(const char *path, char temporary[DIR_PATH_MAX], struct bytes content, struct buf *why)
{
    if (snprintf(temporary, DIR_PATH_MAX, "%s.new", path) >= DIR_PATH_MAX)
        return too_long(why);
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(why, temporary, "create");
    bool ok = write_all(fd, content) && fsync(fd) == 0;
    enum err err = ok ? ERR_OK : fail(why, temporary, "write");
    if (close(fd) != 0 && ok)
        err = fail(why, temporary, "write");
    if (err != ERR_OK)
        unlink(temporary);
    return err;
}

enum err dir_write(const char *dir, const char *name, struct bytes content, struct buf *why)
{
    char path[DIR_PATH_MAX], temporary[DIR_PATH_MAX];
    if (!join(path, dir, name))
        return too_long(why);
    enum err err = write_beside(path, temporary, content, why);
    if (err != ERR_OK)
        return err;
    if (rename(temporary, path) != 0 || !sync_parent(path)) {
        err = fail(why, path, "replace");
        unlink(temporary);
    }
    return err;
}

enum err dir_create(const char *dir, const char *name, struct bytes content, struct buf *why)
{
    char path[DIR_PATH_MAX], temporary[DIR_PATH_MAX];
    if (!join(path, dir, name))
        return too_long(why);
    enum err err = write_beside(path, temporary, content, why);
    if (err != ERR_OK)
        return err;
    if (link(temporary, path) != 0) {
        bool exists = errno == EEXIST;
        err = exists ? ERR_CONFLICT : fail(why, path, "create");
        if (exists)
            buf_printf(why, "%s exists already", path);
    }
    unlink(temporary);
    if (err == ERR_OK && !sync_parent(path))
        err = fail(why, path, "sync");
    return err;
}

enum err dir_remove(const char *dir, const char *name, struct buf *why)
{
    char path[DIR_PATH_MAX];
    if (!join(path, dir, name))
        return too_long(why);
    if (unlink(path) == 0 || errno == ENOENT)
        return ERR_OK;
    return fail(why, path, "remove");
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

static enum err read_secret(const char *dir, const char *name, enum key_type type, uint8_t secret[32], struct buf *why)
{
    struct buf text = {0}, reason = {0};
    enum err err = dir_read(dir, name, KEY_FILE_MAX, &text, why);
    if (err == ERR_OK) {
        err = key_file_read(buf_view(&text), type, secret, &reason);
        if (err != ERR_OK)
            buf_printf(why, "%s/%s: %s", dir, name, buf_cstr(&reason));
    }
    if (text.p != NULL)
        sodium_memzero(text.p, text.n);
    buf_close(&text);
    buf_close(&reason);
    return err;
}

static enum err store_secret(const char *dir, const char *name, enum key_type type, const uint8_t secret[32],
                             struct buf *why)
{
    struct buf text = {0};
    key_file_write(&text, type, secret);
    enum err err = dir_create(dir, name, buf_view(&text), why);
    sodium_memzero(text.p, text.n);
    buf_close(&text);
    return err;
}

static enum err load_or_make(const char *dir, const char *name, enum key_type type, uint8_t secret[32], struct buf *why)
{
    struct buf ignored = {0};
    enum err err = read_secret(dir, name, type, secret, &ignored);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        buf_put_bytes(why, buf_view(&ignored));
    buf_close(&ignored);
    if (err != ERR_NOT_FOUND)
        return err;
    randombytes_buf(secret, 32);
    return store_secret(dir, name, type, secret, why);
}

enum err dir_node_keys(const char *dir, struct dir_keys *out, struct buf *why)
{
    uint8_t seed[32];
    enum err err = load_or_make(dir, "node.key", KEY_ED25519, seed, why);
    if (err != ERR_OK)
        return err;
    keypair_from_seed(&out->node, seed);
    sodium_memzero(seed, sizeof seed);
    return load_or_make(dir, "noise.key", KEY_X25519, out->noise, why);
}

static bool author_path(char out[DIR_PATH_MAX], const char *name)
{
    assert(key_name_valid(bytes_str(name)));
    return join(out, "keys", name);
}

static enum err bad_name(const char *name, struct buf *why)
{
    buf_printf(why, "\"%.80s\" is no name for a key: 1 to %d of a-z A-Z 0-9 . _ -, not starting with . or -", name,
               KEY_NAME_MAX);
    return ERR_INVALID;
}

enum err dir_author(const char *dir, const char *name, struct keypair *out, struct buf *why)
{
    char path[DIR_PATH_MAX];
    uint8_t seed[32];
    if (!key_name_valid(bytes_str(name)))
        return bad_name(name, why);
    if (!author_path(path, name))
        return too_long(why);
    enum err err = read_secret(dir, path, KEY_ED25519, seed, why);
    if (err == ERR_OK)
        keypair_from_seed(out, seed);
    sodium_memzero(seed, sizeof seed);
    return err;
}

enum err dir_author_add(const char *dir, const char *name, const uint8_t seed[32], struct buf *why)
{
    char path[DIR_PATH_MAX], folder[DIR_PATH_MAX];
    if (!key_name_valid(bytes_str(name)))
        return bad_name(name, why);
    if (!author_path(path, name) || !join(folder, dir, "keys"))
        return too_long(why);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return fail(why, folder, "make the directory");
    struct keypair present;
    struct buf ignored = {0};
    enum err err = dir_author(dir, name, &present, &ignored);
    buf_close(&ignored);
    bool same = err == ERR_OK && memcmp(present.seed, seed, 32) == 0;
    sodium_memzero(&present, sizeof present);
    if (same)
        return ERR_OK;
    err = store_secret(dir, path, KEY_ED25519, seed, why);
    if (err == ERR_CONFLICT)
        buf_put_str(why, ": another key has this name; `souk key ls` lists the names taken");
    return err;
}

enum err dir_author_new(const char *dir, const char *name, struct keypair *out, struct buf *why)
{
    uint8_t seed[32];
    randombytes_buf(seed, sizeof seed);
    enum err err = dir_author_add(dir, name, seed, why);
    if (err == ERR_OK)
        keypair_from_seed(out, seed);
    sodium_memzero(seed, sizeof seed);
    return err;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

size_t dir_authors(const char *dir, char (*names)[KEY_NAME_MAX + 1], size_t max)
{
    char path[DIR_PATH_MAX];
    size_t n = 0;
    DIR *folder = join(path, dir, "keys") ? opendir(path) : NULL;
    if (folder == NULL)
        return 0;
    for (struct dirent *e; n < max && (e = readdir(folder)) != NULL;) {
        size_t length = strlen(e->d_name);
        bool half_written = length > 4 && strcmp(e->d_name + length - 4, ".new") == 0;
        if (key_name_valid(bytes_str(e->d_name)) && !half_written)
            memcpy(names[n++], e->d_name, length + 1);
    }
    closedir(folder);
    qsort(names, n, sizeof *names, compare_names);
    return n;
}

/* ---- the mesh ---------------------------------------------------------------------------------------------------- */

enum err dir_mesh(const char *dir, struct mesh_file *out, struct buf *why)
{
    struct buf text = {0}, reason = {0};
    enum err err = dir_read(dir, "mesh", KEY_FILE_MAX, &text, why);
    if (err == ERR_OK) {
        err = mesh_file_read(buf_view(&text), out, &reason);
        if (err != ERR_OK)
            buf_printf(why, "%s/mesh: %s", dir, buf_cstr(&reason));
    }
    buf_close(&text);
    buf_close(&reason);
    return err;
}

enum err dir_mesh_store(const char *dir, const struct mesh_file *mesh, struct buf *why)
{
    struct buf text = {0};
    mesh_file_write(&text, mesh);
    enum err err = dir_write(dir, "mesh", buf_view(&text), why);
    buf_close(&text);
    return err;
}

/* An existing directory: does the request agree with what it is? */
static enum err setup_agrees(const char *dir, const struct dir_setup *setup, const struct mesh_file *mesh,
                             struct buf *why)
{
    char have[ID_HEX_SIZE];
    id_hex(have, &mesh->id);
    if (setup->has_mesh && !id_eq(&setup->mesh, &mesh->id)) {
        buf_printf(why, "%s belongs to mesh %s; give another mesh a directory of its own with --dir", dir, have);
        return ERR_CONFLICT;
    }
    bool same_name = bytes_eq(setup->new_mesh, bytes_str(mesh->name));
    if (setup->new_mesh.p != NULL && !(mesh->founded_here && same_name)) {
        buf_printf(why, "%s belongs to mesh %s already; start a new mesh in a directory of its own with --dir", dir,
                   have);
        return ERR_CONFLICT;
    }
    return ERR_OK;
}

static enum err found_mesh(const char *dir, const struct dir_setup *setup, struct mesh_file *mesh, struct buf *why)
{
    struct bytes name = setup->new_mesh.p != NULL ? setup->new_mesh : bytes_str("souk");
    struct keypair founder;
    if (name.n == 0 || name.n > MODEL_NAME_MAX || !utf8_valid(name) || memchr(name.p, '\n', name.n) != NULL) {
        buf_printf(why, "a mesh's name is 1 to %d bytes of UTF-8", MODEL_NAME_MAX);
        return ERR_INVALID;
    }
    struct buf ignored = {0};
    enum err err = dir_author(dir, DIR_FOUNDER, &founder, &ignored);
    buf_close(&ignored);
    if (err == ERR_NOT_FOUND)
        err = dir_author_new(dir, DIR_FOUNDER, &founder, why);
    if (err != ERR_OK)
        return err;
    *mesh = (struct mesh_file){.has_founder = true, .founder = founder.key, .founded_here = true};
    mesh->admission = setup->has_admission ? setup->admission : ADMISSION_OPEN;
    memcpy(mesh->name, name.p, name.n);
    mesh_id(&mesh->id, &founder.key, name);
    sodium_memzero(&founder, sizeof founder);
    return dir_mesh_store(dir, mesh, why);
}

/* The inviter's nodes, as peers that souk.conf names from now on. */
static enum err keep_addresses(const char *dir, const struct invitation *in, struct buf *why)
{
    struct buf text = {0}, ignored = {0};
    enum err err = dir_read(dir, "souk.conf", CONFIG_FILE_MAX, &text, &ignored);
    buf_close(&ignored);
    if (err == ERR_OK || err == ERR_NOT_FOUND) {
        if (text.n > 0 && text.p[text.n - 1] != '\n')
            buf_put_str(&text, "\n");
        for (size_t i = 0; i < in->address_count; i++)
            buf_printf(&text, "peer = %s\n", in->addresses[i]);
        err = dir_write(dir, "souk.conf", buf_view(&text), why);
    } else {
        buf_printf(why, "cannot read %s/souk.conf", dir);
    }
    buf_close(&text);
    return err;
}

/* A newcomer knows from its invitation who founded the mesh. */
static enum err join_mesh(const char *dir, const struct dir_setup *setup, struct mesh_file *mesh, struct buf *why)
{
    const struct invitation *in = setup->invitation;
    *mesh = (struct mesh_file){.id = setup->mesh};
    if (in == NULL)
        return dir_mesh_store(dir, mesh, why);
    assert(id_eq(&in->mesh, &setup->mesh));
    mesh->has_founder = true;
    mesh->founder = in->founder;
    memcpy(mesh->name, in->mesh_name, sizeof mesh->name);
    enum err err = keep_addresses(dir, in, why);
    return err == ERR_OK ? dir_mesh_store(dir, mesh, why) : err;
}

static enum err setup_mesh(const char *dir, const struct dir_setup *setup, struct mesh_file *mesh, struct buf *why)
{
    if (dir_exists(dir)) {
        enum err err = dir_mesh(dir, mesh, why);
        return err != ERR_OK ? err : setup_agrees(dir, setup, mesh, why);
    }
    if (!setup->has_mesh)
        return found_mesh(dir, setup, mesh, why);
    return join_mesh(dir, setup, mesh, why);
}

enum err dir_setup(const char *dir, const struct dir_setup *setup, struct mesh_file *out, struct buf *why)
{
    struct dir_keys keys;
    struct keypair publisher;
    struct buf path = {0}, ignored = {0};
    enum err err = dir_socket(dir, &path, why);
    buf_close(&path);
    if (err == ERR_OK)
        err = dir_make(dir, why);
    if (err == ERR_OK)
        err = setup_mesh(dir, setup, out, why);
    if (err == ERR_OK && setup->invitation != NULL)
        err = dir_write(dir, DIR_INVITATION, setup->invitation_text, why);
    if (err == ERR_OK)
        err = dir_node_keys(dir, &keys, why);
    sodium_memzero(&keys, sizeof keys);
    if (err != ERR_OK)
        return err;
    err = dir_author(dir, DIR_PUBLISHER, &publisher, &ignored);
    if (err == ERR_NOT_FOUND)
        err = dir_author_new(dir, DIR_PUBLISHER, &publisher, why);
    else if (err != ERR_OK)
        buf_put_bytes(why, buf_view(&ignored));
    buf_close(&ignored);
    sodium_memzero(&publisher, sizeof publisher);
    return err;
}

/* ---- settings ---------------------------------------------------------------------------------------------------- */

static enum err config_environment(struct config *config, struct buf *why)
{
    enum err first = ERR_OK;
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        struct buf variable = {0}, reason = {0};
        config_variable((enum config_key)i, &variable);
        const char *value = getenv(buf_cstr(&variable));
        enum err err = ERR_OK;
        if (value != NULL)
            err = config_set(config, config_desc((enum config_key)i)->name, bytes_str(value), CONFIG_ENV, &reason);
        if (err != ERR_OK) {
            buf_printf(why, "%s: %s\n", buf_cstr(&variable), buf_cstr(&reason));
            first = first == ERR_OK ? err : first;
        }
        buf_close(&variable);
        buf_close(&reason);
    }
    return first;
}

static enum err config_file(const char *dir, struct config *config, struct buf *why)
{
    struct buf text = {0};
    enum err first = dir_read(dir, "souk.conf", CONFIG_FILE_MAX, &text, why);
    if (first != ERR_OK)
        buf_put_str(why, "\n");
    for (size_t at = 0; first != ERR_IO && at < text.n;) {
        const uint8_t *end = memchr(text.p + at, '\n', text.n - at);
        size_t n = end == NULL ? text.n - at : (size_t)(end - text.p) - at;
        enum err err = config_line(config, bytes_of(text.p + at, n), why);
        first = first == ERR_OK ? err : first;
        at += n + 1;
    }
    buf_close(&text);
    return first;
}

enum err dir_config(const char *dir, struct config *config, struct buf *why)
{
    char path[DIR_PATH_MAX];
    enum err first = ERR_OK;
    if (!join(path, dir, "souk.conf"))
        return too_long(why);
    if (access(path, F_OK) == 0)
        first = config_file(dir, config, why);
    enum err err = config_environment(config, why);
    return first == ERR_OK ? err : first;
}
