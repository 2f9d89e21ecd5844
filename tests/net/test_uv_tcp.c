/*
 * The TCP rim on real loopback sockets: listen, dial by number and by name, send, drain, close, refuse, stop.
 */
#include "crdt/alloc.h"
#include "net/uv_tcp.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

/* A label of 70 letters: no resolver has to be asked. */
#define NOT_A_NAME "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b:5"

struct side {
    struct net_uv *uv;
    uint64_t conn;
    size_t accepted, connected, failed, closed;
    uint64_t drained, received;
    char addr[NET_ADDR_MAX];
    struct buf data;
    bool hold; /* does not answer */
    enum net_dial_fault faults[32]; /* by dial */
};

static void on_event(void *ctx, const struct net_event *e)
{
    struct side *s = ctx;
    s->accepted += e->kind == NET_ACCEPTED;
    s->connected += e->kind == NET_CONNECTED;
    s->failed += e->kind == NET_DIAL_FAILED;
    if (e->kind == NET_DIAL_FAILED)
        s->faults[e->dial % 32] = e->fault;
    s->closed += e->kind == NET_CLOSED;
    if (e->kind == NET_ACCEPTED || e->kind == NET_CONNECTED) {
        s->conn = e->conn;
        (void)snprintf(s->addr, sizeof s->addr, "%s", e->addr);
    }
    if (e->kind == NET_DRAINED)
        s->drained = e->queued;
    if (e->kind == NET_DATA) {
        s->received += e->bytes.n;
        if (s->data.n < 100)
            buf_put_bytes(&s->data, e->bytes);
    }
}

static void on_guard(uv_timer_t *t)
{
    (void)t;
    (void)fprintf(stderr, "5 minutes went by\n");
    abort();
}

struct rig {
    uv_loop_t loop;
    uv_timer_t guard;
    struct side a, b;
    char bound[NET_ADDR_MAX];
};

static void rig_up(struct rig *r, const char *listen)
{
    struct buf why = {0};
    memset(r, 0, sizeof *r);
    (void)uv_loop_init(&r->loop);
    (void)uv_timer_init(&r->loop, &r->guard);
    (void)uv_timer_start(&r->guard, on_guard, 300000, 0);
    uv_unref((uv_handle_t *)&r->guard);
    r->a.uv = net_uv_new(&r->loop, on_event, &r->a);
    r->b.uv = net_uv_new(&r->loop, on_event, &r->b);
    cr_assert_eq(net_uv_listen(r->a.uv, listen, r->bound, &why), ERR_OK, "%s", buf_cstr(&why));
    buf_close(&why);
}

static void rig_down(struct rig *r)
{
    net_uv_stop(r->a.uv);
    net_uv_stop(r->b.uv);
    uv_close((uv_handle_t *)&r->guard, NULL);
    (void)uv_run(&r->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&r->loop), 0);
    buf_close(&r->a.data);
    buf_close(&r->b.data);
}

static void run_while(struct rig *r, const size_t *counter, size_t until)
{
    while (*counter < until)
        (void)uv_run(&r->loop, UV_RUN_ONCE);
}

Test(uv_tcp, bytes_go_both_ways_and_the_queue_is_reported)
{
    struct rig r;
    rig_up(&r, "127.0.0.1:0");
    cr_assert_str_neq(r.bound, "127.0.0.1:0");
    net_uv_dial(r.b.uv, 7, r.bound);
    cr_assert_eq(r.b.connected + r.b.failed, 0, "never from within the call");
    run_while(&r, &r.b.connected, 1);
    run_while(&r, &r.a.accepted, 1);
    cr_assert_str_eq(r.b.addr, r.bound);
    cr_assert(strncmp(r.a.addr, "127.0.0.1:", 10) == 0, "%s", r.a.addr);
    r.b.drained = 1;
    net_uv_send(r.b.uv, r.b.conn, bytes_str("hello"));
    net_uv_send(r.a.uv, r.a.conn, bytes_str("you"));
    while (r.a.received < 5 || r.b.received < 3 || r.b.drained != 0)
        (void)uv_run(&r.loop, UV_RUN_ONCE);
    cr_assert(bytes_eq(buf_view(&r.a.data), bytes_str("hello")));
    cr_assert(bytes_eq(buf_view(&r.b.data), bytes_str("you")));
    rig_down(&r);
}

Test(uv_tcp, what_was_sent_before_a_close_arrives)
{
    struct rig r;
    rig_up(&r, "127.0.0.1:0");
    net_uv_dial(r.b.uv, 1, r.bound);
    run_while(&r, &r.b.connected, 1);
    run_while(&r, &r.a.accepted, 1);
    uint8_t *big = mem_zalloc(4u << 20);
    net_uv_send(r.a.uv, r.a.conn, bytes_str("unread")); /* must not turn the close into a reset */
    net_uv_send(r.b.uv, r.b.conn, bytes_of(big, 4u << 20));
    net_uv_close(r.b.uv, r.b.conn);
    free(big);
    run_while(&r, &r.a.closed, 1);
    cr_assert_eq(r.a.received, 4u << 20);
    cr_assert_eq(r.b.closed, 0, "no event about a connection after net_uv_close");
    rig_down(&r);
}

Test(uv_tcp, names_are_looked_up_and_every_dial_is_answered)
{
    struct rig r;
    char text[NET_ADDR_MAX];
    rig_up(&r, "127.0.0.1:0");
    (void)snprintf(text, sizeof text, "localhost%s", strrchr(r.bound, ':'));
    net_uv_dial(r.b.uv, 1, text);
    run_while(&r, &r.b.connected, 1);
    static const char *bad[] = {"127.0.0.1:1", "[::1]:1", "nonsense", "127.0.0.1:70000", NOT_A_NAME, ":"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        net_uv_dial(r.b.uv, 10 + i, bad[i]);
    cr_assert_eq(r.b.failed, 0);
    run_while(&r, &r.b.failed, sizeof bad / sizeof *bad);
    cr_assert_eq(r.b.faults[10], NET_DIAL_REFUSED);
    cr_assert_eq(r.b.faults[14], NET_DIAL_NAME);
    rig_down(&r);
}

Test(uv_tcp, an_address_in_use_is_named)
{
    struct rig r;
    char bound[NET_ADDR_MAX];
    struct buf why = {0};
    rig_up(&r, "127.0.0.1:0");
    cr_assert_eq(net_uv_listen(r.b.uv, r.bound, bound, &why), ERR_IO);
    cr_assert_not_null(strstr(buf_cstr(&why), "address already in use"));
    cr_assert_not_null(strstr(buf_cstr(&why), r.bound));
    buf_reset(&why);
    cr_assert_eq(net_uv_listen(r.b.uv, "here", bound, &why), ERR_FORM);
    buf_close(&why);
    rig_down(&r);
}

Test(uv_tcp, inbound_connections_are_bounded)
{
    struct rig r;
    rig_up(&r, "127.0.0.1:0");
    struct net_uv *more = net_uv_new(&r.loop, on_event, &r.b);
    for (size_t i = 0; i < NET_CONNS_MAX; i++)
        net_uv_dial(r.b.uv, i + 1, r.bound);
    run_while(&r, &r.a.accepted, NET_CONNS_MAX);
    run_while(&r, &r.b.connected, NET_CONNS_MAX);
    net_uv_dial(more, 99, r.bound);
    run_while(&r, &r.b.closed, 1); /* connected by the kernel, closed at once by the rim */
    cr_assert_eq(r.a.accepted, NET_CONNS_MAX);
    net_uv_stop(more);
    rig_down(&r);
}

Test(uv_tcp, stopping_in_the_middle_of_things_leaks_nothing)
{
    struct rig r;
    rig_up(&r, "127.0.0.1:0");
    net_uv_dial(r.b.uv, 1, r.bound);
    run_while(&r, &r.b.connected, 1);
    net_uv_send(r.b.uv, r.b.conn, bytes_str("under way"));
    net_uv_dial(r.b.uv, 2, r.bound);
    net_uv_dial(r.b.uv, 3, "localhost:1");
    net_uv_dial(r.b.uv, 4, NOT_A_NAME);
    rig_down(&r);
}
