/*
 * The room of rocks_prealloc.h: finds the log that RocksDB writes (the one with the greatest number) and appends zeros to it.
 * How much of the room is used is an estimate from the sizes of commits: too little or too much costs time, never bytes.
 */
#include "store/rocks_prealloc.h"

#include "store/rocks_wal.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 64 << 10,
    RECORD_BYTES = 64, /* of a commit in the log besides its rows: headers of the commit, of its record and of a second part */
};

/* Not by fstat: after that Linux (6.13 and later) gives the next write a time of its own, which is synced with it. */
static off_t size_of(int fd)
{
    return lseek(fd, 0, SEEK_END);
}

/* The log is as long as it was left, and there is room for `bytes`. */
static bool has_room(const struct rocks_prealloc *p, size_t bytes)
{
    return p->fd >= 0 && p->left >= bytes && size_of(p->fd) == p->size;
}

/* -1: there is none. */
static int open_newest(const char *path)
{
    DIR *dir = opendir(path);
    uint64_t newest = 0, number;
    char name[ROCKS_WAL_NAME_SIZE];
    const struct dirent *file;
    if (dir == NULL)
        return -1;
    while ((file = readdir(dir)) != NULL)
        if (rocks_wal_number(file->d_name, &number) && number > newest)
            newest = number;
    rocks_wal_name(name, newest);
    int fd = openat(dirfd(dir), name, O_WRONLY | O_APPEND | O_CLOEXEC);
    closedir(dir);
    return fd;
}

static void append_zeros(int fd)
{
    static const uint8_t zeros[PIECE_BYTES];
    ssize_t n = PIECE_BYTES;
    for (size_t done = 0; done < ROCKS_AHEAD_BYTES && n == PIECE_BYTES; done += PIECE_BYTES)
        n = write(fd, zeros, PIECE_BYTES);
}

void rocks_prealloc_before(struct rocks_prealloc *p, const char *path, size_t bytes)
{
    assert(p->fd >= 0 || p->left == 0);
    bytes += RECORD_BYTES;
    if (bytes <= ROCKS_SMALL_COMMIT_BYTES && !has_room(p, bytes)) {
        rocks_prealloc_close(p);
        p->fd = open_newest(path);
        if (p->fd >= 0) {
            append_zeros(p->fd);
            p->size = size_of(p->fd);
            p->left = ROCKS_AHEAD_BYTES;
        }
    }
    p->left -= bytes < p->left ? bytes : p->left;
    if (p->left == 0)
        rocks_prealloc_close(p); /* a deleted log would keep its place on the disk */
}

void rocks_prealloc_close(struct rocks_prealloc *p)
{
    if (p->fd >= 0)
        close(p->fd);
    *p = (struct rocks_prealloc){.fd = -1};
}
