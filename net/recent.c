/*
 * Four-way caches over 64 bits of an id. Ids are hashes, so their first bytes are spread already; the secret keeps
 * somebody who grinds ids from filling one bucket.
 */
#include "net/recent.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>

static uint64_t mixed(const struct id *id, uint64_t secret)
{
    uint64_t x = (get_le64(id->b) ^ secret) * 0x9e3779b97f4a7c15u;
    x ^= x >> 32;
    return x != 0 ? x : 1; /* 0 marks a free slot */
}

void recent_init(struct recent *r, uint64_t secret)
{
    *r = (struct recent){.secret = secret};
}

void recent_close(struct recent *r)
{
    free(r->slot);
    free(r->next);
    *r = (struct recent){0};
}

bool recent_has(const struct recent *r, const struct id *id)
{
    if (r->slot == NULL)
        return false;
    uint64_t x = mixed(id, r->secret);
    const uint64_t *way = r->slot + x % r->buckets * RECENT_WAYS;
    for (size_t i = 0; i < RECENT_WAYS; i++)
        if (way[i] == x)
            return true;
    return false;
}

static void put(struct recent *r, uint64_t x)
{
    size_t bucket = (size_t)(x % r->buckets);
    uint64_t *slot = &r->slot[bucket * RECENT_WAYS + r->next[bucket]];
    assert(r->next[bucket] < RECENT_WAYS && x != 0);
    r->count += *slot == 0;
    *slot = x;
    r->next[bucket] = (uint8_t)((r->next[bucket] + 1) % RECENT_WAYS);
}

static void grow(struct recent *r)
{
    struct recent old = *r;
    size_t slots = old.buckets * RECENT_WAYS;
    r->buckets = old.buckets == 0 ? RECENT_FIRST : 2 * old.buckets;
    assert(r->buckets <= RECENT_BUCKETS && old.count <= slots);
    r->count = 0;
    r->slot = mem_calloc(r->buckets * RECENT_WAYS, sizeof *r->slot);
    r->next = mem_calloc(r->buckets, sizeof *r->next);
    for (size_t i = 0; i < slots; i++)
        if (old.slot[i] != 0)
            put(r, old.slot[i]);
    free(old.slot);
    free(old.next);
}

void recent_add(struct recent *r, const struct id *id)
{
    if (recent_has(r, id))
        return;
    if (r->buckets < RECENT_BUCKETS && 2 * r->count >= r->buckets * RECENT_WAYS)
        grow(r);
    put(r, mixed(id, r->secret));
}

void memo_init(struct memo *m, uint64_t secret)
{
    *m = (struct memo){.secret = secret};
}

void memo_close(struct memo *m)
{
    free(m->row);
    *m = (struct memo){0};
}

static struct memo_row *memo_bucket(const struct memo *m, uint64_t x)
{
    return m->row + x % MEMO_BUCKETS * RECENT_WAYS;
}

bool memo_has(const struct memo *m, const struct id *id, uint64_t now_ms)
{
    if (m->row == NULL)
        return false;
    uint64_t x = mixed(id, m->secret);
    const struct memo_row *way = memo_bucket(m, x);
    for (size_t i = 0; i < RECENT_WAYS; i++)
        if (way[i].id == x)
            return now_ms < way[i].until_ms;
    return false;
}

/* Takes the id's own row, else the one that runs out first. */
void memo_add(struct memo *m, const struct id *id, uint64_t until_ms)
{
    if (m->row == NULL)
        m->row = mem_calloc(MEMO_BUCKETS * RECENT_WAYS, sizeof *m->row);
    uint64_t x = mixed(id, m->secret);
    struct memo_row *way = memo_bucket(m, x), *best = way;
    for (size_t i = 0; i < RECENT_WAYS; i++) {
        if (way[i].id == x) {
            best = &way[i];
            break;
        }
        if (way[i].until_ms < best->until_ms)
            best = &way[i];
    }
    *best = (struct memo_row){.id = x, .until_ms = until_ms};
}
