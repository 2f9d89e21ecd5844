/*
 * The marks that hostile hosts leave on honest ones: for each kind one number that an honest node can count, and how much of it
 * there must be before the kind counts as having attacked. A kind that does nothing would prove nothing; the same world
 * without it shows that the mark is its own.
 */
#include "tests/sim/sim.h"

#include <stddef.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)

/* ---- counting ------------------------------------------------------------------------------------------------------- */

/* What an engine counted in one life. */
void sim_mark_life(struct sim_world *w, const struct sim_host *h)
{
    struct sim_tally *t = &w->tally;
    struct net_stats n;
    net_stats(node_net(h->node), &n);
    t->refused += n.refused - n.unseen_foreign;
    t->foreign += n.unseen_foreign;
    t->ahead += n.unseen_ahead;
    t->duplicates += n.duplicates;
    t->gone += n.scored[NET_SCORED_GONE];
    t->protocol += n.scored[NET_SCORED_PROTOCOL];
    t->handshakes += n.handshakes_failed;
    t->work += n.sync_work;
    t->wants += n.talk.received[NET_SAID_IWANT];
    t->refusals += n.talk.received[NET_SAID_IDONTWANT];
    t->shaping += n.talk.received[NET_SAID_GRAFT] + n.talk.received[NET_SAID_PRUNE];
}

/* What can be seen of one peer while it lasts. */
void sim_mark_peer(struct sim_world *w, const struct net_peer_info *p)
{
    struct sim_tally *t = &w->tally;
    t->false_rows += strncmp(p->address, SIM_NOWHERE, strlen(SIM_NOWHERE)) == 0;
    t->false_clocks += p->skew_ms > HOUR_MS || p->skew_ms < -HOUR_MS;
    t->queued = p->queued_bytes > t->queued ? p->queued_bytes : t->queued;
}

/* Hostile deltas that an honest store holds in the end, admitted or aside; and those of them that have a twin. */
void sim_mark_end(struct sim_world *w)
{
    struct sim_tally *t = &w->tally;
    struct buf b = {0};
    for (size_t i = 0; i < w->honest_count; i++)
        if (w->hosts[i].up) {
            struct store_stats s;
            store_stats(w->hosts[i].store, &s);
            t->missing += s.missing_bodies;
            sim_mark_life(w, &w->hosts[i]);
        }
    for (size_t i = 0; i < w->delta_count && w->hosts[0].up; i++) {
        buf_reset(&b);
        if (!w->deltas[i].hostile || store_bundle(w->hosts[0].store, &w->deltas[i].item.id, &b) != ERR_OK)
            continue;
        t->held++;
        for (size_t k = 0; k < i; k++)
            t->twins += w->deltas[k].hostile && w->deltas[k].host == w->deltas[i].host && w->deltas[k].item.time == w->deltas[i].item.time;
    }
    buf_close(&b);
}

/* ---- judging -------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *what;
    size_t at;     /* in struct sim_tally */
    uint64_t need; /* above what honest nodes alone leave, below what the attack leaves; both many times */
} marks[VILLAIN_KINDS] = {
#define MARK(field, need, text) {text, offsetof(struct sim_tally, field), need}
    [VILLAIN_FORGER] = MARK(refused, 5, "deltas refused by a store"),
    [VILLAIN_FOREIGN] = MARK(foreign, 5, "deltas of another mesh"),
    [VILLAIN_EQUIVOCATOR] = MARK(twins, 5, "two deltas of one time by one key"),
    [VILLAIN_WITHHOLDER] = MARK(missing, 5, "bodies that are missing in the end"),
    [VILLAIN_FLOOD_DELTAS] = MARK(duplicates, 30000, "deltas that were held already"),
    [VILLAIN_FLOOD_CONNS] = MARK(handshakes, 40, "handshakes that failed"),
    [VILLAIN_FLOOD_IDS] = MARK(gone, 100, "ids that were offered and not sent"),
    [VILLAIN_FLOOD_WANTS] = MARK(wants, 200, "messages that ask for deltas"),
    [VILLAIN_FLOOD_CONTROL] = MARK(shaping, 50, "messages that ask for whole deltas or for ids"),
    [VILLAIN_SLOW_LORIS] = MARK(handshakes, 40, "handshakes that failed"),
    [VILLAIN_ECLIPSE] = MARK(false_rows, 100, "rows of an address book that lead nowhere, each second"),
    [VILLAIN_SIZE_LIAR] = MARK(work, 150000, "work of reconciliation"),
    [VILLAIN_BLACK_HOLE] = MARK(refusals, 280, "messages that refuse deltas"),
    [VILLAIN_CLOCK_LIAR] = MARK(false_clocks, 50, "clocks that are an hour off, each second"),
    [VILLAIN_GARBAGE] = MARK(protocol, 10, "sessions closed for what was sent"),
    [VILLAIN_REVOKED] = MARK(held, 5, "its deltas that are held"),
    [VILLAIN_REMOVED] = MARK(held, 5, "its deltas that are held"),
    [VILLAIN_WEDGED] = MARK(queued, 100000, "bytes queued to one peer"),
#undef MARK
};

const char *sim_mark_text(enum villain_kind kind)
{
    return marks[kind].what;
}

uint64_t sim_mark_need(enum villain_kind kind)
{
    return marks[kind].need;
}

uint64_t sim_mark_of(const struct sim_tally *t, enum villain_kind kind)
{
    uint64_t v;
    memcpy(&v, (const char *)t + marks[kind].at, sizeof v);
    return v;
}
