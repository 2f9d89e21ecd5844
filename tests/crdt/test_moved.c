/*
 * Statements of succession: the owner's hold for its own entry, successor and mesh; nobody makes one, changes one, or
 * carries one over from another entry.
 */
#include "crdt/codec.h"
#include "crdt/moved.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <string.h>

static struct moved given(void)
{
    return (struct moved){.mesh = gen_id(1), .entry = gen_id(2), .successor = gen_id(3)};
}

Test(moved, the_owners_word_holds_for_what_it_says)
{
    struct gen_author owner, other;
    struct buf value = {0};
    struct moved m = given(), read = {.mesh = m.mesh, .entry = m.entry};
    gen_author(&owner, 1);
    gen_author(&other, 2);
    moved_put(&value, &m, owner.secret);
    cr_assert(mp_canonical(buf_view(&value)));
    cr_assert(moved_holds(buf_view(&value), &owner.key, &read));
    cr_assert(id_eq(&read.successor, &m.successor));
    cr_assert_not(moved_holds(buf_view(&value), &other.key, &read), "another owner's entry");
    read = (struct moved){.mesh = m.mesh, .entry = gen_id(9)};
    cr_assert_not(moved_holds(buf_view(&value), &owner.key, &read), "carried over to another entry of the same owner");
    read = (struct moved){.mesh = gen_id(9), .entry = m.entry};
    cr_assert_not(moved_holds(buf_view(&value), &owner.key, &read), "carried over to another mesh");
    buf_close(&value);
}

Test(moved, nothing_changed_holds)
{
    struct gen_author owner;
    struct buf value = {0};
    struct moved m = given(), read = {.mesh = m.mesh, .entry = m.entry};
    gen_author(&owner, 1);
    moved_put(&value, &m, owner.secret);
    for (size_t i = 0; i < value.n; i++) {
        uint8_t was = value.p[i];
        value.p[i] = was == '0' ? '1' : '0';
        bool same_digit = was == value.p[i];
        cr_assert(same_digit || !moved_holds(buf_view(&value), &owner.key, &read), "byte %zu", i);
        value.p[i] = was;
        cr_assert_not(moved_holds(bytes_of(value.p, i), &owner.key, &read));
    }
    m.successor = m.entry;
    buf_reset(&value);
    moved_put(&value, &m, owner.secret);
    cr_assert_not(moved_holds(buf_view(&value), &owner.key, &read), "an entry does not succeed itself");
    buf_close(&value);
}

Test(moved, what_does_not_hold_is_taken_out_of_the_record)
{
    struct gen_author owner, other;
    struct moved m = given();
    struct merged record = {0};
    struct buf good = {0}, bad = {0};
    gen_author(&owner, 1);
    gen_author(&other, 2);
    moved_put(&good, &m, owner.secret);
    moved_put(&bad, &m, other.secret);
    cr_assert_not(moved_judge(&record, &owner.key, &m), "no such field");
    merged_set(&record, bytes_str(MOVED_FIELD), &(struct field){.name = bytes_str(MOVED_FIELD), .value = bytes_str("\xc0")});
    cr_assert_not(moved_judge(&record, &owner.key, &m), "a removed field");
    cr_assert_eq(record.field_count, 1);
    merged_set(&record, bytes_str(MOVED_FIELD), &(struct field){.name = bytes_str(MOVED_FIELD), .value = buf_view(&good)});
    cr_assert(moved_judge(&record, &owner.key, &m));
    cr_assert_eq(record.field_count, 1);
    merged_set(&record, bytes_str(MOVED_FIELD), &(struct field){.name = bytes_str(MOVED_FIELD), .value = buf_view(&bad)});
    cr_assert_not(moved_judge(&record, &owner.key, &m));
    cr_assert_eq(record.field_count, 0);
    merged_close(&record);
    buf_close(&good);
    buf_close(&bad);
}
