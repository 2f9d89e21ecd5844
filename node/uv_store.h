/*
 * The store of a data directory: opened for the node, or read-only for verbs that work while no node runs, with the same
 * words when it does not open.
 */
#ifndef SOUK_NODE_UV_STORE_H
#define SOUK_NODE_UV_STORE_H

#include "node/dir.h"
#include "store/store.h"

struct uv_store_config {
    const char *dir;              /* the data directory; its store lies in DIR/store */
    const struct mesh_file *mesh;
    size_t cache_mb, write_buffer_mb;
    bool read_only;               /* ERR_NOT_FOUND where no node has got ready yet */
};
/* `why` gets the file, the reason and the next step. Both outputs may be set after an error too; the caller closes them.
 * ERR_CORRUPT: bytes on disk are not what was written. */
SOUK_MUST_USE enum err uv_store_open(const struct uv_store_config *config, struct kv **kv, struct store **store,
                                     struct buf *why);
/* After words about a failure `err` of an open store: what to do next, where that is known. Appends. */
void uv_store_next_step(const char *dir, enum err err, struct buf *why);

#endif
