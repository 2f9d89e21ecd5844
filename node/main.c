/*
 * The program: everything is the command line's (cli.h).
 */
#include "node/cli.h"
#include "sandbox/linux.h"

#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>

#define MALLOC_ARENAS 2 /* an arena a thread would hold on to memory that the threads pass to each other */

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
    return (int)cli_main(argc, argv);
}
