/*
 * A host: one node with its store, its disk and its clocks. Drives the node as a rim does: event in, actions out, one
 * timer. The disk holds one job at a time; a crash loses it, or applies it without anybody hearing of it. What is in the
 * key-value store survives a crash, everything else is made anew.
 */
#include "crdt/alloc.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ACTIONS_MAX 200000 /* in a row */

uint64_t sim_host_clock(const struct sim_world *w, const struct sim_host *h)
{
    return (uint64_t)((int64_t)(SIM_EPOCH_MS + w->now) + h->skew_ms);
}

static uint64_t host_mono(const struct sim_world *w, const struct sim_host *h)
{
    return h->mono_base + w->now;
}

struct author *sim_host_author(struct sim_host *h, uint32_t author)
{
    for (size_t i = 0; i < h->home_count; i++)
        if (h->homes[i].author == author)
            return h->homes[i].local;
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

void sim_host_init(struct sim_world *w, uint32_t index)
{
    struct sim_host *h = &w->hosts[index];
    uint8_t seed[32];
    h->index = index;
    h->armed_at = UINT64_MAX;
    rng_fork(&h->rng, &w->root, 1000 + index);
    h->kv = kv_mem_new();
    h->founder_known = index == 0 || sim_chance(&h->rng, 500);
    h->mono_base = sim_draw(&h->rng, 1, 1000000);
    if (!h->founder_known && sim_chance(&h->rng, 100)) /* its first job is the one that names the founder */
        h->disk_full_until = UINT64_MAX;
    (void)snprintf(h->addr, sizeof h->addr, "10.%u.%u.1:7700", index / 200, index % 200 + 1);
    h->net = (struct net_config){.mesh = w->mesh, .has_founder = h->founder_known};
    if (h->founder_known) {
        h->net.founder = w->authors[0].key;
        memcpy(h->net.mesh_name, w->mesh_name, sizeof w->mesh_name);
    }
    if (w->tells_addresses)
        memcpy(h->net.advertise, h->addr, sizeof h->addr);
    rng_bytes(&h->rng, seed, sizeof seed);
    (void)crypto_sign_seed_keypair(h->net.identity.b, h->net.identity_secret, seed);
    rng_bytes(&h->rng, h->net.static_secret, sizeof h->net.static_secret);
}

static void open_store(struct sim_world *w, struct sim_host *h)
{
    struct store_config c = {.mesh = w->mesh, .has_founder = h->founder_known};
    if (h->founder_known) {
        c.founder = w->authors[0].key;
        c.mesh_name = bytes_str(w->mesh_name);
    }
    enum err e = store_open(&h->store, h->kv, &c);
    if (e != ERR_OK)
        sim_world_fail(w, "host %u cannot open its store: %s", h->index, err_text(e));
}

/* What the process of a node would do: the founder that was learned before is in the store. */
static void recall_founder(struct sim_host *h)
{
    struct buf name = {0};
    struct key founder;
    if (!h->net.has_founder && store_founder(h->store, &founder, &name)) {
        h->net.has_founder = true;
        h->net.founder = founder;
        assert(name.n < sizeof h->net.mesh_name);
        memcpy(h->net.mesh_name, name.p, name.n);
        h->net.mesh_name[name.n] = 0;
    }
    buf_close(&name);
}

static void add_neighbours(struct sim_world *w, struct sim_host *h)
{
    for (size_t i = 0; i < h->neighbour_count; i++) {
        struct node_event e = {.kind = NODE_NET};
        e.net = (struct net_event){.kind = NET_PEER_ADD, .addr = w->hosts[h->neighbours[i]].addr};
        sim_host_feed(w, h, e);
    }
}

void sim_host_start(struct sim_world *w, struct sim_host *h)
{
    struct node_config c = {.store = NULL};
    assert(!h->up);
    if (h->villain != NULL) {
        villain_start(h);
        return;
    }
    h->epoch++;
    h->started_at = w->now;
    open_store(w, h);
    if (w->failed)
        return;
    recall_founder(h);
    for (size_t i = 0; i < h->home_count; i++) {
        const struct sim_author *a = &w->authors[h->homes[i].author];
        struct author *local = mem_zalloc(sizeof *local);
        local->key = a->key;
        memcpy(local->secret, a->secret, sizeof local->secret);
        h->homes[i].local = local;
    }
    c.net = h->net;
    c.store = h->store;
    rng_bytes(&h->rng, c.net.seed, sizeof c.net.seed);
    rng_bytes(&h->rng, c.seed, sizeof c.seed);
    (void)snprintf(c.name, sizeof c.name, "host %u", h->index);
    h->node = node_new(&c, host_mono(w, h), sim_host_clock(w, h));
    h->up = true;
    h->armed_at = UINT64_MAX;
    h->disk = (struct sim_disk){.state = DISK_IDLE};
    w->copies_minute[0]++;
    if (h->disk_full_until == UINT64_MAX)
        h->disk_full_until = w->now + sim_draw(&h->rng, 100, 5000);
    sim_check_acked(w, h);
    add_neighbours(w, h);
    sim_host_drain(w, h);
    sim_world_at(w, w->now + sim_draw(&h->rng, 1, h->write_every_ms),
             (struct sim_event){.kind = SIM_WRITE, .host = h->index, .epoch = h->epoch});
}

static void forget(struct sim_host *h)
{
    node_free(h->node);
    store_close(h->store);
    h->node = NULL;
    h->store = NULL;
    for (size_t i = 0; i < h->home_count; i++) {
        free(h->homes[i].local);
        h->homes[i].local = NULL;
    }
    buf_reset(&h->touched);
    h->up = false;
    h->waiting = 0;
}

/* A job that was on its way when the power went may have reached the disk whole, or not at all. */
static void crash_disk(struct sim_world *w, struct sim_host *h)
{
    if (h->disk.state == DISK_WRITING && sim_chance(&h->rng, 500)) {
        if (node_job_run(h->store, h->disk.job) == ERR_OK)
            sim_check_job(w, h, h->disk.job);
        sim_trace_note(w, "the job under way was applied unheard");
    }
}

void sim_host_stop(struct sim_world *w, struct sim_host *h, enum host_end how)
{
    assert(h->up);
    if (h->villain != NULL) {
        sim_conn_host_down(w, h->index);
        villain_stop(h);
        return;
    }
    if (how == HOST_STOP) {
        net_stop(node_net(h->node));
        sim_host_drain(w, h);
    }
    crash_disk(w, h);
    sim_conn_host_down(w, h->index);
    sim_mark_life(w, h);
    forget(h);
    w->crashes++;
}

void sim_host_close(struct sim_host *h)
{
    if (h->up && h->villain == NULL)
        forget(h);
    villain_free(h);
    if (h->kv != NULL)
        h->kv->ops->close(h->kv);
    buf_close(&h->acked);
    buf_close(&h->touched);
}

/* ---- driving ---------------------------------------------------------------------------------------------------- */

void sim_host_feed(struct sim_world *w, struct sim_host *h, struct node_event e)
{
    assert(h->up);
    if (h->villain != NULL) {
        assert(e.kind == NODE_NET);
        villain_net(h, &e.net);
        return;
    }
    e.clock_ms = sim_host_clock(w, h);
    node_input(h->node, &e, host_mono(w, h));
}

void sim_host_input(struct sim_world *w, struct sim_host *h, struct node_event e)
{
    sim_host_feed(w, h, e);
    sim_host_drain(w, h);
}

static uint64_t disk_delay(const struct sim_world *w, struct sim_host *h)
{
    if (w->now < h->disk_slow_until)
        return sim_draw(&h->rng, 100, 6000);
    return sim_chance(&h->rng, 30) ? sim_draw(&h->rng, 20, 400) : sim_draw(&h->rng, 1, 4);
}

static void start_job(struct sim_world *w, struct sim_host *h, struct store_job *job)
{
    if (h->disk.state != DISK_IDLE)
        sim_world_fail(w, "host %u gave a second job while one is under way", h->index);
    h->disk = (struct sim_disk){.state = DISK_WRITING, .job = job};
    sim_world_at(w, w->now + disk_delay(w, h), (struct sim_event){.kind = SIM_COMMIT, .host = h->index, .epoch = h->epoch});
}

/* True: the node asked for something. */
static bool act(struct sim_world *w, struct sim_host *h)
{
    struct node_action a;
    switch (node_next(h->node, &a)) {
    case NODE_NONE:
        return false;
    case NODE_SEND:
        sim_conn_write(w, a.net.conn, a.net.bytes);
        break;
    case NODE_DIAL:
        sim_conn_dial(w, h->index, a.net.text, a.net.dial);
        break;
    case NODE_CLOSE:
        sim_conn_shut(w, a.net.conn);
        break;
    case NODE_JOB:
        start_job(w, h, a.job);
        break;
    case NODE_REOPEN:
        sim_world_at(w, w->now + sim_draw(&h->rng, 1, 50), (struct sim_event){.kind = SIM_REOPEN, .host = h->index, .epoch = h->epoch});
        break;
    case NODE_CALL:
    case NODE_JOIN:
    case NODE_WELCOME:
    case NODE_CHANGED:
        break;
    case NODE_LOG:
        if (a.level <= 2 || w->config.trace)
            sim_trace_note(w, "host %u %s: %s", h->index, a.subsystem, a.text);
        break;
    }
    return true;
}

static void arm(struct sim_world *w, struct sim_host *h)
{
    uint64_t deadline = node_deadline(h->node), mono = host_mono(w, h);
    if (deadline == UINT64_MAX)
        return;
    uint64_t at = deadline > mono ? w->now + (deadline - mono) : w->now;
    if (at == h->armed_at)
        return;
    h->armed_at = at;
    sim_world_at(w, at, (struct sim_event){.kind = SIM_TICK, .host = h->index, .epoch = h->epoch, .n = at});
}

void sim_host_drain(struct sim_world *w, struct sim_host *h)
{
    struct node_result r;
    size_t actions = 0;
    if (h->villain != NULL) {
        (void)sim_conn_report(w, h);
        return;
    }
    do {
        while (h->up && act(w, h))
            if (++actions > ACTIONS_MAX) {
                sim_world_fail(w, "host %u asks for actions without end", h->index);
                return;
            }
    } while (sim_conn_report(w, h));
    while (node_result_next(h->node, &r))
        sim_work_result(w, h, &r);
    arm(w, h);
}

void sim_host_tick(struct sim_world *w, struct sim_host *h)
{
    h->armed_at = UINT64_MAX;
    if (h->villain != NULL) {
        villain_tick(h);
        sim_host_drain(w, h);
        return;
    }
    h->ticks_minute++;
    sim_host_input(w, h, (struct node_event){.kind = NODE_TICK});
    h->late_since = h->armed_at == w->now ? h->late_since + 1 : 0;
    if (h->late_since > 20)
        sim_world_fail(w, "host %u: timer storm: its deadline stays in the past", h->index);
}

/* ---- the disk --------------------------------------------------------------------------------------------------- */

void sim_host_commit(struct sim_world *w, struct sim_host *h)
{
    assert(h->disk.state == DISK_WRITING);
    h->disk.state = DISK_WRITTEN;
    h->disk.err = w->now < h->disk_full_until ? ERR_NO_SPACE : node_job_run(h->store, h->disk.job);
    if (h->disk.err == ERR_OK)
        sim_check_job(w, h, h->disk.job);
    else if (h->disk.err != ERR_NO_SPACE)
        sim_world_fail(w, "host %u: a job failed: %s", h->index, err_text(h->disk.err));
    uint64_t heard = w->now + (sim_chance(&h->rng, 100) ? sim_draw(&h->rng, 1, 100) : 0);
    sim_world_at(w, heard, (struct sim_event){.kind = SIM_DONE, .host = h->index, .epoch = h->epoch});
}

void sim_host_done(struct sim_world *w, struct sim_host *h)
{
    assert(h->disk.state == DISK_WRITTEN);
    struct node_event e = {.kind = NODE_JOB_DONE, .job = h->disk.job, .err = h->disk.err};
    sim_trace_note(w, "%zu in, %zu writes, %zu added, %s", e.job->in_count, e.job->write_count, e.job->added_count, err_text(e.err));
    if (e.err == ERR_OK)
        buf_put(&h->acked, e.job->own, e.job->own_count * sizeof *e.job->own);
    h->disk = (struct sim_disk){.state = DISK_IDLE};
    sim_host_input(w, h, e);
}

void sim_host_reopen(struct sim_world *w, struct sim_host *h)
{
    struct node_event e = {.kind = NODE_JOB_DONE};
    e.err = w->now < h->disk_full_until ? ERR_NO_SPACE : store_reopen(h->store);
    sim_host_input(w, h, e);
}
