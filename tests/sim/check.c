/*
 * What must hold. Throughout: no honest node refuses what another sent, every delta in any set was made by some node,
 * nothing exceeds its bound, no host sends or ticks without measure. In the end: equal digests and state hashes, every
 * acknowledged delta held, and the plain definition (tests/lib/oracle.h) agrees.
 */
#include "crdt/alloc.h"
#include "net/engine.h"
#include "tests/lib/oracle.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TICKS_PER_MINUTE  6000
#define IDLE_BYTES        (384u << 10) /* a host may send this much a minute with nothing to tell ... */
#define COPIES_PER_DELTA  20         /* ... and each byte made this often to its peers              */
#define FED_BYTES         (48u << 20) /* what one hostile host can draw from an honest one in a minute; measured: 16 MB */
#define ACKED_CHECKED     300        /* after a restart: the newest                                 */
#define PEERS_MAX         (NET_BOOK_MAX + 1)

/* ---- at every commit -------------------------------------------------------------------------------------------- */

static const struct sim_delta *made_before(const struct sim_world *w, const struct item *item)
{
    for (size_t i = w->delta_count; i-- > 0;)
        if (item_cmp(&w->deltas[i].item, item) == 0)
            return &w->deltas[i];
    return NULL;
}

static void add_made(struct sim_world *w, const struct sim_delta *d)
{
    if (w->delta_count == w->delta_cap) {
        w->delta_cap = w->delta_cap == 0 ? 256 : 2 * w->delta_cap;
        w->deltas = mem_realloc(w->deltas, w->delta_cap, sizeof *w->deltas);
    }
    w->deltas[w->delta_count++] = *d;
    w->bundle_bytes += d->bundle.n;
    w->created_minute[0] += d->bundle.n;
}

void sim_check_made(struct sim_world *w, const struct sim_delta *d)
{
    bool fresh = setindex_insert(w->known, &d->item);
    assert(fresh);
    (void)fresh;
    add_made(w, d);
}

/* One key on two hosts may make the same delta twice: a delete or a statement has no salt, and where a parent's time is
 * ahead of both clocks its successor is the time of both. It is one delta then, byte for byte. */
static void remember(struct sim_world *w, struct sim_host *h, const struct item *item)
{
    struct buf b = {0};
    if (store_bundle(h->store, &item->id, &b) != ERR_OK) {
        sim_world_fail(w, "host %u does not hold the delta that it just made", h->index);
        return;
    }
    if (!setindex_insert(w->known, item)) {
        const struct sim_delta *twin = made_before(w, item);
        if (!bytes_eq(twin->bundle, buf_view(&b)) || twin->host == h->index)
            sim_world_fail(w, "host %u made a delta that exists already", h->index);
        buf_close(&b);
        return;
    }
    add_made(w, &(struct sim_delta){.item = *item, .host = h->index, .bundle = buf_view(&b)});
}

/* Was it sent as its author made it? What hostile hosts twisted may be refused. */
static bool is_good(const struct sim_world *w, const struct store_in *in)
{
    if (w->honest_count == w->host_count)
        return true;
    for (size_t i = 0; i < w->delta_count; i++)
        if (bytes_eq(w->deltas[i].bundle, in->bundle))
            return true;
    return false;
}

void sim_check_job(struct sim_world *w, struct sim_host *h, const struct store_job *job)
{
    for (size_t i = 0; i < job->own_count; i++)
        remember(w, h, &job->own[i]);
    for (size_t i = 0; i < job->in_count; i++)
        if (job->in[i].verdict == VERDICT_REFUSED && is_good(w, &job->in[i]))
            sim_world_fail(w, "host %u refuses what an honest peer sent: %s", h->index, err_text(job->in[i].why));
    for (size_t i = 0; i < job->added_count; i++)
        if (!setindex_has(w->known, &job->added[i]))
            sim_world_fail(w, "host %u holds a delta that nobody made", h->index);
}

/* After a start: what was acknowledged before is there. */
void sim_check_acked(struct sim_world *w, struct sim_host *h)
{
    size_t count = h->acked.n / sizeof(struct item);
    struct buf b = {0};
    for (size_t i = count > ACKED_CHECKED ? count - ACKED_CHECKED : 0; i < count; i++) {
        struct item item;
        memcpy(&item, h->acked.p + i * sizeof item, sizeof item);
        buf_reset(&b);
        if (store_bundle(h->store, &item.id, &b) != ERR_OK)
            sim_world_fail(w, "host %u lost a delta that it had acknowledged", h->index);
    }
    buf_close(&b);
}

/* ---- every second ----------------------------------------------------------------------------------------------- */

static bool is_honest(const struct sim_world *w, const struct key *key)
{
    for (size_t i = 0; i < w->honest_count; i++)
        if (key_eq(&w->hosts[i].net.identity, key))
            return true;
    return false;
}

static void check_bounds(struct sim_world *w, const struct sim_host *h)
{
    struct net_peer_info peers[PEERS_MAX];
    struct node_stats s;
    size_t n = net_peers(node_net(h->node), peers, PEERS_MAX), sessions = 0;
    node_stats(h->node, &s);
    if (n > NET_BOOK_MAX)
        sim_world_fail(w, "host %u knows %zu peers", h->index, n);
    for (size_t i = 0; i < n && i < PEERS_MAX; i++) {
        sessions += peers[i].state == PEER_UP;
        sim_mark_peer(w, &peers[i]);
        if (peers[i].queued_bytes > NET_QUEUE_MAX + BUNDLE_MAX)
            sim_world_fail(w, "host %u queues %llu bytes to one peer", h->index, (unsigned long long)peers[i].queued_bytes);
        if (peers[i].state == PEER_BANNED && is_honest(w, &peers[i].id))
            sim_world_fail(w, "host %u bans an honest peer", h->index);
    }
    if (sessions > NET_LINKS_MAX + NET_HALF_OPEN_MAX)
        sim_world_fail(w, "host %u has %zu sessions", h->index, sessions);
    if (s.pending_bytes > NODE_PENDING_BYTES_MAX || s.pending_writes > NODE_PENDING_WRITES)
        sim_world_fail(w, "host %u: its queue is over its bound", h->index);
}

static void check_minute(struct sim_world *w)
{
    uint64_t made = w->created_minute[0] + w->created_minute[1];
    uint64_t copies = w->copies_minute[0] + w->copies_minute[1];
    uint64_t most = IDLE_BYTES + COPIES_PER_DELTA * made + (copies + 1) * w->bundle_bytes;
    for (size_t i = 0; i < w->honest_count; i++) {
        struct sim_host *h = &w->hosts[i];
        if (h->sent_minute > most)
            sim_world_fail(w, "host %u sent %llu bytes in a minute, at most %llu seemed needed", h->index,
                       (unsigned long long)h->sent_minute, (unsigned long long)most);
        if (h->fed_minute > FED_BYTES * (1 + w->host_count - w->honest_count))
            sim_world_fail(w, "host %u sent %llu bytes to hostile hosts in a minute", h->index, (unsigned long long)h->fed_minute);
        if (h->ticks_minute > TICKS_PER_MINUTE)
            sim_world_fail(w, "host %u: timer storm: %llu ticks in a minute", h->index, (unsigned long long)h->ticks_minute);
        if (w->config.trace)
            printf("share %u%% of the bytes allowed: host %u, %llu\n", (unsigned)(100 * h->sent_minute / most), h->index, (unsigned long long)h->sent_minute);
        w->most_bytes = h->sent_minute > w->most_bytes ? h->sent_minute : w->most_bytes;
        if (w->config.trace)
            printf("host %u sent %llu bytes to hostile hosts\n", h->index, (unsigned long long)h->fed_minute);
        w->most_fed = h->fed_minute > w->most_fed ? h->fed_minute : w->most_fed;
        h->sent_minute = h->fed_minute = h->ticks_minute = 0;
    }
    w->created_minute[1] = w->created_minute[0];
    w->copies_minute[1] = w->copies_minute[0];
    w->created_minute[0] = w->copies_minute[0] = 0;
}

static bool state_of(struct sim_world *w, struct sim_host *h, struct id *digest, struct id *state)
{
    setindex_digest(node_set(h->node), digest);
    enum err e = store_state_hash(h->store, state);
    if (e != ERR_OK)
        sim_world_fail(w, "host %u: no state hash: %s", h->index, err_text(e));
    return e == ERR_OK;
}

/* Do all hosts agree? `different` gets the first that does not. */
static bool all_agree(struct sim_world *w, struct sim_host **different)
{
    struct id digest, state;
    for (size_t i = 0; i < w->honest_count; i++) { /* digests first: they are cheap */
        struct id other;
        *different = &w->hosts[i];
        if (!w->hosts[i].up)
            return false;
        setindex_digest(node_set(w->hosts[i].node), i == 0 ? &digest : &other);
        if (i > 0 && !id_eq(&digest, &other))
            return false;
    }
    for (size_t i = 0; i < w->honest_count; i++) {
        struct id d, other;
        *different = &w->hosts[i];
        if (!state_of(w, &w->hosts[i], &d, i == 0 ? &state : &other) || (i > 0 && !id_eq(&state, &other)))
            return false;
    }
    return true;
}

void sim_check_period(struct sim_world *w)
{
    struct sim_host *different;
    for (size_t i = 0; i < w->honest_count; i++)
        if (w->hosts[i].up)
            check_bounds(w, &w->hosts[i]);
    if (w->now / 60000 != w->minute) {
        w->minute = w->now / 60000;
        check_minute(w);
    }
    if (w->healing && !w->converged && all_agree(w, &different)) {
        w->converged = true;
        w->converged_at = w->now;
        sim_trace_note(w, "all agree");
    }
}

/* ---- in the end ------------------------------------------------------------------------------------------------- */

/* Which deltas one of two hosts lacks: the last thing that somebody who looks at a failure wants to work out by hand. */
static void tell_difference(struct sim_world *w, const struct sim_host *a, const struct sim_host *b)
{
    for (size_t i = 0; a->up && b->up && i < w->delta_count; i++) {
        const struct sim_delta *d = &w->deltas[i];
        bool on_a = setindex_has(node_set(a->node), &d->item), on_b = setindex_has(node_set(b->node), &d->item);
        char id[ID_HEX_SIZE];
        id_hex(id, &d->item.id);
        if (on_a != on_b)
            printf("delta %.16s of %s host %u is on host %u alone\n", id, d->hostile ? "hostile" : "honest", d->host,
                   on_a ? a->index : b->index);
    }
}

static void check_agreement(struct sim_world *w)
{
    struct sim_host *h;
    if (all_agree(w, &h))
        return;
    tell_difference(w, &w->hosts[0], h);
    sim_world_fail(w, "host %u differs from host 0 (%zu deltas, %zu on host 0) %llu s after healing", h->index,
               h->up ? setindex_count(node_set(h->node)) : 0, setindex_count(node_set(w->hosts[0].node)),
               (unsigned long long)((w->now - w->heal_at) / 1000));
}

static void check_answers(struct sim_world *w)
{
    for (size_t i = 0; i < w->honest_count; i++)
        if (w->hosts[i].waiting > 0)
            sim_world_fail(w, "host %u never answered %llu writes", w->hosts[i].index, (unsigned long long)w->hosts[i].waiting);
}

/* Acknowledged: in the set of all, or, if its author was not admitted in the end, still held where it was made. */
static void check_acknowledged(struct sim_world *w)
{
    struct buf b = {0};
    for (size_t i = 0; i < w->honest_count; i++) {
        const struct sim_host *h = &w->hosts[i];
        for (size_t k = 0; k < h->acked.n / sizeof(struct item); k++) {
            struct item item;
            memcpy(&item, h->acked.p + k * sizeof item, sizeof item);
            buf_reset(&b);
            if (!setindex_has(node_set(w->hosts[0].node), &item) && store_bundle(h->store, &item.id, &b) != ERR_OK)
                sim_world_fail(w, "a delta that host %u acknowledged is lost", h->index);
        }
    }
    buf_close(&b);
}

static void check_set(struct sim_world *w, const struct oracle *o)
{
    const struct setindex *set = node_set(w->hosts[0].node);
    struct item *items;
    size_t n = oracle_set(o, &items);
    if (n != setindex_count(set))
        sim_world_fail(w, "the set has %zu deltas, by the plain definition %zu", setindex_count(set), n);
    for (size_t i = 0; i < n; i++)
        if (!setindex_has(set, &items[i]))
            sim_world_fail(w, "a delta that belongs to the set by the plain definition is not in it");
    free(items);
}

/* What a hostile host made counts as far as honest ones hold it: bodies as on host 0. */
static void add_held(struct sim_world *w, struct oracle *o, const struct id *delta)
{
    struct buf b = {0};
    for (size_t i = 0; i < w->honest_count; i++) {
        buf_reset(&b);
        if (store_bundle(w->hosts[i].store, delta, &b) != ERR_OK)
            continue;
        if (!oracle_add(o, buf_view(&b)))
            sim_world_fail(w, "host %zu holds a delta that does not parse", i);
        break;
    }
    buf_close(&b);
}

/* The plain definition over all deltas of honest hosts, and what they hold of others, gives the same set and the same state. */
static void check_definition(struct sim_world *w)
{
    struct oracle o;
    struct id expected, digest, state;
    oracle_init(&o, &w->authors[0].key, bytes_str(w->mesh_name));
    for (size_t i = 0; i < w->delta_count; i++)
        if (w->deltas[i].hostile)
            add_held(w, &o, &w->deltas[i].item.id);
        else if (!oracle_add(&o, w->deltas[i].bundle))
            sim_world_fail(w, "host %u made a delta that does not parse", w->deltas[i].host);
    oracle_judge(&o);
    check_set(w, &o);
    oracle_state_hash(&o, &expected);
    if (state_of(w, &w->hosts[0], &digest, &state) && !id_eq(&expected, &state))
        sim_world_fail(w, "the state differs from the plain definition");
    oracle_close(&o);
}

static void finding(void *ctx, const struct verify_finding *f)
{
    struct sim_world *w = ctx;
    if (!f->ok)
        sim_world_fail(w, "a store does not verify: %s: %s", f->check, f->detail);
}

/* Signatures, hashes, heads and JSON of one store, checked anew; a different one for each seed. */
static void check_store(struct sim_world *w)
{
    const struct sim_host *h = &w->hosts[rng_below(&w->root, w->honest_count)];
    enum err e = store_verify(h->store, NULL, finding, NULL, w);
    if (e != ERR_OK)
        sim_world_fail(w, "the store of host %u does not verify: %s", h->index, err_text(e));
}

void sim_check_end(struct sim_world *w)
{
    check_agreement(w);
    if (w->failed)
        return;
    check_answers(w);
    check_acknowledged(w);
    check_store(w);
    check_definition(w);
}
