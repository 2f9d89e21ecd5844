/*
 * Bundles: how a delta, its signature and those of its bodies that are at hand travel and are handed
 * in. A bundle is framing only: it is not signed, and the same delta may come in many. Knows nothing
 * of what the delta or the bodies say.
 */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "crdt/delta.h"

#include <assert.h>
#include <stdlib.h>

static enum err parse_bodies(struct mp_reader *r, struct bundle *b)
{
    uint64_t next = 0;
    for (size_t i = 0; i < b->body_count && !r->bad; i++) {
        if (mp_array(r) != 2)
            return ERR_FORM;
        uint64_t index = mp_uint(r);
        struct bytes body = mp_bin(r);
        if (r->bad || index < next)
            return ERR_FORM;
        if (index >= MODEL_DELTA_OPS_MAX || body.n == 0 || body.n > MODEL_BODY_MAX)
            return ERR_LIMIT;
        b->bodies[i] = (struct bundle_body){.index = (uint16_t)index, .body = body};
        next = index + 1;
    }
    return mp_done(r) ? ERR_OK : ERR_FORM;
}

enum err bundle_parse(struct bytes in, struct bundle *out)
{
    struct mp_reader r;
    struct bundle b = {0};
    if (in.n > BUNDLE_MAX)
        return ERR_LIMIT;
    mp_reader_init(&r, in);
    if (mp_array(&r) != 3)
        return ERR_FORM;
    b.delta = mp_bin(&r);
    mp_bin_exact(&r, b.sig, sizeof b.sig);
    b.body_count = mp_array(&r);
    if (r.bad)
        return ERR_FORM;
    if (b.delta.n > MODEL_DELTA_MAX || b.body_count > MODEL_DELTA_OPS_MAX)
        return ERR_LIMIT;
    b.bodies = mem_alloc(b.body_count * sizeof *b.bodies);
    enum err e = parse_bodies(&r, &b);
    if (e == ERR_OK)
        *out = b;
    else
        bundle_close(&b);
    return e;
}

void bundle_close(struct bundle *b)
{
    if (b == NULL)
        return;
    free(b->bodies);
    *b = (struct bundle){0};
}

void bundle_encode(const struct bundle *b, struct buf *out)
{
    assert(b->delta.n <= MODEL_DELTA_MAX);
    assert(b->body_count <= MODEL_DELTA_OPS_MAX);
    mp_put_array(out, 3);
    mp_put_bin(out, b->delta);
    mp_put_bin(out, bytes_of(b->sig, sizeof b->sig));
    mp_put_array(out, b->body_count);
    for (size_t i = 0; i < b->body_count; i++) {
        const struct bundle_body *x = &b->bodies[i];
        assert(i == 0 || x[-1].index < x->index);
        assert(x->index < MODEL_DELTA_OPS_MAX);
        assert(x->body.n >= 1 && x->body.n <= MODEL_BODY_MAX);
        mp_put_array(out, 2);
        mp_put_uint(out, x->index);
        mp_put_bin(out, x->body);
    }
}
