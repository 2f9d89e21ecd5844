/*
 * "Did you mean ...?": the nearest of a list of words, for mistyped verbs, options and settings.
 * Pure; knows nothing of what the words stand for.
 */
#ifndef SOUK_NODE_SUGGEST_H
#define SOUK_NODE_SUGGEST_H

#include <stddef.h>

#define SUGGEST_WORD_MAX 64 /* longer words are compared by their first 64 characters */

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b (optimal string alignment). */
unsigned suggest_distance(const char *a, const char *b);

/* Keeps the nearest word offered. Zero-initialise, offer words in a fixed order (the first of equals wins). */
struct suggest {
    const char *word; /* what was typed, borrowed */
    const char *best; /* NULL: nothing near enough, i.e. more than a third of it (at least one change) differs */
    unsigned distance;
};
void suggest_offer(struct suggest *s, const char *candidate);

#endif
