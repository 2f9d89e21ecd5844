/*
 * A host of a crowd: one mesh engine, its set, its clock. The store is a table of what was made in this world; a commit
 * takes a few milliseconds, sometimes a few hundred. What a host holds and its address book survive a crash. A hostile host
 * runs the same engine and lies to it, or speaks through it.
 */
#include "tests/sim/crowd.h"

#include "crdt/hlc.h"
#include "net/engine.h"
#include "tests/lib/gen.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t clock_of(const struct crowd *c)
{
    return SIM_EPOCH_MS + c->now;
}

void crowd_host_init(struct crowd *c, uint32_t index)
{
    struct crowd_host *h = &c->hosts[index];
    uint8_t seed[32];
    struct rng r;
    rng_fork(&r, &c->rng, 1000 + index);
    h->index = index;
    if (index >= CROWD_SEEDS && rng_below(&r, 100) < c->config.hostile_percent)
        h->kind = (enum crowd_kind)(1 + c->out->hostile++ % (CROWD_KINDS - 1));
    c->out->honest += h->kind == CROWD_HONEST;
    h->armed_at = UINT64_MAX;
    h->set = setindex_new();
    (void)snprintf(h->addr, sizeof h->addr, "198.%u.%u.1:7700", index / 250, index % 250);
    h->config = (struct net_config){.mesh = c->mesh, .has_founder = true, .founder = c->founder->key, .set = h->set};
    (void)snprintf(h->config.mesh_name, sizeof h->config.mesh_name, "crowd");
    memcpy(h->config.advertise, h->addr, sizeof h->addr);
    rng_bytes(&r, seed, sizeof seed);
    (void)crypto_sign_seed_keypair(h->config.identity.b, h->config.identity_secret, seed);
    rng_bytes(&r, h->config.static_secret, sizeof h->config.static_secret);
    h->given[0] = (uint32_t)rng_below(&r, CROWD_SEEDS);
    h->given[1] = (h->given[0] + 1 + (uint32_t)rng_below(&r, CROWD_SEEDS - 1)) % CROWD_SEEDS;
}

void crowd_host_start(struct crowd *c, struct crowd_host *h)
{
    struct net_config config = h->config;
    assert(!h->up && h->net == NULL);
    rng_bytes(&c->rng, config.seed, sizeof config.seed);
    h->epoch++;
    h->started = c->now;
    h->armed_at = UINT64_MAX;
    h->up = true;
    h->net = net_new(&config, c->now + 1);
    net_book_load(h->net, buf_view(&h->book), clock_of(c));
    for (size_t i = 0; i < CROWD_GIVEN; i++)
        if (h->given[i] != h->index)
            crowd_host_input(c, h, (struct net_event){.kind = NET_PEER_ADD, .addr = c->hosts[h->given[i]].addr});
}

static void add_stats(struct net_stats *to, const struct net_stats *s)
{
    to->deltas_received += s->deltas_received;
    to->grafts_sent += s->grafts_sent;
    to->prunes_sent += s->prunes_sent;
    to->sessions_dialed += s->sessions_dialed;
}

struct net_stats crowd_host_stats(const struct crowd_host *h)
{
    struct net_stats all = h->before, now;
    if (h->up) {
        net_stats(h->net, &now);
        add_stats(&all, &now);
    }
    return all;
}

void crowd_host_crash(struct crowd *c, struct crowd_host *h)
{
    assert(h->up);
    h->before = crowd_host_stats(h);
    buf_reset(&h->book);
    net_book_save(h->net, clock_of(c), &h->book);
    if (h->book.n > NET_BOOK_TEXT)
        crowd_fail(c, "the book of host %u takes %zu bytes", h->index, h->book.n);
    h->up = false;
    crowd_host_gone(c, h->index);
    net_free(h->net);
    h->net = NULL;
}

void crowd_host_close(struct crowd_host *h)
{
    net_free(h->net);
    setindex_free(h->set);
    buf_close(&h->book);
}

/* ---- the store ---------------------------------------------------------------------------------------------------- */

static struct crowd_delta *delta_by_id(struct crowd *c, const struct id *id)
{
    for (size_t i = c->delta_count; i-- > 0;)
        if (id_eq(&c->deltas[i].item.id, id))
            return &c->deltas[i];
    return NULL;
}

static struct crowd_delta *delta_by_bytes(struct crowd *c, struct bytes bundle)
{
    for (size_t i = c->delta_count; i-- > 0;)
        if (bytes_eq(buf_view(&c->deltas[i].bundle), bundle))
            return &c->deltas[i];
    return NULL;
}

static void hold(struct crowd *c, struct crowd_host *h, const struct crowd_delta *d)
{
    uint32_t *took = &c->took[(size_t)(d - c->deltas) * c->config.nodes + h->index];
    bool fresh = setindex_insert(h->set, &d->item);
    assert(fresh);
    (void)fresh;
    if (*took == CROWD_NEVER)
        *took = (uint32_t)(c->now - d->at);
}

static void store(struct crowd *c, struct crowd_host *h, const struct net_action *a)
{
    const struct crowd_delta *d = delta_by_bytes(c, a->bytes);
    if (h->kind == CROWD_SILENT || h->kind == CROWD_GRAFTER)
        return; /* its engine waits for the store, and passes nothing on */
    if (d == NULL) {
        crowd_fail(c, "host %u was sent what nobody made", h->index);
        return;
    }
    uint64_t wait = sim_chance(&c->links, 30) ? sim_draw(&c->links, 20, 400) : sim_draw(&c->links, 1, 4);
    crowd_at(c, c->now + wait, (struct sim_event){.kind = SIM_DONE, .host = h->index, .epoch = h->epoch, .n = a->tag,
                                                  .conn = (uint64_t)(d - c->deltas)});
}

void crowd_host_stored(struct crowd *c, const struct sim_event *e)
{
    struct crowd_host *h = &c->hosts[e->host];
    const struct crowd_delta *d = &c->deltas[e->conn];
    struct net_result r = {.tag = e->n, .item = d->item, .fresh = !setindex_has(h->set, &d->item)};
    if (r.fresh)
        hold(c, h, d);
    crowd_host_input(c, h, (struct net_event){.kind = NET_STORED, .count = 1, .results = &r});
}

/* Mostly small ones, as entries are; some with a long text, a few large. */
static size_t draw_size(struct rng *r)
{
    uint64_t x = rng_below(r, 100);
    return (size_t)(x < 90 ? sim_draw(r, 200, 900) : x < 98 ? sim_draw(r, 4000, 12000) : sim_draw(r, 20000, 60000));
}

void crowd_host_publish(struct crowd *c, struct crowd_host *h)
{
    struct buf text = {0}, body = {0};
    struct crowd_delta *d = &c->deltas[c->delta_count++];
    char name[32];
    uint64_t time = hlc_from_ms(clock_of(c)) + c->delta_count;
    gen_text(&text, &c->rng, draw_size(&c->rng));
    gen_body_text(&body, "description", time, buf_cstr(&text));
    (void)snprintf(name, sizeof name, "entry-%zu", c->delta_count);
    struct gen_op op = {.verb = VERB_PUT, .name = name, .body = buf_view(&body), .travel = GEN_SENT};
    struct gen_delta in = {.mesh = &c->mesh, .author = c->founder, .time = time, .op_count = 1, .ops = &op};
    *d = (struct crowd_delta){.at = c->now, .phase = c->phase, .host = h->index, .item = {.time = time}};
    gen_bundle(&d->bundle, &in, &d->item.id);
    hold(c, h, d);
    c->out->phase[c->phase].deltas++;
    c->out->phase[c->phase].bundle_bytes += d->bundle.n;
    crowd_host_input(c, h, (struct net_event){.kind = NET_PUBLISH, .count = 1, .items = &d->item});
    buf_close(&text);
    buf_close(&body);
}

/* ---- driving ------------------------------------------------------------------------------------------------------ */

static void load(struct crowd *c, struct crowd_host *h, const struct net_action *a)
{
    struct net_event loaded = {.kind = NET_LOADED, .load = a->load};
    const struct crowd_delta *d = delta_by_id(c, &a->id);
    if (h->kind == CROWD_WITHHOLDER) {
        c->out->asked_in_vain++;
        return;
    }
    if (d != NULL && setindex_has(h->set, &d->item))
        loaded.bytes = buf_view(&d->bundle);
    crowd_host_input(c, h, loaded);
}

/* Does the line tell of an honest host? */
static bool names_honest(const struct crowd *c, const char *text)
{
    char hex[ID_HEX_SIZE];
    for (uint32_t i = 0; i < c->config.nodes; i++) {
        key_hex(hex, &c->hosts[i].config.identity);
        hex[16] = 0;
        if (c->hosts[i].kind == CROWD_HONEST && strstr(text, hex) != NULL)
            return true;
    }
    return false;
}

/* The others concern stores and founders. */
static void act(struct crowd *c, struct crowd_host *h, const struct net_action *a)
{
    if (a->kind == NET_SEND)
        crowd_write(c, a->conn, a->bytes);
    else if (a->kind == NET_DIAL)
        crowd_dial(c, h->index, a->text, a->dial);
    else if (a->kind == NET_CLOSE)
        crowd_shut(c, a->conn);
    else if (a->kind == NET_STORE)
        store(c, h, a);
    else if (a->kind == NET_LOAD)
        load(c, h, a);
    else if (a->kind == NET_LOG && h->kind == CROWD_HONEST && a->level < 2 && strstr(a->text, "banned") != NULL && names_honest(c, a->text))
        crowd_fail(c, "host %u: %s", h->index, a->text);
}

static void arm(struct crowd *c, struct crowd_host *h)
{
    uint64_t deadline = net_deadline(h->net);
    if (deadline == UINT64_MAX)
        return;
    uint64_t at = deadline > c->now + 1 ? deadline - 1 : c->now;
    if (at == h->armed_at)
        return;
    h->armed_at = at;
    crowd_at(c, at, (struct sim_event){.kind = SIM_TICK, .host = h->index, .epoch = h->epoch, .n = at});
}

/* What a hostile host does beside its engine: a withholder sends ids alone, a grafter asks for whole deltas every second. */
static void misbehave(struct crowd *c, struct crowd_host *h)
{
    for (size_t i = 0; h->kind == CROWD_WITHHOLDER && i < h->net->link_count; i++)
        h->net->links[i]->out_lazy = true;
    if (h->kind != CROWD_GRAFTER || c->now < h->grafted + 1000)
        return;
    h->grafted = c->now;
    for (size_t i = 0; i < h->net->link_count; i++)
        if (link_up(h->net->links[i])) {
            link_send(h->net, h->net->links[i], &(struct wire_message){.type = WIRE_GRAFT});
            c->out->grafts++;
        }
}

/* The engine's clock runs one ahead of the world's, so that it never reads 0. */
void crowd_host_input(struct crowd *c, struct crowd_host *h, struct net_event e)
{
    struct net_action a;
    if (!h->up)
        return;
    e.clock_ms = clock_of(c);
    misbehave(c, h);
    net_input(h->net, &e, c->now + 1);
    while (h->up && net_next(h->net, &a) != NET_NONE)
        act(c, h, &a);
    arm(c, h);
}
