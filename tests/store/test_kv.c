/*
 * The contract of store/kv.h, run against both back ends: what holds in memory holds on disk.
 */
#include "crdt/alloc.h"
#include "crdt/rng.h"
#include "store/kv.h"
#include "tests/lib/tmpdir.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum backend { BACKEND_MEM, BACKEND_ROCKS };

struct fixture {
    struct kv *kv;
    enum backend backend;
    char dir[200];
};

static void open_again(struct fixture *f)
{
    struct kv_rocks_config config = {.path = f->dir, .cache_mb = 8, .write_buffer_mb = 4};
    struct buf why = {0};
    cr_assert_eq(kv_rocks_open(&f->kv, &config, &why), ERR_OK, "%s", buf_cstr(&why));
    buf_close(&why);
}

static void open_fixture(struct fixture *f, enum backend backend)
{
    *f = (struct fixture){.backend = backend};
    if (backend == BACKEND_MEM) {
        f->kv = kv_mem_new();
        return;
    }
    tmpdir_new(f->dir, sizeof f->dir);
    open_again(f);
}

static void close_fixture(struct fixture *f)
{
    f->kv->ops->close(f->kv);
    if (f->backend == BACKEND_ROCKS)
        tmpdir_remove(f->dir);
}

static void put(struct kv *kv, const char *key, const char *value)
{
    struct kv_batch b = {0};
    kv_batch_put(&b, bytes_str(key), bytes_str(value));
    cr_assert_eq(kv->ops->write(kv, &b), ERR_OK);
    kv_batch_close(&b);
}

static void drop(struct kv *kv, const char *key)
{
    struct kv_batch b = {0};
    kv_batch_delete(&b, bytes_str(key));
    cr_assert_eq(kv->ops->write(kv, &b), ERR_OK);
    kv_batch_close(&b);
}

/* "-" if the key is not there. */
static void expect(struct kv *kv, const struct kv_snapshot *snap, const char *key, const char *value)
{
    struct buf out = {0};
    enum err e = kv->ops->get(kv, snap, bytes_str(key), &out);
    if (strcmp(value, "-") == 0)
        cr_assert_eq(e, ERR_NOT_FOUND, "%s", key);
    else
        cr_assert_str_eq(buf_cstr(&out), value, "%s", key);
    buf_close(&out);
}

/* All keys of a prefix, forwards then backwards, as one string. */
static void expect_scan(struct kv *kv, const struct kv_snapshot *snap, const char *prefix, const char *keys)
{
    struct buf there = {0};
    struct kv_iter *it = kv->ops->iter(kv, snap, bytes_str(prefix));
    for (bool on = kv->ops->seek(it, bytes_str(prefix)); on; on = kv->ops->next(it)) {
        buf_put_bytes(&there, kv->ops->key(it));
        buf_put_str(&there, " ");
    }
    buf_put_str(&there, "|");
    for (bool on = kv->ops->seek_back(it, bytes_str("\xff\xff")); on; on = kv->ops->prev(it)) {
        buf_put_str(&there, " ");
        buf_put_bytes(&there, kv->ops->key(it));
    }
    cr_assert_eq(kv->ops->iter_close(it), ERR_OK);
    cr_assert_str_eq(buf_cstr(&there), keys);
    buf_close(&there);
}

#define EACH_BACKEND(name)                                                                                             \
    static void check_##name(struct fixture *f);                                                                       \
    Test(kv, name##_mem)                                                                                               \
    {                                                                                                                  \
        struct fixture f;                                                                                              \
        open_fixture(&f, BACKEND_MEM);                                                                                 \
        check_##name(&f);                                                                                              \
        close_fixture(&f);                                                                                             \
    }                                                                                                                  \
    Test(kv, name##_rocks)                                                                                             \
    {                                                                                                                  \
        struct fixture f;                                                                                              \
        open_fixture(&f, BACKEND_ROCKS);                                                                                 \
        check_##name(&f);                                                                                              \
        close_fixture(&f);                                                                                             \
    }                                                                                                                  \
    static void check_##name(struct fixture *f)

EACH_BACKEND(get_put_delete)
{
    expect(f->kv, NULL, "a", "-");
    put(f->kv, "a", "1");
    expect(f->kv, NULL, "a", "1");
    put(f->kv, "a", "2");
    expect(f->kv, NULL, "a", "2");
    drop(f->kv, "a");
    expect(f->kv, NULL, "a", "-");
    drop(f->kv, "never there");
}

EACH_BACKEND(empty_values_are_values)
{
    put(f->kv, "a", "");
    expect(f->kv, NULL, "a", "");
    expect_scan(f->kv, NULL, "a", "a | a");
}

EACH_BACKEND(the_last_of_a_batch_wins)
{
    struct kv_batch b = {0};
    kv_batch_put(&b, bytes_str("a"), bytes_str("1"));
    kv_batch_delete(&b, bytes_str("a"));
    kv_batch_put(&b, bytes_str("b"), bytes_str("1"));
    kv_batch_put(&b, bytes_str("b"), bytes_str("2"));
    kv_batch_delete(&b, bytes_str("c"));
    kv_batch_put(&b, bytes_str("c"), bytes_str("3"));
    cr_assert_eq(b.count, 6);
    cr_assert_eq(f->kv->ops->write(f->kv, &b), ERR_OK);
    kv_batch_close(&b);
    expect(f->kv, NULL, "a", "-");
    expect(f->kv, NULL, "b", "2");
    expect(f->kv, NULL, "c", "3");
}

EACH_BACKEND(order_is_bytewise_and_prefixes_bound)
{
    const char *keys[] = {"b", "a", "aa", "ab", "a\xff", "a\xff\xff", "a\x01", "c", "bb", "\xff", "\xff\xff"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put(f->kv, keys[i], "x");
    expect_scan(f->kv, NULL, "a", "a a\x01 aa ab a\xff a\xff\xff | a\xff\xff a\xff ab aa a\x01 a");
    expect_scan(f->kv, NULL, "a\xff", "a\xff a\xff\xff | a\xff\xff a\xff");
    expect_scan(f->kv, NULL, "b", "b bb | bb b");
    expect_scan(f->kv, NULL, "\xff", "\xff \xff\xff | \xff\xff \xff");
    expect_scan(f->kv, NULL, "d", "|");
}

EACH_BACKEND(seek_lands_on_the_neighbour)
{
    put(f->kv, "p1", "x");
    put(f->kv, "p3", "y");
    put(f->kv, "q", "z");
    const struct kv_ops *o = f->kv->ops;
    struct kv_iter *it = o->iter(f->kv, NULL, bytes_str("p"));
    cr_assert(o->seek(it, bytes_str("p2")));
    cr_assert(bytes_eq(o->key(it), bytes_str("p3")));
    cr_assert(bytes_eq(o->value(it), bytes_str("y")));
    cr_assert(o->prev(it));
    cr_assert(bytes_eq(o->key(it), bytes_str("p1")));
    cr_assert_not(o->prev(it));
    cr_assert_not(o->seek(it, bytes_str("p4")));
    cr_assert(o->seek_back(it, bytes_str("p3")));
    cr_assert(bytes_eq(o->key(it), bytes_str("p3")));
    cr_assert_not(o->next(it));
    cr_assert(o->seek_back(it, bytes_str("p2")));
    cr_assert(bytes_eq(o->key(it), bytes_str("p1")));
    cr_assert_not(o->seek_back(it, bytes_str("p0")));
    cr_assert_not(o->seek_back(it, bytes_str("a")));
    cr_assert(o->seek(it, bytes_str("a")));
    cr_assert(bytes_eq(o->key(it), bytes_str("p1")));
    cr_assert_eq(o->iter_close(it), ERR_OK);
}

EACH_BACKEND(a_snapshot_stands_still)
{
    put(f->kv, "a", "1");
    put(f->kv, "b", "1");
    struct kv_snapshot *old = f->kv->ops->snapshot(f->kv);
    put(f->kv, "a", "2");
    drop(f->kv, "b");
    put(f->kv, "c", "1");
    struct kv_snapshot *middle = f->kv->ops->snapshot(f->kv);
    put(f->kv, "b", "3");
    drop(f->kv, "c");
    expect(f->kv, old, "a", "1");
    expect(f->kv, old, "b", "1");
    expect_scan(f->kv, old, "", "a b | b a");
    expect_scan(f->kv, middle, "", "a c | c a");
    expect_scan(f->kv, NULL, "", "a b | b a");
    expect(f->kv, NULL, "b", "3");
    f->kv->ops->release(f->kv, old);
    expect(f->kv, middle, "b", "-");
    f->kv->ops->release(f->kv, middle);
    expect_scan(f->kv, NULL, "", "a b | b a");
}

EACH_BACKEND(an_iterator_sees_the_state_it_began_with)
{
    put(f->kv, "a", "1");
    put(f->kv, "b", "1");
    const struct kv_ops *o = f->kv->ops;
    struct kv_iter *it = o->iter(f->kv, NULL, bytes_str(""));
    cr_assert(o->seek(it, bytes_str("a")));
    drop(f->kv, "a");
    drop(f->kv, "b");
    put(f->kv, "a2", "1");
    cr_assert(bytes_eq(o->value(it), bytes_str("1")));
    cr_assert(o->next(it));
    cr_assert(bytes_eq(o->key(it), bytes_str("b")));
    cr_assert(o->prev(it));
    cr_assert(bytes_eq(o->key(it), bytes_str("a")));
    cr_assert_eq(o->iter_close(it), ERR_OK);
    expect_scan(f->kv, NULL, "", "a2 | a2");
}

EACH_BACKEND(large_values_and_long_keys)
{
    size_t n = KV_VALUE_MAX;
    uint8_t *value = mem_alloc(n), key[KV_KEY_MAX];
    struct rng rng;
    rng_seed(&rng, 7);
    rng_bytes(&rng, value, n);
    rng_bytes(&rng, key, sizeof key);
    struct kv_batch b = {0};
    kv_batch_put(&b, bytes_of(key, sizeof key), bytes_of(value, n));
    cr_assert_eq(f->kv->ops->write(f->kv, &b), ERR_OK);
    kv_batch_close(&b);
    struct buf out = {0};
    cr_assert_eq(f->kv->ops->get(f->kv, NULL, bytes_of(key, sizeof key), &out), ERR_OK);
    cr_assert(bytes_eq(buf_view(&out), bytes_of(value, n)));
    cr_assert_geq(f->kv->ops->bytes(f->kv), n);
    buf_close(&out);
    free(value);
}

/* A random walk against a plain array: 64 keys, each present or not, with a value. */
enum { WALK_KEYS = 64, WALK_STEPS = 3000 };

static void walk_key(char out[4], size_t i)
{
    out[0] = 'k';
    out[1] = (char)('a' + i / 8);
    out[2] = (char)('a' + i % 8);
    out[3] = 0;
}

static void check_walk_state(struct kv *kv, const struct kv_snapshot *snap, const uint8_t state[WALK_KEYS])
{
    const struct kv_ops *o = kv->ops;
    struct kv_iter *it = o->iter(kv, snap, bytes_str("k"));
    bool on = o->seek(it, bytes_str("k"));
    for (size_t i = 0; i < WALK_KEYS; i++) {
        if (state[i] == 0)
            continue;
        char key[4];
        walk_key(key, i);
        cr_assert(on);
        cr_assert(bytes_eq(o->key(it), bytes_str(key)));
        cr_assert(bytes_eq(o->value(it), bytes_of(&state[i], 1)));
        on = o->next(it);
    }
    cr_assert_not(on);
    cr_assert_eq(o->iter_close(it), ERR_OK);
}

EACH_BACKEND(a_random_walk_agrees_with_an_array)
{
    struct rng rng;
    rng_seed(&rng, 42);
    uint8_t state[WALK_KEYS] = {0}, frozen[WALK_KEYS];
    struct kv_snapshot *snap = NULL;
    for (size_t step = 0; step < WALK_STEPS; step++) {
        struct kv_batch b = {0};
        for (uint64_t n = 1 + rng_below(&rng, 5); n > 0; n--) {
            size_t i = rng_below(&rng, WALK_KEYS);
            char key[4];
            walk_key(key, i);
            state[i] = (uint8_t)rng_below(&rng, 3);
            if (state[i] == 0)
                kv_batch_delete(&b, bytes_str(key));
            else
                kv_batch_put(&b, bytes_str(key), bytes_of(&state[i], 1));
        }
        cr_assert_eq(f->kv->ops->write(f->kv, &b), ERR_OK);
        kv_batch_close(&b);
        if (step % 100 == 0)
            check_walk_state(f->kv, NULL, state);
        if (step % 250 == 120) {
            if (snap != NULL) {
                check_walk_state(f->kv, snap, frozen);
                f->kv->ops->release(f->kv, snap);
            }
            snap = f->kv->ops->snapshot(f->kv);
            memcpy(frozen, state, sizeof frozen);
        }
    }
    f->kv->ops->release(f->kv, snap);
}

Test(kv, rocks_keeps_what_it_acknowledged)
{
    struct fixture f;
    open_fixture(&f, BACKEND_ROCKS);
    put(f.kv, "a", "1");
    f.kv->ops->close(f.kv);
    open_again(&f);
    expect(f.kv, NULL, "a", "1");
    cr_assert_eq(f.kv->ops->reopen(f.kv), ERR_OK);
    expect(f.kv, NULL, "a", "1");
    put(f.kv, "b", "2");
    close_fixture(&f);
}

Test(kv, rocks_read_only_refuses_writes)
{
    struct fixture f;
    open_fixture(&f, BACKEND_ROCKS);
    put(f.kv, "a", "1");
    f.kv->ops->close(f.kv);
    struct kv_rocks_config config = {.path = f.dir, .cache_mb = 8, .write_buffer_mb = 4, .read_only = true};
    cr_assert_eq(kv_rocks_open(&f.kv, &config, NULL), ERR_OK);
    expect(f.kv, NULL, "a", "1");
    struct kv_batch b = {0};
    kv_batch_put(&b, bytes_str("b"), bytes_str("2"));
    cr_assert_eq(f.kv->ops->write(f.kv, &b), ERR_READ_ONLY);
    kv_batch_close(&b);
    close_fixture(&f);
}

Test(kv, rocks_says_why_it_cannot_open)
{
    struct kv *kv = NULL;
    struct kv_rocks_config config = {.path = "/proc/no/such/place", .cache_mb = 8, .write_buffer_mb = 4};
    struct buf why = {0};
    cr_assert_neq(kv_rocks_open(&kv, &config, &why), ERR_OK);
    cr_assert_gt(why.n, 0);
    buf_close(&why);
}
