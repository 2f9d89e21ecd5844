/*
 * What the parts of `souk doctor` share: cli_doctor.c (directory and machine), cli_doctor_mesh.c (mesh and peers) and
 * cli_probe.c (is anybody there?).
 */
#ifndef SOUK_NODE_CLI_DOCTOR_H
#define SOUK_NODE_CLI_DOCTOR_H

#include "node/cli.h"

/* NOTE: worth knowing, nothing to mend. */
enum health { HEALTH_OK, HEALTH_NOTE, HEALTH_WARN, HEALTH_FAIL };

struct doctor {
    struct cli *cli;
    struct cli_rows rows;
    struct config config;
    bool running;
    unsigned failed;
};

/* A finding; next: what to do, "" where all is well. */
void doctor_tell(struct doctor *d, enum health health, const char *check, const char *detail, const char *next);
/* The running node's view of its mesh: ports, peers, clocks, strangers. */
void doctor_mesh(struct doctor *d);
bool doctor_is_loopback(const char *address);

/* Opens an address and either binds it or connects to it. */
enum probe_way { PROBE_BIND, PROBE_CONNECT };
/* NULL: it worked; else why not, in static storage. */
const char *probe_address(const char *address, enum probe_way way);

#define PROBES_MAX    256  /* two for each peer that is remembered */
#define PROBE_WAIT_MS 3000 /* for all together */
struct probe {
    char address[256]; /* HOST:PORT */
    int code;          /* the result: 0 it answers, else an errno, ETIMEDOUT where nothing came back */
    int fd;            /* its own */
};
/* Connects to all of them at once. n <= PROBES_MAX. */
void probe_all(struct probe *list, size_t n);

/* The layers of the sandbox, as seen from this process. */
void doctor_sandbox(struct doctor *d);

#endif
