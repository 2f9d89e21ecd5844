/*
 * See shadow.h. A back end of kv.h in front of two others; refuses nothing and owns only the memory.
 */
#include "store/shadow.h"

#include "crdt/alloc.h"
#include "store/keys.h"

#include <assert.h>
#include <stdlib.h>

struct shadow {
    struct kv kv;
    struct kv *original, *mem;
    const struct kv_snapshot *at; /* of the original */
    struct kv_batch kept;
};

struct kv_iter {
    struct kv *of;
    struct kv_iter *inner;
};

static struct kv *source(struct kv *kv, struct bytes key)
{
    const struct shadow *s = (const struct shadow *)kv;
    return key.n > 0 && key.p[0] == FAMILY_DELTA ? s->original : s->mem;
}

static const struct kv_snapshot *moment(struct kv *kv, const struct kv *of)
{
    const struct shadow *s = (const struct shadow *)kv;
    return of == s->original ? s->at : NULL;
}

static enum err shadow_get(struct kv *kv, const struct kv_snapshot *snap, struct bytes key, struct buf *out)
{
    assert(snap == NULL);
    struct kv *of = source(kv, key);
    return of->ops->get(of, moment(kv, of), key, out);
}

static enum err shadow_write(struct kv *kv, const struct kv_batch *batch)
{
    struct shadow *s = (struct shadow *)kv;
    struct bytes key, value;
    struct id hash;
    kv_batch_reset(&s->kept);
    for (size_t at = 0; kv_batch_next(batch, &at, &key, &value);) {
        if (key.p[0] == FAMILY_DELTA || key.p[0] == FAMILY_CHANGE)
            continue;
        if (value.p == NULL) {
            kv_batch_delete(&s->kept, key);
        } else if (key.p[0] == FAMILY_JSON) {
            value_hash(&hash, value);
            kv_batch_put(&s->kept, key, bytes_of(hash.b, ID_BYTES));
        } else {
            kv_batch_put(&s->kept, key, value);
        }
    }
    return s->mem->ops->write(s->mem, &s->kept);
}

static struct kv_snapshot *shadow_snapshot(struct kv *kv)
{
    (void)kv;
    return NULL; /* one thread writes and reads: now is as good as any time */
}

static void shadow_release(struct kv *kv, struct kv_snapshot *snap)
{
    (void)kv, (void)snap;
}

static struct kv_iter *shadow_iter(struct kv *kv, const struct kv_snapshot *snap, struct bytes prefix)
{
    assert(snap == NULL && prefix.n > 0);
    struct kv_iter *it = mem_zalloc(sizeof *it);
    it->of = source(kv, prefix);
    it->inner = it->of->ops->iter(it->of, moment(kv, it->of), prefix);
    return it;
}

static bool shadow_seek(struct kv_iter *it, struct bytes key)
{
    return it->of->ops->seek(it->inner, key);
}

static bool shadow_seek_back(struct kv_iter *it, struct bytes key)
{
    return it->of->ops->seek_back(it->inner, key);
}

static bool shadow_next(struct kv_iter *it)
{
    return it->of->ops->next(it->inner);
}

static bool shadow_prev(struct kv_iter *it)
{
    return it->of->ops->prev(it->inner);
}

static struct bytes shadow_key(const struct kv_iter *it)
{
    return it->of->ops->key(it->inner);
}

static struct bytes shadow_value(const struct kv_iter *it)
{
    return it->of->ops->value(it->inner);
}

static enum err shadow_iter_close(struct kv_iter *it)
{
    if (it == NULL)
        return ERR_OK;
    enum err e = it->of->ops->iter_close(it->inner);
    free(it);
    return e;
}

static uint64_t shadow_bytes(struct kv *kv)
{
    const struct shadow *s = (const struct shadow *)kv;
    return s->mem->ops->bytes(s->mem);
}

static enum err shadow_reopen(struct kv *kv)
{
    (void)kv;
    return ERR_OK;
}

static void shadow_close(struct kv *kv)
{
    struct shadow *s = (struct shadow *)kv;
    s->mem->ops->close(s->mem);
    kv_batch_close(&s->kept);
    free(s);
}

static const struct kv_ops shadow_ops = {
    .get = shadow_get, .write = shadow_write, .snapshot = shadow_snapshot, .release = shadow_release,
    .iter = shadow_iter, .seek = shadow_seek, .seek_back = shadow_seek_back, .next = shadow_next, .prev = shadow_prev,
    .key = shadow_key, .value = shadow_value, .iter_close = shadow_iter_close,
    .bytes = shadow_bytes, .reopen = shadow_reopen, .close = shadow_close,
};

struct kv *kv_shadow_new(struct kv *original, const struct kv_snapshot *at)
{
    struct shadow *s = mem_zalloc(sizeof *s);
    s->kv.ops = &shadow_ops;
    s->original = original;
    s->at = at;
    s->mem = kv_mem_new();
    return &s->kv;
}
