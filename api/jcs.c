/*
 * Canonical JSON over jansson's trees. Keys are ordered as UTF-16 code units, as the RFC wants; text is otherwise left as
 * it is.
 */
#include "api/jcs.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define INTEGER_MAX 9007199254740991 /* 2^53 - 1 */

static enum err put_value(struct buf *out, const json_t *value, unsigned depth);

static void put_text(struct buf *out, const char *text, size_t n)
{
    static const char shorts[] = "btn\0fr"; /* of 8 to 13 */
    assert(n == 0 || text != NULL);
    buf_put_u8(out, '"');
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c >= 8 && c <= 13 && shorts[c - 8] != 0)
            buf_printf(out, "\\%c", shorts[c - 8]);
        else if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_put_u8(out, c);
    }
    buf_put_u8(out, '"');
}

/* Of two UTF-8 texts, as sequences of UTF-16 code units. The orders differ only where one side has a character above
 * U+FFFF (first byte f0 to f4), whose first unit is d800 to dbff, and the other one of U+E000 to U+FFFF (ee, ef). */
static int order_of(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    uint8_t x = (uint8_t)*a, y = (uint8_t)*b;
    if (x >= 0xf0 && (y == 0xee || y == 0xef))
        return -1;
    if (y >= 0xf0 && (x == 0xee || x == 0xef))
        return 1;
    return x < y ? -1 : x > y;
}

static int by_order(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return order_of(*x, *y);
}

static enum err put_object(struct buf *out, const json_t *object, unsigned depth)
{
    size_t n = json_object_size(object), at = 0;
    const char **keys = mem_calloc(n > 0 ? n : 1, sizeof *keys), *key;
    json_t *member;
    enum err e = ERR_OK;
    json_object_foreach((json_t *)(uintptr_t)object, key, member) keys[at++] = key;
    assert(at == n);
    qsort(keys, n, sizeof *keys, by_order);
    buf_put_u8(out, '{');
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        if (i > 0)
            buf_put_u8(out, ',');
        put_text(out, keys[i], strlen(keys[i]));
        buf_put_u8(out, ':');
        e = put_value(out, json_object_get(object, keys[i]), depth + 1);
    }
    buf_put_u8(out, '}');
    free(keys);
    return e;
}

static enum err put_array(struct buf *out, const json_t *array, unsigned depth)
{
    assert(depth >= 1 && depth <= JCS_DEPTH_MAX);
    enum err e = ERR_OK;
    buf_put_u8(out, '[');
    for (size_t i = 0; i < json_array_size(array) && e == ERR_OK; i++) {
        if (i > 0)
            buf_put_u8(out, ',');
        e = put_value(out, json_array_get(array, i), depth + 1);
    }
    buf_put_u8(out, ']');
    return e;
}

static enum err put_integer(struct buf *out, json_int_t v)
{
    if (v > INTEGER_MAX || v < -INTEGER_MAX)
        return ERR_FORM;
    buf_printf(out, "%lld", (long long)v);
    return ERR_OK;
}

static enum err put_value(struct buf *out, const json_t *value, unsigned depth)
{
    if (depth > JCS_DEPTH_MAX)
        return ERR_LIMIT;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return put_object(out, value, depth);
    case JSON_ARRAY:
        return put_array(out, value, depth);
    case JSON_STRING:
        put_text(out, json_string_value(value), json_string_length(value));
        return ERR_OK;
    case JSON_INTEGER:
        return put_integer(out, json_integer_value(value));
    case JSON_REAL:
        return ERR_FORM;
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        buf_put_str(out, json_is_null(value) ? "null" : json_is_true(value) ? "true" : "false");
        return ERR_OK;
    }
    return ERR_FORM;
}

enum err jcs_put(struct buf *out, const json_t *value)
{
    assert(value != NULL);
    return put_value(out, value, 1);
}

json_t *jcs_parse(struct bytes text, struct buf *why)
{
    json_error_t error;
    struct buf canonical = {0};
    if (text.n > JCS_BYTES_MAX) {
        buf_printf(why, "a signed document has at most %u bytes, this one %zu", JCS_BYTES_MAX, text.n);
        return NULL;
    }
    /* jansson keeps integers and other numbers apart by how they are written, and refuses lone surrogates. */
    json_t *root = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (root == NULL) {
        buf_printf(why, "not the JSON of a signed document: line %d column %d: %s", error.line, error.column, error.text);
        return NULL;
    }
    enum err e = jcs_put(&canonical, root);
    assert(e != ERR_OK || canonical.n > 0);
    buf_close(&canonical);
    if (e == ERR_OK)
        return root;
    buf_put_str(why, e == ERR_LIMIT ? "it is nested too deeply"
                                    : "its numbers must be integers of at most 2^53-1, without fraction or exponent");
    json_decref(root);
    return NULL;
}
