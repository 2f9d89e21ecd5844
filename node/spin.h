/*
 * How long a thread polls before it sleeps, as hypervisors do for an idle processor: waking a thread whose processor has
 * gone to sleep costs more than a short write does beside its fsync. A bound that grows while what is waited for comes
 * soon and falls to nothing while it does not, so that whoever has nothing to do polls not at all.
 */
#ifndef SOUK_NODE_SPIN_H
#define SOUK_NODE_SPIN_H

#include <stdint.h>

#define SPIN_MIN_US 125  /* the first bound above 0 */
#define SPIN_MAX_US 1000 /* longer than a fast disk takes for one write, and than a client takes for its next one */

/* The bound of the next wait after one that was bounded by `bound_us` and ended after waited_us, polling and sleep together. */
uint64_t spin_next(uint64_t bound_us, uint64_t waited_us);

#endif
