/*
 * What tests are fed with: author keys from a number, bodies from a few words, and signed bundles from
 * a list of ops. Everything is a function of its arguments, so a failing test repeats. Knows nothing
 * of stores, peers or resolved state.
 */
#ifndef SOUK_TESTS_GEN_H
#define SOUK_TESTS_GEN_H

#include "crdt/delta.h"
#include "crdt/rng.h"

/* An Ed25519 key pair; the same number always gives the same one. */
struct gen_author {
    struct key key;
    uint8_t secret[64];
};
void gen_author(struct gen_author *out, uint64_t number);
void gen_author_seed(struct gen_author *out, const uint8_t seed[32]);

/* A 32-byte id from a number: for parents that nobody has, mesh ids and the like. */
struct id gen_id(uint64_t number);

/* A field with a text value; text NULL: a removed one. */
struct gen_field {
    const char *name;
    uint64_t changed_at;
    const char *text;
};
/* Appends a body; the salt comes from a number, the fields may stand in any order. */
void gen_body(struct buf *out, uint64_t salt, uint64_t since, size_t count, const struct gen_field *fields);
/* A body of one text field, salted with `changed_at` and written at `changed_at`. */
void gen_body_text(struct buf *out, const char *field, uint64_t changed_at, const char *text);

enum gen_travel { GEN_SENT, GEN_WITHHELD };

struct gen_op {
    enum verb verb;
    uint64_t kind;            /* 0: KIND_MODEL                                   */
    const struct key *owner;  /* NULL: the author                                */
    const char *name;
    struct bytes body;        /* put: the body's bytes                           */
    enum gen_travel travel;   /* put: whether the body goes into the bundle      */
    uint64_t epoch;           /* used iff the owner is not the author            */
    size_t parent_count;      /* any order, doubles allowed                      */
    const struct id *parents;
    size_t grant_count;       /* statement: any order                            */
    const struct grant *grants;
};

struct gen_delta {
    const struct id *mesh;
    const struct gen_author *author;
    uint64_t time;
    size_t op_count;
    const struct gen_op *ops;
};

/* Appends the delta's bytes, unsigned and without bodies. `delta` (may be NULL) gets its id. */
void gen_delta(struct buf *out, const struct gen_delta *in, struct id *delta);
/* Appends the signed bundle. `delta` (may be NULL) gets the delta's id. */
void gen_bundle(struct buf *out, const struct gen_delta *in, struct id *delta);

/* A bundle of one op; returns the op's id. */
struct id gen_one(struct buf *out, const struct id *mesh, const struct gen_author *author, uint64_t time,
                  const struct gen_op *op);

/* Appends one random canonical value, at most `depth` containers deep and a few dozen items large. */
void gen_value(struct buf *out, struct rng *rng, unsigned depth);
/* Appends `n` bytes of random lower-case text in words: for bulk records. */
void gen_text(struct buf *out, struct rng *rng, size_t n);

#endif
