/*
 * Entries ready to send, kept for readers that ask for the same ones again and again. Owns a fixed table, at most
 * ANSWERS_SLOTS times ANSWERS_BYTES_MAX bytes; one thread's. Knows nothing of the store but what it is told: an answer is given
 * back only at the moment at which it was kept. The owner's moment must change before anything that an answer shows can:
 * then nothing stale is ever served, whatever the reason for a change is.
 */
#ifndef SOUK_NODE_ANSWERS_H
#define SOUK_NODE_ANSWERS_H

#include "store/store.h"

#define ANSWERS_SLOTS     512  /* each for the entries of one hash             */
#define ANSWERS_BYTES_MAX 8192 /* a longer answer is not kept                  */

struct answers;

struct answers *answers_new(void);
void answers_free(struct answers *a);

/* Appends the answer kept for this entry and fills *info, if it was kept at this moment. */
bool answers_get(const struct answers *a, uint64_t moment, const struct entry_info *asked, struct entry_info *info, struct buf *out);
/* An answer was made. It is kept from the second time on that its slot sees the same entry in a row, so that reading
 * many entries once each costs no copies and drives nothing out. */
void answers_made(struct answers *a, uint64_t moment, const struct entry_info *info, struct bytes answer);

#endif
