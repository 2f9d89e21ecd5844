/*
 * The table of routes: what exists, who may, what it takes, what it can answer. Dispatch, the OpenAPI document and the
 * table in API.md are made from these rows; the most frequent come first.
 *
 * Statuses that any request can get are not repeated: 400 408 413 414 417 431 501 505 (malformed or over a limit),
 * 404 and 405 (no such path or method), 500 and 503 (the node itself), and 401, 403, 429 wherever a token is asked for.
 */
#include "api/handlers.h"

#define ENTRY     "/{kinds}/{id}"
#define REVISIONS "/{kinds}/{id}/revisions"
#define WRITERS   "/{kinds}/{id}/writers"
#define JSON      "application/json"

static const struct route routes[] = {
    {HTTP_GET, SHAPE_ENTRY, ROUTE_ENTRIES, ENTRY, handle_get, SCOPE_READ, BODY_NONE, 0, "get_{kind}",
     "One {kind}, by id or name", "{Kind}Entry", JSON, {200, 304, 400, 404, 409, 412}},
    {HTTP_GET, SHAPE_LIST, ROUTE_ENTRIES, "/{kinds}", handle_list, SCOPE_READ, BODY_NONE, 0, "list_{kinds}",
     "A page of {kinds} in the order of name and id", "{Kind}Page", JSON, {200, 400}},
    {HTTP_POST, SHAPE_LIST, ROUTE_WRITTEN, "/{kinds}", handle_post, SCOPE_WRITE, BODY_JSON, API_RECORD_MAX,
     "create_{kind}", "Registers a {kind}; a name that this owner already has becomes a new revision", "{Kind}Entry", JSON,
     {201, 200, 400, 412, 413, 415, 422, 507}},
    {HTTP_PUT, SHAPE_ENTRY, ROUTE_WRITTEN, ENTRY, handle_put, SCOPE_WRITE, BODY_JSON, API_RECORD_MAX, "replace_{kind}",
     "Replaces a {kind} as its reader saw it", "{Kind}Entry", JSON, {200, 400, 404, 409, 412, 413, 415, 422, 507}},
    {HTTP_PATCH, SHAPE_ENTRY, ROUTE_WRITTEN, ENTRY, handle_patch, SCOPE_WRITE, BODY_MERGE_PATCH, API_RECORD_MAX,
     "patch_{kind}", "Changes or removes the fields that the merge patch (RFC 7396) names", "{Kind}Entry", JSON,
     {200, 400, 404, 409, 412, 413, 415, 422, 507}},
    {HTTP_DELETE, SHAPE_ENTRY, ROUTE_WRITTEN, ENTRY, handle_delete, SCOPE_WRITE, BODY_NONE, 0, "delete_{kind}",
     "Deletes a {kind}", NULL, NULL, {204, 400, 404, 409, 412, 507}},
    {HTTP_POST, SHAPE_SEARCH, ROUTE_WRITTEN, "/{kinds}/search", handle_search, SCOPE_READ, BODY_JSON, API_RECORD_MAX,
     "search_{kinds}", "The {kinds} in which all words occur, best first", "{Kind}Page", JSON, {200, 400, 415, 422}},
    {HTTP_GET, SHAPE_REVISIONS, ROUTE_ENTRIES, REVISIONS, handle_revisions, SCOPE_READ, BODY_NONE, 0,
     "list_{kind}_revisions", "The history of a {kind}, newest first", "RevisionPage", JSON, {200, 400, 404, 409}},
    {HTTP_GET, SHAPE_REVISION, ROUTE_ENTRIES, REVISIONS "/{op}", handle_revision, SCOPE_READ, BODY_NONE, 0,
     "get_{kind}_revision", "One old body of a {kind}", "Revision", JSON, {200, 404, 409}},
    {HTTP_GET, SHAPE_WRITERS, ROUTE_WRITTEN, WRITERS, handle_writers, SCOPE_READ, BODY_NONE, 0, "list_{kind}_writers",
     "Who may write a {kind} besides its owner", "Writers", JSON, {200, 404, 409}},
    {HTTP_POST, SHAPE_WRITERS, ROUTE_WRITTEN, WRITERS, handle_writer_add, SCOPE_WRITE, BODY_JSON, API_RECORD_MAX,
     "add_{kind}_writer", "Lets an author write a {kind}", "Writers", JSON, {200, 204, 400, 404, 409, 415, 422, 507}},
    {HTTP_PUT, SHAPE_WRITER, ROUTE_WRITTEN, WRITERS "/{key}", handle_writer_put, SCOPE_WRITE, BODY_NONE, 0,
     "put_{kind}_writer", "Lets an author write a {kind}, unless it may already", "Writers", JSON, {200, 404, 409, 507}},
    {HTTP_DELETE, SHAPE_WRITER, ROUTE_WRITTEN, WRITERS "/{key}", handle_writer_remove, SCOPE_WRITE, BODY_NONE, 0,
     "remove_{kind}_writer", "Takes the right to write a {kind} back, and what of that author's is visible", NULL, NULL,
     {204, 404, 409, 507}},
    {HTTP_POST, SHAPE_INVOKE, ROUTE_INVOKED, ENTRY "/invoke", handle_invoke, SCOPE_INVOKE, BODY_ANYTHING,
     API_INVOKE_INPUT_MAX, "invoke_{kind}",
     "Runs what is deployed for a {kind}, here or on a node that shares it; with Accept: text/event-stream its output as it "
     "comes, with application/octet-stream its bytes alone",
     "Invoked", JSON, {200, 400, 404, 409, 413, 422, 502, 504}},
    {HTTP_GET, SHAPE_CHANGES, 0, "/changes", handle_changes, SCOPE_READ, BODY_NONE, 0, "list_changes",
     "What changed since a cursor; with Accept: text/event-stream a stream that resumes by Last-Event-ID", "ChangePage",
     JSON, {200, 400}},
    {HTTP_POST, SHAPE_DELTAS, 0, "/deltas", handle_delta_put, SCOPE_WRITE, BODY_MSGPACK, BUNDLE_MAX, "hand_in_delta",
     "Hands in a delta that was signed elsewhere", "DeltaVerdict", JSON, {201, 200, 400, 413, 415, 422, 507}},
    {HTTP_GET, SHAPE_DELTA, 0, "/deltas/{id}", handle_delta_get, SCOPE_READ, BODY_NONE, 0, "get_delta",
     "A delta with its signature and bodies, as it was signed", NULL, "application/msgpack", {200, 404}},
    {HTTP_GET, SHAPE_RECEIPTS, 0, "/receipts", handle_receipts, SCOPE_READ, BODY_NONE, 0, "list_receipts",
     "Receipts of invokes that this node issued or received, newest first", "ReceiptPage", JSON, {200, 400}},
    {HTTP_GET, SHAPE_RECEIPT, 0, "/receipts/{id}", handle_receipt, SCOPE_READ, BODY_NONE, 0, "get_receipt",
     "One receipt, as it was signed: a Verifiable Credential", "Receipt", JSON, {200, 404}},
    {HTTP_GET, SHAPE_LIVEZ, 0, "/livez", handle_live, SCOPE_NONE, BODY_NONE, 0, "get_liveness",
     "Does the process turn?", NULL, "text/plain", {200}},
    {HTTP_GET, SHAPE_READYZ, 0, "/readyz", handle_ready, SCOPE_NONE, BODY_NONE, 0, "get_readiness",
     "May traffic be sent here? ?verbose names each check", NULL, "text/plain", {200, 503}},
    {HTTP_GET, SHAPE_HEALTHZ, 0, "/healthz", handle_live, SCOPE_NONE, BODY_NONE, 0, "get_health", "The same as /livez",
     NULL, "text/plain", {200}},
    {HTTP_GET, SHAPE_METRICS, 0, "/metrics", handle_metrics, SCOPE_READ, BODY_NONE, 0, "get_metrics",
     "Counters for Prometheus", NULL, "text/plain", {200}},
    {HTTP_GET, SHAPE_OPENAPI, 0, "/openapi.json", handle_openapi, SCOPE_NONE, BODY_NONE, 0, "get_openapi",
     "This document", "Anything", JSON, {200}},
    {HTTP_GET, SHAPE_ROOT, 0, "/", handle_root, SCOPE_READ, BODY_NONE, 0, "get_dashboard", "The node at a glance", NULL,
     "text/html", {200}},
    {HTTP_GET, SHAPE_STATUS, 0, "/admin/status", handle_status, SCOPE_ADMIN, BODY_NONE, 0, "get_status",
     "What `souk status` shows", "Anything", JSON, {200}},
    {HTTP_GET, SHAPE_ADMIN, 0, "/admin/{verb}", handle_admin, SCOPE_ADMIN, BODY_NONE, 0, "read_admin",
     "A verb that reads: peers, copy, conflicts, doctor, charter, members, tokens, keys, deploys, blobs, log, config", "Anything", JSON,
     {200, 204, 404}},
    {HTTP_POST, SHAPE_ADMIN, 0, "/admin/{verb}", handle_admin, SCOPE_ADMIN, BODY_ADMIN, API_ADMIN_BODY_MAX,
     "ask_admin", "A verb with a body: verify, log", "Anything", JSON, {200, 204, 404, 409, 413, 422}},
    {HTTP_POST, SHAPE_ADMIN_ACT, 0, "/admin/{verb}", handle_admin, SCOPE_ADMIN, BODY_ADMIN, API_ADMIN_BODY_MAX,
     "do_admin",
     "A verb that changes something: peer-add, peer-rm, peer-ban, peer-unban, charter-set, mesh-invite, member-admit, member-remove, "
     "token-new, token-rm, key-new, key-export, key-import, key-retire, key-will, key-succeed, deploy-add, deploy-rm, blob-pull, "
     "import, sync, shutdown",
     "Anything", JSON, {200, 204, 404, 409, 413, 422}},
};

const struct route *route_at(size_t i)
{
    return i < sizeof routes / sizeof *routes ? &routes[i] : NULL;
}
