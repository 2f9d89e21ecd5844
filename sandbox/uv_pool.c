/*
 * One deployment on the loop: its calls, who of them runs where, and the sandboxes that are kept ready.
 */
#include "sandbox/uv_inside.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARALLEL_DEFAULT 4
#define QUEUE_DEFAULT    64
#define IDLE_DEFAULT_MS  300000

static void file_copy(struct uv_pool *pool, const struct sandbox_file *file)
{
    struct sandbox_file *copy = &pool->files[pool->files_count++];
    *copy = *file;
    copy->fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 3);
}

static void take_spec(struct uv_pool *pool, const struct sandbox_spec *spec)
{
    struct sandbox_order head = {.kind = SANDBOX_ORDER_RUN};
    sandbox_order_pack(&pool->order, &head, spec);
    pool->files = mem_calloc(1 + spec->mounts_count, sizeof *pool->files);
    file_copy(pool, spec->exe);
    for (size_t i = 0; i < spec->mounts_count; i++) {
        if (spec->mounts[i].file != NULL)
            file_copy(pool, spec->mounts[i].file);
    }
    pool->weak = spec->weak;
    pool->config = (struct run_config){.limits = sandbox_limits_fill(spec->limits),
                                       .weak = spec->weak,
                                       .format = {.frames = pool->options.frames,
                                                  .input = spec->input,
                                                  .output = spec->output,
                                                  .output_bytes = sandbox_limits_fill(spec->limits).output_bytes},
                                       .idle_us = pool->options.idle_ms * 1000};
}

enum err uv_pool_new(struct uv_sandbox *s, const struct uv_pool_options *options, struct buf *why, struct uv_pool **out)
{
    const struct sandbox_spec *spec = options->spec;
    enum err err = sandbox_spec_check(spec, NULL, why);
    if (err != ERR_OK)
        return err;
    if (options->workers > 0 && options->frames == SANDBOX_LINES &&
        (spec->input == SANDBOX_BYTES || spec->output == SANDBOX_BYTES)) {
        buf_put_str(why, "workers that speak in lines carry JSON or text, not bytes: use frames");
        return ERR_INVALID;
    }
    if (options->queue_max > FAIR_QUEUE_MAX || options->parallel > SANDBOX_RUNS_MAX ||
        options->workers > SANDBOX_RUNS_MAX || options->prebuilt > SANDBOX_RUNS_MAX) {
        buf_printf(why, "at most %d may wait and %d run at once", FAIR_QUEUE_MAX, SANDBOX_RUNS_MAX);
        return ERR_INVALID;
    }
    struct uv_pool *pool = mem_zalloc(sizeof *pool);
    pool->s = s;
    pool->options = *options;
    if (pool->options.parallel == 0)
        pool->options.parallel = PARALLEL_DEFAULT;
    if (pool->options.queue_max == 0)
        pool->options.queue_max = QUEUE_DEFAULT;
    if (pool->options.idle_ms == 0)
        pool->options.idle_ms = IDLE_DEFAULT_MS;
    take_spec(pool, spec);
    pool->options.spec = NULL;
    fair_queue_init(&pool->queue, pool->options.queue_max);
    struct uv_pool **end = &s->pools;
    while (*end != NULL)
        end = &(*end)->next;
    *end = pool;
    sandbox_soon(s);
    *out = pool;
    return ERR_OK;
}

enum err pool_files_check(struct uv_pool *pool, struct buf *why)
{
    for (size_t i = 0; i < pool->files_count; i++) {
        enum err err = sandbox_file_check(&pool->files[i], why);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err uv_pool_call(struct uv_pool *pool, const struct uv_call *call, uint64_t *id)
{
    assert(call->done != NULL);
    if (call->input.n > SANDBOX_INPUT_MAX)
        return ERR_TOO_LARGE;
    if (pool->closing || pool->s->closing)
        return ERR_CLOSED;
    if (pool->waiting_bytes > 0 && pool->waiting_bytes + call->input.n > SANDBOX_WAITING_MAX)
        return ERR_BUSY;
    enum err err = fair_queue_push(&pool->queue, call->caller, pool->next_call + 1);
    if (err != ERR_OK)
        return err;
    struct uv_pending *p = mem_zalloc(sizeof *p);
    p->id = ++pool->next_call;
    p->call = *call;
    buf_put_bytes(&p->input, call->input);
    pool->waiting_bytes += call->input.n;
    p->queued_us = uv_now_us();
    p->until_us = call->within_ms == 0 ? UINT64_MAX : p->queued_us + call->within_ms * 1000;
    p->next = pool->calls;
    pool->calls = p;
    *id = p->id;
    sandbox_soon(pool->s);
    return ERR_OK;
}

static struct uv_pending *pending_find(struct uv_pool *pool, uint64_t id)
{
    struct uv_pending *p = pool->calls;
    while (p != NULL && p->id != id)
        p = p->next;
    return p;
}

void uv_pool_cancel(struct uv_pool *pool, uint64_t id)
{
    struct uv_pending *p = pending_find(pool, id);
    if (p == NULL)
        return;
    p->cancelled = true;
    sandbox_soon(pool->s);
}

void uv_pool_close(struct uv_pool *pool)
{
    pool->closing = true;
    sandbox_soon(pool->s);
}

void uv_pool_stats(const struct uv_pool *pool, struct uv_pool_stats *out)
{
    *out = pool->stats;
    out->running = out->waiting = out->workers = 0;
    for (const struct uv_pending *p = pool->calls; p != NULL; p = p->next) {
        out->running += p->slot != NULL;
        out->waiting += p->slot == NULL;
    }
    for (const struct uv_slot *slot = pool->slots; slot != NULL && pool->options.workers > 0; slot = slot->next)
        out->workers++;
}

/* Takes the call out of the list, tells its owner, frees it. */
static void pending_end(struct uv_pool *pool, struct uv_pending *p, const struct sandbox_result *result)
{
    struct uv_pending **at = &pool->calls;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    if (fair_queue_remove(&pool->queue, p->id))
        pool->waiting_bytes -= p->input.n;
    p->call.done(p->call.ctx, result);
    buf_close(&p->input);
    free(p);
}

/* The end of a call that never came into a sandbox. */
static void pending_refuse(struct uv_pool *pool, struct uv_pending *p, enum sandbox_status status, const char *detail)
{
    const struct sandbox_result result = {
        .status = status, .wait_us = uv_now_us() - p->queued_us, .bytes_in = p->input.n, .detail = detail};
    assert(p->slot == NULL);
    pending_end(pool, p, &result);
}

void pool_chunk(struct uv_slot *slot, struct bytes piece)
{
    if (slot->call != NULL && slot->call->call.chunk != NULL)
        slot->call->call.chunk(slot->call->call.ctx, piece);
}

void pool_done(struct uv_slot *slot, struct sandbox_result *result)
{
    struct uv_pending *p = slot->call;
    assert(p != NULL);
    bool resident = slot->pool->options.workers > 0;
    uint64_t cpu = slot_cpu_us(slot);
    if (resident && cpu > slot->cpu_us && cpu - slot->cpu_us > result->cpu_us)
        result->cpu_us = cpu - slot->cpu_us;
    if (resident && result->status == SANDBOX_OK && p->call.chunk != NULL && result->output.n > 0)
        p->call.chunk(p->call.ctx, result->output);
    slot->call = NULL;
    pending_end(slot->pool, p, result);
    sandbox_soon(slot->pool->s);
}

void pool_slot_gone(struct uv_slot *slot)
{
    struct uv_slot **at = &slot->pool->slots;
    while (*at != slot)
        at = &(*at)->next;
    *at = slot->next;
    slot->pool->s->slots_count--;
}

static void give(struct uv_slot *slot, struct uv_pending *p)
{
    const uint64_t now = uv_now_us();
    struct run_event event = {.kind = RUN_EVENT_CALL,
                              .u.call = {.id = p->id,
                                         .input = buf_view(&p->input),
                                         .wall_us = p->until_us == UINT64_MAX ? UINT64_MAX
                                                    : p->until_us > now       ? p->until_us - now
                                                                              : 0,
                                         .wait_us = now - p->queued_us}};
    struct buf why = {0};
    slot->call = p;
    slot->cpu_us = slot->pid > 0 ? slot_cpu_us(slot) : UINT64_MAX;
    p->slot = slot;
    run_input(slot->run, &event, now);
    if (slot->pool->options.workers > 0 && pool_files_check(slot->pool, &why) != ERR_OK) {
        event = (struct run_event){.kind = RUN_EVENT_CHANGED, .u.bytes = buf_view(&why)};
        run_input(slot->run, &event, now);
    }
    buf_close(&why);
    slot_drain(slot);
}

static struct uv_slot *free_slot(struct uv_pool *pool)
{
    for (struct uv_slot *slot = pool->slots; slot != NULL; slot = slot->next) {
        if (run_free(slot->run) && slot->call == NULL)
            return slot;
    }
    return NULL;
}

struct tally {
    uint32_t busy, all, ready;
};

static struct tally count_slots(const struct uv_pool *pool)
{
    struct tally t = {0};
    for (const struct uv_slot *slot = pool->slots; slot != NULL; slot = slot->next) {
        t.all++;
        t.busy += slot->call != NULL;
        t.ready += slot->call == NULL && !run_ending(slot->run);
    }
    return t;
}

static struct uv_slot *slot_for_call(struct uv_pool *pool)
{
    const struct tally t = count_slots(pool);
    bool resident = pool->options.workers > 0;
    if (!resident && t.busy >= pool->options.parallel)
        return NULL;
    struct uv_slot *slot = free_slot(pool);
    bool room = pool->s->slots_count < pool->s->options.runs_max && (!resident || t.all < pool->options.workers);
    if (slot == NULL && room)
        slot = slot_new(pool, resident ? RUN_RESIDENT : RUN_ONCE);
    return slot;
}

static void keep_prebuilt(struct uv_pool *pool)
{
    struct tally t = count_slots(pool);
    if (t.busy > 0 && t.ready > 0)
        return; /* the machine is for the calls now; the next `done` comes back here */
    while (pool->options.workers == 0 && t.ready < pool->options.prebuilt &&
           pool->s->slots_count < pool->s->options.runs_max) {
        slot_drain(slot_new(pool, RUN_PREBUILT));
        t.ready++;
    }
}

/* On this machine nothing of this pool can run: everyone who waits hears why. */
static void refuse_all(struct uv_pool *pool, const char *why)
{
    for (struct uv_pending *p = pool->calls, *next; p != NULL; p = next) {
        next = p->next;
        if (p->slot == NULL)
            pending_refuse(pool, p, SANDBOX_SETUP, why);
    }
}

static enum err judge_layers(const struct uv_pool *pool, struct buf *why)
{
    const struct sandbox_file exe = {.fd = 1};
    const char *const argv[] = {"x", NULL};
    const struct sandbox_spec spec = {.exe = &exe, .argv = argv, .weak = pool->weak};
    return sandbox_spec_check(&spec, &pool->s->layers, why);
}

void pool_pump(struct uv_pool *pool)
{
    struct buf why = {0};
    uint64_t id;
    if (pool->closing || !pool->s->has_layers)
        return;
    if (judge_layers(pool, &why) != ERR_OK) {
        refuse_all(pool, buf_cstr(&why));
        buf_close(&why);
        return;
    }
    struct uv_slot *slot;
    while (pool->queue.count > 0 && (slot = slot_for_call(pool)) != NULL && fair_queue_pop(&pool->queue, &id)) {
        struct uv_pending *p = pending_find(pool, id);
        assert(p != NULL && p->slot == NULL && pool->waiting_bytes >= p->input.n);
        pool->waiting_bytes -= p->input.n;
        give(slot, p);
    }
    keep_prebuilt(pool);
}

uint64_t pool_deadline(const struct uv_pool *pool)
{
    uint64_t next = UINT64_MAX;
    for (const struct uv_pending *p = pool->calls; p != NULL; p = p->next) {
        if (p->slot == NULL && p->until_us < next)
            next = p->until_us;
    }
    for (const struct uv_slot *slot = pool->slots; slot != NULL; slot = slot->next) {
        uint64_t at = run_deadline(slot->run);
        next = at < next ? at : next;
    }
    return next;
}

static void tick_calls(struct uv_pool *pool, uint64_t now_us)
{
    const struct run_event cancel = {.kind = RUN_EVENT_CANCEL};
    for (struct uv_pending *p = pool->calls, *next; p != NULL; p = next) {
        next = p->next;
        bool cancelled = p->cancelled || pool->closing;
        if (p->slot == NULL && cancelled)
            pending_refuse(pool, p, SANDBOX_CANCELLED, "the caller went away");
        else if (p->slot == NULL && now_us >= p->until_us)
            pending_refuse(pool, p, SANDBOX_TIMEOUT, "its time is used up by waiting");
        else if (p->slot != NULL && cancelled && !run_ending(p->slot->run))
            run_input(p->slot->run, &cancel, now_us);
    }
}

void pool_tick(struct uv_pool *pool, uint64_t now_us)
{
    const struct run_event tick = {.kind = RUN_EVENT_TICK}, cancel = {.kind = RUN_EVENT_CANCEL};
    tick_calls(pool, now_us);
    for (struct uv_slot *slot = pool->slots, *next; slot != NULL; slot = next) {
        next = slot->next;
        bool end = pool->closing && !run_ending(slot->run);
        run_input(slot->run, end ? &cancel : &tick, now_us);
        slot_drain(slot);
    }
}

bool pool_reap(struct uv_pool *pool)
{
    if (!pool->closing || pool->slots != NULL || pool->calls != NULL)
        return false;
    for (size_t i = 0; i < pool->files_count; i++)
        sandbox_file_close(&pool->files[i]);
    free(pool->files);
    buf_close(&pool->order);
    fair_queue_close(&pool->queue);
    free(pool);
    return true;
}
