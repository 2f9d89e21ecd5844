/* Decode and encode again (see recode.h). */
#include "tests/lib/recode.h"

static void recode_number(struct buf *out, struct mp_reader *r)
{
    enum mp_type type = mp_peek(r);
    if (type == MP_UINT)
        mp_put_uint(out, mp_uint(r));
    else if (type == MP_INT)
        mp_put_int(out, mp_int(r));
    else
        mp_put_float(out, mp_float(r));
}

void recode_value(struct buf *out, struct mp_reader *r)
{
    size_t n;
    switch (mp_peek(r)) {
    case MP_NONE: mp_fail(r); return;
    case MP_NIL: mp_nil(r); mp_put_nil(out); return;
    case MP_BOOL: mp_put_bool(out, mp_bool(r)); return;
    case MP_UINT:
    case MP_INT:
    case MP_FLOAT: recode_number(out, r); return;
    case MP_STR: mp_put_str(out, mp_str(r)); return;
    case MP_BIN: mp_put_bin(out, mp_bin(r)); return;
    case MP_ARRAY:
        n = mp_array(r);
        mp_put_array(out, n);
        for (; n > 0 && !r->bad; n--)
            recode_value(out, r);
        return;
    case MP_MAP:
        n = mp_map(r);
        mp_put_map(out, n);
        for (; n > 0 && !r->bad; n--) {
            mp_put_str(out, mp_str(r));
            recode_value(out, r);
        }
        return;
    }
}

bool recode_same(struct bytes x)
{
    struct mp_reader r;
    struct buf out = {0};
    mp_reader_init(&r, x);
    recode_value(&out, &r);
    bool same = mp_done(&r) && bytes_eq(x, buf_view(&out));
    buf_close(&out);
    return same;
}
