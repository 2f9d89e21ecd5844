/*
 * One pass over the nodes' entries makes a sorted table.
 */
#include "node/serving.h"

#include "crdt/alloc.h"
#include "node/jsonscan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void serving_close(struct serving *s)
{
    free(s->rows);
    *s = (struct serving){0};
}

static int by_entry(const void *a, const void *b)
{
    assert(sizeof(struct serving_row) % ID_BYTES == 0); /* no padding is compared */
    return memcmp(a, b, sizeof(struct serving_row));
}

static void add(struct serving *s, const struct id *entry, const struct key *node, const struct id *record)
{
    if (s->count == SERVING_MAX)
        return;
    if (s->count == s->cap) {
        s->cap = s->cap == 0 ? 64 : 2 * s->cap;
        s->rows = mem_realloc(s->rows, s->cap, sizeof *s->rows);
    }
    memset(&s->rows[s->count], 0, sizeof s->rows[0]);
    assert(s->count < s->cap && s->cap <= 2 * SERVING_MAX);
    s->rows[s->count].entry = *entry;
    s->rows[s->count].record = *record;
    s->rows[s->count++].node = *node;
}

static void read_node(struct serving *s, const struct store *store, const struct id *id)
{
    struct entry_info info;
    struct buf json = {0};
    size_t at = 0;
    if (store_get(store, KIND_NODE, id, &info, &json) == ERR_OK) {
        buf_put_str(&json, "}}");
        struct bytes list = jsonscan_member(jsonscan_member(buf_view(&json), "node"), "deployments"), row;
        while ((row = jsonscan_item(list, &at)).p != NULL) {
            struct bytes hex = jsonscan_member(row, "entry");
            struct id entry;
            if (hex.n == 2 * ID_BYTES + 2 && id_parse(&entry, bytes_of(hex.p + 1, hex.n - 2)))
                add(s, &entry, &info.owner, id);
        }
    }
    buf_close(&json);
}

void serving_refresh(struct serving *s, const struct store *store)
{
    uint64_t seq = store_last_seq(store);
    struct id id;
    struct bytes name;
    if (s->read && s->seq == seq)
        return;
    s->count = 0;
    struct store_scan *scan = store_scan_open(store, KIND_NODE, (struct bytes){0}, NULL);
    while (store_scan_next(scan, &id, &name))
        read_node(s, store, &id);
    s->read = store_scan_close(scan) == ERR_OK;
    s->seq = seq;
    if (s->count > 0)
        qsort(s->rows, s->count, sizeof *s->rows, by_entry);
    assert(s->count <= SERVING_MAX);
}

/* The first row of an entry. */
static size_t rows_of(const struct serving *s, const struct id *entry)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (id_cmp(&s->rows[middle].entry, entry) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    assert(low == high && low <= s->count);
    return low;
}

size_t serving_find(const struct serving *s, const struct id *entry, struct key *out, size_t max)
{
    size_t low = rows_of(s, entry), n = 0;
    for (size_t i = low; i < s->count && id_eq(&s->rows[i].entry, entry); i++) {
        if (i > low && key_eq(&s->rows[i].node, &s->rows[i - 1].node))
            continue;
        if (n < max)
            out[n] = s->rows[i].node;
        n++;
    }
    return n;
}

static const struct serving_row *row_of(const struct serving *s, const struct id *entry, const struct key *node)
{
    for (size_t i = rows_of(s, entry); i < s->count && id_eq(&s->rows[i].entry, entry); i++)
        if (key_eq(&s->rows[i].node, node))
            return &s->rows[i];
    return NULL;
}

bool serving_has(const struct serving *s, const struct id *entry, const struct key *node)
{
    return row_of(s, entry, node) != NULL;
}

/* The first of its addresses, as it was written; one with an escape in it is none. */
static void first_address(struct bytes record, char out[SERVING_ADDR_MAX])
{
    size_t at = 0;
    struct bytes text = jsonscan_item(jsonscan_member(record, "mesh_addresses"), &at);
    if (text.n < 3 || text.n - 2 >= SERVING_ADDR_MAX || text.p[0] != '"' || memchr(text.p, '\\', text.n) != NULL)
        return;
    memcpy(out, text.p + 1, text.n - 2);
    out[text.n - 2] = 0;
}

void serving_address(const struct serving *s, const struct store *store, const struct id *entry, const struct key *node,
                     char out[SERVING_ADDR_MAX])
{
    const struct serving_row *row = row_of(s, entry, node);
    struct entry_info info;
    struct buf json = {0};
    out[0] = 0;
    if (row != NULL && store_get(store, KIND_NODE, &row->record, &info, &json) == ERR_OK) {
        buf_put_str(&json, "}}");
        first_address(jsonscan_member(buf_view(&json), "node"), out);
    }
    buf_close(&json);
}

/* A millisecond more, so that load counts where the round trip is too short to be seen. */
static uint64_t cost_of(const struct serving_place *p)
{
    uint64_t away = p->away_ms < UINT32_MAX ? p->away_ms + 1 : UINT32_MAX, load = p->load < UINT32_MAX ? p->load + 1 : UINT32_MAX;
    assert(away > 0 && load > 0);
    return away * load;
}

size_t serving_choose(const struct serving_place *places, size_t count, uint64_t draw)
{
    uint64_t best = UINT64_MAX, alike = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t cost = cost_of(&places[i]);
        alike = cost < best ? 1 : alike + (cost == best);
        best = cost < best ? cost : best;
    }
    assert(count == 0 || alike > 0);
    uint64_t nth = alike > 0 ? draw % alike : 0;
    for (size_t i = 0; i < count; i++)
        if (cost_of(&places[i]) == best && nth-- == 0)
            return i;
    return count;
}
