/*
 * The in-memory rim: one heap-free scheduler that delivers what is due, then moves virtual time to the next deadline, and
 * gives out the engines' actions.
 */
#include "tests/lib/netlab_inside.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lab_host *lab_host(struct lab *lab, size_t i)
{
    assert(i < lab->hosts);
    return &lab->host[i];
}

uint64_t lab_now(const struct lab *lab)
{
    return lab->now;
}

const struct id *lab_mesh(const struct lab *lab)
{
    return &lab->mesh;
}

uint64_t lab_sent(const struct lab *lab)
{
    return lab->bytes;
}

uint64_t lab_clock(const struct lab *lab, const struct lab_host *h)
{
    return (uint64_t)((int64_t)(CLOCK_BASE_MS + lab->now) + h->clock_skew_ms);
}

static void drain(struct lab *lab, struct lab_host *h);

void lab_event(struct lab *lab, size_t i, struct net_event e)
{
    struct lab_host *h = lab_host(lab, i);
    if (h->net == NULL)
        return;
    e.clock_ms = lab_clock(lab, h);
    net_input(h->net, &e, lab->now);
    drain(lab, h);
}

/* What a test wants to know of calls: a line each, and the bytes of the last one. */
static void called(struct lab *lab, struct lab_host *h, const struct net_action *a)
{
    static const char *const words[] = {[NET_CALLED] = "called", [NET_CALL_LEFT] = "left", [NET_ANSWERED] = "answered",
                                        [NET_CALL_LOST] = "lost", [NET_REACHED] = "reached"};
    buf_printf(&h->calls, "%s %llu %zu%s%s%s\n", words[a->kind], (unsigned long long)a->call, a->bytes.n,
               a->final ? " final" : "", a->unsent ? " unsent" : "", a->late ? " late" : "");
    buf_reset(&h->call_bytes);
    buf_put_bytes(&h->call_bytes, a->bytes);
    if (a->kind == NET_CALLED && h->on_called != NULL)
        h->on_called(lab, h, a);
}

static void drain(struct lab *lab, struct lab_host *h)
{
    struct net_action a;
    while (h->net != NULL && net_next(h->net, &a) != NET_NONE) {
        switch (a.kind) {
        case NET_NONE:
            break;
        case NET_DIAL:
            lab_wire_dial(lab, h, &a);
            break;
        case NET_SEND:
            lab_wire_send(lab, &a);
            break;
        case NET_CLOSE:
            lab_wire_close(lab, a.conn);
            break;
        case NET_STORE:
            lab_store(lab, h, &a);
            break;
        case NET_LOAD: {
            const struct lab_bundle *b = lab_held(h, &a.id);
            struct net_event loaded = {.kind = NET_LOADED, .load = a.load};
            if (b != NULL)
                loaded.bytes = buf_view(&b->bytes);
            lab_event(lab, h->index, loaded);
            break;
        }
        case NET_WANT_MISSING:
            h->wanted_missing++;
            break;
        case NET_FOUNDER:
            h->got_founder = true;
            break;
        case NET_REACHED:
        case NET_CALLED:
        case NET_CALL_LEFT:
        case NET_ANSWERED:
        case NET_CALL_LOST:
            called(lab, h, &a);
            break;
        case NET_JOIN:
            h->joins++;
            h->join_conn = a.conn;
            h->join_peer = a.peer;
            buf_reset(&h->join);
            buf_put_bytes(&h->join, a.bytes);
            break;
        case NET_WELCOME:
            h->welcomes++;
            h->welcome = a.welcome;
            buf_reset(&h->join);
            buf_put_str(&h->join, a.text);
            break;
        case NET_LOG:
            buf_printf(&h->log, "%d %s\n", a.level, a.text);
            break;
        }
    }
}

/* ---- time ----------------------------------------------------------------------------------------------------------------- */

static uint64_t next_time(struct lab *lab, uint64_t end)
{
    uint64_t at = end;
    for (size_t i = 0; i < lab->hosts; i++)
        if (lab->host[i].net != NULL && net_deadline(lab->host[i].net) < at)
            at = net_deadline(lab->host[i].net);
    for (size_t i = 0; i < lab->laters; i++)
        if (lab->later[i].at_ms < at && !lab->host[lab->later[i].host].store_stuck)
            at = lab->later[i].at_ms;
    return lab_wire_next(lab, at);
}

bool lab_until(struct lab *lab, uint64_t ms, bool (*done)(struct lab *lab, void *ctx), void *ctx)
{
    uint64_t end = lab->now + ms, idle = 0;
    for (;;) {
        for (size_t i = 0; i < lab->hosts; i++)
            if (lab->host[i].net != NULL && net_deadline(lab->host[i].net) <= lab->now)
                lab_event(lab, i, (struct net_event){.kind = NET_TICK});
        bool any = lab_wire_due(lab);
        while (lab_store_due(lab))
            any = true;
        lab_wire_reap(lab);
        if (done != NULL && done(lab, ctx))
            return true;
        if (any)
            continue;
        uint64_t at = next_time(lab, end);
        idle = at <= lab->now ? idle + 1 : 0;
        assert(idle < 1000 && "a deadline that is always due");
        if (lab->now >= end)
            return false;
        if (at > lab->now)
            lab->now = at;
    }
}

void lab_run(struct lab *lab, uint64_t ms)
{
    (void)lab_until(lab, ms, NULL, NULL);
}

bool lab_equal(struct lab *lab, void *unused)
{
    struct id first, d;
    bool have = false;
    (void)unused;
    for (size_t i = 0; i < lab->hosts; i++) {
        if (lab->host[i].net == NULL)
            continue;
        setindex_digest(lab->host[i].set, &d);
        if (have && !id_eq(&first, &d))
            return false;
        first = d;
        have = true;
    }
    return true;
}

/* ---- set-up ---------------------------------------------------------------------------------------------------------------- */

static void configure(struct lab *lab, struct lab_host *h)
{
    struct net_config *c = &h->config;
    gen_author(&h->identity, 100 + h->index);
    (void)snprintf(h->addr, sizeof h->addr, "10.0.0.%zu:7000", h->index + 1);
    *c = (struct net_config){.mesh = lab->mesh, .has_founder = true, .founder = lab->founder.key, .identity = h->identity.key};
    (void)snprintf(c->mesh_name, sizeof c->mesh_name, "lab");
    (void)snprintf(c->advertise, sizeof c->advertise, "%s", h->addr);
    memcpy(c->identity_secret, h->identity.secret, 64);
    struct rng rng;
    rng_seed(&rng, lab->seed * 1000 + h->index);
    rng_bytes(&rng, c->static_secret, 32);
    rng_bytes(&rng, c->seed, 32);
    h->set = setindex_new();
    c->set = h->set;
    h->listening = true;
}

struct lab *lab_new(size_t hosts, uint64_t seed)
{
    struct lab *lab = mem_zalloc(sizeof *lab);
    assert(hosts <= LAB_HOSTS_MAX && sodium_init() >= 0);
    lab->hosts = hosts;
    lab->seed = seed;
    lab->now = 1000;
    lab->raw_addr = "10.9.9.9:50000";
    gen_author(&lab->founder, 1);
    mesh_id(&lab->mesh, &lab->founder.key, bytes_str("lab"));
    for (size_t i = 0; i < hosts; i++) {
        lab->host[i].index = i;
        configure(lab, &lab->host[i]);
        lab_up(lab, i);
    }
    return lab;
}

void lab_up(struct lab *lab, size_t i)
{
    struct lab_host *h = lab_host(lab, i);
    assert(h->net == NULL);
    h->config.seed[0]++; /* a restart draws other nonces */
    h->net = net_new(&h->config, lab->now);
    lab_event(lab, i, (struct net_event){.kind = NET_TICK});
}

void lab_down(struct lab *lab, size_t i)
{
    struct lab_host *h = lab_host(lab, i);
    net_free(h->net);
    h->net = NULL;
    lab_store_lost(lab, i);
    lab_wire_down(lab, i);
}

void lab_free(struct lab *lab)
{
    for (size_t i = 0; i < lab->hosts; i++) {
        struct lab_host *h = &lab->host[i];
        if (h->net != NULL)
            lab_down(lab, i);
        for (size_t k = 0; k < h->count; k++)
            buf_close(&h->bundles[k].bytes);
        free(h->bundles);
        buf_close(&h->log);
        buf_close(&h->calls);
        buf_close(&h->call_bytes);
        buf_close(&h->join);
        setindex_free(h->set);
    }
    lab_wire_free(lab);
    free(lab->later);
    free(lab);
}

void lab_peer(struct lab *lab, size_t at, const char *addr)
{
    lab_event(lab, at, (struct net_event){.kind = NET_PEER_ADD, .addr = addr});
}

void lab_link(struct lab *lab, size_t from, size_t to)
{
    lab_peer(lab, from, lab_host(lab, to)->addr);
}

static size_t up_among(struct lab *lab, size_t i, const struct key *key)
{
    struct net_peer_info peers[128];
    size_t up = 0, count = net_peers(lab_host(lab, i)->net, peers, 128);
    for (size_t k = 0; k < count; k++)
        up += peers[k].state == PEER_UP && (key == NULL || key_eq(&peers[k].id, key));
    return up;
}

size_t lab_up_links(struct lab *lab, size_t i)
{
    return up_among(lab, i, NULL);
}

bool lab_linked(struct lab *lab, size_t a, size_t b)
{
    return up_among(lab, a, &lab_host(lab, b)->identity.key) == 1;
}
