/* Reading order of heads, revision ids, and the field-wise merge (see MODEL 5). */
#include "crdt/register.h"
#include "crdt/alloc.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Heads whose bodies live as long as the table. */
struct table {
    size_t n;
    struct head head[24];
    struct body body[24];
    struct buf bytes[24];
};

static struct head *add(struct table *t, uint64_t time, uint64_t since, size_t count, const struct gen_field *fields)
{
    size_t i = t->n++;
    gen_body(&t->bytes[i], i + 1, since, count, fields);
    cr_assert_eq(body_parse(buf_view(&t->bytes[i]), time, &t->body[i]), ERR_OK);
    t->head[i] = (struct head){.op = gen_id(i), .time = time, .is_put = true, .is_owner = true, .has_body = true,
                               .body = &t->body[i]};
    return &t->head[i];
}

static struct head *add_delete(struct table *t, uint64_t time)
{
    struct head *h = &t->head[t->n];
    *h = (struct head){.op = gen_id(t->n), .time = time, .is_owner = true};
    t->n++;
    return h;
}

static void table_close(struct table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        body_close(&t->body[i]);
        buf_close(&t->bytes[i]);
    }
}

/* The text of a field; "" if it is removed, NULL if there is no version of it. */
static const char *text(const struct merged *m, const char *name, char out[64])
{
    const struct merged_field *f = merged_find(m, bytes_str(name));
    if (f == NULL)
        return NULL;
    size_t n = value_is_nil(f->field.value) ? 0 : f->field.value.n - 1;
    memcpy(out, f->field.value.p + 1, n);
    out[n] = 0;
    return out;
}

Test(register, reads_puts_then_owners_then_newest)
{
    struct head put = {.op = gen_id(1), .time = 5, .is_put = true}, owner = put, newer = put, other = put, gone = put;
    owner.is_owner = true;
    owner.time = 1;
    newer.time = 6;
    other.op = gen_id(2);
    gone.is_put = false;
    gone.is_owner = true;
    gone.time = 99;
    cr_assert_lt(head_cmp(&put, &gone), 0);
    cr_assert_gt(head_cmp(&gone, &put), 0);
    cr_assert_lt(head_cmp(&owner, &put), 0);
    cr_assert_lt(head_cmp(&newer, &put), 0);
    cr_assert_gt(head_cmp(&put, &newer), 0);
    cr_assert_eq(head_cmp(&put, &other) < 0, id_cmp(&put.op, &other.op) > 0);
    cr_assert_eq(head_cmp(&put, &put), 0);
}

Test(register, revision_is_of_the_set_of_ids)
{
    struct id ids[3] = {gen_id(1), gen_id(2), gen_id(3)}, turned[3] = {ids[2], ids[0], ids[1]}, a, b, c;
    revision_id(&a, ids, 3);
    revision_id(&b, turned, 3);
    revision_id(&c, ids, 2);
    cr_assert(id_eq(&a, &b));
    cr_assert_not(id_eq(&a, &c));

    struct hasher h;
    struct id expect, one = gen_id(7);
    hash_init(&h, "souk/revision/1");
    hash_part(&h, one.b, ID_BYTES);
    hash_end(&h, &expect);
    revision_id(&a, &one, 1);
    cr_assert(id_eq(&a, &expect));
}

Test(register, newest_version_of_each_field_wins)
{
    struct table t = {0};
    struct merged m;
    char s[64];
    add(&t, 10, 0, 2, (struct gen_field[]){{"a", 10, "left"}, {"b", 3, "old"}});
    add(&t, 11, 0, 3, (struct gen_field[]){{"a", 3, "old"}, {"b", 11, "right"}, {"c", 4, "kept"}});
    resolve(t.head, t.n, &m);
    cr_assert_str_eq(text(&m, "a", s), "left");
    cr_assert_str_eq(text(&m, "b", s), "right");
    cr_assert_str_eq(text(&m, "c", s), "kept");
    cr_assert_eq(m.field_count, 3);
    cr_assert_eq(m.newest, 11);
    cr_assert_eq(merged_find(&m, bytes_str("a"))->head, 0);
    cr_assert_eq(merged_find(&m, bytes_str("b"))->head, 1);
    cr_assert_not(m.deleted || m.incomplete);
    merged_close(&m);
    table_close(&t);
}

Test(register, one_instant_is_decided_by_the_hash_of_the_value)
{
    struct table t = {0};
    struct merged m, turned;
    char s[64], s2[64];
    add(&t, 10, 0, 1, (struct gen_field[]){{"a", 10, "x"}});
    add(&t, 10, 0, 1, (struct gen_field[]){{"a", 10, "y"}});
    struct head order[2] = {t.head[1], t.head[0]};
    resolve(t.head, 2, &m);
    resolve(order, 2, &turned);
    cr_assert_str_eq(text(&m, "a", s), text(&turned, "a", s2));
    struct id x, y;
    value_hash(&x, bytes_of("\xa1x", 2));
    value_hash(&y, bytes_of("\xa1y", 2));
    cr_assert_str_eq(s, id_cmp(&x, &y) > 0 ? "x" : "y");
    merged_close(&m);
    merged_close(&turned);
    table_close(&t);
}

Test(register, removed_field_stays_removed_against_older_versions)
{
    struct table t = {0};
    struct merged m;
    char s[64];
    add(&t, 10, 0, 1, (struct gen_field[]){{"a", 10, NULL}});
    add(&t, 12, 0, 1, (struct gen_field[]){{"a", 9, "stale"}});
    resolve(t.head, t.n, &m);
    cr_assert_str_eq(text(&m, "a", s), "");
    merged_close(&m);
    table_close(&t);
}

Test(register, since_hides_versions_up_to_it_and_zero_hides_nothing)
{
    struct table t = {0};
    struct merged m;
    char s[64];
    add(&t, 20, 10, 1, (struct gen_field[]){{"a", 20, "new"}});
    add(&t, 12, 5, 3, (struct gen_field[]){{"b", 10, "at"}, {"c", 11, "above"}, {"d", 0, "zero"}});
    resolve(t.head, t.n, &m);
    cr_assert_null(text(&m, "b", s));
    cr_assert_null(text(&m, "d", s));
    cr_assert_str_eq(text(&m, "c", s), "above");
    cr_assert_eq(m.since, 10);
    merged_close(&m);

    t.body[0].since = t.body[1].since = 0;
    resolve(t.head, t.n, &m);
    cr_assert_str_eq(text(&m, "d", s), "zero");
    merged_close(&m);
    table_close(&t);
}

Test(register, an_edit_survives_a_concurrent_delete_and_only_deletes_are_deleted)
{
    struct table t = {0};
    struct merged m;
    char s[64];
    add(&t, 10, 0, 1, (struct gen_field[]){{"a", 10, "edit"}});
    add_delete(&t, 12);
    resolve(t.head, t.n, &m);
    cr_assert_not(m.deleted);
    cr_assert_str_eq(text(&m, "a", s), "edit");
    cr_assert_eq(m.newest, 12);
    merged_close(&m);
    resolve(t.head + 1, 1, &m);
    cr_assert(m.deleted);
    cr_assert_eq(m.field_count, 0);
    merged_close(&m);
    table_close(&t);
}

Test(register, missing_body_is_incomplete_and_malformed_body_is_an_empty_put)
{
    struct table t = {0};
    struct merged m;
    char s[64];
    add(&t, 10, 0, 1, (struct gen_field[]){{"a", 10, "here"}});
    t.head[1] = (struct head){.op = gen_id(8), .time = 11, .is_put = true};
    resolve(t.head, 2, &m);
    cr_assert(m.incomplete);
    cr_assert_str_eq(text(&m, "a", s), "here");
    merged_close(&m);
    t.head[1].has_body = true;
    resolve(t.head, 2, &m);
    cr_assert_not(m.incomplete || m.deleted);
    cr_assert_str_eq(text(&m, "a", s), "here");
    merged_close(&m);
    table_close(&t);
}

Test(register, one_version_is_set_in_place_added_or_taken_away)
{
    struct table t = {0};
    struct merged m;
    char s[64];
    add(&t, 10, 0, 2, (struct gen_field[]){{"a", 10, "x"}, {"c", 3, "y"}});
    resolve(t.head, t.n, &m);
    struct field other = {.name = bytes_str("b"), .changed_at = 4, .value = bytes_of("\xa1z", 2)};
    merged_set(&m, bytes_str("b"), &other);
    cr_assert_eq(m.field_count, 3);
    cr_assert_str_eq(text(&m, "b", s), "z");
    other.name = bytes_str("a");
    merged_set(&m, bytes_str("a"), &other);
    cr_assert_eq(m.field_count, 3);
    cr_assert_str_eq(text(&m, "a", s), "z");
    merged_set(&m, bytes_str("d"), NULL);
    merged_set(&m, bytes_str("a"), NULL);
    cr_assert_eq(m.field_count, 2);
    cr_assert_null(text(&m, "a", s));
    cr_assert_str_eq(text(&m, "b", s), "z");
    cr_assert_str_eq(text(&m, "c", s), "y");
    merged_close(&m);
    table_close(&t);
}
