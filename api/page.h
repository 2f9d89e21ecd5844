/*
 * The page at `/`: one HTML document made from the node's status JSON. No scripts, nothing from elsewhere, everything a
 * peer or an operator named is escaped. Knows the names of the status members and nothing of how they come about.
 */
#ifndef SOUK_API_PAGE_H
#define SOUK_API_PAGE_H

#include "crdt/bytes.h"

/* Appends the page. `status` is the status JSON (`souk status -o json`); a member that is missing is shown as "-". */
void page_dashboard(struct buf *out, struct bytes status);
/* Appends text with & < > " ' as entities; what is not UTF-8 becomes "?". */
void page_escape(struct buf *out, struct bytes text);

#endif
