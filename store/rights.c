/*
 * Who may write an entry: the rows of its owner's statements, and what follows for the ops of the writers they name (see
 * MODEL 4). Statements count as soon as they are held: one that is aside is by an owner who is not admitted, whose
 * entries nobody is shown. Knows nothing of heads.
 */
#include "store/work.h"

#include <assert.h>

static void grant_key(struct dbkey *out, const struct id *source, const struct key *k, bool granted)
{
    dbkey_of_id(out, FAMILY_GRANT, source);
    dbkey_add_key(out, k);
    dbkey_add_be(out, granted, 1);
}

bool rights_source(const struct policy *p, const struct work_entry *e, struct id *out)
{
    if (e->row.kind != KIND_MEMBER) {
        *out = e->id;
        return true;
    }
    *out = p->charter;
    return p->has_founder && key_eq(&e->row.owner, &p->founder);
}

/* The greatest epoch of the granted (or revoked) rows of k, at least `from`; false: none. */
static bool greatest(struct work *w, const struct dbkey *prefix, uint64_t *epoch)
{
    struct dbkey last = *prefix;
    struct scan c;
    dbkey_last(&last);
    scan_open(&c, w, prefix, &last, DOWN);
    bool there = scan_next(&c);
    if (there)
        *epoch = get_be(c.key.p + c.key.n - 8, 8);
    scan_close(&c);
    return there;
}

static bool greatest_of(struct work *w, const struct id *source, const struct key *k, bool granted, uint64_t *epoch)
{
    struct dbkey prefix;
    grant_key(&prefix, source, k, granted);
    return greatest(w, &prefix, epoch);
}

bool rights_ever(struct work *w, const struct id *source, const struct key *k, uint64_t epoch)
{
    struct dbkey key;
    struct buf value = {0};
    grant_key(&key, source, k, true);
    dbkey_add_be(&key, epoch, 8);
    bool there = overlay_get(w, &key, &value);
    buf_close(&value);
    return there;
}

bool rights_eligible(struct work *w, const struct id *source, const struct key *k, uint64_t epoch)
{
    uint64_t revoked;
    return rights_ever(w, source, k, epoch) && (!greatest_of(w, source, k, false, &revoked) || revoked < epoch);
}

bool rights_best(struct work *w, const struct id *source, const struct key *k, uint64_t *epoch)
{
    assert(epoch != NULL);
    uint64_t granted, revoked;
    if (!greatest_of(w, source, k, true, &granted))
        return false;
    if (greatest_of(w, source, k, false, &revoked) && revoked >= granted)
        return false;
    *epoch = granted;
    return true;
}

uint64_t rights_next_epoch(struct work *w, const struct id *source, const struct key *k)
{
    uint64_t granted = 0, revoked = 0;
    bool any = greatest_of(w, source, k, true, &granted);
    any |= greatest_of(w, source, k, false, &revoked);
    if (!any)
        return 0;
    uint64_t most = granted > revoked ? granted : revoked;
    return most < EPOCH_MAX ? most + 1 : EPOCH_MAX;
}

/* Every op of k in e whose epoch lies in [from, to] is judged again. */
static void judge_writer(struct work *w, struct work_entry *e, const struct key *k, uint64_t from, uint64_t to)
{
    assert(from <= to);
    struct dbkey prefix, start;
    struct scan c;
    dbkey_of_id(&prefix, FAMILY_WRITER, &e->id);
    dbkey_add_key(&prefix, k);
    start = prefix;
    dbkey_add_be(&start, from, 8);
    scan_open(&c, w, &prefix, &start, UP);
    while (w->fault == ERR_OK && scan_next(&c)) {
        if (get_be(c.key.p + prefix.n, 8) > to)
            break;
        struct id op = id_at(c.key, c.key.n - ID_BYTES);
        merge_judge(w, work_op(w, e, &op));
    }
    scan_close(&c);
}

void rights_statement(struct work *w, struct work_op *x)
{
    struct work_entry *e = x->entry;
    assert(x->row.verb == VERB_STATEMENT);
    if (e->row.kind == KIND_MEMBER)
        return;
    for (size_t i = 0; i < x->grant_count; i++) {
        const struct grant *g = &x->grants[i];
        struct dbkey key;
        struct buf value = {0};
        grant_key(&key, &e->id, &g->key, g->granted);
        dbkey_add_be(&key, g->epoch, 8);
        bool known = overlay_get(w, &key, &value);
        buf_close(&value);
        if (known)
            continue;
        overlay_put(w, &key, bytes_str(""));
        judge_writer(w, e, &g->key, g->granted ? g->epoch : 0, g->epoch);
        if (w->store->policy.has_founder && id_eq(&e->id, &w->store->policy.charter))
            policy_operator_stated(w, &g->key);
    }
}
