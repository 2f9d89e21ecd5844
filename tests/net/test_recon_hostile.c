/*
 * Reconciliation with a peer that lies or breaks the format: sums that are equal by design, frames that are malformed, too
 * long or too costly, and random ones. Each ends in a bounded answer or in a reason.
 */
#include "crdt/alloc.h"
#include "net/recon_frame.h"
#include "tests/lib/recon_pair.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void unhex(struct buf *out, const char *hex)
{
    size_t n = strlen(hex) / 2;
    buf_reset(out);
    cr_assert(hex_decode(buf_grow(out, n), n, bytes_str(hex)));
    out->n = n;
}

/* Two sets with one sum modulo 2^256: the published fingerprint takes them for equal, LtHash does not. */
Test(recon_hostile, equal_sums_of_ids_do_not_hide_a_difference)
{
    struct rng r;
    struct recon_pair s = recon_pair_new();
    struct item a[2], b[2];
    rng_seed(&r, 28);
    recon_pair_fill(&s, &r, 100);
    for (unsigned i = 0; i < 2; i++) {
        a[i] = b[i] = recon_pair_draw(&r, UINT64_C(1) << 57);
        a[i].id.b[31] = 100;
        b[i].id.b[31] = i == 0 ? 101 : 99;
        setindex_insert(s.client, &a[i]);
        setindex_insert(s.server, &b[i]);
    }
    cr_assert_eq(recon_pair_run(&s), RECON_DONE, "%s", s.why);
    cr_assert(recon_pair_found(&s, a, 2, b, 2));
    recon_pair_close(&s);

    struct recon client, server;
    struct recon_pair t = recon_pair_new();
    struct buf up = {0}, down = {0};
    struct recon_diff diff = {0};
    rng_seed(&r, 28);
    recon_pair_fill(&t, &r, 100);
    for (unsigned i = 0; i < 2; i++) {
        setindex_insert(t.client, &a[i]);
        setindex_insert(t.server, &b[i]);
    }
    struct recon_config cc = {.set = t.client, .mode = RECON_CONFORMANCE, .role = RECON_INITIATOR};
    struct recon_config sc = {.set = t.server, .mode = RECON_CONFORMANCE, .role = RECON_RESPONDER};
    recon_init(&client, &cc);
    recon_init(&server, &sc);
    recon_initiate(&client, &up);
    cr_assert_eq(recon_input(&server, buf_view(&up), &down, NULL), RECON_SEND);
    cr_assert_eq(recon_input(&client, buf_view(&down), &up, &diff), RECON_DONE);
    cr_assert_eq(diff.have_count + diff.need_count, 0);
    recon_close(&client);
    recon_close(&server);
    buf_close(&up);
    buf_close(&down);
    recon_pair_close(&t);
}

Test(recon_hostile, fingerprints_hang_on_the_session_key)
{
    struct rng r;
    struct recon_pair s = recon_pair_new();
    struct buf first = {0}, second = {0};
    rng_seed(&r, 29);
    recon_pair_fill(&s, &r, 200);
    for (uint8_t key = 0; key < 2; key++) {
        struct recon c;
        s.client_key = key;
        struct recon_config config = recon_pair_config(&s, RECON_INITIATOR);
        recon_init(&c, &config);
        recon_initiate(&c, key == 0 ? &first : &second);
        recon_close(&c);
    }
    cr_assert_eq(first.n, second.n);
    cr_assert_neq(memcmp(first.p, second.p, first.n), 0);
    s.client_key = 1;
    s.server_key = 2;
    cr_assert_eq(recon_pair_run(&s), RECON_DONE, "%s", s.why); /* every range seems to differ: lists settle it */
    cr_assert(recon_pair_found(&s, NULL, 0, NULL, 0));
    buf_close(&first);
    buf_close(&second);
    recon_pair_close(&s);
}

struct bad_frame {
    const char *hex, *why;
};

/* A production frame is 73, a varint bound (here 00 or 81..00), then ranges. */
static const struct bad_frame bad_frames[] = {
    {"", "a frame is empty"},
    {"61", "a frame has an unknown version byte"},
    {"74", "a frame has an unknown version byte"},
    {"73", "the frame ends within a varint"},
    {"7380", "a varint is longer than it need be"},
    {"738001", "a varint is longer than it need be"},
    {"7381", "the frame ends within a varint"},
    {"7382808080808080808000", "a varint is above 64 bits"},
    {"73ffffffffffffffffffffff7f", "a varint is above 64 bits"},
    {"730080", "a varint is longer than it need be"},
    {"730000", "the frame ends within a varint"},
    {"73000000", "the frame ends within a varint"},
    {"7300000003", "a range has an unknown mode"},
    {"730000008180808080808080807f", "a range has an unknown mode"},
    {"7300000001", "the frame ends within a range"},
    {"730000000100112233445566778899aabbccddee", "the frame ends within a range"},
    {"730000000201", "a list claims more ids than the frame holds"},
    {"730000000281ffffffffffffffff7f", "a list claims more ids than the frame holds"},
    {"7300000002848080808080808000", "a list claims more ids than the frame holds"}, /* 32 * n wraps to 0 */
    {"730005210000", "a bound's id is longer than allowed"},
    {"73000581ffffffffffffffff7f", "a bound's id is longer than allowed"},
    {"7300000100", "a bound's id is longer than allowed"}, /* infinity with an id */
    {"73000502ab", "the frame ends within a range"},
    {"7300010000", "bounds do not rise"},                    /* the empty range at zero */
    {"73000502ab00000100", "bounds do not rise"},            /* the same time, then a lower id */
    {"7300050000010000", "bounds do not rise"},              /* a bound twice */
    {"73000000000100", "a bound's time is above 64 bits"},   /* after infinity */
    {"730000000000000000", "bounds do not rise"},            /* infinity twice */
    {"730081ffffffffffffffff7f000081ffffffffffffffff7f0000", "a bound's time is above 64 bits"},
};

Test(recon_hostile, malformed_frames_are_refused_with_the_reason)
{
    struct rng r;
    struct recon_pair s = recon_pair_new();
    struct buf frame = {0}, out = {0};
    rng_seed(&r, 30);
    recon_pair_fill(&s, &r, 500);
    for (size_t i = 0; i < sizeof bad_frames / sizeof *bad_frames; i++) {
        const struct bad_frame *f = &bad_frames[i];
        for (int role = RECON_INITIATOR; role <= RECON_RESPONDER; role++) {
            struct recon_config config = recon_pair_config(&s, (enum recon_role)role);
            struct recon x;
            struct recon_diff diff = {0};
            unhex(&frame, f->hex);
            recon_init(&x, &config);
            cr_assert_eq(recon_input(&x, buf_view(&frame), &out, &diff), RECON_ERROR, "%s", f->hex);
            cr_assert_str_eq(x.why, f->why, "%s: %s", f->hex, x.why);
            recon_close(&x);
            recon_diff_close(&diff);
        }
    }
    buf_close(&frame);
    buf_close(&out);
    recon_pair_close(&s);
}

Test(recon_hostile, a_frame_over_the_limits_is_refused)
{
    struct rng r;
    struct recon_pair s = recon_pair_new();
    struct buf frame = {0}, out = {0};
    struct recon x;
    rng_seed(&r, 31);
    recon_pair_fill(&s, &r, 100);
    struct recon_config config = recon_pair_config(&s, RECON_RESPONDER);
    recon_init(&x, &config);
    buf_put(&frame, "\x73\0", 2);
    for (size_t i = 0; i < RECON_RANGES_MAX; i++)
        buf_put(&frame, "\x02\0\0", 3); /* one tick on, no id, skip */
    cr_assert_eq(recon_input(&x, buf_view(&frame), &out, NULL), RECON_SEND);
    buf_put(&frame, "\x02\0\0", 3);
    cr_assert_eq(recon_input(&x, buf_view(&frame), &out, NULL), RECON_ERROR);
    cr_assert_str_eq(x.why, "a frame has more ranges than allowed");
    memset(buf_grow(&frame, RECON_FRAME_MAX), 0, RECON_FRAME_MAX);
    frame.n = RECON_FRAME_MAX + 1;
    cr_assert_eq(recon_input(&x, buf_view(&frame), &out, NULL), RECON_ERROR);
    cr_assert_str_eq(x.why, "a frame is longer than allowed");
    recon_close(&x);
    buf_close(&frame);
    buf_close(&out);
    recon_pair_close(&s);
}

/* "I hold nothing at all", to a holder of many: what is reported for one frame stays within its bound. */
Test(recon_hostile, a_peer_that_claims_to_hold_nothing_gets_a_bounded_answer)
{
    struct rng r;
    struct recon_pair s = recon_pair_new();
    struct buf out = {0};
    struct recon x;
    struct recon_diff diff = {0};
    rng_seed(&r, 32);
    recon_pair_fill(&s, &r, 3 * RECON_HAVE_MAX);
    struct recon_config config = recon_pair_config(&s, RECON_INITIATOR);
    recon_init(&x, &config);
    static const uint8_t nothing[] = {0x73, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 2, 0};
    cr_assert_eq(recon_input(&x, bytes_of(nothing, sizeof nothing), &out, &diff), RECON_SEND);
    cr_assert_eq(diff.have_count, RECON_HAVE_MAX);
    cr_assert_lt(out.n, RECON_SLACK);
    recon_close(&x);
    recon_diff_close(&diff);
    buf_close(&out);
    recon_pair_close(&s);
}

/* Fingerprints that all differ, each cutting leaves in two; the frame would hold the whole answer (16 ranges for each),
 * but the work for one frame is bounded: the rest is closed with a single fingerprint. */
Test(recon_hostile, a_frame_of_many_false_fingerprints_is_answered_in_part)
{
    enum { N = 100000, RANGES = 150 };
    struct rng r;
    struct recon_pair s = recon_pair_new();
    struct buf frame = {0}, out = {0};
    struct recon x;
    uint64_t last = 0;
    rng_seed(&r, 33);
    recon_pair_fill(&s, &r, N);
    struct recon_config config = recon_pair_config(&s, RECON_RESPONDER);
    recon_init(&x, &config);
    buf_put(&frame, "\x73", 1);
    recon_put_varint(&frame, UINT64_MAX);
    for (uint64_t i = 1; i <= RANGES; i++) {
        struct recon_bound b = {.item = {.time = (UINT64_C(1) << 56) + (i * (N / RANGES) << 16)}};
        recon_put_bound(&frame, &last, &b);
        recon_put_varint(&frame, 1);
        buf_put(&frame, "0123456789abcdef", 16);
    }
    cr_assert_leq(frame.n, RECON_FRAME_MAX);
    cr_assert_eq(recon_input(&x, buf_view(&frame), &out, NULL), RECON_SEND);
    struct recon_reader in = {.p = out.p + 11, .left = out.n - 11};
    struct recon_bound b;
    size_t ranges = 0;
    uint64_t mode = 9;
    while (in.left > 0) {
        const uint8_t *skip;
        cr_assert(recon_read_bound(&in, &b) && recon_read_varint(&in, &mode), "%s", in.why);
        uint64_t n = 0;
        cr_assert(mode != 2 || recon_read_varint(&in, &n));
        cr_assert(recon_read_bytes(&in, mode == 1 ? 16 : (size_t)n * 32, &skip));
        ranges++;
    }
    cr_assert_eq(b.item.time, RECON_TIME_INFINITE);
    cr_assert_eq(mode, 1);
    cr_assert_leq(x.work, RECON_WORK_MAX + 512 * (RECON_BUCKETS + 2), "%zu ids expanded", x.work);
    cr_assert_geq(x.work, RECON_WORK_MAX, "%zu ids expanded", x.work);
    cr_assert_lt(out.n, RECON_FRAME_MAX - 2 * RECON_SLACK);
    cr_assert_lt(ranges, 16 * RANGES / 2, "%zu ranges", ranges);
    cr_assert_geq(ranges, 16 * RANGES / 10, "%zu ranges", ranges);
    recon_close(&x);
    buf_close(&frame);
    buf_close(&out);
    recon_pair_close(&s);
}

static void mutate(struct rng *r, struct buf *frame)
{
    for (uint64_t i = rng_below(r, 4); i > 0 && frame->n > 2; i--) {
        size_t at = 1 + (size_t)rng_below(r, frame->n - 1);
        switch (rng_below(r, 4)) {
        case 0: frame->p[at] = (uint8_t)rng_u64(r); break;
        case 1: frame->p[at] ^= (uint8_t)(1u << rng_below(r, 8)); break;
        case 2: frame->n = at + 1; break;
        default: buf_put(frame, frame->p + at, 1); break;
        }
    }
}

/* Real frames with bytes changed, and noise: an answer within the limit or a reason, in either role. */
Test(recon_hostile, random_frames_end_in_an_answer_or_a_reason)
{
    struct rng r;
    struct recon_pair s = recon_pair_new();
    struct buf frame = {0}, out = {0};
    struct recon_diff diff = {0};
    size_t refused = 0, answered = 0;
    rng_seed(&r, 34);
    recon_pair_fill(&s, &r, 900);
    for (unsigned i = 0; i < 20; i++) {
        struct item x = recon_pair_draw(&r, (UINT64_C(1) << 56) + (i << 19));
        setindex_insert(i % 2 ? s.client : s.server, &x);
    }
    s.limit = RECON_FRAME_MIN;
    s.span = 700;
    for (unsigned i = 0; i < 5000; i++) {
        struct recon x;
        s.mode = i / 16 % 2 == 0 ? RECON_PRODUCTION : RECON_AUDIT;
        struct recon_config config = recon_pair_config(&s, i % 2 ? RECON_INITIATOR : RECON_RESPONDER);
        config.set = i % 4 < 2 ? s.client : s.server;
        if (i % 16 == 0) { /* start from an honest frame now and then, else from the last answer */
            struct recon_config first = recon_pair_config(&s, RECON_INITIATOR);
            recon_init(&x, &first);
            recon_initiate(&x, &frame);
            recon_close(&x);
        } else if (i % 64 == 1) {
            frame.n = (size_t)rng_below(&r, 60);
            rng_bytes(&r, frame.p, frame.n);
            if (frame.n > 0)
                frame.p[0] = (uint8_t)s.mode;
        }
        mutate(&r, &frame);
        recon_init(&x, &config);
        recon_diff_reset(&diff);
        enum recon_status status = recon_input(&x, buf_view(&frame), &out, &diff);
        refused += status == RECON_ERROR;
        answered += status == RECON_SEND;
        cr_assert(status != RECON_ERROR || x.why != NULL);
        cr_assert(status == RECON_ERROR || out.n <= s.limit);
        cr_assert_leq(diff.have_count, RECON_HAVE_MAX);
        cr_assert_leq(diff.need_count, RECON_NEED_MAX);
        if (status == RECON_SEND) {
            buf_reset(&frame);
            buf_put_bytes(&frame, buf_view(&out));
        }
        recon_close(&x);
    }
    cr_assert_gt(refused, 300);
    cr_assert_gt(answered, 300);
    recon_diff_close(&diff);
    buf_close(&frame);
    buf_close(&out);
    recon_pair_close(&s);
}
