/*
 * Figures of the store on RocksDB, printed and not asserted: bulk writes against raw puts of the same size in the same
 * run, merging of foreign deltas, restart, state_hash, memory. `bench_store [entries]`.
 */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "tests/lib/stores.h"
#include "tests/lib/tmpdir.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_BYTES = 1024, WRITES_PER_JOB = 2048, RAW_BATCH = 1000, CACHE_MB = 64, WRITE_BUFFER_MB = 32 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Processor time of this thread: what is left of a rate on a busy machine. */
static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double resident_mb(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL) {
        if (fscanf(f, "%ld %ld", &pages, &resident) != 2)
            resident = 0;
        fclose(f);
    }
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1048576.0;
}

static void must(enum err e, const char *what)
{
    if (e == ERR_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, err_text(e));
    exit(1);
}

static struct kv *open_kv(const char *dir)
{
    struct kv *kv;
    struct kv_rocks_config config = {.path = dir, .cache_mb = CACHE_MB, .write_buffer_mb = WRITE_BUFFER_MB};
    must(kv_rocks_open(&kv, &config, NULL), "kv_rocks_open");
    return kv;
}

/* Raw puts of 1 KiB in synced batches of 1000. */
static double raw_puts(size_t n)
{
    char dir[200];
    struct rng rng;
    uint8_t value[RECORD_BYTES];
    struct kv_batch batch = {0};
    rng_seed(&rng, 1);
    tmpdir_new(dir, sizeof dir);
    struct kv *kv = open_kv(dir);
    struct buf text = {0};
    gen_text(&text, &rng, RECORD_BYTES);
    memcpy(value, text.p, RECORD_BYTES);
    double start = now_s();
    for (size_t i = 0; i < n; i++) {
        struct id key = gen_id(i);
        kv_batch_put(&batch, bytes_of(key.b, ID_BYTES), bytes_of(value, sizeof value));
        if (batch.count == RAW_BATCH || i + 1 == n) {
            must(kv->ops->write(kv, &batch), "write");
            kv_batch_reset(&batch);
        }
    }
    double rate = (double)n / (now_s() - start);
    kv->ops->close(kv);
    kv_batch_close(&batch);
    buf_close(&text);
    tmpdir_remove(dir);
    return rate;
}

/* Parsed records, as an importer hands them in. */
struct records {
    size_t count;
    char (*names)[32];
    struct buf *text;
    struct field *fields; /* three a record */
};

static void make_records(struct records *r, size_t n)
{
    struct rng rng;
    rng_seed(&rng, 2);
    *r = (struct records){.count = n, .names = mem_calloc(n, sizeof *r->names), .text = mem_calloc(n, sizeof *r->text),
                          .fields = mem_calloc(3 * n, sizeof *r->fields)};
    for (size_t i = 0; i < n; i++) {
        struct buf words = {0}, *b = &r->text[i];
        snprintf(r->names[i], sizeof r->names[i], "bench/m%07zu", i);
        gen_text(&words, &rng, RECORD_BYTES - 100);
        mp_put_str(b, buf_view(&words));
        size_t one = b->n;
        mp_put_str(b, bytes_str("PyTorch"));
        size_t two = b->n;
        mp_put_str(b, bytes_str("Apache2"));
        r->fields[3 * i] = (struct field){.name = bytes_str("description"), .value = bytes_of(b->p, one)};
        r->fields[3 * i + 1] = (struct field){.name = bytes_str("framework"), .value = bytes_of(b->p + one, two - one)};
        r->fields[3 * i + 2] = (struct field){.name = bytes_str("license"), .value = bytes_of(b->p + two, b->n - two)};
        buf_close(&words);
    }
}

static void free_records(struct records *r)
{
    for (size_t i = 0; i < r->count; i++)
        buf_close(&r->text[i]);
    free(r->names);
    free(r->text);
    free(r->fields);
}

struct bench {
    char dir[200];
    struct kv *kv;
    struct store *store;
    struct gen_author founder;
    struct author author;
    struct store_config config;
    struct rng rng;
};

static void open_store(struct bench *b)
{
    b->kv = open_kv(b->dir);
    must(store_open(&b->store, b->kv, &b->config), "store_open");
}

static void close_store(struct bench *b)
{
    store_close(b->store);
    b->kv->ops->close(b->kv);
}

static void new_store(struct bench *b)
{
    *b = (struct bench){0};
    tmpdir_new(b->dir, sizeof b->dir);
    gen_author(&b->founder, 1);
    test_author(&b->author, 1);
    rng_seed(&b->rng, 3);
    b->config = (struct store_config){.has_founder = true, .founder = b->founder.key, .mesh_name = bytes_str(TEST_MESH)};
    mesh_id(&b->config.mesh, &b->founder.key, b->config.mesh_name);
    open_store(b);
}

static void write_some(struct bench *b, const struct records *r, size_t from, size_t n)
{
    struct store_write *w = mem_calloc(n, sizeof *w);
    for (size_t i = 0; i < n; i++)
        w[i] = (struct store_write){.action = WRITE_PUT, .kind = KIND_MODEL, .owner = b->author.key,
                                    .name = bytes_str(r->names[from + i]), .author = &b->author,
                                    .change = {.mode = CHANGE_REPLACE, .field_count = 3, .fields = &r->fields[3 * (from + i)]}};
    struct store_job job = {.now_ms = 1700000000000 + from, .rng = &b->rng, .write_count = n, .writes = w};
    must(store_apply(b->store, &job), "store_apply");
    store_job_close(&job);
    free(w);
}

static double write_all(struct bench *b, const struct records *r)
{
    double start = now_s();
    for (size_t i = 0; i < r->count; i += WRITES_PER_JOB)
        write_some(b, r, i, r->count - i < WRITES_PER_JOB ? r->count - i : WRITES_PER_JOB);
    return (double)r->count / (now_s() - start);
}

/* The same deltas, verified and merged into an empty store. */
static double copy_all(struct bench *from, struct bench *to, double *read_s)
{
    enum { DELTAS_PER_JOB = 8 };
    struct setindex *set = setindex_new();
    must(store_load_set(from->store, set), "store_load_set");
    size_t n = setindex_count(set), ops = 0;
    struct item *items = mem_calloc(n, sizeof *items);
    setindex_items(set, 0, n, items);
    setindex_free(set);
    *read_s = 0;
    double start = now_s();
    for (size_t i = 0; i < n; i += DELTAS_PER_JOB) {
        struct store_in in[DELTAS_PER_JOB] = {0};
        struct buf bundles[DELTAS_PER_JOB] = {0};
        size_t k = 0;
        double begun = now_s();
        for (; k < DELTAS_PER_JOB && i + k < n; k++) {
            must(store_bundle(from->store, &items[i + k].id, &bundles[k]), "store_bundle");
            in[k].bundle = buf_view(&bundles[k]);
        }
        *read_s += now_s() - begun;
        struct store_job job = {.now_ms = 1800000000000, .rng = &to->rng, .in_count = k, .in = in};
        must(store_apply(to->store, &job), "store_apply");
        store_job_close(&job);
        for (size_t j = 0; j < k; j++) {
            ops += in[j].bodies_new;
            buf_close(&bundles[j]);
        }
    }
    free(items);
    return (double)ops / (now_s() - start - *read_s);
}

static double single_writes(struct bench *b, const struct records *r, size_t n)
{
    double start = now_s();
    for (size_t i = 0; i < n; i++)
        write_some(b, r, i, 1);
    return (double)n / (now_s() - start);
}

static double raw_singles(size_t n)
{
    char dir[200];
    struct kv_batch batch = {0};
    uint8_t value[RECORD_BYTES] = {0};
    tmpdir_new(dir, sizeof dir);
    struct kv *kv = open_kv(dir);
    double start = now_s();
    for (size_t i = 0; i < n; i++) {
        struct id key = gen_id(i);
        kv_batch_reset(&batch);
        kv_batch_put(&batch, bytes_of(key.b, ID_BYTES), bytes_of(value, sizeof value));
        must(kv->ops->write(kv, &batch), "write");
    }
    double rate = (double)n / (now_s() - start);
    kv->ops->close(kv);
    kv_batch_close(&batch);
    tmpdir_remove(dir);
    return rate;
}

static void random_reads(const struct bench *b, const struct records *r, size_t n)
{
    struct rng rng;
    struct buf out = {0};
    rng_seed(&rng, 9);
    double start = now_s();
    for (size_t i = 0; i < n; i++) {
        struct entry_info info;
        struct id id = test_entry(&b->author.key, KIND_MODEL, r->names[rng_below(&rng, r->count)]);
        buf_reset(&out);
        must(store_get(b->store, KIND_MODEL, &id, &info, &out), "store_get");
    }
    printf("random reads by id          %9.0f /s\n", (double)n / (now_s() - start));
    buf_close(&out);
}

static void restart(struct bench *b)
{
    close_store(b);
    malloc_trim(0);
    double base = resident_mb(), start = now_s();
    open_store(b);
    struct setindex *set = setindex_new();
    must(store_load_set(b->store, set), "store_load_set");
    printf("restart, ready              %9.0f ms\n", (now_s() - start) * 1e3);
    struct id state;
    start = now_s();
    must(store_state_hash(b->store, &state), "store_state_hash");
    printf("state_hash                  %9.0f ms\n", (now_s() - start) * 1e3);
    printf("resident after that         %9.0f MB (%.0f before opening)\n", resident_mb(), base);
    setindex_free(set);
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    struct records r;
    struct bench a, c;
    double read_s;
    make_records(&r, n);
    double cpu = cpu_s(), raw = raw_puts(n);
    printf("raw puts, batches of 1000   %9.0f /s   %.1f us of this thread's time each\n", raw,
           (cpu_s() - cpu) * 1e6 / (double)n);
    new_store(&a);
    cpu = cpu_s();
    double bulk = write_all(&a, &r);
    printf("records into the store      %9.0f /s   %.2f of raw, %.1f us of this thread's time an entry\n", bulk,
           bulk / raw, (cpu_s() - cpu) * 1e6 / (double)n);
    printf("resident                    %9.0f MB (the records themselves included)\n", resident_mb());
    random_reads(&a, &r, n);
    new_store(&c);
    double copied = copy_all(&a, &c, &read_s);
    printf("deltas verified and merged  %9.0f /s   reading them %.2f s\n", copied, read_s);
    close_store(&c);
    tmpdir_remove(c.dir);
    size_t singles = n < 5000 ? n : 5000;
    double raw_one = raw_singles(singles), one = single_writes(&a, &r, singles);
    printf("single synced puts          %9.0f /s\n", raw_one);
    printf("single writes, edits        %9.0f /s   %.2f of such puts\n", one, one / raw_one);
    free_records(&r);
    restart(&a);
    close_store(&a);
    tmpdir_remove(a.dir);
    return 0;
}
