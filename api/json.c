/*
 * JSON trees to canonical msgpack by the schema table: sorts members, drops nulls, gives enums and prices their one form,
 * and hands each value to the check of crdt/record.h. Knows no entry but the one it is given.
 */
#include "api/json.h"

#include "crdt/alloc.h"
#include "crdt/codec.h"
#include "crdt/decimal.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A member of an object that is being converted; the present objects lie in one stack. */
struct json_member {
    const char *key;
    size_t key_size;
    const json_t *value;
    size_t name_at, value_at, value_size; /* top level: places in the arena */
};

void json_fields_close(struct json_fields *f)
{
    free(f->fields);
    free(f->scratch);
    buf_close(&f->arena);
    *f = (struct json_fields){0};
}

static int member_cmp(const void *a, const void *b)
{
    const struct json_member *x = a, *y = b;
    return bytes_cmp(bytes_of(x->key, x->key_size), bytes_of(y->key, y->key_size));
}

/* Few members: an insertion sort beats a call for each comparison. Keys are unique, so the order is total. */
static void sort_members(struct json_member *m, size_t n)
{
    if (n > 24) {
        qsort(m, n, sizeof *m, member_cmp);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        struct json_member x = m[i];
        size_t at = i;
        for (; at > 0 && member_cmp(&m[at - 1], &x) > 0; at--)
            m[at] = m[at - 1];
        m[at] = x;
    }
}

enum nulls { NULLS_KEEP, NULLS_DROP };

/* Pushes the members of an object, sorted, and returns how many; they start at f->scratch_count - n. */
static size_t push_members(struct json_fields *f, const json_t *object, enum nulls nulls)
{
    size_t start = f->scratch_count, most = json_object_size(object);
    if (most == 0)
        return 0;
    if (most > f->scratch_capacity - start) {
        f->scratch_capacity = 2 * (start + most);
        f->scratch = mem_realloc(f->scratch, f->scratch_capacity, sizeof *f->scratch);
    }
    json_t *tree = (json_t *)object; /* the iterators take no const */
    for (void *it = json_object_iter(tree); it != NULL; it = json_object_iter_next(tree, it)) {
        const json_t *value = json_object_iter_value(it);
        if (nulls == NULLS_DROP && json_is_null(value))
            continue;
        f->scratch[f->scratch_count++] = (struct json_member){
            .key = json_object_iter_key(it), .key_size = json_object_iter_key_len(it), .value = value};
    }
    sort_members(f->scratch + start, f->scratch_count - start);
    return f->scratch_count - start;
}

static struct bytes text_of(const json_t *string)
{
    return bytes_of(json_string_value(string), json_string_length(string));
}

static bool encode(struct json_fields *f, const struct field_desc *d, const json_t *value, unsigned depth);

/* fields NULL: nothing is known of the members, and nulls are values. */
static bool encode_object(struct json_fields *f, const struct field_desc *fields, const json_t *object, unsigned depth)
{
    size_t n = push_members(f, object, fields != NULL ? NULLS_DROP : NULLS_KEEP), start = f->scratch_count - n;
    bool ok = true;
    mp_put_map(&f->arena, n);
    for (size_t i = 0; ok && i < n; i++) {
        struct json_member m = f->scratch[start + i]; /* a copy: the stack may move */
        assert(start + i < f->scratch_count);
        struct bytes key = bytes_of(m.key, m.key_size);
        mp_put_str(&f->arena, key);
        ok = encode(f, fields != NULL ? field_by_name(fields, key) : NULL, m.value, depth + 1);
    }
    f->scratch_count = start;
    return ok;
}

/* {str: value}: each value by `item`, NULL: as it stands. */
static bool encode_map(struct json_fields *f, const struct field_desc *fields, const json_t *object, unsigned depth)
{
    size_t n = push_members(f, object, NULLS_DROP), start = f->scratch_count - n;
    bool ok = depth < RECORD_DEPTH_MAX;
    assert(f->scratch_count >= n && f->scratch_count <= f->scratch_capacity);
    mp_put_map(&f->arena, n);
    for (size_t i = 0; ok && i < n; i++) {
        struct json_member m = f->scratch[start + i];
        mp_put_str(&f->arena, bytes_of(m.key, m.key_size));
        if (fields != NULL && json_is_object(m.value))
            ok = encode_object(f, fields, m.value, depth + 1);
        else
            ok = encode(f, NULL, m.value, depth + 1);
    }
    f->scratch_count = start;
    return ok;
}

static bool is_value(const struct field_desc *d, struct bytes s)
{
    assert(d->values != NULL);
    for (const char *const *v = d->values; *v != NULL; v++)
        if (strlen(*v) == s.n && memcmp(*v, s.p, s.n) == 0)
            return true;
    return false;
}

/* A bare string that is none of the values of an open enum stands for {"Other": s}. */
static bool encode_enum(struct json_fields *f, const struct field_desc *d, const json_t *value, unsigned depth)
{
    if (!json_is_string(value) || d->open_value == NULL || is_value(d, text_of(value)))
        return encode(f, NULL, value, depth);
    mp_put_map(&f->arena, 1);
    mp_put_str(&f->arena, bytes_str(d->open_value));
    mp_put_str(&f->arena, text_of(value));
    return true;
}

static bool encode_item(struct json_fields *f, const struct field_desc *d, const json_t *item, unsigned depth)
{
    assert(d->type != FIELD_OBJECT_LIST || d->fields != NULL);
    if (d->type == FIELD_ENUM_LIST)
        return encode_enum(f, d, item, depth);
    if (d->type == FIELD_OBJECT_LIST && json_is_object(item))
        return encode_object(f, d->fields, item, depth);
    if (d->type == FIELD_OBJECT_LIST && json_is_string(item) && d->short_form != NULL) {
        mp_put_map(&f->arena, 1);
        mp_put_str(&f->arena, bytes_str(d->short_form));
    }
    return encode(f, NULL, item, depth);
}

static bool encode_array(struct json_fields *f, const struct field_desc *d, const json_t *array, unsigned depth)
{
    size_t n = json_array_size(array);
    bool ok = true;
    assert(json_is_array(array));
    mp_put_array(&f->arena, n);
    for (size_t i = 0; ok && i < n; i++) {
        const json_t *item = json_array_get(array, i);
        ok = d != NULL ? encode_item(f, d, item, depth + 1) : encode(f, NULL, item, depth + 1);
    }
    return ok;
}

/* A price that came as a number: its shortest decimal. One that has none is left for the check to refuse. */
static void encode_decimal(struct json_fields *f, const json_t *number)
{
    assert(json_is_number(number));
    char text[DECIMAL_TEXT];
    if (json_is_integer(number))
        (void)snprintf(text, sizeof text, "%lld", (long long)json_integer_value(number));
    else if (!decimal_of_double(text, json_real_value(number)))
        (void)snprintf(text, sizeof text, "%.17g", json_real_value(number));
    mp_put_str(&f->arena, bytes_str(text));
}

/* A real that equals an integer is that integer, so its bounds are those of integers. */
static bool encode_real(struct json_fields *f, double v)
{
    const double over = 9223372036854775808.0; /* 2^63 */
    f->out_of_range = v >= over && v < 2 * over;
    if (!f->out_of_range)
        mp_put_float(&f->arena, v);
    return !f->out_of_range;
}

static bool encode(struct json_fields *f, const struct field_desc *d, const json_t *value, unsigned depth)
{
    struct buf *out = &f->arena;
    json_type type = json_typeof(value);
    assert(depth <= RECORD_DEPTH_MAX + 1);
    if ((type == JSON_OBJECT || type == JSON_ARRAY) && depth >= RECORD_DEPTH_MAX)
        return false;
    if (d != NULL && d->type == FIELD_ENUM && type == JSON_STRING)
        return encode_enum(f, d, value, depth);
    if (d != NULL && d->type == FIELD_DECIMAL && json_is_number(value)) {
        encode_decimal(f, value);
        return true;
    }
    switch (type) {
    case JSON_OBJECT:
        if (d == NULL || d->type == FIELD_JSON)
            return encode_object(f, NULL, value, depth);
        if (d->type == FIELD_STRING_MAP || d->type == FIELD_OBJECT_MAP)
            return encode_map(f, d->fields, value, depth);
        return encode_object(f, d->fields, value, depth);
    case JSON_ARRAY:
        return encode_array(f, d != NULL && d->type != FIELD_JSON ? d : NULL, value, depth);
    case JSON_STRING: mp_put_str(out, text_of(value)); return true;
    case JSON_INTEGER: mp_put_int(out, json_integer_value(value)); return true;
    case JSON_REAL: return encode_real(f, json_real_value(value));
    case JSON_TRUE: mp_put_bool(out, true); return true;
    case JSON_FALSE: mp_put_bool(out, false); return true;
    case JSON_NULL: mp_put_nil(out); return true;
    }
    return false;
}

bool json_to_msgpack(const struct json_t *value, struct buf *out)
{
    struct json_fields f = {0};
    f.arena = *out;
    bool ok = encode(&f, NULL, value, 0);
    *out = f.arena;
    f.arena = (struct buf){0};
    json_fields_close(&f);
    return ok;
}

/* ---- records ------------------------------------------------------------------------------------------------- */

static void start_afresh(struct json_fields *f, struct faults *faults)
{
    buf_reset(&f->arena);
    f->name = (struct bytes){0};
    f->count = 0;
    f->scratch_count = 0;
    f->detail[0] = 0;
    faults->count = 0;
}

/* `{"model":{...},...}` stands for the record in it. */
static const json_t *unwrap(const struct kind_desc *kind, const json_t *tree)
{
    assert(json_is_object(tree));
    const json_t *inner = json_object_get(tree, kind->singular);
    if (!json_is_object(inner) || json_object_get(tree, "name") != NULL)
        return tree;
    return inner;
}

static enum err not_an_object(const json_t *tree, struct faults *faults)
{
    static const char *const words[] = {"an object", "a list", "a string", "a number", "a number", "true", "false", "null"};
    faults_add(faults, "", "is %s, must be an object", words[json_typeof(tree)]);
    return ERR_INVALID;
}

/* JSON pointer of a member at top level. */
static void pointer_to(char out[160], const struct json_member *m)
{
    size_t n = 0;
    out[n++] = '/';
    for (size_t i = 0; i < m->key_size && n + 3 < 160; i++) {
        char c = m->key[i];
        if (c == '~' || c == '/')
            out[n++] = '~';
        out[n++] = c == '~' ? '0' : c == '/' ? '1' : c;
    }
    out[n] = 0;
}

enum use { USE_FIELD, USE_NAME, USE_IGNORE };

static enum use use_of(const struct field_desc *d, struct bytes key)
{
    if (d == NULL)
        return bytes_eq(key, bytes_str("foreign")) ? USE_IGNORE : USE_FIELD;
    if (strcmp(d->name, "name") == 0)
        return USE_NAME;
    return d->flags & FIELD_BY_NODE ? USE_IGNORE : USE_FIELD;
}

static bool has_control(struct bytes s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

/* Converts the member at place i of the stack. False: there is a fault. */
static bool convert_member(struct json_fields *f, const struct field_desc *d, size_t i, struct faults *faults)
{
    char pointer[160];
    struct json_member m = f->scratch[i];
    struct bytes key = bytes_of(m.key, m.key_size);
    pointer_to(pointer, &m);
    assert(i < f->scratch_count && m.value != NULL);
    if (d == NULL && (key.n == 0 || key.n > RECORD_ITEM_MAX || has_control(key))) {
        faults_add(faults, pointer, "a field's name must have 1 to %d bytes and no control character", RECORD_ITEM_MAX);
        return false;
    }
    m.name_at = f->arena.n;
    buf_put_bytes(&f->arena, key);
    m.value_at = f->arena.n;
    f->out_of_range = false;
    if (!encode(f, d, m.value, 0)) {
        if (f->out_of_range)
            faults_add(faults, pointer, "a number is out of range (integers: -2^63 to 2^63-1)");
        else
            faults_add(faults, pointer, "is nested deeper than %d levels", RECORD_DEPTH_MAX);
        return false;
    }
    m.value_size = f->arena.n - m.value_at;
    f->scratch[i] = m;
    return true;
}

static bool take_name(const struct kind_desc *kind, struct json_fields *f, size_t i, struct faults *faults)
{
    const json_t *value = f->scratch[i].value;
    f->scratch[i].value_at = f->arena.n;
    assert(i < f->scratch_count);
    if (!json_is_string(value)) {
        faults_add(faults, "/name", "must be a string");
        return false;
    }
    f->scratch[i].value_size = json_string_length(value);
    buf_put_bytes(&f->arena, text_of(value));
    return name_check(kind, text_of(value), faults);
}

/* Turns the stack's members into fields, once the arena lies still. One that could not be converted has no value. */
static void place_fields(const struct kind_desc *kind, struct json_fields *f, size_t n)
{
    if (n > f->capacity) {
        f->capacity = n + 16;
        f->fields = mem_realloc(f->fields, f->capacity, sizeof *f->fields);
    }
    for (size_t i = 0; i < n; i++) {
        const struct json_member *m = &f->scratch[i];
        struct bytes key = bytes_of(m->key, m->key_size);
        enum use use = use_of(field_by_name(kind->fields, key), key);
        struct bytes value = bytes_of(f->arena.p + m->value_at, m->value_size);
        assert(m->value_at + m->value_size <= f->arena.n && m->name_at <= m->value_at);
        if (use == USE_NAME)
            f->name = value;
        if (use == USE_FIELD && m->value_size > 0)
            f->fields[f->count++] = (struct field){.name = bytes_of(f->arena.p + m->name_at, m->key_size), .value = value};
    }
}

static bool check_fields(const struct kind_desc *kind, enum json_mode mode, const struct json_fields *f, struct faults *faults)
{
    bool ok = true;
    if (mode == JSON_PUT && f->name.p == NULL) {
        faults_add(faults, "/name", "is required");
        ok = false;
    }
    if (mode != JSON_PATCH)
        return record_check(kind, f->fields, f->count, faults) && ok;
    for (size_t i = 0; i < f->count; i++) {
        char pointer[160];
        const struct field_desc *d = field_by_name(kind->fields, f->fields[i].name);
        if (d == NULL)
            continue;
        (void)snprintf(pointer, sizeof pointer, "/%s", d->name);
        ok = field_check(d, pointer, f->fields[i].value, faults) && ok;
    }
    return ok;
}

static enum err convert(const struct kind_desc *kind, const json_t *tree, enum json_mode mode, struct json_fields *f,
                        struct faults *faults)
{
    bool ok = true;
    size_t n = push_members(f, tree, mode == JSON_PATCH ? NULLS_KEEP : NULLS_DROP);
    assert(f->scratch_count == n);
    (void)buf_grow(&f->arena, 1); /* so that an empty name is not NULL */
    if (n > MODEL_FIELDS_MAX) {
        faults_add(faults, "", "has %zu members, at most %d are allowed", n, MODEL_FIELDS_MAX);
        return ERR_INVALID;
    }
    for (size_t i = 0; i < n; i++) {
        struct bytes key = bytes_of(f->scratch[i].key, f->scratch[i].key_size);
        const struct field_desc *d = field_by_name(kind->fields, key);
        enum use use = use_of(d, key);
        if (use == USE_FIELD)
            ok = convert_member(f, d, i, faults) && ok;
        else if (use == USE_NAME)
            ok = take_name(kind, f, i, faults) && ok;
    }
    place_fields(kind, f, n);
    return check_fields(kind, mode, f, faults) && ok ? ERR_OK : ERR_INVALID;
}

enum err json_tree_to_fields(const struct kind_desc *kind, const struct json_t *tree, enum json_mode mode,
                             struct json_fields *out, struct faults *faults)
{
    start_afresh(out, faults);
    if (!json_is_object(tree))
        return not_an_object(tree, faults);
    return convert(kind, unwrap(kind, tree), mode, out, faults);
}

const char *json_fault(const struct json_error_t *e)
{
    if (json_error_code(e) == json_error_numeric_overflow)
        return "a number is out of range (integers: -2^63 to 2^63-1)";
    return json_error_code(e) == json_error_null_character ? "a text holds \\u0000, which no field takes" : e->text;
}

/* NULL: out->detail or faults says why, and *err which. */
static json_t *load(struct bytes body, struct json_fields *out, struct faults *faults, enum err *err)
{
    json_error_t error;
    if (body.n > API_RECORD_MAX) {
        *err = ERR_TOO_LARGE;
        return NULL;
    }
    json_t *tree = json_loadb(body.n > 0 ? (const char *)body.p : "", body.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (tree != NULL)
        return tree;
    *err = ERR_FORM;
    if (json_error_code(&error) == json_error_numeric_overflow) {
        faults_add(faults, "", "line %d, column %d: %s", error.line, error.column, json_fault(&error));
        *err = ERR_INVALID;
    }
    (void)snprintf(out->detail, sizeof out->detail, "line %d, column %d: %s", error.line, error.column, json_fault(&error));
    return NULL;
}

enum err json_to_fields(const struct kind_desc *kind, struct bytes body, enum json_mode mode, struct json_fields *out,
                        struct faults *faults)
{
    enum err err = ERR_OK;
    start_afresh(out, faults);
    json_t *tree = load(body, out, faults, &err);
    if (tree == NULL)
        return err;
    err = json_tree_to_fields(kind, tree, mode, out, faults);
    json_decref(tree);
    return err;
}

/* ---- merge patches ------------------------------------------------------------------------------------------- */

/* RFC 7396: what `patch` makes of `target` (NULL: nothing there). Returns a new reference. */
static json_t *merge(const json_t *target, const json_t *patch, unsigned depth)
{
    if (!json_is_object(patch) || depth > MODEL_DEPTH_MAX)
        return json_deep_copy(patch);
    json_t *out = json_is_object(target) ? json_copy((json_t *)target) : json_object();
    json_t *changes = (json_t *)patch;
    for (void *it = json_object_iter(changes); it != NULL; it = json_object_iter_next(changes, it)) {
        const char *key = json_object_iter_key(it);
        const json_t *value = json_object_iter_value(it);
        if (json_is_null(value))
            (void)json_object_del(out, key);
        else
            (void)json_object_set_new(out, key, merge(json_object_get(out, key), value, depth + 1));
    }
    return out;
}

/* Replaces each object in the patch by what it makes of the present one. */
static void merge_members(json_t *patch, const json_t *present)
{
    for (void *it = json_object_iter(patch); it != NULL; it = json_object_iter_next(patch, it)) {
        const json_t *value = json_object_iter_value(it);
        if (json_is_object(value))
            (void)json_object_iter_set_new(patch, it, merge(json_object_get(present, json_object_iter_key(it)), value, 1));
    }
}

/* The present objects that the patch touches, as JSON. */
static json_t *present_objects(const json_t *patch, const struct merged *present)
{
    json_t *out = json_object(), *tree = (json_t *)patch;
    struct buf text = {0};
    for (void *it = json_object_iter(tree); it != NULL; it = json_object_iter_next(tree, it)) {
        struct bytes key = bytes_of(json_object_iter_key(it), json_object_iter_key_len(it));
        const struct merged_field *f = json_is_object(json_object_iter_value(it)) ? merged_find(present, key) : NULL;
        if (f == NULL)
            continue;
        buf_reset(&text);
        json_put_value(&text, f->field.value);
        json_t *value = json_loadb((const char *)text.p, text.n, JSON_DECODE_ANY, NULL);
        if (value != NULL)
            (void)json_object_set_new(out, json_object_iter_key(it), value);
    }
    buf_close(&text);
    return out;
}

enum err json_patch(const struct kind_desc *kind, struct bytes body, const struct merged *present, struct json_fields *out,
                    struct faults *faults)
{
    enum err err = ERR_OK;
    start_afresh(out, faults);
    json_t *tree = load(body, out, faults, &err);
    if (tree == NULL)
        return err;
    if (json_is_object(tree)) {
        json_t *patch = (json_t *)unwrap(kind, tree), *objects = present_objects(patch, present);
        merge_members(patch, objects);
        json_decref(objects);
    }
    err = json_tree_to_fields(kind, tree, JSON_PATCH, out, faults);
    json_decref(tree);
    return err;
}

enum err json_patch_shown(const struct kind_desc *kind, struct bytes body, struct bytes shown, struct json_fields *out,
                          struct faults *faults)
{
    enum err err = ERR_OK;
    start_afresh(out, faults);
    json_t *tree = load(body, out, faults, &err);
    if (tree == NULL)
        return err;
    json_t *present = json_loadb((const char *)shown.p, shown.n, 0, NULL);
    if (json_is_object(tree))
        merge_members((json_t *)unwrap(kind, tree), json_is_object(present) ? unwrap(kind, present) : NULL);
    json_decref(present);
    err = json_tree_to_fields(kind, tree, JSON_PATCH, out, faults);
    json_decref(tree);
    return err;
}
