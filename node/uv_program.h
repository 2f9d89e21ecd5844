/*
 * From a deployment's command to what the sandbox runs: the program is found, opened once and hashed; a script brings its
 * interpreter along and is mounted from its descriptor; files and blobs that the manifest mounts are opened likewise.
 * Blocking: for a worker thread.
 */
#ifndef SOUK_NODE_UV_PROGRAM_H
#define SOUK_NODE_UV_PROGRAM_H

#include "node/uv_deploy.h"

#define PROGRAM_SCRIPT_DIR "/app" /* where scripts are seen */

struct program {
    size_t file_count;
    struct sandbox_file files[DEPLOY_FILES_MAX];
    size_t mount_count;
    struct sandbox_mount mounts[SANDBOX_MOUNTS_MAX];
    int mount_files[SANDBOX_MOUNTS_MAX];  /* index into files, -1: none */
    char sources[SANDBOX_MOUNTS_MAX][SANDBOX_PATH_MAX];
    const char *argv[SANDBOX_ARGS_MAX + 4];
    char script[SANDBOX_PATH_MAX];        /* as the program sees it; "" : none */
    char interpreter[SANDBOX_PATH_MAX], argument[256];
};
/* ERR_NOT_FOUND, ERR_INVALID, ERR_IO: `why` names the file and what is wrong. `d` must stay. */
SOUK_MUST_USE enum err program_open(struct program *p, const struct deployment *d, const char *dir, struct buf *why);
void program_close(struct program *p);
/* Borrows both. */
void program_spec(const struct program *p, const struct deployment *d, struct sandbox_spec *out);

#endif
