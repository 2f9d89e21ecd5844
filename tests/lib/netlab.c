/*
 * The in-memory rim: one heap-free scheduler that delivers what is due, then moves virtual time to the next deadline.
 * Connections are pairs of byte queues; the store is an array with real verification.
 */
#include "tests/lib/netlab.h"

#include "crdt/alloc.h"
#include "crdt/hlc.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAW SIZE_MAX

struct piece {
    uint64_t at_ms;
    struct buf bytes;
};

/* One end of a connection: what flows away from it. */
struct end {
    uint64_t id;
    size_t host;            /* RAW: the test itself */
    bool open;              /* the engine at this end still knows it */
    bool close_sent;        /* ... has asked to close: the other end learns when the queue is empty */
    struct piece *queue;
    size_t count, cap;
    struct buf raw_in;      /* RAW: what arrived */
    bool deaf;              /* RAW: reads nothing */
};
struct wire_pair {
    struct end end[2];
};
struct stored_later {
    uint64_t at_ms, tag;
    size_t host;
    struct buf bytes;
};

struct lab {
    const char *raw_addr;
    uint64_t now, seed, conns, bytes;
    struct id mesh;
    struct gen_author founder;
    struct lab_host host[LAB_HOSTS_MAX];
    size_t hosts;
    struct wire_pair *pair;
    size_t pairs, pair_cap;
    struct stored_later *later;
    size_t laters, later_cap;
    bool cut[LAB_HOSTS_MAX][LAB_HOSTS_MAX];
    bool stalled[LAB_HOSTS_MAX][LAB_HOSTS_MAX];
    uint64_t latency, writes;
    size_t chunk;
    void (*tap)(void *ctx, size_t from, size_t to, struct buf *bytes);
    void *tap_ctx;
};

#define CLOCK_BASE_MS 1700000000000u

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

static uint64_t clock_of(const struct lab *lab, const struct lab_host *h)
{
    return (uint64_t)((int64_t)(CLOCK_BASE_MS + lab->now) + h->clock_skew_ms);
}

static void drain(struct lab *lab, struct lab_host *h);

void lab_event(struct lab *lab, size_t i, struct net_event e)
{
    struct lab_host *h = lab_host(lab, i);
    if (h->net == NULL)
        return;
    e.clock_ms = clock_of(lab, h);
    net_input(h->net, &e, lab->now);
    drain(lab, h);
}

/* ---- the store -------------------------------------------------------------------------------------------------------- */

static const struct lab_bundle *held(const struct lab_host *h, const struct id *id)
{
    for (size_t i = h->count; i-- > 0;)
        if (id_eq(&h->bundles[i].item.id, id))
            return &h->bundles[i];
    return NULL;
}

static bool keep(struct lab_host *h, const struct item *item, struct bytes bundle)
{
    if (!setindex_insert(h->set, item))
        return false;
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 64 : 2 * h->cap;
        h->bundles = mem_realloc(h->bundles, h->cap, sizeof *h->bundles);
    }
    struct lab_bundle *b = &h->bundles[h->count++];
    *b = (struct lab_bundle){.item = *item};
    if (!h->store_forgets)
        buf_put_bytes(&b->bytes, bundle);
    return true;
}

static void judge(struct lab *lab, struct lab_host *h, struct bytes in, struct net_result *r)
{
    struct bundle b;
    struct delta d;
    r->refused = true;
    if (bundle_parse(in, &b) != ERR_OK)
        return;
    if (delta_parse(b.delta, &d) == ERR_OK) {
        if (id_eq(&d.mesh, &lab->mesh) && delta_verify(&d.id, &d.author, b.sig) == ERR_OK) {
            r->refused = false;
            r->item = (struct item){.time = d.time, .id = d.id};
            r->deferred = h->store_fails || hlc_ms(d.time) > clock_of(lab, h) + MODEL_AHEAD_MAX_MS;
            if (!r->deferred)
                r->fresh = keep(h, &r->item, in);
        }
        delta_close(&d);
    }
    bundle_close(&b);
}

static void store_now(struct lab *lab, struct lab_host *h, uint64_t tag, struct bytes bytes)
{
    struct net_result r = {.tag = tag};
    judge(lab, h, bytes, &r);
    lab_event(lab, h->index, (struct net_event){.kind = NET_STORED, .count = 1, .results = &r});
}

static void store(struct lab *lab, struct lab_host *h, const struct net_action *a)
{
    h->stored_calls++;
    if (lab->laters == lab->later_cap) {
        lab->later_cap = lab->later_cap == 0 ? 64 : 2 * lab->later_cap;
        lab->later = mem_realloc(lab->later, lab->later_cap, sizeof *lab->later);
    }
    struct stored_later *s = &lab->later[lab->laters++];
    *s = (struct stored_later){.at_ms = lab->now + h->store_delay_ms, .tag = a->tag, .host = h->index};
    buf_put_bytes(&s->bytes, a->bytes);
}

static bool run_stores(struct lab *lab)
{
    for (size_t i = 0; i < lab->laters; i++) {
        struct stored_later s = lab->later[i];
        if (s.at_ms > lab->now || lab->host[s.host].store_stuck)
            continue;
        lab->laters--;
        memmove(&lab->later[i], &lab->later[i + 1], (lab->laters - i) * sizeof *lab->later);
        if (lab->host[s.host].net != NULL)
            store_now(lab, &lab->host[s.host], s.tag, buf_view(&s.bytes));
        buf_close(&s.bytes);
        return true;
    }
    return false;
}

static struct item write_delta(struct lab *lab, size_t i, size_t size)
{
    struct lab_host *h = lab_host(lab, i);
    struct buf body = {0}, bundle = {0}, text = {0};
    struct rng rng;
    char name[32];
    struct item item = {.time = hlc_from_ms(clock_of(lab, h)) + ++lab->writes % 60000};
    rng_seed(&rng, lab->writes);
    gen_text(&text, &rng, size);
    gen_body_text(&body, "description", item.time, buf_cstr(&text));
    (void)snprintf(name, sizeof name, "entry-%llu", (unsigned long long)lab->writes);
    struct gen_op op = {.verb = VERB_PUT, .name = name, .body = buf_view(&body), .travel = GEN_SENT};
    struct gen_delta d = {.mesh = &lab->mesh, .author = &h->identity, .time = item.time, .op_count = 1, .ops = &op};
    gen_bundle(&bundle, &d, &item.id);
    bool fresh = keep(h, &item, buf_view(&bundle));
    assert(fresh);
    (void)fresh;
    buf_close(&text);
    buf_close(&body);
    buf_close(&bundle);
    return item;
}

struct item lab_write_quiet(struct lab *lab, size_t i, size_t size)
{
    return write_delta(lab, i, size);
}

struct item lab_write(struct lab *lab, size_t i, size_t size)
{
    struct item item = write_delta(lab, i, size);
    lab_event(lab, i, (struct net_event){.kind = NET_PUBLISH, .count = 1, .items = &item});
    return item;
}

/* ---- connections -------------------------------------------------------------------------------------------------------- */

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

static void dial(struct lab *lab, struct lab_host *h, const struct net_action *a)
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

/* What a test wants to know of calls: a line each, and the bytes of the last one. */
static void called(struct lab *lab, struct lab_host *h, const struct net_action *a)
{
    static const char *const words[] = {[NET_CALLED] = "called", [NET_CALL_LEFT] = "left", [NET_ANSWERED] = "answered",
                                        [NET_CALL_LOST] = "lost", [NET_REACHED] = "reached"};
    buf_printf(&h->calls, "%s %llu %zu%s%s\n", words[a->kind], (unsigned long long)a->call, a->bytes.n,
               a->final ? " final" : "", a->unsent ? " unsent" : "");
    buf_reset(&h->call_bytes);
    buf_put_bytes(&h->call_bytes, a->bytes);
    if (a->kind == NET_CALLED && h->on_called != NULL)
        h->on_called(lab, h, a);
}

static void drain(struct lab *lab, struct lab_host *h)
{
    struct net_action a;
    struct end *e, *other = NULL;
    while (h->net != NULL && net_next(h->net, &a) != NET_NONE) {
        switch (a.kind) {
        case NET_NONE:
            break;
        case NET_DIAL:
            dial(lab, h, &a);
            break;
        case NET_SEND:
            e = end_of(lab, a.conn, &other);
            if (e != NULL && e->open)
                send_bytes(lab, e, other->host, a.bytes);
            break;
        case NET_CLOSE:
            e = end_of(lab, a.conn, NULL);
            if (e != NULL) {
                e->close_sent = true;
                e->open = false;
            }
            break;
        case NET_STORE:
            store(lab, h, &a);
            break;
        case NET_LOAD: {
            const struct lab_bundle *b = held(h, &a.id);
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

/* Delivers one piece that is due on this end's way out; true: something happened. */
static bool deliver(struct lab *lab, uint64_t id)
{
    struct end *other, *e = end_of(lab, id, &other);
    bool raw = e->host == RAW || other->host == RAW;
    if (e->count == 0) {
        if (!e->close_sent || !other->open)
            return false;
        uint64_t conn = other->id;
        other->open = false;
        if (other->host != RAW)
            lab_event(lab, other->host, (struct net_event){.kind = NET_CLOSED, .conn = conn});
        return true;
    }
    if (e->queue[0].at_ms > lab->now || other->deaf ||
        (!raw && lab->stalled[e->host][other->host]))
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

static bool deliver_all(struct lab *lab)
{
    bool any = false;
    for (size_t i = 0; i < lab->pairs; i++)
        for (size_t k = 0; k < 2; k++)
            while (deliver(lab, lab->pair[i].end[k].id))
                any = true;
    return any;
}

static void reap(struct lab *lab)
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
    for (size_t i = 0; i < lab->pairs; i++)
        for (size_t k = 0; k < 2; k++) {
            const struct end *e = &lab->pair[i].end[k], *o = &lab->pair[i].end[1 - k];
            bool waits = o->deaf || (e->host != RAW && o->host != RAW && lab->stalled[e->host][o->host]);
            if (e->count > 0 && e->queue[0].at_ms < at && !waits)
                at = e->queue[0].at_ms;
        }
    return at;
}

bool lab_until(struct lab *lab, uint64_t ms, bool (*done)(struct lab *lab, void *ctx), void *ctx)
{
    uint64_t end = lab->now + ms, idle = 0;
    for (;;) {
        for (size_t i = 0; i < lab->hosts; i++)
            if (lab->host[i].net != NULL && net_deadline(lab->host[i].net) <= lab->now)
                lab_event(lab, i, (struct net_event){.kind = NET_TICK});
        bool any = deliver_all(lab);
        while (run_stores(lab))
            any = true;
        reap(lab);
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

void lab_down(struct lab *lab, size_t i)
{
    struct lab_host *h = lab_host(lab, i);
    net_free(h->net);
    h->net = NULL;
    cut_pairs(lab, i, SIZE_MAX);
    for (size_t k = 0; k < lab->laters;) {
        if (lab->later[k].host != i) {
            k++;
            continue;
        }
        buf_close(&lab->later[k].bytes);
        lab->later[k] = lab->later[--lab->laters];
    }
    for (size_t k = 0; k < lab->pairs; k++)
        for (size_t s = 0; s < 2; s++)
            if (lab->pair[k].end[s].host == i)
                lab->pair[k].end[s].open = false;
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
    for (size_t i = 0; i < lab->pairs; i++)
        for (size_t k = 0; k < 2; k++) {
            lab->pair[i].end[k].open = false;
            lab->pair[i].end[k].host = 0;
        }
    reap(lab);
    free(lab->pair);
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
