/*
 * The supervisor: one sandbox from its making to its end, as a state machine without I/O. Either one call (input in, output
 * out, over) or a resident worker (a request at a time, until it is idle for long or misbehaves). Judges time, memory,
 * cpu, output; says what to do; gives each call exactly one result. Times are microseconds of one clock.
 */
#ifndef SOUK_SANDBOX_RUN_H
#define SOUK_SANDBOX_RUN_H

#include "sandbox/frames.h"
#include "sandbox/message.h"
#include "sandbox/sandbox.h"

#define SANDBOX_STDERR_MAX   (16u << 20)  /* of one call: more is an output limit too             */
#define SANDBOX_LIFETIME_MORE 2000        /* ms after the supervisor's own limit that launcher and */
                                          /* init end a run by themselves                          */
#define SANDBOX_STUCK_MS     10000        /* between KILL and ENDED                                */

enum run_mode { RUN_ONCE, RUN_PREBUILT, RUN_RESIDENT };

struct run_config {
    enum run_mode mode;
    struct sandbox_limits limits; /* filled in                                      */
    enum sandbox_weak weak;       /* WEAK: memory is judged by samples              */
    struct frame_format format;   /* kinds; frames for RESIDENT                     */
    uint64_t idle_us;             /* RESIDENT                                       */
};

struct run_call {
    uint64_t id;          /* the owner's; comes back with the result                */
    struct bytes input;   /* copied                                                 */
    uint64_t wall_us;     /* of this call; at most the limits'                      */
    uint64_t wait_us;     /* it spent in the queue: for the result                  */
};

enum run_event_kind {
    RUN_EVENT_CALL,         /* only if run_free() says so                           */
    RUN_EVENT_BUILT,        /* a PREBUILT sandbox waits                             */
    RUN_EVENT_TAKEN,        /* n bytes of run_unsent() were written                 */
    RUN_EVENT_INPUT_CLOSED, /* the program reads no more                            */
    RUN_EVENT_OUTPUT,       /* bytes of stdout                                      */
    RUN_EVENT_ERRORS,       /* bytes of stderr                                      */
    RUN_EVENT_SAMPLE,
    RUN_EVENT_CHANGED,      /* executable or a script changed: `bytes` says how     */
    RUN_EVENT_CANCEL,
    RUN_EVENT_ENDED,        /* all its processes are gone, its output was read      */
    RUN_EVENT_LOST,         /* the launcher is gone                                 */
    RUN_EVENT_TICK
};

struct run_event {
    enum run_event_kind kind;
    union {
        struct run_call call;
        struct bytes bytes;
        size_t n;
        struct sandbox_sample sample;
        const struct sandbox_ended *ended;
    } u;
};

enum run_action_kind {
    RUN_NOTHING,
    RUN_BUILD,     /* make the sandbox and leave it waiting                                   */
    RUN_SPAWN,     /* make it and start the program                                           */
    RUN_START,     /* start the program in the one that waits                                 */
    RUN_FEED,      /* write run_unsent(), as much as goes, when it goes                       */
    RUN_END_INPUT, /* close stdin                                                             */
    RUN_CHUNK,     /* bytes: output as it came                                                */
    RUN_KILL,      /* end it; ENDED follows                                                   */
    RUN_STUCK,     /* it did not end: whoever should have ended it is taken for lost          */
    RUN_DONE,      /* result of call_id                                                       */
    RUN_OVER       /* nothing is left; the run can be closed                                  */
};

struct run_action {
    enum run_action_kind kind;
    struct bytes bytes;
    uint64_t call_id;
    struct sandbox_result result;
};

struct run;

struct run *run_new(const struct run_config *config, uint64_t now_us);
void run_close(struct run *r);

void run_input(struct run *r, const struct run_event *event, uint64_t now_us);
enum run_action_kind run_next(struct run *r, struct run_action *out);
/* When to feed a TICK; UINT64_MAX: never. */
uint64_t run_deadline(const struct run *r);

/* May it be given a call now? */
bool run_free(const struct run *r);
/* Was it told to end, or has it? */
bool run_ending(const struct run *r);
struct bytes run_unsent(const struct run *r);
/* For the order to the launcher: 0: none. */
uint64_t run_lifetime_ms(const struct run *r);

#endif
