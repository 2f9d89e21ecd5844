/*
 * Receipts on disk: kept by id, newest first, the oldest deleted beyond a number. They are this node's own and touch nothing
 * else of the store. Knows nothing of what a receipt says.
 */
#include "store/work.h"

#include <assert.h>
#include <string.h>

#define COUNT_ROW "receipts"

static void key_of(struct dbkey *k, const uint8_t id[STORE_RECEIPT_ID])
{
    uint8_t inverted[STORE_RECEIPT_ID];
    for (size_t i = 0; i < sizeof inverted; i++)
        inverted[i] = (uint8_t)~id[i];
    dbkey_start(k, FAMILY_RECEIPT);
    dbkey_add(k, inverted, sizeof inverted);
}

static bool id_of(struct bytes key, uint8_t id[STORE_RECEIPT_ID])
{
    if (key.n != 1 + STORE_RECEIPT_ID)
        return false;
    for (size_t i = 0; i < STORE_RECEIPT_ID; i++)
        id[i] = (uint8_t)~key.p[1 + i];
    return true;
}

static enum err load_count(struct kv *kv, uint64_t *out)
{
    struct dbkey key;
    struct buf row = {0};
    dbkey_meta(&key, COUNT_ROW);
    enum err e = kv->ops->get(kv, NULL, dbkey_view(&key), &row);
    *out = e == ERR_OK && row.n == 8 ? get_be(row.p, 8) : 0;
    if (e == ERR_OK && row.n != 8)
        e = ERR_CORRUPT;
    buf_close(&row);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* Is the id, for the first time in the list, one that is not on disk yet? */
static enum err is_new(struct kv *kv, const struct store_receipt *list, size_t i, bool *out)
{
    struct dbkey key;
    struct buf old = {0};
    *out = false;
    for (size_t k = 0; k < i; k++)
        if (memcmp(list[k].id, list[i].id, STORE_RECEIPT_ID) == 0)
            return ERR_OK;
    key_of(&key, list[i].id);
    enum err e = kv->ops->get(kv, NULL, dbkey_view(&key), &old);
    buf_close(&old);
    *out = e == ERR_NOT_FOUND;
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* Deletes up to `excess` of the oldest that are on disk; *gone says how many. */
static enum err drop_oldest(struct kv *kv, struct kv_batch *batch, uint64_t excess, uint64_t *gone)
{
    struct dbkey last;
    dbkey_start(&last, FAMILY_RECEIPT);
    const struct dbkey prefix = last;
    dbkey_last(&last);
    struct kv_iter *it = kv->ops->iter(kv, NULL, dbkey_view(&prefix));
    bool more = kv->ops->seek_back(it, dbkey_view(&last));
    for (*gone = 0; more && *gone < excess; ++*gone) {
        kv_batch_delete(batch, kv->ops->key(it));
        more = kv->ops->prev(it);
    }
    return kv->ops->iter_close(it);
}

enum err store_receipts_put(struct store *s, const struct store_receipt *list, size_t count, uint64_t keep)
{
    struct kv_batch batch = {0};
    struct dbkey key;
    uint64_t total, gone = 0;
    uint8_t row[8];
    assert(count > 0 && keep > 0);
    enum err e = load_count(s->kv, &total);
    for (size_t i = 0; i < count && e == ERR_OK; i++) {
        bool fresh;
        e = is_new(s->kv, list, i, &fresh);
        total += e == ERR_OK && fresh;
    }
    if (e == ERR_OK && total > keep)
        e = drop_oldest(s->kv, &batch, total - keep, &gone);
    for (size_t i = 0; i < count; i++) {
        key_of(&key, list[i].id);
        kv_batch_put(&batch, dbkey_view(&key), list[i].json);
    }
    assert(gone <= total);
    put_be(row, total - gone, sizeof row);
    dbkey_meta(&key, COUNT_ROW);
    kv_batch_put(&batch, dbkey_view(&key), bytes_of(row, sizeof row));
    if (e == ERR_OK)
        e = s->kv->ops->write(s->kv, &batch);
    kv_batch_close(&batch);
    return e;
}

enum err store_receipt(const struct store *s, const uint8_t id[STORE_RECEIPT_ID], struct buf *out)
{
    struct dbkey key;
    key_of(&key, id);
    return s->kv->ops->get(s->kv, NULL, dbkey_view(&key), out);
}

enum err store_receipts(const struct store *s, const uint8_t *before, size_t limit,
                        bool (*each)(void *ctx, const struct store_receipt *), void *ctx)
{
    struct dbkey key;
    struct store_receipt row;
    struct kv *kv = s->kv;
    dbkey_start(&key, FAMILY_RECEIPT);
    struct kv_iter *it = kv->ops->iter(kv, NULL, dbkey_view(&key));
    if (before != NULL)
        key_of(&key, before);
    bool more = kv->ops->seek(it, dbkey_view(&key));
    if (more && before != NULL && bytes_eq(kv->ops->key(it), dbkey_view(&key)))
        more = kv->ops->next(it);
    for (size_t n = 0; more && n < limit; n++) {
        row.json = kv->ops->value(it);
        if (!id_of(kv->ops->key(it), row.id) || !each(ctx, &row))
            break;
        more = kv->ops->next(it);
    }
    return kv->ops->iter_close(it);
}

uint64_t store_receipt_count(const struct store *s)
{
    uint64_t count;
    return load_count(s->kv, &count) == ERR_OK ? count : 0;
}
