/*
 * The rim of the HTTP engine: one TCP listener and one unix socket (the admin socket) on a libuv loop. Owns sockets,
 * clocks and one timer; knows nothing of HTTP. Everything runs on the loop's thread.
 */
#ifndef SOUK_API_UV_HTTP_H
#define SOUK_API_UV_HTTP_H

#include "api/api.h"

struct uv_loop_s;
struct uv_http;

#define UV_HTTP_BOUND_MAX 64 /* "[2001:db8::1]:65535" and the NUL */

/* `after` runs once for the input of one round of the loop, before output is taken: the owner drains what the calls set in
 * motion. May be NULL. The loop and the engine outlive this. SIGPIPE is ignored from here on unless
 * the process has set something else. */
struct uv_http *uv_http_new(struct uv_loop_s *loop, struct api *api, void (*after)(void *ctx), void *ctx);
/* Opens the TCP listener; port 0 picks a free one. `bound` gets HOST:PORT. 0, or a negative libuv error. */
SOUK_MUST_USE int uv_http_tcp(struct uv_http *h, const char *host, uint16_t port, char bound[UV_HTTP_BOUND_MAX]);
/* Opens the admin socket, mode 0600, peers checked (this user or root). A socket nobody listens on is replaced; a live one
 * is UV_EADDRINUSE. A path over 107 bytes is UV_ENAMETOOLONG. */
SOUK_MUST_USE int uv_http_admin(struct uv_http *h, const char *path);
/* Sends what is ready: after api_call_done or api_changed from outside `after`. */
void uv_http_flush(struct uv_http *h);
size_t uv_http_connections(const struct uv_http *h);
/* Stops listening, lets open requests end; `drained` (may be NULL) runs once no connection is left, maybe at once. */
void uv_http_drain(struct uv_http *h, void (*drained)(void *ctx), void *ctx);
/* Closes everything at once and frees h when the loop has let go of it; then `closed` (may be NULL) runs. */
void uv_http_close(struct uv_http *h, void (*closed)(void *ctx), void *ctx);

#endif
