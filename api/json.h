/*
 * JSON text of a client -> the fields of a change, checked against the schema table. Owns the arena that the fields
 * point into. Knows jansson and the table; knows no route, no store and no author.
 *
 * A body is the record itself or what a GET answered, `{"model":{...},"meta":{...}}`, of which meta is ignored. Fields
 * set by nodes and the member "foreign" are ignored; `name` is part of the entry's identity and comes out apart. Numbers:
 * integers are exact from -2^63 to 2^63-1, a real that equals an integer is that integer.
 */
#ifndef SOUK_API_JSON_H
#define SOUK_API_JSON_H

#include "crdt/record.h"

struct json_t; /* jansson */
struct json_error_t;

/* What is wrong with a text that does not parse, in words for its author. */
const char *json_fault(const struct json_error_t *e);

enum json_mode {
    JSON_PUT,     /* the whole record; name required; a null member is an absent one          */
    JSON_REPLACE, /* as JSON_PUT for an entry that is named elsewhere: name optional          */
    JSON_PATCH    /* RFC 7396 merge patch: a null member removes the field                    */
};

struct json_fields {
    struct bytes name;          /* NULL: not given */
    size_t count;
    struct field *fields;       /* by increasing name; changed_at 0; nil: remove (patch only) */
    char detail[200];           /* ERR_FORM: line, column and reason                         */
    struct buf arena;           /* what name and fields point into                           */
    size_t capacity;            /* of `fields`                                               */
    struct json_member *scratch; /* the converter's own                                      */
    size_t scratch_count, scratch_capacity;
    bool out_of_range;
};
/* Zero-initialise before the first use; one may be used again and again: each call starts it afresh, keeping memory. */
void json_fields_close(struct json_fields *f);

/* ERR_FORM: not JSON (detail says where), ERR_INVALID: faults says what breaks the schema (a text that is JSON but not an
 * object too), ERR_TOO_LARGE: over API_RECORD_MAX bytes. In JSON_PATCH a nested object is taken as it stands: use
 * json_patch where a present record is to be merged. */
SOUK_MUST_USE enum err json_to_fields(const struct kind_desc *kind, struct bytes body, enum json_mode mode,
                                      struct json_fields *out, struct faults *faults);
/* The same for a document that is parsed already. */
SOUK_MUST_USE enum err json_tree_to_fields(const struct kind_desc *kind, const struct json_t *tree,
                                           enum json_mode mode, struct json_fields *out, struct faults *faults);

/* A merge patch against the present record: nested objects are merged member by member (null removes one), and the
 * resulting value of each top-level field that the patch names is the change. */
SOUK_MUST_USE enum err json_patch(const struct kind_desc *kind, struct bytes body, const struct merged *present,
                                  struct json_fields *out, struct faults *faults);
/* The same, with the present record as the JSON that GET shows (wrapped or bare): its defaults count as present. */
SOUK_MUST_USE enum err json_patch_shown(const struct kind_desc *kind, struct bytes body, struct bytes shown,
                                        struct json_fields *out, struct faults *faults);

/* Any JSON value -> canonical msgpack, appended. False: deeper than RECORD_DEPTH_MAX, or a number out of range. */
bool json_to_msgpack(const struct json_t *value, struct buf *out);

#endif
