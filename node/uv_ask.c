/*
 * Asking other nodes: which one, and over which session; where there is none, one is made. A node that is asked never asks
 * further. What became of it is uv_answer.c's.
 */
#include "node/uv_invoke.h"

#include "crdt/alloc.h"

#include <stdlib.h>
#include <string.h>

#define PEERS_MAX 128

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

struct load *ask_load(struct uv_invokes *all, const struct key *node)
{
    return &all->loads[get_le64(node->b) % INVOKE_LOADS];
}

static bool was_tried(const struct request *q, const struct key *node)
{
    for (size_t i = 0; i < q->tried_count; i++)
        if (key_eq(&q->tried[i], node))
            return true;
    return false;
}

static size_t asked_of(const struct uv_invokes *all, const struct key *node)
{
    size_t n = 0;
    for (const struct request *q = all->requests; q != NULL; q = q->next)
        n += q->asked != 0 && key_eq(&q->at, node);
    return n;
}

/* Calls that are under way there, as far as this node knows. */
static uint64_t load_at(struct uv_invokes *all, const struct key *node)
{
    const struct load *l = ask_load(all, node);
    bool fresh = key_eq(&l->node, node) && uv_now(&all->server->loop) < l->until_ms;
    return asked_of(all, node) + (fresh ? l->running : 0);
}

/* Does `text`, what the client asked for with ?on=, mean this node? */
static bool is_named(struct bytes text, const struct key *node)
{
    char hex[ID_HEX_SIZE];
    key_hex(hex, node);
    if (text.n == 0)
        return true;
    return text.n >= 4 && text.n <= 2 * ID_BYTES && memcmp(text.p, hex, text.n) == 0;
}

static bool may_ask(const struct request *q, const struct key *node)
{
    return !was_tried(q, node) && !key_eq(node, &q->all->server->keys.node.key) && is_named(q->call->invoke.on, node);
}

/* Of the nodes in session: the nearest and least busy. */
static bool choose_linked(struct request *q, struct key *out)
{
    struct uv_invokes *all = q->all;
    struct net_peer_info *peers = mem_calloc(PEERS_MAX, sizeof *peers);
    struct serving_place places[PEERS_MAX];
    size_t count = net_peers(node_net(all->server->node), peers, PEERS_MAX), n = 0;
    for (size_t i = 0; i < count && i < PEERS_MAX; i++) {
        const struct net_peer_info *p = &peers[i];
        if (p->state == PEER_UP && may_ask(q, &p->id) && serving_has(&all->serving, &q->call->id, &p->id))
            places[n++] = (struct serving_place){.node = p->id, .away_ms = p->rtt_ms, .load = load_at(all, &p->id)};
    }
    free(peers);
    size_t at = serving_choose(places, n, 0);
    if (at < n)
        *out = places[at].node;
    return at < n;
}

/* Of the others, whose distance is not known: the least busy, any of those alike. Those in session are tried by now. */
static bool choose_other(struct request *q, struct key *out)
{
    struct uv_invokes *all = q->all;
    struct key nodes[PEERS_MAX];
    struct serving_place places[PEERS_MAX];
    size_t count = serving_find(&all->serving, &q->call->id, nodes, PEERS_MAX), n = 0;
    for (size_t i = 0; i < count && i < PEERS_MAX && q->reach_count < INVOKE_REACHES; i++)
        if (may_ask(q, &nodes[i]))
            places[n++] = (struct serving_place){.node = nodes[i], .load = load_at(all, &nodes[i])};
    size_t at = serving_choose(places, n, rng_u64(&all->server->rng));
    if (at < n)
        *out = places[at].node;
    return at < n;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* Nobody was tried. */
static void nobody_serves(struct request *q)
{
    struct bytes on = q->call->invoke.on;
    struct buf why = {0};
    if (on.n > 0)
        buf_printf(&why, "no other node whose id starts with \"%.*s\" (4 hex digits or more) serves this entry; `souk ls node` lists what each serves",
                   (int)(on.n < 64 ? on.n : 64), (const char *)on.p);
    else
        buf_put_str(&why, "no node serves this entry; `souk deploy` makes one serve it");
    request_refused(q, ERR_NOT_FOUND, 404, "not_deployed", buf_view(&why));
    buf_close(&why);
}

static void no_candidate(struct request *q)
{
    struct bytes told = buf_view(&q->refused);
    switch (q->refusal) {
    case CALL_BUSY:
        request_refused(q, ERR_BUSY, 0, "busy", told);
        return;
    case CALL_BAD_INPUT:
        request_refused(q, ERR_INVALID, 0, "bad_input", told);
        return;
    case CALL_STOPPING:
    case CALL_NOT_DEPLOYED:
    case CALL_NO_BLOB:
    case CALL_REFUSALS:
        break;
    }
    if (q->untaken)
        request_refused(q, ERR_IO, 503, "unreachable",
                        bytes_str("a node says that it serves this entry, but it cannot be reached, or takes no calls, now"));
    else if (q->tried_count > 0)
        request_refused(q, ERR_NOT_FOUND, 404, "not_deployed",
                        told.n > 0 ? told : bytes_str("the nodes that said so do not serve this entry now"));
    else
        nobody_serves(q);
}

/* The client's own bound, less what has gone by; 0: none. */
static uint64_t time_left(const struct request *q)
{
    uint64_t now = uv_now(&q->all->server->loop);
    if (q->until_ms == 0)
        return 0;
    return q->until_ms > now ? q->until_ms - now : 1;
}

static void send_question(struct request *q, const struct key *node)
{
    struct uv_invokes *all = q->all;
    struct server *s = all->server;
    struct buf bytes = {0};
    struct call_question question = {.ask = CALL_INVOKE, .kind = q->call->kind, .entry = q->call->id,
                                     .has_token = q->token != 0, .stream = q->call->invoke.piece != NULL,
                                     .media = (uint8_t)q->call->invoke.input, .within_ms = time_left(q),
                                     .input = q->call->body};
    receipt_token(&question.token, &s->keys.node.key, q->token);
    call_put_question(&bytes, &question);
    q->asked = ++all->numbers;
    all->routed++;
    buf_reset(&q->call->out);
    invokes_tell_net(s, (struct net_event){.kind = NET_CALL, .peer = *node, .call = q->asked, .bytes = buf_view(&bytes)});
    buf_close(&bytes);
}

/* There is no session with it yet. */
static void reach(struct request *q, const struct key *node)
{
    struct uv_invokes *all = q->all;
    char addr[SERVING_ADDR_MAX];
    serving_address(&all->serving, all->server->store, &q->call->id, node, addr);
    q->reach_count++;
    q->reaching = true;
    q->asked = ++all->numbers;
    invokes_tell_net(all->server, (struct net_event){
                                      .kind = NET_REACH, .peer = *node, .call = q->asked, .addr = addr[0] != 0 ? addr : NULL});
}

void ask_reached(struct uv_invokes *all, const struct net_action *a)
{
    struct request *q = answer_request(all, a->call);
    if (q == NULL || !q->reaching)
        return;
    q->reaching = false;
    q->asked = 0;
    send_question(q, &a->peer);
}

static void refresh(struct uv_invokes *all)
{
    uint64_t now = uv_now(&all->server->loop);
    serving_refresh(&all->serving, all->server->store);
    all->serving_at_ms = now > 0 ? now : 1;
}

/* The table of who serves what is up to a second old, so that a busy catalogue is not read for each invoke; before an
 * invoke turns to a node without a session, or fails, it is read again. */
bool ask_another(struct request *q)
{
    struct key node;
    struct uv_invokes *all = q->all;
    bool old = all->serving_at_ms == 0 || uv_now(&all->server->loop) - all->serving_at_ms >= INVOKE_SERVING_MS;
    if (old)
        refresh(all);
    bool more = q->tried_count < INVOKE_TRIES, linked = more && choose_linked(q, &node);
    if (!linked && !old && more) {
        refresh(all);
        linked = choose_linked(q, &node);
    }
    if (!linked && !(more && choose_other(q, &node)))
        return false;
    q->tried[q->tried_count++] = q->at = node;
    if (linked)
        send_question(q, &node);
    else
        reach(q, &node);
    return true;
}

void ask_next(struct request *q)
{
    if (!ask_another(q))
        no_candidate(q);
}

void ask_drop(struct request *q)
{
    uint64_t call = q->asked;
    q->asked = 0;
    q->reaching = false;
    invokes_tell_net(q->all->server, (struct net_event){.kind = NET_CALL_DROP, .call = call});
}
