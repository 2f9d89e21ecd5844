/*
 * Hostile hosts of the simulator. Each speaks the real protocol below the mesh engine (real handshakes, sealed records,
 * real signatures) and does in its sessions what its kind does. What it makes that is valid is told to the world, so that
 * the checks know what may be in a set. Knows nothing of the nodes that it attacks but what they tell it.
 */
#ifndef SOUK_TESTS_VILLAIN_H
#define SOUK_TESTS_VILLAIN_H

#include "net/conn.h"
#include "tests/lib/gen.h"
#include "tests/sim/sim.h"

#define VILLAIN_LINKS_MAX  48
#define VILLAIN_CAUGHT_MAX 64         /* bundles of others that are kept           */
#define VILLAIN_SEEN_MAX   1024       /* ops and deltas of others that are known   */
#define VILLAIN_MADE_MAX   256        /* own bundles that can be served            */
#define VILLAIN_TICK_MS    500
#define VILLAIN_QUEUE_MAX  (512u << 10) /* a reader that is slower than this is left alone for a while */

struct villain_link {
    uint64_t conn;
    bool open, up, deaf;
    uint32_t host;                /* the other end, where this side dialed; else SIM_HOSTS_MAX */
    uint64_t since, turns;
    struct conn_identity self;
    struct conn c;
    struct wire_hello hello;      /* theirs: numbers only */
    uint64_t queued;
    struct buf drip;              /* bytes that leave one at a time */
};

/* An op that a delta of somebody else holds. */
struct villain_op {
    struct id op, delta;
    uint64_t kind, time;
    struct key owner;
    char name[MODEL_NAME_MAX + 1];
};

struct villain_made {
    struct item item;
    struct buf bundle;            /* as it is served; empty: never */
};

struct villain {
    enum villain_kind kind;
    struct sim_world *w;
    struct sim_host *h;
    struct rng *rng;
    uint32_t author;              /* in the world's table */
    struct gen_author key;
    struct villain_link *links[VILLAIN_LINKS_MAX];
    size_t dials;                 /* under way */
    uint64_t dial_at;
    struct buf caught[VILLAIN_CAUGHT_MAX];
    struct item caught_item[VILLAIN_CAUGHT_MAX];
    size_t caught_count;          /* ever */
    struct villain_op seen[VILLAIN_SEEN_MAX];
    size_t seen_count;            /* ever */
    struct villain_made made[VILLAIN_MADE_MAX];
    size_t made_count;            /* ever */
    struct setindex *set;         /* what it claims to hold: its own */
};

/* What a kind does. NULL: what an ordinary peer with hardly any deltas would do. */
struct villain_rule {
    const char *name;
    void (*hello)(struct villain *v, struct villain_link *l, struct wire_hello *hello); /* may change what is said */
    bool (*got)(struct villain *v, struct villain_link *l, const struct wire_message *m); /* true: dealt with */
    void (*turn)(struct villain *v, struct villain_link *l); /* a session that is up, every VILLAIN_TICK_MS or so */
    void (*raw)(struct villain *v, struct villain_link *l);  /* a connection before its session, the same */
    unsigned dials;               /* connections that it tries to have; 0: a few */
    bool silent;                  /* does not even begin a handshake on half of them */
};
const struct villain_rule *villain_rule(enum villain_kind kind); /* kinds.c */

/* villain.c: life and sessions */
void villain_say(struct villain *v, struct villain_link *l, const struct wire_message *m);
void villain_sealed(struct villain *v, struct villain_link *l, struct bytes message); /* any bytes as a message */
void villain_raw(struct villain *v, struct villain_link *l, struct bytes bytes);      /* any bytes at all */
void villain_drop(struct villain *v, struct villain_link *l);
bool villain_keeps_up(const struct villain_link *l);      /* the other end reads what is sent */
uint64_t villain_clock(const struct villain *v);

/* forge.c: what it makes and what it has seen */
struct villain_draft {
    uint64_t time;                /* 0: now */
    unsigned ops;                 /* 0: 1 */
    enum gen_travel travel;
    bool foreign;                 /* an op on an entry of somebody else, where one is known */
    uint64_t epoch;
    enum verb verb;
    size_t parent_count;
    struct id parents[4];
    uint64_t kind;                /* 0: a model */
    const char *name;             /* NULL: drawn */
    const struct key *owner;      /* NULL: itself */
};
/* A valid delta of its own; the world is told. `out` gets the bundle. False: it has made enough. */
bool villain_make(struct villain *v, const struct villain_draft *d, struct item *item, struct buf *out);
void villain_keep(struct villain *v, const struct item *item, struct bytes bundle); /* serves it from now on */
void villain_push(struct villain *v, struct villain_link *l, const struct id *id, struct bytes bundle);
void villain_offer(struct villain *v, struct villain_link *l, const struct item *items, size_t count);
void villain_learn(struct villain *v, const struct wire_message *delta);
const struct villain_made *villain_made_find(const struct villain *v, const struct id *id);
/* A bundle of somebody else, drawn; NULL: none yet. */
const struct buf *villain_caught(struct villain *v, struct item *item);
const struct villain_op *villain_seen(struct villain *v); /* drawn; NULL: none yet */

#endif
