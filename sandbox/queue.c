/*
 * The fair queue: two small arrays, searched from the front.
 */
#include "sandbox/queue.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void fair_queue_init(struct fair_queue *q, size_t max)
{
    assert(max >= 1 && max <= FAIR_QUEUE_MAX);
    *q = (struct fair_queue){
        .max = max, .entries = mem_calloc(max, sizeof *q->entries), .turns = mem_calloc(max, sizeof *q->turns)};
}

void fair_queue_close(struct fair_queue *q)
{
    free(q->entries);
    free(q->turns);
    *q = (struct fair_queue){0};
}

static size_t turn_of(const struct fair_queue *q, uint64_t caller)
{
    size_t i = 0;
    while (i < q->callers && q->turns[i].caller != caller)
        i++;
    return i;
}

enum err fair_queue_push(struct fair_queue *q, uint64_t caller, uint64_t id)
{
    assert(q->callers <= q->count && q->count <= q->max);
    size_t turn = turn_of(q, caller);
    if (q->count == q->max)
        return ERR_BUSY;
    if (turn < q->callers && q->turns[turn].waiting >= (q->max + 1) / 2)
        return ERR_BUSY;
    if (turn == q->callers)
        q->turns[q->callers++] = (struct fair_turn){.caller = caller};
    q->turns[turn].waiting++;
    q->entries[q->count++] = (struct fair_entry){.caller = caller, .id = id};
    return ERR_OK;
}

static void turn_remove(struct fair_queue *q, size_t turn)
{
    assert(turn < q->callers);
    memmove(q->turns + turn, q->turns + turn + 1, (q->callers - turn - 1) * sizeof *q->turns);
    q->callers--;
}

static void entry_remove(struct fair_queue *q, size_t i)
{
    assert(i < q->count);
    memmove(q->entries + i, q->entries + i + 1, (q->count - i - 1) * sizeof *q->entries);
    q->count--;
}

bool fair_queue_pop(struct fair_queue *q, uint64_t *id)
{
    if (q->count == 0)
        return false;
    struct fair_turn turn = q->turns[0];
    size_t i = 0;
    while (q->entries[i].caller != turn.caller)
        i++;
    *id = q->entries[i].id;
    entry_remove(q, i);
    turn_remove(q, 0);
    assert(turn.waiting > 0);
    if (--turn.waiting > 0)
        q->turns[q->callers++] = turn;
    return true;
}

bool fair_queue_remove(struct fair_queue *q, uint64_t id)
{
    for (size_t i = 0; i < q->count; i++) {
        if (q->entries[i].id != id)
            continue;
        size_t turn = turn_of(q, q->entries[i].caller);
        entry_remove(q, i);
        assert(turn < q->callers && q->turns[turn].waiting > 0);
        if (--q->turns[turn].waiting == 0)
            turn_remove(q, turn);
        return true;
    }
    return false;
}
