/*
 * Repair: when to reconcile with whom, and what to do with the differences. The algorithm is recon.c's; what is needed is
 * fetched by fetch.c, what the other side lacks is offered as ids. Sessions are cheap where sets are equal and are cut
 * where the queues are full: the next one goes on from what has arrived.
 */
#include "net/engine.h"

#include "crdt/hlc.h"

#include <assert.h>
#include <string.h>

/* PROTOCOL 5.2: Its key is H("souk/recon/1", handshake hash, session, the initiator's identity key). */
static void recon_begin(struct net *n, const struct link *l, enum recon_role role, uint64_t session, struct recon *out)
{
    struct hasher h;
    struct id key;
    struct recon_config config = {.set = n->config.set,
                                  .mode = RECON_PRODUCTION,
                                  .role = role,
                                  .bound = hlc_from_ms(net_clock(n) + MODEL_AHEAD_MAX_MS),
                                  .frame_limit = RECON_FRAME_MAX};
    hash_init(&h, "souk/recon/1");
    hash_part(&h, l->conn.channel.b, ID_BYTES);
    hash_u64(&h, session);
    hash_part(&h, role == RECON_INITIATOR ? n->self.key.b : l->conn.remote.b, ID_BYTES);
    hash_end(&h, &key);
    memcpy(config.key, key.b, sizeof config.key);
    recon_init(out, &config);
}

static void send_frame(struct net *n, struct link *l, const struct wire_message *frame)
{
    n->stats.sync_bytes += frame->body.n;
    link_send(n, l, frame);
}

void sync_start(struct net *n, struct link *l)
{
    struct buf out = {0};
    if (!link_up(l) || l->syncing || n->intake == NET_INTAKE_STOPPED)
        return;
    assert(l->diff.have == NULL && l->diff.need == NULL);
    l->syncing = true;
    l->session = ++n->session_count;
    l->sync_heard_ms = n->now_ms;
    l->rounds = l->fruitless = 0;
    l->offered = 0;
    l->differs = l->more = false;
    recon_begin(n, l, RECON_INITIATOR, l->session, &l->recon);
    l->recon.config.guess = l->synced ? RECON_GUESS_EQUAL : RECON_GUESS_DIFFERENT;
    recon_initiate(&l->recon, &out);
    n->stats.sync_rounds++;
    send_frame(n, l, &(struct wire_message){.type = WIRE_RECON, .session = l->session, .body = buf_view(&out)});
    buf_close(&out);
}

void sync_stop(struct link *l)
{
    recon_close(&l->recon);
    recon_diff_close(&l->diff);
    l->syncing = false;
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

/* PROTOCOL 6.3: A peer whose frames cost more gets answers that are cut short: one range at least, then a fingerprint of the rest. */
static void limit_work(struct net *n, struct link *l, struct recon *r)
{
    uint64_t back = (n->now_ms - l->worked_at_ms) * NET_WORK_RATE;
    l->worked_us = l->worked_us > back ? l->worked_us - back : 0;
    l->worked_at_ms = n->now_ms;
    uint64_t left = l->worked_us < NET_WORK_BURST ? NET_WORK_BURST - l->worked_us : 1;
    r->config.work_max = left < RECON_WORK_MAX ? (size_t)left : RECON_WORK_MAX;
    assert(r->config.work_max > 0);
}

static void answer(struct net *n, struct link *l, const struct wire_message *m)
{
    struct recon r;
    struct buf out = {0};
    if (!bucket_take(&l->frames, NET_RECON_BURST, NET_RECON_RATE, n->now_ms)) {
        book_score(n, l->peer, NET_SCORED_PROTOCOL);
        link_close(n, l, REASON_LIMIT, "too many reconciliation frames");
        return;
    }
    recon_begin(n, l, RECON_RESPONDER, m->session, &r);
    limit_work(n, l, &r);
    enum recon_status status = recon_input(&r, m->body, &out, NULL);
    l->worked_us += r.work;
    n->stats.sync_bytes += m->body.n;
    if (status == RECON_SEND) {
        send_frame(n, l, &(struct wire_message){.type = WIRE_RECON, .session = m->session, .reply = true, .body = buf_view(&out)});
    } else {
        book_score(n, l->peer, NET_SCORED_PROTOCOL);
        link_close(n, l, REASON_PROTOCOL, r.why);
    }
    recon_close(&r);
    buf_close(&out);
}

/* ---- a session of our own -------------------------------------------------------------------------------------------------- */

static void copy_begin(struct net *n, const struct link *l)
{
    size_t held = setindex_count(n->config.set);
    if (n->copy_started_ms != 0 || idqueue_count(&l->ask) + l->asked < NET_COPY_MIN)
        return;
    n->copy_started_ms = n->copy_told_ms = n->now_ms > 0 ? n->now_ms : 1;
    n->copy_done = 0;
    n->copy_total = l->remote_count > held ? l->remote_count - held : idqueue_count(&l->ask);
}

/* False: the queues are full, the session is to be cut. */
static bool take_diff(struct net *n, struct link *l)
{
    const struct recon_diff *d = &l->diff;
    bool room = true;
    assert(l->syncing && l->offered <= NET_SYNC_OFFERS);
    for (size_t i = 0; i < d->need_count && room; i++) {
        if (memo_has(&n->memo, &d->need[i], n->now_ms))
            continue;
        l->differs = true;
        room = fetch_want(n, l, &d->need[i], WANT_RECON);
    }
    for (size_t i = 0; i < d->have_count; i++) {
        l->differs = true;
        if (l->offered == NET_SYNC_OFFERS) {
            l->more = true;
            break;
        }
        l->offered++;
        gossip_offer(n, l, &d->have[i]);
    }
    copy_begin(n, l);
    return room;
}

/* PROTOCOL 5.5: After a session that found differences the next one follows 1 s later, then 2 s and so on up to 10 s; one that found none starts anew at 1 s. */
static void finish(struct net *n, struct link *l)
{
    sync_stop(l);
    assert(!l->syncing && l->rounds <= NET_SYNC_ROUNDS);
    l->synced = !l->differs;
    if (l->synced) {
        l->equal_ms = n->now_ms;
        l->again_ms = 0;
        return;
    }
    l->again_ms = l->again_ms == 0 ? NET_SYNC_AGAIN_MS : 2 * l->again_ms < NET_SYNC_MS ? 2 * l->again_ms : NET_SYNC_MS;
    l->sync_at_ms = n->now_ms + net_jitter(n, l->again_ms);
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

static void go_on(struct net *n, struct link *l, const struct wire_message *m)
{
    struct buf out = {0};
    l->sync_heard_ms = n->now_ms;
    l->rounds++;
    n->stats.sync_bytes += m->body.n;
    recon_diff_reset(&l->diff);
    limit_work(n, l, &l->recon);
    enum recon_status status = recon_input(&l->recon, m->body, &out, &l->diff);
    l->worked_us += l->recon.work;
    if (status == RECON_ERROR) {
        const char *why = l->recon.why;
        book_score(n, l->peer, NET_SCORED_PROTOCOL);
        link_close(n, l, REASON_PROTOCOL, why);
    } else {
        bool room = take_diff(n, l);
        bool cut = status == RECON_SEND && (!room || l->rounds >= NET_SYNC_ROUNDS);
        bool endless = status == RECON_SEND && leads_nowhere(n, l);
        l->more |= cut || !room;
        l->differs |= endless;
        if (l->ended)
            assert(endless); /* that was the last of its score */
        else if (endless || status == RECON_DONE || cut)
            finish(n, l);
        else
            send_frame(n, l, &(struct wire_message){.type = WIRE_RECON, .session = l->session, .body = buf_view(&out)});
    }
    buf_close(&out);
}

void sync_recon(struct net *n, struct link *l, const struct wire_message *m)
{
    if (!m->reply)
        answer(n, l, m);
    else if (l->syncing && m->session == l->session)
        go_on(n, l, m);
}

/* ---- progress --------------------------------------------------------------------------------------------------------------- */

void sync_drained(struct net *n, struct link *l)
{
    if (!l->more || l->syncing)
        return;
    assert(l->asked == 0 && idqueue_count(&l->ask) == 0);
    l->more = false;
    l->again_ms = 0;
    l->sync_at_ms = n->now_ms; /* the session was cut: go on at once */
}

static bool copying(const struct net *n)
{
    for (size_t i = 0; i < n->link_count; i++)
        if (link_up(n->links[i]) && (n->links[i]->syncing || n->links[i]->more))
            return true;
    return n->wants.count > 0;
}

void sync_copied(struct net *n)
{
    if (n->copy_started_ms == 0)
        return;
    n->copy_done++;
    assert(n->now_ms >= n->copy_started_ms);
    if (n->copy_done > n->copy_total)
        n->copy_total = n->copy_done;
    if (!copying(n)) {
        net_log(n, 2, "caught up: %llu deltas in %llu.%llu s", (unsigned long long)n->copy_done,
                (unsigned long long)(n->now_ms - n->copy_started_ms) / 1000,
                (unsigned long long)(n->now_ms - n->copy_started_ms) / 100 % 10);
        n->copy_started_ms = 0;
    } else if (n->now_ms >= n->copy_told_ms + NET_COPY_TELL_MS) {
        n->copy_told_ms = n->now_ms;
        net_log(n, 2, "copying: %llu of about %llu deltas", (unsigned long long)n->copy_done, (unsigned long long)n->copy_total);
    }
}

/* ---- time -------------------------------------------------------------------------------------------------------------------- */

uint64_t sync_deadline(const struct net *n)
{
    return links_up(n) > 0 ? n->sync_ms : UINT64_MAX;
}

static void link_due(struct net *n, struct link *l)
{
    if (l->syncing && n->now_ms >= l->sync_heard_ms + NET_SYNC_REPLY_MS) {
        sync_stop(l);
        book_score(n, l->peer, NET_SCORED_GONE);
    }
    if (l->sync_at_ms != 0 && n->now_ms >= l->sync_at_ms) {
        l->sync_at_ms = 0;
        sync_start(n, l);
    }
}

void sync_tick(struct net *n)
{
    for (size_t i = 0; i < n->link_count; i++)
        if (link_up(n->links[i]))
            link_due(n, n->links[i]);
    if (n->now_ms < n->sync_ms)
        return;
    n->sync_ms = n->now_ms + net_jitter(n, NET_SYNC_MS);
    if (n->copy_started_ms != 0 && !copying(n))
        n->copy_started_ms = 0;
    struct link *l = links_random(n);
    if (l != NULL)
        sync_start(n, l);
}
