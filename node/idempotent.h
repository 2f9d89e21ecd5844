/*
 * Idempotency keys: a repeated request is answered with what the first one got, for a while. Bounded in number, bytes and
 * time; the least recent go first. Pure: the time is an argument.
 */
#ifndef SOUK_NODE_IDEMPOTENT_H
#define SOUK_NODE_IDEMPOTENT_H

#include "crdt/id.h"

#define IDEMPOTENT_MAX   1024
#define IDEMPOTENT_BYTES (64u << 20)
#define IDEMPOTENT_MS    (10u * 60 * 1000)

struct idempotent;
struct idempotent *idempotent_new(void);
void idempotent_free(struct idempotent *t);

enum idempotent_state {
    IDEMPOTENT_FRESH,   /* not seen: it is now under way; idempotent_keep or idempotent_forget must follow */
    IDEMPOTENT_RUNNING, /* the first one has not ended                                                      */
    IDEMPOTENT_OTHER,   /* seen with another request                                                        */
    IDEMPOTENT_DONE     /* *answer is what it got, borrowed until the next call                             */
};
/* `key` names caller and key, `request` all that was asked. */
enum idempotent_state idempotent_begin(struct idempotent *t, const struct id *key, const struct id *request,
                                       uint64_t now_ms, struct bytes *answer);
/* The answer, copied; too large a one is not kept. */
void idempotent_keep(struct idempotent *t, const struct id *key, struct bytes answer);
/* Nothing was done: the key may be used again. */
void idempotent_forget(struct idempotent *t, const struct id *key);

#endif
