/*
 * What the routes do. A handler ends in an answer, at once or in a step that follows a call to the node.
 */
#ifndef SOUK_API_HANDLERS_H
#define SOUK_API_HANDLERS_H

#include "api/engine.h"

/* request.c: finds the route and decides what can be decided before the body: x->refusal. */
void handle_head(struct exchange *x);
bool accepts(const struct exchange *x, const char *media); /* named in Accept, not by a wildcard */
/* The entry of the path by id; a name is looked up first. Answers 404 and 409 itself. */
void with_entry(struct exchange *x, exchange_step *then);
/* 200 with the call's `out`. */
void answer_out(struct exchange *x, const char *type);

/* query.c: fills x->query, x->call.cursor, x->call.limit from the query string. False: answered 400. */
bool read_page(struct exchange *x);

/* entry.c */
void handle_get(struct exchange *x);
void handle_revisions(struct exchange *x);
void handle_revision(struct exchange *x);
void handle_writers(struct exchange *x);
void handle_writer_add(struct exchange *x);
void handle_writer_put(struct exchange *x);
void handle_writer_remove(struct exchange *x);
void handle_list(struct exchange *x);
/* write.c */
void handle_post(struct exchange *x);
void handle_put(struct exchange *x);
void handle_patch(struct exchange *x);
void handle_delete(struct exchange *x);
/* search.c */
void handle_search(struct exchange *x);
/* invoke.c */
void handle_invoke(struct exchange *x);
/* changes.c */
void handle_changes(struct exchange *x);
/* ops.c */
void handle_delta_put(struct exchange *x);
void handle_delta_get(struct exchange *x);
void handle_receipts(struct exchange *x);
void handle_receipt(struct exchange *x);
void handle_live(struct exchange *x);
void handle_ready(struct exchange *x);
void handle_metrics(struct exchange *x);
void handle_openapi(struct exchange *x);
void handle_root(struct exchange *x);
void handle_status(struct exchange *x);
void handle_admin(struct exchange *x);

#endif
