/* Real catalogues, whole: how many rows are taken, how many refused, and for which reason. Skips where they are absent. */
#include "node/import.h"

#include "crdt/alloc.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static FILE *open_data(const char *name)
{
    char path[4096];
    const char *shared = getenv("SOUK_SHARED");
    (void)snprintf(path, sizeof path, "%s/data/%s", shared != NULL ? shared : "", name);
    FILE *f = shared != NULL ? fopen(path, "rb") : NULL;
    if (f == NULL)
        cr_skip_test("%s is not here: set SOUK_SHARED to the folder that holds data/", name);
    return f;
}

struct counts {
    size_t taken, refused, duplicates, broken, empty_description, long_description, bad_name, other;
    size_t priced, rounded;
};

static void count_refusal(struct counts *c, const struct import_row *row)
{
    bool name = false, empty = false, longer = false, other = false;
    for (size_t i = 0; i < row->faults.count; i++) {
        const struct fault *f = &row->faults.list[i];
        bool description = strcmp(f->pointer, "/description") == 0;
        name = name || strcmp(f->pointer, "/name") == 0;
        empty = empty || (description && strstr(f->detail, "is empty"));
        longer = longer || (description && strstr(f->detail, "characters, must have 1 to 100"));
        other = other || (!description && strcmp(f->pointer, "/name") != 0);
    }
    c->refused++;
    c->bad_name += name;
    c->empty_description += empty;
    c->long_description += longer;
    c->other += other && !name && !empty && !longer;
}

/* Every taken row, exported and imported again, must be the same row. */
static void check_round_trip(const struct import_row *row)
{
    static struct json_fields again;
    static struct faults faults;
    struct buf line = {0};
    record_line(row->kind, row->name, row->fields, row->field_count, &line);
    cr_assert_eq(json_to_fields(row->kind, buf_view(&line), JSON_PUT, &again, &faults), ERR_OK);
    cr_assert(bytes_eq(again.name, row->name));
    cr_assert_eq(again.count, row->field_count);
    for (size_t i = 0; i < again.count; i++) {
        cr_assert(bytes_eq(again.fields[i].name, row->fields[i].name));
        cr_assert(bytes_eq(again.fields[i].value, row->fields[i].value), "%.*s", (int)row->name.n, row->name.p);
    }
    buf_close(&line);
    json_fields_close(&again);
}

/* Shown as JSON and read back, the record shows the same. */
static void check_shown(const struct import_row *row)
{
    static struct json_fields again;
    static struct faults faults;
    struct buf text[2] = {{0}, {0}};
    struct record_meta meta = {.name = row->name};
    const struct field *fields = row->fields;
    size_t n = row->field_count;
    for (int i = 0; i < 2; i++) {
        struct merged record = {.field_count = n, .fields = mem_calloc(n + 1, sizeof *record.fields)};
        for (size_t k = 0; k < n; k++)
            record.fields[k].field = fields[k];
        record_json(row->kind, &record, &meta, &text[i]);
        free(record.fields);
        cr_assert(strstr(buf_cstr(&text[i]), "\"foreign\":") == NULL);
        cr_assert_eq(json_to_fields(row->kind, buf_view(&text[i]), JSON_PUT, &again, &faults), ERR_OK);
        fields = again.fields;
        n = again.count;
    }
    cr_assert(bytes_eq(buf_view(&text[0]), buf_view(&text[1])));
    buf_close(&text[0]);
    buf_close(&text[1]);
    json_fields_close(&again);
}

static bool has_field(const struct import_row *row, const char *name)
{
    for (size_t i = 0; i < row->field_count; i++)
        if (bytes_eq(row->fields[i].name, bytes_str(name)))
            return true;
    return false;
}

static struct counts run(enum import_format format, FILE *f)
{
    static struct import_row row;
    static uint8_t chunk[65536];
    struct counts c = {0};
    struct import *m = import_new(format, NULL);
    size_t n, read = 0;
    do {
        n = fread(chunk, 1, sizeof chunk, f);
        read += n;
        if (n > 0)
            import_feed(m, bytes_of(chunk, n));
        else
            import_end(m);
        while (import_next(m, &row)) {
            c.duplicates += row.verdict == IMPORT_DUPLICATE;
            c.broken += row.verdict == IMPORT_BROKEN;
            if (row.verdict == IMPORT_REFUSED)
                count_refusal(&c, &row);
            if (row.verdict != IMPORT_ROW)
                continue;
            c.taken++;
            c.priced += has_field(&row, "price_per_1m_tokens");
            if (c.taken % 7 == 0)
                check_shown(&row);
            check_round_trip(&row);
        }
    } while (n > 0);
    cr_expect_eq(import_used(m), read);
    import_free(m);
    (void)fclose(f);
    return c;
}

Test(catalogues, every_row_of_models_dev)
{
    struct counts c = run(IMPORT_MODELS_DEV, open_data("models-dev.json"));
    cr_expect_eq(c.taken, 5098, "%zu", c.taken);
    cr_expect_eq(c.refused, 0, "%zu", c.refused);
    cr_expect_eq(c.broken, 0);
    cr_expect_eq(c.priced, 4716, "%zu", c.priced);
}

Test(catalogues, the_seed_of_the_mcp_registry)
{
    struct counts c = run(IMPORT_MCP, open_data("mcp-registry-seed-2025-05-16.json"));
    cr_expect_eq(c.broken, 0);
    cr_expect_eq(c.taken + c.refused + c.duplicates, 471);
    cr_expect_eq(c.empty_description, 79, "%zu", c.empty_description);
    cr_expect_eq(c.long_description, 103, "%zu", c.long_description);
    cr_expect_eq(c.bad_name, 7, "%zu", c.bad_name);
    cr_expect_eq(c.other, 1, "%zu: a remote whose transport is empty", c.other);
    cr_expect_eq(c.taken, 288, "%zu", c.taken);
    cr_expect_eq(c.duplicates, 0, "%zu: the names that are there twice are empty, and refused as such", c.duplicates);
}
