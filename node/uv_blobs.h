/*
 * The blobs of a running node, files under D/blobs: served to peers that name them, fetched from whichever peer has them.
 */
#ifndef SOUK_NODE_UV_BLOBS_H
#define SOUK_NODE_UV_BLOBS_H

#include "node/blob.h"
#include "node/callwire.h"

struct server;
struct api_call;
struct net_action;

#define BLOBS_WINDOW   4   /* chunks asked for at a time            */
#define BLOBS_PULLS    16  /* fetched at a time                     */
#define BLOBS_SERVING  64  /* chunks read for peers at a time       */
#define BLOBS_PEERS    64  /* peers asked for one blob              */

struct uv_blobs;
/* Makes D/blobs. ERR_IO: `why`. */
SOUK_MUST_USE enum err uv_blobs_new(struct server *s, struct uv_blobs **out, struct buf *why);
void uv_blobs_free(struct uv_blobs *b); /* after the loop has ended */

/* Admin verbs: `blobs` tells where they lie, `blob-pull` {"hash"} ends when the blob is here. */
void uv_blobs_admin_ls(struct server *s, struct api_call *call);
void uv_blobs_admin_pull(struct server *s, struct api_call *call);
/* Nobody waits for a pull any more: it stops, what is here stays. */
bool uv_blobs_cancel(struct uv_blobs *b, struct api_call *call);

void uv_blobs_asked(struct uv_blobs *b, const struct net_action *a, const struct call_question *q);
bool uv_blobs_answered(struct uv_blobs *b, const struct net_action *a); /* false: not for this part */
bool uv_blobs_lost(struct uv_blobs *b, const struct net_action *a);

#endif
