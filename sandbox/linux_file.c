/*
 * Files that are opened once, hashed, and run or mounted from their descriptor. Whether a file is still the same is asked of
 * the open descriptor and of what its path names now.
 */
#include "sandbox/linux.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES (256u << 10)

static void take_stat(struct sandbox_file *f, const struct stat *st)
{
    f->dev = st->st_dev;
    f->ino = st->st_ino;
    f->size = (uint64_t)st->st_size;
    f->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    f->ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

static bool same_stat(const struct sandbox_file *a, const struct sandbox_file *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

static enum err hash_file(int fd, uint8_t out[32])
{
    uint8_t *room = mem_alloc(READ_BYTES);
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, 32);
    ssize_t n = 1;
    for (off_t at = 0; n > 0 || (n < 0 && errno == EINTR);) {
        n = pread(fd, room, READ_BYTES, at);
        if (n > 0) {
            crypto_generichash_update(&state, room, (size_t)n);
            at += n;
        }
    }
    free(room);
    crypto_generichash_final(&state, out, 32);
    return n == 0 ? ERR_OK : ERR_IO;
}

static enum err refuse(const char *path, const char *what, struct buf *why)
{
    buf_printf(why, "%s: %s", path, what);
    return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;
}

/* Opens without hashing. */
static enum err open_plain(const char *path, struct sandbox_file *f, struct buf *why)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return refuse(path, strerror(errno), why);
    assert(fd > 0);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        buf_printf(why, "%s is not a regular file", path);
        return ERR_INVALID;
    }
    f->fd = fd;
    take_stat(f, &st);
    snprintf(f->path, sizeof f->path, "%s", path);
    return ERR_OK;
}

enum err sandbox_file_open(const char *path, struct sandbox_file *file, struct buf *why)
{
    assert(path != NULL && file != NULL);
    struct sandbox_file opened = {.fd = -1};
    char *real = realpath(path, NULL);
    if (real == NULL)
        return refuse(path, strerror(errno), why);
    if (strlen(real) >= SANDBOX_PATH_MAX) {
        free(real);
        buf_printf(why, "%.200s: the path is longer than %d bytes", path, SANDBOX_PATH_MAX - 1);
        return ERR_INVALID;
    }
    enum err err = open_plain(real, &opened, why);
    free(real);
    if (err == ERR_OK && hash_file(opened.fd, opened.hash) != ERR_OK) {
        err = refuse(path, strerror(errno), why);
        sandbox_file_close(&opened);
    }
    if (err == ERR_OK)
        *file = opened;
    return err;
}

void sandbox_file_close(struct sandbox_file *file)
{
    if (file->fd > 0)
        close(file->fd);
    file->fd = -1;
}

/* Is what `now` names the content that `file` was hashed as? */
static enum err compare(struct sandbox_file *file, const struct sandbox_file *now, struct buf *why)
{
    uint8_t hash[32];
    char was[65], is[65];
    if (same_stat(file, now))
        return ERR_OK;
    if (hash_file(now->fd, hash) != ERR_OK)
        return refuse(file->path, strerror(errno), why);
    if (memcmp(hash, file->hash, sizeof hash) != 0) {
        hex_encode(was, file->hash, 32);
        hex_encode(is, hash, 32);
        buf_printf(why, "%s changed since it was deployed: it was %s, it is %s; deploy it again", file->path, was, is);
        return ERR_CONFLICT;
    }
    return ERR_OK;
}

enum err sandbox_file_check(struct sandbox_file *file, struct buf *why)
{
    struct stat st;
    struct sandbox_file open_now = {.fd = file->fd}, named = {.fd = -1};
    assert(file->fd > 0);
    if (fstat(file->fd, &st) != 0)
        return refuse(file->path, strerror(errno), why);
    take_stat(&open_now, &st);
    enum err err = compare(file, &open_now, why);
    if (err != ERR_OK)
        return err;
    if (stat(file->path, &st) != 0)
        return refuse(file->path, strerror(errno), why);
    take_stat(&named, &st);
    bool replaced = named.ino != open_now.ino || named.dev != open_now.dev;
    if (!replaced) {
        take_stat(file, &st); /* touched, the content is the same */
        return ERR_OK;
    }
    err = open_plain(file->path, &named, why);
    if (err == ERR_OK)
        err = compare(file, &named, why);
    if (err == ERR_OK &&
        dup3(named.fd, file->fd, O_CLOEXEC) >= 0) { /* another file of the same content takes its place */
        file->dev = named.dev;
        file->ino = named.ino;
        file->size = named.size;
        file->mtime_ns = named.mtime_ns;
        file->ctime_ns = named.ctime_ns;
    }
    sandbox_file_close(&named);
    return err;
}
