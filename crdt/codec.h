/*
 * Canonical msgpack (MODEL 2). The writer emits the one permitted form (through msgpack-c's packer);
 * the reader accepts only that form, is bounded, and is sticky: after the first fault every call
 * returns zero values and `bad` stays set, so parse straight through and check once at the end.
 * Outputs of the reader borrow the input bytes.
 */
#ifndef SOUK_CRDT_CODEC_H
#define SOUK_CRDT_CODEC_H

#include "crdt/bytes.h"
#include "crdt/id.h"

void mp_put_nil(struct buf *b);
void mp_put_bool(struct buf *b, bool v);
void mp_put_uint(struct buf *b, uint64_t v);
void mp_put_int(struct buf *b, int64_t v);
void mp_put_float(struct buf *b, double v); /* as an integer where one is equal; finite only */
void mp_put_str(struct buf *b, struct bytes utf8);
void mp_put_bin(struct buf *b, struct bytes raw);
void mp_put_array(struct buf *b, size_t n);
void mp_put_map(struct buf *b, size_t n);   /* keys must follow in bytewise order, no duplicates */

enum mp_type { MP_NONE, MP_NIL, MP_BOOL, MP_UINT, MP_INT /* negative */, MP_FLOAT, MP_STR, MP_BIN, MP_ARRAY, MP_MAP };

struct mp_reader {
    const uint8_t *p;
    const uint8_t *end;
    bool bad;
};

void mp_reader_init(struct mp_reader *r, struct bytes in);
enum mp_type mp_peek(const struct mp_reader *r);       /* MP_NONE at the end or when bad */
void mp_nil(struct mp_reader *r);
bool mp_bool(struct mp_reader *r);
uint64_t mp_uint(struct mp_reader *r);
int64_t mp_int(struct mp_reader *r);                   /* any integer that fits */
double mp_float(struct mp_reader *r);                  /* a float64 header only: whole numbers are integers */
struct bytes mp_str(struct mp_reader *r);
struct bytes mp_bin(struct mp_reader *r);
void mp_bin_exact(struct mp_reader *r, void *out, size_t n); /* a bin of exactly n bytes */
size_t mp_array(struct mp_reader *r);                  /* count, at most the bytes left */
size_t mp_map(struct mp_reader *r);                    /* pairs, at most half the bytes left */
/* A map key: a str that sorts after *previous (start with {0}), which becomes this key. */
struct bytes mp_key(struct mp_reader *r, struct bytes *previous);
/* Steps over one value of the kind allowed inside records (nil, bool, integers, float64, str, bin,
 * array, map with ordered str keys), `depth` containers deep already; returns its bytes. */
struct bytes mp_value(struct mp_reader *r, unsigned depth);
/* Marks the input as refused, for a rule that the caller checks itself. */
void mp_fail(struct mp_reader *r);
/* True iff nothing went wrong and every byte was read. */
bool mp_done(const struct mp_reader *r);
/* True iff x is exactly one canonical value (outermost container at depth 1). */
bool mp_canonical(struct bytes x);

#endif
