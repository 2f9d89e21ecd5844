/*
 * Reconciliation: byte for byte against recorded transcripts of Negentropy v1 in both roles, then the production form:
 * random pairs of sets give exactly the two differences, time bounds, cost in bytes and rounds. The transcripts are read from
 * $SOUK_SHARED/vectors and the test is skipped where they are absent. Frames of bad peers: test_recon_hostile.c; sets of a
 * million: test_recon_size.c.
 */
#include "net/recon.h"

#include "crdt/alloc.h"
#include "tests/lib/recon_pair.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

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
    n = recon_pair_unique(ids, n, sizeof *ids, recon_pair_by_id);
    cr_assert_eq(n, json_array_size(list), "%s: %zu ids", name, n);
    struct id *expected = mem_calloc(n, sizeof *expected);
    for (size_t i = 0; i < n; i++)
        cr_assert(id_parse(&expected[i], bytes_str(json_string_value(json_array_get(list, i)))));
    (void)recon_pair_unique(expected, n, sizeof *expected, recon_pair_by_id);
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
    struct recon_pair s = recon_pair_new();
    struct item *a = mem_calloc(p->items, sizeof *a), *b = mem_calloc(p->items, sizeof *b);
    size_t na = 0, nb = 0;
    s.limit = p->limit;
    s.guess = p->guess;
    for (size_t i = 0; i < p->items; i++) {
        struct item x = recon_pair_draw(r, draw_time(r, p->times, i));
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
    cr_assert_eq(recon_pair_run(&s), RECON_DONE, "%s", s.why);
    cr_assert(recon_pair_found(&s, a, na, b, nb));
    cr_assert_leq(s.most_have, RECON_HAVE_MAX);
    recon_pair_close(&s);
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
    struct recon_pair s = recon_pair_new();
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
    cr_assert_eq(recon_pair_run(&s), RECON_DONE, "%s", s.why);
    cr_assert(recon_pair_found(&s, only, n, NULL, 0));
    recon_pair_close(&s);
}

/* Each side says its bound; what is at or above the lower one is left out on both. */
Test(recon, nothing_above_the_lower_of_both_bounds_is_compared)
{
    const uint64_t base = UINT64_C(1) << 55;
    for (unsigned lower_is_server = 0; lower_is_server < 2; lower_is_server++) {
        struct rng r;
        struct recon_pair s = recon_pair_new();
        struct item a[1000], b[1000];
        size_t na = 0, nb = 0;
        rng_seed(&r, 23);
        s.client_bound = base + (lower_is_server ? 1500 : 1000);
        s.server_bound = base + (lower_is_server ? 1000 : 1500);
        for (uint64_t t = 0; t < 2000; t++) {
            struct item x = recon_pair_draw(&r, base + t);
            bool odd = t % 2 == 1;
            setindex_insert(odd ? s.client : s.server, &x);
            if (t < 1000 && odd)
                a[na++] = x;
            else if (t < 1000)
                b[nb++] = x;
        }
        cr_assert_eq(recon_pair_run(&s), RECON_DONE, "%s", s.why);
        cr_assert(recon_pair_found(&s, a, na, b, nb));
        recon_pair_close(&s);
    }
}

/* ---- production: what it costs ------------------------------------------------------------------------------ */

Test(recon, equal_sets_cost_one_round_trip_below_a_kilobyte)
{
    struct rng r;
    struct recon_pair s = recon_pair_new();
    rng_seed(&r, 24);
    recon_pair_fill(&s, &r, 100000);
    cr_assert_eq(recon_pair_run(&s), RECON_DONE, "%s", s.why);
    cr_assert_eq(s.rounds, 1);
    cr_assert_leq(s.bytes, 1000, "%zu bytes", s.bytes);
    cr_assert(recon_pair_found(&s, NULL, 0, NULL, 0));
    recon_pair_close(&s);
}

Test(recon, equal_sets_that_are_expected_to_be_equal_cost_one_fingerprint)
{
    struct rng r;
    struct recon_pair s = recon_pair_new();
    rng_seed(&r, 36);
    s.guess = RECON_GUESS_EQUAL;
    recon_pair_fill(&s, &r, 3000);
    cr_assert_eq(recon_pair_run(&s), RECON_DONE, "%s", s.why);
    cr_assert_eq(s.rounds, 1);
    cr_assert_leq(s.bytes, 50, "%zu bytes", s.bytes);
    recon_pair_close(&s);
}

Test(recon, equal_small_sets_cost_one_list)
{
    struct rng r;
    struct recon_pair s = recon_pair_new();
    rng_seed(&r, 25);
    recon_pair_fill(&s, &r, RECON_LIST_BELOW - 1);
    cr_assert_eq(recon_pair_run(&s), RECON_DONE, "%s", s.why);
    cr_assert_eq(s.rounds, 1);
    cr_assert_leq(s.bytes, 1030, "%zu bytes", s.bytes);
    recon_pair_close(&s);
}

Test(recon, the_newest_differences_cost_little_more_than_their_ids)
{
    struct rng r;
    struct recon_pair s = recon_pair_new();
    struct item b[1000];
    rng_seed(&r, 26);
    recon_pair_fill(&s, &r, 50000);
    for (size_t i = 0; i < 1000; i++) {
        b[i] = recon_pair_draw(&r, (UINT64_C(1) << 57) + i);
        setindex_insert(s.server, &b[i]);
    }
    cr_assert_eq(recon_pair_run(&s), RECON_DONE, "%s", s.why);
    cr_assert_leq(s.rounds, 5);
    cr_assert_leq(s.bytes, 60000, "%zu bytes", s.bytes);
    cr_assert(recon_pair_found(&s, NULL, 0, b, 1000));
    recon_pair_close(&s);
}

Test(recon, ten_scattered_differences)
{
    struct rng r;
    struct recon_pair s = recon_pair_new();
    struct item a[10];
    rng_seed(&r, 27);
    recon_pair_fill(&s, &r, 50000);
    for (size_t i = 0; i < 10; i++) {
        a[i] = recon_pair_draw(&r, (UINT64_C(1) << 56) + rng_below(&r, (uint64_t)50000 << 16));
        setindex_insert(s.client, &a[i]);
    }
    cr_assert_eq(recon_pair_run(&s), RECON_DONE, "%s", s.why);
    cr_assert_leq(s.rounds, 5);
    cr_assert_leq(s.bytes, 60000, "%zu bytes", s.bytes);
    cr_assert(recon_pair_found(&s, a, 10, NULL, 0));
    recon_pair_close(&s);
}
