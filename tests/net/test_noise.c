/*
 * Noise against the published vectors of three independent implementations, and against what a hostile peer may send.
 */
#include "net/noise.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static size_t hex_field(json_t *v, const char *name, uint8_t *out, size_t max)
{
    const char *hex = json_string_value(json_object_get(v, name));
    if (hex == NULL)
        return 0;
    size_t n = strlen(hex) / 2;
    cr_assert(n <= max && hex_decode(out, n, bytes_str(hex)), "%s", name);
    return n;
}

static enum noise_hash vector_hash(json_t *v)
{
    const char *name = json_string_value(json_object_get(v, "protocol_name"));
    if (name == NULL)
        name = json_string_value(json_object_get(v, "name"));
    cr_assert_not_null(name);
    if (strcmp(name, "Noise_XX_25519_ChaChaPoly_SHA256") == 0)
        return NOISE_SHA256;
    cr_assert_str_eq(name, "Noise_XX_25519_ChaChaPoly_BLAKE2b");
    return NOISE_BLAKE2B;
}

static void start(struct noise *n, json_t *v, enum noise_role role)
{
    uint8_t prologue[256], s[32], e[32];
    bool init = role == NOISE_INITIATOR;
    struct noise_config c = {.hash = vector_hash(v), .role = role, .static_secret = s, .ephemeral_secret = e};
    c.prologue = bytes_of(prologue, hex_field(v, init ? "init_prologue" : "resp_prologue", prologue, sizeof prologue));
    cr_assert_eq(hex_field(v, init ? "init_static" : "resp_static", s, 32), 32);
    cr_assert_eq(hex_field(v, init ? "init_ephemeral" : "resp_ephemeral", e, 32), 32);
    noise_init(n, &c);
}

static void replay_vector(json_t *v)
{
    struct noise side[2];
    struct noise_cipher send[2], receive[2];
    start(&side[0], v, NOISE_INITIATOR);
    start(&side[1], v, NOISE_RESPONDER);
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(v, "messages"), i, m)
    {
        uint8_t payload[1024], expected[1024];
        struct buf out = {0}, back = {0};
        size_t from = i % 2, pn = hex_field(m, "payload", payload, sizeof payload);
        size_t en = hex_field(m, "ciphertext", expected, sizeof expected);
        if (i < 3) {
            cr_assert(noise_write(&side[from], bytes_of(payload, pn), &out));
        } else {
            noise_seal(&send[from], bytes_of(NULL, 0), bytes_of(payload, pn), &out);
        }
        cr_assert(bytes_eq(buf_view(&out), bytes_of(expected, en)), "message %zu", i);
        if (i < 3)
            cr_assert(noise_read(&side[1 - from], buf_view(&out), &back));
        else
            cr_assert(noise_open(&receive[1 - from], bytes_of(NULL, 0), buf_view(&out), &back));
        cr_assert(bytes_eq(buf_view(&back), bytes_of(payload, pn)), "payload %zu", i);
        if (i == 2)
            for (size_t s = 0; s < 2; s++)
                noise_split(&side[s], &send[s], &receive[s]);
        buf_close(&out);
        buf_close(&back);
    }
    cr_assert_gt(i, 3);
    uint8_t hash[64];
    size_t n = hex_field(v, "handshake_hash", hash, sizeof hash);
    if (n > 0) {
        cr_assert_eq(n, noise_hash_size(side[0].hash));
        cr_assert_arr_eq(side[0].transcript, hash, n);
        cr_assert_arr_eq(side[1].transcript, hash, n);
    }
}

Test(noise, all_six_published_vectors)
{
    const char *shared = getenv("SOUK_SHARED");
    char path[512];
    (void)snprintf(path, sizeof path, "%s/vectors/noise_xx_25519_chachapoly.json", shared != NULL ? shared : "../shared");
    json_t *root = json_load_file(path, 0, NULL), *group, *v;
    if (root == NULL)
        cr_skip_test("no vectors at this place: set SOUK_SHARED to the folder that holds vectors/");
    size_t i, j, count = 0;
    json_array_foreach(json_object_get(root, "groups"), i, group)
    json_array_foreach(json_object_get(group, "vectors"), j, v)
    {
        replay_vector(v);
        count++;
    }
    cr_assert_eq(count, 6, "%zu", count);
    json_decref(root);
}

/* ---- hostile input ------------------------------------------------------------------------------------------ */

static void side_init(struct noise *n, enum noise_role role, const char *prologue)
{
    uint8_t s[32], e[32];
    memset(s, role == NOISE_INITIATOR ? 1 : 2, 32);
    memset(e, role == NOISE_INITIATOR ? 3 : 4, 32);
    noise_init(n, &(struct noise_config){.hash = NOISE_SHA256, .role = role, .prologue = bytes_str(prologue),
                                         .static_secret = s, .ephemeral_secret = e});
}

static struct bytes text(const char *s)
{
    return bytes_str(s);
}

/* Runs messages 0..k-1 honestly and leaves message k in `m`. */
static void run_to(struct noise side[2], unsigned k, struct buf *m)
{
    side_init(&side[0], NOISE_INITIATOR, "p");
    side_init(&side[1], NOISE_RESPONDER, "p");
    for (unsigned i = 0;; i++) {
        struct buf payload = {0};
        buf_reset(m);
        cr_assert(noise_write(&side[i % 2], text("payload"), m));
        if (i == k)
            return;
        cr_assert(noise_read(&side[1 - i % 2], buf_view(m), &payload));
        buf_close(&payload);
    }
}

Test(noise, a_flipped_bit_anywhere_never_completes)
{
    for (unsigned k = 0; k < 3; k++) {
        struct buf m = {0};
        struct noise side[2];
        run_to(side, k, &m);
        size_t bits = m.n * 8;
        for (size_t bit = 0; bit < bits; bit++) {
            struct buf payload = {0};
            run_to(side, k, &m);
            m.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
            bool read = noise_read(&side[1 - k % 2], buf_view(&m), &payload);
            /* Message 0 is not authenticated by itself: the answer to it must then fail at the initiator. The top bit of
             * an X25519 key is ignored by the curve, but not by the transcript. */
            if (k == 0 && read) {
                struct buf answer = {0};
                if (noise_write(&side[1], text("x"), &answer))
                    cr_assert_not(noise_read(&side[0], buf_view(&answer), &payload), "bit %zu", bit);
                buf_close(&answer);
            } else {
                cr_assert_not(read, "message %u bit %zu", k, bit);
                cr_assert_eq(side[1 - k % 2].state, NOISE_FAILED);
            }
            buf_close(&payload);
        }
        buf_close(&m);
    }
}

Test(noise, a_truncated_message_is_refused)
{
    for (unsigned k = 0; k < 3; k++) {
        struct buf m = {0};
        struct noise side[2];
        run_to(side, k, &m);
        size_t min = k == 0 ? 32 : m.n; /* payload of message 0 is in the clear: only its key is needed */
        for (size_t n = 0; n < min; n++) {
            struct buf payload = {0};
            run_to(side, k, &m);
            cr_assert_not(noise_read(&side[1 - k % 2], bytes_of(m.p, n), &payload), "message %u cut at %zu", k, n);
            buf_close(&payload);
        }
        buf_close(&m);
    }
}

Test(noise, another_prologue_does_not_complete)
{
    struct noise a, b;
    struct buf m = {0}, p = {0};
    side_init(&a, NOISE_INITIATOR, "one");
    side_init(&b, NOISE_RESPONDER, "two");
    cr_assert(noise_write(&a, text(""), &m));
    cr_assert(noise_read(&b, buf_view(&m), &p));
    buf_reset(&m);
    cr_assert(noise_write(&b, text(""), &m));
    cr_assert_not(noise_read(&a, buf_view(&m), &p));
    buf_close(&m);
    buf_close(&p);
}

Test(noise, low_order_points_fail)
{
    static const char *points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        struct noise b;
        struct buf out = {0}, payload = {0};
        uint8_t e[32];
        cr_assert(hex_decode(e, 32, bytes_str(points[i])));
        side_init(&b, NOISE_RESPONDER, "p");
        cr_assert(noise_read(&b, bytes_of(e, 32), &payload));
        cr_assert_not(noise_write(&b, text(""), &out), "point %zu", i);
        cr_assert_eq(b.state, NOISE_FAILED);
        buf_close(&out);
        buf_close(&payload);
    }
}

Test(noise, the_nonce_moves_only_after_authentication)
{
    struct noise_cipher a = {.key = {7}, .keyed = true}, b = a;
    struct buf sealed = {0}, out = {0};
    noise_seal(&a, text(""), text("one"), &sealed);
    sealed.p[0] ^= 1;
    cr_assert_not(noise_open(&b, text(""), buf_view(&sealed), &out));
    cr_assert_eq(b.nonce, 0);
    cr_assert_eq(out.n, 0);
    sealed.p[0] ^= 1;
    cr_assert(noise_open(&b, text(""), buf_view(&sealed), &out));
    cr_assert_eq(b.nonce, 1);
    cr_assert_not(noise_open(&b, text(""), buf_view(&sealed), &out), "a replay must fail");
    buf_close(&sealed);
    buf_close(&out);
}

Test(noise, rekey_changes_the_key_and_keeps_the_nonce)
{
    struct noise_cipher a = {.key = {7}, .keyed = true, .nonce = 41}, b = a;
    struct buf sealed = {0}, out = {0};
    noise_rekey(&a);
    cr_assert_eq(a.nonce, 41);
    cr_assert(memcmp(a.key, b.key, 32) != 0);
    noise_seal(&a, text(""), text("x"), &sealed);
    cr_assert_not(noise_open(&b, text(""), buf_view(&sealed), &out));
    noise_rekey(&b);
    cr_assert(noise_open(&b, text(""), buf_view(&sealed), &out));
    buf_close(&sealed);
    buf_close(&out);
}
