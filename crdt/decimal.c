/*
 * Decimal strings to integers and back, by digits. Knows nothing of currencies beyond the powers of ten.
 */
#include "crdt/decimal.h"

#include <assert.h>
#include <string.h>

/* A decimal taken apart: its digits without the point, and how many stood after it. */
struct digits {
    uint8_t d[DECIMAL_MAX];
    size_t n, after;
};

static bool digits_parse(struct bytes text, struct digits *out)
{
    if (text.n == 0 || text.n > DECIMAL_MAX)
        return false;
    const uint8_t *point = memchr(text.p, '.', text.n);
    if (point != NULL && (point == text.p || point == text.p + text.n - 1))
        return false;
    *out = (struct digits){.after = point != NULL ? (size_t)(text.p + text.n - point) - 1 : 0};
    for (size_t i = 0; i < text.n; i++) {
        if (text.p + i == point)
            continue;
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        out->d[out->n++] = (uint8_t)(text.p[i] - '0');
    }
    return true;
}

bool decimal_rounded(struct bytes text, unsigned scale, uint64_t *out, bool *exact)
{
    struct digits x;
    if (!digits_parse(text, &x))
        return false;
    size_t whole = x.n - x.after; /* digits before the point, then `scale` more count */
    uint64_t v = 0;
    for (size_t i = 0; i < whole + scale; i++) {
        uint64_t digit = i < x.n ? x.d[i] : 0;
        if (v > (INT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *exact = true;
    for (size_t i = whole + scale; i < x.n; i++)
        *exact = *exact && x.d[i] == 0;
    if (whole + scale < x.n && x.d[whole + scale] >= 5) {
        if (v == INT64_MAX)
            return false;
        v++;
    }
    *out = v;
    return true;
}

bool decimal_scaled(struct bytes text, unsigned scale, uint64_t *out)
{
    uint64_t v;
    bool exact;
    if (!decimal_rounded(text, scale, &v, &exact) || !exact)
        return false;
    *out = v;
    return true;
}

bool decimal_to_pico(struct bytes text, uint64_t *pico)
{
    return decimal_scaled(text, 6, pico);
}

void decimal_text(char out[32], uint64_t n, unsigned scale)
{
    char digits[32];
    size_t count = 0, at = 0;
    assert(scale <= 19);
    for (; n > 0 || count <= scale; n /= 10)
        digits[count++] = (char)('0' + n % 10);
    size_t zeros = 0;
    while (zeros < scale && digits[zeros] == '0')
        zeros++;
    for (size_t i = count; i-- > zeros;) {
        out[at++] = digits[i];
        if (i == scale && i > zeros)
            out[at++] = '.';
    }
    assert(at < 32);
    out[at] = 0;
}

void decimal_from_pico(char out[32], uint64_t pico)
{
    decimal_text(out, pico, 6);
}
