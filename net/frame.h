/*
 * Records and messages on a byte stream: a record is two bytes of big-endian length and that many bytes. Before the
 * handshake ends a record is one Noise message; after it a record is sealed and carries a part of one message. Owns the
 * two buffers of reassembly; knows no message type beyond its size bound.
 */
#ifndef SOUK_NET_FRAME_H
#define SOUK_NET_FRAME_H

#include "net/noise.h"

#define FRAME_HEAD_BYTES    2
#define FRAME_CHUNK_MAX     (NOISE_RECORD_MAX - NOISE_TAG_BYTES - 1) /* bytes of a message in one record */
#define FRAME_REKEY_RECORDS (1u << 20)
#define FRAME_REKEY_BYTES   (1u << 30) /* of records, heads not counted */

enum frame_result {
    FRAME_MORE,      /* nothing complete yet                                   */
    FRAME_MESSAGE,   /* one record in the clear, or one whole message          */
    FRAME_BAD_TAG,   /* a record does not authenticate                         */
    FRAME_BAD_FORM,  /* an empty record, an unknown flag, an empty part        */
    FRAME_TOO_LARGE  /* over the bound of its kind                             */
};

/* One direction's key and what has gone through since the last rekey. */
struct frame_seal {
    struct noise_cipher cipher;
    uint64_t records, bytes;
};

/* Zero-initialise; set the bounds. */
struct frame_in {
    struct buf raw;      /* bytes not yet taken apart                                     */
    size_t at;           /* of raw: read so far                                           */
    struct buf message;  /* parts of the message under way                                */
    bool given;          /* message was handed out: start anew                            */
    bool sealed;         /* the handshake is over                                         */
    struct frame_seal seal;
    size_t clear_max;    /* bytes of a record in the clear                                */
    size_t (*limit)(uint8_t type); /* bytes of a message by its first byte; 0: none such  */
};
void frame_in_close(struct frame_in *f);
/* Copies bytes in. Call frame_in_next until FRAME_MORE after each feed: what stays is less than one record. */
void frame_in_feed(struct frame_in *f, struct bytes in);
/* `message` is borrowed until the next call. Any result but MORE and MESSAGE ends the connection. */
enum frame_result frame_in_next(struct frame_in *f, struct bytes *message);
/* True while a message or record is incomplete: its sender is on a deadline. */
bool frame_in_partial(const struct frame_in *f);

/* Appends a record in the clear (1..65535 bytes). */
void frame_out_clear(struct buf *out, struct bytes record);
/* Appends the message head || tail in sealed records. At least one byte in all. */
void frame_out_message(struct frame_seal *seal, struct bytes head, struct bytes tail, struct buf *out);

#endif
