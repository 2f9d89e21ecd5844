/* Bodies: the form of MODEL 2, times against the delta's, and which body belongs to a put. */
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "tests/lib/gen.h"
#include "tests/lib/hex.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELTA_TIME 100

static enum err parse(struct bytes x)
{
    uint8_t *copy = mem_dup(x.p, x.n);
    struct body b = {0};
    enum err e = body_parse(bytes_of(copy, x.n), DELTA_TIME, &b);
    if (e == ERR_OK) {
        struct buf again = {0};
        body_encode(&b, &again);
        cr_assert(bytes_eq(x, buf_view(&again)), "encode(parse(x)) is not x");
        buf_close(&again);
    }
    body_close(&b);
    free(copy);
    return e;
}

static enum err parse_hex(const char *hex)
{
    struct buf b = {0};
    hex_put(&b, hex);
    enum err e = parse(buf_view(&b));
    buf_close(&b);
    return e;
}

Test(body, each_rule_of_the_form)
{
    static const struct {
        const char *hex;
        enum err want;
    } cases[] = {
        {"93 c410 00*16 00 80", ERR_OK},
        {"93 c410 00*16 05 82 a161 92 07 c0 a162 92 64 a178", ERR_OK},
        {"92 c410 00*16 00", ERR_FORM},
        {"94 c410 00*16 00 80 c0", ERR_FORM},
        {"dc0003 c410 00*16 00 80", ERR_FORM},
        {"93 c410 00*16 00 80 c0", ERR_FORM},
        {"93 c40f 00*15 00 80", ERR_FORM},
        {"93 c411 00*17 00 80", ERR_FORM},
        {"93 b0 61*16 00 80", ERR_FORM},
        {"93 c410 00*16 c0 80", ERR_FORM},
        {"93 c410 00*16 ff 80", ERR_FORM},
        {"93 c410 00*16 00 90", ERR_FORM},
        {"93 c410 00*16 00 81 a161 c0", ERR_FORM},
        {"93 c410 00*16 00 81 a161 91 07", ERR_FORM},
        {"93 c410 00*16 00 81 a161 93 07 c0 c0", ERR_FORM},
        {"93 c410 00*16 00 81 a161 92 c0 c0", ERR_FORM},
        {"93 c410 00*16 00 81 a161 92 cc07 c0", ERR_FORM},
        {"93 c410 00*16 00 81 a161 92 07 cc07", ERR_FORM},
        {"93 c410 00*16 00 81 a161 92 07 c1", ERR_FORM},
        {"93 c410 00*16 00 81 01 92 07 c0", ERR_FORM},
        {"93 c410 00*16 00 82 a162 92 07 c0 a161 92 07 c0", ERR_FORM},
        {"93 c410 00*16 00 82 a161 92 07 c0 a161 92 07 c0", ERR_FORM},
        {"93 c410 00*16 00 81 a161 92 07 91*13 c0", ERR_OK},
        {"93 c410 00*16 00 81 a161 92 07 91*14 c0", ERR_FORM}, /* depth 17 of the body */
        {"93 c410 00*16 64 80", ERR_OK},
        {"93 c410 00*16 65 80", ERR_INVALID},
        {"93 c410 00*16 00 81 a161 92 64 c0", ERR_OK},
        {"93 c410 00*16 00 81 a161 92 65 c0", ERR_INVALID},
        {"93 c410 00*16 00 81 a161 92 cfffffffffffffffff c0", ERR_INVALID},
        {"93 c410 00*16 00 dfffffffff", ERR_FORM},
        {"", ERR_FORM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum err e = parse_hex(cases[i].hex);
        cr_assert_eq(e, cases[i].want, "%s: %s", cases[i].hex, err_text(e));
    }
}

Test(body, fields_are_read_and_removed_ones_kept)
{
    struct buf b = {0};
    struct body body;
    gen_body(&b, 7, 3, 2, (struct gen_field[]){{"name", 90, "x"}, {"about", 80, NULL}});
    cr_assert_eq(body_parse(buf_view(&b), 90, &body), ERR_OK);
    cr_assert(body.salt[0] == 7 && body.since == 3 && body.field_count == 2);
    cr_assert(bytes_eq(body.fields[0].name, bytes_str("about")));
    cr_assert(body.fields[0].changed_at == 80 && hex_is(body.fields[0].value, "c0"));
    cr_assert(bytes_eq(body.fields[1].name, bytes_str("name")));
    cr_assert(body.fields[1].changed_at == 90 && hex_is(body.fields[1].value, "a178"));
    body_close(&body);
    cr_assert_eq(body_parse(buf_view(&b), 89, &body), ERR_INVALID);
    for (size_t n = 0; n < b.n; n++)
        cr_assert_eq(parse(bytes_of(b.p, n)), ERR_FORM, "the first %zu bytes", n);
    buf_close(&b);
    body_close(NULL);
}

static enum err parse_fields(size_t n)
{
    struct buf b = {0};
    hex_put(&b, "93 c410 00*16 00");
    mp_put_map(&b, n);
    for (size_t i = 0; i < n; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "%06zu", i);
        mp_put_str(&b, bytes_str(key));
        hex_put(&b, "92 07 c0");
    }
    enum err e = parse(buf_view(&b));
    buf_close(&b);
    return e;
}

Test(body, as_many_fields_and_bytes_as_allowed)
{
    cr_assert_eq(parse_fields(MODEL_FIELDS_MAX), ERR_OK);
    cr_assert_eq(parse_fields(MODEL_FIELDS_MAX + 1), ERR_FORM);
    /* 28 bytes around a bin fill the rest */
    cr_assert_eq(parse_hex("93 c410 00*16 00 81 a161 92 07 c5ffe4 00*65508"), ERR_OK);
    cr_assert_eq(parse_hex("93 c410 00*16 00 81 a161 92 07 c5ffe5 00*65509"), ERR_FORM);
}

Test(body, a_put_knows_its_body_by_hash_and_length)
{
    struct buf b = {0};
    gen_body_text(&b, "name", 5, "x");
    struct op op = {.verb = VERB_PUT, .body_len = (uint32_t)b.n};
    body_hash(&op.body_hash, buf_view(&b));
    cr_assert(body_matches(&op, buf_view(&b)));
    cr_assert_not(body_matches(&op, bytes_of(b.p, b.n - 1)));
    op.body_len++;
    cr_assert_not(body_matches(&op, buf_view(&b)), "another length");
    op.body_len--;
    for (size_t bit = 0; bit < 8 * b.n; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(body_matches(&op, buf_view(&b)), "bit %zu", bit);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    op.verb = VERB_DELETE;
    cr_assert_not(body_matches(&op, buf_view(&b)), "a delete has none");
    buf_close(&b);
}
