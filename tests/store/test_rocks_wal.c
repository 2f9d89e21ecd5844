/*
 * Damage on disk: whatever byte of RocksDB's log changes after a clean stop, the store does not open, or nothing is missing;
 * what a crash tears off the end, or leaves as room behind it, opens as before; a damaged table gives errors that name the file.
 */
#include "crdt/alloc.h"
#include "store/kv.h"
#include "store/rocks_wal.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COMMITS = 6, LARGE = 40000, ROOM = 70000 };

struct disk {
    char dir[200], file[256];
    uint8_t *bytes; /* of the file, as they were */
    size_t n;
    size_t end[COMMITS]; /* of the log after each commit */
};

static struct kv *open_kv(const struct disk *d, enum err *e, struct buf *why)
{
    struct kv *kv = NULL;
    struct kv_rocks_config config = {.path = d->dir, .cache_mb = 8, .write_buffer_mb = 4};
    *e = kv_rocks_open(&kv, &config, why);
    return kv;
}

/* The one file of the directory that ends so. */
static void find_file(struct disk *d, const char *suffix)
{
    DIR *dir = opendir(d->dir);
    d->file[0] = '\0';
    for (const struct dirent *f; (f = readdir(dir)) != NULL;) {
        size_t n = strlen(f->d_name), m = strlen(suffix);
        if (n > m && strcmp(f->d_name + n - m, suffix) == 0)
            snprintf(d->file, sizeof d->file, "%s/%.40s", d->dir, f->d_name);
    }
    closedir(dir);
    cr_assert(d->file[0] != '\0', "no %s in %s", suffix, d->dir);
}

static size_t size_of(const char *file)
{
    struct stat st;
    cr_assert_eq(stat(file, &st), 0);
    return (size_t)st.st_size;
}

static void read_file(struct disk *d)
{
    int fd = open(d->file, O_RDONLY);
    d->n = size_of(d->file);
    free(d->bytes);
    d->bytes = mem_alloc(d->n);
    cr_assert_eq(read(fd, d->bytes, d->n), (ssize_t)d->n);
    close(fd);
}

/* Where the zeros of the room ahead begin. */
static size_t written(struct disk *d)
{
    read_file(d);
    size_t n = d->n;
    while (n > 0 && d->bytes[n - 1] == 0)
        n--;
    return n;
}

static void write_file(const struct disk *d, size_t n)
{
    int fd = open(d->file, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, d->bytes, n), (ssize_t)n);
    close(fd);
}

/* Small commits and two that span blocks; key i holds i. */
static void commit(struct kv *kv, uint8_t i)
{
    uint8_t large[LARGE];
    struct kv_batch b = {0};
    memset(large, 1, sizeof large);
    kv_batch_put(&b, bytes_of(&i, 1), bytes_of(large, i % 3 == 2 ? LARGE : 50));
    cr_assert_eq(kv->ops->write(kv, &b), ERR_OK);
    kv_batch_close(&b);
}

static void open_disk(struct disk *d)
{
    enum err e;
    *d = (struct disk){0};
    tmpdir_new(d->dir, sizeof d->dir);
    struct kv *kv = open_kv(d, &e, NULL);
    cr_assert_eq(e, ERR_OK);
    find_file(d, ".log");
    for (uint8_t i = 0; i < COMMITS; i++) {
        commit(kv, i);
        d->end[i] = written(d);
    }
    kv->ops->close(kv);
    read_file(d);
}

static void close_disk(struct disk *d)
{
    free(d->bytes);
    tmpdir_remove(d->dir);
}

/* How many of the commits, from the first on, the store has. */
static size_t held(struct kv *kv)
{
    struct buf value = {0};
    uint8_t i = 0;
    for (; i < COMMITS; i++) {
        buf_reset(&value);
        if (kv->ops->get(kv, NULL, bytes_of(&i, 1), &value) != ERR_OK)
            break;
    }
    buf_close(&value);
    return i;
}

/* A copy of the directory with this log, opened: how many commits are there, or -1 where it is refused as damaged. */
static int commits_with(const struct disk *d, size_t n)
{
    char command[700];
    enum err e;
    struct disk copy = *d;
    struct buf why = {0};
    tmpdir_new(copy.dir, sizeof copy.dir);
    snprintf(command, sizeof command, "cp -a %s/. %s", d->dir, copy.dir);
    cr_assert_eq(system(command), 0);
    snprintf(copy.file, sizeof copy.file, "%s%s", copy.dir, strrchr(d->file, '/'));
    write_file(&copy, n);
    struct kv *kv = open_kv(&copy, &e, &why);
    int found = e == ERR_OK ? (int)held(kv) : -1;
    if (e != ERR_OK) {
        cr_assert_eq(e, ERR_CORRUPT, "%s", buf_cstr(&why));
        cr_assert_not_null(strstr(buf_cstr(&why), copy.file), "%s", buf_cstr(&why));
    } else {
        kv->ops->close(kv);
    }
    buf_close(&why);
    tmpdir_remove(copy.dir);
    return found;
}

/* The log as it lies there. */
static enum err checked(const struct disk *d)
{
    struct buf why = {0};
    enum err e = rocks_wal_check(d->dir, 0, &why);
    cr_assert((e == ERR_CORRUPT) == (why.n > 0 && strstr(buf_cstr(&why), d->file) != NULL), "%s", buf_cstr(&why));
    buf_close(&why);
    return e;
}

/* Flips byte `at`, on disk too. */
static void flip(struct disk *d, int fd, size_t at)
{
    d->bytes[at] ^= 0x55;
    cr_assert_eq(pwrite(fd, d->bytes + at, 1, (off_t)at), 1);
}

/* Every byte of small commits and of headers, and some of the large ones' contents, up to the record of the clean stop. */
Test(rocks_wal, a_byte_that_changed_is_seen)
{
    struct disk d;
    open_disk(&d);
    int fd = open(d.file, O_WRONLY);
    size_t commits = d.end[COMMITS - 1];
    cr_assert_lt(commits, d.n, "a clean stop writes a record");
    for (size_t at = 0; at < d.n; at += at < 150 || (at + 5) % 32768 < 12 || d.n - at < 100 ? 1 : 37) {
        flip(&d, fd, at);
        cr_assert_eq(checked(&d), at < commits ? ERR_CORRUPT : ERR_OK, "byte %zu of %zu", at, d.n);
        flip(&d, fd, at);
    }
    flip(&d, fd, d.end[2] + 3);
    cr_assert_eq(commits_with(&d, d.n), -1, "it is opened all the same");
    flip(&d, fd, d.end[2] + 3);
    flip(&d, fd, d.n - 1);
    cr_assert_eq(commits_with(&d, d.n), COMMITS, "the record of the clean stop is not needed");
    close(fd);
    close_disk(&d);
}

/* After a crash only the last commit can be torn, wherever. */
Test(rocks_wal, a_torn_end_is_no_damage)
{
    struct disk d;
    open_disk(&d);
    int fd = open(d.file, O_WRONLY);
    for (int i = COMMITS - 1; i >= 0; i--) {
        size_t from = i > 0 ? d.end[i - 1] : 0, length = d.end[i] - from, step = length > 1000 ? 351 : 1;
        cr_assert_eq(ftruncate(fd, (off_t)d.end[i]), 0);
        flip(&d, fd, from + 8); /* its length is on disk and its first block is not */
        cr_assert_eq(checked(&d), ERR_OK, "commit %d without its beginning", i);
        if (i == 2)
            cr_assert_eq(commits_with(&d, d.end[i]), i, "it opens without that commit");
        flip(&d, fd, from + 8);
        for (size_t cut = length; cut > 0; cut -= cut < step ? cut : step) {
            cr_assert_eq(ftruncate(fd, (off_t)(from + cut)), 0);
            cr_assert_eq(checked(&d), ERR_OK, "commit %d cut after %zu bytes", i, cut);
            cr_assert_eq(ftruncate(fd, (off_t)(from + cut) + ROOM), 0);
            cr_assert_eq(checked(&d), ERR_OK, "commit %d cut after %zu bytes, with room behind", i, cut);
        }
    }
    close(fd);
    close_disk(&d);
}

static void put_bytes(int fd, size_t at, const uint8_t *p, size_t n)
{
    cr_assert_eq(pwrite(fd, p, n, (off_t)at), (ssize_t)n);
}

/* What a crash leaves: the commits, and zeros behind them. */
static int open_crashed(struct disk *d)
{
    static const uint8_t room[ROOM];
    open_disk(d);
    int fd = open(d->file, O_RDWR);
    put_bytes(fd, d->end[COMMITS - 1], room, ROOM);
    free(d->bytes);
    d->bytes = NULL;
    read_file(d);
    cr_assert_eq(checked(d), ERR_OK, "room alone is no damage");
    return fd;
}

/* Sectors that were synced read as zeros: seen wherever a commit starts behind them. */
Test(rocks_wal, a_sector_of_zeros_is_seen)
{
    enum { SECTOR = 512 };
    static const uint8_t zeros[SECTOR];
    struct disk d;
    int fd = open_crashed(&d);
    size_t seen = 0, end = d.end[COMMITS - 1], last = d.end[COMMITS - 2];
    for (size_t at = 0; at < end; at += SECTOR) {
        put_bytes(fd, at, zeros, SECTOR);
        enum err e = checked(&d);
        cr_assert_eq(e, at + SECTOR <= last ? ERR_CORRUPT : ERR_OK, "sector at %zu of %zu", at, end);
        seen += e == ERR_CORRUPT;
        put_bytes(fd, at, d.bytes + at, SECTOR);
    }
    cr_assert_geq(seen, LARGE / SECTOR);
    close(fd);
    close_disk(&d);
}

/* Power fails while the last commit goes over the room: any of its sectors is on disk, or none. It opens without that one. */
Test(rocks_wal, a_commit_torn_in_the_room_is_dropped)
{
    enum { SECTOR = 512, WAYS = 12 };
    struct disk d;
    int fd = open_crashed(&d);
    size_t start = (d.end[COMMITS - 2] + SECTOR - 1) / SECTOR, end = (d.end[COMMITS - 1] + SECTOR - 1) / SECTOR;
    uint8_t *whole = d.bytes;
    for (unsigned way = 0; way < WAYS; way++) {
        d.bytes = mem_dup(whole, d.n);
        for (size_t i = start; i < end; i++)
            if (way < 3 ? i == start + (end - start - 1) * way / 2 : (i * 2654435761u >> (way + 5) & 1) != 0)
                memset(d.bytes + i * SECTOR, 0, SECTOR);
        cr_assert_eq(commits_with(&d, d.n), COMMITS - 1, "way %u", way);
        free(d.bytes);
    }
    d.bytes = whole;
    close(fd);
    close_disk(&d);
}

Test(rocks_wal, damage_before_room_is_seen)
{
    struct disk d;
    int fd = open_crashed(&d);
    for (int i = 0; i < COMMITS; i++)
        for (size_t at = i > 0 ? d.end[i - 1] : 0; at < d.end[i]; at += 1 + (d.end[i] - at) / 2) {
            flip(&d, fd, at);
            cr_assert_eq(checked(&d), i < COMMITS - 1 ? ERR_CORRUPT : ERR_OK, "commit %d, byte %zu", i, at);
            flip(&d, fd, at);
        }
    cr_assert_eq(commits_with(&d, d.n), COMMITS);
    flip(&d, fd, d.end[2] + 3);
    cr_assert_eq(commits_with(&d, d.n), -1, "it is opened all the same");
    close(fd);
    close_disk(&d);
}

/* The log is still there when the store is opened again in process: what it has lost is not given up in memory. */
Test(rocks_wal, a_damaged_log_is_not_read_again)
{
    struct disk d = {0};
    enum err e;
    tmpdir_new(d.dir, sizeof d.dir);
    struct kv *kv = open_kv(&d, &e, NULL);
    cr_assert_eq(e, ERR_OK);
    for (uint8_t i = 0; i < COMMITS; i++)
        commit(kv, i);
    find_file(&d, ".log");
    int fd = open(d.file, O_WRONLY);
    cr_assert_eq(pwrite(fd, "?", 1, 20), 1);
    close(fd);
    cr_assert_eq(kv->ops->reopen(kv), ERR_CORRUPT);
    cr_assert_eq(held(kv), COMMITS);
    kv->ops->close(kv);
    close_disk(&d);
}

Test(rocks_wal, a_damaged_table_is_named)
{
    struct disk d;
    struct buf why = {0};
    enum err e;
    open_disk(&d);
    struct kv *kv = open_kv(&d, &e, NULL); /* the log becomes a table */
    cr_assert_eq(e, ERR_OK);
    kv->ops->fault(kv, &why);
    cr_assert_eq(why.n, 0);
    kv->ops->close(kv);
    find_file(&d, ".sst");
    read_file(&d);
    d.bytes[10] ^= 0x55;
    write_file(&d, d.n);
    kv = open_kv(&d, &e, NULL);
    cr_assert_eq(e, ERR_OK);
    struct kv_iter *it = kv->ops->iter(kv, NULL, (struct bytes){0});
    cr_assert(!kv->ops->seek(it, (struct bytes){0}));
    cr_assert_eq(kv->ops->iter_close(it), ERR_CORRUPT);
    kv->ops->fault(kv, &why);
    cr_assert_not_null(strstr(buf_cstr(&why), d.file), "%s", buf_cstr(&why));
    kv->ops->close(kv);
    buf_close(&why);
    close_disk(&d);
}
