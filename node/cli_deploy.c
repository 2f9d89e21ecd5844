/*
 * deploy, deploy ls, deploy rm: a manifest from file, options and command, handed to the node. Paths are made absolute here,
 * since the node has a working directory of its own.
 */
#include "node/cli.h"

#include "node/deployment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANIFEST_MAX (1u << 20)

static json_t *read_manifest(const char *path)
{
    struct buf text = {0};
    json_error_t fault;
    if (cli_slurp(path, MANIFEST_MAX, &text) != CLI_OK)
        return NULL;
    json_t *root = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &fault);
    buf_close(&text);
    if (root == NULL)
        cli_error("%s is not JSON: line %d, column %d: %s", path, fault.line, fault.column, fault.text);
    else if (!json_is_object(root)) {
        cli_error("%s is not a manifest: it must be a JSON object", path);
        json_decref(root);
        root = NULL;
    }
    return root;
}

/* A path that means the same to the node; NULL after a message. Freed by the caller. */
static char *absolute(const char *path)
{
    char *whole = realpath(path, NULL);
    if (whole == NULL)
        cli_error("there is no %s: %s", path, strerror(errno));
    return whole;
}

/* The command: a program named with a slash is one of this machine's files. */
static bool set_command(const struct cli *c, json_t *manifest)
{
    json_t *list;
    if (c->arg_count > 1) {
        list = json_array();
        json_object_set_new(manifest, "command", list);
        for (size_t i = 1; i < c->arg_count; i++) {
            if (!cli_is_text("the command", c->args[i]))
                return false;
            json_array_append_new(list, json_string(c->args[i]));
        }
    }
    list = json_object_get(manifest, "command");
    const char *program = json_string_value(json_array_get(list, 0));
    if (program == NULL && json_object_size(manifest) > 0 && list == NULL && cli_option(c, "manifest") != NULL)
        return true; /* the node says what is wrong with the manifest, a misspelt "command" too */
    if (program == NULL) {
        cli_error("a command is missing: souk deploy NAME [OPTION]... -- COMMAND ARGS..., or \"command\" in a manifest");
        return false;
    }
    if (strchr(program, '/') == NULL)
        return true;
    char *whole = absolute(program);
    if (whole != NULL)
        json_array_set_new(list, 0, json_string(whole));
    free(whole);
    return whole != NULL;
}

static bool add_mount(json_t *mounts, const char *text)
{
    const char *colon = strrchr(text, ':');
    char from[SANDBOX_PATH_MAX];
    if (colon == NULL || colon == text || colon[1] != '/' || (size_t)(colon - text) >= sizeof from) {
        cli_error("--mount wants FROM:TO with an absolute TO, not \"%s\"", text);
        return false;
    }
    snprintf(from, sizeof from, "%.*s", (int)(colon - text), text);
    json_t *row = json_object();
    json_object_set_new(row, "to", json_string(colon + 1));
    json_array_append_new(mounts, row);
    if (strncmp(from, "blob=", 5) == 0) {
        json_object_set_new(row, "blob", json_string(from + 5));
        return true;
    }
    char *whole = absolute(from);
    if (whole != NULL)
        json_object_set_new(row, "from", json_string(whole));
    free(whole);
    return whole != NULL;
}

static json_t *member(json_t *manifest, const char *name, json_t *fresh)
{
    json_t *there = json_object_get(manifest, name);
    if (there == NULL) {
        json_object_set_new(manifest, name, fresh);
        return fresh;
    }
    json_decref(fresh);
    return there;
}

static bool add_lists(const struct cli *c, json_t *manifest)
{
    const char *text;
    for (size_t i = 0; (text = cli_option_at(c, "mount", i)) != NULL; i++)
        if (!add_mount(member(manifest, "mounts", json_array()), text))
            return false;
    for (size_t i = 0; (text = cli_option_at(c, "env", i)) != NULL; i++) {
        const char *equals = strchr(text, '=');
        char name[256];
        if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof name) {
            cli_error("--env wants NAME=VALUE, not \"%s\"", text);
            return false;
        }
        if (!cli_is_text("--env", text))
            return false;
        snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
        json_object_set_new(member(manifest, "env", json_object()), name, json_string(equals + 1));
    }
    return true;
}

static bool add_numbers(const struct cli *c, json_t *manifest)
{
    static const struct {
        const char *option, *group, *name;
        uint64_t min, max;
    } rows[] = {{"memory", "limits", "memory_mb", 1, 1u << 20},
                {"timeout", "limits", "wall_s", 1, 86400},
                {"workers", NULL, "workers", 0, DEPLOYMENT_WORKERS_MAX}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t v = 0;
        if (cli_option(c, rows[i].option) == NULL)
            continue;
        if (!cli_option_uint(c, rows[i].option, rows[i].min, rows[i].max, &v))
            return false;
        json_t *at = rows[i].group != NULL ? member(manifest, rows[i].group, json_object()) : manifest;
        json_object_set_new(at, rows[i].name, json_integer((json_int_t)v));
    }
    return true;
}

static void add_words(const struct cli *c, json_t *manifest)
{
    static const char *const kinds[] = {"input", "output"};
    for (size_t i = 0; i < 2; i++)
        if (cli_option(c, kinds[i]) != NULL)
            json_object_set_new(manifest, kinds[i], json_string(cli_option(c, kinds[i])));
    if (cli_option(c, "share") != NULL)
        json_object_set_new(manifest, "share", json_true());
    if (cli_option(c, "allow-weak") != NULL)
        json_object_set_new(manifest, "allow_weak", json_true());
}

static json_t *make_manifest(const struct cli *c)
{
    const char *path = cli_option(c, "manifest");
    json_t *manifest = path != NULL ? read_manifest(path) : json_object();
    if (manifest == NULL)
        return NULL;
    add_words(c, manifest);
    if (set_command(c, manifest) && add_lists(c, manifest) && add_numbers(c, manifest))
        return manifest;
    json_decref(manifest);
    return NULL;
}

static void print_deployed(const json_t *row)
{
    json_t *file, *layer;
    size_t i;
    printf("%s is deployed for %s %s\n", cli_text(row, "entry"), cli_text(row, "kind"), cli_text(row, "name"));
    json_array_foreach(json_object_get(row, "files"), i, file)
        printf("  %s  %s\n", cli_text(file, "blake2b"), cli_text(file, "path"));
    printf("  layers:");
    json_array_foreach(json_object_get(row, "layers"), i, layer)
        if (json_is_true(json_object_get(layer, "active")))
            printf(" %s", cli_text(layer, "layer"));
    printf("\n");
    json_array_foreach(json_object_get(row, "layers"), i, layer)
        if (!json_is_true(json_object_get(layer, "active")))
            printf("  missing: %s (%s): %s\n", cli_text(layer, "layer"), cli_text(layer, "meaning"), cli_text(layer, "missing"));
}

enum cli_exit cli_deploy(struct cli *c)
{
    struct cli_reply reply;
    json_t *manifest = make_manifest(c);
    if (manifest == NULL)
        return CLI_USAGE;
    json_t *body = cli_object("entry", c->args[0]);
    json_object_set_new(body, "manifest", manifest);
    enum cli_exit status = cli_admin(c, "deploy-add", body, &reply);
    if (status != CLI_OK)
        return status;
    json_t *row = c->format == CLI_HUMAN ? cli_parse_reply(&reply) : NULL;
    if (c->format != CLI_HUMAN)
        status = cli_print_reply(c, &reply);
    else if (row == NULL)
        status = CLI_FAILED;
    else
        print_deployed(row);
    json_decref(row);
    cli_reply_close(&reply);
    return status;
}

static void cells(struct cli_table *t, const json_t *row)
{
    const json_t *manifest = json_object_get(row, "manifest");
    const json_t *command = json_object_get(manifest, "command");
    struct buf text = {0};
    for (size_t i = 0; i < json_array_size(command) && text.n < 60; i++)
        buf_printf(&text, "%s%.60s", i > 0 ? " " : "", json_string_value(json_array_get(command, i)));
    cli_table_cell(t, "%.12s", cli_text(row, "entry"));
    cli_table_cell(t, "%s", cli_text(row, "name"));
    cli_table_cell(t, "%s", cli_text(row, "state"));
    cli_table_cell(t, "%s", json_is_true(json_object_get(manifest, "share")) ? "yes" : "no");
    cli_table_cell(t, "%lld", cli_int(row, "running"));
    cli_table_cell(t, "%s", buf_cstr(&text));
    buf_close(&text);
}

enum cli_exit cli_deploy_ls(struct cli *c)
{
    static const char *const heads[] = {"ENTRY", "NAME", "STATE", "SHARED", "RUNNING", "COMMAND"};
    struct cli_reply reply;
    struct cli_rows rows;
    const json_t *row;
    size_t i;
    enum cli_exit status = cli_admin(c, "deploys", NULL, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    status = root != NULL ? CLI_OK : CLI_FAILED;
    cli_rows_begin(&rows, c, (struct cli_columns){heads, 6, cells});
    json_array_foreach(root, i, row) cli_rows_put(&rows, row);
    cli_rows_end(&rows, status);
    json_array_foreach(root, i, row)
        if (c->format == CLI_HUMAN && cli_text(row, "detail")[0] != '\0')
            cli_note("%s: %s", cli_text(row, "name"), cli_text(row, "detail"));
    json_decref(root);
    cli_reply_close(&reply);
    return status;
}

enum cli_exit cli_deploy_rm(struct cli *c)
{
    struct cli_reply reply;
    enum cli_exit status = cli_admin(c, "deploy-rm", cli_object("entry", c->args[0]), &reply);
    if (status == CLI_OK)
        cli_reply_close(&reply);
    return status;
}
