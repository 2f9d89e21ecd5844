/*
 * Data Integrity proofs of the W3C, cryptosuite eddsa-jcs-2022: an Ed25519 signature over
 * SHA256(JCS(proof without its value)) || SHA256(JCS(document without proof)), by a did:key. Pure: keys and times are
 * arguments, and no context is ever fetched.
 */
#ifndef SOUK_API_PROOF_H
#define SOUK_API_PROOF_H

#include "crdt/err.h"
#include "crdt/id.h"

struct json_t; /* jansson */

#define PROOF_HASH_BYTES 64

struct proof_signer {
    struct key key;
    const uint8_t *secret;   /* libsodium's 64-byte form             */
    const char *created;     /* RFC 3339, UTC, with a Z              */
};
/* Sets the member `proof` of the object, with the document's @context in it. ERR_FORM, ERR_LIMIT: see jcs_put. */
SOUK_MUST_USE enum err proof_add(struct json_t *document, const struct proof_signer *signer);

/* What is signed, for a document whose proof is given apart (its proofValue, if any, is left out). */
SOUK_MUST_USE enum err proof_hash(uint8_t out[PROOF_HASH_BYTES], const struct json_t *document,
                                  const struct json_t *proof);

/* The key that the document's one proof is by. ERR_FORM: the proof does not have the form that proof_add gives it
 * (assertionMethod, did:key, the document's own @context); ERR_SIGNATURE. A sentence is appended to why. */
SOUK_MUST_USE enum err proof_check(const struct json_t *document, struct key *signer, struct buf *why);

#endif
