/*
 * The collider: an author who makes many valid deltas, keeps four whose ids satisfy a + b = c + d, and gives two to one
 * half of the mesh and two to the other. At 40 bits a few thousand tries will do (at 256 the same attack, with more lists,
 * takes about 2^35): the published sum of ids is fooled, the sum of their expansions is not.
 */
#include "crdt/alloc.h"
#include "net/recon.h"
#include "tests/lib/recon_pair.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define TRIES      2600
#define WIDTH_MASK UINT64_C(0xffffffffff)
#define COMMON     200

struct pair {
    uint64_t sum;
    uint32_t a, b;
};

/* What an author reaches by varying a salt, cut to the width of the exercise. */
static uint64_t tried(uint64_t salt)
{
    struct hasher h;
    struct id id;
    hash_init(&h, "souk/test/collide");
    hash_u64(&h, salt);
    hash_end(&h, &id);
    return get_le64(id.b) & WIDTH_MASK;
}

static int by_sum(const void *x, const void *y)
{
    const struct pair *a = x, *b = y;
    if (a->sum != b->sum)
        return a->sum < b->sum ? -1 : 1;
    if (a->a != b->a)
        return a->a < b->a ? -1 : 1;
    return a->b < b->b ? -1 : a->b > b->b;
}

/* Two pairs of the same sum; false: none among so many tries. */
static bool collide(uint64_t ids[4])
{
    uint64_t *id = mem_calloc(TRIES, sizeof *id);
    struct pair *pairs = mem_calloc((size_t)TRIES * TRIES / 2, sizeof *pairs);
    size_t n = 0, found = 0;
    for (uint32_t i = 0; i < TRIES; i++)
        id[i] = tried(i);
    for (uint32_t i = 0; i < TRIES; i++)
        for (uint32_t k = i + 1; k < TRIES; k++)
            pairs[n++] = (struct pair){id[i] + id[k], i, k};
    qsort(pairs, n, sizeof *pairs, by_sum);
    for (size_t i = 1; i < n && found == 0; i++)
        found = pairs[i].sum == pairs[i - 1].sum ? i : 0;
    for (size_t i = 0; found > 0 && i < 2; i++) {
        ids[2 * i] = id[pairs[found - i].a];
        ids[2 * i + 1] = id[pairs[found - i].b];
    }
    free(pairs);
    free(id);
    return found > 0;
}

static struct item item_of(uint64_t id)
{
    struct item item = {.time = UINT64_C(1) << 58};
    put_le64(item.id.b, id);
    return item;
}

static struct recon_pair split_mesh(enum recon_mode mode, struct item crafted[4])
{
    struct rng r;
    struct recon_pair p = recon_pair_new();
    rng_seed(&r, 3);
    recon_pair_fill(&p, &r, COMMON);
    p.mode = mode;
    for (size_t i = 0; i < 4; i++)
        setindex_insert(i < 2 ? p.client : p.server, &crafted[i]);
    return p;
}

static size_t differences(struct recon_pair *p)
{
    cr_assert_eq(recon_pair_run(p), RECON_DONE, "%s", p->why);
    return p->diff.have_count + p->diff.need_count;
}

Test(collide, the_published_sum_falls_and_lthash_does_not)
{
    uint64_t ids[4];
    struct item crafted[4];
    cr_assert(collide(ids), "more tries are needed");
    cr_assert_eq(ids[0] + ids[1], ids[2] + ids[3]);
    for (size_t i = 0; i < 4; i++)
        crafted[i] = item_of(ids[i]);
    struct recon_pair published = split_mesh(RECON_CONFORMANCE, crafted);
    cr_assert_eq(differences(&published), 0, "both halves believe that they hold the same");
    recon_pair_close(&published);
    struct recon_pair ours = split_mesh(RECON_PRODUCTION, crafted);
    cr_assert_eq(differences(&ours), 4);
    cr_assert(recon_pair_found(&ours, crafted, 2, crafted + 2, 2));
    recon_pair_close(&ours);
}

/* Nor do the sums of the whole sets, which HELLO tells. */
Test(collide, digests_differ)
{
    uint64_t ids[4];
    struct item crafted[4];
    struct id client, server;
    cr_assert(collide(ids), "more tries are needed");
    for (size_t i = 0; i < 4; i++)
        crafted[i] = item_of(ids[i]);
    struct recon_pair p = split_mesh(RECON_PRODUCTION, crafted);
    setindex_digest(p.client, &client);
    setindex_digest(p.server, &server);
    cr_assert(!id_eq(&client, &server));
    recon_pair_close(&p);
}
