/*
 * Scenarios of the mesh engine: peers that do not read, that come back, that answer nothing, and stores that fail between
 * the arrival of a delta and its commit.
 */
#include "crdt/alloc.h"
#include "net/engine.h"
#include "tests/lib/mole.h"
#include "tests/outage/outage.h"

#include <string.h>

#define WEDGED        1
#define LARGE_BYTES   60000
#define LARGE_WRITES  120
#define GRAFTS        60
#define CROWD         (NET_EAGER_OUT_MAX + 2)

static bool has_item(struct lab *lab, size_t i, const struct item *item)
{
    return setindex_has(lab_host(lab, i)->set, item);
}

static bool info_of(struct lab *lab, size_t at, const struct key *key, struct net_peer_info *out)
{
    struct net_peer_info peers[NET_BOOK_MAX];
    size_t n = net_peers(lab_host(lab, at)->net, peers, NET_BOOK_MAX);
    for (size_t i = 0; i < n; i++)
        if (key_eq(&peers[i].id, key)) {
            *out = peers[i];
            return true;
        }
    return false;
}

/* iroh-gossip#47: one peer stops reading, and everybody else waits for it. */
void outage_wedged_peer(void)
{
    struct lab *lab = lab_new(4, 1);
    struct net_peer_info wedged = {0};
    uint64_t most = 0;
    for (size_t a = 0; a < 4; a++)
        for (size_t b = a + 1; b < 4; b++)
            lab_link(lab, a, b);
    lab_run(lab, 2000);
    for (size_t a = 0; a < 4; a++)
        lab_stall(lab, a, WEDGED, true);
    for (unsigned i = 0; i < LARGE_WRITES; i++) {
        struct item item = lab_write(lab, 0, LARGE_BYTES);
        lab_run(lab, 100);
        promise(has_item(lab, 2, &item) && has_item(lab, 3, &item),
                "write %u is not with those who read, 100 ms after it was made", i);
        if (info_of(lab, 0, &lab_host(lab, WEDGED)->identity.key, &wedged) && wedged.queued_bytes > most)
            most = wedged.queued_bytes;
    }
    promise(most <= NET_QUEUE_LAZY + 2 * LARGE_BYTES, "%llu bytes wait for the one that does not read", (unsigned long long)most);
    lab_run(lab, 2 * NET_DEAD_MS);
    promise(!lab_linked(lab, 0, WEDGED), "the one that does not read is still in session");
    for (size_t a = 0; a < 4; a++)
        lab_stall(lab, a, WEDGED, false);
    promise(lab_until(lab, 120000, lab_equal, NULL), "it does not catch up once it reads again");
    lab_free(lab);
}

static void say_forged(struct mole *m, uint64_t number)
{
    struct buf bundle = {0};
    struct item item = mole_bundle(m, number, &bundle);
    bundle.p[bundle.n / 2] ^= 1;
    mole_say(m, &(struct wire_message){.type = WIRE_DELTA, .id = item.id, .body = buf_view(&bundle)});
    mole_run(m, 100);
    buf_close(&bundle);
}

/* nimbus-eth2#1876: a peer that misbehaves closes, comes back, and is as good as new. */
void outage_score_forgotten(void)
{
    struct lab *lab = lab_new(1, 1);
    struct mole m;
    bool banned = false;
    for (uint64_t i = 0; i < 8 && !banned; i++) {
        mole_open(&m, lab, 7);
        banned = m.conn.state != CONN_UP;
        if (!banned)
            say_forged(&m, i);
        mole_close(&m);
        lab_run(lab, 2000);
    }
    promise(banned, "a peer that sends one forged delta each time it connects is never banned");
    lab_free(lab);
}

/* corrosion#577: a delta counts as seen, its commit fails, and nobody ever asks for it again. */
void outage_seen_before_commit(void)
{
    struct lab *lab = lab_new(2, 1);
    lab_link(lab, 0, 1);
    lab_run(lab, 1000);
    lab_host(lab, 1)->store_fails = true;
    for (unsigned i = 0; i < 5; i++)
        (void)lab_write(lab, 0, 100);
    lab_run(lab, 2000);
    promise(!lab_equal(lab, NULL), "the scenario means nothing: the store took what it should not");
    lab_host(lab, 1)->store_fails = false;
    promise(lab_until(lab, 120000, lab_equal, NULL), "what could not be committed at first is never had again");
    lab_host(lab, 1)->store_delay_ms = 1000;
    for (unsigned i = 0; i < 5; i++)
        (void)lab_write(lab, 0, 100);
    lab_run(lab, 200);
    lab_down(lab, 1); /* between the arrival and the commit */
    lab_host(lab, 1)->store_delay_ms = 0;
    lab_up(lab, 1);
    promise(lab_until(lab, 120000, lab_equal, NULL), "what a crash kept from being committed is never had again");
    lab_free(lab);
}

/* automerge#364 and #702: an answer is lost, and the session waits for it for ever. */
void outage_wedged_sync(void)
{
    struct lab *lab = lab_new(1, 1);
    struct mole m;
    mole_open(&m, lab, 7);
    for (unsigned i = 0; i < 30; i++) {
        mole_run(&m, 10000);
        mole_say(&m, &(struct wire_message){.type = WIRE_PING, .token = 1 + i});
    }
    promise(!m.closed, "the session ended: %s", wire_reason_text(m.reason));
    promise(m.got[WIRE_RECON] >= 5, "%zu reconciliations began in 5 minutes with a peer that answers none", m.got[WIRE_RECON]);
    mole_close(&m);
    lab_free(lab);
}

/* jvm-libp2p#472: GRAFT within the back-off costs score, both sides go on, and a mesh bans itself. */
void outage_graft_in_back_off(void)
{
    struct lab *lab = lab_new(1, 1);
    struct mole m[CROWD];
    struct mole *last = &m[CROWD - 1];
    struct net_peer_info peer = {0};
    for (size_t i = 0; i < CROWD; i++)
        mole_open(&m[i], lab, 10 + i);
    mole_run(last, 1000);
    promise(last->got[WIRE_PRUNE] >= 1, "the scenario means nothing: there is no back-off");
    for (unsigned i = 0; i < GRAFTS; i++) {
        mole_say(last, &(struct wire_message){.type = WIRE_GRAFT});
        mole_run(last, 250);
    }
    promise(last->got[WIRE_PRUNE] > GRAFTS / 2, "GRAFT within its back-off is answered with PRUNE %zu times", last->got[WIRE_PRUNE]);
    promise(last->conn.state == CONN_UP && !last->closed, "a peer that sent GRAFT within its back-off is closed: %s", wire_reason_text(last->reason));
    promise(info_of(lab, 0, &last->author.key, &peer) && peer.score >= 0, "GRAFT within the back-off cost score: %lld", (long long)peer.score);
    for (size_t i = 0; i < CROWD; i++)
        mole_close(&m[i]);
    lab_free(lab);
}
