/* Any bytes as a question and as an answer between nodes: what is accepted encodes to the same bytes. */
#include "node/callwire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct call_question q;
    struct call_answer a;
    struct buf again = {0};
    if (call_read_question(bytes_of(data, size), &q) == ERR_OK) {
        call_put_question(&again, &q);
        if (!bytes_eq(bytes_of(data, size), buf_view(&again)))
            abort();
    }
    buf_reset(&again);
    if (call_read_answer(bytes_of(data, size), &a) == ERR_OK) {
        call_put_answer(&again, &a);
        if (!bytes_eq(bytes_of(data, size), buf_view(&again)))
            abort();
    }
    buf_close(&again);
    return 0;
}
