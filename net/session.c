/*
 * What is said in a session: HELLO, PEERS, PING and CLOSE are handled here, deltas and ids go to fetch.c, reconciliation
 * to sync.c. Messages have passed the table of wire.c, so their form and their place are right.
 */
#include "net/calls.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- HELLO and PEERS --------------------------------------------------------------------------------------------------- */

static struct wire_message hello_of(struct net *n, const struct link *l, char addr[NET_ADDR_MAX], struct id *digest)
{
    struct wire_message m = {.type = WIRE_HELLO};
    enum addr_kind kind = addr_classify(n->config.advertise);
    addr[0] = 0;
    if (kind == ADDR_PLAIN || (kind == ADDR_LOOPBACK && l->local))
        (void)snprintf(addr, NET_ADDR_MAX, "%s", n->config.advertise);
    if (kind == ADDR_WILDCARD)
        (void)snprintf(addr, NET_ADDR_MAX, "%s", strrchr(n->config.advertise, ':'));
    setindex_digest(n->config.set, digest);
    m.hello = (struct wire_hello){.version = l->conn.version,
                                  .has_founder = n->has_founder,
                                  .founder = n->config.founder,
                                  .mesh_name = bytes_str(n->config.mesh_name),
                                  .address = bytes_str(addr),
                                  .digest = *digest,
                                  .count = setindex_count(n->config.set),
                                  .clock_ms = net_clock(n),
                                  .kind_count = n->kind_count};
    memcpy(m.hello.kinds, n->kinds, sizeof m.hello.kinds);
    return m;
}

void session_greet(struct net *n, struct link *l)
{
    char addr[NET_ADDR_MAX];
    struct id digest;
    assert(l->conn.state == CONN_HELLO && l->peer != NULL);
    struct wire_message m = hello_of(n, l, addr, &digest);
    link_send(n, l, &m);
}

/* The address at which others may find p, for the node at the other end of `to`; NULL: none. */
static const char *address_for(const struct peer *p, const struct link *to)
{
    const char *addr = p->told[0] != 0 ? p->told : p->addr;
    enum addr_kind kind = addr_classify(addr);
    return kind == ADDR_PLAIN || (kind == ADDR_LOOPBACK && to->local) ? addr : NULL;
}

static void add_peer(struct wire_peers *peers, const struct peer *p, const struct link *to)
{
    const char *addr = address_for(p, to);
    if (addr == NULL || !p->has_key || p == to->peer || peers->count == WIRE_PEERS_MAX)
        return;
    assert(p->told[0] != 0 || p->addr[0] != 0);
    peers->list[peers->count++] = (struct wire_peer){.key = p->key, .address = bytes_str(addr)};
}

/* In an overlay a newcomer needs more choice than the links of one node give, and those who were let go, or found no free
 * link here, have room for it. */
static void add_others(struct net *n, const struct link *l, struct wire_peers *peers)
{
    size_t from = n->book_count > 0 ? (size_t)rng_below(&n->rng, n->book_count) : 0;
    for (size_t i = 0; i < n->book_count && peers->count < WIRE_PEERS_MAX / 2; i++) {
        const struct peer *p = n->book[(from + i) % n->book_count];
        if (peer_passive(p) && p->proved && p->fails < 3 && !p->expelled && !book_banned(n, p))
            add_peer(peers, p, l);
    }
}

void session_peers(struct net *n, struct link *l)
{
    struct wire_message m = {.type = WIRE_PEERS};
    if (n->wide)
        add_others(n, l, &m.peers);
    for (size_t i = 0; i < n->link_count; i++)
        if (link_up(n->links[i]) && n->links[i]->peer != NULL)
            add_peer(&m.peers, n->links[i]->peer, l);
    l->peers_ms = n->now_ms + net_jitter(n, NET_PEERS_MS);
    if (m.peers.count > 0)
        link_send(n, l, &m);
}

static void announce(struct net *n, const struct link *newcomer)
{
    for (size_t i = 0; i < n->link_count; i++) {
        struct wire_message m = {.type = WIRE_PEERS};
        if (n->links[i] == newcomer || !link_up(n->links[i]))
            continue;
        add_peer(&m.peers, newcomer->peer, n->links[i]);
        if (m.peers.count > 0)
            link_send(n, n->links[i], &m);
    }
}

static bool take_founder(struct net *n, struct link *l, const struct wire_hello *h)
{
    struct id mesh;
    char name[MODEL_NAME_MAX + 1];
    if (!h->has_founder)
        return true;
    mesh_id(&mesh, &h->founder, h->mesh_name);
    if (!id_eq(&mesh, &n->self.mesh)) {
        book_score(n, l->peer, NET_SCORED_PROTOCOL);
        link_close(n, l, REASON_MESH, "its founder key and mesh name do not make the mesh id");
        return false;
    }
    if (n->has_founder)
        return true;
    assert(h->mesh_name.n < sizeof name);
    memcpy(name, h->mesh_name.p, h->mesh_name.n);
    name[h->mesh_name.n] = 0;
    n->has_founder = true;
    n->config.founder = h->founder;
    memcpy(n->config.mesh_name, name, h->mesh_name.n + 1);
    net_act(n, &(struct net_action){.kind = NET_FOUNDER, .founder = h->founder, .text = name});
    return true;
}

static void take_address(struct link *l, struct bytes told)
{
    char text[NET_ADDR_MAX], joined[NET_ADDR_MAX];
    const char *addr = text;
    (void)snprintf(text, sizeof text, "%.*s", (int)told.n, (const char *)told.p);
    enum addr_kind kind = addr_classify(text);
    if (kind == ADDR_WILDCARD && addr_join(l->addr, text, joined)) {
        addr = joined;
        kind = addr_classify(joined);
    }
    if (kind != ADDR_PLAIN && !(kind == ADDR_LOOPBACK && l->local))
        return;
    (void)snprintf(l->peer->told, sizeof l->peer->told, "%s", addr);
    /* One that dialed says where it is now; one that was dialed is where it was dialed, and the operator knows best. */
    if (l->peer->addr[0] == 0 || (!l->outbound && !l->peer->pinned))
        (void)snprintf(l->peer->addr, sizeof l->peer->addr, "%s", addr);
}

static void got_hello(struct net *n, struct link *l, const struct wire_hello *h)
{
    char name[ID_HEX_SIZE];
    struct id digest;
    if (h->version != l->conn.version) {
        link_close(n, l, REASON_VERSION, "its HELLO names another version than the handshake agreed on");
        return;
    }
    if (!take_founder(n, l, h))
        return;
    assert(l->peer != NULL && l->peer->link == l && l->up_ms == 0);
    l->skew_ms = (int64_t)(h->clock_ms - net_clock(n));
    l->remote_count = h->count;
    take_address(l, h->address);
    l->peer->proved = true;
    conn_up(&l->conn);
    l->up_ms = n->now_ms > 0 ? n->now_ms : 1;
    l->ping_ms = n->now_ms + net_jitter(n, link_dead_ms(n) / 3);
    note_up(n, l);
    session_peers(n, l);
    if (l->ended)
        return;
    if (!crowd_admits(n, l)) {
        link_close(n, l, REASON_FULL, NULL);
        return;
    }
    net_log(n, 2, "session with %s at %s (%s), %llu deltas there", peer_name(l->peer, name), l->addr,
            l->outbound ? "dialed" : "accepted", (unsigned long long)h->count);
    l->peer->crowded = false;
    overlay_up(n, l);
    if (!n->wide)
        announce(n, l); /* in an overlay PEERS every minute will do */
    session_apply(n, l);
    net_act(n, &(struct net_action){.kind = NET_WANT_MISSING});
    setindex_digest(n->config.set, &digest);
    sync_up(n, l, h, &digest);
}

static void got_peers(struct net *n, struct link *l, const struct wire_peers *peers)
{
    char addr[NET_ADDR_MAX];
    for (size_t i = 0; i < peers->count; i++) {
        struct bytes a = peers->list[i].address;
        (void)snprintf(addr, sizeof addr, "%.*s", (int)a.n, (const char *)a.p);
        book_learn(n, l, &peers->list[i].key, addr);
    }
    overlay_look(n);
}

/* ---- newcomers --------------------------------------------------------------------------------------------------------- */

void session_apply(struct net *n, struct link *l)
{
    l->applied = l->applied && n->application.n > 0;
    if (l->applied || n->application.n == 0 || !link_up(l) || l->ended)
        return;
    l->applied = true;
    link_send(n, l, &(struct wire_message){.type = WIRE_JOIN, .body = buf_view(&n->application)});
}

/* One at a time: a second one before the answer is dropped. */
static void got_join(struct net *n, struct link *l, const struct wire_message *m)
{
    if (l->joining || m->body.n == 0)
        return;
    l->joining = true;
    struct buf bytes = {0};
    buf_put_bytes(&bytes, m->body);
    net_act_bytes(n, &(struct net_action){.kind = NET_JOIN, .conn = l->id, .peer = l->conn.remote}, &bytes);
}

void session_welcome(struct net *n, const struct net_event *e)
{
    struct link *l = link_by_id(n, e->conn);
    size_t length = strlen(e->text);
    if (l == NULL || !l->joining)
        return;
    l->joining = false;
    link_send(n, l, &(struct wire_message){.type = WIRE_WELCOME,
                                           .welcome = e->welcome,
                                           .text = bytes_of(e->text, length < WIRE_TEXT_MAX ? length : WIRE_TEXT_MAX)});
}

/* What another node wrote, for logs: without control characters. */
static void plain_text(char out[WIRE_TEXT_MAX + 1], struct bytes text)
{
    (void)snprintf(out, WIRE_TEXT_MAX + 1, "%.*s", (int)text.n, (const char *)text.p);
    for (char *p = out; *p != 0; p++)
        if ((unsigned char)*p < ' ')
            *p = '?';
}

static void got_welcome(struct net *n, struct link *l, const struct wire_message *m)
{
    char text[WIRE_TEXT_MAX + 1];
    if (!l->applied || n->application.n == 0)
        return; /* not asked, or not any more */
    plain_text(text, m->text);
    l->applied = m->welcome != NET_WELCOME_ELSEWHERE; /* it is asked again with the next PING */
    net_act(n, &(struct net_action){.kind = NET_WELCOME, .peer = l->conn.remote, .welcome = m->welcome, .text = text});
}

/* ---- messages ---------------------------------------------------------------------------------------------------------- */

static void got_close(struct net *n, struct link *l, const struct wire_message *m)
{
    char text[WIRE_TEXT_MAX + 1];
    plain_text(text, m->text);
    if (l->peer != NULL && (m->reason == REASON_FULL || m->reason == REASON_BANNED || m->reason == REASON_REMOVED) && l->peer->fails < 4)
        l->peer->fails = 4; /* no use in coming back at once */
    if (l->peer != NULL && m->reason == REASON_FULL)
        l->peer->crowded = true;
    conn_close(&l->conn, m->reason, NULL);
    (void)snprintf(l->conn.detail, sizeof l->conn.detail, "said by the other side: %s", text);
    buf_reset(&l->conn.out); /* it does not listen any more */
    link_ended(n, l);
}

static void got_pong(struct net *n, struct link *l, const struct wire_message *m)
{
    if (l->ping_token == 0 || m->token != l->ping_token)
        return;
    l->ping_token = 0;
    assert(n->now_ms >= l->ping_sent_ms);
    uint64_t rtt = n->now_ms - l->ping_sent_ms;
    l->rtt_ms = l->rtt_ms == 0 ? rtt : (7 * l->rtt_ms + rtt) / 8;
    l->skew_ms = (int64_t)(m->clock_ms - net_clock(n));
}

/* PROTOCOL 6.5: Control messages are limited to 32 a second and 256 at once; a peer that sends more is closed. */
static bool within_control(struct net *n, struct link *l)
{
    if (bucket_take(&l->control, NET_CONTROL_BURST, NET_CONTROL_RATE, n->now_ms))
        return true;
    book_score(n, l->peer, NET_SCORED_PROTOCOL);
    link_close(n, l, REASON_LIMIT, "too many control messages");
    return false;
}

static void got_dont_want(struct link *l, const struct wire_message *m)
{
    for (size_t i = 0; i < m->count; i++)
        recent_add(&l->known, &m->ids[i]);
}

void session_message(struct net *n, struct link *l, const struct wire_message *m)
{
    assert(!l->ended && l->peer != NULL);
    assert((m->type == WIRE_HELLO) == (l->conn.state == CONN_HELLO) || m->type == WIRE_CLOSE);
    switch (m->type) {
    case WIRE_HELLO:
        got_hello(n, l, &m->hello);
        return;
    case WIRE_CLOSE:
        got_close(n, l, m);
        return;
    case WIRE_DELTA:
        fetch_delta(n, l, m);
        return;
    case WIRE_IHAVE:
        fetch_have(n, l, m);
        return;
    case WIRE_IWANT:
        serve_asked(n, l, m);
        return;
    case WIRE_GONE:
        fetch_gone(n, l, m);
        return;
    case WIRE_RECON:
        sync_recon(n, l, m);
        return;
    case WIRE_CALL:
        calls_message(n, l, m);
        return;
    case WIRE_PING:
    case WIRE_PONG:
    case WIRE_PEERS:
    case WIRE_IDONTWANT:
    case WIRE_GRAFT:
    case WIRE_PRUNE:
    case WIRE_HINT:
    case WIRE_JOIN:
    case WIRE_WELCOME:
    case WIRE_TYPE_END:
        break;
    }
    if (!within_control(n, l))
        return;
    if (m->type == WIRE_PING)
        link_send(n, l, &(struct wire_message){.type = WIRE_PONG, .token = m->token, .clock_ms = net_clock(n)});
    if (m->type == WIRE_PONG)
        got_pong(n, l, m);
    if (m->type == WIRE_PEERS)
        got_peers(n, l, &m->peers);
    if (m->type == WIRE_IDONTWANT)
        got_dont_want(l, m);
    if (m->type == WIRE_JOIN)
        got_join(n, l, m);
    if (m->type == WIRE_WELCOME)
        got_welcome(n, l, m);
    if (m->type == WIRE_GRAFT)
        overlay_got_graft(n, l);
    if (m->type == WIRE_PRUNE)
        overlay_got_prune(n, l, m);
}
