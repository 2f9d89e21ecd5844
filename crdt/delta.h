/*
 * Ops and deltas (MODEL 2, 3): build, parse, sign, verify. A delta is 1..256 ops of one author under
 * one signature; everything about its validity is in its own bytes.
 */
#ifndef SOUK_CRDT_DELTA_H
#define SOUK_CRDT_DELTA_H

#include "crdt/bytes.h"
#include "crdt/err.h"
#include "crdt/id.h"
#include "crdt/limits.h"

enum kind { KIND_MODEL = 1, KIND_AGENT = 2, KIND_SERVER = 3, KIND_NODE = 4, KIND_CHARTER = 5, KIND_MEMBER = 6 };

enum verb { VERB_PUT = 0, VERB_DELETE = 1, VERB_STATEMENT = 2 };

/* One row of a statement. */
struct grant {
    struct key key;
    uint64_t epoch; /* < 2^63 */
    bool granted;   /* false: revokes this epoch and all below */
};

/* One op. In a parsed delta everything points into the delta's bytes or its arena. */
struct op {
    uint64_t kind;
    struct key owner;
    struct bytes name;
    enum verb verb;
    size_t parent_count;
    const struct id *parents;   /* strictly increasing */
    struct id body_hash;        /* put only */
    uint32_t body_len;          /* put only, 1..MODEL_BODY_MAX; else 0 */
    bool has_epoch;             /* put and delete by someone other than the owner */
    uint64_t epoch;
    size_t grant_count;         /* statement only, by increasing key */
    const struct grant *grants;
};

struct delta {
    struct id mesh;
    struct key author;
    uint64_t time;
    size_t op_count;
    struct op *ops;
    struct id id;
    struct bytes bytes; /* the encoding this was parsed from, borrowed */
    void *arena;        /* owned */
};

#define DELTA_VERSION 1 /* the one that this build reads and writes */
/* The version that the bytes say they are of, whatever follows it; 0: they do not say so. */
uint64_t delta_version(struct bytes bytes);

/* Parses and checks everything of MODEL 3 but the mesh, the signature and the clock: canonical form, limits,
 * the shape of each verb. `bytes` must outlive `out`. ERR_FORM | ERR_LIMIT | ERR_VERSION. */
SOUK_MUST_USE enum err delta_parse(struct bytes bytes, struct delta *out);
void delta_close(struct delta *d);

/* Encodes d (ops as given; id, bytes and arena ignored), appending to out. The caller keeps to the
 * limits: asserted. */
void delta_encode(const struct delta *d, struct buf *out);
void delta_id(struct id *out, struct bytes delta_bytes);

/* Ed25519 over frame("souk/delta/1") frame(delta id). `secret` is libsodium's 64-byte form. */
void delta_sign(uint8_t sig[SIG_BYTES], const struct id *delta, const uint8_t secret[64]);
/* Cofactorless, canonical S and points, no small order (see MODEL 2; libsodium's rules, which
 * tests/crdt/test_sign.c holds it to). About 50 microseconds. ERR_SIGNATURE. */
SOUK_MUST_USE enum err delta_verify(const struct id *delta, const struct key *author, const uint8_t sig[SIG_BYTES]);

/* One field of a body: a version of a value. A removed field's value is nil. */
struct field {
    struct bytes name;
    uint64_t changed_at;
    struct bytes value; /* canonical msgpack */
};

/* body = [salt, since, {field: [changed_at, value]}] */
struct body {
    uint8_t salt[16];
    uint64_t since;
    size_t field_count;
    struct field *fields; /* by increasing name; owned when parsed, free with body_close */
};

/* ERR_FORM where the bytes lack the form of MODEL 2 (more than MODEL_FIELDS_MAX fields too), ERR_INVALID where a time is above `max_time`
 * (the delta's): either way the put counts as an empty one (MODEL 3). Fields borrow `bytes`. */
SOUK_MUST_USE enum err body_parse(struct bytes bytes, uint64_t max_time, struct body *out);
void body_close(struct body *b);
void body_encode(const struct body *b, struct buf *out);
/* Does this body belong to this put? (hash and length) */
bool body_matches(const struct op *op, struct bytes body);

/*
 * A bundle is how a delta travels and is handed in: bundle = [delta bin, signature bin(64), [[index, body bin], ...]]
 * in canonical msgpack, indexes strictly increasing; bodies that are missing or erased are left out.
 */
struct bundle_body {
    uint16_t index;
    struct bytes body;
};
struct bundle {
    struct bytes delta;
    uint8_t sig[SIG_BYTES];
    size_t body_count;
    struct bundle_body *bodies; /* owned when parsed */
};
#define BUNDLE_MAX (MODEL_DELTA_MAX + 8192) /* bytes: a delta with all its bodies, and their headers */
/* Checks the framing alone: indexes below MODEL_DELTA_OPS_MAX, bodies of 1..MODEL_BODY_MAX bytes. Borrows `in`.
 * ERR_FORM | ERR_LIMIT. */
SOUK_MUST_USE enum err bundle_parse(struct bytes in, struct bundle *out);
void bundle_close(struct bundle *b);
void bundle_encode(const struct bundle *b, struct buf *out);

#endif
