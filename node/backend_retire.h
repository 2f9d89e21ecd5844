/*
 * What retiring a key (backend_retire.c) and following a lost one by its will (backend_will.c) share: one run over entries, that
 * makes writes on a worker thread and hands them in on the loop.
 */
#ifndef SOUK_NODE_BACKEND_RETIRE_H
#define SOUK_NODE_BACKEND_RETIRE_H

#include "node/backend_mesh.h"

#define RETIRE_PORTION 500 /* entries moved by one call */

struct retire {
    struct backend *backend;
    struct api_call *call;
    struct mesh_run *run;
    struct author *from, *to;       /* from: NULL where its key is lost */
    struct queued_write *writes, **writes_end;
    struct buf bundles;             /* of a will, each behind its length as eight bytes */
    size_t moved, left;
    struct buf failed;              /* names, as JSON strings with commas */
    enum err err;
};
/* The author key of that name, which the mesh lets write. NULL: answered. */
struct author *retire_key(struct backend *b, struct api_call *call, const char *name);
struct retire *retire_begin(struct backend *b, struct api_call *call);
/* Off the loop: the record under the new key, unless that has an entry of the name. False: it breaks rules of its schema. */
bool retire_copy(struct retire *r, const struct kind_desc *kind, const struct id *successor, struct bytes name, struct bytes record);
void retire_failed(struct retire *r, struct bytes name);
/* The `done` of a run: hands in what was made, and answers when all of it is on disk. */
void retire_done(void *arg);

/* Admin verbs key-will and key-succeed. */
void will_make(struct backend *b, struct api_call *call);
void will_follow(struct backend *b, struct api_call *call);

#endif
