/*
 * Serving: answers what others ask for, one delta after the other, at the pace at which they read; what was sent twice goes
 * slowly. Loads deltas from the store, also those that are published. Knows nothing of what this node itself wants.
 */
#include "net/engine.h"

#include <assert.h>

void serve_asked(struct net *n, struct link *l, const struct wire_message *m)
{
    if (idqueue_count(&l->serve) + m->count > NET_SERVE_MAX) {
        book_score(n, l->peer, NET_SCORED_PROTOCOL);
        link_close(n, l, REASON_LIMIT, "more ids asked for than the window allows");
        return;
    }
    for (size_t i = 0; i < m->count; i++)
        idqueue_push(&l->serve, &m->ids[i]);
    assert(idqueue_count(&l->serve) <= NET_SERVE_MAX);
}

bool serve_load(struct net *n, enum load_purpose purpose, uint64_t link, const struct item *item)
{
    for (size_t i = 0; i < sizeof n->loads / sizeof *n->loads; i++) {
        struct load *load = &n->loads[i];
        if (load->purpose != LOAD_FREE)
            continue;
        *load = (struct load){.purpose = purpose, .number = ++n->load_count, .link = link, .item = *item};
        net_act(n, &(struct net_action){.kind = NET_LOAD, .load = load->number, .id = item->id});
        return true;
    }
    return false;
}

void serve_pump(struct net *n, struct link *l)
{
    struct item item = {0};
    bool ready = link_up(l) && !l->loading && link_queued(l) < NET_QUEUE_SERVE && n->now_ms >= l->serve_ms;
    if (ready && idqueue_pop(&l->serve, &item.id))
        l->loading = serve_load(n, LOAD_SERVE, l->id, &item);
}

/* PROTOCOL 3.7: What was answered once is answered again at the same pace until the bytes sent again are as many as those sent once,
 * and 8 MiB more; then at 256 kB a second. */
static void pace(struct net *n, struct link *l, const struct id *id, size_t bytes)
{
    uint64_t back = (n->now_ms - l->again_at_ms) * NET_AGAIN_RATE;
    bool over = ++l->served > 2 * setindex_count(n->config.set) + NET_SERVED_SLACK;
    if (!over && !recent_has(&l->answered, id)) {
        l->again_free += bytes;
        return;
    }
    size_t paid = over ? 0 : l->again_free < bytes ? (size_t)l->again_free : bytes;
    l->again_free -= paid;
    l->again_bytes = (l->again_bytes > back ? l->again_bytes - back : 0) + bytes - paid;
    l->again_at_ms = n->now_ms;
    if (l->again_bytes > NET_AGAIN_BURST)
        l->serve_ms = n->now_ms + (l->again_bytes - NET_AGAIN_BURST) / NET_AGAIN_RATE;
}

static void answer(struct net *n, struct link *l, const struct id *id, struct bytes bundle)
{
    struct wire_message m = {.type = WIRE_GONE, .count = 1, .ids = id};
    if (bundle.n > 0) {
        m = (struct wire_message){.type = WIRE_DELTA, .flags = WIRE_DELTA_ANSWER, .id = *id, .body = bundle};
        pace(n, l, id, bundle.n);
        recent_add(&l->answered, id);
        recent_add(&l->known, id);
        n->stats.deltas_sent++;
    }
    link_send(n, l, &m);
}

void serve_loaded(struct net *n, const struct net_event *e)
{
    struct load load = {0};
    for (size_t i = 0; i < sizeof n->loads / sizeof *n->loads; i++) {
        if (n->loads[i].purpose == LOAD_FREE || n->loads[i].number != e->load)
            continue;
        load = n->loads[i];
        n->loads[i].purpose = LOAD_FREE;
        break;
    }
    if (load.purpose == LOAD_PUBLISH)
        gossip_loaded(n, &load.item, e->bytes);
    struct link *l = load.purpose == LOAD_SERVE ? link_by_id(n, load.link) : NULL;
    if (l == NULL || !link_up(l))
        return;
    assert(l->loading); /* one at a time for each peer */
    l->loading = false;
    answer(n, l, &load.item.id, e->bytes);
    fetch_pump(n, l);
}

/* When a peer that is served slowly gets its next delta. */
uint64_t serve_deadline(const struct net *n)
{
    uint64_t at = UINT64_MAX;
    for (size_t i = 0; i < n->link_count; i++) {
        const struct link *l = n->links[i];
        if (link_up(l) && !l->loading && l->serve_ms > n->now_ms && l->serve_ms < at && idqueue_count(&l->serve) > 0)
            at = l->serve_ms;
    }
    return at;
}
