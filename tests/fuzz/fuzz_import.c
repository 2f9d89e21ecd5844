/* Any bytes, in chunks of any size, give rows that keep the rules, and an end. The first byte chooses the format, the second
 * the chunk. */
#include "node/import.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(const struct import_row *row)
{
    bool told = row->faults.count > 0;
    if (told == (row->verdict == IMPORT_ROW) || row->where[0] == 0 || row->line == 0)
        abort();
    if (row->verdict == IMPORT_ROW && !record_check(row->kind, row->fields, row->field_count, NULL))
        abort();
    if (row->verdict == IMPORT_ROW && !name_check(row->kind, row->name, NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct import_row row;
    if (size < 2)
        return 0;
    size_t chunk = (size_t)data[1] + 1, rows = 0;
    struct import *m = import_new((enum import_format)(data[0] % 3), data[0] & 64 ? kind_at(0) : NULL);
    struct bytes in = {data + 2, size - 2};
    for (size_t at = 0; at < in.n; at += chunk) {
        import_feed(m, bytes_of(in.p + at, in.n - at < chunk ? in.n - at : chunk));
        for (; import_next(m, &row); rows++)
            check_row(&row);
    }
    import_end(m);
    for (; import_next(m, &row); rows++)
        check_row(&row);
    if (rows > in.n + 1 || import_next(m, &row) || import_used(m) > in.n)
        abort();
    import_free(m);
    return 0;
}
