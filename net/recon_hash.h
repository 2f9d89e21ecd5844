/*
 * The fingerprint of a range of the set, in the three forms that recon.h names, and the bytes in front of it that make it
 * hang on the session and on the range. Private to recon.c and its tests.
 */
#ifndef SOUK_NET_RECON_HASH_H
#define SOUK_NET_RECON_HASH_H

#include "net/recon.h"
#include "net/recon_frame.h"

#define RECON_FINGERPRINT_BYTES 16
#define RECON_CHUNK             64 /* items copied out of the index at a time */
#define RECON_WORK_FINGERPRINT  8  /* work of any fingerprint: adding sums and hashing lanes */
#define RECON_WORK_ITEMS        16 /* items copied, compared or hashed that count as one id expanded */

/* The items of rank [from, to): those in [lower, upper). */
struct recon_range {
    struct recon_bound lower, upper;
    size_t from, to;
};

/* Returns the work it took, in ids expanded. `scratch` is overwritten. */
size_t recon_hash(const struct recon_config *c, const struct recon_range *range, struct buf *scratch,
                  uint8_t out[RECON_FINGERPRINT_BYTES]);

#endif
