/*
 * The program: everything is the command line's (cli.h).
 */
#include "node/cli.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    if (sodium_init() < 0) {
        fputs("souk: the system gives no randomness\n", stderr);
        return CLI_FAILED;
    }
    signal(SIGPIPE, SIG_IGN);
    return cli_main(argc, argv);
}
