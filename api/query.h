/*
 * Query strings and the values in them. Knows which parameters exist and their bounds; decodes in place.
 */
#ifndef SOUK_API_QUERY_H
#define SOUK_API_QUERY_H

#include "crdt/bytes.h"

/* A decimal number without sign, at most 2^64 - 1. */
bool parse_uint(struct bytes text, uint64_t *out);
/* A-Z a-z 0-9 - _ only, 1..API_CURSOR_MAX bytes. */
bool cursor_valid(struct bytes text);

#endif
