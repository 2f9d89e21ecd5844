/*
 * An open-addressing table with backward-shift deletion, keyed with SipHash. Grows by doubling up to its bound; an empty
 * table keeps no memory.
 */
#include "net/wants.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define CAP_MIN 64

void wants_init(struct wants *w, const uint8_t secret[16])
{
    *w = (struct wants){0};
    memcpy(w->secret, secret, sizeof w->secret);
}

void wants_close(struct wants *w)
{
    free(w->row);
    w->row = NULL;
    w->cap = w->count = w->asked = 0;
}

static size_t home(const struct wants *w, const struct id *id)
{
    uint8_t h[8];
    (void)crypto_shorthash(h, id->b, ID_BYTES, w->secret);
    return (size_t)get_le64(h) & (w->cap - 1);
}

static struct want *probe(struct wants *w, const struct id *id)
{
    size_t i = home(w, id);
    while (w->row[i].state != WANT_FREE && !id_eq(&w->row[i].id, id))
        i = (i + 1) & (w->cap - 1);
    return &w->row[i];
}

struct want *wants_find(struct wants *w, const struct id *id)
{
    if (w->count == 0)
        return NULL;
    struct want *want = probe(w, id);
    return want->state != WANT_FREE ? want : NULL;
}

static void grow(struct wants *w)
{
    struct want *old = w->row;
    size_t old_cap = w->cap;
    w->cap = old_cap == 0 ? CAP_MIN : 2 * old_cap;
    w->row = mem_calloc(w->cap, sizeof *w->row);
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].state != WANT_FREE)
            *probe(w, &old[i].id) = old[i];
    free(old);
}

struct want *wants_add(struct wants *w, const struct id *id)
{
    if (w->count >= WANTS_MAX)
        return NULL;
    if (w->count * 2 >= w->cap)
        grow(w);
    struct want *want = probe(w, id);
    assert(want->state == WANT_FREE);
    *want = (struct want){.id = *id, .state = WANT_QUEUED};
    w->count++;
    return want;
}

/* Moves later rows of the cluster into the gap where their home allows it. */
static void close_gap(struct wants *w, size_t gap)
{
    size_t mask = w->cap - 1;
    for (size_t i = (gap + 1) & mask; w->row[i].state != WANT_FREE; i = (i + 1) & mask) {
        size_t h = home(w, &w->row[i].id);
        if (((i - h) & mask) >= ((i - gap) & mask)) {
            w->row[gap] = w->row[i];
            gap = i;
        }
    }
    w->row[gap].state = WANT_FREE;
}

void wants_remove(struct wants *w, const struct id *id)
{
    struct want *want = wants_find(w, id);
    if (want == NULL)
        return;
    wants_set(w, want, WANT_QUEUED, 0);
    close_gap(w, (size_t)(want - w->row));
    w->count--;
    if (w->count == 0)
        wants_close(w);
}

void wants_set(struct wants *w, struct want *want, enum want_state state, uint64_t link)
{
    assert(want->state != WANT_FREE && state != WANT_FREE);
    w->asked -= want->state == WANT_ASKED;
    w->asked += state == WANT_ASKED;
    want->state = state;
    want->link = link;
}

void want_add_holder(struct want *want, uint64_t link)
{
    if (want->link == link || want->holders == WANTS_HOLDERS_MAX)
        return;
    for (size_t i = 0; i < want->holders; i++)
        if (want->holder[i] == link)
            return;
    want->holder[want->holders++] = link;
}

uint64_t want_take_holder(struct want *want)
{
    return want->holders > 0 ? want->holder[--want->holders] : 0;
}

size_t idqueue_count(const struct idqueue *q)
{
    return (q->ids.n - q->at) / ID_BYTES;
}

void idqueue_push(struct idqueue *q, const struct id *id)
{
    if (q->at > 4096 && q->at * 2 > q->ids.n) {
        buf_drop(&q->ids, q->at);
        q->at = 0;
    }
    buf_put(&q->ids, id->b, ID_BYTES);
}

bool idqueue_pop(struct idqueue *q, struct id *out)
{
    if (idqueue_count(q) == 0)
        return false;
    memcpy(out->b, q->ids.p + q->at, ID_BYTES);
    q->at += ID_BYTES;
    if (q->at == q->ids.n)
        q->at = q->ids.n = 0;
    return true;
}

void idqueue_close(struct idqueue *q)
{
    buf_close(&q->ids);
    q->at = 0;
}
