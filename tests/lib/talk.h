/*
 * A client of the HTTP engine without sockets: gives bytes to one connection, collects what comes back, takes answers
 * apart. Time stands still unless a test moves it.
 */
#ifndef SOUK_TESTS_TALK_H
#define SOUK_TESTS_TALK_H

#include "tests/lib/fakebackend.h"

struct talk {
    struct fake *fake;
    struct api *api;
    struct api_conn *conn;
    uint64_t now_ms;
    struct buf got;    /* everything received and not taken yet */
};

/* One answer, taken from the front of what was received. */
struct reply {
    int status;
    struct buf head;   /* status line and headers                */
    struct buf body;
};

void talk_open(struct talk *t, enum api_origin origin);
void talk_open_with(struct talk *t, enum api_origin origin, const struct api_config *config);
void talk_close(struct talk *t);
/* Drops the connection and opens another to the same engine. */
void talk_again(struct talk *t, enum api_origin origin);
void talk_send(struct talk *t, const char *bytes);
void talk_send_n(struct talk *t, const void *bytes, size_t n);
void talk_end(struct talk *t); /* the client ends its side */
void talk_collect(struct talk *t);
void talk_wait(struct talk *t, uint64_t ms); /* time passes; deadlines fire */
/* Takes the next whole answer. False: there is none. `head_only`: the answer to a HEAD. */
bool talk_take(struct talk *t, struct reply *r, bool head_only);
/* Sends a request and takes its answer. `headers`: lines with CRLF, or "". `body`: NULL for none. Returns the status. */
int talk_ask(struct talk *t, struct reply *r, const char *method, const char *path, const char *headers, const char *body);
/* The value of a header, or NULL. Static until the next call. */
const char *reply_header(const struct reply *r, const char *name);
/* The string or number of a top-level member of a JSON body as text, or "". Static until the next call. */
const char *reply_member(const struct reply *r, const char *name);
void reply_close(struct reply *r);

#define AUTH "Authorization: Bearer writer\r\n"

#endif
