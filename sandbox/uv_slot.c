/*
 * One sandbox on the loop: its pipes, its order, and the supervisor's actions carried out.
 */
#include "sandbox/uv_inside.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES  65536
#define READ_ROUNDS 4 /* reads of one pipe before others have their turn */

uint64_t uv_now_us(void)
{
    return uv_hrtime() / 1000;
}

uint64_t slot_cpu_us(const struct uv_slot *slot)
{
    clockid_t clock;
    struct timespec t;
    if (slot->pid <= 0 || clock_getcpuclockid(slot->pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void slot_free(struct uv_slot *slot)
{
    run_close(slot->run);
    free(slot);
}

static void on_end_closed(uv_handle_t *handle)
{
    struct uv_end *end = handle->data;
    struct uv_slot *slot = end->slot;
    if (--slot->open == 0 && slot->over)
        slot_free(slot);
}

static void end_close(struct uv_end *end)
{
    if (end->fd < 0)
        return;
    uv_poll_stop(&end->poll);
    uv_close((uv_handle_t *)&end->poll, on_end_closed);
    close(end->fd);
    end->fd = -1;
}

static void slot_over(struct uv_slot *slot)
{
    end_close(&slot->in);
    end_close(&slot->out);
    end_close(&slot->err);
    slot->over = true;
    pool_slot_gone(slot);
    if (slot->open == 0)
        slot_free(slot);
}

static bool end_open(struct uv_slot *slot, struct uv_end *end, int fd)
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (uv_poll_init(slot->pool->s->loop, &end->poll, fd) != 0) {
        close(fd);
        return false;
    }
    end->poll.data = end;
    end->slot = slot;
    end->fd = fd;
    slot->open++;
    return true;
}

/* Reads what is there; false once it is closed or the run wants nothing more of it. */
static bool read_end(struct uv_slot *slot, struct uv_end *end, enum run_event_kind kind, int rounds)
{
    uint8_t room[READ_BYTES];
    for (int i = 0; i < rounds && !run_ending(slot->run); i++) {
        ssize_t n = read(end->fd, room, sizeof room);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n <= 0)
            return false;
        const struct run_event event = {.kind = kind, .u.bytes = bytes_of(room, (size_t)n)};
        run_input(slot->run, &event, uv_now_us());
    }
    return !run_ending(slot->run);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct uv_end *end = poll->data;
    struct uv_slot *slot = end->slot;
    (void)status;
    (void)events;
    enum run_event_kind kind = end == &slot->out ? RUN_EVENT_OUTPUT : RUN_EVENT_ERRORS;
    if (!read_end(slot, end, kind, READ_ROUNDS))
        uv_poll_stop(&end->poll); /* closed by the program: its end is another matter */
    slot_drain(slot);
}

static void write_some(struct uv_slot *slot)
{
    while (slot->in.fd >= 0) {
        struct bytes rest = run_unsent(slot->run);
        if (rest.n == 0 || run_ending(slot->run)) {
            uv_poll_stop(&slot->in.poll);
            return;
        }
        ssize_t n = write(slot->in.fd, rest.p, rest.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        struct run_event event = {.kind = RUN_EVENT_INPUT_CLOSED};
        if (n > 0)
            event = (struct run_event){.kind = RUN_EVENT_TAKEN, .u.n = (size_t)n};
        else
            end_close(&slot->in);
        run_input(slot->run, &event, uv_now_us());
    }
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct uv_end *end = poll->data;
    struct uv_slot *slot = end->slot;
    (void)status;
    (void)events;
    write_some(slot);
    slot_drain(slot);
}

/* Could not be started: the supervisor hears of its end at once. */
static void never_started(struct uv_slot *slot, const char *why)
{
    struct sandbox_ended ended = {.wait_status = -1};
    snprintf(ended.detail, sizeof ended.detail, "%s", why);
    const struct run_event event = {.kind = RUN_EVENT_ENDED, .u.ended = &ended};
    run_input(slot->run, &event, uv_now_us());
}

static bool files_hold(struct uv_slot *slot)
{
    struct buf why = {0};
    bool ok = pool_files_check(slot->pool, &why) == ERR_OK;
    if (!ok) {
        const struct run_event event = {.kind = RUN_EVENT_CHANGED, .u.bytes = buf_view(&why)};
        run_input(slot->run, &event, uv_now_us());
    }
    buf_close(&why);
    return ok;
}

/* Three pipes; the program's ends go into the order, which owns them. */
static bool open_pipes(struct uv_slot *slot, struct uv_order *order)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    bool made = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0;
    if (!made) {
        const int all[] = {in[0], in[1], out[0], out[1], err[0], err[1]};
        for (size_t i = 0; i < 6; i++) {
            if (all[i] >= 0)
                close(all[i]);
        }
        return false;
    }
    order->fds[0] = in[0];
    order->fds[1] = out[1];
    order->fds[2] = err[1];
    order->fds_count = order->own = 3;
    bool ok = end_open(slot, &slot->in, in[1]);
    ok = end_open(slot, &slot->out, out[0]) && ok;
    ok = end_open(slot, &slot->err, err[0]) && ok;
    return ok && uv_poll_start(&slot->out.poll, UV_READABLE, on_readable) == 0 &&
           uv_poll_start(&slot->err.poll, UV_READABLE, on_readable) == 0;
}

static struct uv_order *order_new(struct uv_slot *slot, enum sandbox_order_kind kind)
{
    struct uv_order *order = mem_zalloc(sizeof *order);
    struct sandbox_order head = {.kind = kind};
    bool makes = kind == SANDBOX_ORDER_BUILD || kind == SANDBOX_ORDER_RUN;
    if (makes)
        buf_put_bytes(&order->message, buf_view(&slot->pool->order));
    else
        sandbox_order_pack(&order->message, &head, NULL);
    memcpy(&head, order->message.p, sizeof head);
    head.kind = kind;
    head.id = slot->id;
    head.lifetime_ms = run_lifetime_ms(slot->run);
    head.tells_start = slot->pool->options.workers > 0;
    memcpy(order->message.p, &head, sizeof head);
    return order;
}

static void order_drop(struct uv_order *order)
{
    for (size_t i = 0; i < order->own; i++)
        close(order->fds[i]);
    buf_close(&order->message);
    free(order);
}

static void make(struct uv_slot *slot, enum sandbox_order_kind kind)
{
    struct uv_order *order = order_new(slot, kind);
    bool ok = files_hold(slot);
    if (ok && kind != SANDBOX_ORDER_BUILD && !open_pipes(slot, order)) {
        never_started(slot, "no pipes could be made: too many open files");
        ok = false;
    } else if (!ok) {
        never_started(slot, "a file changed");
    }
    if (!ok) {
        order_drop(order);
        return;
    }
    for (size_t i = 0; kind != SANDBOX_ORDER_START && i < slot->pool->files_count; i++)
        order->fds[order->fds_count++] = slot->pool->files[i].fd;
    slot->pool->stats.started += kind != SANDBOX_ORDER_START;
    sandbox_send(slot->pool->s, order);
}

static void carry_out(struct uv_slot *slot, struct run_action *action)
{
    switch (action->kind) {
    case RUN_BUILD:
        make(slot, SANDBOX_ORDER_BUILD);
        break;
    case RUN_SPAWN:
        make(slot, SANDBOX_ORDER_RUN);
        break;
    case RUN_START:
        make(slot, SANDBOX_ORDER_START);
        break;
    case RUN_FEED:
        write_some(slot);
        if (slot->in.fd >= 0 && run_unsent(slot->run).n > 0)
            uv_poll_start(&slot->in.poll, UV_WRITABLE, on_writable);
        break;
    case RUN_END_INPUT:
        end_close(&slot->in);
        break;
    case RUN_CHUNK:
        pool_chunk(slot, action->bytes);
        break;
    case RUN_KILL:
        slot->pool->stats.killed++;
        if (slot->in.fd >= 0)
            uv_poll_stop(&slot->in.poll);
        sandbox_send(slot->pool->s, order_new(slot, SANDBOX_ORDER_KILL));
        break;
    case RUN_STUCK:
        sandbox_stuck(slot->pool->s);
        break;
    case RUN_DONE:
        pool_done(slot, &action->result);
        break;
    case RUN_OVER:
    case RUN_NOTHING:
        break;
    }
}

void slot_drain(struct uv_slot *slot)
{
    struct run_action action;
    struct uv_pool *pool = slot->pool;
    if (slot->draining)
        return;
    slot->draining = true;
    while (run_next(slot->run, &action) != RUN_NOTHING) {
        if (action.kind == RUN_OVER) {
            slot_over(slot);
            sandbox_soon(pool->s);
            return;
        }
        carry_out(slot, &action);
    }
    slot->draining = false;
    sandbox_rearm(pool->s);
}

void slot_feed(struct uv_slot *slot, const struct run_event *event)
{
    run_input(slot->run, event, uv_now_us());
    slot_drain(slot);
}

static void on_ended(struct uv_slot *slot, const struct sandbox_ended *ended)
{
    const struct run_event event = {.kind = RUN_EVENT_ENDED, .u.ended = ended};
    if (slot->out.fd >= 0)
        (void)read_end(slot, &slot->out, RUN_EVENT_OUTPUT, SANDBOX_OUTPUT_MAX / READ_BYTES);
    if (slot->err.fd >= 0)
        (void)read_end(slot, &slot->err, RUN_EVENT_ERRORS, READ_ROUNDS);
    if (slot->call != NULL && ended->started)
        (void)files_hold(slot); /* what was run is what was hashed: a program that runs cannot be written to */
    slot_feed(slot, &event);
}

void slot_notice(struct uv_slot *slot, const struct sandbox_notice *notice)
{
    const struct run_event built = {.kind = RUN_EVENT_BUILT};
    const struct run_event sample = {.kind = RUN_EVENT_SAMPLE, .u.sample = notice->u.sample};
    switch ((enum sandbox_notice_kind)notice->kind) {
    case SANDBOX_NOTICE_BUILT:
        slot_feed(slot, &built);
        sandbox_soon(slot->pool->s);
        break;
    case SANDBOX_NOTICE_STARTED:
        slot->pid = notice->u.pid;
        break;
    case SANDBOX_NOTICE_SAMPLE:
        slot_feed(slot, &sample);
        break;
    case SANDBOX_NOTICE_ENDED:
        on_ended(slot, &notice->u.ended);
        break;
    case SANDBOX_NOTICE_HELLO:
        break;
    }
}

struct uv_slot *slot_new(struct uv_pool *pool, enum run_mode mode)
{
    struct uv_slot *slot = mem_zalloc(sizeof *slot);
    struct run_config config = pool->config;
    config.mode = mode;
    slot->pool = pool;
    slot->id = ++pool->s->next_slot;
    slot->run = run_new(&config, uv_now_us());
    slot->in.fd = slot->out.fd = slot->err.fd = -1;
    slot->next = pool->slots;
    pool->slots = slot;
    pool->s->slots_count++;
    return slot;
}
