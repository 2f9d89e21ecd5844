/*
 * The working memory of a job: open addressing with linear probing at most half full, and chunks that are freed together.
 */
#include "store/table.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_FIRST = 64, CHUNK_BYTES = 64 * 1024, ALIGN = 16 };

void table_init(struct table *t, const uint8_t secret[16])
{
    *t = (struct table){0};
    memcpy(t->secret, secret, sizeof t->secret);
}

void table_close(struct table *t)
{
    free(t->slots);
    t->slots = NULL;
    t->count = t->size = 0;
}

/* The slot of the pair, or the free slot where it belongs. */
static struct table_slot *find(const struct table *t, const struct id *a, const struct id *b)
{
    uint8_t pair[2 * ID_BYTES], h[8];
    memcpy(pair, a->b, ID_BYTES);
    memcpy(pair + ID_BYTES, b->b, ID_BYTES);
    crypto_shorthash(h, pair, sizeof pair, t->secret);
    for (size_t i = (size_t)get_le64(h);; i++) {
        struct table_slot *s = &t->slots[i & (t->size - 1)];
        if (s->value == NULL || (id_eq(&s->b, b) && id_eq(&s->a, a)))
            return s;
    }
}

void *table_get(const struct table *t, const struct id *a, const struct id *b)
{
    return t->size == 0 ? NULL : find(t, a, b)->value;
}

static void grow(struct table *t)
{
    struct table old = *t;
    t->size = old.size == 0 ? TABLE_FIRST : old.size * 2;
    t->slots = mem_calloc(t->size, sizeof *t->slots);
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i].value != NULL)
            *find(t, &old.slots[i].a, &old.slots[i].b) = old.slots[i];
    free(old.slots);
}

void table_put(struct table *t, const struct id *a, const struct id *b, void *value)
{
    assert(value != NULL);
    if (t->count >= t->size / 2)
        grow(t);
    struct table_slot *s = find(t, a, b);
    assert(s->value == NULL);
    *s = (struct table_slot){.a = *a, .b = *b, .value = value};
    t->count++;
}

struct arena_chunk {
    struct arena_chunk *next;
    _Alignas(ALIGN) uint8_t p[];
};

void *arena_alloc(struct arena *a, size_t n)
{
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (n > a->left) {
        size_t size = n > CHUNK_BYTES ? n : CHUNK_BYTES;
        struct arena_chunk *c = mem_zalloc(sizeof *c + size);
        c->next = a->chunks;
        a->chunks = c;
        a->p = c->p;
        a->left = size;
    }
    void *p = a->p;
    a->p += n;
    a->left -= n;
    return p;
}

void *arena_dup(struct arena *a, const void *p, size_t n)
{
    void *copy = arena_alloc(a, n);
    if (n > 0)
        memcpy(copy, p, n);
    return copy;
}

void arena_close(struct arena *a)
{
    while (a->chunks != NULL) {
        struct arena_chunk *next = a->chunks->next;
        free(a->chunks);
        a->chunks = next;
    }
    *a = (struct arena){0};
}
