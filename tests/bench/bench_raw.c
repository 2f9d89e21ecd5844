/*
 * What RocksDB alone does on this disk, to read other figures against: puts of 1 KiB, each with its own fsync, from one
 * thread; and batches of 1,000 puts with one fsync each. Prints two numbers a second, nothing else.
 *
 *   bench_raw DIRECTORY        an empty directory on the disk to measure
 */
#include "crdt/rng.h"
#include "store/kv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VALUE_BYTES 1024

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double puts_per_second(struct kv *kv, struct rng *r, size_t batch_size, double seconds)
{
    struct kv_batch batch = {0};
    uint8_t key[32], value[VALUE_BYTES];
    size_t done = 0;
    double start = now_s();
    do {
        kv_batch_reset(&batch);
        for (size_t i = 0; i < batch_size; i++) {
            rng_bytes(r, key, sizeof key);
            rng_bytes(r, value, sizeof value);
            kv_batch_put(&batch, bytes_of(key, sizeof key), bytes_of(value, sizeof value));
        }
        if (kv->ops->write(kv, &batch) != ERR_OK)
            exit(1);
        done += batch_size;
    } while (now_s() - start < seconds);
    kv_batch_close(&batch);
    return (double)done / (now_s() - start);
}

int main(int argc, char **argv)
{
    struct kv_rocks_config config = {.path = argc > 1 ? argv[1] : ".", .cache_mb = 64, .write_buffer_mb = 32};
    struct buf why = {0};
    struct kv *kv;
    struct rng r;
    if (kv_rocks_open(&kv, &config, &why) != ERR_OK) {
        fprintf(stderr, "bench_raw: %s\n", buf_cstr(&why));
        return 1;
    }
    rng_seed(&r, 1);
    double single = puts_per_second(kv, &r, 1, 3);
    double bulk = puts_per_second(kv, &r, 1000, 3);
    printf("%.0f %.0f\n", single, bulk);
    kv->ops->close(kv);
    buf_close(&why);
    return 0;
}
