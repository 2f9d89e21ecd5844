/*
 * Histories with a name: cases that once broke a register or a rule, kept as tests of the definition and (through
 * the laws of laws_store.c) of the store. See MODEL 4 to 7.
 */
#include "tests/lib/laws.h"

#include <criterion/criterion.h>

static struct step raw(unsigned tag, unsigned author, enum place place, enum verb verb)
{
    struct step s = step_of(tag, author, place, verb);
    s.honest = false;
    s.time = 10 + tag;
    return s;
}

static struct step raw_over(unsigned tag, unsigned author, enum place place, enum verb verb, uint32_t parents)
{
    struct step s = raw(tag, author, place, verb);
    s.act[0].parents = parents;
    return s;
}

static struct step grant(unsigned tag, enum place place, unsigned target, unsigned epoch)
{
    struct step s = raw(tag, place_actor(place), place, VERB_STATEMENT);
    s.act[0].target = target;
    s.act[0].granted = true;
    s.act[0].epoch = epoch;
    return s;
}

/* A charter that takes members only, and member entries. */
static struct step members_only(unsigned tag)
{
    struct step s = step_of(tag, 0, PLACE_CHARTER, VERB_PUT);
    s.act[0].value = 2;
    return s;
}

static struct step admit(unsigned tag, unsigned member)
{
    struct step s = step_of(tag, 0, (enum place)(PLACE_MEMBER1 + member - 1), VERB_PUT);
    s.act[0].field = 1;
    return s;
}

static struct step remove_member(unsigned tag, unsigned member)
{
    return step_of(tag, 0, (enum place)(PLACE_MEMBER1 + member - 1), VERB_PUT);
}

/* A case being played: the bundles so far, and the judgement of them. */
struct play {
    struct compiled c;
    struct oracle o;
    bool judged;
};

static void start(struct play *p)
{
    *p = (struct play){0};
    struct history h = {0};
    history_compile(&h, &p->c);
}

static void stop(struct play *p)
{
    struct rng rng;
    char why[WHY_MAX] = "";
    rng_seed(&rng, 1);
    for (size_t i = 0; i < store_law_count; i++)
        cr_expect(store_laws[i].holds(&p->c, &rng, why), "%s: %s", store_laws[i].name, why);
    if (p->judged)
        oracle_close(&p->o);
    compiled_close(&p->c);
}

static void judge(struct play *p)
{
    if (p->judged)
        oracle_close(&p->o);
    oracle_over(&p->o, &p->c, NULL, p->c.count);
    p->judged = true;
}

static struct id state(struct play *p)
{
    struct id id;
    judge(p);
    oracle_state_hash(&p->o, &id);
    return id;
}

static const struct oracle_entry *entry(struct play *p, enum place place)
{
    struct id id = place_id(place);
    judge(p);
    return oracle_find(&p->o, &id);
}

static bool head(struct play *p, unsigned tag)
{
    judge(p);
    const struct oracle_op *op = oracle_find_op(&p->o, &p->c.op[tag][0]);
    return op != NULL && op->head;
}

/* The old register: child wins, else the lower hash wins. With ids x < z < y it ended at z or at y, by order. */
Test(named, x_y_child_of_x_and_z_concurrent_give_one_state_in_every_order)
{
    struct play p;
    const struct id *x = &p.c.op[0][0], *y = &p.c.op[1][0], *z = &p.c.op[2][0];
    bool found = false;
    for (unsigned attempt = 1; attempt < 200 && !found; attempt++) {
        struct step steps[3] = {raw(0, 1, PLACE_M1, VERB_PUT), raw_over(1, 1, PLACE_M1, VERB_PUT, 1),
                                raw(2, 1, PLACE_M1, VERB_PUT)};
        start(&p);
        for (unsigned i = 0; i < 3; i++) {
            steps[i].act[0].value = attempt + i;
            compiled_push(&p.c, &steps[i]);
        }
        found = id_cmp(x, z) < 0 && id_cmp(z, y) < 0;
        if (!found)
            compiled_close(&p.c);
    }
    cr_assert(found);
    size_t orders[6][4] = {{0, 1, 2, 3}, {0, 1, 3, 2}, {0, 2, 1, 3}, {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 3, 2, 1}};
    struct id expect = state(&p);
    for (size_t i = 0; i < 6; i++) {
        struct oracle o;
        struct id got;
        oracle_over(&o, &p.c, orders[i], 4);
        oracle_state_hash(&o, &got);
        cr_assert(id_eq(&got, &expect));
        oracle_close(&o);
    }
    cr_assert_eq(entry(&p, PLACE_M1)->head_count, 2);
    cr_assert(!head(&p, 0) && head(&p, 1) && head(&p, 2));
    stop(&p);
}

/* Naming pulls a delta into the set; that alone must not make the work of one who is not admitted visible. */
Test(named, a_stranger_cannot_show_the_work_of_another)
{
    struct play p;
    start(&p);
    struct step steps[] = {members_only(0), admit(1, 1), admit(2, 3), grant(3, PLACE_M1, 4, 0), raw(4, 1, PLACE_M1, VERB_PUT),
                           raw(5, 4, PLACE_M1, VERB_PUT)};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        compiled_push(&p.c, &steps[i]);
    struct id before = state(&p);
    cr_assert_not(oracle_find_op(&p.o, &p.c.op[5][0])->delta_of->in_set);
    struct step naming = raw_over(6, 3, PLACE_M1, VERB_PUT, 1u << 5);
    compiled_push(&p.c, &naming);
    struct id after = state(&p);
    cr_assert(oracle_find_op(&p.o, &p.c.op[5][0])->delta_of->in_set, "what is named travels");
    cr_assert_not(head(&p, 5));
    cr_assert(id_eq(&before, &after));
    stop(&p);
}

/* A member deletes an entry; then its member entry is deleted, and with it goes the delete, not what it deleted. */
Test(named, deleting_a_member_brings_back_nothing_it_deleted)
{
    struct play p;
    start(&p);
    struct step steps[] = {members_only(0), admit(1, 1), admit(2, 2), grant(3, PLACE_M1, 2, 0),
                           raw_over(4, 2, PLACE_M1, VERB_PUT, 1u << 3), raw_over(5, 1, PLACE_M1, VERB_DELETE, 1u << 4),
                           step_of(6, 0, PLACE_MEMBER1, VERB_DELETE)};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        compiled_push(&p.c, &steps[i]);
    const struct oracle_entry *e = entry(&p, PLACE_M1);
    cr_assert(e->hidden);
    stop(&p);
}

/* The owner's delete reaches below the ops of a writer who is removed later. */
Test(named, removing_a_writer_keeps_deleted_what_was_deleted_through_its_ops)
{
    struct play p;
    start(&p);
    struct step steps[] = {grant(0, PLACE_M1, 3, 0), raw(1, 1, PLACE_M1, VERB_PUT), raw_over(2, 3, PLACE_M1, VERB_PUT, 1u << 1),
                           raw_over(3, 1, PLACE_M1, VERB_DELETE, 1u << 2)};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        compiled_push(&p.c, &steps[i]);
    cr_assert(entry(&p, PLACE_M1)->deleted);
    struct step gone = remove_member(4, 3);
    compiled_push(&p.c, &gone);
    cr_assert(entry(&p, PLACE_M1)->deleted);
    cr_assert_not(head(&p, 1) || head(&p, 2));
    struct key key = actor_key(3);
    cr_assert_not(oracle_admitted(&p.o, &key));
    stop(&p);
}

/* An operator may write the charter; whom the mesh admits, and whether it has a charter, it cannot. */
Test(named, an_operator_cannot_set_admission_nor_delete_the_charter)
{
    struct play p;
    start(&p);
    struct step hand = grant(1, PLACE_CHARTER, 2, 0), theirs = step_of(2, 2, PLACE_CHARTER, VERB_PUT),
                gone = step_of(3, 2, PLACE_CHARTER, VERB_DELETE), closed = members_only(0);
    compiled_push(&p.c, &closed);
    compiled_push(&p.c, &hand);
    compiled_push(&p.c, &theirs);
    judge(&p);
    cr_assert(head(&p, 2));
    cr_assert_eq(p.o.admission, ORACLE_MEMBERS);
    compiled_push(&p.c, &gone);
    cr_assert(head(&p, 3));
    cr_assert_eq(p.o.admission, ORACLE_MEMBERS);
    stop(&p);
}

/* A founder that edits another field of the charter does not sign the admission that an operator wrote. */
Test(named, a_founder_does_not_sign_what_an_operator_wrote_as_admission)
{
    struct play p;
    start(&p);
    struct step hand = grant(1, PLACE_CHARTER, 2, 0), theirs = raw(2, 2, PLACE_CHARTER, VERB_PUT), closed = members_only(0),
                about = step_of(3, 0, PLACE_CHARTER, VERB_PUT);
    theirs.time = 200;
    theirs.act[0].since = 199;
    about.act[0].field = 1;
    compiled_push(&p.c, &closed);
    compiled_push(&p.c, &hand);
    compiled_push(&p.c, &theirs);
    cr_assert_eq(oracle_field(entry(&p, PLACE_CHARTER), bytes_str("admission"))->value.n, 8, "members");
    compiled_push(&p.c, &about);
    cr_assert_eq(entry(&p, PLACE_CHARTER)->head_count, 1);
    cr_assert_eq(p.o.admission, ORACLE_MEMBERS);
    stop(&p);
}

/* Without the charter's put, or with it deleted by the founder: founder and operators only. */
Test(named, no_charter_admits_founder_and_operators_only)
{
    struct play p;
    start(&p);
    struct step hand = grant(0, PLACE_CHARTER, 2, 0), gone = step_of(1, 0, PLACE_CHARTER, VERB_DELETE);
    compiled_push(&p.c, &hand);
    judge(&p);
    struct key owner = actor_key(1), operator= actor_key(2);
    cr_assert(oracle_admitted(&p.o, &owner));
    compiled_push(&p.c, &gone);
    judge(&p);
    cr_assert_eq(p.o.admission, ORACLE_NO_CHARTER);
    cr_assert_not(oracle_admitted(&p.o, &owner));
    cr_assert(oracle_admitted(&p.o, &operator));
    stop(&p);
}

/* An operator puts and deletes an entry of kind 6 of its own. A node that comes later gets the put without its body,
 * which the delete erased everywhere; it must take it, or its set never equals that of the others. */
Test(named, a_governing_delta_whose_body_its_owner_erased_is_taken)
{
    struct play p;
    start(&p);
    struct step hand = grant(0, PLACE_CHARTER, 2, 0), own = raw(1, 2, PLACE_ODD, VERB_PUT),
                gone = raw_over(2, 2, PLACE_ODD, VERB_DELETE, 1u << 1);
    own.act[0].fate = FATE_WITHHELD;
    compiled_push(&p.c, &hand);
    compiled_push(&p.c, &own);
    judge(&p);
    cr_assert_not(oracle_find_op(&p.o, &p.c.op[1][0])->delta_of->held);
    compiled_push(&p.c, &gone);
    judge(&p);
    cr_assert(oracle_find_op(&p.o, &p.c.op[1][0])->delta_of->in_set);
    cr_assert(entry(&p, PLACE_ODD)->hidden);
    stop(&p);
}

/* A writer hides all that was there behind `since`; one full put of the owner shows it again. */
Test(named, one_full_put_undoes_a_hostile_since)
{
    struct play p;
    start(&p);
    struct step steps[] = {raw(0, 1, PLACE_M1, VERB_PUT), grant(1, PLACE_M1, 3, 0), raw(2, 3, PLACE_M1, VERB_PUT)};
    steps[2].act[0].field = 1;
    steps[2].act[0].since = 11;
    for (size_t i = 0; i < 3; i++)
        compiled_push(&p.c, &steps[i]);
    cr_assert_null(oracle_field(entry(&p, PLACE_M1), bytes_str("a")));
    struct step again = step_of(3, 1, PLACE_M1, VERB_PUT);
    compiled_push(&p.c, &again);
    const struct oracle_entry *e = entry(&p, PLACE_M1);
    cr_assert_not_null(oracle_field(e, bytes_str("a")));
    cr_assert_eq(e->head_count, 1);
    stop(&p);
}

/* A new grant does not bring back what was written under the old one. */
Test(named, a_later_grant_needs_new_writes)
{
    struct play p;
    start(&p);
    struct step steps[] = {grant(0, PLACE_M1, 3, 0), raw(1, 3, PLACE_M1, VERB_PUT), grant(2, PLACE_M1, 3, 1),
                           grant(3, PLACE_M1, 3, 2), raw(4, 3, PLACE_M1, VERB_PUT)};
    steps[2].act[0].granted = false;
    steps[4].act[0].epoch = 2;
    for (size_t i = 0; i < 5; i++)
        compiled_push(&p.c, &steps[i]);
    cr_assert_not(head(&p, 1));
    cr_assert(head(&p, 4));
    stop(&p);
}

/* What a writer's op replaced stays replaced once others built on that op, although the writer is revoked. */
Test(named, a_revocation_brings_back_nothing_below_what_others_built)
{
    struct play p;
    start(&p);
    struct step steps[] = {grant(0, PLACE_M1, 3, 0), raw(1, 1, PLACE_M1, VERB_PUT), raw_over(2, 3, PLACE_M1, VERB_PUT, 1u << 1),
                           raw_over(3, 1, PLACE_M1, VERB_PUT, 1u << 2), grant(4, PLACE_M1, 3, 1)};
    steps[4].act[0].granted = false;
    for (size_t i = 0; i < 5; i++)
        compiled_push(&p.c, &steps[i]);
    cr_assert_eq(entry(&p, PLACE_M1)->head_count, 1);
    cr_assert(head(&p, 3));
    stop(&p);
}

/* An owner that names a stranger's op replaces that op, and nothing that the stranger chose to name. */
Test(named, the_op_of_a_stranger_that_is_named_carries_nothing_further)
{
    struct play p;
    start(&p);
    struct step steps[] = {raw(0, 1, PLACE_M1, VERB_PUT), raw_over(1, 4, PLACE_M1, VERB_PUT, 1),
                           raw_over(2, 1, PLACE_M1, VERB_PUT, 1u << 1)};
    for (size_t i = 0; i < 3; i++)
        compiled_push(&p.c, &steps[i]);
    cr_assert(head(&p, 0) && head(&p, 2));
    cr_assert_not(head(&p, 1));
    stop(&p);
}

/* What a set's op names travels with it, though its author was removed: else the owner's op would not reach below. */
Test(named, what_an_op_of_the_set_names_stays_in_the_set)
{
    struct play p;
    start(&p);
    struct step steps[] = {grant(0, PLACE_M1, 3, 0), raw_over(1, 3, PLACE_M1, VERB_PUT, 1), raw_over(2, 1, PLACE_M1, VERB_PUT, 1u << 1),
                           raw(3, 3, PLACE_M1, VERB_PUT), remove_member(4, 3)};
    for (size_t i = 0; i < 5; i++)
        compiled_push(&p.c, &steps[i]);
    judge(&p);
    cr_assert(oracle_find_op(&p.o, &p.c.op[1][0])->delta_of->in_set);
    cr_assert_not(oracle_find_op(&p.o, &p.c.op[3][0])->delta_of->in_set);
    stop(&p);
}
