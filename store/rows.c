/*
 * Encoding and decoding of rows; the layout is in store/FORMAT.md. Every decoder is a straight reading that checks once
 * at its end that neither a byte was missing nor one was left.
 */
#include "store/rows.h"

#include <assert.h>
#include <string.h>

struct row_reader {
    const uint8_t *p;
    size_t left;
    bool bad;
};

static struct row_reader reader(struct bytes row)
{
    return (struct row_reader){.p = row.p, .left = row.n, .bad = false};
}

static const uint8_t *take(struct row_reader *r, size_t n)
{
    if (r->bad || r->left < n) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    r->left -= n;
    return p;
}

static uint64_t take_be(struct row_reader *r, unsigned width)
{
    const uint8_t *p = take(r, width);
    return p == NULL ? 0 : get_be(p, width);
}

static void take_into(struct row_reader *r, void *out, size_t n)
{
    const uint8_t *p = take(r, n);
    if (p != NULL)
        memcpy(out, p, n);
}

static struct bytes take_bytes(struct row_reader *r, size_t n)
{
    const uint8_t *p = take(r, n);
    return p == NULL ? (struct bytes){NULL, 0} : bytes_of(p, n);
}

static enum err at_end(const struct row_reader *r)
{
    return r->bad || r->left > 0 ? ERR_CORRUPT : ERR_OK;
}

/* ---- deltas ---- */

void delta_record_put(struct buf *out, const struct delta_record *r)
{
    buf_put(out, r->author.b, ID_BYTES);
    buf_put_be(out, r->time, 8);
    buf_put(out, r->sig, SIG_BYTES);
    buf_put_bytes(out, r->bytes);
}

enum err delta_record_get(struct bytes row, struct delta_record *out)
{
    struct row_reader r = reader(row);
    take_into(&r, out->author.b, ID_BYTES);
    out->time = take_be(&r, 8);
    take_into(&r, out->sig, SIG_BYTES);
    out->bytes = take_bytes(&r, r.left);
    return at_end(&r);
}

void delta_row_put(struct buf *out, const struct delta_row *r)
{
    assert(r->op_count >= 1 && r->op_count <= MODEL_DELTA_OPS_MAX);
    buf_put_be(out, r->time, 8);
    buf_put_u8(out, r->flags);
    buf_put_be(out, r->op_count, 2);
    buf_put_be(out, r->named, 4);
}

enum err delta_row_get(struct bytes row, struct delta_row *out)
{
    struct row_reader r = reader(row);
    out->time = take_be(&r, 8);
    out->flags = (uint8_t)take_be(&r, 1);
    out->op_count = (uint16_t)take_be(&r, 2);
    out->named = (uint32_t)take_be(&r, 4);
    return out->op_count >= 1 && out->op_count <= MODEL_DELTA_OPS_MAX ? at_end(&r) : ERR_CORRUPT;
}

/* ---- ops ---- */

void mark_row_put(struct buf *out, const struct mark_row *r)
{
    buf_put_u8(out, r->flags);
    buf_put_be(out, r->named, 4);
    buf_put_be(out, r->covered, 4);
    buf_put_be(out, r->erased, 4);
}

enum err mark_row_get(struct bytes row, struct mark_row *out)
{
    struct row_reader r = reader(row);
    out->flags = (uint8_t)take_be(&r, 1);
    out->named = (uint32_t)take_be(&r, 4);
    out->covered = (uint32_t)take_be(&r, 4);
    out->erased = (uint32_t)take_be(&r, 4);
    return at_end(&r);
}

void op_row_put(struct buf *out, const struct op_row *r)
{
    assert(r->parents.n == r->parent_count * ID_BYTES && r->parent_count <= MODEL_PARENTS_MAX);
    buf_put_u8(out, r->flags);
    buf_put_u8(out, (uint8_t)((unsigned)r->verb | (r->has_epoch ? 0x80u : 0)));
    buf_put_be(out, r->index, 2);
    buf_put(out, r->delta.b, ID_BYTES);
    buf_put(out, r->author.b, ID_BYTES);
    buf_put_be(out, r->time, 8);
    if (r->has_epoch)
        buf_put_be(out, r->epoch, 8);
    if (r->verb == VERB_PUT) {
        buf_put_be(out, r->body_len, 4);
        buf_put(out, r->body_hash.b, ID_BYTES);
    }
    buf_put_bytes(out, r->parents);
}

enum err op_row_get(struct bytes row, struct op_row *out)
{
    struct row_reader r = reader(row);
    *out = (struct op_row){.flags = (uint8_t)take_be(&r, 1)};
    uint64_t verb = take_be(&r, 1);
    out->has_epoch = (verb & 0x80) != 0;
    verb &= 0x7f;
    out->index = (uint16_t)take_be(&r, 2);
    take_into(&r, out->delta.b, ID_BYTES);
    take_into(&r, out->author.b, ID_BYTES);
    out->time = take_be(&r, 8);
    out->epoch = out->has_epoch ? take_be(&r, 8) : 0;
    if (verb > VERB_STATEMENT)
        return ERR_CORRUPT;
    out->verb = (enum verb)verb;
    if (out->verb == VERB_PUT) {
        out->body_len = (uint32_t)take_be(&r, 4);
        take_into(&r, out->body_hash.b, ID_BYTES);
    }
    out->parents = take_bytes(&r, r.left);
    out->parent_count = out->parents.n / ID_BYTES;
    return r.bad || out->parents.n % ID_BYTES != 0 || out->parent_count > MODEL_PARENTS_MAX ? ERR_CORRUPT : ERR_OK;
}

/* ---- entries ---- */

enum { HEAD_PUT = 1, HEAD_OWNER = 2, HEAD_BODY = 4, HEAD_ONLY = 128 /* the only op is a head */ };

static uint8_t head_flags(const struct head_row *r)
{
    return (uint8_t)((r->is_put ? HEAD_PUT : 0) | (r->is_owner ? HEAD_OWNER : 0) | (r->has_body ? HEAD_BODY : 0));
}

void head_row_put(struct buf *out, const struct head_row *r)
{
    assert(!id_is_zero(&r->op));
    buf_put_u8(out, head_flags(r));
    buf_put(out, r->op.b, ID_BYTES);
    buf_put(out, r->delta.b, ID_BYTES);
    buf_put(out, r->author.b, ID_BYTES);
    buf_put_be(out, r->time, 8);
    buf_put_be(out, r->index, 2);
}

static void take_head(struct row_reader *r, struct head_row *out)
{
    uint64_t flags = take_be(r, 1);
    take_into(r, out->op.b, ID_BYTES);
    take_into(r, out->delta.b, ID_BYTES);
    take_into(r, out->author.b, ID_BYTES);
    out->time = take_be(r, 8);
    out->index = (uint16_t)take_be(r, 2);
    out->is_put = (flags & HEAD_PUT) != 0;
    out->is_owner = (flags & HEAD_OWNER) != 0;
    out->has_body = (flags & HEAD_BODY) != 0;
}

enum err head_row_get(struct bytes row, struct head_row *out)
{
    struct row_reader r = reader(row);
    take_head(&r, out);
    return at_end(&r);
}

/* The only op: its id and row, the row's length before it; of the head that it may be, only what the row does not say. */
static void put_only(struct buf *out, const struct entry_row *r)
{
    assert(r->op_count == 1 && r->top_count <= 1);
    assert(r->top_count == 0 || id_eq(&r->top[0].op, &r->only_op));
    buf_put(out, r->only_op.b, ID_BYTES);
    size_t at = out->n;
    buf_put_be(out, 0, 2);
    op_row_put(out, &r->only);
    put_be(out->p + at, out->n - at - 2, 2);
    buf_put_u8(out, r->top_count == 0 ? 0 : (uint8_t)(head_flags(&r->top[0]) | HEAD_ONLY));
}

static bool take_only(struct row_reader *r, struct entry_row *out)
{
    take_into(r, out->only_op.b, ID_BYTES);
    struct bytes row = take_bytes(r, take_be(r, 2));
    uint64_t flags = take_be(r, 1);
    if (r->bad || op_row_get(row, &out->only) != ERR_OK)
        return false;
    out->top_count = (flags & HEAD_ONLY) != 0;
    out->top[0] = (struct head_row){.op = out->only_op, .delta = out->only.delta, .author = out->only.author,
                                    .time = out->only.time, .index = out->only.index,
                                    .is_put = (flags & HEAD_PUT) != 0, .is_owner = (flags & HEAD_OWNER) != 0,
                                    .has_body = (flags & HEAD_BODY) != 0};
    return true;
}

void entry_row_put(struct buf *out, const struct entry_row *r)
{
    assert(r->name.n <= MODEL_NAME_MAX && r->top_count <= MODEL_HEADS_READ);
    buf_put_be(out, r->kind, 2);
    buf_put(out, r->owner.b, ID_BYTES);
    buf_put_u8(out, (uint8_t)r->name.n);
    buf_put_bytes(out, r->name);
    buf_put_u8(out, r->flags);
    buf_put_be(out, r->op_count, 6);
    buf_put_be(out, r->created, 8);
    buf_put_be(out, r->head_count, 6);
    buf_put_be(out, r->put_count, 6);
    buf_put(out, r->revision.b, ID_BYTES);
    if (r->op_count == 1) {
        put_only(out, r);
        return;
    }
    buf_put_u8(out, (uint8_t)r->top_count);
    for (size_t i = 0; i < r->top_count; i++)
        head_row_put(out, &r->top[i]);
}

enum err entry_row_get(struct bytes row, struct entry_row *out)
{
    struct row_reader r = reader(row);
    out->kind = take_be(&r, 2);
    take_into(&r, out->owner.b, ID_BYTES);
    out->name = take_bytes(&r, take_be(&r, 1));
    out->flags = (uint8_t)take_be(&r, 1);
    out->op_count = take_be(&r, 6);
    out->created = take_be(&r, 8);
    out->head_count = take_be(&r, 6);
    out->put_count = take_be(&r, 6);
    take_into(&r, out->revision.b, ID_BYTES);
    if (out->op_count == 1) {
        if (!take_only(&r, out))
            return ERR_CORRUPT;
    } else {
        out->only_op = (struct id){{0}};
        out->only = (struct op_row){.flags = 0};
        out->top_count = take_be(&r, 1);
        if (r.bad || out->top_count > MODEL_HEADS_READ)
            return ERR_CORRUPT;
        for (size_t i = 0; i < out->top_count; i++)
            take_head(&r, &out->top[i]);
    }
    bool sound = out->put_count <= out->head_count && out->head_count <= out->op_count &&
                 out->top_count == (out->head_count < MODEL_HEADS_READ ? out->head_count : MODEL_HEADS_READ);
    return sound ? at_end(&r) : ERR_CORRUPT;
}

void json_row_put(struct buf *out, const struct json_row *r)
{
    assert(r->text.n > 0 && r->kind <= MODEL_KIND_MAX);
    buf_put_be(out, r->kind, 2);
    buf_put(out, r->owner.b, ID_BYTES);
    buf_put(out, r->revision.b, ID_BYTES);
    buf_put_u8(out, r->flags);
    buf_put_bytes(out, r->text);
}

enum err json_row_get(struct bytes row, struct json_row *out)
{
    struct row_reader r = reader(row);
    out->kind = take_be(&r, 2);
    take_into(&r, out->owner.b, ID_BYTES);
    take_into(&r, out->revision.b, ID_BYTES);
    out->flags = (uint8_t)take_be(&r, 1);
    out->text = take_bytes(&r, r.left);
    return at_end(&r);
}

/* ---- changes, missing bodies, counters ---- */

void change_row_put(struct buf *out, const struct change_row *r)
{
    assert(r->kind <= MODEL_KIND_MAX);
    buf_put_be(out, r->kind, 2);
    buf_put_u8(out, (uint8_t)r->verb);
    buf_put(out, r->entry.b, ID_BYTES);
    buf_put(out, r->revision.b, ID_BYTES);
}

void change_row_at(struct bytes chunk, size_t i, struct change_row *out)
{
    assert((i + 1) * CHANGE_ROW_BYTES <= chunk.n);
    const uint8_t *p = chunk.p + i * CHANGE_ROW_BYTES;
    out->kind = get_be(p, 2);
    out->verb = p[2] == VERB_DELETE ? VERB_DELETE : VERB_PUT;
    memcpy(out->entry.b, p + 3, ID_BYTES);
    memcpy(out->revision.b, p + 3 + ID_BYTES, ID_BYTES);
}

void wanted_row_put(struct buf *out, const struct wanted_row *r)
{
    buf_put_be(out, r->time, 8);
    buf_put(out, r->delta.b, ID_BYTES);
    buf_put_be(out, r->index, 2);
}

enum err wanted_row_get(struct bytes row, struct wanted_row *out)
{
    struct row_reader r = reader(row);
    out->time = take_be(&r, 8);
    take_into(&r, out->delta.b, ID_BYTES);
    out->index = (uint16_t)take_be(&r, 2);
    return at_end(&r);
}

void stats_row_put(struct buf *out, const struct stats_row *r)
{
    const uint64_t plain[] = {r->deltas, r->ops, r->aside, r->conflicts, r->missing_bodies, r->last_seq};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        buf_put_be(out, plain[i], 8);
    for (size_t i = 0; i < STATS_KINDS; i++)
        buf_put_be(out, r->entries[i], 8);
}

enum err stats_row_get(struct bytes row, struct stats_row *out)
{
    struct row_reader r = reader(row);
    uint64_t *plain[] = {&out->deltas, &out->ops, &out->aside, &out->conflicts, &out->missing_bodies, &out->last_seq};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        *plain[i] = take_be(&r, 8);
    for (size_t i = 0; i < STATS_KINDS; i++)
        out->entries[i] = take_be(&r, 8);
    return at_end(&r);
}
