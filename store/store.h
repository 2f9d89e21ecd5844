/*
 * The catalogue on disk: deltas, bodies, heads, and the JSON of every resolved entry, ready to send.
 * One writer calls store_apply; readers may call everything that takes a const store from any thread at any time.
 * Pure over `struct kv`: no clock, no randomness but the arguments'. Layout: store/FORMAT.md.
 */
#ifndef SOUK_STORE_STORE_H
#define SOUK_STORE_STORE_H

#include "crdt/hlc.h"
#include "crdt/register.h"
#include "crdt/rng.h"
#include "crdt/setindex.h"
#include "store/kv.h"

struct store;

struct store_config {
    struct id mesh;
    bool has_founder;          /* false: a joiner that knows only the mesh id yet */
    struct key founder;
    struct bytes mesh_name;
};

/* Opens or creates. ERR_MESH: the directory belongs to another mesh; ERR_VERSION: a newer format. Does not own kv. */
SOUK_MUST_USE enum err store_open(struct store **out, struct kv *kv, const struct store_config *config);
/* Says in words why store_open gave `e`: for ERR_VERSION both versions. Appends. */
void store_open_fault(struct kv *kv, enum err e, struct buf *why);
/* The same of any read or write that gave `e`: for ERR_CORRUPT the file, where the back end knows it. Appends. Any thread. */
void store_fault(const struct store *s, enum err e, struct buf *why);
void store_close(struct store *s);
/* A joiner learns founder and mesh name (checked against the mesh id: ERR_MESH). Writer's thread. Re-judges what is kept aside. */
SOUK_MUST_USE enum err store_set_founder(struct store *s, const struct key *founder, struct bytes mesh_name);
bool store_founder(const struct store *s, struct key *founder, struct buf *mesh_name); /* false: not known yet */

/* ---- who is in the mesh (MODEL 6), as of the last commit; any thread ---------------------------------------- */

enum mesh_admission { MESH_NO_CHARTER, MESH_MEMBERS, MESH_OPEN };
SOUK_MUST_USE enum err store_admission(const struct store *s, enum mesh_admission *out);

struct standing {
    bool founder, operator; /* the founder is not called an operator as well                          */
    bool member;            /* its member entry is there and does not say removed                     */
    bool removed;           /* that entry says so, and nothing else keeps the key in                  */
    bool admitted;          /* its deltas belong to the set                                           */
};
SOUK_MUST_USE enum err store_standing(const struct store *s, const struct key *k, struct standing *out);

/* ---- the writer's side ------------------------------------------------------------------------------------ */

enum verdict {
    VERDICT_NEW,      /* stored and in the set                                             */
    VERDICT_KNOWN,    /* held already; `bodies_new` says whether bodies were added          */
    VERDICT_ASIDE,    /* valid, but its author is not admitted (MODEL 6): kept aside        */
    VERDICT_DEFERRED, /* time ahead, or no room aside: not stored; it may come again        */
    VERDICT_REFUSED   /* not valid: `why` says which rule                                  */
};

/* Strangers cannot fill the disk: beyond so many deltas aside, and above so many bytes of one, a delta whose author is not
 * admitted is put off. It is not lost: whoever made it holds it, and repair brings it once its author is admitted. */
#define STORE_ASIDE_MAX   8192
#define STORE_ASIDE_BYTES 65536

/* A delta from elsewhere. */
struct store_in {
    struct bytes bundle;  /* borrowed for the call                                          */
    uint64_t tag;         /* the caller's                                                  */
    /* results */
    enum verdict verdict;
    enum err why;
    struct item item;     /* (time, id); unset where refused before parsing                 */
    size_t bodies_new, bodies_bad;
};

/* A local author. */
struct author {
    struct key key;
    uint8_t secret[64];
    struct hlc hlc;
};

enum write_action { WRITE_PUT, WRITE_DELETE, WRITE_GRANT, WRITE_REVOKE };
enum write_guard {
    GUARD_NONE,
    GUARD_CREATE,   /* If-None-Match: * -> ERR_CONFLICT if the entry is shown already       */
    GUARD_EXISTS,   /* ERR_NOT_FOUND unless it is shown                                    */
    GUARD_REVISION  /* ERR_CONFLICT unless `revision` is the present one; ERR_NOT_FOUND     */
};

/* A write that this node signs. Several writes of one author in one job share deltas. */
struct store_write {
    enum write_action action;
    enum write_guard guard;
    struct id revision;       /* GUARD_REVISION */
    uint64_t kind;
    struct key owner;
    struct bytes name;        /* borrowed */
    struct author *author;    /* its hlc moves */
    struct change change;     /* WRITE_PUT */
    struct key writer;        /* WRITE_GRANT, WRITE_REVOKE */
    uint64_t tag;
    /* results */
    enum err why;             /* CONFLICT NOT_FOUND DENIED TOO_LARGE; IO kinds when the whole job failed */
    struct id entry, new_revision, new_op;
    bool created;             /* it was not shown before */
};

struct store_change {
    uint64_t kind;
    struct id entry;
};

/* A write that counted and does not any more: its right was taken back, or its author removed. */
struct store_withdrawn {
    uint64_t kind;
    struct id entry, op;
    struct key author;
};
#define STORE_WITHDRAWN_MAX 1024 /* told of one job */

/* One group commit. Zero-initialise, fill the inputs, call, read the results, store_job_close. */
struct store_job {
    uint64_t now_ms;
    struct rng *rng;
    size_t in_count;
    struct store_in *in;
    size_t write_count;
    struct store_write *writes;
    /* results, owned by the job */
    size_t added_count, removed_count;   /* changes to the set, for the set index          */
    struct item *added, *removed;
    size_t own_count;                    /* deltas made from `writes`, to broadcast         */
    struct item *own;                    /* (their bundles: store_bundle)                   */
    size_t change_count;                 /* entries whose shown state changed               */
    struct store_change *changes;
    size_t withdrawn_count;
    struct store_withdrawn *withdrawn;
    bool more;                   /* work is left over: call again soon, with or without inputs */
};
/* Ops, and parents named by them, that one job brings into the set or out of it beyond those of its own deltas (see MODEL 6): held
 * deltas that a policy change admits, or that turn valid one behind the other. It may pass it by one delta; the next job goes on. */
#define STORE_CHAIN_MAX 4096
/* Verifies, merges and commits everything in one atomic batch with one fsync. On an error nothing happened and
 * every write carries it. ERR_IO | ERR_NO_SPACE | ERR_READ_ONLY | ERR_CORRUPT. */
SOUK_MUST_USE enum err store_apply(struct store *s, struct store_job *job);
void store_job_close(struct store_job *job);
/* After ERR_NO_SPACE and the like: tries to become writable again. */
SOUK_MUST_USE enum err store_reopen(struct store *s);

/* ---- reading ------------------------------------------------------------------------------------------------ */

struct entry_info {
    uint64_t kind;
    struct key owner;
    struct id id;
    struct id revision;
    bool incomplete;      /* no ETag */
    bool deleted;
};

/* The entry as `{"model":{...},"meta":{...` WITHOUT the end: the caller appends ,"served_by":"<hex>"}} .
 * Appended to out. ERR_NOT_FOUND: unknown, deleted or hidden. One point lookup. */
SOUK_MUST_USE enum err store_get(const struct store *s, uint64_t kind, const struct id *id, struct entry_info *info, struct buf *out);
/* Owner and name of any entry that is known, shown or not. Appends the name. */
SOUK_MUST_USE enum err store_entry(const struct store *s, const struct id *id, struct entry_info *info, struct buf *name);
/* False only if the entry is known to be of another kind than `kind` (0: any). */
bool store_is_kind(const struct store *s, const struct id *id, uint64_t kind);
/* Ids of entries that have one name: at most `max` go to `ids`, the caller's; `count` is how many there are. */
struct store_named {
    struct id *ids;
    size_t max, count;
};
/* Shown entries of this kind and exact name; none is no error. */
SOUK_MUST_USE enum err store_by_name(const struct store *s, uint64_t kind, struct bytes name, struct store_named *out);

/* Shown entries of a kind in (name, id) order, strictly after (name, id) if after_name.p is not NULL. */
struct store_scan;
struct store_scan *store_scan_open(const struct store *s, uint64_t kind, struct bytes after_name, const struct id *after_id);
bool store_scan_next(struct store_scan *c, struct id *id, struct bytes *name); /* borrowed until the next call */
SOUK_MUST_USE enum err store_scan_close(struct store_scan *c);
uint64_t store_count(const struct store *s, uint64_t kind); /* shown entries */

/* One op of an entry's history, newest (time, op id) first. */
struct revision_info {
    struct id op, delta;
    struct key author;
    uint64_t time;
    enum verb verb;
    bool head, eligible, has_body;
    size_t parent_count;
    struct id parents[MODEL_PARENTS_MAX];
};
/* Which part of a history: at most `limit` ops strictly older than `before` (NULL: from the newest). */
struct history_page {
    const struct item *before;
    size_t limit;
};
/* Calls `each` for the ops of the page, newest first; false from it stops. */
SOUK_MUST_USE enum err store_history(const struct store *s, const struct id *entry, const struct history_page *page,
                                     bool (*each)(void *ctx, const struct revision_info *), void *ctx);
/* The record as JSON that one old op carried: the same shape as store_get. */
SOUK_MUST_USE enum err store_revision(const struct store *s, const struct id *entry, const struct id *op, struct buf *out);

/* Keys that may write the entry besides its owner: calls each with (key, epoch). */
SOUK_MUST_USE enum err store_writers(const struct store *s, const struct id *entry, bool (*each)(void *, const struct grant *), void *ctx);

/* The local log of changes to what is shown: sequence numbers of this node. */
struct change_info {
    uint64_t seq;
    uint64_t kind;
    struct id entry, revision;
    enum verb verb; /* PUT or DELETE */
};
SOUK_MUST_USE enum err store_changes(const struct store *s, uint64_t after_seq, size_t limit,
                                     bool (*each)(void *, const struct change_info *), void *ctx);
uint64_t store_last_seq(const struct store *s);

/* A delta with its signature and the bodies held, as a bundle. Appended to out. */
SOUK_MUST_USE enum err store_bundle(const struct store *s, const struct id *delta, struct buf *out);
/* Puts looked at whose bodies are missing: calls each with (delta id, op index), resuming after `after`. */
SOUK_MUST_USE enum err store_missing(const struct store *s, const struct id *after, size_t limit,
                                     bool (*each)(void *, const struct id *op, const struct item *delta, uint16_t index), void *ctx);

/* Loads every item of the set into an index (at start). */
SOUK_MUST_USE enum err store_load_set(const struct store *s, struct setindex *set);
/* MODEL 5. A full scan: call it off the event loop. */
SOUK_MUST_USE enum err store_state_hash(const struct store *s, struct id *out);

/* ---- receipts: of this node alone, no part of the set ---- */

#define STORE_RECEIPT_ID 16 /* bytes of an id whose order is that of time */

struct store_receipt {
    uint8_t id[STORE_RECEIPT_ID];
    struct bytes json;
};
/* Writer's thread: keeps them with one fsync, and deletes the oldest until `keep` are left, or only those of this list.
 * A known id is written over. */
SOUK_MUST_USE enum err store_receipts_put(struct store *s, const struct store_receipt *list, size_t count, uint64_t keep);
/* Appends the text. ERR_NOT_FOUND. */
SOUK_MUST_USE enum err store_receipt(const struct store *s, const uint8_t id[STORE_RECEIPT_ID], struct buf *out);
/* Newest first, strictly older than `before` (NULL: from the newest), at most `limit`; false from `each` stops. */
SOUK_MUST_USE enum err store_receipts(const struct store *s, const uint8_t *before, size_t limit,
                                      bool (*each)(void *ctx, const struct store_receipt *), void *ctx);
uint64_t store_receipt_count(const struct store *s);

struct store_stats {
    uint64_t deltas, ops, aside, bytes, conflicts, missing_bodies;
    uint64_t entries[8]; /* shown, by kind */
};
void store_stats(const struct store *s, struct store_stats *out);
/* Entries with conflicts, by id. */
SOUK_MUST_USE enum err store_conflicts(const struct store *s, bool (*each)(void *, const struct store_change *), void *ctx);

/* Re-checks everything on disk: canonical form, ids, every signature, body hashes, set membership, heads and JSON against a
 * recomputation. `entry` NULL: all. Calls `each` (may be NULL) for every check that failed (and, for one entry, for each that passed).
 * Examines the store as of one moment: other threads may write meanwhile. One entry needs its own deltas and those that decide
 * who may write it, nothing else; what no row of the entry leads to is found by the examination of all.
 * `progress` (may be NULL) is called with done and total deltas. ERR_CORRUPT: a check failed; ERR_NOT_FOUND: no such entry. */
struct verify_finding {
    bool ok;
    const char *check;  /* e.g. "signature" */
    struct id subject;
    char detail[400];
};
SOUK_MUST_USE enum err store_verify(const struct store *s, const struct id *entry, void (*each)(void *, const struct verify_finding *),
                                    void (*progress)(void *, uint64_t done, uint64_t total), void *ctx);

#endif
