/*
 * The settings: one row a key. Adding a setting is one line here and one in enum config_key. What a
 * row means for the program is the reader's business.
 */
#include "node/config.h"

#include <assert.h>
#include <stddef.h>

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const log_levels[] = {"error", "warn", "info", "debug", "default", NULL};
static const char *const read_auth[] = {"none", "token", NULL};
static const char *const history[] = {"all", NULL};

#define TEXT(n, f, lo, hi, a)                                                                                          \
    {                                                                                                                  \
        .name = n, .type = CONFIG_TYPE_TEXT, .fallback = f, .min = lo, .max = hi, .about = a                           \
    }
#define CHOICE(n, r, f, c, a)                                                                                          \
    {                                                                                                                  \
        .name = n, .type = CONFIG_TYPE_CHOICE, .reload = r, .fallback = f, .choices = c, .about = a                    \
    }
#define UINT(n, r, f, lo, hi, a)                                                                                       \
    {                                                                                                                  \
        .name = n, .type = CONFIG_TYPE_UINT, .reload = r, .fallback = f, .min = lo, .max = hi, .about = a              \
    }
#define OTHER(n, t, f, a)                                                                                              \
    {                                                                                                                  \
        .name = n, .type = t, .fallback = f, .about = a                                                                \
    }

static const struct config_desc table[CONFIG_COUNT] = {
    [CONFIG_NAME] = TEXT("name", "", 0, 200, "What this node is called in lists and logs; empty: the host's name."),
    [CONFIG_HTTP] = OTHER("http", CONFIG_TYPE_ADDRESS, "127.0.0.1:7070", "Where the HTTP API listens."),
    [CONFIG_LISTEN] = OTHER("listen", CONFIG_TYPE_ADDRESS, "127.0.0.1:7071", "Where other nodes connect."),
    [CONFIG_ADVERTISE] =
        OTHER("advertise", CONFIG_TYPE_ADDRESS, "",
              "The address that other nodes are told; empty: the one listened on, where it makes sense."),
    [CONFIG_PEER] = OTHER("peer", CONFIG_TYPE_PEER, "", "A node to stay connected to; may be repeated."),
    [CONFIG_MESH] =
        OTHER("mesh", CONFIG_TYPE_ID, "", "The mesh that this directory belongs to; empty: the one of its mesh file."),
    [CONFIG_LOG] = CHOICE("log", CONFIG_ON_RELOAD, "info", levels, "The least important messages that are logged."),
    [CONFIG_LOG_NODE] =
        CHOICE("log.node", CONFIG_ON_RELOAD, "default", log_levels, "The same for the node as a whole."),
    [CONFIG_LOG_NET] =
        CHOICE("log.net", CONFIG_ON_RELOAD, "default", log_levels, "The same for peers and replication."),
    [CONFIG_LOG_STORE] = CHOICE("log.store", CONFIG_ON_RELOAD, "default", log_levels, "The same for the disk."),
    [CONFIG_LOG_API] = CHOICE("log.api", CONFIG_ON_RELOAD, "default", log_levels, "The same for the HTTP API."),
    [CONFIG_CACHE_MB] =
        UINT("cache_mb", CONFIG_AT_START, "64", 1, 1048576, "MiB of blocks of the store kept in memory."),
    [CONFIG_WRITE_BUFFER_MB] = UINT("write_buffer_mb", CONFIG_AT_START, "32", 1, 65536,
                                    "MiB of writes gathered before they are sorted on disk."),
    [CONFIG_READ_AUTH] =
        CHOICE("read_auth", CONFIG_AT_START, "none", read_auth, "Whether reading over HTTP needs a token."),
    [CONFIG_HISTORY_BODIES] = CHOICE("history_bodies", CONFIG_AT_START, "all", history,
                                     "How many old revisions keep their content; this version keeps all."),
    [CONFIG_LIMIT_CONNECTIONS] =
        UINT("limits.connections", CONFIG_AT_START, "4096", 1, 1000000, "HTTP connections at one time."),
    [CONFIG_LIMIT_HEADER_S] =
        UINT("limits.header_s", CONFIG_AT_START, "10", 1, 3600, "Seconds in which a request's headers must arrive."),
    [CONFIG_LIMIT_BODY_S] =
        UINT("limits.body_s", CONFIG_AT_START, "30", 1, 3600, "Seconds in which a request's body must arrive."),
    [CONFIG_LIMIT_IDLE_S] =
        UINT("limits.idle_s", CONFIG_AT_START, "75", 1, 86400, "Seconds that an idle HTTP connection is kept."),
    [CONFIG_LIMIT_BATCH_DELTAS] =
        UINT("limits.batch_deltas", CONFIG_AT_START, "64", 1, 4096, "Deltas of peers in one commit."),
    [CONFIG_LIMIT_BATCH_WRITES] =
        UINT("limits.batch_writes", CONFIG_AT_START, "4096", 1, 65536, "Own writes in one commit."),
    [CONFIG_LIMIT_DISK_FREE_MB] = UINT("limits.disk_free_mb", CONFIG_ON_RELOAD, "16", 0, 1048576,
                                       "MiB of free disk below which the node is not ready."),
    [CONFIG_LIMIT_SILENCE_S] = UINT("limits.silence_s", CONFIG_AT_START, "45", 3, 600,
                                    "Seconds without a sign of life after which a session with a peer is given up."),
    [CONFIG_RATE_REQUESTS] = UINT("rate.requests", CONFIG_ON_RELOAD, "0", 0, 10000000,
                                  "Requests a second that one token may make; 0: any number."),
    [CONFIG_RATE_BURST] =
        UINT("rate.burst", CONFIG_ON_RELOAD, "100", 1, 10000000, "Requests that one token may make at once."),
    [CONFIG_LIMIT_INVOKES_TOKEN] = UINT("limits.invokes_token", CONFIG_ON_RELOAD, "16", 1, 4096,
                                        "Invokes that one token may have under way."),
    [CONFIG_LIMIT_INVOKES_PEER] = UINT("limits.invokes_peer", CONFIG_ON_RELOAD, "16", 1, 4096,
                                       "Invokes that one other node may have under way here."),
    [CONFIG_LIMIT_BLOBS_MB] = UINT("limits.blobs_mb", CONFIG_ON_RELOAD, "65536", 1, 1073741824,
                                   "MiB of disk that blobs may take; beyond, push and pull are refused."),
    [CONFIG_RECEIPTS_KEEP] = UINT("receipts.keep", CONFIG_AT_START, "100000", 1, 1000000000,
                                  "Receipts of invokes that are kept; the oldest go."),
};

const struct config_desc *config_desc(enum config_key key)
{
    assert(key < CONFIG_COUNT);
    return &table[key];
}
