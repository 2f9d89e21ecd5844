/* Any canonical map of fields, as a hostile writer may store it, is shown as JSON that parses, without a member twice; the
 * first byte chooses the kind. */
#include "crdt/record.h"

#include "crdt/alloc.h"
#include "crdt/codec.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* jansson takes no U+0000 and no integer over 2^63-1: values that JSON can carry and it cannot. */
static bool parser_can_read(struct bytes text)
{
    json_error_t error;
    json_t *tree = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    json_decref(tree);
    if (tree != NULL || json_error_code(&error) == json_error_numeric_overflow)
        return true;
    return json_error_code(&error) == json_error_null_byte_in_key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mp_reader r;
    struct merged record = {0};
    struct bytes last = {0};
    struct buf out = {0};
    struct faults faults = {0};
    struct record_meta meta = {.name = bytes_str("n")};
    if (size == 0 || !mp_canonical(bytes_of(data + 1, size - 1)))
        return 0;
    const struct kind_desc *kind = kind_at(data[0] % 6);
    mp_reader_init(&r, bytes_of(data + 1, size - 1));
    if (mp_peek(&r) != MP_MAP)
        return 0;
    size_t n = mp_map(&r);
    record.fields = mem_calloc(n + 1, sizeof *record.fields);
    for (; n > 0 && record.field_count < MODEL_FIELDS_MAX; n--) {
        struct field *f = &record.fields[record.field_count++].field;
        f->name = mp_key(&r, &last);
        f->value = mp_value(&r, 3);
        const struct field_desc *d = field_by_name(kind->fields, f->name);
        if (d != NULL && !field_check(d, "/x", f->value, &faults) && faults.count == 0)
            abort();
    }
    if (!r.bad) { /* nested deeper than a body allows otherwise */
        record_json(kind, &record, &meta, &out);
        if (!parser_can_read(buf_view(&out)))
            abort();
    }
    free(record.fields);
    buf_close(&out);
    return 0;
}
