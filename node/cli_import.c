/*
 * Import: a foreign catalogue is read as a stream, mapped row by row (import.h) and sent to the node in
 * batches, several of them in flight. Lines of jsonl are sent as they are: the node parses them. Every row
 * that is refused, here or by the node, is reported with its place in the input.
 */
#include "node/cli_http.h"

#include "crdt/alloc.h"
#include "node/import.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_ROWS  512
#define BATCH_BYTES (2u << 20)
#define IN_FLIGHT   4

/* One request: filled, sent, answered, filled again. */
struct batch {
    CURL *curl;
    struct curl_slist *headers;
    bool sent;
    struct buf body, answer;
    size_t rows;
    char where[BATCH_ROWS][32]; /* of each row: its place in the input, as in struct import_row */
};

struct job {
    struct cli *cli;
    struct import *import;
    CURLM *multi;
    char path[48]; /* of every request */
    struct batch batches[IN_FLIGHT];
    struct batch *filling;
    uint64_t limit, read, accepted, refused, duplicates;
    bool broken; /* the file itself is not of its format */
    enum cli_exit status; /* the first failure that ends the import */
    struct cli_progress progress;
};

static void report(struct job *j, const char *where, const char *name, const char *pointer, const char *detail)
{
    cli_progress_clear(&j->progress);
    cli_note("%s%s%.79s: refused: %s%s%s", where, name[0] != '\0' ? ": " : "", name, pointer,
             pointer[0] != '\0' ? ": " : "", detail);
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

static void send_batch(struct job *j, struct batch *b)
{
    assert(!b->sent && b->rows > 0);
    struct cli_request r = {.method = "POST",
                            .timeout_ms = CLI_PATIENT,
                            .path = j->path,
                            .body = buf_view(&b->body),
                            .content_type = "application/x-ndjson",
                            .as = cli_option(j->cli, "as")};
    if (b->curl == NULL)
        b->curl = curl_easy_init();
    curl_easy_reset(b->curl);
    buf_reset(&b->answer);
    curl_slist_free_all(b->headers);
    b->headers = cli_http_headers(&r);
    cli_http_prepare(b->curl, j->cli, &r, &b->answer);
    curl_easy_setopt(b->curl, CURLOPT_HTTPHEADER, b->headers);
    curl_easy_setopt(b->curl, CURLOPT_PRIVATE, (char *)b);
    curl_multi_add_handle(j->multi, b->curl);
    b->sent = true;
}

static void take_answer(struct job *j, struct batch *b)
{
    struct cli_reply reply = {.body = b->answer};
    const json_t *row;
    size_t i;
    curl_easy_getinfo(b->curl, CURLINFO_RESPONSE_CODE, &reply.status);
    if (reply.status != 200) {
        cli_progress_clear(&j->progress);
        j->status = j->status == CLI_OK ? cli_problem(&reply) : j->status;
        return;
    }
    json_t *root = cli_parse_reply(&reply);
    if (root == NULL)
        j->status = CLI_FAILED;
    j->accepted += (uint64_t)cli_int(root, "accepted");
    size_t last = SIZE_MAX;
    json_array_foreach(json_object_get(root, "failed"), i, row)
    {
        size_t n = (size_t)cli_int(row, "row");
        if (n >= b->rows)
            continue;
        report(j, b->where[n], cli_text(row, "name"), cli_text(row, "pointer"), cli_text(row, "detail"));
        j->refused += n != last;
        last = n;
    }
    json_decref(root);
}

/* Lets transfers go on, waiting for one if asked to, and takes the answers that are complete. */
static void pump(struct job *j, int wait_ms)
{
    int running, left;
    curl_multi_perform(j->multi, &running);
    if (running > 0 && wait_ms > 0) {
        curl_multi_poll(j->multi, NULL, 0, wait_ms, NULL);
        curl_multi_perform(j->multi, &running);
    }
    for (CURLMsg *m; (m = curl_multi_info_read(j->multi, &left)) != NULL;) {
        struct batch *b;
        char *private = NULL;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
        memcpy(&b, &private, sizeof b);
        curl_multi_remove_handle(j->multi, b->curl);
        if (code == CURLE_OK)
            take_answer(j, b);
        else if (j->status == CLI_OK)
            j->status = cli_http_failed(j->cli, code);
        b->sent = false;
        b->rows = 0;
        buf_reset(&b->body);
    }
}

static struct batch *free_batch(struct job *j)
{
    for (;;) {
        for (size_t i = 0; i < IN_FLIGHT; i++)
            if (!j->batches[i].sent)
                return &j->batches[i];
        pump(j, 1000);
        cli_progress_draw(&j->progress, import_used(j->import), j->accepted);
    }
}

static void flush(struct job *j)
{
    if (j->filling != NULL && j->filling->rows > 0)
        send_batch(j, j->filling);
    j->filling = NULL;
}

static void finish_all(struct job *j)
{
    flush(j);
    for (bool busy = true; busy;) {
        busy = false;
        for (size_t i = 0; i < IN_FLIGHT; i++)
            busy = busy || j->batches[i].sent;
        if (busy)
            pump(j, 1000);
        cli_progress_draw(&j->progress, import_used(j->import), j->accepted);
    }
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* A line for the node to take. Lines of jsonl that nobody looked into go as they are. Either way a member that is null, that
 * nodes set, or that is "foreign" is not written: json_to_fields leaves it out there or left it out here, as for `souk put`. */
static void put_line(struct buf *out, const struct import_row *row)
{
    if (row->kind != NULL)
        record_line(row->kind, row->name, row->fields, row->field_count, out);
    else
        buf_put_bytes(out, row->text);
    buf_put_u8(out, '\n');
}

static void keep_row(struct job *j, const struct import_row *row)
{
    if (cli_option(j->cli, "dry-run") != NULL) {
        j->accepted++;
        return;
    }
    if (j->filling == NULL)
        j->filling = free_batch(j);
    struct batch *b = j->filling;
    memcpy(b->where[b->rows++], row->where, sizeof b->where[0]);
    put_line(&b->body, row);
    if (b->rows == BATCH_ROWS || b->body.n >= BATCH_BYTES) {
        flush(j);
        pump(j, 0);
    }
}

static void refuse_row(struct job *j, const struct import_row *row)
{
    char name[80];
    snprintf(name, sizeof name, "%.*s", (int)(row->name.n < 79 ? row->name.n : 79), (const char *)row->name.p);
    if (row->faults.count == 0)
        report(j, row->where, name, "", "not a row of this format");
    for (size_t i = 0; i < row->faults.count; i++)
        report(j, row->where, name, row->faults.list[i].pointer, row->faults.list[i].detail);
}

/* False: no more rows are wanted. */
static bool take_row(struct job *j, const struct import_row *row)
{
    if (row->verdict != IMPORT_BROKEN)
        j->read++;
    switch (row->verdict) {
    case IMPORT_ROW:
        keep_row(j, row);
        break;
    case IMPORT_REFUSED:
        refuse_row(j, row);
        j->refused++;
        break;
    case IMPORT_DUPLICATE:
        report(j, row->where, "", "", "its name came before in this file");
        j->duplicates++;
        break;
    case IMPORT_BROKEN:
        refuse_row(j, row);
        j->broken = true;
        break;
    }
    return j->status == CLI_OK && j->read - j->refused - j->duplicates < j->limit;
}

static void read_all(struct job *j, int fd)
{
    struct import_row *row = mem_alloc(sizeof *row);
    uint8_t *chunk = mem_alloc(65536);
    bool more = true, ended = false;
    while (more && !ended) {
        ssize_t n = read(fd, chunk, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            cli_error("cannot read the input: %s", strerror(errno));
            j->status = CLI_FAILED;
        }
        ended = n <= 0;
        if (ended)
            import_end(j->import);
        else
            import_feed(j->import, bytes_of(chunk, (size_t)n));
        while (more && import_next(j->import, row)) {
            more = take_row(j, row);
            cli_progress_draw(&j->progress, import_used(j->import), j->accepted);
        }
    }
    free(chunk);
    free(row);
}

/* ---- the verb ---------------------------------------------------------------------------------------------------- */

static void summary(const struct job *j)
{
    uint64_t ms = cli_now_ms() - j->progress.started_ms;
    if (j->cli->format != CLI_HUMAN) {
        printf("{\"read\":%llu,\"accepted\":%llu,\"refused\":%llu,\"duplicates\":%llu,\"ms\":%llu}\n",
               (unsigned long long)j->read, (unsigned long long)j->accepted, (unsigned long long)j->refused,
               (unsigned long long)j->duplicates, (unsigned long long)ms);
        return;
    }
    const char *done = cli_option(j->cli, "dry-run") != NULL ? "would be written" : "written";
    printf("%llu rows read, %llu %s, %llu refused", (unsigned long long)j->read, (unsigned long long)j->accepted, done,
           (unsigned long long)j->refused);
    if (j->duplicates > 0)
        printf(", %llu named twice", (unsigned long long)j->duplicates);
    printf(" in %llu.%llu s (%llu/s)\n", (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000 / 100),
           (unsigned long long)(j->accepted * 1000 / (ms > 0 ? ms : 1)));
}

static enum cli_exit nothing_taken(const struct job *j)
{
    const char *from = strcmp(j->cli->args[1], "-") == 0 ? "the input" : j->cli->args[1];
    if (j->read == 0 && !j->broken)
        cli_error("%s has no rows: souk import --help says what the format %s is", from, j->cli->args[0]);
    else
        cli_error("no row of %s was taken as %s; the lines above say why", from, j->cli->args[0]);
    return CLI_FAILED;
}

static void close_job(struct job *j)
{
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        struct batch *b = &j->batches[i];
        if (b->sent)
            curl_multi_remove_handle(j->multi, b->curl);
        curl_easy_cleanup(b->curl);
        curl_slist_free_all(b->headers);
        buf_close(&b->body);
        buf_close(&b->answer);
    }
    curl_multi_cleanup(j->multi);
    curl_global_cleanup();
    import_free(j->import);
}

static enum cli_exit run_import(struct job *j, int fd)
{
    struct stat st;
    bool sized = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    j->multi = curl_multi_init();
    cli_progress_begin(&j->progress, j->cli, "entries", sized ? (uint64_t)st.st_size : 0);
    read_all(j, fd);
    if (j->status == CLI_OK)
        finish_all(j);
    cli_progress_clear(&j->progress);
    summary(j);
    if (j->status == CLI_OK && j->accepted == 0)
        j->status = nothing_taken(j);
    close_job(j);
    return j->status;
}

enum cli_exit cli_import(struct cli *c)
{
    enum import_format format;
    const char *word = cli_option(c, "kind");
    const struct kind_desc *kind = word != NULL ? cli_kind_to_write(word) : kind_by_number(KIND_MODEL);
    uint64_t limit = UINT64_MAX;
    if (!import_format_by_word(c->args[0], &format)) {
        cli_error("\"%s\" is no format; the formats are jsonl, models.dev and mcp-registry", c->args[0]);
        return CLI_USAGE;
    }
    if (kind == NULL || !cli_option_uint(c, "limit", 1, UINT64_MAX, &limit))
        return CLI_USAGE;
    bool standard = strcmp(c->args[1], "-") == 0;
    int fd = standard ? STDIN_FILENO : open(c->args[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        cli_error("cannot read %s: %s", c->args[1], strerror(errno));
        return CLI_FAILED;
    }
    struct job *j = mem_zalloc(sizeof *j);
    j->cli = c;
    j->limit = limit;
    j->import = import_new(format, kind);
    snprintf(j->path, sizeof j->path, "/admin/import?kind=%s", kind->singular);
    /* A trial and a limit count rows that are good, which only parsing tells. */
    if (format == IMPORT_JSONL && cli_option(c, "dry-run") == NULL && limit == UINT64_MAX)
        import_cut_only(j->import);
    enum cli_exit status = run_import(j, fd);
    free(j);
    if (!standard)
        close(fd);
    return status;
}
