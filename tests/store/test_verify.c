/*
 * What verify examines and what it finds, on both back ends.
 */
#include "crdt/alloc.h"
#include "tests/lib/each_backend.h"

#include <stdlib.h>
#include <string.h>

EACH_BACKEND(verify_finds_a_flipped_byte_anywhere)
{
    struct author a;
    struct store_write w;
    test_author(&a, 2);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &a, "m", "description", "one", &w), ERR_OK);
    cr_assert_eq(test_put(t, &a, "m", "description", "two", &w), ERR_OK);
    test_expect_sound(t);
    const struct kv_ops *o = t->kv->ops;
    for (const char *family = "Domej"; *family != 0; family++) {
        struct buf key = {0}, value = {0}, findings = {0};
        struct kv_iter *it = o->iter(t->kv, NULL, bytes_of(family, 1));
        cr_assert(o->seek(it, bytes_of(family, 1)), "%c", *family);
        buf_put_bytes(&key, o->key(it));
        buf_put_bytes(&value, o->value(it));
        cr_assert_eq(o->iter_close(it), ERR_OK);
        struct kv_batch flip = {0}, back = {0};
        kv_batch_put(&back, buf_view(&key), buf_view(&value));
        value.p[value.n / 2] ^= 1;
        kv_batch_put(&flip, buf_view(&key), buf_view(&value));
        cr_assert_eq(o->write(t->kv, &flip), ERR_OK);
        cr_assert_eq(store_verify(t->store, NULL, test_collect_failure, NULL, &findings), ERR_CORRUPT, "%c", *family);
        cr_assert_gt(findings.n, 0);
        cr_assert_eq(o->write(t->kv, &back), ERR_OK);
        kv_batch_close(&flip);
        kv_batch_close(&back);
        buf_close(&key);
        buf_close(&value);
        buf_close(&findings);
    }
    test_expect_sound(t);
}

static void count_finding(void *ctx, const struct verify_finding *f)
{
    size_t *n = ctx;
    n[f->ok]++;
}

EACH_BACKEND(verify_of_one_entry_names_each_check)
{
    struct author a;
    struct store_write w;
    size_t n[2] = {0, 0};
    test_author(&a, 2);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &a, "m", "description", "one", &w), ERR_OK);
    cr_assert_eq(store_verify(t->store, &w.entry, count_finding, NULL, n), ERR_OK);
    cr_assert_eq(n[0], 0);
    cr_assert_gt(n[1], 10);
}

/* ---- one entry ---- */

static void ignore(void *ctx, const struct verify_finding *f)
{
    (void)ctx, (void)f;
}

struct counted {
    uint64_t deltas;
};

static void find_and_count(void *ctx, const struct verify_finding *f)
{
    (void)ctx;
    cr_assert(f->ok, "%s: %s", f->check, f->detail);
}

static void count_into(void *ctx, uint64_t done, uint64_t total)
{
    struct counted *c = ctx;
    c->deltas = total;
    cr_assert_leq(done, total);
}

EACH_BACKEND(one_entry_needs_its_own_deltas_and_the_charter)
{
    struct author a, b;
    struct store_write w;
    char name[16];
    test_author(&a, 2);
    test_author(&b, 3);
    test_open_mesh(t);
    for (size_t i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "other-%zu", i);
        cr_assert_eq(test_put(t, &a, name, "description", "x", NULL), ERR_OK);
    }
    cr_assert_eq(test_put(t, &a, "m", "description", "one", &w), ERR_OK);
    cr_assert_eq(test_put(t, &a, "m", "description", "two", &w), ERR_OK);
    cr_assert_eq(test_write_statement(t, WRITE_GRANT, &a, "m", &b.key), ERR_OK);
    struct counted seen = {0};
    cr_assert_eq(store_verify(t->store, &w.entry, find_and_count, count_into, &seen), ERR_OK);
    cr_assert_eq(seen.deltas, 4, "two puts, a statement, the charter");
    cr_assert_eq(store_verify(t->store, NULL, find_and_count, count_into, &seen), ERR_OK);
    cr_assert_eq(seen.deltas, 44);
    struct id nobody = gen_id(77);
    cr_assert_eq(store_verify(t->store, &nobody, find_and_count, count_into, &seen), ERR_NOT_FOUND);
}

/* All rows whose key has the id in it: those of family n have it at their end. */
static size_t rows_of(const struct test_store *t, const char *families, const struct id *id, struct kv_batch *out)
{
    const struct kv_ops *o = t->kv->ops;
    size_t n = 0;
    for (; *families != 0; families++) {
        struct kv_iter *it = o->iter(t->kv, NULL, bytes_of(families, 1));
        for (bool on = o->seek(it, bytes_of(families, 1)); on; on = o->next(it)) {
            struct bytes key = o->key(it);
            size_t at = *families == 'n' ? key.n - ID_BYTES : 1;
            if (key.n < at + ID_BYTES || memcmp(key.p + at, id->b, ID_BYTES) != 0)
                continue;
            kv_batch_put(out, key, o->value(it));
            n++;
        }
        cr_assert_eq(o->iter_close(it), ERR_OK);
    }
    return n;
}

enum damage { FLIP, LOSE };

/* Damages one row, expects it to be found by the examination of its entry, and only there; mends it. */
static void expect_found(struct test_store *t, const struct id *entry, struct bytes key, struct bytes value, enum damage how)
{
    struct kv_batch harm = {0}, mend = {0};
    struct buf changed = {0};
    buf_put_bytes(&changed, value);
    kv_batch_put(&mend, key, value);
    if (how == LOSE)
        kv_batch_delete(&harm, key);
    else
        changed.p[value.n / 2] ^= 1;
    if (how == FLIP)
        kv_batch_put(&harm, key, buf_view(&changed));
    cr_assert_eq(t->kv->ops->write(t->kv, &harm), ERR_OK);
    struct id other = test_entry(&t->founder.key, KIND_MODEL, "elsewhere");
    cr_assert_eq(store_verify(t->store, entry, ignore, NULL, NULL), ERR_CORRUPT, "family %c, %d", key.p[0], how);
    cr_assert_eq(store_verify(t->store, NULL, ignore, NULL, NULL), ERR_CORRUPT, "family %c, %d", key.p[0], how);
    cr_assert_eq(store_verify(t->store, &other, ignore, NULL, NULL), ERR_OK, "family %c, %d", key.p[0], how);
    cr_assert_eq(t->kv->ops->write(t->kv, &mend), ERR_OK);
    kv_batch_close(&harm);
    kv_batch_close(&mend);
    buf_close(&changed);
}

/* Two puts by the owner, a put by a writer, its grant, another author's op that is a stranger's. */
static struct id make_varied(struct test_store *t)
{
    struct author owner, writer, founder;
    struct gen_author stranger;
    struct store_write w;
    struct buf bundle = {0};
    test_author(&owner, 2);
    test_author(&writer, 3);
    test_author(&founder, 1);
    gen_author(&stranger, 4);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &founder, "elsewhere", "description", "x", NULL), ERR_OK);
    cr_assert_eq(test_put(t, &owner, "m", "description", "one", &w), ERR_OK);
    cr_assert_eq(test_write_statement(t, WRITE_GRANT, &owner, "m", &writer.key), ERR_OK);
    struct store_write by = test_write_of(WRITE_PUT, &writer, &owner.key, "m");
    cr_assert_eq(test_write_text(t, &by, "framework", "JAX"), ERR_OK);
    test_put_bundle(t, &bundle, &stranger, hlc_from_ms(t->now_ms), (struct gen_op){.name = "m", .owner = &owner.key});
    cr_assert_eq(test_apply(t, buf_view(&bundle)), VERDICT_NEW);
    buf_close(&bundle);
    return w.entry;
}

static void expect_any_found(struct test_store *t, const char *families, const struct id *entry, size_t at_least)
{
    struct kv_batch rows = {0};
    struct bytes key, value;
    size_t found = 0;
    cr_assert_eq(store_verify(t->store, entry, find_and_count, NULL, NULL), ERR_OK);
    rows_of(t, families, entry, &rows);
    for (size_t at = 0; kv_batch_next(&rows, &at, &key, &value); found++) {
        expect_found(t, entry, key, value, LOSE);
        if (value.n > 0)
            expect_found(t, entry, key, value, FLIP);
    }
    cr_assert_geq(found, at_least);
    kv_batch_close(&rows);
}

EACH_BACKEND(one_entry_shows_damage_to_any_row_of_it)
{
    struct id entry = make_varied(t);
    expect_any_found(t, "oejnHgw", &entry, 12);
}

EACH_BACKEND(one_entry_of_one_op_shows_damage_to_any_row_of_it)
{
    struct author a;
    struct store_write w;
    (void)make_varied(t);
    test_author(&a, 2);
    cr_assert_eq(test_put(t, &a, "single", "description", "x", &w), ERR_OK);
    expect_any_found(t, "ejn", &w.entry, 3);
}

EACH_BACKEND(one_entry_shows_damage_to_its_deltas_and_bodies)
{
    struct kv_batch rows = {0};
    struct bytes key, value;
    struct id entry = make_varied(t);
    size_t found = 0;
    char *json = test_json(t, &entry), *at_delta = strstr(json, "\"delta\":\"");
    struct id delta;
    cr_assert(hex_decode(delta.b, ID_BYTES, bytes_of(at_delta + 9, 64)));
    free(json);
    cr_assert_eq(rows_of(t, "D", &delta, &rows), 2, "a delta and its body");
    for (size_t at = 0; kv_batch_next(&rows, &at, &key, &value); found++) {
        expect_found(t, &entry, key, value, FLIP);
        expect_found(t, &entry, key, value, LOSE);
    }
    cr_assert_eq(found, 2);
    kv_batch_close(&rows);
}
