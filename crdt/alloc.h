/*
 * Allocation that never returns NULL: out of memory aborts (see err.h). Freed with free().
 */
#ifndef SOUK_CRDT_ALLOC_H
#define SOUK_CRDT_ALLOC_H

#include <stddef.h>

void *mem_alloc(size_t n);                        /* uninitialised; n may be 0            */
void *mem_zalloc(size_t n);                       /* zeroed                               */
void *mem_calloc(size_t count, size_t size);      /* zeroed, overflow checked             */
void *mem_realloc(void *p, size_t count, size_t size); /* overflow checked                */
char *mem_strdup(const char *s);
void *mem_dup(const void *p, size_t n);           /* copy of n bytes                      */

#endif
