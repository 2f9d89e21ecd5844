/*
 * Writing and checking receipts. The document is built as a tree, signed, and written in canonical form, so that a
 * receipt has one spelling. Pure: ids, times and keys are arguments.
 */
#include "node/receipt.h"

#include "api/jcs.h"
#include "api/proof.h"
#include "crdt/hlc.h"
#include "crdt/multibase.h"
#include "crdt/record.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define CONTEXT_VC  "https://www.w3.org/ns/credentials/v2"
#define CONTEXT_AWR "https://verify.modelmarket.dev/ns/awr/v2"
#define AWR_VERSION "2.0.0"
#define URN "urn:uuid:"
#define SRI_PREFIX "sha256-"
#define SRI_SIZE (sizeof SRI_PREFIX - 1 + 44 + 1)

/* ---- ids and digests ----------------------------------------------------------------------------------------- */

void receipt_id_make(struct receipt_id *out, uint64_t clock_ms, const uint8_t random[10])
{
    put_be(out->b, clock_ms & 0xffffffffffffu, 6);
    memcpy(out->b + 6, random, 10);
    out->b[6] = (uint8_t)((out->b[6] & 0x0f) | 0x70);
    out->b[8] = (uint8_t)((out->b[8] & 0x3f) | 0x80);
    assert(out->b[6] >> 4 == 7 && out->b[8] >> 6 == 2); /* RFC 9562: version and variant */
}

void receipt_id_text(char out[RECEIPT_ID_SIZE], const struct receipt_id *id)
{
    char hex[2 * RECEIPT_ID_BYTES + 1];
    hex_encode(hex, id->b, sizeof id->b);
    (void)snprintf(out, RECEIPT_ID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

bool receipt_id_parse(struct receipt_id *out, struct bytes text)
{
    char hex[2 * RECEIPT_ID_BYTES];
    size_t n = 0, urn = sizeof URN - 1;
    if (text.n > urn && memcmp(text.p, URN, urn) == 0)
        text = bytes_of(text.p + urn, text.n - urn);
    if (text.n != RECEIPT_ID_SIZE - 1)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (text.p[i] == '-'))
            return false;
        if (!dash)
            hex[n++] = (char)text.p[i];
    }
    assert(n == sizeof hex);
    return hex_decode(out->b, sizeof out->b, bytes_of(hex, n));
}

uint64_t receipt_id_ms(const struct receipt_id *id)
{
    return get_be(id->b, 6);
}

void digest_of(struct digest *out, struct bytes x)
{
    static const uint8_t nothing[1] = {0};
    (void)crypto_hash_sha256(out->b, x.n > 0 ? x.p : nothing, x.n);
}

static void sri_of(char out[SRI_SIZE], const struct digest *d)
{
    memcpy(out, SRI_PREFIX, sizeof SRI_PREFIX - 1);
    (void)sodium_bin2base64(out + sizeof SRI_PREFIX - 1, SRI_SIZE - sizeof SRI_PREFIX + 1, d->b, sizeof d->b,
                            sodium_base64_VARIANT_ORIGINAL);
}

/* A digest has one spelling: what is decoded must encode to the same. */
static bool sri_parse(struct digest *out, const char *text)
{
    char again[SRI_SIZE];
    size_t n, prefix = sizeof SRI_PREFIX - 1;
    if (text == NULL || strlen(text) != SRI_SIZE - 1 || memcmp(text, SRI_PREFIX, prefix) != 0)
        return false;
    if (sodium_base642bin(out->b, sizeof out->b, text + prefix, strlen(text) - prefix, NULL, &n, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 || n != sizeof out->b)
        return false;
    sri_of(again, out);
    return strcmp(again, text) == 0;
}

void receipt_token(struct id *out, const struct key *node, uint64_t token)
{
    struct hasher h;
    hash_init(&h, "souk/receipt-token/1");
    hash_part(&h, node->b, sizeof node->b);
    hash_u64(&h, token);
    hash_end(&h, out);
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* What the receipt format calls the outcome. */
static const char *status_of(const char *result)
{
    if (strcmp(result, "ok") == 0)
        return "succeeded";
    if (strcmp(result, "timeout") == 0)
        return "timeout";
    if (strcmp(result, "setup") == 0)
        return "refused";
    return strcmp(result, "cancelled") == 0 ? "partial" : "failed";
}

static void set(json_t *object, const char *name, const char *text)
{
    (void)json_object_set_new(object, name, json_string(text));
}

static void set_number(json_t *object, const char *name, uint64_t v)
{
    const uint64_t most = ((uint64_t)1 << 53) - 1;
    (void)json_object_set_new(object, name, json_integer((json_int_t)(v < most ? v : most)));
}

static void set_time(json_t *object, const char *name, uint64_t ms)
{
    char time[25];
    json_time(time, hlc_from_ms(ms));
    set(object, name, time);
}

static void set_id(json_t *object, const char *name, const struct id *id)
{
    char hex[ID_HEX_SIZE];
    id_hex(hex, id);
    set(object, name, hex);
}

static json_t *work_of(const struct receipt *r)
{
    json_t *work = json_object();
    set(work, "modelId", r->name);
    set(work, "kind", r->kind);
    set_id(work, "entry", &r->entry);
    if (r->has_revision)
        set_id(work, "revision", &r->revision);
    set(work, "status", status_of(r->result));
    set(work, "result", r->result);
    set_time(work, "startedAt", r->started_ms);
    set_time(work, "completedAt", r->finished_ms);
    set_number(work, "latencyMs", r->finished_ms - r->started_ms);
    return work;
}

static json_t *units_of(const struct receipt *r)
{
    json_t *units = json_object();
    set_number(units, "wallMicroseconds", r->wall_us);
    set_number(units, "cpuMicroseconds", r->cpu_us);
    set_number(units, "peakMemoryBytes", r->peak_bytes);
    set_number(units, "inputBytes", r->input_bytes);
    set_number(units, "outputBytes", r->output_bytes);
    return units;
}

static json_t *caller_of(const struct receipt *r)
{
    char did[DID_KEY_SIZE];
    json_t *caller = json_object();
    did_key(did, &r->caller_node);
    set(caller, "node", did);
    if (r->has_token)
        set_id(caller, "token", &r->token);
    return caller;
}

static json_t *subject_of(const struct receipt *r, const char *id)
{
    assert(strlen(id) == RECEIPT_ID_SIZE - 1);
    char sri[SRI_SIZE];
    json_t *subject = json_object();
    (void)json_object_set_new(subject, "work", work_of(r));
    sri_of(sri, &r->input);
    set(subject, "inputDigest", sri);
    sri_of(sri, &r->output);
    set(subject, "outputDigest", sri);
    (void)json_object_set_new(subject, "units", units_of(r));
    (void)json_object_set_new(subject, "caller", caller_of(r));
    set(subject, "nonce", id);
    return subject;
}

void receipt_write(struct buf *out, const struct receipt *r, const uint8_t secret[64])
{
    char did[DID_KEY_SIZE], id[sizeof URN + RECEIPT_ID_SIZE] = URN, time[25];
    json_t *document = json_object(), *issuer = json_object();
    assert(r->finished_ms >= r->started_ms && r->name[0] != 0);
    receipt_id_text(id + sizeof URN - 1, &r->id);
    did_key(did, &r->issuer);
    json_time(time, hlc_from_ms(r->finished_ms));
    set(issuer, "id", did);
    if (r->issuer_name[0] != 0)
        set(issuer, "name", r->issuer_name);
    (void)json_object_set_new(document, "@context", json_pack("[s,s]", CONTEXT_VC, CONTEXT_AWR));
    set(document, "id", id);
    (void)json_object_set_new(document, "type", json_pack("[s,s]", "VerifiableCredential", "WorkReceipt"));
    (void)json_object_set_new(document, "issuer", issuer);
    set(document, "validFrom", time);
    set(document, "awrVersion", AWR_VERSION);
    (void)json_object_set_new(document, "credentialSubject", subject_of(r, id + sizeof URN - 1));
    struct proof_signer signer = {.key = r->issuer, .secret = secret, .created = time};
    enum err e = proof_add(document, &signer);
    if (e == ERR_OK)
        e = jcs_put(out, document);
    assert(e == ERR_OK);
    (void)e;
    json_decref(document);
}

/* ---- checking -------------------------------------------------------------------------------------------------- */

/* Exactly once in an array of texts without repetitions. */
static bool lists(const json_t *array, const char *text)
{
    assert(text[0] != 0);
    size_t found = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *item = json_string_value(json_array_get(array, i));
        if (item == NULL)
            return false;
        found += strcmp(item, text) == 0;
        for (size_t k = 0; k < i; k++)
            if (strcmp(json_string_value(json_array_get(array, k)), item) == 0)
                return false;
    }
    return found == 1;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

/* "2026-11-21T18:00:00Z", with or without a fraction of the second. */
static bool is_time(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    size_t n = strlen(text), i = 0;
    for (; form[i] != 0; i++)
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    if (text[i] == '.')
        do
            i++;
        while (text[i] >= '0' && text[i] <= '9');
    return text[i] == 'Z' && i + 1 == n;
}

/* Of two times of that form: to the second as text, then by the digits of the fraction. */
static int time_order(const char *a, const char *b)
{
    enum { SECONDS = 19 };
    assert(is_time(a) && is_time(b));
    int order = strncmp(a, b, SECONDS);
    if (order != 0)
        return order;
    a += SECONDS + (a[SECONDS] == '.');
    b += SECONDS + (b[SECONDS] == '.');
    for (; *a != 'Z' || *b != 'Z'; a += *a != 'Z', b += *b != 'Z') {
        char x = *a != 'Z' ? *a : '0', y = *b != 'Z' ? *b : '0';
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

static bool id_of(const json_t *object, const char *name, struct id *out)
{
    return id_parse(out, bytes_str(text_of(object, name)));
}

/* Members of this program's own: absent in receipts of others. */
static void view_more(const json_t *subject, struct receipt_view *out)
{
    const json_t *work = json_object_get(subject, "work"), *caller = json_object_get(subject, "caller");
    (void)snprintf(out->kind, sizeof out->kind, "%s", text_of(work, "kind"));
    out->has_entry = id_of(work, "entry", &out->entry);
    out->has_revision = id_of(work, "revision", &out->revision);
    out->has_token = id_of(caller, "token", &out->token);
    out->has_caller = did_key_parse(&out->caller_node, bytes_str(text_of(caller, "node")));
}

static const char *check_subject(const json_t *document, struct receipt_view *out)
{
    static const char statuses[] = " succeeded failed refused timeout partial ";
    assert(json_is_object(document));
    char word[32];
    const json_t *subject = json_object_get(document, "credentialSubject"), *work = json_object_get(subject, "work");
    const char *started = text_of(work, "startedAt"), *completed = text_of(work, "completedAt");
    (void)snprintf(word, sizeof word, " %.28s ", text_of(work, "status"));
    if (text_of(work, "modelId")[0] == 0)
        return "it does not say what worked (work.modelId)";
    if (strlen(word) < 3 || strstr(statuses, word) == NULL)
        return "work.status is none that a receipt has";
    if (!is_time(completed) || (started[0] != 0 && (!is_time(started) || time_order(started, completed) > 0)))
        return "work.startedAt and work.completedAt are not times in order";
    if (!sri_parse(&out->input, text_of(subject, "inputDigest")) ||
        !sri_parse(&out->output, text_of(subject, "outputDigest")))
        return "inputDigest or outputDigest is not a SHA-256 digest";
    (void)snprintf(out->result, sizeof out->result, "%s", text_of(work, "result"));
    view_more(subject, out);
    return NULL;
}

static const char *check_envelope(const json_t *document, struct receipt_view *out)
{
    const json_t *contexts = json_object_get(document, "@context"), *types = json_object_get(document, "type");
    const char *first = json_string_value(json_array_get(contexts, 0));
    if (!json_is_object(document))
        return "it is not a JSON object";
    if (first == NULL || strcmp(first, CONTEXT_VC) != 0 || !lists(contexts, CONTEXT_AWR))
        return "its @context is not that of a receipt";
    if (!lists(types, "VerifiableCredential") || !lists(types, "WorkReceipt"))
        return "its type is not that of a receipt";
    if (strcmp(text_of(document, "awrVersion"), AWR_VERSION) != 0)
        return "its awrVersion is not " AWR_VERSION ", the only one that this program knows";
    if (!receipt_id_parse(&out->id, bytes_str(text_of(document, "id"))))
        return "its id is not a urn:uuid";
    if (!is_time(text_of(document, "validFrom")))
        return "its validFrom is not a time";
    if (!did_key_parse(&out->issuer, bytes_str(text_of(json_object_get(document, "issuer"), "id"))))
        return "its issuer is not a did:key of Ed25519";
    return check_subject(document, out);
}

enum err receipt_verify(struct bytes text, struct receipt_view *out, struct buf *why)
{
    struct key signer;
    *out = (struct receipt_view){0};
    json_t *document = jcs_parse(text, why);
    if (document == NULL)
        return ERR_FORM;
    const char *fault = check_envelope(document, out);
    enum err e = fault != NULL ? ERR_FORM : proof_check(document, &signer, why);
    if (e == ERR_OK && !key_eq(&signer, &out->issuer)) {
        e = ERR_SIGNATURE;
        fault = "its proof is by another key than its issuer's";
    }
    if (fault != NULL)
        buf_put_str(why, fault);
    json_decref(document);
    return e;
}

static bool is_one_of(const struct digest *d, const struct digest *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(d, &list[i], sizeof *d) == 0)
            return true;
    return false;
}

bool receipt_is_about(const struct receipt_view *v, const struct receipt_asked *a, struct buf *why)
{
    const char *fault = NULL;
    assert(a->kind != NULL && a->result != NULL);
    if (!key_eq(&v->issuer, &a->issuer))
        fault = "it is signed by another node than the one that was asked";
    else if (!v->has_entry || !id_eq(&v->entry, &a->entry) || strcmp(v->kind, a->kind) != 0)
        fault = "it is about another entry";
    else if (strcmp(v->result, a->result) != 0)
        fault = "it says another result than the answer";
    else if (!is_one_of(&v->input, a->inputs, a->input_count))
        fault = "it is about another input than the one that was sent";
    else if (memcmp(&v->output, &a->output, sizeof v->output) != 0)
        fault = "it is about another output than the one that came";
    else if (!v->has_caller || !key_eq(&v->caller_node, &a->caller_node) || v->has_token != a->has_token ||
             (a->has_token && !id_eq(&v->token, &a->token)))
        fault = "it names another caller";
    if (fault != NULL)
        buf_put_str(why, fault);
    return fault == NULL;
}
