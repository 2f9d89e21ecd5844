/*
 * See stores.h.
 */
#include "tests/lib/stores.h"

#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "tests/lib/tmpdir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_NOW_MS = 1700000000 };

static void must(enum err e, const char *what)
{
    if (e == ERR_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, err_text(e));
    abort();
}

static void open_kv(struct test_store *t)
{
    struct kv_rocks_config config = {.path = t->dir, .cache_mb = 8, .write_buffer_mb = 4};
    struct store_config sc = {.mesh = t->mesh, .has_founder = true, .founder = t->founder.key,
                              .mesh_name = bytes_str(TEST_MESH)};
    if (t->backend == BACKEND_ROCKS)
        must(kv_rocks_open(&t->kv, &config, NULL), "kv_rocks_open");
    must(store_open(&t->store, t->kv, &sc), "store_open");
}

void test_store_open(struct test_store *t, enum backend backend)
{
    *t = (struct test_store){.backend = backend, .now_ms = (uint64_t)FIRST_NOW_MS * 1000};
    gen_author(&t->founder, 1);
    mesh_id(&t->mesh, &t->founder.key, bytes_str(TEST_MESH));
    rng_seed(&t->rng, 1);
    if (backend == BACKEND_ROCKS)
        tmpdir_new(t->dir, sizeof t->dir);
    else
        t->kv = kv_mem_new();
    open_kv(t);
}

void test_store_again(struct test_store *t)
{
    store_close(t->store);
    if (t->backend == BACKEND_ROCKS)
        t->kv->ops->close(t->kv);
    open_kv(t);
}

void test_store_close(struct test_store *t)
{
    store_close(t->store);
    t->kv->ops->close(t->kv);
    if (t->backend == BACKEND_ROCKS)
        tmpdir_remove(t->dir);
}

void test_charter(const struct test_store *t, struct buf *out, const char *admission, uint64_t time)
{
    struct buf body = {0};
    gen_body_text(&body, "admission", time, admission);
    struct gen_op op = {.verb = VERB_PUT, .kind = KIND_CHARTER, .name = TEST_MESH, .body = buf_view(&body)};
    gen_one(out, &t->mesh, &t->founder, time, &op);
    buf_close(&body);
}

void test_open_mesh(struct test_store *t)
{
    struct buf bundle = {0};
    test_charter(t, &bundle, "open", hlc_from_ms(t->now_ms - 1000));
    if (test_apply(t, buf_view(&bundle)) != VERDICT_NEW)
        must(ERR_DENIED, "test_open_mesh");
    buf_close(&bundle);
}

struct store_in test_apply_in(struct test_store *t, struct bytes bundle)
{
    struct store_in in = {.bundle = bundle};
    struct store_job job = {.now_ms = t->now_ms, .rng = &t->rng, .in_count = 1, .in = &in};
    must(store_apply(t->store, &job), "store_apply");
    bool more = job.more;
    store_job_close(&job);
    while (more) {
        job = (struct store_job){.now_ms = t->now_ms, .rng = &t->rng};
        must(store_apply(t->store, &job), "store_apply");
        more = job.more;
        store_job_close(&job);
    }
    return in;
}

enum verdict test_apply(struct test_store *t, struct bytes bundle)
{
    return test_apply_in(t, bundle).verdict;
}

enum err test_write(struct test_store *t, struct store_write *w)
{
    struct store_job job = {.now_ms = ++t->now_ms, .rng = &t->rng, .write_count = 1, .writes = w};
    must(store_apply(t->store, &job), "store_apply");
    store_job_close(&job);
    return w->why;
}

void test_author(struct author *out, uint64_t number)
{
    struct gen_author a;
    gen_author(&a, number);
    *out = (struct author){.key = a.key};
    memcpy(out->secret, a.secret, sizeof out->secret);
}

struct store_write test_write_of(enum write_action action, struct author *author, const struct key *owner, const char *name)
{
    return (struct store_write){.action = action, .kind = KIND_MODEL, .owner = *owner, .name = bytes_str(name),
                                .author = author, .change = {.mode = CHANGE_PATCH}};
}

enum err test_write_text(struct test_store *t, struct store_write *w, const char *field, const char *text)
{
    struct buf value = {0};
    mp_put_str(&value, bytes_str(text));
    struct field f = {.name = bytes_str(field), .value = buf_view(&value)};
    w->change.field_count = 1;
    w->change.fields = &f;
    enum err e = test_write(t, w);
    w->change = (struct change){.mode = CHANGE_PATCH};
    buf_close(&value);
    return e;
}

enum err test_write_statement(struct test_store *t, enum write_action action, struct author *owner, const char *name,
                              const struct key *writer)
{
    struct store_write w = test_write_of(action, owner, &owner->key, name);
    w.writer = *writer;
    return test_write(t, &w);
}

enum err test_put(struct test_store *t, struct author *author, const char *name, const char *field, const char *text,
                  struct store_write *result)
{
    struct store_write w = test_write_of(WRITE_PUT, author, &author->key, name);
    enum err e = test_write_text(t, &w, field, text);
    if (result != NULL)
        *result = w;
    return e;
}

size_t test_by_name(const struct store *s, struct bytes name, struct id *out, size_t max)
{
    struct store_named named = {.ids = out, .max = max};
    must(store_by_name(s, KIND_MODEL, name, &named), "store_by_name");
    return named.count;
}

struct id test_put_bundle(const struct test_store *t, struct buf *out, const struct gen_author *author, uint64_t time,
                          struct gen_op op)
{
    struct buf body = {0};
    gen_body_text(&body, "description", time, op.name);
    op.body = buf_view(&body);
    struct id id = gen_one(out, &t->mesh, author, time, &op);
    buf_close(&body);
    return id;
}

struct id test_entry(const struct key *owner, uint64_t kind, const char *name)
{
    struct id id;
    entry_id(&id, kind, owner, bytes_str(name));
    return id;
}

struct id test_digest(const struct test_store *t)
{
    struct setindex *set = setindex_new();
    struct id digest;
    must(store_load_set(t->store, set), "store_load_set");
    setindex_digest(set, &digest);
    setindex_free(set);
    return digest;
}

struct id test_state(const struct test_store *t)
{
    struct id id;
    must(store_state_hash(t->store, &id), "store_state_hash");
    return id;
}

char *test_json(const struct test_store *t, const struct id *entry)
{
    struct entry_info info;
    struct buf out = {0};
    for (uint64_t kind = KIND_MODEL; kind <= KIND_MEMBER; kind++)
        if (store_get(t->store, kind, entry, &info, &out) == ERR_OK)
            return (char *)buf_cstr(&out);
    buf_close(&out);
    return mem_strdup("-");
}

bool test_shows(const struct test_store *t, const struct id *entry, const char *text)
{
    char *json = test_json(t, entry);
    bool there = strstr(json, text) != NULL;
    free(json);
    return there;
}

void test_collect_failure(void *out, const struct verify_finding *f)
{
    if (!f->ok)
        buf_printf(out, "%s: %s; ", f->check, f->detail);
}
