/*
 * Bytes written down in tests: hex digits, blanks between them at will, and xx*N for a byte N times,
 * so that "c420 00*32" is a bin of 32 zeros. Knows no format.
 */
#ifndef SOUK_TESTS_HEX_H
#define SOUK_TESTS_HEX_H

#include "crdt/bytes.h"

/* Appends what the text says; aborts where it is not well written. */
void hex_put(struct buf *out, const char *text);
/* True iff the bytes are what the text says. */
bool hex_is(struct bytes x, const char *text);

#endif
