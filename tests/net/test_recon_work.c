/*
 * Reconciliation as a way to make a node work: what a peer's frames cost is charged to it. Over its allowance they wait;
 * nobody else does, and an honest peer whose set differs much is late and never closed.
 */
#include "net/engine.h"
#include "net/recon_frame.h"
#include "tests/lib/mole.h"

#include <criterion/criterion.h>

enum { ITEMS = 60000 };
#define BASE (UINT64_C(1) << 56)

/* Host 0 holds many deltas, at least by name. */
static struct lab *lab_of_many(size_t hosts, uint64_t seed)
{
    struct rng r;
    struct lab *lab = lab_new(hosts, seed);
    rng_seed(&r, seed);
    for (size_t i = 0; i < ITEMS; i++) {
        struct item x = {.time = BASE + (i << 16)};
        rng_bytes(&r, x.id.b, ID_BYTES);
        (void)setindex_insert(lab_host(lab, 0)->set, &x);
    }
    return lab;
}

/* Fingerprints that all differ, each cutting leaves in two. */
static void costly_frame(struct buf *out)
{
    enum { RANGES = 110 };
    uint64_t last = 0;
    buf_reset(out);
    buf_put_u8(out, RECON_PRODUCTION);
    recon_put_varint(out, UINT64_MAX);
    for (uint64_t i = 1; i <= RANGES; i++) {
        struct recon_bound b = {.item = {.time = BASE + ((i * (ITEMS / RANGES)) << 16)}};
        recon_put_bound(out, &last, &b);
        recon_put_varint(out, 1);
        buf_put(out, "0123456789abcdef", 16);
    }
}

static uint64_t work_of(struct lab *lab)
{
    struct net_stats s;
    net_stats(lab_host(lab, 0)->net, &s);
    return s.sync_work;
}

Test(recon_work, costly_frames_wait_for_their_turn)
{
    enum { MS = 3000, FRAMES = 120 };
    struct lab *lab = lab_of_many(1, 70);
    struct mole m;
    struct buf frame = {0};
    mole_open(&m, lab, 400);
    costly_frame(&frame);
    uint64_t before = work_of(lab);
    for (uint64_t i = 0; i < FRAMES; i++) {
        mole_say(&m, &(struct wire_message){.type = WIRE_RECON, .session = i, .body = buf_view(&frame)});
        mole_run(&m, MS / FRAMES);
    }
    uint64_t work = work_of(lab) - before, most = NET_WORK_BURST + NET_WORK_RATE * MS + 2 * RECON_WORK_MAX;
    cr_assert_not(m.closed);
    cr_assert_geq(work, NET_WORK_BURST, "%zu: the frames are not costly", (size_t)work);
    cr_assert_leq(work, most, "%zu of %zu", (size_t)work, (size_t)most);
    cr_assert_lt(m.got[WIRE_RECON], FRAMES, "some of them were never answered");
    size_t answered = m.got[WIRE_RECON];
    mole_run(&m, 2000);
    cr_assert_eq(m.got[WIRE_RECON], answered + 1, "the newest waited, those before it are gone");
    buf_close(&frame);
    mole_close(&m);
    lab_free(lab);
}

/* Eight peers at once cost no more than all may together, and each has its turn. */
Test(recon_work, all_peers_together_have_a_bound_and_share_it)
{
    enum { PEERS = 8, MS = 2000, STEP = 50 };
    struct lab *lab = lab_of_many(1, 71);
    struct mole m[PEERS];
    struct buf frame = {0};
    size_t least = SIZE_MAX, most = 0;
    costly_frame(&frame);
    for (size_t i = 0; i < PEERS; i++)
        mole_open(&m[i], lab, 410 + i);
    uint64_t before = work_of(lab);
    for (uint64_t ms = 0; ms < MS; ms += STEP)
        for (size_t i = 0; i < PEERS; i++) {
            mole_say(&m[i], &(struct wire_message){.type = WIRE_RECON, .session = ms, .body = buf_view(&frame)});
            mole_run(&m[i], i + 1 < PEERS ? 0 : STEP);
        }
    uint64_t work = work_of(lab) - before, bound = NET_WORK_ALL_BURST + NET_WORK_ALL_RATE * MS + 2 * RECON_WORK_MAX;
    cr_assert_leq(work, bound, "%zu of %zu", (size_t)work, (size_t)bound);
    for (size_t i = 0; i < PEERS; i++) {
        mole_run(&m[i], 0);
        least = m[i].got[WIRE_RECON] < least ? m[i].got[WIRE_RECON] : least;
        most = m[i].got[WIRE_RECON] > most ? m[i].got[WIRE_RECON] : most;
        cr_assert_not(m[i].closed);
        mole_close(&m[i]);
    }
    cr_assert_leq(most, least + 2, "%zu answers for one, %zu for another", most, least);
    buf_close(&frame);
    lab_free(lab);
}

/* While one peer is over its allowance, another one's repair goes on at once. */
Test(recon_work, an_honest_peer_is_served_beside_a_costly_one)
{
    struct lab *lab = lab_of_many(2, 72);
    struct lab_host *zero = lab_host(lab, 0), *one = lab_host(lab, 1);
    struct mole m;
    struct buf frame = {0};
    struct item x;
    for (size_t i = 0; i < ITEMS; i++) {
        setindex_items(zero->set, i, 1, &x);
        (void)setindex_insert(one->set, &x);
    }
    mole_open(&m, lab, 420);
    costly_frame(&frame);
    for (uint64_t i = 0; i < 60; i++) {
        mole_say(&m, &(struct wire_message){.type = WIRE_RECON, .session = i, .body = buf_view(&frame)});
        mole_run(&m, 1);
    }
    for (size_t i = 0; i < 20; i++)
        (void)lab_write_quiet(lab, 0, 10);
    lab_link(lab, 1, 0);
    cr_assert(lab_until(lab, 2000, lab_equal, NULL), "20 deltas that differ take longer than 2 s");
    buf_close(&frame);
    mole_close(&m);
    lab_free(lab);
}
