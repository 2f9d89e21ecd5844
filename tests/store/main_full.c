/*
 * The disk fills up under a store, and comes back; then it is read-only. On a small tmpfs in a mount namespace of this
 * process alone; skipped (77) where that is not permitted.
 */
#include "crdt/alloc.h"
#include "tests/lib/stores.h"
#include "tests/lib/tmpdir.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum { SKIP = 77, WRITES_MAX = 20000 };

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "store_full: %s\n", what);
    exit(1);
}

static enum err try_open(struct test_store *t, bool read_only)
{
    struct kv_rocks_config config = {.path = t->dir, .cache_mb = 8, .write_buffer_mb = 2, .read_only = read_only};
    struct store_config sc = {.mesh = t->mesh, .has_founder = true, .founder = t->founder.key,
                              .mesh_name = bytes_str(TEST_MESH)};
    enum err e = kv_rocks_open(&t->kv, &config, NULL);
    return e == ERR_OK ? store_open(&t->store, t->kv, &sc) : e;
}

static void close_store(struct test_store *t)
{
    store_close(t->store);
    t->kv->ops->close(t->kv);
}

static void fill_disk(const char *dir, char path[256])
{
    static const char block[4096];
    snprintf(path, 256, "%s/filler", dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    must(fd >= 0, "open the filler");
    while (write(fd, block, sizeof block) > 0)
        continue;
    must(errno == ENOSPC, "the disk is not full");
    close(fd);
}

static enum err write_one(struct test_store *t, struct author *a, size_t i)
{
    char name[24], text[600];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    snprintf(name, sizeof name, "m%06zu", i);
    struct buf value = {0};
    buf_put_u8(&value, 0xda);
    buf_put_be(&value, sizeof text - 1, 2);
    buf_put_str(&value, text);
    struct field f = {.name = bytes_str("description"), .value = buf_view(&value)};
    struct store_write w = {.action = WRITE_PUT, .kind = KIND_MODEL, .owner = a->key, .name = bytes_str(name), .author = a,
                            .change = {.mode = CHANGE_PATCH, .field_count = 1, .fields = &f}};
    struct store_job job = {.now_ms = ++t->now_ms, .rng = &t->rng, .write_count = 1, .writes = &w};
    enum err e = store_apply(t->store, &job);
    must(e == w.why, "the write does not say why the job failed");
    store_job_close(&job);
    buf_close(&value);
    return e;
}

/* Writes until one is refused; returns how many were acknowledged. */
static size_t write_until_refused(struct test_store *t, struct author *a, size_t from, enum err *why)
{
    size_t n = from;
    *why = ERR_OK;
    while (n < WRITES_MAX && (*why = write_one(t, a, n)) == ERR_OK)
        n++;
    return n;
}

static void expect_readable(const struct test_store *t, const struct author *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char name[24];
        struct entry_info info;
        struct buf out = {0};
        snprintf(name, sizeof name, "m%06zu", i);
        struct id id = test_entry(&a->key, KIND_MODEL, name);
        must(store_get(t->store, KIND_MODEL, &id, &info, &out) == ERR_OK, "an acknowledged write cannot be read");
        buf_close(&out);
    }
}

static void no_finding(void *ctx, const struct verify_finding *f)
{
    (void)ctx;
    fprintf(stderr, "store_full: %s: %s\n", f->check, f->detail);
}

static void disk_full(struct test_store *t, struct author *a)
{
    char filler[256];
    enum err why;
    for (size_t i = 0; i < 50; i++)
        must(write_one(t, a, i) == ERR_OK, "a write with room to spare");
    fill_disk(t->dir, filler);
    size_t n = write_until_refused(t, a, 50, &why);
    must(why == ERR_NO_SPACE, "a full disk is not ERR_NO_SPACE");
    expect_readable(t, a, n);
    must(write_one(t, a, n) == ERR_NO_SPACE, "a second write on a full disk");
    must(store_reopen(t->store) == ERR_NO_SPACE, "store_reopen on a full disk");
    expect_readable(t, a, n);
    must(unlink(filler) == 0, "unlink the filler");
    struct store_scan *reader = store_scan_open(t->store, KIND_MODEL, (struct bytes){0}, NULL);
    must(store_reopen(t->store) == ERR_NO_SPACE, "store_reopen beside a reader that does not end"); /* and comes back */
    expect_readable(t, a, n);
    must(store_scan_close(reader) == ERR_OK, "a reader beside it");
    must(store_reopen(t->store) == ERR_OK, "store_reopen with space");
    expect_readable(t, a, n);
    must(write_one(t, a, n) == ERR_OK, "a write after the space came back");
    expect_readable(t, a, n + 1);
    must(store_verify(t->store, NULL, no_finding, NULL, NULL) == ERR_OK, "verify after a full disk");
    printf("full after %zu writes, nothing lost\n", n);
}

static void read_only(struct test_store *t, struct author *a)
{
    must(mount(NULL, t->dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0, "remount read-only");
    must(try_open(t, false) == ERR_READ_ONLY, "a read-only disk is not ERR_READ_ONLY");
    must(try_open(t, true) == ERR_OK, "open for reading on a read-only disk");
    expect_readable(t, a, 50);
    must(write_one(t, a, WRITES_MAX) == ERR_READ_ONLY, "a write on a read-only disk");
    must(store_reopen(t->store) == ERR_READ_ONLY, "store_reopen on a read-only disk");
    expect_readable(t, a, 50);
    close_store(t);
}

int main(void)
{
    struct test_store t = {.now_ms = 1700000000000};
    struct author a;
    tmpdir_new(t.dir, sizeof t.dir);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", t.dir, "tmpfs", 0, "size=48m") != 0) {
        printf("skipped: no mount namespace here: %s\n", strerror(errno));
        tmpdir_remove(t.dir);
        return SKIP;
    }
    gen_author(&t.founder, 1);
    mesh_id(&t.mesh, &t.founder.key, bytes_str(TEST_MESH));
    rng_seed(&t.rng, 1);
    test_author(&a, 2);
    must(try_open(&t, false) == ERR_OK, "open");
    test_open_mesh(&t);
    disk_full(&t, &a);
    close_store(&t);
    read_only(&t, &a);
    must(umount(t.dir) == 0, "umount");
    tmpdir_remove(t.dir);
    printf("ok\n");
    return 0;
}
