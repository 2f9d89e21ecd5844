/*
 * Hybrid logical time: 48 bits of Unix milliseconds, then 16 bits of counter (MODEL 2). The clock
 * is an argument. One `struct hlc` is kept per author key.
 */
#ifndef SOUK_CRDT_HLC_H
#define SOUK_CRDT_HLC_H

#include <stdint.h>

#define HLC_NEVER UINT64_MAX /* refused as a time */

struct hlc {
    uint64_t last; /* the greatest time this key has used */
};

/* max(clock, own last, seen) + 1 tick (see MODEL 2). `seen` is the greatest time and changed_at of the
 * parents (0: none). Saturates below HLC_NEVER. */
uint64_t hlc_next(struct hlc *h, uint64_t now_ms, uint64_t seen);
uint64_t hlc_from_ms(uint64_t ms);
uint64_t hlc_ms(uint64_t time);

#endif
