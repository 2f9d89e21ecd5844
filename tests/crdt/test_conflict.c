/* Fields that two sides changed after their fork (see MODEL 5). */
#include "crdt/register.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>

/* A little history: op i has time `time[i]` and parents by number. */
struct history {
    size_t n;
    uint64_t time[8];
    bool carries[8];
    size_t parent_count[8];
    struct id parents[8][2];
    size_t reads;
};

static bool header(void *ctx, const struct id *op, struct op_header *out)
{
    struct history *h = ctx;
    h->reads++;
    for (size_t i = 0; i < h->n; i++) {
        struct id id = gen_id(i);
        if (!id_eq(&id, op))
            continue;
        *out = (struct op_header){h->time[i], h->carries[i], h->parent_count[i], h->parents[i]};
        return true;
    }
    return false;
}

static void op(struct history *h, uint64_t time, size_t count, size_t a, size_t b)
{
    h->time[h->n] = time;
    h->carries[h->n] = true;
    h->parent_count[h->n] = count;
    h->parents[h->n][0] = gen_id(a);
    h->parents[h->n][1] = gen_id(b);
    h->n++;
}

struct pair {
    struct head head[2];
    struct body body[2];
    struct buf bytes[2];
};

/* Two heads, ops `first` and `first + 1`, each with fields a and b. */
static void two(struct pair *p, size_t first, const struct gen_field left[2], const struct gen_field right[2])
{
    *p = (struct pair){0};
    for (size_t i = 0; i < 2; i++) {
        gen_body(&p->bytes[i], i, 0, 2, i == 0 ? left : right);
        cr_assert_eq(body_parse(buf_view(&p->bytes[i]), 1000, &p->body[i]), ERR_OK);
        p->head[i] = (struct head){.op = gen_id(first + i), .is_put = true, .has_body = true, .body = &p->body[i]};
    }
}

static void two_close(struct pair *p)
{
    for (size_t i = 0; i < 2; i++) {
        body_close(&p->body[i]);
        buf_close(&p->bytes[i]);
    }
}

static void find(struct pair *p, struct history *h, struct conflicts *out)
{
    struct op_source source = {.header = header, .ctx = h};
    conflicts_find(p->head, 2, &source, out);
}

Test(conflict, only_what_both_sides_changed_after_the_fork)
{
    struct history h = {0};
    struct pair p;
    struct conflicts c;
    op(&h, 10, 0, 0, 0);
    op(&h, 20, 1, 0, 0);
    op(&h, 21, 1, 0, 0);
    two(&p, 1, (struct gen_field[]){{"a", 20, "left"}, {"b", 20, "left"}},
        (struct gen_field[]){{"a", 21, "right"}, {"b", 10, "old"}});
    find(&p, &h, &c);
    cr_assert_eq(c.count, 1);
    cr_assert(bytes_eq(c.items[0].name, bytes_str("a")));
    cr_assert_eq(c.items[0].count, 2);
    cr_assert_eq(c.items[0].versions[1].head, 1);
    cr_assert_eq(c.items[0].versions[1].changed_at, 21);
    cr_assert_not(c.cut_short);
    conflicts_close(&c);
    two_close(&p);
}

Test(conflict, the_same_value_on_both_sides_is_none)
{
    struct history h = {0};
    struct pair p;
    struct conflicts c;
    op(&h, 20, 0, 0, 0);
    op(&h, 21, 0, 0, 0);
    two(&p, 0, (struct gen_field[]){{"a", 20, "same"}, {"b", 20, "x"}},
        (struct gen_field[]){{"a", 21, "same"}, {"b", 21, "y"}});
    find(&p, &h, &c);
    cr_assert_eq(c.count, 1, "no common ancestor: every difference counts, and only differences");
    cr_assert(bytes_eq(c.items[0].name, bytes_str("b")));
    conflicts_close(&c);
    two_close(&p);
}

Test(conflict, a_stranger_named_on_both_sides_carries_nothing_further)
{
    struct history h = {0};
    struct pair p;
    struct conflicts c;
    op(&h, 30, 0, 0, 0);
    op(&h, 10, 1, 0, 0);
    op(&h, 40, 1, 1, 1);
    op(&h, 41, 1, 1, 1);
    two(&p, 2, (struct gen_field[]){{"a", 20, "left"}, {"b", 5, "x"}},
        (struct gen_field[]){{"a", 21, "right"}, {"b", 6, "y"}});
    find(&p, &h, &c);
    cr_assert_eq(c.count, 0, "op 0 of time 30 is the fork");
    conflicts_close(&c);
    h.carries[1] = false;
    find(&p, &h, &c);
    cr_assert_eq(c.count, 1, "op 1 of time 10 is the fork, and b changed before it");
    conflicts_close(&c);
    two_close(&p);
}

/* A chain without end: op n names op n + 1. */
static bool chain(void *ctx, const struct id *id, struct op_header *out)
{
    static struct id next[2 * MODEL_FORK_WALK_MAX];
    size_t *reads = ctx;
    size_t n = ++*reads;
    (void)id;
    cr_assert_leq(n, MODEL_FORK_WALK_MAX);
    next[n] = gen_id(100 + n);
    *out = (struct op_header){.time = 1, .carries = true, .parent_count = 1, .parents = &next[n]};
    return true;
}

Test(conflict, past_the_bound_every_difference_is_listed)
{
    struct pair p;
    struct conflicts c;
    size_t reads = 0;
    struct op_source source = {.header = chain, .ctx = &reads};
    two(&p, 0, (struct gen_field[]){{"a", 20, "left"}, {"b", 0, "x"}},
        (struct gen_field[]){{"a", 0, "right"}, {"b", 6, "y"}});
    conflicts_find(p.head, 2, &source, &c);
    cr_assert(c.cut_short);
    cr_assert_eq(c.count, 2);
    conflicts_close(&c);
    two_close(&p);
}

Test(conflict, one_head_reads_nothing)
{
    struct pair p;
    struct history h = {0};
    struct conflicts c;
    two(&p, 0, (struct gen_field[]){{"a", 20, "left"}, {"b", 0, "x"}}, (struct gen_field[]){{"a", 0, "r"}, {"b", 6, "y"}});
    struct op_source source = {.header = header, .ctx = &h};
    p.head[1].body = NULL;
    conflicts_find(p.head, 2, &source, &c);
    cr_assert_eq(c.count + h.reads, 0);
    conflicts_close(&c);
    two_close(&p);
}
