/*
 * What happened: every event and every byte delivered goes into one hash, the last lines are kept as text for a failure.
 */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <string.h>

static const char *const names[SIM_EVENT_COUNT] = {
    [SIM_TICK] = "tick", [SIM_PIPE] = "arrive", [SIM_CONNECT] = "connect", [SIM_REFUSED] = "dial-failed",
    [SIM_CLOSED] = "closed", [SIM_COMMIT] = "commit", [SIM_DONE] = "done", [SIM_REOPEN] = "reopen",
    [SIM_WRITE] = "write", [SIM_CRASH] = "crash", [SIM_START] = "start", [SIM_FAULT] = "fault",
    [SIM_MEND] = "mend", [SIM_CHECK] = "check", [SIM_HEAL] = "heal",
};

void sim_trace_open(struct sim_world *w)
{
    (void)crypto_generichash_init(&w->hash, NULL, 0, ID_BYTES);
}

void sim_trace_bytes(struct sim_world *w, const void *p, size_t n)
{
    (void)crypto_generichash_update(&w->hash, p, n);
}

static void print_line(const struct sim_line *l, FILE *to)
{
    const struct sim_event *e = &l->event;
    fprintf(to, "%9llu.%03llu %-11s host %u", (unsigned long long)(e->at / 1000), (unsigned long long)(e->at % 1000),
            names[e->kind], e->host);
    if (e->kind == SIM_PIPE || e->kind == SIM_CLOSED)
        fprintf(to, " conn %llu side %u", (unsigned long long)e->conn, e->side);
    if (e->kind == SIM_CONNECT)
        fprintf(to, " to %u", e->other);
    fprintf(to, "%s%s\n", l->text[0] != 0 ? ": " : "", l->text);
}

static struct sim_line *last_line(struct sim_world *w)
{
    return &w->ring[(w->ring_at + SIM_RING - 1) % SIM_RING];
}

void sim_trace_event(struct sim_world *w, const struct sim_event *e)
{
    uint8_t row[64];
    const uint64_t parts[8] = {e->at, e->seq, (uint64_t)e->kind, e->host, e->other, e->conn, e->n, e->side};
    for (size_t i = 0; i < 8; i++)
        put_le64(row + 8 * i, parts[i]);
    sim_trace_bytes(w, row, sizeof row);
    w->ring_at = (w->ring_at + 1) % SIM_RING;
    struct sim_line *l = last_line(w);
    l->event = *e;
    l->text[0] = 0;
    if (w->config.trace)
        print_line(l, stdout);
}

void sim_trace_note(struct sim_world *w, const char *format, ...)
{
    struct sim_line *l = last_line(w);
    size_t n = strlen(l->text);
    va_list args;
    va_start(args, format);
    if (n > 0 && n + 2 < sizeof l->text) {
        memcpy(l->text + n, "; ", 3);
        n += 2;
    }
    (void)vsnprintf(l->text + n, sizeof l->text - n, format, args);
    va_end(args);
    if (w->config.trace)
        printf("%18s %s\n", "", l->text + n);
}

void sim_trace_end(struct sim_world *w, char out[33])
{
    struct id hash;
    crypto_generichash_state copy = w->hash;
    (void)crypto_generichash_final(&copy, hash.b, ID_BYTES);
    hex_encode(out, hash.b, 16);
}

void sim_trace_print(const struct sim_world *w, FILE *to)
{
    for (size_t i = 0; i < SIM_RING; i++) {
        const struct sim_line *l = &w->ring[(w->ring_at + i) % SIM_RING];
        if (l->event.seq != 0)
            print_line(l, to);
    }
}

void sim_world_fail(struct sim_world *w, const char *format, ...)
{
    if (w->failed)
        return;
    w->failed = true;
    int n = snprintf(w->failure, sizeof w->failure, "at %llu.%03llu s: ", (unsigned long long)(w->now / 1000),
                     (unsigned long long)(w->now % 1000));
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->failure + n, sizeof w->failure - (size_t)n, format, args);
    va_end(args);
}
