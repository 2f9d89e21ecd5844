/*
 * Calls over a session. Messages of one direction leave one after another, each in parts, and only while the link's queue
 * is short, so a long input delays deltas by little and costs the receiver one buffer. Calls end with a final answer, when
 * either side gives up, or with the session.
 */
#include "net/calls.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum flag {
    FLAG_ANSWER = 1,  /* from the side that was asked                 */
    FLAG_FIRST = 2,   /* the first part of a message                  */
    FLAG_LAST = 4,    /* its last part                                */
    FLAG_FINAL = 8,   /* of the last answer                           */
    FLAG_ABANDON = 16 /* the sender gives the call up; nothing follows */
};
#define FLAGS (FLAG_ANSWER | FLAG_FIRST | FLAG_LAST | FLAG_FINAL | FLAG_ABANDON)

/* ---- tables ------------------------------------------------------------------------------------------------------- */

static struct link_calls *calls_of(struct link *l)
{
    if (l->calls == NULL) {
        l->calls = mem_zalloc(sizeof *l->calls);
        l->calls->out_end = &l->calls->out;
    }
    return l->calls;
}

static bool list_has(const uint64_t *list, size_t count, uint64_t call)
{
    assert(count <= NET_CALLS_MAX);
    for (size_t i = 0; i < count; i++)
        if (list[i] == call)
            return true;
    return false;
}

static bool asking_take(struct link_calls *c, uint64_t call)
{
    for (size_t i = 0; i < c->asking_count; i++)
        if (c->asking[i] == call) {
            c->asking[i] = c->asking[--c->asking_count];
            return true;
        }
    return false;
}

static void asked_put(struct link_calls *c, uint64_t call, uint64_t now_ms)
{
    assert(c->asked_count < NET_CALLS_MAX && (c->asked_count == 0 || c->asked_ms[c->asked_count - 1] <= now_ms));
    c->asked[c->asked_count] = call;
    c->asked_ms[c->asked_count++] = now_ms;
}

/* What is left stays in order: the first one is due first. */
static bool asked_take(struct link_calls *c, uint64_t call)
{
    for (size_t i = 0; i < c->asked_count; i++)
        if (c->asked[i] == call) {
            size_t after = --c->asked_count - i;
            memmove(&c->asked[i], &c->asked[i + 1], after * sizeof c->asked[0]);
            memmove(&c->asked_ms[i], &c->asked_ms[i + 1], after * sizeof c->asked_ms[0]);
            return true;
        }
    return false;
}

static void message_free(struct call_message *m)
{
    buf_close(&m->bytes);
    free(m);
}

/* Forgets the messages of a call that have not left. True: one was cut off in the middle, and an abandonment must follow,
 * or the receiver would wait for the rest. */
static bool unqueue(struct link_calls *c, uint64_t call, uint8_t side)
{
    struct call_message **at = &c->out;
    bool cut = false;
    while (*at != NULL) {
        struct call_message *m = *at;
        if (m->call != call || (m->flags & FLAG_ANSWER) != side) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        cut = cut || m->at > 0;
        assert(c->out_bytes >= m->bytes.n && m->at <= m->bytes.n);
        c->out_bytes -= m->bytes.n;
        message_free(m);
    }
    c->out_end = at;
    return cut;
}

void calls_free(struct link *l)
{
    struct link_calls *c = l->calls;
    if (c == NULL)
        return;
    while (c->out != NULL) {
        struct call_message *next = c->out->next;
        message_free(c->out);
        c->out = next;
    }
    buf_close(&c->in);
    free(c);
    l->calls = NULL;
}

/* Half a question is none, and an answer that is read too slowly does not count for ever: neither keeps a link open. */
bool calls_under_way(const struct net *n, const struct link *l)
{
    const struct link_calls *c = l->calls;
    bool leaving = c != NULL && c->out != NULL && n->now_ms < c->out->since_ms + NET_MESSAGE_MS;
    return c != NULL && (c->asked_count > 0 || c->asking_count > 0 || leaving);
}

uint64_t calls_own_ms(const struct link *l)
{
    return l->calls != NULL && l->calls->own_ms > l->up_ms ? l->calls->own_ms : l->up_ms;
}

uint64_t calls_last_ms(const struct link *l)
{
    return l->calls != NULL && l->calls->last_ms > l->up_ms ? l->calls->last_ms : l->up_ms;
}

/* ---- sending -------------------------------------------------------------------------------------------------------- */

static void send_part(struct net *n, struct link *l, uint64_t call, uint8_t flags, struct bytes part)
{
    assert(part.n <= NET_CALL_PART && (flags & ~FLAGS) == 0);
    struct buf body = {0};
    buf_put_be(&body, call, 8);
    buf_put_u8(&body, flags);
    buf_put_bytes(&body, part);
    link_send(n, l, &(struct wire_message){.type = WIRE_CALL, .body = buf_view(&body)});
    buf_close(&body);
}

static void abandon(struct net *n, struct link *l, uint64_t call, uint8_t side)
{
    assert(side == 0 || side == FLAG_ANSWER);
    (void)unqueue(calls_of(l), call, side);
    send_part(n, l, call, (uint8_t)(side | FLAG_ABANDON), bytes_of(NULL, 0));
}

void calls_pump(struct net *n, struct link *l)
{
    while (l->calls != NULL && l->calls->out != NULL && link_up(l) && link_queued(l) < NET_CALL_QUEUE) {
        struct link_calls *c = l->calls;
        struct call_message *m = c->out;
        size_t left = m->bytes.n - m->at, take = left < NET_CALL_PART ? left : NET_CALL_PART;
        assert(m->at <= m->bytes.n && c->out_bytes >= m->bytes.n);
        uint8_t flags = (uint8_t)(m->flags & (FLAG_ANSWER | FLAG_FINAL));
        struct bytes part = bytes_of(m->bytes.p + m->at, take);
        if (m->at == 0)
            flags |= FLAG_FIRST;
        m->at += take;
        bool done = m->at == m->bytes.n;
        if (done) {
            flags |= FLAG_LAST;
            c->out = m->next;
            if (c->out == NULL)
                c->out_end = &c->out;
            c->out_bytes -= m->bytes.n;
        }
        send_part(n, l, m->call, flags, part);
        if (done)
            message_free(m);
    }
}

static void queue_message(struct net *n, struct link *l, uint64_t call, uint8_t flags, struct bytes bytes)
{
    assert((flags & ~(FLAG_ANSWER | FLAG_FINAL)) == 0);
    struct link_calls *c = calls_of(l);
    struct call_message *m = mem_zalloc(sizeof *m);
    m->call = call;
    m->since_ms = n->now_ms;
    m->flags = flags;
    buf_put_bytes(&m->bytes, bytes);
    c->out_bytes += bytes.n;
    assert(c->out_bytes <= NET_CALL_BYTES_MAX && *c->out_end == NULL);
    *c->out_end = m;
    c->out_end = &m->next;
    calls_pump(n, l);
}

/* ---- the owner's side ----------------------------------------------------------------------------------------------- */

static struct link *link_of(struct net *n, const struct key *peer)
{
    struct peer *p = book_by_key(n, peer);
    return p != NULL && p->link != NULL && !p->link->ended && link_up(p->link) ? p->link : NULL;
}

static struct link *link_asked(struct net *n, uint64_t call)
{
    for (size_t i = 0; i < n->link_count; i++) {
        struct link *l = n->links[i];
        if (!l->ended && l->calls != NULL && list_has(l->calls->asked, l->calls->asked_count, call))
            return l;
    }
    return NULL;
}

static void ask(struct net *n, const struct net_event *e)
{
    struct link *l = link_of(n, &e->peer);
    assert(link_asked(n, e->call) == NULL && e->bytes.n <= NET_CALL_REQUEST_MAX);
    struct link_calls *c = l != NULL ? calls_of(l) : NULL;
    if (c == NULL || c->asked_count == NET_CALLS_MAX || c->out_bytes + e->bytes.n > NET_CALL_BYTES_MAX) {
        net_act(n, &(struct net_action){.kind = NET_CALL_LOST, .call = e->call, .unsent = true});
        return;
    }
    asked_put(c, e->call, n->now_ms);
    c->last_ms = c->own_ms = n->now_ms;
    queue_message(n, l, e->call, 0, e->bytes);
}

static void drop(struct net *n, const struct net_event *e)
{
    struct link *l = reach_drop(n, e->call) ? NULL : link_asked(n, e->call);
    if (l == NULL)
        return;
    bool found = asked_take(l->calls, e->call);
    assert(found);
    (void)found;
    abandon(n, l, e->call, 0);
}

static void answer(struct net *n, const struct net_event *e)
{
    struct link *l = link_of(n, &e->peer);
    if (l == NULL || l->calls == NULL || !list_has(l->calls->asking, l->calls->asking_count, e->call))
        return;
    struct link_calls *c = l->calls;
    c->last_ms = n->now_ms;
    bool fits = e->kind == NET_ANSWER && e->bytes.n <= NET_CALL_ANSWER_MAX && c->out_bytes + e->bytes.n <= NET_CALL_BYTES_MAX;
    if (fits) {
        if (e->final)
            (void)asking_take(c, e->call);
        queue_message(n, l, e->call, (uint8_t)(FLAG_ANSWER | (e->final ? FLAG_FINAL : 0)), e->bytes);
        return;
    }
    (void)asking_take(c, e->call);
    abandon(n, l, e->call, FLAG_ANSWER);
    if (e->kind == NET_ANSWER)
        net_act(n, &(struct net_action){.kind = NET_CALL_LEFT, .call = e->call, .peer = e->peer});
}

void calls_input(struct net *n, const struct net_event *e)
{
    if (e->kind == NET_CALL)
        ask(n, e);
    else if (e->kind == NET_CALL_DROP)
        drop(n, e);
    else
        answer(n, e);
}

/* ---- a peer that never answers -------------------------------------------------------------------------------------- */

uint64_t calls_deadline(const struct link *l)
{
    const struct link_calls *c = l->calls;
    return c != NULL && c->asked_count > 0 ? c->asked_ms[0] + NET_CALL_MS : UINT64_MAX;
}

void calls_tick(struct net *n, struct link *l)
{
    while (!l->ended && n->now_ms >= calls_deadline(l)) {
        uint64_t call = l->calls->asked[0];
        bool found = asked_take(l->calls, call);
        assert(found);
        (void)found;
        abandon(n, l, call, 0);
        net_act(n, &(struct net_action){.kind = NET_CALL_LOST, .call = call, .late = true});
    }
}

/* ---- receiving ------------------------------------------------------------------------------------------------------ */

static void broken(struct net *n, struct link *l, enum wire_reason reason, const char *detail)
{
    book_score(n, l->peer, NET_SCORED_PROTOCOL);
    link_close(n, l, reason, detail);
}

/* The other side has given up: its question, or its answer. */
static void abandoned(struct net *n, struct link *l, uint64_t call, bool is_answer)
{
    struct link_calls *c = l->calls;
    if (c->receiving && c->in_call == call && c->in_answer == is_answer) {
        c->receiving = false;
        buf_close(&c->in);
    }
    if (is_answer && asked_take(c, call))
        net_act(n, &(struct net_action){.kind = NET_CALL_LOST, .call = call, .unsent = true});
    if (!is_answer && asking_take(c, call))
        net_act(n, &(struct net_action){.kind = NET_CALL_LEFT, .call = call, .peer = l->peer->key});
    uint8_t ours = is_answer ? 0 : FLAG_ANSWER;
    if (unqueue(c, call, ours))
        send_part(n, l, call, (uint8_t)(ours | FLAG_ABANDON), bytes_of(NULL, 0));
}

static void deliver(struct net *n, struct link *l, uint8_t flags)
{
    struct link_calls *c = l->calls;
    struct net_action a = {.call = c->in_call, .peer = l->peer->key};
    c->receiving = false;
    c->last_ms = n->now_ms;
    if (c->dropping || (c->in_answer && !list_has(c->asked, c->asked_count, c->in_call))) {
        buf_close(&c->in);
        return;
    }
    if (c->in_answer) {
        c->own_ms = n->now_ms;
        a.kind = NET_ANSWERED;
        a.final = (flags & FLAG_FINAL) != 0;
        if (a.final)
            (void)asked_take(c, c->in_call);
    } else {
        a.kind = NET_CALLED;
        assert(c->asking_count < NET_CALLS_MAX);
        c->asking[c->asking_count++] = c->in_call;
    }
    net_act_bytes(n, &a, &c->in);
}

/* A question is taken if there is room for it; else it is refused and its bytes are dropped as they come. */
static void begin(struct net *n, struct link *l, uint64_t call, bool is_answer)
{
    assert(!l->calls->receiving);
    struct link_calls *c = l->calls;
    c->receiving = true;
    c->dropping = false;
    c->in_call = call;
    c->in_answer = is_answer;
    buf_reset(&c->in);
    if (is_answer)
        return;
    if (c->asking_count < NET_CALLS_MAX && bucket_take(&c->begun, NET_CALL_BURST, NET_CALL_RATE, n->now_ms))
        return;
    c->dropping = true;
    send_part(n, l, call, FLAG_ANSWER | FLAG_ABANDON, bytes_of(NULL, 0));
}

void calls_message(struct net *n, struct link *l, const struct wire_message *m)
{
    struct link_calls *c = calls_of(l);
    if (m->body.n < 9 || (m->body.p[8] & ~FLAGS) != 0) {
        broken(n, l, REASON_PROTOCOL, "a call that is not well-formed");
        return;
    }
    uint64_t call = get_be(m->body.p, 8);
    uint8_t flags = m->body.p[8];
    struct bytes part = bytes_of(m->body.p + 9, m->body.n - 9);
    bool is_answer = (flags & FLAG_ANSWER) != 0;
    if ((flags & FLAG_ABANDON) != 0) {
        abandoned(n, l, call, is_answer);
        return;
    }
    bool first = (flags & FLAG_FIRST) != 0;
    bool known = list_has(c->asking, c->asking_count, call);
    if (first == c->receiving || (!first && (c->in_call != call || c->in_answer != is_answer)) ||
        (first && !is_answer && known)) {
        broken(n, l, REASON_PROTOCOL, "parts of a call out of order");
        return;
    }
    if (first)
        begin(n, l, call, is_answer);
    if (l->ended)
        return;
    if (c->in.n + part.n > (is_answer ? NET_CALL_ANSWER_MAX : NET_CALL_REQUEST_MAX)) {
        broken(n, l, REASON_LIMIT, "a call is too long");
        return;
    }
    if (!c->dropping)
        buf_put_bytes(&c->in, part);
    if ((flags & FLAG_LAST) != 0)
        deliver(n, l, flags);
}

/* Its question has not left whole: nobody can have acted on it. */
static bool is_unsent(const struct link_calls *c, uint64_t call)
{
    for (const struct call_message *m = c->out; m != NULL; m = m->next)
        if (m->call == call && (m->flags & FLAG_ANSWER) == 0)
            return true;
    return false;
}

void calls_link_gone(struct net *n, struct link *l)
{
    struct link_calls *c = l->calls;
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->asked_count; i++) {
        bool unsent = is_unsent(c, c->asked[i]);
        net_act(n, &(struct net_action){.kind = NET_CALL_LOST, .call = c->asked[i], .unsent = unsent});
    }
    for (size_t i = 0; i < c->asking_count; i++)
        net_act(n, &(struct net_action){.kind = NET_CALL_LEFT, .call = c->asking[i], .peer = l->peer->key});
    calls_free(l);
}
