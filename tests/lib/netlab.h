/*
 * Several mesh engines wired together in memory: virtual time, byte streams with latency, stalls, cuts and a tap, and a
 * store that verifies bundles and keeps them in a table. What a test does to it is a function of its calls and the seed.
 */
#ifndef SOUK_TESTS_NETLAB_H
#define SOUK_TESTS_NETLAB_H

#include "net/net.h"
#include "tests/lib/gen.h"

#define LAB_HOSTS_MAX 16

struct lab_bundle {
    struct item item;
    struct buf bytes;
};

struct lab;
struct lab_host {
    size_t index;
    struct net *net;               /* NULL: down */
    struct net_config config;
    struct gen_author identity;
    struct setindex *set;
    struct lab_bundle *bundles;    /* in order of arrival */
    size_t count, cap;
    char addr[64];
    int64_t clock_skew_ms;
    uint64_t stored_calls;         /* NET_STORE actions seen */
    uint64_t store_delay_ms;       /* until NET_STORED */
    bool store_stuck;              /* NET_STORED never comes */
    bool store_forgets;            /* what is committed takes no memory here: only its item is kept */
    bool store_fails;              /* every commit fails: what came is put off */
    bool listening;
    size_t dials, wanted_missing;
    struct buf log;                /* all NET_LOG lines */
    struct buf calls, call_bytes;  /* "called 7 12\n", "left 7 0", "answered 7 3 final", "lost 7 0 unsent", "reached 7 0"; the last bytes */
    void (*on_called)(struct lab *lab, struct lab_host *h, const struct net_action *a);
    bool got_founder;
    size_t joins, welcomes;        /* NET_JOIN and NET_WELCOME actions seen, and the last of each */
    uint64_t join_conn;
    struct key join_peer;
    enum net_welcome welcome;
    struct buf join;               /* the application, or the answer's text */
};

struct lab;
/* Hosts 0..n-1, all up and listening at 10.0.0.<1+i>:7000, mesh "lab" founded by author 1, every host knows the founder. */
struct lab *lab_new(size_t hosts, uint64_t seed);
void lab_free(struct lab *lab);
struct lab_host *lab_host(struct lab *lab, size_t i);
uint64_t lab_now(const struct lab *lab);
const struct id *lab_mesh(const struct lab *lab);

/* Takes a host down (its connections are cut) and starts it again with what its store holds. `config` changes apply. */
void lab_down(struct lab *lab, size_t i);
void lab_up(struct lab *lab, size_t i);

void lab_peer(struct lab *lab, size_t at, const char *addr);    /* NET_PEER_ADD */
void lab_link(struct lab *lab, size_t from, size_t to);         /* ... of host `to` */
/* A new delta with bodies of `size` bytes of text, in one op where that is enough; published unless `quiet`. */
struct item lab_write(struct lab *lab, size_t i, size_t size);
struct item lab_write_quiet(struct lab *lab, size_t i, size_t size);
void lab_event(struct lab *lab, size_t i, struct net_event e);

/* Runs until `ms` of virtual time have gone by. */
void lab_run(struct lab *lab, uint64_t ms);
/* Runs until done(lab, ctx) or `ms` have gone by; true: done. */
bool lab_until(struct lab *lab, uint64_t ms, bool (*done)(struct lab *lab, void *ctx), void *ctx);
bool lab_equal(struct lab *lab, void *unused);                  /* all sets of hosts that are up are equal */

/* The network. `between` all connections of two hosts, both ways. */
void lab_latency(struct lab *lab, uint64_t ms);
void lab_stall(struct lab *lab, size_t from, size_t to, bool stalled); /* bytes from -> to wait (and are not drained) */
void lab_cut(struct lab *lab, size_t a, size_t b);              /* closes their connections; dials fail from now on */
void lab_heal(struct lab *lab, size_t a, size_t b);
/* Sees and may change every piece of bytes that leaves; set n to 0 to drop it. */
void lab_tap(struct lab *lab, void (*tap)(void *ctx, size_t from, size_t to, struct buf *bytes), void *ctx);
void lab_chunk(struct lab *lab, size_t bytes);                  /* deliver at most so many bytes an event; 0: all */

size_t lab_up_links(struct lab *lab, size_t i);
bool lab_linked(struct lab *lab, size_t a, size_t b);           /* a says that b is up */
uint64_t lab_sent(const struct lab *lab);                       /* bytes carried in all */

/* A raw connection to host i for a test that speaks by itself: bytes in, bytes out. */
uint64_t lab_raw_open(struct lab *lab, size_t i);
void lab_raw_addr(struct lab *lab, const char *addr); /* where those that are opened from now on come from; borrowed */
void lab_raw_send(struct lab *lab, uint64_t conn, struct bytes bytes);
bool lab_raw_receive(struct lab *lab, uint64_t conn, struct buf *out); /* appends; false: closed by the host */
void lab_raw_deaf(struct lab *lab, uint64_t conn);              /* reads nothing from now on */
void lab_raw_close(struct lab *lab, uint64_t conn);

#endif
