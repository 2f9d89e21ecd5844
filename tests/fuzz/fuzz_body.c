/* Any bytes are refused as a body, or encoding what was read gives them back. */
#include "crdt/codec.h"
#include "crdt/delta.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_TIME (UINT64_C(1) << 62)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes x = {data, size};
    struct body b;
    struct buf again = {0};
    if (body_parse(x, MAX_TIME, &b) != ERR_OK)
        return 0;
    if (!mp_canonical(x) || b.since > MAX_TIME || b.field_count > MODEL_FIELDS_MAX)
        abort();
    for (size_t i = 0; i < b.field_count; i++)
        if (b.fields[i].changed_at > MAX_TIME || !mp_canonical(b.fields[i].value))
            abort();
    body_encode(&b, &again);
    if (!bytes_eq(x, buf_view(&again)))
        abort();
    buf_close(&again);
    body_close(&b);
    return 0;
}
