/*
 * Results for local callers: one for each write and each bundle that was handed in, in order, with the failure of the commit
 * where it failed.
 */
#include "node/results.h"

#include <criterion/criterion.h>

static struct results results;
static struct queue queue;

static void set_up(void)
{
    results_init(&results);
    queue_init(&queue);
}

static void tear_down(void)
{
    results_close(&results);
    queue_close(&queue);
}

TestSuite(results, .init = set_up, .fini = tear_down);

static int callers[4]; /* their addresses are the ctx */

/* Two writes, a bundle of a peer and one that was handed in. */
static struct batch *a_batch(void)
{
    for (int i = 0; i < 2; i++)
        cr_assert_eq(queue_write(&queue, queued_write_new(&(struct node_write){.name = bytes_str("n"), .ctx = &callers[i]})), ERR_OK);
    cr_assert_eq(queue_bundle(&queue, &(struct queued_bundle){.tag = 7, .bytes = bytes_str("peer's")}), ERR_OK);
    cr_assert_eq(queue_bundle(&queue, &(struct queued_bundle){.handed_in = true, .ctx = &callers[2], .bytes = bytes_str("x")}), ERR_OK);
    return batch_take(&queue, 16, 16);
}

static void expect(const int *caller, bool is_bundle, enum err why)
{
    struct node_result r;
    cr_assert(results_next(&results, &r));
    cr_assert_eq(r.ctx, (void *)caller);
    cr_assert_eq(r.is_bundle, is_bundle);
    cr_assert_eq(r.why, why, "%s", err_text(r.why));
}

static void expect_end(void)
{
    struct node_result r;
    cr_assert_not(results_next(&results, &r));
}

Test(results, each_caller_has_its_own_in_order)
{
    struct batch *b = a_batch();
    b->job.writes[1].why = ERR_CONFLICT;
    results_add(&results, b, ERR_OK);
    batch_free(b);
    expect(&callers[0], false, ERR_OK);
    expect(&callers[1], false, ERR_CONFLICT);
    expect(&callers[2], true, ERR_OK);
    expect_end();
}

Test(results, a_commit_that_failed_is_everybodys_failure)
{
    struct batch *b = a_batch();
    b->job.writes[1].why = ERR_CONFLICT;
    results_add(&results, b, ERR_NO_SPACE);
    expect(&callers[0], false, ERR_NO_SPACE);
    expect(&callers[1], false, ERR_NO_SPACE);
    expect(&callers[2], true, ERR_NO_SPACE);
    expect_end();
    results_add(&results, b, ERR_OK); /* after the last was taken the list goes on */
    expect(&callers[0], false, ERR_OK);
    batch_free(b);
}
