/*
 * The check of rocks_wal.h. A commit is one record, whole or in a first, some middle and a last part, and is synced before
 * the next one is written: a part that does not hold, with the start of another commit behind it, was once on disk.
 * A damaged header says nothing about where the next record starts: the rest of its block is searched byte by byte. What a
 * client or peer can have stored there is hardly mistaken for a commit: its number has two zero bytes, which texts have not.
 * Where the end of a log does not hold (zeros too), the next log decides: RocksDB opens behind a torn commit by counting on
 * from the one before it, so commits between the two logs are missing exactly where the numbers leave some out.
 */
#include "store/rocks_wal.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 32768, HEADER = 7, COMMIT_HEADER = 12 };
enum part { PART_WHOLE = 1, PART_FIRST = 2, PART_LAST = 4 };

struct place {
    uint64_t number; /* of the log */
    uint64_t at;
};

struct wal {
    uint64_t number;
    uint64_t offset;  /* of the block */
    size_t n;
    uint8_t block[BLOCK];
    uint8_t start[COMMIT_HEADER]; /* of the commit that is read */
    size_t start_n;
    bool counted;     /* a whole commit was read, and the one behind it has number `next` */
    uint64_t next;
    bool broken;      /* a record of this log did not hold */
    struct place broken_at;
    bool open_end;    /* an earlier log ends so, and no commit came since */
    struct place end_at;
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

/* A commit starts with its number (8), counted from 0, and how many rows it has (4). At the end of a block there may be
 * room for less of it. */
static bool commit_at(const uint8_t *record, size_t room)
{
    enum part part;
    if (room < HEADER || record[6] < PART_WHOLE || record[6] > PART_FIRST)
        return false;
    if (room < HEADER + COMMIT_HEADER)
        return record_at(record, room, &part) == room && part == PART_FIRST;
    if (get_le(record + HEADER, 8) >> 48 != 0)
        return false;
    return record_at(record, room, &part) >= HEADER + COMMIT_HEADER;
}

/* A record that holds, `n` bytes of payload. True: it is of a commit behind what does not hold. */
static bool follow(struct wal *w, enum part part, const uint8_t *payload, size_t n)
{
    if (w->broken || part <= PART_FIRST)
        w->start_n = 0;
    if (w->broken)
        return part <= PART_FIRST;
    size_t take = n < COMMIT_HEADER - w->start_n ? n : COMMIT_HEADER - w->start_n;
    memcpy(w->start + w->start_n, payload, take);
    w->start_n += take;
    if (w->start_n < COMMIT_HEADER)
        return false;
    uint64_t number = get_le(w->start, 8);
    if (w->open_end && w->counted && number > w->next)
        return true;
    w->open_end = false;
    if (part == PART_WHOLE || part == PART_LAST) {
        w->counted = true;
        w->next = number + get_le(w->start + 8, 4);
    }
    return false;
}

/* True: a commit starts in this block, behind a record that does not hold. */
static bool commit_after_damage(struct wal *w)
{
    size_t at = 0, length = 1;
    enum part part;
    for (; w->n - at >= HEADER && length > 0; at += length) {
        length = record_at(w->block + at, w->n - at, &part);
        if (length > 0 && follow(w, part, w->block + at + HEADER, length - HEADER))
            return true;
    }
    if (length > 0 && (at == w->n || w->n == BLOCK))
        return false;
    if (!w->broken)
        w->broken_at = (struct place){.number = w->number, .at = w->offset + at};
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

/* Goes through one more log. True: commits are missing before the place that w has now. */
static bool is_damaged(struct wal *w, int fd)
{
    bool found = false;
    assert(w->start_n <= COMMIT_HEADER);
    w->offset = w->start_n = 0;
    w->broken = false;
    for (ssize_t n = BLOCK; n == BLOCK && !found; w->offset += BLOCK) {
        n = read_block(fd, w->block);
        w->n = n > 0 ? (size_t)n : 0;
        found = commit_after_damage(w);
    }
    if (w->broken && !w->open_end) {
        w->open_end = !found;
        w->end_at = w->broken_at;
    }
    return found;
}

bool rocks_wal_number(const char *name, uint64_t *number)
{
    char *end;
    *number = strtoull(name, &end, 10);
    return end > name && name[0] >= '0' && name[0] <= '9' && strcmp(end, ".log") == 0 && *number < UINT64_MAX;
}

void rocks_wal_name(char out[ROCKS_WAL_NAME_SIZE], uint64_t number)
{
    snprintf(out, ROCKS_WAL_NAME_SIZE, "%06llu.log", (unsigned long long)number); /* as RocksDB writes it */
}

/* The log with the least number from *number on; false: none. */
static bool next_log(DIR *dir, uint64_t *number)
{
    uint64_t least = UINT64_MAX, n;
    const struct dirent *file;
    rewinddir(dir);
    while ((file = readdir(dir)) != NULL)
        if (rocks_wal_number(file->d_name, &n) && n >= *number && n < least)
            least = n;
    *number = least;
    return least < UINT64_MAX;
}

static void say_place(struct buf *why, const char *path, const struct place *place)
{
    char name[ROCKS_WAL_NAME_SIZE];
    rocks_wal_name(name, place->number);
    buf_printf(why, "Corruption: the record at byte %llu of %s/%s does not match its checksum, and later ones do",
               (unsigned long long)place->at, path, name);
}

enum err rocks_wal_check(const char *path, uint64_t first, struct buf *why)
{
    DIR *dir = opendir(path);
    struct wal w = {.number = first};
    char name[ROCKS_WAL_NAME_SIZE];
    bool found = false;
    if (dir == NULL)
        return ERR_OK;
    for (; !found && next_log(dir, &w.number); w.number++) {
        rocks_wal_name(name, w.number);
        int fd = openat(dirfd(dir), name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        found = is_damaged(&w, fd);
        close(fd);
    }
    closedir(dir);
    if (found && why != NULL)
        say_place(why, path, w.broken ? &w.broken_at : &w.end_at);
    return found ? ERR_CORRUPT : ERR_OK;
}
