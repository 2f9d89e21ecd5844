/*
 * The launcher on the loop: starting it, speaking with it, starting another when it dies; and the one timer of everything.
 */
#include "sandbox/uv_inside.h"

#include "crdt/alloc.h"
#include "sandbox/linux.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEATHS_MAX   3 /* launchers in a row that end before their self-test */
#define RUNS_DEFAULT 64
#define CLOSING_MS   3000 /* for a launcher to end */

static void on_socket(uv_poll_t *poll, int status, int events);

static enum err launcher_start(struct uv_sandbox *s, struct buf *why)
{
    pid_t pid = 0;
    enum err err = sandbox_launcher_spawn(s->options.launcher, &s->socket, &pid, why);
    if (err != ERR_OK)
        return err;
    s->launcher = pid;
    s->poll = mem_zalloc(sizeof *s->poll);
    s->poll->data = s;
    int failed = uv_poll_init(s->loop, s->poll, s->socket);
    assert(failed == 0);
    failed = uv_poll_start(s->poll, UV_READABLE, on_socket);
    assert(failed == 0);
    (void)failed;
    return ERR_OK;
}

static void order_free(struct uv_order *order)
{
    for (size_t i = 0; i < order->own; i++)
        close(order->fds[i]);
    buf_close(&order->message);
    free(order);
}

static void free_poll(uv_handle_t *handle)
{
    free(handle);
}

/* Its socket is shut: it ends all its sandboxes and itself. */
static void launcher_drop(struct uv_sandbox *s)
{
    if (s->poll == NULL)
        return;
    uv_poll_stop(s->poll);
    uv_close((uv_handle_t *)s->poll, free_poll);
    s->poll = NULL;
    close(s->socket);
    s->socket = -1;
    while (s->orders != NULL) {
        struct uv_order *order = s->orders;
        s->orders = order->next;
        order_free(order);
    }
    s->orders_end = &s->orders;
}

/* Its end is read from the socket, and all that follows is the same as when it dies by itself. */
void sandbox_stuck(struct uv_sandbox *s)
{
    if (s->launcher > 0)
        kill(s->launcher, SIGKILL);
}

static void each_slot_lost(struct uv_sandbox *s)
{
    const struct run_event lost = {.kind = RUN_EVENT_LOST};
    for (struct uv_pool *pool = s->pools; pool != NULL; pool = pool->next) {
        for (struct uv_slot *slot = pool->slots, *next; slot != NULL; slot = next) {
            next = slot->next;
            slot_feed(slot, &lost);
        }
    }
}

static void say_ready(struct uv_sandbox *s)
{
    s->has_layers = true;
    if (s->options.ready != NULL)
        s->options.ready(s->options.ctx, &s->layers);
    sandbox_soon(s);
}

/* The launcher died. Its sandboxes die with it; another one takes over, unless none gets as far as its self-test. */
static void launcher_lost(struct uv_sandbox *s)
{
    struct buf why = {0};
    s->deaths++;
    launcher_drop(s);
    kill(s->launcher, SIGKILL);
    waitpid(s->launcher, NULL, 0);
    s->launcher = 0;
    s->has_layers = false;
    each_slot_lost(s);
    if (s->closing)
        return;
    if (s->deaths < DEATHS_MAX && launcher_start(s, &why) == ERR_OK) {
        buf_close(&why);
        return;
    }
    memset(&s->layers, 0, sizeof s->layers);
    for (int i = 0; i < SANDBOX_LAYER_COUNT; i++)
        memcpy(s->layers.missing[i], "the launcher does not stay up", sizeof "the launcher does not stay up");
    buf_close(&why);
    say_ready(s);
}

static void on_notice(struct uv_sandbox *s, const struct sandbox_notice *notice)
{
    if (notice->kind == SANDBOX_NOTICE_HELLO) {
        s->layers = notice->u.layers;
        s->deaths = 0;
        say_ready(s);
        return;
    }
    for (struct uv_pool *pool = s->pools; pool != NULL; pool = pool->next) {
        for (struct uv_slot *slot = pool->slots; slot != NULL; slot = slot->next) {
            if (slot->id == notice->id) {
                slot_notice(slot, notice);
                return;
            }
        }
    }
}

static int send_order(int socket, const struct uv_order *order)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(SANDBOX_FDS_MAX * sizeof(int))];
    } control = {.room = {0}};
    struct iovec part = {.iov_base = order->message.p, .iov_len = order->message.n};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (order->fds_count > 0) {
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(order->fds_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(order->fds_count * sizeof(int));
        memcpy(CMSG_DATA(c), order->fds, order->fds_count * sizeof(int));
    }
    ssize_t n = sendmsg(socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n == (ssize_t)order->message.n ? 0 : errno;
}

/* Sends what waits, as much as goes. */
static void flush_orders(struct uv_sandbox *s)
{
    while (s->orders != NULL && s->poll != NULL) {
        struct uv_order *order = s->orders;
        int failed = send_order(s->socket, order);
        if (failed == EAGAIN || failed == ENOBUFS) {
            uv_poll_start(s->poll, UV_READABLE | UV_WRITABLE, on_socket);
            return;
        }
        s->orders = order->next; /* any other failure: the launcher is gone, and its end is about to be read */
        if (s->orders == NULL)
            s->orders_end = &s->orders;
        order_free(order);
    }
    if (s->poll != NULL)
        uv_poll_start(s->poll, UV_READABLE, on_socket);
}

void sandbox_send(struct uv_sandbox *s, struct uv_order *order)
{
    bool first = s->orders == NULL;
    if (s->poll == NULL) {
        order_free(order);
        return;
    }
    *s->orders_end = order;
    s->orders_end = &order->next;
    if (first && send_order(s->socket, order) == 0) {
        s->orders = NULL;
        s->orders_end = &s->orders;
        order_free(order);
    } else if (first) {
        flush_orders(s);
    }
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct uv_sandbox *s = poll->data;
    struct sandbox_notice notice;
    (void)status;
    if ((events & UV_WRITABLE) != 0)
        flush_orders(s);
    while (s->poll != NULL) {
        ssize_t n = recv(s->socket, &notice, sizeof notice, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n != (ssize_t)sizeof notice || notice.magic != SANDBOX_MESSAGE_MAGIC) {
            launcher_lost(s);
            return;
        }
        on_notice(s, &notice);
    }
}

static void free_handle(uv_handle_t *handle)
{
    struct uv_sandbox *s = handle->data;
    if (--s->handles > 0)
        return;
    void (*closed)(void *ctx) = s->closed;
    void *ctx = s->closed_ctx;
    free(s);
    if (closed != NULL)
        closed(ctx);
}

/* It has nothing left to end but what it made ahead; one that hangs is not waited for. */
static void launcher_reap(struct uv_sandbox *s)
{
    const struct timespec pause = {.tv_nsec = 2 * 1000000};
    for (int i = 0; s->launcher > 0 && i < CLOSING_MS / 2; i++) {
        if (waitpid(s->launcher, NULL, WNOHANG) != 0)
            s->launcher = 0;
        else
            nanosleep(&pause, NULL);
    }
    if (s->launcher > 0) {
        kill(s->launcher, SIGKILL);
        waitpid(s->launcher, NULL, 0);
    }
    s->launcher = 0;
}

/* All pools are gone: the launcher goes, then this. */
static void finish_closing(struct uv_sandbox *s)
{
    launcher_drop(s);
    launcher_reap(s);
    uv_close((uv_handle_t *)&s->timer, free_handle);
    uv_close((uv_handle_t *)&s->soon, free_handle);
}

static void look(struct uv_sandbox *s)
{
    const uint64_t now = uv_now_us();
    for (struct uv_pool **at = &s->pools; *at != NULL;) {
        struct uv_pool *pool = *at, *next;
        pool->closing = pool->closing || s->closing;
        pool_tick(pool, now);
        pool_pump(pool);
        next = pool->next;
        if (pool_reap(pool))
            *at = next;
        else
            at = &pool->next;
    }
    if (s->closing && s->pools == NULL)
        finish_closing(s);
    else
        sandbox_rearm(s);
}

static void on_timer(uv_timer_t *timer)
{
    look(timer->data);
}

void sandbox_soon(struct uv_sandbox *s)
{
    if (!uv_is_active((uv_handle_t *)&s->soon) && !uv_is_closing((uv_handle_t *)&s->soon))
        uv_timer_start(&s->soon, on_timer, 0, 0);
}

void sandbox_rearm(struct uv_sandbox *s)
{
    uint64_t next = UINT64_MAX, now = uv_now_us();
    for (const struct uv_pool *pool = s->pools; pool != NULL; pool = pool->next) {
        uint64_t at = pool_deadline(pool);
        next = at < next ? at : next;
    }
    if (uv_is_closing((uv_handle_t *)&s->timer))
        return;
    if (next == UINT64_MAX) {
        uv_timer_stop(&s->timer);
        return;
    }
    uv_update_time(s->loop);
    uv_timer_start(&s->timer, on_timer, next <= now ? 1 : (next - now) / 1000 + 1, 0);
}

enum err uv_sandbox_new(struct uv_loop_s *loop, const struct uv_sandbox_options *options, struct buf *why,
                        struct uv_sandbox **out)
{
    struct uv_sandbox *s = mem_zalloc(sizeof *s);
    s->loop = loop;
    s->options = *options;
    if (s->options.runs_max == 0)
        s->options.runs_max = RUNS_DEFAULT;
    if (s->options.runs_max > SANDBOX_RUNS_MAX)
        s->options.runs_max = SANDBOX_RUNS_MAX;
    s->orders_end = &s->orders;
    enum err err = launcher_start(s, why);
    if (err != ERR_OK) {
        free(s);
        return err;
    }
    uv_timer_init(loop, &s->timer);
    uv_timer_init(loop, &s->soon);
    s->timer.data = s->soon.data = s;
    s->handles = 2;
    *out = s;
    return ERR_OK;
}

const struct sandbox_layers *uv_sandbox_layers(const struct uv_sandbox *s)
{
    return s->has_layers ? &s->layers : NULL;
}

void uv_sandbox_close(struct uv_sandbox *s, void (*closed)(void *ctx), void *ctx)
{
    assert(!s->closing);
    s->closing = true;
    s->closed = closed;
    s->closed_ctx = ctx;
    sandbox_soon(s);
}
