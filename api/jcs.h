/*
 * JSON that is signed: read strictly, written in the one form of RFC 8785 (JCS). Numbers are integers between
 * -(2^53-1) and 2^53-1, written without fraction or exponent; everything else is a string, so that no two programs can
 * disagree about the bytes.
 */
#ifndef SOUK_API_JCS_H
#define SOUK_API_JCS_H

#include "crdt/bytes.h"
#include "crdt/err.h"

struct json_t; /* jansson */

#define JCS_BYTES_MAX (1u << 20) /* of a document that is read    */
#define JCS_DEPTH_MAX 32         /* nested arrays and objects     */

/* NULL, with a sentence appended to why: not JSON, a member twice, a lone surrogate, a number that is no such integer,
 * too deep, too long. Freed by json_decref. */
struct json_t *jcs_parse(struct bytes text, struct buf *why);
/* Appends the canonical form. ERR_FORM: a number that is not allowed; ERR_LIMIT: too deep. */
SOUK_MUST_USE enum err jcs_put(struct buf *out, const struct json_t *value);

#endif
