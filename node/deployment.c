/*
 * Reading manifests. Every member is known, typed and bounded; what a member's bounds mean for the sandbox is judged there
 * again when the deployment starts.
 */
#include "node/deployment.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024u * 1024u)

/* Members with a number: default, least, most. */
struct number {
    const char *group, *name; /* group NULL: top level */
    uint64_t fallback, least, most;
};

static const struct number numbers[] = {
    {"limits", "memory_mb", 256, 1, 1u << 20},   {"limits", "wall_s", 10, 1, 86400},
    {"limits", "cpu_s", 0, 0, 86400},            {"limits", "processes", 64, 1, SANDBOX_PROCESSES_MAX},
    {"limits", "output_kb", 1024, 1, 65536},     {"limits", "tmp_mb", 16, 1, 1u << 20},
    {"limits", "files", 256, 8, 65536},          {"limits", "cpu_percent", 0, 0, 100000},
    {NULL, "workers", 0, 0, DEPLOYMENT_WORKERS_MAX}, {NULL, "parallel", 4, 1, 256},
    {NULL, "queue", 64, 1, DEPLOYMENT_QUEUE_MAX},    {NULL, "idle_s", 300, 1, 86400},
};
#define NUMBERS (sizeof numbers / sizeof *numbers)

static const char *const members[] = {"command", "env",    "mounts",   "limits", "input",  "output", "workers",
                                      "frames",  "parallel", "queue",  "idle_s", "share",  "allow_weak"};

struct reader {
    struct deployment *d;
    const json_t *in;
    struct buf *why;
};

static bool fault(struct reader *r, const char *member, const char *what)
{
    assert(member[0] != 0 && what[0] != 0);
    buf_printf(r->why, "manifest: %s %s", member, what);
    return false;
}

/* ---- parts ----------------------------------------------------------------------------------------------------- */

static bool known_members(struct reader *r)
{
    const char *key;
    json_t *value;
    assert(json_is_object(r->in));
    json_object_foreach((json_t *)(uintptr_t)r->in, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < sizeof members / sizeof *members; i++)
            known = known || strcmp(members[i], key) == 0;
        if (!known) {
            buf_printf(r->why, "manifest: %.60s is no member that a manifest has; they are", key);
            for (size_t i = 0; i < sizeof members / sizeof *members; i++)
                buf_printf(r->why, " %s", members[i]);
            return false;
        }
    }
    json_object_foreach(json_object_get(r->in, "limits"), key, value)
    {
        bool known = false;
        for (size_t i = 0; i < NUMBERS; i++)
            known = known || (numbers[i].group != NULL && strcmp(numbers[i].name, key) == 0);
        if (!known) {
            buf_printf(r->why, "manifest: limits.%.60s is no limit; they are", key);
            for (size_t i = 0; i < NUMBERS; i++)
                if (numbers[i].group != NULL)
                    buf_printf(r->why, " %s", numbers[i].name);
            return false;
        }
    }
    return true;
}

/* A text without NUL of 1 to SANDBOX_PATH_MAX - 1 bytes; jansson has checked its UTF-8. */
static const char *text_of(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t n = json_string_length(value);
    return text != NULL && n > 0 && strlen(text) == n ? text : NULL;
}

static bool read_command(struct reader *r)
{
    const json_t *list = json_object_get(r->in, "command");
    size_t n = json_array_size(list), bytes = 0;
    if (n == 0 || n > SANDBOX_ARGS_MAX)
        return fault(r, "command", "must be an array of 1 to 256 texts: the program and its arguments");
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        const char *text = json_string_value(item);
        if (text == NULL || strlen(text) != json_string_length(item) || (i == 0 && text[0] == 0))
            return fault(r, "command", "must hold texts without NUL, the first one not empty");
        bytes += strlen(text) + 1;
        r->d->argv[i] = text;
    }
    assert(n <= SANDBOX_ARGS_MAX);
    if (bytes > SANDBOX_TEXT_MAX)
        return fault(r, "command", "is longer than 32768 bytes");
    r->d->argc = n;
    return true;
}

static bool read_env(struct reader *r)
{
    const char *key;
    json_t *value, *env = json_object_get(r->in, "env");
    size_t starts[SANDBOX_ENV_MAX], n = 0;
    if (env != NULL && !json_is_object(env))
        return fault(r, "env", "must be an object of texts");
    json_object_foreach(env, key, value)
    {
        const char *text = json_string_value(value);
        if (n == SANDBOX_ENV_MAX || r->d->arena.n > SANDBOX_TEXT_MAX)
            return fault(r, "env", "has more than 64 variables or 32768 bytes");
        if (text == NULL || strlen(text) != json_string_length(value) || key[0] == 0 || strchr(key, '=') != NULL)
            return fault(r, "env", "must hold texts without NUL, under names without =");
        starts[n++] = r->d->arena.n;
        buf_printf(&r->d->arena, "%s=%s", key, text);
        buf_put_u8(&r->d->arena, 0);
    }
    for (size_t i = 0; i < n; i++)
        r->d->env[i] = (const char *)r->d->arena.p + starts[i];
    assert(n <= SANDBOX_ENV_MAX);
    r->d->env_count = n;
    return true;
}

static bool read_mount(struct reader *r, const json_t *row, struct deployment_mount *m)
{
    const char *blob = text_of(json_object_get(row, "blob"));
    m->source = text_of(json_object_get(row, "from"));
    m->target = text_of(json_object_get(row, "to"));
    if (!json_is_object(row) || (m->source == NULL) == (blob == NULL) || m->target == NULL || json_object_size(row) != 2)
        return fault(r, "mounts", "must hold objects {\"from\": PATH, \"to\": PATH} or {\"blob\": HASH, \"to\": PATH}");
    if ((m->source != NULL && m->source[0] != '/') || m->target[0] != '/')
        return fault(r, "mounts", "must name absolute paths");
    m->has_blob = blob != NULL;
    if (blob != NULL && !id_parse(&m->blob, bytes_str(blob)))
        return fault(r, "mounts", "must name a blob by the 64 hex digits that `souk push` printed");
    return true;
}

static bool read_mounts(struct reader *r)
{
    const json_t *list = json_object_get(r->in, "mounts");
    if (list != NULL && (!json_is_array(list) || json_array_size(list) > SANDBOX_MOUNTS_MAX))
        return fault(r, "mounts", "must be an array of at most 16 objects");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!read_mount(r, json_array_get(list, i), &r->d->mounts[i]))
            return false;
    r->d->mount_count = json_array_size(list);
    assert(r->d->mount_count <= SANDBOX_MOUNTS_MAX);
    return true;
}

static bool read_number(struct reader *r, const struct number *n, uint64_t *out)
{
    const json_t *from = n->group != NULL ? json_object_get(r->in, n->group) : r->in;
    const json_t *value = json_object_get(from, n->name);
    json_int_t v = json_integer_value(value);
    assert(n->fallback >= n->least && n->fallback <= n->most);
    *out = n->fallback;
    if (value == NULL)
        return true;
    *out = (uint64_t)v;
    if (json_is_integer(value) && v >= 0 && *out >= n->least && *out <= n->most)
        return true;
    buf_printf(r->why, "manifest: %s%s%s must be a whole number from %llu to %llu", n->group != NULL ? n->group : "",
               n->group != NULL ? "." : "", n->name, (unsigned long long)n->least, (unsigned long long)n->most);
    return false;
}

static bool read_numbers(struct reader *r)
{
    struct deployment *d = r->d;
    uint64_t v[NUMBERS];
    const json_t *limits = json_object_get(r->in, "limits");
    if (limits != NULL && !json_is_object(limits))
        return fault(r, "limits", "must be an object");
    for (size_t i = 0; i < NUMBERS; i++)
        if (!read_number(r, &numbers[i], &v[i]))
            return false;
    d->limits = (struct sandbox_limits){.memory_bytes = v[0] * MIB, .wall_ms = v[1] * 1000, .cpu_ms = v[2] * 1000,
                                        .processes = (uint32_t)v[3], .output_bytes = v[4] * 1024, .tmp_bytes = v[5] * MIB,
                                        .files = (uint32_t)v[6], .cpu_percent = (uint32_t)v[7]};
    if (d->limits.tmp_bytes > d->limits.memory_bytes)
        d->limits.tmp_bytes = d->limits.memory_bytes;
    d->workers = (uint32_t)v[8];
    d->parallel = (uint32_t)v[9];
    d->queue = (uint32_t)v[10];
    d->idle_ms = v[11] * 1000;
    assert(d->limits.memory_bytes > 0 && d->limits.wall_ms > 0 && d->limits.tmp_bytes <= d->limits.memory_bytes);
    assert(d->parallel >= 1 && d->queue >= 1 && d->workers <= DEPLOYMENT_WORKERS_MAX);
    return true;
}

static bool read_kind(struct reader *r, const char *member, enum sandbox_kind *out)
{
    const json_t *value = json_object_get(r->in, member);
    *out = SANDBOX_JSON;
    if (value == NULL || (json_is_string(value) && sandbox_kind_parse(json_string_value(value), out)))
        return true;
    return fault(r, member, "must be \"json\", \"text\" or \"bytes\"");
}

static bool read_flag(struct reader *r, const char *member, bool *out)
{
    const json_t *value = json_object_get(r->in, member);
    *out = json_is_true(value);
    return value == NULL || json_is_boolean(value) || fault(r, member, "must be true or false");
}

static bool read_frames(struct reader *r)
{
    const char *word = json_string_value(json_object_get(r->in, "frames"));
    bool given = json_object_get(r->in, "frames") != NULL, lines = word != NULL && strcmp(word, "lines") == 0;
    if (given && !lines && (word == NULL || strcmp(word, "frames") != 0))
        return fault(r, "frames", "must be \"lines\" or \"frames\"");
    r->d->frames = given && !lines ? DEPLOYMENT_FRAMES : DEPLOYMENT_LINES;
    bool bytes = r->d->input == SANDBOX_BYTES || r->d->output == SANDBOX_BYTES;
    if (r->d->workers > 0 && r->d->frames == DEPLOYMENT_LINES && bytes)
        return fault(r, "frames", "must be \"frames\" for workers that read or write bytes");
    return true;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* The manifest with every default said. */
static json_t *complete(const struct deployment *d, const json_t *in)
{
    json_t *out = json_deep_copy(in), *limits = json_object_get(out, "limits");
    assert(json_is_object(out));
    if (limits == NULL) {
        limits = json_object();
        (void)json_object_set_new(out, "limits", limits);
    }
    for (size_t i = 0; i < NUMBERS; i++) {
        json_t *at = numbers[i].group != NULL ? limits : out;
        if (json_object_get(at, numbers[i].name) == NULL)
            (void)json_object_set_new(at, numbers[i].name, json_integer((json_int_t)numbers[i].fallback));
    }
    (void)json_object_set_new(out, "input", json_string(sandbox_kind_name(d->input)));
    (void)json_object_set_new(out, "output", json_string(sandbox_kind_name(d->output)));
    (void)json_object_set_new(out, "share", json_boolean(d->share));
    (void)json_object_set_new(out, "allow_weak", json_boolean(d->weak == SANDBOX_WEAK));
    return out;
}

static bool read_all(struct reader *r)
{
    bool weak = false;
    if (!json_is_object(r->in))
        return fault(r, "it", "must be a JSON object");
    bool ok = known_members(r) && read_numbers(r) && read_kind(r, "input", &r->d->input) &&
              read_kind(r, "output", &r->d->output) && read_flag(r, "share", &r->d->share) &&
              read_flag(r, "allow_weak", &weak) && read_frames(r);
    r->d->weak = weak ? SANDBOX_WEAK : SANDBOX_STRICT;
    return ok;
}

enum err deployment_parse(struct deployment *out, const json_t *manifest, struct buf *why)
{
    struct reader r = {.d = out, .in = manifest, .why = why};
    assert(out->manifest == NULL);
    if (!read_all(&r))
        return ERR_INVALID;
    out->manifest = complete(out, manifest);
    r.in = out->manifest; /* texts are borrowed from the copy */
    if (read_command(&r) && read_env(&r) && read_mounts(&r))
        return ERR_OK;
    deployment_close(out);
    return ERR_INVALID;
}

void deployment_close(struct deployment *d)
{
    json_decref(d->manifest);
    buf_close(&d->arena);
    *d = (struct deployment){.entry = d->entry, .kind = d->kind};
}

/* ---- input -------------------------------------------------------------------------------------------------------- */

enum { GIVEN_NOTHING, GIVEN_JSON, GIVEN_TEXT, GIVEN_BYTES };

/* A JSON string stands for its text; any other JSON for itself. */
static enum err text_input(struct bytes body, struct buf *scratch, struct bytes *text, struct buf *why)
{
    json_t *value = json_loadb((const char *)body.p, body.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    *text = body;
    if (value == NULL) {
        buf_put_str(why, "the input is said to be JSON, but is not");
        return ERR_INVALID;
    }
    if (json_is_string(value)) {
        buf_put(scratch, json_string_value(value), json_string_length(value));
        *text = buf_view(scratch);
    }
    json_decref(value);
    return ERR_OK;
}

enum err deployment_input(enum sandbox_kind kind, const struct deployment_given *given, struct buf *scratch,
                          struct bytes *text, struct buf *why)
{
    struct bytes body = given->body;
    assert(given->media <= GIVEN_BYTES && (body.n == 0 || body.p != NULL));
    *text = body;
    switch (kind) {
    case SANDBOX_JSON: {
        struct buf reason = {0};
        if (body.n == 0) { /* nothing said is null */
            buf_put_str(scratch, "null");
            *text = buf_view(scratch);
            return ERR_OK;
        }
        enum err e = sandbox_json_check(body, &reason);
        if (e != ERR_OK)
            buf_printf(why, "this takes JSON as input: %s", buf_cstr(&reason));
        buf_close(&reason);
        return e == ERR_OK ? ERR_OK : ERR_INVALID;
    }
    case SANDBOX_TEXT:
        if (given->media == GIVEN_JSON) {
            enum err e = text_input(body, scratch, text, why);
            if (e != ERR_OK)
                return e;
        }
        if (utf8_valid(*text))
            return ERR_OK;
        buf_put_str(why, "this takes text as input, which must be UTF-8");
        return ERR_INVALID;
    case SANDBOX_BYTES:
        return given->media == GIVEN_JSON ? text_input(body, scratch, text, why) : ERR_OK;
    }
    return ERR_INVALID;
}
