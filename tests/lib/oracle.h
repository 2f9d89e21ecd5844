/*
 * The plain definition of what a mesh's state is (MODEL 4, 5, 6): brute force over all bundles given, each
 * rule one loop, nothing kept from one judgement to the next. What the incremental store is compared with.
 * Shares the decoders and the framed hash with the product, and nothing of its register, grants or merge.
 * Refuses to know orders of arrival: it sees a set.
 */
#ifndef SOUK_TESTS_ORACLE_H
#define SOUK_TESTS_ORACLE_H

#include "crdt/delta.h"
#include "crdt/setindex.h"

/* A bundle as it came; signatures are taken as verified. */
struct oracle_bundle {
    uint8_t *bytes; /* owned */
    struct bundle parsed;
    size_t delta;
};

struct oracle_delta {
    struct delta d;     /* borrows the first bundle that brought it */
    size_t first_op;
    bool governs;       /* ops of kinds 5 and 6 */
    bool held;          /* governing ones need their bodies */
    bool in_set;
};

struct oracle_op {
    struct id id;
    const struct op *op;
    const struct oracle_delta *delta_of; /* set by oracle_judge */
    size_t delta, entry;
    bool has_body;      /* held: came, matched, and not erased */
    bool well_formed;   /* the body parsed: else an empty put */
    struct body body;
    bool erased, eligible, superseded, head;
};

struct oracle_entry {
    struct id id;
    uint64_t kind;
    struct key owner;
    struct bytes name;
    bool hidden;
    size_t head_count;
    size_t *heads;       /* indexes of ops in reading order; owned */
    bool deleted;        /* no put among the heads */
    bool incomplete;
    struct id revision;
    size_t missing_count;
    struct id missing[MODEL_HEADS_READ]; /* increasing */
    size_t field_count;
    struct field *fields; /* by name, removed ones too; owned, contents borrowed */
};

enum oracle_admission { ORACLE_NO_CHARTER, ORACLE_MEMBERS, ORACLE_OPEN };

struct oracle {
    struct key founder;
    struct id mesh, charter;
    size_t bundle_count, delta_count, op_count, entry_count;
    struct oracle_bundle *bundles;
    struct oracle_delta *deltas;
    struct oracle_op *ops;
    struct oracle_entry *entries;
    enum oracle_admission admission;
};

void oracle_init(struct oracle *o, const struct key *founder, struct bytes mesh_name);
void oracle_close(struct oracle *o);
/* Takes a copy. False: no delta of this mesh. Bodies that do not match are as if they had never come. */
bool oracle_add(struct oracle *o, struct bytes bundle);
/* Works everything out from the start. Call after the last add, before looking at anything. */
void oracle_judge(struct oracle *o);

void oracle_state_hash(const struct oracle *o, struct id *out);
/* The set, by increasing (time, id); freed with free(). */
size_t oracle_set(const struct oracle *o, struct item **out);
const struct oracle_entry *oracle_find(const struct oracle *o, const struct id *entry);   /* NULL: none */
const struct oracle_op *oracle_find_op(const struct oracle *o, const struct id *op);      /* NULL: none */
const struct field *oracle_field(const struct oracle_entry *e, struct bytes name);        /* NULL: none */
bool oracle_admitted(const struct oracle *o, const struct key *key);
bool oracle_operator(const struct oracle *o, const struct key *key);
/* Is y a proper ancestor of x (both indexes of ops)? */
bool oracle_ancestor(const struct oracle *o, size_t x, size_t y);

#endif
