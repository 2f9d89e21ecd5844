/* Any text is refused as a record, or gives sorted, canonical, checked fields that an export gives back, shown as JSON. The
 * first byte chooses kind and mode. */
#include "api/json.h"

#include "crdt/alloc.h"
#include "crdt/codec.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check_fields(const struct kind_desc *kind, const struct json_fields *f)
{
    for (size_t i = 0; i < f->count; i++) {
        require(mp_canonical(f->fields[i].value));
        require(i == 0 || bytes_cmp(f->fields[i - 1].name, f->fields[i].name) < 0);
        const struct field_desc *d = field_by_name(kind->fields, f->fields[i].name);
        require(d == NULL || field_check(d, "", f->fields[i].value, NULL));
    }
}

static void check_line(const struct kind_desc *kind, const struct json_fields *f)
{
    struct json_fields again = {0};
    static struct faults faults;
    struct buf line = {0};
    record_line(kind, f->name, f->fields, f->count, &line);
    enum err e = json_to_fields(kind, buf_view(&line), JSON_PUT, &again, &faults);
    /* the line may be longer than what a client may send: escapes, and the wrapper */
    require(e == ERR_OK || (e == ERR_TOO_LARGE && line.n > API_RECORD_MAX));
    require(e != ERR_OK || (bytes_eq(again.name, f->name) && again.count == f->count));
    for (size_t i = 0; e == ERR_OK && i < f->count; i++)
        require(bytes_eq(again.fields[i].name, f->fields[i].name) && bytes_eq(again.fields[i].value, f->fields[i].value));
    json_fields_close(&again);
    buf_close(&line);
}

static void check_shown(const struct kind_desc *kind, const struct json_fields *f)
{
    struct merged record = {.field_count = f->count, .fields = mem_calloc(f->count + 1, sizeof *record.fields)};
    struct record_meta meta = {.name = f->name};
    struct buf shown = {0};
    for (size_t i = 0; i < f->count; i++)
        record.fields[i].field = f->fields[i];
    record_json(kind, &record, &meta, &shown);
    json_t *tree = json_loadb((const char *)shown.p, shown.n, JSON_REJECT_DUPLICATES, NULL);
    require(tree != NULL && json_object_get(tree, "foreign") == NULL);
    json_decref(tree);
    buf_close(&shown);
    free(record.fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct faults faults;
    if (size == 0)
        return 0;
    const struct kind_desc *kind = kind_at(data[0] % 3);
    enum json_mode mode = (enum json_mode)(data[0] / 3 % 3);
    struct json_fields f = {0};
    enum err e = json_to_fields(kind, bytes_of(data + 1, size - 1), mode, &f, &faults);
    require(e != ERR_INVALID || (faults.count > 0 && faults.count <= FAULTS_MAX));
    require(e != ERR_FORM || f.detail[0] != 0);
    for (size_t i = 0; e == ERR_INVALID && i < faults.count; i++)
        require(utf8_valid(bytes_str(faults.list[i].pointer)) && utf8_valid(bytes_str(faults.list[i].detail)));
    if (e == ERR_OK) {
        check_fields(kind, &f);
        if (mode == JSON_PUT)
            check_line(kind, &f);
        if (f.name.p != NULL)
            check_shown(kind, &f);
    }
    if (e == ERR_OK && mode == JSON_PATCH) {
        struct json_fields merged = {0};
        struct bytes text = {data + 1, size - 1};
        e = json_patch_shown(kind, text, text, &merged, &faults);
        require(e == ERR_OK || e == ERR_INVALID); /* it was JSON; merging may deepen it */
        if (e == ERR_OK)
            check_fields(kind, &merged);
        json_fields_close(&merged);
    }
    json_fields_close(&f);
    return 0;
}
