/*
 * Phrases for enum err. They stand at the end of a sentence that names the value, so each is a
 * reason in lower case without a full stop.
 */
#include "crdt/err.h"

const char *err_text(enum err e)
{
    static const char *const text[ERR_COUNT] = {
        [ERR_OK] = "ok",
        [ERR_FORM] = "malformed",
        [ERR_LIMIT] = "over a limit",
        [ERR_MESH] = "belongs to another mesh",
        [ERR_SIGNATURE] = "signature does not verify",
        [ERR_AHEAD] = "time is ahead of this node's clock",
        [ERR_NOT_FOUND] = "not found",
        [ERR_CONFLICT] = "precondition failed",
        [ERR_DENIED] = "not allowed",
        [ERR_INVALID] = "breaks a rule of the record",
        [ERR_TOO_LARGE] = "record too large",
        [ERR_AMBIGUOUS] = "name is ambiguous",
        [ERR_VERSION] = "unknown version",
        [ERR_IO] = "input/output error",
        [ERR_NO_SPACE] = "no space left on device",
        [ERR_READ_ONLY] = "read-only file system",
        [ERR_CORRUPT] = "corrupt data",
        [ERR_BUSY] = "busy",
        [ERR_CLOSED] = "closed",
    };
    return (unsigned)e < ERR_COUNT ? text[e] : "unknown error";
}
