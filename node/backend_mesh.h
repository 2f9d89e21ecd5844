/*
 * What the files about the charter and the members share: backend_mesh.c (what they say), backend_members.c (changes by an
 * operator), backend_invite.c (newcomers) and backend_retire.c (keys that are succeeded). Private to the backend.
 */
#ifndef SOUK_NODE_BACKEND_MESH_H
#define SOUK_NODE_BACKEND_MESH_H

#include "node/backend_internal.h"

/* The mesh that this node is in; has to be known before anything can be done about it. */
struct mesh_of {
    struct key founder;
    struct id charter;
    char name[MODEL_NAME_MAX + 1];
};
bool mesh_known(struct backend *b, struct mesh_of *out);

/* A member entry as it is shown. */
struct member_row {
    struct key key, author;     /* author: who wrote the newest put */
    struct id entry;
    bool removed, alone;        /* alone: one head */
    bool has_invitation, has_with;
    struct key invitation, with;
    struct bytes json;          /* the whole entry, borrowed for the call */
};
/* Calls each for every member entry by increasing key; false from it stops. */
SOUK_MUST_USE enum err members_each(const struct backend *b, bool (*each)(void *ctx, const struct member_row *m), void *ctx);
bool member_lookup(const struct backend *b, const struct key *key, struct member_row *out); /* json is not set */

/* ---- writing -------------------------------------------------------------------------------------------------- */

enum power { POWER_OPERATOR, POWER_FOUNDER };
/* This node's key that may do it: the one named `as`, else the founder's, else any operator's. NULL: `why` says what is
 * missing (may be NULL). */
struct author *mesh_signer(struct backend *b, const char *as, enum power power, struct buf *why);

/* Several writes that are answered as one. */
struct mesh_run {
    struct waiter waiter;       /* of all its writes */
    struct mesh_run *next;      /* all that are under way */
    struct backend *backend;
    struct api_call *call;      /* NULL: nobody waits */
    void (*done)(struct mesh_run *run); /* NULL: the call is answered with its `out` */
    size_t pending;
    enum err err;
    uint64_t ticket;            /* done's own */
};
/* Queue what belongs together between begin and end; `call` may be NULL. The run frees itself after `done`. */
struct mesh_run *mesh_run_begin(struct backend *b, struct api_call *call);
void mesh_run_write(struct mesh_run *run, struct node_write *w);
void mesh_run_end(struct mesh_run *run);
void mesh_runs_free(struct backend *b); /* those that no commit will end any more */

/* What to state about a member; absent members of the struct are left as they are. */
struct member_change {
    const struct mesh_of *mesh;
    struct author *author;
    const struct key *key;
    const char *role;
    const char *removed;        /* "yes" or "no" */
    const struct key *invitation, *with;
};
void member_write(struct mesh_run *run, const struct member_change *m);

/* The body of a verb as JSON, with the mesh known. NULL: answered. */
struct json_t *members_begin(struct backend *b, struct api_call *call, struct mesh_of *mesh);
bool members_role_valid(struct api_call *call, const char *role); /* false: a detail is in the call */
struct author *author_of_key(struct backend *b, const struct key *key); /* NULL: not on this node */

/* Admin verbs: charter-set, member-admit, member-remove. */
void members_charter_set(struct backend *b, struct api_call *call);
void members_admit(struct backend *b, struct api_call *call);
void members_remove(struct backend *b, struct api_call *call);
/* key-retire (backend_retire.c) */
void retire_run(struct backend *b, struct api_call *call);
/* mesh-invite */
void invite_make(struct backend *b, struct api_call *call);
/* After every drain: where member entries changed, looks whether an invitation brought in two newcomers. */
void invite_watch(struct backend *b);

#endif
