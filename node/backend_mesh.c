/*
 * Who is in the mesh, as admin verbs show it: the charter, the members, and how they stand to this node's own keys.
 * Reads the store alone; what an operator changes is backend_members.c's.
 */
#include "node/backend_retire.h"

#include "crdt/alloc.h"
#include "node/jsonscan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mesh_known(struct backend *b, struct mesh_of *out)
{
    struct buf name = {0};
    bool known = store_founder(b->store, &out->founder, &name) && name.n < sizeof out->name;
    if (known) {
        entry_id(&out->charter, KIND_CHARTER, &out->founder, buf_view(&name));
        memcpy(out->name, name.p, name.n);
        assert(name.n > 0 && name.n < sizeof out->name);
        out->name[name.n] = '\0';
    }
    buf_close(&name);
    return known;
}

/* ---- member entries ---------------------------------------------------------------------------------------------- */

/* A JSON string of 64 hex digits. */
static bool scan_key(struct bytes value, struct key *out)
{
    return value.n == ID_HEX_SIZE + 1 && value.p[0] == '"' && key_parse(out, bytes_of(value.p + 1, value.n - 2));
}

static bool scan_member(const struct id *entry, struct bytes json, struct member_row *m)
{
    assert(json.n > 2 && json.p[json.n - 1] == '}');
    struct bytes record = jsonscan_member(json, "member"), meta = jsonscan_member(json, "meta");
    *m = (struct member_row){.entry = *entry, .json = json};
    m->removed = bytes_eq(jsonscan_member(record, "removed"), bytes_str("true"));
    m->alone = bytes_eq(jsonscan_member(meta, "heads"), bytes_str("1"));
    m->has_invitation = scan_key(jsonscan_member(record, "invitation"), &m->invitation);
    m->has_with = scan_key(jsonscan_member(record, "with"), &m->with);
    return scan_key(jsonscan_member(record, "name"), &m->key) && scan_key(jsonscan_member(meta, "author"), &m->author);
}

static bool read_member(const struct backend *b, const struct id *entry, struct buf *json, struct member_row *m)
{
    struct entry_info info;
    buf_reset(json);
    if (store_get(b->store, KIND_MEMBER, entry, &info, json) != ERR_OK)
        return false;
    buf_put_str(json, "}}");
    return scan_member(entry, buf_view(json), m);
}

enum err members_each(const struct backend *b, bool (*each)(void *ctx, const struct member_row *m), void *ctx)
{
    assert(each != NULL);
    struct store_scan *scan = store_scan_open(b->store, KIND_MEMBER, (struct bytes){0}, NULL);
    struct buf json = {0};
    struct member_row row;
    struct bytes name;
    struct id entry;
    bool more = true;
    while (more && store_scan_next(scan, &entry, &name))
        if (read_member(b, &entry, &json, &row))
            more = each(ctx, &row);
    buf_close(&json);
    return store_scan_close(scan);
}

bool member_lookup(const struct backend *b, const struct key *key, struct member_row *out)
{
    struct key founder;
    struct id entry;
    struct buf json = {0};
    char hex[ID_HEX_SIZE];
    if (!store_founder(b->store, &founder, NULL))
        return false;
    key_hex(hex, key);
    entry_id(&entry, KIND_MEMBER, &founder, bytes_str(hex));
    bool found = read_member(b, &entry, &json, out);
    buf_close(&json);
    out->json = (struct bytes){0};
    return found;
}

/* ---- what is shown ----------------------------------------------------------------------------------------------- */

static const char *standing_word(const struct backend *b, const struct key *k)
{
    struct standing s;
    if (store_standing(b->store, k, &s) != ERR_OK)
        return "unknown";
    if (s.founder || s.operator)
        return s.founder ? "founder" : "operator";
    if (s.removed)
        return "removed";
    return s.member ? "member" : s.admitted ? "open" : "stranger";
}

static void put_key(struct buf *out, const char *before, const struct key *k)
{
    char hex[ID_HEX_SIZE];
    key_hex(hex, k);
    buf_printf(out, "%s\"%s\"", before, hex);
}

static void put_standing(struct backend *b, struct buf *out, const char *before, const struct key *k)
{
    assert(out->n > 0); /* it is a member or an item */
    buf_put_str(out, before);
    put_key(out, "{\"key\":", k);
    buf_printf(out, ",\"standing\":\"%s\"}", standing_word(b, k));
}

struct list {
    struct backend *backend;
    struct buf *out;
    const struct mesh_of *mesh;
    uint64_t members, removed;
};

static bool put_operator(void *ctx, const struct grant *g)
{
    struct list *list = ctx;
    assert(list->out->n > 0);
    put_key(list->out, list->out->p[list->out->n - 1] == '[' ? "" : ",", &g->key);
    return true;
}

static bool count_member(void *ctx, const struct member_row *m)
{
    struct list *list = ctx;
    list->removed += m->removed;
    list->members += !m->removed;
    return true;
}

/* The charter's own words, empty where it is not held. */
static void put_words(struct backend *b, struct buf *out, const struct mesh_of *mesh)
{
    static const char *const words[] = {"about", "contact"};
    struct buf json = {0};
    struct entry_info info;
    if (store_get(b->store, KIND_CHARTER, &mesh->charter, &info, &json) == ERR_OK)
        buf_put_str(&json, "}}");
    struct bytes record = jsonscan_member(buf_view(&json), "charter");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct bytes value = jsonscan_member(record, words[i]);
        buf_printf(out, ",\"%s\":", words[i]);
        buf_put_bytes(out, value.p != NULL ? value : bytes_str("\"\""));
    }
    buf_close(&json);
}

static void put_own_keys(struct backend *b, struct buf *out)
{
    const struct author *a;
    put_standing(b, out, ",\"node\":", &b->config.node);
    buf_put_str(out, ",\"keys\":[");
    for (size_t i = 0; (a = b->hooks.author_at(b->hooks.ctx, i)) != NULL; i++)
        put_standing(b, out, i > 0 ? "," : "", &a->key);
    buf_put_u8(out, ']');
}

static enum err put_charter(struct backend *b, struct api_call *call)
{
    static const char *const words[] = {[MESH_NO_CHARTER] = "none", [MESH_MEMBERS] = "members", [MESH_OPEN] = "open"};
    struct buf *out = &call->out;
    struct mesh_of mesh;
    struct list list = {.backend = b, .out = out};
    enum mesh_admission admission = MESH_NO_CHARTER;
    char hex[ID_HEX_SIZE];
    if (!mesh_known(b, &mesh)) {
        buf_put_str(&call->detail, "this node has not met its mesh yet, so it knows no founder; souk peer add connects it");
        return ERR_NOT_FOUND;
    }
    enum err e = store_admission(b->store, &admission);
    if (e == ERR_OK)
        e = members_each(b, count_member, &list);
    id_hex(hex, &b->config.mesh);
    assert(e != ERR_OK || admission <= MESH_OPEN);
    buf_printf(out, "{\"mesh_id\":\"%s\",\"name\":", hex);
    json_put_string(out, bytes_str(mesh.name));
    put_key(out, ",\"founder\":", &mesh.founder);
    buf_printf(out, ",\"admission\":\"%s\"", words[admission]);
    put_words(b, out, &mesh);
    buf_put_str(out, ",\"operators\":[");
    if (e == ERR_OK)
        e = store_writers(b->store, &mesh.charter, put_operator, &list);
    buf_printf(out, "],\"members\":%llu,\"removed\":%llu", (unsigned long long)list.members, (unsigned long long)list.removed);
    return e == ERR_NOT_FOUND ? ERR_OK : e; /* no charter yet: no operators */
}

/* Member entries are counted off the loop; this node's keys belong to the loop. */
struct charter_job {
    struct backend *backend;
    struct api_call *call;
    enum err err;
};

static void charter_work(void *arg)
{
    struct charter_job *job = arg;
    job->err = put_charter(job->backend, job->call);
}

static void charter_done(void *arg)
{
    struct charter_job job = *(struct charter_job *)arg;
    assert(job.err != ERR_OK || job.call->out.n > 0);
    free(arg);
    if (job.err == ERR_OK) {
        put_own_keys(job.backend, &job.call->out);
        buf_put_u8(&job.call->out, '}');
    }
    job.call->err = job.err;
    api_call_done(job.call);
}

static void show_charter(struct backend *b, struct api_call *call)
{
    struct charter_job *job = mem_alloc(sizeof *job);
    *job = (struct charter_job){.backend = b, .call = call};
    b->hooks.defer(b->hooks.ctx, charter_work, charter_done, job);
}

static void put_comma(struct buf *out)
{
    assert(out->n > 0);
    if (out->p[out->n - 1] == '}')
        buf_put_u8(out, ',');
}

static void put_plain_row(struct list *list, const struct key *key, const char *role)
{
    put_comma(list->out);
    put_key(list->out, "{\"key\":", key);
    buf_printf(list->out, ",\"role\":\"%s\",\"standing\":\"%s\",\"by\":null,\"since\":null,\"invitation\":null,\"with\":null}", role,
               standing_word(list->backend, key));
}

static bool put_operator_row(void *ctx, const struct grant *g)
{
    struct list *list = ctx;
    struct member_row row;
    if (!member_lookup(list->backend, &g->key, &row))
        put_plain_row(list, &g->key, "operator");
    return true;
}

static bool put_member_row(void *ctx, const struct member_row *m)
{
    struct list *list = ctx;
    struct bytes record = jsonscan_member(m->json, "member"), meta = jsonscan_member(m->json, "meta");
    put_comma(list->out);
    put_key(list->out, "{\"key\":", &m->key);
    buf_put_str(list->out, ",\"role\":");
    buf_put_bytes(list->out, jsonscan_member(record, "role"));
    buf_printf(list->out, ",\"standing\":\"%s\"", standing_word(list->backend, &m->key));
    put_key(list->out, ",\"by\":", &m->author);
    buf_put_str(list->out, ",\"since\":");
    buf_put_bytes(list->out, jsonscan_member(meta, "updated_at"));
    buf_put_str(list->out, ",\"invitation\":");
    buf_put_bytes(list->out, jsonscan_member(record, "invitation"));
    buf_put_str(list->out, ",\"with\":");
    buf_put_bytes(list->out, jsonscan_member(record, "with"));
    buf_put_u8(list->out, '}');
    return true;
}

static enum err put_members(struct backend *b, struct api_call *call)
{
    struct mesh_of mesh;
    struct list list = {.backend = b, .out = &call->out, .mesh = &mesh};
    enum err e = ERR_OK;
    buf_put_u8(&call->out, '[');
    if (mesh_known(b, &mesh)) {
        put_plain_row(&list, &mesh.founder, "founder");
        e = store_writers(b->store, &mesh.charter, put_operator_row, &list);
        if (e == ERR_OK || e == ERR_NOT_FOUND)
            e = members_each(b, put_member_row, &list);
    }
    buf_put_u8(&call->out, ']');
    return e;
}

/* ---- dispatch ---------------------------------------------------------------------------------------------------- */

bool backend_mesh(struct backend *b, struct api_call *call)
{
    assert(call->admin != NULL);
    static const struct {
        const char *verb;
        void (*run)(struct backend *b, struct api_call *call);
    } verbs[] = {{"charter-set", members_charter_set}, {"member-admit", members_admit}, {"member-remove", members_remove}, {"mesh-invite", invite_make}, {"key-retire", retire_run},
                 {"key-will", will_make},         {"key-succeed", will_follow}};
    if (strcmp(call->admin, "charter") == 0) {
        show_charter(b, call);
        return true;
    }
    if (strcmp(call->admin, "members") == 0) {
        backend_defer(b, call, put_members);
        return true;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(call->admin, verbs[i].verb) == 0) {
            verbs[i].run(b, call);
            return true;
        }
    return false;
}
