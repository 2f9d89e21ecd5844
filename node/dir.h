/*
 * The data directory: the one file that reads and writes it, but for store and blobs. Owns paths, permissions, locking and
 * durable replacement (write beside, fsync, rename, fsync the directory). What the files mean is identity.h's,
 * tokens.h's and config.h's business. Every failure appends one sentence without a newline to `why`.
 *
 *   souk.conf  node.key  noise.key  mesh  invitation  tokens  peers  deployments  keys/NAME  lock  admin.sock  store/  blobs/
 */
#ifndef SOUK_NODE_DIR_H
#define SOUK_NODE_DIR_H

#include "node/config.h"
#include "node/identity.h"
#include "node/invite.h"

#define DIR_PATH_MAX    1024
#define DIR_SOCKET_MAX  107   /* bytes of a unix socket's path */
#define DIR_PUBLISHER   "publisher"
#define DIR_FOUNDER     "founder"
#define DIR_INVITATION  "invitation" /* of a newcomer that is not admitted yet */

/* $SOUK_DIR, else /var/lib/souk for root, else ~/.local/share/souk. Appended. */
void dir_default(struct buf *out);
/* D/admin.sock; ERR_LIMIT where it would pass DIR_SOCKET_MAX bytes. Appended. */
SOUK_MUST_USE enum err dir_socket(const char *dir, struct buf *out, struct buf *why);
bool dir_exists(const char *dir); /* does it hold a mesh file? */
/* Makes the directory (0700) with its parents. */
SOUK_MUST_USE enum err dir_make(const char *dir, struct buf *why);
/* Held until the process ends or *fd is closed. ERR_CONFLICT: another process holds it. */
SOUK_MUST_USE enum err dir_lock(const char *dir, int *fd, struct buf *why);

/* A whole file of at most max bytes. ERR_NOT_FOUND, ERR_LIMIT, ERR_IO. `dir` NULL: name is a path of its own. */
SOUK_MUST_USE enum err dir_read(const char *dir, const char *name, size_t max, struct buf *out, struct buf *why);
/* Replaces or creates D/name, mode 0600, durably: after a crash the old or the new content is there. */
SOUK_MUST_USE enum err dir_write(const char *dir, const char *name, struct bytes content, struct buf *why);
/* ERR_OK too where there is none. */
SOUK_MUST_USE enum err dir_remove(const char *dir, const char *name, struct buf *why);
/* The same, but ERR_CONFLICT if the file exists. */
SOUK_MUST_USE enum err dir_create(const char *dir, const char *name, struct bytes content, struct buf *why);

struct dir_keys {
    struct keypair node;
    uint8_t noise[32];
};
/* Reads node.key and noise.key; makes what is missing. */
SOUK_MUST_USE enum err dir_node_keys(const char *dir, struct dir_keys *out, struct buf *why);

/* Author keys. ERR_NOT_FOUND; dir_author_add: ERR_CONFLICT where the name is taken by another key. */
SOUK_MUST_USE enum err dir_author(const char *dir, const char *name, struct keypair *out, struct buf *why);
SOUK_MUST_USE enum err dir_author_add(const char *dir, const char *name, const uint8_t seed[32], struct buf *why);
SOUK_MUST_USE enum err dir_author_new(const char *dir, const char *name, struct keypair *out, struct buf *why);
#define DIR_AUTHORS_MAX 256
/* Names by increasing order; returns how many were put into names (at most max). */
size_t dir_authors(const char *dir, char (*names)[KEY_NAME_MAX + 1], size_t max);

SOUK_MUST_USE enum err dir_mesh(const char *dir, struct mesh_file *out, struct buf *why);
SOUK_MUST_USE enum err dir_mesh_store(const char *dir, const struct mesh_file *mesh, struct buf *why);

/* What a first start asks for, and what a later one must agree with. */
struct dir_setup {
    bool has_mesh;
    struct id mesh;            /* --mesh, or of the invitation */
    const struct invitation *invitation; /* --join; NULL: none */
    struct bytes invitation_text;
    struct bytes new_mesh;     /* --new-mesh; absent: not asked for */
    bool has_admission;
    enum admission admission;
};
/* Makes the directory, the keys and the mesh file as far as they are missing. ERR_CONFLICT: it belongs to another mesh. */
SOUK_MUST_USE enum err dir_setup(const char *dir, const struct dir_setup *setup, struct mesh_file *out, struct buf *why);

/* souk.conf and the environment into an initialised config. Every fault found is appended to why, a line each; the first
 * one's error is returned. */
SOUK_MUST_USE enum err dir_config(const char *dir, struct config *config, struct buf *why);

uint64_t dir_free_bytes(const char *dir);

#endif
