/*
 * Runs on this node: for clients and for peers. Owns the way from a deployment and an input to a receipt and an answer.
 */
#include "node/uv_invoke.h"

#include "crdt/alloc.h"
#include "node/uv_blobs.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_WORDS 300 /* bytes of stderr that a message repeats */

/* ---- what the receipt says ----------------------------------------------------------------------------------------- */

struct newest {
    bool found;
    struct id op;
};

static bool on_revision(void *ctx, const struct revision_info *r)
{
    struct newest *n = ctx;
    if (!r->head || r->verb != VERB_PUT)
        return true;
    n->found = true;
    n->op = r->op;
    return false;
}

bool run_revision(struct server *s, const struct id *entry, struct id *op)
{
    struct newest n = {.found = false};
    struct history_page page = {.limit = 64};
    if (store_history(s->store, entry, &page, on_revision, &n) != ERR_OK)
        return false;
    *op = n.op;
    return n.found;
}

static void describe(struct run *r, const struct run_order *o, struct bytes input)
{
    struct server *s = r->all->server;
    const struct deployment *d = &o->deploy->d;
    uint8_t random[10];
    (void)snprintf(r->name, sizeof r->name, "%s", d->name);
    r->receipt = (struct receipt){.issuer = s->keys.node.key,
                                  .issuer_name = s->name,
                                  .kind = kind_by_number(d->kind)->singular,
                                  .name = r->name,
                                  .entry = d->entry,
                                  .started_ms = server_clock_ms(),
                                  .input_bytes = input.n,
                                  .caller_node = o->caller_node,
                                  .has_token = o->has_token,
                                  .token = o->token};
    r->receipt.has_revision = run_revision(s, &d->entry, &r->receipt.revision);
    rng_bytes(&s->rng, random, sizeof random);
    receipt_id_make(&r->receipt.id, r->receipt.started_ms, random);
    if (input.n <= INVOKE_HASH_AT_ONCE)
        digest_of(&r->receipt.input, input);
    else
        buf_put_bytes(&r->input, input);
}

static void sign(struct run *r, const struct sandbox_result *result, struct buf *out)
{
    struct server *s = r->all->server;
    struct receipt *p = &r->receipt;
    bool ok = result->status == SANDBOX_OK;
    p->finished_ms = server_clock_ms();
    if (p->finished_ms < p->started_ms)
        p->finished_ms = p->started_ms;
    if (p->finished_ms - p->started_ms > result->wall_us / 1000)
        p->started_ms = p->finished_ms - result->wall_us / 1000; /* the wait in the queue is not the program's */
    p->result = sandbox_status_name(result->status);
    p->wall_us = result->wall_us;
    p->cpu_us = result->cpu_us;
    p->peak_bytes = result->memory_peak;
    p->output_bytes = ok ? result->output.n : 0;
    receipt_write(out, p, s->keys.node.secret);
    struct store_receipt row = {.json = buf_view(out)};
    memcpy(row.id, p->id.b, sizeof row.id);
    if (node_keep_receipt(s->node, &row) != ERR_OK)
        uv_log(&s->log, LOG_NODE, LOG_WARN, "a receipt is not kept: too many wait for the disk");
}

/* The sandbox's sentence and the last line that the program wrote to stderr. */
static void put_sentence(struct buf *out, const struct sandbox_result *r)
{
    struct bytes words = r->errors;
    buf_put_str(out, r->detail[0] != 0 ? r->detail : sandbox_status_name(r->status));
    if (r->status == SANDBOX_EXIT || r->status == SANDBOX_SIGNAL)
        buf_printf(out, " (%d)", r->code);
    while (words.n > 0 && (words.p[words.n - 1] == '\n' || words.p[words.n - 1] == '\r'))
        words.n--;
    if (words.n > LAST_WORDS)
        words = bytes_of(words.p + words.n - LAST_WORDS, LAST_WORDS);
    const uint8_t *line = words.n > 0 ? memrchr(words.p, '\n', words.n) : NULL;
    if (line != NULL)
        words = bytes_of(line + 1, (size_t)(words.p + words.n - line) - 1);
    if (words.n == 0 || !utf8_valid(words))
        return;
    buf_put_str(out, "; its last words: ");
    for (size_t i = 0; i < words.n; i++)
        buf_put_u8(out, words.p[i] < 0x20 || words.p[i] == 0x7f ? ' ' : words.p[i]);
}

/* ---- the end ------------------------------------------------------------------------------------------------------- */

static void unlink_run(struct run *r)
{
    struct run **at = &r->all->runs;
    while (*at != r) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = r->next;
}

static void tell_peer(struct run *r, const struct call_answer *a, bool final)
{
    struct buf bytes = {0};
    call_put_answer(&bytes, a);
    invokes_tell_net(r->all->server, (struct net_event){.kind = NET_ANSWER,
                                                        .peer = r->peer,
                                                        .call = r->peer_call,
                                                        .bytes = buf_view(&bytes),
                                                        .final = final});
    buf_close(&bytes);
}

static void tell_parts(struct run *r, struct bytes output)
{
    for (size_t at = 0; at < output.n; at += BLOB_CHUNK) {
        size_t n = output.n - at < BLOB_CHUNK ? output.n - at : BLOB_CHUNK;
        tell_peer(r, &(struct call_answer){.reply = CALL_PART, .bytes = bytes_of(output.p + at, n)}, false);
    }
}

static uint16_t capped(uint64_t v)
{
    return v < UINT16_MAX ? (uint16_t)v : UINT16_MAX;
}

static void answer_peer(struct run *r, const struct sandbox_result *result, struct bytes receipt, struct bytes text)
{
    bool ok = result->status == SANDBOX_OK;
    struct bytes output = ok ? result->output : (struct bytes){0};
    if (!r->in_parts && output.n > CALL_INLINE_MAX) {
        tell_parts(r, output);
        r->in_parts = true;
    }
    uint32_t running = uv_deploys_running(r->all->server->deploys);
    struct call_answer a = {.reply = CALL_RESULT,
                            .status = (uint8_t)result->status,
                            .media = (uint8_t)(1 + (unsigned)r->output),
                            .started = result->started,
                            .in_parts = r->in_parts,
                            .running = capped(running),
                            .text = text,
                            .receipt = receipt,
                            .bytes = r->in_parts ? (struct bytes){0} : output};
    tell_peer(r, &a, true);
}

static void run_free(struct run *r)
{
    buf_close(&r->input);
    free(r);
}

/* Everybody who waits is told; r is freed. */
static void end_run(struct run *r, const struct sandbox_result *result)
{
    struct uv_invokes *all = r->all;
    struct buf receipt = {0}, text = {0};
    sign(r, result, &receipt);
    if (result->status != SANDBOX_OK)
        put_sentence(&text, result);
    if (result->status == SANDBOX_OK)
        all->done++;
    else
        all->failed++;
    if (r->request != NULL) {
        r->request->run = NULL;
        r->request->ran = result->started;
        request_ended(r->request, &(struct run_end){.status = result->status,
                                                    .media = 1 + (unsigned)r->output,
                                                    .output = result->output,
                                                    .receipt = buf_view(&receipt),
                                                    .text = buf_view(&text)});
    } else if (!r->left) {
        answer_peer(r, result, buf_view(&receipt), buf_view(&text));
    }
    buf_close(&receipt);
    buf_close(&text);
    run_free(r);
}

/* A result whose digests are taken on a worker's thread; its bytes are in `kept`. */
struct ending {
    struct run *run;
    struct sandbox_result result;
    struct buf kept;
};

static void hash_run(struct run *r, const struct sandbox_result *result)
{
    if (r->input.n > 0)
        digest_of(&r->receipt.input, buf_view(&r->input));
    digest_of(&r->receipt.output, result->status == SANDBOX_OK ? result->output : (struct bytes){0});
}

static void ending_work(void *arg)
{
    struct ending *e = arg;
    hash_run(e->run, &e->result);
}

static void ending_done(void *arg)
{
    struct ending *e = arg;
    struct run *r = e->run;
    struct server *s = r->all->server;
    unlink_run(r);
    if (s->closed)
        run_free(r); /* whoever waited is forgotten with the engines */
    else
        end_run(r, &e->result);
    buf_close(&e->kept);
    free(e);
    if (!s->closed)
        server_drain(s);
}

static void end_later(struct run *r, const struct sandbox_result *result)
{
    struct ending *e = mem_zalloc(sizeof *e);
    size_t detail = strlen(result->detail) + 1;
    uint8_t *at = buf_grow(&e->kept, result->output.n + result->errors.n + detail);
    *e = (struct ending){.run = r, .result = *result, .kept = e->kept};
    e->result.detail = memcpy(at, result->detail, detail);
    at += detail;
    e->result.output = bytes_of(at, result->output.n);
    e->result.errors = bytes_of(at + result->output.n, result->errors.n);
    if (result->output.n > 0)
        memcpy(at, result->output.p, result->output.n);
    if (result->errors.n > 0)
        memcpy(at + result->output.n, result->errors.p, result->errors.n);
    r->over = true;
    server_defer(r->all->server, ending_work, ending_done, e);
}

static void on_done(void *ctx, const struct sandbox_result *result)
{
    struct run *r = ctx;
    struct server *s = r->all->server;
    if (!s->closed && (r->input.n > 0 || result->output.n > INVOKE_HASH_AT_ONCE)) {
        end_later(r, result);
        return;
    }
    unlink_run(r);
    if (s->closed) {
        run_free(r);
        return;
    }
    hash_run(r, result);
    end_run(r, result);
    server_drain(s);
}

static void on_chunk(void *ctx, struct bytes piece)
{
    struct run *r = ctx;
    struct server *s = r->all->server;
    if (s->closed || r->left)
        return;
    if (r->request != NULL) {
        r->request->call->invoke.piece(r->request->call, piece);
    } else {
        tell_parts(r, piece);
        r->in_parts = true;
    }
    server_drain(s);
}

/* ---- the beginning --------------------------------------------------------------------------------------------------- */

/* What cannot be started has a receipt as well. */
static void end_unstarted(struct run *r, const char *why)
{
    struct sandbox_result result = {.status = SANDBOX_SETUP, .detail = why};
    hash_run(r, &result);
    end_run(r, &result);
}

static enum err call_pool(struct run *r, const struct run_order *o, struct bytes input, struct buf *why)
{
    struct uv_call call = {.input = input,
                           .caller = get_le64(o->has_token ? o->token.b : o->caller_node.b),
                           .within_ms = o->within_ms,
                           .ctx = r,
                           .chunk = o->stream ? on_chunk : NULL,
                           .done = on_done};
    enum err e = uv_pool_call(r->pool, &call, &r->id);
    if (e == ERR_BUSY)
        buf_put_str(why, "too many calls wait for this deployment; try again");
    else if (e != ERR_OK)
        buf_printf(why, "the call was not taken: %s", err_text(e));
    return e;
}

enum err run_start(struct uv_invokes *all, const struct run_order *o, struct buf *why)
{
    struct buf scratch = {0};
    struct bytes input;
    struct deployment_given given = {.media = o->media, .body = o->input};
    enum err e = deployment_input(o->deploy->d.input, &given, &scratch, &input, why);
    if (e != ERR_OK) {
        buf_close(&scratch);
        return e;
    }
    struct run *r = mem_zalloc(sizeof *r);
    *r = (struct run){.all = all, .request = o->request, .peer = o->peer, .peer_call = o->peer_call,
                      .pool = o->deploy->pool, .output = o->deploy->d.output, .stream = o->stream};
    describe(r, o, input);
    e = uv_deploy_check(o->deploy, why);
    if (e == ERR_OK)
        e = call_pool(r, o, input, why);
    buf_close(&scratch);
    if (e == ERR_CONFLICT) {
        end_unstarted(r, buf_cstr(why));
        return ERR_OK;
    }
    if (e != ERR_OK) {
        run_free(r);
        return e;
    }
    if (r->request != NULL)
        r->request->run = r;
    r->next = all->runs;
    all->runs = r;
    return ERR_OK;
}

void run_cancel(struct run *r)
{
    if (r->over)
        return;
    struct uv_deploy *d = uv_deploys_find(
        r->all->server->deploys, kind_by_word(r->receipt.kind)->kind, &r->receipt.entry);
    if (d != NULL && d->pool == r->pool) /* else it is being ended with its deployment */
        uv_pool_cancel(r->pool, r->id);
}

/* ---- peers ------------------------------------------------------------------------------------------------------------- */

static void refuse_peer(struct uv_invokes *all, const struct net_action *a, enum call_refusal why, struct bytes text)
{
    struct run r = {.all = all, .peer = a->peer, .peer_call = a->call};
    tell_peer(&r, &(struct call_answer){.reply = CALL_REFUSED, .refusal = why, .text = text}, true);
}

static size_t runs_of(const struct uv_invokes *all, const struct key *peer)
{
    size_t n = 0;
    for (const struct run *r = all->runs; r != NULL; r = r->next)
        n += r->request == NULL && key_eq(&r->peer, peer);
    return n;
}

void run_asked(struct uv_invokes *all, const struct net_action *a, const struct call_question *q)
{
    struct server *s = all->server;
    struct uv_deploy *d = uv_deploys_find(s->deploys, q->kind, &q->entry);
    struct buf why = {0};
    if (s->stopping) {
        refuse_peer(all, a, CALL_STOPPING, bytes_str("the node is stopping"));
        return;
    }
    if (d == NULL || !d->d.share) {
        refuse_peer(all, a, CALL_NOT_DEPLOYED, bytes_str("it is not deployed here for other nodes"));
        return;
    }
    if (runs_of(all, &a->peer) >= config_number(&s->config, CONFIG_LIMIT_INVOKES_PEER)) {
        refuse_peer(all, a, CALL_BUSY, bytes_str("as many calls as one node may have are under way (limits.invokes_peer)"));
        return;
    }
    struct run_order order = {.deploy = d, .media = q->media, .input = q->input, .within_ms = q->within_ms,
                              .stream = q->stream, .has_token = q->has_token, .token = q->token,
                              .caller_node = a->peer, .peer = a->peer, .peer_call = a->call};
    all->served++;
    enum err e = run_start(all, &order, &why);
    if (e != ERR_OK)
        refuse_peer(all, a, e == ERR_INVALID ? CALL_BAD_INPUT : CALL_BUSY, buf_view(&why));
    buf_close(&why);
}

void run_left(struct uv_invokes *all, const struct net_action *a)
{
    for (struct run *r = all->runs; r != NULL; r = r->next)
        if (r->request == NULL && r->peer_call == a->call && key_eq(&r->peer, &a->peer)) {
            r->left = true;
            run_cancel(r);
            return;
        }
}
