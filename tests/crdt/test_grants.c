/* Who may write: sets of granted and revoked epochs (see MODEL 4). */
#include "crdt/register.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>

static struct key key_of(uint64_t n)
{
    struct key k;
    struct id id = gen_id(n);
    memcpy(k.b, id.b, ID_BYTES);
    return k;
}

static void give(struct grants *g, uint64_t key, uint64_t epoch, bool granted)
{
    grants_add(g, &(struct grant){.key = key_of(key), .epoch = epoch, .granted = granted});
}

Test(grants, a_revocation_covers_its_epoch_and_all_below)
{
    struct grants g = {0};
    struct key w = key_of(1), other = key_of(2);
    give(&g, 1, 3, true);
    give(&g, 1, 5, true);
    cr_assert(grants_eligible(&g, &w, 3) && grants_eligible(&g, &w, 5));
    cr_assert_not(grants_eligible(&g, &w, 4) || grants_eligible(&g, &other, 3));
    give(&g, 1, 4, false);
    cr_assert_not(grants_eligible(&g, &w, 3));
    cr_assert(grants_eligible(&g, &w, 5));
    cr_assert(grants_ever(&g, &w, 3));
    cr_assert_not(grants_ever(&g, &w, 4));
    give(&g, 1, 5, false);
    cr_assert_not(grants_eligible(&g, &w, 5));
    cr_assert(grants_ever(&g, &w, 5));
    grants_close(&g);
}

Test(grants, order_of_statements_means_nothing)
{
    struct grants a = {0}, b = {0};
    uint64_t rows[5][3] = {{1, 0, 1}, {1, 1, 0}, {2, 7, 1}, {1, 2, 1}, {2, 7, 0}};
    for (size_t i = 0; i < 5; i++) {
        give(&a, rows[i][0], rows[i][1], rows[i][2]);
        give(&b, rows[4 - i][0], rows[4 - i][1], rows[4 - i][2]);
        give(&b, rows[4 - i][0], rows[4 - i][1], rows[4 - i][2]);
    }
    cr_assert_eq(a.count, 5);
    cr_assert_eq(b.count, 5);
    for (size_t i = 0; i < 5; i++)
        cr_assert(key_eq(&a.rows[i].key, &b.rows[i].key) && a.rows[i].epoch == b.rows[i].epoch &&
                  a.rows[i].granted == b.rows[i].granted);
    grants_close(&a);
    grants_close(&b);
}

Test(grants, a_writer_uses_its_greatest_eligible_epoch)
{
    struct grants g = {0};
    struct key w = key_of(1);
    uint64_t epoch = 99;
    cr_assert_not(grants_best(&g, &w, &epoch));
    give(&g, 2, 9, true);
    cr_assert_not(grants_best(&g, &w, &epoch));
    give(&g, 1, 2, true);
    give(&g, 1, 4, true);
    cr_assert(grants_best(&g, &w, &epoch));
    cr_assert_eq(epoch, 4);
    give(&g, 1, 3, false);
    cr_assert(grants_best(&g, &w, &epoch));
    give(&g, 1, 4, false);
    cr_assert_not(grants_best(&g, &w, &epoch));
    give(&g, 1, 5, false);
    cr_assert_not(grants_best(&g, &w, &epoch));
    grants_close(&g);
}

Test(grants, the_next_epoch_is_above_all_that_is_known)
{
    struct grants g = {0};
    struct key w = key_of(1);
    cr_assert_eq(grants_next_epoch(&g, &w), 0);
    give(&g, 2, 40, true);
    cr_assert_eq(grants_next_epoch(&g, &w), 0);
    give(&g, 1, 6, false);
    cr_assert_eq(grants_next_epoch(&g, &w), 7);
    give(&g, 1, EPOCH_MAX, true);
    cr_assert_eq(grants_next_epoch(&g, &w), EPOCH_MAX);
    grants_close(&g);
}
