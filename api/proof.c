/*
 * Making and checking eddsa-jcs-2022 proofs. Verification is libsodium's: canonical S, no small-order points, R compared
 * as bytes, cofactorless; keys whose y is not reduced are refused.
 */
#include "api/proof.h"

#include "api/jcs.h"
#include "crdt/multibase.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

#define METHOD_SIZE (2 * DID_KEY_SIZE)
#define SUITE "eddsa-jcs-2022"
#define HALF (PROOF_HASH_BYTES / 2)

/* "did:key:z6Mk...#z6Mk..." */
static void method_of(char out[METHOD_SIZE], const struct key *key)
{
    size_t start = strlen("did:key:");
    did_key(out, key);
    size_t n = strlen(out);
    assert(n > start && 2 * n < METHOD_SIZE);
    out[n] = '#';
    memcpy(out + n + 1, out + start, n - start);
    out[n + 1 + n - start] = 0;
}

/* SHA-256 of the canonical form of an object without one of its members. */
static enum err hash_without(uint8_t out[HALF], const json_t *object, const char *member)
{
    assert(json_is_object(object));
    struct buf text = {0};
    json_t *copy = json_copy((json_t *)(uintptr_t)object);
    (void)json_object_del(copy, member);
    enum err e = jcs_put(&text, copy);
    if (e == ERR_OK)
        (void)crypto_hash_sha256(out, text.p, text.n);
    json_decref(copy);
    buf_close(&text);
    return e;
}

enum err proof_hash(uint8_t out[PROOF_HASH_BYTES], const json_t *document, const json_t *proof)
{
    enum err e = hash_without(out, proof, "proofValue");
    return e == ERR_OK ? hash_without(out + HALF, document, "proof") : e;
}

enum err proof_add(json_t *document, const struct proof_signer *signer)
{
    uint8_t hash[PROOF_HASH_BYTES], sig[SIG_BYTES];
    char method[METHOD_SIZE];
    struct buf value = {0};
    json_t *context = json_object_get(document, "@context");
    assert(json_is_object(document) && context != NULL && signer->created[0] != 0);
    method_of(method, &signer->key);
    json_t *proof = json_pack("{s:s s:s s:s s:s s:s}", "type", "DataIntegrityProof", "cryptosuite", SUITE, "created",
                              signer->created, "verificationMethod", method, "proofPurpose", "assertionMethod");
    assert(proof != NULL);
    (void)json_object_set_new(proof, "@context", json_deep_copy(context));
    enum err e = proof_hash(hash, document, proof);
    if (e != ERR_OK) {
        json_decref(proof);
        return e;
    }
    (void)crypto_sign_detached(sig, NULL, hash, sizeof hash, signer->secret);
    buf_put_u8(&value, 'z');
    base58_put(&value, bytes_of(sig, sizeof sig));
    (void)json_object_set_new(proof, "proofValue", json_stringn((const char *)value.p, value.n));
    (void)json_object_set_new(document, "proof", proof);
    buf_close(&value);
    return ERR_OK;
}

static bool member_is(const json_t *object, const char *name, const char *value)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL && strcmp(text, value) == 0;
}

static const char *fault_of(const json_t *document, const json_t *proof)
{
    const json_t *own = json_object_get(proof, "@context"), *of_document = json_object_get(document, "@context");
    if (!json_is_object(proof))
        return "it has no single proof";
    if (!member_is(proof, "type", "DataIntegrityProof") || !member_is(proof, "cryptosuite", SUITE))
        return "its proof is not of the type DataIntegrityProof with the cryptosuite " SUITE;
    if (!member_is(proof, "proofPurpose", "assertionMethod"))
        return "its proof is not for the purpose assertionMethod";
    if (!json_is_string(json_object_get(proof, "created")))
        return "its proof does not say when it was created";
    if (own == NULL || of_document == NULL || !json_equal(own, of_document))
        return "its proof does not carry the document's @context";
    return NULL;
}

/* The key and the signature that a proof names. */
static const char *key_of(const json_t *proof, struct key *key, uint8_t sig[SIG_BYTES])
{
    char expected[METHOD_SIZE];
    const char *method = json_string_value(json_object_get(proof, "verificationMethod"));
    const char *value = json_string_value(json_object_get(proof, "proofValue"));
    const char *hash = method != NULL ? strchr(method, '#') : NULL;
    if (hash == NULL || !did_key_parse(key, bytes_of(method, (size_t)(hash - method))))
        return "its verificationMethod is not a did:key of Ed25519";
    method_of(expected, key);
    if (strcmp(expected, method) != 0)
        return "its verificationMethod does not name the key of its did:key";
    if (value == NULL || value[0] != 'z' || !base58_parse(sig, SIG_BYTES, bytes_str(value + 1)))
        return "its proofValue is not the base58btc of 64 bytes";
    return NULL;
}

enum err proof_check(const json_t *document, struct key *signer, struct buf *why)
{
    uint8_t hash[PROOF_HASH_BYTES], sig[SIG_BYTES];
    const json_t *proof = json_object_get(document, "proof");
    const char *fault = fault_of(document, proof);
    if (fault == NULL)
        fault = key_of(proof, signer, sig);
    enum err e = fault != NULL ? ERR_FORM : proof_hash(hash, document, proof);
    if (e == ERR_OK && crypto_sign_verify_detached(sig, hash, sizeof hash, signer->b) != 0) {
        e = ERR_SIGNATURE;
        fault = "its signature does not verify";
    }
    if (e != ERR_OK)
        buf_put_str(why, fault != NULL ? fault : "it cannot be brought into canonical form");
    return e;
}
