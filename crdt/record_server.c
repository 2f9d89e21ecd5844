/*
 * The table of kind 3, server: the server.json of the Model Context Protocol's registry (schema of 2025-12-11), one field
 * for each top-level member, camelCase as there. Nothing is added: a member that is not given is not shown.
 */
#include "crdt/record_tables.h"

static const char *const registries[] = {"npm", "pypi", "cargo", "oci", "nuget", "mcpb", "unknown", NULL};
static const char *const transports[] = {"stdio", "streamable-http", "sse", NULL};
static const char *const remote_types[] = {"streamable-http", "sse", NULL};
static const char *const hints[] = {"npx", "uvx", "docker", "dnx", NULL};
static const char *const formats[] = {"string", "number", "boolean", "filepath", NULL};
static const char *const argument_types[] = {"positional", "named", NULL};
static const char *const themes[] = {"light", "dark", NULL};

/* What every input of a server has: a value, or how to ask for one. */
#define INPUT_FIELDS                                                                                                   \
    {.name = "description", .type = FIELD_STRING, .max = RECORD_META_MAX, .about = "What the input is for."},          \
    {.name = "isRequired", .type = FIELD_BOOL, .about = "Must be given."},                                             \
    {.name = "format", .type = FIELD_ENUM, .values = formats, .about = "Form of the value."},                          \
    {.name = "value", .type = FIELD_STRING, .max = RECORD_META_MAX, .about = "The value, {variables} filled in."},     \
    {.name = "isSecret", .type = FIELD_BOOL, .about = "Not to be shown or stored in the clear."},                      \
    {.name = "default", .type = FIELD_STRING, .max = RECORD_META_MAX, .about = "Value where none is given."},          \
    {.name = "placeholder", .type = FIELD_STRING, .max = RECORD_META_MAX, .about = "Example shown while asking."},     \
    {.name = "choices", .type = FIELD_STRING_LIST, .max = RECORD_LIST_MAX, .item_max = RECORD_META_MAX,                \
     .about = "The values to choose from."}

static const struct field_desc input[] = {INPUT_FIELDS, {0}};

#define VARIABLES                                                                                                      \
    {.name = "variables", .type = FIELD_OBJECT_MAP, .max = RECORD_LIST_MAX, .item_max = RECORD_META_MAX,               \
     .fields = input, .about = "Inputs that fill the {variables} of the value."}

static const struct field_desc key_value[] = {
    {.name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .min = 1, .max = RECORD_META_MAX,
     .about = "Name of the header or the environment variable."},
    INPUT_FIELDS, VARIABLES, {0}};

static const struct field_desc argument[] = {
    {.name = "type", .type = FIELD_ENUM, .flags = FIELD_REQUIRED, .values = argument_types,
     .about = "By place or by name."},
    {.name = "name", .type = FIELD_STRING, .min = 1, .max = RECORD_META_MAX, .about = "The flag, dashes included."},
    {.name = "valueHint", .type = FIELD_STRING, .max = RECORD_META_MAX, .about = "What stands in the place, in a word."},
    {.name = "isRepeated", .type = FIELD_BOOL, .about = "May be given more than once."},
    INPUT_FIELDS, VARIABLES, {0}};

static const struct field_desc transport[] = {
    {.name = "type", .type = FIELD_ENUM, .flags = FIELD_REQUIRED, .values = transports, .about = "How to talk to the server."},
    {.name = "url", .type = FIELD_URL, .max = RECORD_URL_MAX, .about = "Where it listens, when not on standard input."},
    {.name = "headers", .type = FIELD_OBJECT_LIST, .max = RECORD_LIST_MAX, .fields = key_value, .about = "HTTP headers to send."},
    VARIABLES, {0}};

static const struct field_desc remote[] = {
    {.name = "type", .type = FIELD_ENUM, .flags = FIELD_REQUIRED, .values = remote_types, .about = "How to talk to the server."},
    {.name = "url", .type = FIELD_URL, .flags = FIELD_REQUIRED, .max = RECORD_URL_MAX, .about = "Where the server listens."},
    {.name = "headers", .type = FIELD_OBJECT_LIST, .max = RECORD_LIST_MAX, .fields = key_value, .about = "HTTP headers to send."},
    VARIABLES, {0}};

static const struct field_desc package[] = {
    {.name = "registryType", .type = FIELD_ENUM, .flags = FIELD_REQUIRED, .values = registries,
     .about = "Where the package comes from; `unknown` where its source did not say."},
    {.name = "registryBaseUrl", .type = FIELD_URL, .max = RECORD_URL_MAX, .about = "Address of that registry."},
    {.name = "identifier", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .rule = RULE_LINE, .min = 1, .max = RECORD_META_MAX,
     .about = "Name of the package there, or its address."},
    {.name = "version", .type = FIELD_STRING, .rule = RULE_ONE_VERSION, .min = 1, .max = 255, .about = "Version of the package."},
    {.name = "fileSha256", .type = FIELD_SHA256, .about = "SHA-256 of the package file."},
    {.name = "runtimeHint", .type = FIELD_ENUM, .values = hints, .about = "Program that runs the package."},
    {.name = "transport", .type = FIELD_OBJECT, .flags = FIELD_REQUIRED, .rule = RULE_TRANSPORT, .fields = transport,
     .about = "How to talk to the server once it runs."},
    {.name = "runtimeArguments", .type = FIELD_OBJECT_LIST, .rule = RULE_ARGUMENT, .max = RECORD_LIST_MAX, .fields = argument,
     .about = "Arguments of the runtime."},
    {.name = "packageArguments", .type = FIELD_OBJECT_LIST, .rule = RULE_ARGUMENT, .max = RECORD_LIST_MAX, .fields = argument,
     .about = "Arguments of the package."},
    {.name = "environmentVariables", .type = FIELD_OBJECT_LIST, .max = RECORD_LIST_MAX, .fields = key_value,
     .about = "Environment variables of the server."},
    {0}};

static const struct field_desc repository[] = {
    {.name = "url", .type = FIELD_URL, .flags = FIELD_REQUIRED, .max = RECORD_URL_MAX, .about = "Address of the source."},
    {.name = "source", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .rule = RULE_LINE, .min = 1, .max = RECORD_ITEM_MAX,
     .about = "Who hosts it, such as github."},
    {.name = "id", .type = FIELD_STRING, .rule = RULE_LINE, .max = RECORD_ITEM_MAX, .about = "Its id there."},
    {.name = "subfolder", .type = FIELD_STRING, .rule = RULE_LINE, .max = RECORD_META_MAX, .about = "Folder of the server within it."},
    {0}};

static const struct field_desc icon[] = {
    {.name = "src", .type = FIELD_URL, .flags = FIELD_REQUIRED | FIELD_HTTPS, .max = 255, .about = "Address of the image."},
    {.name = "mimeType", .type = FIELD_STRING, .rule = RULE_LINE, .max = RECORD_ITEM_MAX, .about = "Media type of the image."},
    {.name = "sizes", .type = FIELD_STRING_LIST, .max = RECORD_LIST_MAX, .item_max = RECORD_ITEM_MAX,
     .about = "Sizes such as 48x48, or any."},
    {.name = "theme", .type = FIELD_ENUM, .values = themes, .about = "Background that the image is made for."},
    {0}};

static const struct field_desc fields[] = {
    {.name = "$schema", .type = FIELD_URL, .max = RECORD_URL_MAX, .about = "Schema that the document follows."},
    {.name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_SEARCHABLE, .rule = RULE_SERVER_NAME, .min = 3,
     .max = MODEL_NAME_MAX, .about = "Namespace, a slash and a name, part of the entry's identity."},
    {.name = "title", .type = FIELD_STRING, .flags = FIELD_SEARCHABLE | FIELD_CHARS, .min = 1, .max = 100, .about = "Name for people."},
    {.name = "description", .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_SEARCHABLE | FIELD_CHARS, .min = 1, .max = 100,
     .about = "What the server does, in 1 to 100 characters."},
    {.name = "version", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .rule = RULE_ONE_VERSION, .min = 1, .max = 255,
     .about = "Version of the server."},
    {.name = "repository", .type = FIELD_OBJECT, .fields = repository, .about = "Where the source is."},
    {.name = "websiteUrl", .type = FIELD_URL, .max = RECORD_URL_MAX, .about = "Home page."},
    {.name = "icons", .type = FIELD_OBJECT_LIST, .max = RECORD_LIST_MAX, .fields = icon, .about = "Images that stand for the server."},
    {.name = "packages", .type = FIELD_OBJECT_LIST, .max = RECORD_LIST_MAX, .fields = package, .about = "How to install and start it."},
    {.name = "remotes", .type = FIELD_OBJECT_LIST, .max = RECORD_LIST_MAX, .fields = remote, .about = "Where it runs already."},
    {.name = "_meta", .type = FIELD_JSON, .about = "Further facts by reverse domain name."},
    {.name = "moved_to", .type = FIELD_OBJECT, .fields = moved_fields,
     .about = "The entry that takes the place of this one, in its owner's signed word; shown where the signature holds."},
    {0}};

const struct kind_desc kind_server = {.kind = KIND_SERVER, .singular = "server", .plural = "servers",
                                      .fields = fields, .client_writes = true};
