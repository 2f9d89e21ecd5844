/*
 * The Linux side of the sandbox, without an event loop: the launcher's entry, the self-test for `souk doctor`, and files
 * that are opened once and hashed. Everything privileged (namespaces, mounts, cgroups, seccomp, Landlock) is
 * done in linux_*.c, by the launcher process and its children, never in the process that calls these.
 */
#ifndef SOUK_SANDBOX_LINUX_H
#define SOUK_SANDBOX_LINUX_H

#include "crdt/err.h"
#include "sandbox/sandbox.h"

#include <sys/types.h>

/* argv[1] of a launcher. main() calls sandbox_launcher_main first thing and before any library is set up:
 *     int code;
 *     if (sandbox_launcher_main(argc, argv, &code))
 *         return code;
 */
#define SANDBOX_LAUNCHER_VERB "sandbox-launcher"

/* True if argv asks for the launcher; it has then run and ended with *code. False at once otherwise. */
bool sandbox_launcher_main(int argc, char **argv, int *code);

/* Starts a launcher and gives the node's end of its socket (message.h); `path` as in uv_run.h. Does not copy the page tables of
 * the calling process, however large it is. The caller closes the socket, which ends the launcher, and then waits for it. */
SOUK_MUST_USE enum err sandbox_launcher_spawn(const char *path, int *socket, pid_t *pid, struct buf *why);

/* The self-test, waiting for it (at most 5 s), with a launcher of its own. `launcher` as in uv_run.h.
 * ERR_IO: `why` says what failed. */
SOUK_MUST_USE enum err sandbox_self_test(const char *launcher, struct sandbox_layers *out, struct buf *why);

/* Opens `path` (symlinks followed, regular files only, never for writing) and hashes it. `file` is closed with
 * sandbox_file_close. ERR_NOT_FOUND, ERR_IO, ERR_INVALID (not a regular file): `why` says so. */
SOUK_MUST_USE enum err sandbox_file_open(const char *path, struct sandbox_file *file, struct buf *why);
void sandbox_file_close(struct sandbox_file *file); /* safe on a zeroed one: fd 0 is never taken */

/* Is the file still what was hashed: the one that is open, and the one its path names now? Hashes again only where inode,
 * size or a time changed. ERR_OK: same content (a touched file is taken up with its new times). ERR_CONFLICT: another
 * content; `why` names the path and both hashes. ERR_NOT_FOUND, ERR_IO: it is gone or unreadable. */
SOUK_MUST_USE enum err sandbox_file_check(struct sandbox_file *file, struct buf *why);

#endif
