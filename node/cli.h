/*
 * The command line: one table of verbs (cli_table.c) drives parsing, --help, the man page and the completion. A verb is a
 * function that gets its parsed arguments and returns an exit status. Data goes to stdout, messages to stderr.
 */
#ifndef SOUK_NODE_CLI_H
#define SOUK_NODE_CLI_H

#include "crdt/record.h"
#include "node/dir.h"

#include <jansson.h>

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_NOT_FOUND = 3,
    CLI_CONFLICT = 4,
    CLI_DENIED = 5,
    CLI_UNVERIFIED = 6,
    CLI_UNREACHABLE = 7,
    CLI_TIMEOUT = 8
    /* 9: payment needed. Kept for it; no command returns it. */
};

enum cli_format { CLI_HUMAN, CLI_JSON, CLI_JSONL };

struct cli_option {
    const char *name;   /* without the dashes; one letter: -d */
    const char *arg;    /* what stands for its value in help; NULL: a flag */
    const char *about;  /* one sentence */
};

struct cli;
struct cli_verb {
    const char *words;  /* "peer add" */
    const char *args;   /* "ADDR" for help */
    size_t min_args, max_args;
    const struct cli_option *options; /* name == NULL ends; may be NULL */
    const char *about;  /* one line */
    const char *more;   /* further text for --help and the man page, or NULL */
    enum cli_exit (*run)(struct cli *);
};
const struct cli_verb *cli_verb_at(size_t i);       /* NULL after the last */
const struct cli_option *cli_global_at(size_t i);   /* NULL after the last */

#define CLI_VALUES_MAX 256
struct cli_value {
    const struct cli_option *option;
    const char *value; /* NULL for flags; borrowed from argv */
};

struct cli {
    const struct cli_verb *verb;
    size_t arg_count;
    char **args;
    size_t value_count;
    struct cli_value values[CLI_VALUES_MAX];
    char dir[DIR_PATH_MAX];
    char socket[DIR_PATH_MAX];
    enum cli_format format;
    bool color;    /* stdout is a terminal and NO_COLOR is not set */
    bool progress; /* stderr is a terminal */
    void *http;    /* cli_http.c's: the one connection that is kept */
};

/* ---- parsing (cli_parse.c) ---------------------------------------------------------------------------------- */

/* The value of an option given once (the last one counts), NULL if absent; "" for a flag. */
const char *cli_option(const struct cli *c, const char *name);
/* The i-th value of a repeated option, NULL after the last. */
const char *cli_option_at(const struct cli *c, const char *name, size_t i);
/* A number option into *out (unchanged if absent); false after a message. */
bool cli_option_uint(const struct cli *c, const char *name, uint64_t min, uint64_t max, uint64_t *out);
enum cli_exit cli_main(int argc, char **argv);

/* ---- messages and output (cli_out.c) -------------------------------------------------------------------------- */

void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
enum cli_exit cli_exit_of(enum err err);
/* Says why and returns the status for err. */
enum cli_exit cli_fail(enum err err, struct buf *why);
bool cli_print(struct bytes text);   /* to stdout, whole; false: the reader went away */
bool cli_print_line(struct bytes text);
/* Flushes stdout: CLI_FAILED, with a message, if something did not get out. */
enum cli_exit cli_finish(enum cli_exit status);

/* A table on stdout: cells are given row by row; closed by cli_table_end, which prints it. */
#define CLI_COLUMNS_MAX 12
struct cli_table {
    const struct cli *cli;
    size_t columns, cells;
    struct buf text;       /* cells, each with a NUL */
    size_t *starts;
    size_t capacity;
};
void cli_table_begin(struct cli_table *t, const struct cli *c, const char *const *heads, size_t columns);
void cli_table_cell(struct cli_table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_table_end(struct cli_table *t);

/* JSON objects in the format asked for: a table, one array, or a line each. Rows go out as they come. */
struct cli_columns {
    const char *const *heads;
    size_t count;
    void (*cells)(struct cli_table *t, const json_t *row); /* adds `count` cells */
};
struct cli_rows {
    const struct cli *cli;
    struct cli_columns columns;
    struct cli_table table;
    uint64_t count;
    uint64_t total;   /* as the last page said; 0: it did not */
    const char *more; /* not NULL: there are rows beyond those put; this shows them, as a human is told after the table */
};
void cli_rows_begin(struct cli_rows *r, const struct cli *c, struct cli_columns columns);
bool cli_rows_put(struct cli_rows *r, const json_t *row); /* false: stdout is closed */
void cli_rows_end(struct cli_rows *r, enum cli_exit status); /* prints the table, or the array's end, if status is ok */

/* One line on a terminal that is drawn over: bar, share, rate and time left. Silent elsewhere. */
struct cli_progress {
    bool on;
    const char *unit;
    uint64_t total;        /* of what `done` counts; 0: not known */
    uint64_t started_ms, drawn_ms;
    bool drawn; /* the line stands on the terminal */
};
void cli_progress_begin(struct cli_progress *p, const struct cli *c, const char *unit, uint64_t total);
/* done of total (bytes or items); count: what the rate is given in. */
void cli_progress_draw(struct cli_progress *p, uint64_t done, uint64_t count);
void cli_progress_clear(struct cli_progress *p);
uint64_t cli_now_ms(void); /* monotonic */
/* "1.2 MB", "3 min 5 s". Appended. */
void cli_put_bytes(struct buf *out, uint64_t n);
void cli_put_seconds(struct buf *out, uint64_t s);

/* ---- the node (cli_http.c) -------------------------------------------------------------------------------------- */
#define CLI_TIMEOUT_S 60
#define CLI_PATIENT UINT64_MAX /* for work that takes as long as it takes: an import, a verification, an invoke */
struct cli_request {
    const char *method, *path;   /* path with its query, already escaped */
    struct bytes body;           /* absent: none */
    const char *content_type;
    const char *as;              /* author key, NULL: publisher */
    bool create_only;            /* If-None-Match: * */
    const char *accept;          /* NULL: anything */
    const char *timeout;         /* X-Timeout, NULL: none */
    uint64_t timeout_ms;         /* 0: $SOUK_TIMEOUT, else CLI_TIMEOUT_S; CLI_PATIENT: none */
};
struct cli_reply {
    long status;
    struct buf body;
};
/* CLI_OK with a reply of any status, or CLI_UNREACHABLE or CLI_TIMEOUT after a message. */
enum cli_exit cli_exchange(struct cli *c, const struct cli_request *request, struct cli_reply *reply);
/* The same, and everything but 2xx is told on stderr and turned into an exit status. */
enum cli_exit cli_call(struct cli *c, const struct cli_request *request, struct cli_reply *reply);
/* Tells what a problem document says; the exit status for it. */
enum cli_exit cli_problem(const struct cli_reply *reply);
void cli_reply_close(struct cli_reply *reply);
bool cli_node_runs(struct cli *c); /* does anything listen on the socket? */
void cli_put_escaped(struct buf *path, const char *text); /* for one path segment or query value */
void cli_http_close(struct cli *c);

/* ---- shared by verbs (cli_kind.c) ---------------------------------------------------------------------------------- */

/* The kind of args[0]; NULL after a message. */
const struct kind_desc *cli_kind(const char *word);
/* The same of a kind that clients write. */
const struct kind_desc *cli_kind_to_write(const char *word);
/* False after a message: JSON holds no other texts. `what` is what the text was given as. */
bool cli_is_text(const char *what, const char *text);
/* A file, or stdin for "-", up to max bytes. */
enum cli_exit cli_slurp(const char *path, size_t max, struct buf *out);
/* "/models/NAME" and what follows, e.g. "/revisions". Appended. */
void cli_put_entry_path(struct buf *out, const struct kind_desc *kind, const char *id_or_name, const char *rest);
/* A JSON answer; NULL after a message. Freed by json_decref. */
json_t *cli_parse_reply(const struct cli_reply *reply);
/* POST /admin/VERB with a body (taken over), GET without. As cli_call. */
enum cli_exit cli_admin(struct cli *c, const char *verb, json_t *body, struct cli_reply *reply);
json_t *cli_object(const char *member, const char *value);
/* "" where the member is missing or no string. */
const char *cli_text(const json_t *object, const char *member);
long long cli_int(const json_t *object, const char *member);
/* GET `base` (ending in ? or &) page by page, the rows of `member` into rows, until there are `limit` or no more. */
enum cli_exit cli_pages(struct cli *c, const char *base, const char *member, uint64_t limit, struct cli_rows *rows);
/* An answer as it is, for -o json; an array, one element a line, for -o jsonl. */
enum cli_exit cli_print_reply(const struct cli *c, const struct cli_reply *reply);
/* The end of every verb that shows one answer: cli_print_reply, or `human` for people. Closes the reply. */
enum cli_exit cli_show(const struct cli *c, struct cli_reply *reply,
                       void (*human)(const struct cli *c, const json_t *root));
/* GET an admin verb that answers an array, and print its rows. */
enum cli_exit cli_admin_rows(struct cli *c, const char *verb, struct cli_columns columns);
void cli_print_peers(const struct cli *c, const json_t *peers); /* the table of `souk peer ls` (cli_peers.c) */

/* --mesh, --new-mesh and --admission of run and init; false after a message. */
bool cli_setup_options(const struct cli *c, struct dir_setup *out);

/* ---- verbs ----------------------------------------------------------------------------------------------------------- */

enum cli_exit cli_run(struct cli *c);
enum cli_exit cli_init(struct cli *c);
enum cli_exit cli_status(struct cli *c);
enum cli_exit cli_doctor(struct cli *c);
enum cli_exit cli_put(struct cli *c);
enum cli_exit cli_get(struct cli *c);
enum cli_exit cli_ls(struct cli *c);
enum cli_exit cli_rm(struct cli *c);
enum cli_exit cli_history(struct cli *c);
enum cli_exit cli_search(struct cli *c);
enum cli_exit cli_import(struct cli *c);
enum cli_exit cli_export(struct cli *c);
enum cli_exit cli_verify(struct cli *c);
enum cli_exit cli_peer_ls(struct cli *c);
enum cli_exit cli_peer_change(struct cli *c);
enum cli_exit cli_sync(struct cli *c);
void cli_put_copy(struct buf *out, const json_t *copy); /* of status: "12 of about 34 deltas, 5/s, 4 s left" (cli_sync.c) */
enum cli_exit cli_conflicts(struct cli *c);
enum cli_exit cli_mesh_charter(struct cli *c);
enum cli_exit cli_mesh_ls(struct cli *c);
enum cli_exit cli_mesh_admit(struct cli *c);
enum cli_exit cli_mesh_remove(struct cli *c);
enum cli_exit cli_mesh_invite(struct cli *c);
enum cli_exit cli_token_new(struct cli *c);
enum cli_exit cli_token_ls(struct cli *c);
enum cli_exit cli_token_rm(struct cli *c);
enum cli_exit cli_key_ls(struct cli *c);
enum cli_exit cli_key_new(struct cli *c);
enum cli_exit cli_key_export(struct cli *c);
enum cli_exit cli_key_import(struct cli *c);
enum cli_exit cli_key_retire(struct cli *c);
enum cli_exit cli_key_succeed(struct cli *c);
enum cli_exit cli_write_private(const char *path, const char *text); /* 0600, never over a file that is there */
enum cli_exit cli_writer_add(struct cli *c);
enum cli_exit cli_writer_rm(struct cli *c);
enum cli_exit cli_writer_ls(struct cli *c);
enum cli_exit cli_deploy(struct cli *c);
enum cli_exit cli_deploy_ls(struct cli *c);
enum cli_exit cli_deploy_rm(struct cli *c);
enum cli_exit cli_invoke(struct cli *c);
enum cli_exit cli_push(struct cli *c);
enum cli_exit cli_pull(struct cli *c);
enum cli_exit cli_receipt_ls(struct cli *c);
enum cli_exit cli_receipt_show(struct cli *c);
enum cli_exit cli_receipt_verify(struct cli *c);
enum cli_exit cli_config_show(struct cli *c);
enum cli_exit cli_config_check(struct cli *c);
enum cli_exit cli_log(struct cli *c);
enum cli_exit cli_version(struct cli *c);
enum cli_exit cli_help(struct cli *c);

/* Help texts (cli_help.c). */
void cli_help_all(struct buf *out);
void cli_help_group(struct buf *out, const char *word); /* "peer": its verbs */
void cli_help_verb(struct buf *out, const struct cli_verb *verb);
void cli_man(struct buf *out);
void cli_completion(struct buf *out);

#endif
