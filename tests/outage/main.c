/*
 * outage NAME: plays one scenario. Status 0: every promise held, 3: one did not, 2: no such scenario.
 */
#include "tests/outage/outage.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    void (*play)(void);
} scenarios[] = {
    {"wedged-peer", outage_wedged_peer},
    {"score-forgotten", outage_score_forgotten},
    {"seen-before-commit", outage_seen_before_commit},
    {"wedged-sync", outage_wedged_sync},
    {"graft-in-back-off", outage_graft_in_back_off},
    {"store-growth", outage_store_growth},
    {"power-loss", outage_power_loss},
    {"sibling-explosion", outage_sibling_explosion},
    {"tombstone", outage_tombstone},
};

static unsigned made, broken;

void promise(bool holds, const char *format, ...)
{
    va_list args;
    made++;
    if (holds)
        return;
    if (broken++ > 0)
        return; /* the first one tells */
    va_start(args, format);
    (void)printf("promise broken: ");
    (void)vprintf(format, args);
    (void)printf("\n");
    va_end(args);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && sodium_init() >= 0 && i < sizeof scenarios / sizeof *scenarios; i++) {
        if (strcmp(argv[1], scenarios[i].name) != 0)
            continue;
        scenarios[i].play();
        if (broken == 0)
            (void)printf("%s: %u promises held\n", argv[1], made);
        return broken > 0 || made == 0 ? 3 : 0;
    }
    (void)fprintf(stderr, "usage: outage NAME\n");
    return 2;
}
