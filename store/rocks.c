/*
 * The back end on disk: RocksDB through its C API. Owns the database handle, its options and the reopening after a
 * write failed (the C API has no resume): every use of the handle is counted, and reopening waits until the count is
 * zero, and is put off where that takes long. Knows nothing of what keys mean.
 */
#include "crdt/alloc.h"
#include "store/kv.h"
#include "store/rocks_prealloc.h"
#include "store/rocks_wal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 8192,
    WRITE_BUFFERS = 2, /* one is filled while the other is sorted on disk: write_buffer_mb is the sum of both */
    BLOOM_BITS = 10,
    BACKGROUND_JOBS = 2,
    NEW_TABLES_MAX = 8,         /* tables of level 0 before they are merged                       */
    OPEN_FILES_MAX = 512,
    LOG_BYTES_MAX = 4 << 20,
    LOG_FILES = 2,
    BATCH_KEPT_BYTES = 8 << 20, /* a larger batch gives its memory back after the write */
    IDLE_WAIT_S = 2, /* how long a reopening waits for those who read; then it is put off */
    PROBE_BYTES = 8 << 20, /* room that must be there before a full disk is called usable again */
    FAULT_BYTES = 400,
};

enum open_mode { OPEN_WRITE, OPEN_READ };

struct rocks {
    struct kv kv;
    pthread_mutex_t lock;
    pthread_cond_t idle;    /* users reached zero */
    size_t users;            /* iterators, snapshots and calls that use `db` now */
    rocksdb_t *db;           /* NULL only when not even a read-only open worked */
    enum err refused;        /* why writes are refused; ERR_OK: they are not */
    char *path;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table;
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *sync;
    rocksdb_writebatch_t *batch; /* the writer's own, kept for its memory */
    struct rocks_prealloc log;   /* the writer's own */
    char fault[FAULT_BYTES]; /* of the last read that failed, under the lock */
};

struct kv_snapshot {
    const rocksdb_snapshot_t *snap;
    rocksdb_readoptions_t *read;
};

struct kv_iter {
    struct rocks *rocks;
    rocksdb_iterator_t *it;   /* NULL: the database could not be opened */
    rocksdb_readoptions_t *read;
    size_t prefix_n, end_n;
    uint8_t prefix[KV_KEY_MAX], end[KV_KEY_MAX]; /* keys in [prefix, end); end_n == 0: no end */
};

static struct rocks *rocks_of(struct kv *kv)
{
    return (struct rocks *)kv;
}

/* RocksDB gives its errors as text only. Frees `text`. */
static enum err error_of(char *text, struct buf *why)
{
    if (text == NULL)
        return ERR_OK;
    enum err e = ERR_IO;
    if (strstr(text, "No space left") != NULL || strstr(text, "Disk quota") != NULL || strstr(text, "NoSpace") != NULL)
        e = ERR_NO_SPACE;
    else if (strstr(text, "Read-only file system") != NULL)
        e = ERR_READ_ONLY;
    else if (strncmp(text, "Corruption", 10) == 0)
        e = ERR_CORRUPT;
    if (why != NULL)
        buf_put_str(why, text);
    rocksdb_free(text);
    return e;
}

/* The same of a read, remembering the words. */
static enum err read_error(struct rocks *r, char *text)
{
    if (text == NULL)
        return ERR_OK;
    pthread_mutex_lock(&r->lock);
    snprintf(r->fault, sizeof r->fault, "%s", text);
    pthread_mutex_unlock(&r->lock);
    return error_of(text, NULL);
}

static void rocks_fault(struct kv *kv, struct buf *why)
{
    struct rocks *r = rocks_of(kv);
    pthread_mutex_lock(&r->lock);
    buf_put_str(why, r->fault);
    pthread_mutex_unlock(&r->lock);
}

/* ---- one count of users around every touch of the handle ---- */

/* New users are let in until the very moment of the swap (which holds the lock), so that a reader with an open
 * iterator never waits for a reopening that waits for the iterator. */
static rocksdb_t *use(struct rocks *r)
{
    pthread_mutex_lock(&r->lock);
    r->users++;
    rocksdb_t *db = r->db;
    pthread_mutex_unlock(&r->lock);
    return db;
}

static void done(struct rocks *r)
{
    pthread_mutex_lock(&r->lock);
    assert(r->users > 0);
    if (--r->users == 0)
        pthread_cond_broadcast(&r->idle);
    pthread_mutex_unlock(&r->lock);
}

/* ---- reads ---- */

static enum err rocks_get(struct kv *kv, const struct kv_snapshot *snap, struct bytes key, struct buf *out)
{
    struct rocks *r = rocks_of(kv);
    rocksdb_t *db = use(r);
    enum err e = ERR_IO;
    if (db != NULL) {
        char *text = NULL;
        rocksdb_pinnableslice_t *pin = rocksdb_get_pinned(db, snap != NULL ? snap->read : r->read,
                                                          (const char *)key.p, key.n, &text);
        e = text != NULL ? read_error(r, text) : pin == NULL ? ERR_NOT_FOUND : ERR_OK;
        if (pin != NULL) {
            size_t n;
            const char *value = rocksdb_pinnableslice_value(pin, &n);
            buf_put(out, value, n);
            rocksdb_pinnableslice_destroy(pin);
        }
    }
    done(r);
    return e;
}

static struct kv_snapshot *rocks_snapshot(struct kv *kv)
{
    struct rocks *r = rocks_of(kv);
    struct kv_snapshot *s = mem_zalloc(sizeof *s);
    rocksdb_t *db = use(r);
    s->read = rocksdb_readoptions_create();
    if (db != NULL) {
        s->snap = rocksdb_create_snapshot(db);
        rocksdb_readoptions_set_snapshot(s->read, s->snap);
    }
    return s;
}

static void rocks_release(struct kv *kv, struct kv_snapshot *s)
{
    if (s == NULL)
        return;
    struct rocks *r = rocks_of(kv);
    if (s->snap != NULL)
        rocksdb_release_snapshot(r->db, s->snap);
    rocksdb_readoptions_destroy(s->read);
    free(s);
    done(r);
}

/* The first key after every key with this prefix; 0 bytes if there is none. */
static size_t prefix_end(const uint8_t *prefix, size_t n, uint8_t *end)
{
    for (; n > 0; n--) {
        if (prefix[n - 1] == 0xff)
            continue;
        memcpy(end, prefix, n);
        end[n - 1]++;
        return n;
    }
    return 0;
}

static struct kv_iter *rocks_iter(struct kv *kv, const struct kv_snapshot *snap, struct bytes prefix)
{
    assert(prefix.n <= KV_KEY_MAX);
    struct rocks *r = rocks_of(kv);
    struct kv_iter *it = mem_zalloc(sizeof *it);
    rocksdb_t *db = use(r);
    it->rocks = r;
    it->read = rocksdb_readoptions_create();
    it->prefix_n = prefix.n;
    if (prefix.n > 0)
        memcpy(it->prefix, prefix.p, prefix.n);
    it->end_n = prefix_end(it->prefix, prefix.n, it->end);
    if (it->end_n > 0)
        rocksdb_readoptions_set_iterate_upper_bound(it->read, (const char *)it->end, it->end_n);
    if (prefix.n > 0)
        rocksdb_readoptions_set_iterate_lower_bound(it->read, (const char *)it->prefix, prefix.n);
    if (snap != NULL && snap->snap != NULL)
        rocksdb_readoptions_set_snapshot(it->read, snap->snap);
    if (db != NULL)
        it->it = rocksdb_create_iterator(db, it->read);
    return it;
}

static bool settled(const struct kv_iter *it)
{
    return rocksdb_iter_valid(it->it) != 0;
}

static bool rocks_seek(struct kv_iter *it, struct bytes key)
{
    if (it->it == NULL)
        return false;
    struct bytes prefix = bytes_of(it->prefix, it->prefix_n);
    struct bytes from = bytes_cmp(key, prefix) < 0 ? prefix : key;
    rocksdb_iter_seek(it->it, (const char *)from.p, from.n);
    return settled(it);
}

static bool rocks_seek_back(struct kv_iter *it, struct bytes key)
{
    if (it->it == NULL || bytes_cmp(key, bytes_of(it->prefix, it->prefix_n)) < 0)
        return false;
    if (it->end_n > 0 && bytes_cmp(key, bytes_of(it->end, it->end_n)) >= 0)
        rocksdb_iter_seek_to_last(it->it);
    else
        rocksdb_iter_seek_for_prev(it->it, (const char *)key.p, key.n);
    return settled(it);
}

static bool rocks_next(struct kv_iter *it)
{
    rocksdb_iter_next(it->it);
    return settled(it);
}

static bool rocks_prev(struct kv_iter *it)
{
    rocksdb_iter_prev(it->it);
    return settled(it);
}

static struct bytes rocks_key(const struct kv_iter *it)
{
    size_t n;
    const char *p = rocksdb_iter_key(it->it, &n);
    return bytes_of(p, n);
}

static struct bytes rocks_value(const struct kv_iter *it)
{
    size_t n;
    const char *p = rocksdb_iter_value(it->it, &n);
    return bytes_of(p, n);
}

static enum err rocks_iter_close(struct kv_iter *it)
{
    if (it == NULL)
        return ERR_OK;
    enum err e = ERR_IO;
    if (it->it != NULL) {
        char *text = NULL;
        rocksdb_iter_get_error(it->it, &text);
        e = read_error(it->rocks, text);
        rocksdb_iter_destroy(it->it);
    }
    rocksdb_readoptions_destroy(it->read);
    struct rocks *r = it->rocks;
    free(it);
    done(r);
    return e;
}

static uint64_t rocks_bytes(struct kv *kv)
{
    struct rocks *r = rocks_of(kv);
    rocksdb_t *db = use(r);
    uint64_t tables = 0, memory = 0;
    if (db != NULL) {
        rocksdb_property_int(db, "rocksdb.total-sst-files-size", &tables);
        rocksdb_property_int(db, "rocksdb.cur-size-all-mem-tables", &memory);
    }
    done(r);
    return tables + memory;
}

/* ---- writes ---- */

/* A row of a batch: the first bytes of its key, which mostly decide, and the row in the batch's log. */
struct row {
    uint64_t head;
    struct bytes key, value;
};

static uint64_t head_of(struct bytes key)
{
    uint8_t first[8] = {0};
    memcpy(first, key.p, key.n < sizeof first ? key.n : sizeof first);
    return get_be(first, sizeof first);
}

static int row_order(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    int c = bytes_cmp(x->key, y->key);
    return c != 0 ? c : (x->key.p > y->key.p) - (x->key.p < y->key.p); /* of equal keys the later one wins */
}

/* Rows go in by increasing key: RocksDB's memory table then finds most places right beside the last one. */
static void fill_batch(rocksdb_writebatch_t *wb, const struct kv_batch *batch)
{
    struct row *rows = mem_calloc(batch->count, sizeof *rows);
    size_t n = 0;
    for (size_t at = 0; n < batch->count && kv_batch_next(batch, &at, &rows[n].key, &rows[n].value); n++)
        rows[n].head = head_of(rows[n].key);
    assert(n == batch->count);
    if (n > 1)
        qsort(rows, n, sizeof *rows, row_order);
    for (size_t i = 0; i < n; i++) {
        struct bytes key = rows[i].key, value = rows[i].value;
        if (value.p != NULL)
            rocksdb_writebatch_put(wb, (const char *)key.p, key.n, (const char *)value.p, value.n);
        else
            rocksdb_writebatch_delete(wb, (const char *)key.p, key.n);
    }
    free(rows);
}

static enum err write_batch(struct rocks *r, rocksdb_t *db, const struct kv_batch *batch)
{
    rocksdb_writebatch_t *wb = r->batch != NULL ? r->batch : rocksdb_writebatch_create();
    char *text = NULL;
    rocksdb_set_perf_level(rocksdb_disable); /* of this thread: else every comparison of keys is counted */
    rocksdb_writebatch_clear(wb);
    fill_batch(wb, batch);
    rocks_prealloc_before(&r->log, r->path, batch->log.n);
    rocksdb_write(db, r->sync, wb, &text);
    r->batch = batch->log.n <= BATCH_KEPT_BYTES ? wb : NULL;
    if (r->batch == NULL)
        rocksdb_writebatch_destroy(wb);
    return error_of(text, NULL);
}

/* After one failure everything is refused until `reopen`: a later write must not land where an earlier one was lost. */
static enum err rocks_write(struct kv *kv, const struct kv_batch *batch)
{
    struct rocks *r = rocks_of(kv);
    rocksdb_t *db = use(r);
    enum err e = r->refused;
    if (e == ERR_OK && db != NULL) {
        e = write_batch(r, db, batch);
        r->refused = e;
    }
    done(r);
    return e;
}

/* ---- opening, reopening, closing ---- */

/* What was just written stands uncompressed and is merged when much of it has come: that halves the processor time of
 * flushes and compactions, which compete with the writer's own where cores are few. */
static void set_levels(rocksdb_options_t *o)
{
    const int compression[] = {rocksdb_no_compression, rocksdb_lz4_compression}; /* the last one is for all below */
    rocksdb_options_set_compression(o, rocksdb_lz4_compression);
    rocksdb_options_set_compression_per_level(o, compression, sizeof compression / sizeof *compression);
    rocksdb_options_set_level0_file_num_compaction_trigger(o, NEW_TABLES_MAX);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
}

static rocksdb_options_t *make_options(struct rocks *r, const struct kv_rocks_config *c)
{
    rocksdb_options_t *o = rocksdb_options_create();
    r->cache = rocksdb_cache_create_lru(c->cache_mb << 20);
    r->table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(r->table, r->cache);
    rocksdb_block_based_options_set_block_size(r->table, BLOCK_BYTES);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(r->table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(r->table, 1);
    rocksdb_block_based_options_set_whole_key_filtering(r->table, 1);
    rocksdb_block_based_options_set_filter_policy(r->table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    rocksdb_options_set_block_based_table_factory(o, r->table);
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_write_buffer_size(o, (c->write_buffer_mb << 20) / WRITE_BUFFERS);
    rocksdb_options_set_max_write_buffer_number(o, WRITE_BUFFERS);
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.05);
    rocksdb_options_set_memtable_whole_key_filtering(o, 1);
    rocksdb_options_set_allow_concurrent_memtable_write(o, 0); /* there is one writer */
    rocksdb_options_set_max_total_wal_size(o, (uint64_t)c->write_buffer_mb << 20);
    rocksdb_options_set_max_background_jobs(o, BACKGROUND_JOBS);
    rocksdb_options_set_max_open_files(o, OPEN_FILES_MAX);
    set_levels(o);
    rocksdb_options_set_wal_recovery_mode(o, rocksdb_point_in_time_recovery);
    rocksdb_options_set_recycle_log_file_num(o, 0);
    rocksdb_options_set_manual_wal_flush(o, 0);
    rocksdb_options_set_max_log_file_size(o, LOG_BYTES_MAX);
    rocksdb_options_set_keep_log_file_num(o, LOG_FILES);
    rocksdb_options_set_info_log_level(o, 2 /* warnings */);
    return o;
}

static enum err open_db(struct rocks *r, enum open_mode mode, struct buf *why)
{
    char *text = NULL;
    r->db = mode == OPEN_WRITE ? rocksdb_open(r->options, r->path, &text)
                               : rocksdb_open_for_read_only(r->options, r->path, 0, &text);
    return error_of(text, why);
}

/* The least number of a log that is still needed, as far as RocksDB says. */
static uint64_t first_log(const struct rocks *r)
{
    uint64_t number = 0;
    return r->db != NULL && rocksdb_property_int(r->db, "rocksdb.min-log-number-to-keep", &number) == 0 ? number : 0;
}

/* With nothing open. A log that is no longer needed may lie there still, whatever is in it: RocksDB knows which. */
static enum err check_log(struct rocks *r, struct buf *why)
{
    uint64_t first = 0;
    if (rocks_wal_check(r->path, 0, NULL) == ERR_OK)
        return ERR_OK;
    if (open_db(r, OPEN_READ, NULL) == ERR_OK) {
        first = first_log(r);
        rocksdb_close(r->db);
        r->db = NULL;
    }
    return rocks_wal_check(r->path, first, why);
}

static enum err probe_error(int error)
{
    return error == ENOSPC || error == EDQUOT ? ERR_NO_SPACE : error == EROFS ? ERR_READ_ONLY : ERR_IO;
}

/* Whether the directory takes PROBE_BYTES again, asked before the working handle is given up. */
static enum err probe_room(const struct rocks *r)
{
    struct buf name = {0};
    buf_printf(&name, "%s/PROBE", r->path);
    int fd = open(buf_cstr(&name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    enum err e = ERR_OK;
    if (fd < 0) {
        e = probe_error(errno);
    } else {
        int error = posix_fallocate(fd, 0, PROBE_BYTES);
        e = error == 0 ? ERR_OK : probe_error(error);
        close(fd);
        unlink(buf_cstr(&name));
    }
    buf_close(&name);
    return e;
}

/* With all users gone: close, open again; where that fails, at least for reading. */
static void swap_handle(struct rocks *r)
{
    rocks_prealloc_close(&r->log);
    if (r->db != NULL)
        rocksdb_close(r->db);
    r->refused = open_db(r, OPEN_WRITE, NULL);
    if (r->refused != ERR_OK && open_db(r, OPEN_READ, NULL) != ERR_OK)
        r->db = NULL;
}

/* With the lock held. False: somebody still reads. Whoever reads does so within one call, so the longest wait is for a verify
 * of everything; the writer's thread, and with it the end of the process, is not held up as long as that. */
static bool wait_idle(struct rocks *r)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_WAIT_S;
    while (r->users > 0)
        if (pthread_cond_timedwait(&r->idle, &r->lock, &until) != 0)
            break;
    return r->users == 0;
}

static enum err rocks_reopen(struct kv *kv)
{
    struct rocks *r = rocks_of(kv);
    enum err e = probe_room(r);
    if (e == ERR_OK)
        e = rocks_wal_check(r->path, first_log(r), NULL); /* what the log has lost is still in this handle's memory */
    if (e != ERR_OK)
        return e;
    pthread_mutex_lock(&r->lock);
    if (wait_idle(r))
        swap_handle(r);
    e = r->refused;
    pthread_mutex_unlock(&r->lock);
    return e;
}

/* One record behind the last commit, which changes nothing: damage to that commit is then told from one that a crash tore. */
static void end_log(struct rocks *r)
{
    static const char word[] = "closed";
    char *text = NULL;
    rocksdb_writebatch_t *wb = rocksdb_writebatch_create();
    rocksdb_writebatch_put_log_data(wb, word, sizeof word - 1);
    rocksdb_write(r->db, r->sync, wb, &text);
    rocksdb_writebatch_destroy(wb);
    (void)error_of(text, NULL); /* everything is on disk already */
}

static void rocks_close(struct kv *kv)
{
    if (kv == NULL)
        return;
    struct rocks *r = rocks_of(kv);
    assert(r->users == 0);
    if (r->db != NULL && r->refused == ERR_OK)
        end_log(r);
    rocks_prealloc_close(&r->log);
    if (r->db != NULL)
        rocksdb_close(r->db);
    rocksdb_readoptions_destroy(r->read);
    rocksdb_writeoptions_destroy(r->sync);
    if (r->batch != NULL)
        rocksdb_writebatch_destroy(r->batch);
    rocksdb_options_destroy(r->options);
    rocksdb_block_based_options_destroy(r->table);
    rocksdb_cache_destroy(r->cache);
    pthread_cond_destroy(&r->idle);
    pthread_mutex_destroy(&r->lock);
    free(r->path);
    free(r);
}

static const struct kv_ops rocks_ops = {
    .get = rocks_get, .write = rocks_write, .snapshot = rocks_snapshot, .release = rocks_release,
    .iter = rocks_iter, .seek = rocks_seek, .seek_back = rocks_seek_back, .next = rocks_next, .prev = rocks_prev,
    .key = rocks_key, .value = rocks_value, .iter_close = rocks_iter_close,
    .bytes = rocks_bytes, .reopen = rocks_reopen, .close = rocks_close, .fault = rocks_fault,
};

/* Waits are measured by a clock that nobody sets. */
static void init_idle(struct rocks *r)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->idle, &attr);
    pthread_condattr_destroy(&attr);
}

enum err kv_rocks_open(struct kv **out, const struct kv_rocks_config *config, struct buf *why)
{
    struct rocks *r = mem_zalloc(sizeof *r);
    r->kv.ops = &rocks_ops;
    pthread_mutex_init(&r->lock, NULL);
    init_idle(r);
    r->path = mem_strdup(config->path);
    r->log.fd = -1;
    r->options = make_options(r, config);
    r->read = rocksdb_readoptions_create();
    r->sync = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(r->sync, 1);
    r->refused = config->read_only ? ERR_READ_ONLY : ERR_OK;
    enum err e = check_log(r, why);
    if (e == ERR_OK)
        e = open_db(r, config->read_only ? OPEN_READ : OPEN_WRITE, why);
    if (e != ERR_OK) {
        r->db = NULL;
        rocks_close(&r->kv);
        return e;
    }
    *out = &r->kv;
    return ERR_OK;
}
