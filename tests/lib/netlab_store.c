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

static struct item write_delta(struct lab *lab, size_t i, size_t size)
{
    struct lab_host *h = lab_host(lab, i);
    struct buf body = {0}, bundle = {0}, text = {0};
    struct rng rng;
    char name[32];
    struct item item = {.time = hlc_from_ms(lab_clock(lab, h)) + ++lab->writes % 60000};
    rng_seed(&rng, lab->writes);
    gen_text(&text, &rng, size);
    gen_body_text(&body, "description", item.time, buf_cstr(&text));
    (void)snprintf(name, sizeof name, "entry-%llu", (unsigned long long)lab->writes);
    struct gen_op op = {.verb = VERB_PUT, .name = name, .body = buf_view(&body), .travel = GEN_SENT};
    struct gen_delta d = {.mesh = &lab->mesh, .author = &h->identity, .time = item.time, .op_count = 1, .ops = &op};
    gen_bundle(&bundle, &d, &item.id);
    bool fresh = keep(h, &item, buf_view(&bundle));
    assert(fresh);
    (void)fresh;
    buf_close(&text);
    buf_close(&body);
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
