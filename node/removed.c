/*
 * The one question that the mesh engine cannot ask the store itself: was this peer's key removed?
 */
#include "node/removed.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>

#define REMOVED_PEERS_MAX 128 /* rows of the engine's address book */

void removed_check(struct net *net, const struct store *store, const struct removed_at *at)
{
    struct net_peer_info *peers = mem_calloc(REMOVED_PEERS_MAX, sizeof *peers);
    size_t count = net_peers(net, peers, REMOVED_PEERS_MAX);
    const struct key nobody = {{0}};
    assert(store != NULL);
    for (size_t i = 0; i < count && i < REMOVED_PEERS_MAX; i++) {
        struct standing s;
        if (key_eq(&peers[i].id, &nobody) || store_standing(store, &peers[i].id, &s) != ERR_OK || s.removed == peers[i].expelled)
            continue;
        struct net_event event = {
            .kind = s.removed ? NET_PEER_EXPEL : NET_PEER_READMIT, .peer = peers[i].id, .clock_ms = at->clock_ms};
        net_input(net, &event, at->now_ms);
    }
    free(peers);
}
