/*
 * Any bytes on a connection, at once and cut into pieces: the answers are the same, nothing outlives the connection, and
 * every answer is a whole one. The first byte chooses the listener, how the bytes are cut and when calls complete.
 */
#include "tests/lib/fakebackend.h"

#include "crdt/alloc.h"

#include <stdlib.h>
#include <string.h>

#define INPUT_MAX 3000 /* keeps the fake node's tables from filling */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct fake *fake;
    struct api *api;
    struct api_conn *conn;
    struct buf out;
};

static void collect(struct run *r)
{
    struct bytes out;
    while ((out = api_conn_output(r->conn)).n > 0) {
        buf_put_bytes(&r->out, out);
        api_conn_sent(r->conn, out.n);
    }
    while (api_dirty_next(r->api) != NULL) {
    }
}

static void complete(struct run *r)
{
    while (fake_step(r->fake))
        collect(r);
}

static void begin(struct run *r, uint8_t how)
{
    *r = (struct run){.fake = mem_zalloc(sizeof *r->fake)};
    struct api_backend backend = fake_backend(r->fake);
    r->api = api_new(&(struct api_config){.read_needs_token = (how & 2) != 0}, &backend);
    r->fake->api = r->api;
    r->fake->delay = (how & 4) != 0;
    (void)fake_add(r->fake, KIND_MODEL, 1, "a/b", "d");
    (void)fake_add(r->fake, KIND_MODEL, 1, "m", "d");
    (void)fake_add(r->fake, KIND_MODEL, 2, "m", "d");
    r->conn = api_conn_new(r->api, (how & 1) != 0 ? API_ADMIN_SOCKET : API_TCP, 0);
}

static void end(struct run *r)
{
    api_conn_free(r->conn);
    complete(r);
    api_free(r->api); /* asserts that no call and no connection is left */
    fake_close(r->fake);
    free(r->fake);
}

static void give(struct run *r, const uint8_t *data, size_t n)
{
    uint8_t *copy = mem_dup(data, n);
    if (n > 0)
        api_conn_input(r->conn, bytes_of(copy, n), 0);
    free(copy);
    collect(r);
    complete(r);
}

/* "100 Continue" depends on when the body comes; everything else does not. */
static void without_continue(struct buf *b)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uint8_t *at;
    while (b->n > 0 && (at = memmem(b->p, b->n, line, sizeof line - 1)) != NULL) {
        size_t rest = b->n - (size_t)(at - b->p) - (sizeof line - 1);
        memmove(at, at + sizeof line - 1, rest);
        b->n -= sizeof line - 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run whole, cut;
    if (size < 1 || size > INPUT_MAX)
        return 0;
    uint8_t how = data[0];
    size_t step = (size_t)(how >> 3) + 1;
    begin(&whole, how);
    begin(&cut, how);
    give(&whole, data + 1, size - 1);
    for (size_t at = 1; at < size; at += step)
        give(&cut, data + at, size - at < step ? size - at : step);
    without_continue(&whole.out);
    without_continue(&cut.out);
    if (!bytes_eq(buf_view(&whole.out), buf_view(&cut.out)))
        abort();
    if (whole.out.n > 0 && (whole.out.n < 15 || memcmp(whole.out.p, "HTTP/1.1 ", 9) != 0))
        abort();
    end(&whole);
    end(&cut);
    buf_close(&whole.out);
    buf_close(&cut.out);
    return 0;
}
