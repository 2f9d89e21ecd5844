/*
 * Byte views, buffers, integers, hex and UTF-8. Pure helpers that every layer shares; nothing here
 * knows a format.
 */
#include "crdt/bytes.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes bytes_of(const void *p, size_t n)
{
    return (struct bytes){p, n};
}

struct bytes bytes_str(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int bytes_cmp(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;
    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

void buf_close(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
    b->n = 0;
}

uint8_t *buf_grow(struct buf *b, size_t n)
{
    if (n > b->cap - b->n) {
        size_t cap = b->cap < 64 ? 64 : b->cap;
        while (cap - b->n < n) {
            assert(cap <= SIZE_MAX / 2);
            cap *= 2;
        }
        b->p = mem_realloc(b->p, cap, 1);
        b->cap = cap;
    }
    return b->p + b->n;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(buf_grow(b, n), p, n);
    b->n += n;
}

void buf_put_bytes(struct buf *b, struct bytes x)
{
    buf_put(b, x.p, x.n);
}

void buf_put_str(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void buf_put_u8(struct buf *b, uint8_t v)
{
    buf_put(b, &v, 1);
}

void buf_put_be(struct buf *b, uint64_t v, unsigned width)
{
    put_be(buf_grow(b, width), v, width);
    b->n += width;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    assert(n >= 0);
    (void)buf_grow(b, (size_t)n + 1);
    (void)vsnprintf((char *)b->p + b->n, (size_t)n + 1, format, again);
    b->n += (size_t)n;
    va_end(again);
    va_end(args);
}

void buf_drop(struct buf *b, size_t n)
{
    assert(n <= b->n);
    b->n -= n;
    if (b->n > 0 && n > 0)
        memmove(b->p, b->p + n, b->n);
}

struct bytes buf_view(const struct buf *b)
{
    return (struct bytes){b->p, b->n};
}

char *buf_cstr(struct buf *b)
{
    *buf_grow(b, 1) = 0;
    return (char *)b->p;
}

uint64_t get_be(const uint8_t *p, unsigned width)
{
    uint64_t v = 0;
    assert(width >= 1 && width <= 8);
    for (unsigned i = 0; i < width; i++)
        v = v << 8 | p[i];
    return v;
}

void put_be(uint8_t *p, uint64_t v, unsigned width)
{
    assert(width >= 1 && width <= 8);
    for (unsigned i = width; i-- > 0; v >>= 8)
        p[i] = (uint8_t)v;
}

void put_le64(uint8_t *p, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++, v >>= 8)
        p[i] = (uint8_t)v;
}

uint64_t get_le64(const uint8_t *p)
{
    uint64_t v = 0;
    for (unsigned i = 8; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

/* Four bytes become eight digits at once: every answer holds half a dozen ids. The digits stand in `word` from its most
 * significant byte on, one nibble to a byte; those above 9 are found by the carry that adding 6 makes. Loads and stores
 * without a loop are what compilers turn into one instruction. */
static void hex_four(char *out, const uint8_t *p)
{
    uint64_t word = (uint64_t)p[0] << 24 | (uint64_t)p[1] << 16 | (uint64_t)p[2] << 8 | p[3];
    word = (word << 16 | word) & 0x0000ffff0000ffffu;
    word = (word << 8 | word) & 0x00ff00ff00ff00ffu;
    word = (word << 4 | word) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t letters = (word + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    word += 0x3030303030303030u + letters * ('a' - '0' - 10);
    out[0] = (char)(word >> 56);
    out[1] = (char)(word >> 48);
    out[2] = (char)(word >> 40);
    out[3] = (char)(word >> 32);
    out[4] = (char)(word >> 24);
    out[5] = (char)(word >> 16);
    out[6] = (char)(word >> 8);
    out[7] = (char)word;
}

void hex_encode(char *out, const uint8_t *p, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    size_t i = 0;
    for (; n - i >= 4; i += 4)
        hex_four(out + 2 * i, p + i);
    for (; i < n; i++) {
        out[2 * i] = digit[p[i] >> 4];
        out[2 * i + 1] = digit[p[i] & 15];
    }
    out[2 * n] = 0;
}

/* The value of a digit plus 16; 0: it is none. */
static const uint8_t hex_digits[256] = {
    ['0'] = 16, ['1'] = 17, ['2'] = 18, ['3'] = 19, ['4'] = 20, ['5'] = 21, ['6'] = 22, ['7'] = 23,
    ['8'] = 24, ['9'] = 25, ['a'] = 26, ['b'] = 27, ['c'] = 28, ['d'] = 29, ['e'] = 30, ['f'] = 31,
    ['A'] = 26, ['B'] = 27, ['C'] = 28, ['D'] = 29, ['E'] = 30, ['F'] = 31,
};

bool hex_decode(uint8_t *out, size_t n, struct bytes s)
{
    if (s.n != 2 * n)
        return false;
    uint8_t all = 16;
    for (size_t i = 0; i < s.n; i++)
        all &= hex_digits[s.p[i]];
    if (all == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)((hex_digits[s.p[2 * i]] & 15) << 4 | (hex_digits[s.p[2 * i + 1]] & 15));
    return true;
}

/* Length of the well-formed sequence that starts at p, 0 if there is none. */
static size_t utf8_step(const uint8_t *p, size_t left)
{
    uint8_t c = p[0], low = 0x80, high = 0xbf;
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    if (c == 0xe0)
        low = 0xa0;
    if (c == 0xed)
        high = 0x9f;
    if (c == 0xf0)
        low = 0x90;
    if (c == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf)
        if (p[i] < low || p[i] > high)
            return 0;
    return n;
}

/* Of the next words of text, how many bytes are ASCII for certain: 32, 8 or 0. Most text is, and most time goes here. */
static size_t ascii_run(const uint8_t *p, size_t left)
{
    enum { WORDS = 4 };
    uint64_t words[WORDS];
    if (left >= sizeof words) {
        memcpy(words, p, sizeof words);
        if (((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080u) == 0)
            return sizeof words;
    }
    if (left < sizeof *words)
        return 0;
    memcpy(words, p, sizeof *words);
    return (words[0] & 0x8080808080808080u) == 0 ? sizeof *words : 0;
}

bool utf8_valid(struct bytes x)
{
    for (size_t i = 0; i < x.n;) {
        size_t n = ascii_run(x.p + i, x.n - i);
        if (n == 0)
            n = utf8_step(x.p + i, x.n - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
