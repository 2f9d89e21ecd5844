/*
 * The plain definition (see oracle.h). Readings of MODEL that it settles, each the simplest that keeps the promise:
 *
 * 1. Operators come from the statements of the charter entry alone. These are the founder's, so nothing that
 *    depends on admission feeds back into it.
 * 2. Admission is read from the founder's own puts and deletes of the charter: those that are no proper
 *    ancestor of another op of the founder. No put among them: no charter. The field is merged over those
 *    for every reader of the charter.
 * 3. A key is admitted iff it is the founder, or a present operator, or its member entry does not say removed
 *    and (the mesh is open, or the mesh takes members and that entry has a put among its heads). `removed`
 *    says removed with every value but nil and false.
 * 4. Not admitted counts whole: an op by a key that is not admitted is never eligible, and an entry (kinds 5
 *    and 6 apart) whose owner is not admitted is hidden. With "removed" instead of "not admitted", a stranger
 *    could make another stranger's work visible by naming it, since naming pulls a delta into the set; and
 *    the delete of a member's entry would bring back what that member had deleted.
 * 5. Of kinds 5 and 6 only the charter and the member entries of the founder are shown; all others are hidden.
 * 6. A kind-5 or 6 delta counts once one bundle brought it with every body that is not erased by a held
 *    delete of the entry's owner. Bundles come one by one here: two that need each other never count.
 * 7. Erased: a proper ancestor of any held delete by the owner, in the set or aside.
 * 8. state_hash has three parts for each entry: id, revision, and the missing op ids, increasing, as one part.
 */
#include "tests/lib/oracle_view.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void oracle_init(struct oracle *o, const struct key *founder, struct bytes mesh_name)
{
    *o = (struct oracle){.founder = *founder};
    mesh_id(&o->mesh, founder, mesh_name);
    entry_id(&o->charter, KIND_CHARTER, founder, mesh_name);
}

void oracle_close(struct oracle *o)
{
    for (size_t i = 0; i < o->op_count; i++)
        body_close(&o->ops[i].body);
    for (size_t i = 0; i < o->delta_count; i++)
        delta_close(&o->deltas[i].d);
    for (size_t i = 0; i < o->bundle_count; i++) {
        bundle_close(&o->bundles[i].parsed);
        free(o->bundles[i].bytes);
    }
    for (size_t i = 0; i < o->entry_count; i++)
        oracle_forget(&o->entries[i]);
    free(o->bundles);
    free(o->deltas);
    free(o->ops);
    free(o->entries);
    *o = (struct oracle){0};
}

/* ---- taking bundles in ---- */

static bool governing(uint64_t kind)
{
    return kind == KIND_CHARTER || kind == KIND_MEMBER;
}

static size_t entry_of(struct oracle *o, const struct op *op)
{
    struct id id;
    entry_id(&id, op->kind, &op->owner, op->name);
    for (size_t i = 0; i < o->entry_count; i++)
        if (id_eq(&o->entries[i].id, &id))
            return i;
    o->entries = mem_realloc(o->entries, o->entry_count + 1, sizeof *o->entries);
    o->entries[o->entry_count] = (struct oracle_entry){.id = id, .kind = op->kind, .owner = op->owner, .name = op->name};
    return o->entry_count++;
}

static size_t delta_take(struct oracle *o, struct delta *d)
{
    for (size_t i = 0; i < o->delta_count; i++)
        if (id_eq(&o->deltas[i].d.id, &d->id)) {
            delta_close(d);
            return i;
        }
    o->deltas = mem_realloc(o->deltas, o->delta_count + 1, sizeof *o->deltas);
    o->deltas[o->delta_count] = (struct oracle_delta){.d = *d, .first_op = o->op_count, .governs = governing(d->ops[0].kind)};
    o->ops = mem_realloc(o->ops, o->op_count + d->op_count, sizeof *o->ops);
    for (size_t i = 0; i < d->op_count; i++) {
        struct oracle_op *op = &o->ops[o->op_count++];
        *op = (struct oracle_op){.op = &d->ops[i], .delta = o->delta_count, .entry = entry_of(o, &d->ops[i])};
        op_id(&op->id, &d->id, i);
    }
    return o->delta_count++;
}

bool oracle_add(struct oracle *o, struct bytes bytes)
{
    struct oracle_bundle b = {.bytes = mem_dup(bytes.p, bytes.n)};
    struct delta d;
    if (bundle_parse(bytes_of(b.bytes, bytes.n), &b.parsed) != ERR_OK) {
        free(b.bytes);
        return false;
    }
    bool parsed = delta_parse(b.parsed.delta, &d) == ERR_OK;
    if (!parsed || !id_eq(&d.mesh, &o->mesh)) {
        if (parsed)
            delta_close(&d);
        bundle_close(&b.parsed);
        free(b.bytes);
        return false;
    }
    b.delta = delta_take(o, &d);
    o->bundles = mem_realloc(o->bundles, o->bundle_count + 1, sizeof *o->bundles);
    o->bundles[o->bundle_count++] = b;
    return true;
}

/* ---- ancestry ---- */

static const struct key *author(const struct oracle *o, size_t op)
{
    return &o->deltas[o->ops[op].delta].d.author;
}

bool oracle_by_owner(const struct oracle *o, size_t op)
{
    return key_eq(author(o, op), &o->ops[op].op->owner);
}

/* The entry whose statements say who may write: the charter for member entries; SIZE_MAX: none. */
static size_t statements_of(const struct oracle *o, size_t entry)
{
    const struct oracle_entry *e = &o->entries[entry];
    if (e->kind != KIND_MEMBER)
        return entry;
    for (size_t i = 0; i < o->entry_count; i++)
        if (id_eq(&o->entries[i].id, &o->charter) && key_eq(&e->owner, &o->founder))
            return i;
    return SIZE_MAX;
}

/* Is there a row of `key` with this `granted` and an epoch in [from, to] in a held statement of the entry? */
static bool stated(const struct oracle *o, size_t entry, const struct grant *row, uint64_t to)
{
    for (size_t i = 0; i < o->op_count; i++) {
        const struct op *op = o->ops[i].op;
        if (o->ops[i].entry != entry || op->verb != VERB_STATEMENT || !o->deltas[o->ops[i].delta].held)
            continue;
        for (size_t k = 0; k < op->grant_count; k++) {
            const struct grant *g = &op->grants[k];
            if (key_eq(&g->key, &row->key) && g->granted == row->granted && g->epoch >= row->epoch && g->epoch <= to)
                return true;
        }
    }
    return false;
}

static bool ever_granted(const struct oracle *o, size_t entry, const struct key *key, uint64_t epoch)
{
    size_t from = statements_of(o, entry);
    return from != SIZE_MAX && stated(o, from, &(struct grant){*key, epoch, true}, epoch);
}

static bool granted_now(const struct oracle *o, size_t entry, const struct key *key, uint64_t epoch)
{
    size_t from = statements_of(o, entry);
    return ever_granted(o, entry, key, epoch) && !stated(o, from, &(struct grant){*key, epoch, false}, UINT64_MAX);
}

static bool carries(const struct oracle *o, size_t op)
{
    return oracle_by_owner(o, op) || ever_granted(o, o->ops[op].entry, author(o, op), o->ops[op].op->epoch);
}

/* The held op of this entry with this id; SIZE_MAX: none. */
static size_t op_in_entry(const struct oracle *o, size_t entry, const struct id *id)
{
    for (size_t i = 0; i < o->op_count; i++)
        if (o->ops[i].entry == entry && o->deltas[o->ops[i].delta].held && id_eq(&o->ops[i].id, id))
            return i;
    return SIZE_MAX;
}

/* Marks every proper ancestor of x in `seen`. */
static void mark_ancestors(const struct oracle *o, size_t x, bool *seen)
{
    const struct op *op = o->ops[x].op;
    for (size_t i = 0; i < op->parent_count; i++) {
        size_t y = op_in_entry(o, o->ops[x].entry, &op->parents[i]);
        if (y == SIZE_MAX || seen[y])
            continue;
        seen[y] = true;
        if (carries(o, y))
            mark_ancestors(o, y, seen);
    }
}

bool oracle_ancestor(const struct oracle *o, size_t x, size_t y)
{
    bool *seen = mem_calloc(o->op_count, sizeof *seen);
    mark_ancestors(o, x, seen);
    bool found = seen[y];
    free(seen);
    return found;
}

/* ---- what is held, and what is erased ---- */

static void mark_erased(struct oracle *o)
{
    bool *seen = mem_calloc(o->op_count, sizeof *seen);
    for (size_t i = 0; i < o->op_count; i++)
        if (o->ops[i].op->verb == VERB_DELETE && oracle_by_owner(o, i) && o->deltas[o->ops[i].delta].held)
            mark_ancestors(o, i, seen);
    for (size_t i = 0; i < o->op_count; i++)
        o->ops[i].erased = seen[i];
    free(seen);
}

/* The body that a bundle brings for the op at `index`, if it matches; absent otherwise. */
static struct bytes brought(const struct oracle_bundle *b, const struct op *op, size_t index)
{
    for (size_t i = 0; i < b->parsed.body_count; i++)
        if (b->parsed.bodies[i].index == index && body_matches(op, b->parsed.bodies[i].body))
            return b->parsed.bodies[i].body;
    return (struct bytes){0};
}

static bool brings_all(const struct oracle *o, const struct oracle_bundle *b)
{
    const struct oracle_delta *d = &o->deltas[b->delta];
    for (size_t i = 0; i < d->d.op_count; i++) {
        const struct oracle_op *op = &o->ops[d->first_op + i];
        if (op->op->verb == VERB_PUT && !op->erased && brought(b, op->op, i).p == NULL)
            return false;
    }
    return true;
}

/* Reading 6, to the fixed point: a governing delta that comes to be held can erase bodies and so let another be
 * held. Each is tried as if it were held, since only then are there ops of it to be marked erased. */
static void find_held(struct oracle *o)
{
    bool again = true;
    for (size_t i = 0; i < o->delta_count; i++)
        o->deltas[i].held = !o->deltas[i].governs;
    while (again) {
        again = false;
        for (size_t i = 0; i < o->bundle_count; i++) {
            struct oracle_delta *d = &o->deltas[o->bundles[i].delta];
            if (d->held)
                continue;
            d->held = true; /* as if: is it erased then, by what else is held? */
            mark_erased(o);
            d->held = brings_all(o, &o->bundles[i]);
            again |= d->held;
        }
    }
    mark_erased(o);
}

static void find_bodies(struct oracle *o)
{
    for (size_t i = 0; i < o->op_count; i++) {
        body_close(&o->ops[i].body);
        o->ops[i].has_body = o->ops[i].well_formed = false;
    }
    for (size_t i = 0; i < o->bundle_count; i++) {
        const struct oracle_delta *d = &o->deltas[o->bundles[i].delta];
        for (size_t k = 0; k < d->d.op_count && d->held; k++) {
            struct oracle_op *op = &o->ops[d->first_op + k];
            struct bytes body = op->has_body || op->erased ? (struct bytes){0} : brought(&o->bundles[i], op->op, k);
            if (body.p == NULL)
                continue;
            op->has_body = true;
            op->well_formed = body_parse(body, d->d.time, &op->body) == ERR_OK;
        }
    }
}

/* ---- admission ---- */

bool oracle_operator(const struct oracle *o, const struct key *key)
{
    size_t charter = 0;
    while (charter < o->entry_count && !id_eq(&o->entries[charter].id, &o->charter))
        charter++;
    for (size_t i = 0; i < o->op_count; i++) {
        const struct op *op = o->ops[i].op;
        for (size_t k = 0; o->ops[i].entry == charter && k < op->grant_count; k++)
            if (key_eq(&op->grants[k].key, key) && granted_now(o, charter, key, op->grants[k].epoch))
                return true;
    }
    return false;
}

/* Reading 2: the charter as if its founder's ops were all there is. */
static void founders_view(const struct oracle *o, const struct oracle_entry *charter, struct oracle_entry *view)
{
    bool *seen = mem_calloc(o->op_count, sizeof *seen);
    *view = (struct oracle_entry){0};
    for (size_t i = 0; i < o->op_count; i++)
        if (&o->entries[o->ops[i].entry] == charter && o->deltas[o->ops[i].delta].held && oracle_by_owner(o, i))
            mark_ancestors(o, i, seen);
    for (size_t i = 0; i < o->op_count; i++)
        if (&o->entries[o->ops[i].entry] == charter && o->deltas[o->ops[i].delta].held && oracle_by_owner(o, i) &&
            o->ops[i].op->verb != VERB_STATEMENT && !seen[i])
            oracle_add_head(o, view, i);
    oracle_read(o, view);
    free(seen);
}

static void remove_field(struct oracle_entry *e, struct bytes name)
{
    for (size_t i = 0; i < e->field_count; i++) {
        if (!bytes_eq(e->fields[i].name, name))
            continue;
        e->field_count--;
        memmove(e->fields + i, e->fields + i + 1, (e->field_count - i) * sizeof *e->fields);
    }
}

static void find_admission(struct oracle *o, struct oracle_entry *charter)
{
    struct oracle_entry view;
    founders_view(o, charter, &view);
    const struct field *f = oracle_field(&view, bytes_str("admission"));
    if (!view.deleted)
        o->admission = f != NULL && bytes_eq(f->value, bytes_str("\xa4open")) ? ORACLE_OPEN : ORACLE_MEMBERS;
    remove_field(charter, bytes_str("admission"));
    if (f != NULL)
        oracle_offer(charter, f);
    oracle_forget(&view);
}

static const struct oracle_entry *member_entry(const struct oracle *o, const struct key *key)
{
    char hex[ID_HEX_SIZE];
    struct id id;
    key_hex(hex, key);
    entry_id(&id, KIND_MEMBER, &o->founder, bytes_str(hex));
    return oracle_find(o, &id);
}

bool oracle_admitted(const struct oracle *o, const struct key *key)
{
    if (key_eq(key, &o->founder) || oracle_operator(o, key))
        return true;
    if (o->admission == ORACLE_NO_CHARTER)
        return false;
    const struct oracle_entry *e = member_entry(o, key);
    bool live = e != NULL && e->head_count > 0 && !e->deleted;
    const struct field *f = live ? oracle_field(e, bytes_str("removed")) : NULL;
    bool removed = f != NULL && !bytes_eq(f->value, bytes_of("\xc0", 1)) && !bytes_eq(f->value, bytes_of("\xc2", 1));
    return !removed && (live || o->admission == ORACLE_OPEN);
}

/* ---- eligibility and heads ---- */

static bool is_eligible(const struct oracle *o, size_t i)
{
    const struct oracle_op *op = &o->ops[i];
    if (op->op->verb == VERB_STATEMENT || !o->deltas[op->delta].held || !o->deltas[op->delta].in_set)
        return false;
    if (!governing(op->op->kind) && !oracle_admitted(o, author(o, i)))
        return false;
    return oracle_by_owner(o, i) || granted_now(o, op->entry, author(o, i), op->op->epoch);
}

enum stage { STAGE_GOVERNING, STAGE_OTHERS };

/* Heads of the entries of kinds 5 and 6, or of all others. */
static void find_heads(struct oracle *o, enum stage stage)
{
    bool *seen = mem_calloc(o->op_count, sizeof *seen);
    for (size_t i = 0; i < o->op_count; i++) {
        struct oracle_op *op = &o->ops[i];
        if (governing(op->op->kind) != (stage == STAGE_GOVERNING))
            continue;
        op->eligible = is_eligible(o, i);
        if (op->eligible)
            mark_ancestors(o, i, seen);
    }
    for (size_t i = 0; i < o->op_count; i++) {
        struct oracle_op *op = &o->ops[i];
        if (governing(op->op->kind) != (stage == STAGE_GOVERNING))
            continue;
        op->superseded = seen[i];
        op->head = op->eligible && !seen[i];
        if (op->head)
            oracle_add_head(o, &o->entries[op->entry], i);
    }
    free(seen);
    for (size_t i = 0; i < o->entry_count; i++)
        if (governing(o->entries[i].kind) == (stage == STAGE_GOVERNING))
            oracle_read(o, &o->entries[i]);
}

/* ---- the set ---- */

static bool in_base(const struct oracle *o, const struct oracle_delta *d)
{
    if (d->governs)
        return key_eq(&d->d.author, &o->founder) || oracle_operator(o, &d->d.author);
    return oracle_admitted(o, &d->d.author);
}

/* MODEL 6: every delta holding an op that an op of the set names in the same entry. */
static void close_set(struct oracle *o)
{
    bool again = true;
    while (again) {
        again = false;
        for (size_t i = 0; i < o->op_count; i++) {
            const struct oracle_op *op = &o->ops[i];
            for (size_t k = 0; o->deltas[op->delta].in_set && k < op->op->parent_count; k++) {
                size_t y = op_in_entry(o, op->entry, &op->op->parents[k]);
                if (y == SIZE_MAX || o->deltas[o->ops[y].delta].in_set)
                    continue;
                o->deltas[o->ops[y].delta].in_set = true;
                again = true;
            }
        }
    }
}

static void find_set(struct oracle *o, enum stage stage)
{
    for (size_t i = 0; i < o->delta_count; i++)
        if (o->deltas[i].governs == (stage == STAGE_GOVERNING))
            o->deltas[i].in_set = o->deltas[i].held && in_base(o, &o->deltas[i]);
    close_set(o);
}

static bool is_hidden(const struct oracle *o, const struct oracle_entry *e)
{
    if (e->kind == KIND_CHARTER)
        return !id_eq(&e->id, &o->charter);
    if (e->kind == KIND_MEMBER)
        return !key_eq(&e->owner, &o->founder);
    return !oracle_admitted(o, &e->owner);
}

void oracle_judge(struct oracle *o)
{
    for (size_t i = 0; i < o->delta_count; i++)
        o->deltas[i].in_set = false;
    for (size_t i = 0; i < o->entry_count; i++)
        oracle_forget(&o->entries[i]);
    for (size_t i = 0; i < o->op_count; i++)
        o->ops[i].delta_of = &o->deltas[o->ops[i].delta];
    find_held(o);
    find_bodies(o);
    o->admission = ORACLE_NO_CHARTER;
    find_set(o, STAGE_GOVERNING);
    find_heads(o, STAGE_GOVERNING);
    for (size_t i = 0; i < o->entry_count; i++)
        if (id_eq(&o->entries[i].id, &o->charter))
            find_admission(o, &o->entries[i]);
    find_set(o, STAGE_OTHERS);
    find_heads(o, STAGE_OTHERS);
    for (size_t i = 0; i < o->entry_count; i++)
        o->entries[i].hidden = is_hidden(o, &o->entries[i]);
}

/* ---- answers ---- */

const struct oracle_entry *oracle_find(const struct oracle *o, const struct id *entry)
{
    for (size_t i = 0; i < o->entry_count; i++)
        if (id_eq(&o->entries[i].id, entry))
            return &o->entries[i];
    return NULL;
}

const struct oracle_op *oracle_find_op(const struct oracle *o, const struct id *op)
{
    for (size_t i = 0; i < o->op_count; i++)
        if (id_eq(&o->ops[i].id, op))
            return &o->ops[i];
    return NULL;
}

static int entry_order(const void *a, const void *b)
{
    const struct oracle_entry *const *x = a, *const *y = b;
    return id_cmp(&(*x)->id, &(*y)->id);
}

void oracle_state_hash(const struct oracle *o, struct id *out)
{
    const struct oracle_entry **sorted = mem_calloc(o->entry_count, sizeof *sorted);
    struct hasher h;
    for (size_t i = 0; i < o->entry_count; i++)
        sorted[i] = &o->entries[i];
    qsort(sorted, o->entry_count, sizeof *sorted, entry_order);
    hash_init(&h, "souk/state/1");
    for (size_t i = 0; i < o->entry_count; i++) {
        const struct oracle_entry *e = sorted[i];
        if (e->hidden || e->head_count == 0)
            continue;
        hash_part(&h, e->id.b, ID_BYTES);
        hash_part(&h, e->revision.b, ID_BYTES);
        hash_part(&h, e->missing, e->missing_count * sizeof *e->missing);
    }
    hash_end(&h, out);
    free(sorted);
}

static int set_order(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return id_cmp(&x->id, &y->id);
}

size_t oracle_set(const struct oracle *o, struct item **out)
{
    struct item *items = mem_calloc(o->delta_count, sizeof *items);
    size_t n = 0;
    for (size_t i = 0; i < o->delta_count; i++)
        if (o->deltas[i].in_set)
            items[n++] = (struct item){.time = o->deltas[i].d.time, .id = o->deltas[i].d.id};
    qsort(items, n, sizeof *items, set_order);
    *out = items;
    return n;
}
