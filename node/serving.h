/*
 * Who serves what: read from the entries of kind 4 that nodes write about themselves, kept until one of them changes.
 */
#ifndef SOUK_NODE_SERVING_H
#define SOUK_NODE_SERVING_H

#include "store/store.h"

#define SERVING_MAX 65536 /* rows kept: nodes times what each serves */

struct serving {
    bool read;
    uint64_t seq;            /* of the change log when it was read */
    size_t count, cap;
    struct serving_row {
        struct id entry;
        struct key node;
    } *rows;                 /* by entry, then node */
};
void serving_close(struct serving *s);
/* Reads the nodes' entries again if anything changed since. */
void serving_refresh(struct serving *s, const struct store *store);
/* The nodes that say they serve an entry: at most max go to out; returns how many there are. */
size_t serving_find(const struct serving *s, const struct id *entry, struct key *out, size_t max);

#endif
