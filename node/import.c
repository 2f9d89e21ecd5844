/*
 * The reader behind all import formats: keeps the bytes that wait, cuts rows (lines, or values found by import_cut.c), has
 * them mapped and checked, and says what became of each.
 */
#include "node/import.h"

#include "api/json.h"
#include "crdt/alloc.h"
#include "node/import_cut.h"
#include "node/import_map.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names seen, as 128-bit hashes in an open table that is at most half full. */
struct names {
    uint64_t (*slots)[2];
    size_t count, size;
};

struct import {
    enum import_format format;
    const struct kind_desc *kind; /* of bare records */
    struct buf in;
    size_t at;                    /* of `in`, the next byte to look at */
    uint64_t used;
    bool ended, said_end, cut_only;
    size_t row;
    struct cut cut;
    struct buf line;              /* jsonl: the line that is not whole yet */
    bool line_over, line_given;
    struct json_fields fields;
    struct names names;
    struct buf name;              /* of a refused row */
};

bool import_format_by_word(const char *word, enum import_format *out)
{
    static const char *const words[] = {"jsonl", "models.dev", "mcp-registry"};
    for (int i = 0; i < 3; i++)
        if (strcmp(words[i], word) == 0) {
            *out = (enum import_format)i;
            return true;
        }
    return false;
}

struct import *import_new(enum import_format format, const struct kind_desc *default_kind)
{
    struct import *m = mem_zalloc(sizeof *m);
    m->format = format;
    m->kind = format == IMPORT_JSONL ? default_kind : kind_by_number(format == IMPORT_MCP ? KIND_SERVER : KIND_MODEL);
    m->cut.format = format;
    m->cut.line = 1;
    return m;
}

void import_cut_only(struct import *m)
{
    assert(m->format == IMPORT_JSONL && m->row == 0);
    m->cut_only = true;
}

void import_free(struct import *m)
{
    if (m == NULL)
        return;
    buf_close(&m->in);
    buf_close(&m->line);
    buf_close(&m->cut.row);
    buf_close(&m->name);
    json_fields_close(&m->fields);
    free(m->names.slots);
    free(m);
}

void import_feed(struct import *m, struct bytes in)
{
    assert(!m->ended);
    buf_drop(&m->in, m->at);
    m->at = 0;
    buf_put_bytes(&m->in, in);
}

void import_end(struct import *m)
{
    m->ended = true;
}

uint64_t import_used(const struct import *m)
{
    return m->used;
}

/* ---- names --------------------------------------------------------------------------------------------------- */

static bool names_insert(struct names *t, const uint64_t hash[2])
{
    size_t mask = t->size - 1, i = (size_t)hash[0] & mask;
    assert(t->size > 0 && (t->size & mask) == 0 && t->count < t->size);
    while (t->slots[i][0] != 0 || t->slots[i][1] != 0) {
        if (t->slots[i][0] == hash[0] && t->slots[i][1] == hash[1])
            return false;
        i = (i + 1) & mask;
    }
    memcpy(t->slots[i], hash, sizeof t->slots[i]);
    t->count++;
    return true;
}

/* False: the name was there. */
static bool names_add(struct names *t, struct bytes name)
{
    struct hasher h;
    struct id id;
    uint64_t hash[2];
    if (2 * (t->count + 1) > t->size) {
        struct names larger = {.size = t->size > 0 ? 2 * t->size : 64};
        larger.slots = mem_calloc(larger.size, sizeof *larger.slots);
        for (size_t i = 0; i < t->size; i++)
            if (t->slots[i][0] != 0 || t->slots[i][1] != 0)
                (void)names_insert(&larger, t->slots[i]);
        free(t->slots);
        *t = larger;
    }
    hash_init(&h, "souk/import/1");
    hash_part(&h, name.p, name.n);
    hash_end(&h, &id);
    hash[0] = get_le64(id.b);
    hash[1] = get_le64(id.b + 8) | 1; /* never the empty slot */
    return names_insert(t, hash);
}

/* ---- rows ---------------------------------------------------------------------------------------------------- */

/* The name as far as a refused row gives one. */
static void keep_name(struct import *m, const json_t *record, struct import_row *row)
{
    const json_t *inner = row->kind != NULL ? json_object_get(record, row->kind->singular) : NULL;
    const json_t *name = json_object_get(json_is_object(inner) ? inner : record, "name");
    buf_reset(&m->name);
    if (!json_is_string(name))
        return;
    buf_put(&m->name, json_string_value(name), json_string_length(name));
    row->name = buf_view(&m->name);
}

static void take_record(struct import *m, const json_t *record, struct import_row *row)
{
    assert(row->kind != NULL);
    enum err e = json_tree_to_fields(row->kind, record, JSON_PUT, &m->fields, &row->faults);
    if (e != ERR_OK) {
        row->verdict = IMPORT_REFUSED;
        keep_name(m, record, row);
        return;
    }
    row->verdict = IMPORT_ROW;
    row->name = m->fields.name;
    row->field_count = m->fields.count;
    row->fields = m->fields.fields;
    if (m->format == IMPORT_MCP && !names_add(&m->names, row->name)) {
        row->verdict = IMPORT_DUPLICATE;
        faults_add(&row->faults, "/name", "an earlier row has this name: this one is skipped");
    }
}

static void take_tree(struct import *m, const json_t *tree, struct import_row *row)
{
    assert(tree != NULL && !m->cut_only);
    json_t *record = NULL;
    const struct cut_level *keys = m->cut.levels;
    bool keyed = m->format == IMPORT_MODELS_DEV && m->cut.row_depth == 3;
    struct bytes provider = bytes_of(keys[0].key, keyed ? keys[0].key_size : 0);
    struct bytes id = bytes_of(keys[2].key, keyed ? keys[2].key_size : 0);
    row->verdict = IMPORT_REFUSED;
    switch (m->format) {
    case IMPORT_JSONL:
        row->kind = import_kind_of(tree, m->kind, &row->faults);
        if (row->kind != NULL)
            take_record(m, tree, row);
        return;
    case IMPORT_MODELS_DEV: record = import_map_models_dev(tree, provider, id, &row->faults); break;
    case IMPORT_MCP: record = import_map_mcp(tree, &row->faults); break;
    }
    row->kind = m->kind;
    if (record == NULL)
        keep_name(m, tree, row);
    else
        take_record(m, record, row);
    json_decref(record);
}

static void begin_row(struct import *m, struct import_row *row, size_t line)
{
    row->faults.count = 0;
    row->verdict = IMPORT_REFUSED;
    row->kind = NULL;
    row->name = row->text = (struct bytes){0};
    row->field_count = 0;
    row->fields = NULL;
    row->line = line;
    row->row = ++m->row;
    assert(line > 0);
    bool by_row = m->format != IMPORT_JSONL && line == 1;
    (void)snprintf(row->where, sizeof row->where, by_row ? "row %zu" : "line %zu", by_row ? row->row : line);
}

static void take_row(struct import *m, struct bytes text, struct import_row *row)
{
    json_error_t error;
    row->text = text;
    if (m->format == IMPORT_JSONL && text.n > API_RECORD_MAX + 256) {
        faults_add(&row->faults, "", "has %zu bytes, a record has at most %d", text.n, API_RECORD_MAX);
        return;
    }
    if (m->cut_only) {
        row->verdict = IMPORT_ROW;
        return;
    }
    json_t *tree = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (tree == NULL)
        faults_add(&row->faults, "", "is not JSON: column %d: %s", error.column, json_fault(&error));
    else
        take_tree(m, tree, row);
    json_decref(tree);
}

static void over_long(struct import_row *row)
{
    faults_add(&row->faults, "", "is longer than %u bytes", IMPORT_ROW_MAX);
}

static bool is_blank(struct bytes s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r')
            return false;
    return true;
}

/* Moves bytes up to the next newline into the line. True: the line is whole. */
static bool gather_line(struct import *m)
{
    size_t left = m->in.n - m->at;
    if (left == 0)
        return false;
    const uint8_t *start = m->in.p + m->at, *end = memchr(start, '\n', left);
    size_t n = end != NULL ? (size_t)(end - start) : left;
    if (m->line.n + n > IMPORT_ROW_MAX)
        m->line_over = true;
    else
        buf_put(&m->line, start, n);
    size_t taken = n + (end != NULL);
    assert(taken <= left && m->line.n <= IMPORT_ROW_MAX);
    m->at += taken;
    m->used += taken;
    return end != NULL;
}

static bool next_line(struct import *m, struct import_row *row)
{
    for (;;) {
        bool whole = gather_line(m);
        if (!whole && (!m->ended || (m->line.n == 0 && !m->line_over)))
            return false;
        size_t line = m->cut.line++;
        assert(whole || m->ended);
        bool over = m->line_over;
        m->line_over = false;
        if (over || !is_blank(buf_view(&m->line))) {
            begin_row(m, row, line);
            if (over)
                over_long(row);
            else
                take_row(m, buf_view(&m->line), row);
            m->line_given = true;
            return true;
        }
        buf_reset(&m->line);
    }
}

static bool next_value(struct import *m, struct import_row *row)
{
    assert(m->at <= m->in.n && m->used >= m->at);
    while (m->at < m->in.n && m->cut.fault == NULL) {
        m->used++;
        if (!cut_byte(&m->cut, m->in.p[m->at++]))
            continue;
        begin_row(m, row, m->cut.row_line);
        if (m->cut.is_over)
            over_long(row);
        else
            take_row(m, buf_view(&m->cut.row), row);
        return true;
    }
    const char *fault = m->cut.fault != NULL ? m->cut.fault : m->ended ? cut_end(&m->cut) : NULL;
    if (fault == NULL && m->ended && m->row == 0)
        fault = "the document has no rows where this format keeps them";
    if (fault == NULL || m->said_end)
        return false;
    m->said_end = true;
    begin_row(m, row, m->cut.line);
    row->verdict = IMPORT_BROKEN;
    row->kind = m->kind;
    faults_add(&row->faults, "", "%s", fault);
    return true;
}

bool import_next(struct import *m, struct import_row *row)
{
    if (m->format != IMPORT_JSONL)
        return next_value(m, row);
    if (m->line_given)
        buf_reset(&m->line); /* the last row borrowed it */
    m->line_given = false;
    return next_line(m, row);
}
