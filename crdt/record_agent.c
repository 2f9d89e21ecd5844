/*
 * The table of kind 2, agent: what a record of an AI agent may say.
 */
#include "crdt/record_tables.h"

static const char *const agent_types[] = {"Chatbot", "Assistant", "DataAnalyst", "CodeGenerator", "ContentCreator",
                                          "Researcher", "AutomationAgent", "MultiAgent", "Copilot", NULL};
static const char *const frameworks[] = {"LangChain", "AutoGPT", "CrewAI", "LlamaIndex", "BabyAGI", "AgentGPT",
                                         "FormationAgent", "CustomRust", "CustomPython", "CustomJS", NULL};
static const char *const runtimes[] = {"Python", "NodeJS", "Rust", "Go", "Java", "Docker", "WebAssembly", NULL};

static const struct field_desc resources[] = {
    {.name = "min_vcpus", .type = FIELD_UINT, .max = UINT8_MAX, .fallback = "1",
     .not_above = "recommended_vcpus", .about = "Virtual CPUs needed at least."},
    {.name = "recommended_vcpus", .type = FIELD_UINT, .max = UINT8_MAX, .fallback = "1",
     .not_below = "min_vcpus", .about = "Virtual CPUs recommended."},
    {.name = "min_memory_mb", .type = FIELD_UINT, .max = UINT32_MAX, .fallback = "512",
     .not_above = "recommended_memory_mb", .about = "Memory needed at least, in MB."},
    {.name = "recommended_memory_mb", .type = FIELD_UINT, .max = UINT32_MAX, .fallback = "1024",
     .not_below = "min_memory_mb", .about = "Memory recommended, in MB."},
    {.name = "min_disk_gb", .type = FIELD_UINT, .max = UINT32_MAX, .fallback = "5",
     .not_above = "recommended_disk_gb", .about = "Disk space needed at least, in GB."},
    {.name = "recommended_disk_gb", .type = FIELD_UINT, .max = UINT32_MAX, .fallback = "10",
     .not_below = "min_disk_gb", .about = "Disk space recommended, in GB."},
    {.name = "requires_gpu", .type = FIELD_BOOL, .fallback = "false", .about = "Does not run without a GPU."},
    {0}};

static const struct field_desc tool[] = {
    {.name = "id", .type = FIELD_STRING, .rule = RULE_LINE, .max = MODEL_NAME_MAX, .fallback = "\"\"",
     .about = "Id of the tool within the agent."},
    {.name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .rule = RULE_LINE, .min = 1, .max = MODEL_NAME_MAX,
     .about = "Name of the tool."},
    {.name = "description", .type = FIELD_STRING, .max = RECORD_TEXT_MAX, .fallback = "\"\"", .about = "What the tool does."},
    {.name = "tool_type", .type = FIELD_STRING, .rule = RULE_LINE, .max = RECORD_ITEM_MAX, .fallback = "\"generic\"",
     .about = "Kind of tool."},
    {.name = "auth_required", .type = FIELD_BOOL, .fallback = "false", .about = "Needs credentials."},
    {.name = "config_schema", .type = FIELD_JSON, .flags = FIELD_NULLABLE, .fallback = "null",
     .about = "JSON Schema of the tool's settings."},
    {0}};

static const struct field_desc usage[] = {
    {.name = "track_requests", .type = FIELD_BOOL, .fallback = "true", .about = "Count requests."},
    {.name = "custom_metrics", .type = FIELD_STRING_LIST, .max = RECORD_LIST_MAX, .item_max = RECORD_ITEM_MAX,
     .fallback = "[]", .about = "Names of further metrics to count."},
    {0}};

static const struct field_desc fields[] = {
    {.name = "agent_id", .type = FIELD_STRING, .flags = FIELD_BY_NODE, .about = "Entry id, 64 hex digits."},
    {.name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_SEARCHABLE, .rule = RULE_LINE, .min = 1,
     .max = MODEL_NAME_MAX, .about = "Name of the agent, part of the entry's identity."},
    {.name = "owner_id", .type = FIELD_STRING, .flags = FIELD_BY_NODE, .about = "Public key of the owner, 64 hex digits."},
    {.name = "version", .type = FIELD_STRING, .rule = RULE_LINE, .max = 255, .fallback = "\"0.1.0\"",
     .about = "Version of the agent."},
    {.name = "description", .type = FIELD_STRING, .flags = FIELD_SEARCHABLE, .max = RECORD_TEXT_MAX, .fallback = "\"\"",
     .about = "What the agent is and what it is good for."},
    {.name = "documentation", .type = FIELD_STRING, .flags = FIELD_NULLABLE, .max = RECORD_TEXT_MAX, .fallback = "null",
     .about = "Documentation, or where to find it."},
    {.name = "license", .type = FIELD_ENUM, .flags = FIELD_FILTER, .values = licenses, .open_value = "Custom",
     .fallback = "\"MIT\"", .about = "Licence of the agent."},
    {.name = "agent_type", .type = FIELD_ENUM, .flags = FIELD_FILTER, .values = agent_types, .open_value = "Other",
     .fallback = "\"Assistant\"", .about = "Kind of agent."},
    {.name = "framework", .type = FIELD_ENUM, .flags = FIELD_FILTER, .values = frameworks, .open_value = "Other",
     .fallback = "\"LangChain\"", .about = "Framework that the agent is built with."},
    {.name = "runtime", .type = FIELD_ENUM, .flags = FIELD_FILTER, .values = runtimes, .open_value = "Other",
     .fallback = "\"Python\"", .about = "What runs the agent."},
    {.name = "compatible_model_types", .type = FIELD_ENUM_LIST, .max = RECORD_LIST_MAX, .item_max = RECORD_ITEM_MAX,
     .values = model_types, .open_value = "Other", .fallback = "[\"LLM\"]", .about = "Kinds of model that the agent works with."},
    {.name = "preferred_models", .type = FIELD_STRING_LIST, .max = RECORD_LIST_MAX, .item_max = MODEL_NAME_MAX,
     .fallback = "[]", .about = "Models that the agent works best with."},
    {.name = "requires_specific_model", .type = FIELD_BOOL, .fallback = "false", .about = "Works with one model only."},
    {.name = "required_model_id", .type = FIELD_STRING, .flags = FIELD_NULLABLE, .rule = RULE_LINE, .max = MODEL_NAME_MAX,
     .fallback = "null", .about = "The one model, by entry id or name."},
    {.name = "tags", .type = FIELD_STRING_LIST, .flags = FIELD_SEARCHABLE | FIELD_FILTER, .max = RECORD_LIST_MAX,
     .item_max = RECORD_ITEM_MAX, .fallback = "[]", .about = "Words to find the agent by."},
    {.name = "created_at", .type = FIELD_INT, .flags = FIELD_BY_NODE, .about = "Unix time of the first write, in seconds."},
    {.name = "updated_at", .type = FIELD_INT, .flags = FIELD_BY_NODE, .about = "Unix time of the last write, in seconds."},
    {.name = "formfile_template", .type = FIELD_BASE64, .max = 32768, .fallback = "\"\"",
     .about = "Template of the deployment file, in base64."},
    {.name = "resource_requirements", .type = FIELD_OBJECT, .fields = resources, .fallback = "{}",
     .about = "What a machine needs to run the agent."},
    {.name = "capabilities", .type = FIELD_STRING_LIST, .flags = FIELD_SEARCHABLE | FIELD_FILTER, .max = RECORD_LIST_MAX,
     .item_max = RECORD_ITEM_MAX, .fallback = "[]", .about = "What the agent can do."},
    {.name = "tools", .type = FIELD_OBJECT_LIST, .max = RECORD_LIST_MAX, .fields = tool, .short_form = "name",
     .fallback = "[]", .about = "Tools that the agent brings; a bare name is taken too."},
    {.name = "has_memory", .type = FIELD_BOOL, .fallback = "false", .about = "Remembers earlier conversations."},
    {.name = "has_external_api_access", .type = FIELD_BOOL, .fallback = "false", .about = "Calls services of others."},
    {.name = "has_internet_access", .type = FIELD_BOOL, .fallback = "false", .about = "Reaches the internet."},
    {.name = "has_filesystem_access", .type = FIELD_BOOL, .fallback = "false", .about = "Reads and writes files."},
    {.name = "average_rating", .type = FIELD_UINT, .flags = FIELD_BY_NODE | FIELD_NULLABLE, .fallback = "null",
     .about = "Mean rating in tenths, 10 to 50."},
    {.name = "deployment_count", .type = FIELD_UINT, .flags = FIELD_BY_NODE, .fallback = "0", .about = "Deployments counted."},
    {.name = "usage_count", .type = FIELD_UINT, .flags = FIELD_BY_NODE, .fallback = "0", .about = "Uses counted."},
    {.name = "is_featured", .type = FIELD_BOOL, .flags = FIELD_BY_NODE, .fallback = "false", .about = "Shown first by this node."},
    {.name = "is_private", .type = FIELD_BOOL, .fallback = "false", .about = "Asks not to be listed by public sites; no secret."},
    {.name = "metadata", .type = FIELD_STRING_MAP, .max = RECORD_LIST_MAX, .item_max = RECORD_META_MAX, .fallback = "{}",
     .about = "Further facts as text by key."},
    {.name = "repository_url", .type = FIELD_URL, .flags = FIELD_NULLABLE, .max = RECORD_URL_MAX, .fallback = "null",
     .about = "Where the source is."},
    {.name = "demo_url", .type = FIELD_URL, .flags = FIELD_NULLABLE, .max = RECORD_URL_MAX, .fallback = "null",
     .about = "Where the agent can be tried."},
    {.name = "price_per_request", .type = FIELD_DECIMAL, .flags = FIELD_NULLABLE, .max = 12, .fallback = "null",
     .about = "USD for one request, a decimal string."},
    {.name = "pricing", .type = FIELD_OBJECT_LIST, .rule = RULE_UNITS, .max = RECORD_LIST_MAX, .fields = price_fields,
     .fallback = "[]", .about = "Prices by unit in pico-USD."},
    {.name = "usage_tracking", .type = FIELD_OBJECT, .fields = usage, .fallback = "{}", .about = "What is counted when the agent is used."},
    {.name = "config_schema", .type = FIELD_JSON, .flags = FIELD_NULLABLE, .fallback = "null",
     .about = "JSON Schema of the agent's settings."},
    {.name = "moved_to", .type = FIELD_OBJECT, .fields = moved_fields,
     .about = "The entry that takes the place of this one, in its owner's signed word; shown where the signature holds."},
    {0}};

const struct kind_desc kind_agent = {.kind = KIND_AGENT, .singular = "agent", .plural = "agents",
                                     .id_field = "agent_id", .fields = fields, .client_writes = true};
