/*
 * sim --overlay: runs a crowd, prints what it measured and judges it by the bounds. Beside main.c the only file here that
 * asks the system for anything: the processor time and the memory that the run took.
 */
#include "tests/sim/crowd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CROWD_COPIES_100 250 /* hundredths of a copy of a delta for each host */
#define CROWD_P99_MS     1000
#define HOSTILE_P99_MS   2000 /* while some promise and do not keep it, and others take the places of those who pass on */

static void print_phase(const char *name, const struct crowd_phase *p)
{
    uint64_t published = p->published > 0 ? p->published : 1, bundles = p->bundle_bytes > 0 ? p->bundle_bytes : 1;
    printf("%s: %llu deltas, %llu arrivals measured, %llu missed, after 50 %% %llu ms, 99 %% %llu ms, at most %llu ms\n", name,
           (unsigned long long)p->deltas, (unsigned long long)p->pairs, (unsigned long long)p->missed,
           (unsigned long long)p->p50_ms, (unsigned long long)p->p99_ms, (unsigned long long)p->max_ms);
    printf("%*s  copies of a delta for each host %llu.%02llu, bytes sent for each byte of a delta %llu.%02llu, GRAFT and PRUNE %llu, "
           "crashes %llu\n",
           (int)strlen(name), "", (unsigned long long)(p->copies / published), (unsigned long long)(100 * p->copies / published % 100),
           (unsigned long long)(p->sent_bytes * 100 / (p->published / p->deltas) / bundles / 100),
           (unsigned long long)(p->sent_bytes * 100 / (p->published / p->deltas) / bundles % 100), (unsigned long long)p->control,
           (unsigned long long)p->crashes);
}

static bool within(const struct crowd_config *c, const struct crowd_phase *p)
{
    uint64_t most = c->hostile_percent > 0 ? HOSTILE_P99_MS : CROWD_P99_MS;
    return p->missed == 0 && p->pairs > 0 && p->p99_ms < most && 100 * p->copies <= CROWD_COPIES_100 * p->published;
}

static void print_shape(const struct crowd_config *config, const struct crowd_outcome *out)
{
    printf("overlay of %u nodes, seed 0x%llx: links %llu.%01llu on average, %llu to %llu, at least %llu dialed; "
           "whole deltas come over %llu.%01llu of them; at most %llu rows in a book; %llu of %llu connections silent\n",
           config->nodes, (unsigned long long)config->seed, (unsigned long long)(out->links / out->honest),
           (unsigned long long)(10 * out->links / out->honest % 10), (unsigned long long)out->least_links,
           (unsigned long long)out->most_links, (unsigned long long)out->least_outbound,
           (unsigned long long)(out->eager_in / out->honest), (unsigned long long)(10 * out->eager_in / out->honest % 10),
           (unsigned long long)out->most_book, (unsigned long long)out->stalled, (unsigned long long)out->live);
}

/* GossipSub's documents: D = 6 (4 to 12, 2 dialed), every link of the mesh carries every message, so a node passes it to
 * D - 1 others; what a link lost is told of on the heartbeat of 1 s. */
static void print_reference(const struct crowd_outcome *out)
{
    uint64_t every = 100 * out->links / out->honest - 100;
    printf("for comparison: with whole deltas over every link here %llu.%02llu copies; GossipSub v1.1 as documented (D = 6): 5.00 copies, "
           "ids up to 1000 ms later, here up to 50 ms\n",
           (unsigned long long)(every / 100), (unsigned long long)(every % 100));
}

static bool take(struct crowd_config *c, const char *name, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != 0 || text[0] == '-')
        return false;
    if (strcmp(name, "--seed") == 0)
        c->seed = v;
    else if (strcmp(name, "--nodes") == 0 && v > CROWD_SEEDS && v <= CROWD_HOSTS_MAX)
        c->nodes = (unsigned)v;
    else if (strcmp(name, "--deltas") == 0 && v > 0 && v <= 10000)
        c->deltas = (unsigned)v;
    else if (strcmp(name, "--hostile") == 0 && v <= 40)
        c->hostile_percent = (unsigned)v;
    else
        return false;
    return true;
}

/* Hostile hosts that nobody asked, or that asked for nothing, would prove nothing. */
static bool attacked(const struct crowd_config *c, const struct crowd_outcome *out)
{
    if (c->hostile_percent == 0)
        return true;
    printf("%llu hostile nodes of three kinds: asked in vain for %llu deltas, sent %llu GRAFTs\n", (unsigned long long)out->hostile,
           (unsigned long long)out->asked_in_vain, (unsigned long long)out->grafts);
    return out->hostile >= 3 && out->asked_in_vain > c->deltas && out->grafts > 100 * out->hostile;
}

int crowd_main(int argc, char **argv)
{
    struct crowd_config config = {.seed = 1, .nodes = 1000, .deltas = 200, .failing_percent = 5, .churn_percent = 10};
    struct crowd_outcome out;
    struct rusage used;
    for (int i = 0; i < argc; i += 2)
        if (i + 1 == argc || !take(&config, argv[i], argv[i + 1])) {
            fprintf(stderr, "usage: sim --overlay [--nodes %d..%d] [--deltas 1..10000] [--seed S] [--hostile 0..40]\n", CROWD_SEEDS + 1, CROWD_HOSTS_MAX);
            return 2;
        }
    if (sodium_init() < 0)
        return 2;
    crowd_run(&config, &out);
    getrusage(RUSAGE_SELF, &used);
    print_shape(&config, &out);
    print_phase("5 % of links failing", &out.phase[0]);
    print_phase("10 % churn a minute ", &out.phase[1]);
    print_reference(&out);
    printf("without the %d hosts that all were given, cut in halves that write %llu deltas: all sets equal %llu s after the cut\n", CROWD_SEEDS,
           (unsigned long long)out.phase[2].deltas, (unsigned long long)(out.joined_ms / 1000));
    printf("all sets equal %llu s after the last fault; %llu handshakes, %llu events, %ld s of processor, %ld MiB\n",
           (unsigned long long)(out.settled_ms / 1000), (unsigned long long)out.handshakes, (unsigned long long)out.events,
           (long)used.ru_utime.tv_sec + (long)used.ru_stime.tv_sec, used.ru_maxrss / 1024);
    bool ok = out.ok && within(&config, &out.phase[0]) && within(&config, &out.phase[1]) && attacked(&config, &out);
    if (out.failure[0] != 0)
        printf("violation: %s\n", out.failure);
    printf("%s bounds: everything arrives, 99 %% within %u ms, at most %u.%02u copies\n", ok ? "ok" : "FAILED", config.hostile_percent > 0 ? HOSTILE_P99_MS : CROWD_P99_MS,
           CROWD_COPIES_100 / 100, CROWD_COPIES_100 % 100);
    return ok ? 0 : 1;
}

