/*
 * The short form of JSON: what is left out, and what damaged text gives. That expanding gives the right JSON is what every
 * test of record_json shows: it goes through both.
 */
#include "crdt/record.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct kind_desc *model(void)
{
    return kind_by_number(KIND_MODEL);
}

static enum err expand(const void *p, size_t n, struct buf *out)
{
    struct short_names names = {.kind = KIND_MODEL, .entry = {{1}}, .owner = {{2}}, .revision = {{3}}};
    struct short_table *table = short_table_new();
    enum err e = short_expand(table, &names, bytes_of(p, n), out);
    short_table_free(table);
    return e;
}

Test(record_short, leaves_out_defaults_and_ids)
{
    struct merged m = {0};
    struct record_meta meta = {.name = bytes_str("x")};
    struct buf text = {0}, full = {0};
    record_short(model(), &m, &meta, &text);
    record_json(model(), &m, &meta, &full);
    cr_assert_lt(text.n, 150, "%zu bytes of %zu", text.n, full.n);
    cr_assert_gt(full.n, 1000);
    cr_assert(strstr(buf_cstr(&full), "\"license\":\"MIT\"") != NULL);
    cr_assert_eq(full.p[full.n - 1], '}');
    buf_close(&text);
    buf_close(&full);
}

Test(record_short, codes_stand_for_ids)
{
    struct buf out = {0};
    uint8_t text[] = {'<', 0xff, SHORT_ENTRY, '|', 0xff, SHORT_OWNER, '|', 0xff, SHORT_REVISION, '>'};
    cr_assert_eq(expand(text, sizeof text, &out), ERR_OK);
    cr_assert_eq(out.n, 4 + 3 * 64);
    cr_assert_eq(memcmp(out.p, "<0100", 5), 0);
    cr_assert_eq(memcmp(out.p + 65, "|0200", 5), 0);
    cr_assert_eq(memcmp(out.p + 130, "|0300", 5), 0);
    buf_close(&out);
}

/* A raw id may hold the mark: it is not looked at again. */
Test(record_short, raw_bytes_are_no_codes)
{
    struct buf text = {0}, out = {0};
    uint8_t id[ID_BYTES];
    memset(id, SHORT_MARK, sizeof id);
    short_put(&text, SHORT_HEX, id);
    cr_assert_eq(expand(text.p, text.n, &out), ERR_OK);
    cr_assert_eq(out.n, 64);
    cr_assert_eq(memcmp(out.p, "ffff", 4), 0);
    buf_close(&text);
    buf_close(&out);
}

Test(record_short, damage_is_corrupt)
{
    static const struct {
        uint8_t text[4];
        size_t n;
    } bad[] = {{{0xff}, 1},          {{0xff, 3}, 2},       {{0xff, 3, 3}, 3},    {{0xff, 4, 3}, 3},
               {{0xff, 0, 200}, 3},  {{0xff, 60, 61}, 3},  {{0xff, 0x83, 1}, 3}, {{0xff, 0x84, 1, 2}, 4},
               {{0xff, 0xff, 0xff}, 3}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf out = {0};
        cr_assert_eq(expand(bad[i].text, bad[i].n, &out), ERR_CORRUPT, "case %zu", i);
        buf_close(&out);
    }
}
