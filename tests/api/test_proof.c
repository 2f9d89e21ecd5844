/*
 * eddsa-jcs-2022: the published vectors of the W3C's "Data Integrity EdDSA Cryptosuites", and every way in which a proof
 * can be wrong.
 */
#include "api/jcs.h"
#include "api/proof.h"
#include "crdt/multibase.h"
#include "tests/lib/gen.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#define CONTEXTS "[\"https://www.w3.org/ns/credentials/v2\",\"https://www.w3.org/ns/credentials/examples/v2\"]"
#define KEY "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
#define VALUE "z2HnFSSPPBzR36zdDgK8PbEHeXbR56YF24jwMpt3R1eHXQzJDMWS93FCzpvJpwTWd3GAVFuUfjoJdcnTMuVor51aX"
#define SECRET "3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq" /* base58 of 80 26 and the seed */
#define CREATED "2023-02-24T23:36:38Z"

static const char vector[] =
    "{\"@context\":" CONTEXTS ",\"id\":\"urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33\","
    "\"type\":[\"VerifiableCredential\",\"AlumniCredential\"],\"name\":\"Alumni Credential\","
    "\"description\":\"A minimum viable example of an Alumni Credential.\","
    "\"issuer\":\"https://vc.example/issuers/5678\",\"validFrom\":\"2023-01-01T00:00:00Z\","
    "\"credentialSubject\":{\"id\":\"did:example:abcdefgh\",\"alumniOf\":\"The School of Examples\"},"
    "\"proof\":{\"type\":\"DataIntegrityProof\",\"cryptosuite\":\"eddsa-jcs-2022\",\"created\":\"" CREATED "\","
    "\"verificationMethod\":\"did:key:" KEY "#" KEY "\",\"proofPurpose\":\"assertionMethod\","
    "\"@context\":" CONTEXTS ",\"proofValue\":\"" VALUE "\"}}";

static json_t *load(void)
{
    struct buf why = {0};
    json_t *document = jcs_parse(bytes_str(vector), &why);
    cr_assert(document != NULL, "%s", buf_cstr(&why));
    buf_close(&why);
    return document;
}

static enum err check(const json_t *document)
{
    struct buf why = {0};
    struct key key;
    enum err e = proof_check(document, &key, &why);
    cr_assert((e == ERR_OK) == (why.n == 0));
    buf_close(&why);
    return e;
}

Test(proof, the_published_hashes)
{
    uint8_t hash[PROOF_HASH_BYTES];
    char hex[2 * PROOF_HASH_BYTES + 1];
    json_t *document = load();
    cr_assert_eq(proof_hash(hash, document, json_object_get(document, "proof")), ERR_OK);
    hex_encode(hex, hash, sizeof hash);
    cr_assert_str_eq(hex, "66ab154f5c2890a140cb8388a22a160454f80575f6eae09e5a097cabe539a1db"
                          "59b7cb6251b8991add1ce0bc83107e3db9dbbab5bd2c28f687db1a03abc92f19");
    json_decref(document);
}

Test(proof, the_published_signature_verifies)
{
    struct buf why = {0};
    struct key key;
    char did[DID_KEY_SIZE];
    json_t *document = load();
    cr_assert_eq(proof_check(document, &key, &why), ERR_OK, "%s", buf_cstr(&why));
    did_key(did, &key);
    cr_assert_str_eq(did, "did:key:" KEY);
    json_decref(document);
    buf_close(&why);
}

Test(proof, the_published_signature_is_made)
{
    uint8_t seed[34];
    struct gen_author author;
    json_t *document = load();
    cr_assert(base58_parse(seed, sizeof seed, bytes_str(SECRET)));
    gen_author_seed(&author, seed + 2);
    (void)json_object_del(document, "proof");
    struct proof_signer signer = {.key = author.key, .secret = author.secret, .created = CREATED};
    cr_assert_eq(proof_add(document, &signer), ERR_OK);
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(document, "proof"), "proofValue")), VALUE);
    cr_assert_eq(check(document), ERR_OK);
    json_decref(document);
}

Test(proof, any_change_of_the_document_breaks_it)
{
    static const char *const members[] = {"id", "name", "issuer", "validFrom"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *document = load();
        (void)json_object_set_new(document, members[i], json_string("x"));
        cr_assert_eq(check(document), ERR_SIGNATURE, "%s", members[i]);
        (void)json_object_del(document, members[i]);
        cr_assert_eq(check(document), ERR_SIGNATURE, "%s", members[i]);
        json_decref(document);
    }
    json_t *document = load();
    (void)json_object_set_new(document, "more", json_true());
    cr_assert_eq(check(document), ERR_SIGNATURE);
    json_decref(document);
}

static void change_proof(const char *member, json_t *value, enum err want)
{
    json_t *document = load();
    json_t *proof = json_object_get(document, "proof");
    if (value != NULL)
        (void)json_object_set_new(proof, member, value);
    else
        (void)json_object_del(proof, member);
    cr_assert_eq(check(document), want, "%s", member);
    json_decref(document);
}

Test(proof, a_proof_of_another_form_is_refused)
{
    static const char *const members[] = {"type", "cryptosuite", "created", "verificationMethod", "proofPurpose",
                                          "@context", "proofValue"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        change_proof(members[i], NULL, ERR_FORM);
        change_proof(members[i], json_integer(1), ERR_FORM);
    }
    change_proof("cryptosuite", json_string("eddsa-rdfc-2022"), ERR_FORM);
    change_proof("type", json_string("Ed25519Signature2020"), ERR_FORM);
    change_proof("proofPurpose", json_string("authentication"), ERR_FORM);
    change_proof("verificationMethod", json_string("did:key:" KEY), ERR_FORM);
    change_proof("verificationMethod", json_string("did:key:" KEY "#key-1"), ERR_FORM);
    change_proof("proofValue", json_string(&VALUE[1]), ERR_FORM);
    change_proof("proofValue", json_string("u" "AAAA"), ERR_FORM);
    change_proof("created", json_string("2023-02-24T23:36:39Z"), ERR_SIGNATURE);
    change_proof("domain", json_string("x"), ERR_SIGNATURE);
}

Test(proof, none_or_several_are_refused)
{
    json_t *document = load(), *list = json_array();
    (void)json_array_append(list, json_object_get(document, "proof"));
    (void)json_object_set_new(document, "proof", list);
    cr_assert_eq(check(document), ERR_FORM);
    (void)json_object_del(document, "proof");
    cr_assert_eq(check(document), ERR_FORM);
    json_decref(document);
}

/* The identity as key and the base point as R would sign every document under a lax verifier. */
Test(proof, a_key_of_small_order_signs_nothing)
{
    uint8_t sig[SIG_BYTES] = {0x58};
    struct key identity = {{1}};
    struct buf value = {0};
    char did[DID_KEY_SIZE], method[2 * DID_KEY_SIZE + 8];
    memset(sig + 1, 0x66, 31);
    sig[32] = 1;
    buf_put_u8(&value, 'z');
    base58_put(&value, bytes_of(sig, sizeof sig));
    did_key(did, &identity);
    (void)snprintf(method, sizeof method, "%s#%s", did, did + 8);
    json_t *document = load(), *proof = json_object_get(document, "proof");
    (void)json_object_set_new(proof, "verificationMethod", json_string(method));
    (void)json_object_set_new(proof, "proofValue", json_string(buf_cstr(&value)));
    cr_assert_eq(check(document), ERR_SIGNATURE);
    json_decref(document);
    buf_close(&value);
}
