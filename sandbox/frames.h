/*
 * How the node and a resident worker speak: requests and answers as lines of JSON or as length-prefixed frames, each with an
 * id. Pure encoding and strict parsing; which id is wanted and what a wrong one means is run.c's.
 */
#ifndef SOUK_SANDBOX_FRAMES_H
#define SOUK_SANDBOX_FRAMES_H

#include "crdt/bytes.h"
#include "crdt/err.h"
#include "sandbox/sandbox.h"

#define SANDBOX_FRAME_HEAD 12 /* bytes before the payload of a frame: 4 length, 8 id */

struct frame_format {
    enum sandbox_frames frames;
    enum sandbox_kind input, output;
    uint64_t output_bytes; /* an answer may be this large, without its wrapping */
};

/* Appends a request. */
void frame_request(struct buf *out, const struct frame_format *format, uint64_t id, struct bytes input);

enum frame_found {
    FRAME_MORE,   /* not whole yet                                                             */
    FRAME_ANSWER, /* id and `body` (LINES with text: the decoded string)                       */
    FRAME_ERROR,  /* the worker's own error; `body` is its text                                */
    FRAME_LARGE,  /* larger than format->output_bytes; nothing is parsed                       */
    FRAME_BAD     /* not of this form; `why` says so                                           */
};

struct frame {
    uint64_t id;
    struct buf body; /* owned: buf_close */
    size_t taken;    /* bytes of the input that this answer took */
};

/* Looks for one whole answer at the start of `in`. */
enum frame_found frame_answer(struct bytes in, const struct frame_format *format, struct frame *out, struct buf *why);

#endif
