/*
 * The shape of a mesh with more peers than a full mesh may have: how many links, which of them carry whole deltas and
 * which carry ids only, and who is dialed or let go. A heartbeat mends what GRAFT and PRUNE alone would leave; up to 12
 * known peers nothing here acts. Each direction of a link is judged by itself.
 */
#include "net/calls.h"

#include <assert.h>
#include <string.h>

/* ---- counting ----------------------------------------------------------------------------------------------------------- */

static size_t known_peers(const struct net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->book_count; i++) {
        const struct peer *p = n->book[i];
        bool linked = p->link != NULL && link_up(p->link);
        count += linked || (p->has_key && !p->self && !p->expelled && p->addr[0] != 0 && (p->fails < 3 || p->crowded) && !book_banned(n, p));
    }
    return count;
}

static size_t outbound_up(const struct net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->link_count; i++)
        count += link_up(n->links[i]) && n->links[i]->outbound;
    return count;
}

size_t overlay_eager_in(const struct net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->link_count; i++)
        count += !n->links[i]->in_lazy && link_answers(n, n->links[i]);
    return count;
}

static size_t eager_out(const struct net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->link_count; i++)
        count += link_up(n->links[i]) && !n->links[i]->out_lazy;
    return count;
}

/* ---- GRAFT and PRUNE ---------------------------------------------------------------------------------------------------- */

static void prune(struct net *n, struct link *l, enum wire_prune side, uint64_t ms)
{
    assert(link_up(l) && ms <= NET_PRUNE_MS);
    n->stats.prunes_sent++;
    link_send(n, l, &(struct wire_message){.type = WIRE_PRUNE, .prune = side, .seconds = (uint16_t)((ms + 999) / 1000)});
}

/* PROTOCOL 4.7: A peer that pushes what is here already is sent PRUNE, unless no more than three would go on pushing. */
void overlay_duplicate(struct net *n, struct link *l)
{
    if (!n->wide || l->in_lazy || !link_up(l) || overlay_eager_in(n) <= NET_EAGER_IN)
        return;
    l->in_lazy = true;
    l->in_pruned_ms = n->now_ms + NET_PRUNE_MS;
    prune(n, l, WIRE_PRUNE_YOURS, NET_PRUNE_MS);
}

/* At need a node breaks the back-off that it asked for itself, never one that the other side asked for. */
void overlay_graft(struct net *n, struct link *l)
{
    bool need = overlay_eager_in(n) < NET_EAGER_IN;
    if (!l->in_lazy || !link_up(l) || n->now_ms < l->in_refused_ms || (n->now_ms < l->in_pruned_ms && !need))
        return;
    l->in_lazy = false;
    n->stats.grafts_sent++;
    link_send(n, l, &(struct wire_message){.type = WIRE_GRAFT});
}

/* PROTOCOL 4.8: A GRAFT within its back-off is answered with PRUNE and the time that is left; it costs no score. */
void overlay_got_graft(struct net *n, struct link *l)
{
    assert(link_up(l));
    if (!l->out_lazy)
        return;
    if (n->now_ms < l->out_refused_ms) {
        prune(n, l, WIRE_PRUNE_MINE, l->out_refused_ms - n->now_ms);
    } else if (eager_out(n) >= NET_EAGER_OUT_MAX) {
        l->out_refused_ms = n->now_ms + NET_PRUNE_MS;
        prune(n, l, WIRE_PRUNE_MINE, NET_PRUNE_MS);
    } else {
        l->out_lazy = false;
    }
}

void overlay_got_prune(struct net *n, struct link *l, const struct wire_message *m)
{
    uint64_t ms = (uint64_t)m->seconds * 1000;
    if (m->prune == WIRE_PRUNE_YOURS) {
        l->out_lazy = true;
        return;
    }
    l->in_lazy = true;
    l->in_refused_ms = n->now_ms + (ms < NET_PRUNE_MS ? ms : NET_PRUNE_MS);
    if (n->wide && overlay_eager_in(n) < NET_EAGER_IN)
        n->beat_ms = n->now_ms; /* another one, at once */
}

/* ---- full mesh or not --------------------------------------------------------------------------------------------------- */

static void graft_all(struct net *n)
{
    for (size_t i = 0; i < n->link_count; i++)
        overlay_graft(n, n->links[i]);
}

void overlay_look(struct net *n)
{
    size_t known = known_peers(n);
    if (!n->wide && known > NET_FULL_MESH) {
        n->wide = true;
        n->beat_ms = n->now_ms + net_jitter(n, NET_BEAT_MS);
        n->probe_ms = n->now_ms + net_jitter(n, NET_PROBE_MS);
        net_log(n, 2, "%zu peers are known: from now on an overlay instead of a full mesh", known);
    } else if (n->wide && known <= NET_FULL_MESH_LEAVE) {
        n->wide = false;
        graft_all(n);
        net_log(n, 2, "%zu peers are known: a full mesh again", known);
    }
}

void overlay_up(struct net *n, struct link *l)
{
    overlay_look(n);
    if (!n->wide || eager_out(n) <= NET_EAGER_OUT_MAX)
        return;
    assert(link_up(l) && !l->out_lazy);
    l->out_lazy = true;
    l->out_refused_ms = n->now_ms + NET_PRUNE_MS;
    prune(n, l, WIRE_PRUNE_MINE, NET_PRUNE_MS);
}

/* ---- heartbeat ---------------------------------------------------------------------------------------------------------- */

/* The best of the peers that send ids only: not lately pruned before pruned, dialed before accepted, the higher score. */
static bool graft_before(const struct net *n, const struct link *a, const struct link *b)
{
    bool free_a = n->now_ms >= a->in_pruned_ms, free_b = n->now_ms >= b->in_pruned_ms;
    if (free_a != free_b)
        return free_a;
    if (a->outbound != b->outbound)
        return a->outbound;
    if (a->peer->score != b->peer->score)
        return a->peer->score > b->peer->score;
    return a->id < b->id;
}

static void mend_eager(struct net *n)
{
    for (size_t missing = NET_EAGER_IN; missing > 0 && overlay_eager_in(n) < NET_EAGER_IN; missing--) {
        struct link *best = NULL;
        for (size_t i = 0; i < n->link_count; i++) {
            struct link *l = n->links[i];
            if (link_answers(n, l) && l->in_lazy && n->now_ms >= l->in_refused_ms &&
                (best == NULL || graft_before(n, l, best)))
                best = l;
        }
        if (best == NULL)
            return;
        overlay_graft(n, best);
    }
}

static bool group_is_linked(const struct net *n, const char *addr)
{
    char group[NET_GROUP_TEXT], other[NET_GROUP_TEXT];
    addr_group(addr, group);
    for (size_t i = 0; i < n->link_count; i++) {
        const struct link *l = n->links[i];
        if (l->ended || !l->outbound)
            continue;
        addr_group(l->addr, other);
        if (strcmp(group, other) == 0)
            return true;
    }
    return false;
}

/* One drawn from those that may be dialed; one of a network without a dialed link goes first. */
static struct peer *draw_peer(struct net *n)
{
    struct peer *found[2] = {NULL, NULL};
    uint64_t seen[2] = {0, 0};
    for (size_t i = 0; i < n->book_count; i++) {
        struct peer *p = n->book[i];
        if (p->pinned || !book_may_dial(n, p))
            continue;
        size_t near = group_is_linked(n, p->addr) ? 1 : 0;
        if (rng_below(&n->rng, ++seen[near]) == 0)
            found[near] = p;
    }
    return found[0] != NULL ? found[0] : found[1];
}

/* PROTOCOL 2.7: In an overlay a node dials drawn addresses until it has 6 links, and further while fewer than 2 of them are its own dials. */
static void mend_links(struct net *n)
{
    size_t up = links_up(n) + book_dialing(n), own = outbound_up(n) + book_dialing(n);
    struct peer *p;
    for (size_t most = up < NET_DEGREE_LOW ? NET_DEGREE : 1; most > 0; most--) {
        if ((up >= NET_DEGREE && own >= NET_OUTBOUND_MIN) || (p = draw_peer(n)) == NULL)
            return;
        book_dial(n, p);
        up++;
        own++;
    }
}

/* PROTOCOL 4.11: About every minute it dials one more that it has no session with, and closes that link again after 30 s where it has more than 6. */
static void probe(struct net *n)
{
    struct peer *p = n->now_ms >= n->probe_ms && links_up(n) >= NET_DEGREE ? draw_peer(n) : NULL;
    if (p == NULL)
        return;
    n->probe_ms = n->now_ms + net_jitter(n, NET_PROBE_MS);
    book_dial(n, p);
    p->probed = true;
}

static void end_probes(struct net *n)
{
    for (size_t i = 0; i < n->link_count && links_up(n) > NET_DEGREE; i++) {
        struct link *l = n->links[i];
        assert(!l->probe || l->outbound);
        if (l->probe && link_up(l) && !l->peer->pinned && !calls_under_way(n, l) && n->now_ms >= calls_own_ms(l) + NET_SETTLED_MS)
            link_close(n, l, REASON_BYE, NULL);
    }
}

static bool closes_before(const struct net *n, const struct link *a, const struct link *b)
{
    bool a_idle = n->now_ms >= calls_last_ms(a) + NET_SETTLED_MS, b_idle = n->now_ms >= calls_last_ms(b) + NET_SETTLED_MS;
    if (a->peer->score != b->peer->score)
        return a->peer->score < b->peer->score;
    if (a_idle != b_idle)
        return a_idle;
    return a->up_ms != b->up_ms ? a->up_ms < b->up_ms : a->id < b->id;
}

/* One accepted link too many is closed: room for newcomers. Neither pinned ones nor own dials ever are, nor one that
 * a question waits on; but having asked a moment ago only puts a link behind others, or whoever asks now and then would stay. */
static void shed(struct net *n)
{
    struct link *worst = NULL;
    size_t most = 0;
    if (links_up(n) <= NET_DEGREE_HIGH)
        return;
    for (size_t i = 0; i < n->link_count; i++) {
        struct link *l = n->links[i];
        if (!link_up(l) || l->outbound || l->peer->pinned || calls_under_way(n, l) || n->now_ms < l->up_ms + NET_SETTLED_MS)
            continue;
        size_t crowd = crowd_size(n, l);
        if (crowd < most || (crowd == most && !closes_before(n, l, worst)))
            continue;
        worst = l;
        most = crowd;
    }
    if (worst == NULL)
        return;
    assert(!worst->outbound && !worst->peer->pinned);
    session_peers(n, worst);
    link_close(n, worst, REASON_FULL, NULL);
}

uint64_t overlay_deadline(const struct net *n)
{
    return n->wide ? n->beat_ms : UINT64_MAX;
}

void overlay_tick(struct net *n)
{
    if (!n->wide || n->now_ms < n->beat_ms)
        return;
    n->beat_ms = n->now_ms + net_jitter(n, NET_BEAT_MS);
    overlay_look(n);
    if (!n->wide)
        return;
    mend_eager(n);
    mend_links(n);
    probe(n);
    end_probes(n);
    shed(n);
}
