/*
 * Invitations: what an operator hands to a newcomer as one line of text, and what the newcomer says to the nodes that it
 * meets. Pure: time and randomness are arguments; whether an invitation was used before is the mesh's to know.
 *
 *   card        = [1, founder, mesh name, inviter, name, expires, role, [address, ...]]    canonical msgpack
 *   signature   = Ed25519(inviter, H("souk/invitation/1", mesh id, card))
 *   invitation  = "soukinvite1_" base64url([card, signature, seed])         name: the public key of the seed
 *   application = [card, signature, author, by the seed, by the author]     two signatures over
 *                 H("souk/join/1", mesh id, name, node key, author)
 *
 * The seed never leaves the newcomer, so who sees an application cannot use the invitation for itself.
 */
#ifndef SOUK_NODE_INVITE_H
#define SOUK_NODE_INVITE_H

#include "crdt/delta.h"
#include "crdt/record.h"
#include "net/net.h"
#include "node/identity.h"

#define INVITE_ADDRESSES_MAX 8
#define INVITE_CARD_MAX      2900  /* bytes, so that an application fits into a message    */
#define INVITE_TEXT_MAX      4200  /* characters of an invitation                          */
#define INVITE_DEFAULT_S     (7u * 24 * 3600)
#define INVITE_LONGEST_S     (366u * 24 * 3600)

struct invitation {
    struct id mesh;
    struct key founder;
    char mesh_name[MODEL_NAME_MAX + 1];
    struct key inviter;
    struct key name;            /* what the mesh remembers of it */
    uint64_t expires_s;         /* Unix time */
    char role[RECORD_ITEM_MAX + 1];
    size_t address_count;
    char addresses[INVITE_ADDRESSES_MAX][NET_ADDR_MAX]; /* KEY@HOST:PORT of nodes that can admit */
    size_t card_bytes;
    uint8_t card[INVITE_CARD_MAX]; /* what was signed */
    uint8_t sig[SIG_BYTES];
    uint8_t seed[32];           /* the newcomer's alone; zeros in an application */
};

/* Signs; `in` has everything but mesh, name, card and sig, with a fresh seed. Appends the text. ERR_LIMIT: the names and
 * addresses do not fit. */
SOUK_MUST_USE enum err invite_write(struct buf *out, struct invitation *in, const uint8_t inviter_secret[64]);
/* ERR_FORM: not an invitation, or cut short; ERR_VERSION; ERR_SIGNATURE: changed by somebody, or its inviter did not sign it. A
 * sentence is appended to why. Blanks around the text do not matter. */
SOUK_MUST_USE enum err invite_read(struct bytes text, struct invitation *out, struct buf *why);
/* Is it the key of one of the nodes that the invitation names? Their word is final. */
bool invite_names_node(const struct invitation *in, const struct key *node);

/* The newcomer's application for its node and its author key. Appended. */
void invite_apply(struct buf *out, const struct invitation *in, const struct key *node, const struct keypair *author);
/* What `node`, proved by its session, applied with; checks every signature. ERR_FORM, ERR_VERSION, ERR_SIGNATURE. */
SOUK_MUST_USE enum err invite_judge(struct bytes application, const struct key *node, struct invitation *out, struct key *author);

/* "7d", "12h", "30m", "90s"; false: not such a span, or longer than INVITE_LONGEST_S, or none at all. */
bool invite_span(const char *text, uint64_t *seconds);

#endif
