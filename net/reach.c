/*
 * Sessions made because something is to be asked of a node that this one has none with: in an overlay most nodes are not
 * linked. A wish waits for the session, for a bounded time; the link counts as a probe (see PROTOCOL 4.11), so the overlay
 * lets go of it again. Knows nothing of what is asked.
 */
#include "net/calls.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- links that were made so ------------------------------------------------------------------------------------------ */

static bool is_made(const struct peer *p)
{
    return p->reached && (p->dial != 0 || (p->link != NULL && p->link->probe));
}

static size_t made(const struct net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->book_count; i++)
        count += is_made(n->book[i]);
    return count;
}

/* PROTOCOL 4.12: At most 8 links are made so; for one more the one that has been idle for longest is closed, and where none is idle there is no other. */
static bool make_room(struct net *n)
{
    struct link *idle = NULL;
    if (made(n) < NET_REACH_LINKS)
        return true;
    for (size_t i = 0; i < n->link_count; i++) {
        struct link *l = n->links[i];
        if (l->ended || !link_up(l) || !is_made(l->peer) || l->peer->pinned || calls_under_way(n, l))
            continue;
        if (idle == NULL || calls_own_ms(l) < calls_own_ms(idle))
            idle = l;
    }
    if (idle == NULL)
        return false;
    assert(idle->outbound && idle->probe);
    link_close(n, idle, REASON_BYE, NULL);
    return true;
}

/* ---- the row that is dialed ------------------------------------------------------------------------------------------- */

/* What a node says of itself may name any address: a loopback one counts only where this node is on one itself. */
static bool may_use(const struct net *n, const char *addr)
{
    enum addr_kind kind = addr != NULL ? addr_classify(addr) : ADDR_BAD;
    return kind == ADDR_PLAIN || (kind == ADDR_LOOPBACK && addr_classify(n->config.advertise) == ADDR_LOOPBACK);
}

static struct peer *row_of(struct net *n, const struct net_event *e)
{
    struct peer *p = book_by_key(n, &e->peer);
    bool usable = may_use(n, e->addr);
    if (p == NULL && usable && (p = book_add(n)) != NULL) {
        p->has_key = p->key_required = true;
        p->key = e->peer;
    }
    bool better = p != NULL && p->link == NULL && p->dial == 0 && !p->pinned && (p->addr[0] == 0 || p->fails > 0);
    if (better && usable)
        (void)snprintf(p->addr, sizeof p->addr, "%s", e->addr);
    return p;
}

/* A dial for a wish heeds no back-off but a second of its own: it is one dial, and somebody waits. */
static bool begin(struct net *n, struct peer *p)
{
    if (p->dial != 0 || p->link != NULL)
        return true;
    if (p->addr[0] == 0 || p->self || p->expelled || book_banned(n, p) ||
        (p->reached_ms != 0 && n->now_ms < p->reached_ms + NET_REACH_AGAIN_MS) || !make_room(n))
        return false;
    book_dial(n, p);
    p->probed = p->reached = true;
    p->reached_ms = n->now_ms > 0 ? n->now_ms : 1;
    return true;
}

/* ---- wishes ----------------------------------------------------------------------------------------------------------- */

static void unreached(struct net *n, uint64_t call)
{
    net_act(n, &(struct net_action){.kind = NET_CALL_LOST, .call = call, .unsent = true});
}

void reach_input(struct net *n, const struct net_event *e)
{
    struct peer *p = n->reach_count < NET_REACHES_MAX && !key_eq(&e->peer, &n->self.key) ? row_of(n, e) : NULL;
    if (p == NULL || !begin(n, p)) {
        unreached(n, e->call);
        return;
    }
    n->reaches[n->reach_count++] =
        (struct reach){.call = e->call, .peer = e->peer, .until_ms = n->now_ms + NET_REACH_MS};
}

static void forget(struct net *n, size_t i)
{
    assert(i < n->reach_count);
    n->reach_count--;
    memmove(&n->reaches[i], &n->reaches[i + 1], (n->reach_count - i) * sizeof n->reaches[0]);
}

bool reach_drop(struct net *n, uint64_t call)
{
    for (size_t i = 0; i < n->reach_count; i++)
        if (n->reaches[i].call == call) {
            forget(n, i);
            return true;
        }
    return false;
}

void reach_look(struct net *n)
{
    for (size_t i = 0; i < n->reach_count;) {
        struct reach r = n->reaches[i];
        const struct peer *p = book_by_key(n, &r.peer);
        bool up = p != NULL && p->link != NULL && !p->link->ended && link_up(p->link);
        bool over = p == NULL || (p->dial == 0 && p->link == NULL) || n->now_ms >= r.until_ms;
        if (!up && !over) {
            i++;
            continue;
        }
        forget(n, i);
        if (up)
            net_act(n, &(struct net_action){.kind = NET_REACHED, .call = r.call, .peer = r.peer});
        else
            unreached(n, r.call);
    }
}

uint64_t reach_deadline(const struct net *n)
{
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < n->reach_count; i++)
        at = n->reaches[i].until_ms < at ? n->reaches[i].until_ms : at;
    return at;
}
