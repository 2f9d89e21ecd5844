/*
 * The bound of a poll: grows while waits are short, holds while it suffices, and is nothing for whoever has nothing to do.
 */
#include "node/spin.h"

#include <criterion/criterion.h>

Test(spin, whoever_waits_long_does_not_poll)
{
    cr_assert_eq(spin_next(0, SPIN_MAX_US + 1), 0);
    cr_assert_eq(spin_next(0, UINT64_MAX), 0);
}

Test(spin, short_waits_raise_the_bound_until_it_suffices)
{
    uint64_t bound = spin_next(0, 300);
    cr_assert_eq(bound, SPIN_MIN_US);
    bound = spin_next(bound, 300);
    cr_assert_eq(bound, 2 * SPIN_MIN_US);
    bound = spin_next(bound, 300);
    cr_assert_eq(bound, 4 * SPIN_MIN_US, "now 300 us are covered");
    cr_assert_eq(spin_next(bound, 300), bound, "and more is not needed");
    cr_assert_eq(spin_next(bound, bound), bound);
}

Test(spin, the_bound_has_a_maximum)
{
    uint64_t bound = 0;
    for (int i = 0; i < 100; i++)
        bound = spin_next(bound, SPIN_MAX_US);
    cr_assert_eq(bound, SPIN_MAX_US);
}

/* What a node that falls idle spends: the bounds of its last waits, together less than twice the maximum. */
Test(spin, long_waits_end_it_soon)
{
    uint64_t bound = SPIN_MAX_US, spent = 0;
    int waits = 0;
    while (bound > 0) {
        cr_assert_lt(++waits, 6, "it polls on and on");
        spent += bound;
        bound = spin_next(bound, 1000 * SPIN_MAX_US);
    }
    cr_assert_lt(spent, 2 * SPIN_MAX_US);
}

/* Whatever is waited for, a bound is nothing or between its least and its most. */
Test(spin, a_bound_is_nothing_or_within_its_limits)
{
    uint64_t bound = 0, x = 1;
    for (int i = 0; i < 100000; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        bound = spin_next(bound, (x >> 33) % (2 * SPIN_MAX_US));
        cr_assert(bound == 0 || (bound >= SPIN_MIN_US && bound <= SPIN_MAX_US));
    }
}
