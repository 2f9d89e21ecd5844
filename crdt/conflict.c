/*
 * Conflicts (MODEL 5): the fields that two heads both changed after their fork. A report and not
 * state, so it may give up on precision: the walk through op headers has a bound, and past it every
 * field that differs is listed. Owns the walk; reads headers through the caller's table.
 */
#include "crdt/register.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS (4 * MODEL_FORK_WALK_MAX) /* a power of two: an open-addressed table of ids */

/* A visited op. `mask` has a bit for every head that it is a proper ancestor of. */
struct vertex {
    struct id id;
    uint64_t time;
    uint16_t mask;
    bool held;
    bool carries;
    bool queued;
    size_t edge_first, edge_count; /* its parents, in walk.edges */
};

struct walk {
    const struct op_source *ops;
    size_t count, visited; /* vertices known, headers read */
    struct vertex *nodes;
    uint16_t *slots; /* node + 1, 0 free */
    size_t edge_count, edge_cap;
    uint16_t *edges;
    size_t queue_count;
    uint16_t *queue;
    bool cut_short;
};

/* the vertex of an id, made if new; NULL and `cut_short` once the bound is met. */
static struct vertex *find_vertex(struct walk *w, const struct id *id)
{
    size_t slot = (size_t)get_le64(id->b) & (SLOTS - 1);
    for (; w->slots[slot] != 0; slot = (slot + 1) & (SLOTS - 1))
        if (id_eq(&w->nodes[w->slots[slot] - 1].id, id))
            return &w->nodes[w->slots[slot] - 1];
    if (w->count == MODEL_FORK_WALK_MAX) {
        w->cut_short = true;
        return NULL;
    }
    struct vertex *n = &w->nodes[w->count++];
    assert(w->count <= MODEL_FORK_WALK_MAX && w->count <= UINT16_MAX);
    *n = (struct vertex){.id = *id};
    w->slots[slot] = (uint16_t)w->count;
    return n;
}

static void add_edge(struct walk *w, struct vertex *from, const struct vertex *to)
{
    if (w->edge_count == w->edge_cap) {
        w->edge_cap = w->edge_cap > 0 ? 2 * w->edge_cap : 64;
        w->edges = mem_realloc(w->edges, w->edge_cap, sizeof *w->edges);
    }
    w->edges[w->edge_count++] = (uint16_t)(to - w->nodes);
    from->edge_count++;
}

/* Reads the header of node `at`, and makes nodes of its parents. */
static void visit(struct walk *w, size_t at)
{
    struct op_header h = {0};
    struct vertex *n = &w->nodes[at];
    assert(at < w->count && n->edge_count == 0);
    n->edge_first = w->edge_count;
    n->held = w->ops->header(w->ops->ctx, &n->id, &h);
    n->time = h.time;
    n->carries = n->held && h.carries;
    if (!n->carries)
        return;
    for (size_t i = 0; i < h.parent_count; i++) {
        const struct vertex *parent = find_vertex(w, &h.parents[i]);
        if (parent == NULL)
            return;
        add_edge(w, n, parent);
    }
}

static void push(struct walk *w, struct vertex *n)
{
    if (n->queued)
        return;
    n->queued = true;
    assert(w->queue_count < w->count); /* each vertex stands in it once at most */
    w->queue[w->queue_count++] = (uint16_t)(n - w->nodes);
}

/* Hands each node's bits on to its parents until nothing changes; at most 16 times for each node. */
static void spread(struct walk *w, size_t heads)
{
    for (size_t i = 0; i < w->count; i++)
        push(w, &w->nodes[i]);
    while (w->queue_count > 0) {
        struct vertex *n = &w->nodes[w->queue[--w->queue_count]];
        size_t at = (size_t)(n - w->nodes);
        unsigned own = at < heads ? 1u << at : 0;
        n->queued = false;
        for (size_t i = 0; i < n->edge_count; i++) {
            struct vertex *parent = &w->nodes[w->edges[n->edge_first + i]];
            uint16_t mask = (uint16_t)(parent->mask | n->mask | own);
            if (mask == parent->mask)
                continue;
            parent->mask = mask;
            push(w, parent);
        }
    }
}

static void walk_ancestors(struct walk *w, const struct head *heads, size_t n)
{
    w->nodes = mem_calloc(MODEL_FORK_WALK_MAX, sizeof *w->nodes);
    w->slots = mem_calloc(SLOTS, sizeof *w->slots);
    w->queue = mem_calloc(MODEL_FORK_WALK_MAX, sizeof *w->queue);
    for (size_t i = 0; i < n; i++)
        (void)find_vertex(w, &heads[i].op);
    assert(w->count == n);
    while (w->visited < w->count && !w->cut_short)
        visit(w, w->visited++);
    if (!w->cut_short)
        spread(w, n);
}

static void walk_close(struct walk *w)
{
    free(w->nodes);
    free(w->slots);
    free(w->queue);
    free(w->edges);
}

/* The fork of heads a and b: the greatest time among their common ancestors. False: none, or not known. */
static bool fork_time(const struct walk *w, size_t a, size_t b, uint64_t *time)
{
    assert(a < b && b < MODEL_HEADS_READ);
    uint16_t both = (uint16_t)(1u << a | 1u << b);
    bool any = false;
    *time = 0;
    for (size_t i = 0; i < w->count && !w->cut_short; i++) {
        const struct vertex *n = &w->nodes[i];
        if (!n->held || (n->mask & both) != both)
            continue;
        any = true;
        if (n->time > *time)
            *time = n->time;
    }
    return any;
}

/* A version among the bodies; `opposed` once another head's stands against it. */
struct claim {
    const struct field *field;
    size_t head;
    bool opposed;
};

static int claim_order(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int c = bytes_cmp(x->field->name, y->field->name);
    return c != 0 ? c : (x->head > y->head) - (x->head < y->head);
}

static size_t gather_claims(const struct head *heads, size_t n, struct claim **out)
{
    size_t room = 0, count = 0;
    uint64_t since = 0;
    for (size_t i = 0; i < n; i++) {
        const struct body *b = heads[i].body;
        room += b != NULL ? b->field_count : 0;
        if (b != NULL && b->since > since)
            since = b->since;
    }
    struct claim *claims = mem_calloc(room, sizeof *claims);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; heads[i].body != NULL && k < heads[i].body->field_count; k++) {
            const struct field *f = &heads[i].body->fields[k];
            if (since == 0 || f->changed_at > since)
                claims[count++] = (struct claim){.field = f, .head = i};
        }
    qsort(claims, count, sizeof *claims, claim_order);
    assert(count <= room);
    *out = claims;
    return count;
}

/* Times of the forks of every pair of heads, computed once. */
struct forks {
    bool any[MODEL_HEADS_READ][MODEL_HEADS_READ];
    uint64_t time[MODEL_HEADS_READ][MODEL_HEADS_READ];
};

static void find_forks(const struct walk *w, size_t n, struct forks *f)
{
    for (size_t a = 0; a < n; a++)
        for (size_t b = a + 1; b < n; b++)
            f->any[a][b] = fork_time(w, a, b, &f->time[a][b]);
}

static void oppose(const struct forks *f, struct claim *x, struct claim *y)
{
    assert(x->head < y->head);
    if (bytes_eq(x->field->value, y->field->value))
        return;
    uint64_t fork = f->time[x->head][y->head];
    bool both_after = x->field->changed_at > fork && y->field->changed_at > fork;
    if (f->any[x->head][y->head] && !both_after)
        return;
    x->opposed = true;
    y->opposed = true;
}

/* Lists the opposed claims of one name, claims[from..to). */
static void report(struct conflicts *out, const struct claim *claims, size_t from, size_t to)
{
    struct conflict c = {.name = claims[from].field->name};
    for (size_t i = from; i < to; i++)
        if (claims[i].opposed)
            c.versions[c.count++] = (struct conflict_version){
                .value = claims[i].field->value,
                .changed_at = claims[i].field->changed_at,
                .head = claims[i].head,
            };
    if (c.count == 0)
        return;
    assert(c.count >= 2 && c.count <= MODEL_HEADS_READ);
    out->items = mem_realloc(out->items, out->count + 1, sizeof *out->items);
    out->items[out->count++] = c;
}

static void compare(const struct forks *forks, struct claim *claims, size_t count,
                    struct conflicts *out)
{
    for (size_t from = 0, to; from < count; from = to) {
        to = from + 1;
        while (to < count && bytes_eq(claims[to].field->name, claims[from].field->name))
            to++;
        for (size_t i = from; i < to; i++)
            for (size_t k = i + 1; k < to; k++)
                oppose(forks, &claims[i], &claims[k]);
        report(out, claims, from, to);
    }
}

/* Puts with a body that was well formed; others have no version to stand against. */
static size_t bodies_among(const struct head *heads, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += heads[i].is_put && heads[i].body != NULL;
    return count;
}

void conflicts_find(const struct head *heads, size_t n, const struct op_source *ops,
                    struct conflicts *out)
{
    assert(n <= MODEL_HEADS_READ);
    *out = (struct conflicts){0};
    if (bodies_among(heads, n) < 2)
        return;
    struct walk w = {.ops = ops};
    struct forks *forks = mem_zalloc(sizeof *forks);
    struct claim *claims = NULL;
    walk_ancestors(&w, heads, n);
    find_forks(&w, n, forks);
    size_t count = gather_claims(heads, n, &claims);
    compare(forks, claims, count, out);
    out->cut_short = w.cut_short;
    free(claims);
    free(forks);
    walk_close(&w);
}

void conflicts_close(struct conflicts *c)
{
    free(c->items);
    *c = (struct conflicts){0};
}
