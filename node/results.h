/*
 * What became of local writes and of bundles that were handed in, in the order of their commits, until their callers are told.
 * Owns the rows that wait, at most one for each write and bundle of the queue. Knows nothing of the callers but their `ctx`.
 */
#ifndef SOUK_NODE_RESULTS_H
#define SOUK_NODE_RESULTS_H

#include "node/node.h"
#include "node/queue.h"

struct result_row;

struct results {
    struct result_row *first, **end;
};

void results_init(struct results *r);
void results_close(struct results *r);
/* A row for each local write of the batch and then for each bundle that was handed in. failure: of the whole commit; ERR_OK:
 * each has its own. */
void results_add(struct results *r, const struct batch *b, enum err failure);
bool results_next(struct results *r, struct node_result *out); /* false: none waits */

#endif
