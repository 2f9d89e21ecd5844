/*
 * One HTTP/1.x request after another out of a byte stream: where the head ends, what it says, the body without its
 * framing. The stricter reading wins wherever two readers of the same bytes could disagree (request smuggling).
 * Knows nothing of routes, answers or time. llhttp reads the head; chunk.h the chunked coding.
 */
#ifndef SOUK_API_HTTP_H
#define SOUK_API_HTTP_H

#include "api/chunk.h"
#include "crdt/bytes.h"
#include "crdt/limits.h"

#include <llhttp.h>

#define HTTP_URI_MAX        8192 /* bytes of the request target: more is 414            */
#define HTTP_HEADERS_MAX    API_HEADERS_MAX /* bytes of the header lines: more is 431   */
#define HTTP_HEAD_MAX       (HTTP_URI_MAX + HTTP_HEADERS_MAX + 32)
#define HTTP_KNOWN_MAX      32   /* header lines of the names below: more is 431        */
#define HTTP_FRAMING_MAX    (256u << 10) /* bytes of chunk framing beside a chunked body */

/* The headers that anything here reads. */
enum http_name {
    HTTP_HOST, HTTP_AUTHORIZATION, HTTP_ACCEPT, HTTP_CONTENT_TYPE, HTTP_CONTENT_LENGTH, HTTP_TRANSFER_ENCODING,
    HTTP_EXPECT, HTTP_IF_MATCH, HTTP_IF_NONE_MATCH, HTTP_LAST_EVENT_ID, HTTP_SOUK_AS, HTTP_TIMEOUT, HTTP_IDEMPOTENCY_KEY,
    HTTP_NAME_COUNT
};

struct http_header {
    enum http_name name;
    struct bytes value; /* without the white space around it */
};

struct http_head {
    unsigned method;          /* llhttp_method_t                                        */
    unsigned minor;           /* 0 or 1 of HTTP/1.x                                     */
    struct bytes target;      /* as sent                                                */
    struct bytes path, query; /* query: absent without a '?'                            */
    bool keep_alive;
    bool has_body;            /* a body follows, maybe of unknown length                */
    bool chunked;
    uint64_t length;          /* without `chunked`                                      */
    size_t count;
    struct http_header known[HTTP_KNOWN_MAX];
};

/* A refusal: the status to answer and a sentence. After one the stream cannot be read on. */
struct http_fault {
    int status;
    const char *code;
    const char *detail;
};

struct http {
    llhttp_t parser;
    struct http_head head;
    struct http_fault fault;
    struct buf *body;         /* where body bytes go while one is read, NULL: dropped   */
    size_t body_max;
    uint64_t body_seen;       /* body bytes of this request                             */
    uint64_t framed;          /* bytes of this request's body with its framing          */
    size_t scanned;           /* bytes at the start of the stream that hold no end of head */
    size_t lines;             /* where the header lines start, 0: in the request line   */
    bool in_body;             /* the head is complete                                   */
    struct chunk chunk;
    uint64_t left;            /* bytes still to come of a body of known length          */
    int last;                 /* name of the header line being read, -1: none known     */
};

enum http_step {
    HTTP_MORE,   /* everything was used: give more                       */
    HTTP_DONE,   /* the head, or the body, is complete                   */
    HTTP_LARGE,  /* the body passed body_max                             */
    HTTP_BAD     /* `fault` says why                                     */
};

void http_init(struct http *h);
/* Bytes of empty lines before a request, to be skipped. */
size_t http_blank(struct bytes in);
/* Looks for the end of a head that starts at in.p[0]. HTTP_DONE: *length is its size. Call again with a longer `in`
 * after HTTP_MORE; cost is linear over all calls. */
enum http_step http_scan(struct http *h, struct bytes in, size_t *length);
/* Reads a whole head; h->head borrows it. HTTP_DONE or HTTP_BAD. Forgets the request before. */
enum http_step http_read_head(struct http *h, struct bytes head);
/* Reads body bytes into h->body (at most body_max), after a head with has_body. *used: bytes of `in` that belong
 * to this request. */
enum http_step http_read_body(struct http *h, struct bytes in, size_t *used);
/* Reads on after HTTP_LARGE or to skip a body: nothing is kept any more. */
void http_drop_body(struct http *h);

/* The first value of a header, absent if there is none. */
struct bytes http_header(const struct http_head *head, enum http_name name);
/* The media type of a Content-Type or Accept element without parameters: "application/json; q=1" -> its first part. */
struct bytes http_media(struct bytes value);
bool http_word_eq(struct bytes a, const char *lower); /* ASCII case-insensitive */

#endif
