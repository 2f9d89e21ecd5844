/*
 * The contract of store/store.h, run against both back ends: opening, writing, reading, listing, the log of changes.
 */
#include "crdt/alloc.h"
#include "tests/lib/each_backend.h"

#include <stdlib.h>
#include <string.h>

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

/* A back end that counts what it is asked for. */
static struct {
    const struct kv_ops *real;
    size_t gets, iterators, writes;
} asked;

static enum err counted_get(struct kv *kv, const struct kv_snapshot *s, struct bytes key, struct buf *out)
{
    asked.gets++;
    return asked.real->get(kv, s, key, out);
}

static struct kv_iter *counted_iter(struct kv *kv, const struct kv_snapshot *s, struct bytes prefix)
{
    asked.iterators++;
    return asked.real->iter(kv, s, prefix);
}

static enum err counted_write(struct kv *kv, const struct kv_batch *b)
{
    asked.writes++;
    return asked.real->write(kv, b);
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
    kv_batch_put(&b, bytes_str("Mformat"), bytes_of("\0\0\0\3", 4));
    cr_assert_eq(t->kv->ops->write(t->kv, &b), ERR_OK);
    kv_batch_close(&b);
    c = (struct store_config){.mesh = t->mesh};
    struct buf why = {0};
    asked.real = t->kv->ops;
    asked.writes = 0;
    struct kv_ops counting = *asked.real;
    counting.write = counted_write;
    t->kv->ops = &counting;
    cr_assert_eq(store_open(&other, t->kv, &c), ERR_VERSION);
    cr_assert_eq(asked.writes, 0, "a newer store stays untouched");
    t->kv->ops = asked.real;
    store_open_fault(t->kv, ERR_VERSION, &why);
    cr_assert_str_eq(buf_cstr(&why), "it has format version 3 and this program knows 2: use a newer souk; nothing was changed");
    buf_close(&why);
}

EACH_BACKEND(a_store_of_version_1_is_brought_up_to_date)
{
    struct author a;
    struct store_write w;
    struct buf row = {0};
    struct kv_batch b = {0};
    test_author(&a, 2);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &a, "x", "description", "of before", &w), ERR_OK);
    kv_batch_put(&b, bytes_str("Mformat"), bytes_of("\0\0\0\1", 4));
    cr_assert_eq(t->kv->ops->write(t->kv, &b), ERR_OK);
    kv_batch_close(&b);
    test_store_again(t);
    cr_assert(test_shows(t, &w.entry, "of before"));
    cr_assert_eq(t->kv->ops->get(t->kv, NULL, bytes_str("Mformat"), &row), ERR_OK);
    cr_assert(bytes_eq(buf_view(&row), bytes_of("\0\0\0\2", 4)), "an older program refuses it from now on");
    buf_close(&row);
    test_expect_sound(t);
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
    cr_assert(test_shows(t, &w.entry, "hello"));
    cr_assert_eq(test_put(t, &a, "y", "description", "still open", &w), ERR_OK);
    cr_assert_eq(store_count(t->store, KIND_MODEL), 2);
    test_expect_sound(t);
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
    cr_assert_eq(test_by_name(t->store, bytes_str("gpt"), found, 2), 1);
    cr_assert(id_eq(&found[0], &w.entry));
    cr_assert_eq(test_by_name(t->store, bytes_str("gp"), found, 2), 0);
    cr_assert_eq(store_count(t->store, KIND_MODEL), 1);
    buf_close(&out);
    struct id first = w.new_revision;
    cr_assert_eq(test_put(t, &a, "gpt", "description", "second", &w), ERR_OK);
    cr_assert_not(w.created);
    cr_assert_not(id_eq(&first, &w.new_revision));
    cr_assert(test_shows(t, &w.entry, "second"));
    expect_history(t, &w.entry, "put+b1 putb0 ");
    test_expect_sound(t);
}

EACH_BACKEND(a_read_by_id_is_one_lookup_and_a_commit_one_batch)
{
    struct author a;
    struct store_write w;
    struct entry_info info;
    struct buf out = {0};
    test_author(&a, 2);
    test_open_mesh(t);
    asked.real = t->kv->ops;
    asked.gets = asked.iterators = asked.writes = 0;
    struct kv_ops counting = *asked.real;
    counting.get = counted_get;
    counting.iter = counted_iter;
    counting.write = counted_write;
    t->kv->ops = &counting;
    for (size_t i = 1; i <= 20; i++) {
        cr_assert_eq(test_put(t, &a, "m", "description", "x", &w), ERR_OK);
        cr_assert_eq(asked.writes, i);
    }
    asked.gets = asked.iterators = 0;
    cr_assert_eq(store_get(t->store, KIND_MODEL, &w.entry, &info, &out), ERR_OK);
    cr_assert_eq(asked.gets, 1);
    cr_assert_eq(asked.iterators, 0);
    t->kv->ops = asked.real;
    buf_close(&out);
}

EACH_BACKEND(guards_hold)
{
    struct author a;
    test_author(&a, 2);
    test_open_mesh(t);
    struct store_write w = test_write_of(WRITE_PUT, &a, &a.key, "m");
    w.guard = GUARD_EXISTS;
    cr_assert_eq(test_write_text(t, &w, "description", "1"), ERR_NOT_FOUND);
    w.guard = GUARD_REVISION;
    cr_assert_eq(test_write_text(t, &w, "description", "1"), ERR_NOT_FOUND);
    w.guard = GUARD_CREATE;
    cr_assert_eq(test_write_text(t, &w, "description", "1"), ERR_OK);
    cr_assert_eq(test_write_text(t, &w, "description", "1"), ERR_CONFLICT);
    w.guard = GUARD_REVISION;
    w.revision = w.new_revision;
    cr_assert_eq(test_write_text(t, &w, "description", "2"), ERR_OK);
    cr_assert_eq(test_write_text(t, &w, "description", "3"), ERR_CONFLICT);
    w.guard = GUARD_EXISTS;
    cr_assert_eq(test_write_text(t, &w, "description", "4"), ERR_OK);
    struct store_write d = test_write_of(WRITE_DELETE, &a, &a.key, "nothing");
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
        struct store_write w = test_write_of(WRITE_PUT, &a, &a.key, bad[i]);
        cr_assert_eq(test_write_text(t, &w, "description", "1"), ERR_INVALID);
    }
    struct store_write w = test_write_of(WRITE_PUT, &a, &a.key, "m");
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
    struct store_write d = test_write_of(WRITE_DELETE, &a, &a.key, "m");
    char *json = test_json(t, &first.entry);
    char *at = strstr(json, "\"delta\":\"");
    struct id delta;
    cr_assert(hex_decode(delta.b, ID_BYTES, bytes_of(at + 9, 64)));
    free(json);
    cr_assert_eq(store_bundle(t->store, &delta, &before), ERR_OK);
    cr_assert_eq(test_write(t, &d), ERR_OK);
    cr_assert(test_shows(t, &first.entry, "-"));
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
    cr_assert_not(test_shows(t, &w.entry, "secret words"));
    cr_assert_eq(store_revision(t->store, &w.entry, &w.new_op, &out), ERR_OK);
    cr_assert_eq(strncmp(buf_cstr(&out), "{\"model\":{", 10), 0);
    test_expect_sound(t);
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
        w[i] = test_write_of(WRITE_PUT, &a, &a.key, names[i]);
    }
    w[COUNT] = test_write_of(WRITE_DELETE, &a, &a.key, "m0599"); /* sees the put before it */
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
    test_expect_sound(t);
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
    cr_assert_eq(test_by_name(t->store, bytes_str("ab"), first, 2), 2);
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
        struct store_write w = test_write_of(WRITE_PUT, &a, &a.key, "");
        w.name = names[i];
        cr_assert_eq(test_write_text(t, &w, "description", "x"), ERR_OK);
    }
    struct id entry;
    struct bytes name;
    size_t n = 0;
    struct store_scan *c = store_scan_open(t->store, KIND_MODEL, (struct bytes){0}, NULL);
    for (; store_scan_next(c, &entry, &name); n++)
        cr_assert(bytes_eq(name, names[n]));
    cr_assert_eq(store_scan_close(c), ERR_OK);
    cr_assert_eq(n, 4);
    cr_assert_eq(test_by_name(t->store, names[1], &entry, 1), 1);
    test_expect_sound(t);
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
        w[i] = test_write_of(WRITE_PUT, &a, &a.key, names[i]);
    }
    struct store_job job = {.now_ms = t->now_ms, .rng = &t->rng, .write_count = 300, .writes = w};
    cr_assert_eq(store_apply(t->store, &job), ERR_OK);
    store_job_close(&job);
    struct store_write d = test_write_of(WRITE_DELETE, &a, &a.key, names[7]);
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

static enum err (*real_iter_close)(struct kv_iter *it);

static enum err broken_iter_close(struct kv_iter *it)
{
    return real_iter_close(it) == ERR_OK ? ERR_CORRUPT : ERR_IO;
}

/* Rows that cannot be read are not rows that do not exist. */
EACH_BACKEND(names_that_cannot_be_read_are_an_error)
{
    struct author a;
    struct id id;
    struct store_named named = {.ids = &id, .max = 1};
    test_open_mesh(t);
    test_author(&a, 1);
    cr_assert_eq(test_put(t, &a, "gpt", "description", "x", NULL), ERR_OK);
    const struct kv_ops *real = t->kv->ops;
    struct kv_ops ops = *real;
    real_iter_close = real->iter_close;
    ops.iter_close = broken_iter_close;
    t->kv->ops = &ops;
    cr_assert_eq(store_by_name(t->store, KIND_MODEL, bytes_str("gpt"), &named), ERR_CORRUPT);
    t->kv->ops = real;
    cr_assert_eq(store_by_name(t->store, KIND_MODEL, bytes_str("gpt"), &named), ERR_OK);
    cr_assert_eq(named.count, 1);
}
