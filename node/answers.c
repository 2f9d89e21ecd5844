/*
 * A table with one place for each hash of an entry's id: an id is a hash already, so its first bytes choose the place.
 */
#include "node/answers.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>

struct slot {
    struct id seen;          /* made last, kept or not             */
    uint64_t moment;         /* of what is kept                    */
    struct entry_info info;
    struct buf text;         /* empty: nothing is kept             */
};

struct answers {
    struct slot slots[ANSWERS_SLOTS];
};

struct answers *answers_new(void)
{
    return mem_zalloc(sizeof(struct answers));
}

void answers_free(struct answers *a)
{
    for (size_t i = 0; a != NULL && i < ANSWERS_SLOTS; i++)
        buf_close(&a->slots[i].text);
    free(a);
}

static size_t place(const struct id *id)
{
    return (size_t)(get_be(id->b, 8) % ANSWERS_SLOTS);
}

bool answers_get(const struct answers *a, uint64_t moment, const struct entry_info *asked, struct entry_info *info, struct buf *out)
{
    const struct slot *s = &a->slots[place(&asked->id)];
    if (s->text.n == 0 || s->moment != moment || s->info.kind != asked->kind || !id_eq(&s->info.id, &asked->id))
        return false;
    assert(s->text.n <= ANSWERS_BYTES_MAX);
    *info = s->info;
    buf_put_bytes(out, buf_view(&s->text));
    return true;
}

void answers_made(struct answers *a, uint64_t moment, const struct entry_info *info, struct bytes answer)
{
    struct slot *s = &a->slots[place(&info->id)];
    bool again = id_eq(&s->seen, &info->id);
    assert(answer.n > 0);
    s->seen = info->id;
    if (!again || answer.n > ANSWERS_BYTES_MAX)
        return;
    buf_close(&s->text); /* no more memory than this answer needs */
    s->text = (struct buf){.p = mem_dup(answer.p, answer.n), .n = answer.n, .cap = answer.n};
    s->info = *info;
    s->moment = moment;
}
