/*
 * A loop with a launcher for tests of the sandbox: runs a program, waits for its end, keeps a copy of the result. The launcher
 * is the souk binary of this build; the program is `hostile` unless another is named.
 */
#ifndef SOUK_TESTS_JAILBED_H
#define SOUK_TESTS_JAILBED_H

#include "sandbox/linux.h"
#include "sandbox/uv_run.h"

#include <uv.h>

struct jailbed {
    uv_loop_t loop;
    struct uv_sandbox *s;
    struct sandbox_layers layers;
    struct sandbox_file hostile;
    char launcher[512];
    bool ready;
    unsigned readies; /* self-tests seen */
};

/* What a call came to; buffers are owned. */
struct jail_result {
    bool done;
    struct sandbox_result r;
    struct buf output, errors, detail, chunks;
    unsigned chunk_count;
    uint64_t id, at_us;
};

/* Opens it all and waits for the self-test. Exits with 77 and a sentence where user namespaces are missing. */
void jailbed_open(struct jailbed *bed);
void jailbed_close(struct jailbed *bed);

/* A spec for `hostile` with these arguments (NULL-ended, without argv[0]) and small limits; memory summed where no cgroup counts. */
struct sandbox_spec jailbed_spec(const struct jailbed *bed, const char *const *arguments);

/* One call in a pool of its own; waits for its end. */
void jailbed_run(struct jailbed *bed, const struct sandbox_spec *spec, struct bytes input, struct jail_result *out);
/* Starts a call; its end is noted in `out`. */
void jailbed_call(struct uv_pool *pool, struct bytes input, uint64_t caller, struct jail_result *out);
/* Runs the loop until the call is done. */
void jailbed_wait(struct jailbed *bed, const struct jail_result *result);
void jailbed_wait_ms(struct jailbed *bed, uint64_t ms);
struct uv_pool *jailbed_pool(struct jailbed *bed, const struct uv_pool_options *options);
void jail_result_close(struct jail_result *result);

/* The process id of the launcher: the child of this process that is one. 0: none. */
int jailbed_launcher_pid(void);

#endif
