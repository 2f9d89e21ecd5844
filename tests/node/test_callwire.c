/*
 * Calls between nodes: every form round-trips, anything cut or over a bound is refused.
 */
#include "node/callwire.h"
#include "node/receipt.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <string.h>

static struct call_question question(enum call_ask ask)
{
    return (struct call_question){.ask = ask, .kind = 2, .entry = gen_id(1), .has_token = true, .stream = true,
                                  .token = gen_id(2), .media = 2, .within_ms = 70000, .input = bytes_str("hello"),
                                  .blob = gen_id(3), .index = 9};
}

Test(callwire, questions)
{
    for (enum call_ask ask = CALL_INVOKE; ask <= CALL_BLOB_CHUNK; ask++) {
        struct call_question q = question(ask), back;
        struct buf b = {0};
        call_put_question(&b, &q);
        cr_assert_eq(call_read_question(buf_view(&b), &back), ERR_OK);
        cr_assert_eq(back.ask, ask);
        if (ask == CALL_INVOKE) {
            cr_assert(id_eq(&back.entry, &q.entry) && id_eq(&back.token, &q.token) && back.has_token && back.stream);
            cr_assert(back.kind == 2 && back.media == 2 && back.within_ms == 70000 && bytes_eq(back.input, q.input));
        } else {
            cr_assert(id_eq(&back.blob, &q.blob) && back.index == (ask == CALL_BLOB_CHUNK ? 9 : 0));
        }
        size_t head = ask == CALL_INVOKE ? b.n - q.input.n : b.n;
        for (size_t n = 0; n < head; n++)
            cr_assert_eq(call_read_question(bytes_of(b.p, n), &back), ERR_FORM, "%zu", n);
        buf_close(&b);
    }
}

Test(callwire, questions_that_are_none)
{
    struct call_question q = question(CALL_BLOB_LIST), back;
    struct buf b = {0};
    call_put_question(&b, &q);
    buf_put_u8(&b, 0);
    cr_assert_eq(call_read_question(buf_view(&b), &back), ERR_FORM);
    cr_assert_eq(call_read_question(bytes_of("\0\0\0", 3), &back), ERR_FORM);
    cr_assert_eq(call_read_question(bytes_of("\x04", 1), &back), ERR_FORM);
    buf_reset(&b);
    q = question(CALL_INVOKE);
    q.media = 4;
    call_put_question(&b, &q);
    cr_assert_eq(call_read_question(buf_view(&b), &back), ERR_FORM);
    buf_reset(&b);
    q.media = 0;
    q.input = bytes_of(buf_grow(&b, 9u << 20), (8u << 20) + 1);
    struct buf large = {0};
    memset(b.p, 'x', (8u << 20) + 1);
    call_put_question(&large, &q);
    cr_assert_eq(call_read_question(buf_view(&large), &back), ERR_FORM);
    buf_close(&b);
    buf_close(&large);
}

Test(callwire, answers)
{
    struct call_answer rows[] = {
        {.reply = CALL_PART, .bytes = bytes_str("part")},
        {.reply = CALL_BLOB, .bytes = bytes_str("")},
        {.reply = CALL_REFUSED, .refusal = CALL_BUSY, .text = bytes_str("later")},
        {.reply = CALL_RESULT, .status = 3, .media = 2, .started = true, .in_parts = true, .running = 5, .room = 6,
         .text = bytes_str("why"), .receipt = bytes_str("{}"), .bytes = bytes_str("out")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct call_answer back;
        struct buf b = {0}, again = {0};
        call_put_answer(&b, &rows[i]);
        cr_assert_eq(call_read_answer(buf_view(&b), &back), ERR_OK);
        call_put_answer(&again, &back);
        cr_assert(bytes_eq(buf_view(&b), buf_view(&again)));
        cr_assert(bytes_eq(back.bytes, rows[i].bytes) && bytes_eq(back.text, rows[i].text));
        cr_assert(bytes_eq(back.receipt, rows[i].receipt) && back.started == rows[i].started);
        size_t tail = rows[i].reply == CALL_REFUSED ? 0 : rows[i].bytes.n;
        for (size_t n = 0; n + tail < b.n; n++)
            cr_assert_eq(call_read_answer(bytes_of(b.p, n), &back), ERR_FORM, "%zu of %zu", n, b.n);
        buf_close(&b);
        buf_close(&again);
    }
}

Test(callwire, a_long_sentence_is_cut_at_a_character)
{
    struct buf long_text = {0}, b = {0};
    struct call_answer back;
    buf_put_str(&long_text, "a");
    while (long_text.n < 3 * CALL_TEXT_MAX)
        buf_put_str(&long_text, "\xc3\xa9");
    call_put_answer(&b, &(struct call_answer){.reply = CALL_REFUSED, .refusal = CALL_BUSY, .text = buf_view(&long_text)});
    cr_assert_eq(call_read_answer(buf_view(&b), &back), ERR_OK);
    cr_assert_eq(back.text.n, CALL_TEXT_MAX - 1);
    buf_close(&long_text);
    buf_close(&b);
}

Test(callwire, garbage_is_refused_or_read)
{
    static const uint8_t seed[32] = {7};
    struct rng rng;
    rng_init(&rng, seed);
    for (size_t i = 0; i < 20000; i++) {
        uint8_t junk[120];
        size_t n = (size_t)rng_below(&rng, sizeof junk + 1);
        struct call_question q;
        struct call_answer a;
        rng_bytes(&rng, junk, n);
        if (n > 0)
            junk[0] = (uint8_t)rng_below(&rng, 6);
        (void)!call_read_question(bytes_of(junk, n), &q);
        if (call_read_answer(bytes_of(junk, n), &a) == ERR_OK)
            cr_assert(a.bytes.n <= n && a.receipt.n <= n && a.text.n <= n);
    }
}
