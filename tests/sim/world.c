/*
 * The world itself: drawn from the seed, run event by event, taken down. Chaos first (only safety is checked), then
 * healing: no more faults and writes, and within the time that is left all nodes must agree.
 */
#include "crdt/alloc.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHAOS_PERCENT  70
#define SETTLE_MS      15000 /* once all agree: how long it must stay so */
#define CHECK_MS       1000
#define LATE_IN_1000   150   /* hosts that join in the middle */
#define HOSTILE_PERCENT 40

uint64_t sim_draw(struct rng *r, uint64_t low, uint64_t high)
{
    assert(low <= high);
    return low + rng_below(r, high - low + 1);
}

bool sim_chance(struct rng *r, unsigned in_1000)
{
    return rng_below(r, 1000) < in_1000;
}

void sim_world_at(struct sim_world *w, uint64_t at, struct sim_event e)
{
    assert(at >= w->now);
    e.at = at;
    e.seq = ++w->seq;
    sim_heap_push(&w->heap, &e);
}

/* ---- drawing ---------------------------------------------------------------------------------------------------- */

static void draw_authors(struct sim_world *w, struct rng *r)
{
    w->author_count = w->honest_count * 3 / 4 + 1;
    if (w->author_count < 2)
        w->author_count = 2;
    w->author_all = w->author_count + w->host_count - w->honest_count;
    assert(w->author_all <= SIM_AUTHORS_MAX);
    for (size_t i = 0; i < w->author_all; i++) {
        uint8_t seed[32];
        rng_bytes(r, seed, sizeof seed);
        (void)crypto_sign_seed_keypair(w->authors[i].key.b, w->authors[i].secret, seed);
    }
}

static bool linked(const struct sim_world *w, uint32_t a, uint32_t b)
{
    for (size_t i = 0; i < w->hosts[a].neighbour_count; i++)
        if (w->hosts[a].neighbours[i] == b)
            return true;
    for (size_t i = 0; i < w->hosts[b].neighbour_count; i++)
        if (w->hosts[b].neighbours[i] == a)
            return true;
    return false;
}

static bool link_hosts(struct sim_world *w, uint32_t a, uint32_t b)
{
    struct sim_host *x = &w->hosts[a], *y = &w->hosts[b];
    if (a == b || x->degree >= SIM_DEGREE_MAX || y->degree >= SIM_DEGREE_MAX || linked(w, a, b))
        return false;
    x->neighbours[x->neighbour_count++] = b;
    x->degree++;
    y->degree++;
    return true;
}

/* A tree over the honest ones, then more links, none above the greatest degree; either end dials. A hostile host knows
 * some honest ones, and some of those were told to dial it. */
static void draw_graph(struct sim_world *w, struct rng *r)
{
    uint64_t more = w->host_count * sim_draw(r, 1, 4);
    for (uint32_t i = 1; i < w->honest_count; i++)
        while (!link_hosts(w, i, (uint32_t)rng_below(r, i)))
            ;
    for (uint32_t i = (uint32_t)w->honest_count; i < w->host_count; i++)
        for (uint64_t n = sim_draw(r, 2, 6); n > 0; n--)
            (void)link_hosts(w, i, (uint32_t)rng_below(r, w->honest_count));
    while (more-- > 0) {
        uint32_t a = (uint32_t)rng_below(r, w->host_count), b = (uint32_t)rng_below(r, w->host_count);
        (void)link_hosts(w, a, b);
    }
    for (size_t i = 0; i < w->host_count * w->host_count; i++)
        w->latency[i] = (uint32_t)(sim_chance(r, 200) ? sim_draw(r, 50, 250) : sim_draw(r, 1, 30));
}

/* None, one kind alone, or a mix; up to two in five of all hosts. */
static size_t draw_hostile(const struct sim_world *w, struct rng *r)
{
    size_t most = w->host_count * HOSTILE_PERCENT / 100;
    bool none = w->config.mix == SIM_MIX_NONE || (w->config.mix == SIM_MIX_DRAWN && sim_chance(r, 150));
    return none || most == 0 ? 0 : (size_t)sim_draw(r, w->config.mix == SIM_MIX_DRAWN ? 1 : most, most);
}

static void draw_villains(struct sim_world *w, struct rng *r)
{
    bool alone = w->config.mix == SIM_MIX_ONE || sim_chance(r, 300);
    enum villain_kind kind = (enum villain_kind)rng_below(r, VILLAIN_KINDS);
    w->relentless = sim_chance(r, 700);
    for (size_t i = w->honest_count; i < w->host_count; i++) {
        if (!alone)
            kind = (enum villain_kind)rng_below(r, VILLAIN_KINDS);
        if (w->config.mix == SIM_MIX_ONE)
            kind = w->config.kind;
        villain_init(w, &w->hosts[i], kind, (uint32_t)(w->author_count + i - w->honest_count));
        sim_trace_note(w, "host %zu is a %s", i, villain_name(kind));
    }
}

static void world_open(struct sim_world *w, const struct sim_config *config)
{
    struct rng r, hostile;
    w->config = *config;
    w->host_count = config->nodes;
    assert(w->host_count >= 1 && w->host_count <= SIM_HOSTS_MAX);
    w->hosts = mem_calloc(w->host_count, sizeof *w->hosts);
    w->latency = mem_calloc(w->host_count * w->host_count, sizeof *w->latency);
    w->cut = mem_calloc(w->host_count * w->host_count, sizeof *w->cut);
    w->known = setindex_new();
    rng_seed(&w->root, config->seed);
    rng_fork(&hostile, &w->root, 4);
    rng_fork(&r, &w->root, 0);
    w->honest_count = w->host_count - draw_hostile(w, &hostile);
    rng_fork(&w->links, &w->root, 1);
    rng_fork(&w->faults, &w->root, 2);
    sim_trace_open(w);
    (void)snprintf(w->mesh_name, sizeof w->mesh_name, "mesh-%u", (unsigned)(config->seed % 1000));
    w->members = sim_chance(&r, 400);
    w->tells_addresses = sim_chance(&r, 300);
    sim_trace_note(w, "admission %s, addresses are %s", w->members ? "members" : "open", w->tells_addresses ? "told" : "not told");
    w->end_at = (uint64_t)config->minutes * 60000;
    w->heal_at = w->end_at * CHAOS_PERCENT / 100;
    draw_authors(w, &r);
    mesh_id(&w->mesh, &w->authors[0].key, bytes_str(w->mesh_name));
    for (uint32_t i = 0; i < w->host_count; i++)
        sim_host_init(w, i);
    draw_graph(w, &r);
    draw_villains(w, &hostile);
    sim_work_init(w);
    sim_faults_init(w);
    w->hosts[0].write_every_ms = 1000;
    for (uint32_t i = 0; i < w->host_count; i++) {
        uint64_t at = i > 0 && sim_chance(&r, LATE_IN_1000) ? sim_draw(&r, 1000, w->heal_at / 2) : sim_draw(&r, 0, 500);
        sim_world_at(w, at, (struct sim_event){.kind = SIM_START, .host = i});
    }
    sim_world_at(w, CHECK_MS, (struct sim_event){.kind = SIM_CHECK});
    sim_world_at(w, w->heal_at, (struct sim_event){.kind = SIM_HEAL});
}

static void world_close(struct sim_world *w)
{
    for (size_t i = 0; i < w->host_count; i++)
        sim_host_close(&w->hosts[i]);
    for (size_t i = 0; i < w->conn_count; i++)
        sim_conn_free(w->conns[i]);
    for (size_t i = 0; i < w->delta_count; i++)
        free((void *)(uintptr_t)w->deltas[i].bundle.p);
    setindex_free(w->known);
    free(w->deltas);
    free(w->conns);
    free(w->hosts);
    free(w->latency);
    free(w->cut);
    free(w->heap.rows);
    buf_close(&w->scratch);
    free(w);
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

/* Events that belong to one life of a host end with it. */
static bool is_void(const struct sim_world *w, const struct sim_event *e)
{
    const struct sim_host *h = &w->hosts[e->host];
    switch (e->kind) {
    case SIM_TICK:
        return !h->up || h->epoch != e->epoch || h->armed_at != e->n;
    case SIM_CONNECT: case SIM_REFUSED: case SIM_COMMIT: case SIM_DONE: case SIM_REOPEN: case SIM_WRITE:
        return !h->up || h->epoch != e->epoch;
    case SIM_START:
        return h->up;
    case SIM_PIPE: case SIM_CLOSED: case SIM_CRASH: case SIM_FAULT: case SIM_MEND: case SIM_CHECK: case SIM_HEAL:
    case SIM_EVENT_COUNT:
        return false;
    }
    return false;
}

static void heal(struct sim_world *w)
{
    w->healing = true;
    sim_faults_heal(w);
    for (size_t i = w->honest_count; i < w->host_count; i++)
        villain_heal(&w->hosts[i]);
}

static void check(struct sim_world *w)
{
    sim_check_period(w);
    sim_world_at(w, w->now + CHECK_MS, (struct sim_event){.kind = SIM_CHECK});
}

static void dispatch(struct sim_world *w, const struct sim_event *e)
{
    struct sim_host *h = &w->hosts[e->host];
    switch (e->kind) {
    case SIM_TICK: sim_host_tick(w, h); break;
    case SIM_PIPE: sim_conn_arrive(w, e); break;
    case SIM_CONNECT: sim_conn_connect(w, e); break;
    case SIM_REFUSED: sim_conn_refused(w, e); break;
    case SIM_CLOSED: sim_conn_closed(w, e); break;
    case SIM_COMMIT: sim_host_commit(w, h); break;
    case SIM_DONE: sim_host_done(w, h); break;
    case SIM_REOPEN: sim_host_reopen(w, h); break;
    case SIM_WRITE: sim_work_next(w, h); break;
    case SIM_CRASH: sim_host_stop(w, h, HOST_CRASH); break;
    case SIM_START: sim_host_start(w, h); break;
    case SIM_FAULT: sim_faults_next(w); break;
    case SIM_MEND: sim_faults_mend(w, e); break;
    case SIM_CHECK: check(w); break;
    case SIM_HEAL: heal(w); break;
    case SIM_EVENT_COUNT: break;
    }
}

static bool over(const struct sim_world *w)
{
    return w->failed || (w->converged && w->now >= w->converged_at + SETTLE_MS);
}

static void report(struct sim_world *w, struct sim_outcome *out)
{
    *out = (struct sim_outcome){.ok = !w->failed, .deltas = w->delta_count, .events = w->events, .writes = w->writes,
                                .refused = w->write_errors, .crashes = w->crashes, .most_bytes = w->most_bytes,
                                .hostile = (unsigned)(w->host_count - w->honest_count), .kinds = w->kinds, .most_fed = w->most_fed, .tally = w->tally};
    out->converged_ms = w->converged ? w->converged_at - w->heal_at : 0;
    memcpy(out->failure, w->failure, sizeof out->failure);
    sim_trace_end(w, out->trace);
    if (w->failed)
        sim_trace_print(w, stdout);
}

void sim_run(const struct sim_config *config, struct sim_outcome *out)
{
    struct sim_world *w = mem_zalloc(sizeof *w);
    struct sim_event e;
    world_open(w, config);
    while (!over(w) && sim_heap_pop(&w->heap, &e) && e.at <= w->end_at) {
        w->now = e.at;
        if (is_void(w, &e))
            continue;
        w->events++;
        sim_trace_event(w, &e);
        dispatch(w, &e);
    }
    if (!w->failed)
        sim_check_end(w);
    sim_mark_end(w);
    report(w, out);
    world_close(w);
}
