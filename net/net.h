/*
 * The mesh as one sans-I/O engine: handshakes, sessions, broadcast, repair. Bytes, connects and the clock come in as
 * events; sends, dials and work for the store come out as actions. Inputs are borrowed for the call, outputs until the
 * next call on the same object. The protocol: net/PROTOCOL.md.
 */
#ifndef SOUK_NET_NET_H
#define SOUK_NET_NET_H

#include "crdt/delta.h"
#include "crdt/rng.h"
#include "crdt/setindex.h"

#define NET_ADDR_MAX 256 /* characters of "HOST:PORT" or "KEY@HOST:PORT", with the NUL */
#define NET_CONNS_MAX 64 /* connections that the rim need keep open at once            */

#define NET_SILENCE_MIN_MS 3000

struct net;

struct net_config {
    struct id mesh;
    bool has_founder;             /* false: learned from the first peer's HELLO (NET_FOUNDER) */
    struct key founder;
    char mesh_name[MODEL_NAME_MAX + 1];
    struct key identity;          /* the node's Ed25519 key */
    uint8_t identity_secret[64];
    uint8_t static_secret[32];    /* X25519, the Noise static key */
    /* "" : none. A wildcard host ("0.0.0.0:7000") means: the address that a peer sees this node at, with this port. A
     * loopback address is told only to peers that are on a loopback address themselves. */
    char advertise[NET_ADDR_MAX];
    const struct setindex *set;   /* kept up to date by the owner, after each commit */
    uint8_t seed[32];             /* for nonces, jitter and ephemeral keys */
    uint64_t silence_ms;          /* a session without a sign of life is given up after this; 0: 45 s. Pings leave three
                                   * times as often. At least NET_SILENCE_MIN_MS. */
};

struct net *net_new(const struct net_config *config, uint64_t now_ms);
void net_free(struct net *n);

/* Why a dial came to nothing, as far as the rim can tell. */
enum net_dial_fault { NET_DIAL_OTHER, NET_DIAL_REFUSED, NET_DIAL_TIMEOUT, NET_DIAL_NO_ROUTE, NET_DIAL_NAME };

enum net_event_kind {
    NET_TICK,        /* the deadline passed */
    NET_ACCEPTED,    /* conn, addr (of the other side, numeric) */
    NET_CONNECTED,   /* conn, dial, addr (numeric; may be NULL: the one dialed) */
    NET_DIAL_FAILED, /* dial, fault */
    NET_DATA,        /* conn, bytes */
    NET_CLOSED,      /* conn: the other side or the network closed it */
    NET_DRAINED,     /* conn, queued: bytes of NET_SEND that the rim has not yet written. After each NET_SEND, once it is written */
    NET_STORED,      /* results: what became of bundles handed out by NET_STORE, after the commit */
    NET_PUBLISH,     /* items: this node's own new deltas, after the commit */
    NET_LOADED,      /* load, bytes (a bundle; n == 0: not held), the answer to NET_LOAD */
    NET_PEER_ADD,    /* addr: pinned while this object lives, for example as the settings say */
    NET_PEER_PIN,    /* addr: pinned by the operator; kept in the book until NET_PEER_REMOVE */
    NET_PEER_REMOVE, /* peer, or addr: HOST:PORT of one whose key is not known */
    NET_PEER_BAN,    /* peer */
    NET_PEER_UNBAN,  /* peer */
    NET_PEER_EXPEL,  /* peer: its key was removed from the mesh; its connections close and no other is accepted */
    NET_PEER_READMIT,/* peer: that is over */
    NET_SYNC_NOW,
    NET_REACH,       /* peer, call, addr (HOST:PORT that it says it is found at; may be NULL): a session with it is wanted so that
                      * it can be asked; NET_REACHED, or NET_CALL_LOST with `unsent` */
    NET_CALL,        /* peer, call (a number not used before but for NET_REACH), bytes: a question to a node in session */
    NET_CALL_DROP,   /* call: its answer, or its session, is not wanted any more */
    NET_ANSWER,      /* peer, call, bytes, final: an answer to NET_CALLED; one or more, the last one final */
    NET_REFUSE,      /* peer, call: no (further) answer is given */
    NET_JOIN_ANSWER  /* conn, welcome, text: what became of the application that NET_JOIN gave */
};

/* What a newcomer hears about its application (see PROTOCOL 3.13). */
enum net_welcome {
    NET_WELCOME_ADMITTED,
    NET_WELCOME_REFUSED,   /* for good: text says why */
    NET_WELCOME_ELSEWHERE, /* this node cannot decide it, or not now */
    NET_WELCOME_END
};

/* Bytes of a question and of one answer; bytes of both that wait for one link (beyond: the call is lost). */
#define NET_CALL_REQUEST_MAX ((8u << 20) + (64u << 10))
#define NET_CALL_ANSWER_MAX  ((1u << 20) + (64u << 10))
#define NET_CALL_BYTES_MAX   (64u << 20)
/* A call without its last answer after this is given up (see PROTOCOL 6.7): the longest run, and a minute. */
#define NET_CALL_MS          (24u * 3600 * 1000 + 60000)

struct net_result {
    uint64_t tag;          /* as NET_STORE gave it; 0: handed in by a client, to be published like an own delta if fresh */
    bool fresh;            /* VERDICT_NEW: forward it */
    bool refused;          /* not valid: score the sender down */
    bool deferred;
    bool bodies_bad;
    struct item item;
};

struct net_event {
    enum net_event_kind kind;
    uint64_t conn, dial, load, call;
    uint64_t queued;
    bool final;
    enum net_dial_fault fault;
    struct bytes bytes;
    const char *addr;
    struct key peer;
    size_t count;
    const struct net_result *results;
    const struct item *items;
    enum net_welcome welcome;
    const char *text;
    uint64_t clock_ms;     /* NET_TICK and all others: wall clock, for "time ahead"; now_ms below is monotonic */
};

enum net_action_kind {
    NET_NONE,        /* nothing more to do now */
    NET_DIAL,        /* dial, addr: HOST:PORT without the key */
    NET_SEND,        /* conn, bytes */
    NET_CLOSE,       /* conn: close after what was sent has left (or a few seconds); no more events about it */
    NET_STORE,       /* tag, bytes: a bundle from a peer, to be verified and committed; answer NET_STORED */
    NET_LOAD,        /* load, id: answer NET_LOADED */
    NET_WANT_MISSING,/* a peer came up: tell which bodies are missing with net_want_body */
    NET_JOIN,        /* conn, peer, bytes: a newcomer's application; answer NET_JOIN_ANSWER */
    NET_WELCOME,     /* peer, welcome, text: the answer to this node's own application */
    NET_FOUNDER,     /* founder, name: learned from a peer and checked against the mesh id */
    NET_REACHED,     /* peer, call: there is a session now */
    NET_CALLED,      /* peer, call, bytes: a question; answer NET_ANSWER or NET_REFUSE */
    NET_CALL_LEFT,   /* peer, call: the asker does not wait any more; no answer is taken */
    NET_ANSWERED,    /* call, bytes, final */
    NET_CALL_LOST,   /* call: no (further) answer comes; unsent: the other side has not acted on it, or says so;
                      * late: it took NET_CALL_MS */
    NET_LOG          /* level 0 error 1 warn 2 info 3 debug, text */
};
struct net_action {
    enum net_action_kind kind;
    uint64_t conn, dial, load, tag, call;
    bool final, unsent, late;
    struct key peer;
    struct bytes bytes;
    struct id id;
    struct key founder;
    enum net_welcome welcome;
    int level;
    const char *text;      /* addr, name or log line */
};

void net_input(struct net *n, const struct net_event *event, uint64_t now_ms);
enum net_action_kind net_next(struct net *n, struct net_action *action);
uint64_t net_deadline(const struct net *n); /* monotonic ms; UINT64_MAX: never */

/* A full or failing disk: stop pulling, keep serving (see PROTOCOL 5). */
enum net_intake { NET_INTAKE_OPEN, NET_INTAKE_STOPPED };
void net_set_intake(struct net *n, enum net_intake intake);
/* Shown entries by kind - 1, told to peers in HELLO for their progress displays. At most 16. */
void net_set_entries(struct net *n, const uint64_t *kinds, size_t count);
/* Says goodbye to every peer: drain the actions, then net_free. */
void net_stop(struct net *n);

/* What this node, a newcomer, says to every peer it comes to be in session with, until it is told otherwise: at most
 * NET_APPLICATION_MAX bytes, copied; none: it is a member. */
#define NET_APPLICATION_MAX 4096
void net_set_application(struct net *n, struct bytes application);

/* A body that the store misses: asked from peers with back-off, bounded. */
void net_want_body(struct net *n, const struct item *delta, uint16_t index);

/* Why a score changed. The points of each stand in PROTOCOL 6.6. */
enum net_scored {
    NET_SCORED_FRESH,    /* a new delta                                             */
    NET_SCORED_REFUSED,  /* a delta that is not valid                               */
    NET_SCORED_WRONG_ID, /* a delta under another's id                              */
    NET_SCORED_BODY,     /* a body that does not match                              */
    NET_SCORED_PROTOCOL, /* closed for what it sent                                 */
    NET_SCORED_GONE,     /* announced or asked and never answered                   */
    NET_SCORED_BAN,      /* all score lost: banned, and this is where it starts after */
    NET_SCORED_UNBAN,    /* the operator took the ban back                          */
    NET_SCORED_COUNT
};
const char *net_scored_word(enum net_scored why); /* one word, e.g. "fresh": for programs and metric labels */
const char *net_scored_text(enum net_scored why); /* for people */

/* Messages that decide how deltas spread, counted each way. */
enum net_said { NET_SAID_DELTA, NET_SAID_IHAVE, NET_SAID_IWANT, NET_SAID_IDONTWANT, NET_SAID_GRAFT, NET_SAID_PRUNE, NET_SAID_COUNT };
const char *net_said_word(enum net_said what); /* one word, e.g. "iwant": for programs and metric labels */
struct net_talk {
    uint64_t sent[NET_SAID_COUNT], received[NET_SAID_COUNT];
};

#define NET_SCORES_KEPT 12 /* changes of score remembered of each peer; changes in a row for one reason are one */
struct net_score_change {
    enum net_scored why;
    int64_t by;                 /* the sum of `times` changes */
    uint64_t times;
    uint64_t at_ms;             /* of the last one, monotonic */
};

/* What keeps a peer away. Monotonic times. */
struct net_trouble {
    const char *code;           /* static, one word: "connect_refused" "connect_timeout" "no_route" "name" "connect", or the
                                 * reason of a CLOSE as wire_reason_word names it; NULL: none */
    char detail[160];           /* for people; may be empty */
    uint64_t since_ms, last_ms; /* since when it is away, and the last attempt */
    uint64_t times;             /* attempts that failed */
};

enum net_peer_state { PEER_DOWN, PEER_DIALING, PEER_HANDSHAKE, PEER_UP, PEER_BANNED };
#define NET_SKEW_SHOWN INT64_C(3155760000000) /* a hundred years: a peer may say anything */
struct net_peer_info {
    struct key id;              /* zero until known */
    char address[NET_ADDR_MAX];
    enum net_peer_state state;
    uint64_t rtt_ms;            /* the smoothed round trip of a session; 0: not yet measured, or none */
    uint64_t lag_ms;            /* the smoothed round trip while the sets are equal, else the time since they were, or since
                                 * the peer is away */
    uint64_t sent_bytes, received_bytes; /* of all sessions since the start */
    uint64_t queued_bytes;
    size_t queued_ids;          /* deltas that it will be offered as ids */
    size_t asked_ids;           /* ids that it was asked for and has not answered */
    struct net_talk talk;       /* of all sessions since the start */
    bool sends_whole, sent_whole; /* a session: whole deltas come from it, go to it; else ids that are asked for */
    uint64_t sessions;          /* that came up since the start */
    uint64_t up_ms;             /* when the present one did, monotonic; 0: none */
    uint64_t heard_ms;          /* the last sign of life of the present one, monotonic; 0: none */
    int64_t score;
    size_t score_count;         /* of score_changes, the newest first */
    struct net_score_change score_changes[NET_SCORES_KEPT];
    struct net_trouble trouble; /* code NULL while a session is up */
    int64_t skew_ms;            /* its wall clock minus this node's, from its last PONG, cut at NET_SKEW_SHOWN */
    bool outbound, pinned, expelled, synced; /* synced: the peer's set equalled ours at the last exchange */
};
/* Copies at most max peers, in a stable order; returns how many there are. */
size_t net_peers(const struct net *n, struct net_peer_info *out, size_t max);

/* Somebody who dialed this node and could not be let in: of another mesh or version, or without a valid identity. One
 * row for each host and reason, the newest first. */
#define NET_STRANGERS_KEPT 8
struct net_stranger {
    char host[64];
    struct net_trouble trouble;
};
size_t net_strangers(const struct net *n, struct net_stranger *out, size_t max);

/* The address book with scores, bans and the operator's pins, as text to be kept across restarts: at most NET_BOOK_TEXT bytes are appended.
 * Wall clock in ms. Load before the first event; what is not well-formed is left out with a line in the log. */
#define NET_BOOK_TEXT 65536
void net_book_save(const struct net *n, uint64_t clock_ms, struct buf *out);
void net_book_load(struct net *n, struct bytes text, uint64_t clock_ms);

struct net_stats {
    uint64_t deltas_sent, deltas_received, duplicates, refused, deferred;
    uint64_t unseen_ahead, unseen_foreign; /* of deferred and refused: those that were never handed out by NET_STORE */
    uint64_t sync_rounds, sync_bytes, handshakes_failed;
    uint64_t sessions_dialed, sessions_accepted; /* that came up */
    uint64_t scored[NET_SCORED_COUNT];           /* changes of any peer's score */
    uint64_t grafts_sent, prunes_sent;
    struct net_talk talk;                        /* with all peers */
    size_t peers_up, whole_in, whole_out;        /* sessions; those over which whole deltas come, and go */
    bool overlay;     /* more peers are known than a full mesh may have */
    size_t comparing; /* sessions of reconciliation that this node has under way */
    bool catching_up; /* a bulk copy is under way */
    uint64_t catch_up_done, catch_up_total; /* deltas of this copy, or of the last one */
    uint64_t catch_up_rate_milli;           /* deltas in 1,000 s, lately */
    uint64_t catch_up_left_ms;              /* at that rate; UINT64_MAX: not known yet */
    uint64_t audits, audit_found;           /* audits that ended; deltas they found that one side lacked */
    uint64_t sync_work;                     /* of reconciliation, in ids expanded: about a microsecond each */
};
void net_stats(const struct net *n, struct net_stats *out);
/* The transport's identity signature and so on: net/noise.h, net/conn.h. */

#endif
