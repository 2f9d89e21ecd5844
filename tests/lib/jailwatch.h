/*
 * What a sandbox leaves behind, seen from outside: processes by a word of their command line, control groups by name,
 * descriptors, mounts. For tests.
 */
#ifndef SOUK_TESTS_JAILWATCH_H
#define SOUK_TESTS_JAILWATCH_H

#include <stdbool.h>
#include <stddef.h>

size_t watch_processes(const char *word);       /* command lines that have this argument          */
size_t watch_groups(int launcher);              /* control groups souk-LAUNCHER-*                 */
size_t watch_descriptors(int pid);              /* open ones of a process                         */
size_t watch_children(int pid);
size_t watch_mounts(void);                      /* of this process's namespace                    */
size_t watch_resident_kb(int pid);
/* Polls for up to 20 s. */
bool watch_until(size_t (*count)(int), int argument, size_t want);
bool watch_until_gone(const char *word);

#endif
