/*
 * What a program may do when this node runs it, and what came of it: the types that the supervisor, the launcher and the
 * node share. A sandboxed program gets its input on stdin and gives its answer on stdout; it has no network, no files but
 * a read-only root and a private /tmp, and bounded time, memory, processes and output. What is defended, by which
 * layer, and what each missing kernel feature costs: sandbox/THREATS.md.
 *
 * How to use it (all of it through libuv, sandbox/uv_run.h): open the executable (sandbox_file_open in sandbox/linux.h),
 * fill a sandbox_spec, make one uv_pool for a deployment, and one uv_pool_call for an invocation.
 */
#ifndef SOUK_SANDBOX_SANDBOX_H
#define SOUK_SANDBOX_SANDBOX_H

#include "crdt/bytes.h"
#include "crdt/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Bounds of this part. Bytes unless said. */
#define SANDBOX_ARGS_MAX        256          /* arguments of a program                             */
#define SANDBOX_ENV_MAX         64           /* variables of its environment                       */
#define SANDBOX_TEXT_MAX        32768        /* arguments, environment and paths together          */
#define SANDBOX_MOUNTS_MAX      16
#define SANDBOX_PATH_MAX        1024
#define SANDBOX_INPUT_MAX       (8u << 20)
#define SANDBOX_OUTPUT_MAX      (64u << 20)  /* the largest output limit that may be asked for     */
#define SANDBOX_STDERR_TAIL     4096         /* last bytes of stderr that are kept                 */
#define SANDBOX_DETAIL_MAX      512          /* of a sentence for people                           */
#define SANDBOX_FIRST_BYTES     256          /* of a bad output that are kept                      */
#define SANDBOX_WALL_MAX_MS     (24u * 3600 * 1000)
#define SANDBOX_PROCESSES_MAX   4096
#define SANDBOX_RUNS_MAX        512          /* sandboxes of one node at a time                    */
#define SANDBOX_SAMPLE_MS       20           /* how often memory and cpu time are summed by hand   */

/* What input and output are. Input: JSON was checked by whoever took it; here all kinds are bytes. Output: JSON is checked
 * strictly (sandbox_json_check), text must be UTF-8 without NUL, bytes are anything. */
enum sandbox_kind { SANDBOX_JSON, SANDBOX_TEXT, SANDBOX_BYTES };

/* How a run ended. Exactly one; the order below decides when several hold (what the sandbox did comes before what
 * the program says of itself). */
enum sandbox_status {
    SANDBOX_OK,           /* exit status 0 and an output of the right kind                       */
    SANDBOX_EXIT,         /* code = its exit status, not 0                                       */
    SANDBOX_SIGNAL,       /* code = the signal that ended it, not sent by the sandbox            */
    SANDBOX_TIMEOUT,      /* wall time used up, in the queue or running                          */
    SANDBOX_CPU,          /* cpu time used up                                                    */
    SANDBOX_OOM,          /* memory used up                                                      */
    SANDBOX_OUTPUT_LIMIT, /* more bytes on stdout than allowed; ended at once                    */
    SANDBOX_BAD_OUTPUT,   /* exit status 0, but the output is not of its kind (or a worker's     */
                          /* answer is not a frame, or carries another id)                       */
    SANDBOX_SETUP,        /* could not be started: `detail` names the step or both hashes        */
    SANDBOX_CANCELLED     /* the caller asked for it, or the node is closing                     */
};
#define SANDBOX_STATUS_COUNT (SANDBOX_CANCELLED + 1)

const char *sandbox_kind_name(enum sandbox_kind kind);       /* "json" "text" "bytes"               */
const char *sandbox_status_name(enum sandbox_status status); /* "ok" "exit" ... "cancelled"         */
bool sandbox_kind_parse(const char *name, enum sandbox_kind *out);

/* 0 means the default in brackets, except where said. */
struct sandbox_limits {
    uint64_t wall_ms;      /* of one run, or of one request to a worker [10 000]                  */
    uint64_t cpu_ms;       /* of all processes of one run together; 0 = no limit                  */
    uint64_t memory_bytes; /* of all processes, /tmp and page cache together [256 MiB]            */
    uint64_t output_bytes; /* on stdout; of one answer for a worker [1 MiB]                       */
    uint64_t tmp_bytes;    /* size of /tmp, part of memory_bytes too [16 MiB]                     */
    uint32_t processes;    /* processes and threads at once [64]                                  */
    uint32_t files;        /* open files of one process [256]                                     */
    uint32_t cpu_percent;  /* of one core, by the scheduler: 150 = one and a half; 0 = no limit   */
};

/* The limits with the defaults filled in. */
struct sandbox_limits sandbox_limits_fill(struct sandbox_limits given);

/* A file that was opened once and hashed: run from, or mounted from, its descriptor. See sandbox_file_open. */
struct sandbox_file {
    char path[SANDBOX_PATH_MAX]; /* where it was opened, absolute                                 */
    int fd;                      /* O_RDONLY; owned by whoever opened it; -1: closed              */
    uint8_t hash[32];            /* BLAKE2b-256 of the content (b2sum -l 256)                     */
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;  /* while these five stay, the content is not hashed again        */
};

/* One thing of the host that the program sees, read-only, nosuid, nodev. The folders on the way to `target` are made. */
struct sandbox_mount {
    const char *source;              /* absolute path of a file or folder on the host             */
    const char *target;              /* absolute path inside, say /app/model; not in what the   */
                                     /* sandbox makes itself (/usr /proc /dev /tmp ...)        */
    const struct sandbox_file *file; /* the source, opened and hashed (a script, an interpreter); */
                                     /* NULL: `source` is taken as it is at each start            */
};

enum sandbox_weak { SANDBOX_STRICT, SANDBOX_WEAK }; /* WEAK: run without a memory cgroup too       */

/* A program and its bounds. Borrowed by the functions that take it, which copy what they need; descriptors too. */
struct sandbox_spec {
    const struct sandbox_file *exe;    /* an ELF executable; started from the descriptor                */
    const char *const *argv;           /* NULL-ended, argv[0] included                                  */
    const char *const *env;            /* NULL-ended "NAME=value", added to PATH=/usr/bin:/bin and      */
                                       /* LANG=C.UTF-8 (a name given here wins); NULL: nothing added    */
    const struct sandbox_mount *mounts;
    size_t mounts_count;
    struct sandbox_limits limits;
    enum sandbox_kind input, output;
    enum sandbox_weak weak;
};

/* How a worker and the node speak. See sandbox/THREATS.md for what a late or wrong answer does. Ids count up from 1 in each
 * worker; the answer carries the id of the request it answers. A worker gets one request at a time.
 * LINES: one JSON object a line, `{"id":7,"input":VALUE}`, answered by `{"id":7,"output":VALUE}` or
 *        `{"id":7,"error":"text"}` (the call ends as EXIT with code 1 and the text as detail; the worker stays).
 *        VALUE is the JSON input (a deployment with JSON input) or a JSON string (text). Not for bytes.
 * FRAMES: 4 bytes length of what follows, 8 bytes id, then the input or output as it is; numbers big-endian. */
enum sandbox_frames { SANDBOX_LINES, SANDBOX_FRAMES };

/* The layers, for `souk doctor`, `souk deploy` and the tests. */
enum sandbox_layer {
    SANDBOX_LAYER_USER,          /* user namespace: ids of its own                                    */
    SANDBOX_LAYER_PID,
    SANDBOX_LAYER_MOUNT,
    SANDBOX_LAYER_NET,
    SANDBOX_LAYER_IPC,
    SANDBOX_LAYER_UTS,
    SANDBOX_LAYER_CGROUP_NS,
    SANDBOX_LAYER_PROC,          /* a /proc of its own, hiding other processes                        */
    SANDBOX_LAYER_SECCOMP,
    SANDBOX_LAYER_LANDLOCK,
    SANDBOX_LAYER_CGROUP_MEMORY, /* the kernel bounds the memory of a run                             */
    SANDBOX_LAYER_CGROUP_PIDS,   /* else RLIMIT_NPROC, which counts ids of this sandbox alone as root */
    SANDBOX_LAYER_CGROUP_CPU,    /* cpu_percent holds, and cpu time is counted by the kernel          */
    SANDBOX_LAYER_CGROUP_KILL,   /* one write ends a group (else the end of its pid namespace does)   */
    SANDBOX_LAYER_OWN_IDS        /* each run has an unprivileged id of its own outside; root only     */
};
#define SANDBOX_LAYER_COUNT (SANDBOX_LAYER_OWN_IDS + 1)

/* Result of the self-test: every layer that is active was seen to work on this machine, in a real sandbox. */
struct sandbox_layers {
    bool active[SANDBOX_LAYER_COUNT];
    char missing[SANDBOX_LAYER_COUNT][96]; /* why not, for people; "" where active                */
    int cgroup_version;                    /* 2, 1, or 0: none usable                             */
    int landlock_abi;                      /* 0: the kernel has none                              */
};

const char *sandbox_layer_name(enum sandbox_layer layer);    /* "user" "pid" ... "cgroup-memory"    */
const char *sandbox_layer_meaning(enum sandbox_layer layer); /* one phrase: what it defends         */
/* True for the layers without which nothing is run at all: user pid mount net ipc seccomp. The memory cgroup is
 * required too unless the deployment is WEAK. */
bool sandbox_layer_required(enum sandbox_layer layer);

/* Can this run here as it is written? ERR_INVALID: `why` names the value, the reason, the next step (a bad path, too
 * many arguments, a limit out of range). `layers` may be NULL: then only the spec itself is judged. ERR_DENIED: a required layer is missing; `why` names it (`souk deploy` exits 5). */
SOUK_MUST_USE enum err sandbox_spec_check(const struct sandbox_spec *spec, const struct sandbox_layers *layers,
                                          struct buf *why);

/* What a run used and how it ended. Everything is borrowed for the callback that brings it. */
struct sandbox_result {
    enum sandbox_status status;
    int code;                   /* exit status or signal number (EXIT, SIGNAL); else 0                */
    bool started;               /* false: the program was never executed, so it is safe to try elsewhere */
    uint64_t wall_us;           /* from the start of the run (not of the wait in the queue)           */
    uint64_t wait_us;           /* in the queue                                                       */
    uint64_t cpu_us;            /* all its processes. For a worker: of its first process, during this */
                                /* request; 0 where it is not known, as for its first request         */
    uint64_t memory_peak;       /* bytes; 0: nothing here measures it. For a worker: of its life      */
    uint64_t bytes_in, bytes_out;
    struct bytes output;        /* OK: the whole output. BAD_OUTPUT: its first SANDBOX_FIRST_BYTES.   */
                                /* Else what came before the end, within the limit                    */
    struct bytes errors;        /* the last SANDBOX_STDERR_TAIL bytes of stderr, as they came         */
    const char *detail;         /* a sentence on anything but OK; "" otherwise                        */
};

/*
 * Strict JSON, for outputs. ERR_OK: exactly one JSON document (RFC 8259), valid UTF-8 without a byte order mark, nesting
 * at most SANDBOX_JSON_DEPTH, at most SANDBOX_JSON_KEYS members in all, no member name twice in one object, every
 * number within the range of a double, escapes without lone surrogates or NUL. Else ERR_FORM: `why` says what is wrong
 * at which byte. Takes at most 16 bytes of memory a key.
 */
#define SANDBOX_JSON_DEPTH 64
#define SANDBOX_JSON_KEYS  65536
SOUK_MUST_USE enum err sandbox_json_check(struct bytes text, struct buf *why);

/* ERR_OK if `output` is of this kind. */
SOUK_MUST_USE enum err sandbox_output_check(enum sandbox_kind kind, struct bytes output, struct buf *why);

#endif
