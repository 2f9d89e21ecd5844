/*
 * Opening, founder and counters of the store. Owns the meta rows: format version, mesh, founder. Knows nothing of merging.
 */
#include "crdt/alloc.h"
#include "crdt/record.h"
#include "store/work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 2, FOUNDER_ROW_MIN = ID_BYTES + 1 };

static enum err get_meta(struct kv *kv, const char *name, struct buf *out)
{
    struct dbkey key;
    dbkey_meta(&key, name);
    buf_reset(out);
    return kv->ops->get(kv, NULL, dbkey_view(&key), out);
}

static void put_meta(struct kv_batch *b, const char *name, struct bytes value)
{
    struct dbkey key;
    dbkey_meta(&key, name);
    kv_batch_put(b, dbkey_view(&key), value);
}

static void put_founder(struct kv_batch *b, const struct key *founder, struct bytes mesh_name)
{
    assert(mesh_name.n >= 1 && mesh_name.n <= MODEL_NAME_MAX);
    struct buf row = {0};
    buf_put(&row, founder->b, ID_BYTES);
    buf_put_bytes(&row, mesh_name);
    put_meta(b, "founder", buf_view(&row));
    buf_close(&row);
}

static void put_format(struct kv_batch *b)
{
    const uint8_t version[4] = {0, 0, 0, FORMAT_VERSION};
    put_meta(b, "format", bytes_of(version, sizeof version));
}

/* Version 1 has no deltas put off; all else is the same, so one that can only be read is read as it is. */
static enum err follow_format(struct kv *kv)
{
    struct buf row = {0};
    struct kv_batch b = {0};
    enum err e = get_meta(kv, "format", &row);
    if (e == ERR_OK && get_be(row.p, 4) < FORMAT_VERSION) {
        put_format(&b);
        e = kv->ops->write(kv, &b);
    }
    kv_batch_close(&b);
    buf_close(&row);
    return e == ERR_READ_ONLY ? ERR_OK : e;
}

static enum err create(struct store *s, const struct store_config *c)
{
    assert(id_eq(&s->mesh, &c->mesh));
    struct kv_batch b = {0};
    struct id schema;
    record_schema_id(&schema);
    put_format(&b);
    put_meta(&b, "schema", bytes_of(schema.b, ID_BYTES));
    put_meta(&b, "mesh", bytes_of(c->mesh.b, ID_BYTES));
    if (c->has_founder)
        put_founder(&b, &c->founder, c->mesh_name);
    enum err e = s->kv->ops->write(s->kv, &b);
    kv_batch_close(&b);
    return e;
}

static enum err check_format(struct kv *kv, const struct id *mesh)
{
    struct buf row = {0};
    enum err e = get_meta(kv, "format", &row);
    if (e == ERR_OK && (row.n != 4 || get_be(row.p, 4) == 0))
        e = ERR_CORRUPT;
    else if (e == ERR_OK && get_be(row.p, 4) > FORMAT_VERSION)
        e = ERR_VERSION;
    if (e == ERR_OK)
        e = get_meta(kv, "mesh", &row);
    if (e == ERR_OK && !bytes_eq(buf_view(&row), bytes_of(mesh->b, ID_BYTES)))
        e = ERR_MESH;
    buf_close(&row);
    return e;
}

static void kv_fault(struct kv *kv, enum err e, struct buf *why)
{
    struct buf said = {0};
    if (e == ERR_CORRUPT && kv->ops->fault != NULL)
        kv->ops->fault(kv, &said);
    if (said.n > 0)
        buf_put_bytes(why, buf_view(&said));
    else
        buf_put_str(why, err_text(e));
    buf_close(&said);
}

void store_fault(const struct store *s, enum err e, struct buf *why)
{
    assert(e != ERR_OK);
    kv_fault(s->kv, e, why);
}

void store_open_fault(struct kv *kv, enum err e, struct buf *why)
{
    struct buf row = {0};
    assert(e != ERR_OK);
    bool known = e == ERR_VERSION && get_meta(kv, "format", &row) == ERR_OK && row.n == 4;
    if (known && get_be(row.p, 4) > FORMAT_VERSION)
        buf_printf(why, "it has format version %llu and this program knows %d: use a newer souk; nothing was changed",
                   (unsigned long long)get_be(row.p, 4), FORMAT_VERSION);
    else if (e == ERR_VERSION)
        buf_put_str(why, "another version of souk wrote it, and it is not brought up to date while it is only read: start its node once");
    else if (e == ERR_MESH)
        buf_put_str(why, "it belongs to another mesh");
    else
        kv_fault(kv, e, why);
    buf_close(&row);
}

enum err read_founder(const struct store *s, struct key *founder, struct buf *mesh_name, bool *known)
{
    struct buf row = {0};
    enum err e = get_meta(s->kv, "founder", &row);
    if (e == ERR_OK && row.n < FOUNDER_ROW_MIN)
        e = ERR_CORRUPT;
    *known = e == ERR_OK;
    if (*known) {
        *founder = key_at(buf_view(&row), 0);
        if (mesh_name != NULL)
            buf_put(mesh_name, row.p + ID_BYTES, row.n - ID_BYTES);
    }
    buf_close(&row);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

bool store_founder(const struct store *s, struct key *founder, struct buf *mesh_name)
{
    bool known;
    return read_founder(s, founder, mesh_name, &known) == ERR_OK && known;
}

static enum err load_founder(struct store *s)
{
    struct policy *p = &s->policy;
    buf_reset(&s->mesh_name);
    enum err e = read_founder(s, &p->founder, &s->mesh_name, &p->has_founder);
    if (p->has_founder)
        entry_id(&p->charter, KIND_CHARTER, &p->founder, buf_view(&s->mesh_name));
    return e;
}

static enum err load_stats(const struct store *s, struct stats_row *out)
{
    struct buf row = {0};
    enum err e = get_meta(s->kv, "stats", &row);
    *out = (struct stats_row){0};
    if (e == ERR_OK)
        e = stats_row_get(buf_view(&row), out);
    buf_close(&row);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err store_load(struct store *s)
{
    enum err e = load_founder(s);
    if (e == ERR_OK)
        e = load_stats(s, &s->stats);
    if (e == ERR_OK)
        e = policy_load(s);
    return e == ERR_OK ? sweep_load(s) : e;
}

static bool names_mesh(const struct id *mesh, const struct key *founder, struct bytes name)
{
    struct id id;
    mesh_id(&id, founder, name);
    return id_eq(&id, mesh) && name.n >= 1 && name.n <= MODEL_NAME_MAX;
}

static enum err finish_sweeps(struct store *s)
{
    assert(!s->stale);
    enum err e = ERR_OK;
    for (bool more = true; more && e == ERR_OK;) {
        struct store_job job = {0};
        e = store_apply(s, &job);
        more = job.more;
        store_job_close(&job);
    }
    return e;
}

/* By which tables the JSON was written: OK and `same`, or why that cannot be read. No row: by none that is known. */
static enum err check_schema(struct kv *kv, const struct id *schema, bool *same)
{
    struct buf row = {0};
    enum err e = get_meta(kv, "schema", &row);
    *same = e == ERR_OK && bytes_eq(buf_view(&row), bytes_of(schema->b, ID_BYTES));
    buf_close(&row);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err sweep_shown(struct store *s, const struct id *schema)
{
    struct work w;
    assert(s->kv != NULL);
    work_init(&w, s, NULL);
    put_meta(&w.batch, "schema", bytes_of(schema->b, ID_BYTES));
    sweep_add(&w, SWEEP_SHOW, NULL);
    work_flush_rows(&w);
    enum err e = s->kv->ops->write(s->kv, &w.batch);
    work_close(&w);
    s->sweeping = true;
    return e == ERR_OK ? finish_sweeps(s) : e == ERR_READ_ONLY ? ERR_VERSION : e;
}

/* JSON that other tables wrote is written anew before anybody reads it. A crash on the way leaves the sweep's row. */
static enum err follow_schema(struct store *s)
{
    struct id schema;
    bool same, pending = false;
    record_schema_id(&schema);
    enum err e = check_schema(s->kv, &schema, &same);
    if (e == ERR_OK && !same)
        return sweep_shown(s, &schema);
    if (e == ERR_OK)
        e = sweep_pending(s, SWEEP_SHOW, &pending);
    return e == ERR_OK && pending ? finish_sweeps(s) : e;
}

enum err store_open(struct store **out, struct kv *kv, const struct store_config *config)
{
    assert(kv != NULL);
    if (config->has_founder && !names_mesh(&config->mesh, &config->founder, config->mesh_name))
        return ERR_MESH;
    struct store *s = mem_zalloc(sizeof *s);
    s->kv = kv;
    s->mesh = config->mesh;
    s->texts = short_table_new();
    enum err e = check_format(kv, &config->mesh);
    if (e == ERR_NOT_FOUND)
        e = create(s, config);
    if (e == ERR_OK)
        e = follow_format(kv);
    if (e == ERR_OK)
        e = store_load(s);
    if (e == ERR_OK)
        e = follow_schema(s);
    if (e == ERR_OK && config->has_founder && !s->policy.has_founder)
        e = store_set_founder(s, &config->founder, config->mesh_name);
    if (e != ERR_OK) {
        store_close(s);
        return e;
    }
    *out = s;
    return ERR_OK;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    policy_close(&s->policy);
    kv_batch_close(&s->spare);
    short_table_free(s->texts);
    buf_close(&s->mesh_name);
    free(s);
}

enum err store_set_founder(struct store *s, const struct key *founder, struct bytes mesh_name)
{
    if (!names_mesh(&s->mesh, founder, mesh_name))
        return ERR_MESH;
    if (s->policy.has_founder)
        return ERR_OK;
    struct work w;
    work_init(&w, s, NULL);
    put_founder(&w.batch, founder, mesh_name);
    sweep_add(&w, SWEEP_EVERYONE, NULL);
    sweep_add(&w, SWEEP_ENTRIES, NULL);
    work_flush_rows(&w);
    enum err e = s->kv->ops->write(s->kv, &w.batch);
    work_close(&w);
    if (e == ERR_OK)
        e = store_load(s);
    s->stale = e != ERR_OK;
    return e == ERR_OK ? finish_sweeps(s) : e;
}

enum err store_reopen(struct store *s)
{
    enum err e = s->kv->ops->reopen(s->kv);
    s->stale = true;
    return e;
}

/* ---- counters: of what is stored, so that any thread may ask ---- */

void store_stats(const struct store *s, struct store_stats *out)
{
    struct stats_row row;
    *out = (struct store_stats){0};
    if (load_stats(s, &row) != ERR_OK)
        return;
    *out = (struct store_stats){.deltas = row.deltas, .ops = row.ops, .aside = row.aside, .conflicts = row.conflicts,
                                .missing_bodies = row.missing_bodies, .bytes = s->kv->ops->bytes(s->kv)};
    memcpy(out->entries, row.entries, sizeof out->entries);
}

uint64_t store_count(const struct store *s, uint64_t kind)
{
    struct stats_row row;
    return kind < STATS_KINDS && load_stats(s, &row) == ERR_OK ? row.entries[kind] : 0;
}

uint64_t store_last_seq(const struct store *s)
{
    struct stats_row row;
    return load_stats(s, &row) == ERR_OK ? row.last_seq : 0;
}
