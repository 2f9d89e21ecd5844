/* A whole engine in session with a peer that says anything: the input is a list of messages, each with two bytes of length
 * before it. The engine asserts its bounds after every event; here it must also stay alive and not grow. */
#include "net/engine.h"
#include "tests/lib/mole.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lab *lab = lab_new(1, 1);
    struct mole m;
    (void)lab_write_quiet(lab, 0, 50);
    mole_open(&m, lab, 5);
    if (m.conn.state != CONN_UP)
        abort();
    for (size_t at = 0; at + 2 < size && !m.closed && m.conn.state == CONN_UP;) {
        size_t n = (size_t)get_be(data + at, 2);
        at += 2;
        n = n < size - at ? n : size - at;
        if (n > 0) {
            frame_out_message(&m.conn.seal, bytes_of(data + at, n), bytes_of(NULL, 0), &m.conn.out);
            mole_run(&m, n % 7 == 0 ? 3000 : 0);
        }
        at += n;
    }
    lab_run(lab, 1000);
    if (net_peers(lab_host(lab, 0)->net, NULL, 0) > NET_BOOK_MAX)
        abort();
    mole_close(&m);
    lab_free(lab);
    return 0;
}
