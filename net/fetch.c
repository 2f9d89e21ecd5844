/*
 * Pulling: asks holders for ids under a window, hands what arrives to the store and asks another holder where one fails. A
 * delta counts as held only after NET_STORED. What others ask for is answered in serve.c.
 */
#include "net/engine.h"

#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "crdt/hlc.h"

#include <assert.h>
#include <string.h>

/* ---- wanting ---------------------------------------------------------------------------------------------------------- */

/* Offers and ids found in repair cost nothing to make up: one peer cannot take the rows of all others. */
static bool room_to_queue(const struct net *n, const struct link *l)
{
    return idqueue_count(&l->ask) < (n->wants.count < WANTS_MAX / 2 ? NET_ASK_MAX : NET_ASK_FAIR);
}

static bool queue_on(struct net *n, struct want *w, struct link *l)
{
    if (idqueue_count(&l->ask) >= NET_ASK_MAX)
        return false;
    idqueue_push(&l->ask, &w->id);
    wants_set(&n->wants, w, WANT_QUEUED, l->id);
    return true;
}

bool fetch_want(struct net *n, struct link *l, const struct id *id, enum want_why why)
{
    if (n->intake == NET_INTAKE_STOPPED || !link_up(l))
        return false;
    struct want *w = wants_find(&n->wants, id);
    if (w != NULL) {
        want_add_holder(w, l->id);
        if (w->state == WANT_QUEUED && w->link != l->id && idqueue_count(&l->ask) < NET_ASK_MAX)
            idqueue_push(&l->ask, id); /* whoever comes to it first asks */
        return true;
    }
    if (!room_to_queue(n, l) || (w = wants_add(&n->wants, id)) == NULL)
        return false;
    w->body = why == WANT_BODY;
    w->recon = why == WANT_RECON;
    return queue_on(n, w, l);
}

bool fetch_queue(struct net *n, struct want *w, struct link *l)
{
    assert(w->state != WANT_STORING && link_up(l));
    return queue_on(n, w, l);
}

/* The one asked failed: the next holder's turn, or nobody's until repair finds it again. */
static void next_holder(struct net *n, struct want *w)
{
    uint64_t id;
    assert(w != NULL && w->state != WANT_FREE);
    while ((id = want_take_holder(w)) != 0) {
        struct link *l = link_by_id(n, id);
        if (l != NULL && link_up(l) && queue_on(n, w, l)) {
            n->repump = true;
            return;
        }
    }
    struct id gone = w->id;
    wants_remove(&n->wants, &gone);
}

static uint64_t window_of(const struct link *l)
{
    uint64_t ids = NET_WINDOW_BYTES / (l->mean_bytes > 0 ? l->mean_bytes : 1);
    return ids < NET_WINDOW_MIN ? NET_WINDOW_MIN : ids > NET_WINDOW_IDS ? NET_WINDOW_IDS : ids;
}

/* What one peer may be asked for whatever the others owe. */
static uint64_t share_of(const struct net *n, const struct link *l)
{
    static_assert(NET_STORING_BYTES / 2 >= NET_WINDOW_MIN * MODEL_DELTA_MAX, "eight of the largest fit beside what is stored");
    assert(link_up(l));
    uint64_t ids = NET_STORING_BYTES / 2 / links_up(n) / (l->mean_bytes > 0 ? l->mean_bytes : 1);
    return ids < 1 ? 1 : ids > NET_WINDOW_MIN ? NET_WINDOW_MIN : ids;
}

/* PROTOCOL 5.4: A node asks for no more than it could keep until the store has taken it. Where the store has room, each peer may be
 * asked for its share, 8 MiB over all sessions by the mean size of what has come, 1 to 8 ids, whatever the others owe: the silence of
 * one takes nothing from them. */
static bool room_to_ask(const struct net *n, const struct link *l)
{
    bool few = l->asked < NET_WINDOW_MIN && l->asked < share_of(n, l);
    size_t rows = few ? NET_WINDOW_MIN * links_up(n) : n->wants.asked;
    uint64_t due = few ? 0 : n->wants.asked * l->mean_bytes;
    return n->storing_count + rows < NET_STORING_MAX && n->storing_bytes + due < NET_STORING_BYTES / 2;
}

/* PROTOCOL 4.5: What was put off and what was offered or found are asked for in turn, and what was put off author by author: 64 lanes of
 * 1024 ids for each peer, by a keyed hash of the author. */
static bool next_to_ask(struct link *l, struct id *out)
{
    l->put_off_turn = !l->put_off_turn;
    if (l->put_off_turn)
        return fair_pop(&l->put_off, out) || idqueue_pop(&l->ask, out);
    return idqueue_pop(&l->ask, out) || fair_pop(&l->put_off, out);
}

static void ask(struct net *n, struct link *l)
{
    struct buf ids = {0};
    struct id id;
    uint64_t window = window_of(l);
    if (l->asked > window / 2 || n->intake == NET_INTAKE_STOPPED)
        return;
    while (l->asked < window && room_to_ask(n, l) && next_to_ask(l, &id)) {
        struct want *w = wants_find(&n->wants, &id);
        if (w == NULL || w->state != WANT_QUEUED)
            continue;
        wants_set(&n->wants, w, WANT_ASKED, l->id);
        w->asked_ms = n->now_ms;
        l->asked++;
        assert(l->asked <= NET_WINDOW_IDS);
        buf_put(&ids, id.b, ID_BYTES);
    }
    if (ids.n > 0)
        link_send(n, l, &(struct wire_message){.type = WIRE_IWANT,
                                               .count = ids.n / ID_BYTES,
                                               .ids = (const struct id *)(const void *)ids.p});
    buf_close(&ids);
}

void fetch_pump(struct net *n, struct link *l)
{
    if (!link_up(l))
        return;
    ask(n, l);
    if (link_up(l))
        sync_resume(n, l);
    if (link_up(l) && l->asked == 0 && idqueue_count(&l->ask) == 0)
        sync_drained(n, l);
    serve_pump(n, l);
}

/* Rows that `l` was asked for or that wait in its queue go to other holders. */
void fetch_link_gone(struct net *n, const struct link *l)
{
    struct buf ids = {0};
    for (size_t i = 0; i < n->wants.cap; i++) {
        const struct want *w = &n->wants.row[i];
        if ((w->state == WANT_ASKED || w->state == WANT_QUEUED) && w->link == l->id)
            buf_put(&ids, w->id.b, ID_BYTES);
    }
    for (size_t at = 0; at < ids.n; at += ID_BYTES) {
        struct id id;
        memcpy(id.b, ids.p + at, ID_BYTES);
        next_holder(n, wants_find(&n->wants, &id));
    }
    buf_close(&ids);
}

/* ---- deltas that arrive ------------------------------------------------------------------------------------------------- */

/* What the engine reads of a delta before the store verifies it: enough to know duplicates and to count authors. */
struct glance {
    struct item item;
    struct key author;
    struct id mesh;
};

static bool look(const struct wire_message *m, struct glance *out)
{
    struct mp_reader r;
    mp_reader_init(&r, m->body);
    if (mp_array(&r) != 3)
        return false;
    struct bytes delta = mp_bin(&r);
    if (r.bad)
        return false;
    mp_reader_init(&r, delta);
    if (mp_array(&r) != 5)
        return false;
    (void)mp_uint(&r);
    mp_bin_exact(&r, out->mesh.b, ID_BYTES);
    mp_bin_exact(&r, out->author.b, ID_BYTES);
    out->item = (struct item){.time = mp_uint(&r), .id = m->id};
    return !r.bad;
}

static bool ahead(const struct net *n, uint64_t time)
{
    return hlc_ms(time) > net_clock(n) + MODEL_AHEAD_MAX_MS;
}

static bool room_to_store(const struct net *n, size_t bytes)
{
    return n->storing_count < NET_STORING_MAX && n->storing_bytes + bytes <= NET_STORING_BYTES &&
           n->intake == NET_INTAKE_OPEN;
}

static void hand_to_store(struct net *n, struct link *l, struct want *w, const struct wire_message *m)
{
    if (n->storing == NULL)
        n->storing = mem_calloc(NET_STORING_MAX, sizeof *n->storing);
    assert(n->storing_count < NET_STORING_MAX && w->state != WANT_STORING);
    while (n->storing[n->storing_next].used)
        n->storing_next = (n->storing_next + 1) % NET_STORING_MAX;
    struct storing *s = &n->storing[n->storing_next];
    *s = (struct storing){.used = true,
                          .answer = w->state == WANT_ASKED,
                          .tag = ++n->tag_count * NET_STORING_MAX + n->storing_next,
                          .id = m->id,
                          .link = l->id,
                          .source = l->conn.remote,
                          .size = m->body.n};
    buf_put_bytes(&s->bundle, m->body);
    n->storing_count++;
    n->storing_bytes += s->size;
    assert(s->tag % NET_STORING_MAX == n->storing_next && n->storing_bytes <= NET_STORING_BYTES);
    wants_set(&n->wants, w, WANT_STORING, l->id);
    net_act(n, &(struct net_action){.kind = NET_STORE, .tag = s->tag});
}

static bool queue_fairly(struct net *n, struct link *l, struct want *w, const struct key *author)
{
    uint8_t h[8];
    (void)crypto_shorthash(h, author->b, ID_BYTES, n->wants.secret);
    if (!fair_push(&l->put_off, get_le64(h), &w->id))
        return false;
    wants_set(&n->wants, w, WANT_QUEUED, l->id);
    return true;
}

/* A delta that cannot be taken now stays wanted and is pulled later, fairly by author. What there is no room for even as an
 * id is found by repair. */
static void put_off(struct net *n, struct link *l, const struct glance *g)
{
    struct want *w = wants_find(&n->wants, &g->item.id);
    if (w != NULL && w->state != WANT_ASKED) {
        want_add_holder(w, l->id);
        return;
    }
    if (w == NULL && (n->intake == NET_INTAKE_STOPPED || n->wants.count >= WANTS_MAX / 2))
        return;
    if (w == NULL && (w = wants_add(&n->wants, &g->item.id)) == NULL)
        return;
    if (!queue_fairly(n, l, w, &g->author))
        next_holder(n, w);
}

/* A large answer counts at once: what does not fit later is sent twice. */
static void note_answer(struct net *n, struct link *l, size_t bytes)
{
    assert(l->asked > 0);
    l->asked--;
    l->answered_ms = n->now_ms;
    l->mean_bytes = bytes > l->mean_bytes ? bytes : (7 * l->mean_bytes + bytes) / 8;
}

/* True: a delta that need not be stored, and why not is counted. */
static bool needless(struct net *n, struct link *l, const struct glance *g, struct want *w)
{
    bool asked = w != NULL && w->state == WANT_ASKED;
    if (w != NULL && w->state == WANT_STORING) {
        want_add_holder(w, l->id);
        n->stats.duplicates++;
        return true;
    }
    bool held = setindex_has(n->config.set, &g->item) && !(w != NULL && w->body);
    bool later = ahead(n, g->item.time), memo = memo_has(&n->memo, &g->item.id, n->now_ms);
    if (!held && !later && !memo)
        return false;
    n->stats.duplicates += held;
    n->stats.deferred += !held && later && !memo;
    n->stats.unseen_ahead += !held && later && !memo;
    if (!held && later)
        memo_add(&n->memo, &g->item.id, n->now_ms + NET_MEMO_LATER_MS);
    if (held || asked)
        wants_remove(&n->wants, &g->item.id);
    return true;
}

void fetch_delta(struct net *n, struct link *l, const struct wire_message *m)
{
    struct glance g;
    n->stats.deltas_received++;
    if (!look(m, &g) || !id_eq(&g.mesh, &n->self.mesh)) {
        n->stats.refused++;
        n->stats.unseen_foreign++;
        book_score(n, l->peer, NET_SCORED_REFUSED);
        link_close(n, l, REASON_PROTOCOL, "a DELTA without a delta of this mesh");
        return;
    }
    recent_add(&l->known, &m->id);
    struct want *w = wants_find(&n->wants, &m->id);
    bool answer = w != NULL && w->state == WANT_ASKED && w->link == l->id;
    if (answer) {
        note_answer(n, l, m->body.n);
    } else if (w != NULL && w->state == WANT_ASKED) {
        struct link *other = link_by_id(n, w->link); /* its answer will be a duplicate; it is not waited for */
        if (other != NULL && other->asked > 0)
            other->asked--;
    }
    bool asked = (m->flags & WIRE_DELTA_ANSWER) != 0;
    uint64_t duplicates = n->stats.duplicates;
    if (needless(n, l, &g, w)) {
        if (!asked && n->stats.duplicates != duplicates)
            overlay_duplicate(n, l);
        return;
    }
    if (!room_to_store(n, m->body.n) || (!answer && !gossip_allows(n, l, &g.author))) {
        put_off(n, l, &g);
        return;
    }
    if (w == NULL && (w = wants_add(&n->wants, &m->id)) == NULL)
        return; /* repair will find it again */
    hand_to_store(n, l, w, m);
    if (!asked)
        gossip_received(n, l, &m->id, m->body.n);
}

/* ---- what became of them ------------------------------------------------------------------------------------------------ */

static struct missing *missing_find(struct net *n, const struct id *id)
{
    for (size_t i = 0; i < n->missing_count; i++)
        if (id_eq(&n->missing[i].id, id))
            return &n->missing[i];
    return NULL;
}

static void bad_bundle(struct net *n, const struct storing *s, const struct net_result *r)
{
    char id[ID_HEX_SIZE], name[ID_HEX_SIZE];
    struct peer *p = book_by_key(n, &s->source);
    id_hex(id, &s->id);
    n->stats.refused++;
    net_log(n, 1, "delta %.16s from peer %s is refused: %s", id, peer_name(p, name),
            r->refused ? "not valid" : "sent under another delta's id");
    book_score(n, p, r->refused ? NET_SCORED_REFUSED : NET_SCORED_WRONG_ID);
    struct want *w = wants_find(&n->wants, &s->id);
    if (w != NULL && w->state == WANT_STORING)
        next_holder(n, w);
}

static void good_bundle(struct net *n, const struct storing *s, const struct net_result *r)
{
    struct want *w = wants_find(&n->wants, &s->id);
    struct missing *m = missing_find(n, &s->id);
    bool copied = w != NULL && w->recon;
    assert(!r->refused && id_eq(&r->item.id, &s->id));
    if (m != NULL)
        m->wanted = false;
    wants_remove(&n->wants, &s->id);
    if (r->bodies_bad)
        book_score(n, book_by_key(n, &s->source), NET_SCORED_BODY);
    if (r->fresh) {
        book_score(n, book_by_key(n, &s->source), NET_SCORED_FRESH);
        gossip_forward(n, s, &r->item);
    } else if (!setindex_has(n->config.set, &r->item)) {
        memo_add(&n->memo, &s->id, n->now_ms + NET_MEMO_MS); /* kept aside: held, though not in the set */
    }
    if (copied)
        copy_stored(n);
}

void fetch_stored(struct net *n, const struct net_result *r)
{
    if (n->storing == NULL)
        return;
    struct storing *slot = &n->storing[r->tag % NET_STORING_MAX];
    if (!slot->used || slot->tag != r->tag)
        return;
    struct storing s = *slot;
    *slot = (struct storing){0};
    assert(n->storing_count > 0 && n->storing_bytes >= s.size);
    n->storing_count--;
    n->storing_bytes -= s.size;
    if (r->deferred) {
        n->stats.deferred++;
        memo_add(&n->memo, &s.id, n->now_ms + NET_MEMO_LATER_MS);
        wants_remove(&n->wants, &s.id);
    } else if (r->refused || !id_eq(&r->item.id, &s.id)) {
        bad_bundle(n, &s, r);
    } else {
        good_bundle(n, &s, r);
    }
    buf_close(&s.bundle);
}

/* ---- offers and refusals -------------------------------------------------------------------------------------------------- */

void fetch_have(struct net *n, struct link *l, const struct wire_message *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct item item = wire_item(m->items, i);
        recent_add(&l->known, &item.id);
        if (!setindex_has(n->config.set, &item) && !memo_has(&n->memo, &item.id, n->now_ms) && !ahead(n, item.time) &&
            !late_offered(n, l, &item))
            (void)fetch_want(n, l, &item.id, WANT_OFFERED);
    }
}

void fetch_gone(struct net *n, struct link *l, const struct wire_message *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct want *w = wants_find(&n->wants, &m->ids[i]);
        if (w == NULL || w->state != WANT_ASKED || w->link != l->id)
            continue;
        assert(l->asked > 0);
        l->asked--;
        l->answered_ms = n->now_ms;
        bool promised = !w->body;
        next_holder(n, w);
        if (promised)
            book_score(n, l->peer, NET_SCORED_GONE);
        if (l->ended)
            return;
    }
}

/* ---- missing bodies --------------------------------------------------------------------------------------------------------- */

void net_want_body(struct net *n, const struct item *delta, uint16_t index)
{
    (void)index; /* a bundle brings all bodies that its sender holds */
    struct missing *m = missing_find(n, &delta->id);
    if (n->missing == NULL)
        n->missing = mem_calloc(NET_BODIES_MAX, sizeof *n->missing);
    if (m == NULL) {
        if (n->missing_count == NET_BODIES_MAX)
            return; /* the store tells again */
        m = &n->missing[n->missing_count++];
        *m = (struct missing){.id = delta->id, .next_ms = n->now_ms, .wait_ms = NET_BODY_MIN_MS};
    }
    m->wanted = true;
    if (m->next_ms < n->missing_ms)
        n->missing_ms = m->next_ms;
}

static void ask_missing(struct net *n, struct missing *m)
{
    struct link *l = links_random(n);
    if (l != NULL)
        (void)fetch_want(n, l, &m->id, WANT_BODY);
    assert(m->wanted && m->tries < NET_BODY_TRIES);
    m->tries++;
    m->next_ms = n->now_ms + net_jitter(n, m->wait_ms);
    m->wait_ms = 2 * m->wait_ms < NET_BODY_MAX_MS ? 2 * m->wait_ms : NET_BODY_MAX_MS;
}

static void missing_tick(struct net *n)
{
    if (n->now_ms < n->missing_ms || links_up(n) == 0)
        return;
    n->missing_ms = UINT64_MAX;
    for (size_t i = 0; i < n->missing_count;) {
        struct missing *m = &n->missing[i];
        bool due = n->now_ms >= m->next_ms;
        if (due && (!m->wanted || m->tries >= NET_BODY_TRIES)) {
            *m = n->missing[--n->missing_count];
            continue;
        }
        if (due)
            ask_missing(n, m);
        if (m->next_ms < n->missing_ms)
            n->missing_ms = m->next_ms;
        i++;
    }
}

/* ---- time --------------------------------------------------------------------------------------------------------------------- */

static bool overdue(struct net *n, const struct want *w)
{
    const struct link *l = link_by_id(n, w->link);
    if (l == NULL || n->now_ms >= w->asked_ms + NET_ASK_ALL_MS)
        return true;
    uint64_t since = w->asked_ms > l->answered_ms ? w->asked_ms : l->answered_ms;
    return n->now_ms >= since + (w->holders > 0 ? NET_ASK_OTHER_MS : NET_ASK_MS);
}

static void sweep(struct net *n)
{
    struct buf ids = {0};
    for (size_t i = 0; i < n->wants.cap; i++)
        if (n->wants.row[i].state == WANT_ASKED && overdue(n, &n->wants.row[i]))
            buf_put(&ids, n->wants.row[i].id.b, ID_BYTES);
    for (size_t at = 0; at < ids.n; at += ID_BYTES) {
        struct id id;
        memcpy(id.b, ids.p + at, ID_BYTES);
        struct want *w = wants_find(&n->wants, &id);
        if (w == NULL || w->state != WANT_ASKED)
            continue;
        struct link *l = link_by_id(n, w->link);
        if (l != NULL && l->asked > 0)
            l->asked--;
        next_holder(n, w);
        if (l != NULL)
            book_score(n, l->peer, NET_SCORED_GONE);
    }
    buf_close(&ids);
    n->sweep_ms = n->now_ms + NET_SWEEP_MS;
}

uint64_t fetch_deadline(const struct net *n)
{
    uint64_t at = n->wants.asked > 0 ? n->sweep_ms : UINT64_MAX, serve = serve_deadline(n);
    if (n->missing_ms < at && links_up(n) > 0)
        at = n->missing_ms;
    return serve < at ? serve : at;
}

void fetch_tick(struct net *n)
{
    if (n->wants.asked > 0 && n->now_ms >= n->sweep_ms)
        sweep(n);
    missing_tick(n);
    for (size_t i = 0; i < n->link_count; i++)
        fetch_pump(n, n->links[i]);
}
