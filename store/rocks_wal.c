/*
 * The check of rocks_wal.h. A commit is one record, whole or in a first, some middle and a last part, and is synced before
 * the next one is written: a part that does not hold, with the start of another commit behind it, was once on disk.
 * A damaged header says nothing about where the next record starts: the rest of its block is searched byte by byte. What a
 * client or peer can have stored there is not mistaken for a commit: texts hold no zero bytes, the number of a commit does.
 */
#include "store/rocks_wal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 32768, HEADER = 7, COMMIT_HEADER = 12 };
enum part { PART_WHOLE = 1, PART_FIRST = 2, PART_LAST = 4 };

struct wal {
    uint64_t offset;  /* of the block */
    size_t n;
    uint8_t block[BLOCK];
    bool broken;      /* a record did not hold */
    uint64_t broken_at;
};

static uint64_t get_le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    while (n > 0)
        v = v << 8 | p[--n];
    return v;
}

static uint32_t masked(uint32_t sum)
{
    return ((sum >> 15) | (sum << 17)) + 0xa282ead8u;
}

/* sum (4), length (2), part (1), all little-endian; the sum is over part and payload. 0: no record that holds. */
static size_t record_at(const uint8_t *record, size_t room, enum part *part)
{
    uint64_t sum = get_le(record, 4);
    size_t payload = (size_t)get_le(record + 4, 2);
    *part = record[6];
    if (*part < PART_WHOLE || *part > PART_LAST || HEADER + payload > room)
        return 0;
    return masked(rocks_crc_extend(0, (const char *)record + 6, 1 + payload)) == sum ? HEADER + payload : 0;
}

/* A commit starts with its number (8), counted from 0, and how many rows it has (4). */
static bool commit_at(const uint8_t *record, size_t room)
{
    enum part part;
    if (room < HEADER + COMMIT_HEADER || record[6] > PART_FIRST || get_le(record + HEADER, 8) >> 48 != 0)
        return false;
    return record_at(record, room, &part) >= HEADER + COMMIT_HEADER;
}

/* True: a commit starts in this block, behind a record that does not hold. */
static bool commit_after_damage(struct wal *w)
{
    size_t at = 0, length = 1;
    enum part part;
    for (; w->n - at >= HEADER && length > 0; at += length) {
        length = record_at(w->block + at, w->n - at, &part);
        if (length > 0 && w->broken && part <= PART_FIRST)
            return true;
    }
    if (length > 0)
        return false;
    if (!w->broken)
        w->broken_at = w->offset + at;
    w->broken = true;
    while (++at < w->n)
        if (commit_at(w->block + at, w->n - at))
            return true;
    return false;
}

static ssize_t read_block(int fd, uint8_t block[BLOCK])
{
    size_t n = 0;
    ssize_t got = 1;
    for (; n < BLOCK && got > 0; n += got > 0 ? (size_t)got : 0)
        got = read(fd, block + n, BLOCK - n);
    return got < 0 ? -1 : (ssize_t)n;
}

static bool is_damaged(int fd, uint64_t *at)
{
    struct wal w = {0};
    bool found = false;
    for (ssize_t n = BLOCK; n == BLOCK && !found; w.offset += BLOCK) {
        n = read_block(fd, w.block);
        w.n = n > 0 ? (size_t)n : 0;
        found = commit_after_damage(&w);
    }
    *at = w.broken_at;
    return found;
}

bool rocks_wal_number(const char *name, uint64_t *number)
{
    char *end;
    *number = strtoull(name, &end, 10);
    return end > name && name[0] >= '0' && name[0] <= '9' && strcmp(end, ".log") == 0;
}

enum err rocks_wal_check(const char *path, struct buf *why)
{
    DIR *dir = opendir(path);
    const struct dirent *file;
    enum err e = ERR_OK;
    if (dir == NULL)
        return ERR_OK;
    while (e == ERR_OK && (file = readdir(dir)) != NULL) {
        uint64_t at, number;
        int fd = rocks_wal_number(file->d_name, &number) ? openat(dirfd(dir), file->d_name, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        if (is_damaged(fd, &at)) {
            e = ERR_CORRUPT;
            if (why != NULL)
                buf_printf(why, "Corruption: the record at byte %llu of %s/%s does not match its checksum, and later ones do",
                           (unsigned long long)at, path, file->d_name);
        }
        close(fd);
    }
    closedir(dir);
    return e;
}
