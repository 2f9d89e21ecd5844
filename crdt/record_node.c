/*
 * The tables of kinds 4 to 6: node (written by each node about itself), charter and member (the rules of a mesh, see
 * MODEL 6). No client writes these through the resource routes.
 */
#include "crdt/record_tables.h"

static const char *const admissions[] = {"open", "members", NULL};

static const struct field_desc deployment[] = {
    {.name = "entry", .type = FIELD_SHA256, .flags = FIELD_REQUIRED, .about = "Id of the entry that is served, 64 hex digits."},
    {.name = "revision", .type = FIELD_SHA256, .flags = FIELD_NULLABLE, .fallback = "null",
     .about = "Revision that is served, 64 hex digits."},
    {0}};

static const struct field_desc capacity[] = {
    {.name = "vcpus", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = UINT32_MAX, .fallback = "null",
     .about = "Virtual CPUs that deployments may use."},
    {.name = "memory_mb", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = INT64_MAX, .fallback = "null",
     .about = "Memory that deployments may use, in MB."},
    {.name = "disk_gb", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = INT64_MAX, .fallback = "null",
     .about = "Disk space that deployments may use, in GB."},
    {.name = "vram_gb", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = UINT32_MAX, .fallback = "null",
     .about = "GPU memory that deployments may use, in GB."},
    {0}};

static const struct field_desc node_fields[] = {
    {.name = "node_id", .type = FIELD_STRING, .flags = FIELD_BY_NODE, .about = "Entry id, 64 hex digits."},
    {.name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_SEARCHABLE, .rule = RULE_LINE, .min = 1,
     .max = MODEL_NAME_MAX, .about = "Name of the node."},
    {.name = "owner_id", .type = FIELD_STRING, .flags = FIELD_BY_NODE, .about = "Public key of the node, 64 hex digits."},
    {.name = "http_url", .type = FIELD_URL, .flags = FIELD_NULLABLE, .max = RECORD_URL_MAX, .fallback = "null",
     .about = "Address of its HTTP API."},
    {.name = "mesh_addresses", .type = FIELD_STRING_LIST, .max = RECORD_LIST_MAX, .item_max = 255, .fallback = "[]",
     .about = "Addresses at which peers reach it, HOST:PORT."},
    {.name = "region", .type = FIELD_STRING, .rule = RULE_LINE, .max = RECORD_ITEM_MAX, .fallback = "\"\"", .about = "Where it stands."},
    {.name = "version", .type = FIELD_STRING, .rule = RULE_LINE, .max = 255, .fallback = "\"\"", .about = "Version of its software."},
    {.name = "deployments", .type = FIELD_OBJECT_LIST, .max = RECORD_LIST_MAX, .fields = deployment, .fallback = "[]",
     .about = "Entries that it serves."},
    {.name = "capacity", .type = FIELD_OBJECT, .fields = capacity, .fallback = "{}", .about = "What it has to serve with."},
    {.name = "created_at", .type = FIELD_INT, .flags = FIELD_BY_NODE, .about = "Unix time of the first write, in seconds."},
    {.name = "updated_at", .type = FIELD_INT, .flags = FIELD_BY_NODE, .about = "Unix time of the last write, in seconds."},
    {0}};

static const struct field_desc charter_fields[] = {
    {.name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .rule = RULE_LINE, .min = 1, .max = MODEL_NAME_MAX,
     .about = "Name of the mesh."},
    {.name = "admission", .type = FIELD_ENUM, .values = admissions, .fallback = "\"members\"",
     .about = "Whose deltas belong to the mesh: of any key, or of members only; the founder's to set."},
    {.name = "about", .type = FIELD_STRING, .max = RECORD_META_MAX, .fallback = "\"\"", .about = "What the mesh is for."},
    {.name = "contact", .type = FIELD_STRING, .rule = RULE_LINE, .max = RECORD_ITEM_MAX, .fallback = "\"\"",
     .about = "Whom to ask for an invitation."},
    {0}};

static const struct field_desc member_fields[] = {
    {.name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .rule = RULE_LINE, .min = 1, .max = MODEL_NAME_MAX,
     .about = "Key of the member, 64 hex digits."},
    {.name = "role", .type = FIELD_STRING, .rule = RULE_LINE, .max = RECORD_ITEM_MAX, .fallback = "\"member\"",
     .about = "What the member is to the mesh."},
    {.name = "removed", .type = FIELD_BOOL, .fallback = "false", .about = "The member is no longer of the mesh."},
    {.name = "invitation", .type = FIELD_SHA256, .flags = FIELD_NULLABLE, .fallback = "null",
     .about = "Public key of the invitation that brought it in, 64 hex digits."},
    {.name = "with", .type = FIELD_SHA256, .flags = FIELD_NULLABLE, .fallback = "null",
     .about = "The newcomer's other key that the same invitation brought in, 64 hex digits."},
    {0}};

const struct kind_desc kind_node = {.kind = KIND_NODE, .singular = "node", .plural = "nodes",
                                    .id_field = "node_id", .fields = node_fields};
const struct kind_desc kind_charter = {.kind = KIND_CHARTER, .singular = "charter", .plural = "charters", .fields = charter_fields};
const struct kind_desc kind_member = {.kind = KIND_MEMBER, .singular = "member", .plural = "members", .fields = member_fields};
