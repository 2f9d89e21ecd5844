/*
 * Connections as TCP gives them: each direction keeps its order, arrives late, in other pieces than it was sent, and in
 * a partition not until that ends. A connection dies with a reset, with an end after its last byte, or, when a host is
 * gone without a word, not at all: then the other end must find out by itself.
 */
#include "crdt/alloc.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS       500   /* a blocked direction tries again */
#define BYTES_PER_MS   10000
#define LATE_IN_1000   20    /* segments that had to be sent again */
#define SPLIT_IN_1000  100

static uint64_t number_of(uint64_t conn, unsigned side)
{
    return 2 * conn + side + 1;
}

static struct sim_conn *conn_of(struct sim_world *w, uint64_t number, uint64_t *conn, unsigned *side)
{
    assert(number >= 1);
    *conn = (number - 1) / 2;
    *side = (unsigned)((number - 1) % 2);
    assert(*conn < w->conn_count);
    return w->conns[*conn];
}

static size_t pair_of(const struct sim_world *w, uint32_t from, uint32_t to)
{
    return (size_t)from * w->host_count + to;
}

bool sim_pipe_blocked(const struct sim_world *w, uint32_t from, uint32_t to)
{
    return w->hosts[from].group != w->hosts[to].group || w->cut[pair_of(w, from, to)];
}

static uint64_t latency(struct sim_world *w, struct rng *r, uint32_t from, uint32_t to)
{
    uint64_t base = w->latency[pair_of(w, from, to)];
    uint64_t late = !w->healing && sim_chance(r, LATE_IN_1000) ? sim_draw(r, 200, 1500) : 0;
    return base + sim_draw(r, 0, base / 4) + late;
}

/* ---- ending ----------------------------------------------------------------------------------------------------- */

static void pipe_clear(struct sim_pipe *p)
{
    buf_close(&p->bytes);
    free(p->segments);
    p->segments = NULL;
    p->first = p->count = p->cap = 0;
}

void sim_conn_free(struct sim_conn *c)
{
    pipe_clear(&c->pipe[0]);
    pipe_clear(&c->pipe[1]);
    free(c);
}

static void side_closed(struct sim_world *w, struct sim_conn *c, uint64_t conn, unsigned side)
{
    struct sim_side *s = &c->side[side];
    if (!s->open)
        return;
    s->open = false;
    pipe_clear(&c->pipe[1 - side]);
    struct node_event e = {.kind = NODE_NET, .net = {.kind = NET_CLOSED, .conn = number_of(conn, side)}};
    sim_host_input(w, &w->hosts[s->host], e);
}

void sim_conn_closed(struct sim_world *w, const struct sim_event *e)
{
    struct sim_conn *c = w->conns[e->conn];
    if (c->side[e->side].open && sim_pipe_blocked(w, c->side[1 - e->side].host, c->side[e->side].host)) {
        sim_world_at(w, w->now + RETRY_MS, *e);
        return;
    }
    side_closed(w, c, e->conn, e->side);
}

static void plan_closed(struct sim_world *w, struct sim_conn *c, uint64_t conn, unsigned side)
{
    uint64_t at = w->now + latency(w, &c->rng, c->side[1 - side].host, c->side[side].host);
    sim_world_at(w, at, (struct sim_event){.kind = SIM_CLOSED, .host = c->side[side].host, .conn = conn, .side = side});
}

void sim_conn_reset(struct sim_world *w, struct sim_conn *c, uint64_t id)
{
    for (unsigned side = 0; side < 2; side++) {
        pipe_clear(&c->pipe[side]);
        if (c->side[side].open)
            plan_closed(w, c, id, side);
    }
}

/* The host is gone. Its system may still have said goodbye for it, or not. */
void sim_conn_host_down(struct sim_world *w, uint32_t host)
{
    for (uint64_t id = 0; id < w->conn_count; id++) {
        struct sim_conn *c = w->conns[id];
        for (unsigned side = 0; side < 2; side++) {
            if (c->side[side].host != host || !c->side[side].open)
                continue;
            c->side[side].open = false;
            pipe_clear(&c->pipe[side]);
            if (c->side[1 - side].open && sim_chance(&c->rng, 700))
                plan_closed(w, c, id, 1 - side);
        }
    }
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static void arm(struct sim_world *w, struct sim_conn *c, uint64_t conn, unsigned side)
{
    struct sim_pipe *p = &c->pipe[side];
    if (p->armed)
        return;
    uint64_t due = p->first < p->count ? p->segments[p->first].due : p->last_due;
    p->armed = true;
    sim_world_at(w, due > w->now ? due : w->now,
             (struct sim_event){.kind = SIM_PIPE, .host = c->side[1 - side].host, .conn = conn, .side = side});
}

static void push_segment(struct sim_pipe *p, uint64_t due, size_t n)
{
    if (p->first > 0 && p->first == p->count)
        p->first = p->count = 0;
    if (p->count == p->cap) {
        p->cap = p->cap == 0 ? 8 : 2 * p->cap;
        p->segments = mem_realloc(p->segments, p->cap, sizeof *p->segments);
    }
    p->segments[p->count++] = (struct sim_segment){.due = due, .n = n};
    p->last_due = due;
}

void sim_conn_write(struct sim_world *w, uint64_t number, struct bytes bytes)
{
    uint64_t conn;
    unsigned side;
    struct sim_conn *c = conn_of(w, number, &conn, &side);
    struct sim_side *s = &c->side[side];
    struct sim_pipe *p = &c->pipe[side];
    if (!s->open || bytes.n == 0)
        return;
    struct sim_host *h = &w->hosts[s->host];
    uint64_t due = w->now + latency(w, &c->rng, s->host, c->side[1 - side].host);
    due = (due > p->last_due ? due : p->last_due) + bytes.n / BYTES_PER_MS;
    buf_put_bytes(&p->bytes, bytes);
    push_segment(p, due, bytes.n);
    arm(w, c, conn, side);
    *(w->hosts[c->side[1 - side].host].villain == NULL ? &h->sent_minute : &h->fed_minute) += bytes.n;
    if (!s->touched)
        buf_put(&h->touched, &conn, sizeof conn);
    s->touched = true;
}

void sim_conn_shut(struct sim_world *w, uint64_t number)
{
    uint64_t conn;
    unsigned side;
    struct sim_conn *c = conn_of(w, number, &conn, &side);
    if (!c->side[side].open)
        return;
    c->side[side].open = false;
    c->pipe[side].fin = true;
    if (c->pipe[side].first == c->pipe[side].count)
        c->pipe[side].last_due = w->now + latency(w, &c->rng, c->side[side].host, c->side[1 - side].host);
    arm(w, c, conn, side);
}

static bool report(struct sim_world *w, struct sim_conn *c, uint64_t conn, unsigned side)
{
    struct sim_side *s = &c->side[side];
    size_t under_way = c->pipe[side].bytes.n;
    s->touched = false;
    if (!s->open)
        return false;
    s->reported = under_way > SIM_SOCKET ? under_way - SIM_SOCKET : 0;
    struct node_event e = {.kind = NODE_NET};
    e.net = (struct net_event){.kind = NET_DRAINED, .conn = number_of(conn, side), .queued = s->reported};
    sim_host_feed(w, &w->hosts[s->host], e);
    return true;
}

bool sim_conn_report(struct sim_world *w, struct sim_host *h)
{
    bool told = false;
    struct buf list = h->touched;
    h->touched = (struct buf){0};
    for (size_t i = 0; i + sizeof(uint64_t) <= list.n; i += sizeof(uint64_t)) {
        uint64_t conn;
        memcpy(&conn, list.p + i, sizeof conn);
        struct sim_conn *c = w->conns[conn];
        for (unsigned side = 0; side < 2; side++)
            if (c->side[side].touched && c->side[side].host == h->index && c->side[side].epoch == h->epoch)
                told |= report(w, c, conn, side);
    }
    buf_close(&list);
    return told;
}

/* ---- arriving --------------------------------------------------------------------------------------------------- */

/* Takes what is due out of the pipe into the world's scratch buffer. */
static void take_due(struct sim_world *w, struct sim_pipe *p)
{
    size_t n = 0;
    while (p->first < p->count && p->segments[p->first].due <= w->now)
        n += p->segments[p->first++].n;
    buf_reset(&w->scratch);
    buf_put(&w->scratch, p->bytes.p, n);
    if (n > 0)
        buf_drop(&p->bytes, n);
}

static void deliver(struct sim_world *w, struct sim_conn *c, uint64_t conn, unsigned to)
{
    struct buf bytes = w->scratch;
    w->scratch = (struct buf){0};
    size_t cut = bytes.n > 1 && sim_chance(&c->rng, SPLIT_IN_1000) ? (size_t)sim_draw(&c->rng, 1, bytes.n - 1) : bytes.n;
    sim_trace_bytes(w, bytes.p, bytes.n);
    for (size_t at = 0; at < bytes.n; at = cut, cut = bytes.n) {
        struct node_event e = {.kind = NODE_NET, .net = {.kind = NET_DATA, .conn = number_of(conn, to)}};
        e.net.bytes = bytes_of(bytes.p + at, cut - at);
        if (c->side[to].open)
            sim_host_input(w, &w->hosts[c->side[to].host], e);
    }
    buf_close(&bytes);
}

/* Bytes for an end that is no more: a host that is there says so, one that is not says nothing. */
static void arrive_nowhere(struct sim_world *w, struct sim_conn *c, uint64_t conn, unsigned from)
{
    struct sim_pipe *p = &c->pipe[from];
    if (!c->side[from].open || w->hosts[c->side[1 - from].host].up) {
        pipe_clear(p);
        if (c->side[from].open)
            plan_closed(w, c, conn, from);
        return;
    }
    p->armed = true;
    sim_world_at(w, w->now + RETRY_MS,
             (struct sim_event){.kind = SIM_PIPE, .host = c->side[1 - from].host, .conn = conn, .side = from});
}

/* A hostile host that does not read, until the other end gives up. */
static bool reads_nothing(const struct sim_world *w, const struct sim_conn *c, uint64_t conn, unsigned side)
{
    const struct sim_host *h = &w->hosts[c->side[side].host];
    return h->villain != NULL && c->side[1 - side].open && c->side[side].open && villain_deaf(h, number_of(conn, side));
}

void sim_conn_arrive(struct sim_world *w, const struct sim_event *e)
{
    struct sim_conn *c = w->conns[e->conn];
    unsigned from = e->side, to = 1 - e->side;
    struct sim_pipe *p = &c->pipe[from];
    p->armed = false;
    if (p->first == p->count && !p->fin)
        return;
    if (sim_pipe_blocked(w, c->side[from].host, c->side[to].host) || reads_nothing(w, c, e->conn, to)) {
        p->armed = true;
        sim_world_at(w, w->now + RETRY_MS, *e);
        return;
    }
    if (!c->side[to].open) {
        arrive_nowhere(w, c, e->conn, from);
        return;
    }
    take_due(w, p);
    sim_trace_note(w, "%zu bytes from %u", w->scratch.n, c->side[from].host);
    deliver(w, c, e->conn, to);
    if (c->side[from].open && c->side[from].reported > 0 && report(w, c, e->conn, from))
        sim_host_drain(w, &w->hosts[c->side[from].host]);
    if (p->first < p->count)
        arm(w, c, e->conn, from);
    else if (p->fin)
        side_closed(w, c, e->conn, to);
}

/* ---- dialing ---------------------------------------------------------------------------------------------------- */

static struct sim_host *host_at(struct sim_world *w, const char *addr)
{
    for (size_t i = 0; i < w->host_count; i++)
        if (strcmp(w->hosts[i].addr, addr) == 0)
            return &w->hosts[i];
    return NULL;
}

void sim_conn_dial(struct sim_world *w, uint32_t from, const char *addr, uint64_t dial)
{
    struct sim_host *h = &w->hosts[from], *to = host_at(w, addr);
    struct sim_event e = {.kind = to == NULL ? SIM_REFUSED : SIM_CONNECT, .host = from, .epoch = h->epoch, .n = dial};
    uint64_t wait = 1;
    if (to != NULL) {
        e.other = to->index;
        wait = 2 * (uint64_t)w->latency[pair_of(w, from, to->index)];
    }
    sim_world_at(w, w->now + wait, e);
}

void sim_conn_refused(struct sim_world *w, const struct sim_event *e)
{
    struct node_event event = {.kind = NODE_NET, .net = {.kind = NET_DIAL_FAILED, .dial = e->n}};
    sim_host_input(w, &w->hosts[e->host], event);
}

static uint64_t conn_new(struct sim_world *w, uint32_t from, uint32_t to)
{
    if (w->conn_count == w->conn_cap) {
        w->conn_cap = w->conn_cap == 0 ? 256 : 2 * w->conn_cap;
        w->conns = mem_realloc(w->conns, w->conn_cap, sizeof(struct sim_conn *));
    }
    struct sim_conn *c = mem_zalloc(sizeof *c);
    rng_fork(&c->rng, &w->links, w->conn_count);
    c->side[0] = (struct sim_side){.host = from, .epoch = w->hosts[from].epoch, .open = true};
    c->side[1] = (struct sim_side){.host = to, .epoch = w->hosts[to].epoch, .open = true};
    w->conns[w->conn_count] = c;
    return w->conn_count++;
}

void sim_conn_connect(struct sim_world *w, const struct sim_event *e)
{
    struct sim_host *from = &w->hosts[e->host], *to = &w->hosts[e->other];
    bool blocked = sim_pipe_blocked(w, e->host, e->other) || sim_pipe_blocked(w, e->other, e->host);
    if (!to->up || blocked) {
        uint64_t wait = blocked || sim_chance(&w->links, 300) ? sim_draw(&w->links, 3000, 20000) : 1;
        struct sim_event refused = *e;
        refused.kind = SIM_REFUSED;
        sim_world_at(w, w->now + wait, refused);
        return;
    }
    uint64_t conn = conn_new(w, e->host, e->other);
    char addr[NET_ADDR_MAX];
    (void)snprintf(addr, sizeof addr, "%.*s:%u", (int)(strchr(from->addr, ':') - from->addr), from->addr,
                   (unsigned)(40000 + conn % 20000));
    struct node_event accepted = {.kind = NODE_NET, .net = {.kind = NET_ACCEPTED, .conn = number_of(conn, 1), .addr = addr}};
    struct node_event connected = {.kind = NODE_NET, .net = {.kind = NET_CONNECTED, .conn = number_of(conn, 0), .dial = e->n}};
    connected.net.addr = to->addr;
    sim_host_input(w, to, accepted);
    sim_host_input(w, from, connected);
}
