/*
 * Broadcast: each new delta goes once to every peer not known to have it. Own deltas and small ones of others travel
 * whole; large ones, and all to a peer whose queue is long or that asked for it, as ids that the peer pulls when it
 * likes. Nothing of others is passed on before the store has committed it.
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

static void offer_within(struct net *n, struct link *l, const struct item *item, uint64_t ms)
{
    if (l->offers.n == 0 || n->now_ms + ms < l->offers_ms)
        l->offers_ms = n->now_ms + ms;
    if (l->offers.n + WIRE_ITEM_BYTES <= NET_OFFERS_MAX * WIRE_ITEM_BYTES)
        wire_put_item(&l->offers, item);
    else if (l->sync_at_ms == 0)
        l->sync_at_ms = n->now_ms + NET_SYNC_AGAIN_MS; /* what is left out here is found by repair */
}

void gossip_offer(struct net *n, struct link *l, const struct item *item)
{
    offer_within(n, l, item, 0);
}

/* What the peer itself told of, or was sent, in the meantime need not be offered. */
static void drop_known(struct link *l, struct buf *offers)
{
    size_t kept = 0;
    for (size_t at = 0; at < offers->n; at += WIRE_ITEM_BYTES) {
        struct item item = wire_item(offers->p + at, 0);
        if (recent_has(&l->known, &item.id))
            continue;
        memmove(offers->p + kept, offers->p + at, WIRE_ITEM_BYTES);
        kept += WIRE_ITEM_BYTES;
    }
    assert(kept % WIRE_ITEM_BYTES == 0);
    offers->n = kept;
}

/* One message at a time, and not many: they are a courtesy, and control messages are counted. */
static void flush_dont(struct net *n, struct link *l)
{
    if (l->dont.n == 0 || !link_up(l) || !bucket_take(&l->dont_out, NET_DONTWANT_BURST, NET_DONTWANT_RATE, n->now_ms))
        return;
    struct buf ids = l->dont;
    l->dont = (struct buf){0};
    assert(ids.n % ID_BYTES == 0 && ids.n / ID_BYTES <= WIRE_IDS_MAX);
    link_send(n, l, &(struct wire_message){.type = WIRE_IDONTWANT,
                                           .count = ids.n / ID_BYTES,
                                           .ids = (const struct id *)(const void *)ids.p});
    buf_close(&ids);
}

void gossip_flush(struct net *n, struct link *l)
{
    flush_dont(n, l);
    if (l->offers.n == 0 || !link_up(l) || n->now_ms < l->offers_ms)
        return;
    assert(l->offers.n % WIRE_ITEM_BYTES == 0);
    struct buf offers = l->offers;
    l->offers = (struct buf){0};
    if (l->out_lazy)
        drop_known(l, &offers);
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

enum origin { ORIGIN_OWN, ORIGIN_OTHER };

/* To one peer: whole if there are bytes, its queue is short and it wants them or nobody else has them yet; else the id. */
static void spread(struct net *n, struct link *l, const struct item *item, struct bytes bundle, enum origin origin)
{
    bool wants = !l->out_lazy || origin == ORIGIN_OWN;
    if (!link_up(l) || recent_has(&l->known, &item->id))
        return;
    if (bundle.n > 0 && !l->lazy && wants)
        push(n, l, item, bundle);
    else /* PROTOCOL 4.7: Ids to a peer that wants no whole deltas leave within 50 ms. */
        offer_within(n, l, item, wants ? 0 : NET_IDS_MS);
}

static void spread_all(struct net *n, const struct item *item, struct bytes bundle, enum origin origin)
{
    for (size_t i = 0; i < n->link_count; i++)
        spread(n, n->links[i], item, bundle, origin);
}

/* PROTOCOL 4.9: A node that is pushed a delta of 2 KiB or more says so at once to the others that may push it. */
void gossip_received(struct net *n, const struct link *l, const struct id *id, size_t bytes)
{
    if (bytes < NET_DONTWANT_MIN)
        return;
    for (size_t i = 0; i < n->link_count; i++) {
        struct link *other = n->links[i];
        if (other == l || !link_up(other) || other->in_lazy || recent_has(&other->known, id))
            continue;
        if (other->dont.n < WIRE_IDS_MAX * ID_BYTES)
            buf_put(&other->dont, id->b, ID_BYTES);
    }
}

void gossip_forward(struct net *n, const struct storing *s, const struct item *item)
{
    bool whole = !s->answer && s->size <= NET_FORWARD_MAX;
    assert(!whole || s->bundle.n == s->size);
    spread_all(n, item, whole ? buf_view(&s->bundle) : bytes_of(NULL, 0), ORIGIN_OTHER);
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
        if (anybody_eager(n) && serve_load(n, LOAD_PUBLISH, 0, &item))
            n->publishing++;
        else
            spread_all(n, &item, bytes_of(NULL, 0), ORIGIN_OWN);
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
            spread_all(n, &items[i], bytes_of(NULL, 0), ORIGIN_OWN);
    }
    load_more(n);
}

void gossip_loaded(struct net *n, const struct item *item, struct bytes bundle)
{
    assert(n->publishing > 0);
    n->publishing--;
    if (bundle.n > 0)
        spread_all(n, item, bundle, ORIGIN_OWN);
    load_more(n);
}
