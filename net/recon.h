/*
 * Range-based set reconciliation between two peers (see MESH 4): which ids does each side lack? A pure engine:
 * frames in, frames out. The framing and the algorithm are those of Negentropy v1; one engine, three fingerprints:
 *   - conformance (version byte 0x61): the sum modulo 2^256 under SHA-256, byte for byte as published;
 *   - production (version byte 0x73): LtHash of the range under BLAKE2b with a session key, so that nobody can
 *     prepare two sets that look equal. The version byte is followed by a varint, the sender's upper time bound;
 *   - audit (version byte 0x74): as production, but small ranges are hashed item by item under the session key, so that
 *     no sum that a node keeps is trusted. A session looks at a part of the set; many of them go round it.
 * The initiator keeps the state of the session; the responder keeps none and answers every frame by itself. The
 * engine never sees deltas: what to send and what to ask for comes out as a recon_diff.
 */
#ifndef SOUK_NET_RECON_H
#define SOUK_NET_RECON_H

#include "crdt/setindex.h"

#define RECON_FRAME_MAX   65536 /* bytes of one frame, in either direction                               */
#define RECON_FRAME_MIN   4096  /* the least frame limit                                                 */
#define RECON_BUCKETS     16    /* parts into which a range that differs is split                        */
#define RECON_LIST_BELOW  32    /* a range with fewer items is sent as a list of ids                     */
#define RECON_SLACK       200   /* bytes kept free at the end of a frame for the closing fingerprint     */
#define RECON_RANGES_MAX  8192  /* ranges in one frame; also how many we send                            */
#define RECON_HAVE_MAX    8192  /* `have` items reported for one frame; the rest comes in later rounds   */
#define RECON_NEED_MAX    (RECON_FRAME_MAX / ID_BYTES) /* `need` ids of one frame: no more fit           */
#define RECON_WORK_MAX    32768 /* work for one frame before it is closed with one fingerprint of
                                   everything that is left                                               */
#define RECON_SCAN_MAX    65536 /* our items in a range that one list of the peer is compared with;
                                   a larger range is split                                               */
#define RECON_AUDIT_RANGE 8192  /* items hashed for one fingerprint of an audit; above, the sum is used  */
#define RECON_AUDIT_SPAN  65536 /* items of one audit                                                    */

enum recon_mode { RECON_CONFORMANCE = 0x61, RECON_PRODUCTION = 0x73, RECON_AUDIT = 0x74 };
enum recon_role { RECON_INITIATOR, RECON_RESPONDER };

/* What the initiator expects. Likely equal: its first frame is one fingerprint of the whole set, which costs next to
 * nothing where that holds and one round trip more where it does not. */
enum recon_guess { RECON_GUESS_DIFFERENT, RECON_GUESS_EQUAL };

enum recon_status {
    RECON_SEND,  /* `out` holds the next frame                                      */
    RECON_DONE,  /* initiator only: all differences were reported, nothing to send  */
    RECON_ERROR  /* the peer broke the format; `why` says how                       */
};

struct recon_config {
    const struct setindex *set; /* borrowed; may change between frames: what is missed is found next time */
    enum recon_mode mode;
    enum recon_role role;
    enum recon_guess guess;     /* production, initiator */
    uint8_t key[32];            /* production: the session key, the same on both sides                    */
    uint64_t bound;             /* production: items of this time and above are left out (an HLC time)    */
    struct item from;           /* audit, initiator: the part of the set that is looked at begins here ... */
    size_t span;                /* ... and has so many items on this side                                  */
    size_t frame_limit;         /* bytes of a frame we send, RECON_FRAME_MIN..RECON_FRAME_MAX; 0: no limit
                                   (conformance only)                                                     */
};

struct recon {
    struct recon_config config; /* `bound` falls to the peer's where that is lower */
    const char *why;            /* after RECON_ERROR: a short English phrase, static */
    size_t work;                /* what the last frame cost, in ids expanded: about a microsecond each */
    struct item next;           /* audit, after recon_initiate: where the next part begins; zeros: the start */
    struct buf scratch;
};

/* What one side holds and the other does not. Zero-initialise; grows by recon_input. */
struct recon_diff {
    struct item *have;  /* we hold it, the peer does not */
    size_t have_count, have_cap;
    struct id *need;    /* the peer holds it, we do not; its time is not known */
    size_t need_count, need_cap;
};

void recon_init(struct recon *r, const struct recon_config *config);
void recon_close(struct recon *r);
/* The initiator's first frame; replaces what is in out. */
void recon_initiate(struct recon *r, struct buf *out);
/*
 * Takes a peer's frame and replaces what is in out by the answer. The initiator's differences are appended to diff
 * (a responder passes NULL). The work for any frame is bounded by the constants above. An id may be reported in
 * two rounds of one session, never twice for one range.
 */
enum recon_status recon_input(struct recon *r, struct bytes frame, struct buf *out, struct recon_diff *diff);
void recon_diff_reset(struct recon_diff *d); /* empties it, keeps the memory */
void recon_diff_close(struct recon_diff *d);

#endif
