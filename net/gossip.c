/*
 * Broadcast: each new delta goes once to every peer not known to have it. Own deltas and small ones of others travel
 * whole; large ones, and all to a peer whose queue is long, as ids that the peer pulls when it likes. Nothing of others
 * is passed on before the store has committed it.
 */
#include "net/engine.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <string.h>

/* PROTOCOL 4.4: A peer with more than 2 MiB queued gets ids only, until less than 512 KiB are queued. */
void gossip_lazy(struct link *l)
{
    uint64_t queued = link_queued(l);
    if (queued > NET_QUEUE_LAZY)
        l->lazy = true;
    else if (queued < NET_QUEUE_EAGER)
        l->lazy = false;
}

bool gossip_allows(struct net *n, struct link *l, const struct key *author)
{
    if (!bucket_take(&l->push, NET_PUSH_BURST, NET_PUSH_RATE, n->now_ms))
        return false;
    if (n->authors == NULL)
        n->authors = mem_calloc(NET_AUTHORS_MAX, sizeof *n->authors);
    struct author_bucket *a = &n->authors[get_le64(author->b) % NET_AUTHORS_MAX];
    if (!key_eq(&a->author, author))
        *a = (struct author_bucket){.author = *author};
    return bucket_take(&a->bucket, NET_AUTHOR_BURST, NET_AUTHOR_RATE, n->now_ms);
}

/* ---- ids ------------------------------------------------------------------------------------------------------------- */

void gossip_offer(struct net *n, struct link *l, const struct item *item)
{
    if (l->offers.n + WIRE_ITEM_BYTES <= NET_OFFERS_MAX * WIRE_ITEM_BYTES)
        wire_put_item(&l->offers, item);
    else if (l->sync_at_ms == 0)
        l->sync_at_ms = n->now_ms + NET_SYNC_AGAIN_MS; /* what is left out here is found by repair */
}

void gossip_flush(struct net *n, struct link *l)
{
    if (l->offers.n == 0 || !link_up(l))
        return;
    assert(l->offers.n % WIRE_ITEM_BYTES == 0);
    struct buf offers = l->offers;
    l->offers = (struct buf){0};
    for (size_t at = 0; at < offers.n && link_up(l);) {
        size_t count = (offers.n - at) / WIRE_ITEM_BYTES;
        struct wire_message m = {.type = WIRE_IHAVE, .items = offers.p + at};
        m.count = count < WIRE_IDS_MAX ? count : WIRE_IDS_MAX;
        at += m.count * WIRE_ITEM_BYTES;
        link_send(n, l, &m);
    }
    buf_close(&offers);
}

/* ---- deltas ---------------------------------------------------------------------------------------------------------- */

static void push(struct net *n, struct link *l, const struct item *item, struct bytes bundle)
{
    struct wire_message m = {.type = WIRE_DELTA, .id = item->id, .body = bundle};
    assert(link_up(l) && bundle.n > 0 && bundle.n <= BUNDLE_MAX);
    recent_add(&l->known, &item->id);
    n->stats.deltas_sent++;
    link_send(n, l, &m);
}

/* To one peer: whole if there are bytes and its queue is short, else the id. */
static void spread(struct net *n, struct link *l, const struct item *item, struct bytes bundle)
{
    if (!link_up(l) || recent_has(&l->known, &item->id))
        return;
    if (bundle.n > 0 && !l->lazy)
        push(n, l, item, bundle);
    else
        gossip_offer(n, l, item);
}

static void spread_all(struct net *n, const struct item *item, struct bytes bundle)
{
    for (size_t i = 0; i < n->link_count; i++)
        spread(n, n->links[i], item, bundle);
}

void gossip_forward(struct net *n, const struct storing *s, const struct item *item)
{
    bool whole = !s->answer && s->size <= NET_FORWARD_MAX;
    assert(!whole || s->bundle.n == s->size);
    spread_all(n, item, whole ? buf_view(&s->bundle) : bytes_of(NULL, 0));
}

static bool anybody_eager(const struct net *n)
{
    for (size_t i = 0; i < n->link_count; i++)
        if (link_up(n->links[i]) && !n->links[i]->lazy)
            return true;
    return false;
}

/* While every queue is long, ids are all that is sent: nothing need be loaded. */
static void load_more(struct net *n)
{
    struct item item;
    assert(n->publish_at <= n->publish.n && n->publish.n % sizeof item == 0);
    while (n->publish_at < n->publish.n && n->publishing < NET_LOADS_MAX) {
        memcpy(&item, n->publish.p + n->publish_at, sizeof item);
        n->publish_at += sizeof item;
        if (anybody_eager(n) && fetch_load(n, LOAD_PUBLISH, 0, &item))
            n->publishing++;
        else
            spread_all(n, &item, bytes_of(NULL, 0));
    }
    if (n->publish_at * 2 > n->publish.n) {
        buf_drop(&n->publish, n->publish_at);
        n->publish_at = 0;
    }
}

void gossip_publish(struct net *n, const struct item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if ((n->publish.n - n->publish_at) / sizeof *items < NET_PUBLISH_MAX)
            buf_put(&n->publish, &items[i], sizeof *items);
        else
            spread_all(n, &items[i], bytes_of(NULL, 0));
    }
    load_more(n);
}

void gossip_loaded(struct net *n, const struct item *item, struct bytes bundle)
{
    assert(n->publishing > 0);
    n->publishing--;
    if (bundle.n > 0)
        spread_all(n, item, bundle);
    load_more(n);
}
