/*
 * Three fingerprints: the published sum, the keyed hash of a range's LtHash, and the keyed hash of the items themselves. The
 * last one trusts no sum that is kept, which is what an audit is for.
 */
#include "net/recon_hash.h"

#include <assert.h>
#include <string.h>

static void add_256(uint8_t sum[32], const struct id *id)
{
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)sum[i] + id->b[i];
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static void published(const struct recon_config *c, const struct recon_range *range, struct buf *scratch, uint8_t *out)
{
    assert(range->from <= range->to && range->to <= setindex_count(c->set));
    uint8_t sum[32] = {0}, hash[crypto_hash_sha256_BYTES];
    struct item items[RECON_CHUNK];
    for (size_t at = range->from; at < range->to;) {
        size_t n = range->to - at < RECON_CHUNK ? range->to - at : RECON_CHUNK;
        setindex_items(c->set, at, n, items);
        for (size_t i = 0; i < n; i++)
            add_256(sum, &items[i].id);
        at += n;
    }
    buf_reset(scratch);
    buf_put(scratch, sum, sizeof sum);
    recon_put_varint(scratch, range->to - range->from);
    (void)crypto_hash_sha256(hash, scratch->p, scratch->n);
    memcpy(out, hash, RECON_FINGERPRINT_BYTES);
}

/* The framed hash of crdt/id.h, keyed. */
static void keyed_init(struct hasher *h, const struct recon_config *c, const char *tag)
{
    (void)crypto_generichash_init(&h->state, c->key, sizeof c->key, ID_BYTES);
    hash_part(h, tag, strlen(tag));
}

static void keyed_end(struct hasher *h, const struct recon_range *range, uint8_t *out)
{
    assert(range->from <= range->to);
    struct id hash;
    const struct recon_bound *bounds[] = {&range->lower, &range->upper};
    hash_u64(h, range->to - range->from);
    for (size_t i = 0; i < 2; i++) {
        hash_u64(h, bounds[i]->item.time);
        hash_part(h, bounds[i]->item.id.b, ID_BYTES);
    }
    hash_end(h, &hash);
    memcpy(out, hash.b, RECON_FINGERPRINT_BYTES);
}

/* H("souk/range/1", lanes, count, lower time, lower id, upper time, upper id). */
static size_t of_sum(const struct recon_config *c, const struct recon_range *range, uint8_t *out)
{
    struct lthash sum;
    struct hasher h;
    uint8_t lanes[LTHASH_BYTES];
    size_t expanded = setindex_sum(c->set, range->from, range->to, &sum);
    lthash_bytes(lanes, &sum);
    keyed_init(&h, c, "souk/range/1");
    hash_part(&h, lanes, sizeof lanes);
    keyed_end(&h, range, out);
    return expanded;
}

/* H("souk/audit/1", for each item: time, id, then as in of_sum from the count on). */
static size_t of_items(const struct recon_config *c, const struct recon_range *range, uint8_t *out)
{
    struct hasher h;
    struct item items[RECON_CHUNK];
    assert(range->to <= setindex_count(c->set));
    keyed_init(&h, c, "souk/audit/1");
    for (size_t at = range->from; at < range->to;) {
        size_t n = range->to - at < RECON_CHUNK ? range->to - at : RECON_CHUNK;
        setindex_items(c->set, at, n, items);
        for (size_t i = 0; i < n; i++) {
            hash_u64(&h, items[i].time);
            hash_part(&h, items[i].id.b, ID_BYTES);
        }
        at += n;
    }
    keyed_end(&h, range, out);
    return (range->to - range->from) / RECON_WORK_ITEMS;
}

size_t recon_hash(const struct recon_config *c, const struct recon_range *range, struct buf *scratch,
                  uint8_t out[RECON_FINGERPRINT_BYTES])
{
    assert(range->from <= range->to && range->to <= setindex_count(c->set));
    if (c->mode == RECON_CONFORMANCE) {
        published(c, range, scratch, out);
        return (range->to - range->from) / RECON_WORK_ITEMS;
    }
    bool audit = c->mode == RECON_AUDIT && range->to - range->from <= RECON_AUDIT_RANGE;
    return RECON_WORK_FINGERPRINT + (audit ? of_items(c, range, out) : of_sum(c, range, out));
}
