/*
 * The set index against a naive sorted array: hundreds of thousands of random inserts and removals in several
 * shapes (time order, jittered, reversed, any order, few distinct times, times above 2^53), every answer
 * compared; then memory and the cost of a range at a size that shows them. LtHash against its definition.
 */
#include "crdt/setindex.h"

#include "crdt/alloc.h"
#include "crdt/rng.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct naive {
    struct item *item;
    size_t n;
};

static size_t naive_lower(const struct naive *v, const struct item *key)
{
    size_t low = 0, high = v->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (item_cmp(&v->item[mid], key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool naive_has(const struct naive *v, const struct item *x)
{
    size_t at = naive_lower(v, x);
    return at < v->n && item_cmp(&v->item[at], x) == 0;
}

static bool naive_insert(struct naive *v, const struct item *x)
{
    size_t at = naive_lower(v, x);
    if (naive_has(v, x))
        return false;
    memmove(v->item + at + 1, v->item + at, (v->n - at) * sizeof *x);
    v->item[at] = *x;
    v->n++;
    return true;
}

static bool naive_remove(struct naive *v, const struct item *x)
{
    size_t at = naive_lower(v, x);
    if (!naive_has(v, x))
        return false;
    v->n--;
    memmove(v->item + at, v->item + at + 1, (v->n - at) * sizeof *x);
    return true;
}

static void naive_sum(const struct naive *v, size_t from, size_t to, struct lthash *out)
{
    memset(out, 0, sizeof *out);
    for (size_t i = from; i < to; i++) {
        struct lthash h;
        lthash_of(&h, &v->item[i].id);
        lthash_add(out, &h);
    }
}

static struct item item_of(struct rng *r, uint64_t time)
{
    struct item x = {.time = time};
    rng_bytes(r, x.id.b, sizeof x.id.b);
    return x;
}

static void check_range(const struct setindex *s, const struct naive *v, size_t from, size_t to)
{
    struct lthash a, b;
    size_t expanded = setindex_sum(s, from, to, &a);
    cr_assert_leq(expanded, 512);
    naive_sum(v, from, to, &b);
    cr_assert_eq(memcmp(&a, &b, sizeof a), 0, "sum over [%zu, %zu) of %zu", from, to, v->n);
}

static void check_all(const struct setindex *s, const struct naive *v, struct rng *r)
{
    cr_assert_eq(setindex_count(s), v->n);
    struct item *copy = mem_calloc(v->n, sizeof *copy);
    setindex_items(s, 0, v->n, copy);
    for (size_t i = 0; i < v->n; i++)
        cr_assert_eq(item_cmp(&copy[i], &v->item[i]), 0, "item %zu of %zu", i, v->n);
    free(copy);
    size_t from = (size_t)rng_below(r, v->n + 1), to = from + (size_t)rng_below(r, v->n - from + 1);
    check_range(s, v, from, to);
    check_range(s, v, 0, v->n);
    struct item few[40];
    size_t n = to - from < 40 ? to - from : 40;
    setindex_items(s, from, n, few);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(item_cmp(&few[i], &v->item[from + i]), 0);
}

static void check_bound(const struct setindex *s, const struct naive *v, struct rng *r)
{
    struct item b = item_of(r, 0);
    if (v->n > 0) {
        b = v->item[rng_below(r, v->n)];
        size_t keep = (size_t)rng_below(r, 33); /* a prefix padded with zeros */
        memset(b.id.b + keep, 0, 32 - keep);
        b.time += rng_below(r, 2);
    }
    cr_assert_eq(setindex_lower(s, &b), naive_lower(v, &b));
}

enum shape { SHAPE_ORDER, SHAPE_JITTER, SHAPE_REVERSE, SHAPE_ANY, SHAPE_EQUAL, SHAPE_COUNT };

static uint64_t draw_time(struct rng *r, enum shape shape, uint64_t step)
{
    switch (shape) {
    case SHAPE_ORDER: return (UINT64_C(1) << 57) + step;
    case SHAPE_JITTER: return (UINT64_C(1) << 57) + 1000 + step - rng_below(r, 50);
    case SHAPE_REVERSE: return UINT64_MAX - 1 - step;
    case SHAPE_ANY: return rng_u64(r);
    case SHAPE_EQUAL: return rng_below(r, 3) + UINT64_MAX - 3;
    case SHAPE_COUNT: break;
    }
    abort();
}

/* Grows to `most` and shrinks to nothing, three times over, with both kinds of step throughout. */
static void run_shape(enum shape shape, size_t most, size_t steps)
{
    struct rng r;
    rng_seed(&r, 77 + (uint64_t)shape);
    struct setindex *s = setindex_new();
    struct naive v = {.item = mem_calloc(most + 1, sizeof *v.item)};
    bool growing = true;
    for (size_t step = 0; step < steps; step++) {
        growing = v.n == 0 ? true : v.n == most ? false : growing;
        bool insert = rng_below(&r, 100) < (growing ? 85 : 15);
        struct item x = item_of(&r, draw_time(&r, shape, step));
        if (v.n > 0 && (!insert || rng_below(&r, 20) == 0))
            x = v.item[rng_below(&r, v.n)]; /* one that is there: a removal, or an insert that must be refused */
        if (insert && v.n < most)
            cr_assert_eq(setindex_insert(s, &x), naive_insert(&v, &x));
        else
            cr_assert_eq(setindex_remove(s, &x), naive_remove(&v, &x));
        cr_assert_eq(setindex_has(s, &x), naive_has(&v, &x));
        check_bound(s, &v, &r);
        if (step % 4001 == 0)
            check_all(s, &v, &r);
    }
    while (v.n > 0) {
        struct item x = v.item[rng_below(&r, v.n)];
        cr_assert(setindex_has(s, &x));
        cr_assert(setindex_remove(s, &x) && naive_remove(&v, &x));
        cr_assert_not(setindex_has(s, &x));
        cr_assert_not(setindex_remove(s, &x));
    }
    struct lthash zero = {.lane = {0}}, sum;
    setindex_sum(s, 0, 0, &sum);
    cr_assert_eq(memcmp(&sum, &zero, sizeof sum), 0);
    setindex_free(s);
    free(v.item);
}

Test(setindex, agrees_with_a_sorted_array_in_time_order)
{
    run_shape(SHAPE_ORDER, 6000, 60000);
}

Test(setindex, agrees_with_a_sorted_array_nearly_in_time_order)
{
    run_shape(SHAPE_JITTER, 6000, 60000);
}

Test(setindex, agrees_with_a_sorted_array_in_reverse)
{
    run_shape(SHAPE_REVERSE, 6000, 60000);
}

Test(setindex, agrees_with_a_sorted_array_in_any_order)
{
    run_shape(SHAPE_ANY, 6000, 60000);
}

Test(setindex, agrees_with_a_sorted_array_with_equal_times)
{
    run_shape(SHAPE_EQUAL, 6000, 60000);
}

/* Deep enough for inner nodes over inner nodes (64 leaves of at most 512 fill the first). */
Test(setindex, a_tree_of_three_levels_agrees)
{
    enum { N = 60000 };
    struct rng r;
    rng_seed(&r, 5);
    struct setindex *s = setindex_new();
    struct item *items = mem_calloc(N, sizeof *items);
    for (size_t i = 0; i < N; i++) {
        items[i] = item_of(&r, i < N / 2 ? i : rng_u64(&r));
        cr_assert(setindex_insert(s, &items[i]));
    }
    for (size_t i = 0; i < N; i += 3)
        cr_assert(setindex_remove(s, &items[i]));
    struct naive v = {.item = mem_calloc(N, sizeof *v.item)};
    for (size_t i = 0; i < N / 2; i++)
        if (i % 3 != 0)
            v.item[v.n++] = items[i]; /* already in order */
    for (size_t i = N / 2; i < N; i++)
        if (i % 3 != 0)
            cr_assert(naive_insert(&v, &items[i]));
    for (size_t i = 0; i < 2000; i++)
        check_bound(s, &v, &r);
    check_all(s, &v, &r);
    for (size_t i = 0; i < 4; i++) {
        size_t from = (size_t)rng_below(&r, v.n);
        check_range(s, &v, from, from + (size_t)rng_below(&r, v.n - from));
    }
    setindex_free(s);
    free(items);
    free(v.item);
}

Test(setindex, digest_depends_on_the_set_and_not_on_the_order)
{
    enum { N = 3000 };
    struct rng r;
    rng_seed(&r, 6);
    struct item items[N];
    struct setindex *a = setindex_new(), *b = setindex_new();
    struct id da, db, empty;
    setindex_digest(a, &empty);
    for (size_t i = 0; i < N; i++)
        items[i] = item_of(&r, rng_below(&r, 100));
    for (size_t i = 0; i < N; i++) {
        setindex_insert(a, &items[i]);
        setindex_insert(b, &items[N - 1 - i]);
    }
    setindex_digest(a, &da);
    setindex_digest(b, &db);
    cr_assert(id_eq(&da, &db));
    cr_assert_not(id_eq(&da, &empty));
    for (size_t i = 0; i < 200; i++) { /* any one item makes the difference */
        cr_assert(setindex_remove(b, &items[i * 15]));
        setindex_digest(b, &db);
        cr_assert_not(id_eq(&da, &db));
        cr_assert(setindex_insert(b, &items[i * 15]));
        setindex_digest(b, &db);
        cr_assert(id_eq(&da, &db));
    }
    setindex_free(a);
    setindex_free(b);
}

/* H("souk/set/1", 2048 bytes of lanes, count), spelt out byte by byte. */
Test(setindex, digest_is_the_framed_hash_of_sum_and_count)
{
    struct setindex *s = setindex_new();
    struct item x = {.time = 9, .id = {.b = {1, 2, 3}}}, y = {.time = UINT64_MAX - 1, .id = {.b = {4}}};
    setindex_insert(s, &x);
    setindex_insert(s, &y);
    uint8_t kx[LTHASH_BYTES], ky[LTHASH_BYTES], nonce[8] = {0};
    crypto_stream_chacha20(kx, sizeof kx, nonce, x.id.b);
    crypto_stream_chacha20(ky, sizeof ky, nonce, y.id.b);
    struct buf b = {0};
    buf_put(&b, "\x0a\0\0\0souk/set/1\0\x08\0\0", 18);
    for (size_t i = 0; i < LTHASH_BYTES; i += 2) {
        unsigned lane = kx[i] + 256u * kx[i + 1] + ky[i] + 256u * ky[i + 1];
        buf_put_u8(&b, (uint8_t)lane);
        buf_put_u8(&b, (uint8_t)(lane >> 8));
    }
    buf_put(&b, "\x08\0\0\0\x02\0\0\0\0\0\0\0", 12);
    struct id expected, got;
    crypto_generichash(expected.b, 32, b.p, b.n, NULL, 0);
    setindex_digest(s, &got);
    cr_assert(id_eq(&expected, &got));
    buf_close(&b);
    setindex_free(s);
}

Test(lthash, adds_and_subtracts_every_lane_modulo_65536)
{
    struct lthash a, b, sum;
    struct id x = {.b = {7}}, y = {.b = {8}};
    lthash_of(&a, &x);
    lthash_of(&b, &y);
    sum = a;
    lthash_add(&sum, &b);
    size_t wrapped = 0;
    for (size_t i = 0; i < LTHASH_LANES; i++) {
        cr_assert_eq(sum.lane[i], (uint16_t)(a.lane[i] + b.lane[i]));
        wrapped += a.lane[i] + b.lane[i] > 65535;
    }
    cr_assert_gt(wrapped, 100);
    lthash_sub(&sum, &b);
    cr_assert_eq(memcmp(&sum, &a, sizeof a), 0);
}

/* In time order leaves stay full; in any order the tree still keeps to its bound. See MESH 4: 64 MiB a million. */
static double bytes_per_item(enum shape shape, size_t n)
{
    struct rng r;
    rng_seed(&r, 8);
    struct setindex *s = setindex_new();
    for (size_t i = 0; i < n; i++) {
        struct item x = item_of(&r, draw_time(&r, shape, i));
        cr_assert(setindex_insert(s, &x));
    }
    double each = (double)setindex_bytes(s) / (double)n;
    setindex_free(s);
    return each;
}

Test(setindex, memory_an_item_keeps_a_million_under_64_mib)
{
    double most = 64.0 * 1048576 / 1e6;
    cr_assert_lt(bytes_per_item(SHAPE_ORDER, 50000), 46.0);
    cr_assert_lt(bytes_per_item(SHAPE_JITTER, 50000), 50.0);
    cr_assert_lt(bytes_per_item(SHAPE_REVERSE, 50000), 2 * most); /* half-full leaves: nobody's normal case */
    cr_assert_lt(bytes_per_item(SHAPE_ANY, 50000), most);
}
