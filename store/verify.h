/*
 * What the files of verify share: one examination of a store, as of one moment whoever writes meanwhile. verify.c checks
 * deltas and replays them, verify_needs.c finds those that one entry rests on, verify_rows.c compares what follows
 * from them. Nobody else includes this.
 */
#ifndef SOUK_STORE_VERIFY_H
#define SOUK_STORE_VERIFY_H

#include "store/work.h"

struct check {
    const struct store *store;
    struct kv *kv;
    const struct kv_ops *ops;
    const struct kv_snapshot *snap; /* all rows are read as of this moment                  */
    const struct id *only;          /* NULL: every entry                                     */
    bool quiet;                     /* what is checked now is not about `only`: faults alone */
    void (*each)(void *, const struct verify_finding *);
    void (*progress)(void *, uint64_t done, uint64_t total);
    void *ctx;
    bool failed;
    uint64_t done, total;
    struct work_list deltas;        /* ids to replay: each a struct id, owned                */
};

enum outcome { FAILED, PASSED };

/* `detail` says what is wrong; "" where it passed. */
void check_report(struct check *c, enum outcome outcome, const char *what, const struct id *subject, const char *detail);
/* Reads one row; ERR_NOT_FOUND and so on. Replaces what is in `out`. */
SOUK_MUST_USE enum err check_row(const struct check *c, const struct dbkey *key, struct buf *out);

/* Fills c->deltas with every delta that the rows of entry c->only follow from. ERR_NOT_FOUND: no row speaks of it. */
SOUK_MUST_USE enum err check_needs(struct check *c);
/* Compares the derived rows with those of a store that was built anew. */
SOUK_MUST_USE enum err check_rows(struct check *c, struct kv *rebuilt);

#endif
