/*
 * Cursors that clients carry between pages: opaque, of the characters A-Z a-z 0-9 - _ only, and bound to this node by
 * a keyed hash, so that one made elsewhere or changed on the way is told apart from a good one.
 */
#ifndef SOUK_NODE_CURSOR_H
#define SOUK_NODE_CURSOR_H

#include "crdt/bytes.h"
#include "crdt/err.h"

#define CURSOR_PAYLOAD_MAX 128 /* bytes before encoding */

struct cursor_key {
    uint8_t secret[32];
};

/* Appends the cursor text for `payload` (at most CURSOR_PAYLOAD_MAX bytes). `use` keeps cursors of different
 * routes apart. */
void cursor_encode(const struct cursor_key *key, char use, struct bytes payload, struct buf *out);
/* Appends the payload. ERR_FORM: not a cursor at all; ERR_MESH: another node's, another route's, or changed. */
SOUK_MUST_USE enum err cursor_decode(const struct cursor_key *key, char use, struct bytes text,
                                     struct buf *out);

#endif
