/*
 * The program: everything is the command line's (cli.h).
 */
#include "node/cli.h"
#include "sandbox/linux.h"

#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>

/* An arena a thread would hold on to memory that the threads pass to each other; and unless it is told a size, the library
 * takes large blocks from the arenas too as soon as one such was freed, where the smaller ones around them keep them resident. */
#define MALLOC_ARENAS     2
#define MALLOC_MAPPED_MIN (256 << 10) /* bytes; what is larger is given back as soon as it is freed */
#define MALLOC_TOP_KEPT   (4 << 20)   /* bytes kept at an arena's end for what comes next */

int main(int argc, char **argv)
{
    int code;
    if (sandbox_launcher_main(argc, argv, &code))
        return code;
    if (sodium_init() < 0) {
        fputs("souk: the system gives no randomness\n", stderr);
        return CLI_FAILED;
    }
    signal(SIGPIPE, SIG_IGN);
    (void)mallopt(M_ARENA_MAX, MALLOC_ARENAS);
    (void)mallopt(M_MMAP_THRESHOLD, MALLOC_MAPPED_MIN);
    (void)mallopt(M_TRIM_THRESHOLD, MALLOC_TOP_KEPT);
    return (int)cli_main(argc, argv);
}
