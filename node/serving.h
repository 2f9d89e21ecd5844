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
        struct id record;    /* the node's own entry */
    } *rows;                 /* by entry, then node, then record */
};
void serving_close(struct serving *s);
/* Reads the nodes' entries again if anything changed since. */
void serving_refresh(struct serving *s, const struct store *store);
/* The nodes that say they serve an entry: at most max go to out; returns how many there are. */
size_t serving_find(const struct serving *s, const struct id *entry, struct key *out, size_t max);
bool serving_has(const struct serving *s, const struct id *entry, const struct key *node);
/* Where such a node says that it is found: HOST:PORT; "" : it does not say. Reads its entry. */
#define SERVING_ADDR_MAX 256 /* with the NUL */
void serving_address(const struct serving *s, const struct store *store, const struct id *entry, const struct key *node,
                     char out[SERVING_ADDR_MAX]);

/* A node that may be asked, as this node sees it. */
struct serving_place {
    struct key node;
    uint64_t away_ms;        /* the smoothed round trip                    */
    uint64_t load;           /* calls under way there, as far as is known  */
};
/* Which of them is asked: the one with the shortest round trip, counted once more for each call that is under way there;
 * of those alike the draw'th, counting round. `count` where there are none. */
size_t serving_choose(const struct serving_place *places, size_t count, uint64_t draw);

#endif
