/* Deterministic authors, bodies, deltas and bundles for tests (see gen.h). */
#include "tests/lib/gen.h"

#include "crdt/alloc.h"
#include "crdt/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void gen_author_seed(struct gen_author *out, const uint8_t seed[32])
{
    (void)crypto_sign_seed_keypair(out->key.b, out->secret, seed);
}

void gen_author(struct gen_author *out, uint64_t number)
{
    struct id seed;
    struct hasher h;
    hash_init(&h, "souk/test/author");
    hash_u64(&h, number);
    hash_end(&h, &seed);
    gen_author_seed(out, seed.b);
}

struct id gen_id(uint64_t number)
{
    struct id id;
    struct hasher h;
    hash_init(&h, "souk/test/id");
    hash_u64(&h, number);
    hash_end(&h, &id);
    return id;
}

static int field_order(const void *a, const void *b)
{
    const struct field *x = a, *y = b;
    return bytes_cmp(x->name, y->name);
}

void gen_body(struct buf *out, uint64_t salt, uint64_t since, size_t count, const struct gen_field *fields)
{
    struct body b = {.since = since, .field_count = count, .fields = mem_calloc(count, sizeof *b.fields)};
    struct buf *values = mem_calloc(count, sizeof *values);
    put_le64(b.salt, salt);
    for (size_t i = 0; i < count; i++) {
        if (fields[i].text != NULL)
            mp_put_str(&values[i], bytes_str(fields[i].text));
        else
            mp_put_nil(&values[i]);
        b.fields[i] = (struct field){bytes_str(fields[i].name), fields[i].changed_at, buf_view(&values[i])};
    }
    qsort(b.fields, count, sizeof *b.fields, field_order);
    body_encode(&b, out);
    for (size_t i = 0; i < count; i++)
        buf_close(&values[i]);
    free(values);
    body_close(&b);
}

void gen_body_text(struct buf *out, const char *field, uint64_t changed_at, const char *text)
{
    gen_body(out, changed_at, 0, 1, &(struct gen_field){field, changed_at, text});
}

static int id_order(const void *a, const void *b)
{
    return id_cmp(a, b);
}

static int grant_order(const void *a, const void *b)
{
    const struct grant *x = a, *y = b;
    return key_cmp(&x->key, &y->key);
}

static void build_op(struct op *op, const struct gen_op *in, const struct key *author)
{
    struct id *parents = mem_dup(in->parents, in->parent_count * sizeof *parents);
    struct grant *grants = mem_dup(in->grants, in->grant_count * sizeof *grants);
    qsort(parents, in->parent_count, sizeof *parents, id_order);
    qsort(grants, in->grant_count, sizeof *grants, grant_order);
    size_t unique = 0;
    for (size_t i = 0; i < in->parent_count; i++)
        if (unique == 0 || !id_eq(&parents[unique - 1], &parents[i]))
            parents[unique++] = parents[i];
    *op = (struct op){.kind = in->kind ? in->kind : KIND_MODEL, .owner = in->owner ? *in->owner : *author,
                      .name = bytes_str(in->name), .verb = in->verb, .parent_count = unique, .parents = parents,
                      .grant_count = in->grant_count, .grants = grants};
    op->has_epoch = in->verb != VERB_STATEMENT && !key_eq(&op->owner, author);
    op->epoch = op->has_epoch ? in->epoch : 0;
    if (in->verb == VERB_PUT) {
        assert(in->body.n >= 1 && in->body.n <= MODEL_BODY_MAX);
        body_hash(&op->body_hash, in->body);
        op->body_len = (uint32_t)in->body.n;
    }
}

void gen_delta(struct buf *out, const struct gen_delta *in, struct id *delta)
{
    struct op *ops = mem_calloc(in->op_count, sizeof *ops);
    struct delta d = {.mesh = *in->mesh, .author = in->author->key, .time = in->time,
                      .op_count = in->op_count, .ops = ops};
    size_t from = out->n;
    for (size_t i = 0; i < in->op_count; i++)
        build_op(&ops[i], &in->ops[i], &in->author->key);
    delta_encode(&d, out);
    if (delta != NULL)
        delta_id(delta, bytes_of(out->p + from, out->n - from));
    for (size_t i = 0; i < in->op_count; i++) {
        free((void *)(uintptr_t)ops[i].parents);
        free((void *)(uintptr_t)ops[i].grants);
    }
    free(ops);
}

void gen_bundle(struct buf *out, const struct gen_delta *in, struct id *delta)
{
    struct id id;
    struct buf bytes = {0};
    struct bundle_body bodies[MODEL_DELTA_OPS_MAX];
    struct bundle b = {.bodies = bodies};
    assert(in->op_count <= MODEL_DELTA_OPS_MAX);
    gen_delta(&bytes, in, &id);
    delta_sign(b.sig, &id, in->author->secret);
    b.delta = buf_view(&bytes);
    for (size_t i = 0; i < in->op_count; i++)
        if (in->ops[i].verb == VERB_PUT && in->ops[i].travel == GEN_SENT)
            bodies[b.body_count++] = (struct bundle_body){(uint16_t)i, in->ops[i].body};
    bundle_encode(&b, out);
    if (delta != NULL)
        *delta = id;
    buf_close(&bytes);
}

struct id gen_one(struct buf *out, const struct id *mesh, const struct gen_author *author, uint64_t time,
                  const struct gen_op *op)
{
    struct id delta, id;
    gen_bundle(out, &(struct gen_delta){mesh, author, time, 1, op}, &delta);
    op_id(&id, &delta, 0);
    return id;
}

void gen_text(struct buf *out, struct rng *rng, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t c = rng_below(rng, 32);
        buf_put_u8(out, c < 26 ? (uint8_t)('a' + c) : ' ');
    }
}

/* Whole numbers of every width, and the edges between the widths. */
static uint64_t any_bits(struct rng *rng)
{
    uint64_t v = rng_u64(rng) >> rng_below(rng, 64);
    return rng_below(rng, 3) == 0 ? (UINT64_C(1) << rng_below(rng, 64)) - rng_below(rng, 2) : v;
}

static double any_float(struct rng *rng)
{
    double v;
    uint64_t bits;
    do {
        bits = rng_u64(rng);
        memcpy(&v, &bits, sizeof v);
    } while ((bits >> 52 & 0x7ff) == 0x7ff);
    return v;
}

static void any_text(struct buf *out, struct rng *rng)
{
    static const char *const piece[] = {"a", "model", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\"", "\n", "-"};
    struct buf text = {0};
    for (uint64_t n = rng_below(rng, rng_below(rng, 8) == 0 ? 90 : 9); n > 0; n--)
        buf_put_str(&text, piece[rng_below(rng, sizeof piece / sizeof *piece)]);
    mp_put_str(out, text.n > 0 ? buf_view(&text) : bytes_str(""));
    buf_close(&text);
}

static void any_scalar(struct buf *out, struct rng *rng)
{
    switch (rng_below(rng, 7)) {
    case 0: mp_put_nil(out); break;
    case 1: mp_put_bool(out, rng_below(rng, 2) == 1); break;
    case 2: mp_put_uint(out, any_bits(rng)); break;
    case 3: mp_put_int(out, (int64_t)(0 - any_bits(rng))); break;
    case 4: mp_put_float(out, any_float(rng)); break;
    case 5: any_text(out, rng); break;
    default: {
        uint8_t raw[300] = {0};
        mp_put_bin(out, bytes_of(raw, rng_below(rng, rng_below(rng, 8) == 0 ? sizeof raw : 9)));
        break;
    }
    }
}

void gen_value(struct buf *out, struct rng *rng, unsigned depth)
{
    uint64_t choice = depth > 0 ? rng_below(rng, 4) : 2;
    if (choice >= 2) {
        any_scalar(out, rng);
        return;
    }
    uint64_t n = rng_below(rng, rng_below(rng, 8) == 0 ? 20 : 4);
    if (choice == 0)
        mp_put_array(out, n);
    else
        mp_put_map(out, n);
    for (uint64_t i = 0; i < n; i++) {
        char key[3] = {(char)('a' + i), (char)('a' + rng_below(rng, 26)), 0};
        if (choice == 1)
            mp_put_str(out, bytes_str(key));
        gen_value(out, rng, depth - 1);
    }
}
