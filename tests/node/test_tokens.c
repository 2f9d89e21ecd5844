/*
 * Tokens: only a hash is kept, scopes mean what the contract says, a bucket delays and never loses time, ids are
 * never used twice, and a damaged file is refused.
 */
#include "node/tokens.h"

#include <criterion/criterion.h>
#include <string.h>

static struct tokens fresh(struct token_rate rate)
{
    struct tokens t;
    tokens_init(&t, rate);
    return t;
}

static uint64_t make(struct tokens *t, unsigned scopes, char text[TOKEN_TEXT_SIZE])
{
    struct rng rng;
    const struct token *token;
    rng_seed(&rng, t->next_id);
    struct token_request r = {.scopes = scopes, .name = bytes_str("ci job"), .clock_ms = 5};
    cr_assert(tokens_new(t, &r, &rng, text, &token) == ERR_OK);
    return token->id;
}

Test(tokens, scopes)
{
    struct buf out = {0};
    cr_assert_eq(token_scopes_parse(bytes_str("read")), TOKEN_READ);
    cr_assert_eq(token_scopes_parse(bytes_str("write")), TOKEN_READ | TOKEN_WRITE);
    cr_assert_eq(token_scopes_parse(bytes_str("invoke")), TOKEN_INVOKE);
    cr_assert_eq(token_scopes_parse(bytes_str("write,invoke")), 7);
    cr_assert_eq(token_scopes_parse(bytes_str("")), 0);
    cr_assert_eq(token_scopes_parse(bytes_str("read,")), TOKEN_READ);
    cr_assert_eq(token_scopes_parse(bytes_str("admin")), 0);
    cr_assert_eq(token_scopes_parse(bytes_str("read write")), 0);
    token_scopes_put(&out, 7);
    cr_assert_str_eq(buf_cstr(&out), "read,write,invoke");
    buf_close(&out);
}

Test(tokens, a_token_is_known_by_its_text_alone_and_the_text_is_not_kept)
{
    struct tokens t = fresh((struct token_rate){0});
    char text[TOKEN_TEXT_SIZE], other[TOKEN_TEXT_SIZE];
    struct buf file = {0};
    uint64_t id = 0;
    unsigned retry = 9;
    uint64_t made = make(&t, 3, text);
    make(&t, 1, other);
    cr_assert_eq(tokens_check(&t, bytes_str(text), 0, &id, &retry), 3);
    cr_assert(id == made && retry == 0);
    text[20] = text[20] == 'a' ? 'b' : 'a';
    cr_assert_eq(tokens_check(&t, bytes_str(text), 0, &id, &retry), 0);
    cr_assert_eq(tokens_check(&t, bytes_str("souk_"), 0, &id, &retry), 0);
    tokens_write(&t, &file);
    cr_assert_null(strstr(buf_cstr(&file), other + 5));
    buf_close(&file);
    tokens_close(&t);
}

Test(tokens, the_file_is_read_back_and_ids_are_never_used_twice)
{
    struct tokens t = fresh((struct token_rate){0}), back = fresh((struct token_rate){0});
    char text[TOKEN_TEXT_SIZE], gone[TOKEN_TEXT_SIZE];
    struct buf file = {0}, why = {0};
    uint64_t id = 0;
    unsigned retry;
    make(&t, 3, text);
    uint64_t last = make(&t, 1, gone);
    cr_assert(tokens_remove(&t, last) == ERR_OK);
    cr_assert(tokens_remove(&t, last) == ERR_NOT_FOUND);
    tokens_write(&t, &file);
    cr_assert(tokens_read(&back, buf_view(&file), &why) == ERR_OK, "%s", buf_cstr(&why));
    cr_assert_eq(tokens_check(&back, bytes_str(text), 0, &id, &retry), 3);
    cr_assert_eq(tokens_check(&back, bytes_str(gone), 0, &id, &retry), 0);
    cr_assert_str_eq(tokens_by_id(&back, id)->name, "ci job");
    cr_assert_str_eq(tokens_by_id(&back, id)->as, "publisher");
    cr_assert_gt(make(&back, 1, gone), last);
    buf_close(&file);
    buf_close(&why);
    tokens_close(&t);
    tokens_close(&back);
}

Test(tokens, a_damaged_file_is_refused)
{
    static const char *const bad[] = {"",
                                      "souk-tokens 2\n",
                                      "souk-tokens 1\n",
                                      "souk-tokens 1\nnext 2\ntoken 1\n",
                                      "souk-tokens 1\nnext 2\ntoken 1 9 5 00 publisher x\n",
                                      "souk-tokens 1\nnext 1\nwhat\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tokens t = fresh((struct token_rate){0});
        struct buf why = {0};
        cr_assert(tokens_read(&t, bytes_str(bad[i]), &why) != ERR_OK, "%s", bad[i]);
        cr_assert(why.n > 0);
        buf_close(&why);
        tokens_close(&t);
    }
}

Test(tokens, names_and_keys_are_checked)
{
    struct tokens t = fresh((struct token_rate){0});
    struct rng rng;
    char text[TOKEN_TEXT_SIZE];
    const struct token *token;
    rng_seed(&rng, 1);
    struct token_request r = {.scopes = 1, .name = bytes_str("two\nlines")};
    cr_assert(tokens_new(&t, &r, &rng, text, &token) == ERR_INVALID);
    r.name = bytes_str("ok");
    r.as = bytes_str("../x");
    cr_assert(tokens_new(&t, &r, &rng, text, &token) == ERR_INVALID);
    r.as = (struct bytes){0};
    for (size_t i = 0; i < TOKENS_MAX; i++)
        cr_assert(tokens_new(&t, &r, &rng, text, &token) == ERR_OK);
    cr_assert(tokens_new(&t, &r, &rng, text, &token) == ERR_LIMIT);
    tokens_close(&t);
}

Test(tokens, a_bucket_delays_and_refills)
{
    struct tokens t = fresh((struct token_rate){.per_second = 2, .burst = 3});
    char text[TOKEN_TEXT_SIZE];
    uint64_t id;
    unsigned retry;
    make(&t, 1, text);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(tokens_check(&t, bytes_str(text), 1000, &id, &retry), 1);
        cr_assert_eq(retry, 0);
    }
    cr_assert_eq(tokens_check(&t, bytes_str(text), 1000, &id, &retry), 1);
    cr_assert_eq(retry, 1);
    tokens_check(&t, bytes_str(text), 1250, &id, &retry);
    cr_assert_eq(retry, 1);
    tokens_check(&t, bytes_str(text), 1500, &id, &retry);
    cr_assert_eq(retry, 0);
    tokens_check(&t, bytes_str(text), 1000000000, &id, &retry);
    cr_assert_eq(retry, 0);
    cr_assert_leq(t.list[0].level_milli, 3000);
    tokens_close(&t);
}
