/*
 * What several verbs need: kinds by word, paths of entries, files, and answers taken apart.
 */
#include "node/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

const struct kind_desc *cli_kind(const char *word)
{
    const struct kind_desc *kind = kind_by_word(word);
    if (kind != NULL && kind->kind <= KIND_NODE)
        return kind;
    cli_error("\"%s\" is no kind; the kinds are model, agent, server and node", word);
    return NULL;
}

const struct kind_desc *cli_kind_to_write(const char *word)
{
    const struct kind_desc *kind = kind_by_word(word);
    if (kind != NULL && kind->client_writes)
        return kind;
    if (kind != NULL && kind->kind == KIND_NODE)
        cli_error("a node's entry is written by that node alone; the kinds to write are model, agent and server");
    else
        cli_error("\"%s\" is no kind to write; these are model, agent and server", word);
    return NULL;
}

bool cli_is_text(const char *what, const char *text)
{
    bool valid = utf8_valid(bytes_str(text));
    if (!valid)
        cli_error("%s is not UTF-8, which the node takes alone; is the terminal's locale another?", what);
    return valid;
}

enum cli_exit cli_slurp(const char *path, size_t max, struct buf *out)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;
    if (fd < 0) {
        cli_error("cannot read %s: %s", path, strerror(errno));
        return CLI_FAILED;
    }
    do {
        n = read(fd, buf_grow(out, 65536), 65536);
        out->n += n > 0 ? (size_t)n : 0;
    } while ((n > 0 || (n < 0 && errno == EINTR)) && out->n <= max);
    int code = errno;
    if (!standard)
        close(fd);
    if (n < 0)
        cli_error("cannot read %s: %s", path, strerror(code));
    else if (out->n > max)
        cli_error("%s has more than %zu bytes", standard ? "the input" : path, max);
    return n < 0 || out->n > max ? CLI_FAILED : CLI_OK;
}

void cli_put_entry_path(struct buf *out, const struct kind_desc *kind, const char *id_or_name, const char *rest)
{
    buf_printf(out, "/%s/", kind->plural);
    cli_put_escaped(out, id_or_name);
    buf_put_str(out, rest);
}

json_t *cli_parse_reply(const struct cli_reply *reply)
{
    json_error_t fault;
    json_t *root = json_loadb((const char *)reply->body.p, reply->body.n, JSON_DECODE_ANY, &fault);
    if (root == NULL)
        cli_error("the node's answer is not JSON (%s); is it of another version?", fault.text);
    return root;
}

const char *cli_text(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text != NULL ? text : "";
}

long long cli_int(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

static bool print_json_line(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    bool ok = cli_print_line(bytes_str(text));
    free(text);
    return ok;
}

enum cli_exit cli_print_reply(const struct cli *c, const struct cli_reply *reply)
{
    json_t *root, *row;
    size_t i;
    if (c->format != CLI_JSONL) {
        cli_print_line(buf_view(&reply->body));
        return CLI_OK;
    }
    root = cli_parse_reply(reply);
    if (root == NULL)
        return CLI_FAILED;
    if (!json_is_array(root))
        print_json_line(root);
    else
        json_array_foreach(root, i, row)
        {
            if (!print_json_line(row))
                break;
        }
    json_decref(root);
    return CLI_OK;
}

enum cli_exit cli_show(const struct cli *c, struct cli_reply *reply,
                       void (*human)(const struct cli *c, const json_t *root))
{
    enum cli_exit status = CLI_OK;
    json_t *root = c->format == CLI_HUMAN ? cli_parse_reply(reply) : NULL;
    if (c->format != CLI_HUMAN)
        status = cli_print_reply(c, reply);
    else if (root == NULL)
        status = CLI_FAILED;
    else
        human(c, root);
    json_decref(root);
    cli_reply_close(reply);
    return status;
}
