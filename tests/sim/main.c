/*
 * sim: runs the simulator. The only file of it that may ask the system for anything: the command line, a fresh seed and
 * the time that a time-boxed run takes.
 */
#include "tests/sim/crowd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    struct sim_config config;
    bool has_seed, verbose, every_kind, alone;
    uint64_t kinds;               /* of hostile hosts, seen so far */
    unsigned long long seconds;
    const char *seeds;
};

static const char usage[] =
    "usage: sim --seed S [--nodes N] [--minutes M] [--hostile KIND|none] [--trace] [--verbose]\n"
    "       sim --seeds FILE [--every-kind]   each line of FILE: SEED NODES MINUTES [KIND|none]\n"
    "       sim --alone [--seed S] [--nodes N] [--minutes M]   each kind of hostile node alone; fails where it leaves no mark\n"
    "       sim --for SECONDS [--nodes N] [--minutes M] [--hostile KIND|none]   fresh seeds until the time is up\n"
    "       sim --overlay [--nodes N] [--deltas N] [--seed S] [--hostile PERCENT]   how deltas spread among 1000 nodes, with links failing\n"
    "Up to 40 % of the nodes are hostile, as the seed draws it; --hostile: all that may be are of one kind, or none is.\n"
    "--every-kind: fails unless each kind of hostile node was in one of the worlds.\n";

static bool parse_number(const char *text, unsigned long long low, unsigned long long high, unsigned long long *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != 0 || text[0] == '-' || v < low || v > high) {
        fprintf(stderr, "sim: %s is not a number from %llu to %llu\n", text, low, high);
        return false;
    }
    *out = v;
    return true;
}

static bool parse_mix(struct sim_config *c, const char *text)
{
    c->mix = strcmp(text, "none") == 0 ? SIM_MIX_NONE : SIM_MIX_ONE;
    if (c->mix == SIM_MIX_NONE || villain_parse(text, &c->kind))
        return true;
    fprintf(stderr, "sim: %s is no kind of hostile node; there are none", text);
    for (unsigned i = 0; i < VILLAIN_KINDS; i++)
        fprintf(stderr, " %s", villain_name((enum villain_kind)i));
    fprintf(stderr, "\n");
    return false;
}

static bool take_option(struct options *o, const char *name, const char *value)
{
    unsigned long long v;
    if (strcmp(name, "--seeds") == 0) {
        o->seeds = value;
        return true;
    }
    if (strcmp(name, "--hostile") == 0)
        return parse_mix(&o->config, value);
    if (strcmp(name, "--seed") == 0) {
        o->has_seed = parse_number(value, 0, UINT64_MAX, &v);
        o->config.seed = o->has_seed ? v : 0;
        return o->has_seed;
    }
    if (strcmp(name, "--nodes") == 0 && parse_number(value, 2, SIM_HOSTS_MAX, &v)) {
        o->config.nodes = (unsigned)v;
        return true;
    }
    if (strcmp(name, "--minutes") == 0 && parse_number(value, 1, 1000, &v)) {
        o->config.minutes = (unsigned)v;
        return true;
    }
    return strcmp(name, "--for") == 0 && parse_number(value, 1, 1000000, &o->seconds);
}

static bool parse_options(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            o->config.trace = true;
        else if (strcmp(argv[i], "--verbose") == 0)
            o->verbose = true;
        else if (strcmp(argv[i], "--every-kind") == 0)
            o->every_kind = true;
        else if (strcmp(argv[i], "--alone") == 0)
            o->alone = true;
        else if (i + 1 == argc || !take_option(o, argv[i], argv[i + 1]))
            return false;
        else
            i++;
    }
    return (o->alone ? o->seeds == NULL && o->seconds == 0 : o->has_seed + (o->seeds != NULL) + (o->seconds != 0) == 1);
}

static bool run_once(const struct sim_config *c, struct sim_outcome *out)
{
    sim_run(c, out);
    if (!out->ok) {
        printf("violation: %s\n", out->failure);
        printf("sim --seed 0x%llx --nodes %u --minutes %u%s%s\n", (unsigned long long)c->seed, c->nodes, c->minutes,
               c->mix == SIM_MIX_DRAWN ? "" : " --hostile ",
               c->mix == SIM_MIX_DRAWN ? "" : c->mix == SIM_MIX_NONE ? "none" : villain_name(c->kind));
    }
    return out->ok;
}

static bool run(struct options *o)
{
    const struct sim_config *c = &o->config;
    struct sim_outcome first;
    if (!run_once(c, &first))
        return false;
    o->kinds |= first.kinds;
    if (o->verbose)
        printf("%llu events, %llu writes (%llu refused), %llu crashes and leaves, all agreed %llu.%03llu s after healing, "
               "at most %llu kB sent by one host in a minute, %llu kB to hostile ones;",
               (unsigned long long)first.events, (unsigned long long)first.writes, (unsigned long long)first.refused,
               (unsigned long long)first.crashes, (unsigned long long)(first.converged_ms / 1000),
               (unsigned long long)(first.converged_ms % 1000), (unsigned long long)(first.most_bytes / 1000),
               (unsigned long long)(first.most_fed / 1000));
    for (unsigned i = 0; o->verbose && i < VILLAIN_KINDS; i++)
        if ((first.kinds >> i & 1) != 0)
            printf(" %s", villain_name((enum villain_kind)i));
    if (o->verbose)
        printf(" (%u hostile hosts)\n", first.hostile);
    printf("ok seed=0x%llx nodes=%u hostile=%u deltas=%llu trace=%s\n", (unsigned long long)c->seed, c->nodes, first.hostile,
           (unsigned long long)first.deltas, first.trace);
    (void)fflush(stdout);
    return true;
}

static bool run_file(struct options *o)
{
    FILE *f = fopen(o->seeds, "r");
    char line[256];
    bool ok = true;
    if (f == NULL) {
        fprintf(stderr, "sim: cannot read %s: %s\n", o->seeds, strerror(errno));
        return false;
    }
    while (ok && fgets(line, sizeof line, f) != NULL) {
        unsigned long long seed;
        unsigned nodes, minutes;
        char mix[32] = "";
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (sscanf(line, "%llx %u %u %31[a-z-]", &seed, &nodes, &minutes, mix) < 3 || nodes < 2 || nodes > SIM_HOSTS_MAX || minutes < 1) {
            fprintf(stderr, "sim: not SEED NODES MINUTES [KIND|none]: %s", line);
            ok = false;
            break;
        }
        o->config = (struct sim_config){.seed = seed, .nodes = nodes, .minutes = minutes, .trace = o->config.trace};
        ok = (mix[0] == 0 || parse_mix(&o->config, mix)) && run(o);
    }
    (void)fclose(f);
    return ok;
}

static bool run_fresh(struct options *o)
{
    time_t end = time(NULL) + (time_t)o->seconds;
    unsigned long long worlds = 0;
    bool ok = true;
    for (; ok && time(NULL) < end; worlds += ok) {
        randombytes_buf(&o->config.seed, sizeof o->config.seed);
        ok = run(o);
    }
    printf("%llu fresh seeds%s\n", worlds, ok ? ", no violation" : " before this one");
    return ok;
}

/* A kind that leaves no mark on honest nodes did nothing, and a world that it was in proves nothing. The mark must be its own:
 * the same world without hostile nodes has none. */
static bool run_alone(struct options *o)
{
    struct sim_outcome without, with;
    bool ok = true;
    o->config.mix = SIM_MIX_NONE;
    if (!run_once(&o->config, &without))
        return false;
    o->config.mix = SIM_MIX_ONE;
    for (unsigned i = 0; i < VILLAIN_KINDS; i++) {
        o->config.kind = (enum villain_kind)i;
        if (!run_once(&o->config, &with))
            return false;
        uint64_t need = sim_mark_need(o->config.kind), got = sim_mark_of(&with.tally, o->config.kind);
        uint64_t before = sim_mark_of(&without.tally, o->config.kind);
        bool marked = got >= need && before < need && with.hostile > 0;
        printf("%s %u %s of %u nodes: %llu %s, without them %llu, wanted %llu\n", marked ? "ok" : "NO MARK", with.hostile,
               villain_name(o->config.kind), o->config.nodes, (unsigned long long)got, sim_mark_text(o->config.kind),
               (unsigned long long)before, (unsigned long long)need);
        ok &= marked;
    }
    return ok;
}

static bool saw_every_kind(const struct options *o)
{
    bool all = true;
    for (unsigned i = 0; i < VILLAIN_KINDS; i++) {
        if ((o->kinds >> i & 1) == 0)
            printf("no world had a hostile node of the kind %s\n", villain_name((enum villain_kind)i));
        all &= (o->kinds >> i & 1) != 0;
    }
    return all;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--overlay") == 0)
        return crowd_main(argc - 2, argv + 2);
    struct options o = {.config = {.nodes = 32, .minutes = 10}};
    if (!parse_options(&o, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    if (sodium_init() < 0)
        return 2;
    bool ok = o.alone ? run_alone(&o) : o.seeds != NULL ? run_file(&o) : o.seconds != 0 ? run_fresh(&o) : run(&o);
    if (ok && o.every_kind)
        ok = saw_every_kind(&o);
    return ok ? 0 : 1;
}
