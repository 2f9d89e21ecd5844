/*
 * Re-checks everything on disk from the deltas' own bytes: form, ids, signatures and bodies one by one, then every derived
 * row (the set, marks, heads, JSON, listings) against a store that is built anew from the same deltas. Repairs nothing.
 */
#include "crdt/alloc.h"
#include "store/shadow.h"
#include "store/work.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLAY_BYTES = 4 << 20, REPLAY_DELTAS = 256 };

struct check {
    const struct store *store;
    const struct kv_ops *ops;
    const struct id *only;     /* NULL: every entry */
    void (*each)(void *, const struct verify_finding *);
    void (*progress)(void *, uint64_t done, uint64_t total);
    void *ctx;
    bool failed;
    uint64_t done, total;
    struct work_list deltas;   /* ids to replay: each a struct id, owned */
};

enum outcome { FAILED, PASSED };

static void report(struct check *c, enum outcome outcome, const char *what, const struct id *subject, const char *detail)
{
    assert(outcome == PASSED || detail[0] != 0);
    struct verify_finding f = {.ok = outcome == PASSED, .check = what, .subject = *subject};
    if (outcome == FAILED)
        c->failed = true;
    else if (c->only == NULL)
        return;
    snprintf(f.detail, sizeof f.detail, "%s", detail);
    c->each(c->ctx, &f);
}

static void judge(struct check *c, bool good, const char *what, const struct id *subject, const char *fault)
{
    report(c, good ? PASSED : FAILED, what, subject, good ? "" : fault);
}

/* ---- deltas one by one ---- */

static bool concerns(const struct check *c, const struct delta *d)
{
    for (size_t i = 0; c->only != NULL && i < d->op_count; i++) {
        struct id entry;
        entry_id(&entry, d->ops[i].kind, &d->ops[i].owner, d->ops[i].name);
        if (id_eq(&entry, c->only))
            return true;
    }
    return c->only == NULL;
}

static void check_record(struct check *c, const struct delta_record *r, const struct id *id)
{
    struct delta d;
    enum err e = delta_parse(r->bytes, &d);
    if (e != ERR_OK) {
        report(c, FAILED, "canonical form", id, err_text(e));
        return;
    }
    if (concerns(c, &d)) {
        report(c, PASSED, "canonical form", id, "");
        judge(c, id_eq(&d.id, id), "delta id", id, "the hash of the bytes is another id");
        judge(c, id_eq(&d.mesh, &c->store->mesh), "mesh", id, "the delta names another mesh");
        judge(c, key_eq(&d.author, &r->author) && d.time == r->time, "author and time", id, "the row names others");
        judge(c, delta_verify(&d.id, &d.author, r->sig) == ERR_OK, "signature", id, "it does not hold");
    }
    delta_close(&d);
}

static void check_body(struct check *c, const struct delta_record *r, struct bytes body, const struct id *id, size_t index)
{
    struct delta d;
    struct id op;
    if (delta_parse(r->bytes, &d) != ERR_OK)
        return; /* reported with its delta */
    op_id(&op, id, index);
    if (concerns(c, &d)) {
        bool put = index < d.op_count && d.ops[index].verb == VERB_PUT;
        judge(c, put && body_matches(&d.ops[index], body), "body hash", &op, "the body is not the one that was signed");
    }
    delta_close(&d);
}

static void remember(struct check *c, const struct id *id)
{
    work_list_add(&c->deltas, mem_dup(id, sizeof *id));
}

static enum err check_deltas(struct check *c)
{
    assert(c->done == 0);
    struct dbkey prefix;
    struct buf row = {0};
    struct delta_record record = {0};
    bool whole = false;
    dbkey_start(&prefix, FAMILY_DELTA);
    struct kv_iter *it = c->ops->iter(c->store->kv, NULL, dbkey_view(&prefix));
    for (bool on = c->ops->seek(it, dbkey_view(&prefix)); on; on = c->ops->next(it)) {
        struct bytes key = c->ops->key(it);
        struct id id = id_at(key, 1);
        if (key.n == 1 + ID_BYTES) {
            buf_reset(&row);
            buf_put_bytes(&row, c->ops->value(it));
            whole = delta_record_get(buf_view(&row), &record) == ERR_OK;
            if (whole)
                check_record(c, &record, &id);
            else
                report(c, FAILED, "canonical form", &id, "the row is cut short");
            remember(c, &id);
            c->done++;
            if (c->progress != NULL)
                c->progress(c->ctx, c->done, c->total);
        } else if (whole && key.n == 1 + ID_BYTES + 2) {
            check_body(c, &record, c->ops->value(it), &id, get_be(key.p + 1 + ID_BYTES, 2));
        }
    }
    buf_close(&row);
    return c->ops->iter_close(it);
}

/* ---- the same deltas into a new store ---- */

struct replay {
    struct check *check;
    struct store *store;
    struct store_in in[REPLAY_DELTAS];
    struct buf bundles[REPLAY_DELTAS];
    size_t count, bytes, again;
};

/* Deltas that were refused for want of bodies go back to the list: what erased them may come later in it. */
static enum err run(struct replay *r)
{
    assert(r->count <= REPLAY_DELTAS);
    struct store_job job = {.now_ms = UINT64_MAX / 2, .in_count = r->count, .in = r->in};
    for (size_t i = 0; i < r->count; i++)
        r->in[i].bundle = buf_view(&r->bundles[i]);
    enum err e = store_apply(r->store, &job);
    store_job_close(&job);
    for (size_t i = 0; i < r->count; i++) {
        if (r->in[i].verdict == VERDICT_REFUSED && r->in[i].why == ERR_INVALID) {
            remember(r->check, &r->in[i].item.id);
            r->again++;
        }
        buf_reset(&r->bundles[i]);
    }
    r->count = r->bytes = 0;
    return e;
}

static enum err replay_one(struct replay *r, const struct id *id)
{
    assert(r->count < REPLAY_DELTAS);
    struct buf *bundle = &r->bundles[r->count];
    r->in[r->count] = (struct store_in){0};
    if (store_bundle(r->check->store, id, bundle) != ERR_OK)
        return ERR_OK; /* reported already */
    r->bytes += bundle->n;
    r->count++;
    return r->count == REPLAY_DELTAS || r->bytes >= REPLAY_BYTES ? run(r) : ERR_OK;
}

static enum err replay_all(struct check *c, struct store *into)
{
    struct replay *r = mem_zalloc(sizeof *r);
    enum err e = ERR_OK;
    r->check = c;
    r->store = into;
    size_t from = 0, to = c->deltas.count;
    for (bool progress = true; progress && e == ERR_OK; from = to, to = c->deltas.count) {
        r->again = 0;
        for (size_t i = from; i < to && e == ERR_OK; i++)
            e = replay_one(r, c->deltas.items[i]);
        if (e == ERR_OK)
            e = run(r);
        progress = r->again > 0 && r->again < to - from;
    }
    for (bool more = e == ERR_OK; more;) {
        struct store_job job = {0};
        e = store_apply(into, &job);
        more = e == ERR_OK && job.more;
        store_job_close(&job);
    }
    for (size_t i = 0; i < REPLAY_DELTAS; i++)
        buf_close(&r->bundles[i]);
    free(r);
    return e;
}

/* ---- derived rows ---- */

struct side {
    struct kv *kv;
    struct kv_iter *it;
    bool on;
};

static struct side open_side(struct kv *kv, const struct dbkey *prefix)
{
    struct side s = {.kv = kv, .it = kv->ops->iter(kv, NULL, dbkey_view(prefix))};
    s.on = kv->ops->seek(s.it, dbkey_view(prefix));
    return s;
}

/* An op's marks as they count: its mark row, else what its op row began with. The memo about ancestors is left out. */
static bool effective_mark(struct kv *kv, struct bytes op_key, struct mark_row *out)
{
    assert(op_key.n == 1 + 2 * ID_BYTES);
    uint8_t key[KV_KEY_MAX];
    struct buf row = {0};
    struct op_row op;
    struct entry_row entry;
    *out = (struct mark_row){0};
    memcpy(key, op_key.p, op_key.n);
    key[0] = FAMILY_MARK;
    bool there = kv->ops->get(kv, NULL, bytes_of(key, op_key.n), &row) == ERR_OK && mark_row_get(buf_view(&row), out) == ERR_OK;
    if (!there) {
        key[0] = FAMILY_OP;
        buf_reset(&row);
        there = kv->ops->get(kv, NULL, bytes_of(key, op_key.n), &row) == ERR_OK && op_row_get(buf_view(&row), &op) == ERR_OK;
        out->flags = there ? op.flags : 0;
    }
    if (!there) {
        key[0] = FAMILY_ENTRY;
        buf_reset(&row);
        there = kv->ops->get(kv, NULL, bytes_of(key, 1 + ID_BYTES), &row) == ERR_OK &&
                entry_row_get(buf_view(&row), &entry) == ERR_OK && entry.op_count == 1 &&
                memcmp(entry.only_op.b, op_key.p + 1 + ID_BYTES, ID_BYTES) == 0;
        out->flags = there ? entry.only.flags : 0;
    }
    buf_close(&row);
    out->flags = (uint8_t)(out->flags & ~OP_WHOLE);
    return there;
}

static bool same_mark(const struct side *a, const struct side *b, struct bytes key)
{
    struct mark_row x, y;
    bool there = effective_mark(a->kv, key, &x);
    return effective_mark(b->kv, key, &y) == there && x.flags == y.flags && x.named == y.named &&
           x.covered == y.covered && x.erased == y.erased;
}

static bool same_value(enum family family, const struct side *disk, const struct side *anew)
{
    assert(disk->on && anew->on);
    struct bytes key = disk->kv->ops->key(disk->it);
    struct bytes x = disk->kv->ops->value(disk->it), y = anew->kv->ops->value(anew->it);
    struct id hash;
    if (family == FAMILY_MARK)
        return same_mark(disk, anew, key);
    if (family == FAMILY_OP) /* the first byte holds flags that only count while there is no mark row */
        return x.n == y.n && x.n > 0 && memcmp(x.p + 1, y.p + 1, x.n - 1) == 0 && same_mark(disk, anew, key);
    if (family != FAMILY_JSON)
        return bytes_eq(x, y);
    value_hash(&hash, x);
    return bytes_eq(y, bytes_of(hash.b, ID_BYTES));
}

/* The id that a row is about, as far as a person can look it up. */
static struct id subject_of(enum family family, struct bytes key)
{
    assert(key.n >= 1 + ID_BYTES);
    if (family == FAMILY_NAME || family == FAMILY_SET || family == FAMILY_AUTHOR)
        return id_at(key, key.n - ID_BYTES);
    return id_at(key, 1);
}

static bool of_entry(const struct check *c, struct bytes key, const struct id *subject)
{
    return c->only == NULL || (key.n >= 1 + ID_BYTES && id_eq(subject, c->only));
}

/* Walks both in step. A mark row that only one side has is no fault where the marks are the same. */
static enum err compare_family(struct check *c, struct kv *rebuilt, enum family family, const char *name)
{
    struct dbkey prefix;
    bool any = false;
    dbkey_start(&prefix, family);
    struct side disk = open_side(c->store->kv, &prefix), anew = open_side(rebuilt, &prefix);
    while (disk.on || anew.on) {
        int order = !disk.on ? 1 : !anew.on ? -1 : bytes_cmp(disk.kv->ops->key(disk.it), anew.kv->ops->key(anew.it));
        const struct side *of = order <= 0 ? &disk : &anew;
        struct bytes key = of->kv->ops->key(of->it);
        struct id subject = subject_of(family, key);
        bool same = order == 0 ? same_value(family, &disk, &anew) : family == FAMILY_MARK && same_mark(&disk, &anew, key);
        if (of_entry(c, key, &subject) && !same) {
            report(c, FAILED, name, &subject,
                   order == 0 ? "the row differs" : order < 0 ? "the row should not be there" : "the row is missing");
            any = true;
        }
        if (order <= 0)
            disk.on = disk.kv->ops->next(disk.it);
        if (order >= 0)
            anew.on = anew.kv->ops->next(anew.it);
    }
    if (!any && c->only != NULL)
        report(c, PASSED, name, c->only, "");
    enum err e = disk.kv->ops->iter_close(disk.it), f = anew.kv->ops->iter_close(anew.it);
    return e != ERR_OK ? e : f;
}

static enum err compare(struct check *c, struct kv *rebuilt)
{
    static const struct {
        enum family family;
        bool by_entry;
        const char *name;
    } families[] = {
        {FAMILY_AUTHOR, false, "set membership"}, {FAMILY_SET, false, "set"},
        {FAMILY_WANTED, false, "missing bodies"}, {FAMILY_MEMBER, false, "members"},
        {FAMILY_OP, true, "op header"},           {FAMILY_MARK, true, "superseding"},
        {FAMILY_ENTRY, true, "heads"},            {FAMILY_HEAD, true, "further heads"},
        {FAMILY_JSON, true, "JSON"},              {FAMILY_NAME, true, "listing"},
        {FAMILY_HISTORY, true, "history"},        {FAMILY_GRANT, true, "grants"},
        {FAMILY_WRITER, true, "writers"},         {FAMILY_CONFLICT, true, "conflicts"},
    };
    enum err e = ERR_OK;
    for (size_t i = 0; i < sizeof families / sizeof *families && e == ERR_OK; i++)
        if (c->only == NULL || families[i].by_entry)
            e = compare_family(c, rebuilt, families[i].family, families[i].name);
    return e;
}

static bool sweeps_left(const struct store *s)
{
    struct dbkey prefix;
    dbkey_start(&prefix, FAMILY_SWEEP);
    struct side side = open_side(s->kv, &prefix);
    return side.kv->ops->iter_close(side.it) == ERR_OK && side.on;
}

static enum err check_derived(struct check *c)
{
    struct key founder = {{0}};
    struct buf name = {0};
    struct store *into = NULL;
    struct kv *shadow = kv_shadow_new(c->store->kv);
    struct store_config config = {.mesh = c->store->mesh};
    config.has_founder = store_founder(c->store, &founder, &name);
    config.founder = founder;
    config.mesh_name = buf_view(&name);
    enum err e = store_open(&into, shadow, &config);
    if (e == ERR_OK) {
        into->trusting = true;
        e = replay_all(c, into);
    }
    if (e == ERR_OK)
        e = compare(c, shadow);
    store_close(into);
    shadow->ops->close(shadow);
    buf_close(&name);
    return e;
}

enum err store_verify(const struct store *s, const struct id *entry, void (*each)(void *, const struct verify_finding *),
                      void (*progress)(void *, uint64_t done, uint64_t total), void *ctx)
{
    struct store_stats stats;
    struct check c = {.store = s, .ops = s->kv->ops, .only = entry, .each = each, .progress = progress, .ctx = ctx};
    store_stats(s, &stats);
    c.total = stats.deltas + stats.aside;
    enum err e = check_deltas(&c);
    /* While a policy change is being worked off, derived rows are a step behind: only the deltas can be judged. */
    if (e == ERR_OK && !sweeps_left(s))
        e = check_derived(&c);
    for (size_t i = 0; i < c.deltas.count; i++)
        free(c.deltas.items[i]);
    free(c.deltas.items);
    if (e != ERR_OK)
        return e;
    return c.failed ? ERR_CORRUPT : ERR_OK;
}
