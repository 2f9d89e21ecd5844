/*
 * How much memory this process has allocated and not freed, as the allocator in use counts it.
 */
#ifndef SOUK_TESTS_MEMORY_H
#define SOUK_TESTS_MEMORY_H

#include <stddef.h>

size_t memory_in_use(void); /* bytes */

#endif
