/*
 * The engine's door: events in, actions out, one deadline, and the views that the node shows. Owns struct net; every rule
 * of the protocol is in the files beside it.
 */
#include "net/calls.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---------------------------------------------------------------------------------------------------------- */

static void identity_init(struct net *n, const struct net_config *config)
{
    n->self.mesh = config->mesh;
    n->self.key = config->identity;
    memcpy(n->self.secret, config->identity_secret, sizeof n->self.secret);
    memcpy(n->self.static_secret, config->static_secret, sizeof n->self.static_secret);
    n->self.version_min = WIRE_VERSION_MIN;
    n->self.version_max = WIRE_VERSION_MAX;
}

struct net *net_new(const struct net_config *config, uint64_t now_ms)
{
    struct net *n = mem_zalloc(sizeof *n);
    uint8_t secret[16];
    assert(config->set != NULL);
    n->config = *config;
    n->has_founder = config->has_founder;
    n->now_ms = now_ms;
    identity_init(n, config);
    rng_init(&n->rng, config->seed);
    rng_bytes(&n->rng, secret, sizeof secret);
    wants_init(&n->wants, secret);
    memo_init(&n->memo, rng_u64(&n->rng));
    n->missing_ms = UINT64_MAX;
    n->sync_ms = now_ms + net_jitter(n, NET_SYNC_MS);
    n->audit_ms = now_ms + net_jitter(n, NET_AUDIT_MS);
    return n;
}

void net_free(struct net *n)
{
    if (n == NULL)
        return;
    for (size_t i = 0; i < n->link_count; i++)
        link_free(n->links[i]);
    for (size_t i = 0; i < n->book_count; i++)
        free(n->book[i]);
    for (; n->action_count > 0; n->action_count--, n->action_at = (n->action_at + 1) % n->action_cap)
        free(n->actions[n->action_at].text);
    for (size_t i = 0; n->storing != NULL && i < NET_STORING_MAX; i++)
        buf_close(&n->storing[i].bundle);
    free(n->storing);
    free(n->actions);
    free(n->lent_text);
    free(n->authors);
    free(n->missing);
    buf_close(&n->lent);
    buf_close(&n->publish);
    buf_close(&n->application);
    buf_close(&n->late);
    buf_close(&n->again);
    wants_close(&n->wants);
    memo_close(&n->memo);
    sodium_memzero(n, sizeof *n);
    free(n);
}

void net_stop(struct net *n)
{
    for (size_t i = 0; i < n->link_count; i++)
        link_close(n, n->links[i], REASON_BYE, "the node is stopping");
    for (size_t i = 0; i < n->book_count; i++)
        n->book[i]->next_dial_ms = UINT64_MAX;
}

/* ---- helpers of the other files ------------------------------------------------------------------------------------- */

uint64_t net_clock(const struct net *n)
{
    return n->clock_ms + (n->now_ms - n->clock_at_ms);
}

uint64_t net_jitter(struct net *n, uint64_t ms)
{
    return ms - ms / 5 + rng_below(&n->rng, ms / 5 * 2 + 1);
}

bool bucket_take(struct bucket *b, uint64_t burst, uint64_t rate, uint64_t now_ms)
{
    uint64_t full = burst * 1000, gone = now_ms - b->at_ms;
    if (b->at_ms == 0 || gone > full / rate)
        b->milli = full;
    else
        b->milli = b->milli + gone * rate < full ? b->milli + gone * rate : full;
    b->at_ms = now_ms > 0 ? now_ms : 1;
    if (b->milli < 1000)
        return false;
    b->milli -= 1000;
    return true;
}

static void grow_actions(struct net *n)
{
    size_t cap = n->action_cap == 0 ? 64 : 2 * n->action_cap;
    struct queued_action *ring = mem_calloc(cap, sizeof *ring);
    for (size_t i = 0; i < n->action_count; i++)
        ring[i] = n->actions[(n->action_at + i) % n->action_cap];
    free(n->actions);
    n->actions = ring;
    n->action_cap = cap;
    n->action_at = 0;
}

void net_act(struct net *n, const struct net_action *action)
{
    if (n->action_count == n->action_cap)
        grow_actions(n);
    struct queued_action *q = &n->actions[(n->action_at + n->action_count++) % n->action_cap];
    *q = (struct queued_action){.action = *action};
    if (action->text != NULL)
        q->action.text = q->text = mem_strdup(action->text);
}

void net_act_bytes(struct net *n, const struct net_action *action, struct buf *bytes)
{
    net_act(n, action);
    struct queued_action *q = &n->actions[(n->action_at + n->action_count - 1) % n->action_cap];
    q->action.bytes = buf_view(bytes);
    q->text = (char *)bytes->p;
    *bytes = (struct buf){0};
}

void net_log(struct net *n, int level, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    net_act(n, &(struct net_action){.kind = NET_LOG, .level = level, .text = text});
}

/* ---- events --------------------------------------------------------------------------------------------------------- */

static void tick(struct net *n)
{
    book_tick(n);
    links_tick(n);
    overlay_tick(n);
    late_tick(n);
    fetch_tick(n);
    sync_tick(n);
}

static void stored(struct net *n, const struct net_event *e)
{
    for (size_t i = 0; i < e->count; i++) {
        if (e->results[i].tag != 0)
            fetch_stored(n, &e->results[i]);
        else if (e->results[i].fresh)
            gossip_publish(n, &e->results[i].item, 1);
    }
    n->repump = true; /* room for more */
}

static void sync_now(struct net *n)
{
    for (size_t i = 0; i < n->link_count; i++)
        sync_start(n, n->links[i]);
    n->sync_ms = n->now_ms + net_jitter(n, NET_SYNC_MS);
}

static void dispatch(struct net *n, const struct net_event *e)
{
    switch (e->kind) {
    case NET_TICK:
        return;
    case NET_ACCEPTED:
    case NET_CONNECTED:
    case NET_DIAL_FAILED:
    case NET_DATA:
    case NET_CLOSED:
    case NET_DRAINED:
        links_input(n, e);
        return;
    case NET_STORED:
        stored(n, e);
        return;
    case NET_PUBLISH:
        gossip_publish(n, e->items, e->count);
        return;
    case NET_LOADED:
        serve_loaded(n, e);
        return;
    case NET_PEER_ADD:
    case NET_PEER_PIN:
    case NET_PEER_REMOVE:
    case NET_PEER_BAN:
    case NET_PEER_UNBAN:
    case NET_PEER_EXPEL:
    case NET_PEER_READMIT:
        book_operator(n, e);
        return;
    case NET_SYNC_NOW:
        sync_now(n);
        return;
    case NET_REACH:
        reach_input(n, e);
        return;
    case NET_CALL:
    case NET_CALL_DROP:
    case NET_ANSWER:
    case NET_REFUSE:
        calls_input(n, e);
        return;
    case NET_JOIN_ANSWER:
        session_welcome(n, e);
        return;
    }
}

static void check(const struct net *n)
{
    assert(n->book_count <= NET_BOOK_MAX && n->link_count <= NET_LINKS_MAX + NET_HALF_OPEN_MAX);
    assert(n->storing_count <= NET_STORING_MAX && n->storing_bytes <= NET_STORING_BYTES + NET_STORING_MAX);
    assert(n->wants.count <= WANTS_MAX && n->wants.asked <= n->wants.count);
    assert(n->late.n + n->again.n <= NET_LATE_MAX * sizeof(struct late));
    assert(n->reach_count <= NET_REACHES_MAX);
    assert(n->missing_count <= NET_BODIES_MAX && n->publishing <= NET_LOADS_MAX);
    for (size_t i = 0; i < n->link_count; i++) {
        const struct link *l = n->links[i];
        assert(l->asked <= NET_WINDOW_IDS && idqueue_count(&l->serve) <= NET_SERVE_MAX);
        assert(l->dont.n <= WIRE_IDS_MAX * ID_BYTES);
        assert(idqueue_count(&l->ask) <= NET_ASK_MAX && l->offers.n <= NET_OFFERS_MAX * WIRE_ITEM_BYTES);
    }
}

void net_input(struct net *n, const struct net_event *e, uint64_t now_ms)
{
    assert(now_ms >= n->now_ms);
    n->now_ms = now_ms;
    if (e->clock_ms != 0) {
        n->clock_ms = e->clock_ms;
        n->clock_at_ms = now_ms;
    }
    dispatch(n, e);
    if (now_ms >= net_deadline(n))
        tick(n);
    if (n->reach_count > 0)
        reach_look(n);
    while (n->repump) {
        n->repump = false;
        for (size_t i = 0; i < n->link_count; i++)
            fetch_pump(n, n->links[i]);
    }
    check(n);
}

uint64_t net_deadline(const struct net *n)
{
    uint64_t at = book_deadline(n), next;
    for (size_t i = 0; i < n->link_count; i++)
        if ((next = link_deadline(n, n->links[i])) < at)
            at = next;
    if ((next = fetch_deadline(n)) < at)
        at = next;
    if ((next = sync_deadline(n)) < at)
        at = next;
    if ((next = overlay_deadline(n)) < at)
        at = next;
    if ((next = reach_deadline(n)) < at)
        at = next;
    next = late_deadline(n);
    return next < at ? next : at;
}

/* ---- actions -------------------------------------------------------------------------------------------------------- */

/* A bundle that may be forwarded stays in its slot; any other leaves with the action. */
static void lend_bundle(struct net *n, size_t slot, struct net_action *a)
{
    struct storing *s = &n->storing[slot];
    a->bytes = buf_view(&s->bundle);
    if (s->answer || s->size > NET_FORWARD_MAX) {
        buf_close(&n->lent);
        n->lent = s->bundle;
        s->bundle = (struct buf){0};
    }
}

enum net_action_kind net_next(struct net *n, struct net_action *action)
{
    free(n->lent_text);
    n->lent_text = NULL;
    if (n->action_count == 0)
        return links_next(n, action) ? action->kind : (action->kind = NET_NONE);
    struct queued_action q = n->actions[n->action_at];
    n->action_at = (n->action_at + 1) % n->action_cap;
    n->action_count--;
    *action = q.action;
    n->lent_text = q.text;
    if (action->kind == NET_STORE)
        lend_bundle(n, (size_t)(action->tag % NET_STORING_MAX), action);
    return action->kind;
}

/* ---- views ---------------------------------------------------------------------------------------------------------- */

static enum net_peer_state peer_state(const struct net *n, const struct peer *p)
{
    if (book_banned(n, p))
        return PEER_BANNED;
    if (p->link != NULL)
        return link_up(p->link) ? PEER_UP : PEER_HANDSHAKE;
    return p->dial != 0 ? PEER_DIALING : PEER_DOWN;
}

static void peer_info(const struct net *n, const struct peer *p, struct net_peer_info *out)
{
    *out = (struct net_peer_info){
        .state = peer_state(n, p), .score = p->score, .pinned = p->pinned, .expelled = p->expelled};
    note_info(n, p, out);
    if (p->has_key)
        out->id = p->key;
    (void)snprintf(out->address, sizeof out->address, "%s", p->addr[0] != 0 ? p->addr : p->told);
    const struct link *l = p->link;
    if (l == NULL)
        return;
    if (out->address[0] == 0)
        (void)snprintf(out->address, sizeof out->address, "%s", l->addr);
    uint64_t equal_ms = l->equal_ms != 0 ? l->equal_ms : l->up_ms;
    out->rtt_ms = l->rtt_ms;
    out->lag_ms = l->synced ? l->rtt_ms : equal_ms != 0 ? n->now_ms - equal_ms : out->lag_ms;
    out->sent_bytes += l->sent_bytes;
    out->received_bytes += l->received_bytes;
    out->queued_bytes = link_queued(l);
    out->queued_ids = l->offers.n / WIRE_ITEM_BYTES;
    out->asked_ids = l->asked;
    out->sends_whole = !l->in_lazy;
    out->sent_whole = !l->out_lazy && !l->lazy;
    out->outbound = l->outbound;
    out->heard_ms = l->heard_ms;
    out->skew_ms = l->skew_ms > NET_SKEW_SHOWN    ? NET_SKEW_SHOWN
                   : l->skew_ms < -NET_SKEW_SHOWN ? -NET_SKEW_SHOWN
                                                  : l->skew_ms;
    out->synced = l->synced;
}

size_t net_peers(const struct net *n, struct net_peer_info *out, size_t max)
{
    for (size_t i = 0; i < n->book_count && i < max; i++)
        peer_info(n, n->book[i], &out[i]);
    return n->book_count;
}

void net_stats(const struct net *n, struct net_stats *out)
{
    *out = n->stats;
    out->peers_up = links_up(n);
    out->whole_in = out->whole_out = 0;
    for (size_t i = 0; i < n->link_count; i++) {
        out->whole_in += link_up(n->links[i]) && !n->links[i]->in_lazy;
        out->whole_out += link_up(n->links[i]) && !n->links[i]->out_lazy && !n->links[i]->lazy;
    }
    out->overlay = n->wide;
    copy_stats(n, out);
}

void net_set_application(struct net *n, struct bytes application)
{
    assert(application.n <= NET_APPLICATION_MAX);
    buf_reset(&n->application);
    buf_put_bytes(&n->application, application);
    for (size_t i = 0; i < n->link_count; i++)
        session_apply(n, n->links[i]);
}

void net_set_intake(struct net *n, enum net_intake intake)
{
    n->intake = intake;
    n->repump = true; /* at the next event */
}

void net_set_entries(struct net *n, const uint64_t *kinds, size_t count)
{
    n->kind_count = count < WIRE_KINDS_MAX ? count : WIRE_KINDS_MAX;
    memcpy(n->kinds, kinds, n->kind_count * sizeof *kinds);
}
