/*
 * What a node says of itself: status (CLI and admin socket), readiness, metrics, and the page at /. Peers: backend_peers.c.
 */
#include "node/backend_internal.h"

#include "api/metrics.h"
#include "api/page.h"
#include "crdt/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- status ------------------------------------------------------------------------------------------------------ */

static void put_status(struct backend *b, struct buf *out, const struct id *hash)
{
    char id[ID_HEX_SIZE], mesh[ID_HEX_SIZE], digest[ID_HEX_SIZE], state[ID_HEX_SIZE];
    struct store_stats s;
    struct node_stats n;
    struct id set;
    enum err why;
    store_stats(b->store, &s);
    node_stats(b->node, &n);
    setindex_digest(node_set(b->node), &set);
    key_hex(id, &b->config.node);
    id_hex(mesh, &b->config.mesh);
    id_hex(digest, &set);
    id_hex(state, hash);
    buf_printf(out, "{\"id\":\"%s\",\"name\":", id);
    json_put_string(out, bytes_str(b->config.name));
    buf_printf(out, ",\"mesh_id\":\"%s\",\"version\":\"%s\",\"uptime_s\":%llu,\"ready\":%s,\"entries\":{",
               mesh, b->config.version,
               (unsigned long long)((b->now_ms - b->config.started_ms) / 1000),
               node_disk_ok(b->node, &why) && !b->stopping ? "true" : "false");
    buf_printf(out, "\"model\":%llu,\"agent\":%llu,\"server\":%llu,\"node\":%llu}",
               (unsigned long long)s.entries[KIND_MODEL], (unsigned long long)s.entries[KIND_AGENT],
               (unsigned long long)s.entries[KIND_SERVER], (unsigned long long)s.entries[KIND_NODE]);
    buf_printf(out, ",\"deltas\":%llu,\"ops\":%llu,\"digest\":\"%s\",\"state_hash\":\"%s\",\"peers\":",
               (unsigned long long)s.deltas, (unsigned long long)s.ops, digest, state);
    backend_put_peers(b, out);
    buf_printf(out,
               ",\"store_bytes\":%llu,\"conflicts\":%llu,\"deferred\":%llu,\"rejected\":%llu,"
               "\"aside\":%llu,\"missing_bodies\":%llu,\"copy\":",
               (unsigned long long)s.bytes, (unsigned long long)s.conflicts,
               (unsigned long long)n.deferred, (unsigned long long)n.rejected,
               (unsigned long long)s.aside, (unsigned long long)s.missing_bodies);
    backend_put_copy(b, out);
    buf_put_u8(out, '}');
}

/* The page is made from the same JSON as the answer to `souk status`. */
enum status_use { STATUS_JSON, STATUS_PAGE };

static void answer_status(struct api_call *call, enum status_use use)
{
    if (use == STATUS_PAGE) {
        struct buf status = call->out;
        call->out = (struct buf){0};
        page_dashboard(&call->out, buf_view(&status));
        buf_close(&status);
    }
    backend_ok(call);
}

/* The state hash needs a scan; it is kept until something shown changes. */
struct status_job {
    struct backend *backend;
    struct api_call *call;
    enum status_use use;
    uint64_t seq;
    struct id hash;
    enum err err;
};

static void status_work(void *arg)
{
    struct status_job *job = arg;
    job->seq = store_last_seq(job->backend->store);
    job->err = store_state_hash(job->backend->store, &job->hash);
}

static void status_done(void *arg)
{
    struct status_job *job = arg;
    struct backend *b = job->backend;
    if (job->err == ERR_OK) {
        b->hash_known = store_last_seq(b->store) == job->seq;
        b->hash_seq = job->seq;
        b->hash = job->hash;
        put_status(b, &job->call->out, &job->hash);
        answer_status(job->call, job->use);
    } else {
        backend_fail(job->call, job->err, NULL);
    }
    free(job);
}

static void with_status(struct backend *b, struct api_call *call, enum status_use use)
{
    if (b->hash_known && b->hash_seq == store_last_seq(b->store)) {
        put_status(b, &call->out, &b->hash);
        answer_status(call, use);
        return;
    }
    struct status_job *job = mem_zalloc(sizeof *job);
    *job = (struct status_job){.backend = b, .call = call, .use = use};
    b->hooks.defer(b->hooks.ctx, status_work, status_done, job);
}

void backend_status(struct backend *b, struct api_call *call)
{
    with_status(b, call, STATUS_JSON);
}

void backend_dashboard(struct backend *b, struct api_call *call)
{
    with_status(b, call, STATUS_PAGE);
}

/* ---- readiness --------------------------------------------------------------------------------------------------- */

static bool put_check(struct buf *out, const char *name, bool ok, const char *detail)
{
    assert(out->n > 0 && detail != NULL);
    buf_printf(out, "%s{\"name\":\"%s\",\"ok\":%s,\"detail\":", out->p[out->n - 1] == '[' ? "" : ",", name,
               ok ? "true" : "false");
    json_put_string(out, bytes_str(detail));
    buf_put_u8(out, '}');
    return ok;
}

void backend_ready(struct backend *b, struct api_call *call)
{
    assert(call->out.n == 0);
    struct buf checks = {0};
    struct net_stats net;
    enum err why;
    net_stats(node_net(b->node), &net);
    buf_put_u8(&checks, '[');
    bool disk = node_disk_ok(b->node, &why);
    bool ok = put_check(&checks, "store", disk, disk ? "writable" : err_text(why));
    ok = put_check(&checks, "running", !b->stopping, b->stopping ? "the node is stopping" : "yes") && ok;
    ok = put_check(&checks, "catch_up", !net.catching_up,
                   net.catching_up ? "copying the catalogue from a peer" : "up to date") && ok;
    if (b->hooks.ready != NULL)
        ok = b->hooks.ready(b->hooks.ctx, &checks) && ok;
    buf_printf(&call->out, "{\"ready\":%s,\"checks\":", ok ? "true" : "false");
    buf_put_bytes(&call->out, buf_view(&checks));
    buf_put_str(&call->out, "]}");
    buf_close(&checks);
    call->ready = ok;
    backend_ok(call);
}

/* ---- metrics ----------------------------------------------------------------------------------------------------- */

static void metrics_store(struct backend *b, struct buf *out)
{
    struct store_stats s;
    store_stats(b->store, &s);
    metrics_family(out, "souk_entries", METRIC_GAUGE, "Entries shown, by kind.");
    for (size_t i = 0; kind_at(i) != NULL; i++) {
        const struct kind_desc *kind = kind_at(i);
        struct metric_label label = {"kind", kind->singular};
        if (kind->kind < sizeof s.entries / sizeof *s.entries)
            metrics_sample(out, "souk_entries", &label, 1, s.entries[kind->kind]);
    }
    metrics_gauge(out, "souk_deltas", "Deltas in the set.", s.deltas);
    metrics_gauge(out, "souk_deltas_aside", "Valid deltas whose author is not admitted.", s.aside);
    metrics_gauge(out, "souk_ops", "Ops in the set.", s.ops);
    metrics_gauge(out, "souk_conflicts", "Entries with a field that was edited on two sides.", s.conflicts);
    metrics_gauge(out, "souk_missing_bodies", "Bodies of shown revisions that have not arrived.", s.missing_bodies);
    metrics_gauge(out, "souk_store_bytes", "Approximate size of the store on disk.", s.bytes);
}

static void metrics_node(struct backend *b, struct buf *out)
{
    struct node_stats n;
    enum err why;
    node_stats(b->node, &n);
    assert(b->now_ms >= b->config.started_ms);
    metrics_counter(out, "souk_deltas_rejected_total", "Deltas refused for good.", n.rejected);
    metrics_counter(out, "souk_deltas_deferred_total", "Deltas put off because their time is ahead or the disk is not writable.", n.deferred);
    metrics_counter(out, "souk_commits_total", "Group commits.", n.jobs);
    metrics_gauge(out, "souk_pending_bytes", "Bytes of deltas that wait for a commit.", n.pending_bytes);
    metrics_gauge(out, "souk_pending_writes", "Local writes that wait for a commit.", n.pending_writes);
    metrics_gauge(out, "souk_store_writable", "1 while the disk takes writes.", node_disk_ok(b->node, &why) ? 1 : 0);
    metrics_gauge(out, "souk_uptime_seconds", "Time since the start.", (b->now_ms - b->config.started_ms) / 1000);
}

static void metrics_net(struct backend *b, struct buf *out)
{
    struct net_stats n;
    net_stats(node_net(b->node), &n);
    metrics_gauge(out, "souk_peers", "Peers connected.", n.peers_up);
    metrics_counter(out, "souk_deltas_sent_total", "Deltas sent to peers.", n.deltas_sent);
    metrics_counter(out, "souk_deltas_received_total", "Deltas received from peers.", n.deltas_received);
    metrics_counter(out, "souk_deltas_duplicate_total", "Deltas received that were held already.", n.duplicates);
    metrics_counter(out, "souk_handshakes_failed_total", "Handshakes with peers that failed.", n.handshakes_failed);
    backend_metrics_repair(b, out);
}

void backend_metrics(struct backend *b, struct api_call *call)
{
    struct api_stats s;
    metrics_store(b, &call->out);
    metrics_node(b, &call->out);
    metrics_net(b, &call->out);
    backend_metrics_peers(b, &call->out);
    if (b->api != NULL) {
        api_stats(b->api, &s);
        metrics_api(&call->out, &s, b->config.version);
    }
    if (b->hooks.metrics != NULL)
        b->hooks.metrics(b->hooks.ctx, &call->out);
    backend_ok(call);
}
