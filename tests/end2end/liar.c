/*
 * A node that runs what it is asked to run and lies about it: souk itself, with what it says to other nodes passed through
 * the functions below (the linker's --wrap). The lie is the word in the file $LIAR_FILE, read at each call; none: the truth.
 */
#include "net/net.h"
#include "node/callwire.h"
#include "node/receipt.h"
#include "node/serving.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void __real_receipt_write(struct buf *out, const struct receipt *r, const uint8_t secret[64]);
void __wrap_receipt_write(struct buf *out, const struct receipt *r, const uint8_t secret[64]);
void __real_call_put_answer(struct buf *out, const struct call_answer *a);
void __wrap_call_put_answer(struct buf *out, const struct call_answer *a);
bool __real_serving_has(const struct serving *s, const struct id *entry, const struct key *node);
bool __wrap_serving_has(const struct serving *s, const struct id *entry, const struct key *node);
enum net_action_kind __real_net_next(struct net *n, struct net_action *a);
enum net_action_kind __wrap_net_next(struct net *n, struct net_action *a);

static bool lies(const char *word)
{
    char line[64] = "";
    const char *path = getenv("LIAR_FILE");
    FILE *file = path != NULL ? fopen(path, "re") : NULL;
    if (file == NULL)
        return false;
    bool is = fgets(line, sizeof line, file) != NULL && strncmp(line, word, strlen(word)) == 0 && line[strlen(word)] == '\n';
    fclose(file);
    return is;
}

/* Receipts that are signed properly and say something else. */
void __wrap_receipt_write(struct buf *out, const struct receipt *r, const uint8_t secret[64])
{
    struct receipt lie = *r;
    uint8_t other[64];
    memcpy(other, secret, sizeof other);
    lie.entry.b[0] ^= lies("entry");
    lie.input.b[0] ^= lies("input");
    lie.output.b[0] ^= lies("output digest");
    lie.token.b[0] ^= lies("token");
    if (lies("caller"))
        lie.caller_node = r->issuer;
    if (lies("kind"))
        lie.kind = "agent";
    if (lies("result"))
        lie.result = "timeout";
    if (lies("signer"))
        (void)crypto_sign_keypair(lie.issuer.b, other);
    size_t at = out->n;
    __real_receipt_write(out, &lie, other);
    if (lies("forged")) { /* the name of the entry, which is in it in the clear */
        uint8_t *name = memmem(out->p + at, out->n - at, "\"echo\"", 6);
        if (name != NULL)
            name[1] = 'E';
    }
}

void __wrap_call_put_answer(struct buf *out, const struct call_answer *a)
{
    struct call_answer lie = *a;
    if (a->reply == CALL_RESULT) {
        if (lies("output"))
            lie.bytes = bytes_str("\"mine\"");
        if (lies("missing"))
            lie.receipt = (struct bytes){0};
        if (lies("garbage"))
            lie.receipt = bytes_str("{\"result\":\"ok\"}");
        if (lies("status"))
            lie.status = 1;
        if (lies("no such status"))
            lie.status = 77;
        if (lies("not started"))
            lie.started = false;
    }
    if (a->reply == CALL_RESULT && lies("cut"))
        buf_put_u8(out, CALL_RESULT);
    else
        __real_call_put_answer(out, &lie);
}

/* As an asker it turns to nodes that never said that they serve the entry. */
bool __wrap_serving_has(const struct serving *s, const struct id *entry, const struct key *node)
{
    return lies("asks anyone") || __real_serving_has(s, entry, node);
}

/* A call that is lost is one that took too long: nobody can wait a day for that. */
enum net_action_kind __wrap_net_next(struct net *n, struct net_action *a)
{
    enum net_action_kind kind = __real_net_next(n, a);
    if (kind == NET_CALL_LOST && !a->unsent)
        a->late = lies("late");
    return kind;
}
