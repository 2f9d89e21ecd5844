/*
 * One fsync a group commit: this program's own fdatasync and fsync stand before the C library's, so that those which
 * RocksDB asks for are counted. Whatever a job holds, its answer comes after one of them and no more.
 */
#include "tests/lib/stores.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int synced;

int fdatasync(int fd)
{
    atomic_fetch_add(&synced, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    atomic_fetch_add(&synced, 1);
    return (int)syscall(SYS_fsync, fd);
}

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "store_fsync: %s\n", what);
    exit(1);
}

enum { WRITES = 600, DELTAS = 20 };

/* Writes of one author and deltas from elsewhere in one job. */
static void commit(struct test_store *t, struct author *a, uint64_t first)
{
    static struct store_write writes[WRITES];
    static char names[WRITES][32];
    struct store_in in[DELTAS];
    struct buf bundles[DELTAS] = {{0}};
    struct gen_author other;
    gen_author(&other, 9);
    for (size_t i = 0; i < WRITES; i++) {
        snprintf(names[i], sizeof names[i], "m%llu", (unsigned long long)first + i);
        writes[i] = test_write_of(WRITE_PUT, a, &a->key, names[i]);
    }
    for (size_t i = 0; i < DELTAS; i++) {
        test_put_bundle(t, &bundles[i], &other, hlc_from_ms(t->now_ms) + first + i, (struct gen_op){.name = names[i]});
        in[i] = (struct store_in){.bundle = buf_view(&bundles[i])};
    }
    struct store_job job = {.now_ms = t->now_ms, .rng = &t->rng, .in_count = DELTAS, .in = in, .write_count = WRITES, .writes = writes};
    int before = atomic_load(&synced);
    must(store_apply(t->store, &job) == ERR_OK, "store_apply");
    int took = atomic_load(&synced) - before;
    store_job_close(&job);
    for (size_t i = 0; i < DELTAS; i++)
        buf_close(&bundles[i]);
    printf("%d fsync\n", took);
    must(took == 1, "a commit is one fsync");
}

int main(void)
{
    struct test_store t;
    struct author a;
    test_store_open(&t, BACKEND_ROCKS);
    test_open_mesh(&t);
    test_author(&a, 2);
    must(atomic_load(&synced) > 0, "opening the store syncs nothing: the calls are not seen");
    for (uint64_t i = 0; i < 3; i++)
        commit(&t, &a, i * WRITES);
    struct store_job nothing = {.now_ms = t.now_ms, .rng = &t.rng};
    int before = atomic_load(&synced);
    must(store_apply(t.store, &nothing) == ERR_OK && atomic_load(&synced) == before, "an empty job writes");
    store_job_close(&nothing);
    test_store_close(&t);
    return 0;
}
