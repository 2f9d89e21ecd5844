/* Any bytes go through what a receiver does with a bundle: framing, delta, signature, bodies. */
#include "crdt/codec.h"
#include "crdt/delta.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge_bodies(const struct bundle *b, const struct delta *d)
{
    for (size_t i = 0; i < b->body_count; i++) {
        struct body body;
        if (b->bodies[i].index >= d->op_count || !body_matches(&d->ops[b->bodies[i].index], b->bodies[i].body))
            continue;
        if (body_parse(b->bodies[i].body, d->time, &body) == ERR_OK)
            body_close(&body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes x = {data, size};
    struct bundle b;
    struct delta d;
    struct buf again = {0};
    if (bundle_parse(x, &b) != ERR_OK)
        return 0;
    bundle_encode(&b, &again);
    if (!bytes_eq(x, buf_view(&again)))
        abort();
    if (delta_parse(b.delta, &d) == ERR_OK) {
        (void)!delta_verify(&d.id, &d.author, b.sig);
        judge_bodies(&b, &d);
        delta_close(&d);
    }
    buf_close(&again);
    bundle_close(&b);
    return 0;
}
