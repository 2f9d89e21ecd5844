/*
 * What the node and its launcher say to each other over a socket of whole messages: orders one way, notices the other.
 * Both ends are the same program on the same machine, so fixed parts are plain structs; texts are packed behind them.
 * Descriptors travel beside an order, in the order given below.
 */
#ifndef SOUK_SANDBOX_MESSAGE_H
#define SOUK_SANDBOX_MESSAGE_H

#include "crdt/bytes.h"
#include "crdt/err.h"
#include "sandbox/sandbox.h"

#define SANDBOX_MESSAGE_MAGIC 0x736b0002u /* counts up with the layout */
#define SANDBOX_MESSAGE_MAX   (SANDBOX_TEXT_MAX + 4096)
#define SANDBOX_FDS_MAX       (3 + 1 + SANDBOX_MOUNTS_MAX)

enum sandbox_order_kind {
    SANDBOX_ORDER_BUILD = 1, /* make a sandbox that waits. Descriptors: executable, files of mounts     */
    SANDBOX_ORDER_RUN,       /* make one and start it. stdin, stdout, stderr, executable, files         */
    SANDBOX_ORDER_START,     /* start the one that waits. stdin, stdout, stderr                         */
    SANDBOX_ORDER_KILL       /* end it; a notice ENDED follows unless it came already                   */
};

struct sandbox_order {
    uint32_t magic;
    uint32_t kind;
    uint64_t id;
    struct sandbox_limits limits; /* filled in                                                          */
    uint64_t lifetime_ms;         /* from its start, kept by launcher and init too; 0: none             */
    uint32_t weak;                /* enum sandbox_weak                                                  */
    uint32_t tells_start;         /* 1: a notice STARTED is wanted                                      */
    uint32_t argc, envc, mounts;
    uint32_t file_mask;           /* bit i: mount i comes as a descriptor                               */
    uint32_t tree_mask;           /* bit i: the launcher made its mount; 0 in what the node sends       */
    uint32_t text_bytes;          /* NUL-ended texts behind this: argv, env, (source, target) of mounts */
};

/* The texts of an order; pointers into the message. */
struct sandbox_order_text {
    const char *argv[SANDBOX_ARGS_MAX + 1];
    const char *env[SANDBOX_ENV_MAX + 3];
    const char *source[SANDBOX_MOUNTS_MAX];
    const char *target[SANDBOX_MOUNTS_MAX];
};

/* Fills the counts and appends the message. `spec` passed sandbox_spec_check; NULL for START and KILL. */
void sandbox_order_pack(struct buf *out, struct sandbox_order *order, const struct sandbox_spec *spec);
/* ERR_FORM: not a message of this build. `text` borrows from `message`. */
SOUK_MUST_USE enum err sandbox_order_unpack(struct bytes message, struct sandbox_order *order,
                                            struct sandbox_order_text *text);

enum sandbox_notice_kind {
    SANDBOX_NOTICE_HELLO = 1, /* the self-test is through                                              */
    SANDBOX_NOTICE_BUILT,     /* waits for START                                                       */
    SANDBOX_NOTICE_STARTED,   /* the program is executed, as this process of the host                  */
    SANDBOX_NOTICE_SAMPLE,    /* memory and cpu time now                                               */
    SANDBOX_NOTICE_ENDED      /* all its processes are gone                                            */
};

/* How a sandbox ended, from the launcher. */
struct sandbox_ended {
    bool started;         /* the program was executed                                                   */
    bool oom;             /* the kernel ended something in it for its memory                            */
    bool late;            /* ended by launcher or init at lifetime_ms                                   */
    int wait_status;      /* of the program, as wait(2) gives it; -1: it did not end by itself          */
    uint64_t cpu_us;
    uint64_t memory_peak; /* 0: not known                                                               */
    char detail[160];     /* the step that failed; "" if none                                           */
};

struct sandbox_sample {
    uint64_t memory_bytes, cpu_us;
};

struct sandbox_notice {
    uint32_t magic;
    uint32_t kind;
    uint64_t id;
    union {
        struct sandbox_layers layers;
        struct sandbox_sample sample;
        int32_t pid;
        struct sandbox_ended ended;
    } u;
};

#endif
