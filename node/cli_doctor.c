/*
 * Doctor: looks at the directory, the machine and the mesh as an operator would, and says for each thing
 * what it found and what to do next. Changes nothing.
 */
#include "node/cli_doctor.h"
#include "node/cli_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static void finding_cells(struct cli_table *t, const json_t *row)
{
    cli_table_cell(t, "%s", cli_text(row, "result"));
    cli_table_cell(t, "%s", cli_text(row, "check"));
    cli_table_cell(t, "%s", cli_text(row, "detail"));
    if (cli_text(row, "next")[0] == '\0')
        return;
    cli_table_cell(t, "%s", ""); /* a line of its own */
    cli_table_cell(t, "%s", "");
    cli_table_cell(t, "next: %s", cli_text(row, "next"));
}

static const struct cli_columns columns = {(const char *const[]){"RESULT", "CHECK", "DETAIL"}, 3, finding_cells};

void doctor_tell(struct doctor *d, enum health health, const char *check, const char *detail, const char *next)
{
    static const char *const words[] = {
        [HEALTH_OK] = "ok", [HEALTH_NOTE] = "note", [HEALTH_WARN] = "warn", [HEALTH_FAIL] = "FAIL"};
    json_t *row = cli_object("check", check);
    json_object_set_new(row, "result", json_string(words[health]));
    json_object_set_new(row, "detail", json_string(detail));
    json_object_set_new(row, "next", json_string(next));
    cli_rows_put(&d->rows, row);
    json_decref(row);
    d->failed += health == HEALTH_FAIL;
}

/* ---- the directory ----------------------------------------------------------------------------------------------- */

static void check_private(struct doctor *d, const char *name)
{
    char path[DIR_PATH_MAX + 16], detail[DIR_PATH_MAX + 64], next[DIR_PATH_MAX + 64];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", d->cli->dir, name);
    if (stat(path, &st) != 0)
        return;
    if ((st.st_mode & 077) == 0 && (st.st_uid == geteuid() || geteuid() == 0))
        return;
    snprintf(detail, sizeof detail, "%s can be read by others, mode %03o", path, (unsigned)(st.st_mode & 0777));
    snprintf(next, sizeof next, "chmod go= %s", path);
    doctor_tell(d, HEALTH_FAIL, "permissions", detail, next);
}

static bool check_directory(struct doctor *d)
{
    struct mesh_file mesh;
    struct buf why = {0};
    const char *dir = d->cli->dir;
    if (!dir_exists(dir)) {
        bool closed = errno == EACCES;
        buf_printf(&why, "%s%s", dir, closed ? " is not for this user" : "");
        doctor_tell(d, HEALTH_FAIL, "directory", buf_cstr(&why), closed ? "run souk as its owner or as root" : "`souk run` or `souk init` makes it");
        buf_close(&why);
        return false;
    }
    enum err err = dir_mesh(dir, &mesh, &why);
    doctor_tell(d, err == ERR_OK ? HEALTH_OK : HEALTH_FAIL, "directory", err == ERR_OK ? dir : buf_cstr(&why),
                err == ERR_OK ? "" : "restore this file from a backup");
    unsigned before = d->failed;
    check_private(d, "");
    check_private(d, "node.key");
    check_private(d, "noise.key");
    check_private(d, "tokens");
    check_private(d, "keys");
    if (d->failed == before)
        doctor_tell(d, HEALTH_OK, "permissions", "keys and tokens can be read by their user alone", "");
    buf_close(&why);
    return err == ERR_OK;
}

static void check_config(struct doctor *d)
{
    struct buf why = {0};
    enum err err = dir_config(d->cli->dir, &d->config, &why);
    if (err == ERR_OK)
        err = config_finish(&d->config, &why);
    if (why.n > 0)
        why.p[why.n - 1] = ' ';
    doctor_tell(d, err == ERR_OK ? HEALTH_OK : HEALTH_FAIL, "settings",
                err == ERR_OK ? "souk.conf is in order" : buf_cstr(&why),
                err == ERR_OK ? "" : "`souk config check` after mending it");
    buf_close(&why);
}

/* Of a node that does not run: does what it wrote open? `souk verify` checks all of it. */
static void check_store(struct doctor *d)
{
    struct cli_store store;
    struct buf why = {0};
    enum err err = cli_store_try(d->cli, &store, &why);
    cli_store_close(&store);
    if (err == ERR_OK)
        doctor_tell(d, HEALTH_OK, "store", "opens; `souk verify` checks every byte of it", "");
    else if (err == ERR_NOT_FOUND)
        doctor_tell(d, HEALTH_OK, "store", "nothing yet", "");
    else
        doctor_tell(d, HEALTH_FAIL, "store", buf_cstr(&why), err == ERR_CORRUPT ? "deploy/OPERATE.md 5" : "as it says");
    buf_close(&why);
}

static void check_disk(struct doctor *d)
{
    struct buf text = {0};
    uint64_t free_bytes = dir_free_bytes(d->cli->dir), least = config_number(&d->config, CONFIG_LIMIT_DISK_FREE_MB)
                                                               << 20;
    cli_put_bytes(&text, free_bytes);
    buf_put_str(&text, " free");
    enum health health = free_bytes < least ? HEALTH_FAIL : free_bytes < (1u << 30) ? HEALTH_WARN : HEALTH_OK;
    doctor_tell(d, health, "disk", buf_cstr(&text), health == HEALTH_OK ? "" : "make room, or move the directory");
    buf_close(&text);
}

/* ---- the machine ------------------------------------------------------------------------------------------------- */

#define EARLIEST_CLOCK 1735689600 /* 2025-01-01: this program is younger than that */

static void check_clock(struct doctor *d)
{
    struct timex t = {0};
    int state = adjtimex(&t);
    if (time(NULL) < EARLIEST_CLOCK) {
        doctor_tell(d, HEALTH_FAIL, "clock", "the clock is years behind: own writes would look old",
                    "set it, best by NTP");
        return;
    }
    bool synced = state >= 0 && (t.status & STA_UNSYNC) == 0;
    doctor_tell(d, synced ? HEALTH_OK : HEALTH_WARN, "clock",
                synced ? "kept by a time service"
                       : "no time service says that it is kept; peers set changes aside that are over 10 minutes ahead",
                synced ? "" : "run a time service such as systemd-timesyncd or chrony");
}

static void check_files(struct doctor *d)
{
    struct rlimit limit = {0};
    char detail[96];
    getrlimit(RLIMIT_NOFILE, &limit);
    snprintf(detail, sizeof detail, "%llu files may be open", (unsigned long long)limit.rlim_cur);
    bool ok = limit.rlim_cur >= config_number(&d->config, CONFIG_LIMIT_CONNECTIONS) + 512;
    doctor_tell(d, ok ? HEALTH_OK : HEALTH_WARN, "files", detail,
                ok ? "" : "raise the limit (LimitNOFILE= in the unit) or lower limits.connections");
}

/* Of a node that does not run: could its listeners be opened? */
static void check_port(struct doctor *d, enum config_key key)
{
    const char *address = config_text(&d->config, key), *name = config_desc(key)->name;
    char detail[512];
    const char *fault = probe_address(address, PROBE_BIND);
    snprintf(detail, sizeof detail, "%s %s%s", address,
             fault == NULL ? "is free" : "cannot be used: ", fault != NULL ? fault : "");
    doctor_tell(d, fault == NULL ? HEALTH_OK : HEALTH_FAIL, name, detail,
                fault == NULL ? "" : "stop what uses it, or choose another port");
}

/* Of a running one: do they answer? It knows where it listens, whatever the settings say by now. */
static void check_listeners(struct doctor *d)
{
    static const char *const names[] = {"http", "listen"};
    struct cli_reply reply;
    if (cli_admin(d->cli, "doctor", NULL, &reply) != CLI_OK)
        return;
    json_t *root = cli_parse_reply(&reply);
    for (size_t i = 0; root != NULL && i < 2; i++) {
        const char *address = cli_text(root, names[i]), *fault = probe_address(address, PROBE_CONNECT);
        char detail[512];
        snprintf(detail, sizeof detail, "%s %s%s", address,
                 fault == NULL ? "answers" : "does not answer this very machine: ", fault != NULL ? fault : "");
        doctor_tell(d, fault == NULL ? HEALTH_OK : HEALTH_FAIL, names[i], detail,
                    fault == NULL
                        ? ""
                        : "a firewall rule of this machine drops it (`nft list ruleset`); see also the node's log");
    }
    json_decref(root);
    cli_reply_close(&reply);
}

/* ---- the mesh ---------------------------------------------------------------------------------------------------- */

bool doctor_is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0 ||
           strncmp(address, "localhost:", 10) == 0;
}

static void check_admission(struct doctor *d)
{
    struct mesh_file mesh;
    struct buf why = {0};
    enum err err = dir_mesh(d->cli->dir, &mesh, &why);
    buf_close(&why);
    if (err != ERR_OK || !mesh.founded_here)
        return;
    bool open = mesh.admission == ADMISSION_OPEN, local = doctor_is_loopback(config_text(&d->config, CONFIG_LISTEN));
    if (open && !local)
        doctor_tell(d, HEALTH_WARN, "admission", "anyone who reaches this open mesh may write to it, without bound",
                    "keep it in a private network, or found a mesh with --admission members");
    else
        doctor_tell(d, HEALTH_OK, "admission", open ? "open, and reachable from this machine alone" : "members only",
                    "");
}

static void check_configured_peers(struct doctor *d)
{
    char peer[512], detail[600];
    for (size_t i = 0; config_item(&d->config, CONFIG_PEER, i, peer, sizeof peer); i++) {
        const char *at = strchr(peer, '@'), *address = at != NULL ? at + 1 : peer;
        const char *fault = probe_address(address, PROBE_CONNECT);
        snprintf(detail, sizeof detail, "%s %s", address, fault == NULL ? "answers" : fault);
        doctor_tell(
            d, fault == NULL ? HEALTH_OK : HEALTH_WARN, "peer", detail,
            fault == NULL
                ? ""
                : "is that node running, and its port open in the firewall? `souk run`, then doctor again says more");
    }
}

static void check_node(struct doctor *d)
{
    struct cli_reply reply;
    const json_t *row;
    size_t i;
    struct cli_request r = {.method = "GET", .path = "/readyz", .timeout_ms = 5000};
    if (cli_exchange(d->cli, &r, &reply) != CLI_OK) {
        doctor_tell(d, HEALTH_FAIL, "node", "its admin socket accepts but does not answer",
                    "look at its log; restart it");
        return;
    }
    json_t *root = json_loadb((const char *)reply.body.p, reply.body.n, 0, NULL);
    doctor_tell(d, reply.status == 200 ? HEALTH_OK : HEALTH_FAIL, "node",
                reply.status == 200 ? "ready" : "running, not ready",
                reply.status == 200 ? "" : "see the checks below");
    json_array_foreach(json_object_get(root, "checks"), i, row)
    {
        if (!json_is_true(json_object_get(row, "ok")))
            doctor_tell(d, HEALTH_FAIL, cli_text(row, "name"), cli_text(row, "detail"), "");
    }
    json_decref(root);
    cli_reply_close(&reply);
}

enum cli_exit cli_doctor(struct cli *c)
{
    struct doctor d = {.cli = c, .running = cli_node_runs(c)};
    config_init(&d.config);
    cli_rows_begin(&d.rows, c, columns);
    if (check_directory(&d)) {
        check_config(&d);
        check_disk(&d);
        if (!d.running)
            check_store(&d);
        check_admission(&d);
    }
    check_clock(&d);
    check_files(&d);
    doctor_sandbox(&d);
    if (d.running) {
        check_node(&d);
        check_listeners(&d);
        doctor_mesh(&d);
    } else {
        check_port(&d, CONFIG_HTTP);
        check_port(&d, CONFIG_LISTEN);
        check_configured_peers(&d);
    }
    cli_rows_end(&d.rows, CLI_OK);
    config_close(&d.config);
    return d.failed > 0 ? CLI_FAILED : CLI_OK;
}
