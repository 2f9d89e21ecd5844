/*
 * malloc and friends with one answer to failure: abort with a message. Owns nothing.
 */
#include "crdt/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *or_abort(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

void *mem_alloc(size_t n)
{
    return or_abort(malloc(n ? n : 1));
}

void *mem_zalloc(size_t n)
{
    return or_abort(calloc(1, n ? n : 1));
}

void *mem_calloc(size_t count, size_t size)
{
    return or_abort(calloc(count ? count : 1, size ? size : 1));
}

void *mem_realloc(void *p, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size)
        abort();
    size_t n = count * size;
    return or_abort(realloc(p, n ? n : 1));
}

char *mem_strdup(const char *s)
{
    return mem_dup(s, strlen(s) + 1);
}

void *mem_dup(const void *p, size_t n)
{
    void *copy = mem_alloc(n);
    if (n > 0)
        memcpy(copy, p, n);
    return copy;
}
