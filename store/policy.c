/*
 * Who is in this mesh: the charter, its operators and the members, read out of the entries that state them (see MODEL 6).
 * Notices what changed and leaves the work of it to sweeps. Knows nothing of the set but through merge.c.
 */
#include "store/work.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum member_flag { MEMBER_LIVE = 1, MEMBER_REMOVED = 2 };
#define OPEN "\xa4open" /* the text "open" in msgpack */
enum policy_flag { POLICY_CHARTER_LIVE = 1, POLICY_OPEN = 2 };

/* ---- sets of keys ---- */

static size_t lower(const struct keyset *s, const struct key *k)
{
    size_t from = 0, to = s->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (key_cmp(&s->keys[middle], k) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

bool keyset_has(const struct keyset *s, const struct key *k)
{
    size_t at = lower(s, k);
    return at < s->count && key_eq(&s->keys[at], k);
}

bool keyset_set(struct keyset *s, const struct key *k, bool member)
{
    assert(s->count <= s->cap);
    size_t at = lower(s, k);
    if ((at < s->count && key_eq(&s->keys[at], k)) == member)
        return false;
    if (member) {
        if (s->count == s->cap) {
            s->cap = s->cap == 0 ? 8 : s->cap * 2;
            s->keys = mem_realloc(s->keys, s->cap, sizeof *s->keys);
        }
        memmove(&s->keys[at + 1], &s->keys[at], (s->count - at) * sizeof *s->keys);
        s->keys[at] = *k;
        s->count++;
    } else {
        memmove(&s->keys[at], &s->keys[at + 1], (s->count - at - 1) * sizeof *s->keys);
        s->count--;
    }
    return true;
}

void keyset_close(struct keyset *s)
{
    free(s->keys);
    *s = (struct keyset){0};
}

/* ---- questions ---- */

void policy_close(struct policy *p)
{
    keyset_close(&p->operators);
    keyset_close(&p->members);
    keyset_close(&p->removed);
}

static struct keyset keyset_copy(const struct keyset *s)
{
    return (struct keyset){.count = s->count, .cap = s->count, .keys = mem_dup(s->keys, s->count * sizeof *s->keys)};
}

struct policy policy_copy(const struct policy *p)
{
    struct policy copy = *p;
    copy.operators = keyset_copy(&p->operators);
    copy.members = keyset_copy(&p->members);
    copy.removed = keyset_copy(&p->removed);
    return copy;
}

bool policy_is_operator(const struct policy *p, const struct key *k)
{
    return p->has_founder && (key_eq(k, &p->founder) || keyset_has(&p->operators, k));
}

bool policy_admitted(const struct policy *p, const struct key *k)
{
    if (policy_is_operator(p, k))
        return true;
    if (!p->charter_live || keyset_has(&p->removed, k))
        return false;
    return p->open || keyset_has(&p->members, k);
}

bool policy_direct(const struct policy *p, uint8_t flags, const struct key *author)
{
    return (flags & DELTA_POLICY) != 0 ? policy_is_operator(p, author) : policy_admitted(p, author);
}

bool policy_hides(const struct policy *p, const struct id *entry, uint64_t kind, const struct key *owner)
{
    if (!p->has_founder)
        return true;
    if (kind == KIND_CHARTER)
        return !id_eq(entry, &p->charter);
    if (kind == KIND_MEMBER)
        return !key_eq(owner, &p->founder);
    return !policy_admitted(p, owner);
}

/* ---- changes ---- */

void policy_operator_stated(struct work *w, const struct key *k)
{
    assert(w->store->policy.has_founder);
    struct policy *p = &w->store->policy;
    uint64_t epoch;
    bool was_admitted = policy_admitted(p, k);
    keyset_set(&p->operators, k, rights_best(w, &p->charter, k, &epoch));
    sweep_add(w, SWEEP_AUTHOR, k); /* also where nothing turned: its ops in member entries may carry ancestry now */
    if (policy_admitted(p, k) != was_admitted)
        sweep_add(w, SWEEP_ENTRIES, NULL);
}

/* ---- the charter as its founder's own ops leave it ---- */

struct walk_node {
    struct work_op *op;
    bool covered; /* a proper ancestor of an op of the founder */
};
struct walk {
    struct work *work;
    struct work_entry *charter;
    struct table seen;
    struct work_list nodes; /* in the order found; also the worklist */
};

static struct walk_node *visit(struct walk *v, const struct id *op)
{
    assert(!id_is_zero(&v->charter->id));
    struct walk_node *n = table_get(&v->seen, &v->charter->id, op);
    if (n != NULL)
        return n;
    n = arena_alloc(&v->work->arena, sizeof *n);
    n->op = work_op(v->work, v->charter, op);
    table_put(&v->seen, &v->charter->id, op, n);
    work_list_add(&v->nodes, n);
    return n;
}

static bool carries(const struct work_op *x)
{
    return x->held && (x->mark.flags & OP_CARRIER) != 0;
}

static bool by_founder(const struct walk *v, const struct work_op *x)
{
    return x->held && key_eq(&x->row.author, &v->work->store->policy.founder);
}

/* The founder's ops are always eligible, so each is a head or an ancestor of one. */
static void visit_ancestry(struct walk *v)
{
    struct dbkey prefix;
    struct scan c;
    for (size_t i = 0; i < v->charter->row.top_count; i++)
        visit(v, &v->charter->row.top[i].op);
    dbkey_of_id(&prefix, FAMILY_HEAD, &v->charter->id);
    scan_open(&c, v->work, &prefix, &prefix, UP);
    while (scan_next(&c)) {
        struct id id = id_inverted_at(c.key, c.key.n - ID_BYTES);
        visit(v, &id);
    }
    scan_close(&c);
    for (size_t i = 0; i < v->nodes.count; i++) {
        const struct work_op *x = ((struct walk_node *)v->nodes.items[i])->op;
        for (size_t k = 0; carries(x) && k < x->row.parent_count; k++) {
            struct id id = id_at(x->row.parents, k * ID_BYTES);
            visit(v, &id);
        }
    }
}

static void cover_ancestry(struct walk *v)
{
    struct work_list work = {0};
    for (size_t i = 0; i < v->nodes.count; i++)
        if (by_founder(v, ((struct walk_node *)v->nodes.items[i])->op))
            work_list_add(&work, v->nodes.items[i]);
    for (size_t i = 0; i < work.count; i++) {
        const struct work_op *x = ((struct walk_node *)work.items[i])->op;
        for (size_t k = 0; carries(x) && k < x->row.parent_count; k++) {
            struct id id = id_at(x->row.parents, k * ID_BYTES);
            struct walk_node *parent = visit(v, &id);
            if (!parent->covered && !by_founder(v, parent->op))
                work_list_add(&work, parent);
            parent->covered = true;
        }
    }
    free(work.items);
}

/* Heads among the founder's own puts and deletes, in reading order, at most MODEL_HEADS_READ. */
static void founder_heads(struct work *w, struct work_entry *e, struct show_heads *out)
{
    assert(id_eq(&e->id, &w->store->policy.charter));
    const uint8_t secret[16] = {0};
    struct walk v = {.work = w, .charter = e};
    struct work_list heads = {0};
    table_init(&v.seen, secret);
    visit_ancestry(&v);
    cover_ancestry(&v);
    for (size_t i = 0; i < v.nodes.count; i++) {
        const struct walk_node *n = v.nodes.items[i];
        if (!n->covered && by_founder(&v, n->op) && n->op->row.verb != VERB_STATEMENT)
            work_list_add(&heads, n->op);
    }
    show_ops(w, &heads, out);
    free(heads.items);
    free(v.nodes.items);
    table_close(&v.seen);
}

bool policy_is_charter(const struct work *w, const struct work_entry *e)
{
    const struct policy *p = &w->store->policy;
    return e != NULL && p->has_founder && id_eq(&e->id, &p->charter);
}

void policy_admission(struct work *w, struct work_entry *charter, uint64_t time, struct show_heads *own, struct merged *m)
{
    struct merged founders;
    founder_heads(w, charter, own);
    resolve(own->heads, own->n, &founders);
    const struct merged_field *f = merged_find(&founders, bytes_str("admission"));
    struct field version = f != NULL ? f->field : (struct field){0};
    if (f != NULL && time > 0 && version.changed_at <= m->since)
        version.changed_at = time;
    merged_set(m, bytes_str("admission"), f != NULL ? &version : NULL);
    merged_close(&founders);
}

static void refresh_charter(struct work *w, struct work_entry *e)
{
    assert(e->row.kind == KIND_CHARTER);
    struct policy *p = &w->store->policy;
    struct show_heads own;
    struct merged m;
    founder_heads(w, e, &own);
    resolve(own.heads, own.n, &m);
    const struct merged_field *f = merged_find(&m, bytes_str("admission"));
    bool live = !m.deleted, open = live && f != NULL && bytes_eq(f->field.value, bytes_str(OPEN));
    merged_close(&m);
    show_close(&own);
    if (live == p->charter_live && open == p->open)
        return;
    p->charter_live = live;
    p->open = open;
    struct dbkey key;
    const uint8_t flags = (uint8_t)((live ? POLICY_CHARTER_LIVE : 0) | (open ? POLICY_OPEN : 0));
    dbkey_meta(&key, "policy");
    overlay_put(w, &key, bytes_of(&flags, 1));
    sweep_add(w, SWEEP_EVERYONE, NULL);
    sweep_add(w, SWEEP_ENTRIES, NULL);
}

/* A member entry is named by the key in lower-case hex. */
static bool member_key(const struct work_entry *e, struct key *out)
{
    char hex[ID_HEX_SIZE];
    if (!key_parse(out, e->row.name))
        return false;
    key_hex(hex, out);
    return bytes_eq(e->row.name, bytes_str(hex));
}

/* Every value of `removed` but nil and false says so. */
static bool member_removed(struct work *w, struct work_entry *e)
{
    assert(e->row.kind == KIND_MEMBER);
    struct show_heads heads;
    struct merged m;
    show_load(w, e, &heads);
    resolve(heads.heads, heads.n, &m);
    const struct merged_field *f = merged_find(&m, bytes_str("removed"));
    bool removed = !m.deleted && f != NULL && !bytes_eq(f->field.value, bytes_of("\xc0", 1)) &&
                   !bytes_eq(f->field.value, bytes_of("\xc2", 1));
    merged_close(&m);
    show_close(&heads);
    return removed;
}

static void refresh_member(struct work *w, struct work_entry *e)
{
    struct policy *p = &w->store->policy;
    struct key k;
    if (e->row.kind != KIND_MEMBER || !key_eq(&e->row.owner, &p->founder) || !member_key(e, &k))
        return;
    assert(p->has_founder);
    bool live = e->row.put_count > 0, removed = member_removed(w, e), was_admitted = policy_admitted(p, &k);
    bool changed = keyset_set(&p->members, &k, live);
    changed |= keyset_set(&p->removed, &k, removed);
    if (!changed)
        return;
    struct dbkey key;
    const uint8_t flags = (uint8_t)((live ? MEMBER_LIVE : 0) | (removed ? MEMBER_REMOVED : 0));
    dbkey_start(&key, FAMILY_MEMBER);
    dbkey_add_key(&key, &k);
    if (flags != 0)
        overlay_put(w, &key, bytes_of(&flags, 1));
    else
        overlay_delete(w, &key);
    if (policy_admitted(p, &k) == was_admitted)
        return;
    sweep_add(w, SWEEP_AUTHOR, &k);
    sweep_add(w, SWEEP_ENTRIES, NULL);
}

void policy_refresh(struct work *w)
{
    assert(w->op_first == NULL || w->fault != ERR_OK);
    const struct policy *p = &w->store->policy;
    while (w->policy_first != NULL && w->fault == ERR_OK) {
        struct work_entry *e = w->policy_first;
        w->policy_first = e->next_policy;
        e->policy_touched = false;
        if (!p->has_founder)
            continue;
        if (id_eq(&e->id, &p->charter))
            refresh_charter(w, e);
        else
            refresh_member(w, e);
    }
}

/* ---- at start ---- */

static enum err load_members(struct store *s)
{
    struct dbkey prefix;
    enum err e = ERR_OK;
    dbkey_start(&prefix, FAMILY_MEMBER);
    struct kv_iter *it = s->kv->ops->iter(s->kv, NULL, dbkey_view(&prefix));
    for (bool on = s->kv->ops->seek(it, dbkey_view(&prefix)); on; on = s->kv->ops->next(it)) {
        struct bytes key = s->kv->ops->key(it), value = s->kv->ops->value(it);
        if (key.n != 1 + ID_BYTES || value.n != 1) {
            e = ERR_CORRUPT;
            break;
        }
        struct key k = key_at(key, 1);
        keyset_set(&s->policy.members, &k, (value.p[0] & MEMBER_LIVE) != 0);
        keyset_set(&s->policy.removed, &k, (value.p[0] & MEMBER_REMOVED) != 0);
    }
    enum err read = s->kv->ops->iter_close(it);
    return read != ERR_OK ? read : e;
}

/* Rows stand in the order (key, revoked before granted, epoch): the last granted one of a key decides. */
static enum err load_operators(struct store *s)
{
    enum { AT_KEY = 1 + ID_BYTES, AT_GRANTED = AT_KEY + ID_BYTES, AT_EPOCH = AT_GRANTED + 1, ROW_KEY = AT_EPOCH + 8 };
    struct dbkey prefix;
    struct key revoked_key = {{0}};
    uint64_t revoked = 0;
    bool any_revoked = false;
    enum err e = ERR_OK;
    dbkey_of_id(&prefix, FAMILY_GRANT, &s->policy.charter);
    struct kv_iter *it = s->kv->ops->iter(s->kv, NULL, dbkey_view(&prefix));
    for (bool on = s->kv->ops->seek(it, dbkey_view(&prefix)); on; on = s->kv->ops->next(it)) {
        struct bytes key = s->kv->ops->key(it);
        if (key.n != ROW_KEY) {
            e = ERR_CORRUPT;
            break;
        }
        struct key k = key_at(key, AT_KEY);
        uint64_t epoch = get_be(key.p + AT_EPOCH, 8);
        if (key.p[AT_GRANTED] == 0) {
            revoked_key = k;
            revoked = epoch;
            any_revoked = true;
        } else {
            bool still = !any_revoked || !key_eq(&k, &revoked_key) || epoch > revoked;
            keyset_set(&s->policy.operators, &k, still);
        }
    }
    enum err read = s->kv->ops->iter_close(it);
    return read != ERR_OK ? read : e;
}

enum err policy_load(struct store *s)
{
    struct policy *p = &s->policy;
    struct dbkey key;
    struct buf row = {0};
    policy_close(p);
    p->charter_live = p->open = false;
    dbkey_meta(&key, "policy");
    enum err e = s->kv->ops->get(s->kv, NULL, dbkey_view(&key), &row);
    if (e == ERR_OK && row.n != 1)
        e = ERR_CORRUPT;
    if (e == ERR_OK) {
        p->charter_live = (row.p[0] & POLICY_CHARTER_LIVE) != 0;
        p->open = (row.p[0] & POLICY_OPEN) != 0;
    }
    buf_close(&row);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (!p->has_founder)
        return ERR_OK;
    e = load_members(s);
    return e == ERR_OK ? load_operators(s) : e;
}
