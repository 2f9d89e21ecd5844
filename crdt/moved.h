/*
 * Succession (MODEL 4): the field moved_to, by which an owner says that another entry takes the place of this one. It
 * carries the owner's own signature, so whoever may write the entry can carry it or hide it, and nobody else can make it.
 *
 *   value = {"id": 64 hex digits of the successor's entry id, "signature": base64}
 *   signature = Ed25519(owner, H("souk/moved/1", mesh id, entry id, successor's entry id))
 */
#ifndef SOUK_CRDT_MOVED_H
#define SOUK_CRDT_MOVED_H

#include "crdt/register.h"

#define MOVED_FIELD "moved_to"

struct moved {
    struct id mesh, entry, successor;
};
/* Appends the field's value, signed with the owner's secret. */
void moved_put(struct buf *out, const struct moved *m, const uint8_t secret[64]);
/* Is the value such a statement by `owner`? m->successor is filled in; mesh and entry are given. */
bool moved_holds(struct bytes value, const struct key *owner, struct moved *m);
/* For whoever shows a record: true and the successor if it has moved; a field that does not hold is taken out. */
bool moved_judge(struct merged *record, const struct key *owner, struct moved *m);

#endif
