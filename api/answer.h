/*
 * Answers: the status line, the headers that every answer carries, problem documents (RFC 9457), and how an error of
 * the node becomes one. Writes into the connection's output; knows no route.
 */
#ifndef SOUK_API_ANSWER_H
#define SOUK_API_ANSWER_H

#include "api/engine.h"

struct answer {
    int status;
    const char *type;       /* Content-Type, NULL: no body                           */
    struct bytes body;
    const struct id *etag;  /* NULL: none                                            */
    struct bytes location;  /* absent: none                                          */
    const char *headers;    /* more header lines, each with its CRLF; NULL: none     */
};

#define TYPE_JSON    "application/json"
#define TYPE_PROBLEM "application/problem+json"
#define TYPE_MSGPACK "application/msgpack"
#define TYPE_HTML    "text/html; charset=utf-8"
#define TYPE_TEXT    "text/plain; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_EVENTS  "text/event-stream"
#define TYPE_BYTES   "application/octet-stream"

/* Ends the exchange with this answer. Asserts that it has none yet. */
void answer_send(struct exchange *x, const struct answer *a);
/* The head of an answer whose body follows in pieces until the connection closes. */
void answer_stream(struct exchange *x, const char *type);

/* Ends the exchange with a problem document. `code` is static. */
void answer_problem(struct exchange *x, int status, const char *code, const char *detail, ...)
    __attribute__((format(printf, 4, 5)));
/* 422 with what is wrong where. */
void answer_faults(struct exchange *x, const char *detail, const struct faults *faults);
/* 409 for a name that several owners use. */
void answer_candidates(struct exchange *x, const struct faults *candidates);
/* 404: the entry that the path names is not here. */
void answer_missing(struct exchange *x);
/* The problem document that answer_error would send. Appended; the HTTP status. */
int put_call_problem(struct buf *out, struct exchange *x);
/* If the call failed: answers that (the table in api.h) and returns true. */
bool answer_error(struct exchange *x);
/* Answers x->refusal. */
void answer_refusal(struct exchange *x);

/* "Too Many Requests" and the like. */
const char *answer_phrase(int status);

#endif
