/*
 * The small text files of a data directory all look alike: a first line "TITLE VERSION", then "word value" lines.
 * This reads them with a sticky cursor: parse straight through, check once at the end.
 */
#ifndef SOUK_NODE_TEXTFILE_H
#define SOUK_NODE_TEXTFILE_H

#include "crdt/bytes.h"
#include "crdt/err.h"

struct textfile {
    struct bytes rest;
    unsigned line;
    enum err err;    /* ERR_OK, ERR_FORM or ERR_VERSION: the first fault met */
    char fault[160]; /* a sentence about it */
};

/* Reads the first line; ERR_VERSION if the version is another. */
void textfile_init(struct textfile *t, struct bytes in, const char *title, unsigned version);
/* The value of the next line, which must start with `word`; absent after a fault. */
struct bytes textfile_value(struct textfile *t, const char *word);
/* Does the next line start with `word`? */
bool textfile_next_is(const struct textfile *t, const char *word);
void textfile_hex(struct textfile *t, const char *word, uint8_t *out, size_t n);
uint64_t textfile_uint(struct textfile *t, const char *word);
/* Splits the first blank-separated word off *s. */
struct bytes textfile_split(struct bytes *s);
bool textfile_uint_of(struct bytes s, uint64_t *out);
bool textfile_end(const struct textfile *t);
void textfile_fail(struct textfile *t, enum err err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* ERR_OK if nothing went wrong and nothing is left; else the fault, with its sentence appended to why. */
SOUK_MUST_USE enum err textfile_done(struct textfile *t, struct buf *why);

#endif
