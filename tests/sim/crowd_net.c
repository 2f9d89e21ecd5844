/*
 * The connections of a crowd: ordered byte streams with latency, late segments, and connections that fall silent for a
 * while without a word and then go on or break.
 */
#include "crdt/alloc.h"
#include "tests/sim/crowd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LATE_IN_1000  20         /* segments that had to be sent again */
#define STALL_LOW_MS  2000
#define STALL_HIGH_MS 30000
#define SOCKET_BYTES  65536

static uint64_t number_of(uint64_t conn, unsigned side)
{
    return 2 * conn + side + 1;
}

/* A fixed value for each pair, from their numbers alone. */
static uint64_t base_latency(const struct crowd *c, uint32_t from, uint32_t to)
{
    uint64_t x = (c->config.seed ^ ((uint64_t)from << 32 | to)) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9u;
    x ^= x >> 29;
    return x % 1000 < 200 ? 50 + (x >> 10) % 201 : 1 + (x >> 10) % 30;
}

static uint64_t latency(struct crowd *c, uint32_t from, uint32_t to)
{
    uint64_t base = base_latency(c, from, to);
    uint64_t late = sim_chance(&c->links, LATE_IN_1000) ? sim_draw(&c->links, 200, 1500) : 0;
    return base + rng_below(&c->links, base / 4 + 1) + late;
}

static void pipe_clear(struct crowd_pipe *p)
{
    for (struct crowd_segment *s = p->first, *next; s != NULL; s = next) {
        next = s->next;
        buf_close(&s->bytes);
        free(s);
    }
    p->first = p->last = NULL;
    p->bytes = 0;
}

void crowd_conn_free(struct crowd_conn *conn)
{
    pipe_clear(&conn->pipe[0]);
    pipe_clear(&conn->pipe[1]);
    free(conn);
}

/* Even and odd hosts, while they are split. */
static bool apart(const struct crowd *c, uint32_t a, uint32_t b)
{
    return c->split && a % 2 != b % 2;
}

/* ---- ending ----------------------------------------------------------------------------------------------------- */

static void side_down(struct crowd *c, struct crowd_conn *k, unsigned side)
{
    assert(k->open[side]);
    k->open[side] = false;
    pipe_clear(&k->pipe[1 - side]);
    c->live -= !k->open[1 - side];
}

void crowd_closed(struct crowd *c, const struct sim_event *e)
{
    struct crowd_conn *k = c->conns[e->conn];
    if (!k->open[e->side])
        return;
    if (apart(c, k->host[0], k->host[1])) {
        crowd_at(c, c->now + 1000, *e);
        return;
    }
    side_down(c, k, e->side);
    crowd_host_input(c, &c->hosts[k->host[e->side]],
                     (struct net_event){.kind = NET_CLOSED, .conn = number_of(e->conn, e->side)});
}

static void plan_closed(struct crowd *c, uint64_t conn, unsigned side)
{
    const struct crowd_conn *k = c->conns[conn];
    uint64_t at = c->now + latency(c, k->host[1 - side], k->host[side]);
    crowd_at(c, at, (struct sim_event){.kind = SIM_CLOSED, .host = k->host[side], .conn = conn, .side = side});
}

void crowd_host_gone(struct crowd *c, uint32_t host)
{
    for (uint64_t id = 0; id < c->conn_count; id++) {
        struct crowd_conn *k = c->conns[id];
        for (unsigned side = 0; side < 2; side++) {
            if (k->host[side] != host || !k->open[side])
                continue;
            side_down(c, k, side);
            if (k->open[1 - side] && sim_chance(&c->links, 700)) /* its system says so, or nobody does */
                plan_closed(c, id, 1 - side);
        }
    }
}

/* ---- sending and arriving ----------------------------------------------------------------------------------------- */

static void arm(struct crowd *c, uint64_t conn, unsigned side)
{
    struct crowd_conn *k = c->conns[conn];
    struct crowd_pipe *p = &k->pipe[side];
    if (p->armed || k->stalled || (p->first == NULL && !p->fin))
        return;
    uint64_t due = p->first != NULL && p->first->due > c->now ? p->first->due : c->now;
    p->armed = true;
    crowd_at(c, due, (struct sim_event){.kind = SIM_PIPE, .host = k->host[1 - side], .conn = conn, .side = side});
}

static void report(struct crowd *c, uint64_t conn, unsigned side)
{
    struct crowd_conn *k = c->conns[conn];
    size_t under_way = k->pipe[side].bytes;
    k->reported[side] = under_way > SOCKET_BYTES ? under_way - SOCKET_BYTES : 0;
    struct net_event e = {.kind = NET_DRAINED, .conn = number_of(conn, side), .queued = k->reported[side]};
    crowd_host_input(c, &c->hosts[k->host[side]], e);
}

void crowd_write(struct crowd *c, uint64_t number, struct bytes bytes)
{
    uint64_t conn = (number - 1) / 2;
    unsigned side = (unsigned)((number - 1) % 2);
    struct crowd_conn *k = c->conns[conn];
    struct crowd_pipe *p = &k->pipe[side];
    if (!k->open[side])
        return;
    struct crowd_segment *s = mem_zalloc(sizeof *s);
    s->due = c->now + latency(c, k->host[side], k->host[1 - side]);
    if (p->last != NULL && p->last->due > s->due)
        s->due = p->last->due;
    buf_put_bytes(&s->bytes, bytes);
    *(p->first == NULL ? &p->first : &p->last->next) = s;
    p->last = s;
    p->bytes += bytes.n;
    c->hosts[k->host[side]].sent_bytes += bytes.n;
    arm(c, conn, side);
    report(c, conn, side);
}

void crowd_shut(struct crowd *c, uint64_t number)
{
    uint64_t conn = (number - 1) / 2;
    unsigned side = (unsigned)((number - 1) % 2);
    struct crowd_conn *k = c->conns[conn];
    if (!k->open[side])
        return;
    side_down(c, k, side);
    k->pipe[side].fin = true;
    arm(c, conn, side);
}

/* What this side sent and is due. */
void crowd_arrive(struct crowd *c, const struct sim_event *e)
{
    struct crowd_conn *k = c->conns[e->conn];
    struct crowd_pipe *p = &k->pipe[e->side];
    unsigned to = 1 - e->side;
    p->armed = false;
    if (k->stalled)
        return;
    while (p->first != NULL && p->first->due <= c->now && k->open[to]) {
        struct crowd_segment *s = p->first;
        p->first = s->next;
        if (p->first == NULL)
            p->last = NULL;
        p->bytes -= s->bytes.n;
        crowd_host_input(c, &c->hosts[k->host[to]],
                         (struct net_event){.kind = NET_DATA, .conn = number_of(e->conn, to), .bytes = buf_view(&s->bytes)});
        buf_close(&s->bytes);
        free(s);
    }
    if (!k->open[to]) {
        pipe_clear(p);
        if (k->open[e->side] && c->hosts[k->host[to]].up)
            plan_closed(c, e->conn, e->side);
        return;
    }
    if (k->open[e->side] && k->reported[e->side] > 0)
        report(c, e->conn, e->side);
    if (p->first == NULL && p->fin) {
        side_down(c, k, to);
        crowd_host_input(c, &c->hosts[k->host[to]], (struct net_event){.kind = NET_CLOSED, .conn = number_of(e->conn, to)});
        return;
    }
    arm(c, e->conn, e->side);
}

/* ---- dialing ------------------------------------------------------------------------------------------------------ */

void crowd_dial(struct crowd *c, uint32_t from, const char *addr, uint64_t dial)
{
    unsigned a, b;
    struct sim_event e = {.kind = SIM_REFUSED, .host = from, .epoch = c->hosts[from].epoch, .n = dial};
    if (sscanf(addr, "198.%u.%u.1:7700", &a, &b) == 2 && a * 250 + b < c->config.nodes) {
        e.kind = SIM_CONNECT;
        e.other = a * 250 + b;
    }
    assert(strcmp(addr, c->hosts[e.other].addr) == 0 || e.kind == SIM_REFUSED);
    crowd_at(c, c->now + 2 * base_latency(c, from, e.other), e);
}

static uint64_t conn_new(struct crowd *c, uint32_t from, uint32_t to)
{
    if (c->conn_count == c->conn_cap) {
        c->conn_cap = c->conn_cap == 0 ? 1024 : 2 * c->conn_cap;
        c->conns = mem_realloc(c->conns, c->conn_cap, sizeof(struct crowd_conn *));
    }
    struct crowd_conn *k = mem_zalloc(sizeof *k);
    *k = (struct crowd_conn){.host = {from, to}, .open = {true, true}};
    c->conns[c->conn_count] = k;
    c->live++;
    return c->conn_count++;
}

void crowd_connect(struct crowd *c, const struct sim_event *e)
{
    struct crowd_host *from = &c->hosts[e->host], *to = &c->hosts[e->other];
    bool silent = apart(c, e->host, e->other) || (c->failing && sim_chance(&c->links, 10 * c->config.failing_percent));
    if (!to->up || silent) {
        struct sim_event refused = *e;
        refused.kind = SIM_REFUSED;
        crowd_at(c, c->now + (silent ? sim_draw(&c->links, 3000, 20000) : 1), refused);
        return;
    }
    uint64_t conn = conn_new(c, e->host, e->other);
    char addr[NET_ADDR_MAX];
    (void)snprintf(addr, sizeof addr, "%.*s:%u", (int)(strchr(from->addr, ':') - from->addr), from->addr,
                   (unsigned)(40000 + conn % 20000));
    crowd_host_input(c, to, (struct net_event){.kind = NET_ACCEPTED, .conn = number_of(conn, 1), .addr = addr});
    crowd_host_input(c, from, (struct net_event){.kind = NET_CONNECTED, .conn = number_of(conn, 0), .dial = e->n, .addr = to->addr});
}

/* ---- failing ------------------------------------------------------------------------------------------------------ */

/* In the long run the given share of all connections is silent. */
void crowd_stall(struct crowd *c)
{
    uint64_t mean = (STALL_LOW_MS + STALL_HIGH_MS) / 2, percent = c->config.failing_percent;
    for (uint64_t id = 0; id < c->conn_count; id++) {
        struct crowd_conn *k = c->conns[id];
        if (!k->open[0] || !k->open[1] || k->stalled || rng_below(&c->links, (100 - percent) * mean) >= percent * 1000)
            continue;
        k->stalled = true;
        crowd_at(c, c->now + sim_draw(&c->links, STALL_LOW_MS, STALL_HIGH_MS), (struct sim_event){.kind = SIM_MEND, .conn = id});
    }
}

void crowd_mend(struct crowd *c, const struct sim_event *e)
{
    struct crowd_conn *k = c->conns[e->conn];
    if (apart(c, k->host[0], k->host[1]))
        return;
    k->stalled = false;
    bool breaks = sim_chance(&c->links, 500);
    for (unsigned side = 0; side < 2; side++) {
        if (breaks && k->open[side]) {
            pipe_clear(&k->pipe[1 - side]);
            plan_closed(c, e->conn, side);
        } else {
            arm(c, e->conn, side);
        }
    }
}

void crowd_split(struct crowd *c)
{
    c->split = true;
    for (uint64_t id = 0; id < c->conn_count; id++)
        if (apart(c, c->conns[id]->host[0], c->conns[id]->host[1]))
            c->conns[id]->stalled = true;
}

void crowd_join(struct crowd *c)
{
    c->split = false;
    for (uint64_t id = 0; id < c->conn_count; id++) {
        c->conns[id]->stalled = false;
        arm(c, id, 0);
        arm(c, id, 1);
    }
}
