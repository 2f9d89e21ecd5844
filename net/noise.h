/*
 * Noise_XX_25519_ChaChaPoly over SHA-256 (souk's suite) or BLAKE2b (only so that more published vectors apply), as a
 * sans-I/O state machine: messages in, messages out, two cipher states at the end. The ephemeral secret is an argument,
 * so a run is reproducible. It knows nothing of souk's payloads, records or keys of identity.
 */
#ifndef SOUK_NET_NOISE_H
#define SOUK_NET_NOISE_H

#include "crdt/bytes.h"

#define NOISE_KEY_BYTES  32
#define NOISE_TAG_BYTES  16
#define NOISE_HASH_MAX   64     /* bytes of the longest hash (BLAKE2b)         */
#define NOISE_RECORD_MAX 65535  /* bytes of one Noise message, tag included    */

enum noise_hash { NOISE_SHA256, NOISE_BLAKE2B };
enum noise_role { NOISE_INITIATOR, NOISE_RESPONDER };

/* One direction of a session. The nonce counts up and never repeats; a failed open leaves it where it was. */
struct noise_cipher {
    uint8_t key[NOISE_KEY_BYTES];
    uint64_t nonce;
    bool keyed; /* false: passes plaintext through (the first messages of a handshake) */
};

/* Appends ciphertext and tag (plaintext + 16 bytes) to out. */
void noise_seal(struct noise_cipher *c, struct bytes ad, struct bytes plain, struct buf *out);
/* Appends the plaintext to out. False: the tag does not hold; out and the nonce are unchanged. */
bool noise_open(struct noise_cipher *c, struct bytes ad, struct bytes sealed, struct buf *out);
/* REKEY of the Noise specification: a new key from the old one; the nonce runs on. */
void noise_rekey(struct noise_cipher *c);

enum noise_state {
    NOISE_FAILED,   /* also the state of a zeroed struct: refuses everything    */
    NOISE_WRITE,    /* this side sends the next message                        */
    NOISE_READ,     /* the other side does                                     */
    NOISE_DONE      /* three messages went through: noise_split                */
};

struct noise {
    enum noise_state state;
    enum noise_hash hash;
    enum noise_role role;
    unsigned message;                     /* 0, 1, 2: the next one */
    uint8_t chain[NOISE_HASH_MAX];
    uint8_t transcript[NOISE_HASH_MAX];   /* at the end: the handshake hash */
    struct noise_cipher cipher;
    uint8_t static_secret[32], static_public[32];
    uint8_t ephemeral_secret[32], ephemeral_public[32];
    uint8_t remote_static[32];            /* valid once its message was read */
    uint8_t remote_ephemeral[32];
};

struct noise_config {
    enum noise_hash hash;
    enum noise_role role;
    struct bytes prologue;
    const uint8_t *static_secret;    /* 32 bytes */
    const uint8_t *ephemeral_secret; /* 32 bytes, fresh for every handshake */
};

void noise_init(struct noise *n, const struct noise_config *config);
/* Appends the next handshake message with this payload. Only in NOISE_WRITE (asserted). False: a Diffie-Hellman output
 * was all zeros; the state is NOISE_FAILED. */
bool noise_write(struct noise *n, struct bytes payload, struct buf *out);
/* Reads the other side's next message and appends its payload. Only in NOISE_READ (asserted). False: too short, a bad
 * tag or a zero Diffie-Hellman output; the state is NOISE_FAILED. */
bool noise_read(struct noise *n, struct bytes message, struct buf *payload);
/* After NOISE_DONE: this side's two directions. */
void noise_split(const struct noise *n, struct noise_cipher *send, struct noise_cipher *receive);
size_t noise_hash_size(enum noise_hash hash);
/* Forgets all secrets. Safe on a zeroed struct. */
void noise_close(struct noise *n);

#endif
