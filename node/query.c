/*
 * Lists, filters and word search by scanning the stored JSON in name order. A search has two classes of hits, names
 * with all words and then the rest; its cursor says in which class it stands.
 */
#include "node/query.h"

#include "crdt/alloc.h"
#include "node/jsonscan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define QUERY_WORDS_MAX 16 /* words looked at in one query; further ones are ignored */

enum class { CLASS_NAME, CLASS_OTHER, CLASS_COUNT };

struct place {
    enum class class;
    bool set;
    struct buf name;
    struct id id;
};

/* One pass over the catalogue. */
struct pass {
    const struct query_env *env;
    const struct api_query *q;
    size_t word_count;
    struct bytes words[QUERY_WORDS_MAX];
    struct buf folded;                    /* the words, lower case */
    struct place after;
    uint64_t total;
    size_t count[CLASS_COUNT];            /* hits kept, at most limit + 1 each */
    struct id *hits[CLASS_COUNT];
    struct buf entry;
    enum err fault;                       /* the first read that failed: an answer that lacks a row is none */
};

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void cut_words(struct pass *p)
{
    assert(p->word_count == 0 && p->folded.n == 0);
    for (size_t i = 0; i < p->q->text.n; i++) {
        uint8_t c = p->q->text.p[i];
        buf_put_u8(&p->folded, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c);
    }
    struct bytes text = buf_view(&p->folded);
    for (size_t i = 0; i < text.n && p->word_count < QUERY_WORDS_MAX;) {
        size_t start = i;
        while (i < text.n && !is_space(text.p[i]))
            i++;
        if (i > start)
            p->words[p->word_count++] = bytes_of(text.p + start, i - start);
        while (i < text.n && is_space(text.p[i]))
            i++;
    }
}

/* Cursor payload: class and id of the last row; its name is looked up, since names are never forgotten. */
static enum err read_cursor(struct pass *p)
{
    if (p->q->cursor.n == 0)
        return ERR_OK;
    struct buf raw = {0};
    assert(!p->after.set && p->after.name.n == 0);
    enum err e = cursor_decode(&p->env->cursors, (char)p->q->kind, p->q->cursor, &raw);
    if (e == ERR_OK && (raw.n != 1 + ID_BYTES || raw.p[0] >= CLASS_COUNT))
        e = ERR_FORM;
    if (e == ERR_OK) {
        struct entry_info info;
        p->after.set = true;
        p->after.class = (enum class)raw.p[0];
        memcpy(p->after.id.b, raw.p + 1, ID_BYTES);
        e = store_entry(p->env->store, &p->after.id, &info, &p->after.name);
    }
    buf_close(&raw);
    return e;
}

static bool list_has(struct bytes array, struct bytes text)
{
    size_t at = 0;
    for (;;) {
        struct bytes item = jsonscan_item(array, &at);
        if (item.p == NULL)
            return false;
        if (jsonscan_is(item, text))
            return true;
    }
}

static bool price_fits(struct bytes record, uint64_t max_pico)
{
    struct bytes pricing = jsonscan_member(record, "pricing"), row;
    uint64_t pico;
    for (size_t at = 0; (row = jsonscan_item(pricing, &at)).p != NULL;)
        if (jsonscan_is(jsonscan_member(row, "unit"), bytes_str("input_token")) &&
            jsonscan_uint(jsonscan_member(row, "pico_usd"), &pico))
            return pico <= max_pico;
    return false;
}

static bool member_is(struct bytes record, const char *name, struct bytes wanted)
{
    return wanted.p == NULL || jsonscan_is(jsonscan_member(record, name), wanted);
}

static bool lists_fit(struct bytes record, const struct api_query *q)
{
    assert(q->tag_count == 0 || q->tags != NULL);
    assert(q->capability_count == 0 || q->capabilities != NULL);
    struct bytes tags = jsonscan_member(record, "tags");
    for (size_t i = 0; i < q->tag_count; i++)
        if (!list_has(tags, q->tags[i]))
            return false;
    struct bytes capabilities = jsonscan_member(record, "capabilities");
    for (size_t i = 0; i < q->capability_count; i++)
        if (!list_has(capabilities, q->capabilities[i]))
            return false;
    return true;
}

static bool filters_fit(struct bytes record, const struct api_query *q)
{
    uint64_t context = 0;
    if (!member_is(record, "model_type", q->model_type) || !member_is(record, "framework", q->framework) ||
        !member_is(record, "license", q->license) || !lists_fit(record, q))
        return false;
    if (q->has_max_price && !price_fits(record, q->max_price_pico))
        return false;
    if (q->min_context == 0)
        return true;
    return jsonscan_uint(jsonscan_member(record, "context_length"), &context) &&
           context >= q->min_context;
}

/* Which class the words put a record in; false: not a hit. */
static bool words_fit(const struct pass *p, struct bytes record, enum class *class)
{
    assert(p->word_count <= QUERY_WORDS_MAX);
    struct bytes name = jsonscan_member(record, "name");
    struct bytes about = jsonscan_member(record, "description");
    *class = CLASS_NAME;
    for (size_t i = 0; i < p->word_count; i++) {
        if (jsonscan_has_word(name, p->words[i]))
            continue;
        if (!jsonscan_has_word(about, p->words[i]))
            return false;
        *class = CLASS_OTHER;
    }
    if (!p->q->scored)
        *class = CLASS_NAME;
    return true;
}

static bool no_filters(const struct api_query *q)
{
    return q->text.n == 0 && q->owner.p == NULL && q->model_type.p == NULL && q->framework.p == NULL &&
           q->license.p == NULL && q->tag_count == 0 && q->capability_count == 0 && !q->has_max_price &&
           q->min_context == 0;
}

static bool owner_fits(const struct entry_info *info, struct bytes owner)
{
    char hex[ID_HEX_SIZE];
    key_hex(hex, &info->owner);
    return owner.p == NULL || bytes_eq(owner, bytes_str(hex));
}

/* An entry that vanished meanwhile is no fault. */
static bool was_read(struct pass *p, enum err e)
{
    if (e != ERR_OK && e != ERR_NOT_FOUND && p->fault == ERR_OK)
        p->fault = e;
    return e == ERR_OK;
}

/* Is this entry a hit? Reads it into p->entry. */
static bool judge(struct pass *p, const struct id *id, enum class *class)
{
    struct entry_info info;
    buf_reset(&p->entry);
    if (!was_read(p, store_get(p->env->store, p->q->kind, id, &info, &p->entry)))
        return false;
    const struct kind_desc *kind = kind_by_number(p->q->kind);
    buf_put_str(&p->entry, "}}");
    assert(kind != NULL); /* only entries of kinds that are shown have JSON */
    struct bytes record = jsonscan_member(buf_view(&p->entry), kind->singular);
    return owner_fits(&info, p->q->owner) && filters_fit(record, p->q) && words_fit(p, record, class);
}

static bool behind_cursor(const struct pass *p, enum class class, struct bytes name, const struct id *id)
{
    assert(class < CLASS_COUNT);
    if (!p->after.set || class > p->after.class)
        return true;
    if (class < p->after.class)
        return false;
    int c = bytes_cmp(name, buf_view(&p->after.name));
    return c > 0 || (c == 0 && id_cmp(id, &p->after.id) > 0);
}

static void keep_hit(struct pass *p, enum class class, struct bytes name, const struct id *id)
{
    p->total++;
    if (behind_cursor(p, class, name, id) && p->count[class] <= p->q->limit)
        p->hits[class][p->count[class]++] = *id;
    assert(p->count[class] <= p->q->limit + 1);
}

/* Every entry is judged, since the total is asked for too. */
static enum err scan_all(struct pass *p)
{
    struct store_scan *scan = store_scan_open(p->env->store, p->q->kind, (struct bytes){0}, NULL);
    struct id id;
    struct bytes name;
    enum class class;
    while (store_scan_next(scan, &id, &name))
        if (judge(p, &id, &class))
            keep_hit(p, class, name, &id);
    return store_scan_close(scan);
}

/* Without filters the order index alone answers, and the count is kept by the store. */
static enum err scan_page(struct pass *p)
{
    struct bytes name = p->after.set ? buf_view(&p->after.name) : (struct bytes){0};
    struct store_scan *scan =
        store_scan_open(p->env->store, p->q->kind, name, p->after.set ? &p->after.id : NULL);
    struct id id;
    while (p->count[CLASS_NAME] <= p->q->limit && store_scan_next(scan, &id, &name))
        p->hits[CLASS_NAME][p->count[CLASS_NAME]++] = id;
    p->total = store_count(p->env->store, p->q->kind);
    assert(p->count[CLASS_NAME] <= p->q->limit + 1 && p->count[CLASS_OTHER] == 0);
    return store_scan_close(scan);
}

enum err query_entry(const struct query_env *env, uint64_t kind, const struct id *id,
                     struct entry_info *info, struct buf *out)
{
    char hex[ID_HEX_SIZE];
    enum err e = store_get(env->store, kind, id, info, out);
    if (e != ERR_OK)
        return e;
    key_hex(hex, &env->node);
    buf_put_str(out, ",\"served_by\":\"");
    buf_put(out, hex, ID_HEX_SIZE - 1);
    buf_put_str(out, "\"}}");
    return ERR_OK;
}

/* Writes one row and notes it as the place where the next page goes on. */
static bool put_row(struct pass *p, enum class class, const struct id *id, bool first, struct buf *out)
{
    struct entry_info info;
    size_t start = out->n;
    if (!first)
        buf_put_u8(out, ',');
    if (!was_read(p, query_entry(p->env, p->q->kind, id, &info, out))) {
        out->n = start; /* deleted between the scan and now */
        return false;
    }
    if (p->q->scored) {
        out->n--;
        buf_put_str(out, class == CLASS_NAME ? ",\"score\":2}" : ",\"score\":1}");
    }
    return true;
}

static void put_cursor(const struct pass *p, enum class class, const struct id *id, struct buf *out)
{
    assert(class < CLASS_COUNT && !id_is_zero(id));
    uint8_t payload[1 + ID_BYTES];
    payload[0] = (uint8_t)class;
    memcpy(payload + 1, id->b, ID_BYTES);
    buf_put_u8(out, '"');
    cursor_encode(&p->env->cursors, (char)p->q->kind, bytes_of(payload, sizeof payload), out);
    buf_put_u8(out, '"');
}

static void put_page(struct pass *p, struct buf *out)
{
    assert(p->total >= p->count[CLASS_OTHER] && kind_by_number(p->q->kind) != NULL);
    size_t left = p->q->limit;
    bool first = true;
    enum class class = CLASS_NAME, last_class = CLASS_NAME;
    const struct id *last = NULL;
    buf_printf(out, "{\"%s\":[", kind_by_number(p->q->kind)->plural);
    for (; class < CLASS_COUNT; class++)
        for (size_t i = 0; i < p->count[class] && left > 0; i++, left--) {
            last = &p->hits[class][i];
            last_class = class;
            if (put_row(p, class, last, first, out))
                first = false;
        }
    buf_printf(out, "],\"total\":%llu,\"next_cursor\":", (unsigned long long)p->total);
    if (last != NULL && p->count[CLASS_NAME] + p->count[CLASS_OTHER] > p->q->limit)
        put_cursor(p, last_class, last, out);
    else
        buf_put_str(out, "null");
    buf_put_u8(out, '}');
}

enum err query_run(const struct query_env *env, const struct api_query *q, struct buf *out)
{
    struct pass p = {.env = env, .q = q};
    assert(q->limit >= 1 && q->limit <= API_PAGE_MAX);
    for (size_t i = 0; i < CLASS_COUNT; i++)
        p.hits[i] = mem_calloc(q->limit + 1, sizeof *p.hits[i]);
    cut_words(&p);
    enum err e = read_cursor(&p);
    if (e == ERR_OK)
        e = no_filters(q) ? scan_page(&p) : scan_all(&p);
    if (e == ERR_OK)
        put_page(&p, out);
    e = e == ERR_OK ? p.fault : e;
    for (size_t i = 0; i < CLASS_COUNT; i++)
        free(p.hits[i]);
    buf_close(&p.folded);
    buf_close(&p.after.name);
    buf_close(&p.entry);
    return e;
}

#define FOLLOW_MAX 8 /* steps from one owner to the next */

/* Where the owner says that the entry went, if something is shown there. */
static bool successor(const struct store *s, uint64_t kind, const struct id *id, struct id *out)
{
    static const char mark[] = "\"moved_to\":\""; /* cheap: most entries have not moved */
    struct entry_info info;
    struct buf json = {0}, next = {0};
    bool moved = false;
    if (store_get(s, kind, id, &info, &json) == ERR_OK && memmem(json.p, json.n, mark, sizeof mark - 1) != NULL) {
        buf_put_str(&json, "}}");
        struct bytes to = jsonscan_member(jsonscan_member(buf_view(&json), "meta"), "moved_to");
        moved = to.n == ID_HEX_SIZE + 1 && id_parse(out, bytes_of(to.p + 1, to.n - 2)) &&
                store_get(s, kind, out, &info, &next) == ERR_OK;
    }
    buf_close(&json);
    buf_close(&next);
    return moved;
}

/* The end of the way; the entry itself where that leads round in a circle or too far. */
static struct id follow(const struct store *s, uint64_t kind, const struct id *id)
{
    struct id at = *id, next;
    for (unsigned i = 0; i < FOLLOW_MAX; i++) {
        if (!successor(s, kind, &at, &next))
            return at;
        at = next;
    }
    return *id;
}

/* Names follow a succession; several entries that went to one become that one. */
static size_t follow_all(const struct store *s, uint64_t kind, struct id *ids, size_t n)
{
    size_t kept = 0;
    assert(n > 0);
    for (size_t i = 0; i < n; i++) {
        struct id end = follow(s, kind, &ids[i]);
        size_t k = 0;
        while (k < kept && !id_eq(&ids[k], &end))
            k++;
        if (k == kept)
            ids[kept++] = end;
    }
    return kept;
}

/* Whose owner's key begins with the hex digits `prefix`. */
static bool has_owner(const struct store *s, const struct id *id, struct bytes prefix)
{
    struct entry_info info;
    struct buf ignored = {0};
    char hex[ID_HEX_SIZE];
    bool has = store_entry(s, id, &info, &ignored) == ERR_OK;
    if (has)
        key_hex(hex, &info.owner);
    buf_close(&ignored);
    return has && memcmp(hex, prefix.p, prefix.n) == 0;
}

enum err query_name(const struct store *s, uint64_t kind, struct bytes name, struct store_named *out)
{
    assert(out->ids != NULL && out->max > 0);
    enum err e = store_by_name(s, kind, name, out);
    if (out->count > 0 && out->count <= out->max)
        out->count = follow_all(s, kind, out->ids, out->count);
    size_t prefix = 0;
    while (prefix < name.n && name.p[prefix] != '/')
        prefix++;
    if (e != ERR_OK || out->count > 0 || prefix < NAME_PREFIX_MIN || prefix > 2 * ID_BYTES || prefix == name.n)
        return e;
    struct id ids[NAME_MATCHES_MAX];
    struct store_named all = {.ids = ids, .max = NAME_MATCHES_MAX};
    e = store_by_name(s, kind, bytes_of(name.p + prefix + 1, name.n - prefix - 1), &all);
    for (size_t i = 0; i < all.count && i < all.max; i++)
        if (has_owner(s, &ids[i], bytes_of(name.p, prefix)) && out->count++ < out->max)
            out->ids[out->count - 1] = ids[i];
    return e;
}
