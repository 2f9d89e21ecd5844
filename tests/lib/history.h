/*
 * Histories: short scripts of what honest and hostile authors do to a few entries, drawn from a seed, compiled
 * to signed bundles, and made smaller while a law stays broken. A step refers to others by tag, so that any
 * step can be left out and the rest still means the same. Knows no store; laws are functions over a history.
 */
#ifndef SOUK_TESTS_HISTORY_H
#define SOUK_TESTS_HISTORY_H

#include "tests/lib/gen.h"
#include "tests/lib/oracle.h"

#define STEPS_MAX   14
#define BUNDLES_MAX (2 * STEPS_MAX)
#define ACTORS      5 /* 0 founds the mesh; 1 and 2 own entries; any may write, be granted, admitted, removed */

/* The entries that histories play on. */
enum place {
    PLACE_M1,       /* model of actor 1       */
    PLACE_N1,       /* another of actor 1     */
    PLACE_M2,       /* agent of actor 2       */
    PLACE_UNKNOWN,  /* a kind of the future   */
    PLACE_CHARTER,
    PLACE_MEMBER1,  /* member entries of actors 1 to 4 */
    PLACE_MEMBER2,
    PLACE_MEMBER3,
    PLACE_MEMBER4,
    PLACE_ODD,      /* a kind-6 entry that actor 2 owns: means nothing */
    PLACE_COUNT
};

enum body_fate {
    FATE_SENT,
    FATE_WITHHELD,  /* never comes                                     */
    FATE_LATE,      /* comes in a bundle of its own, after all others  */
    FATE_MALFORMED, /* matches its hash and lacks the form             */
    FATE_FORGED,    /* another body comes in its place                 */
    FATE_COUNT
};

/* One op. A parent bit b < 16 is the first op of the step with tag b, b >= 16 the second of tag b - 16. */
struct act {
    enum place place;
    enum verb verb;
    enum body_fate fate;
    uint32_t parents;   /* by choice, unless the step is honest                   */
    bool unseen_parent; /* also names an op that nobody has                       */
    unsigned target;    /* statement: the actor                                   */
    bool granted;
    unsigned epoch;     /* raw steps: the epoch relied on, granted or revoked     */
    unsigned field, value;
    unsigned changed_at, since; /* raw: 0 is the delta's time, and none           */
};

struct step {
    unsigned tag;
    unsigned author;
    bool honest;     /* parents, times and epochs follow from what it sees        */
    unsigned time;   /* an honest author's clock; a raw step's own time           */
    uint32_t sees;   /* honest: tags; SEES_LATE: the late bodies too              */
    unsigned copies; /* the first act repeated with other salts: many heads       */
    size_t act_count;
    struct act act[2];
};

#define SEES_LATE (UINT32_C(1) << 31)

struct history {
    uint64_t seed;
    size_t step_count;
    struct step steps[STEPS_MAX];
};

enum profile { PROFILE_ENTRIES, PROFILE_MESH }; /* the second adds charter, members, operators */
void history_draw(struct history *h, uint64_t seed);
void history_print(const struct history *h);
/* An honest step of one op that sees everything; raw steps and views are made by changing it. */
struct step step_of(unsigned tag, unsigned author, enum place place, enum verb verb);
/* A hostile step that names what was made before it. */
struct step step_draw(struct rng *rng, unsigned tag);

/* The bundles of a history. The first one is always the charter of an open mesh. */
struct compiled {
    size_t count;
    struct buf bundle[1 + BUNDLES_MAX];
    size_t late_from, late_to;    /* the bundles that bring late bodies           */
    bool made[STEPS_MAX];         /* by tag                                       */
    size_t bundle_of[STEPS_MAX];
    struct id op[STEPS_MAX][2];
    uint64_t time[STEPS_MAX];
};
void history_compile(const struct history *h, struct compiled *c);
void compiled_close(struct compiled *c);
/* One more step on top, which may see all that is there; and back to `count` bundles. */
void compiled_push(struct compiled *c, const struct step *s);
void compiled_pop(struct compiled *c, size_t count);
/* An unused tag. */
unsigned compiled_tag(const struct compiled *c);

struct key actor_key(unsigned actor);
unsigned place_actor(enum place place); /* the owner */
struct id place_id(enum place place);
struct bytes mesh_name_of(void);
struct id mesh_of(void);

/* An oracle over some bundles: `order` (NULL: as they stand) of `n`. */
void oracle_over(struct oracle *o, const struct compiled *c, const size_t *order, size_t n);

#define WHY_MAX 256

/* A law holds or says why not. */
struct law {
    const char *name;
    /* May push steps; they are popped by the caller. */
    bool (*holds)(struct compiled *c, struct rng *rng, char why[WHY_MAX]);
    unsigned every; /* run on one history in so many */
};
/* Runs the laws on histories of seeds [from, from + n). Returns the number of broken laws, having printed for each
 * the smallest history found. */
size_t laws_run(const struct law *laws, size_t count, uint64_t from, uint64_t n);
/* How many histories a run should do: SOUK_LAWS_HISTORIES, or `usual`, or a tenth of it under the sanitizers. */
uint64_t laws_histories(uint64_t usual);

#endif
