/*
 * The node: passes events to the mesh engine, turns what arrives into group commits, and tells everybody what became
 * of it. Owns the set index, the queue and the one job under way. Refuses to know sockets, threads and clocks.
 *
 * The order that keeps promises: a bundle or write is queued, committed by the job, and only then entered into the
 * set index, reported to the mesh engine (which forwards it) and acknowledged to its client.
 */
#include "node/node.h"

#include "crdt/alloc.h"
#include "node/audit.h"
#include "node/queue.h"
#include "node/removed.h"
#include "node/results.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
    struct store *store;
    struct net *net;
    struct setindex *set;
    struct rng rng;
    struct queue queue;
    struct batch *running;  /* the job under way; NULL: none            */
    bool job_given;         /* `running` was handed out by node_next    */
    bool sweeping;          /* the store has more to judge anew: another job follows at once */
    size_t batch_deltas, batch_writes;
    uint64_t receipts_keep;
    bool set_founder;       /* learned from a peer, for the next job    */
    struct key founder;
    char mesh_name[MODEL_NAME_MAX + 1];
    enum err disk;          /* why writes are refused; ERR_OK: they are not */
    bool reopen_due, reopening;
    uint64_t reopen_at, reopen_wait_ms;
    uint64_t missing_at, audit_at;
    struct id missing_after;
    struct results results; /* for local callers */
    bool changed, members_changed, entries_changed; /* since NODE_CHANGED, and since the mesh engine was told their numbers */
    bool removal_due;       /* who is in the mesh changed: peers may have to go */
    uint64_t now_ms, clock_ms;
    struct node_stats stats;
    struct buf scratch;
    char log[320];
    bool log_due;
    int log_level;
};

static void note(struct node *n, int level, const char *text, const char *reason)
{
    (void)snprintf(n->log, sizeof n->log, "%s%s%s", text, reason[0] != 0 ? ": " : "", reason);
    n->log_level = level;
    n->log_due = true;
}

/* How many entries there are of each kind, for the peers' displays. */
static void tell_entries(struct node *n)
{
    struct store_stats stats;
    if (!n->entries_changed)
        return;
    n->entries_changed = false;
    store_stats(n->store, &stats);
    net_set_entries(n->net, stats.entries + 1, sizeof stats.entries / sizeof *stats.entries - 1);
}

struct node *node_new(const struct node_config *config, uint64_t now_ms, uint64_t clock_ms)
{
    struct node *n = mem_zalloc(sizeof *n);
    n->store = config->store;
    n->batch_deltas = config->batch_deltas != 0 ? config->batch_deltas : NODE_BATCH_DELTAS;
    n->batch_writes = config->batch_writes != 0 ? config->batch_writes : NODE_BATCH_WRITES;
    n->receipts_keep = config->receipts_keep != 0 ? config->receipts_keep : NODE_RECEIPTS_KEEP;
    n->now_ms = now_ms;
    n->clock_ms = clock_ms;
    n->missing_at = now_ms + NODE_MISSING_PERIOD_MS;
    n->reopen_wait_ms = NODE_REOPEN_MIN_MS;
    results_init(&n->results);
    n->sweeping = true; /* a stop may have left some */
    rng_init(&n->rng, config->seed);
    queue_init(&n->queue);
    n->audit_at = n->now_ms + audit_wait(&n->rng, NODE_AUDIT_MS);
    n->set = setindex_new();
    enum err e = store_load_set(n->store, n->set);
    if (e != ERR_OK) {
        n->disk = e;
        note(n, 0, "the set of deltas cannot be read", err_text(e));
    }
    struct net_config net = config->net;
    net.set = n->set;
    n->net = net_new(&net, now_ms);
    n->entries_changed = true;
    tell_entries(n);
    return n;
}

void node_stop(struct node *n)
{
    net_stop(n->net);
}

void node_free(struct node *n)
{
    if (n == NULL)
        return;
    net_free(n->net);
    batch_free(n->running);
    queue_close(&n->queue);
    results_close(&n->results);
    setindex_free(n->set);
    buf_close(&n->scratch);
    free(n);
}

/* ---- after a commit -------------------------------------------------------------------------------------------- */

/* Tells the mesh engine what became of its bundles; after a failed commit they count as put off. */
static void tell_net(struct node *n, const struct batch *b, enum err failure)
{
    size_t count = 0;
    struct net_result *results = mem_calloc(b->job.in_count, sizeof *results);
    const struct queued_bundle *q = b->bundles;
    for (size_t i = 0; i < b->job.in_count; i++, q = q->next) {
        const struct store_in *in = &b->job.in[i];
        bool stored = failure == ERR_OK;
        /* A valid delta that lacks a body which nothing here has erased yet (see MODEL 6): asked for again, nobody's fault. */
        bool lacking = in->verdict == VERDICT_REFUSED && in->why == ERR_INVALID;
        n->stats.rejected += stored && in->verdict == VERDICT_REFUSED && !lacking;
        n->stats.deferred += stored && in->verdict == VERDICT_DEFERRED && in->why == ERR_AHEAD;
        if (q->handed_in && !(stored && in->verdict == VERDICT_NEW))
            continue;
        results[count++] = (struct net_result){
            .tag = q->handed_in ? 0 : in->tag,
            .fresh = stored && in->verdict == VERDICT_NEW,
            .refused = stored && in->verdict == VERDICT_REFUSED && !lacking,
            .deferred = !stored || in->verdict == VERDICT_DEFERRED || lacking,
            .bodies_bad = stored && in->bodies_bad > 0,
            .item = in->item};
    }
    struct net_event event = {.kind = NET_STORED, .count = count, .results = results, .clock_ms = n->clock_ms};
    if (count > 0)
        net_input(n->net, &event, n->now_ms);
    free(results);
}

static void publish(struct node *n, const struct batch *b)
{
    struct net_event event = {
        .kind = NET_PUBLISH, .count = b->job.own_count, .items = b->job.own, .clock_ms = n->clock_ms};
    if (event.count > 0)
        net_input(n->net, &event, n->now_ms);
}

static void update_set(struct node *n, const struct batch *b)
{
    for (size_t i = 0; i < b->job.removed_count; i++)
        (void)setindex_remove(n->set, &b->job.removed[i]);
    for (size_t i = 0; i < b->job.added_count; i++)
        (void)setindex_insert(n->set, &b->job.added[i]);
}

/* A founder that was just learned may admit what was kept aside: the index is read again, which happens once. */
static void reload_set(struct node *n)
{
    struct setindex *loaded = setindex_new();
    if (store_load_set(n->store, loaded) == ERR_OK)
        setindex_swap(n->set, loaded);
    setindex_free(loaded);
}

static void disk_failed(struct node *n, enum err e)
{
    assert(e != ERR_OK);
    if (n->disk == ERR_OK) {
        note(n, 0, "the store refused a write; reads go on, writes are refused until it works again", err_text(e));
        n->reopen_wait_ms = NODE_REOPEN_MIN_MS;
    }
    n->disk = e;
    net_set_intake(n->net, NET_INTAKE_STOPPED);
    n->reopen_at = n->now_ms + n->reopen_wait_ms;
    n->reopen_wait_ms = n->reopen_wait_ms * 2 > NODE_REOPEN_MAX_MS ? NODE_REOPEN_MAX_MS
                                                                   : n->reopen_wait_ms * 2;
}

/* Writes that wait while the disk refuses them are answered at once, so that nobody hangs. */
static void refuse_waiting(struct node *n)
{
    assert(n->disk != ERR_OK && n->running == NULL);
    while (n->queue.bundles != NULL || n->queue.writes != NULL) {
        struct batch *b = batch_take(&n->queue, n->batch_deltas, n->batch_writes);
        results_add(&n->results, b, n->disk);
        tell_net(n, b, n->disk);
        batch_return_receipts(b, &n->queue);
        batch_free(b);
    }
}

/* No job ran beside it, so nothing may differ. What the disk says holds in any case. */
static void audited(struct node *n, const struct audit *a)
{
    n->stats.audits += a->err == ERR_OK;
    n->stats.audits_bad += audit_differs(a);
    if (a->err != ERR_OK)
        note(n, 0, "the set of deltas cannot be read for its audit", err_text(a->err));
    if (!audit_differs(a))
        return;
    note(n, 0, "the index of deltas differed from the disk and was replaced", a->text);
    setindex_swap(n->set, a->disk);
    net_input(n->net, &(struct net_event){.kind = NET_SYNC_NOW, .clock_ms = n->clock_ms}, n->now_ms);
}

static void job_done(struct node *n, struct batch *b, enum err e)
{
    assert(b == n->running && n->job_given);
    n->running = NULL;
    n->job_given = false;
    n->stats.jobs++;
    if (b->audit != NULL) {
        audited(n, b->audit);
    } else if (e == ERR_OK) {
        update_set(n, b);
        if (b->set_founder)
            reload_set(n);
        tell_net(n, b, ERR_OK);
        publish(n, b);
        n->changed = n->changed || b->job.change_count > 0;
        n->sweeping = b->job.more;
        n->entries_changed = n->entries_changed || b->job.change_count > 0;
        for (size_t i = 0; i < b->job.change_count; i++)
            n->members_changed |= b->job.changes[i].kind == KIND_MEMBER || b->job.changes[i].kind == KIND_CHARTER;
        n->removal_due |= n->members_changed;
    } else {
        n->set_founder = n->set_founder || b->set_founder; /* told once only: keep it for the next job */
        batch_return_receipts(b, &n->queue);
        tell_net(n, b, e);
        disk_failed(n, e);
    }
    results_add(&n->results, b, e);
    batch_free(b);
    if (n->disk != ERR_OK)
        refuse_waiting(n);
}

static void reopen_done(struct node *n, enum err e)
{
    assert(n->reopening);
    n->reopening = false;
    if (e != ERR_OK) {
        disk_failed(n, e);
        return;
    }
    n->disk = ERR_OK;
    net_set_intake(n->net, NET_INTAKE_OPEN);
    note(n, 2, "the store works again", "");
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static bool want_body(void *ctx, const struct id *op, const struct item *delta, uint16_t index)
{
    struct node *n = ctx;
    n->missing_after = *op;
    net_want_body(n->net, delta, index);
    return true;
}

/* When a session comes up, when member entries change, and now and then, since a revocation changes no entry. */
static void look_for_removed(struct node *n)
{
    n->removal_due = false;
    removed_check(n->net, n->store, &(struct removed_at){.now_ms = n->now_ms, .clock_ms = n->clock_ms});
}

/* Goes round the missing bodies, a batch at a time. */
static void ask_for_missing(struct node *n)
{
    struct id before = n->missing_after;
    n->missing_at = n->now_ms + NODE_MISSING_PERIOD_MS;
    if (store_missing(n->store, &before, NODE_MISSING_BATCH, want_body, n) != ERR_OK)
        return;
    if (id_eq(&before, &n->missing_after))
        n->missing_after = (struct id){{0}};
}

static void tick(struct node *n)
{
    if (n->removal_due || n->now_ms >= n->missing_at)
        look_for_removed(n);
    if (n->now_ms >= n->missing_at)
        ask_for_missing(n);
    if (n->disk != ERR_OK && !n->reopening && n->now_ms >= n->reopen_at)
        n->reopen_due = true;
    if (n->now_ms >= net_deadline(n->net)) {
        tell_entries(n);
        net_input(n->net, &(struct net_event){.kind = NET_TICK, .clock_ms = n->clock_ms}, n->now_ms);
    }
}

void node_input(struct node *n, const struct node_event *event, uint64_t now_ms)
{
    n->now_ms = now_ms;
    n->clock_ms = event->clock_ms;
    switch (event->kind) {
    case NODE_NET: {
        struct net_event net = event->net;
        net.clock_ms = event->clock_ms;
        tell_entries(n);
        net_input(n->net, &net, now_ms);
        break;
    }
    case NODE_JOB_DONE:
        if (event->job != NULL)
            job_done(n, (struct batch *)event->job, event->err);
        else
            reopen_done(n, event->err);
        break;
    case NODE_TICK:
        break;
    }
    tick(n);
}

enum err node_write(struct node *n, const struct node_write *w)
{
    if (n->disk != ERR_OK)
        return n->disk;
    struct queued_write *copy = queued_write_new(w);
    enum err e = queue_write(&n->queue, copy);
    if (e != ERR_OK)
        free(copy);
    return e;
}

enum err node_write_queued(struct node *n, struct queued_write *w)
{
    return n->disk != ERR_OK ? n->disk : queue_write(&n->queue, w);
}

enum err node_keep_receipt(struct node *n, const struct store_receipt *r)
{
    return queue_receipt(&n->queue, r);
}

enum err node_hand_in(struct node *n, struct bytes bundle, void *ctx)
{
    if (n->disk != ERR_OK)
        return n->disk;
    if (bundle.n > BUNDLE_MAX)
        return ERR_LIMIT;
    struct queued_bundle b = {.handed_in = true, .ctx = ctx, .bytes = bundle};
    return queue_bundle(&n->queue, &b);
}

bool node_result_next(struct node *n, struct node_result *out)
{
    return results_next(&n->results, out);
}

/* ---- actions ----------------------------------------------------------------------------------------------------- */

/* A bundle that cannot wait (no room, no disk) is reported as put off: the mesh asks for it again later. */
static void take_bundle(struct node *n, const struct net_action *a)
{
    struct queued_bundle b = {.tag = a->tag, .bytes = a->bytes};
    if (n->disk == ERR_OK && a->bytes.n <= BUNDLE_MAX && queue_bundle(&n->queue, &b) == ERR_OK)
        return;
    struct net_result result = {.tag = a->tag, .deferred = true};
    struct net_event event = {.kind = NET_STORED, .count = 1, .results = &result, .clock_ms = n->clock_ms};
    net_input(n->net, &event, n->now_ms);
}

static void load_bundle(struct node *n, const struct net_action *a)
{
    buf_reset(&n->scratch);
    if (store_bundle(n->store, &a->id, &n->scratch) != ERR_OK)
        buf_reset(&n->scratch);
    struct net_event event = {
        .kind = NET_LOADED, .load = a->load, .bytes = buf_view(&n->scratch), .clock_ms = n->clock_ms};
    net_input(n->net, &event, n->now_ms);
}

static void take_founder(struct node *n, const struct net_action *a)
{
    assert(strlen(a->text) < sizeof n->mesh_name);
    n->set_founder = true;
    n->founder = a->founder;
    (void)snprintf(n->mesh_name, sizeof n->mesh_name, "%s", a->text);
}

static enum node_action_kind give(struct node_action *out, enum node_action_kind kind)
{
    return out->kind = kind;
}

/* The next action of the mesh engine that is not for the node itself; NODE_NONE: none. */
static enum node_action_kind net_action_next(struct node *n, struct node_action *out)
{
    for (;;) {
        switch (net_next(n->net, &out->net)) {
        case NET_NONE:
            return give(out, NODE_NONE);
        case NET_SEND:
            return give(out, NODE_SEND);
        case NET_DIAL:
            return give(out, NODE_DIAL);
        case NET_CLOSE:
            return give(out, NODE_CLOSE);
        case NET_JOIN:
            return give(out, NODE_JOIN);
        case NET_WELCOME:
            return give(out, NODE_WELCOME);
        case NET_STORE:
            take_bundle(n, &out->net);
            break;
        case NET_LOAD:
            load_bundle(n, &out->net);
            break;
        case NET_WANT_MISSING:
            look_for_removed(n);
            ask_for_missing(n);
            break;
        case NET_FOUNDER:
            take_founder(n, &out->net);
            break;
        case NET_REACHED:
        case NET_CALLED:
        case NET_CALL_LEFT:
        case NET_ANSWERED:
        case NET_CALL_LOST:
            return give(out, NODE_CALL);
        case NET_LOG:
            out->subsystem = "net";
            out->level = out->net.level;
            out->text = out->net.text;
            return give(out, NODE_LOG);
        }
    }
}

static bool start_job(struct node *n)
{
    if (n->running != NULL || n->reopening || n->disk != ERR_OK)
        return false;
    if (n->now_ms >= n->audit_at) {
        n->audit_at = n->now_ms + audit_wait(&n->rng, NODE_AUDIT_MS);
        n->running = batch_audit(n->set);
        return n->job_given = true;
    }
    if (queue_empty(&n->queue) && !n->set_founder && !n->sweeping)
        return false;
    n->running = batch_take(&n->queue, n->batch_deltas, n->batch_writes);
    n->running->job.now_ms = n->clock_ms;
    assert(n->running->job.in_count <= n->batch_deltas && n->running->job.write_count <= n->batch_writes);
    n->running->job.rng = &n->rng;
    n->running->receipts_keep = n->receipts_keep;
    n->running->set_founder = n->set_founder;
    n->running->founder = n->founder;
    memcpy(n->running->mesh_name, n->mesh_name, sizeof n->mesh_name);
    n->set_founder = false;
    n->job_given = true;
    return true;
}

enum node_action_kind node_next(struct node *n, struct node_action *action)
{
    *action = (struct node_action){.kind = NODE_NONE};
    if (n->log_due) {
        n->log_due = false;
        action->subsystem = "node";
        action->level = n->log_level;
        action->text = n->log;
        return give(action, NODE_LOG);
    }
    if (net_action_next(n, action) != NODE_NONE)
        return action->kind;
    if (n->changed) {
        action->members = n->members_changed;
        n->changed = n->members_changed = false;
        return give(action, NODE_CHANGED);
    }
    if (n->reopen_due && n->running == NULL) {
        assert(n->disk != ERR_OK && !n->reopening);
        n->reopen_due = false;
        n->reopening = true;
        return give(action, NODE_REOPEN);
    }
    if (start_job(n)) {
        action->job = &n->running->job;
        return give(action, NODE_JOB);
    }
    return NODE_NONE;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t node_deadline(const struct node *n)
{
    uint64_t at = least(net_deadline(n->net), n->missing_at);
    if (n->disk == ERR_OK && n->running == NULL)
        at = least(at, n->audit_at);
    return n->disk != ERR_OK && !n->reopening && !n->reopen_due ? least(at, n->reopen_at) : at;
}

const struct setindex *node_set(const struct node *n)
{
    return n->set;
}

struct net *node_net(struct node *n)
{
    return n->net;
}

bool node_at_rest(const struct node *n, uint64_t *moment)
{
    *moment = n->stats.jobs;
    return n->running == NULL && n->disk == ERR_OK;
}

bool node_disk_ok(const struct node *n, enum err *why)
{
    *why = n->disk;
    return n->disk == ERR_OK;
}

void node_stats(const struct node *n, struct node_stats *out)
{
    struct net_stats net;
    net_stats(n->net, &net);
    *out = n->stats;
    out->deferred += net.unseen_ahead;
    out->rejected += net.unseen_foreign;
    out->pending_bytes = n->queue.bundle_bytes;
    out->pending_writes = n->queue.write_count;
    out->now_ms = n->now_ms;
    out->clock_ms = n->clock_ms;
}
