/*
 * One connection below the mesh: the Noise handshake with version negotiation and proof of identity, then sealed messages
 * both ways. A table of states says what may come when; anything else ends it with a reason. Knows nothing of peers,
 * sets or the clock: the owner keeps deadlines by the state it sees.
 */
#ifndef SOUK_NET_CONN_H
#define SOUK_NET_CONN_H

#include "net/frame.h"
#include "net/wire.h"

#define CONN_MESSAGE_1_BYTES 44  /* key 32, versions 4, mesh hint 8                         */
#define CONN_MESSAGE_2_BYTES 194 /* key 32, sealed key 48, sealed version and proof 114      */
#define CONN_MESSAGE_3_BYTES 160 /* sealed key 48, sealed proof 112                         */
#define CONN_REFUSAL_BYTES   17  /* "souk", reason 1, versions 4, mesh hint 8                */

enum conn_state {
    CONN_CLOSED, /* also a zeroed struct                                                    */
    CONN_WAIT_1, /* accepted: the other side's first handshake message                       */
    CONN_WAIT_2, /* dialed: the second                                                      */
    CONN_WAIT_3, /* accepted: the third                                                     */
    CONN_PROVED, /* the other side's identity holds; the owner must accept or close          */
    CONN_HELLO,  /* sealed: HELLO is due                                                    */
    CONN_UP,
    CONN_STATE_COUNT
};

/* What both ends of every connection of a node share. The owner keeps it alive. */
struct conn_identity {
    struct id mesh;
    struct key key;
    uint8_t secret[64];        /* Ed25519 */
    uint8_t static_secret[32]; /* X25519 */
    uint16_t version_min, version_max;
};

struct conn {
    enum conn_state state;
    enum noise_role role;
    const struct conn_identity *self;
    struct noise noise;
    struct frame_in in;
    struct frame_seal seal;
    struct buf out;              /* bytes to send; the owner takes them */
    uint16_t version;            /* agreed, from CONN_PROVED on */
    struct key remote;           /* proved, from CONN_PROVED on */
    struct id channel;           /* the handshake hash, from CONN_HELLO on: names the session, secret to nobody */
    enum wire_reason reason;     /* of CONN_CLOSED */
    char detail[256];            /* of CONN_CLOSED: for the log */
};

/* `ephemeral` is a fresh secret. The initiator's first message is in `out` at once. */
void conn_init(struct conn *c, const struct conn_identity *self, enum noise_role role, const uint8_t ephemeral[32]);
void conn_free(struct conn *c); /* closes an embedded one; safe on a zeroed one */

enum conn_result {
    CONN_NOTHING, /* all input is used up                                                   */
    CONN_ASK,     /* the state became CONN_PROVED: conn_accept or conn_close, then go on     */
    CONN_GOT,     /* a message that is legal in this state, borrowed until the next call     */
    CONN_FAILED   /* the state became CONN_CLOSED: see reason and detail; send `out`, close  */
};
void conn_feed(struct conn *c, struct bytes in);
enum conn_result conn_next(struct conn *c, struct wire_message *message);

/* In CONN_PROVED: goes on to CONN_HELLO. The other side learns this node's identity only now if it was dialed. */
void conn_accept(struct conn *c);
/* The owner has taken and judged HELLO: CONN_HELLO -> CONN_UP. */
void conn_up(struct conn *c);
/* In CONN_HELLO and CONN_UP: appends a sealed message to `out`; returns the bytes added. */
size_t conn_send(struct conn *c, const struct wire_message *message);
/* Ends it from any state, with a CLOSE message where the session is sealed. `detail` (may be NULL) is for both logs. */
void conn_close(struct conn *c, enum wire_reason reason, const char *detail);

/* First 8 bytes of H("souk/hint/1", mesh id): lets both sides name a mismatch without telling the mesh id. */
void conn_mesh_hint(uint8_t out[8], const struct id *mesh);

#endif
