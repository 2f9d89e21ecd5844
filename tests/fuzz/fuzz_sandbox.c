/* What a program in the sandbox may send: outputs held against another JSON reader, answers of workers; and orders to the
 * launcher. The first byte chooses. */
#include "sandbox/frames.h"
#include "sandbox/message.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* jansson is asked too: strict here is strict there, but for the depth, the number of members and the edge of a double. */
static void check_json(struct bytes text)
{
    struct buf why = {0};
    json_error_t error;
    bool ok = sandbox_json_check(text, &why) == ERR_OK;
    json_t *other = json_loadb((const char *)text.p, text.n,
                               JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    const char *words = buf_cstr(&why);
    require(!ok || other != NULL);
    require(ok || other == NULL || strstr(words, "deeply") != NULL || strstr(words, "too many") != NULL ||
            strstr(words, "range") != NULL || memchr(text.p, 0, text.n) != NULL); /* it takes a NUL for the end */
    require(ok == (why.n == 0));
    json_decref(other);
    buf_close(&why);
}

static void check_answer(struct bytes in, enum sandbox_frames frames, enum sandbox_kind kind)
{
    const struct frame_format format = {.frames = frames, .input = kind, .output = kind, .output_bytes = 100};
    struct frame f = {.id = 0};
    struct buf why = {0};
    enum frame_found found = frame_answer(in, &format, &f, &why);
    require(f.taken <= in.n);
    require((found == FRAME_BAD) == (why.n > 0));
    require(found != FRAME_ANSWER || (f.body.n <= 100 && f.taken > 0));
    buf_close(&f.body);
    buf_close(&why);
}

static void check_order(struct bytes message)
{
    struct sandbox_order order;
    struct sandbox_order_text text;
    if (sandbox_order_unpack(message, &order, &text) != ERR_OK)
        return;
    for (uint32_t i = 0; i < order.argc; i++)
        require((const uint8_t *)text.argv[i] + strlen(text.argv[i]) < message.p + message.n);
    for (uint32_t i = 0; i < order.mounts; i++)
        require((const uint8_t *)text.target[i] + strlen(text.target[i]) < message.p + message.n);
    require(text.argv[order.argc] == NULL && text.env[order.envc] == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct bytes rest = bytes_of(data + 1, size - 1);
    switch (data[0] % 5) {
    case 0:
        check_json(rest);
        break;
    case 1:
        check_answer(rest, SANDBOX_LINES, SANDBOX_JSON);
        break;
    case 2:
        check_answer(rest, SANDBOX_LINES, SANDBOX_TEXT);
        break;
    case 3:
        check_answer(rest, SANDBOX_FRAMES, SANDBOX_BYTES);
        break;
    default:
        check_order(rest);
        break;
    }
    return 0;
}
