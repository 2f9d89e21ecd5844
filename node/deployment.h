/*
 * A deployment: which program serves an entry, with what bounds. Its manifest as JSON in and out, checked and with the
 * defaults filled in. Pure: which files it names is said here, opening them is uv_deploy.c's. The manifest: see
 * "Deployments" in deploy/OPERATE.md.
 */
#ifndef SOUK_NODE_DEPLOYMENT_H
#define SOUK_NODE_DEPLOYMENT_H

#include "crdt/id.h"
#include "crdt/limits.h"
#include "sandbox/sandbox.h"

struct json_t; /* jansson */

#define DEPLOYMENTS_MAX        64        /* of one node: its own entry lists those that are shared   */
#define DEPLOYMENT_FILE_MAX    (4u << 20)/* bytes of D/deployments                                   */
#define DEPLOYMENT_WORKERS_MAX 64
#define DEPLOYMENT_QUEUE_MAX   4096

/* One row of `mounts`: exactly one of source and blob. */
struct deployment_mount {
    const char *source;      /* absolute path on this host, or NULL                     */
    bool has_blob;
    struct id blob;          /* of `souk push`                                          */
    const char *target;      /* absolute path that the program sees                     */
};

enum deployment_frames { DEPLOYMENT_LINES, DEPLOYMENT_FRAMES };

/* Texts are borrowed from `manifest` and `arena`. */
struct deployment {
    struct id entry;
    uint64_t kind;           /* KIND_MODEL or KIND_AGENT                                 */
    char name[MODEL_NAME_MAX + 1];
    struct json_t *manifest; /* owned, complete                                          */
    struct buf arena;
    size_t argc, env_count, mount_count;
    const char *argv[SANDBOX_ARGS_MAX + 1];
    const char *env[SANDBOX_ENV_MAX + 1];
    struct deployment_mount mounts[SANDBOX_MOUNTS_MAX];
    struct sandbox_limits limits;
    enum sandbox_kind input, output;
    enum sandbox_weak weak;
    enum deployment_frames frames;
    uint32_t workers, parallel, queue;
    uint64_t idle_ms;
    bool share;
};

/* From a manifest, borrowed. ERR_INVALID: `why` names the member, the value's fault and what would be right. */
SOUK_MUST_USE enum err deployment_parse(struct deployment *out, const struct json_t *manifest, struct buf *why);
void deployment_close(struct deployment *d);

/* What a client sends: the bytes, and what it says they are (1 JSON, 2 text, 3 bytes, 0 nothing: enum api_media). */
struct deployment_given {
    unsigned media;
    struct bytes body;
};
/* The input as the program is given it: a JSON string for a program that reads text becomes its text, no input at all
 * is null for one that reads JSON. *text is set to the body or to what was appended to scratch. ERR_INVALID: `why` says what
 * is expected. */
SOUK_MUST_USE enum err deployment_input(enum sandbox_kind kind, const struct deployment_given *given, struct buf *scratch,
                                        struct bytes *text, struct buf *why);

#endif
