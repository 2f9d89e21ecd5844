/*
 * The lab's network: connections are pairs of byte queues with latency, stalls, cuts and a tap; a test may hold one end of a
 * connection itself. Knows hosts by their number alone.
 */
#include "tests/lib/netlab_inside.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct end *end_of(struct lab *lab, uint64_t id, struct end **other)
{
    for (size_t i = 0; i < lab->pairs; i++)
        for (size_t k = 0; k < 2; k++)
            if (lab->pair[i].end[k].id == id) {
                if (other != NULL)
                    *other = &lab->pair[i].end[1 - k];
                return &lab->pair[i].end[k];
            }
    return NULL;
}

static struct wire_pair *pair_new(struct lab *lab, size_t from, size_t to)
{
    if (lab->pairs == lab->pair_cap) {
        lab->pair_cap = lab->pair_cap == 0 ? 16 : 2 * lab->pair_cap;
        lab->pair = mem_realloc(lab->pair, lab->pair_cap, sizeof *lab->pair);
    }
    struct wire_pair *p = &lab->pair[lab->pairs++];
    memset(p, 0, sizeof *p);
    p->end[0] = (struct end){.id = ++lab->conns, .host = from, .open = true};
    p->end[1] = (struct end){.id = ++lab->conns, .host = to, .open = true};
    return p;
}

static void send_bytes(struct lab *lab, struct end *e, size_t to, struct bytes bytes)
{
    if (e->count == e->cap) {
        e->cap = e->cap == 0 ? 8 : 2 * e->cap;
        e->queue = mem_realloc(e->queue, e->cap, sizeof *e->queue);
    }
    struct piece *p = &e->queue[e->count++];
    *p = (struct piece){.at_ms = lab->now + lab->latency};
    buf_put_bytes(&p->bytes, bytes);
    lab->bytes += bytes.n;
    if (lab->tap != NULL)
        lab->tap(lab->tap_ctx, e->host, to, &p->bytes);
}

static uint64_t queued(const struct end *e)
{
    uint64_t n = 0;
    for (size_t i = 0; i < e->count; i++)
        n += e->queue[i].bytes.n;
    return n;
}

void lab_wire_dial(struct lab *lab, struct lab_host *h, const struct net_action *a)
{
    size_t to = 0;
    uint64_t dial_id = a->dial;
    char addr[64];
    h->dials++;
    (void)snprintf(addr, sizeof addr, "%s", a->text);
    while (to < lab->hosts && strcmp(lab->host[to].addr, addr) != 0)
        to++;
    if (to == lab->hosts || lab->host[to].net == NULL || !lab->host[to].listening || lab->cut[h->index][to]) {
        lab_event(lab, h->index, (struct net_event){.kind = NET_DIAL_FAILED, .dial = dial_id});
        return;
    }
    struct wire_pair *p = pair_new(lab, h->index, to);
    uint64_t mine = p->end[0].id, theirs = p->end[1].id;
    char from[80];
    (void)snprintf(from, sizeof from, "%.*s:%llu", (int)(strrchr(h->addr, ':') - h->addr), h->addr,
                   40000 + (unsigned long long)mine % 20000);
    lab_event(lab, to, (struct net_event){.kind = NET_ACCEPTED, .conn = theirs, .addr = from});
    lab_event(lab, h->index, (struct net_event){.kind = NET_CONNECTED, .conn = mine, .dial = dial_id, .addr = addr});
}

void lab_wire_send(struct lab *lab, const struct net_action *a)
{
    struct end *other, *e = end_of(lab, a->conn, &other);
    if (e != NULL && e->open)
        send_bytes(lab, e, other->host, a->bytes);
}

void lab_wire_close(struct lab *lab, uint64_t conn)
{
    struct end *e = end_of(lab, conn, NULL);
    if (e == NULL)
        return;
    e->close_sent = true;
    e->open = false;
}

static bool waits(const struct lab *lab, const struct end *from, const struct end *to)
{
    return to->deaf || (from->host != RAW && to->host != RAW && lab->stalled[from->host][to->host]);
}

/* Delivers one piece that is due on this end's way out; true: something happened. */
static bool deliver(struct lab *lab, uint64_t id)
{
    struct end *other, *e = end_of(lab, id, &other);
    if (e->count == 0) {
        if (!e->close_sent || !other->open)
            return false;
        uint64_t conn = other->id;
        other->open = false;
        if (other->host != RAW)
            lab_event(lab, other->host, (struct net_event){.kind = NET_CLOSED, .conn = conn});
        return true;
    }
    if (e->queue[0].at_ms > lab->now || waits(lab, e, other))
        return false;
    struct piece p = e->queue[0];
    size_t take = lab->chunk != 0 && p.bytes.n > lab->chunk ? lab->chunk : p.bytes.n;
    struct buf now = {0};
    buf_put(&now, p.bytes.p, take);
    if (take < p.bytes.n) {
        buf_drop(&e->queue[0].bytes, take);
    } else {
        buf_close(&p.bytes);
        e->count--;
        memmove(&e->queue[0], &e->queue[1], e->count * sizeof *e->queue);
    }
    uint64_t from = e->host, left = queued(e), to_id = other->id, to = other->host;
    bool open = e->open, other_open = other->open;
    if (to == RAW)
        buf_put_bytes(&other->raw_in, buf_view(&now));
    else if (other_open && now.n > 0)
        lab_event(lab, to, (struct net_event){.kind = NET_DATA, .conn = to_id, .bytes = buf_view(&now)});
    if (from != RAW && open)
        lab_event(lab, from, (struct net_event){.kind = NET_DRAINED, .conn = id, .queued = left});
    buf_close(&now);
    return true;
}

bool lab_wire_due(struct lab *lab)
{
    bool any = false;
    for (size_t i = 0; i < lab->pairs; i++)
        for (size_t k = 0; k < 2; k++)
            while (deliver(lab, lab->pair[i].end[k].id))
                any = true;
    return any;
}

void lab_wire_reap(struct lab *lab)
{
    for (size_t i = 0; i < lab->pairs;) {
        struct wire_pair *p = &lab->pair[i];
        if (p->end[0].open || p->end[1].open || p->end[0].host == RAW || p->end[1].host == RAW) {
            i++;
            continue;
        }
        for (size_t k = 0; k < 2; k++) {
            while (p->end[k].count > 0)
                buf_close(&p->end[k].queue[--p->end[k].count].bytes);
            free(p->end[k].queue);
            buf_close(&p->end[k].raw_in);
        }
        *p = lab->pair[--lab->pairs];
    }
}

uint64_t lab_wire_next(const struct lab *lab, uint64_t end)
{
    uint64_t at = end;
    for (size_t i = 0; i < lab->pairs; i++)
        for (size_t k = 0; k < 2; k++) {
            const struct end *e = &lab->pair[i].end[k], *o = &lab->pair[i].end[1 - k];
            if (e->count > 0 && e->queue[0].at_ms < at && !waits(lab, e, o))
                at = e->queue[0].at_ms;
        }
    return at;
}

static void cut_pairs(struct lab *lab, size_t a, size_t b)
{
    for (size_t i = 0; i < lab->pairs; i++) {
        struct end *e = lab->pair[i].end;
        for (size_t k = 0; k < 2; k++) {
            bool match = e[k].host == a && (b == SIZE_MAX || e[1 - k].host == b);
            if (!match)
                continue;
            for (size_t s = 0; s < 2; s++) {
                while (e[s].count > 0)
                    buf_close(&e[s].queue[--e[s].count].bytes);
                e[s].close_sent = true;
            }
        }
    }
}

void lab_wire_down(struct lab *lab, size_t host)
{
    cut_pairs(lab, host, SIZE_MAX);
    for (size_t k = 0; k < lab->pairs; k++)
        for (size_t s = 0; s < 2; s++)
            if (lab->pair[k].end[s].host == host)
                lab->pair[k].end[s].open = false;
}

void lab_wire_free(struct lab *lab)
{
    for (size_t i = 0; i < lab->pairs; i++)
        for (size_t k = 0; k < 2; k++) {
            lab->pair[i].end[k].open = false;
            lab->pair[i].end[k].host = 0;
        }
    lab_wire_reap(lab);
    free(lab->pair);
}

void lab_latency(struct lab *lab, uint64_t ms)
{
    lab->latency = ms;
}

void lab_stall(struct lab *lab, size_t from, size_t to, bool stalled)
{
    lab->stalled[from][to] = stalled;
}

void lab_cut(struct lab *lab, size_t a, size_t b)
{
    lab->cut[a][b] = lab->cut[b][a] = true;
    cut_pairs(lab, a, b);
    cut_pairs(lab, b, a);
}

void lab_heal(struct lab *lab, size_t a, size_t b)
{
    lab->cut[a][b] = lab->cut[b][a] = false;
}

void lab_tap(struct lab *lab, void (*tap)(void *ctx, size_t from, size_t to, struct buf *bytes), void *ctx)
{
    lab->tap = tap;
    lab->tap_ctx = ctx;
}

void lab_chunk(struct lab *lab, size_t bytes)
{
    lab->chunk = bytes;
}

/* ---- raw connections --------------------------------------------------------------------------------------------------------- */

uint64_t lab_raw_open(struct lab *lab, size_t i)
{
    struct wire_pair *p = pair_new(lab, RAW, i);
    uint64_t mine = p->end[0].id, theirs = p->end[1].id;
    lab_event(lab, i, (struct net_event){.kind = NET_ACCEPTED, .conn = theirs, .addr = lab->raw_addr});
    return mine;
}

void lab_raw_addr(struct lab *lab, const char *addr)
{
    lab->raw_addr = addr;
}

void lab_raw_send(struct lab *lab, uint64_t conn, struct bytes bytes)
{
    struct end *other, *e = end_of(lab, conn, &other);
    assert(e != NULL && e->host == RAW);
    if (e->open)
        send_bytes(lab, e, other->host, bytes);
}

bool lab_raw_receive(struct lab *lab, uint64_t conn, struct buf *out)
{
    struct end *e = end_of(lab, conn, NULL);
    buf_put_bytes(out, buf_view(&e->raw_in));
    buf_reset(&e->raw_in);
    return e->open;
}

void lab_raw_deaf(struct lab *lab, uint64_t conn)
{
    end_of(lab, conn, NULL)->deaf = true;
}

void lab_raw_close(struct lab *lab, uint64_t conn)
{
    struct end *e = end_of(lab, conn, NULL);
    e->close_sent = true;
    e->open = false;
}
