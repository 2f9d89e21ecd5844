/* Hex notation for tests (see hex.h). */
#include "tests/lib/hex.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

void hex_put(struct buf *out, const char *text)
{
    while (*text != 0) {
        uint8_t byte;
        unsigned long count = 1;
        if (isspace((unsigned char)*text)) {
            text++;
            continue;
        }
        if (text[1] == 0 || !hex_decode(&byte, 1, bytes_of(text, 2))) {
            (void)fprintf(stderr, "hex: not well written at \"%s\"\n", text);
            abort();
        }
        text += 2;
        if (*text == '*') {
            char *end;
            count = strtoul(text + 1, &end, 10);
            text = end;
        }
        for (; count > 0; count--)
            buf_put_u8(out, byte);
    }
}

bool hex_is(struct bytes x, const char *text)
{
    struct buf want = {0};
    hex_put(&want, text);
    bool same = bytes_eq(x, buf_view(&want));
    buf_close(&want);
    return same;
}
