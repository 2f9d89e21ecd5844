/*
 * Messages: every one round-trips, and whatever is cut, longer or over a bound is refused.
 */
#include "net/wire.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint8_t some_items[2 * WIRE_ITEM_BYTES] = {9, 8, 7, 6, 5, 4, 3, 2, 1};

static struct wire_message full(enum wire_type type)
{
    static struct id ids[3];
    static const char name[] = "lab";
    struct wire_message m = {.type = type, .token = 0x0102030405060708u, .clock_ms = 1700000000000u};
    m.reason = REASON_SLOW;
    m.text = bytes_str("why");
    m.flags = WIRE_DELTA_ANSWER;
    m.id = gen_id(3);
    m.items = some_items;
    m.ids = ids;
    m.count = type == WIRE_IHAVE ? 2 : 3;
    m.prune = WIRE_PRUNE_MINE;
    m.seconds = 60;
    m.session = 42;
    m.reply = true;
    m.hello = (struct wire_hello){.version = 1, .features = 6, .has_founder = true, .founder = {{1}},
                                  .mesh_name = bytes_str(name), .address = bytes_str("h:1"), .digest = gen_id(4),
                                  .count = 5, .clock_ms = 6, .kind_count = 2, .kinds = {7, 8}};
    m.peers.count = 2;
    for (size_t i = 0; i < 2; i++)
        m.peers.list[i] = (struct wire_peer){.key = {{(uint8_t)i}}, .address = bytes_str("10.0.0.1:7000")};
    if (type == WIRE_DELTA || type == WIRE_RECON || type == WIRE_HINT || type == WIRE_CALL || type == WIRE_JOIN)
        m.body = bytes_str("body");
    return m;
}

static void encode(const struct wire_message *m, struct buf *out)
{
    wire_encode_head(m, out);
    buf_put_bytes(out, m->body);
}

Test(wire, every_message_survives_encoding)
{
    for (int type = 1; type < WIRE_TYPE_END; type++) {
        struct wire_message m = full((enum wire_type)type), back;
        struct buf one = {0}, two = {0};
        encode(&m, &one);
        cr_assert(wire_decode(buf_view(&one), &back), "%s", wire_desc((uint8_t)type)->name);
        cr_assert_eq(back.type, m.type);
        encode(&back, &two);
        cr_assert(bytes_eq(buf_view(&one), buf_view(&two)), "%s", wire_desc((uint8_t)type)->name);
        buf_close(&one);
        buf_close(&two);
    }
}

Test(wire, hello_carries_everything)
{
    struct wire_message m = full(WIRE_HELLO), back;
    struct buf b = {0};
    encode(&m, &b);
    cr_assert(wire_decode(buf_view(&b), &back));
    cr_assert_eq(back.hello.version, 1);
    cr_assert_eq(back.hello.features, 6);
    cr_assert(back.hello.has_founder && back.hello.founder.b[0] == 1);
    cr_assert(bytes_eq(back.hello.mesh_name, bytes_str("lab")));
    cr_assert(bytes_eq(back.hello.address, bytes_str("h:1")));
    cr_assert(id_eq(&back.hello.digest, &m.hello.digest));
    cr_assert_eq(back.hello.count, 5);
    cr_assert_eq(back.hello.clock_ms, 6);
    cr_assert_eq(back.hello.kind_count, 2);
    cr_assert_eq(back.hello.kinds[1], 8);
    buf_close(&b);
}

/* The five that end in free bytes may be cut within those. */
static bool open_ended(int type)
{
    return type == WIRE_DELTA || type == WIRE_RECON || type == WIRE_HINT || type == WIRE_CALL || type == WIRE_JOIN;
}

Test(wire, a_cut_or_longer_message_is_refused)
{
    struct wire_message back;
    for (int type = 1; type < WIRE_TYPE_END; type++) {
        struct wire_message m = full((enum wire_type)type);
        struct buf b = {0};
        encode(&m, &b);
        size_t must = open_ended(type) ? b.n - m.body.n : b.n;
        if (type == WIRE_DELTA || type == WIRE_RECON)
            must++; /* not empty */
        for (size_t n = 0; n < must; n++)
            cr_assert_not(wire_decode(bytes_of(b.p, n), &back), "%s cut at %zu", wire_desc((uint8_t)type)->name, n);
        buf_put_u8(&b, 0);
        if (!open_ended(type))
            cr_assert_not(wire_decode(buf_view(&b), &back), "%s with a byte more", wire_desc((uint8_t)type)->name);
        buf_close(&b);
    }
}

Test(wire, the_bound_of_each_type_holds_and_unknown_types_have_none)
{
    struct wire_message back;
    for (int type = 0; type < 256; type++) {
        struct buf b = {0};
        size_t max = wire_limit((uint8_t)type);
        cr_assert_eq(max == 0, type == 0 || type >= WIRE_TYPE_END);
        buf_put_u8(&b, (uint8_t)type);
        memset(buf_grow(&b, max + 1), 0x41, max + 1);
        b.n += max;
        cr_assert_not(wire_decode(buf_view(&b), &back), "type %d", type);
        buf_close(&b);
    }
}

Test(wire, counts_and_texts_out_of_bounds_are_refused)
{
    struct wire_message m, back;
    struct buf b = {0};
    m = full(WIRE_IWANT);
    encode(&m, &b);
    b.p[1] = 0, b.p[2] = 0; /* no ids */
    cr_assert_not(wire_decode(bytes_of(b.p, 3), &back));
    b.p[1] = 0xff, b.p[2] = 0xff; /* a count that the bytes do not hold */
    cr_assert_not(wire_decode(buf_view(&b), &back));
    buf_reset(&b);
    m = full(WIRE_PEERS);
    encode(&m, &b);
    b.p[1] = 33;
    cr_assert_not(wire_decode(buf_view(&b), &back));
    b.p[1] = 2;
    b.p[1 + 1 + 32 + 1] = ' '; /* an address with a blank */
    cr_assert_not(wire_decode(buf_view(&b), &back));
    buf_reset(&b);
    m = full(WIRE_CLOSE);
    m.text = bytes_str("\xff");
    encode(&m, &b);
    cr_assert_not(wire_decode(buf_view(&b), &back), "text that is not UTF-8");
    buf_reset(&b);
    m = full(WIRE_DELTA);
    m.flags = 2;
    encode(&m, &b);
    cr_assert_not(wire_decode(buf_view(&b), &back), "an unknown flag");
    buf_reset(&b);
    m = full(WIRE_HELLO);
    m.hello.version = 0;
    encode(&m, &b);
    cr_assert_not(wire_decode(buf_view(&b), &back), "version 0");
    buf_close(&b);
}

Test(wire, items_are_big_endian)
{
    struct buf b = {0};
    struct item in = {.time = 0x0102030405060708u, .id = gen_id(9)};
    wire_put_item(&b, &in);
    cr_assert_eq(b.n, WIRE_ITEM_BYTES);
    cr_assert_eq(b.p[0], 1);
    cr_assert_eq(b.p[7], 8);
    struct item back = wire_item(b.p, 0);
    cr_assert_eq(item_cmp(&in, &back), 0);
    buf_close(&b);
}

Test(wire, every_reason_has_a_text)
{
    for (int r = 0; r < REASON_END; r++)
        cr_assert_not_null(wire_reason_text((enum wire_reason)r), "%d", r);
    cr_assert_str_eq(wire_reason_text((enum wire_reason)200), "an unknown reason");
}
