/*
 * Decoders and encoders of every message, over a sticky bounded reader of fixed-width big-endian fields. Knows form, never
 * meaning; allocates nothing while decoding.
 */
#include "net/wire.h"

#include <assert.h>
#include <string.h>

const char *wire_reason_text(enum wire_reason r)
{
    static const char *const text[REASON_END] = {
        [REASON_BYE] = "the other side is leaving",
        [REASON_PROTOCOL] = "a message out of place",
        [REASON_LIMIT] = "a bound was exceeded",
        [REASON_TIMEOUT] = "a deadline passed",
        [REASON_FULL] = "no free link",
        [REASON_DUPLICATE] = "another connection to this node is kept",
        [REASON_SELF] = "this address is the node itself",
        [REASON_BANNED] = "banned",
        [REASON_MESH] = "another mesh",
        [REASON_VERSION] = "no common protocol version",
        [REASON_IDENTITY] = "not the expected identity",
        [REASON_SLOW] = "too slow for what it is sent",
        [REASON_CRYPTO] = "a record does not authenticate",
        [REASON_LOST] = "connection lost",
        [REASON_REMOVED] = "removed from the mesh",
    };
    return (unsigned)r < REASON_END ? text[r] : "an unknown reason";
}

const char *wire_reason_word(enum wire_reason r)
{
    static const char *const words[REASON_END] = {
        [REASON_BYE] = "bye",           [REASON_PROTOCOL] = "protocol", [REASON_LIMIT] = "limit",
        [REASON_TIMEOUT] = "timeout",   [REASON_FULL] = "full",         [REASON_DUPLICATE] = "duplicate",
        [REASON_SELF] = "self",         [REASON_BANNED] = "banned",     [REASON_MESH] = "mesh",
        [REASON_VERSION] = "version",   [REASON_IDENTITY] = "identity", [REASON_SLOW] = "slow",
        [REASON_CRYPTO] = "crypto",     [REASON_LOST] = "lost",         [REASON_REMOVED] = "removed",
    };
    return (unsigned)r < REASON_END ? words[r] : "unknown";
}

/* ---- the reader ---------------------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *p, *end;
    bool bad;
};

static struct bytes take(struct reader *r, size_t n)
{
    if (r->bad || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        return bytes_of(NULL, 0);
    }
    struct bytes out = bytes_of(r->p, n);
    r->p += n;
    return out;
}

static uint64_t take_be(struct reader *r, unsigned width)
{
    struct bytes b = take(r, width);
    return b.p != NULL ? get_be(b.p, width) : 0;
}

static void take_copy(struct reader *r, void *out, size_t n)
{
    struct bytes b = take(r, n);
    if (b.p != NULL)
        memcpy(out, b.p, n);
}

/* A one-byte length and that much UTF-8 without a NUL. */
static struct bytes take_text(struct reader *r, size_t max)
{
    size_t n = (size_t)take_be(r, 1);
    struct bytes b = take(r, n);
    if (n > max || !utf8_valid(b) || (n > 0 && b.p != NULL && memchr(b.p, 0, n) != NULL))
        r->bad = true;
    return r->bad ? bytes_of(NULL, 0) : b;
}

static struct reader reader_of(struct bytes b)
{
    return (struct reader){.p = b.p, .end = b.p + b.n};
}

static bool all_read(const struct reader *r)
{
    return !r->bad && r->p == r->end;
}

/* Addresses are printable ASCII, so that they can be logged and dialed as they are. */
static struct bytes take_address(struct reader *r)
{
    struct bytes a = take_text(r, NET_ADDR_MAX - 1);
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] <= ' ' || a.p[i] >= 0x7f)
            r->bad = true;
    return a;
}

static void put_text(struct buf *out, struct bytes text)
{
    assert(text.n <= UINT8_MAX);
    buf_put_u8(out, (uint8_t)text.n);
    buf_put_bytes(out, text);
}

/* ---- one pair of functions for each message -------------------------------------------------------------------- */

static bool decode_hello(struct bytes in, struct wire_message *out)
{
    struct reader r = reader_of(in);
    struct wire_hello *h = &out->hello;
    h->version = (uint16_t)take_be(&r, 2);
    h->features = take_be(&r, 8);
    uint64_t known = take_be(&r, 1);
    h->has_founder = known == 1;
    if (h->has_founder) {
        take_copy(&r, h->founder.b, ID_BYTES);
        h->mesh_name = take_text(&r, MODEL_NAME_MAX);
    }
    h->address = take_address(&r);
    take_copy(&r, h->digest.b, ID_BYTES);
    h->count = take_be(&r, 8);
    h->clock_ms = take_be(&r, 8);
    h->kind_count = (size_t)take_be(&r, 1);
    if (known > 1 || h->kind_count > WIRE_KINDS_MAX)
        return false;
    for (size_t i = 0; i < h->kind_count; i++)
        h->kinds[i] = take_be(&r, 8);
    return all_read(&r) && h->version != 0;
}

static void encode_hello(const struct wire_message *m, struct buf *out)
{
    const struct wire_hello *h = &m->hello;
    buf_put_be(out, h->version, 2);
    buf_put_be(out, h->features, 8);
    buf_put_u8(out, h->has_founder ? 1 : 0);
    if (h->has_founder) {
        buf_put(out, h->founder.b, ID_BYTES);
        put_text(out, h->mesh_name);
    }
    put_text(out, h->address);
    buf_put(out, h->digest.b, ID_BYTES);
    buf_put_be(out, h->count, 8);
    buf_put_be(out, h->clock_ms, 8);
    assert(h->kind_count <= WIRE_KINDS_MAX);
    buf_put_u8(out, (uint8_t)h->kind_count);
    for (size_t i = 0; i < h->kind_count; i++)
        buf_put_be(out, h->kinds[i], 8);
}

static bool decode_close(struct bytes in, struct wire_message *out)
{
    struct reader r = reader_of(in);
    uint64_t reason = take_be(&r, 1);
    out->reason = reason < REASON_END ? (enum wire_reason)reason : REASON_BYE;
    out->text = take_text(&r, WIRE_TEXT_MAX);
    return all_read(&r);
}

static void encode_close(const struct wire_message *m, struct buf *out)
{
    buf_put_u8(out, (uint8_t)m->reason);
    put_text(out, m->text);
}

static bool decode_ping(struct bytes in, struct wire_message *out)
{
    struct reader r = reader_of(in);
    out->token = take_be(&r, 8);
    out->clock_ms = take_be(&r, 8);
    return all_read(&r);
}

static void encode_ping(const struct wire_message *m, struct buf *out)
{
    buf_put_be(out, m->token, 8);
    buf_put_be(out, m->clock_ms, 8);
}

static bool decode_peers(struct bytes in, struct wire_message *out)
{
    struct reader r = reader_of(in);
    out->peers.count = (size_t)take_be(&r, 1);
    if (out->peers.count > WIRE_PEERS_MAX)
        return false;
    for (size_t i = 0; i < out->peers.count; i++) {
        take_copy(&r, out->peers.list[i].key.b, ID_BYTES);
        out->peers.list[i].address = take_address(&r);
        if (out->peers.list[i].address.n == 0)
            return false;
    }
    return all_read(&r);
}

static void encode_peers(const struct wire_message *m, struct buf *out)
{
    assert(m->peers.count <= WIRE_PEERS_MAX);
    buf_put_u8(out, (uint8_t)m->peers.count);
    for (size_t i = 0; i < m->peers.count; i++) {
        buf_put(out, m->peers.list[i].key.b, ID_BYTES);
        put_text(out, m->peers.list[i].address);
    }
}

static bool decode_delta(struct bytes in, struct wire_message *out)
{
    struct reader r = reader_of(in);
    out->flags = (uint8_t)take_be(&r, 1);
    take_copy(&r, out->id.b, ID_BYTES);
    if (r.bad || (out->flags & ~WIRE_DELTA_ANSWER) != 0)
        return false;
    out->body = bytes_of(r.p, (size_t)(r.end - r.p));
    return out->body.n > 0 && out->body.n <= BUNDLE_MAX;
}

static void encode_delta(const struct wire_message *m, struct buf *out)
{
    buf_put_u8(out, m->flags);
    buf_put(out, m->id.b, ID_BYTES);
}

static bool decode_list(struct bytes in, size_t size, struct wire_message *out)
{
    struct reader r = reader_of(in);
    out->count = (size_t)take_be(&r, 2);
    if (r.bad || out->count == 0 || out->count > WIRE_IDS_MAX)
        return false;
    out->items = take(&r, out->count * size).p;
    out->ids = (const struct id *)(const void *)out->items;
    return all_read(&r);
}

static bool decode_items(struct bytes in, struct wire_message *out)
{
    return decode_list(in, WIRE_ITEM_BYTES, out);
}

static bool decode_ids(struct bytes in, struct wire_message *out)
{
    return decode_list(in, ID_BYTES, out);
}

static void encode_items(const struct wire_message *m, struct buf *out)
{
    assert(m->count > 0 && m->count <= WIRE_IDS_MAX);
    buf_put_be(out, m->count, 2);
    buf_put(out, m->items, m->count * WIRE_ITEM_BYTES);
}

static void encode_ids(const struct wire_message *m, struct buf *out)
{
    assert(m->count > 0 && m->count <= WIRE_IDS_MAX);
    buf_put_be(out, m->count, 2);
    buf_put(out, m->ids, m->count * ID_BYTES);
}

static bool decode_nothing(struct bytes in, struct wire_message *out)
{
    (void)out;
    return in.n == 0;
}

static void encode_nothing(const struct wire_message *m, struct buf *out)
{
    (void)m;
    (void)out;
}

static bool decode_prune(struct bytes in, struct wire_message *out)
{
    struct reader r = reader_of(in);
    uint64_t side = take_be(&r, 1);
    out->prune = side == 1 ? WIRE_PRUNE_MINE : WIRE_PRUNE_YOURS;
    out->seconds = (uint16_t)take_be(&r, 2);
    return all_read(&r) && side <= 1;
}

static void encode_prune(const struct wire_message *m, struct buf *out)
{
    buf_put_u8(out, (uint8_t)m->prune);
    buf_put_be(out, m->seconds, 2);
}

static bool decode_recon(struct bytes in, struct wire_message *out)
{
    struct reader r = reader_of(in);
    out->session = take_be(&r, 8);
    uint64_t reply = take_be(&r, 1);
    out->reply = reply == 1;
    if (r.bad || reply > 1)
        return false;
    out->body = bytes_of(r.p, (size_t)(r.end - r.p));
    return out->body.n > 0 && out->body.n <= WIRE_RECON_MAX;
}

static void encode_recon(const struct wire_message *m, struct buf *out)
{
    buf_put_be(out, m->session, 8);
    buf_put_u8(out, m->reply ? 1 : 0);
}

static bool decode_opaque(struct bytes in, struct wire_message *out)
{
    out->body = in;
    return true;
}

static bool decode_welcome(struct bytes in, struct wire_message *out)
{
    struct reader r = reader_of(in);
    uint64_t result = take_be(&r, 1);
    out->welcome = result < NET_WELCOME_END ? (enum net_welcome)result : NET_WELCOME_ELSEWHERE;
    out->text = take_text(&r, WIRE_TEXT_MAX);
    return all_read(&r);
}

static void encode_welcome(const struct wire_message *m, struct buf *out)
{
    buf_put_u8(out, (uint8_t)m->welcome);
    put_text(out, m->text);
}

/* ---- the table ----------------------------------------------------------------------------------------------- */

#define HELLO_MAX (1 + 2 + 8 + 1 + ID_BYTES + 1 + MODEL_NAME_MAX + 1 + NET_ADDR_MAX + ID_BYTES + 8 + 8 + 1 + 8 * WIRE_KINDS_MAX)

static const struct wire_desc table[WIRE_TYPE_END] = {
    [WIRE_HELLO] = {"HELLO", HELLO_MAX, WIRE_AT_HELLO, decode_hello, encode_hello},
    [WIRE_CLOSE] = {"CLOSE", 3 + WIRE_TEXT_MAX, WIRE_AT_HELLO | WIRE_AT_UP, decode_close, encode_close},
    [WIRE_PING] = {"PING", 17, WIRE_AT_UP, decode_ping, encode_ping},
    [WIRE_PONG] = {"PONG", 17, WIRE_AT_UP, decode_ping, encode_ping},
    [WIRE_PEERS] = {"PEERS", 2 + WIRE_PEERS_MAX * (ID_BYTES + NET_ADDR_MAX), WIRE_AT_UP, decode_peers, encode_peers},
    [WIRE_DELTA] = {"DELTA", 2 + ID_BYTES + BUNDLE_MAX, WIRE_AT_UP, decode_delta, encode_delta},
    [WIRE_IHAVE] = {"IHAVE", 3 + WIRE_IDS_MAX * WIRE_ITEM_BYTES, WIRE_AT_UP, decode_items, encode_items},
    [WIRE_IWANT] = {"IWANT", 3 + WIRE_IDS_MAX * ID_BYTES, WIRE_AT_UP, decode_ids, encode_ids},
    [WIRE_IDONTWANT] = {"IDONTWANT", 3 + WIRE_IDS_MAX * ID_BYTES, WIRE_AT_UP, decode_ids, encode_ids},
    [WIRE_GONE] = {"GONE", 3 + WIRE_IDS_MAX * ID_BYTES, WIRE_AT_UP, decode_ids, encode_ids},
    [WIRE_GRAFT] = {"GRAFT", 1, WIRE_AT_UP, decode_nothing, encode_nothing},
    [WIRE_PRUNE] = {"PRUNE", 4, WIRE_AT_UP, decode_prune, encode_prune},
    [WIRE_RECON] = {"RECON", 10 + WIRE_RECON_MAX, WIRE_AT_UP, decode_recon, encode_recon},
    [WIRE_HINT] = {"HINT", 1 + WIRE_HINT_MAX, WIRE_AT_UP, decode_opaque, encode_nothing},
    [WIRE_CALL] = {"CALL", 1 + WIRE_CALL_MAX, WIRE_AT_UP, decode_opaque, encode_nothing},
    [WIRE_JOIN] = {"JOIN", 1 + WIRE_JOIN_MAX, WIRE_AT_UP, decode_opaque, encode_nothing},
    [WIRE_WELCOME] = {"WELCOME", 3 + WIRE_TEXT_MAX, WIRE_AT_UP, decode_welcome, encode_welcome},
};

const struct wire_desc *wire_desc(uint8_t type)
{
    return type > 0 && type < WIRE_TYPE_END ? &table[type] : NULL;
}

size_t wire_limit(uint8_t type)
{
    const struct wire_desc *d = wire_desc(type);
    return d != NULL ? d->max : 0;
}

bool wire_decode(struct bytes message, struct wire_message *out)
{
    if (message.n == 0)
        return false;
    const struct wire_desc *d = wire_desc(message.p[0]);
    if (d == NULL || message.n > d->max)
        return false;
    memset(out, 0, sizeof *out);
    out->type = (enum wire_type)message.p[0];
    return d->decode(bytes_of(message.p + 1, message.n - 1), out);
}

void wire_encode_head(const struct wire_message *m, struct buf *out)
{
    const struct wire_desc *d = wire_desc((uint8_t)m->type);
    size_t from = out->n;
    assert(d != NULL);
    buf_put_u8(out, (uint8_t)m->type);
    d->encode(m, out);
    assert(out->n - from + m->body.n <= d->max);
}

struct item wire_item(const uint8_t *items, size_t i)
{
    struct item item = {.time = get_be(items + i * WIRE_ITEM_BYTES, 8)};
    memcpy(item.id.b, items + i * WIRE_ITEM_BYTES + 8, ID_BYTES);
    return item;
}

void wire_put_item(struct buf *out, const struct item *item)
{
    buf_put_be(out, item->time, 8);
    buf_put(out, item->id.b, ID_BYTES);
}
