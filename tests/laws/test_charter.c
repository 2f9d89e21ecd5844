/* What a founder's node signs when it edits the charter after an operator did (see MODEL 6). */
#include "tests/lib/laws.h"

#include "crdt/codec.h"
#include "store/store.h"

#include <criterion/criterion.h>
#include <string.h>

static struct step raw(unsigned tag, unsigned author, enum verb verb)
{
    struct step s = step_of(tag, author, PLACE_CHARTER, verb);
    s.honest = false;
    s.time = 10 + tag;
    return s;
}

/* The charter takes members; actor 2 is an operator and writes that it is open, behind a since. */
static void hostile_operator(struct compiled *c)
{
    struct history h = {0};
    struct step closed = step_of(0, 0, PLACE_CHARTER, VERB_PUT), hand = raw(1, 0, VERB_STATEMENT), theirs = raw(2, 2, VERB_PUT);
    closed.act[0].value = 2;
    hand.act[0].target = 2;
    hand.act[0].granted = true;
    theirs.time = 200;
    theirs.act[0].since = 199;
    history_compile(&h, c);
    compiled_push(c, &closed);
    compiled_push(c, &hand);
    compiled_push(c, &theirs);
}

static void apply_all(struct store *s, const struct compiled *c, struct rng *rng)
{
    struct store_in in[4];
    struct store_job job = {.now_ms = 1000, .rng = rng, .in_count = 4, .in = in};
    cr_assert_eq(c->count, 4);
    memset(in, 0, sizeof in);
    for (size_t i = 0; i < 4; i++)
        in[i].bundle = buf_view(&c->bundle[i]);
    cr_assert_eq(store_apply(s, &job), ERR_OK);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(in[i].verdict, VERDICT_NEW);
    store_job_close(&job);
}

/* Edits the field `about` as the founder; appends the bundle that was signed. */
static void edit_about(struct store *s, struct rng *rng, struct buf *bundle)
{
    struct gen_author founder;
    struct buf value = {0};
    gen_author(&founder, 0);
    mp_put_str(&value, bytes_str("new"));
    struct author author = {.key = founder.key};
    memcpy(author.secret, founder.secret, sizeof author.secret);
    struct field field = {.name = bytes_str("about"), .value = buf_view(&value)};
    struct store_write write = {.action = WRITE_PUT, .kind = KIND_CHARTER, .owner = founder.key, .name = mesh_name_of(),
                                .author = &author, .change = {.mode = CHANGE_PATCH, .field_count = 1, .fields = &field}};
    struct store_job job = {.now_ms = 1000, .rng = rng, .write_count = 1, .writes = &write};
    cr_assert_eq(store_apply(s, &job), ERR_OK);
    cr_assert_eq(write.why, ERR_OK);
    cr_assert_eq(job.own_count, 1);
    cr_assert_eq(store_bundle(s, &job.own[0].id, bundle), ERR_OK);
    store_job_close(&job);
    buf_close(&value);
}

Test(charter, the_founder_does_not_sign_the_admission_of_an_operator)
{
    struct compiled c;
    struct kv *kv = kv_mem_new();
    struct store *s;
    struct rng rng;
    struct buf signed_bundle = {0};
    struct oracle o;
    struct store_config config = {.mesh = mesh_of(), .has_founder = true, .founder = actor_key(0), .mesh_name = mesh_name_of()};
    rng_seed(&rng, 1);
    hostile_operator(&c);
    cr_assert_eq(store_open(&s, kv, &config), ERR_OK);
    apply_all(s, &c, &rng);
    edit_about(s, &rng, &signed_bundle);

    oracle_over(&o, &c, NULL, c.count);
    cr_assert(oracle_add(&o, buf_view(&signed_bundle)));
    oracle_judge(&o);
    const struct oracle_entry *charter = oracle_find(&o, &o.charter);
    cr_assert_eq(charter->head_count, 1, "the edit names what it merged");
    cr_assert_eq(o.admission, ORACLE_MEMBERS);
    const struct oracle_op *head = &o.ops[charter->heads[0]];
    for (size_t i = 0; i < head->body.field_count; i++)
        cr_assert_not(bytes_eq(head->body.fields[i].value, bytes_str("\xa4open")));
    oracle_close(&o);
    buf_close(&signed_bundle);
    store_close(s);
    kv->ops->close(kv);
    compiled_close(&c);
}
