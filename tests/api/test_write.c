/* Writes and the conditions that they and reads may carry. */
#include "tests/lib/talk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct talk t;
static struct reply r;
static struct fake_entry *e;
static char path[128], tag[80], headers[512];

#define OTHER_TAG "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\""

static void start(void)
{
    r = (struct reply){0};
    talk_open(&t, API_TCP);
    e = fake_add(t.fake, KIND_MODEL, 1, "m", "first");
    char hex[ID_HEX_SIZE];
    id_hex(hex, &e->id);
    (void)snprintf(path, sizeof path, "/models/%s", hex);
}

static void done(void)
{
    reply_close(&r);
    talk_close(&t);
}

static int ask(const char *method, const char *where, const char *more, const char *body)
{
    return talk_ask(&t, &r, method, where, more, body);
}

/* AUTH and one header whose value holds the present tag for every '@'. */
static const char *with(const char *name, const char *value)
{
    char hex[ID_HEX_SIZE];
    struct buf b = {0};
    id_hex(hex, &e->revision);
    (void)snprintf(tag, sizeof tag, "\"%s\"", hex);
    buf_printf(&b, AUTH "%s: ", name);
    for (; *value != 0; value++) {
        if (*value == '@')
            buf_put_str(&b, tag);
        else
            buf_put_u8(&b, (uint8_t)*value);
    }
    (void)snprintf(headers, sizeof headers, "%s\r\n", buf_cstr(&b));
    buf_close(&b);
    return headers;
}

static bool body_has(const char *what)
{
    return r.body.n > 0 && memmem(r.body.p, r.body.n, what, strlen(what)) != NULL;
}

TestSuite(write, .init = start, .fini = done);

Test(write, create_then_revise)
{
    char location[100], first[80];
    cr_assert_eq(ask("POST", "/models", AUTH, "{\"name\":\"new\",\"description\":\"a\"}"), 201);
    (void)snprintf(location, sizeof location, "%s", reply_header(&r, "Location"));
    (void)snprintf(first, sizeof first, "%s", reply_header(&r, "ETag"));
    cr_assert(body_has("\"model\":{") && body_has("\"meta\":{"));
    cr_assert_eq(ask("POST", "/models", AUTH, "{\"name\":\"new\",\"description\":\"b\"}"), 200);
    cr_assert_str_eq(reply_header(&r, "Location"), location);
    cr_assert_str_neq(reply_header(&r, "ETag"), first);
    cr_assert_eq(ask("GET", location, "", NULL), 200);
    cr_assert(body_has("\"b\""));
    cr_assert_eq(ask("POST", "/models", AUTH "If-None-Match: *\r\n", "{\"name\":\"new\"}"), 412);
    cr_assert_str_eq(reply_member(&r, "code"), "exists");
    cr_assert_eq(ask("POST", "/models", AUTH "If-None-Match: *\r\n", "{\"name\":\"newer\"}"), 201);
}

Test(write, conditions_of_a_post)
{
    cr_assert_eq(ask("POST", "/models", with("If-Match", "@"), "{\"name\":\"m\"}"), 200);
    cr_assert_eq(ask("POST", "/models", with("If-Match", OTHER_TAG), "{\"name\":\"m\"}"), 412);
    cr_assert_eq(ask("POST", "/models", with("If-Match", "*"), "{\"name\":\"absent\"}"), 404);
    cr_assert_eq(ask("POST", "/models", with("If-Match", "@, " OTHER_TAG), "{\"name\":\"m\"}"), 400);
    cr_assert_eq(ask("POST", "/models", with("If-None-Match", "@"), "{\"name\":\"m\"}"), 400);
}

Test(write, bodies_that_are_not_records)
{
    static const struct {
        const char *body;
        int status;
        const char *says;
    } rows[] = {
        {"{\"name\":", 400, "bad_json"},
        {"", 400, "bad_json"},
        {"{\"name\":\"x\"} y", 400, "bad_json"},
        {"[]", 422, "invalid"},
        {"\"x\"", 422, "invalid"},
        {"null", 422, "invalid"},
        {"7", 422, "invalid"},
        {"{}", 422, "/name"},
        {"{\"name\":\"\"}", 422, "/name"},
        {"{\"name\":7}", 422, "/name"},
        {"{\"name\":\"x\",\"version\":7,\"tags\":[1],\"description\":[]}", 422, "/tags/0"},
        {"{\"name\":\"x\",\"version\":7,\"tags\":[1],\"description\":[]}", 422, "/description"},
        {"{\"name\":\"x\",\"version\":7,\"tags\":[1],\"description\":[]}", 422, "/version"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(ask("POST", "/models", AUTH, rows[i].body), rows[i].status, "%s: %d", rows[i].body, r.status);
        cr_assert(body_has(rows[i].says), "%s: %.*s", rows[i].body, (int)r.body.n, (char *)r.body.p);
    }
    cr_assert_eq(t.fake->calls, 0);
}

Test(write, put_replaces)
{
    cr_assert_eq(ask("PUT", path, AUTH, "{\"version\":\"2\"}"), 200);
    cr_assert(body_has("\"version\":\"2\"") && !body_has("description"));
    cr_assert_not_null(reply_header(&r, "ETag"));
    cr_assert_eq(ask("PUT", "/models/m", AUTH, "{\"name\":\"m\",\"version\":\"3\"}"), 200);
    cr_assert_eq(ask("PUT", path, AUTH, "{\"name\":\"other\"}"), 422);
    cr_assert(body_has("/name"));
    cr_assert_eq(ask("PUT", "/models/absent", AUTH, "{}"), 404);
    cr_assert_eq(ask("PUT", path, "Authorization: Bearer other\r\n", "{}"), 403);
    cr_assert_str_eq(reply_member(&r, "code"), "denied");
}

/* The record as its GET answered it can be sent back. */
Test(write, put_takes_what_get_gave)
{
    struct buf shown = {0};
    cr_assert_eq(ask("GET", path, "", NULL), 200);
    buf_put_bytes(&shown, buf_view(&r.body));
    cr_assert_eq(ask("PUT", path, AUTH, buf_cstr(&shown)), 200);
    cr_assert(bytes_eq(buf_view(&shown), buf_view(&r.body)));
    buf_close(&shown);
}

struct row {
    const char *name, *value;
    int status;
};

static const struct row conditions[] = {
    {"If-Match", "@", 200},
    {"If-Match", "*", 200},
    {"If-Match", OTHER_TAG, 412},
    {"If-Match", OTHER_TAG ", @", 200},
    {"If-Match", "@ ,, " OTHER_TAG, 200},
    {"If-Match", "W/@", 412},
    {"If-Match", OTHER_TAG ", W/@", 412},
    {"If-Match", "\"short\"", 412},
    {"If-Match", "\"\"", 412},
    {"If-Match", "unquoted", 400},
    {"If-Match", "\"open", 400},
    {"If-Match", "", 400},
    {"If-Match", "*, @", 400},
    {"If-Match", "@x", 400},
    {"If-None-Match", "*", 412},
    {"If-None-Match", "@", 412},
    {"If-None-Match", "W/@", 412},
    {"If-None-Match", OTHER_TAG, 200},
    {"If-None-Match", "bad", 400},
};

Test(write, conditions_of_put_patch_and_delete)
{
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        const struct row *c = &conditions[i];
        cr_expect_eq(ask("PUT", path, with(c->name, c->value), "{\"version\":\"1\"}"), c->status, "PUT %s: %s: %d",
                     c->name, c->value, r.status);
        cr_expect_eq(ask("PATCH", path, with(c->name, c->value), "{\"version\":\"2\"}"), c->status, "PATCH %s: %s: %d",
                     c->name, c->value, r.status);
        int deleted = ask("DELETE", path, with(c->name, c->value), NULL);
        cr_expect_eq(deleted, c->status == 200 ? 204 : c->status, "DELETE %s: %s: %d", c->name, c->value, deleted);
        e->deleted = false;
    }
}

Test(write, conditions_of_get)
{
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        const struct row *c = &conditions[i];
        bool none = strcmp(c->name, "If-None-Match") == 0;
        int want = none && c->status == 412 ? 304 : c->status;
        cr_expect_eq(ask("GET", path, with(c->name, c->value), NULL), want, "%s: %s: %d", c->name, c->value, r.status);
        if (want == 304) {
            cr_expect_str_eq(reply_header(&r, "ETag"), tag);
            cr_expect_null(reply_header(&r, "Content-Length"));
        }
    }
}

Test(write, a_condition_over_several_lines_is_one_list)
{
    char two[512];
    (void)snprintf(two, sizeof two, "%sIf-Match: " OTHER_TAG "\r\n", with("If-Match", "@"));
    cr_assert_eq(ask("PUT", path, two, "{}"), 200);
}

/* What stands after a chunked body says nothing about the request. */
Test(write, trailers_are_no_headers)
{
    talk_send(&t, "POST /models HTTP/1.1\r\nHost: a\r\n" AUTH "Transfer-Encoding: chunked\r\n\r\n"
                  "c\r\n{\"name\":\"m\"}\r\n0\r\nIf-None-Match: *\r\nContent-Type: text/xml\r\n\r\n");
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 200, "%d", r.status);
}

Test(write, patch_names_only_what_changes)
{
    cr_assert_eq(ask("PUT", path, AUTH, "{\"description\":\"d\",\"version\":\"1\",\"metadata\":{\"a\":\"1\",\"b\":\"2\"}}"), 200);
    cr_assert_eq(ask("PATCH", path, AUTH "Content-Type: application/merge-patch+json\r\n",
                     "{\"version\":null,\"metadata\":{\"b\":null,\"c\":\"3\"}}"), 200);
    cr_assert(body_has("\"description\":\"d\"") && !body_has("\"version\""));
    cr_assert(body_has("\"metadata\":{\"a\":\"1\",\"c\":\"3\"}"), "%.*s", (int)r.body.n, (char *)r.body.p);
    cr_assert_eq(ask("PATCH", "/models/m", AUTH, "{\"version\":7}"), 422);
    cr_assert(body_has("/version"));
    cr_assert_eq(ask("PATCH", path, AUTH, "["), 400);
    cr_assert_eq(ask("PATCH", "/models/absent", AUTH, "{}"), 404);
    cr_assert_eq(ask("PATCH", path, "Authorization: Bearer other\r\n", "{}"), 403);
    cr_assert_eq(ask("PATCH", path, AUTH "Content-Type: application/json-patch+json\r\n", "[]"), 415);
}

/* A write from elsewhere between the read and the write of a patch. */
Test(write, patch_is_merged_again_when_the_entry_changed)
{
    t.fake->meddle = 3;
    cr_assert_eq(ask("PATCH", path, AUTH, "{\"version\":\"9\"}"), 200);
    cr_assert_eq(t.fake->meddle, 0);
    t.fake->meddle = 1;
    cr_assert_eq(ask("PATCH", path, with("If-Match", "@"), "{\"version\":\"9\"}"), 412);
    t.fake->meddle = 1000;
    cr_assert_eq(ask("PATCH", path, AUTH, "{\"version\":\"9\"}"), 409);
    cr_assert_str_eq(reply_member(&r, "code"), "contended");
    cr_assert(t.fake->meddle > 900, "the tries are bounded");
}

Test(write, delete_then_gone)
{
    cr_assert_eq(ask("DELETE", path, "Authorization: Bearer other\r\n", NULL), 403);
    cr_assert_eq(ask("DELETE", path, AUTH, NULL), 204);
    cr_assert_null(reply_header(&r, "Content-Length"));
    cr_assert_eq(ask("GET", path, "", NULL), 404);
    cr_assert_eq(ask("DELETE", path, AUTH, NULL), 404);
    cr_assert_eq(ask("PUT", path, AUTH, "{}"), 404);
    cr_assert_eq(ask("POST", "/models", AUTH, "{\"name\":\"m\"}"), 201);
}

Test(write, types_of_bodies)
{
    static const struct {
        const char *type;
        int status;
    } rows[] = {{"application/json", 200}, {"application/json; charset=utf-8", 200}, {"application/vnd.x+json", 200},
                {"APPLICATION/JSON", 200}, {"application/x-www-form-urlencoded", 200}, {"text/xml", 415},
                {"multipart/form-data; boundary=x", 415}, {"application/msgpack", 415}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[128];
        (void)snprintf(header, sizeof header, AUTH "Content-Type: %s\r\n", rows[i].type);
        cr_assert_eq(ask("POST", "/models", header, "{\"name\":\"m\"}"), rows[i].status, "%s", rows[i].type);
    }
}

Test(write, every_call_may_take_its_time)
{
    t.fake->delay = true;
    cr_assert_eq(ask("PATCH", "/models/m", AUTH, "{\"version\":\"9\"}"), 0);
    for (int i = 0; i < 3; i++) { /* find, get, write */
        cr_assert_eq(t.fake->waiting, 1);
        cr_assert(fake_step(t.fake));
    }
    talk_collect(&t);
    cr_assert(talk_take(&t, &r, false));
    cr_assert_eq(r.status, 200);
}
