/*
 * The store of the lab's hosts: an array of bundles with real verification, commits that take time or never end, and the
 * deltas that a test writes. Knows nothing of connections.
 */
#include "tests/lib/netlab_inside.h"

#include "crdt/alloc.h"
#include "crdt/hlc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAB_TEXT_MAX 60000 /* of one op's body */
#define LAB_OPS_MAX  17    /* MODEL_DELTA_MAX of such texts */

const struct lab_bundle *lab_held(const struct lab_host *h, const struct id *id)
{
    for (size_t i = h->count; i-- > 0;)
        if (id_eq(&h->bundles[i].item.id, id))
            return &h->bundles[i];
    return NULL;
}

static bool keep(struct lab_host *h, const struct item *item, struct bytes bundle)
{
    if (!setindex_insert(h->set, item))
        return false;
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 64 : 2 * h->cap;
        h->bundles = mem_realloc(h->bundles, h->cap, sizeof *h->bundles);
    }
    struct lab_bundle *b = &h->bundles[h->count++];
    *b = (struct lab_bundle){.item = *item};
    if (!h->store_forgets)
        buf_put_bytes(&b->bytes, bundle);
    return true;
}

static void judge(struct lab *lab, struct lab_host *h, struct bytes in, struct net_result *r)
{
    struct bundle b;
    struct delta d;
    r->refused = true;
    if (bundle_parse(in, &b) != ERR_OK)
        return;
    if (delta_parse(b.delta, &d) == ERR_OK) {
        if (id_eq(&d.mesh, &lab->mesh) && delta_verify(&d.id, &d.author, b.sig) == ERR_OK) {
            r->refused = false;
            r->item = (struct item){.time = d.time, .id = d.id};
            r->deferred = h->store_fails || hlc_ms(d.time) > lab_clock(lab, h) + MODEL_AHEAD_MAX_MS;
            if (!r->deferred)
                r->fresh = keep(h, &r->item, in);
        }
        delta_close(&d);
    }
    bundle_close(&b);
}

static void store_now(struct lab *lab, struct lab_host *h, uint64_t tag, struct bytes bytes)
{
    struct net_result r = {.tag = tag};
    judge(lab, h, bytes, &r);
    lab_event(lab, h->index, (struct net_event){.kind = NET_STORED, .count = 1, .results = &r});
}

void lab_store(struct lab *lab, struct lab_host *h, const struct net_action *a)
{
    h->stored_calls++;
    if (lab->laters == lab->later_cap) {
        lab->later_cap = lab->later_cap == 0 ? 64 : 2 * lab->later_cap;
        lab->later = mem_realloc(lab->later, lab->later_cap, sizeof *lab->later);
    }
    struct stored_later *s = &lab->later[lab->laters++];
    *s = (struct stored_later){.at_ms = lab->now + h->store_delay_ms, .tag = a->tag, .host = h->index};
    buf_put_bytes(&s->bytes, a->bytes);
}

bool lab_store_due(struct lab *lab)
{
    for (size_t i = 0; i < lab->laters; i++) {
        struct stored_later s = lab->later[i];
        if (s.at_ms > lab->now || lab->host[s.host].store_stuck)
            continue;
        lab->laters--;
        memmove(&lab->later[i], &lab->later[i + 1], (lab->laters - i) * sizeof *lab->later);
        if (lab->host[s.host].net != NULL)
            store_now(lab, &lab->host[s.host], s.tag, buf_view(&s.bytes));
        buf_close(&s.bytes);
        return true;
    }
    return false;
}

void lab_store_lost(struct lab *lab, size_t host)
{
    for (size_t k = 0; k < lab->laters;) {
        if (lab->later[k].host != host) {
            k++;
            continue;
        }
        buf_close(&lab->later[k].bytes);
        lab->later[k] = lab->later[--lab->laters];
    }
}

/* One op, or as many as it takes to carry `size` bytes. */
static size_t write_ops(struct lab *lab, struct gen_op *ops, struct buf *bodies, char (*names)[32], size_t size)
{
    size_t count = 0;
    struct rng rng;
    rng_seed(&rng, lab->writes);
    do {
        size_t part = size < LAB_TEXT_MAX ? size : LAB_TEXT_MAX;
        struct buf text = {0};
        assert(count < LAB_OPS_MAX);
        gen_text(&text, &rng, part);
        gen_body_text(&bodies[count], "description", lab->writes + count, buf_cstr(&text));
        (void)snprintf(names[count], sizeof names[count], "entry-%llu-%zu", (unsigned long long)lab->writes, count);
        ops[count] = (struct gen_op){.verb = VERB_PUT, .name = names[count], .body = buf_view(&bodies[count]), .travel = GEN_SENT};
        buf_close(&text);
        count++;
        size -= part;
    } while (size > 0);
    return count;
}

static struct item write_delta(struct lab *lab, size_t i, size_t size)
{
    struct lab_host *h = lab_host(lab, i);
    struct buf bodies[LAB_OPS_MAX] = {0}, bundle = {0};
    struct gen_op ops[LAB_OPS_MAX];
    char names[LAB_OPS_MAX][32];
    struct item item = {.time = hlc_from_ms(lab_clock(lab, h)) + ++lab->writes % 60000};
    size_t count = write_ops(lab, ops, bodies, names, size);
    struct gen_delta d = {.mesh = &lab->mesh, .author = &h->identity, .time = item.time, .op_count = count, .ops = ops};
    gen_bundle(&bundle, &d, &item.id);
    bool fresh = keep(h, &item, buf_view(&bundle));
    assert(fresh);
    (void)fresh;
    for (size_t k = 0; k < count; k++)
        buf_close(&bodies[k]);
    buf_close(&bundle);
    return item;
}

struct item lab_write_quiet(struct lab *lab, size_t i, size_t size)
{
    return write_delta(lab, i, size);
}

struct item lab_write(struct lab *lab, size_t i, size_t size)
{
    struct item item = write_delta(lab, i, size);
    lab_event(lab, i, (struct net_event){.kind = NET_PUBLISH, .count = 1, .items = &item});
    return item;
}
