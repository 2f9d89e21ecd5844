/*
 * Who waits for a sandbox, served in turn: the next call is taken from the caller who was served longest ago, its oldest
 * first, so that one caller with many calls delays another by at most one of its own. Bounded; knows only numbers.
 */
#ifndef SOUK_SANDBOX_QUEUE_H
#define SOUK_SANDBOX_QUEUE_H

#include "crdt/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAIR_QUEUE_MAX 4096

struct fair_entry {
    uint64_t caller, id;
};

struct fair_turn {
    uint64_t caller;
    size_t waiting;
};

struct fair_queue {
    struct fair_entry *entries; /* in the order of arrival                              */
    struct fair_turn *turns;    /* callers that wait, the next to be served first       */
    size_t count, callers, max;
};

void fair_queue_init(struct fair_queue *q, size_t max); /* 1 <= max <= FAIR_QUEUE_MAX */
void fair_queue_close(struct fair_queue *q);
/* ERR_BUSY: the queue is full, or this caller has half of it (rounded up) already. */
SOUK_MUST_USE enum err fair_queue_push(struct fair_queue *q, uint64_t caller, uint64_t id);
bool fair_queue_pop(struct fair_queue *q, uint64_t *id);
bool fair_queue_remove(struct fair_queue *q, uint64_t id);

#endif
