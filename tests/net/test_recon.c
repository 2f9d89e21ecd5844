/*
 * Reconciliation: byte for byte against recorded transcripts of Negentropy v1 in both roles, then the production form:
 * random pairs of sets give exactly the two differences, time bounds, cost in bytes and rounds, hostile frames. The
 * transcripts are read from $SOUK_SHARED/vectors and the test is skipped where they are absent.
 */
#include "net/recon.h"

#include "crdt/alloc.h"
#include "crdt/rng.h"
#include "net/recon_frame.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 5000

/* ---- a session over two indexes ----------------------------------------------------------------------------- */

struct session {
    struct setindex *client, *server;
    uint64_t client_bound, server_bound;
    size_t limit;
    uint8_t client_key, server_key;
    enum recon_guess guess;
    /* results */
    struct recon_diff diff;
    size_t rounds, bytes, most_have;
};

static struct recon_config config_of(const struct session *s, enum recon_role role)
{
    bool client = role == RECON_INITIATOR;
    struct recon_config c = {
        .set = client ? s->client : s->server,
        .mode = RECON_PRODUCTION,
        .role = role,
        .guess = s->guess,
        .key = {client ? s->client_key : s->server_key},
        .bound = client ? s->client_bound : s->server_bound,
        .frame_limit = s->limit,
    };
    return c;
}

/* Runs to the end; every frame of the server is answered by a fresh responder, since it keeps no state. */
static enum recon_status session_run(struct session *s)
{
    struct recon client;
    struct recon_config c = config_of(s, RECON_INITIATOR);
    struct buf up = {0}, down = {0};
    enum recon_status status = RECON_SEND;
    recon_init(&client, &c);
    recon_initiate(&client, &up);
    while (status == RECON_SEND) {
        struct recon server;
        struct recon_config sc = config_of(s, RECON_RESPONDER);
        cr_assert_leq(up.n, s->limit);
        recon_init(&server, &sc);
        cr_assert_eq(recon_input(&server, buf_view(&up), &down, NULL), RECON_SEND, "server: %s", server.why);
        recon_close(&server);
        cr_assert_leq(down.n, s->limit);
        s->bytes += up.n + down.n;
        s->rounds++;
        cr_assert_lt(s->rounds, ROUNDS_MAX);
        size_t before = s->diff.have_count;
        status = recon_input(&client, buf_view(&down), &up, &s->diff);
        cr_assert_neq(status, RECON_ERROR, "client: %s", client.why);
        size_t have = s->diff.have_count - before;
        s->most_have = have > s->most_have ? have : s->most_have;
    }
    recon_close(&client);
    buf_close(&up);
    buf_close(&down);
    return status;
}

static struct session session_new(void)
{
    struct session s = {.client = setindex_new(), .server = setindex_new(), .limit = RECON_FRAME_MAX};
    s.client_bound = s.server_bound = UINT64_MAX;
    return s;
}

static void session_close(struct session *s)
{
    setindex_free(s->client);
    setindex_free(s->server);
    recon_diff_close(&s->diff);
}

static struct item draw(struct rng *r, uint64_t time)
{
    struct item x = {.time = time};
    rng_bytes(r, x.id.b, ID_BYTES);
    return x;
}

static int order_ids(const void *a, const void *b)
{
    return memcmp(a, b, ID_BYTES);
}

static int order_items(const void *a, const void *b)
{
    return item_cmp(a, b);
}

static size_t unique(void *p, size_t n, size_t size, int (*order)(const void *, const void *))
{
    char *base = p;
    size_t kept = 0;
    if (n > 0)
        qsort(p, n, size, order);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || order(base + i * size, base + (kept - 1) * size) != 0)
            memmove(base + kept++ * size, base + i * size, size);
    return kept;
}

/* Is the diff exactly what `only_client` and `only_server` say? */
static void expect_diff(struct session *s, struct item *only_client, size_t nc, struct item *only_server, size_t ns)
{
    size_t have = unique(s->diff.have, s->diff.have_count, sizeof *s->diff.have, order_items);
    size_t need = unique(s->diff.need, s->diff.need_count, sizeof *s->diff.need, order_ids);
    cr_assert_eq(have, nc, "have %zu of %zu", have, nc);
    cr_assert_eq(need, ns, "need %zu of %zu", need, ns);
    struct id *expected = mem_calloc(ns, sizeof *expected);
    for (size_t i = 0; i < ns; i++)
        expected[i] = only_server[i].id;
    (void)unique(expected, ns, sizeof *expected, order_ids);
    (void)unique(only_client, nc, sizeof *only_client, order_items);
    for (size_t i = 0; i < nc; i++)
        cr_assert_eq(item_cmp(&s->diff.have[i], &only_client[i]), 0);
    for (size_t i = 0; i < ns; i++)
        cr_assert(id_eq(&s->diff.need[i], &expected[i]));
    free(expected);
}

/* ---- conformance -------------------------------------------------------------------------------------------- */

static void unhex(struct buf *out, const char *hex)
{
    size_t n = strlen(hex) / 2;
    buf_reset(out);
    cr_assert(hex_decode(buf_grow(out, n), n, bytes_str(hex)));
    out->n = n;
}

static struct setindex *side_of(const json_t *items, unsigned bit)
{
    struct setindex *s = setindex_new();
    size_t i;
    json_t *row;
    json_array_foreach(items, i, row) {
        if (((unsigned)json_integer_value(json_array_get(row, 2)) & bit) == 0)
            continue;
        struct item x = {.time = (uint64_t)json_integer_value(json_array_get(row, 0))};
        cr_assert(id_parse(&x.id, bytes_str(json_string_value(json_array_get(row, 1)))));
        cr_assert(setindex_insert(s, &x));
    }
    return s;
}

static void expect_ids(const json_t *list, struct id *ids, size_t n, const char *name)
{
    n = unique(ids, n, sizeof *ids, order_ids);
    cr_assert_eq(n, json_array_size(list), "%s: %zu ids", name, n);
    struct id *expected = mem_calloc(n, sizeof *expected);
    for (size_t i = 0; i < n; i++)
        cr_assert(id_parse(&expected[i], bytes_str(json_string_value(json_array_get(list, i)))));
    (void)unique(expected, n, sizeof *expected, order_ids);
    cr_assert(n == 0 || memcmp(expected, ids, n * ID_BYTES) == 0, "%s: other ids", name);
    free(expected);
}

static void expect_bytes(const struct buf *got, const struct buf *expected, const char *name, size_t message)
{
    cr_assert_eq(got->n, expected->n, "%s: message %zu has %zu bytes, not %zu", name, message, got->n, expected->n);
    cr_assert_eq(memcmp(got->p, expected->p, got->n), 0, "%s: message %zu differs", name, message);
}

static void replay(const json_t *c)
{
    const char *name = json_string_value(json_object_get(c, "name"));
    const json_t *items = json_object_get(c, "items"), *messages = json_object_get(c, "messages");
    struct setindex *mine = side_of(items, 1), *theirs = side_of(items, 2);
    struct recon_config cc = {.set = mine, .mode = RECON_CONFORMANCE, .role = RECON_INITIATOR};
    struct recon_config sc = {.set = theirs, .mode = RECON_CONFORMANCE, .role = RECON_RESPONDER};
    cc.frame_limit = (size_t)json_integer_value(json_object_get(c, "client_frame_limit"));
    sc.frame_limit = (size_t)json_integer_value(json_object_get(c, "server_frame_limit"));
    struct recon client, server;
    struct recon_diff diff = {0};
    struct buf frame = {0}, out = {0};
    enum recon_status status = RECON_SEND;
    recon_init(&client, &cc);
    recon_init(&server, &sc);
    recon_initiate(&client, &out);
    for (size_t i = 0; i < json_array_size(messages); i++) {
        unhex(&frame, json_string_value(json_object_get(json_array_get(messages, i), "hex")));
        cr_assert_eq(status, RECON_SEND, "%s: ended before message %zu", name, i);
        expect_bytes(&out, &frame, name, i);
        if (i % 2 == 0)
            status = recon_input(&server, buf_view(&frame), &out, NULL);
        else
            status = recon_input(&client, buf_view(&frame), &out, &diff);
    }
    cr_assert_eq(status, RECON_DONE, "%s: not done at the end", name);
    struct id *have = mem_calloc(diff.have_count, sizeof *have);
    for (size_t i = 0; i < diff.have_count; i++)
        have[i] = diff.have[i].id;
    expect_ids(json_object_get(c, "have"), have, diff.have_count, name);
    expect_ids(json_object_get(c, "need"), diff.need, diff.need_count, name);
    free(have);
    recon_diff_close(&diff);
    recon_close(&client);
    recon_close(&server);
    buf_close(&frame);
    buf_close(&out);
    setindex_free(mine);
    setindex_free(theirs);
}

Test(recon, replays_the_published_transcripts_byte_for_byte)
{
    const char *shared = getenv("SOUK_SHARED");
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/vectors/negentropy_v1_transcripts.json", shared == NULL ? "" : shared);
    json_t *root = json_load_file(path, 0, NULL);
    if (root == NULL)
        cr_skip_test("skipped: no negentropy_v1_transcripts.json under $SOUK_SHARED/vectors");
    const json_t *cases = json_object_get(root, "cases");
    cr_assert_geq(json_array_size(cases), 11);
    for (size_t i = 0; i < json_array_size(cases); i++)
        replay(json_array_get(cases, i));
    json_decref(root);
}

/* ---- production: the differences, exactly ------------------------------------------------------------------- */

enum times { TIMES_RISING, TIMES_LARGE, TIMES_EQUAL, TIMES_FEW, TIMES_ANY, TIMES_COUNT };

static uint64_t draw_time(struct rng *r, enum times times, size_t i)
{
    switch (times) {
    case TIMES_RISING: return 1700000000 + i;
    case TIMES_LARGE: return (UINT64_C(1) << 56) + (i << 16) + rng_below(r, 3);
    case TIMES_EQUAL: return UINT64_MAX - 1;
    case TIMES_FEW: return (UINT64_C(1) << 60) + rng_below(r, 4);
    case TIMES_ANY: return rng_below(r, UINT64_MAX);
    case TIMES_COUNT: break;
    }
    abort();
}

struct plan {
    size_t items;
    unsigned client_of_1000, server_of_1000; /* items that only one side has, the rest both */
    enum times times;
    size_t limit;
    enum recon_guess guess;
};

static void run_plan(struct rng *r, const struct plan *p)
{
    struct session s = session_new();
    struct item *a = mem_calloc(p->items, sizeof *a), *b = mem_calloc(p->items, sizeof *b);
    size_t na = 0, nb = 0;
    s.limit = p->limit;
    s.guess = p->guess;
    for (size_t i = 0; i < p->items; i++) {
        struct item x = draw(r, draw_time(r, p->times, i));
        uint64_t side = rng_below(r, 1000);
        if (side >= p->client_of_1000)
            (void)setindex_insert(s.server, &x);
        if (side < p->client_of_1000 || side >= p->client_of_1000 + p->server_of_1000)
            (void)setindex_insert(s.client, &x);
        if (side < p->client_of_1000)
            a[na++] = x;
        else if (side < p->client_of_1000 + p->server_of_1000)
            b[nb++] = x;
    }
    cr_assert_eq(session_run(&s), RECON_DONE);
    expect_diff(&s, a, na, b, nb);
    cr_assert_leq(s.most_have, RECON_HAVE_MAX);
    session_close(&s);
    free(a);
    free(b);
}

Test(recon, random_sets_give_exactly_the_two_differences)
{
    struct rng r;
    rng_seed(&r, 21);
    for (size_t i = 0; i < 160; i++) {
        static const size_t most[] = {3, 40, 400, 2500};
        struct plan p = {
            .items = (size_t)rng_below(&r, most[i % 4]),
            .client_of_1000 = (unsigned)rng_below(&r, i % 3 == 0 ? 10 : 500),
            .server_of_1000 = (unsigned)rng_below(&r, i % 5 == 0 ? 10 : 500),
            .times = (enum times)(i % TIMES_COUNT),
            .limit = i % 2 == 0 ? RECON_FRAME_MIN : RECON_FRAME_MAX,
            .guess = i % 7 < 3 ? RECON_GUESS_EQUAL : RECON_GUESS_DIFFERENT,
        };
        run_plan(&r, &p);
    }
}

Test(recon, one_side_empty)
{
    struct rng r;
    rng_seed(&r, 22);
    struct plan plans[] = {
        {.items = 20000, .client_of_1000 = 1000, .times = TIMES_LARGE, .limit = RECON_FRAME_MAX},
        {.items = 20000, .server_of_1000 = 1000, .times = TIMES_LARGE, .limit = RECON_FRAME_MAX},
        {.items = 3000, .client_of_1000 = 1000, .times = TIMES_EQUAL, .limit = RECON_FRAME_MIN},
        {.items = 3000, .server_of_1000 = 1000, .times = TIMES_EQUAL, .limit = RECON_FRAME_MIN},
        {.items = 0, .limit = RECON_FRAME_MIN},
    };
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        run_plan(&r, &plans[i]);
}

/* Ids that share long prefixes, and ids with zeros at the end, at one time: bounds need all their bytes. */
Test(recon, ids_that_differ_only_in_their_last_byte)
{
    struct session s = session_new();
    struct item only[128] = {{0}};
    size_t n = 0;
    s.limit = RECON_FRAME_MIN;
    for (unsigned i = 0; i < 256; i++) {
        struct item x = {.time = 5};
        x.id.b[31] = (uint8_t)i;
        setindex_insert(s.client, &x);
        if (i % 2 == 0)
            setindex_insert(s.server, &x);
        else
            only[n++] = x;
    }
    cr_assert_eq(session_run(&s), RECON_DONE);
    expect_diff(&s, only, n, NULL, 0);
    session_close(&s);
}

/* Each side says its bound; what is at or above the lower one is left out on both. */
Test(recon, nothing_above_the_lower_of_both_bounds_is_compared)
{
    const uint64_t base = UINT64_C(1) << 55;
    for (unsigned lower_is_server = 0; lower_is_server < 2; lower_is_server++) {
        struct rng r;
        struct session s = session_new();
        struct item a[1000], b[1000];
        size_t na = 0, nb = 0;
        rng_seed(&r, 23);
        s.client_bound = base + (lower_is_server ? 1500 : 1000);
        s.server_bound = base + (lower_is_server ? 1000 : 1500);
        for (uint64_t t = 0; t < 2000; t++) {
            struct item x = draw(&r, base + t);
            bool odd = t % 2 == 1;
            setindex_insert(odd ? s.client : s.server, &x);
            if (t < 1000 && odd)
                a[na++] = x;
            else if (t < 1000)
                b[nb++] = x;
        }
        cr_assert_eq(session_run(&s), RECON_DONE);
        expect_diff(&s, a, na, b, nb);
        session_close(&s);
    }
}

/* ---- production: what it costs ------------------------------------------------------------------------------ */

static void fill_both(struct session *s, struct rng *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct item x = draw(r, (UINT64_C(1) << 56) + (i << 10));
        setindex_insert(s->client, &x);
        setindex_insert(s->server, &x);
    }
}

Test(recon, equal_sets_cost_one_round_trip_below_a_kilobyte)
{
    struct rng r;
    struct session s = session_new();
    rng_seed(&r, 24);
    fill_both(&s, &r, 100000);
    cr_assert_eq(session_run(&s), RECON_DONE);
    cr_assert_eq(s.rounds, 1);
    cr_assert_leq(s.bytes, 1000, "%zu bytes", s.bytes);
    expect_diff(&s, NULL, 0, NULL, 0);
    session_close(&s);
}

Test(recon, equal_sets_that_are_expected_to_be_equal_cost_one_fingerprint)
{
    struct rng r;
    struct session s = session_new();
    rng_seed(&r, 36);
    s.guess = RECON_GUESS_EQUAL;
    fill_both(&s, &r, 3000);
    cr_assert_eq(session_run(&s), RECON_DONE);
    cr_assert_eq(s.rounds, 1);
    cr_assert_leq(s.bytes, 50, "%zu bytes", s.bytes);
    session_close(&s);
}

Test(recon, equal_small_sets_cost_one_list)
{
    struct rng r;
    struct session s = session_new();
    rng_seed(&r, 25);
    fill_both(&s, &r, RECON_LIST_BELOW - 1);
    cr_assert_eq(session_run(&s), RECON_DONE);
    cr_assert_eq(s.rounds, 1);
    cr_assert_leq(s.bytes, 1030, "%zu bytes", s.bytes);
    session_close(&s);
}

Test(recon, the_newest_differences_cost_little_more_than_their_ids)
{
    struct rng r;
    struct session s = session_new();
    struct item b[1000];
    rng_seed(&r, 26);
    fill_both(&s, &r, 50000);
    for (size_t i = 0; i < 1000; i++) {
        b[i] = draw(&r, (UINT64_C(1) << 57) + i);
        setindex_insert(s.server, &b[i]);
    }
    cr_assert_eq(session_run(&s), RECON_DONE);
    cr_assert_leq(s.rounds, 5);
    cr_assert_leq(s.bytes, 60000, "%zu bytes", s.bytes);
    expect_diff(&s, NULL, 0, b, 1000);
    session_close(&s);
}

Test(recon, ten_scattered_differences)
{
    struct rng r;
    struct session s = session_new();
    struct item a[10];
    rng_seed(&r, 27);
    fill_both(&s, &r, 50000);
    for (size_t i = 0; i < 10; i++) {
        a[i] = draw(&r, (UINT64_C(1) << 56) + rng_below(&r, 50000 << 10));
        setindex_insert(s.client, &a[i]);
    }
    cr_assert_eq(session_run(&s), RECON_DONE);
    cr_assert_leq(s.rounds, 5);
    cr_assert_leq(s.bytes, 60000, "%zu bytes", s.bytes);
    expect_diff(&s, a, 10, NULL, 0);
    session_close(&s);
}

/* ---- hostile ------------------------------------------------------------------------------------------------ */

/* Two sets with one sum modulo 2^256: the published fingerprint takes them for equal, LtHash does not. */
Test(recon, equal_sums_of_ids_do_not_hide_a_difference)
{
    struct rng r;
    struct session s = session_new();
    struct item a[2], b[2];
    rng_seed(&r, 28);
    fill_both(&s, &r, 100);
    for (unsigned i = 0; i < 2; i++) {
        a[i] = b[i] = draw(&r, UINT64_C(1) << 57);
        a[i].id.b[31] = 100;
        b[i].id.b[31] = i == 0 ? 101 : 99;
        setindex_insert(s.client, &a[i]);
        setindex_insert(s.server, &b[i]);
    }
    cr_assert_eq(session_run(&s), RECON_DONE);
    expect_diff(&s, a, 2, b, 2);
    session_close(&s);

    struct recon client, server;
    struct session t = session_new();
    struct buf up = {0}, down = {0};
    struct recon_diff diff = {0};
    rng_seed(&r, 28);
    fill_both(&t, &r, 100);
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
    session_close(&t);
}

Test(recon, fingerprints_hang_on_the_session_key)
{
    struct rng r;
    struct session s = session_new();
    struct buf first = {0}, second = {0};
    rng_seed(&r, 29);
    fill_both(&s, &r, 200);
    for (uint8_t key = 0; key < 2; key++) {
        struct recon c;
        s.client_key = key;
        struct recon_config config = config_of(&s, RECON_INITIATOR);
        recon_init(&c, &config);
        recon_initiate(&c, key == 0 ? &first : &second);
        recon_close(&c);
    }
    cr_assert_eq(first.n, second.n);
    cr_assert_neq(memcmp(first.p, second.p, first.n), 0);
    s.client_key = 1;
    s.server_key = 2;
    cr_assert_eq(session_run(&s), RECON_DONE); /* every range seems to differ: lists settle it */
    expect_diff(&s, NULL, 0, NULL, 0);
    buf_close(&first);
    buf_close(&second);
    session_close(&s);
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

Test(recon, malformed_frames_are_refused_with_the_reason)
{
    struct rng r;
    struct session s = session_new();
    struct buf frame = {0}, out = {0};
    rng_seed(&r, 30);
    fill_both(&s, &r, 500);
    for (size_t i = 0; i < sizeof bad_frames / sizeof *bad_frames; i++) {
        const struct bad_frame *f = &bad_frames[i];
        for (int role = RECON_INITIATOR; role <= RECON_RESPONDER; role++) {
            struct recon_config config = config_of(&s, (enum recon_role)role);
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
    session_close(&s);
}

Test(recon, a_frame_over_the_limits_is_refused)
{
    struct rng r;
    struct session s = session_new();
    struct buf frame = {0}, out = {0};
    struct recon x;
    rng_seed(&r, 31);
    fill_both(&s, &r, 100);
    struct recon_config config = config_of(&s, RECON_RESPONDER);
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
    session_close(&s);
}

/* "I hold nothing at all", to a holder of many: what is reported for one frame stays within its bound. */
Test(recon, a_peer_that_claims_to_hold_nothing_gets_a_bounded_answer)
{
    struct rng r;
    struct session s = session_new();
    struct buf out = {0};
    struct recon x;
    struct recon_diff diff = {0};
    rng_seed(&r, 32);
    fill_both(&s, &r, 3 * RECON_HAVE_MAX);
    struct recon_config config = config_of(&s, RECON_INITIATOR);
    recon_init(&x, &config);
    static const uint8_t nothing[] = {0x73, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 2, 0};
    cr_assert_eq(recon_input(&x, bytes_of(nothing, sizeof nothing), &out, &diff), RECON_SEND);
    cr_assert_eq(diff.have_count, RECON_HAVE_MAX);
    cr_assert_lt(out.n, RECON_SLACK);
    recon_close(&x);
    recon_diff_close(&diff);
    buf_close(&out);
    session_close(&s);
}

/* Fingerprints that all differ, each cutting leaves in two; the frame would hold the whole answer (16 ranges for each),
 * but the work for one frame is bounded: the rest is closed with a single fingerprint. */
Test(recon, a_frame_of_many_false_fingerprints_is_answered_in_part)
{
    enum { N = 100000, RANGES = 150 };
    struct rng r;
    struct session s = session_new();
    struct buf frame = {0}, out = {0};
    struct recon x;
    uint64_t last = 0;
    rng_seed(&r, 33);
    fill_both(&s, &r, N);
    struct recon_config config = config_of(&s, RECON_RESPONDER);
    recon_init(&x, &config);
    buf_put(&frame, "\x73", 1);
    recon_put_varint(&frame, UINT64_MAX);
    for (uint64_t i = 1; i <= RANGES; i++) {
        struct recon_bound b = {.item = {.time = (UINT64_C(1) << 56) + (i * (N / RANGES) << 10)}};
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
    session_close(&s);
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
Test(recon, random_frames_end_in_an_answer_or_a_reason)
{
    struct rng r;
    struct session s = session_new();
    struct buf frame = {0}, out = {0};
    struct recon_diff diff = {0};
    size_t refused = 0, answered = 0;
    rng_seed(&r, 34);
    fill_both(&s, &r, 900);
    for (unsigned i = 0; i < 20; i++) {
        struct item x = draw(&r, (UINT64_C(1) << 56) + (i << 13));
        setindex_insert(i % 2 ? s.client : s.server, &x);
    }
    s.limit = RECON_FRAME_MIN;
    for (unsigned i = 0; i < 5000; i++) {
        struct recon x;
        struct recon_config config = config_of(&s, i % 2 ? RECON_INITIATOR : RECON_RESPONDER);
        config.set = i % 4 < 2 ? s.client : s.server;
        if (i % 16 == 0) { /* start from an honest frame now and then, else from the last answer */
            struct recon_config first = config_of(&s, RECON_INITIATOR);
            recon_init(&x, &first);
            recon_initiate(&x, &frame);
            recon_close(&x);
        } else if (i % 64 == 1) {
            frame.n = (size_t)rng_below(&r, 60);
            rng_bytes(&r, frame.p, frame.n);
            if (frame.n > 0)
                frame.p[0] = RECON_PRODUCTION;
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
    session_close(&s);
}

Test(recon_frame, varints_round_trip_in_the_fewest_digits)
{
    struct buf b = {0};
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t v = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        for (uint64_t add = 0; add < 2 && v <= UINT64_MAX - add; add++) {
            uint64_t got;
            buf_reset(&b);
            recon_put_varint(&b, v + add);
            struct recon_reader r = {.p = b.p, .left = b.n};
            cr_assert(recon_read_varint(&r, &got));
            cr_assert_eq(got, v + add);
            cr_assert_eq(r.left, 0);
            cr_assert(b.n == 1 || (v + add) >> (7 * (b.n - 1)) != 0);
        }
    }
    buf_close(&b);
}

Test(recon_frame, times_above_2_to_the_53_and_equal_times_round_trip)
{
    static const uint64_t times[] = {0, 0, 1, (UINT64_C(1) << 53) + 1, (UINT64_C(1) << 53) + 1, UINT64_MAX - 2, UINT64_MAX - 1, UINT64_MAX - 1};
    struct buf b = {0};
    uint64_t last = 0;
    enum { N = sizeof times / sizeof *times };
    for (size_t i = 0; i < N; i++) {
        struct recon_bound x = {.item = {.time = times[i], .id = {.b = {(uint8_t)(i + 1)}}}, .len = 1};
        recon_put_bound(&b, &last, &x);
    }
    struct recon_reader r = {.p = b.p, .left = b.n};
    for (size_t i = 0; i < N; i++) {
        struct recon_bound x;
        cr_assert(recon_read_bound(&r, &x), "%s", r.why);
        cr_assert_eq(x.item.time, times[i]);
        cr_assert_eq(x.item.id.b[0], i + 1);
    }
    cr_assert_eq(r.left, 0);
    buf_close(&b);
}
