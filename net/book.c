/*
 * The address book: who is known, where, how they behaved, and when to dial. Rows outlive connections, so scores and
 * back-off survive a reconnect. Pinned rows are the operator's and are never forgotten.
 */
#include "net/engine.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- addresses ------------------------------------------------------------------------------------------------------ */

/* The colon before the port; NULL: no well-formed port of 1..65535. */
static const char *port_colon(const char *addr)
{
    const char *colon = strrchr(addr, ':');
    unsigned port = 0;
    if (colon == NULL || colon[1] == 0)
        return NULL;
    for (const char *p = colon + 1; *p != 0; p++) {
        if (*p < '0' || *p > '9' || p - colon > 5)
            return NULL;
        port = port * 10 + (unsigned)(*p - '0');
    }
    return port > 0 && port <= 65535 ? colon : NULL;
}

enum addr_kind addr_classify(const char *addr)
{
    const char *colon = port_colon(addr);
    if (colon == NULL || strlen(addr) >= NET_ADDR_MAX)
        return ADDR_BAD;
    size_t n = (size_t)(colon - addr);
    bool bracketed = n >= 2 && addr[0] == '[' && addr[n - 1] == ']';
    for (size_t i = 0; i < n; i++)
        if (addr[i] <= ' ' || addr[i] >= 0x7f || addr[i] == '@' || addr[i] == '/' || (addr[i] == ':' && !bracketed))
            return ADDR_BAD;
    if (n == 0 || (n == 7 && memcmp(addr, "0.0.0.0", 7) == 0) || (n == 4 && memcmp(addr, "[::]", 4) == 0) ||
        (n == 1 && addr[0] == '*'))
        return ADDR_WILDCARD;
    if ((n > 4 && memcmp(addr, "127.", 4) == 0) || (n == 5 && memcmp(addr, "[::1]", 5) == 0) ||
        (n == 9 && memcmp(addr, "localhost", 9) == 0) || (n > 12 && memcmp(addr, "[::ffff:127.", 12) == 0))
        return ADDR_LOOPBACK;
    return ADDR_PLAIN;
}

bool addr_split(const char *text, struct key *key, bool *has_key, char addr[NET_ADDR_MAX])
{
    const char *at = strchr(text, '@');
    *has_key = at != NULL;
    if (at != NULL && !key_parse(key, bytes_of(text, (size_t)(at - text))))
        return false;
    const char *host = at != NULL ? at + 1 : text;
    enum addr_kind kind = addr_classify(host);
    if (kind != ADDR_PLAIN && kind != ADDR_LOOPBACK)
        return false;
    (void)snprintf(addr, NET_ADDR_MAX, "%s", host);
    return true;
}

bool addr_join(const char *seen, const char *told, char out[NET_ADDR_MAX])
{
    assert(seen != NULL && told != NULL);
    const char *a = port_colon(seen), *b = port_colon(told);
    if (a == NULL || b == NULL)
        return false;
    int n = snprintf(out, NET_ADDR_MAX, "%.*s%s", (int)(a - seen), seen, b);
    return n > 0 && n < NET_ADDR_MAX;
}

/* ---- rows ----------------------------------------------------------------------------------------------------------- */

const char *peer_name(const struct peer *p, char out[ID_HEX_SIZE])
{
    if (p == NULL)
        return "a stranger";
    if (!p->has_key)
        return p->addr;
    key_hex(out, &p->key);
    out[16] = 0; /* enough to tell peers apart in a log */
    return out;
}

struct peer *book_by_key(struct net *n, const struct key *key)
{
    for (size_t i = 0; i < n->book_count; i++)
        if (n->book[i]->has_key && key_eq(&n->book[i]->key, key))
            return n->book[i];
    return NULL;
}

struct peer *book_by_addr(struct net *n, const char *addr)
{
    for (size_t i = 0; i < n->book_count; i++)
        if (strcmp(n->book[i]->addr, addr) == 0)
            return n->book[i];
    return NULL;
}

struct peer *book_by_dial(struct net *n, uint64_t dial)
{
    for (size_t i = 0; i < n->book_count && dial != 0; i++)
        if (n->book[i]->dial == dial)
            return n->book[i];
    return NULL;
}

bool book_banned(const struct net *n, const struct peer *p)
{
    return p->banned_until_ms > n->now_ms;
}

struct peer *book_add(struct net *n)
{
    assert(n->book_count <= NET_BOOK_MAX);
    if (n->book_count == NET_BOOK_MAX && !book_makes_room(n))
        return NULL;
    struct peer *p = mem_zalloc(sizeof *p);
    p->serial = n->serial++;
    p->next_dial_ms = n->now_ms;
    n->book[n->book_count++] = p;
    return p;
}

void book_remove(struct net *n, struct peer *p)
{
    size_t i = 0;
    while (n->book[i] != p)
        i++;
    assert(i < n->book_count);
    for (size_t k = 0; k < n->link_count; k++)
        if (n->links[k]->peer == p)
            n->links[k]->peer = NULL;
    free(p);
    n->book_count--;
    memmove(&n->book[i], &n->book[i + 1], (n->book_count - i) * sizeof n->book[0]);
}

/* PROTOCOL 2.7: A failed dial waits 1 s, then twice as long each time up to 30 s, give or take a fifth. */
void book_failed(struct net *n, struct peer *p)
{
    uint64_t wait = (uint64_t)NET_BACKOFF_MIN_MS << (p->fails < 9 ? p->fails : 9);
    uint64_t most = p->crowded && !p->pinned ? NET_BACKOFF_FULL_MS : NET_BACKOFF_MAX_MS;
    p->fails += p->fails < 100;
    p->dial = 0;
    assert(wait >= NET_BACKOFF_MIN_MS);
    p->next_dial_ms = n->now_ms + net_jitter(n, wait < most ? wait : most);
}

void book_score(struct net *n, struct peer *p, enum net_scored why)
{
    char name[ID_HEX_SIZE];
    if (p == NULL || book_banned(n, p))
        return; /* what it sent before the ban is judged yet, and paid for */
    int64_t room = NET_SCORE_MAX - p->score, by = note_points(why);
    note_score(n, p, why, by < room ? by : room);
    if (p->score > NET_SCORE_BAN)
        return;
    assert(p->score > 2 * NET_SCORE_BAN);
    note_score(n, p, NET_SCORED_BAN, NET_SCORE_BAN / 2 - p->score); /* what it starts with when the ban is over */
    p->banned_until_ms = n->now_ms + NET_BAN_MS;
    net_log(n, 1, "peer %s is banned for %d minutes: it lost all its score", peer_name(p, name), NET_BAN_MS / 60000);
    if (p->link != NULL)
        link_close(n, p->link, REASON_BANNED, NULL);
}

/* ---- whose row it is --------------------------------------------------------------------------------------------- */

/* Two rows turned out to be one node: the row with the key takes over what the dialed one knew. */
static void join_rows(struct net *n, struct peer *p, struct peer *dialed)
{
    assert(p != dialed && p->has_key && dialed->link == NULL);
    p->pinned |= dialed->pinned;
    p->pin_kept |= dialed->pin_kept;
    if (dialed->pinned || p->addr[0] == 0)
        memcpy(p->addr, dialed->addr, sizeof p->addr);
    p->fails = 0;
    for (size_t i = 0; i < n->link_count; i++)
        if (n->links[i]->peer == dialed)
            n->links[i]->peer = p;
    book_remove(n, dialed);
}

static struct peer *row_for_key(struct net *n, const struct key *key)
{
    struct peer *p = book_add(n);
    if (p != NULL) {
        p->has_key = true;
        p->key = *key;
    }
    return p;
}

struct peer *book_claim(struct net *n, struct peer *dialed, const struct key *key)
{
    struct peer *p = book_by_key(n, key);
    if (dialed == NULL || dialed->link != NULL)
        return p != NULL ? p : row_for_key(n, key);
    if (p != NULL && p != dialed)
        join_rows(n, p, dialed);
    if (p == NULL) {
        p = dialed;
        p->has_key = true;
        p->key = *key;
    }
    assert(p->has_key && key_eq(&p->key, key));
    p->dial = 0;
    return p;
}

/* ---- the operator ---------------------------------------------------------------------------------------------------- */

size_t book_pinned(const struct net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->book_count; i++)
        count += n->book[i]->pinned;
    return count;
}

static void operator_add(struct net *n, const char *text, enum net_event_kind kind)
{
    struct key key;
    bool has_key;
    char addr[NET_ADDR_MAX];
    if (!addr_split(text, &key, &has_key, addr)) {
        net_log(n, 0, "peer address '%s' is not HOST:PORT or KEY@HOST:PORT (KEY: 64 hex digits, PORT: 1 to 65535)", text);
        return;
    }
    struct peer *p = has_key ? book_by_key(n, &key) : NULL;
    if (p == NULL)
        p = book_by_addr(n, addr);
    if (p == NULL && book_pinned(n) < NET_PINNED_MAX)
        p = book_add(n);
    if (p == NULL) {
        net_log(n, 0, "peer %s is not added: %d pinned peers are the most", addr, NET_PINNED_MAX);
        return;
    }
    p->pinned = true;
    p->pin_kept |= kind == NET_PEER_PIN;
    (void)snprintf(p->addr, sizeof p->addr, "%s", addr);
    if (has_key) {
        p->has_key = p->key_required = true;
        p->key = key;
    }
    p->self = false;
    p->fails = 0;
    p->next_dial_ms = n->now_ms;
}

static void operator_ban(struct net *n, const struct key *key)
{
    struct peer *p = book_claim(n, NULL, key);
    if (p == NULL) {
        net_log(n, 0, "the ban list is full: %d peers are remembered at most", NET_BOOK_MAX);
        return;
    }
    p->banned_until_ms = UINT64_MAX;
    if (p->link != NULL)
        link_close(n, p->link, REASON_BANNED, "banned by the operator");
}

static void set_expelled(struct net *n, struct peer *p, bool expelled)
{
    char name[ID_HEX_SIZE];
    if (expelled == p->expelled)
        return;
    p->expelled = expelled;
    p->next_dial_ms = n->now_ms;
    net_log(n, 2, "peer %s %s", peer_name(p, name), expelled ? "was removed from the mesh" : "is admitted to the mesh again");
    if (expelled && p->link != NULL)
        link_close(n, p->link, REASON_REMOVED, REMOVED_TEXT);
}

void book_operator(struct net *n, const struct net_event *e)
{
    if (e->kind == NET_PEER_ADD || e->kind == NET_PEER_PIN) {
        operator_add(n, e->addr, e->kind);
        return;
    }
    if (e->kind == NET_PEER_BAN) {
        operator_ban(n, &e->peer);
        return;
    }
    struct peer *p = e->addr != NULL ? book_by_addr(n, e->addr) : book_by_key(n, &e->peer);
    if (p == NULL)
        return;
    if (e->kind == NET_PEER_UNBAN) {
        p->banned_until_ms = 0;
        note_score(n, p, NET_SCORED_UNBAN, -p->score);
        p->next_dial_ms = n->now_ms;
        return;
    }
    if (e->kind == NET_PEER_EXPEL || e->kind == NET_PEER_READMIT) {
        set_expelled(n, p, e->kind == NET_PEER_EXPEL);
        return;
    }
    assert(e->kind == NET_PEER_REMOVE);
    if (p->link != NULL)
        link_close(n, p->link, REASON_BYE, "removed by the operator");
    book_remove(n, p);
}

/* ---- dialing --------------------------------------------------------------------------------------------------------- */

bool book_may_dial(const struct net *n, const struct peer *p)
{
    return p->dial == 0 && p->addr[0] != 0 && p->link == NULL && !p->self && !p->expelled &&
           !book_banned(n, p) && p->next_dial_ms <= n->now_ms;
}

/* When this row is due: to be dialed, or to be given up on. `room`: for one more learned peer. */
static uint64_t due_at(const struct peer *p, bool room)
{
    if (p->dial != 0)
        return p->dial_ms;
    if (p->addr[0] == 0 || p->link != NULL || p->self || p->expelled || p->banned_until_ms == UINT64_MAX || (!p->pinned && !room))
        return UINT64_MAX;
    return p->next_dial_ms > p->banned_until_ms ? p->next_dial_ms : p->banned_until_ms;
}

size_t book_dialing(const struct net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->book_count; i++)
        count += n->book[i]->dial != 0;
    return count;
}

/* In an overlay the heartbeat chooses. */
static bool room_for_learned(const struct net *n)
{
    return !n->wide && links_up(n) + book_dialing(n) < NET_FULL_MESH;
}

uint64_t book_deadline(const struct net *n)
{
    uint64_t at = UINT64_MAX;
    bool room = room_for_learned(n);
    for (size_t i = 0; i < n->book_count; i++) {
        uint64_t due = due_at(n->book[i], room);
        at = due < at ? due : at;
    }
    return at;
}

void book_dial(struct net *n, struct peer *p)
{
    assert(p->dial == 0 && p->link == NULL && addr_classify(p->addr) != ADDR_BAD);
    p->probed = p->reached = false;
    p->dial = ++n->dial_count;
    p->dial_ms = n->now_ms + NET_DIAL_MS;
    net_log(n, 3, "dialing %s", p->addr);
    net_act(n, &(struct net_action){.kind = NET_DIAL, .dial = p->dial, .text = p->addr});
}

/* A dial that the rim never answered. Its connection, if there is one, has its own deadline. */
static void dial_timed_out(struct net *n, struct peer *p)
{
    assert(p->dial != 0 && n->now_ms >= p->dial_ms);
    net_log(n, 3, "dialing %s took longer than %d s", p->addr, NET_DIAL_MS / 1000);
    note_dial(n, p, NET_DIAL_TIMEOUT);
    book_failed(n, p);
}

void book_tick(struct net *n)
{
    book_trim(n);
    for (size_t i = 0; i < n->book_count; i++) {
        struct peer *p = n->book[i];
        if (due_at(p, room_for_learned(n)) > n->now_ms)
            continue;
        if (p->dial != 0)
            dial_timed_out(n, p);
        else
            book_dial(n, p);
    }
}
