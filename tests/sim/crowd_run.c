/*
 * The course of a crowd and what is measured: everybody starts from a few addresses; deltas while links fail; deltas while
 * hosts come and go as well; quiet, until all sets are equal; then the crowd is cut in halves, and must find together
 * again. This file counts, and fails where a delta does not reach everybody; crowd_main.c judges the rest.
 */
#include "crdt/alloc.h"
#include "tests/lib/gen.h"
#include "tests/sim/crowd.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define START_MS   20000         /* hosts start within this time                      */
#define FORM_MS    80000         /* until the first phase                             */
#define PAUSE_MS   30000         /* after each phase: what is late still counts       */
#define PHASE_MS   60000
#define EQUAL_MS   180000        /* in the end all sets must be equal within this     */
#define SPLIT_MS   150000        /* how long the halves cannot reach each other       */

void crowd_at(struct crowd *c, uint64_t at, struct sim_event e)
{
    assert(at >= c->now);
    e.at = at;
    e.seq = ++c->seq;
    sim_heap_push(&c->heap, &e);
}

void crowd_fail(struct crowd *c, const char *format, ...)
{
    va_list args;
    if (c->out->failure[0] != 0)
        return;
    va_start(args, format);
    (void)vsnprintf(c->out->failure, sizeof c->out->failure, format, args);
    va_end(args);
}

/* ---- events ------------------------------------------------------------------------------------------------------- */

static bool is_void(const struct crowd *c, const struct sim_event *e)
{
    const struct crowd_host *h = &c->hosts[e->host];
    bool of_host = e->kind == SIM_TICK || e->kind == SIM_DONE || e->kind == SIM_REFUSED || e->kind == SIM_CONNECT;
    return of_host && (!h->up || h->epoch != e->epoch || (e->kind == SIM_TICK && h->armed_at != e->n));
}

static struct crowd_host *draw_up(struct crowd *c)
{
    struct crowd_host *h;
    do
        h = &c->hosts[rng_below(&c->rng, c->config.nodes)];
    while (!h->up || h->kind != CROWD_HONEST || c->now < h->started + CROWD_SETTLED_MS);
    return h;
}

static void write_next(struct crowd *c, const struct sim_event *e)
{
    (void)e;
    if (!c->writing)
        return;
    if (c->out->phase[c->phase].deltas < c->config.deltas)
        crowd_host_publish(c, draw_up(c));
    crowd_at(c, c->now + sim_draw(&c->rng, 1, 2 * PHASE_MS / c->config.deltas - 1), (struct sim_event){.kind = SIM_WRITE});
}

static void churn_next(struct crowd *c, const struct sim_event *e)
{
    (void)e;
    if (!c->churning)
        return;
    struct crowd_host *h = draw_up(c);
    crowd_host_crash(c, h);
    c->out->phase[c->phase].crashes++;
    crowd_at(c, c->now + sim_draw(&c->rng, 5000, 60000), (struct sim_event){.kind = SIM_START, .host = h->index});
    crowd_at(c, c->now + 6000000 / (c->config.churn_percent * c->config.nodes), (struct sim_event){.kind = SIM_CRASH});
}

static void fault_next(struct crowd *c, const struct sim_event *e)
{
    (void)e;
    if (!c->failing)
        return;
    crowd_stall(c);
    crowd_at(c, c->now + 1000, (struct sim_event){.kind = SIM_FAULT});
}

static void tick(struct crowd *c, const struct sim_event *e)
{
    c->hosts[e->host].armed_at = UINT64_MAX;
    crowd_host_input(c, &c->hosts[e->host], (struct net_event){.kind = NET_TICK});
}

static void refused(struct crowd *c, const struct sim_event *e)
{
    crowd_host_input(c, &c->hosts[e->host], (struct net_event){.kind = NET_DIAL_FAILED, .dial = e->n});
}

static void start(struct crowd *c, const struct sim_event *e)
{
    crowd_host_start(c, &c->hosts[e->host]);
}

static void (*const handlers[SIM_EVENT_COUNT])(struct crowd *c, const struct sim_event *e) = {
    [SIM_TICK] = tick,         [SIM_PIPE] = crowd_arrive,      [SIM_CONNECT] = crowd_connect, [SIM_REFUSED] = refused,
    [SIM_CLOSED] = crowd_closed, [SIM_DONE] = crowd_host_stored, [SIM_WRITE] = write_next,      [SIM_CRASH] = churn_next,
    [SIM_START] = start,       [SIM_FAULT] = fault_next,       [SIM_MEND] = crowd_mend,
};

static void run_until(struct crowd *c, uint64_t at)
{
    struct sim_event e;
    while (c->out->failure[0] == 0 && c->heap.count > 0 && c->heap.rows[0].at <= at && sim_heap_pop(&c->heap, &e)) {
        c->now = e.at;
        c->out->events++;
        if (!is_void(c, &e))
            handlers[e.kind](c, &e);
    }
    c->now = at;
}

/* ---- measuring ---------------------------------------------------------------------------------------------------- */

static struct net_stats sum_stats(const struct crowd *c, uint64_t *bytes)
{
    struct net_stats all = {0};
    *bytes = 0;
    for (uint32_t i = 0; i < c->config.nodes; i++) {
        struct net_stats s = crowd_host_stats(&c->hosts[i]);
        if (c->hosts[i].kind != CROWD_HONEST)
            continue;
        all.deltas_received += s.deltas_received;
        all.grafts_sent += s.grafts_sent;
        all.prunes_sent += s.prunes_sent;
        all.sessions_dialed += s.sessions_dialed;
        *bytes += c->hosts[i].sent_bytes;
    }
    return all;
}

static void look_at_links(struct crowd *c)
{
    struct net_peer_info *p = mem_calloc(256, sizeof *p);
    struct crowd_outcome *o = c->out;
    o->least_links = o->least_outbound = UINT64_MAX;
    for (uint32_t i = 0; i < c->config.nodes; i++) {
        uint64_t links = 0, outbound = 0;
        if (!c->hosts[i].up || c->hosts[i].kind != CROWD_HONEST)
            continue;
        size_t rows = net_peers(c->hosts[i].net, p, 256);
        for (size_t k = 0; k < rows && k < 256; k++) {
            links += p[k].state == PEER_UP;
            outbound += p[k].state == PEER_UP && p[k].outbound;
        }
        o->links += links;
        o->least_links = links < o->least_links ? links : o->least_links;
        o->most_links = links > o->most_links ? links : o->most_links;
        if (i >= CROWD_SEEDS && outbound < o->least_outbound)
            o->least_outbound = outbound;
        o->most_book = rows > o->most_book ? rows : o->most_book;
    }
    for (size_t i = 0; i < c->conn_count; i++)
        o->stalled += c->conns[i]->open[0] && c->conns[i]->open[1] && c->conns[i]->stalled;
    o->live = c->live;
    free(p);
}

static uint64_t count_eager(struct crowd *c)
{
    struct net_peer_info *p = mem_calloc(256, sizeof *p);
    uint64_t count = 0;
    for (uint32_t i = 0; i < c->config.nodes; i++) {
        size_t rows = c->hosts[i].up && c->hosts[i].kind == CROWD_HONEST ? net_peers(c->hosts[i].net, p, 256) : 0;
        for (size_t k = 0; k < rows && k < 256; k++)
            count += p[k].state == PEER_UP && p[k].sends_whole;
    }
    free(p);
    return count;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Honest hosts that were there when it was published and have been since. */
static void measure(struct crowd *c, struct crowd_phase *phase)
{
    size_t n = 0;
    uint32_t *took = mem_calloc((size_t)c->config.deltas * c->config.nodes, sizeof *took);
    for (size_t d = 0; d < c->delta_count; d++) {
        if (c->deltas[d].phase != c->phase)
            continue;
        for (uint32_t i = 0; i < c->config.nodes; i++) {
            const struct crowd_host *h = &c->hosts[i];
            if (i != c->deltas[d].host && h->up && h->kind == CROWD_HONEST && h->started + CROWD_SETTLED_MS <= c->deltas[d].at)
                took[n++] = c->took[d * c->config.nodes + i];
        }
    }
    qsort(took, n, sizeof *took, by_value);
    phase->pairs = n;
    for (size_t i = n; i > 0 && took[i - 1] == CROWD_NEVER; i--)
        phase->missed++;
    if (n > 0) {
        phase->p50_ms = took[n / 2];
        phase->p99_ms = took[n * 99 / 100];
        phase->max_ms = took[n - 1];
    }
    free(took);
}

static void run_phase(struct crowd *c, unsigned index)
{
    struct crowd_phase *phase = &c->out->phase[index];
    uint64_t bytes[2], began = c->now;
    struct net_stats before = sum_stats(c, &bytes[0]);
    c->phase = index;
    c->writing = true;
    crowd_at(c, c->now, (struct sim_event){.kind = SIM_WRITE});
    run_until(c, c->now + PHASE_MS);
    while (c->out->failure[0] == 0 && phase->deltas < c->config.deltas)
        run_until(c, c->now + 1000);
    c->writing = false;
    run_until(c, c->now + PAUSE_MS);
    struct net_stats after = sum_stats(c, &bytes[1]);
    phase->copies = after.deltas_received - before.deltas_received;
    phase->control = after.grafts_sent + after.prunes_sent - before.grafts_sent - before.prunes_sent;
    phase->published = phase->deltas * c->out->honest;
    phase->sent_bytes = bytes[1] - bytes[0];
    phase->ms = c->now - began;
    measure(c, phase);
}

static bool all_equal(const struct crowd *c)
{
    for (uint32_t i = 0; i < c->config.nodes; i++)
        if (c->hosts[i].kind == CROWD_HONEST && (!c->hosts[i].up ? i >= CROWD_SEEDS || !c->orphaned : setindex_count(c->hosts[i].set) != c->delta_count))
            return false;
    return true;
}

static void settle(struct crowd *c, uint64_t *took, const char *after)
{
    uint64_t began = c->now;
    c->failing = c->churning = false;
    while (c->out->failure[0] == 0 && !all_equal(c) && c->now < began + EQUAL_MS)
        run_until(c, c->now + 1000);
    *took = c->now - began;
    if (!all_equal(c))
        crowd_fail(c, "a delta did not reach every host within %u s after %s", EQUAL_MS / 1000, after);
}

/* The hosts that everybody was given are gone for good; what is left is cut in halves until each has all the links that it
 * seeks, and writes on. Nobody is told of the other half when it can be reached again. */
static void run_split(struct crowd *c)
{
    c->phase = 2;
    c->orphaned = true;
    for (uint32_t i = 0; i < CROWD_SEEDS; i++)
        crowd_host_crash(c, &c->hosts[i]);
    crowd_split(c);
    c->writing = true;
    crowd_at(c, c->now, (struct sim_event){.kind = SIM_WRITE});
    run_until(c, c->now + SPLIT_MS);
    c->writing = false;
    crowd_join(c);
    settle(c, &c->out->joined_ms, "the halves could reach each other again");
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void crowd_open(struct crowd *c, const struct crowd_config *config, struct gen_author *founder)
{
    size_t all = (size_t)CROWD_PHASES * config->deltas;
    c->config = *config;
    assert(config->nodes > CROWD_SEEDS && config->nodes <= CROWD_HOSTS_MAX && config->deltas > 0);
    rng_seed(&c->rng, config->seed);
    rng_fork(&c->links, &c->rng, 1);
    gen_author(founder, 1);
    c->founder = founder;
    mesh_id(&c->mesh, &founder->key, bytes_str("crowd"));
    c->hosts = mem_calloc(config->nodes, sizeof *c->hosts);
    c->deltas = mem_calloc(all, sizeof *c->deltas);
    c->took = mem_calloc(all * config->nodes, sizeof *c->took);
    memset(c->took, 0xff, all * config->nodes * sizeof *c->took);
    for (uint32_t i = 0; i < config->nodes; i++) {
        crowd_host_init(c, i);
        crowd_at(c, i < CROWD_SEEDS ? 0 : sim_draw(&c->rng, 0, START_MS), (struct sim_event){.kind = SIM_START, .host = i});
    }
}

static void crowd_close(struct crowd *c)
{
    for (uint32_t i = 0; i < c->config.nodes; i++)
        crowd_host_close(&c->hosts[i]);
    for (size_t i = 0; i < c->conn_count; i++)
        crowd_conn_free(c->conns[i]);
    for (size_t i = 0; i < c->delta_count; i++)
        buf_close(&c->deltas[i].bundle);
    free(c->heap.rows);
    free(c->conns);
    free(c->hosts);
    free(c->deltas);
    free(c->took);
    free(c);
}

void crowd_run(const struct crowd_config *config, struct crowd_outcome *out)
{
    struct crowd *c = mem_zalloc(sizeof *c);
    struct gen_author founder;
    uint64_t bytes;
    *out = (struct crowd_outcome){0};
    c->out = out;
    crowd_open(c, config, &founder);
    run_until(c, FORM_MS / 2);
    c->failing = config->failing_percent > 0;
    crowd_at(c, c->now, (struct sim_event){.kind = SIM_FAULT});
    run_until(c, FORM_MS);
    look_at_links(c);
    run_phase(c, 0);
    out->eager_in = count_eager(c);
    c->churning = config->churn_percent > 0;
    crowd_at(c, c->now, (struct sim_event){.kind = SIM_CRASH});
    run_phase(c, 1);
    settle(c, &out->settled_ms, "the last fault");
    if (out->failure[0] == 0)
        run_split(c);
    out->handshakes = sum_stats(c, &bytes).sessions_dialed;
    out->ok = out->failure[0] == 0;
    crowd_close(c);
}
