/*
 * The mesh alone: two engines over real loopback sockets in one thread, with a store that only keeps bytes. Prints how long a
 * bulk copy of 100,000 entries in deltas of 256 takes beside a plain copy of the same bytes through a socket pair, and how
 * long a published delta takes to reach the other engine beside a round trip of a byte.
 *
 *   bench_mesh [ENTRIES [WRITES]]
 */
#include "crdt/alloc.h"
#include "crdt/hlc.h"
#include "net/uv_tcp.h"
#include "tests/lib/gen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define BASE_MS 1700000000000u

struct kept {
    struct item item;
    struct buf bytes;
};
struct host {
    struct net *net;
    struct net_uv *uv;
    struct setindex *set;
    struct kept *kept;
    size_t count, cap;
    struct host *other;
    char addr[NET_ADDR_MAX];
    bool draining;
};
static uv_loop_t loop;

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void keep(struct host *h, const struct item *item, struct bytes bundle)
{
    if (!setindex_insert(h->set, item))
        return;
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 64 : 2 * h->cap;
        h->kept = mem_realloc(h->kept, h->cap, sizeof *h->kept);
    }
    h->kept[h->count] = (struct kept){.item = *item};
    buf_put_bytes(&h->kept[h->count++].bytes, bundle);
}

static void feed(struct host *h, struct net_event e);

static void store(struct host *h, const struct net_action *a)
{
    struct bundle b;
    struct delta d;
    struct net_result r = {.tag = a->tag, .refused = true};
    if (bundle_parse(a->bytes, &b) == ERR_OK) {
        if (delta_parse(b.delta, &d) == ERR_OK) {
            r.refused = delta_verify(&d.id, &d.author, b.sig) != ERR_OK;
            r.item = (struct item){.time = d.time, .id = d.id};
            r.fresh = true;
            delta_close(&d);
        }
        bundle_close(&b);
    }
    if (!r.refused)
        keep(h, &r.item, a->bytes);
    feed(h, (struct net_event){.kind = NET_STORED, .count = 1, .results = &r});
}

static void load(struct host *h, const struct net_action *a)
{
    struct net_event e = {.kind = NET_LOADED, .load = a->load};
    for (size_t i = 0; i < h->count && e.bytes.n == 0; i++)
        if (id_eq(&h->kept[i].item.id, &a->id))
            e.bytes = buf_view(&h->kept[i].bytes);
    feed(h, e);
}

static void drain(struct host *h)
{
    struct net_action a;
    if (h->draining)
        return;
    h->draining = true;
    while (net_next(h->net, &a) != NET_NONE) {
        if (a.kind == NET_DIAL)
            net_uv_dial(h->uv, a.dial, a.text);
        else if (a.kind == NET_SEND)
            net_uv_send(h->uv, a.conn, a.bytes);
        else if (a.kind == NET_CLOSE)
            net_uv_close(h->uv, a.conn);
        else if (a.kind == NET_STORE)
            store(h, &a);
        else if (a.kind == NET_LOAD)
            load(h, &a);
        else if (a.kind == NET_LOG && a.level < 3)
            fprintf(stderr, "%s\n", a.text);
    }
    h->draining = false;
}

static void feed(struct host *h, struct net_event e)
{
    e.clock_ms = BASE_MS + now_ms();
    net_input(h->net, &e, now_ms());
    drain(h);
}

static void on_event(void *ctx, const struct net_event *e)
{
    feed(ctx, *e);
}

static void host_up(struct host *h, uint64_t number)
{
    struct gen_author a, founder;
    struct net_config c = {.has_founder = true, .mesh_name = "lab"};
    struct buf why = {0};
    gen_author(&a, number);
    gen_author(&founder, 1);
    c.founder = founder.key;
    mesh_id(&c.mesh, &founder.key, bytes_str("lab"));
    c.identity = a.key;
    memcpy(c.identity_secret, a.secret, sizeof c.identity_secret);
    memset(c.static_secret, (int)number, sizeof c.static_secret);
    memset(c.seed, (int)number, sizeof c.seed);
    c.set = h->set = setindex_new();
    h->net = net_new(&c, now_ms());
    h->uv = net_uv_new(&loop, on_event, h);
    if (net_uv_listen(h->uv, "127.0.0.1:0", h->addr, &why) != ERR_OK)
        exit(1);
}

static struct item make(const struct gen_author *a, size_t ops, uint64_t number, struct buf *out)
{
    struct gen_op *op = mem_calloc(ops, sizeof *op);
    struct buf *body = mem_calloc(ops, sizeof *body), text = {0};
    char(*name)[40] = mem_calloc(ops, sizeof *name);
    struct id mesh;
    struct rng rng;
    struct gen_author founder;
    struct item item = {.time = hlc_from_ms(BASE_MS + now_ms()) + number % 60000};
    gen_author(&founder, 1);
    mesh_id(&mesh, &founder.key, bytes_str("lab"));
    rng_seed(&rng, number);
    for (size_t i = 0; i < ops; i++) {
        buf_reset(&text);
        gen_text(&text, &rng, 900);
        gen_body_text(&body[i], "description", item.time, buf_cstr(&text));
        (void)snprintf(name[i], sizeof *name, "entry-%llu-%zu", (unsigned long long)number, i);
        op[i] = (struct gen_op){.verb = VERB_PUT, .name = name[i], .body = buf_view(&body[i]), .travel = GEN_SENT};
    }
    struct gen_delta d = {.mesh = &mesh, .author = a, .time = item.time, .op_count = ops, .ops = op};
    gen_bundle(out, &d, &item.id);
    for (size_t i = 0; i < ops; i++)
        buf_close(&body[i]);
    buf_close(&text);
    free(op);
    free(body);
    free(name);
    return item;
}

static void turn(struct host *a, struct host *b)
{
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    struct host *hosts[2] = {a, b};
    for (size_t i = 0; i < 2; i++)
        if (now_ms() >= net_deadline(hosts[i]->net))
            feed(hosts[i], (struct net_event){.kind = NET_TICK});
}

/* The same bytes through a socket pair, one side after the other in pieces. */
static double plain_copy(const struct host *h)
{
    int fd[2];
    static char sink[1 << 16];
    uint64_t from = uv_hrtime();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
        exit(1);
    for (size_t i = 0; i < h->count; i++)
        for (size_t at = 0; at < h->kept[i].bytes.n;) {
            size_t n = h->kept[i].bytes.n - at < sizeof sink ? h->kept[i].bytes.n - at : sizeof sink;
            ssize_t sent = write(fd[0], h->kept[i].bytes.p + at, n), got = 0;
            while (sent > 0 && got < sent)
                got += read(fd[1], sink, sizeof sink);
            at += sent > 0 ? (size_t)sent : 0;
        }
    (void)close(fd[0]);
    (void)close(fd[1]);
    return (double)(uv_hrtime() - from) / 1e9;
}

static double round_trip_us(void)
{
    int fd[2];
    char c = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
        exit(1);
    uint64_t from = uv_hrtime();
    for (int i = 0; i < 10000; i++)
        if (write(fd[0], &c, 1) != 1 || read(fd[1], &c, 1) != 1 || write(fd[1], &c, 1) != 1 || read(fd[0], &c, 1) != 1)
            exit(1);
    double us = (double)(uv_hrtime() - from) / 1e3 / 10000;
    (void)close(fd[0]);
    (void)close(fd[1]);
    return us;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bulk(struct host *a, struct host *b, size_t entries)
{
    struct gen_author author;
    struct buf bundle = {0};
    uint64_t bytes = 0;
    gen_author(&author, 7);
    for (size_t i = 0; i * 256 < entries; i++) {
        buf_reset(&bundle);
        struct item item = make(&author, 256, i, &bundle);
        keep(a, &item, buf_view(&bundle));
        bytes += bundle.n;
    }
    buf_close(&bundle);
    uint64_t from = uv_hrtime();
    feed(b, (struct net_event){.kind = NET_PEER_ADD, .addr = a->addr});
    while (b->count < a->count)
        turn(a, b);
    double s = (double)(uv_hrtime() - from) / 1e9, plain = plain_copy(a);
    printf("bulk copy: %zu entries in %zu deltas, %.1f MB: %.2f s, %.0f entries/s; plain copy %.3f s, ratio %.1f\n", entries,
           a->count, (double)bytes / 1e6, s, (double)entries / s, plain, s / plain);
}

static void visible(struct host *a, struct host *b, size_t writes)
{
    struct gen_author author;
    struct buf bundle = {0};
    double *us = mem_calloc(writes, sizeof *us), rtt = round_trip_us();
    gen_author(&author, 7);
    for (size_t i = 0; i < writes; i++) {
        buf_reset(&bundle);
        struct item item = make(&author, 1, 1000000 + i, &bundle);
        size_t before = b->count;
        uint64_t from = uv_hrtime();
        keep(a, &item, buf_view(&bundle));
        feed(a, (struct net_event){.kind = NET_PUBLISH, .count = 1, .items = &item});
        while (b->count == before)
            turn(a, b);
        us[i] = (double)(uv_hrtime() - from) / 1e3;
    }
    qsort(us, writes, sizeof *us, by_value);
    printf("publish to stored, both in one thread: p50 %.0f us, p99 %.0f us; socket round trip %.1f us, ratio %.1f\n",
           us[writes / 2], us[writes * 99 / 100], rtt, us[writes / 2] / rtt);
    free(us);
    buf_close(&bundle);
}

int main(int argc, char **argv)
{
    size_t entries = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000, writes = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
    static struct host a, b;
    if (sodium_init() < 0 || writes == 0)
        return 1;
    (void)uv_loop_init(&loop);
    host_up(&a, 2);
    host_up(&b, 3);
    bulk(&a, &b, entries);
    visible(&a, &b, writes);
    return 0;
}
