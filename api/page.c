/*
 * A page that says what is so and links to where more is said.
 */
#include "api/page.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

void page_escape(struct buf *out, struct bytes text)
{
    if (!utf8_valid(text)) {
        buf_put_str(out, "?");
        return;
    }
    for (size_t i = 0; i < text.n; i++) {
        switch (text.p[i]) {
        case '&':
            buf_put_str(out, "&amp;");
            break;
        case '<':
            buf_put_str(out, "&lt;");
            break;
        case '>':
            buf_put_str(out, "&gt;");
            break;
        case '"':
            buf_put_str(out, "&quot;");
            break;
        case '\'':
            buf_put_str(out, "&#39;");
            break;
        default:
            buf_put_u8(out, text.p[i]);
            break;
        }
    }
}

static void put_value(struct buf *out, const json_t *v)
{
    if (json_is_string(v))
        page_escape(out, bytes_of(json_string_value(v), json_string_length(v)));
    else if (json_is_integer(v))
        buf_printf(out, "%lld", (long long)json_integer_value(v));
    else if (json_is_boolean(v))
        buf_put_str(out, json_is_true(v) ? "yes" : "no");
    else
        buf_put_str(out, "-");
}

static void put_row(struct buf *out, const char *title, const json_t *value)
{
    buf_printf(out, "<tr><th scope=\"row\">%s</th><td>", title);
    put_value(out, value);
    buf_put_str(out, "</td></tr>\n");
}

static void put_head(struct buf *out, const json_t *status)
{
    buf_put_str(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width\">\n<title>souk: ");
    put_value(out, json_object_get(status, "name"));
    buf_put_str(out, "</title>\n<style>\n"
                     "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
                     "color:#1b1b1b;background:#fff}\n"
                     "table{border-collapse:collapse;margin:0 0 1.5rem}\n"
                     "th,td{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}\n"
                     "th{white-space:nowrap}td{overflow-wrap:anywhere}\n"
                     ".peers{overflow-x:auto}.peers td{white-space:nowrap}"
                     ".peers td:first-child{white-space:normal;min-width:11rem}\n"
                     "th{font-weight:600}\ncode,td{font-variant-numeric:tabular-nums}\n"
                     "@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}a{color:#8ab4f8}}\n"
                     "</style>\n</head>\n<body>\n<h1>");
    put_value(out, json_object_get(status, "name"));
    buf_put_str(out, "</h1>\n<p>A node of a registry of AI models and agents that has no centre. It is ");
    buf_put_str(out, json_is_true(json_object_get(status, "ready")) ? "ready" : "not ready: <a href=\"/readyz?verbose\">why</a>");
    buf_put_str(out, ".</p>\n");
}

static void put_catalogue(struct buf *out, const json_t *status)
{
    static const struct {
        const char *kind, *title, *path;
    } rows[] = {{"model", "Models", "/models"},
                {"agent", "Agents", "/agents"},
                {"server", "Servers", "/servers"},
                {"node", "Nodes", "/nodes"}};
    const json_t *entries = json_object_get(status, "entries");
    buf_put_str(out, "<h2>Catalogue</h2>\n<table>\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_printf(out, "<tr><th scope=\"row\"><a href=\"%s\">%s</a></th><td>", rows[i].path, rows[i].title);
        put_value(out, json_object_get(entries, rows[i].kind));
        buf_put_str(out, "</td></tr>\n");
    }
    put_row(out, "Deltas", json_object_get(status, "deltas"));
    put_row(out, "Operations", json_object_get(status, "ops"));
    put_row(out, "Conflicts", json_object_get(status, "conflicts"));
    put_row(out, "Deferred", json_object_get(status, "deferred"));
    put_row(out, "Rejected", json_object_get(status, "rejected"));
    put_row(out, "Bytes on disk", json_object_get(status, "store_bytes"));
    buf_put_str(out, "</table>\n");
}

static void put_identity(struct buf *out, const json_t *status)
{
    buf_put_str(out, "<h2>Node</h2>\n<table>\n");
    put_row(out, "Id", json_object_get(status, "id"));
    put_row(out, "Mesh", json_object_get(status, "mesh_id"));
    put_row(out, "Version", json_object_get(status, "version"));
    put_row(out, "Up for (s)", json_object_get(status, "uptime_s"));
    put_row(out, "Digest", json_object_get(status, "digest"));
    put_row(out, "State hash", json_object_get(status, "state_hash"));
    buf_put_str(out, "</table>\n");
}

static void put_peers(struct buf *out, const json_t *status)
{
    static const char *const members[] = {"id", "address", "state", "lag_ms", "sent_bytes", "received_bytes"};
    const json_t *peers = json_object_get(status, "peers");
    buf_put_str(out, "<h2>Peers</h2>\n");
    if (json_array_size(peers) == 0) {
        buf_put_str(out, "<p>None yet. <code>souk peer add HOST:PORT</code> names one.</p>\n");
        return;
    }
    buf_put_str(out, "<div class=\"peers\"><table>\n<tr><th scope=\"col\">Id</th><th scope=\"col\">Address</th><th scope=\"col\">State</th>"
                     "<th scope=\"col\">Lag (ms)</th><th scope=\"col\">Bytes sent</th><th scope=\"col\">Bytes received</th></tr>\n");
    for (size_t i = 0; i < json_array_size(peers); i++) {
        buf_put_str(out, "<tr>");
        for (size_t j = 0; j < sizeof members / sizeof *members; j++) {
            buf_put_str(out, "<td>");
            put_value(out, json_object_get(json_array_get(peers, i), members[j]));
            buf_put_str(out, "</td>");
        }
        buf_put_str(out, "</tr>\n");
    }
    buf_put_str(out, "</table></div>\n");
}

void page_dashboard(struct buf *out, struct bytes status)
{
    assert(status.p != NULL || status.n == 0);
    json_t *tree = json_loadb((const char *)status.p, status.n, 0, NULL);
    put_head(out, tree);
    put_catalogue(out, tree);
    put_identity(out, tree);
    put_peers(out, tree);
    buf_put_str(out, "<h2>For programs</h2>\n<p><a href=\"/openapi.json\">OpenAPI</a> &middot; "
                     "<a href=\"/changes\">Changes</a> &middot; <a href=\"/metrics\">Metrics</a> &middot; "
                     "<a href=\"/readyz?verbose\">Readiness</a></p>\n</body>\n</html>\n");
    json_decref(tree);
}
