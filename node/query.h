/*
 * Lists and searches over the catalogue: one pass over the shown entries of a kind in (name, id) order, so that a
 * cursor neither skips nor repeats while peers merge. Reads the store only; may run on any thread.
 */
#ifndef SOUK_NODE_QUERY_H
#define SOUK_NODE_QUERY_H

#include "api/api.h"
#include "node/cursor.h"
#include "store/store.h"

struct query_env {
    const struct store *store;
    struct key node;            /* served_by */
    struct cursor_key cursors;
};

/* Appends `{"models":[{...}],"total":n,"next_cursor":"..."|null}` (member named after the kind). With q->scored every
 * row gains "score", names that hold all words come first, and q->text is asked of name and description.
 * ERR_FORM, ERR_MESH: the cursor (see api.h). Errors of the store. */
SOUK_MUST_USE enum err query_run(const struct query_env *env, const struct api_query *q, struct buf *out);

/* Appends one whole entry, `{"model":...,"served_by":...}}`. */
SOUK_MUST_USE enum err query_entry(const struct query_env *env, uint64_t kind, const struct id *id,
                                   struct entry_info *info, struct buf *out);

/* Ids of entries that a user may mean by `name`: the exact name first (followed to where its owner says it moved), else `owner-prefix/name` (a prefix of at least
 * NAME_PREFIX_MIN hex digits). See MODEL 1. None is no error. */
#define NAME_PREFIX_MIN 4
#define NAME_MATCHES_MAX 16
SOUK_MUST_USE enum err query_name(const struct store *s, uint64_t kind, struct bytes name, struct store_named *out);

#endif
