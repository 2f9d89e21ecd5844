/* Cursors: what comes back, and what is told apart. */
#include "node/cursor.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct cursor_key ours = {{1}}, theirs = {{2}};

static enum err decode(const struct cursor_key *key, char use, struct bytes text, struct buf *out)
{
    buf_reset(out);
    return cursor_decode(key, use, text, out);
}

Test(cursor, round_trip_of_every_length)
{
    uint8_t payload[CURSOR_PAYLOAD_MAX];
    memset(payload, 0xe7, sizeof payload);
    for (size_t n = 0; n <= sizeof payload; n++) {
        struct buf text = {0}, back = {0};
        cursor_encode(&ours, 'l', bytes_of(payload, n), &text);
        for (size_t i = 0; i < text.n; i++)
            cr_assert(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", text.p[i]));
        cr_assert_eq(decode(&ours, 'l', buf_view(&text), &back), ERR_OK);
        cr_assert(bytes_eq(buf_view(&back), bytes_of(payload, n)));
        buf_close(&text);
        buf_close(&back);
    }
}

Test(cursor, of_another_node_or_route_or_changed)
{
    struct buf text = {0}, back = {0};
    cursor_encode(&ours, 'l', bytes_str("place"), &text);
    cr_assert_eq(decode(&theirs, 'l', buf_view(&text), &back), ERR_MESH);
    cr_assert_eq(decode(&ours, 'h', buf_view(&text), &back), ERR_MESH);
    for (size_t i = 0; i < text.n; i++) {
        uint8_t was = text.p[i];
        text.p[i] = was == 'A' ? 'B' : 'A';
        cr_assert_neq(decode(&ours, 'l', buf_view(&text), &back), ERR_OK, "%zu", i);
        text.p[i] = was;
    }
    buf_close(&text);
    buf_close(&back);
}

Test(cursor, not_a_cursor)
{
    struct buf back = {0};
    uint8_t long_text[2000];
    memset(long_text, 'A', sizeof long_text);
    cr_assert_eq(decode(&ours, 'l', bytes_str("!"), &back), ERR_FORM);
    cr_assert_eq(decode(&ours, 'l', bytes_str(""), &back), ERR_FORM);
    cr_assert_eq(decode(&ours, 'l', bytes_str("AAAA"), &back), ERR_FORM);
    cr_assert_eq(decode(&ours, 'l', bytes_of(long_text, sizeof long_text), &back), ERR_FORM);
    buf_close(&back);
}
