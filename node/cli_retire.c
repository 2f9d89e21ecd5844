/*
 * souk key retire and souk key succeed: repeat the node's portions until nothing is left to move, and keep wills in files.
 */
#include "node/cli.h"

#include <stdio.h>
#include <string.h>

static void tell_failed(const json_t *names)
{
    const json_t *name;
    size_t i;
    json_array_foreach(names, i, name)
        cli_error("\"%s\" was left where it is: it breaks rules of its schema; mend it and retire the key again", json_string_value(name));
}

static enum cli_exit portion(struct cli *c, long long *moved, long long *left, long long *failed)
{
    struct cli_reply reply;
    json_t *body = cli_object("old", c->args[0]);
    json_object_set_new(body, "new", json_string(c->args[1]));
    enum cli_exit status = cli_admin(c, "key-retire", body, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    if (root == NULL)
        status = CLI_FAILED;
    *moved += cli_int(root, "moved");
    *left = cli_int(root, "left");
    *failed = (long long)json_array_size(json_object_get(root, "failed"));
    if (*left == 0)
        tell_failed(json_object_get(root, "failed"));
    json_decref(root);
    cli_reply_close(&reply);
    return status;
}

/* ---- wills ------------------------------------------------------------------------------------------------------- */

#define WILL_TITLE   "souk-will 1"
#define WILL_MAX     (64u << 20)
#define WILL_PORTION 200

static enum cli_exit make_will(struct cli *c, const char *path)
{
    struct cli_reply reply;
    struct buf text = {0};
    const json_t *row;
    size_t i;
    json_t *body = cli_object("old", c->args[0]);
    json_object_set_new(body, "new", json_string(c->args[1]));
    enum cli_exit status = cli_admin(c, "key-will", body, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply), *will = json_object_get(root, "will");
    buf_put_str(&text, WILL_TITLE "\n");
    json_array_foreach(will, i, row) buf_printf(&text, "%s\n", json_string_value(row));
    status = root != NULL ? cli_write_private(path, buf_cstr(&text)) : CLI_FAILED;
    if (status == CLI_OK)
        cli_note("%zu entries of %s are in %s; souk key succeed hands them over when the key is lost. Entries made later are not in it: "
                 "make it anew then",
                 json_array_size(will), c->args[0], path);
    json_decref(root);
    cli_reply_close(&reply);
    buf_close(&text);
    return status;
}

/* The next lines of the will as an array; empty at its end. */
static json_t *next_lines(const char **at)
{
    json_t *rows = json_array();
    while (json_array_size(rows) < WILL_PORTION && **at != '\0') {
        size_t n = strcspn(*at, "\n");
        if (n > 0)
            json_array_append_new(rows, json_stringn(*at, n));
        *at += n + ((*at)[n] == '\n');
    }
    return rows;
}

static enum cli_exit follow_portion(struct cli *c, json_t *rows, long long *moved)
{
    struct cli_reply reply;
    json_t *body = json_object();
    json_object_set_new(body, "bundles", rows);
    json_object_set_new(body, "as", json_string(cli_option(c, "as") != NULL ? cli_option(c, "as") : DIR_PUBLISHER));
    enum cli_exit status = cli_admin(c, "key-succeed", body, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    *moved += cli_int(root, "moved");
    tell_failed(json_object_get(root, "failed"));
    json_decref(root);
    cli_reply_close(&reply);
    return CLI_OK;
}

static enum cli_exit follow_will(struct cli *c, const char *at)
{
    long long moved = 0;
    while (*at != '\0') {
        enum cli_exit status = follow_portion(c, next_lines(&at), &moved);
        if (status != CLI_OK)
            return status;
    }
    if (c->format == CLI_HUMAN)
        printf("%lld entries taken over\n", moved);
    else
        printf("{\"moved\":%lld}\n", moved);
    return CLI_OK;
}

enum cli_exit cli_key_succeed(struct cli *c)
{
    struct buf text = {0};
    const size_t head = sizeof WILL_TITLE; /* with the newline */
    enum cli_exit status = cli_slurp(c->args[0], WILL_MAX, &text);
    if (status == CLI_OK && (strncmp(buf_cstr(&text), WILL_TITLE "\n", head) != 0 || !utf8_valid(buf_view(&text)))) {
        cli_error("%s is not a will, as souk key retire OLD NEW --will FILE writes it", c->args[0]);
        status = CLI_FAILED;
    }
    if (status == CLI_OK)
        status = follow_will(c, buf_cstr(&text) + head);
    buf_close(&text);
    return status;
}

/* ---- retiring ---------------------------------------------------------------------------------------------------- */

enum cli_exit cli_key_retire(struct cli *c)
{
    if (cli_option(c, "will") != NULL)
        return make_will(c, cli_option(c, "will"));
    struct cli_progress progress;
    long long moved = 0, left = 1, failed = 0;
    enum cli_exit status = CLI_OK;
    cli_progress_begin(&progress, c, "entries", 0);
    while (status == CLI_OK && left > 0) {
        status = portion(c, &moved, &left, &failed);
        progress.total = (uint64_t)(moved + left);
        cli_progress_draw(&progress, (uint64_t)moved, (uint64_t)moved);
    }
    cli_progress_clear(&progress);
    if (status != CLI_OK)
        return status;
    if (c->format == CLI_HUMAN)
        printf("%lld entries of %s are now %s's\n", moved, c->args[0], c->args[1]);
    else
        printf("{\"moved\":%lld,\"failed\":%lld}\n", moved, failed);
    return failed > 0 ? CLI_FAILED : CLI_OK;
}
