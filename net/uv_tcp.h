/*
 * The rim of the mesh engine: TCP through libuv. Turns the engine's NET_DIAL, NET_SEND and NET_CLOSE into sockets and what
 * happens on them into net_events, which it gives to its owner's sink. Never calls the engine itself and never calls
 * the sink from within one of the functions below, so the owner may call them while it drains the engine's actions.
 */
#ifndef SOUK_NET_UV_TCP_H
#define SOUK_NET_UV_TCP_H

#include "crdt/err.h"
#include "net/net.h"

#define NET_UV_DIAL_MS     10000 /* for name lookup and all addresses of a name      */
#define NET_UV_LINGER_MS   3000  /* after NET_CLOSE, for what is queued to leave     */
#define NET_UV_LOOKUPS_MAX 2     /* name lookups at once: they occupy pool threads   */
#define NET_UV_BACKLOG     128
#define NET_UV_READ_BYTES  (256u << 10)

struct uv_loop_s;
struct net_uv;

/* `event` is borrowed for the call; its clock_ms is 0: the owner fills it in. `loop` must outlive everything. */
struct net_uv *net_uv_new(struct uv_loop_s *loop, void (*event)(void *ctx, const struct net_event *event), void *ctx);

/* Listens on "HOST:PORT", numeric or a name, port 0 for a free one. `bound` gets the numeric address in use. May be
 * called once. ERR_IO: `why` gets the sentence for the operator; ERR_FORM: not an address. */
SOUK_MUST_USE enum err net_uv_listen(struct net_uv *u, const char *addr, char bound[NET_ADDR_MAX], struct buf *why);

/* The actions of net.h. Unknown connections are ignored. A dial always ends in NET_CONNECTED or NET_DIAL_FAILED. */
void net_uv_dial(struct net_uv *u, uint64_t dial, const char *addr);
void net_uv_send(struct net_uv *u, uint64_t conn, struct bytes bytes); /* copied; NET_DRAINED follows once written */
void net_uv_close(struct net_uv *u, uint64_t conn);

/* Closes everything, lets what is queued leave for at most half a second, gives no more events and frees itself when
 * the loop has run its handles out. */
void net_uv_stop(struct net_uv *u);

#endif
