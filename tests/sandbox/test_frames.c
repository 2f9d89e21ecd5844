/*
 * Lines and frames of workers, whole, cut and wrong.
 */
#include "sandbox/frames.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct frame_format lines = {
    .frames = SANDBOX_LINES, .input = SANDBOX_JSON, .output = SANDBOX_JSON, .output_bytes = 64};
static const struct frame_format texts = {
    .frames = SANDBOX_LINES, .input = SANDBOX_TEXT, .output = SANDBOX_TEXT, .output_bytes = 8};
static const struct frame_format frames = {
    .frames = SANDBOX_FRAMES, .input = SANDBOX_BYTES, .output = SANDBOX_BYTES, .output_bytes = 8};

static enum frame_found answer(const struct frame_format *format, struct bytes in, const char *body, uint64_t id)
{
    struct frame f = {.id = 0};
    struct buf why = {0};
    enum frame_found found = frame_answer(in, format, &f, &why);
    if (body != NULL) {
        cr_expect(bytes_eq(buf_view(&f.body), bytes_str(body)), "%s", buf_cstr(&f.body));
        cr_expect_eq(f.id, id);
    }
    cr_expect_eq(found == FRAME_BAD, why.n > 0);
    buf_close(&f.body);
    buf_close(&why);
    return found;
}

static enum frame_found line(const struct frame_format *format, const char *text)
{
    return answer(format, bytes_str(text), NULL, 0);
}

Test(frames, a_request_is_one_line_or_one_frame)
{
    struct buf out = {0};
    frame_request(&out, &lines, 7, bytes_str("{\"a\":\n [1,\r\n2]}"));
    cr_expect_str_eq(buf_cstr(&out), "{\"id\":7,\"input\":{\"a\":  [1,  2]}}\n");
    buf_reset(&out);
    frame_request(&out, &texts, 8, bytes_str("a\n\"b\""));
    cr_expect_str_eq(buf_cstr(&out), "{\"id\":8,\"input\":\"a\\n\\\"b\\\"\"}\n");
    buf_reset(&out);
    frame_request(&out, &frames, 258, bytes_of("\0x", 2));
    cr_expect(bytes_eq(buf_view(&out), bytes_of("\0\0\0\x0a\0\0\0\0\0\0\1\2\0x", 14)));
    buf_close(&out);
}

Test(frames, answer_lines_of_every_kind)
{
    cr_expect_eq(answer(&lines, bytes_str("{\"id\":7,\"output\":{\"a\":[1]}}\n"), "{\"a\":[1]}", 7), FRAME_ANSWER);
    cr_expect_eq(answer(&lines, bytes_str("{\"output\":null,\"x\":0,\"id\":7}\nrest"), "null", 7), FRAME_ANSWER);
    cr_expect_eq(answer(&lines, bytes_str("{\"id\":7,\"error\":\"no\\n\"}\n"), "no\n", 7), FRAME_ERROR);
    cr_expect_eq(answer(&texts, bytes_str("{\"id\":1,\"output\":\"\\u00e9\"}\n"), "\xc3\xa9", 1), FRAME_ANSWER);
    cr_expect_eq(line(&lines, "{\"id\":7,\"output\":1"), FRAME_MORE);
    cr_expect_eq(line(&lines, ""), FRAME_MORE);
    cr_expect_eq(line(&lines, "\n"), FRAME_BAD);
    cr_expect_eq(line(&lines, "hello\n"), FRAME_BAD);
    cr_expect_eq(line(&lines, "[1]\n"), FRAME_BAD);
    cr_expect_eq(line(&lines, "{\"output\":1}\n"), FRAME_BAD);
    cr_expect_eq(line(&lines, "{\"id\":\"7\",\"output\":1}\n"), FRAME_BAD);
    cr_expect_eq(line(&lines, "{\"id\":-7,\"output\":1}\n"), FRAME_BAD);
    cr_expect_eq(line(&lines, "{\"id\":7}\n"), FRAME_BAD);
    cr_expect_eq(line(&lines, "{\"id\":7,\"error\":1}\n"), FRAME_BAD);
    cr_expect_eq(line(&lines, "{\"id\":7,\"output\":1,\"error\":\"x\"}\n"), FRAME_BAD);
    cr_expect_eq(line(&lines, "{\"id\":7,\"id\":7,\"output\":1}\n"), FRAME_BAD);
    cr_expect_eq(line(&texts, "{\"id\":7,\"output\":1}\n"), FRAME_BAD);
    cr_expect_eq(line(&texts, "{\"id\":7,\"output\":\"123456789\"}\n"), FRAME_LARGE);
}

Test(frames, a_line_without_end_is_too_large_in_time)
{
    struct buf in = {0};
    while (in.n < 64 + 256)
        buf_put_u8(&in, 'x');
    cr_expect_eq(answer(&lines, buf_view(&in), NULL, 0), FRAME_MORE);
    buf_put_u8(&in, 'x');
    cr_expect_eq(answer(&lines, buf_view(&in), NULL, 0), FRAME_LARGE);
    buf_close(&in);
}

Test(frames, length_prefixed_answers)
{
    cr_expect_eq(answer(&frames, bytes_of("\0\0\0\x0a\0\0\0\0\0\0\0\5hi", 14), "hi", 5), FRAME_ANSWER);
    cr_expect_eq(answer(&frames, bytes_of("\0\0\0\x08\0\0\0\0\0\0\0\5", 12), "", 5), FRAME_ANSWER);
    for (size_t n = 0; n < 14; n++)
        cr_expect_eq(answer(&frames, bytes_of("\0\0\0\x0a\0\0\0\0\0\0\0\5hi", n), NULL, 0), FRAME_MORE);
    cr_expect_eq(answer(&frames, bytes_of("\0\0\0\7", 4), NULL, 0), FRAME_BAD);
    cr_expect_eq(answer(&frames, bytes_of("\0\0\0\x11", 4), NULL, 0), FRAME_LARGE);
    cr_expect_eq(answer(&frames, bytes_of("\xff\xff\xff\xff", 4), NULL, 0), FRAME_LARGE);
}
