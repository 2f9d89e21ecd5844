/*
 * Several of RocksDB's logs, forged commit by commit and then opened: what is missing at the end of one of them, as the
 * numbers of the next one tell, is damage; what a crash tore there, and what is in a log that is no longer needed, is not.
 * Nothing is missing from those that RocksDB itself leaves when its process is gone.
 */
#include "store/rocks_wal.h"

#include "crdt/alloc.h"
#include "store/kv.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 32768, HEADER = 7, OVERHEAD = 12 + 1 + 1 + 1 + 3, LOG_MAX = 4 * BLOCK, ROOM = 1000 };
enum { NEW = 100 }; /* a log's number, greater than any that RocksDB has given */
enum { CRASHES = 3, CRASH_VALUE = 60000, CRASH_COMMITS = 80 };
enum part { WHOLE = 1, FIRST, MIDDLE, LAST };

struct forged {
    size_t n;
    uint8_t bytes[LOG_MAX];
};

static void put_le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static void add_record(struct forged *f, enum part part, const uint8_t *p, size_t n)
{
    uint8_t *at = f->bytes + f->n;
    cr_assert_leq(f->n + HEADER + n, LOG_MAX);
    at[6] = (uint8_t)part;
    memcpy(at + HEADER, p, n);
    uint32_t sum = rocks_crc_extend(0, (const char *)at + 6, 1 + n);
    put_le(at, ((sum >> 15) | (sum << 17)) + 0xa282ead8u, 4);
    put_le(at + 4, n, 2);
    f->n += HEADER + n;
}

static void add_parts(struct forged *f, const uint8_t *p, size_t n)
{
    for (bool first = true, last = false; !last; first = false) {
        if (BLOCK - f->n % BLOCK < HEADER)
            f->n += BLOCK - f->n % BLOCK;
        size_t room = BLOCK - f->n % BLOCK - HEADER, take = n < room ? n : room;
        last = take == n;
        add_record(f, first ? last ? WHOLE : FIRST : last ? LAST : MIDDLE, p, take);
        p += take;
        n -= take;
    }
}

/* Commit number `i` puts one row: i as a key of one byte, and a value of `n` bytes. */
static void add_commit(struct forged *f, uint8_t i, size_t n)
{
    uint8_t batch[OVERHEAD + LOG_MAX];
    memset(batch, 1, sizeof batch);
    put_le(batch, i, 8);
    put_le(batch + 8, 1, 4);
    batch[12] = 1; /* a put */
    batch[13] = 1; /* the key's length */
    batch[14] = i;
    batch[15] = (uint8_t)(n | 0x80); /* the value's, in groups of 7 bits */
    batch[16] = (uint8_t)(n >> 7 | 0x80);
    batch[17] = (uint8_t)(n >> 14);
    add_parts(f, batch, OVERHEAD + n);
}

static void write_log(const char *dir, unsigned number, const struct forged *f)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%06u.log", dir, number);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    cr_assert_eq(write(fd, f->bytes, f->n), (ssize_t)f->n);
    close(fd);
}

static struct kv *open_kv(const char *dir, enum err *e, struct buf *why)
{
    struct kv *kv = NULL;
    *e = kv_rocks_open(&kv, &(struct kv_rocks_config){.path = dir, .cache_mb = 8, .write_buffer_mb = 4}, why);
    return kv;
}

static bool has(struct kv *kv, uint8_t i)
{
    struct buf value = {0};
    enum err e = kv->ops->get(kv, NULL, bytes_of(&i, 1), &value);
    buf_close(&value);
    return e == ERR_OK;
}

/* Commits 1 to `last` but `torn` are there; `damaged` (0: none) is the log that is named instead. */
static void expect(const char *dir, unsigned damaged, uint8_t last, uint8_t torn)
{
    enum err e;
    char name[40];
    struct buf why = {0};
    struct kv *kv = open_kv(dir, &e, &why);
    snprintf(name, sizeof name, "/%06u.log ", damaged);
    cr_assert_eq(e, damaged > 0 ? ERR_CORRUPT : ERR_OK, "%s", buf_cstr(&why));
    cr_assert(damaged == 0 || strstr(buf_cstr(&why), name) != NULL, "%s", buf_cstr(&why));
    for (uint8_t i = 1; i <= last && kv != NULL; i++)
        cr_assert_eq(has(kv, i), i != torn, "commit %u", i);
    if (kv != NULL)
        kv->ops->close(kv);
    buf_close(&why);
}

struct logs {
    char dir[200];
    struct forged one, two;
};

/* An empty database; `one` gets commits 1 to 3. */
static struct logs *logs_new(void)
{
    enum err e;
    struct logs *l = mem_zalloc(sizeof *l);
    tmpdir_new(l->dir, sizeof l->dir);
    struct kv *kv = open_kv(l->dir, &e, NULL);
    cr_assert_eq(e, ERR_OK);
    kv->ops->close(kv);
    for (uint8_t i = 1; i <= 3; i++)
        add_commit(&l->one, i, 300);
    return l;
}

/* `two` gets commits `from` to 6; `one` some room. Both are written, with another that has room and nothing else. */
static void logs_write(struct logs *l, uint8_t from)
{
    const struct forged empty = {.n = ROOM};
    for (uint8_t i = from; i <= 6; i++)
        add_commit(&l->two, i, 300);
    l->one.n += ROOM;
    write_log(l->dir, NEW, &l->one);
    write_log(l->dir, NEW + 1, &empty);
    write_log(l->dir, NEW + 2, &l->two);
}

static void logs_free(struct logs *l)
{
    tmpdir_remove(l->dir);
    free(l);
}

Test(rocks_wal_files, whole_logs_open)
{
    struct logs *l = logs_new();
    logs_write(l, 4);
    expect(l->dir, 0, 6, 0);
    logs_free(l);
}

Test(rocks_wal_files, a_last_commit_that_the_next_log_counts_is_seen)
{
    struct logs *l = logs_new();
    l->one.bytes[l->one.n - 1] ^= 1;
    logs_write(l, 4);
    expect(l->dir, NEW, 0, 0);
    logs_free(l);
}

Test(rocks_wal_files, last_commits_that_are_zeros_are_seen)
{
    struct logs *l = logs_new();
    size_t commit = l->one.n / 3;
    memset(l->one.bytes + commit, 0, 2 * commit);
    logs_write(l, 4);
    expect(l->dir, NEW, 0, 0);
    logs_free(l);
}

/* The store was opened behind the torn commit, and its number is another one's now. */
Test(rocks_wal_files, a_torn_commit_is_not_counted)
{
    struct logs *l = logs_new();
    add_commit(&l->one, 4, 300);
    l->one.bytes[l->one.n - 1] ^= 1;
    logs_write(l, 4);
    expect(l->dir, 0, 6, 0);
    logs_free(l);
}

/* Nothing tells what number the first commit had. */
Test(rocks_wal_files, the_end_of_the_newest_log_may_be_torn)
{
    struct logs *l = logs_new();
    logs_write(l, 4);
    l->two.bytes[l->two.n - 1] ^= 1;
    write_log(l->dir, NEW + 2, &l->two);
    expect(l->dir, 0, 6, 6);
    logs_free(l);
}

/* As it lies there for a moment after a start, or for good where a crash brought it back. */
Test(rocks_wal_files, a_log_that_is_not_needed_may_be_damaged)
{
    struct logs *l = logs_new();
    logs_write(l, 4);
    expect(l->dir, 0, 6, 0);
    l->one.bytes[10] ^= 1;
    write_log(l->dir, 1, &l->one);
    cr_assert_eq(rocks_wal_check(l->dir, 0, NULL), ERR_CORRUPT);
    expect(l->dir, 0, 6, 0);
    logs_free(l);
}

/* A block may have room for less of a commit than its number: it was begun all the same. */
Test(rocks_wal_files, a_start_at_the_end_of_a_block_counts)
{
    for (size_t part = 0; part < 30; part++) {
        struct logs *l = logs_new();
        l->one.n = 0;
        memset(l->one.bytes, 0, sizeof l->one.bytes);
        add_commit(&l->one, 1, BLOCK - part - 2 * HEADER - OVERHEAD);
        cr_assert_eq(l->one.n, BLOCK - part - HEADER);
        add_commit(&l->one, 2, 300);
        write_log(l->dir, NEW, &l->one);
        expect(l->dir, 0, 2, 0);
        l->one.bytes[5] ^= 1; /* the length, so that nothing tells where the next record is */
        write_log(l->dir, NEW, &l->one);
        cr_assert_eq(rocks_wal_check(l->dir, NEW, NULL), ERR_CORRUPT, "%zu bytes of it", part);
        logs_free(l);
    }
}

/* ---- logs as RocksDB leaves them ---- */

static size_t count_logs(const char *dir)
{
    size_t n = 0;
    uint64_t number;
    DIR *d = opendir(dir);
    for (const struct dirent *f; (f = readdir(d)) != NULL;)
        n += rocks_wal_number(f->d_name, &number);
    closedir(d);
    return n;
}

/* Commits from number `i` on, large and small, until a log that was full has a second one beside it; then the process is gone. */
static void write_two_logs(const char *dir, uint8_t i, int to)
{
    static uint8_t value[CRASH_VALUE];
    enum err e;
    struct kv *kv = open_kv(dir, &e, NULL);
    for (int k = 0; e == ERR_OK && k < CRASH_COMMITS && count_logs(dir) < 2; k++, i++) {
        struct kv_batch b = {0};
        kv_batch_put(&b, bytes_of(&i, 1), bytes_of(value, k % 4 == 0 ? 300 : CRASH_VALUE));
        e = kv->ops->write(kv, &b);
        kv_batch_close(&b);
    }
    _exit(e == ERR_OK && write(to, &i, 1) == 1 ? 0 : 1);
}

/* Each child opens what the one before it left. */
Test(rocks_wal_files, several_logs_after_a_crash_open)
{
    char dir[200];
    uint8_t next = 1;
    tmpdir_new(dir, sizeof dir);
    for (int round = 0; round < CRASHES; round++) {
        int to[2], status;
        cr_assert_eq(pipe(to), 0);
        pid_t pid = fork();
        if (pid == 0)
            write_two_logs(dir, next, to[1]);
        close(to[1]);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "round %d", round);
        cr_assert_eq(read(to[0], &next, 1), 1);
        close(to[0]);
    }
    cr_assert_gt(next, CRASHES);
    expect(dir, 0, next - 1, 0);
    tmpdir_remove(dir);
}
