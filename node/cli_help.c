/*
 * Help, man page and completion, all written from the table of verbs.
 */
#include "node/cli.h"

#include <stdio.h>
#include <string.h>

static const char *const statuses[] = {"ok",
                                       "failed",
                                       "wrong usage",
                                       "not found",
                                       "conflict, or it exists already",
                                       "denied",
                                       "unverified",
                                       "the node cannot be reached",
                                       "timeout",
                                       "payment needed"};

#define WIDTH 78

/* Words of text wrapped at WIDTH; the first line starts at column `at`, the others are indented. */
static void put_wrapped(struct buf *out, const char *text, size_t at, size_t indent)
{
    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        if (at + n > WIDTH && at > indent) {
            buf_printf(out, "\n%*s", (int)indent, "");
            at = indent;
        }
        buf_put(out, text, n);
        at += n + 1;
        text += n + (text[n] == ' ');
        if (*text != '\0' && at + strcspn(text, " ") <= WIDTH)
            buf_put_str(out, " ");
    }
    buf_put_str(out, "\n");
}

static void put_option(struct buf *out, const struct cli_option *o)
{
    char left[64];
    snprintf(left, sizeof left, "  %s%s%s%s", strlen(o->name) == 1 ? "-" : "--", o->name, o->arg != NULL ? " " : "",
             o->arg != NULL ? o->arg : "");
    buf_printf(out, "%-26s", left);
    if (strlen(left) > 25)
        buf_printf(out, "\n%26s", "");
    put_wrapped(out, o->about, 26, 26);
}

static void put_globals(struct buf *out)
{
    const struct cli_option *o;
    buf_put_str(out, "\nOptions of every command:\n");
    for (size_t i = 0; (o = cli_global_at(i)) != NULL; i++)
        put_option(out, o);
}

static void put_verb_line(struct buf *out, const struct cli_verb *v)
{
    char left[64];
    snprintf(left, sizeof left, "  %s%s%s", v->words, v->args[0] != '\0' ? " " : "", v->args);
    buf_printf(out, "%-28s", left);
    if (strlen(left) > 27)
        buf_printf(out, "\n%28s", "");
    put_wrapped(out, v->about, 28, 28);
}

void cli_help_all(struct buf *out)
{
    const struct cli_verb *v;
    buf_put_str(
        out,
        "souk: a registry of AI models and agents with no centre.\n\nUsage: souk COMMAND [OPTION]... [ARGUMENT]...\n\n"
        "Commands:\n");
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        put_verb_line(out, v);
    put_globals(out);
    buf_put_str(out, "\nsouk COMMAND --help says more. Nothing after -- is taken for an option.\n");
}

void cli_help_group(struct buf *out, const char *word)
{
    const struct cli_verb *v;
    size_t n = strlen(word);
    buf_printf(out, "Usage: souk %s COMMAND\n\nCommands:\n", word);
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        if (strncmp(v->words, word, n) == 0 && v->words[n] == ' ')
            put_verb_line(out, v);
}

static void put_statuses(struct buf *out)
{
    buf_put_str(out, "\nExit status:");
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        buf_printf(out, "%s%zu %s", i == 0 ? " " : i == 5 ? ",\n             " : ", ", i, statuses[i]);
    buf_put_str(out, "\n");
}

void cli_help_verb(struct buf *out, const struct cli_verb *verb)
{
    bool options = verb->options != NULL;
    buf_printf(out, "Usage: souk %s%s%s%s\n\n", verb->words, options ? " [OPTION]..." : "",
               verb->args[0] != '\0' ? " " : "", verb->args);
    put_wrapped(out, verb->about, 0, 0);
    if (verb->more != NULL) {
        buf_put_str(out, "\n");
        put_wrapped(out, verb->more, 0, 0);
    }
    if (options)
        buf_put_str(out, "\nOptions:\n");
    for (const struct cli_option *o = verb->options; o != NULL && o->name != NULL; o++)
        put_option(out, o);
    put_globals(out);
    put_statuses(out);
}

/* ---- the man page (mdoc) ----------------------------------------------------------------------------------------- */

/* Text in mdoc: a backslash is \e, and a dot or quote at a line's start would be a request. */
static void put_mdoc(struct buf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((*p == '.' || *p == '\'') && p == text)
            buf_put_str(out, "\\&");
        if (*p == '\\')
            buf_put_str(out, "\\e");
        else if (*p == '-')
            buf_put_str(out, "\\-");
        else if (*p == '~')
            buf_put_str(out, "\\(ti");
        else
            buf_put_u8(out, (uint8_t)*p);
        bool sentence = *p == '.' && p[1] == ' ' && p[2] >= 'A' && p[2] <= 'Z';
        if (sentence) {
            buf_put_str(out, "\n");
            p++;
        }
    }
    buf_put_str(out, "\n");
}

static void man_option(struct buf *out, const struct cli_option *o)
{
    buf_printf(out, ".It Fl %s%s", strlen(o->name) == 1 ? "" : "\\-", o->name);
    if (o->arg != NULL)
        buf_printf(out, " Ar %s", o->arg);
    buf_put_str(out, "\n");
    put_mdoc(out, o->about);
}

static void man_verb(struct buf *out, const struct cli_verb *v)
{
    buf_printf(out, ".It Cm %s", v->words);
    if (v->args[0] != '\0')
        buf_printf(out, " Ar %s", v->args);
    buf_put_str(out, "\n");
    put_mdoc(out, v->about);
    if (v->more != NULL)
        put_mdoc(out, v->more);
    if (v->options == NULL)
        return;
    buf_put_str(out, ".Bl -tag -width Ds\n");
    for (const struct cli_option *o = v->options; o->name != NULL; o++)
        man_option(out, o);
    buf_put_str(out, ".El\n");
}

static void man_settings(struct buf *out)
{
    buf_put_str(out,
                ".Sh SETTINGS\nLines\n.Dq key = value\nin\n.Pa D/souk.conf ,\noverridden by variables and these by "
                "flags.\n.Bl -tag -width Ds\n");
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        const struct config_desc *d = config_desc((enum config_key)i);
        struct buf variable = {0};
        config_variable((enum config_key)i, &variable);
        buf_printf(out, ".It Ic %s , Ev %s\n", d->name, buf_cstr(&variable));
        put_mdoc(out, d->about);
        if (d->fallback[0] != '\0')
            buf_printf(out, "Default: %s.\n", d->fallback);
        if (d->reload == CONFIG_ON_RELOAD)
            buf_put_str(out, "Read again on SIGHUP.\n");
        buf_close(&variable);
    }
    buf_put_str(out, ".El\n");
}

void cli_man(struct buf *out)
{
    const struct cli_verb *v;
    const struct cli_option *o;
    buf_put_str(
        out,
        ".Dd November 21, 2026\n.Dt SOUK 1\n.Os\n.Sh NAME\n.Nm souk\n.Nd a registry of AI models and agents with no "
        "centre\n.Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar option ...\n.Op Ar argument ...\n.Sh DESCRIPTION\n"
        "Every node holds the whole signed catalogue, merges writes from any peer and answers HTTP.\n"
        ".Pp\nThe options of every command are as follows:\n.Bl -tag -width Ds\n");
    for (size_t i = 0; (o = cli_global_at(i)) != NULL; i++)
        man_option(out, o);
    buf_put_str(out, ".El\n.Pp\nThe commands are as follows:\n.Bl -tag -width Ds\n");
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        man_verb(out, v);
    buf_put_str(out, ".El\n");
    man_settings(out);
    buf_put_str(out, ".Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n");
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        buf_printf(out, ".It %zu\n%s\n", i, statuses[i]);
    buf_put_str(out, ".El\n");
}

/* ---- completion for bash ----------------------------------------------------------------------------------------- */

static void put_first_words(struct buf *out)
{
    const struct cli_verb *v;
    char last[64] = "";
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        char word[64];
        snprintf(word, sizeof word, "%.*s", (int)strcspn(v->words, " "), v->words);
        if (strcmp(word, last) != 0)
            buf_printf(out, " %s", word);
        memcpy(last, word, sizeof last);
    }
}

static void put_case(struct buf *out, const struct cli_verb *v)
{
    /* A verb that is a group as well keeps the group's words. */
    buf_printf(out, "    '%s')\n        words=\"%s", v->words, strchr(v->words, ' ') == NULL ? "$words " : "");
    for (const struct cli_option *o = v->options; o != NULL && o->name != NULL; o++)
        buf_printf(out, "%s%s ", strlen(o->name) == 1 ? "-" : "--", o->name);
    if (strncmp(v->args, "KIND", 4) == 0)
        buf_put_str(out, "model agent server node ");
    if (strncmp(v->args, "FORMAT", 6) == 0)
        buf_put_str(out, "jsonl models.dev mcp-registry ");
    buf_put_str(out, "$globals\"\n        ;;\n");
}

static void put_group_cases(struct buf *out)
{
    const struct cli_verb *v;
    char last[64] = "";
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++) {
        size_t n = strcspn(v->words, " ");
        if (v->words[n] == '\0')
            continue;
        if (strncmp(v->words, last, n) != 0 || last[n] != '\0')
            buf_printf(out, "%s    '%.*s')\n        words=\"", last[0] != '\0' ? "\"\n        ;;\n" : "", (int)n,
                       v->words);
        else
            buf_put_str(out, " ");
        buf_put_str(out, v->words + n + 1);
        snprintf(last, sizeof last, "%.*s", (int)n, v->words);
    }
    buf_put_str(out, "\"\n        ;;\n");
}

void cli_completion(struct buf *out)
{
    const struct cli_verb *v;
    const struct cli_option *o;
    buf_put_str(out, "# bash completion for souk\n_souk()\n{\n    local cur words globals i first= second=\n"
                     "    cur=${COMP_WORDS[COMP_CWORD]}\n    globals=\"");
    for (size_t i = 0; (o = cli_global_at(i)) != NULL; i++)
        buf_printf(out, "%s%s%s", i > 0 ? " " : "", strlen(o->name) == 1 ? "-" : "--", o->name);
    buf_put_str(out, "\"\n    for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in\n"
                     "        --dir | --socket | -o) ((i++)) ;;\n        -*) ;;\n"
                     "        *) if [[ -z $first ]]; then first=${COMP_WORDS[i]}; elif [[ -z $second ]]; then "
                     "second=${COMP_WORDS[i]}; fi ;;\n        esac\n    done\n    words=\n    case \"$first\" in\n    "
                     "'')\n        words=\"");
    put_first_words(out);
    buf_put_str(out, " $globals\"\n        ;;\n");
    put_group_cases(out);
    buf_put_str(out, "    esac\n    case \"$first\" in\n");
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        if (strchr(v->words, ' ') == NULL)
            put_case(out, v);
    buf_put_str(out, "    esac\n    case \"$first $second\" in\n");
    for (size_t i = 0; (v = cli_verb_at(i)) != NULL; i++)
        if (strchr(v->words, ' ') != NULL)
            put_case(out, v);
    buf_put_str(out, "    esac\n    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                     "    [[ ${#COMPREPLY[@]} -gt 0 ]] || mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n}\n"
                     "complete -F _souk souk\n");
}
