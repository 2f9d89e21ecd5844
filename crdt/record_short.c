/*
 * The short form of a record's JSON made whole again: defaults and ids are put back where record_json.c left a mark. Runs
 * on every read, so it copies stretches and allocates nothing but the output. Owns the codes (record.h) and the hash that
 * tells whether two builds mean the same by them.
 */
#include "crdt/id.h"
#include "crdt/record_tables.h"

#include <assert.h>
#include <string.h>

enum { EXPANDED_BYTES = 2048 }; /* what the marks of an ordinary record stand for, so that the buffer grows once */

void short_put(struct buf *out, enum short_code code, const uint8_t *bytes)
{
    assert((code == SHORT_HEX) == (bytes != NULL));
    buf_put_u8(out, SHORT_MARK);
    buf_put_u8(out, (uint8_t)code);
    if (bytes != NULL)
        buf_put(out, bytes, ID_BYTES);
}

static void put_hex(struct buf *out, const uint8_t b[ID_BYTES])
{
    hex_encode((char *)buf_grow(out, ID_HEX_SIZE), b, ID_BYTES);
    out->n += ID_HEX_SIZE - 1;
}

/* The number of described fields, counted no further than a code can say. */
static size_t field_count(const struct kind_desc *kind)
{
    size_t n = 0;
    while (kind->fields[n].name != NULL)
        n++;
    assert(n <= RECORD_FIELDS_MAX);
    return n;
}

static bool expand_run(const struct kind_desc *kind, size_t from, size_t to, struct buf *out)
{
    if (from >= to || to > field_count(kind))
        return false;
    for (size_t i = from; i < to; i++)
        if (kind->fields[i].fallback != NULL)
            record_put_default(out, &kind->fields[i]);
    return true;
}

/* Bytes that the code at p takes, with the mark; 0: it is not one. */
static size_t expand_code(const struct kind_desc *kind, const struct short_names *names, struct bytes p, struct buf *out)
{
    assert(p.n > 0 && p.p[0] == SHORT_MARK);
    if (p.n < 2)
        return 0;
    switch (p.p[1]) {
    case SHORT_ENTRY:
        put_hex(out, names->entry.b);
        return 2;
    case SHORT_OWNER:
        put_hex(out, names->owner.b);
        return 2;
    case SHORT_REVISION:
        put_hex(out, names->revision.b);
        return 2;
    case SHORT_HEX:
        if (p.n < 2 + ID_BYTES)
            return 0;
        put_hex(out, p.p + 2);
        return 2 + ID_BYTES;
    default:
        return p.n >= 3 && expand_run(kind, p.p[1], p.p[2], out) ? 3 : 0;
    }
}

enum err short_expand(const struct kind_desc *kind, const struct short_names *names, struct bytes text, struct buf *out)
{
    size_t at = 0;
    (void)buf_grow(out, text.n + EXPANDED_BYTES);
    while (at < text.n) {
        const uint8_t *mark = memchr(text.p + at, SHORT_MARK, text.n - at);
        size_t n = mark == NULL ? text.n - at : (size_t)(mark - text.p) - at;
        buf_put(out, text.p + at, n);
        at += n;
        if (mark == NULL)
            break;
        size_t used = expand_code(kind, names, bytes_of(mark, text.n - at), out);
        if (used == 0)
            return ERR_CORRUPT;
        at += used;
    }
    return ERR_OK;
}

void record_json(const struct kind_desc *kind, const struct merged *record, const struct record_meta *meta, struct buf *out)
{
    struct buf text = {0};
    record_short(kind, record, meta, &text);
    enum err e = short_expand(kind, &(struct short_names){.entry = meta->id, .owner = meta->owner}, buf_view(&text), out);
    assert(e == ERR_OK);
    (void)e;
    buf_close(&text);
}

/* ---- the tables as a hash ---- */

static void hash_text(struct hasher *h, const char *s)
{
    hash_part(h, s != NULL ? s : "", s != NULL ? strlen(s) : 0);
}

static void hash_number(struct hasher *h, uint64_t v)
{
    uint8_t b[8];
    put_be(b, v, sizeof b);
    hash_part(h, b, sizeof b);
}

static void hash_fields(struct hasher *h, const struct field_desc *fields)
{
    for (const struct field_desc *d = fields; d != NULL && d->name != NULL; d++) {
        hash_text(h, d->name);
        const uint64_t numbers[] = {(uint64_t)d->type, d->flags, (uint64_t)d->rule, d->min, d->max, d->item_max,
                                    d->fallback != NULL};
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            hash_number(h, numbers[i]);
        for (const char *const *v = d->values; v != NULL && *v != NULL; v++)
            hash_text(h, *v);
        hash_text(h, d->open_value);
        hash_text(h, d->fallback);
        hash_text(h, d->not_below);
        hash_text(h, d->not_above);
        hash_text(h, d->short_form);
        hash_fields(h, d->fields);
    }
    hash_text(h, NULL);
}

void record_schema_id(struct id *out)
{
    struct hasher h;
    hash_init(&h, "souk/schema/1");
    for (size_t i = 0; kind_at(i) != NULL; i++) {
        hash_number(&h, kind_at(i)->kind);
        hash_text(&h, kind_at(i)->singular);
        hash_text(&h, kind_at(i)->id_field);
        hash_fields(&h, kind_at(i)->fields);
    }
    hash_end(&h, out);
}
