/*
 * A crowd: a thousand mesh engines and nothing else of a node, to see how a delta spreads. Real handshakes, records and
 * messages; simulated are time, the connections, and a store that takes what was truly made (each signature is verified
 * once, where it is made, not a thousand times). Everything is drawn from one seed.
 */
#ifndef SOUK_TESTS_CROWD_H
#define SOUK_TESTS_CROWD_H

#include "tests/sim/sim.h"

#define CROWD_HOSTS_MAX  4000
#define CROWD_SEEDS      5        /* hosts whose addresses everybody is given ... */
#define CROWD_GIVEN      2        /* ... so many of them                          */
#define CROWD_PHASES     3        /* failing links; and churn; and halves that lost each other */
#define CROWD_SETTLED_MS 10000    /* after a start a host is not measured         */
#define CROWD_NEVER      UINT32_MAX

/* What a host of a crowd is. Those that are not honest speak the protocol without a fault. */
enum crowd_kind {
    CROWD_HONEST,
    CROWD_SILENT,     /* takes what it is sent and passes nothing on                         */
    CROWD_WITHHOLDER, /* offers everything as ids and never answers who asks                 */
    CROWD_GRAFTER,    /* asks everybody for whole deltas all the time, and passes nothing on */
    CROWD_KINDS
};

struct crowd_config {
    uint64_t seed;
    unsigned nodes, deltas;       /* deltas in each phase */
    unsigned failing_percent;     /* of all connections, at any time */
    unsigned churn_percent;       /* of all hosts, each minute, in the second phase */
    unsigned hostile_percent;     /* of all hosts: of the three kinds in turn       */
};

/* One phase: what happened to the deltas that were published in it. */
struct crowd_phase {
    uint64_t deltas, pairs, missed;       /* pairs of a delta and a host that was there; missed: never while measured */
    uint64_t p50_ms, p99_ms, max_ms;
    uint64_t copies, published;           /* DELTA messages received; deltas times hosts */
    uint64_t sent_bytes, bundle_bytes;    /* on the wire in all; of the deltas */
    uint64_t ms, crashes;
    uint64_t control;                     /* GRAFT and PRUNE sent */
};

struct crowd_outcome {
    bool ok;
    char failure[256];
    struct crowd_phase phase[CROWD_PHASES];
    uint64_t links, least_links, most_links, least_outbound, eager_in; /* when the first phase begins; eager_in in all */
    uint64_t hostile, asked_in_vain, grafts;  /* hosts; ids that withholders were asked for; GRAFTs of grafters */
    uint64_t honest;
    uint64_t most_book, settled_ms;       /* rows of one book; until all sets were equal, after the last fault */
    uint64_t joined_ms;                   /* ... after the halves could reach each other again */
    uint64_t handshakes, events, stalled, live; /* stalled of live connections when the first phase begins */
};
void crowd_run(const struct crowd_config *config, struct crowd_outcome *out);
int crowd_main(int argc, char **argv); /* crowd_main.c: the options after --overlay; returns the exit status */

/* ---- inside ------------------------------------------------------------------------------------------------------ */

struct crowd_segment {
    uint64_t due;
    struct buf bytes;
    struct crowd_segment *next;
};
struct crowd_pipe {
    struct crowd_segment *first, *last;
    size_t bytes;
    bool armed, fin;
};
struct crowd_conn {
    uint32_t host[2];                     /* 0 dialed */
    uint64_t epoch[2];
    bool open[2];
    uint64_t reported[2];
    struct crowd_pipe pipe[2];            /* pipe[s]: from side s */
    bool stalled;
};

struct crowd_delta {
    struct item item;
    struct buf bundle;
    uint64_t at;
    unsigned phase;
    uint32_t host;
};

struct crowd_host {
    uint32_t index;
    enum crowd_kind kind;
    bool up;
    uint64_t epoch, started, armed_at, grafted;
    struct net *net;
    struct net_config config;
    struct setindex *set;
    struct buf book;                      /* as it was kept when the host went down */
    char addr[NET_ADDR_MAX];
    uint32_t given[CROWD_GIVEN];
    struct net_stats before;              /* of engines that are gone */
    uint64_t sent_bytes;
};

struct crowd {
    struct crowd_config config;
    struct crowd_outcome *out;
    struct sim_heap heap;
    uint64_t now, seq;
    struct rng rng, links;
    struct id mesh;
    struct gen_author *founder;
    struct crowd_host *hosts;
    struct crowd_conn **conns;
    size_t conn_count, conn_cap;
    uint64_t live;
    struct crowd_delta *deltas;
    size_t delta_count;
    uint32_t *took;                       /* [delta * nodes + host]: ms, or CROWD_NEVER */
    unsigned phase;
    bool writing, failing, churning, split, orphaned; /* orphaned: without the hosts that all were given */
};
void crowd_at(struct crowd *c, uint64_t at, struct sim_event e);
void crowd_fail(struct crowd *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* crowd.c */
void crowd_host_init(struct crowd *c, uint32_t index);
void crowd_host_start(struct crowd *c, struct crowd_host *h);
void crowd_host_crash(struct crowd *c, struct crowd_host *h);
void crowd_host_close(struct crowd_host *h);
void crowd_host_input(struct crowd *c, struct crowd_host *h, struct net_event e);
void crowd_host_stored(struct crowd *c, const struct sim_event *e);
void crowd_host_publish(struct crowd *c, struct crowd_host *h);
struct net_stats crowd_host_stats(const struct crowd_host *h);

/* crowd_net.c */
void crowd_dial(struct crowd *c, uint32_t from, const char *addr, uint64_t dial);
void crowd_connect(struct crowd *c, const struct sim_event *e);
void crowd_write(struct crowd *c, uint64_t number, struct bytes bytes);
void crowd_shut(struct crowd *c, uint64_t number);
void crowd_arrive(struct crowd *c, const struct sim_event *e);
void crowd_closed(struct crowd *c, const struct sim_event *e);
void crowd_host_gone(struct crowd *c, uint32_t host);
void crowd_stall(struct crowd *c);        /* every second: some connections fall silent */
void crowd_mend(struct crowd *c, const struct sim_event *e);
void crowd_split(struct crowd *c);        /* from now on nothing passes between the halves */
void crowd_join(struct crowd *c);
void crowd_conn_free(struct crowd_conn *conn);

#endif
