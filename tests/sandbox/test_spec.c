/*
 * What may be asked of the sandbox: each bad value is refused by name, a missing layer with what it would have defended.
 */
#include "sandbox/sandbox.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *const argv[] = {"prog", NULL};
static const struct sandbox_file exe = {.path = "/usr/bin/true", .fd = 3};

static struct sandbox_spec plain(void)
{
    return (struct sandbox_spec){.exe = &exe, .argv = argv};
}

static struct sandbox_layers all_layers(void)
{
    struct sandbox_layers layers = {.cgroup_version = 2};
    for (int i = 0; i < SANDBOX_LAYER_COUNT; i++)
        layers.active[i] = true;
    return layers;
}

static void expect(const struct sandbox_spec *spec, const struct sandbox_layers *layers, enum err want,
                   const char *words)
{
    struct buf why = {0};
    enum err err = sandbox_spec_check(spec, layers, &why);
    cr_expect_eq(err, want, "%s, not %s: %s", err_text(err), err_text(want), buf_cstr(&why));
    cr_expect(strstr(buf_cstr(&why), words) != NULL, "wanted \"%s\" in: %s", words, buf_cstr(&why));
    buf_close(&why);
}

Test(spec, the_defaults_are_those_of_the_contract)
{
    struct sandbox_limits l = sandbox_limits_fill((struct sandbox_limits){0});
    cr_expect_eq(l.wall_ms, 10000u);
    cr_expect_eq(l.cpu_ms, 0u);
    cr_expect_eq(l.memory_bytes, 256u << 20);
    cr_expect_eq(l.processes, 64u);
    cr_expect_eq(l.output_bytes, 1u << 20);
    l = sandbox_limits_fill((struct sandbox_limits){.wall_ms = 5, .processes = 2});
    cr_expect_eq(l.wall_ms, 5u);
    cr_expect_eq(l.processes, 2u);
}

Test(spec, a_plain_one_holds)
{
    struct sandbox_layers layers = all_layers();
    struct sandbox_spec s = plain();
    expect(&s, &layers, ERR_OK, "");
    expect(&s, NULL, ERR_OK, "");
}

Test(spec, limits_out_of_range_are_named)
{
    struct sandbox_spec s = plain();
    s.limits.memory_bytes = 1000;
    expect(&s, NULL, ERR_INVALID, "memory_bytes is 1000");
    s = plain();
    s.limits.output_bytes = SANDBOX_OUTPUT_MAX + 1;
    expect(&s, NULL, ERR_INVALID, "output_bytes");
    s = plain();
    s.limits.processes = SANDBOX_PROCESSES_MAX + 1;
    expect(&s, NULL, ERR_INVALID, "processes");
}

Test(spec, mounts_that_could_reach_the_sandboxs_own_are_refused)
{
    static const char *const targets[] = {
        "/",   "/proc", "/proc/self", "/dev/null",    "/tmp/x",           "app", "/a/../b", "/a//b",
        "/a/", "/a/.",  "/usr/bin",   "/lib64/ld.so", "/etc/alternatives"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct sandbox_mount m = {.source = "/srv/model", .target = targets[i]};
        struct sandbox_spec s = plain();
        s.mounts = &m;
        s.mounts_count = 1;
        expect(&s, NULL, ERR_INVALID, targets[i]);
    }
    struct sandbox_mount two[] = {{.source = "/srv/a", .target = "/app"}, {.source = "/srv/b", .target = "/app"}};
    struct sandbox_spec s = plain();
    s.mounts = two;
    s.mounts_count = 2;
    expect(&s, NULL, ERR_INVALID, "two mounts");
    two[1] = (struct sandbox_mount){.source = "srv", .target = "/b"};
    expect(&s, NULL, ERR_INVALID, "source \"srv\"");
    two[1] = (struct sandbox_mount){.source = "/srv/b", .target = "/procs"};
    expect(&s, NULL, ERR_OK, "");
    s.mounts_count = SANDBOX_MOUNTS_MAX + 1;
    expect(&s, NULL, ERR_INVALID, "17 mounts");
}

Test(spec, arguments_and_environment_are_bounded)
{
    static char big[SANDBOX_TEXT_MAX];
    static const char *many[SANDBOX_ARGS_MAX + 2];
    struct sandbox_spec s = plain();
    for (int i = 0; i <= SANDBOX_ARGS_MAX; i++)
        many[i] = "x";
    s.argv = many;
    expect(&s, NULL, ERR_INVALID, "arguments");
    s.argv = (const char *const[]){NULL};
    expect(&s, NULL, ERR_INVALID, "0 arguments");
    memset(big, 'a', sizeof big - 1);
    s.argv = (const char *const[]){big, "x", NULL};
    expect(&s, NULL, ERR_INVALID, "bytes; at most");
    s = plain();
    s.env = (const char *const[]){"A=1", "B", NULL};
    expect(&s, NULL, ERR_INVALID, "\"B\" is not NAME=value");
    s.env = (const char *const[]){"=1", NULL};
    expect(&s, NULL, ERR_INVALID, "not NAME=value");
    s = plain();
    s.exe = NULL;
    expect(&s, NULL, ERR_INVALID, "no executable");
}

Test(spec, each_required_layer_is_required_and_the_memory_cgroup_unless_weak)
{
    for (int i = 0; i < SANDBOX_LAYER_COUNT; i++) {
        struct sandbox_layers layers = all_layers();
        struct sandbox_spec s = plain();
        layers.active[i] = false;
        snprintf(layers.missing[i], sizeof layers.missing[i], "switched off");
        if (sandbox_layer_required((enum sandbox_layer)i)) {
            expect(&s, &layers, ERR_DENIED, sandbox_layer_name((enum sandbox_layer)i));
            expect(&s, &layers, ERR_DENIED, "switched off");
            s.weak = SANDBOX_WEAK;
            expect(&s, &layers, ERR_DENIED, "nothing is run");
        } else if (i == SANDBOX_LAYER_CGROUP_MEMORY) {
            expect(&s, &layers, ERR_DENIED, "--allow-weak");
            s.weak = SANDBOX_WEAK;
            expect(&s, &layers, ERR_OK, "");
        } else {
            expect(&s, &layers, ERR_OK, "");
        }
    }
}

Test(spec, outputs_are_held_against_their_kind)
{
    struct buf why = {0};
    cr_expect_eq(sandbox_output_check(SANDBOX_TEXT, bytes_str("h\xc3\xa9"), &why), ERR_OK);
    cr_expect_eq(sandbox_output_check(SANDBOX_TEXT, bytes_of("", 0), &why), ERR_OK);
    cr_expect_eq(sandbox_output_check(SANDBOX_TEXT, bytes_of("a\0b", 3), &why), ERR_FORM);
    cr_expect_eq(sandbox_output_check(SANDBOX_TEXT, bytes_str("\xff"), &why), ERR_FORM);
    cr_expect_eq(sandbox_output_check(SANDBOX_BYTES, bytes_of("\0\xff", 2), &why), ERR_OK);
    cr_expect_eq(sandbox_output_check(SANDBOX_JSON, bytes_str("{}"), &why), ERR_OK);
    cr_expect_eq(sandbox_output_check(SANDBOX_JSON, bytes_str("hello"), &why), ERR_FORM);
    buf_close(&why);
}

Test(spec, names_are_those_of_the_api)
{
    enum sandbox_kind kind = SANDBOX_JSON;
    cr_expect_str_eq(sandbox_status_name(SANDBOX_OUTPUT_LIMIT), "output_limit");
    cr_expect_str_eq(sandbox_status_name(SANDBOX_BAD_OUTPUT), "bad_output");
    cr_expect_str_eq(sandbox_status_name(SANDBOX_SETUP), "setup");
    cr_expect(sandbox_kind_parse("bytes", &kind) && kind == SANDBOX_BYTES);
    cr_expect(!sandbox_kind_parse("xml", &kind));
    for (int i = 0; i < SANDBOX_STATUS_COUNT; i++)
        cr_expect_not_null(sandbox_status_name((enum sandbox_status)i));
    for (int i = 0; i < SANDBOX_LAYER_COUNT; i++)
        cr_expect_not_null(sandbox_layer_meaning((enum sandbox_layer)i));
}
