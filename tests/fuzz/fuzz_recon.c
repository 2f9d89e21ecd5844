/*
 * Any bytes as a reconciliation frame, in both roles and all forms: refused with a reason, or answered within the frame
 * limit by a frame that the other side takes. The first byte chooses: bit 0 the role, bits 1 and 2 the form.
 */
#include "crdt/alloc.h"
#include "crdt/rng.h"
#include "net/recon.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ITEMS 90

/* Two sets that differ in some places; the same for every input. */
static struct setindex *sets[2];

static void fill(void)
{
    struct rng r;
    rng_seed(&r, 1);
    sets[0] = setindex_new();
    sets[1] = setindex_new();
    for (uint64_t i = 0; i < ITEMS; i++) {
        struct item x = {.time = (UINT64_C(1) << 56) + i / 3 * 1000};
        rng_bytes(&r, x.id.b, sizeof x.id.b);
        for (size_t side = 0; side < 2; side++)
            if (i % 40 != side && i % 97 != side)
                (void)setindex_insert(sets[side], &x);
    }
}

static struct recon_config config_of(uint8_t choice, enum recon_role role)
{
    return (struct recon_config){
        .set = sets[role == RECON_RESPONDER],
        .mode = (choice & 2) != 0 ? RECON_CONFORMANCE : (choice & 4) != 0 ? RECON_AUDIT : RECON_PRODUCTION,
        .span = ITEMS / 2,
        .role = role,
        .bound = UINT64_MAX,
        .frame_limit = RECON_FRAME_MIN,
    };
}

static void hand_back(uint8_t choice, enum recon_role role, struct bytes frame)
{
    struct recon_config c = config_of(choice, role);
    struct recon r;
    struct recon_diff diff = {0};
    struct buf out = {0};
    recon_init(&r, &c);
    if (recon_input(&r, frame, &out, &diff) == RECON_ERROR)
        abort();
    recon_close(&r);
    recon_diff_close(&diff);
    buf_close(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sets[0] == NULL)
        fill();
    if (size == 0)
        return 0;
    enum recon_role role = (data[0] & 1) != 0 ? RECON_RESPONDER : RECON_INITIATOR;
    struct recon_config c = config_of(data[0], role);
    struct recon r;
    struct recon_diff diff = {0};
    struct buf out = {0};
    recon_init(&r, &c);
    enum recon_status status = recon_input(&r, bytes_of(data + 1, size - 1), &out, &diff);
    if (status == RECON_ERROR ? r.why == NULL : out.n > RECON_FRAME_MIN)
        abort();
    if (diff.need_count > size / ID_BYTES || (c.mode != RECON_CONFORMANCE && diff.have_count > RECON_HAVE_MAX))
        abort();
    if (status == RECON_SEND)
        hand_back(data[0], role == RECON_INITIATOR ? RECON_RESPONDER : RECON_INITIATOR, buf_view(&out));
    recon_close(&r);
    recon_diff_close(&diff);
    buf_close(&out);
    return 0;
}
