/*
 * The back end in memory: a skip list of keys, each with a chain of versions, newest first. A version is kept while
 * a snapshot or an iterator may still look at it; keys that only hold history are swept when the last one closes.
 * Deterministic: the heights come from a counter, never from addresses or the system. For one thread.
 */
#include "crdt/alloc.h"
#include "store/kv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { HEIGHT_MAX = 16 };

struct version {
    struct version *older;
    uint64_t seq;
    bool deleted;
    uint32_t n;
    uint8_t p[];
};

struct node {
    struct version *newest;
    struct node *sweep;   /* next in the list of keys with history; self-terminated by `queued` */
    uint16_t key_n;
    uint8_t height;
    bool queued;
    struct node *next[];  /* `height` links, then the key */
};

struct mem {
    struct kv kv;
    struct node *head;
    uint64_t seq;         /* of the newest batch */
    uint64_t heights;     /* state of the height generator */
    size_t views;         /* snapshots and iterators alive */
    struct node *sweep;   /* keys with more than one version, or deleted */
    uint64_t bytes;
};

struct kv_snapshot {
    uint64_t seq;
};

struct kv_iter {
    struct mem *mem;
    uint64_t seq;
    struct bytes prefix;  /* of `owned` */
    uint8_t *owned;
    struct node *at;      /* NULL: not positioned */
    const struct version *version;
};

static struct mem *mem_of(struct kv *kv)
{
    return (struct mem *)kv;
}

static struct bytes node_key(const struct node *n)
{
    return bytes_of(&n->next[n->height], n->key_n);
}

static struct node *node_new(struct bytes key, unsigned height)
{
    size_t size = sizeof(struct node) + height * sizeof(struct node *) + key.n;
    struct node *n = mem_zalloc(size);
    n->height = (uint8_t)height;
    n->key_n = (uint16_t)key.n;
    if (key.n > 0)
        memcpy(&n->next[height], key.p, key.n);
    return n;
}

/* One in four keys reaches the next level: two bits of a splitmix64 sequence a level. */
static unsigned next_height(struct mem *m)
{
    uint64_t x = m->heights += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    unsigned height = 1;
    while (height < HEIGHT_MAX && (x & 3) == 0) {
        height++;
        x >>= 2;
    }
    return height;
}

/* The last node with key < `key` on every level (into path, if given) and on level 0 (returned; may be the head). */
static struct node *find_before(const struct mem *m, struct bytes key, struct node **path)
{
    struct node *n = m->head;
    for (unsigned level = HEIGHT_MAX; level-- > 0;) {
        while (n->next[level] != NULL && bytes_cmp(node_key(n->next[level]), key) < 0)
            n = n->next[level];
        if (path != NULL)
            path[level] = n;
    }
    return n;
}

static const struct version *visible(const struct node *n, uint64_t seq)
{
    const struct version *v = n->newest;
    while (v != NULL && v->seq > seq)
        v = v->older;
    return v == NULL || v->deleted ? NULL : v;
}

static void drop_versions(struct mem *m, struct version *v)
{
    while (v != NULL) {
        struct version *older = v->older;
        m->bytes -= v->n;
        free(v);
        v = older;
    }
}

static void unlink_node(struct mem *m, struct node *n)
{
    struct node *path[HEIGHT_MAX];
    struct node *before = find_before(m, node_key(n), path);
    assert(before->next[0] == n);
    for (unsigned level = 0; level < n->height; level++)
        path[level]->next[level] = n->next[level];
    drop_versions(m, n->newest);
    m->bytes -= sizeof *n + n->key_n;
    free(n);
}

static void sweep(struct mem *m)
{
    assert(m->views == 0);
    while (m->sweep != NULL) {
        struct node *n = m->sweep;
        m->sweep = n->sweep;
        n->queued = false;
        drop_versions(m, n->newest->older);
        n->newest->older = NULL;
        if (n->newest->deleted)
            unlink_node(m, n);
    }
}

static void view_closed(struct mem *m)
{
    assert(m->views > 0);
    if (--m->views == 0)
        sweep(m);
}

static void queue_sweep(struct mem *m, struct node *n)
{
    if (n->queued)
        return;
    n->queued = true;
    n->sweep = m->sweep;
    m->sweep = n;
}

static struct node *find_or_insert(struct mem *m, struct bytes key)
{
    struct node *path[HEIGHT_MAX];
    struct node *n = find_before(m, key, path)->next[0];
    if (n != NULL && bytes_eq(node_key(n), key))
        return n;
    n = node_new(key, next_height(m));
    for (unsigned level = 0; level < n->height; level++) {
        n->next[level] = path[level]->next[level];
        path[level]->next[level] = n;
    }
    m->bytes += sizeof *n + key.n;
    return n;
}

static void set(struct mem *m, struct bytes key, struct bytes value)
{
    struct node *n = find_or_insert(m, key);
    struct version *v = mem_alloc(sizeof *v + value.n);
    *v = (struct version){.older = n->newest, .seq = m->seq, .deleted = value.p == NULL, .n = (uint32_t)value.n};
    if (value.n > 0)
        memcpy(v->p, value.p, value.n);
    n->newest = v;
    m->bytes += value.n;
    if (v->older != NULL || v->deleted)
        queue_sweep(m, n);
}

static enum err mem_write(struct kv *kv, const struct kv_batch *batch)
{
    struct mem *m = mem_of(kv);
    struct bytes key, value;
    m->seq++;
    for (size_t at = 0; kv_batch_next(batch, &at, &key, &value);)
        set(m, key, value);
    if (m->views == 0)
        sweep(m);
    return ERR_OK;
}

static enum err mem_get(struct kv *kv, const struct kv_snapshot *snap, struct bytes key, struct buf *out)
{
    const struct mem *m = mem_of(kv);
    const struct node *n = find_before(m, key, NULL)->next[0];
    if (n == NULL || !bytes_eq(node_key(n), key))
        return ERR_NOT_FOUND;
    const struct version *v = visible(n, snap == NULL ? m->seq : snap->seq);
    if (v == NULL)
        return ERR_NOT_FOUND;
    buf_put(out, v->p, v->n);
    return ERR_OK;
}

static struct kv_snapshot *mem_snapshot(struct kv *kv)
{
    struct mem *m = mem_of(kv);
    struct kv_snapshot *s = mem_zalloc(sizeof *s);
    s->seq = m->seq;
    m->views++;
    return s;
}

static void mem_release(struct kv *kv, struct kv_snapshot *s)
{
    if (s == NULL)
        return;
    free(s);
    view_closed(mem_of(kv));
}

static struct kv_iter *mem_iter(struct kv *kv, const struct kv_snapshot *snap, struct bytes prefix)
{
    struct mem *m = mem_of(kv);
    struct kv_iter *it = mem_zalloc(sizeof *it);
    it->mem = m;
    it->seq = snap == NULL ? m->seq : snap->seq;
    it->owned = mem_dup(prefix.p, prefix.n);
    it->prefix = bytes_of(it->owned, prefix.n);
    m->views++;
    return it;
}

static bool has_prefix(const struct kv_iter *it, const struct node *n)
{
    struct bytes key = node_key(n);
    return key.n >= it->prefix.n && (it->prefix.n == 0 || memcmp(key.p, it->prefix.p, it->prefix.n) == 0);
}

static bool settle_forward(struct kv_iter *it, struct node *n)
{
    for (; n != NULL && has_prefix(it, n); n = n->next[0]) {
        it->version = visible(n, it->seq);
        if (it->version != NULL) {
            it->at = n;
            return true;
        }
    }
    it->at = NULL;
    return false;
}

static bool settle_back(struct kv_iter *it, struct node *n)
{
    while (n != it->mem->head && has_prefix(it, n)) {
        it->version = visible(n, it->seq);
        if (it->version != NULL) {
            it->at = n;
            return true;
        }
        n = find_before(it->mem, node_key(n), NULL);
    }
    it->at = NULL;
    return false;
}

static bool mem_seek(struct kv_iter *it, struct bytes key)
{
    struct bytes from = bytes_cmp(key, it->prefix) < 0 ? it->prefix : key;
    return settle_forward(it, find_before(it->mem, from, NULL)->next[0]);
}

/* The last node whose key is <= `key`; the head if there is none. */
static struct node *find_back(struct kv_iter *it, struct bytes key)
{
    struct node *n = find_before(it->mem, key, NULL);
    if (n->next[0] != NULL && bytes_eq(node_key(n->next[0]), key))
        return n->next[0];
    return n;
}

/* The first key after every key with this prefix; false if there is none (the prefix is all 0xff). */
static bool prefix_end(struct bytes prefix, uint8_t out[KV_KEY_MAX], size_t *n)
{
    assert(prefix.n <= KV_KEY_MAX);
    for (*n = prefix.n; *n > 0; --*n) {
        if (prefix.p[*n - 1] == 0xff)
            continue;
        memcpy(out, prefix.p, *n);
        out[*n - 1]++;
        return true;
    }
    return false;
}

static bool mem_seek_back(struct kv_iter *it, struct bytes key)
{
    uint8_t end[KV_KEY_MAX];
    size_t end_n;
    if (prefix_end(it->prefix, end, &end_n) && bytes_cmp(key, bytes_of(end, end_n)) >= 0)
        return settle_back(it, find_before(it->mem, bytes_of(end, end_n), NULL));
    return settle_back(it, find_back(it, key));
}

static bool mem_next(struct kv_iter *it)
{
    assert(it->at != NULL);
    return settle_forward(it, it->at->next[0]);
}

static bool mem_prev(struct kv_iter *it)
{
    assert(it->at != NULL);
    return settle_back(it, find_before(it->mem, node_key(it->at), NULL));
}

static struct bytes mem_key(const struct kv_iter *it)
{
    assert(it->at != NULL);
    return node_key(it->at);
}

static struct bytes mem_value(const struct kv_iter *it)
{
    assert(it->at != NULL);
    return bytes_of(it->version->p, it->version->n);
}

static enum err mem_iter_close(struct kv_iter *it)
{
    if (it == NULL)
        return ERR_OK;
    struct mem *m = it->mem;
    free(it->owned);
    free(it);
    view_closed(m);
    return ERR_OK;
}

static uint64_t mem_bytes(struct kv *kv)
{
    return mem_of(kv)->bytes;
}

static enum err mem_reopen(struct kv *kv)
{
    (void)kv;
    return ERR_OK;
}

static void mem_close(struct kv *kv)
{
    if (kv == NULL)
        return;
    struct mem *m = mem_of(kv);
    assert(m->views == 0);
    struct node *n = m->head;
    while (n != NULL) {
        struct node *next = n->next[0];
        drop_versions(m, n->newest);
        free(n);
        n = next;
    }
    free(m);
}

static const struct kv_ops mem_ops = {
    .get = mem_get, .write = mem_write, .snapshot = mem_snapshot, .release = mem_release,
    .iter = mem_iter, .seek = mem_seek, .seek_back = mem_seek_back, .next = mem_next, .prev = mem_prev,
    .key = mem_key, .value = mem_value, .iter_close = mem_iter_close,
    .bytes = mem_bytes, .reopen = mem_reopen, .close = mem_close,
};

struct kv *kv_mem_new(void)
{
    struct mem *m = mem_zalloc(sizeof *m);
    m->kv.ops = &mem_ops;
    m->head = node_new((struct bytes){NULL, 0}, HEIGHT_MAX);
    return &m->kv;
}
