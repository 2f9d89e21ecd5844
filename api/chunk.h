/*
 * The chunked transfer coding, read strictly: sizes are hex digits, every line ends in CRLF, extensions and trailers are
 * checked and dropped. Parsers that allow more here disagree about where a request ends. Knows nothing of the head.
 */
#ifndef SOUK_API_CHUNK_H
#define SOUK_API_CHUNK_H

#include "crdt/bytes.h"

#define CHUNK_DIGITS_MAX 15 /* hex digits of a size: no sum overflows */

enum chunk_state {
    CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_DATA_CR, CHUNK_DATA_LF,
    CHUNK_TRAILER, CHUNK_TRAILER_NAME, CHUNK_TRAILER_VALUE, CHUNK_TRAILER_LF, CHUNK_END_LF,
    CHUNK_DONE, /* the body is complete                */
    CHUNK_BAD   /* it is not chunked coding: final     */
};

/* Zero-initialise before a body. */
struct chunk {
    enum chunk_state state;
    unsigned digits;
    uint64_t left; /* data bytes of the present chunk */
};

/* Reads up to the end of a piece of data, of the body or of `in`. *data: what came, maybe nothing; *used: bytes of `in` that
 * were read. Call again while *used < in.n and the state is neither CHUNK_DONE nor CHUNK_BAD. */
void chunk_read(struct chunk *c, struct bytes in, struct bytes *data, size_t *used);

/* A character of a header name (RFC 9110, token). */
bool chunk_token_char(uint8_t c);

#endif
