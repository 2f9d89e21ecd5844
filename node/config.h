/*
 * The configuration: one table of keys, filled from defaults, the lines of souk.conf, SOUK_KEY variables and flags,
 * each later source overriding the ones before. Pure: init, set or line, finish. Reads no file and no environment
 * itself. A message about a line names the line, the key and, for an unknown key, the nearest known one.
 */
#ifndef SOUK_NODE_CONFIG_H
#define SOUK_NODE_CONFIG_H

#include "crdt/bytes.h"
#include "crdt/err.h"

#define CONFIG_LINE_MAX  1024    /* bytes of one line                          */
#define CONFIG_FILE_MAX  65536   /* bytes of souk.conf                         */
#define CONFIG_PEERS_MAX 64      /* values of one list                         */

enum config_key {
    CONFIG_NAME, CONFIG_HTTP, CONFIG_LISTEN, CONFIG_ADVERTISE, CONFIG_PEER, CONFIG_MESH,
    CONFIG_LOG, CONFIG_LOG_NODE, CONFIG_LOG_NET, CONFIG_LOG_STORE, CONFIG_LOG_API,
    CONFIG_CACHE_MB, CONFIG_WRITE_BUFFER_MB, CONFIG_READ_AUTH, CONFIG_HISTORY_BODIES,
    CONFIG_LIMIT_CONNECTIONS, CONFIG_LIMIT_HEADER_S, CONFIG_LIMIT_BODY_S, CONFIG_LIMIT_IDLE_S,
    CONFIG_LIMIT_BATCH_DELTAS, CONFIG_LIMIT_BATCH_WRITES, CONFIG_LIMIT_DISK_FREE_MB, CONFIG_LIMIT_SILENCE_S,
    CONFIG_RATE_REQUESTS, CONFIG_RATE_BURST, CONFIG_RECEIPTS_KEEP, CONFIG_LIMIT_BLOBS_MB, CONFIG_LIMIT_INVOKES_TOKEN, CONFIG_LIMIT_INVOKES_PEER,
    CONFIG_COUNT
};

enum config_type {
    CONFIG_TYPE_TEXT,    /* UTF-8 without control characters, min..max bytes           */
    CONFIG_TYPE_UINT,    /* decimal, min..max                                          */
    CONFIG_TYPE_CHOICE,  /* one of `choices`                                           */
    CONFIG_TYPE_ADDRESS, /* HOST:PORT, [V6]:PORT; "" where fallback is ""              */
    CONFIG_TYPE_PEER,    /* KEY@HOST:PORT or HOST:PORT, a list: the key may be repeated */
    CONFIG_TYPE_ID       /* 64 hex digits or ""                                        */
};

enum config_reload { CONFIG_AT_START, CONFIG_ON_RELOAD };

struct config_desc {
    const char *name;            /* "log.net"; the variable is SOUK_LOG_NET            */
    enum config_type type;
    enum config_reload reload;   /* may SIGHUP change it?                              */
    const char *fallback;        /* the default, always valid                          */
    uint64_t min, max;
    const char *const *choices;  /* NULL-terminated                                    */
    const char *about;           /* one sentence                                       */
};
const struct config_desc *config_desc(enum config_key key);

enum config_origin { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENV, CONFIG_FLAG }; /* later wins */

struct config_value {
    struct buf text;             /* list values separated by one space                 */
    size_t count;                /* of list values                                     */
    uint64_t number;             /* UINT; index of a CHOICE                            */
    enum config_origin origin;
    unsigned line;               /* CONFIG_FILE                                        */
};

struct config {
    struct config_value values[CONFIG_COUNT];
    unsigned line;               /* the last line given to config_line                 */
};

void config_init(struct config *c);  /* every key at its default */
void config_close(struct config *c); /* safe on a zeroed one */

/* One line of souk.conf, without its newline. ERR_FORM or ERR_INVALID: one sentence ending in a newline was appended
 * to why and the line has no effect; the next line may follow. */
SOUK_MUST_USE enum err config_line(struct config *c, struct bytes line, struct buf *why);
/* One value from elsewhere. A weaker origin than the present one is checked and then ignored. ERR_NOT_FOUND: no such
 * key; ERR_INVALID. A sentence without newline was appended to why. */
SOUK_MUST_USE enum err config_set(struct config *c, const char *name, struct bytes value, enum config_origin origin,
                                  struct buf *why);
/* Checks that span keys. ERR_INVALID: sentences with newlines were appended. */
SOUK_MUST_USE enum err config_finish(const struct config *c, struct buf *why);

const char *config_text(const struct config *c, enum config_key key);
uint64_t config_number(const struct config *c, enum config_key key);
/* The i-th value of a list into out (size bytes with the NUL); false: there is none. */
bool config_item(const struct config *c, enum config_key key, size_t i, char *out, size_t size);
/* "default", "souk.conf:12", "SOUK_HTTP" or "flag". Appended. */
void config_where(const struct config *c, enum config_key key, struct buf *out);
/* "SOUK_LOG_NET": what the variable of a key is called. Appended. */
void config_variable(enum config_key key, struct buf *out);

/* KEY@HOST:PORT or HOST:PORT, with a port to connect to. */
bool config_peer_valid(struct bytes text);
#define CONFIG_PEER_WANTED "wants HOST:PORT or KEY@HOST:PORT, with KEY of 64 hex digits and PORT from 1 to 65535"
/* Splits HOST:PORT or [V6]:PORT; false where it is neither. */
bool config_split_address(struct bytes address, char *host, size_t host_size, unsigned *port);

/* Levels of the log, in the order of the choices of CONFIG_LOG. */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#endif
