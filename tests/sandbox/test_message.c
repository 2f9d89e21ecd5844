/*
 * Orders to the launcher: packed, unpacked, and refused when a byte of them is wrong.
 */
#include "crdt/rng.h"
#include "sandbox/message.h"

#include <criterion/criterion.h>
#include <string.h>

static void pack(struct buf *out)
{
    static const struct sandbox_file exe = {.fd = 5};
    static const char *const argv[] = {"prog", "", "a b", NULL}, *const env[] = {"LANG=xx", "Z=1", NULL};
    static const struct sandbox_mount mounts[] = {{.source = "/srv/a", .target = "/app/a"},
                                                  {.source = "/srv/b", .target = "/app/b", .file = &exe}};
    const struct sandbox_spec spec = {
        .exe = &exe, .argv = argv, .env = env, .mounts = mounts, .mounts_count = 2, .weak = SANDBOX_WEAK};
    struct sandbox_order order = {.kind = SANDBOX_ORDER_RUN, .id = 77, .lifetime_ms = 5};
    sandbox_order_pack(out, &order, &spec);
}

Test(message, an_order_comes_out_as_it_went_in)
{
    struct buf out = {0};
    struct sandbox_order order;
    struct sandbox_order_text text;
    pack(&out);
    cr_assert_eq(sandbox_order_unpack(buf_view(&out), &order, &text), ERR_OK);
    cr_expect_eq(order.id, 77u);
    cr_expect_eq(order.limits.processes, 64u, "defaults are filled in");
    cr_expect_eq(order.weak, (uint32_t)SANDBOX_WEAK);
    cr_expect_eq(order.argc, 3u);
    cr_expect_str_eq(text.argv[2], "a b");
    cr_expect_null(text.argv[3]);
    cr_expect_eq(order.envc, 3u);
    cr_expect_str_eq(text.env[0], "PATH=/usr/bin:/bin");
    cr_expect_str_eq(text.env[1], "LANG=xx", "a given name wins over the default");
    cr_expect_str_eq(text.env[2], "Z=1");
    cr_expect_null(text.env[3]);
    cr_expect_eq(order.file_mask, 2u);
    cr_expect_str_eq(text.source[1], "/srv/b");
    cr_expect_str_eq(text.target[0], "/app/a");
    buf_close(&out);
}

Test(message, orders_without_a_spec)
{
    struct buf out = {0};
    struct sandbox_order order = {.kind = SANDBOX_ORDER_KILL, .id = 3}, got;
    struct sandbox_order_text text;
    sandbox_order_pack(&out, &order, NULL);
    cr_assert_eq(sandbox_order_unpack(buf_view(&out), &got, &text), ERR_OK);
    cr_expect_eq(got.kind, (uint32_t)SANDBOX_ORDER_KILL);
    buf_close(&out);
}

Test(message, cut_or_changed_ones_are_refused_or_stay_within_the_message)
{
    struct buf out = {0};
    struct sandbox_order order;
    struct sandbox_order_text text;
    struct rng rng;
    pack(&out);
    for (size_t n = 0; n < out.n; n++)
        cr_assert_eq(sandbox_order_unpack(bytes_of(out.p, n), &order, &text), ERR_FORM, "%zu bytes", n);
    rng_seed(&rng, 5);
    for (int i = 0; i < 20000; i++) {
        struct buf bad = {0};
        buf_put_bytes(&bad, buf_view(&out));
        for (uint64_t k = rng_below(&rng, 3) + 1; k > 0; k--)
            bad.p[rng_below(&rng, bad.n)] = (uint8_t)rng_u64(&rng);
        if (sandbox_order_unpack(buf_view(&bad), &order, &text) == ERR_OK) {
            for (uint32_t a = 0; a < order.argc; a++)
                cr_assert((const uint8_t *)text.argv[a] + strlen(text.argv[a]) < bad.p + bad.n);
        }
        buf_close(&bad);
    }
    buf_close(&out);
}
