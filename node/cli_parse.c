/*
 * From argv to a verb with its options and arguments. Global options may stand before or after the
 * verb, options of the verb after it; nothing after -- is an option. Every mistake names what was
 * typed and what comes nearest.
 */
#include "node/cli.h"

#include "crdt/alloc.h"
#include "node/suggest.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *cli_option_at(const struct cli *c, const char *name, size_t i)
{
    for (size_t k = 0; k < c->value_count; k++) {
        if (strcmp(c->values[k].option->name, name) != 0)
            continue;
        if (i-- == 0)
            return c->values[k].value != NULL ? c->values[k].value : "";
    }
    return NULL;
}

const char *cli_option(const struct cli *c, const char *name)
{
    const char *last = NULL, *value;
    for (size_t i = 0; (value = cli_option_at(c, name, i)) != NULL; i++)
        last = value;
    return last;
}

bool cli_option_uint(const struct cli *c, const char *name, uint64_t min, uint64_t max, uint64_t *out)
{
    const char *text = cli_option(c, name);
    char *end;
    if (text == NULL)
        return true;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || v < min || v > max) {
        cli_error("--%s wants a number from %llu to %llu, not \"%s\"", name, (unsigned long long)min,
                  (unsigned long long)max, text);
        return false;
    }
    *out = v;
    return true;
}

/* ---- the scan ---------------------------------------------------------------------------------------------------- */

struct scan {
    struct cli *cli;
    char **argv;
    int argc, at;
    char **words; /* everything that is no option, in order */
    size_t word_count;
    bool help;
};

static const struct cli_option *find_option(const struct cli *c, const char *name, size_t n)
{
    const struct cli_option *o;
    for (size_t i = 0; (o = cli_global_at(i)) != NULL; i++)
        if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
            return o;
    for (o = c->verb != NULL ? c->verb->options : NULL; o != NULL && o->name != NULL; o++)
        if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
            return o;
    return NULL;
}

static void unknown_option(const struct cli *c, const char *given)
{
    char word[SUGGEST_WORD_MAX + 1];
    snprintf(word, sizeof word, "%s", given + strspn(given, "-"));
    word[strcspn(word, "=")] = '\0';
    struct suggest s = {.word = word};
    const struct cli_option *o;
    for (size_t i = 0; (o = cli_global_at(i)) != NULL; i++)
        suggest_offer(&s, o->name);
    for (o = c->verb != NULL ? c->verb->options : NULL; o != NULL && o->name != NULL; o++)
        suggest_offer(&s, o->name);
    const char *verb = c->verb != NULL ? c->verb->words : "";
    const char *space = c->verb != NULL ? " " : "";
    if (s.best != NULL)
        cli_error("unknown option %s; did you mean %s%s? (souk%s%s --help)", given, strlen(s.best) == 1 ? "-" : "--",
                  s.best, space, verb);
    else
        cli_error("unknown option %s; souk%s%s --help lists the options", given, space, verb);
}

/* One option at argv[at], with its value joined (--a=b, -ob) or following. */
static bool take_option(struct scan *s)
{
    struct cli *c = s->cli;
    const char *given = s->argv[s->at], *name = given + 1, *value = NULL;
    size_t n = 1;
    if (given[1] == '-') {
        name = given + 2;
        n = strcspn(name, "=");
        value = name[n] == '=' ? name + n + 1 : NULL;
    } else if (given[2] != '\0') {
        value = given + 2;
    }
    const struct cli_option *o = find_option(c, name, n);
    if (o == NULL || (n == 1 && given[1] == '-')) {
        unknown_option(c, given);
        return false;
    }
    if (o->arg == NULL && value != NULL) {
        cli_error("%.*s takes no value", (int)(n + 2), given);
        return false;
    }
    if (o->arg != NULL && value == NULL) {
        if (s->at + 1 >= s->argc) {
            cli_error("%s wants %s after it", given, o->arg);
            return false;
        }
        value = s->argv[++s->at];
    }
    if (c->value_count == CLI_VALUES_MAX) {
        cli_error("more than %d options", CLI_VALUES_MAX);
        return false;
    }
    c->values[c->value_count++] = (struct cli_value){o, value};
    s->help = s->help || strcmp(o->name, "help") == 0;
    return true;
}

static bool starts_with_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    return strncmp(words, word, n) == 0 && (words[n] == ' ' || words[n] == '\0');
}

static bool is_group(const char *word)
{
    const struct cli_verb *v;
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        if (starts_with_word(v->words, word) && strchr(v->words, ' ') != NULL)
            return true;
    return false;
}

static const struct cli_verb *find_verb(const char *first, const char *second)
{
    char words[2 * SUGGEST_WORD_MAX];
    const struct cli_verb *v;
    snprintf(words, sizeof words, second != NULL ? "%s %s" : "%s", first, second);
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        if (strcmp(v->words, words) == 0)
            return v;
    return NULL;
}

/* A verb of the group whose word comes nearest; NULL: none is near. */
static const struct cli_verb *nearest_group(const char *word)
{
    const struct cli_verb *v, *best = NULL;
    unsigned distance = 0;
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        char group[SUGGEST_WORD_MAX + 1];
        struct suggest s = {.word = word};
        snprintf(group, sizeof group, "%.*s", (int)strcspn(v->words, " "), v->words);
        suggest_offer(&s, group);
        if (s.best == NULL || (best != NULL && s.distance >= distance))
            continue;
        best = v;
        distance = s.distance;
    }
    return best;
}

static void unknown_verb(const char *first, const char *second)
{
    char words[2 * SUGGEST_WORD_MAX];
    const struct cli_verb *v;
    snprintf(words, sizeof words, second != NULL ? "%s %s" : "%s", first, second);
    struct suggest s = {.word = words};
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        suggest_offer(&s, v->words);
    if (s.best != NULL)
        cli_error("unknown command \"%s\"; did you mean \"souk %s\"?", words, s.best);
    else if (second != NULL)
        cli_error("unknown command \"%s\"; souk %s --help lists the commands of %s", words, first, first);
    else if ((v = nearest_group(first)) != NULL)
        cli_error("unknown command \"%s\"; did you mean \"souk %.*s\"?", first, (int)strcspn(v->words, " "), v->words);
    else
        cli_error("unknown command \"%s\"; souk --help lists them all", words);
}

/* The verb is the first word, or the first two where the first names a group. False: said what is wrong. */
static bool take_word(struct scan *s)
{
    struct cli *c = s->cli;
    s->words[s->word_count++] = s->argv[s->at];
    if (c->verb != NULL)
        return true;
    const char *first = s->words[0], *second = s->word_count > 1 ? s->words[1] : NULL;
    if (second == NULL && is_group(first))
        return true;
    c->verb = find_verb(first, second);
    if (c->verb == NULL && second != NULL)
        c->verb = find_verb(first, NULL); /* a group that is a verb as well: what follows is its argument */
    if (c->verb == NULL)
        unknown_verb(first, second);
    return c->verb != NULL;
}

/* An option that only the verb has which is a group as well, as in `deploy --share NAME`. */
static void settle_verb(struct scan *s)
{
    const char *name = s->argv[s->at] + 1;
    name += *name == '-';
    if (s->cli->verb == NULL && s->word_count == 1 && find_option(s->cli, name, strcspn(name, "=")) == NULL)
        s->cli->verb = find_verb(s->words[0], NULL);
}

static bool scan_all(struct scan *s)
{
    for (s->at = 1; s->at < s->argc; s->at++) {
        const char *arg = s->argv[s->at];
        if (strcmp(arg, "--") == 0) {
            for (s->at++; s->at < s->argc; s->at++)
                if (!take_word(s))
                    return false;
            return true;
        }
        bool option = arg[0] == '-' && arg[1] != '\0';
        if (option)
            settle_verb(s);
        if (option ? !take_option(s) : !take_word(s))
            return false;
    }
    return true;
}

/* ---- what the globals mean --------------------------------------------------------------------------------------- */

static bool set_format(struct cli *c)
{
    const char *text = cli_option(c, "o");
    if (text == NULL || strcmp(text, "human") == 0)
        c->format = CLI_HUMAN;
    else if (strcmp(text, "json") == 0)
        c->format = CLI_JSON;
    else if (strcmp(text, "jsonl") == 0)
        c->format = CLI_JSONL;
    else {
        cli_error("-o wants human, json or jsonl, not \"%s\"", text);
        return false;
    }
    return true;
}

static bool set_globals(struct cli *c)
{
    struct buf dir = {0}, path = {0}, why = {0};
    const char *given = cli_option(c, "dir"), *socket = cli_option(c, "socket"), *no_color = getenv("NO_COLOR");
    if (given == NULL)
        dir_default(&dir);
    int n = snprintf(c->dir, sizeof c->dir, "%s", given != NULL ? given : buf_cstr(&dir));
    while (n > 1 && (size_t)n < sizeof c->dir && c->dir[n - 1] == '/')
        c->dir[--n] = '\0';
    buf_close(&dir);
    bool ok = n > 0 && (size_t)n < sizeof c->dir;
    if (!ok)
        cli_error("the path of the data directory is empty or has more than %d bytes", DIR_PATH_MAX);
    else if (socket == NULL && dir_socket(c->dir, &path, &why) != ERR_OK) {
        cli_error("%s", buf_cstr(&why));
        ok = false;
    } else if (socket != NULL && strlen(socket) > DIR_SOCKET_MAX) {
        cli_error("the path of a socket has at most %d bytes; \"%s\" has %zu", DIR_SOCKET_MAX, socket, strlen(socket));
        ok = false;
    }
    if (ok)
        snprintf(c->socket, sizeof c->socket, "%s", socket != NULL ? socket : buf_cstr(&path));
    buf_close(&path);
    buf_close(&why);
    c->color = isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0');
    c->progress = isatty(STDERR_FILENO) != 0;
    return ok && set_format(c);
}

/* An empty text is a search for everything; nothing else can be named by it. */
static bool any_empty(const struct cli *c)
{
    for (size_t i = 0; i < c->arg_count; i++)
        if (c->args[i][0] == '\0' && strcmp(c->verb->words, "search") != 0 && strcmp(c->verb->words, "deploy") != 0)
            return true;
    return false;
}

static bool set_args(struct scan *s)
{
    struct cli *c = s->cli;
    size_t used = strchr(c->verb->words, ' ') != NULL ? 2 : 1;
    c->args = s->words + used;
    c->arg_count = s->word_count - used;
    const char *blank = c->verb->args[0] != '\0' ? " " : "";
    if (c->arg_count > c->verb->max_args)
        cli_error("\"%s\" is one argument too many; usage: souk %s%s%s", c->args[c->verb->max_args], c->verb->words,
                  blank, c->verb->args);
    else if (c->arg_count < c->verb->min_args)
        cli_error("an argument is missing; usage: souk %s%s%s", c->verb->words, blank, c->verb->args);
    else if (any_empty(c))
        cli_error("an argument is empty; usage: souk %s%s%s", c->verb->words, blank, c->verb->args);
    else
        return true;
    return false;
}

static enum cli_exit show_help(struct scan *s)
{
    struct buf out = {0};
    if (s->cli->verb != NULL)
        cli_help_verb(&out, s->cli->verb);
    else if (s->word_count > 0)
        cli_help_group(&out, s->words[0]);
    else
        cli_help_all(&out);
    cli_print(buf_view(&out));
    buf_close(&out);
    return CLI_OK;
}

static enum cli_exit run_scanned(struct scan *s)
{
    if (!scan_all(s))
        return CLI_USAGE;
    if (s->cli->verb == NULL && s->word_count == 1)
        s->cli->verb = find_verb(s->words[0], NULL); /* a group that is a verb as well */
    if (s->help)
        return show_help(s);
    if (s->cli->verb == NULL && s->word_count > 0) {
        cli_error("souk %s wants a command after it; souk %s --help lists them", s->words[0], s->words[0]);
        return CLI_USAGE;
    }
    if (s->cli->verb == NULL) {
        cli_error("a command is missing; souk --help lists them all");
        return CLI_USAGE;
    }
    if (!set_args(s) || !set_globals(s->cli))
        return CLI_USAGE;
    return s->cli->verb->run(s->cli);
}

enum cli_exit cli_main(int argc, char **argv)
{
    struct cli cli = {0};
    char **words = mem_calloc((size_t)argc + 1, sizeof *words);
    struct scan s = {.cli = &cli, .argv = argv, .argc = argc, .words = words};
    enum cli_exit status = run_scanned(&s);
    cli_http_close(&cli);
    free(words);
    return cli_finish(status);
}
