/*
 * The messages of a session: one table of type, name, size bound, legal states, decoder and encoder. Decoding checks form
 * and bounds alone and borrows its input; what a message means is for others. Byte layouts: see PROTOCOL 3.
 */
#ifndef SOUK_NET_WIRE_H
#define SOUK_NET_WIRE_H

#include "crdt/delta.h"
#include "crdt/setindex.h"
#include "net/net.h"

#define WIRE_VERSION_MIN   1
#define WIRE_VERSION_MAX   1
#define WIRE_IDS_MAX       1024   /* ids or items in one IHAVE, IWANT, IDONTWANT, GONE   */
#define WIRE_PEERS_MAX     32     /* addresses in one PEERS                              */
#define WIRE_KINDS_MAX     16     /* counters in HELLO                                   */
#define WIRE_TEXT_MAX      200    /* bytes of the reason in CLOSE                        */
#define WIRE_RECON_MAX     65536  /* bytes of one reconciliation frame                   */
#define WIRE_HINT_MAX      4096
#define WIRE_CALL_MAX      65536
#define WIRE_JOIN_MAX      4096   /* bytes of a newcomer's application                   */
#define WIRE_ITEM_BYTES    40

enum wire_type {
    WIRE_HELLO = 1,
    WIRE_CLOSE = 2,
    WIRE_PING = 3,
    WIRE_PONG = 4,
    WIRE_PEERS = 5,
    WIRE_DELTA = 6,
    WIRE_IHAVE = 7,
    WIRE_IWANT = 8,
    WIRE_IDONTWANT = 9,
    WIRE_GONE = 10,
    WIRE_GRAFT = 11,
    WIRE_PRUNE = 12,
    WIRE_RECON = 13,
    WIRE_HINT = 14,
    WIRE_CALL = 15,
    WIRE_JOIN = 16,
    WIRE_WELCOME = 17,
    WIRE_TYPE_END
};

/* Why a connection ends; travels in CLOSE. */
enum wire_reason {
    REASON_BYE = 0,        /* stopping, or the operator removed the peer                */
    REASON_PROTOCOL = 1,   /* a message that the state table does not allow             */
    REASON_LIMIT = 2,      /* over a bound                                              */
    REASON_TIMEOUT = 3,    /* a deadline passed                                         */
    REASON_FULL = 4,       /* no free link: PEERS went before                           */
    REASON_DUPLICATE = 5,  /* another connection between the two is kept                */
    REASON_SELF = 6,       /* both ends are one node                                    */
    REASON_BANNED = 7,
    REASON_MESH = 8,       /* of another mesh                                           */
    REASON_VERSION = 9,    /* no common version                                         */
    REASON_IDENTITY = 10,  /* not the key that was expected, or no valid proof          */
    REASON_SLOW = 11,      /* its queue stayed over the bound                           */
    REASON_CRYPTO = 12,    /* a record or handshake message does not authenticate       */
    REASON_LOST = 13,      /* never sent: the other side or the network closed          */
    REASON_REMOVED = 14,   /* its key was removed from the mesh                         */
    REASON_END
};
const char *wire_reason_text(enum wire_reason r); /* static, for people */
const char *wire_reason_word(enum wire_reason r); /* one word, for programs */

struct wire_hello {
    uint16_t version;
    uint64_t features;
    bool has_founder;
    struct key founder;
    struct bytes mesh_name;  /* 0..MODEL_NAME_MAX bytes of UTF-8 */
    struct bytes address;    /* "", "HOST:PORT" or ":PORT" */
    struct id digest;
    uint64_t count;          /* deltas in the set */
    uint64_t clock_ms;
    size_t kind_count;
    uint64_t kinds[WIRE_KINDS_MAX]; /* shown entries, by kind - 1 */
};
struct wire_peer {
    struct key key;
    struct bytes address;
};
struct wire_peers {
    size_t count;
    struct wire_peer list[WIRE_PEERS_MAX];
};
enum wire_delta_flag { WIRE_DELTA_ANSWER = 1 }; /* sent because of an IWANT */

/* Whose whole deltas end with PRUNE. */
enum wire_prune {
    WIRE_PRUNE_YOURS = 0, /* send ids only                   */
    WIRE_PRUNE_MINE = 1   /* you are sent ids only: do not GRAFT */
};

/* A message taken apart, borrowing its bytes. Only the members of its type are set. */
struct wire_message {
    enum wire_type type;
    uint64_t token, clock_ms;     /* PING PONG */
    enum wire_reason reason;      /* CLOSE */
    struct bytes text;            /* CLOSE WELCOME */
    enum net_welcome welcome;     /* WELCOME */
    uint8_t flags;                /* DELTA */
    struct id id;                 /* DELTA */
    struct bytes body;            /* DELTA (bundle), RECON, HINT, CALL, JOIN */
    size_t count;                 /* IHAVE IWANT IDONTWANT GONE */
    const uint8_t *items;         /* IHAVE: count times 40 bytes: wire_item */
    const struct id *ids;         /* IWANT IDONTWANT GONE */
    enum wire_prune prune;        /* PRUNE */
    uint16_t seconds;             /* PRUNE */
    uint64_t session;             /* RECON */
    bool reply;                   /* RECON: from the side that answers */
    struct wire_hello hello;
    struct wire_peers peers;
};

enum wire_when { WIRE_AT_HELLO = 1, WIRE_AT_UP = 2 };
struct wire_desc {
    const char *name;
    size_t max;                /* bytes, type byte included */
    unsigned when;             /* states in which it is legal to receive it */
    bool (*decode)(struct bytes body, struct wire_message *out);
    void (*encode)(const struct wire_message *m, struct buf *out);
};
/* NULL: no such type. */
const struct wire_desc *wire_desc(uint8_t type);
size_t wire_limit(uint8_t type); /* 0: no such type */

/* False: unknown type, wrong length, a count or a text that breaks its bound. */
bool wire_decode(struct bytes message, struct wire_message *out);
/* Appends type and fields; for DELTA, RECON, HINT, CALL and JOIN without `body`, which follows as the message's tail. */
void wire_encode_head(const struct wire_message *m, struct buf *out);

struct item wire_item(const uint8_t *items, size_t i);
void wire_put_item(struct buf *out, const struct item *item);

#endif
