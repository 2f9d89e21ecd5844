/*
 * Doctor's view of the mesh: what the running node knows of its peers, and what this machine finds when it knocks at their
 * doors itself. Tells a network that is cut from a machine that is off, a port that is blocked, a node of another mesh and
 * a clock that is wrong, and says for each what to do next.
 */
#include "node/cli_doctor.h"

#include "crdt/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_OFF_MS 5000  /* two clocks that differ more are told of   */
#define SILENT_MS    25000 /* a healthy peer answers a PING each 15 s   */
#define LAG_MS       60000 /* unequal for longer                        */
#define TOGETHER_MS  60000 /* lost within this time: the network rather than the machines */
#define NAMED_MAX    8     /* addresses named in one finding            */

/* Why a peer is not in session, as far as it can be told from here. */
enum plight { PLIGHT_NONE, PLIGHT_BACK, PLIGHT_STOPPED, PLIGHT_BLOCKED, PLIGHT_GONE };

struct mesh_view {
    struct doctor *d;
    json_t *peers, *reach;
    size_t up, synced;
    bool overlay; /* more are known than are to be in session: one that is not needs no finding */
    struct probe probes[PROBES_MAX];
    size_t probe_count;
    struct buf detail, next;
};

static bool state_is(const json_t *p, const char *state)
{
    return strcmp(cli_text(p, "state"), state) == 0;
}

static const char *trouble_code(const json_t *p)
{
    return cli_text(json_object_get(p, "trouble"), "code");
}

static void put_age(struct buf *out, const json_t *owner)
{
    cli_put_seconds(out, (uint64_t)cli_int(json_object_get(owner, "trouble"), "age_ms") / 1000);
}

/* "abcdef012345 (10.0.0.1:7071)", or the address alone where the key is not known. */
static void put_peer(struct buf *out, const json_t *p)
{
    const char *id = cli_text(p, "id"), *address = cli_text(p, "address");
    if (strspn(id, "0") == strlen(id))
        buf_put_str(out, address);
    else if (address[0] == '\0')
        buf_printf(out, "%.12s", id);
    else
        buf_printf(out, "%.12s (%s)", id, address);
}

/* What `souk peer` calls it. */
static void put_name(struct buf *out, const json_t *p)
{
    const char *id = cli_text(p, "id");
    if (strspn(id, "0") == strlen(id))
        buf_put_str(out, cli_text(p, "address"));
    else
        buf_printf(out, "%.12s", id);
}

static void say(struct mesh_view *m, enum health health, const char *check)
{
    doctor_tell(m->d, health, check, buf_cstr(&m->detail), buf_cstr(&m->next));
    buf_reset(&m->detail);
    buf_reset(&m->next);
}

/* ---- knocking ---------------------------------------------------------------------------------------------------- */

/* The codes of a dial that got no answer, or of a session that broke off. */
static bool is_away(const json_t *p)
{
    static const char *const codes[] = {
        "connect_timeout", "connect_refused", "no_route", "connect", "timeout", "lost", "bye", "slow", "crypto"};
    if (state_is(p, "up") || state_is(p, "banned"))
        return false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(trouble_code(p), codes[i]) == 0)
            return true;
    return state_is(p, "dialing") && trouble_code(p)[0] == '\0'; /* the first dial is still under way */
}

static bool came_by_itself(const json_t *p)
{
    return state_is(p, "up") && json_is_false(json_object_get(p, "outbound")) && cli_text(p, "address")[0] != '\0';
}

/* Port 1 of the same host: a refusal of it shows that the machine is there. */
static void put_other_port(char out[256], const char *address)
{
    const char *colon = strrchr(address, ':');
    snprintf(out, 256, "%.*s:1", colon != NULL ? (int)(colon - address) : 0, address);
}

static void knock(struct mesh_view *m)
{
    const json_t *p;
    size_t i;
    json_array_foreach(m->peers, i, p)
    {
        const char *address = cli_text(p, "address");
        if ((!is_away(p) && !came_by_itself(p)) || address[0] == '\0' || m->probe_count + 2 > PROBES_MAX)
            continue;
        snprintf(m->probes[m->probe_count++].address, sizeof m->probes[0].address, "%s", address);
        put_other_port(m->probes[m->probe_count++].address, address);
    }
    probe_all(m->probes, m->probe_count);
}

/* The two results for an address; false: it was not tried. */
static bool knocked(const struct mesh_view *m, const char *address, int *port, int *machine)
{
    for (size_t i = 0; i + 1 < m->probe_count; i += 2)
        if (strcmp(m->probes[i].address, address) == 0) {
            *port = m->probes[i].code;
            *machine = m->probes[i + 1].code;
            return true;
        }
    return false;
}

static enum plight plight_of(const struct mesh_view *m, const json_t *p)
{
    int port = 0, machine = 0;
    if (!is_away(p))
        return PLIGHT_NONE;
    if (!knocked(m, cli_text(p, "address"), &port, &machine))
        return PLIGHT_GONE;
    if (port == 0)
        return PLIGHT_BACK;
    if (port == ECONNREFUSED)
        return PLIGHT_STOPPED;
    return machine == 0 || machine == ECONNREFUSED ? PLIGHT_BLOCKED : PLIGHT_GONE;
}

/* ---- peers that are away ----------------------------------------------------------------------------------------- */

static void tell_stopped(struct mesh_view *m, const json_t *p)
{
    put_peer(&m->detail, p);
    buf_put_str(&m->detail, ": that machine answers, but no node listens on the port; away for ");
    put_age(&m->detail, p);
    buf_put_str(&m->next, "start the node there, or compare the port with its `ready` line; `souk peer rm ");
    put_name(&m->next, p);
    buf_put_str(&m->next, "` if it is gone for good");
    say(m, HEALTH_WARN, "stopped");
}

static void tell_blocked(struct mesh_view *m, const json_t *p)
{
    const char *address = cli_text(p, "address"), *colon = strrchr(address, ':');
    put_peer(&m->detail, p);
    buf_put_str(&m->detail, ": that machine answers, but what is sent to this port is dropped; away for ");
    put_age(&m->detail, p);
    buf_printf(&m->next, "open TCP port %s in its firewall, or in the one between; it may also dial this node instead",
               colon != NULL ? colon + 1 : "");
    say(m, HEALTH_WARN, "blocked port");
}

static void tell_back(struct mesh_view *m, const json_t *p)
{
    put_peer(&m->detail, p);
    buf_put_str(&m->detail, " answers again; it is dialed within 30 s");
    say(m, HEALTH_NOTE, "peer");
}

/* Nodes that neither their port nor their machine can be reached: one finding for all of them. */
static void tell_partition(struct mesh_view *m)
{
    long long least = 0, most = 0;
    size_t i, gone = 0;
    const json_t *p;
    struct buf names = {0}, age = {0};
    json_array_foreach(m->peers, i, p)
    {
        if (plight_of(m, p) != PLIGHT_GONE)
            continue;
        long long ms = cli_int(json_object_get(p, "trouble"), "age_ms");
        least = gone == 0 || ms < least ? ms : least;
        most = ms > most ? ms : most;
        if (gone < NAMED_MAX) {
            buf_put_str(&names, gone > 0 ? ", " : "");
            put_peer(&names, p);
        }
        gone++;
    }
    cli_put_seconds(&age, (uint64_t)most / 1000);
    if (gone > 0) {
        buf_printf(&m->detail, "%zu of %zu known nodes out of reach for %s: %s%s. ", gone, gone + m->up, buf_cstr(&age),
                   buf_cstr(&names), gone > NAMED_MAX ? " and others" : "");
        if (gone > 1)
            buf_put_str(&m->detail, most - least < TOGETHER_MS ? "They went together, as when a network is cut. "
                                                               : "They went one by one. ");
        buf_put_str(&m->detail, "Both sides go on reading and writing, and merge when they meet");
        buf_put_str(&m->next,
                    m->up == 0
                        ? "look at this machine's network first (`ip -br addr`, `ip route`, its firewall)"
                        : "are those machines on? If so, look at the network and firewalls between here and there");
        buf_put_str(&m->next, "; `souk peer rm ID` for nodes that are gone for good");
        say(m, m->up == 0 ? HEALTH_FAIL : HEALTH_WARN, "partition");
    }
    buf_close(&names);
    buf_close(&age);
}

/* ---- peers that may not come in ---------------------------------------------------------------------------------- */

static void tell_mesh(struct mesh_view *m, const json_t *p)
{
    put_peer(&m->detail, p);
    buf_printf(&m->detail, " belongs to another mesh than this node's %.12s: %s", cli_text(m->reach, "mesh_id"),
               cli_text(json_object_get(p, "trouble"), "detail"));
    buf_printf(
        &m->next,
        "`souk status` on it shows its mesh id. A directory belongs to one mesh for good: to join that one, `souk "
        "run --dir NEW --mesh ITS_ID --peer %s`; else `souk peer rm ",
        cli_text(p, "address"));
    put_name(&m->next, p);
    buf_put_str(&m->next, "`");
    say(m, HEALTH_FAIL, "mesh id");
}

static void tell_refused(struct mesh_view *m, const json_t *p)
{
    static const struct {
        const char *code, *check, *next;
    } cases[] = {
        {"version", "version", "bring both nodes to one version of souk"},
        {"identity", "identity",
         "compare the key with id= in the `ready` line there; if that node was made anew, remove it and "
         "add its address again"},
        {"name", "name", "check the spelling, and the name server of this machine"},
        {"banned", "banned", "ask its operator; `souk peer ls` there shows the score and why"},
        {"removed", "removed", "an operator of the mesh admits the key again with `souk mesh admit KEY`"},
        {"full", "full", "that node has no free link; add another peer"},
        {"protocol", "protocol", "look at the log of both nodes at net=debug"},
        {"limit", "protocol", "look at the log of both nodes at net=debug"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(trouble_code(p), cases[i].code) == 0 && !state_is(p, "up") && !state_is(p, "banned") &&
            !(m->overlay && strcmp(cases[i].code, "full") == 0)) {
            put_peer(&m->detail, p);
            buf_printf(&m->detail, ": %s", cli_text(json_object_get(p, "trouble"), "detail"));
            buf_put_str(&m->next, cases[i].next);
            say(m, HEALTH_WARN, cases[i].check);
        }
}

static void tell_banned(struct mesh_view *m, const json_t *p)
{
    put_peer(&m->detail, p);
    buf_printf(&m->detail, " is banned here; its score is %lld", cli_int(p, "score"));
    buf_put_str(&m->next, "`souk peer ls` shows why; `souk peer unban ");
    put_name(&m->next, p);
    buf_put_str(&m->next, "` lets it in");
    say(m, HEALTH_NOTE, "banned");
}

static void tell_away(struct mesh_view *m)
{
    const json_t *p;
    size_t i;
    json_array_foreach(m->peers, i, p)
    {
        enum plight plight = plight_of(m, p);
        if (plight == PLIGHT_STOPPED)
            tell_stopped(m, p);
        else if (plight == PLIGHT_BLOCKED)
            tell_blocked(m, p);
        else if (plight == PLIGHT_BACK && !m->overlay)
            tell_back(m, p);
        else if (state_is(p, "banned"))
            tell_banned(m, p);
        else if (!state_is(p, "up") && strcmp(trouble_code(p), "mesh") == 0)
            tell_mesh(m, p);
        else
            tell_refused(m, p);
    }
    tell_partition(m);
}

static void tell_strangers(struct mesh_view *m)
{
    const json_t *s;
    size_t i;
    json_array_foreach(json_object_get(m->reach, "strangers"), i, s)
    {
        const char *code = trouble_code(s);
        bool mesh = strcmp(code, "mesh") == 0;
        buf_printf(&m->detail, "a node at %s dialed %lld times and was turned away: %s", cli_text(s, "host"),
                   cli_int(json_object_get(s, "trouble"), "times"), cli_text(json_object_get(s, "trouble"), "detail"));
        if (mesh)
            buf_printf(&m->next, "if it is meant to join, start it in a new directory with --mesh %s",
                       cli_text(m->reach, "mesh_id"));
        else
            buf_put_str(&m->next, "if it is yours, look at its log");
        say(m, HEALTH_NOTE, mesh ? "mesh id" : code);
    }
}

/* ---- who can be dialed ------------------------------------------------------------------------------------------- */

static void tell_one_way(struct mesh_view *m)
{
    const json_t *p;
    size_t i;
    int port = 0, machine = 0;
    json_array_foreach(m->peers, i, p)
    {
        const char *address = cli_text(p, "address"), *colon = strrchr(address, ':');
        if (!came_by_itself(p) || !knocked(m, address, &port, &machine) || port == 0)
            continue;
        put_peer(&m->detail, p);
        buf_printf(
            &m->detail,
            " is connected because it dialed; its address does not answer from here (%s): its port is blocked or "
            "it is behind NAT. It stays in step as long as it can dial",
            strerror(port));
        buf_printf(&m->next,
                   "to let others dial it: open or forward TCP port %s there and give it --advertise HOST:PORT",
                   colon != NULL ? colon + 1 : "");
        say(m, HEALTH_NOTE, "blocked port");
    }
}

static void tell_own_port(struct mesh_view *m)
{
    const char *listen = cli_text(m->reach, "listen"), *colon = strrchr(listen, ':');
    long long dialed = cli_int(m->reach, "sessions_dialed");
    if (doctor_is_loopback(listen) || colon == NULL || cli_int(m->reach, "sessions_accepted") > 0 || dialed < 2 ||
        m->up < 2)
        return;
    buf_printf(
        &m->detail,
        "no node has connected to this one since it started; all %lld sessions were dialed from here. TCP port %s "
        "may be blocked from outside",
        dialed, colon + 1);
    buf_printf(
        &m->next,
        "from another machine: `nc -vz THIS_HOST %s`; open or forward the port, and set advertise if the address "
        "outside differs. Without it this node stays in step by dialing",
        colon + 1);
    say(m, HEALTH_NOTE, "blocked port");
}

/* ---- clocks ------------------------------------------------------------------------------------------------------ */

static void put_skew(struct buf *out, long long ms)
{
    cli_put_seconds(out, (uint64_t)(ms < 0 ? -ms : ms) / 1000);
    buf_put_str(out, ms < 0 ? " behind" : " ahead");
}

static bool clock_off(const json_t *p)
{
    long long ms = cli_int(p, "skew_ms");
    return state_is(p, "up") && (ms >= CLOCK_OFF_MS || ms <= -CLOCK_OFF_MS);
}

/* More than half of the peers say so: it is this clock. One peer alone: nobody can tell. */
static void tell_own_clock(struct mesh_view *m, size_t off, long long skew)
{
    bool far = skew >= MODEL_AHEAD_MAX_MS || skew <= -MODEL_AHEAD_MAX_MS;
    if (m->up == 1) {
        buf_put_str(&m->detail, "this clock and that of the only peer differ: this one is ");
        put_skew(&m->detail, -skew);
    } else {
        buf_put_str(&m->detail, "this machine's clock is ");
        put_skew(&m->detail, -skew);
        buf_printf(&m->detail, " of that of %zu of %zu peers", off, m->up);
    }
    if (far)
        buf_printf(&m->detail, "; %s set aside until they are due",
                   skew < 0 ? "what is written here is" : "what they write is");
    buf_put_str(&m->next, m->up == 1
                              ? "compare `date -u` on both; set the wrong one, best by NTP (`timedatectl set-ntp true`)"
                              : "compare `date -u`; set this clock, best by NTP (`timedatectl set-ntp true`)");
    say(m, far ? HEALTH_FAIL : HEALTH_WARN, "clock");
}

static void tell_peer_clock(struct mesh_view *m, const json_t *p)
{
    long long ms = cli_int(p, "skew_ms");
    buf_put_str(&m->detail, "the clock of ");
    put_peer(&m->detail, p);
    buf_put_str(&m->detail, " is ");
    put_skew(&m->detail, ms);
    if (ms >= MODEL_AHEAD_MAX_MS)
        buf_put_str(&m->detail, "; what it writes is set aside here until it is due");
    if (ms <= -MODEL_AHEAD_MAX_MS)
        buf_put_str(&m->detail, "; what is written elsewhere is set aside there");
    buf_put_str(&m->next, "tell its operator to set the clock, best by NTP (`timedatectl set-ntp true`)");
    say(m, HEALTH_WARN, "clock");
}

static int by_value(const void *a, const void *b)
{
    const long long x = *(const long long *)a, y = *(const long long *)b;
    return (x > y) - (x < y);
}

static void tell_clocks(struct mesh_view *m)
{
    long long skews[256];
    size_t i, n = 0, off = 0;
    const json_t *p;
    json_array_foreach(m->peers, i, p)
    {
        off += clock_off(p);
        if (state_is(p, "up") && n < sizeof skews / sizeof *skews)
            skews[n++] = cli_int(p, "skew_ms");
    }
    if (n == 0)
        return;
    qsort(skews, n, sizeof *skews, by_value);
    if (off > m->up / 2) {
        tell_own_clock(m, off, skews[n / 2]);
        return;
    }
    json_array_foreach(m->peers, i, p)
    {
        if (clock_off(p))
            tell_peer_clock(m, p);
    }
    if (off > 0)
        return;
    buf_printf(&m->detail, "within %d s of those of %zu peers", CLOCK_OFF_MS / 1000, n);
    say(m, HEALTH_OK, "clocks");
}

/* ---- peers that are there ---------------------------------------------------------------------------------------- */

static void tell_up(struct mesh_view *m)
{
    const json_t *p;
    size_t i;
    json_array_foreach(m->peers, i, p)
    {
        long long silent = cli_int(p, "silent_ms"), lag = cli_int(p, "lag_ms");
        bool synced = json_is_true(json_object_get(p, "synced"));
        if (!state_is(p, "up") || (silent < SILENT_MS && (synced || lag < LAG_MS)))
            continue;
        put_peer(&m->detail, p);
        if (silent >= SILENT_MS)
            buf_printf(&m->detail, " has been silent for %lld s: its session ends soon if nothing comes",
                       silent / 1000);
        else
            buf_printf(&m->detail, " has not held the same for %lld s", lag / 1000);
        buf_put_str(&m->next, silent >= SILENT_MS ? "look at the network to it"
                                                  : "`souk sync`, then `souk log net=debug` and the log");
        say(m, HEALTH_WARN, silent >= SILENT_MS ? "silent" : "lag");
    }
}

/* A peer that is banned here, or whose key was removed, is not meant to be in session. */
static bool may_connect(const json_t *p)
{
    return !state_is(p, "banned") && !json_is_true(json_object_get(p, "expelled"));
}

static void tell_summary(struct mesh_view *m)
{
    size_t n = 0, i;
    const json_t *p;
    json_array_foreach(m->peers, i, p) n += may_connect(p);
    buf_printf(&m->detail, "connected to %zu of %zu known nodes%s, in step with %zu", m->up, n,
               m->overlay && m->up < n ? " (a mesh of this size needs no more)" : "", m->synced);
    if (n > 0 && m->up == 0)
        buf_put_str(&m->next, "`souk peer ls` shows why");
    if (n == 0)
        buf_put_str(&m->next, "`souk peer add HOST:PORT` connects it, if it is not meant to be alone");
    say(m, n > 0 && m->up == 0 ? HEALTH_WARN : HEALTH_OK, "peers");
}

static json_t *fetch(struct doctor *d, const char *verb)
{
    struct cli_reply reply;
    if (cli_admin(d->cli, verb, NULL, &reply) != CLI_OK)
        return NULL;
    json_t *root = cli_parse_reply(&reply);
    cli_reply_close(&reply);
    return root;
}

void doctor_mesh(struct doctor *d)
{
    struct mesh_view m = {.d = d, .peers = fetch(d, "peers"), .reach = fetch(d, "doctor")};
    const json_t *p;
    size_t i;
    m.overlay = json_is_true(json_object_get(m.reach, "overlay"));
    json_array_foreach(m.peers, i, p)
    {
        m.up += state_is(p, "up");
        m.synced += state_is(p, "up") && json_is_true(json_object_get(p, "synced"));
    }
    if (m.peers != NULL && m.reach != NULL) {
        knock(&m);
        tell_summary(&m);
        tell_away(&m);
        tell_strangers(&m);
        tell_up(&m);
        tell_one_way(&m);
        tell_own_port(&m);
        tell_clocks(&m);
    }
    json_decref(m.peers);
    json_decref(m.reach);
    buf_close(&m.detail);
    buf_close(&m.next);
}
