/*
 * The supervisor without any process: what each event leads to, and that each call gets exactly one result whatever comes.
 */
#include "sandbox/run.h"

#include "crdt/rng.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct run_config config(enum run_mode mode)
{
    struct run_config c = {
        .mode = mode,
        .limits = sandbox_limits_fill((struct sandbox_limits){.wall_ms = 100, .output_bytes = 64, .cpu_ms = 50}),
        .format = {.output = SANDBOX_JSON, .output_bytes = 64},
        .idle_us = 1000000};
    return c;
}

static void feed(struct run *r, enum run_event_kind kind, uint64_t now)
{
    const struct run_event event = {.kind = kind};
    run_input(r, &event, now);
}

static void call(struct run *r, const char *input, uint64_t now)
{
    const struct run_event event = {.kind = RUN_EVENT_CALL,
                                    .u.call = {.id = 9, .input = bytes_str(input), .wall_us = UINT64_MAX}};
    run_input(r, &event, now);
}

static void output(struct run *r, enum run_event_kind kind, const char *text, uint64_t now)
{
    const struct run_event event = {.kind = kind, .u.bytes = bytes_str(text)};
    run_input(r, &event, now);
}

static void taken(struct run *r, size_t n, uint64_t now)
{
    const struct run_event event = {.kind = RUN_EVENT_TAKEN, .u.n = n};
    run_input(r, &event, now);
}

static void ended(struct run *r, int status, uint64_t now)
{
    const struct sandbox_ended e = {.started = true, .wait_status = status, .cpu_us = 1000, .memory_peak = 4096};
    const struct run_event event = {.kind = RUN_EVENT_ENDED, .u.ended = &e};
    run_input(r, &event, now);
}

static void expect(struct run *r, enum run_action_kind want)
{
    struct run_action a;
    cr_assert_eq(run_next(r, &a), want, "action %d, not %d", (int)a.kind, (int)want);
}

static struct sandbox_result result(struct run *r)
{
    struct run_action a;
    do {
        cr_assert_neq(run_next(r, &a), RUN_NOTHING, "no result");
    } while (a.kind != RUN_DONE);
    cr_assert_eq(a.call_id, 9u);
    return a.result;
}

Test(run, one_call_from_input_to_output)
{
    const struct run_config c = config(RUN_ONCE);
    struct run *r = run_new(&c, 0);
    cr_assert(run_free(r));
    call(r, "12", 1000);
    cr_assert(!run_free(r));
    expect(r, RUN_SPAWN);
    expect(r, RUN_FEED);
    expect(r, RUN_NOTHING);
    cr_expect_eq(run_unsent(r).n, 2u);
    cr_expect_eq(run_deadline(r), 101000u);
    taken(r, 1, 1100);
    expect(r, RUN_FEED);
    taken(r, 1, 1200);
    expect(r, RUN_END_INPUT);
    output(r, RUN_EVENT_OUTPUT, "{\"a\":", 1300);
    expect(r, RUN_CHUNK);
    output(r, RUN_EVENT_OUTPUT, "1}", 1400);
    output(r, RUN_EVENT_ERRORS, "note", 1400);
    ended(r, 0, 2000);
    expect(r, RUN_CHUNK);
    struct sandbox_result got = result(r);
    cr_expect_eq(got.status, SANDBOX_OK);
    cr_expect(bytes_eq(got.output, bytes_str("{\"a\":1}")));
    cr_expect(bytes_eq(got.errors, bytes_str("note")));
    cr_expect_eq(got.wall_us, 1000u);
    cr_expect_eq(got.cpu_us, 1000u);
    cr_expect_eq(got.memory_peak, 4096u);
    cr_expect(got.started && got.detail[0] == '\0');
    expect(r, RUN_OVER);
    expect(r, RUN_NOTHING);
    run_close(r);
}

/* Ends a call by one event after output; the status that comes of it. */
static struct sandbox_result end_by(const struct run_event *event, int wait_status)
{
    static struct sandbox_result got;
    const struct run_config c = config(RUN_ONCE);
    struct run *r = run_new(&c, 0);
    call(r, "", 0);
    expect(r, RUN_SPAWN);
    expect(r, RUN_END_INPUT);
    run_input(r, event, 10);
    if (event->kind != RUN_EVENT_ENDED && event->kind != RUN_EVENT_LOST) {
        if (event->kind == RUN_EVENT_OUTPUT)
            expect(r, RUN_CHUNK);
        expect(r, RUN_KILL);
        cr_expect(run_ending(r));
        ended(r, wait_status, 20);
    }
    got = result(r);
    cr_expect_neq(got.detail[0], '\0');
    expect(r, RUN_OVER);
    run_close(r);
    return got;
}

Test(run, what_ends_a_call_is_what_it_is_called)
{
    const struct sandbox_ended oom = {.started = true, .oom = true, .wait_status = 9},
                               late = {.started = true, .late = true, .wait_status = -1},
                               never = {.wait_status = -1, .detail = "no namespaces"},
                               hungry = {.started = true, .cpu_us = 50000, .wait_status = 24};
    const struct {
        struct run_event event;
        int wait_status;
        enum sandbox_status status;
        int code;
    } rows[] = {
        {{.kind = RUN_EVENT_CANCEL}, 9, SANDBOX_CANCELLED, 0},
        {{.kind = RUN_EVENT_CHANGED, .u.bytes = bytes_str("changed")}, 9, SANDBOX_SETUP, 0},
        {{.kind = RUN_EVENT_SAMPLE, .u.sample = {.cpu_us = 50000}}, 9, SANDBOX_CPU, 0},
        {{.kind = RUN_EVENT_OUTPUT,
          .u.bytes = bytes_str("0123456789012345678901234567890123456789012345678901234567890123x")},
         0,
         SANDBOX_OUTPUT_LIMIT,
         0},
        {{.kind = RUN_EVENT_ENDED, .u.ended = &oom}, 0, SANDBOX_OOM, 0},
        {{.kind = RUN_EVENT_ENDED, .u.ended = &late}, 0, SANDBOX_TIMEOUT, 0},
        {{.kind = RUN_EVENT_ENDED, .u.ended = &never}, 0, SANDBOX_SETUP, 0},
        {{.kind = RUN_EVENT_ENDED, .u.ended = &hungry}, 0, SANDBOX_CPU, 0},
        {{.kind = RUN_EVENT_LOST}, 0, SANDBOX_SETUP, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sandbox_result got = end_by(&rows[i].event, rows[i].wait_status);
        cr_expect_eq(got.status, rows[i].status, "row %zu: %s", i, sandbox_status_name(got.status));
        cr_expect_eq(got.code, rows[i].code);
    }
}

Test(run, exit_signal_and_bad_output)
{
    const struct {
        int wait_status;
        const char *output;
        enum sandbox_status status;
        int code;
    } rows[] = {{7 << 8, "{}", SANDBOX_EXIT, 7}, {6, "{}", SANDBOX_SIGNAL, 6},   {0x8b, "", SANDBOX_SIGNAL, 11},
                {0, "{", SANDBOX_BAD_OUTPUT, 0}, {0, "", SANDBOX_BAD_OUTPUT, 0}, {0, "1", SANDBOX_OK, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct run_config c = config(RUN_ONCE);
        struct run *r = run_new(&c, 0);
        call(r, "x", 0);
        output(r, RUN_EVENT_OUTPUT, rows[i].output, 1);
        ended(r, rows[i].wait_status, 2);
        struct sandbox_result got = result(r);
        cr_expect_eq(got.status, rows[i].status, "row %zu: %s", i, sandbox_status_name(got.status));
        cr_expect_eq(got.code, rows[i].code);
        cr_expect(bytes_eq(got.output, bytes_str(rows[i].output)), "what came before the end");
        run_close(r);
    }
}

Test(run, time_runs_out)
{
    const struct run_config c = config(RUN_ONCE);
    struct run *r = run_new(&c, 0);
    call(r, "x", 5);
    feed(r, RUN_EVENT_TICK, 100004);
    cr_expect(!run_ending(r));
    feed(r, RUN_EVENT_TICK, 100005);
    cr_expect(run_ending(r));
    expect(r, RUN_DONE); /* it was never spawned: over at once */
    expect(r, RUN_OVER);
    run_close(r);
}

Test(run, what_does_not_end_when_told_to_is_stuck_once)
{
    const struct run_config c = config(RUN_ONCE);
    const uint64_t stuck = 100 + SANDBOX_STUCK_MS * 1000;
    struct run *r = run_new(&c, 0);
    call(r, "", 0);
    expect(r, RUN_SPAWN);
    expect(r, RUN_END_INPUT);
    feed(r, RUN_EVENT_CANCEL, 100);
    expect(r, RUN_KILL);
    cr_expect_eq(run_deadline(r), stuck);
    feed(r, RUN_EVENT_TICK, stuck - 1);
    expect(r, RUN_NOTHING);
    feed(r, RUN_EVENT_TICK, stuck);
    expect(r, RUN_STUCK);
    expect(r, RUN_NOTHING);
    cr_expect_eq(run_deadline(r), UINT64_MAX);
    feed(r, RUN_EVENT_LOST, stuck + 5);
    cr_expect_eq(result(r).status, SANDBOX_CANCELLED);
    expect(r, RUN_OVER);
    run_close(r);
}

Test(run, memory_by_samples_only_where_nothing_better_counts)
{
    for (int weak = 0; weak < 2; weak++) {
        struct run_config c = config(RUN_ONCE);
        c.weak = weak ? SANDBOX_WEAK : SANDBOX_STRICT;
        struct run *r = run_new(&c, 0);
        const struct run_event sample = {.kind = RUN_EVENT_SAMPLE,
                                         .u.sample = {.memory_bytes = c.limits.memory_bytes + 1}};
        call(r, "", 0);
        expect(r, RUN_SPAWN);
        run_input(r, &sample, 1);
        cr_expect_eq(run_ending(r), weak == 1);
        ended(r, 9, 2);
        struct sandbox_result got = result(r);
        cr_expect_eq(got.status, weak ? SANDBOX_OOM : SANDBOX_SIGNAL);
        cr_expect_eq(got.memory_peak, c.limits.memory_bytes + 1);
        run_close(r);
    }
}

Test(run, only_the_tail_of_stderr_is_kept)
{
    const struct run_config c = config(RUN_ONCE);
    struct run *r = run_new(&c, 0);
    static char block[10000];
    memset(block, 'a', sizeof block - 1);
    block[sizeof block - 2] = 'z';
    call(r, "", 0);
    for (int i = 0; i < 50; i++)
        output(r, RUN_EVENT_ERRORS, block, 1);
    ended(r, 256, 2);
    struct sandbox_result got = result(r);
    cr_expect_eq(got.errors.n, (size_t)SANDBOX_STDERR_TAIL);
    cr_expect_eq(got.errors.p[got.errors.n - 1], 'z');
    run_close(r);
}

static struct run_config resident(void)
{
    struct run_config c = config(RUN_RESIDENT);
    c.format.frames = SANDBOX_LINES;
    return c;
}

Test(run, a_worker_answers_again_and_again_and_ends_when_idle)
{
    const struct run_config c = resident();
    struct run *r = run_new(&c, 0);
    expect(r, RUN_SPAWN);
    for (int i = 1; i <= 3; i++) {
        char line[64];
        uint64_t now = (uint64_t)i * 1000;
        cr_assert(run_free(r));
        call(r, "1", now);
        expect(r, RUN_FEED);
        struct bytes unsent = run_unsent(r);
        snprintf(line, sizeof line, "{\"id\":%d,\"input\":1}\n", i);
        cr_expect(bytes_eq(unsent, bytes_str(line)));
        taken(r, unsent.n, now);
        expect(r, RUN_NOTHING);
        snprintf(line, sizeof line, "{\"id\":%d,\"output\":[%d]}\n", i, i);
        for (size_t k = 0; line[k] != '\0'; k++) { /* byte by byte */
            const struct run_event event = {.kind = RUN_EVENT_OUTPUT, .u.bytes = bytes_of(line + k, 1)};
            run_input(r, &event, now + 5);
        }
        struct sandbox_result got = result(r);
        cr_expect_eq(got.status, SANDBOX_OK);
        cr_expect_eq(got.wall_us, 5u);
        cr_expect_eq(got.output.p[1], '0' + i);
    }
    cr_expect_eq(run_deadline(r), 3005u + 1000000);
    feed(r, RUN_EVENT_TICK, 3005 + 999999);
    cr_expect(!run_ending(r));
    feed(r, RUN_EVENT_TICK, 3005 + 1000000);
    expect(r, RUN_KILL);
    ended(r, 9, 2000000);
    expect(r, RUN_OVER);
    run_close(r);
}

/* What a worker says to request 1, and how the call ends; in all of these the worker is killed. */
Test(run, a_worker_out_of_step_is_killed)
{
    const struct {
        const char *says;
        enum sandbox_status status;
    } rows[] = {{"{\"id\":2,\"output\":1}\n", SANDBOX_BAD_OUTPUT},
                {"{\"id\":0,\"output\":1}\n", SANDBOX_BAD_OUTPUT},
                {"junk\n", SANDBOX_BAD_OUTPUT},
                {"{\"id\":1,\"output\":1}\n{\"id\":2", SANDBOX_OK},
                {"{\"id\":1,\"output\":\"0123456789012345678901234567890123456789012345678901234567890123\"}\n",
                 SANDBOX_OUTPUT_LIMIT}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct run_config c = resident();
        struct run *r = run_new(&c, 0);
        expect(r, RUN_SPAWN);
        call(r, "1", 0);
        taken(r, run_unsent(r).n, 0);
        output(r, RUN_EVENT_OUTPUT, rows[i].says, 1);
        expect(r, RUN_KILL);
        cr_expect(!run_free(r), "row %zu", i);
        ended(r, 9, 2);
        cr_expect_eq(result(r).status, rows[i].status, "row %zu", i);
        expect(r, RUN_OVER);
        run_close(r);
    }
}

Test(run, an_answer_that_comes_late_finds_no_call)
{
    const struct run_config c = resident();
    struct run *r = run_new(&c, 0);
    expect(r, RUN_SPAWN);
    call(r, "1", 0);
    taken(r, run_unsent(r).n, 0);
    feed(r, RUN_EVENT_TICK, 100000);
    expect(r, RUN_KILL);
    output(r, RUN_EVENT_OUTPUT, "{\"id\":1,\"output\":1}\n", 100001);
    ended(r, 9, 100002);
    struct sandbox_result got = result(r);
    cr_expect_eq(got.status, SANDBOX_TIMEOUT);
    expect(r, RUN_OVER);
    run_close(r);
    r = run_new(&c, 0);
    expect(r, RUN_SPAWN);
    output(r, RUN_EVENT_OUTPUT, "{\"id\":1,\"output\":1}\n", 5); /* before any request */
    expect(r, RUN_KILL);
    cr_expect(!run_free(r));
    run_close(r);
}

/* Any events in any order: at most one result a call, none lost, nothing after the end. */
Test(run, each_call_gets_exactly_one_result)
{
    for (uint64_t seed = 0; seed < 3000; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        const enum run_mode mode = (enum run_mode)rng_below(&rng, 3);
        const struct run_config c = mode == RUN_RESIDENT ? resident() : config(mode);
        struct run *r = run_new(&c, 0);
        unsigned calls = 0, results = 0;
        bool over = false, made = false;
        for (uint64_t now = 0; now < 400 && !over; now++) {
            struct run_action a;
            static const enum run_event_kind kinds[] = {RUN_EVENT_BUILT,  RUN_EVENT_OUTPUT,      RUN_EVENT_ERRORS,
                                                        RUN_EVENT_SAMPLE, RUN_EVENT_CHANGED,     RUN_EVENT_CANCEL,
                                                        RUN_EVENT_TICK,   RUN_EVENT_INPUT_CLOSED};
            uint64_t what = rng_below(&rng, 40);
            if (run_free(r) && calls == results && (mode == RUN_RESIDENT || calls == 0)) {
                call(r, "12", now);
                calls++;
            } else if (what < 30 && run_unsent(r).n > 0 && made) {
                taken(r, (size_t)rng_below(&rng, run_unsent(r).n + 1), now);
            } else if (what < 32 && made) {
                ended(r, (int)rng_below(&rng, 512), now);
            } else {
                const struct run_event event = {.kind = kinds[rng_below(&rng, 8)], .u.bytes = bytes_str("1")};
                run_input(r, &event, now * 1000);
            }
            while (run_next(r, &a) != RUN_NOTHING) {
                cr_assert(!over);
                made = made || a.kind == RUN_SPAWN || a.kind == RUN_BUILD;
                results += a.kind == RUN_DONE;
                over = a.kind == RUN_OVER;
                cr_assert_leq(results, calls);
            }
        }
        if (!over) {
            struct run_action a;
            feed(r, RUN_EVENT_LOST, 1000000);
            while (run_next(r, &a) != RUN_NOTHING)
                results += a.kind == RUN_DONE;
        }
        cr_assert_eq(results, calls, "seed %llu", (unsigned long long)seed);
        run_close(r);
    }
}
