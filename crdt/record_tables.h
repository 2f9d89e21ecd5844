/*
 * The tables of the kinds, and what more than one of them shares. Private to crdt/record*.c.
 */
#ifndef SOUK_CRDT_RECORD_TABLES_H
#define SOUK_CRDT_RECORD_TABLES_H

#include "crdt/codec.h"
#include "crdt/record.h"

extern const struct kind_desc kind_model, kind_agent, kind_server, kind_node, kind_charter, kind_member;

extern const struct field_desc price_fields[], moved_fields[];
extern const char *const model_types[];
extern const char *const licenses[];

/* Does the value fit its descriptor? As field_check, without saying why. */
bool field_fits(const struct field_desc *d, struct bytes value);

/* Rules over text (record_rules.c). */
bool rule_has_control(struct bytes s);
bool rule_url(struct bytes s, bool https_only);
bool rule_base64(struct bytes s);
bool rule_sha256(struct bytes s);
bool rule_decimal(struct bytes s, uint64_t digits_after_point);
bool rule_server_name(struct bytes s);
/* NULL: fine; else why it is not one version. */
const char *rule_one_version(struct bytes s);
size_t utf8_count(struct bytes s);

/* A comma, and the member with its default (record_json.c). */
void record_put_default(struct buf *out, const struct field_desc *d);

/* A reader at the first key of a map: finds a member and leaves *value at it. False: no such member. */
bool member_find(struct bytes map, const char *key, struct mp_reader *value);

#endif
