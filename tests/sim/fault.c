/*
 * What goes wrong: partitions, cut directions (a stall when short), resets, crashes and restarts, hosts that leave and
 * come back, slow and full disks, clocks that step. One stream of faults for the whole world, each with its end; when
 * healing starts, all of them end.
 */
#include "tests/sim/sim.h"

#include <string.h>

#define CALM_MS 5000 /* nothing goes wrong before the founder is done */

enum fault_kind {
    FAULT_PARTITION, FAULT_CUT, FAULT_STALL, FAULT_RESET, FAULT_CRASH, FAULT_LEAVE, FAULT_SLOW_DISK, FAULT_FULL_DISK,
    FAULT_CLOCK, FAULT_COUNT
};

/* How often each is drawn. */
static const unsigned weights[FAULT_COUNT] = {
    [FAULT_PARTITION] = 6, [FAULT_CUT] = 10, [FAULT_STALL] = 30, [FAULT_RESET] = 25, [FAULT_CRASH] = 15,
    [FAULT_LEAVE] = 5, [FAULT_SLOW_DISK] = 6, [FAULT_FULL_DISK] = 4, [FAULT_CLOCK] = 6,
};

static void plan(struct sim_world *w)
{
    uint64_t pace = 60000 / (w->host_count + 8); /* larger worlds have more to go wrong */
    sim_world_at(w, w->now + sim_draw(&w->faults, pace, 4 * pace), (struct sim_event){.kind = SIM_FAULT});
}

static int64_t draw_skew(struct rng *r)
{
    int64_t most = sim_chance(r, 200) ? 420000 : 2000;
    return (int64_t)sim_draw(r, 0, 2 * (uint64_t)most) - most;
}

void sim_faults_init(struct sim_world *w)
{
    for (size_t i = 0; i < w->host_count; i++)
        w->hosts[i].skew_ms = draw_skew(&w->faults);
    sim_world_at(w, CALM_MS, (struct sim_event){.kind = SIM_FAULT});
}

/* Two to four groups; the last partition's groups are replaced. */
static void partition(struct sim_world *w)
{
    uint64_t groups = sim_draw(&w->faults, 2, 4);
    for (size_t i = 0; i < w->host_count; i++)
        w->hosts[i].group = (unsigned)rng_below(&w->faults, groups);
    sim_trace_note(w, "partition in %u", (unsigned)groups);
    sim_world_at(w, w->now + sim_draw(&w->faults, 3000, 90000), (struct sim_event){.kind = SIM_MEND, .n = FAULT_PARTITION});
}

static void cut(struct sim_world *w, uint64_t longest)
{
    uint64_t pair = rng_below(&w->faults, w->honest_count * w->host_count);
    w->cut[pair] = true;
    sim_trace_note(w, "cut %u to %u", (unsigned)(pair / w->host_count), (unsigned)(pair % w->host_count));
    sim_world_at(w, w->now + sim_draw(&w->faults, 100, longest), (struct sim_event){.kind = SIM_MEND, .n = FAULT_CUT, .conn = pair});
}

static void reset(struct sim_world *w)
{
    if (w->conn_count == 0)
        return;
    /* the newest are the most likely to live */
    uint64_t back = sim_draw(&w->faults, 0, w->conn_count < 300 ? w->conn_count - 1 : 299);
    uint64_t id = w->conn_count - 1 - back;
    sim_trace_note(w, "reset conn %u", (unsigned)id);
    sim_conn_reset(w, w->conns[id], id);
}

static void down(struct sim_world *w, struct sim_host *h, enum host_end how)
{
    if (!h->up)
        return;
    sim_trace_note(w, "host %u goes down", h->index);
    sim_host_stop(w, h, how);
    uint64_t away = how == HOST_STOP ? sim_draw(&w->faults, 20000, 180000) : sim_draw(&w->faults, 50, 30000);
    sim_world_at(w, w->now + away, (struct sim_event){.kind = SIM_START, .host = h->index});
}

void sim_faults_next(struct sim_world *w)
{
    struct sim_host *h = &w->hosts[rng_below(&w->faults, w->honest_count)];
    uint64_t total = 0, x;
    enum fault_kind kind = FAULT_PARTITION;
    if (w->healing)
        return;
    for (size_t i = 0; i < FAULT_COUNT; i++)
        total += weights[i];
    for (x = rng_below(&w->faults, total); x >= weights[kind]; kind++)
        x -= weights[kind];
    switch (kind) {
    case FAULT_PARTITION: partition(w); break;
    case FAULT_CUT: cut(w, 60000); break;
    case FAULT_STALL: cut(w, 3000); break;
    case FAULT_RESET: reset(w); break;
    case FAULT_CRASH: down(w, h, HOST_CRASH); break;
    case FAULT_LEAVE: down(w, h, HOST_STOP); break;
    case FAULT_SLOW_DISK: h->disk_slow_until = w->now + sim_draw(&w->faults, 2000, 30000); break;
    case FAULT_FULL_DISK: h->disk_full_until = w->now + sim_draw(&w->faults, 500, 20000); break;
    case FAULT_CLOCK: h->skew_ms = draw_skew(&w->faults); break;
    case FAULT_COUNT: break;
    }
    plan(w);
}

void sim_faults_mend(struct sim_world *w, const struct sim_event *e)
{
    if (e->n == FAULT_CUT)
        w->cut[e->conn] = false;
    for (size_t i = 0; e->n == FAULT_PARTITION && i < w->host_count; i++)
        w->hosts[i].group = 0;
}

void sim_faults_heal(struct sim_world *w)
{
    memset(w->cut, 0, w->host_count * w->host_count * sizeof *w->cut);
    for (size_t i = 0; i < w->host_count; i++) {
        struct sim_host *h = &w->hosts[i];
        h->group = 0;
        h->disk_slow_until = h->disk_full_until = 0;
        h->skew_ms = (int64_t)rng_below(&w->faults, 1001) - 500;
        if (!h->up)
            sim_host_start(w, h);
    }
}
