/*
 * The fair queue: in turn between callers, in order within one, bounded for all and for each.
 */
#include "sandbox/queue.h"

#include "crdt/rng.h"

#include <criterion/criterion.h>

static uint64_t pop(struct fair_queue *q)
{
    uint64_t id = 0;
    cr_assert(fair_queue_pop(q, &id));
    return id;
}

Test(queue, callers_are_served_in_turn_and_each_in_order)
{
    struct fair_queue q;
    uint64_t none;
    fair_queue_init(&q, 16);
    for (uint64_t i = 1; i <= 5; i++)
        cr_assert_eq(fair_queue_push(&q, 7, i), ERR_OK);
    cr_assert_eq(fair_queue_push(&q, 8, 100), ERR_OK);
    cr_assert_eq(fair_queue_push(&q, 9, 200), ERR_OK);
    cr_assert_eq(fair_queue_push(&q, 8, 101), ERR_OK);
    const uint64_t want[] = {1, 100, 200, 2, 101, 3, 4, 5};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        cr_expect_eq(pop(&q), want[i]);
    cr_expect(!fair_queue_pop(&q, &none));
    fair_queue_close(&q);
}

Test(queue, one_caller_takes_at_most_half_and_all_at_most_all)
{
    struct fair_queue q;
    fair_queue_init(&q, 5);
    for (uint64_t i = 1; i <= 3; i++)
        cr_assert_eq(fair_queue_push(&q, 1, i), ERR_OK);
    cr_expect_eq(fair_queue_push(&q, 1, 4), ERR_BUSY);
    cr_expect_eq(fair_queue_push(&q, 2, 5), ERR_OK);
    cr_expect_eq(fair_queue_push(&q, 3, 6), ERR_OK);
    cr_expect_eq(fair_queue_push(&q, 4, 7), ERR_BUSY);
    cr_expect(fair_queue_remove(&q, 2));
    cr_expect(!fair_queue_remove(&q, 2));
    cr_expect_eq(fair_queue_push(&q, 4, 7), ERR_OK);
    fair_queue_close(&q);
    fair_queue_init(&q, 1);
    cr_expect_eq(fair_queue_push(&q, 1, 1), ERR_OK);
    cr_expect_eq(pop(&q), 1u);
    fair_queue_close(&q);
}

/* Whatever comes and goes: nobody waits for more than one call of each other caller. */
Test(queue, nobody_is_passed_twice)
{
    struct fair_queue q;
    struct rng rng;
    uint64_t owner[4096], passed[8][8] = {{0}}, next = 0, waiting[8] = {0};
    rng_seed(&rng, 11);
    fair_queue_init(&q, 32);
    for (int step = 0; step < 4000; step++) {
        uint64_t caller = rng_below(&rng, 8), id;
        if (rng_below(&rng, 2) == 0 && fair_queue_push(&q, caller, next) == ERR_OK) {
            owner[next++] = caller;
            waiting[caller]++;
        } else if (fair_queue_pop(&q, &id)) {
            uint64_t served = owner[id];
            waiting[served]--;
            for (int c = 0; c < 8; c++) {
                passed[served][c] = 0;
                if (waiting[c] > 0 && (uint64_t)c != served)
                    cr_assert_leq(++passed[c][served], 1u, "caller %d was passed twice", c);
                else
                    passed[c][served] = 0;
            }
        }
    }
    fair_queue_close(&q);
}
