/*
 * A B+tree over (time, id) whose every node carries the LtHash of all ids below it. Owns its nodes; refuses to
 * know what a delta or a peer is. Inserts come mostly in time order, so a full leaf at the right edge is
 * split where the new item goes and the left part stays full; an item that comes a little late to a full leaf
 * pushes the few items after it into the next leaf. Nodes that run low are joined with a neighbour.
 */
#include "crdt/setindex.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LEAF_MAX   512
#define FAN_MAX    64
#define SPILL_MAX  (LEAF_MAX / 8) /* items that a late one may push into the next leaf */
#define LEVELS_MAX 16 /* 64^16 leaves: never reached */

/* Both kinds of node start with this. `used` counts items of a leaf or children of an inner node. */
struct node {
    struct lthash sum;
    size_t items; /* below, at all levels */
    size_t used;
};

struct leaf {
    struct node node;
    struct item item[LEAF_MAX];
};

/* Every item below child i is >= low[i], and below child i - 1 it is < low[i]; low[0] is not used. */
struct inner {
    struct node node;
    struct node *child[FAN_MAX];
    size_t items[FAN_MAX];
    struct item low[FAN_MAX];
};

struct setindex {
    struct node *root;
    unsigned height; /* 0: the root is a leaf */
    size_t bytes;
};

/* Where in the tree a node is: only at the right edge does a split keep the left part full. */
enum edge { EDGE_INSIDE, EDGE_RIGHT };

int item_cmp(const struct item *a, const struct item *b)
{
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return id_cmp(&a->id, &b->id);
}

static struct leaf *leaf_of(struct node *n)
{
    return (struct leaf *)(void *)n;
}

static struct inner *inner_of(struct node *n)
{
    return (struct inner *)(void *)n;
}

static const struct leaf *leaf_view(const struct node *n)
{
    return (const struct leaf *)(const void *)n;
}

static const struct inner *inner_view(const struct node *n)
{
    return (const struct inner *)(const void *)n;
}

static struct node *node_new(struct setindex *s, unsigned level)
{
    size_t size = level == 0 ? sizeof(struct leaf) : sizeof(struct inner);
    s->bytes += size;
    return mem_zalloc(size);
}

/* Frees the node alone: its children are the caller's. */
static void node_drop(struct setindex *s, struct node *n, unsigned level)
{
    s->bytes -= level == 0 ? sizeof(struct leaf) : sizeof(struct inner);
    free(n);
}

static void tree_drop(struct setindex *s, struct node *n, unsigned level)
{
    for (size_t i = 0; level > 0 && i < n->used; i++)
        tree_drop(s, inner_of(n)->child[i], level - 1);
    node_drop(s, n, level);
}

struct setindex *setindex_new(void)
{
    struct setindex *s = mem_zalloc(sizeof *s);
    s->bytes = sizeof *s;
    s->root = node_new(s, 0);
    return s;
}

void setindex_free(struct setindex *s)
{
    if (s == NULL)
        return;
    tree_drop(s, s->root, s->height);
    assert(s->bytes == sizeof *s);
    free(s);
}

void setindex_swap(struct setindex *a, struct setindex *b)
{
    struct setindex was = *a;
    *a = *b;
    *b = was;
}

size_t setindex_count(const struct setindex *s)
{
    return s->root->items;
}

size_t setindex_bytes(const struct setindex *s)
{
    return s->bytes;
}

/* ---- looking up --------------------------------------------------------------------------------------------- */

/* The first position in a leaf whose item is >= key. */
static size_t leaf_lower(const struct leaf *l, const struct item *key)
{
    size_t low = 0, high = l->node.used;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (item_cmp(&l->item[mid], key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The child under which key lies or would lie. */
static size_t inner_slot(const struct inner *in, const struct item *key)
{
    size_t low = 1, high = in->node.used;
    assert(high >= 1);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (item_cmp(&in->low[mid], key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low - 1;
}

size_t setindex_lower(const struct setindex *s, const struct item *bound)
{
    const struct node *n = s->root;
    size_t rank = 0;
    for (unsigned level = s->height; level > 0; level--) {
        const struct inner *in = inner_view(n);
        size_t slot = inner_slot(in, bound);
        for (size_t i = 0; i < slot; i++)
            rank += in->items[i];
        n = in->child[slot];
    }
    return rank + leaf_lower(leaf_view(n), bound);
}

bool setindex_has(const struct setindex *s, const struct item *item)
{
    const struct node *n = s->root;
    for (unsigned level = s->height; level > 0; level--)
        n = inner_view(n)->child[inner_slot(inner_view(n), item)];
    const struct leaf *l = leaf_view(n);
    size_t at = leaf_lower(l, item);
    return at < l->node.used && item_cmp(&l->item[at], item) == 0;
}

static void copy_items(const struct node *n, unsigned level, size_t from, size_t to, struct item *out)
{
    assert(from <= to && to <= n->items);
    if (level == 0) {
        memcpy(out, leaf_view(n)->item + from, (to - from) * sizeof *out);
        return;
    }
    const struct inner *in = inner_view(n);
    size_t start = 0;
    for (size_t i = 0; i < n->used && start < to; start += in->items[i++]) {
        size_t a = from > start ? from - start : 0;
        size_t b = to - start < in->items[i] ? to - start : in->items[i];
        if (a >= b)
            continue;
        copy_items(in->child[i], level - 1, a, b, out);
        out += b - a;
    }
}

void setindex_items(const struct setindex *s, size_t from, size_t n, struct item *out)
{
    assert(from <= setindex_count(s) && n <= setindex_count(s) - from);
    if (n > 0)
        copy_items(s->root, s->height, from, from + n, out);
}

/* ---- sums --------------------------------------------------------------------------------------------------- */

static void add_ids(const struct item *item, size_t count, struct lthash *sum)
{
    struct lthash h;
    for (size_t i = 0; i < count; i++) {
        lthash_of(&h, &item[i].id);
        lthash_add(sum, &h);
    }
}

/* A part of a leaf: either its own ids, or the leaf's sum without the others, whichever expands fewer. */
static size_t sum_leaf(const struct leaf *l, size_t from, size_t to, struct lthash *out)
{
    size_t inside = to - from, outside = l->node.used - inside;
    if (inside <= outside) {
        add_ids(l->item + from, inside, out);
        return inside;
    }
    struct lthash rest = {.lane = {0}};
    add_ids(l->item, from, &rest);
    add_ids(l->item + to, l->node.used - to, &rest);
    lthash_add(out, &l->node.sum);
    lthash_sub(out, &rest);
    return outside;
}

static size_t sum_range(const struct node *n, unsigned level, size_t from, size_t to, struct lthash *out)
{
    assert(from < to && to <= n->items);
    if (from == 0 && to == n->items) {
        lthash_add(out, &n->sum);
        return 0;
    }
    if (level == 0)
        return sum_leaf(leaf_view(n), from, to, out);
    const struct inner *in = inner_view(n);
    size_t start = 0, expanded = 0;
    for (size_t i = 0; i < n->used && start < to; start += in->items[i++]) {
        size_t a = from > start ? from - start : 0;
        size_t b = to - start < in->items[i] ? to - start : in->items[i];
        if (a < b)
            expanded += sum_range(in->child[i], level - 1, a, b, out);
    }
    return expanded;
}

size_t setindex_sum(const struct setindex *s, size_t from, size_t to, struct lthash *out)
{
    assert(from <= to && to <= setindex_count(s));
    memset(out, 0, sizeof *out);
    size_t expanded = from < to ? sum_range(s->root, s->height, from, to, out) : 0;
    assert(expanded <= LEAF_MAX);
    return expanded;
}

void setindex_digest(const struct setindex *s, struct id *out)
{
    uint8_t lanes[LTHASH_BYTES];
    struct hasher h;
    lthash_bytes(lanes, &s->root->sum);
    hash_init(&h, "souk/set/1");
    hash_part(&h, lanes, sizeof lanes);
    hash_u64(&h, setindex_count(s));
    hash_end(&h, out);
}

/* ---- inserting ---------------------------------------------------------------------------------------------- */

struct arrival {
    struct setindex *set;
    const struct item *item;
    struct lthash hash;
};

/* What an insert leaves to its parent: a new right neighbour (NULL: none) and the lowest item under it. */
struct growth {
    struct node *right;
    struct item low;
};

static void inner_open(struct inner *in, size_t at)
{
    size_t tail = in->node.used - at;
    assert(in->node.used < FAN_MAX && at <= in->node.used);
    memmove(in->child + at + 1, in->child + at, tail * sizeof in->child[0]);
    memmove(in->items + at + 1, in->items + at, tail * sizeof in->items[0]);
    memmove(in->low + at + 1, in->low + at, tail * sizeof in->low[0]);
    in->node.used++;
}

static void inner_shut(struct inner *in, size_t at)
{
    assert(at < in->node.used);
    size_t tail = in->node.used - at - 1;
    memmove(in->child + at, in->child + at + 1, tail * sizeof in->child[0]);
    memmove(in->items + at, in->items + at + 1, tail * sizeof in->items[0]);
    memmove(in->low + at, in->low + at + 1, tail * sizeof in->low[0]);
    in->node.used--;
}

/* Moves what is under `left` from position `at` on to the end of `right`; both sums are set right. */
static void leaf_move(struct leaf *left, size_t at, struct leaf *right)
{
    size_t n = left->node.used - at;
    struct lthash moved = {.lane = {0}};
    assert(right->node.used == 0);
    memcpy(right->item, left->item + at, n * sizeof left->item[0]);
    add_ids(right->item, n, &moved);
    lthash_sub(&left->node.sum, &moved);
    lthash_add(&right->node.sum, &moved);
    left->node.used = left->node.items = at;
    right->node.used = right->node.items = n;
}

static void inner_append(struct inner *in, struct node *child, const struct item *low)
{
    size_t at = in->node.used++;
    assert(at < FAN_MAX);
    in->child[at] = child;
    in->items[at] = child->items;
    in->low[at] = *low;
    in->node.items += child->items;
    lthash_add(&in->node.sum, &child->sum);
}

static void inner_move(struct inner *left, size_t at, struct inner *right)
{
    for (size_t i = at; i < left->node.used; i++) {
        inner_append(right, left->child[i], &left->low[i]);
        left->node.items -= left->items[i];
        lthash_sub(&left->node.sum, &left->child[i]->sum);
    }
    left->node.used = at;
}

/* A full node is split at `at` (where the newcomer goes) at the right edge, in the middle elsewhere. */
static size_t split_point(size_t at, size_t max, enum edge edge)
{
    return edge == EDGE_RIGHT && at >= max / 2 ? at : max / 2;
}

static void leaf_put(struct leaf *l, size_t at, const struct arrival *a)
{
    assert(l->node.used < LEAF_MAX && at <= l->node.used);
    memmove(l->item + at + 1, l->item + at, (l->node.used - at) * sizeof l->item[0]);
    l->item[at] = *a->item;
    l->node.used = ++l->node.items;
    lthash_add(&l->node.sum, &a->hash);
}

static struct growth leaf_insert(struct leaf *l, const struct arrival *a, enum edge edge)
{
    size_t at = leaf_lower(l, a->item);
    if (l->node.used < LEAF_MAX) {
        leaf_put(l, at, a);
        return (struct growth){.right = NULL};
    }
    struct leaf *right = leaf_of(node_new(a->set, 0));
    size_t split = split_point(at, LEAF_MAX, edge);
    leaf_move(l, split, right);
    if (at < split || (at == split && edge == EDGE_INSIDE))
        leaf_put(l, at, a);
    else
        leaf_put(right, at - split, a);
    return (struct growth){.right = &right->node, .low = right->item[0]};
}

static void inner_put(struct inner *in, size_t at, const struct growth *child)
{
    inner_open(in, at);
    in->child[at] = child->right;
    in->items[at] = child->right->items;
    in->low[at] = child->low;
    in->node.items += child->right->items;
    lthash_add(&in->node.sum, &child->right->sum);
}

/* Takes a new child at slot `at`, into `right` (new and empty) if there is no room. */
static struct growth inner_take(struct inner *in, size_t at, enum edge edge, const struct growth *child, struct inner *right)
{
    if (in->node.used < FAN_MAX) {
        inner_put(in, at, child);
        return (struct growth){.right = NULL};
    }
    size_t split = split_point(at, FAN_MAX, edge);
    struct growth grown = {.right = &right->node, .low = split < FAN_MAX ? in->low[split] : child->low};
    inner_move(in, split, right);
    if (at > split || right->node.used == 0)
        inner_put(right, at - split, child);
    else
        inner_put(in, at, child);
    return grown;
}

/* Makes room in the full leaf at `slot` by handing its last items to the next leaf, where these are few. */
static void try_spill(struct inner *in, size_t slot, const struct item *key)
{
    struct leaf *l = leaf_of(in->child[slot]);
    if (l->node.used < LEAF_MAX || slot + 1 == in->node.used)
        return;
    struct leaf *next = leaf_of(in->child[slot + 1]);
    size_t at = leaf_lower(l, key), n = LEAF_MAX - at;
    if (n == 0 || n > SPILL_MAX || n > LEAF_MAX - next->node.used)
        return;
    struct lthash moved = {.lane = {0}};
    add_ids(l->item + at, n, &moved);
    lthash_sub(&l->node.sum, &moved);
    lthash_add(&next->node.sum, &moved);
    memmove(next->item + n, next->item, next->node.used * sizeof next->item[0]);
    memcpy(next->item, l->item + at, n * sizeof next->item[0]);
    l->node.used = l->node.items = at;
    next->node.used = next->node.items = next->node.used + n;
    in->low[slot + 1] = next->item[0];
    in->items[slot] = at;
    in->items[slot + 1] = next->node.items;
}

static struct growth tree_insert(struct node *n, unsigned level, const struct arrival *a, enum edge edge)
{
    if (level == 0)
        return leaf_insert(leaf_of(n), a, edge);
    struct inner *in = inner_of(n);
    size_t slot = inner_slot(in, a->item);
    enum edge below = edge == EDGE_RIGHT && slot + 1 == n->used ? EDGE_RIGHT : EDGE_INSIDE;
    if (level == 1)
        try_spill(in, slot, a->item);
    struct growth child = tree_insert(in->child[slot], level - 1, a, below);
    in->items[slot] = in->child[slot]->items;
    n->items++;
    lthash_add(&n->sum, &a->hash);
    if (child.right == NULL)
        return child;
    /* The split moved these out of the old child; they come back with the new one. */
    n->items -= child.right->items;
    lthash_sub(&n->sum, &child.right->sum);
    struct inner *right = n->used == FAN_MAX ? inner_of(node_new(a->set, level)) : NULL;
    return inner_take(in, slot + 1, edge, &child, right);
}

bool setindex_insert(struct setindex *s, const struct item *item)
{
    if (setindex_has(s, item))
        return false;
    struct arrival a = {.set = s, .item = item};
    lthash_of(&a.hash, &item->id);
    struct growth grown = tree_insert(s->root, s->height, &a, EDGE_RIGHT);
    if (grown.right != NULL) {
        assert(s->height + 1 < LEVELS_MAX);
        struct inner *top = inner_of(node_new(s, s->height + 1));
        inner_append(top, s->root, &grown.low); /* low[0] is not used */
        inner_append(top, grown.right, &grown.low);
        s->root = &top->node;
        s->height++;
    }
    return true;
}

/* ---- removing ----------------------------------------------------------------------------------------------- */

/* Appends all of `right` to `left`. */
static void leaf_join(struct leaf *left, const struct leaf *right)
{
    assert(left->node.used + right->node.used <= LEAF_MAX);
    memcpy(left->item + left->node.used, right->item, right->node.used * sizeof left->item[0]);
    left->node.used = left->node.items = left->node.used + right->node.used;
    lthash_add(&left->node.sum, &right->node.sum);
}

static void inner_join(struct inner *left, const struct inner *right, const struct item *low)
{
    for (size_t i = 0; i < right->node.used; i++)
        inner_append(left, right->child[i], i == 0 ? low : &right->low[i]);
}

/* Joins children slot and slot + 1 if the result leaves room for growth. */
static void try_join(struct setindex *s, struct inner *in, unsigned level, size_t slot)
{
    size_t max = level == 1 ? LEAF_MAX : FAN_MAX;
    if (slot + 1 >= in->node.used)
        return;
    struct node *left = in->child[slot], *right = in->child[slot + 1];
    if (left->used + right->used > max - max / 4)
        return;
    if (level == 1)
        leaf_join(leaf_of(left), leaf_of(right));
    else
        inner_join(inner_of(left), inner_of(right), &in->low[slot + 1]);
    node_drop(s, right, level - 1);
    inner_shut(in, slot + 1);
    in->items[slot] = left->items;
}

static void tidy(struct setindex *s, struct inner *in, unsigned level, size_t slot)
{
    size_t max = level == 1 ? LEAF_MAX : FAN_MAX;
    struct node *child = in->child[slot];
    if (child->items == 0 && in->node.used > 1) {
        tree_drop(s, child, level - 1);
        inner_shut(in, slot);
        return;
    }
    if (child->used > max / 4)
        return;
    try_join(s, in, level, slot);
    if (slot > 0)
        try_join(s, in, level, slot - 1);
}

static void tree_remove(struct setindex *s, struct node *n, unsigned level, const struct arrival *a)
{
    lthash_sub(&n->sum, &a->hash);
    n->items--;
    if (level == 0) {
        struct leaf *l = leaf_of(n);
        size_t at = leaf_lower(l, a->item);
        n->used--;
        memmove(l->item + at, l->item + at + 1, (n->used - at) * sizeof l->item[0]);
        assert(n->used == n->items);
        return;
    }
    struct inner *in = inner_of(n);
    size_t slot = inner_slot(in, a->item);
    tree_remove(s, in->child[slot], level - 1, a);
    in->items[slot]--;
    tidy(s, in, level, slot);
}

bool setindex_remove(struct setindex *s, const struct item *item)
{
    if (!setindex_has(s, item))
        return false;
    struct arrival a = {.item = item};
    lthash_of(&a.hash, &item->id);
    tree_remove(s, s->root, s->height, &a);
    while (s->height > 0 && s->root->used == 1) {
        struct node *only = inner_of(s->root)->child[0];
        node_drop(s, s->root, s->height);
        s->root = only;
        s->height--;
    }
    return true;
}
