/*
 * What RocksDB alone does on this disk, to read other figures against: puts of 1 KiB, each with its own fsync, from one
 * thread; and batches of 1,000 puts with one fsync each. RocksDB as it comes, with none of what the store sets or adds.
 * Prints two numbers a second, nothing else.
 *
 *   bench_raw DIRECTORY        an empty directory on the disk to measure
 */
#include "crdt/rng.h"

#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define VALUE_BYTES 1024

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(char *text)
{
    if (text == NULL)
        return;
    fprintf(stderr, "bench_raw: %s\n", text);
    exit(1);
}

static double puts_per_second(rocksdb_t *db, struct rng *r, size_t batch_size, double seconds)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    rocksdb_writeoptions_t *sync = rocksdb_writeoptions_create();
    uint8_t key[32], value[VALUE_BYTES];
    char *text = NULL;
    size_t done = 0;
    rocksdb_writeoptions_set_sync(sync, 1);
    double start = now_s();
    do {
        rocksdb_writebatch_clear(batch);
        for (size_t i = 0; i < batch_size; i++) {
            rng_bytes(r, key, sizeof key);
            rng_bytes(r, value, sizeof value);
            rocksdb_writebatch_put(batch, (char *)key, sizeof key, (char *)value, sizeof value);
        }
        rocksdb_write(db, sync, batch, &text);
        must(text);
        done += batch_size;
    } while (now_s() - start < seconds);
    rocksdb_writebatch_destroy(batch);
    rocksdb_writeoptions_destroy(sync);
    return (double)done / (now_s() - start);
}

int main(int argc, char **argv)
{
    rocksdb_options_t *options = rocksdb_options_create();
    char *text = NULL;
    struct rng r;
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_t *db = rocksdb_open(options, argc > 1 ? argv[1] : ".", &text);
    must(text);
    rng_seed(&r, 1);
    double single = puts_per_second(db, &r, 1, 3);
    double bulk = puts_per_second(db, &r, 1000, 3);
    printf("%.0f %.0f\n", single, bulk);
    rocksdb_close(db);
    rocksdb_options_destroy(options);
    return 0;
}
