/*
 * The grants of one entry (MODEL 4): which (key, epoch) an owner's statements gave and took back.
 * A set of rows; adding is commutative and idempotent, so the order of arrival means nothing.
 * Refuses to know the mesh: whether a key is admitted is asked elsewhere.
 */
#include "crdt/register.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int row_cmp(const struct grant *a, const struct grant *b)
{
    int c = key_cmp(&a->key, &b->key);
    if (c != 0)
        return c;
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    return (int)a->granted - (int)b->granted;
}

/* Index of the first row >= the one given. */
static size_t lower(const struct grants *g, const struct grant *row)
{
    size_t low = 0, high = g->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (row_cmp(&g->rows[mid], row) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

void grants_add(struct grants *g, const struct grant *row)
{
    assert(row->epoch <= EPOCH_MAX);
    size_t at = lower(g, row);
    if (at < g->count && row_cmp(&g->rows[at], row) == 0)
        return;
    g->rows = mem_realloc(g->rows, g->count + 1, sizeof *g->rows);
    memmove(g->rows + at + 1, g->rows + at, (g->count - at) * sizeof *g->rows);
    g->rows[at] = *row;
    g->count++;
    assert(at == 0 || row_cmp(&g->rows[at - 1], row) < 0);
}

void grants_close(struct grants *g)
{
    free(g->rows);
    *g = (struct grants){0};
}

bool grants_ever(const struct grants *g, const struct key *key, uint64_t epoch)
{
    struct grant row = {.key = *key, .epoch = epoch, .granted = true};
    size_t at = lower(g, &row);
    return at < g->count && row_cmp(&g->rows[at], &row) == 0;
}

/* One past the last row of the key. */
static size_t end_of(const struct grants *g, const struct key *key)
{
    struct grant last = {.key = *key, .epoch = UINT64_MAX, .granted = true};
    return lower(g, &last);
}

bool grants_eligible(const struct grants *g, const struct key *key, uint64_t epoch)
{
    struct grant first = {.key = *key, .epoch = epoch, .granted = false};
    bool granted = false;
    for (size_t i = lower(g, &first); i < g->count && key_eq(&g->rows[i].key, key); i++) {
        assert(g->rows[i].epoch >= epoch);
        if (!g->rows[i].granted)
            return false;
        granted |= g->rows[i].epoch == epoch;
    }
    return granted;
}

bool grants_best(const struct grants *g, const struct key *key, uint64_t *epoch)
{
    size_t end = end_of(g, key);
    if (end == 0)
        return false;
    /* Above the last revocation everything granted is eligible, so the last row decides. */
    const struct grant *last = &g->rows[end - 1];
    if (!key_eq(&last->key, key) || !grants_eligible(g, key, last->epoch))
        return false;
    *epoch = last->epoch;
    return true;
}

uint64_t grants_next_epoch(const struct grants *g, const struct key *key)
{
    size_t end = end_of(g, key);
    if (end == 0 || !key_eq(&g->rows[end - 1].key, key))
        return 0;
    uint64_t greatest = g->rows[end - 1].epoch;
    return greatest < EPOCH_MAX ? greatest + 1 : EPOCH_MAX;
}
