/*
 * Idempotency keys: once, again, under way, another request, forgotten, in time, and within bounds.
 */
#include "node/idempotent.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <string.h>

static struct idempotent *t;

static void open_table(void)
{
    t = idempotent_new();
}

static void close_table(void)
{
    idempotent_free(t);
}

TestSuite(idempotent, .init = open_table, .fini = close_table);

static enum idempotent_state begin(uint64_t key, uint64_t request, uint64_t now, struct bytes *answer)
{
    struct id k = gen_id(key), r = gen_id(1000000 + request);
    return idempotent_begin(t, &k, &r, now, answer);
}

static void keep(uint64_t key, const char *answer)
{
    struct id k = gen_id(key);
    idempotent_keep(t, &k, bytes_str(answer));
}

Test(idempotent, the_answer_is_repeated)
{
    struct bytes a;
    cr_assert_eq(begin(1, 1, 0, &a), IDEMPOTENT_FRESH);
    cr_assert_eq(begin(1, 1, 1, &a), IDEMPOTENT_RUNNING);
    cr_assert_eq(begin(1, 2, 1, &a), IDEMPOTENT_OTHER);
    keep(1, "done");
    cr_assert_eq(begin(1, 1, 2, &a), IDEMPOTENT_DONE);
    cr_assert(bytes_eq(a, bytes_str("done")));
    cr_assert_eq(begin(1, 2, 2, &a), IDEMPOTENT_OTHER);
    cr_assert_eq(begin(2, 1, 2, &a), IDEMPOTENT_FRESH);
}

Test(idempotent, what_did_nothing_may_be_asked_again)
{
    struct bytes a;
    struct id k = gen_id(1);
    cr_assert_eq(begin(1, 1, 0, &a), IDEMPOTENT_FRESH);
    idempotent_forget(t, &k);
    cr_assert_eq(begin(1, 2, 0, &a), IDEMPOTENT_FRESH);
    idempotent_forget(t, &k);
    idempotent_forget(t, &k);
}

Test(idempotent, answers_are_forgotten_in_time_but_not_before_they_are_there)
{
    struct bytes a;
    cr_assert_eq(begin(1, 1, 0, &a), IDEMPOTENT_FRESH);
    cr_assert_eq(begin(1, 1, IDEMPOTENT_MS + 1, &a), IDEMPOTENT_RUNNING);
    keep(1, "x");
    cr_assert_eq(begin(1, 1, IDEMPOTENT_MS + 1, &a), IDEMPOTENT_FRESH);
}

Test(idempotent, number_and_bytes_are_bounded)
{
    struct bytes a;
    for (uint64_t i = 0; i < IDEMPOTENT_MAX + 10; i++) {
        cr_assert_eq(begin(i, 1, i, &a), IDEMPOTENT_FRESH);
        keep(i, "x");
    }
    cr_assert_eq(begin(0, 1, 2000, &a), IDEMPOTENT_FRESH, "the oldest is gone");
    cr_assert_eq(begin(IDEMPOTENT_MAX + 9, 1, 2000, &a), IDEMPOTENT_DONE);
    size_t n = IDEMPOTENT_BYTES / 4;
    struct buf large = {0};
    memset(buf_grow(&large, n + 1), 'x', n + 1);
    for (uint64_t i = 0; i < 6; i++) {
        struct id k = gen_id(5000 + i);
        cr_assert_eq(begin(5000 + i, 1, 2000, &a), IDEMPOTENT_FRESH);
        idempotent_keep(t, &k, bytes_of(large.p, n));
    }
    cr_assert_eq(begin(5000, 1, 2000, &a), IDEMPOTENT_FRESH);
    cr_assert_eq(begin(5005, 1, 2000, &a), IDEMPOTENT_DONE);
    struct id k = gen_id(7000);
    cr_assert_eq(begin(7000, 1, 2000, &a), IDEMPOTENT_FRESH);
    idempotent_keep(t, &k, bytes_of(large.p, n + 1));
    cr_assert_eq(begin(7000, 1, 2000, &a), IDEMPOTENT_FRESH, "too large to keep");
    buf_close(&large);
}
