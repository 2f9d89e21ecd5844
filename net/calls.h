/*
 * Calls between two nodes in session: a request, answers, in parts that leave as the link takes them. Knows nothing of
 * what is asked. Private to net/; the bounds stand here and in PROTOCOL 6.
 */
#ifndef SOUK_NET_CALLS_H
#define SOUK_NET_CALLS_H

#include "net/engine.h"

#define NET_CALLS_MAX      64          /* unanswered calls of one link, each way                  */
#define NET_CALL_PART      32768       /* bytes of a message in one CALL                          */
#define NET_CALL_QUEUE     (256u << 10)/* bytes queued to a peer above which parts wait           */
#define NET_CALL_BURST     4096        /* calls begun at once by one peer ...                     */
#define NET_CALL_RATE      2048        /* ... and each second; beyond: refused                    */

struct call_message {
    struct call_message *next;
    uint64_t since_ms;              /* when it was queued                                     */
    uint64_t call;
    uint8_t flags;
    size_t at;               /* bytes that have left                                          */
    struct buf bytes;
};

struct link_calls {
    struct call_message *out, **out_end;
    uint64_t out_bytes;
    size_t asked_count, asking_count;
    uint64_t asked[NET_CALLS_MAX];  /* calls of this node that the peer has not ended, the oldest first */
    uint64_t asked_ms[NET_CALLS_MAX]; /* ... and since when                                   */
    uint64_t asking[NET_CALLS_MAX]; /* calls of the peer that this node has not ended         */
    bool receiving, dropping;       /* a message has begun; its bytes are not kept            */
    uint64_t in_call;
    bool in_answer;
    struct buf in;
    struct bucket begun;
    uint64_t last_ms;               /* the last message of any call, whole, either way        */
    uint64_t own_ms;                /* ... of a call of this node                             */
};

void calls_input(struct net *n, const struct net_event *e); /* NET_CALL NET_CALL_DROP NET_ANSWER NET_REFUSE */
void calls_message(struct net *n, struct link *l, const struct wire_message *m);
void calls_pump(struct net *n, struct link *l);             /* more parts, as far as the link takes them */
void calls_link_gone(struct net *n, struct link *l);
void calls_tick(struct net *n, struct link *l);             /* gives up what took too long */
uint64_t calls_deadline(const struct link *l);
bool calls_under_way(const struct net *n, const struct link *l);
uint64_t calls_own_ms(const struct link *l);                /* the last call of this node, or the session's beginning */
uint64_t calls_last_ms(const struct link *l);               /* ... of either side                            */
void calls_free(struct link *l);

#endif
