/*
 * One connection at a time: the handshake bit by bit, versions, meshes, proofs, the table of states, rekeying.
 */
#include "net/conn.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <string.h>

struct ends {
    struct conn_identity self[2];
    struct conn c[2]; /* 0 dialed */
};

static void identity(struct conn_identity *s, uint64_t number)
{
    struct gen_author a;
    gen_author(&a, number);
    *s = (struct conn_identity){.mesh = gen_id(1), .key = a.key, .version_min = 1, .version_max = 1};
    memcpy(s->secret, a.secret, 64);
    memset(s->static_secret, (int)number, 32);
}

static void start(struct ends *e)
{
    uint8_t ephemeral[2][32];
    memset(ephemeral[0], 5, 32);
    memset(ephemeral[1], 6, 32);
    conn_init(&e->c[0], &e->self[0], NOISE_INITIATOR, ephemeral[0]);
    conn_init(&e->c[1], &e->self[1], NOISE_RESPONDER, ephemeral[1]);
}

static void begin(struct ends *e)
{
    memset(e, 0, sizeof *e);
    identity(&e->self[0], 11);
    identity(&e->self[1], 22);
    start(e);
}

static void end(struct ends *e)
{
    conn_free(&e->c[0]);
    conn_free(&e->c[1]);
}

/* Moves what `from` has to send to the other end and lets it read until it has nothing, fails or has a message. */
static enum conn_result carry(struct ends *e, size_t from, struct wire_message *m)
{
    struct conn *to = &e->c[1 - from];
    conn_feed(to, buf_view(&e->c[from].out));
    buf_reset(&e->c[from].out);
    enum conn_result r = conn_next(to, m);
    if (r == CONN_ASK) {
        conn_accept(to);
        r = to->state == CONN_CLOSED ? CONN_FAILED : conn_next(to, m);
    }
    return r;
}

/* Runs the handshake until message k (0..2) waits in c[k % 2].out. */
static void run_to(struct ends *e, unsigned k)
{
    struct wire_message m;
    begin(e);
    for (unsigned i = 0; i < k; i++)
        cr_assert_eq(carry(e, i % 2, &m), CONN_NOTHING);
}

static void shake(struct ends *e)
{
    struct wire_message m;
    run_to(e, 2);
    cr_assert_eq(carry(e, 0, &m), CONN_NOTHING);
    cr_assert_eq(e->c[0].state, CONN_HELLO);
    cr_assert_eq(e->c[1].state, CONN_HELLO);
}

static void send_hello(struct conn *c)
{
    struct wire_message m = {.type = WIRE_HELLO, .hello = {.version = 1, .address = bytes_str("h:1")}};
    (void)conn_send(c, &m);
}

static void go_up(struct ends *e)
{
    struct wire_message m;
    shake(e);
    for (size_t i = 0; i < 2; i++) {
        send_hello(&e->c[i]);
        cr_assert_eq(carry(e, i, &m), CONN_GOT);
        cr_assert_eq(m.type, WIRE_HELLO);
        conn_up(&e->c[1 - i]);
    }
}

Test(conn, both_ends_prove_themselves_and_agree)
{
    struct ends e;
    shake(&e);
    cr_assert(key_eq(&e.c[0].remote, &e.self[1].key));
    cr_assert(key_eq(&e.c[1].remote, &e.self[0].key));
    cr_assert(id_eq(&e.c[0].channel, &e.c[1].channel));
    cr_assert_eq(e.c[0].version, 1);
    cr_assert_eq(e.c[1].version, 1);
    end(&e);
}

Test(conn, message_sizes_are_those_of_the_protocol)
{
    struct ends e;
    static const size_t size[3] = {CONN_MESSAGE_1_BYTES, CONN_MESSAGE_2_BYTES, CONN_MESSAGE_3_BYTES};
    for (unsigned k = 0; k < 3; k++) {
        run_to(&e, k);
        cr_assert_eq(e.c[k % 2].out.n, 2 + size[k], "message %u", k + 1);
        end(&e);
    }
}

/* A flipped bit in a length may only make the reader wait for more; the deadline ends that. */
Test(conn, a_flipped_bit_in_any_handshake_message_never_opens_a_session)
{
    struct ends e;
    struct wire_message m;
    for (unsigned k = 0; k < 3; k++) {
        run_to(&e, k);
        size_t bits = 8 * e.c[k % 2].out.n;
        end(&e);
        for (size_t bit = 0; bit < bits; bit++) {
            run_to(&e, k);
            e.c[k % 2].out.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
            enum conn_result r = carry(&e, k % 2, &m);
            if (k == 0 && e.c[1].out.n > 0) /* the greeting is checked by the transcript, at the latest in message 2 */
                r = carry(&e, 1, &m);
            bool waits = r == CONN_NOTHING && bit < 16 && e.c[1 - k % 2].state != CONN_HELLO;
            cr_assert(r == CONN_FAILED || waits, "message %u bit %zu", k + 1, bit);
            cr_assert(e.c[0].state != CONN_UP && e.c[1].state != CONN_UP);
            cr_assert(!(e.c[0].state == CONN_HELLO && e.c[1].state == CONN_HELLO), "message %u bit %zu", k + 1, bit);
            end(&e);
        }
    }
}

Test(conn, a_cut_handshake_message_waits_and_opens_nothing)
{
    struct ends e;
    struct wire_message m;
    for (unsigned k = 0; k < 3; k++) {
        run_to(&e, k);
        size_t n = e.c[k % 2].out.n;
        end(&e);
        for (size_t cut = 0; cut < n; cut++) {
            run_to(&e, k);
            enum conn_state before = e.c[1 - k % 2].state;
            e.c[k % 2].out.n = cut;
            cr_assert_eq(carry(&e, k % 2, &m), CONN_NOTHING, "message %u cut at %zu", k + 1, cut);
            cr_assert_eq(e.c[1 - k % 2].state, before);
            cr_assert_eq(frame_in_partial(&e.c[1 - k % 2].in), cut > 0);
            end(&e);
        }
    }
}

Test(conn, an_oversize_record_is_refused_by_its_length)
{
    struct ends e;
    struct wire_message m;
    static const size_t size[3] = {CONN_MESSAGE_1_BYTES, CONN_MESSAGE_2_BYTES, CONN_MESSAGE_3_BYTES};
    for (unsigned k = 0; k < 3; k++) {
        run_to(&e, k);
        struct conn *to = &e.c[1 - k % 2];
        uint8_t head[2];
        put_be(head, size[k] + 1, 2);
        conn_feed(to, bytes_of(head, 2));
        cr_assert_eq(conn_next(to, &m), CONN_FAILED);
        cr_assert_eq(to->reason, REASON_LIMIT);
        end(&e);
    }
}

Test(conn, another_mesh_is_named_on_both_sides)
{
    struct ends e;
    struct wire_message m;
    begin(&e);
    end(&e);
    e.self[1].mesh = gen_id(2);
    start(&e);
    cr_assert_eq(carry(&e, 0, &m), CONN_FAILED);
    cr_assert_eq(e.c[1].reason, REASON_MESH);
    cr_assert_not_null(strstr(e.c[1].detail, "another mesh"));
    cr_assert_eq(e.c[1].out.n, 2 + CONN_REFUSAL_BYTES);
    cr_assert_eq(carry(&e, 1, &m), CONN_FAILED);
    cr_assert_eq(e.c[0].reason, REASON_MESH);
    cr_assert_not_null(strstr(e.c[0].detail, "another mesh"));
    end(&e);
}

Test(conn, without_a_common_version_both_sides_name_both)
{
    struct ends e;
    struct wire_message m;
    begin(&e);
    end(&e);
    e.self[1].version_min = 3;
    e.self[1].version_max = 4;
    start(&e);
    cr_assert_eq(carry(&e, 0, &m), CONN_FAILED);
    cr_assert_eq(e.c[1].reason, REASON_VERSION);
    cr_assert_not_null(strstr(e.c[1].detail, "versions 1 to 1, this node 3 to 4"), "%s", e.c[1].detail);
    cr_assert_eq(carry(&e, 1, &m), CONN_FAILED);
    cr_assert_eq(e.c[0].reason, REASON_VERSION);
    cr_assert_not_null(strstr(e.c[0].detail, "versions 3 to 4, this node 1 to 1"), "%s", e.c[0].detail);
    end(&e);
}

Test(conn, the_greatest_common_version_is_chosen)
{
    struct ends e;
    struct wire_message m;
    begin(&e);
    end(&e);
    e.self[0].version_max = 5;
    e.self[1].version_max = 3;
    start(&e);
    cr_assert_eq(carry(&e, 0, &m), CONN_NOTHING);
    cr_assert_eq(carry(&e, 1, &m), CONN_NOTHING);
    cr_assert_eq(e.c[0].version, 3);
    cr_assert_eq(e.c[1].version, 3);
    end(&e);
}

Test(conn, a_forged_refusal_without_cause_ends_only_this_connection)
{
    struct ends e;
    struct wire_message m;
    run_to(&e, 1);
    uint8_t record[2 + CONN_REFUSAL_BYTES] = {0, CONN_REFUSAL_BYTES, 's', 'o', 'u', 'k', REASON_MESH, 0, 1, 0, 1};
    conn_mesh_hint(record + 11, &e.self[0].mesh);
    conn_feed(&e.c[0], bytes_of(record, sizeof record));
    cr_assert_eq(conn_next(&e.c[0], &m), CONN_FAILED);
    cr_assert_eq(e.c[0].reason, REASON_PROTOCOL);
    end(&e);
}

Test(conn, a_proof_by_another_key_is_refused)
{
    struct ends e;
    struct wire_message m;
    struct gen_author other;
    gen_author(&other, 33);
    for (size_t liar = 0; liar < 2; liar++) {
        begin(&e);
        end(&e);
        memcpy(e.self[liar].secret, other.secret, 64); /* claims the key, signs with another */
        start(&e);
        enum conn_result r = carry(&e, 0, &m);
        if (r == CONN_NOTHING)
            r = carry(&e, 1, &m);
        if (liar == 0 && r == CONN_NOTHING)
            r = carry(&e, 0, &m);
        cr_assert_eq(r, CONN_FAILED);
        cr_assert_eq(e.c[1 - liar].reason, REASON_IDENTITY);
        end(&e);
    }
}

/* The responder's own proof sent back by an initiator names the wrong role and the wrong static key. */
Test(conn, a_proof_is_good_for_one_role_and_one_static_key)
{
    struct ends e;
    struct wire_message m;
    begin(&e);
    end(&e);
    e.self[0].key = e.self[1].key; /* claims to be the responder, without its secret */
    start(&e);
    cr_assert_eq(carry(&e, 0, &m), CONN_NOTHING);
    cr_assert_eq(carry(&e, 1, &m), CONN_NOTHING);
    cr_assert_eq(carry(&e, 0, &m), CONN_FAILED);
    cr_assert_eq(e.c[1].reason, REASON_IDENTITY);
    end(&e);
}

Test(conn, a_handshake_cannot_be_replayed)
{
    struct ends e, again;
    struct wire_message m;
    run_to(&e, 2);
    struct buf third = {0};
    buf_put_bytes(&third, buf_view(&e.c[0].out));
    end(&e);
    run_to(&again, 2);
    uint8_t ephemeral[32] = {77};
    conn_free(&again.c[1]);
    conn_init(&again.c[1], &again.self[1], NOISE_RESPONDER, ephemeral);
    buf_reset(&again.c[0].out);
    struct ends first;
    run_to(&first, 0);
    conn_feed(&again.c[1], buf_view(&first.c[0].out));
    cr_assert_eq(conn_next(&again.c[1], &m), CONN_NOTHING);
    conn_feed(&again.c[1], buf_view(&third));
    cr_assert_eq(conn_next(&again.c[1], &m), CONN_FAILED);
    cr_assert_eq(again.c[1].reason, REASON_CRYPTO);
    end(&first);
    end(&again);
    buf_close(&third);
}

/* ---- the session ------------------------------------------------------------------------------------------------------- */

/* One message of each type, as it may stand on the wire. */
static void sample(enum wire_type type, struct buf *out)
{
    static const uint8_t items[WIRE_ITEM_BYTES] = {1};
    static const struct id id = {{2}};
    struct wire_message m = {.type = type, .items = items, .ids = &id, .count = 1, .body = bytes_str("x")};
    if (type == WIRE_HELLO)
        m.hello.version = 1;
    if (type != WIRE_DELTA && type != WIRE_RECON && type != WIRE_HINT && type != WIRE_CALL)
        m.body = bytes_of(NULL, 0);
    wire_encode_head(&m, out);
    buf_put_bytes(out, m.body);
}

Test(conn, every_message_is_judged_by_the_state_table)
{
    struct ends e;
    struct wire_message m;
    for (int up = 0; up < 2; up++) {
        for (int type = 0; type < 256; type++) {
            struct buf bytes = {0};
            if (up == 1)
                go_up(&e);
            else
                shake(&e);
            const struct wire_desc *d = wire_desc((uint8_t)type);
            if (d != NULL)
                sample((enum wire_type)type, &bytes);
            else
                buf_put_u8(&bytes, (uint8_t)type);
            frame_out_message(&e.c[0].seal, buf_view(&bytes), bytes_of(NULL, 0), &e.c[0].out);
            bool legal = d != NULL && (d->when & (up == 1 ? WIRE_AT_UP : WIRE_AT_HELLO)) != 0;
            enum conn_result r = carry(&e, 0, &m);
            cr_assert_eq(r, legal ? CONN_GOT : CONN_FAILED, "type %d in %s", type, up == 1 ? "UP" : "HELLO");
            if (!legal) {
                cr_assert(e.c[1].reason == REASON_PROTOCOL || e.c[1].reason == REASON_LIMIT);
                cr_assert_eq(carry(&e, 1, &m), CONN_GOT, "the other side is told why");
                cr_assert_eq(m.type, WIRE_CLOSE);
            }
            buf_close(&bytes);
            end(&e);
        }
    }
}

Test(conn, a_flipped_bit_in_a_sealed_record_ends_the_connection)
{
    struct ends e;
    struct wire_message m;
    for (size_t byte = 2; byte < 36; byte++) {
        go_up(&e);
        (void)conn_send(&e.c[0], &(struct wire_message){.type = WIRE_PING, .token = 9});
        cr_assert_eq(e.c[0].out.n, 2 + 17 + 1 + 16);
        e.c[0].out.p[byte] ^= 0x40;
        cr_assert_eq(carry(&e, 0, &m), CONN_FAILED);
        cr_assert_eq(e.c[1].reason, REASON_CRYPTO);
        end(&e);
    }
}

Test(conn, a_replayed_or_reordered_record_ends_the_connection)
{
    struct ends e;
    struct wire_message m;
    go_up(&e);
    (void)conn_send(&e.c[0], &(struct wire_message){.type = WIRE_PING, .token = 9});
    conn_feed(&e.c[1], buf_view(&e.c[0].out));
    cr_assert_eq(conn_next(&e.c[1], &m), CONN_GOT);
    conn_feed(&e.c[1], buf_view(&e.c[0].out));
    cr_assert_eq(conn_next(&e.c[1], &m), CONN_FAILED);
    cr_assert_eq(e.c[1].reason, REASON_CRYPTO);
    end(&e);
    go_up(&e);
    (void)conn_send(&e.c[0], &(struct wire_message){.type = WIRE_PING, .token = 1});
    size_t n = e.c[0].out.n;
    (void)conn_send(&e.c[0], &(struct wire_message){.type = WIRE_PING, .token = 2});
    conn_feed(&e.c[1], bytes_of(e.c[0].out.p + n, e.c[0].out.n - n));
    cr_assert_eq(conn_next(&e.c[1], &m), CONN_FAILED);
    end(&e);
}

Test(conn, garbage_in_any_state_is_refused_with_bounded_memory)
{
    struct wire_message m;
    struct rng rng;
    rng_seed(&rng, 7);
    for (unsigned round = 0; round < 300; round++) {
        struct ends e;
        uint8_t junk[3000];
        if (round % 5 < 3)
            run_to(&e, round % 5);
        else if (round % 5 == 3)
            shake(&e);
        else
            go_up(&e);
        struct conn *to = &e.c[round % 5 < 3 ? 1 - round % 5 % 2 : round % 2];
        for (unsigned i = 0; i < 100 && to->state != CONN_CLOSED; i++) {
            rng_bytes(&rng, junk, sizeof junk);
            conn_feed(to, bytes_of(junk, sizeof junk));
            enum conn_result r = conn_next(to, &m);
            cr_assert(r == CONN_FAILED || r == CONN_NOTHING);
            cr_assert_lt(to->in.raw.n, 2 * NOISE_RECORD_MAX);
        }
        cr_assert_eq(to->state, CONN_CLOSED, "round %u", round);
        end(&e);
    }
}

Test(conn, both_ends_rekey_after_2_20_records_and_after_1_gib)
{
    struct ends e;
    struct wire_message m;
    for (int kind = 0; kind < 2; kind++) {
        go_up(&e);
        for (size_t i = 0; i < 2; i++) { /* stand just below the bound on both ends */
            struct frame_seal *s = i == 0 ? &e.c[0].seal : &e.c[1].in.seal;
            if (kind == 0)
                s->records = FRAME_REKEY_RECORDS - 2;
            else
                s->bytes = FRAME_REKEY_BYTES - 40;
        }
        struct noise_cipher before = e.c[0].seal.cipher;
        for (uint64_t token = 1; token <= 4; token++) {
            (void)conn_send(&e.c[0], &(struct wire_message){.type = WIRE_PING, .token = token});
            bool changed = memcmp(before.key, e.c[0].seal.cipher.key, 32) != 0;
            cr_assert_eq(changed, token >= 2, "token %llu", (unsigned long long)token);
            cr_assert_eq(carry(&e, 0, &m), CONN_GOT);
            cr_assert_eq(m.token, token);
        }
        end(&e);
    }
}

Test(conn, a_large_message_travels_in_parts)
{
    struct ends e;
    struct wire_message m;
    struct buf body = {0};
    struct id id = gen_id(5);
    memset(buf_grow(&body, BUNDLE_MAX), 'b', BUNDLE_MAX);
    body.n = BUNDLE_MAX;
    go_up(&e);
    (void)conn_send(&e.c[0], &(struct wire_message){.type = WIRE_DELTA, .id = id, .body = buf_view(&body)});
    cr_assert_gt(e.c[0].out.n, 16 * 65535);
    enum conn_result r = CONN_NOTHING;
    for (size_t at = 0; at < e.c[0].out.n; at += 999) {
        size_t n = e.c[0].out.n - at < 999 ? e.c[0].out.n - at : 999;
        cr_assert_eq(r, CONN_NOTHING);
        conn_feed(&e.c[1], bytes_of(e.c[0].out.p + at, n));
        r = conn_next(&e.c[1], &m);
    }
    cr_assert_eq(r, CONN_GOT);
    cr_assert(bytes_eq(m.body, buf_view(&body)));
    cr_assert(id_eq(&m.id, &id));
    end(&e);
    buf_close(&body);
}

Test(conn, a_message_over_its_bound_is_cut_off_at_the_first_part_too_many)
{
    struct ends e;
    struct wire_message m;
    struct buf body = {0};
    go_up(&e);
    buf_put_u8(&body, WIRE_HINT);
    memset(buf_grow(&body, 200000), 'h', 200000);
    body.n = 200000;
    frame_out_message(&e.c[0].seal, buf_view(&body), bytes_of(NULL, 0), &e.c[0].out);
    e.c[0].out.n = 2 + NOISE_RECORD_MAX; /* the first record is enough */
    cr_assert_eq(carry(&e, 0, &m), CONN_FAILED);
    cr_assert_eq(e.c[1].reason, REASON_LIMIT);
    end(&e);
    buf_close(&body);
}
