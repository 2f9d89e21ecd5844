/*
 * The folder D/blobs as a whole: what lies in it and how much it takes.
 */
#ifndef SOUK_NODE_UV_BLOBDIR_H
#define SOUK_NODE_UV_BLOBDIR_H

#include "crdt/bytes.h"
#include "crdt/id.h"

/* Bytes on disk of all in it but `except` (may be NULL), whole or in part. Reads the folder: not for the loop where it is large. */
uint64_t blobdir_used(const char *dir, const struct id *except);
/* Removes what a `souk push` left that was killed. */
void blobdir_clean(const char *dir);

/* What is said where there is no room. */
#define BLOBDIR_FULL                                                                                                   \
    "the blobs of this node would take more than the setting limits.blobs_mb allows: remove what nothing uses from its folder blobs, or raise it"

#endif
