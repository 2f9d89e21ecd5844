/*
 * Bounded memories of ids: what was added is found, growing loses nothing, and no number of ids makes them larger than
 * their bound.
 */
#include "net/recent.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>

Test(recent, an_empty_memory_knows_nothing_and_costs_nothing)
{
    struct recent r;
    struct id id = gen_id(1);
    recent_init(&r, 7);
    cr_assert_not(recent_has(&r, &id));
    cr_assert_null(r.slot);
    recent_add(&r, &id);
    cr_assert(recent_has(&r, &id));
    cr_assert_leq(r.buckets, RECENT_FIRST);
    recent_close(&r);
    cr_assert_not(recent_has(&r, &id));
}

Test(recent, nearly_all_of_what_fits_is_remembered_while_it_grows)
{
    struct recent r;
    size_t found = 0, many = RECENT_BUCKETS;
    recent_init(&r, 7);
    for (uint64_t i = 0; i < many; i++) {
        struct id id = gen_id(i);
        recent_add(&r, &id);
        cr_assert(recent_has(&r, &id));
        cr_assert_leq(r.buckets, RECENT_BUCKETS);
    }
    for (uint64_t i = 0; i < many; i++) {
        struct id id = gen_id(i);
        found += recent_has(&r, &id);
    }
    cr_assert_gt(found, many * 9 / 10);
    recent_close(&r);
}

Test(recent, it_forgets_and_never_exceeds_its_bound)
{
    struct recent r;
    recent_init(&r, 7);
    for (uint64_t i = 0; i < 40000; i++) {
        struct id id = gen_id(i);
        recent_add(&r, &id);
    }
    struct id first = gen_id(0), last = gen_id(39999);
    cr_assert_eq(r.buckets, RECENT_BUCKETS);
    cr_assert_leq(r.count, RECENT_BUCKETS * RECENT_WAYS);
    cr_assert(recent_has(&r, &last));
    cr_assert_not(recent_has(&r, &first));
    recent_close(&r);
}
