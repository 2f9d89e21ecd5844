/*
 * What the operator is told of peers: why a score changed, what keeps a peer away, who was turned away at the door. All of
 * it is bounded and none of it decides anything; the rules are in the files beside this one.
 */
#include "net/engine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- scores ---------------------------------------------------------------------------------------------------------- */

static const struct {
    int64_t points;
    const char *word, *text;
} rules[NET_SCORED_COUNT] = {
    [NET_SCORED_FRESH] = {NET_SCORE_FRESH, "fresh", "a new delta"},
    [NET_SCORED_REFUSED] = {NET_SCORE_REFUSED, "refused", "a delta that is not valid"},
    [NET_SCORED_WRONG_ID] = {NET_SCORE_WRONG_ID, "wrong_id", "a delta under another's id"},
    [NET_SCORED_BODY] = {NET_SCORE_BODY, "body", "a body that does not match"},
    [NET_SCORED_PROTOCOL] = {NET_SCORE_PROTOCOL, "protocol", "closed for what it sent"},
    [NET_SCORED_GONE] = {NET_SCORE_GONE, "gone", "announced or asked and never answered"},
    [NET_SCORED_BAN] = {0, "ban", "banned for a while; this is where it starts after"},
    [NET_SCORED_UNBAN] = {0, "unban", "unbanned by the operator"},
};

const char *net_scored_word(enum net_scored why)
{
    assert(why < NET_SCORED_COUNT);
    return rules[why].word;
}

const char *net_scored_text(enum net_scored why)
{
    assert(why < NET_SCORED_COUNT);
    return rules[why].text;
}

int64_t note_points(enum net_scored why)
{
    assert(why < NET_SCORED_COUNT && rules[why].points != 0);
    return rules[why].points;
}

#define NOTE_LOGGED (-10) /* a loss of this or more is logged at info: a few of them end in a ban, so they are few */

void note_score(struct net *n, struct peer *p, enum net_scored why, int64_t by)
{
    char name[ID_HEX_SIZE];
    assert(why < NET_SCORED_COUNT && p->score_count <= NET_SCORES_KEPT);
    p->score += by;
    if (by == 0)
        return; /* at its most already */
    n->stats.scored[why]++;
    struct net_score_change *last = p->score_count > 0 ? &p->scores[p->score_count - 1] : NULL;
    if (last == NULL || last->why != why) {
        if (p->score_count == NET_SCORES_KEPT)
            memmove(&p->scores[0], &p->scores[1], --p->score_count * sizeof p->scores[0]);
        last = &p->scores[p->score_count++];
        *last = (struct net_score_change){.why = why};
    }
    last->by += by;
    last->times++;
    last->at_ms = n->now_ms;
    if (by < 0)
        net_log(n, by <= NOTE_LOGGED ? 2 : 3, "score of %s %+lld to %lld: %s", peer_name(p, name), (long long)by,
                (long long)p->score, rules[why].text);
}

/* ---- troubles -------------------------------------------------------------------------------------------------------- */

/* `detail` may hold what the other side said: only printable ASCII is kept. */
static void note_trouble(const struct net *n, struct net_trouble *t, const char *code, const char *detail)
{
    size_t i = 0;
    assert(code != NULL && (t->code == NULL || t->since_ms <= n->now_ms));
    if (t->code == NULL)
        *t = (struct net_trouble){.since_ms = n->now_ms};
    t->code = code;
    t->last_ms = n->now_ms;
    t->times++;
    for (; detail[i] != 0 && i + 1 < sizeof t->detail; i++)
        t->detail[i] = detail[i] >= ' ' && detail[i] < 0x7f ? detail[i] : '?';
    t->detail[i] = 0;
}

void note_dial(const struct net *n, struct peer *p, enum net_dial_fault fault)
{
    static const struct {
        const char *code, *text;
    } faults[] = {
        [NET_DIAL_OTHER] = {"connect", "cannot connect"},
        [NET_DIAL_REFUSED] = {"connect_refused", "connection refused: that machine answers, nothing listens on the port"},
        [NET_DIAL_TIMEOUT] = {"connect_timeout", "no answer: the machine is off or a firewall drops what is sent to the port"},
        [NET_DIAL_NO_ROUTE] = {"no_route", "no way to that machine from here"},
        [NET_DIAL_NAME] = {"name", "the host's name cannot be looked up"},
    };
    assert((size_t)fault < sizeof faults / sizeof *faults);
    note_trouble(n, &p->trouble, faults[fault].code, faults[fault].text);
}

static bool same_host(const char *host, const char *addr)
{
    const char *colon = strrchr(addr, ':');
    size_t length = colon != NULL ? (size_t)(colon - addr) : strlen(addr);
    return strlen(host) == length && memcmp(host, addr, length) == 0;
}

static void note_stranger(struct net *n, const struct link *l, const char *code, const char *detail)
{
    struct net_stranger row = {0};
    size_t i = 0;
    const char *colon = strrchr(l->addr, ':');
    if (colon == NULL || (size_t)(colon - l->addr) >= sizeof row.host)
        return;
    memcpy(row.host, l->addr, (size_t)(colon - l->addr));
    while (i < n->stranger_count &&
           (!same_host(n->strangers[i].host, l->addr) || strcmp(n->strangers[i].trouble.code, code) != 0))
        i++;
    assert(i <= n->stranger_count && n->stranger_count <= NET_STRANGERS_KEPT);
    if (i < n->stranger_count)
        row = n->strangers[i];
    else if (n->stranger_count == NET_STRANGERS_KEPT)
        i = 0;
    else
        n->stranger_count++;
    note_trouble(n, &row.trouble, code, detail);
    memmove(&n->strangers[i], &n->strangers[i + 1], (n->stranger_count - 1 - i) * sizeof row);
    n->strangers[n->stranger_count - 1] = row;
}

void note_end(struct net *n, const struct link *l)
{
    struct peer *p = l->peer;
    enum wire_reason r = l->conn.reason;
    const char *code = wire_reason_word(r), *detail = l->conn.detail[0] != 0 ? l->conn.detail : wire_reason_text(r);
    assert(l->ended);
    if (p != NULL) {
        p->sent_bytes += l->sent_bytes;
        p->received_bytes += l->received_bytes;
    }
    bool other = p != NULL && p->link != NULL && p->link != l; /* another session with it goes on */
    if (r == REASON_DUPLICATE || r == REASON_SELF || other)
        return;
    if (p != NULL)
        note_trouble(n, &p->trouble, code, detail);
    else if (r == REASON_MESH || r == REASON_VERSION || r == REASON_IDENTITY)
        note_stranger(n, l, code, detail);
}

void note_up(struct net *n, const struct link *l)
{
    assert(link_up(l) && l->peer != NULL && l->peer->link == l);
    l->peer->trouble = (struct net_trouble){0};
    l->peer->sessions++;
    if (l->outbound)
        n->stats.sessions_dialed++;
    else
        n->stats.sessions_accepted++;
}

/* ---- messages -------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    enum wire_type type;
} said[NET_SAID_COUNT] = {
    [NET_SAID_DELTA] = {"delta", WIRE_DELTA},         [NET_SAID_IHAVE] = {"ihave", WIRE_IHAVE}, [NET_SAID_IWANT] = {"iwant", WIRE_IWANT},
    [NET_SAID_IDONTWANT] = {"idontwant", WIRE_IDONTWANT}, [NET_SAID_GRAFT] = {"graft", WIRE_GRAFT}, [NET_SAID_PRUNE] = {"prune", WIRE_PRUNE},
};

const char *net_said_word(enum net_said what)
{
    assert(what < NET_SAID_COUNT);
    return said[what].word;
}

void note_said(struct net *n, struct peer *p, enum wire_type type, enum note_way way)
{
    for (size_t i = 0; i < NET_SAID_COUNT; i++) {
        if (said[i].type != type)
            continue;
        (way == NOTE_SENT ? n->stats.talk.sent : n->stats.talk.received)[i]++;
        if (p != NULL)
            (way == NOTE_SENT ? p->talk.sent : p->talk.received)[i]++;
        return;
    }
}

/* ---- views ----------------------------------------------------------------------------------------------------------- */

void note_info(const struct net *n, const struct peer *p, struct net_peer_info *out)
{
    assert(p->score_count <= NET_SCORES_KEPT && n->now_ms >= p->trouble.last_ms);
    out->sent_bytes = p->sent_bytes;
    out->received_bytes = p->received_bytes;
    out->sessions = p->sessions;
    out->talk = p->talk;
    out->up_ms = p->link != NULL ? p->link->up_ms : 0;
    out->trouble = p->trouble;
    if (p->trouble.code != NULL)
        out->lag_ms = n->now_ms - p->trouble.since_ms;
    out->score_count = p->score_count;
    for (size_t i = 0; i < p->score_count; i++)
        out->score_changes[i] = p->scores[p->score_count - 1 - i];
}

size_t net_strangers(const struct net *n, struct net_stranger *out, size_t max)
{
    for (size_t i = 0; i < n->stranger_count && i < max; i++)
        out[i] = n->strangers[n->stranger_count - 1 - i];
    return n->stranger_count;
}
