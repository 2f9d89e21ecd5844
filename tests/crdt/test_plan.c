/* The body of a new put: what it claims, what it carries, and when it is too large (see MODEL 5). */
#include "crdt/register.h"
#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const uint8_t salt[16] = {7};

/* One head with the given fields, resolved, and a planned body over it. */
struct bench {
    struct buf old, made, values[4];
    struct body parsed, planned;
    struct head head;
    struct merged now;
};

static void start(struct bench *b, uint64_t time, uint64_t since, size_t n, const struct gen_field *fields)
{
    *b = (struct bench){0};
    gen_body(&b->old, 1, since, n, fields);
    cr_assert_eq(body_parse(buf_view(&b->old), time, &b->parsed), ERR_OK);
    b->head = (struct head){.time = time, .is_put = true, .has_body = true, .body = &b->parsed};
    resolve(&b->head, 1, &b->now);
}

static enum err plan(struct bench *b, enum change_mode mode, size_t n, const struct gen_field *asked, uint64_t time)
{
    struct field fields[4];
    for (size_t i = 0; i < n; i++) {
        if (asked[i].text != NULL)
            mp_put_str(&b->values[i], bytes_str(asked[i].text));
        else
            mp_put_nil(&b->values[i]);
        fields[i] = (struct field){.name = bytes_str(asked[i].name), .value = buf_view(&b->values[i])};
    }
    struct change change = {.mode = mode, .field_count = n, .fields = fields};
    enum err e = plan_put(&b->now, &change, salt, time, &b->made);
    if (e == ERR_OK)
        cr_assert_eq(body_parse(buf_view(&b->made), time, &b->planned), ERR_OK);
    return e;
}

static void stop(struct bench *b)
{
    merged_close(&b->now);
    body_close(&b->parsed);
    body_close(&b->planned);
    buf_close(&b->old);
    buf_close(&b->made);
    for (size_t i = 0; i < 4; i++)
        buf_close(&b->values[i]);
}

/* "name@time=text" of every field, removed ones without text. */
static const char *show(const struct body *b, char out[512])
{
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; i < b->field_count; i++) {
        const struct field *f = &b->fields[i];
        int nil = value_is_nil(f->value);
        at += (size_t)snprintf(out + at, 512 - at, "%.*s@%llu=%.*s ", (int)f->name.n, (const char *)f->name.p,
                               (unsigned long long)f->changed_at, nil ? 0 : (int)f->value.n - 1,
                               (const char *)f->value.p + 1);
    }
    return out;
}

Test(plan, a_value_that_does_not_change_keeps_its_version)
{
    struct bench b;
    char s[512];
    start(&b, 9, 0, 3, (struct gen_field[]){{"a", 3, "x"}, {"b", 4, "y"}, {"r", 5, NULL}});
    cr_assert_eq(plan(&b, CHANGE_PATCH, 2, (struct gen_field[]){{"a", 0, "x"}, {"b", 0, "z"}}, 20), ERR_OK);
    cr_assert_str_eq(show(&b.planned, s), "a@3=x b@20=z r@5= ");
    cr_assert_arr_eq(b.planned.salt, salt, 16);
    stop(&b);
}

Test(plan, patch_removes_with_nil_and_leaves_no_trace_of_what_never_was)
{
    struct bench b;
    char s[512];
    start(&b, 9, 0, 2, (struct gen_field[]){{"a", 3, "x"}, {"r", 5, NULL}});
    struct gen_field asked[] = {{"a", 0, NULL}, {"new", 0, NULL}, {"r", 0, NULL}};
    cr_assert_eq(plan(&b, CHANGE_PATCH, 3, asked, 20), ERR_OK);
    cr_assert_str_eq(show(&b.planned, s), "a@20= r@5= ");
    stop(&b);
}

Test(plan, replace_removes_what_was_shown_and_not_named)
{
    struct bench b;
    char s[512];
    start(&b, 9, 0, 3, (struct gen_field[]){{"a", 3, "x"}, {"b", 4, "y"}, {"r", 5, NULL}});
    cr_assert_eq(plan(&b, CHANGE_REPLACE, 1, (struct gen_field[]){{"b", 0, "y"}}, 20), ERR_OK);
    cr_assert_str_eq(show(&b.planned, s), "a@20= b@4=y r@5= ");
    stop(&b);
}

Test(plan, replace_keeps_what_the_reader_was_not_shown)
{
    struct bench b, reader;
    char s[512];
    start(&reader, 9, 0, 1, (struct gen_field[]){{"a", 3, "x"}});
    start(&b, 9, 0, 2, (struct gen_field[]){{"a", 3, "x"}, {"late", 8, "y"}});
    struct change change = {.mode = CHANGE_REPLACE, .shown = &reader.now};
    cr_assert_eq(plan_put(&b.now, &change, salt, 20, &b.made), ERR_OK);
    cr_assert_eq(body_parse(buf_view(&b.made), 20, &b.planned), ERR_OK);
    cr_assert_str_eq(show(&b.planned, s), "a@20= late@8=y ");
    stop(&b);
    stop(&reader);
}

Test(plan, since_is_carried_and_a_put_over_deletes_starts_after_them)
{
    struct bench b;
    start(&b, 9, 4, 1, (struct gen_field[]){{"a", 6, "x"}});
    cr_assert_eq(plan(&b, CHANGE_PATCH, 0, NULL, 20), ERR_OK);
    cr_assert_eq(b.planned.since, 4);
    stop(&b);

    struct head gone = {.time = 30};
    struct merged now;
    struct buf made = {0};
    struct body planned;
    resolve(&gone, 1, &now);
    struct change change = {.mode = CHANGE_PATCH};
    cr_assert_eq(plan_put(&now, &change, salt, 31, &made), ERR_OK);
    cr_assert_eq(body_parse(buf_view(&made), 31, &planned), ERR_OK);
    cr_assert_eq(planned.since, 30);
    body_close(&planned);
    buf_close(&made);
    merged_close(&now);
}

Test(plan, over_the_limit_it_drops_removed_fields_then_refuses)
{
    struct bench b;
    size_t n = MODEL_FIELDS_MAX;
    struct gen_field *fields = mem_calloc(n, sizeof *fields);
    char (*names)[8] = mem_calloc(n, sizeof *names);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(names[i], sizeof names[i], "f%04zu", i);
        fields[i] = (struct gen_field){names[i], 5, i < 10 ? NULL : "v"};
    }
    start(&b, 9, 0, n, fields);
    cr_assert_eq(plan(&b, CHANGE_PATCH, 1, (struct gen_field[]){{"new", 0, "v"}}, 20), ERR_OK);
    cr_assert_eq(b.planned.field_count, n - 10 + 1);
    cr_assert_eq(b.planned.since, 9);
    for (size_t i = 0; i < b.planned.field_count; i++)
        cr_assert(b.planned.fields[i].changed_at == 20 && !value_is_nil(b.planned.fields[i].value));
    stop(&b);

    for (size_t i = 0; i < n; i++)
        fields[i].text = "v";
    start(&b, 9, 0, n, fields);
    cr_assert_eq(plan(&b, CHANGE_PATCH, 1, (struct gen_field[]){{"new", 0, "v"}}, 20), ERR_TOO_LARGE);
    cr_assert_eq(b.made.n, 0);
    stop(&b);
    free(fields);
    free(names);
}

Test(plan, a_body_of_too_many_bytes_is_refused)
{
    struct bench b;
    char *large = mem_zalloc(MODEL_BODY_MAX + 1);
    memset(large, 'x', MODEL_BODY_MAX);
    start(&b, 9, 0, 0, NULL);
    cr_assert_eq(plan(&b, CHANGE_PATCH, 1, (struct gen_field[]){{"a", 0, large}}, 20), ERR_TOO_LARGE);
    large[MODEL_BODY_MAX - 100] = 0;
    buf_reset(&b.values[0]);
    cr_assert_eq(plan(&b, CHANGE_PATCH, 1, (struct gen_field[]){{"a", 0, large}}, 20), ERR_OK);
    stop(&b);
    free(large);
}
