/*
 * Pulls are fair: between authors of what was put off, and between that and what was offered.
 */
#include "net/engine.h"
#include "tests/lib/mole.h"

#include <criterion/criterion.h>
#include <string.h>

static struct id number(uint64_t lane, uint64_t i)
{
    struct id id = {{0}};
    memcpy(id.b, &lane, sizeof lane);
    memcpy(id.b + 8, &i, sizeof i);
    id.b[31] = 1;
    return id;
}

Test(fair, one_id_of_a_quiet_author_does_not_wait_for_a_thousand_of_a_loud_one)
{
    struct fair f = {0};
    struct id id, quiet = number(9, 0);
    for (uint64_t i = 0; i < 1000; i++) {
        struct id loud = number(5, i);
        cr_assert(fair_push(&f, 5, &loud));
    }
    cr_assert(fair_push(&f, 9, &quiet));
    bool found = false;
    for (unsigned i = 0; i < 2; i++) {
        cr_assert(fair_pop(&f, &id));
        found |= id_eq(&id, &quiet);
    }
    cr_assert(found, "the second at the latest");
    for (uint64_t i = 1; i < 1000; i++) {
        struct id next = number(5, i);
        cr_assert(fair_pop(&f, &id));
        cr_assert(id_eq(&id, &next), "one author's ids stay in order");
    }
    cr_assert_eq(fair_count(&f), 0);
    cr_assert_not(fair_pop(&f, &id));
    fair_close(&f);
}

Test(fair, a_lane_is_bounded_and_the_others_have_room)
{
    struct fair f = {0};
    struct id id = number(1, 1);
    for (unsigned i = 0; i < FAIR_LANE_MAX; i++)
        cr_assert(fair_push(&f, 3, &id));
    cr_assert_not(fair_push(&f, 3, &id));
    cr_assert_not(fair_push(&f, 3 + FAIR_LANES, &id), "the same lane");
    cr_assert(fair_push(&f, 4, &id));
    cr_assert_eq(fair_count(&f), FAIR_LANE_MAX + 1);
    fair_close(&f);
}

/* Pushes a bundle under so many made-up ids: the store, which would notice, is stuck. */
static void push(struct mole *m, struct bytes bundle, uint64_t lane, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct id id = number(lane, i);
        mole_say(m, &(struct wire_message){.type = WIRE_DELTA, .id = id, .body = bundle});
    }
    mole_run(m, 0);
}

static size_t place_of(const struct mole *m, uint64_t lane)
{
    for (size_t at = 0; at < m->wanted.n; at += ID_BYTES)
        if (memcmp(m->wanted.p + at, &lane, sizeof lane) == 0)
            return at / ID_BYTES;
    return SIZE_MAX;
}

/* One author floods a link until its pushes, and then those of the whole link, become ids; another one writes a little. */
Test(fair, a_flooding_author_does_not_hold_up_another_on_the_same_link)
{
    struct lab *lab = lab_new(1, 80);
    struct mole loud, quiet;
    struct buf a = {0}, b = {0};
    mole_open(&loud, lab, 500);
    mole_open(&quiet, lab, 501);
    (void)mole_bundle(&loud, 1, &a);
    (void)mole_bundle(&quiet, 2, &b);
    lab_host(lab, 0)->store_stuck = true;
    push(&loud, buf_view(&a), 7, NET_PUSH_BURST + 200);
    cr_assert_not(loud.closed);
    push(&loud, buf_view(&b), 8, 3); /* carried by the loud peer, written by the quiet one */
    size_t before = loud.wanted.n / ID_BYTES;
    cr_assert_gt(before, 0, "ids of the loud author are asked for already");
    for (uint64_t i = 0; i < before; i++) {
        struct id id;
        memcpy(id.b, loud.wanted.p + i * ID_BYTES, ID_BYTES);
        mole_say(&loud, &(struct wire_message){.type = WIRE_DELTA, .flags = WIRE_DELTA_ANSWER, .id = id, .body = buf_view(&a)});
    }
    mole_run(&loud, 1);
    size_t place = place_of(&loud, 8);
    cr_assert_neq(place, SIZE_MAX, "the quiet author's ids were never asked for");
    cr_assert_leq(place, before + 4, "they waited for %zu of the loud one", place - before);
    buf_close(&a);
    buf_close(&b);
    mole_close(&loud);
    mole_close(&quiet);
    lab_free(lab);
}
