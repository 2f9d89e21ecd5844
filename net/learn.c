/*
 * Addresses that peers tell of others: which are kept, how many from one source and one network, and which row gives way.
 * Strangers may fill a part of the book, never push out those who proved something, the operator's or those in session.
 */
#include "net/engine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- networks ----------------------------------------------------------------------------------------------------------- */

/* The four numbers of an IPv4 address before the port. */
static bool ipv4_of(const char *addr, unsigned out[4])
{
    const char *p = addr;
    for (size_t i = 0; i < 4; i++) {
        unsigned v = 0, digits = 0;
        for (; *p >= '0' && *p <= '9' && digits < 4; p++, digits++)
            v = v * 10 + (unsigned)(*p - '0');
        if (digits == 0 || v > 255 || *p != (i < 3 ? '.' : ':'))
            return false;
        out[i] = v;
        p++;
    }
    return true;
}

static unsigned hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* The first three groups of "[...]:PORT": enough for a /48. What "::" hides among them is zero. */
static bool ipv6_of(const char *addr, unsigned out[3])
{
    const char *p = addr + 1;
    memset(out, 0, 3 * sizeof out[0]);
    if (addr[0] != '[')
        return false;
    for (size_t i = 0; i < 3; i++) {
        if (*p == ':')
            return true;
        while (hex_digit(*p) < 16)
            out[i] = (out[i] << 4 | hex_digit(*p++)) & 0xffff;
        if (*p != ':')
            return false;
        p++;
    }
    return true;
}

bool addr_private(const char *addr)
{
    unsigned a[4], h[3];
    if (ipv4_of(addr, a))
        return a[0] == 10 || a[0] == 127 || (a[0] == 172 && a[1] >= 16 && a[1] <= 31) || (a[0] == 192 && a[1] == 168) ||
               (a[0] == 169 && a[1] == 254) || (a[0] == 100 && a[1] >= 64 && a[1] <= 127);
    if (ipv6_of(addr, h))
        return (h[0] & 0xfe00) == 0xfc00 || (h[0] & 0xffc0) == 0xfe80 || strncmp(addr, "[::1]", 5) == 0;
    return strncmp(addr, "localhost:", 10) == 0;
}

/* The last two parts of a name: whoever owns it can make names below it at will. */
static void name_group(const char *addr, char out[NET_GROUP_TEXT])
{
    size_t n = 0, dots = 0;
    while (addr[n] != 0 && addr[n] != ':')
        n++;
    size_t from = n;
    while (from > 0 && n - from < NET_GROUP_TEXT - 1) {
        dots += addr[from - 1] == '.' && from < n;
        if (dots == 2)
            break;
        from--;
    }
    (void)snprintf(out, NET_GROUP_TEXT, "%.*s", (int)(n - from), addr + from);
    assert(from <= n && n - from < NET_GROUP_TEXT);
    for (char *p = out; *p != 0; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p | 0x20);
}

void addr_group(const char *addr, char out[NET_GROUP_TEXT])
{
    unsigned a[4], h[3];
    assert(addr != NULL);
    if (ipv4_of(addr, a))
        (void)snprintf(out, NET_GROUP_TEXT, "%u.%u.%u", a[0], a[1], a[2]);
    else if (ipv6_of(addr, h))
        (void)snprintf(out, NET_GROUP_TEXT, "%x:%x:%x", h[0], h[1], h[2]);
    else
        name_group(addr, out);
}

/* ---- what is kept ------------------------------------------------------------------------------------------------------- */

bool peer_proven(const struct peer *p)
{
    assert(p->score <= NET_SCORE_MAX);
    return p->pinned || p->score >= NET_PROVEN_SCORE;
}

bool peer_passive(const struct peer *p)
{
    return !p->pinned && p->link == NULL && p->addr[0] != 0;
}

static bool forgettable(const struct net *n, const struct peer *p)
{
    return !p->pinned && p->link == NULL && p->dial == 0 && !book_banned(n, p);
}

static bool has_source(const struct peer *p)
{
    static const struct key none;
    return !key_eq(&p->source, &none);
}

static size_t passive_from(const struct net *n, const struct key *source)
{
    size_t count = 0;
    for (size_t i = 0; i < n->book_count; i++)
        count += peer_passive(n->book[i]) && key_eq(&n->book[i]->source, source);
    return count;
}

static size_t passive_count(const struct net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->book_count; i++)
        count += peer_passive(n->book[i]);
    return count;
}

/* Peers of one network that somebody unproven told of, in session or not. */
static size_t group_count(const struct net *n, const char *addr)
{
    char group[NET_GROUP_TEXT], other[NET_GROUP_TEXT];
    size_t count = 0;
    addr_group(addr, group);
    for (size_t i = 0; i < n->book_count; i++) {
        const struct peer *p = n->book[i];
        if (p->addr[0] == 0 || !has_source(p) || p->sure_source || peer_proven(p))
            continue;
        addr_group(p->addr, other);
        count += strcmp(group, other) == 0;
    }
    return count;
}

/* ---- what gives way ----------------------------------------------------------------------------------------------------- */

/* Its address is forgotten; the row stays where its score is a warning. */
static void drop_passive(struct net *n, struct peer *p)
{
    assert(forgettable(n, p) && peer_passive(p));
    if (p->score < 0)
        p->addr[0] = p->told[0] = 0;
    else
        book_remove(n, p);
}

/* So many dials may fail before an address gives way: a network that is cut in two may be whole again. */
static unsigned patience(const struct peer *p)
{
    return peer_proven(p) ? 20 : p->proved ? 5 : 0;
}

/* One that cannot be reached, else one of the source that told most, if that is more than the newcomer's told. */
static struct peer *passive_to_drop(struct net *n, const struct key *source)
{
    struct peer *worst = NULL;
    size_t most = passive_from(n, source) + 1;
    for (size_t i = 0; i < n->book_count; i++) {
        struct peer *p = n->book[i];
        if (peer_passive(p) && forgettable(n, p) && p->fails > patience(p) && (worst == NULL || p->fails > worst->fails))
            worst = p;
    }
    for (size_t i = 0; i < n->book_count && (worst == NULL || worst->fails == 0); i++) {
        struct peer *p = n->book[i];
        if (!peer_passive(p) || !forgettable(n, p) || p->proved || !has_source(p))
            continue;
        size_t told = passive_from(n, &p->source);
        if (told > most) {
            most = told;
            worst = p;
        }
    }
    return worst;
}

static bool room_for_passive(struct net *n, const struct key *source)
{
    while (passive_count(n) >= NET_PASSIVE_MAX) {
        struct peer *worst = passive_to_drop(n, source);
        if (worst == NULL)
            return false;
        drop_passive(n, worst);
    }
    return true;
}

/* -1, 0, 1: a goes before, with, after b. */
static int trim_order(const struct peer *a, const struct peer *b)
{
    if (a->proved != b->proved)
        return b->proved ? -1 : 1;
    if (a->score != b->score)
        return a->score < b->score ? -1 : 1;
    return a->fails != b->fails ? (a->fails > b->fails ? -1 : 1) : 0;
}

/* Those whose sessions ended may be too many. */
void book_trim(struct net *n)
{
    while (passive_count(n) > NET_PASSIVE_MAX) {
        struct peer *worst = NULL;
        uint64_t alike = 0;
        for (size_t i = 0; i < n->book_count; i++) {
            struct peer *p = n->book[i];
            int order = worst != NULL && peer_passive(p) ? trim_order(p, worst) : -1;
            if (!peer_passive(p) || !forgettable(n, p) || order > 0)
                continue;
            alike = order < 0 ? 1 : alike + 1;
            if (rng_below(&n->rng, alike) == 0) /* of those alike any: what stays is a sample */
                worst = p;
        }
        if (worst == NULL)
            return;
        drop_passive(n, worst);
    }
}

static size_t stained(const struct net *n)
{
    size_t count = 0;
    for (size_t i = 0; i < n->book_count; i++)
        count += n->book[i]->score < 0 && forgettable(n, n->book[i]);
    return count;
}

/* How much of a loss: nothing known, a bad score where there are many, an address, a bad score, a good one. */
static unsigned worth(const struct peer *p, bool many)
{
    if (p->score < 0)
        return many ? 1 : 3;
    if (p->addr[0] == 0)
        return p->score < NET_PROVEN_SCORE ? 0 : 2;
    return p->score < NET_PROVEN_SCORE ? 2 : 4;
}

/* The score survives a reconnect: a bad one is not got rid of by making the book overflow. */
bool book_makes_room(struct net *n)
{
    struct peer *worst = NULL;
    bool many = stained(n) > NET_STAINED_MAX;
    for (size_t i = 0; i < n->book_count; i++) {
        struct peer *p = n->book[i];
        if (!forgettable(n, p))
            continue;
        unsigned a = worth(p, many), b = worst != NULL ? worth(worst, many) : UINT32_MAX;
        if (a < b || (a == b && (p->score < 0 ? p->score > worst->score : p->seen_ms < worst->seen_ms)))
            worst = p;
    }
    if (worst == NULL)
        return false;
    assert(!worst->pinned && worst->link == NULL);
    book_remove(n, worst);
    return true;
}

/* ---- learning ----------------------------------------------------------------------------------------------------------- */

/* PROTOCOL 2.8: Of one network at most 2 are kept that were told by peers that proved nothing yet. */
static bool wanted(struct net *n, const struct link *from, const char *addr, bool sure)
{
    return book_by_addr(n, addr) == NULL && passive_from(n, &from->conn.remote) < NET_LEARNED_MAX &&
           (sure || group_count(n, addr) < NET_GROUP_MAX) && room_for_passive(n, &from->conn.remote);
}

static struct peer *learn(struct net *n, const struct link *from, const struct key *key, const char *addr)
{
    assert(from->peer != NULL && !key_eq(key, &n->self.key));
    /* A private network is one administration: its addresses say nothing about diversity to those who are in it. */
    bool sure = peer_proven(from->peer) || (addr_private(addr) && addr_private(from->addr));
    struct peer *p = wanted(n, from, addr, sure) ? book_add(n) : NULL;
    if (p == NULL)
        return NULL;
    p->has_key = p->key_required = true;
    p->key = *key;
    p->source = from->conn.remote;
    p->sure_source = sure;
    /* The greater key waits a moment, so that two who hear of each other do not dial at once. */
    p->next_dial_ms = n->now_ms + rng_below(&n->rng, 50) + (key_cmp(&n->self.key, key) > 0 ? NET_BACKOFF_MIN_MS : 0);
    return p;
}

void book_learn(struct net *n, const struct link *from, const struct key *key, const char *addr)
{
    assert(addr[0] != 0 && strlen(addr) < NET_ADDR_MAX);
    enum addr_kind kind = addr_classify(addr);
    if (key_eq(key, &n->self.key) || (kind != ADDR_PLAIN && !(kind == ADDR_LOOPBACK && from->local)))
        return;
    struct peer *p = book_by_key(n, key);
    if (p == NULL)
        p = learn(n, from, key, addr);
    if (p == NULL || p->link != NULL || p->dial != 0)
        return;
    if (p->addr[0] == 0 || (!p->pinned && p->fails >= 3))
        (void)snprintf(p->addr, sizeof p->addr, "%s", addr);
}
