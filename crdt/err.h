/*
 * The one error type of the project. Functions that can fail return it and must be checked;
 * results leave through the last out-parameter, which is untouched on failure. A peer that
 * misbehaves is not an error but an action of the engine that noticed it. Running out of memory
 * aborts, since everything that an outsider can push on is bounded in limits.h.
 */
#ifndef SOUK_CRDT_ERR_H
#define SOUK_CRDT_ERR_H

#define SOUK_MUST_USE __attribute__((warn_unused_result))

enum err {
    ERR_OK = 0,
    ERR_FORM,       /* bytes that are not canonical, or not of the shape asked for        */
    ERR_LIMIT,      /* over a bound of limits.h                                           */
    ERR_MESH,       /* belongs to another mesh                                            */
    ERR_SIGNATURE,  /* signature or key does not hold                                     */
    ERR_AHEAD,      /* time too far ahead of this node's clock: deferred, not judged      */
    ERR_NOT_FOUND,  /* no such thing here                                                 */
    ERR_CONFLICT,   /* a precondition (revision, create-only) does not hold               */
    ERR_DENIED,     /* the author may not write this entry                                */
    ERR_INVALID,    /* well-formed, but breaks a rule of the schema                       */
    ERR_TOO_LARGE,  /* the merged record does not fit                                     */
    ERR_AMBIGUOUS,  /* a name that several owners use                                     */
    ERR_VERSION,    /* a format version this build does not know                          */
    ERR_IO,         /* the disk or the network failed                                     */
    ERR_NO_SPACE,   /* the disk is full                                                   */
    ERR_READ_ONLY,  /* the file system went read-only                                     */
    ERR_CORRUPT,    /* stored bytes that do not verify                                    */
    ERR_BUSY,       /* a queue is at its bound: try again later                           */
    ERR_CLOSED,     /* the object is shutting down                                        */
    ERR_COUNT
};

/* A short English phrase without a full stop, e.g. "not found". Static storage. */
const char *err_text(enum err e);

#endif
