/*
 * What an operator changes in the mesh: the charter's fields, who is admitted, who is removed. Each verb is a handful of
 * ordinary writes by the founder's or an operator's key, answered when the last of them is on disk.
 */
#include "node/backend_mesh.h"

#include "api/json.h"
#include "crdt/alloc.h"
#include "crdt/codec.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- who signs --------------------------------------------------------------------------------------------------- */

static bool has_power(struct backend *b, const struct author *a, enum power power)
{
    struct standing s;
    if (a == NULL || store_standing(b->store, &a->key, &s) != ERR_OK)
        return false;
    return s.founder || (power == POWER_OPERATOR && s.operator);
}

static struct author *first_with(struct backend *b, enum power power, bool (*fits)(const struct standing *s))
{
    assert(power == POWER_FOUNDER || power == POWER_OPERATOR);
    struct author *a;
    struct standing s;
    for (size_t i = 0; (a = b->hooks.author_at(b->hooks.ctx, i)) != NULL; i++)
        if (has_power(b, a, power) && store_standing(b->store, &a->key, &s) == ERR_OK && fits(&s))
            return a;
    return NULL;
}

static bool is_founder(const struct standing *s)
{
    return s->founder;
}

static bool is_anyone(const struct standing *s)
{
    (void)s;
    return true;
}

struct author *mesh_signer(struct backend *b, const char *as, enum power power, struct buf *why)
{
    struct buf ignored = {0};
    struct author *a = as[0] != '\0' ? b->hooks.author(b->hooks.ctx, 0, bytes_str(as)) : first_with(b, power, is_founder);
    if (a == NULL && as[0] == '\0')
        a = first_with(b, power, is_anyone);
    if (why == NULL)
        why = &ignored;
    if (a == NULL && as[0] != '\0')
        backend_no_author(why, bytes_str(as));
    else if (a == NULL && power == POWER_FOUNDER)
        buf_put_str(why, "only the mesh's founder may do this, and its key is not on this node; run it where souk key ls shows it, "
                         "or bring the key here with souk key export and souk key import");
    else if (a == NULL)
        buf_put_str(why, "this node holds no key of an operator of the mesh; run it on an operator's node, or ask the founder for "
                         "souk mesh admit KEY --role operator");
    else if (!has_power(b, a, power)) {
        buf_printf(why, "the key \"%.64s\" is not %s of this mesh; souk mesh ls shows who is", as,
                   power == POWER_FOUNDER ? "the founder" : "an operator");
        a = NULL;
    }
    buf_close(&ignored);
    return a;
}

struct author *author_of_key(struct backend *b, const struct key *key)
{
    struct author *a;
    for (size_t i = 0; (a = b->hooks.author_at(b->hooks.ctx, i)) != NULL; i++)
        if (key_eq(&a->key, key))
            return a;
    return NULL;
}

/* ---- runs of writes ---------------------------------------------------------------------------------------------- */

struct mesh_run *mesh_run_begin(struct backend *b, struct api_call *call)
{
    struct mesh_run *run = mem_zalloc(sizeof *run);
    assert(call == NULL || call->out.n == 0);
    run->backend = b;
    run->call = call;
    run->waiter.mesh = run;
    run->pending = 1; /* held until all writes are queued */
    run->next = b->runs;
    b->runs = run;
    return run;
}

static void forget(struct mesh_run *run)
{
    struct mesh_run **at = &run->backend->runs;
    while (*at != run)
        at = &(*at)->next;
    assert(*at == run && run->pending == 0);
    *at = run->next;
}

void mesh_runs_free(struct backend *b)
{
    while (b->runs != NULL) {
        struct mesh_run *next = b->runs->next;
        free(b->runs);
        b->runs = next;
    }
}

static void release(struct mesh_run *run)
{
    assert(run->pending > 0);
    if (--run->pending > 0)
        return;
    forget(run);
    if (run->done != NULL)
        run->done(run);
    else if (run->call != NULL && run->err != ERR_OK)
        backend_fail(run->call, run->err, NULL);
    else if (run->call != NULL)
        backend_ok(run->call);
    free(run);
}

void mesh_run_write(struct mesh_run *run, struct node_write *w)
{
    assert(run->pending > 0 && w->author != NULL && w->name.n > 0);
    w->ctx = &run->waiter;
    enum err e = node_write(run->backend->node, w);
    if (e == ERR_OK)
        run->pending++;
    else if (run->err == ERR_OK)
        run->err = e;
}

void mesh_run_end(struct mesh_run *run)
{
    release(run);
}

void backend_mesh_result(struct waiter *w, const struct node_result *r)
{
    struct mesh_run *run = w->mesh;
    assert(run != NULL);
    if (run->err == ERR_OK)
        run->err = r->why;
    release(run);
}

/* ---- one member -------------------------------------------------------------------------------------------------- */

enum { MEMBER_FIELDS = 4 };

static void add_text(struct field *fields, size_t *n, const char *name, struct buf *value, const char *text)
{
    mp_put_str(value, bytes_str(text));
    fields[(*n)++] = (struct field){.name = bytes_str(name), .value = buf_view(value)};
    assert(*n <= MEMBER_FIELDS && (*n < 2 || bytes_cmp(fields[*n - 2].name, fields[*n - 1].name) < 0));
}

static void add_key(struct field *fields, size_t *n, const char *name, struct buf *value, const struct key *key)
{
    char hex[ID_HEX_SIZE];
    key_hex(hex, key);
    add_text(fields, n, name, value, hex);
}

void member_write(struct mesh_run *run, const struct member_change *m)
{
    struct field fields[MEMBER_FIELDS]; /* by name */
    struct buf values[MEMBER_FIELDS] = {{0}};
    char name[ID_HEX_SIZE];
    size_t n = 0;
    key_hex(name, m->key);
    assert(m->author != NULL && m->mesh != NULL);
    if (m->invitation != NULL)
        add_key(fields, &n, "invitation", &values[n], m->invitation);
    if (m->removed != NULL) {
        mp_put_bool(&values[n], strcmp(m->removed, "yes") == 0);
        fields[n] = (struct field){.name = bytes_str("removed"), .value = buf_view(&values[n])};
        n++;
    }
    if (m->role != NULL)
        add_text(fields, &n, "role", &values[n], m->role);
    if (m->with != NULL)
        add_key(fields, &n, "with", &values[n], m->with);
    assert(n <= MEMBER_FIELDS);
    struct node_write w = {.action = WRITE_PUT,
                           .kind = KIND_MEMBER,
                           .owner = m->mesh->founder,
                           .name = bytes_str(name),
                           .author = m->author,
                           .change = {.mode = CHANGE_PATCH, .field_count = n, .fields = fields}};
    mesh_run_write(run, &w);
    for (size_t i = 0; i < MEMBER_FIELDS; i++)
        buf_close(&values[i]);
}

static void state_operator(struct mesh_run *run, const struct member_change *m, enum write_action action)
{
    assert(action == WRITE_GRANT || action == WRITE_REVOKE);
    struct node_write w = {.action = action,
                           .kind = KIND_CHARTER,
                           .owner = m->mesh->founder,
                           .name = bytes_str(m->mesh->name),
                           .author = m->author,
                           .writer = *m->key};
    assert(key_eq(&m->author->key, &m->mesh->founder));
    mesh_run_write(run, &w);
}

/* ---- the charter ------------------------------------------------------------------------------------------------- */

/* This node's own keys, so that a mesh of members shows what its first node publishes. */
static void admit_own(struct mesh_run *run, const struct mesh_of *mesh, struct author *author)
{
    struct backend *b = run->backend;
    struct standing s;
    const struct author *a;
    struct member_change m = {.mesh = mesh, .author = author, .key = &b->config.node, .role = "member"};
    if (store_standing(b->store, m.key, &s) == ERR_OK && !s.member && !s.removed)
        member_write(run, &m);
    for (size_t i = 0; (a = b->hooks.author_at(b->hooks.ctx, i)) != NULL; i++) {
        m.key = &a->key;
        if (store_standing(b->store, m.key, &s) == ERR_OK && !s.founder && !s.operator && !s.member && !s.removed)
            member_write(run, &m);
    }
}

static void charter_write(struct mesh_run *run, const struct mesh_of *mesh, struct author *author, struct change change)
{
    assert(mesh->name[0] != 0 && change.field_count > 0);
    struct node_write w = {.action = WRITE_PUT,
                           .kind = KIND_CHARTER,
                           .owner = mesh->founder,
                           .name = bytes_str(mesh->name),
                           .author = author,
                           .change = change};
    mesh_run_write(run, &w);
}

enum err backend_found(struct backend *b, const struct backend_founding *f)
{
    struct mesh_of mesh;
    struct entry_info info;
    struct buf value = {0};
    if (!mesh_known(b, &mesh) || !key_eq(&f->founder->key, &mesh.founder))
        return ERR_MESH;
    if (store_entry(b->store, &mesh.charter, &info, NULL) == ERR_OK)
        return ERR_OK;
    mp_put_str(&value, bytes_str(f->admission == MESH_OPEN ? "open" : "members"));
    struct field field = {.name = bytes_str("admission"), .value = buf_view(&value)};
    struct mesh_run *run = mesh_run_begin(b, NULL);
    charter_write(run, &mesh, f->founder, (struct change){.mode = CHANGE_PATCH, .field_count = 1, .fields = &field});
    if (f->admission != MESH_OPEN)
        admit_own(run, &mesh, f->founder);
    enum err e = run->err;
    mesh_run_end(run);
    buf_close(&value);
    return e;
}

/* The member `fields` as a patch of the charter. False: answered. */
static bool charter_patch(struct api_call *call, const json_t *tree, struct json_fields *out)
{
    const struct kind_desc *kind = kind_by_number(KIND_CHARTER);
    struct faults faults = {.count = 0};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)tree, name, value)
    {
        if (strcmp(name, "name") == 0 || field_by_name(kind->fields, bytes_str(name)) == NULL) {
            buf_printf(&call->detail, "the charter has no field \"%.64s\" to set: there are admission, about and contact", name);
            backend_fail(call, ERR_INVALID, NULL);
            return false;
        }
    }
    if (json_object_size(tree) > 0 && json_tree_to_fields(kind, tree, JSON_PATCH, out, &faults) == ERR_OK)
        return true;
    if (faults.count > 0)
        buf_printf(&call->detail, "%s %s", faults.list[0].pointer + 1, faults.list[0].detail);
    else
        buf_put_str(&call->detail, "name at least one field: admission, about or contact");
    backend_fail(call, ERR_INVALID, NULL);
    return false;
}

static void put_charter(struct backend *b, struct api_call *call, const json_t *root, const struct mesh_of *mesh)
{
    struct json_fields fields = {0};
    const char *as = json_string_value(json_object_get(root, "as"));
    const json_t *tree = json_object_get(root, "fields"), *admission = json_object_get(tree, "admission");
    if (charter_patch(call, tree, &fields)) {
        struct author *author = mesh_signer(b, as != NULL ? as : "", admission != NULL ? POWER_FOUNDER : POWER_OPERATOR,
                                            &call->detail);
        if (author == NULL) {
            backend_fail(call, ERR_DENIED, NULL);
        } else {
            struct mesh_run *run = mesh_run_begin(b, call);
            buf_put_str(&call->out, "{}");
            if (json_is_string(admission) && strcmp(json_string_value(admission), "open") != 0)
                admit_own(run, mesh, author);
            charter_write(run, mesh, author,
                          (struct change){.mode = CHANGE_PATCH, .field_count = fields.count, .fields = fields.fields});
            mesh_run_end(run);
        }
    }
    json_fields_close(&fields);
}

/* The body as JSON, with the mesh known. NULL: answered. */
json_t *members_begin(struct backend *b, struct api_call *call, struct mesh_of *mesh)
{
    json_t *root = json_loadb((const char *)call->body.p, call->body.n, 0, NULL);
    if (!json_is_object(root))
        backend_fail(call, ERR_INVALID, "the body must be a JSON object");
    else if (!mesh_known(b, mesh))
        backend_fail(call, ERR_CONFLICT, "this node has not met its mesh yet; souk peer add connects it");
    else
        return root;
    json_decref(root);
    return NULL;
}

void members_charter_set(struct backend *b, struct api_call *call)
{
    struct mesh_of mesh;
    json_t *root = members_begin(b, call, &mesh);
    if (root == NULL)
        return;
    put_charter(b, call, root, &mesh);
    json_decref(root);
}

/* ---- admit ------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *root, const char *name, const char *fallback)
{
    const char *text = json_string_value(json_object_get(root, name));
    return text != NULL ? text : fallback;
}

bool members_role_valid(struct api_call *call, const char *role)
{
    const struct field_desc *d = field_by_name(kind_by_number(KIND_MEMBER)->fields, bytes_str("role"));
    struct faults faults = {.count = 0};
    struct buf value = {0};
    mp_put_str(&value, bytes_str(role));
    bool good = role[0] != '\0' && strcmp(role, "founder") != 0 && field_check(d, "/role", buf_view(&value), &faults);
    buf_close(&value);
    if (!good)
        buf_printf(&call->detail, "role: %s", faults.count > 0 ? faults.list[0].detail : "one word such as member or operator");
    return good;
}

static enum err judge_admit(struct api_call *call, const struct standing *s, const char *role)
{
    assert(role != NULL && call->detail.n == 0);
    if (!members_role_valid(call, role))
        return ERR_INVALID;
    if (s->founder)
        buf_put_str(&call->detail, "this key founded the mesh: it needs no admission");
    else if (s->operator && strcmp(role, "operator") != 0)
        buf_put_str(&call->detail, "this key is an operator; souk mesh remove takes that back first");
    else
        return ERR_OK;
    return ERR_CONFLICT;
}

static void admit(struct backend *b, struct api_call *call, const json_t *root, struct member_change *m)
{
    struct standing s;
    enum err e = store_standing(b->store, m->key, &s);
    if (e == ERR_OK)
        e = judge_admit(call, &s, m->role);
    bool operator= strcmp(m->role, "operator") == 0;
    if (e == ERR_OK) {
        m->author = mesh_signer(b, text_of(root, "as", ""), operator? POWER_FOUNDER : POWER_OPERATOR, &call->detail);
        e = m->author == NULL ? ERR_DENIED : ERR_OK;
    }
    if (e != ERR_OK) {
        backend_fail(call, e, NULL);
        return;
    }
    struct mesh_run *run = mesh_run_begin(b, call);
    buf_put_str(&call->out, "{}");
    member_write(run, m);
    if (operator&& !s.operator)
        state_operator(run, m, WRITE_GRANT);
    mesh_run_end(run);
}

static bool key_member(struct api_call *call, const json_t *root, struct key *key)
{
    if (key_parse(key, bytes_str(text_of(root, "key", ""))))
        return true;
    backend_fail(call, ERR_INVALID, "key: the 64 hex digits of an author's or a node's key");
    return false;
}

void members_admit(struct backend *b, struct api_call *call)
{
    struct mesh_of mesh;
    struct key key;
    json_t *root = members_begin(b, call, &mesh);
    if (root == NULL)
        return;
    struct member_change m = {.mesh = &mesh, .key = &key, .role = text_of(root, "role", "member"), .removed = "no"};
    if (key_member(call, root, &key))
        admit(b, call, root, &m);
    json_decref(root);
}

/* ---- remove ------------------------------------------------------------------------------------------------------ */

/* Member entries that say what they say by an operator's word, who is about to lose it. */
struct admissions {
    const struct key *operator;
    struct key *keys;
    size_t count;
};

static bool collect(void *ctx, const struct member_row *m)
{
    struct admissions *a = ctx;
    if (key_eq(&m->key, a->operator) || (m->alone && !key_eq(&m->author, a->operator)))
        return true;
    a->keys = mem_realloc(a->keys, a->count + 1, sizeof *a->keys);
    assert(a->keys != NULL && a->operator != NULL);
    a->keys[a->count++] = m->key;
    return true;
}

/* Puts what these entries say again as the founder's, so that the revocation leaves them as they are. */
static void restate(struct mesh_run *run, const struct member_change *m, const struct admissions *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct member_change again = {.mesh = m->mesh, .author = m->author, .key = &list->keys[i]};
        member_write(run, &again);
    }
}

static void remove_one(struct mesh_run *run, struct member_change m, const struct key *key)
{
    assert(m.role == NULL && m.author != NULL); /* what else the entry says stays */
    m.key = key;
    m.removed = "yes";
    member_write(run, &m);
}

/* The other key of an invitation goes as well, unless the operator asks for one alone or it is more than a member. */
static const struct key *companion(struct backend *b, const json_t *root, const struct key *key, struct member_row *row)
{
    struct standing s;
    if (json_is_true(json_object_get(root, "only")) || !member_lookup(b, key, row) || !row->has_with)
        return NULL;
    if (store_standing(b->store, &row->with, &s) != ERR_OK || s.founder || s.operator || !s.member)
        return NULL;
    return &row->with;
}

static void remove_operator(struct backend *b, struct api_call *call, const json_t *root, struct member_change *m)
{
    struct admissions list = {.operator= m->key};
    bool keep = json_is_true(json_object_get(root, "restate")), drop = json_is_true(json_object_get(root, "drop"));
    enum err e = members_each(b, collect, &list);
    if (e == ERR_OK && list.count > 0 && !keep && !drop) {
        buf_printf(&call->detail,
                   "this operator admitted or removed %zu keys (souk mesh ls shows them), which would be undone with it: "
                   "--restate keeps them as the founder's word, --drop lets them go",
                   list.count);
        e = ERR_CONFLICT;
    }
    if (e == ERR_OK) {
        struct mesh_run *run = mesh_run_begin(b, call);
        buf_printf(&call->out, "{\"restated\":%zu}", keep ? list.count : (size_t)0);
        if (keep)
            restate(run, m, &list);
        state_operator(run, m, WRITE_REVOKE);
        remove_one(run, *m, m->key);
        mesh_run_end(run);
    } else {
        backend_fail(call, e, NULL);
    }
    free(list.keys);
}

static void remove_member(struct backend *b, struct api_call *call, const json_t *root, struct member_change *m)
{
    struct member_row row;
    const struct key *other = companion(b, root, m->key, &row);
    struct mesh_run *run = mesh_run_begin(b, call);
    buf_put_str(&call->out, "{\"also\":");
    if (other != NULL) {
        char hex[ID_HEX_SIZE];
        key_hex(hex, other);
        buf_printf(&call->out, "\"%s\"}", hex);
        remove_one(run, *m, other);
    } else {
        buf_put_str(&call->out, "null}");
    }
    remove_one(run, *m, m->key);
    mesh_run_end(run);
}

static void remove_key(struct backend *b, struct api_call *call, const json_t *root, struct member_change *m)
{
    struct standing s;
    enum err e = store_standing(b->store, m->key, &s);
    if (e == ERR_OK && s.founder) {
        buf_put_str(&call->detail, "this key founded the mesh and cannot be removed from it");
        e = ERR_CONFLICT;
    }
    if (e == ERR_OK) {
        m->author = mesh_signer(b, text_of(root, "as", ""), s.operator ? POWER_FOUNDER : POWER_OPERATOR, &call->detail);
        e = m->author == NULL ? ERR_DENIED : ERR_OK;
    }
    if (e != ERR_OK)
        backend_fail(call, e, NULL);
    else if (s.operator)
        remove_operator(b, call, root, m);
    else
        remove_member(b, call, root, m);
}

void members_remove(struct backend *b, struct api_call *call)
{
    struct mesh_of mesh;
    struct key key;
    json_t *root = members_begin(b, call, &mesh);
    if (root == NULL)
        return;
    struct member_change m = {.mesh = &mesh, .key = &key};
    if (key_member(call, root, &key))
        remove_key(b, call, root, &m);
    json_decref(root);
}
