/*
 * Tokens, author keys and writers. Keys never pass through the shell's history: a passphrase is asked
 * for on the terminal or taken from the environment.
 */
#include "node/cli.h"

#include "node/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

/* Calls an admin verb that makes something, and prints the one member of its answer that people want. */
static enum cli_exit print_made(struct cli *c, const char *verb, json_t *body,
                                void (*human)(const struct cli *c, const json_t *root))
{
    struct cli_reply reply;
    enum cli_exit status = cli_admin(c, verb, body, &reply);
    return status != CLI_OK ? status : cli_show(c, &reply, human);
}

static void print_token(const struct cli *c, const json_t *root)
{
    (void)c;
    cli_print_line(bytes_str(cli_text(root, "token")));
}

static void print_key(const struct cli *c, const json_t *root)
{
    (void)c;
    cli_print_line(bytes_str(cli_text(root, "key")));
}

enum cli_exit cli_token_new(struct cli *c)
{
    const char *scope = cli_option(c, "scope"), *name = cli_option(c, "name"), *as = cli_option(c, "as");
    if (scope == NULL) {
        cli_error("--scope is missing: read, write (includes read) or invoke");
        return CLI_USAGE;
    }
    if (token_scopes_parse(bytes_str(scope)) == 0) {
        cli_error("--scope wants read, write (includes read) or invoke, or several of them with commas, not \"%s\"", scope);
        return CLI_USAGE;
    }
    json_t *body = cli_object("scope", scope);
    json_object_set_new(body, "name", json_string(name != NULL ? name : ""));
    json_object_set_new(body, "as", json_string(as != NULL ? as : ""));
    return print_made(c, "token-new", body, print_token);
}

static void token_cells(struct cli_table *t, const json_t *row)
{
    cli_table_cell(t, "%lld", cli_int(row, "id"));
    cli_table_cell(t, "%s", cli_text(row, "scope"));
    cli_table_cell(t, "%s", cli_text(row, "as"));
    cli_table_cell(t, "%.19s", cli_text(row, "created_at"));
    cli_table_cell(t, "%s", cli_text(row, "name"));
}

enum cli_exit cli_token_ls(struct cli *c)
{
    static const char *const heads[] = {"ID", "SCOPE", "AS", "CREATED", "NAME"};
    return cli_admin_rows(c, "tokens", (struct cli_columns){heads, 5, token_cells});
}

/* POST an admin verb whose answer says nothing. */
static enum cli_exit tell(struct cli *c, const char *verb, json_t *body)
{
    struct cli_reply reply;
    enum cli_exit status = cli_admin(c, verb, body, &reply);
    if (status == CLI_OK)
        cli_reply_close(&reply);
    return status;
}

enum cli_exit cli_token_rm(struct cli *c)
{
    char *end;
    unsigned long long id = strtoull(c->args[0], &end, 10);
    if (*end != '\0' || c->args[0][0] < '0' || c->args[0][0] > '9' || id > INT64_MAX) {
        cli_error("a token's id is a number, not \"%s\"; souk token ls shows them", c->args[0]);
        return CLI_USAGE;
    }
    json_t *body = json_object();
    json_object_set_new(body, "id", json_integer((json_int_t)id));
    return tell(c, "token-rm", body);
}

/* ---- author keys ------------------------------------------------------------------------------------------------- */

static void key_cells(struct cli_table *t, const json_t *row)
{
    cli_table_cell(t, "%s", cli_text(row, "name"));
    cli_table_cell(t, "%s", cli_text(row, "key"));
}

static const struct cli_columns key_columns = {(const char *const[]){"NAME", "KEY"}, 2, key_cells};

enum cli_exit cli_key_ls(struct cli *c)
{
    return cli_admin_rows(c, "keys", key_columns);
}

enum cli_exit cli_key_new(struct cli *c)
{
    return print_made(c, "key-new", cli_object("name", c->args[0]), print_key);
}

#define PASSPHRASE_MAX 1024

/* Reads one line from the terminal without showing it. */
static bool ask_once(FILE *terminal, const char *prompt, char *out)
{
    struct termios was, quiet;
    if (tcgetattr(fileno(terminal), &was) != 0)
        return false;
    quiet = was;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    fprintf(terminal, "%s: ", prompt);
    fflush(terminal);
    tcsetattr(fileno(terminal), TCSAFLUSH, &quiet);
    bool ok = fgets(out, PASSPHRASE_MAX, terminal) != NULL;
    tcsetattr(fileno(terminal), TCSAFLUSH, &was);
    fputc('\n', terminal);
    out[ok ? strcspn(out, "\n") : 0] = '\0';
    return ok;
}

enum ask { ASK_ONCE, ASK_TWICE };

static bool ask_terminal(char *out, enum ask ask)
{
    char again[PASSPHRASE_MAX] = "";
    FILE *terminal = fopen("/dev/tty", "r+e");
    if (terminal == NULL) {
        cli_error("there is no terminal to ask for the passphrase; set SOUK_PASSPHRASE");
        return false;
    }
    bool ok = ask_once(terminal, "Passphrase", out);
    if (ok && ask == ASK_TWICE)
        ok = ask_once(terminal, "Again", again);
    fclose(terminal);
    bool same = ask == ASK_ONCE || strcmp(out, again) == 0;
    sodium_memzero(again, sizeof again);
    if (ok && !same)
        cli_error("the two passphrases differ");
    return ok && same;
}

static bool passphrase(char out[PASSPHRASE_MAX], enum ask ask)
{
    const char *given = getenv("SOUK_PASSPHRASE");
    if (given != NULL && strlen(given) >= PASSPHRASE_MAX) {
        cli_error("SOUK_PASSPHRASE has more than %d bytes", PASSPHRASE_MAX - 1);
        return false;
    }
    if (given != NULL)
        memcpy(out, given, strlen(given) + 1);
    else if (!ask_terminal(out, ask))
        return false;
    if (out[0] == '\0')
        cli_error("the passphrase is empty");
    return out[0] != '\0';
}

enum cli_exit cli_write_private(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL || fputs(text, file) == EOF || fflush(file) != 0 || fsync(fd) != 0) {
        int code = errno;
        cli_error("cannot write %s: %s", path, strerror(code));
        if (file != NULL)
            fclose(file);
        return code == EEXIST ? CLI_CONFLICT : CLI_FAILED;
    }
    return fclose(file) == 0 ? CLI_OK : CLI_FAILED;
}

/* So that nobody types a passphrase twice for a key that is not there. */
static enum cli_exit expect_key(struct cli *c, const char *name)
{
    struct cli_reply reply;
    const json_t *row;
    size_t i;
    bool there = false;
    enum cli_exit status = cli_admin(c, "keys", NULL, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    json_array_foreach(root, i, row) there = there || strcmp(cli_text(row, "name"), name) == 0;
    json_decref(root);
    cli_reply_close(&reply);
    if (there)
        return CLI_OK;
    cli_error("there is no author key named \"%s\"; `souk key ls` lists them", name);
    return CLI_NOT_FOUND;
}

enum cli_exit cli_key_export(struct cli *c)
{
    char secret[PASSPHRASE_MAX];
    struct cli_reply reply;
    enum cli_exit status = expect_key(c, c->args[0]);
    if (status != CLI_OK)
        return status;
    if (!passphrase(secret, ASK_TWICE))
        return CLI_FAILED;
    json_t *body = cli_object("name", c->args[0]);
    json_object_set_new(body, "passphrase", json_string(secret));
    sodium_memzero(secret, sizeof secret);
    status = cli_admin(c, "key-export", body, &reply);
    if (status != CLI_OK)
        return status;
    json_t *root = cli_parse_reply(&reply);
    if (root == NULL)
        status = CLI_FAILED;
    else if (c->arg_count > 1 && strcmp(c->args[1], "-") != 0)
        status = cli_write_private(c->args[1], cli_text(root, "export"));
    else
        cli_print(bytes_str(cli_text(root, "export")));
    json_decref(root);
    cli_reply_close(&reply);
    return status;
}

enum cli_exit cli_key_import(struct cli *c)
{
    char secret[PASSPHRASE_MAX];
    struct buf text = {0};
    enum cli_exit status = cli_slurp(c->args[0], KEY_FILE_MAX, &text);
    if (status == CLI_OK && !utf8_valid(buf_view(&text))) {
        cli_error("%s is not an exported key", c->args[0]);
        status = CLI_FAILED;
    }
    if (status == CLI_OK && !passphrase(secret, ASK_ONCE))
        status = CLI_FAILED;
    if (status == CLI_OK) {
        json_t *body = cli_object("text", buf_cstr(&text));
        json_object_set_new(body, "passphrase", json_string(secret));
        status = print_made(c, "key-import", body, print_key);
    }
    sodium_memzero(secret, sizeof secret);
    buf_close(&text);
    return status;
}

/* ---- writers ----------------------------------------------------------------------------------------------------- */

static bool valid_writer(const char *text)
{
    struct key key;
    if (key_parse(&key, bytes_str(text)))
        return true;
    cli_error("a writer is named by its key of 64 hex digits, not \"%s\"", text);
    return false;
}

static enum cli_exit send_writer(struct cli *c, struct cli_request *request)
{
    struct cli_reply reply;
    request->as = cli_option(c, "as");
    enum cli_exit status = cli_call(c, request, &reply);
    if (status == CLI_OK)
        cli_reply_close(&reply);
    return status;
}

enum cli_exit cli_writer_add(struct cli *c)
{
    const struct kind_desc *kind = cli_kind_to_write(c->args[0]);
    struct buf path = {0}, body = {0};
    if (kind == NULL || !valid_writer(c->args[2]))
        return CLI_USAGE;
    cli_put_entry_path(&path, kind, c->args[1], "/writers");
    buf_printf(&body, "{\"key\":\"%s\"}", c->args[2]);
    struct cli_request r = {.method = "POST", .path = buf_cstr(&path), .body = buf_view(&body)};
    enum cli_exit status = send_writer(c, &r);
    buf_close(&path);
    buf_close(&body);
    return status;
}

/* Puts the present content again as the owner's own, so that a revocation leaves it standing. */
static enum cli_exit restate(struct cli *c, const struct kind_desc *kind)
{
    struct buf path = {0};
    struct cli_reply reply;
    cli_put_entry_path(&path, kind, c->args[1], "");
    enum cli_exit status = cli_call(c, &(struct cli_request){.method = "GET", .path = buf_cstr(&path)}, &reply);
    json_t *root = status == CLI_OK ? cli_parse_reply(&reply) : NULL;
    if (status == CLI_OK)
        cli_reply_close(&reply);
    char *record = json_dumps(json_object_get(root, kind->singular), JSON_COMPACT);
    if (record != NULL) {
        struct cli_request r = {
            .method = "PUT", .path = buf_cstr(&path), .body = bytes_str(record), .as = cli_option(c, "as")};
        status = cli_call(c, &r, &reply);
        if (status == CLI_OK)
            cli_reply_close(&reply);
    }
    free(record);
    json_decref(root);
    buf_close(&path);
    return status == CLI_OK && record == NULL ? CLI_FAILED : status;
}

static bool wants_restate(const struct cli *c)
{
    char answer[16] = "";
    if (cli_option(c, "restate") != NULL)
        return true;
    if (!isatty(STDIN_FILENO) || !c->progress)
        return false;
    fprintf(stderr, "What this writer wrote will no longer show. Keep the present content as yours first? [y/N] ");
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

enum cli_exit cli_writer_rm(struct cli *c)
{
    const struct kind_desc *kind = cli_kind_to_write(c->args[0]);
    struct buf path = {0};
    if (kind == NULL || !valid_writer(c->args[2]))
        return CLI_USAGE;
    if (wants_restate(c)) {
        enum cli_exit status = restate(c, kind);
        if (status != CLI_OK)
            return status;
    }
    cli_put_entry_path(&path, kind, c->args[1], "/writers/");
    buf_put_str(&path, c->args[2]);
    struct cli_request r = {.method = "DELETE", .path = buf_cstr(&path)};
    enum cli_exit status = send_writer(c, &r);
    buf_close(&path);
    return status;
}

static void writer_cells(struct cli_table *t, const json_t *row)
{
    cli_table_cell(t, "%s", cli_text(row, "key"));
    cli_table_cell(t, "%lld", cli_int(row, "epoch"));
}

enum cli_exit cli_writer_ls(struct cli *c)
{
    static const char *const heads[] = {"KEY", "EPOCH"};
    const struct kind_desc *kind = cli_kind(c->args[0]);
    struct buf base = {0};
    struct cli_rows rows;
    if (kind == NULL)
        return CLI_USAGE;
    cli_put_entry_path(&base, kind, c->args[1], "/writers?");
    cli_rows_begin(&rows, c, (struct cli_columns){heads, 2, writer_cells});
    enum cli_exit status = cli_pages(c, buf_cstr(&base), "writers", UINT64_MAX, &rows);
    cli_rows_end(&rows, status);
    buf_close(&base);
    return status;
}
