/*
 * Byte views, growable buffers and fixed-width integers. `struct bytes` borrows and never frees;
 * `struct buf` owns its memory. Neither knows any format.
 */
#ifndef SOUK_CRDT_BYTES_H
#define SOUK_CRDT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed view; {NULL, 0} is "absent", a non-NULL p with n == 0 is "empty". */
struct bytes {
    const uint8_t *p;
    size_t n;
};

struct bytes bytes_of(const void *p, size_t n);
struct bytes bytes_str(const char *s); /* without the NUL */
bool bytes_eq(struct bytes a, struct bytes b);
int bytes_cmp(struct bytes a, struct bytes b); /* bytewise, a prefix sorts first */

/* A growable buffer: zero-initialise to start, buf_close to free (safe on a zeroed one). */
struct buf {
    uint8_t *p;
    size_t n;
    size_t cap;
};

void buf_close(struct buf *b);
void buf_reset(struct buf *b);                           /* n = 0, memory kept            */
uint8_t *buf_grow(struct buf *b, size_t n);              /* room for n more; n unchanged  */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_bytes(struct buf *b, struct bytes x);
void buf_put_str(struct buf *b, const char *s);          /* without the NUL               */
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_be(struct buf *b, uint64_t v, unsigned width); /* width 1..8 bytes           */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_drop(struct buf *b, size_t n);                  /* removes the first n bytes     */
struct bytes buf_view(const struct buf *b);
char *buf_cstr(struct buf *b);                           /* NUL after the end; borrowed   */

uint64_t get_be(const uint8_t *p, unsigned width);       /* width 1..8 bytes              */
void put_be(uint8_t *p, uint64_t v, unsigned width);
void put_le64(uint8_t *p, uint64_t v);
uint64_t get_le64(const uint8_t *p);

/* Lower-case hex. `out` holds 2 n + 1 characters. */
void hex_encode(char *out, const uint8_t *p, size_t n);
/* True iff s is exactly 2 n hex digits (either case). */
bool hex_decode(uint8_t *out, size_t n, struct bytes s);
/* True iff x is well-formed UTF-8 (no surrogates, no overlong forms, <= U+10FFFF). */
bool utf8_valid(struct bytes x);

#endif
