/*
 * The supervisor of one sandbox. Owns input, output and the tail of stderr of the call that runs; knows no descriptor and no
 * process. The first thing that goes wrong decides how a call ends.
 */
#include "sandbox/run.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define KILLED 9 /* the signal */

enum run_state {
    RUN_NEW,      /* nothing was asked for yet                   */
    RUN_BUILDING, /* PREBUILT                                    */
    RUN_WAITING,  /* built, or a worker without a request        */
    RUN_BUSY,     /* a call runs                                 */
    RUN_KILLED,   /* told to end                                 */
    RUN_GONE
};
#define RUN_STATES (RUN_GONE + 1)

static const bool allowed[RUN_STATES][RUN_STATES] = {
    [RUN_NEW] = {[RUN_BUILDING] = true, [RUN_WAITING] = true, [RUN_BUSY] = true, [RUN_GONE] = true},
    [RUN_BUILDING] = {[RUN_WAITING] = true, [RUN_KILLED] = true, [RUN_GONE] = true},
    [RUN_WAITING] = {[RUN_BUSY] = true, [RUN_KILLED] = true, [RUN_GONE] = true},
    [RUN_BUSY] = {[RUN_WAITING] = true, [RUN_KILLED] = true, [RUN_GONE] = true},
    [RUN_KILLED] = {[RUN_GONE] = true},
};

struct run {
    struct run_config config;
    enum run_state state;
    bool spawn, build, start, end_input, kill, done, over; /* actions that wait to be drained          */
    bool feed;
    bool has_call, input_open, failed; /* failed: `result.status` and `detail` are decided            */
    uint64_t call_id, request;         /* request: the id of it, RESIDENT                             */
    uint64_t began_us, limit_us;       /* of the call                                                 */
    uint64_t idle_since_us, killed_us; /* killed_us: when the order to end it went out, 0: not yet    */
    uint64_t now_us;                   /* of the event at hand                                         */
    bool stuck;
    uint64_t cpu_seen_us, cpu_base_us, errors_bytes;
    struct buf input, output, errors, detail;
    size_t input_at, chunk_at;
    struct sandbox_result result;
};

static void move(struct run *r, enum run_state to)
{
    assert(allowed[r->state][to]);
    r->state = to;
}

static void check(const struct run *r)
{
    assert(r->input_at <= r->input.n && r->chunk_at <= r->output.n);
    assert(r->state != RUN_BUSY || r->has_call);
    assert(r->state != RUN_NEW || !r->kill);
    assert(r->state != RUN_GONE || !r->has_call || r->done);
    assert(r->errors.n <= 2 * SANDBOX_STDERR_TAIL);
    (void)r;
}

struct run *run_new(const struct run_config *config, uint64_t now_us)
{
    struct run *r = mem_zalloc(sizeof *r);
    assert(config->limits.wall_ms > 0 && config->limits.output_bytes > 0);
    r->config = *config;
    r->idle_since_us = now_us;
    if (config->mode == RUN_PREBUILT) {
        r->build = true;
        move(r, RUN_BUILDING);
    } else if (config->mode == RUN_RESIDENT) {
        r->spawn = r->input_open = true;
        move(r, RUN_WAITING);
    }
    check(r);
    return r;
}

void run_close(struct run *r)
{
    if (r == NULL)
        return;
    buf_close(&r->input);
    buf_close(&r->output);
    buf_close(&r->errors);
    buf_close(&r->detail);
    free(r);
}

static void kill_now(struct run *r)
{
    if (r->state == RUN_KILLED || r->state == RUN_GONE)
        return;
    r->feed = r->end_input = false;
    if (r->state == RUN_NEW || r->spawn || r->build) { /* nothing was made yet */
        r->spawn = r->build = false;
        r->over = true;
        move(r, RUN_GONE);
        return;
    }
    r->kill = true;
    r->killed_us = r->now_us;
    move(r, RUN_KILLED);
}

/* Decides how the call ends; the first decision stands. */
static void fail(struct run *r, enum sandbox_status status, const char *detail)
{
    assert(status != SANDBOX_OK && detail != NULL);
    if (r->failed)
        return;
    r->failed = true;
    r->result.status = status;
    buf_reset(&r->detail);
    buf_put_str(&r->detail, detail);
}

/* The call has its result; it goes out with the next drain. */
static void finish(struct run *r, uint64_t now_us)
{
    assert(r->has_call && !r->done);
    r->result.wall_us = now_us - r->began_us;
    r->done = true;
}

static void fail_and_kill(struct run *r, enum sandbox_status status, const char *detail)
{
    fail(r, status, detail);
    kill_now(r);
}

static void on_call(struct run *r, const struct run_call *call, uint64_t now_us)
{
    const uint64_t most = r->config.limits.wall_ms * 1000;
    assert(run_free(r));
    r->has_call = true;
    r->failed = false;
    r->call_id = call->id;
    r->began_us = now_us;
    r->limit_us = now_us + (call->wall_us < most ? call->wall_us : most);
    r->result = (struct sandbox_result){
        .started = r->config.mode == RUN_RESIDENT, .wait_us = call->wait_us, .bytes_in = call->input.n};
    r->cpu_base_us = r->cpu_seen_us;
    r->errors_bytes = 0;
    r->input_at = r->chunk_at = 0;
    buf_reset(&r->input);
    buf_reset(&r->output);
    buf_reset(&r->detail);
    if (r->config.mode == RUN_RESIDENT) {
        frame_request(&r->input, &r->config.format, ++r->request, call->input);
    } else {
        buf_put_bytes(&r->input, call->input);
        r->spawn = r->state == RUN_NEW;
        r->start = r->state == RUN_WAITING;
        r->input_open = true;
        r->end_input = r->input.n == 0;
    }
    r->feed = r->input.n > 0 && r->input_open;
    move(r, RUN_BUSY);
}

static void on_taken(struct run *r, size_t n)
{
    assert(n <= r->input.n - r->input_at);
    r->input_at += n;
    bool all = r->input_at == r->input.n;
    if (r->state != RUN_BUSY)
        return;
    r->feed = !all;
    if (all && r->config.mode != RUN_RESIDENT && r->input_open)
        r->end_input = true;
}

/* A worker's answer, once it is whole. */
static void on_answer(struct run *r, uint64_t now_us)
{
    struct frame frame = {.id = 0};
    struct buf why = {0};
    enum frame_found found = frame_answer(buf_view(&r->output), &r->config.format, &frame, &why);
    bool extra = r->output.n > frame.taken;
    if (found == FRAME_LARGE)
        fail_and_kill(r, SANDBOX_OUTPUT_LIMIT, "the answer is larger than the output limit");
    else if (found == FRAME_BAD)
        fail_and_kill(r, SANDBOX_BAD_OUTPUT, buf_cstr(&why));
    else if (found != FRAME_MORE && frame.id != r->request)
        fail_and_kill(r, SANDBOX_BAD_OUTPUT, "the answer carries the id of another request");
    else if (found == FRAME_ANSWER &&
             sandbox_output_check(r->config.format.output, buf_view(&frame.body), &why) != ERR_OK)
        fail_and_kill(r, SANDBOX_BAD_OUTPUT, buf_cstr(&why));
    else if (found != FRAME_MORE) {
        struct buf whole = r->output;
        r->output = frame.body;
        frame.body = whole;
        r->result.bytes_out = r->output.n;
        if (found == FRAME_ERROR) {
            fail(r, SANDBOX_EXIT, buf_cstr(&r->output));
            r->result.code = 1;
        }
        finish(r, now_us);
        r->idle_since_us = now_us;
        move(r, RUN_WAITING);
        if (extra || r->input_at < r->input.n)
            kill_now(r); /* more than one answer, or one to half a request: out of step from here on */
    }
    buf_close(&frame.body);
    buf_close(&why);
}

static void on_output(struct run *r, struct bytes bytes, uint64_t now_us)
{
    if (r->state == RUN_WAITING) { /* a worker that speaks without being asked: late, or out of step */
        kill_now(r);
        return;
    }
    if (!r->has_call || r->done || r->failed)
        return;
    if (r->config.mode == RUN_RESIDENT) {
        buf_put_bytes(&r->output, bytes);
        if (r->state == RUN_BUSY)
            on_answer(r, now_us);
        return;
    }
    uint64_t room = r->config.limits.output_bytes - r->output.n;
    buf_put(&r->output, bytes.p, bytes.n < room ? bytes.n : (size_t)room);
    r->result.bytes_out = r->output.n;
    if (bytes.n > room)
        fail_and_kill(r, SANDBOX_OUTPUT_LIMIT, "more output than the limit allows");
}

static void on_errors(struct run *r, struct bytes bytes)
{
    if (bytes.n > SANDBOX_STDERR_TAIL)
        bytes = bytes_of(bytes.p + (bytes.n - SANDBOX_STDERR_TAIL), SANDBOX_STDERR_TAIL);
    r->errors_bytes += bytes.n;
    buf_put_bytes(&r->errors, bytes);
    if (r->errors.n > SANDBOX_STDERR_TAIL)
        buf_drop(&r->errors, r->errors.n - SANDBOX_STDERR_TAIL);
    if (r->errors_bytes > SANDBOX_STDERR_MAX)
        fail_and_kill(r, SANDBOX_OUTPUT_LIMIT, "more on stderr than the limit allows");
}

static void on_sample(struct run *r, const struct sandbox_sample *sample)
{
    const struct sandbox_limits *l = &r->config.limits;
    r->cpu_seen_us = sample->cpu_us;
    if (sample->memory_bytes > r->result.memory_peak)
        r->result.memory_peak = sample->memory_bytes;
    if (r->config.weak == SANDBOX_WEAK && sample->memory_bytes > l->memory_bytes)
        fail_and_kill(r, SANDBOX_OOM, "its processes use more memory than the limit allows");
    if (l->cpu_ms > 0 && r->has_call && sample->cpu_us >= r->cpu_base_us + l->cpu_ms * 1000)
        fail_and_kill(r, SANDBOX_CPU, "its cpu time is used up");
}

/* What the end of the process itself says, where nothing else was decided. */
static void judge_end(struct run *r, const struct sandbox_ended *e)
{
    const uint64_t cpu_limit = r->config.limits.cpu_ms * 1000;
    int status = e->wait_status;
    if (!e->started)
        fail(r, SANDBOX_SETUP, e->detail);
    else if (e->oom)
        fail(r, SANDBOX_OOM, "the kernel ended it at its memory limit");
    else if (e->late)
        fail(r, SANDBOX_TIMEOUT, "its time is used up");
    else if (cpu_limit > 0 && e->cpu_us - r->cpu_base_us >= cpu_limit && e->cpu_us >= r->cpu_base_us)
        fail(r, SANDBOX_CPU, "its cpu time is used up");
    else if (status == -1)
        fail(r, SANDBOX_SIGNAL, "it was ended from outside");
    else if ((status & 0x7f) != 0)
        fail(r, SANDBOX_SIGNAL, "it was ended by a signal");
    else if (status >> 8 != 0)
        fail(r, SANDBOX_EXIT, "it ended with an exit status other than 0");
    else if (r->config.mode == RUN_RESIDENT)
        fail(r, SANDBOX_BAD_OUTPUT, "the worker ended without an answer");
    if (r->result.status == SANDBOX_SIGNAL && r->failed)
        r->result.code = status == -1 ? KILLED : status & 0x7f;
    if (r->result.status == SANDBOX_EXIT && r->failed)
        r->result.code = (status >> 8) & 0xff;
}

static void judge_output(struct run *r)
{
    struct buf why = {0};
    if (!r->failed && sandbox_output_check(r->config.format.output, buf_view(&r->output), &why) != ERR_OK)
        fail(r, SANDBOX_BAD_OUTPUT, buf_cstr(&why));
    buf_close(&why);
}

static void on_ended(struct run *r, const struct sandbox_ended *e, uint64_t now_us)
{
    assert(r->state != RUN_GONE);
    r->spawn = r->build = r->start = r->feed = r->end_input = r->kill = false;
    if (r->has_call && !r->done) {
        judge_end(r, e);
        judge_output(r);
        r->result.started = e->started;
        r->result.cpu_us = e->cpu_us > r->cpu_base_us ? e->cpu_us - r->cpu_base_us : 0;
        if (e->memory_peak > r->result.memory_peak)
            r->result.memory_peak = e->memory_peak;
        finish(r, now_us);
    }
    move(r, RUN_GONE);
    r->over = true;
}

static void on_lost(struct run *r, uint64_t now_us)
{
    const struct sandbox_ended gone = {.started = true, .wait_status = -1};
    if (r->has_call && !r->done)
        fail(r, SANDBOX_SETUP, "the launcher ended; its sandboxes end with it");
    on_ended(r, &gone, now_us);
}

static void on_cancel(struct run *r, uint64_t now_us)
{
    if (!r->has_call || r->done) {
        kill_now(r);
        return;
    }
    fail_and_kill(r, SANDBOX_CANCELLED, "the caller went away");
    if (r->state == RUN_GONE)
        finish(r, now_us);
}

static void on_tick(struct run *r, uint64_t now_us)
{
    if (r->state == RUN_KILLED && r->killed_us != 0 && now_us >= r->killed_us + SANDBOX_STUCK_MS * 1000) {
        r->stuck = true;
        r->killed_us = 0;
    }
    if (r->state == RUN_BUSY && now_us >= r->limit_us)
        fail_and_kill(r, SANDBOX_TIMEOUT, "its time is used up");
    if (r->state == RUN_GONE && r->has_call && !r->done)
        finish(r, now_us);
    if (r->state == RUN_WAITING && r->config.mode == RUN_RESIDENT && now_us >= r->idle_since_us + r->config.idle_us)
        kill_now(r);
}

static void on_changed(struct run *r, struct bytes how)
{
    struct buf text = {0};
    buf_put_bytes(&text, how);
    fail_and_kill(r, SANDBOX_SETUP, buf_cstr(&text));
    buf_close(&text);
}

void run_input(struct run *r, const struct run_event *event, uint64_t now_us)
{
    check(r);
    if (r->state == RUN_GONE)
        return;
    r->now_us = now_us;
    switch (event->kind) {
    case RUN_EVENT_CALL:
        on_call(r, &event->u.call, now_us);
        break;
    case RUN_EVENT_BUILT:
        if (r->state == RUN_BUILDING)
            move(r, RUN_WAITING);
        break;
    case RUN_EVENT_TAKEN:
        on_taken(r, event->u.n);
        break;
    case RUN_EVENT_INPUT_CLOSED:
        r->feed = r->end_input = r->input_open = false;
        break;
    case RUN_EVENT_OUTPUT:
        on_output(r, event->u.bytes, now_us);
        break;
    case RUN_EVENT_ERRORS:
        on_errors(r, event->u.bytes);
        break;
    case RUN_EVENT_SAMPLE:
        on_sample(r, &event->u.sample);
        break;
    case RUN_EVENT_CHANGED:
        on_changed(r, event->u.bytes);
        if (r->state == RUN_GONE && r->has_call && !r->done)
            finish(r, now_us);
        break;
    case RUN_EVENT_CANCEL:
        on_cancel(r, now_us);
        break;
    case RUN_EVENT_ENDED:
        on_ended(r, event->u.ended, now_us);
        break;
    case RUN_EVENT_LOST:
        on_lost(r, now_us);
        break;
    case RUN_EVENT_TICK:
        on_tick(r, now_us);
        break;
    }
    check(r);
}

static void fill_result(struct run *r, struct run_action *out)
{
    struct sandbox_result *result = &r->result;
    result->output = buf_view(&r->output);
    if (result->status == SANDBOX_BAD_OUTPUT && result->output.n > SANDBOX_FIRST_BYTES)
        result->output.n = SANDBOX_FIRST_BYTES;
    result->errors = buf_view(&r->errors);
    if (r->detail.n > SANDBOX_DETAIL_MAX)
        r->detail.n = SANDBOX_DETAIL_MAX;
    result->detail = r->failed ? buf_cstr(&r->detail) : "";
    out->call_id = r->call_id;
    out->result = *result;
}

static bool take(bool *flag)
{
    bool was = *flag;
    *flag = false;
    return was;
}

static enum run_action_kind next_kind(struct run *r)
{
    if (take(&r->build))
        return RUN_BUILD;
    if (take(&r->spawn))
        return RUN_SPAWN;
    if (take(&r->start))
        return RUN_START;
    if (take(&r->feed))
        return RUN_FEED;
    if (take(&r->end_input))
        return RUN_END_INPUT;
    if (r->config.mode != RUN_RESIDENT && r->has_call && r->chunk_at < r->output.n)
        return RUN_CHUNK;
    if (take(&r->kill))
        return RUN_KILL;
    if (take(&r->stuck))
        return RUN_STUCK;
    if (r->done)
        return RUN_DONE;
    return take(&r->over) ? RUN_OVER : RUN_NOTHING;
}

enum run_action_kind run_next(struct run *r, struct run_action *out)
{
    *out = (struct run_action){.kind = next_kind(r)};
    if (out->kind == RUN_CHUNK) {
        out->bytes = bytes_of(r->output.p + r->chunk_at, r->output.n - r->chunk_at);
        r->chunk_at = r->output.n;
    } else if (out->kind == RUN_DONE) {
        fill_result(r, out);
        r->done = r->has_call = false;
    } else if (out->kind == RUN_END_INPUT) {
        r->input_open = false;
    }
    return out->kind;
}

uint64_t run_deadline(const struct run *r)
{
    if (r->state == RUN_BUSY)
        return r->limit_us;
    if (r->state == RUN_WAITING && r->config.mode == RUN_RESIDENT)
        return r->idle_since_us + r->config.idle_us;
    if (r->state == RUN_KILLED && r->killed_us != 0)
        return r->killed_us + SANDBOX_STUCK_MS * 1000;
    return UINT64_MAX;
}

bool run_free(const struct run *r)
{
    if (r->has_call)
        return false;
    return r->state == RUN_WAITING || (r->state == RUN_NEW && r->config.mode == RUN_ONCE);
}

bool run_ending(const struct run *r)
{
    return r->state == RUN_KILLED || r->state == RUN_GONE;
}

struct bytes run_unsent(const struct run *r)
{
    return bytes_of(r->input.p + r->input_at, r->input.n - r->input_at);
}

uint64_t run_lifetime_ms(const struct run *r)
{
    return r->config.mode == RUN_RESIDENT ? 0 : r->config.limits.wall_ms + SANDBOX_LIFETIME_MORE;
}
