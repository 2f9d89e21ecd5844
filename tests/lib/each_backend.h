/*
 * One Criterion test body run against both back ends of the store, each in a store of its own. For test programs
 * alone: includes Criterion.
 */
#ifndef SOUK_TESTS_EACH_BACKEND_H
#define SOUK_TESTS_EACH_BACKEND_H

#include "tests/lib/stores.h"

#include <criterion/criterion.h>

#define EACH_BACKEND(name)                                                                                             \
    static void check_##name(struct test_store *t);                                                                    \
    Test(store, name##_mem)                                                                                            \
    {                                                                                                                  \
        struct test_store t;                                                                                           \
        test_store_open(&t, BACKEND_MEM);                                                                              \
        check_##name(&t);                                                                                              \
        test_store_close(&t);                                                                                          \
    }                                                                                                                  \
    Test(store, name##_rocks)                                                                                          \
    {                                                                                                                  \
        struct test_store t;                                                                                           \
        test_store_open(&t, BACKEND_ROCKS);                                                                            \
        check_##name(&t);                                                                                              \
        test_store_close(&t);                                                                                          \
    }                                                                                                                  \
    static void check_##name(struct test_store *t)

/* Verify finds no fault, or the test fails and says which. */
static inline void test_expect_sound(struct test_store *t)
{
    struct buf findings = {0};
    enum err e = store_verify(t->store, NULL, test_collect_failure, NULL, &findings);
    cr_assert_eq(e, ERR_OK, "%s %s", err_text(e), buf_cstr(&findings));
    buf_close(&findings);
}

#endif
