/*
 * What the files of netlab share: netlab.c has hosts, actions and time, netlab_wire.c the connections and what befalls them,
 * netlab_store.c the deltas. Nobody else includes this.
 */
#ifndef SOUK_TESTS_NETLAB_INSIDE_H
#define SOUK_TESTS_NETLAB_INSIDE_H

#include "tests/lib/netlab.h"

#define RAW SIZE_MAX /* the test itself, in the place of a host */

struct piece {
    uint64_t at_ms;
    struct buf bytes;
};

/* One end of a connection: what flows away from it. */
struct end {
    uint64_t id;
    size_t host;            /* RAW: the test itself */
    bool open;              /* the engine at this end still knows it */
    bool close_sent;        /* ... has asked to close: the other end learns when the queue is empty */
    struct piece *queue;
    size_t count, cap;
    struct buf raw_in;      /* RAW: what arrived */
    bool deaf;              /* RAW: reads nothing */
};
struct wire_pair {
    struct end end[2];
};
struct stored_later {
    uint64_t at_ms, tag;
    size_t host;
    struct buf bytes;
};

struct lab {
    const char *raw_addr;
    uint64_t now, seed, conns, bytes;
    struct id mesh;
    struct gen_author founder;
    struct lab_host host[LAB_HOSTS_MAX];
    size_t hosts;
    struct wire_pair *pair;
    size_t pairs, pair_cap;
    struct stored_later *later;
    size_t laters, later_cap;
    bool cut[LAB_HOSTS_MAX][LAB_HOSTS_MAX];
    bool stalled[LAB_HOSTS_MAX][LAB_HOSTS_MAX];
    uint64_t latency, writes;
    size_t chunk;
    void (*tap)(void *ctx, size_t from, size_t to, struct buf *bytes);
    void *tap_ctx;
};

#define CLOCK_BASE_MS 1700000000000u

uint64_t lab_clock(const struct lab *lab, const struct lab_host *h);

/* ---- netlab_store.c ---- */
const struct lab_bundle *lab_held(const struct lab_host *h, const struct id *id); /* NULL: it is not */
void lab_store(struct lab *lab, struct lab_host *h, const struct net_action *a);  /* NET_STORED comes later */
bool lab_store_due(struct lab *lab);                                              /* true: one came */
void lab_store_lost(struct lab *lab, size_t host);                                /* what has not come never does */

/* ---- netlab_wire.c ---- */
void lab_wire_dial(struct lab *lab, struct lab_host *h, const struct net_action *a);
void lab_wire_send(struct lab *lab, const struct net_action *a);
void lab_wire_close(struct lab *lab, uint64_t conn);
void lab_wire_down(struct lab *lab, size_t host);         /* its connections are gone */
bool lab_wire_due(struct lab *lab);                       /* delivers what is due; true: something */
uint64_t lab_wire_next(const struct lab *lab, uint64_t end);
void lab_wire_reap(struct lab *lab);                      /* forgets pairs that both ends have closed */
void lab_wire_free(struct lab *lab);

#endif
