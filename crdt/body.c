/*
 * Bodies: what a put says, beside the delta that vouches for it by hash. A body that matches its hash
 * and lacks this form counts as an empty put, so parsing is judged apart from the delta (see MODEL 3).
 * Knows nothing of schemas.
 */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "crdt/delta.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A field's value lies inside the body, the map of fields and the field's own array. */
#define VALUE_DEPTH 3

static uint64_t parse_fields(struct mp_reader *r, struct body *b)
{
    uint64_t newest = 0;
    struct bytes previous = {0};
    for (size_t i = 0; i < b->field_count && !r->bad; i++) {
        struct field *f = &b->fields[i];
        f->name = mp_key(r, &previous);
        if (mp_array(r) != 2)
            mp_fail(r);
        f->changed_at = mp_uint(r);
        f->value = mp_value(r, VALUE_DEPTH);
        if (f->changed_at > newest)
            newest = f->changed_at;
    }
    return newest;
}

enum err body_parse(struct bytes bytes, uint64_t max_time, struct body *out)
{
    struct mp_reader r;
    struct body b = {0};
    if (bytes.n > MODEL_BODY_MAX)
        return ERR_FORM;
    mp_reader_init(&r, bytes);
    if (mp_array(&r) != 3)
        return ERR_FORM;
    mp_bin_exact(&r, b.salt, sizeof b.salt);
    b.since = mp_uint(&r);
    b.field_count = mp_map(&r);
    if (r.bad || b.field_count > MODEL_FIELDS_MAX)
        return ERR_FORM;
    b.fields = mem_alloc(b.field_count * sizeof *b.fields);
    uint64_t newest = parse_fields(&r, &b);
    enum err e = !mp_done(&r) ? ERR_FORM : newest > max_time || b.since > max_time ? ERR_INVALID : ERR_OK;
    if (e == ERR_OK)
        *out = b;
    else
        body_close(&b);
    return e;
}

void body_close(struct body *b)
{
    if (b == NULL)
        return;
    free(b->fields);
    *b = (struct body){0};
}

void body_encode(const struct body *b, struct buf *out)
{
    assert(b->field_count <= MODEL_FIELDS_MAX);
    mp_put_array(out, 3);
    mp_put_bin(out, bytes_of(b->salt, sizeof b->salt));
    mp_put_uint(out, b->since);
    mp_put_map(out, b->field_count);
    for (size_t i = 0; i < b->field_count; i++) {
        const struct field *f = &b->fields[i];
        assert(i == 0 || bytes_cmp(f[-1].name, f->name) < 0);
        assert(f->value.n > 0);
        mp_put_str(out, f->name);
        mp_put_array(out, 2);
        mp_put_uint(out, f->changed_at);
        buf_put_bytes(out, f->value);
    }
}

bool body_matches(const struct op *op, struct bytes body)
{
    struct id hash;
    if (op->verb != VERB_PUT || body.n != op->body_len)
        return false;
    body_hash(&hash, body);
    return id_eq(&hash, &op->body_hash);
}
