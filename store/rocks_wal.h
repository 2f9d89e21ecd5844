/*
 * RocksDB's write-ahead log, read by its published format (block size, record header, masked sum) and nothing else.
 * RocksDB recovers up to the first record that does not hold and drops what follows, silently: right after a crash, where
 * only the last commit can be torn, wrong where bytes that were synced have changed since. This tells the two apart.
 */
#ifndef SOUK_STORE_ROCKS_WAL_H
#define SOUK_STORE_ROCKS_WAL_H

#include "crdt/bytes.h"
#include "crdt/err.h"

#include <stddef.h>
#include <stdint.h>

/* Looks at the logs in directory `path`, from number `first` on, in order. ERR_CORRUPT: a record does not hold although a
 * later commit does, so that it had been synced; `why` (may be NULL) names file and offset. A later commit in another
 * log tells only where commits are missing before it. Whatever cannot be read is left to RocksDB. */
SOUK_MUST_USE enum err rocks_wal_check(const char *path, uint64_t first, struct buf *why);

/* True iff `name` is that of a log; its number then, a greater one for each later log. */
bool rocks_wal_number(const char *name, uint64_t *number);

#define ROCKS_WAL_NAME_SIZE 32
void rocks_wal_name(char out[ROCKS_WAL_NAME_SIZE], uint64_t number);

/* CRC-32C of A B, given that of A (0 for none) and the bytes of B: RocksDB's own function, or rocks_crc.c in its place. */
uint32_t rocks_crc_extend(uint32_t sum, const char *data, size_t n) __asm__("_ZN7rocksdb6crc32c6ExtendEjPKcm");

#endif
