/*
 * The handshake from the other side of lab_raw_*, and a tally of what the host says.
 */
#include "tests/lib/mole.h"

#include "crdt/hlc.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void flush(struct mole *m)
{
    if (m->conn.out.n > 0 && !m->closed)
        lab_raw_send(m->lab, m->raw, buf_view(&m->conn.out));
    buf_reset(&m->conn.out);
}

static void tally(struct mole *m, const struct wire_message *w)
{
    m->got[w->type]++;
    m->got_ids[w->type] += w->count;
    if (w->type == WIRE_CLOSE)
        m->reason = w->reason;
    if (w->type == WIRE_DELTA)
        m->last = w->id;
    if (w->type == WIRE_IWANT)
        buf_put(&m->wanted, w->ids, w->count * ID_BYTES);
    if (w->type == WIRE_IWANT)
        m->last = w->ids[w->count - 1];
    if (w->type == WIRE_HELLO)
        conn_up(&m->conn);
    if (w->type == WIRE_PING && m->answers)
        mole_say(m, &(struct wire_message){.type = WIRE_PONG, .token = w->token, .clock_ms = w->clock_ms});
}

void mole_read(struct mole *m)
{
    struct buf in = {0};
    struct wire_message w;
    enum conn_result r;
    m->closed |= !lab_raw_receive(m->lab, m->raw, &in);
    conn_feed(&m->conn, buf_view(&in));
    buf_close(&in);
    while ((r = conn_next(&m->conn, &w)) != CONN_NOTHING && r != CONN_FAILED) {
        if (r == CONN_ASK)
            conn_accept(&m->conn);
        else
            tally(m, &w);
    }
    flush(m);
}

void mole_run(struct mole *m, uint64_t ms)
{
    for (uint64_t left = ms;; left = left > 1000 ? left - 1000 : 0) {
        lab_run(m->lab, left > 1000 ? 1000 : left);
        mole_read(m);
        lab_run(m->lab, 0);
        mole_read(m);
        if (left == 0)
            return;
    }
}

void mole_say(struct mole *m, const struct wire_message *w)
{
    (void)conn_send(&m->conn, w);
    flush(m);
}

void mole_open(struct mole *m, struct lab *lab, uint64_t number)
{
    uint8_t ephemeral[32];
    memset(m, 0, sizeof *m);
    m->lab = lab;
    gen_author(&m->author, number);
    m->self = (struct conn_identity){.mesh = *lab_mesh(lab), .key = m->author.key, .version_min = 1, .version_max = 1};
    memcpy(m->self.secret, m->author.secret, 64);
    memset(m->self.static_secret, 3, 32);
    memset(ephemeral, (int)number, 32);
    m->raw = lab_raw_open(lab, 0);
    conn_init(&m->conn, &m->self, NOISE_INITIATOR, ephemeral);
    flush(m);
    for (unsigned i = 0; i < 3 && m->conn.state != CONN_HELLO && m->conn.state != CONN_UP; i++)
        mole_run(m, 0);
    if (m->conn.state != CONN_HELLO && m->conn.state != CONN_UP)
        return;
    struct id digest;
    setindex_digest(lab_host(lab, 0)->set, &digest);
    struct wire_message hello = {.type = WIRE_HELLO, .hello = {.version = 1, .digest = digest, .clock_ms = 1700000000000u + lab_now(lab)}};
    mole_say(m, &hello);
    mole_run(m, 0);
}

void mole_close(struct mole *m)
{
    conn_free(&m->conn);
    buf_close(&m->wanted);
    if (!m->closed)
        lab_raw_close(m->lab, m->raw);
}

struct item mole_bundle(struct mole *m, uint64_t number, struct buf *out)
{
    return mole_bundle_sized(m, number, 3, out);
}

struct item mole_bundle_sized(struct mole *m, uint64_t number, size_t size, struct buf *out)
{
    struct buf body = {0}, text = {0};
    struct rng rng;
    char name[32];
    struct item item = {.time = hlc_from_ms(1700000000000u + lab_now(m->lab)) + number};
    (void)snprintf(name, sizeof name, "mole-%llu", (unsigned long long)number);
    rng_seed(&rng, number);
    gen_text(&text, &rng, size);
    gen_body_text(&body, "description", item.time, buf_cstr(&text));
    struct gen_op op = {.verb = VERB_PUT, .name = name, .body = buf_view(&body), .travel = GEN_SENT};
    struct gen_delta d = {.mesh = lab_mesh(m->lab), .author = &m->author, .time = item.time, .op_count = 1, .ops = &op};
    gen_bundle(out, &d, &item.id);
    buf_close(&body);
    buf_close(&text);
    return item;
}
