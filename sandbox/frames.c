/*
 * Lines and frames of resident workers. A line is at most as large as its answer may be when every byte of it is escaped.
 */
#include "sandbox/frames.h"

#include "crdt/record.h"
#include "sandbox/json_check.h"

#include <assert.h>
#include <string.h>

#define LINE_WRAPPING 256 /* id, names and blanks around the answer in a line */
#define ESCAPE_MOST   6   /* \u00e9 for one byte                              */

void frame_request(struct buf *out, const struct frame_format *format, uint64_t id, struct bytes input)
{
    assert(id > 0 && input.n <= SANDBOX_INPUT_MAX);
    if (format->frames == SANDBOX_FRAMES) {
        buf_put_be(out, 8 + input.n, 4);
        buf_put_be(out, id, 8);
        buf_put_bytes(out, input);
        return;
    }
    assert(format->input != SANDBOX_BYTES);
    buf_printf(out, "{\"id\":%llu,\"input\":", (unsigned long long)id);
    if (format->input == SANDBOX_TEXT)
        json_put_string(out, input);
    for (size_t i = 0; i < input.n && format->input == SANDBOX_JSON; i++) /* a line: blanks instead of newlines */
        buf_put_u8(out, input.p[i] == '\n' || input.p[i] == '\r' ? ' ' : input.p[i]);
    buf_put_str(out, "}\n");
}

static enum frame_found frame_binary(struct bytes in, const struct frame_format *format, struct frame *out,
                                     struct buf *why)
{
    if (in.n < 4)
        return FRAME_MORE;
    uint64_t size = get_be(in.p, 4);
    if (size < 8) {
        buf_printf(why, "an answer of %llu bytes, too short for its id", (unsigned long long)size);
        return FRAME_BAD;
    }
    if (size - 8 > format->output_bytes)
        return FRAME_LARGE;
    if (in.n - 4 < size)
        return FRAME_MORE;
    out->id = get_be(in.p + 4, 8);
    out->taken = 4 + (size_t)size;
    buf_put(&out->body, in.p + SANDBOX_FRAME_HEAD, (size_t)size - 8);
    return FRAME_ANSWER;
}

/* The members of an answer line, judged. */
static enum frame_found line_meaning(const struct sandbox_json_member m[3], const struct frame_format *format,
                                     struct frame *out, struct buf *why)
{
    if (!sandbox_json_uint(m[0].value, &out->id)) {
        buf_put_str(why, "an answer line without an integer \"id\"");
        return FRAME_BAD;
    }
    if (m[2].value.p != NULL && m[1].value.p == NULL && sandbox_json_string(m[2].value, &out->body))
        return FRAME_ERROR;
    if (m[1].value.p == NULL || m[2].value.p != NULL) {
        buf_put_str(why, "an answer line needs \"output\", or \"error\" with a text");
        return FRAME_BAD;
    }
    if (format->output == SANDBOX_TEXT) {
        if (!sandbox_json_string(m[1].value, &out->body)) {
            buf_put_str(why, "the \"output\" of an answer line is not a string, as text needs");
            return FRAME_BAD;
        }
    } else {
        buf_put_bytes(&out->body, m[1].value);
    }
    return out->body.n > format->output_bytes ? FRAME_LARGE : FRAME_ANSWER;
}

static enum frame_found frame_line(struct bytes in, const struct frame_format *format, struct frame *out,
                                   struct buf *why)
{
    const uint8_t *end = in.n > 0 ? memchr(in.p, '\n', in.n) : NULL;
    const uint64_t most = format->output_bytes * (format->output == SANDBOX_TEXT ? ESCAPE_MOST : 1) + LINE_WRAPPING;
    if (end == NULL)
        return in.n > most ? FRAME_LARGE : FRAME_MORE;
    struct bytes line = bytes_of(in.p, (size_t)(end - in.p));
    if (line.n > most)
        return FRAME_LARGE;
    out->taken = line.n + 1;
    struct sandbox_json_member m[3] = {{.name = "id"}, {.name = "output"}, {.name = "error"}};
    if (sandbox_json_find(line, m, 3, why) != ERR_OK)
        return FRAME_BAD;
    return line_meaning(m, format, out, why);
}

enum frame_found frame_answer(struct bytes in, const struct frame_format *format, struct frame *out, struct buf *why)
{
    assert(out->body.n == 0);
    return format->frames == SANDBOX_FRAMES ? frame_binary(in, format, out, why) : frame_line(in, format, out, why);
}
