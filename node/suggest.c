/*
 * Nearest words by edit distance. Three rows of the usual table are kept, since a swap of two
 * neighbours looks two rows back. Knows nothing of what the words stand for.
 */
#include "node/suggest.h"

#include <assert.h>
#include <string.h>

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

static size_t bounded_length(const char *s)
{
    size_t n = strnlen(s, SUGGEST_WORD_MAX);
    assert(n <= SUGGEST_WORD_MAX);
    return n;
}

unsigned suggest_distance(const char *a, const char *b)
{
    unsigned rows[3][SUGGEST_WORD_MAX + 1];
    size_t n = bounded_length(a), m = bounded_length(b);
    unsigned *two_back = rows[0], *back = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        back[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned replace = back[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min3(back[j] + 1, row[j - 1] + 1, replace);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two_back[j - 2] + 1 < row[j])
                row[j] = two_back[j - 2] + 1;
        }
        assert(row[m] <= n + m);
        unsigned *spare = two_back;
        two_back = back;
        back = row;
        row = spare;
    }
    return back[m];
}

void suggest_offer(struct suggest *s, const char *candidate)
{
    assert(s->word != NULL && candidate != NULL);
    unsigned d = suggest_distance(s->word, candidate);
    unsigned most = (unsigned)(strlen(s->word) / 3);
    if (d > (most == 0 ? 1 : most))
        return;
    if (s->best != NULL && d >= s->distance)
        return;
    s->best = candidate;
    s->distance = d;
}
