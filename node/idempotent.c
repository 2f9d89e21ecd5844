/*
 * A list in order of beginning, newest first. At most 1024 rows, so it is walked.
 */
#include "node/idempotent.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>

struct row {
    struct row *next;
    struct id key, request;
    uint64_t began_ms;
    bool done;
    struct buf answer;
};

struct idempotent {
    struct row *rows;
    size_t count, bytes;
};

struct idempotent *idempotent_new(void)
{
    return mem_zalloc(sizeof(struct idempotent));
}

static struct row **find(struct idempotent *t, const struct id *key)
{
    struct row **at = &t->rows;
    while (*at != NULL && !id_eq(&(*at)->key, key))
        at = &(*at)->next;
    return at;
}

static void drop(struct idempotent *t, struct row **at)
{
    struct row *r = *at;
    *at = r->next;
    assert(t->count > 0 && t->bytes >= r->answer.n);
    t->count--;
    t->bytes -= r->answer.n;
    buf_close(&r->answer);
    free(r);
}

void idempotent_free(struct idempotent *t)
{
    if (t == NULL)
        return;
    while (t->rows != NULL)
        drop(t, &t->rows);
    free(t);
}

/* The oldest row that has ended; a running one is never dropped, its number is bounded by its caller. */
static struct row **oldest(struct idempotent *t)
{
    struct row **last = NULL;
    for (struct row **at = &t->rows; *at != NULL; at = &(*at)->next)
        if ((*at)->done)
            last = at;
    return last;
}

static void expire(struct idempotent *t, uint64_t now_ms)
{
    struct row **at = &t->rows;
    while (*at != NULL) {
        if ((*at)->done && now_ms - (*at)->began_ms > IDEMPOTENT_MS)
            drop(t, at);
        else
            at = &(*at)->next;
    }
}

enum idempotent_state idempotent_begin(struct idempotent *t, const struct id *key, const struct id *request,
                                       uint64_t now_ms, struct bytes *answer)
{
    expire(t, now_ms);
    struct row *r = *find(t, key), **last;
    assert(answer != NULL && t->bytes <= IDEMPOTENT_BYTES);
    if (r != NULL && !id_eq(&r->request, request))
        return IDEMPOTENT_OTHER;
    if (r != NULL && !r->done)
        return IDEMPOTENT_RUNNING;
    if (r != NULL) {
        *answer = buf_view(&r->answer);
        return IDEMPOTENT_DONE;
    }
    if (t->count >= IDEMPOTENT_MAX && (last = oldest(t)) != NULL)
        drop(t, last);
    r = mem_zalloc(sizeof *r);
    *r = (struct row){.next = t->rows, .key = *key, .request = *request, .began_ms = now_ms};
    t->rows = r;
    t->count++;
    return IDEMPOTENT_FRESH;
}

void idempotent_keep(struct idempotent *t, const struct id *key, struct bytes answer)
{
    struct row **at = find(t, key), **last;
    assert(*at != NULL && !(*at)->done);
    if (answer.n > IDEMPOTENT_BYTES / 4) {
        drop(t, at);
        return;
    }
    while (t->bytes + answer.n > IDEMPOTENT_BYTES && (last = oldest(t)) != NULL)
        drop(t, last);
    struct row *r = *find(t, key);
    assert(r != NULL && r->answer.n == 0);
    r->done = true;
    buf_put_bytes(&r->answer, answer);
    t->bytes += answer.n;
}

void idempotent_forget(struct idempotent *t, const struct id *key)
{
    struct row **at = find(t, key);
    if (*at != NULL)
        drop(t, at);
}
