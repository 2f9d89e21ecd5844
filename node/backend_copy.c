/*
 * How far a bulk copy is and how the node stands with its peers: for `souk status`, `souk sync` and the metrics of repair.
 */
#include "node/backend_internal.h"

#include "api/metrics.h"
#include "crdt/alloc.h"

#include <stdlib.h>

#define PEERS_LOOKED_AT 256

static size_t peers_equal(const struct backend *b)
{
    struct net_peer_info *peers = mem_calloc(PEERS_LOOKED_AT, sizeof *peers);
    size_t n = net_peers(node_net(b->node), peers, PEERS_LOOKED_AT), equal = 0;
    for (size_t i = 0; i < n && i < PEERS_LOOKED_AT; i++)
        equal += peers[i].state == PEER_UP && peers[i].synced;
    free(peers);
    return equal;
}

void backend_put_copy(const struct backend *b, struct buf *out)
{
    struct net_stats n;
    net_stats(node_net(b->node), &n);
    buf_printf(out, "{\"running\":%s,\"got\":%llu,\"to_get\":%llu,\"rate\":%llu.%llu,\"left_s\":", n.catching_up ? "true" : "false",
               (unsigned long long)n.catch_up_done, (unsigned long long)(n.catch_up_total - n.catch_up_done),
               (unsigned long long)n.catch_up_rate_milli / 1000, (unsigned long long)n.catch_up_rate_milli / 100 % 10);
    if (n.catch_up_left_ms == UINT64_MAX)
        buf_put_str(out, "null");
    else
        buf_printf(out, "%llu", (unsigned long long)(n.catch_up_left_ms + 999) / 1000);
    buf_printf(out, ",\"comparing\":%zu,\"peers_up\":%zu,\"peers_equal\":%zu}", n.comparing, n.peers_up, peers_equal(b));
}

void backend_copy(struct backend *b, struct api_call *call)
{
    backend_put_copy(b, &call->out);
    backend_ok(call);
}

void backend_metrics_repair(const struct backend *b, struct buf *out)
{
    struct net_stats n;
    struct node_stats node;
    net_stats(node_net(b->node), &n);
    node_stats(b->node, &node);
    metrics_counter(out, "souk_sync_rounds_total", "Rounds of set reconciliation.", n.sync_rounds);
    metrics_counter(out, "souk_sync_bytes_total", "Bytes of set reconciliation.", n.sync_bytes);
    metrics_counter(out, "souk_sync_work_total", "Work of set reconciliation, about a microsecond each.", n.sync_work);
    metrics_counter(out, "souk_audits_total", "Audits of a part of the set with a peer.", n.audits);
    metrics_counter(out, "souk_audit_found_total", "Deltas that one side lacked though the sets seemed equal.", n.audit_found);
    metrics_counter(out, "souk_index_audits_total", "Comparisons of the index of deltas with the disk.", node.audits);
    metrics_counter(out, "souk_index_audits_bad_total", "Those that found a difference.", node.audits_bad);
    metrics_gauge(out, "souk_catching_up", "1 while a bulk copy from a peer runs.", n.catching_up ? 1 : 0);
    metrics_gauge(out, "souk_copy_got", "Deltas that the bulk copy brought, or the last one.", n.catch_up_done);
    metrics_gauge(out, "souk_copy_to_get", "Deltas that it has still to bring.", n.catch_up_total - n.catch_up_done);
}
