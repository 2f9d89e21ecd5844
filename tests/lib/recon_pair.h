/*
 * Reconciliation of two set indexes in memory: the initiator keeps its state, a fresh responder answers every frame, and
 * what it cost is counted. Shared by the tests of the engine and by the figures.
 */
#ifndef SOUK_TESTS_RECON_PAIR_H
#define SOUK_TESTS_RECON_PAIR_H

#include "crdt/rng.h"
#include "net/recon.h"

struct recon_pair {
    struct setindex *client, *server; /* owned */
    uint64_t client_bound, server_bound;
    size_t limit;                     /* of a frame, both ways */
    uint8_t client_key, server_key;   /* the first byte of the session key */
    enum recon_guess guess;
    enum recon_mode mode;             /* RECON_PRODUCTION at first */
    struct item from;                 /* RECON_AUDIT: as in recon_config */
    size_t span;
    /* results of recon_pair_run; add up over several runs */
    struct recon_diff diff;
    const char *why;                  /* after RECON_ERROR */
    struct item next;                 /* RECON_AUDIT: as in recon */
    size_t rounds, bytes;             /* round trips; bytes of frames, both ways */
    size_t most_have;                 /* reported for one frame */
    size_t most_fruitless;            /* frames in a row that brought no difference */
    size_t client_work, server_work, most_work; /* as recon.work; of one frame */
};

struct recon_pair recon_pair_new(void); /* two empty sets, no bounds, the greatest frames */
void recon_pair_close(struct recon_pair *p);
/* Forgets what the last run found and cost; the sets stay. */
void recon_pair_reset(struct recon_pair *p);
struct recon_config recon_pair_config(const struct recon_pair *p, enum recon_role role);
/* A whole session. RECON_DONE or RECON_ERROR; aborts where a frame is over the limit or there is no end. */
enum recon_status recon_pair_run(struct recon_pair *p);

/* Are the differences found exactly these? Sorts all of them. */
bool recon_pair_found(struct recon_pair *p, struct item *only_client, size_t nc, struct item *only_server, size_t ns);

/* Sorts an array and drops the second of equal elements; returns how many are left. */
size_t recon_pair_unique(void *array, size_t n, size_t size, int (*order)(const void *, const void *));
int recon_pair_by_id(const void *a, const void *b);
int recon_pair_by_item(const void *a, const void *b);

struct item recon_pair_draw(struct rng *r, uint64_t time); /* a random id */
/* n items in both sets, in time order, 2^16 ticks apart from 2^56 on. */
void recon_pair_fill(struct recon_pair *p, struct rng *r, size_t n);

/*
 * What reconciliation of large sets may cost: bounds that hold from 50,000 to a million items, beside what was measured
 * on the published implementation with a million (0 bytes: not known).
 */
struct recon_case {
    const char *name;
    enum recon_guess guess;
    size_t have_newest, need_newest; /* items after all others, on one side only          */
    size_t have_scattered;           /* items among all others that only the initiator has */
    size_t rounds_max, bytes_max;
    size_t reference_bytes;
};
#define RECON_CASES 7
extern const struct recon_case recon_cases[RECON_CASES];
/* Plants the differences in a pair of equal sets of n items made by recon_pair_fill, runs a session, takes them out again.
 * False: it did not find exactly those. The costs are in p. */
bool recon_case_run(struct recon_pair *p, const struct recon_case *c, size_t n);

#endif
