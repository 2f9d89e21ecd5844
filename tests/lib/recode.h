/*
 * Decode, encode again, compare: the definition of canonical msgpack, as a check that does not trust
 * mp_value. Knows nothing beyond codec.h.
 */
#ifndef SOUK_TESTS_RECODE_H
#define SOUK_TESTS_RECODE_H

#include "crdt/codec.h"

/* Reads one value item by item and appends what the writer makes of it. */
void recode_value(struct buf *out, struct mp_reader *r);
/* True iff x is one value that the writer reproduces byte for byte. */
bool recode_same(struct bytes x);

#endif
