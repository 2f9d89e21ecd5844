/*
 * Hybrid logical time: what moves a key's clock, and what does not.
 */
#include "crdt/hlc.h"

#include <criterion/criterion.h>

Test(hlc, a_time_is_48_bits_of_milliseconds_and_16_of_counter)
{
    cr_assert_eq(hlc_from_ms(1), 65536);
    cr_assert_eq(hlc_ms(hlc_from_ms(1735689600000) + 65535), 1735689600000);
    cr_assert_eq(hlc_ms(hlc_from_ms(1735689600000) + 65536), 1735689600001);
}

Test(hlc, each_time_is_one_tick_above_clock_own_last_and_parents)
{
    struct hlc h = {0};
    cr_assert_eq(hlc_next(&h, 1000, 0), hlc_from_ms(1000) + 1, "the clock");
    cr_assert_eq(hlc_next(&h, 1000, 0), hlc_from_ms(1000) + 2, "own last");
    cr_assert_eq(hlc_next(&h, 900, 0), hlc_from_ms(1000) + 3, "a clock that was set back");
    cr_assert_eq(hlc_next(&h, 900, hlc_from_ms(2000) + 7), hlc_from_ms(2000) + 8, "a parent from ahead");
    cr_assert_eq(hlc_next(&h, 1500, hlc_from_ms(1400)), hlc_from_ms(2000) + 9);
    cr_assert_eq(hlc_next(&h, 3000, hlc_from_ms(2500)), hlc_from_ms(3000) + 1);
    cr_assert_eq(h.last, hlc_from_ms(3000) + 1);
}

/* The counter runs over into the milliseconds: 65,536 writes in one are no fault. */
Test(hlc, the_counter_carries)
{
    struct hlc h = {.last = hlc_from_ms(1000) + 65535};
    cr_assert_eq(hlc_next(&h, 1000, 0), hlc_from_ms(1001));
}

Test(hlc, the_greatest_time_is_never_reached)
{
    struct hlc h = {.last = HLC_NEVER - 2};
    cr_assert_eq(hlc_next(&h, 0, 0), HLC_NEVER - 1);
    cr_assert_eq(hlc_next(&h, 0, 0), HLC_NEVER - 1, "it saturates below");
}
