/*
 * Encoding and decoding of calls over a sticky bounded reader.
 */
#include "node/callwire.h"

#include "node/receipt.h"

#include <assert.h>
#include <string.h>

struct reader {
    const uint8_t *p, *end;
    bool bad;
};

static uint64_t take(struct reader *r, unsigned width)
{
    assert(width >= 1 && width <= 8 && r->p <= r->end);
    if (r->bad || (size_t)(r->end - r->p) < width) {
        r->bad = true;
        return 0;
    }
    uint64_t v = get_be(r->p, width);
    r->p += width;
    return v;
}

static struct bytes take_bytes(struct reader *r, size_t n)
{
    if (r->bad || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        return (struct bytes){0};
    }
    struct bytes out = bytes_of(r->p, n);
    r->p += n;
    return out;
}

static void take_id(struct reader *r, struct id *out)
{
    struct bytes b = take_bytes(r, ID_BYTES);
    if (b.p != NULL)
        memcpy(out->b, b.p, ID_BYTES);
}

static bool take_flag(struct reader *r)
{
    uint64_t v = take(r, 1);
    r->bad = r->bad || v > 1;
    return v == 1;
}

static struct bytes take_text(struct reader *r)
{
    size_t n = (size_t)take(r, 2);
    struct bytes b = take_bytes(r, n);
    if (n > CALL_TEXT_MAX || !utf8_valid(b))
        r->bad = true;
    return b;
}

static struct bytes take_rest(struct reader *r)
{
    assert(r->p <= r->end);
    return take_bytes(r, (size_t)(r->end - r->p));
}

static void put_text(struct buf *out, struct bytes text)
{
    size_t n = text.n < CALL_TEXT_MAX ? text.n : CALL_TEXT_MAX;
    while (n > 0 && n < text.n && (text.p[n] & 0xc0) == 0x80)
        n--;
    struct bytes cut = bytes_of(text.p, n);
    if (!utf8_valid(cut))
        cut = bytes_str("(text that is not UTF-8)");
    assert(cut.n <= CALL_TEXT_MAX);
    buf_put_be(out, cut.n, 2);
    buf_put_bytes(out, cut);
}

/* ---- questions ------------------------------------------------------------------------------------------------- */

void call_put_question(struct buf *out, const struct call_question *q)
{
    buf_put_u8(out, (uint8_t)q->ask);
    if (q->ask != CALL_INVOKE) {
        buf_put(out, q->blob.b, ID_BYTES);
        if (q->ask == CALL_BLOB_CHUNK)
            buf_put_be(out, q->index, 4);
        return;
    }
    buf_put_be(out, q->kind, 2);
    buf_put(out, q->entry.b, ID_BYTES);
    buf_put_u8(out, q->has_token ? 1 : 0);
    if (q->has_token)
        buf_put(out, q->token.b, ID_BYTES);
    buf_put_u8(out, q->stream ? 1 : 0);
    buf_put_u8(out, q->media);
    buf_put_be(out, q->within_ms, 4);
    buf_put_bytes(out, q->input);
}

enum err call_read_question(struct bytes in, struct call_question *out)
{
    struct reader r = {.p = in.p, .end = in.p + in.n};
    *out = (struct call_question){.ask = (enum call_ask)take(&r, 1)};
    if (r.bad || out->ask < CALL_INVOKE || out->ask > CALL_BLOB_CHUNK)
        return ERR_FORM;
    if (out->ask != CALL_INVOKE) {
        take_id(&r, &out->blob);
        if (out->ask == CALL_BLOB_CHUNK)
            out->index = take(&r, 4);
        return r.bad || r.p != r.end ? ERR_FORM : ERR_OK;
    }
    out->kind = take(&r, 2);
    take_id(&r, &out->entry);
    out->has_token = take_flag(&r);
    if (out->has_token)
        take_id(&r, &out->token);
    out->stream = take_flag(&r);
    out->media = (uint8_t)take(&r, 1);
    out->within_ms = take(&r, 4);
    out->input = take_rest(&r);
    return r.bad || out->media > 3 || out->input.n > API_INVOKE_INPUT_MAX ? ERR_FORM : ERR_OK;
}

/* ---- answers --------------------------------------------------------------------------------------------------- */

static void put_result(struct buf *out, const struct call_answer *a)
{
    assert(a->media <= 3);
    buf_put_u8(out, a->status);
    buf_put_u8(out, a->media);
    buf_put_u8(out, a->started ? 1 : 0);
    buf_put_u8(out, a->in_parts ? 1 : 0);
    buf_put_be(out, a->running, 2);
    buf_put_be(out, a->room, 2);
    put_text(out, a->text);
    assert(a->receipt.n <= RECEIPT_MAX);
    buf_put_be(out, a->receipt.n, 2);
    buf_put_bytes(out, a->receipt);
    buf_put_bytes(out, a->bytes);
}

void call_put_answer(struct buf *out, const struct call_answer *a)
{
    assert(a->reply >= CALL_PART && a->reply <= CALL_BLOB);
    buf_put_u8(out, (uint8_t)a->reply);
    switch (a->reply) {
    case CALL_PART:
    case CALL_BLOB:
        buf_put_bytes(out, a->bytes);
        return;
    case CALL_RESULT:
        put_result(out, a);
        return;
    case CALL_REFUSED:
        buf_put_u8(out, (uint8_t)a->refusal);
        put_text(out, a->text);
        return;
    }
}

static void read_result(struct reader *r, struct call_answer *out)
{
    out->status = (uint8_t)take(r, 1);
    out->media = (uint8_t)take(r, 1);
    out->started = take_flag(r);
    out->in_parts = take_flag(r);
    out->running = (uint16_t)take(r, 2);
    out->room = (uint16_t)take(r, 2);
    out->text = take_text(r);
    size_t n = (size_t)take(r, 2);
    out->receipt = take_bytes(r, n);
    out->bytes = take_rest(r);
    if (n > RECEIPT_MAX || out->media > 3)
        r->bad = true;
}

enum err call_read_answer(struct bytes in, struct call_answer *out)
{
    struct reader r = {.p = in.p, .end = in.p + in.n};
    uint64_t reply = take(&r, 1);
    *out = (struct call_answer){.reply = (enum call_reply)reply};
    if (r.bad || reply < CALL_PART || reply > CALL_BLOB)
        return ERR_FORM;
    if (reply == CALL_RESULT) {
        read_result(&r, out);
    } else if (reply == CALL_REFUSED) {
        uint64_t refusal = take(&r, 1);
        out->refusal = (enum call_refusal)refusal;
        out->text = take_text(&r);
        if (refusal < CALL_NOT_DEPLOYED || refusal >= CALL_REFUSALS || r.p != r.end)
            r.bad = true;
    } else {
        out->bytes = take_rest(&r);
    }
    return r.bad ? ERR_FORM : ERR_OK;
}
