/*
 * The reconciliation engine: reads a frame range by range, compares, and writes the answer as it goes. Owns the
 * fingerprints, the split of ranges and the budgets that bound one frame; refuses to know connections, sessions
 * and deltas.
 */
#include "net/recon.h"

#include "crdt/alloc.h"
#include "net/recon_hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum range_mode { RANGE_SKIP = 0, RANGE_FINGERPRINT = 1, RANGE_LIST = 2 };

/* One frame being answered. */
struct walk {
    struct recon *r;
    struct buf *out;
    struct recon_diff *diff;
    struct recon_reader in;
    uint64_t bound;       /* the lower of both sides' time bounds */
    size_t size;          /* items below it */
    size_t mark;          /* bytes of out that are there to stay */
    uint64_t time_out;
    size_t ranges_in, ranges_out;
    size_t work;          /* as recon.work */
    size_t have;          /* items reported for this frame */
    bool skipping;        /* ranges up to prev need no answer, which is not written yet */
    struct recon_bound prev;    /* all below prev is dealt with */
    size_t prev_rank;
};

/* Not the published form: fingerprints hang on a key, and the work for a frame is bounded. */
static bool is_keyed(const struct walk *w)
{
    return w->r->config.mode != RECON_CONFORMANCE;
}

static const struct recon_bound everything = {.item = {.time = RECON_TIME_INFINITE}};

void recon_init(struct recon *r, const struct recon_config *config)
{
    memset(r, 0, sizeof *r);
    r->config = *config;
    assert(config->set != NULL);
    assert(config->frame_limit == 0 ? config->mode == RECON_CONFORMANCE : config->frame_limit >= RECON_FRAME_MIN);
    assert(config->frame_limit <= RECON_FRAME_MAX);
}

void recon_close(struct recon *r)
{
    buf_close(&r->scratch);
    sodium_memzero(r->config.key, sizeof r->config.key);
}

void recon_diff_reset(struct recon_diff *d)
{
    d->have_count = d->need_count = 0;
}

void recon_diff_close(struct recon_diff *d)
{
    free(d->have);
    free(d->need);
    memset(d, 0, sizeof *d);
}

static void diff_have(struct recon_diff *d, const struct item *item)
{
    if (d->have_count == d->have_cap) {
        d->have_cap = d->have_cap == 0 ? 64 : 2 * d->have_cap;
        d->have = mem_realloc(d->have, d->have_cap, sizeof *d->have);
    }
    d->have[d->have_count++] = *item;
}

static void diff_need(struct recon_diff *d, const struct id *id)
{
    if (d->need_count == d->need_cap) {
        d->need_cap = d->need_cap == 0 ? 64 : 2 * d->need_cap;
        d->need = mem_realloc(d->need, d->need_cap, sizeof *d->need);
    }
    d->need[d->need_count++] = *id;
}

/* ---- writing ------------------------------------------------------------------------------------------------ */

static void put_bound(struct walk *w, const struct recon_bound *b)
{
    recon_put_bound(w->out, &w->time_out, b);
    w->ranges_out++;
}

/* Ranges that need no answer are written as one, and only when something follows. */
static void put_skip(struct walk *w)
{
    if (!w->skipping)
        return;
    w->skipping = false;
    put_bound(w, &w->prev);
    recon_put_varint(w->out, RANGE_SKIP);
}

static bool is_full(const struct walk *w)
{
    size_t limit = w->r->config.frame_limit;
    return limit != 0 && w->out->n > limit - RECON_SLACK;
}

static bool is_spent(const struct walk *w)
{
    return is_keyed(w)
        && (w->work > RECON_WORK_MAX || w->ranges_out > RECON_RANGES_MAX - 2 * RECON_BUCKETS);
}

static void put_fingerprint(struct walk *w, const struct recon_range *range)
{
    uint8_t hash[RECON_FINGERPRINT_BYTES];
    w->work += recon_hash(&w->r->config, range, &w->r->scratch, hash);
    put_bound(w, &range->upper);
    recon_put_varint(w->out, RANGE_FINGERPRINT);
    buf_put(w->out, hash, sizeof hash);
}

/* ---- splitting ---------------------------------------------------------------------------------------------- */

static void put_ids(struct walk *w, size_t from, size_t n)
{
    struct item items[RECON_CHUNK];
    while (n > 0) {
        size_t take = n < RECON_CHUNK ? n : RECON_CHUNK;
        setindex_items(w->r->config.set, from, take, items);
        for (size_t i = 0; i < take; i++)
            buf_put(w->out, items[i].id.b, ID_BYTES);
        from += take;
        n -= take;
    }
}

static void put_list(struct walk *w, const struct recon_bound *upper, size_t from, size_t n)
{
    put_bound(w, upper);
    recon_put_varint(w->out, RANGE_LIST);
    recon_put_varint(w->out, n);
    put_ids(w, from, n);
}

static void split(struct walk *w, const struct recon_range *range)
{
    size_t count = range->to - range->from;
    if (count < RECON_LIST_BELOW) {
        put_list(w, &range->upper, range->from, count);
        return;
    }
    struct recon_range part = {.upper = range->lower, .to = range->from};
    for (size_t i = 0; i < RECON_BUCKETS; i++) {
        part.lower = part.upper;
        part.from = part.to;
        part.to = part.from + count / RECON_BUCKETS + (i < count % RECON_BUCKETS ? 1 : 0);
        part.upper = range->upper;
        if (part.to < range->to) {
            struct item pair[2];
            setindex_items(w->r->config.set, part.to - 1, 2, pair);
            part.upper = recon_between(&pair[0], &pair[1]);
        }
        put_fingerprint(w, &part);
    }
    assert(part.to == range->to);
}

/* ---- lists -------------------------------------------------------------------------------------------------- */

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, ID_BYTES);
}

/* Marks the ids of `theirs` (sorted) that we hold, and reports what they lack. Returns the rank of the first item
 * that was not reported for want of room, or range->to. */
static size_t match_ours(struct walk *w, const struct recon_range *range, const struct id *theirs, size_t n, uint8_t *seen)
{
    size_t stop = range->to;
    struct item items[RECON_CHUNK];
    for (size_t at = range->from; at < range->to;) {
        size_t take = range->to - at < RECON_CHUNK ? range->to - at : RECON_CHUNK;
        setindex_items(w->r->config.set, at, take, items);
        for (size_t i = 0; i < take; i++) {
            const struct id *match = n == 0 ? NULL : bsearch(&items[i].id, theirs, n, ID_BYTES, compare_ids);
            if (match != NULL)
                seen[match - theirs] = 1;
            else if (!is_keyed(w) || w->have++ < RECON_HAVE_MAX)
                diff_have(w->diff, &items[i]);
            else if (stop == range->to)
                stop = at + i;
        }
        at += take;
    }
    return stop;
}

/* Sorts ids and drops the second of equal ones, so that a match marks the only one. */
static size_t sort_ids(struct id *ids, size_t n)
{
    size_t kept = 0;
    if (n > 0)
        qsort(ids, n, ID_BYTES, compare_ids);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !id_eq(&ids[i], &ids[kept - 1]))
            ids[kept++] = ids[i];
    return kept;
}

/* The initiator compares the peer's list with its own items. Returns as match_ours does. */
static size_t compare_list(struct walk *w, const struct recon_range *range, const uint8_t *ids, size_t n)
{
    struct buf *b = &w->r->scratch;
    w->work += (4 * n + range->to - range->from) / RECON_WORK_ITEMS;
    buf_reset(b);
    struct id *theirs = (struct id *)(void *)buf_grow(b, n * (ID_BYTES + 1) + 1);
    uint8_t *seen = b->p + n * ID_BYTES;
    memset(seen, 0, n + 1);
    if (n > 0)
        memcpy(theirs, ids, n * ID_BYTES);
    size_t distinct = sort_ids(theirs, n);
    size_t stop = match_ours(w, range, theirs, distinct, seen);
    for (size_t i = 0; i < n; i++) { /* in the peer's order: what is oldest is asked for first */
        const struct id *match = bsearch(ids + i * ID_BYTES, theirs, distinct, ID_BYTES, compare_ids);
        assert(match != NULL);
        if (seen[match - theirs] == 0)
            diff_need(w->diff, match);
        seen[match - theirs] = 1;
    }
    return stop;
}

/* Is the initiator's list exactly ours? Then no answer is needed. */
static bool list_is_ours(struct walk *w, const struct recon_range *range, const uint8_t *ids, size_t n)
{
    struct item items[RECON_CHUNK];
    if (n != range->to - range->from)
        return false;
    w->work += n / RECON_WORK_ITEMS;
    for (size_t at = 0; at < n;) {
        size_t take = n - at < RECON_CHUNK ? n - at : RECON_CHUNK;
        setindex_items(w->r->config.set, range->from + at, take, items);
        for (size_t i = 0; i < take; i++)
            if (memcmp(items[i].id.b, ids + (at + i) * ID_BYTES, ID_BYTES) != 0)
                return false;
        at += take;
    }
    return true;
}

/* The responder sends its own ids of the range, as many as the frame takes; the range then ends where they end. */
static void answer_list(struct walk *w, struct recon_range *range)
{
    size_t n = range->to - range->from, limit = w->r->config.frame_limit;
    if (limit != 0) { /* another id is taken while those before it leave the slack free */
        size_t fit = (limit - RECON_SLACK - w->mark) / ID_BYTES + 1;
        n = n < fit ? n : fit;
    }
    w->work += n / RECON_WORK_ITEMS;
    put_skip(w);
    if (range->from + n < range->to) {
        range->to = range->from + n;
        setindex_items(w->r->config.set, range->to, 1, &range->upper.item);
        range->upper.len = ID_BYTES;
    }
    put_list(w, &range->upper, range->from, n);
}

/* ---- one range ---------------------------------------------------------------------------------------------- */

enum step {
    STEP_NEXT,   /* the answer may be taken back if the frame is too long with it */
    STEP_KEPT,   /* the answer was cut to fit and stays                           */
    STEP_CLOSED, /* nothing more goes into this frame                             */
    STEP_BAD     /* the peer broke the format                                     */
};

/* Closes the frame with one fingerprint of everything from rank `from` on. */
static enum step close_frame(struct walk *w, size_t from)
{
    struct recon_range rest = {.lower = w->prev, .upper = everything, .from = from, .to = w->size};
    if (is_keyed(w)) {
        if (w->prev.item.time == RECON_TIME_INFINITE)
            return STEP_CLOSED;
        put_skip(w);
    }
    put_fingerprint(w, &rest);
    return STEP_CLOSED;
}

static enum step take_fingerprint(struct walk *w, const struct recon_range *range)
{
    const uint8_t *theirs;
    uint8_t ours[RECON_FINGERPRINT_BYTES];
    if (!recon_read_bytes(&w->in, RECON_FINGERPRINT_BYTES, &theirs))
        return STEP_BAD;
    w->work += recon_hash(&w->r->config, range, &w->r->scratch, ours);
    if (memcmp(ours, theirs, sizeof ours) == 0) {
        w->skipping = true;
    } else {
        put_skip(w);
        split(w, range);
    }
    return STEP_NEXT;
}

static enum step respond_list(struct walk *w, struct recon_range *range, const uint8_t *ids, size_t n)
{
    if (is_keyed(w) && list_is_ours(w, range, ids, n)) {
        w->skipping = true;
        return STEP_NEXT;
    }
    answer_list(w, range);
    return STEP_KEPT;
}

static enum step take_list(struct walk *w, struct recon_range *range)
{
    uint64_t n;
    const uint8_t *ids;
    if (!recon_read_varint(&w->in, &n))
        return STEP_BAD;
    if (n > w->in.left / ID_BYTES) {
        (void)recon_fail(&w->in, "a list claims more ids than the frame holds");
        return STEP_BAD;
    }
    if (!recon_read_bytes(&w->in, (size_t)n * ID_BYTES, &ids))
        return STEP_BAD;
    if (w->r->config.role == RECON_RESPONDER)
        return respond_list(w, range, ids, (size_t)n);
    if (is_keyed(w) && range->to - range->from > RECON_SCAN_MAX) { /* too many to look through for one list */
        put_skip(w);
        split(w, range);
        return STEP_NEXT;
    }
    size_t stop = compare_list(w, range, ids, (size_t)n);
    if (stop == range->to) {
        w->skipping = true;
        return STEP_NEXT;
    }
    if (stop > range->from) { /* up to here all was reported */
        w->skipping = true;
        setindex_items(w->r->config.set, stop, 1, &w->prev.item);
        w->prev.len = ID_BYTES;
    }
    return close_frame(w, stop);
}

static enum step take_range(struct walk *w, struct recon_range *range)
{
    uint64_t mode;
    if (!recon_read_bound(&w->in, &range->upper) || !recon_read_varint(&w->in, &mode))
        return STEP_BAD;
    size_t rank = setindex_lower(w->r->config.set, &range->upper.item);
    range->to = rank < w->size ? rank : w->size;
    assert(range->from <= range->to);
    switch (mode) {
    case RANGE_SKIP: w->skipping = true; return STEP_NEXT;
    case RANGE_FINGERPRINT: return take_fingerprint(w, range);
    case RANGE_LIST: return take_list(w, range);
    default: (void)recon_fail(&w->in, "a range has an unknown mode"); return STEP_BAD;
    }
}

/* The answer to a range did not fit and is taken back. Production closes with a fingerprint from that range on. The
 * published algorithm leaves the range out of the fingerprint, which therefore differs and is split again. */
static enum step take_back(struct walk *w, const struct walk *before, size_t after)
{
    w->out->n = w->mark;
    w->skipping = before->skipping;
    w->time_out = before->time_out;
    w->ranges_out = before->ranges_out;
    return close_frame(w, is_keyed(w) ? w->prev_rank : after);
}

static enum step walk_step(struct walk *w)
{
    struct walk before = *w;
    struct recon_range range = {.lower = w->prev, .from = w->prev_rank};
    if (is_spent(w))
        return close_frame(w, w->prev_rank);
    if (++w->ranges_in > RECON_RANGES_MAX && is_keyed(w)) {
        (void)recon_fail(&w->in, "a frame has more ranges than allowed");
        return STEP_BAD;
    }
    w->work++;
    enum step step = take_range(w, &range);
    if (step == STEP_CLOSED || step == STEP_BAD)
        return step;
    if (step == STEP_NEXT && is_full(w))
        return take_back(w, &before, range.to);
    w->prev = range.upper;
    w->prev_rank = range.to;
    if (is_full(w))
        return close_frame(w, w->prev_rank);
    w->mark = w->out->n;
    return STEP_NEXT;
}

/* ---- frames ------------------------------------------------------------------------------------------------- */

static void walk_start(struct walk *w, struct buf *out)
{
    const struct recon_config *c = &w->r->config;
    w->out = out;
    buf_reset(out);
    buf_put_u8(out, (uint8_t)c->mode);
    w->size = setindex_count(c->set);
    if (is_keyed(w)) {
        struct item end = {.time = w->bound};
        w->size = setindex_lower(c->set, &end);
        recon_put_varint(out, w->bound);
    }
    w->mark = out->n;
}

/* The part of the set that an audit looks at: `span` items from `from` on. */
static void audit_part(struct walk *w, struct recon_range *part)
{
    const struct recon_config *c = &w->r->config;
    const struct item none = {.time = 0};
    part->from = setindex_lower(c->set, &c->from);
    part->from = part->from < w->size ? part->from : w->size;
    part->to = w->size - part->from > c->span ? part->from + c->span : w->size;
    if (item_cmp(&c->from, &none) > 0) {
        w->prev = part->lower = (struct recon_bound){.item = c->from, .len = ID_BYTES};
        w->skipping = true;
    }
    part->upper = everything;
    w->r->next = none;
    if (part->to == w->size)
        return;
    struct item pair[2];
    setindex_items(c->set, part->to - 1, 2, pair);
    part->upper = recon_between(&pair[0], &pair[1]);
    w->r->next = part->upper.item;
}

void recon_initiate(struct recon *r, struct buf *out)
{
    struct walk w = {.r = r, .bound = r->config.bound};
    assert(r->config.role == RECON_INITIATOR);
    walk_start(&w, out);
    struct recon_range part = {.upper = everything, .to = w.size};
    bool audit = r->config.mode == RECON_AUDIT;
    if (audit)
        audit_part(&w, &part);
    put_skip(&w);
    if (is_keyed(&w) && !audit && r->config.guess == RECON_GUESS_EQUAL && w.size >= RECON_LIST_BELOW)
        put_fingerprint(&w, &part);
    else
        split(&w, &part);
    r->work = w.work;
    assert(out->n < RECON_FRAME_MIN);
}

static bool read_head(struct walk *w)
{
    const struct recon_config *c = &w->r->config;
    const uint8_t *version;
    if (is_keyed(w) && w->in.left > RECON_FRAME_MAX)
        return recon_fail(&w->in, "a frame is longer than allowed");
    if (w->in.left == 0)
        return recon_fail(&w->in, "a frame is empty");
    if (!recon_read_bytes(&w->in, 1, &version) || *version != c->mode)
        return recon_fail(&w->in, "a frame has an unknown version byte");
    uint64_t bound;
    if (!is_keyed(w))
        return true;
    if (!recon_read_varint(&w->in, &bound))
        return false;
    w->bound = bound < c->bound ? bound : c->bound;
    return true;
}

enum recon_status recon_input(struct recon *r, struct bytes frame, struct buf *out, struct recon_diff *diff)
{
    struct walk w = {.r = r, .diff = diff, .in = {.p = frame.p, .left = frame.n}};
    bool initiator = r->config.role == RECON_INITIATOR;
    assert(!initiator || diff != NULL);
    w.in.empty_ranges = !is_keyed(&w);
    if (!read_head(&w)) {
        r->why = w.in.why;
        return RECON_ERROR;
    }
    if (initiator)
        r->config.bound = w.bound;
    walk_start(&w, out);
    size_t head = out->n;
    enum step step = STEP_NEXT;
    while (step == STEP_NEXT && w.in.left > 0)
        step = walk_step(&w);
    r->why = w.in.why;
    r->work = w.work;
    if (step == STEP_BAD) {
        assert(r->why != NULL);
        return RECON_ERROR;
    }
    assert(r->config.frame_limit == 0 || out->n <= r->config.frame_limit);
    return initiator && out->n == head ? RECON_DONE : RECON_SEND;
}
