/*
 * Cuts the rows out of a JSON document that is too large to hold: finds where each row's value begins and ends by brackets
 * and strings alone. Private to node/import*.c. Knows where rows lie in each format, and no field of a row.
 */
#ifndef SOUK_NODE_IMPORT_CUT_H
#define SOUK_NODE_IMPORT_CUT_H

#include "node/import.h"

#define CUT_LEVELS 4   /* containers above a row, at most */
#define CUT_KEY_MAX 255

struct cut_level {
    bool is_object;
    bool at_value; /* objects: after the colon */
    size_t key_size;
    uint8_t key[CUT_KEY_MAX];
};

struct cut {
    enum import_format format;
    struct cut_level levels[CUT_LEVELS];
    size_t depth;
    bool in_string, escaped, is_key;
    bool in_row, is_scalar, is_over; /* over: longer than IMPORT_ROW_MAX; the rest is not kept */
    bool ended;                      /* the document is complete */
    size_t row_depth;
    struct buf row;                  /* text of the row so far */
    size_t line, row_line;           /* from 1 */
    const char *fault;               /* NULL: none; the document is broken here */
};

/* Takes one byte. True: a row is complete in c->row (until the next byte is taken). */
bool cut_byte(struct cut *c, uint8_t byte);
/* After the last byte: NULL, or what is missing. */
const char *cut_end(const struct cut *c);

#endif
