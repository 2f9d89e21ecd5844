/*
 * Runs sessions frame by frame. The responder is made anew for every frame, since it keeps no state.
 */
#include "tests/lib/recon_pair.h"

#include "crdt/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 5000

struct recon_pair recon_pair_new(void)
{
    return (struct recon_pair){.client = setindex_new(),
                               .server = setindex_new(),
                               .limit = RECON_FRAME_MAX,
                               .mode = RECON_PRODUCTION,
                               .client_bound = UINT64_MAX,
                               .server_bound = UINT64_MAX};
}

void recon_pair_close(struct recon_pair *p)
{
    setindex_free(p->client);
    setindex_free(p->server);
    recon_diff_close(&p->diff);
}

void recon_pair_reset(struct recon_pair *p)
{
    recon_diff_reset(&p->diff);
    p->rounds = p->bytes = p->most_have = p->most_fruitless = 0;
    p->client_work = p->server_work = p->most_work = 0;
}

struct recon_config recon_pair_config(const struct recon_pair *p, enum recon_role role)
{
    bool client = role == RECON_INITIATOR;
    return (struct recon_config){.set = client ? p->client : p->server,
                                 .mode = p->mode,
                                 .from = p->from,
                                 .span = p->span,
                                 .role = role,
                                 .guess = p->guess,
                                 .key = {client ? p->client_key : p->server_key},
                                 .bound = client ? p->client_bound : p->server_bound,
                                 .frame_limit = p->limit};
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "reconciliation: %s\n", what);
    abort();
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static enum recon_status answer(struct recon_pair *p, const struct buf *up, struct buf *down)
{
    struct recon server;
    struct recon_config config = recon_pair_config(p, RECON_RESPONDER);
    recon_init(&server, &config);
    enum recon_status status = recon_input(&server, buf_view(up), down, NULL);
    p->why = server.why;
    p->server_work += server.work;
    p->most_work = most(p->most_work, server.work);
    recon_close(&server);
    return status;
}

enum recon_status recon_pair_run(struct recon_pair *p)
{
    struct recon client;
    struct recon_config config = recon_pair_config(p, RECON_INITIATOR);
    struct buf up = {0}, down = {0};
    enum recon_status status = RECON_SEND;
    size_t fruitless = 0;
    recon_init(&client, &config);
    recon_initiate(&client, &up);
    p->next = client.next;
    while (status == RECON_SEND && answer(p, &up, &down) == RECON_SEND) {
        must(up.n <= p->limit && down.n <= p->limit, "a frame is over the limit");
        must(++p->rounds < ROUNDS_MAX, "no end");
        p->bytes += up.n + down.n;
        size_t before = p->diff.have_count, needed = p->diff.need_count;
        status = recon_input(&client, buf_view(&down), &up, &p->diff);
        p->why = client.why;
        p->client_work += client.work;
        p->most_work = most(p->most_work, client.work);
        p->most_have = most(p->most_have, p->diff.have_count - before);
        fruitless = p->diff.have_count + p->diff.need_count > before + needed ? 0 : fruitless + 1;
        p->most_fruitless = most(p->most_fruitless, fruitless);
    }
    recon_close(&client);
    buf_close(&up);
    buf_close(&down);
    return status == RECON_SEND ? RECON_ERROR : status;
}

struct item recon_pair_draw(struct rng *r, uint64_t time)
{
    struct item x = {.time = time};
    rng_bytes(r, x.id.b, ID_BYTES);
    return x;
}

void recon_pair_fill(struct recon_pair *p, struct rng *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct item x = recon_pair_draw(r, (UINT64_C(1) << 56) + ((uint64_t)i << 16));
        (void)setindex_insert(p->client, &x);
        (void)setindex_insert(p->server, &x);
    }
}

int recon_pair_by_id(const void *a, const void *b)
{
    return memcmp(a, b, ID_BYTES);
}

int recon_pair_by_item(const void *a, const void *b)
{
    return item_cmp(a, b);
}

size_t recon_pair_unique(void *p, size_t n, size_t size, int (*order)(const void *, const void *))
{
    char *base = p;
    size_t kept = 0;
    if (n > 0)
        qsort(p, n, size, order);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || order(base + i * size, base + (kept - 1) * size) != 0)
            memmove(base + kept++ * size, base + i * size, size);
    return kept;
}

bool recon_pair_found(struct recon_pair *p, struct item *only_client, size_t nc, struct item *only_server, size_t ns)
{
    size_t have = recon_pair_unique(p->diff.have, p->diff.have_count, sizeof *p->diff.have, recon_pair_by_item);
    size_t need = recon_pair_unique(p->diff.need, p->diff.need_count, sizeof *p->diff.need, recon_pair_by_id);
    struct id *expected = mem_calloc(ns + 1, sizeof *expected);
    for (size_t i = 0; i < ns; i++)
        expected[i] = only_server[i].id;
    (void)recon_pair_unique(expected, ns, sizeof *expected, recon_pair_by_id);
    (void)recon_pair_unique(only_client, nc, sizeof *only_client, recon_pair_by_item);
    bool same = have == nc && need == ns;
    for (size_t i = 0; same && i < nc; i++)
        same = item_cmp(&p->diff.have[i], &only_client[i]) == 0;
    for (size_t i = 0; same && i < ns; i++)
        same = id_eq(&p->diff.need[i], &expected[i]);
    free(expected);
    if (!same)
        (void)fprintf(stderr, "found %zu of %zu that the initiator has, %zu of %zu that it needs\n", have, nc, need, ns);
    return same;
}

/* ---- cases -------------------------------------------------------------------------------------------------------------- */

const struct recon_case recon_cases[RECON_CASES] = {
    {.name = "equal sets", .guess = RECON_GUESS_DIFFERENT, .rounds_max = 1, .bytes_max = 1000},
    {.name = "equal sets, expected to be", .guess = RECON_GUESS_EQUAL, .rounds_max = 1, .bytes_max = 60},
    {.name = "the initiator has 1,000 newest", .have_newest = 1000, .rounds_max = 3, .bytes_max = 25000, .reference_bytes = 18000},
    {.name = "the initiator lacks 1,000 newest", .need_newest = 1000, .rounds_max = 4, .bytes_max = 40000},
    {.name = "10 scattered", .have_scattered = 10, .rounds_max = 4, .bytes_max = 25000},
    {.name = "1,000 scattered", .have_scattered = 1000, .rounds_max = 80, .bytes_max = 1400000, .reference_bytes = 1400000},
    {.name = "1,000 newest each, 10 scattered", .have_newest = 1000, .need_newest = 1000, .have_scattered = 10,
     .rounds_max = 6, .bytes_max = 90000},
};

bool recon_case_run(struct recon_pair *p, const struct recon_case *c, size_t n)
{
    struct rng r;
    size_t nc = c->have_newest + c->have_scattered, ns = c->need_newest;
    struct item *a = mem_calloc(nc + 1, sizeof *a), *b = mem_calloc(ns + 1, sizeof *b);
    rng_seed(&r, 99);
    for (size_t i = 0; i < nc; i++) {
        bool newest = i < c->have_newest;
        a[i] = recon_pair_draw(&r, (UINT64_C(1) << 56) + (newest ? (n + i) << 16 : rng_below(&r, (uint64_t)n << 16)));
        (void)setindex_insert(p->client, &a[i]);
    }
    for (size_t i = 0; i < ns; i++) {
        b[i] = recon_pair_draw(&r, (UINT64_C(1) << 56) + ((n + i) << 16) + 1);
        (void)setindex_insert(p->server, &b[i]);
    }
    recon_pair_reset(p);
    p->guess = c->guess;
    bool done = recon_pair_run(p) == RECON_DONE && recon_pair_found(p, a, nc, b, ns);
    for (size_t i = 0; i < nc; i++)
        (void)setindex_remove(p->client, &a[i]);
    for (size_t i = 0; i < ns; i++)
        (void)setindex_remove(p->server, &b[i]);
    free(a);
    free(b);
    return done;
}
