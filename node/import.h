/*
 * Catalogues of others as a stream of rows: bytes in, one checked record out at a time. Sans-I/O: the caller reads the
 * file or standard input and writes the rows where it likes. A row that breaks a rule is refused with its reasons and
 * never shortened or mended. Memory is bounded by the chunk fed and one row of IMPORT_ROW_MAX bytes, plus, for
 * mcp-registry, 16 bytes for each name seen.
 */
#ifndef SOUK_NODE_IMPORT_H
#define SOUK_NODE_IMPORT_H

#include "api/json.h"

#define IMPORT_ROW_MAX (1u << 20) /* bytes of one row; a longer one is refused */

enum import_format {
    IMPORT_JSONL,      /* a line: {"kind":"model","model":{...}}, or a bare record of the default kind */
    IMPORT_MODELS_DEV, /* {"models":[{provider,id,...}]} or {provider:{"models":{id:{...}}}}            */
    IMPORT_MCP         /* {"servers":[...]} or an array; server.json, {server,_meta}, or the older
                          snake_case shape                                                             */
};
/* "jsonl", "models.dev", "mcp-registry". */
bool import_format_by_word(const char *word, enum import_format *out);

enum import_verdict {
    IMPORT_ROW,       /* a record to write                                                 */
    IMPORT_REFUSED,   /* faults: why                                                       */
    IMPORT_DUPLICATE, /* mcp-registry: a name that an accepted row had before              */
    IMPORT_BROKEN     /* the file itself: faults say what; nothing follows                 */
};

/* Borrowed until the next call on the same import. */
struct import_row {
    enum import_verdict verdict;
    const struct kind_desc *kind;  /* NULL: not known */
    struct bytes name;             /* of a refused row: as far as it was given */
    struct bytes text;             /* the row as it stood in the input */
    size_t field_count;
    const struct field *fields;    /* by increasing name */
    struct faults faults;
    size_t line;                   /* where the row starts, from 1 */
    size_t row;                    /* its number, from 1 */
    char where[32];                /* "line 12", or "row 12" where rows share the first line */
};

struct import;
/* default_kind: of a bare record in jsonl; NULL: such a row is refused. */
struct import *import_new(enum import_format format, const struct kind_desc *default_kind);
/* Rows of jsonl are cut and not looked into, for somebody else to parse: they have a text, and no kind, name or fields. */
void import_cut_only(struct import *m);
void import_free(struct import *m);
/* Adds bytes (copied); drain import_next after each. */
void import_feed(struct import *m, struct bytes in);
/* No more bytes: what is left is a row or a fault. */
void import_end(struct import *m);
/* False: feed more, or, after import_end, all is said. */
bool import_next(struct import *m, struct import_row *row);
/* Bytes of the input that have been looked at: for a progress bar. */
uint64_t import_used(const struct import *m);

#endif
