/*
 * A record as JSON: as it is kept, short (record_short), and as it is carried from catalogue to catalogue, without defaults
 * (record_line). Runs on every entry that is stored, so it allocates nothing but the output. What the short form leaves
 * out is put back by record_short.c.
 */
#include "crdt/decimal.h"
#include "crdt/hlc.h"
#include "crdt/record_tables.h"

#include <assert.h>
#include <string.h>

struct writer {
    struct buf *out;
    bool first; /* no member of the present object is written yet */
    size_t run_from, run_to; /* described fields that show their defaults and are not written yet */
};

static void put_text(struct buf *out, const char *s, size_t n)
{
    memcpy(buf_grow(out, n), s, n);
    out->n += n;
}

static void end_run(struct writer *w)
{
    if (w->run_from == w->run_to)
        return;
    assert(w->run_from < w->run_to && w->run_to <= RECORD_FIELDS_MAX);
    buf_put_u8(w->out, SHORT_MARK);
    buf_put_u8(w->out, (uint8_t)w->run_from);
    buf_put_u8(w->out, (uint8_t)w->run_to);
    w->run_from = w->run_to = 0;
    w->first = false;
}

static void leave_default(struct writer *w, size_t i)
{
    assert(i < RECORD_FIELDS_MAX && i >= w->run_to); /* codes of runs go up */
    if (w->run_to != i || w->run_from == w->run_to) {
        end_run(w);
        w->run_from = i;
    }
    w->run_to = i + 1;
}

static void member(struct writer *w, const char *name)
{
    end_run(w);
    size_t n = strlen(name);
    uint8_t *p = buf_grow(w->out, n + 4);
    size_t at = 0;
    if (!w->first)
        p[at++] = ',';
    p[at++] = '"';
    memcpy(p + at, name, n);
    at += n;
    p[at++] = '"';
    p[at++] = ':';
    w->out->n += at;
    w->first = false;
}

static void member_text(struct writer *w, struct bytes name)
{
    end_run(w);
    if (!w->first)
        buf_put_u8(w->out, ',');
    json_put_string(w->out, name);
    buf_put_u8(w->out, ':');
    w->first = false;
}

static void put_described(struct buf *out, const struct field_desc *d, struct bytes value);
static void put_object(struct buf *out, const struct field_desc *fields, struct bytes object);

static void put_default(struct buf *out, const struct field_desc *d)
{
    assert(d->type == FIELD_OBJECT ? d->fields != NULL : d->fallback != NULL);
    if (d->type == FIELD_OBJECT)
        put_object(out, d->fields, (struct bytes){0});
    else
        put_text(out, d->fallback, strlen(d->fallback));
}

/* The default of a number that a sibling bounds: the nearer of the two. */
static bool sibling_default(struct buf *out, const struct field_desc *d, struct bytes object)
{
    const char *name = d->not_below != NULL ? d->not_below : d->not_above;
    struct mp_reader r;
    uint64_t own;
    if (name == NULL || !decimal_scaled(bytes_str(d->fallback), 0, &own) || !member_find(object, name, &r) ||
        mp_peek(&r) != MP_UINT)
        return false;
    uint64_t other = mp_uint(&r);
    if (d->not_below != NULL ? other <= own : other >= own)
        return false;
    mp_reader_init(&r, object);
    struct mp_reader value;
    bool found = member_find(object, name, &value);
    assert(found);
    json_put_value(out, mp_value(&value, 1));
    return found;
}

/* An object of described members: in table order with their defaults, then the unknown ones. `object` with p NULL has none. */
static void put_object(struct buf *out, const struct field_desc *fields, struct bytes object)
{
    assert(fields != NULL);
    struct writer w = {.out = out, .first = true};
    struct mp_reader r;
    buf_put_u8(out, '{');
    for (const struct field_desc *d = fields; d->name != NULL; d++) {
        bool found = object.p != NULL && member_find(object, d->name, &r);
        if (!found && d->fallback == NULL)
            continue;
        member(&w, d->name);
        if (found)
            put_described(out, d, mp_value(&r, 1));
        else if (d->type == FIELD_OBJECT || object.p == NULL || !sibling_default(out, d, object))
            put_default(out, d);
    }
    if (object.p != NULL) {
        struct bytes last = {0};
        mp_reader_init(&r, object);
        for (size_t n = mp_map(&r); n > 0 && !r.bad; n--) {
            struct bytes key = mp_key(&r, &last), value = mp_value(&r, 1);
            if (field_by_name(fields, key) == NULL) {
                member_text(&w, key);
                json_put_value(out, value);
            }
        }
    }
    buf_put_u8(out, '}');
}

static void put_objects(struct buf *out, const struct field_desc *d, struct bytes list)
{
    struct mp_reader r;
    struct bytes last = {0};
    bool map = d->type == FIELD_OBJECT_MAP;
    mp_reader_init(&r, list);
    size_t n = map ? mp_map(&r) : mp_array(&r);
    buf_put_u8(out, map ? '{' : '[');
    for (size_t i = 0; i < n && !r.bad; i++) {
        if (i > 0)
            buf_put_u8(out, ',');
        if (map) {
            json_put_string(out, mp_key(&r, &last));
            buf_put_u8(out, ':');
        }
        put_object(out, d->fields, mp_value(&r, 1));
    }
    buf_put_u8(out, map ? '}' : ']');
}

/* A value that fits its descriptor. */
static void put_described(struct buf *out, const struct field_desc *d, struct bytes value)
{
    bool nil = value.n == 1 && value.p[0] == 0xc0;
    if (!nil && d->type == FIELD_OBJECT)
        put_object(out, d->fields, value);
    else if (!nil && (d->type == FIELD_OBJECT_LIST || d->type == FIELD_OBJECT_MAP))
        put_objects(out, d, value);
    else
        json_put_value(out, value);
}

void record_put_default(struct buf *out, const struct field_desc *d)
{
    assert(d->fallback != NULL);
    struct writer w = {.out = out, .first = false};
    member(&w, d->name);
    put_default(out, d);
}

static void put_known_hex(struct writer *w, const struct field_desc *d, enum short_code which)
{
    member(w, d->name);
    buf_put_u8(w->out, '"');
    short_put(w->out, which, NULL);
    buf_put_u8(w->out, '"');
}

static void put_time(struct writer *w, const struct field_desc *d, uint64_t hlc_time)
{
    member(w, d->name);
    json_put_uint(w->out, hlc_ms(hlc_time) / 1000);
}

static void put_by_node(struct writer *w, const struct kind_desc *kind, size_t i, const struct record_meta *meta)
{
    const struct field_desc *d = &kind->fields[i];
    if (kind->id_field != NULL && strcmp(d->name, kind->id_field) == 0)
        put_known_hex(w, d, SHORT_ENTRY);
    else if (strcmp(d->name, "owner_id") == 0)
        put_known_hex(w, d, SHORT_OWNER);
    else if (strcmp(d->name, "created_at") == 0)
        put_time(w, d, meta->created_at);
    else if (strcmp(d->name, "updated_at") == 0)
        put_time(w, d, meta->updated_at);
    else
        leave_default(w, i);
}

static bool is_removed(const struct merged_field *f)
{
    return f->field.value.n == 1 && f->field.value.p[0] == 0xc0;
}

/* The stored field of this name, `count` if there is none. */
static size_t find(const struct merged *record, struct bytes name)
{
    size_t low = 0, high = record->field_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = bytes_cmp(record->fields[mid].field.name, name);
        if (c == 0)
            return mid;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return record->field_count;
}

/* Fields by their place in the record. */
struct marks {
    uint64_t names; /* name_bit of every stored field: most described fields are not stored */
    uint64_t bits[(MODEL_FIELDS_MAX * MODEL_HEADS_READ + 63) / 64];
};

static void mark(struct marks *m, size_t i)
{
    assert(i / 64 < sizeof m->bits / sizeof *m->bits);
    m->bits[i / 64] |= UINT64_C(1) << i % 64;
}

static bool marked(const struct marks *m, size_t i)
{
    assert(i / 64 < sizeof m->bits / sizeof *m->bits);
    return (m->bits[i / 64] >> i % 64 & 1) != 0;
}

/* One bit of 64 for a name: two names with different bits differ. */
static uint64_t name_bit(struct bytes name)
{
    unsigned first = name.n > 0 ? name.p[0] : 0, second = name.n > 1 ? name.p[1] : 0;
    return UINT64_C(1) << (first * 7 + second) % 64;
}

/* Is this member nobody's to store: the name, or what nodes set? */
static bool is_reserved(const struct field_desc *d)
{
    return (d->flags & FIELD_BY_NODE) != 0 || strcmp(d->name, "name") == 0;
}

static bool is_foreign(const struct kind_desc *kind, struct bytes name)
{
    return field_by_name(kind->fields, name) != NULL || bytes_eq(name, bytes_str("foreign"));
}

/* The next field from i on that is neither shown yet nor removed. */
static size_t next_left(const struct merged *record, const struct marks *shown, size_t i)
{
    while (i < record->field_count && (marked(shown, i) || is_removed(&record->fields[i])))
        i++;
    return i;
}

static void put_left(struct writer *w, const struct kind_desc *kind, const struct merged *record, const struct marks *shown)
{
    struct writer inner = {.out = w->out, .first = true};
    for (size_t i = next_left(record, shown, 0); i < record->field_count; i = next_left(record, shown, i + 1)) {
        const struct field *f = &record->fields[i].field;
        if (!is_foreign(kind, f->name))
            continue;
        if (inner.first) {
            member(w, "foreign");
            buf_put_u8(w->out, '{');
        }
        member_text(&inner, f->name);
        json_put_value(w->out, f->value);
    }
    if (!inner.first)
        buf_put_u8(w->out, '}');
    for (size_t i = next_left(record, shown, 0); i < record->field_count; i = next_left(record, shown, i + 1)) {
        const struct field *f = &record->fields[i].field;
        if (is_foreign(kind, f->name))
            continue;
        member_text(w, f->name);
        json_put_value(w->out, f->value);
    }
}

static void put_row(struct writer *w, const struct kind_desc *kind, size_t at, const struct merged *record, struct marks *shown)
{
    const struct field_desc *d = &kind->fields[at];
    struct bytes name = bytes_str(d->name);
    size_t i = (shown->names & name_bit(name)) != 0 ? find(record, name) : record->field_count;
    bool stored = i < record->field_count && !is_removed(&record->fields[i]);
    if (stored && field_fits(d, record->fields[i].field.value)) {
        member(w, d->name);
        put_described(w->out, d, record->fields[i].field.value);
        mark(shown, i);
    } else if (d->fallback != NULL) {
        leave_default(w, at);
    }
}

void record_short(const struct kind_desc *kind, const struct merged *record, const struct record_meta *meta, struct buf *out)
{
    struct marks shown;
    size_t words = (record->field_count + 63) / 64;
    assert(meta->name.n > 0 && meta->name.n <= MODEL_NAME_MAX);
    assert(words <= sizeof shown.bits / sizeof *shown.bits);
    memset(shown.bits, 0, words * sizeof *shown.bits);
    shown.names = 0;
    for (size_t i = 0; i < record->field_count; i++)
        shown.names |= name_bit(record->fields[i].field.name);
    struct writer w = {.out = out, .first = true};
    buf_put_u8(out, '{');
    for (size_t i = 0; kind->fields[i].name != NULL; i++) {
        const struct field_desc *d = &kind->fields[i];
        if (d->flags & FIELD_BY_NODE) {
            put_by_node(&w, kind, i, meta);
        } else if (strcmp(d->name, "name") == 0) {
            member(&w, d->name);
            json_put_string(out, meta->name);
        } else {
            put_row(&w, kind, i, record, &shown);
        }
    }
    put_left(&w, kind, record, &shown);
    end_run(&w);
    buf_put_u8(out, '}');
}

void record_line(const struct kind_desc *kind, struct bytes name, const struct field *fields, size_t n, struct buf *out)
{
    struct writer outer = {.out = out, .first = true}, w = {.out = out, .first = true};
    buf_put_u8(out, '{');
    member(&outer, "kind");
    json_put_string(out, bytes_str(kind->singular));
    member(&outer, kind->singular);
    buf_put_u8(out, '{');
    member(&w, "name");
    json_put_string(out, name);
    for (size_t i = 0; i < n; i++) {
        const struct field_desc *d = field_by_name(kind->fields, fields[i].name);
        bool nil = fields[i].value.n == 1 && fields[i].value.p[0] == 0xc0;
        bool fits = d == NULL ? !is_foreign(kind, fields[i].name) : !is_reserved(d) && field_fits(d, fields[i].value);
        if (nil || !fits)
            continue;
        member_text(&w, fields[i].name);
        json_put_value(out, fields[i].value);
    }
    buf_put_str(out, "}}");
}

bool record_price(const struct merged *record, const char *unit, uint64_t *pico)
{
    struct mp_reader r, value;
    size_t i = find(record, bytes_str("pricing"));
    const struct field_desc *pricing = field_by_name(kind_model.fields, bytes_str("pricing"));
    if (i < record->field_count && !is_removed(&record->fields[i]) && field_fits(pricing, record->fields[i].field.value)) {
        mp_reader_init(&r, record->fields[i].field.value);
        for (size_t n = mp_array(&r); n > 0 && !r.bad; n--) {
            struct bytes price = mp_value(&r, 1);
            if (!member_find(price, "unit", &value) || !bytes_eq(mp_str(&value), bytes_str(unit)))
                continue;
            bool found = member_find(price, "pico_usd", &value);
            *pico = found ? mp_uint(&value) : 0;
            return found;
        }
    }
    i = find(record, bytes_str("price_per_1m_tokens"));
    if (strcmp(unit, "input_token") != 0 || i == record->field_count || is_removed(&record->fields[i]))
        return false;
    mp_reader_init(&r, record->fields[i].field.value);
    return mp_peek(&r) == MP_STR && decimal_to_pico(mp_str(&r), pico);
}
