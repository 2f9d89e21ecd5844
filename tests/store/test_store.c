/*
 * The contract of store/store.h, run against both back ends.
 */
#include "crdt/alloc.h"
#include "tests/lib/stores.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define EACH_BACKEND(name)                                                                                             \
    static void check_##name(struct test_store *t);                                                                    \
    Test(store, name##_mem)                                                                                            \
    {                                                                                                                  \
        struct test_store t;                                                                                           \
        test_store_open(&t, BACKEND_MEM);                                                                              \
        check_##name(&t);                                                                                              \
        test_store_close(&t);                                                                                          \
    }                                                                                                                  \
    Test(store, name##_rocks)                                                                                          \
    {                                                                                                                  \
        struct test_store t;                                                                                           \
        test_store_open(&t, BACKEND_ROCKS);                                                                            \
        check_##name(&t);                                                                                              \
        test_store_close(&t);                                                                                          \
    }                                                                                                                  \
    static void check_##name(struct test_store *t)

static void expect_sound(struct test_store *t);

/* ---- small helpers ---- */

static bool has_text(const struct test_store *t, const struct id *entry, const char *text)
{
    char *json = test_json(t, entry);
    bool there = strstr(json, text) != NULL;
    free(json);
    return there;
}

static struct store_write write_of(enum write_action action, struct author *author, const struct key *owner, const char *name)
{
    return (struct store_write){.action = action, .kind = KIND_MODEL, .owner = *owner, .name = bytes_str(name),
                                .author = author, .change = {.mode = CHANGE_PATCH}};
}

static enum err write_text(struct test_store *t, struct store_write *w, const char *field, const char *text)
{
    struct buf value = {0};
    buf_put_u8(&value, (uint8_t)(0xa0 | strlen(text)));
    buf_put_str(&value, text);
    struct field f = {.name = bytes_str(field), .value = buf_view(&value)};
    w->change.field_count = 1;
    w->change.fields = &f;
    enum err e = test_write(t, w);
    w->change = (struct change){.mode = CHANGE_PATCH};
    buf_close(&value);
    return e;
}

static enum err write_statement(struct test_store *t, enum write_action action, struct author *owner, const char *name,
                                const struct key *writer)
{
    struct store_write w = write_of(action, owner, &owner->key, name);
    w.writer = *writer;
    return test_write(t, &w);
}

/* A bundle of one put of one text field. */
static struct id put_bundle(const struct test_store *t, struct buf *out, const struct gen_author *author, uint64_t time,
                            struct gen_op op)
{
    struct buf body = {0};
    gen_body_text(&body, "description", time, op.name);
    op.body = buf_view(&body);
    struct id id = gen_one(out, &t->mesh, author, time, &op);
    buf_close(&body);
    return id;
}

static bool collect_revision(void *ctx, const struct revision_info *r)
{
    struct buf *out = ctx;
    buf_printf(out, "%s%s%s%zu ", r->verb == VERB_PUT ? "put" : r->verb == VERB_DELETE ? "delete" : "statement",
               r->head ? "+" : "", r->has_body ? "b" : "", r->parent_count);
    return true;
}

static void expect_history(const struct test_store *t, const struct id *entry, const char *want)
{
    struct buf have = {0};
    struct history_page page = {.limit = 100};
    cr_assert_eq(store_history(t->store, entry, &page, collect_revision, &have), ERR_OK);
    cr_assert_str_eq(buf_cstr(&have), want);
    buf_close(&have);
}

static void print_finding(void *ctx, const struct verify_finding *f)
{
    struct buf *out = ctx;
    if (!f->ok)
        buf_printf(out, "%s: %s; ", f->check, f->detail);
}

static void expect_sound(struct test_store *t)
{
    struct buf findings = {0};
    enum err e = store_verify(t->store, NULL, print_finding, NULL, &findings);
    cr_assert_eq(e, ERR_OK, "%s %s", err_text(e), buf_cstr(&findings));
    buf_close(&findings);
}

/* ---- opening ---- */

EACH_BACKEND(a_store_belongs_to_one_mesh)
{
    struct store *other = NULL;
    struct store_config c = {.mesh = gen_id(7)};
    cr_assert_eq(store_open(&other, t->kv, &c), ERR_MESH);
    c = (struct store_config){.mesh = t->mesh, .has_founder = true, .founder = t->founder.key,
                              .mesh_name = bytes_str("another name")};
    cr_assert_eq(store_open(&other, t->kv, &c), ERR_MESH);
    struct kv_batch b = {0};
    kv_batch_put(&b, bytes_str("Mformat"), bytes_of("\0\0\0\2", 4));
    cr_assert_eq(t->kv->ops->write(t->kv, &b), ERR_OK);
    kv_batch_close(&b);
    c = (struct store_config){.mesh = t->mesh};
    cr_assert_eq(store_open(&other, t->kv, &c), ERR_VERSION);
}

EACH_BACKEND(what_was_written_is_there_after_opening_again)
{
    struct author a;
    struct store_write w;
    test_author(&a, 2);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &a, "x", "description", "hello", &w), ERR_OK);
    struct id digest = test_digest(t), state = test_state(t);
    test_store_again(t);
    struct id digest_again = test_digest(t), state_again = test_state(t);
    cr_assert(id_eq(&digest, &digest_again));
    cr_assert(id_eq(&state, &state_again));
    cr_assert(has_text(t, &w.entry, "hello"));
    cr_assert_eq(test_put(t, &a, "y", "description", "still open", &w), ERR_OK);
    cr_assert_eq(store_count(t->store, KIND_MODEL), 2);
    expect_sound(t);
}

/* ---- writing and reading ---- */

EACH_BACKEND(a_put_is_shown_listed_logged)
{
    struct author a;
    struct store_write w;
    test_author(&a, 2);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &a, "gpt", "description", "first", &w), ERR_OK);
    cr_assert(w.created);
    struct entry_info info;
    struct buf out = {0};
    cr_assert_eq(store_get(t->store, KIND_MODEL, &w.entry, &info, &out), ERR_OK);
    cr_assert(id_eq(&info.revision, &w.new_revision));
    cr_assert(key_eq(&info.owner, &a.key));
    cr_assert_eq(strncmp(buf_cstr(&out), "{\"model\":{", 10), 0);
    cr_assert_not_null(strstr(buf_cstr(&out), ",\"meta\":{\"id\":\""));
    cr_assert_not_null(strstr(buf_cstr(&out), "\"heads\":1,\"conflicts\":[],\"incomplete\":false"));
    cr_assert_eq(store_get(t->store, KIND_AGENT, &w.entry, &info, &out), ERR_NOT_FOUND);
    buf_reset(&out);
    cr_assert_eq(store_entry(t->store, &w.entry, &info, &out), ERR_OK);
    cr_assert_str_eq(buf_cstr(&out), "gpt");
    struct id found[2];
    cr_assert_eq(store_by_name(t->store, KIND_MODEL, bytes_str("gpt"), found, 2), 1);
    cr_assert(id_eq(&found[0], &w.entry));
    cr_assert_eq(store_by_name(t->store, KIND_MODEL, bytes_str("gp"), found, 2), 0);
    cr_assert_eq(store_count(t->store, KIND_MODEL), 1);
    buf_close(&out);
    struct id first = w.new_revision;
    cr_assert_eq(test_put(t, &a, "gpt", "description", "second", &w), ERR_OK);
    cr_assert_not(w.created);
    cr_assert_not(id_eq(&first, &w.new_revision));
    cr_assert(has_text(t, &w.entry, "second"));
    expect_history(t, &w.entry, "put+b1 putb0 ");
    expect_sound(t);
}

EACH_BACKEND(guards_hold)
{
    struct author a;
    test_author(&a, 2);
    test_open_mesh(t);
    struct store_write w = write_of(WRITE_PUT, &a, &a.key, "m");
    w.guard = GUARD_EXISTS;
    cr_assert_eq(write_text(t, &w, "description", "1"), ERR_NOT_FOUND);
    w.guard = GUARD_REVISION;
    cr_assert_eq(write_text(t, &w, "description", "1"), ERR_NOT_FOUND);
    w.guard = GUARD_CREATE;
    cr_assert_eq(write_text(t, &w, "description", "1"), ERR_OK);
    cr_assert_eq(write_text(t, &w, "description", "1"), ERR_CONFLICT);
    w.guard = GUARD_REVISION;
    w.revision = w.new_revision;
    cr_assert_eq(write_text(t, &w, "description", "2"), ERR_OK);
    cr_assert_eq(write_text(t, &w, "description", "3"), ERR_CONFLICT);
    w.guard = GUARD_EXISTS;
    cr_assert_eq(write_text(t, &w, "description", "4"), ERR_OK);
    struct store_write d = write_of(WRITE_DELETE, &a, &a.key, "nothing");
    cr_assert_eq(test_write(t, &d), ERR_NOT_FOUND);
}

EACH_BACKEND(malformed_writes_are_refused)
{
    struct author a;
    char long_name[MODEL_NAME_MAX + 2];
    test_author(&a, 2);
    test_open_mesh(t);
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    const char *bad[] = {"", long_name, "\xff"};
    for (size_t i = 0; i < 3; i++) {
        struct store_write w = write_of(WRITE_PUT, &a, &a.key, bad[i]);
        cr_assert_eq(write_text(t, &w, "description", "1"), ERR_INVALID);
    }
    struct store_write w = write_of(WRITE_PUT, &a, &a.key, "m");
    struct buf big = {0};
    buf_put(&big, "\xc5\xff\xff", 3);
    memset(buf_grow(&big, 65535), 'x', 65535);
    big.n += 65535;
    big.p[0] = 0xda;
    struct field f = {.name = bytes_str("description"), .value = buf_view(&big)};
    w.change.field_count = 1;
    w.change.fields = &f;
    cr_assert_eq(test_write(t, &w), ERR_TOO_LARGE);
    buf_close(&big);
    cr_assert_eq(store_count(t->store, KIND_MODEL), 0);
}

EACH_BACKEND(delete_hides_and_erases_and_a_new_put_shows_again)
{
    struct author a;
    struct store_write first, w;
    test_author(&a, 2);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &a, "m", "description", "secret words", &first), ERR_OK);
    struct buf before = {0}, after = {0};
    struct revision_info r = {0};
    (void)r;
    struct store_write d = write_of(WRITE_DELETE, &a, &a.key, "m");
    char *json = test_json(t, &first.entry);
    char *at = strstr(json, "\"delta\":\"");
    struct id delta;
    cr_assert(hex_decode(delta.b, ID_BYTES, bytes_of(at + 9, 64)));
    free(json);
    cr_assert_eq(store_bundle(t->store, &delta, &before), ERR_OK);
    cr_assert_eq(test_write(t, &d), ERR_OK);
    cr_assert(has_text(t, &first.entry, "-"));
    cr_assert_eq(store_count(t->store, KIND_MODEL), 0);
    expect_history(t, &first.entry, "delete+1 put0 ");
    cr_assert_eq(store_bundle(t->store, &delta, &after), ERR_OK);
    cr_assert_lt(after.n, before.n, "the erased body is not served");
    struct store_in in = test_apply_in(t, buf_view(&before));
    cr_assert_eq(in.verdict, VERDICT_KNOWN);
    cr_assert_eq(in.bodies_new, 0, "the erased body is not stored again");
    struct buf out = {0};
    cr_assert_eq(store_revision(t->store, &first.entry, &first.new_op, &out), ERR_NOT_FOUND);
    cr_assert_eq(test_put(t, &a, "m", "framework", "new", &w), ERR_OK);
    cr_assert(w.created);
    cr_assert_not(has_text(t, &w.entry, "secret words"));
    cr_assert_eq(store_revision(t->store, &w.entry, &w.new_op, &out), ERR_OK);
    cr_assert_eq(strncmp(buf_cstr(&out), "{\"model\":{", 10), 0);
    expect_sound(t);
    buf_close(&before);
    buf_close(&after);
    buf_close(&out);
}

EACH_BACKEND(many_writes_of_one_job_share_deltas)
{
    enum { COUNT = 600 };
    struct author a;
    static char names[COUNT][16];
    test_author(&a, 2);
    test_open_mesh(t);
    struct store_write *w = mem_calloc(COUNT + 1, sizeof *w);
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "m%04zu", i);
        w[i] = write_of(WRITE_PUT, &a, &a.key, names[i]);
    }
    w[COUNT] = write_of(WRITE_DELETE, &a, &a.key, "m0599"); /* sees the put before it */
    struct store_job job = {.now_ms = t->now_ms, .rng = &t->rng, .write_count = COUNT + 1, .writes = w};
    cr_assert_eq(store_apply(t->store, &job), ERR_OK);
    for (size_t i = 0; i <= COUNT; i++)
        cr_assert_eq(w[i].why, ERR_OK, "%zu", i);
    cr_assert_eq(job.own_count, 4, "256 + 256 + 88 + the delete");
    cr_assert_eq(job.added_count, 4);
    cr_assert_eq(job.change_count, COUNT - 1, "the last was never shown");
    store_job_close(&job);
    cr_assert_eq(store_count(t->store, KIND_MODEL), COUNT - 1);
    struct store_stats stats;
    store_stats(t->store, &stats);
    cr_assert_eq(stats.deltas, 5);
    cr_assert_eq(stats.ops, COUNT + 2);
    free(w);
    expect_sound(t);
}

EACH_BACKEND(a_bundle_carries_everything_to_another_store)
{
    struct author a;
    struct store_write w;
    struct test_store other;
    test_author(&a, 2);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &a, "m", "description", "travels", &w), ERR_OK);
    cr_assert_eq(test_put(t, &a, "m", "framework", "too", &w), ERR_OK);
    test_store_open(&other, BACKEND_MEM);
    struct setindex *set = setindex_new();
    cr_assert_eq(store_load_set(t->store, set), ERR_OK);
    size_t n = setindex_count(set);
    cr_assert_eq(n, 3);
    struct item items[3];
    setindex_items(set, 0, n, items);
    for (size_t i = n; i-- > 0;) {
        struct buf bundle = {0};
        cr_assert_eq(store_bundle(t->store, &items[i].id, &bundle), ERR_OK);
        enum verdict v = test_apply(&other, buf_view(&bundle));
        cr_assert(v == VERDICT_NEW || v == VERDICT_ASIDE);
        cr_assert_eq(test_apply(&other, buf_view(&bundle)), VERDICT_KNOWN);
        buf_close(&bundle);
    }
    setindex_free(set);
    struct id x = test_state(t), y = test_state(&other), p = test_digest(t), q = test_digest(&other);
    cr_assert(id_eq(&x, &y));
    cr_assert(id_eq(&p, &q));
    char *here = test_json(t, &w.entry), *there = test_json(&other, &w.entry);
    cr_assert_str_eq(here, there);
    free(here);
    free(there);
    struct buf none = {0};
    struct id unknown = gen_id(3);
    cr_assert_eq(store_bundle(t->store, &unknown, &none), ERR_NOT_FOUND);
    test_store_close(&other);
}

/* ---- listing ---- */

static void expect_list(const struct test_store *t, const char *after, const struct id *id, const char *want)
{
    struct buf have = {0};
    struct id entry;
    struct bytes name;
    struct store_scan *c = store_scan_open(t->store, KIND_MODEL, after != NULL ? bytes_str(after) : (struct bytes){0}, id);
    while (store_scan_next(c, &entry, &name)) {
        buf_put_bytes(&have, name);
        buf_put_str(&have, " ");
    }
    cr_assert_eq(store_scan_close(c), ERR_OK);
    cr_assert_str_eq(buf_cstr(&have), want);
    buf_close(&have);
}

EACH_BACKEND(listing_is_in_name_order_after_a_cursor)
{
    struct author a, b;
    struct store_write w;
    test_author(&a, 2);
    test_author(&b, 3);
    test_open_mesh(t);
    const char *names[] = {"b", "a", "ab", "a\x01", "\xc3\xa9", "aa"};
    for (size_t i = 0; i < 6; i++)
        cr_assert_eq(test_put(t, &a, names[i], "description", "x", &w), ERR_OK);
    cr_assert_eq(test_put(t, &b, "ab", "description", "x", &w), ERR_OK);
    expect_list(t, NULL, NULL, "a a\x01 aa ab ab b \xc3\xa9 ");
    struct id first[2];
    cr_assert_eq(store_by_name(t->store, KIND_MODEL, bytes_str("ab"), first, 2), 2);
    cr_assert_lt(id_cmp(&first[0], &first[1]), 0);
    expect_list(t, "ab", &first[0], "ab b \xc3\xa9 ");
    expect_list(t, "ab", &first[1], "b \xc3\xa9 ");
    expect_list(t, "a", NULL, "a a\x01 aa ab ab b \xc3\xa9 ");
    expect_list(t, "zz", NULL, "\xc3\xa9 ");
}

EACH_BACKEND(names_with_nul_keep_their_order)
{
    struct author a;
    test_author(&a, 2);
    test_open_mesh(t);
    struct bytes names[] = {bytes_of("a", 1), bytes_of("a\0", 2), bytes_of("a\0b", 3), bytes_of("a\x01", 2)};
    for (size_t i = 4; i-- > 0;) {
        struct store_write w = write_of(WRITE_PUT, &a, &a.key, "");
        w.name = names[i];
        cr_assert_eq(write_text(t, &w, "description", "x"), ERR_OK);
    }
    struct id entry;
    struct bytes name;
    size_t n = 0;
    struct store_scan *c = store_scan_open(t->store, KIND_MODEL, (struct bytes){0}, NULL);
    for (; store_scan_next(c, &entry, &name); n++)
        cr_assert(bytes_eq(name, names[n]));
    cr_assert_eq(store_scan_close(c), ERR_OK);
    cr_assert_eq(n, 4);
    cr_assert_eq(store_by_name(t->store, KIND_MODEL, names[1], &entry, 1), 1);
    expect_sound(t);
}

struct change_log {
    size_t n;
    struct change_info rows[600];
};

static bool collect_change(void *ctx, const struct change_info *c)
{
    struct change_log *log = ctx;
    log->rows[log->n++] = *c;
    return true;
}

EACH_BACKEND(the_change_log_resumes_anywhere)
{
    struct author a;
    static char names[300][16];
    static struct change_log log;
    test_author(&a, 2);
    test_open_mesh(t);
    uint64_t start = store_last_seq(t->store);
    struct store_write w[300];
    for (size_t i = 0; i < 300; i++) {
        snprintf(names[i], sizeof names[i], "m%03zu", i);
        w[i] = write_of(WRITE_PUT, &a, &a.key, names[i]);
    }
    struct store_job job = {.now_ms = t->now_ms, .rng = &t->rng, .write_count = 300, .writes = w};
    cr_assert_eq(store_apply(t->store, &job), ERR_OK);
    store_job_close(&job);
    struct store_write d = write_of(WRITE_DELETE, &a, &a.key, names[7]);
    cr_assert_eq(test_write(t, &d), ERR_OK);
    cr_assert_eq(store_last_seq(t->store), start + 301);
    for (size_t from = 0; from <= 301; from += 43) {
        log.n = 0;
        cr_assert_eq(store_changes(t->store, start + from, 600, collect_change, &log), ERR_OK);
        cr_assert_eq(log.n, 301 - from);
        for (size_t i = 0; i < log.n; i++) {
            cr_assert_eq(log.rows[i].seq, start + from + i + 1);
            bool last = from + i == 300;
            cr_assert_eq(log.rows[i].verb, last ? VERB_DELETE : VERB_PUT);
            cr_assert(id_eq(&log.rows[i].entry, last ? &d.entry : &w[from + i].entry));
        }
    }
    log.n = 0;
    cr_assert_eq(store_changes(t->store, start + 250, 10, collect_change, &log), ERR_OK);
    cr_assert_eq(log.n, 10);
}

/* ---- who may write ---- */

EACH_BACKEND(only_the_owner_and_its_writers_write)
{
    struct author owner, writer;
    struct store_write w;
    test_author(&owner, 2);
    test_author(&writer, 3);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &owner, "m", "description", "by the owner", &w), ERR_OK);
    struct store_write by = write_of(WRITE_PUT, &writer, &owner.key, "m");
    cr_assert_eq(write_text(t, &by, "description", "by the writer"), ERR_DENIED);
    cr_assert_eq(write_statement(t, WRITE_GRANT, &owner, "m", &owner.key), ERR_INVALID);
    cr_assert_eq(write_statement(t, WRITE_GRANT, &owner, "m", &writer.key), ERR_OK);
    cr_assert_eq(write_text(t, &by, "description", "by the writer"), ERR_OK);
    cr_assert(has_text(t, &w.entry, "by the writer"));
    struct store_write g = write_of(WRITE_GRANT, &writer, &owner.key, "m");
    g.writer = gen_id(9).b[0] ? writer.key : writer.key;
    cr_assert_eq(test_write(t, &g), ERR_DENIED);
    cr_assert_eq(write_statement(t, WRITE_REVOKE, &owner, "m", &writer.key), ERR_OK);
    cr_assert(has_text(t, &w.entry, "by the owner"), "a revocation takes the writer's work back");
    cr_assert_eq(write_text(t, &by, "description", "again"), ERR_DENIED);
    cr_assert_eq(write_statement(t, WRITE_GRANT, &owner, "m", &writer.key), ERR_OK);
    cr_assert(has_text(t, &w.entry, "by the owner"), "a new grant needs new writes");
    cr_assert_eq(write_text(t, &by, "description", "anew"), ERR_OK);
    cr_assert(has_text(t, &w.entry, "anew"));
    expect_sound(t);
}

static bool collect_writer(void *ctx, const struct grant *g)
{
    struct buf *out = ctx;
    buf_printf(out, "%02x@%llu ", g->key.b[0], (unsigned long long)g->epoch);
    return true;
}

EACH_BACKEND(writers_are_listed_with_their_epoch)
{
    struct author owner, a, b;
    struct store_write w;
    test_author(&owner, 2);
    test_author(&a, 3);
    test_author(&b, 4);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &owner, "m", "description", "x", &w), ERR_OK);
    cr_assert_eq(write_statement(t, WRITE_GRANT, &owner, "m", &a.key), ERR_OK);
    cr_assert_eq(write_statement(t, WRITE_GRANT, &owner, "m", &b.key), ERR_OK);
    cr_assert_eq(write_statement(t, WRITE_REVOKE, &owner, "m", &a.key), ERR_OK);
    struct buf have = {0}, want = {0};
    cr_assert_eq(store_writers(t->store, &w.entry, collect_writer, &have), ERR_OK);
    buf_printf(&want, "%02x@0 ", b.key.b[0]);
    cr_assert_str_eq(buf_cstr(&have), buf_cstr(&want));
    cr_assert_eq(write_statement(t, WRITE_GRANT, &owner, "m", &a.key), ERR_OK);
    buf_reset(&have);
    buf_reset(&want);
    cr_assert_eq(store_writers(t->store, &w.entry, collect_writer, &have), ERR_OK);
    bool a_first = key_cmp(&a.key, &b.key) < 0;
    buf_printf(&want, "%02x@%d %02x@%d ", (a_first ? a : b).key.b[0], a_first ? 2 : 0, (a_first ? b : a).key.b[0],
               a_first ? 0 : 2);
    cr_assert_str_eq(buf_cstr(&have), buf_cstr(&want));
    buf_close(&have);
    buf_close(&want);
}

/* ---- deltas from elsewhere ---- */

EACH_BACKEND(what_is_not_valid_is_refused_with_its_reason)
{
    struct gen_author a;
    struct buf good = {0}, ahead = {0}, foreign = {0};
    gen_author(&a, 2);
    test_open_mesh(t);
    uint64_t time = hlc_from_ms(t->now_ms);
    put_bundle(t, &good, &a, time, (struct gen_op){.name = "m"});
    put_bundle(t, &ahead, &a, hlc_from_ms(t->now_ms + MODEL_AHEAD_MAX_MS + 1), (struct gen_op){.name = "m"});
    struct test_store elsewhere = *t;
    elsewhere.mesh = gen_id(5);
    put_bundle(&elsewhere, &foreign, &a, time, (struct gen_op){.name = "m"});
    struct store_in in = test_apply_in(t, buf_view(&ahead));
    cr_assert_eq(in.verdict, VERDICT_DEFERRED);
    cr_assert_eq(in.why, ERR_AHEAD);
    in = test_apply_in(t, buf_view(&foreign));
    cr_assert_eq(in.verdict, VERDICT_REFUSED);
    cr_assert_eq(in.why, ERR_MESH);
    struct bundle b;
    struct buf forged = {0};
    cr_assert_eq(bundle_parse(buf_view(&good), &b), ERR_OK);
    b.sig[3] ^= 1;
    bundle_encode(&b, &forged);
    bundle_close(&b);
    in = test_apply_in(t, buf_view(&forged));
    cr_assert_eq(in.verdict, VERDICT_REFUSED);
    cr_assert_eq(in.why, ERR_SIGNATURE);
    in = test_apply_in(t, bytes_of(good.p, good.n - 1));
    cr_assert_eq(in.verdict, VERDICT_REFUSED);
    cr_assert_eq(in.why, ERR_FORM);
    cr_assert_eq(store_count(t->store, KIND_MODEL), 0);
    cr_assert_eq(test_apply(t, buf_view(&good)), VERDICT_NEW);
    cr_assert_eq(store_count(t->store, KIND_MODEL), 1);
    buf_close(&good);
    buf_close(&ahead);
    buf_close(&foreign);
    buf_close(&forged);
}

static bool collect_missing(void *ctx, const struct id *op, const struct item *delta, uint16_t index)
{
    struct item *out = ctx;
    (void)op, (void)index;
    *out = *delta;
    return true;
}

EACH_BACKEND(a_missing_body_is_wanted_until_it_comes)
{
    struct gen_author a;
    struct buf full = {0}, bare = {0};
    gen_author(&a, 2);
    test_open_mesh(t);
    uint64_t time = hlc_from_ms(t->now_ms);
    put_bundle(t, &full, &a, time, (struct gen_op){.name = "m"});
    put_bundle(t, &bare, &a, time, (struct gen_op){.name = "m", .travel = GEN_WITHHELD});
    struct store_in in = test_apply_in(t, buf_view(&bare));
    cr_assert_eq(in.verdict, VERDICT_NEW);
    struct id entry = test_entry(&a.key, KIND_MODEL, "m"), lacking = test_state(t);
    struct item wanted = {0};
    cr_assert_eq(store_missing(t->store, NULL, 10, collect_missing, &wanted), ERR_OK);
    cr_assert(id_eq(&wanted.id, &in.item.id));
    cr_assert(has_text(t, &entry, "\"incomplete\":true"));
    struct entry_info info;
    struct buf out = {0};
    cr_assert_eq(store_get(t->store, KIND_MODEL, &entry, &info, &out), ERR_OK);
    cr_assert(info.incomplete);
    in = test_apply_in(t, buf_view(&full));
    cr_assert_eq(in.verdict, VERDICT_KNOWN);
    cr_assert_eq(in.bodies_new, 1);
    cr_assert(has_text(t, &entry, "\"incomplete\":false"));
    wanted = (struct item){0};
    cr_assert_eq(store_missing(t->store, NULL, 10, collect_missing, &wanted), ERR_OK);
    cr_assert(id_is_zero(&wanted.id));
    struct id complete = test_state(t);
    cr_assert_not(id_eq(&lacking, &complete));
    struct store_stats stats;
    store_stats(t->store, &stats);
    cr_assert_eq(stats.missing_bodies, 0);
    expect_sound(t);
    buf_close(&full);
    buf_close(&bare);
    buf_close(&out);
}

EACH_BACKEND(a_foreign_body_is_dropped)
{
    struct gen_author a;
    struct buf full = {0}, swapped = {0};
    gen_author(&a, 2);
    test_open_mesh(t);
    put_bundle(t, &full, &a, hlc_from_ms(t->now_ms), (struct gen_op){.name = "m"});
    struct bundle b;
    cr_assert_eq(bundle_parse(buf_view(&full), &b), ERR_OK);
    b.bodies[0].body = bytes_of("\x93\xc4\x01x", 4);
    bundle_encode(&b, &swapped);
    bundle_close(&b);
    struct store_in in = test_apply_in(t, buf_view(&swapped));
    cr_assert_eq(in.verdict, VERDICT_NEW, "the delta counts in any case");
    cr_assert_eq(in.bodies_bad, 1);
    cr_assert_eq(in.bodies_new, 0);
    in = test_apply_in(t, buf_view(&full));
    cr_assert_eq(in.bodies_new, 1);
    expect_sound(t);
    buf_close(&full);
    buf_close(&swapped);
}

EACH_BACKEND(three_hundred_heads_become_one)
{
    enum { HEADS = 300 };
    struct gen_author a;
    struct author writer;
    gen_author(&a, 2);
    test_author(&writer, 2);
    test_open_mesh(t);
    struct id entry = test_entry(&a.key, KIND_MODEL, "m");
    for (uint64_t i = 0; i < HEADS; i++) {
        struct buf bundle = {0};
        put_bundle(t, &bundle, &a, hlc_from_ms(t->now_ms - 100000 + i), (struct gen_op){.name = "m"});
        cr_assert_eq(test_apply(t, buf_view(&bundle)), VERDICT_NEW);
        buf_close(&bundle);
    }
    cr_assert(has_text(t, &entry, "\"heads\":300"));
    expect_sound(t);
    struct store_write w = write_of(WRITE_PUT, &writer, &a.key, "m");
    cr_assert_eq(write_text(t, &w, "framework", "one"), ERR_OK);
    cr_assert(has_text(t, &entry, "\"heads\":2"), "300 parents do not fit one op");
    cr_assert_eq(write_text(t, &w, "framework", "two"), ERR_OK);
    cr_assert(has_text(t, &entry, "\"heads\":1"));
    expect_sound(t);
}

/* ---- who is in the mesh ---- */

static void apply_member(struct test_store *t, const struct key *key, const char *removed, uint64_t time, struct id *parent)
{
    char hex[ID_HEX_SIZE];
    struct buf body = {0}, bundle = {0};
    key_hex(hex, key);
    struct gen_field f = {"removed", time, removed};
    gen_body(&body, time, 0, removed != NULL, &f);
    struct gen_op op = {.verb = VERB_PUT, .kind = KIND_MEMBER, .name = hex, .body = buf_view(&body), .parents = parent,
                        .parent_count = !id_is_zero(parent)};
    *parent = gen_one(&bundle, &t->mesh, &t->founder, time, &op);
    cr_assert_eq(test_apply(t, buf_view(&bundle)), VERDICT_NEW);
    buf_close(&body);
    buf_close(&bundle);
}

EACH_BACKEND(a_members_mesh_shows_members_only)
{
    struct gen_author a;
    struct buf charter = {0}, bundle = {0};
    struct id parent = {{0}};
    gen_author(&a, 2);
    uint64_t time = hlc_from_ms(t->now_ms);
    put_bundle(t, &bundle, &a, time, (struct gen_op){.name = "m"});
    struct id entry = test_entry(&a.key, KIND_MODEL, "m"), before = test_digest(t);
    cr_assert_eq(test_apply(t, buf_view(&bundle)), VERDICT_ASIDE, "no charter held: founder and operators only");
    struct id after = test_digest(t);
    cr_assert(id_eq(&before, &after), "what is aside is not in the set");
    test_charter(t, &charter, "members", time - 5);
    cr_assert_eq(test_apply(t, buf_view(&charter)), VERDICT_NEW);
    cr_assert(has_text(t, &entry, "-"));
    apply_member(t, &a.key, NULL, time - 4, &parent);
    cr_assert(has_text(t, &entry, "\"name\":\"m\""), "admission brings in what was aside");
    struct store_stats stats;
    store_stats(t->store, &stats);
    cr_assert_eq(stats.aside, 0);
    cr_assert_eq(stats.deltas, 3);
    expect_sound(t);
    apply_member(t, &a.key, "yes", time - 3, &parent);
    cr_assert(has_text(t, &entry, "-"), "a removed key's entries are hidden");
    cr_assert_eq(store_count(t->store, KIND_MODEL), 0);
    store_stats(t->store, &stats);
    cr_assert_eq(stats.aside, 1);
    expect_sound(t);
    test_store_again(t);
    apply_member(t, &a.key, NULL, time - 2, &parent);
    cr_assert(has_text(t, &entry, "\"name\":\"m\""));
    expect_sound(t);
    buf_close(&charter);
    buf_close(&bundle);
}

EACH_BACKEND(an_operator_admits_until_it_is_revoked)
{
    struct author founder, operator;
    struct gen_author a;
    char hex[ID_HEX_SIZE];
    struct buf charter = {0}, bundle = {0};
    test_author(&founder, 1);
    test_author(&operator, 2);
    gen_author(&a, 3);
    test_charter(t, &charter, "members", hlc_from_ms(t->now_ms - 1000));
    cr_assert_eq(test_apply(t, buf_view(&charter)), VERDICT_NEW);
    key_hex(hex, &a.key);
    struct store_write admit = write_of(WRITE_PUT, &operator, &founder.key, hex);
    admit.kind = KIND_MEMBER;
    cr_assert_eq(write_text(t, &admit, "role", "member"), ERR_DENIED);
    struct store_write grant = write_of(WRITE_GRANT, &founder, &founder.key, TEST_MESH);
    grant.kind = KIND_CHARTER;
    grant.writer = operator.key;
    cr_assert_eq(test_write(t, &grant), ERR_OK);
    cr_assert_eq(write_text(t, &admit, "role", "member"), ERR_OK);
    put_bundle(t, &bundle, &a, hlc_from_ms(t->now_ms), (struct gen_op){.name = "m"});
    cr_assert_eq(test_apply(t, buf_view(&bundle)), VERDICT_NEW);
    struct id entry = test_entry(&a.key, KIND_MODEL, "m");
    cr_assert(has_text(t, &entry, "\"name\":\"m\""));
    expect_sound(t);
    grant.action = WRITE_REVOKE;
    cr_assert_eq(test_write(t, &grant), ERR_OK);
    cr_assert_eq(write_text(t, &admit, "role", "again"), ERR_DENIED);
    cr_assert(has_text(t, &entry, "-"), "its admissions leave with it");
    expect_sound(t);
    buf_close(&charter);
    buf_close(&bundle);
}

EACH_BACKEND(a_charter_counts_only_with_its_body)
{
    struct buf bundle = {0};
    struct buf body = {0};
    gen_body_text(&body, "admission", 5, "open");
    struct gen_op op = {.verb = VERB_PUT, .kind = KIND_CHARTER, .name = TEST_MESH, .body = buf_view(&body), .travel = GEN_WITHHELD};
    gen_one(&bundle, &t->mesh, &t->founder, 5, &op);
    struct store_in in = test_apply_in(t, buf_view(&bundle));
    cr_assert_eq(in.verdict, VERDICT_REFUSED);
    cr_assert_eq(in.why, ERR_INVALID);
    struct setindex *set = setindex_new();
    cr_assert_eq(store_load_set(t->store, set), ERR_OK);
    cr_assert_eq(setindex_count(set), 0);
    setindex_free(set);
    buf_close(&bundle);
    buf_close(&body);
}

/* A delta states that O is an operator and puts the charter; O edits that put; the founder deletes O's edit, which erases
 * the put's body through it. Whoever comes later gets the delta without the body, and must take it all the same. */
EACH_BACKEND(a_charter_erased_through_its_own_grant_still_counts)
{
    struct gen_author operator;
    struct grant grant = {.epoch = 0, .granted = true};
    struct buf body = {0}, bundles[3] = {{0}};
    struct id ids[3], put;
    uint64_t time = hlc_from_ms(t->now_ms);
    gen_author(&operator, 2);
    grant.key = operator.key;
    gen_body_text(&body, "admission", 5, "open");
    struct gen_op ops[2] = {
        {.verb = VERB_STATEMENT, .kind = KIND_CHARTER, .name = TEST_MESH, .grants = &grant, .grant_count = 1},
        {.verb = VERB_PUT, .kind = KIND_CHARTER, .name = TEST_MESH, .body = buf_view(&body), .travel = GEN_WITHHELD}};
    struct gen_delta first = {.mesh = &t->mesh, .author = &t->founder, .time = time - 9, .op_count = 2, .ops = ops};
    gen_bundle(&bundles[0], &first, &ids[0]);
    op_id(&put, &ids[0], 1);
    struct gen_op edit = {.verb = VERB_PUT, .kind = KIND_CHARTER, .owner = &t->founder.key, .name = TEST_MESH,
                          .body = buf_view(&body), .travel = GEN_WITHHELD, .parents = &put, .parent_count = 1};
    ids[1] = gen_one(&bundles[1], &t->mesh, &operator, time - 8, &edit);
    struct gen_op gone = {.verb = VERB_DELETE, .kind = KIND_CHARTER, .name = TEST_MESH, .parents = &ids[1], .parent_count = 1};
    gen_one(&bundles[2], &t->mesh, &t->founder, time - 7, &gone);
    cr_assert_eq(test_apply(t, buf_view(&bundles[0])), VERDICT_REFUSED, "nothing erased its body yet");
    cr_assert_eq(test_apply(t, buf_view(&bundles[2])), VERDICT_NEW);
    cr_assert_eq(test_apply(t, buf_view(&bundles[1])), VERDICT_NEW, "the delete names it");
    cr_assert_eq(test_apply(t, buf_view(&bundles[0])), VERDICT_NEW);
    expect_sound(t);
    for (size_t i = 0; i < 3; i++)
        buf_close(&bundles[i]);
    buf_close(&body);
}

Test(store, a_joiner_learns_the_founder_later)
{
    struct test_store full, t;
    struct author a;
    struct store_write w;
    test_author(&a, 2);
    test_store_open(&full, BACKEND_MEM);
    test_open_mesh(&full);
    cr_assert_eq(test_put(&full, &a, "m", "description", "x", &w), ERR_OK);
    t = full;
    t.kv = kv_mem_new();
    struct store_config c = {.mesh = full.mesh};
    cr_assert_eq(store_open(&t.store, t.kv, &c), ERR_OK);
    struct key founder;
    cr_assert_not(store_founder(t.store, &founder, NULL));
    struct setindex *set = setindex_new();
    struct item items[2];
    cr_assert_eq(store_load_set(full.store, set), ERR_OK);
    setindex_items(set, 0, 2, items);
    setindex_free(set);
    for (size_t i = 0; i < 2; i++) {
        struct buf bundle = {0};
        cr_assert_eq(store_bundle(full.store, &items[i].id, &bundle), ERR_OK);
        cr_assert_eq(test_apply(&t, buf_view(&bundle)), VERDICT_ASIDE);
        buf_close(&bundle);
    }
    cr_assert_eq(store_set_founder(t.store, &a.key, bytes_str(TEST_MESH)), ERR_MESH);
    cr_assert_eq(store_set_founder(t.store, &full.founder.key, bytes_str(TEST_MESH)), ERR_OK);
    struct id x = test_state(&t), y = test_state(&full), p = test_digest(&t), q = test_digest(&full);
    cr_assert(id_eq(&x, &y));
    cr_assert(id_eq(&p, &q));
    cr_assert(store_founder(t.store, &founder, NULL));
    expect_sound(&t);
    store_close(t.store);
    t.kv->ops->close(t.kv);
    test_store_close(&full);
}

/* ---- conflicts ---- */

static bool count_conflict(void *ctx, const struct store_change *c)
{
    (void)c;
    ++*(size_t *)ctx;
    return true;
}

EACH_BACKEND(a_conflict_is_reported_until_the_next_write)
{
    struct gen_author a;
    struct author writer;
    struct buf one = {0}, two = {0};
    gen_author(&a, 2);
    test_author(&writer, 2);
    test_open_mesh(t);
    put_bundle(t, &one, &a, hlc_from_ms(t->now_ms - 10), (struct gen_op){.name = "m"});
    struct buf body = {0};
    gen_body_text(&body, "description", hlc_from_ms(t->now_ms - 9), "other");
    struct gen_op op = {.verb = VERB_PUT, .name = "m", .body = buf_view(&body)};
    gen_one(&two, &t->mesh, &a, hlc_from_ms(t->now_ms - 9), &op);
    cr_assert_eq(test_apply(t, buf_view(&one)), VERDICT_NEW);
    cr_assert_eq(test_apply(t, buf_view(&two)), VERDICT_NEW);
    struct id entry = test_entry(&a.key, KIND_MODEL, "m");
    cr_assert(has_text(t, &entry, "\"conflicts\":[{\"field\":\"description\",\"values\":["));
    size_t n = 0;
    cr_assert_eq(store_conflicts(t->store, count_conflict, &n), ERR_OK);
    cr_assert_eq(n, 1);
    struct store_write w = write_of(WRITE_PUT, &writer, &a.key, "m");
    cr_assert_eq(write_text(t, &w, "description", "settled"), ERR_OK);
    cr_assert(has_text(t, &entry, "\"conflicts\":[]"));
    n = 0;
    cr_assert_eq(store_conflicts(t->store, count_conflict, &n), ERR_OK);
    cr_assert_eq(n, 0);
    expect_sound(t);
    buf_close(&one);
    buf_close(&two);
    buf_close(&body);
}

/* ---- verify ---- */

EACH_BACKEND(verify_finds_a_flipped_byte_anywhere)
{
    struct author a;
    struct store_write w;
    test_author(&a, 2);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &a, "m", "description", "one", &w), ERR_OK);
    cr_assert_eq(test_put(t, &a, "m", "description", "two", &w), ERR_OK);
    expect_sound(t);
    const struct kv_ops *o = t->kv->ops;
    for (const char *family = "Domej"; *family != 0; family++) {
        struct buf key = {0}, value = {0}, findings = {0};
        struct kv_iter *it = o->iter(t->kv, NULL, bytes_of(family, 1));
        cr_assert(o->seek(it, bytes_of(family, 1)), "%c", *family);
        buf_put_bytes(&key, o->key(it));
        buf_put_bytes(&value, o->value(it));
        cr_assert_eq(o->iter_close(it), ERR_OK);
        struct kv_batch flip = {0}, back = {0};
        kv_batch_put(&back, buf_view(&key), buf_view(&value));
        value.p[value.n / 2] ^= 1;
        kv_batch_put(&flip, buf_view(&key), buf_view(&value));
        cr_assert_eq(o->write(t->kv, &flip), ERR_OK);
        cr_assert_eq(store_verify(t->store, NULL, print_finding, NULL, &findings), ERR_CORRUPT, "%c", *family);
        cr_assert_gt(findings.n, 0);
        cr_assert_eq(o->write(t->kv, &back), ERR_OK);
        kv_batch_close(&flip);
        kv_batch_close(&back);
        buf_close(&key);
        buf_close(&value);
        buf_close(&findings);
    }
    expect_sound(t);
}

static void count_finding(void *ctx, const struct verify_finding *f)
{
    size_t *n = ctx;
    n[f->ok]++;
}

EACH_BACKEND(verify_of_one_entry_names_each_check)
{
    struct author a;
    struct store_write w;
    size_t n[2] = {0, 0};
    test_author(&a, 2);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &a, "m", "description", "one", &w), ERR_OK);
    cr_assert_eq(store_verify(t->store, &w.entry, count_finding, NULL, n), ERR_OK);
    cr_assert_eq(n[0], 0);
    cr_assert_gt(n[1], 10);
}
