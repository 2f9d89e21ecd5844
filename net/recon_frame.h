/*
 * The bytes of a reconciliation frame: varints, bounds, and the order that bounds must keep. Private to recon.c and its
 * tests. Varint: base 128, most significant digit first, as few digits as possible, the high bit set on all
 * but the last. Bound: a varint of 1 + the time less the bound before it (0: infinity), a varint length 0..32, so many
 * bytes of an id; the bytes left out are zeros.
 */
#ifndef SOUK_NET_RECON_FRAME_H
#define SOUK_NET_RECON_FRAME_H

#include "crdt/setindex.h"

#define RECON_TIME_INFINITE UINT64_MAX

/* A point in the (time, id) order; `len` bytes of the id are written, the others are zeros. */
struct recon_bound {
    struct item item;
    size_t len;
};

struct recon_reader {
    const uint8_t *p;      /* what is left of the frame */
    size_t left;
    struct recon_bound last; /* the last bound read; at first time 0 and an id of zeros */
    bool empty_ranges;     /* a bound may equal the last (the published algorithm writes such ranges) */
    const char *why;       /* set once a read fails: a short English phrase */
};

/* All return false and set `why` where the frame breaks the format. */
bool recon_fail(struct recon_reader *r, const char *why);
bool recon_read_varint(struct recon_reader *r, uint64_t *out);
bool recon_read_bytes(struct recon_reader *r, size_t n, const uint8_t **out); /* borrowed from the frame */
bool recon_read_bound(struct recon_reader *r, struct recon_bound *out);

void recon_put_varint(struct buf *out, uint64_t v);
/* `last_time` is the time of the bound written before, 0 at the start of a frame; it is updated. */
void recon_put_bound(struct buf *out, uint64_t *last_time, const struct recon_bound *b);
/* The shortest bound that is above `a` and not above `b`; a < b. */
struct recon_bound recon_between(const struct item *a, const struct item *b);

#endif
