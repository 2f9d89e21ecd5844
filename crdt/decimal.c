/*
 * Decimal strings to integers and back, by digits. Knows nothing of currencies beyond the powers of ten.
 */
#include "crdt/decimal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
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

/* `count` digits, of which the first has the weight 10^exponent, as a plain decimal. */
static bool spell(char out[DECIMAL_TEXT], const char *digits, size_t count, long exponent)
{
    size_t n = 0;
    long last = (long)count - 1 - exponent; /* digits after the point */
    long start = exponent > 0 ? exponent : 0;
    if (start > DECIMAL_MAX - 2 || last > DECIMAL_MAX - 2 || start + (last > 0 ? last : 0) > DECIMAL_MAX - 2)
        return false;
    for (long weight = start; weight >= -(last > 0 ? last : 0); weight--) {
        long at = exponent - weight;
        if (weight == -1)
            out[n++] = '.';
        out[n++] = at >= 0 && at < (long)count ? digits[at] : '0';
    }
    assert(n <= DECIMAL_MAX);
    out[n] = 0;
    return true;
}

bool decimal_of_double(char out[DECIMAL_TEXT], double v)
{
    char text[40], digits[24];
    size_t count = 0;
    if (!(v >= 0) || v > 1e30)
        return false;
    for (int precision = 0; precision <= 16; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    const char *e = strchr(text, 'e');
    assert(e != NULL);
    for (const char *p = text; p < e; p++)
        if (*p != '.' && *p != '-')
            digits[count++] = *p;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return spell(out, digits, count, strtol(e + 1, NULL, 10));
}
