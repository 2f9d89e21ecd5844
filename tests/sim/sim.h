/*
 * A deterministic world for many nodes: virtual time, links, disks, crashes, a workload, and checks that must hold
 * throughout and at the end. Everything is drawn from one 64-bit seed; the same seed gives the same world on any machine
 * and with any compiler. The nodes are real (node/node.h with the mesh engine, real handshakes, real signatures, the
 * real store over memory); only clocks, sockets and disks are simulated. Nothing here knows the system's clock.
 */
#ifndef SOUK_TESTS_SIM_H
#define SOUK_TESTS_SIM_H

#include "crdt/rng.h"
#include "node/node.h"

#include <stdio.h>

#define SIM_EPOCH_MS    UINT64_C(1790000000000) /* wall clock at virtual time 0 */
#define SIM_HOSTS_MAX   256
#define SIM_DEGREE_MAX  12
#define SIM_RING        64        /* trace lines kept for a failure */
#define SIM_TEXT_MAX    200
#define SIM_SOCKET      65536     /* bytes that a simulated socket takes at once */
#define SIM_AUTHORS_MAX 256
#define SIM_HOMES_MAX   8         /* author keys on one host */
#define SIM_NAMES       3         /* entry names an author uses, for each kind */
#define SIM_NOWHERE     "10.66." /* addresses that begin so lead nowhere: hostile hosts tell them */
#define SIM_GRANTS      512       /* the newest grants, for writers and revocations to choose from */

/* What a hostile host does. */
enum villain_kind {
    VILLAIN_FORGER,      /* deltas that are not valid, or under another's id or name               */
    VILLAIN_FOREIGN,     /* deltas of another mesh, signed by the same people; old ones again      */
    VILLAIN_EQUIVOCATOR, /* different ops of one time to different peers                           */
    VILLAIN_WITHHOLDER,  /* deltas whose parents or bodies it does not give, offers never kept     */
    VILLAIN_FLOOD_DELTAS,
    VILLAIN_FLOOD_CONNS, /* connections, half of them silent, the others under ever new keys       */
    VILLAIN_FLOOD_IDS,   /* offers of deltas that do not exist                                     */
    VILLAIN_FLOOD_WANTS, /* asks for everything again and again                                    */
    VILLAIN_FLOOD_CONTROL, /* PING, GRAFT, PRUNE, HINT, CALL, IDONTWANT ...                        */
    VILLAIN_SLOW_LORIS,  /* a byte at a time, in every state                                       */
    VILLAIN_ECLIPSE,     /* addresses of itself under many names, and sessions with newcomers      */
    VILLAIN_SIZE_LIAR,   /* a huge set, endless ranges                                             */
    VILLAIN_BLACK_HOLE,  /* every fingerprint equals, every delta is held, nothing is passed on    */
    VILLAIN_CLOCK_LIAR,
    VILLAIN_GARBAGE,     /* noise, oversize and malformed messages in every state                  */
    VILLAIN_REVOKED,     /* goes on writing what it was granted once                               */
    VILLAIN_REMOVED,     /* goes on writing and admits itself                                      */
    VILLAIN_WEDGED,      /* asks and does not read                                                 */
    VILLAIN_KINDS
};
const char *villain_name(enum villain_kind kind);
bool villain_parse(const char *name, enum villain_kind *out);

enum sim_mix { SIM_MIX_DRAWN, SIM_MIX_NONE, SIM_MIX_ONE /* `kind` alone */ };

struct sim_config {
    uint64_t seed;
    unsigned nodes, minutes;      /* nodes: hostile ones included */
    enum sim_mix mix;
    enum villain_kind kind;
    bool trace;                   /* print every event */
};

/* What honest hosts can count of what is done to them; by itself it says nothing of who did it. */
struct sim_tally {
    uint64_t refused, foreign, ahead, duplicates, gone, protocol, handshakes, work, wants, refusals, shaping; /* mark.c */
    uint64_t false_rows, false_clocks, queued, missing, held, twins;
};

struct sim_outcome {
    bool ok;
    struct sim_tally tally;
    unsigned hostile;
    uint64_t kinds;               /* a bit for each kind of hostile host that was there */
    uint64_t deltas, events, writes, refused, crashes;
    uint64_t converged_ms;        /* after the start of healing */
    uint64_t most_bytes;          /* sent by one host to honest ones in one minute */
    uint64_t most_fed;            /* ... to hostile ones */
    char trace[33];               /* 16 bytes of BLAKE2b over everything that happened */
    char failure[512];
};

/* ---- events ---------------------------------------------------------------------------------------------------- */

enum sim_event_kind {
    SIM_TICK,       /* host: its deadline */
    SIM_PIPE,       /* conn, side: bytes sent by `side` may arrive */
    SIM_CONNECT,    /* host dialed `other`, n: the dial */
    SIM_REFUSED,    /* host, n: the dial */
    SIM_CLOSED,     /* conn, side: `side` hears that the connection is gone */
    SIM_COMMIT,     /* host: the disk has the job */
    SIM_DONE,       /* host: the job's completion is heard */
    SIM_REOPEN,     /* host */
    SIM_WRITE,      /* host: the next local writes */
    SIM_CRASH,      /* host */
    SIM_START,      /* host */
    SIM_FAULT,      /* the next fault of the world */
    SIM_MEND,       /* n: the fault that ends */
    SIM_CHECK,
    SIM_HEAL,
    SIM_EVENT_COUNT
};

struct sim_event {
    uint64_t at, seq;
    enum sim_event_kind kind;
    uint32_t host, other;
    uint64_t epoch;               /* of the host; the event is void if the host was made anew since */
    uint64_t conn, n;
    unsigned side;
};

struct sim_heap {
    struct sim_event *rows;
    size_t count, cap;
};
void sim_heap_push(struct sim_heap *h, const struct sim_event *e);
bool sim_heap_pop(struct sim_heap *h, struct sim_event *out); /* by (at, seq) */

/* ---- connections ------------------------------------------------------------------------------------------------ */

struct sim_segment {
    uint64_t due;
    size_t n;
};

/* One direction: a byte stream that keeps its order. */
struct sim_pipe {
    struct buf bytes;
    struct sim_segment *segments; /* segments[first .. count) */
    size_t first, count, cap;
    uint64_t last_due;
    bool armed, fin;
};

struct sim_side {
    uint32_t host;
    uint64_t epoch;
    bool open;                    /* this end still knows the connection */
    bool touched;                 /* sent since it last heard how much is queued */
    uint64_t reported;            /* bytes it was told are queued */
};

struct sim_conn {
    struct sim_side side[2];      /* 0 dialed */
    struct sim_pipe pipe[2];      /* pipe[s]: from side s */
    struct rng rng;
};

/* ---- hosts ------------------------------------------------------------------------------------------------------ */

enum sim_disk_state { DISK_IDLE, DISK_WRITING, DISK_WRITTEN };

struct sim_disk {
    enum sim_disk_state state;
    struct store_job *job;
    enum err err;
};

struct sim_home {
    uint32_t author;
    struct author *local;         /* its hlc does not survive a crash */
};

struct sim_host {
    uint32_t index;
    uint64_t epoch;               /* how often it was started */
    struct villain *villain;      /* NULL: honest. A hostile one has neither store nor node */
    bool up, founder_known;
    struct rng rng;               /* workload and keys of this host */
    struct kv *kv;
    struct store *store;
    struct node *node;
    struct net_config net;
    char addr[NET_ADDR_MAX];
    size_t neighbour_count;
    uint32_t neighbours[SIM_DEGREE_MAX]; /* those that it dials */
    size_t degree;
    int64_t skew_ms;
    uint64_t mono_base;
    uint64_t started_at;
    uint64_t armed_at;            /* of the live SIM_TICK; UINT64_MAX: none */
    uint64_t late_since;          /* ticks whose deadline did not move on, in a row */
    uint64_t ticks_minute, minute;
    struct sim_disk disk;
    uint64_t disk_slow_until, disk_full_until;
    unsigned group;               /* partition */
    size_t home_count;
    struct sim_home homes[SIM_HOMES_MAX];
    struct buf touched;           /* uint64_t: connections with side.touched */
    uint64_t waiting;             /* writes without a result yet */
    uint64_t write_every_ms;
    struct buf acked;             /* struct item: own deltas acknowledged */
    uint64_t sent_minute;         /* to honest hosts */
    uint64_t fed_minute;          /* to hostile ones */
};

struct sim_author {
    struct key key;
    uint8_t secret[64];
    size_t home_count;
    uint32_t homes[4];
};

/* A grant that was asked for: `writer` may write this entry of `owner`. */
struct sim_grant {
    uint32_t owner, writer;
    uint64_t kind;
    unsigned name;
};

/* A delta that some node made and committed, with its bodies. */
struct sim_delta {
    struct item item;
    uint32_t host;
    bool hostile;                 /* valid, but nobody need hold it */
    struct bytes bundle;          /* owned */
};

struct sim_line {
    struct sim_event event;
    char text[SIM_TEXT_MAX];
};

struct sim_world {
    struct sim_config config;
    struct sim_heap heap;
    uint64_t now, seq;
    struct rng root, links, faults;
    struct id mesh;
    char mesh_name[32];
    bool members;                 /* admission of the charter */
    bool tells_addresses;         /* nodes advertise: the overlay grows beyond the drawn graph */
    uint64_t heal_at, end_at;
    bool founded, healing, converged;
    size_t host_count, honest_count; /* hosts[honest_count ..) are hostile */
    struct sim_host *hosts;
    size_t author_count, author_all; /* those after author_count are of hostile hosts */
    bool relentless;              /* hostile hosts go on after healing began */
    uint64_t kinds, hostile_deltas;
    struct sim_author authors[SIM_AUTHORS_MAX];
    struct sim_conn **conns;
    size_t conn_count, conn_cap;
    uint32_t *latency;            /* [from * host_count + to], ms */
    bool *cut;                    /* the same: this direction carries nothing */
    struct sim_grant grants[SIM_GRANTS];
    size_t grant_count;           /* ever; the newest SIM_GRANTS are kept */
    /* what was made */
    struct sim_delta *deltas;
    size_t delta_count, delta_cap;
    struct setindex *known;       /* the items of `deltas` */
    uint64_t bundle_bytes;
    uint64_t writes, write_errors, crashes, events;
    uint64_t created_minute[2];   /* bundle bytes made in this minute and the last */
    uint64_t copies_minute[2];    /* hosts that had to catch up */
    uint64_t minute, converged_at, most_bytes, most_fed;
    struct sim_tally tally;
    /* trace */
    crypto_generichash_state hash;
    struct sim_line ring[SIM_RING];
    size_t ring_at;
    bool failed;
    char failure[512];
    struct buf scratch;
};

/* world.c: builds a world, runs it to its end, takes it down */
void sim_run(const struct sim_config *config, struct sim_outcome *out);
void sim_world_at(struct sim_world *w, uint64_t at, struct sim_event e); /* fills in at and seq */
uint64_t sim_draw(struct rng *r, uint64_t low, uint64_t high);           /* both included */
bool sim_chance(struct rng *r, unsigned in_1000);

/* trace.c */
void sim_trace_open(struct sim_world *w);
void sim_trace_event(struct sim_world *w, const struct sim_event *e);
void sim_trace_bytes(struct sim_world *w, const void *p, size_t n);      /* into the hash */
void sim_trace_note(struct sim_world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace_end(struct sim_world *w, char out[33]);
void sim_trace_print(const struct sim_world *w, FILE *to);
/* A check does not hold: the first one ends the run. */
void sim_world_fail(struct sim_world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* pipe.c */
bool sim_pipe_blocked(const struct sim_world *w, uint32_t from, uint32_t to);
void sim_conn_dial(struct sim_world *w, uint32_t from, const char *addr, uint64_t dial);
void sim_conn_connect(struct sim_world *w, const struct sim_event *e);
void sim_conn_refused(struct sim_world *w, const struct sim_event *e);
void sim_conn_write(struct sim_world *w, uint64_t number, struct bytes bytes);
void sim_conn_shut(struct sim_world *w, uint64_t number); /* after what was written has left */
void sim_conn_arrive(struct sim_world *w, const struct sim_event *e);
void sim_conn_closed(struct sim_world *w, const struct sim_event *e);
void sim_conn_reset(struct sim_world *w, struct sim_conn *c, uint64_t id);
bool sim_conn_report(struct sim_world *w, struct sim_host *h); /* tells the host what drained; false: nothing to tell */
void sim_conn_host_down(struct sim_world *w, uint32_t host);
void sim_conn_free(struct sim_conn *c);

/* host.c */
void sim_host_init(struct sim_world *w, uint32_t index);
void sim_host_start(struct sim_world *w, struct sim_host *h);
enum host_end { HOST_CRASH, HOST_STOP };
void sim_host_stop(struct sim_world *w, struct sim_host *h, enum host_end how);
void sim_host_close(struct sim_host *h);
void sim_host_feed(struct sim_world *w, struct sim_host *h, struct node_event e);
void sim_host_drain(struct sim_world *w, struct sim_host *h);                      /* does all that the node asks for */
void sim_host_input(struct sim_world *w, struct sim_host *h, struct node_event e); /* both */
void sim_host_tick(struct sim_world *w, struct sim_host *h);
void sim_host_commit(struct sim_world *w, struct sim_host *h);
void sim_host_done(struct sim_world *w, struct sim_host *h);
void sim_host_reopen(struct sim_world *w, struct sim_host *h);
uint64_t sim_host_clock(const struct sim_world *w, const struct sim_host *h);
struct author *sim_host_author(struct sim_host *h, uint32_t author); /* NULL: it has no such key */

/* villain.c: hostile hosts */
void villain_init(struct sim_world *w, struct sim_host *h, enum villain_kind kind, uint32_t author);
void villain_free(struct sim_host *h);
void villain_start(struct sim_host *h);
void villain_stop(struct sim_host *h);
void villain_net(struct sim_host *h, const struct net_event *e);
void villain_tick(struct sim_host *h);
void villain_heal(struct sim_host *h); /* no new deltas from now on */
bool villain_deaf(const struct sim_host *h, uint64_t conn);

/* fault.c */
void sim_faults_init(struct sim_world *w);
void sim_faults_next(struct sim_world *w);
void sim_faults_mend(struct sim_world *w, const struct sim_event *e);
void sim_faults_heal(struct sim_world *w);

/* work.c */
void sim_work_init(struct sim_world *w);
void sim_work_next(struct sim_world *w, struct sim_host *h);
void sim_work_result(struct sim_world *w, struct sim_host *h, const struct node_result *r);

/* mark.c: what each kind of hostile host leaves behind */
void sim_mark_life(struct sim_world *w, const struct sim_host *h); /* when an engine ends */
void sim_mark_peer(struct sim_world *w, const struct net_peer_info *p); /* every second, of each peer of each honest host */
void sim_mark_end(struct sim_world *w);
const char *sim_mark_text(enum villain_kind kind);
uint64_t sim_mark_need(enum villain_kind kind);
uint64_t sim_mark_of(const struct sim_tally *t, enum villain_kind kind);

/* check.c */
/* A delta that exists from now on: its bundle is taken over. */
void sim_check_made(struct sim_world *w, const struct sim_delta *d);
void sim_check_job(struct sim_world *w, struct sim_host *h, const struct store_job *job); /* after the commit */
void sim_check_acked(struct sim_world *w, struct sim_host *h);
void sim_check_period(struct sim_world *w);
void sim_check_end(struct sim_world *w);

#endif
