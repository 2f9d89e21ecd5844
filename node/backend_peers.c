/*
 * What a node says of its peers: the objects of `souk peer ls` and of the status, the metrics of each peer, and what
 * `souk doctor` wants to know of the mesh. Reads the mesh engine's views; decides nothing.
 */
#include "node/backend_internal.h"

#include "api/metrics.h"
#include "crdt/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_SHOWN_MAX 256

static const char *state_word(enum net_peer_state state)
{
    switch (state) {
    case PEER_DOWN:
        return "down";
    case PEER_DIALING:
        return "dialing";
    case PEER_HANDSHAKE:
        return "handshake";
    case PEER_UP:
        return "up";
    case PEER_BANNED:
        return "banned";
    }
    return "unknown";
}

/* The peers in a stable order; freed by the caller. */
static struct net_peer_info *all_peers(struct backend *b, size_t *count)
{
    struct net_peer_info *peers = mem_calloc(PEERS_SHOWN_MAX, sizeof *peers);
    size_t n = net_peers(node_net(b->node), peers, PEERS_SHOWN_MAX);
    *count = n < PEERS_SHOWN_MAX ? n : PEERS_SHOWN_MAX;
    assert(*count <= PEERS_SHOWN_MAX);
    return peers;
}

/* ---- objects ----------------------------------------------------------------------------------------------------- */

/* A member with a time: monotonic as the engine keeps it, wall clock as people read it. */
static void put_time(struct backend *b, struct buf *out, const char *name, uint64_t at_ms)
{
    struct node_stats stats;
    char text[25];
    node_stats(b->node, &stats);
    uint64_t ago = b->now_ms > at_ms ? b->now_ms - at_ms : 0;
    json_time(text, hlc_from_ms(stats.clock_ms > ago ? stats.clock_ms - ago : 0));
    buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void put_scores(struct backend *b, struct buf *out, const struct net_peer_info *p)
{
    buf_printf(out, ",\"score\":%lld,\"score_changes\":[", (long long)p->score);
    assert(p->score_count <= NET_SCORES_KEPT);
    for (size_t i = 0; i < p->score_count; i++) {
        const struct net_score_change *c = &p->score_changes[i];
        buf_printf(out, "%s{\"by\":%lld,\"times\":%llu,\"code\":\"%s\",\"reason\":", i > 0 ? "," : "", (long long)c->by,
                   (unsigned long long)c->times, net_scored_word(c->why));
        json_put_string(out, bytes_str(net_scored_text(c->why)));
        put_time(b, out, "at", c->at_ms);
        buf_put_u8(out, '}');
    }
    buf_put_u8(out, ']');
}

static void put_trouble(struct backend *b, struct buf *out, const struct net_trouble *t)
{
    assert(t->code == NULL || t->last_ms >= t->since_ms);
    buf_put_str(out, ",\"trouble\":");
    if (t->code == NULL) {
        buf_put_str(out, "null");
        return;
    }
    buf_printf(out, "{\"code\":\"%s\",\"detail\":", t->code);
    json_put_string(out, bytes_str(t->detail));
    buf_printf(out, ",\"times\":%llu", (unsigned long long)t->times);
    put_time(b, out, "since", t->since_ms);
    put_time(b, out, "last", t->last_ms);
    buf_printf(out, ",\"age_ms\":%llu}", (unsigned long long)(b->now_ms > t->since_ms ? b->now_ms - t->since_ms : 0));
}

/* ,"sent":{"delta":1,...} */
static void put_said(struct buf *out, const char *name, const uint64_t counts[NET_SAID_COUNT])
{
    buf_printf(out, ",\"%s\":{", name);
    for (int i = 0; i < NET_SAID_COUNT; i++)
        buf_printf(out, "%s\"%s\":%llu", i > 0 ? "," : "", net_said_word((enum net_said)i), (unsigned long long)counts[i]);
    buf_put_u8(out, '}');
}

static void put_peer(struct backend *b, struct buf *out, const struct net_peer_info *p)
{
    char id[ID_HEX_SIZE];
    key_hex(id, &p->id);
    buf_printf(out, "{\"id\":\"%s\",\"address\":", id);
    json_put_string(out, bytes_str(p->address));
    buf_printf(out,
               ",\"state\":\"%s\",\"lag_ms\":%llu,\"sent_bytes\":%llu,\"received_bytes\":%llu,\"queued_bytes\":%llu",
               state_word(p->state), (unsigned long long)p->lag_ms, (unsigned long long)p->sent_bytes,
               (unsigned long long)p->received_bytes, (unsigned long long)p->queued_bytes);
    uint64_t silent_ms = p->heard_ms != 0 && b->now_ms > p->heard_ms ? b->now_ms - p->heard_ms : 0;
    buf_printf(out, ",\"queued_ids\":%zu,\"asked_ids\":%zu,\"sends_whole\":%s,\"sent_whole\":%s,\"expelled\":%s", p->queued_ids,
               p->asked_ids, p->sends_whole ? "true" : "false", p->sent_whole ? "true" : "false", p->expelled ? "true" : "false");
    buf_printf(out,
               ",\"outbound\":%s,\"pinned\":%s,\"synced\":%s,\"sessions\":%llu,\"skew_ms\":%lld,\"silent_ms\":%llu",
               p->outbound ? "true" : "false", p->pinned ? "true" : "false", p->synced ? "true" : "false",
               (unsigned long long)p->sessions, (long long)p->skew_ms, (unsigned long long)silent_ms);
    put_said(out, "sent", p->talk.sent);
    put_said(out, "received", p->talk.received);
    if (p->up_ms != 0)
        put_time(b, out, "up_since", p->up_ms);
    put_scores(b, out, p);
    put_trouble(b, out, &p->trouble);
    buf_put_u8(out, '}');
}

void backend_put_peers(struct backend *b, struct buf *out)
{
    size_t n;
    struct net_peer_info *peers = all_peers(b, &n);
    buf_put_u8(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_put_u8(out, ',');
        put_peer(b, out, &peers[i]);
    }
    buf_put_u8(out, ']');
    free(peers);
}

void backend_put_reach(struct backend *b, struct buf *out)
{
    struct net_stranger list[NET_STRANGERS_KEPT];
    struct net_stats stats;
    size_t n = net_strangers(node_net(b->node), list, NET_STRANGERS_KEPT);
    assert(b->now_ms >= b->config.started_ms);
    net_stats(node_net(b->node), &stats);
    buf_printf(out, "\"overlay\":%s,", stats.overlay ? "true" : "false");
    buf_printf(out, "\"uptime_s\":%llu,\"sessions_dialed\":%llu,\"sessions_accepted\":%llu,\"strangers\":[",
               (unsigned long long)((b->now_ms - b->config.started_ms) / 1000),
               (unsigned long long)stats.sessions_dialed, (unsigned long long)stats.sessions_accepted);
    for (size_t i = 0; i < n && i < NET_STRANGERS_KEPT; i++) {
        buf_put_str(out, i > 0 ? ",{\"host\":" : "{\"host\":");
        json_put_string(out, bytes_str(list[i].host));
        put_trouble(b, out, &list[i].trouble);
        buf_put_u8(out, '}');
    }
    buf_put_u8(out, ']');
}

/* ---- metrics ----------------------------------------------------------------------------------------------------- */

/* A family with one sample a peer: no more series than peers are remembered. Microseconds for those in seconds. */
struct peer_family {
    const char *name, *help;
    enum metric_type type;
    enum { UNIT_PLAIN, UNIT_MS } unit;
    int64_t (*value)(const struct net_peer_info *p);
};

static int64_t value_up(const struct net_peer_info *p)
{
    return p->state == PEER_UP;
}

static int64_t value_lag(const struct net_peer_info *p)
{
    return (int64_t)p->lag_ms;
}

static int64_t value_queue(const struct net_peer_info *p)
{
    return (int64_t)p->queued_bytes;
}

static int64_t value_ids(const struct net_peer_info *p)
{
    return (int64_t)p->queued_ids;
}

static int64_t value_asked(const struct net_peer_info *p)
{
    return (int64_t)p->asked_ids;
}

static int64_t value_score(const struct net_peer_info *p)
{
    return p->score;
}

static int64_t value_skew(const struct net_peer_info *p)
{
    return p->skew_ms;
}

static int64_t value_sent(const struct net_peer_info *p)
{
    return (int64_t)p->sent_bytes;
}

static int64_t value_received(const struct net_peer_info *p)
{
    return (int64_t)p->received_bytes;
}

static int64_t value_sessions(const struct net_peer_info *p)
{
    return (int64_t)p->sessions;
}

static const struct peer_family families[] = {
    {"souk_peer_up", "1 while a session with the peer is up.", METRIC_GAUGE, UNIT_PLAIN, value_up},
    {"souk_peer_lag_seconds", "Round trip while the sets are equal, else the time since they were.", METRIC_GAUGE,
     UNIT_MS, value_lag},
    {"souk_peer_queue_bytes", "Bytes that wait to be sent to the peer.", METRIC_GAUGE, UNIT_PLAIN, value_queue},
    {"souk_peer_queue_ids", "Deltas that wait to be offered to the peer as ids.", METRIC_GAUGE, UNIT_PLAIN, value_ids},
    {"souk_peer_asked_ids", "Deltas that the peer was asked for and has not sent.", METRIC_GAUGE, UNIT_PLAIN, value_asked},
    {"souk_peer_score", "How the peer behaved, -100 (banned) to 100; souk peer ls gives the reasons.", METRIC_GAUGE,
     UNIT_PLAIN, value_score},
    {"souk_peer_clock_skew_seconds", "The peer's wall clock less this node's.", METRIC_GAUGE, UNIT_MS, value_skew},
    {"souk_peer_sent_bytes_total", "Bytes sent to the peer.", METRIC_COUNTER, UNIT_PLAIN, value_sent},
    {"souk_peer_received_bytes_total", "Bytes received from the peer.", METRIC_COUNTER, UNIT_PLAIN, value_received},
    {"souk_peer_sessions_total", "Sessions with the peer that came up.", METRIC_COUNTER, UNIT_PLAIN, value_sessions},
};

static void put_family(struct buf *out, const struct peer_family *f, const struct net_peer_info *peers, size_t n)
{
    assert(n > 0 && n <= PEERS_SHOWN_MAX); /* no family without a sample */
    metrics_family(out, f->name, f->type, f->help);
    for (size_t i = 0; i < n; i++) {
        char id[ID_HEX_SIZE];
        key_hex(id, &peers[i].id);
        /* Until its key is known an address is all that tells a peer apart. */
        bool known = !key_eq(&peers[i].id, &(struct key){{0}});
        struct metric_label label = {"peer", known ? id : peers[i].address};
        int64_t value = f->value(&peers[i]);
        if (f->unit == UNIT_MS)
            metrics_sample_ms(out, f->name, &label, 1, value);
        else
            metrics_sample_signed(out, f->name, &label, 1, value);
    }
}

static void put_overlay(struct buf *out, const struct net_stats *s)
{
    metrics_gauge(out, "souk_overlay", "1 while more peers are known than a full mesh may have.", s->overlay ? 1 : 0);
    metrics_family(out, "souk_overlay_links", METRIC_GAUGE, "Sessions over which whole deltas come (in) and go (out); the others carry ids.");
    metrics_sample(out, "souk_overlay_links", &(struct metric_label){"direction", "in"}, 1, s->whole_in);
    metrics_sample(out, "souk_overlay_links", &(struct metric_label){"direction", "out"}, 1, s->whole_out);
    metrics_family(out, "souk_mesh_messages_total", METRIC_COUNTER, "Messages by which deltas spread, by type and direction.");
    for (int i = 0; i < 2 * NET_SAID_COUNT; i++) {
        enum net_said what = (enum net_said)(i / 2);
        struct metric_label labels[2] = {{"type", net_said_word(what)}, {"direction", i % 2 == 0 ? "sent" : "received"}};
        metrics_sample(out, "souk_mesh_messages_total", labels, 2, (i % 2 == 0 ? s->talk.sent : s->talk.received)[what]);
    }
}

void backend_metrics_peers(struct backend *b, struct buf *out)
{
    struct net_stats stats;
    size_t n;
    struct net_peer_info *peers = all_peers(b, &n);
    for (size_t i = 0; n > 0 && i < sizeof families / sizeof *families; i++)
        put_family(out, &families[i], peers, n);
    free(peers);
    net_stats(node_net(b->node), &stats);
    metrics_family(out, "souk_peer_score_changes_total", METRIC_COUNTER, "Changes of any peer's score, by reason.");
    for (int i = 0; i < NET_SCORED_COUNT; i++) {
        struct metric_label label = {"reason", net_scored_word((enum net_scored)i)};
        metrics_sample(out, "souk_peer_score_changes_total", &label, 1, stats.scored[i]);
    }
    put_overlay(out, &stats);
    metrics_family(out, "souk_sessions_total", METRIC_COUNTER, "Sessions with peers that came up, by who dialed.");
    metrics_sample(out, "souk_sessions_total", &(struct metric_label){"dialed_by", "self"}, 1, stats.sessions_dialed);
    metrics_sample(out, "souk_sessions_total", &(struct metric_label){"dialed_by", "peer"}, 1, stats.sessions_accepted);
}
