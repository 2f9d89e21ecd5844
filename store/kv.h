/*
 * An ordered key-value store with atomic, durable batches: the one thing that a back end (mem.c, rocks.c) gives.
 * RocksDB: reads may come from any thread while one thread writes. Memory: everything from one thread. Keys and
 * values are byte strings; keys compare bytewise. Sizes: keys up to 512 bytes, values up to 2 MiB.
 */
#ifndef SOUK_STORE_KV_H
#define SOUK_STORE_KV_H

#include "crdt/bytes.h"
#include "crdt/err.h"

struct kv;
struct kv_snapshot; /* a consistent view; NULL stands for "now" wherever one is taken */
struct kv_iter;

#define KV_KEY_MAX   512
#define KV_VALUE_MAX (2u << 20)

/* A batch is a log of puts and deletes, later ones win. Zero-initialise; kv_batch_close frees. */
struct kv_batch {
    struct buf log; /* u8 op, u32 key length, u32 value length, key, value; big endian */
    size_t count;
};
void kv_batch_put(struct kv_batch *b, struct bytes key, struct bytes value);
void kv_batch_delete(struct kv_batch *b, struct bytes key);
void kv_batch_reset(struct kv_batch *b);
void kv_batch_close(struct kv_batch *b);
/* Steps through a batch: *at starts at 0; false at the end. value.p == NULL for a delete. */
bool kv_batch_next(const struct kv_batch *b, size_t *at, struct bytes *key, struct bytes *value);

struct kv_ops {
    /* Appends the value to out. ERR_NOT_FOUND | ERR_IO | ERR_CORRUPT. */
    enum err (*get)(struct kv *, const struct kv_snapshot *, struct bytes key, struct buf *out);
    /* Applies the batch atomically and returns once it is on disk (one fsync). ERR_IO | ERR_NO_SPACE | ERR_READ_ONLY:
     * nothing of it is visible. After an fsync that failed nobody can know what reached the disk: the batch may
     * then be there, whole, after `reopen`. */
    enum err (*write)(struct kv *, const struct kv_batch *);
    struct kv_snapshot *(*snapshot)(struct kv *);
    void (*release)(struct kv *, struct kv_snapshot *);
    /* An iterator over keys that start with prefix, positioned before the first. */
    struct kv_iter *(*iter)(struct kv *, const struct kv_snapshot *, struct bytes prefix);
    /* Positions at the first key >= key (seek) or the last key <= key (seek_back) within the prefix; false: none. */
    bool (*seek)(struct kv_iter *, struct bytes key);
    bool (*seek_back)(struct kv_iter *, struct bytes key);
    bool (*next)(struct kv_iter *);
    bool (*prev)(struct kv_iter *);
    struct bytes (*key)(const struct kv_iter *);   /* borrowed until the iterator moves */
    struct bytes (*value)(const struct kv_iter *);
    enum err (*iter_close)(struct kv_iter *);      /* the first read error met, ERR_OK otherwise */
    uint64_t (*bytes)(struct kv *);                /* approximate bytes on disk or in memory */
    /* After a write failed: tries to become writable again. ERR_OK, or why not; reads go on either way (they may
     * wait for the moment of it). Waits for open iterators and snapshots: the caller holds none. */
    enum err (*reopen)(struct kv *);
    void (*close)(struct kv *);
    /* Appends what is known of the last read that gave ERR_CORRUPT or ERR_IO, such as file and place; nothing if none did.
     * NULL: there is never anything. Any thread. */
    void (*fault)(struct kv *, struct buf *why);
};
struct kv {
    const struct kv_ops *ops;
};

/* In memory (simulation, tests). Durable as long as the object lives. */
struct kv *kv_mem_new(void);

/* RocksDB in directory `path`, created if missing. Sizes in MiB. ERR_IO and so on; `why` gets RocksDB's own words.
 * ERR_CORRUPT also where its log was damaged after it had been synced, which RocksDB itself takes for a crash. */
struct kv_rocks_config {
    const char *path;
    size_t cache_mb;
    size_t write_buffer_mb; /* of all write buffers together */
    bool read_only; /* for verify and export while no node runs */
};
SOUK_MUST_USE enum err kv_rocks_open(struct kv **out, const struct kv_rocks_config *config, struct buf *why);

#endif
