/* Any bytes go to a side that waits for a handshake message; no session may come of it, since nobody signed it. The first
 * byte picks which side. */
#include "net/conn.h"
#include "tests/lib/gen.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gen_author a;
    struct conn c;
    struct wire_message m;
    static const uint8_t ephemeral[32] = {9};
    struct conn_identity self = {.version_min = 1, .version_max = 1, .static_secret = {8}};
    if (size == 0)
        return 0;
    gen_author(&a, 1);
    self.key = a.key;
    memcpy(self.secret, a.secret, sizeof self.secret);
    conn_init(&c, &self, (data[0] & 1) != 0 ? NOISE_INITIATOR : NOISE_RESPONDER, ephemeral);
    conn_feed(&c, bytes_of(data + 1, size - 1));
    enum conn_result r = conn_next(&c, &m);
    if (r == CONN_ASK || r == CONN_GOT)
        abort();
    if (r == CONN_FAILED && c.detail[0] == 0)
        abort(); /* every failure has a reason for the log */
    conn_free(&c);
    return 0;
}
