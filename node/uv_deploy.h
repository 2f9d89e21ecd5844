/*
 * The deployments of a running node: opened, hashed, pooled, written down in D/deployments, told to the mesh. One for each
 * entry at most.
 */
#ifndef SOUK_NODE_UV_DEPLOY_H
#define SOUK_NODE_UV_DEPLOY_H

#include "node/deployment.h"
#include "sandbox/linux.h"
#include "sandbox/uv_run.h"

struct server;
struct api_call;

#define DEPLOY_FILES_MAX (2 + SANDBOX_MOUNTS_MAX) /* the program, its interpreter, files that are mounted */

enum deploy_state { DEPLOY_OPENING, DEPLOY_READY, DEPLOY_BROKEN };

struct uv_deploy {
    struct uv_deploy *next;
    struct deployment d;
    enum deploy_state state;
    size_t file_count;
    struct sandbox_file files[DEPLOY_FILES_MAX]; /* the first is what is executed */
    struct uv_pool *pool;                        /* DEPLOY_READY */
    struct buf why;                              /* DEPLOY_BROKEN */
};

struct uv_deploys;
/* Starts the sandbox's launcher. Where it cannot be started the reason is logged and nothing can be deployed. */
struct uv_deploys *uv_deploys_new(struct server *s);
/* Reads D/deployments; what is in it is opened off the loop. ERR_FORM: `why` says what is wrong with the file. */
SOUK_MUST_USE enum err uv_deploys_load(struct uv_deploys *all, struct buf *why);
/* Ends every run; the rest is freed when the loop has let go of it. */
void uv_deploys_close(struct uv_deploys *all);
void uv_deploys_free(struct uv_deploys *all); /* after the loop has ended */

struct uv_deploy *uv_deploys_find(struct uv_deploys *all, uint64_t kind, const struct id *entry); /* NULL: none */
const struct uv_deploy *uv_deploys_first(const struct uv_deploys *all);
size_t uv_deploys_shared(const struct uv_deploys *all, struct id *entries, uint64_t *kinds, size_t max);
/* May it run now: opened, and are all its files what they were? ERR_BUSY: still being opened. ERR_CONFLICT: why not. */
SOUK_MUST_USE enum err uv_deploy_check(struct uv_deploy *d, struct buf *why);
uint32_t uv_deploys_running(const struct uv_deploys *all);

/* Admin verbs: deploys, deploy-add, deploy-rm; layers (what the sandbox has on this machine). */
void uv_deploys_admin_ls(struct server *s, struct api_call *call);
void uv_deploys_admin_add(struct server *s, struct api_call *call);
void uv_deploys_admin_rm(struct server *s, struct api_call *call);

#endif
