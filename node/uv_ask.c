/*
 * Asking other nodes: which one, how long, what became of it. Another node is tried only where the one before says that it
 * started nothing. A node that is asked never asks further.
 */
#include "node/uv_invoke.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_MAX 128

/* ---- choosing ---------------------------------------------------------------------------------------------------- */

static struct load *load_of(struct uv_invokes *all, const struct key *node)
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

/* The round trip, once more for each call that is under way there as far as this node knows. */
static uint64_t cost_of(struct uv_invokes *all, const struct net_peer_info *p, uint64_t now_ms)
{
    const struct load *l = load_of(all, &p->id);
    bool fresh = key_eq(&l->node, &p->id) && now_ms - l->at_ms < INVOKE_LOAD_MS;
    uint64_t load = asked_of(all, &p->id) + (fresh ? l->running : 0);
    return (p->lag_ms + 1) * (1 + load);
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

static bool serves(const struct key *nodes, size_t count, const struct key *node)
{
    for (size_t i = 0; i < count; i++)
        if (key_eq(&nodes[i], node))
            return true;
    return false;
}

static bool choose(struct request *q, struct key *out)
{
    struct uv_invokes *all = q->all;
    struct key nodes[PEERS_MAX];
    struct net_peer_info *peers = mem_calloc(PEERS_MAX, sizeof *peers);
    uint64_t now = uv_now(&all->server->loop), best = UINT64_MAX;
    size_t count = net_peers(node_net(all->server->node), peers, PEERS_MAX);
    size_t serving = serving_find(&all->serving, &q->call->id, nodes, PEERS_MAX);
    serving = serving < PEERS_MAX ? serving : PEERS_MAX;
    for (size_t i = 0; i < count && i < PEERS_MAX; i++) {
        const struct net_peer_info *p = &peers[i];
        if (p->state != PEER_UP || was_tried(q, &p->id) || !serves(nodes, serving, &p->id) ||
            !is_named(q->call->invoke.on, &p->id))
            continue;
        uint64_t cost = cost_of(all, p, now);
        if (cost < best) {
            best = cost;
            *out = p->id;
        }
    }
    free(peers);
    return best != UINT64_MAX;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

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
    if (q->tried_count > 0) {
        request_refused(q, ERR_NOT_FOUND, 404, "not_deployed",
                        told.n > 0 ? told : bytes_str("the nodes that said so do not serve this entry now"));
        return;
    }
    struct key nodes[1];
    bool told_of = serving_find(&q->all->serving, &q->call->id, nodes, 1) > 0;
    request_refused(q, ERR_NOT_FOUND, 404, "not_deployed",
                    bytes_str(told_of ? "a node says that it serves this entry, but none that this node is connected to"
                                      : "no node serves this entry; `souk deploy` makes one serve it"));
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
    q->tried[q->tried_count++] = q->at = *node;
    q->asked = ++all->numbers;
    all->routed++;
    buf_reset(&q->call->out);
    invokes_tell_net(s, (struct net_event){.kind = NET_CALL, .peer = *node, .call = q->asked, .bytes = buf_view(&bytes)});
    buf_close(&bytes);
}

static void refresh(struct uv_invokes *all)
{
    uint64_t now = uv_now(&all->server->loop);
    serving_refresh(&all->serving, all->server->store);
    all->serving_at_ms = now > 0 ? now : 1;
}

/* The table of who serves what is up to a second old, so that a busy catalogue is not read for each invoke; before an
 * invoke fails it is read again. */
void ask_next(struct request *q)
{
    struct key node;
    struct uv_invokes *all = q->all;
    bool old = all->serving_at_ms == 0 || uv_now(&all->server->loop) - all->serving_at_ms >= INVOKE_SERVING_MS;
    if (old)
        refresh(all);
    bool found = q->tried_count < INVOKE_TRIES && choose(q, &node);
    if (!found && !old && q->tried_count < INVOKE_TRIES) {
        refresh(all);
        found = choose(q, &node);
    }
    if (found)
        send_question(q, &node);
    else
        no_candidate(q);
}

void ask_drop(struct request *q)
{
    uint64_t call = q->asked;
    q->asked = 0;
    invokes_tell_net(q->all->server, (struct net_event){.kind = NET_CALL_DROP, .call = call});
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */

static struct request *request_of(struct uv_invokes *all, uint64_t call)
{
    for (struct request *q = all->requests; q != NULL; q = q->next)
        if (q->asked == call)
            return q;
    return NULL;
}

/* A receipt is kept if it is this node's, about this output, and of now: a peer must not push others off the shelf. */
static bool take_receipt(struct request *q, const struct call_answer *a, struct bytes output, struct buf *why)
{
    struct server *s = q->all->server;
    struct receipt_view view;
    struct digest want;
    if (receipt_verify(a->receipt, &view, why) != ERR_OK)
        return false;
    digest_of(&want, a->status == SANDBOX_OK ? output : (struct bytes){0});
    if (!key_eq(&view.issuer, &q->at) || memcmp(&want, &view.output, sizeof want) != 0) {
        buf_put_str(why, "it is by another node, or about another output");
        return false;
    }
    uint64_t now = server_clock_ms(), then = receipt_id_ms(&view.id), ahead = MODEL_AHEAD_MAX_MS;
    struct store_receipt row = {.json = a->receipt};
    memcpy(row.id, view.id.b, sizeof row.id);
    if (then <= now + ahead && then + ahead + 86400000u >= now && node_keep_receipt(s->node, &row) != ERR_OK)
        uv_log(&s->log, LOG_NODE, LOG_WARN, "a receipt is not kept: too many wait for the disk");
    return true;
}

static void take_result(struct request *q, const struct call_answer *a)
{
    struct uv_invokes *all = q->all;
    struct buf why = {0};
    struct bytes output = a->in_parts ? buf_view(&q->call->out) : a->bytes;
    *load_of(all, &q->at) = (struct load){
        .node = q->at, .at_ms = uv_now(&all->server->loop), .running = a->running, .room = a->room};
    q->asked = 0;
    if (a->status == SANDBOX_SETUP && !a->started && q->tried_count < INVOKE_TRIES) {
        struct key other;
        if (choose(q, &other)) {
            send_question(q, &other);
            return;
        }
    }
    q->ran = a->started;
    if (a->status >= SANDBOX_STATUS_COUNT || !take_receipt(q, a, output, &why))
        request_refused(q, ERR_IO, 502, "bad_receipt",
                        why.n > 0 ? buf_view(&why) : bytes_str("the serving node's answer is not understood"));
    else
        request_ended(q, &(struct run_end){.status = (enum sandbox_status)a->status, .media = a->media, .output = output,
                                           .receipt = a->receipt, .text = a->text});
    buf_close(&why);
}

static void take_part(struct request *q, struct bytes part)
{
    if (q->call->out.n + part.n > SANDBOX_OUTPUT_MAX) {
        ask_drop(q);
        request_refused(q, ERR_IO, 502, "output_limit", bytes_str("the serving node sends more than an output may have"));
        return;
    }
    buf_put_bytes(&q->call->out, part);
    if (q->call->invoke.piece != NULL)
        q->call->invoke.piece(q->call, part);
}

void ask_answered(struct uv_invokes *all, const struct net_action *a)
{
    struct request *q = request_of(all, a->call);
    struct call_answer answer;
    if (q == NULL)
        return;
    if (call_read_answer(a->bytes, &answer) != ERR_OK || (answer.reply != CALL_PART) != a->final ||
        answer.reply == CALL_BLOB) {
        if (!a->final)
            ask_drop(q);
        q->asked = 0;
        request_refused(q, ERR_IO, 502, "bad_answer", bytes_str("the serving node's answer is not understood"));
        return;
    }
    if (answer.reply == CALL_PART) {
        take_part(q, answer.bytes);
    } else if (answer.reply == CALL_RESULT) {
        take_result(q, &answer);
    } else {
        q->asked = 0;
        q->refusal = answer.refusal;
        buf_reset(&q->refused);
        buf_put_bytes(&q->refused, answer.text);
        ask_next(q);
    }
}

void ask_lost(struct uv_invokes *all, const struct net_action *a)
{
    struct request *q = request_of(all, a->call);
    if (q == NULL)
        return;
    q->asked = 0;
    if (a->unsent && q->call->out.n == 0)
        ask_next(q);
    else
        request_refused(q, ERR_IO, 502, "lost",
                        bytes_str("the connection to the serving node was lost while it worked; it is not known whether "
                                  "the program came to its end"));
}
