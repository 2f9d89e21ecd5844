/*
 * Round robin over queues.
 */
#include "net/fair.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>

size_t fair_count(const struct fair *f)
{
    return f->count;
}

bool fair_push(struct fair *f, uint64_t author, const struct id *id)
{
    if (f->lane == NULL)
        f->lane = mem_calloc(FAIR_LANES, sizeof *f->lane);
    struct idqueue *q = &f->lane[author % FAIR_LANES];
    if (idqueue_count(q) >= FAIR_LANE_MAX)
        return false;
    idqueue_push(q, id);
    f->count++;
    assert(f->count <= FAIR_LANES * FAIR_LANE_MAX);
    return true;
}

bool fair_pop(struct fair *f, struct id *out)
{
    for (size_t i = 0; f->count > 0 && i < FAIR_LANES; i++) {
        f->turn = (f->turn + 1) % FAIR_LANES;
        if (!idqueue_pop(&f->lane[f->turn], out))
            continue;
        f->count--;
        return true;
    }
    assert(f->count == 0);
    return false;
}

void fair_close(struct fair *f)
{
    for (size_t i = 0; f->lane != NULL && i < FAIR_LANES; i++)
        idqueue_close(&f->lane[i]);
    free(f->lane);
    *f = (struct fair){0};
}
