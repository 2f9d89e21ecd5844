/*
 * The queue before the group commit: what waits is bounded in number and in bytes, and so is what one job takes.
 */
#include "crdt/alloc.h"
#include "node/queue.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_BYTES = 60000 };

static struct queued_write *large_write(void)
{
    static uint8_t value[VALUE_BYTES];
    struct field field = {.name = bytes_str("description"), .value = bytes_of(value, sizeof value)};
    return queued_write_new(&(struct node_write){.name = bytes_str("large"), .change = {.field_count = 1, .fields = &field}});
}

/* Puts large writes until one is refused; how many went in. */
static size_t fill(struct queue *q)
{
    for (size_t n = 0;; n++) {
        struct queued_write *w = large_write();
        enum err e = queue_write(q, w);
        if (e == ERR_OK)
            continue;
        cr_assert_eq(e, ERR_BUSY);
        free(w);
        return n;
    }
}

Test(queue, bytes_of_waiting_writes_are_bounded)
{
    struct queue q;
    queue_init(&q);
    size_t n = fill(&q);
    cr_assert_leq(n * VALUE_BYTES, NODE_PENDING_WRITE_BYTES + VALUE_BYTES);
    cr_assert_geq((n + 1) * VALUE_BYTES, NODE_PENDING_WRITE_BYTES - NODE_BATCH_BYTES);
    queue_close(&q);
}

Test(queue, a_job_takes_writes_up_to_its_bytes_and_makes_room)
{
    struct queue q;
    queue_init(&q);
    size_t waiting = fill(&q), jobs = 0;
    while (!queue_empty(&q)) {
        struct batch *b = batch_take(&q, 1, NODE_BATCH_WRITES);
        cr_assert_gt(b->job.write_count, 0);
        cr_assert_leq(b->job.write_count * VALUE_BYTES, NODE_BATCH_BYTES + 2 * VALUE_BYTES);
        waiting -= b->job.write_count;
        jobs++;
        batch_free(b);
    }
    cr_assert_eq(waiting, 0);
    cr_assert_gt(jobs, NODE_PENDING_WRITE_BYTES / NODE_BATCH_BYTES - 2);
    cr_assert_eq(q.write_bytes, 0);
    cr_assert_gt(fill(&q), 0, "there is room again");
    queue_close(&q);
}

Test(queue, small_writes_are_taken_by_number)
{
    struct queue q;
    queue_init(&q);
    for (size_t i = 0; i < 10; i++)
        cr_assert_eq(queue_write(&q, queued_write_new(&(struct node_write){.name = bytes_str("small")})), ERR_OK);
    struct batch *b = batch_take(&q, 1, 4);
    cr_assert_eq(b->job.write_count, 4);
    cr_assert_eq(q.write_count, 6);
    batch_free(b);
    queue_close(&q);
}
