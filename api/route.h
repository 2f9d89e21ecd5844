/*
 * The routes: one static table that dispatches requests and from which the OpenAPI document and the table of API.md
 * are made. Turns a path into a shape and its parameters; knows no handler's business.
 */
#ifndef SOUK_API_ROUTE_H
#define SOUK_API_ROUTE_H

#include "api/api.h"

struct exchange;

/* What a path looks like. The kinds share theirs. */
enum shape {
    SHAPE_NONE,      /* no such path                    */
    SHAPE_ENTRY,     /* /models/{id}                    */
    SHAPE_LIST,      /* /models                         */
    SHAPE_SEARCH,    /* /models/search                  */
    SHAPE_REVISIONS, /* /models/{id}/revisions          */
    SHAPE_REVISION,  /* /models/{id}/revisions/{op}     */
    SHAPE_WRITERS,   /* /models/{id}/writers            */
    SHAPE_WRITER,    /* /models/{id}/writers/{key}      */
    SHAPE_INVOKE,    /* /models/{id}/invoke             */
    SHAPE_CHANGES, SHAPE_DELTAS, SHAPE_DELTA, SHAPE_LIVEZ, SHAPE_READYZ, SHAPE_HEALTHZ, SHAPE_METRICS, SHAPE_OPENAPI,
    SHAPE_ROOT,
    SHAPE_RECEIPTS,  /* /receipts                       */
    SHAPE_RECEIPT,   /* /receipts/{id}                  */
    SHAPE_STATUS,    /* /admin/status                   */
    SHAPE_ADMIN,     /* /admin/{verb} of a verb that reads        */
    SHAPE_ADMIN_ACT  /* /admin/{verb} of one that changes something */
};

/* What a request may carry. */
enum route_body { BODY_NONE, BODY_JSON, BODY_MERGE_PATCH, BODY_MSGPACK, BODY_ADMIN, BODY_ANYTHING };

#define ROUTE_MODEL   (1u << 1)
#define ROUTE_AGENT   (1u << 2)
#define ROUTE_SERVER  (1u << 3)
#define ROUTE_NODE    (1u << 4)
#define ROUTE_INVOKED (ROUTE_MODEL | ROUTE_AGENT)
#define ROUTE_WRITTEN (ROUTE_MODEL | ROUTE_AGENT | ROUTE_SERVER) /* kinds that clients write */
#define ROUTE_ENTRIES (ROUTE_WRITTEN | ROUTE_NODE)
#define ROUTE_STATUSES_MAX 16

struct route {
    unsigned method;          /* llhttp_method_t; a GET answers HEAD too             */
    enum shape shape;
    unsigned kinds;           /* ROUTE_* of the kinds that have it, 0: one path only */
    const char *path;         /* the template; {kinds} stands for the plural word    */
    void (*handle)(struct exchange *x);
    enum api_scope scope;     /* SCOPE_READ: only where reading needs a token        */
    enum route_body body;
    size_t body_max;          /* bytes                                               */
    const char *operation;    /* operationId; {kind} and {kinds} are replaced        */
    const char *summary;
    const char *answer;       /* schema of the success answer; NULL: no JSON         */
    const char *media;        /* media type of the success answer, NULL: none        */
    uint16_t statuses[ROUTE_STATUSES_MAX]; /* 0 ends; 400 431 ... of any request are left out */
};

const struct route *route_at(size_t i); /* NULL after the last */

/* The kinds that have paths. */
struct route_kind {
    uint64_t kind;
    const char *singular, *plural;
};
const struct route_kind *route_kind_at(size_t i); /* NULL after the last */

/* A path taken apart. Parameters borrow the path's memory, decoded in place. */
struct route_match {
    enum shape shape;
    const struct route *route;
    const struct route_kind *kind;
    bool has_id;           /* the entry is named by id, else by name        */
    bool bad;              /* percent-encoding or UTF-8 that does not hold  */
    struct id id;
    struct id second;      /* the op or key after it                        */
    struct bytes name;     /* or the admin verb, or a receipt's id          */
};

/* Takes a path apart. `path` is writable memory of the caller. */
void route_parse(uint8_t *path, size_t n, struct route_match *out);
/* The row for a method, NULL if the path has none for it. HEAD finds GET. */
const struct route *route_find(const struct route_match *m, unsigned method);
/* The methods of a path as an Allow value: "GET, HEAD, PUT". Appended. */
void route_allow(const struct route_match *m, struct buf *out);

/* Percent-decoding in place; `plus`: '+' stands for a space (queries). False: a malformed escape. */
bool percent_decode(uint8_t *p, size_t *n, bool plus);
/* Next `key=value` of a query, both still encoded. False at the end. */
bool query_next(struct bytes *rest, struct bytes *key, struct bytes *value);

#endif
