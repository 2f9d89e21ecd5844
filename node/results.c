/*
 * Rows of a list, one for each caller who waits. Knows batches as queue.h gives them and no commit.
 */
#include "node/results.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>

struct result_row {
    struct result_row *next;
    struct node_result result;
};

void results_init(struct results *r)
{
    *r = (struct results){0};
    r->end = &r->first;
}

void results_close(struct results *r)
{
    struct node_result ignored;
    while (results_next(r, &ignored)) {
    }
}

static void put(struct results *r, const struct node_result *result)
{
    assert(r->end != NULL && *r->end == NULL);
    struct result_row *row = mem_alloc(sizeof *row);
    *row = (struct result_row){.result = *result};
    *r->end = row;
    r->end = &row->next;
}

static void add_writes(struct results *r, const struct batch *b, enum err failure)
{
    const struct queued_write *q = b->writes;
    for (size_t i = 0; i < b->job.write_count; i++, q = q->next) {
        assert(q != NULL);
        const struct store_write *w = &b->job.writes[i];
        put(r, &(struct node_result){.ctx = q->write.ctx,
                                     .why = failure != ERR_OK ? failure : w->why,
                                     .entry = w->entry,
                                     .revision = w->new_revision,
                                     .op = w->new_op,
                                     .created = w->created});
    }
}

static void add_bundles(struct results *r, const struct batch *b, enum err failure)
{
    const struct queued_bundle *q = b->bundles;
    for (size_t i = 0; i < b->job.in_count; i++, q = q->next) {
        assert(q != NULL);
        const struct store_in *in = &b->job.in[i];
        if (q->handed_in)
            put(r, &(struct node_result){.ctx = q->ctx,
                                         .is_bundle = true,
                                         .why = failure != ERR_OK ? failure : in->why,
                                         .verdict = in->verdict,
                                         .item = in->item});
    }
}

void results_add(struct results *r, const struct batch *b, enum err failure)
{
    add_writes(r, b, failure);
    add_bundles(r, b, failure);
}

bool results_next(struct results *r, struct node_result *out)
{
    struct result_row *row = r->first;
    if (row == NULL)
        return false;
    *out = row->result;
    r->first = row->next;
    if (r->first == NULL)
        r->end = &r->first;
    free(row);
    return true;
}
