/*
 * The cutter: a machine over bytes with a stack of CUT_LEVELS containers, of which it keeps the present keys. Deeper
 * brackets are only counted: whether a row is JSON is for the parser that gets its text.
 */
#include "node/import_cut.h"

#include <assert.h>
#include <string.h>

static struct cut_level *level(struct cut *c)
{
    return c->depth > 0 && c->depth <= CUT_LEVELS ? &c->levels[c->depth - 1] : NULL;
}

static bool key_is(const struct cut_level *l, const char *key)
{
    return l->is_object && bytes_eq(bytes_of(l->key, l->key_size), bytes_str(key));
}

/* Does a value at this place make a row? [row], {KEY: [row]}, and for models.dev {provider: {"models": {id: row}}}. */
static bool is_row_place(const struct cut *c)
{
    const struct cut_level *l = c->levels;
    const char *list = c->format == IMPORT_MODELS_DEV ? "models" : "servers";
    if (c->depth == 1)
        return !l[0].is_object;
    if (c->depth == 2)
        return key_is(&l[0], list) && !l[1].is_object;
    return c->depth == 3 && c->format == IMPORT_MODELS_DEV && l[0].is_object && !key_is(&l[0], "providers") &&
           key_is(&l[1], "models") && l[2].is_object;
}

static bool at_value(struct cut *c)
{
    const struct cut_level *l = level(c);
    return l == NULL || !l->is_object || l->at_value;
}

static void keep(struct cut *c, uint8_t byte)
{
    if (c->row.n == IMPORT_ROW_MAX)
        c->is_over = true;
    else
        buf_put_u8(&c->row, byte);
}

static void start_row(struct cut *c, uint8_t byte)
{
    assert(!c->in_row && !c->in_string);
    c->in_row = true;
    c->is_over = false;
    c->is_scalar = byte != '{' && byte != '[';
    c->row_depth = c->depth;
    c->row_line = c->line;
    buf_reset(&c->row);
}

static void take_string(struct cut *c, uint8_t byte)
{
    assert(c->in_string && c->row.n <= IMPORT_ROW_MAX);
    struct cut_level *l = level(c);
    if (c->escaped)
        c->escaped = false;
    else if (byte == '\\')
        c->escaped = true;
    else if (byte == '"')
        c->in_string = false;
    if (c->in_row)
        keep(c, byte);
    else if (c->in_string && c->is_key && l != NULL && l->key_size < CUT_KEY_MAX)
        l->key[l->key_size++] = byte;
}

static void open_string(struct cut *c)
{
    struct cut_level *l = level(c);
    c->in_string = true;
    c->is_key = !c->in_row && l != NULL && l->is_object && !l->at_value;
    if (c->is_key)
        l->key_size = 0;
}

static void open_container(struct cut *c, uint8_t byte)
{
    if (c->ended)
        c->fault = "there is more text after the end of the document";
    c->depth++;
    struct cut_level *l = level(c);
    if (l != NULL) {
        l->is_object = byte == '{';
        l->at_value = false;
        l->key_size = 0;
    }
}

/* True: it was the row's own. */
static bool close_container(struct cut *c, uint8_t byte)
{
    const struct cut_level *l = level(c);
    if (c->depth == 0 || (l != NULL && !c->in_row && l->is_object != (byte == '}'))) {
        c->fault = "a closing bracket fits no opening one";
        return false;
    }
    c->depth--;
    c->ended = c->depth == 0;
    if (!c->in_row || c->depth != c->row_depth)
        return false;
    c->in_row = false;
    return true;
}

static bool take_mark(struct cut *c, uint8_t byte)
{
    struct cut_level *l = c->in_row ? NULL : level(c);
    switch (byte) {
    case '"': open_string(c); return false;
    case '{':
    case '[': open_container(c, byte); return false;
    case '}':
    case ']': return close_container(c, byte);
    case ':':
        if (l != NULL)
            l->at_value = true;
        return false;
    case ',':
        if (l != NULL)
            l->at_value = false;
        return false;
    default: return false;
    }
}

bool cut_byte(struct cut *c, uint8_t byte)
{
    bool done = false;
    assert(c->fault == NULL);
    if (byte == '\n')
        c->line++;
    if (c->in_string) {
        take_string(c, byte);
        return false;
    }
    bool ends = byte == ',' || byte == ']' || byte == '}';
    if (byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t') {
        if (c->in_row)
            keep(c, byte);
        return false;
    }
    if (c->in_row && c->is_scalar && ends && c->depth == c->row_depth) {
        c->in_row = false;
        done = true;
    } else if (!c->in_row && !ends && is_row_place(c) && at_value(c) && byte != ':') {
        start_row(c, byte);
    }
    if (c->in_row)
        keep(c, byte);
    return take_mark(c, byte) || done;
}

const char *cut_end(const struct cut *c)
{
    if (c->fault != NULL)
        return c->fault;
    if (c->in_row || c->in_string)
        return "the input ends in the middle of a row";
    return c->ended ? NULL : c->depth == 0 ? "the input holds no JSON object or list" : "the input ends before the document does";
}
