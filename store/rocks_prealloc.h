/*
 * Room ahead in RocksDB's write-ahead log. A commit that makes the file longer has the file's own record synced as well:
 * one more write to the disk, or a commit of the file system's journal, each time. A commit into bytes that are there
 * already has not, and a lone small write waits hardly longer than for the disk itself.
 * So zeros are appended ahead of small commits, 1 MiB at a time. RocksDB writes over them by its own offset, skips those that
 * are left when it reads a log, and cuts them off when it closes one. Nothing here can touch a byte that RocksDB wrote:
 * the file is opened for appending only. Where it fails (a full disk) the log grows as it would without.
 */
#ifndef SOUK_STORE_ROCKS_PREALLOC_H
#define SOUK_STORE_ROCKS_PREALLOC_H

#include <stddef.h>
#include <sys/types.h>

enum {
    ROCKS_AHEAD_BYTES = 1 << 20,         /* appended at a time: a few hundred lone writes */
    ROCKS_SMALL_COMMIT_BYTES = 32 << 10, /* larger commits gain nothing, and would write everything twice */
};

/* One writer's. Zero-initialise with fd = -1. */
struct rocks_prealloc {
    int fd;        /* the newest log, or -1 */
    off_t size;    /* of that file, as it was left; another one: the log was closed, or has outgrown its room */
    size_t left;   /* bytes of the room, about */
};

/* Called before each commit of about `bytes` to the database in directory `path`. */
void rocks_prealloc_before(struct rocks_prealloc *p, const char *path, size_t bytes);

/* Forgets the log. Call before the database is closed. */
void rocks_prealloc_close(struct rocks_prealloc *p);

#endif
