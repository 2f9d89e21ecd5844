/*
 * Bounded memory of ids: which ids a peer is known to have, and which are not to be asked for until a time. Both are
 * four-way caches that forget: forgetting costs a duplicate, never a loss. Keyed, so that nobody can aim at a bucket.
 */
#ifndef SOUK_NET_RECENT_H
#define SOUK_NET_RECENT_H

#include "crdt/id.h"

#define RECENT_WAYS    4
#define RECENT_BUCKETS 2048 /* 8192 ids, 64 KiB, at most             */
#define RECENT_FIRST   32   /* 128 ids: an idle link costs little    */
#define MEMO_BUCKETS   512  /* 2048 ids, 32 KiB                      */

struct recent {
    uint64_t *slot;    /* allocated at the first add, doubled as it fills */
    uint8_t *next;     /* the way to overwrite, by bucket */
    size_t buckets, count;
    uint64_t secret;
};
void recent_init(struct recent *r, uint64_t secret);
void recent_close(struct recent *r);
bool recent_has(const struct recent *r, const struct id *id);
void recent_add(struct recent *r, const struct id *id);

struct memo_row {
    uint64_t id, until_ms;
};
struct memo {
    struct memo_row *row; /* allocated at the first add */
    uint64_t secret;
};
void memo_init(struct memo *m, uint64_t secret);
void memo_close(struct memo *m);
bool memo_has(const struct memo *m, const struct id *id, uint64_t now_ms);
void memo_add(struct memo *m, const struct id *id, uint64_t until_ms);

#endif
