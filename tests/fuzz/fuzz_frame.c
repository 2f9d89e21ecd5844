/* Any bytes, in pieces of any size, go through the reader of records: in the clear, and "sealed" by an empty cipher, so that
 * what lies behind the tag is reached. Memory stays within a record and a message. */
#include "net/frame.h"
#include "net/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_in f = {.clear_max = 200, .limit = wire_limit};
    struct bytes message;
    if (size < 2)
        return 0;
    f.sealed = (data[0] & 1) != 0;
    size_t piece = (size_t)data[1] + 1;
    enum frame_result r = FRAME_MORE;
    for (size_t at = 2; at < size && (r == FRAME_MORE || r == FRAME_MESSAGE); at += piece) {
        frame_in_feed(&f, bytes_of(data + at, size - at < piece ? size - at : piece));
        do {
            r = frame_in_next(&f, &message);
            if (r == FRAME_MESSAGE && (message.n == 0 || message.n > (f.sealed ? wire_limit(message.p[0]) : f.clear_max)))
                abort();
        } while (r == FRAME_MESSAGE);
    }
    frame_in_close(&f);
    return 0;
}
