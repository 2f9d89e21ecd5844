/*
 * What nodes ask each other in calls: an invoke, a blob's list or chunk; and how they answer. The bytes: see PROTOCOL 9.
 * Decoding checks form and bounds and borrows its input.
 */
#ifndef SOUK_NODE_CALLWIRE_H
#define SOUK_NODE_CALLWIRE_H

#include "crdt/err.h"
#include "crdt/id.h"
#include "net/net.h"

#define CALL_TEXT_MAX   1024       /* bytes of a sentence                                     */
#define CALL_INLINE_MAX (512u << 10) /* a longer output travels in parts before the result    */

enum call_ask { CALL_INVOKE = 1, CALL_BLOB_LIST = 2, CALL_BLOB_CHUNK = 3 };

struct call_question {
    enum call_ask ask;
    /* CALL_INVOKE */
    uint64_t kind;
    struct id entry;
    bool has_token, stream;
    struct id token;         /* receipt_token of the asking node */
    uint8_t media;           /* enum api_media of the input */
    uint64_t within_ms;      /* from the receipt of the question on; 0: the deployment's wall time alone */
    struct bytes input;
    /* CALL_BLOB_* */
    struct id blob;
    uint64_t index;          /* of the chunk */
};
void call_put_question(struct buf *out, const struct call_question *q);
SOUK_MUST_USE enum err call_read_question(struct bytes in, struct call_question *out);

enum call_reply {
    CALL_PART = 1,    /* bytes of the output, in order, before the result    */
    CALL_RESULT = 2,  /* how the run ended; the last answer                  */
    CALL_REFUSED = 3, /* nothing was started; the last answer                */
    CALL_BLOB = 4     /* a list or a chunk; the last answer                  */
};
enum call_refusal {
    CALL_NOT_DEPLOYED = 1, /* or not shared                  */
    CALL_BUSY = 2,
    CALL_BAD_INPUT = 3,
    CALL_STOPPING = 4,
    CALL_NO_BLOB = 5,
    CALL_REFUSALS
};
struct call_answer {
    enum call_reply reply;
    enum call_refusal refusal;
    struct bytes text;       /* CALL_REFUSED, CALL_RESULT: a sentence              */
    uint8_t status;          /* CALL_RESULT: enum sandbox_status                   */
    uint8_t media;           /* ... of the output                                  */
    bool started, in_parts;
    uint16_t running, room;  /* its load: calls under way, calls that would start at once */
    struct bytes receipt;
    struct bytes bytes;      /* CALL_PART, CALL_RESULT (output, unless in_parts), CALL_BLOB */
};
void call_put_answer(struct buf *out, const struct call_answer *a);
SOUK_MUST_USE enum err call_read_answer(struct bytes in, struct call_answer *out);

#endif
