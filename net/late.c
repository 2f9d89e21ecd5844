/*
 * Ids that were offered by peers that send ids only, while the delta itself is on its way from somebody else. One that
 * does not come within 100 ms is asked of the first who offered it, whose link carries whole deltas again from then on;
 * if that one does not answer either, of another. Rows are those of wants.c; here are only the times.
 */
#include "net/engine.h"

#include "crdt/hlc.h"

#include <assert.h>
#include <string.h>

static size_t waiting(const struct net *n)
{
    assert((n->late.n + n->again.n) % sizeof(struct late) == 0);
    return (n->late.n + n->again.n) / sizeof(struct late);
}

static void wait_for(struct buf *queue, const struct late *late)
{
    assert(queue->n % sizeof *late == 0);
    buf_put(queue, late, sizeof *late);
}

/* It is asked of `l` now; if that does not help, of another. */
static bool ask(struct net *n, struct want *w, struct link *l, unsigned tries)
{
    assert(link_up(l) && w->state != WANT_STORING);
    struct late next = {.id = w->id, .due_ms = n->now_ms + NET_LATE_AGAIN_MS, .tries = tries};
    uint64_t old = w->link;
    if (!fetch_queue(n, w, l))
        return false;
    if (old != 0)
        want_add_holder(w, old);
    if (tries < NET_LATE_TRIES)
        wait_for(&n->again, &next);
    fetch_pump(n, l);
    return true;
}

bool late_offered(struct net *n, struct link *l, const struct item *item)
{
    struct want *w = wants_find(&n->wants, &item->id);
    bool fresh = hlc_ms(item->time) + NET_LATE_FRESH_MS > net_clock(n), late = w != NULL && w->state == WANT_LATE;
    if (late)
        want_add_holder(w, l->id);
    if (late && l->in_lazy)
        return true;
    if (!n->wide || !fresh || (w != NULL && !late) || waiting(n) >= NET_LATE_MAX || n->intake == NET_INTAKE_STOPPED)
        return false;
    if (w == NULL && (w = wants_add(&n->wants, &item->id)) == NULL)
        return false;
    if (!l->in_lazy) { /* a large one: whoever sends whole deltas sends its id alone, and nothing more is awaited */
        bool asked = ask(n, w, l, 1);
        if (!asked)
            wants_remove(&n->wants, &item->id);
        return asked;
    }
    wants_set(&n->wants, w, WANT_LATE, 0);
    want_add_holder(w, l->id);
    wait_for(&n->late, &(struct late){.id = item->id, .due_ms = n->now_ms + NET_LATE_MS});
    return true;
}

/* The first who offered it, is up and is not `but`. */
static struct link *holder_of(struct net *n, const struct want *w, uint64_t but)
{
    for (size_t i = 0; i < w->holders; i++) {
        struct link *l = link_by_id(n, w->holder[i]);
        if (l != NULL && link_up(l) && l->id != but)
            return l;
    }
    return NULL;
}

/* It did not come of itself. */
static void missed(struct net *n, const struct late *late)
{
    struct want *w = wants_find(&n->wants, &late->id);
    if (w == NULL || w->state != WANT_LATE)
        return;
    struct link *l = holder_of(n, w, 0);
    if (l != NULL && ask(n, w, l, 1))
        overlay_graft(n, l);
    else
        wants_remove(&n->wants, &late->id); /* all who offered it are gone: repair finds it */
}

/* The one asked does not answer. */
static void unanswered(struct net *n, const struct late *late)
{
    struct want *w = wants_find(&n->wants, &late->id);
    if (w == NULL || (w->state != WANT_ASKED && w->state != WANT_QUEUED))
        return;
    struct link *old = link_by_id(n, w->link), *l = holder_of(n, w, w->link);
    bool coming = old != NULL && old->partial_ms != 0 && n->now_ms < old->heard_ms + NET_LATE_AGAIN_MS;
    if (l == NULL || coming) {
        if (late->tries + 1 < NET_LATE_TRIES) /* somebody may offer it yet */
            wait_for(&n->again, &(struct late){.id = late->id, .due_ms = n->now_ms + NET_LATE_AGAIN_MS, .tries = late->tries + 1});
        return;
    }
    bool waited = w->state == WANT_ASKED && old != NULL && old->asked > 0;
    if (!ask(n, w, l, late->tries + 1))
        return;
    if (waited)
        old->asked--; /* its answer will be a duplicate; it is not waited for */
    overlay_graft(n, l);
}

static bool take_due(const struct net *n, struct buf *queue, struct late *out)
{
    if (queue->n == 0)
        return false;
    memcpy(out, queue->p, sizeof *out);
    if (out->due_ms > n->now_ms)
        return false;
    buf_drop(queue, sizeof *out);
    return true;
}

void late_tick(struct net *n)
{
    struct late late;
    while (take_due(n, &n->late, &late))
        missed(n, &late);
    while (take_due(n, &n->again, &late))
        unanswered(n, &late);
}

static uint64_t first_due(const struct buf *queue)
{
    struct late late;
    if (queue->n == 0)
        return UINT64_MAX;
    memcpy(&late, queue->p, sizeof late);
    return late.due_ms;
}

uint64_t late_deadline(const struct net *n)
{
    uint64_t a = first_due(&n->late), b = first_due(&n->again);
    return a < b ? a : b;
}
