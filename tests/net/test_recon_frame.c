/*
 * The bytes of a reconciliation frame: varints and bounds.
 */
#include "net/recon_frame.h"

#include <criterion/criterion.h>

Test(recon_frame, varints_round_trip_in_the_fewest_digits)
{
    struct buf b = {0};
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t v = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        for (uint64_t add = 0; add < 2 && v <= UINT64_MAX - add; add++) {
            uint64_t got;
            buf_reset(&b);
            recon_put_varint(&b, v + add);
            struct recon_reader r = {.p = b.p, .left = b.n};
            cr_assert(recon_read_varint(&r, &got));
            cr_assert_eq(got, v + add);
            cr_assert_eq(r.left, 0);
            cr_assert(b.n == 1 || (v + add) >> (7 * (b.n - 1)) != 0);
        }
    }
    buf_close(&b);
}

Test(recon_frame, times_above_2_to_the_53_and_equal_times_round_trip)
{
    static const uint64_t times[] = {0, 0, 1, (UINT64_C(1) << 53) + 1, (UINT64_C(1) << 53) + 1, UINT64_MAX - 2, UINT64_MAX - 1, UINT64_MAX - 1};
    struct buf b = {0};
    uint64_t last = 0;
    enum { N = sizeof times / sizeof *times };
    for (size_t i = 0; i < N; i++) {
        struct recon_bound x = {.item = {.time = times[i], .id = {.b = {(uint8_t)(i + 1)}}}, .len = 1};
        recon_put_bound(&b, &last, &x);
    }
    struct recon_reader r = {.p = b.p, .left = b.n};
    for (size_t i = 0; i < N; i++) {
        struct recon_bound x;
        cr_assert(recon_read_bound(&r, &x), "%s", r.why);
        cr_assert_eq(x.item.time, times[i]);
        cr_assert_eq(x.item.id.b[0], i + 1);
    }
    cr_assert_eq(r.left, 0);
    buf_close(&b);
}
