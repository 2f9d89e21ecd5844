/*
 * Values of the store, as store/FORMAT.md lays them out: rows of fixed fields, big endian, without padding. Encodes
 * and decodes; a row that does not have its exact form is ERR_CORRUPT. Knows no keys.
 */
#ifndef SOUK_STORE_ROWS_H
#define SOUK_STORE_ROWS_H

#include "crdt/delta.h"
#include "crdt/register.h"

/* ---- family D: a delta ---- */
struct delta_record {
    struct key author;
    uint64_t time;
    uint8_t sig[SIG_BYTES];
    struct bytes bytes; /* borrows the row */
};
void delta_record_put(struct buf *out, const struct delta_record *r);
SOUK_MUST_USE enum err delta_record_get(struct bytes row, struct delta_record *out);

/* ---- family A: what may change about a delta ---- */
enum delta_flag {
    DELTA_DIRECT = 1, /* in the set by its author's own right                          */
    DELTA_IN_SET = 2, /* direct, or one of its ops is named by an op of the set        */
    DELTA_POLICY = 4, /* its ops are of kinds 5 and 6                                  */
};
struct delta_row {
    uint64_t time;
    uint8_t flags;
    uint16_t op_count;
    uint32_t named; /* of its ops, those that an op of the set names in the same entry */
};
void delta_row_put(struct buf *out, const struct delta_row *r);
SOUK_MUST_USE enum err delta_row_get(struct bytes row, struct delta_row *out);

/* ---- families o and m: an op's header, and its marks ---- */
enum op_flag {
    OP_IN_SET = 1,
    OP_CARRIER = 2,  /* ancestry runs through it (see MODEL 4)                                  */
    OP_ELIGIBLE = 4,
    OP_ACTIVE = 8,   /* supersedes what it names                                               */
    OP_ERASER = 16,  /* an owner's delete, or an ancestor of one: erases what it names         */
    OP_HEAD = 32,
    OP_BODY = 64,    /* its body is held                                                       */
    OP_WHOLE = 128,  /* a memo: the headers of all its ancestors are held                      */
};
/* Kept also for ops that are named but not held. */
struct mark_row {
    uint8_t flags;
    uint32_t named;   /* ops of the set that name it          */
    uint32_t covered; /* active ops that name it              */
    uint32_t erased;  /* erasers that name it                 */
};
void mark_row_put(struct buf *out, const struct mark_row *r);
SOUK_MUST_USE enum err mark_row_get(struct bytes row, struct mark_row *out);

struct op_row {
    uint8_t flags;    /* as long as there is no mark row      */
    enum verb verb;
    bool has_epoch;
    uint16_t index;
    uint32_t body_len;
    struct id delta;
    struct key author;
    uint64_t time, epoch;
    struct id body_hash;
    size_t parent_count;
    struct bytes parents; /* ids, borrows the row */
};
void op_row_put(struct buf *out, const struct op_row *r);
SOUK_MUST_USE enum err op_row_get(struct bytes row, struct op_row *out);

/* ---- families e, h and j: an entry ---- */
/* A head where its entry keeps it. */
struct head_row {
    struct id op, delta;
    struct key author;
    uint64_t time;
    uint16_t index;
    bool is_put, is_owner, has_body;
};
void head_row_put(struct buf *out, const struct head_row *r);
SOUK_MUST_USE enum err head_row_get(struct bytes row, struct head_row *out);

enum entry_flag {
    ENTRY_SHOWN = 1,      /* a put among its heads, not hidden, of a kind that this build shows */
    ENTRY_HIDDEN = 2,     /* its owner is removed from the mesh                                */
    ENTRY_INCOMPLETE = 4, /* the body of a put looked at is missing                            */
    ENTRY_CONFLICT = 8,
};
struct entry_row {
    uint64_t kind;
    struct key owner;
    struct bytes name; /* borrows the row */
    uint8_t flags;
    uint64_t op_count;   /* ops held, in the set or not                 */
    uint64_t created;    /* least time of the owner's ops in V, or NEVER */
    uint64_t head_count, put_count;
    struct id revision;
    struct id only_op;   /* where op_count is 1: its id and row, which has no row of its own */
    struct op_row only;  /* its flags are as they are now, without the memo; parents borrow the row */
    size_t top_count;    /* min(head_count, MODEL_HEADS_READ)           */
    struct head_row top[MODEL_HEADS_READ]; /* in the order of head_cmp   */
};
void entry_row_put(struct buf *out, const struct entry_row *r);
SOUK_MUST_USE enum err entry_row_get(struct bytes row, struct entry_row *out);

struct json_row {
    uint64_t kind;
    struct key owner;
    struct id revision;
    uint8_t flags;     /* entry_flag */
    struct bytes text; /* JSON in the short form (crdt/record.h); borrows the row */
};
void json_row_put(struct buf *out, const struct json_row *r);
SOUK_MUST_USE enum err json_row_get(struct bytes row, struct json_row *out);

/* ---- family c: one change; a value holds up to CHANGE_CHUNK of them ---- */
enum { CHANGE_CHUNK = 256, CHANGE_ROW_BYTES = 2 + 1 + 2 * ID_BYTES };
struct change_row {
    uint64_t kind;
    enum verb verb;
    struct id entry, revision;
};
void change_row_put(struct buf *out, const struct change_row *r);
/* The row at index i of a chunk; the chunk holds it (asserted). */
void change_row_at(struct bytes chunk, size_t i, struct change_row *out);

/* ---- family b: a missing body ---- */
struct wanted_row {
    uint64_t time;
    struct id delta;
    uint16_t index;
};
void wanted_row_put(struct buf *out, const struct wanted_row *r);
SOUK_MUST_USE enum err wanted_row_get(struct bytes row, struct wanted_row *out);

/* ---- meta rows ---- */
#define STATS_KINDS 8
struct stats_row {
    uint64_t deltas, ops, aside, conflicts, missing_bodies, last_seq;
    uint64_t entries[STATS_KINDS];
};
void stats_row_put(struct buf *out, const struct stats_row *r);
SOUK_MUST_USE enum err stats_row_get(struct bytes row, struct stats_row *out);

#endif
