/*
 * The table of verbs: every row is complete, every option is told apart, help, man page and completion name them all. The
 * parser's mistakes are tested on the program itself (end2end/cli.sh).
 */
#include "node/cli.h"

#include <criterion/criterion.h>
#include <string.h>

Test(cli, every_verb_is_complete_and_named_once)
{
    const struct cli_verb *v, *w;
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        cr_assert(v->run != NULL && v->about != NULL && v->args != NULL, "%s", v->words);
        cr_assert(v->min_args <= v->max_args);
        cr_assert_eq(v->about[strlen(v->about) - 1], '.', "%s", v->words);
        cr_assert((v->max_args == 0) == (v->args[0] == '\0' || v->args[0] == '-'), "%s", v->words);
        for (size_t k = i + 1; (w = cli_verb_at(k)) != NULL; k++)
            cr_assert_str_neq(v->words, w->words);
    }
}

Test(cli, an_option_is_never_also_a_global_one)
{
    const struct cli_verb *v;
    const struct cli_option *g;
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        for (const struct cli_option *o = v->options; o != NULL && o->name != NULL; o++) {
            cr_assert(o->about != NULL && o->about[strlen(o->about) - 1] == '.', "%s --%s", v->words, o->name);
            for (size_t k = 0; (g = cli_global_at(k)) != NULL; k++)
                cr_assert_str_neq(o->name, g->name);
        }
}

Test(cli, all_texts_name_every_verb_and_option)
{
    struct buf help = {0}, man = {0}, completion = {0};
    const struct cli_verb *v;
    cli_help_all(&help);
    cli_man(&man);
    cli_completion(&completion);
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        struct buf one = {0};
        cli_help_verb(&one, v);
        cr_assert(strstr(buf_cstr(&help), v->words) != NULL, "%s", v->words);
        cr_assert(strstr(buf_cstr(&man), v->words) != NULL, "%s", v->words);
        cr_assert(strstr(buf_cstr(&completion), v->words) != NULL, "%s", v->words);
        for (const struct cli_option *o = v->options; o != NULL && o->name != NULL; o++)
            cr_assert(strstr(buf_cstr(&one), o->name) != NULL, "%s %s", v->words, o->name);
        buf_close(&one);
    }
    for (size_t i = 0; i < CONFIG_COUNT; i++)
        cr_assert(strstr(buf_cstr(&man), config_desc((enum config_key)i)->name) != NULL);
    buf_close(&help);
    buf_close(&man);
    buf_close(&completion);
}

Test(cli, help_fits_a_terminal)
{
    struct buf out = {0};
    const struct cli_verb *v;
    cli_help_all(&out);
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        cli_help_verb(&out, v);
    for (const char *line = buf_cstr(&out); *line != '\0';) {
        size_t n = strcspn(line, "\n");
        cr_assert(n <= 100, "%.*s", (int)n, line);
        line += n + (line[n] == '\n');
    }
    buf_close(&out);
}

Test(cli, exit_statuses_follow_the_error)
{
    cr_assert_eq(cli_exit_of(ERR_OK), CLI_OK);
    cr_assert_eq(cli_exit_of(ERR_NOT_FOUND), CLI_NOT_FOUND);
    cr_assert_eq(cli_exit_of(ERR_CONFLICT), CLI_CONFLICT);
    cr_assert_eq(cli_exit_of(ERR_DENIED), CLI_DENIED);
    cr_assert_eq(cli_exit_of(ERR_CORRUPT), CLI_UNVERIFIED);
    cr_assert_eq(cli_exit_of(ERR_NO_SPACE), CLI_FAILED);
}

Test(cli, sizes_and_times_for_people)
{
    struct buf out = {0};
    cli_put_bytes(&out, 999);
    buf_put_str(&out, "|");
    cli_put_bytes(&out, 1234567);
    buf_put_str(&out, "|");
    cli_put_seconds(&out, 59);
    buf_put_str(&out, "|");
    cli_put_seconds(&out, 3700);
    buf_put_str(&out, "|");
    cli_put_seconds(&out, 90000);
    cr_assert_str_eq(buf_cstr(&out), "999 B|1.2 MB|59 s|1 h 1 min|1 d 1 h");
    buf_close(&out);
}

Test(cli, names_are_escaped_in_paths)
{
    struct buf out = {0};
    cli_put_escaped(&out, "a/b c%\xc3\xa4~-._");
    cr_assert_str_eq(buf_cstr(&out), "a%2Fb%20c%25%C3%A4~-._");
    buf_close(&out);
}
