/*
 * A sticky reader of "word value" lines. Knows no file's meaning.
 */
#include "node/textfile.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void textfile_fail(struct textfile *t, enum err err, const char *format, ...)
{
    assert(err != ERR_OK);
    if (t->err != ERR_OK)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(t->fault, sizeof t->fault, format, args);
    va_end(args);
    t->err = err;
}

/* The next line without its newline. */
static struct bytes take_line(struct textfile *t)
{
    if (t->err != ERR_OK || t->rest.n == 0)
        return (struct bytes){0};
    const uint8_t *end = memchr(t->rest.p, '\n', t->rest.n);
    size_t n = end == NULL ? t->rest.n : (size_t)(end - t->rest.p);
    struct bytes line = bytes_of(t->rest.p, n);
    size_t used = end == NULL ? n : n + 1;
    assert(used > 0 && used <= t->rest.n);
    t->rest = bytes_of(t->rest.p + used, t->rest.n - used);
    t->line++;
    return line;
}

static bool starts(struct bytes line, const char *word)
{
    size_t n = strlen(word);
    return line.n > n && memcmp(line.p, word, n) == 0 && line.p[n] == ' ';
}

bool textfile_uint_of(struct bytes s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0 || s.n > 19 || (s.n > 1 && s.p[0] == '0'))
        return false; /* one form a number */
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *out = v;
    return true;
}

void textfile_init(struct textfile *t, struct bytes in, const char *title, unsigned version)
{
    assert(title != NULL && version > 0);
    *t = (struct textfile){.rest = in};
    struct bytes line = take_line(t);
    uint64_t found = 0;
    if (!starts(line, title) ||
        !textfile_uint_of(bytes_of(line.p + strlen(title) + 1, line.n - strlen(title) - 1), &found))
        textfile_fail(t, ERR_FORM, "the first line is not \"%s %u\"", title, version);
    else if (found != version)
        textfile_fail(t, ERR_VERSION, "this is version %llu of %s; this program knows version %u",
                      (unsigned long long)found, title, version);
}

bool textfile_next_is(const struct textfile *t, const char *word)
{
    return t->err == ERR_OK && starts(t->rest, word);
}

struct bytes textfile_value(struct textfile *t, const char *word)
{
    struct bytes line = take_line(t);
    if (!starts(line, word)) {
        textfile_fail(t, ERR_FORM, "line %u does not start with \"%s\"", t->line + (line.p == NULL), word);
        return (struct bytes){0};
    }
    size_t skip = strlen(word) + 1;
    return bytes_of(line.p + skip, line.n - skip);
}

void textfile_hex(struct textfile *t, const char *word, uint8_t *out, size_t n)
{
    assert(n > 0);
    struct bytes value = textfile_value(t, word);
    memset(out, 0, n);
    if (t->err == ERR_OK && !hex_decode(out, n, value))
        textfile_fail(t, ERR_FORM, "line %u: %s is not %zu hex digits", t->line, word, 2 * n);
}

uint64_t textfile_uint(struct textfile *t, const char *word)
{
    uint64_t v = 0;
    struct bytes value = textfile_value(t, word);
    if (t->err == ERR_OK && !textfile_uint_of(value, &v))
        textfile_fail(t, ERR_FORM, "line %u: %s is not a number", t->line, word);
    return v;
}

struct bytes textfile_split(struct bytes *s)
{
    if (s->n == 0)
        return *s;
    const uint8_t *blank = memchr(s->p, ' ', s->n);
    size_t n = blank == NULL ? s->n : (size_t)(blank - s->p);
    struct bytes word = bytes_of(s->p, n);
    size_t used = blank == NULL ? n : n + 1;
    assert(used <= s->n);
    *s = bytes_of(s->p + used, s->n - used);
    return word;
}

bool textfile_end(const struct textfile *t)
{
    return t->err != ERR_OK || t->rest.n == 0;
}

enum err textfile_done(struct textfile *t, struct buf *why)
{
    if (t->err == ERR_OK && t->rest.n > 0)
        textfile_fail(t, ERR_FORM, "line %u: more than was expected", t->line + 1);
    assert((t->err == ERR_OK) == (t->fault[0] == '\0'));
    if (t->err != ERR_OK)
        buf_put_str(why, t->fault);
    return t->err;
}
