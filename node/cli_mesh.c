/*
 * The node and its mesh: status, changes of peers, sync, log. What peers look like: cli_peers.c.
 */
#include "node/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum cli_exit cli_admin(struct cli *c, const char *verb, json_t *body, struct cli_reply *reply)
{
    static const char *const patient[] = {"verify", "sync", "blob-pull", "deploy-add"};
    char path[128];
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    snprintf(path, sizeof path, "/admin/%s", verb);
    struct cli_request r = {.method = body != NULL ? "POST" : "GET", .path = path};
    for (size_t i = 0; i < sizeof patient / sizeof *patient; i++)
        if (strcmp(verb, patient[i]) == 0)
            r.timeout_ms = CLI_PATIENT;
    if (text != NULL)
        r.body = bytes_str(text);
    enum cli_exit status = cli_call(c, &r, reply);
    free(text);
    json_decref(body);
    return status;
}

json_t *cli_object(const char *member, const char *value)
{
    json_t *object = json_object();
    json_object_set_new(object, member, json_string(value));
    return object;
}

/* ---- status ------------------------------------------------------------------------------------------------------ */

static void line(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(const char *name, const char *format, ...)
{
    va_list args;
    printf("%-12s", name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

/* While a copy runs. */
static void print_copy(const json_t *copy)
{
    struct buf text = {0};
    if (!json_is_true(json_object_get(copy, "running")))
        return;
    cli_put_copy(&text, copy);
    line("copying", "%s", buf_cstr(&text));
    buf_close(&text);
}

static void print_status(const struct cli *c, const json_t *s)
{
    const json_t *entries = json_object_get(s, "entries");
    struct buf uptime = {0}, size = {0};
    cli_put_seconds(&uptime, (uint64_t)cli_int(s, "uptime_s"));
    cli_put_bytes(&size, (uint64_t)cli_int(s, "store_bytes"));
    line("node", "%s  %s", cli_text(s, "name"), cli_text(s, "id"));
    line("mesh", "%s", cli_text(s, "mesh_id"));
    line("version", "%s, up %s, %s", cli_text(s, "version"), buf_cstr(&uptime),
         json_is_true(json_object_get(s, "ready")) ? "ready" : "not ready");
    line("entries", "%lld models, %lld agents, %lld servers, %lld nodes", cli_int(entries, "model"),
         cli_int(entries, "agent"), cli_int(entries, "server"), cli_int(entries, "node"));
    line("deltas", "%lld with %lld ops, %s on disk", cli_int(s, "deltas"), cli_int(s, "ops"), buf_cstr(&size));
    print_copy(json_object_get(s, "copy"));
    line("digest", "%s", cli_text(s, "digest"));
    line("state", "%s", cli_text(s, "state_hash"));
    line("attention", "%lld conflicts, %lld deferred, %lld rejected", cli_int(s, "conflicts"), cli_int(s, "deferred"),
         cli_int(s, "rejected"));
    if (json_array_size(json_object_get(s, "peers")) > 0) {
        printf("\n");
        cli_print_peers(c, json_object_get(s, "peers"));
    }
    buf_close(&uptime);
    buf_close(&size);
}

static enum cli_exit status_once(struct cli *c)
{
    struct cli_reply reply;
    enum cli_exit status = cli_admin(c, "status", NULL, &reply);
    return status != CLI_OK ? status : cli_show(c, &reply, print_status);
}

enum cli_exit cli_status(struct cli *c)
{
    enum cli_exit status = CLI_OK;
    if (cli_option(c, "w") == NULL)
        return status_once(c);
    while (status == CLI_OK && !ferror(stdout)) {
        if (c->format == CLI_HUMAN && isatty(STDOUT_FILENO))
            fputs("\033[H\033[2J", stdout);
        status = status_once(c);
        fflush(stdout);
        sleep(1);
    }
    return status;
}

/* ---- peers ------------------------------------------------------------------------------------------------------- */

static enum cli_exit finish(enum cli_exit status, struct cli_reply *reply)
{
    if (status == CLI_OK)
        cli_reply_close(reply);
    return status;
}

/* peer add, rm, ban, unban: the second word of the verb names the admin verb. */
enum cli_exit cli_peer_change(struct cli *c)
{
    char verb[32];
    struct cli_reply reply;
    bool add = strcmp(c->verb->words, "peer add") == 0;
    snprintf(verb, sizeof verb, "peer-%s", c->verb->words + strlen("peer "));
    return finish(cli_admin(c, verb, cli_object(add ? "address" : "id", c->args[0]), &reply), &reply);
}

enum cli_exit cli_log(struct cli *c)
{
    struct cli_reply reply;
    return finish(cli_admin(c, "log", cli_object("level", c->args[0]), &reply), &reply);
}
