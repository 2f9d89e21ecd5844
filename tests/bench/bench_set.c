/*
 * What the set index and reconciliation cost: inserts in time order and in any order, memory an item, the fingerprint of
 * random ranges, each as a ratio to expanding one id with ChaCha20, measured in the same run; then rounds and bytes of
 * sessions beside their bounds and what the published implementation needs. Prints, asserts nothing; times are of the processor.
 * Usage: bench_set [ITEMS], a million by default.
 */
#include "crdt/alloc.h"
#include "crdt/rng.h"
#include "crdt/setindex.h"
#include "tests/lib/recon_pair.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Processor time of this thread: what a busy machine does meanwhile is left out. */
static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double expand_us(void)
{
    struct lthash h, sum = {.lane = {0}};
    struct id id = {.b = {1}};
    double start = cpu_us();
    for (unsigned i = 0; i < 100000; i++) {
        id.b[1] = (uint8_t)i;
        id.b[2] = (uint8_t)(i >> 8);
        lthash_of(&h, &id);
        lthash_add(&sum, &h);
    }
    return (cpu_us() - start) / 100000;
}

static void ranges(const struct setindex *s, struct rng *r, double unit)
{
    double worst = 0, total = 0;
    size_t most = 0;
    for (unsigned i = 0; i < 2000; i++) {
        struct lthash sum;
        size_t n = setindex_count(s);
        size_t from = (size_t)rng_below(r, n), to = from + (size_t)rng_below(r, n - from + 1);
        double start = cpu_us();
        size_t expanded = setindex_sum(s, from, to, &sum);
        double took = cpu_us() - start;
        total += took;
        worst = took > worst ? took : worst;
        most = expanded > most ? expanded : most;
    }
    printf("  fingerprint of a random range: mean %.0f us (%.0f expansions), worst %.0f us (at most 2000), %zu ids expanded at most\n",
           total / 2000, total / 2000 / unit, worst, most);
}

static struct setindex *fill(size_t n, bool in_order, double unit)
{
    struct rng r;
    rng_seed(&r, 1);
    struct setindex *s = setindex_new();
    struct item *items = mem_calloc(n, sizeof *items);
    for (size_t i = 0; i < n; i++) {
        items[i].time = in_order ? (UINT64_C(1) << 56) + 20 * i - rng_below(&r, 400) : rng_u64(&r) - 1;
        rng_bytes(&r, items[i].id.b, ID_BYTES);
    }
    double start = cpu_us();
    for (size_t i = 0; i < n; i++)
        (void)setindex_insert(s, &items[i]);
    double each = (cpu_us() - start) / (double)n;
    printf("%s: insert %.2f us (%.2f expansions), %.1f bytes an item, %.1f MiB (at most 64 for a million)\n", in_order ? "time order" : "any order",
           each, each / unit, (double)setindex_bytes(s) / (double)n, (double)setindex_bytes(s) / 1048576);
    ranges(s, &r, unit);
    start = cpu_us();
    size_t removed = n / 10;
    for (size_t i = 0; i < removed; i++)
        (void)setindex_remove(s, &items[i * 10]);
    printf("  remove: %.2f us\n", (cpu_us() - start) / (double)removed);
    free(items);
    return s;
}

static void cases(size_t n)
{
    struct rng r;
    struct recon_pair p = recon_pair_new();
    rng_seed(&r, 2);
    recon_pair_fill(&p, &r, n);
    printf("reconciliation of two sets of %zu\n", n);
    printf("  %-34s %6s %9s %9s %9s %9s %12s %8s\n", "", "rounds", "at most", "bytes", "at most", "reference", "ids expanded", "cpu ms");
    for (size_t i = 0; i < RECON_CASES; i++) {
        const struct recon_case *c = &recon_cases[i];
        char reference[24] = "-";
        double start = cpu_us();
        bool found = recon_case_run(&p, c, n);
        double took = cpu_us() - start;
        if (c->reference_bytes > 0)
            (void)snprintf(reference, sizeof reference, "%zu", c->reference_bytes);
        printf("  %-34s %6zu %9zu %9zu %9zu %9s %12zu %8.0f%s\n", c->name, p.rounds, c->rounds_max, p.bytes, c->bytes_max,
               reference, p.client_work + p.server_work, took / 1000, found ? "" : "  WRONG");
    }
    recon_pair_close(&p);
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 1000000;
    if (sodium_init() < 0) /* chooses the fastest code for this processor */
        return 1;
    double unit = expand_us();
    printf("expanding one id: %.2f us (%.2f M/s)\n", unit, 1 / unit);
    setindex_free(fill(n, true, unit));
    setindex_free(fill(n, false, unit));
    cases(n);
    return 0;
}
