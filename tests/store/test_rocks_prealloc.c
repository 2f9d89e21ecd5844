/*
 * Room ahead in RocksDB's log: lone small commits do not make the file longer, large ones get no room, what is left of it is
 * gone after a clean stop and skipped after a crash, also where the last commit was torn; a disk without room is no error.
 */
#include "store/rocks_prealloc.h"

#include "store/kv.h"
#include "store/rocks_wal.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROW = 1000, ROWS_MAX = 4000 };

static struct kv *open_kv(const char *dir)
{
    struct kv *kv = NULL;
    struct kv_rocks_config config = {.path = dir, .cache_mb = 8, .write_buffer_mb = 16};
    struct buf why = {0};
    cr_assert_eq(kv_rocks_open(&kv, &config, &why), ERR_OK, "%s", buf_cstr(&why));
    buf_close(&why);
    return kv;
}

static enum err put(struct kv *kv, uint32_t i, size_t n)
{
    static uint8_t value[KV_VALUE_MAX];
    struct kv_batch b = {0};
    memset(value, 0xee, n);
    kv_batch_put(&b, bytes_of(&i, sizeof i), bytes_of(value, n));
    enum err e = kv->ops->write(kv, &b);
    kv_batch_close(&b);
    return e;
}

static uint32_t rows_from_0(struct kv *kv)
{
    struct buf value = {0};
    uint32_t i = 0;
    while (kv->ops->get(kv, NULL, bytes_of(&i, sizeof i), &value) == ERR_OK)
        i++;
    buf_close(&value);
    return i;
}

/* A start finds rows 0 to n - 1, and no other. */
static void expect_rows(const char *dir, size_t n)
{
    struct kv *kv = open_kv(dir);
    cr_assert_eq(rows_from_0(kv), n);
    kv->ops->close(kv);
}

/* The newest log of the directory: its path and size. */
static size_t newest_log(const char *dir, char path[400])
{
    DIR *d = opendir(dir);
    uint64_t number, newest = 0;
    struct stat st;
    path[0] = '\0';
    for (const struct dirent *f; (f = readdir(d)) != NULL;) {
        if (!rocks_wal_number(f->d_name, &number) || number < newest)
            continue;
        newest = number;
        snprintf(path, 400, "%s/%s", dir, f->d_name);
    }
    closedir(d);
    cr_assert_eq(stat(path, &st), 0, "no log in %s", dir);
    return (size_t)st.st_size;
}

Test(rocks_prealloc, small_commits_find_room)
{
    char dir[200], path[400];
    size_t changes = 0, before = 0, commits = 3 * ROCKS_AHEAD_BYTES / ROW;
    tmpdir_new(dir, sizeof dir);
    struct kv *kv = open_kv(dir);
    for (uint32_t i = 0; i < commits; i++) {
        cr_assert_eq(put(kv, i, ROW), ERR_OK);
        size_t size = newest_log(dir, path);
        changes += size != before;
        before = size;
    }
    cr_assert_leq(changes, 4, "the log became longer %zu times in %zu commits", changes, commits);
    kv->ops->close(kv);
    cr_assert_lt(newest_log(dir, path), commits * (ROW + 100), "a clean stop leaves room behind");
    expect_rows(dir, commits);
    tmpdir_remove(dir);
}

Test(rocks_prealloc, large_commits_get_none)
{
    char dir[200], path[400];
    size_t n = 2 * ROCKS_SMALL_COMMIT_BYTES;
    tmpdir_new(dir, sizeof dir);
    struct kv *kv = open_kv(dir);
    for (uint32_t i = 0; i < 20; i++)
        cr_assert_eq(put(kv, i, n), ERR_OK);
    size_t size = newest_log(dir, path);
    cr_assert(size > 20 * n && size < 21 * n, "%zu bytes for 20 commits of %zu", size, n);
    cr_assert_eq(put(kv, 20, ROW), ERR_OK); /* behind them, not over them */
    cr_assert_geq(newest_log(dir, path), size + ROCKS_AHEAD_BYTES);
    cr_assert_eq(put(kv, 21, 4 * ROCKS_AHEAD_BYTES / 3), ERR_OK); /* beyond the room */
    cr_assert_eq(put(kv, 22, ROW), ERR_OK);
    cr_assert_eq(kv->ops->reopen(kv), ERR_OK);
    cr_assert_eq(rows_from_0(kv), 23);
    cr_assert_eq(put(kv, 23, ROW), ERR_OK);
    kv->ops->close(kv);
    expect_rows(dir, 24);
    tmpdir_remove(dir);
}

/* A log that RocksDB began while the last one still had room gets its own. */
Test(rocks_prealloc, the_next_log_gets_room)
{
    char dir[200], path[400];
    tmpdir_new(dir, sizeof dir);
    struct kv *kv = open_kv(dir);
    cr_assert_eq(put(kv, 0, ROW), ERR_OK);
    cr_assert_eq(kv->ops->reopen(kv), ERR_OK);
    cr_assert_lt(newest_log(dir, path), ROCKS_AHEAD_BYTES);
    cr_assert_eq(put(kv, 1, ROW), ERR_OK);
    cr_assert_geq(newest_log(dir, path), ROCKS_AHEAD_BYTES);
    uint32_t i = 2;
    for (char first[400] = "", now[400]; i < 40; i++) { /* until a write buffer was full */
        newest_log(dir, now);
        if (first[0] != '\0' && strcmp(first, now) != 0)
            break;
        memcpy(first, now, sizeof first);
        cr_assert_eq(put(kv, i, 1 << 20), ERR_OK);
    }
    cr_assert_lt(i, 40, "the log never changed");
    cr_assert_eq(put(kv, i, ROW), ERR_OK);
    size_t size = newest_log(dir, path);
    cr_assert_eq(put(kv, i + 1, ROW), ERR_OK);
    cr_assert_eq(newest_log(dir, path), size);
    kv->ops->close(kv);
    tmpdir_remove(dir);
}

/* Runs `work` in a child that ends without closing anything, and returns how many rows it says were acknowledged. */
static uint32_t in_a_child(const char *dir, uint32_t (*work)(struct kv *kv, const char *dir))
{
    int to[2], status;
    uint32_t n;
    cr_assert_eq(pipe(to), 0);
    pid_t pid = fork();
    if (pid == 0) {
        n = work(open_kv(dir), dir);
        _exit(write(to[1], &n, sizeof n) == sizeof n ? 0 : 1);
    }
    close(to[1]);
    cr_assert_eq(read(to[0], &n, sizeof n), (ssize_t)sizeof n);
    close(to[0]);
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return n;
}

static uint32_t ten_rows(struct kv *kv, const char *dir)
{
    (void)dir;
    for (uint32_t i = 0; i < 10; i++)
        cr_assert_eq(put(kv, i, ROW), ERR_OK);
    return 10;
}

Test(rocks_prealloc, room_is_skipped_after_a_crash)
{
    char dir[200], path[400];
    tmpdir_new(dir, sizeof dir);
    uint32_t n = in_a_child(dir, ten_rows);
    cr_assert_geq(newest_log(dir, path), ROCKS_AHEAD_BYTES);
    expect_rows(dir, n);
    tmpdir_remove(dir);
}

/* The last commit did not reach the disk whole: what lies there is a part of it, and zeros. */
Test(rocks_prealloc, a_torn_commit_in_the_room_is_dropped)
{
    char dir[200], path[400];
    uint8_t zeros[ROW / 2] = {0}, byte = 0;
    tmpdir_new(dir, sizeof dir);
    (void)in_a_child(dir, ten_rows);
    off_t end = (off_t)newest_log(dir, path);
    int fd = open(path, O_RDWR);
    while (byte == 0)
        cr_assert_eq(pread(fd, &byte, 1, --end), 1);
    cr_assert_eq(pwrite(fd, zeros, sizeof zeros, end + 1 - (off_t)sizeof zeros), (ssize_t)sizeof zeros);
    close(fd);
    struct kv *kv = open_kv(dir);
    cr_assert_eq(rows_from_0(kv), 9);
    cr_assert_eq(put(kv, 9, ROW), ERR_OK);
    kv->ops->close(kv);
    expect_rows(dir, 10);
    tmpdir_remove(dir);
}

/* Files may not grow as far as the room would reach: writes go on until they themselves find none. */
static uint32_t until_refused(struct kv *kv, const char *dir)
{
    char path[400];
    struct rlimit limit = {.rlim_cur = newest_log(dir, path) + 100 * ROW, .rlim_max = RLIM_INFINITY};
    uint32_t i = 0;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    while (i < ROWS_MAX && put(kv, i, ROW) == ERR_OK)
        i++;
    return i;
}

Test(rocks_prealloc, a_disk_without_room_is_no_error)
{
    char dir[200];
    tmpdir_new(dir, sizeof dir);
    uint32_t n = in_a_child(dir, until_refused);
    cr_assert(n > 80 && n < 100, "%u commits in 100 kB", n);
    struct kv *kv = open_kv(dir);
    uint32_t there = rows_from_0(kv);
    cr_assert(there == n || there == n + 1, "%u acknowledged, %u there", n, there);
    kv->ops->close(kv);
    tmpdir_remove(dir);
}
