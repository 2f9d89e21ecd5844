/*
 * Memory under floods: one mesh engine, as many hostile peers as it takes in, and a count of what is allocated. Orphans
 * (deltas whose parents nobody has) with a store that does not keep up, offers of ids that do not exist, connections that
 * stay half open, messages that never end, and all of it at once: never more than 64 MiB above the idle engine.
 */
#include "crdt/alloc.h"
#include "crdt/hlc.h"
#include "net/engine.h"
#include "tests/lib/memory.h"
#include "tests/lib/mole.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAT_BYTES    (64u << 20)
#define MOLES         NET_LINKS_MAX
#define HALF_OPEN     400
#define OFFERS        20      /* messages of 1024 ids from each peer */
#define ORPHANS       12      /* ... of about 900 kB                 */
#define PART_BYTES    1000000 /* of a message that never ends        */

struct flood {
    struct lab *lab;
    struct mole mole[MOLES];
    size_t idle, peak;
    bool failed;
};

static void look(struct flood *f, const char *what)
{
    size_t now = memory_in_use();
    f->peak = now > f->peak ? now : f->peak;
    if (now > f->idle + FLAT_BYTES && !f->failed) {
        printf("%s: %zu kB above idle, %u kB are allowed\n", what, (now - f->idle) >> 10, FLAT_BYTES >> 10);
        f->failed = true;
    }
}

static void tell(struct flood *f, const char *what)
{
    look(f, what);
    printf("%-24s %6zu kB above idle at most\n", what, f->peak > f->idle ? (f->peak - f->idle) >> 10 : 0);
    f->peak = 0;
}

static void open_all(struct flood *f)
{
    f->lab = lab_new(1, 1);
    lab_chunk(f->lab, 65536); /* as much as is read from a socket at once */
    lab_host(f->lab, 0)->store_forgets = true;
    f->idle = memory_in_use();
    for (size_t i = 0; i < MOLES; i++)
        mole_open(&f->mole[i], f->lab, 10 + i);
}

static void close_all(struct flood *f)
{
    for (size_t i = 0; i < MOLES; i++)
        mole_close(&f->mole[i]);
    lab_free(f->lab);
}

/* ---- floods ---------------------------------------------------------------------------------------------------------- */

static void half_open(struct flood *f)
{
    uint8_t part[40] = {0, 44};
    for (unsigned i = 0; i < HALF_OPEN; i++) {
        uint64_t raw = lab_raw_open(f->lab, 0);
        lab_raw_send(f->lab, raw, bytes_of(part, sizeof part));
        lab_run(f->lab, 20);
        look(f, "connections");
    }
}

static void offers(struct flood *f)
{
    struct buf rows = {0};
    for (unsigned k = 0; k < OFFERS; k++)
        for (size_t i = 0; i < MOLES; i++) {
            buf_reset(&rows);
            for (uint64_t n = 0; n < WIRE_IDS_MAX; n++) {
                struct item item = {.time = hlc_from_ms(1700000000000u) + n, .id = gen_id((i * OFFERS + k) * WIRE_IDS_MAX + n)};
                wire_put_item(&rows, &item);
            }
            mole_say(&f->mole[i], &(struct wire_message){.type = WIRE_IHAVE, .count = WIRE_IDS_MAX, .items = rows.p});
            mole_run(&f->mole[i], 1);
            look(f, "ids");
        }
    buf_close(&rows);
}

/* A valid delta of 14 ops with 60 kB each, on top of ops that nobody has. */
static void orphan(struct flood *f, size_t i, uint64_t number, struct buf *out, struct id *id)
{
    struct gen_op ops[14];
    struct buf body = {0}, text = {0};
    struct id parent = gen_id(number);
    uint64_t time = hlc_from_ms(1700000000000u + lab_now(f->lab)) + number;
    struct rng rng;
    rng_seed(&rng, number);
    gen_text(&text, &rng, 60000);
    gen_body_text(&body, "description", time, buf_cstr(&text));
    for (size_t k = 0; k < 14; k++)
        ops[k] = (struct gen_op){.verb = VERB_PUT, .name = "orphan", .body = buf_view(&body), .parent_count = 1, .parents = &parent};
    gen_bundle(out, &(struct gen_delta){lab_mesh(f->lab), &f->mole[i].author, time, 14, ops}, id);
    buf_close(&text);
    buf_close(&body);
}

static void orphans(struct flood *f)
{
    struct buf bundle = {0};
    struct id id;
    for (uint64_t k = 0; k < ORPHANS; k++)
        for (size_t i = 0; i < MOLES; i += 4) {
            buf_reset(&bundle);
            orphan(f, i, k * MOLES + i, &bundle, &id);
            mole_say(&f->mole[i], &(struct wire_message){.type = WIRE_DELTA, .id = id, .body = buf_view(&bundle)});
            mole_run(&f->mole[i], 1);
            look(f, "orphans");
        }
    buf_close(&bundle);
}

static void endless(struct flood *f)
{
    uint8_t *zeros = mem_calloc(PART_BYTES, 1);
    zeros[0] = WIRE_DELTA;
    for (size_t i = 0; i < MOLES; i++) {
        struct conn *c = &f->mole[i].conn;
        if (i % 4 == 0)
            continue; /* those go on with other floods */
        struct buf out = {0};
        frame_out_message(&c->seal, bytes_of(zeros, PART_BYTES), bytes_of(NULL, 0), &out);
        lab_raw_send(f->lab, f->mole[i].raw, bytes_of(out.p, out.n - 30000)); /* all but the end */
        buf_close(&out);
        lab_run(f->lab, 1);
        look(f, "messages");
    }
    free(zeros);
}

/* ---- one by one, and together ------------------------------------------------------------------------------------------ */

static bool run(const char *what, void (*const *floods)(struct flood *), size_t count, bool stuck)
{
    struct flood f = {.peak = 0};
    open_all(&f);
    lab_host(f.lab, 0)->store_stuck = stuck;
    for (size_t i = 0; i < count; i++)
        floods[i](&f);
    tell(&f, what);
    close_all(&f);
    return !f.failed;
}

int main(void)
{
    void (*const all[])(struct flood *) = {half_open, offers, endless, orphans};
    static const char *const names[] = {"connections", "ids", "messages without end", "orphans"};
    bool good = true;
    if (sodium_init() < 0)
        return 2;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        good &= run(names[i], &all[i], 1, false);
    good &= run("orphans, a stuck store", &all[3], 1, true);
    good &= run("all at once", all, sizeof all / sizeof *all, true);
    return good ? 0 : 1;
}
