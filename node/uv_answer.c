/*
 * What other nodes answer: parts, a result with its receipt, a refusal, nothing more. A result is passed on only if its
 * receipt is that node's and about this very call. Another node is tried only where the one before says that it started
 * nothing.
 */
#include "node/uv_invoke.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(NET_CALL_MS >= SANDBOX_WALL_MAX_MS + INVOKE_GRACE_MS, "no run that is on time is given up");

struct request *answer_request(struct uv_invokes *all, uint64_t call)
{
    for (struct request *q = all->requests; q != NULL; q = q->next)
        if (q->asked == call)
            return q;
    return NULL;
}

/* ---- receipts -------------------------------------------------------------------------------------------------------- */

#define READINGS 3 /* JSON, text and bytes: which of them the serving node deployed for is its affair */

static size_t digests_of(const struct api_call *call, struct digest out[READINGS])
{
    static const enum sandbox_kind kinds[READINGS] = {SANDBOX_JSON, SANDBOX_TEXT, SANDBOX_BYTES};
    struct deployment_given given = {.media = (unsigned)call->invoke.input, .body = call->body};
    struct buf scratch = {0}, why = {0};
    struct bytes text;
    size_t n = 0;
    for (size_t i = 0; i < READINGS; i++) {
        buf_reset(&scratch);
        if (deployment_input(kinds[i], &given, &scratch, &text, &why) == ERR_OK)
            digest_of(&out[n++], text);
    }
    buf_close(&scratch);
    buf_close(&why);
    return n;
}

/* A receipt is kept if it is of now: a peer must not push others off the shelf. */
static void keep(struct server *s, const struct receipt_view *v, struct bytes json)
{
    uint64_t now = server_clock_ms(), then = receipt_id_ms(&v->id), ahead = MODEL_AHEAD_MAX_MS;
    struct store_receipt row = {.json = json};
    memcpy(row.id, v->id.b, sizeof row.id);
    if (then <= now + ahead && then + ahead + 86400000u >= now && node_keep_receipt(s->node, &row) != ERR_OK)
        uv_log(&s->log, LOG_NODE, LOG_WARN, "a receipt is not kept: too many wait for the disk");
}

/* An answer that is held against its receipt: on a worker's thread where there is much to be hashed. The request stays where
 * it is, whoever goes away meanwhile. */
struct check {
    struct request *q;
    struct call_answer a;      /* its bytes are in `kept` */
    struct buf kept;
    struct bytes output;
    struct key self;
    struct receipt_view view;
    bool good;
    struct buf why;
};

/* Signed by the node that was asked, about what was sent, what came and who asked? Which revision it ran is that node's word:
 * a newer one than has arrived here is no fault. */
static void check_work(void *arg)
{
    struct check *c = arg;
    const struct request *q = c->q;
    struct digest inputs[READINGS];
    if (receipt_verify(c->a.receipt, &c->view, &c->why) != ERR_OK)
        return;
    struct receipt_asked asked = {.issuer = q->at,
                                  .kind = kind_by_number(q->call->kind)->singular,
                                  .entry = q->call->id,
                                  .inputs = inputs,
                                  .input_count = digests_of(q->call, inputs),
                                  .result = sandbox_status_name((enum sandbox_status)c->a.status),
                                  .caller_node = c->self,
                                  .has_token = q->token != 0};
    receipt_token(&asked.token, &asked.caller_node, q->token);
    digest_of(&asked.output, c->a.status == SANDBOX_OK ? c->output : (struct bytes){0});
    c->good = receipt_is_about(&c->view, &asked, &c->why);
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */

/* The client is told what is wrong, nothing is tried again, and for a while others are asked first. */
static void lied(struct request *q, const char *code, struct bytes what)
{
    struct uv_invokes *all = q->all;
    char hex[ID_HEX_SIZE];
    struct buf text = {0};
    key_hex(hex, &q->at);
    *ask_load(all, &q->at) = (struct load){.node = q->at, .until_ms = uv_now(&all->server->loop) + INVOKE_LIE_MS, .running = UINT16_MAX};
    buf_printf(&text, "the answer of the serving node %.12s is discarded: ", hex);
    buf_put_bytes(&text, what);
    uv_log(&all->server->log, LOG_NODE, LOG_WARN, "%s", buf_cstr(&text));
    q->ran = true; /* perhaps */
    request_refused(q, ERR_IO, 502, code, buf_view(&text));
    buf_close(&text);
}

static void check_free(struct check *c)
{
    buf_close(&c->kept);
    buf_close(&c->why);
    free(c);
}

static void check_done(void *arg)
{
    struct check *c = arg;
    struct request *q = c->q;
    struct server *s = q->all->server;
    if (s->closed) { /* whoever waited is forgotten with the engines */
        check_free(c);
        return;
    }
    if (c->good) {
        keep(s, &c->view, c->a.receipt);
        request_ended(q, &(struct run_end){.status = (enum sandbox_status)c->a.status, .media = c->a.media, .output = c->output,
                                           .receipt = c->a.receipt, .text = c->a.text});
    } else {
        lied(q, "bad_receipt", buf_view(&c->why));
    }
    check_free(c);
}

static struct bytes move_to(uint8_t **at, struct bytes from)
{
    struct bytes to = bytes_of(*at, from.n);
    if (from.n > 0)
        memcpy(*at, from.p, from.n);
    *at += from.n;
    return to;
}

static void check(struct request *q, const struct call_answer *a)
{
    struct server *s = q->all->server;
    struct check *c = mem_zalloc(sizeof *c);
    size_t n = a->receipt.n + a->text.n + a->bytes.n;
    uint8_t *at = buf_grow(&c->kept, n + 1);
    c->q = q;
    c->self = s->keys.node.key;
    c->a = *a;
    c->a.receipt = move_to(&at, a->receipt);
    c->a.text = move_to(&at, a->text);
    c->a.bytes = move_to(&at, a->bytes);
    c->output = a->in_parts ? buf_view(&q->call->out) : c->a.bytes;
    if (c->output.n + q->call->body.n > INVOKE_HASH_AT_ONCE) {
        server_defer(s, check_work, check_done, c);
        return;
    }
    check_work(c);
    check_done(c);
}

static void take_result(struct request *q, const struct call_answer *a)
{
    struct uv_invokes *all = q->all;
    *ask_load(all, &q->at) = (struct load){
        .node = q->at, .until_ms = uv_now(&all->server->loop) + INVOKE_LOAD_MS, .running = a->running, .room = a->room};
    q->asked = 0;
    if (a->status == SANDBOX_SETUP && !a->started && q->call->out.n == 0 && ask_another(q))
        return;
    q->ran = a->started || a->status != SANDBOX_SETUP;
    if (a->status >= SANDBOX_STATUS_COUNT || (a->in_parts && a->bytes.n > 0))
        lied(q, "bad_answer", bytes_str("it is not understood"));
    else
        check(q, a);
}

static void take_part(struct request *q, struct bytes part)
{
    if (q->call->out.n + part.n > SANDBOX_OUTPUT_MAX) {
        ask_drop(q);
        q->ran = true;
        request_refused(q, ERR_IO, 502, "output_limit", bytes_str("the serving node sends more than an output may have"));
        return;
    }
    buf_put_bytes(&q->call->out, part);
    if (q->call->invoke.piece != NULL)
        q->call->invoke.piece(q->call, part);
}

void answer_took(struct uv_invokes *all, const struct net_action *a)
{
    struct request *q = answer_request(all, a->call);
    struct call_answer answer;
    if (q == NULL)
        return;
    if (call_read_answer(a->bytes, &answer) != ERR_OK || (answer.reply != CALL_PART) != a->final ||
        answer.reply == CALL_BLOB || (answer.reply == CALL_REFUSED && q->call->out.n > 0)) {
        if (!a->final)
            ask_drop(q);
        q->asked = 0;
        lied(q, "bad_answer", bytes_str("it is not understood"));
        return;
    }
    if (answer.reply == CALL_PART) {
        take_part(q, answer.bytes);
    } else if (answer.reply == CALL_RESULT) {
        take_result(q, &answer);
    } else {
        q->asked = 0;
        q->refusal = answer.refusal;
        buf_reset(&q->refused);
        buf_put_bytes(&q->refused, answer.text);
        ask_next(q);
    }
}

void answer_lost(struct uv_invokes *all, const struct net_action *a)
{
    struct request *q = answer_request(all, a->call);
    if (q == NULL)
        return;
    q->asked = 0;
    q->reaching = false;
    q->untaken = true;
    if (a->unsent && q->call->out.n == 0) {
        ask_next(q);
        return;
    }
    q->ran = true; /* perhaps: under the same key it is not run again */
    if (a->late) {
        request_refused(q, ERR_IO, 504, "timeout", bytes_str("the serving node did not answer in the longest time that a run may take"));
        return;
    }
    request_refused(q, ERR_IO, 502, "lost",
                    bytes_str("the connection to the serving node was lost while it worked; it is not known whether the "
                              "program came to its end"));
}
