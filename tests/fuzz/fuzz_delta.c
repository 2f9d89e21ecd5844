/* Any bytes are refused as a delta, or encoding what was read gives them back. */
#include "crdt/codec.h"
#include "crdt/delta.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes x = {data, size};
    struct delta d;
    struct buf again = {0};
    if (delta_parse(x, &d) != ERR_OK)
        return 0;
    if (!mp_canonical(x) || d.op_count == 0 || d.op_count > MODEL_DELTA_OPS_MAX)
        abort();
    delta_encode(&d, &again); /* asserts every rule of an op */
    if (!bytes_eq(x, buf_view(&again)))
        abort();
    buf_close(&again);
    delta_close(&d);
    return 0;
}
