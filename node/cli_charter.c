/*
 * The mesh as its operators see it: the charter and the members. What a change means is the node's business; here
 * are words, tables and questions.
 */
#include "node/cli.h"

#include "node/invite.h"
#include "node/suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- charter ----------------------------------------------------------------------------------------------------- */

static void line(const char *name, const char *text)
{
    if (text[0] != '\0')
        printf("%-12s%s\n", name, text);
}

static const char *admission_text(const char *word)
{
    if (strcmp(word, "open") == 0)
        return "open: every key that reaches it may write";
    if (strcmp(word, "members") == 0)
        return "members: only admitted keys may write";
    return "no charter has come here yet: founder and operators only";
}

static void print_charter(const json_t *root)
{
    const json_t *key;
    size_t i;
    line("mesh", cli_text(root, "mesh_id"));
    line("name", cli_text(root, "name"));
    line("about", cli_text(root, "about"));
    line("contact", cli_text(root, "contact"));
    line("admission", admission_text(cli_text(root, "admission")));
    line("founder", cli_text(root, "founder"));
    json_array_foreach(json_object_get(root, "operators"), i, key) line("operator", json_string_value(key));
    printf("%-12s%lld, and %lld removed\n", "members", cli_int(root, "members"), cli_int(root, "removed"));
    const json_t *node = json_object_get(root, "node");
    printf("%-12s%s  %s\n", "this node", cli_text(node, "key"), cli_text(node, "standing"));
    json_array_foreach(json_object_get(root, "keys"), i, key)
        printf("%-12s%s  %s\n", "its key", cli_text(key, "key"), cli_text(key, "standing"));
}

static enum cli_exit charter_show(struct cli *c)
{
    struct cli_reply reply;
    enum cli_exit status = cli_admin(c, "charter", NULL, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = c->format == CLI_HUMAN ? cli_parse_reply(&reply) : NULL;
    if (c->format != CLI_HUMAN)
        status = cli_print_reply(c, &reply);
    else if (root == NULL)
        status = CLI_FAILED;
    else
        print_charter(root);
    json_decref(root);
    cli_reply_close(&reply);
    return status;
}

/* KEY=VALUE; an empty value takes the field away. False: said what is wrong. */
static bool add_field(json_t *fields, const char *given)
{
    static const char *const names[] = {"admission", "about", "contact", NULL};
    const char *equals = strchr(given, '=');
    char name[SUGGEST_WORD_MAX + 1];
    struct suggest s = {.word = name};
    snprintf(name, sizeof name, "%.*s", (int)strcspn(given, "="), given);
    if (equals == NULL) {
        cli_error("mesh charter set wants KEY=VALUE, not \"%s\"", given);
        return false;
    }
    for (size_t i = 0; names[i] != NULL; i++) {
        suggest_offer(&s, names[i]);
        if (strcmp(names[i], name) != 0)
            continue;
        json_object_set_new(fields, name, equals[1] != '\0' ? json_string(equals + 1) : json_null());
        return true;
    }
    if (s.best != NULL)
        cli_error("the charter has no field \"%s\"; did you mean \"%s\"?", name, s.best);
    else
        cli_error("the charter has no field \"%s\"; there are admission, about and contact", name);
    return false;
}

static enum cli_exit finish(enum cli_exit status, struct cli_reply *reply)
{
    if (status == CLI_OK)
        cli_reply_close(reply);
    return status;
}

static void set_as(const struct cli *c, json_t *body)
{
    if (cli_option(c, "as") != NULL)
        json_object_set_new(body, "as", json_string(cli_option(c, "as")));
}

static enum cli_exit charter_set(struct cli *c)
{
    struct cli_reply reply;
    json_t *fields = json_object(), *body = json_object();
    bool good = c->arg_count > 1;
    if (!good)
        cli_error("mesh charter set wants KEY=VALUE after it: admission, about or contact");
    for (size_t i = 1; i < c->arg_count && good; i++)
        good = add_field(fields, c->args[i]);
    json_object_set_new(body, "fields", fields);
    set_as(c, body);
    if (good)
        return finish(cli_admin(c, "charter-set", body, &reply), &reply);
    json_decref(body);
    return CLI_USAGE;
}

enum cli_exit cli_mesh_charter(struct cli *c)
{
    if (strcmp(c->args[0], "set") == 0)
        return charter_set(c);
    if (strcmp(c->args[0], "show") == 0 && c->arg_count == 1)
        return charter_show(c);
    cli_error("mesh charter wants show, or set KEY=VALUE..., not \"%s\"", c->args[c->arg_count - 1]);
    return CLI_USAGE;
}

/* ---- members ----------------------------------------------------------------------------------------------------- */

static void member_cells(struct cli_table *t, const json_t *row)
{
    cli_table_cell(t, "%s", cli_text(row, "key"));
    cli_table_cell(t, "%s", cli_text(row, "standing"));
    cli_table_cell(t, "%s", cli_text(row, "role"));
    cli_table_cell(t, "%.19s", cli_text(row, "since"));
    cli_table_cell(t, "%.12s", cli_text(row, "by"));
    cli_table_cell(t, "%.12s", cli_text(row, "with"));
}

enum cli_exit cli_mesh_ls(struct cli *c)
{
    static const char *const heads[] = {"KEY", "STANDING", "ROLE", "SINCE", "BY", "WITH"};
    struct cli_reply reply;
    struct cli_rows rows;
    const json_t *row;
    size_t i;
    enum cli_exit status = cli_admin(c, "members", NULL, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    status = root != NULL ? CLI_OK : CLI_FAILED;
    cli_rows_begin(&rows, c, (struct cli_columns){heads, 6, member_cells});
    json_array_foreach(root, i, row) cli_rows_put(&rows, row);
    cli_rows_end(&rows, status);
    json_decref(root);
    cli_reply_close(&reply);
    return status;
}

static bool valid_key(const char *text)
{
    struct key key;
    if (key_parse(&key, bytes_str(text)))
        return true;
    cli_error("a member is named by an author's or a node's key of 64 hex digits, not \"%s\"; souk key ls and souk status "
              "show the keys of a node",
              text);
    return false;
}

enum cli_exit cli_mesh_admit(struct cli *c)
{
    struct cli_reply reply;
    if (!valid_key(c->args[0]))
        return CLI_USAGE;
    json_t *body = cli_object("key", c->args[0]);
    if (cli_option(c, "role") != NULL)
        json_object_set_new(body, "role", json_string(cli_option(c, "role")));
    set_as(c, body);
    return finish(cli_admin(c, "member-admit", body, &reply), &reply);
}

/* How many member entries stand by this key's word; 0 too where the node cannot say. */
static size_t admissions_of(struct cli *c, const char *key)
{
    struct cli_reply reply;
    json_t *row;
    size_t i, n = 0;
    bool operator= false;
    if (cli_admin(c, "members", NULL, &reply) != CLI_OK)
        return 0;
    json_t *root = cli_parse_reply(&reply);
    json_array_foreach(root, i, row)
    {
        bool self = strcmp(cli_text(row, "key"), key) == 0;
        operator= operator|| (self && strcmp(cli_text(row, "standing"), "operator") == 0);
        n += !self && strcmp(cli_text(row, "by"), key) == 0;
    }
    json_decref(root);
    cli_reply_close(&reply);
    return operator? n : 0;
}

/* "restate", "drop", or NULL: the node refuses where it needs to know. */
static const char *what_of_admissions(struct cli *c)
{
    char answer[16] = "";
    if (cli_option(c, "restate") != NULL || cli_option(c, "drop") != NULL)
        return cli_option(c, "restate") != NULL ? "restate" : "drop";
    size_t n = isatty(STDIN_FILENO) && c->progress ? admissions_of(c, c->args[0]) : 0;
    if (n == 0)
        return NULL;
    fprintf(stderr, "This operator's word stands for %zu keys (souk mesh ls). Keep them as the founder's word? [y/N] ", n);
    bool yes = fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
    return yes ? "restate" : NULL;
}

/* ---- invitations ------------------------------------------------------------------------------------------------- */

static bool all_local(const json_t *addresses)
{
    const json_t *row;
    size_t i;
    json_array_foreach(addresses, i, row)
    {
        const char *at = strchr(json_string_value(row), '@');
        if (at == NULL || (strncmp(at, "@127.", 5) != 0 && strncmp(at, "@[::1]", 6) != 0 && strncmp(at, "@localhost:", 11) != 0))
            return false;
    }
    return true;
}

static void print_invitation(const json_t *root)
{
    cli_print_line(bytes_str(cli_text(root, "invitation")));
    cli_note("for one newcomer, until %s: souk run --join INVITATION", cli_text(root, "expires_at"));
    if (all_local(json_object_get(root, "addresses")))
        cli_note("this node listens on loopback only, so the newcomer must be on this machine; --listen, or --address here, "
                 "names an address that others reach");
}

enum cli_exit cli_mesh_invite(struct cli *c)
{
    const char *expires = cli_option(c, "expires"), *address;
    struct cli_reply reply;
    uint64_t seconds = INVITE_DEFAULT_S;
    if (expires != NULL && !invite_span(expires, &seconds)) {
        cli_error("--expires wants a span such as 30m, 12h or 7d, a year at most, not \"%s\"", expires);
        return CLI_USAGE;
    }
    json_t *body = json_object(), *addresses = json_array();
    json_object_set_new(body, "expires_s", json_integer((json_int_t)seconds));
    json_object_set_new(body, "addresses", addresses);
    for (size_t i = 0; (address = cli_option_at(c, "address", i)) != NULL; i++)
        json_array_append_new(addresses, json_string(address));
    if (cli_option(c, "role") != NULL)
        json_object_set_new(body, "role", json_string(cli_option(c, "role")));
    set_as(c, body);
    enum cli_exit status = cli_admin(c, "mesh-invite", body, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    if (root == NULL)
        status = CLI_FAILED;
    else if (c->format != CLI_HUMAN)
        status = cli_print_reply(c, &reply);
    else
        print_invitation(root);
    json_decref(root);
    cli_reply_close(&reply);
    return status;
}

enum cli_exit cli_mesh_remove(struct cli *c)
{
    struct cli_reply reply;
    if (!valid_key(c->args[0]))
        return CLI_USAGE;
    const char *what = what_of_admissions(c);
    json_t *body = cli_object("key", c->args[0]);
    if (what != NULL)
        json_object_set_new(body, what, json_true());
    if (cli_option(c, "only") != NULL)
        json_object_set_new(body, "only", json_true());
    set_as(c, body);
    enum cli_exit status = cli_admin(c, "member-remove", body, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    if (c->format != CLI_HUMAN)
        status = cli_print_reply(c, &reply);
    else if (cli_text(root, "also")[0] != '\0')
        cli_note("removed with it: %s, which the same invitation brought in (--only removes one key alone)",
                 cli_text(root, "also"));
    else if (cli_int(root, "restated") > 0)
        cli_note("%lld admissions are the founder's word now", cli_int(root, "restated"));
    json_decref(root);
    cli_reply_close(&reply);
    return status;
}
