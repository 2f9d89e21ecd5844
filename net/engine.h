/*
 * The inside of struct net, shared by the files that make the mesh engine: net.c (events, actions, timers), book.c
 * (addresses and keys), learn.c (addresses of others), keep.c (the book across restarts), links.c (connections), crowd.c (who gives way), session.c
 * (messages), overlay.c (who sends whole deltas to whom), reach.c (sessions for calls), late.c (ids without a delta), gossip.c (broadcast), fetch.c
 * (asking), serve.c (answering), sync.c (repair), copy.c (progress).
 * Private to net/. The bounds stand here and in PROTOCOL 6.
 */
#ifndef SOUK_NET_ENGINE_H
#define SOUK_NET_ENGINE_H

#include "net/conn.h"
#include "net/fair.h"
#include "net/net.h"
#include "net/recent.h"
#include "net/recon.h"
#include "net/wants.h"

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

#define NET_FULL_MESH       12          /* up to so many known peers each is linked to each          */
#define NET_FULL_MESH_LEAVE 10          /* ... again when no more than so many are known            */
#define NET_LINKS_MAX       24          /* sessions; one more hears PEERS and CLOSE                 */
#define NET_HALF_OPEN_MAX   32          /* connections without a finished handshake                 */
#define NET_BOOK_MAX        128         /* peers remembered, pinned ones included                   */
#define NET_PINNED_MAX      64
#define NET_PASSIVE_MAX     30          /* ... known by their address alone                         */
#define NET_LEARNED_MAX     16          /* ... from one source                                      */
#define NET_GROUP_MAX       2           /* ... of one network, from sources that proved nothing yet */
#define NET_STAINED_MAX     64          /* ... for their negative score alone                       */
#define NET_PROVEN_SCORE    10          /* a source with this score proved something                */
#define NET_GROUP_TEXT      72          /* bytes of the name of a network                           */

#define NET_DEGREE_LOW      4           /* an overlay: fewer links are mended at once               */
#define NET_DEGREE          6           /* ... so many are sought                                   */
#define NET_DEGREE_HIGH     12          /* ... above this accepted ones are closed                  */
#define NET_OUTBOUND_MIN    2           /* ... so many of them dialed by this node                  */
#define NET_EAGER_IN        3           /* ... so many keep sending whole deltas                    */
#define NET_EAGER_OUT_MAX   12          /* ... at most so many are sent whole deltas                */
#define NET_BEAT_MS         1000        /* heartbeat, jittered by a fifth                           */
#define NET_PRUNE_MS        60000       /* back-off of PRUNE                                        */
#define NET_SETTLED_MS      30000       /* a session is not closed for another before               */
#define NET_PROBE_MS        60000       /* one more is dialed, jittered: two overlays find each other */
#define NET_REACHES_MAX     64          /* calls that wait for a session                            */
#define NET_REACH_LINKS     8           /* links made for calls                                     */
#define NET_REACH_MS        8000        /* ... within so long                                       */
#define NET_REACH_AGAIN_MS  1000        /* ... to one peer, at the soonest                          */
#define NET_QUIET_MS        2000        /* a PING unanswered for this long: not counted on          */
#define NET_IDS_MS          40          /* ids to a peer that wants no more leave within 50 ms      */
#define NET_LATE_MS         100         /* an id without its delta: ask                             */
#define NET_LATE_AGAIN_MS   400         /* ... and another peer                                     */
#define NET_LATE_TRIES      8
#define NET_LATE_MAX        4096        /* ids that wait so                                         */
#define NET_LATE_FRESH_MS   60000       /* an older delta grafts no link                            */
#define NET_DONTWANT_MIN    2048        /* a delta this large is refused to others once it came     */
#define NET_DONTWANT_BURST  16          /* such messages to one peer ...                            */
#define NET_DONTWANT_RATE   8           /* ... each second                                          */

#define NET_HANDSHAKE_MS    10000       /* from the connection to UP                                */
#define NET_DIAL_MS         15000
#define NET_DEAD_MS         45000       /* nothing heard, or nothing drained; a third: the next PING */
#define NET_MESSAGE_MS      120000      /* from the first part of a message to its last             */
#define NET_PEERS_MS        60000       /* addresses are told again, jittered                       */
#define NET_BACKOFF_MIN_MS  1000
#define NET_BACKOFF_MAX_MS  30000
#define NET_BACKOFF_FULL_MS 300000      /* ... of a peer that had no free link                      */
#define NET_BAN_MS          600000      /* of a peer that lost all score                            */
#define NET_STABLE_MS       10000       /* a session this long resets the back-off                  */

#define NET_QUEUE_LAZY      (2u << 20)  /* bytes queued to a peer: ids only from here               */
#define NET_QUEUE_EAGER     (512u << 10)/* ... until it falls below this                            */
#define NET_QUEUE_MAX       (16u << 20) /* ... disconnected from here                               */
#define NET_PIECE_BYTES     (64u << 10) /* of input given to a connection at once: as much as it keeps of it */
#define NET_OUT_KEPT        (128u << 10)/* bytes of an empty buffer that are kept for the next          */
#define NET_QUEUE_SERVE     (1u << 20)  /* answers to IWANT pause above this                        */
#define NET_OFFERS_MAX      4096        /* ids waiting to leave in IHAVE to one peer                */

#define NET_WINDOW_IDS      1024        /* ids asked of one peer and not answered                   */
#define NET_WINDOW_MIN      8
#define NET_WINDOW_BYTES    (8u << 20)  /* ... and bytes, by the mean of what came                  */
#define NET_ASK_MAX         16384       /* ids queued to be asked of one peer ...                   */
#define NET_ASK_FAIR        (WANTS_MAX / 2 / NET_LINKS_MAX) /* ... once half of all rows are taken  */
#define NET_ASK_MS          30000       /* no answer for this long: the ids are asked of another    */
#define NET_ASK_OTHER_MS    3000        /* ... where another is known to hold it                    */
#define NET_ASK_ALL_MS      300000      /* ... nor does any one id wait longer                      */
#define NET_SWEEP_MS        1000        /* how often that is looked at                              */
#define NET_AGAIN_BURST     (8u << 20)  /* bytes of deltas sent again, above as many as went once   */
#define NET_AGAIN_RATE      256         /* ... and each millisecond                                 */
#define NET_SERVED_SLACK    8192        /* beyond this and twice the set every answer counts in full */
#define NET_SERVE_MAX       (2 * NET_WINDOW_IDS) /* ids asked by one peer and not yet answered      */
#define NET_STORING_MAX     4096        /* bundles handed to the store                              */
#define NET_STORING_BYTES   (16u << 20) /* ... and their bytes                                      */
#define NET_FORWARD_MAX     (16u << 10) /* a larger delta of others is forwarded as an id           */
#define NET_LOADS_MAX       64          /* own deltas being loaded for broadcast                    */
#define NET_PUBLISH_MAX     8192        /* own deltas waiting for that; beyond: as ids              */
#define NET_BODIES_MAX      1024        /* deltas with missing bodies that are asked for            */
#define NET_BODY_MIN_MS     2000        /* back-off of one such delta                               */
#define NET_BODY_MAX_MS     600000
#define NET_BODY_TRIES      16
#define NET_MEMO_MS         300000      /* an id that was kept aside is not asked for again         */
#define NET_MEMO_LATER_MS   30000       /* ... one that was put off                                 */

#define NET_SYNC_MS         10000       /* reconciliation with a random peer, jittered by a fifth   */
#define NET_SYNC_AGAIN_MS   1000        /* after a session that found differences                   */
#define NET_SYNC_REPLY_MS   30000
#define NET_SYNC_OTHER_MS   3000        /* the side with the larger set starts after this           */
#define NET_COPY_MIN        64          /* this many missing deltas are told as a bulk copy         */
#define NET_COPY_TELL_MS    5000
#define NET_SYNC_FRUITLESS  16          /* ... in a row without a difference: endless               */
#define NET_SYNC_ROUNDS     128         /* frames of one session                                    */
#define NET_SYNC_OFFERS     4096        /* ids offered by one session                               */
#define NET_COPY_MARK_MS    2000        /* its rate is measured over so long                        */
#define NET_AUDIT_MS        60000       /* an audit of the next part of the set, jittered by a fifth */
#define NET_RECON_BURST     1024        /* frames taken at once ...                                 */
#define NET_RECON_RATE      64          /* ... and each second                                      */
#define NET_WORK_BURST      1000000     /* work of reconciliation (recon.h) for one peer at once ... */
#define NET_WORK_RATE       100         /* ... and each ms: a tenth of a processor                  */
#define NET_WORK_ALL_BURST  2000000     /* ... for answers to all peers                             */
#define NET_WORK_ALL_RATE   300
#define NET_WORK_FULL_MS    600000      /* after so long any allowance is full                      */
#define NET_PUSH_BURST      4096        /* deltas pushed by one peer ...                            */
#define NET_PUSH_RATE       2048        /* ... each second; beyond: as ids                          */
#define NET_AUTHORS_MAX     256         /* authors whose pushes are counted                         */
#define NET_AUTHOR_BURST    2048
#define NET_AUTHOR_RATE     1024
#define NET_CONTROL_BURST   256         /* PING PONG PEERS GRAFT PRUNE HINT IDONTWANT ...      */
#define NET_CONTROL_RATE    32          /* ... each second                                          */

/* Scores. A peer at NET_SCORE_BAN is closed and banned for NET_BAN_MS. */
#define NET_SCORE_MAX       100
#define NET_SCORE_BAN       (-100)
#define NET_SCORE_FRESH     1           /* a new delta                                              */
#define NET_SCORE_REFUSED   (-25)       /* a delta that is not valid                                */
#define NET_SCORE_WRONG_ID  (-50)       /* a delta under another's id                               */
#define NET_SCORE_BODY      (-10)       /* a body that does not match                               */
#define NET_SCORE_PROTOCOL  (-20)       /* closed for what it sent                                  */
#define NET_SCORE_GONE      (-1)        /* announced and then not held, or never answered           */

/* ---- parts ------------------------------------------------------------------------------------------------------- */

/* A token bucket in thousandths. */
struct bucket {
    uint64_t milli, at_ms;
};
bool bucket_take(struct bucket *b, uint64_t burst, uint64_t rate, uint64_t now_ms);

/* Work that may be spent; the last spending may overdraw it. */
struct allowance {
    int64_t left;
    uint64_t at_ms;             /* 0: nothing was spent yet */
};
struct allowance_limit {
    int64_t burst, each_ms;
};

struct link;

/* A row of the address book: an address, a key, or both. */
struct peer {
    bool has_key, key_required; /* required: the address was given or learned with this key */
    struct key key;
    char addr[NET_ADDR_MAX];    /* "HOST:PORT"; "" : unknown */
    char told[NET_ADDR_MAX];    /* the address it advertises, for others; "" : none */
    bool pinned, self;
    bool pin_kept;              /* pinned by the operator: across restarts */
    bool crowded;               /* it had no free link the last time */
    bool proved;                /* there was a session with this key */
    bool probed;                /* dialed though no link is missing */
    bool reached;               /* ... because something is to be asked of it */
    uint64_t reached_ms;        /* when that was; 0: never */
    uint64_t banned_until_ms;   /* UINT64_MAX: by the operator */
    bool expelled;              /* its key was removed from the mesh */
    int64_t score;
    struct net_score_change scores[NET_SCORES_KEPT]; /* oldest first */
    size_t score_count;
    struct net_trouble trouble;
    uint64_t sent_bytes, received_bytes, sessions;   /* of sessions that ended; that came up */
    struct net_talk talk;
    unsigned fails;
    uint64_t next_dial_ms;
    uint64_t dial;              /* under way until proved or failed; 0: none */
    uint64_t dial_ms;           /* when it gives up */
    struct key source;          /* who told us; zero: the operator or the peer itself */
    bool sure_source;           /* ... and had proved something, or is near */
    uint64_t seen_ms;
    uint64_t serial;            /* orders rows */
    struct link *link;          /* the session, from its proof on */
};

struct link_calls;
struct link {
    uint64_t id;                /* the rim's number */
    struct conn conn;
    struct peer *peer;          /* once proved; or the row that was dialed */
    bool outbound, local;       /* local: the other end is on a loopback address */
    bool full;                  /* one too many: PEERS, then CLOSE */
    bool probe;                 /* dialed though no link was missing */
    bool lost;                  /* the rim has closed it already */
    bool ended;                 /* told everybody; what is in `out` still leaves */
    uint64_t dial;
    char addr[NET_ADDR_MAX];
    uint64_t started_ms, up_ms, heard_ms, partial_ms, stalled_ms, ping_ms, ping_sent_ms, peers_ms;
    uint64_t ping_token;        /* 0: none under way */
    uint64_t rtt_ms;
    uint64_t rim_queued;        /* bytes that the rim has not written yet */
    bool lazy;
    uint64_t sent_bytes, received_bytes;
    uint64_t remote_count;      /* deltas, from HELLO */
    int64_t skew_ms;            /* its clock minus ours */
    struct bucket push, frames, control;
    /* gossip */
    struct recent known;
    struct buf offers;          /* items that leave in the next IHAVE ... */
    uint64_t offers_ms;         /* ... at this time */
    struct buf dont;            /* ids that leave in the next IDONTWANT */
    struct bucket dont_out;
    /* overlay */
    bool in_lazy, out_lazy;     /* it sends, or is sent, ids instead of deltas */
    uint64_t in_pruned_ms;      /* until then GRAFT is not sent but at need */
    uint64_t in_refused_ms;     /* ... not at all: it refused */
    uint64_t out_refused_ms;    /* until then its GRAFT is refused */
    /* fetch */
    struct idqueue ask;         /* ids to ask of this peer */
    struct fair put_off;        /* ... that it pushed and that were not taken */
    bool put_off_turn;          /* one of those is asked for next */
    size_t asked;               /* ids asked and not answered */
    uint64_t mean_bytes;        /* of its answers */
    uint64_t answered_ms;       /* the last one */
    struct idqueue serve;       /* ids it asked of us */
    uint64_t serve_ms;          /* no more of them are answered before */
    struct recent answered;     /* ... and what they were */
    uint64_t served;            /* answers with a delta */
    uint64_t again_free;        /* bytes that went once, and may once more */
    uint64_t again_bytes, again_at_ms; /* deltas sent once more beyond that, less what time took off */
    bool loading;
    /* sync */
    struct recon recon;
    struct recon_diff diff;
    bool syncing, differs, more;
    uint64_t session, sync_heard_ms, sync_at_ms, again_ms;
    unsigned rounds;            /* since something new was found */
    unsigned fruitless;         /* ... or anything at all */
    size_t offered, found;
    struct buf held;            /* our next frame, until there is room for what it may find */
    struct buf waiting;         /* its frame that is not answered yet */
    uint64_t waiting_session;
    struct allowance work;
    bool applied;               /* this node's application was sent */
    bool joining;               /* its application is being judged here */
    bool synced;
    uint64_t equal_ms;          /* when the sets were last seen equal; 0: never */
    struct link_calls *calls;   /* calls.c; NULL until the first */
};

/* A bundle that was handed to the store. */
struct storing {
    bool used, answer;
    uint64_t tag;
    struct id id;
    uint64_t link;
    struct key source;
    size_t size;
    struct buf bundle;          /* kept after the hand-out only if it may be forwarded */
};

enum load_purpose { LOAD_FREE, LOAD_PUBLISH, LOAD_SERVE };
struct load {
    enum load_purpose purpose;
    uint64_t number, link;
    struct item item;           /* LOAD_SERVE: the id alone */
};

struct author_bucket {
    struct key author;
    struct bucket bucket;
};

/* An id whose delta has not come. */
struct late {
    struct id id;
    uint64_t due_ms;
    unsigned tries;
};

/* A delta some of whose bodies the store misses. */
struct missing {
    struct id id;
    bool wanted;                /* asked for by the owner since the last answer */
    unsigned tries;
    uint64_t next_ms, wait_ms;
};

/* A call that waits for a session. */
struct reach {
    uint64_t call;
    struct key peer;
    uint64_t until_ms;
};

struct queued_action {
    struct net_action action;
    char *text;                 /* owned: what action.text or action.bytes points to */
    size_t storing;             /* NET_STORE: the slot */
};

struct net {
    struct net_config config;
    struct conn_identity self;
    bool has_founder;
    struct rng rng;
    uint64_t now_ms, clock_ms, clock_at_ms;
    uint64_t kinds[WIRE_KINDS_MAX];
    size_t kind_count;
    enum net_intake intake;

    struct peer *book[NET_BOOK_MAX];
    size_t book_count;
    uint64_t serial, dial_count;

    struct link *links[NET_LINKS_MAX + NET_HALF_OPEN_MAX];
    size_t link_count;

    struct queued_action *actions; /* a ring */
    size_t action_at, action_count, action_cap;
    char *lent_text;
    struct buf lent;            /* bytes of the last NET_SEND or large NET_STORE */

    struct wants wants;
    struct memo memo;
    bool repump;                /* ids moved to the queues of other links */
    struct storing *storing;    /* NET_STORING_MAX, allocated at first use */
    size_t storing_count, storing_next;
    uint64_t storing_bytes, tag_count;
    struct load loads[NET_LOADS_MAX + NET_LINKS_MAX + NET_HALF_OPEN_MAX];
    size_t publishing;
    uint64_t load_count;
    struct buf publish;         /* items waiting to be loaded */
    size_t publish_at;
    struct author_bucket *authors;
    struct missing *missing;
    size_t missing_count;
    uint64_t missing_ms;        /* the least next_ms; UINT64_MAX: none */

    uint64_t sync_ms, sweep_ms, session_count;
    uint64_t copy_started_ms, copy_told_ms; /* a bulk copy is under way since; 0: none */
    uint64_t copy_done, copy_total;
    uint64_t copy_mark_ms, copy_mark_done, copy_rate_milli;
    uint64_t audit_ms;
    struct item audit_from;     /* where the next audit begins */
    struct allowance work;
    size_t work_turn;
    struct net_stranger strangers[NET_STRANGERS_KEPT]; /* oldest first */
    size_t stranger_count;
    struct buf application;     /* of a newcomer; empty: none */
    bool wide;                  /* more peers are known than a full mesh may have */
    uint64_t beat_ms, probe_ms;
    struct reach reaches[NET_REACHES_MAX]; /* oldest first */
    size_t reach_count;
    struct buf late, again;     /* struct late, each by increasing due_ms */
    struct net_stats stats;
};

/* ---- net.c --------------------------------------------------------------------------------------------------------- */
void net_act(struct net *n, const struct net_action *action); /* copies; `text` too */
void net_act_bytes(struct net *n, const struct net_action *action, struct buf *bytes); /* takes the bytes over */
void net_log(struct net *n, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
uint64_t net_clock(const struct net *n);                      /* wall clock now, in ms */
uint64_t net_jitter(struct net *n, uint64_t ms);              /* ms plus or minus a fifth */

#define REMOVED_TEXT "this key was removed from the mesh; an operator may admit it again"

/* ---- book.c: addresses and peers ----------------------------------------------------------------------------------- */
enum addr_kind { ADDR_BAD, ADDR_PLAIN, ADDR_LOOPBACK, ADDR_WILDCARD /* also ":PORT" */ };
enum addr_kind addr_classify(const char *addr);
/* "HOST:PORT" or "KEY@HOST:PORT"; false: neither. */
bool addr_split(const char *text, struct key *key, bool *has_key, char addr[NET_ADDR_MAX]);
/* The HOST of `seen` with the port of `told`. */
bool addr_join(const char *seen, const char *told, char out[NET_ADDR_MAX]);
const char *peer_name(const struct peer *p, char out[ID_HEX_SIZE]); /* for logs: short key or address */
struct peer *book_by_key(struct net *n, const struct key *key);
struct peer *book_by_addr(struct net *n, const char *addr);
struct peer *book_by_dial(struct net *n, uint64_t dial);
struct peer *book_add(struct net *n); /* NULL: full and nobody to forget */
void book_remove(struct net *n, struct peer *p);
void book_failed(struct net *n, struct peer *p);
void book_dial(struct net *n, struct peer *p);
bool book_may_dial(const struct net *n, const struct peer *p); /* now, room aside */
size_t book_dialing(const struct net *n);
size_t book_pinned(const struct net *n);
bool book_banned(const struct net *n, const struct peer *p);
/* The row that an identity belongs to: found, made, or joined with the row that was dialed. NULL: no room. */
struct peer *book_claim(struct net *n, struct peer *dialed, const struct key *key);
void book_operator(struct net *n, const struct net_event *e);
uint64_t book_deadline(const struct net *n);
void book_tick(struct net *n);
void book_score(struct net *n, struct peer *p, enum net_scored why); /* p may be NULL */

/* ---- learn.c: addresses of others ------------------------------------------------------------------------------------- */
void book_learn(struct net *n, const struct link *from, const struct key *key, const char *addr);
bool peer_passive(const struct peer *p); /* known by its address alone */
bool peer_proven(const struct peer *p);  /* what it tells is trusted further */
bool addr_private(const char *addr);     /* of a network that is not the Internet */
void addr_group(const char *addr, char out[NET_GROUP_TEXT]); /* its network: /24, /48 or the end of a name */
void book_trim(struct net *n);           /* no more passive rows than may be */
bool book_makes_room(struct net *n);     /* a row that matters least is forgotten; false: none may be */

/* ---- notes.c: what the operator is told of peers --------------------------------------------------------------------- */
int64_t note_points(enum net_scored why); /* of NET_SCORED_FRESH to NET_SCORED_GONE */
void note_score(struct net *n, struct peer *p, enum net_scored why, int64_t by);
void note_dial(const struct net *n, struct peer *p, enum net_dial_fault fault);
void note_end(struct net *n, const struct link *l); /* its connection ended; counts its bytes */
void note_up(struct net *n, const struct link *l);  /* its session is up */
enum note_way { NOTE_SENT, NOTE_RECEIVED };
void note_said(struct net *n, struct peer *p, enum wire_type type, enum note_way way); /* p may be NULL */
void note_info(const struct net *n, const struct peer *p, struct net_peer_info *out);

/* ---- links.c: connections ------------------------------------------------------------------------------------------ */
struct link *link_by_id(struct net *n, uint64_t id);
bool link_up(const struct link *l);
size_t links_up(const struct net *n);
struct link *links_random(struct net *n); /* one that is up; NULL: none */
uint64_t link_queued(const struct link *l);
void link_send(struct net *n, struct link *l, const struct wire_message *m);
void link_close(struct net *n, struct link *l, enum wire_reason reason, const char *detail);
void link_ended(struct net *n, struct link *l); /* its connection is CONN_CLOSED: everybody lets go of it */
void links_input(struct net *n, const struct net_event *e);
bool links_next(struct net *n, struct net_action *a);
bool link_answers(const struct net *n, const struct link *l); /* up, and no PING is overdue */
uint64_t link_dead_ms(const struct net *n); /* silence that ends a session */
uint64_t link_deadline(const struct net *n, const struct link *l);
void links_tick(struct net *n);
void link_free(struct link *l);

/* ---- crowd.c: who gives way ------------------------------------------------------------------------------------------- */
bool crowd_admits(struct net *n, struct link *newcomer);  /* false: it is the one too many itself */
size_t crowd_size(const struct net *n, const struct link *l); /* accepted sessions of its network */
bool crowd_has_room(struct net *n, const char *addr, enum noise_role role); /* for one more connection, not proved yet */

/* ---- session.c: what is said ------------------------------------------------------------------------------------------ */
void session_greet(struct net *n, struct link *l);   /* HELLO */
void session_peers(struct net *n, struct link *l);   /* PEERS */
void session_message(struct net *n, struct link *l, const struct wire_message *m);
void session_apply(struct net *n, struct link *l);   /* JOIN, where this node is a newcomer */
void session_welcome(struct net *n, const struct net_event *e);

/* ---- overlay.c: who sends whole deltas to whom ------------------------------------------------------------------------- */
size_t overlay_eager_in(const struct net *n); /* peers that send whole deltas and answer */
void overlay_look(struct net *n);             /* peers came or went: is this still a full mesh? */
void overlay_up(struct net *n, struct link *l);
void overlay_duplicate(struct net *n, struct link *l); /* it pushed what was here */
void overlay_graft(struct net *n, struct link *l);     /* sends GRAFT if it may */
void overlay_got_graft(struct net *n, struct link *l);
void overlay_got_prune(struct net *n, struct link *l, const struct wire_message *m);
uint64_t overlay_deadline(const struct net *n);
void overlay_tick(struct net *n);

/* ---- reach.c: sessions for calls ----------------------------------------------------------------------------------------- */
void reach_input(struct net *n, const struct net_event *e); /* NET_REACH */
bool reach_drop(struct net *n, uint64_t call);              /* true: it was waiting for a session */
void reach_look(struct net *n);                             /* who is in session by now, or will not be? */
uint64_t reach_deadline(const struct net *n);

/* ---- late.c: ids without a delta --------------------------------------------------------------------------------------- */
/* A peer offered it. True: its delta is awaited for a moment; false: ask at once. */
bool late_offered(struct net *n, struct link *l, const struct item *item);
uint64_t late_deadline(const struct net *n);
void late_tick(struct net *n);

/* ---- gossip.c: broadcast ------------------------------------------------------------------------------------------- */
void gossip_publish(struct net *n, const struct item *items, size_t count);
void gossip_loaded(struct net *n, const struct item *item, struct bytes bundle);
void gossip_forward(struct net *n, const struct storing *s, const struct item *item);
void gossip_offer(struct net *n, struct link *l, const struct item *item); /* leaves at once */
void gossip_received(struct net *n, const struct link *l, const struct id *id, size_t bytes); /* whole, pushed, new */
void gossip_flush(struct net *n, struct link *l);
bool gossip_allows(struct net *n, struct link *l, const struct key *author); /* a pushed delta: within the buckets? */
void gossip_lazy(struct link *l);

/* ---- fetch.c: asking, storing --------------------------------------------------------------------------------------- */
enum want_why { WANT_OFFERED, WANT_RECON, WANT_BODY };
/* A peer holds it: ask for it in time. False: no room. */
bool fetch_want(struct net *n, struct link *l, const struct id *id, enum want_why why);
bool fetch_queue(struct net *n, struct want *w, struct link *l); /* to be asked of l; false: no room */
void fetch_delta(struct net *n, struct link *l, const struct wire_message *m);
void fetch_have(struct net *n, struct link *l, const struct wire_message *m);
void fetch_gone(struct net *n, struct link *l, const struct wire_message *m);
void fetch_stored(struct net *n, const struct net_result *r);
void fetch_pump(struct net *n, struct link *l);  /* ask for more, serve more */
void fetch_link_gone(struct net *n, const struct link *l);
uint64_t fetch_deadline(const struct net *n);
void fetch_tick(struct net *n);

/* ---- serve.c: answering ---------------------------------------------------------------------------------------------- */
void serve_asked(struct net *n, struct link *l, const struct wire_message *m);
bool serve_load(struct net *n, enum load_purpose purpose, uint64_t link, const struct item *item); /* false: too many */
void serve_loaded(struct net *n, const struct net_event *e);
void serve_pump(struct net *n, struct link *l);
uint64_t serve_deadline(const struct net *n);

/* ---- sync.c: repair -------------------------------------------------------------------------------------------------- */
void sync_start(struct net *n, struct link *l);
void sync_up(struct net *n, struct link *l, const struct wire_hello *hello, const struct id *digest);
void sync_recon(struct net *n, struct link *l, const struct wire_message *m);
void sync_stop(struct link *l);
void sync_free(struct link *l);
void sync_resume(struct net *n, struct link *l);  /* a session that is held goes on if there is room */
uint64_t sync_link_deadline(const struct net *n, const struct link *l);
void sync_drained(struct net *n, struct link *l); /* nothing is left to ask of it */
uint64_t sync_deadline(const struct net *n);
void sync_tick(struct net *n);

/* ---- copy.c: what is told of a bulk copy ------------------------------------------------------------------------------ */
void copy_found(struct net *n, const struct link *l); /* ids were found that are to be fetched */
void copy_stored(struct net *n);                      /* one more of them is stored */
void copy_tick(struct net *n);
void copy_stats(const struct net *n, struct net_stats *out);

#endif
