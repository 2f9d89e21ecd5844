/*
 * The store of a directory, read-only, for verbs that work while no node runs.
 */
#ifndef SOUK_NODE_CLI_STORE_H
#define SOUK_NODE_CLI_STORE_H

#include "node/cli.h"
#include "store/store.h"

struct cli_store {
    int lock;
    struct kv *kv;
    struct store *store;
};
/* Takes the directory's lock, so that no node starts meanwhile. A failure was told. */
enum cli_exit cli_store_open(struct cli *c, struct cli_store *out);
/* The same, saying why in `why` instead; cli_store_close is due either way. */
SOUK_MUST_USE enum err cli_store_try(struct cli *c, struct cli_store *out, struct buf *why);
void cli_store_close(struct cli_store *s);
/* The entry that KIND ID|NAME means; a failure, several candidates among them, was told. */
enum cli_exit cli_store_find(const struct cli_store *s, const struct kind_desc *kind, const char *text, struct id *out);

#endif
