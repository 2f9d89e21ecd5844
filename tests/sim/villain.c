/*
 * The life of a hostile host: connections, handshakes, HELLO, and a turn for each of its kind's tricks twice a second.
 * Answers what its kind leaves alone as an ordinary peer with hardly any deltas would, so that it is not found out by
 * its silence. Comes back under a new key when its old one is banned.
 */
#include "crdt/alloc.h"
#include "crdt/hlc.h"
#include "net/recon.h"
#include "tests/sim/villain.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FEW_DIALS      6
#define DIAL_EVERY_MS  1500
#define LINGER_MS      120000 /* a connection that leads nowhere is given up */

uint64_t villain_clock(const struct villain *v)
{
    return SIM_EPOCH_MS + v->w->now;
}

/* ---- saying ------------------------------------------------------------------------------------------------------ */

static void flush(struct villain *v, struct villain_link *l)
{
    if (l->open && l->c.out.n > 0)
        sim_conn_write(v->w, l->conn, buf_view(&l->c.out));
    buf_reset(&l->c.out);
}

void villain_raw(struct villain *v, struct villain_link *l, struct bytes bytes)
{
    if (l->open)
        sim_conn_write(v->w, l->conn, bytes);
}

static bool sealed(const struct villain_link *l)
{
    return l->open && (l->c.state == CONN_HELLO || l->c.state == CONN_UP);
}

void villain_say(struct villain *v, struct villain_link *l, const struct wire_message *m)
{
    if (!sealed(l))
        return;
    (void)conn_send(&l->c, m);
    flush(v, l);
}

void villain_sealed(struct villain *v, struct villain_link *l, struct bytes message)
{
    if (!sealed(l) || message.n == 0)
        return;
    frame_out_message(&l->c.seal, message, bytes_of(NULL, 0), &l->c.out);
    flush(v, l);
}

bool villain_keeps_up(const struct villain_link *l)
{
    return l->queued < VILLAIN_QUEUE_MAX;
}

/* ---- connections --------------------------------------------------------------------------------------------------- */

static struct villain_link *link_of(struct villain *v, uint64_t conn)
{
    for (size_t i = 0; i < VILLAIN_LINKS_MAX; i++)
        if (v->links[i] != NULL && v->links[i]->conn == conn)
            return v->links[i];
    return NULL;
}

static void link_free(struct villain *v, struct villain_link *l)
{
    for (size_t i = 0; i < VILLAIN_LINKS_MAX; i++)
        if (v->links[i] == l)
            v->links[i] = NULL;
    conn_free(&l->c);
    buf_close(&l->drip);
    free(l);
}

/* Closes; what the link holds is freed at the next tick, so that whoever works on it may go on. */
void villain_drop(struct villain *v, struct villain_link *l)
{
    if (l->open)
        sim_conn_shut(v->w, l->conn);
    l->open = l->up = false;
}

/* Some come under a key of their own each time, the others under one that is kept until it is banned. */
static void draw_identity(struct villain *v, struct villain_link *l)
{
    uint8_t seed[32];
    struct gen_author other;
    bool sybil = villain_rule(v->kind)->dials > 0 && sim_chance(v->rng, 700);
    l->self = (struct conn_identity){.mesh = v->w->mesh, .key = v->h->net.identity, .version_min = 1, .version_max = 1};
    memcpy(l->self.secret, v->h->net.identity_secret, sizeof l->self.secret);
    memcpy(l->self.static_secret, v->h->net.static_secret, sizeof l->self.static_secret);
    if (!sybil)
        return;
    rng_bytes(v->rng, seed, sizeof seed);
    gen_author_seed(&other, seed);
    l->self.key = other.key;
    memcpy(l->self.secret, other.secret, sizeof other.secret);
}

static void whitewash(struct villain *v)
{
    uint8_t seed[32];
    rng_bytes(v->rng, seed, sizeof seed);
    (void)crypto_sign_seed_keypair(v->h->net.identity.b, v->h->net.identity_secret, seed);
    sim_trace_note(v->w, "host %u takes another key", v->h->index);
}

static void link_new(struct villain *v, const struct net_event *e, enum noise_role role)
{
    uint8_t ephemeral[32];
    size_t i = 0;
    while (i < VILLAIN_LINKS_MAX && v->links[i] != NULL)
        i++;
    if (i == VILLAIN_LINKS_MAX) {
        sim_conn_shut(v->w, e->conn);
        return;
    }
    struct villain_link *l = v->links[i] = mem_zalloc(sizeof *l);
    l->conn = e->conn;
    l->open = true;
    l->host = SIM_HOSTS_MAX;
    l->since = v->w->now;
    for (uint32_t k = 0; role == NOISE_INITIATOR && k < v->w->honest_count; k++)
        if (strcmp(v->w->hosts[k].addr, e->addr) == 0)
            l->host = k;
    draw_identity(v, l);
    rng_bytes(v->rng, ephemeral, sizeof ephemeral);
    conn_init(&l->c, &l->self, role, ephemeral);
    if (villain_rule(v->kind)->silent && role == NOISE_INITIATOR && sim_chance(v->rng, 500))
        buf_reset(&l->c.out);
    flush(v, l);
}

/* ---- a session ----------------------------------------------------------------------------------------------------- */

static void greet(struct villain *v, struct villain_link *l)
{
    struct wire_message m = {.type = WIRE_HELLO};
    m.hello = (struct wire_hello){.version = 1, .count = setindex_count(v->set), .clock_ms = villain_clock(v)};
    m.hello.address = bytes_str(v->h->addr);
    setindex_digest(v->set, &m.hello.digest);
    if (sim_chance(v->rng, 500)) {
        m.hello.has_founder = true;
        m.hello.founder = v->w->authors[sim_chance(v->rng, 900) ? 0 : v->author].key; /* or itself */
        m.hello.mesh_name = bytes_str(v->w->mesh_name);
    }
    if (villain_rule(v->kind)->hello != NULL)
        villain_rule(v->kind)->hello(v, l, &m.hello);
    villain_say(v, l, &m);
}

/* An ordinary answer: its own few deltas against theirs, by the session's own key. */
static void answer_recon(struct villain *v, struct villain_link *l, const struct wire_message *m)
{
    struct recon_config config = {.set = v->set, .mode = RECON_PRODUCTION, .role = RECON_RESPONDER, .frame_limit = RECON_FRAME_MAX};
    struct recon r;
    struct hasher h;
    struct id key;
    struct buf out = {0};
    config.bound = hlc_from_ms(villain_clock(v) + MODEL_AHEAD_MAX_MS);
    hash_init(&h, "souk/recon/1");
    hash_part(&h, l->c.channel.b, ID_BYTES);
    hash_u64(&h, m->session);
    hash_part(&h, l->c.remote.b, ID_BYTES);
    hash_end(&h, &key);
    memcpy(config.key, key.b, sizeof config.key);
    recon_init(&r, &config);
    if (recon_input(&r, m->body, &out, NULL) == RECON_SEND)
        villain_say(v, l, &(struct wire_message){.type = WIRE_RECON, .session = m->session, .reply = true, .body = buf_view(&out)});
    recon_close(&r);
    buf_close(&out);
}

static void answer_wants(struct villain *v, struct villain_link *l, const struct wire_message *m)
{
    for (size_t i = 0; i < m->count && l->open; i++) {
        const struct villain_made *made = villain_made_find(v, &m->ids[i]);
        struct wire_message answer = {.type = WIRE_GONE, .count = 1, .ids = &m->ids[i]};
        if (made != NULL && made->bundle.n > 0)
            answer = (struct wire_message){.type = WIRE_DELTA, .flags = WIRE_DELTA_ANSWER, .id = m->ids[i], .body = buf_view(&made->bundle)};
        villain_say(v, l, &answer);
    }
}

static void got(struct villain *v, struct villain_link *l, const struct wire_message *m)
{
    const struct villain_rule *rule = villain_rule(v->kind);
    if (m->type == WIRE_HELLO) {
        l->hello = m->hello;
        l->hello.address = l->hello.mesh_name = bytes_of(NULL, 0);
        conn_up(&l->c);
        l->up = true;
    }
    if (m->type == WIRE_CLOSE && m->reason == REASON_BANNED && key_eq(&l->self.key, &v->h->net.identity))
        whitewash(v);
    if (m->type == WIRE_CLOSE)
        villain_drop(v, l);
    if (m->type == WIRE_DELTA)
        villain_learn(v, m);
    if (rule->got != NULL && rule->got(v, l, m))
        return;
    if (m->type == WIRE_PING)
        villain_say(v, l, &(struct wire_message){.type = WIRE_PONG, .token = m->token, .clock_ms = villain_clock(v)});
    if (m->type == WIRE_IWANT)
        answer_wants(v, l, m);
    if (m->type == WIRE_RECON && !m->reply)
        answer_recon(v, l, m);
}

static void proved(struct villain *v, struct villain_link *l)
{
    conn_accept(&l->c);
    flush(v, l);
    if (l->c.state == CONN_HELLO)
        greet(v, l);
}

static void read_link(struct villain *v, struct villain_link *l, struct bytes in)
{
    struct wire_message m;
    conn_feed(&l->c, in);
    while (l->open) {
        enum conn_result r = conn_next(&l->c, &m);
        if (r == CONN_NOTHING)
            break;
        if (r == CONN_ASK)
            proved(v, l);
        else if (r == CONN_GOT)
            got(v, l, &m);
        else
            villain_drop(v, l);
    }
    flush(v, l);
}

void villain_net(struct sim_host *h, const struct net_event *e)
{
    struct villain *v = h->villain;
    struct villain_link *l = link_of(v, e->conn);
    if (e->kind == NET_ACCEPTED) {
        link_new(v, e, NOISE_RESPONDER);
        return;
    }
    if (e->kind == NET_CONNECTED || e->kind == NET_DIAL_FAILED)
        v->dials -= v->dials > 0;
    if (e->kind == NET_CONNECTED)
        link_new(v, e, NOISE_INITIATOR);
    if (l == NULL || !l->open)
        return;
    if (e->kind == NET_DATA)
        read_link(v, l, e->bytes);
    if (e->kind == NET_DRAINED)
        l->queued = e->queued;
    if (e->kind == NET_CLOSED)
        l->open = l->up = false;
}

bool villain_deaf(const struct sim_host *h, uint64_t conn)
{
    for (size_t i = 0; i < VILLAIN_LINKS_MAX; i++)
        if (h->villain->links[i] != NULL && h->villain->links[i]->conn == conn)
            return h->villain->links[i]->deaf;
    return false;
}

/* ---- time ---------------------------------------------------------------------------------------------------------- */

static void arm(struct villain *v)
{
    uint64_t at = v->w->now + sim_draw(v->rng, VILLAIN_TICK_MS * 3 / 4, VILLAIN_TICK_MS * 5 / 4);
    v->h->armed_at = at;
    sim_world_at(v->w, at, (struct sim_event){.kind = SIM_TICK, .host = v->h->index, .epoch = v->h->epoch, .n = at});
}

/* Mostly a neighbour; now and then anybody; for some kinds the one that came last. */
static uint32_t draw_target(struct villain *v)
{
    struct sim_world *w = v->w;
    uint32_t best = (uint32_t)rng_below(v->rng, w->honest_count);
    if (v->kind == VILLAIN_ECLIPSE && sim_chance(v->rng, 700))
        for (uint32_t i = 0; i < w->honest_count; i++)
            if (w->hosts[i].up && w->hosts[i].started_at > w->hosts[best].started_at)
                best = i;
    if (v->kind != VILLAIN_ECLIPSE && v->h->neighbour_count > 0 && sim_chance(v->rng, 900))
        best = v->h->neighbours[rng_below(v->rng, v->h->neighbour_count)];
    return best;
}

static size_t linked_to(const struct villain *v, uint32_t host)
{
    size_t n = 0;
    for (size_t i = 0; i < VILLAIN_LINKS_MAX; i++)
        n += v->links[i] != NULL && v->links[i]->open && v->links[i]->host == host;
    return n;
}

static void dial_more(struct villain *v)
{
    unsigned most = villain_rule(v->kind)->dials > 0 ? villain_rule(v->kind)->dials : FEW_DIALS;
    size_t open = v->dials;
    for (size_t i = 0; i < VILLAIN_LINKS_MAX; i++)
        open += v->links[i] != NULL;
    while (v->w->now >= v->dial_at && open < most) {
        uint32_t to = draw_target(v);
        open++;
        if (villain_rule(v->kind)->dials == 0 && linked_to(v, to) > 0)
            continue;
        v->dials++;
        sim_conn_dial(v->w, v->h->index, v->w->hosts[to].addr, 1);
    }
    if (v->w->now >= v->dial_at)
        v->dial_at = v->w->now + sim_draw(v->rng, DIAL_EVERY_MS / 2, DIAL_EVERY_MS * 2);
}

static void turn(struct villain *v, struct villain_link *l)
{
    const struct villain_rule *rule = villain_rule(v->kind);
    l->turns++;
    if (l->up && rule->turn != NULL && villain_keeps_up(l))
        rule->turn(v, l);
    else if (!l->up && rule->raw != NULL)
        rule->raw(v, l);
    if (l->open && !l->up && v->w->now - l->since > LINGER_MS)
        villain_drop(v, l);
}

void villain_tick(struct sim_host *h)
{
    struct villain *v = h->villain;
    bool active = !v->w->healing || v->w->relentless;
    for (size_t i = 0; i < VILLAIN_LINKS_MAX; i++) {
        if (v->links[i] != NULL && v->links[i]->open && active)
            turn(v, v->links[i]);
        if (v->links[i] != NULL && !v->links[i]->open)
            link_free(v, v->links[i]);
    }
    if (active)
        dial_more(v);
    arm(v);
}

/* ---- life ---------------------------------------------------------------------------------------------------------- */

void villain_init(struct sim_world *w, struct sim_host *h, enum villain_kind kind, uint32_t author)
{
    struct villain *v = h->villain = mem_zalloc(sizeof *v);
    v->w = w;
    v->h = h;
    v->rng = &h->rng;
    v->kind = kind;
    v->author = author;
    v->key.key = w->authors[author].key;
    memcpy(v->key.secret, w->authors[author].secret, sizeof v->key.secret);
    v->set = setindex_new();
    w->kinds |= UINT64_C(1) << kind;
}

void villain_start(struct sim_host *h)
{
    assert(!h->up);
    h->epoch++;
    h->up = true;
    h->villain->dial_at = h->villain->w->now;
    arm(h->villain);
}

/* From now on only what some honest host holds already is given: what is not can never be agreed on. */
void villain_heal(struct sim_host *h)
{
    struct villain *v = h->villain;
    for (size_t i = 0; i < VILLAIN_MADE_MAX; i++) {
        bool held = false;
        for (size_t k = 0; k < v->w->honest_count && !held; k++)
            held = v->w->hosts[k].up && setindex_has(node_set(v->w->hosts[k].node), &v->made[i].item);
        if (!held)
            buf_reset(&v->made[i].bundle);
    }
}

void villain_stop(struct sim_host *h)
{
    struct villain *v = h->villain;
    for (size_t i = 0; i < VILLAIN_LINKS_MAX; i++)
        if (v->links[i] != NULL)
            link_free(v, v->links[i]);
    v->dials = 0;
    buf_reset(&h->touched);
    h->up = false;
}

void villain_free(struct sim_host *h)
{
    struct villain *v = h->villain;
    if (v == NULL)
        return;
    villain_stop(h);
    for (size_t i = 0; i < VILLAIN_CAUGHT_MAX; i++)
        buf_close(&v->caught[i]);
    for (size_t i = 0; i < VILLAIN_MADE_MAX; i++)
        buf_close(&v->made[i].bundle);
    setindex_free(v->set);
    free(v);
    h->villain = NULL;
}
