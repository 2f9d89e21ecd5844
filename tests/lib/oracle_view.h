/*
 * What the two files of the plain definition share. Nobody else includes this.
 */
#ifndef SOUK_TESTS_ORACLE_VIEW_H
#define SOUK_TESTS_ORACLE_VIEW_H

#include "tests/lib/oracle.h"

/* oracle.c */
bool oracle_by_owner(const struct oracle *o, size_t op);

/* oracle_view.c */
/* Puts the op where a reader comes to it. */
void oracle_add_head(const struct oracle *o, struct oracle_entry *e, size_t op);
/* Resolves the entry over its heads. */
void oracle_read(const struct oracle *o, struct oracle_entry *e);
/* One more version of a field, which may win. */
void oracle_offer(struct oracle_entry *e, const struct field *f);
/* Frees what oracle_read made. */
void oracle_forget(struct oracle_entry *e);

#endif
