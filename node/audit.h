/*
 * The set index against the disk: the set is read anew, as at a start, and compared item by item and in its sums with the
 * index that was kept up to date since. Knows neither peers nor clocks.
 */
#ifndef SOUK_NODE_AUDIT_H
#define SOUK_NODE_AUDIT_H

#include "store/store.h"

struct audit {
    const struct setindex *live; /* not owned; must not change while audit_run runs */
    struct setindex *disk;       /* owned: what the store says, after audit_run */
    enum err err;                /* the store cannot be read: the rest says nothing */
    size_t missing, extra;       /* items of the store that the index lacks; the other way round */
    bool sums;                   /* the same items, but other sums */
    char text[96];               /* what differs, in words */
};

struct audit *audit_new(const struct setindex *live);
void audit_free(struct audit *a); /* NULL is fine */
/* Two microseconds an item, and as much memory again as the index while it lasts. Any thread. */
void audit_run(struct audit *a, const struct store *store);
bool audit_differs(const struct audit *a); /* false where the store cannot be read */
/* Until the next one: the period, a fifth more or less. */
uint64_t audit_wait(struct rng *rng, uint64_t period_ms);

#endif
