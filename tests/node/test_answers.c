/*
 * The table of answers kept ready: what it gives back, and above all what it must not.
 */
#include "node/answers.h"

#include <criterion/criterion.h>
#include <string.h>

static struct answers *table;
static struct buf got;

static void set_up(void)
{
    table = answers_new();
}

static void tear_down(void)
{
    answers_free(table);
    buf_close(&got);
}

TestSuite(answers, .init = set_up, .fini = tear_down);

/* Numbers that differ by a multiple of ANSWERS_SLOTS share a slot. */
static struct entry_info entry(uint64_t number)
{
    struct entry_info e = {.kind = 1};
    put_be(e.id.b, number, 8);
    e.revision.b[0] = 7;
    return e;
}

static void make(uint64_t moment, uint64_t number, const char *text)
{
    struct entry_info e = entry(number);
    answers_made(table, moment, &e, bytes_str(text));
}

static bool get(uint64_t moment, uint64_t number)
{
    struct entry_info e = entry(number), info = {.kind = 99};
    size_t before = got.n;
    bool found = answers_get(table, moment, &e, &info, &got);
    cr_assert_eq(found, got.n > before);
    if (found)
        cr_assert(info.kind == 1 && id_eq(&info.id, &e.id) && id_eq(&info.revision, &e.revision));
    return found;
}

Test(answers, an_entry_is_kept_from_the_second_time_on)
{
    cr_assert_not(get(5, 1));
    make(5, 1, "one");
    cr_assert_not(get(5, 1), "read once: nothing was copied");
    make(5, 1, "one");
    cr_assert(get(5, 1));
    cr_assert(get(5, 1));
    cr_assert(bytes_eq(buf_view(&got), bytes_str("oneone")));
}

Test(answers, nothing_outlives_its_moment)
{
    make(5, 1, "old");
    make(5, 1, "old");
    cr_assert(get(5, 1));
    cr_assert_not(get(6, 1));
    cr_assert_not(get(4, 1));
    make(6, 1, "new");
    cr_assert(get(6, 1), "asked for again and again: one reading a moment is enough");
    cr_assert(bytes_eq(buf_view(&got), bytes_str("oldnew")));
    cr_assert_not(get(5, 1));
}

Test(answers, another_entry_or_kind_is_never_given_back)
{
    make(5, 1, "one");
    make(5, 1, "one");
    cr_assert_not(get(5, 1 + ANSWERS_SLOTS), "the same slot");
    struct entry_info e = entry(1), info;
    e.kind = 2;
    cr_assert_not(answers_get(table, 5, &e, &info, &got));
}

Test(answers, entries_read_once_drive_nothing_out)
{
    make(5, 1, "one");
    make(5, 1, "one");
    for (uint64_t i = 1; i < 100; i++)
        make(5, 1 + i * ANSWERS_SLOTS, "other");
    cr_assert(get(5, 1));
    make(5, 1 + ANSWERS_SLOTS, "other");
    make(5, 1 + ANSWERS_SLOTS, "other");
    cr_assert(get(5, 1 + ANSWERS_SLOTS));
    cr_assert_not(get(5, 1));
}

Test(answers, what_is_too_long_is_not_kept)
{
    static char text[ANSWERS_BYTES_MAX + 2];
    memset(text, 'x', ANSWERS_BYTES_MAX + 1);
    make(5, 1, text);
    make(5, 1, text);
    cr_assert_not(get(5, 1));
    text[ANSWERS_BYTES_MAX] = 0;
    make(5, 1, text);
    cr_assert(get(5, 1));
}
