/*
 * Outages that other systems had, played on this one: each scenario makes promises, and each has a broken build in which
 * one of them does not hold (the .mut file of the same name), so that no scenario passes for want of looking. The table
 * is in net/PROTOCOL.md.
 */
#ifndef SOUK_TESTS_OUTAGE_H
#define SOUK_TESTS_OUTAGE_H

#include <stdbool.h>

/* Says what was promised where it does not hold; the program then ends with status 3. */
void promise(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* mesh.c */
void outage_wedged_peer(void);
void outage_score_forgotten(void);
void outage_seen_before_commit(void);
void outage_wedged_sync(void);
void outage_graft_in_back_off(void);
/* stores.c */
void outage_store_growth(void);
void outage_power_loss(void);
void outage_sibling_explosion(void);
void outage_tombstone(void);

#endif
