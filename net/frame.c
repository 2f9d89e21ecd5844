/*
 * Taking records apart and putting them together, with the implicit rekey that both ends count alike. A message that its
 * type's bound forbids is refused at the first part that exceeds it, before anything more is kept.
 */
#include "net/frame.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { PART_LAST = 0, PART_MORE = 1 };
enum { KEEP_BYTES = 128 << 10 };

/* PROTOCOL 1.4: After the record that brings a direction to 2^20 records or 2^30 bytes since its last key, both ends rekey that direction and count from zero. */
static void count_record(struct frame_seal *s, size_t bytes)
{
    s->records++;
    s->bytes += bytes;
    if (s->records >= FRAME_REKEY_RECORDS || s->bytes >= FRAME_REKEY_BYTES) {
        noise_rekey(&s->cipher);
        s->records = s->bytes = 0;
    }
}

void frame_in_close(struct frame_in *f)
{
    buf_close(&f->raw);
    buf_close(&f->message);
    sodium_memzero(f, sizeof *f);
}

void frame_in_feed(struct frame_in *f, struct bytes in)
{
    assert(f->at <= f->raw.n);
    buf_drop(&f->raw, f->at);
    f->at = 0;
    buf_put_bytes(&f->raw, in);
}

bool frame_in_partial(const struct frame_in *f)
{
    return f->at < f->raw.n || (f->message.n > 0 && !f->given);
}

/* Room for one more part: doubled as it grows, but never beyond what the message's type allows. */
static void make_room(struct frame_in *f, size_t part)
{
    if (f->message.n == 0 || f->message.cap - f->message.n >= part)
        return;
    size_t most = f->limit(f->message.p[0]) + part;
    assert(f->message.n <= most - part);
    if (f->message.cap > most / 2) {
        f->message.p = mem_realloc(f->message.p, most, 1);
        f->message.cap = most;
    }
}

static enum frame_result add_part(struct frame_in *f, struct bytes record)
{
    size_t from = f->message.n;
    make_room(f, record.n);
    if (!noise_open(&f->seal.cipher, bytes_of(NULL, 0), record, &f->message))
        return FRAME_BAD_TAG;
    count_record(&f->seal, record.n);
    size_t n = f->message.n - from;
    if (n < 2)
        return FRAME_BAD_FORM;
    uint8_t flag = f->message.p[from];
    memmove(f->message.p + from, f->message.p + from + 1, n - 1);
    f->message.n--;
    if (flag != PART_LAST && flag != PART_MORE)
        return FRAME_BAD_FORM;
    if (f->message.n > f->limit(f->message.p[0]))
        return FRAME_TOO_LARGE;
    return flag == PART_LAST ? FRAME_MESSAGE : FRAME_MORE;
}

/* One record if there is one. */
static bool take_record(struct frame_in *f, struct bytes *record)
{
    size_t left = f->raw.n - f->at;
    if (left < FRAME_HEAD_BYTES)
        return false;
    size_t n = (size_t)get_be(f->raw.p + f->at, FRAME_HEAD_BYTES);
    if (left < FRAME_HEAD_BYTES + n)
        return false;
    *record = bytes_of(f->raw.p + f->at + FRAME_HEAD_BYTES, n);
    f->at += FRAME_HEAD_BYTES + n;
    return true;
}

/* The length alone shows that a record in the clear is too long: it is not waited for. */
static bool clear_too_large(const struct frame_in *f)
{
    return !f->sealed && f->raw.n - f->at >= FRAME_HEAD_BYTES &&
           get_be(f->raw.p + f->at, FRAME_HEAD_BYTES) > f->clear_max;
}

enum frame_result frame_in_next(struct frame_in *f, struct bytes *message)
{
    struct bytes record;
    if (f->given) {
        if (f->message.cap > KEEP_BYTES)
            buf_close(&f->message); /* many connections, each with the memory of its largest message, would be much */
        buf_reset(&f->message);
        f->given = false;
    }
    for (;;) {
        if (clear_too_large(f))
            return FRAME_TOO_LARGE;
        if (!take_record(f, &record))
            return FRAME_MORE;
        if (record.n == 0)
            return FRAME_BAD_FORM;
        if (!f->sealed) {
            *message = record;
            return FRAME_MESSAGE;
        }
        enum frame_result r = add_part(f, record);
        if (r == FRAME_MORE)
            continue;
        if (r == FRAME_MESSAGE) {
            f->given = true;
            *message = buf_view(&f->message);
            assert(message->n > 0);
        }
        return r;
    }
}

void frame_out_clear(struct buf *out, struct bytes record)
{
    assert(record.n > 0 && record.n <= NOISE_RECORD_MAX);
    buf_put_be(out, record.n, FRAME_HEAD_BYTES);
    buf_put_bytes(out, record);
}

/* Up to n bytes of head, then of tail. */
static void take_chunk(struct bytes *head, struct bytes *tail, size_t n, struct buf *chunk)
{
    struct bytes *parts[2] = {head, tail};
    for (size_t i = 0; i < 2; i++) {
        size_t take = parts[i]->n < n ? parts[i]->n : n;
        if (take == 0)
            continue;
        buf_put(chunk, parts[i]->p, take);
        *parts[i] = bytes_of(parts[i]->p + take, parts[i]->n - take);
        n -= take;
    }
}

void frame_out_message(struct frame_seal *seal, struct bytes head, struct bytes tail, struct buf *out)
{
    struct buf chunk = {0};
    assert(head.n + tail.n > 0 && seal->cipher.keyed);
    while (head.n + tail.n > 0) {
        size_t n = head.n + tail.n < FRAME_CHUNK_MAX ? head.n + tail.n : FRAME_CHUNK_MAX;
        buf_reset(&chunk);
        buf_put_u8(&chunk, n == head.n + tail.n ? PART_LAST : PART_MORE);
        take_chunk(&head, &tail, n, &chunk);
        assert(chunk.n == n + 1);
        buf_put_be(out, chunk.n + NOISE_TAG_BYTES, FRAME_HEAD_BYTES);
        noise_seal(&seal->cipher, bytes_of(NULL, 0), buf_view(&chunk), out);
        count_record(seal, chunk.n + NOISE_TAG_BYTES);
    }
    buf_close(&chunk);
}
