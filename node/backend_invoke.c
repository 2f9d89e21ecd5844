/*
 * Receipts as the API shows them.
 */
#include "node/backend_internal.h"

#include "node/receipt.h"

#include <assert.h>
#include <string.h>

#define RECEIPTS_USE 'r'

static_assert(RECEIPT_ID_BYTES == STORE_RECEIPT_ID, "one id");

struct page {
    struct buf *out;
    size_t left, rows;
    bool more;
    uint8_t last[STORE_RECEIPT_ID];
};

static bool put_row(void *ctx, const struct store_receipt *r)
{
    struct page *p = ctx;
    if (p->left == 0) {
        p->more = true;
        return false;
    }
    if (p->rows++ > 0)
        buf_put_u8(p->out, ',');
    buf_put_bytes(p->out, r->json);
    memcpy(p->last, r->id, sizeof p->last);
    p->left--;
    return true;
}

static enum err read_cursor(struct backend *b, const struct api_call *call, uint8_t before[STORE_RECEIPT_ID])
{
    struct buf raw = {0};
    enum err e = cursor_decode(&b->env.cursors, RECEIPTS_USE, call->cursor, &raw);
    if (e == ERR_OK && raw.n != STORE_RECEIPT_ID)
        e = ERR_FORM;
    if (e == ERR_OK)
        memcpy(before, raw.p, STORE_RECEIPT_ID);
    buf_close(&raw);
    return e;
}

enum err backend_put_receipts(struct backend *b, struct api_call *call)
{
    uint8_t before[STORE_RECEIPT_ID];
    struct page p = {.out = &call->out, .left = call->limit};
    bool from = call->cursor.n > 0;
    enum err e = from ? read_cursor(b, call, before) : ERR_OK;
    if (e != ERR_OK)
        return e;
    buf_put_str(p.out, "{\"receipts\":[");
    e = store_receipts(b->store, from ? before : NULL, call->limit + 1, put_row, &p);
    buf_put_str(p.out, "],\"next_cursor\":");
    buf_put_str(p.out, p.more ? "\"" : "null");
    if (p.more) {
        cursor_encode(&b->env.cursors, RECEIPTS_USE, bytes_of(p.last, sizeof p.last), p.out);
        buf_put_u8(p.out, '"');
    }
    buf_put_u8(p.out, '}');
    return e;
}

enum err backend_put_receipt(struct backend *b, struct api_call *call)
{
    struct receipt_id id;
    return receipt_id_parse(&id, call->name) ? store_receipt(b->store, id.b, &call->out) : ERR_NOT_FOUND;
}
