/*
 * What a line of jsonl is: which kind its record has. The record itself is read like a client's (api/json.h).
 */
#include "node/import_map.h"

#include <string.h>

/* The kind whose word is a member that is an object: the wrapper. NULL: none. */
static const struct kind_desc *wrapper_of(const json_t *line)
{
    for (size_t i = 0; kind_at(i) != NULL; i++)
        if (json_is_object(json_object_get(line, kind_at(i)->singular)))
            return kind_at(i);
    return NULL;
}

const struct kind_desc *import_kind_of(const json_t *line, const struct kind_desc *default_kind, struct faults *faults)
{
    const json_t *word = json_object_get(line, "kind");
    bool bare = json_object_get(line, "name") != NULL;
    const struct kind_desc *kind = bare ? default_kind : wrapper_of(line);
    if (kind == NULL) {
        faults_add(faults, "", bare ? "is a bare record: give its kind, or write {\"kind\":\"model\",\"model\":{...}}"
                                    : "is not {\"kind\":\"model\",\"model\":{...}} (or agent, server) and has no name");
        return NULL;
    }
    if (!bare && json_is_string(word) && strcmp(json_string_value(word), kind->singular) != 0) {
        faults_add(faults, "/kind", "is \"%.40s\", but the row holds a %s", json_string_value(word), kind->singular);
        return NULL;
    }
    if (kind->client_writes)
        return kind;
    faults_add(faults, "/kind", "a %s record is not for clients to write", kind->singular);
    return NULL;
}
