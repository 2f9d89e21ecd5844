/*
 * Receipts on disk: newest first, found by id, bounded, untouched by anything else, kept over a restart.
 */
#include "tests/lib/stores.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct store_receipt row(uint64_t number, char text[32])
{
    struct store_receipt r = {.id = {0}};
    put_be(r.id, 1000 + number, 6);
    r.id[15] = 7;
    (void)snprintf(text, 32, "{\"n\":%llu}", (unsigned long long)number);
    r.json = bytes_str(text);
    return r;
}

static void put(struct test_store *t, uint64_t from, size_t count, uint64_t keep)
{
    struct store_receipt list[64];
    char texts[64][32];
    cr_assert_leq(count, 64);
    for (size_t i = 0; i < count; i++)
        list[i] = row(from + i, texts[i]);
    cr_assert_eq(store_receipts_put(t->store, list, count, keep), ERR_OK);
}

static bool collect(void *ctx, const struct store_receipt *r)
{
    struct buf *out = ctx;
    buf_printf(out, "%llu ", (unsigned long long)get_be(r->id, 6) - 1000);
    return true;
}

static void expect(struct test_store *t, const uint8_t *before, size_t limit, const char *want)
{
    struct buf got = {0};
    cr_assert_eq(store_receipts(t->store, before, limit, collect, &got), ERR_OK);
    cr_assert_str_eq(buf_cstr(&got), want);
    buf_close(&got);
}

static void each_backend(void (*test)(struct test_store *t))
{
    for (enum backend b = BACKEND_MEM; b <= BACKEND_ROCKS; b++) {
        struct test_store t;
        test_store_open(&t, b);
        test(&t);
        test_store_close(&t);
    }
}

static void newest_first(struct test_store *t)
{
    char text[32];
    expect(t, NULL, 10, "");
    put(t, 1, 3, 100);
    put(t, 5, 1, 100);
    put(t, 4, 1, 100);
    expect(t, NULL, 10, "5 4 3 2 1 ");
    expect(t, NULL, 2, "5 4 ");
    expect(t, row(4, text).id, 2, "3 2 ");
    expect(t, row(9, text).id, 9, "5 4 3 2 1 ");
    expect(t, row(0, text).id, 9, "");
    cr_assert_eq(store_receipt_count(t->store), 5);
}

Test(receipts, newest_first)
{
    each_backend(newest_first);
}

static void by_id(struct test_store *t)
{
    struct buf out = {0};
    char text[32];
    struct store_receipt r = row(7, text);
    cr_assert_eq(store_receipt(t->store, r.id, &out), ERR_NOT_FOUND);
    put(t, 7, 1, 100);
    test_store_again(t);
    cr_assert_eq(store_receipt(t->store, r.id, &out), ERR_OK);
    cr_assert_str_eq(buf_cstr(&out), "{\"n\":7}");
    cr_assert_eq(store_receipt_count(t->store), 1);
    buf_close(&out);
}

Test(receipts, by_id_and_after_a_restart)
{
    each_backend(by_id);
}

static void bounded(struct test_store *t)
{
    struct id before = test_state(t), after;
    put(t, 0, 60, 10);
    cr_assert_eq(store_receipt_count(t->store), 60, "only what is on disk already can be dropped");
    put(t, 60, 1, 10);
    cr_assert_eq(store_receipt_count(t->store), 10);
    expect(t, NULL, 99, "60 59 58 57 56 55 54 53 52 51 ");
    put(t, 60, 1, 10); /* again the same */
    cr_assert_eq(store_receipt_count(t->store), 10);
    put(t, 61, 5, 3);
    expect(t, NULL, 99, "65 64 63 62 61 ");
    put(t, 66, 1, 3);
    expect(t, NULL, 99, "66 65 64 ");
    after = test_state(t);
    cr_assert(id_eq(&before, &after));
}

Test(receipts, the_oldest_go)
{
    each_backend(bounded);
}

static void no_finding(void *ctx, const struct verify_finding *f)
{
    (void)ctx;
    cr_assert(f->ok, "%s: %s", f->check, f->detail);
}

static void verifies(struct test_store *t)
{
    put(t, 1, 5, 10);
    cr_assert_eq(store_verify(t->store, NULL, no_finding, NULL, NULL), ERR_OK);
}

Test(receipts, are_no_matter_of_verify)
{
    each_backend(verifies);
}
