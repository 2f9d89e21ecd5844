/*
 * Writes COUNT model records of about 1 KiB as JSON lines to standard output: the input of the import benchmarks.
 * The same count gives the same bytes.
 *
 *   bench_gen COUNT
 */
#include "crdt/bytes.h"
#include "crdt/rng.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const word[] = {"language", "model", "vision", "speech", "small", "large", "open",
                                   "weights", "context", "instruct", "tuned", "fast"};
#define WORDS (sizeof word / sizeof *word)

static void put_record(struct rng *r, unsigned long i)
{
    printf("{\"kind\":\"model\",\"model\":{\"name\":\"bench/model-%08lu\",\"description\":\"", i);
    for (int k = 0; k < 110; k++)
        printf("%s ", word[rng_below(r, WORDS)]);
    printf("\",\"version\":\"1.%llu.0\",\"parameters\":%llu,\"context_length\":%llu,\"tags\":[\"%s\",\"%s\"],"
           "\"license\":\"Apache2\",\"repository_url\":\"https://example.org/models/%08lu\"}}\n",
           (unsigned long long)rng_below(r, 100), (unsigned long long)rng_below(r, 1000000000000),
           (unsigned long long)(1u << (10 + rng_below(r, 8))), word[rng_below(r, WORDS)],
           word[rng_below(r, WORDS)], i);
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    struct rng r;
    rng_seed(&r, 1);
    for (unsigned long i = 0; i < n; i++)
        put_record(&r, i);
    return 0;
}
