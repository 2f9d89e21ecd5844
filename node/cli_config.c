/*
 * Verbs that need no node: init, config, version, help.
 */
#include "node/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum cli_exit cli_version(struct cli *c)
{
    if (c->format == CLI_HUMAN)
        printf("souk %s\n", SOUK_VERSION);
    else
        printf("{\"version\":\"%s\"}\n", SOUK_VERSION);
    return CLI_OK;
}

enum cli_exit cli_help(struct cli *c)
{
    struct buf out = {0};
    const char *what = c->arg_count > 0 ? c->args[0] : "";
    if (strcmp(what, "man") == 0)
        cli_man(&out);
    else if (strcmp(what, "completion") == 0)
        cli_completion(&out);
    else if (what[0] == '\0')
        cli_help_all(&out);
    else {
        cli_error("souk help wants man, completion or nothing, not \"%s\"; try souk %s --help", what, what);
        return CLI_USAGE;
    }
    cli_print(buf_view(&out));
    buf_close(&out);
    return CLI_OK;
}

/* ---- config ------------------------------------------------------------------------------------------------------ */

static void setting_cells(struct cli_table *t, const json_t *row)
{
    cli_table_cell(t, "%s", cli_text(row, "key"));
    cli_table_cell(t, "%s", cli_text(row, "value"));
    cli_table_cell(t, "%s", cli_text(row, "origin"));
    cli_table_cell(t, "%s", cli_text(row, "about"));
}

static json_t *setting(const struct config *config, enum config_key key)
{
    struct buf where = {0};
    json_t *row = cli_object("key", config_desc(key)->name);
    config_where(config, key, &where);
    json_object_set_new(row, "value", json_string(config_text(config, key)));
    json_object_set_new(row, "origin", json_string(buf_cstr(&where)));
    json_object_set_new(row, "default", json_string(config_desc(key)->fallback));
    json_object_set_new(row, "reload", json_boolean(config_desc(key)->reload == CONFIG_ON_RELOAD));
    json_object_set_new(row, "about", json_string(config_desc(key)->about));
    buf_close(&where);
    return row;
}

/* Reads the settings; the faults, if any, are told. */
static enum err load(const struct cli *c, struct config *config)
{
    struct buf why = {0};
    config_init(config);
    enum err err = dir_config(c->dir, config, &why);
    enum err whole = config_finish(config, &why);
    if (why.n > 0)
        fputs(buf_cstr(&why), stderr);
    buf_close(&why);
    return err == ERR_OK ? whole : err;
}

enum cli_exit cli_config_show(struct cli *c)
{
    static const char *const heads[] = {"KEY", "VALUE", "FROM", "ABOUT"};
    struct config config;
    struct cli_rows rows;
    enum err err = load(c, &config);
    cli_rows_begin(&rows, c, (struct cli_columns){heads, 4, setting_cells});
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        json_t *row = setting(&config, (enum config_key)i);
        cli_rows_put(&rows, row);
        json_decref(row);
    }
    cli_rows_end(&rows, CLI_OK);
    config_close(&config);
    return err == ERR_OK ? CLI_OK : CLI_FAILED;
}

enum cli_exit cli_config_check(struct cli *c)
{
    struct config config;
    char path[DIR_PATH_MAX + 16];
    enum err err = load(c, &config);
    config_close(&config);
    if (err != ERR_OK)
        return CLI_FAILED;
    snprintf(path, sizeof path, "%s/souk.conf", c->dir);
    if (c->format == CLI_HUMAN && access(path, F_OK) != 0)
        printf("the settings are in order; there is no %s, so what no variable sets is as by default\n", path);
    else if (c->format == CLI_HUMAN)
        printf("the settings of %s are in order\n", c->dir);
    else
        printf("{\"ok\":true}\n");
    return CLI_OK;
}

/* ---- init -------------------------------------------------------------------------------------------------------- */

bool cli_setup_options(const struct cli *c, struct dir_setup *out)
{
    const char *mesh = cli_option(c, "mesh"), *new_mesh = cli_option(c, "new-mesh");
    const char *admission = cli_option(c, "admission");
    *out = (struct dir_setup){.has_mesh = mesh != NULL, .has_admission = admission != NULL};
    if (mesh != NULL && new_mesh != NULL) {
        cli_error("--mesh joins a mesh and --new-mesh founds one; give one of them");
        return false;
    }
    if (mesh != NULL && !id_parse(&out->mesh, bytes_str(mesh))) {
        cli_error("--mesh wants the 64 hex digits of a mesh id, not \"%s\"", mesh);
        return false;
    }
    if (new_mesh != NULL)
        out->new_mesh = bytes_str(new_mesh);
    bool members = admission != NULL && strcmp(admission, "members") == 0;
    if (admission != NULL && !members && strcmp(admission, "open") != 0) {
        cli_error("--admission wants open or members, not \"%s\"", admission);
        return false;
    }
    if (admission != NULL && mesh != NULL) {
        cli_error("--admission is decided by the founder of a mesh; it goes with --new-mesh");
        return false;
    }
    out->admission = members ? ADMISSION_MEMBERS : ADMISSION_OPEN;
    return true;
}

/* Before anything is made: a name that is refused leaves no directory behind. */
static enum err check_name(const char *name, struct buf *why)
{
    struct config config;
    config_init(&config);
    enum err err = name != NULL ? config_set(&config, "name", bytes_str(name), CONFIG_FLAG, why) : ERR_OK;
    config_close(&config);
    return err;
}

/* Writes a first souk.conf that holds the name. */
static enum err write_name(const struct cli *c, const char *name, struct buf *why)
{
    struct buf text = {0};
    buf_printf(&text, "name = %s\n", name);
    enum err err = dir_create(c->dir, "souk.conf", buf_view(&text), why);
    buf_close(&text);
    if (err == ERR_CONFLICT)
        buf_put_str(why, ": change the line `name` in it");
    return err;
}

static void print_init(const struct cli *c, const struct mesh_file *mesh, const struct key *node)
{
    char id[ID_HEX_SIZE], key[ID_HEX_SIZE];
    id_hex(id, &mesh->id);
    key_hex(key, node);
    if (c->format == CLI_HUMAN)
        printf("directory  %s\nnode       %s\nmesh       %s%s%s\n", c->dir, key, id, mesh->has_founder ? "  " : "",
               mesh->name);
    else
        printf("{\"dir\":\"%s\",\"id\":\"%s\",\"mesh_id\":\"%s\"}\n", c->dir, key, id);
}

enum cli_exit cli_init(struct cli *c)
{
    struct dir_setup setup;
    struct mesh_file mesh;
    struct dir_keys keys;
    struct buf why = {0};
    int lock = -1;
    if (!cli_setup_options(c, &setup))
        return CLI_USAGE;
    enum err err = check_name(cli_option(c, "name"), &why);
    if (err == ERR_OK)
        err = dir_make(c->dir, &why);
    if (err == ERR_OK)
        err = dir_lock(c->dir, &lock, &why);
    if (err == ERR_OK)
        err = dir_setup(c->dir, &setup, &mesh, &why);
    if (err == ERR_OK)
        err = dir_node_keys(c->dir, &keys, &why);
    if (err == ERR_OK && cli_option(c, "name") != NULL)
        err = write_name(c, cli_option(c, "name"), &why);
    if (err != ERR_OK)
        return cli_fail(err, &why);
    print_init(c, &mesh, &keys.node.key);
    sodium_memzero(&keys, sizeof keys);
    buf_close(&why);
    return CLI_OK;
}
