/*
 * One state a byte of framing; data is passed on in pieces as it lies.
 */
#include "api/chunk.h"

#include <assert.h>
#include <string.h>

bool chunk_token_char(uint8_t c)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && memchr(marks, c, sizeof marks - 1) != NULL);
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool text(uint8_t c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

static enum chunk_state size(struct chunk *c, uint8_t b)
{
    int d = digit(b);
    if (d >= 0 && c->digits < CHUNK_DIGITS_MAX) {
        c->left = c->left << 4 | (unsigned)d;
        c->digits++;
        return CHUNK_SIZE;
    }
    if (c->digits == 0 || d >= 0)
        return CHUNK_BAD;
    return b == '\r' ? CHUNK_SIZE_LF : b == ';' ? CHUNK_EXTENSION : CHUNK_BAD;
}

static enum chunk_state after_size(const struct chunk *c, uint8_t b)
{
    if (b != '\n')
        return CHUNK_BAD;
    return c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
}

/* The state after one byte of framing. */
static enum chunk_state move(struct chunk *c, uint8_t b)
{
    switch (c->state) {
    case CHUNK_SIZE:
        return size(c, b);
    case CHUNK_EXTENSION:
        return b == '\r' ? CHUNK_SIZE_LF : text(b) ? CHUNK_EXTENSION : CHUNK_BAD;
    case CHUNK_SIZE_LF:
        return after_size(c, b);
    case CHUNK_DATA_CR:
        return b == '\r' ? CHUNK_DATA_LF : CHUNK_BAD;
    case CHUNK_DATA_LF:
        c->digits = 0;
        return b == '\n' ? CHUNK_SIZE : CHUNK_BAD;
    case CHUNK_TRAILER:
        return b == '\r' ? CHUNK_END_LF : chunk_token_char(b) ? CHUNK_TRAILER_NAME : CHUNK_BAD;
    case CHUNK_TRAILER_NAME:
        return b == ':' ? CHUNK_TRAILER_VALUE : chunk_token_char(b) ? CHUNK_TRAILER_NAME : CHUNK_BAD;
    case CHUNK_TRAILER_VALUE:
        return b == '\r' ? CHUNK_TRAILER_LF : text(b) ? CHUNK_TRAILER_VALUE : CHUNK_BAD;
    case CHUNK_TRAILER_LF:
        return b == '\n' ? CHUNK_TRAILER : CHUNK_BAD;
    case CHUNK_END_LF:
        return b == '\n' ? CHUNK_DONE : CHUNK_BAD;
    case CHUNK_DATA:
    case CHUNK_DONE:
    case CHUNK_BAD:
        break;
    }
    return CHUNK_BAD;
}

void chunk_read(struct chunk *c, struct bytes in, struct bytes *data, size_t *used)
{
    size_t i = 0;
    *data = (struct bytes){0};
    while (i < in.n && c->state != CHUNK_DATA && c->state != CHUNK_DONE && c->state != CHUNK_BAD)
        c->state = move(c, in.p[i++]);
    if (c->state == CHUNK_DATA && i < in.n) {
        assert(c->left > 0);
        *data = bytes_of(in.p + i, in.n - i < c->left ? in.n - i : (size_t)c->left);
        i += data->n;
        c->left -= data->n;
        if (c->left == 0)
            c->state = CHUNK_DATA_CR;
    }
    assert(i <= in.n);
    *used = i;
}
