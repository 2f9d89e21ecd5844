/*
 * Who gives way when too many connected: one of the network (see addr_group) that most of them came from. So nobody can
 * take all places from one network, however many keys and connections it has, and where all come from one it is the
 * newcomer who goes. Pinned peers and own dials never give way. Knows nothing of why they came.
 */
#include "net/engine.h"

#include <assert.h>
#include <string.h>

enum crowd { CROWD_HANDSHAKES, CROWD_SESSIONS };

static bool belongs(const struct link *l, enum crowd crowd)
{
    if (l->outbound || l->ended)
        return false;
    return crowd == CROWD_HANDSHAKES ? l->up_ms == 0 : link_up(l) && !l->peer->pinned;
}

static size_t from_group(const struct net *n, const char *group, enum crowd crowd)
{
    char other[NET_GROUP_TEXT];
    size_t count = 0;
    for (size_t i = 0; i < n->link_count; i++) {
        if (!belongs(n->links[i], crowd))
            continue;
        addr_group(n->links[i]->addr, other);
        count += strcmp(group, other) == 0;
    }
    return count;
}

/* Handshakes: the one that had the most time. Sessions: the lower score, then the later one. */
static bool goes_before(const struct link *a, const struct link *b, enum crowd crowd)
{
    if (crowd == CROWD_HANDSHAKES)
        return a->started_ms < b->started_ms;
    return a->peer->score != b->peer->score ? a->peer->score < b->peer->score : a->up_ms > b->up_ms;
}

/* One of a network with more than `least` of them, of the largest; NULL: there is none. */
static struct link *worst_of(const struct net *n, enum crowd crowd, size_t least)
{
    struct link *worst = NULL;
    char group[NET_GROUP_TEXT];
    for (size_t i = 0; i < n->link_count; i++) {
        struct link *l = n->links[i];
        if (!belongs(l, crowd))
            continue;
        addr_group(l->addr, group);
        size_t count = from_group(n, group, crowd);
        if (count < least || (count == least && (worst == NULL || !goes_before(l, worst, crowd))))
            continue;
        worst = l;
        least = count;
    }
    assert(worst == NULL || belongs(worst, crowd));
    return worst;
}

size_t crowd_size(const struct net *n, const struct link *l)
{
    char group[NET_GROUP_TEXT];
    addr_group(l->addr, group);
    return from_group(n, group, CROWD_SESSIONS);
}

/* PROTOCOL 6.1: Of accepted sessions too many one of the network with the most of them is closed (a network: 2.8), the newcomer only where its own has as many; of handshakes too many likewise. */
bool crowd_admits(struct net *n, struct link *newcomer)
{
    char group[NET_GROUP_TEXT];
    assert(link_up(newcomer) && newcomer->peer != NULL);
    if (newcomer->outbound || newcomer->peer->pinned || links_up(n) <= NET_LINKS_MAX)
        return true;
    addr_group(newcomer->addr, group);
    struct link *worst = worst_of(n, CROWD_SESSIONS, from_group(n, group, CROWD_SESSIONS));
    if (worst == NULL || worst == newcomer)
        return false;
    session_peers(n, worst);
    link_close(n, worst, REASON_FULL, NULL);
    return true;
}

bool crowd_has_room(struct net *n, const char *addr, enum noise_role role)
{
    char group[NET_GROUP_TEXT];
    size_t waiting = 0, from = 0;
    bool full = n->link_count == NET_LINKS_MAX + NET_HALF_OPEN_MAX;
    for (size_t i = 0; i < n->link_count; i++)
        waiting += belongs(n->links[i], CROWD_HANDSHAKES);
    if (!full && (role == NOISE_INITIATOR || waiting < NET_HALF_OPEN_MAX))
        return true;
    if (role == NOISE_RESPONDER) {
        addr_group(addr, group);
        from = from_group(n, group, CROWD_HANDSHAKES) + 1;
    }
    struct link *worst = worst_of(n, CROWD_HANDSHAKES, from);
    if (worst != NULL)
        link_close(n, worst, REASON_FULL, "too many handshakes are under way");
    return worst != NULL && !full; /* what is full has room once the action is drained */
}
