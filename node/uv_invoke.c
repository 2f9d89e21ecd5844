/*
 * Invokes of clients: admission by token, idempotency keys, here or elsewhere, and the answer in the API's words.
 */
#include "node/uv_invoke.h"

#include "crdt/alloc.h"
#include "node/uv_blobs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---------------------------------------------------------------------------------------------------------- */

struct uv_invokes *uv_invokes_new(struct server *s)
{
    struct uv_invokes *all = mem_zalloc(sizeof *all);
    all->server = s;
    all->keys = idempotent_new();
    return all;
}

static void request_free(struct request *q)
{
    buf_close(&q->refused);
    free(q);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle);
}

static void stop_timer(struct request *q)
{
    if (q->timer != NULL)
        uv_close((uv_handle_t *)q->timer, on_timer_closed);
    q->timer = NULL;
}

void uv_invokes_close(struct uv_invokes *all)
{
    for (struct request *q = all != NULL ? all->requests : NULL; q != NULL; q = q->next)
        stop_timer(q);
}

void uv_invokes_free(struct uv_invokes *all)
{
    if (all == NULL)
        return;
    while (all->requests != NULL) {
        struct request *next = all->requests->next;
        assert(all->requests->timer == NULL);
        request_free(all->requests);
        all->requests = next;
    }
    while (all->runs != NULL) {
        struct run *next = all->runs->next;
        buf_close(&all->runs->input);
        free(all->runs);
        all->runs = next;
    }
    idempotent_free(all->keys);
    serving_close(&all->serving);
    free(all);
}

void invokes_tell_net(struct server *s, struct net_event event)
{
    struct node_event node = {.kind = NODE_NET, .net = event, .clock_ms = server_clock_ms()};
    node_input(s->node, &node, uv_now(&s->loop));
}

/* ---- answers under a key ------------------------------------------------------------------------------------------ */

static const char *const codes[] = {"exit",      "signal", "timeout",   "cpu",         "oom",        "output_limit", "bad_output",
                                    "setup",     "cancelled", "lost",   "bad_receipt", "bad_answer", "busy",         "bad_input",
                                    "unreachable"};

static const char *static_code(struct bytes text)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (bytes_eq(text, bytes_str(codes[i])))
            return codes[i];
    return NULL;
}

static void put_sized(struct buf *out, struct bytes x)
{
    buf_put_be(out, x.n, 4);
    buf_put_bytes(out, x);
}

static struct bytes take_sized(const uint8_t **p)
{
    struct bytes x = bytes_of(*p + 4, (size_t)get_be(*p, 4));
    *p += 4 + x.n;
    return x;
}

static void remember(struct request *q)
{
    const struct api_call *call = q->call;
    struct buf b = {0};
    buf_put_u8(&b, (uint8_t)call->err);
    buf_put_be(&b, (uint64_t)call->status, 2);
    buf_put_u8(&b, (uint8_t)call->output);
    put_sized(&b, bytes_str(call->code != NULL ? call->code : ""));
    put_sized(&b, buf_view(&call->detail));
    put_sized(&b, buf_view(&call->receipt));
    put_sized(&b, buf_view(&call->out));
    idempotent_keep(q->all->keys, &q->key, buf_view(&b));
    buf_close(&b);
}

static void repeat(struct api_call *call, struct bytes kept)
{
    const uint8_t *p = kept.p;
    call->err = (enum err)get_be(p, 1);
    call->status = (int)get_be(p + 1, 2);
    call->output = (enum api_media)get_be(p + 3, 1);
    p += 4;
    call->code = static_code(take_sized(&p));
    buf_put_bytes(&call->detail, take_sized(&p));
    buf_put_bytes(&call->receipt, take_sized(&p));
    buf_put_bytes(&call->out, take_sized(&p));
    api_call_done(call);
}

/* ---- the end of a request ------------------------------------------------------------------------------------------- */

static void finish(struct request *q)
{
    struct uv_invokes *all = q->all;
    struct request **at = &all->requests;
    struct api_call *call = q->call;
    assert(q->run == NULL && q->asked == 0);
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    stop_timer(q);
    if (q->has_key && q->ran)
        remember(q);
    else if (q->has_key)
        idempotent_forget(all->keys, &q->key);
    request_free(q);
    api_call_done(call);
}

/* What the contract calls each way to fail. */
static int http_status(enum sandbox_status status)
{
    switch (status) {
    case SANDBOX_TIMEOUT:
        return 504;
    case SANDBOX_SETUP:
    case SANDBOX_CANCELLED:
        return 503;
    case SANDBOX_OK:
        return 200;
    case SANDBOX_EXIT:
    case SANDBOX_SIGNAL:
    case SANDBOX_CPU:
    case SANDBOX_OOM:
    case SANDBOX_OUTPUT_LIMIT:
    case SANDBOX_BAD_OUTPUT:
        break;
    }
    return 502;
}

void request_ended(struct request *q, const struct run_end *end)
{
    struct api_call *call = q->call;
    buf_put_bytes(&call->receipt, end->receipt);
    call->output = (enum api_media)end->media;
    if (end->status == SANDBOX_OK) {
        if (end->output.p != call->out.p || call->out.n == 0) {
            buf_reset(&call->out);
            buf_put_bytes(&call->out, end->output);
        }
        call->err = ERR_OK;
    } else {
        buf_reset(&call->out);
        call->err = ERR_IO;
        call->status = http_status(end->status);
        call->code = sandbox_status_name(end->status);
        buf_put_bytes(&call->detail, end->text);
    }
    finish(q);
}

void request_refused(struct request *q, enum err err, int status, const char *code, struct bytes detail)
{
    struct api_call *call = q->call;
    buf_reset(&call->out);
    call->err = err;
    call->status = status;
    call->code = code;
    buf_put_bytes(&call->detail, detail);
    finish(q);
}

/* ---- the beginning ---------------------------------------------------------------------------------------------------- */

static void refuse(struct api_call *call, enum err err, const char *code, const char *detail)
{
    call->err = err;
    call->code = code;
    buf_put_str(&call->detail, detail);
    api_call_done(call);
}

static size_t requests_of(const struct uv_invokes *all, uint64_t token)
{
    size_t n = 0;
    for (const struct request *q = all->requests; q != NULL; q = q->next)
        n += q->token == token;
    return n;
}

/* Names the key by who uses it, and the request by all that it asks. */
static void key_of(struct api_call *call, struct id *key, struct id *request)
{
    struct hasher h;
    hash_init(&h, "souk/idempotency/1");
    hash_u64(&h, call->token);
    hash_part(&h, call->invoke.idempotency.p, call->invoke.idempotency.n);
    hash_end(&h, key);
    hash_init(&h, "souk/invoke/1");
    hash_u64(&h, call->kind);
    hash_part(&h, call->id.b, ID_BYTES);
    hash_u64(&h, (uint64_t)call->invoke.input);
    hash_part(&h, call->invoke.on.p, call->invoke.on.n);
    hash_part(&h, call->body.p, call->body.n);
    hash_end(&h, request);
}

/* True: the request goes on, under its key if it has one. */
static bool begin_key(struct uv_invokes *all, struct api_call *call, struct request *q)
{
    struct id request;
    struct bytes kept;
    q->has_key = call->invoke.idempotency.n > 0;
    if (!q->has_key)
        return true;
    key_of(call, &q->key, &request);
    switch (idempotent_begin(all->keys, &q->key, &request, uv_now(&all->server->loop), &kept)) {
    case IDEMPOTENT_FRESH:
        return true;
    case IDEMPOTENT_RUNNING:
        call->status = 409;
        refuse(call, ERR_CONFLICT, "in_progress", "a request with this Idempotency-Key is still under way");
        return false;
    case IDEMPOTENT_OTHER:
        refuse(call, ERR_INVALID, "key_reused", "this Idempotency-Key was used for another request");
        return false;
    case IDEMPOTENT_DONE:
        repeat(call, kept);
        return false;
    }
    return false;
}

static void on_timeout(uv_timer_t *timer)
{
    struct request *q = timer->data;
    struct server *s = q->all->server;
    if (q->asked != 0) { /* a run here has its own clock */
        q->ran = !q->reaching;
        ask_drop(q);
        request_refused(q, ERR_IO, 504, "timeout", bytes_str("the serving node did not answer in time"));
    }
    server_drain(s);
}

static void start_timer(struct request *q, uint64_t timeout_ms)
{
    if (timeout_ms == 0)
        return;
    q->until_ms = uv_now(&q->all->server->loop) + timeout_ms;
    q->timer = mem_zalloc(sizeof *q->timer);
    uv_timer_init(&q->all->server->loop, q->timer);
    q->timer->data = q;
    uv_timer_start(q->timer, on_timeout, timeout_ms + INVOKE_GRACE_MS, 0);
}

/* Is this node meant by ?on=? */
static bool is_here(const struct server *s, struct bytes on)
{
    char hex[ID_HEX_SIZE];
    key_hex(hex, &s->keys.node.key);
    return on.n == 0 || (on.n >= 4 && on.n <= 2 * ID_BYTES && memcmp(on.p, hex, on.n) == 0);
}

static void run_here(struct request *q, struct uv_deploy *d)
{
    struct uv_invokes *all = q->all;
    struct api_call *call = q->call;
    struct buf why = {0};
    struct run_order order = {.deploy = d, .media = (unsigned)call->invoke.input, .input = call->body,
                              .within_ms = call->invoke.timeout_ms, .stream = call->invoke.piece != NULL,
                              .has_token = call->token != 0, .caller_node = all->server->keys.node.key, .request = q};
    receipt_token(&order.token, &order.caller_node, call->token);
    enum err e = run_start(all, &order, &why);
    if (e == ERR_BUSY) { /* nothing was started: perhaps another node has room */
        q->refusal = CALL_BUSY;
        buf_put_bytes(&q->refused, buf_view(&why));
        ask_next(q);
    } else if (e != ERR_OK) {
        request_refused(q, e, 0, "bad_input", buf_view(&why));
    }
    buf_close(&why);
}

static bool admit(struct uv_invokes *all, struct api_call *call)
{
    struct server *s = all->server;
    struct entry_info info;
    struct buf json = {0};
    enum err e = store_get(s->store, call->kind, &call->id, &info, &json);
    buf_close(&json);
    if (e != ERR_OK) {
        call->err = e;
        api_call_done(call);
        return false;
    }
    if (s->stopping) {
        refuse(call, ERR_CLOSED, NULL, "this node is shutting down; ask another");
        return false;
    }
    if (call->token != 0 && requests_of(all, call->token) >= config_number(&s->config, CONFIG_LIMIT_INVOKES_TOKEN)) {
        refuse(call, ERR_BUSY, "busy", "this token has as many invokes under way as one may have (limits.invokes_token)");
        return false;
    }
    return true;
}

void uv_invoke_call(void *ctx, struct api_call *call)
{
    struct server *s = ctx;
    struct uv_invokes *all = s->invokes;
    if (!admit(all, call))
        return;
    struct request *q = mem_zalloc(sizeof *q);
    *q = (struct request){.all = all, .call = call, .token = call->token, .refusal = CALL_NOT_DEPLOYED};
    if (!begin_key(all, call, q)) {
        request_free(q);
        return;
    }
    q->next = all->requests;
    all->requests = q;
    start_timer(q, call->invoke.timeout_ms);
    struct uv_deploy *d = uv_deploys_find(s->deploys, call->kind, &call->id);
    if (d != NULL && is_here(s, call->invoke.on))
        run_here(q, d);
    else
        ask_next(q);
}

/* Nobody waits any more: what runs is ended, its receipt is kept. */
void uv_invoke_cancel(void *ctx, struct api_call *call)
{
    struct server *s = ctx;
    for (struct request *q = s->invokes->requests; q != NULL; q = q->next) {
        if (q->call != call)
            continue;
        if (q->run != NULL) {
            q->run->left = true;
            run_cancel(q->run);
        } else if (q->asked != 0) {
            q->ran = !q->reaching; /* perhaps */
            ask_drop(q);
            request_refused(q, ERR_IO, 503, "cancelled", bytes_str("the client went away"));
        }
        return;
    }
}

/* ---- the mesh --------------------------------------------------------------------------------------------------------- */

static void asked(struct uv_invokes *all, const struct net_action *a)
{
    struct call_question q;
    if (call_read_question(a->bytes, &q) != ERR_OK)
        invokes_tell_net(all->server, (struct net_event){.kind = NET_REFUSE, .peer = a->peer, .call = a->call});
    else if (q.ask == CALL_INVOKE)
        run_asked(all, a, &q);
    else
        uv_blobs_asked(all->server->blobs, a, &q);
}

void uv_invokes_net(struct uv_invokes *all, const struct net_action *a)
{
    struct server *s = all->server;
    if (a->kind == NET_CALLED)
        asked(all, a);
    else if (a->kind == NET_CALL_LEFT)
        run_left(all, a);
    else if (a->kind == NET_ANSWERED && !uv_blobs_answered(s->blobs, a))
        answer_took(all, a);
    else if (a->kind == NET_CALL_LOST && !uv_blobs_lost(s->blobs, a))
        answer_lost(all, a);
    else if (a->kind == NET_REACHED)
        ask_reached(all, a);
}

void uv_invokes_metrics(const struct uv_invokes *all, struct buf *out)
{
    size_t requests = 0;
    for (const struct request *q = all->requests; q != NULL; q = q->next)
        requests++;
    buf_printf(out,
               "# HELP souk_invokes_total Runs of deployed programs by outcome.\n# TYPE souk_invokes_total counter\n"
               "souk_invokes_total{result=\"ok\"} %llu\nsouk_invokes_total{result=\"failed\"} %llu\n"
               "# HELP souk_invokes_routed_total Invokes asked of other nodes.\n# TYPE souk_invokes_routed_total counter\n"
               "souk_invokes_routed_total %llu\n"
               "# HELP souk_invokes_served_total Invokes that other nodes asked for.\n"
               "# TYPE souk_invokes_served_total counter\nsouk_invokes_served_total %llu\n"
               "# HELP souk_invokes_open Invokes of clients under way.\n# TYPE souk_invokes_open gauge\nsouk_invokes_open %zu\n",
               (unsigned long long)all->done, (unsigned long long)all->failed, (unsigned long long)all->routed,
               (unsigned long long)all->served, requests);
}
