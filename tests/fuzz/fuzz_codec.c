/* Any bytes are refused, or are one value that the writer reproduces byte for byte. */
#include "tests/lib/recode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes x = {data, size};
    if (mp_canonical(x) && !recode_same(x))
        abort();
    return 0;
}
