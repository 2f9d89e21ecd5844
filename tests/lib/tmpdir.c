/*
 * Temporary directories for tests. Owns nothing after the call; knows nothing of what is put there.
 */
#include "tests/lib/tmpdir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tmpdir_new(char *out, size_t size)
{
    const char *base = getenv("TMPDIR");
    enum { RANDOM_CHARACTERS = 6 };
    int n = snprintf(out, size, "%s/souk-test-%*s", base != NULL ? base : "/tmp", RANDOM_CHARACTERS, "");
    if (n > RANDOM_CHARACTERS && (size_t)n < size)
        memset(out + n - RANDOM_CHARACTERS, 'X', RANDOM_CHARACTERS);
    if (n < 0 || (size_t)n >= size || mkdtemp(out) == NULL) {
        perror("tmpdir_new");
        abort();
    }
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

void tmpdir_remove(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
