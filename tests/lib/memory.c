/*
 * See memory.h. Under AddressSanitizer its own count, else that of the C library.
 */
#include "tests/lib/memory.h"

#if defined(__SANITIZE_ADDRESS__)
#define COUNTED_BY_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COUNTED_BY_SANITIZER 1
#endif
#endif

#ifdef COUNTED_BY_SANITIZER
/* Of sanitizer/allocator_interface.h, which gcc does not bring along. */
size_t __sanitizer_get_current_allocated_bytes(void);

size_t memory_in_use(void)
{
    return __sanitizer_get_current_allocated_bytes();
}
#else
#include <malloc.h>

size_t memory_in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}
#endif
