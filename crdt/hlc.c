/*
 * Hybrid logical time. Never pulled ahead by strangers: only what a write names moves it.
 */
#include "crdt/hlc.h"

#include <assert.h>

uint64_t hlc_from_ms(uint64_t ms)
{
    return ms << 16;
}

uint64_t hlc_ms(uint64_t time)
{
    return time >> 16;
}

uint64_t hlc_next(struct hlc *h, uint64_t now_ms, uint64_t seen)
{
    uint64_t t = hlc_from_ms(now_ms);
    if (t < h->last)
        t = h->last;
    if (t < seen)
        t = seen;
    if (t < HLC_NEVER - 1)
        t++;
    assert(t != HLC_NEVER);
    h->last = t;
    return t;
}
