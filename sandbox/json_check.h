/*
 * Strict JSON without a tree: what the output of a program and the lines of a worker are held against. Same rules as
 * sandbox_json_check in sandbox.h.
 */
#ifndef SOUK_SANDBOX_JSON_CHECK_H
#define SOUK_SANDBOX_JSON_CHECK_H

#include "crdt/bytes.h"
#include "crdt/err.h"

#define SANDBOX_JSON_FIND_MAX 4

/* A member of the outermost object that is looked for; `value` is its raw text, {NULL, 0} where it is missing. */
struct sandbox_json_member {
    const char *name;
    struct bytes value; /* a view into the text */
};

/* Checks the text and finds members of its outermost object (at most SANDBOX_JSON_FIND_MAX). ERR_FORM: not strict JSON,
 * or not an object; `why` says so. */
SOUK_MUST_USE enum err sandbox_json_find(struct bytes text, struct sandbox_json_member *members, size_t count,
                                         struct buf *why);

/* The UTF-8 of a string literal that passed the check; false if the literal is of another type. */
bool sandbox_json_string(struct bytes literal, struct buf *out);
/* A literal that is an integer 0 to 2^53; false otherwise. */
bool sandbox_json_uint(struct bytes literal, uint64_t *out);

#endif
