/*
 * The schema: one static table a kind describes its records (RECORDS in api/API.md). It drives JSON in and out,
 * validation, msgpack, the OpenAPI schema, search columns and the documents. Adding a field is one line. The schema
 * is enforced where writes enter and where records are shown, never on what other nodes hold (see MODEL 3).
 */
#ifndef SOUK_CRDT_RECORD_H
#define SOUK_CRDT_RECORD_H

#include "crdt/register.h"

enum field_type {
    FIELD_STRING, FIELD_UINT, FIELD_INT, FIELD_BOOL,
    FIELD_URL,          /* http or https, with a host; a `{variable}` may stand in it         */
    FIELD_BASE64,       /* text: the standard alphabet, padded                                */
    FIELD_SHA256,       /* text: 64 lower-case hex digits                                     */
    FIELD_ENUM,         /* a plain string of `values`, or {"Other": s} / {"Custom": s}        */
    FIELD_ENUM_LIST,
    FIELD_STRING_LIST,
    FIELD_STRING_MAP,   /* {str: str}                                                         */
    FIELD_OBJECT,       /* `fields` describe its members; unknown members are kept            */
    FIELD_OBJECT_LIST,
    FIELD_OBJECT_MAP,   /* {str: object of `fields`}                                          */
    FIELD_DECIMAL,      /* a decimal string (prices), at most `max` digits after the point    */
    FIELD_JSON          /* any value within the limits                                        */
};

enum field_flag {
    FIELD_REQUIRED = 1,    /* asked of a client                                            */
    FIELD_NULLABLE = 2,    /* default null                                                 */
    FIELD_BY_NODE = 4,     /* set by nodes, ignored on input, never stored                 */
    FIELD_SEARCHABLE = 8,  /* full text                                                    */
    FIELD_FILTER = 16,     /* a filter of GET /<kind>s                                      */
    FIELD_CHARS = 32,      /* min and max of a string count characters, not bytes          */
    FIELD_HTTPS = 64       /* a URL must be https                                          */
};

/* Rules that type and bounds do not say. */
enum field_rule {
    RULE_NONE,
    RULE_LINE,         /* a string without control characters                                */
    RULE_SERVER_NAME,  /* namespace/name: ^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$                    */
    RULE_ONE_VERSION,  /* one version: no range, not "latest"                                */
    RULE_TRANSPORT,    /* object: every type but stdio needs a url                           */
    RULE_ARGUMENT,     /* object: named needs a name, positional a valueHint or a value      */
    RULE_UNITS         /* list of prices: each unit once                                     */
};

struct field_desc {
    const char *name;
    enum field_type type;
    unsigned flags;
    enum field_rule rule;
    uint64_t min, max;             /* numbers: range; strings: bytes; lists and maps: items   */
    uint64_t item_max;             /* lists and maps: bytes of one string                    */
    const char *const *values;     /* enums, NULL-terminated                                */
    const char *open_value;        /* "Other" or "Custom"; NULL: closed                      */
    const char *fallback;          /* the default as JSON text; NULL: left out of the JSON.
                                      Of a FIELD_OBJECT "{}": the defaults of its members   */
    const struct field_desc *fields; /* objects: name == NULL ends                           */
    const char *not_below, *not_above; /* name of a sibling number that bounds this one; a
                                      default that is shown gives way to a sibling's value    */
    const char *short_form;        /* object lists: a bare string s stands for {short_form: s} */
    const char *about;             /* one sentence for the documents                         */
};

struct kind_desc {
    uint64_t kind;
    const char *singular;          /* "model": JSON member and CLI word                      */
    const char *plural;            /* "models": route and list member                        */
    const char *id_field;          /* "model_id"; NULL: the record does not show its id      */
    const struct field_desc *fields; /* name == NULL ends                                    */
    bool client_writes;            /* model, agent, server                                   */
};

/* Bounds of records beyond those of the data model. */
#define RECORD_LIST_MAX   64    /* items of a list, pairs of a map                            */
#define RECORD_ITEM_MAX   128   /* bytes of a list item, a map key, an open enum value        */
#define RECORD_TEXT_MAX   16384 /* bytes of a description                                     */
#define RECORD_META_MAX   4096  /* bytes of one metadata value                                */
#define RECORD_URL_MAX    2048
#define RECORD_DEPTH_MAX  (MODEL_DEPTH_MAX - 3) /* nested containers in one field of a body   */
#define RECORD_FIELDS_MAX 48    /* described fields of one kind                               */

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
    size_t count; /* of those kept; set it to 0 to start: the list need not be cleared */
    struct fault list[FAULTS_MAX];
};
void faults_add(struct faults *f, const char *pointer, const char *detail, ...) __attribute__((format(printf, 3, 4)));

/* Checks one field's value (canonical msgpack). False: faults (may be NULL) says why. nil, which removes a field, is
 * a fault only of a required one. Unknown fields are not for this function. */
bool field_check(const struct field_desc *d, const char *pointer, struct bytes value, struct faults *faults);
/* Checks a whole record, fields by increasing name: every described field that is there, and that the required ones are.
 * Unknown fields pass. The name is not among the fields: name_check. */
bool record_check(const struct kind_desc *kind, const struct field *fields, size_t n, struct faults *faults);
/* 1..200 bytes of UTF-8 without control characters; servers: their pattern. Faults are at /name. */
bool name_check(const struct kind_desc *kind, struct bytes name, struct faults *faults);

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

/* The same JSON as it is kept: what can be made again stands as the byte FF, which no UTF-8 text has, and a code.
 *   FF a b           the described fields a to b - 1 (b <= RECORD_FIELDS_MAX) that have a default, with it
 *   FF 80, 81, 82    hex of the entry's id, of its owner, of its revision
 *   FF 83, 32 bytes  their hex
 * What a field's default is belongs to the build: record_schema_id tells apart the forms of two builds. */
#define SHORT_MARK 0xff
enum short_code { SHORT_ENTRY = 0x80, SHORT_OWNER, SHORT_REVISION, SHORT_HEX };
struct short_names {
    uint64_t kind;
    struct id entry, revision;
    struct key owner;
};
void record_short(const struct kind_desc *kind, const struct merged *record,
                  const struct record_meta *meta, struct buf *out);
/* Writes one code other than a run of fields; `bytes` (32) for SHORT_HEX only, else NULL. */
void short_put(struct buf *out, enum short_code code, const uint8_t *bytes);
/* What the codes of this build stand for, made once; afterwards it never changes, so any thread may read it. */
struct short_table;
struct short_table *short_table_new(void);
void short_table_free(struct short_table *t); /* NULL: nothing */
/* Appends the JSON in full. ERR_CORRUPT: an unknown kind, a code that is cut short or names no field. */
SOUK_MUST_USE enum err short_expand(const struct short_table *t, const struct short_names *names, struct bytes text,
                                    struct buf *out);
/* A hash over everything in the tables that JSON depends on. */
void record_schema_id(struct id *out);

/* Writes `{"kind":"model","model":{"name":...}}` with these fields (by increasing name), no defaults, and none that
 * does not fit: a line that `import jsonl` takes back unchanged. Without a newline. */
void record_line(const struct kind_desc *kind, struct bytes name, const struct field *fields, size_t n, struct buf *out);
/* The price of one `unit` ("input_token") in pico-USD: from `pricing`, for input tokens else from
 * price_per_1m_tokens. False: none is given. */
bool record_price(const struct merged *record, const char *unit, uint64_t *pico);

/* msgpack value -> JSON text, and a JSON string literal of UTF-8 bytes (jansson has json_string and json_value). One value
 * has one text: integers exact, floats in the shortest form that reads back the same, bin as base64, members as stored. */
void json_put_value(struct buf *out, struct bytes value);
void json_put_string(struct buf *out, struct bytes utf8);
void json_put_uint(struct buf *out, uint64_t v);
void json_put_float(struct buf *out, double v); /* finite */
/* RFC 3339 with milliseconds, UTC: 24 characters and the NUL. */
void json_time(char out[25], uint64_t hlc_time);

#endif
