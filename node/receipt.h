/*
 * Receipts: what a node says, under its own key, about one invoke. A W3C Verifiable Credential 2.0 of type WorkReceipt
 * with an eddsa-jcs-2022 proof, which anybody can verify offline. The members: see "Receipts" in api/API.md.
 */
#ifndef SOUK_NODE_RECEIPT_H
#define SOUK_NODE_RECEIPT_H

#include "crdt/err.h"
#include "crdt/id.h"

#define RECEIPT_ID_BYTES 16   /* a UUID, version 7: its first 48 bits are Unix milliseconds */
#define RECEIPT_ID_SIZE  37   /* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" and the NUL         */
#define RECEIPT_MAX      8192 /* bytes of one                                               */

struct receipt_id {
    uint8_t b[RECEIPT_ID_BYTES];
};
/* A new one: the time and ten random bytes. */
void receipt_id_make(struct receipt_id *out, uint64_t clock_ms, const uint8_t random[10]);
void receipt_id_text(char out[RECEIPT_ID_SIZE], const struct receipt_id *id);
bool receipt_id_parse(struct receipt_id *out, struct bytes text); /* the text form, with or without urn:uuid: before it */
uint64_t receipt_id_ms(const struct receipt_id *id);

#define DIGEST_BYTES 32
struct digest { /* SHA-256 */
    uint8_t b[DIGEST_BYTES];
};
void digest_of(struct digest *out, struct bytes x);

struct receipt {
    struct receipt_id id;
    struct key issuer;          /* the serving node */
    const char *issuer_name;    /* informational; "" : none */
    const char *kind;           /* "model" or "agent" */
    const char *name;           /* of the entry */
    struct id entry;
    bool has_revision;
    struct id revision;         /* op id of the entry's newest head at the time */
    struct digest input, output;
    uint64_t started_ms, finished_ms; /* wall clock */
    const char *result;         /* ok exit signal timeout cpu oom output_limit bad_output setup cancelled */
    uint64_t wall_us, cpu_us, peak_bytes, input_bytes, output_bytes;
    struct key caller_node;     /* the node that took the request */
    bool has_token;
    struct id token;            /* receipt_token: which of that node's tokens, without telling */
};
/* H("souk/receipt-token/1", node, token id) */
void receipt_token(struct id *out, const struct key *node, uint64_t token);

/* Appends the signed document, one line. */
void receipt_write(struct buf *out, const struct receipt *r, const uint8_t secret[64]);

/* What a verified receipt says; texts are copies. */
struct receipt_view {
    struct receipt_id id;
    struct key issuer;
    struct digest input, output;
    char result[32];
    /* Members that receipts of others may lack; then false, or an empty text. */
    char kind[16];
    bool has_entry, has_revision, has_caller, has_token;
    struct id entry, revision, token;
    struct key caller_node;
};
/* Checks form and signature, offline. ERR_FORM: not such a document; ERR_SIGNATURE: the proof does not hold, or is by
 * another than the issuer. A sentence is appended to why. */
SOUK_MUST_USE enum err receipt_verify(struct bytes text, struct receipt_view *out, struct buf *why);

/* What the node that asked knows of a run. */
struct receipt_asked {
    struct key issuer;           /* who was asked                                            */
    const char *kind;
    struct id entry;
    const struct digest *inputs; /* of what was sent, one for each way in which it may be read; perhaps none */
    size_t input_count;
    struct digest output;        /* of what came back                                        */
    const char *result;          /* what the answer says of the end                          */
    struct key caller_node;
    bool has_token;
    struct id token;
};
/* Is a verified receipt about this run? If not, what differs is appended to why. */
bool receipt_is_about(const struct receipt_view *v, const struct receipt_asked *a, struct buf *why);

#endif
