/* Any bytes go through the decoder of messages; what it accepts encodes to the same bytes. */
#include "net/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_message m;
    struct buf again = {0};
    if (!wire_decode(bytes_of(data, size), &m))
        return 0;
    if (m.type == WIRE_CLOSE || m.type == WIRE_WELCOME)
        return 0; /* an unknown reason reads as 0, an unknown result as 2 */
    wire_encode_head(&m, &again);
    buf_put_bytes(&again, m.body);
    if (!bytes_eq(bytes_of(data, size), buf_view(&again)))
        abort();
    buf_close(&again);
    return 0;
}
