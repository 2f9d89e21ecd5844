/*
 * The delta: parsing, its limits, and its encoding (see MODEL 2 and 3). Parsing reads straight through,
 * then judges each op and the whole; everything that is checked is in the delta's own bytes. Owns the
 * arena of a parsed delta. Knows nothing of meshes, signatures, clocks or of what bodies say.
 */
#include "crdt/delta.h"

#include "crdt/alloc.h"
#include "crdt/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_END (UINT64_C(1) << 63)

/* The least that one parent and one row of a statement take on the wire: they bound the arena. */
#define PARENT_BYTES 34u
#define GRANT_BYTES 37u
_Static_assert(sizeof(struct id) % 8 == 0 && sizeof(struct grant) % 8 == 0, "the arena stays aligned");
_Static_assert(sizeof(struct id) * GRANT_BYTES <= sizeof(struct grant) * PARENT_BYTES, "rows need the most memory");

struct parser {
    struct mp_reader r;
    struct delta d;
    uint8_t *free; /* unused part of the arena */
    uint8_t *end;
    enum err err; /* the first rule broken */
};

static void need(struct parser *p, bool holds, enum err otherwise)
{
    if (!holds && p->err == ERR_OK)
        p->err = otherwise;
}

static void *arena_take(struct parser *p, size_t n)
{
    assert(n <= (size_t)(p->end - p->free));
    void *taken = p->free;
    p->free += n;
    return taken;
}

/* One block for the ops and all that they hold: small multiples of the bytes that are there. */
static void arena_make(struct parser *p, size_t wire_bytes)
{
    size_t rest = wire_bytes / GRANT_BYTES * sizeof(struct grant) + sizeof(struct grant);
    size_t n = p->d.op_count * sizeof(struct op) + rest;
    p->d.arena = mem_alloc(n);
    p->free = p->d.arena;
    p->end = p->free + n;
    p->d.ops = arena_take(p, p->d.op_count * sizeof(struct op));
}

static void parse_parents(struct parser *p, struct op *op)
{
    size_t n = mp_array(&p->r);
    need(p, n <= MODEL_PARENTS_MAX, ERR_LIMIT);
    if (p->err != ERR_OK || n > (size_t)(p->r.end - p->r.p) / PARENT_BYTES) {
        need(p, false, ERR_FORM);
        return;
    }
    struct id *ids = arena_take(p, n * sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        mp_bin_exact(&p->r, ids[i].b, ID_BYTES);
        need(p, i == 0 || id_cmp(&ids[i - 1], &ids[i]) < 0, ERR_FORM);
    }
    op->parent_count = n;
    op->parents = ids;
}

static void parse_grant(struct parser *p, struct grant *g)
{
    need(p, mp_array(&p->r) == 3, ERR_FORM);
    mp_bin_exact(&p->r, g->key.b, ID_BYTES);
    g->epoch = mp_uint(&p->r);
    uint64_t granted = mp_uint(&p->r);
    g->granted = granted == 1;
    need(p, granted <= 1, ERR_FORM);
    need(p, g->epoch < EPOCH_END, ERR_LIMIT);
}

static void parse_grants(struct parser *p, struct op *op)
{
    size_t n = mp_array(&p->r);
    need(p, !p->r.bad, ERR_FORM);
    need(p, n >= 1 && n <= MODEL_GRANTS_MAX, ERR_LIMIT);
    if (p->err != ERR_OK || n > (size_t)(p->r.end - p->r.p) / GRANT_BYTES) {
        need(p, false, ERR_FORM);
        return;
    }
    struct grant *rows = arena_take(p, n * sizeof *rows);
    memset(rows, 0, n * sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        parse_grant(p, &rows[i]);
        need(p, i == 0 || key_cmp(&rows[i - 1].key, &rows[i].key) < 0, ERR_FORM);
        need(p, !key_eq(&rows[i].key, &op->owner), ERR_FORM);
    }
    op->grant_count = n;
    op->grants = rows;
}

/* nil, an epoch or rows: which one the verb and the author decide. */
static void parse_authority(struct parser *p, struct op *op)
{
    bool is_owner = key_eq(&op->owner, &p->d.author);
    if (op->verb == VERB_STATEMENT) {
        need(p, is_owner, ERR_FORM);
        parse_grants(p, op);
        return;
    }
    if (is_owner) {
        mp_nil(&p->r);
        return;
    }
    op->has_epoch = true;
    op->epoch = mp_uint(&p->r);
    need(p, op->epoch < EPOCH_END, ERR_LIMIT);
}

static void parse_body_ref(struct parser *p, struct op *op)
{
    if (op->verb == VERB_PUT)
        mp_bin_exact(&p->r, op->body_hash.b, ID_BYTES);
    else
        mp_nil(&p->r);
    uint64_t n = mp_uint(&p->r);
    if (op->verb == VERB_PUT)
        need(p, p->r.bad || (n >= 1 && n <= MODEL_BODY_MAX), ERR_LIMIT);
    else
        need(p, n == 0, ERR_FORM);
    op->body_len = n <= MODEL_BODY_MAX ? (uint32_t)n : 0;
}

static void parse_op(struct parser *p, struct op *op)
{
    memset(op, 0, sizeof *op);
    need(p, mp_array(&p->r) == 8, ERR_FORM);
    op->kind = mp_uint(&p->r);
    mp_bin_exact(&p->r, op->owner.b, ID_BYTES);
    op->name = mp_str(&p->r);
    uint64_t verb = mp_uint(&p->r);
    need(p, !p->r.bad && verb <= VERB_STATEMENT, ERR_FORM);
    if (p->err != ERR_OK)
        return;
    op->verb = (enum verb)verb;
    need(p, op->kind >= 1 && op->kind <= MODEL_KIND_MAX, ERR_LIMIT);
    need(p, op->name.n >= 1 && op->name.n <= MODEL_NAME_MAX, ERR_LIMIT);
    parse_parents(p, op);
    need(p, op->verb != VERB_STATEMENT || op->parent_count == 0, ERR_FORM);
    if (p->err != ERR_OK)
        return;
    parse_body_ref(p, op);
    parse_authority(p, op);
    need(p, !p->r.bad, ERR_FORM);
}

static bool governs(const struct op *op)
{
    return op->kind == KIND_CHARTER || op->kind == KIND_MEMBER;
}

/* The rules that look at more than one op. */
static void judge_whole(struct parser *p)
{
    size_t total = p->d.bytes.n;
    for (size_t i = 0; i < p->d.op_count; i++) {
        total += p->d.ops[i].body_len;
        need(p, governs(&p->d.ops[i]) == governs(&p->d.ops[0]), ERR_FORM);
    }
    need(p, total <= MODEL_DELTA_MAX, ERR_LIMIT);
}

uint64_t delta_version(struct bytes bytes)
{
    struct mp_reader r;
    mp_reader_init(&r, bytes);
    (void)mp_array(&r);
    uint64_t version = mp_uint(&r);
    return r.bad ? 0 : version;
}

/* Up to the count of ops; true iff the ops follow. */
static bool parse_head(struct parser *p)
{
    size_t n = mp_array(&p->r);
    uint64_t version = mp_uint(&p->r);
    need(p, !p->r.bad, ERR_FORM);
    need(p, version == DELTA_VERSION, ERR_VERSION);
    need(p, n == 5, ERR_FORM);
    mp_bin_exact(&p->r, p->d.mesh.b, ID_BYTES);
    mp_bin_exact(&p->r, p->d.author.b, ID_BYTES);
    p->d.time = mp_uint(&p->r);
    p->d.op_count = mp_array(&p->r);
    need(p, !p->r.bad, ERR_FORM);
    need(p, p->d.time != UINT64_MAX, ERR_LIMIT);
    need(p, p->d.op_count >= 1 && p->d.op_count <= MODEL_DELTA_OPS_MAX, ERR_LIMIT);
    return p->err == ERR_OK;
}

enum err delta_parse(struct bytes bytes, struct delta *out)
{
    struct parser p = {.d = {.bytes = bytes}};
    if (bytes.n > MODEL_DELTA_MAX)
        return ERR_LIMIT;
    mp_reader_init(&p.r, bytes);
    if (!parse_head(&p))
        return p.err;
    arena_make(&p, bytes.n);
    for (size_t i = 0; i < p.d.op_count && p.err == ERR_OK; i++)
        parse_op(&p, &p.d.ops[i]);
    need(&p, mp_done(&p.r), ERR_FORM);
    if (p.err == ERR_OK)
        judge_whole(&p);
    if (p.err != ERR_OK) {
        delta_close(&p.d);
        return p.err;
    }
    delta_id(&p.d.id, bytes);
    *out = p.d;
    return ERR_OK;
}

void delta_close(struct delta *d)
{
    if (d == NULL)
        return;
    free(d->arena);
    *d = (struct delta){0};
}

static void put_key(struct buf *out, const struct key *key)
{
    mp_put_bin(out, bytes_of(key->b, ID_BYTES));
}

static void put_id(struct buf *out, const struct id *id)
{
    mp_put_bin(out, bytes_of(id->b, ID_BYTES));
}

static void put_grants(struct buf *out, const struct op *op)
{
    assert(op->grant_count >= 1 && op->grant_count <= MODEL_GRANTS_MAX);
    mp_put_array(out, op->grant_count);
    for (size_t i = 0; i < op->grant_count; i++) {
        const struct grant *g = &op->grants[i];
        assert(i == 0 || key_cmp(&g[-1].key, &g->key) < 0);
        assert(g->epoch < EPOCH_END && !key_eq(&g->key, &op->owner));
        mp_put_array(out, 3);
        put_key(out, &g->key);
        mp_put_uint(out, g->epoch);
        mp_put_uint(out, g->granted);
    }
}

static void put_authority(struct buf *out, const struct delta *d, const struct op *op)
{
    assert(op->has_epoch == (op->verb != VERB_STATEMENT && !key_eq(&op->owner, &d->author)));
    if (op->verb == VERB_STATEMENT) {
        assert(key_eq(&op->owner, &d->author));
        put_grants(out, op);
    } else if (op->has_epoch) {
        assert(op->epoch < EPOCH_END);
        mp_put_uint(out, op->epoch);
    } else {
        mp_put_nil(out);
    }
}

static void put_op(struct buf *out, const struct delta *d, const struct op *op)
{
    assert(op->kind >= 1 && op->kind <= MODEL_KIND_MAX);
    assert(op->name.n >= 1 && op->name.n <= MODEL_NAME_MAX && utf8_valid(op->name));
    assert(op->parent_count <= MODEL_PARENTS_MAX);
    assert(op->verb == VERB_PUT ? op->body_len >= 1 && op->body_len <= MODEL_BODY_MAX : op->body_len == 0);
    mp_put_array(out, 8);
    mp_put_uint(out, op->kind);
    put_key(out, &op->owner);
    mp_put_str(out, op->name);
    mp_put_uint(out, op->verb);
    mp_put_array(out, op->parent_count);
    for (size_t i = 0; i < op->parent_count; i++) {
        assert(i == 0 || id_cmp(&op->parents[i - 1], &op->parents[i]) < 0);
        put_id(out, &op->parents[i]);
    }
    if (op->verb == VERB_PUT)
        put_id(out, &op->body_hash);
    else
        mp_put_nil(out);
    mp_put_uint(out, op->body_len);
    put_authority(out, d, op);
}

void delta_encode(const struct delta *d, struct buf *out)
{
    assert(d->op_count >= 1 && d->op_count <= MODEL_DELTA_OPS_MAX);
    assert(d->time != UINT64_MAX);
    mp_put_array(out, 5);
    mp_put_uint(out, DELTA_VERSION);
    put_id(out, &d->mesh);
    put_key(out, &d->author);
    mp_put_uint(out, d->time);
    mp_put_array(out, d->op_count);
    for (size_t i = 0; i < d->op_count; i++)
        put_op(out, d, &d->ops[i]);
}
