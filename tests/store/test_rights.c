/*
 * Who may write an entry and who is in the mesh, as a store decides it, on both back ends.
 */
#include "crdt/alloc.h"
#include "store/keys.h"
#include "tests/lib/each_backend.h"

#include <stdlib.h>
#include <string.h>

/* ---- who may write ---- */

EACH_BACKEND(only_the_owner_and_its_writers_write)
{
    struct author owner, writer;
    struct store_write w;
    test_author(&owner, 2);
    test_author(&writer, 3);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &owner, "m", "description", "by the owner", &w), ERR_OK);
    struct store_write by = test_write_of(WRITE_PUT, &writer, &owner.key, "m");
    cr_assert_eq(test_write_text(t, &by, "description", "by the writer"), ERR_DENIED);
    cr_assert_eq(test_write_statement(t, WRITE_GRANT, &owner, "m", &owner.key), ERR_INVALID);
    cr_assert_eq(test_write_statement(t, WRITE_GRANT, &owner, "m", &writer.key), ERR_OK);
    cr_assert_eq(test_write_text(t, &by, "description", "by the writer"), ERR_OK);
    cr_assert(test_shows(t, &w.entry, "by the writer"));
    struct store_write g = test_write_of(WRITE_GRANT, &writer, &owner.key, "m");
    g.writer = gen_id(9).b[0] ? writer.key : writer.key;
    cr_assert_eq(test_write(t, &g), ERR_DENIED);
    cr_assert_eq(test_write_statement(t, WRITE_REVOKE, &owner, "m", &writer.key), ERR_OK);
    cr_assert(test_shows(t, &w.entry, "by the owner"), "a revocation takes the writer's work back");
    cr_assert_eq(test_write_text(t, &by, "description", "again"), ERR_DENIED);
    cr_assert_eq(test_write_statement(t, WRITE_GRANT, &owner, "m", &writer.key), ERR_OK);
    cr_assert(test_shows(t, &w.entry, "by the owner"), "a new grant needs new writes");
    cr_assert_eq(test_write_text(t, &by, "description", "anew"), ERR_OK);
    cr_assert(test_shows(t, &w.entry, "anew"));
    test_expect_sound(t);
}

/* Which writes a statement takes back is told, once, and nothing of the owner's. */
EACH_BACKEND(a_revocation_tells_what_it_took_back)
{
    struct author owner, writer;
    struct store_write w;
    test_author(&owner, 2);
    test_author(&writer, 3);
    test_open_mesh(t);
    cr_assert_eq(test_put(t, &owner, "m", "description", "by the owner", &w), ERR_OK);
    cr_assert_eq(test_write_statement(t, WRITE_GRANT, &owner, "m", &writer.key), ERR_OK);
    struct store_write by = test_write_of(WRITE_PUT, &writer, &owner.key, "m");
    cr_assert_eq(test_write_text(t, &by, "description", "one"), ERR_OK);
    struct id one = by.new_op;
    cr_assert_eq(test_write_text(t, &by, "description", "two"), ERR_OK);
    struct id two = by.new_op;
    struct store_write revoke = test_write_of(WRITE_REVOKE, &owner, &owner.key, "m");
    revoke.writer = writer.key;
    for (unsigned again = 0; again < 2; again++) {
        struct store_job job = {.now_ms = t->now_ms, .rng = &t->rng, .write_count = 1, .writes = &revoke};
        cr_assert_eq(store_apply(t->store, &job), ERR_OK);
        cr_assert_eq(revoke.why, ERR_OK);
        cr_assert_eq(job.withdrawn_count, again == 0 ? 2 : 0);
        for (size_t i = 0; i < job.withdrawn_count; i++) {
            cr_assert(key_eq(&job.withdrawn[i].author, &writer.key) && id_eq(&job.withdrawn[i].entry, &w.entry));
            cr_assert(id_eq(&job.withdrawn[i].op, &one) || id_eq(&job.withdrawn[i].op, &two));
        }
        store_job_close(&job);
    }
    test_expect_sound(t);
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
    cr_assert_eq(test_write_statement(t, WRITE_GRANT, &owner, "m", &a.key), ERR_OK);
    cr_assert_eq(test_write_statement(t, WRITE_GRANT, &owner, "m", &b.key), ERR_OK);
    cr_assert_eq(test_write_statement(t, WRITE_REVOKE, &owner, "m", &a.key), ERR_OK);
    struct buf have = {0}, want = {0};
    cr_assert_eq(store_writers(t->store, &w.entry, collect_writer, &have), ERR_OK);
    buf_printf(&want, "%02x@0 ", b.key.b[0]);
    cr_assert_str_eq(buf_cstr(&have), buf_cstr(&want));
    cr_assert_eq(test_write_statement(t, WRITE_GRANT, &owner, "m", &a.key), ERR_OK);
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
    test_put_bundle(t, &bundle, &a, time, (struct gen_op){.name = "m"});
    struct id entry = test_entry(&a.key, KIND_MODEL, "m"), before = test_digest(t);
    cr_assert_eq(test_apply(t, buf_view(&bundle)), VERDICT_ASIDE, "no charter held: founder and operators only");
    struct id after = test_digest(t);
    cr_assert(id_eq(&before, &after), "what is aside is not in the set");
    test_charter(t, &charter, "members", time - 5);
    cr_assert_eq(test_apply(t, buf_view(&charter)), VERDICT_NEW);
    cr_assert(test_shows(t, &entry, "-"));
    apply_member(t, &a.key, NULL, time - 4, &parent);
    cr_assert(test_shows(t, &entry, "\"name\":\"m\""), "admission brings in what was aside");
    struct store_stats stats;
    store_stats(t->store, &stats);
    cr_assert_eq(stats.aside, 0);
    cr_assert_eq(stats.deltas, 3);
    test_expect_sound(t);
    apply_member(t, &a.key, "yes", time - 3, &parent);
    cr_assert(test_shows(t, &entry, "-"), "a removed key's entries are hidden");
    cr_assert_eq(store_count(t->store, KIND_MODEL), 0);
    store_stats(t->store, &stats);
    cr_assert_eq(stats.aside, 1);
    test_expect_sound(t);
    test_store_again(t);
    apply_member(t, &a.key, NULL, time - 2, &parent);
    cr_assert(test_shows(t, &entry, "\"name\":\"m\""));
    test_expect_sound(t);
    buf_close(&charter);
    buf_close(&bundle);
}

/* With a row one byte longer than it is: neither the writer nor a reader takes it for one that is not there. */
static void expect_refused(struct test_store *t, const struct dbkey *k, const struct key *whose)
{
    struct buf was = {0}, longer = {0};
    struct kv_batch b = {0};
    struct store *other = NULL;
    struct standing standing;
    struct store_config c = {.mesh = t->mesh};
    cr_assert_eq(t->kv->ops->get(t->kv, NULL, dbkey_view(k), &was), ERR_OK);
    buf_put_bytes(&longer, buf_view(&was));
    buf_put_u8(&longer, 0);
    kv_batch_put(&b, dbkey_view(k), buf_view(&longer));
    cr_assert_eq(t->kv->ops->write(t->kv, &b), ERR_OK);
    cr_assert_eq(store_standing(t->store, whose, &standing), ERR_CORRUPT);
    cr_assert_eq(store_open(&other, t->kv, &c), ERR_CORRUPT);
    kv_batch_reset(&b);
    kv_batch_put(&b, dbkey_view(k), buf_view(&was));
    cr_assert_eq(t->kv->ops->write(t->kv, &b), ERR_OK);
    cr_assert_eq(store_standing(t->store, whose, &standing), ERR_OK);
    kv_batch_close(&b);
    buf_close(&was);
    buf_close(&longer);
}

EACH_BACKEND(rows_of_the_policy_that_are_no_such_rows_are_damage)
{
    struct gen_author a;
    struct buf charter = {0};
    struct id parent = {{0}};
    struct dbkey policy, member;
    uint64_t time = hlc_from_ms(t->now_ms);
    gen_author(&a, 2);
    test_charter(t, &charter, "members", time - 5);
    cr_assert_eq(test_apply(t, buf_view(&charter)), VERDICT_NEW);
    apply_member(t, &a.key, NULL, time - 4, &parent);
    dbkey_meta(&policy, "policy");
    dbkey_start(&member, FAMILY_MEMBER);
    dbkey_add_key(&member, &a.key);
    expect_refused(t, &policy, &a.key);
    expect_refused(t, &member, &a.key);
    test_store_again(t);
    test_expect_sound(t);
    buf_close(&charter);
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
    struct store_write admit = test_write_of(WRITE_PUT, &operator, &founder.key, hex);
    admit.kind = KIND_MEMBER;
    cr_assert_eq(test_write_text(t, &admit, "role", "member"), ERR_DENIED);
    struct store_write grant = test_write_of(WRITE_GRANT, &founder, &founder.key, TEST_MESH);
    grant.kind = KIND_CHARTER;
    grant.writer = operator.key;
    cr_assert_eq(test_write(t, &grant), ERR_OK);
    cr_assert_eq(test_write_text(t, &admit, "role", "member"), ERR_OK);
    test_put_bundle(t, &bundle, &a, hlc_from_ms(t->now_ms), (struct gen_op){.name = "m"});
    cr_assert_eq(test_apply(t, buf_view(&bundle)), VERDICT_NEW);
    struct id entry = test_entry(&a.key, KIND_MODEL, "m");
    cr_assert(test_shows(t, &entry, "\"name\":\"m\""));
    test_expect_sound(t);
    grant.action = WRITE_REVOKE;
    cr_assert_eq(test_write(t, &grant), ERR_OK);
    cr_assert_eq(test_write_text(t, &admit, "role", "again"), ERR_DENIED);
    cr_assert(test_shows(t, &entry, "-"), "its admissions leave with it");
    test_expect_sound(t);
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
    test_expect_sound(t);
    for (size_t i = 0; i < 3; i++)
        buf_close(&bundles[i]);
    buf_close(&body);
}

/* A delta by the founder that grants `writer` and puts the charter, its body withheld. */
static struct id stating(const struct test_store *t, struct buf *out, const struct key *writer, uint64_t time, struct bytes body,
                         enum gen_travel travel)
{
    struct grant grant = {.key = *writer, .epoch = 0, .granted = true};
    struct gen_op ops[2] = {
        {.verb = VERB_STATEMENT, .kind = KIND_CHARTER, .name = TEST_MESH, .grants = &grant, .grant_count = 1},
        {.verb = VERB_PUT, .kind = KIND_CHARTER, .name = TEST_MESH, .body = body, .travel = travel}};
    struct gen_delta d = {.mesh = &t->mesh, .author = &t->founder, .time = time, .op_count = 2, .ops = ops};
    struct id id, put;
    gen_bundle(out, &d, &id);
    op_id(&put, &id, 1);
    return put;
}

static struct id charter_edit(const struct test_store *t, struct buf *out, const struct gen_author *by, uint64_t time,
                              struct bytes body, const struct id *parent)
{
    struct gen_op op = {.verb = VERB_PUT, .kind = KIND_CHARTER, .owner = &t->founder.key, .name = TEST_MESH, .body = body,
                        .travel = GEN_WITHHELD, .parents = parent, .parent_count = 1};
    return gen_one(out, &t->mesh, by, time, &op);
}

static void swap_ids(struct id *a, struct id *b)
{
    struct id kept = *a;
    *a = *b;
    *b = kept;
}

/* One job of several bundles. */
static void apply_together(struct test_store *t, struct store_in *in, size_t n)
{
    struct store_job job = {.now_ms = t->now_ms, .rng = &t->rng, .in_count = n, .in = in};
    cr_assert_eq(store_apply(t->store, &job), ERR_OK);
    store_job_close(&job);
}

/* The founder states O and puts P, states Q and puts R. Q edits P, O edits R, and the founder deletes both edits: P is
 * erased through Q, whom the other delta states, and R through O. Whoever comes later gets both without a body. */
EACH_BACKEND(charters_erased_through_each_others_grants_are_taken_together)
{
    struct gen_author o, q;
    struct buf body = {0}, bundles[5] = {{0}};
    struct id puts[2], edits[2];
    uint64_t time = hlc_from_ms(t->now_ms);
    gen_author(&o, 2);
    gen_author(&q, 3);
    gen_body_text(&body, "admission", 5, "open");
    puts[0] = stating(t, &bundles[0], &o.key, time - 9, buf_view(&body), GEN_WITHHELD);
    puts[1] = stating(t, &bundles[1], &q.key, time - 8, buf_view(&body), GEN_WITHHELD);
    edits[0] = charter_edit(t, &bundles[2], &q, time - 7, buf_view(&body), &puts[0]);
    edits[1] = charter_edit(t, &bundles[3], &o, time - 6, buf_view(&body), &puts[1]);
    if (id_cmp(&edits[0], &edits[1]) > 0)
        swap_ids(&edits[0], &edits[1]);
    struct gen_op gone = {.verb = VERB_DELETE, .kind = KIND_CHARTER, .name = TEST_MESH, .parents = edits, .parent_count = 2};
    gen_one(&bundles[4], &t->mesh, &t->founder, time - 5, &gone);
    for (size_t i = 5; i-- > 2;)
        cr_assert_eq(test_apply(t, buf_view(&bundles[i])), VERDICT_NEW);
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(test_apply_in(t, buf_view(&bundles[i])).why, ERR_INVALID, "alone it lacks a body that nothing erased");
    struct store_in in[3] = {{.bundle = buf_view(&bundles[1])}, {.bundle = buf_view(&bundles[0])}, {.bundle = buf_view(&bundles[1])}};
    apply_together(t, in, 3);
    cr_assert_eq(in[0].verdict, VERDICT_NEW);
    cr_assert_eq(in[1].verdict, VERDICT_NEW);
    test_expect_sound(t);
    struct test_store early; /* held both while they had their bodies */
    struct buf whole[2] = {{0}};
    test_store_open(&early, BACKEND_MEM);
    stating(t, &whole[0], &o.key, time - 9, buf_view(&body), GEN_SENT);
    stating(t, &whole[1], &q.key, time - 8, buf_view(&body), GEN_SENT);
    for (size_t i = 0; i < 5; i++)
        (void)test_apply(&early, buf_view(i < 2 ? &whole[i] : &bundles[i]));
    for (size_t i = 2; i < 4; i++)
        (void)test_apply(&early, buf_view(&bundles[i])); /* after the delete that erased their bodies */
    struct id here = test_digest(t), there = test_digest(&early), x = test_state(t), y = test_state(&early);
    cr_assert(id_eq(&here, &there));
    cr_assert(id_eq(&x, &y));
    test_store_close(&early);
    for (size_t i = 0; i < 5; i++)
        buf_close(&bundles[i]);
    buf_close(&whole[0]);
    buf_close(&whole[1]);
    buf_close(&body);
}

/* In order of time an erased put comes before the delete that erased it: one job takes both. */
EACH_BACKEND(an_erased_member_entry_comes_with_its_delete)
{
    struct buf body = {0}, bundles[2] = {{0}};
    struct id put;
    uint64_t time = hlc_from_ms(t->now_ms);
    char hex[ID_HEX_SIZE];
    key_hex(hex, &t->founder.key);
    gen_body_text(&body, "role", 5, "guest");
    struct gen_op op = {.verb = VERB_PUT, .kind = KIND_MEMBER, .name = hex, .body = buf_view(&body), .travel = GEN_WITHHELD};
    put = gen_one(&bundles[0], &t->mesh, &t->founder, time - 2, &op);
    struct gen_op gone = {.verb = VERB_DELETE, .kind = KIND_MEMBER, .name = hex, .parents = &put, .parent_count = 1};
    gen_one(&bundles[1], &t->mesh, &t->founder, time - 1, &gone);
    struct store_in in[3] = {{.bundle = buf_view(&bundles[0])}, {.bundle = buf_view(&bundles[0])}, {.bundle = buf_view(&bundles[1])}};
    apply_together(t, in, 1);
    cr_assert_eq(in[0].verdict, VERDICT_REFUSED);
    cr_assert_eq(in[0].why, ERR_INVALID);
    apply_together(t, in, 3);
    cr_assert_eq(in[0].verdict, VERDICT_NEW);
    cr_assert_eq(in[1].verdict, VERDICT_KNOWN);
    cr_assert_eq(in[2].verdict, VERDICT_NEW);
    test_expect_sound(t);
    buf_close(&bundles[0]);
    buf_close(&bundles[1]);
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
    test_expect_sound(&t);
    store_close(t.store);
    t.kv->ops->close(t.kv);
    test_store_close(&full);
}
