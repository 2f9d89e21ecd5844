/*
 * Peers for people: the table of `souk peer ls` and of the status, how deltas go between them and this node, and the changes
 * of their scores with the reasons.
 */
#include "node/cli.h"

#include <stdio.h>
#include <string.h>

static bool is_known(const char *id)
{
    return strspn(id, "0") != strlen(id);
}

/* Why a peer is away; for one that is there what matters most of its state. */
static void put_note(struct buf *out, const json_t *p)
{
    const json_t *trouble = json_object_get(p, "trouble");
    const char *detail = cli_text(trouble, "detail");
    if (json_is_true(json_object_get(p, "expelled"))) {
        buf_put_str(out, "its key was removed from the mesh");
    } else if (json_is_object(trouble)) {
        cli_put_seconds(out, (uint64_t)cli_int(trouble, "age_ms") / 1000);
        buf_printf(out, ": %s", detail[0] != '\0' ? detail : cli_text(trouble, "code"));
    } else if (strcmp(cli_text(p, "state"), "up") == 0) {
        buf_printf(out, "%s%s", json_is_true(json_object_get(p, "synced")) ? "in step" : "catching up",
                   json_is_false(json_object_get(p, "sent_whole")) ? ", gets ids" : "");
    }
}

static void peer_cells(struct cli_table *t, const json_t *p)
{
    struct buf sent = {0}, received = {0}, queued = {0}, note = {0};
    const char *id = cli_text(p, "id");
    cli_put_bytes(&sent, (uint64_t)cli_int(p, "sent_bytes"));
    cli_put_bytes(&received, (uint64_t)cli_int(p, "received_bytes"));
    cli_put_bytes(&queued, (uint64_t)cli_int(p, "queued_bytes"));
    if (cli_int(p, "queued_ids") > 0)
        buf_printf(&queued, " + %lld ids", cli_int(p, "queued_ids"));
    put_note(&note, p);
    cli_table_cell(t, "%.12s", is_known(id) ? id : "-");
    cli_table_cell(t, "%s", cli_text(p, "address"));
    cli_table_cell(t, "%s", cli_text(p, "state"));
    cli_table_cell(t, "%lld ms", cli_int(p, "lag_ms"));
    cli_table_cell(t, "%s", buf_cstr(&queued));
    cli_table_cell(t, "%lld", cli_int(p, "score"));
    cli_table_cell(t, "%s", buf_cstr(&sent));
    cli_table_cell(t, "%s", buf_cstr(&received));
    cli_table_cell(t, "%s", buf_cstr(&note));
    buf_close(&sent);
    buf_close(&received);
    buf_close(&queued);
    buf_close(&note);
}

static const struct cli_columns peer_columns = {
    (const char *const[]){"PEER", "ADDRESS", "STATE", "LAG", "QUEUE", "SCORE", "SENT", "RECEIVED", "NOTE"}, 9,
    peer_cells};

void cli_print_peers(const struct cli *c, const json_t *peers)
{
    struct cli_rows rows;
    const json_t *p;
    size_t i;
    cli_rows_begin(&rows, c, peer_columns);
    json_array_foreach(peers, i, p) cli_rows_put(&rows, p);
    cli_rows_end(&rows, CLI_OK);
}

static void put_ways(struct buf *out, const json_t *p, const char *what)
{
    buf_printf(out, "%lld/%lld", cli_int(json_object_get(p, "sent"), what), cli_int(json_object_get(p, "received"), what));
}

/* Sent and received, and which way whole deltas go. */
static void spread_cells(struct cli_table *t, const json_t *p)
{
    static const char *const words[] = {"delta", "ihave", "iwant", "idontwant", "graft", "prune"};
    bool in = json_is_true(json_object_get(p, "sends_whole")), out = json_is_true(json_object_get(p, "sent_whole"));
    cli_table_cell(t, "%.12s", cli_text(p, "id"));
    cli_table_cell(t, "%s", in && out ? "both ways" : in ? "from it" : out ? "to it" : "neither way");
    cli_table_cell(t, "%lld", cli_int(p, "asked_ids"));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct buf ways = {0};
        put_ways(&ways, p, words[i]);
        cli_table_cell(t, "%s", buf_cstr(&ways));
        buf_close(&ways);
    }
}

static void print_spread(const struct cli *c, const json_t *peers)
{
    static const char *const heads[] = {"PEER", "WHOLE DELTAS", "ASKED", "DELTA", "IHAVE", "IWANT", "IDONTWANT", "GRAFT", "PRUNE"};
    struct cli_rows rows;
    const json_t *p;
    size_t i, up = 0;
    json_array_foreach(peers, i, p) up += strcmp(cli_text(p, "state"), "up") == 0;
    if (up == 0)
        return;
    printf("\n");
    cli_rows_begin(&rows, c, (struct cli_columns){heads, sizeof heads / sizeof *heads, spread_cells});
    json_array_foreach(peers, i, p)
    {
        if (strcmp(cli_text(p, "state"), "up") == 0)
            cli_rows_put(&rows, p);
    }
    cli_rows_end(&rows, CLI_OK);
}

/* A row a change; `p` is the peer. */
static void score_cells(struct cli_table *t, const json_t *p)
{
    const json_t *change;
    size_t i;
    json_array_foreach(json_object_get(p, "score_changes"), i, change)
    {
        cli_table_cell(t, "%.12s", cli_text(p, "id"));
        cli_table_cell(t, "%.19s", cli_text(change, "at"));
        cli_table_cell(t, "%+lld", cli_int(change, "by"));
        cli_table_cell(t, "%lld", cli_int(change, "times"));
        cli_table_cell(t, "%s", cli_text(change, "reason"));
    }
}

static void print_scores(const struct cli *c, const json_t *peers)
{
    static const char *const heads[] = {"PEER", "LAST", "SCORE", "TIMES", "REASON"};
    struct cli_rows rows;
    const json_t *p;
    size_t i, changes = 0;
    json_array_foreach(peers, i, p) changes += json_array_size(json_object_get(p, "score_changes"));
    if (changes == 0)
        return;
    printf("\n");
    cli_rows_begin(&rows, c, (struct cli_columns){heads, 5, score_cells});
    json_array_foreach(peers, i, p) cli_rows_put(&rows, p);
    cli_rows_end(&rows, CLI_OK);
}

static void print_all(const struct cli *c, const json_t *peers)
{
    cli_print_peers(c, peers);
    print_spread(c, peers);
    print_scores(c, peers);
}

enum cli_exit cli_peer_ls(struct cli *c)
{
    struct cli_reply reply;
    enum cli_exit status = cli_admin(c, "peers", NULL, &reply);
    return status != CLI_OK ? status : cli_show(c, &reply, print_all);
}
