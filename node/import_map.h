/*
 * Rows of other catalogues to records, as JSON trees. Private to node/import*.c. Pure: no file, no state.
 */
#ifndef SOUK_NODE_IMPORT_MAP_H
#define SOUK_NODE_IMPORT_MAP_H

#include "node/import.h"

#include <jansson.h>

/* The kind of a jsonl line: what it wraps, or the default for a bare record. NULL: faults says why. */
const struct kind_desc *import_kind_of(const json_t *line, const struct kind_desc *default_kind, struct faults *faults);
/* A row of models.dev to a model. provider and id: of the keys above the row, where it has none itself (n == 0: no such
 * key). NULL: faults says why. A new reference. */
json_t *import_map_models_dev(const json_t *row, struct bytes provider, struct bytes id, struct faults *faults);
/* A row of an MCP registry, of whatever age, to a server.json. */
json_t *import_map_mcp(const json_t *row, struct faults *faults);

#endif
