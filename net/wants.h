/*
 * What is being fetched: one row for each delta id that some peer offered and that is not stored yet, and queues of ids.
 * A row is the only judge of who was asked; queues may name ids whose rows have moved on. Knows no peers, only the
 * numbers of connections.
 */
#ifndef SOUK_NET_WANTS_H
#define SOUK_NET_WANTS_H

#include "crdt/id.h"

#define WANTS_MAX         32768 /* rows */
#define WANTS_HOLDERS_MAX 4     /* other connections that offered the same id */

enum want_state {
    WANT_FREE,    /* no such row                                   */
    WANT_LATE,    /* offered, but the delta may come by itself: see net/late.c */
    WANT_QUEUED,  /* in the queue of at least one holder           */
    WANT_ASKED,   /* IWANT was sent to `link`                      */
    WANT_STORING  /* handed to the store, from `link`              */
};
struct want {
    struct id id;
    enum want_state state;
    bool body;           /* the delta is held: only bodies are missing */
    bool recon;          /* found by reconciliation: counts as progress of a copy */
    uint8_t holders;
    uint64_t holder[WANTS_HOLDERS_MAX];
    uint64_t link;
    uint64_t asked_ms;
};

struct wants {
    struct want *row;    /* open addressing; NULL: empty */
    size_t cap, count;
    size_t asked;        /* rows in WANT_ASKED, kept by want_set */
    uint8_t secret[16];
};
void wants_init(struct wants *w, const uint8_t secret[16]);
void wants_close(struct wants *w);
/* Pointers are valid until the next add or remove. NULL: none. */
struct want *wants_find(struct wants *w, const struct id *id);
struct want *wants_add(struct wants *w, const struct id *id); /* WANT_QUEUED; NULL: full. It must not exist. */
void wants_remove(struct wants *w, const struct id *id);
void wants_set(struct wants *w, struct want *want, enum want_state state, uint64_t link);
void want_add_holder(struct want *want, uint64_t link);
uint64_t want_take_holder(struct want *want); /* 0: none left */

/* A first-in first-out queue of ids. Zero-initialise. */
struct idqueue {
    struct buf ids;
    size_t at;
};
size_t idqueue_count(const struct idqueue *q);
void idqueue_push(struct idqueue *q, const struct id *id);
bool idqueue_pop(struct idqueue *q, struct id *out);
void idqueue_close(struct idqueue *q);

#endif
