/*
 * What the set index and reconciliation cost: inserts in time order and in any order, memory an item, the fingerprint of
 * random ranges, each as a ratio to expanding one id with ChaCha20, measured in the same run; then bytes, rounds
 * and time of a session where nothing, the newest thousand or a few scattered items differ. Prints, asserts nothing.
 * Usage: bench_set [ITEMS], a million by default.
 */
#include "crdt/alloc.h"
#include "crdt/rng.h"
#include "crdt/setindex.h"
#include "net/recon.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double expand_us(void)
{
    struct lthash h, sum = {.lane = {0}};
    struct id id = {.b = {1}};
    double start = now_us();
    for (unsigned i = 0; i < 100000; i++) {
        id.b[1] = (uint8_t)i;
        id.b[2] = (uint8_t)(i >> 8);
        lthash_of(&h, &id);
        lthash_add(&sum, &h);
    }
    return (now_us() - start) / 100000;
}

static void ranges(const struct setindex *s, struct rng *r, double unit)
{
    double worst = 0, total = 0;
    for (unsigned i = 0; i < 2000; i++) {
        struct lthash sum;
        size_t n = setindex_count(s);
        size_t from = (size_t)rng_below(r, n), to = from + (size_t)rng_below(r, n - from + 1);
        double start = now_us();
        (void)setindex_sum(s, from, to, &sum);
        double took = now_us() - start;
        total += took;
        worst = took > worst ? took : worst;
    }
    printf("  fingerprint of a random range: mean %.0f us (%.0f expansions), worst %.0f us\n", total / 2000,
           total / 2000 / unit, worst);
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
    double start = now_us();
    for (size_t i = 0; i < n; i++)
        (void)setindex_insert(s, &items[i]);
    double each = (now_us() - start) / (double)n;
    printf("%s: insert %.2f us (%.2f expansions), %.1f bytes an item, %.1f MiB\n", in_order ? "time order" : "any order",
           each, each / unit, (double)setindex_bytes(s) / (double)n, (double)setindex_bytes(s) / 1048576);
    ranges(s, &r, unit);
    start = now_us();
    size_t removed = n / 10;
    for (size_t i = 0; i < removed; i++)
        (void)setindex_remove(s, &items[i * 10]);
    printf("  remove: %.2f us\n", (now_us() - start) / (double)removed);
    free(items);
    return s;
}

static size_t answer(const struct recon_config *mine, struct buf *up, struct buf *down)
{
    struct recon server;
    recon_init(&server, mine);
    if (recon_input(&server, buf_view(up), down, NULL) != RECON_SEND)
        abort();
    recon_close(&server);
    return up->n + down->n;
}

static void session(const char *what, const struct setindex *a, const struct setindex *b)
{
    struct recon client;
    struct recon_config c = {.set = a, .mode = RECON_PRODUCTION, .bound = UINT64_MAX, .frame_limit = RECON_FRAME_MAX};
    struct recon_config s = c;
    struct buf up = {0}, down = {0};
    struct recon_diff diff = {0};
    size_t rounds = 0, bytes = 0;
    double start = now_us();
    s.set = b;
    s.role = RECON_RESPONDER;
    recon_init(&client, &c);
    recon_initiate(&client, &up);
    do {
        bytes += answer(&s, &up, &down);
        rounds++;
    } while (recon_input(&client, buf_view(&down), &up, &diff) == RECON_SEND);
    printf("  %s: %zu rounds, %zu bytes, %.0f ms (have %zu, need %zu)\n", what, rounds, bytes, (now_us() - start) / 1000,
           diff.have_count, diff.need_count);
    recon_diff_close(&diff);
    recon_close(&client);
    buf_close(&up);
    buf_close(&down);
}

static void add_both(struct setindex *a, struct setindex *b, struct rng *r, uint64_t time)
{
    struct item x = {.time = time};
    rng_bytes(r, x.id.b, ID_BYTES);
    if (a != NULL)
        (void)setindex_insert(a, &x);
    if (b != NULL)
        (void)setindex_insert(b, &x);
}

static void sessions(size_t n)
{
    struct rng r;
    struct setindex *a = setindex_new(), *b = setindex_new();
    rng_seed(&r, 2);
    for (size_t i = 0; i < n; i++)
        add_both(a, b, &r, (UINT64_C(1) << 56) + (i << 16));
    printf("reconciliation of two sets of %zu\n", n);
    session("equal", a, b);
    for (size_t i = 0; i < 10; i++)
        add_both(a, NULL, &r, (UINT64_C(1) << 56) + rng_below(&r, n << 16));
    session("10 scattered", a, b);
    for (size_t i = 0; i < 1000; i++)
        add_both(NULL, b, &r, (UINT64_C(1) << 57) + (i << 16));
    session("10 scattered and the newest 1000", a, b);
    for (size_t i = 0; i < 1000; i++)
        add_both(a, NULL, &r, (UINT64_C(1) << 56) + rng_below(&r, n << 16));
    session("1010 scattered and the newest 1000", a, b);
    setindex_free(a);
    setindex_free(b);
    a = setindex_new();
    b = setindex_new();
    for (size_t i = 0; i < n; i++)
        add_both(a, b, &r, (UINT64_C(1) << 56) + (i << 16));
    for (size_t i = 0; i < 1000; i++)
        add_both(NULL, b, &r, (UINT64_C(1) << 57) + (i << 16));
    session("the newest 1000", a, b);
    setindex_free(a);
    setindex_free(b);
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 1000000;
    double unit = expand_us();
    printf("expanding one id: %.2f us (%.2f M/s)\n", unit, 1 / unit);
    setindex_free(fill(n, true, unit));
    setindex_free(fill(n, false, unit));
    sessions(n);
    return 0;
}
