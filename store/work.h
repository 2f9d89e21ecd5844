/*
 * The inside of the store: what one job works on. Entries, ops and deltas are loaded when first touched, changed in
 * memory, and written as one batch; rows that are only ever scanned (heads beyond the first 16, history, grants,
 * writers' ops, sweeps) go through an ordered overlay, so that a job reads its own writes. Only files of store/ include this.
 */
#ifndef SOUK_STORE_WORK_H
#define SOUK_STORE_WORK_H

#include "store/keys.h"
#include "store/rows.h"
#include "store/store.h"
#include "store/table.h"

/* ---- the policy of the mesh, a view over the set (see MODEL 6) ---- */

struct keyset { /* sorted */
    size_t count, cap;
    struct key *keys;
};
bool keyset_has(const struct keyset *s, const struct key *k);
bool keyset_set(struct keyset *s, const struct key *k, bool member); /* true: that changed it */
void keyset_close(struct keyset *s);

struct policy {
    bool has_founder;
    struct key founder;
    struct id charter;     /* its entry id                                  */
    bool charter_live;     /* held and not deleted                          */
    bool open;             /* field `admission` of the founder's own puts   */
    struct keyset operators, members, removed;
};
void policy_close(struct policy *p);
struct policy policy_copy(const struct policy *p);
bool policy_is_operator(const struct policy *p, const struct key *k);  /* the founder counts as one */
bool policy_admitted(const struct policy *p, const struct key *k);
/* Is a delta of `author` in the set by its own right? Of the delta's flags only DELTA_POLICY is looked at. */
bool policy_direct(const struct policy *p, uint8_t flags, const struct key *author);
/* Entries of owners who are not admitted, and of kinds 5 and 6 all but the charter and the founder's members. */
bool policy_hides(const struct policy *p, const struct id *entry, uint64_t kind, const struct key *owner);

struct store {
    struct kv *kv;
    struct id mesh;
    struct buf mesh_name;
    struct policy policy;    /* the writer's; readers use what is stored */
    struct stats_row stats;
    struct kv_batch spare;   /* memory of the last job's batch, for the next one */
    struct short_table *texts; /* never changes                              */
    bool trusting;           /* signatures are checked elsewhere (verify.c)   */
    bool sweeping;           /* sweeps are on disk                            */
    bool stale;              /* a write failed: memory must be read again before the next job */
};

/* Reads what is kept in memory: founder, policy, counters. */
SOUK_MUST_USE enum err store_load(struct store *s);

static inline bool kind_is_policy(uint64_t kind)
{
    return kind == KIND_CHARTER || kind == KIND_MEMBER;
}

/* ---- the working state of one job ---- */

struct work_entry {
    struct id id;
    struct entry_row row;     /* name in the arena */
    bool fresh;               /* not on disk before this job: nothing of it needs to be looked up */
    bool dirty;               /* the row must be written */
    bool touched;             /* heads or bodies changed: resolve again */
    bool policy_touched;      /* in work.policy_list */
    bool recount_created;     /* the oldest owner's op left V */
    bool in_group;            /* a write that is not a delta yet is about it */
    bool revision_known;      /* row.revision is that of the heads as they are now */
    struct work_entry *next_policy;
    uint8_t old_flags;        /* as on disk */
    struct id old_revision;
    size_t old_missing_count;
    struct id *old_missing;   /* in the arena */
    struct change_row *change;
};

struct work_delta {
    struct id id;
    struct key author;
    struct delta_row row;
    bool was_in_set, fresh, dirty, queued;
    bool put_off;             /* its flag *in the set* is not what it will be, a sweep's row says so */
    struct work_delta *next_queued;
    size_t op_count;          /* 0 until the ops are loaded */
    struct work_op **ops;
    struct work_delta *next;  /* all of the job, in order */
};

struct work_op {
    struct id id;
    struct work_entry *entry;
    struct work_delta *delta; /* NULL until loaded */
    bool held;                /* false: only marks, for an op that is named but not here */
    bool dirty, mark_stored, queued;
    bool row_due;             /* its row must be written: it is new, or no longer the only op of its entry */
    struct op_row row;        /* parents in the arena */
    struct mark_row mark;     /* flags as they are now */
    size_t grant_count;       /* of statements, once loaded */
    const struct grant *grants;
    struct bytes body;        /* of this job; p == NULL: on disk or missing */
    struct work_op *next_queued;
    struct work_op *next;     /* all of the job, in order */
};

struct work_list {
    size_t count, cap;
    void **items;
};
void work_list_add(struct work_list *l, void *item);

struct work {
    struct store *store;
    struct kv *kv;
    enum err fault;           /* the first read that failed; sticky: the job is given up */
    struct arena arena;
    struct table entries, ops, deltas;
    struct work_list entry_list, op_list, delta_list;
    struct work_list withdrawn;                  /* ops that turned ineligible, some perhaps back again */
    struct work_op *op_first, *op_last;          /* to be settled */
    struct work_delta *delta_first, *delta_last;
    struct work_entry *policy_first;             /* charter and member entries whose heads changed */
    struct kv_batch batch;
    struct kv *overlay;       /* value = one byte: deleted or put, then the value */
    struct kv_batch step;     /* for one overlay write */
    struct buf scratch, row;
    size_t sweep_left;        /* deltas or entries that sweeps may still visit in this job */
    size_t chain_left;        /* of STORE_CHAIN_MAX */
    bool sweeping;            /* there is, or may be, a sweep to run */
    bool more;                /* sweeps are left over */
};

void work_init(struct work *w, struct store *s, struct rng *rng);
void work_close(struct work *w);
/* What was read contradicts itself: the job is given up at its end. */
void work_corrupt(struct work *w);

/* ---- load.c: rows in and out ---- */

/* Gets a row into w->row: true if there; false if not there or on a fault. */
bool work_get(struct work *w, struct bytes key);
void overlay_put(struct work *w, const struct dbkey *key, struct bytes value);
void overlay_delete(struct work *w, const struct dbkey *key);
bool overlay_get(struct work *w, const struct dbkey *key, struct buf *value);
/* Steps over the keys of a prefix, in overlay and store together, from `from` up or down. What is put or deleted while
 * a scan is open is not seen by it. */
enum direction { UP, DOWN };
struct scan {
    struct work *work;
    enum direction direction;
    struct kv_iter *disk, *over;
    bool on_disk, on_over;
    struct bytes key, value; /* borrowed until the next step */
    bool begun, at_disk, at_over;
};
void scan_open(struct scan *c, struct work *w, const struct dbkey *prefix, const struct dbkey *from, enum direction d);
bool scan_next(struct scan *c);
void scan_close(struct scan *c);

struct work_entry *work_entry(struct work *w, const struct id *id); /* NULL: unknown */
struct work_entry *work_entry_of(struct work *w, const struct id *id, const struct op *op); /* made if unknown */
struct work_entry *work_entry_new(struct work *w, const struct id *id, const struct op *op); /* known to be unknown */
/* The op with its marks; made with empty marks if unknown (held says whether it is here). */
struct work_op *work_op(struct work *w, struct work_entry *e, const struct id *id);
struct work_op *work_op_new(struct work *w, struct work_entry *e, const struct id *id);
struct work_delta *work_delta(struct work *w, const struct key *author, const struct id *id); /* NULL: unknown */
struct work_delta *work_delta_new(struct work *w, const struct key *author, const struct id *id);
struct work_delta *work_delta_of(struct work *w, struct work_op *x);
void work_delta_ops(struct work *w, struct work_delta *d); /* loads d->ops */
/* The body's bytes if it is held, else p == NULL. Lives until work_close. */
struct bytes work_body(struct work *w, struct work_op *x);
/* Calls each for every held op of the entry, oldest first; false from it stops. */
void work_entry_ops(struct work *w, struct work_entry *e, bool (*each)(void *, struct work_op *), void *ctx);
void work_flush_rows(struct work *w); /* overlay, entries, ops, deltas into the batch */

/* ---- merge.c: the set, superseding, heads ---- */

/* A delta that is valid and not held yet: bodies[i].p == NULL where missing. Everything is borrowed until work_close. */
struct merge_delta {
    const struct delta *delta;
    const uint8_t *sig;
    const struct bytes *bodies;
    struct work_entry *const *entries; /* one an op; NULL: they are looked up */
};
struct work_delta *merge_add(struct work *w, const struct merge_delta *in);
/* Stores a late body (checked by the caller). */
void merge_body(struct work *w, struct work_op *x, struct bytes body);
/* Brings everything that is queued to rest. */
void merge_settle(struct work *w);
void merge_set_direct(struct work *w, struct work_delta *d, bool direct);
/* Looks again whether the delta belongs to the set. */
void merge_again(struct work *w, struct work_delta *d);
/* Judges again whether the op is eligible and carries ancestry. */
void merge_judge(struct work *w, struct work_op *x);
void merge_queue(struct work *w, struct work_op *x);

/* ---- rights.c: grants of an entry ---- */
/* The entry whose statements grant in e: itself, the charter for the founder's members, NULL: nobody. */
bool rights_source(const struct policy *p, const struct work_entry *e, struct id *out);
bool rights_ever(struct work *w, const struct id *source, const struct key *k, uint64_t epoch);
/* The greatest eligible epoch of k; false: none. */
bool rights_best(struct work *w, const struct id *source, const struct key *k, uint64_t *epoch);
bool rights_eligible(struct work *w, const struct id *source, const struct key *k, uint64_t epoch);
uint64_t rights_next_epoch(struct work *w, const struct id *source, const struct key *k);
/* A statement came to be held. */
void rights_statement(struct work *w, struct work_op *x);

struct show_heads;

/* ---- sweep.c: what a policy change leaves to do ---- */
enum sweep {
    SWEEP_AUTHOR = 1,   /* every delta of one key                              */
    SWEEP_EVERYONE = 2, /* the deltas whose own right changed                  */
    SWEEP_ENTRIES = 3,  /* the entries that are now hidden, or no longer       */
    SWEEP_SHOW = 4,     /* every entry, to be shown by the tables of this build */
    SWEEP_CHAIN = 5     /* single deltas that enter or leave the set, put off for the next job */
};
void sweep_add(struct work *w, enum sweep type, const struct key *key); /* key NULL but for SWEEP_AUTHOR */
void sweep_put_off(struct work *w, const struct work_delta *d); /* SWEEP_CHAIN */
void sweep_run(struct work *w);
SOUK_MUST_USE enum err sweep_pending(const struct store *s, enum sweep type, bool *pending); /* is its row there? */
/* In the charter `admission` is merged over the founder's own standing puts alone (see MODEL 6). Puts that version in
 * the place of what m has, as of `time` where a since would hide it (0: as it is). `own` keeps its bodies. */
void policy_admission(struct work *w, struct work_entry *charter, uint64_t time, struct show_heads *own, struct merged *m);
bool policy_is_charter(const struct work *w, const struct work_entry *e); /* e may be NULL */
/* Recomputes the policy where charter or member entries changed. */
void policy_refresh(struct work *w);
void policy_operator_stated(struct work *w, const struct key *k);
SOUK_MUST_USE enum err policy_load(struct store *s);
SOUK_MUST_USE enum err sweep_load(struct store *s);

/* ---- incoming.c: deltas from elsewhere ---- */
/* A bundle under work, with what must live until the job ends. Zero-initialise, set `in`. */
struct incoming {
    struct store_in *in;
    struct bundle bundle;
    struct delta delta;
    struct work_delta *merged; /* NULL: refused, deferred or held before */
    struct bytes *bodies;      /* one an op, in the arena of the work; set once the signature holds */
};
void incoming_apply(struct work *w, uint64_t now_ms, struct incoming *c);
/* Once all of a job is merged: takes those that lacked a body where all they lack proves to be erased. */
void incoming_again(struct work *w, struct incoming *list, size_t n);
void incoming_close(struct incoming *c);

/* ---- store.c ---- */
/* store_founder, and why the row cannot be read; `known` is false then too. */
SOUK_MUST_USE enum err read_founder(const struct store *s, struct key *founder, struct buf *mesh_name, bool *known);

/* ---- read.c ---- */
/* store_bundle, as of a snapshot (NULL: now). */
SOUK_MUST_USE enum err read_bundle(struct kv *kv, const struct kv_snapshot *snap, const struct id *delta, struct buf *out);

/* ---- show.c: what a reader sees ---- */
void show_entries(struct work *w); /* resolves every touched entry, into the batch */
/* The revision of the heads as they are now, noted in the row. */
const struct id *entry_revision(struct work_entry *e);
/* Top heads with their bodies parsed; free with show_close. */
struct show_heads {
    size_t n;
    struct head heads[MODEL_HEADS_READ];
    struct body bodies[MODEL_HEADS_READ];
    struct id deltas[MODEL_HEADS_READ];
};
void show_load(struct work *w, struct work_entry *e, struct show_heads *out);
/* The same for any ops: the first MODEL_HEADS_READ of them in reading order. Reorders the list. */
void show_ops(struct work *w, struct work_list *ops, struct show_heads *out);
void show_close(struct show_heads *h);

/* ---- json.c: the entry as it is kept and sent ---- */
struct view {
    const struct kind_desc *kind;
    struct id id, revision;
    struct key owner;
    struct bytes name;
    uint64_t created, head_count;
    const struct show_heads *heads; /* at least one put */
    struct merged *merged;          /* a moved_to that does not hold is taken out */
    const struct id *mesh;
    const struct conflicts *conflicts;
};
void view_short(struct buf *out, const struct view *v); /* short_expand makes it what is sent */

/* ---- write.c ---- */
/* Judges and plans the job's writes in order and merges the deltas made of them, which are added to `own`. */
void write_all(struct work *w, struct store_job *job, struct work_list *own);

#endif
