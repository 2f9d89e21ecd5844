/* The OpenAPI document: every route and every status the table names is in it, its references lead somewhere, and the
 * committed copy is what the tables give today. */
#include "tests/lib/talk.h"

#include "api/route.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static json_t *document(void)
{
    struct buf b = {0};
    api_openapi(&b);
    json_t *tree = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(tree);
    buf_close(&b);
    return tree;
}

/* The template of a row with the words of one kind. */
static void path_of(const struct route *row, const struct route_kind *k, char out[128])
{
    const char *mark = strstr(row->path, "{kinds}");
    if (mark == NULL)
        (void)snprintf(out, 128, "%s", row->path);
    else
        (void)snprintf(out, 128, "%.*s%s%s", (int)(mark - row->path), row->path, k->plural, mark + 7);
}

static void has_status(const json_t *op, int status, const char *path)
{
    char code[8];
    (void)snprintf(code, sizeof code, "%d", status);
    cr_assert_not_null(json_object_get(json_object_get(op, "responses"), code), "%s %s", path, code);
}

Test(openapi, every_route_and_status_is_in_it)
{
    json_t *doc = document();
    const struct route *row;
    size_t operations = 0, listed = 0;
    for (size_t i = 0; (row = route_at(i)) != NULL; i++) {
        const struct route_kind *k;
        for (size_t j = 0; row->scope != SCOPE_ADMIN && (k = route_kind_at(j)) != NULL; j++) {
            char path[128], method[16] = {0};
            if (row->kinds != 0 ? (row->kinds & 1u << k->kind) == 0 : j > 0)
                continue;
            path_of(row, k, path);
            const char *name = llhttp_method_name((llhttp_method_t)row->method);
            for (size_t c = 0; name[c] != 0; c++)
                method[c] = (char)(name[c] | 0x20);
            const json_t *op = json_object_get(json_object_get(json_object_get(doc, "paths"), path), method);
            cr_assert_not_null(op, "%s %s", method, path);
            operations++;
            for (size_t s = 0; s < ROUTE_STATUSES_MAX && row->statuses[s] != 0; s++)
                has_status(op, row->statuses[s], path);
            has_status(op, 500, path);
            has_status(op, 503, path);
        }
    }
    const char *path, *method;
    json_t *item, *op;
    json_object_foreach(json_object_get(doc, "paths"), path, item) {
        cr_assert_null(strstr(path, "/admin"), "%s cannot be reached over TCP", path);
        json_object_foreach(item, method, op)
            listed++;
    }
    cr_assert_eq(operations, listed);
    json_decref(doc);
}

static void check_refs(const json_t *doc, const json_t *at)
{
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_array(at))
        json_array_foreach(at, i, value)
            check_refs(doc, value);
    json_object_foreach((json_t *)(uintptr_t)at, key, value) {
        if (strcmp(key, "$ref") != 0) {
            check_refs(doc, value);
            continue;
        }
        char ref[128], *rest;
        const json_t *to = doc;
        (void)snprintf(ref, sizeof ref, "%s", json_string_value(value));
        for (char *part = strtok_r(ref + 2, "/", &rest); part != NULL; part = strtok_r(NULL, "/", &rest))
            to = json_object_get(to, part);
        cr_assert_not_null(to, "%s leads nowhere", json_string_value(value));
    }
}

Test(openapi, references_lead_somewhere_and_ids_are_unique)
{
    json_t *doc = document(), *seen = json_object(), *item, *op;
    const char *path, *method;
    check_refs(doc, doc);
    json_object_foreach(json_object_get(doc, "paths"), path, item) {
        json_object_foreach(item, method, op) {
            const char *id = json_string_value(json_object_get(op, "operationId"));
            cr_assert_not_null(id);
            cr_assert_null(strchr(id, '{'), "%s", id);
            cr_assert_null(json_object_get(seen, id), "%s stands for two operations", id);
            json_object_set_new(seen, id, json_true());
            cr_assert_not_null(json_object_get(op, "summary"));
        }
    }
    cr_assert_str_eq(json_string_value(json_object_get(doc, "openapi")), "3.1.0");
    json_decref(seen);
    json_decref(doc);
}

Test(openapi, every_field_of_every_kind_is_described)
{
    json_t *doc = document();
    const json_t *schemas = json_object_get(json_object_get(doc, "components"), "schemas");
    const struct route_kind *k;
    for (size_t i = 0; (k = route_kind_at(i)) != NULL; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s", k->singular);
        name[0] = (char)(name[0] - 32);
        const json_t *properties = json_object_get(json_object_get(schemas, name), "properties");
        for (const struct field_desc *d = kind_by_number(k->kind)->fields; d->name != NULL; d++) {
            const json_t *p = json_object_get(properties, d->name);
            cr_assert_not_null(p, "%s.%s", name, d->name);
            cr_assert_eq(json_is_true(json_object_get(p, "readOnly")), (d->flags & FIELD_BY_NODE) != 0);
        }
    }
    json_decref(doc);
}

static struct buf read_file(const char *path)
{
    struct buf b = {0};
    FILE *f = fopen(path, "rb");
    cr_assert_not_null(f, "%s is missing: write it with SOUK_UPDATE=1", path);
    size_t n;
    while ((n = fread(buf_grow(&b, 65536), 1, 65536, f)) > 0)
        b.n += n;
    (void)fclose(f);
    return b;
}

static void write_file(const char *path, const struct buf *b)
{
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(b->p, 1, b->n, f), b->n);
    (void)fclose(f);
}

/* ctest runs in the top folder. SOUK_UPDATE=1 writes the file anew. */
Test(openapi, the_committed_document_is_up_to_date)
{
    struct buf now = {0};
    api_openapi(&now);
    if (getenv("SOUK_UPDATE") != NULL)
        write_file("api/openapi.json", &now);
    struct buf then = read_file("api/openapi.json");
    cr_assert(bytes_eq(buf_view(&now), buf_view(&then)), "api/openapi.json is old: SOUK_UPDATE=1 build/tests/api_openapi");
    buf_close(&now);
    buf_close(&then);
}

static void put_statuses(struct buf *out, const struct route *row)
{
    for (size_t i = 0; i < ROUTE_STATUSES_MAX && row->statuses[i] != 0; i++)
        buf_printf(out, "%s%d", i > 0 ? " " : "", row->statuses[i]);
}

Test(openapi, the_article_fits_the_kind)
{
    struct buf doc = {0};
    api_openapi(&doc);
    cr_assert_null(strstr(buf_cstr(&doc), " a agent"));
    cr_assert_not_null(strstr(buf_cstr(&doc), "\"Deletes an agent\""));
    cr_assert_not_null(strstr(buf_cstr(&doc), "\"Deletes a model\""));
    buf_close(&doc);
}

/* The table of routes of API.md, made from the same rows. */
static void put_table(struct buf *out)
{
    static const char *const scopes[] = {[SCOPE_NONE] = "", [SCOPE_READ] = "read", [SCOPE_WRITE] = "write",
                                         [SCOPE_INVOKE] = "invoke"};
    const struct route *row;
    buf_put_str(out, "| method and path | scope | answers | what |\n|---|---|---|---|\n");
    for (size_t i = 0; (row = route_at(i)) != NULL; i++) {
        buf_printf(out, "| %s %s | %s | ", llhttp_method_name((llhttp_method_t)row->method), row->path,
                   row->scope == SCOPE_ADMIN ? "admin socket" : scopes[row->scope]);
        put_statuses(out, row);
        buf_printf(out, " | %s |\n", row->summary);
    }
}

Test(openapi, the_table_of_the_document_is_up_to_date)
{
    static const char start[] = "<!-- routes -->\n", end[] = "<!-- /routes -->\n";
    struct buf table = {0}, doc = read_file("api/API.md");
    put_table(&table);
    char *from = strstr(buf_cstr(&doc), start), *to = strstr(buf_cstr(&doc), end);
    cr_assert(from != NULL && to != NULL);
    from += strlen(start);
    if (getenv("SOUK_UPDATE") != NULL) {
        struct buf b = {0};
        buf_put(&b, doc.p, (size_t)(from - (char *)doc.p));
        buf_put_bytes(&b, buf_view(&table));
        buf_put_str(&b, to);
        write_file("api/API.md", &b);
        buf_close(&b);
    } else {
        cr_assert(bytes_eq(bytes_of(from, (size_t)(to - from)), buf_view(&table)),
                  "api/API.md is old: SOUK_UPDATE=1 build/tests/api_openapi");
    }
    buf_close(&table);
    buf_close(&doc);
}
