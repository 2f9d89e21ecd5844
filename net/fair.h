/*
 * Ids that wait to be pulled, in lanes by author: whoever floods waits behind himself and takes from the others no more than
 * a turn. Knows neither peers nor deltas.
 */
#ifndef SOUK_NET_FAIR_H
#define SOUK_NET_FAIR_H

#include "net/wants.h"

#define FAIR_LANES    64   /* an author has one; several may share it   */
#define FAIR_LANE_MAX 1024 /* ids of one lane; what is over is left out */

/* Zero-initialise. */
struct fair {
    struct idqueue *lane; /* FAIR_LANES, from the first push on */
    size_t count, turn;
};

size_t fair_count(const struct fair *f);
/* `author`: any number that hangs on the author alone. False: the lane is full. */
bool fair_push(struct fair *f, uint64_t author, const struct id *id);
bool fair_pop(struct fair *f, struct id *out); /* the oldest of the next lane in turn */
void fair_close(struct fair *f);

#endif
