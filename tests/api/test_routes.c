/* What each path, method, token and type is answered with, and the headers that every answer carries. */
#include "tests/lib/talk.h"

#include "api/route.h"

#include <criterion/criterion.h>
#include <llhttp.h>
#include <stdio.h>
#include <string.h>

static struct talk t;
static struct reply r;

static void open_tcp(void)
{
    r = (struct reply){0};
    talk_open(&t, API_TCP);
}

static void open_admin(void)
{
    r = (struct reply){0};
    talk_open(&t, API_ADMIN_SOCKET);
}

static void done(void)
{
    reply_close(&r);
    talk_close(&t);
}

static int ask(const char *method, const char *path, const char *headers, const char *body)
{
    return talk_ask(&t, &r, method, path, headers, body);
}

/* "/models/<hex><suffix>", static until the next call. */
static const char *path_of(const struct fake_entry *e, const char *suffix)
{
    static char path[256];
    char hex[ID_HEX_SIZE];
    id_hex(hex, &e->id);
    (void)snprintf(path, sizeof path, "/%s/%s%s", kind_by_number(e->kind)->plural, hex, suffix);
    return path;
}

static const char *text(const struct buf *b)
{
    static char copy[1024];
    (void)snprintf(copy, sizeof copy, "%.*s", (int)b->n, (const char *)b->p);
    return copy;
}

TestSuite(routes, .init = open_tcp, .fini = done);
TestSuite(admin, .init = open_admin, .fini = done);

/* A kind's word in a path is the schema's. */
Test(routes, the_kinds_are_those_of_the_schema)
{
    const struct route_kind *k;
    for (size_t i = 0; (k = route_kind_at(i)) != NULL; i++) {
        cr_assert_str_eq(k->plural, kind_by_number(k->kind)->plural);
        cr_assert_str_eq(k->singular, kind_by_number(k->kind)->singular);
    }
}

/* Every row's own path leads to the row. */
Test(routes, each_row_is_found_by_its_path)
{
    static const struct {
        const char *mark, *value;
    } marks[] = {{"{kinds}", "agents"},
                 {"{id}", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
                 {"{op}", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
                 {"{key}", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}};
    const struct route *row;
    for (size_t i = 0; (row = route_at(i)) != NULL; i++) {
        struct buf path = {0};
        struct route_match m;
        for (const char *p = row->path; *p != 0;) {
            size_t j = 0;
            while (j < 4 && strncmp(p, marks[j].mark, strlen(marks[j].mark)) != 0)
                j++;
            if (j < 4)
                buf_put_str(&path, marks[j].value);
            else if (strncmp(p, "{verb}", 6) == 0)
                buf_put_str(&path, row->shape == SHAPE_ADMIN ? "peers" : "sync");
            else
                buf_put_u8(&path, (uint8_t)*p);
            p += j < 4 ? strlen(marks[j].mark) : strncmp(p, "{verb}", 6) == 0 ? 6 : 1;
        }
        route_parse(path.p, path.n, &m);
        cr_assert_eq(route_find(&m, row->method), row, "%s %s", row->path, row->operation);
        buf_close(&path);
    }
}

Test(routes, an_entry_by_id_with_its_tag)
{
    struct fake_entry *e = fake_add(t.fake, KIND_MODEL, 1, "m", "d");
    char tag[80] = "\"", hex[ID_HEX_SIZE];
    id_hex(hex, &e->revision);
    (void)snprintf(tag, sizeof tag, "\"%s\"", hex);
    cr_assert_eq(ask("GET", path_of(e, ""), "", NULL), 200);
    cr_assert_str_eq(reply_header(&r, "ETag"), tag);
    cr_assert_str_eq(reply_header(&r, "Content-Type"), "application/json");
    cr_assert_not_null(strstr(text(&r.body), "\"name\":\"m\""));
    cr_assert_eq(ask("GET", "/models/00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "", NULL), 404);
    cr_assert_str_eq(reply_member(&r, "code"), "not_found");
}

Test(routes, an_incomplete_entry_has_no_tag_and_is_never_not_modified)
{
    struct fake_entry *e = fake_add(t.fake, KIND_MODEL, 1, "m", "d");
    e->incomplete = true;
    cr_assert_eq(ask("GET", path_of(e, ""), "If-None-Match: *\r\n", NULL), 200);
    cr_assert_null(reply_header(&r, "ETag"));
    cr_assert_not_null(strstr(text(&r.body), "\"incomplete\":true"));
}

Test(routes, names_in_paths)
{
    (void)fake_add(t.fake, KIND_MODEL, 1, "openai/gpt-4", "d");
    (void)fake_add(t.fake, KIND_MODEL, 1, "caf\xc3\xa9 x", "d");
    (void)fake_add(t.fake, KIND_MODEL, 1, "search", "d");
    (void)fake_add(t.fake, KIND_MODEL, 1, "a+b", "d");
    static const char *const found[] = {
        "/models/openai/gpt-4",           "/models/openai%2Fgpt-4",           "/models/openai%2fgpt%2D4",
        "/models/caf%C3%A9%20x",          "/models/search",                   "/models/a+b",
        "/models/openai/gpt-4/revisions", "/models/openai%2Fgpt-4/revisions", "/models/openai/gpt-4/writers",
        "/models/search/revisions",       "/models/openai/gpt-4?x=1&y",
    };
    static const struct {
        const char *path;
        int status;
    } others[] = {
        {"/models/openai", 404},         {"/models/openai/gpt-4/", 404}, {"/models/", 404},      {"/models/%zz", 400},
        {"/models/%ff", 400},            {"/models/a%00b", 400},         {"/models/%4", 400},    {"/modelsx", 404},
        {"/models/x/revisions/abc", 404}, {"/nowhere", 404},             {"/models/a%2Bb%", 400}, {"*", 404},
    };
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        cr_expect_eq(ask("GET", found[i], "", NULL), 200, "%s: %d", found[i], r.status);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        cr_expect_eq(ask("GET", others[i].path, "", NULL), others[i].status, "%s: %d", others[i].path, r.status);
}

Test(routes, an_ambiguous_name_lists_its_candidates)
{
    char hex[ID_HEX_SIZE];
    (void)fake_add(t.fake, KIND_MODEL, 1, "same", "d");
    struct fake_entry *e = fake_add(t.fake, KIND_MODEL, 2, "same", "d");
    id_hex(hex, &e->id);
    cr_assert_eq(ask("GET", "/models/same", "", NULL), 409);
    cr_assert_str_eq(reply_member(&r, "code"), "ambiguous");
    cr_assert_not_null(strstr(text(&r.body), hex));
    cr_assert_eq(ask("DELETE", "/models/same", AUTH, NULL), 409);
}

Test(routes, the_same_under_every_kind)
{
    struct fake_entry *agent = fake_add(t.fake, KIND_AGENT, 1, "a", "d");
    cr_assert_eq(ask("GET", path_of(agent, ""), "", NULL), 200);
    cr_assert_eq(ask("GET", "/servers", "", NULL), 200);
    cr_assert_str_eq(text(&r.body), "{\"servers\":[],\"total\":0,\"next_cursor\":null}");
    struct fake_entry *node = fake_add(t.fake, KIND_NODE, 1, "n", "d");
    cr_assert_eq(ask("GET", path_of(node, ""), "", NULL), 200);
    cr_assert_eq(ask("GET", "/nodes", "", NULL), 200);
    cr_assert_eq(ask("POST", "/nodes", AUTH, "{\"name\":\"x\"}"), 405);
    cr_assert_str_eq(reply_header(&r, "Allow"), "GET, HEAD");
    cr_assert_eq(ask("PUT", path_of(node, ""), AUTH, "{}"), 405);
}

Test(routes, history_and_old_bodies)
{
    struct fake_entry *e = fake_add(t.fake, KIND_MODEL, 1, "m", "d");
    char suffix[100] = "/revisions/";
    id_hex(suffix + strlen(suffix), &e->revision);
    cr_assert_eq(ask("GET", path_of(e, "/revisions"), "", NULL), 200);
    cr_assert_eq(ask("GET", path_of(e, "/revisions?limit=0"), "", NULL), 400);
    cr_assert_eq(ask("GET", path_of(e, "/revisions?cursor=x"), "", NULL), 400);
    cr_assert_eq(ask("GET", path_of(e, suffix), "", NULL), 200);
    suffix[11] = suffix[11] == '0' ? '1' : '0';
    cr_assert_eq(ask("GET", path_of(e, suffix), "", NULL), 404);
}

Test(routes, writers_are_listed_added_and_removed)
{
    struct fake_entry *e = fake_add(t.fake, KIND_MODEL, 1, "m", "d");
    static const char key[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    char body[128], suffix[128];
    (void)snprintf(body, sizeof body, "{\"key\":\"%s\"}", key);
    (void)snprintf(suffix, sizeof suffix, "/writers/%s", key);
    cr_assert_eq(ask("GET", path_of(e, "/writers"), "", NULL), 200);
    cr_assert_eq(ask("POST", path_of(e, "/writers"), "", body), 401);
    cr_assert_eq(ask("POST", path_of(e, "/writers"), AUTH, body), 200);
    cr_assert_eq(ask("POST", path_of(e, "/writers"), AUTH, "{\"key\":\"zz\"}"), 422);
    cr_assert_not_null(strstr(text(&r.body), "\"pointer\":\"/key\""));
    cr_assert_eq(ask("DELETE", path_of(e, suffix), AUTH, NULL), 204);
    cr_assert_eq(ask("DELETE", path_of(e, "/writers/zz"), AUTH, NULL), 404);
}

Test(routes, receipts)
{
    cr_assert_eq(ask("GET", "/receipts", "", NULL), 200);
    cr_assert_not_null(strstr(text(&r.body), "\"receipts\":[{\"id\":\"r1\"}]"));
    cr_assert_eq(ask("GET", "/receipts/r1", "", NULL), 200);
    cr_assert_str_eq(reply_member(&r, "id"), "r1");
    cr_assert_eq(ask("GET", "/receipts/r2", "", NULL), 404);
    cr_assert_eq(ask("GET", "/receipts/r1/more", "", NULL), 404);
    cr_assert_eq(ask("GET", "/receipts?limit=0", "", NULL), 400);
    cr_assert_eq(ask("POST", "/receipts", AUTH, "{}"), 405);
}

Test(routes, methods_that_a_path_lacks)
{
    static const struct {
        const char *method, *path, *allow;
    } rows[] = {
        {"DELETE", "/models", "GET, HEAD, POST"},
        {"POST", "/models/x", "GET, HEAD, PUT, PATCH, DELETE"},
        {"OPTIONS", "/livez", "GET, HEAD"},
        {"TRACE", "/", "GET, HEAD"},
        {"GET", "/deltas", "POST"},
        {"PROPFIND", "/changes", "GET, HEAD"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(ask(rows[i].method, rows[i].path, "", NULL), 405, "%s %s", rows[i].method, rows[i].path);
        cr_assert_str_eq(reply_header(&r, "Allow"), rows[i].allow);
        cr_assert_str_eq(reply_member(&r, "code"), "wrong_method");
    }
    cr_assert_eq(ask("POST", "/servers/x/invoke", AUTH, "{}"), 404);
}

Test(routes, head_is_get_without_the_body)
{
    struct fake_entry *e = fake_add(t.fake, KIND_MODEL, 1, "m", "d");
    const char *const paths[] = {"/", "/models", "/livez", "/readyz", "/readyz?verbose", "/healthz", "/metrics",
                                 "/openapi.json", "/changes", "/nowhere", "/models/m/revisions", "/models?limit=x"};
    for (size_t i = 0; i <= sizeof paths / sizeof *paths; i++) {
        const char *path = i == sizeof paths / sizeof *paths ? path_of(e, "") : paths[i];
        struct buf get = {0};
        int status = ask("GET", path, "", NULL);
        buf_put_bytes(&get, buf_view(&r.head));
        cr_assert_eq(ask("HEAD", path, "", NULL), status, "%s", path);
        cr_assert_eq(t.got.n, 0, "HEAD %s has a body", path);
        char *a = strstr(buf_cstr(&get), "X-Request-Id"), *b = strstr(buf_cstr(&r.head), "X-Request-Id");
        memset(a, '-', 45);
        memset(b, '-', 45);
        cr_assert_str_eq(buf_cstr(&get), buf_cstr(&r.head));
        buf_close(&get);
    }
}

Test(routes, every_answer_has_an_id_and_a_date)
{
    char first[64];
    cr_assert_eq(ask("GET", "/livez", "", NULL), 200);
    (void)snprintf(first, sizeof first, "%s", reply_header(&r, "X-Request-Id"));
    cr_assert_str_eq(reply_header(&r, "Date"), "Sun, 06 Nov 1994 08:49:37 GMT");
    cr_assert_eq(ask("GET", "/nowhere", "", NULL), 404);
    cr_assert_str_neq(reply_header(&r, "X-Request-Id"), first);
    cr_assert_str_eq(reply_header(&r, "X-Request-Id"), reply_member(&r, "request_id"));
    cr_assert_str_eq(reply_header(&r, "Content-Type"), "application/problem+json");
    cr_assert_str_eq(reply_member(&r, "status"), "404");
    cr_assert_str_eq(reply_member(&r, "title"), "Not Found");
    cr_assert_str_eq(reply_member(&r, "type"), "about:blank");
    cr_assert_str_neq(reply_member(&r, "detail"), "");
}

/* The value, why it is refused, and what to do. */
Test(routes, errors_name_what_was_asked_for)
{
    static const struct {
        const char *method, *path, *detail;
    } rows[] = {
        {"GET", "/nowhere/at%20all", "there is no path /nowhere/at%20all; /openapi.json lists them"},
        {"PUT", "/models", "PUT is not a method of this path; it has GET, HEAD, POST"},
        {"GET", "/models/no%22one", "there is no model named \"no\"one\" here; GET /models lists what there is"},
        {"GET", "/agents/1111111111111111111111111111111111111111111111111111111111111111",
         "there is no agent 1111111111111111111111111111111111111111111111111111111111111111 here; GET /agents lists what there is"},
        {"GET", "/models?limit=1x", "limit is a number from 1 on (a page has at most 200 rows), not \"1x\""},
        {"GET", "/models?cursor=a+b", "a cursor is A-Za-z0-9_- as this node gave it, not \"a b\""},
        {"GET", "/models/m/revisions?limit=0", "limit is a number from 1 on (a page has at most 200 rows), not \"0\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_geq(ask(rows[i].method, rows[i].path, AUTH, NULL), 400);
        cr_assert_str_eq(reply_member(&r, "detail"), rows[i].detail);
    }
    struct buf path = {0};
    buf_put_str(&path, "/");
    memset(buf_grow(&path, 300), 'x', 300);
    path.n += 300;
    cr_assert_eq(ask("GET", buf_cstr(&path), AUTH, NULL), 404);
    cr_assert_str_eq(reply_member(&r, "detail"), "there is no path like this; /openapi.json lists them");
    cr_assert_eq(ask("GET", "/models?cursor=%01", AUTH, NULL), 400);
    buf_close(&path);
}

Test(routes, other_sites_may_read_what_is_public)
{
    static const struct {
        const char *method, *path;
        bool shared;
    } rows[] = {{"GET", "/models", true},       {"GET", "/models/x", true}, {"GET", "/livez", true},
                {"GET", "/models?limit=0", true}, {"POST", "/models", false}, {"DELETE", "/models/x", false},
                {"POST", "/models/search", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)ask(rows[i].method, rows[i].path, AUTH, rows[i].method[0] == 'P' ? "{}" : NULL);
        const char *origin = reply_header(&r, "Access-Control-Allow-Origin");
        cr_assert_eq(origin != NULL, rows[i].shared, "%s %s", rows[i].method, rows[i].path);
        cr_assert(origin == NULL || strcmp(origin, "*") == 0);
    }
}

Test(routes, reading_with_tokens_is_not_shared_with_other_sites)
{
    done();
    talk_open_with(&t, API_TCP, &(struct api_config){.read_needs_token = true});
    r = (struct reply){0};
    cr_assert_eq(ask("GET", "/models", "", NULL), 401);
    cr_assert_null(reply_header(&r, "Access-Control-Allow-Origin"));
    cr_assert_eq(ask("GET", "/models", "Authorization: Bearer reader\r\n", NULL), 200);
    cr_assert_null(reply_header(&r, "Access-Control-Allow-Origin"));
    cr_assert_eq(ask("GET", "/models", AUTH, NULL), 200);
    cr_assert_eq(ask("GET", "/models", "Authorization: Bearer invoker\r\n", NULL), 403);
    cr_assert_eq(ask("POST", "/models/search", "", "{}"), 401);
    cr_assert_eq(ask("GET", "/livez", "", NULL), 200);
    cr_assert_eq(ask("GET", "/openapi.json", "", NULL), 200);
}

Test(routes, tokens)
{
    static const struct {
        const char *header;
        int status;
        const char *code;
    } rows[] = {
        {"", 401, "no_token"},
        {"Authorization: Basic d3JpdGVy\r\n", 401, "no_token"},
        {"Authorization: Bearer\r\n", 401, "no_token"},
        {"Authorization: Bearer nobody\r\n", 401, "bad_token"},
        {"Authorization: Bearer reader\r\n", 403, "wrong_scope"},
        {"Authorization: Bearer invoker\r\n", 403, "wrong_scope"},
        {"Authorization: Bearer hasty\r\n", 429, "rate"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(ask("POST", "/models", rows[i].header, "{\"name\":\"x\"}"), rows[i].status, "%s", rows[i].header);
        cr_assert_str_eq(reply_member(&r, "code"), rows[i].code);
        cr_assert_eq(reply_header(&r, "WWW-Authenticate") != NULL, rows[i].status == 401);
        const char *retry = reply_header(&r, "Retry-After");
        cr_assert_eq(retry != NULL, rows[i].status == 429);
        cr_assert(retry == NULL || strcmp(retry, "7") == 0);
    }
    cr_assert_eq(t.fake->calls, 0, "a refused request reaches nobody");
    cr_assert_eq(ask("POST", "/models", "authorization: bEARER   writer\r\n", "{\"name\":\"x\"}"), 201);
}

Test(routes, what_the_node_says_becomes_a_status)
{
    static const struct {
        enum err e;
        int status;
        const char *code;
    } rows[] = {
        {ERR_FORM, 400, "malformed"},     {ERR_LIMIT, 413, "too_large"},       {ERR_MESH, 422, "wrong_mesh"},
        {ERR_SIGNATURE, 422, "bad_signature"}, {ERR_AHEAD, 422, "time_ahead"}, {ERR_NOT_FOUND, 404, "not_found"},
        {ERR_CONFLICT, 412, "stale"},     {ERR_DENIED, 403, "denied"},         {ERR_INVALID, 422, "invalid"},
        {ERR_TOO_LARGE, 413, "too_large"}, {ERR_AMBIGUOUS, 409, "ambiguous"},  {ERR_VERSION, 400, "unknown_version"},
        {ERR_IO, 503, "storage_failed"},  {ERR_NO_SPACE, 507, "disk_full"},    {ERR_READ_ONLY, 503, "read_only"},
        {ERR_CORRUPT, 500, "corrupt"},    {ERR_BUSY, 429, "busy"},             {ERR_CLOSED, 503, "shutting_down"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        t.fake->fail_op = API_WRITE;
        t.fake->fail_with = rows[i].e;
        cr_assert_eq(ask("POST", "/models", AUTH, "{\"name\":\"x\"}"), rows[i].status, "%s: %d", err_text(rows[i].e), r.status);
        cr_assert_str_eq(reply_member(&r, "code"), rows[i].code);
        cr_assert_str_neq(reply_member(&r, "detail"), "");
        cr_assert_eq(reply_header(&r, "Retry-After") != NULL, r.status == 503 || r.status == 429);
    }
    cr_assert_eq(sizeof rows / sizeof *rows, ERR_COUNT - 1, "an error without a status");
}

Test(routes, lists_and_their_parameters)
{
    for (int i = 0; i < 5; i++) {
        char name[8] = {(char)('a' + i), 0};
        (void)fake_add(t.fake, KIND_MODEL, 1, name, "d");
    }
    cr_assert_eq(ask("GET", "/models?limit=2&unknown=1", "", NULL), 200);
    cr_assert_str_eq(reply_member(&r, "next_cursor"), "n2");
    cr_assert_str_eq(reply_member(&r, "total"), "5");
    cr_assert_eq(ask("GET", "/models?limit=200&cursor=n4", "", NULL), 200);
    cr_assert_str_eq(reply_member(&r, "next_cursor"), "");
    static const struct {
        const char *path, *code;
    } bad[] = {{"/models?limit=0", "bad_limit"},   {"/models?limit=-1", "bad_limit"},
               {"/models?limit=", "bad_limit"},    {"/models?limit=1x", "bad_limit"},
               {"/models?limit=99999999999999999999", "bad_limit"},
               {"/models?cursor=", "bad_cursor"},  {"/models?cursor=a.b", "bad_cursor"}, {"/models?cursor=x", "bad_cursor"},
               {"/models?cursor=foreign", "foreign_cursor"}, {"/models?q=%zz", "bad_query"}, {"/models?q=%ff", "bad_query"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(ask("GET", bad[i].path, "", NULL), 400, "%s", bad[i].path);
        cr_assert_str_eq(reply_member(&r, "code"), bad[i].code, "%s", bad[i].path);
    }
    cr_assert_eq(ask("GET", "/models?q=two+words%21&tag=x&tag=y&license=MIT&capability=chat", "", NULL), 200);
    cr_assert_str_eq(t.fake->query_text, "two words!");
    cr_assert_str_eq(t.fake->query_tag, "x");
    cr_assert_eq(t.fake->query.tag_count, 2);
    cr_assert_eq(t.fake->query.capability_count, 1);
    cr_assert_eq(t.fake->query.limit, 30);
    cr_assert_not(t.fake->query.scored);
    cr_assert_eq(ask("GET", "/models?q=a&limit=5000", "", NULL), 200);
    cr_assert_eq(t.fake->query.limit, 200, "a page has at most 200 rows");
    struct buf path = {0};
    buf_put_str(&path, "/models?tag=a");
    for (int i = 0; i < 16; i++)
        buf_put_str(&path, "&tag=a");
    cr_assert_eq(ask("GET", buf_cstr(&path), "", NULL), 400);
    buf_close(&path);
}

Test(routes, search_bodies)
{
    static const struct {
        const char *body;
        int status;
        const char *says;
    } rows[] = {
        {"{}", 200, "next_cursor"},
        {"{\"query\":\"a b\",\"tags\":[\"t\"],\"max_price\":\"0.5\",\"min_context\":8000,\"limit\":3,\"later\":1}", 200, ""},
        {"{\"query\":null,\"cursor\":null}", 200, ""},
        {"{\"query\":1}", 422, "/query"},
        {"{\"tags\":\"a\"}", 422, "/tags"},
        {"{\"tags\":[\"a\",1]}", 422, "/tags/1"},
        {"{\"max_price\":0.5}", 422, "/max_price"},
        {"{\"max_price\":\"-1\"}", 422, "/max_price"},
        {"{\"min_context\":-1}", 422, "/min_context"},
        {"{\"limit\":0}", 422, "/limit"},
        {"{\"limit\":-1}", 422, "/limit"},
        {"{\"limit\":201,\"query\":[]}", 422, "/query"},
        {"{\"cursor\":\"a b\"}", 400, "bad_cursor"},
        {"{\"cursor\":\"foreign\"}", 400, "foreign_cursor"},
        {"[]", 422, "object"},
        {"{", 400, "bad_json"},
        {"", 400, "bad_json"},
        {"{\"query\":\"a\",\"query\":\"b\"}", 400, "bad_json"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(ask("POST", "/models/search", "", rows[i].body), rows[i].status, "%s: %d", rows[i].body, r.status);
        cr_assert_not_null(strstr(text(&r.body), rows[i].says), "%s: %s", rows[i].body, text(&r.body));
    }
    cr_assert_eq(ask("POST", "/models/search", "", rows[1].body), 200);
    cr_assert_eq(t.fake->query.max_price_pico, 500000);
    cr_assert_eq(t.fake->query.min_context, 8000);
    cr_assert(t.fake->query.scored);
    cr_assert_eq(t.fake->query.limit, 3);
    cr_assert_str_eq(t.fake->query_text, "a b");
}

Test(routes, deltas_in_and_out)
{
    char path[100];
    cr_assert_eq(ask("POST", "/deltas", AUTH "Content-Type: application/msgpack\r\n", "abc"), 201);
    (void)snprintf(path, sizeof path, "%s", reply_header(&r, "Location"));
    cr_assert_eq(ask("POST", "/deltas", AUTH, "abc"), 200);
    cr_assert_eq(ask("POST", "/deltas", AUTH "Content-Type: application/json\r\n", "abc"), 415);
    cr_assert_eq(ask("POST", "/deltas", AUTH, ""), 400);
    cr_assert_eq(ask("POST", "/deltas", "", "abc"), 401);
    cr_assert_eq(ask("GET", path, "", NULL), 200);
    cr_assert_str_eq(reply_header(&r, "Content-Type"), "application/msgpack");
    cr_assert_str_eq(text(&r.body), "abc");
    path[8] = path[8] == '0' ? '1' : '0';
    cr_assert_eq(ask("GET", path, "", NULL), 404);
    cr_assert_eq(ask("GET", "/deltas/zz", "", NULL), 404);
}

Test(routes, health)
{
    cr_assert_eq(ask("GET", "/livez", "", NULL), 200);
    cr_assert_str_eq(text(&r.body), "ok\n");
    cr_assert_eq(ask("GET", "/healthz", "Accept: text/html, application/json;q=0.5\r\n", NULL), 200);
    cr_assert_str_eq(reply_member(&r, "status"), "ok");
    cr_assert_eq(ask("GET", "/readyz", "", NULL), 200);
    cr_assert_str_eq(text(&r.body), "ok\n");
    t.fake->not_ready = true;
    cr_assert_eq(ask("GET", "/readyz", "", NULL), 503);
    cr_assert_str_eq(text(&r.body), "not ready\n");
    cr_assert_eq(ask("GET", "/readyz?verbose", "", NULL), 503);
    cr_assert_not_null(strstr(text(&r.body), "checks"));
    cr_assert_eq(ask("GET", "/metrics", "", NULL), 200);
    cr_assert_str_eq(reply_header(&r, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    cr_assert_eq(ask("GET", "/", "", NULL), 200);
    cr_assert_str_eq(reply_header(&r, "Content-Type"), "text/html; charset=utf-8");
    cr_assert_not_null(strstr(reply_header(&r, "Content-Security-Policy"), "default-src 'none'"));
}

Test(routes, no_admin_over_tcp)
{
    cr_assert_eq(ask("GET", "/admin/status", AUTH, NULL), 404);
    cr_assert_eq(ask("POST", "/admin/shutdown", AUTH, "{}"), 404);
    cr_assert_eq(t.fake->calls, 0);
}

Test(admin, needs_no_token_and_may_do_everything)
{
    cr_assert_eq(ask("GET", "/admin/status", "", NULL), 200);
    cr_assert_str_eq(reply_member(&r, "name"), "fake");
    cr_assert_eq(ask("POST", "/models", "", "{\"name\":\"x\"}"), 201);
    cr_assert_null(reply_header(&r, "Access-Control-Allow-Origin"));
    cr_assert_eq(ask("GET", "/models", "", NULL), 200);
    cr_assert_null(reply_header(&r, "Access-Control-Allow-Origin"));
    cr_assert_eq(ask("DELETE", "/models/x", "", NULL), 204);
}

Test(admin, verbs_are_passed_on)
{
    cr_assert_eq(ask("GET", "/admin/peers", "", NULL), 200);
    cr_assert_str_eq(t.fake->admin_verb, "peers");
    cr_assert_eq(ask("POST", "/admin/peer-add", "X-Souk-As: alice\r\n", "{\"address\":\"a:1\"}"), 200);
    cr_assert_str_eq(t.fake->admin_verb, "peer-add");
    cr_assert_str_eq(t.fake->as, "alice");
    cr_assert_str_eq(text(&t.fake->admin_body), "{\"address\":\"a:1\"}");
    cr_assert_eq(ask("POST", "/admin/sync", "", ""), 204);
    cr_assert_eq(ask("POST", "/admin/import?kind=server&x=1", "", "{}\n"), 200);
    cr_assert_eq(t.fake->admin_kind, KIND_SERVER);
    cr_assert_str_eq(t.fake->admin_verb, "import");
    cr_assert_eq(ask("POST", "/admin/import?kind=thing", "", "{}\n"), 400);
    cr_assert_eq(ask("POST", "/admin/nothing", "", ""), 404);
    cr_assert_eq(ask("GET", "/admin/Up", "", NULL), 404);
    cr_assert_eq(ask("GET", "/admin/", "", NULL), 404);
    cr_assert_eq(ask("GET", "/admin/shutdown", "", NULL), 405);
    cr_assert_str_eq(reply_header(&r, "Allow"), "POST");
    cr_assert_eq(ask("GET", "/admin/token-new", "", NULL), 405);
}
