/*
 * A disk that fails for a moment: what a row would have said is not decided without it, and the error that is told is that
 * of the read, not damage.
 */
#include "store/keys.h"
#include "tests/lib/stores.h"

#include <criterion/criterion.h>

/* Reads of the one key fail. */
static struct {
    const struct kv_ops *real;
    struct kv_ops ops;
    struct dbkey key;
    size_t asked;
} broken;

static enum err broken_get(struct kv *kv, const struct kv_snapshot *s, struct bytes key, struct buf *out)
{
    if (!bytes_eq(key, dbkey_view(&broken.key)))
        return broken.real->get(kv, s, key, out);
    broken.asked++;
    return ERR_IO;
}

static void break_reads(struct test_store *t)
{
    broken.real = t->kv->ops;
    broken.ops = *broken.real;
    broken.ops.get = broken_get;
    broken.asked = 0;
    t->kv->ops = &broken.ops;
}

static void mend_reads(struct test_store *t)
{
    cr_assert_gt(broken.asked, 0, "the row was not asked for");
    t->kv->ops = broken.real;
}

static bool count_writers(void *ctx, const struct grant *g)
{
    (void)g;
    ++*(size_t *)ctx;
    return true;
}

Test(unreadable, the_founder)
{
    struct test_store t;
    struct standing standing;
    struct store *other = NULL;
    struct author founder;
    struct id member;
    char hex[ID_HEX_SIZE];
    size_t writers = 0;
    test_store_open(&t, BACKEND_MEM);
    test_open_mesh(&t);
    test_author(&founder, 1);
    key_hex(hex, &founder.key);
    struct buf bundle = {0};
    test_put_bundle(&t, &bundle, &t.founder, hlc_from_ms(t.now_ms), (struct gen_op){.kind = KIND_MEMBER, .name = hex});
    cr_assert_eq(test_apply(&t, buf_view(&bundle)), VERDICT_NEW);
    member = test_entry(&founder.key, KIND_MEMBER, hex);
    dbkey_meta(&broken.key, "founder");
    break_reads(&t);
    cr_assert_eq(store_standing(t.store, &founder.key, &standing), ERR_IO);
    cr_assert_not(standing.admitted);
    cr_assert_eq(store_writers(t.store, &member, count_writers, &writers), ERR_IO);
    cr_assert_eq(store_verify(t.store, NULL, NULL, NULL, NULL), ERR_IO);
    cr_assert_eq(store_verify(t.store, &member, NULL, NULL, NULL), ERR_IO);
    cr_assert_eq(store_open(&other, t.kv, &(struct store_config){.mesh = t.mesh}), ERR_IO);
    mend_reads(&t);
    cr_assert_eq(store_standing(t.store, &founder.key, &standing), ERR_OK);
    cr_assert(standing.founder && standing.admitted);
    cr_assert_eq(store_writers(t.store, &member, count_writers, &writers), ERR_OK);
    cr_assert_eq(store_verify(t.store, NULL, NULL, NULL, NULL), ERR_OK);
    buf_close(&bundle);
    test_store_close(&t);
}

/* A held delta is to enter the set. */
Test(unreadable, a_delta)
{
    struct test_store t;
    struct gen_author stranger;
    struct buf bundle = {0}, charter = {0};
    struct store_stats stats;
    test_store_open(&t, BACKEND_MEM);
    gen_author(&stranger, 9);
    struct id op = test_put_bundle(&t, &bundle, &stranger, hlc_from_ms(t.now_ms), (struct gen_op){.name = "m"});
    cr_assert_not(id_is_zero(&op));
    struct store_in in = test_apply_in(&t, buf_view(&bundle));
    cr_assert_eq(in.verdict, VERDICT_ASIDE);
    test_charter(&t, &charter, "open", hlc_from_ms(t.now_ms));
    dbkey_of_id(&broken.key, FAMILY_DELTA, &in.item.id);
    break_reads(&t);
    in = (struct store_in){.bundle = buf_view(&charter)};
    struct store_job job = {.now_ms = t.now_ms, .rng = &t.rng, .in_count = 1, .in = &in};
    cr_assert_eq(store_apply(t.store, &job), ERR_IO);
    store_job_close(&job);
    mend_reads(&t);
    cr_assert_eq(test_apply(&t, buf_view(&charter)), VERDICT_NEW);
    store_stats(t.store, &stats);
    cr_assert_eq(stats.aside, 0);
    cr_assert_eq(stats.deltas, 2);
    cr_assert_eq(store_verify(t.store, NULL, NULL, NULL, NULL), ERR_OK);
    buf_close(&bundle);
    buf_close(&charter);
    test_store_close(&t);
}
