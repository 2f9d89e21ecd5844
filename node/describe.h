/*
 * The node's own entry (kind 4): what it tells the mesh about itself. Written by the node's identity key under the
 * node's name, and again only when something in it changed, so that a restart adds nothing to the history.
 */
#ifndef SOUK_NODE_DESCRIBE_H
#define SOUK_NODE_DESCRIBE_H

#include "node/node.h"

struct node_deployment {
    struct id entry, revision;
    bool has_revision;
};
struct node_description {
    const char *name;         /* the entry's name */
    const char *http_url;     /* "": none that others can use */
    const char *mesh_address; /* HOST:PORT, "": none that others can use */
    const char *version;
    size_t deployment_count;  /* at most RECORD_LIST_MAX: what is served to other nodes */
    const struct node_deployment *deployments;
};

/* Queues the write if the entry shown differs. `self` signs; it must outlive the write. ERR_BUSY and the disk's errors. */
SOUK_MUST_USE enum err node_describe(struct node *n, const struct store *s, struct author *self,
                                     const struct node_description *d);

#endif
