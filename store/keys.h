/*
 * Keys of the store, as store/FORMAT.md lays them out: one byte that names the family, then raw ids, big-endian
 * integers, or both inverted where the newest comes first. Builds and takes apart; reads and writes nothing.
 */
#ifndef SOUK_STORE_KEYS_H
#define SOUK_STORE_KEYS_H

#include "crdt/setindex.h"
#include "store/kv.h"

enum family {
    FAMILY_META = 'M',     /* name                          -> see FORMAT                              */
    FAMILY_DELTA = 'D',    /* delta [index]                 -> delta with signature; body of that op   */
    FAMILY_AUTHOR = 'A',   /* author, delta                 -> delta row                               */
    FAMILY_SET = 's',      /* time, delta                   -> nothing: items of the set               */
    FAMILY_OP = 'o',       /* entry, op                     -> op row                                  */
    FAMILY_MARK = 'm',     /* entry, op                     -> mark row                                */
    FAMILY_ENTRY = 'e',    /* entry                         -> entry row                               */
    FAMILY_JSON = 'j',     /* entry                         -> JSON row, shown entries only            */
    FAMILY_NAME = 'n',     /* kind, name, entry             -> nothing: shown entries in listing order */
    FAMILY_HEAD = 'h',     /* entry, order of heads         -> head row: heads beyond the first 16     */
    FAMILY_HISTORY = 'H',  /* entry, ~time, ~op             -> nothing: entries with two ops or more   */
    FAMILY_GRANT = 'g',    /* entry, key, granted, epoch    -> nothing: rows of the statements held     */
    FAMILY_WRITER = 'w',   /* entry, author, epoch, op      -> nothing: ops of others than the owner   */
    FAMILY_CONFLICT = 'x', /* entry                         -> kind                                    */
    FAMILY_WANTED = 'b',   /* op                            -> time, delta, index: bodies missing      */
    FAMILY_CHANGE = 'c',   /* first sequence number         -> change rows                             */
    FAMILY_MEMBER = 'P',   /* key                           -> member flags                            */
    FAMILY_RECEIPT = 'r',  /* ~receipt id                   -> the receipt: this node's own            */
    FAMILY_SWEEP = 'q',    /* type, key                     -> cursor: work for the jobs that follow    */
};

struct dbkey {
    size_t n;
    uint8_t p[KV_KEY_MAX];
};

void dbkey_start(struct dbkey *k, enum family family);
void dbkey_add(struct dbkey *k, const void *p, size_t n);
void dbkey_add_id(struct dbkey *k, const struct id *id);
void dbkey_add_key(struct dbkey *k, const struct key *key);
void dbkey_add_be(struct dbkey *k, uint64_t v, unsigned width);
void dbkey_add_id_inverted(struct dbkey *k, const struct id *id);
/* Makes k the last possible key that begins with it. */
void dbkey_last(struct dbkey *k);
struct bytes dbkey_view(const struct dbkey *k);

/* The keys that more than one file builds. */
void dbkey_of_id(struct dbkey *k, enum family family, const struct id *id);
void dbkey_pair(struct dbkey *k, enum family family, const struct id *a, const struct id *b);
void dbkey_meta(struct dbkey *k, const char *name);
void dbkey_body(struct dbkey *k, const struct id *delta, uint16_t index);
void dbkey_author(struct dbkey *k, const struct key *author, const struct id *delta);
void dbkey_item(struct dbkey *k, const struct item *item);
void dbkey_history(struct dbkey *k, const struct id *entry, uint64_t time, const struct id *op);

/* n, kind, name: the prefix of every entry of that name. A NUL in a name is escaped, so that keys order as names do. */
void dbkey_name(struct dbkey *k, uint64_t kind, struct bytes name);
/* Takes apart a key of family n: appends the name. */
void dbkey_name_parse(struct bytes key, struct id *entry, struct buf *name);

/* An id at offset `at` of a key or value that is known to be long enough (asserted). */
struct id id_at(struct bytes x, size_t at);
struct key key_at(struct bytes x, size_t at);
struct id id_inverted_at(struct bytes x, size_t at);

#endif
