/*
 * Ed25519 over a delta's id. One signature covers all ops of a delta and enters no hash. Signing is
 * deterministic; verification is strict, since two nodes that disagree about one signature would hold
 * different sets. Knows nothing of what the delta says.
 */
#include "crdt/delta.h"

#include <assert.h>
#include <string.h>

#define TAG "souk/delta/1"
#define MESSAGE_BYTES (4 + sizeof TAG - 1 + 4 + ID_BYTES)

/* frame("souk/delta/1") frame(delta id): see MODEL 2. */
static void message(uint8_t out[MESSAGE_BYTES], const struct id *delta)
{
    static const uint8_t frames[] = {sizeof TAG - 1, 0, 0, 0};
    static const uint8_t id_frame[] = {ID_BYTES, 0, 0, 0};
    memcpy(out, frames, 4);
    memcpy(out + 4, TAG, sizeof TAG - 1);
    memcpy(out + 4 + sizeof TAG - 1, id_frame, 4);
    memcpy(out + MESSAGE_BYTES - ID_BYTES, delta->b, ID_BYTES);
}

void delta_id(struct id *out, struct bytes delta_bytes)
{
    struct hasher h;
    hash_init(&h, TAG);
    hash_part(&h, delta_bytes.p, delta_bytes.n);
    hash_end(&h, out);
}

void delta_sign(uint8_t sig[SIG_BYTES], const struct id *delta, const uint8_t secret[64])
{
    uint8_t m[MESSAGE_BYTES];
    message(m, delta);
    int failed = crypto_sign_detached(sig, NULL, m, sizeof m, secret);
    assert(!failed);
    (void)failed;
}

enum err delta_verify(const struct id *delta, const struct key *author, const uint8_t sig[SIG_BYTES])
{
    uint8_t m[MESSAGE_BYTES];
    message(m, delta);
    return crypto_sign_verify_detached(sig, m, sizeof m, author->b) == 0 ? ERR_OK : ERR_SIGNATURE;
}
