/*
 * The schema: one static table a kind describes its records (RECORDS in api/API.md). It drives JSON in and out,
 * validation, msgpack, the OpenAPI schema, search columns and the documents. Adding a field is one line.
 */
#ifndef SOUK_CRDT_RECORD_H
#define SOUK_CRDT_RECORD_H

#include "crdt/register.h"

enum field_type {
    FIELD_STRING, FIELD_UINT, FIELD_INT, FIELD_BOOL, FIELD_URL, FIELD_BASE64, FIELD_SHA256,
    FIELD_ENUM,         /* a plain string of `values`, or {"Other": s} / {"Custom": s}     */
    FIELD_ENUM_LIST,
    FIELD_STRING_LIST,
    FIELD_STRING_MAP,   /* {str: str}                                                      */
    FIELD_OBJECT,       /* `fields` describe its members                                   */
    FIELD_OBJECT_LIST,
    FIELD_DECIMAL,      /* a decimal string (prices)                                       */
    FIELD_JSON          /* any value within the limits                                     */
};

enum field_flag {
    FIELD_REQUIRED = 1,    /* asked of a client                                            */
    FIELD_NULLABLE = 2,    /* default null                                                 */
    FIELD_BY_NODE = 4,     /* set by nodes, ignored on input, never stored                 */
    FIELD_SEARCHABLE = 8,  /* full text                                                    */
    FIELD_FILTER = 16      /* a filter of GET /<kind>s                                      */
};

struct field_desc {
    const char *name;
    enum field_type type;
    unsigned flags;
    uint64_t min, max;             /* numbers: range; strings: bytes; lists: items           */
    uint64_t item_max;             /* lists and maps: bytes of one string                    */
    const char *const *values;     /* enums, NULL-terminated                                */
    const char *open_value;        /* "Other" or "Custom"; NULL: closed                      */
    const char *fallback;          /* the default as JSON text; NULL: left out of the JSON    */
    const struct field_desc *fields; /* objects: name == NULL ends                           */
    const char *about;             /* one sentence for the documents                         */
};

struct kind_desc {
    uint64_t kind;
    const char *singular;          /* "model": JSON member and CLI word                      */
    const char *plural;            /* "models": route and list member                        */
    const char *id_field;          /* "model_id"                                             */
    const struct field_desc *fields; /* name == NULL ends                                    */
    bool client_writes;            /* model, agent, server                                   */
};

const struct kind_desc *kind_by_number(uint64_t kind);   /* NULL: unknown */
const struct kind_desc *kind_by_word(const char *word);  /* singular or plural; NULL */
const struct kind_desc *kind_at(size_t i);               /* NULL after the last: to iterate */
const struct field_desc *field_by_name(const struct field_desc *table, struct bytes name);

/* A fault of a value: where (JSON pointer) and why; at most FAULTS_MAX are kept. */
#define FAULTS_MAX 32
struct fault {
    char pointer[160];
    char detail[160];
};
struct faults {
    size_t count;
    struct fault list[FAULTS_MAX];
};
void faults_add(struct faults *f, const char *pointer, const char *detail, ...) __attribute__((format(printf, 3, 4)));

/* Checks one field's value (canonical msgpack). False: faults says why. Unknown fields are not for this function. */
bool field_check(const struct field_desc *d, const char *pointer, struct bytes value, struct faults *faults);

/* Writes the record as JSON: every described field in table order (a field that is missing shows its default, one that
 * does not fit goes under "foreign"), unknown fields after them. Removed fields are skipped. */
struct record_meta {
    struct id id;
    struct key owner;
    struct bytes name;
    uint64_t created_at, updated_at; /* HLC times */
};
void record_json(const struct kind_desc *kind, const struct merged *record,
                 const struct record_meta *meta, struct buf *out);

/* msgpack value -> JSON text, and a JSON string literal of UTF-8 bytes (jansson has json_string and json_value). */
void json_put_value(struct buf *out, struct bytes value);
void json_put_string(struct buf *out, struct bytes utf8);
/* RFC 3339 with milliseconds, UTC: 24 characters and the NUL. */
void json_time(char out[25], uint64_t hlc_time);

#endif
