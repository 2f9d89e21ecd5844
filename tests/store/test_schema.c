/*
 * JSON that tables other than this build's wrote: opening the store writes it anew, whole or after a crash on the way;
 * not where the row that tells could not be read.
 */
#include "store/keys.h"
#include "tests/lib/stores.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { ENTRIES = 5 };

static void put_row(struct kv *kv, const struct dbkey *key, struct bytes value)
{
    struct kv_batch b = {0};
    kv_batch_put(&b, dbkey_view(key), value);
    cr_assert_eq(kv->ops->write(kv, &b), ERR_OK);
    kv_batch_close(&b);
}

/* Writes entries, spoils the JSON of each and the meta rows as `plant` does, opens again and expects the JSON of before. */
static void expect_mended(enum backend backend, void (*plant)(struct kv *kv))
{
    struct test_store t;
    struct author author;
    char *before[ENTRIES], name[8];
    struct id id[ENTRIES];
    struct dbkey key;
    test_store_open(&t, backend);
    test_open_mesh(&t);
    test_author(&author, 7);
    for (int i = 0; i < ENTRIES; i++) {
        struct store_write w;
        snprintf(name, sizeof name, "m%d", i);
        cr_assert_eq(test_put(&t, &author, name, "description", "kept", &w), ERR_OK);
        id[i] = w.entry;
        before[i] = test_json(&t, &id[i]);
        cr_assert_neq(before[i][0], '-');
        dbkey_of_id(&key, FAMILY_JSON, &id[i]);
        put_row(t.kv, &key, bytes_str("from another time"));
    }
    plant(t.kv);
    test_store_again(&t);
    for (int i = 0; i < ENTRIES; i++) {
        char *now = test_json(&t, &id[i]);
        cr_assert_str_eq(now, before[i]);
        free(now);
        free(before[i]);
    }
    test_store_close(&t);
}

static void another_schema(struct kv *kv)
{
    struct dbkey key;
    dbkey_meta(&key, "schema");
    put_row(kv, &key, bytes_str("written by another build's tables"));
}

/* The new hash is down and some entries are done: the first is not, the cursor stands before it. */
static void crashed_on_the_way(struct kv *kv)
{
    struct dbkey key;
    const struct key none = {{0}};
    dbkey_start(&key, FAMILY_SWEEP);
    dbkey_add_be(&key, 4, 1);
    dbkey_add_key(&key, &none);
    put_row(kv, &key, bytes_str(""));
}

Test(schema, memory_another) { expect_mended(BACKEND_MEM, another_schema); }
Test(schema, rocks_another) { expect_mended(BACKEND_ROCKS, another_schema); }
Test(schema, memory_crashed) { expect_mended(BACKEND_MEM, crashed_on_the_way); }
Test(schema, rocks_crashed) { expect_mended(BACKEND_ROCKS, crashed_on_the_way); }

/* ---- a row that cannot be read ---- */

/* A back end whose reads of the key in `unreadable` fail, and which counts writes. */
static struct {
    const struct kv_ops *real;
    struct dbkey unreadable;
    size_t writes;
} broken;

static enum err broken_get(struct kv *kv, const struct kv_snapshot *s, struct bytes key, struct buf *out)
{
    bool fails = bytes_eq(key, dbkey_view(&broken.unreadable));
    return fails ? ERR_IO : broken.real->get(kv, s, key, out);
}

static enum err counted_write(struct kv *kv, const struct kv_batch *b)
{
    broken.writes++;
    return broken.real->write(kv, b);
}

/* A disk that fails for a moment says nothing about the tables: no entry is written anew, the store does not open. */
static void expect_error_kept(enum backend backend)
{
    struct test_store t;
    struct author author;
    struct store_write w;
    struct store *other = NULL;
    test_store_open(&t, backend);
    test_open_mesh(&t);
    test_author(&author, 7);
    cr_assert_eq(test_put(&t, &author, "m", "description", "kept", &w), ERR_OK);
    broken.real = t.kv->ops;
    broken.writes = 0;
    struct kv_ops ops = *broken.real;
    ops.get = broken_get;
    ops.write = counted_write;
    t.kv->ops = &ops;
    struct store_config c = {.mesh = t.mesh};
    cr_assert_eq(store_open(&other, t.kv, &c), ERR_IO);
    cr_assert_eq(broken.writes, 0, "nothing is written on the strength of a failed read");
    t.kv->ops = broken.real;
    test_store_again(&t);
    cr_assert(test_shows(&t, &w.entry, "kept"));
    test_store_close(&t);
}

static void schema_row(void)
{
    dbkey_meta(&broken.unreadable, "schema");
}

static void sweep_row(void)
{
    const struct key none = {{0}};
    dbkey_start(&broken.unreadable, FAMILY_SWEEP);
    dbkey_add_be(&broken.unreadable, 4, 1);
    dbkey_add_key(&broken.unreadable, &none);
}

Test(schema, memory_unreadable, .init = schema_row) { expect_error_kept(BACKEND_MEM); }
Test(schema, rocks_unreadable, .init = schema_row) { expect_error_kept(BACKEND_ROCKS); }
Test(schema, memory_sweep_unreadable, .init = sweep_row) { expect_error_kept(BACKEND_MEM); }
Test(schema, rocks_sweep_unreadable, .init = sweep_row) { expect_error_kept(BACKEND_ROCKS); }
