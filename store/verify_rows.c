/*
 * Derived rows beside those of a store that was built anew from the same deltas: both are walked in step, family by
 * family, or over the rows of one entry. Knows how rows of a family may differ without a fault.
 */
#include "store/verify.h"

#include <assert.h>
#include <string.h>

struct side {
    struct kv *kv;
    const struct kv_snapshot *snap;
    struct kv_iter *it;
    bool on;
};

static struct side open_side(struct kv *kv, const struct kv_snapshot *snap, const struct dbkey *prefix)
{
    struct side s = {.kv = kv, .snap = snap, .it = kv->ops->iter(kv, snap, dbkey_view(prefix))};
    s.on = kv->ops->seek(s.it, dbkey_view(prefix));
    return s;
}

/* An op's marks as they count: its mark row, else what its op row began with. The memo about ancestors is left out. */
static bool effective_mark(const struct side *s, struct bytes op_key, struct mark_row *out)
{
    assert(op_key.n == 1 + 2 * ID_BYTES);
    struct kv *kv = s->kv;
    uint8_t key[KV_KEY_MAX];
    struct buf row = {0};
    struct op_row op;
    struct entry_row entry;
    *out = (struct mark_row){0};
    memcpy(key, op_key.p, op_key.n);
    key[0] = FAMILY_MARK;
    bool there = kv->ops->get(kv, s->snap, bytes_of(key, op_key.n), &row) == ERR_OK && mark_row_get(buf_view(&row), out) == ERR_OK;
    if (!there) {
        key[0] = FAMILY_OP;
        buf_reset(&row);
        there = kv->ops->get(kv, s->snap, bytes_of(key, op_key.n), &row) == ERR_OK && op_row_get(buf_view(&row), &op) == ERR_OK;
        out->flags = there ? op.flags : 0;
    }
    if (!there) {
        key[0] = FAMILY_ENTRY;
        buf_reset(&row);
        there = kv->ops->get(kv, s->snap, bytes_of(key, 1 + ID_BYTES), &row) == ERR_OK &&
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
    bool there = effective_mark(a, key, &x);
    return effective_mark(b, key, &y) == there && x.flags == y.flags && x.named == y.named &&
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

/* Listing keys begin with kind and name; the row made anew tells both. */
static bool listing_key(const struct check *c, struct kv *rebuilt, struct dbkey *out)
{
    struct buf bytes = {0};
    struct entry_row row;
    dbkey_of_id(out, FAMILY_ENTRY, c->only);
    bool there = rebuilt->ops->get(rebuilt, NULL, dbkey_view(out), &bytes) == ERR_OK &&
                 entry_row_get(buf_view(&bytes), &row) == ERR_OK;
    if (there) {
        dbkey_name(out, row.kind, row.name);
        dbkey_add_id(out, c->only);
    }
    buf_close(&bytes);
    return there;
}

/* What is walked of a family: all of it, or the rows of one entry. False: there is nothing to walk. */
static bool range_of(const struct check *c, struct kv *rebuilt, enum family family, struct dbkey *out)
{
    if (c->only != NULL && family == FAMILY_NAME)
        return listing_key(c, rebuilt, out);
    dbkey_start(out, family);
    if (c->only != NULL)
        dbkey_add_id(out, c->only);
    return true;
}

/* Walks both in step. A mark row that only one side has is no fault where the marks are the same. */
static enum err compare_family(struct check *c, struct kv *rebuilt, enum family family, const char *name)
{
    struct dbkey prefix;
    bool any = false;
    if (!range_of(c, rebuilt, family, &prefix))
        return ERR_OK;
    struct side disk = open_side(c->kv, c->snap, &prefix), anew = open_side(rebuilt, NULL, &prefix);
    while (disk.on || anew.on) {
        int order = !disk.on ? 1 : !anew.on ? -1 : bytes_cmp(disk.kv->ops->key(disk.it), anew.kv->ops->key(anew.it));
        const struct side *of = order <= 0 ? &disk : &anew;
        struct bytes key = of->kv->ops->key(of->it);
        struct id subject = subject_of(family, key);
        bool same = order == 0 ? same_value(family, &disk, &anew) : family == FAMILY_MARK && same_mark(&disk, &anew, key);
        if (!same) {
            check_report(c, FAILED, name, &subject,
                   order == 0 ? "the row differs" : order < 0 ? "the row should not be there" : "the row is missing");
            any = true;
        }
        if (order <= 0)
            disk.on = disk.kv->ops->next(disk.it);
        if (order >= 0)
            anew.on = anew.kv->ops->next(anew.it);
    }
    if (!any && c->only != NULL)
        check_report(c, PASSED, name, c->only, "");
    enum err e = disk.kv->ops->iter_close(disk.it), f = anew.kv->ops->iter_close(anew.it);
    return e != ERR_OK ? e : f;
}

enum err check_rows(struct check *c, struct kv *rebuilt)
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
