/*
 * Looks into JSON that this node wrote itself (record_json) without parsing all of it: enough for filters and word
 * search over many entries. Not for JSON from outside.
 */
#ifndef SOUK_NODE_JSONSCAN_H
#define SOUK_NODE_JSONSCAN_H

#include "crdt/bytes.h"

/* The raw text of member `name` of a JSON object; {NULL, 0}: no such member, or not an object. */
struct bytes jsonscan_member(struct bytes object, const char *name);
/* Steps through a JSON array: *at starts at 0; {NULL, 0} at the end. */
struct bytes jsonscan_item(struct bytes array, size_t *at);
/* Is this raw value the string `text` (written without escapes), or {"Other"|"Custom": text}? */
bool jsonscan_is(struct bytes value, struct bytes text);
/* Is `word` (lower case ASCII folded) somewhere in this raw text, whatever the case of ASCII letters? */
bool jsonscan_has_word(struct bytes value, struct bytes word);
/* A non-negative integer; false for anything else. */
bool jsonscan_uint(struct bytes value, uint64_t *out);

#endif
