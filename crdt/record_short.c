/*
 * The short form of a record's JSON made whole again: defaults and ids are put back where record_json.c left a mark. Runs
 * on every read, so it copies stretches of text that were made once. Owns the codes (record.h) and the hash that
 * tells whether two builds mean the same by them.
 */
#include "crdt/alloc.h"
#include "crdt/id.h"
#include "crdt/record_tables.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS_MAX = 8, EXPANDED_BYTES = 2048 }; /* what the marks of an ordinary record stand for, so that the buffer grows once */

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

/* The defaults of one kind in table order, each as `,"name":default`; field i's text ends at ends[i]. */
struct defaults {
    const struct kind_desc *kind;
    struct buf text;
    size_t count;
    size_t ends[RECORD_FIELDS_MAX];
};

struct short_table {
    size_t count;
    struct defaults kinds[KINDS_MAX];
};

struct short_table *short_table_new(void)
{
    struct short_table *t = mem_zalloc(sizeof *t);
    for (; kind_at(t->count) != NULL; t->count++) {
        assert(t->count < sizeof t->kinds / sizeof *t->kinds);
        struct defaults *d = &t->kinds[t->count];
        d->kind = kind_at(t->count);
        for (const struct field_desc *f = d->kind->fields; f->name != NULL; f++) {
            assert(d->count < RECORD_FIELDS_MAX);
            if (f->fallback != NULL)
                record_put_default(&d->text, f);
            d->ends[d->count++] = d->text.n;
        }
    }
    return t;
}

void short_table_free(struct short_table *t)
{
    for (size_t i = 0; t != NULL && i < t->count; i++)
        buf_close(&t->kinds[i].text);
    free(t);
}

static const struct defaults *defaults_of(const struct short_table *t, uint64_t kind)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->kinds[i].kind->kind == kind)
            return &t->kinds[i];
    return NULL;
}

static bool expand_run(const struct defaults *d, size_t from, size_t to, struct buf *out)
{
    if (from >= to || to > d->count)
        return false;
    size_t start = from > 0 ? d->ends[from - 1] : 0, end = d->ends[to - 1];
    bool first = out->n > 0 && out->p[out->n - 1] == '{'; /* no comma then */
    start += first && start < end;
    buf_put(out, d->text.p + start, end - start);
    return true;
}

/* Bytes that the code at p takes, with the mark; 0: it is not one. */
static size_t expand_code(const struct defaults *d, const struct short_names *names, struct bytes p, struct buf *out)
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
        return p.n >= 3 && expand_run(d, p.p[1], p.p[2], out) ? 3 : 0;
    }
}

enum err short_expand(const struct short_table *t, const struct short_names *names, struct bytes text, struct buf *out)
{
    const struct defaults *d = defaults_of(t, names->kind);
    if (d == NULL)
        return ERR_CORRUPT;
    size_t at = 0;
    (void)buf_grow(out, text.n + EXPANDED_BYTES);
    while (at < text.n) {
        const uint8_t *mark = memchr(text.p + at, SHORT_MARK, text.n - at);
        size_t n = mark == NULL ? text.n - at : (size_t)(mark - text.p) - at;
        buf_put(out, text.p + at, n);
        at += n;
        if (mark == NULL)
            break;
        size_t used = expand_code(d, names, bytes_of(mark, text.n - at), out);
        if (used == 0)
            return ERR_CORRUPT;
        at += used;
    }
    return ERR_OK;
}

void record_json(const struct kind_desc *kind, const struct merged *record, const struct record_meta *meta, struct buf *out)
{
    struct buf text = {0};
    struct short_table *table = short_table_new();
    struct short_names names = {.kind = kind->kind, .entry = meta->id, .owner = meta->owner};
    record_short(kind, record, meta, &text);
    enum err e = short_expand(table, &names, buf_view(&text), out);
    assert(e == ERR_OK);
    (void)e;
    short_table_free(table);
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
