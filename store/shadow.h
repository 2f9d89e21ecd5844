/*
 * A store to compare another with: everything derived is kept in memory, deltas and bodies are read from the original,
 * JSON is kept as its hash alone. About a kilobyte an entry.
 */
#ifndef SOUK_STORE_SHADOW_H
#define SOUK_STORE_SHADOW_H

#include "store/kv.h"

struct kv *kv_shadow_new(struct kv *original, const struct kv_snapshot *at); /* both outlive it */

#endif
