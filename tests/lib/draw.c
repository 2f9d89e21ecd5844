/* Histories drawn from a seed, printed, and made smaller; and the loop that runs laws over them (see history.h). */
#include "tests/lib/history.h"

#include "crdt/alloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- drawing ---- */

static bool one_in(struct rng *r, uint64_t n)
{
    return rng_below(r, n) == 0;
}

static enum place draw_place(struct rng *r, enum profile profile)
{
    static const enum place plain[] = {PLACE_M1, PLACE_M1, PLACE_M1, PLACE_M1, PLACE_N1, PLACE_M2, PLACE_UNKNOWN},
                            mesh[] = {PLACE_CHARTER, PLACE_CHARTER, PLACE_MEMBER1, PLACE_MEMBER2, PLACE_MEMBER2,
                                      PLACE_MEMBER3, PLACE_MEMBER4, PLACE_ODD};
    if (profile == PROFILE_MESH && one_in(r, 2))
        return mesh[rng_below(r, sizeof mesh / sizeof *mesh)];
    return plain[rng_below(r, sizeof plain / sizeof *plain)];
}

static bool is_governing(enum place place)
{
    return place >= PLACE_CHARTER;
}

/* Owners write most; then the writers 2 and 3, then anyone. */
static unsigned draw_author(struct rng *r, enum place place)
{
    switch (rng_below(r, 5)) {
    case 0:
    case 1: return place_actor(place);
    case 2: return 2;
    case 3: return 3;
    default: return (unsigned)rng_below(r, ACTORS);
    }
}

static enum body_fate draw_fate(struct rng *r, enum place place)
{
    if (is_governing(place) || !one_in(r, 4))
        return FATE_SENT;
    return (enum body_fate)rng_below(r, FATE_COUNT);
}

static uint32_t draw_parents(struct rng *r, unsigned tag)
{
    uint32_t mask = 0;
    uint64_t density = 1 + rng_below(r, 4);
    for (unsigned bit = 0; bit < 32; bit++)
        if (bit % 16 < tag && one_in(r, bit < 16 ? density : 2 * density + 2))
            mask |= UINT32_C(1) << bit;
    return mask;
}

static void draw_act(struct rng *r, struct act *a, enum profile profile, unsigned tag)
{
    a->place = draw_place(r, profile);
    uint64_t verb = rng_below(r, 10);
    a->verb = verb < 6 ? VERB_PUT : verb < 8 ? VERB_DELETE : VERB_STATEMENT;
    a->fate = draw_fate(r, a->place);
    a->parents = draw_parents(r, tag);
    a->unseen_parent = one_in(r, 8);
    a->target = one_in(r, 3) ? (unsigned)rng_below(r, ACTORS) : 2 + (unsigned)rng_below(r, 2);
    a->granted = !one_in(r, 3);
    a->epoch = (unsigned)rng_below(r, 3);
    a->field = (unsigned)rng_below(r, 3);
    a->value = (unsigned)rng_below(r, 6);
    a->changed_at = one_in(r, 2) ? 0 : 1 + (unsigned)rng_below(r, 60);
    a->since = one_in(r, 5) ? 1 + (unsigned)rng_below(r, 60) : 0;
}

static void draw_step(struct rng *r, struct step *s, enum profile profile, unsigned tag)
{
    *s = (struct step){.tag = tag, .copies = 1, .act_count = 1};
    draw_act(r, &s->act[0], profile, tag);
    s->honest = one_in(r, 2);
    s->author = draw_author(r, s->act[0].place);
    s->time = 2 + (one_in(r, 2) ? 4 * tag : (unsigned)rng_below(r, 60));
    s->sees = one_in(r, 3) ? (uint32_t)rng_u64(r) : UINT32_MAX;
    if (!s->honest && one_in(r, 4)) {
        draw_act(r, &s->act[1], profile, tag);
        s->act_count = is_governing(s->act[0].place) == is_governing(s->act[1].place) ? 2 : 1;
    }
    if (!s->honest && one_in(r, 24))
        s->copies = 15 + (unsigned)rng_below(r, 4);
    for (size_t i = 0; i < s->act_count; i++)
        if (s->act[i].verb == VERB_STATEMENT && s->author != place_actor(s->act[i].place)) {
            if (i == 0)
                s->author = place_actor(s->act[i].place);
            else
                s->act_count = 1;
        }
}

struct step step_of(unsigned tag, unsigned author, enum place place, enum verb verb)
{
    struct step s = {.tag = tag, .author = author, .honest = true, .time = 100, .sees = UINT32_MAX, .copies = 1, .act_count = 1};
    s.act[0] = (struct act){.place = place, .verb = verb, .value = 1};
    return s;
}

/* Half of the histories of a mesh start with a founder who takes members only, and half with one who admits some. */
static size_t draw_beginning(struct rng *r, struct step *steps)
{
    size_t n = 0;
    if (one_in(r, 2)) {
        steps[n] = step_of((unsigned)n, 0, PLACE_CHARTER, VERB_PUT);
        steps[n].act[0].value = 2;
        steps[n++].time = 2;
    }
    for (unsigned member = 1; member <= 2 && one_in(r, 2); member++) {
        steps[n] = step_of((unsigned)n, 0, (enum place)(PLACE_MEMBER1 + member - 1), VERB_PUT);
        steps[n].act[0].field = 1;
        steps[n++].time = 3;
    }
    return n;
}

void history_draw(struct history *h, uint64_t seed)
{
    struct rng r;
    rng_seed(&r, seed);
    *h = (struct history){.seed = seed};
    enum profile profile = one_in(&r, 3) ? PROFILE_MESH : PROFILE_ENTRIES;
    size_t begun = profile == PROFILE_MESH ? draw_beginning(&r, h->steps) : 0;
    h->step_count = begun + 2 + rng_below(&r, one_in(&r, 4) ? 7 : 5);
    for (unsigned i = (unsigned)begun; i < h->step_count; i++)
        draw_step(&r, &h->steps[i], profile, i);
}

struct step step_draw(struct rng *rng, unsigned tag)
{
    struct step s;
    do
        draw_step(rng, &s, one_in(rng, 3) ? PROFILE_MESH : PROFILE_ENTRIES, tag);
    while (s.honest);
    return s;
}

/* ---- printing ---- */

static void print_act(const struct step *s, const struct act *a)
{
    static const char *const place[PLACE_COUNT] = {"m1", "n1", "m2", "kind9", "charter", "member1", "member2", "member3", "member4", "odd"};
    static const char *const verb[] = {"put", "delete", "statement"};
    static const char *const fate[FATE_COUNT] = {"", " body withheld", " body late", " body malformed", " body forged"};
    printf(" %s %s", verb[a->verb], place[a->place]);
    if (a->verb == VERB_STATEMENT)
        printf(" %s actor %u", a->granted ? "grants" : "revokes", a->target);
    if (!s->honest)
        printf(" epoch %u parents %08x%s", a->epoch, a->parents, a->unseen_parent ? " + unseen" : "");
    if (a->verb == VERB_PUT)
        printf(" field %u value %u%s", a->field, a->value, fate[a->fate]);
    if (a->verb == VERB_PUT && !s->honest)
        printf(" changed_at %u since %u", a->changed_at, a->since);
}

void history_print(const struct history *h)
{
    printf("  seed %llu, %zu steps after an open charter\n", (unsigned long long)h->seed, h->step_count);
    for (size_t i = 0; i < h->step_count; i++) {
        const struct step *s = &h->steps[i];
        printf("  #%u actor %u %s at %u", s->tag, s->author, s->honest ? "honest" : "raw", s->time);
        if (s->honest)
            printf(" sees %04x", (unsigned)(s->sees & 0xffff));
        if (s->copies > 1)
            printf(" x%u", s->copies);
        for (size_t k = 0; k < s->act_count; k++)
            print_act(s, &s->act[k]);
        printf("\n");
    }
}

/* ---- shrinking ---- */

static bool broken(const struct law *law, const struct history *h, char why[WHY_MAX])
{
    struct rng r;
    struct compiled c;
    rng_seed(&r, h->seed);
    history_compile(h, &c);
    bool holds = law->holds(&c, &r, why);
    compiled_close(&c);
    return !holds;
}

/* Keeps `smaller` if the law is still broken by it. */
static bool try(const struct law *law, struct history *h, const struct history *smaller, char why[WHY_MAX])
{
    char now[WHY_MAX] = "";
    if (!broken(law, smaller, now))
        return false;
    *h = *smaller;
    memcpy(why, now, sizeof now);
    return true;
}

static bool drop_a_step(const struct law *law, struct history *h, char why[WHY_MAX])
{
    for (size_t i = 0; i < h->step_count; i++) {
        struct history s = *h;
        memmove(s.steps + i, s.steps + i + 1, (s.step_count - i - 1) * sizeof *s.steps);
        s.step_count--;
        if (try(law, h, &s, why))
            return true;
    }
    return false;
}

/* What can still be made plainer in a step. */
static unsigned weight(const struct step *s)
{
    unsigned n = s->copies + (s->honest && s->sees != UINT32_MAX);
    for (size_t i = 0; i < s->act_count; i++) {
        const struct act *a = &s->act[i];
        n += 1u + (a->fate != FATE_SENT) + a->unseen_parent + (a->since > 0) + (a->changed_at > 0);
        n += (unsigned)__builtin_popcount(a->parents);
    }
    return n;
}

enum { PLAINER = 9 };

/* One way of making a step plainer; false if it is so already. */
static bool plainer(struct step *s, unsigned way)
{
    unsigned before = weight(s);
    struct act *a = &s->act[0], *b = &s->act[1];
    switch (way) {
    case 0: s->act_count = 1; break;
    case 1: s->copies = 1; break;
    case 2: a->fate = b->fate = FATE_SENT; break;
    case 3: a->unseen_parent = b->unseen_parent = false; break;
    case 4: a->since = b->since = 0; break;
    case 5: a->changed_at = b->changed_at = 0; break;
    case 6: a->parents &= a->parents - 1; break;
    case 7: b->parents &= b->parents - 1; break;
    default: s->sees = UINT32_MAX; break;
    }
    return weight(s) < before;
}

static bool simplify_a_step(const struct law *law, struct history *h, char why[WHY_MAX])
{
    for (size_t i = 0; i < h->step_count; i++)
        for (unsigned way = 0; way < PLAINER; way++) {
            struct history s = *h;
            if (plainer(&s.steps[i], way) && try(law, h, &s, why))
                return true;
        }
    return false;
}

static void shrink(const struct law *law, struct history *h, char why[WHY_MAX])
{
    while (drop_a_step(law, h, why) || simplify_a_step(law, h, why))
        continue;
}

/* ---- running ---- */

struct tally {
    bool broken;
    uint64_t runs;
};

static void report(const struct law *law, const struct history *h, char why[WHY_MAX])
{
    struct history small = *h;
    shrink(law, &small, why);
    printf("law broken: %s\n  %s\n", law->name, why);
    history_print(&small);
    (void)fflush(stdout);
}

/* Runs the laws that are due on one history. */
static void check(const struct law *laws, size_t count, uint64_t seed, struct tally *tally)
{
    struct history h;
    struct compiled c;
    history_draw(&h, seed);
    history_compile(&h, &c);
    for (size_t i = 0, bundles = c.count; i < count; i++) {
        char why[WHY_MAX] = "";
        struct rng r;
        if (tally[i].broken || seed % laws[i].every != 0)
            continue;
        rng_seed(&r, h.seed);
        tally[i].runs++;
        tally[i].broken = !laws[i].holds(&c, &r, why);
        compiled_pop(&c, bundles);
        if (tally[i].broken)
            report(&laws[i], &h, why);
    }
    compiled_close(&c);
}

size_t laws_run(const struct law *laws, size_t count, uint64_t from, uint64_t n)
{
    struct tally *tally = mem_calloc(count, sizeof *tally);
    size_t bad = 0;
    for (uint64_t seed = from; seed < from + n; seed++)
        check(laws, count, seed, tally);
    for (size_t i = 0; i < count; i++) {
        bad += tally[i].broken;
        printf("%s %s: %llu histories\n", tally[i].broken ? "BROKEN" : "holds ", laws[i].name,
               (unsigned long long)tally[i].runs);
    }
    free(tally);
    return bad;
}

uint64_t laws_histories(uint64_t usual)
{
    const char *asked = getenv("SOUK_LAWS_HISTORIES");
#ifdef __SANITIZE_ADDRESS__
    usual /= 50;
#endif
    return asked != NULL ? strtoull(asked, NULL, 10) : usual;
}
