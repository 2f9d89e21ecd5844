/*
 * What a job reads: the disk under the rows that the job itself has put or deleted. Owns the merging of the two orders;
 * knows nothing of what the rows mean.
 */
#include "store/work.h"

#include <assert.h>

enum { GONE = 0, PUT = 1 };

static void fault(struct work *w, enum err e)
{
    if (e != ERR_OK && w->fault == ERR_OK)
        w->fault = e;
}

bool work_get(struct work *w, struct bytes key)
{
    buf_reset(&w->row);
    enum err e = w->kv->ops->get(w->kv, NULL, key, &w->row);
    if (e != ERR_NOT_FOUND)
        fault(w, e);
    return e == ERR_OK;
}

static void overlay_write(struct work *w)
{
    enum err e = w->overlay->ops->write(w->overlay, &w->step);
    assert(e == ERR_OK);
    fault(w, e);
    kv_batch_reset(&w->step);
}

void overlay_put(struct work *w, const struct dbkey *key, struct bytes value)
{
    assert(key->n > 1);
    buf_reset(&w->scratch);
    buf_put_u8(&w->scratch, PUT);
    buf_put_bytes(&w->scratch, value);
    kv_batch_put(&w->step, dbkey_view(key), buf_view(&w->scratch));
    overlay_write(w);
}

void overlay_delete(struct work *w, const struct dbkey *key)
{
    assert(key->n > 1);
    const uint8_t gone = GONE;
    kv_batch_put(&w->step, dbkey_view(key), bytes_of(&gone, 1));
    overlay_write(w);
}

bool overlay_get(struct work *w, const struct dbkey *key, struct buf *value)
{
    buf_reset(&w->row);
    if (w->overlay->ops->get(w->overlay, NULL, dbkey_view(key), &w->row) == ERR_OK) {
        if (w->row.p[0] == GONE)
            return false;
        buf_put(value, w->row.p + 1, w->row.n - 1);
        return true;
    }
    if (!work_get(w, dbkey_view(key)))
        return false;
    buf_put_bytes(value, buf_view(&w->row));
    return true;
}

static bool seek(struct kv *kv, struct kv_iter *it, struct bytes from, enum direction d)
{
    return d == UP ? kv->ops->seek(it, from) : kv->ops->seek_back(it, from);
}

static bool step(struct kv *kv, struct kv_iter *it, enum direction d)
{
    return d == UP ? kv->ops->next(it) : kv->ops->prev(it);
}

void scan_open(struct scan *c, struct work *w, const struct dbkey *prefix, const struct dbkey *from, enum direction d)
{
    *c = (struct scan){.work = w, .direction = d};
    c->disk = w->kv->ops->iter(w->kv, NULL, dbkey_view(prefix));
    c->over = w->overlay->ops->iter(w->overlay, NULL, dbkey_view(prefix));
    c->on_disk = seek(w->kv, c->disk, dbkey_view(from), d);
    c->on_over = seek(w->overlay, c->over, dbkey_view(from), d);
}

/* <0: the disk's key comes first, 0: the same key, >0: the overlay's. At least one is there. */
static int compare(const struct scan *c)
{
    assert(c->on_disk || c->on_over);
    if (!c->on_disk || !c->on_over)
        return c->on_disk ? -1 : 1;
    const struct work *w = c->work;
    int order = bytes_cmp(w->kv->ops->key(c->disk), w->overlay->ops->key(c->over));
    return c->direction == UP ? order : -order;
}

static void leave(struct scan *c)
{
    assert(c->begun);
    if (c->at_disk)
        c->on_disk = step(c->work->kv, c->disk, c->direction);
    if (c->at_over)
        c->on_over = step(c->work->overlay, c->over, c->direction);
}

bool scan_next(struct scan *c)
{
    const struct work *w = c->work;
    for (;; c->begun = true) {
        if (c->begun)
            leave(c);
        if (!c->on_disk && !c->on_over)
            return c->at_disk = c->at_over = false;
        int order = compare(c);
        c->at_disk = order <= 0;
        c->at_over = order >= 0;
        c->begun = true;
        if (!c->at_over) {
            c->key = w->kv->ops->key(c->disk);
            c->value = w->kv->ops->value(c->disk);
            return true;
        }
        struct bytes value = w->overlay->ops->value(c->over);
        if (value.p[0] == GONE)
            continue;
        c->key = w->overlay->ops->key(c->over);
        c->value = bytes_of(value.p + 1, value.n - 1);
        return true;
    }
}

void scan_close(struct scan *c)
{
    fault(c->work, c->work->kv->ops->iter_close(c->disk));
    fault(c->work, c->work->overlay->ops->iter_close(c->over));
}
