/*
 * Reads the set into a second index and walks both in step. Sums are compared over ranges that are long enough to rest on
 * those that are kept.
 */
#include "node/audit.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 256, RANGE = 16384 };

struct audit *audit_new(const struct setindex *live)
{
    struct audit *a = mem_zalloc(sizeof *a);
    a->live = live;
    return a;
}

void audit_free(struct audit *a)
{
    if (a == NULL)
        return;
    setindex_free(a->disk);
    free(a);
}

/* The items of an index, one after the other. */
struct cursor {
    const struct setindex *set;
    struct item chunk[CHUNK];
    size_t rank, at, n;
};

static const struct item *peek(struct cursor *c)
{
    if (c->at == c->n) {
        size_t left = setindex_count(c->set) - c->rank;
        c->n = left < CHUNK ? left : CHUNK;
        c->at = 0;
        setindex_items(c->set, c->rank, c->n, c->chunk);
        c->rank += c->n;
    }
    return c->n > 0 ? &c->chunk[c->at] : NULL;
}

static void compare_items(struct audit *a)
{
    struct cursor live = {.set = a->live}, disk = {.set = a->disk};
    for (;;) {
        const struct item *x = peek(&live), *y = peek(&disk);
        if (x == NULL && y == NULL)
            return;
        int order = x == NULL ? 1 : y == NULL ? -1 : item_cmp(x, y);
        a->extra += order < 0;
        a->missing += order > 0;
        live.at += order <= 0;
        disk.at += order >= 0;
    }
}

static bool same_sums(const struct setindex *x, const struct setindex *y)
{
    struct lthash a, b;
    size_t n = setindex_count(x);
    assert(n == setindex_count(y));
    for (size_t from = 0; from < n; from += RANGE) {
        size_t to = n - from < RANGE ? n : from + RANGE;
        (void)setindex_sum(x, from, to, &a);
        (void)setindex_sum(y, from, to, &b);
        if (memcmp(&a, &b, sizeof a) != 0)
            return false;
    }
    (void)setindex_sum(x, 0, n, &a);
    (void)setindex_sum(y, 0, n, &b);
    return memcmp(&a, &b, sizeof a) == 0;
}

void audit_run(struct audit *a, const struct store *store)
{
    assert(a->disk == NULL);
    a->disk = setindex_new();
    a->err = store_load_set(store, a->disk);
    if (a->err != ERR_OK)
        return;
    compare_items(a);
    a->sums = a->missing + a->extra == 0 && !same_sums(a->live, a->disk);
    (void)snprintf(a->text, sizeof a->text, "%zu deltas were missing, %zu too many%s", a->missing, a->extra,
                   a->sums ? ", sums were wrong" : "");
}

bool audit_differs(const struct audit *a)
{
    return a->missing + a->extra > 0 || a->sums;
}

uint64_t audit_wait(struct rng *rng, uint64_t period_ms)
{
    assert(period_ms >= 5);
    return period_ms - period_ms / 5 + rng_below(rng, period_ms / 5 * 2);
}
