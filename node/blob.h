/*
 * Blobs: files named by their content. A file is cut into chunks of 1 MiB; its list is the size and the BLAKE2b-256 of each
 * chunk, its name the hash of the list. So a list is proved by the name and each chunk by the list, whoever sends them.
 * Pure: where blobs lie is said here, reading and writing them is for others.
 */
#ifndef SOUK_NODE_BLOB_H
#define SOUK_NODE_BLOB_H

#include "crdt/err.h"
#include "crdt/id.h"

#define BLOB_CHUNK      (1u << 20)
#define BLOB_CHUNKS_MAX 32768u                         /* 32 GiB                       */
#define BLOB_LIST_MAX   (8 + BLOB_CHUNKS_MAX * ID_BYTES) /* bytes of a list              */

/* H("souk/blob-chunk/1", bytes) */
void blob_chunk_hash(struct id *out, struct bytes chunk);
/* H("souk/blob/1", list) */
void blob_name(struct id *out, struct bytes list);
/* A list is the size (8 bytes), then the hash of each chunk. ERR_FORM: not of that form. */
SOUK_MUST_USE enum err blob_list_read(struct bytes list, uint64_t *size, uint64_t *chunks);
struct id blob_list_at(struct bytes list, uint64_t chunk);
uint64_t blob_chunk_size(uint64_t size, uint64_t chunk);

/* D/blobs/NAME */
void blob_path(char *out, size_t size, const char *dir, const struct id *name);
/* D/blobs/NAME.list */
void blob_list_path(char *out, size_t size, const char *dir, const struct id *name);

#endif
