/*
 * Money: decimal strings at the edges, integer pico-USD inside, never a float. 1 USD = 10^12 pico-USD, so a price in USD
 * per 1,000,000 tokens with at most six digits after the point is a whole number of pico-USD per token.
 */
#ifndef SOUK_CRDT_DECIMAL_H
#define SOUK_CRDT_DECIMAL_H

#include "crdt/bytes.h"

#define DECIMAL_MAX 40 /* bytes of a decimal string that is read */

/* text * 10^scale as an integer, exactly. text is DIGITS or DIGITS.DIGITS: no sign, exponent or blank. False: not of
 * this form, over 2^63-1, or not a whole number. */
bool decimal_scaled(struct bytes text, unsigned scale, uint64_t *out);
/* As decimal_scaled, but rounds half up; *exact says whether that changed anything. */
bool decimal_rounded(struct bytes text, unsigned scale, uint64_t *out, bool *exact);
/* USD per 1,000,000 tokens <-> pico-USD per token. */
bool decimal_to_pico(struct bytes text, uint64_t *pico);
/* n / 10^scale without trailing zeros: 32 bytes hold any. */
void decimal_text(char out[32], uint64_t n, unsigned scale);
void decimal_from_pico(char out[32], uint64_t pico);
/* The shortest decimal that reads back as v, without an exponent. False: v is negative, not a number, or needs more than
 * DECIMAL_MAX bytes. */
#define DECIMAL_TEXT (DECIMAL_MAX + 1)
bool decimal_of_double(char out[DECIMAL_TEXT], double v);

#endif
