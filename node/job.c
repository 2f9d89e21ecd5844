/*
 * The work of one job, on the writer's thread: what the store is told, in order. Needs nothing of the node.
 */
#include "node/node.h"

#include "node/audit.h"
#include "node/queue.h"

#include <assert.h>

/* Before the writes, so that a failure leaves none of them behind. */
static enum err keep_receipts(struct store *store, const struct batch *b)
{
    struct store_receipt list[NODE_BATCH_RECEIPTS];
    size_t count = 0;
    assert(b->receipt_count <= NODE_BATCH_RECEIPTS);
    for (const struct queued_receipt *r = b->receipts; r != NULL; r = r->next)
        list[count++] = r->receipt;
    return count > 0 ? store_receipts_put(store, list, count, b->receipts_keep) : ERR_OK;
}

enum err node_job_run(struct store *store, struct store_job *job)
{
    struct batch *b = (struct batch *)job;
    if (b->audit != NULL) { /* a set that cannot be read is no write that failed */
        audit_run(b->audit, store);
        return ERR_OK;
    }
    if (b->set_founder) {
        enum err e = store_set_founder(store, &b->founder, bytes_str(b->mesh_name));
        if (e != ERR_OK)
            return e;
    }
    enum err e = keep_receipts(store, b);
    return e == ERR_OK ? store_apply(store, job) : e;
}
