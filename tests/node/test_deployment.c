/*
 * Manifests: what is taken, what each mistake is told, defaults; and inputs as the program is given them.
 */
#include "node/deployment.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

static enum err parse(const char *text, struct deployment *d, struct buf *why)
{
    json_t *root = json_loads(text, JSON_DECODE_ANY, NULL);
    cr_assert(root != NULL, "%s", text);
    *d = (struct deployment){.kind = 1};
    enum err e = deployment_parse(d, root, why);
    json_decref(root);
    return e;
}

Test(deployment, a_command_is_enough)
{
    struct deployment d;
    struct buf why = {0};
    cr_assert_eq(parse("{\"command\":[\"cat\",\"-u\",\"\"]}", &d, &why), ERR_OK, "%s", buf_cstr(&why));
    cr_assert_eq(d.argc, 3);
    cr_assert_str_eq(d.argv[0], "cat");
    cr_assert_str_eq(d.argv[2], "");
    cr_assert_null(d.argv[3]);
    cr_assert_eq(d.limits.memory_bytes, 256u << 20);
    cr_assert_eq(d.limits.wall_ms, 10000);
    cr_assert_eq(d.limits.cpu_ms, 0);
    cr_assert_eq(d.limits.processes, 64);
    cr_assert_eq(d.limits.output_bytes, 1u << 20);
    cr_assert_eq(d.input, SANDBOX_JSON);
    cr_assert_eq(d.output, SANDBOX_JSON);
    cr_assert(!d.share && d.weak == SANDBOX_STRICT && d.workers == 0 && d.env[0] == NULL);
    cr_assert_eq(json_integer_value(json_object_get(json_object_get(d.manifest, "limits"), "memory_mb")), 256);
    deployment_close(&d);
    buf_close(&why);
}

Test(deployment, everything)
{
    static const char text[] =
        "{\"command\":[\"/opt/m/run\"],\"env\":{\"A\":\"1\",\"B\":\"x=y\"},"
        "\"mounts\":[{\"from\":\"/srv/model\",\"to\":\"/model\"},{\"blob\":"
        "\"00000000000000000000000000000000000000000000000000000000000000ff\",\"to\":\"/w\"}],"
        "\"limits\":{\"memory_mb\":64,\"wall_s\":3,\"cpu_s\":2,\"processes\":5,\"output_kb\":2,\"tmp_mb\":100,\"files\":32},"
        "\"input\":\"text\",\"output\":\"bytes\",\"workers\":2,\"frames\":\"frames\",\"queue\":9,\"idle_s\":7,"
        "\"parallel\":3,\"share\":true,\"allow_weak\":true}";
    struct deployment d, again;
    struct buf why = {0};
    cr_assert_eq(parse(text, &d, &why), ERR_OK, "%s", buf_cstr(&why));
    cr_assert_str_eq(d.env[0], "A=1");
    cr_assert_str_eq(d.env[1], "B=x=y");
    cr_assert_null(d.env[2]);
    cr_assert_eq(d.mount_count, 2);
    cr_assert_str_eq(d.mounts[0].source, "/srv/model");
    cr_assert(d.mounts[1].has_blob && d.mounts[1].blob.b[31] == 0xff && d.mounts[1].source == NULL);
    cr_assert_eq(d.limits.tmp_bytes, 64u << 20, "not more than the memory");
    cr_assert(d.share && d.weak == SANDBOX_WEAK && d.workers == 2 && d.frames == DEPLOYMENT_FRAMES);
    cr_assert(d.queue == 9 && d.idle_ms == 7000 && d.parallel == 3 && d.output == SANDBOX_BYTES);
    char *dumped = json_dumps(d.manifest, JSON_COMPACT);
    cr_assert_eq(parse(dumped, &again, &why), ERR_OK, "%s", buf_cstr(&why));
    cr_assert(json_equal(d.manifest, again.manifest));
    free(dumped);
    deployment_close(&d);
    deployment_close(&again);
    buf_close(&why);
}

Test(deployment, mistakes_are_named)
{
    static const char *const rows[][2] = {
        {"[]", "JSON object"},
        {"{}", "command"},
        {"{\"command\":\"cat\"}", "command"},
        {"{\"command\":[]}", "command"},
        {"{\"command\":[\"\"]}", "command"},
        {"{\"command\":[1]}", "command"},
        {"{\"command\":[\"a\\u0000b\"]}", "command"},
        {"{\"command\":[\"x\"],\"memory\":1}", "memory is no member"},
        {"{\"command\":[\"x\"],\"limits\":{\"memory\":1}}", "limits.memory is no limit"},
        {"{\"command\":[\"x\"],\"limits\":{\"memory_mb\":0}}", "limits.memory_mb must be a whole number from 1"},
        {"{\"command\":[\"x\"],\"limits\":{\"memory_mb\":1.5}}", "limits.memory_mb"},
        {"{\"command\":[\"x\"],\"limits\":{\"wall_s\":-1}}", "limits.wall_s"},
        {"{\"command\":[\"x\"],\"limits\":[]}", "limits must be"},
        {"{\"command\":[\"x\"],\"env\":[]}", "env"},
        {"{\"command\":[\"x\"],\"env\":{\"A=B\":\"1\"}}", "env"},
        {"{\"command\":[\"x\"],\"env\":{\"A\":1}}", "env"},
        {"{\"command\":[\"x\"],\"mounts\":{}}", "mounts"},
        {"{\"command\":[\"x\"],\"mounts\":[{\"from\":\"a\",\"to\":\"/b\"}]}", "absolute"},
        {"{\"command\":[\"x\"],\"mounts\":[{\"from\":\"/a\",\"to\":\"b\"}]}", "absolute"},
        {"{\"command\":[\"x\"],\"mounts\":[{\"from\":\"/a\",\"blob\":\"00\",\"to\":\"/b\"}]}", "mounts"},
        {"{\"command\":[\"x\"],\"mounts\":[{\"blob\":\"00\",\"to\":\"/b\"}]}", "64 hex digits"},
        {"{\"command\":[\"x\"],\"mounts\":[{\"to\":\"/b\"}]}", "mounts"},
        {"{\"command\":[\"x\"],\"input\":\"xml\"}", "input must be"},
        {"{\"command\":[\"x\"],\"share\":1}", "share must be true or false"},
        {"{\"command\":[\"x\"],\"frames\":\"words\"}", "frames"},
        {"{\"command\":[\"x\"],\"workers\":1,\"output\":\"bytes\"}", "frames"},
        {"{\"command\":[\"x\"],\"workers\":65}", "workers must be a whole number from 0 to 64"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct deployment d;
        struct buf why = {0};
        json_t *root = json_loads(rows[i][0], JSON_ALLOW_NUL, NULL);
        d = (struct deployment){.kind = 1};
        cr_assert_eq(deployment_parse(&d, root, &why), ERR_INVALID, "%s", rows[i][0]);
        cr_assert(strstr(buf_cstr(&why), rows[i][1]) != NULL, "%s: %s", rows[i][0], buf_cstr(&why));
        json_decref(root);
        deployment_close(&d);
        buf_close(&why);
    }
}

static void input(enum sandbox_kind kind, unsigned given, const char *body, const char *want)
{
    struct buf scratch = {0}, why = {0};
    struct bytes text;
    struct deployment_given sent = {.media = given, .body = bytes_str(body)};
    enum err e = deployment_input(kind, &sent, &scratch, &text, &why);
    cr_assert_eq(e, want != NULL ? ERR_OK : ERR_INVALID, "%s", body);
    cr_assert(want == NULL ? why.n > 0 : bytes_eq(text, bytes_str(want)), "%s", body);
    buf_close(&scratch);
    buf_close(&why);
}

enum { NOTHING, JSON, TEXT, BYTES };

Test(deployment, inputs)
{
    input(SANDBOX_JSON, JSON, "{\"a\":1}", "{\"a\":1}");
    input(SANDBOX_JSON, NOTHING, " 1 ", " 1 ");
    input(SANDBOX_JSON, TEXT, "\"x\"", "\"x\"");
    input(SANDBOX_JSON, TEXT, "x", NULL);
    input(SANDBOX_JSON, NOTHING, "", "null");
    input(SANDBOX_JSON, JSON, "{\"a\":1,\"a\":2}", NULL);
    input(SANDBOX_TEXT, JSON, "\"two\\nlines\"", "two\nlines");
    input(SANDBOX_TEXT, JSON, "{\"a\":1}", "{\"a\":1}");
    input(SANDBOX_TEXT, JSON, "no json", NULL);
    input(SANDBOX_TEXT, TEXT, "\"quoted\"", "\"quoted\"");
    input(SANDBOX_TEXT, NOTHING, "plain", "plain");
    input(SANDBOX_TEXT, BYTES, "\xff", NULL);
    input(SANDBOX_BYTES, BYTES, "\xff", "\xff");
    input(SANDBOX_BYTES, JSON, "\"abc\"", "abc");
    input(SANDBOX_BYTES, TEXT, "", "");
}
