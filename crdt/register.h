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

/* One merged field; `head` is the index of the head whose version won. */
struct merged_field {
    struct field field;
    size_t head;
};

struct merged {
    bool deleted;             /* no put among the heads: nothing to show                 */
    bool incomplete;          /* a put's body is missing                                 */
    uint64_t since;           /* greatest since of the put heads                          */
    size_t field_count;       /* removed fields (nil) included                            */
    struct merged_field *fields; /* by increasing name; owned                             */
};

/* Merges field by field over the put heads (n <= MODEL_HEADS_READ, already selected). Borrows the bodies. */
void resolve(const struct head *heads, size_t n, struct merged *out);
void merged_close(struct merged *m);
const struct merged_field *merged_find(const struct merged *m, struct bytes name);

/* The grants of one entry: the union of its owner's statements. */
struct grants {
    size_t count;
    struct grant *rows; /* owned; sorted by (key, epoch, granted), no duplicates */
};
void grants_add(struct grants *g, const struct grant *row);
void grants_close(struct grants *g);
bool grants_ever(const struct grants *g, const struct key *key, uint64_t epoch);   /* granted, later revoked or not */
bool grants_eligible(const struct grants *g, const struct key *key, uint64_t epoch);
/* The greatest epoch that is eligible for key; false if none. */
bool grants_best(const struct grants *g, const struct key *key, uint64_t *epoch);
/* 1 + the greatest epoch known for key (granted or revoked), 0 if none: for a revocation or a new grant. */
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
};
/* Makes the body of a new put over `heads` (all put heads whose bodies are held, plus deletes), written at `time`:
 * unchanged values keep their versions, removed fields are carried, `since` by MODEL 5. `newest_delete` is the time of
 * the newest delete among the heads, 0 if none. ERR_TOO_LARGE when live fields do not fit even after compaction. */
SOUK_MUST_USE enum err plan_put(const struct merged *now, uint64_t newest_delete, const struct change *change,
                                const uint8_t salt[16], uint64_t time, struct buf *body_out);

#endif
