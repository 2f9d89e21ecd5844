/*
 * The OpenAPI 3.1 document, made from the route table and the schema tables: nothing about a route or a field is said
 * here that is not said there. Admin routes are left out, since no TCP client can reach them.
 */
#include "api/answer.h"
#include "api/route.h"

#include <assert.h>
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Separates the members of an object or list: a comma before all but the first. */
struct seq {
    bool more;
};

static void next(struct buf *out, struct seq *s)
{
    assert(out->n > 0 && (s->more || out->p[out->n - 1] != ','));
    if (s->more)
        buf_put_u8(out, ',');
    s->more = true;
}

static void quote(struct buf *out, const char *text)
{
    json_put_string(out, bytes_str(text));
}

static void member(struct buf *out, struct seq *s, const char *name)
{
    assert(name[0] != 0);
    next(out, s);
    quote(out, name);
    buf_put_u8(out, ':');
}

/* A text of the tables with {kind}, {Kind} and {kinds} replaced; "a {kind}" becomes "an agent". */
static void expand(struct buf *out, const char *text, const struct route_kind *kind)
{
    static const char *const marks[] = {"{kinds}", "{kind}", "{Kind}", "a {kind}"};
    while (*text != 0) {
        size_t i = 0;
        while (i < 4 && (kind == NULL || strncmp(text, marks[i], strlen(marks[i])) != 0))
            i++;
        if (i == 4) {
            buf_put_u8(out, (uint8_t)*text++);
            continue;
        }
        if (i == 3)
            buf_put_str(out, strchr("aeiou", kind->singular[0]) != NULL ? "an " : "a ");
        size_t at = out->n;
        buf_put_str(out, i == 0 ? kind->plural : kind->singular);
        if (i == 2)
            out->p[at] = (uint8_t)toupper(out->p[at]);
        text += strlen(marks[i]);
    }
}

static void quote_expanded(struct buf *out, const char *text, const struct route_kind *kind)
{
    struct buf b = {0};
    expand(&b, text, kind);
    json_put_string(out, buf_view(&b));
    buf_close(&b);
}

/* ---- schemas ---- */

static void put_object(struct buf *out, const struct field_desc *fields);

static void put_bounds(struct buf *out, const struct field_desc *d, const char *least, const char *most)
{
    assert(d->max == 0 || d->min <= d->max);
    if (d->min > 0)
        buf_printf(out, ",\"%s\":%llu", least, (unsigned long long)d->min);
    if (d->max > 0)
        buf_printf(out, ",\"%s\":%llu", most, (unsigned long long)d->max);
}

static void put_type(struct buf *out, const struct field_desc *d, const char *type)
{
    if ((d->flags & FIELD_NULLABLE) != 0)
        buf_printf(out, "\"type\":[\"%s\",\"null\"]", type);
    else
        buf_printf(out, "\"type\":\"%s\"", type);
}

static void put_values(struct buf *out, const struct field_desc *d)
{
    struct seq s = {false};
    assert(d->values != NULL);
    buf_put_str(out, "\"type\":\"string\",\"enum\":[");
    for (size_t i = 0; d->values[i] != NULL; i++) {
        next(out, &s);
        quote(out, d->values[i]);
    }
    buf_put_str(out, "]");
}

/* One of the values, or {"Other": "..."} where the list is open. */
static void put_enum(struct buf *out, const struct field_desc *d, bool nullable)
{
    if (d->open_value == NULL && !nullable) {
        put_values(out, d);
        return;
    }
    buf_put_str(out, "\"anyOf\":[{");
    put_values(out, d);
    buf_put_str(out, "}");
    if (d->open_value != NULL)
        buf_printf(out,
                   ",{\"type\":\"object\",\"properties\":{\"%s\":{\"type\":\"string\"}},\"required\":[\"%s\"],"
                   "\"additionalProperties\":false}",
                   d->open_value, d->open_value);
    buf_put_str(out, nullable ? ",{\"type\":\"null\"}]" : "]");
}

static void put_items(struct buf *out, const struct field_desc *d)
{
    buf_put_str(out, ",\"items\":");
    if (d->item_max > 0)
        buf_printf(out, "{\"type\":\"string\",\"maxLength\":%llu}", (unsigned long long)d->item_max);
    else
        buf_put_str(out, "{\"type\":\"string\"}");
}

static void put_list(struct buf *out, const struct field_desc *d)
{
    put_type(out, d, "array");
    put_bounds(out, d, "minItems", "maxItems");
    assert(d->type != FIELD_OBJECT_LIST || d->fields != NULL);
    if (d->type == FIELD_STRING_LIST) {
        put_items(out, d);
        return;
    }
    buf_put_str(out, ",\"items\":{");
    if (d->type == FIELD_ENUM_LIST)
        put_enum(out, d, false);
    else
        put_object(out, d->fields);
    buf_put_str(out, "}");
}

static void put_map(struct buf *out, const struct field_desc *d)
{
    assert(d->type == FIELD_STRING_MAP || (d->type == FIELD_OBJECT_MAP && d->fields != NULL));
    put_type(out, d, "object");
    put_bounds(out, d, "minProperties", "maxProperties");
    buf_put_str(out, ",\"additionalProperties\":{");
    if (d->type == FIELD_OBJECT_MAP)
        put_object(out, d->fields);
    else
        buf_put_str(out, "\"type\":\"string\"");
    buf_put_str(out, "}");
}

static void put_string(struct buf *out, const struct field_desc *d, const char *more)
{
    put_type(out, d, "string");
    if (d->type != FIELD_DECIMAL)
        put_bounds(out, d, "minLength", "maxLength");
    buf_put_str(out, more);
}

static void put_shape(struct buf *out, const struct field_desc *d)
{
    switch (d->type) {
    case FIELD_STRING:
        put_string(out, d, "");
        break;
    case FIELD_URL:
        put_string(out, d, (d->flags & FIELD_HTTPS) != 0 ? ",\"pattern\":\"^https://\"" : ",\"pattern\":\"^https?://\"");
        break;
    case FIELD_BASE64:
        put_string(out, d, ",\"contentEncoding\":\"base64\"");
        break;
    case FIELD_SHA256:
        put_string(out, d, ",\"pattern\":\"^[0-9a-f]{64}$\"");
        break;
    case FIELD_DECIMAL:
        put_string(out, d, ",\"pattern\":\"^[0-9]+([.][0-9]+)?$\"");
        break;
    case FIELD_UINT:
    case FIELD_INT:
        put_type(out, d, "integer");
        if (d->type == FIELD_UINT)
            put_bounds(out, d, "minimum", "maximum");
        break;
    case FIELD_BOOL:
        put_type(out, d, "boolean");
        break;
    case FIELD_ENUM:
        put_enum(out, d, (d->flags & FIELD_NULLABLE) != 0);
        break;
    case FIELD_ENUM_LIST:
    case FIELD_STRING_LIST:
    case FIELD_OBJECT_LIST:
        put_list(out, d);
        break;
    case FIELD_STRING_MAP:
    case FIELD_OBJECT_MAP:
        put_map(out, d);
        break;
    case FIELD_OBJECT:
        put_object(out, d->fields);
        break;
    case FIELD_JSON:
        buf_put_str(out, "\"$comment\":\"any value\"");
        break;
    }
}

static void put_field(struct buf *out, const struct field_desc *d)
{
    assert(d->name != NULL && d->about != NULL);
    buf_put_str(out, "{");
    put_shape(out, d);
    if (d->about[0] != 0) {
        buf_put_str(out, ",\"description\":");
        quote(out, d->about);
    }
    if (d->fallback != NULL && d->type != FIELD_OBJECT)
        buf_printf(out, ",\"default\":%s", d->fallback);
    if ((d->flags & FIELD_BY_NODE) != 0)
        buf_put_str(out, ",\"readOnly\":true");
    buf_put_str(out, "}");
}

static void put_object(struct buf *out, const struct field_desc *fields)
{
    struct seq s = {false}, r = {false};
    assert(fields != NULL);
    buf_put_str(out, "\"type\":\"object\",\"properties\":{");
    for (const struct field_desc *d = fields; d->name != NULL; d++) {
        member(out, &s, d->name);
        put_field(out, d);
    }
    buf_put_str(out, "}");
    for (const struct field_desc *d = fields; d->name != NULL; d++) {
        if ((d->flags & FIELD_REQUIRED) == 0)
            continue;
        buf_put_str(out, r.more ? "," : ",\"required\":[");
        quote(out, d->name);
        r.more = true;
    }
    if (r.more)
        buf_put_str(out, "]");
}

static void put_kind(struct buf *out, struct seq *s, const struct route_kind *k)
{
    const struct kind_desc *kind = kind_by_number(k->kind);
    assert(kind != NULL);
    next(out, s);
    quote_expanded(out, "{Kind}", k);
    buf_put_str(out, ":{");
    put_object(out, kind->fields);
    buf_put_str(out, "},");
    quote_expanded(out, "{Kind}Entry", k);
    buf_put_str(out, ":{\"type\":\"object\",\"properties\":{");
    quote(out, k->singular);
    buf_put_str(out, ":{\"$ref\":");
    quote_expanded(out, "#/components/schemas/{Kind}", k);
    buf_put_str(out, "},\"meta\":{\"$ref\":\"#/components/schemas/Meta\"},\"score\":{\"type\":\"number\","
                     "\"description\":\"How well a search matched.\"}},\"required\":[");
    quote(out, k->singular);
    buf_put_str(out, ",\"meta\"]},");
    quote_expanded(out, "{Kind}Page", k);
    buf_put_str(out, ":{\"type\":\"object\",\"properties\":{");
    quote(out, k->plural);
    buf_put_str(out, ":{\"type\":\"array\",\"items\":{\"$ref\":");
    quote_expanded(out, "#/components/schemas/{Kind}Entry", k);
    buf_put_str(out, "}},\"total\":{\"type\":\"integer\"},\"next_cursor\":{\"type\":[\"string\",\"null\"]}},\"required\":[");
    quote(out, k->plural);
    buf_put_str(out, ",\"total\",\"next_cursor\"]}");
}

#define HEX64 "{\"type\":\"string\",\"pattern\":\"^[0-9a-f]{64}$\"}"
#define TEXT  "{\"type\":\"string\"}"
#define COUNT "{\"type\":\"integer\",\"minimum\":0}"

/* Shapes that no record table describes. */
static const struct {
    const char *name, *schema;
} shapes[] = {
    {"Meta",
     "{\"type\":\"object\",\"properties\":{\"id\":" HEX64 ",\"kind\":" TEXT ",\"owner\":" HEX64 ",\"name\":" TEXT
     ",\"revision\":{\"type\":[\"string\",\"null\"]},\"created_at\":" TEXT ",\"updated_at\":" TEXT ",\"author\":" TEXT
     ",\"delta\":" TEXT ",\"heads\":" COUNT ",\"conflicts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
     "\"incomplete\":{\"type\":\"boolean\",\"description\":\"A body has not arrived here yet: no ETag.\"},"
     "\"moved_to\":{\"type\":\"string\",\"description\":\"Id of the entry that takes the place of this one; only where its owner "
     "said so.\"},"
     "\"served_by\":" TEXT "},\"required\":[\"id\",\"kind\",\"owner\",\"name\",\"incomplete\"]}"},
    {"RevisionPage", "{\"type\":\"object\",\"properties\":{\"revisions\":{\"type\":\"array\",\"items\":"
                     "{\"$ref\":\"#/components/schemas/Revision\"}},\"next_cursor\":{\"type\":[\"string\",\"null\"]}}}"},
    {"Revision", "{\"type\":\"object\",\"description\":\"One op of an entry's history.\"}"},
    {"Writers", "{\"type\":\"object\",\"properties\":{\"writers\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
                "\"properties\":{\"key\":" HEX64 ",\"epoch\":" COUNT "}}}}}"},
    {"Writer", "{\"type\":\"object\",\"properties\":{\"key\":" HEX64 "},\"required\":[\"key\"]}"},
    {"ChangePage", "{\"type\":\"object\",\"properties\":{\"changes\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
                   "\"properties\":{\"cursor\":" TEXT ",\"kind\":" TEXT ",\"id\":" HEX64 ",\"revision\":"
                   "{\"type\":[\"string\",\"null\"]},\"verb\":" TEXT "}}},\"next_cursor\":{\"type\":[\"string\",\"null\"]}}}"},
    {"DeltaVerdict", "{\"type\":\"object\",\"properties\":{\"id\":" HEX64 ",\"verdict\":" TEXT "}}"},
    {"Invoked", "{\"type\":\"object\",\"properties\":{\"output\":{\"description\":\"JSON; text and bytes are a string.\"},"
                "\"encoding\":{\"type\":\"string\",\"description\":\"base64 where the output is bytes.\"},\"receipt\":"
                "{\"$ref\":\"#/components/schemas/Receipt\"}},\"required\":[\"output\",\"receipt\"]}"},
    {"Receipt", "{\"type\":\"object\",\"description\":\"A W3C Verifiable Credential 2.0 of the type WorkReceipt with an "
                "eddsa-jcs-2022 proof by the serving node: see API.md.\"}"},
    {"ReceiptPage", "{\"type\":\"object\",\"properties\":{\"receipts\":{\"type\":\"array\",\"items\":"
                    "{\"$ref\":\"#/components/schemas/Receipt\"}},\"next_cursor\":{\"type\":[\"string\",\"null\"]}}}"},
    {"Anything", "{\"type\":\"object\"}"},
    {"Search", "{\"type\":\"object\",\"properties\":{\"query\":" TEXT ",\"owner\":" TEXT ",\"model_type\":" TEXT
               ",\"framework\":" TEXT ",\"license\":" TEXT ",\"tags\":{\"type\":\"array\",\"maxItems\":16,\"items\":" TEXT
               "},\"capabilities\":{\"type\":\"array\",\"maxItems\":16,\"items\":" TEXT "},\"max_price\":{\"type\":\"string\","
               "\"description\":\"USD per 1M input tokens, a decimal string.\"},\"min_context\":" COUNT
               ",\"limit\":{\"type\":\"integer\",\"minimum\":1},\"cursor\":" TEXT "}}"},
    {"Problem", "{\"type\":\"object\",\"description\":\"RFC 9457.\",\"properties\":{\"type\":" TEXT ",\"title\":" TEXT
                ",\"status\":{\"type\":\"integer\"},\"detail\":" TEXT ",\"code\":" TEXT ",\"request_id\":" TEXT
                ",\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"pointer\":" TEXT
                ",\"detail\":" TEXT "},\"required\":[\"pointer\",\"detail\"]}}},"
                "\"required\":[\"type\",\"title\",\"status\",\"detail\",\"code\",\"request_id\"]}"},
};

static void put_components(struct buf *out)
{
    struct seq s = {false};
    buf_put_str(out, ",\"components\":{\"securitySchemes\":{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"}},"
                     "\"responses\":{\"Problem\":{\"description\":\"A problem document (RFC 9457).\",\"content\":"
                     "{\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}}},"
                     "\"schemas\":{");
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        member(out, &s, shapes[i].name);
        buf_put_str(out, shapes[i].schema);
    }
    const struct route_kind *k;
    for (size_t i = 0; (k = route_kind_at(i)) != NULL; i++)
        put_kind(out, &s, k);
    buf_put_str(out, "}}");
}

/* ---- operations ---- */

static void put_parameter(struct buf *out, struct seq *s, const char *where, const char *name, const char *about)
{
    next(out, s);
    bool path = strcmp(where, "path") == 0;
    assert(path || strcmp(where, "query") == 0 || strcmp(where, "header") == 0);
    buf_printf(out, "{\"name\":\"%s\",\"in\":\"%s\",\"required\":%s,\"description\":\"%s\",\"schema\":%s}", name, where,
               path ? "true" : "false", about,
               strcmp(name, "limit") == 0 ? "{\"type\":\"integer\",\"minimum\":1,\"default\":30}" : TEXT);
}

static bool takes(const struct route *r, const char *part)
{
    return strstr(r->path, part) != NULL;
}

static void put_path_parameters(struct buf *out, struct seq *s, const struct route *r)
{
    if (takes(r, "{id}"))
        put_parameter(out, s, "path", "id",
                      r->kinds != 0 ? "The id (64 hex digits), or the name with its slashes percent-encoded." : "The delta's id.");
    if (takes(r, "{op}"))
        put_parameter(out, s, "path", "op", "The id of the op, 64 hex digits.");
    if (takes(r, "{key}"))
        put_parameter(out, s, "path", "key", "The writer's key, 64 hex digits.");
}

static void put_parameters(struct buf *out, const struct route *r)
{
    static const char *const filters[] = {"q", "owner", "tag", "model_type", "framework", "license", "capability"};
    struct seq s = {false};
    bool list = r->method == HTTP_GET && r->shape == SHAPE_LIST;
    buf_put_str(out, ",\"parameters\":[");
    put_path_parameters(out, &s, r);
    if (list || r->shape == SHAPE_REVISIONS) {
        put_parameter(out, &s, "query", "limit", "Rows of a page.");
        put_parameter(out, &s, "query", "cursor", "next_cursor of the page before.");
    }
    for (size_t i = 0; list && i < sizeof filters / sizeof *filters; i++)
        put_parameter(out, &s, "query", filters[i], "Only entries that match.");
    if (r->shape == SHAPE_CHANGES) {
        put_parameter(out, &s, "query", "limit", "Rows of a page.");
        put_parameter(out, &s, "query", "since", "A cursor, or now; without it from the oldest change.");
        put_parameter(out, &s, "header", "Last-Event-ID", "Where an event stream goes on.");
    }
    if (r->shape == SHAPE_READYZ)
        put_parameter(out, &s, "query", "verbose", "Names each check.");
    if (r->shape == SHAPE_ENTRY || (r->method == HTTP_POST && r->shape == SHAPE_LIST)) {
        put_parameter(out, &s, "header", "If-Match", "Only if the entry is at one of these revisions.");
        put_parameter(out, &s, "header", "If-None-Match", "Only if it is at none of these; * = only if it does not exist.");
    }
    buf_put_str(out, "]");
}

static void put_body(struct buf *out, const struct route *r, const struct route_kind *k)
{
    const char *media = "application/json", *schema = "{Kind}";
    if (r->body == BODY_NONE)
        return;
    if (r->body == BODY_MSGPACK) {
        buf_put_str(out, ",\"requestBody\":{\"required\":true,\"content\":{\"application/msgpack\":{}}}");
        return;
    }
    if (r->body == BODY_ANYTHING) {
        buf_put_str(out, ",\"requestBody\":{\"content\":{\"application/json\":{},\"text/plain\":{},"
                         "\"application/octet-stream\":{}}}");
        return;
    }
    if (r->body == BODY_MERGE_PATCH)
        media = "application/merge-patch+json";
    if (r->shape == SHAPE_SEARCH)
        schema = "Search";
    else if (r->shape == SHAPE_WRITERS)
        schema = "Writer";
    else if (r->body == BODY_MERGE_PATCH)
        schema = "Anything";
    buf_printf(out, ",\"requestBody\":{\"required\":true,\"content\":{\"%s\":{\"schema\":{\"$ref\":", media);
    struct buf ref = {0};
    buf_printf(&ref, "#/components/schemas/%s", schema);
    quote_expanded(out, buf_cstr(&ref), k);
    buf_close(&ref);
    buf_put_str(out, "}}}}");
}

static void put_success(struct buf *out, const struct route *r, const struct route_kind *k, int status)
{
    buf_printf(out, "{\"description\":\"%s\"", answer_phrase(status));
    if (status != 204 && status != 304 && r->media != NULL) {
        buf_printf(out, ",\"content\":{\"%s\":{", r->media);
        if (r->answer != NULL) {
            struct buf ref = {0};
            buf_printf(&ref, "#/components/schemas/%s", r->answer);
            buf_put_str(out, "\"schema\":{\"$ref\":");
            quote_expanded(out, buf_cstr(&ref), k);
            buf_put_str(out, "}");
            buf_close(&ref);
        }
        buf_put_str(out, "}");
        if (r->shape == SHAPE_CHANGES)
            buf_put_str(out, ",\"text/event-stream\":{}");
        buf_put_str(out, "}");
    }
    buf_put_str(out, "}");
}

enum { STATUS_MIN = 200, STATUS_PROBLEM = 400, STATUS_END = 600 };

struct responses {
    const struct route *route;
    const struct route_kind *kind;
    struct seq seq;
    bool seen[STATUS_END];
};

static void put_response(struct buf *out, struct responses *s, int status)
{
    char code[8];
    assert(status >= STATUS_MIN && status < STATUS_END);
    if (s->seen[status])
        return;
    s->seen[status] = true;
    (void)snprintf(code, sizeof code, "%d", status);
    member(out, &s->seq, code);
    if (status < STATUS_PROBLEM)
        put_success(out, s->route, s->kind, status);
    else
        buf_put_str(out, "{\"$ref\":\"#/components/responses/Problem\"}");
}

static void put_responses(struct buf *out, const struct route *r, const struct route_kind *k)
{
    static const uint16_t any[] = {400, 500, 503}, with_token[] = {401, 403, 429};
    struct responses s = {.route = r, .kind = k};
    buf_put_str(out, ",\"responses\":{");
    for (size_t i = 0; i < ROUTE_STATUSES_MAX && r->statuses[i] != 0; i++)
        put_response(out, &s, r->statuses[i]);
    for (size_t i = 0; i < sizeof any / sizeof *any; i++)
        put_response(out, &s, any[i]);
    for (size_t i = 0; i < sizeof with_token / sizeof *with_token && r->scope != SCOPE_NONE; i++)
        put_response(out, &s, with_token[i]);
    buf_put_str(out, "}");
}

static bool has(const struct route *r, const struct route_kind *k)
{
    return r->scope != SCOPE_ADMIN && (k == NULL ? r->kinds == 0 : (r->kinds & 1u << k->kind) != 0);
}

static void put_operation(struct buf *out, const struct route *r, const struct route_kind *k)
{
    char method[16];
    assert(has(r, k) && r->operation != NULL && r->summary != NULL);
    (void)snprintf(method, sizeof method, "%s", llhttp_method_name((llhttp_method_t)r->method));
    for (char *p = method; *p != 0; p++)
        *p = (char)tolower((unsigned char)*p);
    buf_printf(out, "\"%s\":{\"operationId\":", method);
    quote_expanded(out, r->operation, k);
    buf_put_str(out, ",\"tags\":[");
    quote(out, k != NULL ? k->plural : takes(r, "delta") || takes(r, "changes") ? "replication" : "operation");
    buf_put_str(out, "],\"summary\":");
    quote_expanded(out, r->summary, k);
    put_parameters(out, r);
    put_body(out, r, k);
    put_responses(out, r, k);
    if (r->scope == SCOPE_READ)
        buf_put_str(out, ",\"security\":[{},{\"token\":[]}]");
    else
        buf_put_str(out, r->scope == SCOPE_NONE ? ",\"security\":[]" : ",\"security\":[{\"token\":[]}]");
    buf_put_str(out, "}");
}

/* All methods of each path that belongs to a kind, or to none. */
static void put_paths(struct buf *out, struct seq *s, const struct route_kind *k)
{
    const struct route *r, *other;
    for (size_t i = 0; (r = route_at(i)) != NULL; i++) {
        bool first = has(r, k);
        for (size_t j = 0; first && j < i; j++)
            first = !(has(route_at(j), k) && strcmp(route_at(j)->path, r->path) == 0);
        if (!first)
            continue;
        next(out, s);
        quote_expanded(out, r->path, k);
        buf_put_str(out, ":{");
        struct seq operations = {false};
        for (size_t j = i; (other = route_at(j)) != NULL; j++) {
            if (!has(other, k) || strcmp(other->path, r->path) != 0)
                continue;
            next(out, &operations);
            put_operation(out, other, k);
        }
        buf_put_str(out, "}");
    }
}

/* Laid out for reading and for line-wise comparison of versions. */
static void lay_out(struct buf *doc)
{
    json_t *tree = json_loadb((const char *)doc->p, doc->n, JSON_REJECT_DUPLICATES, NULL);
    assert(tree != NULL);
    size_t n = json_dumpb(tree, NULL, 0, JSON_INDENT(1));
    buf_reset(doc);
    (void)json_dumpb(tree, (char *)buf_grow(doc, n), n, JSON_INDENT(1));
    doc->n += n;
    buf_put_u8(doc, '\n');
    json_decref(tree);
}

void api_openapi(struct buf *out)
{
    struct buf doc = {0};
    struct seq s = {false};
    const struct route_kind *k;
    buf_put_str(&doc, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"souk\",\"version\":\"" SOUK_VERSION "\",\"summary\":"
                      "\"A registry of AI models and agents with no centre.\",\"license\":{\"name\":\"Apache-2.0\","
                      "\"identifier\":\"Apache-2.0\"}},\"jsonSchemaDialect\":\"https://json-schema.org/draft/2020-12/schema\","
                      "\"servers\":[{\"url\":\"/\"}],\"tags\":[");
    for (size_t i = 0; (k = route_kind_at(i)) != NULL; i++)
        buf_printf(&doc, "{\"name\":\"%s\",\"description\":\"Entries of the kind %s.\"},", k->plural, k->singular);
    buf_put_str(&doc, "{\"name\":\"replication\",\"description\":\"Changes and signed deltas.\"},"
                      "{\"name\":\"operation\",\"description\":\"Health, metrics and documents.\"}],\"paths\":{");
    for (size_t i = 0; (k = route_kind_at(i)) != NULL; i++)
        put_paths(&doc, &s, k);
    put_paths(&doc, &s, NULL);
    buf_put_str(&doc, "}");
    put_components(&doc);
    buf_put_str(&doc, "}");
    lay_out(&doc);
    buf_put_bytes(out, buf_view(&doc));
    buf_close(&doc);
}
