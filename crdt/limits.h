/*
 * Every size that a peer or a client can push on, in one place. A bound that belongs to the data
 * model (first group) is part of validity: two nodes that disagree about one would hold different
 * sets, so changing it makes a new mesh protocol version. The others are this build's own.
 */
#ifndef SOUK_CRDT_LIMITS_H
#define SOUK_CRDT_LIMITS_H

/* The data model (crdt/MODEL.md). Bytes unless said. */
#define MODEL_NAME_MAX          200
#define MODEL_BODY_MAX          65536
#define MODEL_PARENTS_MAX       256  /* ids in one op                                     */
#define MODEL_GRANTS_MAX        64   /* rows in one statement                             */
#define MODEL_DELTA_OPS_MAX     256
#define MODEL_DELTA_MAX         (1u << 20) /* delta bytes + all its bodies                */
#define MODEL_DEPTH_MAX         16   /* nested containers in msgpack                      */
#define MODEL_KIND_MAX          65535
#define MODEL_FIELDS_MAX        1024 /* fields in one body                                */
#define MODEL_HEADS_READ        16   /* heads that a read looks at                        */
#define MODEL_FORK_WALK_MAX     1024 /* op headers walked to name a conflict              */
#define MODEL_AHEAD_MAX_MS      (10 * 60 * 1000) /* a delta further ahead is deferred     */

/* The API. */
#define API_RECORD_MAX          65536
#define API_HEADERS_MAX         16384
#define API_INVOKE_INPUT_MAX    (8u << 20)
#define API_LINGER_MAX          (1u << 20) /* read and dropped after a 413                */
#define API_PAGE_DEFAULT        30
#define API_PAGE_MAX            200

#endif
