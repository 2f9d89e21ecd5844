/*
 * A directory of a test's own under $TMPDIR or /tmp, and its removal with everything in it.
 */
#ifndef SOUK_TESTS_TMPDIR_H
#define SOUK_TESTS_TMPDIR_H

#include <stddef.h>

/* Creates one; aborts with a message if that is not possible. `out` gets the path. */
void tmpdir_new(char *out, size_t size);
void tmpdir_remove(const char *path);

#endif
