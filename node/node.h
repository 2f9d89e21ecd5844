/*
 * The composition root as a sans-I/O engine: mesh, catalogue and API in one object. The rim (uv_node.c) and the
 * simulator drive it the same way: event in, drain actions, re-arm one timer. Reads go to the store at once;
 * everything that must be durable goes into one job at a time (group commit) that the owner runs and returns.
 */
#ifndef SOUK_NODE_NODE_H
#define SOUK_NODE_NODE_H

#include "api/api.h"
#include "net/net.h"
#include "store/store.h"

#define NODE_PENDING_BYTES_MAX (64u << 20) /* bundles from peers that wait for a commit         */
#define NODE_PENDING_WRITES    65536       /* local writes that wait for a commit ...           */
#define NODE_PENDING_WRITE_BYTES (64u << 20) /* ... and their names and fields                  */
#define NODE_PENDING_RECEIPTS  4096        /* receipts that wait for a commit                   */
#define NODE_BATCH_RECEIPTS    256         /* receipts in one job                               */
#define NODE_RECEIPTS_KEEP     100000      /* receipts on disk, by default                      */
#define NODE_BATCH_DELTAS      16          /* bundles in one job, by default                    */
#define NODE_BATCH_WRITES      1024        /* local writes in one job, by default               */
#define NODE_BATCH_BYTES       (2u << 20)  /* bytes of either: what is written is several times that, in a few copies */
#define NODE_REOPEN_MIN_MS     500         /* after the disk refused a write; doubles up to     */
#define NODE_REOPEN_MAX_MS     15000
#define NODE_AUDIT_MS          21600000    /* how often the index is compared with the disk, jittered by a fifth */
#define NODE_MISSING_PERIOD_MS 5000        /* how often bodies that are missing are asked for   */
#define NODE_MISSING_BATCH     256

struct node;

struct node_config {
    struct net_config net;      /* `set` is filled in by the node */
    struct store *store;        /* open; not owned */
    char name[MODEL_NAME_MAX + 1];
    uint8_t seed[32];
    size_t batch_deltas, batch_writes; /* bounds of one job; 0: the defaults above */
    uint64_t receipts_keep;     /* the newest of them; 0: NODE_RECEIPTS_KEEP */
};

struct node *node_new(const struct node_config *config, uint64_t now_ms, uint64_t clock_ms);
/* Says goodbye to the peers: drain node_next once more, then node_free. */
void node_stop(struct node *n);
void node_free(struct node *n);

enum node_event_kind {
    NODE_NET,       /* net: passed on to the mesh engine */
    NODE_JOB_DONE,  /* job (the one that NODE_JOB gave), err */
    NODE_TICK
};
struct node_event {
    enum node_event_kind kind;
    struct net_event net;
    struct store_job *job;
    enum err err;
    uint64_t clock_ms;          /* wall clock */
};

enum node_action_kind {
    NODE_NONE,
    NODE_SEND, NODE_DIAL, NODE_CLOSE, /* net: as the mesh engine gave it */
    NODE_JOB,       /* job: call node_job_run on the writer thread, answer NODE_JOB_DONE. One at a time. */
    NODE_REOPEN,    /* the disk refused a write: store_reopen on the writer thread, answer NODE_JOB_DONE with job NULL */
    NODE_CALL,      /* net: NET_REACHED, NET_CALLED, NET_CALL_LEFT, NET_ANSWERED or NET_CALL_LOST, for whoever serves and makes calls */
    NODE_JOIN,      /* net: a newcomer applies (answer with the event NET_JOIN_ANSWER) */
    NODE_WELCOME,   /* net: an answer to this node's own application */
    NODE_CHANGED,   /* members: the change log grew */
    NODE_LOG        /* subsystem, level, text */
};
struct node_action {
    enum node_action_kind kind;
    struct net_action net;
    struct store_job *job;
    bool members;               /* entries of members or the charter are among what changed */
    const char *subsystem;
    int level;
    const char *text;
};

/* The work of one NODE_JOB: needs nothing of the node, so it may run while the node goes on. */
SOUK_MUST_USE enum err node_job_run(struct store *store, struct store_job *job);

void node_input(struct node *n, const struct node_event *event, uint64_t now_ms);
enum node_action_kind node_next(struct node *n, struct node_action *action);
uint64_t node_deadline(const struct node *n);

/* A local write; `done` comes through node_write_next after the commit. Inputs are copied. ERR_BUSY: the queue is full. */
struct node_write {
    enum write_action action;
    enum write_guard guard;
    struct id revision;
    uint64_t kind;
    struct key owner;
    struct bytes name;
    struct author *author;      /* outlives the write */
    struct change change;
    struct key writer;
    void *ctx;                  /* the caller's, returned with the result */
};
SOUK_MUST_USE enum err node_write(struct node *n, const struct node_write *w);
/* The same for a write that was copied already (node/queue.h); taken over only on ERR_OK. */
struct queued_write;
SOUK_MUST_USE enum err node_write_queued(struct node *n, struct queued_write *w);
/* All of these put work into the queue: drain node_next afterwards. */
/* A bundle handed in by a client (POST /deltas). */
SOUK_MUST_USE enum err node_hand_in(struct node *n, struct bytes bundle, void *ctx);
/* A receipt to keep; nobody is told when it is on disk. Copied. ERR_BUSY: the disk refuses writes, and the queue is full. */
SOUK_MUST_USE enum err node_keep_receipt(struct node *n, const struct store_receipt *r);
struct node_result {
    void *ctx;
    bool is_bundle;
    enum err why;
    enum verdict verdict;
    struct item item;
    struct id entry, revision, op;
    bool created;
};
bool node_result_next(struct node *n, struct node_result *out); /* false: none waiting */

const struct setindex *node_set(const struct node *n);
struct net *node_net(struct node *n);
bool node_disk_ok(const struct node *n, enum err *why); /* false: writes are refused with *why */
/* True while nothing is being written and no write has failed. What is read from the store then stays so as long as this is
 * true with the same *moment: a job that was given out ends the rest, and its end begins another moment. */
bool node_at_rest(const struct node *n, uint64_t *moment);

struct node_stats {
    uint64_t deferred, rejected;      /* deltas, since the start */
    uint64_t jobs, pending_bytes, pending_writes;
    uint64_t now_ms, clock_ms;        /* of the last event */
    uint64_t audits, audits_bad;      /* of the index against the disk; those that found a difference */
};
void node_stats(const struct node *n, struct node_stats *out);

#endif
