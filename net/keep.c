/*
 * The address book across restarts: keys, addresses, scores, bans and the operator's pins as lines of text. Reading takes what is well-formed
 * and leaves the rest, so that a damaged book never keeps a node from starting. Knows no file.
 */
#include "net/engine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define HEAD   "souk peers 1"
#define PINNED "pinned" /* the last word of a row that the operator pinned */

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static bool worth_keeping(const struct net *n, const struct peer *p)
{
    bool known = p->has_key && (p->addr[0] != 0 || p->told[0] != 0 || p->score != 0 || book_banned(n, p));
    return !p->self && (known || p->pin_kept);
}

/* Rounded up, so that an unchanged book is the same text a moment later. */
static uint64_t whole_time(uint64_t ms)
{
    return (ms + 9999) / 10000 * 10000;
}

static void put_row(const struct net *n, const struct peer *p, uint64_t clock_ms, struct buf *out)
{
    char key[ID_HEX_SIZE] = "-", source[ID_HEX_SIZE];
    const char *addr = p->addr[0] != 0 ? p->addr : p->told[0] != 0 ? p->told : "-";
    uint64_t banned = 0;
    if (book_banned(n, p))
        banned = p->banned_until_ms == UINT64_MAX ? UINT64_MAX : whole_time(clock_ms + (p->banned_until_ms - n->now_ms));
    if (p->has_key)
        key_hex(key, &p->key);
    key_hex(source, &p->source);
    assert(strchr(addr, ' ') == NULL);
    buf_printf(out, "%s %s %lld %llu %d %s %d%s\n", key, addr, (long long)p->score, (unsigned long long)banned, p->proved, source,
               p->sure_source, p->pin_kept ? " " PINNED : "");
}

void net_book_save(const struct net *n, uint64_t clock_ms, struct buf *out)
{
    buf_printf(out, HEAD "\n");
    for (size_t i = 0; i < n->book_count; i++)
        if (worth_keeping(n, n->book[i]))
            put_row(n, n->book[i], clock_ms, out);
    assert(n->book_count <= NET_BOOK_MAX);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static struct bytes cut(struct bytes *rest, char at)
{
    const uint8_t *end = rest->n > 0 ? memchr(rest->p, at, rest->n) : NULL;
    struct bytes out = *rest;
    if (end == NULL) {
        *rest = bytes_of(NULL, 0);
        return out;
    }
    out.n = (size_t)(end - rest->p);
    *rest = bytes_of(end + 1, rest->n - out.n - 1);
    return out;
}

static bool parse_number(struct bytes text, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned digit = (unsigned)text.p[i] - '0';
        if (digit > 9 || *out > (UINT64_MAX - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    return text.n > 0;
}

static bool parse_score(struct bytes text, int64_t *out)
{
    uint64_t v;
    bool minus = text.n > 0 && text.p[0] == '-';
    if (minus)
        text = bytes_of(text.p + 1, text.n - 1);
    if (!parse_number(text, &v) || v > NET_SCORE_MAX)
        return false;
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

static bool parse_address(struct bytes text, char out[NET_ADDR_MAX])
{
    out[0] = 0;
    if (bytes_eq(text, bytes_str("-")))
        return true;
    if (text.n >= NET_ADDR_MAX || memchr(text.p, 0, text.n) != NULL)
        return false;
    (void)snprintf(out, NET_ADDR_MAX, "%.*s", (int)text.n, (const char *)text.p);
    enum addr_kind kind = addr_classify(out);
    return kind == ADDR_PLAIN || kind == ADDR_LOOPBACK;
}

/* A row without a key is one that the operator pinned and that never answered. */
struct row {
    bool has_key, pinned;
    struct key key, source;
    char addr[NET_ADDR_MAX];
    int64_t score;
    uint64_t banned, proved, sure;
};

static bool parse_row(struct bytes line, struct row *r)
{
    struct bytes key = cut(&line, ' ');
    r->has_key = !bytes_eq(key, bytes_str("-"));
    if ((r->has_key && !key_parse(&r->key, key)) || !parse_address(cut(&line, ' '), r->addr) ||
        !parse_score(cut(&line, ' '), &r->score) || !parse_number(cut(&line, ' '), &r->banned) ||
        !parse_number(cut(&line, ' '), &r->proved) || !key_parse(&r->source, cut(&line, ' ')) || !parse_number(cut(&line, ' '), &r->sure))
        return false;
    r->pinned = bytes_eq(line, bytes_str(PINNED));
    return (line.n == 0 || r->pinned) && (r->has_key || (r->pinned && r->addr[0] != 0));
}

static uint64_t ban_left(uint64_t banned, uint64_t clock_ms)
{
    uint64_t left = banned > clock_ms ? banned - clock_ms : 0;
    return left < NET_BAN_MS ? left : NET_BAN_MS; /* a clock that was set meanwhile makes no ban longer */
}

static void take_row(struct net *n, const struct row *r, uint64_t clock_ms)
{
    bool known = r->has_key ? key_eq(&r->key, &n->self.key) || book_by_key(n, &r->key) != NULL : book_by_addr(n, r->addr) != NULL;
    bool pinned = r->pinned && book_pinned(n) < NET_PINNED_MAX;
    if (known || n->book_count == NET_BOOK_MAX || (!r->has_key && !pinned))
        return;
    struct peer *p = book_add(n);
    assert(p != NULL && n->book_count <= NET_BOOK_MAX);
    p->has_key = p->key_required = r->has_key;
    p->key = r->key;
    p->pinned = p->pin_kept = pinned;
    p->source = r->source;
    p->score = r->score;
    p->proved = r->proved == 1;
    p->sure_source = r->sure == 1;
    (void)snprintf(p->addr, sizeof p->addr, "%s", r->addr);
    if (r->banned != 0)
        p->banned_until_ms = r->banned == UINT64_MAX ? UINT64_MAX : n->now_ms + ban_left(r->banned, clock_ms);
    p->next_dial_ms = n->now_ms + rng_below(&n->rng, NET_BACKOFF_MIN_MS);
}

void net_book_load(struct net *n, struct bytes text, uint64_t clock_ms)
{
    size_t bad = 0;
    if (text.n == 0)
        return;
    if (!bytes_eq(cut(&text, '\n'), bytes_str(HEAD))) {
        net_log(n, 1, "the kept address book is of another form and is not used");
        return;
    }
    while (text.n > 0) {
        struct row r = {0};
        if (parse_row(cut(&text, '\n'), &r))
            take_row(n, &r, clock_ms);
        else
            bad++;
    }
    book_trim(n);
    if (bad > 0)
        net_log(n, 1, "%zu lines of the kept address book are damaged and were left out", bad);
}
