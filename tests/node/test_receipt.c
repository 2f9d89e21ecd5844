/*
 * Receipts: what is written verifies, says what it was told, and nothing in it can be changed.
 */
#include "api/jcs.h"
#include "api/proof.h"
#include "node/receipt.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

static struct gen_author issuer;

static struct receipt example(void)
{
    static const uint8_t random[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct receipt r = {.issuer_name = "node a", .kind = "model", .name = "lid/fasttext", .entry = gen_id(1),
                        .has_revision = true, .revision = gen_id(2), .started_ms = 1763749200123u,
                        .finished_ms = 1763749200345u, .result = "ok", .wall_us = 221900, .cpu_us = 1000,
                        .peak_bytes = 7u << 20, .input_bytes = 5, .output_bytes = 3, .has_token = true};
    gen_author(&issuer, 7);
    r.issuer = issuer.key;
    r.caller_node = issuer.key;
    receipt_id_make(&r.id, r.started_ms, random);
    receipt_token(&r.token, &issuer.key, 12);
    digest_of(&r.input, bytes_str("hello"));
    digest_of(&r.output, bytes_str("bye"));
    return r;
}

static json_t *written(const struct receipt *r, struct buf *text)
{
    struct buf why = {0};
    receipt_write(text, r, issuer.secret);
    cr_assert_leq(text->n, RECEIPT_MAX);
    json_t *root = jcs_parse(buf_view(text), &why);
    cr_assert(root != NULL, "%s", buf_cstr(&why));
    buf_close(&why);
    return root;
}

static enum err verify(const json_t *root, struct receipt_view *view)
{
    struct buf text = {0}, why = {0};
    char *dumped = json_dumps(root, JSON_INDENT(2)); /* not the canonical spelling */
    enum err e = receipt_verify(bytes_str(dumped), view, &why);
    cr_assert((e == ERR_OK) == (why.n == 0), "%s", buf_cstr(&why));
    free(dumped);
    buf_close(&text);
    buf_close(&why);
    return e;
}

Test(receipt, verifies_in_any_spelling)
{
    struct receipt r = example();
    struct receipt_view view;
    struct buf text = {0};
    json_t *root = written(&r, &text);
    cr_assert_eq(verify(root, &view), ERR_OK);
    cr_assert(key_eq(&view.issuer, &r.issuer));
    cr_assert(memcmp(&view.id, &r.id, sizeof r.id) == 0);
    cr_assert(memcmp(&view.input, &r.input, sizeof r.input) == 0);
    cr_assert(memcmp(&view.output, &r.output, sizeof r.output) == 0);
    cr_assert_str_eq(view.result, "ok");
    json_decref(root);
    buf_close(&text);
}

Test(receipt, says_everything)
{
    struct receipt r = example();
    struct buf text = {0};
    json_t *root = written(&r, &text), *subject = json_object_get(root, "credentialSubject");
    json_t *work = json_object_get(subject, "work"), *units = json_object_get(subject, "units");
    char hex[ID_HEX_SIZE];
    id_hex(hex, &r.entry);
    cr_assert_str_eq(json_string_value(json_object_get(work, "entry")), hex);
    id_hex(hex, &r.revision);
    cr_assert_str_eq(json_string_value(json_object_get(work, "revision")), hex);
    id_hex(hex, &r.token);
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(subject, "caller"), "token")), hex);
    cr_assert_str_eq(json_string_value(json_object_get(work, "status")), "succeeded");
    cr_assert_str_eq(json_string_value(json_object_get(work, "startedAt")), "2025-11-21T18:20:00.123Z");
    cr_assert_str_eq(json_string_value(json_object_get(work, "completedAt")), "2025-11-21T18:20:00.345Z");
    cr_assert_str_eq(json_string_value(json_object_get(subject, "inputDigest")),
                     "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    cr_assert_eq(json_integer_value(json_object_get(units, "wallMicroseconds")), 221900);
    cr_assert_eq(json_integer_value(json_object_get(units, "peakMemoryBytes")), 7 << 20);
    json_decref(root);
    buf_close(&text);
}

/* Every text and number, wherever it stands, is covered: changing one breaks the receipt. */
static size_t damage(json_t *root, json_t *at)
{
    struct receipt_view view;
    size_t tried = 0;
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(at, next, key, value)
    {
        json_t *kept = json_incref(value);
        tried++;
        (void)json_object_set_new(at, key, json_is_string(value) ? json_pack("s+", json_string_value(value), "x")
                                                                 : json_integer(-7));
        cr_assert_neq(verify(root, &view), ERR_OK, "%s", key);
        (void)json_object_set_new(at, key, kept);
        if (json_is_object(value))
            tried += damage(root, value);
    }
    return tried;
}

Test(receipt, nothing_in_it_can_be_changed)
{
    struct receipt r = example();
    struct receipt_view view;
    struct buf text = {0};
    json_t *root = written(&r, &text);
    cr_assert_gt(damage(root, root), 35);
    cr_assert_eq(verify(root, &view), ERR_OK);
    json_decref(root);
    buf_close(&text);
}

Test(receipt, must_be_by_its_issuer)
{
    struct receipt r = example();
    struct receipt_view view;
    struct buf text = {0};
    struct gen_author other;
    gen_author(&other, 8);
    json_t *honest = written(&r, &text);
    r.issuer = other.key;
    buf_reset(&text);
    receipt_write(&text, &r, other.secret);
    struct buf why = {0};
    json_t *forged = jcs_parse(buf_view(&text), &why);
    cr_assert_eq(verify(forged, &view), ERR_OK);
    (void)json_object_set(forged, "issuer", json_object_get(honest, "issuer"));
    cr_assert_eq(verify(forged, &view), ERR_SIGNATURE);
    json_decref(honest);
    json_decref(forged);
    buf_close(&text);
    buf_close(&why);
}

Test(receipt, outcomes_have_the_words_of_the_format)
{
    static const char *const words[][2] = {{"ok", "succeeded"}, {"exit", "failed"}, {"signal", "failed"}, {"oom", "failed"},
                                           {"timeout", "timeout"}, {"setup", "refused"}, {"cancelled", "partial"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct receipt r = example();
        struct receipt_view view;
        struct buf text = {0};
        r.result = words[i][0];
        json_t *root = written(&r, &text), *work = json_object_get(json_object_get(root, "credentialSubject"), "work");
        cr_assert_str_eq(json_string_value(json_object_get(work, "status")), words[i][1]);
        cr_assert_eq(verify(root, &view), ERR_OK);
        cr_assert_str_eq(view.result, words[i][0]);
        json_decref(root);
        buf_close(&text);
    }
}

Test(receipt, ids_are_uuids_in_the_order_of_time)
{
    struct receipt_id a, b, back;
    char text[RECEIPT_ID_SIZE], urn[16 + RECEIPT_ID_SIZE];
    static const uint8_t ones[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255}, zeros[10] = {0};
    receipt_id_make(&a, 1763749200123u, ones);
    receipt_id_make(&b, 1763749200124u, zeros);
    cr_assert_lt(memcmp(&a, &b, sizeof a), 0);
    cr_assert_eq(receipt_id_ms(&a), 1763749200123u);
    receipt_id_text(text, &a);
    cr_assert_eq(text[14], '7');
    cr_assert(strchr("89ab", text[19]) != NULL);
    (void)snprintf(urn, sizeof urn, "urn:uuid:%s", text);
    cr_assert(receipt_id_parse(&back, bytes_str(text)) && memcmp(&a, &back, sizeof a) == 0);
    cr_assert(receipt_id_parse(&back, bytes_str(urn)) && memcmp(&a, &back, sizeof a) == 0);
    cr_assert(!receipt_id_parse(&back, bytes_of(text, strlen(text) - 1)));
    text[8] = '0';
    cr_assert(!receipt_id_parse(&back, bytes_str(text)));
}

Test(receipt, what_is_not_one_is_refused)
{
    static const char *const bad[] = {"", "{}", "[]", "null", "{\"proof\":{}}", "{\"@context\":[\"https://www.w3.org/ns/credentials/v2\"]}",
                                      "{\"a\":1.5}", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct receipt_view view;
        struct buf why = {0};
        cr_assert_eq(receipt_verify(bytes_str(bad[i]), &view, &why), ERR_FORM, "%s", bad[i]);
        cr_assert_gt(why.n, 0);
        buf_close(&why);
    }
}

/* ---- is it about this call? --------------------------------------------------------------------------------------------- */

static struct receipt_asked asked_of(const struct receipt *r, struct digest inputs[2])
{
    digest_of(&inputs[0], bytes_str("another reading"));
    inputs[1] = r->input;
    return (struct receipt_asked){.issuer = r->issuer, .kind = r->kind, .entry = r->entry, .inputs = inputs, .input_count = 2,
                                  .output = r->output, .result = r->result, .caller_node = r->caller_node,
                                  .has_token = r->has_token, .token = r->token};
}

/* Writes r and holds it against what was asked; the sentence goes to why. */
static bool about(const struct receipt *r, const struct gen_author *signer, const struct receipt_asked *asked, struct buf *why)
{
    struct receipt_view view;
    struct buf text = {0};
    buf_reset(why);
    receipt_write(&text, r, signer->secret);
    cr_assert_eq(receipt_verify(buf_view(&text), &view, why), ERR_OK, "%s", buf_cstr(why));
    bool is = receipt_is_about(&view, asked, why);
    buf_close(&text);
    cr_assert_eq(is, why->n == 0);
    return is;
}

static void is_seen(const struct receipt *lie, const struct receipt_asked *asked, const char *word)
{
    struct buf why = {0};
    cr_assert(!about(lie, &issuer, asked, &why), "%s", word);
    cr_assert(strstr(buf_cstr(&why), word) != NULL, "%s", buf_cstr(&why));
    buf_close(&why);
}

Test(receipt, is_about_one_call_only)
{
    enum { ENTRY, KIND, RESULT, INPUT, OUTPUT, CALLER, TOKEN, NO_TOKEN, LIES };
    static const char *const words[LIES] = {"entry", "entry", "result", "input", "output", "caller", "caller", "caller"};
    struct receipt r = example();
    struct digest inputs[2];
    struct gen_author other;
    struct buf why = {0};
    struct receipt_asked asked = asked_of(&r, inputs);
    gen_author(&other, 8);
    cr_assert(about(&r, &issuer, &asked, &why), "%s", buf_cstr(&why));
    struct receipt lies[LIES];
    for (size_t i = 0; i < LIES; i++)
        lies[i] = r;
    lies[ENTRY].entry = lies[TOKEN].token = gen_id(9);
    lies[KIND].kind = "agent";
    lies[RESULT].result = "timeout";
    lies[INPUT].input = r.output;
    lies[OUTPUT].output = r.input;
    lies[CALLER].caller_node = other.key;
    lies[NO_TOKEN].has_token = false;
    for (size_t i = 0; i < LIES; i++)
        is_seen(&lies[i], &asked, words[i]);
    struct receipt foreign = r;
    foreign.issuer = other.key;
    cr_assert(!about(&foreign, &other, &asked, &why), "a receipt that another node signed");
    cr_assert(strstr(buf_cstr(&why), "signed by another node") != NULL);
    asked.input_count = 0; /* what was sent cannot be read in any way */
    is_seen(&r, &asked, "input");
    r.has_token = false;
    asked = asked_of(&r, inputs);
    cr_assert(about(&r, &issuer, &asked, &why), "asked without a token: %s", buf_cstr(&why));
    buf_close(&why);
}

/* A receipt that others wrote need not have all members: it verifies, but is about no call of this node. */
Test(receipt, what_is_not_said_is_not_about_it)
{
    static const char *const members[] = {"entry", "kind", "result"};
    struct receipt r = example();
    struct digest inputs[2];
    struct receipt_asked asked = asked_of(&r, inputs);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        struct receipt_view view;
        struct buf text = {0}, why = {0};
        char created[25] = "2025-11-21T18:20:00.345Z";
        json_t *root = written(&r, &text);
        (void)json_object_del(root, "proof");
        (void)json_object_del(json_object_get(json_object_get(root, "credentialSubject"), "work"), members[i]);
        struct proof_signer signer = {.key = issuer.key, .secret = issuer.secret, .created = created};
        cr_assert_eq(proof_add(root, &signer), ERR_OK);
        cr_assert_eq(verify(root, &view), ERR_OK);
        cr_assert(!receipt_is_about(&view, &asked, &why), "%s", members[i]);
        json_decref(root);
        buf_close(&text);
        buf_close(&why);
    }
}
