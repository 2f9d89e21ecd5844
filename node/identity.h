/*
 * The files that say who a node is, as text in and out: key files, keys exported under a passphrase, and the mesh
 * file. Pure: where they lie and how they are written safely is dir.h; salts and nonces are arguments.
 */
#ifndef SOUK_NODE_IDENTITY_H
#define SOUK_NODE_IDENTITY_H

#include "crdt/err.h"
#include "crdt/id.h"
#include "crdt/limits.h"

#define KEY_NAME_MAX  64   /* characters of an author key's name */
#define KEY_FILE_MAX  4096 /* bytes of any file of this header   */
#define KEY_SALT_SIZE 16   /* Argon2id                           */
#define KEY_NONCE_SIZE 24  /* XChaCha20-Poly1305                 */

enum key_type {
    KEY_ED25519, /* authors and nodes: the 32 bytes are a seed     */
    KEY_X25519   /* the Noise static key: the 32 bytes are secret  */
};

/* What is kept of a key. `secret` is libsodium's 64-byte form of the seed. */
struct keypair {
    struct key key;
    uint8_t seed[32];
    uint8_t secret[64];
};
void keypair_from_seed(struct keypair *out, const uint8_t seed[32]);

/* 1..64 of a-z A-Z 0-9 . _ - , the first not a dot or a dash: such a name is also a safe file name. */
bool key_name_valid(struct bytes name);

/* The unencrypted file of a data directory. Appended. */
void key_file_write(struct buf *out, enum key_type type, const uint8_t secret[32]);
/* ERR_FORM, ERR_VERSION; a sentence was appended to why. */
SOUK_MUST_USE enum err key_file_read(struct bytes in, enum key_type type, uint8_t secret[32], struct buf *why);

/* How hard the passphrase is to guess: libsodium's opslimit and memlimit of Argon2id. */
struct key_cost {
    uint64_t passes;
    uint64_t memory_bytes;
};
struct key_cost key_cost_default(void); /* "moderate": about a second and 256 MiB */

struct key_export {
    struct bytes name;       /* valid */
    const uint8_t *seed;     /* 32 bytes */
    struct bytes passphrase; /* not empty */
    const uint8_t *salt;     /* KEY_SALT_SIZE random bytes */
    const uint8_t *nonce;    /* KEY_NONCE_SIZE random bytes */
    struct key_cost cost;
};
/* An author key, encrypted. Everything outside the box is authenticated by it. Appended. */
void key_export_write(struct buf *out, const struct key_export *e);
/* ERR_DENIED: the passphrase does not open it; ERR_FORM, ERR_VERSION, ERR_LIMIT (an absurd cost). */
SOUK_MUST_USE enum err key_export_read(struct bytes in, struct bytes passphrase, char name[KEY_NAME_MAX + 1],
                                       uint8_t seed[32], struct buf *why);

enum admission { ADMISSION_OPEN, ADMISSION_MEMBERS };

/* D/mesh: which mesh a directory belongs to. */
struct mesh_file {
    struct id id;
    bool has_founder;      /* a joiner learns the rest from its first peer */
    struct key founder;
    char name[MODEL_NAME_MAX + 1];
    bool founded_here;     /* this directory holds the founder's key as `founder` and sees to the charter */
    enum admission admission; /* meaningful where founded_here */
};
void mesh_file_write(struct buf *out, const struct mesh_file *m);
/* ERR_FORM, ERR_VERSION, ERR_MESH (the id does not follow from founder and name). */
SOUK_MUST_USE enum err mesh_file_read(struct bytes in, struct mesh_file *out, struct buf *why);

#endif
