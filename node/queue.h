/*
 * What waits for the next group commit: bundles from peers and clients, and local writes. Owns copies of everything
 * put into it; knows nothing of the mesh or of the store's insides.
 */
#ifndef SOUK_NODE_QUEUE_H
#define SOUK_NODE_QUEUE_H

#include "node/node.h"

/* A bundle that waits. `tag` belongs to the mesh engine, `ctx` to a client that handed it in. */
struct queued_bundle {
    struct queued_bundle *next;
    bool handed_in;
    uint64_t tag;
    void *ctx;
    struct bytes bytes; /* follows this struct in memory */
};

struct queued_write {
    struct queued_write *next;
    size_t bytes;            /* of its name and fields */
    struct node_write write; /* name and change point into the same allocation */
};

struct queued_receipt {
    struct queued_receipt *next;
    struct store_receipt receipt; /* its text follows this struct in memory */
};

struct queue {
    struct queued_bundle *bundles, **bundles_end;
    struct queued_write *writes, **writes_end;
    struct queued_receipt *receipts, **receipts_end;
    uint64_t bundle_bytes, write_count, write_bytes, receipt_count;
};

void queue_init(struct queue *q);
void queue_close(struct queue *q);
bool queue_empty(const struct queue *q);
/* ERR_BUSY: at its bound (NODE_PENDING_BYTES_MAX, NODE_PENDING_WRITES). */
SOUK_MUST_USE enum err queue_bundle(struct queue *q, const struct queued_bundle *b);
/* A copy of a write with everything it points to but its author. Pure: may be made on any thread; freed with free(). */
struct queued_write *queued_write_new(const struct node_write *w);
/* Takes w over unless it returns ERR_BUSY: NODE_PENDING_WRITES or NODE_PENDING_WRITE_BYTES wait already. */
SOUK_MUST_USE enum err queue_write(struct queue *q, struct queued_write *w);

/* ERR_BUSY: NODE_PENDING_RECEIPTS wait already. */
SOUK_MUST_USE enum err queue_receipt(struct queue *q, const struct store_receipt *r);

/* A job and what it was made from. `job` comes first: the node gets it back by address. */
struct batch {
    struct store_job job;
    struct queued_bundle *bundles; /* in the order of job.in     */
    struct queued_write *writes;   /* in the order of job.writes */
    struct queued_receipt *receipts;
    size_t receipt_count;
    uint64_t receipts_keep;
    bool set_founder;
    struct key founder;
    char mesh_name[MODEL_NAME_MAX + 1];
    struct audit *audit;           /* NULL: none. Else there is nothing else in this batch */
};

/* An audit of the index, as a job. */
struct batch *batch_audit(const struct setindex *live);
/* Takes up to max_deltas bundles and max_writes writes out of the queue, and of either no more once NODE_BATCH_BYTES are taken. */
struct batch *batch_take(struct queue *q, size_t max_deltas, size_t max_writes);
/* The batch failed: its receipts go back to the front of the queue. */
void batch_return_receipts(struct batch *b, struct queue *q);
void batch_free(struct batch *b);

#endif
