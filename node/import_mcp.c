/*
 * A row of an MCP registry to today's server.json: the older snake_case names become camelCase, the version leaves its
 * envelope, and a package that names no transport talks over standard input. Nothing is shortened or made up.
 */
#include "node/import_map.h"

#include <assert.h>
#include <string.h>

/* Names of all generations; each is tried at every level, where it either is that member or is not there. */
static const char *const names[][2] = {
    {"website_url", "websiteUrl"},         {"registry_name", "registryType"},       {"registry_type", "registryType"},
    {"registry_base_url", "registryBaseUrl"}, {"file_sha256", "fileSha256"},        {"runtime_hint", "runtimeHint"},
    {"runtime_arguments", "runtimeArguments"}, {"package_arguments", "packageArguments"},
    {"environment_variables", "environmentVariables"}, {"transport_type", "type"},  {"value_hint", "valueHint"},
    {"is_required", "isRequired"},         {"is_secret", "isSecret"},               {"is_repeated", "isRepeated"},
    {"mime_type", "mimeType"}};

static void rename_member(json_t *object, const char *from, const char *to)
{
    json_t *value = json_object_get(object, from);
    if (value == NULL || json_object_get(object, to) != NULL)
        return;
    (void)json_object_set(object, to, value);
    (void)json_object_del(object, from);
}

/* `depth` containers below the row; rows come from a parser that bounds them. */
static void rename_all(json_t *value, unsigned depth)
{
    if (depth > MODEL_DEPTH_MAX)
        return;
    for (size_t i = 0; i < json_array_size(value); i++)
        rename_all(json_array_get(value, i), depth + 1);
    if (!json_is_object(value))
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        rename_member(value, names[i][0], names[i][1]);
    for (void *it = json_object_iter(value); it != NULL; it = json_object_iter_next(value, it))
        if (strcmp(json_object_iter_key(it), "_meta") != 0)
            rename_all(json_object_iter_value(it), depth + 1);
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static void mend_package(json_t *package)
{
    rename_member(package, "name", "identifier");
    if (is_text(json_object_get(package, "registryType"), "docker"))
        (void)json_object_set_new(package, "registryType", json_string("oci"));
    if (is_text(json_object_get(package, "version"), ""))
        (void)json_object_del(package, "version"); /* the older shape's way to leave it out */
    if (json_object_get(package, "transport") == NULL) {
        json_t *transport = json_object();
        (void)json_object_set_new(transport, "type", json_string("stdio"));
        (void)json_object_set_new(package, "transport", transport);
    }
}

/* The older shape: version and dates in an envelope, and an id of the registry's own. */
static void open_envelope(json_t *server)
{
    json_t *detail = json_object_get(server, "version_detail");
    if (!json_is_object(detail))
        return;
    json_t *version = json_object_get(detail, "version");
    if (version != NULL && json_object_get(server, "version") == NULL)
        (void)json_object_set(server, "version", version);
    (void)json_object_del(server, "version_detail");
    (void)json_object_del(server, "id");
}

static bool is_old_version(const json_t *row)
{
    const json_t *official = json_object_get(json_object_get(row, "_meta"), "io.modelcontextprotocol.registry/official");
    return json_is_false(json_object_get(official, "isLatest"));
}

json_t *import_map_mcp(const json_t *row, struct faults *faults)
{
    const json_t *inner = json_object_get(row, "server");
    const json_t *source = json_is_object(inner) ? inner : row;
    if (!json_is_object(source)) {
        faults_add(faults, "", "the row is not an object");
        return NULL;
    }
    if (is_old_version(row)) {
        faults_add(faults, "/version", "is not the latest version (isLatest is false): only the latest is imported");
        return NULL;
    }
    json_t *server = json_deep_copy(source);
    open_envelope(server);
    rename_all(server, 1);
    json_t *packages = json_object_get(server, "packages");
    for (size_t i = 0; i < json_array_size(packages); i++)
        if (json_is_object(json_array_get(packages, i)))
            mend_package(json_array_get(packages, i));
    assert(json_is_object(server));
    return server;
}
