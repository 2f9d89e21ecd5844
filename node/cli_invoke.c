/*
 * invoke: input from the command line, a file or stdin; output to stdout as the program gave it, the receipt to a file.
 */
#include "node/cli.h"

#include "crdt/alloc.h"
#include "crdt/limits.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum cli_exit read_input(const struct cli *c, struct buf *out)
{
    const char *given = cli_option(c, "d");
    if (given == NULL)
        return CLI_OK;
    if (strcmp(given, "-") == 0)
        return cli_slurp("-", API_INVOKE_INPUT_MAX, out);
    if (given[0] == '@')
        return cli_slurp(given + 1, API_INVOKE_INPUT_MAX, out);
    buf_put_str(out, given);
    return CLI_OK;
}

/* What the input is: JSON if it reads as such, else text, else bytes. */
static const char *type_of(struct bytes input)
{
    json_t *value = json_loadb((const char *)input.p, input.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_decref(value);
    return value != NULL ? "application/json" : utf8_valid(input) ? "text/plain" : "application/octet-stream";
}

static void put_path(const struct cli *c, const struct kind_desc *kind, struct buf *out)
{
    const char *on = cli_option(c, "on");
    cli_put_entry_path(out, kind, c->args[0], "/invoke");
    if (on != NULL) {
        buf_put_str(out, "?on=");
        cli_put_escaped(out, on);
    }
}

/* Asks as a model, then as an agent. */
static enum cli_exit ask(struct cli *c, struct cli_request *r, struct cli_reply *reply)
{
    static const char *const kinds[] = {"model", "agent"};
    enum cli_exit status = CLI_FAILED;
    for (size_t i = 0; i < 2; i++) {
        struct buf path = {0};
        put_path(c, cli_kind(kinds[i]), &path);
        r->path = buf_cstr(&path);
        status = cli_exchange(c, r, reply);
        buf_close(&path);
        if (status != CLI_OK || i == 1 || reply->status != 404)
            return status;
        json_t *problem = json_loadb((const char *)reply->body.p, reply->body.n, 0, NULL);
        bool known = strcmp(cli_text(problem, "code"), "not_deployed") == 0;
        json_decref(problem);
        if (known)
            return CLI_OK;
        cli_reply_close(reply);
    }
    return status;
}

static enum cli_exit write_receipt(const struct cli *c, const json_t *root)
{
    const char *path = cli_option(c, "receipt");
    const json_t *receipt = json_object_get(root, "receipt");
    if (path == NULL || !json_is_object(receipt))
        return CLI_OK;
    errno = 0;
    FILE *file = fopen(path, "we");
    bool ok = file != NULL && json_dumpf(receipt, file, JSON_COMPACT) == 0 && fputc('\n', file) != EOF;
    ok = file != NULL && fclose(file) == 0 && ok;
    if (!ok)
        cli_error("cannot write %s: %s; `souk receipt ls` lists the receipt, which the node keeps", path, strerror(errno));
    return ok ? CLI_OK : CLI_FAILED;
}

static enum cli_exit print_bytes(const char *text)
{
    size_t max = strlen(text), n;
    uint8_t *bytes = mem_alloc(max + 1);
    bool ok = sodium_base642bin(bytes, max + 1, text, max, NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) == 0;
    if (ok)
        ok = cli_print(bytes_of(bytes, n));
    free(bytes);
    return ok ? CLI_OK : CLI_FAILED;
}

static enum cli_exit print_output(const struct cli *c, const struct cli_reply *reply, const json_t *root)
{
    const json_t *output = json_object_get(root, "output");
    const char *text = json_string_value(output);
    if (c->format != CLI_HUMAN)
        return cli_print_reply(c, reply);
    if (text != NULL && strcmp(cli_text(root, "encoding"), "base64") == 0)
        return print_bytes(text);
    if (text != NULL)
        return cli_print(bytes_of(text, json_string_length(output))) ? CLI_OK : CLI_FAILED;
    char *json = json_dumps(output, JSON_ENCODE_ANY | JSON_COMPACT);
    bool ok = json != NULL && cli_print_line(bytes_str(json));
    free(json);
    return ok ? CLI_OK : CLI_FAILED;
}

/* The rest of a number of seconds, checked where the option is read and passed on as it is. */
static bool good_timeout(const char *text)
{
    char *end;
    if (text == NULL)
        return true;
    double seconds = strtod(text, &end);
    if (*end == '\0' && seconds > 0 && seconds <= 86400)
        return true;
    cli_error("--timeout wants a number of seconds up to 86400, not \"%s\"", text);
    return false;
}

static enum cli_exit no_entry(const char *name)
{
    cli_error("there is no model or agent %s here; `souk search` finds entries by words", name);
    return CLI_NOT_FOUND;
}

enum cli_exit cli_invoke(struct cli *c)
{
    struct buf input = {0};
    struct cli_reply reply;
    const char *timeout = cli_option(c, "timeout");
    if (!good_timeout(timeout))
        return CLI_USAGE;
    enum cli_exit status = read_input(c, &input);
    if (status != CLI_OK)
        return status;
    struct cli_request r = {.method = "POST", .body = buf_view(&input), .content_type = type_of(buf_view(&input)),
                            .timeout = timeout, .timeout_ms = CLI_PATIENT};
    if (r.body.p == NULL)
        r.body = bytes_of("", 0);
    status = ask(c, &r, &reply);
    buf_close(&input);
    if (status != CLI_OK)
        return status;
    bool ok = reply.status == 200;
    json_t *root = json_loadb((const char *)reply.body.p, reply.body.n, JSON_ALLOW_NUL, NULL);
    enum cli_exit written = write_receipt(c, root);
    if (ok)
        status = print_output(c, &reply, root);
    else if (strcmp(cli_text(root, "code"), "not_found") == 0) /* neither: the answer tells of agents alone */
        status = no_entry(c->args[0]);
    else
        status = cli_problem(&reply);
    json_decref(root);
    cli_reply_close(&reply);
    return status == CLI_OK ? written : status;
}
