/*
 * The event heap: a binary heap ordered by (virtual time, sequence), so that events of one moment happen in the order
 * in which they were planned.
 */
#include "crdt/alloc.h"
#include "tests/sim/sim.h"

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void sim_heap_push(struct sim_heap *h, const struct sim_event *e)
{
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 1024 : 2 * h->cap;
        h->rows = mem_realloc(h->rows, h->cap, sizeof *h->rows);
    }
    size_t at = h->count++;
    while (at > 0 && before(e, &h->rows[(at - 1) / 2])) {
        h->rows[at] = h->rows[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    h->rows[at] = *e;
}

bool sim_heap_pop(struct sim_heap *h, struct sim_event *out)
{
    if (h->count == 0)
        return false;
    *out = h->rows[0];
    struct sim_event last = h->rows[--h->count];
    size_t at = 0;
    for (size_t child = 1; child < h->count; child = 2 * at + 1) {
        if (child + 1 < h->count && before(&h->rows[child + 1], &h->rows[child]))
            child++;
        if (!before(&h->rows[child], &last))
            break;
        h->rows[at] = h->rows[child];
        at = child;
    }
    if (h->count > 0)
        h->rows[at] = last;
    return true;
}
