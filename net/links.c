/*
 * Connections: accepted or dialed, proved, greeted, kept alive, closed with a reason. One session a peer; a second is
 * settled by rule. Owns the deadlines of the state table; what messages say is for session.c.
 */
#include "net/calls.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- finding and sending --------------------------------------------------------------------------------------------- */

struct link *link_by_id(struct net *n, uint64_t id)
{
    for (size_t i = 0; i < n->link_count; i++)
        if (n->links[i]->id == id && !n->links[i]->ended)
            return n->links[i];
    return NULL;
}

bool link_up(const struct link *l)
{
    return l->conn.state == CONN_UP;
}

bool link_answers(const struct net *n, const struct link *l)
{
    return link_up(l) && !l->ended && (l->ping_token == 0 || n->now_ms < l->ping_sent_ms + NET_QUIET_MS);
}

size_t links_up(const struct net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->link_count; i++)
        count += link_up(n->links[i]);
    return count;
}

struct link *links_random(struct net *n)
{
    size_t up = links_up(n);
    uint64_t pick = up > 0 ? rng_below(&n->rng, up) : 0;
    for (size_t i = 0; i < n->link_count; i++)
        if (link_up(n->links[i]) && pick-- == 0)
            return n->links[i];
    return NULL;
}

uint64_t link_queued(const struct link *l)
{
    return l->rim_queued + l->conn.out.n;
}

void link_send(struct net *n, struct link *l, const struct wire_message *m)
{
    if (l->conn.state != CONN_HELLO && l->conn.state != CONN_UP)
        return;
    (void)conn_send(&l->conn, m);
    note_said(n, l->peer, m->type, NOTE_SENT);
    gossip_lazy(l);
    /* PROTOCOL 6.2: A peer that leaves more than 16 MiB unread is disconnected. */
    if (link_queued(l) > NET_QUEUE_MAX)
        link_close(n, l, REASON_SLOW, NULL);
}

/* ---- ending ---------------------------------------------------------------------------------------------------------- */

static void end_peer(struct net *n, struct link *l)
{
    struct peer *p = l->peer;
    assert(l->ended);
    bool session = p != NULL && p->link == l;
    if (session) {
        p->link = NULL;
        p->seen_ms = n->now_ms;
        bool welcome = l->conn.reason != REASON_FULL && l->conn.reason != REASON_BANNED && l->conn.reason != REASON_REMOVED;
        if (welcome && l->up_ms != 0 && n->now_ms - l->up_ms >= NET_STABLE_MS)
            p->fails = 0;
    }
    if (p != NULL && (session || (l->dial != 0 && p->dial == l->dial)))
        book_failed(n, p);
}

static void tell_end(struct net *n, const struct link *l)
{
    char name[ID_HEX_SIZE];
    const struct conn *c = &l->conn;
    bool trouble = c->reason == REASON_MESH || c->reason == REASON_VERSION || c->reason == REASON_IDENTITY;
    bool news = l->up_ms != 0 && c->reason != REASON_DUPLICATE && c->reason != REASON_FULL;
    const char *who = l->peer != NULL && l->peer->has_key ? peer_name(l->peer, name) : "a node";
    net_log(n, trouble ? 1 : news ? 2 : 3, "%s to %s at %s ended: %s%s%s", l->up_ms != 0 ? "session" : "handshake", who,
            l->addr, wire_reason_text(c->reason), c->detail[0] != 0 ? ": " : "", c->detail);
}

/* The connection is CONN_CLOSED: everybody lets go of it. What is in `out` still leaves. */
void link_ended(struct net *n, struct link *l)
{
    assert(l->conn.state == CONN_CLOSED);
    if (l->ended)
        return;
    l->ended = true;
    n->stats.handshakes_failed += l->up_ms == 0 && l->conn.reason != REASON_DUPLICATE;
    tell_end(n, l);
    note_end(n, l);
    sync_stop(l);
    fetch_link_gone(n, l);
    calls_link_gone(n, l);
    end_peer(n, l);
    overlay_look(n);
}

void link_close(struct net *n, struct link *l, enum wire_reason reason, const char *detail)
{
    if (l->ended)
        return;
    bool open = l->conn.state != CONN_CLOSED;
    conn_close(&l->conn, reason, detail);
    if (open && detail == NULL)
        l->conn.detail[0] = 0;
    link_ended(n, l);
}

void link_free(struct link *l)
{
    conn_free(&l->conn);
    calls_free(l);
    recent_close(&l->known);
    recent_close(&l->answered);
    buf_close(&l->offers);
    buf_close(&l->dont);
    idqueue_close(&l->ask);
    fair_close(&l->put_off);
    idqueue_close(&l->serve);
    sync_free(l);
    free(l);
}

/* ---- beginning ------------------------------------------------------------------------------------------------------- */

static size_t half_open(const struct net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->link_count; i++)
        count += n->links[i]->up_ms == 0;
    return count;
}

static struct link *link_new(struct net *n, const struct net_event *e, enum noise_role role)
{
    uint8_t ephemeral[32];
    if (!crowd_has_room(n, e->addr != NULL ? e->addr : "", role)) {
        net_log(n, 3, "a connection is refused: %zu handshakes are under way", half_open(n));
        net_act(n, &(struct net_action){.kind = NET_CLOSE, .conn = e->conn});
        return NULL;
    }
    assert(link_by_id(n, e->conn) == NULL);
    struct link *l = mem_zalloc(sizeof *l);
    l->id = e->conn;
    l->outbound = role == NOISE_INITIATOR;
    l->started_ms = l->heard_ms = n->now_ms;
    l->mean_bytes = NET_WINDOW_BYTES / 32;
    recent_init(&l->known, rng_u64(&n->rng));
    recent_init(&l->answered, rng_u64(&n->rng));
    rng_bytes(&n->rng, ephemeral, sizeof ephemeral);
    conn_init(&l->conn, &n->self, role, ephemeral);
    n->links[n->link_count++] = l;
    return l;
}

static void accepted(struct net *n, const struct net_event *e)
{
    struct link *l = link_new(n, e, NOISE_RESPONDER);
    if (l == NULL)
        return;
    (void)snprintf(l->addr, sizeof l->addr, "%s", e->addr != NULL ? e->addr : "");
    l->local = addr_classify(l->addr) == ADDR_LOOPBACK;
}

static void connected(struct net *n, const struct net_event *e)
{
    struct peer *p = book_by_dial(n, e->dial);
    if (p == NULL) {
        net_act(n, &(struct net_action){.kind = NET_CLOSE, .conn = e->conn});
        return;
    }
    struct link *l = link_new(n, e, NOISE_INITIATOR);
    if (l == NULL) {
        book_failed(n, p);
        return;
    }
    (void)snprintf(l->addr, sizeof l->addr, "%s", e->addr != NULL ? e->addr : p->addr);
    l->local = addr_classify(l->addr) == ADDR_LOOPBACK;
    l->peer = p;
    l->probe = p->probed;
    l->dial = e->dial;
    p->dial_ms = n->now_ms + NET_HANDSHAKE_MS + 1; /* the handshake's deadline comes first */
}

static void dial_failed(struct net *n, const struct net_event *e)
{
    struct peer *p = book_by_dial(n, e->dial);
    if (p == NULL)
        return;
    note_dial(n, p, e->fault);
    book_failed(n, p);
    net_log(n, p->fails == 1 && p->pinned ? 2 : 3, "cannot connect to %s; next try in %llu s", p->addr,
            (unsigned long long)(p->next_dial_ms - n->now_ms + 999) / 1000);
}

/* PROTOCOL 2.6: Of two connections between the same two nodes the one dialed by the node with the smaller key is kept; of two dialed by the same node, the newer. */
static bool keep_new(const struct net *n, const struct link *old, const struct link *l)
{
    assert(old != l && key_eq(&old->conn.remote, &l->conn.remote));
    if (old->outbound == l->outbound)
        return true;
    return l->outbound == (key_cmp(&n->self.key, &l->conn.remote) < 0);
}

/* Judges a proved identity; true: the session goes on. */
static bool admit(struct net *n, struct link *l)
{
    const struct key *remote = &l->conn.remote;
    struct peer *dialed = l->outbound ? l->peer : NULL;
    if (key_eq(remote, &n->self.key)) {
        if (dialed != NULL)
            dialed->self = true;
        link_close(n, l, REASON_SELF, NULL);
        return false;
    }
    if (dialed != NULL && dialed->key_required && !key_eq(&dialed->key, remote)) {
        char want[ID_HEX_SIZE], got[ID_HEX_SIZE], text[200];
        key_hex(want, &dialed->key);
        key_hex(got, remote);
        (void)snprintf(text, sizeof text, "its key is %s, expected was %s", got, want);
        link_close(n, l, REASON_IDENTITY, text);
        return false;
    }
    struct peer *p = book_claim(n, dialed, remote);
    l->peer = p;
    if (p == NULL || book_banned(n, p)) {
        link_close(n, l, p == NULL ? REASON_FULL : REASON_BANNED, NULL);
        return false;
    }
    if (p->expelled) {
        conn_accept(&l->conn); /* so that it can be told why */
        link_close(n, l, REASON_REMOVED, REMOVED_TEXT);
        return false;
    }
    if (p->link != NULL && !keep_new(n, p->link, l)) {
        link_close(n, l, REASON_DUPLICATE, NULL);
        return false;
    }
    if (p->link != NULL) {
        struct link *old = p->link;
        p->link = l;
        link_close(n, old, REASON_DUPLICATE, NULL);
        l->sync_at_ms = n->now_ms + NET_SYNC_AGAIN_MS; /* what was under way on the old one may be lost */
    }
    p->link = l;
    assert(l->peer == p && !book_banned(n, p));
    return true;
}

static void proved(struct net *n, struct link *l)
{
    if (!admit(n, l))
        return;
    conn_accept(&l->conn);
    if (l->conn.state == CONN_CLOSED) {
        link_ended(n, l);
        return;
    }
    session_greet(n, l);
}

/* ---- input ---------------------------------------------------------------------------------------------------- */

static void failed(struct net *n, struct link *l)
{
    enum wire_reason r = l->conn.reason;
    if (l->peer != NULL && l->peer->link == l && (r == REASON_PROTOCOL || r == REASON_LIMIT))
        book_score(n, l->peer, NET_SCORED_PROTOCOL);
    link_ended(n, l);
}

static void note_heard(struct net *n, struct link *l, uint64_t nonce)
{
    assert(l->heard_ms <= n->now_ms && l->conn.state != CONN_PROVED);
    if (l->conn.in.seal.cipher.nonce != nonce)
        l->heard_ms = n->now_ms;
    if (!frame_in_partial(&l->conn.in))
        l->partial_ms = 0;
    else if (l->partial_ms == 0)
        l->partial_ms = n->now_ms > 0 ? n->now_ms : 1;
}

static void got(struct net *n, struct link *l, const struct wire_message *m)
{
    note_said(n, l->peer, m->type, NOTE_RECEIVED);
    session_message(n, l, m);
}

/* What a piece of the input completes. */
static void take_piece(struct net *n, struct link *l, struct bytes in)
{
    struct wire_message m;
    conn_feed(&l->conn, in);
    while (!l->ended) {
        enum conn_result r = conn_next(&l->conn, &m);
        if (r == CONN_NOTHING)
            break;
        l->partial_ms = 0;
        if (r == CONN_ASK)
            proved(n, l);
        else if (r == CONN_GOT)
            got(n, l, &m);
        else
            failed(n, l);
    }
}

static void got_data(struct net *n, struct link *l, struct bytes in)
{
    uint64_t nonce = l->conn.in.seal.cipher.nonce;
    l->received_bytes += in.n;
    while (in.n > 0 && !l->ended) {
        size_t piece = in.n < NET_PIECE_BYTES ? in.n : NET_PIECE_BYTES;
        take_piece(n, l, bytes_of(in.p, piece));
        in = bytes_of(in.p + piece, in.n - piece);
    }
    if (l->ended)
        return;
    note_heard(n, l, nonce);
    fetch_pump(n, l);
}

static void lost(struct net *n, struct link *l)
{
    l->lost = true;
    conn_close(&l->conn, REASON_LOST, NULL);
    l->conn.detail[0] = 0;
    link_ended(n, l);
}

static void drained(struct net *n, struct link *l, uint64_t queued)
{
    if (queued < l->rim_queued)
        l->stalled_ms = n->now_ms;
    l->rim_queued = queued;
    gossip_lazy(l);
    calls_pump(n, l);
    fetch_pump(n, l);
}

void links_input(struct net *n, const struct net_event *e)
{
    if (e->kind == NET_ACCEPTED) {
        accepted(n, e);
    } else if (e->kind == NET_CONNECTED) {
        connected(n, e);
    } else if (e->kind == NET_DIAL_FAILED) {
        dial_failed(n, e);
    } else {
        struct link *l = link_by_id(n, e->conn);
        if (l == NULL) {
            for (size_t i = 0; i < n->link_count; i++)
                n->links[i]->lost |= n->links[i]->id == e->conn && e->kind == NET_CLOSED;
            return;
        }
        if (e->kind == NET_DATA)
            got_data(n, l, e->bytes);
        else if (e->kind == NET_DRAINED)
            drained(n, l, e->queued);
        else
            lost(n, l);
    }
}

/* ---- output and time ------------------------------------------------------------------------------------------------- */

static void lend_out(struct net *n, struct link *l, struct net_action *a)
{
    struct buf spare = n->lent;
    n->lent = l->conn.out;
    buf_reset(&spare);
    l->conn.out = spare;
    if (l->conn.out.cap > NET_OUT_KEPT)
        buf_close(&l->conn.out); /* else one large buffer after the other would come to rest at some link */
    assert(n->lent.n > 0 && l->conn.out.n == 0);
    if (l->rim_queued == 0)
        l->stalled_ms = n->now_ms;
    l->rim_queued += n->lent.n;
    l->sent_bytes += n->lent.n;
    if (l->ended && l->peer != NULL)
        l->peer->sent_bytes += n->lent.n; /* the goodbye, after note_end */
    *a = (struct net_action){.kind = NET_SEND, .conn = l->id, .bytes = buf_view(&n->lent)};
}

bool links_next(struct net *n, struct net_action *a)
{
    for (size_t i = 0; i < n->link_count; i++) {
        struct link *l = n->links[i];
        if (!l->ended)
            gossip_flush(n, l);
        if (l->conn.out.n > 0 && !l->lost) {
            lend_out(n, l, a);
            return true;
        }
        if (!l->ended)
            continue;
        bool tell = !l->lost;
        *a = (struct net_action){.kind = NET_CLOSE, .conn = l->id};
        link_free(l);
        n->link_count--;
        memmove(&n->links[i], &n->links[i + 1], (n->link_count - i) * sizeof n->links[0]);
        if (tell)
            return true;
        i--;
    }
    return false;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t link_dead_ms(const struct net *n)
{
    uint64_t ms = n->config.silence_ms;
    assert(ms == 0 || ms >= NET_SILENCE_MIN_MS);
    return ms != 0 ? ms : NET_DEAD_MS;
}

uint64_t link_deadline(const struct net *n, const struct link *l)
{
    if (l->ended)
        return UINT64_MAX;
    if (!link_up(l))
        return l->started_ms + NET_HANDSHAKE_MS;
    uint64_t at = least(l->heard_ms + link_dead_ms(n), least(l->ping_ms, l->peers_ms));
    if (l->offers.n > 0)
        at = least(at, l->offers_ms);
    if (l->partial_ms != 0)
        at = least(at, l->partial_ms + NET_MESSAGE_MS);
    if (l->rim_queued > 0)
        at = least(at, l->stalled_ms + link_dead_ms(n));
    return least(at, least(calls_deadline(l), sync_link_deadline(n, l)));
}

static void close_silent(struct net *n, struct link *l, enum wire_reason reason, const char *what)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%s for %llu s", what, (unsigned long long)link_dead_ms(n) / 1000);
    link_close(n, l, reason, text);
}

static void link_tick(struct net *n, struct link *l)
{
    uint64_t now = n->now_ms;
    assert(!l->ended);
    if (!link_up(l)) {
        if (now >= l->started_ms + NET_HANDSHAKE_MS)
            link_close(n, l, REASON_TIMEOUT, "the handshake took longer than 10 s");
        return;
    }
    if (now >= l->heard_ms + link_dead_ms(n))
        close_silent(n, l, REASON_TIMEOUT, "nothing was heard");
    else if (l->partial_ms != 0 && now >= l->partial_ms + NET_MESSAGE_MS)
        link_close(n, l, REASON_TIMEOUT, "a message took longer than 120 s");
    else if (l->rim_queued > 0 && now >= l->stalled_ms + link_dead_ms(n))
        close_silent(n, l, REASON_SLOW, "it read nothing");
    if (l->ended)
        return;
    calls_tick(n, l);
    if (now >= l->ping_ms) {
        l->ping_ms = now + net_jitter(n, link_dead_ms(n) / 3);
        l->ping_sent_ms = now;
        l->ping_token = rng_u64(&n->rng) | 1;
        link_send(n, l, &(struct wire_message){.type = WIRE_PING, .token = l->ping_token, .clock_ms = net_clock(n)});
        session_apply(n, l);
    }
    if (!l->ended && now >= l->peers_ms)
        session_peers(n, l);
}

void links_tick(struct net *n)
{
    for (size_t i = 0; i < n->link_count; i++)
        if (!n->links[i]->ended)
            link_tick(n, n->links[i]);
}
