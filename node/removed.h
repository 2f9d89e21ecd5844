/*
 * Peers whose key was removed from the mesh: tells the mesh engine whom to let go of, and whom to take in again. Keeps
 * nothing; what the engine already knows is not said twice.
 */
#ifndef SOUK_NODE_REMOVED_H
#define SOUK_NODE_REMOVED_H

#include "net/net.h"
#include "store/store.h"

struct removed_at {
    uint64_t now_ms, clock_ms;
};
/* Compares every peer of the engine with what the store says of its key (see MODEL 6). */
void removed_check(struct net *net, const struct store *store, const struct removed_at *at);

#endif
