/*
 * The queue in front of the writer, and the batches taken from it. Everything is copied on the way in, since events
 * are borrowed for the call only.
 */
#include "node/queue.h"

#include "crdt/alloc.h"
#include "node/audit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void queue_init(struct queue *q)
{
    *q = (struct queue){0};
    q->bundles_end = &q->bundles;
    q->writes_end = &q->writes;
    q->receipts_end = &q->receipts;
}

static void receipts_free(struct queued_receipt *r)
{
    while (r != NULL) {
        struct queued_receipt *next = r->next;
        free(r);
        r = next;
    }
}

static void bundles_free(struct queued_bundle *b)
{
    while (b != NULL) {
        struct queued_bundle *next = b->next;
        free(b);
        b = next;
    }
}

static void writes_free(struct queued_write *w)
{
    while (w != NULL) {
        struct queued_write *next = w->next;
        free(w);
        w = next;
    }
}

void queue_close(struct queue *q)
{
    bundles_free(q->bundles);
    writes_free(q->writes);
    receipts_free(q->receipts);
    queue_init(q);
}

bool queue_empty(const struct queue *q)
{
    return q->bundles == NULL && q->writes == NULL && q->receipts == NULL;
}

enum err queue_bundle(struct queue *q, const struct queued_bundle *b)
{
    assert(b->bytes.n <= BUNDLE_MAX);
    if (q->bundle_bytes + b->bytes.n > NODE_PENDING_BYTES_MAX)
        return ERR_BUSY;
    struct queued_bundle *copy = mem_alloc(sizeof *copy + b->bytes.n);
    *copy = *b;
    copy->next = NULL;
    copy->bytes.p = (uint8_t *)(copy + 1);
    memcpy(copy + 1, b->bytes.p, b->bytes.n);
    q->bundle_bytes += b->bytes.n;
    *q->bundles_end = copy;
    q->bundles_end = &copy->next;
    return ERR_OK;
}

/* Moves x behind *at and returns its new place. */
static struct bytes keep(uint8_t **at, struct bytes x)
{
    struct bytes kept = {*at, x.n};
    if (x.n > 0)
        memcpy(*at, x.p, x.n);
    *at += x.n;
    return kept;
}

struct queued_write *queued_write_new(const struct node_write *w)
{
    size_t fields = w->change.field_count;
    size_t text = w->name.n;
    for (size_t i = 0; i < fields; i++)
        text += w->change.fields[i].name.n + w->change.fields[i].value.n;
    struct queued_write *copy = mem_alloc(sizeof *copy + fields * sizeof(struct field) + text);
    struct field *field = (struct field *)(copy + 1);
    uint8_t *at = (uint8_t *)(field + fields);
    *copy = (struct queued_write){.write = *w, .bytes = text};
    copy->write.name = keep(&at, w->name);
    for (size_t i = 0; i < fields; i++)
        field[i] = (struct field){.name = keep(&at, w->change.fields[i].name),
                                  .value = keep(&at, w->change.fields[i].value)};
    copy->write.change.fields = field;
    return copy;
}

enum err queue_write(struct queue *q, struct queued_write *w)
{
    assert(w->next == NULL);
    if (q->write_count >= NODE_PENDING_WRITES || q->write_bytes >= NODE_PENDING_WRITE_BYTES)
        return ERR_BUSY;
    q->write_count++;
    q->write_bytes += w->bytes;
    *q->writes_end = w;
    q->writes_end = &w->next;
    return ERR_OK;
}

static void take_bundles(struct queue *q, struct batch *b, size_t max)
{
    struct queued_bundle **end = &b->bundles;
    size_t bytes = 0;
    while (q->bundles != NULL && b->job.in_count < max && bytes <= NODE_BATCH_BYTES) {
        struct queued_bundle *x = q->bundles;
        q->bundles = x->next;
        x->next = NULL;
        *end = x;
        end = &x->next;
        bytes += x->bytes.n;
        b->job.in_count++;
    }
    if (q->bundles == NULL)
        q->bundles_end = &q->bundles;
    q->bundle_bytes -= bytes;
}

static void take_writes(struct queue *q, struct batch *b, size_t max)
{
    struct queued_write **end = &b->writes;
    size_t bytes = 0;
    while (q->writes != NULL && b->job.write_count < max && bytes <= NODE_BATCH_BYTES) {
        struct queued_write *x = q->writes;
        q->writes = x->next;
        x->next = NULL;
        *end = x;
        end = &x->next;
        bytes += x->bytes;
        b->job.write_count++;
    }
    if (q->writes == NULL)
        q->writes_end = &q->writes;
    assert(bytes <= q->write_bytes && b->job.write_count <= q->write_count);
    q->write_count -= b->job.write_count;
    q->write_bytes -= bytes;
}

enum err queue_receipt(struct queue *q, const struct store_receipt *r)
{
    if (q->receipt_count >= NODE_PENDING_RECEIPTS)
        return ERR_BUSY;
    struct queued_receipt *copy = mem_alloc(sizeof *copy + r->json.n);
    *copy = (struct queued_receipt){.receipt = *r};
    copy->receipt.json.p = (uint8_t *)(copy + 1);
    memcpy(copy + 1, r->json.p, r->json.n);
    q->receipt_count++;
    *q->receipts_end = copy;
    q->receipts_end = &copy->next;
    return ERR_OK;
}

static void take_receipts(struct queue *q, struct batch *b)
{
    struct queued_receipt **end = &b->receipts;
    while (q->receipts != NULL && b->receipt_count < NODE_BATCH_RECEIPTS) {
        struct queued_receipt *x = q->receipts;
        q->receipts = x->next;
        x->next = NULL;
        *end = x;
        end = &x->next;
        b->receipt_count++;
    }
    if (q->receipts == NULL)
        q->receipts_end = &q->receipts;
    q->receipt_count -= b->receipt_count;
}

void batch_return_receipts(struct batch *b, struct queue *q)
{
    struct queued_receipt *last = b->receipts;
    if (last == NULL)
        return;
    while (last->next != NULL)
        last = last->next;
    if (q->receipts == NULL)
        q->receipts_end = &last->next;
    last->next = q->receipts;
    q->receipts = b->receipts;
    q->receipt_count += b->receipt_count;
    b->receipts = NULL;
    b->receipt_count = 0;
}

static void fill_job(struct batch *b)
{
    b->job.in = mem_calloc(b->job.in_count, sizeof *b->job.in);
    b->job.writes = mem_calloc(b->job.write_count, sizeof *b->job.writes);
    size_t i = 0;
    for (struct queued_bundle *x = b->bundles; x != NULL; x = x->next, i++)
        b->job.in[i] = (struct store_in){.bundle = x->bytes, .tag = x->tag};
    assert(i == b->job.in_count);
    i = 0;
    for (struct queued_write *x = b->writes; x != NULL; x = x->next, i++)
        b->job.writes[i] = (struct store_write){
            .action = x->write.action, .guard = x->write.guard, .revision = x->write.revision,
            .kind = x->write.kind, .owner = x->write.owner, .name = x->write.name,
            .author = x->write.author, .change = x->write.change, .writer = x->write.writer};
    assert(i == b->job.write_count);
}

struct batch *batch_take(struct queue *q, size_t max_deltas, size_t max_writes)
{
    struct batch *b = mem_zalloc(sizeof *b);
    take_bundles(q, b, max_deltas);
    take_writes(q, b, max_writes);
    take_receipts(q, b);
    fill_job(b);
    return b;
}

struct batch *batch_audit(const struct setindex *live)
{
    struct batch *b = mem_zalloc(sizeof *b);
    b->audit = audit_new(live);
    return b;
}

void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    audit_free(b->audit);
    free(b->job.in);
    free(b->job.writes);
    store_job_close(&b->job);
    bundles_free(b->bundles);
    writes_free(b->writes);
    receipts_free(b->receipts);
    free(b);
}
