/*
 * What a reader sees of an entry (MODEL 5) and what a writer may do (MODEL 4), as pure functions over
 * heads and grants. The incremental bookkeeping that finds the heads is store/merge.c; a naive
 * definition to compare with is tests/lib/oracle.c.
 */
#ifndef SOUK_CRDT_REGISTER_H
#define SOUK_CRDT_REGISTER_H

#include "crdt/delta.h"

/* A head as far as ordering and resolving need it. */
struct head {
    struct id op;
    struct key author;
    uint64_t time;
    bool is_put;
    bool is_owner;           /* author == owner of the entry */
    bool has_body;           /* puts: the body is held */
    const struct body *body; /* NULL: delete, missing, or malformed (an empty put) */
};

/* Order in which a read looks at heads: puts first, then the owner's, then the newest (time, op id). <0: a first. */
int head_cmp(const struct head *a, const struct head *b);

/* H("souk/revision/1", ids of the heads a read looks at, increasing). ids need not be sorted. n <= MODEL_HEADS_READ. */
void revision_id(struct id *out, const struct id *ops, size_t n);

/* One merged field; `head` is the index of the head whose version won (the first in the order given, where
 * several heads carry the same version). */
struct merged_field {
    struct field field;
    size_t head;
};

struct merged {
    bool deleted;             /* no put among the heads: nothing to show                 */
    bool incomplete;          /* a put's body is missing                                 */
    uint64_t since;           /* greatest since of the put heads whose bodies are held    */
    uint64_t newest;          /* greatest time of the heads given, deletes included       */
    uint64_t newest_delete;   /* greatest time of the deletes given, 0 if none            */
    size_t field_count;       /* removed fields (nil) included                            */
    struct merged_field *fields; /* by increasing name; owned                             */
};

/* Merges field by field over the put heads given: for a reader those it looks at (MODEL_HEADS_READ of them, already
 * selected), for a writer all whose bodies are held and the deletes. Borrows the bodies. */
void resolve(const struct head *heads, size_t n, struct merged *out);
void merged_close(struct merged *m);
const struct merged_field *merged_find(const struct merged *m, struct bytes name); /* NULL: no such version */
/* Puts `version` in the place of whatever m has under the name, or takes that away (NULL). Borrows. */
void merged_set(struct merged *m, struct bytes name, const struct field *version);
bool value_is_nil(struct bytes value); /* the value of a removed field */

/* ---- conflicts (a report, not state) ---- */

/* The header of an op of the entry, for walks through its ancestry. */
struct op_header {
    uint64_t time;
    bool carries;             /* its author is the owner, or its (author, epoch) was ever granted: MODEL 4 */
    size_t parent_count;
    const struct id *parents; /* borrowed until the next call */
};
/* Reads op headers of one entry by id. False: not held, or of another entry. */
struct op_source {
    bool (*header)(void *ctx, const struct id *op, struct op_header *out);
    void *ctx;
};

/* One version that stands against others; `head` is an index into the heads given. */
struct conflict_version {
    struct bytes value;
    uint64_t changed_at;
    size_t head;
};
struct conflict {
    struct bytes name;
    size_t count; /* >= 2 */
    struct conflict_version versions[MODEL_HEADS_READ];
};
struct conflicts {
    size_t count;
    struct conflict *items; /* by increasing name; owned; names and values borrow the bodies */
    bool cut_short;         /* the walk met its bound: every field that differs is listed    */
};
/* The fields that two heads both changed after their fork (MODEL 5), with the competing versions. `heads` are those
 * that a read looks at (n <= MODEL_HEADS_READ), with their bodies. Walks at most MODEL_FORK_WALK_MAX op headers. */
void conflicts_find(const struct head *heads, size_t n, const struct op_source *ops, struct conflicts *out);
void conflicts_close(struct conflicts *c);

/* The grants of one entry: the union of its owner's statements. */
struct grants {
    size_t count;
    struct grant *rows; /* owned; sorted by (key, epoch, granted), no duplicates */
};
#define EPOCH_MAX ((UINT64_C(1) << 63) - 1)
void grants_add(struct grants *g, const struct grant *row);
void grants_close(struct grants *g);
bool grants_ever(const struct grants *g, const struct key *key, uint64_t epoch);   /* granted, later revoked or not */
bool grants_eligible(const struct grants *g, const struct key *key, uint64_t epoch);
/* The greatest epoch that is eligible for key; false if none. */
bool grants_best(const struct grants *g, const struct key *key, uint64_t *epoch);
/* 1 + the greatest epoch known for key (granted or revoked), 0 if none, never above EPOCH_MAX: for a revocation or a
 * new grant. */
uint64_t grants_next_epoch(const struct grants *g, const struct key *key);

/* What a writer asks for. */
enum change_mode {
    CHANGE_REPLACE, /* PUT: fields the reader was shown and that are not named are removed */
    CHANGE_PATCH    /* only the named fields; a nil value removes */
};
struct change {
    enum change_mode mode;
    size_t field_count;
    const struct field *fields; /* by increasing name; changed_at ignored */
    const struct merged *shown; /* CHANGE_REPLACE: what the reader was shown; NULL: `now` */
};
/* Makes the body of a new put over the heads that `now` resolves (all put heads whose bodies are held, plus deletes),
 * written at `time`, which is above now->newest: unchanged values keep their versions, removed fields are carried,
 * `since` by MODEL 5. ERR_TOO_LARGE when live fields do not fit even after compaction. Appends to body_out. */
SOUK_MUST_USE enum err plan_put(const struct merged *now, const struct change *change, const uint8_t salt[16],
                                uint64_t time, struct buf *body_out);

#endif
