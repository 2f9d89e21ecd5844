/*
 * Repair: when to reconcile with whom, and what to do with the differences. The algorithm is recon.c's; what is needed is
 * fetched by fetch.c, what the other side lacks is offered as ids. Sessions are cheap where sets are equal and pause
 * where the queues are full. What they cost is charged to the peer: over its allowance, its frames wait for their turn.
 */
#include "net/engine.h"

#include "crdt/hlc.h"

#include <assert.h>
#include <string.h>

/* ---- what it may cost ----------------------------------------------------------------------------------------------------- */

static int64_t left_now(const struct allowance *a, const struct allowance_limit *limit, uint64_t now_ms)
{
    uint64_t gone = now_ms - a->at_ms;
    if (a->at_ms == 0 || gone > NET_WORK_FULL_MS)
        return limit->burst;
    int64_t left = a->left + (int64_t)gone * limit->each_ms;
    return left < limit->burst ? left : limit->burst;
}

static void spend(struct allowance *a, const struct allowance_limit *limit, size_t work, uint64_t now_ms)
{
    a->left = left_now(a, limit, now_ms) - (int64_t)work;
    a->at_ms = now_ms > 0 ? now_ms : 1;
    assert(a->left <= limit->burst);
}

/* When something may be spent again; now or earlier: at once. */
static uint64_t free_at(const struct allowance *a, const struct allowance_limit *limit, uint64_t now_ms)
{
    int64_t left = left_now(a, limit, now_ms);
    return left > 0 ? now_ms : now_ms + (uint64_t)(-left / limit->each_ms) + 1;
}

static const struct allowance_limit of_peer = {NET_WORK_BURST, NET_WORK_RATE};
static const struct allowance_limit of_all = {NET_WORK_ALL_BURST, NET_WORK_ALL_RATE};

/* ---- sessions ------------------------------------------------------------------------------------------------------------- */

struct form {
    enum recon_role role;
    enum recon_mode mode;
    uint64_t session;
};

/* PROTOCOL 5.2: Its key is H("souk/recon/1", handshake hash, session, the initiator's identity key). */
static void recon_begin(struct net *n, const struct link *l, const struct form *form, struct recon *out)
{
    struct hasher h;
    struct id key;
    struct recon_config config = {.set = n->config.set,
                                  .mode = form->mode,
                                  .role = form->role,
                                  .guess = l->synced ? RECON_GUESS_EQUAL : RECON_GUESS_DIFFERENT,
                                  .from = n->audit_from,
                                  .span = RECON_AUDIT_SPAN,
                                  .bound = hlc_from_ms(net_clock(n) + MODEL_AHEAD_MAX_MS),
                                  .frame_limit = RECON_FRAME_MAX};
    hash_init(&h, "souk/recon/1");
    hash_part(&h, l->conn.channel.b, ID_BYTES);
    hash_u64(&h, form->session);
    hash_part(&h, form->role == RECON_INITIATOR ? n->self.key.b : l->conn.remote.b, ID_BYTES);
    hash_end(&h, &key);
    memcpy(config.key, key.b, sizeof config.key);
    recon_init(out, &config);
}

static void send_frame(struct net *n, struct link *l, const struct wire_message *frame)
{
    n->stats.sync_bytes += frame->body.n;
    link_send(n, l, frame);
}

static void start(struct net *n, struct link *l, enum recon_mode mode)
{
    struct buf out = {0};
    if (!link_up(l) || l->syncing || n->intake == NET_INTAKE_STOPPED)
        return;
    assert(l->diff.have == NULL && l->diff.need == NULL && l->held.n == 0);
    l->syncing = true;
    l->session = ++n->session_count;
    l->sync_heard_ms = n->now_ms;
    l->rounds = l->fruitless = 0;
    l->offered = 0;
    l->found = 0;
    l->differs = l->more = false;
    recon_begin(n, l, &(struct form){RECON_INITIATOR, mode, l->session}, &l->recon);
    recon_initiate(&l->recon, &out);
    if (mode == RECON_AUDIT)
        n->audit_from = l->recon.next;
    n->stats.sync_rounds++;
    send_frame(n, l, &(struct wire_message){.type = WIRE_RECON, .session = l->session, .body = buf_view(&out)});
    buf_close(&out);
}

void sync_start(struct net *n, struct link *l)
{
    start(n, l, RECON_PRODUCTION);
}

void sync_stop(struct link *l)
{
    recon_close(&l->recon);
    recon_diff_close(&l->diff);
    buf_close(&l->held);
    l->syncing = false;
}

void sync_free(struct link *l)
{
    sync_stop(l);
    buf_close(&l->waiting);
}

void sync_up(struct net *n, struct link *l, const struct wire_hello *hello, const struct id *digest)
{
    size_t count = setindex_count(n->config.set);
    assert(link_up(l) && !l->syncing);
    if (id_eq(&hello->digest, digest)) {
        l->synced = true;
        l->equal_ms = n->now_ms;
        return;
    }
    bool ours = count != hello->count ? count < hello->count : key_cmp(&n->self.key, &l->conn.remote) < 0;
    if (ours)
        sync_start(n, l);
    else
        l->sync_at_ms = n->now_ms + net_jitter(n, NET_SYNC_OTHER_MS);
}

/* ---- answering ---------------------------------------------------------------------------------------------------------- */

static void answer(struct net *n, struct link *l)
{
    struct recon r;
    struct buf out = {0}, frame = l->waiting;
    l->waiting = (struct buf){0};
    assert(frame.n > 0 && link_up(l));
    enum recon_mode mode = frame.p[0] == RECON_AUDIT ? RECON_AUDIT : RECON_PRODUCTION;
    recon_begin(n, l, &(struct form){RECON_RESPONDER, mode, l->waiting_session}, &r);
    enum recon_status status = recon_input(&r, buf_view(&frame), &out, NULL);
    spend(&l->work, &of_peer, r.work, n->now_ms);
    spend(&n->work, &of_all, r.work, n->now_ms);
    n->stats.sync_work += r.work;
    if (status == RECON_SEND) {
        send_frame(n, l, &(struct wire_message){.type = WIRE_RECON, .session = l->waiting_session, .reply = true, .body = buf_view(&out)});
    } else {
        book_score(n, l->peer, NET_SCORED_PROTOCOL);
        link_close(n, l, REASON_PROTOCOL, r.why);
    }
    recon_close(&r);
    buf_close(&frame);
    buf_close(&out);
}

static uint64_t answer_at(const struct net *n, const struct link *l)
{
    uint64_t at = free_at(&l->work, &of_peer, n->now_ms), all = free_at(&n->work, &of_all, n->now_ms);
    return at > all ? at : all;
}

/* Each peer in turn, from the one after the last: nobody waits for more than one frame of each of the others. */
static void answer_waiting(struct net *n)
{
    for (size_t i = 0; i < n->link_count; i++) {
        size_t at = (n->work_turn + i) % n->link_count;
        struct link *l = n->links[at];
        if (!link_up(l) || l->waiting.n == 0 || answer_at(n, l) > n->now_ms)
            continue;
        answer(n, l);
        n->work_turn = at + 1;
    }
}

/* PROTOCOL 5.10: A peer has one frame waiting: a newer one takes its place. */
static void asked(struct net *n, struct link *l, const struct wire_message *m)
{
    if (!bucket_take(&l->frames, NET_RECON_BURST, NET_RECON_RATE, n->now_ms)) {
        book_score(n, l->peer, NET_SCORED_PROTOCOL);
        link_close(n, l, REASON_LIMIT, "too many reconciliation frames");
        return;
    }
    n->stats.sync_bytes += m->body.n;
    l->waiting_session = m->session;
    buf_reset(&l->waiting);
    buf_put_bytes(&l->waiting, m->body);
    answer_waiting(n);
}

/* ---- a session of our own -------------------------------------------------------------------------------------------------- */

/* False: the queues are full, the session is to be cut. */
static bool take_diff(struct net *n, struct link *l)
{
    const struct recon_diff *d = &l->diff;
    size_t wanted = n->wants.count;
    bool room = true;
    assert(l->syncing && l->offered <= NET_SYNC_OFFERS);
    for (size_t i = 0; i < d->need_count && room; i++) {
        if (memo_has(&n->memo, &d->need[i], n->now_ms))
            continue;
        l->differs = true;
        room = fetch_want(n, l, &d->need[i], WANT_RECON);
    }
    for (size_t i = 0; i < d->have_count && l->offered < NET_SYNC_OFFERS; i++) {
        l->offered++;
        gossip_offer(n, l, &d->have[i]);
    }
    l->differs |= d->have_count > 0;
    l->found += d->need_count + d->have_count;
    if (n->wants.count > wanted)
        l->rounds = 0; /* it gets on */
    copy_found(n, l);
    return room;
}

/* PROTOCOL 5.5: After a session that found differences the next one follows 1 s later, then 2 s and so on up to 10 s; one that found none starts anew at 1 s. */
static void finish(struct net *n, struct link *l)
{
    bool audit = l->recon.config.mode == RECON_AUDIT;
    sync_stop(l);
    assert(!l->syncing && l->rounds <= NET_SYNC_ROUNDS);
    if (audit) {
        n->stats.audits++;
        n->stats.audit_found += l->found;
        if (l->found > 0)
            net_log(n, 2, "an audit of a part of the set with %.16s found %zu deltas that one side lacks", peer_name(l->peer, (char[ID_HEX_SIZE]){0}), l->found);
        if (!l->differs)
            return; /* it says nothing of the other parts */
    }
    l->synced = !l->differs;
    if (l->synced) {
        l->equal_ms = n->now_ms;
        l->again_ms = 0;
        return;
    }
    l->again_ms = l->again_ms == 0 ? NET_SYNC_AGAIN_MS : 2 * l->again_ms < NET_SYNC_MS ? 2 * l->again_ms : NET_SYNC_MS;
    l->sync_at_ms = n->now_ms + net_jitter(n, l->again_ms);
}

/* For all that one frame may find; a peer of which nothing is asked may find a little in any case. */
static bool room_for_more(const struct net *n, const struct link *l)
{
    size_t queued = idqueue_count(&l->ask);
    if (queued == 0 && l->asked == 0)
        return true;
    return queued + RECON_NEED_MAX <= NET_ASK_MAX && n->wants.count + RECON_NEED_MAX <= WANTS_MAX / 2;
}

void sync_resume(struct net *n, struct link *l)
{
    if (l->held.n == 0)
        return;
    assert(l->syncing);
    if (n->intake == NET_INTAKE_STOPPED) {
        finish(n, l);
        return;
    }
    if (!room_for_more(n, l) || free_at(&l->work, &of_peer, n->now_ms) > n->now_ms)
        return;
    struct buf frame = l->held;
    l->held = (struct buf){0};
    l->sync_heard_ms = n->now_ms;
    send_frame(n, l, &(struct wire_message){.type = WIRE_RECON, .session = l->session, .body = buf_view(&frame)});
    buf_close(&frame);
}

/* PROTOCOL 5.5: Frames that go on differing and name no id that differs, 16 in a row, end the session and cost score. */
static bool leads_nowhere(struct net *n, struct link *l)
{
    bool found = l->diff.need_count > 0 || l->diff.have_count > 0;
    l->fruitless = found ? 0 : l->fruitless + 1;
    if (l->fruitless < NET_SYNC_FRUITLESS)
        return false;
    book_score(n, l->peer, NET_SCORED_PROTOCOL);
    return true;
}

/* The answer brought us to `frame`: it is sent as soon as there is room, unless the session ends here. */
static void go_on_with(struct net *n, struct link *l, enum recon_status status, struct buf *frame)
{
    bool room = take_diff(n, l);
    bool cut = status == RECON_SEND && (!room || l->rounds >= NET_SYNC_ROUNDS);
    bool endless = status == RECON_SEND && leads_nowhere(n, l);
    l->more |= cut || !room;
    cut |= l->offered == NET_SYNC_OFFERS && l->diff.need_count == 0; /* it has enough to ask for; later more */
    l->differs |= endless;
    if (l->ended) {
        assert(endless); /* that was the last of its score */
    } else if (endless || status == RECON_DONE || cut) {
        finish(n, l);
    } else {
        l->held = *frame;
        *frame = (struct buf){0};
        sync_resume(n, l);
    }
}

static void go_on(struct net *n, struct link *l, const struct wire_message *m)
{
    struct buf out = {0};
    l->sync_heard_ms = n->now_ms;
    l->rounds++;
    n->stats.sync_bytes += m->body.n;
    recon_diff_reset(&l->diff);
    enum recon_status status = recon_input(&l->recon, m->body, &out, &l->diff);
    spend(&l->work, &of_peer, l->recon.work, n->now_ms);
    n->stats.sync_work += l->recon.work;
    if (status == RECON_ERROR) {
        const char *why = l->recon.why;
        book_score(n, l->peer, NET_SCORED_PROTOCOL);
        link_close(n, l, REASON_PROTOCOL, why);
    } else {
        go_on_with(n, l, status, &out);
    }
    buf_close(&out);
}

void sync_recon(struct net *n, struct link *l, const struct wire_message *m)
{
    if (!m->reply)
        asked(n, l, m);
    else if (l->syncing && m->session == l->session && l->held.n == 0)
        go_on(n, l, m);
}

void sync_drained(struct net *n, struct link *l)
{
    if (!l->more || l->syncing)
        return;
    assert(l->asked == 0 && idqueue_count(&l->ask) == 0);
    l->more = false;
    l->again_ms = 0;
    l->sync_at_ms = n->now_ms; /* the session was cut: go on at once */
}

/* ---- time -------------------------------------------------------------------------------------------------------------------- */

uint64_t sync_deadline(const struct net *n)
{
    if (links_up(n) == 0)
        return UINT64_MAX;
    return n->sync_ms < n->audit_ms ? n->sync_ms : n->audit_ms;
}

uint64_t sync_link_deadline(const struct net *n, const struct link *l)
{
    uint64_t at = l->sync_at_ms != 0 ? l->sync_at_ms : UINT64_MAX, due = UINT64_MAX;
    if (l->syncing && l->held.n == 0)
        due = l->sync_heard_ms + NET_SYNC_REPLY_MS;
    else if (l->syncing && room_for_more(n, l))
        due = free_at(&l->work, &of_peer, n->now_ms);
    at = due < at ? due : at;
    if (l->waiting.n > 0 && (due = answer_at(n, l)) < at)
        at = due;
    return at;
}

static void link_due(struct net *n, struct link *l)
{
    if (l->syncing && l->held.n == 0 && n->now_ms >= l->sync_heard_ms + NET_SYNC_REPLY_MS) {
        sync_stop(l);
        book_score(n, l->peer, NET_SCORED_GONE);
    }
    sync_resume(n, l);
    if (l->sync_at_ms != 0 && n->now_ms >= l->sync_at_ms) {
        l->sync_at_ms = 0;
        sync_start(n, l);
    }
}

/* PROTOCOL 5.11: About every minute a node audits the next part of its set with one peer drawn at random that it believes equal. */
static void audit_due(struct net *n)
{
    if (n->now_ms < n->audit_ms)
        return;
    n->audit_ms = n->now_ms + net_jitter(n, NET_AUDIT_MS);
    struct link *l = links_random(n);
    if (l != NULL && l->synced && n->wants.count == 0)
        start(n, l, RECON_AUDIT);
}

void sync_tick(struct net *n)
{
    for (size_t i = 0; i < n->link_count; i++)
        if (link_up(n->links[i]))
            link_due(n, n->links[i]);
    answer_waiting(n);
    audit_due(n);
    if (n->now_ms < n->sync_ms)
        return;
    n->sync_ms = n->now_ms + net_jitter(n, NET_SYNC_MS);
    copy_tick(n);
    struct link *l = links_random(n);
    if (l != NULL)
        sync_start(n, l);
}
