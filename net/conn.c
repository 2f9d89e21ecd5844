/*
 * The handshake and the sealed session of one connection, as a state machine. Every move goes through `move`, which
 * asserts the table; every reject path goes through `fail`, which leaves a reason for the log and the other side.
 */
#include "net/conn.h"

#include <assert.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PROOF_BYTES (ID_BYTES + SIG_BYTES)

static const uint8_t refusal_magic[4] = {'s', 'o', 'u', 'k'};

/* From each state, the states that may follow (bits). Any state may close. */
static const unsigned moves[CONN_STATE_COUNT] = {
    [CONN_CLOSED] = 0,
    [CONN_WAIT_1] = 1u << CONN_WAIT_3,
    [CONN_WAIT_2] = 1u << CONN_PROVED,
    [CONN_WAIT_3] = 1u << CONN_PROVED,
    [CONN_PROVED] = 1u << CONN_HELLO,
    [CONN_HELLO] = 1u << CONN_UP,
    [CONN_UP] = 0,
};

static void move(struct conn *c, enum conn_state to)
{
    assert(to == CONN_CLOSED || (moves[c->state] & 1u << to) != 0);
    c->state = to;
}

static void send_close(struct conn *c)
{
    size_t n = strlen(c->detail);
    struct wire_message m = {.type = WIRE_CLOSE, .reason = c->reason};
    m.text = bytes_of(c->detail, n < WIRE_TEXT_MAX ? n : WIRE_TEXT_MAX);
    (void)conn_send(c, &m);
}

static void fail(struct conn *c, enum wire_reason reason, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fail(struct conn *c, enum wire_reason reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->detail, sizeof c->detail, format, args);
    va_end(args);
    c->reason = reason;
    if (c->state == CONN_HELLO || c->state == CONN_UP)
        send_close(c);
    move(c, CONN_CLOSED);
}

void conn_mesh_hint(uint8_t out[8], const struct id *mesh)
{
    struct hasher h;
    struct id full;
    hash_init(&h, "souk/hint/1");
    hash_part(&h, mesh->b, ID_BYTES);
    hash_end(&h, &full);
    memcpy(out, full.b, 8);
}

/* ---- identity -------------------------------------------------------------------------------------------------- */

/* PROTOCOL 2.3: The proof is the Ed25519 key and its signature over H("souk/peer/1", mesh id, role, static key). */
static void proof_id(struct id *out, const struct id *mesh, enum noise_role role, const uint8_t static_public[32])
{
    struct hasher h;
    hash_init(&h, "souk/peer/1");
    hash_part(&h, mesh->b, ID_BYTES);
    hash_u64(&h, role == NOISE_INITIATOR ? 0 : 1);
    hash_part(&h, static_public, 32);
    hash_end(&h, out);
}

static void put_proof(const struct conn *c, struct buf *out)
{
    assert(c->state != CONN_CLOSED && c->state != CONN_UP);
    struct id what;
    uint8_t sig[SIG_BYTES];
    proof_id(&what, &c->self->mesh, c->role, c->noise.static_public);
    (void)crypto_sign_detached(sig, NULL, what.b, ID_BYTES, c->self->secret);
    buf_put(out, c->self->key.b, ID_BYTES);
    buf_put(out, sig, SIG_BYTES);
}

static bool take_proof(struct conn *c, const uint8_t *proof)
{
    struct id what;
    enum noise_role remote = c->role == NOISE_INITIATOR ? NOISE_RESPONDER : NOISE_INITIATOR;
    proof_id(&what, &c->self->mesh, remote, c->noise.remote_static);
    if (crypto_sign_verify_detached(proof + ID_BYTES, what.b, ID_BYTES, proof) != 0)
        return false;
    memcpy(c->remote.b, proof, ID_BYTES);
    return true;
}

/* ---- the handshake --------------------------------------------------------------------------------------------- */

static void put_greeting(const struct conn *c, struct buf *out)
{
    uint8_t hint[8];
    conn_mesh_hint(hint, &c->self->mesh);
    buf_put_be(out, c->self->version_min, 2);
    buf_put_be(out, c->self->version_max, 2);
    buf_put(out, hint, sizeof hint);
}

static bool write_message(struct conn *c, const struct buf *payload)
{
    assert(!c->in.sealed && payload->n <= 2 + PROOF_BYTES);
    struct buf message = {0};
    bool good = noise_write(&c->noise, buf_view(payload), &message);
    if (good)
        frame_out_clear(&c->out, buf_view(&message));
    else
        fail(c, REASON_CRYPTO, "the other side's key is a point of low order");
    buf_close(&message);
    return good;
}

void conn_init(struct conn *c, const struct conn_identity *self, enum noise_role role, const uint8_t ephemeral[32])
{
    assert(self->version_min <= self->version_max && self->version_max <= UINT16_MAX);
    uint8_t prologue[6 + ID_BYTES];
    memset(c, 0, sizeof *c);
    c->self = self;
    c->role = role;
    memcpy(prologue, "souk/1", 6);
    memcpy(prologue + 6, self->mesh.b, ID_BYTES);
    struct noise_config config = {.hash = NOISE_SHA256,
                                  .role = role,
                                  .prologue = bytes_of(prologue, sizeof prologue),
                                  .static_secret = self->static_secret,
                                  .ephemeral_secret = ephemeral};
    noise_init(&c->noise, &config);
    c->in.limit = wire_limit;
    c->state = role == NOISE_INITIATOR ? CONN_WAIT_2 : CONN_WAIT_1;
    c->in.clear_max = role == NOISE_INITIATOR ? CONN_MESSAGE_2_BYTES : CONN_MESSAGE_1_BYTES;
    if (role == NOISE_INITIATOR) {
        struct buf payload = {0};
        put_greeting(c, &payload);
        (void)write_message(c, &payload); /* message 1 computes no shared secret: it cannot fail */
        buf_close(&payload);
    }
}

void conn_free(struct conn *c)
{
    noise_close(&c->noise);
    frame_in_close(&c->in);
    buf_close(&c->out);
    sodium_memzero(c, sizeof *c);
}

static void refuse(struct conn *c, enum wire_reason reason)
{
    struct buf record = {0};
    buf_put(&record, refusal_magic, sizeof refusal_magic);
    buf_put_u8(&record, (uint8_t)reason);
    put_greeting(c, &record);
    assert(record.n == CONN_REFUSAL_BYTES);
    frame_out_clear(&c->out, buf_view(&record));
    buf_close(&record);
}

/* Judges versions and mesh of the other side's greeting; they stand in the clear so that both sides can say what is wrong. */
static bool judge_greeting(struct conn *c, const uint8_t *greeting)
{
    uint8_t hint[8];
    unsigned min = (unsigned)get_be(greeting, 2), max = (unsigned)get_be(greeting + 2, 2);
    conn_mesh_hint(hint, &c->self->mesh);
    if (min > c->self->version_max || max < c->self->version_min || min > max) {
        fail(c, REASON_VERSION, "it speaks protocol versions %u to %u, this node %u to %u: upgrade the older of the two", min,
             max, c->self->version_min, c->self->version_max);
        return false;
    }
    if (memcmp(hint, greeting + 4, sizeof hint) != 0) {
        char theirs[17], ours[17];
        hex_encode(theirs, greeting + 4, 8);
        hex_encode(ours, hint, 8);
        fail(c, REASON_MESH, "it belongs to another mesh (hint %s, this node's is %s): compare the mesh ids of both", theirs,
             ours);
        return false;
    }
    c->version = (uint16_t)(max < c->self->version_max ? max : c->self->version_max);
    assert(c->version >= c->self->version_min && c->version >= min);
    return true;
}

static void read_message_1(struct conn *c, const struct buf *payload)
{
    if (payload->n != 12) {
        fail(c, REASON_PROTOCOL, "its first handshake message has a payload of %zu bytes, not 12", payload->n);
        return;
    }
    if (!judge_greeting(c, payload->p)) {
        refuse(c, c->reason);
        return;
    }
    struct buf answer = {0};
    buf_put_be(&answer, c->version, 2);
    put_proof(c, &answer);
    if (write_message(c, &answer)) {
        move(c, CONN_WAIT_3);
        c->in.clear_max = CONN_MESSAGE_3_BYTES;
    }
    buf_close(&answer);
}

static void read_message_2(struct conn *c, const struct buf *payload)
{
    unsigned version = payload->n == 2 + PROOF_BYTES ? (unsigned)get_be(payload->p, 2) : 0;
    if (version < c->self->version_min || version > c->self->version_max) {
        fail(c, REASON_VERSION, "it chose protocol version %u, this node offered %u to %u", version, c->self->version_min,
             c->self->version_max);
        return;
    }
    c->version = (uint16_t)version;
    if (take_proof(c, payload->p + 2))
        move(c, CONN_PROVED);
    else
        fail(c, REASON_IDENTITY, "its proof of identity does not hold");
}

static void read_message_3(struct conn *c, const struct buf *payload)
{
    if (payload->n == PROOF_BYTES && take_proof(c, payload->p))
        move(c, CONN_PROVED);
    else
        fail(c, REASON_IDENTITY, "its proof of identity does not hold");
}

/* The refusal is not authenticated, so it only explains why the other side is about to close. */
static bool read_refusal(struct conn *c, struct bytes record)
{
    if (c->state != CONN_WAIT_2 || record.n != CONN_REFUSAL_BYTES || memcmp(record.p, refusal_magic, 4) != 0)
        return false;
    if (judge_greeting(c, record.p + 5))
        fail(c, REASON_PROTOCOL, "it refused this node's greeting without a reason that holds here");
    return true;
}

static void read_handshake(struct conn *c, struct bytes record)
{
    assert(c->state == CONN_WAIT_1 || c->state == CONN_WAIT_2 || c->state == CONN_WAIT_3);
    struct buf payload = {0};
    if (read_refusal(c, record))
        return;
    if (!noise_read(&c->noise, record, &payload))
        fail(c, REASON_CRYPTO, "its handshake message of %zu bytes does not authenticate", record.n);
    else if (c->state == CONN_WAIT_1)
        read_message_1(c, &payload);
    else if (c->state == CONN_WAIT_2)
        read_message_2(c, &payload);
    else
        read_message_3(c, &payload);
    buf_close(&payload);
}

void conn_accept(struct conn *c)
{
    assert(c->state == CONN_PROVED);
    if (c->role == NOISE_INITIATOR) {
        struct buf payload = {0};
        put_proof(c, &payload);
        bool written = write_message(c, &payload);
        buf_close(&payload);
        if (!written)
            return;
    }
    noise_split(&c->noise, &c->seal.cipher, &c->in.seal.cipher);
    memcpy(c->channel.b, c->noise.transcript, ID_BYTES);
    noise_close(&c->noise);
    c->in.sealed = true;
    move(c, CONN_HELLO);
}

/* ---- the session ----------------------------------------------------------------------------------------------- */

static enum conn_result read_message(struct conn *c, struct bytes bytes, struct wire_message *message)
{
    const struct wire_desc *d = wire_desc(bytes.p[0]);
    assert(c->in.sealed && bytes.n > 0);
    unsigned now = c->state == CONN_HELLO ? WIRE_AT_HELLO : WIRE_AT_UP;
    if (d == NULL || (d->when & now) == 0) {
        fail(c, REASON_PROTOCOL, "message type %u (%s) does not belong %s HELLO", bytes.p[0], d != NULL ? d->name : "unknown",
             c->state == CONN_HELLO ? "before" : "after");
        return CONN_FAILED;
    }
    if (!wire_decode(bytes, message)) {
        fail(c, REASON_PROTOCOL, "%s of %zu bytes is malformed", d->name, bytes.n);
        return CONN_FAILED;
    }
    return CONN_GOT;
}

static enum conn_result frame_failed(struct conn *c, enum frame_result r)
{
    if (r == FRAME_BAD_TAG)
        fail(c, REASON_CRYPTO, "a record does not authenticate");
    else if (r == FRAME_TOO_LARGE)
        fail(c, REASON_LIMIT, "a record or message is larger than its kind allows");
    else
        fail(c, REASON_PROTOCOL, "a record is malformed");
    return CONN_FAILED;
}

void conn_feed(struct conn *c, struct bytes in)
{
    if (c->state != CONN_CLOSED)
        frame_in_feed(&c->in, in);
}

enum conn_result conn_next(struct conn *c, struct wire_message *message)
{
    struct bytes bytes;
    while (c->state != CONN_CLOSED) {
        assert(c->state != CONN_PROVED);
        enum frame_result r = frame_in_next(&c->in, &bytes);
        if (r == FRAME_MORE)
            return CONN_NOTHING;
        if (r != FRAME_MESSAGE)
            return frame_failed(c, r);
        if (c->in.sealed)
            return read_message(c, bytes, message);
        read_handshake(c, bytes);
        if (c->state == CONN_CLOSED)
            return CONN_FAILED;
        if (c->state == CONN_PROVED)
            return CONN_ASK;
    }
    return CONN_NOTHING;
}

void conn_up(struct conn *c)
{
    assert(c->in.sealed && c->version != 0);
    move(c, CONN_UP);
}

size_t conn_send(struct conn *c, const struct wire_message *message)
{
    struct buf head = {0};
    size_t from = c->out.n;
    assert(c->state == CONN_HELLO || c->state == CONN_UP);
    wire_encode_head(message, &head);
    frame_out_message(&c->seal, buf_view(&head), message->body, &c->out);
    buf_close(&head);
    return c->out.n - from;
}

void conn_close(struct conn *c, enum wire_reason reason, const char *detail)
{
    if (c->state != CONN_CLOSED)
        fail(c, reason, "%s", detail != NULL ? detail : wire_reason_text(reason));
}
