/*
 * The batch of kv.h: a log of puts and deletes in one buffer, so that building one costs no allocation a key and a
 * back end copies it once. Owns the record layout of the log; knows nothing of what keys mean.
 */
#include "store/kv.h"

#include <assert.h>
#include <string.h>

enum { RECORD_PUT = 1, RECORD_DELETE = 2, RECORD_HEADER = 9 };

static void append(struct kv_batch *b, uint8_t op, struct bytes key, struct bytes value)
{
    assert(key.n > 0 && key.n <= KV_KEY_MAX);
    assert(value.n <= KV_VALUE_MAX);
    uint8_t *p = buf_grow(&b->log, RECORD_HEADER + key.n + value.n);
    p[0] = op;
    put_be(p + 1, key.n, 4);
    put_be(p + 5, value.n, 4);
    memcpy(p + RECORD_HEADER, key.p, key.n);
    if (value.n > 0)
        memcpy(p + RECORD_HEADER + key.n, value.p, value.n);
    b->log.n += RECORD_HEADER + key.n + value.n;
    b->count++;
}

void kv_batch_put(struct kv_batch *b, struct bytes key, struct bytes value)
{
    append(b, RECORD_PUT, key, value);
}

void kv_batch_delete(struct kv_batch *b, struct bytes key)
{
    append(b, RECORD_DELETE, key, (struct bytes){NULL, 0});
}

void kv_batch_reset(struct kv_batch *b)
{
    buf_reset(&b->log);
    b->count = 0;
}

void kv_batch_close(struct kv_batch *b)
{
    buf_close(&b->log);
    b->count = 0;
}

bool kv_batch_next(const struct kv_batch *b, size_t *at, struct bytes *key, struct bytes *value)
{
    assert(*at <= b->log.n);
    if (*at == b->log.n)
        return false;
    const uint8_t *p = b->log.p + *at;
    assert(p[0] == RECORD_PUT || p[0] == RECORD_DELETE);
    size_t key_n = get_be(p + 1, 4), value_n = get_be(p + 5, 4);
    *key = bytes_of(p + RECORD_HEADER, key_n);
    *value = p[0] == RECORD_PUT ? bytes_of(p + RECORD_HEADER + key_n, value_n) : (struct bytes){NULL, 0};
    *at += RECORD_HEADER + key_n + value_n;
    assert(*at <= b->log.n);
    return true;
}
