/*
 * Reading and writing the parts of a reconciliation frame. Owns the checks that one part can fail by itself (and the rise
 * of bounds); refuses to know what a range means.
 */
#include "net/recon_frame.h"

#include <assert.h>
#include <string.h>

bool recon_fail(struct recon_reader *r, const char *why)
{
    if (r->why == NULL)
        r->why = why;
    return false;
}

bool recon_read_varint(struct recon_reader *r, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < r->left; i++) {
        if (i == 0 && r->p[0] == 0x80)
            return recon_fail(r, "a varint is longer than it need be");
        if (v >> 57 != 0)
            return recon_fail(r, "a varint is above 64 bits");
        v = v << 7 | (r->p[i] & 0x7f);
        if ((r->p[i] & 0x80) == 0) {
            r->p += i + 1;
            r->left -= i + 1;
            *out = v;
            return true;
        }
    }
    return recon_fail(r, "the frame ends within a varint");
}

bool recon_read_bytes(struct recon_reader *r, size_t n, const uint8_t **out)
{
    if (n > r->left)
        return recon_fail(r, "the frame ends within a range");
    *out = r->p;
    r->p += n;
    r->left -= n;
    return true;
}

static bool read_time(struct recon_reader *r, uint64_t *out)
{
    uint64_t v;
    if (!recon_read_varint(r, &v))
        return false;
    if (v == 0)
        *out = RECON_TIME_INFINITE;
    else if (v - 1 >= RECON_TIME_INFINITE - r->last.item.time) /* also: nothing finite comes after infinity */
        return recon_fail(r, "a bound's time is above 64 bits");
    else
        *out = r->last.item.time + (v - 1);
    return true;
}

/* Bounds rise, so the ranges of a frame never overlap. */
bool recon_read_bound(struct recon_reader *r, struct recon_bound *out)
{
    uint64_t len;
    const uint8_t *prefix;
    struct recon_bound b = {.len = 0};
    if (!read_time(r, &b.item.time) || !recon_read_varint(r, &len))
        return false;
    if (len > ID_BYTES || (len > 0 && b.item.time == RECON_TIME_INFINITE))
        return recon_fail(r, "a bound's id is longer than allowed");
    if (!recon_read_bytes(r, (size_t)len, &prefix))
        return false;
    b.len = (size_t)len;
    memcpy(b.item.id.b, prefix, b.len);
    int order = item_cmp(&r->last.item, &b.item);
    if (order > 0 || (order == 0 && !r->empty_ranges))
        return recon_fail(r, "bounds do not rise");
    *out = r->last = b;
    return true;
}

void recon_put_varint(struct buf *out, uint64_t v)
{
    unsigned shift = 0;
    while (shift < 63 && v >> (shift + 7) != 0)
        shift += 7;
    for (; shift > 0; shift -= 7)
        buf_put_u8(out, (uint8_t)(0x80 | (v >> shift & 0x7f)));
    buf_put_u8(out, (uint8_t)(v & 0x7f));
}

void recon_put_bound(struct buf *out, uint64_t *last_time, const struct recon_bound *b)
{
    assert(b->len <= ID_BYTES && b->item.time >= *last_time);
    recon_put_varint(out, b->item.time == RECON_TIME_INFINITE ? 0 : b->item.time - *last_time + 1);
    *last_time = b->item.time;
    recon_put_varint(out, b->len);
    buf_put(out, b->item.id.b, b->len);
}

struct recon_bound recon_between(const struct item *a, const struct item *b)
{
    struct recon_bound out = {.item = {.time = b->time}};
    if (a->time == b->time) {
        size_t same = 0;
        while (same < ID_BYTES - 1 && a->id.b[same] == b->id.b[same])
            same++;
        out.len = same + 1;
        memcpy(out.item.id.b, b->id.b, out.len);
    }
    assert(item_cmp(a, &out.item) < 0 && item_cmp(&out.item, b) <= 0);
    return out;
}
