/*
 * What each kind of hostile host does: one table of rules, and the tricks behind it. Tricks that need valid deltas come
 * first, then floods, then lies and noise.
 */
#include "crdt/alloc.h"
#include "crdt/hlc.h"
#include "net/recon_frame.h"
#include "tests/sim/villain.h"

#include <string.h>

#define FLOOD_PUSHES   40
#define MINUTE_MS      60000
#define HOUR_MS        (60 * MINUTE_MS)

static bool chance(struct villain *v, unsigned in_1000)
{
    return sim_chance(v->rng, in_1000);
}

static struct id random_id(struct villain *v)
{
    struct id id;
    rng_bytes(v->rng, id.b, sizeof id.b);
    return id;
}

static void make_and_push(struct villain *v, struct villain_link *l, const struct villain_draft *d)
{
    struct item item;
    struct buf b = {0};
    if (villain_make(v, d, &item, &b))
        villain_push(v, l, &item.id, buf_view(&b));
    buf_close(&b);
}

/* ---- forger -------------------------------------------------------------------------------------------------------- */

/* A delta in the name of somebody else, under its own signature. */
static void forge_name(struct villain *v, const struct id *mesh, struct id *id, struct buf *out)
{
    const struct villain_op *seen = villain_seen(v);
    struct gen_author forged = v->key;
    struct buf body = {0};
    uint64_t time = hlc_from_ms(villain_clock(v)) + rng_below(v->rng, 1000);
    gen_body_text(&body, "description", time, "not what its owner says");
    struct gen_op op = {.verb = chance(v, 300) ? VERB_DELETE : VERB_PUT, .name = seen->name, .kind = seen->kind, .body = buf_view(&body)};
    forged.key = chance(v, 300) ? v->w->authors[0].key : seen->owner;
    gen_bundle(out, &(struct gen_delta){mesh, &forged, time, 1, &op}, id);
    buf_close(&body);
}

static void forge_bytes(struct villain *v, struct buf *out)
{
    size_t at = (size_t)rng_below(v->rng, out->n);
    if (chance(v, 300))
        out->n = at + 1; /* cut */
    else
        out->p[at] ^= (uint8_t)(1 << rng_below(v->rng, 8));
}

static void forger_turn(struct villain *v, struct villain_link *l)
{
    struct item item, other;
    struct buf b = {0};
    const struct buf *caught = villain_caught(v, &item);
    if (caught == NULL || !chance(v, 150))
        return;
    uint64_t trick = rng_below(v->rng, 4);
    if (trick == 0) {
        forge_name(v, &v->w->mesh, &item.id, &b);
    } else if (trick == 1) {
        buf_put_bytes(&b, buf_view(villain_caught(v, &other))); /* perhaps under another's id */
    } else {
        buf_put_bytes(&b, buf_view(caught));
        forge_bytes(v, &b);
    }
    if (trick == 3)
        item.id = random_id(v);
    if (chance(v, 500)) {
        villain_push(v, l, &item.id, buf_view(&b));
    } else { /* offered first, to be asked for */
        struct villain_made *made = &v->made[v->made_count++ % VILLAIN_MADE_MAX];
        made->item = item;
        buf_reset(&made->bundle);
        buf_put_bytes(&made->bundle, buf_view(&b));
        villain_offer(v, l, &item, 1);
    }
    buf_close(&b);
}

/* ---- replayer ------------------------------------------------------------------------------------------------------ */

/* The people of this mesh are in another one too; what they signed there is brought here. */
static void foreign_turn(struct villain *v, struct villain_link *l)
{
    struct id elsewhere = gen_id(v->w->config.seed), id;
    struct item item;
    struct buf body = {0}, b = {0};
    if (chance(v, 900)) {
        const struct buf *caught = villain_caught(v, &item);
        if (caught != NULL)
            villain_push(v, l, &item.id, buf_view(caught));
        return;
    }
    const struct sim_author *a = &v->w->authors[rng_below(v->rng, v->w->author_count)];
    struct gen_author who = {.key = a->key};
    memcpy(who.secret, a->secret, sizeof who.secret);
    uint64_t time = hlc_from_ms(villain_clock(v));
    gen_body_text(&body, "description", time, "said elsewhere");
    struct gen_op op = {.verb = VERB_PUT, .name = "entry-0", .body = buf_view(&body)};
    gen_bundle(&b, &(struct gen_delta){&elsewhere, &who, time, 1, &op}, &id);
    villain_push(v, l, &id, buf_view(&b));
    buf_close(&body);
    buf_close(&b);
}

/* ---- equivocator, withholder --------------------------------------------------------------------------------------- */

static void equivocator_turn(struct villain *v, struct villain_link *l)
{
    struct item one, two;
    struct buf a = {0}, b = {0};
    struct villain_draft d = {.time = hlc_from_ms(villain_clock(v)), .name = "entry-0", .ops = 1};
    if (chance(v, 60) && villain_make(v, &d, &one, &a) && villain_make(v, &d, &two, &b)) {
        villain_push(v, l, &one.id, buf_view(&a));
        for (size_t i = 0; i < VILLAIN_LINKS_MAX; i++)
            if (v->links[i] != NULL && v->links[i] != l && v->links[i]->up)
                villain_push(v, v->links[i], &two.id, buf_view(&b));
    }
    buf_close(&a);
    buf_close(&b);
}

static void withholder_turn(struct villain *v, struct villain_link *l)
{
    struct item item, offers[4];
    struct buf b = {0};
    struct id hidden = random_id(v);
    struct villain_draft d = {.ops = (unsigned)sim_draw(v->rng, 1, 4)};
    uint64_t trick = rng_below(v->rng, 40);
    if (trick == 0) { /* a parent that nobody has */
        d.parent_count = 1;
        d.parents[0] = hidden;
        make_and_push(v, l, &d);
    } else if (trick == 1) { /* bodies that nobody has */
        d.travel = GEN_WITHHELD;
        d.foreign = chance(v, 300);
        make_and_push(v, l, &d);
    } else if (trick == 2 && villain_make(v, &d, &item, &b)) { /* kept back, but built upon */
        struct villain_draft child = {.parent_count = 1};
        op_id(&child.parents[0], &item.id, 0);
        if (chance(v, 500)) /* never to be had */
            buf_reset(&v->made[(v->made_count - 1) % VILLAIN_MADE_MAX].bundle);
        make_and_push(v, l, &child);
    } else if (trick == 3) {
        for (size_t i = 0; i < 4; i++)
            offers[i] = (struct item){hlc_from_ms(villain_clock(v)), random_id(v)};
        villain_offer(v, l, offers, 4);
    }
    buf_close(&b);
}

/* Half of what it is asked for is never answered at all. */
static bool withholder_got(struct villain *v, struct villain_link *l, const struct wire_message *m)
{
    (void)l;
    return m->type == WIRE_IWANT && chance(v, 500);
}

/* ---- floods -------------------------------------------------------------------------------------------------------- */

static void flood_deltas_turn(struct villain *v, struct villain_link *l)
{
    struct item item;
    if (chance(v, 40))
        make_and_push(v, l, &(struct villain_draft){.ops = (unsigned)sim_draw(v->rng, 1, 20)});
    for (unsigned i = 0; i < FLOOD_PUSHES; i++) {
        const struct buf *caught = villain_caught(v, &item);
        if (caught != NULL)
            villain_push(v, l, &item.id, buf_view(caught));
    }
}

static void flood_ids_turn(struct villain *v, struct villain_link *l)
{
    struct item items[WIRE_IDS_MAX];
    if (!chance(v, 250))
        return;
    for (size_t i = 0; i < WIRE_IDS_MAX; i++)
        items[i] = (struct item){hlc_from_ms(villain_clock(v) - rng_below(v->rng, HOUR_MS)), random_id(v)};
    villain_offer(v, l, items, WIRE_IDS_MAX);
}

static bool silent_on_wants(struct villain *v, struct villain_link *l, const struct wire_message *m)
{
    (void)l;
    return m->type == WIRE_IWANT && v->h->index % 2 == 0;
}

static void ask_much(struct villain *v, struct villain_link *l, size_t count)
{
    struct id ids[WIRE_IDS_MAX];
    for (size_t i = 0; i < count; i++) {
        const struct villain_op *seen = villain_seen(v);
        ids[i] = seen != NULL && chance(v, 900) ? seen->delta : random_id(v);
    }
    villain_say(v, l, &(struct wire_message){.type = WIRE_IWANT, .count = count, .ids = ids});
}

static void flood_wants_turn(struct villain *v, struct villain_link *l)
{
    if (chance(v, 300))
        ask_much(v, l, (size_t)sim_draw(v->rng, 1, 300));
    for (unsigned i = 0; i < 3 && chance(v, 10); i++)
        ask_much(v, l, WIRE_IDS_MAX);
}

static void flood_control_turn(struct villain *v, struct villain_link *l)
{
    static const enum wire_type types[] = {WIRE_PING, WIRE_PONG, WIRE_GRAFT, WIRE_PRUNE, WIRE_HINT, WIRE_CALL, WIRE_IDONTWANT, WIRE_GONE};
    struct id ids[8];
    for (size_t i = 0; i < 8; i++)
        ids[i] = random_id(v);
    uint64_t n = chance(v, 20) ? 400 : 12; /* now and then over what is allowed */
    for (uint64_t i = 0; i < n && l->open; i++) {
        struct wire_message m = {.type = types[rng_below(v->rng, sizeof types / sizeof *types)]};
        m.token = rng_u64(v->rng);
        m.clock_ms = rng_u64(v->rng);
        m.seconds = (uint16_t)rng_below(v->rng, 65536);
        m.count = 8;
        m.ids = ids;
        if (m.type == WIRE_HINT || m.type == WIRE_CALL)
            m.body = bytes_of(ids, sizeof ids);
        villain_say(v, l, &m);
    }
}

static void wedged_turn(struct villain *v, struct villain_link *l)
{
    if (l->turns < 6 || l->deaf)
        return;
    ask_much(v, l, (size_t)sim_draw(v->rng, 100, WIRE_IDS_MAX));
    l->deaf = true;
}

/* ---- slow, many ---------------------------------------------------------------------------------------------------- */

static void drip(struct villain *v, struct villain_link *l)
{
    if (l->drip.n == 0)
        return;
    villain_raw(v, l, bytes_of(l->drip.p, 1));
    buf_drop(&l->drip, 1);
}

/* The first message of the handshake went out whole in half of the cases; the rest never comes. */
static void loris_raw(struct villain *v, struct villain_link *l)
{
    if (l->drip.n == 0 && l->turns == 1 && chance(v, 500)) {
        for (size_t i = 0; i < 60; i++)
            buf_put_u8(&l->drip, (uint8_t)(i == 1 ? 160 : 0));
    }
    drip(v, l);
}

static void loris_turn(struct villain *v, struct villain_link *l)
{
    struct buf message = {0};
    if (l->drip.n == 0) { /* a large message that begins, and a record of it that never ends */
        uint8_t head[2000] = {WIRE_RECON};
        buf_put(&message, head, sizeof head);
        frame_out_message(&l->c.seal, buf_view(&message), bytes_of(NULL, 0), &l->drip);
    }
    drip(v, l);
    buf_close(&message);
}

static void eclipse_turn(struct villain *v, struct villain_link *l)
{
    struct wire_message m = {.type = WIRE_PEERS, .peers = {.count = WIRE_PEERS_MAX}};
    char text[WIRE_PEERS_MAX][32];
    if (l->turns > 2 && !chance(v, 100))
        return;
    for (size_t i = 0; i < WIRE_PEERS_MAX; i++) {
        struct id id = random_id(v);
        memcpy(m.peers.list[i].key.b, id.b, sizeof id.b);
        (void)snprintf(text[i], sizeof text[i], SIM_NOWHERE "%u.%u:7700", (unsigned)id.b[0], (unsigned)id.b[1]);
        m.peers.list[i].address = chance(v, 500) ? bytes_str(v->h->addr) : bytes_str(text[i]);
        if (chance(v, 100)) { /* an honest key at a hostile address */
            m.peers.list[i].key = v->w->hosts[rng_below(v->rng, v->w->honest_count)].net.identity;
            m.peers.list[i].address = bytes_str(v->h->addr);
        }
    }
    villain_say(v, l, &m);
}

/* ---- lies about the set ---------------------------------------------------------------------------------------------- */

static void size_liar_hello(struct villain *v, struct villain_link *l, struct wire_hello *hello)
{
    (void)l;
    hello->count = UINT64_MAX >> rng_below(v->rng, 60);
    hello->digest = random_id(v);
}

/* Ranges without end, each with a fingerprint that differs, or a list of ids that nobody has. */
static void put_false_frame(struct villain *v, struct buf *out)
{
    uint64_t last = 0, time = 0, ranges = chance(v, 20) ? 1800 : sim_draw(v->rng, 1, 8);
    uint8_t noise[16];
    buf_put_u8(out, 0x73);
    recon_put_varint(out, hlc_from_ms(villain_clock(v)));
    for (uint64_t i = 0; i < ranges && out->n < 60000; i++) {
        struct recon_bound b = {.item = {.time = time += 1 + rng_below(v->rng, UINT64_C(1) << 40)}};
        if (i + 1 == ranges)
            b.item.time = UINT64_MAX;
        recon_put_bound(out, &last, &b);
        bool list = chance(v, 100);
        recon_put_varint(out, list ? 2 : 1);
        if (list)
            recon_put_varint(out, 3);
        for (unsigned k = 0; k < (list ? 6 : 1); k++) {
            rng_bytes(v->rng, noise, sizeof noise);
            buf_put(out, noise, sizeof noise);
        }
    }
}

static bool size_liar_got(struct villain *v, struct villain_link *l, const struct wire_message *m)
{
    struct buf frame = {0};
    if (m->type != WIRE_RECON || m->reply)
        return false;
    put_false_frame(v, &frame);
    villain_say(v, l, &(struct wire_message){.type = WIRE_RECON, .session = m->session, .reply = true, .body = buf_view(&frame)});
    buf_close(&frame);
    return true;
}

static void size_liar_turn(struct villain *v, struct villain_link *l)
{
    struct buf frame = {0};
    uint64_t n = chance(v, 1) ? 1200 : chance(v, 60); /* now and then more frames than are allowed */
    for (uint64_t i = 0; i < n && l->open && frame.n < (4u << 20); i++) {
        buf_reset(&frame);
        put_false_frame(v, &frame);
        villain_say(v, l, &(struct wire_message){.type = WIRE_RECON, .session = i + l->turns * 2000, .body = buf_view(&frame)});
        n = n > 100 ? n - 1 : n;
    }
    buf_close(&frame);
}

/* Says what its peer said, so that the sets look equal. */
static void black_hole_hello(struct villain *v, struct villain_link *l, struct wire_hello *hello)
{
    const struct sim_host *other = l->host < v->w->honest_count ? &v->w->hosts[l->host] : &v->w->hosts[0];
    if (other->up)
        setindex_digest(node_set(other->node), &hello->digest); /* the best lie there is */
    hello->count = l->hello.count;
}

static bool black_hole_got(struct villain *v, struct villain_link *l, const struct wire_message *m)
{
    struct buf frame = {0};
    if (m->type == WIRE_IHAVE || m->type == WIRE_DELTA) {
        struct id ids[WIRE_IDS_MAX] = {m->id};
        size_t n = m->type == WIRE_DELTA ? 1 : m->count;
        for (size_t i = 0; m->type == WIRE_IHAVE && i < n; i++)
            ids[i] = wire_item(m->items, i).id;
        villain_say(v, l, &(struct wire_message){.type = WIRE_IDONTWANT, .count = n, .ids = ids});
    }
    if (m->type != WIRE_RECON || m->reply)
        return false;
    buf_put_u8(&frame, 0x73); /* nothing differs */
    recon_put_varint(&frame, hlc_from_ms(villain_clock(v)));
    villain_say(v, l, &(struct wire_message){.type = WIRE_RECON, .session = m->session, .reply = true, .body = buf_view(&frame)});
    buf_close(&frame);
    return true;
}

/* ---- clock --------------------------------------------------------------------------------------------------------- */

static uint64_t absurd_clock(struct villain *v)
{
    static const uint64_t clocks[] = {0, 1, SIM_EPOCH_MS / 2, SIM_EPOCH_MS * 2, UINT64_MAX};
    return clocks[rng_below(v->rng, sizeof clocks / sizeof *clocks)];
}

static void clock_liar_hello(struct villain *v, struct villain_link *l, struct wire_hello *hello)
{
    (void)l;
    hello->clock_ms = absurd_clock(v);
}

static bool clock_liar_got(struct villain *v, struct villain_link *l, const struct wire_message *m)
{
    if (m->type != WIRE_PING)
        return false;
    villain_say(v, l, &(struct wire_message){.type = WIRE_PONG, .token = m->token, .clock_ms = absurd_clock(v)});
    return true;
}

/* A little ahead, which is allowed, or so far that no clock of this world comes near. */
static void clock_liar_turn(struct villain *v, struct villain_link *l)
{
    const uint64_t now = villain_clock(v);
    const uint64_t times[] = {hlc_from_ms(now + 2 * MINUTE_MS), hlc_from_ms(now + 2 * (uint64_t)HOUR_MS), hlc_from_ms(now + 9000 * (uint64_t)HOUR_MS),
                              UINT64_MAX - 1, 1 + rng_below(v->rng, 1000), hlc_from_ms(now - HOUR_MS)};
    struct villain_draft d = {.time = times[rng_below(v->rng, sizeof times / sizeof *times)], .foreign = chance(v, 300)};
    if (chance(v, 60))
        make_and_push(v, l, &d);
}

/* ---- noise --------------------------------------------------------------------------------------------------------- */

static void put_noise(struct villain *v, struct buf *out, size_t n)
{
    uint8_t *p = buf_grow(out, n);
    rng_bytes(v->rng, p, n);
    out->n += n;
}

static void garbage_raw(struct villain *v, struct villain_link *l)
{
    struct buf b = {0};
    put_noise(v, &b, (size_t)sim_draw(v->rng, 1, 300));
    villain_raw(v, l, buf_view(&b));
    buf_close(&b);
}

static void garbage_turn(struct villain *v, struct villain_link *l)
{
    struct buf b = {0};
    uint64_t trick = rng_below(v->rng, 30);
    if (trick == 0) { /* not sealed */
        put_noise(v, &b, 200);
        villain_raw(v, l, buf_view(&b));
    } else if (trick == 1) { /* sealed nonsense */
        put_noise(v, &b, (size_t)sim_draw(v->rng, 1, 2000));
        villain_sealed(v, l, buf_view(&b));
    } else if (trick == 2) { /* longer than its type allows */
        buf_put_u8(&b, (uint8_t)sim_draw(v->rng, WIRE_HELLO, WIRE_TYPE_END + 2));
        put_noise(v, &b, 70000);
        villain_sealed(v, l, buf_view(&b));
    } else if (trick == 3) { /* the right type, the wrong rest */
        buf_put_u8(&b, (uint8_t)sim_draw(v->rng, WIRE_HELLO, WIRE_CALL));
        put_noise(v, &b, (size_t)sim_draw(v->rng, 0, 100));
        villain_sealed(v, l, buf_view(&b));
    } else if (trick == 4) { /* a record that says it is 65535 bytes long and is not */
        villain_raw(v, l, bytes_of("\xff\xff", 2));
    }
    buf_close(&b);
}

/* ---- those who had rights ------------------------------------------------------------------------------------------- */

static void revoked_turn(struct villain *v, struct villain_link *l)
{
    struct villain_draft d = {.foreign = true, .epoch = sim_draw(v->rng, 0, 3), .ops = (unsigned)sim_draw(v->rng, 1, 3)};
    d.verb = chance(v, 200) ? VERB_DELETE : VERB_PUT;
    if (chance(v, 60))
        make_and_push(v, l, &d);
}

static void removed_turn(struct villain *v, struct villain_link *l)
{
    char name[ID_HEX_SIZE];
    struct villain_draft d = {.kind = KIND_MEMBER, .name = name, .owner = &v->w->authors[0].key, .epoch = 1};
    key_hex(name, &v->key.key);
    if (chance(v, 940))
        return;
    if (chance(v, 500)) { /* its own, or built upon what the others hold */
        d = (struct villain_draft){.foreign = chance(v, 500), .epoch = 1};
    } else if (chance(v, 300)) { /* a charter of its own */
        d.kind = KIND_CHARTER;
        d.name = v->w->mesh_name;
        d.owner = NULL;
    }
    make_and_push(v, l, &d);
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */

static const struct villain_rule rules[VILLAIN_KINDS] = {
    [VILLAIN_FORGER] = {.name = "forger", .turn = forger_turn},
    [VILLAIN_FOREIGN] = {.name = "foreign", .turn = foreign_turn},
    [VILLAIN_EQUIVOCATOR] = {.name = "equivocator", .turn = equivocator_turn},
    [VILLAIN_WITHHOLDER] = {.name = "withholder", .turn = withholder_turn, .got = withholder_got},
    [VILLAIN_FLOOD_DELTAS] = {.name = "flood-deltas", .turn = flood_deltas_turn},
    [VILLAIN_FLOOD_CONNS] = {.name = "flood-conns", .dials = 40, .silent = true},
    [VILLAIN_FLOOD_IDS] = {.name = "flood-ids", .turn = flood_ids_turn, .got = silent_on_wants},
    [VILLAIN_FLOOD_WANTS] = {.name = "flood-wants", .turn = flood_wants_turn},
    [VILLAIN_FLOOD_CONTROL] = {.name = "flood-control", .turn = flood_control_turn},
    [VILLAIN_SLOW_LORIS] = {.name = "slow-loris", .turn = loris_turn, .raw = loris_raw, .dials = 16, .silent = true},
    [VILLAIN_ECLIPSE] = {.name = "eclipse", .turn = eclipse_turn, .dials = 24},
    [VILLAIN_SIZE_LIAR] = {.name = "size-liar", .hello = size_liar_hello, .got = size_liar_got, .turn = size_liar_turn},
    [VILLAIN_BLACK_HOLE] = {.name = "black-hole", .hello = black_hole_hello, .got = black_hole_got},
    [VILLAIN_CLOCK_LIAR] = {.name = "clock-liar", .hello = clock_liar_hello, .got = clock_liar_got, .turn = clock_liar_turn},
    [VILLAIN_GARBAGE] = {.name = "garbage", .turn = garbage_turn, .raw = garbage_raw, .dials = 8, .silent = true},
    [VILLAIN_REVOKED] = {.name = "revoked", .turn = revoked_turn},
    [VILLAIN_REMOVED] = {.name = "removed", .turn = removed_turn},
    [VILLAIN_WEDGED] = {.name = "wedged", .turn = wedged_turn},
};

const struct villain_rule *villain_rule(enum villain_kind kind)
{
    return &rules[kind];
}

const char *villain_name(enum villain_kind kind)
{
    return rules[kind].name;
}

bool villain_parse(const char *name, enum villain_kind *out)
{
    for (unsigned i = 0; i < VILLAIN_KINDS; i++)
        if (strcmp(rules[i].name, name) == 0) {
            *out = (enum villain_kind)i;
            return true;
        }
    return false;
}
