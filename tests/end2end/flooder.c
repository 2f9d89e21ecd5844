/*
 * Hostile peers of a real node, over real sockets: as many sessions as it takes, half-open connections beside them, and on
 * the sessions offers of ids that do not exist, deltas on parents that nobody has, and messages that never end. Says how
 * much it got rid of. A node that stops reading, or closes, is not waited for.
 *
 *   flooder PORT MESH_ID SECONDS FLOOD...        FLOOD = connections | ids | orphans | messages
 */
#include "crdt/alloc.h"
#include "crdt/hlc.h"
#include "net/conn.h"
#include "tests/lib/gen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PEERS = 24, HALF_OPEN = 400, ORPHAN_OPS = 14, ORPHAN_TEXT = 60000, ORPHANS = 512, PART_BYTES = 1000000, BACKLOG_BYTES = 4 << 20 };

struct peer {
    int fd; /* -1: closed */
    struct conn_identity self;
    struct gen_author author;
    struct conn conn;
    bool greeted, ended; /* ended: its last message has no end */
};

struct flood {
    uint16_t port;
    struct id mesh;
    bool connections;
    size_t kind_count;
    void (*kinds[4])(struct flood *, struct peer *); /* what sessions say, in turn */
    struct peer peers[PEERS];
    int half[HALF_OPEN];
    uint64_t began_ms, number, sessions, ids, orphans, bytes, parts;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Each connection comes from an address of its own: 127.A.B.1. */
static int dial(const struct flood *f, uint64_t number)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    from.sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)((1 + number % 250) << 8) + (uint32_t)((1 + number / 250 % 250) << 16));
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) != 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void drop(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    conn_free(&p->conn);
}

static void flush(struct flood *f, struct peer *p)
{
    struct buf *out = &p->conn.out;
    while (p->fd >= 0 && out->n > 0) {
        ssize_t n = send(p->fd, out->p, out->n, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            drop(p);
            return;
        }
        f->bytes += (uint64_t)n;
        buf_drop(out, (size_t)n);
    }
}

static void take_in(struct peer *p)
{
    uint8_t in[65536];
    struct wire_message w;
    ssize_t n = p->fd < 0 ? 0 : recv(p->fd, in, sizeof in, 0);
    if (p->fd >= 0 && (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))) {
        drop(p);
        return;
    }
    if (n <= 0)
        return;
    conn_feed(&p->conn, bytes_of(in, (size_t)n));
    for (enum conn_result r; (r = conn_next(&p->conn, &w)) != CONN_NOTHING;) {
        if (r == CONN_FAILED) {
            drop(p);
            return;
        }
        if (r == CONN_ASK)
            conn_accept(&p->conn);
        else if (w.type == WIRE_HELLO)
            conn_up(&p->conn);
        else if (w.type == WIRE_PING)
            (void)conn_send(&p->conn, &(struct wire_message){.type = WIRE_PONG, .token = w.token, .clock_ms = w.clock_ms});
    }
}

static void open_peer(struct flood *f, struct peer *p)
{
    uint8_t ephemeral[32];
    *p = (struct peer){.fd = dial(f, f->number)};
    if (p->fd < 0)
        return;
    gen_author(&p->author, 1000 + f->number++);
    p->self = (struct conn_identity){.mesh = f->mesh, .key = p->author.key, .version_min = 1, .version_max = 1};
    memcpy(p->self.secret, p->author.secret, sizeof p->self.secret);
    randombytes_buf(p->self.static_secret, sizeof p->self.static_secret);
    randombytes_buf(ephemeral, sizeof ephemeral);
    conn_init(&p->conn, &p->self, NOISE_INITIATOR, ephemeral);
}

static void greet(struct flood *f, struct peer *p)
{
    if (p->greeted || (p->conn.state != CONN_HELLO && p->conn.state != CONN_UP))
        return;
    struct wire_message hello = {.type = WIRE_HELLO, .hello = {.version = 1, .digest = f->mesh, .clock_ms = now_ms()}};
    (void)conn_send(&p->conn, &hello);
    p->greeted = true;
    f->sessions++;
}

static void offer(struct flood *f, struct peer *p)
{
    struct buf rows = {0};
    for (size_t i = 0; i < WIRE_IDS_MAX; i++) {
        struct item item = {.time = hlc_from_ms(now_ms()), .id = gen_id(1000000 + f->ids++)};
        wire_put_item(&rows, &item);
    }
    (void)conn_send(&p->conn, &(struct wire_message){.type = WIRE_IHAVE, .count = WIRE_IDS_MAX, .items = rows.p});
    buf_close(&rows);
}

static void orphan(struct flood *f, struct peer *p)
{
    struct gen_op ops[ORPHAN_OPS];
    struct buf body = {0}, text = {0}, bundle = {0};
    uint64_t number = f->orphans++ % ORPHANS; /* then again: a newcomer has to copy all of them afterwards */
    struct id parent = gen_id(number), id;
    uint64_t time = hlc_from_ms(f->began_ms);
    struct rng rng;
    rng_seed(&rng, number);
    gen_text(&text, &rng, ORPHAN_TEXT);
    gen_body_text(&body, "description", time, buf_cstr(&text));
    for (size_t k = 0; k < ORPHAN_OPS; k++)
        ops[k] = (struct gen_op){.verb = VERB_PUT, .name = "orphan", .body = buf_view(&body), .parent_count = 1, .parents = &parent};
    gen_bundle(&bundle, &(struct gen_delta){&f->mesh, &p->author, time, ORPHAN_OPS, ops}, &id);
    (void)conn_send(&p->conn, &(struct wire_message){.type = WIRE_DELTA, .id = id, .body = buf_view(&bundle)});
    buf_close(&bundle);
    buf_close(&text);
    buf_close(&body);
}

/* All of a message but its end; the session says nothing more. */
static void part(struct flood *f, struct peer *p)
{
    uint8_t *zeros = mem_calloc(PART_BYTES, 1);
    zeros[0] = WIRE_DELTA;
    frame_out_message(&p->conn.seal, bytes_of(zeros, PART_BYTES), bytes_of(NULL, 0), &p->conn.out);
    p->conn.out.n -= 30000;
    p->ended = true;
    f->parts++;
    free(zeros);
}

static void attack(struct flood *f, size_t i)
{
    struct peer *p = &f->peers[i];
    if (p->fd < 0)
        open_peer(f, p);
    take_in(p);
    greet(f, p);
    if (f->kind_count > 0 && p->fd >= 0 && p->conn.state == CONN_UP && !p->ended && p->conn.out.n < BACKLOG_BYTES)
        f->kinds[i % f->kind_count](f, p);
    if (p->fd >= 0)
        flush(f, p);
}

static void half_open(struct flood *f, size_t i)
{
    const uint8_t begun[40] = {0, 44};
    if (f->half[i] >= 0)
        close(f->half[i]);
    f->half[i] = dial(f, f->number++);
    if (f->half[i] >= 0)
        (void)!send(f->half[i], begun, sizeof begun, MSG_NOSIGNAL);
}

static bool choose(struct flood *f, const char *word)
{
    static const struct {
        const char *word;
        void (*say)(struct flood *, struct peer *);
    } kinds[] = {{"ids", offer}, {"orphans", orphan}, {"messages", part}};
    if (strcmp(word, "connections") == 0)
        return f->connections = true;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(word, kinds[i].word) == 0 && f->kind_count < sizeof kinds / sizeof *kinds) {
            f->kinds[f->kind_count++] = kinds[i].say;
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    static struct flood f;
    bool good = argc >= 5 && sodium_init() >= 0 && id_parse(&f.mesh, bytes_str(argv[2]));
    for (int i = 4; i < argc; i++)
        good = good && choose(&f, argv[i]);
    if (!good) {
        fprintf(stderr, "usage: flooder PORT MESH_ID SECONDS connections|ids|orphans|messages...\n");
        return 2;
    }
    f.port = (uint16_t)atoi(argv[1]);
    f.began_ms = now_ms();
    uint64_t end = f.began_ms + (uint64_t)atoi(argv[3]) * 1000;
    for (size_t i = 0; i < PEERS; i++)
        f.peers[i].fd = -1;
    for (size_t i = 0; i < HALF_OPEN; i++)
        f.half[i] = -1;
    for (size_t round = 0; now_ms() < end; round++) {
        if (f.connections)
            half_open(&f, round % HALF_OPEN);
        for (size_t i = 0; i < PEERS; i++)
            attack(&f, i);
        (void)poll(NULL, 0, 2);
    }
    printf("%llu sessions, %llu ids offered, %llu orphans, %llu messages without end, %llu MB sent\n",
           (unsigned long long)f.sessions, (unsigned long long)f.ids, (unsigned long long)f.orphans,
           (unsigned long long)f.parts, (unsigned long long)(f.bytes >> 20));
    for (size_t i = 0; i < PEERS; i++)
        drop(&f.peers[i]);
    return f.sessions > 0 || f.kind_count == 0 ? 0 : 1;
}
