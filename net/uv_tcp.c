/*
 * Sockets: one listener, at most NET_CONNS_MAX connections, dials with a name lookup and a deadline, writes whose queue is
 * reported. Owns the handles; knows nothing of what the bytes mean. A connection that is to close is shut down after its
 * queue and read to the end, so that the last message is not lost to a reset.
 */
#include "net/uv_tcp.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum sock_state { SOCK_CONNECTING, SOCK_OPEN, SOCK_LINGERING, SOCK_CLOSED };

struct sock {
    struct net_uv *u;
    uint64_t id;               /* from SOCK_OPEN on */
    enum sock_state state;
    struct dial *dial;         /* SOCK_CONNECTING */
    unsigned handles;          /* tcp and timer: freed when both are closed */
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connect;
    uv_shutdown_t shutdown;
};

struct dial {
    struct net_uv *u;
    uint64_t id;
    char host[NET_ADDR_MAX], port[8];
    bool looking;              /* a lookup runs; it cannot be taken back */
    bool over;                 /* the sink was told */
    bool named;                /* the host has to be looked up */
    enum net_dial_fault fault; /* of the last address tried */
    struct sockaddr_storage numeric;
    struct addrinfo *list;     /* owned */
    const struct addrinfo *at;
    struct sock *sock;         /* the address being tried */
    uv_timer_t timer;
    bool timer_closed;
    uv_getaddrinfo_t lookup;
    struct dial *next;
};

struct net_uv {
    uv_loop_t *loop;
    void (*event)(void *ctx, const struct net_event *event);
    void *ctx;
    bool stopping, listening, listener_open;
    uv_tcp_t listener;
    uint64_t conns;
    struct sock *socks[NET_CONNS_MAX];
    size_t sock_count;
    size_t live;               /* socks and dials not freed yet, and the listener */
    size_t lookups;
    struct dial *dials;
    char *read_buffer;
};

struct write {
    uv_write_t req;
    struct sock *sock;
    uint8_t bytes[];
};

static void tell(struct net_uv *u, const struct net_event *e)
{
    if (!u->stopping)
        u->event(u->ctx, e);
}

static void release(struct net_uv *u)
{
    assert(u->live > 0);
    if (--u->live > 0 || !u->stopping)
        return;
    free(u->read_buffer);
    free(u);
}

/* ---- addresses -------------------------------------------------------------------------------------------------------- */

/* Splits "HOST:PORT" or "[V6]:PORT". */
static bool split(const char *addr, char host[NET_ADDR_MAX], char port[8])
{
    const char *colon = strrchr(addr, ':');
    size_t n = colon != NULL ? (size_t)(colon - addr) : 0;
    if (colon == NULL || n >= NET_ADDR_MAX || strlen(colon + 1) == 0 || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || atoi(colon + 1) > 65535)
        return false;
    if (n >= 2 && addr[0] == '[' && addr[n - 1] == ']') {
        addr++;
        n -= 2;
    }
    (void)snprintf(host, NET_ADDR_MAX, "%.*s", (int)n, addr);
    (void)snprintf(port, 8, "%.5s", colon + 1);
    return true;
}

static bool numeric(const char *host, const char *port, struct sockaddr_storage *out)
{
    int p = atoi(port);
    return uv_ip4_addr(host, p, (struct sockaddr_in *)(void *)out) == 0 ||
           uv_ip6_addr(host, p, (struct sockaddr_in6 *)(void *)out) == 0;
}

static void format(const struct sockaddr_storage *a, char out[NET_ADDR_MAX])
{
    char host[64] = "";
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)a;
        (void)uv_ip4_name(v4, host, sizeof host);
        (void)snprintf(out, NET_ADDR_MAX, "%s:%u", host, (unsigned)ntohs(v4->sin_port));
        return;
    }
    const struct sockaddr_in6 *v6 = (const void *)a;
    (void)uv_ip6_name(v6, host, sizeof host);
    unsigned port = (unsigned)ntohs(v6->sin6_port);
    if (strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.') != NULL)
        (void)snprintf(out, NET_ADDR_MAX, "%s:%u", host + 7, port);
    else
        (void)snprintf(out, NET_ADDR_MAX, "[%s]:%u", host, port);
}

static void peer_address(const uv_tcp_t *tcp, char out[NET_ADDR_MAX])
{
    struct sockaddr_storage a = {0};
    int n = sizeof a;
    out[0] = 0;
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&a, &n) == 0)
        format(&a, out);
}

/* ---- sockets ------------------------------------------------------------------------------------------------------------ */

static struct sock *sock_new(struct net_uv *u)
{
    struct sock *s = mem_zalloc(sizeof *s);
    s->u = u;
    s->handles = 2;
    (void)uv_tcp_init(u->loop, &s->tcp);
    (void)uv_timer_init(u->loop, &s->timer);
    s->tcp.data = s->timer.data = s;
    u->live++;
    return s;
}

static void sock_handle_closed(uv_handle_t *h)
{
    struct sock *s = h->data;
    if (--s->handles > 0)
        return;
    struct net_uv *u = s->u;
    free(s);
    release(u);
}

static void forget(struct net_uv *u, const struct sock *s)
{
    for (size_t i = 0; i < u->sock_count; i++)
        if (u->socks[i] == s) {
            u->socks[i] = u->socks[--u->sock_count];
            return;
        }
}

/* Ends a socket now. Its owner has been told, or need not be. */
static void sock_close(struct sock *s)
{
    if (s->state == SOCK_CLOSED)
        return;
    s->state = SOCK_CLOSED;
    forget(s->u, s);
    uv_close((uv_handle_t *)&s->tcp, sock_handle_closed);
    uv_close((uv_handle_t *)&s->timer, sock_handle_closed);
}

static void sock_lost(struct sock *s)
{
    struct net_event e = {.kind = NET_CLOSED, .conn = s->id};
    struct net_uv *u = s->u;
    bool tell_it = s->state == SOCK_OPEN;
    sock_close(s);
    if (tell_it)
        tell(u, &e);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
    const struct sock *s = h->data;
    (void)suggested;
    *out = uv_buf_init(s->u->read_buffer, NET_UV_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct sock *s = stream->data;
    if (n < 0) {
        sock_lost(s);
    } else if (n > 0 && s->state == SOCK_OPEN) {
        struct net_event e = {.kind = NET_DATA, .conn = s->id, .bytes = bytes_of(buf->base, (size_t)n)};
        tell(s->u, &e);
    }
}

static bool sock_open(struct sock *s)
{
    struct net_uv *u = s->u;
    if (u->sock_count == NET_CONNS_MAX)
        return false;
    (void)uv_tcp_nodelay(&s->tcp, 1);
    (void)uv_tcp_keepalive(&s->tcp, 1, 60);
    s->state = SOCK_OPEN;
    s->id = ++u->conns;
    u->socks[u->sock_count++] = s;
    return uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read) == 0;
}

static struct sock *find(const struct net_uv *u, uint64_t conn)
{
    for (size_t i = 0; i < u->sock_count; i++)
        if (u->socks[i]->id == conn)
            return u->socks[i];
    return NULL;
}

/* ---- the listener --------------------------------------------------------------------------------------------------------- */

static void on_connection(uv_stream_t *listener, int status)
{
    struct net_uv *u = listener->data;
    char addr[NET_ADDR_MAX];
    if (status != 0 || u->stopping)
        return;
    struct sock *s = sock_new(u);
    if (uv_accept(listener, (uv_stream_t *)&s->tcp) != 0 || !sock_open(s)) {
        sock_close(s);
        return;
    }
    peer_address(&s->tcp, addr);
    tell(u, &(struct net_event){.kind = NET_ACCEPTED, .conn = s->id, .addr = addr});
}

static void listener_closed(uv_handle_t *h)
{
    release(h->data);
}

static int bind_and_listen(struct net_uv *u, const struct sockaddr *a)
{
    int e = uv_tcp_bind(&u->listener, a, 0);
    return e != 0 ? e : uv_listen((uv_stream_t *)&u->listener, NET_UV_BACKLOG, on_connection);
}

/* At start, before the loop runs: a lookup may block. */
static int look_up_now(struct net_uv *u, const char *host, const char *port, struct sockaddr_storage *out)
{
    uv_getaddrinfo_t req;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    int e = uv_getaddrinfo(u->loop, &req, NULL, host, port, &hints);
    if (e != 0)
        return e;
    memcpy(out, req.addrinfo->ai_addr, req.addrinfo->ai_addrlen);
    uv_freeaddrinfo(req.addrinfo);
    return 0;
}

enum err net_uv_listen(struct net_uv *u, const char *addr, char bound[NET_ADDR_MAX], struct buf *why)
{
    char host[NET_ADDR_MAX], port[8];
    struct sockaddr_storage a = {0};
    int n = sizeof a, e = 0;
    assert(!u->listening);
    if (!split(addr, host, port)) {
        buf_printf(why, "'%s' is not HOST:PORT with a port of 0 to 65535", addr);
        return ERR_FORM;
    }
    if (!numeric(host, port, &a))
        e = look_up_now(u, host, port, &a);
    if (e == 0) {
        (void)uv_tcp_init(u->loop, &u->listener);
        u->listener.data = u;
        u->listener_open = true;
        u->live++;
        e = bind_and_listen(u, (const struct sockaddr *)&a);
    }
    if (e == 0)
        e = uv_tcp_getsockname(&u->listener, (struct sockaddr *)&a, &n);
    if (e != 0) {
        buf_printf(why, "cannot listen on %s for peers: %s", addr, uv_strerror(e));
        if (u->listener_open)
            uv_close((uv_handle_t *)&u->listener, listener_closed);
        u->listener_open = false;
        return ERR_IO;
    }
    u->listening = true;
    format(&a, bound);
    return ERR_OK;
}

/* ---- dials -------------------------------------------------------------------------------------------------------------- */

static void look_up_next(struct net_uv *u);
static void try_next(struct dial *d);

static void dial_unlink(struct dial *d)
{
    struct dial **p = &d->u->dials;
    while (*p != NULL && *p != d)
        p = &(*p)->next;
    if (*p == d)
        *p = d->next;
}

/* Freed when it is over, its timer is closed and no lookup runs any more. */
static void dial_release(struct dial *d)
{
    if (!d->over || !d->timer_closed || d->looking)
        return;
    struct net_uv *u = d->u;
    if (d->list != NULL)
        uv_freeaddrinfo(d->list);
    free(d);
    release(u);
}

static void dial_timer_closed(uv_handle_t *h)
{
    struct dial *d = h->data;
    d->timer_closed = true;
    dial_release(d);
}

static void dial_over(struct dial *d)
{
    d->over = true;
    dial_unlink(d);
    uv_close((uv_handle_t *)&d->timer, dial_timer_closed);
}

static enum net_dial_fault fault_of(int code)
{
    if (code == UV_ECONNREFUSED)
        return NET_DIAL_REFUSED;
    if (code == UV_ETIMEDOUT)
        return NET_DIAL_TIMEOUT;
    return code == UV_EHOSTUNREACH || code == UV_ENETUNREACH ? NET_DIAL_NO_ROUTE : NET_DIAL_OTHER;
}

static void dial_failed(struct dial *d)
{
    struct net_event e = {.kind = NET_DIAL_FAILED, .dial = d->id, .fault = d->fault};
    struct net_uv *u = d->u;
    if (d->over)
        return;
    if (d->sock != NULL) {
        d->sock->dial = NULL;
        sock_close(d->sock);
    }
    dial_over(d);
    tell(u, &e);
}

static void on_dial_timer(uv_timer_t *t)
{
    struct dial *d = t->data;
    if (d->sock != NULL)
        d->fault = NET_DIAL_TIMEOUT;
    else if (d->looking)
        d->fault = NET_DIAL_NAME;
    dial_failed(d);
}

/* Failures are told from the loop, never from within net_uv_dial. */
static void fail_soon(struct dial *d)
{
    (void)uv_timer_start(&d->timer, on_dial_timer, 0, 0);
}

static void on_connect(uv_connect_t *req, int status)
{
    struct sock *s = req->data;
    struct dial *d = s->dial;
    char addr[NET_ADDR_MAX];
    if (d == NULL || s->state != SOCK_CONNECTING)
        return;
    d->sock = NULL;
    s->dial = NULL;
    if (status != 0 || !sock_open(s)) {
        d->fault = fault_of(status);
        sock_close(s);
        try_next(d);
        return;
    }
    struct net_event e = {.kind = NET_CONNECTED, .conn = s->id, .dial = d->id, .addr = addr};
    struct net_uv *u = s->u;
    peer_address(&s->tcp, addr);
    dial_over(d);
    tell(u, &e);
}

static void try_address(struct dial *d, const struct sockaddr *a)
{
    struct sock *s = sock_new(d->u);
    s->state = SOCK_CONNECTING;
    s->dial = d;
    s->connect.data = s;
    d->sock = s;
    int e = uv_tcp_connect(&s->connect, &s->tcp, a, on_connect);
    if (e == 0)
        return;
    d->fault = fault_of(e);
    d->sock = NULL;
    s->dial = NULL;
    sock_close(s);
    try_next(d);
}

static void try_next(struct dial *d)
{
    const struct addrinfo *a = d->at;
    if (a == NULL) {
        fail_soon(d);
        return;
    }
    d->at = a->ai_next;
    try_address(d, a->ai_addr);
}

static void on_lookup(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct dial *d = req->data;
    struct net_uv *u = d->u;
    d->looking = false;
    u->lookups--;
    d->list = list;
    d->at = list;
    look_up_next(u);
    if (d->over) {
        dial_release(d); /* may free u as well */
    } else if (status != 0) {
        d->fault = NET_DIAL_NAME;
        dial_failed(d);
    } else {
        try_next(d);
    }
}

/* Starts lookups that wait, oldest first, a few at a time. */
static void look_up_next(struct net_uv *u)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    for (struct dial *d = u->dials; d != NULL && u->lookups < NET_UV_LOOKUPS_MAX && !u->stopping; d = d->next) {
        if (d->looking || d->sock != NULL || d->list != NULL || !d->named || d->lookup.data != NULL)
            continue;
        d->lookup.data = d;
        if (uv_getaddrinfo(u->loop, &d->lookup, on_lookup, d->host, d->port, &hints) != 0) {
            fail_soon(d);
            continue;
        }
        d->looking = true;
        u->lookups++;
    }
}

void net_uv_dial(struct net_uv *u, uint64_t id, const char *addr)
{
    if (u->stopping)
        return;
    struct dial *d = mem_zalloc(sizeof *d), **end = &u->dials;
    d->u = u;
    d->id = id;
    while (*end != NULL)
        end = &(*end)->next;
    *end = d;
    u->live++;
    (void)uv_timer_init(u->loop, &d->timer);
    d->timer.data = d;
    (void)uv_timer_start(&d->timer, on_dial_timer, NET_UV_DIAL_MS, 0);
    if (!split(addr, d->host, d->port))
        fail_soon(d);
    else if (numeric(d->host, d->port, &d->numeric))
        try_address(d, (const struct sockaddr *)&d->numeric);
    else
        d->named = true;
    look_up_next(u);
}

/* ---- sending and closing ---------------------------------------------------------------------------------------------------- */

static void on_write(uv_write_t *req, int status)
{
    struct write *w = (struct write *)(void *)req;
    struct sock *s = w->sock;
    free(w);
    if (s->state != SOCK_OPEN)
        return;
    if (status != 0) {
        sock_lost(s);
        return;
    }
    struct net_event e = {.kind = NET_DRAINED,
                          .conn = s->id,
                          .queued = uv_stream_get_write_queue_size((uv_stream_t *)&s->tcp)};
    tell(s->u, &e);
}

void net_uv_send(struct net_uv *u, uint64_t conn, struct bytes bytes)
{
    struct sock *s = find(u, conn);
    if (s == NULL || s->state != SOCK_OPEN || bytes.n == 0)
        return;
    struct write *w = mem_alloc(sizeof *w + bytes.n);
    w->sock = s;
    memcpy(w->bytes, bytes.p, bytes.n);
    uv_buf_t buf = uv_buf_init((char *)w->bytes, (unsigned)bytes.n);
    if (uv_write(&w->req, (uv_stream_t *)&s->tcp, &buf, 1, on_write) != 0)
        free(w); /* the stream is broken: reading it tells */
}

static void on_linger(uv_timer_t *t)
{
    sock_close(t->data);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct sock *s = req->data;
    if (status != 0 && status != UV_ECANCELED)
        sock_close(s);
}

static void linger(struct sock *s, uint64_t ms)
{
    assert(s->state == SOCK_OPEN);
    s->state = SOCK_LINGERING;
    s->shutdown.data = s;
    if (uv_shutdown(&s->shutdown, (uv_stream_t *)&s->tcp, on_shutdown) != 0 ||
        uv_timer_start(&s->timer, on_linger, ms, 0) != 0)
        sock_close(s);
}

void net_uv_close(struct net_uv *u, uint64_t conn)
{
    struct sock *s = find(u, conn);
    if (s != NULL && s->state == SOCK_OPEN)
        linger(s, NET_UV_LINGER_MS);
}

struct net_uv *net_uv_new(uv_loop_t *loop, void (*event)(void *ctx, const struct net_event *event), void *ctx)
{
    struct net_uv *u = mem_zalloc(sizeof *u);
    u->loop = loop;
    u->event = event;
    u->ctx = ctx;
    u->read_buffer = mem_alloc(NET_UV_READ_BYTES);
    u->live = 1; /* the owner's own hold, until net_uv_stop */
    return u;
}

void net_uv_stop(struct net_uv *u)
{
    if (u == NULL)
        return;
    assert(!u->stopping);
    u->stopping = true;
    if (u->listener_open)
        uv_close((uv_handle_t *)&u->listener, listener_closed);
    u->listener_open = false;
    while (u->dials != NULL)
        dial_failed(u->dials);
    for (size_t i = u->sock_count; i-- > 0;) {
        struct sock *s = u->socks[i];
        if (s->state == SOCK_OPEN)
            linger(s, NET_UV_LINGER_MS / 6);
        else if (s->state == SOCK_LINGERING)
            (void)uv_timer_start(&s->timer, on_linger, NET_UV_LINGER_MS / 6, 0);
    }
    release(u);
}
