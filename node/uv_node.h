/*
 * A node as a process: directory, store, mesh, HTTP and admin socket on one libuv loop, until a signal or the admin
 * verb `shutdown` ends it.
 */
#ifndef SOUK_NODE_UV_NODE_H
#define SOUK_NODE_UV_NODE_H

#include "node/dir.h"

struct uv_node_config {
    const char *dir, *socket;
    struct dir_setup setup;
    /* Fills an initialised config from file, environment and flags; called at start and on SIGHUP. Faults are appended to
     * why, a line each. */
    enum err (*load)(void *ctx, struct config *config, struct buf *why);
    void *ctx;
};

#define UV_NODE_STOP_MS 3000 /* how long open requests may take to end once the node is stopping */

/* Returns when the node has stopped: ERR_OK, or why it could not start, in words in `why`. */
SOUK_MUST_USE enum err uv_node_run(const struct uv_node_config *config, struct buf *why);

#endif
