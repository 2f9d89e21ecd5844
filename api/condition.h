/*
 * Conditional requests (RFC 9110, section 13): entity tags, lists of them, `*`. A tag of ours is 64 hex digits, the
 * revision; others are well-formed and match nothing.
 */
#ifndef SOUK_API_CONDITION_H
#define SOUK_API_CONDITION_H

#include "api/http.h"
#include "crdt/id.h"

enum condition {
    CONDITION_NONE, /* the header is absent          */
    CONDITION_ANY,  /* *                             */
    CONDITION_LIST, /* one tag or more               */
    CONDITION_BAD   /* not a list of entity tags     */
};
enum compare { COMPARE_STRONG, COMPARE_WEAK };

enum condition condition_read(const struct http_head *head, enum http_name name);
/* Is `revision` in the list? */
bool condition_lists(const struct http_head *head, enum http_name name, const struct id *revision, enum compare how);
/* True iff the list is exactly one strong tag of ours. */
bool condition_single(const struct http_head *head, enum http_name name, struct id *out);

#endif
